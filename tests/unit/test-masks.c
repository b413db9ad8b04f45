/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Constraints on vocabularies of models: texts that are sentences can be said token by token, those that are not cannot. With
 * -m perf: what masks cost, on the tokens of the GGUF files that TERN_VOCABULARIES names (separated by colons), together.
 */
#include <stdlib.h>
#include <time.h>

#include "vocabulary.h"
#include "engine/grammar/constraint.h"

#define VOCABULARY 128256

static const char json_grammar[] =
    "root ::= object\n"
    "value ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
    "object ::= \"{\" ws ( string \":\" ws value (\",\" ws string \":\" ws value)* )? \"}\" ws\n"
    "array ::= \"[\" ws ( value (\",\" ws value)* )? \"]\" ws\n"
    "string ::= \"\\\"\" ( [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4}) )* \"\\\"\" ws\n"
    "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws\n"
    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";

/* What a recorder asks of a camera. */
static const char scene_grammar[] =
    "root ::= \"{\\\"title\\\": \" string80 \", \\\"scene\\\": \" scene \", \\\"observations\\\": [\" observation (\", \" "
    "observation){2,7} \"], \\\"confidence\\\": \" confidence \"}\"\n"
    "char ::= [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt/] | \"u\" [0-9a-fA-F]{4})\n"
    "string80 ::= \"\\\"\" char{1,80} \"\\\"\"\n"
    "scene ::= \"\\\"\" char{150,600} \"\\\"\"\n"
    "observation ::= \"{\\\"what\\\": \" string80 \", \\\"where\\\": \" (\"\\\"left\\\"\" | \"\\\"right\\\"\" | "
    "\"\\\"centre\\\"\") \", \\\"count\\\": \" [0-9]{1,3} \"}\"\n"
    "confidence ::= \"0.\" [0-9]{1,4} | \"1.0\" | \"0\" | \"1\"\n";

static const char scene_text[] =
    "{\"title\": \"A dog runs through the snow\", \"scene\": \"A brown dog with a red collar runs through deep snow towards "
    "the camera; behind it two children in blue coats pull a wooden sledge up a gentle slope, past a row of bare trees and a "
    "fence that is half buried. The light is low and warm, as in the late afternoon.\", \"observations\": [{\"what\": \"a "
    "brown dog, running\", \"where\": \"centre\", \"count\": 1}, {\"what\": \"children with a sledge\", \"where\": \"left\", "
    "\"count\": 2}, {\"what\": \"bare trees\", \"where\": \"right\", \"count\": 7}, {\"what\": \"a fence in the snow\", "
    "\"where\": \"right\", \"count\": 1}], \"confidence\": 0.87}";

static const char json_text[] =
    "{\n  \"events\": [\n    {\"time\": 12.5, \"kind\": \"enter\", \"who\": {\"name\": \"person\", \"age\": null}},\n    "
    "{\"time\": 14.25, \"kind\": \"leave\", \"who\": {\"name\": \"dog \\\"Rex\\\"\", \"age\": 3}}\n  ],\n  \"tags\": "
    "[\"street\", \"night\", \"caf\303\251\"],\n  \"alert\": true,\n  \"note\": \"Two people were standing at the corner "
    "before the car arrived.\"\n}";

static TernGrammar *
grammar_of (const char *text)
{
  g_autoptr (GError) error = NULL;
  TernGrammar *grammar = tern_grammar_from_gbnf (text, &error);

  g_assert_no_error (error);
  return grammar;
}

static gboolean
in_mask (const guint32 *mask, guint id)
{
  return mask[id / 32] >> id % 32 & 1;
}

/* Microseconds of this thread: others are at work on the machine. */
static double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* ---- Speed ------------------------------------------------------------------------------------------------------- */

