; A layer added to what it reads.
.function operation=add source=uint8 other=int8 result=uint8 other_zero_point=-10 multiplier=1098614552 shift=-1 other_multiplier=1073741824 result_multiplier=1693491618 result_shift=-18 high=255
; layer 0: first, from instruction 0
load       layer=0 dram=0 dram_stride=4 rows=3 row_bytes=4 memory=activation address=0 stride=16
load       layer=0 dram=64 dram_stride=52 rows=1 row_bytes=52 memory=weight address=0 stride=52 signal=end:s0
preload    layer=0 address=0 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s0>=1 signal=end:s4
matmul     layer=0 address=0 stride=16 rows=3 depth=4 columns=4 sums=0 sums_stride=16 accumulate=0 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s4>=1 signal=end:s3
requantize layer=0 sums=0 sums_stride=16 rows=3 columns=4 constants=16 address=0 stride=16 zero_point=0 qmin=0 qmax=255 rounding=0 row_channels=0 result_bits=8 wait=s3>=1 signal=end:s5
store      layer=0 dram=192 dram_stride=4 rows=3 row_bytes=4 memory=output address=0 stride=16 wait=s5>=1 signal=end:s1
; layer 1: second, from instruction 6
load       layer=1 dram=192 dram_stride=4 rows=3 row_bytes=4 memory=activation address=0 stride=16 wait=s1>=1
load       layer=1 dram=128 dram_stride=52 rows=1 row_bytes=52 memory=weight address=0 stride=52 signal=end:s0
preload    layer=1 address=0 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s0>=2 signal=end:s4
matmul     layer=1 address=0 stride=16 rows=3 depth=4 columns=4 sums=0 sums_stride=16 accumulate=0 signed=0 integer_bits=0 inner=0 outer_stride=0 wait=s4>=2 signal=free:s2 signal=end:s3
requantize layer=1 sums=0 sums_stride=16 rows=3 columns=4 constants=16 address=0 stride=16 zero_point=-10 qmin=-128 qmax=127 rounding=0 row_channels=0 result_bits=8 wait=s3>=2 signal=end:s5
store      layer=1 dram=256 dram_stride=4 rows=3 row_bytes=4 memory=output address=0 stride=16 wait=s5>=2 signal=end:s1
; layer 2: sum, from instruction 12
load       layer=2 dram=192 dram_stride=4 rows=3 row_bytes=4 memory=activation address=0 stride=16 wait=s2>=1
load       layer=2 dram=256 dram_stride=4 rows=3 row_bytes=4 memory=activation address=1024 stride=16 wait=s1>=2 signal=end:s0
map        layer=2 function=0 memory=activation address=0 stride=16 rows=3 columns=4 result_memory=output result=0 result_stride=16 other_memory=activation other=1024 other_stride=16 constants=0 wait=s0>=3 signal=end:s5
store      layer=2 dram=320 dram_stride=4 rows=3 row_bytes=4 memory=output address=0 stride=16 wait=s5>=3
