/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "engine/base/json.h"
#include "tools/caption-series.h"
#include "tools/caption-tar.h"
#include "tools/fnv.h"
#include "tools/output.h"
#include "tools/source.h"
#include "tools/subtitles.h"
#include "tools/tool.h"

#define MAKING "making"          /* mark of the journal: the copy that was made when a run was ended */

/* ---- Formats ----------------------------------------------------------------------------------------------------- */

static const char *const formats[] = { "jsonl", "metadata", "webdataset", "srt", "vtt", "txt", "mux" };

gboolean
tern_caption_format_parse (const char *text, TernCaptionFormat *format)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    if (g_str_equal (text, formats[i])) {
      *format = i;
      return TRUE;
    }
  return FALSE;
}

gboolean
tern_caption_output_takes_parts (const TernCaptionOutput *out)
{
  return out->format != TERN_CAPTION_WEBDATASET;        /* it would be there a second time when it is tried again */
}

gboolean
tern_caption_output_is_files (const TernCaptionOutput *out)
{
  return out->format >= TERN_CAPTION_SRT;
}

gboolean
tern_caption_output_is_subtitles (const TernCaptionOutput *out)
{
  return out->format == TERN_CAPTION_SRT || out->format == TERN_CAPTION_VTT || out->format == TERN_CAPTION_MUX;
}

static TernSubtitles
subtitles (const TernCaptionOutput *out)
{
  return out->format == TERN_CAPTION_VTT ? TERN_SUBTITLES_VTT : TERN_SUBTITLES_SRT;
}

void
tern_caption_output_refuse_still (const TernCaptionOutput *out, const char *name)
{
  tern_tool_message ("caption: %s: expected a video for --format %s, found a still", name, formats[out->format]);
}

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
  return out->tar ? out->tar : out->path && !out->standard ? out->path : "standard output";
}

static gboolean
cannot_be_written (const TernCaptionOutput *out, int errsv)
{
  tern_tool_message ("%s: expected a file that can be written, found that it cannot: %s", lines_name (out), g_strerror (errsv));
  return FALSE;
}

/* Goes on behind what the journal says is whole. */
static gboolean
continue_lines (TernCaptionOutput *out)
{
  guint64 end = tern_journal_end (out->journal) - out->tar_start;
  struct stat info;
  int fd = open (lines_name (out), O_RDWR | O_CREAT | O_CLOEXEC, 0666);

  if (fd < 0 || fstat (fd, &info) < 0)
    return cannot_be_written (out, errno);
  if ((guint64) info.st_size < end || !S_ISREG (info.st_mode)) {
    tern_tool_message ("%s: expected the %" G_GUINT64_FORMAT " bytes of the runs before, as the journal says, found %" G_GUINT64_FORMAT
        "; without the journal they are made again", lines_name (out), end, (guint64) info.st_size);
    close (fd);
    return FALSE;
  }
  if (((guint64) info.st_size > end && ftruncate (fd, end) < 0) || lseek (fd, end, SEEK_SET) < 0 || !(out->lines = fdopen (fd, "w")))
    return cannot_be_written (out, errno);
  out->bytes = out->start = out->tar_start + end;
  out->results = tern_journal_results (out->journal);
  return TRUE;
}

static gboolean
open_lines (TernCaptionOutput *out)
{
  gboolean begun = out->journal && !tern_journal_is_new (out->journal);

  out->lines = stdout;
  if (!out->path || out->standard)
    return TRUE;
  out->lines = NULL;
  if (out->series && !tern_caption_series_open (out))
    return FALSE;
  if (!begun && would_be_lost (out, lines_name (out))) {
    tern_tool_message ("%s: expected a new file, found that it is there already; --overwrite replaces it", out->path);
    return FALSE;
  }
  if (begun)
    return continue_lines (out);
  out->lines = g_fopen (lines_name (out), "we");
  return out->lines || cannot_be_written (out, errno);
}

static gboolean
open_folder (const char *path)
{
  if (g_mkdir_with_parents (path, 0777) == 0 && g_access (path, W_OK | X_OK) == 0)
    return TRUE;
  tern_tool_message ("%s: expected a folder that can be written, found that it cannot: %s", path, g_strerror (errno));
  return FALSE;
}

static void
clear_cue (gpointer data)
{
  g_free (((TernCue *) data)->text);
}

