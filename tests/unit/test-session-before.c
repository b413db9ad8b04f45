/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions and encoders of a model whose pictures say what changed since the frame before. What each picture of a stream has to
 * be is said by numbers of frames; its tokens are those that a state of its own makes of these frames, bit for bit. */
#include "session-fixture.h"
#include "tern/completion.h"
#include "tern/session-priv.h"
#include "tern/view-priv.h"
#include "tests/unit/completion-end.h"
#include "tests/unit/vision-file.h"

#define NONE G_MAXUINT
#define TICK 500                /* ms from frame to frame */

typedef struct {
  char *path;                   /* of the encoder's file */
  TernModel *model;
  TernVision *vision;
  TernVisionState *state;       /* one thread */
  guint dim, room;              /* numbers of a token, tokens of a picture */
} Fixture;

/* A small encoder in front of the golden language model. */
static void
set_up (Fixture *f, guint version, guint threads)
{
  Config config = { "before", USUAL, .motion = 7, .version = version, .min_pixels = 32 * 32, .max_pixels = 32 * 32 };
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (GError) error = NULL;

  config.dim = 256;
  *f = (Fixture) { .path = write_config (&config, tensors) };
  params.model_path = TEXT_FILE;
  params.mmproj_path = f->path;
  params.threads = threads;
  f->model = tern_model_open (&params, &error);
  g_assert_no_error (error);
  f->vision = tern_model_vision (f->model);
  f->dim = tern_model_embedding_dim (f->model);
  f->room = tern_model_frame_tokens (f->model);
  f->state = tern_vision_state_new (f->vision, f->room, f->model->activations, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_model_picture_frames (f->model), ==, 2);
  g_assert_true (tern_model_looks_back (f->model) == (version == 2));
}

static void
tear_down (Fixture *f)
{
  tern_vision_state_free (f->state);
  tern_model_unref (f->model);
  g_unlink (f->path);
  g_free (f->path);
}

/* Frame @i of every stream; every fifth cuts to other colours, 100 to 199 are of another size, and 200 + i is i but for a
 * little. */
static TernImage
draw (guint8 *pixels, guint i)
{
  guint h = i >= 100 && i < 200 ? FRAME_H / 2 : FRAME_H;

  paint (pixels, FRAME_W, h, 3 * (i % 100), i % 100 / 5);
  for (guint k = 0; i >= 200 && k < 3 * 8 * FRAME_W; k++)
    pixels[k] ^= 1;
  return (TernImage) { .format = TERN_IMAGE_RGB, .width = FRAME_W, .height = h, .data = { pixels },
    .stride = { 3 * FRAME_W } };
}

/* ---- What a picture has to be ---- */

typedef struct {
  guint before, first, second;  /* frames; NONE */
} Picture;

typedef struct {
  guint8 pixels[3][3 * FRAME_W * FRAME_H];
  TernImage images[3];
  const TernImage *before, *first, *second;
} Drawn;

static void
draw_picture (Drawn *drawn, const Picture *picture)
{
  const guint frames[] = { picture->before, picture->first, picture->second };
  const TernImage **images[] = { &drawn->before, &drawn->first, &drawn->second };

  for (guint i = 0; i < 3; i++) {
    drawn->images[i] = draw (drawn->pixels[i], frames[i] == NONE ? 0 : frames[i]);
    *images[i] = frames[i] == NONE ? NULL : &drawn->images[i];
  }
}

static float *
expected_rows (Fixture *f, const Picture *picture, guint *n)
{
  TernVisionOptions options = { .scaling = tern_fit_scaling (TERN_FIT_TRAINED) };
  float *rows = g_new (float, f->room * f->dim);
  g_autoptr (GError) error = NULL;
  TernVisionPlan plan;
  Drawn drawn;

  draw_picture (&drawn, picture);
  tern_vision_plan_image (f->vision, drawn.first, &options, &plan, &error);
  g_assert_no_error (error);
  tern_vision_begin_frames (f->state, drawn.before, drawn.first, drawn.second, &options, &plan, rows, &error);
  while (!error && tern_vision_step (f->state, NULL, &error) == TERN_VISION_MORE)
    ;
  g_assert_no_error (error);
  *n = plan.n_tokens;
  return rows;
}

