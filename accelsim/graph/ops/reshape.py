"""The same numbers in another shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Reshape(Op):
    """Numbers in their order; of the shape, 0 stands for the axis of the input at its place, -1 for what is left."""

    shape: tuple[int, ...]

    moves: ClassVar[bool] = True

    def resolved(self, given: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the result for a shape of the input.

        Raises
        ------
        UnfitError
            If it holds another number of numbers.
        """
        sizes = [given[i] if size == 0 and i < len(given) else size for i, size in enumerate(self.shape)]
        if sizes.count(-1) == 1:
            known = -count(tuple(sizes))
            sizes[sizes.index(-1)] = count(given) // known if known else 0
        if count(tuple(sizes)) != count(given) or min(sizes, default=1) < 1:
            raise UnfitError(f"{count(given)} numbers must fit the shape {self.shape}")
        return tuple(sizes)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The other shape."""
        (x,) = given
        return (Type(self.resolved(x.shape), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()
