"""Train variants of digits-mlp that compression begins with, from its committed weights and data.

    python workloads/digits-mlp/train_variants.py [NAME...]     writes NAME.safetensors, and prints accuracies
    python workloads/digits-mlp/train_variants.py --check       trains again and compares with the committed files

Needs the `dev` extra. Sums run in float64 and weights are stored in float16, after which accuracy is measured. Beside
weights and biases a file holds the steps that quantization-aware training learned: LAYER.weight_step, one an output,
and LAYER.input_step; a weight is its step times an integer then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_digits
from train import BATCH, FOLDER, SEED, SIZES, TEST_IMAGES, forward, gradients

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Masks = list[NDArray[np.bool_]]
#: Weights and biases of all layers, and whatever else is learned, in one list.
Parameters = list[Array]
#: Gradients of all parameters for a batch.
Gradient = Callable[[Parameters, Array, Labels], list[Array]]
Tensors = dict[str, NDArray[np.generic]]

LAYERS = len(SIZES) - 1
#: What signs of inputs are taken around: half of the pixels' range.
CENTER = 0.5


def adam(
    p: Parameters, gradient: Gradient, data: tuple[Array, Labels], epochs: int, rate: float,
    after: Callable[[Parameters, float], None], seed: int = SEED,
) -> None:  # fmt: skip
    """Train in place (Kingma and Ba, arXiv:1412.6980) with a cosine learning rate.

    Parameters
    ----------
    after
        Called after each step with the parameters and the share of the epochs that are done, as for masks.
    """
    x, labels = data
    rng = np.random.default_rng(seed)
    first, second = ([np.zeros_like(a) for a in p] for _ in range(2))
    batches = -(-len(x) // BATCH)
    for step in range(1, epochs * batches + 1):
        if (step - 1) % batches == 0:
            order = rng.permutation(len(x))
        batch = order[(step - 1) % batches * BATCH :][:BATCH]
        now = rate * 0.5 * (1 + np.cos(np.pi * step / (epochs * batches)))
        for i, g in enumerate(gradient(p, x[batch], labels[batch])):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g * g
            p[i] -= now * (first[i] / (1 - 0.9**step)) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
        after(p, step / (epochs * batches))


def of_floats(p: Parameters, x: Array, labels: Labels) -> list[Array]:
    """Gradients of the network as it is."""
    weights, biases = p[:LAYERS], p[LAYERS:]
    dw, db = gradients(weights, forward(weights, biases, x), labels)
    return dw + db


def masked(masks: Masks) -> Callable[[Parameters, float], None]:
    """Keep pruned weights at zero."""

    def after(p: Parameters, _: float) -> None:
        for i, mask in enumerate(masks):
            p[i] *= mask

    return after


def largest(scores: Array, sparsity: float) -> NDArray[np.bool_]:
    """Which scores stay if that share of them goes."""
    order = np.argsort(scores, axis=None, kind="stable")
    mask = np.ones(scores.size, np.bool_)
    mask[order[: round(sparsity * scores.size)]] = False
    return mask.reshape(scores.shape)


def gradually(budgets: tuple[float, ...], score: Callable[[Array], Array]) -> Callable[[Parameters, float], None]:
    """Prune more and more of each layer, all of its budget after two thirds of the training.

    The share grows as 1 - (1 - t)^3 (Zhu and Gupta, arXiv:1710.01878); what is pruned once does not come back.
    """
    masks: dict[int, NDArray[np.bool_]] = {}

    def after(p: Parameters, done: float) -> None:
        share = 1 - (1 - min(1.0, 1.5 * done)) ** 3
        for i, budget in enumerate(budgets):
            if done <= 2 / 3 or i not in masks:
                masks[i] = np.broadcast_to(largest(score(p[i]), budget * share), p[i].shape)
            p[i] *= masks[i]

    return after


def pruned(p: Parameters, data: tuple[Array, Labels]) -> Tensors:
    """Iterative magnitude pruning and retraining (Han et al., NeurIPS 2015, arXiv:1506.02626)."""
    adam(p, of_floats, data, 120, 1e-3, gradually((0.90, 0.93, 0.65), np.abs))
    return named(p)


def columns(p: Parameters, data: tuple[Array, Labels]) -> Tensors:
    """Whole inputs, by the sum of their weights' magnitudes, and retraining."""
    adam(p, of_floats, data, 120, 1e-3, gradually((0.4, 0.7, 0.6), lambda w: np.abs(w).sum(axis=0, keepdims=True)))
    return named(p)


