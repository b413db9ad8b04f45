/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions beside the windows: requests, labels, partial answers, what prompts say of their window. */
#include <float.h>
#include <math.h>

#include "session-fixture.h"
#include "engine/grammar/constraint-priv.h"
#include "tern/placeholders.h"
#include "tern/session-priv.h"

static const char *const yes_no[] = { "yes", "no", NULL };

static guint64
ask (TernSession *session, const TernRequest *request)
{
  g_autoptr (GError) error = NULL;
  guint64 id = 0;
  gboolean ok = tern_session_ask (session, request, &id, &error);

  g_assert_no_error (error);
  g_assert_true (ok);
  return id;
}

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
  g_assert_cmpuint (ask (session, &request), ==, 1);
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

  ask (session, &patient);
  ask (session, &hasty);
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
  ask (session, &patient);
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
  ask (session, &request);
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
    g_assert_cmpuint (ask (session, &request), ==, i + 1);
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
    g_assert_cmpuint (ask (session, &request), ==, ++id);
    result = next_result (session);
    g_assert_cmpuint (result->ask_id, ==, id);
    g_assert_cmpuint (result->frames, ==, MIN (i + 1, 3));
    g_assert_cmpfloat (result->end, ==, .5 * (i + 1));
  }
  tern_session_finish (session);
  g_assert_null (next_result (session));
}

/* ---- Frames before their group ---- */

#define GRID 4                  /* tokens of a frame: GRID * GRID */
#define WIDTH 256

/* Frame @i's tokens: all, or those that are left of them. */
static TernTokens
make_tokens (guint i, gboolean all, float rows[GRID * GRID * WIDTH])
{
  for (guint n = 0; n < GRID * GRID * WIDTH; n++)
    rows[n] = (float) ((n * 7 + i * 31) % 19) / 19 - .5f;
  return (TernTokens) { .number = i, .pts = MS (500 * i), .duration = MS (500), .grid_w = GRID, .grid_h = GRID, .dim = WIDTH,
    .n_tokens = all ? GRID * GRID : GRID + i % 3, .tokens = rows };
}

static void
preview (TernSession *session, guint first, guint n)
{
  float rows[GRID * GRID * WIDTH];

  for (guint i = first; i < first + n; i++) {
    TernTokens tokens = make_tokens (i, TRUE, rows);
    g_autoptr (GError) error = NULL;

    tern_session_preview_tokens (session, &tokens, &error);
    g_assert_no_error (error);
  }
}

static void
push_tokens (TernSession *session, guint first, guint n, gboolean all)
{
  float rows[GRID * GRID * WIDTH];

  for (guint i = first; i < first + n; i++) {
    TernTokens tokens = make_tokens (i, all, rows);
    g_autoptr (GError) error = NULL;

    while (!tern_session_push_tokens (session, &tokens, &error)) {
      g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
      g_clear_error (&error);
      tern_session_wait (session, -1);
    }
  }
}

/* What a request of the newest @n frames (0: of the window) is about: that many, [start, end), that many tokens. */
static void
expect_seen (TernSession *session, guint n, guint frames, double start, double end, guint tokens)
{
  TernRequest request = { .question = { .prompt = "What?", .max_tokens = 2 }, .frames = n };
  g_autoptr (TernResult) result = NULL;

  ask (session, &request);
  result = next_of_requests (session);
  g_assert_cmpstr (result->kind, ==, "caption");
  g_assert_cmpuint (result->frames, ==, frames);
  g_assert_cmpfloat (result->start, ==, start);
  g_assert_cmpfloat (result->end, ==, end);
  g_assert_cmpuint (result->visual_kept, ==, tokens);
  g_assert_cmpuint (result->visual_in, ==, frames * GRID * GRID);
}

static void
expect_nothing_seen (TernSession *session)
{
  TernRequest request = { .question = { .prompt = "What?" } };
  g_autoptr (TernResult) result = NULL;

  ask (session, &request);
  tern_session_finish (session);
  result = next_of_requests (session);
  g_assert_cmpstr (result->kind, ==, "error");
  g_assert_true (strstr (result->result, "no frame") != NULL);
}

/* For a model without the encoder: whose frames these are is not known, nor how many tokens they have. */
static TernSession *
token_session (TernModel *model, guint seconds)
{
  TernSessionParams params = quick_params ();

  params.window = seconds * TERN_SECOND;
  params.compress.method = TERN_METHOD_NONE;
  return new_session (model, &params);
}

