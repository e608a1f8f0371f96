; An image of 4 x 4 pixels, a 3 x 3 convolution of one channel with padding, and the largest of each 2 x 2.
.descriptor counts=1,1,4,3,3 dram_strides=0,0,1,4,1 strides=0,0,16,3,1 row_steps=0,1,0,1,0 column_steps=0,0,1,0,1 height=4 width=4 fill=229
.descriptor counts=1,1,4,3,3 dram_strides=0,0,1,4,1 strides=0,0,16,3,1 column_steps=0,0,1,0,1 width=4 fill=229
.descriptor counts=1,4,4,1,1 dram_strides=0,16,4,0,0 strides=0,16,4,0,0 run_bytes=4
.function operation=maximum source=uint8 other=int8 result=uint8 window_rows=2 window_columns=2 row_step=2 column_step=2
; layer 0: conv, from instruction 0
gather     layer=0 dram=-5 descriptor=0 memory=activation address=0 row=-1 column=-1
load       layer=0 dram=64 dram_stride=84 rows=1 row_bytes=84 memory=weight address=0 stride=84 signal=end:s0
gather     layer=0 dram=-1 descriptor=1 memory=activation address=1024 row=0 column=-1 signal=end:s0
preload    layer=0 address=0 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s0>=1 signal=end:s6
matmul     layer=0 address=0 stride=16 rows=4 depth=4 columns=4 sums=0 sums_stride=16 accumulate=0 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=1 signal=start:s3
preload    layer=0 address=16 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=1 signal=end:s6
matmul     layer=0 address=4 stride=16 rows=4 depth=4 columns=4 sums=0 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=2 signal=start:s3
preload    layer=0 address=32 stride=4 depth=1 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=2 signal=end:s6
matmul     layer=0 address=8 stride=16 rows=4 depth=1 columns=4 sums=0 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=3 signal=start:s3 signal=free:s4 signal=end:s5
requantize layer=0 sums=0 sums_stride=16 rows=4 columns=4 constants=48 address=0 stride=16 zero_point=0 qmin=0 qmax=255 rounding=0 row_channels=0 result_bits=8 wait=s5>=1 signal=free:s7 signal=end:s8
store      layer=0 dram=192 dram_stride=4 rows=4 row_bytes=4 memory=output address=0 stride=16 wait=s8>=1 signal=free:s1
gather     layer=0 dram=3 descriptor=1 memory=activation address=0 row=0 column=-1 wait=s4>=1 signal=end:s0
preload    layer=0 address=0 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=3 signal=end:s6
matmul     layer=0 address=1024 stride=16 rows=4 depth=4 columns=4 sums=1024 sums_stride=16 accumulate=0 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s0>=2 wait=s6>=4 signal=start:s3
preload    layer=0 address=16 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=4 signal=end:s6
matmul     layer=0 address=1028 stride=16 rows=4 depth=4 columns=4 sums=1024 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=5 signal=start:s3
preload    layer=0 address=32 stride=4 depth=1 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=5 signal=end:s6
matmul     layer=0 address=1032 stride=16 rows=4 depth=1 columns=4 sums=1024 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=6 signal=start:s3 signal=free:s4 signal=end:s5
requantize layer=0 sums=1024 sums_stride=16 rows=4 columns=4 constants=48 address=1024 stride=16 zero_point=0 qmin=0 qmax=255 rounding=0 row_channels=0 result_bits=8 wait=s5>=2 signal=free:s7 signal=end:s8
store      layer=0 dram=208 dram_stride=4 rows=4 row_bytes=4 memory=output address=1024 stride=16 wait=s8>=2 signal=free:s1
gather     layer=0 dram=7 descriptor=0 memory=activation address=1024 row=2 column=-1 wait=s4>=2 signal=end:s0
preload    layer=0 address=0 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=6 signal=end:s6
matmul     layer=0 address=0 stride=16 rows=4 depth=4 columns=4 sums=0 sums_stride=16 accumulate=0 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s0>=3 wait=s6>=7 wait=s7>=1 signal=start:s3
preload    layer=0 address=16 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=7 signal=end:s6
matmul     layer=0 address=4 stride=16 rows=4 depth=4 columns=4 sums=0 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=8 signal=start:s3
preload    layer=0 address=32 stride=4 depth=1 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=8 signal=end:s6
matmul     layer=0 address=8 stride=16 rows=4 depth=1 columns=4 sums=0 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=9 signal=start:s3 signal=end:s5
requantize layer=0 sums=0 sums_stride=16 rows=4 columns=4 constants=48 address=0 stride=16 zero_point=0 qmin=0 qmax=255 rounding=0 row_channels=0 result_bits=8 wait=s1>=1 wait=s5>=3 signal=end:s8
store      layer=0 dram=224 dram_stride=4 rows=4 row_bytes=4 memory=output address=0 stride=16 wait=s8>=3
preload    layer=0 address=0 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=9 signal=end:s6
matmul     layer=0 address=1024 stride=16 rows=4 depth=4 columns=4 sums=1024 sums_stride=16 accumulate=0 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s0>=4 wait=s6>=10 wait=s7>=2 signal=start:s3
preload    layer=0 address=16 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=10 signal=end:s6
matmul     layer=0 address=1028 stride=16 rows=4 depth=4 columns=4 sums=1024 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=11 signal=start:s3
preload    layer=0 address=32 stride=4 depth=1 columns=4 packed=0 integer_bits=0 table=0 wait=s3>=11 signal=end:s6
matmul     layer=0 address=1032 stride=16 rows=4 depth=1 columns=4 sums=1024 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s6>=12 signal=end:s5
requantize layer=0 sums=1024 sums_stride=16 rows=4 columns=4 constants=48 address=1024 stride=16 zero_point=0 qmin=0 qmax=255 rounding=0 row_channels=0 result_bits=8 wait=s1>=2 wait=s5>=4 signal=end:s8
store      layer=0 dram=240 dram_stride=4 rows=4 row_bytes=4 memory=output address=1024 stride=16 wait=s8>=4 signal=end:s2
; layer 1: pool, from instruction 37
gather     layer=1 dram=192 descriptor=2 memory=activation address=0 row=0 column=0 wait=s2>=1 signal=end:s0
reduce     layer=1 function=0 memory=activation address=0 stride=4 line_stride=16 height=2 width=2 columns=4 result_memory=output result=0 result_stride=4 result_line_stride=8 wait=s0>=5 signal=end:s8
store      layer=1 dram=256 dram_stride=4 rows=4 row_bytes=4 memory=output address=0 stride=4 wait=s8>=5
