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
  TernType type;
  const char *name;             /* "Q4_K" */
  guint block;                  /* values in a block */
  guint bytes;                  /* bytes of a block */
  /* @n values (a multiple of block) from unaligned bytes; the scalar reference, exact to f32 arithmetic. */
  void (*to_f32) (float *dst, const void *src, gsize n);
} TernTypeInfo;

/* NULL for an id that this build does not read. */
const TernTypeInfo *tern_type_info (guint32 id);

G_END_DECLS
