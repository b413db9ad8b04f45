# SPDX-License-Identifier: LGPL-2.1-or-later
# Per-pixel arithmetic of the preprocessing. orcc makes C from it: code for the CPU at run time, plain C where that is off.

# Weighted sum of four rows of bytes in 8.8 fixed point: a byte moved to the upper half of a word times a weight of
# 16 fraction bits, upper half of the product. The weights of one output row add up to less than 1, so nothing wraps;
# bias makes up for the halves that truncation loses. Good for few rows: each adds up to 1/256 of error.
.function tern_orc_weigh_rows
.dest 2 d guint16
.source 1 s1 guint8
.source 1 s2 guint8
.source 1 s3 guint8
.source 1 s4 guint8
.param 2 w1
.param 2 w2
.param 2 w3
.param 2 w4
.param 2 bias
.const 1 zero 0
.temp 2 t
.temp 2 sum

mergebw t, zero, s1
mulhuw sum, t, w1
addusw sum, sum, bias
mergebw t, zero, s2
mulhuw t, t, w2
addusw sum, sum, t
mergebw t, zero, s3
mulhuw t, t, w3
addusw sum, sum, t
mergebw t, zero, s4
mulhuw t, t, w4
addusw d, sum, t

# The same, added to what is there.
.function tern_orc_weigh_more_rows
.dest 2 d guint16
.source 1 s1 guint8
.source 1 s2 guint8
.source 1 s3 guint8
.source 1 s4 guint8
.param 2 w1
.param 2 w2
.param 2 w3
.param 2 w4
.const 1 zero 0
.temp 2 t
.temp 2 sum

mergebw t, zero, s1
mulhuw t, t, w1
addusw sum, d, t
mergebw t, zero, s2
mulhuw t, t, w2
addusw sum, sum, t
mergebw t, zero, s3
mulhuw t, t, w3
addusw sum, sum, t
mergebw t, zero, s4
mulhuw t, t, w4
addusw d, sum, t

# Four of many rows, whose weights are too small for the products above: all 16 fraction bits are kept.
.function tern_orc_weigh_many
.dest 4 d guint32
.source 1 s1 guint8
.source 1 s2 guint8
.source 1 s3 guint8
.source 1 s4 guint8
.param 2 w1
.param 2 w2
.param 2 w3
.param 2 w4
.temp 2 t
.temp 4 l
.temp 4 sum

convubw t, s1
muluwl sum, t, w1
convubw t, s2
muluwl l, t, w2
addl sum, sum, l
convubw t, s3
muluwl l, t, w3
addl sum, sum, l
convubw t, s4
muluwl l, t, w4
addl d, sum, l

# The same, added to what is there.
.function tern_orc_weigh_more_of_many
.dest 4 d guint32
.source 1 s1 guint8
.source 1 s2 guint8
.source 1 s3 guint8
.source 1 s4 guint8
.param 2 w1
.param 2 w2
.param 2 w3
.param 2 w4
.temp 2 t
.temp 4 l
.temp 4 sum

convubw t, s1
muluwl l, t, w1
addl sum, d, l
convubw t, s2
muluwl l, t, w2
addl sum, sum, l
convubw t, s3
muluwl l, t, w3
addl sum, sum, l
convubw t, s4
muluwl l, t, w4
addl d, sum, l

# Sums of the two above to 8.8 fixed point, rounded.
.function tern_orc_round_sums
.dest 2 d guint16
.source 4 s guint32
.const 4 half 128
.temp 4 l

addl l, s, half
shrul l, l, 8
convlw d, l

# Samples with 7 fraction bits to bytes, rounded.
.function tern_orc_round_samples
.dest 1 d guint8
.source 2 s gint16
.const 2 half 64
.temp 2 t

addw t, s, half
shrsw t, t, 7
convsuswb d, t

# Red or blue from luma and one chroma sample, 7 fraction bits each; coefficients of 13 fraction bits; offset holds the
# samples' zero points and the half for rounding.
.function tern_orc_colour_one
.dest 1 d guint8
.source 2 y gint16
.source 2 c gint16
.param 2 ky
.param 2 kc
.param 4 offset
.temp 4 a
.temp 4 b
.temp 2 t

mulswl a, y, ky
mulswl b, c, kc
addl a, a, b
addl a, a, offset
shrsl a, a, 20
convssslw t, a
convsuswb d, t

# Green from luma and both chroma samples.
.function tern_orc_colour_two
.dest 1 d guint8
.source 2 y gint16
.source 2 u gint16
.source 2 v gint16
.param 2 ky
.param 2 ku
.param 2 kv
.param 4 offset
.temp 4 a
.temp 4 b
.temp 2 t

mulswl a, y, ky
mulswl b, u, ku
addl a, a, b
mulswl b, v, kv
addl a, a, b
addl a, a, offset
shrsl a, a, 20
convssslw t, a
convsuswb d, t

# Bytes to floats: s * scale + offset.
.function tern_orc_normalise
.dest 4 d float
.source 1 s guint8
.floatparam 4 scale
.floatparam 4 offset
.temp 2 w
.temp 4 l

convubw w, s
convuwl l, w
convlf l, l
mulf l, l, scale
addf d, l, offset
