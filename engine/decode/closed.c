/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How likely labels are. The logits of the prompt are those of their first tokens; the inner nodes of their trie are read
 * on forks of the prompt, all of a level in one pass. Where there are more of them than forks, the trie is walked in rounds
 * of as many tips as there are forks: no level of such a part is wider, and what its paths share with another round's is
 * read again. */
#include <math.h>

#include "engine/decode/generator-priv.h"
#include "engine/decode/labels-priv.h"

#define PROMPT (-1)             /* the parent of the first level */

static gboolean
is_inner (const TernLabelNode *node)
{
  return node->child >= 0;
}

/* ---- Forks ------------------------------------------------------------------------------------------------------- */

/* Gives every next fork a timeline with what its parent has read: its parent's when it is the first child, else one that no
 * fork goes on in. */
static void
settle (TernGenerator *self)
{
  TernClosed *closed = &self->closed;
  guint64 taken = 0;
  guint spare = 0;

  for (guint i = 0; i < closed->n_next; i++) {
    TernLabelFork *fork = &closed->next[i];

    fork->place = G_MAXUINT;
    if (fork->parent == PROMPT || taken & G_GUINT64_CONSTANT (1) << closed->forks[fork->parent].place)
      continue;
    fork->place = closed->forks[fork->parent].place;
    taken |= G_GUINT64_CONSTANT (1) << fork->place;
  }
  for (guint i = 0; i < closed->n_next; i++) {
    TernLabelFork *fork = &closed->next[i];

    if (fork->place != G_MAXUINT)
      continue;
    while (taken & G_GUINT64_CONSTANT (1) << spare)
      spare++;
    taken |= G_GUINT64_CONSTANT (1) << spare;
    fork->place = spare;
    tern_timeline_fork (self->timelines[spare],
        fork->parent == PROMPT ? self->timeline : self->timelines[closed->forks[fork->parent].place]);
  }
}

/* The next forks are what is read now. */
static void
want_forks (TernGenerator *self)
{
  TernClosed *closed = &self->closed;
  TernLabelFork *swap = closed->forks;

  settle (self);
  for (guint i = 0; i < closed->n_next; i++) {
    TernTimeline *timeline = self->timelines[closed->next[i].place];

    tern_timeline_set_policy (timeline, NULL);
    self->wants[i] = (TernWanted) { timeline, self->labels->nodes[closed->next[i].node].id };
  }
  closed->forks = closed->next;
  closed->next = swap;
  self->n_wants = closed->n_forks = closed->n_next;
  closed->n_next = 0;
}

/* @node is to be read, if it is one of this round's. */
static void
add_fork (TernClosed *closed, const TernLabels *labels, gint32 node, gint32 parent, double logprob)
{
  if (labels->nodes[node].first_tip < closed->end_tip && labels->nodes[node].end_tip > closed->first_tip)
    closed->next[closed->n_next++] = (TernLabelFork) { .node = node, .parent = parent, .logprob = logprob };
}

/* ---- Rounds ------------------------------------------------------------------------------------------------------ */

/* The part of the trie that comes next. */
static void
begin_round (TernGenerator *self)
{
  TernClosed *closed = &self->closed;
  const TernLabels *labels = self->labels;
  guint child = 0;

  closed->first_tip = closed->end_tip;
  closed->end_tip = labels->width <= self->limits.max_forks ? labels->n_tips
      : MIN (closed->first_tip + self->limits.max_forks, labels->n_tips);
  for (gint32 c = labels->nodes[0].child; c >= 0; c = labels->nodes[c].next, child++)
    if (is_inner (&labels->nodes[c]))
      add_fork (closed, labels, c, PROMPT, closed->firsts[child]);
}

static void
let_go (TernGenerator *self)
{
  for (guint i = 0; i < self->limits.max_forks; i++)
    tern_timeline_reset (self->timelines[i]);
  self->closed.n_forks = self->closed.n_next = 0;
}

static double
log_end (const TernGenerator *self, const float *logits, double total)
{
  double sum = 0;

  for (guint i = 0; i < self->labels->n_ends; i++)
    if ((guint) self->labels->ends[i] < self->n_ids)
      sum += exp (logits[self->labels->ends[i]] - total);
  return log (sum);
}

/* @logits follow @node, whose log p with all before it is @logprob. */
static void
take_node (TernGenerator *self, gint32 node, gint32 parent, double logprob, const float *logits)
{
  TernClosed *closed = &self->closed;
  const TernLabels *labels = self->labels;
  double total = tern_log_sum_exp (logits, self->n_ids);
  guint child = 0;

  if (labels->nodes[node].label >= 0)
    closed->logprobs[labels->nodes[node].label] = logprob + log_end (self, logits, total);
  for (gint32 c = labels->nodes[node].child; c >= 0; c = labels->nodes[c].next, child++) {
    double next = logprob + (logits[labels->nodes[c].id] - total);

    if (!is_inner (&labels->nodes[c]))
      closed->logprobs[labels->nodes[c].label] = next;
    else if (node == 0)
      closed->firsts[child] = next;
    else
      add_fork (closed, labels, c, parent, next);
  }
}

static void
closed_begin (TernGenerator *self)
{
  TernClosed *closed = &self->closed;

  closed->n_forks = closed->n_next = 0;
  closed->first_tip = closed->end_tip = 0;
}

static void
closed_take (TernGenerator *self, const float *logits, TernPicking *picking)
{
  TernClosed *closed = &self->closed;

  if (closed->n_forks == 0)
    take_node (self, 0, PROMPT, 0, logits);
  for (guint i = 0; i < closed->n_forks; i++) {
    const TernLabelFork *fork = &closed->forks[i];

    take_node (self, fork->node, (gint32) i, fork->logprob, logits + i * self->n_vocab);
  }
  if (closed->n_next == 0) {
    let_go (self);
    if (closed->end_tip < self->labels->n_tips)
      begin_round (self);
  }
  if (closed->n_next > 0)
    want_forks (self);
  else
    tern_generator_finish (self, TERN_FINISH_STOP);
}

const TernStrategy tern_strategy_closed = { closed_begin, closed_take, let_go };
