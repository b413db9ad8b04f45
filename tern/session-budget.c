/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session asks of the account of its stream, and tells it. Where there is none nothing is measured, and nothing is
 * different. Scheduler's thread. */
#include "tern/session-priv.h"

#include "tern/compress-group.h"

gboolean
tern_session_open_budget (TernSession *self, const TernSessionParams *params, GError **error)
{
  if (!params->budget)
    return TRUE;
  if (params->action) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "budget: expected no action model beside it, found one: a"
        " machine's decisions are not put off");
    return FALSE;
  }
  self->budget = tern_budget_ref (params->budget);
  self->client.metered = TRUE;
  return TRUE;
}

/* ---- What is spent ----------------------------------------------------------------------------------------------- */

void
tern_session_charge_look (TernSession *self, const TernInHand *hand, guint64 cpu, gboolean over)
{
  if (self->budget)
    tern_budget_charge (self->budget, hand == &self->frame ? TERN_COST_FRAME : TERN_COST_OTHER, over, cpu);
}

void
tern_session_charge_pass (TernSession *self)
{
  const TernClient *client = &self->client;
  guint64 rows = client->read_rows - self->charged_rows;

  if (!self->budget)
    return;
  if (rows > 0)
    tern_budget_charge (self->budget, TERN_COST_READ, (guint) rows, client->spent.prompt - self->charged.prompt);
  if (client->spent.decode > self->charged.decode)
    tern_budget_charge (self->budget, TERN_COST_SAY, 0, client->spent.decode - self->charged.decode);
  self->charged = client->spent;
  self->charged_rows = client->read_rows;
}

void
tern_session_count_answer (TernSession *self, const TernInquiry *in)
{
  const TernAsk *lead = &in->asks[in->told.lead];

  if (!self->budget || in->hand.work.kind == TERN_WORK_STILL)
    return;
  tern_budget_charge (self->budget, TERN_COST_SAY, 1, 0);
  if (in == &self->standing)    /* what a stream remembers is read whether it is asked about or not */
    tern_budget_count_answer (self->budget, &in->told.news, TRUE, in->told.must,
        self->stream ? lead->ids->len : lead->prompt_tokens);
}

/* ---- What is new ------------------------------------------------------------------------------------------------- */

void
tern_session_see_tokens (TernSession *self, const TernWork *work)
{
  if (self->budget)
    tern_budget_see (self->budget, TERN_TOLD_BY_TOKENS, work->pts, work->slot->picture > 0 ? work->slot->novelty : 0);
}

/* Of what a group shows, the most; below 0: nobody says. */
static double
group_novelty (const TernFrameGroup *group, guint f)
{
  return group->picture[f] > 0 ? group->novelty[f] : -1;
}

guint64
tern_session_find_news (const TernSession *self, guint64 first, guint64 end, TernWindowNews *news)
{
  gboolean known = TRUE;
  guint64 newest = 0;

  *news = (TernWindowNews) { 0 };
  for (guint g = 0; g < self->store.n; g++) {
    const TernFrameGroup *group = &self->store.groups[g];

    for (guint f = 0; f < group->n_frames; f++) {
      if (group->first + f < first || group->first + f >= end)
        continue;
      known &= group->picture[f] > 0;
      news->novelty = MAX (news->novelty, group_novelty (group, f));
      newest = group->picture[f];
    }
  }
  news->fresh = newest != self->told_picture;
  if (!known)
    news->novelty = -1;
  return newest;
}

/* ---- What is chosen ---------------------------------------------------------------------------------------------- */

gboolean
tern_session_may_answer (TernSession *self, guint64 first, const TernSessionConfig *config)
{
  TernWindowNews news;

  if (!self->budget || !tern_answered_has (&self->answered, config))
    return TRUE;
  tern_session_find_news (self, first, G_MAXUINT64, &news);
  news.end = self->told_end;    /* as if nobody had been silent: that is for its end */
  return tern_budget_wants_answer (self->budget, &news);
}

gboolean
tern_session_puts_off (TernSession *self, TernInquiry *in)
{
  const TernWork *work = &in->hand.work;
  TernWindowNews *news = &in->told.news;
  gboolean before = tern_answered_has (&self->answered, work->config);

  if (!self->budget)
    return FALSE;
  news->end = work->window.end_time;
  in->told.must = !before;
  return before && !tern_budget_wants_answer (self->budget, news);
}

void
tern_session_count_put_off (TernSession *self, const TernInquiry *in)
{
  if (self->budget)
    tern_budget_count_answer (self->budget, &in->told.news, FALSE, FALSE, 0);
}

void
tern_session_limit_group (TernSession *self, const TernFrameGroup *group, TernCompressorParams *params)
{
  double novelty = -1;          /* nobody says */
  guint most, tokens;

  if (!self->budget || group->given || !group->whole || group->n_frames == 0 || group->n_tokens[0] == 0)
    return;
  for (guint f = 0; f < group->n_frames; f++)
    novelty = MAX (novelty, group_novelty (group, f));
  most = (guint) tern_compressor_bound (params, group->n_frames, group->n_tokens[0]);
  tokens = tern_budget_tokens (self->budget, novelty, group->n_frames, most);
  if (tokens < most)
    params->max_tokens = tokens;
}

double
tern_session_prune (TernSession *self, const TernInquiry *in, double prune)
{
  guint keys = 0;

  if (!self->budget || in != &self->standing || self->spans->len == 0)
    return prune;
  for (guint i = 0; i < self->spans->len; i++)
    keys += g_array_index (self->spans, TernSpan, i).n;
  return tern_budget_prune (self->budget, in->told.news.novelty, keys, prune);
}
