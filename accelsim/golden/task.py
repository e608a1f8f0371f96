"""What judges a network: what its outputs for the test inputs should be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """The largest output names a class.

    Parameters
    ----------
    labels
        Class of each test input, int64, shape (batch,).
    middle
        What divides two classes that have a single output: 0 of a logit, 0.5 of a probability.
    """

    labels: Int64
    middle: float = 0.0

    def of(self, samples: Int64) -> Classification:
        """The task for some of the test inputs."""
        return Classification(self.labels[samples], self.middle)


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """Outputs are numbers.

    Parameters
    ----------
    targets
        What they should be, float64, of the outputs' shape.
    """

    targets: Float64

    def of(self, samples: Int64) -> Regression:
        """The task for some of the test inputs."""
        return Regression(self.targets[samples])


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Outputs are vectors whose angles say how alike the inputs are.

    Parameters
    ----------
    pairs
        Numbers of two test inputs each, int64, shape (pairs, 2); none if nobody has judged them.
    scores
        How alike they were judged, float64, shape (pairs,).
    """

    pairs: Int64
    scores: Float64

    def of(self, samples: Int64) -> Embeddings:
        """The task for the first test inputs: of pairs those of which both are there."""
        there = (self.pairs < len(samples)).all(axis=1)
        return Embeddings(self.pairs[there], self.scores[there])


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """Outputs are logits of the next token.

    Parameters
    ----------
    targets
        The token that comes next, int64, shape (batch, length); negative where none is asked for.
    """

    targets: Int64

    def of(self, samples: Int64) -> Language:
        """The task for some of the test inputs."""
        return Language(self.targets[samples])


Task = Classification | Regression | Embeddings | Language


def next_tokens(ids: Int64) -> Int64:
    """Token that follows each one of some texts, -1 behind the last; shape (batch, length)."""
    return np.concatenate((ids[:, 1:], np.full((len(ids), 1), -1, np.int64)), axis=1)
