/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Beam search: at every step the best continuations of all beams live on. Sequences rank by the sum of log p divided by
 * length^length_penalty (arXiv:1609.08144 eq. 14 without its constant), the end token counted in.
 *
 * All live beams are equally long. The first child of a beam goes on in its state; further ones take a state that
 * nobody continues and copy what was said since the prompt. */
#include "engine/decode/generator.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

typedef struct {
  TernGenerator *self;
  const TernSampling *sampling;
  guint width;                  /* beams that may live */
  guint n_beams, n_steps, length;       /* length: tokens said by each */
  guint prompt;                 /* positions that all states share */
  const TernKeyPolicy *policy;  /* of the caller's state, or NULL */
  guint n_ends;
  TernBeamEnd best;             /* the best sequence that ended */
} Search;

/* ---- Key policy: asked for the best beam, answered to all -------------------------------------------------------- */

static const gint32 *
record_keys (void *data, guint layer, guint n_keys, guint *n_out)
{
  Search *search = data;
  TernGenerator *self = search->self;
  const gint32 *keys = search->policy->keys (search->policy->self, layer, n_keys, n_out);

  self->n_keys[layer] = keys ? (gint) *n_out : -1;
  if (keys)
    memcpy (self->keys + (gsize) layer * self->context, keys, *n_out * sizeof (gint32));
  return keys;
}

static void
record_scores (void *data, const TernKeyView *view)
{
  Search *search = data;

  search->policy->observe (search->policy->self, view);
}

static const gint32 *
replay_keys (void *data, guint layer, guint n_keys, guint *n_out)
{
  TernGenerator *self = ((Search *) data)->self;

  if (self->n_keys[layer] < 0)
    return NULL;
  *n_out = self->n_keys[layer];
  return self->keys + (gsize) layer * self->context;
}

