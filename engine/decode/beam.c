/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Beam search: at every step the best continuations of all beams live on. Sequences rank by the sum of log p divided by
 * length^length_penalty (arXiv:1609.08144 eq. 14 without its constant), the end token counted in.
 *
 * All live beams are equally long, and read their newest tokens in one pass. The first child of a beam goes on in its
 * timeline; further ones take a timeline that nobody continues and make it a fork. */
#include <math.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/decode/generator-priv.h"
#include "engine/decode/mask.h"

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

gboolean
tern_search_init (TernGenerator *self, GError **error)
{
  TernSearch *search = &self->search;
  guint most = self->limits.max_beam, n_layers = tern_llm_info (self->llm)->n_layers;

  search->beams = g_new0 (TernBeam, most);
  search->next = g_new0 (TernBeam, most);
  search->steps = g_new0 (TernBeamStep, 2 * most);
  search->n_keys = g_new0 (gint, n_layers);
  return (search->nodes = tern_mem_alloc ((gsize) most * self->limits.max_tokens * sizeof (TernBeamNode),
          "tokens of the beams", error))
      && (search->keys = tern_mem_alloc ((gsize) n_layers * self->context * sizeof (gint32), "keys of the beams", error));
}

void
tern_search_clear (TernGenerator *self)
{
  TernSearch *search = &self->search;

  g_free (search->beams);
  g_free (search->next);
  g_free (search->steps);
  g_free (search->n_keys);
  tern_mem_free (search->nodes);
  tern_mem_free (search->keys);
}

/* ---- Key policy: asked for the best beam, answered to all --------------------------------------------------------- */

static const gint32 *
record_keys (void *data, guint layer, guint n_keys, guint *n_out)
{
  TernGenerator *self = data;
  TernSearch *search = &self->search;
  const gint32 *keys = self->policy->keys (self->policy->self, layer, n_keys, n_out);

  search->n_keys[layer] = keys ? (gint) *n_out : -1;
  if (keys)
    memcpy (search->keys + (gsize) layer * self->context, keys, *n_out * sizeof (gint32));
  return keys;
}

static void
record_scores (void *data, const TernKeyView *view)
{
  TernGenerator *self = data;

  self->policy->observe (self->policy->self, view);
}

static const gint32 *
replay_keys (void *data, guint layer, guint n_keys, guint *n_out)
{
  TernGenerator *self = data;

  if (self->search.n_keys[layer] < 0)
    return NULL;
  *n_out = self->search.n_keys[layer];
  return self->search.keys + (gsize) layer * self->context;
}

