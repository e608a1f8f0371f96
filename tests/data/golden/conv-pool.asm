; An image of 4 x 4 pixels, a 3 x 3 convolution of one channel with padding, and the largest of each 2 x 2.
.descriptor counts=1,6,6,1,1 dram_strides=0,4,1,0,0 strides=0,6,1,0,0 row_steps=0,1,0,1,0 column_steps=0,0,1,0,1 height=4 width=4 fill=229
.descriptor counts=1,4,4,1,1 dram_strides=0,16,4,0,0 strides=0,16,4,0,0 run_bytes=4
.function operation=maximum source=uint8 other=int8 result=uint8 window_rows=2 window_columns=2 row_step=2 column_step=2
; layer 0: conv, from instruction 0
gather     layer=0 dram=-5 descriptor=0 memory=activation address=0 row=-1 column=-1
load       layer=0 dram=64 dram_stride=84 rows=1 row_bytes=84 memory=weight address=0 stride=84 signal=end:s0
preload    layer=0 address=0 stride=4 depth=3 columns=4 packed=0 integer_bits=0 table=0 wait=s0>=1 signal=end:s4
matmul     layer=0 address=0 stride=1 rows=16 depth=3 columns=4 sums=0 sums_stride=16 accumulate=0 signed=1 integer_bits=0 inner=4 outer_stride=6 wait=s4>=1 signal=start:s2
preload    layer=0 address=12 stride=4 depth=3 columns=4 packed=0 integer_bits=0 table=0 wait=s2>=1 signal=end:s4
matmul     layer=0 address=6 stride=1 rows=16 depth=3 columns=4 sums=0 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=4 outer_stride=6 wait=s4>=2 signal=start:s2
preload    layer=0 address=24 stride=4 depth=3 columns=4 packed=0 integer_bits=0 table=0 wait=s2>=2 signal=end:s4
matmul     layer=0 address=12 stride=1 rows=16 depth=3 columns=4 sums=0 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=4 outer_stride=6 wait=s4>=3 signal=end:s3
requantize layer=0 sums=0 sums_stride=16 rows=16 columns=4 constants=48 address=0 stride=16 zero_point=0 qmin=0 qmax=255 rounding=0 row_channels=0 result_bits=8 wait=s3>=1 signal=end:s5
store      layer=0 dram=192 dram_stride=4 rows=16 row_bytes=4 memory=output address=0 stride=16 wait=s5>=1 signal=end:s1
; layer 1: pool, from instruction 10
gather     layer=1 dram=192 descriptor=1 memory=activation address=0 row=0 column=0 wait=s1>=1 signal=end:s0
reduce     layer=1 function=0 memory=activation address=0 stride=4 line_stride=16 height=2 width=2 columns=4 result_memory=output result=0 result_stride=4 result_line_stride=8 wait=s0>=2 signal=end:s5
store      layer=1 dram=256 dram_stride=4 rows=4 row_bytes=4 memory=output address=0 stride=4 wait=s5>=2
