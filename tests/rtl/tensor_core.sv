// Tensor core, or J of them joined: 4 x 4 outputs, each the sum of 4 J products and an addend: 8-bit weights, 9-bit
// activations (int8 or uint8), 32-bit sums. Pipeline: multiply | tree | accumulate, an issue a cycle.
//
// Q blocks of sums stay in registers. `local_sums`: the last stage reads the sum that it adds to; otherwise the sum is
// read at issue and travels along, so an issue to a block that is still on its way is not `ready`. `first` issues add
// to nothing. With `sparse`, output column j's weight s is multiplied by activation 4 (s / 2) + index[s][j] of the row.
module tensor_core #(
    parameter int J = 1,
    parameter int Q = 4
) (
    input  logic               clk,
    input  logic               local_sums,
    input  logic               sparse,
    input  logic               issue,
    input  logic               first,
    input  logic [7:0]         block,
    input  logic signed [8:0]  a [4][8*J],
    input  logic signed [7:0]  b [4*J][4],
    input  logic [1:0]         index [4*J][4],
    output logic               ready,
    output logic               y_valid,
    output logic [7:0]         y_block,
    output logic signed [31:0] y [16]
);
  logic signed [15:0] product [4][4][4*J];  // 8 by 9 bits fit: the largest magnitude is 128 x 255
  logic signed [31:0] tree [4][4];
  logic signed [31:0] addend1 [4][4], addend2 [4][4];
  logic signed [31:0] sum [Q][4][4];
  logic v1, v2, first1, first2;
  logic [7:0] block1, block2;

  always_comb
    ready = local_sums || first || !((v1 && block1 == block) || (v2 && block2 == block));

  always_ff @(posedge clk) begin
    {v1, first1, block1} <= {issue && ready, first, block};
    {v2, first2, block2} <= {v1, first1, block1};
    {y_valid, y_block} <= {v2, block2};
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) begin
        automatic logic signed [31:0] total = 0;
        for (int s = 0; s < 4 * J; s++) begin
          product[i][j][s] <= b[s][j] * (sparse ? a[i][s / 2 * 4 + index[s][j]] : a[i][s]);
          total += 32'(product[i][j][s]);
        end
        tree[i][j] <= total;
        addend1[i][j] <= first ? 32'sd0 : sum[block][i][j];
        addend2[i][j] <= addend1[i][j];
        if (v2) sum[block2][i][j] <= tree[i][j]
            + (!local_sums ? addend2[i][j] : first2 ? 32'sd0 : sum[block2][i][j]);
      end
  end

  always_comb for (int i = 0; i < 16; i++) y[i] = sum[y_block][i / 4][i % 4];
endmodule

// Offers one issue a line until the core takes it: cycles to wait before, local_sums, sparse, first, block, a, b, index.
// Prints after each edge: "accepted y_valid y_block y[0] ... y[15]".
module testbench #(
    parameter int J = 1,
    parameter int Q = 4
);
  logic clk = 0, local_sums = 0, sparse = 0, issue = 0, first = 0, ready, y_valid;
  logic [7:0] block, y_block;
  logic signed [8:0] a [4][8*J];
  logic signed [7:0] b [4*J][4];
  logic [1:0] index [4*J][4];
  logic signed [31:0] y [16];
  tensor_core #(.J(J), .Q(Q)) dut (.*);

  int stimulus, got, value, gap, idle;
  logic more, loaded, accepted;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    more = 1; loaded = 0; idle = 0;
    while (more || loaded || idle < 6) begin
      if (more && !loaded) begin
        more = $fscanf(stimulus, "%d", gap) == 1;
        if (more) begin
          loaded = 1;
          got = $fscanf(stimulus, "%d", value); local_sums = value[0];
          got = $fscanf(stimulus, "%d", value); sparse = value[0];
          got = $fscanf(stimulus, "%d", value); first = value[0];
          got = $fscanf(stimulus, "%d", value); block = value[7:0];
          for (int i = 0; i < 4; i++)
            for (int s = 0; s < 8 * J; s++) begin got = $fscanf(stimulus, "%d", value); a[i][s] = value[8:0]; end
          for (int s = 0; s < 4 * J; s++)
            for (int j = 0; j < 4; j++) begin got = $fscanf(stimulus, "%d", value); b[s][j] = value[7:0]; end
          for (int s = 0; s < 4 * J; s++)
            for (int j = 0; j < 4; j++) begin got = $fscanf(stimulus, "%d", value); index[s][j] = value[1:0]; end
        end
      end
      issue = loaded && gap == 0;
      #1 accepted = issue && ready;
      clk = 1;
      #1 $write("%0d %0d %0d", accepted, y_valid, y_block);
      for (int i = 0; i < 16; i++) $write(" %0d", y[i]);
      $write("\n");
      clk = 0;
      if (accepted) loaded = 0;
      if (gap > 0) gap--;
      idle = more || loaded ? 0 : idle + 1;
    end
    $finish;
  end
endmodule
