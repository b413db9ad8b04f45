/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models in several files, as llama.cpp's converters and gguf-split write them: NAME-00001-of-00003.gguf has all keys, and every
 * part a directory of its own tensors. Once joined it is as one file: keys that say how it was cut are gone, tensors stand one
 * part's behind the other's, each in the map of its part. */
#include "engine/weights/gguf-private.h"

#include <string.h>
#include <sys/stat.h>

#include "tern/error.h"

#define SUFFIX "-%05u-of-%05u.gguf"

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static gboolean
take_number (const char **at, guint digits, guint *value)
{
  *value = 0;
  for (guint i = 0; i < digits; i++, (*at)++) {
    if (!g_ascii_isdigit (**at))
      return FALSE;
    *value = *value * 10 + (guint) g_ascii_digit_value (**at);
  }
  return TRUE;
}

guint
tern_gguf_part_of_name (const char *path)
{
  gsize tail = strlen ("-00001-of-00003.gguf"), len = strlen (path);
  const char *at = len >= tail ? path + len - tail : "";
  guint part, n;

  if (*at++ == '-' && take_number (&at, 5, &part) && g_str_has_prefix (at, "-of-") && (at += strlen ("-of-"))
      && take_number (&at, 5, &n) && g_ascii_strcasecmp (at, ".gguf") == 0 && part <= n)
    return part;
  return 0;
}

/* What the names of all parts begin with; NULL + FORMAT: that of the first one does not end as it must. */
static char *
prefix_of (const TernGguf *file, GError **error)
{
  g_autofree char *suffix = g_strdup_printf (SUFFIX, 1u, file->n_parts);

  if (g_str_has_suffix (file->path, suffix))
    return g_strndup (file->path, strlen (file->path) - strlen (suffix));
  tern_gguf_bad_key (file, "split.count", error, "expected the first of %u parts, beside the others and with a name that ends in "
      "%s, found another name", file->n_parts, suffix);
  return NULL;
}

/* ---- Joining ----------------------------------------------------------------------------------------------------- */

static gboolean
check_first (const TernGguf *file, GError **error)
{
  if (file->part == 0)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key split.no: expected the first of %u parts, whose name ends in "
      SUFFIX ", found part %u", file->path, file->n_parts, 1u, file->n_parts, file->part + 1);
  return FALSE;
}

/* Opens part @i from 0, which is to be that. */
static gboolean
open_part (TernGguf *file, const char *prefix, guint i, GError **error)
{
  g_autofree char *path = g_strdup_printf ("%s" SUFFIX, prefix, i + 1, file->n_parts);
  TernGguf *part = tern_gguf_open_one (path, error);

  if (!part) {
    g_prefix_error (error, "part %u of %u: ", i + 1, file->n_parts);
    return FALSE;
  }
  g_ptr_array_add (file->parts, part);
  if (part->part == i && part->n_parts == file->n_parts)
    return TRUE;
  return tern_gguf_bad_key (part, "split.no", error, "expected part %u of %u, found part %u of %u", i + 1, file->n_parts,
      part->part + 1, part->n_parts);
}

/* Moves the tensors of all parts into the first one's list. */
static gboolean
join_tensors (TernGguf *file, GError **error)
{
  gsize n = file->n_tensors;
  guint32 said;

  for (guint i = 0; i < file->parts->len; i++)
    n += ((TernGguf *) file->parts->pdata[i])->n_tensors;
  if (n > G_MAXUINT32 || !tern_gguf_u32_or (file, "split.tensors.count", 0, G_MAXUINT32, (guint32) n, &said, error))
    return FALSE;
  if (said != n)
    return tern_gguf_bad_key (file, "split.tensors.count", error, "expected the %" G_GSIZE_FORMAT " tensors of all parts, found %u",
        n, said);
  file->tensors = g_renew (TernTensor, file->tensors, MAX (n, 1));
  for (guint i = 0; i < file->parts->len; i++) {
    TernGguf *part = file->parts->pdata[i];

    for (gsize t = 0; t < part->n_tensors; t++) {
      file->tensors[file->n_tensors] = part->tensors[t];
      file->tensors[file->n_tensors++].part = i + 1;
    }
    part->n_tensors = 0;        /* their names are the whole's now */
  }
  return tern_gguf_sort_tensors (file, error);
}

gboolean
tern_gguf_join (TernGguf *file, GError **error)
{
  g_autofree char *prefix = NULL;

  if (!check_first (file, error) || !(prefix = prefix_of (file, error)))
    return FALSE;
  file->parts = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_gguf_unref);
  for (guint i = 1; i < file->n_parts; i++)
    if (!open_part (file, prefix, i, error))
      return FALSE;
  if (!join_tensors (file, error))
    return FALSE;
  tern_gguf_drop_keys (file, "split.");
  return TRUE;
}

/* ---- Looking ----------------------------------------------------------------------------------------------------- */

guint
tern_gguf_n_parts (const TernGguf *file)
{
  return file->parts ? file->parts->len + 1 : 1;
}

const TernGguf *
tern_gguf_part (const TernGguf *file, guint i)
{
  return i == 0 ? file : file->parts->pdata[i - 1];
}

guint64
tern_gguf_place (const TernGguf *file, const guint8 *data)
{
  guint64 before = 0;

  for (guint i = 0; i < tern_gguf_n_parts (file); i++) {
    const TernMap *map = &tern_gguf_part (file, i)->map;

    if (data >= map->data && data < map->data + map->size)
      return before + (guint64) (data - map->data);
    before += map->size;
  }
  g_return_val_if_reached (G_MAXUINT64);
}

gboolean
tern_gguf_check_out (const TernGguf *file, const char *out, GError **error)
{
  guint n = tern_gguf_n_parts (file);
  struct stat part, other;

  if (n == 1 || stat (out, &other) != 0)
    return TRUE;
  for (guint i = 0; i < n; i++)
    if (stat (tern_gguf_path (tern_gguf_part (file, i)), &part) == 0 && part.st_dev == other.st_dev
        && part.st_ino == other.st_ino) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected another file than those of the model that is read, found"
          " part %u of %u of it", out, i + 1, n);
      return FALSE;
    }
  return TRUE;
}
