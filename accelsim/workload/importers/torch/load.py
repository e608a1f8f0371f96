"""A checkpoint of a known network as its graph."""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import Fault, WorkloadError
from accelsim.graph.ops.op import UnfitError
from accelsim.workload.importers.imported import Imported
from accelsim.workload.importers.limits import batch_of
from accelsim.workload.importers.torch import efficientnet_lite
from accelsim.workload.importers.torch.checkpoint import read_checkpoint

#: Networks that are known, in the order in which they are tried.
FAMILIES = {"EfficientNet-Lite": efficientnet_lite}


def load(path: Path, *, batch: int = 1) -> Imported:
    """Read a checkpoint.

    Returns
    -------
    Its graph; `orders` say that images of the file's network have their channels first.

    Raises
    ------
    WorkloadError
        If it is no checkpoint, or of no network that is known.
    """
    tensors, sha256 = read_checkpoint(path)
    family = next((family for family in FAMILIES.values() if family.knows(tensors)), None)
    if family is None:
        text = (
            f"must hold the tensors of a known network ({', '.join(FAMILIES)}): a checkpoint has no graph; "
            "torch.onnx.export writes an .onnx file of any"
        )
        raise WorkloadError(Fault(text, str(path)))
    try:
        graph = family.graph(path.stem, tensors, batch_of(batch))
    except KeyError as error:
        raise WorkloadError(Fault(f"must hold the tensor {error}", str(path))) from None
    except (UnfitError, ValueError, IndexError) as error:
        raise WorkloadError(Fault(f"must hold tensors that fit each other: {error}", str(path))) from None
    return Imported(graph, {path.name: sha256}, {"input": (0, 2, 3, 1)})
