// Outer-product unit of R x C multiply-accumulate elements: 8-bit weights, 9-bit activations (int8 or uint8), 32-bit
// sums. Pipeline: select k | broadcast registers | multiply and accumulate. P sums leave a cycle, column by column.
//
// A tile comes with two masks of a bit a k. Each cycle the lowest pending k is named by a priority encoder and cleared;
// its operands, read from a memory outside, are there one cycle later. `ready` follows the selection: with two sums an
// element, a tile may start when the one before is selected and its predecessor's drain is over; with one, when the
// drain of the one before is over. Drains follow the selection by two cycles.
module outer_product #(
    parameter int R = 4,
    parameter int C = 4,
    parameter int K = 32,
    parameter int P = 4
) (
    input  logic                 clk,
    input  logic                 double_buffered,
    input  logic                 start,
    input  logic [K-1:0]         mask_x,
    input  logic [K-1:0]         mask_w,
    input  logic [15:0]          drains,         // cycles in which the tile's sums leave, at least 1
    output logic                 ready,
    output logic [$clog2(K)-1:0] k,              // whose operands are wanted now, of the tile of this parity
    output logic                 k_parity,
    input  logic signed [8:0]    x [R],
    input  logic signed [7:0]    w [C],
    output logic                 complete,       // a tile's last sum was accumulated on this edge
    output logic                 y_valid,
    output logic signed [31:0]   y [P]
);
  // selection
  logic [K-1:0] pending, candidates, rest;
  logic         busy, done, bank, accept, select, last, hand_over;
  logic [15:0]  drain_left, tile_drains;
  logic [$clog2(K)-1:0] lowest;

  always_comb begin
    ready = !busy && (double_buffered ? !done || drain_left == 0 : !done && drain_left == 0);
    accept = start && ready;
    candidates = accept ? mask_x & mask_w : pending;
    rest = candidates & (candidates - 1);
    lowest = 0;
    for (int i = K - 1; i >= 0; i--) if (candidates[i]) lowest = i[$clog2(K)-1:0];
    select = accept || busy;
    last = rest == 0;
    hand_over = done && drain_left == 0;
  end

  // what travels with a selected k, and with the command to drain
  logic s1_valid, s1_first, s1_last, s1_multiply, s1_bank, s2_valid, s2_first, s2_last, s2_multiply, s2_bank;
  logic d1_valid, d1_bank;
  logic [15:0] d1_drains;
  logic signed [8:0]  broadcast_x [R];
  logic signed [7:0]  broadcast_w [C];
  logic signed [31:0] sum [2][C][R];

  logic        drain_bank;
  logic [15:0] word, words;

  always_ff @(posedge clk) begin
    pending <= rest;
    busy <= select && !last;
    done <= select && last ? 1 : hand_over ? 0 : done;
    if (accept) tile_drains <= drains;
    if (accept) bank <= double_buffered && !bank;
    drain_left <= hand_over ? tile_drains - 1 : drain_left != 0 ? drain_left - 1 : 0;

    {s1_valid, s1_first, s1_last, s1_multiply} <= {select, accept, last, candidates != 0};
    s1_bank <= accept ? double_buffered && !bank : bank;
    k <= lowest;
    if (accept) k_parity <= !k_parity;
    {d1_valid, d1_bank, d1_drains} <= {hand_over, bank, tile_drains};

    {s2_valid, s2_first, s2_last, s2_multiply, s2_bank} <= {s1_valid, s1_first, s1_last, s1_multiply, s1_bank};
    broadcast_x <= x;
    broadcast_w <= w;

    if (s2_valid)
      for (int c = 0; c < C; c++)
        for (int r = 0; r < R; r++)
          sum[s2_bank][c][r] <= (s2_first ? 32'sd0 : sum[s2_bank][c][r])
                              + (s2_multiply ? broadcast_x[r] * broadcast_w[c] : 32'sd0);
    complete <= s2_valid && s2_last;

    if (d1_valid) {y_valid, drain_bank, word, words} <= {1'b1, d1_bank, 16'd0, d1_drains};
    else if (word + 1 == words) y_valid <= 0;
    else word <= word + 1;
  end

  always_comb
    for (int p = 0; p < P; p++) begin
      automatic int at = word * P + p;
      y[p] = at < R * C ? sum[drain_bank][at / R][at % R] : 32'sd0;
    end
endmodule

// Holds the operands of two tiles and offers each tile from its cycle on until the unit takes it. A line of stimulus is
// a tile: double_buffered, skip, cycles after the start of the tile before at which it is offered, drains, the weights'
// mask, K rows of activations, K rows of weights. The activations' mask comes from zero detectors. Prints after each
// edge: "accepted complete y_valid y[0] ... y[P-1]".
module testbench #(
    parameter int R = 4,
    parameter int C = 4,
    parameter int K = 32,
    parameter int P = 4
);
  logic clk = 0, double_buffered = 0, start = 0, ready, k_parity, complete, y_valid;
  logic [K-1:0] mask_x, mask_w;
  logic [15:0] drains;
  logic [$clog2(K)-1:0] k;
  logic signed [8:0] x [R];
  logic signed [7:0] w [C];
  logic signed [31:0] y [P];
  outer_product #(.R(R), .C(C), .K(K), .P(P)) dut (.*);

  logic signed [8:0] memory_x [2][K][R];
  logic signed [7:0] memory_w [2][K][C];
  always_comb x = memory_x[k_parity][k];
  always_comb w = memory_w[k_parity][k];

  int stimulus, got, value, skip, offer, since, idle;
  logic more, loaded, parity, accepted;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    more = 1; loaded = 0; parity = 0; since = 0; idle = 0;
    while (more || loaded || idle < K + 2 * R * C + 8) begin
      if (more && !loaded) begin
        more = $fscanf(stimulus, "%d", value) == 1;
        if (more) begin
          loaded = 1; parity = !parity; double_buffered = value[0];
          got = $fscanf(stimulus, "%d", skip);
          got = $fscanf(stimulus, "%d", offer);
          got = $fscanf(stimulus, "%d", value); drains = value[15:0];
          for (int i = 0; i < K; i++) begin got = $fscanf(stimulus, "%d", value); mask_w[i] = value[0]; end
          for (int i = 0; i < K; i++) begin
            mask_x[i] = skip == 0;
            for (int r = 0; r < R; r++) begin
              got = $fscanf(stimulus, "%d", value);
              memory_x[parity][i][r] = value[8:0];
              mask_x[i] |= |value[8:0];
            end
          end
          for (int i = 0; i < K; i++)
            for (int c = 0; c < C; c++) begin got = $fscanf(stimulus, "%d", value); memory_w[parity][i][c] = value[7:0]; end
        end
      end
      start = loaded && since >= offer;
      #1 accepted = start && ready;
      if (accepted) begin loaded = 0; since = 0; end
      clk = 1;
      #1 $write("%0d %0d %0d", accepted, complete, y_valid);
      for (int p = 0; p < P; p++) $write(" %0d", y[p]);
      $write("\n");
      clk = 0;
      since++;
      idle = more || loaded ? 0 : idle + 1;
    end
    $finish;
  end
endmodule
