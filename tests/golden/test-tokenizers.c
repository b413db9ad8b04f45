/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ids of small vocabularies and the cuts of pre-tokenizers against Hugging Face's tokenizers, and ids of larger
 * vocabularies against llama.cpp's test vectors.
 * TERN_GOLDEN names the folder of the former; TERN_VECTORS, when it is set, that of the latter. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer.h"

static TernTokenizer *
open_tokenizer (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
  TernTokenizer *tokenizer;

  g_assert_no_error (error);
  tokenizer = tern_tokenizer_new (file, &error);
  g_assert_no_error (error);
  return tokenizer;
}

static char *
spell (const GArray *ids)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < ids->len; i++)
    g_string_append_printf (out, "%s%d", i ? " " : "", g_array_index (ids, gint32, i));
  return g_string_free (out, FALSE);
}

static char *
encode (const TernTokenizer *tokenizer, const char *text, gsize len, gboolean special)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));

  tern_tokenizer_encode (tokenizer, text, len, special, ids);
  return spell (ids);
}

static char *
spell_json (JsonArray *array)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));

  for (guint i = 0; i < json_array_get_length (array); i++) {
    gint32 id = json_array_get_int_element (array, i);

    g_array_append_val (ids, id);
  }
  return spell (ids);
}

/* JSON-GLib ends strings at U+0000, so the file's are loaded as U+E000 and put back here. */
static JsonParser *
load_cases (const char *path)
{
  JsonParser *parser = json_parser_new ();
  g_autofree char *text = NULL;
  g_autoptr (GString) json = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  json = g_string_new (text);
  g_assert_null (strstr (text, "\356\200\200"));
  g_string_replace (json, "\\u0000", "\356\200\200", 0);
  json_parser_load_from_data (parser, json->str, json->len, &error);
  g_assert_no_error (error);
  return parser;
}

static GString *
case_text (JsonObject *one)
{
  g_auto (GStrv) parts = g_strsplit (json_object_get_string_member (one, "text"), "\356\200\200", -1);
  GString *text = g_string_new (NULL);

  for (guint i = 0; parts[i]; i++) {
    if (i)
      g_string_append_c (text, 0);
    g_string_append (text, parts[i]);
  }
  return text;
}

static void
test_golden (const void *path)
{
  g_autofree char *name = g_strndup (path, strlen (path) - strlen (".json"));
  g_autofree char *model = g_strconcat (name, ".gguf", NULL);
  g_autoptr (TernTokenizer) tokenizer = open_tokenizer (model);
  g_autoptr (JsonParser) parser = load_cases (path);
  JsonObject *root;
  JsonArray *cases;

  root = json_node_get_object (json_parser_get_root (parser));
  cases = json_object_get_array_member (root, "cases");
  g_assert_cmpint (tern_tokenizer_bos (tokenizer), ==,
      json_object_get_null_member (root, "bos") ? -1 : json_object_get_int_member (root, "bos"));
  g_assert_cmpint (tern_tokenizer_eos (tokenizer), ==, json_object_get_int_member (root, "eos"));
  g_assert_cmpint (tern_tokenizer_add_bos (tokenizer), ==, json_object_get_boolean_member (root, "add_bos"));
  g_assert_true (tern_tokenizer_is_eog (tokenizer, tern_tokenizer_eos (tokenizer)));
  g_assert_cmpuint (json_array_get_length (cases), >, 100);
  for (guint i = 0; i < json_array_get_length (cases); i++) {
    JsonObject *one = json_array_get_object_element (cases, i);
    g_autoptr (GString) text = case_text (one);
    g_autofree char *special = spell_json (json_object_get_array_member (one, "ids"));
    g_autofree char *plain = spell_json (json_object_get_array_member (one, "ids_plain"));
    g_autofree char *got_special = encode (tokenizer, text->str, text->len, TRUE);
    g_autofree char *got_plain = encode (tokenizer, text->str, text->len, FALSE);

    if (strcmp (special, got_special) || strcmp (plain, got_plain))
      g_test_message ("case %u: \"%s\"", i, text->str);
    g_assert_cmpstr (got_special, ==, special);
    g_assert_cmpstr (got_plain, ==, plain);
  }
}

/* Decoding the ids of a text gives its bytes back. */
static void
test_round_trip (const void *path)
{
  g_autofree char *name = g_strndup (path, strlen (path) - strlen (".json"));
  g_autofree char *model = g_strconcat (name, ".gguf", NULL);
  g_autoptr (TernTokenizer) tokenizer = open_tokenizer (model);

  for (guint seed = 0; seed < 200; seed++) {
    g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
    g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
    g_autoptr (GString) back = g_string_new (NULL);
    guint8 text[300];
    gsize n = g_rand_int_range (rand, 0, sizeof text);

    for (gsize i = 0; i < n; i++)       /* half ASCII, half anything: mostly not UTF-8 */
      text[i] = g_rand_int_range (rand, seed % 2 ? 9 : 0, seed % 2 ? 127 : 256);
    tern_tokenizer_encode (tokenizer, (char *) text, n, FALSE, ids);
    for (guint i = 0; i < ids->len; i++) {
      TernBytes piece = tern_tokenizer_piece (tokenizer, g_array_index (ids, gint32, i), FALSE);

      g_string_append_len (back, piece.data, piece.len);
    }
    g_assert_cmpmem (back->str, back->len, text, n);
  }
}

