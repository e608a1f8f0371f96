"""Colours of the dashboard: one thing has one colour on every chart.

The hues are Okabe and Ito's, which people who see colours differently tell apart (Okabe and Ito, "Color Universal
Design", 2008), and greys. What is about DRAM is blue wherever it stands, what is about the array orange, and so on.
"""

from __future__ import annotations

_BLUE, _SKY, _GREEN, _ORANGE, _VERMILION, _PURPLE, _YELLOW = (
    "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#d8c628",
)  # fmt: skip
_VECTOR = "#a04a7c"  # darker than the purple, which some people see as the grey
_GREY, _DARK, _LIGHT = "#8a8a8a", "#5c5c5c", "#bdbdbd"

#: Energy by component.
COMPONENTS = {
    "mac": _ORANGE,
    "register_file": _YELLOW,
    "sram": _GREEN,
    "dram": _BLUE,
    "requantize": _PURPLE,
    "vector": _VECTOR,
    "decode": _VERMILION,
    "host": _GREY,
    "static": _LIGHT,
}
#: What binds a layer.
BOUNDS = {
    "compute": _ORANGE,
    "vector": _VECTOR,
    "memory": _BLUE,
    "fill_drain": _YELLOW,
    "latency": _SKY,
    "decode": _VERMILION,
    "host": _GREY,
}
#: What a unit does in a cycle.
STATES = {
    "busy": _ORANGE,
    "wait_memory": _BLUE,
    "wait_load": _SKY,
    "wait_store": "#9ad0f5",
    "wait_io": "#c5e3f6",
    "wait_port": _GREEN,
    "wait_matrix": _YELLOW,
    "wait_preload": "#efe27a",
    "wait_vector": _PURPLE,
    "wait_decode": _VERMILION,
    "wait_host": _GREY,
    "drained": _LIGHT,
}
#: Units of the tile timeline.
UNITS = {
    "load": _BLUE,
    "store": _SKY,
    "io": "#c5e3f6",
    "preload": _YELLOW,
    "matrix": _ORANGE,
    "vector": _PURPLE,
    "decode": _VERMILION,
}
#: What an on-chip memory holds.
HELD = {"kept_bytes": _VERMILION, "tile_bytes": _SKY}
#: Marker of each result, in turn.
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon", "triangle-down", "x", "pentagon")
#: Points that another one beats.
DOMINATED = _LIGHT
BEST = _VERMILION
ROOF = _DARK
#: What a network is given.
SOURCE = _GREY


def colour(table: dict[str, str], name: str) -> str:
    """Colour of a name; grey for one that the table does not know."""
    return table.get(name, _GREY)
