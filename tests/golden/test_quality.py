"""Distances between outputs, and what they do to the task."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.golden import quality
from accelsim.golden.task import Classification, Embeddings, Language, Regression


def test_accuracy_takes_the_first_of_equal_outputs() -> None:
    outputs = np.array([[1, 5, 5], [7, 0, 0]])
    assert quality.accuracy(outputs, np.array([1, 0])) == 1
    assert quality.accuracy(outputs, np.array([2, 0])) == 0.5


def test_distances() -> None:
    a = np.array([3.0, 4.0])
    assert quality.sqnr_db(a, a + [0.3, 0.4]) == pytest.approx(20)
    assert quality.cosine(a, 2 * a) == pytest.approx(1)
    assert quality.sqnr_db(a, a) is None
    assert quality.cosine(a, 0 * a) is None
    assert quality.sqnr_db(1e200 * a, 1e200 * (a + np.array([0.3, 0.4]))) == pytest.approx(20)
    assert quality.cosine(1e200 * a, 1e-200 * a) == pytest.approx(1)
    assert quality.sqnr_db(np.array([np.inf]), a[:1]) is None


def named(found: list[quality.Measure]) -> dict[str, tuple[float, float | None]]:
    return {measure.name: (measure.value, measure.reference) for measure in found}


def test_classes_are_judged_by_the_largest_and_the_five_largest() -> None:
    logits = np.tile(np.arange(10.0), (4, 1))
    found = named(quality.measures(Classification(np.array([9, 8, 5, 0])), logits, logits[:, ::-1]))
    assert found == {"accuracy": (0.25, 0.25), "top-5": (0.75, 0.25)}


def test_one_output_is_a_logit_of_two_classes() -> None:
    found = quality.measures(Classification(np.array([1, 0, 1])), np.array([[2.0], [-1.0], [-3.0]]), None)
    assert named(found) == {"accuracy": (pytest.approx(2 / 3), None)}


def test_numbers_are_judged_by_their_errors() -> None:
    targets = np.array([[1.0], [2.0], [3.0], [6.0]])
    found = named(quality.measures(Regression(targets), targets + [[1.0], [-1.0], [1.0], [-1.0]], targets))
    assert found == {"RMSE": (1, 0), "R2": (pytest.approx(1 - 4 / 14), 1)}


def test_embeddings_are_judged_by_ranks_and_angles() -> None:
    vectors = np.array([[1.0, 0], [1, 0.1], [1, 1], [0, 1]])
    pairs = np.array([[0, 1], [0, 2], [0, 3]])
    found = named(quality.measures(Embeddings(pairs, np.array([5.0, 3.0, 1.0])), vectors, 2 * vectors))
    assert found["Spearman"] == (pytest.approx(1), pytest.approx(1))
    assert found["cosine"] == (pytest.approx(1), 1)
    turned = named(quality.measures(Embeddings(pairs, np.array([1.0, 3.0, 5.0])), vectors, vectors))
    assert turned["Spearman"][0] == pytest.approx(-1)


def test_language_is_judged_token_by_token() -> None:
    rng = np.random.default_rng(1)
    given, wanted, targets = rng.normal(size=(2, 5, 7)), rng.normal(size=(2, 5, 7)), rng.integers(0, 7, (2, 5))
    targets[:, -1] = -1
    found = named(quality.measures(Language(targets), given, wanted))

    def probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
        powers = np.exp(logits)
        normed: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
        return normed

    q, p = probabilities(given), probabilities(wanted)
    asked = [q[b, t, targets[b, t]] for b in range(2) for t in range(4)]
    assert found["perplexity"][0] == pytest.approx(np.prod(asked) ** (-1 / 8))
    assert found["token agreement"][0] == (given.argmax(axis=-1) == wanted.argmax(axis=-1)).mean()
    assert found["KL divergence"][0] == pytest.approx((p * np.log(p / q)).sum(axis=-1).mean())
    same = named(quality.measures(Language(targets), wanted, wanted))
    assert same["KL divergence"][0] == pytest.approx(0)
    assert same["token agreement"][0] == 1


def test_a_single_probability_is_divided_at_a_half() -> None:
    outputs, labels = np.array([[0.9], [0.1], [0.4]]), np.array([1, 0, 1])
    assert quality.measures(Classification(labels, 0.5), outputs, None)[0].value == pytest.approx(2 / 3)
    assert quality.measures(Classification(labels), outputs, None)[0].value == pytest.approx(
        2 / 3
    )  # all are the second
    assert Classification(labels, 0.5).of(np.array([0])).middle == 0.5
