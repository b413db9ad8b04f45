/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From tokens to what is told: whole characters, nothing of a stop text, and how likely each token was. */
#include "tern/completion-priv.h"

#include <string.h>

#include "engine/decode/sampler.h"

#define BLANKS " \t\r\n"

void
tern_completion_said_init (TernSaying *said)
{
  *said = (TernSaying) { .text = g_string_new (NULL), .thought = g_string_new (NULL), .blanks = g_string_new (NULL),
    .scores = g_array_new (FALSE, FALSE, sizeof (TernTokenScore)),
    .tops = g_ptr_array_new_with_free_func (g_free) };
}

void
tern_completion_said_clear (TernSaying *said)
{
  GString *parts[] = { said->text, said->thought, said->blanks };

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    if (parts[i])
      g_string_free (parts[i], TRUE);
  g_clear_pointer (&said->scores, g_array_unref);
  g_clear_pointer (&said->tops, g_ptr_array_unref);
}

/* ---- Scores ------------------------------------------------------------------------------------------------------ */

static TernTopScore
score_of (const TernCompletion *self, gint32 id, double logprob)
{
  TernBytes piece = tern_tokenizer_piece (self->text->tokenizer, id, TRUE);

  return (TernTopScore) { .text = piece.data, .len = (guint) piece.len, .logprob = logprob };
}

/* The likeliest tokens, by insertion: they are few. */
static TernTopScore *
top_scores (const TernCompletion *self, const float *logits, guint n_ids, double total)
{
  gint32 best[TERN_TOP_SCORES_MAX];
  guint n = 0, most = MIN (self->top_scores, n_ids);
  TernTopScore *top = g_new (TernTopScore, most);

  for (guint id = 0; id < n_ids && most > 0; id++) {
    guint at = n;

    if (n == most && !(logits[id] > logits[best[n - 1]]))
      continue;
    while (at > 0 && logits[id] > logits[best[at - 1]])
      at--;
    n = MIN (n + 1, most);
    memmove (best + at + 1, best + at, (n - 1 - at) * sizeof *best);
    best[at] = (gint32) id;
  }
  for (guint i = 0; i < n; i++)
    top[i] = score_of (self, best[i], logits[best[i]] - total);
  return top;
}

