"""Inputs with outliers stay floats: the split of LLM.int8() (Dettmers et al., NeurIPS 2022, arXiv:2208.07339).

An input is an outlier if some activation of it reaches the threshold, 6.0 in the paper (section 3). There it is found
for each batch; here for the calibration data, once, so that the other inputs' weights are rounded beforehand. Outliers
are moved behind all others.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.rewrite import Float64, Rewrite, with_inputs_in_order, with_layer
from accelsim.config.model import quantity
from accelsim.workload.network import Network


class Outliers(Rewrite):
    """The recipe step."""

    scheme: Literal["outliers"] = quantity("name", "Name of the scheme")
    threshold: float = quantity(
        "real value", "Magnitude of an activation from which on its input is an outlier", default=6.0, gt=0
    )

    def rewrite(self, network: Network, number: int, x: Float64) -> Network:
        """Move a layer's outliers behind its other inputs."""
        outlier = np.abs(x).max(axis=0) >= self.threshold
        order = np.argsort(outlier, kind="stable")
        return with_layer(with_inputs_in_order(network, number, order), number, wide=int(outlier.sum()))
