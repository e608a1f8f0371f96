"""Depth first: which fusions are cut into strips, so that what they hand on stays on chip a strip at a time.

A value that is too large to stay goes out to DRAM and comes back. If the fusions that form and read it take turns, some
images, lines or features each, only a strip of it is there at once. Strips of rows load the weights each; strips of
features read all of what the first fusion reads each. Candidates are runs of fusions, by what they save, about: lines
and bytes of a strip follow from strides and reaches of windows alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple
from weakref import WeakKeyDictionary

from accelsim.compiler.fuse import fuse
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.layout import arrange
from accelsim.compiler.legalize import legalize
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.graph.graph import Graph, Node
from accelsim.graph.strips import Part, Strip, Strips, cut_all, lines_of
from accelsim.graph.value import Value
from accelsim.units import ceil_div, largest

#: Fusions of a run, at most: of strips of whole images, and of others, which have borders.
MOST_FUSIONS, MOST_WITH_BORDERS = 12, 4
#: Parts of the scratchpad that strips may fill; tiles take turns in what is left.
FILLED = (0.45, 0.3, 0.2)
#: Features that strips of features are multiples of: a burst of them, and columns of an array.
BLOCK = 64
#: DRAM bytes of which strips are not asked for, as a factor of what must be moved.
NEAR = 1.1
#: Strips of a run, at most.
MOST_STRIPS = 64
#: Ways of cutting a graph that are remembered, at most.
MOST_KNOWN = 32


class Run(NamedTuple):
    """Fusions that may be cut into strips, by number; what each strip forms of the last value; DRAM bytes saved."""

    first: int
    last: int
    target: str
    parts: tuple[Part, ...]
    saved: float

    @property
    def numbers(self) -> range:
        """The fusions."""
        return range(self.first, self.last + 1)


class InStrips(NamedTuple):
    """A lowering whose runs are cut into strips.

    Parameters
    ----------
    runs
        Those that could be.
    of_run
        Fusions of each run's strips, by number.
    """

    lowering: Lowering
    runs: list[Run]
    of_run: list[list[int]]


def candidates(
    lowering: Lowering,
    bytes_of: Sequence[float],
    weight_bytes: Sequence[int],
    kept: frozenset[str],
    capacity_bytes: int,
) -> list[Run]:
    """Runs that save something.

    Parameters
    ----------
    bytes_of, weight_bytes
        What each fusion moves over the DRAM's pins uncut, and its weights as they stand there.
    kept
        Values that stay on chip whole then.
    capacity_bytes
        Of the scratchpad that strips stay in.
    """
    fusions = zip(lowering.fusions, weight_bytes, strict=True)
    graph, steps = lowering.graph, [_Step.of(lowering, *each) for each in fusions]
    least = sum(step.weight_bytes for step in steps) + sum(
        graph[name].bytes for name in (*graph.inputs, *graph.outputs)
    )
    found: list[Run] = []
    if sum(bytes_of) <= NEAR * least:
        return found
    for first in range(len(steps)):
        images = lowering.graph[steps[first].target].shape[:1]
        most = MOST_FUSIONS if images > (1,) else MOST_WITH_BORDERS
        for last in range(first, min(first + most, len(steps))):
            if not steps[last].cuts:
                break
            stretch = _Stretch(lowering, steps[first : last + 1])
            moved = sum(bytes_of[first : last + 1])
            if first == last or stretch.inside <= kept or moved <= stretch.least_moved(kept):
                continue
            for filled in FILLED:
                for parts, moved_in_strips in stretch.ways(filled * capacity_bytes, kept):
                    if moved_in_strips < moved:
                        found.append(Run(first, last, stretch.target, tuple(parts), moved - moved_in_strips))
    return list(dict.fromkeys(found))


def best(runs: Sequence[Run], fusions: int) -> list[Run]:
    """Those that save the most of so many fusions' bytes, of which no two overlap."""
    ending: dict[int, list[Run]] = {}
    for run in runs:
        ending.setdefault(run.last, []).append(run)
    most: list[tuple[float, Run | None]] = [(0.0, None)]
    for last in range(fusions):
        ways = [(most[last][0], None), *((most[run.first][0] + run.saved, run) for run in ending.get(last, ()))]
        most.append(max(ways, key=lambda way: way[0]))
    chosen: list[Run] = []
    end = fusions
    while end:
        chosen_run = most[end][1]
        end = chosen_run.first if chosen_run else end - 1
        chosen += [chosen_run] if chosen_run else []
    return chosen[::-1]


def cut(lowering: Lowering, runs: Sequence[Run], machine: Machine) -> InStrips:
    """Cut runs into strips, and form fusions of them; those that can't be cut stay whole."""
    graph, strips_of, nodes_cut = _graph_cut(lowering, runs)
    fresh = Lowering(
        graph,
        lowering.inputs,
        lowering.recipe,
        residency=lowering.residency,
        least=lowering.least,
        whole=lowering.graph,
        strips=strips_of,
    )
    arranged = arrange(legalize(fuse(fresh, machine), machine), machine)
    found = [run for run, nodes in zip(runs, nodes_cut, strict=True) if nodes]
    run_of = {node.output: number for number, nodes in enumerate(filter(None, nodes_cut)) for node in nodes}
    of_run: list[list[int]] = [[] for _ in found]
    for number, fusion in enumerate(arranged.fusions):
        if fusion.target in strips_of:
            of_run[run_of[strips_of[fusion.target].of]].append(number)
    return InStrips(arranged, found, of_run)


