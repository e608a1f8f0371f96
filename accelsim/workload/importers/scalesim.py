"""SCALE-Sim's topology files as workloads, read as SCALE-Sim 3.0.0 reads them (scalesim/topology_utils.py).

A file is a header and a line each layer, with columns told by their place:

- convolutions: Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides, and
  perhaps a second stride, across; then perhaps N:M;
- matrix products: Layer, M, N, K, and perhaps N:M. M are rows of activations, K is summed.

IFMAP sizes include their padding. An output has ceil((H - R + S) / S) rows for H rows of input, R of filter and stride
S: the last window may hang over the edge, and the input is written as that much larger here, so that all windows lie in
it. A convolution whose name holds "DP" is depthwise: it is as many layers as it has channels, each of one channel and
all filters, called NAMEChannel_0 and so on. N:M counts where the configuration says SparsitySupport: true. Then
SCALE-Sim takes the first N of every M inputs of all filters alike, so the layer is the product of those that are left.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from accelsim.config.model import NAME
from accelsim.errors import WorkloadError
from accelsim.files import hash_of
from accelsim.units import align_up, ceil_div
from accelsim.workload.importers.text import MAX_FILE_BYTES, Faults, read_text, shown, yaml_string
from accelsim.workload.layer import MAX_LAYERS, MAX_ROWS, MAX_SIDE, Shape

CONV = (
    "Layer name",
    "IFMAP Height",
    "IFMAP Width",
    "Filter Height",
    "Filter Width",
    "Channels",
    "Num Filter",
    "Strides",
)
GEMM = ("Layer", "M", "N", "K")


class Layer(NamedTuple):
    """One layer of a workload file.

    Parameters
    ----------
    fields
        Its fields but the name, as a YAML mapping holds them.
    line, remark
        Where it stands in the topology, and what is to be known of its sizes.
    """

    name: str
    fields: str
    shape: Shape
    line: int
    remark: str


class Topology(NamedTuple):
    """What a topology file holds.

    Parameters
    ----------
    notes
        What of the file counts for nothing here.
    """

    file: str
    sha256: str
    layers: list[Layer]
    notes: list[str]


class _Cell(NamedTuple):
    text: str
    column: int


class _Line(NamedTuple):
    number: int
    cells: list[_Cell]

    def cell(self, index: int) -> _Cell:
        """A cell, or an empty one behind the line's last."""
        return self.cells[index] if index < len(self.cells) else _Cell("", 1)


def read_topology(path: Path, *, sparse: bool) -> Topology:
    """Read a topology file of either kind.

    Parameters
    ----------
    sparse
        Whether N:M counts.

    Raises
    ------
    WorkloadError
        With every fault of the file.
    """
    text = read_text(path)
    faults = Faults(str(path))
    lines = [line for line in _lines(text, faults) if any(cell.text for cell in line.cells)]
    faults.check()
    if not lines:
        raise WorkloadError(f"{path}: must hold a header and layers, not nothing")
    header, rows = lines[0], lines[1:]
    reader = (_Gemms if _is_gemm(header) else _Convolutions)(header, faults, sparse=sparse)
    faults.check()
    if not rows:
        faults.add("must be followed by at least one layer", header.number, 1)
    layers: list[Layer] = []
    for row in rows:
        layers += reader.layers(row, MAX_LAYERS - len(layers))
    faults.check()
    digest = hash_of(path, MAX_FILE_BYTES, WorkloadError)
    return Topology(path.name, digest, _unique(layers), reader.notes)


def _lines(text: str, faults: Faults) -> Iterator[_Line]:
    """Cells of each line, stripped; a quotation mark is no more than a character."""
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            found = next(csv.reader([line], quoting=csv.QUOTE_NONE), [])
        except csv.Error as error:
            faults.add(f"must be a line of values and commas: {error}", number, 1)
            continue
        cells, column = [], 1
        for cell in found:
            cells.append(_Cell(cell.strip(), column + len(cell) - len(cell.lstrip())))
            column += len(cell) + 1
        yield _Line(number, cells)


def _is_gemm(header: _Line) -> bool:
    return [cell.text.upper() for cell in header.cells[1:4]] == list(GEMM[1:])


