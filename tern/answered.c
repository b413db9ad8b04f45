/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/answered.h"

#include <string.h>

#include "tern/placeholders.h"
#include "tern/result-priv.h"

static void
unref_result (void *result)
{
  tern_result_unref (result);
}

void
tern_answered_init (TernAnswered *answered)
{
  *answered = (TernAnswered) { .results = g_ptr_array_new_with_free_func (unref_result) };
}

void
tern_answered_forget (TernAnswered *answered)
{
  answered->picture = 0;
  g_clear_pointer (&answered->config, tern_session_config_unref);
  g_ptr_array_set_size (answered->results, 0);
}

void
tern_answered_clear (TernAnswered *answered)
{
  if (!answered->results)
    return;
  tern_answered_forget (answered);
  g_clear_pointer (&answered->results, g_ptr_array_unref);
}

/* Whether the answer to all of @config's questions is about the pictures alone. */
static gboolean
is_timeless (const TernSessionConfig *config)
{
  for (guint q = 0; q < config->n_questions; q++)
    if (config->questions[q].action || tern_placeholders_any (config->questions[q].prompt))
      return FALSE;
  return TRUE;
}

void
tern_answered_begin (TernAnswered *answered, guint64 picture, TernSessionConfig *config)
{
  tern_answered_forget (answered);
  if (!is_timeless (config))
    return;
  answered->picture = picture;
  answered->config = tern_session_config_ref (config);
}

void
tern_answered_add (TernAnswered *answered, TernResult *result)
{
  if (!answered->config)
    return;
  if (strcmp (result->finish_reason, "stop") != 0 && strcmp (result->finish_reason, "length") != 0)
    tern_answered_forget (answered);
  else
    g_ptr_array_add (answered->results, tern_result_ref (result));
}

gboolean
tern_answered_has (const TernAnswered *answered, const TernSessionConfig *config)
{
  return answered->config == config && answered->results->len == config->n_questions;
}

gboolean
tern_answered_is (const TernAnswered *answered, guint64 picture, const TernSessionConfig *config)
{
  return picture != 0 && answered->picture == picture && tern_answered_has (answered, config);
}

TernResult *
tern_answered_repeat (const TernAnswered *answered, guint q, const TernResult *values, const char *reason)
{
  const TernResult *before = g_ptr_array_index (answered->results, q);
  TernResult result = *values;

  result.kind = before->kind;
  result.result = before->result;
  result.finish_reason = reason;
  result.confidence = before->confidence;
  result.labels = before->labels;
  result.scores = before->scores;
  result.n_labels = before->n_labels;
  result.abstained = before->abstained;
  result.prompt_tokens = result.generated_tokens = 0;
  return tern_result_new (&result);
}
