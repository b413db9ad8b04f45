/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Visual tokens of two frames where the file reads what is measured between them: those of the first frame, and its two small
 * layers in double precision on top. What is measured is test-motion.c's; of a stream, for files of version 2, numpy's
 * (motion-goldens.py stream). */
#include "tests/unit/vision-file.h"

#include <string.h>

#include "tern/error.h"
#include "tests/unit/motion-stream-goldens.h"

#define SMALL "tokens", USUAL, .min_pixels = 32 * 24, .max_pixels = 32 * 24
#define WIDTH 32
#define HEIGHT 24
#define CELL 8                  /* patch x factor */
#define TOKENS (WIDTH / CELL * HEIGHT / CELL)
#define DIM 6

typedef struct {
  guint8 bytes[WIDTH * HEIGHT * 3];
} Frame;

static TernImage
frame_image (Frame *frame)
{
  return (TernImage) { TERN_IMAGE_RGB, WIDTH, HEIGHT, { frame->bytes }, { WIDTH * 3 } };
}

/* Soft stripes that move by @step pixels, and some grain. */
static void
frame_draw (Frame *frame, guint step, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  guint x, y, c;

  for (y = 0; y < HEIGHT; y++)
    for (x = 0; x < WIDTH; x++)
      for (c = 0; c < 3; c++)
        frame->bytes[(y * WIDTH + x) * 3 + c] = (guint8) (128 + 90 * sin ((x + 50 - step) * (0.4 + 0.1 * c) + y * 0.3 * c)
            + g_rand_int_range (rand, 0, 8));
}

static double
gelu (double x)
{
  return x * 0.5 * (1 + erf (x / G_SQRT2));
}

/* What comes on top of a token of which @n numbers were measured. */
static void
expect (GHashTable *tensors, guint inner, const float *measured, guint n, double out[DIM])
{
  const float *w1 = g_hash_table_lookup (tensors, "mm.motion.1.weight"), *b1 = g_hash_table_lookup (tensors, "mm.motion.1.bias");
  const float *w2 = g_hash_table_lookup (tensors, "mm.motion.2.weight"), *b2 = g_hash_table_lookup (tensors, "mm.motion.2.bias");
  guint i, k;

  for (i = 0; i < DIM; i++)
    out[i] = b2[i];
  for (k = 0; k < inner; k++) {
    double sum = b1[k];

    for (i = 0; i < n; i++)
      sum += (double) w1[k * n + i] * measured[i];
    for (i = 0; i < DIM; i++)
      out[i] += w2[i * inner + k] * gelu (sum);
  }
}

static void
measure (const Frame *a, const Frame *b, float *out)
{
  const Frame *frames[] = { a, b };
  guint8 planes[2][3][WIDTH * HEIGHT];
  const guint8 *first[3], *second[3];
  g_autofree guint8 *scratch = g_malloc (tern_motion_scratch (WIDTH, HEIGHT, CELL));

  for (guint i = 0; i < 2 * 3 * WIDTH * HEIGHT; i++)
    planes[i / (3 * WIDTH * HEIGHT)][i % 3][i % (3 * WIDTH * HEIGHT) / 3] = frames[i / (3 * WIDTH * HEIGHT)]->bytes[i % (3 * WIDTH * HEIGHT)];
  for (guint c = 0; c < 3; c++) {
    first[c] = planes[0][c];
    second[c] = planes[1][c];
  }
  tern_motion_measure (first, second, WIDTH, HEIGHT, CELL, scratch, out, TERN_MOTION_FEATURES);
}

/* @before, @b: NULL without. */
static void
encode (TernVisionState *state, Frame *before, Frame *a, Frame *b, float *tokens)
{
  TernImage earlier = frame_image (before ? before : a), first = frame_image (a), second = frame_image (b ? b : a);
  TernVisionOptions options = { 0 };
  g_autoptr (GError) error = NULL;
  TernVisionPlan plan;

  g_assert_true (tern_vision_plan (state->vision, WIDTH, HEIGHT, &options, &plan, &error));
  g_assert_cmpuint (plan.n_tokens, ==, TOKENS);
  tern_vision_begin_frames (state, before ? &earlier : NULL, &first, b ? &second : NULL, &options, &plan, tokens, &error);
  g_assert_no_error (error);
  while (tern_vision_step (state, NULL, &error) == TERN_VISION_MORE)
    ;
  g_assert_no_error (error);
}

