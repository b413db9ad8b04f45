/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tern caption is asked: questions, labels, tasks of the model file, and answers of a form. */
#include <glib/gstdio.h>

#include "tests/unit/caption-run.h"

static void
test_bad_questions (void)
{
  const char *still = at ("still.ppm"), *a = at ("a.json"), *b = at ("b.gbnf");

  if (absent ())
    return;
  clip_write_bytes (a, "{\"type\": \"string\"}", 18);
  clip_write_bytes (b, "root ::= \"a\"\n", 13);
  clip_write_bytes (at ("utf8.json"), "{\n \"\xff\": 1}", 10);
  expect_usage (caption ("--labels", "yes,no", "--json-schema", a, still, NULL), WORDS ("--labels", "--json-schema"));
  expect_usage (caption ("--labels", "yes,no", "--grammar", b, still, NULL), WORDS ("--labels", "--grammar"));
  expect_usage (caption ("--json-schema", a, "--grammar", b, still, NULL), WORDS ("--json-schema", "--grammar"));
  expect_usage (caption ("--labels", "yes", still, NULL), WORDS ("--labels", "2 to 256", "found 1"));
  expect_usage (caption ("--labels", "yes,,no", still, NULL), WORDS ("--labels", "label 2 is empty"));
  expect_usage (caption ("--labels", "yes, no ,no", still, NULL), WORDS ("--labels", "\"no\" twice"));
  expect_usage (caption ("--labels", "a,b", "--min-confidence", "1.5", still, NULL), WORDS ("--min-confidence", "1.5"));
  expect_usage (caption ("--labels", "a,b", "--min-confidence", "nan", still, NULL), WORDS ("--min-confidence", "nan"));
  expect_usage (caption ("--min-confidence", ".5", still, NULL), WORDS ("--min-confidence", "--labels"));
  expect_usage (caption ("--json-schema", at ("utf8.json"), still, NULL), WORDS ("utf8.json: line 2, column 3", "0xff"));
  expect_usage (caption ("--question", "a=x", "--prompt", "y", still, NULL), WORDS ("--question", "--prompt"));
  expect_usage (caption ("--question", "what", still, NULL), WORDS ("--question", "ID=TEXT", "what"));
  expect_usage (caption ("--question", "=what", still, NULL), WORDS ("--question", "ID=TEXT", "=what"));
  expect_usage (caption ("--question", "a=x", "--question", "a=y", still, NULL), WORDS ("--question", "a twice"));
  expect_usage (caption ("--question", "a=x", "--question", "b=y", "--format", "srt", "--output", at ("subs"),
          at ("clips/a.y4m"), NULL), WORDS ("--question", "subtitles", "found 2"));
  expect_usage (caption ("--task", "fire", still, NULL), WORDS ("--task", "lfm2-tq2_0.gguf", "none", "tern tasks"));
  {
    g_auto (Run) run = caption ("--json-schema", at ("none.json"), still, NULL);

    g_assert_cmpint (run.status, ==, 1);
    g_assert_nonnull (strstr (run.err, "none.json"));
  }
}

/* A line for each question and window, in that order. */
static void
test_questions (void)
{
  g_auto (Run) run = { 0 };
  g_auto (GStrv) lines = NULL;
  g_autofree char *found = NULL;

  if (absent ())
    return;
  run = caption ("--question", "where=Where is \"it\"? x=1", "--question", "what=", at ("clips/a.y4m"), at ("still.ppm"), NULL);
  g_assert_cmpstr (run.err, ==, "");
  g_assert_cmpint (run.status, ==, 0);
  found = summary (run.out);
  g_assert_cmpstr (found, ==, "clips/a.y4m 0-4\nclips/a.y4m 0-4\nclips/a.y4m 4-5\nclips/a.y4m 4-5\n"
      "still.ppm 0-0\nstill.ppm 0-0\n");
  lines = g_strsplit (run.out, "\n", -1);
  for (guint i = 0; i < 6; i++)
    g_assert_nonnull (strstr (lines[i], i % 2 ? "\"prompt_id\":\"what\",\"prompt\":\"\""
            : "\"prompt_id\":\"where\",\"prompt\":\"Where is \\\"it\\\"? x=1\""));
}

