/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session does under a budget: frames that are put off, windows that are told the last answer again, tokens that are
 * spared; what it is charged for. Costs are counted work, whatever it took: a frame .1 s, a row 1 ms, an answer .05 s. */
#include "session-fixture.h"
#include "tern/budget-priv.h"
#include "tern/session-priv.h"

typedef struct {
  guint n[TERN_COSTS], calls[TERN_COSTS];       /* atomic enough: read when the engine rests */
} Counted;

static guint64
count (void *data, TernCost cost, guint n, guint64 ns)
{
  static const guint64 costs[TERN_COSTS] = { 100000000, 1000000, 50000000, 0 };
  Counted *counted = data;

  counted->n[cost] += n;
  counted->calls[cost]++;
  return n * costs[cost];
}

static TernBudget *
new_budget (double cores, Counted *counted)
{
  g_autoptr (GError) error = NULL;
  TernBudget *budget = tern_budget_new (&(TernBudgetParams) { .cores = cores }, &error);

  g_assert_no_error (error);
  if (counted)
    tern_budget_set_costs (budget, count, counted);
  return budget;
}

static TernSessionParams
budget_params (TernBudget *budget, guint64 max_silence)
{
  TernSessionParams params = quick_params ();

  params.gate.max_silence = max_silence;
  params.budget = budget;
  return params;
}

/* Everything moves, and there is nearly nothing: the first window is answered, and one after each silence; the others are told
 * what that said, and nothing is spent on them. */
static void
test_poor (void)
{
  Counted counted = { 0 };
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernBudget) budget = new_budget (.001, &counted);
  TernSessionParams params = budget_params (budget, 6 * TERN_SECOND);
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (GPtrArray) results = new_results ();
  g_autofree char *found = NULL;
  const TernResult *last = NULL;
  TernSessionStats stats;
  TernBudgetStats spent;
  guint rows = 0;

  push_run (session, 0, 40, 1);
  tern_session_finish (session);
  found = reasons (session, results);
  g_assert_cmpstr (found, ==, ".bb.bb.bb.");
  for (guint w = 0; w < results->len; w++) {
    const TernResult *result = g_ptr_array_index (results, w);

    rows += result->prompt_tokens;
    if (found[w] == 'b') {
      g_assert_cmpstr (result->kind, ==, last->kind);
      g_assert_cmpstr (result->result, ==, last->result);
      g_assert_cmpfloat (result->confidence, ==, last->confidence);
      g_assert_cmpuint (result->timestamp, ==, 2 * w * TERN_SECOND);
      g_assert_cmpuint (result->frames, ==, 4);
      g_assert_cmpuint (result->generated_tokens + result->prompt_tokens, ==, 0);
    } else {
      last = result;
    }
  }
  tern_session_stats (session, &stats);
  g_assert_cmpuint (stats.windows_done, ==, 10);
  g_assert_cmpuint (stats.windows_deferred, ==, 6);
  g_assert_cmpuint (stats.windows_unchanged, ==, 0);
  g_assert_cmpuint (stats.frames_deferred, ==, 36);
  g_assert_cmpuint (stats.frames_unchanged, ==, 0);
  tern_budget_stats (budget, &spent);
  g_assert_cmpuint (spent.frames, ==, 4);
  g_assert_cmpuint (spent.frames_due, ==, 4);
  g_assert_cmpuint (spent.frames_deferred, ==, 36);
  g_assert_cmpuint (spent.answers, ==, 4);
  g_assert_cmpuint (spent.answers_due, ==, 1);
  g_assert_cmpuint (spent.answers_deferred, ==, 6);
  /* What was counted is what was done: every row of prompts once. */
  g_assert_cmpuint (counted.n[TERN_COST_FRAME], ==, 4);
  g_assert_cmpuint (counted.n[TERN_COST_READ], ==, rows);
  g_assert_cmpuint (counted.n[TERN_COST_SAY], ==, 4);
  g_assert_cmpfloat_with_epsilon (spent.spent[TERN_COST_FRAME], .4, 1e-9);
  g_assert_cmpfloat_with_epsilon (spent.spent[TERN_COST_READ], rows * 1e-3, 1e-9);
  g_assert_cmpfloat_with_epsilon (spent.balance, .01 + spent.allowed - .4 - rows * 1e-3 - 4 * .05, 1e-9);
}