/* The newest token of every beam, the best one's first: its policy is asked before the others repeat the answers. */
static void
want_beams (TernGenerator *self)
{
  TernSearch *search = &self->search;
  const TernKeyPolicy *policy = self->policy;

  search->record = search->replay = (TernKeyPolicy) { .score_layer = -1, .self = self };
  if (policy) {
    search->record.score_layer = policy->score_layer;
    search->record.keys = policy->keys ? record_keys : NULL;
    search->record.observe = policy->observe ? record_scores : NULL;
    search->replay.keys = policy->keys ? replay_keys : NULL;
    memset (search->n_keys, 0xff, tern_llm_info (self->llm)->n_layers * sizeof (gint));
  }
  for (guint i = 0; i < search->n_beams; i++) {
    TernBeam *beam = &search->beams[i];

    tern_timeline_set_policy (beam->timeline, !policy ? NULL : i ? &search->replay : &search->record);
    self->wants[i] = (TernWanted) { beam->timeline, search->nodes[beam->node].id };
  }
  self->n_wants = search->n_beams;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

/* Keeps the 2 x width best steps, sorted; equal scores stay in the order in which they came (beam, id). */
static void
offer (TernSearch *search, guint beam, gint32 id, double score)
{
  TernBeamStep *steps = search->steps;
  guint room = 2 * search->width, i;

  if (search->n_steps == room && !(score > steps[room - 1].score))
    return;
  if (search->n_steps < room)
    search->n_steps++;
  for (i = search->n_steps - 1; i && score > steps[i - 1].score; i--)
    steps[i] = steps[i - 1];
  steps[i] = (TernBeamStep) { beam, id, score };
}

/* The same of those that the constraint allows. Where none of them has a number for a logit the first one goes on, behind
 * all that have. */
#define NO_NUMBER -1e6
static void
propose_allowed (TernGenerator *self, guint b, const float *logits, double total)
{
  TernSearch *search = &self->search;
  TernBeam *beam = &search->beams[b];
  const guint32 *mask = tern_matcher_mask (beam->matcher, self->room - search->length);
  gint32 first = tern_mask_first (mask, self->n_ids);
  gboolean any = FALSE;

  if (tern_matcher_failed (beam->matcher) || first < 0)
    return;
  for (guint id = (guint) first; id < self->n_ids; id++) {
    if (id % 32 == 0 && mask[id / 32] == 0) {
      id += 31;
      continue;
    }
    if (tern_mask_has (mask, (gint32) id) && isfinite (logits[id] - total)) {
      offer (search, b, (gint32) id, beam->score + (logits[id] - total));
      any = TRUE;
    }
  }
  if (!any)
    offer (search, b, first, beam->score + NO_NUMBER);
}

/* log p of all continuations, penalties in. FALSE: the logits are no numbers. */
static gboolean
propose (TernGenerator *self, guint b, float *row)
{
  TernSearch *search = &self->search;
  TernBeam *beam = &search->beams[b];
  float penalty = self->sampling.repetition_penalty;
  const float *logits = beam->logits;
  double total = beam->total = tern_log_sum_exp (logits, self->n_ids);

  if (!isfinite (total))
    return FALSE;
  if (penalty != 1) {
    memcpy (row, logits, self->n_ids * sizeof (float));
    for (gint32 i = beam->node; i >= 0; i = search->nodes[i].parent)
      row[search->nodes[i].id] = tern_penalise (logits[search->nodes[i].id], penalty);
    logits = row;
    total = tern_log_sum_exp (logits, self->n_ids);
  }
  if (beam->matcher) {
    propose_allowed (self, b, logits, total);
    return TRUE;
  }
  for (guint id = 0; id < self->n_ids; id++)
    if (isfinite (logits[id] - total))
      offer (search, b, id, beam->score + (logits[id] - total));
  return TRUE;
}

static double
rank (const TernGenerator *self, double score)
{
  return score / pow (self->search.length, self->sampling.length_penalty);
}

static void
end_at (TernGenerator *self, gint32 node, double score, double logprob, gboolean ended)
{
  TernSearch *search = &self->search;
  TernBeamEnd end = { node, rank (self, score), logprob, ended };

  if (!search->n_ends++ || end.rank > search->best.rank)
    search->best = end;
}

/* Gives every next beam a timeline and a matcher: its parent's when it is the first child, else one that no beam continues. All
 * timelines are somewhere in beams [0, width), before and after. */
static void
settle (TernSearch *search, const guint *parents, guint n_next)
{
  guint64 taken = 0;
  guint spare = 0;

  for (guint i = 0; i < n_next; i++) {
    search->next[i].timeline = NULL;
    if (taken & G_GUINT64_CONSTANT (1) << parents[i])
      continue;
    taken |= G_GUINT64_CONSTANT (1) << parents[i];
    search->next[i].timeline = search->beams[parents[i]].timeline;
    search->next[i].matcher = search->beams[parents[i]].matcher;
  }
  for (guint i = 0; i < search->width; i++) {
    if (i < n_next && search->next[i].timeline)
      continue;
    while (taken & G_GUINT64_CONSTANT (1) << spare)
      spare++;
    taken |= G_GUINT64_CONSTANT (1) << spare;
    search->next[i].timeline = search->beams[spare].timeline;
    search->next[i].matcher = search->beams[spare].matcher;
    if (i < n_next && search->next[i].matcher)
      tern_matcher_copy (search->next[i].matcher, search->beams[parents[i]].matcher);
    /* What nobody continues holds no pages. */
    if (i < n_next)
      tern_timeline_fork (search->next[i].timeline, search->beams[parents[i]].timeline);
    else
      tern_timeline_reset (search->next[i].timeline);
  }
}

/* Matchers follow their beams; those whose sentence is complete and cannot go on are put aside. How many are left. */
static guint
follow (TernGenerator *self, guint n_next)
{
  TernSearch *search = &self->search;
  guint n = 0;

  for (guint i = 0; i < n_next; i++) {
    TernBeam beam = search->next[i];

    tern_matcher_accept (beam.matcher, search->nodes[beam.node].id);
    if (!tern_matcher_failed (beam.matcher) && !tern_matcher_must_end (beam.matcher)) {
      search->next[i] = search->next[n];        /* keeps its timeline and matcher among all */
      search->next[n++] = beam;
      continue;
    }
    if (!tern_matcher_failed (beam.matcher))
      end_at (self, beam.node, beam.score, beam.logprob, TRUE);
    tern_timeline_reset (beam.timeline);
  }
  return n;
}

/* The steps become the next beams; those that end are put aside. */
static void
advance (TernGenerator *self)
{
  TernSearch *search = &self->search;
  guint parents[TERN_BEAM_MAX], n_next = 0;
  TernBeam *swap = search->beams;

  search->length++;
  for (guint i = 0; i < search->n_steps && n_next < search->width; i++) {
    const TernBeamStep *step = &search->steps[i];
    const TernBeam *parent = &search->beams[step->beam];
    double logprob = parent->logits[step->id] - parent->total;

    if (tern_generator_heeds_end (self) && tern_generator_is_end (self, step->id)) {
      if (i < search->width)    /* an end that would not have lived as a beam is no find */
        end_at (self, parent->node, step->score, parent->logprob + logprob, TRUE);
      continue;
    }
    search->nodes[search->n_nodes] = (TernBeamNode) { step->id, parent->node, (float) exp (logprob) };
    search->next[n_next] = (TernBeam) { .node = search->n_nodes++, .score = step->score,
      .logprob = parent->logprob + logprob };
    parents[n_next++] = step->beam;
  }
  settle (search, parents, n_next);
  search->n_beams = self->constraint ? follow (self, n_next) : n_next;
  search->beams = search->next;
  search->next = swap;
}

/* Enough sequences ended, and the best live one is no better as it stands. */
static gboolean
decided (const TernGenerator *self)
{
  const TernSearch *search = &self->search;

  return !search->n_beams
      || (search->n_ends >= search->width && search->best.rank >= rank (self, search->beams[0].score));
}

/* The best sequence, first token first. */
static void
report (TernGenerator *self)
{
  TernBeamNode *nodes = self->search.nodes;
  gint32 node = self->search.best.node, next = -1;

  while (node >= 0) {           /* turn the chain around: the search is over, nobody else needs it */
    gint32 parent = nodes[node].parent;

    nodes[node].parent = next;
    next = node;
    node = parent;
  }
  for (node = next; node >= 0; node = nodes[node].parent) {
    self->probability += nodes[node].probability;
    tern_generator_say (self, nodes[node].id, nodes[node].probability);
  }
  self->said.logprob = self->search.best.logprob;
}

/* The live beams are sequences too: with a constraint those alone that are sentences, but for @partial. */
static void
end_all (TernGenerator *self, gboolean partial)
{
  TernSearch *search = &self->search;

  for (guint i = 0; i < search->n_beams && search->length > 0; i++) {
    const TernBeam *beam = &search->beams[i];

    if (!beam->matcher || tern_matcher_may_end (beam->matcher) || (partial && search->n_ends == 0))
      end_at (self, beam->node, beam->score, beam->logprob, FALSE);
  }
  report (self);
  for (guint i = 0; i < search->width; i++) {
    tern_timeline_set_policy (search->beams[i].timeline, NULL);
    if (search->beams[i].timeline != self->timeline)
      tern_timeline_reset (search->beams[i].timeline);
  }
}

static void
beam_begin (TernGenerator *self)
{
  TernSearch *search = &self->search;

  search->width = self->sampling.beam;
  search->n_beams = 1;
  search->n_nodes = search->length = search->n_ends = 0;
  search->best = (TernBeamEnd) { .node = -1 };
  for (guint i = 0; i < search->width; i++)
    search->beams[i] = (TernBeam) { .timeline = i ? self->timelines[i - 1] : self->timeline, .node = -1,
      .matcher = self->constraint ? self->matchers[i] : NULL };
}

static TernFinish
finish_of (const TernGenerator *self)
{
  if (self->constraint)
    return self->search.n_ends > 0 ? TERN_FINISH_STOP : TERN_FINISH_FAILED;
  return self->search.best.ended ? TERN_FINISH_STOP : TERN_FINISH_LENGTH;
}

static void
beam_take (TernGenerator *self, const float *logits, TernPicking *picking)
{
  TernSearch *search = &self->search;
  gboolean numbers = TRUE;

  search->n_steps = 0;
  for (guint i = 0; i < search->n_beams; i++) {
    search->beams[i].logits = logits + i * self->n_vocab;
    numbers &= propose (self, i, picking->row);
  }
  if (!numbers) {
    end_all (self, TRUE);
    tern_generator_finish (self, TERN_FINISH_NO_NUMBERS);
    return;
  }
  advance (self);
  if (!decided (self) && search->length < self->room) {
    want_beams (self);
    return;
  }
  end_all (self, FALSE);
  tern_generator_finish (self, finish_of (self));
}

static void
beam_cancel (TernGenerator *self)
{
  end_all (self, TRUE);
}

const TernStrategy tern_strategy_beam = { beam_begin, beam_take, beam_cancel };
