"""Windows that slide over images: kernels of convolutions and of pools."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.ops.op import UnfitError, require_rank
from accelsim.graph.value import Shape, Value


@dataclass(frozen=True, slots=True)
class Window:
    """Where a window of pixels lies for each pixel that is formed; pairs are (down, across).

    Parameters
    ----------
    kernel
        Height and width in pixels.
    stride
        Pixels from a place to the next.
    padding
        Pixels above, left, below and right of the image.
    dilation
        Pixels from one of the kernel's rows, or columns, to the next.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def reach(self) -> tuple[int, int]:
        """Height and width that the kernel spans (pixels)."""
        height, width = ((size - 1) * apart + 1 for size, apart in zip(self.kernel, self.dilation, strict=True))
        return height, width

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an image with its padding."""
        top, left, bottom, right = self.padding
        return height + top + bottom, width + left + right

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that are formed: places at which the window lies wholly in the padded image."""
        (rows, columns), (high, wide) = self.padded(height, width), self.reach
        return (rows - high) // self.stride[0] + 1, (columns - wide) // self.stride[1] + 1

    def formed(self, image: Value, channels: int) -> Shape:
        """Shape of what is formed of a batch of images.

        Raises
        ------
        UnfitError
            If the value is no batch of images, or the window is larger than they are with their padding.
        """
        require_rank(image, 4)
        samples, height, width, _ = image.shape
        rows, columns = self.output(height, width)
        if rows < 1 or columns < 1:
            raise UnfitError(
                f"the window must fit {image.name}, which is {height} x {width} pixels with padding {self.padding}, "
                f"not reach {self.reach[0]} x {self.reach[1]}"
            )
        return (samples, rows, columns, channels)

    def __str__(self) -> str:
        parts = [f"{self.kernel[0]}x{self.kernel[1]}"]
        if self.stride != (1, 1):
            parts.append(f"stride {self.stride[0]}x{self.stride[1]}")
        if any(self.padding):
            parts.append(f"padding {','.join(map(str, self.padding))}")
        if self.dilation != (1, 1):
            parts.append(f"dilation {self.dilation[0]}x{self.dilation[1]}")
        return " ".join(parts)
