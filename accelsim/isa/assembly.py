"""Programs as text: parse(print_program(p)) == p.

One instruction a line, operands by name, then the semaphores it waits for and those it raises:

    matmul     layer=0 address=0 stride=64 rows=360 ... wait=s1>=1 signal=free:s3

A semaphore is written s3; `wait=s1>=2` waits until semaphore 1 has been raised twice, `signal=end:s4` raises semaphore
4 at the instruction's end. `integer_bits` and `table` of a preload or matmul, and `inner` and `outer_stride` of what
forms products, are 0 where they are left out, as most instructions have none of them. `;` begins a comment.

`.header` holds the program's header as JSON, with what the host computes, `.image` the size of the DRAM image and
`.bytes` its bytes in base64. A `.descriptor` is a window of gather and scatter, the first one number 0; its fields may
be left out but for counts, dram_strides and strides, which have a number for each of five dimensions, the outermost
first:

    .descriptor counts=1,1,1,9,9 dram_strides=0,0,0,448,64 strides=0,0,0,576,64 run_bytes=64

A `.function` is one of map, reduce, move and rows, with its operation and types by name; fields that are 0 may be left
out:

    .function operation=maximum source=int8 result=int8 window_rows=2 window_columns=2 row_step=2 column_step=2
"""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from accelsim.config.load import wording
from accelsim.errors import FAULTS, Fault, ProgramError, unknown_name
from accelsim.formats.storage import FORMATS
from accelsim.isa import descriptors, functions
from accelsim.isa.descriptors import DIMENSIONS, SCALARS, VECTORS, Descriptor
from accelsim.isa.functions import NAMES, Function
from accelsim.isa.opcodes import (
    INSTRUCTION,
    NONE,
    OPCODES,
    SEMAPHORES,
    WAITS,
    Map,
    Memory,
    Moment,
    Move,
    Rows,
    Softmax,
)
from accelsim.isa.program import Header, Program

BYTES_A_LINE = 57
MAX_IMAGE_BYTES = 2**34
#: Characters of a text at most, and of an integer: of a line of instructions about ten times as many bytes are kept.
MAX_TEXT_BYTES, MAX_DIGITS = 2**27, 32

#: Operands that are written as a memory's name.
_MEMORIES = {"memory", "other_memory", "result_memory"}
#: Operands that are 0 where they are left out.
_OF_FEW = (Map._field_defaults, Move._field_defaults, Rows._field_defaults, Softmax._field_defaults)
_OPTIONAL = {"integer_bits", "table", "inner", "outer_stride", *itertools.chain(*_OF_FEW)}
#: Operands that are left out where there is no such tile, no mask, or no wide elements.
_LEFT_OUT = {"other_memory", "other", "other_stride", "memory", "address", "stride", *Softmax._field_defaults}
#: Operand that is written as a storage format's name.
_FORMAT = "format"
_BY_MNEMONIC = {opcode.mnemonic: opcode for opcode in OPCODES}
_WAIT = re.compile(r"s(\d+)>=(\d+)")
_SIGNAL = re.compile(r"(start|free|end):s(\d+)")


def print_program(program: Program, *, image: bool = True) -> str:
    """Text of a well-formed program; without its image it is for reading only and can't be parsed back."""
    lines = [f".header {program.header.model_dump_json()}", f".image {program.image.size}"]
    if image:
        data = program.image.tobytes()
        lines += [
            f".bytes {base64.b64encode(data[i : i + BYTES_A_LINE]).decode()}" for i in range(0, len(data), BYTES_A_LINE)
        ]
    lines += [print_descriptor(Descriptor.read(record)) for record in program.descriptors]
    lines += [print_function(Function.read(record)) for record in program.functions]
    names = [layer.name for layer in program.header.layers]
    layer = -1
    for number, record in enumerate(program.instructions):
        if record["layer"] != layer:
            layer = int(record["layer"])
            lines.append(f"; layer {layer}: {names[layer]}, from instruction {number}")
        lines.append(print_instruction(record))
    return "\n".join(lines) + "\n"


def print_descriptor(descriptor: Descriptor) -> str:
    """One line of text for a window; fields that have their usual value are left out."""
    words = [".descriptor"]
    for name, value in zip(descriptor._fields, descriptor, strict=True):
        if name not in Descriptor._field_defaults or value != Descriptor._field_defaults[name]:
            words.append(f"{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}")
    return " ".join(words)


def print_function(function: Function) -> str:
    """One line of text for a function; fields that are 0 are left out, but for its operation and types."""
    words = [".function"]
    for name, value in zip(function._fields, function, strict=True):
        if name in NAMES and 0 <= value < len(NAMES[name]):
            words.append(f"{name}={NAMES[name](value).name.lower()}")
        elif value:
            words.append(f"{name}={value}")
    return " ".join(words)