/* Each line of @run is an answer of @labels that abstains or does not; the prompt_ids, each with a newline. */
static char *
check_answers (const Run *run, const char *const *labels, gboolean abstained)
{
  g_auto (GStrv) lines = g_strsplit (run->out, "\n", -1);
  GString *ids = g_string_new (NULL);

  g_assert_cmpstr (run->err, ==, "");
  g_assert_cmpint (run->status, ==, 0);
  for (guint i = 0; *lines[i]; i++) {
    g_autoptr (JsonParser) parser = json_parser_new ();
    double sum = 0, most = 0;
    guint best = 0, n = g_strv_length ((char **) labels);
    JsonObject *one;

    g_assert_true (json_parser_load_from_data (parser, lines[i], -1, NULL));
    one = json_node_get_object (json_parser_get_root (parser));
    g_assert_cmpint (json_object_get_int_member (one, "version"), ==, 2);
    g_assert_cmpstr (json_object_get_string_member (one, "kind"), ==, "answer");
    g_assert_cmpuint (json_array_get_length (json_object_get_array_member (one, "labels")), ==, n);
    g_assert_cmpuint (json_array_get_length (json_object_get_array_member (one, "scores")), ==, n);
    for (guint l = 0; l < n; l++) {
      double score = json_array_get_double_element (json_object_get_array_member (one, "scores"), l);

      g_assert_cmpstr (json_array_get_string_element (json_object_get_array_member (one, "labels"), l), ==, labels[l]);
      sum += score;
      best = score > most ? l : best;
      most = MAX (most, score);
    }
    g_assert_cmpfloat_with_epsilon (sum, 1, 1e-6);
    g_assert_cmpstr (json_object_get_string_member (one, "result"), ==, labels[best]);
    g_assert_cmpfloat (json_object_get_double_member (one, "confidence"), ==, most);
    g_assert_cmpint (json_object_get_boolean_member (one, "abstained"), ==, abstained);
    g_string_append_printf (ids, "%s\n", json_object_get_string_member (one, "prompt_id"));
  }
  return g_string_free (ids, FALSE);
}

static void
test_labels (void)
{
  const char *const *labels = WORDS ("yes", "no, not now", "two words\\");
  const char *given = "yes, no\\, not now ,two words\\\\", *still = at ("still.ppm");
  g_auto (Run) sure = { 0 }, several = { 0 }, srt = { 0 };
  g_autofree char *one = NULL, *three = NULL;

  if (absent ())
    return;
  sure = caption ("--labels", given, "--prompt", "Is it?", at ("clips/a.y4m"), still, NULL);
  one = check_answers (&sure, labels, FALSE);
  g_assert_cmpstr (one, ==, "\n\n\n");
  several = caption ("--labels", given, "--question", "b=Is it?", "--question", "a=Is it not?", at ("clips/a.y4m"), NULL);
  three = check_answers (&several, labels, FALSE);
  g_assert_cmpstr (three, ==, "b\na\nb\na\n");
  srt = caption ("--labels", "same,other", "--format", "srt", "--output", at ("of-labels"), at ("clips/b/c.y4m"), NULL);
  g_assert_cmpint (srt.status, ==, 0);
  assert_cues (at ("of-labels/c.srt"), "1\n00:00:00,000 --> 00:00:01,000\n");
}

/* The file's own question, and what goes before it. Its temperature makes the random model unsure. */
static void
test_task (void)
{
  g_auto (Run) task = { 0 }, other = { 0 }, labels = { 0 }, both = { 0 };
  g_autofree char *one = NULL, *two = NULL, *three = NULL, *source = NULL;
  const char *model = at ("tasks.gguf"), *still = at ("still.ppm");

  if (absent ())
    return;
  source = g_build_filename (g_getenv ("TERN_GOLDEN"), "lfm2", "lfm2-tq2_0.gguf", NULL);
  {
    const char *const argv[] = { g_getenv ("TERN_PROGRAM"), "tasks", source, model, "--set", "fire", "--prompt", "Fire?",
      "--labels", "yes,no", "--label-temperature", "1000", NULL };

    g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, NULL, NULL));
  }
  task = caption ("--model", model, "--task", "fire", still, NULL);
  one = check_answers (&task, WORDS ("yes", "no"), FALSE);
  g_assert_cmpstr (one, ==, "fire\n");
  g_assert_nonnull (strstr (task.out, "\"prompt\":\"Fire?\""));
  labels = caption ("--model", model, "--task", "fire", "--labels", "big,small,none", "--min-confidence", "0.9", still, NULL);
  two = check_answers (&labels, WORDS ("big", "small", "none"), TRUE);
  g_assert_nonnull (strstr (labels.out, "\"prompt\":\"Fire?\""));
  both = caption ("--model", model, "--task", "fire", "--question", "a=Smoke?", "--question", "b=Water?", still, NULL);
  three = check_answers (&both, WORDS ("yes", "no"), FALSE);
  g_assert_cmpstr (three, ==, "a\nb\n");
  g_assert_nonnull (strstr (both.out, "\"prompt\":\"Smoke?\""));
  other = caption ("--model", model, "--task", "flood", still, NULL);
  g_assert_cmpint (other.status, ==, 2);
  g_assert_nonnull (strstr (other.err, "expected one of fire,"));
  g_assert_nonnull (strstr (other.err, "found flood"));
}