/* Where there is enough, nothing is different from no budget, whatever moves and whatever the gate does. */
static void
test_rich (void)
{
  g_autoptr (TernModel) model = open_model (0);

  for (guint mode = 0; mode < 3; mode++) {
    g_autofree char *text[2] = { NULL };

    for (guint rich = 0; rich < 2; rich++) {
      g_autoptr (TernBudget) budget = rich ? new_budget (1000, NULL) : NULL;
      TernSessionParams params = budget_params (budget, 60 * TERN_SECOND);
      g_autoptr (TernSession) session = NULL;

      params.gate.mode = (TernGateMode) mode;
      session = new_session (model, &params);
      push_run (session, 0, 20, 1);
      for (guint i = 20; i < 60; i++)
        push (session, 7, 1, MS (500 * i), MS (500));
      push_run (session, 60, 11, 2);
      tern_session_finish (session);
      text[rich] = drain (session);
    }
    g_assert_cmpstr (text[1], ==, text[0]);
  }
}

/* Fewer tokens where there is little, and never more than is set. */
static void
test_tokens (void)
{
  Counted counted = { 0 };
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernBudget) budget = new_budget (.001, &counted);
  TernSessionParams params = budget_params (budget, 2 * TERN_SECOND);   /* every window is answered */
  g_autoptr (TernSession) session = NULL;
  g_autoptr (GPtrArray) results = new_results ();
  g_autofree char *found = NULL;
  guint most = 0, least = G_MAXUINT;
  TernBudgetStats spent;

  params.compress.max_tokens_per_window = 20;
  session = new_session (model, &params);
  push_run (session, 0, 80, 1);
  tern_session_finish (session);
  found = reasons (session, results);
  g_assert_cmpstr (found, ==, "....................");
  for (guint w = 0; w < results->len; w++) {
    const TernResult *result = g_ptr_array_index (results, w);

    most = MAX (most, result->visual_kept);
    least = MIN (least, result->visual_kept);
  }
  g_assert_cmpuint (most, <=, 20);
  g_assert_cmpuint (least, >=, 10);
  g_assert_cmpuint (least, <, most);
  tern_budget_stats (budget, &spent);
  g_assert_cmpuint (spent.tokens_spared, >, 0);
}

/* What somebody asks for, and stills, are answered whatever there is. */
static void
test_asked (void)
{
  Counted counted = { 0 };
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernBudget) budget = new_budget (.001, &counted);
  TernSessionParams params = budget_params (budget, 0);
  g_autoptr (TernSession) session = new_session (model, &params);
  TernRequest request = { .question = { .prompt = "Is it?" } };
  g_autofree guint8 *pixels = g_malloc (3 * 64 * 64);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = 64, .height = 64, .data = { pixels }, .stride = { 3 * 64 } };
  guint answers = 0, put_off = 0;
  TernResult *result;
  guint64 id;

  push_run (session, 0, 12, 1);
  g_assert_true (tern_session_ask (session, &request, &id, NULL));
  paint (pixels, 64, 64, 5, 2);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (GError) error = NULL;

    while (!tern_session_push_still (session, &image, &error)) {
      g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);      /* the frames before still wait */
      g_clear_error (&error);
      tern_session_wait (session, -1);
    }
  }
  tern_session_finish (session);
  while ((result = next_result (session))) {
    gboolean asked = result->ask_id == id || result->duration == 0;

    answers += asked;
    put_off += g_str_equal (result->finish_reason, "budget");
    g_assert_true (!asked || result->generated_tokens > 0);
    tern_result_unref (result);
  }
  g_assert_cmpuint (answers, ==, 3);
  g_assert_cmpuint (put_off, ==, 2);
}

/* Questions with the time in them cannot be told again. */
static void
test_timed (void)
{
  Counted counted = { 0 };
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernBudget) budget = new_budget (.001, &counted);
  TernSessionParams params = budget_params (budget, 0);
  g_autoptr (TernSession) session = NULL;
  g_autoptr (GPtrArray) results = new_results ();
  g_autofree char *found = NULL;

  params.prompt = "What at {start}?";
  session = new_session (model, &params);
  push_run (session, 0, 16, 1);
  tern_session_finish (session);
  found = reasons (session, results);
  g_assert_cmpstr (found, ==, "....");
}

static void
push_tokens (TernSession *session, TernModel *model, guint number, guint64 picture, double novelty)
{
  guint dim = tern_model_embedding_dim (model);
  g_autofree float *rows = g_new0 (float, 4 * dim);
  TernTokens tokens = { .pts = MS (500 * number), .duration = MS (500), .number = number, .picture = picture, .novelty = novelty,
    .grid_w = 2, .grid_h = 2, .dim = dim, .n_tokens = 4, .tokens = rows };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 4 * dim; i++)
    rows[i] = (float) (picture + i % 7) / 8;
  while (!tern_session_push_tokens (session, &tokens, &error)) {
    g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
    g_clear_error (&error);
    tern_session_wait (session, -1);
  }
}

