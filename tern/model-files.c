/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/model-files.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

char *
tern_model_real_path (const char *path, GError **error)
{
  char *real = realpath (path, NULL), *copy;
  int failure = errno;

  if (!real) {
    g_set_error (error, TERN_ERROR, failure == ENOENT || failure == ENOTDIR ? TERN_ERROR_NOT_FOUND : TERN_ERROR_READ,
        "%s: %s", path, g_strerror (failure));
    return NULL;
  }
  copy = g_strdup (real);
  free (real);
  return copy;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* GGUF files in @folder, sorted; @mmproj: those whose name begins with mmproj, else those that do not name it at all. */
static GPtrArray *
list (const char *folder, gboolean mmproj, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) failure = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &failure);
  const char *name;

  if (!dir) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: %s", folder, failure->message);
    return NULL;
  }
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *lower = g_ascii_strdown (name, -1);

    if (g_str_has_suffix (lower, ".gguf")
        && (mmproj ? g_str_has_prefix (lower, "mmproj") : strstr (lower, "mmproj") == NULL))
      g_ptr_array_add (names, g_strdup (name));
  }
  g_ptr_array_sort (names, compare_names);
  return g_steal_pointer (&names);
}

/* The one of @names in @folder, or an error that says what is wanted and what there is. */
static char *
only (const char *folder, GPtrArray *names, const char *wanted, const char *hint, GError **error)
{
  g_autoptr (GString) found = g_string_new (NULL);

  if (names->len == 1)
    return g_build_filename (folder, names->pdata[0], NULL);
  for (guint i = 0; i < names->len; i++)
    g_string_append_printf (found, "%s%s", i ? ", " : "", (const char *) names->pdata[i]);
  g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "%s: expected one %s, found %s; %s", folder, wanted,
      names->len ? found->str : "none", hint);
  return NULL;
}

static char *
text_in (const char *folder, GError **error)
{
  g_autoptr (GPtrArray) names = list (folder, FALSE, error);

  return names ? only (folder, names, "*.gguf of a language model", "name the file as model path", error) : NULL;
}

static char *
file_or_folder (const char *path, GError **error)
{
  g_autofree char *found = g_file_test (path, G_FILE_TEST_IS_DIR) ? text_in (path, error) : g_strdup (path);

  return found ? tern_model_real_path (found, error) : NULL;
}

/* In a build folder, this library (or the program it is linked into) stands beside a note that says where the models
 * of the source tree are. */
static char *
build_folder (void)
{
  g_autofree char *self = NULL, *folder = NULL, *note = NULL, *models = NULL;
  Dl_info info;

  if (!dladdr ((const void *) (gsize) &tern_model_find_text, &info) || !info.dli_fname)
    return NULL;
  self = tern_model_real_path (info.dli_fname, NULL);
  if (!self)
    return NULL;
  folder = g_path_get_dirname (self);
  note = g_build_filename (folder, "..", "tern", "bundled-models.path", NULL);
  if (!g_file_get_contents (note, &models, NULL, NULL))
    return NULL;
  g_strstrip (models);
  return g_steal_pointer (&models);
}

char *
tern_model_find_text (const char *model_path, GError **error)
{
  const char *variable = g_getenv ("TERN_MODEL_PATH");
  g_autofree char *build = NULL;
  const char *folders[2] = { NULL, TERN_MODELS_DIR };

  if (model_path)
    return file_or_folder (model_path, error);
  if (variable && *variable) {
    char *found = file_or_folder (variable, error);

    if (!found)
      g_prefix_error (error, "TERN_MODEL_PATH: ");
    return found;
  }

  build = build_folder ();
  folders[0] = build;
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autoptr (GPtrArray) names = folders[i] && *folders[i] ? list (folders[i], FALSE, NULL) : NULL;

    /* A folder without any is passed over, one with several is an error. */
    if (names && names->len > 0)
      return file_or_folder (folders[i], error);
  }
  g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND,
      "no model: no model path is set, TERN_MODEL_PATH is not set, and there is no *.gguf in %s%s%s",
      build ? build : "", build ? " nor in " : "", TERN_MODELS_DIR);
  return NULL;
}

char *
tern_model_find_mmproj (const char *text_path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (text_path);
  g_autoptr (GPtrArray) names = list (folder, TRUE, error);
  g_autofree char *found = NULL;

  found = names ? only (folder, names, "mmproj*.gguf beside the language model", "name the file as mmproj path", error)
      : NULL;
  return found ? tern_model_real_path (found, error) : NULL;
}
