/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the block formats share, and their conversions (TernTypeInfo.to_f32), which the table in types.c lists. */
#pragma once

#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/weights/types.h"

G_BEGIN_DECLS

#define TERN_QK 32              /* values of a small block */
#define TERN_QK_K 256           /* values of a super-block */

static inline guint16
tern_read_u16 (const guint8 *p)
{
  return (guint16) (p[0] | p[1] << 8);
}

static inline guint32
tern_read_u32 (const guint8 *p)
{
  return p[0] | p[1] << 8 | p[2] << 16 | (guint32) p[3] << 24;
}

static inline float
tern_read_f16 (const guint8 *p)
{
  return tern_f16_to_f32 (tern_read_u16 (p));
}

static inline float
tern_bits_to_f32 (guint32 bits)
{
  float f;

  memcpy (&f, &bits, sizeof f);
  return f;
}

static inline float
tern_read_f32 (const guint8 *p)
{
  return tern_bits_to_f32 (tern_read_u32 (p));
}

/* The 6-bit scale and minimum of sub-block @s of Q4_K and Q5_K, packed in 12 bytes. */
static inline void
tern_k_scale_min (const guint8 *packed, guint s, guint *scale, guint *min)
{
  if (s < 4) {
    *scale = packed[s] & 63;
    *min = packed[s + 4] & 63;
  } else {
    *scale = (packed[s + 4] & 15) | (packed[s - 4] >> 6) << 4;
    *min = packed[s + 4] >> 4 | (packed[s] >> 6) << 4;
  }
}

#define TERN_DECL_TO_F32(fn) void fn (float *dst, const void *src, gsize n)

/* types-basic.c: plain numbers, and blocks of 32 */
TERN_DECL_TO_F32 (tern_f32_to_f32);
TERN_DECL_TO_F32 (tern_half_to_f32);
TERN_DECL_TO_F32 (tern_bfloat_to_f32);
TERN_DECL_TO_F32 (tern_q8_0_to_f32);
TERN_DECL_TO_F32 (tern_q4_0_to_f32);
TERN_DECL_TO_F32 (tern_q4_1_to_f32);
TERN_DECL_TO_F32 (tern_q5_0_to_f32);
TERN_DECL_TO_F32 (tern_q5_1_to_f32);

/* types-k.c: super-blocks of 256 with scales for parts of them */
TERN_DECL_TO_F32 (tern_q2_k_to_f32);
TERN_DECL_TO_F32 (tern_q3_k_to_f32);
TERN_DECL_TO_F32 (tern_q4_k_to_f32);
TERN_DECL_TO_F32 (tern_q5_k_to_f32);
TERN_DECL_TO_F32 (tern_q6_k_to_f32);

/* types-iq.c: values from a table */
TERN_DECL_TO_F32 (tern_iq4_nl_to_f32);
TERN_DECL_TO_F32 (tern_iq4_xs_to_f32);

/* types-fp4.c */
TERN_DECL_TO_F32 (tern_mxfp4_to_f32);
TERN_DECL_TO_F32 (tern_nvfp4_to_f32);

/* types-ternary.c */
TERN_DECL_TO_F32 (tern_tq1_0_to_f32);
TERN_DECL_TO_F32 (tern_tq2_0_to_f32);
TERN_DECL_TO_F32 (tern_i2_s_to_f32);
TERN_DECL_TO_F32 (tern_iq1_bn_to_f32);
TERN_DECL_TO_F32 (tern_iq2_bn_to_f32);
TERN_DECL_TO_F32 (tern_q1_0_to_f32);
TERN_DECL_TO_F32 (tern_q2_0_to_f32);
TERN_DECL_TO_F32 (tern_pq2_0_to_f32);
TERN_DECL_TO_F32 (tern_ptq1_0_to_f32);

G_END_DECLS
