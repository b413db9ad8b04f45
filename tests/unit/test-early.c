/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames that are read before their window has ended, and several questions about what was read once. Rows are counted,
 * not time; what is said is compared with a session that had everything before its engine began. */
#include "session-fixture.h"
#include "tern/session-priv.h"

/* ---- Playing the same with an engine that keeps up, and one that begins when all is there ------------------------- */

typedef struct {
  TernModel *model;
  TernSession *session;
  gboolean late;
  Hold hold;
  guint early;                  /* rows that were read before the end of the script */
  guint rows;                   /* all that were read */
  GPtrArray *results;           /* of TernResult */
  GString *text;
} Play;

typedef void (*Script) (Play *play);

static void
after_push (Play *play)
{
  if (!play->late)
    come_to_rest (play->model->scheduler);
}

static void
frames (Play *play, guint first, guint n)
{
  for (guint i = first; i < first + n; i++) {
    push (play->session, 3 * i, i % 3, MS (500 * i), MS (500));
    after_push (play);
  }
}

static void
play (Play *self, TernModel *model, const TernSessionParams *params, Script script, gboolean late)
{
  TernResult *result;

  *self = (Play) { .model = model, .late = late, .text = g_string_new (NULL),
    .results = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_result_unref) };
  self->session = new_session (model, params);
  if (late)
    hold_engine (&self->hold, model);
  script (self);
  after_push (self);            /* the engine is at rest: its counters may be read */
  self->early = (guint) self->session->client.served.prompt;
  if (late)
    release_engine (&self->hold);
  tern_session_finish (self->session);
  while ((result = next_result (self->session))) {
    guint64 bits;

    memcpy (&bits, &result->confidence, sizeof bits);
    g_string_append_printf (self->text, "%s|%.3f-%.3f|%s|%s|%" G_GINT64_MODIFIER "x|%u|%u\n", result->kind, result->start,
        result->end, result->prompt_id, result->result, bits, result->visual_kept, result->prompt_tokens);
    g_ptr_array_add (self->results, result);
  }
  come_to_rest (self->model->scheduler);
  self->rows = (guint) self->session->client.served.prompt;
}

static void
clear_play (Play *self)
{
  tern_session_free (self->session);
  g_ptr_array_unref (self->results);
  g_string_free (self->text, TRUE);
}

static guint
prompt_tokens (const Play *self)
{
  guint n = 0;

  for (guint i = 0; i < self->results->len; i++)
    n += ((TernResult *) self->results->pdata[i])->prompt_tokens;
  return n;
}

typedef enum { READ_ONCE, READ_AGAIN, READ_EITHER } Reading;

/* @early: rows are read before the script is over. */
static void
check (TernModel *model, const TernSessionParams *params, Script script, gboolean early, Reading reading)
{
  Play a, b;

  play (&a, model, params, script, FALSE);
  play (&b, model, params, script, TRUE);
  g_assert_cmpuint (a.results->len, >, 0);
  g_assert_cmpstr (a.text->str, ==, b.text->str);
  g_assert_cmpuint (b.early, ==, 0);
  if (early)
    g_assert_cmpuint (a.early, >, 0);
  else
    g_assert_cmpuint (a.early, ==, 0);
  g_test_message ("early %u rows %u prompt %u:\n%s", a.early, a.rows, prompt_tokens (&a), a.text->str);
  if (reading == READ_ONCE)
    g_assert_cmpuint (a.rows, ==, prompt_tokens (&a));
  else if (reading == READ_AGAIN)
    g_assert_cmpuint (a.rows, >, prompt_tokens (&a));
  clear_play (&a);
  clear_play (&b);
}

static TernSessionParams
two_groups (void)
{
  TernSessionParams params = quick_params ();

  params.window = 4 * TERN_SECOND;
  params.kv_type = TERN_CACHE_F32;      /* AUTO looks at how long the longest question is */
  return params;
}

/* ---- Scripts ----------------------------------------------------------------------------------------------------- */

static void
five_frames (Play *self)
{
  frames (self, 0, 5);
}

static void
whole_window (Play *self)
{
  frames (self, 0, 8);
}

static void
short_window (Play *self)
{
  frames (self, 0, 6);
}

static void
twelve_frames (Play *self)
{
  frames (self, 0, 12);
}

static void
other_prompt (Play *self)
{
  frames (self, 0, 6);
  g_assert_true (tern_session_set_prompt (self->session, "Something else: how many?", "", NULL));
  frames (self, 6, 2);
}

static void
other_system (Play *self)
{
  TernSessionParams params = two_groups ();

  params.system_prompt = "You speak in verse.";
  frames (self, 0, 6);
  g_assert_true (tern_session_set_params (self->session, &params, NULL));
  frames (self, 6, 2);
}

