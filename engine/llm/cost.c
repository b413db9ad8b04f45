/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/cost.h"

#include <math.h>
#include <string.h>

#include "engine/llm/kvcache.h"

typedef struct {
  const TernLlm *llm;
  const TernLlmWork *work;
  TernCost *cost;
  double experts, used;         /* of them, those that a row chooses */
  double rows;                  /* that the running block is evaluated for */
  double kept;                  /* ... and those that it remembers */
} Sum;

static guint32
key (const TernLlm *llm, const char *name, guint32 fallback)
{
  g_autofree char *full = g_strdup_printf ("%s.%s", llm->info.architecture, name);
  guint32 value = fallback;

  tern_gguf_u32_or (llm->file, full, 0, G_MAXINT32, fallback, &value, NULL);
  return value;
}

/* Of each timeline. */
static double
needed_rows (const TernLlmWork *work, guint more)
{
  return tern_needed_rows (work->rows, (double) work->heads / work->timelines, more);
}

/* An expert: how likely some row chooses it if all are as likely, and what it sees on average. */
static void
add_expert (const Sum *sum, const TernLinear *linear)
{
  double share = sum->used / sum->experts;

  if (sum->experts >= 1 && sum->used >= 1)
    tern_cost_add_linear (sum->cost, linear, 1 - pow (1 - share, sum->rows), sum->rows * share);
}

static void
add_linear (TernLinear *linear, void *data)
{
  const Sum *sum = data;
  const char *name = linear->name ? linear->name : "";
  double rows = strstr (name, ".attn_k.") || strstr (name, ".attn_v.") ? sum->kept : sum->rows;

  if (rows <= 0)
    return;
  if (strstr (name, "_exps."))
    add_expert (sum, linear);
  else
    tern_cost_add_linear (sum->cost, linear, 1, rows);
}

static void
add_block (Sum *sum, TernBlock *block, guint rows, guint kept)
{
  sum->rows = sum->work->timelines * needed_rows (sum->work, rows);
  sum->kept = sum->work->timelines * needed_rows (sum->work, kept);
  if (block)
    block->klass->linears (block, add_linear, sum);
}

/* A block that does not remember by itself is evaluated for all rows that enter it; of the embedding it is a row for each token. */
static void
add_layers (Sum *sum)
{
  const TernLlm *llm = sum->llm;

  for (guint i = 0; i < llm->info.n_layers; i++) {
    const TernLayer *layer = &llm->layers[i];
    gboolean remembers = layer->mixer && layer->mixer->klass->remember;

    add_block (sum, layer->mixer, remembers ? layer->needed_behind : layer->needed_before, layer->needed_before);
    add_block (sum, layer->ffn, layer->needed_behind, layer->needed_behind);
  }
  if (sum->work->heads > 0)
    tern_cost_add_linear (sum->cost, tern_llm_head (llm), 1, sum->work->heads);
}

/* Of the keys, or the values, of one position in one layer with @n_kv heads. */
static double
kv_bytes (const TernLlm *llm, guint n_kv, TernKvType kv)
{
  return n_kv * tern_kv_row_bytes (kv, llm->info.head_dim);
}

/* Each row that is needed looks at all before it and at itself: two products with a head's vector for each. */
static void
add_attention (const TernLlm *llm, const TernLlmWork *work, TernCost *cost)
{
  g_autofree guint32 *n_kv = g_new (guint32, llm->info.n_layers);
  g_autofree char *name = g_strdup_printf ("%s.attention.head_count_kv", llm->info.architecture);

  if (!tern_gguf_u32_layers (llm->file, name, 0, G_MAXINT32, llm->info.n_layers, n_kv, NULL))
    for (guint i = 0; i < llm->info.n_layers; i++)
      n_kv[i] = llm->info.n_heads;
  for (guint i = 0; i < llm->info.n_layers; i++) {
    double rows = needed_rows (work, llm->layers[i].needed_behind);
    double keys = rows * (work->depth + work->rows - (rows - 1) / 2);

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
  Sum sum = { .llm = llm, .work = work, .cost = cost, .experts = key (llm, "expert_count", 0),
    .used = key (llm, "expert_used_count", 0) };

  add_layers (&sum);
  add_attention (llm, work, cost);
  add_states (llm, work, cost);
}
