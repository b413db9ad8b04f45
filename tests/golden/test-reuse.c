/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream whose unchanged patches keep their features, against what numpy makes of it (make-reuse.py), in floats and packed. */
#include "golden.h"
#include "vision/internal.h"

#define FRAMES 3
#define INT8_NMSE 1e-2
#define FLOAT_NMSE 1e-7
#define FLOAT_MAX 5e-3

/* As picture() of make-reuse.py. */
static guint8 *
draw (guint side, guint t)
{
  const guint rectangles[2][3] = { { side / 8, side / 4, side / 5 }, { side / 2, side / 2, side / 4 } };
  guint8 *bytes = g_malloc ((gsize) 3 * side * side), *to = bytes;

  for (guint y = 0; y < side; y++)
    for (guint x = 0; x < side; x++)
      for (guint c = 0; c < 3; c++) {
        guint value = 60 + (x * 3 + y * 2 + c * 40) % 97 + (x * y >> 4) % 23;

        for (guint k = 0; k < t && k < 2; k++) {
          const guint *r = rectangles[k];

          if (x >= r[0] && x < r[0] + r[2] && y >= r[1] && y < r[1] + r[2])
            value = (x * 11 + y * 5 + c * 70 + k * 31) % 254 + 1;
        }
        value += (x * 7 + y * 13 + c * 5 + t * 17) % 3;
        g_assert_cmpuint (value - 1, <, 256);
        *to++ = (guint8) (value - 1);
      }
  return bytes;
}

typedef struct {
  JsonObject *item;
  TernVision *vision;
  TernVisionState *state;
  TernReuse *reuse;
  TernActivations mode;
} Stream;

static void
check_frame (const Stream *s, guint t)
{
  guint side = (guint) json_object_get_int_member (s->item, "side");
  g_autofree guint8 *bytes = draw (side, t);
  g_autofree char *path = golden_path ("reuse", json_array_get_string_element (json_object_get_array_member (s->item, "visual"),
      t));
  g_autoptr (GoldenArray) visual = golden_npy (path);
  g_autofree float *tokens = g_new (float, visual->n);
  gsize dim = tern_vision_info (s->vision)->embedding_dim;
  TernImage image = { .format = TERN_IMAGE_RGB, .width = side, .height = side, .data = { bytes }, .stride = { 3 * (gint) side } };
  TernVisionOptions options = { (guint) (visual->n / dim), (guint) (visual->n / dim), .scaling = TERN_SCALING_STRETCH };
  gboolean exact = s->mode == TERN_ACTIVATIONS_F32;
  TernVisionStep step = TERN_VISION_MORE;
  g_autoptr (GError) error = NULL;
  TernReuseCounts before, after;
  TernVisionPlan plan;
  double drift = json_array_get_double_element (json_object_get_array_member (s->item, "drift"), t);

  tern_vision_plan_image (s->vision, &image, &options, &plan, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (plan.n_tokens * dim, ==, visual->n);
  tern_reuse_counts (s->reuse, &before);
  tern_vision_begin_reusing (s->state, s->reuse, &image, &options, &plan, tokens, &error);
  while (!error && step == TERN_VISION_MORE)
    step = tern_vision_step (s->state, NULL, &error);
  g_assert_no_error (error);
  tern_reuse_counts (s->reuse, &after);
  g_test_message ("%u: nmse %.3g max %.3g, drift %.4g", t, golden_nmse (tokens, visual->data, visual->n),
      golden_max_abs (tokens, visual->data, visual->n), after.drift);
  g_assert_cmpuint (after.computed - before.computed, ==,
      json_array_get_int_element (json_object_get_array_member (s->item, "rows"), t));
  g_assert_cmpfloat (golden_nmse (tokens, visual->data, visual->n), <=, exact ? FLOAT_NMSE : INT8_NMSE);
  if (exact)
    g_assert_cmpfloat (golden_max_abs (tokens, visual->data, visual->n), <=, FLOAT_MAX);
  if (t > 0)
    g_assert_cmpfloat (ABS (after.drift - drift), <=, (exact ? 1e-4 : .25) * drift);
}

static void
check_stream (const TernKernels *kernels, JsonObject *item, TernActivations mode)
{
  const TernReuseOptions options = { .threshold = 4, .drift = 2 };
  g_autofree char *path = golden_path ("", json_object_get_string_member (item, "mmproj"));
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
  TernPool *pool = tern_pool_new (3, NULL);
  Stream s = { .item = item, .mode = mode };

  g_assert_no_error (error);
  s.vision = tern_vision_open (file, kernels, &error);
  g_assert_no_error (error);
  s.state = tern_vision_state_new (s.vision, 64, mode, pool, &error);
  g_assert_no_error (error);
  s.reuse = tern_reuse_new (s.vision, 64, &options, &error);
  g_assert_no_error (error);
  for (guint t = 0; t < FRAMES; t++)
    check_frame (&s, t);
  tern_reuse_free (s.reuse);
  tern_vision_state_free (s.state);
  tern_vision_unref (s.vision);
  tern_pool_free (pool);
}

static void
check_float (const TernKernels *kernels, gconstpointer item)
{
  check_stream (kernels, (JsonObject *) item, TERN_ACTIVATIONS_F32);
}

static void
check_int8 (const TernKernels *kernels, gconstpointer item)
{
  check_stream (kernels, (JsonObject *) item, TERN_ACTIVATIONS_INT8);
}

static void
test_float (gconstpointer item)
{
  golden_each_level (check_float, item);
}

static void
test_int8 (gconstpointer item)
{
  golden_each_level (check_int8, item);
}

int
main (int argc, char **argv)
{
  JsonObject *root;
  g_autoptr (JsonParser) parser = NULL;
  JsonArray *cases;

  g_test_init (&argc, &argv, NULL);
  parser = golden_json ("reuse", "reuse.json", &root);
  if (!parser)
    return 77;
  cases = json_object_get_array_member (root, "cases");
  for (guint i = 0; i < json_array_get_length (cases); i++) {
    JsonObject *item = json_array_get_object_element (cases, i);
    g_autofree char *floats = g_strdup_printf ("/reuse/%s/float", json_object_get_string_member (item, "name"));
    g_autofree char *ints = g_strdup_printf ("/reuse/%s/int8", json_object_get_string_member (item, "name"));

    g_test_add_data_func (floats, item, test_float);
    g_test_add_data_func (ints, item, test_int8);
  }
  return g_test_run ();
}
