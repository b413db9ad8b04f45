/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Masks against a reference that reads bytes, for random grammars and vocabularies; and that what may be said is always a
 * sentence in the end, within what is left. */
#include <stdlib.h>

#include "grammar-reference.h"
#include "vocabulary.h"
#include "engine/grammar/matcher-priv.h"

/* ---- Vocabularies ------------------------------------------------------------------------------------------------ */

static GPtrArray *piece_texts;  /* keeps them */

static guint
random_pieces (TernRandom *random, gboolean all_bytes, Piece *pieces, guint most)
{
  guint n = 0;

  for (guint byte = 0; all_bytes && byte < 256; byte++) {
    char *text = g_malloc0 (2);

    text[0] = byte;
    g_ptr_array_add (piece_texts, text);
    pieces[n++] = (Piece) { text, 1 };
  }
  while (n < most) {
    GString *text = g_string_new (NULL);

    for (guint k = 1 + tern_random_below (random, 4); k > 0; k--)
      g_string_append (text, forest_letters[tern_random_below (random, 3) ? tern_random_below (random, 3)
          : tern_random_below (random, G_N_ELEMENTS (forest_letters))]);
    if (tern_random_below (random, 5) == 0 && text->len > 1) {  /* in the middle of a character */
      g_string_erase (text, 0, tern_random_below (random, 2));
      g_string_truncate (text, text->len - tern_random_below (random, 2));
    }
    if (text->len == 0) {
      g_string_free (text, TRUE);
      continue;
    }
    pieces[n].n = text->len;
    pieces[n++].bytes = text->str;
    g_ptr_array_add (piece_texts, g_string_free (text, FALSE));
  }
  return n;
}

/* ---- Masks ------------------------------------------------------------------------------------------------------- */

static gboolean
in_mask (const guint32 *mask, guint id)
{
  return mask[id / 32] >> id % 32 & 1;
}

static void
show (const Forest *f, const GByteArray *said)
{
  g_autofree char *text = g_strndup (said->len ? (const char *) said->data : "", said->len), *escaped = g_strescape (text, NULL);

  for (guint k = 0; k < f->n_rules; k++) {
    g_autoptr (GString) shown = g_string_new (NULL);

    tree_show (f->rules[k], shown);
    g_printerr ("# rule %u: %s\n", k, shown->str);
  }
  g_printerr ("# after \"%s\"\n", escaped);
}

/* @complete: all bytes are tokens, and as much is left as one likes: then the mask is what can be said. */
static void
check_mask (const Forest *f, TernMatcher *m, const GByteArray *said, const Piece *pieces, guint n, guint left,
    gboolean complete)
{
  g_autofree guint32 *mask = g_memdup2 (tern_matcher_mask (m, left), (n + 2 + 31) / 32 * 4);
  gboolean whole, begins;

  for (guint i = 0; i < n; i++) {
    guint8 text[TEXT_MAX + 1];
    gboolean may = in_mask (mask, i);

    if (said->len + pieces[i].n > TEXT_MAX)
      continue;
    if (said->len > 0)          /* or data is NULL */
      memcpy (text, said->data, said->len);
    memcpy (text + said->len, pieces[i].bytes, pieces[i].n);
    forest_read (f, text, said->len + pieces[i].n, &whole, &begins);
    if (may ? begins : !begins || !complete || m->forgot)
      continue;
    show (f, said);
    g_printerr ("# token \"%.*s\": %s\n", (int) pieces[i].n, pieces[i].bytes,
        may ? "may be said, and no sentence begins so" : "may not be said");
    g_test_fail ();
    abort ();
  }
  forest_read (f, said->data, said->len, &whole, &begins);
  g_assert_true (tern_matcher_may_end (m) == whole || (m->forgot && whole));
  g_assert_false (in_mask (mask, n));
  g_assert_cmpint (in_mask (mask, n + 1), ==, tern_matcher_may_end (m) && left > 0);
}

static gint32
choose (const guint32 *mask, guint n, TernRandom *random)
{
  guint start = tern_random_below (random, n);

  for (guint i = 0; i < n; i++)
    if (in_mask (mask, (start + i) % n))
      return (start + i) % n;
  return -1;
}

