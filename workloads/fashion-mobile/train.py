"""Train a small network of depthwise separable convolutions on Fashion-MNIST.

    python workloads/fashion-mobile/train.py               writes weights, data and tests/data/networks
    python workloads/fashion-mobile/train.py --check       trains again and compares with the committed files
    python workloads/fashion-mobile/train.py --evaluate    holds the committed files against the golden values

Needs jax and Debian's package dataset-fashion-mnist; `workloads/fashion_mnist.py` says more. The network is made of the
blocks of Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv:1801.04381): ReLU6, nothing
after a projection, and a residual where a block keeps its input's shape. Padding is TensorFlow's `SAME`: where a stride
of 2 halves an even side, a row below and a column to the right.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import jax
from fashion_mnist import Layers, Recipe, run

FOLDER = Path(__file__).resolve().parent
RECIPE = Recipe(epochs=7, rate=0.1, shift=0)
STEM = 16
#: Channels between expansion and projection, channels of the output, stride. The first block does not expand.
BLOCKS = ((16, 24, 2), (72, 24, 1), (72, 40, 2), (120, 40, 1))
HEAD = 128


def network(layers: Layers, x: jax.Array) -> jax.Array:
    """Logits of images."""
    x = jax.nn.relu6(layers.batch_norm("bn1", layers.convolution("conv1", x, STEM, 3, 1, (1, 1, 1, 1))))
    for i, (wide, channels, stride) in enumerate(BLOCKS, 1):
        y, block = x, f"block{i}"
        if wide != x.shape[-1]:
            y = layers.convolution(f"{block}.expand", y, wide, 1)
            y = jax.nn.relu6(layers.batch_norm(f"{block}.expand_bn", y))
        padding = (1, 1, 1, 1) if stride == 1 else (0, 0, 1, 1)
        y = layers.convolution(f"{block}.depthwise", y, wide, 3, stride, padding, groups=wide)
        y = jax.nn.relu6(layers.batch_norm(f"{block}.depthwise_bn", y))
        y = layers.batch_norm(f"{block}.project_bn", layers.convolution(f"{block}.project", y, channels, 1))
        x = x + y if x.shape == y.shape else y
    x = jax.nn.relu6(layers.batch_norm("bn2", layers.convolution("conv2", x, HEAD, 1)))
    return layers.linear("fc", x.mean((1, 2)), 10)


if __name__ == "__main__":
    sys.exit(run(FOLDER, network, RECIPE))
