"""Deep Compression's rates (its tables 4 and 5), from its densities and bit widths, through the encoder."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.formats.relative_huffman import RelativeHuffman

TABLE = Path(__file__).parents[1] / "data" / "deep_compression.csv"
ROWS = [row for row in csv.DictReader(TABLE.read_text().splitlines()) if row["layer"] != "Total"]
#: Weights of a layer that is drawn: enough that tables of codes weigh little, as in the layers themselves.
DRAWN = 400_000
#: 3 x 3 x 3 x 64, which the paper's table rounds to 2K.
EXACT = {("VGG-16", "conv1_1"): 1728}


def count(row: dict[str, str]) -> float:
    """Weights of a layer: 35K, 38M."""
    printed = row["n_weights_as_printed"]
    return EXACT.get((row["network"], row["layer"]), float(printed[:-1]) * {"K": 1e3, "M": 1e6}[printed[-1]])


def drawn(density: float, bits: float) -> NDArray[np.int8]:
    """Independent zeros, and between them values of so much entropy: a peaked, two-sided geometric histogram."""
    rng = np.random.default_rng(5)
    values = np.array([v for v in range(-127, 128) if v])
    low, high = 0.0, 1.0
    for _ in range(60):  # bisect the ratio of neighbouring frequencies
        p = ((low + high) / 2) ** np.abs(values)
        p /= p.sum()
        entropy = -(p * np.log2(p, where=p > 0, out=np.zeros_like(p))).sum()
        low, high = ((low + high) / 2, high) if entropy < bits else (low, (low + high) / 2)
    return np.where(rng.random(DRAWN) < density, rng.choice(values, DRAWN, p=p), 0).astype(np.int8)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['network']}-{row['layer']}")
def test_published_rates_follow_from_published_densities_and_bits(row: dict[str, str]) -> None:
    x = drawn(float(row["weights_kept_pct"]) / 100, float(row["weight_bits_PQH"]))
    encoded = RelativeHuffman(int(row["index_bits_PQ"])).encode(x)
    np.testing.assert_array_equal(encoded.decode(), x)
    # the codebook of float32 values is in the paper's rates: half of the rate of conv1_1, which has 1,728 weights
    codebook = 2 ** int(row["weight_bits_PQ"]) / count(row)
    rate = encoded.stored_bits / (32 * DRAWN) + codebook
    # zeros that cluster, as real ones do, make runs less alike than independent ones: the paper's indices take less
    assert 100 * rate == pytest.approx(float(row["compress_rate_PQH_pct"]), abs=0.6)