static JsonObject *
one_answer (const Run *run, JsonParser *parser)
{
  JsonObject *one;

  g_assert_cmpstr (run->err, ==, "");
  g_assert_cmpint (run->status, ==, 0);
  g_assert_true (json_parser_load_from_data (parser, run->out, -1, NULL));
  one = json_node_get_object (json_parser_get_root (parser));
  g_assert_cmpstr (json_object_get_string_member (one, "kind"), ==, "answer");
  g_assert_cmpstr (json_object_get_string_member (one, "finish_reason"), ==, "stop");
  g_assert_false (json_object_has_member (one, "labels"));
  return one;
}

/* What a random model says has the form all the same; with fewer tokens it could not, and is refused. */
static void
test_schema (void)
{
  static const char schema[] = "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\"}, \"what\": "
      "{\"enum\": [\"dog\", \"cat\"]}}, \"required\": [\"n\", \"what\"], \"additionalProperties\": false}";
  static const char bad[] = "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"number!\"}}}";
  g_autoptr (JsonParser) line = json_parser_new (), value = json_parser_new ();
  g_auto (Run) run = { 0 }, few = { 0 };
  JsonObject *answer;

  if (absent ())
    return;
  clip_write_bytes (at ("good.json"), schema, strlen (schema));
  clip_write_bytes (at ("bad.json"), bad, strlen (bad));
  clip_write_bytes (at ("cut.json"), schema, strlen (schema) / 2);
  run = caption ("--json-schema", at ("good.json"), "--max-tokens", "64", at ("still.ppm"), NULL);
  g_assert_true (json_parser_load_from_data (value, json_object_get_string_member (one_answer (&run, line), "result"), -1, NULL));
  answer = json_node_get_object (json_parser_get_root (value));
  g_assert_cmpuint (json_object_get_size (answer), ==, 2);
  g_assert_cmpint (json_node_get_value_type (json_object_get_member (answer, "n")), ==, G_TYPE_INT64);
  g_assert_true (g_strv_contains (WORDS ("dog", "cat"), json_object_get_string_member (answer, "what")));

  few = caption ("--json-schema", at ("good.json"), at ("still.ppm"), NULL);
  g_assert_cmpint (few.status, !=, 0);
  g_assert_cmpstr (few.out, ==, "");
  g_assert_nonnull (strstr (few.err, "3"));
  expect_usage (caption ("--json-schema", at ("bad.json"), at ("still.ppm"), NULL), WORDS (at ("bad.json"),
          "/properties/n", "number!"));
  expect_usage (caption ("--json-schema", at ("cut.json"), at ("still.ppm"), NULL), WORDS (at ("cut.json")));
}

static void
test_grammar (void)
{
  static const char grammar[] = "root ::= item (\", \" item)* \".\"\nitem ::= \"a dog\" | \"a cat\"\n";
  static const char bad[] = "root ::= item\nitem ::= (\"a\" \n";
  g_autoptr (JsonParser) line = json_parser_new ();
  g_auto (Run) run = { 0 };

  if (absent ())
    return;
  clip_write_bytes (at ("good.gbnf"), grammar, strlen (grammar));
  clip_write_bytes (at ("bad.gbnf"), bad, strlen (bad));
  run = caption ("--grammar", at ("good.gbnf"), "--max-tokens", "40", at ("still.ppm"), NULL);
  g_assert_true (g_regex_match_simple ("^a (dog|cat)(, a (dog|cat))*\\.$", json_object_get_string_member (one_answer (&run,
                  line), "result"), 0, 0));
  expect_usage (caption ("--grammar", at ("bad.gbnf"), at ("still.ppm"), NULL), WORDS (at ("bad.gbnf"), "line"));
}

static void
make_inputs (void)
{
  g_assert_cmpint (g_mkdir_with_parents (at ("clips/b"), 0777), ==, 0);
  clip_write_y4m (at ("clips/a.y4m"), 64, 48, "10:1", 50, 0);
  clip_write_y4m (at ("clips/b/c.y4m"), 48, 64, "5:1", 5, 0);
  clip_write_ppm (at ("still.ppm"), 30, 60);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("tern-caption-XXXXXX", NULL);
  g_assert_nonnull (folder);
  make_inputs ();
  g_test_add_func ("/caption-questions/bad-questions", test_bad_questions);
  g_test_add_func ("/caption-questions/questions", test_questions);
  g_test_add_func ("/caption-questions/labels", test_labels);
  g_test_add_func ("/caption-questions/task", test_task);
  g_test_add_func ("/caption-questions/schema", test_schema);
  g_test_add_func ("/caption-questions/grammar", test_grammar);
  status = g_test_run ();
  clip_remove_folder (folder);
  g_free (folder);
  return status;
}
