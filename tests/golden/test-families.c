/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every family of text models against transformers in float64: logits at every position, hidden states, caches, and
 * greedy tokens, in both activation modes, however the prompt is cut. */
#include <math.h>
#include <string.h>

#include "engine/llm/solo.h"
#include "engine/decode/sampler.h"
#include "tests/golden/golden.h"

static const char *const folders[] = { "lfm2", "lfm2moe", "lfm2s", "llama", "bitnet", "families", "qwen35", "qwen3vl", "ssm",
    "jamba", "nemotron_h", "granitehybrid", "falcon-h1", "mamba", "mamba2" };
static const guint batches[] = { 1, 3, 7, 128 };
#define CONTEXT 112u            /* the longest prompt and 32 tokens more */

typedef struct {
  const char *folder;
  char *name;                   /* of the JSON file */
  JsonParser *parser;
  JsonObject *root;
} Model;

/* One prompt in one mode, and what is allowed. */
typedef struct {
  const Model *model;
  JsonObject *item;
  TernActivations mode;
  double max_abs, nmse;         /* max_abs 0: not bounded */
  double margin;                /* greedy steps and top 1 are compared where the first leads by more */
} Case;

typedef struct {
  TernPool *pool;
  TernLlm *llm;
  TernSolo *state;
  guint n_vocab;
} Run;

static void
run_begin (Run *run, const Model *model, const TernKernels *kernels, TernActivations mode, guint batch)
{
  g_autofree char *path = golden_path (model->folder, json_object_get_string_member (model->root, "gguf"));
  TernSoloParams params = { .batch = batch, .activations = mode };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = NULL;

  run->pool = tern_pool_new (2, &error);
  g_assert_no_error (error);
  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  run->llm = tern_llm_open (file, kernels, NULL, &error);
  g_assert_no_error (error);
  params.context = MIN (CONTEXT, tern_llm_info (run->llm)->context);
  run->state = tern_solo_new (run->llm, &params, run->pool, &error);
  g_assert_no_error (error);
  run->n_vocab = tern_llm_info (run->llm)->n_vocab;
}

static void
run_end (Run *run)
{
  tern_solo_free (run->state);
  tern_llm_unref (run->llm);
  tern_pool_free (run->pool);
}

static void
eval (Run *run, const gint32 *ids, guint n, TernLogits want, float *logits)
{
  g_autoptr (GError) error = NULL;

  tern_solo_eval (run->state, &(TernLlmInput) { .ids = ids, .n = n }, want, logits, NULL, &error);
  g_assert_no_error (error);
}

/* Leads of the first over the second in a row of logits. */
static double
lead (const float *row, guint n, gint32 first)
{
  float second = -INFINITY;

  for (guint i = 0; i < n; i++)
    if ((gint32) i != first)
      second = MAX (second, row[i]);
  return row[first] - second;
}

static void
check_logits (const Case *c, const Run *run, const float *logits, guint n)
{
  g_autofree char *path = golden_path (c->model->folder, json_object_get_string_member (c->item, "logits"));
  guint n_argmax;
  g_autofree gint32 *argmax = golden_ids (c->item, "argmax", &n_argmax);

  g_assert_cmpuint (n_argmax, ==, n);
  for (guint t = 0; t < n; t++) {
    gint32 top = tern_argmax (logits + (gsize) t * run->n_vocab, run->n_vocab);

    if (lead (logits + (gsize) t * run->n_vocab, run->n_vocab, top) > c->margin)
      g_assert_cmpint (top, ==, argmax[t]);
  }
  if (path) {
    g_autoptr (GoldenArray) expected = golden_npy (path);
    double nmse, most;

    g_assert_cmpuint (expected->n, ==, (gsize) n * run->n_vocab);
    nmse = golden_nmse (logits, expected->data, expected->n);
    most = golden_max_abs (logits, expected->data, expected->n);
    g_test_message ("%s: nmse %.3g max %.3g", json_object_get_string_member (c->item, "logits"), nmse, most);
    g_assert_cmpfloat (nmse, <=, c->nmse);
    if (c->max_abs > 0)
      g_assert_cmpfloat (most, <=, c->max_abs);
  }
}

