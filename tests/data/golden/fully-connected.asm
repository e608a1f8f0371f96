; Three samples of six numbers to five.
; layer 0: fc, from instruction 0
load       layer=0 dram=0 dram_stride=6 rows=3 row_bytes=6 memory=activation address=0 stride=16
load       layer=0 dram=64 dram_stride=68 rows=1 row_bytes=68 memory=weight address=0 stride=68 signal=end:s0
load       layer=0 dram=192 dram_stride=25 rows=1 row_bytes=25 memory=weight address=1024 stride=25 signal=end:s0
preload    layer=0 address=0 stride=4 depth=4 columns=4 packed=0 integer_bits=0 table=0 wait=s0>=1 signal=end:s3
matmul     layer=0 address=0 stride=16 rows=3 depth=4 columns=4 sums=0 sums_stride=16 accumulate=0 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s3>=1 signal=start:s1
preload    layer=0 address=16 stride=4 depth=2 columns=4 packed=0 integer_bits=0 table=0 wait=s1>=1 signal=end:s3
matmul     layer=0 address=4 stride=16 rows=3 depth=2 columns=4 sums=0 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s3>=2 signal=start:s1 signal=end:s2
requantize layer=0 sums=0 sums_stride=16 rows=3 columns=4 constants=32 address=0 stride=16 zero_point=0 qmin=0 qmax=255 rounding=0 row_channels=0 result_bits=8 wait=s2>=1
preload    layer=0 address=1024 stride=1 depth=4 columns=1 packed=0 integer_bits=0 table=0 wait=s0>=2 wait=s1>=2 signal=end:s3
matmul     layer=0 address=0 stride=16 rows=3 depth=4 columns=1 sums=1024 sums_stride=16 accumulate=0 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s3>=3 signal=start:s1
preload    layer=0 address=1028 stride=1 depth=2 columns=1 packed=0 integer_bits=0 table=0 wait=s1>=3 signal=end:s3
matmul     layer=0 address=4 stride=16 rows=3 depth=2 columns=1 sums=1024 sums_stride=16 accumulate=1 signed=1 integer_bits=0 inner=0 outer_stride=0 wait=s3>=4 signal=end:s2
requantize layer=0 sums=1024 sums_stride=16 rows=3 columns=1 constants=1040 address=4 stride=16 zero_point=0 qmin=0 qmax=255 rounding=0 row_channels=0 result_bits=8 wait=s2>=2 signal=end:s4
store      layer=0 dram=256 dram_stride=5 rows=3 row_bytes=5 memory=output address=0 stride=16 wait=s4>=1
