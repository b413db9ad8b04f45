/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Visual tokens of two frames where the file reads what is measured between them: those of the first frame, and its two small
 * layers in double precision on top. What is measured is test-motion.c's. */
#include "tests/unit/vision-file.h"

#include <string.h>

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

/* What comes on top of token @at. */
static void
expect (GHashTable *tensors, guint inner, const float *measured, double out[DIM])
{
  const float *w1 = g_hash_table_lookup (tensors, "mm.motion.1.weight"), *b1 = g_hash_table_lookup (tensors, "mm.motion.1.bias");
  const float *w2 = g_hash_table_lookup (tensors, "mm.motion.2.weight"), *b2 = g_hash_table_lookup (tensors, "mm.motion.2.bias");
  guint i, k;

  for (i = 0; i < DIM; i++)
    out[i] = b2[i];
  for (k = 0; k < inner; k++) {
    double sum = b1[k];

    for (i = 0; i < TERN_MOTION_FEATURES; i++)
      sum += (double) w1[k * TERN_MOTION_FEATURES + i] * measured[i];
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
  tern_motion_measure (first, second, WIDTH, HEIGHT, CELL, scratch, out);
}

static void
encode (TernVisionState *state, Frame *a, Frame *b, float *tokens)
{
  TernImage first = frame_image (a), second = b ? frame_image (b) : first;
  TernVisionOptions options = { 0 };
  g_autoptr (GError) error = NULL;
  TernVisionPlan plan;

  g_assert_true (tern_vision_plan (state->vision, WIDTH, HEIGHT, &options, &plan, &error));
  g_assert_cmpuint (plan.n_tokens, ==, TOKENS);
  if (b)
    tern_vision_begin_pair (state, &first, &second, &options, &plan, tokens, &error);
  else
    tern_vision_begin (state, &first, &options, &plan, tokens, &error);
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
  g_assert_cmpuint (tern_vision_info (still)->frames, ==, 1);
  state = tern_vision_state_new (vision, TOKENS, activations, NULL, &error);
  plain = tern_vision_state_new (still, TOKENS, activations, NULL, &error);
  g_assert_no_error (error);
  frame_draw (&a, 0, 1);
  frame_draw (&b, 5, 2);
  measure (&a, &b, measured);

  /* One frame, and none behind a pair: as if the file had no such tensors. */
  encode (state, &a, &b, moved);
  encode (state, &a, NULL, alone);
  encode (plain, &a, NULL, again);
  g_assert_cmpmem (alone, sizeof alone, again, sizeof again);

  for (guint t = 0; t < TOKENS; t++) {
    double top[DIM];

    expect (tensors, config.motion, measured + t * TERN_MOTION_FEATURES, top);
    for (guint i = 0; i < DIM; i++)
      g_assert_cmpfloat_with_epsilon (moved[t * DIM + i], alone[t * DIM + i] + top[i], 1e-4);
  }
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
  g_assert_false (tern_vision_begin_pair (state, &image, &image, &options, &plan, tokens, &error));
  g_assert_nonnull (strstr (error->message, "two frames for one picture"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/motion-tokens/f32", GINT_TO_POINTER (TERN_ACTIVATIONS_F32), test_tokens);
  g_test_add_data_func ("/motion-tokens/int8", GINT_TO_POINTER (TERN_ACTIVATIONS_INT8), test_tokens);
  g_test_add_func ("/motion-tokens/refused", test_refused);
  return g_test_run ();
}
