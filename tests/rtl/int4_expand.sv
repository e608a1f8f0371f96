// Expands packed int4 to int8, L a cycle: product with the group's multiplier | round to even, shift and clamp.
//
// The word holds two integers a byte, the low nibble first. Each lane has the multiplier of its integer's group, 8 bits
// without sign; all share a right shift. Lanes that the end of a tensor does not fill carry valid = 0.
module int4_expand #(
    parameter int L = 8
) (
    input  logic              clk,
    input  logic        [7:0] word [(L+1)/2],
    input  logic              valid [L],
    input  logic        [7:0] multiplier [L],
    input  logic        [2:0] shift,
    output logic              q_valid [L],
    output logic signed [7:0] q [L]
);
  logic signed [12:0] product [L];
  logic               product_valid [L];
  logic        [2:0]  product_shift;

  function automatic logic signed [12:0] round_to_even(logic signed [12:0] v, logic [2:0] s);
    automatic logic signed [12:0] floor = v >>> s;
    automatic logic [6:0] rest = v[6:0] & ~(7'h7f << s);
    automatic logic [6:0] half = s == 0 ? 7'd0 : 7'd1 << (s - 1);
    return s != 0 && (rest > half || (rest == half && floor[0])) ? floor + 13'sd1 : floor;
  endfunction

  always_ff @(posedge clk) begin
    product_shift <= shift;
    for (int l = 0; l < L; l++) begin
      automatic logic signed [3:0] nibble = l % 2 == 0 ? word[l/2][3:0] : word[l/2][7:4];
      automatic logic signed [12:0] rounded = round_to_even(product[l], product_shift);
      product[l] <= nibble * $signed({1'b0, multiplier[l]});
      product_valid[l] <= valid[l];
      q[l] <= rounded > 13'sd127 ? 8'sd127 : rounded < -13'sd128 ? -8'sd128 : 8'(rounded);
      q_valid[l] <= product_valid[l];
    end
  end
endmodule

// Reads one cycle's inputs a line, prints the outputs after its edge: "valid[0] q[0] valid[1] q[1] ...".
module testbench #(
    parameter int L = 8
);
  logic clk = 0;
  logic [7:0] word [(L+1)/2];
  logic valid [L], q_valid [L];
  logic [7:0] multiplier [L];
  logic [2:0] shift;
  logic signed [7:0] q [L];
  int4_expand #(.L(L)) dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      shift = value[2:0];
      for (int b = 0; b < (L + 1) / 2; b++) begin got = $fscanf(stimulus, "%d", value); word[b] = value[7:0]; end
      for (int l = 0; l < L; l++) begin got = $fscanf(stimulus, "%d", value); valid[l] = value[0]; end
      for (int l = 0; l < L; l++) begin got = $fscanf(stimulus, "%d", value); multiplier[l] = value[7:0]; end
      #1 clk = 1;
      #1;
      for (int l = 0; l < L; l++) $write("%0d %0d ", q_valid[l], q[l]);
      $write("\n");
      clk = 0;
    end
    $finish;
  end
endmodule
