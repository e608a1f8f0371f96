"""Mean of the tokens of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work, count, require_rank
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class TokenMean(Op):
    """Mean over the tokens of x, (samples, tokens, features); the second value, if given, has their ids.

    Parameters
    ----------
    pad
        Id of a token that does not count; None if all do, and then there are no ids. Of no token the mean is 0.
    """

    pad: int | None = None

    arity: ClassVar[tuple[int, int]] = (1, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """A row a sample."""
        x = given[0]
        require_rank(x, 3)
        if (self.pad is None) != (len(given) == 1):
            raise UnfitError("there must be ids of the tokens where one is padding, and only there")
        if self.pad is not None and given[1].shape != x.shape[:2]:
            raise UnfitError(f"{given[1].name} must be ids of shape {x.shape[:2]}, not {given[1].shape}")
        return (Type((x.shape[0], x.shape[2]), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A sum for each number."""
        return Work(vector=count(given[0].shape))
