// Weight-stationary array of R x C processing elements: 8-bit weights, 9-bit activations (int8 or uint8), 32-bit sums.
//
// A row of activations enters in one cycle; row r of it is delayed by r. A row of sums leaves in one cycle; column c is
// delayed by C - 1 - c. Weights shift down one row a cycle, last row first, or with `addressed` are broadcast to the row
// that `row` names. With `shadows`, they enter shadow registers, and the command to take them over travels with the first
// activation of a tile; without, the elements multiply by what the load has written. `valid` travels with the partial
// sums of column 0, through like registers.
module weight_stationary #(
    parameter int R = 4,
    parameter int C = 4
) (
    input  logic               clk,
    input  logic               shadows,
    input  logic               addressed,
    input  logic               load,
    input  logic        [7:0]  row,
    input  logic signed [7:0]  weight [C],
    input  logic               swap,
    input  logic               valid,
    input  logic signed [8:0]  x [R],
    output logic               y_valid,
    output logic signed [31:0] y [C]
);
  logic signed [7:0]  shadow [R][C];
  logic signed [7:0]  active [R][C];
  logic signed [8:0]  skew_x [R][R];      // [r][age]: row r passes r of these
  logic               skew_swap [R][R];
  logic signed [8:0]  pass_x [R][C];
  logic               pass_swap [R][C];
  logic signed [31:0] sum [R][C];
  logic               sum_valid [R];
  logic signed [31:0] deskew [C][C];      // [c][age]: column c passes C - 1 - c of these
  logic               deskew_valid [C];

  // what enters row r from the left, and element (r, c) from the left and from above
  function automatic logic signed [8:0] left_x(int r);
    return r == 0 ? x[0] : skew_x[r][r-1];
  endfunction
  function automatic logic left_swap(int r);
    return r == 0 ? swap : skew_swap[r][r-1];
  endfunction

  always_ff @(posedge clk) begin
    for (int r = 0; r < R; r++) begin
      for (int age = R - 1; age > 0; age--) begin
        skew_x[r][age] <= skew_x[r][age-1];
        skew_swap[r][age] <= skew_swap[r][age-1];
      end
      skew_x[r][0] <= x[r];
      skew_swap[r][0] <= swap;
      for (int c = 0; c < C; c++) begin
        automatic logic signed [8:0] in_x = c == 0 ? left_x(r) : pass_x[r][c-1];
        automatic logic take = c == 0 ? left_swap(r) : pass_swap[r][c-1];
        automatic logic signed [7:0] w = !shadows || take ? shadow[r][c] : active[r][c];
        automatic logic signed [31:0] above = r == 0 ? 32'sd0 : sum[r-1][c];
        active[r][c] <= w;
        pass_x[r][c] <= in_x;
        pass_swap[r][c] <= take;
        sum[r][c] <= above + in_x * w;
        if (load && addressed && int'(row) == r) shadow[r][c] <= weight[c];
        if (load && !addressed) shadow[r][c] <= r == 0 ? weight[c] : shadow[r-1][c];
      end
      sum_valid[r] <= r == 0 ? valid : sum_valid[r-1];
    end
    for (int c = 0; c < C; c++) begin
      deskew[c][0] <= sum[R-1][c];
      for (int age = 1; age < C; age++) deskew[c][age] <= deskew[c][age-1];
    end
    deskew_valid[0] <= sum_valid[R-1];
    for (int age = 1; age < C; age++) deskew_valid[age] <= deskew_valid[age-1];
  end

  always_comb begin
    for (int c = 0; c < C; c++) y[c] = c == C - 1 ? sum[R-1][c] : deskew[c][C-2-c];
    y_valid = C == 1 ? sum_valid[R-1] : deskew_valid[C-2];
  end
endmodule

// Reads one cycle's inputs a line, prints the outputs after its edge: "valid y[0] ... y[C-1]".
module testbench #(
    parameter int R = 4,
    parameter int C = 4
);
  logic clk = 0, shadows = 0, addressed = 0, load = 0, swap = 0, valid = 0, y_valid;
  logic [7:0] row;
  logic signed [7:0] weight [C];
  logic signed [8:0] x [R];
  logic signed [31:0] y [C];
  weight_stationary #(.R(R), .C(C)) dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      shadows = value[0];
      got = $fscanf(stimulus, "%d", value); addressed = value[0];
      got = $fscanf(stimulus, "%d", value); load = value[0];
      got = $fscanf(stimulus, "%d", value); row = value[7:0];
      got = $fscanf(stimulus, "%d", value); swap = value[0];
      got = $fscanf(stimulus, "%d", value); valid = value[0];
      for (int c = 0; c < C; c++) begin got = $fscanf(stimulus, "%d", value); weight[c] = value[7:0]; end
      for (int r = 0; r < R; r++) begin got = $fscanf(stimulus, "%d", value); x[r] = value[8:0]; end
      #1 clk = 1;
      #1 $write("%0d", y_valid);
      for (int c = 0; c < C; c++) $write(" %0d", y[c]);
      $write("\n");
      clk = 0;
    end
    $finish;
  end
endmodule