/* Of tokens: whoever encodes puts frames off, and says so; what is new in them is no reason to say that nothing is. */
static void
test_given (void)
{
  static const struct { guint64 picture; double novelty; } windows[] = {
    { 1, 1 }, { 1, 0 }, { 1, .2 }, { 2, .2 }, { 2, 0 }, { 2, .1 },
  };
  g_autoptr (TernModel) model = open_model (0);

  for (guint poor = 0; poor < 2; poor++) {
    Counted counted = { 0 };
    g_autoptr (TernBudget) budget = poor ? new_budget (.001, &counted) : NULL;
    TernSessionParams params = budget_params (budget, 0);
    g_autoptr (TernSession) session = NULL;
    g_autoptr (GPtrArray) results = new_results ();
    g_autofree char *found = NULL;

    params.tokens_only = TRUE;
    session = new_session (model, &params);
    for (guint w = 0; w < G_N_ELEMENTS (windows); w++)
      for (guint f = 0; f < 4; f++)
        push_tokens (session, model, 4 * w + f, windows[w].picture, windows[w].novelty);
    tern_session_finish (session);
    found = reasons (session, results);
    /* Where it puts off the second picture itself, what was answered about is the first one still. */
    g_assert_cmpstr (found, ==, poor ? ".ubbbb" : ".ub.ub");
  }
}

/* The steps charge what they do to the account that they are given. */
static void
test_steps (void)
{
  Counted counted = { 0 };
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernBudget) budget = new_budget (1, &counted);
  g_autoptr (TernEncoder) encoder = tern_encoder_new (model, TERN_FIT_TRAINED, NULL);
  guint n = tern_model_frame_tokens (model), dim = tern_model_embedding_dim (model), kept[2] = { 0 };
  g_autofree float *rows = g_new (float, n * dim);
  g_autofree guint8 *pixels = g_malloc (3 * 64 * 64);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = 64, .height = 64, .data = { pixels }, .stride = { 3 * 64 } };
  TernCompressorParams params = TERN_COMPRESSOR_PARAMS_INIT;
  TernTokens tokens;
  g_autoptr (GError) error = NULL;

  paint (pixels, 64, 64, 0, 1);
  g_assert_true (tern_encoder_run (encoder, &image, rows, &tokens, NULL));
  g_assert_cmpuint (counted.calls[TERN_COST_FRAME], ==, 0);
  tern_encoder_set_budget (encoder, budget);
  for (guint i = 0; i < 3; i++)
    g_assert_true (tern_encoder_run (encoder, &image, rows, &tokens, NULL));
  g_assert_cmpuint (counted.n[TERN_COST_FRAME], ==, 3);

  for (guint poor = 0; poor < 2; poor++) {
    g_autoptr (TernCompressor) compressor = tern_compressor_new (&params, tokens.n_tokens, dim, &error);
    TernTokens out;

    g_assert_no_error (error);
    tern_compressor_set_budget (compressor, poor ? budget : NULL);
    tern_budget_set_costs (budget, NULL, NULL);
    tern_budget_charge (budget, TERN_COST_OTHER, 1, 100 * TERN_SECOND);
    tern_budget_set_costs (budget, count, &counted);
    for (guint f = 0; f < TERN_GROUP_FRAMES; f++) {
      tokens.number = f;
      tokens.picture = 1;
      tokens.novelty = 0;
      g_assert_true (tern_compressor_push (compressor, &tokens, &error));
    }
    while (tern_compressor_pop (compressor, &out))
      kept[poor] += out.n_tokens;
  }
  g_assert_cmpuint (kept[1], ==, (kept[0] + 1) / 2);    /* nothing is new, and there is nothing: half */
  g_assert_cmpuint (counted.n[TERN_COST_OTHER], ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/session-budget/poor", test_poor);
  g_test_add_func ("/session-budget/rich", test_rich);
  g_test_add_func ("/session-budget/tokens", test_tokens);
  g_test_add_func ("/session-budget/asked", test_asked);
  g_test_add_func ("/session-budget/timed", test_timed);
  g_test_add_func ("/session-budget/given", test_given);
  g_test_add_func ("/session-budget/steps", test_steps);
  return g_test_run ();
}
