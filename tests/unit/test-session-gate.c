/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session does where nothing is new: frames that are not encoded, windows that are told what the one before was; and
 * when the gate's word counts. */
#include "session-fixture.h"
#include "tern/session-priv.h"

/* ---- The gate by itself ------------------------------------------------------------------------------------------ */

static gboolean
look (TernGate *gate, guint w, guint h, guint t, guint variant, guint64 pts)
{
  g_autofree guint8 *pixels = g_malloc (3 * w * h);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = w, .height = h, .data = { pixels }, .stride = { 3 * (gint) w } };

  paint (pixels, w, h, t, variant);
  return tern_gate_look (gate, &image, 0, pts);
}

static TernGate *
new_gate (TernGateMode mode, guint64 max_silence)
{
  TernGateParams params = TERN_GATE_PARAMS_INIT;
  g_autoptr (GError) error = NULL;
  TernGate *gate;

  params.mode = mode;
  params.max_silence = max_silence;
  gate = tern_gate_new (&params, &error);
  g_assert_no_error (error);
  return gate;
}

static void
test_params (void)
{
  const struct { TernGateParams params; const char *name; } bad[] = {
    { { .mode = 3, .threshold = 6 }, "gate" }, { { .threshold = 0 }, "threshold" }, { { .threshold = 300 }, "threshold" },
    { { .threshold = 0. / 0. }, "threshold" }, { { .threshold = 6, .max_silence = G_MAXUINT64 }, "max_silence" },
  };
  TernGateMode mode;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (tern_gate_new (&bad[i].params, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, bad[i].name));
  }
  for (guint i = 0; i < 3; i++) {
    g_assert_true (tern_gate_mode_parse (((const char *[]) { "auto", "off", "on" })[i], &mode, NULL));
    g_assert_cmpuint (mode, ==, i);
  }
  g_assert_false (tern_gate_mode_parse ("maybe", &mode, NULL));
}

static void
test_on_and_off (void)
{
  g_autoptr (TernGate) on = new_gate (TERN_GATE_MODE_ON, 0), off = new_gate (TERN_GATE_MODE_OFF, 0);
  TernGateStats stats;

  for (guint i = 0; i < 20; i++) {
    g_assert_cmpint (look (on, 64, 64, i < 10 ? 0 : 30, 1, MS (500 * i)), ==, i == 0 || i == 10);
    g_assert_true (look (off, 64, 64, 0, 1, MS (500 * i)));
  }
  g_assert_true (look (on, 64, 62, 30, 1, MS (10000)));  /* of another size, */
  g_assert_false (look (on, 64, 62, 30, 1, MS (10500)));
  g_assert_true (look (on, 64, 62, 30, 1, MS (10400)));  /* earlier, */
  g_assert_false (look (on, 64, 62, 30, 1, MS (11000)));
  tern_gate_force (on);                                   /* asked for */
  g_assert_true (look (on, 64, 62, 30, 1, MS (11500)));
  tern_gate_stats (on, &stats);
  g_assert_cmpuint (stats.frames, ==, 25);
  g_assert_cmpuint (stats.unchanged, ==, 20);
  g_assert_cmpuint (stats.forced, ==, 0);
}

static void
test_no_picture (void)
{
  g_autoptr (TernGate) gate = new_gate (TERN_GATE_MODE_ON, 0);
  guint8 byte = 1;
  TernImage none = { .format = TERN_IMAGE_GRAY8, .width = 1, .height = 1, .stride = { 1 } }, dot = none, wide = none;

  dot.data[0] = wide.data[0] = &byte;
  g_assert_true (tern_gate_look (gate, &none, 0, 0));
  g_assert_true (tern_gate_look (gate, &dot, 0, 1));
  g_assert_false (tern_gate_look (gate, &dot, 0, 2));
  g_assert_true (tern_gate_look (gate, &dot, 2, 3));     /* a sample has two bytes, the row one */
}

static void
test_max_silence (void)
{
  g_autoptr (TernGate) gate = new_gate (TERN_GATE_MODE_ON, 3 * TERN_SECOND);
  TernGateStats stats;

  for (guint i = 0; i < 40; i++)
    g_assert_cmpint (look (gate, 64, 64, 0, 1, MS (500 * i)), ==, i % 6 == 0);
  tern_gate_stats (gate, &stats);
  g_assert_cmpuint (stats.forced, ==, 6);
}

