"""The data of a program: its instructions are executed in program order, most of them in one loop of compiled code.

What an instruction does is defined by `accelsim.sim.machine.Core`. `accelsim.kernels.execute` does the same to the same
bytes, and leaves to it what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accelsim.config import datapaths
from accelsim.config.arch import Machine
from accelsim.datapath.requantize import MODES
from accelsim.datapath.tensor_core import GROUP, KEPT
from accelsim.datapath.vector.elements import BITS
from accelsim.errors import Fault, ProgramError
from accelsim.formats.nm import index_bits
from accelsim.isa import opcodes
from accelsim.isa.accesses import stationary_memory
from accelsim.isa.opcodes import OPCODES, Memory
from accelsim.isa.program import Program
from accelsim.isa.verify import name_of
from accelsim.kernels import execute, lanes, products, requantize
from accelsim.sim.machine import Core
from accelsim.sim.timing import Timing

Int64 = NDArray[np.int64]
Progress = Callable[[int, int], None]

#: Instructions between two calls of the progress function.
STRIDE = 1 << 16

#: Rounding schemes that the loop knows; it leaves the others to `Core`.
SCHEMES = {
    "tflite_single_round": requantize.ONCE_UP,
    "tflite_double_round": requantize.TWICE_AWAY,
    "cmsis_nn_double_round": requantize.TWICE_AWAY,
    "tflite214_builtin_fully_connected": requantize.TWICE_UP,
    "litert_ref_fully_connected": requantize.ONCE_AWAY,
    "xnnpack_qs8_fp32_rne": requantize.FLOAT,
    "onnxruntime_qlinearmatmul_s8": requantize.FLOAT,
    "onnxruntime_qlinearmul": requantize.FLOAT_SUM,
}


def move_all(
    core: Core, program: Program, file: str = "", progress: Progress | None = None, *, vnni: bool = lanes.VNNI
) -> dict[int, Timing]:
    """Execute all instructions of a verified program in program order.

    Parameters
    ----------
    core
        Its memories and its effectual products become what `Core.move` makes of them, or `Core.execute` where what an
        instruction takes depends on data. Only the latter are charged to its counters. A core without values gets none.
    file
        Name of the program's file for the text of faults, if it has one.
    progress
        Called now and then with the number of instructions that were executed, and of all.
    vnni
        Whether products use AVX512-VNNI, which the processor must have.

    Returns
    -------
    What the instructions take whose work depends on data, by their numbers.

    Raises
    ------
    ProgramError
        If an instruction reads encoded weights or constants that no encoder writes.
    """
    timings: dict[int, Timing] = {}
    if not core.values and not core.needs_data(program):
        return timings
    loop = _Loop(core, program, vnni=vnni)
    count = len(program.instructions)
    done = 0
    pauses = iter([*(i + 1 for i in core.pauses), count + 1])
    pause = next(pauses)
    while done < count:
        until = min(done + STRIDE, pause, count)
        while done < until:
            done = loop.run(done, until)
            if done < until:
                _leave(core, program, done, file, timings)
                done += 1
        if done == pause:
            core.keep(done - 1)
            pause = next(pauses)
        if progress:
            progress(done, count)
    for layer, products_ in enumerate(loop.effectual.tolist()):
        core.effectual[layer] += products_
    return timings


def _leave(core: Core, program: Program, i: int, file: str, timings: dict[int, Timing]) -> None:
    """Execute an instruction by what defines it."""
    record = program.instructions[i]
    try:
        if core.depends_on_data(int(record["opcode"])):
            timings[i] = core.execute(record)
        else:
            core.move(record)
    except ProgramError as error:
        name = name_of(program, i)
        raise ProgramError(*(Fault(f"{name}: {fault.message}", file) for fault in error.faults)) from None


class _Loop:
    """The kernel's arrays."""

    def __init__(self, core: Core, program: Program, *, vnni: bool) -> None:
        code, machine = program.instructions, core.machine
        size = _Sizes(core.few(program), machine)
        self.code = execute.Stream(
            action=_actions(core),
            rounding=np.array([SCHEMES.get(mode, -1) for mode in MODES], np.int64),
            opcode=np.ascontiguousarray(code["opcode"]),
            layer=np.ascontiguousarray(code["layer"]),
            operands=code["operands"],
            descriptors=np.ascontiguousarray(program.descriptors),
            functions=np.ascontiguousarray(program.functions),
            bits=BITS,
        )
        arrays = core.memories.arrays
        self.memories = execute.Memories(
            dram=arrays[Memory.DRAM],
            activation=arrays[Memory.ACTIVATION],
            weight=arrays[Memory.WEIGHT],
            output=arrays[Memory.OUTPUT],
            results=arrays[Memory.OUTPUT][: arrays[Memory.OUTPUT].size // 2 * 2].view(np.uint16),
            accumulator=arrays[Memory.ACCUMULATOR],
            sums=arrays[Memory.ACCUMULATOR][: arrays[Memory.ACCUMULATOR].size // 4 * 4].view(np.int32),
            host=core.memories.host,
            image=program.image,
            unwritten=core.memories.unwritten,
        )
        self.matrix = execute.Matrix(
            state=_matrix_state(machine),
            registers=np.zeros(size.dense, np.uint8),
            turned=np.zeros(size.turned, np.uint8),
        )
        self.held = products.held(size.depth, size.columns, size.groups, vnni=vnni)
        self.channels = requantize.room(size.channels)
        self.effectual = np.zeros(len(program.header.layers), np.int64)

    def run(self, first: int, until: int) -> int:
        """Execute instructions; return the number of the first that was not, at most `until`."""
        if self.code.action[self.code.opcode[first]] == execute.LEAVE:
            return first
        return int(
            execute.run(first, until, self.code, self.memories, self.matrix, self.held, self.channels, self.effectual)
        )


class _Sizes:
    """Room that some instructions need, at most.

    Parameters
    ----------
    depth, columns, groups
        Inputs and columns that are held, and bytes of their groups.
    dense, turned
        Bytes of a fold or of dense weights, and of an operand whose rows and columns are exchanged.
    channels
        Channels and columns of a requantize.
    """

    def __init__(self, code: NDArray[np.void], machine: Machine) -> None:
        self.depth = self.columns = self.groups = self.dense = self.turned = self.channels = 0
        if machine.matrix.operands != "int8":
            return
        for number in (opcodes.PRELOAD, opcodes.MULTIPLY, opcodes.REQUANTIZE):
            operands = code["operands"][code["opcode"] == number]
            if not len(operands):
                continue
            column = dict(zip(OPCODES[number].operands._fields, operands.T, strict=False))
            match number:
                case opcodes.PRELOAD:
                    self._hold(column["depth"], column["columns"])
                    group = _group(machine)
                    self.dense = int((-(-column["depth"] // group) * group * column["columns"]).max())
                case opcodes.MULTIPLY:
                    depth = np.minimum(column["depth"], execute.STRETCH)
                    by_rows = isinstance(machine.matrix, datapaths.TensorCore)
                    self._hold(depth, column["columns" if by_rows else "rows"])
                    self.turned = int((depth * column["columns"]).max())
                    packed = -(-column["depth"] // GROUP) * GROUP * column["columns"]
                    self.dense = int(packed[column["packed"] == 1].max(initial=0))
                case _:
                    channels = np.where(column["row_channels"] == 1, column["rows"], column["columns"])
                    self.channels = int((channels + column["columns"]).max())

    def _hold(self, depth: Int64, columns: Int64) -> None:
        self.depth, self.columns = int(depth.max()), int(columns.max())
        self.groups = int(products.held_bytes(depth, columns).max())


def _group(machine: Machine) -> int:
    """Inputs that packed weights of the matrix unit come in; 1 if it takes none."""
    return machine.matrix.group if isinstance(machine.matrix, datapaths.StructuredSparse) else 1


def _actions(core: Core) -> NDArray[np.uint8]:
    """What the loop does for each opcode; uint8, shape (opcodes,)."""
    known = {
        opcodes.LOAD: execute.LOAD,
        opcodes.STORE: execute.STORE,
        opcodes.GATHER: execute.GATHER,
        opcodes.SCATTER: execute.SCATTER,
        opcodes.RECEIVE: execute.RECEIVE,
        opcodes.SEND: execute.LEAVE if core.memories.host_computes else execute.NOTHING,
        opcodes.MAP: execute.MAP,
        opcodes.REDUCE: execute.REDUCE,
        opcodes.MOVE: execute.MOVE,
    }
    matrix = core.machine.matrix
    if matrix.operands == "int8":
        known[opcodes.REQUANTIZE] = execute.REQUANTIZE
        match matrix:
            case datapaths.WeightStationary() | datapaths.InputStationary() | datapaths.StructuredSparse():
                known |= {opcodes.PRELOAD: execute.PRELOAD, opcodes.MATMUL: execute.MATMUL}
            case datapaths.OutputStationary() | datapaths.OuterProduct():
                known[opcodes.MULTIPLY] = execute.MULTIPLY_INPUTS
            case datapaths.TensorCore():
                known[opcodes.MULTIPLY] = execute.MULTIPLY_ROWS
    actions = np.full(len(OPCODES), execute.LEAVE, np.uint8)
    for opcode in range(len(OPCODES)):
        if not core.depends_on_data(opcode):
            actions[opcode] = known.get(opcode, execute.LEAVE) if core.values else execute.NOTHING
    return actions


def _matrix_state(machine: Machine) -> Int64:
    state = np.zeros(execute.STATE_WORDS, np.int64)
    state[execute.STATIONARY] = stationary_memory(machine.matrix)
    kept, group = (
        (machine.matrix.kept, machine.matrix.group)
        if isinstance(machine.matrix, datapaths.StructuredSparse)
        else (KEPT, GROUP)
    )
    state[execute.KEPT], state[execute.GROUP], state[execute.BITS] = kept, group, index_bits(group)
    return state
