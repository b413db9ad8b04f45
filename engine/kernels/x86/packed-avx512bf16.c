/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx512.h"

/* Both products of a lane, the sum rounded after each; subnormals count as zero. */
static ALWAYS_INLINE vf
v_dot2 (vf sum, vi w, vi x)
{
  return _mm512_dpbf16_ps (sum, (__m512bh) w, (__m512bh) x);
}

#define HAVE_DOT2
#define BF16_TOKENS 12          /* 24 sums, 2 of weights, 1 of activations */
#include "engine/kernels/wide/packed-bf16.inc"

void
tern_packed_init_avx512bf16 (TernKernels *k)
{
  k->gemm_bf16p = VARIANT (gemm_bf16p);
  k->bf16_units = TRUE;
}
