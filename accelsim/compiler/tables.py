"""Tables of a program that its instructions name by number."""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.compiler.image import Descriptors
from accelsim.isa import functions
from accelsim.isa.computations import Computation
from accelsim.isa.functions import Function
from accelsim.isa.tables import Tables


@dataclass(slots=True)
class TableBuilder:
    """Windows and functions of the vector unit, each once, and computations of the host."""

    descriptors: Descriptors = field(default_factory=Descriptors)
    functions: dict[Function, int] = field(default_factory=dict)
    computations: list[Computation] = field(default_factory=list)

    def function(self, wanted: Function) -> int:
        """Number of a function, a new one if it is not there yet."""
        return self.functions.setdefault(wanted, len(self.functions))

    def computation(self, wanted: Computation) -> int:
        """Number of a computation, which is a new one."""
        self.computations.append(wanted)
        return len(self.computations) - 1

    @property
    def tables(self) -> Tables:
        """The program's tables."""
        return Tables(self.descriptors.table, functions.table(*self.functions), tuple(self.computations))
