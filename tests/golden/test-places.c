/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompts with pictures and video in models of three rotary axes: the reference's visual tokens among embedded text, at places made
 * by the rule and compared with the reference's position ids; logits of the text, and greedy tokens behind it. */
#include <string.h>

#include "engine/decode/sampler.h"
#include "engine/llm/solo.h"
#include "tests/golden/golden.h"

#define FOLDER "qwen35"
#define MARGIN 0.004            /* greedy steps are compared where the first leads by more */

typedef struct {
  JsonObject *root, *item;
} Case;

typedef struct {
  guint n, width, advance;
  gint32 *ids;
  float *rows;                  /* [n, width] */
  TernPlace *places;            /* [n] */
} Prompt;

static char *
path_of (JsonObject *object, const char *member)
{
  return golden_path (FOLDER, json_object_get_string_member (object, member));
}

/* Little-endian int32 of a .npy file. */
static gint32 *
read_i32 (const char *path, gsize n)
{
  g_autofree char *data = NULL;
  g_autoptr (GError) error = NULL;
  gsize bytes, start;
  gint32 *values = g_new (gint32, n);

  g_file_get_contents (path, &data, &bytes, &error);
  g_assert_no_error (error);
  start = 10 + (guint8) data[8] + 256 * (gsize) (guint8) data[9];
  g_assert_cmpuint (bytes - start, ==, n * sizeof (gint32));
  memcpy (values, data + start, n * sizeof (gint32));
  for (gsize i = 0; i < n; i++)
    values[i] = GINT32_FROM_LE (values[i]);
  return values;
}

/* All visual tokens of a case, one picture behind the other. */
static float *
read_visual (JsonObject *item, guint width)
{
  JsonArray *names = json_object_get_array_member (item, "visual");
  g_autoptr (GByteArray) all = g_byte_array_new ();

  for (guint i = 0; i < json_array_get_length (names); i++) {
    g_autofree char *path = golden_path (FOLDER, json_array_get_string_element (names, i));
    g_autoptr (GoldenArray) one = golden_npy (path);

    g_assert_cmpuint (one->shape[1], ==, width);
    g_byte_array_append (all, (const guint8 *) one->data, one->n * sizeof (float));
  }
  return (float *) g_byte_array_free (g_steal_pointer (&all), FALSE);
}

/* A picture's tokens from @at on, which stand at @from. */
static guint
place_picture (Prompt *prompt, guint at, guint from, guint rows, guint columns)
{
  guint n = rows * columns;

  g_assert_cmpuint (at + n, <=, prompt->n);
  tern_place_grid (prompt->places + at, columns, 0, n);
  for (guint i = at; i < at + n; i++) {
    prompt->places[i].t += from;
    prompt->places[i].h += from;
    prompt->places[i].w += from;
  }
  return MAX (rows, columns);
}

static void
make_prompt (Prompt *prompt, const Case *c, const TernLlm *llm)
{
  JsonArray *grid = json_object_get_array_member (c->item, "grid_thw");
  guint rows = json_array_get_int_element (grid, 1) / 2, columns = json_array_get_int_element (grid, 2) / 2;
  gint32 picture = json_object_get_int_member (c->item, "image_token");
  guint place = 0, shown = 0;
  g_autofree float *visual = NULL;

  prompt->width = tern_llm_info (llm)->width;
  prompt->ids = golden_ids (c->item, "tokens", &prompt->n);
  prompt->rows = g_new (float, prompt->n * prompt->width);
  prompt->places = g_new (TernPlace, prompt->n);
  visual = read_visual (c->item, prompt->width);
  tern_llm_embed (llm, prompt->ids, prompt->n, prompt->rows, prompt->width);
  for (guint i = 0; i < prompt->n; i++) {
    if (prompt->ids[i] == picture) {
      gsize values = rows * columns * prompt->width;

      memcpy (prompt->rows + i * prompt->width, visual + shown++ * values, values * sizeof (float));
      place += place_picture (prompt, i, place, rows, columns);
      i += rows * columns - 1;
    } else {
      prompt->places[i] = (TernPlace) { place, place, place };
      place++;
    }
  }
  g_assert_cmpuint (shown, ==, json_array_get_length (json_object_get_array_member (c->item, "visual")));
  prompt->advance = place;
}

static void
check_places (const Prompt *prompt, const Case *c)
{
  g_autofree char *path = path_of (c->item, "positions");
  g_autofree gint32 *expected = read_i32 (path, 3 * prompt->n);

  for (guint i = 0; i < prompt->n; i++) {
    g_assert_cmpint (prompt->places[i].t, ==, expected[i]);
    g_assert_cmpint (prompt->places[i].h, ==, expected[prompt->n + i]);
    g_assert_cmpint (prompt->places[i].w, ==, expected[2 * prompt->n + i]);
  }
  g_assert_cmpint (prompt->advance, ==, prompt->n + json_object_get_int_member (c->item, "rope_delta"));
}