static void
expect_picture (Fixture *f, const Picture *picture, const float *rows, guint n_rows)
{
  guint n;
  g_autofree float *expected = expected_rows (f, picture, &n);

  g_test_message ("picture of %d, %d behind %d", (gint) picture->first, (gint) picture->second, (gint) picture->before);
  g_assert_cmpuint (n_rows, ==, n);
  g_assert_cmpmem (rows, n * f->dim * sizeof (float), expected, n * f->dim * sizeof (float));
}

/* ---- Sessions ---- */

/* Until the engine has nothing to do. */
static void
settle (TernSession *session)
{
  TernResult *result;

  while ((result = next_result (session)))
    tern_result_unref (result);
}

static void
push_at (TernSession *session, guint frame, guint64 ms)
{
  g_autofree guint8 *pixels = g_malloc (3 * FRAME_W * FRAME_H);
  TernImage image = draw (pixels, frame);
  GError *error = NULL;

  while (!tern_session_push_frame (session, &image, MS (ms), MS (TICK), &error)) {
    g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
    g_clear_error (&error);
    tern_session_wait (session, -1);
  }
}

/* Every picture that is in the store now is one of @expected, whose first frame came at @times ms; @seen: bits of those. */
static void
check_store (Fixture *f, TernSession *session, const Picture *expected, const guint *times, guint n, guint *seen)
{
  const TernFrameStore *store = &session->store;

  for (guint g = 0; g < store->n; g++) {
    const TernFrameGroup *group = &store->groups[g];
    const float *rows = group->tokens;

    for (guint k = 0; k < group->n_frames; rows += (gsize) group->n_tokens[k++] * f->dim) {
      guint i = 0;

      while (i < n && (MS (times[i]) > group->pts[k] || group->pts[k] - MS (times[i]) >= MS (TICK)))
        i++;
      g_assert_cmpuint (i, <, n);
      expect_picture (f, &expected[i], rows, group->n_tokens[k]);
      *seen |= 1u << i;
    }
  }
}

static TernSessionParams
plain_params (guint seconds)
{
  TernSessionParams params = quick_params ();

  params.window = seconds * TERN_SECOND;
  params.gate.mode = TERN_GATE_MODE_OFF;
  params.compress.method = TERN_METHOD_NONE;
  params.sampling.max_tokens = 1;
  return params;
}

/* Pictures of frames 0, 1, ... that came in turn. */
static void
in_turn (Picture *pictures, guint *times, guint n_frames)
{
  for (guint i = 0; 2 * i < n_frames; i++) {
    pictures[i] = (Picture) { i > 0 ? 2 * i - 1 : NONE, 2 * i, 2 * i + 1 < n_frames ? 2 * i + 1 : NONE };
    times[i] = TICK * 2 * i;
  }
}

/* Windows that follow, overlap, or leave frames out: a picture follows the frame before it in all of them, the one frame at
 * the end too. One thread or several. */
static void
test_windows (void)
{
  static const struct {
    guint window, hop, seen;    /* s; bits of pictures that some window shows */
  } cases[] = { { 4, 4, 0xfff }, { 8, 4, 0xfff }, { 4, 8, 0xf0f } };
  Picture pictures[12];
  guint times[12];

  in_turn (pictures, times, 23);
  for (guint threads = 1; threads <= 3; threads += 2) {
    Fixture f;

    set_up (&f, 2, threads);
    for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
      TernSessionParams params = plain_params (cases[c].window);
      TernSession *session;
      guint seen = 0;

      params.hop = cases[c].hop * TERN_SECOND;
      session = new_session (f.model, &params);
      for (guint i = 0; i <= 23; i++) {
        if (i < 23)
          push_at (session, i, TICK * i);
        else
          tern_session_finish (session);
        settle (session);
        check_store (&f, session, pictures, times, G_N_ELEMENTS (pictures), &seen);
        g_assert_cmpuint (session->queue.n_taken, ==, i == 23 ? 0 : i % 2 ? 1 : i == 0 ? 1 : 2);
      }
      g_assert_cmphex (seen, ==, cases[c].seen);
      tern_session_free (session);
    }
    tear_down (&f);
  }
}