/* Evaluates the newest token of every beam, the best one first. */
static gboolean
eval_beams (Search *search, TernCancel *cancel, GError **error)
{
  TernGenerator *self = search->self;
  TernKeyPolicy record = { .score_layer = -1, .self = search }, replay = { .score_layer = -1, .self = search };

  if (search->policy) {
    record.score_layer = search->policy->score_layer;
    record.keys = search->policy->keys ? record_keys : NULL;
    record.observe = search->policy->observe ? record_scores : NULL;
    replay.keys = search->policy->keys ? replay_keys : NULL;
    memset (self->n_keys, 0xff, tern_llm_info (self->llm)->n_layers * sizeof (gint));
  }
  for (guint i = 0; i < search->n_beams; i++) {
    TernBeam *beam = &self->beams[i];
    gboolean ok;

    tern_llm_state_set_policy (beam->state, !search->policy ? NULL : i ? &replay : &record);
    ok = tern_llm_eval (beam->state, &(TernLlmInput) { .ids = &self->nodes[beam->node].id, .n = 1 }, TERN_LOGITS_LAST,
        beam->logits, cancel, error);
    tern_llm_state_set_policy (beam->state, NULL);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

/* Keeps the 2 x width best steps, sorted; equal scores stay in the order in which they came (beam, id). */
static void
offer (Search *search, guint beam, gint32 id, double score)
{
  TernBeamStep *steps = search->self->steps;
  guint room = 2 * search->width, i;

  if (search->n_steps == room && !(score > steps[room - 1].score))
    return;
  if (search->n_steps < room)
    search->n_steps++;
  for (i = search->n_steps - 1; i && score > steps[i - 1].score; i--)
    steps[i] = steps[i - 1];
  steps[i] = (TernBeamStep) { beam, id, score };
}

/* log p of all continuations, penalties in. */
static void
propose (Search *search, guint b)
{
  TernGenerator *self = search->self;
  TernBeam *beam = &self->beams[b];
  float penalty = search->sampling->repetition_penalty;
  const float *logits = beam->logits;
  double total = beam->total = tern_log_sum_exp (logits, self->n_ids);

  if (penalty != 1) {
    memcpy (self->row, logits, self->n_ids * sizeof (float));
    for (gint32 i = beam->node; i >= 0; i = self->nodes[i].parent)
      self->row[self->nodes[i].id] = tern_penalise (logits[self->nodes[i].id], penalty);
    logits = self->row;
    total = tern_log_sum_exp (logits, self->n_ids);
  }
  for (guint id = 0; id < self->n_ids; id++)
    if (isfinite (logits[id] - total))
      offer (search, b, id, beam->score + (logits[id] - total));
}

static double
rank (const Search *search, double score)
{
  return score / pow (search->length, search->sampling->length_penalty);
}

static void
finish (Search *search, gint32 node, double score, double logprob, gboolean ended)
{
  TernBeamEnd end = { node, rank (search, score), logprob, ended };

  if (!search->n_ends++ || end.rank > search->best.rank)
    search->best = end;
}

/* Gives every next beam a state: its parent's when it is the first child, else one that no beam continues. All pairs of
 * state and logits are somewhere in beams [0, width), before and after. */
static void
place (Search *search, const guint *parents, guint n_next)
{
  TernGenerator *self = search->self;
  guint64 taken = 0;
  guint spare = 0;

  for (guint i = 0; i < n_next; i++) {
    self->next[i].state = NULL;
    if (taken & G_GUINT64_CONSTANT (1) << parents[i])
      continue;
    taken |= G_GUINT64_CONSTANT (1) << parents[i];
    self->next[i].state = self->beams[parents[i]].state;
    self->next[i].logits = self->beams[parents[i]].logits;
  }
  for (guint i = 0; i < search->width; i++) {
    if (i < n_next && self->next[i].state)
      continue;
    while (taken & G_GUINT64_CONSTANT (1) << spare)
      spare++;
    taken |= G_GUINT64_CONSTANT (1) << spare;
    self->next[i].state = self->beams[spare].state;
    self->next[i].logits = self->beams[spare].logits;
    if (i < n_next)
      tern_llm_state_copy (self->next[i].state, self->beams[parents[i]].state, search->prompt);
  }
}

/* The steps become the next beams; those that end are put aside. */
static void
advance (Search *search)
{
  TernGenerator *self = search->self;
  guint parents[TERN_BEAM_MAX], n_next = 0;
  TernBeam *swap = self->beams;

  search->length++;
  for (guint i = 0; i < search->n_steps && n_next < search->width; i++) {
    const TernBeamStep *step = &self->steps[i];
    const TernBeam *parent = &self->beams[step->beam];
    double logprob = parent->logits[step->id] - parent->total;

    if (!search->sampling->ignore_eog && tern_generator_is_end (self, step->id)) {
      if (i < search->width)    /* an end that would not have lived as a beam is no find */
        finish (search, parent->node, step->score, parent->logprob + logprob, TRUE);
      continue;
    }
    self->nodes[self->n_nodes] = (TernBeamNode) { step->id, parent->node, (float) exp (logprob) };
    self->next[n_next] = (TernBeam) { .node = self->n_nodes++, .score = step->score,
      .logprob = parent->logprob + logprob };
    parents[n_next++] = step->beam;
  }
  place (search, parents, n_next);
  search->n_beams = n_next;
  self->beams = self->next;
  self->next = swap;
}

/* Enough sequences ended, and the best live one is no better as it stands. */
static gboolean
decided (const Search *search)
{
  return !search->n_beams
      || (search->n_ends >= search->width && search->best.rank >= rank (search, search->self->beams[0].score));
}

static void
begin (Search *search, TernLlmState *state, float *logits)
{
  TernGenerator *self = search->self;
  gsize n_vocab = tern_llm_info (self->llm)->n_vocab;

  self->n_nodes = 0;
  self->beams[0] = (TernBeam) { .state = state, .logits = logits, .node = -1 };
  for (guint i = 1; i < search->width; i++) {
    self->beams[i] = (TernBeam) { .state = self->states[i - 1], .logits = self->logits + (i - 1) * n_vocab,
      .node = -1 };
    tern_llm_state_copy (self->states[i - 1], state, 0);
  }
}

static gboolean
search_all (Search *search, guint limit, TernCancel *cancel, gboolean *cancelled, GError **error)
{
  TernGenerator *self = search->self;
  g_autoptr (GError) failure = NULL;

  for (;;) {
    search->n_steps = 0;
    /* The vocabulary once a beam: that adds up. Half a step's proposals are none: what was said so far stands. */
    for (guint i = 0; i < search->n_beams; i++) {
      if ((*cancelled = tern_cancel_is_raised (cancel)))
        return TRUE;
      propose (search, i);
    }
    advance (search);
    if (decided (search) || search->length == limit
        || tern_llm_state_pos (self->beams[0].state) == tern_llm_state_context (self->beams[0].state))
      return TRUE;
    if (!eval_beams (search, cancel, &failure)) {
      *cancelled = g_error_matches (failure, TERN_ERROR, TERN_ERROR_CANCELLED);
      if (!*cancelled)
        g_propagate_error (error, g_steal_pointer (&failure));
      return *cancelled;
    }
  }
}

/* The best sequence, first token first. */
static void
report (const Search *search, TernTokenFunc func, void *data, TernGeneration *out)
{
  TernBeamNode *nodes = search->self->nodes;
  gint32 node = search->best.node, next = -1;

  while (node >= 0) {           /* turn the chain around: the search is over, nobody else needs it */
    gint32 parent = nodes[node].parent;

    nodes[node].parent = next;
    next = node;
    node = parent;
  }
  for (node = next; node >= 0; node = nodes[node].parent) {
    out->ids[out->n++] = nodes[node].id;
    out->mean_probability += nodes[node].probability;
    if (func)
      func (data, nodes[node].id, nodes[node].probability);
  }
  out->mean_probability = out->n ? out->mean_probability / out->n : -1;
  out->logprob = search->best.logprob;
  out->finish = search->best.ended ? TERN_FINISH_STOP : TERN_FINISH_LENGTH;
}

gboolean
tern_generator_beam (TernGenerator *self, TernLlmState *state, float *logits, const TernSampling *sampling,
    TernTokenFunc func, void *data, TernCancel *cancel, TernGeneration *out, GError **error)
{
  Search search = { .self = self, .sampling = sampling, .width = sampling->beam, .n_beams = 1,
    .prompt = tern_llm_state_pos (state), .policy = tern_llm_state_policy (state), .best.node = -1 };
  gboolean cancelled = FALSE, ok;

  begin (&search, state, logits);
  ok = search_all (&search, MIN (sampling->max_tokens, out->capacity), cancel, &cancelled, error);
  tern_llm_state_set_policy (state, search.policy);
  if (!ok)
    return FALSE;
  for (guint i = 0; i < search.n_beams; i++)
    finish (&search, self->beams[i].node, self->beams[i].score, self->beams[i].logprob, FALSE);
  report (&search, func, data, out);
  if (cancelled)
    out->finish = TERN_FINISH_CANCELLED;
  return TRUE;
}
