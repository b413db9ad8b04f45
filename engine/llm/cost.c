/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/cost.h"

#include <math.h>
#include <string.h>

#include "engine/llm/kvcache.h"

typedef struct {
  const TernLlm *llm;
  TernCost *cost;
  double rows, heads;
  double expert_rows;           /* that one expert sees on average */
  double expert_share;          /* of the experts, those that some row chooses */
} Sum;

static guint32
key (const TernLlm *llm, const char *name, guint32 fallback)
{
  g_autofree char *full = g_strdup_printf ("%s.%s", llm->info.architecture, name);
  guint32 value = fallback;

  tern_gguf_u32_or (llm->file, full, 0, G_MAXINT32, fallback, &value, NULL);
  return value;
}

/* Which of @n experts @rows rows choose @used each of, if all are as likely. */
static void
count_experts (Sum *sum)
{
  double n = key (sum->llm, "expert_count", 0), used = key (sum->llm, "expert_used_count", 0);

  if (n < 1 || used < 1)
    return;
  sum->expert_rows = sum->rows * used / n;
  sum->expert_share = 1 - pow (1 - used / n, sum->rows);
}

static void
add_linear (TernLinear *linear, void *data)
{
  Sum *sum = data;

  if (linear == tern_llm_head (sum->llm)) {
    if (sum->heads > 0)
      tern_cost_add_linear (sum->cost, linear, 1, sum->heads);
  } else if (linear == &sum->llm->embedding) {
    return;                     /* a row for each token */
  } else if (linear->name && strstr (linear->name, "_exps.")) {
    tern_cost_add_linear (sum->cost, linear, sum->expert_share, sum->expert_rows);
  } else {
    tern_cost_add_linear (sum->cost, linear, 1, sum->rows);
  }
}

/* Of the keys, or the values, of one position in one layer with @n_kv heads. */
static double
kv_bytes (const TernLlm *llm, guint n_kv, TernKvType kv)
{
  return n_kv * tern_kv_row_bytes (kv, llm->info.head_dim);
}

/* Each row looks at all before it and at itself: two products with a head's vector for each. */
static void
add_attention (const TernLlm *llm, const TernLlmWork *work, TernCost *cost)
{
  g_autofree guint32 *n_kv = g_new (guint32, llm->info.n_layers);
  g_autofree char *name = g_strdup_printf ("%s.attention.head_count_kv", llm->info.architecture);
  double keys = work->rows * (work->depth + (work->rows + 1) / 2.0);

  if (!tern_gguf_u32_layers (llm->file, name, 0, G_MAXINT32, llm->info.n_layers, n_kv, NULL))
    for (guint i = 0; i < llm->info.n_layers; i++)
      n_kv[i] = llm->info.n_heads;
  for (guint i = 0; i < llm->info.n_layers; i++) {
    if (!llm->info.is_attention[i])
      continue;
    cost->bytes += work->timelines * (work->depth + work->rows) * 2 * kv_bytes (llm, n_kv[i], work->kv);
    cost->f32 += work->timelines * keys * 2 * llm->info.n_heads * llm->info.head_dim;
  }
}

static void
count_state (TernBlock *block, void *data)
{
  TernStatePart parts[TERN_STATE_PARTS];
  guint n = tern_block_state (block, parts);

  for (guint i = 0; i < n; i++)
    if (!g_str_equal (parts[i].name, "conv"))
      *(double *) data += (double) parts[i].rows * parts[i].cols;
}

/* Read once and written once, however many rows there are; each row decays, writes and asks every value. */
static void
add_states (const TernLlm *llm, const TernLlmWork *work, TernCost *cost)
{
  double floats = 0;

  tern_llm_each_block (llm, count_state, &floats);
  cost->bytes += work->timelines * 2.0 * floats * sizeof (float);
  cost->f32 += work->timelines * (double) work->rows * 3 * floats;
}

void
tern_llm_cost (const TernLlm *llm, const TernLlmWork *work, TernCost *cost)
{
  Sum sum = { llm, cost, (double) work->timelines * work->rows, work->heads, 0, 0 };

  count_experts (&sum);
  tern_llm_each_linear (llm, add_linear, &sum);
  add_attention (llm, work, cost);
  add_states (llm, work, cost);
}
