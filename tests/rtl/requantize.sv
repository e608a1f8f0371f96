// Requantize unit, one lane: multiply | rounding shift | saturate; a value a cycle, three cycles from sum to result.
//
// mode 0: once, ties up (TFLite single rounding, XNNPACK rndnu); 1: to 32 bits ties up, then ties away (gemmlowp);
// 2: to 32 bits ties up, then ties up (ruy); 3: once, ties away (LiteRT); 4: ties to even (Gemmini);
// 5: ties away, saturated to 17 bits (NVDLA); 6: float32 of the sum times the float32 multiplier * 2^-right, both rounded
// to 24 bits, then ties to even (onnxruntime); 7: the same, the zero point added in float32 before. `right` is the right shift that the mode makes: of the product in modes
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
  // right shift of a magnitude, ties to even
  function automatic logic [127:0] nearest(logic [127:0] v, logic [6:0] s);
    automatic logic [127:0] floor = v >> s;
    automatic logic [127:0] rest = v - (floor << s);
    automatic logic [127:0] half = s == 0 ? 128'd0 : 128'd1 << (s - 1);
    return floor + ((rest > half || (s != 0 && rest == half && floor[0])) ? 128'd1 : 128'd0);
  endfunction
  // a magnitude rounded to the 24 bits of a float32 from its leading one on
  function automatic logic [127:0] float32(logic [127:0] v);
    automatic logic [6:0] drop = 0;
    for (int i = 24; i < 128; i++) if (v[i]) drop = 7'(i - 23);
    return nearest(v, drop) << drop;
  endfunction
  function automatic logic [127:0] magnitude(logic signed [127:0] v);
    return v < 0 ? 128'(-v) : 128'(v);
  endfunction
  // product of a float32 and a zero point behind 64 bits of fraction, rounded to float32 and to an integer
  function automatic logic signed [63:0] float_sum(logic signed [63:0] v, logic [5:0] s, logic signed [8:0] zp);
    automatic logic [127:0] scaled = float32(magnitude(128'(v))) << (64 - s);
    automatic logic signed [127:0] total = (v < 0 ? -128'(scaled) : 128'(scaled)) + (128'(zp) <<< 64);
    automatic logic [127:0] whole = nearest(float32(magnitude(total)), 64);
    return total < 0 ? -64'(whole) : 64'(whole);
  endfunction
  function automatic logic signed [63:0] float_whole(logic signed [63:0] v, logic [5:0] s);
    automatic logic [127:0] whole = nearest(float32(magnitude(128'(v))), s);
    return v < 0 ? -64'(whole) : 64'(whole);
  endfunction
  function automatic logic signed [63:0] of_float(logic signed [31:0] v);
    automatic logic [127:0] rounded = float32(magnitude(128'(v)));
    return v < 0 ? -64'(rounded) : 64'(rounded);
  endfunction
  function automatic logic signed [63:0] clamp(logic signed [63:0] v, logic signed [63:0] low, logic signed [63:0] high);
    return v < low ? low : v > high ? high : v;
  endfunction

  logic signed [31:0] shifted;
  always_comb shifted = acc <<< left;

  always_ff @(posedge clk) begin
    product <= mode == 4 ? 64'(acc) : (mode >= 6 ? of_float(acc) : 64'(shifted)) * 64'(multiplier);
    {shift1, zp1, v1} <= {right, zero_point, valid};
    case (mode)
      0: rounded <= up(product, shift1);
      1: rounded <= away(up(product, 31), shift1);
      2: rounded <= up(up(product, 31), shift1);
      3: rounded <= away(product, shift1);
      4: rounded <= even(product, shift1);
      6: rounded <= float_whole(product, shift1);
      7: rounded <= float_sum(product, shift1, zp1);
      default: rounded <= clamp(away(product, shift1), -64'sd65536, 64'sd65535);
    endcase
    {zp2, v2} <= {mode == 7 ? 9'sd0 : zp1, v1};
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
