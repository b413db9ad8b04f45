/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx512.h"

static ALWAYS_INLINE vi
v_dot4 (vi sum, vi u, vi s)
{
  return _mm512_dpbusd_epi32 (sum, u, s);
}

#define TILE_TOKENS 12          /* 24 sums, 2 of weights, 1 of activations */
#include "engine/kernels/x86/packed-vnni.inc"
#include "engine/kernels/wide/packed.inc"

void
tern_packed_init_avx512vnni (TernKernels *k)
{
  k->gemm_i8p = gemm_i8p_avx512vnni;
  init_packs (k);
}
