/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/session-memory-words.h"

#include <string.h>

void
tern_stream_words_init (TernStreamWords *words)
{
  words->first = g_array_new (FALSE, FALSE, sizeof (gint32));
  words->between = g_array_new (FALSE, FALSE, sizeof (gint32));
}

void
tern_stream_words_clear (TernStreamWords *words)
{
  g_array_unref (words->first);
  g_array_unref (words->between);
}

static guint
count_runs (const GArray *ids)
{
  guint n = 0;

  for (guint i = 0; i < ids->len; i++)
    n += g_array_index (ids, gint32, i) == TERN_PROMPT_RUN;
  return n;
}

/* As many runs as a window has frames, which some families say in words; @n at least, and two. */
static gboolean
compile_video (const TernSession *self, const TernSessionConfig *config, guint question, const guint64 *times, guint n,
    const TernPromptVisual *when, GArray *ids, char **filled, GError **error)
{
  g_autoptr (GArray) runs = g_array_new (FALSE, TRUE, sizeof (TernPromptRun));
  TernPromptVisual visual = { .video = TRUE, .duration = self->windower.window };

  g_array_set_size (runs, MAX (MAX (self->max_frames, n), 2));
  for (guint i = 0; i < n; i++)
    g_array_index (runs, TernPromptRun, i).time = times[i];
  visual.runs = (const TernPromptRun *) runs->data;
  visual.n = runs->len;
  if (when) {
    visual.start = when->start;
    visual.duration = when->duration;
  }
  return tern_session_compile (self, config, question, &visual, ids, filled, error);
}

/* Splits @ids of a prompt. FALSE: pictures do not come before the question, or nothing comes behind them. */
static gboolean
split (const GArray *ids, GArray *first, GArray *between, GArray *tail)
{
  guint one = tern_prompt_end_of_run (ids, 1), two = tern_prompt_end_of_run (ids, 2);
  guint last = tern_prompt_end_of_run (ids, count_runs (ids));

  if (two == 0 || last >= ids->len)
    return FALSE;
  g_array_set_size (first, 0);
  g_array_set_size (between, 0);
  g_array_set_size (tail, 0);
  g_array_append_vals (first, ids->data, one);
  g_array_append_vals (between, &g_array_index (ids, gint32, one), two - one);
  g_array_append_vals (tail, &g_array_index (ids, gint32, last), ids->len - last);
  return TRUE;
}

static gboolean
is_same (const GArray *a, const GArray *b)
{
  return a->len == b->len && memcmp (a->data, b->data, a->len * sizeof (gint32)) == 0;
}

gboolean
tern_stream_words_tail (const TernStreamWords *words, const TernSession *self, const TernSessionConfig *config, guint q,
    const TernPromptVisual *when, GArray *tail, char **filled, GError **error)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GArray) first = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GArray) between = g_array_new (FALSE, FALSE, sizeof (gint32));

  if (!compile_video (self, config, q, NULL, 0, when, ids, filled, error))
    return FALSE;
  if (split (ids, first, between, tail) && is_same (first, words->first))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "memory of a stream: expected a prompt that begins as the first one did "
      "and asks behind the pictures, found another system prompt, times before the pictures or a chat template that puts the "
      "question first");
  return FALSE;
}

gboolean
tern_stream_words_plan (TernStreamWords *words, const TernSession *self, GError **error)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GArray) tail = g_array_new (FALSE, FALSE, sizeof (gint32));
  guint same = 0;

  if (!compile_video (self, self->config, 0, NULL, 0, NULL, ids, NULL, error))
    return FALSE;
  if (!split (ids, words->first, words->between, tail)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a chat template that puts pictures before the "
        "question, for a memory of the stream", self->text->name);
    return FALSE;
  }
  /* What stands before every picture: the longest end that both have, the run apart. */
  while (same + 1 < MIN (words->first->len, words->between->len)
      && g_array_index (words->first, gint32, words->first->len - 2 - same)
      == g_array_index (words->between, gint32, words->between->len - 2 - same))
    same++;
  words->head = words->first->len - 1 - same;
  words->close = words->between->len - 1 - same;
  return TRUE;
}

gboolean
tern_stream_words_longest (const TernStreamWords *words, const TernSession *self, const TernSessionConfig *config,
    guint *longest, GError **error)
{
  g_autoptr (GArray) tail = g_array_new (FALSE, FALSE, sizeof (gint32));
  const TernPromptVisual when = { .start = TERN_SESSION_PLANNED_START, .duration = self->windower.window };

  *longest = 0;
  for (guint q = 0; q < config->n_questions; q++) {
    if (!tern_stream_words_tail (words, self, config, q, &when, tail, NULL, error))
      return FALSE;
    *longest = MAX (*longest, tail->len);
  }
  *longest += config->max_tokens;
  return TRUE;
}

gboolean
tern_stream_words_timed (TernSession *self, const guint64 *times, guint n, gboolean first, GArray *ids)
{
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (gint32));
  TernSessionConfig *config;
  guint from, to;
  gboolean ok;

  g_mutex_lock (&self->lock);
  config = tern_session_config_ref (self->config);
  g_mutex_unlock (&self->lock);
  ok = compile_video (self, config, 0, times + first, n + !first, NULL, all, NULL, NULL);
  tern_session_config_unref (config);
  if (!ok)
    return FALSE;
  from = first ? 0 : tern_prompt_end_of_run (all, 1);
  to = tern_prompt_end_of_run (all, n + !first);
  g_array_append_vals (ids, &g_array_index (all, gint32, from), to - from);
  return TRUE;
}