static void
test_tokens (gconstpointer data)
{
  TernActivations activations = (TernActivations) GPOINTER_TO_INT (data);
  Config config = { SMALL, .motion = 7 }, without = { SMALL };
  g_autoptr (GHashTable) tensors = tensors_new (), others = tensors_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVision) vision = open_config (&config, tensors, &error), still = open_config (&without, others, &error);
  g_autoptr (TernVisionState) state = NULL, plain = NULL;
  float alone[TOKENS * DIM], moved[TOKENS * DIM], again[TOKENS * DIM], measured[TOKENS * TERN_MOTION_FEATURES];
  Frame a, b;

  g_assert_no_error (error);
  g_assert_cmpuint (tern_vision_info (vision)->frames, ==, 2);
  g_assert_false (tern_vision_info (vision)->looks_back);
  g_assert_cmpuint (tern_vision_info (still)->frames, ==, 1);
  state = tern_vision_state_new (vision, TOKENS, activations, NULL, &error);
  plain = tern_vision_state_new (still, TOKENS, activations, NULL, &error);
  g_assert_no_error (error);
  frame_draw (&a, 0, 1);
  frame_draw (&b, 5, 2);
  measure (&a, &b, measured);

  /* One frame, and none behind a pair: as if the file had no such tensors. */
  encode (state, NULL, &a, &b, moved);
  encode (state, NULL, &a, NULL, alone);
  encode (plain, NULL, &a, NULL, again);
  g_assert_cmpmem (alone, sizeof alone, again, sizeof again);

  for (guint t = 0; t < TOKENS; t++) {
    double top[DIM];

    expect (tensors, config.motion, measured + t * TERN_MOTION_FEATURES, TERN_MOTION_FEATURES, top);
    for (guint i = 0; i < DIM; i++)
      g_assert_cmpfloat_with_epsilon (moved[t * DIM + i], alone[t * DIM + i] + top[i], 1e-4);
  }

  /* It does not look at a frame before. */
  encode (state, &b, &a, &b, again);
  g_assert_cmpmem (moved, sizeof moved, again, sizeof again);
  encode (state, &b, &a, NULL, again);
  g_assert_cmpmem (alone, sizeof alone, again, sizeof again);
}

/* ---- Version 2 ---- */

/* What motion-goldens.py calls stream_frame(). */
static void
stream_draw (Frame *frame, guint f)
{
  guint lamp = f >= 2 ? 30 : 0, x, y, c;

  for (y = 0; y < HEIGHT; y++)
    for (x = 0; x < WIDTH; x++)
      for (c = 0; c < 3; c++) {
        guint at = x + 40 - 4 * f + (f >= 2 ? 90 : 0);

        frame->bytes[(y * WIDTH + x) * 3 + c] = (guint8) ((5 * at * at + 3 * y * y + 2 * at * y + 70 * c) % 199 + lamp);
      }
}

/* Five frames of a stream: two pictures of two, one of one. The first one follows nothing. */
static void
test_stream (gconstpointer data)
{
  Config config = { SMALL, .motion = 7, .version = 2 };
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVision) vision = open_config (&config, tensors, &error);
  g_autoptr (TernVisionState) state = NULL;
  float alone[TOKENS * DIM], found[TOKENS * DIM];
  const guint inputs = 2 * TERN_MOTION_FEATURES;
  Frame frames[5];

  g_assert_no_error (error);
  g_assert_cmpuint (tern_vision_info (vision)->frames, ==, 2);
  g_assert_true (tern_vision_info (vision)->looks_back);
  state = tern_vision_state_new (vision, TOKENS, (TernActivations) GPOINTER_TO_INT (data), NULL, &error);
  g_assert_no_error (error);
  for (guint f = 0; f < G_N_ELEMENTS (frames); f++)
    stream_draw (&frames[f], f);
  for (guint n = 0; n < 3; n++) {
    encode (state, n > 0 ? &frames[2 * n - 1] : NULL, &frames[2 * n], n < 2 ? &frames[2 * n + 1] : NULL, found);
    for (guint i = 0; i < TOKENS * inputs; i++)
      if (!(fabs (state->measured[i] - stream_inputs[n][i]) <= 2e-4 * (1 + fabs (stream_inputs[n][i]))))
        g_error ("picture %u: token %u, input %u: expected %g, found %g", n, i / inputs, i % inputs, stream_inputs[n][i],
            state->measured[i]);
    encode (state, NULL, &frames[2 * n], NULL, alone);
    for (guint t = 0; t < TOKENS; t++) {
      double top[DIM];

      expect (tensors, config.motion, stream_inputs[n] + t * inputs, inputs, top);
      for (guint i = 0; i < DIM; i++)
        g_assert_cmpfloat_with_epsilon (found[t * DIM + i], alone[t * DIM + i] + top[i], 2e-3);
    }
  }
}