def sparse24(p: Parameters, data: tuple[Array, Labels]) -> Tensors:
    """Of four weights along the inputs the two largest stay; retraining (Mishra et al., arXiv:2104.08378)."""
    masks = []
    for weight in p[:LAYERS]:
        groups = np.abs(weight).reshape(len(weight), -1, 4)
        order = np.argsort(-groups, axis=2, kind="stable")
        mask = np.zeros(groups.shape, np.bool_)
        np.put_along_axis(mask, order[:, :, :2], True, axis=2)
        masks.append(mask.reshape(weight.shape))
    adam(p, of_floats, data, 60, 1e-3, masked(masks))
    return named(p)


def lottery(_: Parameters, data: tuple[Array, Labels]) -> Tensors:
    """A lottery ticket (Frankle and Carbin, ICLR 2019, arXiv:1803.03635): six rounds, weights rewound to the first.

    Each round trains from the initial weights and removes the smallest fifth or more of those that are left.
    """
    rng = np.random.default_rng(SEED + 1)
    initial = [rng.normal(0, np.sqrt(2 / k), (n, k)) for k, n in pairwise(SIZES)]
    masks: Masks = [np.ones(w.shape, np.bool_) for w in initial]
    for left in (0.6, 0.36, 0.22, 0.15, 0.11, None):
        p = [w * mask for w, mask in zip(initial, masks, strict=True)] + [np.zeros(n) for n in SIZES[1:]]
        adam(p, of_floats, data, 60, 2e-3, masked(masks))
        if left:
            # half of the last layer's share, as in the paper's networks
            shares = (1 - left, 1 - left, (1 - left) / 2)
            masks = [largest(np.abs(w), share) for w, share in zip(p, shares, strict=False)]
    return named(p)


def lsq(bits: int) -> Callable[[Parameters, tuple[Array, Labels]], Tensors]:
    """Learned step sizes of weights, one an output, and of inputs (Esser et al., ICLR 2020, arXiv:1902.08153)."""

    def trained(p: Parameters, data: tuple[Array, Labels]) -> Tensors:
        low, high, top = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 2**bits - 1
        activations = forward(p[:LAYERS], p[LAYERS:], data[0])[:-1]
        # the paper's start: 2 <|v|> / sqrt(Q_P)
        p += [2 * np.abs(w).mean(axis=1) / np.sqrt(high) for w in p[:LAYERS]]
        p += [np.array([2 * np.abs(x).mean() / np.sqrt(top)]) for x in activations]

        def gradient(p: Parameters, x: Array, labels: Labels) -> list[Array]:
            kept = []
            for i in range(LAYERS):
                step, input_step = p[2 * LAYERS + i][:, None], p[3 * LAYERS + i]
                kept.append((x, quantize(x, input_step, 0, top), quantize(p[i], step, low, high)))
                x = kept[-1][1] @ kept[-1][2].T + p[LAYERS + i]
                x = x if i == LAYERS - 1 else np.maximum(x, 0)
            delta = softmax_delta(x, labels)
            found: list[Array] = [np.zeros(0)] * len(p)
            for i in reversed(range(LAYERS)):
                given, xq, wq = kept[i]
                step, input_step = p[2 * LAYERS + i][:, None], p[3 * LAYERS + i]
                dw, dx = delta.T @ xq, delta @ wq
                found[LAYERS + i] = delta.sum(axis=0)
                found[i] = dw * inside(p[i], step, low, high)
                scale = 1 / np.sqrt(p[i].shape[1] * max(high, 1))
                found[2 * LAYERS + i] = (dw * of_step(p[i], step, low, high)).sum(axis=1) * scale
                scale = 1 / np.sqrt(given.shape[1] * top)
                found[3 * LAYERS + i] = np.array([(dx * of_step(given, input_step, 0, top)).sum() * scale])
                delta = dx * inside(given, input_step, 0, top) * (given > 0 if i else 1)
            return found

        adam(p, gradient, data, 150, 1e-3, positive)
        steps = [p[2 * LAYERS + i].astype(np.float32).astype(np.float64) for i in range(LAYERS)]
        weights = [quantize(w, step[:, None], low, high) for w, step in zip(p, steps, strict=False)]
        return named(weights + p[LAYERS : 2 * LAYERS], steps, [float(s[0]) for s in p[3 * LAYERS :]])

    return trained


