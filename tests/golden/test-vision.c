/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vision encoder against transformers in float64: sizes and order of sub-images, resized pixels, patch embeddings,
 * vision output, visual tokens. */
#include <stdlib.h>
#include <string.h>

#include "tests/golden/golden.h"
#include "tests/golden/picture.h"
#include "vision/internal.h"

static const char *const folders[] = { "lfm2vl", "smolvlm", "vision-own" };

typedef struct {
  const char *folder;
  char *name;                   /* of the JSON file */
  JsonParser *parser;
  JsonObject *root;
} Model;

/* With int8 and bf16, whatever the type in the file: a cosine of .999. */
#define INT8_NMSE 2e-3

/* One picture in one mode. */
typedef struct {
  const Model *model;
  JsonObject *item;
  TernActivations mode;
  double max_abs, nmse;         /* from given pixels; max_abs 0: not bounded */
  TernVision *vision;
  TernVisionState *state;
  TernVisionOptions options;
} Case;

/* ---- Reading the expectations ------------------------------------------------------------------------------------ */

static GoldenArray *
expected (const Model *model, JsonObject *item, const char *member)
{
  g_autofree char *path = json_object_has_member (item, member)
      ? golden_path (model->folder, json_object_get_string_member (item, member)) : NULL;

  return path ? golden_npy (path) : NULL;
}

static TernVisionOptions
options_of (JsonObject *item)
{
  TernVisionOptions options = { .tile = TRUE };

  if (json_object_has_member (item, "splitting"))
    options.whole = !json_object_get_boolean_member (item, "splitting");
  if (json_object_has_member (item, "frame"))
    options = (TernVisionOptions) { .scaling = TERN_SCALING_TRAINED };
  if (json_object_has_member (item, "image_tokens")) {
    g_auto (GStrv) ends = g_strsplit (json_object_get_string_member (item, "image_tokens"), ":", 2);

    options.min_tokens = (guint) atoi (ends[0]);
    options.max_tokens = (guint) atoi (ends[1]);
  }
  return options;
}

static double
tolerance (const Model *model, const char *kind, const char *member)
{
  JsonObject *all = json_object_get_object_member (model->root, "tolerance");

  return json_object_get_double_member (json_object_get_object_member (all, kind), member);
}

