/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures side by side, one a thread: the same tokens, bit for bit, as one after the other on one thread, for any number of
 * threads, in any order, wherever the time of a call ends; those given up, cancelled and refused harm no other. */
#include <stdatomic.h>

#include "tern/error.h"
#include "tern/lanes.h"
#include "tests/unit/vision-file.h"

#define PICTURES 14
#define SIDE 80                 /* pixels, at most */

typedef struct {
  TernVision *vision;
  GHashTable *tensors;
  guint dim;
  guint8 *pixels;
  TernImage image[PICTURES], other[PICTURES];   /* other: the frame behind it, or before; of its size */
  TernVisionPlan plan[PICTURES];
  gsize bytes[PICTURES];        /* of the tokens */
  float *expected[PICTURES], *found[PICTURES];
  TernCancel cancel[PICTURES];
  gboolean frames;              /* there are such */
} Fixture;

static const TernVisionOptions options = { .scaling = TERN_SCALING_STRETCH };

/* With frames, of four pictures one has a second one, one has one before, one has both, one neither. */
static const TernImage *
second_of (const Fixture *f, guint i)
{
  return f->frames && i % 4 % 3 ? &f->other[i] : NULL;
}

static const TernImage *
before_of (const Fixture *f, guint i)
{
  return f->frames && i % 4 >= 2 ? &f->other[i] : NULL;
}

/* Pictures of many shapes; the tokens that a state of its own makes of each. */
static void
set_up (Fixture *f, const Config *config)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);
  g_autoptr (GError) error = NULL;

  *f = (Fixture) { .tensors = tensors_new (), .dim = config->dim, .pixels = g_malloc (3 * SIDE * SIDE + PICTURES),
    .frames = config->version == 2 };
  f->vision = open_config (config, f->tensors, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 3 * SIDE * SIDE + PICTURES; i++)
    f->pixels[i] = (guint8) (i / 61 + (guint) g_rand_int (rand) % 64);
  for (guint i = 0; i < PICTURES; i++) {
    g_autoptr (TernVisionState) state = tern_vision_state_new (f->vision, 64, TERN_ACTIVATIONS_INT8, NULL, &error);
    guint width = 17 + (i * 29) % (SIDE - 17), height = 21 + (i * 13) % (SIDE - 21);

    f->image[i] = (TernImage) { .format = TERN_IMAGE_RGB, .width = width, .height = height, .data = { f->pixels + i },
      .stride = { (gint) width * 3 } };
    f->other[i] = f->image[i];
    f->other[i].data[0] = f->pixels + 7 * i % PICTURES;
    tern_vision_plan_image (f->vision, &f->image[i], &options, &f->plan[i], &error);
    g_assert_no_error (error);
    f->bytes[i] = (gsize) f->plan[i].n_tokens * f->dim * sizeof (float);
    f->expected[i] = g_malloc (f->bytes[i]);
    f->found[i] = g_malloc (f->bytes[i]);
    tern_vision_begin_frames (state, before_of (f, i), &f->image[i], second_of (f, i), &options, &f->plan[i], f->expected[i],
        &error);
    while (!error && tern_vision_step (state, NULL, &error) == TERN_VISION_MORE)
      ;
    g_assert_no_error (error);
  }
}

static void
tear_down (Fixture *f)
{
  for (guint i = 0; i < PICTURES; i++) {
    g_free (f->expected[i]);
    g_free (f->found[i]);
  }
  g_free (f->pixels);
  tern_vision_unref (f->vision);
  g_hash_table_unref (f->tensors);
}

static TernLookTask
task_of (Fixture *f, guint i, guint64 number)
{
  return (TernLookTask) { .owner = &f->image[i], .look = { .number = number, .image = &f->image[i], .options = options,
    .before = before_of (f, i), .second = second_of (f, i), .plan = &f->plan[i], .tokens = f->found[i], .cancel = &f->cancel[i] } };
}

static void
expect_same (const Fixture *f, guint i)
{
  g_assert_cmpmem (f->found[i], f->bytes[i], f->expected[i], f->bytes[i]);
}