static void
flushed (Play *self)
{
  frames (self, 0, 6);
  if (!self->late) {            /* who is held is not waited for */
    tern_session_flush (self->session);
    come_to_rest (self->model->scheduler);
  } else {
    tern_session_cancel (self->session);
  }
  frames (self, 20, 6);
}

static void
tokens_of (Play *self, guint dropped)
{
  static const gint32 places[] = { 0, 1, 2, 3, 4, 5 };
  guint dim = tern_llm_info (tern_model_text (self->model)->llm)->width;
  g_autofree float *rows = g_new (float, 6 * dim);

  for (guint i = 0; i < 8; i++) {
    TernTokens tokens = { .pts = MS (500 * i), .duration = MS (500), .number = i, .grid_w = 3, .grid_h = 2, .dim = dim,
      .n_tokens = dropped >> i & 1 ? 0 : 2 + i % 4, .tokens = rows, .keep = places };

    for (guint t = 0; t < 6 * dim; t++)
      rows[t] = (float) ((t * 2654435761u + i * 40503u) >> 16 & 1023) / 20000 - 0.025f;
    g_assert_true (tern_session_push_tokens (self->session, &tokens, NULL));
    after_push (self);
  }
}

static void
some_dropped (Play *self)
{
  tokens_of (self, 0x6e);
}

static void
group_dropped (Play *self)
{
  tokens_of (self, 0x0f);
}

/* ---- Early reading ----------------------------------------------------------------------------------------------- */

static void
test_lfm2 (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = two_groups ();
  Play a;

  /* The first group is all that can be read after five frames, and it is. */
  play (&a, model, &params, five_frames, FALSE);
  g_assert_cmpuint (a.early, >, ((TernResult *) a.results->pdata[0])->visual_kept / 2);
  g_assert_cmpuint (a.early, <, prompt_tokens (&a));
  clear_play (&a);
  check (model, &params, whole_window, TRUE, READ_ONCE);
  check (model, &params, short_window, TRUE, READ_ONCE);
  check (model, &params, other_prompt, TRUE, READ_ONCE);        /* it stands behind the frames */
  check (model, &params, other_system, TRUE, READ_AGAIN);
  check (model, &params, flushed, TRUE, READ_AGAIN);
  check (model, &params, some_dropped, TRUE, READ_ONCE);
  check (model, &params, group_dropped, TRUE, READ_ONCE);
  params.hop = 2 * TERN_SECOND;
  check (model, &params, twelve_frames, TRUE, READ_AGAIN);      /* a third one had begun, which the second one covers */
}

static void
test_idefics3 (void)
{
  g_autoptr (TernModel) model = open_pair (SMOLVLM, SMOLVLM_MMPROJ);
  TernSessionParams params = two_groups ();

  params.compress.method = TERN_METHOD_NONE;    /* every frame stays: their number is right */
  check (model, &params, whole_window, TRUE, READ_ONCE);
  check (model, &params, short_window, TRUE, READ_AGAIN);       /* its prompt says how many frames there are */
  check (model, &params, other_prompt, TRUE, READ_ONCE);
  check (model, &params, flushed, TRUE, READ_AGAIN);
  check (model, &params, some_dropped, TRUE, READ_EITHER);
  check (model, &params, group_dropped, TRUE, READ_EITHER);
  params.hop = 2 * TERN_SECOND;
  check (model, &params, twelve_frames, TRUE, READ_EITHER);
}

/* ---- Several questions ------------------------------------------------------------------------------------------- */

static const TernQuestion questions[] = {
  { "What happens?", "a" }, { "How many people are there, and where do they go?", "b" }, { "", "c" }, { "What happens next?", "d" },
};

static void
a_still (Play *self)
{
  g_autofree guint8 *pixels = g_malloc (3 * 90 * 70);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = 90, .height = 70, .data = { pixels }, .stride = { 3 * 90 } };

  paint (pixels, 90, 70, 10, 1);
  g_assert_true (tern_session_push_still (self->session, &image, NULL));
}