gboolean
tern_caption_output_open (TernCaptionOutput *out)
{
  out->text = g_string_new (NULL);
  out->said = g_ptr_array_new_with_free_func (g_free);
  out->cues = g_array_new (FALSE, FALSE, sizeof (TernCue));
  g_array_set_clear_func (out->cues, clear_cue);
  out->names = g_hash_table_new (NULL, NULL);
  if (!tern_caption_output_is_files (out) || out->standard)
    return open_lines (out);
  return out->place == TERN_CAPTION_BESIDE || open_folder (out->path);
}

/* What stands behind the last whole sample goes, what found no room yet too. */
static gboolean
cut_tar (TernCaptionOutput *out)
{
  off_t end = out->bytes - out->tar_start;

  __fpurge (out->lines);
  return ftruncate (fileno (out->lines), end) == 0 && fseeko (out->lines, end, SEEK_SET) == 0;
}

/* Readers find an end, which another run that goes on takes away again. Of a series that had just begun its next tar file
 * none without samples stays. */
static gboolean
end_tar (TernCaptionOutput *out)
{
  if (out->tar_number > 0 && out->bytes == out->tar_start)
    return g_unlink (out->tar) == 0;
  return cut_tar (out) && tern_caption_tar_end (out->lines);
}

gboolean
tern_caption_output_close (TernCaptionOutput *out)
{
  gboolean ended = out->format != TERN_CAPTION_WEBDATASET || !out->lines || end_tar (out);
  gboolean good = (!out->lines || out->lines == stdout || fclose (out->lines) == 0) && ended;

  if (!good)
    tern_tool_message ("%s: %s", lines_name (out), g_strerror (errno));
  if (out->text)
    g_string_free (out->text, TRUE);
  g_clear_pointer (&out->said, g_ptr_array_unref);
  g_clear_pointer (&out->cues, g_array_unref);
  g_clear_pointer (&out->names, g_hash_table_unref);
  tern_caption_twins_clear (&out->twins);
  g_free (out->file);
  g_free (out->source_bytes);
  g_free (out->tar);
  return good;
}

/* ---- Names of files ---------------------------------------------------------------------------------------------- */

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

/* The folder of @input's file. */
static char *
folder_of (const TernCaptionOutput *out, const TernBatchInput *input)
{
  g_autofree char *below = NULL;

  if (out->place == TERN_CAPTION_BESIDE)
    return g_path_get_dirname (input->path);
  if (out->place == TERN_CAPTION_FLAT || !input->folder)
    return g_strdup (out->path);
  below = g_path_get_dirname (input->key);
  return g_build_filename (out->path, below, NULL);
}

/* ".srt", ".en.srt"; of a copy beside its film ".captions.mkv" */
static char *
suffix_of (const TernCaptionOutput *out, const char *source)
{
  if (out->format == TERN_CAPTION_MUX)
    return g_strconcat (out->place == TERN_CAPTION_BESIDE ? ".captions" : "", tern_mux_suffix (source), NULL);
  return out->language ? g_strdup_printf (".%s.%s", out->language, formats[out->format])
      : g_strdup_printf (".%s", formats[out->format]);
}

static char *
nth_path (TernCaptionOutput *out, const TernBatchInput *input, guint n)
{
  g_autofree char *folder = folder_of (out, input), *name = base_name (input->path), *suffix = suffix_of (out, input->path), *file = NULL;
  g_autofree char *counted = n < 2 ? g_strdup (suffix) : g_strdup_printf ("-%u%s", n, suffix);
  long limit = pathconf (folder, _PC_NAME_MAX);
  char *dot = strrchr (name, '.');

  if (n == 0 && dot && dot != name && !(out->parted && (input->fd >= 0 || tern_caption_twins_have (&out->twins, input->path))))
    *dot = 0;
  file = fit_name (name, counted, limit > 16 ? limit : 255);
  return g_build_filename (folder, file, NULL);
}

static gpointer
hash_of (const char *path)
{
  return GSIZE_TO_POINTER (tern_fnv (path, strlen (path)) | 1);
}

