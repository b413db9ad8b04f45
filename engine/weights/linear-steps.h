/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Steps of T2 panels (kernels.h), as the linear-*.c files make them: one word for 16 columns of a row, its byte b holding
 * columns b, b + 4, b + 8 and b + 12 from the lowest bits upwards. */
#pragma once

#include <string.h>

#include "engine/kernels/kernels.h"

G_BEGIN_DECLS

#define STEP_COLS 16
#define STEP_BYTES (4 * TERN_T2_ROWS)   /* from a row's step to its next */

static inline guint64
load_64 (const guint8 *p)
{
  guint64 v;

  memcpy (&v, p, sizeof v);
  return GUINT64_FROM_LE (v);
}

static inline void
put_step (guint8 *row, gsize step, guint32 digits)
{
  digits = GUINT32_TO_LE (digits);
  memcpy (row + step * STEP_BYTES, &digits, sizeof digits);
}

G_END_DECLS