/* Not before the scene has stood still for 16 frames and eight seconds; not any more when half of the frames are new. */
static void
test_auto (void)
{
  for (guint every = 100; every <= 1000; every += 300) {
    g_autoptr (TernGate) gate = new_gate (TERN_GATE_MODE_AUTO, 0);
    guint after = MAX (16, (8000 + every - 1) / every), n = 0;

    for (guint i = 0; i <= after + 20; i++)
      g_assert_cmpint (look (gate, 64, 64, 0, 1, MS (every * n++)), ==, i < after);
    g_assert_true (look (gate, 64, 64, 30, 1, MS (every * n++)));
    g_assert_false (look (gate, 64, 64, 30, 1, MS (every * n++)));      /* one event is none the less seen by itself */
    for (guint i = 0; i < 8; i++)
      g_assert_true (look (gate, 64, 64, 30 * (i % 2), 1, MS (every * n++)));
    g_assert_true (look (gate, 64, 64, 30, 1, MS (every * n++)));       /* now it is not sure any more */
  }
}

/* Where everything moves all is encoded, and little of it is looked at. */
static void
test_asleep (void)
{
  g_autoptr (TernGate) gate = new_gate (TERN_GATE_MODE_AUTO, 0);
  TernGateStats stats;
  guint n = 0;

  while (n < 1000) {
    g_assert_true (look (gate, 64, 64, 11 * n, 1 + n % 3, MS (500 * n)));
    n++;
  }
  tern_gate_stats (gate, &stats);
  g_assert_cmpuint (stats.unchanged, ==, 0);
  g_assert_cmpuint (stats.asleep, >, 900);
  /* It wakes up when the scene stands still: within its longest sleep and a warm-up. */
  for (guint i = 0; i < 128 + 2 + 20; i++)
    look (gate, 64, 64, 0, 1, MS (500 * n++));
  g_assert_false (look (gate, 64, 64, 0, 1, MS (500 * n)));
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

/* Four frames a window. */
static TernSessionParams
gate_params (TernGateMode mode)
{
  TernSessionParams params = quick_params ();

  params.gate.mode = mode;
  params.gate.max_silence = 0;
  return params;
}

static void
push_still (TernSession *session, guint first, guint end, guint t)
{
  for (guint i = first; i < end; i++)
    push (session, t, 1, MS (500 * i), MS (500));
}

/* Something is in the middle of the sixth window: that is answered, the next one, which shows nothing else, is, and those
 * after it are not. */
static void
test_windows (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = gate_params (TERN_GATE_MODE_ON);
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (GPtrArray) results = new_results ();
  g_autofree char *found = NULL;
  TernSessionStats stats;

  push_still (session, 0, 22, 0);
  push_still (session, 22, 40, 30);
  tern_session_finish (session);
  found = reasons (session, results);
  g_assert_cmpstr (found, ==, ".uuuu..uuu");
  for (guint w = 0; w < results->len; w++) {
    const TernResult *result = g_ptr_array_index (results, w), *before = w > 0 ? g_ptr_array_index (results, w - 1) : NULL;

    g_assert_cmpuint (result->id, ==, w);
    g_assert_cmpstr (result->kind, ==, "caption");
    g_assert_cmpuint (result->timestamp, ==, 2 * w * TERN_SECOND);
    g_assert_cmpfloat (result->end, ==, 2 * w + 2);
    g_assert_cmpuint (result->frames, ==, 4);
    g_assert_cmpuint (result->visual_kept, >, 0);
    if (found[w] == '.') {
      g_assert_cmpuint (result->generated_tokens, >, 0);
      continue;
    }
    g_assert_cmpstr (result->result, ==, before->result);
    g_assert_cmpstr (result->prompt, ==, before->prompt);
    g_assert_cmpfloat (result->confidence, ==, before->confidence);
    g_assert_cmpuint (result->generated_tokens + result->prompt_tokens, ==, 0);
  }
  tern_session_stats (session, &stats);
  g_assert_cmpuint (stats.frames_sampled, ==, 40);
  g_assert_cmpuint (stats.frames_unchanged, ==, 38);
  g_assert_cmpuint (stats.windows_done, ==, 10);
  g_assert_cmpuint (stats.windows_unchanged, ==, 7);
}

/* Frames that are equal have equal tokens, so all is said that would be. */
static void
test_same_as_off (void)
{
  g_autoptr (TernModel) model = open_model (0);
  g_autofree char *text[3] = { NULL };

  for (guint mode = 0; mode < 3; mode++) {
    TernSessionParams params = gate_params (mode);
    g_autoptr (TernSession) session = new_session (model, &params);

    push_still (session, 0, 13, 0);
    push_still (session, 13, 50, 30);
    push_still (session, 50, 54, 0);
    tern_session_finish (session);
    text[mode] = drain (session);
  }
  g_assert_cmpstr (text[TERN_GATE_MODE_ON], ==, text[TERN_GATE_MODE_OFF]);
  g_assert_cmpstr (text[TERN_GATE_MODE_AUTO], ==, text[TERN_GATE_MODE_OFF]);
}

/* By itself: a scene of eleven seconds is answered as ever, the windows after that are not; moving pictures always are. */
static void
test_session_auto (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = gate_params (TERN_GATE_MODE_AUTO);
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autofree char *found = NULL, *moving = NULL;

  push_still (session, 0, 32, 0);
  tern_session_finish (session);
  found = reasons (session, NULL);
  /* Frames from the seventeenth on are those of the picture before: the first window that shows it alone is answered. */
  g_assert_cmpstr (found, ==, ".....uuu");
  push_run (session, 0, 32, 1);
  tern_session_finish (session);
  moving = reasons (session, NULL);
  g_assert_cmpstr (moving, ==, "........");
}

/* Labels come with their scores; several questions are told again in their order; other questions are asked; so are those
 * that have the time in them. */
static void
test_questions (void)
{
  static const char *const labels[] = { "yes", "no", NULL };
  const TernQuestion asked[] = { { .prompt = "What?", .prompt_id = "w" },
      { .prompt = "Is it?", .prompt_id = "i", .labels = labels } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = gate_params (TERN_GATE_MODE_ON);
  g_autoptr (GPtrArray) results = new_results ();
  g_autoptr (TernSession) session = NULL;
  g_autofree char *first = NULL, *other = NULL, *timed = NULL;
  const TernResult *said, *again;
  g_autoptr (GError) error = NULL;

  params.questions = asked;
  params.n_questions = 2;
  session = new_session (model, &params);
  push_still (session, 0, 8, 0);
  tern_session_finish (session);
  first = reasons (session, results);
  g_assert_cmpstr (first, ==, "..uu");
  said = g_ptr_array_index (results, 1);
  again = g_ptr_array_index (results, 3);
  g_assert_cmpstr (again->kind, ==, "answer");
  g_assert_cmpstr (again->finish_reason, ==, "unchanged");
  g_assert_cmpstr (again->prompt_id, ==, "i");
  g_assert_cmpuint (again->n_labels, ==, 2);
  for (guint i = 0; i < 2; i++) {
    g_assert_cmpstr (again->labels[i], ==, labels[i]);
    g_assert_cmpfloat (again->scores[i], ==, said->scores[i]);
  }

  g_assert_true (tern_session_set_prompt (session, "Another?", "", &error));
  push_still (session, 0, 8, 0);
  tern_session_finish (session);
  other = reasons (session, NULL);
  g_assert_cmpstr (other, ==, ".u");
  g_assert_true (tern_session_set_prompt (session, "From {start} on?", "", &error));
  push_still (session, 0, 12, 0);
  tern_session_finish (session);
  timed = reasons (session, NULL);
  g_assert_cmpstr (timed, ==, "...");
}

/* What was dropped does not count as seen: after a flush the first frame is encoded, and the first window answered. */
static void
test_flush (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = gate_params (TERN_GATE_MODE_ON);
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autofree char *before = NULL, *after = NULL;
  TernSessionStats stats;
  guint64 unchanged;

  push_still (session, 0, 8, 0);
  tern_session_finish (session);
  before = reasons (session, NULL);
  g_assert_cmpstr (before, ==, ".u");
  tern_session_stats (session, &stats);
  unchanged = stats.frames_unchanged;
  tern_session_flush (session);
  push_still (session, 0, 8, 0);
  tern_session_finish (session);
  after = reasons (session, NULL);
  g_assert_cmpstr (after, ==, ".u");
  tern_session_stats (session, &stats);
  g_assert_cmpuint (stats.frames_unchanged - unchanged, ==, 7);
}

/* Tokens that somebody else encoded say which picture they are of. */
static void
test_tokens (void)
{
  static const guint64 pictures[][4] = { { 1, 1, 1, 1 }, { 1, 1, 1, 1 }, { 1, 2, 2, 2 }, { 2, 2, 2, 2 }, { 2, 2, 2, 2 },
    { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 3, 3, 3, 3 }, { 3, 3, 3, 3 } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = gate_params (TERN_GATE_MODE_AUTO);
  g_autoptr (TernSession) session = new_session (model, &params);
  guint dim = tern_model_embedding_dim (model);
  g_autofree float *rows = g_new0 (float, 4 * dim);
  g_autofree char *found = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 4 * G_N_ELEMENTS (pictures); i++) {
    TernTokens tokens = { .pts = MS (500 * i), .duration = MS (500), .number = i, .picture = pictures[i / 4][i % 4], .grid_w = 2,
      .grid_h = 2, .dim = dim, .n_tokens = 4, .tokens = rows };

    for (guint k = 0; k < 4 * dim; k++)
      rows[k] = (float) ((k * 37 + pictures[i / 4][i % 4]) % 11) / 11;
    while (!tern_session_push_tokens (session, &tokens, &error)) {
      g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
      g_clear_error (&error);
      tern_session_wait (session, -1);
    }
  }
  tern_session_finish (session);
  found = reasons (session, NULL);
  g_assert_cmpstr (found, ==, ".u..u...u");
}

/* ---- What the encoder computes again ----------------------------------------------------------------------------- */

static void
test_reuse_params (void)
{
  const struct { TernReuseParams params; const char *name; } bad[] = {
    { { .mode = 3, .threshold = 4 }, "reuse" }, { { .threshold = 0 }, "threshold" }, { { .threshold = 0. / 0. }, "threshold" },
    { { .threshold = 65 }, "threshold" }, { { .threshold = 4, .refresh = TERN_REUSE_REFRESH_MAX + 1 }, "refresh" },
  };
  g_autoptr (TernModel) model = open_model (0);
  TernReuseMode mode;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    TernSessionParams params = gate_params (TERN_GATE_MODE_OFF);
    g_autoptr (GError) error = NULL, again = NULL;

    g_assert_false (tern_reuse_params_check (&bad[i].params, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, bad[i].name));
    params.reuse = bad[i].params;
    g_assert_null (tern_session_new (model, &params, &again));
    g_assert_cmpstr (again->message, ==, error->message);
  }
  for (guint i = 0; i < 3; i++) {
    g_assert_true (tern_reuse_mode_parse (((const char *[]) { "off", "auto", "on" })[i], &mode, NULL));
    g_assert_cmpuint (mode, ==, i);
  }
  g_assert_false (tern_reuse_mode_parse ("maybe", &mode, NULL));
}

/* What is said of 40 frames, of which others begin at frame 22. */
static char *
say (TernModel *model, const TernReuseParams *reuse, TernReuseStats *stats)
{
  TernSessionParams params = gate_params (TERN_GATE_MODE_OFF);
  g_autoptr (TernSession) session = NULL;
  g_autoptr (GPtrArray) results = new_results ();
  g_autofree char *found = NULL;
  GString *all = g_string_new (NULL);
  TernSessionStats of;

  params.reuse = *reuse;
  session = new_session (model, &params);
  push_still (session, 0, 22, 0);
  push_still (session, 22, 40, 30);
  tern_session_finish (session);
  found = reasons (session, results);
  for (guint i = 0; i < results->len; i++)
    g_string_append_printf (all, "%s\n", ((const TernResult *) g_ptr_array_index (results, i))->result);
  tern_session_stats (session, &of);
  *stats = of.reuse;
  return g_string_free (all, FALSE);
}

/* Frames that are the same have the same tokens, and what is computed is counted. */
static void
test_reuse_sessions (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernReuseParams params = TERN_REUSE_PARAMS_INIT;
  g_autofree char *off = NULL, *whole = NULL, *on = NULL;
  TernReuseStats stats;

  off = say (model, &params, &stats);
  g_assert_cmpuint (stats.frames + stats.patches_computed + stats.operations, ==, 0);
  params.mode = TERN_REUSE_ON;
  params.refresh = 1;
  whole = say (model, &params, &stats);
  g_assert_cmpstr (whole, ==, off);
  g_assert_cmpuint (stats.refreshed, ==, 40);
  g_assert_cmpuint (stats.patches_reused, ==, 0);
  g_assert_cmpuint (stats.operations, ==, stats.operations_whole);
  params.refresh = 0;
  on = say (model, &params, &stats);
  g_assert_cmpuint (stats.frames, ==, 40);
  g_assert_cmpuint (stats.refreshed, <=, 2);    /* the first one, and where others begin */
  g_assert_cmpuint (stats.patches_reused, >, stats.patches_computed);
  g_assert_cmpuint (2 * stats.operations, <, stats.operations_whole);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gate/params", test_params);
  g_test_add_func ("/gate/on-and-off", test_on_and_off);
  g_test_add_func ("/gate/no-picture", test_no_picture);
  g_test_add_func ("/gate/max-silence", test_max_silence);
  g_test_add_func ("/gate/auto", test_auto);
  g_test_add_func ("/gate/asleep", test_asleep);
  g_test_add_func ("/session-gate/windows", test_windows);
  g_test_add_func ("/session-gate/same-as-off", test_same_as_off);
  g_test_add_func ("/session-gate/auto", test_session_auto);
  g_test_add_func ("/session-gate/questions", test_questions);
  g_test_add_func ("/session-gate/flush", test_flush);
  g_test_add_func ("/session-gate/tokens", test_tokens);
  g_test_add_func ("/session-reuse/params", test_reuse_params);
  g_test_add_func ("/session-reuse/sessions", test_reuse_sessions);
  return g_test_run ();
}
