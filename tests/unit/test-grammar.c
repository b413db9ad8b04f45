/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What GBNF means and what is refused, on a vocabulary of bytes: a token a byte. */
#include <time.h>

#include "vocabulary.h"
#include "engine/grammar/constraint.h"
#include "tern/error.h"

static TernTokenTrie *trie;     /* id = byte; 256 <pad>, 257 </s> */

static void
make_trie (void)
{
  static char bytes[256][1];
  Piece pieces[256];
  g_autoptr (TernTokenizer) tokenizer = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 256; i++) {
    bytes[i][0] = i;
    pieces[i] = (Piece) { bytes[i], 1 };
  }
  tokenizer = vocabulary_new (pieces, 256, FALSE);
  trie = tern_token_trie_new (tokenizer, 258, &error);
  g_assert_no_error (error);
}

typedef enum { REFUSED, BEGUN, SENTENCE } Verdict;

static Verdict
read_text (TernGrammar *grammar, const char *text, gsize n)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernConstraint) c = tern_constraint_new (grammar, trie, &error);
  g_autoptr (TernMatcher) m = tern_matcher_new ();

  g_assert_no_error (error);
  tern_matcher_begin (m, c);
  for (gsize i = 0; i < n; i++) {
    guint8 byte = text[i];

    if (!(tern_matcher_mask (m, G_MAXUINT)[byte / 32] >> byte % 32 & 1))
      return REFUSED;
    tern_matcher_accept (m, byte);
    g_assert_false (tern_matcher_failed (m));
  }
  return tern_matcher_may_end (m) ? SENTENCE : BEGUN;
}

/* ---- What it means ----------------------------------------------------------------------------------------------- */

static const struct {
  const char *grammar, *yes, *no;       /* texts, separated by '|'; no: none is a sentence */
} meanings[] = {
  { "root ::= \"abc\"", "abc", "|ab|abcd|abd" },
  { "\357\273\277root ::= \"abc\"", "abc", "|ab" },      /* a byte order mark */
  { "root ::= \"a\" | \"b\" |", "a|b|", "c|ab" },
  { "root ::= \"a\" |\n  \"b\" # or\n", "a|b", "" },
  { "root ::= (\n  \"a\" # one\n  \"b\"\n)+", "ab|abab", "|aba" },
  { "root ::= a-rule B\na-rule ::= \"x\"*\nB ::= \"y\"?\n", "|x|xxxxxxxxxx|y|xxy", "yx|yy" },
  { "root ::= [a-cx]{2}", "ab|xx|cx", "a|abc|ad" },
  { "root ::= [a-c]{2,}", "ab|abcabc", "|a|abcd" },
  { "root ::= [a-c]{1,3}", "a|abc", "|abcc" },
  { "root ::= \"ab\"{ 2 , 3 }", "abab|ababab", "ab|abababab" },
  { "root ::= \"x\" \"a\"{0} \"y\"", "xy", "xay" },
  { "root ::= [a-c]{0,3} \"d\"", "d|abcd", "abcad" },
  { "root ::= [^a-c\\n]", "d|\303\251|\342\202\254|\360\237\230\200", "a|\n||dd|\303|\355\240\200|\300\200" },
  { "root ::= [\\u00e0-\\u20ac]", "\303\240|\342\202\254|\337\277", "\303\237|\342\202\255|a" },
  { "root ::= [\\U0001F600-\\U0001F64F]", "\360\237\230\200|\360\237\231\217", "\360\237\231\220|\360\237\227\277" },
  { "root ::= [\303\251a-]", "\303\251|a|-", "b|\303\250" },
  { "root ::= [a\\]\\-\\\\\\[]", "a|]|-|\\|[", "b" },
  { "root ::= .", "a|\n|\342\202\254", "|ab|\377|\302" },
  { "root ::= \"\\x41\\u00e9\\U0001F600\\t\\r\\n\\\\\\\"\"", "A\303\251\360\237\230\200\t\r\n\\\"", "A" },
  { "root ::= \"\"", "", "a" },
  { "root ::= ([a-c]? \"x\"?){3}", "|a|axbxc|xxx|abc", "axbxcxa|aaaa|xxxx" },
  { "root ::= ((\"a\"*)*)+ \"b\"", "b|aab", "a|ba" },
  { "root ::= \"[\" (item (\",\" item){2,4})? \"]\"\nitem ::= [0-9]+ | root", "[]|[1,2,3]|[1,[],[4,5,6]]|[1,2,3,4,5]",
    "[1]|[1,2]|[1,2,3,4,5,6]|[1,[2],3]" },
  { "root ::= \"(\" root? \")\" root?", "()|()()|((())())", "(|)(|(()" },
  { "root ::= s\ns ::= \"a\" s \"b\" | \"c\"", "c|acb|aaacbbb", "aacb|acbb" },
  { "root ::= [a-z]{1,4} \"end\"?", "a|abcd|aend|endend|abcdend", "abcdeend|endende|enden" },
  { "root ::= ([a-z]{2,5} \" \"){1,3} [a-z ]{300}?", "ab |ab cd |ab cd ef ", "a |ab cd ef gh |ab" },
};

