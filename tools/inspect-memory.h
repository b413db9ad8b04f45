/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that a model takes once it runs, by what it is for. */
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/weights/gguf.h"

G_BEGIN_DECLS

#define TERN_MEMORY_ENTRIES 6

typedef struct {
  guint n;
  struct {
    const char *name;           /* of the JSON member */
    guint64 bytes;
    char what[120];
  } entries[TERN_MEMORY_ENTRIES];
} TernMemoryPlan;

/* Opens what @file holds, a language model with its tokenizer or a vision encoder, and asks it. Errors: those of
 * opening. */
gboolean tern_memory_plan (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, GError **error);

G_END_DECLS
