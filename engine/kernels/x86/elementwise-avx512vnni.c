/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx512.h"

/* 2^t, t <= 7, to 1e-4: VREDUCEPS leaves what is above the whole number below, VSCALEFPS takes that number itself. */
static ALWAYS_INLINE vf
v_exp2 (vf t)
{
  vf r = _mm512_reduce_ps (t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC), p;

  p = v_fma (v_set (0.07802451f), r, v_set (0.22606718f));
  p = v_fma (p, r, v_set (0.69583353f));
  p = v_fma (p, r, v_set (0.99992522f));
  return _mm512_scalef_ps (p, t);
}

#define HAVE_EXP2
#include "engine/kernels/wide/elementwise.inc"
