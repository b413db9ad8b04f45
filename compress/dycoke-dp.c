/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compress/dycoke-dp.h"

#include <math.h>
#include <string.h>

#include "compress/select.h"
#include "engine/base/mem.h"

/* Steps that are remembered: those of one pass and the one before, which the first of them goes on from. */
#define STEPS (TERN_POLICY_ROWS + 1)
#define SELECTIONS (STEPS + 1)  /* so that one is always free */

/* A list of what pruned layers attend to: all text, and the selection; ascending. */
typedef struct {
  guint8 *selected;             /* [max_keys] by position; meaningful for visual ones */
  gint32 *index;                /* [max_keys] */
  guint n_index, indexed;       /* entries, and positions that they were made of */
} Selection;

/* What a decode step left behind. */
typedef struct {
  guint n_keys;                 /* tells it from others; 0: none */
  float *scores;                /* [n_visual] */
  gint selection;               /* -1: nothing was selected yet */
  gboolean pruning;             /* it attended to its selection */
  TernDpStats stats;            /* with it */
} Step;

struct _TernDp {
  TernKeyPolicy policy;
  TernDpParams params;
  guint n_layers, max_keys, pruned_layers;
  guint8 *is_attention;         /* [n_layers] */

  guint n_attention;
  guint n_visual, n_keep;
  gint32 *visual;               /* [n_visual] positions of the visual tokens, ascending */
  guint8 *is_visual;            /* [max_keys] */
  TernScored *scored;           /* [n_visual] */
  Step steps[STEPS];            /* by n_keys */
  Selection selections[SELECTIONS];
  guint last;                   /* n_keys of the newest step; 0: none yet */

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

/* The one after which there are @n_keys; what is there may be of another. */
static Step *
step_at (TernDp *dp, guint n_keys)
{
  return &dp->steps[n_keys % STEPS];
}

/* One that no step has. */
static gint
free_selection (const TernDp *dp)
{
  for (gint s = 0;; s++) {
    gboolean used = FALSE;

    for (guint i = 0; i < STEPS; i++)
      used |= dp->steps[i].n_keys > 0 && dp->steps[i].selection == s;
    if (!used)
      return s;
  }
}

static gint
select_keys (TernDp *dp, const float *scores)
{
  gint chosen = free_selection (dp);
  Selection *selection = &dp->selections[chosen];

  for (guint i = 0; i < dp->n_visual; i++) {
    float s = scores[dp->visual[i]];

    /* The highest are wanted, ties at the lower position. */
    dp->scored[i] = (TernScored) { .score = isnan (s) ? G_MAXDOUBLE : -(double) s, .index = (gint32) i };
    selection->selected[dp->visual[i]] = 0;
  }
  tern_select_lowest (dp->scored, dp->n_visual, dp->n_keep);
  for (guint i = 0; i < dp->n_keep; i++)
    selection->selected[dp->visual[dp->scored[i].index]] = 1;
  selection->n_index = selection->indexed = 0;
  return chosen;
}

static gboolean
is_similar (const TernDp *dp, const float *before, const float *scores)
{
  double ab = 0, aa = 0, bb = 0;

  for (guint i = 0; i < dp->n_visual; i++) {
    double a = before[i], b = scores[dp->visual[i]];

    ab += a * b;
    aa += a * a;
    bb += b * b;
  }
  return aa > 0 && bb > 0 && ab / sqrt (aa * bb) >= TERN_DP_SIMILAR;
}

/* Steps with @n_keys and more were never said. The newest of the others, or NULL. */
static const Step *
step_back (TernDp *dp, guint n_keys)
{
  const Step *newest = NULL;

  for (guint i = 0; i < STEPS; i++) {
    if (dp->steps[i].n_keys >= n_keys)
      dp->steps[i].n_keys = 0;
    if (dp->steps[i].n_keys > 0 && (!newest || dp->steps[i].n_keys > newest->n_keys))
      newest = &dp->steps[i];
  }
  return newest;
}

static void
dp_observe (void *self, const TernKeyView *view)
{
  TernDp *dp = self;
  const Step *before = step_back (dp, view->n_keys);
  Step *step = step_at (dp, view->n_keys), now = before ? *before : (Step) { .selection = -1 };
  gboolean similar;

  dp->last = before ? before->n_keys : 0;
  if (!view->scores || view->n_keys <= (guint) dp->visual[dp->n_visual - 1])
    return;
  similar = before && is_similar (dp, before->scores, view->scores);
  /* The place of the step before last ROWS steps: nobody goes back to it. */
  step->n_keys = 0;
  if (!similar || dp->params.gate == TERN_DP_ALWAYS) {
    now.selection = select_keys (dp, view->scores);
    now.pruning = TRUE;
    now.stats.selections++;
  } else if (dp->params.gate == TERN_DP_REF) {
    now.pruning = FALSE;
  }
  now.stats.steps++;
  now.stats.keys += (guint64) dp->n_attention * dp->n_visual;
  now.stats.kept += (guint64) dp->n_attention * dp->n_visual;
  if (now.pruning)
    now.stats.kept -= (guint64) dp->pruned_layers * (dp->n_visual - dp->n_keep);
  now.n_keys = dp->last = view->n_keys;
  now.scores = step->scores;
  for (guint i = 0; i < dp->n_visual; i++)
    now.scores[i] = view->scores[dp->visual[i]];
  *step = now;
}

static const gint32 *
dp_keys (void *self, guint layer, guint n_keys, guint *n_out)
{
  TernDp *dp = self;
  const Step *step = step_at (dp, n_keys);
  Selection *selection;

  if (step->n_keys != n_keys)
    step = step_at (dp, dp->last);      /* a step that was not observed goes on as the last one did */
  if (layer < dp->params.layer || step->n_keys == 0 || !step->pruning || n_keys > dp->max_keys
      || n_keys <= (guint) dp->visual[dp->n_visual - 1])
    return NULL;

  /* The list grows by the tokens said since it was made. What comes after the visual keys is all text: fewer keys are the
   * beginning of it. */
  selection = &dp->selections[step->selection];
  for (; selection->indexed < n_keys; selection->indexed++)
    if (!dp->is_visual[selection->indexed] || selection->selected[selection->indexed])
      selection->index[selection->n_index++] = (gint32) selection->indexed;
  *n_out = selection->n_index - (selection->indexed - n_keys);
  return selection->index;
}

static void
carve (TernDp *dp, TernArena *arena)
{
  dp->is_attention = tern_arena_take (arena, dp->n_layers);
  dp->visual = tern_arena_take (arena, dp->max_keys * sizeof (gint32));
  dp->is_visual = tern_arena_take (arena, dp->max_keys);
  dp->scored = tern_arena_take (arena, dp->max_keys * sizeof (TernScored));
  for (guint i = 0; i < STEPS; i++)
    dp->steps[i].scores = tern_arena_take (arena, dp->max_keys * sizeof (float));
  for (guint i = 0; i < SELECTIONS; i++) {
    dp->selections[i].selected = tern_arena_take (arena, dp->max_keys);
    dp->selections[i].index = tern_arena_take (arena, dp->max_keys * sizeof (gint32));
  }
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
  dp->policy = (TernKeyPolicy) { .score_layer = -1, .rows = TERN_POLICY_ROWS, .observe = dp_observe, .keys = dp_keys,
    .self = dp };
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
  dp->params = *params;
  for (guint i = 0; i < STEPS; i++)
    dp->steps[i].n_keys = 0;
  dp->last = dp->n_visual = dp->pruned_layers = 0;
  memset (dp->is_visual, 0, dp->max_keys);
  for (guint s = 0; s < n_spans; s++)
    for (guint i = spans[s].start; i < spans[s].start + spans[s].n && i < dp->max_keys; i++) {
      dp->visual[dp->n_visual++] = (gint32) i;
      dp->is_visual[i] = 1;
    }
  dp->n_keep = tern_dp_keep (params->gate, params->prune, dp->n_visual);

  for (guint l = params->layer; l < dp->n_layers; l++)
    dp->pruned_layers += dp->is_attention[l] != 0;
  dp->policy.score_layer = tern_dp_score_layer (dp->n_layers, dp->is_attention, params->layer);
  if (dp->policy.score_layer < 0 || dp->pruned_layers == 0 || dp->n_keep == dp->n_visual) {
    dp->pruned_layers = 0;
    return NULL;
  }
  return &dp->policy;
}

void
tern_dp_stats (const TernDp *dp, TernDpStats *stats)
{
  const Step *step = step_at ((TernDp *) dp, dp->last);

  *stats = dp->last > 0 ? step->stats : (TernDpStats) { 0 };
  stats->pruned_layers = dp->pruned_layers;
}