/* Greedy decoding from @row until the references' own lead is too thin to tell. */
static void
check_greedy (const Case *c, Run *run, float *row)
{
  JsonObject *greedy = json_object_get_object_member (c->item, "greedy");
  JsonArray *margin = json_object_get_array_member (greedy, "margin");
  guint n, i;
  g_autofree gint32 *expected = golden_ids (greedy, "tokens", &n);

  for (i = 0; i < n && json_array_get_double_element (margin, i) > c->margin; i++) {
    gint32 id = tern_argmax (row, run->n_vocab);

    g_assert_cmpint (id, ==, expected[i]);
    if (i + 1 < n)
      eval (run, &id, 1, TERN_LOGITS_LAST, row);
  }
  g_test_message ("greedy: %u of %u tokens compared", i, n);
}

/* The prompt at once (in chunks of the batch), in two pieces, and token by token. */
static void
check_case (const TernKernels *kernels, gconstpointer data)
{
  const Case *c = data;
  guint n;
  g_autofree gint32 *ids = golden_ids (c->item, "tokens", &n);

  for (guint b = 0; b < G_N_ELEMENTS (batches); b++) {
    g_autofree float *whole = NULL, *pieces = NULL;
    Run run;

    if ((kernels->level == TERN_CPU_SCALAR || golden_is_sample ()) && batches[b] != 7)
      continue;                 /* slow, and the chunks are the same code */
    run_begin (&run, c->model, kernels, c->mode, batches[b]);
    whole = g_new (float, (gsize) n * run.n_vocab);
    pieces = g_new (float, (gsize) n * run.n_vocab);
    eval (&run, ids, n, TERN_LOGITS_ALL, whole);
    check_logits (c, &run, whole, n);
    check_greedy (c, &run, whole + (gsize) (n - 1) * run.n_vocab);

    tern_solo_reset (run.state);
    eval (&run, ids, MIN (n, 5), TERN_LOGITS_ALL, pieces);
    for (guint t = 5; t < n; t++)
      eval (&run, ids + t, 1, TERN_LOGITS_LAST, pieces + (gsize) t * run.n_vocab);
    check_logits (c, &run, pieces, n);
    run_end (&run);
  }
}

static double
bound (const Model *model, const char *key, const char *what)
{
  JsonObject *tolerance = json_object_get_object_member (model->root, "tolerance");

  return json_object_get_double_member_with_default (json_object_get_object_member (tolerance, key), what, 0);
}

static void
check_cases (const Model *model, const char *member, TernActivations mode, const char *key, double margin)
{
  JsonArray *cases;
  g_autofree char *gguf = golden_path (model->folder, json_object_get_string_member (model->root, "gguf"));

  if (!gguf) {
    g_test_skip ("the model is not among the data");
    return;
  }
  cases = json_object_get_array_member (model->root, member);
  for (guint i = 0; i < json_array_get_length (cases); i++) {
    Case c = { model, json_array_get_object_element (cases, i), mode, bound (model, key, "max_abs"),
      bound (model, key, "nmse"), margin };

    golden_each_level (check_case, &c);
  }
}

static void
test_float (gconstpointer data)
{
  check_cases (data, "cases", TERN_ACTIVATIONS_F32, "f32", 0.004);
}

static void
test_int8 (gconstpointer data)
{
  const Model *model = data;

  if (json_object_has_member (model->root, "cases_a8"))
    check_cases (model, "cases_a8", TERN_ACTIVATIONS_INT8, "a8", 0.15);
  else if (g_str_has_suffix (model->name, "f32") || g_str_has_suffix (model->name, "f16"))
    check_cases (model, "cases", TERN_ACTIVATIONS_INT8, "f32", 0.004);  /* float weights: float products */
  else if (json_object_has_member (model->root, "smallest_routing_margin")
      || json_object_has_member (model->root, "routing_margin"))
    check_cases (model, "cases", TERN_ACTIVATIONS_INT8, "int8", INFINITY);  /* an expert may flip, and every token */
  else                          /* a state carries errors on: single logits are off by 2 where the bound is wide */
    check_cases (model, "cases", TERN_ACTIVATIONS_INT8, "int8", bound (model, "int8", "nmse") > 1e-2 ? 4 : 0.7);
}

