"""accelsim beside SCALE-Sim 3.0.0 and ZigZag 3.9.1, on this machine in one go: `python benchmarks/versus.py [--quick]`.

- SCALE-Sim runs the shipped networks on a 128 x 128 weight-stationary array in CALC mode, by its Python interface,
  silent and without trace files (its command line always writes them). Each layer's total cycles plus one must be
  accelsim's array cycles, or the exit code is 1. It takes about 200 s and 8 GB a million cycles: AlexNet, with its
  fully connected layers, has 1.5 of them, ResNet-50 has 0.9, ResNet-18 has 0.4.
- The rows with a banked DRAM hold accelsim's run with that DRAM against the same run of SCALE-Sim, whose memory is
  ideal: in time alone, because cycles differ by what the DRAM costs.
- ZigZag searches a mapping and estimates its cost analytically; it simulates nothing. It gets the same layers on its
  own example of a weight-stationary array, and accelsim a 32 x 32 array with that example's DRAM bandwidth. These are
  two ways to ask what a network costs; cycles stand side by side and need not agree.

Times are CPU seconds, user and system, on one thread. `process` is a whole process, imports included. `call` is, for
accelsim, the least of five calls in a process that has made one before; for the others, which keep nothing from call to
call, the only call, after imports. Memory is the peak resident set of the process with one call. Both tools are
installed in environments of their own, which stay in --envs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

# This file also runs inside the environments of the others, and its memory counts for a process that it starts until
# that has loaded its program: what is measured is imported where it is needed, and nothing large here.

NETWORKS = ("alexnet-layers", "resnet-18-layers", "resnet-50-layers")
ARCH = "scale-sim-128x128-ws"
PART = "HBM2_8Gb_x128"
QUICK_NETWORK, QUICK_LAYERS = "alexnet-layers", 5
#: What pip installs for each tool. SCALE-Sim fails with numpy 2; ZigZag does not say that it needs six.
REQUIREMENTS = {
    "scalesim": ("scalesim==3.0.0", "numpy==1.26.4"),
    "zigzag": ("zigzag-dse==3.9.1", "six"),
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
#: How many times faster than SCALE-Sim a call on ResNet-50 must be, with ideal and with banked DRAM; its peak memory.
TARGETS = {"ideal": 1000.0, "banked": 50.0}
TARGET_BYTES = 300e6

CONFIGURATION = """\
[general]
run_name = run

[architecture_presets]
ArrayHeight: 128
ArrayWidth: 128
IfmapSramSzkB: 256
FilterSramSzkB: 256
OfmapSramSzkB: 256
IfmapOffset: 0
FilterOffset: 100000000
OfmapOffset: 200000000
Dataflow: ws
Bandwidth: 10
ReadRequestBuffer: 32
WriteRequestBuffer: 32

[layout]
IfmapCustomLayout: False
FilterCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2

[sparsity]
SparsitySupport: false

