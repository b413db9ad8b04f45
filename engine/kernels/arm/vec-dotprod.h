/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vector is NEON's; what else these two instruction sets have is for integers. */
#pragma once

#include "engine/kernels/arm/vec-neon.h"

/* One token's product with a panel of ternary rows: two instructions more than i8mm has do nothing for it. */
void tern_t2_one_token_dotprod (float *y, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x,
    float xscale, gint32 xsum);
