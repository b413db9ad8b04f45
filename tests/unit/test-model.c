/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening models: which files, sharing, and what is refused. */
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/weights/gguf-write.h"
#include "session-fixture.h"
#include "tern/model-files.h"
#include "tern/model-priv.h"
#include "tern/session-config.h"

static TernModelParams
params_for (const char *model, const char *mmproj, TernModelParts parts)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;

  params.model_path = model;
  params.mmproj_path = mmproj;
  params.parts = parts;
  params.threads = 1;
  return params;
}

static void
expect_error (TernModelParams params, TernErrorCode code, const char *what, const char *more)
{
  g_autoptr (GError) error = NULL;
  TernModel *model = tern_model_open (&params, &error);

  g_assert_null (model);
  g_assert_error (error, TERN_ERROR, (gint) code);
  if (!strstr (error->message, what) || (more && !strstr (error->message, more)))
    g_error ("\"%s\" lacks \"%s\" or \"%s\"", error->message, what, more ? more : "");
}

static TernModel *
open_with (TernModelParams params)
{
  g_autoptr (GError) error = NULL;
  TernModel *model = tern_model_open (&params, &error);

  g_assert_no_error (error);
  return model;
}

/* A folder with links to the given files under the given names. */
static char *
make_folder (const char *const *links)
{
  g_autoptr (GError) error = NULL;
  char *folder = g_dir_make_tmp ("tern-test-XXXXXX", &error);

  g_assert_no_error (error);
  for (guint i = 0; links[i]; i += 2) {
    g_autofree char *path = g_build_filename (folder, links[i], NULL);
    g_autofree char *data = NULL;
    gsize size;

    g_assert_true (g_file_get_contents (links[i + 1], &data, &size, NULL));
    g_assert_true (g_file_set_contents (path, data, (gssize) size, NULL));
  }
  return folder;
}

static void
remove_folder (char *folder)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);

    g_unlink (path);
  }
  g_dir_close (dir);
  g_rmdir (folder);
  g_free (folder);
}

static void
test_facts (void)
{
  g_autoptr (TernModel) model = open_model (0);

  g_assert_cmpuint (tern_model_embedding_dim (model), ==, 256);
  g_assert_cmpuint (tern_model_frame_tokens (model), >=, 64);
  g_assert_cmpuint (tern_model_picture_frames (model), ==, 1);
  g_assert_cmpstr (tern_model_name (model), ==, "tern golden lfm2-tq2_0");
  g_assert_true (g_str_has_suffix (tern_model_path (model), "lfm2-tq2_0.gguf"));
  g_assert_true (g_path_is_absolute (tern_model_path (model)));
  g_assert_true (g_str_has_suffix (tern_model_mmproj_path (model), "mmproj-ship-q8_0.gguf"));
  g_assert_cmpuint (strlen (tern_model_encoder_id (model)), ==, 32);
  g_assert_cmpstr (tern_model_default_prompt (model), ==, "Describe what happens.");
  g_assert_true (*tern_model_instruction_set (model));
}

/* One model for all who name the same files and options, whatever parts they use. */
static void
test_sharing (void)
{
  g_autofree char *roundabout = g_strdup (TERN_TEST_DATA "/lfm2vl/../lfm2/lfm2-tq2_0.gguf");
  g_autoptr (TernModel) text = open_with (params_for (TEXT_FILE, MMPROJ_FILE, TERN_MODEL_TEXT));
  g_autoptr (TernModel) vision = NULL, full = NULL, other = NULL;
  TernModelParams more;

  g_assert_cmpuint (tern_model_frame_tokens (text), ==, 0);
  g_assert_cmpuint (tern_model_picture_frames (text), ==, 0);
  vision = open_with (params_for (roundabout, MMPROJ_FILE, TERN_MODEL_VISION));
  full = open_with (params_for (TEXT_FILE, MMPROJ_FILE, TERN_MODEL_FULL));
  g_assert_true (vision == text && full == text);
  g_assert_cmpuint (tern_model_frame_tokens (text), >, 0);

  more = params_for (TEXT_FILE, MMPROJ_FILE, TERN_MODEL_FULL);
  more.threads = 2;
  other = open_with (more);
  g_assert_true (other != text);
  /* The options differ, the weights are one copy. */
  g_assert_true (tern_model_text (other) == tern_model_text (text));
  g_assert_true (tern_model_vision (other) == tern_model_vision (text));
  g_assert_cmpstr (tern_model_encoder_id (other), ==, tern_model_encoder_id (text));
}

