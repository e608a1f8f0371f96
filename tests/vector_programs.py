"""Hand-assembled programs for the vector unit: tiles in, waits by the compiler's pass, tiles out."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from hand_programs import header
from harness import network
from numpy.typing import NDArray

from accelsim.compiler.lowering import Lowering
from accelsim.compiler.synchronize import synchronize
from accelsim.config.arch import Machine
from accelsim.isa.assembly import parse, print_descriptor, print_function
from accelsim.isa.descriptors import Descriptor
from accelsim.isa.functions import Function, Operation
from accelsim.isa.program import Program
from accelsim.results import Execution

RESULTS, DRAM_BYTES = 2**20, 2**21
#: Two layers, so that the tested instruction's events stand apart from those of what surrounds it.
LAYERS = ("data", "tested")
#: Instructions that write any memory.
RESULTS_ANYWHERE = ("normalize", "softmax", "gelu", "dequantize", "transform")


class Draft:
    """A program as it is written, line by line."""

    def __init__(self) -> None:
        self.image = bytearray()
        self.lines: list[str] = []
        self.stored = RESULTS
        self.windows: list[Descriptor] = []
        self.functions: list[Function] = []

    def emit(self, mnemonic: str, layer: int = 0, **operands: Any) -> int:
        """Append an instruction; returns its number. Results that name no memory stand in the output scratchpad."""
        if "result" in operands and mnemonic in RESULTS_ANYWHERE:
            operands = {"result_memory": "output", **operands}
        words = " ".join(f"{name}={value}" for name, value in operands.items())
        self.lines.append(f"{mnemonic} layer={layer} {words}")
        return len(self.lines) - 1

    def window(self, descriptor: Descriptor) -> int:
        """Take a descriptor into the program's table; returns its number."""
        if descriptor not in self.windows:
            self.windows.append(descriptor)
        return self.windows.index(descriptor)

    def function(self, function: Function) -> int:
        """Take a function into the program's table; returns its number."""
        if function not in self.functions:
            self.functions.append(function)
        return self.functions.index(function)

    def load(self, values: NDArray[Any] | bytes, memory: str, address: int, stride: int = 0) -> None:
        """Bring rows of elements, of the width that they have, into a scratchpad."""
        array = np.frombuffer(values, np.uint8)[None] if isinstance(values, bytes) else np.ascontiguousarray(values)
        rows, row_bytes = len(array), array.view(np.uint8).shape[1]
        self.emit(
            "load", dram=len(self.image), dram_stride=row_bytes, rows=rows, row_bytes=row_bytes, memory=memory,
            address=address, stride=stride,
        )  # fmt: skip
        self.image += array.tobytes()

    def sums(self, values: NDArray[np.int32], address: int, stride: int) -> None:
        """Put int32 values into the accumulator."""
        rows, row_bytes = values.view(np.uint8).shape
        self.load(values, "activation", 90_000, stride)
        copy = self.function(Function(Operation.COPY))
        self.emit(
            "move", function=copy, memory="activation", address=90_000, stride=stride,
            result_memory="accumulator", result=address, result_stride=stride, rows=rows, columns=row_bytes,
        )  # fmt: skip

    def store(self, address: int, stride: int, rows: int, row_bytes: int) -> int:
        """Bring rows of the output scratchpad to DRAM; returns where they then stand."""
        where = self.stored
        self.emit(
            "store", dram=where, dram_stride=row_bytes, rows=rows, row_bytes=row_bytes, memory="output",
            address=address, stride=stride,
        )  # fmt: skip
        self.stored += rows * row_bytes
        return where

    def program(self, machine: Machine, *, waits: bool = True) -> Program:
        """Assemble, and let the compiler's pass find the waits."""
        image = np.frombuffer(bytes(self.image), np.uint8).copy()
        text = [
            f".header {header(DRAM_BYTES, LAYERS).model_dump_json()}",
            f".image {image.size}",
            f".bytes {base64.b64encode(self.image).decode()}",
            *map(print_descriptor, self.windows),
            *map(print_function, self.functions),
        ]
        program = parse("\n".join([*text, *self.lines]))
        if not waits:
            return program
        graph = network(np.random.default_rng(0), [1, 1]).graph(1)
        lowering = Lowering(
            graph, (np.zeros((1, 1), np.uint8),), "none", image=image, image_bytes=image.size,
            instructions=program.instructions.copy(), tables=program.tables,
        )  # fmt: skip
        return Program(
            program.header, synchronize(lowering, machine).instructions, image, program.descriptors, program.functions
        )


def read(execution: Execution, where: int, rows: int, columns: int, dtype: Any) -> NDArray[Any]:
    """Elements that a store left in DRAM."""
    size = rows * columns * np.dtype(dtype).itemsize
    return execution.dram[where : where + size].view(dtype).reshape(rows, columns)
