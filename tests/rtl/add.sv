// Sum of two tensors at two scales, one lane: subtract zero points | multiply | round and shift | add | multiply |
// round and shift | saturate. Both operands are shifted left by LEFT bits, which is wiring: 20 for two of 8 bits, 15
// where one has 16. Every register between the products has 32 bits and is not saturated, as nothing leaves them;
// rounding is once, ties up. A value a cycle; the result has BITS bits and sign.
module add #(
    parameter LEFT = 20,
    parameter BITS = 8
) (
    input  logic                   clk,
    input  logic                   valid,
    input  logic signed [16:0]     a,
    input  logic signed [16:0]     b,
    input  logic signed [16:0]     a_zero,
    input  logic signed [16:0]     b_zero,
    input  logic signed [31:0]     a_multiplier,
    input  logic        [5:0]      a_right,
    input  logic signed [31:0]     b_multiplier,
    input  logic        [5:0]      b_right,
    input  logic signed [31:0]     multiplier,
    input  logic        [5:0]      right,
    input  logic signed [16:0]     zero,
    output logic                   q_valid,
    output logic signed [BITS-1:0] q
);
  localparam logic signed [63:0] HIGH = (64'sd1 <<< (BITS - 1)) - 1;
  logic signed [16:0] a0, b0;  // 65535 and its sign
  logic signed [31:0] a1, b1, a3, b3, total;
  logic signed [63:0] a2, b2, product, rounded;
  logic v0, v1, v2, v3, v4, v5;

  function automatic logic signed [63:0] up(logic signed [63:0] v, logic [5:0] s);
    return s == 0 ? v : (v + (64'sd1 <<< (s - 1))) >>> s;
  endfunction

  always_comb begin
    a1 = 32'(a0) <<< LEFT;
    b1 = 32'(b0) <<< LEFT;
  end

  always_ff @(posedge clk) begin
    a0 <= 17'(a - a_zero);
    b0 <= 17'(b - b_zero);
    a2 <= 64'(a1) * 64'(a_multiplier);
    b2 <= 64'(b1) * 64'(b_multiplier);
    a3 <= 32'(up(a2, a_right));
    b3 <= 32'(up(b2, b_right));
    total <= a3 + b3;
    product <= 64'(total) * 64'(multiplier);
    rounded <= up(product, right) + 64'(zero);
    q <= rounded > HIGH ? HIGH[BITS-1:0] : rounded < -HIGH - 1 ? ~HIGH[BITS-1:0] : rounded[BITS-1:0];
    {v0, v1, v2, v3, v4, v5, q_valid} <= {valid, v0, v1, v2, v3, v4, v5};
  end
endmodule

// Reads one cycle's inputs a line, prints "valid q" after its edge.
module testbench #(
    parameter LEFT = 20,
    parameter BITS = 8
);
  logic clk = 0, valid = 0, q_valid;
  logic signed [16:0] a, b, a_zero, b_zero, zero;
  logic signed [31:0] a_multiplier, b_multiplier, multiplier;
  logic [5:0] a_right, b_right, right;
  logic signed [BITS-1:0] q;
  add #(.LEFT(LEFT), .BITS(BITS)) dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      valid = value[0];
      got = $fscanf(stimulus, "%d", value); a = value[16:0];
      got = $fscanf(stimulus, "%d", value); b = value[16:0];
      got = $fscanf(stimulus, "%d", value); a_zero = value[16:0];
      got = $fscanf(stimulus, "%d", value); b_zero = value[16:0];
      got = $fscanf(stimulus, "%d", a_multiplier);
      got = $fscanf(stimulus, "%d", value); a_right = value[5:0];
      got = $fscanf(stimulus, "%d", b_multiplier);
      got = $fscanf(stimulus, "%d", value); b_right = value[5:0];
      got = $fscanf(stimulus, "%d", multiplier);
      got = $fscanf(stimulus, "%d", value); right = value[5:0];
      got = $fscanf(stimulus, "%d", value); zero = value[16:0];
      #1 clk = 1;
      #1 $write("%0d %0d\n", q_valid, q);
      clk = 0;
    end
    $finish;
  end
endmodule