[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
BANKED = f"dram:\n  kind: banked\n  part: {PART}\n"
#: ZigZag's tpu_like moves 64 bits a cycle to and from its DRAM, of 10^10 bits; the clock here is 1 GHz.
SIMPLE = """\
dram:
  kind: simple
  capacity_bytes: 1250000000
  burst_bytes: 8
  bandwidth_bytes_per_s: 8e9
  latency_s: 1e-9
"""


class Child(NamedTuple):
    """What a process told and took.

    Parameters
    ----------
    told
        The object that it wrote.
    cpu_s
        User and system time of the whole process (s).
    peak_bytes
        Its largest resident set.
    """

    told: Any
    cpu_s: float
    peak_bytes: int


class Cost(NamedTuple):
    """CPU time of the call alone and of a whole process (s), and peak memory (bytes)."""

    call_s: float
    process_s: float
    peak_bytes: int


class Row(NamedTuple):
    """A network, once in accelsim and once in another tool; cycles are of all layers."""

    network: str
    memory: str
    layers: int
    cycles: int
    other_cycles: int
    other: Cost
    ours: Cost

    @property
    def times(self) -> tuple[float, float]:
        """How many times less CPU time accelsim takes: for the call, and for the process."""
        return self.other.call_s / self.ours.call_s, self.other.process_s / self.ours.process_s


# What runs in processes of their own.


def prepare(workload: str, layers: str, folder: str) -> dict[str, Any]:
    """Write a network's first layers as a workload, for SCALE-Sim and for ZigZag, and the machines."""
    from accelsim.config import shipped  # noqa: PLC0415 - see above
    from accelsim.config.load import read_yaml, validate  # noqa: PLC0415
    from accelsim.workload.load import WorkloadSpec  # noqa: PLC0415

    into = Path(folder)
    whole = validate(read_yaml(shipped.path_of("workload", workload)), WorkloadSpec)
    spec = whole.model_copy(update={"layers": whole.layers[: int(layers)]})
    (into / "workload.yaml").write_text(spec.model_dump_json(exclude_none=True))  # JSON is YAML
    lines = [HEADER, *(_scalesim_line(*x) for x in enumerate(spec.layers))]
    (into / "topology.csv").write_text("\n".join(lines) + "\n")
    (into / "layout.csv").write_text("Layer name,\n")  # SCALE-Sim opens one even where layouts are off
    (into / "scale.cfg").write_text(CONFIGURATION)
    (into / "zigzag.yaml").write_text(json.dumps([_zigzag_layer(*x) for x in enumerate(spec.layers)]))
    machine = shipped.path_of("arch", ARCH).read_text().partition("\ndram:")[0]
    (into / "banked.yaml").write_text(f"{machine}\n{BANKED}")
    small = machine.replace("rows: 128", "rows: 32").replace("columns: 128", "columns: 32")
    (into / "small.yaml").write_text(f"{small}\n{SIMPLE}")
    return {"layers": [layer.name for layer in spec.layers]}


def _convolution(layer: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], int, int]:
    """Output, kernel and stride, each down and across, channels and filters of a layer for one sample."""
    if layer.kind == "conv":
        return layer.output, tuple(layer.kernel), tuple(layer.stride), layer.channels, layer.filters
    m, k, n = layer.product(1)
    return (m, 1), (1, 1), (1, 1), k, n


def _scalesim_line(index: int, layer: Any) -> str:
    """Line of a topology: an input with its padding, as far as the windows reach, because SCALE-Sim rounds up."""
    output, kernel, stride, channels, filters = _convolution(layer)
    if stride[0] != stride[1]:
        raise SystemExit(f"{layer.name}: stride must be one number for SCALE-Sim, not {stride}")
    height, width = ((o - 1) * s + k for o, k, s in zip(output, kernel, stride, strict=True))
    # a name with DP would be depthwise
    return f"L{index}, {height}, {width}, {kernel[0]}, {kernel[1]}, {channels}, {filters}, {stride[0]},"


def _zigzag_layer(index: int, layer: Any) -> dict[str, Any]:
    """Layer of a workload of ZigZag, operands as its tpu_like holds them; all are independent."""
    (oy, ox), (fy, fx), (down, across), channels, filters = _convolution(layer)
    return {
        "id": index,
        "name": layer.name,
        "operator_type": "Conv",
        "equation": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
        "dimension_relations": [f"ix={across}*ox+1*fx", f"iy={down}*oy+1*fy"],
        "loop_dims": ["B", "K", "C", "OY", "OX", "FY", "FX"],
        "loop_sizes": [1, filters, channels, oy, ox, fy, fx],
        "operand_precision": {"W": 8, "I": 8, "O": 16, "O_final": 8},
        "operand_source": {"I": index, "W": index},
    }


def calls(workload: str, arch: str) -> dict[str, Any]:
    """accelsim, five times in a process that has run it before."""
    import accelsim  # noqa: PLC0415

    taken = []
    for _ in range(6):
        begun = time.process_time()
        summary = accelsim.run(workload, arch, timing_only=True).summary
        taken.append(time.process_time() - begun)
    layers = [layer.array_cycles for layer in summary.layers]
    return {"call_s": min(taken[1:]), "array_cycles": layers, "cycles": summary.cycles}


def once(workload: str, arch: str) -> dict[str, Any]:
    """accelsim, one run and nothing else."""
    import accelsim  # noqa: PLC0415

    return {"cycles": accelsim.run(workload, arch, timing_only=True).summary.cycles}


