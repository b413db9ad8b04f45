/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-output.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tools/output.h"
#include "tools/source.h"
#include "tools/tool.h"

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

/* Devices and pipes can be written to again, and an empty file has nothing to lose. */
static gboolean
would_be_lost (const TernCaptionOutput *out, const char *path)
{
  struct stat info;

  return !out->overwrite && stat (path, &info) == 0 && S_ISREG (info.st_mode) && info.st_size > 0;
}

static const char *
lines_name (const TernCaptionOutput *out)
{
  return out->path ? out->path : "standard output";
}

static gboolean
open_lines (TernCaptionOutput *out)
{
  out->lines = stdout;
  if (!out->path)
    return TRUE;
  if (would_be_lost (out, out->path)) {
    out->lines = NULL;
    tern_tool_message ("%s: expected a new file, found that it is there already; --overwrite replaces it", out->path);
    return FALSE;
  }
  out->lines = g_fopen (out->path, "we");
  if (!out->lines)
    tern_tool_message ("%s: expected a file that can be written, found that it cannot: %s", out->path,
        g_strerror (errno));
  return out->lines != NULL;
}

static gboolean
open_folder (const char *path)
{
  if (g_mkdir_with_parents (path, 0777) == 0 && g_access (path, W_OK | X_OK) == 0)
    return TRUE;
  tern_tool_message ("%s: expected a folder that can be written, found that it cannot: %s", path, g_strerror (errno));
  return FALSE;
}

gboolean
tern_caption_output_open (TernCaptionOutput *out)
{
  out->cues = g_string_new (NULL);
  out->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return out->subtitles ? open_folder (out->path) : open_lines (out);
}

gboolean
tern_caption_output_close (TernCaptionOutput *out)
{
  gboolean good = !out->lines || out->lines == stdout || fclose (out->lines) == 0;

  if (!good)
    tern_tool_message ("%s: %s", lines_name (out), g_strerror (errno));
  if (out->cues)
    g_string_free (out->cues, TRUE);
  g_clear_pointer (&out->names, g_hash_table_unref);
  g_free (out->file);
  return good;
}

/* ---- Subtitle files ---------------------------------------------------------------------------------------------- */

/* What the file is named after: a URL's last part, without its query. */
static char *
base_name (const char *source)
{
  g_autofree char *plain = NULL;

  if (g_str_equal (source, "-"))
    return g_strdup ("stdin");
  if (!tern_source_is_address (source))
    return g_path_get_basename (source);
  plain = g_strndup (source, strcspn (source, "?#"));
  return g_path_get_basename (plain);
}

/* @stem and @suffix within the bytes that a name may have, cut between two letters. */
static char *
fit_name (const char *stem, const char *suffix, gsize most)
{
  gsize length = strlen (stem), room = most > strlen (suffix) ? most - strlen (suffix) : 1;

  if (length > room) {
    length = room;
    while (length > 1 && ((guchar) stem[length] & 0xc0) == 0x80)
      length--;
  }
  return g_strdup_printf ("%.*s%s", (int) length, stem, suffix);
}

/* video.srt; video.mp4.srt, video.mp4-2.srt, ... when another input has taken the name. */
static char *
subtitle_path (TernCaptionOutput *out, const char *source)
{
  g_autofree char *name = base_name (source), *stem = g_strdup (name), *file = NULL;
  const char *suffix = tern_subtitles_suffix (out->kind);
  long limit = pathconf (out->path, _PC_NAME_MAX);
  gsize most = limit > 16 ? limit : 255;
  char *dot = strrchr (stem, '.');

  if (dot && dot != stem)
    *dot = 0;
  file = fit_name (stem, suffix, most);
  for (guint i = 1; !g_hash_table_add (out->names, g_strdup (file)); i++) {
    g_autofree char *counted = i == 1 ? g_strdup (suffix) : g_strdup_printf ("-%u%s", i, suffix);

    g_free (file);
    file = fit_name (name, counted, most);
  }
  return g_build_filename (out->path, file, NULL);
}

gboolean
tern_caption_output_begin (TernCaptionOutput *out, const char *source, GError **error)
{
  if (!out->subtitles)
    return TRUE;
  g_free (out->file);
  out->file = subtitle_path (out, source);
  out->n_cues = 0;
  g_string_truncate (out->cues, 0);
  tern_subtitles_head (out->kind, out->cues);
  if (!would_be_lost (out, out->file))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected a new file for the subtitles of %s, found that it is there "
      "already; --overwrite replaces it", out->file, source);
  return FALSE;
}

gboolean
tern_caption_output_end (TernCaptionOutput *out, GError **error)
{
  TernOutput *output;

  if (!out->subtitles)
    return TRUE;
  output = tern_output_open (out->file, error);
  if (!output)
    return FALSE;
  if (tern_output_write (output, out->cues->str, out->cues->len, error))
    return tern_output_commit (output, error);
  tern_output_discard (output);
  return FALSE;
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

static void
write_line (TernCaptionOutput *out, const char *line)
{
  if (fprintf (out->lines, "%s\n", line) >= 0 && fflush (out->lines) == 0)
    return;
  if (errno != EPIPE)           /* whoever read has what they wanted */
    tern_tool_message ("%s: %s", lines_name (out), g_strerror (errno));
  out->closed = TRUE;
}

/* A window is over where its end is; players count a cue's last millisecond in. Beside other windows the next cue takes
 * over there. A picture that stands alone is gone a millisecond earlier, so that none of its cue is left on the next. */
static double
cue_end (const TernResult *result)
{
  return result->frames == 1 ? result->end - 0.001 : result->end;
}

gboolean
tern_caption_output_take (TernCaptionOutput *out, TernResult *result)
{
  gboolean good = !g_str_equal (result->kind, "error");

  result->id = out->results++;  /* of this run, not of this file */
  if (out->subtitles) {
    if (good && tern_subtitles_cue (out->kind, out->n_cues + 1, result->start, cue_end (result), result->result, out->cues))
      out->n_cues++;
  } else if (!out->closed) {
    g_autofree char *line = tern_result_to_json (result);

    tern_caption_output_clear_progress (out);
    write_line (out, line);
  }
  tern_result_unref (result);
  return good;
}

/* ---- Progress ---------------------------------------------------------------------------------------------------- */

void
tern_caption_output_clear_progress (TernCaptionOutput *out)
{
  if (out->shown)
    fputs ("\r\033[K", stderr);
  out->shown = 0;
}

void
tern_caption_output_progress (TernCaptionOutput *out, const char *source, guint input, guint n_inputs, guint64 pts,
    guint64 duration)
{
  gint64 now = g_get_monotonic_time ();

  if (!isatty (STDERR_FILENO) || (out->shown && now - out->shown < G_USEC_PER_SEC / 5))
    return;
  out->shown = now;
  fprintf (stderr, "\r\033[K[%u/%u] %s", input + 1, n_inputs, source);
  if (duration != TERN_TIME_NONE)
    fprintf (stderr, " %.0f of %.0f s", pts / 1e9, duration / 1e9);
  fflush (stderr);
}
