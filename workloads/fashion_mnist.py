"""What the training scripts of networks for Fashion-MNIST share: data, layers, training, and the files they write.

Needs jax, which is no dependency of the project. Images are those of Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel
Image Dataset for Benchmarking Machine Learning Algorithms" (arXiv:1708.07747; LICENSE.fashion-mnist), as Debian's
package dataset-fashion-mnist installs them: 60,000 to train with and 10,000 to test with, 28 x 28 pixels of 0 to 255,
of which a network sees a 255th.

Channels come last. A convolution's weight is (height, width, input channels / groups, filters), so that reshaping it
gives the matrix of im2col; a fully connected one's is (outputs, inputs). A batch norm is
`gamma * (x - mean) / sqrt(variance + EPSILON) + beta`.

Training sums in float32, in an order that XLA chooses by the processor and the number of cores: one computer repeats
its own result, while another finds other weights that are about as good, so that `--check` compares their accuracy.
Golden values are sums in float64 by XLA's convolution, of the float32 weights.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp

SEED = 20261122
EPSILON = 1e-5
TEST_IMAGES = 500
CALIBRATION_IMAGES = 256
GOLDEN_IMAGES = 8
BATCH = 64
MOMENTUM = 0.9
WEIGHT_DECAY = 2e-4
#: Share of a batch norm's statistics that stays at a step.
KEPT = 0.99
#: Points by which another computer's accuracy may differ.
TOLERANCE = 0.01

Tensors = dict[str, jax.Array]
Pixels = NDArray[np.uint8]
#: (above, left, below, right) of an image.
Padding = tuple[int, int, int, int]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Parameters
    ----------
    rate
        Largest learning rate, which is reached after a fifth of the steps.
    shift
        Pixels by which images are shifted at most.
    """

    epochs: int
    rate: float
    shift: int


class Layers:
    """Layers by their names, with the tensors of all.

    Parameters
    ----------
    tensors
        Weights, biases and batch norms.
    training
        Whether batch norms take the batch's statistics, and convolutions the forms that are quickest to differentiate.
    rng
        Draws what `tensors` lacks, if it is given.
    """

    def __init__(self, tensors: Tensors, *, training: bool, rng: np.random.Generator | None = None) -> None:
        self.tensors, self.training, self.rng = tensors, training, rng
        #: Statistics of the batch norms after this batch.
        self.statistics: Tensors = {}

    def convolution(
        self, name: str, x: jax.Array, filters: int, kernel: int, stride: int = 1, padding: Padding = (0, 0, 0, 0),
        groups: int = 1,
    ) -> jax.Array:  # fmt: skip
        """A convolution without bias; there are `groups` groups of channels, one or as many as channels."""
        fan_in = kernel * kernel * x.shape[-1] // groups
        shape = (kernel, kernel, x.shape[-1] // groups, filters)
        weight = self._tensor(f"{name}.weight", shape, np.sqrt(2 / fan_in))
        top, left, bottom, right = padding
        if self.training and kernel == 1:
            return x[:, ::stride, ::stride] @ weight[0, 0]
        if self.training and groups > 1:
            x = jnp.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
            h, w = (side - kernel + 1 for side in x.shape[1:3])
            places = [(i, j) for i in range(kernel) for j in range(kernel)]
            return sum(x[:, i : i + h : stride, j : j + w : stride] * weight[i, j, 0] for i, j in places)
        return jax.lax.conv_general_dilated(
            x, weight, (stride, stride), ((top, bottom), (left, right)), dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )  # fmt: skip

    def batch_norm(self, name: str, x: jax.Array) -> jax.Array:
        """Batch normalization (Ioffe and Szegedy, arXiv:1502.03167)."""
        gamma, beta, mean, variance = (
            self._tensor(f"{name}.{part}", (x.shape[-1],), 0, start)
            for part, start in (("gamma", 1), ("beta", 0), ("mean", 0), ("variance", 1))
        )
        if self.training:
            old_mean, old_variance = mean, variance
            mean = x.mean((0, 1, 2))
            variance = (x * x).mean((0, 1, 2)) - mean * mean
            self.statistics[f"{name}.mean"] = KEPT * old_mean + (1 - KEPT) * mean
            self.statistics[f"{name}.variance"] = KEPT * old_variance + (1 - KEPT) * variance
        scale = gamma / jnp.sqrt(variance + EPSILON)
        return x * scale + (beta - mean * scale)

    def linear(self, name: str, x: jax.Array, outputs: int) -> jax.Array:
        """A fully connected layer."""
        weight = self._tensor(f"{name}.weight", (outputs, x.shape[-1]), np.sqrt(1 / x.shape[-1]))
        return x @ weight.T + self._tensor(f"{name}.bias", (outputs,), 0)

    def _tensor(self, name: str, shape: tuple[int, ...], deviation: float, mean: float = 0) -> jax.Array:
        if self.rng is not None and name not in self.tensors:
            self.tensors[name] = jnp.asarray(self.rng.normal(mean, deviation, shape), jnp.float32)
        return self.tensors[name]


#: Logits of images.
Network = Callable[[Layers, jax.Array], jax.Array]


def read(folder: Path, part: str) -> tuple[Pixels, Pixels]:
    """Images (n, 28, 28, 1) and labels of the part `train` or `t10k`."""
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1), np.frombuffer(labels, np.uint8, offset=8)


