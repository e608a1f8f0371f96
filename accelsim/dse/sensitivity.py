"""One scheme on one layer at a time: what the network's outputs lose, by golden arithmetic and without simulation.

Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015, arXiv:1506.02626,
section 3.2 and figure 6: layers bear pruning differently, and each one's threshold follows from a scan of it alone.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from accelsim import api
from accelsim.compress.apply import quantize, quantizer_of, rewritten
from accelsim.compress.prune.columns import PruneColumns
from accelsim.compress.prune.magnitude import PruneMagnitude
from accelsim.compress.prune.nm import PruneGroups
from accelsim.compress.prune.wanda import PruneWanda
from accelsim.compress.quantize.binary import Signs
from accelsim.compress.quantize.dynamic import DynamicIntegers
from accelsim.compress.quantize.integers import Integers
from accelsim.compress.recipe import Quantizer, Recipe, Rewriter, Step, load_recipe
from accelsim.compress.rewrite import Rewrite
from accelsim.config.load import load_machine, wording
from accelsim.config.operands import OPERANDS
from accelsim.errors import ConfigError, Fault, WorkloadError, unknown_name
from accelsim.golden import exact, real
from accelsim.graph.layer import Layer, layers
from accelsim.results import Quality
from accelsim.sensitivity import Budgets, Change, Row, Sensitivity, words
from accelsim.summary import judged
from accelsim.workload.network import Network
from accelsim.workload.source import Source, load_network

#: A share, bits of a weight, or N and M.
Value = float | tuple[int, int]
#: What a scan adds to a recipe.
Added = Rewriter | Integers

DEFAULT_SCHEME = "prune_magnitude"
#: Accuracies that differ by less are equal: they are quotients of counts.
ROUNDING = 1e-9


class Dial(NamedTuple):
    """What of a scheme is scanned.

    Parameters
    ----------
    step
        The recipe step.
    field
        Its field that a value sets.
    values
        What is taken if no values are asked for.
    recipe
        The base recipe if none is asked for.
    """

    step: type[Added]
    field: str
    values: tuple[Value, ...]
    recipe: str = "fp32"


DIALS = {
    "prune_magnitude": Dial(PruneMagnitude, "sparsity", (0.5, 0.7, 0.9)),
    "prune_wanda": Dial(PruneWanda, "sparsity", (0.5, 0.7, 0.9)),
    "prune_columns": Dial(PruneColumns, "sparsity", (0.2, 0.4, 0.6)),
    "prune_nm": Dial(PruneGroups, "pattern", ((3, 4), (2, 4), (1, 4))),
    "weight_bits": Dial(Integers, "weight_bits", (6, 4, 3, 2), "int8"),
}


def dial(scheme: str) -> Dial:
    """What of a scheme is scanned.

    Raises
    ------
    ConfigError
        If the scheme is not one of those that can be; the nearest names are offered.
    """
    if scheme not in DIALS:
        raise ConfigError(Fault(unknown_name("scheme of a scan", scheme, DIALS), key="scheme"))
    return DIALS[scheme]


def parse(scheme: str, text: str) -> Value:
    """Read a value: N:M for a pattern, else a number.

    Raises
    ------
    ConfigError
        If it is neither, or the scheme is unknown.
    """
    field = dial(scheme).field
    try:
        if field != "pattern":
            return float(text)
        kept, group = map(int, text.split(":"))
    except ValueError:
        required = "N:M, such as 2:4" if field == "pattern" else "a number"
        raise ConfigError(Fault(f"must be {required}, for {field} of {scheme}, not {text!r}", key="values")) from None
    return kept, group


def scan(
    workload: str | Source = api.DEFAULT_WORKLOAD,
    scheme: str = DEFAULT_SCHEME,
    values: Sequence[Value] | None = None,
    recipe: str | None = None,
    *,
    loss: float | None = None,
    sqnr_db: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Sensitivity:
    """Apply a scheme to each layer alone, all others left as a base recipe has them.

    A pruning scheme comes after the base's own rewriting steps, so that what it makes zero stays so; `weight_bits`
    changes the base's integers.

    Parameters
    ----------
    scheme, values
        One of `DIALS`, and what its field is set to; by default those that stand there.
    recipe
        Base recipe, a shipped name or a path: fp32, and int8 for `weight_bits`, if absent.
    loss, sqnr_db
        Accuracy that a layer may lose against the base recipe, and SQNR in decibels that it must leave; where both are
        given, both count. With either, `budgets` says how far each layer can go, and what all of them lose together.
    progress
        Called with what is going on, how many evaluations are done, and of how many.

    Raises
    ------
    AccelSimError
        If the workload or the recipe is not valid, or a value is not one for the scheme.
    """
    chosen = dial(scheme)
    base = load_recipe(recipe or chosen.recipe)
    scanner = _Scanner.of(workload, base)
    tolerance = _Tolerance.of(loss, sqnr_db, scanner.trained)
    trials = [
        _Trial(layer, value, _step(scheme, value, layer, quantizer_of(layer, base)))
        for layer in layers(scanner.rewrote.graph)
        for value in dict.fromkeys(chosen.values if values is None else values)
    ]
    rows: list[Row] = []
    for number, trial in enumerate(trials):
        if progress:
            progress("scanning", number, len(trials))
        rows.append(scanner.row(trial, tolerance))
    if progress:
        progress("scanning", len(trials), len(trials))
    return Sensitivity(
        workload=scanner.trained.name,
        recipe=base.name,
        scheme=scheme,
        baseline=scanner.baseline,
        rows=rows,
        budgets=scanner.budgets(scheme, rows, tolerance) if tolerance else None,
    )


class _Trial(NamedTuple):
    """A value of the scheme for one layer."""

    layer: Layer
    value: Value
    step: Added


class _Tolerance(NamedTuple):
    """What one layer may lose."""

    loss: float | None
    sqnr_db: float | None

    @classmethod
    def of(cls, loss: float | None, sqnr_db: float | None, network: Network) -> _Tolerance | None:
        """Check what was said of it; None if nothing was."""
        if loss is not None and not 0 <= loss <= 1:
            raise ConfigError(Fault(f"must be a fraction from 0 to 1, not {loss}", key="loss"))
        if loss is not None and network.task is None:
            raise ConfigError(Fault(f"must be absent for {network.name}, which has no task", key="loss"))
        if sqnr_db is not None and not math.isfinite(sqnr_db):
            raise ConfigError(Fault(f"must be decibels, not {sqnr_db}", key="sqnr"))
        return None if loss is None and sqnr_db is None else cls(loss, sqnr_db)

    def holds(self, change: Change) -> bool:
        """Whether a change loses no more; outputs without any noise lose nothing."""
        noise = math.inf if change.quality.sqnr_db is None else change.quality.sqnr_db
        accurate = self.loss is None or change.lost is None or change.lost <= self.loss + ROUNDING
        return accurate and (self.sqnr_db is None or noise >= self.sqnr_db)

    def __str__(self) -> str:
        parts = [] if self.loss is None else [f"loses at most {self.loss:g} of accuracy"]
        parts += [] if self.sqnr_db is None else [f"leaves an SQNR of at least {self.sqnr_db:g} dB"]
        return " and ".join(parts)


@dataclass(frozen=True)
class _Scanner:
    """A network by its base recipe, and what changes of it are held against.

    Parameters
    ----------
    trained
        The float network without any compression.
    real
        Its outputs.
    rewrote
        What the base recipe begins with and rewrites.
    fold_inputs
        Those of the base's machine, on which the rounding of float sums depends.
    """

    trained: Network
    real: NDArray[np.float64]
    base: Recipe
    rewrote: Network
    fold_inputs: int

    @classmethod
    def of(cls, workload: str | Source, base: Recipe) -> _Scanner:
        """Load and evaluate."""
        outline = load_network(workload, values=False)  # so that nothing large is drawn in vain
        if len(outline.graph.outputs) > 1:
            raise WorkloadError(
                f"{outline.name}: layers must form a chain, whose last outputs are judged, not be independent"
            )
        trained = load_network(workload)
        begun = load_network(workload, base.weights) if base.weights else trained
        rewrote = rewritten(begun, base)
        fold_inputs = load_machine(base.arch or api.DEFAULT_ARCH).fold_inputs
        (last,) = trained.graph.outputs
        wanted = real.evaluate(trained.graph, trained.inputs, (last,))[last]
        return cls(trained, wanted, base, rewrote, fold_inputs)

    @cached_property
    def baseline(self) -> Quality:
        """Quality of the base recipe alone."""
        return self._quality(self.rewrote, self.base)

    def row(self, trial: _Trial, tolerance: _Tolerance | None) -> Row:
        """What one step does."""
        done = self._change([trial.step])
        value = 1 - trial.value[0] / trial.value[1] if isinstance(trial.value, tuple) else trial.value
        return Row(
            **dict(done),
            layer=trial.layer.name,
            value=value,
            step=trial.step,
            within=tolerance.holds(done) if tolerance else None,
        )

    def budgets(self, scheme: str, rows: Sequence[Row], tolerance: _Tolerance) -> Budgets:
        """For each layer the row within that saves most, and what they do together."""
        fit = [row for row in rows if row.within and row.saved_bits > 0]
        layers = dict.fromkeys(row.layer for row in fit)
        steps = [max((row for row in fit if row.layer == x), key=lambda row: row.saved_bits).step for x in layers]
        done = self._change(steps)
        told = (
            f"{scheme} on {self.base.name}, for each layer of {self.trained.name} as much as alone {tolerance}; "
            f"all together {words(done.quality)}"
        )
        recipe = self._recipe(steps).model_copy(update={"name": f"{self.base.name}-{scheme}", "description": told})
        return Budgets(**dict(done), loss=tolerance.loss, sqnr_db=tolerance.sqnr_db, recipe=recipe)

    def _change(self, steps: Sequence[Step]) -> Change:
        """What steps do together."""
        recipe = self._recipe(steps)
        rewrote = rewritten(self.rewrote, recipe.model_copy(update={"steps": steps}))
        removed, saved = 0, 0
        for before, after in zip(layers(self.rewrote.graph), layers(rewrote.graph), strict=True):
            zeroed = int(np.count_nonzero(before.weight.numbers) - np.count_nonzero(after.weight.numbers))
            bits, fewer = (_weight_bits(quantizer_of(before, by)) for by in (self.base, recipe))
            removed += zeroed
            saved += zeroed * fewer + before.weight.numbers.size * (bits - fewer)
        found = self._quality(rewrote, recipe)
        lost = self.baseline.task.score - found.task.score if self.baseline.task and found.task else None
        return Change(removed=removed, saved_bits=saved, lost=lost, quality=found)

    def _recipe(self, steps: Sequence[Step]) -> Recipe:
        """The base with more steps: what rewrites after its own rewriting steps, what quantizes after all."""
        rewriting = [*self.base.rewrites, *(step for step in steps if isinstance(step, Rewrite))]
        others = [step for step in (*self.base.steps, *steps) if not isinstance(step, Rewrite)]
        return self.base.model_copy(update={"steps": [*rewriting, *others]})

    def _quality(self, rewrote: Network, recipe: Recipe) -> Quality:
        """Quality of a network's outputs as a run of it would find them."""
        graph = quantize(rewrote, recipe)
        inputs = [graph[name].element.quantize(x) for name, x in zip(graph.inputs, rewrote.inputs, strict=True)]
        (last,) = graph.outputs
        outputs = exact.evaluate(graph, inputs, self.fold_inputs)[last]
        given = graph[last].element.dequantize(outputs)
        return judged(self.trained.task, self.real, given)


def _step(scheme: str, value: Value, layer: Layer, quantizer: Quantizer) -> Added:
    """The step of one layer for a value."""
    chosen = dial(scheme)
    fields: dict[str, Any] = {"scheme": scheme}
    if chosen.step is Integers:
        if not isinstance(quantizer, Integers):
            raise ConfigError(f"layer {layer.name}: {scheme} must be for integers, not {quantizer.scheme}")
        if layer.weight.step is not None:
            raise ConfigError(f"layer {layer.name}: {scheme} must be open, but the recipe fixes the weights' steps")
        fields = dict(quantizer)
    elif isinstance(quantizer, Signs):
        raise ConfigError(f"layer {layer.name}: {scheme} must be for weights that can be zero, not signs")
    try:
        return chosen.step.model_validate({**fields, "layers": glob.escape(layer.name), chosen.field: value})
    except ValidationError as error:
        raise ConfigError(*(Fault(wording(detail), key="values") for detail in error.errors())) from None


def _weight_bits(quantizer: Quantizer) -> int:
    """Bits of a weight."""
    match quantizer:
        case Integers():
            return quantizer.chosen_weight_bits
        case DynamicIntegers():
            return quantizer.bits
        case _:
            return OPERANDS[quantizer.scheme].bits