/* At once, with all their tokens, behind the frames that are there. */
static void
test_previews (void)
{
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  g_autoptr (TernSession) session = token_session (model, 4);
  const guint all = GRID * GRID, kept[] = { 4, 5, 6, 4, 5, 6, 4, 5 };
  guint before = kept[0] + kept[1] + kept[2] + kept[3];

  for (guint i = 0; i < 3; i++) {
    preview (session, i, 1);
    expect_seen (session, 0, i + 1, 0, .5 * (i + 1), all * (i + 1));
    expect_seen (session, 1, 1, .5 * i, .5 * (i + 1), all);
  }
  push_tokens (session, 0, 1, FALSE);           /* the others come behind it */
  expect_seen (session, 0, 3, 0, 1.5, kept[0] + 2 * all);
  push_tokens (session, 1, 3, FALSE);
  expect_seen (session, 0, 4, 0, 2, before);
  preview (session, 4, 2);
  expect_seen (session, 0, 6, 0, 3, before + 2 * all);
  expect_seen (session, 3, 3, 1.5, 3, kept[3] + 2 * all);
  preview (session, 4, 1);                      /* it comes again, and what was behind it is over */
  expect_seen (session, 0, 5, 0, 2.5, before + all);
  push_tokens (session, 4, 4, FALSE);
  preview (session, 8, 2);                      /* of the next window */
  expect_seen (session, 0, 2, 4, 5, 2 * all);
  expect_seen (session, 3, 3, 3.5, 5, kept[7] + 2 * all);
  push_tokens (session, 9, 1, FALSE);           /* the one before it will not come */
  expect_seen (session, 0, 1, 4.5, 5, 4);
}

/* Of two frames each, the second one 500 ms behind the first; the last one stands for 40 ms. */
static void
test_previews_times (void)
{
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  float rows[GRID * GRID * WIDTH];

  params.rate_n = 1;
  params.window = 8 * TERN_SECOND;
  params.compress.method = TERN_METHOD_NONE;
  session = new_session (model, &params);
  for (guint i = 0; i < 3; i++) {
    TernTokens tokens = make_tokens (i, TRUE, rows);
    g_autoptr (GError) error = NULL;

    tokens.pts = MS (1000 * i + 250);
    tokens.late = tokens.after = MS (250);
    tokens.duration = MS (290);
    g_assert_true (i == 0 ? tern_session_push_tokens (session, &tokens, &error)
        : tern_session_preview_tokens (session, &tokens, &error));
    expect_times (model, session, 0, i + 1, 0, 1000 * i + 540);
    expect_times (model, session, 1, 1, 1000 * i, 1000 * i + 540);
  }
  tern_session_see (session, MS (2900), MS (40));       /* further than its word, not further than its tick */
  expect_times (model, session, 2, 2, 1000, 2940);
  tern_session_see (session, MS (3500), MS (40));
  expect_times (model, session, 2, 2, 1000, 3000);
}

/* No more than a group has; none behind an end. */
static void
test_previews_end (void)
{
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  g_autoptr (TernSession) session = token_session (model, 4);
  TernRequest request = { .question = { .prompt = "What?" } };
  g_autoptr (TernResult) cancelled = NULL;
  Hold hold;

  preview (session, 0, 6);
  expect_seen (session, 0, 4, 1, 3, 4 * GRID * GRID);
  tern_session_flush (session);
  expect_nothing_seen (session);
  preview (session, 0, 2);
  tern_session_finish (session);
  expect_nothing_seen (session);
  preview (session, 0, 2);
  hold_engine (&hold, model);
  ask (session, &request);
  tern_session_cancel (session);
  release_engine (&hold);
  cancelled = next_of_requests (session);
  g_assert_cmpstr (cancelled->finish_reason, ==, "cancelled");
  expect_nothing_seen (session);

  push_tokens (session, 40, 4, TRUE);
  preview (session, 44, 1);
  expect_seen (session, 0, 5, 20, 22.5, 5 * GRID * GRID);
  push_tokens (session, 0, 1, TRUE);            /* time jumps back */
  expect_seen (session, 0, 1, 0, .5, GRID * GRID);
}

/* They are what a window of just these frames would be about. */
static void
test_previews_answer (void)
{
  TernQuestion question = { .prompt = "What is there?" };
  TernRequest request = { .question = question };
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  g_autoptr (TernSession) session = token_session (model, 4), plain = token_session (model, 4);
  g_autoptr (TernResult) got = NULL, wanted = NULL;
  g_autoptr (GError) error = NULL;

  push_tokens (session, 0, 4, FALSE);
  preview (session, 4, 3);
  ask (session, &request);
  got = next_of_requests (session);
  tern_session_set_questions (plain, &question, 1, &error);
  g_assert_no_error (error);
  push_tokens (plain, 0, 4, FALSE);
  push_tokens (plain, 4, 3, TRUE);
  tern_session_finish (plain);
  wanted = next_result (plain);
  g_assert_cmpuint (got->visual_kept, ==, wanted->visual_kept);
  g_assert_cmpstr (got->result, ==, wanted->result);
  g_assert_cmpfloat_with_epsilon (got->confidence, wanted->confidence, 1e-6);
}

