"""PyTorch's checkpoints: tensors alone, so that a network must be known by their names."""

from accelsim.workload.importers.torch.load import load

__all__ = ["load"]
