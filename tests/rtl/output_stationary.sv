// Output-stationary array of R x C processing elements: 9-bit activations (int8 or uint8), 8-bit weights, 32-bit sums.
//
// One k enters a cycle: a column of R activations, row r of it delayed by r, and a row of C weights, column c of it
// delayed by c. With `drain`, all sums shift down by one row, zeros first from above, and nothing is added; `y` shows
// the last row, which the drain's edge takes.
module output_stationary #(
    parameter int R = 4,
    parameter int C = 4
) (
    input  logic               clk,
    input  logic               drain,
    input  logic signed [8:0]  x [R],
    input  logic signed [7:0]  w [C],
    output logic signed [31:0] y [C]
);
  logic signed [8:0]  skew_x [R][R];      // [r][age]: row r passes r of these
  logic signed [7:0]  skew_w [C][C];      // [c][age]: column c passes c of these
  logic signed [8:0]  pass_x [R][C];
  logic signed [7:0]  pass_w [R][C];
  logic signed [31:0] sum [R][C];

  always_ff @(posedge clk) begin
    for (int r = 0; r < R; r++) begin
      for (int age = R - 1; age > 0; age--) skew_x[r][age] <= skew_x[r][age-1];
      skew_x[r][0] <= x[r];
    end
    for (int c = 0; c < C; c++) begin
      for (int age = C - 1; age > 0; age--) skew_w[c][age] <= skew_w[c][age-1];
      skew_w[c][0] <= w[c];
    end
    for (int r = 0; r < R; r++) begin
      for (int c = 0; c < C; c++) begin
        automatic logic signed [8:0] in_x = c != 0 ? pass_x[r][c-1] : r == 0 ? x[0] : skew_x[r][r-1];
        automatic logic signed [7:0] in_w = r != 0 ? pass_w[r-1][c] : c == 0 ? w[0] : skew_w[c][c-1];
        pass_x[r][c] <= in_x;
        pass_w[r][c] <= in_w;
        if (drain) sum[r][c] <= r == 0 ? 32'sd0 : sum[r-1][c];
        else sum[r][c] <= sum[r][c] + in_x * in_w;
      end
    end
  end

  always_comb for (int c = 0; c < C; c++) y[c] = sum[R-1][c];
endmodule

// Reads one cycle's inputs a line, prints what the port reads in that cycle, before its edge: "drain y[0] ... y[C-1]".
module testbench #(
    parameter int R = 4,
    parameter int C = 4
);
  logic clk = 0, drain = 0;
  logic signed [8:0] x [R];
  logic signed [7:0] w [C];
  logic signed [31:0] y [C];
  output_stationary #(.R(R), .C(C)) dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      drain = value[0];
      for (int r = 0; r < R; r++) begin got = $fscanf(stimulus, "%d", value); x[r] = value[8:0]; end
      for (int c = 0; c < C; c++) begin got = $fscanf(stimulus, "%d", value); w[c] = value[7:0]; end
      #1;
      $write("%0d", drain);
      for (int c = 0; c < C; c++) $write(" %0d", y[c]);
      $write("\n");
      clk = 1;
      #1 clk = 0;
    end
    $finish;
  end
endmodule