static void
test_meanings (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (meanings); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernGrammar) grammar = tern_grammar_from_gbnf (meanings[i].grammar, &error);
    g_auto (GStrv) yes = g_strsplit (meanings[i].yes, "|", -1), no = g_strsplit (meanings[i].no, "|", -1);
    gboolean empty = FALSE;

    g_assert_no_error (error);
    if (!yes[0])
      g_assert_cmpint (read_text (grammar, "", 0), ==, SENTENCE);
    for (guint k = 0; yes[k]; k++) {
      g_test_message ("%s: yes \"%s\"", meanings[i].grammar, yes[k]);
      empty |= !*yes[k];
      g_assert_cmpint (read_text (grammar, yes[k], strlen (yes[k])), ==, SENTENCE);
    }
    for (guint k = 0; no[k]; k++) {
      g_autofree char *shown = g_utf8_make_valid (no[k], -1);

      g_test_message ("%s: no \"%s\"", meanings[i].grammar, shown);
      if (*no[k] || !empty)
        g_assert_cmpint (read_text (grammar, no[k], strlen (no[k])), !=, SENTENCE);
    }
  }
}

/* ---- What is refused --------------------------------------------------------------------------------------------- */

static const struct {
  const char *grammar, *message;
} refusals[] = {
  { "", "line 1, column 1: expected a rule with the name root, found none" },
  { "a ::= \"x\"\n", "line 2, column 1: expected a rule with the name root, found none" },
  { "root = \"x\"", "line 1, column 6: expected ::=, found \"=\"" },
  { "root ::= \"x", "line 1, column 12: expected \" after the literal, found the end" },
  { "root ::= [a", "line 1, column 12: expected ] after the characters, found the end" },
  { "root ::= []", "line 1, column 11: expected a character or a range of them, found \"]\"" },
  { "root ::= [z-a]", "line 1, column 11: expected a range that goes up, found \"z\"" },
  { "root ::= (\"a\"", "line 1, column 14: expected | or a symbol or ), found the end" },
  { "root ::= \"a\" )", "line 1, column 14: expected |, a symbol or the end of the line, found \")\"" },
  { "root ::= \"a\\q\"", "line 1, column 13: expected one of x u U t r n \\ \" [ ] after \\, found \"q\"" },
  { "root ::= \"\\x4\"", "line 1, column 14: expected a hexadecimal digit, found \"\"\"" },
  { "root ::= \"\\U00110000\"", "expected a character up to U+10FFFF before it" },
  { "root ::= \"\\ud800\"", "line 1, column 11: expected a character, found half of one (a surrogate)" },
  { "root ::= [\\x1", "line 1, column 14: expected a hexadecimal digit, found the end" },
  { "root ::= \"\\", "line 1, column 12: expected one of x u U" },
  { "root ::= * \"a\"", "line 1, column 10: expected something to repeat before it, found \"*\"" },
  { "root ::= \"a\"{2", "line 1, column 15: expected }, found the end" },
  { "root ::= \"a\"{,2}", "line 1, column 14: expected a number, found \",\"" },
  { "root ::= \"a\"{3,2}", "line 1, column 13: expected a first number that is not larger than the second" },
  { "root ::= \"a\"{99999999999}", "expected a number up to 1000000000" },
  { "root ::= \"a\"\n\nb ::= c\n  d ::= \"x\"\n", "line 3, column 7: expected the name of a rule that is defined, found c" },
  { "root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: expected a rule that is not defined yet, found a second" },
  { "root ::= \"a\"\n| \"b\"", "line 2, column 1: expected the name of a rule, found \"|\"" },
  { "root ::= <think>", "a token literal, <...> or !<...>, which is not supported" },
  { "root ::= !<[12]>", "a token literal, <...> or !<...>, which is not supported" },
  { "root ::= \"\303\251\" \377", "line 1, column 14: expected UTF-8, found a byte that is not" },
  { "root ::= root \"a\" | \"b\"", "rule \"root\" refers to itself at its left end" },
  { "root ::= a\na ::= \"x\"? b\nb ::= [0-9]* a | \"z\"", "rule \"a\" refers to itself at its left end" },
  { "root ::= (\"x\"? root)*", "rule \"root\" refers to itself at its left end" },
  { "root ::= \"a\" root", "rule \"root\" has no sentence" },
  { "root ::= \"a\" | b\nb ::= \"(\" b \")\"", "rule \"b\" has no sentence" },
};