/* Of the token that was just said, by the logits that it was chosen from. */
static void
add_score (TernCompletion *self, gint32 id, const float *logits)
{
  guint n_ids = MIN (tern_tokenizer_size (self->text->tokenizer), tern_llm_info (self->text->llm)->n_vocab);
  double total = tern_log_sum_exp (logits, n_ids);
  TernTopScore own = score_of (self, id, logits[id] - total);
  TernTokenScore score = { .text = own.text, .len = own.len, .logprob = own.logprob };

  score.n_top = MIN (self->top_scores, n_ids);
  if (score.n_top > 0) {
    TernTopScore *top = top_scores (self, logits, n_ids, total);

    g_ptr_array_add (self->said.tops, top);
    score.top = top;
  }
  g_array_append_val (self->said.scores, score);
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

/* An answer does not begin with blanks: some vocabularies put one before every text. */
static void
drop_blanks (TernCompletion *self)
{
  TernSaying *said = &self->said;
  gsize blanks = strspn (said->text->str, BLANKS);

  if (said->begun || !self->chat)
    return;
  g_string_erase (said->text, 0, (gssize) blanks);
  said->begun = said->text->len > 0;
}

/* Cuts at the first stop text. Only what came last may have completed one. */
static void
find_stop (TernCompletion *self, gsize before)
{
  TernSaying *said = &self->said;
  gsize from = before > self->longest_stop ? before - self->longest_stop : 0;
  const char *first = NULL;

  for (char **stop = self->stop; stop && *stop; stop++) {
    const char *at = strstr (said->text->str + MAX (from, said->told), *stop);

    if (at && (!first || at < first))
      first = at;
  }
  if (!first)
    return;
  g_string_truncate (said->text, (gsize) (first - said->text->str));
  said->stopped = TRUE;
}

/* What is thought goes its own way: without its marks, nor blanks at its ends. */
static void
spell_thought (TernCompletion *self, TernSaid tokens)
{
  TernSaying *said = &self->said;
  const TernTokenizer *tokenizer = self->text->tokenizer;
  gint32 open = tern_tokenizer_find (tokenizer, "<think>"), close = tern_tokenizer_find (tokenizer, "</think>");

  for (; said->thoughts < tokens.thought; said->thoughts++) {
    gint32 id = *(tokens.ids - tokens.thought + said->thoughts);
    g_autoptr (GString) piece = g_string_new (NULL);
    gsize front, end;

    if (id == open || id == close)
      continue;
    tern_text_stream_push (&said->thinking, tokenizer, id, piece);
    front = said->thinks ? 0 : strspn (piece->str, BLANKS);
    g_string_erase (piece, 0, (gssize) front);
    for (end = piece->len; end > 0 && strchr (BLANKS, piece->str[end - 1]); end--)
      ;
    if (end > 0) {
      g_string_append_printf (said->thought, "%s%.*s", said->blanks->str, (int) end, piece->str);
      g_string_truncate (said->blanks, 0);
      said->thinks = TRUE;
    }
    g_string_append (said->blanks, piece->str + end);
  }
}

gboolean
tern_completion_spell (TernCompletion *self, const float *logits)
{
  TernSaying *said = &self->said;
  TernSaid tokens = tern_generator_said (self->generator);

  if (self->sampling.beam > 1 && !tern_generator_is_finished (self->generator))
    return FALSE;
  if (self->chat) {
    spell_thought (self, tokens);
  } else {                      /* a text that is gone on with has no thoughts of its own */
    tokens.ids -= tokens.thought;
    tokens.n += tokens.thought;
  }
  /* A pass may have said several; what was guessed behind a stop text was never said. */
  while (said->spelled < tokens.n && !said->stopped) {
    gint32 id = tokens.ids[said->spelled++];
    gsize before = said->text->len;

    tern_text_stream_push (&said->stream, self->text->tokenizer, id, said->text);
    if (self->scores && logits)
      add_score (self, id, logits);
    drop_blanks (self);
    find_stop (self, MIN (before, said->text->len));
  }
  return said->stopped;
}

/* Bytes at the end that may be the beginning of a stop text. */
static gsize
held_back (const TernCompletion *self)
{
  const GString *text = self->said.text;
  gsize most = 0;

  for (char **stop = self->stop; stop && *stop; stop++)
    for (gsize n = MIN (strlen (*stop) - 1, text->len - self->said.told); n > most; n--)
      if (memcmp (text->str + text->len - n, *stop, n) == 0)
        most = n;
  return most;
}

static double
ms (gint64 us)
{
  return (double) us / 1000;
}

/* Those that were told go. */
static void
forget_scores (TernSaying *said)
{
  g_array_set_size (said->scores, 0);
  g_ptr_array_set_size (said->tops, 0);
}

void
tern_completion_tell (TernCompletion *self, const char *finish_reason)
{
  TernSaying *said = &self->said;
  gboolean last = finish_reason != NULL;
  g_autofree char *text = NULL, *thought = NULL;
  gsize end;
  TernCompletionEvent event;
  guint64 guesses, right;

  if (last && !said->stopped)
    tern_text_stream_end (&said->stream, said->text);
  end = said->text->len - (last || said->stopped ? 0 : held_back (self));
  if (!last && end == said->told && said->scores->len == 0 && said->thought->len == 0)
    return;
  text = g_strndup (said->text->str + said->told, end - said->told);
  said->told = end;
  event = (TernCompletionEvent) { .text = text, .scores = (const TernTokenScore *) said->scores->data,
    .n_scores = said->scores->len, .last = last, .finish_reason = finish_reason, .failure = self->error,
    .prompt_tokens = self->prompt_tokens, .visual_tokens = self->visual_tokens, .generated_tokens = said->spelled + said->thoughts,
    .encode_ms = ms (self->encode), .prompt_ms = self->first ? ms (self->first - self->read) : 0,
    .decode_ms = self->first ? ms (self->end - self->first) : 0 };
  tern_generator_guesses (self->generator, &guesses, &right);
  event.guesses = (guint) guesses;
  event.guesses_right = (guint) right;
  thought = g_strdup (said->thought->str);
  event.thought = *thought ? thought : NULL;
  g_string_truncate (said->thought, 0);
  self->func (self->func_data, self, &event);
  forget_scores (said);
}