/* All that windows say; what requests say is counted. */
static char *
windows_of (TernSession *session, guint *requests)
{
  GString *all = g_string_new (NULL);
  TernResult *result;

  while ((result = next_result (session))) {
    if (result->ask_id == 0)
      g_string_append_printf (all, "%.3f-%.3f|%s|%a|%u\n", result->start, result->end, result->result, result->confidence,
          result->visual_kept);
    else
      (*requests)++;
    tern_result_unref (result);
  }
  return g_string_free (all, FALSE);
}

/* Whatever is asked about them, and however soon they come again while it is answered. */
static void
test_previews_and_windows (void)
{
  TernRequest request = { .question = { .prompt = "What?", .max_tokens = 3 } };
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  g_autoptr (TernSession) session = token_session (model, 4), plain = token_session (model, 4);
  g_autofree char *got = NULL, *wanted = NULL;
  guint asked = 0, answered = 0;

  for (guint i = 0; i < 40; i += 4) {
    for (guint k = 0; k < 3; k++) {
      preview (session, i + k, 1);
      request.frames = (i + k) % 4;
      asked += tern_session_ask (session, &request, NULL, NULL);
    }
    push_tokens (session, i, 4, FALSE);
    push_tokens (plain, i, 4, FALSE);
  }
  preview (session, 40, 3);
  tern_session_finish (session);
  tern_session_finish (plain);
  got = windows_of (session, &answered);
  wanted = windows_of (plain, &answered);
  g_assert_cmpuint (answered, ==, asked);
  g_assert_cmpstr (got, ==, wanted);
}

/* @error: 0 for INVALID */
typedef struct {
  const TernTokens *tokens;
  gint error;
  const char *says;
} BadTokens;

static void
refuse_tokens (TernSession *session, const BadTokens *cases, guint n)
{
  for (guint i = 0; i < 2 * n; i++) {
    const BadTokens *bad = &cases[i / 2];
    gint code = bad->error ? bad->error : TERN_ERROR_INVALID;
    g_autoptr (GError) error = NULL;

    g_assert_false ((i % 2 ? tern_session_push_tokens : tern_session_preview_tokens) (session, bad->tokens, &error));
    g_assert_error (error, TERN_ERROR, code);
    if (!g_pattern_match_simple (bad->says, error->message))
      g_error ("%s: %s", bad->says, error->message);
  }
}

/* Each is refused where it comes in, and nothing of it is left. */
static void
test_bad_tokens (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params), frames = new_session (model, &params);
  float rows[GRID * GRID * WIDTH], spoilt[3][GRID * GRID * WIDTH];
  TernTokens good = make_tokens (0, TRUE, rows), narrow = good, timeless = good, empty = good, huge = good, nan = good, inf = good,
    least = good;
  const BadTokens cases[] = { { &narrow, TERN_ERROR_MISMATCH, "*expected 256 numbers each, found 128" },
    { &timeless, .says = "*time stamp*" }, { &empty, .says = "*16 without data" }, { &huge, .says = "*expected at most*" },
    { &nan, .says = "visual tokens: expected finite numbers, found nan at 7" },
    { &inf, .says = "visual tokens: expected finite numbers, found inf at 4095" },
    { &least, .says = "visual tokens: expected finite numbers, found -inf at 1024" } };
  const BadTokens late = { &good, .says = "*given frames*" };

  narrow.dim = WIDTH / 2;
  timeless.pts = TERN_TIME_NONE;
  empty.tokens = NULL;
  huge.n_tokens = TERN_FRAME_TOKENS_MAX + 1;
  for (guint i = 0; i < 3; i++)
    memcpy (spoilt[i], rows, sizeof rows);
  spoilt[0][7] = NAN;
  spoilt[1][4095] = INFINITY;
  spoilt[2][1024] = -INFINITY;
  rows[0] = FLT_MAX;            /* as large as a number may be */
  rows[1] = -FLT_TRUE_MIN;
  nan.tokens = spoilt[0];
  inf.tokens = spoilt[1];
  least.tokens = spoilt[2];
  refuse_tokens (session, cases, G_N_ELEMENTS (cases));
  g_assert_null (next_result (session));
  g_assert_true (tern_session_push_tokens (session, &good, NULL));
  push_run (frames, 0, 1, 0);
  refuse_tokens (frames, &late, 1);
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
  g_test_add_func ("/ask/previews", test_previews);
  g_test_add_func ("/ask/previews-times", test_previews_times);
  g_test_add_func ("/ask/previews-end", test_previews_end);
  g_test_add_func ("/ask/previews-answer", test_previews_answer);
  g_test_add_func ("/ask/previews-and-windows", test_previews_and_windows);
  g_test_add_func ("/ask/bad-tokens", test_bad_tokens);
  g_test_add_func ("/ask/partial", test_partial);
  g_test_add_func ("/ask/placeholders", test_placeholders);
  g_test_add_func ("/ask/filled-prompt", test_filled_prompt);
  return g_test_run ();
}
