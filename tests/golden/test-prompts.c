/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ids of prompts with pictures and videos against Hugging Face's processors: the goldens of vision models, and
 * prompts.json, which has the videos. */
#include <string.h>

#include "tern/prompt.h"
#include "tests/golden/golden.h"

typedef struct {
  TernGguf *file;
  TernTokenizer *tokenizer;
  TernChat *chat;
} Text;

static const struct {
  const char *folder, *json, *projector;
} models[] = {
  { "smolvlm", "mmproj-smolvlm-f32.json", "idefics3" },
  { "lfm2vl", "mmproj-lfm2vl-f32.json", "lfm2" },
  { "lfm2vl", "mmproj-ship-q8_0.json", "lfm2" },
};

static gboolean
text_open (Text *text, const char *folder, const char *name)
{
  g_autofree char *path = golden_path (folder, name);
  g_autoptr (GError) error = NULL;

  *text = (Text) { 0 };
  if (!path)
    return FALSE;
  text->file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  text->tokenizer = tern_tokenizer_new (text->file, &error);
  g_assert_no_error (error);
  text->chat = tern_chat_new_from_gguf (text->file, &error);
  g_assert_no_error (error);
  return TRUE;
}

static void
text_clear (Text *text)
{
  if (!text->file)
    return;
  tern_chat_free (text->chat);
  tern_tokenizer_unref (text->tokenizer);
  tern_gguf_unref (text->file);
}

/* @projector NULL: the vocabulary has to tell. */
static void
check_ids (const Text *text, const char *projector, const char *system, const char *words, const TernPromptVisual *visual,
    const gint32 *expected, guint n)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GError) error = NULL;
  TernPromptParts parts = { .family = tern_prompt_family (projector, text->tokenizer, "text", &error),
    .chat = text->chat, .tokenizer = text->tokenizer, .system = system, .text = words };

  g_assert_no_error (error);
  tern_prompt_compile (ids, &parts, visual, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < MIN (n, ids->len); i++)
    if (g_array_index (ids, gint32, i) != expected[i])
      g_test_message ("id %u: expected %d, found %d", i, expected[i], g_array_index (ids, gint32, i));
  g_assert_cmpmem (ids->data, ids->len * sizeof (gint32), expected, n * sizeof (gint32));
}

/* ---- The goldens of vision models -------------------------------------------------------------------------------- */

/* Tiles row by row and the whole, or the one picture. */
static GArray *
runs_of (JsonObject *item)
{
  GArray *runs = g_array_new (FALSE, TRUE, sizeof (TernPromptRun));
  guint n = json_array_get_length (json_object_get_array_member (item, "visual_tokens")), columns, rows;
  JsonArray *grid = n > 1 ? json_object_get_array_member (item, "grid") : NULL;

  g_array_set_size (runs, n);
  if (!grid)
    return runs;
  columns = (guint) json_array_get_int_element (grid, 0);
  rows = (guint) json_array_get_int_element (grid, 1);
  g_assert_cmpuint (n, ==, columns * rows + 1);
  for (guint i = 0; i + 1 < n; i++) {
    g_array_index (runs, TernPromptRun, i).row = 1 + i / columns;
    g_array_index (runs, TernPromptRun, i).column = 1 + i % columns;
  }
  g_array_index (runs, TernPromptRun, n - 1).thumbnail = TRUE;
  return runs;
}

static void
test_stills (gconstpointer data)
{
  guint which = GPOINTER_TO_UINT (data);
  JsonObject *root = NULL;
  g_autoptr (JsonParser) parser = golden_json (models[which].folder, models[which].json, &root);
  JsonArray *items = parser ? json_object_get_array_member (root, "cases") : NULL;
  Text text;

  if (!items || !text_open (&text, models[which].folder, json_object_get_string_member (root, "gguf"))) {
    g_test_skip ("the model is not among the data");
    return;
  }
  for (guint i = 0; i < json_array_get_length (items); i++) {
    JsonObject *item = json_array_get_object_element (items, i);
    const char *words = strstr (json_object_get_string_member (item, "prompt"), "<image>") + strlen ("<image>");
    g_autofree char *question = g_strndup (words, strcspn (words, "<"));
    guint n;
    g_autofree gint32 *expected = golden_ids (item, "tokens_compact", &n);
    g_autoptr (GArray) runs = runs_of (item);
    TernPromptVisual visual = { (const TernPromptRun *) runs->data, runs->len, FALSE, 0 };

    g_test_message ("case %s", json_object_get_string_member (item, "name"));
    check_ids (&text, models[which].projector, NULL, question, &visual, expected, n);
    check_ids (&text, NULL, NULL, question, &visual, expected, n);
  }
  text_clear (&text);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autofree char *name = g_strdup_printf ("/prompts/stills/%s", models[i].json);

    g_test_add_data_func (name, GUINT_TO_POINTER (i), test_stills);
  }
  return g_test_run ();
}
