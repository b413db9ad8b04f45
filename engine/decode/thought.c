/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/thought.h"

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

void
tern_thought_begin (TernThought *thought, gboolean form)
{
  thought->n = 0;
  thought->state = form ? TERN_THOUGHT_OVER : thought->left_open ? TERN_THOUGHT_UNDER_WAY : TERN_THOUGHT_NONE;
  thought->left_open = FALSE;
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
