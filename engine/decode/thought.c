/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/thought.h"

#include <string.h>

void
tern_thought_init (TernThought *thought, const TernTokenizer *tokenizer)
{
  *thought = (TernThought) { .open = -1, .close = -1 };
  if (!tokenizer)
    return;
  thought->open = tern_tokenizer_find (tokenizer, "<think>");
  thought->close = tern_tokenizer_find (tokenizer, "</think>");
  if (thought->open < 0 || thought->close < 0)
    thought->open = thought->close = -1;
}

void
tern_thought_look (TernThought *thought, const gint32 *ids, guint n)
{
  thought->left_open = FALSE;
  for (guint i = n; thought->open >= 0 && i > 0; i--)
    if (ids[i - 1] == thought->open || ids[i - 1] == thought->close) {
      thought->left_open = ids[i - 1] == thought->open;
      return;
    }
}

static gboolean
is_space (const TernTokenizer *tokenizer, gint32 id)
{
  TernBytes piece = tern_tokenizer_piece (tokenizer, id, FALSE);

  for (gsize i = 0; i < piece.len; i++)
    if (!g_ascii_isspace (piece.data[i]))
      return FALSE;
  return TRUE;
}

void
tern_thought_close (const TernTokenizer *tokenizer, GArray *ids)
{
  static const char empty[] = "\n\n</think>\n\n";       /* as templates write it that have a switch for thoughts */
  const gint32 *all = (const gint32 *) ids->data;
  TernThought thought;
  guint n = ids->len;

  tern_thought_init (&thought, tokenizer);
  tern_thought_look (&thought, all, n);
  if (!thought.left_open)
    return;
  /* Blanks that the prompt has there are tokens with those that follow. */
  while (all[n - 1] != thought.open && all[n - 1] >= 0 && is_space (tokenizer, all[n - 1]))
    n--;
  if (all[n - 1] == thought.open)
    g_array_set_size (ids, n);
  tern_tokenizer_encode (tokenizer, empty, strlen (empty), TRUE, ids);
}

void
tern_thought_begin (TernThought *thought, gboolean form)
{
  thought->n = 0;
  thought->state = form ? TERN_THOUGHT_OVER : thought->left_open ? TERN_THOUGHT_UNDER_WAY : TERN_THOUGHT_NONE;
  thought->left_open = FALSE;
}

void
tern_thought_hear (TernThought *thought, const TernTokenizer *tokenizer, gint32 id, guint n)
{
  if (thought->open < 0)
    return;
  if (thought->state == TERN_THOUGHT_NONE)
    thought->state = n == 1 && id == thought->open ? TERN_THOUGHT_UNDER_WAY : TERN_THOUGHT_OVER;
  if (thought->state == TERN_THOUGHT_UNDER_WAY) {
    thought->n = n;
    if (id == thought->close)
      thought->state = TERN_THOUGHT_OVER;
  } else if (thought->n > 0 && thought->n + 1 == n && is_space (tokenizer, id)) {
    thought->n = n;
  }
}
