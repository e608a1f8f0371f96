"""The matrix unit's datapaths, each with the parameters that its hardware has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.config.model import Frozen, Integer, quantity
from accelsim.config.operands import OPERANDS, IntegerType, Operand, OperandType

_ROWS = "Rows R of processing elements"
_COLUMNS = "Columns C of processing elements"


def _side(unit: str, description: str) -> Integer:
    side: Integer = quantity(unit, description, ge=1, le=4096)
    return side


class _Datapath(Frozen):
    """What all datapaths have."""

    operands: Literal["int8"] = quantity("name", "Type of activations and weights", default="int8")

    @property
    def operand(self) -> Operand:
        """Widths of operands and sums."""
        return OPERANDS[self.operands]

    @property
    def skips_zeros(self) -> bool:
        """Whether an instruction's time depends on which operands are zero."""
        return False

    @property
    def integer_widths(self) -> list[int]:
        """Bits of the integers that the datapath takes beside its own type."""
        return []


class _Grid(_Datapath):
    """R x C processing elements, a multiplier in each."""

    rows: Integer = _side("processing elements", _ROWS)
    columns: Integer = _side("processing elements", _COLUMNS)

    @property
    def multipliers(self) -> int:
        """Multipliers that work in one cycle (count)."""
        return self.rows * self.columns


#: Bits of the float operands whose multipliers take several pairs of integers.
PACKED_BITS = 16


class WeightStationary(_Grid):
    """A systolic array whose weights stay in its processing elements: R inputs (K) by C outputs (N) a fold."""

    kind: Literal["weight_stationary"] = quantity("name", "Datapath of the matrix unit")
    double_buffered_weights: bool = quantity(
        "flag", "Whether shadow registers take the next fold's weights while the current fold computes"
    )
    weight_load: Literal["shift_chain", "row_addressed"] = quantity(
        "name",
        "How a row of weights reaches its registers: down the rows above it, or by an address and a broadcast",
        default="shift_chain",
    )
    operands: OperandType = quantity(  # type: ignore[assignment] # the array has multipliers of any type
        "name", "Type of activations and weights", default="int8"
    )
    integers: list[IntegerType] = quantity(
        "names",
        "Integer types of which a float multiplier of 16 bits takes two pairs (int8) or four (int4) in place of one "
        "pair of floats, and adds their products up; sums are int32",
        default=[],
    )

    lookup: bool = quantity(
        "flag",
        "Whether weights are 4-bit numbers of 16 shared values of 8 bits, and a table of products takes the place of "
        "each multiplier; for int4 operands",
        default=False,
    )

    @model_validator(mode="after")
    def _tables_of_four_bits(self) -> WeightStationary:
        if self.lookup and self.operands != "int4":
            raise ValueError(f"lookup must be false for {self.operands}, of which a table would have too many products")
        if self.lookup and self.weight_load != "shift_chain":
            raise ValueError(f"weight_load must be shift_chain where lookup is true, not {self.weight_load}")
        return self

    @model_validator(mode="after")
    def _whole_folds(self) -> WeightStationary:
        if self.integers and (not self.operand.is_float or self.operand.bits != PACKED_BITS):
            raise ValueError(f"integers must be empty for {self.operands}, whose multipliers are not floats of 16 bits")
        if self.integers and self.weight_load != "shift_chain":
            raise ValueError(f"weight_load must be shift_chain where there are integers, not {self.weight_load}")
        if self.weight_load == "row_addressed" and not self.double_buffered_weights:
            raise ValueError("weight_load must be shift_chain where double_buffered_weights is false")
        for name, side in (("rows", self.rows), ("columns", self.columns)):
            if side * self.operand.bits % 8:
                raise ValueError(f"{name} of {self.operands} must fill whole bytes, but {side} {name} do not")
        return self

    @property
    def integer_widths(self) -> list[int]:
        """Bits of the integers that the datapath takes beside its own type."""
        return [OPERANDS[name].bits for name in self.integers]

    def fold_rows(self, integer_bits: int) -> int:
        """Inputs (K) of a fold of integers of so many bits; of the operands' own type if it is 0."""
        return self.rows * PACKED_BITS // integer_bits if integer_bits else self.rows


class InputStationary(_Grid):
    """The same array with activations in its registers and weights streaming through: R inputs (K) by C samples (M)."""

    kind: Literal["input_stationary"] = quantity("name", "Datapath of the matrix unit")
    double_buffered_inputs: bool = quantity(
        "flag", "Whether shadow registers take the next fold's activations while the current fold computes"
    )


class OutputStationary(_Grid):
    """A systolic array whose sums stay in its elements: R samples (M) by C outputs (N), K streams through."""

    kind: Literal["output_stationary"] = quantity("name", "Datapath of the matrix unit")
    drain: Literal["shifted", "direct"] = quantity(
        "name",
        "How sums leave: down the columns, a row of elements a cycle, while nothing is computed; or straight to the "
        "accumulator memory, whose port alone takes time, which needs a wire from every element and is what SCALE-Sim "
        "assumes",
        default="shifted",
    )


