/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which tensor becomes which type in `tern quantize`. */
#pragma once

#include "engine/base/threads.h"
#include "engine/weights/gguf.h"

G_BEGIN_DECLS

typedef enum {
  TERN_QUANTIZE_KEEP,           /* not a matrix of weights, or one that loses by it: copied */
  TERN_QUANTIZE_DONE,           /* quantised already: copied */
  TERN_QUANTIZE_MAKE,
  TERN_QUANTIZE_FALLBACK,       /* made, of another type than asked for: its rows do not fit */
  TERN_QUANTIZE_WIDE,           /* in 16 bits, for rounding it changes too much (tern_quantize_widen()) */
} TernQuantizeStep;

typedef struct {
  TernQuantizeStep step;
  const TernTypeInfo *asked;    /* MAKE, FALLBACK: the type for a tensor of this kind */
  const TernTypeInfo *type;     /* what the tensor is in the new file */
} TernQuantizePlan;

/* @type: the id that the user asked for; one of those that tern_quantize_type() knows. */
void tern_quantize_plan (TernQuantizePlan *plan, const TernTensor *tensor, guint32 type);

/* Of a vision encoder @file, matrices whose output the planned types would change far more than those of the others, and by
 * more than may be, stay in 16 bits; each is told of by tern_tool_message(). Where it cannot be measured, that is told. */
gboolean tern_quantize_widen (TernQuantizePlan *plans, TernGguf *file, TernPool *pool, GError **error);

/* The type called @name in any case, *@file_type its general.file_type; NULL for one that is not offered. */
const TernTypeInfo *tern_quantize_type (const char *name, guint32 *file_type);

G_END_DECLS
