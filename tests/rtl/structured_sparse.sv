// Structured-sparse unit: C dot products of R multipliers: 8-bit weights, 9-bit activations (int8 or uint8), 32-bit
// sums. Pipeline: select | multiply | sum and accumulate; a row of activations a cycle.
//
// KEPT of GROUP weights along K are held with indices of B bits. Multiplier r picks from the activations of group
// r / KEPT or, for dense weights, takes activation r. `load` writes a row of shadow registers; `swap`, which comes with
// a fold's first row, takes all of them over. `addend` belongs to the row that is in the last stage: two cycles later.
module structured_sparse #(
    parameter int R = 4,
    parameter int C = 4,
    parameter int KEPT = 2,
    parameter int GROUP = 4,
    parameter int B = 2,
    parameter int X = R / KEPT * GROUP
) (
    input  logic               clk,
    input  logic               load,
    input  logic [15:0]        row,
    input  logic signed [7:0]  weight [C],
    input  logic [B-1:0]       index [C],
    input  logic               swap,
    input  logic               valid,
    input  logic               sparse,
    input  logic signed [8:0]  x [X],
    input  logic signed [31:0] addend [C],
    output logic               y_valid,
    output logic signed [31:0] y [C]
);
  logic signed [7:0]  shadow_weight [R][C], weights [R][C];
  logic [B-1:0]       shadow_index [R][C], indices [R][C];
  logic signed [8:0]  selected [R][C];
  logic signed [15:0] product [R][C];  // 8 by 9 bits fit: the largest magnitude is 128 x 255
  logic               v1, v2;

  always_ff @(posedge clk) begin
    for (int r = 0; r < R; r++)
      for (int c = 0; c < C; c++) begin
        automatic logic [B-1:0] i = swap ? shadow_index[r][c] : indices[r][c];
        if (load && row == r) begin
          shadow_weight[r][c] <= weight[c];
          shadow_index[r][c] <= index[c];
        end
        if (swap) begin
          weights[r][c] <= shadow_weight[r][c];
          indices[r][c] <= shadow_index[r][c];
        end
        selected[r][c] <= sparse ? x[r / KEPT * GROUP + i] : x[r];
        product[r][c] <= selected[r][c] * weights[r][c];
      end
    for (int c = 0; c < C; c++) begin
      automatic logic signed [31:0] tree = 0;
      for (int r = 0; r < R; r++) tree += 32'(product[r][c]);
      y[c] <= tree + addend[c];
    end
    {v1, v2, y_valid} <= {valid, v1, v2};
  end
endmodule

// Reads one cycle's inputs a line, prints the outputs after its edge: "y_valid y[0] ... y[C-1]".
module testbench #(
    parameter int R = 4,
    parameter int C = 4,
    parameter int KEPT = 2,
    parameter int GROUP = 4,
    parameter int B = 2,
    parameter int X = R / KEPT * GROUP
);
  logic clk = 0, load = 0, swap = 0, valid = 0, sparse = 0, y_valid;
  logic [15:0] row;
  logic signed [7:0] weight [C];
  logic [B-1:0] index [C];
  logic signed [8:0] x [X];
  logic signed [31:0] addend [C];
  logic signed [31:0] y [C];
  structured_sparse #(.R(R), .C(C), .KEPT(KEPT), .GROUP(GROUP), .B(B)) dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      load = value[0];
      got = $fscanf(stimulus, "%d", value); row = value[15:0];
      got = $fscanf(stimulus, "%d", value); swap = value[0];
      got = $fscanf(stimulus, "%d", value); valid = value[0];
      got = $fscanf(stimulus, "%d", value); sparse = value[0];
      for (int c = 0; c < C; c++) begin got = $fscanf(stimulus, "%d", value); weight[c] = value[7:0]; end
      for (int c = 0; c < C; c++) begin got = $fscanf(stimulus, "%d", value); index[c] = value[B-1:0]; end
      for (int i = 0; i < X; i++) begin got = $fscanf(stimulus, "%d", value); x[i] = value[8:0]; end
      for (int c = 0; c < C; c++) begin got = $fscanf(stimulus, "%d", addend[c]); end
      #1 clk = 1;
      #1 $write("%0d", y_valid);
      for (int c = 0; c < C; c++) $write(" %0d", y[c]);
      $write("\n");
      clk = 0;
    end
    $finish;
  end
endmodule