def pact4(p: Parameters, data: tuple[Array, Labels]) -> Tensors:
    """Learned clipping levels of activations (Choi et al., arXiv:1805.06085), 4 bits; weights by their largest."""
    top, high, decay = 15, 7, 1e-3
    activations = forward(p[:LAYERS], p[LAYERS:], data[0])[:-1]
    p += [np.array([np.abs(x).max()]) for x in activations[1:]]

    def levels(p: Parameters) -> list[Array]:
        return [np.ones(1), *p[2 * LAYERS :]]  # pixels reach from 0 to 1

    def weight_steps(p: Parameters) -> list[Array]:
        return [np.abs(w).max(axis=1) / high for w in p[:LAYERS]]

    def gradient(p: Parameters, x: Array, labels: Labels) -> list[Array]:
        kept = []
        for i, (level, step) in enumerate(zip(levels(p), weight_steps(p), strict=True)):
            kept.append((x, quantize(x, level / top, 0, top), quantize(p[i], step[:, None], -high, high)))
            x = kept[-1][1] @ kept[-1][2].T + p[LAYERS + i]
        delta = softmax_delta(x, labels)
        found: list[Array] = [np.zeros(0)] * len(p)
        for i in reversed(range(LAYERS)):
            given, xq, wq = kept[i]
            found[i], found[LAYERS + i] = delta.T @ xq, delta.sum(axis=0)
            dx = delta @ wq
            if i:
                level = levels(p)[i]
                found[2 * LAYERS + i - 1] = np.array([dx[given >= level].sum()]) + decay * level
                delta = dx * ((given > 0) & (given < level))
        return found

    adam(p, gradient, data, 150, 1e-3, positive)
    steps = [step.astype(np.float32).astype(np.float64) for step in weight_steps(p)]
    weights = [quantize(w, step[:, None], -high, high) for w, step in zip(p, steps, strict=False)]
    return named(weights + p[LAYERS : 2 * LAYERS], steps, [float(level[0]) / top for level in levels(p)])


def binary(p: Parameters, data: tuple[Array, Labels]) -> Tensors:
    """Signs of weights, scaled by their mean magnitude, times signs of inputs (XNOR-Net, arXiv:1603.05279).

    Gradients pass signs where their argument lies between -1 and 1 (Courbariaux et al., arXiv:1602.02830). There is no
    ReLU: the sign stands in its place.
    """
    x, labels = data

    def gradient(p: Parameters, x: Array, labels: Labels) -> list[Array]:
        kept = []
        for i in range(LAYERS):
            scale = np.abs(p[i]).mean(axis=1)
            kept.append((x, signs(x), scale[:, None] * signs(p[i])))
            x = kept[-1][1] @ kept[-1][2].T + p[LAYERS + i]
        delta = softmax_delta(x, labels)
        found: list[Array] = [np.zeros(0)] * len(p)
        for i in reversed(range(LAYERS)):
            given, s, w = kept[i]
            found[i], found[LAYERS + i] = delta.T @ s, delta.sum(axis=0)
            delta = (delta @ w) * (np.abs(given) <= 1)
        return found

    rng = np.random.default_rng(SEED + 2)
    p[:LAYERS] = [rng.normal(0, np.sqrt(1 / k), (n, k)) for k, n in pairwise(SIZES)]
    p[LAYERS:] = [np.zeros(n) for n in SIZES[1:]]
    adam(p, gradient, (x - CENTER, labels), 300, 3e-3, lambda _, __: None)
    return named(p, None, [1.0] * LAYERS)


def signs(x: Array) -> Array:
    """+1 from zero on, else -1."""
    return np.where(x >= 0, 1.0, -1.0)


def quantize(values: Array, step: Array, low: int, high: int) -> Array:
    """Nearest multiples of a step, between two of them."""
    nearest: Array = np.clip(np.rint(values / step), low, high) * step
    return nearest


def inside(values: Array, step: Array, low: int, high: int) -> NDArray[np.bool_]:
    """Where a straight-through estimator passes gradients."""
    return (values / step >= low) & (values / step <= high)