/* A frame before of another size is none; one that is no picture is refused. */
static void
test_before (void)
{
  Config config = { SMALL, .motion = 7, .version = 2 };
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVision) vision = open_config (&config, tensors, &error);
  g_autoptr (TernVisionState) state = tern_vision_state_new (vision, TOKENS, TERN_ACTIVATIONS_F32, NULL, &error);
  float pair[TOKENS * DIM], found[TOKENS * DIM];
  TernImage first, second, before;
  TernVisionOptions options = { 0 };
  TernVisionPlan plan;
  Frame frames[3];

  g_assert_no_error (error);
  for (guint f = 0; f < 3; f++)
    stream_draw (&frames[f], f);
  first = frame_image (&frames[1]);
  second = frame_image (&frames[2]);
  before = frame_image (&frames[0]);
  encode (state, NULL, &frames[1], &frames[2], pair);
  encode (state, &frames[0], &frames[1], &frames[2], found);
  g_assert_cmpint (memcmp (found, pair, sizeof pair), !=, 0);

  g_assert_true (tern_vision_plan (vision, WIDTH, HEIGHT, &options, &plan, &error));
  before.height -= 8;
  g_assert_true (tern_vision_begin_frames (state, &before, &first, &second, &options, &plan, found, &error));
  while (tern_vision_step (state, NULL, &error) == TERN_VISION_MORE)
    ;
  g_assert_no_error (error);
  g_assert_cmpmem (found, sizeof found, pair, sizeof pair);

  before.data[0] = NULL;
  g_assert_false (tern_vision_begin_frames (state, &before, &first, &second, &options, &plan, found, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* A file that does not read it takes no pairs. */
static void
test_refused (void)
{
  Config config = { SMALL };
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVision) vision = open_config (&config, tensors, &error);
  g_autoptr (TernVisionState) state = tern_vision_state_new (vision, TOKENS, TERN_ACTIVATIONS_F32, NULL, &error);
  TernVisionOptions options = { 0 };
  TernVisionPlan plan;
  float tokens[TOKENS * DIM];
  Frame a = { { 0 } };
  TernImage image = frame_image (&a);

  g_assert_no_error (error);
  g_assert_true (tern_vision_plan (vision, WIDTH, HEIGHT, &options, &plan, &error));
  g_assert_false (tern_vision_begin_frames (state, NULL, &image, &image, &options, &plan, tokens, &error));
  g_assert_nonnull (strstr (error->message, "two frames for one picture"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/motion-tokens/f32", GINT_TO_POINTER (TERN_ACTIVATIONS_F32), test_tokens);
  g_test_add_data_func ("/motion-tokens/int8", GINT_TO_POINTER (TERN_ACTIVATIONS_INT8), test_tokens);
  g_test_add_data_func ("/motion-tokens/stream/f32", GINT_TO_POINTER (TERN_ACTIVATIONS_F32), test_stream);
  g_test_add_data_func ("/motion-tokens/stream/int8", GINT_TO_POINTER (TERN_ACTIVATIONS_INT8), test_stream);
  g_test_add_func ("/motion-tokens/before", test_before);
  g_test_add_func ("/motion-tokens/refused", test_refused);
  return g_test_run ();
}
