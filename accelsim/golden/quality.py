"""How far one output is from another, and what that does to the task."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from accelsim.golden.task import Classification, Embeddings, Language, Regression, Task

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def sqnr_db(reference: NDArray[np.float64], given: NDArray[np.float64]) -> float | None:
    """Signal to quantization noise ratio in decibels; None if there is no noise, no signal, or one is not finite."""
    scale = _peak(reference)
    if scale is None:
        return None
    noise = float(np.square(reference / scale - given / scale).sum())
    signal = float(np.square(reference / scale).sum())
    return 10 * math.log10(signal / noise) if noise and math.isfinite(noise) else None


def cosine(reference: NDArray[np.float64], given: NDArray[np.float64]) -> float | None:
    """Cosine of the angle between two tensors; None if one of them is zero or not finite."""
    scale, other = _peak(reference), _peak(given)
    if scale is None or other is None:
        return None
    a, b = reference / scale, given / other
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def _peak(values: NDArray[np.float64]) -> float | None:
    """Largest magnitude, by which squares are kept from overflowing; None if it is zero or not finite."""
    peak = float(np.abs(values).max())
    return peak if peak and math.isfinite(peak) else None


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a task.

    Parameters
    ----------
    name
        What is measured.
    value, reference
        For the outputs that are judged, and for those of the float network; None if there is no such network.
    fraction
        Whether it is a part of 1.
    lower
        Whether less is better.
    """

    name: str
    value: float
    reference: float | None
    fraction: bool = False
    lower: bool = False


def measures(task: Task, given: Float64, reference: Float64 | None) -> list[Measure]:
    """What a task measures, the figure that it is judged by first.

    Parameters
    ----------
    given, reference
        Real numbers of the first output, samples first, and those of the float network.
    """
    match task:
        case Classification():
            return _classes(task, given, reference)
        case Regression():
            return _numbers(task.targets, given, reference)
        case Embeddings():
            return _embeddings(task, given, reference)
        case Language():
            return _language(task.targets, given, reference)


def _both(
    name: str,
    of: Callable[[Float64], float],
    given: Float64,
    reference: Float64 | None,
    *,
    fraction: bool = False,
    lower: bool = False,
) -> Measure:
    return Measure(name, of(given), None if reference is None else of(reference), fraction, lower)


def _classes(task: Classification, given: Float64, reference: Float64 | None) -> list[Measure]:
    """How often the label is the largest output, or among the five largest."""
    labels, middle = task.labels, task.middle
    given = given.reshape(len(labels), -1)
    reference = None if reference is None else reference.reshape(len(labels), -1)
    found = [_both("accuracy", lambda x: accuracy(x, labels, middle), given, reference, fraction=True)]
    if given.shape[1] > TOP:
        found.append(_both(f"top-{TOP}", lambda x: among_largest(x, labels, TOP), given, reference, fraction=True))
    return found


#: Largest outputs among which the label may be.
TOP = 5


def accuracy(outputs: NDArray[np.generic], labels: Int64, middle: float = 0.0) -> float:
    """Fraction of samples whose largest output is the label; the first of equal outputs counts.

    A single output is that of the second of two classes, which `middle` divides from the first.

    Parameters
    ----------
    outputs
        Shape (batch, classes), integer or float.
    labels
        Shape (batch,).
    """
    if outputs.shape[1] == 1:
        return float(((outputs[:, 0].astype(np.float64) > middle) == labels.astype(np.bool_)).mean())
    return float((outputs.argmax(axis=1) == labels).mean())


def among_largest(outputs: NDArray[np.generic], labels: Int64, count: int) -> float:
    """Fraction of samples whose label is among the largest outputs; of equal outputs the first ones count."""
    order = np.argsort(-outputs.astype(np.float64), axis=1, kind="stable")[:, :count]
    return float((order == labels[:, None]).any(axis=1).mean())


def _numbers(targets: Float64, given: Float64, reference: Float64 | None) -> list[Measure]:
    """Root mean square error, and the part of the targets' variance that is explained (R squared)."""

    def error(x: Float64) -> float:
        return float(np.sqrt(np.square(x - targets).mean()))

    def explained(x: Float64) -> float:
        spread = float(np.square(targets - targets.mean(axis=0)).sum())
        return 1 - float(np.square(x - targets).sum()) / spread if spread else math.nan

    found = [_both("RMSE", error, given, reference, lower=True), _both("R2", explained, given, reference)]
    return [measure for measure in found if math.isfinite(measure.value)]


def _embeddings(task: Embeddings, given: Float64, reference: Float64 | None) -> list[Measure]:
    """Rank correlation (Spearman's) of cosines with what pairs were judged, and mean cosine to the float network."""
    found = []
    if len(task.pairs) > 1:
        first, second = task.pairs.T

        def ranks(x: Float64) -> float:
            return float(stats.spearmanr(_cosines(x[first], x[second]), task.scores).statistic)

        found.append(_both("Spearman", ranks, given, reference))
    if reference is not None:
        found.append(Measure("cosine", float(_cosines(given, reference).mean()), 1.0))
    return found


def _cosines(a: Float64, b: Float64) -> Float64:
    """Cosines of the angles between rows; 0 where one is zero."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found: Float64 = np.divide((a * b).sum(axis=1), lengths, out=np.zeros(len(a)), where=lengths > 0)
    return found


#: Largest mean that a perplexity is told of, so that it stays a float.
MOST_NATS = 700.0


def _language(targets: Int64, given: Float64, reference: Float64 | None) -> list[Measure]:
    """Perplexity; tokens on which both networks agree; and how far their distributions are apart.

    The last is the mean over tokens of the Kullback-Leibler divergence sum p log(p / q) in nats, p of the float one.
    Perplexity alone misleads: what is lost on some tokens may be won on others.
    """
    asked = targets >= 0
    found = []
    if asked.any():

        def perplexity(x: Float64) -> float:
            return math.exp(min(negative_log_likelihoods(x, targets).mean(), MOST_NATS))

        found.append(_both("perplexity", perplexity, given, reference, lower=True))
    if reference is not None:
        agreed = float((given.argmax(axis=-1) == reference.argmax(axis=-1)).mean())
        found.append(Measure("token agreement", agreed, 1.0, fraction=True))
        p, q = (special.log_softmax(x, axis=-1) for x in (reference, given))
        found.append(Measure("KL divergence", float((np.exp(p) * (p - q)).sum(axis=-1).mean()), 0.0, lower=True))
    return found


def negative_log_likelihoods(logits: NDArray[np.floating], targets: Int64) -> Float64:
    """-log of the probability of each token that is asked for, float64, shape (tokens,).

    Parameters
    ----------
    logits
        Shape (batch, length, vocabulary).
    targets
        Shape (batch, length), negative where none is asked for.
    """
    asked = np.nonzero(targets >= 0)
    chosen = logits[asked].astype(np.float64)
    found: Float64 = special.logsumexp(chosen, axis=-1) - chosen[np.arange(len(chosen)), targets[asked]]
    return found
