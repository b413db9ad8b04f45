/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A grammar, a byte 0, and how tokens are chosen: whatever is made of it, an answer that has as many tokens as can be
 * promised is a sentence in the end. */
#include "../unit/vocabulary.h"
#include "engine/grammar/matcher-priv.h"

#define MOST_TEXT 3000
#define MOST_LEFT 200

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static TernTokenTrie *
make_trie (void)
{
  static char bytes[256][1];
  static const char *const words[] = { "ab", "\", \"", "\": ", "{\"", "  ", "\n\n", "00", "\303\251", "\342\202", "the" };
  Piece pieces[256 + G_N_ELEMENTS (words)];
  g_autoptr (TernTokenizer) tokenizer = NULL;

  for (guint i = 0; i < 256; i++) {
    bytes[i][0] = i;
    pieces[i] = (Piece) { bytes[i], 1 };
  }
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    pieces[256 + i] = (Piece) { words[i], strlen (words[i]) };
  tokenizer = vocabulary_new (pieces, G_N_ELEMENTS (pieces), FALSE);
  return tern_token_trie_new (tokenizer, tern_tokenizer_size (tokenizer), NULL);
}

/* The first that may be said from @from on, round and round; -1: none. */
static gint32
choose (const guint32 *mask, guint n, guint from)
{
  for (guint i = 0; i < n; i++)
    if (mask[(from + i) % n / 32] >> (from + i) % n % 32 & 1)
      return (from + i) % n;
  return -1;
}

static void
answer (TernConstraint *c, const guint8 *choices, gsize n)
{
  g_autoptr (TernMatcher) m = tern_matcher_new (), other = tern_matcher_new ();
  guint left = tern_constraint_shortest (c) + (n ? choices[0] % 16 : 0);

  if (left > MOST_LEFT)
    return;
  tern_matcher_begin (m, c);
  for (gsize i = 0; left > 0; i++, left--) {
    guint from = n ? choices[i % n] * 7 + choices[(i * 3 + 1) % n] : i;
    gint32 id = choose (tern_matcher_mask (m, left), c->trie->n_ids, from);

    if (m->forgot)
      return;
    g_assert_cmpint (id, >=, 0);
    tern_matcher_accept (m, id);
    if (from % 5 == 0) {        /* what was copied goes on as well */
      tern_matcher_copy (other, m);
      tern_matcher_copy (m, other);
    }
    g_assert_true (!tern_matcher_failed (m) || m->forgot);
    if (id == (gint32) c->trie->n_ids - 1)
      break;
  }
  g_assert_true (tern_matcher_may_end (m) || m->forgot);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  static TernTokenTrie *trie;
  const guint8 *end = memchr (data, 0, size);
  gsize n = end ? end - data : size;
  g_autofree char *text = g_strndup ((const char *) data, MIN (n, MOST_TEXT));
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGrammar) grammar = NULL;
  g_autoptr (TernConstraint) c = NULL;

  if (!trie)
    trie = make_trie ();
  grammar = tern_grammar_from_gbnf (text, &error);
  g_assert_true (!grammar == !!error);
  if (!grammar)
    return 0;
  c = tern_constraint_new (grammar, trie, &error);
  g_assert_true (!c == !!error);
  if (c)
    answer (c, end ? end + 1 : NULL, end ? size - n - 1 : 0);
  return 0;
}
