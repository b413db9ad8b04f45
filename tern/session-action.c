/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions that an action model answers: the prompt is read as any other, what the language model makes of its last
 * row goes through the head, and nothing is said; or the numbers are said as tokens. */
#include "tern/session-priv.h"

#include <string.h>

#include "tern/action-priv.h"

/* ---- Life ---- */

/* Whether @head was made for what the session has. */
static gboolean
suits (const TernSession *self, const TernActionHead *head, GError **error)
{
  const TernActionInfo *info = tern_action_head_info (head);
  const char *encoder = tern_model_encoder_id (self->model), *path = tern_action_head_path (head);
  guint width = tern_llm_info (self->text->llm)->width;

  if (info->width != width)
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH,
        "%s: expected a language model %u wide, found %s, %u wide", path,
        info->width, self->text->name, width);
  else if (info->vocabulary > tern_llm_info (self->text->llm)->n_vocab)
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH,
        "%s: expected a language model of %u tokens or more, found %s, which "
        "has %u", path, info->vocabulary, self->text->name, tern_llm_info (self->text->llm)->n_vocab);
  else if (info->language_model && strcmp (info->language_model, self->text->name) != 0)
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: expected the language model \"%s\", found \"%s\"", path,
        info->language_model, self->text->name);
  else if (info->encoder_id && g_strcmp0 (info->encoder_id, encoder) != 0)
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: expected the vision encoder %s, found %s", path,
        info->encoder_id, encoder ? encoder : "none");
  else
    return TRUE;
  return FALSE;
}

gboolean
tern_session_open_action (TernSession *self, GError **error)
{
  TernActionHead *head;

  if (!self->action)
    return TRUE;
  head = tern_action_model_head (self->action);
  return suits (self, head, error)
      && tern_state_history_init (&self->states, tern_action_head_info (head)->state_dims, error)
      && (tern_action_model_tokens (self->action) > 0 || (self->decider = tern_action_run_new (head, error)) != NULL);
}

void
tern_session_close_action (TernSession *self)
{
  g_clear_pointer (&self->decider, tern_action_run_free);
}

void
tern_session_forget_action (TernSession *self)
{
  if (self->decider)
    tern_action_run_reset (self->decider);
}

/* ---- Decisions ---- */

void
tern_session_expect_action (TernSession *self, const TernInquiry *in, TernAsk *ask)
{
  const TernActionInfo *info = tern_action_head_info (tern_action_model_head (self->action));

  ask->speaks = info->kind == TERN_ACTION_TOKENS;
  ask->n_words = 0;
  ask->time = tern_session_newest_pts (self, &in->hand.work.window);
  if (!ask->hidden)
    ask->hidden = g_new (float, info->width + tern_action_info_states (info));
  if (!ask->words)
    ask->words = g_new (gint32, info->steps * info->dims);
  if (!ask->actions)
    ask->actions = g_new (double, info->steps * info->dims);
}

/* The robot's state at @time, and whether a stretch began since the last decision. */
static gboolean
find_state (TernSession *self, const TernInquiry *in, guint64 time, float *state, GError **error)
{
  const TernActionInfo *info = tern_action_head_info (tern_action_model_head (self->action));
  const TernWindow *window = &in->hand.work.window;
  gboolean ok, anew;

  g_mutex_lock (&self->lock);
  ok = tern_state_history_find (&self->states, time, in->hand.work.config->params.state_max_age, info->lags, info->n_lags,
      state, error);
  anew = self->stretch_first >= self->decided_to && self->stretch_first < window->end;
  g_mutex_unlock (&self->lock);
  if (anew)
    tern_action_run_reset (self->decider);
  self->decided_to = window->end;
  return ok;
}

void
tern_session_decide (TernSession *self, TernInquiry *in, TernAsk *ask)
{
  const TernActionInfo *info = tern_action_head_info (tern_action_model_head (self->action));
  float *state = ask->hidden + info->width;
  GError *error = NULL;

  ask->decode = g_get_monotonic_time ();
  if (find_state (self, in, ask->time, state, &error))
    tern_action_run_decide (self->decider, ask->hidden, state, ask->time, ask->actions, &error);
  tern_session_end_ask (ask, error);
}

void
tern_session_speak (TernSession *self, TernAsk *ask)
{
  const TernActionHead *head = tern_action_model_head (self->action);
  guint n = tern_action_model_tokens (self->action);
  GError *error = NULL;

  if (ask->n_words == 0)
    ask->decode = g_get_monotonic_time ();
  ask->state = TERN_ASK_SAYS;
  ask->words[ask->n_words] = tern_action_head_choose (head, ask->n_words, ask->logits, &error);
  if (!ask->first_token)
    ask->first_token = g_get_monotonic_time ();
  if (!error && ++ask->n_words < n)
    return;
  if (!error)
    tern_action_head_spell (head, ask->words, ask->actions);
  tern_session_end_ask (ask, error);
}

void
tern_session_conclude_action (const TernSession *self, const TernInquiry *in, const TernAsk *ask, TernResult *values)
{
  const TernActionSpace *space = tern_action_model_space (self->action);
  TernMetrics *metrics = &values->metrics;

  values->kind = "action";
  values->result = "";
  values->finish_reason = "stop";
  values->timestamp = ask->time;
  values->duration = in->hand.work.window.end_time - MIN (values->timestamp, in->hand.work.window.end_time);
  values->timestamp_seconds = (double) values->timestamp / TERN_SECOND;
  values->generated_tokens = ask->n_words;
  values->actions = ask->actions;
  values->n_actions = space->steps * space->dims;
  values->action_steps = space->steps;
  values->action_rate = (double) space->rate_n / space->rate_d;
  values->action_space = space->name;
  values->action_names = space->names;
  metrics->prefill_ms = (double) (ask->decode - in->told.begin) / 1000;
  metrics->decode_ms = (double) (ask->end - ask->decode) / 1000;
  metrics->prefill_tokens_per_second = metrics->prefill_ms > 0 ? values->prompt_tokens / metrics->prefill_ms * 1000 : 0;
}
