/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-series.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tools/caption-tar.h"
#include "tools/output.h"
#include "tools/tool.h"

#define TAR "tar"               /* mark of the journal: number of the tar file at hand, and where its samples begin */
#define DIGITS_MOST 20          /* of a number of 64 bits */

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static const char *
last_part (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash ? slash + 1 : path;
}

/* Where the number stands, four letters long, and its width. */
static const char *
place_of (const char *path, int *width)
{
  const char *p = strchr (last_part (path), '%');

  if (!p || p[1] != '0' || p[2] < '1' || p[2] > '9' || p[3] != 'd' || strchr (p + 4, '%'))
    return NULL;
  *width = p[2] - '0';
  return p;
}

gboolean
tern_caption_series_is_meant (const char *path)
{
  return strchr (last_part (path), '%') != NULL;
}

gboolean
tern_caption_series_is_right (const char *path)
{
  int width = 0;

  return place_of (path, &width) != NULL;
}

char *
tern_caption_series_of_shard (const char *pattern, guint shard, guint shards)
{
  g_autofree char *largest = g_strdup_printf ("%u", shards - 1);
  int width = 0;
  const char *place = place_of (pattern, &width);

  return g_strdup_printf ("%.*s%0*u-%s", (int) (place - pattern), pattern, (int) strlen (largest), shard, place);
}

static char *
name_of (const char *pattern, guint64 number)
{
  int width = 0;
  const char *place = place_of (pattern, &width);

  return g_strdup_printf ("%.*s%0*" G_GUINT64_FORMAT "%s", (int) (place - pattern), pattern, width, number, place + 4);
}

/* Whether a file called @name is one of the series, and which: its number would be written just so. */
static gboolean
is_of_series (const char *pattern, const char *name, guint64 *number)
{
  int width = 0;
  const char *part = last_part (pattern), *place = place_of (pattern, &width);
  gsize before = place - part, digits;
  char text[DIGITS_MOST + 1] = "";
  g_autofree char *same = NULL;

  if (strncmp (name, part, before) != 0)
    return FALSE;
  digits = strspn (name + before, "0123456789");
  if (digits == 0 || digits > DIGITS_MOST)
    return FALSE;
  memcpy (text, name + before, digits);
  if (!g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT64, number, NULL))
    return FALSE;
  same = name_of (pattern, *number);
  return g_str_equal (last_part (same), name);
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

GPtrArray *
tern_caption_series_find (const char *pattern, guint64 from)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *folder = g_path_get_dirname (pattern);
  GDir *dir = g_dir_open (folder, 0, NULL);     /* whoever cannot be read here cannot be written either, and says so */
  const char *name;
  guint64 number;

  while (dir && (name = g_dir_read_name (dir)))
    if (is_of_series (pattern, name, &number) && number >= from)
      g_ptr_array_add (paths, name_of (pattern, number));
  if (dir)
    g_dir_close (dir);
  return paths;
}

/* @lose: what is in them may go. */
static gboolean
remove_tars (const char *pattern, guint64 from, gboolean lose)
{
  g_autoptr (GPtrArray) paths = tern_caption_series_find (pattern, from);
  struct stat info;

  for (guint i = 0; i < paths->len; i++) {
    const char *path = paths->pdata[i];

    if (lstat (path, &info) < 0 || !S_ISREG (info.st_mode)) {
      tern_tool_message ("%s: expected a tar file or none under a name of --output, found something else", path);
      return FALSE;
    }
    if (!lose && info.st_size > 0) {
      tern_tool_message ("%s: expected new tar files, found that it is there already; --overwrite replaces the whole series", path);
      return FALSE;
    }
  }
  for (guint i = 0; i < paths->len; i++)
    if (g_unlink (paths->pdata[i]) < 0) {
      tern_tool_message ("%s: expected that it can be replaced, found that it cannot: %s", (char *) paths->pdata[i],
          g_strerror (errno));
      return FALSE;
    }
  return TRUE;
}

static gboolean
read_mark (TernCaptionOutput *out)
{
  const char *mark = tern_journal_marked (out->journal, TAR);

  if (*mark && sscanf (mark, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &out->tar_number, &out->tar_start) != 2)
    return FALSE;
  out->tar_samples = tern_journal_made_since (out->journal, TAR);
  return out->tar_start <= tern_journal_end (out->journal);
}

gboolean
tern_caption_series_open (TernCaptionOutput *out)
{
  gboolean begun = out->journal && !tern_journal_is_new (out->journal);

  if (begun && !read_mark (out)) {
    tern_tool_message ("%s: expected a journal that says which tar file was at hand, found %s", out->path,
        tern_journal_marked (out->journal, TAR));
    return FALSE;
  }
  out->tar = name_of (out->path, out->tar_number);
  return remove_tars (out->path, begun ? out->tar_number + 1 : 0, begun || out->overwrite);
}

/* ---- The next one ------------------------------------------------------------------------------------------------ */

static gboolean
fail (const char *path, int errsv, GError **error)
{
  g_set_error (error, TERN_ERROR, errsv == ENOSPC || errsv == EDQUOT ? TERN_ERROR_NO_SPACE : TERN_ERROR_READ,
      "%s: expected a tar file that can be written, found that it cannot: %s", path, g_strerror (errsv));
  return FALSE;
}

static gboolean
is_full (const TernCaptionOutput *out)
{
  return out->bytes > out->tar_start && (out->tar_samples >= out->samples_most || out->bytes - out->tar_start >= out->bytes_most);
}

/* All of it, and the journal's lines of it, are on the disk before another one is begun: what a run that is ended later has
 * to cut is in the last one alone. */
static gboolean
end_this (TernCaptionOutput *out, GError **error)
{
  if (!tern_caption_tar_end (out->lines))
    return fail (out->tar, errno, error);
  return !out->journal || (tern_caption_output_sync (out, error) && tern_journal_commit (out->journal, error));
}

static void
take_next (TernCaptionOutput *out, char *path, FILE *file)
{
  g_autofree char *mark = NULL;

  out->lines = file;
  g_free (out->tar);
  out->tar = path;
  out->tar_number++;
  out->tar_start = out->bytes;
  out->tar_samples = 0;
  if (!out->journal)
    return;
  tern_output_sync_folder (out->tar);
  mark = g_strdup_printf ("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, out->tar_number, out->tar_start);
  tern_journal_mark (out->journal, TAR, mark);
}

gboolean
tern_caption_series_make_room (TernCaptionOutput *out, GError **error)
{
  g_autofree char *next = NULL, *before = NULL;
  FILE *file, *ended = out->lines;

  if (!out->series || !is_full (out))
    return TRUE;
  if (!end_this (out, error))
    return FALSE;
  next = name_of (out->path, out->tar_number + 1);
  file = g_fopen (next, "we");
  if (!file)
    return fail (next, errno, error);
  before = g_strdup (out->tar);
  take_next (out, g_steal_pointer (&next), file);
  if (fclose (ended) == 0)
    return TRUE;
  out->closed = TRUE;           /* some file systems say only now that there was no room */
  return fail (before, errno, error);
}
