"""ONNX models as graphs: `load` reads a file, `table.OPERATORS` says what each of its operators becomes.

The flow is `file` (bytes, checked), `dimensions` (shapes of inputs), `scope` and `translation` (node by node, by the
rules of the families of operators), and a graph of `accelsim.graph`. Constants are folded on the way.
"""

from accelsim.workload.importers.onnx.load import load

__all__ = ["load"]