/* The film itself, by another name perhaps. */
static gboolean
is_same_file (const char *a, const char *b)
{
  struct stat one, other;

  return stat (a, &one) == 0 && stat (b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Another input has @path, or may have it. What was made of @input before is its own, and copies beside films are passed over
 * unless they are named. */
static gboolean
is_of_other (const TernCaptionOutput *out, const TernBatchInput *input, const char *path)
{
  if (!out->inputs || is_same_file (path, input->path) || (out->journal && tern_journal_made (out->journal, path, input->path)))
    return FALSE;
  return out->format == TERN_CAPTION_MUX && out->place == TERN_CAPTION_BESIDE ? tern_caption_inputs_have (out->inputs, path)
      : tern_caption_inputs_may_have (out->inputs, path);
}

/* Where names come later nobody knows; then the name is taken, and nothing replaced. */
static gboolean
is_known_input (const TernCaptionOutput *out, const TernBatchInput *input, const char *path)
{
  return out->inputs && !tern_caption_inputs_are_open (out->inputs) && is_of_other (out, input, path);
}

/* video.srt, or with --shard video.mp4.srt where it may not be that; video.mp4.srt, video.mp4-2.srt, ... when another input of this
 * run, or of one before, has taken the name. */
static char *
take_path (TernCaptionOutput *out, const TernBatchInput *input)
{
  for (guint n = 0;; n++) {
    char *path = nth_path (out, input, n);

    if (!(out->journal && tern_journal_made_for_other (out->journal, path, input->path)) && !is_known_input (out, input, path)
        && g_hash_table_add (out->names, hash_of (path)))
      return path;
    g_free (path);
  }
}

static gboolean
there_already (const char *path, const char *source, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected a new file for the captions of %s, found that it is there "
      "already; --overwrite replaces it", path, source);
  return FALSE;
}

/* The name of the file @path from @folder on, however both are written; NULL: it does not lie below it. A link keeps its name. */
static char *
below (const char *path, const char *folder)
{
  g_autofree char *inner = g_path_get_dirname (path), *name = g_path_get_basename (path);
  char *real = realpath (folder, NULL), *real_inner = realpath (inner, NULL), *found = NULL;
  const char *rest = real && real_inner ? tern_tool_below (real_inner, real) : NULL;

  if (rest)
    found = g_build_filename (rest, name, NULL);
  free (real);
  free (real_inner);
  return found;
}

static char *
metadata_name (const TernCaptionOutput *out, const TernBatchInput *input, GError **error)
{
  g_autofree char *folder = out->path ? g_path_get_dirname (out->path) : g_strdup (".");
  gboolean is_file = input->fd < 0 && !tern_source_is_address (input->path) && !g_str_equal (input->path, "-");
  g_autofree char *name = is_file ? below (input->path, folder) : NULL;

  if (!name || !g_utf8_validate (name, -1, NULL)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected a file whose name is UTF-8 below %s, where the metadata stand, "
        "found %s", input->path, folder, name ? "another name" : is_file ? "one that lies elsewhere" : "a stream or a tar file's member");
    return NULL;
  }
  return g_steal_pointer (&name);
}

/* Copies are of files, and beside files alone is a place. */
static gboolean
has_place (const TernCaptionOutput *out, const TernBatchInput *input, GError **error)
{
  gboolean file = input->fd < 0 && !tern_source_is_address (input->path), standard = g_str_equal (input->path, "-");

  if (out->format == TERN_CAPTION_MUX ? file && !standard : file || out->place != TERN_CAPTION_BESIDE)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, out->format == TERN_CAPTION_MUX
      ? "%s: expected a file to copy, found a stream or a tar file's member"
      : "%s: expected a file, beside which another can lie, found a stream or a tar file's member", input->path);
  return FALSE;
}

gboolean
tern_caption_output_may (TernCaptionOutput *out, const TernBatchInput *input, gboolean again, GError **error)
{
  g_autofree char *path = NULL;

  if (input->folder && !tern_batch_has_media_name (input->path))
    return TRUE;                /* a text, say, that is passed over when it is opened */
  if (!has_place (out, input, error))
    return FALSE;
  if (out->format == TERN_CAPTION_METADATA)
    return (path = metadata_name (out, input, error)) != NULL;
  if (!tern_caption_output_is_files (out) || out->standard || out->overwrite || again || out->journal)
    return TRUE;                /* with a journal a file that says the same is a run's before */
  path = nth_path (out, input, 0);
  return g_hash_table_contains (out->names, hash_of (path)) || !would_be_lost (out, path)
      || there_already (path, input->path, error);
}

