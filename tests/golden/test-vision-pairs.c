/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Qwen3.5's vision encoder, and Qwen3-VL's, whose rows hold features of early layers behind the tokens, against transformers in
 * float64: pictures, which are two equal frames, and videos, whose frames make pictures in pairs. Rows of patches are there in
 * blocks of 2 x 2, here row by row. */
#include <math.h>
#include <string.h>

#include "tests/golden/golden.h"
#include "tests/golden/picture.h"
#include "vision/internal.h"

#define INT8_NMSE 2e-3          /* with int8 and bf16, whatever the type in the file: a cosine of .999 */
#define FILE_NMSE 2e-4          /* from the picture's file: pixels may be a step off */

typedef struct {
  const char *folder, *json;
} Model;

typedef struct {
  const char *folder;
  JsonObject *root, *item;
  TernVision *vision;
  TernVisionState *state;
  TernVisionOptions options;
  double max_abs, nmse;         /* max_abs 0: not bounded */
} Case;

static GoldenArray *
load (const Case *c, const char *name)
{
  g_autofree char *path = golden_path (c->folder, name);

  return path ? golden_npy (path) : NULL;
}

static GoldenArray *
member (const Case *c, const char *name)
{
  return json_object_has_member (c->item, name) ? load (c, json_object_get_string_member (c->item, name)) : NULL;
}

static const char *
element (const Case *c, const char *name, guint i)
{
  return json_array_get_string_element (json_object_get_array_member (c->item, name), i);
}

static gboolean
is_video (const Case *c)
{
  return json_object_has_member (c->item, "frames");
}

static guint
pictures (const Case *c)
{
  return json_array_get_length (json_object_get_array_member (c->item, "visual"));
}

/* Limits of a video are of all its frames. */
static TernVisionOptions
options_of (const Case *c)
{
  TernVisionOptions options = { .tile = !is_video (c), .scaling = TERN_SCALING_TRAINED };

  if (is_video (c)) {
    JsonObject *pixels = json_object_get_object_member (c->item, "video_pixels");
    guint frames = json_array_get_length (json_object_get_array_member (c->item, "frames")), area = 32 * 32 * frames;

    options.min_tokens = (guint) (json_object_get_int_member (pixels, "shortest_edge") / area);
    options.max_tokens = (guint) (json_object_get_int_member (pixels, "longest_edge") / area);
  } else {
    JsonArray *limits = json_object_get_array_member (c->item, "image_tokens");

    options.min_tokens = (guint) json_array_get_int_element (limits, 0);
    options.max_tokens = (guint) json_array_get_int_element (limits, 1);
  }
  return options;
}

/* The reference's output is taken before the last norm, ours after it. */
static void
norm_row (const TernVision *vision, float *x)
{
  double mean = 0, variance = 0;

  for (guint i = 0; i < vision->hidden; i++)
    mean += x[i] / (double) vision->hidden;
  for (guint i = 0; i < vision->hidden; i++)
    variance += (x[i] - mean) * (x[i] - mean) / vision->hidden;
  for (guint i = 0; i < vision->hidden; i++)
    x[i] = (float) ((x[i] - mean) / sqrt (variance + vision->eps) * vision->post_ln.weight[i] + vision->post_ln.bias[i]);
}

/* @found: the output of picture @picture, row by row; the file has that of all pictures, in blocks. */
static void
check_output (const Case *c, const float *found, guint picture, guint w, guint h)
{
  g_autoptr (GoldenArray) values = member (c, "vision");
  gsize width = values ? values->shape[1] : 0, at = 0;
  g_autofree float *row_by_row = NULL;

  if (!values)
    return;
  g_assert_cmpuint (values->shape[0], ==, (gsize) w * h * pictures (c));
  row_by_row = g_new (float, w * h * width);
  for (guint y = 0; y < h; y += 2)
    for (guint x = 0; x < w; x += 2)
      for (guint i = 0; i < 4; i++, at++) {
        float *row = row_by_row + ((y + i / 2) * w + x + i % 2) * width;

        memcpy (row, values->data + ((gsize) picture * w * h + at) * width, width * sizeof (float));
        norm_row (c->vision, row);
      }
  golden_check ("vision", found, row_by_row, w * h * width, c->nmse, c->max_abs);
}

static void
encode (const Case *c, const TernImage *first, const TernImage *second, const TernVisionOptions *options, float *tokens)
{
  g_autoptr (GError) error = NULL;
  TernVisionStep step = TERN_VISION_MORE;
  TernVisionPlan plan;

  tern_vision_plan_image (c->vision, first, options, &plan, &error);
  g_assert_no_error (error);
  tern_vision_begin_frames (c->state, NULL, first, second, options, &plan, tokens, &error);
  while (step == TERN_VISION_MORE && !error)
    step = tern_vision_step (c->state, NULL, &error);
  g_assert_no_error (error);
}

/* The frame as bytes, which the image points to. */
static guint8 *
take_pixels (const GoldenArray *pixels, TernImage *image)
{
  guint8 *bytes = g_malloc (pixels->n);

  for (gsize i = 0; i < pixels->n; i++)
    bytes[i] = (guint8) pixels->data[i];
  *image = (TernImage) { .format = TERN_IMAGE_RGB, .width = (guint) pixels->shape[1], .height = (guint) pixels->shape[0],
    .data = { bytes }, .stride = { (gint) pixels->shape[1] * 3 } };
  return bytes;
}