static char *
cut (const TernPretokenizer *rules, const char *text)
{
  TernPieces pieces = { .text = (const guint8 *) text, .len = strlen (text) };
  GString *out = g_string_new (NULL);
  gsize start, len;

  while (tern_pieces_next (&pieces, rules, &start, &len))
    g_string_append_printf (out, "%s%" G_GSIZE_FORMAT, out->len ? " " : "", len);
  return g_string_free (out, FALSE);
}

/* make-pretokenizer-vectors.py: texts, and per rule set the bytes of each piece. */
static void
test_pieces (const void *path)
{
  g_autoptr (JsonParser) parser = load_cases (path);
  JsonObject *root = json_node_get_object (json_parser_get_root (parser));
  JsonArray *texts = json_object_get_array_member (root, "texts");
  g_autoptr (GList) names = json_object_get_members (json_object_get_object_member (root, "pieces"));

  g_assert_cmpuint (g_list_length (names), >, 10);
  for (GList *name = names; name; name = name->next) {
    JsonArray *expected = json_object_get_array_member (json_object_get_object_member (root, "pieces"), name->data);
    const TernPretokenizer *rules = tern_pretokenizer_find (name->data, strlen (name->data));

    g_assert_nonnull (rules);
    for (guint i = 0; i < json_array_get_length (texts); i++) {
      const char *text = json_array_get_string_element (texts, i);
      g_autofree char *got = cut (rules, text);

      if (strcmp (got, json_array_get_string_element (expected, i)))
        g_test_message ("%s, text %u: \"%s\"", (char *) name->data, i, text);
      g_assert_cmpstr (got, ==, json_array_get_string_element (expected, i));
    }
  }
}

/* .inp: texts separated by a line of their own; .out: a line of ids each. */
static void
test_vectors (const void *model)
{
  g_autoptr (TernTokenizer) tokenizer = open_tokenizer (model);
  g_autofree char *inp = g_strconcat (model, ".inp", NULL), *out = g_strconcat (model, ".out", NULL);
  g_autofree char *texts = NULL, *lines = NULL;
  g_auto (GStrv) text = NULL, line = NULL;
  guint n;

  g_assert_true (g_file_get_contents (inp, &texts, NULL, NULL));
  g_assert_true (g_file_get_contents (out, &lines, NULL, NULL));
  text = g_strsplit (texts, "\n__ggml_vocab_test__\n", -1);
  line = g_strsplit (lines, "\n", -1);
  n = g_strv_length (text) - 1;
  g_assert_cmpuint (n, >, 40);
  for (guint i = 0; i < n; i++) {
    g_autofree char *got = encode (tokenizer, text[i], strlen (text[i]), FALSE);

    if (strcmp (g_strstrip (line[i]), got))
      g_test_message ("case %u: \"%s\"", i, text[i]);
    g_assert_cmpstr (got, ==, line[i]);
  }
}

static void
test_absent (const void *path)
{
  g_autofree char *message = g_strdup_printf ("%s is not there", (const char *) path);

  g_test_skip (message);
}

static void
add (const char *prefix, const char *folder, const char *file, GTestDataFunc func)
{
  char *path = g_build_filename (folder, file, NULL);   /* lives as long as the test */
  g_autofree char *name = g_strconcat (prefix, file, NULL);

  g_test_add_data_func_full (name, path, g_file_test (path, G_FILE_TEST_EXISTS) ? func : test_absent, g_free);
}

int
main (int argc, char **argv)
{
  static const char *const vocabularies[] = { "vocab-lfm2.json", "vocab-llama-bpe.json", "vocab-smollm.json" };
  static const char *const composed[] = { "vocab-qwen2.json", "vocab-qwen35.json" };    /* their text is put into NFC */
  static const char *const vectors[] = { "ggml-vocab-gpt-2.gguf", "ggml-vocab-starcoder.gguf",
    "ggml-vocab-falcon.gguf", "ggml-vocab-llama-spm.gguf", "ggml-vocab-phi-3.gguf" };
  const char *golden = g_getenv ("TERN_GOLDEN"), *more = g_getenv ("TERN_VECTORS");
  g_autofree char *folder = g_build_filename (golden ? golden : ".", "tokenizers", NULL);
  g_autofree char *qwen = g_build_filename (golden ? golden : ".", "qwen35", NULL);

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (vocabularies); i++) {
    add ("/tokenizers/golden/", folder, vocabularies[i], test_golden);
    add ("/tokenizers/round-trip/", folder, vocabularies[i], test_round_trip);
  }
  for (guint i = 0; i < G_N_ELEMENTS (composed); i++)
    add ("/tokenizers/golden/", qwen, composed[i], test_golden);
  add ("/tokenizers/", folder, "pieces.json", test_pieces);
  for (guint i = 0; more && i < G_N_ELEMENTS (vectors); i++)
    add ("/tokenizers/vectors/", more, vectors[i], test_vectors);
  return g_test_run ();
}