class OuterProduct(_Grid):
    """R x C accumulators that take an outer product a cycle: R activations by C weights of one k, both broadcast."""

    kind: Literal["outer_product"] = quantity("name", "Datapath of the matrix unit")
    double_buffered_sums: bool = quantity(
        "flag", "Whether the next tile's sums accumulate while the last tile's drain to the accumulator memory"
    )
    skip_zero_columns: bool = quantity(
        "flag", "Whether a k is skipped whose activations, or whose weights, in the tile are all zero"
    )
    mask_bits: Integer = quantity(
        "inputs (K)", "Inputs whose skip bits the unit holds for one tile; one bit for each operand", ge=1, le=2**20
    )

    @property
    def skips_zeros(self) -> bool:
        """Whether an instruction's time depends on which operands are zero."""
        return self.skip_zero_columns


class StructuredSparse(_Grid):
    """C dot products of R multipliers; behind a multiplexer, each picks its activation from a group of M by an index.

    With kept of every `group` weights along K nonzero, a fold holds R group / kept inputs (K); dense weights use the
    same multipliers without the multiplexers, R inputs a fold.
    """

    kind: Literal["structured_sparse"] = quantity("name", "Datapath of the matrix unit")
    kept: Integer = quantity("weights", "Weights N of a group that may be nonzero", ge=1, le=8)
    group: Integer = quantity("weights", "Weights M of a group along K", ge=2, le=16)

    @model_validator(mode="after")
    def _whole_groups(self) -> StructuredSparse:
        if self.kept >= self.group:
            raise ValueError(f"kept must be below group ({self.group}), not {self.kept}")
        if self.rows % self.kept:
            raise ValueError(f"rows must be a multiple of kept ({self.kept}), not {self.rows}")
        return self

    @property
    def index_bits(self) -> int:
        """Bits of the index that picks an activation from its group."""
        return (self.group - 1).bit_length()


class TensorCore(_Datapath):
    """Cores that multiply 4 x 4 by 4 x 4 with an adder tree, one issue a cycle.

    Each core works on a tile of `tile_rows` x `tile_columns` outputs whose operands it holds in registers; all cores
    read the scratchpads, which are their shared memory. Tiles are dealt to the cores in waves.
    """

    kind: Literal["tensor_core"] = quantity("name", "Datapath of the matrix unit")
    cores: Integer = quantity("count", "Cores", ge=1, le=4096)
    joined: Literal[1, 2] = quantity(
        "cores", "Cores whose adder trees join: 2 form A B + A' B' + C in one issue, so K advances by 8", default=1
    )
    tile_rows: Integer = quantity("outputs (M)", "Rows of a core's register tile", ge=4, le=256, multiple_of=4)
    tile_columns: Integer = quantity("outputs (N)", "Columns of a core's register tile", ge=4, le=256, multiple_of=4)
    local_accumulator: bool = quantity(
        "flag", "Whether sums stay in the last pipeline stage, so that issues to the same sums need not wait"
    )
    sparse_2_4: bool = quantity(
        "flag", "Whether multiplexers pick activations by the indices of 2:4 weights, so that an issue covers 8 of K"
    )

    @model_validator(mode="after")
    def _whole_groups(self) -> TensorCore:
        if self.cores % self.joined:
            raise ValueError(f"cores must be a multiple of joined ({self.joined}), not {self.cores}")
        return self

    @property
    def multipliers(self) -> int:
        """Multipliers that work in one cycle (count)."""
        return 64 * self.cores


class SparseLanes(_Datapath):
    """Lanes that hold interleaved outputs of a sparse matrix and multiply a broadcast nonzero activation, as EIE."""

    kind: Literal["sparse_lanes"] = quantity("name", "Datapath of the matrix unit")
    lanes: Integer = _side("count", "Lanes; output n belongs to lane n modulo lanes")
    fifo_depth: Integer = quantity("activations", "Activations that wait before each lane", ge=1, le=4096)
    index_bits: Integer = quantity(
        "bits", "Width of a relative index; longer runs of zeros take padding zeros", ge=1, le=8
    )
    sums_per_lane: Integer = quantity("sums", "Sums that a lane's register file holds", ge=1, le=65536)
    fetch_bits: Integer = quantity(
        "bits",
        "What a lane reads at once of its slice of the weight memory: whole entries; EIE's 64 if absent",
        default=64,
        ge=16,
        le=4096,
    )

    @property
    def skips_zeros(self) -> bool:
        """Whether an instruction's time depends on which operands are zero: always."""
        return True

    @property
    def multipliers(self) -> int:
        """Multipliers that work in one cycle (count)."""
        return self.lanes


Matrix = Annotated[
    WeightStationary | InputStationary | OutputStationary | OuterProduct | StructuredSparse | TensorCore | SparseLanes,
    Field(discriminator="kind"),
]
