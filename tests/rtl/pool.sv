// Pooling unit, one lane: maxima or sums of windows, whose values so far stand in a register for each group of channels.
//
// A maximum compares in one stage. A sum subtracts the zero point | adds | multiplies | rounds and shifts | saturates; it
// rounds once, ties up. With a window's last pixel the result leaves. A pixel's groups follow each other, a value a cycle.
module pool #(
    parameter GROUPS = 4
) (
    input  logic               clk,
    input  logic               valid,
    input  logic               maximum,
    input  logic               first,
    input  logic               last,
    input  logic        [7:0]  group,
    input  logic signed [16:0] x,
    input  logic signed [16:0] zero_point,
    input  logic signed [31:0] multiplier,
    input  logic        [5:0]  right,
    input  logic signed [8:0]  result_zero,
    output logic               q_valid,
    output logic signed [16:0] q
);
  logic signed [31:0] so_far[GROUPS];
  logic signed [17:0] centred;
  logic signed [31:0] added, total;
  logic signed [63:0] product, rounded;
  logic        [7:0]  group1;
  logic               first1, last1, v1, v2, v3, v4;
  logic signed [31:0] most;

  always_comb most = first || so_far[group] < 32'(x) ? 32'(x) : so_far[group];
  always_comb added = first1 ? 32'(centred) : so_far[group1] + 32'(centred);

  always_ff @(posedge clk) begin
    if (maximum) begin
      if (valid) so_far[group] <= most;
      q <= 17'(most);
      q_valid <= valid && last;
    end else begin
      centred <= 18'(x) - 18'(zero_point);
      {first1, last1, group1, v1} <= {first, last, group, valid};
      if (v1) so_far[group1] <= added;
      total <= added;
      v2 <= v1 && last1;
      product <= 64'(total) * 64'(multiplier);
      v3 <= v2;
      rounded <= right == 0 ? product : (product + (64'sd1 <<< (right - 1))) >>> right;
      v4 <= v3;
      q <= rounded + 64'(result_zero) < -64'sd128 ? -17'sd128 :
           rounded + 64'(result_zero) > 64'sd127 ? 17'sd127 : 17'(rounded + 64'(result_zero));
      q_valid <= v4;
    end
  end
endmodule

// Reads one cycle's inputs a line, prints "valid q" after its edge.
module testbench #(
    parameter GROUPS = 4
);
  logic clk = 0, valid = 0, maximum, first, last, q_valid;
  logic [7:0] group;
  logic signed [16:0] x, zero_point, q;
  logic signed [31:0] multiplier;
  logic [5:0] right;
  logic signed [8:0] result_zero;
  pool #(.GROUPS(GROUPS)) dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      valid = value[0];
      got = $fscanf(stimulus, "%d", value); maximum = value[0];
      got = $fscanf(stimulus, "%d", value); first = value[0];
      got = $fscanf(stimulus, "%d", value); last = value[0];
      got = $fscanf(stimulus, "%d", value); group = value[7:0];
      got = $fscanf(stimulus, "%d", value); x = value[16:0];
      got = $fscanf(stimulus, "%d", value); zero_point = value[16:0];
      got = $fscanf(stimulus, "%d", multiplier);
      got = $fscanf(stimulus, "%d", value); right = value[5:0];
      got = $fscanf(stimulus, "%d", value); result_zero = value[8:0];
      #1 clk = 1;
      #1 $write("%0d %0d\n", q_valid, q);
      clk = 0;
    end
    $finish;
  end
endmodule
