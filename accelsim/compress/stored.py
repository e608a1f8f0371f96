"""Networks that are quantized already, as their files have them."""

from __future__ import annotations

from typing import Literal

from accelsim.config.model import Frozen, quantity


class AsStored(Frozen):
    """The recipe step: types, scales and rounding are those of the network's file. It stands alone."""

    scheme: Literal["stored"] = quantity("name", "Name of the scheme")
    layers: Literal["*"] = quantity("pattern", "Layers that the step applies to: all of them", default="*")
