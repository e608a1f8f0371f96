"""What a model may take, told before it takes it."""

from __future__ import annotations

from accelsim import computer
from accelsim.errors import Fault, WorkloadError

#: Tokens of a text if nobody says how many.
DEFAULT_LENGTH = 256
MAX_BATCH = 2**16


def require_memory(numbers: int, file: str) -> None:
    """Refuse weights that do not fit in the computer's memory as float32.

    Raises
    ------
    WorkloadError
        If they do not.
    """
    needed, there = 4 * numbers, computer.memory_bytes()
    if needed > there:
        raise WorkloadError(Fault(f"weights must fit in {there} bytes of memory, but take {needed} as float32", file))


def length_of(length: int | None, most: int, file: str) -> int:
    """Tokens of a text: those that are asked for, or `DEFAULT_LENGTH`, but no more than a model takes.

    Raises
    ------
    WorkloadError
        If it does not take as many as are asked for.
    """
    if length is None:
        return min(DEFAULT_LENGTH, most)
    if not 1 <= length <= most:
        raise WorkloadError(Fault(f"texts must have 1 to {most} tokens, not {length}", file))
    return length


def batch_of(batch: int) -> int:
    """Number of texts.

    Raises
    ------
    WorkloadError
        If it is none.
    """
    if not 1 <= batch <= MAX_BATCH:
        raise WorkloadError(f"batch must be 1 to {MAX_BATCH}, not {batch}")
    return batch
