"""Inputs with outliers stay floats: the split of LLM.int8() (Dettmers et al., NeurIPS 2022, arXiv:2208.07339).

An input is an outlier if some activation of it reaches the threshold, 6.0 in the paper (section 3). There it is found
for each batch; here for the calibration data, once, so that the other inputs' weights are rounded beforehand. Outliers
are moved behind all others.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.rewrite import Rewrite, inputs_of, require_matrix, with_inputs_in_order
from accelsim.config.model import quantity
from accelsim.graph.element import WIDE
from accelsim.graph.graph import Node
from accelsim.graph.layer import Layer
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.slice import Slice
from accelsim.graph.rewrite import replaced, with_constant
from accelsim.graph.value import Value
from accelsim.workload.network import Network


class Outliers(Rewrite):
    """The recipe step."""

    scheme: Literal["outliers"] = quantity("name", "Name of the scheme")
    threshold: float = quantity(
        "real value", "Magnitude of an activation from which on its input is an outlier", default=6.0, gt=0
    )

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Move a layer's outliers behind its other inputs, and add their products, NAME.wide, onto its sums."""
        require_matrix(layer, self.scheme)
        outlier = np.abs(inputs_of(network, layer)).max(axis=0) >= self.threshold
        network = with_inputs_in_order(network, layer, np.argsort(outlier, kind="stable"))
        graph, layer = network.graph, layer.of(network.graph)
        few, all_, weight = int((~outlier).sum()), len(outlier), layer.weight
        if few == all_:
            return network
        name, given, (sums,) = layer.name, layer.head.inputs[0], layer.head.outputs
        if not few:
            return network.with_graph(with_constant(graph, weight.name, weight.numbers, element=WIDE))
        wide = Value(f"{name}.wide.weight", (all_ - few, weight.features), WIDE, weight.numbers[few:])
        narrow = Value(
            f"{name}.narrow.weight", (few, weight.features), weight.element, weight.numbers[:few], step=weight.step
        )
        nodes = (
            Node(f"{name}.narrow", Slice(-1, 0, few), (given,), (f"{name}.narrow.input",)),
            Node(f"{name}.outliers", Slice(-1, few, all_), (given,), (f"{name}.wide.input",)),
            Node(name, MatMul(), (f"{name}.narrow.input", narrow.name), (f"{name}.narrow.products",)),
            Node(f"{name}.wide", MatMul(), (f"{name}.wide.input", wide.name, f"{name}.narrow.products"), (sums,)),
        )
        return network.with_graph(replaced(graph, (layer.head,), nodes, wide, narrow))
