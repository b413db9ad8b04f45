/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompts with pictures and video in models of three rotary axes: the reference's visual tokens among embedded text, at places made
 * by the rule and compared with the reference's position ids; logits of the text, and greedy tokens behind it. Of Qwen3-VL with
 * what the encoder adds to the first layers, and with tokens of the pictures left out. */
#include <string.h>

#include "engine/decode/sampler.h"
#include "engine/llm/solo.h"
#include "tests/golden/golden.h"

#define MARGIN 0.004            /* greedy steps are compared where the first leads by more */

typedef struct {
  const char *folder;
  JsonObject *root, *item;
} Case;

typedef struct {
  guint n, width, advance;
  gint32 *ids;
  float *rows;                  /* [n, width] */
  float *visual;                /* [.., width * (1 + deepstack)] of all pictures */
  const float **slices;         /* [n] in it, or NULL */
  TernPlace *places;            /* [n] */
} Prompt;

static char *
path_of (const Case *c, JsonObject *object, const char *member)
{
  return golden_path (c->folder, json_object_get_string_member (object, member));
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
read_visual (const Case *c, guint width)
{
  JsonArray *names = json_object_get_array_member (c->item, "visual");
  g_autoptr (GByteArray) all = g_byte_array_new ();

  for (guint i = 0; i < json_array_get_length (names); i++) {
    g_autofree char *path = golden_path (c->folder, json_array_get_string_element (names, i));
    g_autoptr (GoldenArray) one = golden_npy (path);

    g_assert_cmpuint (one->shape[1], ==, width);
    g_byte_array_append (all, (const guint8 *) one->data, one->n * sizeof (float));
  }
  return (float *) g_byte_array_free (g_steal_pointer (&all), FALSE);
}

/* Which of its @n tokens the prompt has of picture @shown, ascending; how many. */
static guint
kept (const Case *c, guint shown, guint n, guint *keep)
{
  JsonArray *those = json_object_has_member (c->item, "keep")
      ? json_array_get_array_element (json_object_get_array_member (c->item, "keep"), shown) : NULL;

  for (guint i = 0; i < n; i++)
    keep[i] = those && i < json_array_get_length (those) ? (guint) json_array_get_int_element (those, i) : i;
  return those ? json_array_get_length (those) : n;
}

/* Picture @shown's tokens from @at on, which stand at @from; how many there are. */
static guint
place_picture (Prompt *prompt, const Case *c, guint shown, guint at, guint from, guint rows, guint columns, guint deepstack)
{
  guint n = rows * columns, count;
  gsize stride = (gsize) prompt->width * (1 + deepstack);
  g_autofree guint *keep = g_new (guint, n);
  g_autofree TernPlace *places = g_new (TernPlace, n);

  count = kept (c, shown, n, keep);
  tern_place_grid (places, columns, 0, n);
  g_assert_cmpuint (at + count, <=, prompt->n);
  for (guint i = 0; i < count; i++) {
    const float *row = prompt->visual + (shown * n + keep[i]) * stride;

    memcpy (prompt->rows + (at + i) * prompt->width, row, prompt->width * sizeof (float));
    prompt->slices[at + i] = deepstack ? row + prompt->width : NULL;
    prompt->places[at + i] = (TernPlace) { from + places[keep[i]].t, from + places[keep[i]].h, from + places[keep[i]].w };
  }
  return count;
}

static void
make_prompt (Prompt *prompt, const Case *c, const TernLlm *llm)
{
  JsonArray *grid = json_object_get_array_member (c->item, "grid_thw");
  guint rows = json_array_get_int_element (grid, 1) / 2, columns = json_array_get_int_element (grid, 2) / 2;
  gint32 picture = json_object_get_int_member (c->item, "image_token");
  guint place = 0, shown = 0, deepstack = tern_llm_info (llm)->deepstack;

  prompt->width = tern_llm_info (llm)->width;
  prompt->ids = golden_ids (c->item, "tokens", &prompt->n);
  prompt->rows = g_new (float, prompt->n * prompt->width);
  prompt->slices = g_new0 (const float *, prompt->n);
  prompt->places = g_new (TernPlace, prompt->n);
  prompt->visual = read_visual (c, prompt->width * (1 + deepstack));
  tern_llm_embed (llm, prompt->ids, prompt->n, prompt->rows, prompt->width);
  for (guint i = 0; i < prompt->n; i++) {
    if (prompt->ids[i] == picture) {
      i += place_picture (prompt, c, shown++, i, place, rows, columns, deepstack) - 1;
      place += MAX (rows, columns);
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
  g_autofree char *path = path_of (c, c->item, "positions");
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
  g_autofree char *path = path_of (c, c->item, "logits");
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
  g_autofree char *path = path_of (c, c->root, "gguf");
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
    tern_solo_eval (solo, &(TernLlmInput) { .rows = prompt.rows, .ld = prompt.width, .n = prompt.n, .slices = prompt.slices,
          .places = prompt.places, .advance = prompt.advance }, TERN_LOGITS_ALL, logits, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (tern_timeline_place (tern_solo_timeline (solo)), ==, prompt.advance);
    check_logits (c, logits, n_vocab);
    check_greedy (c, solo, logits + (gsize) (prompt.n - 1) * n_vocab, n_vocab);
  }
  g_free (prompt.ids);
  g_free (prompt.rows);
  g_free (prompt.visual);
  g_free (prompt.slices);
  g_free (prompt.places);
  g_clear_pointer (&llm, tern_llm_unref);
  tern_pool_free (pool);
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *positions = path_of (c, c->item, "positions");

  if (!positions)
    g_test_skip ("the case is not among the data");
  else
    golden_each_level (check_case, c);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *folder, *json;
  } models[] = { { "qwen35", "mmproj-f32.json" }, { "qwen3vl", "mmproj-f16.json" },
    { "qwen3vl", "mmproj-qwen3vlmoe.json" } };
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func (g_free);
  JsonParser *parsers[G_N_ELEMENTS (models)];
  int status;

  g_test_init (&argc, &argv, NULL);
  for (guint m = 0; m < G_N_ELEMENTS (models); m++) {
    JsonObject *root = NULL;
    JsonArray *cases;

    if (!(parsers[m] = golden_json (models[m].folder, models[m].json, &root)))
      continue;
    cases = json_object_get_array_member (root, "cases");
    for (guint i = 0; i < json_array_get_length (cases); i++) {
      Case *c = g_new (Case, 1);
      g_autofree char *name = NULL;

      *c = (Case) { models[m].folder, root, json_array_get_object_element (cases, i) };
      g_ptr_array_add (kept, c);
      name = g_strdup_printf ("/places/%s/%u/%s", c->folder, m, json_object_get_string_member (c->item, "name"));
      g_test_add_data_func (name, c, test_case);
    }
  }
  if (!kept->len) {
    g_print ("1..0 # SKIP no mmproj-*.json among the data\n");
    return 0;
  }
  status = g_test_run ();
  for (guint m = 0; m < G_N_ELEMENTS (models); m++)
    g_clear_object (&parsers[m]);
  return status;
}
