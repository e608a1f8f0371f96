"""The banked DRAM: the channels of a part, and what they have done."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.dram import Part
from accelsim.kernels import dram_records as record
from accelsim.memory.activity import Activity

Int64 = NDArray[np.int64]


def timing(part: Part) -> dict[int, int]:
    """Gaps between commands in clocks, by the fields of the kernel's header.

    The formulas are DRAMsim3's: the data bus is free of one burst before the next begins, with tRTRS between two ranks
    or two directions.
    """
    t, burst = part.timing, part.burst_clocks
    read_latency, write_latency = t.al + t.cl, t.al + t.cwl
    read_delay, write_delay = read_latency + burst, write_latency + burst
    grouped = part.bankgroups > 1
    ccd_l, wtr_l, rrd_l = (t.tccd_l, t.twtr_l, t.trrd_l) if grouped else (t.tccd_s, t.twtr_s, t.trrd_s)
    protocol = part.dram_structure.protocol
    return {
        record.RD_RD_S: max(burst, t.tccd_s),
        record.RD_RD_L: max(burst, ccd_l),
        record.RD_RD_O: burst + t.trtrs,
        record.RD_WR: read_latency + burst - write_latency + t.trtrs,
        record.RD_WR_O: read_delay + burst + t.trtrs - write_delay,
        record.RD_PRE: t.al + t.trtp,
        record.WR_RD_S: write_delay + t.twtr_s,
        record.WR_RD_L: write_delay + wtr_l,
        record.WR_RD_O: write_delay + burst + t.trtrs - read_delay,
        record.WR_WR_S: max(burst, t.tccd_s),
        record.WR_WR_L: max(burst, ccd_l),
        record.WR_WR_O: burst,
        record.WR_PRE: write_delay + t.twr,
        record.ACT_RD: t.activate_to_read,
        record.ACT_WR: t.activate_to_write,
        record.ACT_PRE: t.tras,
        record.ACT_ACT: t.tras + t.trp,
        record.ACT_ACT_S: t.trrd_s,
        record.ACT_ACT_L: rrd_l,
        record.FAW: t.tfaw,
        record.AW32: t.t32aw,
        record.PRE_ACT: t.trp,
        record.PRE_PRE: t.tppd,
        record.REF_ACT: t.trfc,
        record.READ_DELAY: read_delay,
        record.WRITE_DELAY: write_delay,
        record.REFRESH_INTERVAL: t.trefi // part.ranks,
        record.DUAL: protocol in {"HBM", "HBM3"},
        record.CLOSE_PAGE: part.system.row_buf_policy == "CLOSE_PAGE",
    }


class Dram:
    """Channels of a part at clock 0, idle and with all banks closed.

    Parameters
    ----------
    requests
        Numbers that requests may have at once.
    tags
        Tags of requests, whose commands are counted apart.
    log
        Commands that each channel may log; 0 for none.

    Attributes
    ----------
    memory
        The kernel's whole state, int64.
    channel, bank
        Records of the channels, and of the banks counted over all channels; int64, shapes (channels,) and (banks,).
    """

    def __init__(self, part: Part, requests: int, tags: int = 1, log: int = 0) -> None:
        self.part = part
        system, queues = part.system, part.ranks * part.banks
        slots = 2 * system.trans_queue_size + queues * system.cmd_queue_size
        table = 1 << (4 * slots - 1).bit_length()
        bank_words = record.QUEUE + system.cmd_queue_size
        groups = part.ranks * part.bankgroups
        # parts of a channel: the header's field that says where one begins, its words
        parts = {
            record.BANK_LIST: queues * bank_words,
            record.RANK_LIST: part.ranks * record.RANK_WORDS,
            record.ACTIVE_LIST: queues,
            record.WAKE_LIST: queues,
            record.FREE_LIST: slots,
            record.READ_TABLE: table,
            record.WRITE_TABLE: table,
            record.TALLIES: tags * record.TALLY_WORDS,
            record.LOG: log * record.LOG_WORDS,
        }
        own = groups * record.GROUP_WORDS + slots * record.SLOT_WORDS
        words = record.CHANNEL_FIELDS + own + sum(parts.values())
        first = record.HEADER_WORDS
        table_of_requests = first + system.channels * words
        finished = table_of_requests + requests * record.REQUEST_WORDS
        self.memory = m = np.zeros(finished + requests, np.int64)
        header = {
            **timing(part),
            record.BANKS: part.banks,
            record.RANKS: part.ranks,
            record.DEPTH: system.cmd_queue_size,
            record.ROOM: system.trans_queue_size,
            record.TABLE: table,
            record.BANK_WORDS: bank_words,
            record.LOG_ROOM: log,
            record.CHANNELS: system.channels,
            record.CHANNEL_WORDS: words,
            record.REQUESTS: table_of_requests,
            record.FINISHED: finished,
        }
        m[list(header)] = list(header.values())
        self.channel = first + words * np.arange(system.channels)
        self.bank = np.zeros(system.channels * queues, np.int64)
        for number, ch in enumerate(self.channel.tolist()):
            at = ch + record.CHANNEL_FIELDS
            for field, size in parts.items():
                m[ch + field] = at
                at += size
            group_list, slot_list = at, at + groups * record.GROUP_WORDS
            m[ch + record.FREE_SLOTS] = slots
            m[ch + record.FIRST_READ : ch + record.WRITE_TO_TRY + 1] = -1
            m[ch + record.NEXT_REFRESH] = m[record.REFRESH_INTERVAL]
            free = m[ch + record.FREE_LIST]
            m[free : free + slots] = slot_list + record.SLOT_WORDS * np.arange(slots)
            for field in (record.READ_TABLE, record.WRITE_TABLE):
                m[m[ch + field] : m[ch + field] + table] = -1
            index = np.arange(queues)
            rank = m[ch + record.RANK_LIST] + record.RANK_WORDS * (index // part.banks)
            group = group_list + record.GROUP_WORDS * (index // (part.banks // part.bankgroups))
            bank = m[ch + record.BANK_LIST] + bank_words * index
            m[bank + record.INDEX], m[bank + record.GROUP], m[bank + record.RANK] = index, group, rank
            m[bank + record.OPEN_ROW] = -1
            for rank in self._ranks(ch):
                m[rank + record.WINDOW : rank + record.RANK_WORDS] = record.LONG_AGO
            self.bank[number * queues : (number + 1) * queues] = bank

    def _ranks(self, ch: int) -> Int64:
        first = int(self.memory[ch + record.RANK_LIST])
        return np.arange(first, first + self.part.ranks * record.RANK_WORDS, record.RANK_WORDS)

    @property
    def requests(self) -> Int64:
        """Records of the requests, shape (requests, REQUEST_WORDS): a view."""
        begin, end = self.memory[record.REQUESTS], self.memory[record.FINISHED]
        return self.memory[begin:end].reshape(-1, record.REQUEST_WORDS)

    def buffered_writes(self, tag: int) -> int:
        """Writes of a tag that wait for their commands, over all channels."""
        m = self.memory
        return int(m[m[self.channel + record.TALLIES] + tag * record.TALLY_WORDS + record.BUFFERED].sum())

    def take_log(self, channel: int) -> Int64:
        """Empty a channel's log.

        Returns
        -------
        Clock, command, channel, rank, bank group, bank, row and column, shape (commands, 8); -1 where a field does
        not apply.
        """
        m, ch = self.memory, self.channel[channel]
        begin, count = m[ch + record.LOG], m[ch + record.LOGGED]
        log = m[begin : begin + count * record.LOG_WORDS].reshape(count, record.LOG_WORDS)
        m[ch + record.LOGGED] = 0
        rank, bank = np.divmod(log[:, record.LOG_BANK], self.part.banks)
        group, bank = np.divmod(bank, self.part.banks // self.part.bankgroups)
        whole_rank = log[:, record.LOG_COMMAND] == record.REFRESH
        return np.stack(
            (
                log[:, record.LOG_CLOCK],
                log[:, record.LOG_COMMAND],
                np.full(count, channel),
                rank,
                np.where(whole_rank, -1, group),
                np.where(whole_rank, -1, bank),
                log[:, record.LOG_ROW],
                log[:, record.LOG_COLUMN],
            ),
            axis=1,
        )

    def activity(self, clock: int) -> Activity:
        """Sum up what the channels have done; all must have run up to the clock."""
        m = self.memory
        tags = (m[self.channel[0] + record.LOG] - m[self.channel[0] + record.TALLIES]) // record.TALLY_WORDS
        tally = np.zeros((tags, record.TALLY_WORDS), np.int64)
        active = 0
        for ch in self.channel.tolist():
            begin = m[ch + record.TALLIES]
            tally += m[begin : begin + tally.size].reshape(tally.shape)
            ranks = self._ranks(ch)
            still_open = np.where(m[ranks + record.OPEN_BANKS] > 0, clock - m[ranks + record.OPEN_SINCE], 0)
            active += int((m[ranks + record.OPEN_CLOCKS] + still_open).sum())

        def total(field: int) -> int:
            return int(m[self.channel + field].sum())

        return Activity(
            activates=tally[:, record.ACTIVATED],
            reads=tally[:, record.READ_],
            writes=tally[:, record.WRITTEN],
            read_hits=tally[:, record.READ_HITS],
            write_hits=tally[:, record.WRITE_HITS],
            precharges=total(record.PRECHARGES),
            demanded_precharges=total(record.DEMANDED),
            refreshes=total(record.REFRESHES),
            dual_commands=total(record.DUALS),
            accepted_reads=total(record.ACCEPTED_READS),
            accepted_writes=total(record.ACCEPTED_WRITES),
            merged_reads=total(record.MERGED_READS),
            merged_writes=total(record.MERGED_WRITES),
            forwarded_reads=total(record.FORWARDED),
            buffered=total(record.READS) + total(record.WRITES) + total(record.QUEUED),
            active_clocks=active,
            precharged_clocks=self.part.ranks * len(self.channel) * clock - active,
            write_latency=total(record.WRITE_LATENCY),
        )
