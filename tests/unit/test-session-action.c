/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session with an action model decides: whose state, at what time, with what it remembers, and what it is
 * refused for. Numbers are compared with other implementations in test-action.c and tests/golden. */
#include <math.h>

#include "action-file.h"
#include "session-fixture.h"
#include "tern/session-priv.h"

static TernModel *model;

/* An action model for the tiny language model, by a file that is gone when it is open. */
static TernActionModel *
open_action (ActionFile *file)
{
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  TernActionModel *action;
  int fd = g_file_open_tmp ("tern-XXXXXX.gguf", &path, &error);

  g_assert_no_error (error);
  close (fd);
  bytes = action_file_write (file);
  g_file_set_contents (path, (const char *) bytes->data, bytes->len, &error);
  g_assert_no_error (error);
  action = tern_action_model_open (path, &error);
  g_assert_no_error (error);
  unlink (path);
  action_file_clear (file);
  return action;
}

static TernActionModel *
open_wide (const char *kind, guint width)
{
  ActionFile file = action_file (kind);

  file.width = width;
  file.times = 1;
  return open_action (&file);
}

static TernActionModel *
open_kind (const char *kind)
{
  return open_wide (kind, 256);
}

static TernSessionParams
action_params (TernActionModel *action)
{
  TernSessionParams params = quick_params ();

  params.action = action;
  params.on_demand = TRUE;
  params.compress.method = TERN_METHOD_NONE;
  return params;
}

static void
push_state (TernSession *session, guint64 time, float value)
{
  g_autoptr (GError) error = NULL;

  tern_session_push_state (session, time, (float[]) { value, 2 * value, -value }, 3, &error);
  g_assert_no_error (error);
}

static guint64
ask (TernSession *session)
{
  TernRequest request = { .question = { .prompt = "Pick it up.", .prompt_id = "pick", .action = TRUE }, .frames = 1 };
  g_autoptr (GError) error = NULL;
  guint64 id = 0;

  tern_session_ask (session, &request, &id, &error);
  g_assert_no_error (error);
  return id;
}

static TernResult *
decide (TernSession *session)
{
  TernResult *result;

  ask (session);
  result = next_result (session);
  g_assert_nonnull (result);
  return result;
}

/* Half a second apart, from frame @first on: a state, a frame, a decision. */
static void
decide_run (TernSession *session, guint first, guint n, guint64 shift, double (*actions)[8])
{
  for (guint i = first; i < first + n; i++) {
    g_autoptr (TernResult) result = NULL;

    push_state (session, shift + MS (500 * i), 0.1f * i);
    push (session, 3 * i, 0, shift + MS (500 * i), MS (500));
    result = decide (session);
    g_assert_cmpstr (result->kind, ==, "action");
    g_assert_cmpuint (result->timestamp, ==, shift + MS (500 * i));
    memcpy (actions[i - first], result->actions, sizeof *actions);
  }
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

static void
test_result (void)
{
  g_autoptr (TernActionModel) action = open_kind ("mlp");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernResult) result = NULL;

  params.metrics = TRUE;
  session = new_session (model, &params);
  push_state (session, MS (900), 0.5f);
  push_run (session, 0, 3, 1);
  result = decide (session);
  g_assert_cmpstr (result->kind, ==, "action");
  g_assert_cmpuint (result->version, ==, 2);
  g_assert_cmpuint (result->ask_id, ==, 1);
  g_assert_cmpstr (result->result, ==, "");
  g_assert_cmpstr (result->finish_reason, ==, "stop");
  g_assert_cmpstr (result->prompt, ==, "Pick it up.");
  g_assert_cmpstr (result->prompt_id, ==, "pick");
  g_assert_cmpfloat (result->confidence, ==, -1);
  g_assert_cmpuint (result->generated_tokens, ==, 0);
  g_assert_cmpuint (result->frames, ==, 1);
  g_assert_cmpuint (result->timestamp, ==, MS (1000));
  g_assert_cmpfloat (result->timestamp_seconds, ==, 1);
  g_assert_cmpuint (result->n_actions, ==, 8);
  g_assert_cmpuint (result->action_steps, ==, 4);
  g_assert_cmpfloat (result->action_rate, ==, 30);
  g_assert_cmpstr (result->action_space, ==, "arm");
  g_assert_cmpstr (result->action_names[1], ==, "joint1");
  g_assert_cmpfloat (result->metrics.prefill_ms, >, 0);
  for (guint i = 0; i < 8; i++)
    g_assert_true (isfinite (result->actions[i]) && fabs (result->actions[i]) <= 100);
}

