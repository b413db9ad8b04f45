/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/inspect-memory.h"

#include <string.h>

#include "engine/llm/llm.h"
#include "engine/llm/tokenizer.h"
#include "vision/vision.h"

G_GNUC_PRINTF (4, 5) static void
add (TernMemoryPlan *plan, const char *name, guint64 bytes, const char *format, ...)
{
  va_list args;

  g_return_if_fail (plan->n < TERN_MEMORY_ENTRIES);
  plan->entries[plan->n].name = name;
  plan->entries[plan->n].bytes = bytes;
  va_start (args, format);
  g_vsnprintf (plan->entries[plan->n].what, sizeof plan->entries[plan->n].what, format, args);
  va_end (args);
  plan->n++;
}

static void
add_weights (TernMemoryPlan *plan, const TernGguf *file, gsize owned)
{
  guint64 mapped = 0;
  gsize i;

  for (i = 0; i < tern_gguf_n_tensors (file); i++)
    mapped += tern_gguf_tensor_at (file, i)->bytes;
  add (plan, "mapped", mapped, "weights in the file; shared by all processes");
  add (plan, "owned", owned, "weights repacked or converted at load; once per process");
}

static void
add_total (TernMemoryPlan *plan, guint64 state)
{
  add (plan, "total", plan->entries[0].bytes + plan->entries[1].bytes + state, "all of this, with one state");
}

/* What one more token of context takes: everything else in a state is the same for both. */
static gsize
token_bytes (const TernLlm *llm, guint context)
{
  TernLlmStateParams whole = { .context = context, .batch = 1 }, half = { .context = context / 2, .batch = 1 };

  if (context < 2)
    return 0;
  return (tern_llm_state_bytes (llm, &whole) - tern_llm_state_bytes (llm, &half)) / (context - context / 2);
}

static gboolean
plan_llm (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, GError **error)
{
  g_autoptr (TernLlm) llm = tern_llm_plan (file, kernels, error);
  g_autoptr (TernTokenizer) tokenizer = llm ? tern_tokenizer_new (file, error) : NULL;
  const TernLlmInfo *info;
  gsize state;

  if (!tokenizer)
    return FALSE;
  info = tern_llm_info (llm);
  state = tern_llm_state_bytes (llm, &(TernLlmStateParams) { .context = info->context });
  add_weights (plan, file, tern_llm_owned_bytes (llm));
  add (plan, "state", state, "caches and work space of one timeline of the model's %u tokens", info->context);
  add (plan, "token", token_bytes (llm, info->context), "of these for every token of context");
  add_total (plan, state);
  return TRUE;
}

static gboolean
plan_vision (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, GError **error)
{
  g_autoptr (TernVision) vision = tern_vision_open (file, kernels, error);
  const TernVisionOptions stills = { .tile = TRUE };
  guint tokens;
  gsize state;

  if (!vision || !tern_vision_sub_tokens (vision, &stills, &tokens, error))
    return FALSE;
  state = tern_vision_state_bytes (vision, tokens);
  add_weights (plan, file, tern_vision_owned_bytes (vision));
  add (plan, "state", state, "work space for pictures of up to %u visual tokens each", tokens);
  add_total (plan, state);
  return TRUE;
}

gboolean
tern_memory_plan (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, GError **error)
{
  TernBytes architecture;

  plan->n = 0;
  if (!tern_gguf_string (file, "general.architecture", &architecture, error))
    return FALSE;
  if (architecture.len == 4 && memcmp (architecture.data, "clip", 4) == 0)
    return plan_vision (plan, file, kernels, error);
  return plan_llm (plan, file, kernels, error);
}
