/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-inputs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/batch-list.h"
#include "tools/batch-names.h"
#include "tools/batch-tar.h"
#include "tools/container.h"
#include "tools/fnv.h"
#include "tools/source.h"
#include "tools/tool.h"

struct _TernCaptionInputs {
  GHashTable *files;            /* hashes of device and number; of files that are named */
  GPtrArray *folders;           /* char *, without links */
  gboolean open;                /* names come later */
};

static gpointer
hash_of (const struct stat *info)
{
  const guint64 which[] = { info->st_dev, info->st_ino };

  return GSIZE_TO_POINTER (tern_fnv_on (TERN_FNV_START, which, sizeof which) | 1);
}

/* One that is not there, or no file, can lose nothing. */
static gboolean
add (const char *name, void *data)
{
  TernCaptionInputs *inputs = data;
  struct stat info;
  char *real;

  if (stat (name, &info) < 0)
    return TRUE;
  if (S_ISREG (info.st_mode))
    g_hash_table_add (inputs->files, hash_of (&info));
  else if (S_ISDIR (info.st_mode) && (real = realpath (name, NULL)))
    g_ptr_array_add (inputs->folders, real);
  return TRUE;
}

TernCaptionInputs *
tern_caption_inputs_new (char **operands, const char *files_from)
{
  TernCaptionInputs *inputs = g_new0 (TernCaptionInputs, 1);
  struct stat info;
  int fd;

  inputs->files = g_hash_table_new (NULL, NULL);
  inputs->folders = g_ptr_array_new_with_free_func (free);      /* of realpath() */
  for (; *operands; operands++)
    add (*operands, inputs);
  if (!files_from)
    return inputs;
  inputs->open = g_str_equal (files_from, "-") || stat (files_from, &info) < 0 || !S_ISREG (info.st_mode);
  fd = inputs->open ? -1 : open (files_from, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {                /* what is wrong with it is told when it is read for good */
    g_free (tern_batch_names_read (fd, add, inputs));
    close (fd);
  }
  return inputs;
}

void
tern_caption_inputs_free (TernCaptionInputs *inputs)
{
  if (!inputs)
    return;
  g_hash_table_unref (inputs->files);
  g_ptr_array_unref (inputs->folders);
  g_free (inputs);
}

gboolean
tern_caption_inputs_are_open (const TernCaptionInputs *inputs)
{
  return inputs->open;
}

/* What neither says of itself what it is nor has the name of one is looked at in vain, as a rule. */
static gboolean
is_media (const char *path)
{
  g_autoptr (TernSource) source = tern_source_open (path, FALSE, NULL);
  TernFileKind kind = { TERN_FILE_OTHER, NULL, NULL };

  if (source)
    kind = tern_file_kind (source);
  return kind.type == TERN_FILE_UNKNOWN ? tern_batch_has_media_name (path) : kind.type != TERN_FILE_OTHER;
}

static gboolean
is_in_folders (const TernCaptionInputs *inputs, const char *path)
{
  char *real = inputs->folders->len ? realpath (path, NULL) : NULL;
  gboolean found = FALSE;

  for (guint i = 0; real && i < inputs->folders->len && !found; i++)
    found = tern_tool_below (real, inputs->folders->pdata[i]) != NULL;
  free (real);
  return found;
}

gboolean
tern_caption_inputs_have (const TernCaptionInputs *inputs, const char *path)
{
  struct stat info;

  return stat (path, &info) == 0 && g_hash_table_contains (inputs->files, hash_of (&info));
}

gboolean
tern_caption_inputs_may_have (const TernCaptionInputs *inputs, const char *path)
{
  struct stat info;

  if (stat (path, &info) < 0 || !S_ISREG (info.st_mode) || info.st_size == 0)
    return FALSE;
  if (tern_caption_inputs_have (inputs, path) || (inputs->open && tern_batch_is_tar (path)))
    return TRUE;
  return (inputs->open || is_in_folders (inputs, path)) && is_media (path);
}