def of_step(values: Array, step: Array, low: int, high: int) -> Array:
    """Derivative of quantized values by their step (LSQ, equation 3)."""
    v = values / step
    return np.where(v <= low, low, np.where(v >= high, high, np.rint(v) - v))


def softmax_delta(logits: Array, labels: Labels) -> Array:
    """Gradient of the mean cross entropy by the logits."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    delta: Array = p / len(labels)
    return delta


def positive(p: Parameters, _: float) -> None:
    """Keep what is learned beside weights and biases above zero."""
    for learned in p[2 * LAYERS :]:
        np.maximum(learned, 1e-4, out=learned)


def named(p: Parameters, weight_steps: list[Array] | None = None, input_steps: list[float] | None = None) -> Tensors:
    """Tensors of a file."""
    tensors: Tensors = {f"fc{i + 1}.weight": w.astype(np.float16) for i, w in enumerate(p[:LAYERS])}
    tensors |= {f"fc{i + 1}.bias": b.astype(np.float32) for i, b in enumerate(p[LAYERS : 2 * LAYERS])}
    tensors |= {f"fc{i + 1}.weight_step": s.astype(np.float32) for i, s in enumerate(weight_steps or [])}
    tensors |= {f"fc{i + 1}.input_step": np.array([s], np.float32) for i, s in enumerate(input_steps or [])}
    return tensors


def accuracy(name: str, tensors: Tensors, x: Array, labels: Labels) -> float:
    """Share of the images whose class the variant finds, in the arithmetic that it was trained for."""
    bits = {"lsq4": 4, "lsq2": 2, "pact4": 4}.get(name)
    x = x - CENTER if name == "binary" else x
    for i in range(1, LAYERS + 1):
        w, b = (tensors[f"fc{i}.{part}"].astype(np.float64) for part in ("weight", "bias"))
        if name == "binary":
            x = signs(x) @ (np.abs(w).mean(axis=1)[:, None] * signs(w)).T + b
            continue
        if bits:
            step = tensors[f"fc{i}.weight_step"].astype(np.float64)[:, None]
            w = np.rint(w / step) * step
            x = quantize(x, tensors[f"fc{i}.input_step"].astype(np.float64), 0, 2**bits - 1)
        x = x @ w.T + b
        x = x if i == LAYERS else np.maximum(x, 0)
    return float((x.argmax(axis=1) == labels).mean())


VARIANTS: dict[str, Callable[[Parameters, tuple[Array, Labels]], Tensors]] = {
    "pruned": pruned,
    "columns": columns,
    "sparse24": sparse24,
    "lottery": lottery,
    "lsq4": lsq(4),
    "lsq2": lsq(2),
    "pact4": pact4,
    "binary": binary,
}


def main() -> int:
    """Write the files, or compare with them."""
    parser = argparse.ArgumentParser(description="Train variants of digits-mlp.")
    parser.add_argument("names", nargs="*", help="variants; all if none is named")
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    asked = parser.parse_args()
    digits = load_digits()
    labels = digits.target.astype(np.int64)
    order = np.random.default_rng(SEED).permutation(len(labels))  # as train.py splits them
    test, training = order[:TEST_IMAGES], order[TEST_IMAGES:]
    images = digits.data / 16
    base = load_file(FOLDER / "weights.safetensors")
    worst = 0.0
    for name in asked.names or VARIANTS:
        p = [base[f"fc{i + 1}.{part}"].astype(np.float64) for part in ("weight", "bias") for i in range(LAYERS)]
        tensors = VARIANTS[name](p, (images[training], labels[training]))
        zeros = np.mean(np.concatenate([tensors[f"fc{i + 1}.weight"].ravel() for i in range(LAYERS)]) == 0)
        found = accuracy(name, tensors, images[test], labels[test])
        print(f"{name}: accuracy {found:.4f}, {100 * zeros:.1f} % of the weights are zero")
        path = Path(FOLDER / f"{name}.safetensors")
        if asked.check:
            committed = load_file(path)
            worst = max(worst, *(float(np.abs(committed[n].astype(np.float64) - t).max()) for n, t in tensors.items()))
        else:
            save_file(tensors, path)
    if asked.check:
        print(f"largest difference {worst:.3g}")
    return 0 if worst <= 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
