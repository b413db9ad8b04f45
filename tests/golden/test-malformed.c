/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that lie: broken ones end in one error that names the file, odd but valid ones compute the right logits.
 *
 * The files are in malformed.tar.gz, being copies of two small models with little changed. */
#include <string.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib/gstdio.h>

#include "engine/llm/solo.h"
#include "engine/text/tokenizer.h"
#include "tests/golden/golden.h"
#include "vision/vision.h"

static char *folder;            /* where the files are */
static guint width;             /* of ok-base.gguf */

typedef struct {
  JsonObject *manifest;
  JsonObject *entry;
} Case;

/* ---- The archive ------------------------------------------------------------------------------------------------- */

static GByteArray *
inflate (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GConverter) zlib = G_CONVERTER (g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP));
  g_autoptr (GInputStream) raw = G_INPUT_STREAM (g_file_read (file, NULL, &error));
  g_autoptr (GInputStream) stream = NULL;
  GByteArray *bytes = g_byte_array_new ();
  guint8 buffer[65536];
  gssize n;

  g_assert_no_error (error);
  stream = g_converter_input_stream_new (raw, zlib);
  while ((n = g_input_stream_read (stream, buffer, sizeof buffer, NULL, &error)) > 0)
    g_byte_array_append (bytes, buffer, n);
  g_assert_no_error (error);
  return bytes;
}

/* ustar: blocks of 512 bytes, a header with name at 0 and octal size at 124, then the contents. */
static void
unpack (const char *archive, const char *to)
{
  g_autoptr (GByteArray) tar = inflate (archive);
  gsize at = 0;

  while (at + 512 <= tar->len && tar->data[at]) {
    const char *header = (const char *) tar->data + at;
    g_autofree char *path = g_build_filename (to, header, NULL);
    g_autoptr (GError) error = NULL;
    gsize size = g_ascii_strtoull (header + 124, NULL, 8);

    g_assert_null (strchr (header, '/'));
    g_assert_cmpuint (size, <=, tar->len - at - 512);
    g_file_set_contents_full (path, header + 512, size, G_FILE_SET_CONTENTS_NONE, 0600, &error);
    g_assert_no_error (error);
    at += 512 + (size + 511) / 512 * 512;
  }
}

static void
remove_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *file = g_build_filename (path, name, NULL);

    g_unlink (file);
  }
  g_rmdir (path);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static char *
file_path (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

/* As a program would: the model and its tokenizer. */
static TernLlm *
open_text (const char *path, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (path, error);
  g_autoptr (TernLlm) llm = file ? tern_llm_open (file, tern_kernels_default (NULL), NULL, error) : NULL;
  g_autoptr (TernTokenizer) tokenizer = llm ? tern_tokenizer_new (file, error) : NULL;

  return tokenizer ? g_steal_pointer (&llm) : NULL;
}

static TernVision *
open_vision (const char *path, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (path, error);

  return file ? tern_vision_open (file, tern_kernels_default (NULL), error) : NULL;
}

static void
check_error (const char *name, const GError *error)
{
  g_assert_nonnull (error);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, name));
  g_assert_null (strchr (error->message, '\n'));
}

static void
check_logits (TernLlm *llm, JsonObject *manifest)
{
  g_autofree char *path = file_path (json_object_get_string_member (manifest, "logits"));
  g_autoptr (GoldenArray) expected = golden_npy (path);
  JsonObject *tolerance = json_object_get_object_member (manifest, "tolerance");
  g_autoptr (GError) error = NULL;
  TernPool *pool = tern_pool_new (1, &error);
  guint n;
  g_autofree gint32 *ids = golden_ids (manifest, "tokens", &n);
  g_autofree float *logits = g_new (float, expected->n);
  TernSolo *state;

  g_assert_no_error (error);
  g_assert_cmpuint (expected->n, ==, (gsize) n * tern_llm_info (llm)->n_vocab);
  state = tern_solo_new (llm, &(TernSoloParams) { .activations = TERN_ACTIVATIONS_F32 }, pool, &error);
  g_assert_no_error (error);
  tern_solo_eval (state, &(TernLlmInput) { .ids = ids, .n = n }, TERN_LOGITS_ALL, logits, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpfloat (golden_nmse (logits, expected->data, expected->n), <=,
      json_object_get_double_member (tolerance, "nmse"));
  g_assert_cmpfloat (golden_max_abs (logits, expected->data, expected->n), <=,
      json_object_get_double_member (tolerance, "max_abs"));
  tern_solo_free (state);
  tern_pool_free (pool);
}

static void
test_text (gconstpointer data)
{
  const Case *c = data;
  const char *name = json_object_get_string_member (c->entry, "file");
  g_autofree char *path = file_path (name);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernLlm) llm = open_text (path, &error);

  if (g_str_equal (json_object_get_string_member (c->entry, "expect"), "ok")) {
    g_assert_no_error (error);
    check_logits (llm, c->manifest);
  } else {
    g_assert_null (llm);
    check_error (name, error);
  }
}