/* Says a random sentence; masks are checked on the way while the text is short. */
static void
say (const Forest *f, TernConstraint *c, const Piece *pieces, guint n, guint left, gboolean complete,
    TernRandom *random)
{
  g_autoptr (TernMatcher) m = tern_matcher_new ();
  g_autoptr (GByteArray) said = g_byte_array_new ();
  gboolean whole, begins;

  tern_matcher_begin (m, c);
  for (;; left--) {
    gint32 id;

    if (said->len <= 24)
      check_mask (f, m, said, pieces, n, left, complete && left > 1000);
    if (left == 0)
      break;
    id = choose (tern_matcher_mask (m, left), n + 2, random);
    if (id < 0 || id == (gint32) n + 1 || (said->len > 30 && tern_matcher_may_end (m)))
      break;
    g_assert_cmpint (id, <, n);
    tern_matcher_accept (m, id);
    if (m->forgot)              /* too many readings: it may end in a failure, see the header */
      return;
    g_assert_false (tern_matcher_failed (m));
    g_byte_array_append (said, (const guint8 *) pieces[id].bytes, pieces[id].n);
    if (said->len > 40 && left > 100)
      left = MAX (101, m->now.cost + 1);
    if (said->len > TEXT_MAX)
      return;
  }
  if (!tern_matcher_may_end (m)) {
    show (f, said);
    for (guint i = 0; i < n; i++)
      g_printerr ("# piece \"%.*s\"\n", (int) pieces[i].n, pieces[i].bytes);
    g_printerr ("# %u left\n", left);
    g_assert_not_reached ();
  }
  forest_read (f, said->data, said->len, &whole, &begins);
  g_assert_true (whole);
}

static void
test_random (gconstpointer all_bytes)
{
  guint rounds = (GPOINTER_TO_INT (all_bytes) ? 60 : 600) * (g_test_slow () ? 50 : 1), grammars = 0, sayable = 0;
  const char *first = g_getenv ("TERN_GRAMMAR_SEED");

  for (guint seed = first ? atoi (first) : 0; grammars < rounds; seed++) {
    TernRandom random = { seed };
    Forest f;
    Piece pieces[320];
    guint n;
    g_autoptr (GError) error = NULL;
    g_autoptr (TernGrammar) grammar = NULL;
    g_autoptr (TernTokenizer) tokenizer = NULL;
    g_autoptr (TernTokenTrie) trie = NULL;
    g_autoptr (TernConstraint) c = NULL;

    g_test_message ("seed %u", seed);
    forest_init_random (&f, &random);
    grammar = forest_build (&f, &error);
    if (!grammar) {
      forest_clear (&f);
      continue;
    }
    grammars++;
    piece_texts = g_ptr_array_new_with_free_func (g_free);
    n = random_pieces (&random, GPOINTER_TO_INT (all_bytes), pieces, GPOINTER_TO_INT (all_bytes) ? 280 : 24);
    tokenizer = vocabulary_new (pieces, n, FALSE);
    trie = tern_token_trie_new (tokenizer, n + 2, &error);
    g_assert_no_error (error);
    c = tern_constraint_new (grammar, trie, &error);
    g_assert_true (c || !GPOINTER_TO_INT (all_bytes));
    if (c) {
      sayable++;
      say (&f, c, pieces, n, 2000, GPOINTER_TO_INT (all_bytes), &random);
      for (guint i = 0; i < 4; i++)
        say (&f, c, pieces, n, tern_constraint_shortest (c) + i, FALSE, &random);
    }
    g_ptr_array_unref (piece_texts);
    forest_clear (&f);
  }
  g_test_message ("%u of %u can be said", sayable, grammars);
  g_assert_cmpuint (sayable, >, rounds / 4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/constraint/random/bytes", GINT_TO_POINTER (TRUE), test_random);
  g_test_add_data_func ("/constraint/random/words", GINT_TO_POINTER (FALSE), test_random);
  return g_test_run ();
}
