/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/inspect-memory.h"

static void
add (TernMemoryPlan *plan, const char *name, guint64 bytes, const char *what)
{
  g_return_if_fail (plan->n < G_N_ELEMENTS (plan->entries));
  plan->entries[plan->n].name = name;
  plan->entries[plan->n].bytes = bytes;
  plan->entries[plan->n].what = what;
  plan->n++;
}

gboolean
tern_memory_plan (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, GError **error)
{
  guint64 mapped = 0;
  gsize i;

  plan->n = 0;
  for (i = 0; i < tern_gguf_n_tensors (file); i++)
    mapped += tern_gguf_tensor_at (file, i)->bytes;
  add (plan, "mapped", mapped, "weights in the file, shared by all processes");
  return TRUE;
}