static void
test_mmproj (gconstpointer data)
{
  const Case *c = data;
  const char *name = json_object_get_string_member (c->entry, "file");
  g_autofree char *path = file_path (name);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVision) vision = open_vision (path, &error);

  if (g_str_equal (json_object_get_string_member (c->entry, "expect"), "ok")) {
    g_assert_no_error (error);
    g_assert_cmpuint (tern_vision_info (vision)->embedding_dim, ==, width);
  } else {
    g_assert_null (vision);
    check_error (name, error);
  }
}

/* Every byte of the header turned: whatever is said about the result, nothing crashes. */
static void
test_flips (void)
{
  g_autofree char *base = file_path ("ok-base.gguf"), *path = file_path ("flipped.gguf"), *bytes = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;
  guint opened = 0;

  g_file_get_contents (base, &bytes, &size, &error);
  g_assert_no_error (error);
  for (gsize at = 4; at < 4096 && at < size; at += g_test_slow () ? 1 : 5)
    for (guint bit = 0; bit < 8; bit += 7) {
      g_autoptr (TernLlm) llm = NULL;

      bytes[at] ^= 1 << bit;
      g_file_set_contents_full (path, bytes, size, G_FILE_SET_CONTENTS_NONE, 0600, &error);     /* no fsync */
      g_assert_no_error (error);
      llm = open_text (path, &error);
      g_assert_true (llm ? !error : error != NULL);
      g_clear_error (&error);
      opened += llm != NULL;
      bytes[at] ^= 1 << bit;
    }
  g_test_message ("%u of the changed files open", opened);
  g_unlink (path);
}

static gboolean
is_mmproj (const char *name)
{
  return g_str_has_prefix (name, "mmproj-") || g_str_has_prefix (name, "ok-mmproj");
}

static void
add_all (JsonObject *manifest, Case *cases)
{
  JsonArray *files = json_object_get_array_member (manifest, "files");

  for (guint i = 0; i < json_array_get_length (files); i++) {
    JsonObject *entry = json_array_get_object_element (files, i);
    const char *name = json_object_get_string_member (entry, "file");
    g_autofree char *path = g_strdup_printf ("/malformed/%s", name);

    cases[i] = (Case) { manifest, entry };
    g_test_add_data_func (path, &cases[i], is_mmproj (name) ? test_mmproj : test_text);
  }
}

static guint
base_width (void)
{
  g_autofree char *path = file_path ("ok-base.gguf");
  g_autoptr (TernLlm) llm = open_text (path, NULL);

  return llm ? tern_llm_info (llm)->width : 0;
}

int
main (int argc, char **argv)
{
  g_autofree char *archive = golden_path (".", "malformed.tar.gz"), *manifest_path = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *manifest;
  g_autofree Case *cases = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  if (!archive) {
    g_print ("1..0 # SKIP no malformed.tar.gz among the data\n");
    return 0;
  }
  folder = g_dir_make_tmp ("tern-malformed-XXXXXX", NULL);
  unpack (archive, folder);
  manifest_path = file_path ("manifest.json");
  g_assert_true (json_parser_load_from_file (parser, manifest_path, NULL));
  manifest = json_node_get_object (json_parser_get_root (parser));
  width = base_width ();
  cases = g_new (Case, json_array_get_length (json_object_get_array_member (manifest, "files")));
  add_all (manifest, cases);
  g_test_add_func ("/malformed/flips", test_flips);
  status = g_test_run ();
  remove_folder (folder);
  g_free (folder);
  return status;
}
