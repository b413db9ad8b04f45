/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that a model takes once it runs, by what it is for. */
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/weights/gguf.h"

G_BEGIN_DECLS

typedef struct {
  guint n;
  struct {
    const char *name;           /* of the JSON member */
    guint64 bytes;
    const char *what;
  } entries[8];
} TernMemoryPlan;

/* Opens the model that @file holds. Errors: those of opening it. */
gboolean tern_memory_plan (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, GError **error);

G_END_DECLS
