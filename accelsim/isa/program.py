"""The program: instructions, DRAM image, and what is needed to read its results."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from accelsim.config.load import wording
from accelsim.config.model import NAME, Frozen, quantity
from accelsim.config.operands import OPERANDS, OperandType, PlainType
from accelsim.errors import Fault, ProgramError, reason
from accelsim.files import require_regular, write_whole
from accelsim.formats.operands import unpack_rows
from accelsim.isa import descriptors, functions
from accelsim.isa.computations import Computation
from accelsim.isa.opcodes import INSTRUCTION
from accelsim.isa.tables import Tables
from accelsim.memory.region import Region, view

FORMAT: Literal["accelsim-program-3"] = "accelsim-program-3"
METADATA = "accelsim"
MAX_FILE_BYTES = 2**36
MAX_SIDE = 2**31 - 1

ScalarT = TypeVar("ScalarT", bound=np.generic)


#: What a layer reads where that is an input of the network, and not another layer's output.
INPUT = "input"


#: What computes a layer.
UnitName = Literal["matrix", "vector", "host"]


class LayerInfo(Frozen):
    """What a layer is and how the compiler cut it; layer numbers in instructions index this list."""

    name: str = quantity("name", "Name of the layer", pattern=NAME)
    nodes: list[str] = quantity("names", "Nodes of the network's graph that it computes, in order", default=[])
    reads: list[str] = quantity(
        "names", "Layers whose outputs it reads, in order; `input` for inputs of the network", default=[]
    )
    m: int = quantity("rows", "Rows of activations (batch)", ge=1, le=MAX_SIDE)
    k: int = quantity("features", "Inputs", ge=1, le=MAX_SIDE)
    n: int = quantity("features", "Outputs", ge=1, le=MAX_SIDE)
    dense_k: int | None = quantity(
        "features", "Inputs before compaction; null if it was not compacted", ge=1, le=MAX_SIDE, default=None
    )
    dense_n: int | None = quantity(
        "features", "Outputs before compaction; null if it was not compacted", ge=1, le=MAX_SIDE, default=None
    )
    m_tile: int = quantity("rows", "Rows of a tile", ge=1, le=MAX_SIDE)
    k_tile: int = quantity("features", "Inputs of a weight tile", ge=1, le=MAX_SIDE)
    n_tile: int = quantity("features", "Outputs of a tile", ge=1, le=MAX_SIDE)
    loops: str = quantity("text", "Order of the loops over tiles, outermost first")
    slots: dict[str, int] = quantity("count", "Tiles that each on-chip memory holds at once")
    weights: int = quantity("count", "Weights of the layer before compaction", ge=0, le=MAX_SIDE**2)
    macs: int | None = quantity(
        "count", "Products that the layer needs, before compaction; null for m k n", default=None, ge=0, le=2**62
    )
    stored_bits: int = quantity("bits", "What stands in memory for the weights, scales included", ge=0, le=2**62)
    output: str = quantity("name", "Value that it forms, which one region holds, or several some rows each")
    unit: UnitName = quantity("name", "What computes it: matrix unit, vector unit or host", default="matrix")

    @property
    def dense_shape(self) -> tuple[int, int, int]:
        """M, K and N before compaction."""
        return self.m, self.dense_k or self.k, self.dense_n or self.n

    @property
    def dense_macs(self) -> int:
        """Products that the layer needs before compaction."""
        return math.prod(self.dense_shape) if self.macs is None else self.macs


class RegionInfo(Frozen):
    """A matrix of samples by features in DRAM; rows of operands, each from a whole byte on."""

    name: str = quantity("name", "Name of the region", pattern=NAME)
    role: Literal["input", "output"] = quantity(
        "name", "Whether the network reads it first, as it does inputs and states, or writes it"
    )
    address: int = quantity("bytes", "First byte", ge=0, le=2**48)
    rows: int = quantity("samples", "Samples", ge=1, le=MAX_SIDE)
    columns: int = quantity("features", "Features", ge=1, le=MAX_SIDE)
    operand: OperandType = quantity("name", "Type of the elements; int8 stands for int8 and uint8", default="int8")
    plain: PlainType | None = quantity(
        "name", "numpy's name of numbers that stand for themselves, as indices do; null for operands", default=None
    )
    feature_major: bool = quantity(
        "flag", "Whether the samples of a feature lie side by side, and not the features of a sample", default=False
    )
    signed: bool = quantity("flag", "Whether integers are signed")
    scale: float = quantity("real value of a step", "Scale of the integers", gt=0)
    zero_point: int = quantity("integer", "Integer that stands for zero")
    features: list[int] | None = quantity(
        "numbers", "Which features of the full tensor these are; null for all of them", default=None
    )
    pitch: int | None = quantity(
        "bytes", "From row to row, where more than the region's own bytes lie between; null if none do", default=None,
        ge=1, le=2**31,
    )  # fmt: skip
    value: str | None = quantity(
        "name", "Value of the network that these are rows of; null if it is the region's own", default=None
    )
    first_row: int = quantity("number", "Row of that value that is the first one here", default=0, ge=0, le=MAX_SIDE)

    @model_validator(mode="after")
    def _every_column_is_a_feature(self) -> RegionInfo:
        _, elements = self._rows
        row_bytes = self._row_bytes(elements)
        if self.pitch is not None and self.pitch < row_bytes:
            raise ValueError(f"pitch must be at least {row_bytes}, the bytes of a row, not {self.pitch}")
        if self.features is not None and len(self.features) != self.columns:
            raise ValueError(f"features must be {self.columns} numbers, one a column, not {len(self.features)}")
        if any(a >= b for a, b in pairwise(self.features or ())) or min(self.features or (0,)) < 0:
            raise ValueError("features must be numbers from 0 on, in ascending order")
        return self

    @property
    def bytes(self) -> int:
        """Bytes from the region's first to its last."""
        rows, elements = self._rows
        row_bytes = self._row_bytes(elements)
        return (rows - 1) * (self.pitch or row_bytes) + row_bytes

    @property
    def _rows(self) -> tuple[int, int]:
        """Rows in memory, and elements of a row."""
        return (self.columns, self.rows) if self.feature_major else (self.rows, self.columns)

    def of_full(self, tensor: NDArray[ScalarT]) -> NDArray[ScalarT]:
        """What of a full tensor, shape (..., features), the region holds; shape (rows, columns)."""
        rows = tensor.reshape(-1, tensor.shape[-1])[self.first_row : self.first_row + self.rows]
        return rows if self.features is None else rows[:, self.features]

    @property
    def of(self) -> str:
        """Name of the value of the network whose rows these are."""
        return self.value or self.name

    def read(self, dram: NDArray[np.uint8]) -> NDArray[np.generic]:
        """Integers, or float32 values, that stand in DRAM; shape (samples, features)."""
        rows, elements = self._rows
        row_bytes = self._row_bytes(elements)
        data = view(dram, Region(self.address, self.pitch or row_bytes, rows, row_bytes))
        values = self._unpacked(data, elements)
        return values.T if self.feature_major else values

    def _row_bytes(self, elements: int) -> int:
        """Bytes of a row."""
        return np.dtype(self.plain).itemsize * elements if self.plain else OPERANDS[self.operand].row_bytes(elements)

    def _unpacked(self, data: NDArray[np.uint8], elements: int) -> NDArray[np.generic]:
        """Numbers that rows of bytes hold."""
        if self.plain:
            return np.ascontiguousarray(data).view(np.dtype(self.plain).newbyteorder("<"))
        return unpack_rows(data, elements, self.operand, signed=self.signed)


