/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compress/dycoke-dp.h"

#include <math.h>
#include <string.h>

#include "compress/select.h"
#include "engine/base/mem.h"

struct _TernDp {
  TernKeyPolicy policy;
  TernDpParams params;
  TernDpStats stats;
  guint n_layers, max_keys;
  guint8 *is_attention;         /* [n_layers] */

  guint n_attention;
  guint n_visual, n_keep;
  gint32 *visual;               /* [n_visual] positions of the visual tokens, ascending */
  guint8 *is_visual;            /* [max_keys] */
  float *previous;              /* [n_visual] scores of the step before */
  gboolean has_previous;
  TernScored *scored;           /* [n_visual] */
  guint8 *selected;             /* [max_keys] by position; meaningful for visual ones */
  gboolean pruning;             /* this step has a selection */
  gint32 *index;                /* [max_keys] what pruned layers attend to: all text, and the selection; ascending */
  guint n_index, indexed;       /* entries, and positions that they were made of */

  void *block;                  /* owns the arrays */
};

guint
tern_dp_keep (TernDpGate gate, double prune, guint n)
{
  double share = 1 - CLAMP (prune, 0, 1);

  if (gate == TERN_DP_REF)
    return (guint) (n * share);
  return MIN ((guint) floor (share * n + 1e-9), n);
}

gint
tern_dp_score_layer (guint n_layers, const guint8 *is_attention, guint layer)
{
  for (guint l = MIN (layer, n_layers); l-- > 0;)
    if (is_attention[l])
      return (gint) l;
  return -1;
}

static void
reselect (TernDp *dp, const float *scores)
{
  for (guint i = 0; i < dp->n_visual; i++) {
    float s = scores[dp->visual[i]];

    /* The highest are wanted, ties at the lower position. */
    dp->scored[i] = (TernScored) { .score = isnan (s) ? G_MAXDOUBLE : -(double) s, .index = (gint32) i };
    dp->selected[dp->visual[i]] = 0;
  }
  tern_select_lowest (dp->scored, dp->n_visual, dp->n_keep);
  for (guint i = 0; i < dp->n_keep; i++)
    dp->selected[dp->visual[dp->scored[i].index]] = 1;
  dp->n_index = dp->indexed = 0;
  dp->stats.selections++;
}

static void
dp_observe (void *self, const TernKeyView *view)
{
  TernDp *dp = self;
  gboolean similar = FALSE;

  if (!view->scores || view->n_keys <= (guint) dp->visual[dp->n_visual - 1])
    return;
  dp->stats.steps++;
  dp->stats.keys += (guint64) dp->n_attention * dp->n_visual;
  dp->stats.kept += (guint64) dp->n_attention * dp->n_visual;

  /* The step before is compared with this one and then overwritten by it. */
  if (dp->has_previous) {
    double ab = 0, aa = 0, bb = 0;

    for (guint i = 0; i < dp->n_visual; i++) {
      double a = dp->previous[i], b = view->scores[dp->visual[i]];

      ab += a * b;
      aa += a * a;
      bb += b * b;
    }
    similar = aa > 0 && bb > 0 && ab / sqrt (aa * bb) >= TERN_DP_SIMILAR;
  }
  for (guint i = 0; i < dp->n_visual; i++)
    dp->previous[i] = view->scores[dp->visual[i]];
  dp->has_previous = TRUE;

  if (!similar || dp->params.gate == TERN_DP_ALWAYS) {
    reselect (dp, view->scores);
    dp->pruning = TRUE;
  } else if (dp->params.gate == TERN_DP_REF) {
    dp->pruning = FALSE;
  }
}

static const gint32 *
dp_keys (void *self, guint layer, guint n_keys, guint *n_out)
{
  TernDp *dp = self;

  if (layer < dp->params.layer || !dp->pruning || n_keys > dp->max_keys)
    return NULL;
  dp->stats.kept -= dp->n_visual - dp->n_keep;

  /* The list grows by the tokens said since it was made; another selection, or a shorter timeline, makes it anew. */
  if (n_keys < dp->indexed)
    dp->n_index = dp->indexed = 0;
  for (guint i = dp->indexed; i < n_keys; i++)
    if (!dp->is_visual[i] || dp->selected[i])
      dp->index[dp->n_index++] = (gint32) i;
  dp->indexed = n_keys;
  *n_out = dp->n_index;
  return dp->index;
}

static void
carve (TernDp *dp, TernArena *arena)
{
  dp->is_attention = tern_arena_take (arena, dp->n_layers);
  dp->visual = tern_arena_take (arena, dp->max_keys * sizeof (gint32));
  dp->is_visual = tern_arena_take (arena, dp->max_keys);
  dp->previous = tern_arena_take (arena, dp->max_keys * sizeof (float));
  dp->scored = tern_arena_take (arena, dp->max_keys * sizeof (TernScored));
  dp->selected = tern_arena_take (arena, dp->max_keys);
  dp->index = tern_arena_take (arena, dp->max_keys * sizeof (gint32));
}

TernDp *
tern_dp_new (guint n_layers, const guint8 *is_attention, guint max_keys, GError **error)
{
  TernDp *dp = g_new0 (TernDp, 1);
  TernArena arena = { NULL, 0 };

  dp->n_layers = n_layers;
  dp->max_keys = max_keys;
  carve (dp, &arena);
  dp->block = tern_mem_alloc (MAX (arena.used, 1), "key pruning", error);
  if (!dp->block) {
    g_free (dp);
    return NULL;
  }
  arena = (TernArena) { dp->block, 0 };
  carve (dp, &arena);
  memcpy (dp->is_attention, is_attention, n_layers);
  for (guint l = 0; l < n_layers; l++)
    dp->n_attention += is_attention[l] != 0;
  dp->policy = (TernKeyPolicy) { .score_layer = -1, .observe = dp_observe, .keys = dp_keys, .self = dp };
  return dp;
}

void
tern_dp_free (TernDp *dp)
{
  if (!dp)
    return;
  tern_mem_free (dp->block);
  g_free (dp);
}

const TernKeyPolicy *
tern_dp_begin (TernDp *dp, const TernDpParams *params, const TernSpan *spans, guint n_spans)
{
  guint pruned = 0;

  dp->params = *params;
  dp->stats = (TernDpStats) { 0 };
  dp->has_previous = dp->pruning = FALSE;
  dp->n_index = dp->indexed = dp->n_visual = 0;
  memset (dp->is_visual, 0, dp->max_keys);
  for (guint s = 0; s < n_spans; s++)
    for (guint i = spans[s].start; i < spans[s].start + spans[s].n && i < dp->max_keys; i++) {
      dp->visual[dp->n_visual++] = (gint32) i;
      dp->is_visual[i] = 1;
    }
  dp->n_keep = tern_dp_keep (params->gate, params->prune, dp->n_visual);

  for (guint l = params->layer; l < dp->n_layers; l++)
    pruned += dp->is_attention[l] != 0;
  dp->policy.score_layer = tern_dp_score_layer (dp->n_layers, dp->is_attention, params->layer);
  if (dp->policy.score_layer < 0 || pruned == 0 || dp->n_keep == dp->n_visual)
    return NULL;
  dp->stats.pruned_layers = pruned;
  return &dp->policy;
}

void
tern_dp_stats (const TernDp *dp, TernDpStats *stats)
{
  *stats = dp->stats;
}