/* Nor is anything merged across it. */
static void
check_groups (TernSession *session, guint64 again, guint64 begin)
{
  for (guint g = 0; g < session->store.n; g++) {
    const TernFrameGroup *group = &session->store.groups[g];

    for (guint k = 1; k < group->n_frames; k++)
      g_assert_true ((group->pts[k] >= MS (again)) == (group->pts[0] >= MS (again))
          && (group->pts[k] >= MS (begin)) == (group->pts[0] >= MS (begin)));
  }
}

/* What ends a stretch: four frames, then four that do not follow them. */
static void
test_parted (void)
{
  enum { FINISH, FLUSH, CANCEL, PAUSE, BACK, SIZE, N };
  Fixture f;

  set_up (&f, 2, 2);
  for (guint parting = FINISH; parting < N; parting++) {
    guint first = parting == SIZE ? 100 : 4, begin = parting == BACK ? 20000 : 0;
    guint again = parting == BACK ? 0 : parting == PAUSE ? 30000 : 4 * TICK;
    const guint times[] = { begin, begin + 2 * TICK, again, again + 2 * TICK };
    const Picture pictures[] = { { NONE, 0, 1 }, { 1, 2, 3 }, { NONE, first, first + 1 }, { first + 1, first + 2, first + 3 } };
    TernSessionParams params = plain_params (8);
    TernSession *session = new_session (f.model, &params);
    guint seen = 0;

    for (guint i = 0; i < 8; i++) {
      if (i == 4 && parting == FINISH)
        tern_session_finish (session);
      else if (i == 4 && parting == FLUSH)
        tern_session_flush (session);
      else if (i == 4 && parting == CANCEL)
        tern_session_cancel (session);
      push_at (session, i < 4 ? i : first + i - 4, i < 4 ? begin + TICK * i : again + TICK * (i - 4));
      settle (session);
      check_store (&f, session, pictures, times, G_N_ELEMENTS (pictures), &seen);
      check_groups (session, again, begin);
    }
    g_assert_cmphex (seen, ==, 0xf);
    tern_session_free (session);
  }
  tear_down (&f);
}

/* A picture that the gate leaves out is what the next one follows all the same: its last frame differs by a bit from the one
 * that was encoded. The first picture with nothing new is encoded, for the one before it may say that something moves. */
static void
test_gate (void)
{
  static const Picture pictures[] = { { NONE, 0, 1 }, { 1, 1, 201 }, { 1, 1, 201 }, { 201, 7, 8 } }, other = { 1, 7, 8 };
  static const guint frames[] = { 0, 1, 1, 201, 201, 201, 7, 8 }, times[] = { 0, 2 * TICK, 4 * TICK, 6 * TICK };
  TernSessionParams params = plain_params (8);
  TernSession *session;
  guint seen = 0, n;
  Fixture f;

  set_up (&f, 2, 2);
  params.gate.mode = TERN_GATE_MODE_ON;
  session = new_session (f.model, &params);
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
    push_at (session, frames[i], TICK * i);
    settle (session);
    check_store (&f, session, pictures, times, G_N_ELEMENTS (pictures), &seen);
  }
  g_assert_cmphex (seen, ==, 0xf);
  g_assert_cmpuint (session->stats.frames_unchanged, ==, 1);
  {
    g_autofree float *a = expected_rows (&f, &pictures[3], &n), *b = expected_rows (&f, &other, &n);

    g_assert_cmpint (memcmp (a, b, n * f.dim * sizeof (float)), !=, 0);
  }
  tern_session_free (session);
  tear_down (&f);
}