/* Windows are decided about too, beside questions that are answered with words; the words are as without. */
static void
test_windows (void)
{
  const TernQuestion questions[] = { { .prompt = "Describe.", .prompt_id = "words" },
    { .prompt = "Pick it up.", .prompt_id = "pick", .action = TRUE } };
  g_autoptr (TernActionModel) action = open_kind ("cfc");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = NULL, alone = NULL;

  params.on_demand = FALSE;
  params.questions = questions;
  params.n_questions = 1;
  params.action = NULL;
  alone = new_session (model, &params);
  params.n_questions = 2;
  params.action = action;
  session = new_session (model, &params);
  push_state (session, 0, 0.5f);
  push_run (session, 0, 8, 0);
  push_run (alone, 0, 8, 0);
  tern_session_finish (session);
  tern_session_finish (alone);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (TernResult) words = next_result (session), decision = next_result (session), same = next_result (alone);

    g_assert_cmpstr (words->result, ==, same->result);
    g_assert_cmpstr (words->kind, ==, "caption");
    g_assert_cmpstr (decision->kind, ==, "action");
    g_assert_cmpstr (decision->prompt_id, ==, "pick");
    g_assert_cmpuint (decision->frames, ==, 4);
    g_assert_cmpuint (decision->timestamp, ==, MS (2000 * i + 1500));   /* of its last frame */
    g_assert_cmpfloat (decision->start, ==, 2.0 * i);
    g_assert_cmpfloat (decision->end, ==, 2.0 * (i + 1));
  }
  g_assert_null (next_result (session));
}

/* A model that speaks: the same again, and beside captions. */
static void
test_tokens (void)
{
  ActionFile file = action_file ("tokens");
  const TernQuestion questions[] = { { .prompt = "Pick it up.", .action = TRUE }, { .prompt = "Describe." } };
  g_autoptr (TernActionModel) action = NULL;
  g_autoptr (TernSession) session = NULL, alone = NULL;
  g_autoptr (TernResult) first = NULL, again = NULL, words = NULL, same = NULL;
  TernSessionParams params;

  file.width = 256;
  file.state = 0;
  file.normalization = "none";
  action = open_action (&file);
  params = action_params (action);
  session = new_session (model, &params);
  push_run (session, 0, 4, 0);
  first = decide (session);
  again = decide (session);
  g_assert_cmpstr (first->kind, ==, "action");
  g_assert_cmpuint (first->generated_tokens, ==, 8);
  g_assert_cmpuint (first->timestamp, ==, MS (1500));
  g_assert_cmpmem (first->actions, 8 * sizeof (double), again->actions, 8 * sizeof (double));

  params = quick_params ();
  alone = new_session (model, &params);
  params.questions = questions + 1;
  params.n_questions = 1;
  tern_session_set_params (alone, &params, NULL);
  params.action = action;
  params.questions = questions;
  params.n_questions = 2;
  g_clear_pointer (&session, tern_session_free);
  session = new_session (model, &params);
  push_run (session, 0, 4, 0);
  push_run (alone, 0, 4, 0);
  tern_session_finish (session);
  tern_session_finish (alone);
  g_clear_pointer (&again, tern_result_unref);
  again = next_result (session);
  words = next_result (session);
  same = next_result (alone);
  g_assert_cmpstr (again->kind, ==, "action");
  g_assert_cmpuint (again->n_actions, ==, 8);
  g_assert_cmpstr (words->result, ==, same->result);
}

/* ---- States ------------------------------------------------------------------------------------------------------ */

static void
expect_error (TernSession *session, const char *message)
{
  g_autoptr (TernResult) result = decide (session);

  g_assert_cmpstr (result->kind, ==, "error");
  g_assert_cmpstr (result->finish_reason, ==, "error");
  g_assert_cmpstr (result->result, ==, message);
  g_assert_cmpuint (result->n_actions, ==, 0);
}

