/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One row of logits -> one token. */
#pragma once

#include "engine/base/random.h"
#include "engine/decode/generator.h"

G_BEGIN_DECLS

typedef struct {
  float logit;
  gint32 id;
} TernCandidate;

/* log of the sum of exp (logits[i]). NaN when a logit is. */
double tern_log_sum_exp (const float *logits, guint n);
/* The largest, ties to the lower id; NaN never wins. */
gint32 tern_argmax (const float *logits, guint n);
/* CTRL's penalty (arXiv:1909.05858 section 4.1, in the form that is common now): positive logits are divided, negative
 * ones multiplied. */
static inline float
tern_penalise (float logit, float penalty)
{
  return logit > 0 ? logit / penalty : logit * penalty;
}

/* Draws by temperature, then top-k, top-p, min-p, each on what the ones before left. @candidates has room for @n. */
gint32 tern_sample (const float *logits, guint n, const TernSampling *sampling, TernRandom *random,
    TernCandidate *candidates);

G_END_DECLS
