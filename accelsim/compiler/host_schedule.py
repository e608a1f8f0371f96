"""The instructions of what the host computes: it is sent what it lacks, computes, and DRAM receives the result."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.instructions import Instructions, issue, joined
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lowering import HostPlacement, Lowering
from accelsim.compiler.moves import Moves, Stored
from accelsim.compiler.scratchpad import Scratchpads
from accelsim.compiler.tables import TableBuilder
from accelsim.compiler.tiles import Place
from accelsim.graph.element_info import element_info
from accelsim.graph.value import Value
from accelsim.isa.computations import Computation, NodeInfo, TensorInfo
from accelsim.isa.opcodes import COMPUTE, RECEIVE, SEND

Int64 = NDArray[np.int64]


class HostScheduler:
    """Works out the one step of a fusion of the host.

    Parameters
    ----------
    base
        Steps of the fusions before.
    known
        Values that the host has already: what it sends itself, computed or was sent.
    """

    def __init__(
        self,
        number: int,
        work: HostWork,
        lowering: Lowering,
        placement: HostPlacement,
        base: int,
        tables: TableBuilder,
        known: Collection[str],
    ) -> None:
        graph = lowering.graph
        self.number = number
        self.now = np.array([base])
        self.computation = _computation(work, lowering, placement)
        parts = (part for name in work.sources for part in lowering.parts_of(name))
        self.sent = [name for name in dict.fromkeys(map(lowering.stored_as, parts)) if name not in known]
        self._sends = [tensor(graph[part], lowering.places[part]) for part in self.sent]
        self._place = tables.computation(self.computation)

    @property
    def kinds(self) -> list[Int64]:
        """The one step."""
        return [np.zeros(1, np.int64)]

    @property
    def stored(self) -> Stored:
        """All rows of the result, by the one step."""
        return Stored(np.zeros(1, np.int64), self.now)

    def moves(self, scratchpads: Scratchpads, stored: Sequence[Sequence[Stored]]) -> list[Moves]:
        """Nothing: what the host reads is whole when the steps before have been issued."""
        del scratchpads, stored
        return []

    def issued(self, kind: Int64) -> Instructions:
        """Sends, the computation, and the receipt of its result."""
        compute = issue(COMPUTE, len(kind), computation=self._place, operations=self.computation.operations)
        sends = [_transfer(SEND, given) for given in self._sends]
        return joined(*sends, compute, _transfer(RECEIVE, self.computation.result))


def tensor(value: Value, place: Place) -> TensorInfo:
    """A value where it lies in DRAM, and at the same addresses of the host's memory."""
    return TensorInfo(
        name=value.name,
        shape=list(value.shape),
        element=element_info(value.element),
        address=place.address,
        pitch=place.pitch,
        feature_major=place.feature_major,
    )


def _computation(work: HostWork, lowering: Lowering, placement: HostPlacement) -> Computation:
    """What the host makes of which tensors."""
    graph = lowering.graph
    places = dict(zip((*work.sources, *work.constants), (*placement.sources, *placement.constants), strict=True))
    nodes = [NodeInfo(name=node.name, op=node.op, inputs=list(node.inputs), output=node.output) for node in work.nodes]
    return Computation(
        given=[tensor(graph[name], place) for name, place in places.items()],
        nodes=nodes,
        result=tensor(graph[work.target], placement.target),
    )


def _transfer(opcode: int, moved: TensorInfo) -> Instructions:
    """All rows of a tensor between DRAM and the host."""
    address, stride, rows, row_bytes = moved.region
    return issue(opcode, 1, dram=address, dram_stride=stride, rows=rows, row_bytes=row_bytes)
