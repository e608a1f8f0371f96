// exp(x) of a float32, one lane: the steps of datapath.vector.float_functions, one a stage, each rounded to nearest even.
// Numbers below the least normal one count as 0, which changes no result. A value a cycle.
module exponential (
    input  logic        clk,
    input  logic        valid,
    input  logic [31:0] x,
    output logic        q_valid,
    output logic [31:0] q
);
  localparam int STAGES = 22;
  localparam logic [31:0] LEAST = 32'hC2AE0000, MOST = 32'h42B17218, LOG2E = 32'h3FB8AA3B, HALF = 32'h3F000000;
  localparam logic [31:0] LN2_HIGH = 32'h3F318000, LN2_LOW = 32'hB95E8083, ONE = 32'h3F800000;
  localparam logic [31:0] INFINITY = 32'h7F800000, NAN = 32'h7FC00000;
  // the coefficient of the highest power first
  localparam logic [31:0] P[6] = '{
    32'h39506967, 32'h3AB743CE, 32'h3C088908, 32'h3D2AA9C1, 32'h3E2AAAAA, 32'h3F000000
  };

  function automatic logic [31:0] rounded(logic sign, int exponent, logic [63:0] v, int point);
    // v * 2^(exponent - 127 - point) to 24 bits
    automatic int top = 0, e;
    automatic logic [63:0] m, rest, half;
    if (v == 0) return 0;
    for (int i = 0; i < 64; i++) if (v[i]) top = i;
    e = exponent + top - point;
    m = v;
    if (top > 23) begin
      m = v >> (top - 23);
      rest = v - (m << (top - 23));
      half = 64'd1 << (top - 24);
      if (rest > half || (rest == half && m[0])) m = m + 1;
    end else m = v << (23 - top);
    if (m[24]) begin
      m = m >> 1;
      e = e + 1;
    end
    return e <= 0 ? {sign, 31'd0} : e >= 255 ? {sign, INFINITY[30:0]} : {sign, 8'(e), m[22:0]};
  endfunction
  function automatic logic [63:0] significand(logic [31:0] a);
    return a[30:23] == 0 ? 64'd0 : {40'd0, 1'b1, a[22:0]};
  endfunction
  function automatic logic [31:0] times(logic [31:0] a, logic [31:0] b);
    return rounded(a[31] ^ b[31], int'(a[30:23]) + int'(b[30:23]) - 127, significand(a) * significand(b), 46);
  endfunction
  function automatic logic [31:0] plus(logic [31:0] a, logic [31:0] b);
    automatic logic [31:0] big = a[30:0] >= b[30:0] ? a : b, little = a[30:0] >= b[30:0] ? b : a;
    automatic int apart = int'(big[30:23]) - int'(little[30:23]);
    automatic logic [63:0] u = significand(big) << 32, w = significand(little) << 32, shifted;
    // what is shifted out leaves a bit
    shifted = apart > 60 ? 64'd0 : w >> apart;
    if (apart > 60 ? w != 0 : (shifted << apart) != w) shifted[0] = 1'b1;
    return rounded(big[31], int'(big[30:23]), a[31] == b[31] ? u + shifted : u - shifted, 55);
  endfunction
  function automatic logic signed [8:0] floor_of(logic [31:0] a);
    automatic int right = 150 - int'(a[30:23]);
    automatic logic [63:0] m = significand(a), whole = right > 40 ? 64'd0 : m >> right;
    automatic logic more = right > 40 ? m != 0 : (whole << right) != m;
    return a[31] ? -9'(whole + 64'(more)) : 9'(whole);
  endfunction

  // registers behind each stage: what is computed, n, the rest r, what x was
  logic [31:0] y[STAGES], r[STAGES], n[STAGES], square[STAGES], given[STAGES];
  logic signed [8:0] halvings[STAGES];
  logic v[STAGES];

  logic [31:0] held;
  logic below, above, none;
  always_comb begin
    none = x[30:23] == 8'hFF && x[22:0] != 0;
    below = x[31] && x[30:0] > LEAST[30:0];
    above = !x[31] && x[30:0] > MOST[30:0];
    held = none ? 32'd0 : below ? LEAST : above ? MOST : x;
  end

  always_ff @(posedge clk) begin
    v[0] <= valid;
    given[0] <= none ? NAN : below ? 32'd0 : above ? INFINITY : ONE;  // ONE for what is computed
    r[0] <= held;
    y[0] <= times(held, LOG2E);
    for (int i = 1; i < STAGES; i++) begin
      v[i] <= v[i-1];
      given[i] <= given[i-1];
      r[i] <= r[i-1];
      n[i] <= n[i-1];
      halvings[i] <= halvings[i-1];
      square[i] <= square[i-1];
      y[i] <= y[i-1];
    end
    y[1] <= plus(y[0], HALF);
    halvings[2] <= floor_of(y[1]);
    n[2] <= rounded(y[1][31], 127, 64'(floor_of(y[1]) < 0 ? -floor_of(y[1]) : floor_of(y[1])), 0);
    y[3] <= times(n[2], LN2_HIGH);
    r[4] <= plus(r[3], y[3] ^ 32'h80000000);
    y[5] <= times(n[4], LN2_LOW);
    r[6] <= plus(r[5], y[5] ^ 32'h80000000);
    square[7] <= times(r[6], r[6]);
    y[7] <= P[0];
    for (int i = 0; i < 5; i++) begin
      y[8+2*i] <= times(y[7+2*i], r[7+2*i]);
      y[9+2*i] <= plus(y[8+2*i], P[i+1]);
    end
    y[18] <= times(y[17], square[17]);
    y[19] <= plus(y[18], r[18]);
    y[20] <= plus(y[19], ONE);
    y[21] <= given[20] != ONE ? given[20] : int'(y[20][30:23]) + int'(halvings[20]) > 254 ? INFINITY
             : {1'b0, 8'(int'(y[20][30:23]) + int'(halvings[20])), y[20][22:0]};
  end
  assign q = y[STAGES-1];
  assign q_valid = v[STAGES-1];
endmodule

// Reads one cycle's inputs a line, prints "valid q" after its edge.
module testbench;
  logic clk = 0, valid = 0, q_valid;
  logic [31:0] x, q;
  exponential dut (.*);

  int stimulus, got, value;
  initial begin
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", value) == 1) begin
      valid = value[0];
      got = $fscanf(stimulus, "%d", value); x = value;
      #1 clk = 1;
      #1 $write("%0d %0d\n", q_valid, q);
      clk = 0;
    end
    $finish;
  end
endmodule
