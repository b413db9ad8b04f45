/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx512.h"

static ALWAYS_INLINE vi
v_dot4 (vi sum, vi u, vi s)
{
  return _mm512_dpbusd_epi32 (sum, u, s);
}

#define TILE_TOKENS 12          /* 24 sums, 2 of weights, 1 of activations */
#define BF16_TOKENS 8           /* 16 sums, 4 halves of weights, 2 of activations */
#include "engine/kernels/x86/packed-vnni.inc"
#include "engine/kernels/wide/packed.inc"
#include "engine/kernels/wide/packed-bf16.inc"

void
tern_packed_init_avx512vnni (TernKernels *k)
{
  k->gemm_i8p = VARIANT (gemm_i8p);
  k->gemm_bf16p = VARIANT (gemm_bf16p);
  init_packs (k);
}