/* Steps of a byte that resized pixels may be off by. */
static double
pixel_tolerance (const Model *model)
{
  JsonObject *all = json_object_get_object_member (model->root, "tolerance");

  return json_object_has_member (all, "resized") ? tolerance (model, "resized", "max_abs") : 1;
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

static void
plan_of (const Case *c, guint width, guint height, TernVisionPlan *plan)
{
  g_autoptr (GError) error = NULL;

  tern_vision_plan (c->vision, width, height, &c->options, plan, &error);
  g_assert_no_error (error);
}

static void
check_plan (const Case *c, TernVisionPlan *plan)
{
  JsonArray *size = json_object_get_array_member (c->item, "image_size");
  JsonArray *sizes = json_object_get_array_member (c->item, "sizes_hw");
  JsonArray *tokens = json_object_get_array_member (c->item, "visual_tokens");

  plan_of (c, (guint) json_array_get_int_element (size, 0), (guint) json_array_get_int_element (size, 1), plan);
  g_assert_cmpuint (plan->n, ==, json_array_get_length (sizes));
  for (guint i = 0; i < plan->n; i++) {
    JsonArray *hw = json_array_get_array_element (sizes, i);

    g_assert_cmpuint (plan->sub[i].height, ==, json_array_get_int_element (hw, 0));
    g_assert_cmpuint (plan->sub[i].width, ==, json_array_get_int_element (hw, 1));
    g_assert_cmpuint (plan->sub[i].n_tokens, ==, json_array_get_int_element (tokens, i));
    g_assert_cmpint (plan->sub[i].thumbnail, ==, plan->n > 1 && i == plan->n - 1);
  }
  g_assert_cmpuint (plan->n_tokens, ==, json_object_get_int_member (c->item, "n_visual"));
}

/* ---- Pixels ------------------------------------------------------------------------------------------------------ */

static void
check_resized (const Case *c, const TernImage *image, const TernVisionPlan *plan, guint i, const GoldenArray *pixels)
{
  TernVisionState *state = c->state;
  g_autoptr (GError) error = NULL;
  TernVisionTaps taps;
  gsize other = 0;
  double most = 0;

  tern_vision_pixels (state, image, &c->options, plan, i, &error);
  g_assert_no_error (error);
  tern_vision_state_taps (state, &taps);
  if (!pixels)
    return;
  g_assert_cmpuint (pixels->n, ==, 3 * (gsize) taps.width * taps.height);
  for (gsize k = 0; k < pixels->n; k++) {
    double d = ABS (taps.pixels[k] - (double) pixels->data[k]);

    other += d > 0;
    most = MAX (most, d);
  }
  g_test_message ("sub-image %u: pixels differ by at most %g, in %.2f %% of the values", i, most,
      100.0 * other / pixels->n);
  g_assert_cmpfloat (most, <=, pixel_tolerance (c->model));
}

static void
check_from_file (const Case *c, const TernVisionPlan *plan, const GoldenArray *visual)
{
  g_autofree char *path = golden_path (c->model->folder, json_object_get_string_member (c->item, "image"));
  g_autofree float *tokens = g_new (float, (gsize) plan->n_tokens * tern_vision_info (c->vision)->embedding_dim);
  JsonArray *names = json_object_get_array_member (c->item, "resized");
  g_autoptr (GoldenPicture) picture = NULL;
  g_autoptr (GError) error = NULL;

  if (!path)
    return;
  picture = golden_picture_png (path);
  for (guint i = 0; i < plan->n; i++) {
    JsonNode *name = json_array_get_element (names, i);
    g_autofree char *file = JSON_NODE_HOLDS_NULL (name) ? NULL : golden_path (c->model->folder, json_node_get_string (name));
    g_autoptr (GoldenArray) pixels = file ? golden_npy (file) : NULL;

    check_resized (c, &picture->image, plan, i, pixels);
  }
  tern_vision_encode (c->state, &picture->image, &c->options, plan, tokens, NULL, &error);
  g_assert_no_error (error);
  g_test_message ("from the file: nmse %.3g", golden_nmse (tokens, visual->data, visual->n));
  g_assert_cmpfloat (golden_nmse (tokens, visual->data, visual->n), <=, MAX (2e-4, c->nmse));
}

/* ---- From the given pixels --------------------------------------------------------------------------------------- */

static void
check_tap (const Case *c, const char *member, const float *found)
{
  g_autoptr (GoldenArray) values = expected (c->model, c->item, member);

  if (values)
    golden_check (member, found, values->data, values->n, c->nmse, c->max_abs);
}

/* The resized picture needs no resizing, so it goes through as it is, as a frame. */
static void
check_given (const Case *c, const GoldenArray *pixels, const TernSubImage *sub, gboolean last, const float *visual)
{
  TernVisionOptions options = { c->options.min_tokens, c->options.max_tokens, .scaling = TERN_SCALING_STRETCH };
  gsize n = (gsize) sub->n_tokens * tern_vision_info (c->vision)->embedding_dim;
  g_autofree guint8 *bytes = g_malloc (pixels->n);
  g_autofree float *tokens = g_new (float, n);
  g_autoptr (GError) error = NULL;
  TernImage image = { .format = TERN_IMAGE_RGB, .width = sub->width, .height = sub->height, .data = { bytes },
    .stride = { (gint) sub->width * 3 } };
  TernVisionPlan plan;
  TernVisionTaps taps;

  for (gsize i = 0; i < pixels->n; i++)
    bytes[i] = (guint8) pixels->data[i];
  tern_vision_plan (c->vision, sub->width, sub->height, &options, &plan, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (plan.n, ==, 1);
  g_assert_cmpuint (plan.n_tokens, ==, sub->n_tokens);
  tern_vision_encode (c->state, &image, &options, &plan, tokens, NULL, &error);
  g_assert_no_error (error);
  tern_vision_state_taps (c->state, &taps);
  g_assert_cmpmem (taps.pixels, pixels->n, bytes, pixels->n);
  if (last) {
    check_tap (c, "patch_embd", taps.patch_embd);
    check_tap (c, "vision", taps.output);
  }
  golden_check ("visual", tokens, visual, n, c->nmse, c->max_abs);
}

static void
check_case (const Case *c)
{
  g_autoptr (GoldenArray) visual = expected (c->model, c->item, "visual");
  JsonArray *names = json_object_get_array_member (c->item, "resized");
  gsize dim = tern_vision_info (c->vision)->embedding_dim, row = 0;
  TernVisionPlan plan;

  check_plan (c, &plan);
  if (!visual)
    return;
  g_assert_cmpuint (visual->n, ==, plan.n_tokens * dim);
  for (guint i = 0; i < plan.n; i++) {
    JsonNode *name = json_array_get_element (names, i);
    g_autofree char *file = JSON_NODE_HOLDS_NULL (name) ? NULL : golden_path (c->model->folder, json_node_get_string (name));
    g_autoptr (GoldenArray) pixels = file ? golden_npy (file) : NULL;

    if (pixels)
      check_given (c, pixels, &plan.sub[i], i + 1 == plan.n, visual->data + row * dim);
    row += plan.sub[i].n_tokens;
  }
  check_from_file (c, &plan, visual);
}

/* ---- Models and modes -------------------------------------------------------------------------------------------- */

static void
check_model (const TernKernels *kernels, const Model *model, TernActivations mode, guint threads)
{
  g_autofree char *path = golden_path (model->folder, json_object_get_string_member (model->root, "mmproj"));
  gboolean exact = mode == TERN_ACTIVATIONS_F32;
  JsonArray *items = json_object_get_array_member (model->root, "cases");
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
  TernPool *pool = tern_pool_new (threads, NULL);
  Case c = { .model = model, .mode = mode, .max_abs = exact ? tolerance (model, "f32", "max_abs") : 0,
    .nmse = exact ? tolerance (model, "f32", "nmse") : INT8_NMSE };

  g_assert_no_error (error);
  c.vision = tern_vision_open (file, kernels, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < json_array_get_length (items); i++) {
    guint tokens;

    c.item = json_array_get_object_element (items, i);
    c.options = options_of (c.item);
    g_test_message ("case %s", json_object_get_string_member (c.item, "name"));
    tern_vision_sub_tokens (c.vision, &c.options, &tokens, &error);
    g_assert_no_error (error);
    c.state = tern_vision_state_new (c.vision, tokens, mode, pool, &error);
    g_assert_no_error (error);
    check_case (&c);
    tern_vision_state_free (c.state);
  }
  tern_vision_unref (c.vision);
  tern_pool_free (pool);
}

static void
check_float (const TernKernels *kernels, gconstpointer model)
{
  check_model (kernels, model, TERN_ACTIVATIONS_F32, 1);
}

static void
check_int8 (const TernKernels *kernels, gconstpointer model)
{
  check_model (kernels, model, TERN_ACTIVATIONS_INT8, 3);
}

static void
test_model (const Model *model, GoldenLevelFunc func)
{
  g_autofree char *path = golden_path (model->folder, json_object_get_string_member (model->root, "mmproj"));

  if (!path)
    g_test_skip ("the model is not among the data");
  else
    golden_each_level (func, model);
}

static void
test_float (gconstpointer data)
{
  test_model (data, check_float);
}

static void
test_int8 (gconstpointer data)
{
  test_model (data, check_int8);
}

static void
model_free (gpointer data)
{
  Model *model = data;

  g_object_unref (model->parser);
  g_free (model->name);
  g_free (model);
}

static void
add (GPtrArray *models, const char *folder, const char *name)
{
  Model *model = g_new0 (Model, 1);
  g_autofree char *floats = NULL, *ints = NULL;

  model->folder = folder;
  model->name = g_strndup (name, strlen (name) - strlen (".json"));
  model->parser = golden_json (folder, name, &model->root);
  g_ptr_array_add (models, model);
  floats = g_strdup_printf ("/vision/%s/float", model->name);
  ints = g_strdup_printf ("/vision/%s/int8", model->name);
  g_test_add_data_func (floats, model, test_float);
  g_test_add_data_func (ints, model, test_int8);
}

static void
add_folder (GPtrArray *models, const char *folder)
{
  g_autofree char *path = golden_path (folder, "");
  g_autoptr (GDir) dir = path ? g_dir_open (path, 0, NULL) : NULL;
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    if (g_str_has_prefix (name, "mmproj") && g_str_has_suffix (name, ".json"))
      add (models, folder, name);
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) models = g_ptr_array_new_with_free_func (model_free);

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++)
    add_folder (models, folders[i]);
  return g_test_run ();
}