static void
test_states (void)
{
  g_autoptr (TernActionModel) action = open_kind ("mlp");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = NULL, other = NULL;
  g_autoptr (TernResult) later = NULL, sooner = NULL, same = NULL;

  params.state_max_age = MS (200);
  session = new_session (model, &params);
  push (session, 0, 0, MS (1000), MS (500));
  expect_error (session, "robot's state: expected one at 1.000000000 s or before, found none");
  push_state (session, MS (1001), 1);
  expect_error (session, "robot's state: expected one at 1.000000000 s or before, found the oldest at 1.001000000 s");
  push (session, 0, 0, MS (1500), MS (500));
  expect_error (session, "robot's state: expected one of the 0.200000000 s before 1.500000000 s, found the newest at "
      "1.001000000 s");
  push_state (session, MS (1300), 2);
  push_state (session, MS (1501), 3);   /* later than the frame */
  later = decide (session);
  g_assert_cmpstr (later->kind, ==, "action");

  /* The same picture and time with another state, and with that one. */
  params.state_max_age = 0;
  other = new_session (model, &params);
  push_state (other, MS (10), 1);
  push (other, 0, 0, MS (1500), MS (500));
  sooner = decide (other);
  push_state (other, MS (1300), 2);
  tern_session_flush (other);
  push_state (other, MS (10), 2);
  push (other, 0, 0, MS (1500), MS (500));
  same = decide (other);
  for (guint i = 0; i < 8; i++) {
    g_assert_cmpfloat (later->actions[i], !=, sooner->actions[i]);
    g_assert_cmpfloat (later->actions[i], ==, same->actions[i]);
  }
}

static void
refuse_state (TernSession *session, guint64 time, const float *values, guint n, TernErrorCode code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (tern_session_push_state (session, time, values, n, &error));
  g_assert_error (error, TERN_ERROR, (int) code);
}

static void
test_refused_states (void)
{
  const float good[] = { 1, 2, 3 }, bad[] = { 1, 2, NAN };
  g_autoptr (TernActionModel) action = open_kind ("mlp");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = new_session (model, &params), without = NULL;

  params.action = NULL;
  without = new_session (model, &params);
  refuse_state (without, 0, good, 3, TERN_ERROR_INVALID);
  refuse_state (session, 0, good, 2, TERN_ERROR_MISMATCH);
  refuse_state (session, 0, bad, 3, TERN_ERROR_INVALID);
  refuse_state (session, TERN_TIME_NONE, good, 3, TERN_ERROR_INVALID);
  push_state (session, MS (500), 1);
  refuse_state (session, MS (499), good, 3, TERN_ERROR_INVALID);
  tern_session_finish (session);
  push_state (session, MS (499), 1);
  refuse_state (session, MS (498), good, 3, TERN_ERROR_INVALID);
  tern_session_flush (session);
  push_state (session, MS (1), 1);
}

/* Where two frames make a picture a decision is about the second one: its time, and a state between the two counts. */
static void
test_pairs (void)
{
  g_autoptr (TernModel) pairs = open_pair (TERN_TEST_DATA "/qwen3vl/qwen3vl-q8_0.gguf", TERN_TEST_DATA "/qwen3vl/mmproj-f16.gguf");
  g_autoptr (TernActionModel) action = open_wide ("mlp", tern_llm_info (tern_model_text (pairs)->llm)->width);
  TernSessionParams params = action_params (action);
  g_autoptr (TernResult) older = NULL, newer = NULL, half = NULL;

  params.state_max_age = MS (300);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (TernSession) session = new_session (pairs, &params);
    TernResult **result = i ? &newer : &older;

    push_state (session, MS (1199), 1);
    if (i)
      push_state (session, MS (1490), 2);
    push_state (session, MS (1501), 3);         /* later than the frame */
    push_run (session, 2, 2, 0);
    *result = decide (session);
    g_assert_cmpstr ((*result)->kind, ==, i ? "action" : "error");      /* more than 300 ms before it */
    if (i == 0)
      continue;
    g_assert_cmpuint (newer->timestamp, ==, MS (1500));
    g_assert_cmpuint (newer->duration, ==, MS (500));
    /* One that is alone has its own time. */
    push_run (session, 4, 1, 0);
    push_state (session, MS (2000), 4);
    half = decide (session);
    g_assert_cmpstr (half->kind, ==, "action");
    g_assert_cmpuint (half->timestamp, ==, MS (2000));
  }
}