static gpointer
open_and_close (gpointer data)
{
  for (guint i = 0; i < 20; i++) {
    TernModelParams params = params_for (TEXT_FILE, MMPROJ_FILE, 1 + i % 3);
    TernModel *a, *b;

    params.context = i % 4 ? 0 : 64;
    a = open_with (params);
    b = tern_model_ref (a);

    tern_model_unref (a);
    g_assert_cmpuint (tern_model_embedding_dim (b), ==, 256);
    tern_model_unref (b);
  }
  return NULL;
}

/* Released with the last reference, from any thread. */
static void
test_release (void)
{
  GThread *threads[3];

  for (guint i = 0; i < 3; i++)
    threads[i] = g_thread_new ("opener", open_and_close, NULL);
  for (guint i = 0; i < 3; i++)
    g_thread_join (threads[i]);
}

/* A file that was replaced under its name is another model. */
static void
test_replaced (void)
{
  static const char *const links[] = { "m.gguf", TEXT_FILE, "mmproj.gguf", MMPROJ_FILE, NULL };
  char *folder = make_folder (links);
  g_autofree char *path = g_build_filename (folder, "m.gguf", NULL), *data = NULL;
  g_autoptr (TernModel) before = open_with (params_for (folder, NULL, TERN_MODEL_FULL));
  g_autoptr (TernModel) after = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (TEXT_FILE, &data, &size, NULL));
  g_unlink (path);
  g_assert_true (g_file_set_contents (path, data, (gssize) size, NULL));
  after = open_with (params_for (folder, NULL, TERN_MODEL_FULL));
  g_assert_true (after != before && tern_model_text (after) != tern_model_text (before));
  remove_folder (folder);
}