/* A live session that is behind drops windows, and the first picture that is left follows one that was dropped. */
static void
test_live (void)
{
  TernSessionParams params = plain_params (4);
  gboolean behind_dropped = FALSE;
  TernSession *session;
  Picture pictures[24];
  guint times[24], seen = 0;
  Hold hold;
  Fixture f;

  in_turn (pictures, times, 48);
  set_up (&f, 2, 2);
  params.live = TRUE;
  session = new_session (f.model, &params);
  hold_engine (&hold, f.model);
  for (guint i = 0; i < 46; i++) {
    g_autofree guint8 *pixels = g_malloc (3 * FRAME_W * FRAME_H);
    TernImage image = draw (pixels, i);

    g_assert_true (tern_session_push_frame (session, &image, MS (TICK * i), MS (TICK), NULL));
  }
  release_engine (&hold);
  settle (session);
  check_store (&f, session, pictures, times, 24, &seen);
  g_assert_cmpuint (session->queue.dropped, >, 2);
  for (guint i = 1; i < 23; i++)
    behind_dropped |= (seen >> i & 1) && !(seen >> (i - 1) & 1);
  g_assert_true (behind_dropped);
  g_assert_cmpuint (session->queue.n_taken, ==, 1);     /* what the next one follows */
  tern_session_free (session);
  tear_down (&f);
}

/* Files of version 1 follow nothing, and nothing is kept for them. */
static void
test_version_1 (void)
{
  TernSessionParams params = plain_params (8);
  TernSession *session;
  Picture pictures[4];
  guint times[4], seen = 0;
  Fixture f;

  in_turn (pictures, times, 8);
  set_up (&f, 1, 2);
  session = new_session (f.model, &params);
  for (guint i = 0; i < 8; i++) {
    push_at (session, i, TICK * i);
    settle (session);
    pictures[i / 2].before = NONE;
    check_store (&f, session, pictures, times, 4, &seen);
    g_assert_cmpuint (session->queue.n_taken, ==, 1 - i % 2);
  }
  g_assert_cmphex (seen, ==, 0xf);
  tern_session_free (session);
  tear_down (&f);
}

/* A frame that gets no second one is looked at when that is known, though no window ends with it. */
static void
test_given_up (void)
{
  TernSessionParams params = plain_params (8);
  Fixture f;

  set_up (&f, 2, 2);
  for (guint i = 0; i < 2; i++) {
    TernSession *session = new_session (f.model, &params);
    guint8 pixels[3 * FRAME_W * FRAME_H];
    TernImage image = draw (pixels, 1);

    push_at (session, 0, 0);
    come_to_rest (f.model->scheduler);
    if (i == 0)
      tern_session_see (session, MS (2000), MS (40));
    else                        /* a frame that is not one to look at */
      g_assert_true (tern_session_push_frame (session, &image, MS (250), MS (2000), NULL));
    come_to_rest (f.model->scheduler);
    g_assert_cmpuint (session->queue.n, ==, 0);
    g_assert_cmpuint (session->store.n, ==, 1);
    tern_session_free (session);
  }
  tear_down (&f);
}

/* ---- Encoders ---- */

typedef struct {
  Fixture *f;
  TernEncoder *encoder;
  const Picture *picture, *expected;
} Encoding;

static void
encode (void *data)
{
  Encoding *e = data;
  g_autofree float *rows = g_new (float, e->f->room * e->f->dim);
  g_autoptr (GError) error = NULL;
  TernTokens tokens;
  Drawn drawn;

  draw_picture (&drawn, e->picture);
  tern_encoder_run_frames (e->encoder, drawn.before, drawn.first, drawn.second, rows, &tokens, &error);
  g_assert_no_error (error);
  expect_picture (e->f, e->expected, rows, tokens.n_tokens);
}