class KeptInfo(RegionInfo):
    """A matrix that stays in the scratchpad of activations; its rows are pixels of images that have lines.

    Its bytes are those numbers from the instruction after which it is whole to the one that writes there next.
    """

    whole_after: int = quantity("number", "Instruction after which all of it is written", ge=0)
    width: int = quantity("pixels", "Rows of a line", ge=1, le=MAX_SIDE)
    line_bytes: int = quantity("bytes", "From line to line", ge=1, le=2**31)
    height: int = quantity("lines", "Lines of an image", ge=1, le=MAX_SIDE)
    image_bytes: int = quantity("bytes", "From image to image", ge=1, le=2**31)

    @property
    def _places(self) -> NDArray[np.int64]:
        """Address of each row; shape (rows,)."""
        line, pixel = np.divmod(np.arange(self.rows), self.width)
        image, line = np.divmod(line, self.height)
        pitch = self.pitch or self._row_bytes(self.columns)
        places: NDArray[np.int64] = self.address + image * self.image_bytes + line * self.line_bytes + pixel * pitch
        return places

    @property
    def bytes(self) -> int:
        """Bytes from the first to the last."""
        return int(self._places[-1]) - self.address + self._row_bytes(self.columns)

    def read(self, memory: NDArray[np.uint8]) -> NDArray[np.generic]:
        """Numbers that stand in the scratchpad; shape (samples, features)."""
        data = memory[self._places[:, None] + np.arange(self._row_bytes(self.columns))]
        return self._unpacked(data, self.columns)