class _GraphCut(NamedTuple):
    """A graph in strips, what its values are of those before, and nodes of each run; none if it stays whole."""

    graph: Graph
    strips: Mapping[str, Strip]
    nodes: tuple[tuple[Node, ...], ...]


#: By the graph that is cut, as long as somebody else holds it, and by the names of each run's nodes, the value whose
#: parts the strips form, and these: a sweep cuts one graph for many machines, which ask for the same few strips.
_known: WeakKeyDictionary[Graph, OrderedDict[Hashable, _GraphCut]] = WeakKeyDictionary()


def _graph_cut(lowering: Lowering, runs: Sequence[Run]) -> _GraphCut:
    """Cut those runs into strips that can be cut, or remember how that was done."""
    graph = lowering.graph
    nodes_of = [_nodes(graph, lowering.fusions[run.first : run.last + 1]) for run in runs]
    key = tuple(
        (tuple(node.name for node in nodes), run.target, run.parts) for run, nodes in zip(runs, nodes_of, strict=True)
    )
    known = _known.setdefault(graph, OrderedDict())
    if key not in known:
        strips = [Strips.of(graph, nodes, run.target, run.parts) for run, nodes in zip(runs, nodes_of, strict=True)]
        cut_graph, strips_of = cut_all(graph, [found for found in strips if found])
        known[key] = _GraphCut(cut_graph, strips_of, tuple(found.nodes if found else () for found in strips))
        if len(known) > MOST_KNOWN:
            known.popitem(last=False)
    known.move_to_end(key)
    return known[key]


def _nodes(graph: Graph, fusions: Sequence[Fusion]) -> list[Node]:
    """Nodes of fusions, and those between them that only move what these form."""
    held = {node.name for fusion in fusions for node in fusion.nodes}
    formed: set[str] = set()
    nodes = []
    for node in graph.nodes:
        between = node.op.moves and node.inputs[0] in formed
        if node.name in held or (between and all(reader.name in held for reader in graph.readers(node.output))):
            nodes.append(node)
            formed |= set(node.outputs)
    return nodes


@dataclass(frozen=True)
class _Step:
    """What strips of a fusion read and form.

    Parameters
    ----------
    reads
        Values that it reads.
    target
        What it forms.
    down, reach
        Lines from window to window, and lines that one has; 1 and 1 of a function of pixels.
    whole
        Whether it reads all lines of an image for each one that it forms.
    weight_bytes
        Bytes of its constant factor.
    cuts, by_feature
        Whether strips of rows can be cut at all, and whether those of features may begin with it.
    """

    reads: tuple[str, ...]
    target: str
    down: int
    reach: int
    whole: bool
    weight_bytes: int
    cuts: bool
    by_feature: bool

    @classmethod
    def of(cls, lowering: Lowering, fusion: Fusion, weight_bytes: int) -> _Step:
        """That of a fusion."""
        graph, product = lowering.graph, fusion.product
        image = None if isinstance(fusion.work, HostWork) else fusion.work.image
        value, reads = graph[fusion.target], lowering.parts_of_sources(fusion)
        lines = {lines_of(graph[name]) for name in reads} - {lines_of(value)}
        down, reach = (image.window.stride[0], image.window.reach[0]) if image else (1, 1)
        cuts = not isinstance(fusion.work, HostWork) and not (product and product.factor) and bool(value.shape)
        return cls(
            reads,
            fusion.target,
            down,
            reach,
            whole=bool(lines) and (image is None or lines_of(value) == 1),
            weight_bytes=weight_bytes,
            cuts=cuts,
            by_feature=bool(product) and image is None,
        )


class _Lines(NamedTuple):
    """Lines of a value that a strip has on chip, and how many of these it forms itself."""

    held: int
    formed: int


