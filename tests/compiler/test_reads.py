"""How windows of images are addressed in a tile of whole lines."""

from __future__ import annotations

import numpy as np
import pytest
from harness import machine
from numpy.lib.stride_tricks import sliding_window_view

from accelsim.compiler.image import Image
from accelsim.compiler.reads import ImageReads
from accelsim.graph.ops.window import Window


@pytest.mark.parametrize("count", [7, 8192, 20_000])  # numpy 2.4.6 unravels a column's first 8192 rows alone
def test_an_input_lies_where_its_pixel_and_channel_do(count: int) -> None:
    window = Window((3, 2), dilation=(2, 3), padding=(1, 2, 0, 1))
    image = Image(2, 9, 8, 5, window, 0)
    reads = ImageReads(image, machine())
    height, width = window.padded(9, 8)
    tile = np.arange(height * width * 5).reshape(height, width, 5)  # bytes of int8, pixel by pixel
    first = sliding_window_view(tile, (5, 4), axis=(0, 1))[0, 0].transpose(1, 2, 0)[::2, ::3].ravel()
    inputs = np.random.default_rng(0).integers(0, 3 * 2 * 5, (count, 1))
    np.testing.assert_array_equal(reads.place(inputs), first[inputs])