/* From any thread, from within the engine's, and with patches that may be reused: frame 100 is of another size. */
static void
test_encoder (void)
{
  static const Picture pictures[] = { { NONE, 0, 1 }, { 1, 2, 3 }, { 3, 4, NONE }, { 100, 5, 6 }, { 6, 7, 8 } };
  static const Picture as_none = { NONE, 5, 6 };

  for (guint version = 1; version <= 2; version++) {
    TernReuseParams reuse = TERN_REUSE_PARAMS_INIT;
    g_autoptr (GError) error = NULL;
    TernEncoder *encoder;
    Fixture f;

    set_up (&f, version, 2);
    encoder = tern_encoder_new (f.model, TERN_FIT_TRAINED, &error);
    g_assert_no_error (error);
    for (guint round = 0; round < 3; round++)
      for (guint i = 0; i < G_N_ELEMENTS (pictures); i++) {
        Picture behind_none = { NONE, pictures[i].first, pictures[i].second };
        Encoding e = { &f, encoder, &pictures[i], version == 1 ? &behind_none : i == 3 ? &as_none : &pictures[i] };

        if (round == 2 && i == 0) {
          reuse.mode = TERN_REUSE_ON;
          g_assert_true (tern_encoder_set_reuse (encoder, &reuse, &error));
        }
        if (round == 1)
          tern_scheduler_call (f.model->scheduler, encode, &e);
        else
          encode (&e);
      }
    tern_encoder_free (encoder);
    tear_down (&f);
  }
}

/* ---- Clips of completions ---- */

static void
hear (gpointer data, TernCompletion *completion, const TernCompletionEvent *event)
{
  g_assert_null (event->failure);
  if (event->last)
    completion_end_tell (data);
}

static void
show (TernModel *model, TernView *view)
{
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autoptr (TernCompletion) completion = NULL;
  g_autoptr (GError) error = NULL;
  CompletionEnd end = { 0 };

  params.chat = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video\"}]}]}";
  params.views = &view;
  params.n_views = 1;
  params.sampling.max_tokens = 1;
  params.func = hear;
  params.func_data = &end;
  completion = tern_completion_new (model, &params, &error);
  g_assert_no_error (error);
  tern_completion_start (completion);
  completion_end_wait (&end);
}

/* Frames 0 to 3, one of another size that stays alone, and three more: pictures as of a session, their times the means of their
 * frames'. */
static void
test_clip (void)
{
  static const guint frames[] = { 0, 1, 2, 3, 100, 5, 6, 7 };
  static const Picture pictures[] = { { NONE, 0, 1 }, { 1, 2, 3 }, { 3, 100, NONE }, { 100, 5, 6 }, { 6, 7, NONE } };
  static const guint times[] = { 250, 1250, 2000, 2750, 3500 };

  for (guint version = 1; version <= 2; version++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernView) view = NULL;
    Fixture f;

    set_up (&f, version, 2);
    view = tern_view_new_clip (f.model, &error);
    for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
      g_autofree guint8 *pixels = g_malloc (3 * FRAME_W * FRAME_H);
      TernImage image = draw (pixels, frames[i]);

      g_assert_true (tern_view_add_frame (view, &image, MS (TICK * i), &error));
    }
    show (f.model, view);
    g_assert_cmpuint (view->frames->len, ==, G_N_ELEMENTS (pictures));
    for (guint i = 0; i < G_N_ELEMENTS (pictures); i++) {
      const TernViewFrame *frame = &g_array_index (view->frames, TernViewFrame, i);
      Picture expected = pictures[i];

      if (version == 1)
        expected.before = NONE;
      expect_picture (&f, &expected, frame->tokens, frame->plan->n_tokens);
      g_assert_cmpuint (frame->pts, ==, MS (times[i]));
      g_assert_null (frame->pixels[0].data);
      g_assert_null (frame->pixels[1].data);
    }
    g_clear_pointer (&view, tern_view_unref);
    tear_down (&f);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/before/windows", test_windows);
  g_test_add_func ("/before/parted", test_parted);
  g_test_add_func ("/before/gate", test_gate);
  g_test_add_func ("/before/live", test_live);
  g_test_add_func ("/before/given-up", test_given_up);
  g_test_add_func ("/before/version-1", test_version_1);
  g_test_add_func ("/before/encoder", test_encoder);
  g_test_add_func ("/before/clip", test_clip);
  return g_test_run ();
}