static void
test_refusals (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++) {
    g_autoptr (GError) error = NULL;

    g_autofree char *shown = g_utf8_make_valid (refusals[i].grammar, -1);

    g_test_message ("%s", shown);
    g_assert_null (tern_grammar_from_gbnf (refusals[i].grammar, &error));
    g_assert_nonnull (error);
    g_assert_true (error->domain == TERN_ERROR);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, refusals[i].message));
    g_assert_null (strchr (error->message, '\n'));
  }
}

static void
test_builder_refusals (void)
{
  g_autoptr (TernGrammarBuilder) b = tern_grammar_builder_new ();
  TernRule root = tern_grammar_declare (b, "start");
  g_autoptr (GError) error = NULL;

  g_assert_null (tern_grammar_build (b, root, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_cmpstr (error->message, ==, "rule \"start\" is not defined");
  g_clear_error (&error);
  tern_grammar_define (b, root, tern_grammar_repeat (b, tern_grammar_bytes (b, "x", 1), 3, 2));
  g_assert_null (tern_grammar_build (b, root, &error));
  g_assert_cmpstr (error->message, ==, "a grammar repeats a part at least 3 and at most 2 times");
}

/* ---- What is hostile --------------------------------------------------------------------------------------------- */

static char *
repeated (const char *before, const char *what, guint n, const char *after)
{
  GString *text = g_string_new (before);

  while (n-- > 0)
    g_string_append (text, what);
  g_string_append (text, after);
  return g_string_free (text, FALSE);
}

static double
seconds (void)
{
  return clock () / (double) CLOCKS_PER_SEC;
}

/* An error, or a grammar that something can be said in. */
static void
survive (const char *text, const char *message)
{
  g_autoptr (GError) error = NULL;
  double began = seconds ();
  g_autoptr (TernGrammar) grammar = tern_grammar_from_gbnf (text, &error);
  g_autoptr (TernConstraint) c = NULL;
  g_autoptr (TernMatcher) m = tern_matcher_new ();

  if (message) {
    g_assert_null (grammar);
    g_assert_nonnull (strstr (error->message, message));
    return;
  }
  g_assert_no_error (error);
  c = tern_constraint_new (grammar, trie, &error);
  if (!c) {                     /* too long a one */
    g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
    return;
  }
  tern_matcher_begin (m, c);
  for (guint left = 300; left > 0 && !tern_matcher_must_end (m) && !tern_matcher_failed (m); left--) {
    const guint32 *mask = tern_matcher_mask (m, G_MAXUINT);
    guint byte = 0;

    while (byte < 256 && !(mask[byte / 32] >> byte % 32 & 1))
      byte++;
    g_assert_cmpuint (byte, <, 256);
    tern_matcher_accept (m, byte);
  }
  g_assert_false (tern_matcher_failed (m));
  g_test_message ("%.60s: %.2f s", text, seconds () - began);
}

static void
test_hostile (void)
{
  g_autofree char *deep = repeated ("root ::= ", "(", 100000, "\"a\"");
  g_autofree char *nested = repeated ("root ::= ", "(", 400, "\"a\""), *nested_end = repeated (nested, ")", 400, "");
  g_autofree char *long_text = repeated ("root ::= \"", "abcdefgh", 131072, "\"");
  g_autofree char *long_list = repeated ("root ::= \"x\"", " | \"word\" [0-9]", 60000, "");
  g_autofree char *optional = repeated ("root ::= ", "[a-z]? ", 2000, "\"0\"");
  g_autofree char *powers = repeated ("root ::= [a-z]", "{0,1000}", 20, "\"0\"");

  survive (deep, "at most 500 levels of parentheses, found one more");
  survive (nested_end, NULL);
  survive (long_text, "a grammar is too large: expected at most 262144 states");
  survive (long_list, NULL);
  survive (optional, NULL);
  survive (powers, NULL);
  survive ("root ::= [a-z]{1000000000}", NULL);
  survive ("root ::= ([a-z]{1000000} \"x\"{1,1000000} ){1000000000}", NULL);
  survive ("root ::= (\"a\" | \"a\" root \"a\" | \"a\" root \"b\")", NULL);
  survive ("root ::= a a\na ::= b b\nb ::= c c\nc ::= d d\nd ::= e e\ne ::= (\"a\" | \"aa\"){1,1000}", NULL);
  survive ("root ::= (\"a\" | \"b\")* \"a\" (\"a\" | \"b\"){60} \"c\"", NULL);
  survive ("root ::= \"a\" root? root? root?", NULL);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  make_trie ();
  g_test_add_func ("/grammar/meanings", test_meanings);
  g_test_add_func ("/grammar/refusals", test_refusals);
  g_test_add_func ("/grammar/builder-refusals", test_builder_refusals);
  g_test_add_func ("/grammar/hostile", test_hostile);
  status = g_test_run ();
  tern_token_trie_unref (trie);
  return status;
}