def scalesim(folder: str) -> dict[str, Any]:
    """SCALE-Sim, silent and without trace files."""
    from scalesim.scale_sim import scalesim as simulator  # noqa: PLC0415

    begun = time.process_time()
    simulator(
        save_disk_space=True,
        verbose=False,
        config=f"{folder}/scale.cfg",
        topology=f"{folder}/topology.csv",
        layout=f"{folder}/layout.csv",
    ).run_scale(top_path=folder)
    took = time.process_time() - begun
    with Path(folder, "run", "COMPUTE_REPORT.csv").open() as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    return {"call_s": took, "total_cycles": [int(float(row["Total Cycles"])) for row in rows]}


def zigzag(folder: str) -> dict[str, Any]:
    """ZigZag's estimate for its tpu_like, all settings its own, least latency wanted."""
    import logging  # noqa: PLC0415

    import zigzag as package  # noqa: PLC0415
    from zigzag.api import get_hardware_performance_zigzag  # noqa: PLC0415

    inputs = Path(package.__file__).parent / "inputs"
    logging.disable()
    begun = time.process_time()
    _, latency, estimates = get_hardware_performance_zigzag(
        workload=f"{folder}/zigzag.yaml",
        accelerator=str(inputs / "hardware" / "tpu_like.yaml"),
        mapping=str(inputs / "mapping" / "tpu_like.yaml"),
        opt="latency",
        dump_folder=f"{folder}/zigzag",
        loma_show_progress_bar=False,
    )
    return {"call_s": time.process_time() - begun, "cycles": int(latency), "layers": len(estimates[0][1])}


#: By the name that the first argument gives.
CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    function.__name__: function for function in (prepare, calls, once, scalesim, zigzag)
}


# What starts them and tells.


