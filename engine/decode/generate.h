/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From logits to tokens: greedy, sampling and beam search. */
#pragma once

#include <glib.h>
#include "tern/sampling.h"
#include "engine/llm/llm.h"
#include "engine/text/tokenizer.h"

G_BEGIN_DECLS

/* INVALID names the parameter, its range and the value found. */
gboolean tern_sampling_check (const TernSampling *sampling, GError **error);

typedef enum {
  TERN_FINISH_STOP,             /* an end token */
  TERN_FINISH_LENGTH,           /* max_tokens or the context */
  TERN_FINISH_CANCELLED,
} TernFinish;

typedef struct {
  gint32 *ids;                  /* [capacity], the caller's; end tokens are not stored */
  guint capacity, n;
  double logprob;               /* sum of log p of what was said, the end token included */
  double mean_probability;      /* mean of p over the tokens said (end token excluded); -1 when none */
  TernFinish finish;
} TernGeneration;

typedef struct _TernGenerator TernGenerator;

/* Scratch for one timeline: sorting, and beams - 1 further states. One thread at a time. */
TernGenerator *tern_generator_new (TernLlm *llm, const TernTokenizer *tokenizer, guint max_beam,
    const TernLlmStateParams *params, TernPool *pool, GError **error);
void tern_generator_free (TernGenerator *generator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGenerator, tern_generator_free)

/* Called for every token that stands (greedy and sampling: at once; beam search: when the best beam is known). */
typedef void (*TernTokenFunc) (void *data, gint32 id, float probability);

/* Continues @state, whose last eval gave @logits [n_vocab] (used as scratch). Allocates nothing. Cancelling is no
 * error: finish says so, and what was said until then stands. Beams share @state's key policy: beam search asks it
 * for the best beam only and lets all beams attend to the answer. */
gboolean tern_generator_run (TernGenerator *generator, TernLlmState *state, float *logits, const TernSampling *sampling,
    TernTokenFunc func, void *data, TernCancel *cancel, TernGeneration *out, GError **error);

G_END_DECLS
