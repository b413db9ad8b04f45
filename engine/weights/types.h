/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensor types of GGUF files: ids, block sizes, conversion to float. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Values are the ids in the file. */
typedef enum {
  TERN_TYPE_F32 = 0,
  TERN_TYPE_F16 = 1,
  TERN_TYPE_Q4_0 = 2,
  TERN_TYPE_Q8_0 = 8,
  TERN_TYPE_Q4_K = 12,
  TERN_TYPE_Q6_K = 14,
  TERN_TYPE_I32 = 26,
  TERN_TYPE_BF16 = 30,
  TERN_TYPE_TQ1_0 = 34,
  TERN_TYPE_TQ2_0 = 35,
} TernType;

typedef struct {
  guint32 type;                 /* TernType, or the id of a type that is known by its size alone */
  const char *name;             /* "Q4_K" */
  guint block;                  /* values in a block */
  guint bytes;                  /* bytes of a block */
  /* @n values (a multiple of block) from unaligned bytes; the scalar reference, exact to f32 arithmetic. NULL when
   * this build knows the type's size and cannot convert it (integers, the rarer quantisations). */
  void (*to_f32) (float *dst, const void *src, gsize n);
} TernTypeInfo;

/* NULL for an id that no released format gives a meaning. */
const TernTypeInfo *tern_type_info (guint32 id);

/* "F32, F16, ...": the types that can be converted, for messages. */
const char *tern_type_list (void);

/* The 256 digits (0, 1, 2 for -1, 0, +1) of a TQ1_0 block, in the order of the values. */
void tern_tq1_0_digits (guint8 *dst, const guint8 *block);

G_END_DECLS
