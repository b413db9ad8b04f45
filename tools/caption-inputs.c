/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-inputs.h"

#include <string.h>

#include "tools/tool.h"

#define DEPTH_MAX 64
#define EXAMPLES 3

/* A file with such a name that cannot be read is damaged. What is in a file decides whether it is looked at; suffixes that
 * other trades use too (.ts, .mod, .dat) are therefore not among them. */
static const char *const suffixes[] = {
  "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "avif", "heic", "heif",
  "psd", "jxl", "jp2", "dng", "cr2", "cr3", "nef", "arw",
  "mp4", "m4v", "mov", "mkv", "webm", "avi", "divx", "mpg", "mpeg", "vob", "m2ts", "mts", "m2t", "flv", "f4v", "ogv", "wmv",
  "asf", "3gp", "3g2", "y4m", "h264", "264", "h265", "265", "hevc", "m2v", "mjpeg", "mjpg", "mxf", "lrv", "insv",
};

static gboolean
has_media_name (const char *path)
{
  const char *dot = strrchr (path, '.');

  for (guint i = 0; dot && i < G_N_ELEMENTS (suffixes); i++)
    if (g_ascii_strcasecmp (dot + 1, suffixes[i]) == 0)
      return TRUE;
  return FALSE;
}

static int
by_name (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
pass (TernCaptionFolder *folder, const char *path)
{
  g_autofree char *name = g_path_get_basename (path);

  if (folder->passed++ < EXAMPLES)
    g_string_append_printf (folder->examples, "%s%s", folder->examples->len ? ", " : "", name);
}

static gboolean
add_folder (TernCaptionInputs *inputs, TernCaptionFolder *folder, const char *path, guint depth)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &error);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  gboolean ok = TRUE;
  const char *name;

  if (!dir) {
    tern_tool_message ("%s", error->message);
    return FALSE;
  }
  while ((name = g_dir_read_name (dir)))
    if (name[0] != '.')
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, by_name);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *entry = g_build_filename (path, names->pdata[i], NULL);

    if (g_file_test (entry, G_FILE_TEST_IS_DIR)) {
      /* Links to folders may lead in circles. */
      if (depth < DEPTH_MAX && !g_file_test (entry, G_FILE_TEST_IS_SYMLINK))
        ok = add_folder (inputs, folder, entry, depth + 1) && ok;
      continue;
    }
    folder->files++;
    if (g_file_test (entry, G_FILE_TEST_IS_REGULAR)) {
      TernCaptionInput input = { g_steal_pointer (&entry), folder };

      g_array_append_val (inputs->inputs, input);
    } else {                    /* a FIFO or a device may have no end */
      pass (folder, entry);
    }
  }
  return ok;
}

static void
input_clear (void *data)
{
  g_free (((TernCaptionInput *) data)->path);
}

static void
folder_free (void *data)
{
  TernCaptionFolder *folder = data;

  g_free (folder->path);
  g_string_free (folder->examples, TRUE);
  g_free (folder);
}

TernCaptionInputs *
tern_caption_inputs (char **operands, guint *failed)
{
  TernCaptionInputs *inputs = g_new0 (TernCaptionInputs, 1);

  inputs->inputs = g_array_new (FALSE, FALSE, sizeof (TernCaptionInput));
  g_array_set_clear_func (inputs->inputs, input_clear);
  inputs->folders = g_ptr_array_new_with_free_func (folder_free);
  for (; *operands; operands++) {
    TernCaptionFolder *folder;

    if (!g_file_test (*operands, G_FILE_TEST_IS_DIR)) {
      TernCaptionInput input = { g_strdup (*operands), NULL };

      g_array_append_val (inputs->inputs, input);
      continue;
    }
    folder = g_new0 (TernCaptionFolder, 1);
    folder->path = g_strdup (*operands);
    folder->examples = g_string_new (NULL);
    g_ptr_array_add (inputs->folders, folder);
    if (!add_folder (inputs, folder, *operands, 0))
      ++*failed;
  }
  return inputs;
}

void
tern_caption_inputs_free (TernCaptionInputs *inputs)
{
  g_array_unref (inputs->inputs);
  g_ptr_array_unref (inputs->folders);
  g_free (inputs);
}

gboolean
tern_caption_input_pass (TernCaptionInput *input)
{
  if (!input->folder || has_media_name (input->path))
    return FALSE;
  pass (input->folder, input->path);
  return TRUE;
}

void
tern_caption_inputs_report (const TernCaptionInputs *inputs, guint *failed)
{
  for (guint i = 0; i < inputs->folders->len; i++) {
    const TernCaptionFolder *folder = inputs->folders->pdata[i];

    if (folder->passed)
      tern_tool_message ("%s: %u file%s passed over, neither picture nor video: %s%s", folder->path, folder->passed,
          folder->passed == 1 ? "" : "s", folder->examples->str, folder->passed > EXAMPLES ? ", ..." : "");
    if (folder->passed == folder->files) {
      tern_tool_message ("%s: expected pictures or videos in this folder, found none", folder->path);
      ++*failed;
    }
  }
}