gboolean
tern_caption_output_is_own (const TernCaptionOutput *out, const TernBatchInput *input)
{
  g_autofree char *suffix = NULL;

  if (out->format != TERN_CAPTION_MUX || out->place != TERN_CAPTION_BESIDE || !input->folder)
    return FALSE;
  suffix = suffix_of (out, input->path);
  return g_str_has_suffix (input->path, suffix);
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

void
tern_caption_output_begin (TernCaptionOutput *out, const char *source, gboolean again)
{
  if (again)
    tern_caption_output_note_again (out);
  g_clear_pointer (&out->file, g_free);
  g_free (out->source_bytes);
  out->source_bytes = tern_source_bytes (source);
  out->n_cues = out->n_abstained = 0;
  g_string_truncate (out->text, 0);
  g_ptr_array_set_size (out->said, 0);
  g_array_set_size (out->cues, 0);
  if (tern_caption_output_is_subtitles (out))
    tern_subtitles_head (subtitles (out), out->text);
}

static void
write_text (TernCaptionOutput *out, const char *text)
{
  if (fputs (text, out->lines) >= 0 && fflush (out->lines) == 0) {
    out->bytes += strlen (text);
    return;
  }
  if (errno != EPIPE)           /* whoever read has what they wanted */
    tern_tool_message ("%s: %s", lines_name (out), g_strerror (errno));
  out->full = errno == ENOSPC || errno == EDQUOT;
  out->closed = TRUE;
}

static void
write_line (TernCaptionOutput *out, const char *line)
{
  g_autofree char *whole = g_strconcat (line, "\n", NULL);

  write_text (out, whole);
}

/* A window is over where its end is; players count a cue's last millisecond in. Beside other windows the next cue takes
 * over there. A picture that stands alone is gone a millisecond earlier, so that none of its cue is left on the next. */
static double
cue_end (const TernResult *result)
{
  return result->frames == 1 ? result->end - 0.001 : result->end;
}

static char *
dressed (const TernCaptionOutput *out, const char *caption)
{
  return g_strconcat (out->before ? out->before : "", caption, out->after ? out->after : "", NULL);
}

/* Captions of an input whose file has one line: each said once. */
static void
say (TernCaptionOutput *out, const char *caption)
{
  g_autofree char *line = g_strdelimit (g_strdup (caption), "\r\n\t", ' ');

  g_strstrip (line);
  if (*line && !g_ptr_array_find_with_equal_func (out->said, line, g_str_equal, NULL))
    g_ptr_array_add (out->said, g_steal_pointer (&line));
  out->n_cues = out->said->len;
}

static void
take_line (TernCaptionOutput *out, TernResult *result)
{
  gboolean has_metrics = result->has_metrics;
  g_autofree char *line = NULL;

  result->has_metrics = has_metrics && out->metrics;    /* progress may have asked for them */
  line = tern_result_to_json (result);
  if (out->source_bytes) {      /* percent signs and ASCII alone: nothing to escape */
    line[strlen (line) - 1] = 0;
    g_string_printf (out->text, "%s,\"" TERN_CAPTION_SOURCE_BYTES "\":\"%s\"}", line, out->source_bytes);
    write_line (out, out->text->str);
  } else {
    write_line (out, line);
  }
}

gboolean
tern_caption_output_take (TernCaptionOutput *out, TernResult *result)
{
  gboolean good = !g_str_equal (result->kind, "error");

  result->id = out->results++;  /* of this run, not of this file */
  if (out->format == TERN_CAPTION_LINES) {
    if (!out->closed)
      take_line (out, result);
  } else if (result->abstained) {
    out->n_abstained++;
  } else if (good && !tern_caption_output_is_subtitles (out)) {
    say (out, result->result);
  } else if (good) {
    g_autofree char *text = dressed (out, result->result);

    if (*g_strstrip (text) && out->format == TERN_CAPTION_MUX) {
      TernCue cue = { result->start, cue_end (result), g_steal_pointer (&text) };

      g_array_append_val (out->cues, cue);
      out->n_cues++;
    } else if (*text && tern_subtitles_cue (subtitles (out), out->n_cues + 1, result->start, cue_end (result), text, out->text))
      out->n_cues++;
  }
  tern_result_unref (result);
  return good;
}

/* ---- After an input ---------------------------------------------------------------------------------------------- */

/* It was asked, and nothing that was said is likely enough to be written as an answer. */
static gboolean
is_unanswered (const TernCaptionOutput *out)
{
  return out->n_abstained > 0 && out->n_cues == 0;
}

static char *
one_line (const TernCaptionOutput *out)
{
  g_autofree char *all = NULL;

  g_ptr_array_add (out->said, NULL);
  all = g_strjoinv ("; ", (char **) out->said->pdata);
  g_ptr_array_set_size (out->said, out->said->len - 1);
  return dressed (out, all);
}

static gboolean
write_metadata (TernCaptionOutput *out, const TernBatchInput *input, GError **error)
{
  g_autofree char *name = metadata_name (out, input, error), *text = NULL;
  g_autoptr (GString) line = NULL;
  TernJson json;

  if (!name)
    return FALSE;
  text = is_unanswered (out) ? g_strdup ("") : one_line (out);
  line = g_string_new (NULL);
  json = (TernJson) { line };
  tern_json_open (&json, '{');
  tern_json_add_text (&json, "file_name", name);
  tern_json_add_text (&json, "text", text);
  tern_json_close (&json, '}');
  write_line (out, line->str);
  return TRUE;
}

/* A sample is written once: what is in a tar file cannot be taken out again. */
static gboolean
write_sample (TernCaptionOutput *out, const TernBatchInput *input, GError **error)
{
  g_autofree char *text = one_line (out);

  out->file = tern_caption_tar_key (input);
  if (out->journal && tern_journal_made (out->journal, out->file, input->path)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: expected it as it was when it was written into the tar file, found it "
        "changed; a tar file of another name, without --resume, has it anew", input->path);
    return FALSE;
  }
  if ((out->journal && tern_journal_made_for_other (out->journal, out->file, input->path))
      || !g_hash_table_add (out->names, hash_of (out->file))) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: expected a key of its own in the tar file, found that another input "
        "has %s too (dots become _)", input->path, out->file);
    return FALSE;
  }
  if (!tern_caption_series_make_room (out, error) || !tern_caption_tar_add (out->lines, input, out->file, text, error)) {
    g_hash_table_remove (out->names, hash_of (out->file));
    if (!cut_tar (out))
      out->closed = TRUE;       /* nothing may follow it */
    return FALSE;
  }
  out->bytes = out->tar_start + ftello (out->lines);
  out->tar_samples++;
  return TRUE;
}