static void
check_questions (TernModel *model, TernSessionParams params, Script script, guint n)
{
  Play all, one[G_N_ELEMENTS (questions)];
  guint most = 0;

  params.questions = questions;
  params.n_questions = n;
  play (&all, model, &params, script, FALSE);
  for (guint q = 0; q < n; q++) {
    params.questions = &questions[q];
    params.n_questions = 1;
    play (&one[q], model, &params, script, FALSE);
    g_assert_cmpuint (all.results->len, ==, n * one[q].results->len);
  }
  for (guint i = 0; i < all.results->len; i++) {
    const TernResult *mine = all.results->pdata[i], *other = one[i % n].results->pdata[i / n];

    g_assert_cmpstr (mine->prompt_id, ==, questions[i % n].prompt_id);
    g_assert_cmpstr (mine->result, ==, other->result);
    g_assert_cmpmem (&mine->confidence, sizeof (double), &other->confidence, sizeof (double));
    g_assert_cmpuint (mine->prompt_tokens, ==, other->prompt_tokens);
    g_assert_cmpuint (mine->visual_kept, ==, other->visual_kept);
    g_assert_cmpfloat (mine->start, ==, other->start);
    /* Of all but the first only the text is read. */
    most += mine->prompt_tokens - (i % n ? mine->visual_kept : 0);
  }
  g_assert_cmpuint (all.rows, <=, most);
  g_assert_cmpuint (all.rows, >, one[0].rows);
  clear_play (&all);
  for (guint q = 0; q < n; q++)
    clear_play (&one[q]);
}

static void
test_questions (void)
{
  g_autoptr (TernModel) model = open_model (0), timed = open_pair (SMOLVLM, SMOLVLM_MMPROJ);

  for (guint n = 2; n <= G_N_ELEMENTS (questions); n += 2)
    for (guint beam = 1; beam <= 3; beam += 2) {
      TernSessionParams params = two_groups ();

      params.sampling.beam = beam;
      check_questions (model, params, twelve_frames, n);
      check_questions (model, params, a_still, n);
      check_questions (timed, params, whole_window, n);
      check_questions (timed, params, a_still, n);
    }
}

static void
more_questions (Play *self)
{
  frames (self, 0, 8);
  g_assert_true (tern_session_set_questions (self->session, questions, 4, NULL));
  frames (self, 8, 8);
  g_assert_true (tern_session_set_questions (self->session, questions + 1, 2, NULL));
  frames (self, 16, 7);
}

/* Caches grow between windows, and what comes after is what it would have been. */
static void
test_growing (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = two_groups ();
  Play all, one;
  guint n_b = 0;

  params.questions = questions + 1;
  params.n_questions = 1;
  play (&all, model, &params, more_questions, FALSE);
  g_assert_cmpuint (all.results->len, ==, 1 + 4 + 2);
  for (guint i = 0; i < all.results->len; i++) {
    const TernResult *r = all.results->pdata[i];

    g_assert_cmpstr (r->kind, ==, "caption");
    n_b += g_str_equal (r->prompt_id, "b");
  }
  g_assert_cmpuint (n_b, ==, 3);
  one = all;
  play (&all, model, &params, whole_window, FALSE);
  g_assert_cmpstr (((TernResult *) one.results->pdata[0])->result, ==, ((TernResult *) all.results->pdata[0])->result);
  clear_play (&all);
  clear_play (&one);
}

static guint room;              /* that a still finds; 0: as much as the model has */

/* What is asked was found to fit windows: a large still is what does not fit. Here it is the room that gets smaller. */
static void
a_large_still (Play *self)
{
  come_to_rest (self->model->scheduler);
  self->model->context = room;
  a_still (self);
}

/* A question that is too long for a large picture costs the others nothing, wherever it stands. */
static void
test_too_long (void)
{
  g_autofree char *words = g_strnfill (60, 'x');
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = two_groups ();
  TernQuestion three[3];
  Play alone;

  params.questions = questions;
  params.n_questions = 1;
  play (&alone, model, &params, a_large_still, FALSE);
  g_assert_cmpstr (((TernResult *) alone.results->pdata[0])->kind, ==, "caption");
  for (guint at = 0; at < 3; at++) {
    Play all;

    for (guint q = 0; q < 3; q++)
      three[q] = (TernQuestion) { q == at ? words : questions[0].prompt, "q" };
    params.questions = three;
    params.n_questions = 3;
    model->context = 0;
    room = prompt_tokens (&alone) + params.sampling.max_tokens + 2;
    play (&all, model, &params, a_large_still, FALSE);
    g_assert_cmpuint (all.results->len, ==, 3);
    for (guint q = 0; q < 3; q++) {
      const TernResult *result = all.results->pdata[q];

      g_assert_cmpstr (result->kind, ==, q == at ? "error" : "caption");
      if (q != at)
        g_assert_cmpstr (result->result, ==, ((TernResult *) alone.results->pdata[0])->result);
      else
        g_assert_nonnull (strstr (result->result, "context"));
    }
    clear_play (&all);
  }
  clear_play (&alone);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/early/lfm2", test_lfm2);
  g_test_add_func ("/early/idefics3", test_idefics3);
  g_test_add_func ("/questions/as-alone", test_questions);
  g_test_add_func ("/questions/growing", test_growing);
  g_test_add_func ("/questions/too-long", test_too_long);
  return g_test_run ();
}
