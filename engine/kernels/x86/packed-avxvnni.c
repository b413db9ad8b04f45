/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx2.h"

static ALWAYS_INLINE vi
v_dot4 (vi sum, vi u, vi s)
{
  return _mm256_dpbusd_avx_epi32 (sum, u, s);
}

#define TILE_TOKENS 6           /* 12 sums, 2 of weights, 1 of activations */
#include "engine/kernels/x86/packed-vnni.inc"

void
tern_packed_init_avxvnni (TernKernels *k)
{
  k->gemm_i8p = VARIANT (gemm_i8p);
}
