/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/pretokenizer.h"

#include <string.h>

#include "engine/llm/unicode.h"

static const TernPretokenizer rules_llama = { .words = TRUE, .digits = 3, .ignore_merges = TRUE, .add_bos = TRUE };
static const TernPretokenizer rules_dbrx = { .words = TRUE, .digits = 3 };
static const TernPretokenizer rules_qwen2 = { .words = TRUE, .digits = 1 };
static const TernPretokenizer rules_gpt2 = { .words = FALSE };
static const TernPretokenizer rules_starcoder = { .single_digits = TRUE };

static const struct {
  const char *name;
  const TernPretokenizer *rules;
} known[] = {
  { "lfm2", &rules_llama }, { "llama-bpe", &rules_llama }, { "llama3", &rules_llama }, { "llama-v3", &rules_llama },
  { "falcon3", &rules_llama }, { "falcon-h1", &rules_llama }, { "pixtral", &rules_llama },
  { "midm-2.0", &rules_llama }, { "dbrx", &rules_dbrx }, { "smaug-bpe", &rules_dbrx },
  { "qwen2", &rules_qwen2 }, { "deepseek-r1-qwen", &rules_qwen2 }, { "megrez", &rules_qwen2 },
  { "stablelm2", &rules_qwen2 },
  { "gpt-2", &rules_gpt2 }, { "phi-2", &rules_gpt2 }, { "mpt", &rules_gpt2 }, { "olmo", &rules_gpt2 },
  { "jais", &rules_gpt2 }, { "exaone4", &rules_gpt2 }, { "mellum", &rules_gpt2 }, { "gigachat", &rules_gpt2 },
  { "smollm", &rules_starcoder }, { "starcoder", &rules_starcoder }, { "refact", &rules_starcoder },
  { "command-r", &rules_starcoder }, { "codeshell", &rules_starcoder }, { "exaone", &rules_starcoder },
  { "minerva-7b", &rules_starcoder },
};

const TernPretokenizer *
tern_pretokenizer_find (const char *name, gsize len)
{
  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (strlen (known[i].name) == len && memcmp (known[i].name, name, len) == 0)
      return known[i].rules;
  return NULL;
}

char *
tern_pretokenizer_names (void)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    g_string_append_printf (names, "%s%s", i ? ", " : "", known[i].name);
  return g_string_free (names, FALSE);
}

static gboolean
is_space (TernCharKind kind)
{
  return kind == TERN_CHAR_SPACE || kind == TERN_CHAR_NEWLINE;
}

/* The end of the run of @kind that starts at @pos, @most code points at most. */
static gsize
run_of (const guint8 *text, gsize pos, gsize end, TernCharKind kind, gsize most)
{
  gsize next;

  for (; most > 0 && tern_char_kind (text, pos, end, &next) == kind; most--)
    pos = next;
  return pos;
}

/* 's 't 'm 'd 're 've 'll after an apostrophe at @pos; their end, or @pos when there is none. */
static gsize
contraction (const guint8 *text, gsize pos, gsize end, gboolean any_case)
{
  static const char suffixes[][3] = { "s", "t", "m", "d", "re", "ve", "ll" };

  if (text[pos] != '\'')
    return pos;
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++) {
    const char *found = (const char *) text + pos + 1;
    gsize n = strlen (suffixes[i]);

    if (end - pos - 1 < n)
      continue;
    if (any_case ? g_ascii_strncasecmp (found, suffixes[i], n) == 0 : memcmp (found, suffixes[i], n) == 0)
      return pos + 1 + n;
  }
  return pos;
}

/* \s*[\r\n]+ (when @newlines), \s+(?!\S), \s+ in this order: a run of white space ends after its last newline; without
 * one, its last code point is left to what follows. */
static gsize
spaces (const guint8 *text, gsize pos, gsize end, gboolean newlines)
{
  gsize last = pos, line = pos, at = pos, next;
  TernCharKind kind;

  while (is_space (kind = tern_char_kind (text, at, end, &next))) {
    last = at;
    at = next;
    if (kind == TERN_CHAR_NEWLINE)
      line = at;
  }
  if (newlines && line > pos)
    return line;
  return kind == TERN_CHAR_END || last == pos ? at : last;
}

static gsize
piece_of_words (const guint8 *text, gsize pos, gsize end, guint digits)
{
  gsize next, after, stop = contraction (text, pos, end, TRUE);
  TernCharKind kind, second;

  if (stop > pos)
    return stop;
  kind = tern_char_kind (text, pos, end, &next);
  if (kind == TERN_CHAR_LETTER)
    return run_of (text, next, end, TERN_CHAR_LETTER, G_MAXSIZE);
  if (kind == TERN_CHAR_NUMBER)
    return run_of (text, pos, end, TERN_CHAR_NUMBER, digits);
  second = tern_char_kind (text, next, end, &after);
  if (kind != TERN_CHAR_NEWLINE && second == TERN_CHAR_LETTER)
    return run_of (text, next, end, TERN_CHAR_LETTER, G_MAXSIZE);
  if (kind == TERN_CHAR_OTHER || (text[pos] == ' ' && second == TERN_CHAR_OTHER)) {
    stop = run_of (text, next, end, TERN_CHAR_OTHER, G_MAXSIZE);
    return run_of (text, stop, end, TERN_CHAR_NEWLINE, G_MAXSIZE);
  }
  return spaces (text, pos, end, TRUE);
}

static gsize
piece_of_gpt2 (const guint8 *text, gsize pos, gsize end)
{
  gsize next, after, stop = contraction (text, pos, end, FALSE);
  TernCharKind kind;

  if (stop > pos)
    return stop;
  kind = tern_char_kind (text, pos, end, &next);
  if (text[pos] == ' ') {
    TernCharKind second = tern_char_kind (text, next, end, &after);

    if (second != TERN_CHAR_END && !is_space (second))
      return run_of (text, next, end, second, G_MAXSIZE);
  }
  return is_space (kind) ? spaces (text, pos, end, FALSE) : run_of (text, next, end, kind, G_MAXSIZE);
}

gboolean
tern_pieces_next (TernPieces *pieces, const TernPretokenizer *rules, gsize *start, gsize *len)
{
  const guint8 *text = pieces->text;
  gsize pos = pieces->pos, end = pieces->len, stop, next;

  if (pos >= end)
    return FALSE;
  if (rules->single_digits) {
    if (tern_char_kind (text, pos, end, &next) == TERN_CHAR_NUMBER) {
      *start = pos;
      *len = next - pos;
      pieces->pos = next;
      return TRUE;
    }
    /* A second pass over what lies between numbers: lookahead does not see past it. */
    if (pieces->segment <= pos) {
      TernCharKind kind;

      for (stop = pos; (kind = tern_char_kind (text, stop, end, &next)) != TERN_CHAR_NUMBER && kind != TERN_CHAR_END;)
        stop = next;
      pieces->segment = stop;
    }
    end = pieces->segment;
  }
  stop = rules->words ? piece_of_words (text, pos, end, rules->digits) : piece_of_gpt2 (text, pos, end);
  *start = pos;
  *len = stop - pos;
  pieces->pos = stop;
  return TRUE;
}
