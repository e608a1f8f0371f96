"""A resource that serves items at a constant rate, in exact integers."""

from __future__ import annotations


class Rate:
    """Serves an item as soon as the work before it ends within the current cycle.

    Work is measured in any integer unit: femtoseconds on a DRAM channel, shares of words on a port. Under load the
    long-run rate is exactly `per_cycle / cost` items a cycle, and a later request or a larger cost never makes an
    earlier service: both follow from service at max(request, floor(backlog / per_cycle)) and
    backlog' = max(backlog, service * per_cycle) + cost.

    Parameters
    ----------
    per_cycle
        Work that the resource does in a cycle.
    cost
        Work of one item.
    """

    __slots__ = ("backlog", "cost", "per_cycle")

    def __init__(self, per_cycle: int, cost: int) -> None:
        self.per_cycle = per_cycle
        self.cost = cost
        self.backlog = 0

    def earliest(self, cycle: int) -> int:
        """First cycle, not before `cycle`, in which an item can be served."""
        return max(cycle, self.backlog // self.per_cycle)

    def serve(self, cycle: int) -> None:
        """Serve one item in a cycle for which `earliest` allows it."""
        self.backlog = max(self.backlog, cycle * self.per_cycle) + self.cost

    @property
    def done(self) -> int:
        """First cycle at whose beginning all work is done."""
        return -(-self.backlog // self.per_cycle)
