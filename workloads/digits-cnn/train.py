"""Train a small LeNet-5 on the handwritten digits that scikit-learn ships.

    python workloads/digits-cnn/train.py            writes weights, data and tests/data/networks/digits-cnn.npz
    python workloads/digits-cnn/train.py --check    trains again and compares with the committed files

Needs the `dev` extra. The shape is LeNet-5's (LeCun et al., "Gradient-Based Learning Applied to Document Recognition",
1998) with 3 x 3 kernels, ReLU and maximum pooling: convolution, pool, convolution, pool, two fully connected layers.
Images, split and seed are those of digits-mlp: the 1,797 digits of the test part of UCI's "Optical Recognition of
Handwritten Digits" (Alpaydin and Kaynak, 1998), 8 x 8 pixels of 0 to 16, of which 360 are test images.

Channels come last. A convolution's weight is (height, width, input channels, filters), so that reshaping it gives the
matrix of im2col; a fully connected one's is (outputs, inputs), its inputs in the order height, width, channel. Sums
run in float64, so that another BLAS changes the float32 result in the last digits at most.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_digits

FOLDER = Path(__file__).resolve().parent
GOLDEN = FOLDER.parents[1] / "tests/data/networks/digits-cnn.npz"
SEED = 20261122
SHAPES = {"conv1": (3, 3, 1, 16), "conv2": (3, 3, 16, 32), "fc1": (64, 2 * 2 * 32), "fc2": (10, 64)}
TEST_IMAGES = 360
CALIBRATION_IMAGES = 256
GOLDEN_IMAGES = 8
EPOCHS = 60
BATCH = 64
RATE = 2e-3
WEIGHT_DECAY = 1e-2

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
#: Tensors by their names.
Tensors = dict[str, Array]


def windows(x: Array) -> Array:
    """The 3 x 3 windows of images with a margin of zeros, (images, height, width, 9 * channels)."""
    found = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), axis=(1, 2))
    return found.transpose(0, 1, 2, 4, 5, 3).reshape(*x.shape[:3], -1)


def squares(x: Array) -> Array:
    """The 2 x 2 squares of images side by side, (images, height / 2, width / 2, 4, channels)."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4, c)


def forward(p: Tensors, x: Array) -> tuple[Array, Tensors]:
    """Logits, and what the gradients need of the way there."""
    kept: Tensors = {}
    for name in ("conv1", "conv2"):
        kept[name] = windows(x)
        y = kept[name] @ p[f"{name}.weight"].reshape(kept[name].shape[-1], -1) + p[f"{name}.bias"]
        kept[f"{name}.squares"] = squares(np.maximum(y, 0))
        x = kept[f"{name}.squares"].max(axis=3)
    kept["fc1"] = x.reshape(len(x), -1)
    kept["fc2"] = np.maximum(kept["fc1"] @ p["fc1.weight"].T + p["fc1.bias"], 0)
    return kept["fc2"] @ p["fc2.weight"].T + p["fc2.bias"], kept


def gradients(p: Tensors, x: Array, labels: Labels) -> Tensors:
    """Gradients of the mean cross entropy."""
    logits, kept = forward(p, x)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    probabilities[np.arange(len(labels)), labels] -= 1
    delta = probabilities / len(labels)
    found: Tensors = {}
    for name in ("fc2", "fc1"):
        found[f"{name}.weight"], found[f"{name}.bias"] = delta.T @ kept[name], delta.sum(axis=0)
        delta = delta @ p[f"{name}.weight"] * (kept[name] > 0)  # pooled pixels of zero pass nothing either
    for name in ("conv2", "conv1"):
        parts = kept[f"{name}.squares"]
        n, h, w, _, c = parts.shape
        # the first of the largest pixels of a square takes its gradient
        one = np.arange(4)[:, None] == parts.argmax(axis=3)[:, :, :, None]
        delta = np.where(one & (parts > 0), delta.reshape(n, h, w, 1, c), 0)
        delta = delta.reshape(n, h, w, 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c)
        weight = p[f"{name}.weight"]
        found[f"{name}.weight"] = np.tensordot(kept[name], delta, ((0, 1, 2), (0, 1, 2))).reshape(weight.shape)
        found[f"{name}.bias"] = delta.sum(axis=(0, 1, 2))
        # back through a convolution: its mirrored kernel, inputs and filters exchanged
        delta = windows(delta) @ weight[::-1, ::-1].transpose(0, 1, 3, 2).reshape(9 * c, -1)
    return found