/* All pieces of the files, once. */
static TernTokenizer *
all_vocabularies (const char *paths)
{
  g_auto (GStrv) files = g_strsplit (paths, ":", -1);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_bytes_hash, g_bytes_equal);
  g_autoptr (GArray) pieces = g_array_new (FALSE, FALSE, sizeof (Piece));
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);

  for (guint i = 0; files[i]; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernGguf) file = tern_gguf_open (files[i], &error);
    g_autoptr (TernTokenizer) t = file ? tern_tokenizer_new (file, &error) : NULL;

    g_assert_no_error (error);
    for (guint id = 0; id < tern_tokenizer_size (t); id++) {
      TernBytes bytes = tern_tokenizer_piece (t, id, FALSE);
      GBytes *piece = g_bytes_new (bytes.data, bytes.len);
      Piece entry;

      g_ptr_array_add (kept, piece);
      if (bytes.len == 0 || tern_tokenizer_is_control (t, id) || !g_hash_table_add (seen, piece))
        continue;
      entry.bytes = g_bytes_get_data (piece, NULL);
      entry.n = bytes.len;
      g_array_append_val (pieces, entry);
    }
  }
  /* Where that is fewer than models have today: pairs of neighbours. */
  for (guint i = 0, n = pieces->len; pieces->len < VOCABULARY && i + 1 < n; i += 2) {
    const Piece *pair = &g_array_index (pieces, Piece, i);
    GByteArray *bytes = g_byte_array_new ();
    Piece entry;
    GBytes *piece;

    g_byte_array_append (bytes, (const guint8 *) pair[0].bytes, pair[0].n);
    g_byte_array_append (bytes, (const guint8 *) pair[1].bytes, pair[1].n);
    piece = g_byte_array_free_to_bytes (bytes);
    g_ptr_array_add (kept, piece);
    if (!g_hash_table_add (seen, piece))
      continue;
    entry.bytes = g_bytes_get_data (piece, NULL);
    entry.n = pair[0].n + pair[1].n;
    g_array_append_val (pieces, entry);
  }
  return vocabulary_new ((const Piece *) pieces->data, pieces->len, FALSE);
}

static int
by_value (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

/* Says @text in the longest tokens that may be said; the cost of each mask goes to @times. */
static void
say_text (TernMatcher *m, TernTokenizer *t, const char *text, guint left, GArray *times)
{
  gsize n = strlen (text);

  for (gsize at = 0; at < n; left--) {
    double start = now ();
    const guint32 *mask = tern_matcher_mask (m, left);
    double took = now () - start;
    gint32 best = -1;
    gsize longest = 0;

    g_array_append_val (times, took);
    for (guint id = 0; id < tern_tokenizer_size (t); id++) {
      TernBytes piece = tern_tokenizer_piece (t, id, FALSE);

      if (piece.len > longest && piece.len <= n - at && memcmp (piece.data, text + at, piece.len) == 0
          && in_mask (mask, id)) {
        longest = piece.len;
        best = id;
      }
    }
    g_assert_cmpint (best, >=, 0);
    tern_matcher_accept (m, best);
    at += longest;
  }
  g_assert_true (tern_matcher_may_end (m));
}

static void
time_grammar (const char *name, const char *source, const char *text, TernTokenizer *t, TernTokenTrie *trie)
{
  g_autoptr (TernGrammar) grammar = grammar_of (source);
  g_autoptr (GError) error = NULL;
  double start = now ();
  g_autoptr (TernConstraint) c = tern_constraint_new (grammar, trie, &error);
  double made = now () - start;
  g_autoptr (TernMatcher) m = tern_matcher_new ();

  g_assert_no_error (error);
  g_test_message ("%s: %u tokens suffice; made in %.1f ms", name, tern_constraint_shortest (c), made / 1000);
  for (guint round = 0; round < 3; round++) {
    g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (double));
    double sum = 0;

    tern_matcher_begin (m, c);
    say_text (m, t, text, round < 2 ? 2000 : tern_constraint_shortest (c) + 200, times);
    qsort (times->data, times->len, sizeof (double), by_value);
    for (guint i = 0; i < times->len; i++)
      sum += g_array_index (times, double, i);
    g_test_message ("%s, answer %u: %u masks, mean %.1f us, median %.0f, p90 %.0f, most %.0f", name, round + 1, times->len,
        sum / times->len, g_array_index (times, double, times->len / 2), g_array_index (times, double,
        times->len * 9 / 10), g_array_index (times, double, times->len - 1));
  }
}

static void
test_speed (void)
{
  const char *paths = g_getenv ("TERN_VOCABULARIES");
  g_autoptr (TernTokenizer) t = NULL;
  g_autoptr (TernTokenTrie) trie = NULL;
  g_autoptr (GError) error = NULL;
  double start;

  if (!paths) {
    g_test_message ("TERN_VOCABULARIES=FILE:FILE... is not set");
    return;
  }
  t = all_vocabularies (paths);
  start = now ();
  trie = tern_token_trie_new (t, tern_tokenizer_size (t), &error);
  g_assert_no_error (error);
  g_test_message ("%u tokens; trie made in %.1f ms", tern_tokenizer_size (t), (now () - start) / 1e3);
  time_grammar ("scene", scene_grammar, scene_text, t, trie);
  time_grammar ("json", json_grammar, json_text, t, trie);
}

/* ---- Vocabularies of models -------------------------------------------------------------------------------------- */

