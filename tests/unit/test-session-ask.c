/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions beside the windows: requests, labels, partial answers, what prompts say of their window. */
#include "session-fixture.h"
#include "engine/grammar/constraint-priv.h"
#include "tern/placeholders.h"
#include "tern/session-priv.h"

static const char *const yes_no[] = { "yes", "no", NULL };

/* ---- Labels ---- */

static void
check_scores (const TernResult *result, guint n)
{
  double sum = 0, best = 0;
  guint at = 0;

  g_assert_cmpstr (result->kind, ==, "answer");
  g_assert_cmpuint (result->version, ==, 2);
  g_assert_cmpuint (result->n_labels, ==, n);
  for (guint i = 0; i < n; i++) {
    g_assert_true (result->scores[i] >= 0 && result->scores[i] <= 1);
    sum += result->scores[i];
    if (result->scores[i] > best) {
      best = result->scores[i];
      at = i;
    }
  }
  g_assert_cmpfloat_with_epsilon (sum, 1, 1e-9);
  g_assert_cmpfloat (result->confidence, ==, best);
  g_assert_cmpstr (result->result, ==, result->labels[at]);
}

static void
test_labels (void)
{
  static const char *const phrases[] = { "nothing happens", "a dog runs", "a dog", "two people talk", NULL };
  TernQuestion questions[] = { { .prompt = "Is there a dog?", .prompt_id = "dog", .labels = yes_no, .min_confidence = 1 },
    { .prompt = "What happens?", .prompt_id = "what" },
    { .prompt = "What happens?", .prompt_id = "phrase", .labels = phrases } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL, alone = NULL;
  g_autoptr (TernResult) dog = NULL, what = NULL, phrase = NULL, again = NULL;

  params.questions = questions;
  params.n_questions = G_N_ELEMENTS (questions);
  session = new_session (model, &params);
  push_run (session, 0, 4, 0);
  tern_session_finish (session);
  dog = next_result (session);
  what = next_result (session);
  phrase = next_result (session);
  check_scores (dog, 2);
  g_assert_true (dog->abstained);
  g_assert_cmpstr (what->kind, ==, "caption");
  g_assert_cmpuint (what->version, ==, 1);
  check_scores (phrase, 4);
  g_assert_false (phrase->abstained);

  /* Who else is asked does not show. */
  params.questions = &questions[2];
  params.n_questions = 1;
  alone = new_session (model, &params);
  push_run (alone, 0, 4, 0);
  tern_session_finish (alone);
  again = next_result (alone);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpfloat_with_epsilon (again->scores[i], phrase->scores[i], 1e-6);
}

static void
test_bad_questions (void)
{
  static const char *const one[] = { "yes", NULL }, *const twice[] = { "yes", "yes", NULL };
  const struct { TernQuestion question; const char *says; } cases[] = {
    { { .labels = yes_no, .json_schema = "{}" }, "*labels and json_schema*" },
    { { .json_schema = "{}", .grammar = "root ::= \"a\"" }, "*json_schema and grammar*" },
    { { .labels = one }, "*2*" },
    { { .labels = twice }, "*yes*" },
    { { .labels = yes_no, .min_confidence = 1.5 }, "*min_confidence*1.5*" },
    { { .max_tokens = TERN_MAX_TOKENS_MAX + 1 }, "*max_tokens*" },
    { { .task = "no-such-task" }, "*no-such-task*" },
    { { .action = TRUE }, "*action model*" },
    { { .json_schema = "{" }, "*json_schema*" },
    { { .grammar = "root ::= nobody" }, "*grammar*nobody*" },
    { { .json_schema = "{\"type\":\"string\",\"minLength\":600}", .max_tokens = 20 }, "*json_schema*max_tokens*20*" },
    { { .prompt = "\xff" }, "*UTF-8*" },
  };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    TernRequest request = { .question = cases[i].question };
    g_autoptr (GError) error = NULL, asked = NULL;
    guint64 id = 77;

    g_assert_false (tern_session_set_questions (session, &cases[i].question, 1, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    if (!g_pattern_match_simple (cases[i].says, error->message))
      g_error ("%s: %s", cases[i].says, error->message);
    g_assert_false (tern_session_ask (session, &request, &id, &asked));
    g_assert_error (asked, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_cmpuint (id, ==, 77);
  }
}

/* ---- Schemas and grammars ---- */

#define SCHEMA "{\"type\":\"object\",\"properties\":{\"dogs\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}," \
    "\"where\":{\"enum\":[\"left\",\"right\"]}},\"required\":[\"dogs\",\"where\"],\"additionalProperties\":false}"

static void
test_forms (void)
{
  TernQuestion questions[] = { { .prompt = "How many dogs?", .prompt_id = "json", .json_schema = SCHEMA, .max_tokens = 40 },
    { .prompt = "Is there a dog?", .prompt_id = "gbnf", .grammar = "root ::= (\"yes\" | \"no\") \", \" [a-z]{3} \"!\"",
      .max_tokens = 12 }, { .prompt = "What?", .prompt_id = "free" } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();

  params.questions = questions;
  params.n_questions = G_N_ELEMENTS (questions);
  for (guint beam = 1; beam <= 3; beam += 2)
    for (guint seed = 0; seed < (beam > 1 ? 1 : 4); seed++) {
      g_autoptr (TernSession) session = NULL;
      g_autoptr (TernResult) json = NULL, gbnf = NULL, free_one = NULL;

      params.sampling.beam = beam;
      params.sampling.temperature = seed ? 1.5f : 0;
      params.sampling.seed = seed;
      session = new_session (model, &params);
      push_run (session, 0, 4, 0);
      tern_session_finish (session);
      json = next_result (session);
      gbnf = next_result (session);
      free_one = next_result (session);
      g_assert_cmpstr (json->kind, ==, "answer");
      g_assert_cmpuint (json->version, ==, 1);
      g_assert_cmpstr (json->finish_reason, ==, "stop");
      g_assert_true (g_regex_match_simple ("^\\{\"dogs\": ?[0-9], ?\"where\": ?\"(left|right)\"\\}$", json->result, 0, 0));
      g_assert_cmpstr (gbnf->kind, ==, "answer");
      g_assert_true (g_regex_match_simple ("^(yes|no), [a-z]{3}!$", gbnf->result, 0, 0));
      g_assert_cmpstr (free_one->kind, ==, "caption");
    }
}

/* Forms of questions that are asked no more, or cannot be asked, are given back: each holds the model's tokens. */
static void
test_forms_end (void)
{
  const TernQuestion forms[] = { { .json_schema = SCHEMA, .max_tokens = 40 }, { .prompt_id = "b", .grammar = "root ::= \"a\"" } };
  const TernQuestion one_bad[] = { { .json_schema = SCHEMA, .max_tokens = 40 }, { .prompt_id = "b", .grammar = "root" } };
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernTokenTrie) tokens = tern_model_text_trie (tern_model_text (model), NULL);
  gatomicrefcount before = tokens->refs;
  TernSessionParams params = quick_params ();

  {
    g_autoptr (TernSession) session = new_session (model, &params);
    g_autoptr (GError) error = NULL;

    g_assert_true (tern_session_set_questions (session, forms, G_N_ELEMENTS (forms), &error));
    g_assert_no_error (error);
    g_assert_cmpint (tokens->refs, !=, before);
    g_assert_false (tern_session_set_questions (session, one_bad, G_N_ELEMENTS (one_bad), &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_clear_error (&error);
    g_assert_true (tern_session_set_questions (session, &(TernQuestion) { .prompt = "What?" }, 1, &error));
    g_assert_no_error (error);
    g_assert_cmpint (tokens->refs, ==, before);
  }
  g_assert_cmpint (tokens->refs, ==, before);
}

/* ---- Requests ---- */

/* What is asked about an open window is what a window that ends there is asked, and windows do not notice. */
static void
test_ask (void)
{
  TernQuestion question = { .prompt = "What is there?", .prompt_id = "mine" };
  TernRequest request = { .question = question };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL, plain = NULL, short_one = NULL;
  g_autoptr (TernResult) got = NULL, wanted = NULL;
  g_autofree char *windows = NULL, *undisturbed = NULL;

  params.compress.method = TERN_METHOD_NONE;
  session = new_session (model, &params);
  push_run (session, 0, 3, 0);
  request.frames = 3;           /* these: not those that were looked at by now */
  g_assert_cmpuint (ask_of (session, &request), ==, 1);
  got = next_of_requests (session);
  g_assert_cmpuint (got->ask_id, ==, 1);
  g_assert_cmpstr (got->prompt_id, ==, "mine");
  g_assert_cmpuint (got->frames, ==, 3);
  g_assert_cmpfloat (got->start, ==, 0);
  g_assert_cmpfloat (got->end, ==, 1.5);
  push_run (session, 3, 9, 0);
  tern_session_finish (session);
  windows = drain (session);

  plain = new_session (model, &params);
  push_run (plain, 0, 12, 0);
  tern_session_finish (plain);
  undisturbed = drain (plain);
  g_assert_cmpstr (windows, ==, undisturbed);

  params.questions = &question;
  params.n_questions = 1;
  short_one = new_session (model, &params);
  push_run (short_one, 0, 3, 0);
  tern_session_finish (short_one);
  wanted = next_result (short_one);
  g_assert_cmpstr (got->result, ==, wanted->result);
  g_assert_cmpfloat_with_epsilon (got->confidence, wanted->confidence, 1e-6);
}

static void
test_ask_often (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (TernSession) plain = new_session (model, &params);
  g_autofree char *wanted = NULL;
  GString *windows = g_string_new (NULL);
  TernResult *result;
  guint64 answered = 0;

  for (guint i = 0; i < 100; i++) {
    g_autofree char *id = g_strdup_printf ("ask %u", i);
    TernRequest request = { .question = { .prompt = i % 2 ? "Yes?" : "What?", .prompt_id = id, .labels = i % 2 ? yes_no
          : NULL, .max_tokens = 1 + i % 4 }, .frames = i % 3 };

    push_run (session, i, 1, 0);
    push_run (plain, i, 1, 0);
    while (!tern_session_ask (session, &request, NULL, NULL))   /* as many wait as may */
      tern_session_wait (session, 1000);
  }
  tern_session_finish (session);
  tern_session_finish (plain);
  while ((result = next_result (session))) {
    if (result->ask_id) {
      g_autofree char *id = g_strdup_printf ("ask %" G_GUINT64_FORMAT, answered);

      g_assert_cmpuint (result->ask_id, ==, ++answered);
      g_assert_cmpstr (result->prompt_id, ==, id);
      g_assert_cmpstr (result->kind, ==, answered % 2 ? "caption" : "answer");
    } else {
      g_string_append_printf (windows, "%s|%.3f-%.3f|%s|%u\n", result->kind, result->start, result->end, result->result,
          result->visual_kept);
    }
    tern_result_unref (result);
  }
  g_assert_cmpuint (answered, ==, 100);
  wanted = drain (plain);
  g_assert_cmpstr (windows->str, ==, wanted);
  g_string_free (windows, TRUE);
}

/* A request that nothing can be said to ends in its own time, or with the stretch. */
static void
test_nothing_to_see (void)
{
  TernRequest hasty = { .question = { .prompt = "What?", .prompt_id = "hasty" }, .timeout = 1 };
  TernRequest patient = { .question = { .prompt = "What?", .prompt_id = "patient" } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (TernResult) first = NULL, second = NULL, third = NULL, none = NULL;
  Hold hold;

  ask_of (session, &patient);
  ask_of (session, &hasty);
  first = next_result (session);
  g_assert_cmpstr (first->prompt_id, ==, "hasty");
  g_assert_cmpstr (first->kind, ==, "error");
  g_assert_true (strstr (first->result, "timeout") != NULL);
  tern_session_finish (session);
  second = next_result (session);
  g_assert_cmpstr (second->prompt_id, ==, "patient");
  g_assert_cmpstr (second->kind, ==, "error");
  g_assert_true (strstr (second->result, "no frame") != NULL);

  hold_engine (&hold, model);
  ask_of (session, &patient);
  tern_session_cancel (session);
  release_engine (&hold);
  third = next_result (session);
  g_assert_cmpstr (third->finish_reason, ==, "cancelled");
  none = next_result (session);
  g_assert_null (none);
}

/* What comes after a flush is what is asked about then. */
static void
test_flush (void)
{
  TernRequest request = { .question = { .prompt = "What?", .prompt_id = "kept" } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (TernResult) result = NULL;
  Hold hold;

  push_run (session, 0, 3, 0);
  hold_engine (&hold, model);
  ask_of (session, &request);
  tern_session_flush (session);
  release_engine (&hold);
  push_run (session, 40, 2, 1);
  tern_session_finish (session);
  result = next_of_requests (session);
  g_assert_cmpstr (result->prompt_id, ==, "kept");
  g_assert_cmpstr (result->kind, ==, "caption");
  g_assert_cmpfloat (result->start, ==, 20);
}

static void
test_too_many (void)
{
  TernRequest request = { .question = { .prompt = "What?" } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (GError) error = NULL;
  guint n = 0;

  for (guint i = 0; i < TERN_REQUESTS_MAX; i++)
    g_assert_cmpuint (ask_of (session, &request), ==, i + 1);
  g_assert_false (tern_session_ask (session, &request, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
  g_clear_error (&error);
  request.frames = 5;           /* a window has 4 */
  g_assert_false (tern_session_ask (session, &request, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  push_run (session, 0, 1, 0);
  for (TernResult *result; (result = next_result (session)); n++)
    tern_result_unref (result);
  g_assert_cmpuint (n, ==, TERN_REQUESTS_MAX);
}

/* A request is about a time as a window is: from the tick of its first frame, be that of two or late, up to where the stream has
 * come. */
static void
test_times (void)
{
  g_autoptr (TernModel) one = open_model (0), two = open_pair (TERN_TEST_DATA "/qwen3vl/qwen3vl-q8_0.gguf",
      TERN_TEST_DATA "/qwen3vl/mmproj-f16.gguf");

  for (guint demand = 0; demand < 2; demand++)
    for (guint pairs = 0; pairs < 2; pairs++) {
      TernSessionParams params = quick_params ();
      g_autoptr (TernSession) session = NULL;
      TernModel *model = pairs ? two : one;

      params.window = 8 * TERN_SECOND;
      params.on_demand = demand;
      session = new_session (model, &params);
      for (guint i = 0; i < 9; i++)     /* each second one is looked at */
        push (session, i, 0, MS (250 * i), MS (250));
      if (!pairs || demand) {
        expect_times (model, session, 1, 1, 2000, 2250);
        expect_times (model, session, 0, pairs ? 3 : 5, 0, 2250);
      } else {                  /* the last one waits for its second */
        expect_times (model, session, 1, 1, 1000, 2000);
        expect_times (model, session, 0, 2, 0, 2000);
      }
      tern_session_finish (session);    /* it is alone, and the stream has come to an end */
      expect_times (model, session, 1, 1, 2000, 2250);
      expect_times (model, session, 3, 3, pairs ? 0 : 1000, 2250);
      push (session, 0, 0, MS (2510), MS (40));
      push (session, 0, 0, MS (3020), MS (40));
      if (!pairs) {
        expect_times (model, session, 1, 1, 3010, 3060);       /* late by 10 ms */
        expect_times (model, session, 2, 2, 2510, 3060);
      } else if (!demand) {
        expect_times (model, session, 1, 1, 2510, 3060);
      }
    }
}

/* Requests alone, about the newest frames, however windows lie. */
static void
test_on_demand (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  guint64 id = 0;

  params.on_demand = TRUE;
  session = new_session (model, &params);
  for (guint i = 0; i < 11; i++) {
    TernRequest request = { .question = { .prompt = "What?", .max_tokens = 2 }, .frames = 3 };
    g_autoptr (TernResult) result = NULL;

    push_run (session, i, 1, 0);
    g_assert_cmpuint (ask_of (session, &request), ==, ++id);
    result = next_result (session);
    g_assert_cmpuint (result->ask_id, ==, id);
    g_assert_cmpuint (result->frames, ==, MIN (i + 1, 3));
    g_assert_cmpfloat (result->end, ==, .5 * (i + 1));
  }
  tern_session_finish (session);
  g_assert_null (next_result (session));
}

/* ---- Words as they come ---- */

static void
test_partial (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernResult) before = NULL;
  TernResult *result;
  guint partial = 0, whole = 0;

  params.partial = TERN_PARTIAL_WORDS;
  params.sampling.max_tokens = 24;
  session = new_session (model, &params);
  push_run (session, 0, 4, 0);
  tern_session_finish (session);
  while ((result = next_result (session))) {
    if (before)
      g_assert_true (g_str_has_prefix (result->result, before->result));
    if (g_str_equal (result->kind, "partial")) {
      g_assert_true (*result->result);
      g_assert_false (g_str_has_suffix (result->result, " "));
      partial++;
    } else {
      g_assert_cmpstr (result->kind, ==, "caption");
      whole++;
    }
    g_clear_pointer (&before, tern_result_unref);
    before = result;
  }
  g_assert_cmpuint (whole, ==, 1);
  g_test_message ("%u partial results before \"%s\"", partial, before->result);
  g_assert_true (partial > 0 || !strchr (before->result, ' '));
}

/* ---- What prompts say of their window ---- */

static void
test_placeholders (void)
{
  const TernPlaceholders values = { MS (1500), MS (61250), 8, "a {end}.mp4" };
  const struct { const char *text, *filled; } cases[] = {
    { "", "" }, { "plain", "plain" }, { "{start}", "1.5" }, { "{end}s", "61.25s" }, { "{n_frames} {source}", "8 a {end}.mp4" },
    { "{{start}}", "{1.5}" }, { "{other} {", "{other} {" }, { "{start", "{start" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *filled = tern_placeholders_fill (cases[i].text, &values);

    g_assert_cmpstr (filled, ==, cases[i].filled);
    g_assert_true (tern_placeholders_any (cases[i].text) == !g_str_equal (cases[i].text, cases[i].filled));
  }
}

static void
test_filled_prompt (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernResult) first = NULL, second = NULL;

  params.prompt = "From {start} to {end}: {n_frames} frames of {source}";
  params.source = "clip";
  params.compress.method = TERN_METHOD_NONE;
  session = new_session (model, &params);
  push_run (session, 0, 6, 0);
  tern_session_finish (session);
  first = next_result (session);
  second = next_result (session);
  g_assert_cmpstr (first->prompt, ==, "From 0 to 2: 4 frames of clip");
  g_assert_cmpstr (second->prompt, ==, "From 2 to 3: 2 frames of clip");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ask/labels", test_labels);
  g_test_add_func ("/ask/bad-questions", test_bad_questions);
  g_test_add_func ("/ask/forms", test_forms);
  g_test_add_func ("/ask/forms-end", test_forms_end);
  g_test_add_func ("/ask/ask", test_ask);
  g_test_add_func ("/ask/often", test_ask_often);
  g_test_add_func ("/ask/nothing-to-see", test_nothing_to_see);
  g_test_add_func ("/ask/flush", test_flush);
  g_test_add_func ("/ask/too-many", test_too_many);
  g_test_add_func ("/ask/on-demand", test_on_demand);
  g_test_add_func ("/ask/times", test_times);
  g_test_add_func ("/ask/partial", test_partial);
  g_test_add_func ("/ask/placeholders", test_placeholders);
  g_test_add_func ("/ask/filled-prompt", test_filled_prompt);
  return g_test_run ();
}
