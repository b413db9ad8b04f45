/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensor types of GGUF files: ids, sizes, conversion to float.
 *
 * A tensor is its rows, one after the other, and a tail; a row is a header and blocks:
 *
 *   [row_meta][block][block]...   [row_meta][block][block]...   ...   [tail]
 *
 * Nearly all types have neither header nor tail. The functions below are the one place that knows these sizes. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Values are the ids in the file. */
typedef enum {
  TERN_TYPE_F32 = 0,
  TERN_TYPE_F16 = 1,
  TERN_TYPE_Q4_0 = 2,
  TERN_TYPE_Q4_1 = 3,
  TERN_TYPE_Q5_0 = 6,
  TERN_TYPE_Q5_1 = 7,
  TERN_TYPE_Q8_0 = 8,
  TERN_TYPE_Q2_K = 10,
  TERN_TYPE_Q3_K = 11,
  TERN_TYPE_Q4_K = 12,
  TERN_TYPE_Q5_K = 13,
  TERN_TYPE_Q6_K = 14,
  TERN_TYPE_IQ4_NL = 20,
  TERN_TYPE_IQ4_XS = 23,
  TERN_TYPE_I32 = 26,
  TERN_TYPE_BF16 = 30,
  TERN_TYPE_TQ1_0 = 34,
  TERN_TYPE_TQ2_0 = 35,
  TERN_TYPE_I2_S = 36,          /* bitnet.cpp; id unused by ggml */
  TERN_TYPE_MXFP4 = 39,         /* floats of four bits */
  TERN_TYPE_NVFP4 = 40,
  TERN_TYPE_Q1_0 = 41,          /* signs */
  TERN_TYPE_Q2_0 = 42,
  TERN_TYPE_IQ1_BN = 134,       /* ik_llama.cpp */
  TERN_TYPE_IQ2_BN = 135,       /* ik_llama.cpp */
  TERN_TYPE_PQ2_0 = 142,        /* PrismML's fork of llama.cpp: Bonsai */
  TERN_TYPE_PTQ1_0 = 143,       /* the same */
} TernType;

typedef struct {
  guint32 type;                 /* TernType, or the id of a type that is known by its size alone */
  const char *name;             /* "Q4_K" */
  guint block;                  /* values in a block; rows are multiples of it */
  guint bytes;                  /* bytes of a block */
  /* @n values (a multiple of block) from unaligned bytes of blocks; the scalar reference, exact to f32 arithmetic.
   * NULL when this build knows the type's size and cannot convert it (integers, the rarer quantisations). Of types
   * with a header or tail the result lacks the scale that stands there: tern_type_rows_to_f32() applies it. */
  void (*to_f32) (float *dst, const void *src, gsize n);
  guint row_meta;               /* bytes before the blocks of every row: its scale, f16 in 2 or f32 in 4; or 0 */
  guint tail;                   /* bytes after the last row, the first 4 the tensor's scale in f32; or 0 */
} TernTypeInfo;

/* NULL for an id that no released format gives a meaning. */
const TernTypeInfo *tern_type_info (guint32 id);

/* What to say of an id that tern_type_info() does not know although it has a meaning somewhere: its name and what to do
 * about it ("TL1 of bitnet.cpp: ..."). NULL when there is nothing to say. */
const char *tern_type_refusal (guint32 id);

/* "F32, F16, ...": the types that can be converted, for messages. */
const char *tern_type_list (void);

/* Bytes of a row of @cols values (a multiple of block), header included. */
static inline gsize
tern_type_row_bytes (const TernTypeInfo *type, gsize cols)
{
  return cols / type->block * type->bytes + type->row_meta;
}

/* Binary or ternary blocks with a scale each: Q1_0, Q2_0, PQ2_0 and PTQ1_0. */
static inline gboolean
tern_type_is_scaled (const TernTypeInfo *type)
{
  return type->type == TERN_TYPE_Q1_0 || type->type == TERN_TYPE_Q2_0 || type->type == TERN_TYPE_PQ2_0
      || type->type == TERN_TYPE_PTQ1_0;
}

/* Bytes of a tensor of these dims, tail included; 0 for one without values. FALSE when that is not below 2^63. */
gboolean tern_type_tensor_bytes (const TernTypeInfo *type, const guint64 dims[4], guint64 *bytes);

/* @rows rows of @cols values to dst[rows][cols]. @src: header of the first row; @tail: the tensor's tail, only looked
 * at when the type has one. */
void tern_type_rows_to_f32 (const TernTypeInfo *type, float *dst, const guint8 *src, gsize rows, gsize cols,
    const guint8 *tail);

/* The scale in a row's header or in the tail; 1 for types that keep theirs in the blocks. */
float tern_type_scale (const TernTypeInfo *type, const guint8 *row, const guint8 *tail);

/* The 256 digits (0, 1, 2 for -1, 0, +1) of a TQ1_0 block, in the order of the values. */
void tern_tq1_0_digits (guint8 *dst, const guint8 *block);

G_END_DECLS