/* Whenever it is looked at another slice's time has passed: a call does a step on every lane. */
static gint64
hurried (void)
{
  static _Atomic gint64 now = 1;

  return atomic_fetch_add (&now, TERN_SLICE_US);
}

/* Time stands still: a call ends when all is done. */
static gint64
idle (void)
{
  return 1;
}

/* ---- The same bits ----------------------------------------------------------------------------------------------- */

/* All pictures in the order of @rand, as many at once as may be. Returns the calls that it took. */
static guint
encode_all (Fixture *f, TernLanes *lanes, GRand *rand)
{
  guint order[PICTURES], calls = 0, begun = 0, n = 0;
  g_autoptr (GArray) tasks = g_array_new (FALSE, TRUE, sizeof (TernLookTask));

  for (guint i = 0; i < PICTURES; i++) {
    guint k = (guint) g_rand_int_range (rand, 0, (gint) i + 1);

    order[i] = order[k];
    order[k] = i;
    memset (f->found[i], 0x55, f->bytes[i]);
  }
  while (begun < PICTURES || tasks->len > 0) {
    for (; begun < PICTURES && tasks->len < tern_lanes_most (lanes); begun++) {
      TernLookTask task = task_of (f, order[begun], begun + 1);

      g_assert_true (tern_lanes_is_small (lanes, &task.look));
      g_array_append_val (tasks, task);
    }
    g_assert_true (tern_lanes_run_side (lanes, (TernLookTask *) tasks->data, tasks->len));
    calls++;
    for (guint i = tasks->len; i-- > 0;) {
      const TernLookTask *task = &g_array_index (tasks, TernLookTask, i);

      g_assert_no_error (task->error);
      g_assert_cmpint (tern_lanes_find (lanes, task->look.number), ==,
          task->touched && task->step == TERN_VISION_MORE ? TERN_LANE_SIDE : TERN_LANE_NONE);
      if (!task->touched || task->step == TERN_VISION_MORE)
        continue;
      g_assert_cmpint (task->step, ==, TERN_VISION_DONE);
      expect_same (f, (guint) ((TernImage *) task->owner - f->image));
      g_array_remove_index (tasks, i);
      n++;
    }
  }
  g_assert_cmpuint (n, ==, PICTURES);
  return calls;
}

static void
test_same_bits (gconstpointer data)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);
  Fixture f;

  set_up (&f, data);
  for (guint threads = 2; threads <= 5; threads++) {
    TernPool *pool = tern_pool_new (threads, NULL);
    TernLanes *lanes = tern_lanes_new (f.vision, TERN_ACTIVATIONS_INT8, pool, NULL);

    g_assert_cmpuint (tern_lanes_most (lanes), >=, threads);
    tern_lanes_set_clock (lanes, hurried);
    /* Two steps a picture at least, pixels and products, and one a call and lane. */
    for (guint i = 0; i < 3; i++)
      g_assert_cmpuint (encode_all (&f, lanes, rand), >=, 2 * PICTURES / threads);
    tern_lanes_set_clock (lanes, idle);
    for (guint i = 0; i < 3; i++)
      g_assert_cmpuint (encode_all (&f, lanes, rand), ==, (PICTURES + tern_lanes_most (lanes) - 1) / tern_lanes_most (lanes));
    tern_lanes_free (lanes);
    tern_pool_free (pool);
  }
  tear_down (&f);
}

/* ---- What is not finished ---------------------------------------------------------------------------------------- */

static void
run_both (TernLanes *lanes, TernLookTask *a, TernLookTask *b)
{
  TernLookTask tasks[] = { *a, *b };

  g_assert_true (tern_lanes_run_side (lanes, tasks, 2));
  *a = tasks[0];
  *b = tasks[1];
}

/* Goes on until @task is done, beside @other, which is no more than begun anew each time if @anew. */
static void
finish (Fixture *f, TernLanes *lanes, TernLookTask *task, guint i)
{
  while (task->step == TERN_VISION_MORE)
    g_assert_true (tern_lanes_run_side (lanes, task, 1));
  g_assert_cmpint (task->step, ==, TERN_VISION_DONE);
  expect_same (f, i);
}