class _Columns:
    """Columns of a kind of topology that all rows have, and those that may follow them."""

    def __init__(self, names: tuple[str, ...], header: _Line, faults: Faults, *, sparse: bool) -> None:
        self.names = names
        self.faults = faults
        self.sparse = sparse
        self.header = [cell.text for cell in header.cells]
        known = ("sparsity", "stride", "#")
        strange = [name for name in self.header[len(names) :] if name and not name.lower().startswith(known)]
        self.notes = [f"columns that SCALE-Sim does not read are left out: {', '.join(strange)}"] if strange else []

    def number(self, row: _Line, index: int) -> int:
        """Positive integer in one of the columns that all rows have."""
        cell = row.cell(index)
        return self.faults.integer(cell.text, 1, MAX_SIDE, row.number, cell.column, self.names[index])

    def name(self, row: _Line) -> str:
        """Name of a row's layer."""
        cell = row.cell(0)
        if not re.fullmatch(NAME, cell.text) or not cell.text.isprintable():
            message = f"must be a name without control characters, not {shown(cell.text)}"
            self.faults.add(message, row.number, cell.column, self.names[0])
        return cell.text

    def whole(self, row: _Line) -> bool:
        """Whether a row has all columns; a fault if not."""
        if len(row.cells) < len(self.names):
            columns = f"{len(self.names)} columns ({', '.join(self.names)})"
            self.faults.add(f"must have {columns}, not {len(row.cells)}", row.number, 1)
            return False
        return True

    def extras(self, row: _Line, *, strides: bool) -> tuple[_Cell | None, _Cell | None]:
        """Second stride and N:M of a row, where it has them."""
        stride = sparsity = None
        for index in range(len(self.names), len(row.cells)):
            cell = row.cells[index]
            title = self.header[index].lower() if index < len(self.header) else ""
            if not cell.text or cell.text.startswith("#") or (title and not title.startswith(("sparsity", "stride"))):
                continue
            if strides and index == len(self.names) and not title.startswith("sparsity") and ":" not in cell.text:
                stride = cell
            elif ":" in cell.text and not title.startswith("stride"):
                sparsity = cell
            else:
                wanted = "empty, or N:M" if not strides else "empty, a second stride, or N:M"
                self.faults.add(f"must be {wanted}, not {shown(cell.text)}", row.number, cell.column)
        return stride, sparsity

    def kept(self, row: _Line, cell: _Cell | None, inputs: int) -> int:
        """Inputs that SCALE-Sim multiplies of all of a layer's: the first N of every M."""
        if cell is None:
            return inputs
        parts = [part.strip() for part in cell.text.split(":")]
        place = (row.number, cell.column, "Sparsity")
        if len(parts) != 2:
            self.faults.add(f"must be N:M, not {shown(cell.text)}", *place)
            return inputs
        group = self.faults.integer(parts[1], 1, MAX_SIDE, *place)
        kept = self.faults.integer(parts[0], 1, group, *place)
        return inputs // group * kept + min(kept, inputs % group) if self.sparse else inputs

    def product(self, row: _Line, shape: Shape) -> bool:
        """Whether a product is small enough; a fault if not."""
        for what, size, most in (("rows (M)", shape.m, MAX_ROWS), ("inputs (K)", shape.k, MAX_SIDE)):
            if size > most:
                self.faults.add(f"must be a product of at most {most} {what}, not {size}", row.number, 1)
                return False
        return True


class _Gemms(_Columns):
    """Rows of matrix products."""

    def __init__(self, header: _Line, faults: Faults, *, sparse: bool) -> None:
        super().__init__(GEMM, header, faults, sparse=sparse)

    def layers(self, row: _Line, most: int) -> list[Layer]:
        """The layer of a row."""
        if not self.whole(row):
            return []
        if most < 1:
            self.faults.add(f"must be one of at most {MAX_LAYERS} layers", row.number, 1)
            return []
        name, (m, n, k) = self.name(row), (self.number(row, index) for index in (1, 2, 3))
        _, sparsity = self.extras(row, strides=False)
        kept = self.kept(row, sparsity, k)
        remark = f"the first {_pattern(sparsity)} of K = {k} inputs" if kept < k else ""
        return [_gemm(name, Shape(m, kept, n), row.number, remark)]