class _Stretch:
    """Fusions one behind the other, and what they read and form."""

    def __init__(self, lowering: Lowering, steps: Sequence[_Step]) -> None:
        self.graph = graph = lowering.graph
        self.steps = steps
        self.target = steps[-1].target
        formed = {step.target for step in steps}
        readers = lowering.readers
        within = {step.target: number for number, step in enumerate(steps)}
        self.inside = frozenset(
            name for name in formed if name not in graph.leaving and all(r in within for r in readers.get(name, ()))
        )
        self.last_read = {
            name: number for number, step in enumerate(steps) for name in step.reads if name in self.inside
        }
        self.weight_bytes = sum(step.weight_bytes for step in steps)
        self.outputs = [name for name in formed if name not in self.inside]

    @cached_property
    def outside(self) -> list[tuple[str, int]]:
        """What fusions read of others, and lines that their windows reach beyond the step from one to the next."""
        reads = ((name, step) for step in self.steps for name in step.reads)
        return [(name, max(0, step.reach - step.down)) for name, step in reads if name not in self.inside]

    def least_moved(self, kept: Container[str]) -> int:
        """DRAM bytes that strips move at least."""
        names = (*(name for name, _ in self.outside), *self.outputs)
        return self.weight_bytes + sum(self.graph[name].bytes for name in names if name not in kept)

    def ways(self, most_bytes: float, kept: Container[str]) -> Iterator[tuple[list[Part], float]]:
        """The fewest strips of which what is on chip at once fits, of rows and of features, and their DRAM bytes."""
        value = self.graph[self.target]
        images, lines, features = value.shape[0], lines_of(value), value.features
        written = sum(self.graph[name].bytes * (3 if name in kept else 1) for name in self.outputs)
        outside = [(name, beyond) for name, beyond in self.outside if name not in kept]
        read = sum(self.graph[name].bytes for name, _ in outside)
        size = largest(images * lines - 1, lambda size: self._peak(size) <= most_bytes)
        parts = _rows(value, size) if size else []
        short = size >= lines or len(self.steps) <= MOST_WITH_BORDERS
        if 1 < len(parts) <= MOST_STRIPS and short:
            within_images = len(parts) - images if size < lines else 0
            again = sum(beyond * self.graph[name].bytes // lines_of(self.graph[name]) for name, beyond in outside)
            again = again * within_images // images
            yield parts, written + read + again + len(parts) * self.weight_bytes
        first, *others = self.steps
        if not first.by_feature or any(step.weight_bytes or step.whole or step.reach > 1 for step in others):
            return
        size = largest(ceil_div(features, BLOCK) - 1, lambda size: self._block(size * BLOCK) <= most_bytes)
        parts = _blocks(value, size) if size else []
        if 1 < len(parts) <= MOST_STRIPS:
            again = sum(self.graph[name].bytes for name in first.reads if name not in kept) * (len(parts) - 1)
            yield parts, written + read + again + self.weight_bytes

    def _lines(self, size: int) -> Mapping[str, _Lines] | None:
        """Lines on chip of each value, in a strip of so many lines; None if they would be less than an image's."""
        last = lines_of(self.graph[self.target])
        if size >= last:
            return {name: _Lines(*[size // last * lines_of(self.graph[name])] * 2) for name in self.inside}
        formed, held = {self.target: size}, {self.target: size}
        for step in reversed(self.steps):
            new = formed.get(step.target, 0)
            for name in step.reads:
                if name in self.inside and step.whole:
                    return None
                lines = lines_of(self.graph[name])
                held[name] = max(held.get(name, 0), min(lines, (new - 1) * step.down + step.reach))
                formed[name] = max(formed.get(name, 0), min(lines, new * step.down))
        found = {name: (held.get(name, 0), formed.get(name, 0)) for name in self.inside}
        return {name: _Lines(max(both), both[1]) for name, both in found.items()}

    def _peak(self, size: int) -> float:
        """The most bytes that are there at once of what a strip forms and reads itself, kept lines twice."""
        lines = self._lines(size)
        if lines is None:
            return float("inf")
        values = map(self.graph.__getitem__, lines)
        line = {value.name: value.bytes // (value.shape[0] * lines_of(value)) for value in values}
        saved = sum((lines[name].held - lines[name].formed) * line[name] for name in lines)
        return saved + self._most({name: lines[name].held * line[name] for name in lines})

    def _block(self, features: int) -> float:
        """The most bytes that are there at once of what a strip of so many features forms and reads itself."""
        of_all = {name: self.graph[name].bytes * features // self.graph[name].features for name in self.inside}
        return self._most(of_all)

    def _most(self, sizes: Mapping[str, int]) -> int:
        """The most bytes of values that are there at once."""
        there, most = 0, 0
        for number, step in enumerate(self.steps):
            there += sizes.get(step.target, 0)
            most = max(most, there)
            there -= sum(size for name, size in sizes.items() if self.last_read.get(name) == number)
        return most


def _rows(value: Value, size: int) -> list[Part]:
    """Parts of so many lines of a value, all about as long: of whole images, or of one image each."""
    images, lines, features = value.shape[0], lines_of(value), range(value.features)
    if size >= lines:
        return [Part(of, range(lines), features) for of in _even(images, ceil_div(images, size // lines))]
    of_image = _even(lines, ceil_div(lines, size))
    return [Part(range(image, image + 1), of, features) for image in range(images) for of in of_image]


def _blocks(value: Value, size: int) -> list[Part]:
    """Parts of so many blocks of features at most, all about as large."""
    whole, blocks = Part.whole(value), ceil_div(value.features, BLOCK)
    cut = _even(blocks, ceil_div(blocks, size))
    return [whole._replace(features=range(of.start * BLOCK, min(of.stop * BLOCK, value.features))) for of in cut]


def _even(size: int, parts: int) -> list[range]:
    """Parts of a range, whose sizes differ by one at most."""
    ends = [size * number // parts for number in range(parts + 1)]
    return [range(low, high) for low, high in pairwise(ends)]