def train(x: Array, labels: Labels, rng: np.random.Generator) -> Tensors:
    """Adam (Kingma and Ba, arXiv:1412.6980) with decoupled weight decay and a cosine learning rate."""
    p: Tensors = {}
    for name, shape in SHAPES.items():
        inputs, outputs = (shape[1], shape[0]) if len(shape) == 2 else (int(np.prod(shape[:-1])), shape[-1])
        p[f"{name}.weight"] = rng.normal(0, np.sqrt(2 / inputs), shape)
        p[f"{name}.bias"] = np.zeros(outputs)
    first, second = ({name: np.zeros_like(t) for name, t in p.items()} for _ in range(2))
    steps = EPOCHS * -(-len(x) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            batch = order[start : start + BATCH]
            found = gradients(p, x[batch], labels[batch])
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for name, g in found.items():
                first[name] = 0.9 * first[name] + 0.1 * g
                second[name] = 0.999 * second[name] + 0.001 * g * g
                update = (first[name] / (1 - 0.9**step)) / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
                p[name] -= rate * (update + (WEIGHT_DECAY * p[name] if name.endswith("weight") else 0))
    return p


def make() -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.generic]], dict[str, NDArray[np.generic]]]:
    """Tensors of the weights, of the data and of the golden values."""
    digits = load_digits()
    x = digits.images[..., None] / 16
    labels = digits.target.astype(np.int64)
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(x))
    test, training = order[:TEST_IMAGES], order[TEST_IMAGES:]
    weights = {name: t.astype(np.float32) for name, t in train(x[training], labels[training], rng).items()}
    data = {
        "test_images": x[test].astype(np.float32),
        "test_labels": labels[test].astype(np.uint8),
        "calibration_images": x[training[:CALIBRATION_IMAGES]].astype(np.float32),
    }
    logits, _ = forward({name: t.astype(np.float64) for name, t in weights.items()}, x[test])
    classes = logits.argmax(axis=1).astype(np.uint8)
    golden = {
        "logits": logits[:GOLDEN_IMAGES].astype(np.float32),
        "classes": classes,
        "accuracy": np.float64((classes == labels[test]).mean()),
    }
    return weights, data, golden


def main() -> int:
    """Write the files, or compare with them."""
    parser = argparse.ArgumentParser(description="Train digits-cnn.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    check = parser.parse_args().check
    weights, data, golden = make()
    print(f"accuracy on {TEST_IMAGES} test images {golden['accuracy']:.4f}")
    if not check:
        save_file(weights, FOLDER / "weights.safetensors")
        save_file(data, FOLDER / "data.safetensors")
        np.savez_compressed(GOLDEN, **golden)
        return 0
    committed = load_file(FOLDER / "weights.safetensors")
    worst = max(float(np.abs(committed[name] - t).max()) for name, t in weights.items())
    images = load_file(FOLDER / "data.safetensors")
    same = all(np.array_equal(images[name], t) for name, t in data.items())
    with np.load(GOLDEN) as values:
        far = max(float(np.abs(values[name] - t).max()) for name, t in golden.items())
    print(f"largest difference of a weight {worst:.3g}, of a golden value {far:.3g}")
    print(f"data {'equal' if same else 'differ'}")
    return 0 if worst <= 1e-5 and far <= 1e-4 and same else 1


if __name__ == "__main__":
    sys.exit(main())