def print_instruction(record: np.void) -> str:
    """One line of text for a record with a valid opcode."""
    opcode = OPCODES[record["opcode"]]
    words = [f"{opcode.mnemonic:<10} layer={record['layer']}"]
    usual = opcode.operands._field_defaults.keys() & _LEFT_OUT
    for operand, value in zip(opcode.fields, record["operands"], strict=False):
        if value == 0 and operand.name in usual:
            continue
        words.append(f"{operand.name}={_shown(operand.name, int(value))}")
    words += [
        f"wait=s{semaphore}>={value}"
        for semaphore, value in zip(record["wait"], record["value"], strict=True)
        if semaphore != NONE
    ]
    words += [
        f"signal={moment.name.lower()}:s{record['signal'][moment]}"
        for moment in Moment
        if record["signal"][moment] != NONE
    ]
    return " ".join(words)


def _shown(name: str, value: int) -> str:
    """Print an operand's value; a format that is none has only its number."""
    if name in _MEMORIES:
        return Memory(value).name.lower()
    if name == _FORMAT and value < len(FORMATS):
        return FORMATS[value]
    return str(value)


def parse(text: str, file: str = "") -> Program:
    """Assemble a program from its text; `verify` it before it runs.

    Raises
    ------
    ProgramError
        With one fault for each line that is not understood.
    """
    draft = _Draft()
    faults: list[Fault] = []
    for number, line in enumerate(io.StringIO(text), start=1):
        code = line.strip() if line.startswith(".header") else line.split(";", 1)[0].strip()
        if code:
            try:
                draft.add(code)
            except _WordError as error:
                message = str(error) if len(faults) < FAULTS else ""  # are counted
                faults.append(Fault(message, file, number, line.index(code) + 1 + error.offset))
    if draft.header is None:
        faults.append(Fault("must have a valid .header line", file))
    if len(draft.image) != draft.size:
        faults.append(Fault(f".image must have {draft.size} bytes in .bytes lines, not {len(draft.image)}", file))
    if faults or draft.header is None:
        raise ProgramError(*faults)
    instructions = np.array(draft.records, INSTRUCTION) if draft.records else np.zeros(0, INSTRUCTION)
    image = np.frombuffer(bytes(draft.image), np.uint8).copy()
    tables = descriptors.table(*draft.windows), functions.table(*draft.functions)
    return Program(draft.header, instructions, image, *tables)


class _WordError(Exception):
    """A word is not understood; `offset` is its place in the line."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(slots=True)
class _Draft:
    """What the lines so far have given."""

    header: Header | None = None
    size: int = 0
    image: bytearray = field(default_factory=bytearray)
    records: list[NDArray[np.void]] = field(default_factory=list)
    windows: list[Descriptor] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)

    def add(self, code: str) -> None:
        """Take one line without its comment."""
        directive, _, rest = code.partition(" ")
        if directive == ".header":
            try:
                self.header = Header.model_validate_json(rest)
            except ValidationError as error:
                detail = error.errors()[0]
                raise _WordError(f"{'.'.join(map(str, ('.header', *detail['loc'])))}: {wording(detail)}") from None
        elif directive == ".image":
            self.size = _integer(rest, 0, MAX_IMAGE_BYTES, "bytes of the image")
        elif directive == ".bytes":
            try:
                self.image += base64.b64decode(rest, validate=True)
            except ValueError:  # not ASCII, or not base64
                raise _WordError(".bytes must be base64") from None
        elif directive == ".descriptor":
            self.windows.append(_descriptor(code))
        elif directive == ".function":
            self.functions.append(_function(code))
        else:
            self.records.append(_instruction(code))


def _integer(text: str, low: int, high: int, what: str) -> int:
    try:
        value = int(text[: MAX_DIGITS + 1])
    except ValueError:
        raise _WordError(f"{what} must be an integer, not {text!r}") from None
    if len(text) > MAX_DIGITS:
        raise _WordError(f"{what} must have at most {MAX_DIGITS} digits, not {len(text)}")
    if not low <= value <= high:
        raise _WordError(f"{what} must be {low} to {high}, not {value}")
    return value


def _words(code: str) -> Iterator[tuple[int, str]]:
    return ((match.start(), match.group()) for match in re.finditer(r"\S+", code))


def _given(code: str, fields: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Offset, name and value of each field that a directive gives."""
    given: set[str] = set()
    words = _words(code)
    next(words)
    for offset, word in words:
        name, _, value = word.partition("=")
        if name not in fields:
            raise _WordError(unknown_name("field", name, fields), offset)
        if name in given:
            raise _WordError(f"{name} must be given once, not twice", offset)
        given.add(name)
        yield offset, name, value