/* ---- Inside: residual stream, K, V, conv state ------------------------------------------------------------------- */

typedef struct {
  guint n, width;
  float *rows[64];              /* [n, width] by layer */
} Taps;

static void
tap (void *data, guint layer, const float *rows, guint n)
{
  Taps *taps = data;

  g_assert_cmpuint (layer, <, G_N_ELEMENTS (taps->rows));
  g_assert_cmpuint (n, ==, taps->n);
  g_free (taps->rows[layer]);
  taps->rows[layer] = g_memdup2 (rows, (gsize) n * taps->width * sizeof (float));
}

/* The reference has [width, positions]. */
static float *
turned (const float *rows, gsize n, gsize width)
{
  float *t = g_new (float, n * width);

  for (gsize i = 0; i < n; i++)
    for (gsize c = 0; c < width; c++)
      t[c * n + i] = rows[i * width + c];
  return t;
}

typedef const float *(*RowFunc) (const TernTimeline *timeline, guint layer, guint head, guint pos);

/* The rows of a cache [position, head, value]; NULL when there are none. */
static float *
by_position (const Run *run, RowFunc row, guint layer, const GoldenArray *expected)
{
  gsize heads = expected->shape[1], dim = expected->shape[2];
  float *t = g_new (float, expected->n);

  for (gsize i = 0; i < expected->shape[0]; i++)
    for (gsize head = 0; head < heads; head++) {
      const float *from = row (tern_solo_timeline (run->state), layer, head, i);

      g_assert_nonnull (from);
      memcpy (t + (i * heads + head) * dim, from, dim * sizeof (float));
    }
  return t;
}

/* ".conv_state" [width, positions] and ".ssm_state" [channels, states], or that for each head, are turned; ".delta_state" is as it
 * is. */
static float *
recurrent (const Run *run, guint layer, const char *kind, const GoldenArray *expected)
{
  g_autofree char *name = g_strndup (kind + 1, strcspn (kind + 1, "_"));
  gsize n, rows, cols;
  float *all;
  const float *state = tern_timeline_state (tern_solo_timeline (run->state), layer, name, &n);

  g_assert_nonnull (state);
  g_assert_cmpuint (n, ==, expected->n);
  if (!g_str_equal (name, "conv") && !g_str_equal (name, "ssm"))
    return g_memdup2 (state, n * sizeof (float));
  rows = expected->shape[expected->n_dims - 1];
  cols = expected->shape[expected->n_dims - 2];
  all = g_new (float, n);
  for (gsize at = 0; at < n; at += rows * cols) {
    g_autofree float *one = turned (state + at, rows, cols);

    memcpy (all + at, one, rows * cols * sizeof (float));
  }
  return all;
}

static void
check_inside (const Model *model, JsonObject *files, const Run *run, const Taps *taps)
{
  g_autoptr (GList) names = json_object_get_members (files);

  for (GList * l = names; l; l = l->next) {
    const char *name = l->data, *kind = strchr (name, '.');
    g_autofree char *path = golden_path (model->folder, json_object_get_string_member (files, name));
    g_autoptr (GoldenArray) expected = NULL;
    g_autofree float *ordered = NULL;
    const float *found;
    guint layer = g_str_equal (name, "final_norm") ? tern_llm_info (run->llm)->n_layers : (guint) atoi (name + 5);

    if (!path)
      continue;
    expected = golden_npy (path);
    if (!kind)
      found = taps->rows[layer];
    else if (g_str_equal (kind, ".k"))
      found = ordered = by_position (run, tern_timeline_key, layer, expected);
    else if (g_str_equal (kind, ".v"))
      found = ordered = by_position (run, tern_timeline_value, layer, expected);
    else
      found = ordered = recurrent (run, layer, kind, expected);
    g_assert_nonnull (found);
    g_test_message ("%s: max %.3g", name, golden_max_abs (found, expected->data, expected->n));
    g_assert_cmpfloat (golden_nmse (found, expected->data, expected->n), <=, 1e-9);
  }
}

