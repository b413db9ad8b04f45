/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vector is NEON's; what else these two instruction sets have is for integers. */
#pragma once

#include "engine/kernels/arm/vec-neon.h"

/* For one token, whom the instructions of i8mm do nothing for: its product with a panel of ternary rows, and with int8. */
void tern_t2_one_token_dotprod (float *y, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x,
    float xscale, gint32 xsum);
TERN_DECL_GEMM_I8P (tern_gemm_i8p_dotprod);
