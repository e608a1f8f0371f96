"""The constant-rate server: exact in the long run, monotone in requests and cost."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from accelsim.memory.rate import Rate


def served(requests: list[int], per_cycle: int, cost: int) -> list[int]:
    """Cycles at which items requested in this order are served, each not before the one in front."""
    rate, times = Rate(per_cycle, cost), [0]
    for request in requests:
        cycle = rate.earliest(max(request, times[-1]))
        rate.serve(cycle)
        times.append(cycle)
    return times[1:]


@given(st.integers(1, 50), st.integers(1, 500), st.integers(2, 200))
def test_a_stream_runs_at_exactly_the_rate(per_cycle: int, cost: int, items: int) -> None:
    times = served([0] * items, per_cycle, cost)
    assert times == [Fraction(i * cost, per_cycle).__floor__() for i in range(items)]


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)), min_size=1, max_size=30),
    st.integers(1, 20),
    st.integers(1, 100),
    st.integers(0, 50),
)
def test_later_requests_or_a_larger_cost_never_serve_earlier(
    requests: list[tuple[int, int]], per_cycle: int, cost: int, slower: int
) -> None:
    fast = served([at for at, _ in requests], per_cycle, cost)
    slow = served([at + late for at, late in requests], per_cycle, cost + slower)
    assert all(s >= f for s, f in zip(slow, fast, strict=True))


def test_after_a_pause_the_next_item_is_served_at_once() -> None:
    assert served([0, 0, 100, 100], 16, 64) == [0, 4, 100, 104]
