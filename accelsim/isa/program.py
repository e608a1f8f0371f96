"""The program: instructions, DRAM image, and what is needed to read its results."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from accelsim.config.load import wording
from accelsim.config.model import Frozen, quantity
from accelsim.errors import Fault, ProgramError
from accelsim.isa.opcodes import INSTRUCTION

FORMAT: Literal["accelsim-program-1"] = "accelsim-program-1"
METADATA = "accelsim"
MAX_FILE_BYTES = 2**36


class LayerInfo(Frozen):
    """What a layer is and how the compiler cut it; layer numbers in instructions index this list."""

    name: str = quantity("name", "Name of the layer")
    m: int = quantity("rows", "Rows of activations (batch)", ge=1)
    k: int = quantity("features", "Inputs", ge=1)
    n: int = quantity("features", "Outputs", ge=1)
    m_tile: int = quantity("rows", "Rows of a tile", ge=1)
    k_tile: int = quantity("features", "Inputs of a weight tile", ge=1)
    n_tile: int = quantity("features", "Outputs of a tile", ge=1)
    loops: str = quantity("text", "Order of the loops over tiles, outermost first")
    slots: dict[str, int] = quantity("count", "Tiles that each on-chip memory holds at once")
    weights: int = quantity("count", "Weights of the layer", ge=1)
    stored_bits: int = quantity("bits", "What stands in memory for the weights, scales included", ge=0)
    output: str = quantity("name", "Region that holds the layer's output")


class RegionInfo(Frozen):
    """A matrix of 8-bit integers in DRAM, row-major without gaps."""

    name: str = quantity("name", "Name of the region")
    role: Literal["input", "output"] = quantity("name", "Whether the network reads it first or writes it")
    address: int = quantity("bytes", "First byte", ge=0)
    rows: int = quantity("rows", "Rows", ge=1)
    columns: int = quantity("features", "Columns, one byte each", ge=1)
    signed: bool = quantity("flag", "int8 if true, uint8 if false")
    scale: float = quantity("real value of a step", "Scale of the integers", gt=0)
    zero_point: int = quantity("integer", "Integer that stands for zero")


class Header(Frozen):
    """Everything of a program but its instructions and its image."""

    workload: str = quantity("name", "Network that was compiled")
    recipe: str = quantity("name", "Recipe that compressed it")
    arch: str = quantity("name", "Machine that it was compiled for")
    dram_bytes: int = quantity("bytes", "DRAM that the program uses, the image first", ge=0)
    layers: list[LayerInfo] = quantity("layers", "The layers, in order", min_length=1)
    regions: list[RegionInfo] = quantity("regions", "Input and outputs")

    def region(self, name: str) -> RegionInfo:
        """Region of a name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(name)


class Envelope(Frozen):
    """What a program file says of itself beside its tensors."""

    format: Literal["accelsim-program-1"] = quantity("name", "Format of the file")
    sha256: str = quantity("hexadecimal digits", "Hash of header, instructions and image")
    header: Header


@dataclass(frozen=True, slots=True)
class Program:
    """What the compiler makes and the simulator runs.

    Parameters
    ----------
    instructions
        Records of `INSTRUCTION`, shape (n,), in program order.
    image
        uint8, shape (bytes,): the first bytes of DRAM at the start; the rest, up to header.dram_bytes, is undefined.
    """

    header: Header
    instructions: NDArray[np.void]
    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        self.instructions.flags.writeable = False
        self.image.flags.writeable = False

    @property
    def digest(self) -> str:
        """SHA-256 of header, instructions and image, as 64 hexadecimal digits."""
        digest = hashlib.sha256(self.header.model_dump_json().encode())
        digest.update(np.ascontiguousarray(self.instructions).tobytes())
        digest.update(np.ascontiguousarray(self.image).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write a safetensors file; the file appears whole or not at all.

        Raises
        ------
        ProgramError
            If the file can't be written.
        """
        records = np.ascontiguousarray(self.instructions).view(np.uint8).reshape(-1, INSTRUCTION.itemsize)
        envelope = Envelope(format=FORMAT, sha256=self.digest, header=self.header)
        # one entry of metadata: safetensors writes several in any order
        metadata = {METADATA: envelope.model_dump_json()}
        write_whole(path, save({"instructions": records, "image": self.image}, metadata))

    @classmethod
    def load(cls, path: Path) -> Program:
        """Read a program file; `verify` it before it runs.

        Raises
        ------
        ProgramError
            If the file is missing, not a program, damaged or changed.
        """
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise ProgramError(
                    Fault(f"must be at most {MAX_FILE_BYTES} bytes, not {path.stat().st_size}", str(path))
                )
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if METADATA not in metadata or set(file.keys()) != {"instructions", "image"}:
                    raise ProgramError(Fault(f"must be a program file of format {FORMAT}", str(path)))
                records, image = file.get_tensor("instructions"), file.get_tensor("image")
        except OSError as error:
            raise ProgramError(Fault(f"must be a readable file: {error.strerror or 'not found'}", str(path))) from None
        except SafetensorError as error:
            raise ProgramError(Fault(f"must be a whole safetensors file: {error}", str(path))) from None
        if records.dtype != np.uint8 or records.ndim != 2 or records.shape[1] != INSTRUCTION.itemsize:
            raise ProgramError(Fault(f"instructions must be records of {INSTRUCTION.itemsize} bytes", str(path)))
        if image.dtype != np.uint8 or image.ndim != 1:
            raise ProgramError(Fault("image must be a row of bytes", str(path)))
        try:
            envelope = Envelope.model_validate_json(metadata[METADATA])
        except ValidationError as error:
            faults = (Fault(wording(e), str(path), key=".".join(map(str, e["loc"]))) for e in error.errors())
            raise ProgramError(*faults) from None
        program = cls(envelope.header, records.reshape(-1).view(INSTRUCTION), image)
        if program.digest != envelope.sha256:
            raise ProgramError(
                Fault(
                    f"sha256 must be {program.digest[:12]}..., the content's, not {envelope.sha256[:12]}...: "
                    "the file is damaged or was changed",
                    str(path),
                )
            )
        return program


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name and move it into place, so that nobody ever sees a part of it.

    Raises
    ------
    ProgramError
        If the folder or the file can't be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ProgramError(Fault(f"must be in a writable folder: {error.strerror}", str(path))) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except OSError as error:
        raise ProgramError(Fault(f"must be a writable file: {error.strerror}", str(path))) from None
    finally:
        Path(name).unlink(missing_ok=True)