static void
test_given_up (gconstpointer data)
{
  TernPool *pool = tern_pool_new (2, NULL);
  g_autoptr (GError) error G_GNUC_UNUSED = NULL;
  TernLookTask a, b, c;
  TernLanes *lanes;
  Fixture f;

  set_up (&f, data);
  lanes = tern_lanes_new (f.vision, TERN_ACTIVATIONS_INT8, pool, NULL);
  tern_lanes_set_clock (lanes, hurried);

  /* Cancelled between two calls: it says so, and the other goes on. */
  a = task_of (&f, 0, 1);
  b = task_of (&f, 1, 2);
  run_both (lanes, &a, &b);
  g_assert_cmpint (a.step, ==, TERN_VISION_MORE);
  g_assert_cmpint (b.step, ==, TERN_VISION_MORE);
  tern_cancel_raise (&f.cancel[0]);
  run_both (lanes, &a, &b);
  g_assert_cmpint (a.step, ==, TERN_VISION_CANCELLED);
  g_assert_error (a.error, TERN_ERROR, TERN_ERROR_CANCELLED);
  g_clear_error (&a.error);
  finish (&f, lanes, &b, 1);
  tern_cancel_reset (&f.cancel[0]);

  /* Left out of a call: given up, and begun anew under its number. */
  a = task_of (&f, 2, 3);
  b = task_of (&f, 3, 4);
  run_both (lanes, &a, &b);
  finish (&f, lanes, &b, 3);
  g_assert_cmpint (tern_lanes_find (lanes, 3), ==, TERN_LANE_NONE);
  memset (f.found[2], 0x55, f.bytes[2]);
  finish (&f, lanes, &a, 2);

  /* Another plan than its own: refused, the other goes on. */
  a = task_of (&f, 4, 5);
  a.look.plan = &f.plan[5];
  f.plan[5].sub[0].width += 8;
  b = task_of (&f, 6, 6);
  run_both (lanes, &a, &b);
  g_assert_cmpint (a.step, ==, TERN_VISION_FAILED);
  g_assert_error (a.error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&a.error);
  finish (&f, lanes, &b, 6);

  /* With all threads in between: what is on a lane stays there. */
  a = task_of (&f, 7, 7);
  b = task_of (&f, 8, 8);
  c = task_of (&f, 9, 9);
  run_both (lanes, &a, &b);
  tern_lanes_run_whole (lanes, &c);
  g_assert_cmpint (c.step, ==, TERN_VISION_MORE);
  g_assert_cmpint (tern_lanes_find (lanes, 9), ==, TERN_LANE_WHOLE);
  g_assert_cmpint (tern_lanes_find (lanes, 7), ==, TERN_LANE_SIDE);
  run_both (lanes, &a, &b);
  while (c.step == TERN_VISION_MORE)
    tern_lanes_run_whole (lanes, &c);
  g_assert_cmpint (c.step, ==, TERN_VISION_DONE);
  expect_same (&f, 9);
  while (a.step == TERN_VISION_MORE || b.step == TERN_VISION_MORE) {
    TernLookTask left[2];
    guint n = 0;

    if (a.step == TERN_VISION_MORE)
      left[n++] = a;
    if (b.step == TERN_VISION_MORE)
      left[n++] = b;
    g_assert_true (tern_lanes_run_side (lanes, left, n));
    for (guint i = 0; i < n; i++)
      *(left[i].look.number == 7 ? &a : &b) = left[i];
  }
  expect_same (&f, 7);
  expect_same (&f, 8);

  /* And what all threads have under way is given up when somebody takes their state. */
  c = task_of (&f, 10, 10);
  tern_lanes_run_whole (lanes, &c);
  g_assert_nonnull (tern_lanes_take_whole (lanes));
  g_assert_cmpint (tern_lanes_find (lanes, 10), ==, TERN_LANE_NONE);

  tern_lanes_free (lanes);
  tern_pool_free (pool);
  tear_down (&f);
}

