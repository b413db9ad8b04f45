/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/sampler.h"

#include <math.h>

#include "engine/base/heap.h"

gint32
tern_argmax (const float *logits, guint n)
{
  gint32 best = 0;
  float most = -INFINITY;

  for (guint i = 0; i < n; i++)
    if (logits[i] > most) {
      most = logits[i];
      best = i;
    }
  return best;
}

double
tern_log_sum_exp (const float *logits, guint n)
{
  float most = logits[tern_argmax (logits, n)];
  double sum = 0;

  if (!isfinite (most))
    return NAN;
  for (guint i = 0; i < n; i++)
    sum += expf (logits[i] - most);
  return most + log (sum);
}

static inline gboolean
before (const TernCandidate *a, const TernCandidate *b)
{
  return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

TERN_DEFINE_HEAP (ranks, TernCandidate, before)

/* Candidates in descending order, taken one by one: a sampler looks at a few of a vocabulary, sorting it all would cost
 * more than the softmax. Those taken stand at the end of the array, the i-th at [left - 1 - i]. */
typedef struct {
  TernCandidate *at;
  guint left, taken;            /* finite candidates; how many of them are in order */
} Ranking;

static void
rank (Ranking *ranking, const float *logits, guint n)
{
  ranking->left = ranking->taken = 0;
  for (guint i = 0; i < n; i++)
    if (logits[i] > -INFINITY)  /* neither masked nor NaN */
      ranking->at[ranking->left++] = (TernCandidate) { logits[i], i };
  ranks_order (ranking->at, ranking->left);
}

static const TernCandidate *
ranked (Ranking *ranking, guint i)
{
  while (ranking->taken <= i) {
    guint n = ranking->left - ranking->taken++;

    ranking->at[n - 1] = ranks_pop (ranking->at, n);
  }
  return &ranking->at[ranking->left - 1 - i];
}

static double
weight (float logit, float most, float temperature)
{
  return exp (((double) logit - most) / temperature);
}

static gint32
draw_ranked (Ranking *ranking, const TernSampling *sampling, TernRandom *random)
{
  guint keep = sampling->top_k ? MIN (sampling->top_k, ranking->left) : ranking->left, kept = 0;
  float most = ranked (ranking, 0)->logit, temperature = sampling->temperature;
  double total = 0, mass = 0, draw;

  if (keep < ranking->left)     /* top-p is a share of what top-k left */
    ranked (ranking, keep - 1);
  for (guint i = 0; i < keep; i++)
    total += weight (ranking->at[ranking->left - 1 - i].logit, most, temperature);
  while (kept < keep) {
    double w = weight (ranked (ranking, kept)->logit, most, temperature);

    if (kept && w < sampling->min_p)    /* the best one's weight is 1 */
      break;
    kept++;
    mass += w;
    if (mass >= sampling->top_p * total)
      break;
  }
  draw = tern_random_uniform (random) * mass;
  for (guint i = 0; i < kept; i++) {
    draw -= weight (ranked (ranking, i)->logit, most, temperature);
    if (draw < 0)
      return ranked (ranking, i)->id;
  }
  return ranked (ranking, kept - 1)->id;
}

gint32
tern_sample (const float *logits, guint n, const TernSampling *sampling, TernRandom *random, TernCandidate *candidates)
{
  Ranking ranking = { .at = candidates };
  gint32 best = tern_argmax (logits, n);

  if (!isfinite (logits[best]) || sampling->temperature <= 0)
    return best;
  rank (&ranking, logits, n);
  return draw_ranked (&ranking, sampling, random);
}
