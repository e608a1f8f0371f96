"""Train the LeNet-300-100 shape on the handwritten digits that scikit-learn ships.

    python workloads/digits-mlp/train.py            writes weights.safetensors and data.safetensors
    python workloads/digits-mlp/train.py --check    trains again and compares with the committed files

Needs the `dev` extra. The data are the 1,797 digits of the test part of UCI's "Optical Recognition of Handwritten
Digits" (Alpaydin and Kaynak, 1998), 8 x 8 pixels of 0 to 16. The split, the initial weights and the order of the
batches follow from one seed. Sums run in float64, so that another BLAS changes the float32 result in the last
digits at most.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_digits

FOLDER = Path(__file__).resolve().parent
SEED = 20261122
SIZES = (64, 300, 100, 10)
TEST_IMAGES = 360
CALIBRATION_IMAGES = 256
EPOCHS = 60
BATCH = 64
RATE = 2e-3
WEIGHT_DECAY = 1e-4

Array = NDArray[np.float64]


def forward(weights: list[Array], biases: list[Array], x: Array) -> list[Array]:
    """Activations of every layer, the input first, the logits last."""
    activations = [x]
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        y = activations[-1] @ w.T + b
        activations.append(y if i == len(weights) - 1 else np.maximum(y, 0))
    return activations


def gradients(
    weights: list[Array], activations: list[Array], labels: NDArray[np.int64]
) -> tuple[list[Array], list[Array]]:
    """Gradients of the mean cross entropy with respect to weights and biases."""
    logits = activations[-1]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    delta = p / len(labels)
    dw: list[Array] = []
    db: list[Array] = []
    for i in reversed(range(len(weights))):
        dw.insert(0, delta.T @ activations[i])
        db.insert(0, delta.sum(axis=0))
        if i:
            delta = (delta @ weights[i]) * (activations[i] > 0)
    return dw, db


def train(x: Array, labels: NDArray[np.int64], rng: np.random.Generator) -> tuple[list[Array], list[Array]]:
    """Adam (Kingma and Ba, arXiv:1412.6980) with decoupled weight decay and a cosine learning rate."""
    weights = [rng.normal(0, np.sqrt(2 / k), (n, k)) for k, n in pairwise(SIZES)]
    biases = [np.zeros(n) for n in SIZES[1:]]
    parameters = weights + biases
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    steps = EPOCHS * -(-len(x) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            batch = order[start : start + BATCH]
            dw, db = gradients(weights, forward(weights, biases, x[batch]), labels[batch])
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for i, (p, g) in enumerate(zip(parameters, dw + db, strict=True)):
                first[i] = 0.9 * first[i] + 0.1 * g
                second[i] = 0.999 * second[i] + 0.001 * g * g
                update = (first[i] / (1 - 0.9**step)) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
                parameters[i] -= rate * (update + (WEIGHT_DECAY * p if p.ndim == 2 else 0))
    return weights, biases


def make() -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.generic]], float]:
    """Tensors of both files, and the accuracy on the test images."""
    digits = load_digits()
    x = digits.data / 16
    labels = digits.target.astype(np.int64)
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(x))
    test, training = order[:TEST_IMAGES], order[TEST_IMAGES:]
    weights, biases = train(x[training], labels[training], rng)
    tensors = {f"fc{i + 1}.weight": w.astype(np.float32) for i, w in enumerate(weights)}
    tensors |= {f"fc{i + 1}.bias": b.astype(np.float32) for i, b in enumerate(biases)}
    logits = forward(weights, biases, x[test])[-1]
    data = {
        "test_images": x[test].astype(np.float32),
        "test_labels": labels[test].astype(np.uint8),
        "calibration_images": x[training[:CALIBRATION_IMAGES]].astype(np.float32),
    }
    return tensors, data, float((logits.argmax(axis=1) == labels[test]).mean())


def main() -> int:
    """Write the files, or compare with them."""
    parser = argparse.ArgumentParser(description="Train digits-mlp.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    check = parser.parse_args().check
    tensors, data, accuracy = make()
    print(f"test accuracy {accuracy:.4f}")
    if not check:
        save_file(tensors, FOLDER / "weights.safetensors")
        save_file(data, FOLDER / "data.safetensors")
        return 0
    worst = max(np.abs(load_file(FOLDER / "weights.safetensors")[n] - t).max() for n, t in tensors.items())
    same = all(np.array_equal(load_file(FOLDER / "data.safetensors")[n], t) for n, t in data.items())
    print(f"largest difference of a weight {worst:.3g}; data {'equal' if same else 'differ'}")
    return 0 if worst <= 1e-5 and same else 1


if __name__ == "__main__":
    sys.exit(main())
