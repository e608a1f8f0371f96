"""Shapes of a model's inputs: those of the file, and for axes that it leaves open what the user says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.errors import unknown_name
from accelsim.graph.value import Shape
from accelsim.workload.importers.onnx.dtypes import DTYPES, DType, name_of
from accelsim.workload.importers.onnx.faults import RefusedError, UnknownTypeError, short
from accelsim.workload.importers.onnx.file import MAX_RANK, count_of, shown

if TYPE_CHECKING:
    from onnx import ValueInfoProto


@dataclass(frozen=True, slots=True)
class Given:
    """An input of a model."""

    shape: Shape
    dtype: DType


def dimensions(
    inputs: Mapping[str, ValueInfoProto], batch: int | None, shapes: Mapping[str, Shape]
) -> dict[str, Given | UnknownTypeError]:
    """Shape and type of each input, or why it has none that is known here.

    Parameters
    ----------
    batch
        Size of first axes that the file leaves open.
    shapes
        Whole shapes, by inputs' names.

    Raises
    ------
    RefusedError
        If an axis stays open, or is said to be another than it is; the sentence names the input.
    """
    for name in shapes:
        if name not in inputs:
            raise RefusedError(f"--shape {unknown_name('input', name, inputs)}")
    found: dict[str, Given | UnknownTypeError] = {}
    for name, info in inputs.items():
        try:
            found[name] = _given(name, info, batch, shapes.get(name))
        except UnknownTypeError as error:
            found[name] = error
    return found


def _given(name: str, info: ValueInfoProto, batch: int | None, wanted: Shape | None) -> Given:
    about = f"input {short(name)}"
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        raise UnknownTypeError(
            f"{about} must be a tensor, not a {(kind or 'value without a type').removesuffix('_type')}"
        )
    tensor = info.type.tensor_type
    if tensor.elem_type not in DTYPES:
        raise UnknownTypeError(f"{about} must have a known type, not {name_of(tensor.elem_type)}")
    dtype = DTYPES[tensor.elem_type]
    if not tensor.HasField("shape"):
        if wanted is None:
            raise RefusedError(f"{about} has no shape: say --shape {short(name)}=1,3,224,224, with its own sizes")
        return Given(_checked(about, wanted), dtype)
    if len(tensor.shape.dim) > MAX_RANK:
        raise RefusedError(f"{about} must have at most {MAX_RANK} axes, not {len(tensor.shape.dim)}")
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if wanted is not None:
        fits = len(wanted) == len(dims) and all(d in {None, w} for d, w in zip(dims, wanted, strict=True))
        if not fits:
            open_ = ",".join("any" if size is None else str(size) for size in dims)
            raise RefusedError(f"{about} must have shape {open_}, not {shown(wanted)}")
        return Given(_checked(about, wanted), dtype)
    if batch is not None and dims and dims[0] is None:
        dims[0] = batch
    if None in dims:
        axis = dims.index(None)
        raise _open(name, axis, tensor.shape.dim[axis].dim_param, dims)
    return Given(_checked(about, tuple(size or 0 for size in dims)), dtype)


def _open(name: str, axis: int, called: str, dims: Sequence[int | None]) -> RefusedError:
    """The fault of an axis without a size, and the options that give it one."""
    option = f"--shape {short(name)}=" + ",".join("N" if size is None else str(size) for size in dims)
    first = "--batch N or " if axis == 0 and dims.count(None) == 1 else ""
    about = f"axis {axis}" + (f" ({short(called)})" if called else "")
    return RefusedError(f"input {short(name)}: {about} has no size: say {first}{option}")


def _checked(about: str, shape: Shape) -> Shape:
    try:
        count_of(shape)
    except RefusedError as error:
        raise RefusedError(f"{about} {error}") from None
    return shape
