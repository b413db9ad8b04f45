/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/plain.h"

#include <string.h>

#include "tern/prompt.h"

/* U+E000, a number, U+E001. */
#define OPEN "\xee\x80\x80"
#define CLOSE "\xee\x80\x81"

struct _TernPlain {
  GPtrArray *words;             /* of char *: control tokens and places; longest first */
  gboolean begins[256];         /* a word does with this byte */
  guint longest;
};

static gint
longer_first (gconstpointer a, gconstpointer b)
{
  gsize m = strlen (*(char *const *) a), n = strlen (*(char *const *) b);

  return m < n ? 1 : m > n ? -1 : strcmp (*(char *const *) a, *(char *const *) b);
}

TernPlain *
tern_plain_new (const TernTokenizer *tokenizer)
{
  TernPlain *plain = g_new0 (TernPlain, 1);

  plain->words = g_ptr_array_new_with_free_func (g_free);
  for (guint id = 0; id < tern_tokenizer_size (tokenizer); id++) {
    TernBytes piece;

    if (!tern_tokenizer_is_control (tokenizer, (gint32) id))
      continue;
    piece = tern_tokenizer_piece (tokenizer, (gint32) id, TRUE);
    if (piece.len > 1 && !memchr (piece.data, 0, piece.len))
      g_ptr_array_add (plain->words, g_strndup (piece.data, piece.len));
  }
  g_ptr_array_add (plain->words, g_strdup (TERN_PROMPT_IMAGE));
  g_ptr_array_add (plain->words, g_strdup (TERN_PROMPT_VIDEO));
  g_ptr_array_sort (plain->words, longer_first);
  for (guint i = 0; i < plain->words->len; i++)
    plain->begins[*(guint8 *) plain->words->pdata[i]] = TRUE;
  plain->begins[(guint8) OPEN[0]] = TRUE;
  plain->longest = (guint) strlen (plain->words->pdata[0]);
  return plain;
}

void
tern_plain_free (TernPlain *plain)
{
  if (!plain)
    return;
  g_ptr_array_unref (plain->words);
  g_free (plain);
}

/* Bytes at @at that must not go through as they are; 0: none. */
static gsize
word_at (const TernPlain *plain, const char *at)
{
  if (!plain->begins[(guint8) *at])
    return 0;
  if (g_str_has_prefix (at, OPEN) || g_str_has_prefix (at, CLOSE))
    return strlen (OPEN);
  for (guint i = 0; i < plain->words->len; i++)
    if (g_str_has_prefix (at, plain->words->pdata[i]))
      return strlen (plain->words->pdata[i]);
  return 0;
}

static gboolean
has_mark (const char *part, gsize len)
{
  for (gsize i = 0; i < len; i++)
    if (g_ascii_ispunct (part[i]))
      return TRUE;
  return FALSE;
}

/* Letters alone are left: no token is put together at letters, and roles and names stay what they are. */
static gboolean
is_edge (const TernPlain *plain, const char *part, gsize len, gboolean head)
{
  for (guint i = 0; i < plain->words->len; i++) {
    const char *word = plain->words->pdata[i];
    gsize n = strlen (word);

    if (len < n && has_mark (part, len) && memcmp (head ? word + n - len : word, part, len) == 0)
      return TRUE;
  }
  return FALSE;
}

/* The longest end of a word that @text, blanks aside, begins with (@head), or beginning of one that it ends with: templates
 * strip texts and put them beside others. Whole characters: words are cut between them or not at all. */
static gsize
edge (const TernPlain *plain, const char *text, gsize len, gboolean head)
{
  for (gsize n = MIN (len, plain->longest - 1); n > 0; n--) {
    const char *part = head ? text : text + len - n;

    if (is_edge (plain, part, n, head) && g_utf8_validate (part, (gssize) n, NULL))
      return n;
  }
  return 0;
}

static void
stand_in (GString *out, GPtrArray *kept, const char *text, gsize len)
{
  g_string_append_printf (out, OPEN "%u" CLOSE, kept->len);
  g_ptr_array_add (kept, g_strndup (text, len));
}

char *
tern_plain_protect (const TernPlain *plain, const char *text, GPtrArray *kept)
{
  const char *first = text + strspn (text, " \t\r\n"), *last = text + strlen (text);
  GString *out = g_string_sized_new ((gsize) (last - text) + 16);
  gsize head, tail, n;

  while (last > first && strchr (" \t\r\n", last[-1]))
    last--;
  head = edge (plain, first, (gsize) (last - first), TRUE);
  tail = edge (plain, first + head, (gsize) (last - first) - head, FALSE);
  g_string_append_len (out, text, first - text);
  if (head > 0)
    stand_in (out, kept, first, head);
  for (const char *at = first + head; at < last; at += n) {
    n = word_at (plain, at);
    /* A word that is whole goes before the beginning of another at the end. */
    if (n == 0 && at == last - tail && tail > 0)
      n = tail;
    if (n > 0) {
      stand_in (out, kept, at, n);
    } else {
      n = 1;
      g_string_append_c (out, *at);
    }
  }
  g_string_append (out, last);
  return g_string_free (out, FALSE);
}

gboolean
tern_plain_find (const char *text, const GPtrArray *kept, guint *number, const char **begin, const char **end)
{
  for (const char *at = text; (at = strstr (at, OPEN)); at++) {
    char *stop = NULL;
    guint64 n = g_ascii_strtoull (at + strlen (OPEN), &stop, 10);

    if (stop == at + strlen (OPEN) || !g_str_has_prefix (stop, CLOSE) || n >= kept->len)
      continue;
    *number = (guint) n;
    *begin = at;
    *end = stop + strlen (CLOSE);
    return TRUE;
  }
  return FALSE;
}