/* ---- Which pictures are small ------------------------------------------------------------------------------------ */

static void
test_small (gconstpointer data)
{
  const Config *config = data;
  TernPool *one = tern_pool_new (1, NULL), *three = tern_pool_new (3, NULL);
  TernLanes *alone, *lanes;
  TernImage huge;
  TernLookTask task;
  Fixture f;

  set_up (&f, config);
  alone = tern_lanes_new (f.vision, TERN_ACTIVATIONS_INT8, one, NULL);
  lanes = tern_lanes_new (f.vision, TERN_ACTIVATIONS_INT8, three, NULL);
  task = task_of (&f, 0, 1);
  g_assert_cmpuint (tern_lanes_most (alone), ==, 0);
  g_assert_false (tern_lanes_run_side (alone, &task, 1));
  g_assert_false (task.touched);
  g_assert_cmpuint (tern_lanes_least (lanes), ==, 2);
  g_assert_true (tern_lanes_is_small (lanes, &task.look));
  f.plan[0].n = 2;              /* tiles */
  g_assert_false (tern_lanes_is_small (lanes, &task.look));
  f.plan[0].n = 1;
  f.plan[0].n_tokens = tern_vision_small_tokens (f.vision) + 1;
  g_assert_false (tern_lanes_is_small (lanes, &task.look));
  f.plan[0].n_tokens--;
  g_assert_true (tern_lanes_is_small (lanes, &task.look));
  /* Pixels count, too. */
  huge = f.image[0];
  huge.width = 1 << 14;
  huge.height = 1 << 12;
  task.look.image = &huge;
  g_assert_false (tern_lanes_is_small (lanes, &task.look));
  tern_lanes_free (alone);
  tern_lanes_free (lanes);
  tern_pool_free (one);
  tern_pool_free (three);
  tear_down (&f);
}

/* Counted by hand: patch 16, 4 patches a token, six blocks of width 192 and 768 inside, projection of 768 to 192 to 192.
 * A token: 4 * (768 * 192 + 6 * (4 * 192^2 + 2 * 192 * 768)) + 768 * 192 + 192^2; of n patches 6 * 2 n^2 * 192 for their
 * attention. */
static void
test_small_tokens (void)
{
  const Config config = { "count", .patch = 16, .factor = 2, .hidden = 192, .heads = 3, .ffn = 768, .blocks = 6, .side = 4,
      .mm = 192,
    .dim = 192 };
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVision) vision = open_config (&config, tensors, &error);
  guint64 a_token = 4 * (768 * 192 + 6 * (4 * 192 * 192 + 2 * 192 * 768)) + 768 * 192 + 192 * 192;
  guint most = 0;

  g_assert_no_error (error);
  while ((most + 1) * a_token + (guint64) 6 * 2 * 16 * (most + 1) * (most + 1) * 192 <= (guint64) 1 << 31)
    most++;
  g_assert_cmpuint (most, <, tern_vision_info (vision)->max_tokens);
  g_assert_cmpuint (tern_vision_small_tokens (vision), ==, most);
}

int
main (int argc, char **argv)
{
  static const Config lfm2 = { "lfm2", USUAL }, fused = { "fused", USUAL, .fused = TRUE, .no_post_ln = TRUE,
      .no_input_norm = TRUE }, smol = { "smol", SMOL }, motion = { "motion", USUAL, .motion = 5, .version = 2 };

  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/lanes/same-bits/lfm2", &lfm2, test_same_bits);
  g_test_add_data_func ("/lanes/same-bits/fused", &fused, test_same_bits);
  g_test_add_data_func ("/lanes/same-bits/idefics3", &smol, test_same_bits);
  g_test_add_data_func ("/lanes/same-bits/motion", &motion, test_same_bits);
  g_test_add_data_func ("/lanes/given-up", &lfm2, test_given_up);
  g_test_add_data_func ("/lanes/small", &lfm2, test_small);
  g_test_add_func ("/lanes/small-tokens", test_small_tokens);
  return g_test_run ();
}
