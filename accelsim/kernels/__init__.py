"""Loops compiled by numba: arrays in, arrays out, nothing else.

`cache` says where they are kept once they are compiled, `ahead` compiles those that every simulation needs on all
cores.
"""

from __future__ import annotations

from accelsim.kernels import cache

__all__ = [
    "ahead",
    "blocks",
    "borrowing",
    "cache",
    "classes",
    "clocks",
    "counting",
    "crossing",
    "crossing_records",
    "decode",
    "dma",
    "dram",
    "dram_records",
    "engine",
    "engine_records",
    "execute",
    "handover",
    "hazards",
    "lanes",
    "nm",
    "occupied",
    "products",
    "records",
    "requantize",
    "requests",
    "second_level",
    "sparse_lanes",
    "strides",
    "swaps",
    "tiles",
    "tilings",
    "windows",
]

with cache.decorating():
    from accelsim.kernels import (
        ahead,
        blocks,
        borrowing,
        classes,
        clocks,
        counting,
        crossing,
        crossing_records,
        decode,
        dma,
        dram,
        dram_records,
        engine,
        engine_records,
        execute,
        handover,
        hazards,
        lanes,
        nm,
        occupied,
        products,
        records,
        requantize,
        requests,
        second_level,
        sparse_lanes,
        strides,
        swaps,
        tiles,
        tilings,
        windows,
    )