/* What is expected inside, and the case whose prompt it is of. */
typedef struct {
  const Model *model;
  JsonObject *item, *files;
} Inside;

static void
check_debug (const TernKernels *kernels, gconstpointer data)
{
  const Inside *inside = data;
  const Model *model = inside->model;
  JsonObject *item = inside->item;
  Taps taps = { 0 };
  g_autofree float *logits = NULL;
  g_autofree gint32 *ids = golden_ids (item, "tokens", &taps.n);
  Run run;

  run_begin (&run, model, kernels, TERN_ACTIVATIONS_F32, 0);
  taps.width = tern_llm_info (run.llm)->width;
  logits = g_new (float, (gsize) taps.n * run.n_vocab);
  tern_pass_set_tap (tern_solo_pass (run.state), tap, &taps);
  eval (&run, ids, taps.n, TERN_LOGITS_ALL, logits);
  check_inside (model, inside->files, &run, &taps);
  for (guint i = 0; i < G_N_ELEMENTS (taps.rows); i++)
    g_free (taps.rows[i]);
  run_end (&run);
}

static JsonObject *
find_case (const Model *model, const char *name)
{
  JsonArray *cases = json_object_get_array_member (model->root, "cases");

  for (guint i = 0; i < json_array_get_length (cases); i++) {
    JsonObject *item = json_array_get_object_element (cases, i);

    if (g_str_equal (json_object_get_string_member (item, "name"), name))
      return item;
  }
  g_assert_not_reached ();
}

/* The files that @one names, of the case that it names, or of the second one. */
static void
check_one (const Model *model, JsonObject *one)
{
  JsonArray *cases = json_object_get_array_member (model->root, "cases");
  const char *prompt = json_object_get_string_member_with_default (one, "prompt", NULL);
  Inside inside = { model, prompt ? find_case (model, prompt) : json_array_get_object_element (cases, 1),
    json_object_get_object_member (one, "files") };

  golden_each_level (check_debug, &inside);
}

/* "debug" is one object or a list of them; "debug_long" is one. */
static void
test_inside (gconstpointer data)
{
  const Model *model = data;
  g_autofree char *gguf = golden_path (model->folder, json_object_get_string_member (model->root, "gguf"));
  JsonNode *debug = json_object_get_member (model->root, "debug");

  if (!gguf) {
    g_test_skip ("the model is not among the data");
    return;
  }
  if (JSON_NODE_HOLDS_ARRAY (debug)) {
    for (guint i = 0; i < json_array_get_length (json_node_get_array (debug)); i++)
      check_one (model, json_array_get_object_element (json_node_get_array (debug), i));
  } else {
    check_one (model, json_node_get_object (debug));
  }
  if (json_object_has_member (model->root, "debug_long"))
    check_one (model, json_object_get_object_member (model->root, "debug_long"));
}

/* ---- All JSON files of the folders ------------------------------------------------------------------------------- */

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
  const char *const kinds[] = { "float", "int8", "inside" };
  const GTestDataFunc funcs[] = { test_float, test_int8, test_inside };

  model->folder = folder;
  model->name = g_strndup (name, strlen (name) - strlen (".json"));
  model->parser = golden_json (folder, name, &model->root);
  g_ptr_array_add (models, model);
  for (guint i = 0; i < 2 + json_object_has_member (model->root, "debug"); i++) {
    g_autofree char *path = g_strdup_printf ("/%s/%s/%s", folder, model->name, kinds[i]);

    g_test_add_data_func (path, model, funcs[i]);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) models = g_ptr_array_new_with_free_func (model_free);

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autofree char *path = golden_path (folders[i], "");
    g_autoptr (GDir) dir = path ? g_dir_open (path, 0, NULL) : NULL;
    const char *name;

    while (dir && (name = g_dir_read_name (dir)))
      if (g_str_has_suffix (name, ".json") && !g_str_has_prefix (name, "mmproj") && !g_str_has_prefix (name, "vocab")
          && !g_str_equal (name, "chat-templates.json"))
        add (models, folders[i], name);
  }
  return g_test_run ();
}
