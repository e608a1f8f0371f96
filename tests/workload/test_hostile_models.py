"""Mutated files of language models: they load, or one line says what is wrong, in bounded time and memory."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import gguf_files
import numpy as np
import pytest
import tokenizers
from harness import mutations
from language_models import bert, gpt2, llama

from accelsim.errors import WorkloadError
from accelsim.workload.importers import gguf, huggingface

MUTATIONS = mutations(2000)
#: Bytes that a file of some kilobytes may make a loader take, and seconds.
MOST_BYTES, MOST_SECONDS = 2**30, 5.0
EXTREMES = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1]


def mutated(data: bytes, rng: np.random.Generator, head: int) -> bytes:
    """A file with one to four changes, most of them in its first bytes."""
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, len(found) if rng.random() < 0.2 else min(head, len(found))))
        match int(rng.integers(0, 7)):
            case 0:
                found[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                found[at] = int(rng.integers(0, 256))
            case 2:  # a number of 4 or 8 bytes
                width = int(rng.choice([4, 8]))
                value = EXTREMES[int(rng.integers(0, len(EXTREMES)))] % 2 ** (8 * width)
                found[at : at + width] = value.to_bytes(width, "little")
            case 3:
                del found[at:]
            case 4:
                del found[at : at + int(rng.integers(1, 40))]
            case 5:
                found[at:at] = rng.bytes(int(rng.integers(1, 40)))
            case _:  # some bytes twice, so that names are there twice
                size = int(rng.integers(1, 80))
                found[at:at] = found[at : at + size]
        if not found:
            break
    return bytes(found)


def mutated_text(text: str, rng: np.random.Generator) -> str:
    """JSON with a value, a key or a few characters changed."""
    data = json.loads(text)
    if isinstance(data, list) or rng.random() < 0.4:
        return mutated(text.encode(), rng, len(text)).decode("utf-8", "surrogateescape")
    key = str(rng.choice(sorted(data)))
    values = [None, True, -1, 0, 1, 3, 2**31, 2**70, 1e308, 0.5, "", "gelu", "x" * 200, [], [1], {}, {"type": "yarn"}]
    data[key] = values[int(rng.integers(0, len(values)))]
    if rng.random() < 0.2:
        data[f"{key}_more"] = 3
    if rng.random() < 0.2:
        del data[key]
    return json.dumps(data)


def describe(folders: list[Path]) -> None:
    """Add a tokenizer to all, and modules to the last."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    made.add_special_tokens(["<s>"])
    for folder in folders:
        made.save(str(folder / "tokenizer.json"))
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (folders[-1] / "modules.json").write_text(json.dumps(modules))
    (folders[-1] / "1_Pooling").mkdir()
    (folders[-1] / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')


def tried(load: Callable[[], object]) -> bool:
    """Whether a load succeeds; a fault must be a line, and neither may take long or much."""
    begin = time.perf_counter()
    try:
        load()
    except WorkloadError as error:
        assert error.exit_code == 2
        assert all("\n" not in str(fault) for fault in error.faults)
        return False
    finally:
        assert time.perf_counter() - begin < MOST_SECONDS
    return True


@pytest.fixture
def little_memory() -> object:
    """So much address space beside what is there that what a file declares does not go through."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.slow
@pytest.mark.usefixtures("little_memory")
def test_mutated_gguf_files(tmp_path: Path) -> None:
    path, rng = tmp_path / "model.gguf", np.random.default_rng(18)
    gguf_files.write(path, llama(layers=1, width=32, ffn=32, tokens=15), "Q4_0", texts=True)
    whole = path.read_bytes()
    good = 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(whole, rng, 3000))
        good += tried(lambda: gguf.load(path, length=8))
        tried(lambda: gguf.tokenizer(path))
    assert 0 < good < MUTATIONS


@pytest.mark.slow
@pytest.mark.usefixtures("little_memory")
def test_mutated_safetensors_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(19)
    folder = llama(layers=1, tokens=9).save(tmp_path)
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    good = 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(whole, rng, 1500))
        good += tried(lambda: huggingface.load(folder, length=8))
    assert 0 < good < MUTATIONS


@pytest.mark.slow
@pytest.mark.usefixtures("little_memory")
def test_mutated_descriptions(tmp_path: Path) -> None:
    rng = np.random.default_rng(20)
    models = {"llama": llama(layers=1), "gpt2": gpt2(layers=1), "bert": bert(layers=1)}
    folders = [model.save(tmp_path / name, a=model.tensors) for name, model in models.items()]
    names = ["config.json", "config.json", "config.json", "model.safetensors.index.json", "tokenizer.json"]
    describe(folders)
    good = 0
    for number in range(MUTATIONS):
        folder = folders[number % len(folders)]
        more = ["modules.json", "1_Pooling/config.json"] if folder.name == "bert" else []
        name = str(rng.choice([*names, *more]))
        text = (folder / name).read_text()
        (folder / name).write_bytes(mutated_text(text, rng).encode("utf-8", "surrogateescape"))
        good += tried(lambda folder=folder: huggingface.load(folder, length=8))
        tried(lambda folder=folder: huggingface.tokenizer(folder))
        (folder / name).write_text(text)
    assert 0 < good < MUTATIONS
