/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How text is chosen from what a model says is likely. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernSampling:
 * @max_tokens: most tokens to say, TERN_MAX_TOKENS_MIN..TERN_MAX_TOKENS_MAX
 * @beam: beams, TERN_BEAM_MIN (no beam search)..TERN_BEAM_MAX
 * @length_penalty: beams rank by log p / length^length_penalty; finite
 * @temperature: 0 (the likeliest token, always)..TERN_TEMPERATURE_MAX; 0 with more than one beam
 * @top_k: choose among so many of the likeliest tokens, 0 (all)..TERN_TOP_K_MAX
 * @top_p: choose among the likeliest tokens that have this probability together, TERN_TOP_P_MIN..TERN_TOP_P_MAX (all)
 * @min_p: least probability, as a share of the likeliest token's, 0 (any)..TERN_MIN_P_MAX
 * @repetition_penalty: divides positive and multiplies negative logits of tokens already said,
 *   TERN_REPETITION_PENALTY_MIN..TERN_REPETITION_PENALTY_MAX; 1 = none
 * @seed: same seed, same text
 * @ignore_eog: go on past end tokens, for measurements
 * @reserved: 0
 *
 * How tokens are chosen.
 *
 * Since: 0.1
 */
typedef struct {
  guint max_tokens;
  guint beam;
  float length_penalty;
  float temperature;
  guint top_k;
  float top_p;
  float min_p;
  float repetition_penalty;
  guint64 seed;
  gboolean ignore_eog;
  gpointer reserved[4];
} TernSampling;

/**
 * TERN_SAMPLING_INIT: (skip)
 *
 * Defaults for a variable of type #TernSampling: the likeliest token always, 32 of them at most.
 *
 * Since: 0.1
 */
#ifndef __cplusplus
#define TERN_SAMPLING_INIT { .max_tokens = 32, .beam = 1, .length_penalty = 0.7f, .top_p = 1, .repetition_penalty = 1 }
#endif

G_END_DECLS
