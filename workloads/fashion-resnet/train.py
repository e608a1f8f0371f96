"""Train a small residual network on Fashion-MNIST.

    python workloads/fashion-resnet/train.py               writes weights, data and tests/data/networks
    python workloads/fashion-resnet/train.py --check       trains again and compares with the committed files
    python workloads/fashion-resnet/train.py --evaluate    holds the committed files against the golden values

Needs jax and Debian's package dataset-fashion-mnist; `workloads/fashion_mnist.py` says more. The network is the one for
small images of He et al., "Deep Residual Learning for Image Recognition" (arXiv:1512.03385, section 4.2), with one
block a stage and a projection where a stage begins with half the pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import jax
from fashion_mnist import Layers, Recipe, run

FOLDER = Path(__file__).resolve().parent
RECIPE = Recipe(epochs=7, rate=0.05, shift=2)
#: Channels of the stages.
STAGES = (16, 32, 64)
MARGIN = (1, 1, 1, 1)


def network(layers: Layers, x: jax.Array) -> jax.Array:
    """Logits of images."""
    x = jax.nn.relu(layers.batch_norm("bn1", layers.convolution("conv1", x, STAGES[0], 3, 1, MARGIN)))
    for i, channels in enumerate(STAGES, 1):
        stride = 1 if i == 1 else 2
        y = layers.convolution(f"stage{i}.conv1", x, channels, 3, stride, MARGIN)
        y = jax.nn.relu(layers.batch_norm(f"stage{i}.bn1", y))
        y = layers.batch_norm(f"stage{i}.bn2", layers.convolution(f"stage{i}.conv2", y, channels, 3, 1, MARGIN))
        if stride > 1:
            x = layers.convolution(f"stage{i}.projection", x, channels, 1, stride)
            x = layers.batch_norm(f"stage{i}.projection_bn", x)
        x = jax.nn.relu(x + y)
    return layers.linear("fc", x.mean((1, 2)), 10)


if __name__ == "__main__":
    sys.exit(run(FOLDER, network, RECIPE))