def say(text: str) -> None:
    """Tell what goes on, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(python: Path, name: str, *arguments: str) -> Child:
    """Run one of CHILDREN in a process of an environment.

    Raises
    ------
    SystemExit
        If it fails; what it wrote on stderr is shown.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        command = [str(python), __file__, name, str(answer), *arguments]
        with Path(folder, "stderr").open("w+") as errors:
            process = subprocess.Popen(  # noqa: S603 - this file
                command, cwd=folder, env=os.environ | ONE_THREAD, stdout=subprocess.DEVNULL, stderr=errors
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                errors.seek(0)
                say(errors.read())
                raise SystemExit(f"{name} {' '.join(arguments)}: exit code {process.returncode}")
        cpu = usage.ru_utime + usage.ru_stime
        return Child(json.loads(answer.read_text()), cpu, usage.ru_maxrss * 1024)  # Linux counts KiB


def environment(envs: Path, tool: str) -> Path:
    """Python of a tool's environment, made if there is none yet with these requirements."""
    home = envs / tool
    python, wanted, installed = home / "bin" / "python", "\n".join(REQUIREMENTS[tool]), home / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        say(f"installing {', '.join(REQUIREMENTS[tool])} in {home}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)  # noqa: S603
        command = [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[tool]]
        subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603
        installed.write_text(wanted)
    return python


def accelsim_cost(workload: str, arch: str) -> tuple[Cost, Any]:
    """What accelsim takes, and what it found."""
    python = Path(sys.executable)
    warm = run(python, "calls", workload, arch)
    cold = run(python, "once", workload, arch)
    if cold.told["cycles"] != warm.told["cycles"]:
        raise SystemExit(f"{workload} on {arch}: must have the same cycles in all runs")
    return Cost(warm.told["call_s"], cold.cpu_s, cold.peak_bytes), warm.told


def compare(network: str, layers: int, pythons: dict[str, Path], folder: Path) -> tuple[list[Row], list[Row]]:
    """Rows of a network against SCALE-Sim and against ZigZag.

    Raises
    ------
    SystemExit
        If cycles of a layer differ from SCALE-Sim's.
    """
    names = run(Path(sys.executable), "prepare", network, str(layers), str(folder)).told["layers"]
    workload = str(folder / "workload.yaml") if layers < sys.maxsize else network
    say(f"{network}: {len(names)} layers in accelsim")
    ideal, found = accelsim_cost(workload, ARCH)
    banked, found_banked = accelsim_cost(workload, str(folder / "banked.yaml"))
    small, found_small = accelsim_cost(workload, str(folder / "small.yaml"))
    say(f"{network}: {sum(found['array_cycles']):,} cycles in SCALE-Sim, at about 200 s and 8 GB a million")
    child = run(pythons["scalesim"], "scalesim", str(folder))
    other, theirs = Cost(child.told["call_s"], child.cpu_s, child.peak_bytes), child.told["total_cycles"]
    for name, cycles, total in zip(names, found["array_cycles"], theirs, strict=True):
        if cycles != total + 1:
            raise SystemExit(f"{network}: {name}: must have SCALE-Sim's {total} + 1 array cycles, not {cycles}")
    say(f"{network}: all {len(names)} layers have SCALE-Sim's cycles; ZigZag")
    row = Row(network, "ideal", len(names), sum(found["array_cycles"]), sum(theirs), other, ideal)
    with_dram = row._replace(memory="banked", cycles=found_banked["cycles"], ours=banked)
    child = run(pythons["zigzag"], "zigzag", str(folder))
    estimate = Cost(child.told["call_s"], child.cpu_s, child.peak_bytes)
    if child.told["layers"] != len(names):
        raise SystemExit(f"{network}: ZigZag must estimate {len(names)} layers, not {child.told['layers']}")
    mapped = Row(network, "64 bits a cycle", len(names), found_small["cycles"], child.told["cycles"], estimate, small)
    return [row, with_dram], [mapped]


def table(other: str, rows: list[Row]) -> str:
    """Markdown of rows."""
    heads = [
        "network", "DRAM", "layers", "cycles", f"{other}'s", f"{other} call / process, s", "GB",
        "accelsim call / process, s", "MB", "times faster", "times less memory",
    ]  # fmt: skip
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        call, process = row.times
        lines.append(
            [
                row.network,
                row.memory,
                str(row.layers),
                f"{row.cycles:,}",
                f"{row.other_cycles:,}",
                f"{row.other.call_s:.1f} / {row.other.process_s:.1f}",
                f"{row.other.peak_bytes / 1e9:.2f}",
                f"{row.ours.call_s:.3f} / {row.ours.process_s:.2f}",
                f"{row.ours.peak_bytes / 1e6:.0f}",
                f"{call:,.0f} / {process:,.0f}",
                f"{row.other.peak_bytes / row.ours.peak_bytes:.1f}",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def judged(row: Row) -> str:
    """What was reached beside what is to be."""
    target = f"(target {TARGETS[row.memory]:,.0f})"
    text = f"{row.network}, {row.memory} DRAM: {row.times[0]:,.0f} times faster by call {target}"
    if row.memory == "ideal":
        text += f", {row.ours.peak_bytes / 1e6:.0f} MB (target below {TARGET_BYTES / 1e6:.0f})"
    return text


def main() -> None:
    """Install, run, compare, print."""
    if sys.argv[1:2] and sys.argv[1] in CHILDREN:
        name, answer, *given = sys.argv[1:]
        Path(answer).write_text(json.dumps(CHILDREN[name](*given)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent
    parser.add_argument("networks", nargs="*", help=f"shipped workloads of layers (default: {' '.join(NETWORKS)})")
    parser.add_argument("--envs", type=Path, default=here / ".envs", help="folder of the tools' environments")
    parser.add_argument(
        "--quick", action="store_true", help=f"the first {QUICK_LAYERS} layers of {QUICK_NETWORK} alone"
    )
    parser.add_argument("--json", type=Path, help="file for all that was measured")
    arguments = parser.parse_args()
    networks = arguments.networks or ([QUICK_NETWORK] if arguments.quick else NETWORKS)
    layers = QUICK_LAYERS if arguments.quick else sys.maxsize
    pythons = {tool: environment(arguments.envs.resolve(), tool) for tool in REQUIREMENTS}
    simulated: list[Row] = []
    estimated: list[Row] = []
    for network in networks:
        with tempfile.TemporaryDirectory() as folder:
            rows, more = compare(network, layers, pythons, Path(folder))
        simulated += rows
        estimated += more
    sys.stdout.write(f"{table('SCALE-Sim', simulated)}\n\n{table('ZigZag', estimated)}\n\n")
    sys.stdout.writelines(f"{judged(row)}\n" for row in simulated if row.network == NETWORKS[-1])
    if arguments.json:
        told: dict[str, Any] = {"requirements": REQUIREMENTS}
        told |= {
            name: [
                {**row._asdict(), "other": row.other._asdict(), "ours": row.ours._asdict(), "times": row.times}
                for row in rows
            ]
            for name, rows in (("scalesim", simulated), ("zigzag", estimated))
        }
        arguments.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
