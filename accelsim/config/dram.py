"""A DRAM part and the controller before it: geometry, timing, currents, queues and address map.

Keys are those of DRAMsim3's configuration files, in lower case; only keys that change a result are known.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import model_validator

from accelsim import units
from accelsim.config.model import NAME, Frozen, Integer, quantity

Protocol = Literal["DDR4", "DDR5", "LPDDR3", "LPDDR4", "LPDDR5", "GDDR6", "HBM", "HBM3"]

#: Data beats in a clock of the command bus: JESD79-4, JESD79-5, JESD209-3 and -4 and JESD235 move two, JESD209-5 with
#: WCK at four times CK eight, JESD238 four, JESD250 sixteen as DRAMsim3 counts GDDR6's clock.
BEATS_PER_CLOCK = {"DDR4": 2, "DDR5": 2, "LPDDR3": 2, "LPDDR4": 2, "LPDDR5": 8, "GDDR6": 16, "HBM": 2, "HBM3": 4}

#: Fields of an address, as a map names them: channel, rank, bank group, bank, row, column.
FIELDS = ("ch", "ra", "bg", "ba", "ro", "co")


class Structure(Frozen):
    """Geometry of a device."""

    protocol: Protocol = quantity("name", "Standard that the device follows")
    bankgroups: Integer = quantity("count a device", "Bank groups", ge=1, le=16)
    banks_per_group: Integer = quantity("count a group", "Banks", ge=1, le=32)
    rows: Integer = quantity("count a bank", "Rows", ge=1, le=2**22)
    columns: Integer = quantity(
        "count a row",
        "Columns: words of the device's width; of half a word on HBM, whole bursts on GDDR6",
        ge=1,
        le=2**16,
    )
    device_width: Integer = quantity("bits", "Data pins of a device", ge=4, le=1024)
    bl: Integer = quantity("beats", "Burst length", ge=2, le=64)
    bankgroup_enable: bool = quantity(
        "flag", "Whether groups have timings of their own; else all banks form one group", default=True
    )


class Timing(Frozen):
    """Least times between commands, in clocks of the command bus."""

    tck: float = quantity("nanoseconds", "Clock period", gt=0, le=1000)
    al: Integer = quantity("clocks", "Additive latency", default=0, ge=0, le=1000)
    cl: Integer = quantity("clocks", "Read command to first data", ge=1, le=1000)
    cwl: Integer = quantity("clocks", "Write command to first data", ge=1, le=1000)
    trcd: Integer | None = quantity("clocks", "Activate to read or write", default=None, ge=1, le=1000)
    trcdrd: Integer | None = quantity("clocks", "Activate to read, where it is not trcd", default=None, ge=1, le=1000)
    trcdwr: Integer | None = quantity("clocks", "Activate to write, where it is not trcd", default=None, ge=1, le=1000)
    trp: Integer = quantity("clocks", "Precharge to activate", ge=1, le=1000)
    tras: Integer = quantity("clocks", "Activate to precharge", ge=1, le=1000)
    trfc: Integer = quantity("clocks", "Refresh of all banks to activate", ge=1, le=100000)
    trefi: Integer = quantity("clocks", "Between two refreshes of a rank", ge=100, le=10**7)
    trrd_s: Integer = quantity("clocks", "Activate to activate, other bank group", ge=1, le=1000)
    trrd_l: Integer = quantity("clocks", "Activate to activate, same bank group", ge=1, le=1000)
    twtr_s: Integer = quantity("clocks", "Last written data to read, other bank group", ge=1, le=1000)
    twtr_l: Integer = quantity("clocks", "Last written data to read, same bank group", ge=1, le=1000)
    tfaw: Integer = quantity("clocks", "Window of at most four activates of a rank", ge=1, le=10000)
    t32aw: Integer = quantity(
        "clocks", "Window of at most 32 activates of a rank; 0 for none", default=0, ge=0, le=10**5
    )
    twr: Integer = quantity("clocks", "Last written data to precharge", ge=1, le=1000)
    trtp: Integer = quantity("clocks", "Read to precharge", ge=1, le=1000)
    tccd_s: Integer = quantity("clocks", "Column command to column command, other bank group", ge=1, le=1000)
    tccd_l: Integer = quantity("clocks", "Column command to column command, same bank group", ge=1, le=1000)
    trtrs: Integer = quantity("clocks", "Gap of the data bus when rank or direction changes", ge=0, le=1000)
    tppd: Integer = quantity("clocks", "Precharge to precharge of another bank; 0 for none", default=0, ge=0, le=1000)

    @model_validator(mode="after")
    def _same_group_is_slower(self) -> Timing:
        for name in ("trrd", "twtr", "tccd"):
            if getattr(self, f"{name}_l") < getattr(self, f"{name}_s"):
                raise ValueError(
                    f"{name}_l must be at least {name}_s ({getattr(self, f'{name}_s')}), "
                    f"not {getattr(self, f'{name}_l')}"
                )
        given = [name for name in ("trcd", "trcdrd", "trcdwr") if getattr(self, name) is not None]
        if given not in (["trcd"], ["trcdrd", "trcdwr"]):
            raise ValueError(
                f"either trcd or both trcdrd and trcdwr must be given, not {' and '.join(given) or 'none'}"
            )
        if min(self.activate_to_read, self.activate_to_write) < 1:
            raise ValueError(f"al must be below trcd, not {self.al}")
        return self

    @property
    def activate_to_read(self) -> int:
        """Clocks from an activate to a read of its row."""
        return (self.trcd or self.trcdrd or 0) - self.al

    @property
    def activate_to_write(self) -> int:
        """Clocks from an activate to a write to its row."""
        return (self.trcd or self.trcdwr or 0) - self.al


class Power(Frozen):
    """Supply and currents of one device, as data sheets name them."""

    vdd: float = quantity("volts", "Supply", gt=0, le=10)
    idd0: float = quantity("milliamperes", "Activate and precharge, once every tRC", ge=0, le=10**4)
    idd2n: float = quantity("milliamperes", "Standby, all banks precharged", ge=0, le=10**4)
    idd3n: float = quantity("milliamperes", "Standby, a bank open", ge=0, le=10**4)
    idd4w: float = quantity("milliamperes", "Writing without a gap", ge=0, le=10**4)
    idd4r: float = quantity("milliamperes", "Reading without a gap", ge=0, le=10**4)
    idd5ab: float = quantity("milliamperes", "Refreshing all banks", ge=0, le=10**4)

    @model_validator(mode="after")
    def _work_costs(self) -> Power:
        for name in ("idd4w", "idd4r", "idd5ab"):
            if getattr(self, name) < self.idd3n:
                raise ValueError(f"{name} must be at least idd3n ({self.idd3n}), not {getattr(self, name)}")
        return self


class System(Frozen):
    """Channels, and the controller of each."""

    channel_size: Integer = quantity("2^20 bytes", "Capacity of a channel; at least one rank", ge=1, le=2**20)
    channels: Integer = quantity("count", "Channels, each with a controller of its own", ge=1, le=256)
    bus_width: Integer = quantity("bits", "Data pins of a channel", ge=8, le=1024)
    address_mapping: str = quantity(
        "name", "Fields ch, ra, bg, ba, ro and co from the highest address bit to the lowest", pattern="^[a-z]{12}$"
    )
    row_buf_policy: Literal["OPEN_PAGE", "CLOSE_PAGE"] = quantity(
        "name", "Whether a row stays open after an access", default="OPEN_PAGE"
    )
    cmd_queue_size: Integer = quantity("commands", "Depth of each bank's command queue", ge=1, le=64)
    trans_queue_size: Integer = quantity("requests", "Read queue and write buffer of a channel, each", ge=9, le=1024)
    inj_per_clk: Integer | None = quantity(
        "requests a clock", "Requests that all channels together accept; default is one a channel", default=None, ge=1
    )

    @model_validator(mode="after")
    def _map_names_each_field(self) -> System:
        fields = [self.address_mapping[i : i + 2] for i in range(0, 12, 2)]
        if sorted(fields) != sorted(FIELDS):
            raise ValueError(
                f"address_mapping must name each of {', '.join(FIELDS)} once, not {self.address_mapping!r}"
            )
        return self


class CommandEnergy(NamedTuple):
    """What a rank's commands and clocks cost, in picojoules."""

    activate: float
    read: float
    write: float
    refresh: float
    active_clock: float
    precharged_clock: float