static double
bound (const Case *c, const char *key, const char *what)
{
  return json_object_get_double_member (json_object_get_object_member (json_object_get_object_member (c->root, "tolerance"),
          key), what);
}

static void
check_logits (const Case *c, const float *logits, guint n_vocab)
{
  g_autofree char *path = path_of (c->item, "logits");
  g_autoptr (GoldenArray) expected = golden_npy (path);
  guint n;
  g_autofree gint32 *at = golden_ids (c->item, "logits_positions", &n);
  g_autofree float *found = g_new (float, expected->n);
  double nmse, most;

  g_assert_cmpuint (expected->n, ==, (gsize) n * n_vocab);
  for (guint i = 0; i < n; i++)
    memcpy (found + (gsize) i * n_vocab, logits + (gsize) at[i] * n_vocab, n_vocab * sizeof (float));
  nmse = golden_nmse (found, expected->data, expected->n);
  most = golden_max_abs (found, expected->data, expected->n);
  g_test_message ("%s: nmse %.3g max %.3g", json_object_get_string_member (c->item, "name"), nmse, most);
  g_assert_cmpfloat (nmse, <=, bound (c, "f32", "nmse"));
  g_assert_cmpfloat (most, <=, bound (c, "f32", "max_abs"));
}

static void
check_greedy (const Case *c, TernSolo *solo, float *row, guint n_vocab)
{
  JsonObject *greedy = json_object_get_object_member (c->item, "greedy");
  JsonArray *margin = json_object_get_array_member (greedy, "margin");
  guint n;
  g_autofree gint32 *expected = golden_ids (greedy, "tokens", &n);

  for (guint i = 0; i < n && json_array_get_double_element (margin, i) > MARGIN; i++) {
    gint32 id = tern_argmax (row, n_vocab);

    g_assert_cmpint (id, ==, expected[i]);
    g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = &id, .n = 1 }, TERN_LOGITS_LAST, row, NULL, NULL));
  }
}

static void
check_case (const TernKernels *kernels, gconstpointer data)
{
  const Case *c = data;
  static const guint batches[] = { 128, 7 };
  g_autofree char *path = path_of (c->root, "gguf");
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
  g_autoptr (TernLlm) llm = NULL;
  g_autofree float *logits = NULL;
  TernPool *pool = tern_pool_new (2, NULL);
  Prompt prompt;
  guint n_vocab;

  g_assert_no_error (error);
  llm = tern_llm_open (file, kernels, pool, &error);
  g_assert_no_error (error);
  g_assert_true (tern_llm_info (llm)->has_places);
  n_vocab = tern_llm_info (llm)->n_vocab;
  make_prompt (&prompt, c, llm);
  check_places (&prompt, c);
  logits = g_new (float, (gsize) prompt.n * n_vocab);
  for (guint b = 0; b < G_N_ELEMENTS (batches); b++) {
    TernSoloParams params = { .context = 128, .batch = batches[b], .activations = TERN_ACTIVATIONS_F32 };
    g_autoptr (TernSolo) solo = tern_solo_new (llm, &params, pool, &error);

    g_assert_no_error (error);
    tern_solo_eval (solo, &(TernLlmInput) { .rows = prompt.rows, .ld = prompt.width, .n = prompt.n, .places = prompt.places,
          .advance = prompt.advance }, TERN_LOGITS_ALL, logits, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (tern_timeline_place (tern_solo_timeline (solo)), ==, prompt.advance);
    check_logits (c, logits, n_vocab);
    check_greedy (c, solo, logits + (gsize) (prompt.n - 1) * n_vocab, n_vocab);
  }
  g_free (prompt.ids);
  g_free (prompt.rows);
  g_free (prompt.places);
  g_clear_pointer (&llm, tern_llm_unref);
  tern_pool_free (pool);
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *positions = path_of (c->item, "positions");

  if (!positions)
    g_test_skip ("the case is not among the data");
  else
    golden_each_level (check_case, c);
}

int
main (int argc, char **argv)
{
  JsonObject *root;
  g_autoptr (JsonParser) parser = golden_json (FOLDER, "mmproj-f32.json", &root);
  JsonArray *cases;
  g_autofree Case *all = NULL;

  g_test_init (&argc, &argv, NULL);
  if (!parser) {
    g_print ("1..0 # SKIP no mmproj-f32.json among the data\n");
    return 0;
  }
  cases = json_object_get_array_member (root, "cases");
  all = g_new (Case, json_array_get_length (cases));
  for (guint i = 0; i < json_array_get_length (cases); i++) {
    g_autofree char *name = NULL;

    all[i] = (Case) { root, json_array_get_object_element (cases, i) };
    name = g_strdup_printf ("/places/%s", json_object_get_string_member (all[i].item, "name"));
    g_test_add_data_func (name, &all[i], test_case);
  }
  return g_test_run ();
}
