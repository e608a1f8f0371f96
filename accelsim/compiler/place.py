"""Pass 4: what stays on chip, whole or in strips, from the first number that is written to the last that is read.

A value can stay where results are written to the scratchpad that activations are read from. It lies there pixel by
pixel, or row by row; around images stands the padding that its readers' windows want, so that each of the kernel's
pixels is an address. What of the scratchpad is left is where a fusion's tiles take turns, so that values are chosen and
fusions cut together: a value stays if that takes fewer DRAM bursts, and hardly more time.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from accelsim.compiler import depth, tiling
from accelsim.compiler.depth import Run
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.held import Border, Held
from accelsim.compiler.image import Image
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import FloatRows, RowFunction, VectorWork
from accelsim.compiler.lowering import Lowering, Stay, kept_in
from accelsim.compiler.product import Product
from accelsim.compiler.tiling import Cut, Cutter, OnChip
from accelsim.config.arch import Machine
from accelsim.errors import DefectError, DoesNotFitError
from accelsim.graph.value import Shape
from accelsim.units import align_up

#: Time that fewer DRAM bursts may cost where a value stays, as a factor of that of the fusions meanwhile, if time is to
#: be least.
SLACK = 1.02


def place(lowering: Lowering, machine: Machine) -> Lowering:
    """Choose what stays on chip, and cut all fusions.

    Raises
    ------
    DoesNotFitError
        If not even the smallest tiles of a fusion fit.
    """
    plan = _planned(lowering, machine)
    if _may_stay(lowering, machine):
        plan = _in_strips(plan, machine)
    cuts = plan.finished()
    return dataclasses.replace(
        plan.lowering,
        flows=tuple(cut.flow for cut in cuts),
        tilings=tuple(cut.tiling for cut in cuts),
        rooms=tuple(cut.rooms for cut in cuts),
        stays=plan.stays,
    )


def _may_stay(lowering: Lowering, machine: Machine) -> bool:
    """Whether values may stay on chip at all."""
    return lowering.residency and "output" in machine.shared and not machine.feature_major


def _planned(lowering: Lowering, machine: Machine, former: Cutter | None = None) -> _Plan:
    """Choose what stays on chip of a graph as it is, and cut its fusions, those alike as another cutter has."""
    plan = _Plan(Cutter(lowering, machine, former), lowering)
    if _may_stay(lowering, machine):
        candidates = _candidates(lowering, machine)
        for name in sorted(candidates, key=lambda name: _worth(candidates[name]), reverse=True):
            plan.keep(name, candidates[name])
    return plan


def _in_strips(plan: _Plan, machine: Machine) -> _Plan:
    """Cut runs of fusions into strips, those that save DRAM bursts and hardly take more time.

    What a run saves is known when it is placed and cut; until then it is taken to be what `depth` expects.
    """
    burst, chosen = machine.dram.burst_bytes, plan
    slack = 1 + (plan.slack - 1) / 2  # half of what a value may cost: there are more estimates to be wrong
    moved = [cut.bursts * burst for cut in plan.cuts]
    weights = [tiling.weight_bytes(cut) for cut in plan.finished()]
    runs = depth.candidates(plan.lowering, moved, weights, frozenset(plan.stays), machine.activation.capacity_bytes)
    known: dict[Run, None] = {}  # in an order that is the same in every process
    for _ in range(ROUNDS):
        best = depth.best(runs, len(plan.cuts))
        if all(run in known for run in best):
            break
        found = depth.cut(plan.lowering, best, machine)
        cut = _planned(found.lowering, machine, plan.cutter)
        runs = [run for run in runs if run not in best]
        for run, numbers in zip(found.runs, found.of_run, strict=True):
            before = _cost([plan.cuts[number] for number in run.numbers])
            after = _cost([cut.cuts[number] for number in numbers])
            if after.cycles <= before.cycles * slack and after.bursts < before.bursts:
                known[run._replace(saved=burst * (before.bursts - after.bursts))] = None
        runs += [run for run in known if run not in runs]
        before, after = _cost(chosen.cuts), _cost(cut.cuts)
        if after.cycles <= _cost(plan.cuts).cycles * slack and after.bursts < before.bursts:
            chosen = cut
    return chosen


#: Core cycles that beginning a fusion costs beside its estimate, about: latencies of DRAM and array.
BEGUN = 150
#: Times that runs are chosen anew because some of those before save less than expected.
ROUNDS = 8


def _worth(stay: Stay) -> float:
    """DRAM bytes that a value saves for each byte that it keeps from others, for as many fusions as it lasts."""
    return 1 / (stay.last - stay.first + 1)


class _Plan:
    """What stays so far, and how fusions are cut beside it."""

    def __init__(self, cutter: Cutter, lowering: Lowering) -> None:
        self.cutter = cutter
        self.lowering = lowering
        self.slack = SLACK if lowering.least == "time" else math.inf
        self.fusions = lowering.fusions
        self.capacity_bytes = cutter.machine.activation.capacity_bytes
        self.word = cutter.machine.activation.width_bytes
        self.bank = cutter.machine.activation.range_bytes
        self.stays: dict[str, Stay] = {}
        self.cuts = [cutter.cut(number, self._on_chip(number)) for number in range(len(self.fusions))]

    def _on_chip(self, number: int) -> OnChip:
        fusion = self.fusions[number]
        sources = tuple(kept_in(self.stays, self.lowering.views[name]) for name in fusion.sources)
        lows = [stay.held.low for stay in self.stays.values() if stay.first <= number <= stay.last]
        target = kept_in(self.stays, self.lowering.views[fusion.target])
        return OnChip(sources, target, min(lows, default=None))

    def finished(self) -> list[Cut]:
        """The cuts, each with its fusion's own flow."""
        cuts = enumerate(self.cuts)
        return [self.cutter.finished(number, cut, self._on_chip(number)) for number, cut in cuts]

    def keep(self, name: str, stay: Stay) -> None:
        """Keep a value at the best of the places that are free, unless that costs more than it saves."""
        numbers = range(stay.first, stay.last + 1)
        tried: list[tuple[Cost, Stay, list[Cut]]] = []
        for low in dict.fromkeys(self._lows(stay)):
            self.stays[name] = stay._replace(held=stay.held.at(low))
            try:
                cuts = [self.cutter.cut(number, self._on_chip(number)) for number in numbers]
            except DoesNotFitError:
                continue
            tried.append((_cost(cuts), self.stays[name], cuts))
        self.stays.pop(name, None)
        before = _cost(self.cuts[stay.first : stay.last + 1])
        cost, kept, cuts = min(tried, key=lambda one: one[0], default=(before, stay, []))
        if cost.cycles <= before.cycles * self.slack and cost.bursts < before.bursts:
            self.stays[name] = kept
            self.cuts[stay.first : stay.last + 1] = cuts

    def _lows(self, stay: Stay) -> Iterator[int]:
        """First bytes of the highest free places, below another value or a bank: one of each range of banks."""
        beside = [other.held for other in self.stays.values() if other.beside(stay)]
        tops = {held.low // align * align for held in beside for align in (self.word, self.bank)}
        known: set[tuple[int, int]] = set()
        for top in sorted({self.capacity_bytes, *tops}, reverse=True):
            low = (top - stay.held.bytes) // self.word * self.word
            free = all(low >= held.low + held.bytes or held.low >= low + stay.held.bytes for held in beside)
            banks = low // self.bank, (low + stay.held.bytes - 1) // self.bank
            if low > 0 and free and banks not in known:
                known.add(banks)
                yield low


class Cost(NamedTuple):
    """What fusions are estimated to take: core cycles, and DRAM bursts."""

    cycles: float
    bursts: float


def _cost(cuts: Sequence[Cut]) -> Cost:
    return Cost(sum(cut.cycles + BEGUN for cut in cuts), sum(cut.bursts for cut in cuts))


def _candidates(lowering: Lowering, machine: Machine) -> dict[str, Stay]:
    """Values that can stay, at byte 0 each, by name: what one fusion forms, or what several form side by side."""
    formers: dict[str, list[int]] = {}
    readers: dict[str, list[int]] = {}
    for number, fusion in enumerate(lowering.fusions):
        formers.setdefault(lowering.views[fusion.target].root, []).append(number)
        for root in dict.fromkeys(lowering.views[name].root for name in fusion.sources):
            readers.setdefault(root, []).append(number)
    found = {}
    for root, forming in formers.items():
        reading = readers.get(root, [])
        if root not in lowering.graph.values or not reading or reading[-1] < forming[-1]:
            continue
        formed_by, read_by = ([lowering.fusions[number] for number in numbers] for numbers in (forming, reading))
        held = _layout(lowering, root, formed_by, read_by, machine)
        if held:
            found[root] = Stay(held, forming[0], reading[-1])
    return found


def _layout(  # noqa: PLR0911 - one a reason
    lowering: Lowering, name: str, formers: Sequence[Fusion], readers: Sequence[Fusion], machine: Machine
) -> Held | None:
    """How a value lies on chip so that all who form it and read it can; None if there is no such way."""
    graph = lowering.graph
    value, view = graph[name], lowering.views[name]
    operand_bits = value.element.memory_bits
    bits = value.features * operand_bits
    if name in graph.leaving or view != lowering.storages[name] or bits % 8:
        return None
    if not all(_forms(lowering, name, former) for former in formers):
        return None
    if not all(_reads(lowering, name, reader) for reader in readers):
        return None
    windows = [
        _Window(image, lowering.views[reader.sources[0]].offset) for reader in readers if (image := _image(reader))
    ]
    images = [image for image, _ in windows]
    shape = value.shape if len(value.shape) == 4 else None
    if not images:
        # pixels follow each other without gaps, so that lines of them are runs
        pitch = bits // 8 if shape else align_up(bits // 8, machine.activation.width_bytes)
        return Held(0, 1, value.samples, 1, pitch, operand_bits)
    if shape is None or not all(_slides(window, shape, operand_bits) for window in windows):
        return None
    border = Border(*(max(image.window.padding[side] for image in images) for side in range(4)))
    fills = {image.fill for image in images if any(image.window.padding)}
    held = Held(0, *shape[:3], bits // 8, operand_bits, border, min(fills, default=0))
    if len(fills) > 1 or (held.lined and not all(map(_takes_lines, (*formers, *readers)))):
        return None
    if held.lined and not all(_dense(lowering, fusion) for fusion in (*formers, *readers)):
        return None
    return held


class _Window(NamedTuple):
    """Images that a reader's windows slide over, and bits from a value's first number to theirs."""

    image: Image
    offset: int


def _slides(window: _Window, shape: Shape, bits: int) -> bool:
    """Whether windows slide over all lines of images, or over some of the only one without padding between these."""
    image, offset = window
    if (image.width, image.channels) != shape[2:] or image.samples != shape[0]:
        return False
    top, _, bottom, _ = image.window.padding
    first = offset // (shape[2] * shape[3] * bits)
    return not (top and first) and not (bottom and first + image.height < shape[1])


def _image(fusion: Fusion) -> Image | None:
    """Images that a fusion's windows slide over."""
    return None if isinstance(fusion.work, HostWork) else fusion.work.image


def _forms(lowering: Lowering, name: str, fusion: Fusion) -> bool:
    """Whether what a fusion forms can stay where it is formed, as all of a value or as lines of it."""
    work = fusion.work
    if isinstance(work, HostWork) or work.period or (isinstance(work, Product) and work.factor):
        return False
    return _lies_in(lowering, fusion.target, name)


def _reads(lowering: Lowering, name: str, reader: Fusion) -> bool:
    """Whether a fusion can read a value where it is formed, row by row."""
    work = reader.work
    if isinstance(work, HostWork) or work.period:
        return False
    if isinstance(work, Product) and (work.factor or work.integers or len(reader.beside) > 1):
        return False
    return all(_lies_in(lowering, source, name) for source in reader.sources if lowering.views[source].root == name)


def _lies_in(lowering: Lowering, part: str, name: str) -> bool:
    """Whether a value is all rows of another one, in order, or some lines of its only image."""
    graph, views = lowering.graph, lowering.views
    rows, value = graph[part], graph[name]
    there, place = (views[of].matrix(feature_major=False) for of in (part, name))
    if place is None or there is None or (rows.features, there.pitch) != (value.features, place.pitch):
        return False
    lines = len(rows.shape) == len(value.shape) and rows.shape[2:] == value.shape[2:] and value.shape[0] == 1
    return not (there.leads or place.leads) and (rows.samples == value.samples or lines)


def _takes_lines(fusion: Fusion) -> bool:
    """Whether a fusion reads and forms whole lines of images, between which padding may lie."""
    work = fusion.work
    if isinstance(work, Product):
        return work.integers is None
    return isinstance(work, VectorWork) and not isinstance(work.function, RowFunction | FloatRows)


def _dense(lowering: Lowering, fusion: Fusion) -> bool:
    """Whether lines of what a fusion of two tensors reads and forms are runs of bytes where they lie in DRAM."""
    if not isinstance(fusion.work, VectorWork) or fusion.work.image:
        return True
    for name in (*fusion.sources, fusion.target):
        value, place = lowering.graph[name], lowering.views[name].matrix(feature_major=False)
        bits = value.features * value.element.memory_bits
        if place is None or place.leads or 8 * place.pitch != bits or len(value.shape) != 4:
            return False
    return True


def check(lowering: Lowering, machine: Machine) -> None:
    """What is on chip at once does not overlap, and lies beside the rooms of the fusions meanwhile."""
    stays = lowering.stays
    for name, stay in stays.items():
        low, high = stay.held.low, stay.held.low + stay.held.bytes
        if low < 0 or high > machine.activation.capacity_bytes:
            raise DefectError(f"{name} must lie in the scratchpad, not from {low} to {high}")
        for other_name, other in stays.items():
            apart = other.held.low >= high or low >= other.held.low + other.held.bytes
            if name != other_name and stay.beside(other) and not apart:
                raise DefectError(f"{name} and {other_name} overlap on chip")
        for number in range(stay.first, stay.last + 1):
            for room in lowering.rooms[number] or ():
                if room.sram.capacity_bytes and room.base + room.sram.capacity_bytes > low and room.base < high:
                    shared = room.memory.name.lower() in ("activation", *machine.shared)
                    if shared:
                        raise DefectError(f"{name} overlaps the {room.memory.name.lower()} tiles of fusion {number}")
    tiling.check(lowering, machine)
