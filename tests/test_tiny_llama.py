"""The shipped language model: against plain numpy and transformers, its files, and a run bit for bit."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import accelsim
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

from accelsim import api
from accelsim.config import shipped
from accelsim.dse.simulation import workload_hash
from accelsim.errors import AccelSimError, ConfigError, WorkloadError
from accelsim.golden import real
from accelsim.golden.quality import negative_log_likelihoods
from accelsim.golden.task import Language
from accelsim.results import Measured, Quality
from accelsim.workload.importers import huggingface
from accelsim.workload.load import read_workload, with_fields
from accelsim.workload.source import Source, load_network

Float64 = NDArray[np.float64]

FOLDER = shipped.path_of("workload", "tiny-llama").parent
GOLDEN = Path(__file__).parent / "data" / "language" / "tiny_llama.npz"
SMALL = Source("tiny-llama", batch=1, shapes={"input_ids": (1, 8)})


def plain_logits(ids: NDArray[np.int64]) -> Float64:
    """Logits of texts, shape (texts, tokens, vocabulary), in plain numpy from the files alone."""
    config = json.loads((FOLDER / "config.json").read_text())
    weights = {name: w.astype(np.float64) for name, w in load_file(FOLDER / "model.safetensors").items()}
    heads, shared = config["num_attention_heads"], config["num_key_value_heads"]
    count = ids.shape[1]

    def norm(x: Float64, name: str) -> Float64:
        mean = np.square(x).mean(-1, keepdims=True)
        return x / np.sqrt(mean + config["rms_norm_eps"]) * weights[f"model.{name}.weight"]

    def linear(x: Float64, name: str) -> Float64:
        return x @ weights[f"model.{name}.weight"].T

    def split(x: Float64, parts: int) -> Float64:
        return x.reshape(*x.shape[:2], parts, -1).transpose(0, 2, 1, 3)

    half = config["head_dim"] // 2
    turns = np.exp(1j * np.outer(np.arange(count), config["rope_theta"] ** (-np.arange(half) / half)))

    def rotated(x: Float64) -> Float64:
        pairs = (x[..., :half] + 1j * x[..., half:]) * turns
        return np.concatenate((pairs.real, pairs.imag), -1)

    x = weights["model.embed_tokens.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        at, mlp = f"layers.{i}.self_attn", f"layers.{i}.mlp"
        h = norm(x, f"layers.{i}.input_layernorm")
        q, k, v = (split(linear(h, f"{at}.{name}_proj"), n) for name, n in (("q", heads), ("k", shared), ("v", shared)))
        k, v = (np.repeat(t, heads // shared, 1) for t in (rotated(k), v))
        scores = rotated(q) @ k.transpose(0, 1, 3, 2) / math.sqrt(config["head_dim"])
        scores += np.where(np.tri(count), 0, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True)) @ v
        x = x + linear(mixed.transpose(0, 2, 1, 3).reshape(x.shape), f"{at}.o_proj")
        h = norm(x, f"layers.{i}.post_attention_layernorm")
        gate = linear(h, f"{mlp}.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(h, f"{mlp}.up_proj"), f"{mlp}.down_proj")
    return norm(x, "norm") @ weights["model.embed_tokens.weight"].T


def measure(quality: Quality, name: str) -> Measured:
    (found,) = (measured for measured in (quality.task, *quality.measures) if measured and measured.name == name)
    return found


def test_files_are_as_large_as_they_may_be() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size < 2_000_000
    assert 45_000 <= (FOLDER / "text.txt").stat().st_size <= 50_000
    with safe_open(FOLDER / "model.safetensors", "numpy") as file:
        tensors = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118 - it is no mapping
    assert {tensor.get_dtype() for tensor in tensors} == {"F16"}
    assert sum(math.prod(tensor.get_shape()) for tensor in tensors) == 869_504


@pytest.mark.parametrize("name", ["text.txt", "calibration.txt"])
def test_texts_come_back_from_their_tokens(name: str) -> None:
    texts, text = huggingface.tokenizer(FOLDER), (FOLDER / name).read_text(encoding="utf-8")
    ids = texts.ids(text)
    assert texts.text(ids) == text
    assert 0 <= ids.min() <= ids.max() < 1024
    assert len(text) / len(ids) > 2.5  # pairs are merged
    odd = "naïve 模型 \t\n\n 3.14"
    assert texts.text(texts.ids(odd)) == odd


def test_test_and_calibration_texts_are_different_novels() -> None:
    network = load_network("tiny-llama")
    assert network.inputs[0].shape == (len(network.inputs[0]), 256)
    assert network.calibrated_on == "calibration.txt"
    assert isinstance(network.task, Language)
    assert not {*map(bytes, network.calibration[0])} & {*map(bytes, network.inputs[0])}
    assert set(network.sha256) == {"workload.yaml", "config.json", "model.safetensors", "text.txt", "calibration.txt"}


@pytest.mark.parametrize("samples", [4, pytest.param(71, marks=pytest.mark.slow)])
def test_perplexity_is_that_of_plain_numpy(samples: int) -> None:
    network = load_network("tiny-llama")
    (ids,) = network.inputs
    assert len(ids) == 71
    assert isinstance(network.task, Language)
    targets = network.task.targets
    parts = [slice(i, min(i + 8, samples)) for i in range(0, samples, 8)]
    nats = [negative_log_likelihoods(plain_logits(ids[part]), targets[part]) for part in parts]
    quality = api.evaluate(Source("tiny-llama", batch=samples)).summary.quality
    found = measure(quality, "perplexity").value
    assert found == pytest.approx(math.exp(np.concatenate(nats).mean()), abs=1e-4)
    assert found <= 27 or samples < len(ids)


def test_logits_are_those_of_transformers() -> None:
    network = load_network("tiny-llama").first(1)
    with np.load(GOLDEN) as golden:
        ids, nats, last = (golden[name] for name in ("ids", "nats", "last"))
    (given,) = network.inputs
    np.testing.assert_array_equal(given, ids)
    assert isinstance(network.task, Language)
    logits = real.evaluate(network.graph, network.inputs, ("logits",))["logits"]
    np.testing.assert_allclose(negative_log_likelihoods(logits, network.task.targets), nats, rtol=0, atol=1e-4)
    np.testing.assert_allclose(logits[0, -1], last, rtol=0, atol=1e-4)


def test_a_short_text_runs_bit_for_bit_with_its_host() -> None:
    result = api.run(SMALL, "edge-ws-fp16", "fp16")
    assert result.summary.bit_exact
    assert result.summary.quality
    found = measure(result.summary.quality, "perplexity")
    assert found.value == pytest.approx(found.reference, rel=0.01)
    assert measure(result.summary.quality, "KL divergence").value < 1e-3
    assert result.summary.provenance["calibration"] == "calibration.txt"


def test_lengths_are_asked_for_by_shape_field_or_data(tmp_path: Path) -> None:
    assert load_network(SMALL).inputs[0].shape == (1, 8)
    assert load_network(Source("tiny-llama", fields={"length": 64})).inputs[0].shape[1] == 64
    np.savez(tmp_path / "ids.npz", input_ids=np.arange(30).reshape(2, 15))
    assert load_network(Source("tiny-llama", data=tmp_path / "ids.npz")).inputs[0].shape == (2, 15)
    (tmp_path / "other.txt").write_text("It was a truth universally acknowledged. " * 50)
    other = load_network(replace(SMALL, data=tmp_path / "other.txt"))
    assert other.sha256.keys() >= {"other.txt"}
    with pytest.raises(WorkloadError, match=r"config\.json: texts must have 1 to 256 tokens, not 257"):
        load_network(replace(SMALL, shapes={"input_ids": (1, 257)}))
    with pytest.raises(AccelSimError, match="--shape must be absent for a workload file"):
        load_network(Source("digits-mlp", shapes={"input_ids": (1, 8)}))


def test_commands_know_the_name() -> None:
    assert "tiny-llama" in accelsim("list", "workload").stdout
    assert "layer3.attention.softmax" in accelsim("graph", "tiny-llama").stdout


def described(folder: Path, **changes: str) -> Path:
    """A copy of the workload with other keys."""
    for file in FOLDER.iterdir():
        if file.suffix in {".json", ".safetensors", ".txt"}:
            (folder / file.name).write_bytes(file.read_bytes())
    lines = (FOLDER / "workload.yaml").read_text().splitlines()
    for key, value in changes.items():
        lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in lines]
    (folder / "workload.yaml").write_text("\n".join(lines) + "\n")
    return folder / "workload.yaml"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "../text.txt"}, r"workload\.yaml:8:\d+: text: must be a file inside the workload's folder"),
        ({"calibration": "none.txt"}, r"none\.txt: must be .*"),
        ({"length": "0"}, r"workload\.yaml:7:\d+: length: must be greater than 0, not 0"),
        ({"length": "100000"}, r"config\.json: texts must have 1 to 256 tokens, not 100000"),
        ({"model": "gguf"}, r"workload\.yaml:6:\d+: model: must be huggingface, not 'gguf'"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, WorkloadError), match=message):
        load_network(str(described(tmp_path, **changes)))


def test_a_workloads_hash_is_of_all_its_files(tmp_path: Path) -> None:
    workload = read_workload(str(described(tmp_path)))
    before = workload_hash(workload)
    assert workload_hash(with_fields(workload, {"length": 64})) != before
    for name in ("config.json", "model.safetensors", "tokenizer.json", "text.txt", "calibration.txt"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content + b" ")
        assert workload_hash(workload) != before
        (tmp_path / name).write_bytes(content)
    assert workload_hash(workload) == before
