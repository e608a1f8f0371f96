// Sum of two tensors at float32 scales, one lane: to float | multiply and add | multiply and add | round | saturate. A
// factor is multiplier * 2^-right; what is added first holds all zero points. Both fused multiply-adds are rounded once,
// to the 24 bits of a float32. A value a cycle.
module float_add (
    input  logic               clk,
    input  logic               valid,
    input  logic signed [8:0]  a,
    input  logic signed [8:0]  b,
    input  logic signed [24:0] a_multiplier,
    input  logic        [5:0]  a_right,
    input  logic signed [24:0] b_multiplier,
    input  logic        [5:0]  b_right,
    input  logic signed [24:0] fixed_multiplier,
    input  logic        [5:0]  fixed_right,
    input  logic signed [8:0]  low,
    input  logic signed [8:0]  high,
    output logic               q_valid,
    output logic signed [8:0]  q
);
  // behind 64 bits of fraction every product and sum is exact
  logic signed [127:0] a0, b0, fixed0, a1, b1, total;
  logic signed [63:0] whole;
  logic v0, v1, v2, v3;

  function automatic logic [127:0] nearest(logic [127:0] v, logic [6:0] s);
    automatic logic [127:0] floor = v >> s;
    automatic logic [127:0] rest = v - (floor << s);
    automatic logic [127:0] half = s == 0 ? 128'd0 : 128'd1 << (s - 1);
    return floor + ((rest > half || (s != 0 && rest == half && floor[0])) ? 128'd1 : 128'd0);
  endfunction
  function automatic logic signed [127:0] float32(logic signed [127:0] v);
    automatic logic [127:0] m = v < 0 ? 128'(-v) : 128'(v);
    automatic logic [6:0] drop = 0;
    for (int i = 24; i < 128; i++) if (m[i]) drop = 7'(i - 23);
    m = nearest(m, drop) << drop;
    return v < 0 ? -128'(m) : 128'(m);
  endfunction
  function automatic logic signed [63:0] integer_of(logic signed [127:0] v);
    automatic logic [127:0] m = nearest(v < 0 ? 128'(-v) : 128'(v), 64);
    return v < 0 ? -64'(m) : 64'(m);
  endfunction

  always_ff @(posedge clk) begin
    a0 <= (128'(a) * 128'(a_multiplier)) <<< (64 - a_right);
    b0 <= (128'(b) * 128'(b_multiplier)) <<< (64 - b_right);
    fixed0 <= 128'(fixed_multiplier) <<< (64 - fixed_right);
    a1 <= a0;
    b1 <= float32(b0 + fixed0);
    total <= float32(a1 + b1);
    whole <= integer_of(total);
    q <= whole < 64'(low) ? low : whole > 64'(high) ? high : 9'(whole);
    {v0, v1, v2, v3, q_valid} <= {valid, v0, v1, v2, v3};
  end
endmodule

// Reads one cycle's inputs a line, prints "valid q" after its edge.
module testbench;
  logic clk = 0, valid = 0, q_valid;
  logic signed [8:0] a, b, low, high, q;
  logic signed [24:0] a_multiplier, b_multiplier, fixed_multiplier;
  logic [5:0] a_right, b_right, fixed_right;
  float_add dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      valid = value[0];
      got = $fscanf(stimulus, "%d", value); a = value[8:0];
      got = $fscanf(stimulus, "%d", value); b = value[8:0];
      got = $fscanf(stimulus, "%d", value); a_multiplier = value[24:0];
      got = $fscanf(stimulus, "%d", value); a_right = value[5:0];
      got = $fscanf(stimulus, "%d", value); b_multiplier = value[24:0];
      got = $fscanf(stimulus, "%d", value); b_right = value[5:0];
      got = $fscanf(stimulus, "%d", value); fixed_multiplier = value[24:0];
      got = $fscanf(stimulus, "%d", value); fixed_right = value[5:0];
      got = $fscanf(stimulus, "%d", value); low = value[8:0];
      got = $fscanf(stimulus, "%d", value); high = value[8:0];
      #1 clk = 1;
      #1 $write("%0d %0d\n", q_valid, q);
      clk = 0;
    end
    $finish;
  end
endmodule