class Part(Frozen):
    """A DRAM: devices in ranks on channels, and a controller before each channel."""

    kind: Literal["dram"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the part", pattern=NAME)
    description: str = quantity("text", "What the part stands for")
    dram_structure: Structure
    timing: Timing
    power: Power | None = quantity("section", "Currents; none if they are not known", default=None)
    system: System

    @model_validator(mode="after")
    def _addressable(self) -> Part:
        structure, system = self.dram_structure, self.system
        counts = {
            "bankgroups": structure.bankgroups,
            "banks_per_group": structure.banks_per_group,
            "rows": structure.rows,
            "columns": structure.columns,
            "device_width": structure.device_width,
            "bl": structure.bl,
            "channels": system.channels,
            "bus_width": system.bus_width,
        }
        for name, value in counts.items():
            if value & (value - 1):
                raise ValueError(f"{name} must be a power of two, as address fields are whole bits, not {value}")
        if system.bus_width < structure.device_width:
            raise ValueError(
                f"bus_width must be at least device_width ({structure.device_width}), not {system.bus_width}"
            )
        if self.columns < structure.bl:
            raise ValueError(f"columns must hold a burst of {structure.bl} beats, not {structure.columns}")
        if structure.bl % BEATS_PER_CLOCK[structure.protocol]:
            raise ValueError(
                f"bl must be whole clocks of {BEATS_PER_CLOCK[structure.protocol]} beats, not {structure.bl}"
            )
        if self.ranks & (self.ranks - 1) or self.ranks > 16:
            raise ValueError(
                f"channel_size must be a power of two of ranks ({self.rank_bytes >> 20}), at most 16, "
                f"not {system.channel_size}"
            )
        return self

    @model_validator(mode="after")
    def _refreshes_leave_time(self) -> Part:
        """Let a bank be opened and accessed between two refreshes, or requests would wait for ever.

        The refreshes of the ranks follow each other.
        """
        t = self.timing
        busy = self.ranks * self.closing_clocks + t.trfc + max(t.activate_to_read, t.activate_to_write)
        if t.trefi <= busy:
            raise ValueError(
                f"trefi must be above {busy}, what refreshes of {self.ranks} ranks and an access can take, "
                f"not {t.trefi}"
            )
        return self

    @property
    def columns(self) -> int:
        """Columns of a row in words of the device's width: GDDR6 counts whole bursts, HBM1 and 2 pairs of words."""
        scale = {"GDDR6": self.dram_structure.bl, "HBM": 2}.get(self.dram_structure.protocol, 1)
        return self.dram_structure.columns * scale

    @property
    def bankgroups(self) -> int:
        """Bank groups with timings of their own."""
        return self.dram_structure.bankgroups if self.dram_structure.bankgroup_enable else 1

    @property
    def banks(self) -> int:
        """Banks of a rank."""
        return self.dram_structure.bankgroups * self.dram_structure.banks_per_group

    @property
    def devices(self) -> int:
        """Devices of a rank."""
        return self.system.bus_width // self.dram_structure.device_width

    @property
    def row_bytes(self) -> int:
        """Bytes of a row over the whole bus."""
        return self.columns * self.system.bus_width // 8

    @property
    def rank_bytes(self) -> int:
        """Bytes of a rank."""
        return self.row_bytes * self.dram_structure.rows * self.banks

    @property
    def ranks(self) -> int:
        """Ranks of a channel; a channel that is smaller than a rank is made as large as one."""
        return max(1, self.system.channel_size * 2**20 // self.rank_bytes)

    @property
    def capacity_bytes(self) -> int:
        """Bytes of all channels."""
        return self.rank_bytes * self.ranks * self.system.channels

    @property
    def burst_bytes(self) -> int:
        """Bytes of one column command, which is what one request moves."""
        return self.system.bus_width // 8 * self.dram_structure.bl

    @property
    def burst_clocks(self) -> int:
        """Clocks of the data bus that a burst takes."""
        return self.dram_structure.bl // BEATS_PER_CLOCK[self.dram_structure.protocol]

    @property
    def requests_per_clock(self) -> int:
        """Requests that all channels together accept in a clock."""
        return self.system.inj_per_clk or self.system.channels

    @property
    def clock_period_fs(self) -> int:
        """Clock period in femtoseconds."""
        return round(self.timing.tck * units.FEMTOSECONDS_PER_NANOSECOND)

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Bandwidth of a stream of bursts over all bank groups: no command timing lets more pass."""
        clocks = max(self.burst_clocks, self.timing.tccd_s)
        return self.burst_bytes * self.system.channels / (clocks * self.timing.tck * 1e-9)

    @property
    def closing_clocks(self) -> int:
        """Clocks that the banks of a rank, one of which was just opened, may take to be closed one by one."""
        t = self.timing
        accessed = max(t.tras, t.al + t.trtp, t.al + t.cwl + self.burst_clocks + t.twr)
        return accessed + (self.banks + 1) * max(1, t.tppd) + t.trp

    @property
    def refresh_clocks(self) -> int:
        """Clocks for which a refresh, and what comes before and after it, may hold up an access to its rank."""
        return self.closing_clocks + self.timing.trfc + self.latency_clocks

    @property
    def latency_clocks(self) -> int:
        """Clocks from a read's acceptance by an idle controller with the bank closed to its last data."""
        return 1 + self.timing.activate_to_read + self.timing.al + self.timing.cl + self.burst_clocks

    @cached_property
    def energy(self) -> CommandEnergy | None:
        """Energy of each command and clock of a rank, from its currents; None if they are not known.

        As Micron's TN-41-01 and DRAMsim3 compute it, V x mA x ns being pJ; DRAMsim3's own output leaves out the
        clock period.
        """
        power, timing = self.power, self.timing
        if power is None:
            return None
        scale = power.vdd * timing.tck * self.devices
        row = power.idd0 * (timing.tras + timing.trp) - (power.idd3n * timing.tras + power.idd2n * timing.trp)
        return CommandEnergy(
            activate=scale * row,
            read=scale * (power.idd4r - power.idd3n) * self.burst_clocks,
            write=scale * (power.idd4w - power.idd3n) * self.burst_clocks,
            refresh=scale * (power.idd5ab - power.idd3n) * timing.trfc,
            active_clock=scale * power.idd3n,
            precharged_clock=scale * power.idd2n,
        )
