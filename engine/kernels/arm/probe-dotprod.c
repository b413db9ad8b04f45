/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/arm/vec-dotprod.h"

#define PEAK_SUM int32x4_t
#define PEAK_I8(sum, a, b) vdotq_s32 (sum, a, b)
#define PEAK_PRODUCTS 16
#include "engine/kernels/arm/probe.inc"

void
tern_probe_init_dotprod (TernKernels *k)
{
  k->peak_i8 = peak_i8_neon;
}
