"""Convolution and pooling as their definitions say, loop by loop; oracles for what is quick.

Images are (images, height, width, channels). Padding is (above, left, below, right), other pairs are (down, across).
Integers give exact int64, floats float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[int, int]
Padding = tuple[int, int, int, int]


def places(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Places of a kernel along one axis, all of it inside the padded input."""
    return (before + size + after - (dilation * (kernel - 1) + 1)) // stride + 1


def convolution(
    x: Array,
    weight: Array,
    stride: Pair = (1, 1),
    padding: Padding = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    pad_value: float = 0,
) -> Array:
    """Sum of products of each filter at each place; no bias.

    Parameters
    ----------
    weight
        (kernel height, kernel width, channels / groups, filters); a filter of group g reads the g-th share of the
        channels, and filters are in the order of their groups.
    pad_value
        Value of the margin: 0, or the zero point of quantized images.
    """
    images, height, width, channels = x.shape
    kh, kw, depth, filters = weight.shape
    top, left, bottom, right = padding
    assert channels == groups * depth
    assert filters % groups == 0
    rows = places(height, kh, stride[0], top, bottom, dilation[0])
    columns = places(width, kw, stride[1], left, right, dilation[1])
    out = np.zeros((images, rows, columns, filters), _wide(x, weight))
    for n in range(images):
        for y in range(rows):
            for z in range(columns):
                for f in range(filters):
                    group = f // (filters // groups)
                    total = out.dtype.type(0)
                    for i in range(kh):
                        for j in range(kw):
                            for c in range(depth):
                                row = y * stride[0] + i * dilation[0] - top
                                column = z * stride[1] + j * dilation[1] - left
                                inside = 0 <= row < height and 0 <= column < width
                                value = x[n, row, column, group * depth + c] if inside else pad_value
                                total += out.dtype.type(value) * out.dtype.type(weight[i, j, c, f])
                    out[n, y, z, f] = total
    return out


def max_pool(x: Array, kernel: Pair, stride: Pair, padding: Padding = (0, 0, 0, 0)) -> Array:
    """Largest pixel of each window; the margin has none."""
    rows, columns = _windows(x, kernel, stride, padding)
    out = np.zeros((len(x), rows, columns, x.shape[3]), _wide(x))
    for n, y, z, c in np.ndindex(out.shape):
        out[n, y, z, c] = max(_pixels(x, n, y, z, c, kernel, stride, padding))
    return out


def average_pool(
    x: Array, kernel: Pair, stride: Pair, padding: Padding = (0, 0, 0, 0), *, count_padding: bool = False
) -> NDArray[np.float64]:
    """Mean of each window, float64 always.

    Parameters
    ----------
    count_padding
        Whether the margin counts, as pixels of 0; else the sum is divided by the pixels that lie in the image.
    """
    rows, columns = _windows(x, kernel, stride, padding)
    out = np.zeros((len(x), rows, columns, x.shape[3]))
    for n, y, z, c in np.ndindex(out.shape):
        pixels = _pixels(x, n, y, z, c, kernel, stride, padding)
        out[n, y, z, c] = sum(pixels) / (kernel[0] * kernel[1] if count_padding else len(pixels))
    return out


def global_average_pool(x: Array) -> NDArray[np.float64]:
    """Mean of each channel of each image, (images, channels)."""
    images, height, width, channels = x.shape
    out = np.zeros((images, channels))
    for n in range(images):
        for c in range(channels):
            total = 0.0
            for row in range(height):
                for column in range(width):
                    total += float(x[n, row, column, c])
            out[n, c] = total / (height * width)
    return out


def _windows(x: Array, kernel: Pair, stride: Pair, padding: Padding) -> Pair:
    top, left, bottom, right = padding
    return (
        places(x.shape[1], kernel[0], stride[0], top, bottom),
        places(x.shape[2], kernel[1], stride[1], left, right),
    )


def _pixels(x: Array, n: int, y: int, z: int, c: int, kernel: Pair, stride: Pair, padding: Padding) -> list[Any]:
    """Pixels of a window that lie in the image, of which there must be one."""
    found = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            row, column = y * stride[0] + i - padding[0], z * stride[1] + j - padding[1]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                found.append(x[n, row, column, c].item())
    assert found, "a window lies wholly in the margin"
    return found


def _wide(*arrays: Array) -> type[np.int64 | np.float64]:
    return np.int64 if all(np.issubdtype(array.dtype, np.integer) for array in arrays) else np.float64
