/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of types, and the sizes that follow from it. */
#include "engine/weights/types-private.h"

/* Sorted by id. */
static const TernTypeInfo types[] = {
  { TERN_TYPE_F32, "F32", 1, 4, tern_f32_to_f32 },
  { TERN_TYPE_F16, "F16", 1, 2, tern_half_to_f32 },
  { TERN_TYPE_Q4_0, "Q4_0", 32, 18, tern_q4_0_to_f32 },
  { TERN_TYPE_Q4_1, "Q4_1", 32, 20, tern_q4_1_to_f32 },
  { TERN_TYPE_Q5_0, "Q5_0", 32, 22, tern_q5_0_to_f32 },
  { TERN_TYPE_Q5_1, "Q5_1", 32, 24, tern_q5_1_to_f32 },
  { TERN_TYPE_Q8_0, "Q8_0", 32, 34, tern_q8_0_to_f32 },
  { 9, "Q8_1", 32, 36 },
  { TERN_TYPE_Q2_K, "Q2_K", 256, 84, tern_q2_k_to_f32 },
  { TERN_TYPE_Q3_K, "Q3_K", 256, 110, tern_q3_k_to_f32 },
  { TERN_TYPE_Q4_K, "Q4_K", 256, 144, tern_q4_k_to_f32 },
  { TERN_TYPE_Q5_K, "Q5_K", 256, 176, tern_q5_k_to_f32 },
  { TERN_TYPE_Q6_K, "Q6_K", 256, 210, tern_q6_k_to_f32 },
  { 15, "Q8_K", 256, 292 },
  { 16, "IQ2_XXS", 256, 66 },
  { 17, "IQ2_XS", 256, 74 },
  { 18, "IQ3_XXS", 256, 98 },
  { 19, "IQ1_S", 256, 50 },
  { TERN_TYPE_IQ4_NL, "IQ4_NL", 32, 18, tern_iq4_nl_to_f32 },
  { 21, "IQ3_S", 256, 110 },
  { 22, "IQ2_S", 256, 82 },
  { TERN_TYPE_IQ4_XS, "IQ4_XS", 256, 136, tern_iq4_xs_to_f32 },
  { 24, "I8", 1, 1 },
  { 25, "I16", 1, 2 },
  { TERN_TYPE_I32, "I32", 1, 4 },
  { 27, "I64", 1, 8 },
  { 28, "F64", 1, 8 },
  { 29, "IQ1_M", 256, 56 },
  { TERN_TYPE_BF16, "BF16", 1, 2, tern_bfloat_to_f32 },
  { TERN_TYPE_TQ1_0, "TQ1_0", 256, 54, tern_tq1_0_to_f32 },
  { TERN_TYPE_TQ2_0, "TQ2_0", 256, 66, tern_tq2_0_to_f32 },
  { TERN_TYPE_I2_S, "I2_S", 128, 32, tern_i2_s_to_f32, .tail = 32 },
  { TERN_TYPE_MXFP4, "MXFP4", 32, 17, tern_mxfp4_to_f32 },
  { TERN_TYPE_NVFP4, "NVFP4", 64, 36, tern_nvfp4_to_f32 },
  { TERN_TYPE_Q1_0, "Q1_0", 128, 18, tern_q1_0_to_f32 },
  { TERN_TYPE_Q2_0, "Q2_0", 64, 18, tern_q2_0_to_f32 },
  { TERN_TYPE_IQ1_BN, "IQ1_BN", 64, 13, tern_iq1_bn_to_f32, .row_meta = 2 },
  { TERN_TYPE_IQ2_BN, "IQ2_BN", 64, 16, tern_iq2_bn_to_f32, .row_meta = 4 },
  { TERN_TYPE_PQ2_0, "PQ2_0", 128, 34, tern_pq2_0_to_f32 },
  { TERN_TYPE_PTQ1_0, "PTQ1_0", 128, 28, tern_ptq1_0_to_f32 },
};

const TernTypeInfo *
tern_type_info (guint32 id)
{
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (types); i++)
    if (types[i].type == id)
      return &types[i];
  return NULL;
}

const char *
tern_type_refusal (guint32 id)
{
  switch (id) {
    case 37:
      return "I8_S of bitnet.cpp; convert the model to I2_S or TQ2_0";
    case 38:
      return "TL1 of bitnet.cpp, which is laid out for one model on one machine; convert the model to I2_S or TQ2_0";
    case 335:
      return "IQ2_BN_R4, ik_llama.cpp's interleaved rows; convert the model to IQ2_BN or TQ2_0";
    default:
      return NULL;
  }
}

const char *
tern_type_list (void)
{
  return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4, NVFP4, TQ1_0, "
      "TQ2_0, I2_S, IQ1_BN, IQ2_BN, Q1_0, Q2_0, PQ2_0, PTQ1_0";
}

gboolean
tern_type_tensor_bytes (const TernTypeInfo *type, const guint64 dims[4], guint64 *bytes)
{
  guint64 row, all;

  *bytes = 0;
  if (dims[0] == 0 || dims[1] == 0 || dims[2] == 0 || dims[3] == 0)
    return TRUE;
  if (__builtin_mul_overflow (dims[0] / type->block, (guint64) type->bytes, &row)
      || __builtin_add_overflow (row, (guint64) type->row_meta, &row)
      || __builtin_mul_overflow (row, dims[1], &all)
      || __builtin_mul_overflow (all, dims[2], &all)
      || __builtin_mul_overflow (all, dims[3], &all)
      || __builtin_add_overflow (all, (guint64) type->tail, &all)
      || all > G_MAXINT64)
    return FALSE;
  *bytes = all;
  return TRUE;
}

float
tern_type_scale (const TernTypeInfo *type, const guint8 *row, const guint8 *tail)
{
  if (type->tail)
    return tern_read_f32 (tail);
  if (type->row_meta)
    return type->row_meta == 2 ? tern_read_f16 (row) : tern_read_f32 (row);
  return 1;
}

void
tern_type_rows_to_f32 (const TernTypeInfo *type, float *dst, const guint8 *src, gsize rows, gsize cols,
    const guint8 *tail)
{
  gsize bytes = tern_type_row_bytes (type, cols), r, i;

  if (!type->row_meta && !type->tail) {         /* rows without anything between them */
    type->to_f32 (dst, src, rows * cols);
    return;
  }
  for (r = 0; r < rows; r++, src += bytes, dst += cols) {
    float scale = tern_type_scale (type, src, tail);

    type->to_f32 (dst, src + type->row_meta, cols);
    for (i = 0; i < cols; i++)
      dst[i] *= scale;
  }
}
