"""Pixels of sliding windows side by side, for real and exact meanings alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from accelsim.graph.ops.window import Window

Array = NDArray[Any]


def padded(images: Array, window: Window, fill: Any) -> Array:
    """Images (samples, height, width, channels) with what lies around them."""
    top, left, bottom, right = window.padding
    return np.pad(images, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)


def pixels(images: Array, window: Window, fill: Any) -> Array:
    """Pixels of each window, a view of shape (samples, rows, columns, kernel height, kernel width, channels)."""
    (down, across), (high, wide), apart = window.stride, window.reach, window.dilation
    views = sliding_window_view(padded(images, window, fill), (high, wide), axis=(1, 2))
    return views[:, ::down, ::across, :, :: apart[0], :: apart[1]].transpose(0, 1, 2, 4, 5, 3)