/* The same text can be said in any tokens that make it up, and ends where it may. */
static void
test_models (void)
{
  static const char *const names[] = { "vocab-lfm2", "vocab-llama-bpe", "vocab-smollm" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_strdup_printf ("%s/tokenizers/%s.gguf", TERN_TEST_DATA, names[i]);
    g_autoptr (GError) error = NULL;
    g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
    g_autoptr (TernTokenizer) t = tern_tokenizer_new (file, &error);
    g_autoptr (TernTokenTrie) trie = tern_token_trie_new (t, tern_tokenizer_size (t), &error);
    g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (double));

    g_assert_no_error (error);
    for (guint k = 0; k < 2; k++) {
      g_autoptr (TernGrammar) grammar = grammar_of (k ? json_grammar : scene_grammar);
      g_autoptr (TernConstraint) c = tern_constraint_new (grammar, trie, &error);
      g_autoptr (TernMatcher) m = tern_matcher_new ();

      g_assert_no_error (error);
      g_assert_cmpuint (tern_constraint_shortest (c), <=, k ? 2 : 400);
      tern_matcher_begin (m, c);
      say_text (m, t, k ? json_text : scene_text, 2000, times);
    }
  }
}

static guint
count_bits (const guint32 *mask, guint n)
{
  guint count = 0;

  for (guint i = 0; i < n; i++)
    count += in_mask (mask, i);
  return count;
}

/* SentencePiece: models say a space first that is not the text's; one, and only there. Bytes are tokens of their own. */
static void
test_space_first (void)
{
  static const Piece pieces[] = { { " ", 1 }, { " {", 2 }, { "{", 1 }, { "}", 1 }, { " }", 2 }, { "  ", 2 }, { "a", 1 },
    { " a", 2 }, { "\303", 1 }, { "\251", 1 }, { "\303\251", 2 }, { "{}", 2 }, { "<", 1 } };
  enum { SPACE, SPACE_OPEN, OPEN, CLOSE, SPACE_CLOSE, TWO, A, SPACE_A, LEAD, TRAIL, E_ACUTE, BOTH, LESS, PAD, END, N };
  g_autoptr (TernTokenizer) t = vocabulary_new (pieces, G_N_ELEMENTS (pieces), TRUE);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernTokenTrie) trie = tern_token_trie_new (t, N + 6, &error);      /* rows without tokens */
  g_autoptr (TernGrammar) grammar = grammar_of ("root ::= \"{\" [a\u00e9]? \"}\"");
  g_autoptr (TernConstraint) c = tern_constraint_new (grammar, trie, &error);
  g_autoptr (TernMatcher) m = tern_matcher_new ();
  const guint32 *mask;

  g_assert_no_error (error);
  tern_matcher_begin (m, c);
  mask = tern_matcher_mask (m, 9);
  g_assert_true (in_mask (mask, SPACE) && in_mask (mask, SPACE_OPEN) && in_mask (mask, OPEN) && in_mask (mask, BOTH));
  g_assert_cmpuint (count_bits (mask, N + 6), ==, 4);
  tern_matcher_accept (m, SPACE);
  mask = tern_matcher_mask (m, 9);
  g_assert_true (in_mask (mask, OPEN) && in_mask (mask, BOTH));
  g_assert_cmpuint (count_bits (mask, N + 6), ==, 2);
  tern_matcher_accept (m, OPEN);
  mask = tern_matcher_mask (m, 9);
  g_assert_true (in_mask (mask, A) && in_mask (mask, LEAD) && in_mask (mask, E_ACUTE) && in_mask (mask, CLOSE));
  g_assert_cmpuint (count_bits (mask, N + 6), ==, 4);
  mask = tern_matcher_mask (m, 2);      /* then } : no room for half of a character */
  g_assert_false (in_mask (mask, LEAD));
  g_assert_cmpuint (count_bits (mask, N + 6), ==, 3);
  tern_matcher_accept (m, LEAD);
  mask = tern_matcher_mask (m, 2);
  g_assert_true (in_mask (mask, TRAIL));
  g_assert_cmpuint (count_bits (mask, N + 6), ==, 1);
  g_assert_cmpuint (count_bits (tern_matcher_mask (m, 1), N + 6), ==, 0);
  tern_matcher_accept (m, TRAIL);
  g_assert_false (tern_matcher_may_end (m));
  tern_matcher_accept (m, CLOSE);
  g_assert_true (tern_matcher_must_end (m));
  mask = tern_matcher_mask (m, 1);
  g_assert_true (in_mask (mask, END));
  g_assert_cmpuint (count_bits (mask, N + 6), ==, 1);
  tern_matcher_accept (m, END);
  g_assert_true (tern_matcher_must_end (m));
}