class _Convolutions(_Columns):
    """Rows of convolutions."""

    def __init__(self, header: _Line, faults: Faults, *, sparse: bool) -> None:
        super().__init__(CONV, header, faults, sparse=sparse)
        if len(header.cells) < len(CONV) or not header.cell(1).text.lower().startswith("ifmap"):
            given = ", ".join(cell.text for cell in header.cells)
            faults.add(
                f"must be the header {', '.join(CONV)} of convolutions or {', '.join(GEMM)} of matrix products, "
                f"not {shown(given)}",
                header.number,
                1,
            )

    def layers(self, row: _Line, most: int) -> list[Layer]:
        """The layer of a row, or those of a depthwise convolution's channels."""
        if not self.whole(row):
            return []
        name, channels, filters = self.name(row), self.number(row, 5), self.number(row, 6)
        stride, sparsity = self.extras(row, strides=True)
        axes = [self.axis(row, "down", 1, 3, row.cell(7)), self.axis(row, "across", 2, 4, stride or row.cell(7))]
        copies = channels if "DP" in name else 1
        if copies > most:
            self.faults.add(f"must be among at most {MAX_LAYERS} layers, a channel each if depthwise", row.number, 1)
            return []
        read = channels // copies
        (high, wide), (down, across) = ([axis.kernel for axis in axes], [axis.stride for axis in axes])
        shape = Shape(axes[0].places * axes[1].places, read * high * wide, filters)
        if not self.product(row, shape):
            return []
        kept = self.kept(row, sparsity, shape.k)
        remark = "; ".join(self.remarks(axes, copies, kept, shape.k, sparsity))
        fields = (
            f"kind: conv, height: {axes[0].covered}, width: {axes[1].covered}, channels: {read}, filters: {filters}, "
            f"kernel: {_pair(high, wide)}, stride: {_pair(down, across)}"
        )
        layer = Layer(name, fields, shape, row.number, remark)
        if kept < shape.k:
            layer = _gemm(name, shape._replace(k=kept), row.number, remark)
        return [layer] if copies == 1 else [layer._replace(name=f"{name}Channel_{i}") for i in range(copies)]

    def axis(self, row: _Line, direction: str, size: int, kernel: int, stride: _Cell) -> _Axis:
        """Height or width of a row's convolution, from the columns of its sizes and the cell of its stride."""
        key = f"{self.names[7]}, {direction}"
        step = self.faults.integer(stride.text, 1, MAX_SIDE, row.number, stride.column, key)
        axis = _Axis(self.number(row, size), self.number(row, kernel), step)
        if axis.kernel > axis.size:
            message = f"must be at most {self.names[size]} ({axis.size}), not {axis.kernel}"
            self.faults.add(message, row.number, row.cell(kernel).column, self.names[kernel])
        elif axis.covered > MAX_SIDE:
            message = f"must have windows that end within {MAX_SIDE} pixels, not at {axis.covered}"
            self.faults.add(message, row.number, row.cell(size).column, self.names[size])
        return axis

    @staticmethod
    def remarks(axes: list[_Axis], copies: int, kept: int, inputs: int, sparsity: _Cell | None) -> Iterator[str]:
        """What is to be known of a layer's sizes."""
        rows, columns = axes
        yield f"{rows.places} x {columns.places} outputs"
        if (rows.covered, columns.covered) != (rows.size, columns.size):
            yield (
                f"IFMAP {rows.size} x {columns.size}, and {rows.covered} x {columns.covered} "
                "with what the last windows hang over"
            )
        if copies > 1:
            yield f"depthwise: a layer each of {copies} channels"
        if kept < inputs:
            yield f"the first {_pattern(sparsity)} of K = {inputs} inputs"


class _Axis(NamedTuple):
    """Height or width of a convolution's input and filter, and its stride."""

    size: int
    kernel: int
    stride: int

    @property
    def places(self) -> int:
        """Places of the filter: SCALE-Sim rounds up."""
        return ceil_div(self.size - self.kernel, self.stride) + 1

    @property
    def covered(self) -> int:
        """Pixels that the filter covers from its first to its last place."""
        return align_up(self.size - self.kernel, self.stride) + self.kernel


def _pair(down: int, across: int) -> str:
    return str(down) if down == across else f"[{down}, {across}]"


def _gemm(name: str, shape: Shape, line: int, remark: str) -> Layer:
    return Layer(name, f"kind: gemm, m: {shape.m}, k: {shape.k}, n: {shape.n}", shape, line, remark)


def _pattern(sparsity: _Cell | None) -> str:
    return " of every ".join(part.strip() for part in (sparsity.text if sparsity else "").split(":"))


def _unique(layers: list[Layer]) -> list[Layer]:
    """Layers by names of their own: the second of a name is called NAME (2)."""
    taken: set[str] = set()
    times: dict[str, int] = {}
    result = []
    for layer in layers:
        name = layer.name
        while name in taken:
            times[layer.name] = times.get(layer.name, 1) + 1
            name = f"{layer.name} ({times[layer.name]})"
        taken.add(name)
        result.append(layer._replace(name=name))
    return result


def workload_text(topology: Topology) -> str:
    """Workload file of a topology: independent layers of drawn weights and inputs."""
    name = Path(topology.file).stem or "topology"
    lines = [
        "kind: workload",
        f"name: {yaml_string(name)}",
        f"description: {yaml_string(f'{len(topology.layers)} layers of the SCALE-Sim topology {topology.file}')}",
        f"source: {yaml_string(f'{topology.file}, SHA-256 {topology.sha256}')}",
        "independent: true  # SCALE-Sim runs each layer by itself",
        "synthetic:",
        "  seed: 0  # assumption: a topology has no weights",
        "  batch: 1  # SCALE-Sim runs one sample",
        "layers:",
    ]
    line = 0
    for layer in topology.layers:
        if layer.line != line and layer.remark:
            lines.append(f"  # line {layer.line}: {layer.remark}")
        line = layer.line
        lines.append(f"  - {{name: {yaml_string(layer.name)}, {layer.fields}}}")
    return "\n".join(lines) + "\n"
