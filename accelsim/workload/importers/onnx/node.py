"""A node of a model as rules read it: inputs that are there, attributes of their types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.workload.importers.onnx.dtypes import REALS
from accelsim.workload.importers.onnx.faults import RefusedError, short
from accelsim.workload.importers.onnx.file import Folder, numbers
from accelsim.workload.importers.onnx.tensor import Tensor

if TYPE_CHECKING:
    from onnx import AttributeProto

# `AttributeProto.AttributeType`
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 4, 6, 7, 8


@dataclass(frozen=True, slots=True, eq=False)
class OnnxNode:
    """A node.

    Parameters
    ----------
    name
        Unique in the graph: prefix of the names of what it becomes.
    operator
        Its type.
    version
        Of the operator set that its meaning is from.
    inputs
        None for those that are left out.
    outputs
        Names; empty for those that nobody asks for.
    folder
        Where tensors of attributes may lie.
    """

    name: str
    operator: str
    version: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, AttributeProto]
    folder: Folder

    def has(self, number: int) -> bool:
        """Whether an input is there."""
        return self.optional(number) is not None

    def optional(self, number: int) -> Tensor | None:
        """An input, or None if it is left out."""
        return self.inputs[number] if number < len(self.inputs) else None

    def given(self, number: int) -> Tensor:
        """An input that must be there."""
        tensor = self.optional(number)
        if tensor is None:
            raise RefusedError(f"must have an input {number}")
        return tensor

    def all_given(self) -> list[Tensor]:
        """All inputs, of which none may be left out."""
        return [self.given(i) for i in range(len(self.inputs))]

    def real(self, number: int) -> Tensor:
        """An input that must be floats of 32 bits or fewer."""
        tensor = self.given(number)
        if tensor.dtype not in REALS:
            raise RefusedError(f"input {number} must be float32, float16 or bfloat16, not {tensor.dtype}")
        return tensor

    def constant(self, number: int, what: str) -> NDArray[Any]:
        """Numbers of an input that must be known before the model runs."""
        tensor = self.given(number)
        if not tensor.known:
            raise RefusedError(f"its {what} must be constant, not computed from the model's inputs")
        return tensor.numbers

    def integers(self, number: int, what: str) -> list[int]:
        """Integers of an input that must be known."""
        found = self.constant(number, what)
        if found.dtype.kind not in "iu" or found.ndim > 1:
            raise RefusedError(f"its {what} must be a row of integers, not {found.dtype} of {found.ndim} axes")
        return [int(x) for x in found.reshape(-1)]

    def optional_integers(self, number: int, what: str) -> list[int] | None:
        """Integers of an input that must be known, or None if it is left out."""
        return self.integers(number, what) if self.has(number) else None

    def asks(self, number: int) -> bool:
        """Whether somebody may read an output."""
        return number < len(self.outputs) and bool(self.outputs[number])

    def one_output(self) -> None:
        """Refuse to be asked for more than the first output."""
        if any(self.outputs[1:]):
            raise RefusedError("must form its first output alone")

    def integer(self, name: str, usual: int) -> int:
        """An integer attribute."""
        found = self._attribute(name, _INT)
        return usual if found is None else int(found.i)

    def number(self, name: str, usual: float) -> float:
        """A number attribute."""
        found = self._attribute(name, _FLOAT)
        return usual if found is None else float(found.f)

    def text(self, name: str, usual: str) -> str:
        """A text attribute."""
        found = self._attribute(name, _STRING)
        return usual if found is None else found.s.decode("utf-8", "replace")

    def integer_row(self, name: str) -> list[int] | None:
        """Integers, or None if there is no such attribute."""
        found = self._attribute(name, _INTS)
        return None if found is None else [int(x) for x in found.ints]

    def number_row(self, name: str) -> NDArray[np.float32] | None:
        """Numbers, or None if there is no such attribute."""
        found = self._attribute(name, _FLOATS)
        return None if found is None else np.array(found.floats, np.float32)

    def tensor(self, name: str) -> NDArray[Any] | None:
        """Numbers of a tensor, or None if there is no such attribute."""
        found = self._attribute(name, _TENSOR)
        return None if found is None else numbers(found.t, self.folder)

    def require(self, **wanted: Sequence[int] | Sequence[str]) -> None:
        """Refuse attributes that have other values than these, the first of which is the usual one."""
        for name, values in wanted.items():
            usual = values[0]
            found = self.text(name, usual) if isinstance(usual, str) else self.integer(name, usual)
            if found not in values:
                raise RefusedError(f"{name} must be {' or '.join(map(str, values))}, not {short(str(found))}")

    def _attribute(self, name: str, kind: int) -> AttributeProto | None:
        found = self.attributes.get(name)
        if found is not None and found.type != kind:
            raise RefusedError(f"attribute {name} must be of its type")
        return found


def axis_of(number: int, rank: int) -> int:
    """An axis counted from the front.

    Raises
    ------
    RefusedError
        If there is none.
    """
    if not -rank <= number < rank:
        raise RefusedError(f"axis must be one of {rank}, not {number}")
    return number % rank


def axes_of(numbers: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, each once."""
    found = tuple(axis_of(number, rank) for number in numbers)
    if len(set(found)) != len(found):
        raise RefusedError(f"axes must be different, not {', '.join(map(str, numbers[:8]))}")
    return found