static void
test_folders (void)
{
  static const char *const good[] = { "m.gguf", TEXT_FILE, "mmproj-m.gguf", MMPROJ_FILE, NULL };
  static const char *const two_texts[] = { "a.gguf", TEXT_FILE, "b.gguf", TEXT_FILE, "mmproj.gguf", MMPROJ_FILE, NULL };
  static const char *const two_mmprojs[] = { "a.gguf", TEXT_FILE, "mmproj-1.gguf", MMPROJ_FILE, "mmproj-2.gguf",
    MMPROJ_FILE, NULL };
  static const char *const namesakes[] = { "cat-2b-q4_0.gguf", TEXT_FILE, "mmproj-Cat-2b-f16.gguf", MMPROJ_FILE,
      "mmproj-cat-f16.gguf", MMPROJ_FILE, "mmproj-dog-2b-f16.gguf", MMPROJ_FILE, NULL };
  static const char *const twins[] = { "cat-2b-q4_0.gguf", TEXT_FILE, "mmproj-cat-2b-f16.gguf", MMPROJ_FILE,
      "mmproj-cat-2b-q8_0.gguf", MMPROJ_FILE, NULL };
  static const char *const strangers[] = { "cat-2b-q4_0.gguf", TEXT_FILE, "mmproj-ca-2b-f16.gguf", MMPROJ_FILE,
      "mmproj-cat-3b-f16.gguf", MMPROJ_FILE, NULL };
  static const char *const behind[] = { "Cat.Q4_K_M.gguf", TEXT_FILE, "Cat.mmproj-f16.gguf", MMPROJ_FILE, NULL };
  static const char *const behinds[] = { "Cat-2b.Q4_K_M.gguf", TEXT_FILE, "cat.mmproj-f16.gguf", MMPROJ_FILE,
    "Cat-2B.mmproj-Q8_0.gguf", MMPROJ_FILE, "Dog-2b-mmproj.gguf", MMPROJ_FILE, "mmproj-dog-2b-f16.gguf", MMPROJ_FILE, NULL };
  static const char *const front[] = { "cat.gguf", TEXT_FILE, "dog.mmproj-f16.gguf", MMPROJ_FILE, "mmproj-f16.gguf", MMPROJ_FILE,
    NULL };
  static const char *const others[] = { "cat.gguf", TEXT_FILE, "dog.mmproj-f16.gguf", MMPROJ_FILE, "cow-mmproj.gguf", MMPROJ_FILE,
    NULL };
  static const char *const fetched[] = { "org_Cat-2b-GGUF_Cat-2b-Q8_0.gguf", TEXT_FILE,
    "org_Cat-2b-GGUF_mmproj-Cat-2b-f16.gguf", MMPROJ_FILE, "org_Dog-2b-GGUF_mmproj-Dog-2b-f16.gguf", MMPROJ_FILE, NULL };
  static const char *const notes[] = { "._cat.gguf", __FILE__, "cat.gguf", TEXT_FILE, "._mmproj-cat.gguf", __FILE__,
    "mmproj-cat.gguf", MMPROJ_FILE, NULL };
  static const struct { const char *const *files; const char *taken; } named[] = { { behind, "/Cat.mmproj-f16.gguf" },
    { behinds, "/Cat-2B.mmproj-Q8_0.gguf" }, { front, "/mmproj-f16.gguf" },
    { fetched, "/org_Cat-2b-GGUF_mmproj-Cat-2b-f16.gguf" }, { notes, "/mmproj-cat.gguf" } };
  static const char *const ours[] = { "tern-captioner-1m.gguf", TEXT_FILE, "mmproj-tern-captioner-1m.gguf", MMPROJ_FILE,
    "tern-watcher-1m.gguf", TEXT_FILE, "mmproj-tern-watcher-1m.gguf", MMPROJ_FILE, NULL };
  static const char *const ours_and_more[] = { "tern-captioner-1m.gguf", TEXT_FILE, "tern-watcher-1m.gguf", TEXT_FILE, "z.gguf",
      TEXT_FILE, NULL };
  static const char *const alone[] = { "a.gguf", TEXT_FILE, NULL };
  static const char *const head[] = { "a.gguf", TERN_TEST_DATA "/action/mlp.gguf", NULL };
  static const char *const seeing[] = { "vision.gguf", MMPROJ_FILE, NULL };
  static const char *const no_gguf[] = { "a.gguf", __FILE__, NULL };
  static const char *const with_action[] = { "a.gguf", TERN_TEST_DATA "/action/mlp.gguf", "m.gguf", TEXT_FILE,
    "mmproj.gguf", MMPROJ_FILE, "z.gguf", TERN_TEST_DATA "/action/cfc.gguf", NULL };
  char *folder = make_folder (good);
  TernModel *model = open_with (params_for (folder, NULL, TERN_MODEL_FULL));

  g_assert_true (g_str_has_suffix (tern_model_mmproj_path (model), "/mmproj-m.gguf"));
  tern_model_unref (model);

  g_setenv ("TERN_MODEL_PATH", folder, TRUE);
  model = open_with (params_for (NULL, NULL, TERN_MODEL_FULL));
  g_assert_true (g_str_has_suffix (tern_model_path (model), "/m.gguf"));
  tern_model_unref (model);
  g_setenv ("TERN_MODEL_PATH", "/nowhere/at-all.gguf", TRUE);
  expect_error (params_for (NULL, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "TERN_MODEL_PATH", "/nowhere/at-all");
  g_unsetenv ("TERN_MODEL_PATH");
  remove_folder (folder);

  folder = make_folder (with_action);   /* which go beside a language model */
  model = open_with (params_for (folder, NULL, TERN_MODEL_FULL));
  g_assert_true (g_str_has_suffix (tern_model_path (model), "/m.gguf"));
  tern_model_unref (model);
  remove_folder (folder);

  folder = make_folder (two_texts);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "a.gguf, b.gguf", folder);
  remove_folder (folder);
  /* Those that come with Tern: the one that this build takes by itself, with its own encoder. */
  folder = make_folder (ours);
  model = open_with (params_for (folder, NULL, TERN_MODEL_FULL));
  g_assert_true (g_str_has_suffix (tern_model_path (model), "/tern-captioner-1m.gguf")
      ? g_str_has_suffix (tern_model_mmproj_path (model), "/mmproj-tern-captioner-1m.gguf")
      : g_str_has_suffix (tern_model_path (model), "/tern-watcher-1m.gguf")
      && g_str_has_suffix (tern_model_mmproj_path (model), "/mmproj-tern-watcher-1m.gguf"));
  tern_model_unref (model);
  remove_folder (folder);
  folder = make_folder (ours_and_more);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "tern-watcher-1m.gguf, z.gguf", folder);
  remove_folder (folder);
  folder = make_folder (two_mmprojs);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "mmproj-1.gguf, mmproj-2.gguf", folder);
  remove_folder (folder);

  folder = make_folder (namesakes);
  model = open_with (params_for (folder, NULL, TERN_MODEL_FULL));
  g_assert_true (g_str_has_suffix (tern_model_mmproj_path (model), "/mmproj-Cat-2b-f16.gguf"));
  tern_model_unref (model);
  remove_folder (folder);
  folder = make_folder (twins);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "mmproj-cat-2b-f16.gguf, mmproj-cat-2b-q8_0",
      folder);
  remove_folder (folder);
  folder = make_folder (strangers);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "mmproj-ca-2b-f16.gguf, mmproj-cat-3b", folder);
  remove_folder (folder);

  for (guint i = 0; i < G_N_ELEMENTS (named); i++) {
    folder = make_folder (named[i].files);
    model = open_with (params_for (folder, NULL, TERN_MODEL_FULL));
    g_assert_true (g_str_has_suffix (tern_model_mmproj_path (model), named[i].taken));
    tern_model_unref (model);
    remove_folder (folder);
  }
  folder = make_folder (others);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "cow-mmproj.gguf, dog.mmproj-f16.gguf", folder);
  remove_folder (folder);

  /* What the file is comes before what is missing beside it. */
  folder = make_folder (head);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_UNSUPPORTED, "/a.gguf: expected a language model",
      "an action model (tern-action)");
  expect_error (params_for (folder, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_UNSUPPORTED, "/a.gguf: expected a language model",
      "an action model (tern-action)");
  expect_error (params_for (folder, NULL, TERN_MODEL_TEXT), TERN_ERROR_UNSUPPORTED, "/a.gguf: expected a language model",
      "an action model (tern-action)");
  remove_folder (folder);
  folder = make_folder (seeing);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_UNSUPPORTED, "/vision.gguf: expected a language model",
      "a vision encoder (clip)");
  remove_folder (folder);
  folder = make_folder (no_gguf);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_FORMAT, "/a.gguf", "GGUF");
  remove_folder (folder);

  folder = make_folder (alone);
  expect_error (params_for (folder, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "mmproj*.gguf", "none");
  model = open_with (params_for (folder, NULL, TERN_MODEL_TEXT));
  g_assert_null (tern_model_encoder_id (model));
  g_assert_null (tern_model_mmproj_path (model));
  tern_model_unref (model);
  remove_folder (folder);
}