/* Whether @path has just these bytes. */
static gboolean
says_the_same (const char *path, const GString *text)
{
  g_autofree char *there = NULL;
  gsize n;

  return g_file_get_contents (path, &there, &n, NULL) && n == text->len && memcmp (there, text->str, n) == 0;
}

static gboolean
write_copy (const TernCaptionOutput *out, const TernBatchInput *input, GError **error)
{
  g_autofree char *left = NULL;

  if (!tern_mux_write (input->path, out->file, out->cues, out->language, out->stopped, &left, error))
    return FALSE;
  if (left)
    tern_tool_message ("%s: not in the copy, whose kind of file has no place for it: %s", input->path, left);
  return TRUE;
}

/* What is there under the name of the file at work is of a run before. A copy cannot be told by its bytes. */
static gboolean
is_ours (const TernCaptionOutput *out, const TernBatchInput *input)
{
  return out->journal && (tern_journal_made (out->journal, out->file, input->path) || (out->format == TERN_CAPTION_MUX
          ? g_str_equal (tern_journal_marked (out->journal, MAKING), out->file) : says_the_same (out->file, out->text)));
}

/* The journal knows of a copy before it has its name: who is killed right after makes it again. */
static gboolean
claim_copy (TernCaptionOutput *out, GError **error)
{
  if (!out->journal)
    return TRUE;
  tern_journal_mark (out->journal, MAKING, out->file);
  return tern_caption_output_sync (out, error) && tern_journal_commit (out->journal, error);
}

/* The input itself, or what may be one whose name comes later. */
static gboolean
is_protected (const TernCaptionOutput *out, const TernBatchInput *input, GError **error)
{
  gboolean itself = is_same_file (out->file, input->path);

  if (!itself && !(out->inputs && tern_caption_inputs_are_open (out->inputs) && is_of_other (out, input, out->file)))
    return FALSE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected another file than the inputs for the captions of %s, found %s",
      out->file, input->path, itself ? "that input itself" : "one for which a later name of --files-from may stand");
  return TRUE;
}

static gboolean
write_file (TernCaptionOutput *out, const TernBatchInput *input, gboolean again, GError **error)
{
  g_autofree char *folder = NULL;
  TernOutput *output;

  out->file = take_path (out, input);
  if (would_be_lost (out, out->file) && !again && !is_ours (out, input))
    return there_already (out->file, input->path, error);
  if (is_protected (out, input, error))
    return FALSE;
  folder = g_path_get_dirname (out->file);
  if (out->place == TERN_CAPTION_MIRROR && g_mkdir_with_parents (folder, 0777) < 0) {
    g_set_error (error, TERN_ERROR, errno == ENOSPC ? TERN_ERROR_NO_SPACE : TERN_ERROR_READ,
        "%s: expected a folder that can be written, found that it cannot: %s", folder, g_strerror (errno));
    return FALSE;
  }
  if (out->format == TERN_CAPTION_MUX)
    return claim_copy (out, error) && write_copy (out, input, error);
  output = tern_output_open (out->file, error);
  if (!output)
    return FALSE;
  if (tern_output_write (output, out->text->str, out->text->len, error))
    return tern_output_commit (output, error);
  tern_output_discard (output);
  return FALSE;
}

