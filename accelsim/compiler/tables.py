"""Tables of a program that its instructions name by number."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.image import Descriptors
from accelsim.isa import functions
from accelsim.isa.functions import Function


@dataclass(slots=True)
class Tables:
    """Windows, and functions of the vector unit, each once."""

    descriptors: Descriptors = field(default_factory=Descriptors)
    functions: dict[Function, int] = field(default_factory=dict)

    def function(self, wanted: Function) -> int:
        """Number of a function, a new one if it is not there yet."""
        return self.functions.setdefault(wanted, len(self.functions))

    @property
    def functions_table(self) -> NDArray[np.int64]:
        """The program's table of functions."""
        return functions.table(*self.functions)
