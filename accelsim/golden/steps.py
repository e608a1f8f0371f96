"""Several steps of a graph with states: what each writes, the next one reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph

#: Numbers of the values of a graph, by inputs and by what states hold; `None` for what they begin with.
Evaluate = Callable[[Sequence[Array], Sequence[Array] | None], Mapping[str, Array]]


def evaluate(
    graph: Graph, steps: Iterable[Sequence[Array]], one: Evaluate, states: Sequence[Array] | None = None
) -> Iterator[Mapping[str, Array]]:
    """Numbers of the values of each step.

    Parameters
    ----------
    steps
        Inputs of each.
    one
        Evaluates one step: `real.evaluate` or `exact.evaluate` of the graph.
    states
        What states hold before the first step; what they begin with if absent.
    """
    for inputs in steps:
        numbers = one(inputs, states)
        states = [numbers[state.written] for state in graph.states]
        yield numbers