/* Nothing is made of @input; what a run before made of it, when it was another, does not stay. A line of that time goes for one
 * without text. */
static gboolean
end_unanswered (TernCaptionOutput *out, const TernBatchInput *input, gboolean again, GError **error)
{
  g_autofree char *path = NULL;

  out->unanswered++;
  if (!again || out->standard || out->format == TERN_CAPTION_WEBDATASET)
    return TRUE;
  if (out->format == TERN_CAPTION_METADATA)
    return write_metadata (out, input, error);
  path = take_path (out, input);
  if (!tern_journal_made (out->journal, path, input->path) || g_unlink (path) == 0 || errno == ENOENT)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected that it can be removed, for %s has no answer any more, found that "
      "it cannot: %s", path, input->path, g_strerror (errno));
  return FALSE;
}

gboolean
tern_caption_output_end (TernCaptionOutput *out, const TernBatchInput *input, gboolean again, GError **error)
{
  if (out->format == TERN_CAPTION_LINES)
    return TRUE;
  if (is_unanswered (out))
    return end_unanswered (out, input, again, error);
  if (out->format == TERN_CAPTION_METADATA)
    return write_metadata (out, input, error);
  if (out->format == TERN_CAPTION_WEBDATASET)
    return write_sample (out, input, error);
  if (out->format == TERN_CAPTION_TXT) {
    g_autofree char *line = one_line (out);

    g_string_printf (out->text, "%s\n", line);
  }
  if (out->standard) {
    write_text (out, out->text->str);
    return TRUE;
  }
  return write_file (out, input, again, error);
}

void
tern_caption_output_tell_done (TernCaptionOutput *out, const char *source, guint64 n, const char *error, gboolean other)
{
  g_autoptr (GString) line = g_string_new (NULL);
  TernJson json = { line };

  tern_json_open (&json, '{');
  tern_json_add_text (&json, "kind", "done");
  tern_json_add_text (&json, "source", source);
  if (out->source_bytes)
    tern_json_add_text (&json, TERN_CAPTION_SOURCE_BYTES, out->source_bytes);
  tern_json_add_uint (&json, "results", n);
  if (error)
    tern_json_add_text (&json, "error", error);
  if (other)
    tern_json_add_bool (&json, "other", TRUE);
  tern_json_close (&json, '}');
  write_line (out, line->str);
}

/* ---- On the disk ------------------------------------------------------------------------------------------------- */

guint64
tern_caption_output_end_of_lines (const TernCaptionOutput *out)
{
  return out->bytes;
}

static gboolean
fail_sync (const char *path, int errsv, GError **error)
{
  g_set_error (error, TERN_ERROR, errsv == ENOSPC || errsv == EDQUOT ? TERN_ERROR_NO_SPACE : TERN_ERROR_READ,
      "%s: cannot be brought to the disk: %s", path, g_strerror (errsv));
  return FALSE;
}

gboolean
tern_caption_output_sync (TernCaptionOutput *out, GError **error)
{
  gboolean good = TRUE;
  int fd;

  if (out->lines)
    return fdatasync (fileno (out->lines)) == 0 || errno == EINVAL || errno == ENOTSUP || fail_sync (lines_name (out), errno, error);
  /* All files of this group at once, with their names. */
  fd = open (out->place == TERN_CAPTION_BESIDE && out->file ? out->file : out->path ? out->path : ".", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return TRUE;                /* the last input has none */
  if (syncfs (fd) < 0)
    good = fail_sync (out->path ? out->path : out->file, errno, error);
  close (fd);
  return good;
}

void
tern_caption_output_cut (TernCaptionOutput *out, guint64 end)
{
  struct stat info;

  if (!out->lines || fflush (out->lines) != 0 || fstat (fileno (out->lines), &info) < 0 || !S_ISREG (info.st_mode)
      || (guint64) info.st_size <= end - out->tar_start)
    return;
  out->bytes = end;
  if (ftruncate (fileno (out->lines), end - out->tar_start) < 0)
    tern_tool_message ("%s: what was not finished stays at its end: %s", lines_name (out), g_strerror (errno));
}