def _descriptor(code: str) -> Descriptor:
    found: dict[str, tuple[int, ...] | int] = {}
    for offset, name, value in _given(code, Descriptor._fields):
        try:
            numbers = tuple(_integer(number, -(2**63), 2**63 - 1, name) for number in value.split(","))
        except _WordError as error:
            raise _WordError(str(error), offset) from None
        if len(numbers) != (DIMENSIONS if name in VECTORS else 1):
            needed = DIMENSIONS if name in VECTORS else 1
            raise _WordError(f"{name} must have {needed} numbers, not {len(numbers)}", offset)
        found[name] = numbers[0] if name in SCALARS else numbers
    missing = [name for name in Descriptor._fields if name not in found and name not in Descriptor._field_defaults]
    if missing:
        raise _WordError(f".descriptor must have the fields {', '.join(missing)}, which are missing")
    return Descriptor(**found)  # type: ignore[arg-type] # tuples of the vectors, numbers of the scalars


def _function(code: str) -> Function:
    found: dict[str, int] = {}
    for offset, name, value in _given(code, Function._fields):
        choices = [choice.name.lower() for choice in NAMES.get(name, ())]
        if choices and value.isidentifier():
            if value not in choices:
                raise _WordError(unknown_name(name, value, choices), offset)
            found[name] = choices.index(value)
            continue
        try:
            found[name] = _integer(value, -(2**63), 2**63 - 1, name)
        except _WordError as error:
            raise _WordError(str(error), offset) from None
    if "operation" not in found:
        raise _WordError(".function must have the field operation, which is missing")
    return Function(**found)


def _instruction(code: str) -> NDArray[np.void]:
    words = _words(code)
    _, mnemonic = next(words)
    if mnemonic not in _BY_MNEMONIC:
        raise _WordError(unknown_name("mnemonic", mnemonic, _BY_MNEMONIC))
    opcode = _BY_MNEMONIC[mnemonic]
    record = np.zeros((), INSTRUCTION)
    record["opcode"] = opcode.number
    record["signal"] = NONE
    record["wait"] = NONE
    fields = {operand.name: j for j, operand in enumerate(opcode.fields)}
    missing = dict.fromkeys(["layer", *fields])
    for offset, word in words:
        try:
            _word(record, fields, missing, word)
        except _WordError as error:
            raise _WordError(str(error), offset) from None
    optional = _OPTIONAL & opcode.operands._field_defaults.keys()
    missing = {name: None for name in missing if name not in optional}
    if missing:
        raise _WordError(f"{mnemonic} must have the operands {', '.join(missing)}, which are missing")
    return record


def _word(record: NDArray[np.void], fields: dict[str, int], missing: dict[str, None], word: str) -> None:
    name, _, value = word.partition("=")
    if name == "wait":
        _wait(record, value)
    elif name == "signal":
        _signal(record, value)
    elif name in missing:
        del missing[name]
        _operand(record, fields, name, value)
    elif name in {"layer", *fields}:
        raise _WordError(f"{name} must be given once, not twice")
    else:
        raise _WordError(unknown_name("operand", name, [*fields, "layer", "wait", "signal"]))


def _operand(record: NDArray[np.void], fields: dict[str, int], name: str, value: str) -> None:
    if name == "layer":
        record["layer"] = _integer(value, 0, 2**31 - 1, name)
    elif name in _MEMORIES:
        if value.upper() not in Memory.__members__:
            raise _WordError(unknown_name("memory", value, [m.name.lower() for m in Memory]))
        record["operands"][fields[name]] = Memory[value.upper()]
    elif name == _FORMAT and value.isidentifier():
        if value not in FORMATS:
            raise _WordError(unknown_name("format", value, FORMATS))
        record["operands"][fields[name]] = FORMATS.index(value)
    else:
        record["operands"][fields[name]] = _integer(value, -(2**63), 2**63 - 1, name)


def _wait(record: NDArray[np.void], value: str) -> None:
    found = _WAIT.fullmatch(value)
    if not found:
        raise _WordError(f"wait must look like s3>=5, not {value!r}")
    (empty,) = np.nonzero(record["wait"] == NONE)
    if not len(empty):
        raise _WordError(f"an instruction must have at most {WAITS} waits")
    record["wait"][empty[0]] = _integer(found[1], 0, SEMAPHORES - 1, "semaphore")
    record["value"][empty[0]] = _integer(found[2], 0, 2**31 - 1, "value")


def _signal(record: NDArray[np.void], value: str) -> None:
    found = _SIGNAL.fullmatch(value)
    if not found:
        raise _WordError(f"signal must look like end:s3, not {value!r}")
    record["signal"][Moment[found[1].upper()]] = _integer(found[2], 0, SEMAPHORES - 1, "semaphore")