def varied(x: Pixels, shift: int, rng: np.random.Generator) -> Pixels:
    """Images shifted at random, and half of them mirrored."""
    n, h, w, _ = x.shape
    margin = np.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    down, across = rng.integers(0, 2 * shift + 1, (2, n, 1))
    columns = np.where(rng.random((n, 1)) < 0.5, np.arange(w), np.arange(w)[::-1])
    rows = down + np.arange(h)
    return margin[np.arange(n)[:, None, None], rows[:, :, None], (across + columns)[:, None, :]]


def train(network: Network, recipe: Recipe, x: Pixels, labels: Pixels, rng: np.random.Generator) -> Tensors:
    """Gradient descent with Nesterov's momentum, its rate rising and then falling linearly."""
    drawn = Layers({}, training=True, rng=rng)
    network(drawn, jnp.zeros((1, 28, 28, 1), jnp.float32))
    statistics = {name: drawn.tensors[name] for name in drawn.statistics}
    p = {name: t for name, t in drawn.tensors.items() if name not in statistics}
    velocity = {name: jnp.zeros_like(t) for name, t in p.items()}

    def loss(p: Tensors, statistics: Tensors, x: jax.Array, labels: jax.Array) -> tuple[jax.Array, Tensors]:
        layers = Layers(p | statistics, training=True)
        logits = network(layers, x.astype(jnp.float32) / 255)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None].astype(jnp.int32), axis=1)
        return -chosen.mean(), layers.statistics

    @jax.jit
    def step(
        p: Tensors, velocity: Tensors, statistics: Tensors, x: jax.Array, labels: jax.Array, rate: jax.Array
    ) -> tuple[Tensors, Tensors, Tensors, jax.Array]:
        (cost, statistics), found = jax.value_and_grad(loss, has_aux=True)(p, statistics, x, labels)
        for name in p:
            g = found[name] + (WEIGHT_DECAY * p[name] if name.endswith(".weight") else 0)
            velocity[name] = MOMENTUM * velocity[name] + g
            p[name] -= rate * (g + MOMENTUM * velocity[name])
        return p, velocity, statistics, cost

    batches = len(x) // BATCH
    steps = recipe.epochs * batches
    for epoch in range(recipe.epochs):
        begun = time.monotonic()
        order = rng.permutation(len(x))
        costs = []
        for i in range(batches):
            batch = order[i * BATCH :][:BATCH]
            done = (epoch * batches + i + 1) / steps
            rate = np.float32(recipe.rate * min(done / 0.2, (1 - done) / 0.8))
            images = varied(x[batch], recipe.shift, rng)
            p, velocity, statistics, cost = step(p, velocity, statistics, images, labels[batch], rate)
            costs.append(cost)
        print(f"epoch {epoch + 1}: loss {np.mean(costs):.4f}, {time.monotonic() - begun:.0f} s", flush=True)
    return p | statistics


