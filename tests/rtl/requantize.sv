// Requantize unit, one lane: multiply | rounding shift | saturate; a value a cycle, three cycles from sum to result.
//
// mode 0: once, ties up (TFLite single rounding, XNNPACK rndnu); 1: to 32 bits ties up, then ties away (gemmlowp);
// 2: to 32 bits ties up, then ties up (ruy); 3: once, ties away (LiteRT); 4: ties to even (Gemmini);
// 5: ties away, saturated to 17 bits (NVDLA). `right` is the right shift that the mode makes: of the product in modes
// 0, 3, 4 and 5, of the high half in modes 1 and 2. `left` is the left shift of the sum, which wraps at 32 bits.
module requantize (
    input  logic               clk,
    input  logic        [2:0]  mode,
    input  logic               valid,
    input  logic signed [31:0] acc,
    input  logic signed [31:0] multiplier,
    input  logic        [5:0]  left,
    input  logic        [5:0]  right,
    input  logic signed [8:0]  zero_point,
    output logic               q_valid,
    output logic signed [7:0]  q
);
  logic signed [63:0] product, rounded;
  logic        [5:0]  shift1;
  logic signed [8:0]  zp1, zp2;
  logic               v1, v2;

  function automatic logic signed [63:0] up(logic signed [63:0] v, logic [5:0] s);
    return s == 0 ? v : (v + (64'sd1 <<< (s - 1))) >>> s;
  endfunction
  function automatic logic signed [63:0] away(logic signed [63:0] v, logic [5:0] s);
    return v < 0 ? -up(-v, s) : up(v, s);
  endfunction
  function automatic logic signed [63:0] even(logic signed [63:0] v, logic [5:0] s);
    automatic logic signed [63:0] floor = v >>> s;
    automatic logic signed [63:0] rest = v - (floor <<< s);
    automatic logic signed [63:0] half = s == 0 ? 64'sd0 : 64'sd1 <<< (s - 1);
    return floor + ((rest > half || (s != 0 && rest == half && floor[0])) ? 64'sd1 : 64'sd0);
  endfunction
  function automatic logic signed [63:0] clamp(logic signed [63:0] v, logic signed [63:0] low, logic signed [63:0] high);
    return v < low ? low : v > high ? high : v;
  endfunction

  logic signed [31:0] shifted;
  always_comb shifted = acc <<< left;

  always_ff @(posedge clk) begin
    product <= mode == 4 ? 64'(acc) : 64'(shifted) * 64'(multiplier);
    {shift1, zp1, v1} <= {right, zero_point, valid};
    case (mode)
      0: rounded <= up(product, shift1);
      1: rounded <= away(up(product, 31), shift1);
      2: rounded <= up(up(product, 31), shift1);
      3: rounded <= away(product, shift1);
      4: rounded <= even(product, shift1);
      default: rounded <= clamp(away(product, shift1), -64'sd65536, 64'sd65535);
    endcase
    {zp2, v2} <= {zp1, v1};
    q <= 8'(clamp(rounded + 64'(zp2), -64'sd128, 64'sd127));
    q_valid <= v2;
  end
endmodule

// Reads one cycle's inputs a line, prints "valid q" after its edge.
module testbench;
  logic clk = 0, valid = 0, q_valid;
  logic signed [31:0] acc, multiplier;
  logic [2:0] mode;
  logic [5:0] left, right;
  logic signed [8:0] zero_point;
  logic signed [7:0] q;
  requantize dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      valid = value[0];
      got = $fscanf(stimulus, "%d", value); mode = value[2:0];
      got = $fscanf(stimulus, "%d", acc);
      got = $fscanf(stimulus, "%d", multiplier);
      got = $fscanf(stimulus, "%d", value); left = value[5:0];
      got = $fscanf(stimulus, "%d", value); right = value[5:0];
      got = $fscanf(stimulus, "%d", value); zero_point = value[8:0];
      #1 clk = 1;
      #1 $write("%0d %0d\n", q_valid, q);
      clk = 0;
    end
    $finish;
  end
endmodule
