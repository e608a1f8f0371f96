"""One point of a sweep, everything that it names read and checked, and what simulating it gives."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from accelsim import api, provenance
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import Machine
from accelsim.config.tech import Technology
from accelsim.files import hash_of, is_file
from accelsim.workload.load import Workload, network_of
from accelsim.workload.network import Network
from accelsim.workload.tensor_files import MAX_TENSOR_FILE_BYTES

#: What of a summary is not kept of a point.
LEFT_OUT = {"counters", "layers", "provenance"}
#: Compressed networks that a worker keeps, if their weights are no larger.
KEPT_NETWORKS = 8
KEPT_BYTES = 2**26


class Inputs(NamedTuple):
    """Hashes of what a point is made of."""

    arch: str
    tech: str
    recipe: str
    workload: str


@dataclass(frozen=True, slots=True)
class Job:
    """A point, ready to be simulated.

    Parameters
    ----------
    key
        Hash of all that its figures depend on.
    """

    key: str
    machine: Machine
    technology: Technology
    recipe: Recipe
    workload: Workload
    inputs: Inputs
    engine: str
    timing_only: bool
    residency: bool


def simulate(job: Job) -> str:
    """Figures of a point: a summary without layers, counters and provenance, as JSON.

    Raises
    ------
    AccelSimError
        If the network can't be compressed so, or be executed on the machine.
    """
    result = api.simulate(
        _prepared(job),
        job.machine,
        job.technology,
        engine=job.engine,
        timing_only=job.timing_only,
        residency=job.residency,
    )
    return result.summary.model_dump_json(exclude=LEFT_OUT)


def workload_hash(workload: Workload) -> str:
    """Hash of a workload and of its tensors' files, as far as they exist."""
    there = {name: path for name, path in workload.files.items() if is_file(path)}
    files = {name: hash_of(path, MAX_TENSOR_FILE_BYTES) for name, path in there.items()}
    return provenance.content_hash({"spec": workload.spec.model_dump(mode="json"), "files": files})


_networks: OrderedDict[tuple[str, str, bool], api.Prepared] = OrderedDict()


def _prepared(job: Job) -> api.Prepared:
    """The compressed network, which many points share; a few are kept, the least recently used one goes."""
    values = api.needs_values(job.machine, job.recipe, timing_only=job.timing_only)
    key = (job.inputs.workload, job.inputs.recipe, values)
    if key in _networks:
        _networks.move_to_end(key)
        return _networks[key]
    network = network_of(job.workload, values=values)
    begun = network_of(job.workload, job.recipe.weights) if job.recipe.weights else network
    prepared = api.prepare(network, begun, job.recipe)
    if not values or _bytes(network) <= KEPT_BYTES:
        _networks[key] = prepared
        if len(_networks) > KEPT_NETWORKS:
            _networks.popitem(last=False)
    return prepared


def _bytes(network: Network) -> int:
    return sum(value.numbers.nbytes for value in network.graph.constants)
