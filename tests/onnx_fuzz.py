"""Mutated models: `python tests/onnx_fuzz.py FIRST COUNT` imports as many, each made from its number alone.

A model is imported, or refused with one line; whatever else happens ends the process with a traceback behind the number
of the model.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_models
from google.protobuf.message import DecodeError

from accelsim.errors import WorkloadError
from accelsim.workload.importers.onnx import load

#: Bytes of the address space of a process, and seconds that one model may take.
MAX_BYTES = 6 * 2**30
MAX_SECONDS = 20
_NUMBERS = (0, 1, -1, 2, 3, 7, 255, 2**16, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**63), 2**63 - 1)
_TYPES = ("Conv", "Gemm", "MatMul", "Reshape", "Concat", "Slice", "Pad", "Resize", "Expand", "Tile", "Range", "Gather",
          "ConstantOfShape", "Add", "Softmax", "Attention", "If", "Cast", "TopK", "Nothing", "")  # fmt: skip


def mutated(number: int) -> bytes:
    """Bytes of a model."""
    rng = random.Random(number)  # noqa: S311 - nothing secret
    content = rng.choice(onnx_models.ALL)().SerializeToString()
    for _ in range(rng.randint(1, 4)):
        content = rng.choice((_bytes, _message, _message))(rng, content)
    return content


def _bytes(rng: random.Random, content: bytes) -> bytes:
    """Some bytes changed, left out, put in twice, or cut off."""
    changed = bytearray(content)
    at = rng.randrange(len(changed) + 1)
    match rng.randrange(5):
        case 0 if changed:
            changed[at % len(changed)] ^= 1 << rng.randrange(8)
        case 1:
            changed[at : at + 1] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF))])
        case 2:
            del changed[at : at + rng.randint(1, 16)]
        case 3:
            changed[at:at] = changed[at : at + rng.randint(1, 64)]
        case _:
            del changed[at:]
    return bytes(changed)


def _message(rng: random.Random, content: bytes) -> bytes:
    """A field of a model changed to what it may hold, but must not mean."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        return content
    try:
        changes = _changes(rng, model)
        if changes:
            rng.choice(changes)()
    except UnicodeDecodeError:  # a name that bytes were changed in
        return content
    return model.SerializeToString()


def _changes(rng: random.Random, model: onnx.ModelProto) -> list[Callable[[], object]]:
    """Changes of a model."""
    changes: list[Callable[[], object]] = []
    for node in model.graph.node:
        changes += _of_node(rng, model, node)
    for tensor in model.graph.initializer:
        changes += [
            lambda t=tensor: t.dims.append(rng.choice(_NUMBERS)),
            lambda t=tensor: setattr(t, "data_type", rng.randrange(30)),
            lambda t=tensor: setattr(t, "name", rng.choice(model.graph.node).name or "x"),
            lambda t=tensor: setattr(t, "data_location", 1),
        ]
        if tensor.dims:
            changes.append(lambda t=tensor: t.dims.__setitem__(rng.randrange(len(t.dims)), rng.choice(_NUMBERS)))
    for value in (*model.graph.input, *model.graph.output):
        shape = value.type.tensor_type.shape
        changes += [lambda s=shape: setattr(s.dim.add(), "dim_value", rng.choice(_NUMBERS))]
        if shape.dim:
            changes.append(lambda s=shape: setattr(rng.choice(s.dim), "dim_value", rng.choice(_NUMBERS)))
            changes.append(lambda s=shape: setattr(rng.choice(s.dim), "dim_param", "n"))
        changes.append(lambda v=value: setattr(v.type.tensor_type, "elem_type", rng.randrange(30)))
    changes.append(
        lambda: setattr(model.opset_import[0], "version", rng.choice(_NUMBERS)) if model.opset_import else None
    )
    return changes


def _of_node(rng: random.Random, model: onnx.ModelProto, node: onnx.NodeProto) -> list[Callable[[], object]]:
    """Changes of a node."""
    names = [name for other in model.graph.node for name in (*other.input, *other.output)] or ["x"]
    changes: list[Callable[[], object]] = [
        lambda: setattr(node, "op_type", rng.choice(_TYPES)),
        lambda: node.input.append(rng.choice(names)),
        lambda: node.output.append(rng.choice(names)),
    ]
    if node.input:
        changes.append(lambda: node.input.__setitem__(rng.randrange(len(node.input)), rng.choice(names)))
        changes.append(node.input.pop)
    for attribute in node.attribute:
        changes.append(lambda a=attribute: setattr(a, "i", rng.choice(_NUMBERS)))
        changes.append(lambda a=attribute: setattr(a, "type", rng.randrange(12)))
        changes.append(lambda a=attribute: a.ints.append(rng.choice(_NUMBERS)))
        if attribute.ints:
            changes.append(lambda a=attribute: a.ints.__setitem__(rng.randrange(len(a.ints)), rng.choice(_NUMBERS)))
    return changes


def main(first: int, count: int) -> None:
    """Import models in bounded memory."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for number in range(first, first + count):
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            path.write_bytes(mutated(number))
            begun = time.monotonic()
            try:
                load(path, batch=2)
            except WorkloadError as error:
                assert len(str(error).splitlines()) == 1, str(error)
            assert time.monotonic() - begun < MAX_SECONDS


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