class StateInfo(Frozen):
    """Two values that regions hold, of one type: what is written as one, the next step reads as the other."""

    read: str = quantity("name", "Value that is read", pattern=NAME)
    written: str = quantity("name", "Value that is written, in a place of its own", pattern=NAME)


class Header(Frozen):
    """Everything of a program but its instructions and its image."""

    workload: str = quantity("name", "Network that was compiled", pattern=NAME)
    recipe: str = quantity("name", "Recipe that compressed it", pattern=NAME)
    arch: str = quantity("name", "Name of the machine that it was compiled for", pattern=NAME)
    arch_sha256: str = quantity("hexadecimal digits", "Hash of that machine's description")
    dram_bytes: int = quantity("bytes", "DRAM that the program uses, the image first", ge=0, le=2**48)
    layers: list[LayerInfo] = quantity("layers", "The layers, in order", min_length=1)
    regions: list[RegionInfo] = quantity("regions", "Inputs and outputs")
    compulsory_bytes: int | None = quantity(
        "bytes", "Each constant as stored, each input, output and state, once; null if that is not known", default=None,
        ge=0,
    )  # fmt: skip
    residency: bool = quantity("flag", "Whether values may stay on chip between layers", default=True)
    least: Literal["time", "energy"] = quantity("name", "What the plan looked for first", default="time")
    kept: list[KeptInfo] = quantity("regions", "Values that stay on chip", default=[])
    states: list[StateInfo] = quantity("states", "Values that live on from step to step", default=[])
    computations: list[Computation] = quantity("computations", "What the host computes, by number", default=[])
    timing_only: bool = quantity(
        "flag", "Whether bytes have no values, so that the program says only how long it takes", default=False
    )
    image_bytes: int = quantity(
        "bytes", "First bytes of DRAM that a timing-only program, whose image is empty, takes to be there", ge=0,
        le=2**48, default=0,
    )  # fmt: skip

    @model_validator(mode="after")
    def _names_differ(self) -> Header:
        regions = [x.name for x in (*self.regions, *self.kept)]
        for what, names in (("layers", [x.name for x in self.layers]), ("regions", regions)):
            for name, times in Counter(names).most_common(1):
                if times > 1:
                    raise ValueError(f"{what} must have different names, not {name!r} twice")
        return self

    @model_validator(mode="after")
    def _image_or_its_size(self) -> Header:
        if self.image_bytes and not self.timing_only:
            raise ValueError(f"image_bytes must be 0 unless timing_only is true, not {self.image_bytes}")
        return self

    def region(self, name: str) -> RegionInfo:
        """Region of a name, in DRAM or on chip.

        Raises
        ------
        KeyError
            If there is none.
        """
        for region in (*self.regions, *self.kept):
            if region.name == name:
                return region
        raise KeyError(name)

    def regions_of(self, value: str) -> list[RegionInfo]:
        """Regions that hold rows of a value of the network, in the order of their first rows."""
        found = (region for region in (*self.regions, *self.kept) if region.of == value)
        return sorted(found, key=lambda region: region.first_row)


class Envelope(Frozen):
    """What a program file says of itself beside its tensors."""

    format: Literal["accelsim-program-3"] = quantity("name", "Format of the file")
    sha256: str = quantity("hexadecimal digits", "Hash of header, tables and image")
    header: Header


