"""The same numbers in another place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Copy(Op):
    """Numbers as they are, copied because what is read of them must stand beside others."""

    elementwise: ClassVar[bool] = True
    homogeneous: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Nothing is computed."""
        return Work()
