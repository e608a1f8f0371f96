"""Which dataflow a product takes on a machine."""

from __future__ import annotations

from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.dataflows.input_stationary import InputStationaryFlow
from accelsim.compiler.dataflows.mixed import MixedFlow
from accelsim.compiler.dataflows.outer_product import OuterProductFlow, OutputStationaryFlow
from accelsim.compiler.dataflows.sparse_lanes import SparseLanesFlow
from accelsim.compiler.dataflows.structured_sparse import StructuredSparseFlow
from accelsim.compiler.dataflows.tensor_core import TensorCoreFlow
from accelsim.compiler.dataflows.weight_stationary import WeightStationaryFlow
from accelsim.compiler.product import Product
from accelsim.config import datapaths
from accelsim.config.arch import Machine


def dataflow(product: Product, machine: Machine) -> Dataflow:  # noqa: PLR0911 - one a datapath
    """Dataflow of a product: that of the machine's datapath."""
    match machine.matrix:
        case datapaths.WeightStationary() as config if product.integers:
            return MixedFlow(product, machine, config, product.integers)
        case datapaths.WeightStationary() as config:
            return WeightStationaryFlow(product, machine, config)
        case datapaths.InputStationary() as config:
            return InputStationaryFlow(product, machine, config)
        case datapaths.OutputStationary() as config:
            return OutputStationaryFlow(product, machine, config)
        case datapaths.OuterProduct() as config:
            return OuterProductFlow(product, machine, config)
        case datapaths.StructuredSparse() as config:
            return StructuredSparseFlow(product, machine, config)
        case datapaths.TensorCore() as config:
            return TensorCoreFlow(product, machine, config)
        case datapaths.SparseLanes() as config:
            return SparseLanesFlow(product, machine, config)