/* From pixels that need no resizing. FALSE: they are not among the data. */
static gboolean
check_given (const Case *c, guint picture, const GoldenArray *visual)
{
  TernVisionOptions options = { c->options.min_tokens, c->options.max_tokens, .scaling = TERN_SCALING_STRETCH };
  guint frames = is_video (c) ? 2 : 1;
  g_autoptr (GoldenArray) first = load (c, element (c, "resized", frames * picture));
  g_autoptr (GoldenArray) second = is_video (c) ? load (c, element (c, "resized", 2 * picture + 1)) : NULL;
  g_autofree guint8 *bytes = NULL, *more = NULL;
  g_autofree float *tokens = g_new (float, visual->n);
  TernImage images[2];
  TernVisionTaps taps;

  if (!first || (is_video (c) && !second))
    return FALSE;
  bytes = take_pixels (first, &images[0]);
  more = second ? take_pixels (second, &images[1]) : NULL;
  encode (c, &images[0], second ? &images[1] : NULL, &options, tokens);
  tern_vision_state_taps (c->state, &taps);
  g_assert_cmpuint (taps.width, ==, images[0].width);
  check_output (c, taps.output, picture, taps.width / 16, taps.height / 16);
  golden_check ("visual", tokens, visual->data, visual->n, c->nmse, c->max_abs);
  return TRUE;
}

static GoldenPicture *
open_picture (const Case *c, const char *name)
{
  g_autofree char *path = golden_path (c->folder, name);

  return path ? golden_picture_png (path) : NULL;
}

static void
check_from_file (const Case *c, guint picture, const GoldenArray *visual)
{
  const char *name = is_video (c) ? element (c, "frames", 2 * picture) : json_object_get_string_member (c->item, "image");
  g_autoptr (GoldenPicture) first = open_picture (c, name);
  g_autoptr (GoldenPicture) second = is_video (c) ? open_picture (c, element (c, "frames", 2 * picture + 1)) : NULL;
  g_autofree float *tokens = g_new (float, visual->n);

  if (!first || (is_video (c) && !second))
    return;
  encode (c, &first->image, second ? &second->image : NULL, &c->options, tokens);
  g_test_message ("from the file: nmse %.3g", golden_nmse (tokens, visual->data, visual->n));
  g_assert_cmpfloat (golden_nmse (tokens, visual->data, visual->n), <=, MAX (FILE_NMSE, c->nmse));
}

/* FALSE: nothing of it is among the data. */
static gboolean
check_case (const Case *c)
{
  gboolean some = FALSE;

  for (guint i = 0; i < pictures (c); i++) {
    g_autoptr (GoldenArray) visual = load (c, element (c, "visual", i));

    if (!visual)
      continue;
    g_assert_cmpuint (visual->shape[1], ==, tern_vision_info (c->vision)->row_dim);
    some |= check_given (c, i, visual);
    check_from_file (c, i, visual);
  }
  return some;
}

static void
check_model (const TernKernels *kernels, const Case *of, TernActivations mode)
{
  JsonObject *root = of->root;
  g_autofree char *path = golden_path (of->folder, json_object_get_string_member (root, "mmproj"));
  JsonArray *items = json_object_get_array_member (root, "cases");
  JsonObject *tolerance = json_object_get_object_member (json_object_get_object_member (root, "tolerance"), "f32");
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
  TernPool *pool = tern_pool_new (2, NULL);
  gboolean exact = mode == TERN_ACTIVATIONS_F32;
  Case c = { .folder = of->folder, .root = root, .max_abs = exact ? json_object_get_double_member (tolerance, "max_abs") : 0,
    .nmse = exact ? json_object_get_double_member (tolerance, "nmse") : INT8_NMSE };
  guint seen = 0;

  g_assert_no_error (error);
  c.vision = tern_vision_open (file, kernels, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_vision_info (c.vision)->frames, ==, 2);
  for (guint i = 0; i < json_array_get_length (items); i++) {
    c.item = json_array_get_object_element (items, i);
    c.options = options_of (&c);
    if (json_object_has_member (c.item, "keep"))
      continue;                 /* a prompt with another's tokens */
    g_test_message ("case %s", json_object_get_string_member (c.item, "name"));
    c.state = tern_vision_state_new (c.vision, c.options.max_tokens, mode, pool, &error);
    g_assert_no_error (error);
    seen += check_case (&c);
    tern_vision_state_free (c.state);
  }
  g_assert_cmpuint (seen, >, 0);
  tern_vision_unref (c.vision);
  tern_pool_free (pool);
}

static void
check_float (const TernKernels *kernels, gconstpointer of)
{
  check_model (kernels, of, TERN_ACTIVATIONS_F32);
}

static void
check_int8 (const TernKernels *kernels, gconstpointer of)
{
  check_model (kernels, of, TERN_ACTIVATIONS_INT8);
}

static void
test_model (gconstpointer data)
{
  const Model *model = data;
  Case c = { .folder = model->folder };
  g_autoptr (JsonParser) parser = golden_json (model->folder, model->json, &c.root);
  g_autofree char *path = parser ? golden_path (model->folder, json_object_get_string_member (c.root, "mmproj")) : NULL;

  if (!path) {
    g_test_skip ("the model is not among the data");
    return;
  }
  golden_each_level (check_float, &c);
  golden_each_level (check_int8, &c);
}

int
main (int argc, char **argv)
{
  static const Model models[] = { { "qwen35", "mmproj-f32.json" }, { "qwen35", "mmproj-f16.json" },
      { "qwen35", "mmproj-q8_0.json" },
    { "qwen3vl", "mmproj-f16.json" } };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autofree char *name = g_strdup_printf ("/vision-pairs/%s/%s", models[i].folder, models[i].json);

    g_test_add_data_func (name, &models[i], test_model);
  }
  return g_test_run ();
}