@dataclass(frozen=True, slots=True)
class Program:
    """What the compiler makes and the simulator runs.

    Parameters
    ----------
    instructions
        Records of `INSTRUCTION`, shape (n,), in program order.
    image
        uint8, shape (bytes,): the first bytes of DRAM at the start; the rest, up to header.dram_bytes, is undefined.
        Empty if the program is timing-only.
    descriptors
        Windows of gather and scatter, as `isa.descriptors` lays them out; int64, shape (descriptors, FIELDS).
    functions
        What map, reduce and move do, as `isa.functions` lays them out; int64, shape (functions, FIELDS).
    """

    header: Header
    instructions: NDArray[np.void]
    image: NDArray[np.uint8]
    descriptors: NDArray[np.int64] = field(default_factory=descriptors.table)
    functions: NDArray[np.int64] = field(default_factory=functions.table)

    def __post_init__(self) -> None:
        for array in (self.instructions, self.image, self.descriptors, self.functions):
            array.flags.writeable = False

    @property
    def image_bytes(self) -> int:
        """First bytes of DRAM that are defined at the start."""
        return self.header.image_bytes if self.header.timing_only else self.image.size

    @property
    def tables(self) -> Tables:
        """What instructions name by number."""
        return Tables(self.descriptors, self.functions, tuple(self.header.computations))

    @property
    def digest(self) -> str:
        """SHA-256 of header, tables and image, as 64 hexadecimal digits."""
        digest = hashlib.sha256(self.header.model_dump_json().encode())
        for array in (self.instructions, self.descriptors, self.functions, self.image):
            digest.update(f"{len(array)} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write a safetensors file; the file appears whole or not at all.

        Raises
        ------
        AccelSimError
            If the file can't be written.
        """
        envelope = Envelope(format=FORMAT, sha256=self.digest, header=self.header)
        # one entry of metadata: safetensors writes several in any order
        metadata = {METADATA: envelope.model_dump_json()}
        write_whole(path, save(self._tensors(), metadata))

    def _tensors(self) -> dict[str, NDArray[np.generic]]:
        records = np.ascontiguousarray(self.instructions).view(np.uint8).reshape(-1, INSTRUCTION.itemsize)
        return {"instructions": records, **self._records(), "image": self.image}

    def _records(self) -> dict[str, NDArray[np.generic]]:
        """Tensors of the tables."""
        tables = zip(_TENSORS[1:3], (self.descriptors, self.functions), _SIZES[1:], strict=True)
        return {name: np.ascontiguousarray(array).view(np.uint8).reshape(-1, size) for name, array, size in tables}

    @classmethod
    def load(cls, path: Path) -> Program:
        """Read a program file; `verify` it before it runs.

        Raises
        ------
        ProgramError
            If the file is missing, not a program, damaged or changed.
        """
        (records, windows, named, image), text = _read(path)
        for name, array, size in zip(_TENSORS, (records, windows, named), _SIZES, strict=False):
            if array.ndim != 2 or array.shape[1] != size:
                raise ProgramError(Fault(f"{name} must be records of {size} bytes", str(path)))
        if image.ndim != 1:
            raise ProgramError(Fault("image must be a row of bytes", str(path)))
        try:
            envelope = Envelope.model_validate_json(text)
        except ValidationError as error:
            faults = (Fault(wording(e), str(path), key=".".join(map(str, e["loc"]))) for e in error.errors())
            raise ProgramError(*faults) from None
        tables = (array.reshape(-1).view("<i8").reshape(-1, array.shape[1] // WORD_BYTES) for array in (windows, named))
        program = cls(envelope.header, records.reshape(-1).view(INSTRUCTION), image, *tables)
        if program.digest != envelope.sha256:
            raise ProgramError(
                Fault(
                    f"sha256 must be {program.digest[:12]}..., the content's, not {envelope.sha256[:12]}...: "
                    "the file is damaged or was changed",
                    str(path),
                )
            )
        return program


#: Bytes of a word of the tables.
WORD_BYTES = 8
#: Tensors of a program file, and bytes of a record of each but the image.
_TENSORS = ("instructions", "descriptors", "functions", "image")
_SIZES = (INSTRUCTION.itemsize, WORD_BYTES * descriptors.FIELDS, WORD_BYTES * functions.FIELDS)


def _read(path: Path) -> tuple[tuple[NDArray[np.uint8], ...], str]:
    """Tensors and envelope of a program file, as far as safetensors can tell."""
    require_regular(path, MAX_FILE_BYTES, ProgramError)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if METADATA not in metadata or set(file.keys()) != {*_TENSORS}:
                raise ProgramError(Fault(f"must be a program file of format {FORMAT}", str(path)))
            if {file.get_slice(name).get_dtype() for name in file.keys()} != {"U8"}:  # noqa: SIM118 - no mapping
                raise ProgramError(Fault(f"{', '.join(_TENSORS)} must be bytes (U8)", str(path)))
            return tuple(file.get_tensor(name) for name in _TENSORS), metadata[METADATA]
    except ProgramError:
        raise
    except (OSError, ValueError) as error:
        raise ProgramError(Fault(f"must be a readable file: {reason(error)}", str(path))) from None
    except SafetensorError as error:
        raise ProgramError(Fault(f"must be a whole safetensors file: {error}", str(path))) from None
