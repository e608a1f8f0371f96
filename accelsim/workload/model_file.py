"""Workload files of language models: a text, and the Hugging Face directory that they lie in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from accelsim.config.load import Document
from accelsim.config.model import NAME, Frozen, quantity
from accelsim.errors import WorkloadError
from accelsim.workload.data import calibrated, read_text, with_data
from accelsim.workload.importers import huggingface
from accelsim.workload.network import Network
from accelsim.workload.tensor_files import TensorFiles


class ModelSpec(Frozen):
    """A language model whose configuration, weights and tokenizer other tools read too."""

    kind: Literal["workload"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the network", pattern=NAME)
    description: str = quantity("text", "What the network does")
    source: str = quantity("text", "Where weights and texts come from")
    model: Literal["huggingface"] = quantity(
        "name", "What the folder is: a directory of Hugging Face's, with config.json, safetensors and tokenizer.json"
    )
    length: int = quantity("tokens", "Tokens of an input", gt=0)
    text: str = quantity(
        "path", "Text, inside the folder, whose tokens, cut into inputs one behind the other, are the test data"
    )
    calibration: str = quantity("path", "Text, inside the folder, of the training split, that fixes ranges")

    def files(self, folder: Path) -> list[str]:
        """Files that it is read from; the directory's own ones are all of its kinds."""
        own = sorted(path.name for kind in ("*.json", "*.safetensors") for path in folder.glob(kind))
        return [*own, self.text, self.calibration]


def read_model(path: Path, document: Document, spec: ModelSpec, sha256: str) -> Network:
    """Read a model and its texts.

    Parameters
    ----------
    path
        Of the workload file.
    sha256
        Its hash.

    Raises
    ------
    WorkloadError
        With the faults that were found, each with its place.
    AccelSimError
        If the extra `text` is not installed.
    """
    files = TensorFiles(document, path.parent)
    text, calibration = files.path(("text",), spec.text), files.path(("calibration",), spec.calibration)
    if text is None or calibration is None:
        raise WorkloadError(*files.faults)
    imported = huggingface.load(path.parent, length=spec.length)
    graph = replace(imported.graph, name=spec.name)
    hashes = {path.name: sha256, **imported.sha256}
    network = Network(graph, (), None, (), hashes, calibrated_on="", orders=imported.orders)
    texts = huggingface.tokenizer(path.parent)
    network = with_data(network, read_text(text, graph, texts), spec.text)
    return calibrated(network, read_text(calibration, graph, texts), spec.calibration)
