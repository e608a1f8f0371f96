"""Networks that come quantized: what stands between Dequantize and Quantize, in integers."""

from accelsim.workload.importers.quantized.fuse import in_integers

__all__ = ["in_integers"]
