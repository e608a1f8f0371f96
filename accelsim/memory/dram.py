"""The banked DRAM: the channels of a part, and what they have done."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.dram import Part
from accelsim.kernels import dram as kernel
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
        kernel.RD_RD_S: max(burst, t.tccd_s),
        kernel.RD_RD_L: max(burst, ccd_l),
        kernel.RD_RD_O: burst + t.trtrs,
        kernel.RD_WR: read_latency + burst - write_latency + t.trtrs,
        kernel.RD_WR_O: read_delay + burst + t.trtrs - write_delay,
        kernel.RD_PRE: t.al + t.trtp,
        kernel.WR_RD_S: write_delay + t.twtr_s,
        kernel.WR_RD_L: write_delay + wtr_l,
        kernel.WR_RD_O: write_delay + burst + t.trtrs - read_delay,
        kernel.WR_WR_S: max(burst, t.tccd_s),
        kernel.WR_WR_L: max(burst, ccd_l),
        kernel.WR_WR_O: burst,
        kernel.WR_PRE: write_delay + t.twr,
        kernel.ACT_RD: t.activate_to_read,
        kernel.ACT_WR: t.activate_to_write,
        kernel.ACT_PRE: t.tras,
        kernel.ACT_ACT: t.tras + t.trp,
        kernel.ACT_ACT_S: t.trrd_s,
        kernel.ACT_ACT_L: rrd_l,
        kernel.FAW: t.tfaw,
        kernel.AW32: t.t32aw,
        kernel.PRE_ACT: t.trp,
        kernel.PRE_PRE: t.tppd,
        kernel.REF_ACT: t.trfc,
        kernel.READ_DELAY: read_delay,
        kernel.WRITE_DELAY: write_delay,
        kernel.REFRESH_INTERVAL: t.trefi // part.ranks,
        kernel.DUAL: protocol in {"HBM", "HBM3"},
        kernel.CLOSE_PAGE: part.system.row_buf_policy == "CLOSE_PAGE",
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
        self._queues = queues
        slots = 2 * system.trans_queue_size + queues * system.cmd_queue_size
        table = 1 << (4 * slots - 1).bit_length()
        bank_words = kernel.QUEUE + system.cmd_queue_size
        groups = part.ranks * part.bankgroups
        # parts of a channel: the header's field that says where one begins, its words
        parts = {
            kernel.BANK_LIST: queues * bank_words,
            kernel.RANK_LIST: part.ranks * kernel.RANK_WORDS,
            kernel.ACTIVE_LIST: queues,
            kernel.WAKE_LIST: queues,
            kernel.FREE_LIST: slots,
            kernel.READ_TABLE: table,
            kernel.WRITE_TABLE: table,
            kernel.TALLIES: tags * kernel.TALLY_WORDS,
            kernel.LOG: log * kernel.LOG_WORDS,
        }
        own = groups * kernel.GROUP_WORDS + slots * kernel.SLOT_WORDS
        words = kernel.CHANNEL_FIELDS + own + sum(parts.values())
        first = kernel.HEADER_WORDS
        table_of_requests = first + system.channels * words
        finished = table_of_requests + requests * kernel.REQUEST_WORDS
        self.memory = m = np.zeros(finished + requests, np.int64)
        header = {
            **timing(part),
            kernel.BANKS: part.banks,
            kernel.RANKS: part.ranks,
            kernel.DEPTH: system.cmd_queue_size,
            kernel.ROOM: system.trans_queue_size,
            kernel.TABLE: table,
            kernel.BANK_WORDS: bank_words,
            kernel.LOG_ROOM: log,
            kernel.CHANNELS: system.channels,
            kernel.CHANNEL_WORDS: words,
            kernel.REQUESTS: table_of_requests,
            kernel.FINISHED: finished,
        }
        m[list(header)] = list(header.values())
        self.channel = first + words * np.arange(system.channels)
        self.bank = np.zeros(system.channels * queues, np.int64)
        for number, ch in enumerate(self.channel.tolist()):
            at = ch + kernel.CHANNEL_FIELDS
            for field, size in parts.items():
                m[ch + field] = at
                at += size
            group_list, slot_list = at, at + groups * kernel.GROUP_WORDS
            m[ch + kernel.FREE_SLOTS] = slots
            m[ch + kernel.FIRST_READ : ch + kernel.WRITE_TO_TRY + 1] = -1
            m[ch + kernel.NEXT_REFRESH] = m[kernel.REFRESH_INTERVAL]
            free = m[ch + kernel.FREE_LIST]
            m[free : free + slots] = slot_list + kernel.SLOT_WORDS * np.arange(slots)
            for field in (kernel.READ_TABLE, kernel.WRITE_TABLE):
                m[m[ch + field] : m[ch + field] + table] = -1
            index = np.arange(queues)
            rank = m[ch + kernel.RANK_LIST] + kernel.RANK_WORDS * (index // part.banks)
            group = group_list + kernel.GROUP_WORDS * (index // (part.banks // part.bankgroups))
            bank = m[ch + kernel.BANK_LIST] + bank_words * index
            m[bank + kernel.INDEX], m[bank + kernel.GROUP], m[bank + kernel.RANK] = index, group, rank
            m[bank + kernel.OPEN_ROW] = -1
            for rank in self._ranks(ch):
                m[rank + kernel.WINDOW : rank + kernel.RANK_WORDS] = kernel.LONG_AGO
            self.bank[number * queues : (number + 1) * queues] = bank

    def _ranks(self, ch: int) -> Int64:
        first = int(self.memory[ch + kernel.RANK_LIST])
        return np.arange(first, first + self.part.ranks * kernel.RANK_WORDS, kernel.RANK_WORDS)

    @property
    def requests(self) -> Int64:
        """Records of the requests, shape (requests, REQUEST_WORDS): a view."""
        begin, end = self.memory[kernel.REQUESTS], self.memory[kernel.FINISHED]
        return self.memory[begin:end].reshape(-1, kernel.REQUEST_WORDS)

    def buffered_writes(self, tag: int) -> int:
        """Writes of a tag that wait for their commands, over all channels."""
        m = self.memory
        return int(m[m[self.channel + kernel.TALLIES] + tag * kernel.TALLY_WORDS + kernel.BUFFERED].sum())

    def take_log(self, channel: int) -> Int64:
        """Empty a channel's log.

        Returns
        -------
        Clock, command, channel, rank, bank group, bank, row and column, shape (commands, 8); -1 where a field does
        not apply.
        """
        m, ch = self.memory, self.channel[channel]
        begin, count = m[ch + kernel.LOG], m[ch + kernel.LOGGED]
        log = m[begin : begin + count * kernel.LOG_WORDS].reshape(count, kernel.LOG_WORDS)
        m[ch + kernel.LOGGED] = 0
        rank, bank = np.divmod(log[:, kernel.LOG_BANK], self.part.banks)
        group, bank = np.divmod(bank, self.part.banks // self.part.bankgroups)
        whole_rank = log[:, kernel.LOG_COMMAND] == kernel.REFRESH
        return np.stack(
            (
                log[:, kernel.LOG_CLOCK],
                log[:, kernel.LOG_COMMAND],
                np.full(count, channel),
                rank,
                np.where(whole_rank, -1, group),
                np.where(whole_rank, -1, bank),
                log[:, kernel.LOG_ROW],
                log[:, kernel.LOG_COLUMN],
            ),
            axis=1,
        )

    def activity(self, clock: int) -> Activity:
        """Sum up what the channels have done; all must have run up to the clock."""
        m = self.memory
        tags = (m[self.channel[0] + kernel.LOG] - m[self.channel[0] + kernel.TALLIES]) // kernel.TALLY_WORDS
        tally = np.zeros((tags, kernel.TALLY_WORDS), np.int64)
        active = 0
        for ch in self.channel.tolist():
            begin = m[ch + kernel.TALLIES]
            tally += m[begin : begin + tally.size].reshape(tally.shape)
            ranks = self._ranks(ch)
            still_open = np.where(m[ranks + kernel.OPEN_BANKS] > 0, clock - m[ranks + kernel.OPEN_SINCE], 0)
            active += int((m[ranks + kernel.OPEN_CLOCKS] + still_open).sum())

        def total(field: int) -> int:
            return int(m[self.channel + field].sum())

        return Activity(
            activates=tally[:, kernel.ACTIVATED],
            reads=tally[:, kernel.READ_],
            writes=tally[:, kernel.WRITTEN],
            read_hits=tally[:, kernel.READ_HITS],
            write_hits=tally[:, kernel.WRITE_HITS],
            precharges=total(kernel.PRECHARGES),
            demanded_precharges=total(kernel.DEMANDED),
            refreshes=total(kernel.REFRESHES),
            dual_commands=total(kernel.DUALS),
            accepted_reads=total(kernel.ACCEPTED_READS),
            accepted_writes=total(kernel.ACCEPTED_WRITES),
            merged_reads=total(kernel.MERGED_READS),
            merged_writes=total(kernel.MERGED_WRITES),
            forwarded_reads=total(kernel.FORWARDED),
            buffered=total(kernel.READS) + total(kernel.WRITES) + total(kernel.QUEUED),
            active_clocks=active,
            precharged_clocks=self.part.ranks * len(self.channel) * clock - active,
            write_latency=total(kernel.WRITE_LATENCY),
        )