def logits_of(network: Network, tensors: dict[str, NDArray[np.float32]], x: Pixels) -> NDArray[np.float64]:
    """Logits, in float64 throughout."""

    @partial(jax.jit, static_argnums=0)
    def of_batch(network: Network, tensors: Tensors, x: jax.Array) -> jax.Array:
        return network(Layers(tensors, training=False), x.astype(jnp.float64) / 255)

    with jax.enable_x64(True):
        wide = {name: jnp.asarray(t, jnp.float64) for name, t in tensors.items()}
        return np.concatenate([of_batch(network, wide, x[i : i + 100]) for i in range(0, len(x), 100)])


def run(folder: Path, network: Network, recipe: Recipe) -> int:
    """Write the files of a network, or compare with them."""
    parser = argparse.ArgumentParser(description=f"Train {folder.name}.")
    parser.add_argument("--check", action="store_true", help="train again and compare with the committed files")
    parser.add_argument("--evaluate", action="store_true", help="only hold the committed files against golden values")
    parser.add_argument("--images", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="their folder")
    asked = parser.parse_args()
    x, labels = read(asked.images, "train")
    test, test_labels = read(asked.images, "t10k")
    rng = np.random.default_rng(SEED)
    shipped = rng.permutation(len(test))[:TEST_IMAGES]
    data = {
        "test_images": test[shipped],
        "test_labels": test_labels[shipped],
        "calibration_images": x[rng.permutation(len(x))[:CALIBRATION_IMAGES]],
    }

    def golden(tensors: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.generic]]:
        logits = logits_of(network, tensors, test)
        right = logits.argmax(axis=1) == test_labels
        print(f"accuracy on {TEST_IMAGES} test images {right[shipped].mean():.4f}, on all {right.mean():.4f}")
        return {
            "logits": logits[shipped[:GOLDEN_IMAGES]].astype(np.float32),
            "classes": logits[shipped].argmax(axis=1).astype(np.uint8),
            "accuracy": right[shipped].mean(),
            "accuracy_all": right.mean(),
        }

    weights_file, data_file = folder / "weights.safetensors", folder / "data.safetensors"
    golden_file = folder.parents[1] / f"tests/data/networks/{folder.name}.npz"
    if asked.evaluate:
        weights = load_file(weights_file)
    else:
        weights = {name: np.asarray(t) for name, t in train(network, recipe, x, labels, rng).items()}
    found = golden(weights)
    if not asked.check and not asked.evaluate:
        save_file(weights, weights_file, {"batch_norm_epsilon": str(EPSILON)})
        save_file(data, data_file, {"image_scale": "1/255"})
        np.savez_compressed(golden_file, **found)
        return 0
    images = load_file(data_file)
    same = all(np.array_equal(images[name], t) for name, t in data.items())
    committed = load_file(weights_file)
    worst = max(float(np.abs(committed[name] - t).max()) for name, t in weights.items())
    print(f"largest difference of a weight {worst:.3g}; data {'equal' if same else 'differ'}")
    with np.load(golden_file) as values:
        if asked.check:
            return 0 if same and abs(found["accuracy_all"] - values["accuracy_all"]) <= TOLERANCE else 1
        far = max(float(np.abs(values[name].astype(float) - t).max()) for name, t in found.items())
    print(f"largest difference of a golden value {far:.3g}")
    return 0 if same and far <= 1e-5 else 1