/* Tokens say how far their last frame is behind their time. */
static void
test_pairs_of_tokens (void)
{
  g_autoptr (TernActionModel) action = open_kind ("mlp");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernResult) result = NULL;
  g_autoptr (GError) error = NULL;
  float row[256] = { .5f };
  TernTokens tokens = { .pts = MS (1250), .late = MS (250), .after = MS (250), .duration = MS (750), .grid_w = 1, .grid_h = 1,
    .dim = 256, .n_tokens = 1, .tokens = row };

  params.tokens_only = TRUE;
  session = new_session (model, &params);
  push_state (session, MS (1500), 1);
  g_assert_true (tern_session_push_tokens (session, &tokens, &error));
  result = decide (session);
  g_assert_cmpstr (result->kind, ==, "action");
  g_assert_cmpuint (result->timestamp, ==, MS (1500));
  tokens.after = G_MAXUINT64 - tokens.pts;
  g_assert_false (tern_session_push_tokens (session, &tokens, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static void
assert_same (double (*a)[8], double (*b)[8], guint n, gboolean same)
{
  for (guint i = 0; i < n; i++)
    g_assert_cmpint (memcmp (a[i], b[i], sizeof *a) == 0, ==, same);
}

/* A cell remembers from decision to decision by the time that passed; a flush, an end, a jump back are beginnings. */
static void
test_memory (void)
{
  g_autoptr (TernActionModel) action = open_kind ("cfc");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = new_session (model, &params), late = new_session (model, &params);
  double first[4][8], again[4][8], apart[3][8];

  decide_run (session, 0, 4, 0, first);
  tern_session_flush (session);
  decide_run (session, 0, 4, 0, again);
  assert_same (first, again, 4, TRUE);
  tern_session_finish (session);
  decide_run (session, 0, 4, MS (2500), again);         /* on in time, and another stretch */
  assert_same (first, again, 4, TRUE);
  tern_session_finish (session);
  decide_run (session, 0, 4, MS (500), again);  /* times go back */
  assert_same (first, again, 4, TRUE);
  tern_session_cancel (session);
  decide_run (session, 0, 4, MS (500), again);
  assert_same (first, again, 4, TRUE);
  /* Who did not see the first picture decides otherwise about the others. */
  decide_run (late, 1, 3, 0, apart);
  assert_same (first + 1, apart, 3, FALSE);
}

/* Pictures at other times: what has passed counts, not how many. */
static void
test_time (void)
{
  g_autoptr (TernActionModel) action = open_kind ("cfc");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = new_session (model, &params), slow = new_session (model, &params);
  double actions[2][2][8];

  for (guint s = 0; s < 2; s++)
    for (guint i = 0; i < 2; i++) {
      TernSession *at = s ? slow : session;
      g_autoptr (TernResult) result = NULL;

      push_state (at, 0, 0.5f);
      push (at, 0, 0, MS ((s ? 1500 : 500) * i), MS (500));
      result = decide (at);
      memcpy (actions[s][i], result->actions, sizeof actions[s][i]);
      push_state (at, 0, 0.5f);
    }
  assert_same (&actions[0][0], &actions[1][0], 1, TRUE);
  assert_same (&actions[0][1], &actions[1][1], 1, FALSE);
}

/* Several wait: in their order, each about the newest frame there is when its turn comes. */
static void
test_several (void)
{
  g_autoptr (TernActionModel) action = open_kind ("cfc");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = new_session (model, &params);
  Hold hold;

  hold_engine (&hold, model);
  push_state (session, 0, 0.5f);
  push_run (session, 0, 2, 0);
  for (guint i = 0; i < 5; i++)
    ask (session);
  release_engine (&hold);
  for (guint i = 0; i < 5; i++) {
    g_autoptr (TernResult) result = next_result (session);

    g_assert_cmpstr (result->kind, ==, "action");
    g_assert_cmpuint (result->ask_id, ==, i + 1);
    g_assert_cmpuint (result->timestamp, ==, MS (500));
  }
}

/* Ended before they were decided. */
static void
test_cancelled (void)
{
  g_autoptr (TernActionModel) action = open_kind ("cfc");
  TernSessionParams params = action_params (action);
  g_autoptr (TernSession) session = new_session (model, &params);
  Hold hold;

  hold_engine (&hold, model);
  push_state (session, 0, 0.5f);
  push_run (session, 0, 2, 0);
  for (guint i = 0; i < 3; i++)
    ask (session);
  tern_session_cancel (session);
  release_engine (&hold);
  for (guint i = 0; i < 3; i++) {
    g_autoptr (TernResult) result = next_result (session);

    g_assert_cmpstr (result->finish_reason, ==, "cancelled");
    g_assert_cmpuint (result->n_actions, ==, 0);
  }
}

/* ---- What does not go together ----------------------------------------------------------------------------------- */

static void
refuse_session (const TernSessionParams *params, TernErrorCode code, const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (tern_session_new (model, params, &error));
  g_assert_error (error, TERN_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, message));
}

static void
test_mismatch (void)
{
  const TernQuestion question = { .prompt = "Go.", .action = TRUE };
  TernRequest request = { .question = question };
  ActionFile narrow = action_file ("mlp"), other = narrow, blind = narrow, right = narrow;
  g_autoptr (TernActionModel) of_narrow = NULL, of_other = NULL, of_blind = NULL, of_right = NULL;
  g_autoptr (TernSession) session = NULL;
  g_autoptr (GError) error = NULL;
  TernSessionParams params = quick_params ();

  other.width = blind.width = right.width = 256;
  other.language_model = "another one";
  blind.encoder_id = "00112233445566778899aabbccddeeff";
  right.encoder_id = tern_model_encoder_id (model);
  right.language_model = tern_model_name (model);
  of_narrow = open_action (&narrow);
  of_other = open_action (&other);
  of_blind = open_action (&blind);
  of_right = open_action (&right);
  params.questions = &question;
  params.n_questions = 1;
  refuse_session (&params, TERN_ERROR_INVALID, "action model");
  params.action = of_narrow;
  refuse_session (&params, TERN_ERROR_MISMATCH, "expected a language model 24 wide, found ");
  params.action = of_other;
  refuse_session (&params, TERN_ERROR_MISMATCH, "expected the language model \"another one\", found ");
  params.action = of_blind;
  refuse_session (&params, TERN_ERROR_MISMATCH, "expected the vision encoder 00112233445566778899aabbccddeeff, found ");
  params.action = of_right;
  session = new_session (model, &params);
  g_clear_pointer (&session, tern_session_free);
  params = quick_params ();
  session = new_session (model, &params);
  params.questions = &question;         /* an action model stays, and so does its lack */
  params.n_questions = 1;
  params.action = of_right;
  g_assert_false (tern_session_set_params (session, &params, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_false (tern_session_ask (session, &request, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* A machine's decisions are not put off. */
static void
test_budget (void)
{
  g_autoptr (TernActionModel) action = open_kind ("mlp");
  const TernBudgetParams limit = { .cores = .5 };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernBudget) budget = tern_budget_new (&limit, &error);
  g_autoptr (TernSession) session = NULL;
  TernSessionParams params = action_params (action);

  g_assert_no_error (error);
  params.budget = budget;
  refuse_session (&params, TERN_ERROR_INVALID, "budget: expected no action model");
  params.action = NULL;
  session = new_session (model, &params);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  model = open_model (0);
  g_test_add_func ("/session-action/result", test_result);
  g_test_add_func ("/session-action/windows", test_windows);
  g_test_add_func ("/session-action/tokens", test_tokens);
  g_test_add_func ("/session-action/states", test_states);
  g_test_add_func ("/session-action/pairs", test_pairs);
  g_test_add_func ("/session-action/pairs-of-tokens", test_pairs_of_tokens);
  g_test_add_func ("/session-action/refused-states", test_refused_states);
  g_test_add_func ("/session-action/memory", test_memory);
  g_test_add_func ("/session-action/time", test_time);
  g_test_add_func ("/session-action/several", test_several);
  g_test_add_func ("/session-action/cancelled", test_cancelled);
  g_test_add_func ("/session-action/mismatch", test_mismatch);
  g_test_add_func ("/session-action/budget", test_budget);
  status = g_test_run ();
  tern_model_unref (model);
  return status;
}