/* A copy goes its own way, and the first one its own, also where frames and counts are open. */
static void
test_copy (void)
{
  static const Piece pieces[] = { { "(", 1 }, { ")", 1 }, { "a", 1 } };
  g_autoptr (TernTokenizer) t = vocabulary_new (pieces, 3, FALSE);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernTokenTrie) trie = tern_token_trie_new (t, 5, &error);
  g_autoptr (TernGrammar) grammar = grammar_of ("root ::= \"(\" (root | \"a\"){2,3} \")\"");
  g_autoptr (TernConstraint) c = tern_constraint_new (grammar, trie, &error);
  g_autoptr (TernMatcher) first = tern_matcher_new (), second = tern_matcher_new ();

  g_assert_no_error (error);
  tern_matcher_begin (first, c);
  for (const char *text = "((aa)("; *text; text++)
    tern_matcher_accept (first, *text == '(' ? 0 : *text == ')' ? 1 : 2);
  tern_matcher_copy (second, first);
  for (const char *text = "aaa)a)"; *text; text++) {
    g_assert_true (in_mask (tern_matcher_mask (second, 99), *text == '(' ? 0 : *text == ')' ? 1 : 2));
    tern_matcher_accept (second, *text == '(' ? 0 : *text == ')' ? 1 : 2);
  }
  g_assert_true (tern_matcher_must_end (second));
  g_assert_false (tern_matcher_may_end (first));
  g_assert_false (in_mask (tern_matcher_mask (first, 99), 1));
  for (const char *text = "aa))"; *text; text++)
    tern_matcher_accept (first, *text == '(' ? 0 : *text == ')' ? 1 : 2);
  g_assert_true (tern_matcher_must_end (first));
  tern_matcher_copy (first, second);
  tern_matcher_clear (second);
  g_assert_true (tern_matcher_must_end (first));
  tern_matcher_copy (first, second);
  g_assert_false (tern_matcher_may_end (first));
}

/* A vocabulary that cannot say a sentence is refused, and shortest is what its tokens allow. */
static void
test_shortest (void)
{
  static const Piece pieces[] = { { "ab", 2 }, { "c", 1 }, { "d", 1 }, { "dddd", 4 } };
  static const struct {
    const char *grammar;
    guint shortest;             /* 0: refused */
  } cases[] = {
    { "root ::= \"abc\"", 2 }, { "root ::= \"a\"", 0 }, { "root ::= \"a\" | \"cc\"", 2 }, { "root ::= [c-z]{9}", 3 },
    { "root ::= [c-z]{10,300} \"ab\"", 5 }, { "root ::= (\"ab\" | \"c\" root \"c\" | \"d\" root){2,5}", 2 },
    { "root ::= \"\" | \"c\"", 0 },
  };
  g_autoptr (TernTokenizer) t = vocabulary_new (pieces, G_N_ELEMENTS (pieces), FALSE);
  g_autoptr (TernTokenTrie) trie = tern_token_trie_new (t, 6, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (TernGrammar) grammar = grammar_of (cases[i].grammar);
    g_autoptr (GError) error = NULL;
    g_autoptr (TernConstraint) c = tern_constraint_new (grammar, trie, &error);

    g_test_message ("%s", cases[i].grammar);
    if (c)
      g_assert_cmpuint (tern_constraint_shortest (c), ==, cases[i].shortest);
    else
      g_assert_nonnull (strstr (error->message, "expected a sentence that fewer than"));
    g_assert_true (c || cases[i].shortest == 0);
  }
}

typedef struct {
  TernConstraint *c;
  TernTokenizer *t;
} Shared;

static gpointer
say_often (gpointer data)
{
  const Shared *shared = data;
  g_autoptr (TernMatcher) m = tern_matcher_new ();
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (double));

  for (guint i = 0; i < 5; i++) {
    tern_matcher_begin (m, shared->c);
    say_text (m, shared->t, scene_text, 500 + i, times);
  }
  return NULL;
}

/* What a constraint looks up is made while several use it. */
static void
test_threads (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (TERN_TEST_DATA "/tokenizers/vocab-lfm2.gguf", &error);
  g_autoptr (TernTokenizer) t = tern_tokenizer_new (file, &error);
  g_autoptr (TernTokenTrie) trie = tern_token_trie_new (t, tern_tokenizer_size (t), &error);
  g_autoptr (TernGrammar) grammar = grammar_of (scene_grammar);
  g_autoptr (TernConstraint) c = tern_constraint_new (grammar, trie, &error);
  Shared shared = { c, t };
  GThread *threads[4];

  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("answer", say_often, &shared);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/masks/models", test_models);
  g_test_add_func ("/masks/space-first", test_space_first);
  g_test_add_func ("/masks/copy", test_copy);
  g_test_add_func ("/masks/shortest", test_shortest);
  g_test_add_func ("/masks/threads", test_threads);
  if (g_test_perf ())
    g_test_add_func ("/masks/speed", test_speed);
  return g_test_run ();
}