/* ---- Links ------------------------------------------------------------------------------------------------------- */

/* A file or folder below @root, made with the folders above it: a link to @target, or the file itself. */
static char *
put (const char *root, const char *name, const char *target, const char *source)
{
  char *path = g_build_filename (root, name, NULL);
  g_autofree char *folder = g_path_get_dirname (path), *data = NULL;
  gsize size;

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  if (target) {
    g_assert_cmpint (symlink (target, path), ==, 0);
  } else {
    g_assert_true (g_file_get_contents (source, &data, &size, NULL));
    g_assert_true (g_file_set_contents (path, data, (gssize) size, NULL));
  }
  return path;
}

static void
remove_tree (const char *path)
{
  const char *const argv[] = { "rm", "-rf", path, NULL };

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static void
expect_mmproj (const char *model, const char *suffix)
{
  TernModel *opened = open_with (params_for (model, NULL, TERN_MODEL_FULL));

  if (!g_str_has_suffix (tern_model_mmproj_path (opened), suffix))
    g_error ("%s: found %s, expected %s", model, tern_model_mmproj_path (opened), suffix);
  tern_model_unref (opened);
}

/* The layout of Hugging Face's cache: names in one folder, files in another. */
static void
test_links (void)
{
  g_autofree char *root = g_dir_make_tmp ("tern-test-XXXXXX", NULL), *here = g_get_current_dir ();
  g_autofree char *blob = put (root, "blobs/aa", NULL, TEXT_FILE), *blob2 = put (root, "blobs/bb", NULL, MMPROJ_FILE);
  g_autofree char *name = put (root, "snap/1/m.gguf", "../../blobs/aa", NULL);
  G_GNUC_UNUSED g_autofree char *mmproj = put (root, "snap/1/mmproj-m.gguf", "../../blobs/bb", NULL);
  g_autofree char *folder = g_path_get_dirname (name);
  /* Links to names, names of folders, and a `..` behind a link to a folder. */
  g_autofree char *chain = put (root, "mine/my.gguf", "../snap/1/m.gguf", NULL);
  g_autofree char *folder_link = put (root, "latest", "snap/1", NULL);
  g_autofree char *as_file = put (root, "other/as.gguf", "../snap/1", NULL);
  /* A link of another name beside its target, and elsewhere: it is the target that an encoder of several is called as. */
  G_GNUC_UNUSED g_autofree char *cat = put (root, "store/cat-q4_0.gguf", NULL, TEXT_FILE);
  G_GNUC_UNUSED g_autofree char *cats = put (root, "store/mmproj-cat-f16.gguf", NULL, MMPROJ_FILE);
  G_GNUC_UNUSED g_autofree char *dogs = put (root, "store/mmproj-dog-f16.gguf", NULL, MMPROJ_FILE);
  g_autofree char *near = put (root, "store/model.gguf", "cat-q4_0.gguf", NULL), *far = put (root, "far/model.gguf",
      "../store/model.gguf", NULL);
  g_autofree char *behind = g_build_filename (root, "latest", "..", "1", "m.gguf", NULL);
  g_autoptr (TernModel) model = NULL, direct = NULL;

  expect_mmproj (name, "/blobs/bb");
  expect_mmproj (folder, "/blobs/bb");
  expect_mmproj (chain, "/blobs/bb");
  expect_mmproj (folder_link, "/blobs/bb");
  expect_mmproj (as_file, "/blobs/bb");
  expect_mmproj (behind, "/blobs/bb");
  expect_mmproj (near, "/store/mmproj-cat-f16.gguf");
  expect_mmproj (far, "/store/mmproj-cat-f16.gguf");
  g_setenv ("TERN_MODEL_PATH", folder_link, TRUE);
  expect_mmproj (NULL, "/blobs/bb");
  g_setenv ("TERN_MODEL_PATH", chain, TRUE);
  expect_mmproj (NULL, "/blobs/bb");
  g_unsetenv ("TERN_MODEL_PATH");

  g_assert_cmpint (g_chdir (folder), ==, 0);
  expect_mmproj ("m.gguf", "/blobs/bb");
  expect_mmproj (".", "/blobs/bb");
  expect_mmproj ("../../mine/my.gguf", "/blobs/bb");
  g_assert_cmpint (g_chdir (here), ==, 0);

  /* One model, whatever it was called. */
  model = open_with (params_for (chain, NULL, TERN_MODEL_FULL));
  direct = open_with (params_for (blob, blob2, TERN_MODEL_FULL));
  g_assert_true (model == direct);
  remove_tree (root);
}

/* The one encoder that there is may be another model's: then it is not taken. */
static void
test_others_encoder (void)
{
  g_autofree char *root = g_dir_make_tmp ("tern-test-XXXXXX", NULL);
  g_autofree char *cat = put (root, "all/cat-2b-q8_0.gguf", NULL, TEXT_FILE);
  G_GNUC_UNUSED g_autofree char *dog = put (root, "all/dog-2b-q8_0.gguf", NULL, TEXT_FILE);
  g_autofree char *dogs = put (root, "all/mmproj-dog-2b-f16.gguf", NULL, MMPROJ_FILE);
  g_autofree char *file = put (root, "store/cow.gguf", NULL, TEXT_FILE);
  g_autofree char *mine = put (root, "mine/my.gguf", "../store/cow.gguf", NULL);
  G_GNUC_UNUSED g_autofree char *cows = put (root, "store/mmproj-cow-f16.gguf", NULL, MMPROJ_FILE);
  G_GNUC_UNUSED g_autofree char *hen = put (root, "mine/hen.gguf", NULL, TEXT_FILE);
  G_GNUC_UNUSED g_autofree char *hens = put (root, "mine/mmproj-hen.gguf", NULL, MMPROJ_FILE);

  expect_error (params_for (cat, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "mmproj-dog-2b-f16.gguf, called as another model",
      "/all: expected");
  expect_mmproj (mine, "/store/mmproj-cow-f16.gguf");
  /* One that is called as none, or that is named, is taken. */
  g_assert_cmpint (g_unlink (dogs), ==, 0);
  g_free (dogs);
  dogs = put (root, "all/mmproj-f16.gguf", NULL, MMPROJ_FILE);
  expect_mmproj (cat, "/all/mmproj-f16.gguf");
  remove_tree (root);
}

/* Beside the name that was given goes before beside the file; what hangs in the air is said. */
static void
test_links_between (void)
{
  g_autofree char *root = g_dir_make_tmp ("tern-test-XXXXXX", NULL);
  g_autofree char *file = put (root, "files/m.gguf", NULL, TEXT_FILE);
  g_autofree char *name = put (root, "names/m.gguf", "../files/m.gguf", NULL);
  g_autofree char *other = put (root, "more/m.gguf", "../names/m.gguf", NULL), *near_file = NULL, *near_name = NULL;
  g_autofree char *alias = NULL, *second = NULL, *gone = put (root, "gone/m.gguf", "../files/none.gguf", NULL), *dangling = NULL;
  g_autofree char *loop = put (root, "loop/m.gguf", "m.gguf", NULL);

  expect_error (params_for (other, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "/more: expected", "/files;");
  expect_error (params_for (other, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "/names, ", "none");
  near_file = put (root, "files/mmproj-of-file.gguf", NULL, MMPROJ_FILE);
  expect_mmproj (other, "/files/mmproj-of-file.gguf");
  near_name = put (root, "names/mmproj-of-name.gguf", NULL, MMPROJ_FILE);
  expect_mmproj (other, "/names/mmproj-of-name.gguf");
  expect_mmproj (file, "/files/mmproj-of-file.gguf");
  alias = put (root, "names/mmproj-2.gguf", "mmproj-of-name.gguf", NULL);       /* the same file once more */
  expect_mmproj (name, "/names/mmproj-of-name.gguf");
  g_unlink (alias);
  second = put (root, "names/mmproj-2.gguf", NULL, MMPROJ_FILE);
  expect_error (params_for (name, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "mmproj-2.gguf, mmproj-of-name.gguf",
      "/names");
  expect_error (params_for (gone, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "gone/m.gguf", "../files/none.gguf");
  dangling = put (root, "more/mmproj.gguf", "nothing", NULL);
  expect_error (params_for (other, NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "more/mmproj.gguf", "a link to nothing");
  expect_error (params_for (loop, NULL, TERN_MODEL_FULL), TERN_ERROR_READ, "loop/m.gguf", NULL);
  remove_tree (root);
}

/* Nothing that one would have to wait for is opened. */
static void
test_pipes (void)
{
  g_autofree char *root = g_dir_make_tmp ("tern-test-XXXXXX", NULL), *fifo = g_build_filename (root, "m.gguf", NULL);
  g_autofree char *link = put (root, "link.gguf", "m.gguf", NULL);

  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  expect_error (params_for (fifo, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_READ, fifo, "a pipe");
  expect_error (params_for (link, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_READ, "m.gguf", "a pipe");
  expect_error (params_for (TEXT_FILE, fifo, TERN_MODEL_FULL), TERN_ERROR_READ, fifo, "a pipe");
  expect_error (params_for ("/dev/zero", MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_READ, "/dev/zero", "regular");
  remove_tree (root);
}

/* ---- The bundled model ------------------------------------------------------------------------------------------- */

/* Prints where it believes to stand. */
static int
print_own_path (void)
{
  g_autofree char *path = tern_model_own_path ();

  puts (path ? path : "unknown");
  return 0;
}

static char *
own_path_as (const char *program, const char *name, const char *folder)
{
  const char *const argv[] = { program, name, "--own-path", NULL };
  g_autoptr (GError) error = NULL;
  char *out = NULL;

  g_spawn_sync (folder, (char **) argv, NULL, G_SPAWN_FILE_AND_ARGV_ZERO, NULL, NULL, &out, NULL, NULL, &error);
  g_assert_no_error (error);
  return g_strchomp (out);
}

/* However the program was started. */
static void
test_own_path (void)
{
  static const char *const names[] = { "tern", "", "/usr/bin/env", "./tern", "../../tern", "/nonexistent/tern" };
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL), *own = tern_model_own_path ();
  g_autofree char *root = g_dir_make_tmp ("tern-test-XXXXXX", NULL), *link = self ? put (root, "tern", self, NULL) : NULL;

  if (!self) {
    g_test_skip ("no /proc");
    return;
  }
  if (g_getenv ("MESON_EXE_WRAPPER")) {
    g_test_skip ("a program of another architecture cannot start itself again");
    return;
  }
  g_assert_cmpstr (own, ==, self);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *direct = own_path_as (self, names[i], "/"), *linked = own_path_as (link, names[i], root);

    g_assert_cmpstr (direct, ==, self);
    g_assert_cmpstr (linked, ==, self);
  }
  remove_tree (root);
}

/* An installation that was moved is still one. */
static void
test_moved (void)
{
  g_autofree char *program = g_build_filename ("/opt/x/y", TERN_BINDIR, "tern", NULL);
  g_autofree char *library = g_build_filename ("/opt/x/y", TERN_LIBDIR, "libtern-1.0.so.0", NULL);
  g_autofree char *root = g_build_filename ("/", TERN_BINDIR, "tern", NULL);
  g_autofree char *wanted = g_build_filename ("/opt/x/y", TERN_DATADIR, "tern", "models", NULL);
  g_autofree char *of_program = tern_model_installed_beside (program);
  g_autofree char *of_library = tern_model_installed_beside (library), *of_root = tern_model_installed_beside (root);

  g_assert_null (tern_model_installed_beside ("/source/build/tools/tern"));
  if (g_path_is_absolute (TERN_BINDIR) || g_path_is_absolute (TERN_LIBDIR) || g_path_is_absolute (TERN_DATADIR))
    return;
  g_assert_cmpstr (of_program, ==, wanted);
  g_assert_cmpstr (of_library, ==, wanted);
  g_assert_cmpstr (of_root, ==, "/" TERN_DATADIR "/tern/models");
}

static void
test_refused (void)
{
  static const char *const none[] = { NULL };
  char *folder = make_folder (none);
  g_autofree char *cut = g_build_filename (folder, "cut.gguf", NULL), *empty = g_build_filename (folder, "0.gguf", NULL);
  g_autofree char *data = NULL;
  gsize size;

  expect_error (params_for ("/nowhere/m.gguf", NULL, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "/nowhere/m.gguf", NULL);
  expect_error (params_for (TEXT_FILE, "/nowhere/p.gguf", TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, "/nowhere/p.gguf", NULL);
  expect_error (params_for (TEXT_FILE, MMPROJ_FILE, 0), TERN_ERROR_INVALID, "parts", "found 0");
  {
    TernModelParams many = params_for (TEXT_FILE, MMPROJ_FILE, TERN_MODEL_FULL);

    many.threads = TERN_THREADS_MAX + 1;
    expect_error (many, TERN_ERROR_INVALID, "threads", "512");
  }
  expect_error (params_for (NARROW_FILE, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_MISMATCH, "128", "256");
  /* The text file as encoder, and the other way round. */
  expect_error (params_for (TEXT_FILE, TEXT_FILE, TERN_MODEL_FULL), TERN_ERROR_UNSUPPORTED, "lfm2", "clip");
  expect_error (params_for (MMPROJ_FILE, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_UNSUPPORTED, "clip", "lfm2");

  g_assert_true (g_file_get_contents (TEXT_FILE, &data, &size, NULL));
  g_assert_true (g_file_set_contents (cut, data, (gssize) size / 2, NULL));
  g_assert_true (g_file_set_contents (empty, "", 0, NULL));
  expect_error (params_for (cut, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_FORMAT, "cut.gguf", NULL);
  expect_error (params_for (empty, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_FORMAT, "0.gguf", NULL);
  g_unlink (cut);
  g_unlink (empty);
  expect_error (params_for (folder, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_NOT_FOUND, folder, "none");
  remove_folder (folder);
}

/* Two files of equal widths, of which the one knows nothing of the other's pictures: refused when both are opened. */
static void
test_families (void)
{
  g_autofree char *root = g_dir_make_tmp ("tern-test-XXXXXX", NULL), *path = put (root, "m.gguf", NULL, TEXT_FILE);
  g_autofree char *data = NULL;
  char *marker;
  gsize size;
  TernModel *text;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  marker = memmem (data, size, "<|image_start|>", 15);
  g_assert_nonnull (marker);
  memcpy (marker, "<|sound_start|>", 15);
  g_assert_true (g_file_set_contents (path, data, (gssize) size, NULL));
  expect_error (params_for (path, MMPROJ_FILE, TERN_MODEL_FULL), TERN_ERROR_UNSUPPORTED, "<|image_start|>", "m.gguf");
  text = open_with (params_for (path, NULL, TERN_MODEL_TEXT));
  tern_model_unref (text);
  remove_tree (root);
}

/* The golden text file with the keys that @add writes, under @root. */
static char *
with_keys (const char *root, const char *name, void (*add) (TernGgufWriter *writer))
{
  char *path = g_build_filename (root, name, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (TEXT_FILE, &error);
  g_autoptr (TernGgufWriter) writer = tern_gguf_writer_new (tern_gguf_alignment (file));

  for (gsize i = 0; i < tern_gguf_n_keys (file); i++)
    tern_gguf_writer_copy_key (writer, tern_gguf_key_record (file, i));
  add (writer);
  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);

    tern_gguf_writer_tensor (writer, tensor->name, tensor->type, tensor->n_dims, tensor->dims, tensor->bytes);
  }
  g_assert_true (tern_gguf_writer_begin (writer, path, &error));
  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);

    g_assert_true (tern_gguf_writer_data (writer, tensor->data, tensor->bytes, &error));
  }
  g_assert_true (tern_gguf_writer_finish (writer, &error));
  return path;
}

static void
add_tasks (TernGgufWriter *writer)
{
  static const char *const labels[] = { "yes", "no" };

  tern_gguf_writer_string (writer, "tern.task.fire.prompt", "Is there fire?");
  tern_gguf_writer_string_array (writer, "tern.task.fire.labels", labels, 2);
  tern_gguf_writer_string (writer, "tern.task.all.prompt", "What is there?");
  tern_gguf_writer_f32 (writer, "tern.label_temperature", 1.5f);
}

static void
add_damaged_task (TernGgufWriter *writer)
{
  tern_gguf_writer_string (writer, "tern.task.fire.labels", "yes");
}

static void
test_tasks (void)
{
  g_autofree char *root = g_dir_make_tmp ("tern-test-XXXXXX", NULL), *good = with_keys (root, "good.gguf", add_tasks);
  g_autofree char *bad = with_keys (root, "bad.gguf", add_damaged_task);
  g_autoptr (TernModel) model = open_with (params_for (good, NULL, TERN_MODEL_TEXT));
  g_autoptr (TernModel) plain = open_model (0), vision = open_with (params_for (NULL, MMPROJ_FILE, TERN_MODEL_VISION));
  const TernTask *tasks;
  guint n = 0;

  tasks = tern_model_tasks (model, &n);
  g_assert_cmpuint (n, ==, 2);
  g_assert_cmpstr (tasks[0].name, ==, "all");
  g_assert_true (tern_model_task (model, "fire") == &tasks[1]);
  g_assert_cmpstr (tasks[1].labels[1], ==, "no");
  g_assert_null (tern_model_task (model, "water"));
  g_assert_cmpfloat (tern_model_text (model)->label_temperature, ==, 1.5);

  tern_model_tasks (plain, &n);
  g_assert_cmpuint (n, ==, 0);
  g_assert_cmpfloat (tern_model_text (plain)->label_temperature, ==, 1);
  tern_model_tasks (vision, &n);
  g_assert_cmpuint (n, ==, 0);
  g_assert_null (tern_model_task (vision, "fire"));

  expect_error (params_for (bad, NULL, TERN_MODEL_TEXT), TERN_ERROR_FORMAT, "bad.gguf", "tern.task.fire.labels");
  remove_tree (root);
}

static const struct {
  const char *name, *problem;   /* NULL: it is good */
  guint n;                      /* of them; 0: as many as there are tokens */
  float first;
} biases[] = {
  { "good.gguf", NULL, 0, 2.5f },
  { "few.gguf", "one for each token", 7, 1 },
  { "large.gguf", "-100 to 100", 0, -101 },
  { "nan.gguf", "-100 to 100", 0, NAN },
};
static guint bias_at, bias_tokens;

static void
add_bias (TernGgufWriter *writer)
{
  guint n = biases[bias_at].n ? biases[bias_at].n : bias_tokens;
  g_autofree float *bias = g_new0 (float, n);

  bias[0] = biases[bias_at].first;
  tern_gguf_writer_f32_array (writer, "tern.token_bias", bias, n);
  add_tasks (writer);
}

/* What a file adds to logits is added to what is said freely, and to no task's and no form's answers. */
static void
test_bias (void)
{
  static const char *const labels[] = { "yes", "no", NULL };
  static const TernQuestion questions[] = { { .prompt = "What happens?" }, { .prompt = "What is there?" },
    { .prompt = "What happens?", .labels = labels }, { .prompt = "What happens?", .grammar = "root ::= \"a\"" } };
  g_autofree char *root = g_dir_make_tmp ("tern-test-XXXXXX", NULL);
  g_autoptr (TernModel) plain = open_model (0);

  g_assert_null (tern_model_text (plain)->token_bias);
  bias_tokens = tern_llm_info (tern_model_text (plain)->llm)->n_vocab;
  for (bias_at = 0; bias_at < G_N_ELEMENTS (biases); bias_at++) {
    g_autofree char *path = with_keys (root, biases[bias_at].name, add_bias);
    g_autoptr (TernModel) model = NULL;

    if (biases[bias_at].problem) {
      expect_error (params_for (path, NULL, TERN_MODEL_TEXT), TERN_ERROR_FORMAT, biases[bias_at].name, biases[bias_at].problem);
      continue;
    }
    model = open_with (params_for (path, NULL, TERN_MODEL_TEXT));
    g_assert_cmpfloat (tern_model_text (model)->token_bias[0], ==, biases[bias_at].first);
    for (guint q = 0; q < G_N_ELEMENTS (questions); q++) {
      TernAnswerForm form;

      g_assert_true (tern_answer_form_init (&form, &questions[q], tern_model_text (model), 8, NULL));
      g_assert_true (form.bias == (q == 0 ? tern_model_text (model)->token_bias : NULL));
      tern_answer_form_clear (&form);
    }
  }
  remove_tree (root);
}

/* Half a model says what it lacks. */
static void
test_halves (void)
{
  g_autoptr (TernModel) vision = open_with (params_for (NULL, MMPROJ_FILE, TERN_MODEL_VISION));
  g_autoptr (TernModel) text = NULL;
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (tern_model_embedding_dim (vision), ==, 256);
  g_assert_null (tern_session_new (vision, &params, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);

  text = open_with (params_for (TEXT_FILE, NULL, TERN_MODEL_TEXT));
  g_assert_null (tern_encoder_new (text, TERN_FIT_CROP, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  {
    g_autoptr (TernSession) session = new_session (text, &params);

    g_assert_false (push_sized (session, 8, 8, 0, 0, 0, 0, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  }
}

int
main (int argc, char **argv)
{
  if (g_strcmp0 (argv[argc - 1], "--own-path") == 0)
    return print_own_path ();
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/facts", test_facts);
  g_test_add_func ("/model/sharing", test_sharing);
  g_test_add_func ("/model/release", test_release);
  g_test_add_func ("/model/replaced", test_replaced);
  g_test_add_func ("/model/folders", test_folders);
  g_test_add_func ("/model/links", test_links);
  g_test_add_func ("/model/others-encoder", test_others_encoder);
  g_test_add_func ("/model/links-between", test_links_between);
  g_test_add_func ("/model/pipes", test_pipes);
  g_test_add_func ("/model/own-path", test_own_path);
  g_test_add_func ("/model/moved", test_moved);
  g_test_add_func ("/model/refused", test_refused);
  g_test_add_func ("/model/families", test_families);
  g_test_add_func ("/model/tasks", test_tasks);
  g_test_add_func ("/model/bias", test_bias);
  g_test_add_func ("/model/halves", test_halves);
  return g_test_run ();
}
