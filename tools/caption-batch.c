/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-batch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <glib/gstdio.h>

#include "tern/encoder-id.h"
#include "tern/model-priv.h"
#include "tools/batch-tar.h"
#include "tools/batch.h"
#include "tools/caption-series.h"
#include "tools/caption-tar.h"
#include "tools/caption-window.h"
#include "tools/inspect-memory.h"
#include "tools/language.h"
#include "tools/tool.h"

#define JOBS_PER_THREAD 4       /* inputs at work when it is not said how many: decoding, pictures and words overlap */
#define JOBS_LEAST 4
#define JOBS_MOST 16
#define FRAME_BYTES (32 << 20)  /* of a film at work: a few frames of it, and its file's buffers */
#define SAMPLES_PER_TAR 100000  /* these two as the webdataset package's ShardWriter has them */
#define BYTES_PER_TAR G_GUINT64_CONSTANT (3000000000)
#define MEMBER_BYTES_MOST (G_GUINT64_CONSTANT (4) << 30)        /* of one in a tar file, without --max-memory */
#define PATIENCE 60.0           /* seconds without anything new, of one input among others */

void
tern_caption_batch_entries (TernCaptionBatchOptions *o, GOptionEntry entries[24])
{
  const GOptionEntry all[] = {
    { "files-from", 0, 0, G_OPTION_ARG_FILENAME, &o->files_from, "Further inputs, a line each or ended by NUL; - is standard "
        "input, read as it comes", "FILE" },
    { "shard", 0, 0, G_OPTION_ARG_STRING, &o->shard, "Of all inputs those that are the I-th of N parts, I from 0; by name, the "
        "same on every machine", "I/N" },
    { "jobs", 0, 0, G_OPTION_ARG_INT, &o->jobs, "Inputs at work at once; 0 is as many as it takes (0)", "N" },
    { "unordered", 0, 0, G_OPTION_ARG_NONE, &o->unordered, "Results as inputs are done, not in their order", NULL },
    { "resume", 0, 0, G_OPTION_ARG_NONE, &o->resume, "Keep a journal, and go on where it ends: the same command after whatever "
        "stopped it", NULL },
    { "journal", 0, 0, G_OPTION_ARG_FILENAME, &o->journal, "The journal (beside the output)", "FILE" },
    { "force", 0, 0, G_OPTION_ARG_NONE, &o->force, "Go on although model or settings are others", NULL },
    { "retry-failed", 0, 0, G_OPTION_ARG_NONE, &o->retry_failed, "With --resume: what failed is tried again", NULL },
    { "checksum", 0, 0, G_OPTION_ARG_NONE, &o->checksum, "With --resume: changed inputs are told by their bytes, not by size and "
        "time", NULL },
    { "failures", 0, 0, G_OPTION_ARG_FILENAME, &o->failures, "JSON lines of what failed and why", "FILE" },
    { "tell-done", 0, 0, G_OPTION_ARG_NONE, &o->tell_done, "jsonl: a line of kind done behind those of each input, with how many "
        "they are or why it failed", NULL },
    { "progress", 0, 0, G_OPTION_ARG_STRING, &o->progress, "auto (a line on a terminal), json (an object a second on stderr) or "
        "none", "KIND" },
    { "file-timeout", 0, 0, G_OPTION_ARG_DOUBLE, &o->file_timeout, "Give an input up after so many seconds; 0 is never (never, but "
        "after 60 without anything new when there are others)", "SECONDS" },
    { "beside", 0, 0, G_OPTION_ARG_NONE, &o->beside, "srt, vtt, txt, mux: files beside their inputs", NULL },
    { "mirror", 0, 0, G_OPTION_ARG_NONE, &o->mirror, "srt, vtt, txt, mux: folders in --output as the inputs' are", NULL },
    { "language", 0, 0, G_OPTION_ARG_STRING, &o->language, "srt, vtt: name.CODE.srt, as media servers read it; mux: of the "
        "track", "CODE" },
    { "template", 0, 0, G_OPTION_ARG_STRING, &o->template, "Text around the caption, {} being its place; not for jsonl", "TEXT" },
    { "samples-per-tar", 0, 0, G_OPTION_ARG_INT64, &o->samples_per_tar, "webdataset, --output with %0Nd in it (shard-%06d.tar): "
        "begin the next tar file after so many samples (100000)", "N" },
    { "bytes-per-tar", 0, 0, G_OPTION_ARG_STRING, &o->bytes_per_tar, "... or once the one at hand has so many bytes, with K, M "
        "or G (3000000000)", "SIZE" },
    { "nice", 0, 0, G_OPTION_ARG_INT, &o->nice, "Priority, as nice(1) has it", "N" },
    { "max-memory", 0, 0, G_OPTION_ARG_STRING, &o->max_memory, "At once as many inputs as this has room for: bytes, with K, M "
        "or G", "BYTES" },
    { NULL }
  };

  memcpy (entries, all, sizeof all);
}

void
tern_caption_batch_clear (TernCaptionBatchOptions *o)
{
  g_free (o->files_from);
  g_free (o->journal);
  g_free (o->failures);
  g_free (o->progress);
  g_free (o->shard);
  g_free (o->language);
  g_free (o->template);
  g_free (o->max_memory);
  g_free (o->bytes_per_tar);
  g_free (o->series);
  g_free (o->settings);
  tern_caption_inputs_free (o->inputs);
}

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

static gboolean
parse_shard (const char *text, guint *shard, guint *shards)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", 2);
  guint64 i, n;

  if (!parts[0] || !parts[1] || !g_ascii_string_to_unsigned (parts[1], 10, 1, 1000000, &n, NULL)
      || !g_ascii_string_to_unsigned (parts[0], 10, 0, n - 1, &i, NULL))
    return FALSE;
  *shard = (guint) i;
  *shards = (guint) n;
  return TRUE;
}

/* 0: not one. */
static guint64
parse_bytes (const char *text)
{
  char *end;
  double value = g_ascii_strtod (text, &end), unit = 1;

  if (*end && strchr ("kKmMgG", *end)) {
    unit = *end == 'k' || *end == 'K' ? 1 << 10 : *end == 'm' || *end == 'M' ? 1 << 20 : 1 << 30;
    end++;
  }
  return *end == 0 && value >= 1 && value * unit < 1e18 ? (guint64) (value * unit) : 0;
}

static gboolean
is_language (const char *text)
{
  gsize n = strlen (text);

  return n >= 2 && n <= 32 && strspn (text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == n;
}

/* A folder, or a tar file of inputs. */
static gboolean
is_many (const char *operand)
{
  return !g_str_equal (operand, "-") && (g_file_test (operand, G_FILE_TEST_IS_DIR) || tern_batch_is_tar (operand));
}

/* The first tar file among them; NULL: there is none. */
static const char *
find_tar (char **operands)
{
  while (*operands && !tern_batch_is_tar (*operands))
    operands++;
  return *operands;
}

/* Its path without links, as far as it is there already. */
static char *
real_path (const char *path)
{
  g_autofree char *folder = NULL, *name = NULL, *real_folder = NULL;
  char *real = realpath (path, NULL), *ours = g_strdup (real);

  free (real);
  if (ours)
    return ours;
  folder = g_path_get_dirname (path);
  if (g_str_equal (folder, path))
    return g_strdup (path);
  name = g_path_get_basename (path);
  real_folder = real_path (folder);
  return g_build_filename (real_folder, name, NULL);
}

/* Copies of films in a folder of films would be copied by the next run. */
static int
check_copies (const TernCaptionOutput *out, char **operands)
{
  g_autofree char *to = NULL;

  if (out->format != TERN_CAPTION_MUX || !out->path)
    return TERN_TOOL_DONE;
  to = real_path (out->path);
  for (; *operands; operands++) {
    g_autofree char *from = g_file_test (*operands, G_FILE_TEST_IS_DIR) ? real_path (*operands) : NULL;

    if (from && tern_tool_below (to, from))
      return tern_tool_usage ("caption: --output: expected a folder for the copies that does not lie in one of the films, found %s in "
          "%s: they would be copied again; --beside knows its own", out->path, *operands);
  }
  return TERN_TOOL_DONE;
}

static int
check_placing (const TernCaptionBatchOptions *o, TernCaptionOutput *out)
{
  gboolean files = tern_caption_output_is_files (out);

  if ((o->beside || o->mirror) && !files)
    return tern_tool_usage ("caption: --%s: expected --format srt, vtt, txt or mux, found another",
        o->beside ? "beside" : "mirror");
  if (o->beside && (o->mirror || out->path))
    return tern_tool_usage ("caption: --beside: expected no --%s beside it, found one", o->mirror ? "mirror" : "output");
  if (files && !o->beside && !out->path)
    return tern_tool_usage ("caption: --output: expected the folder for %s files (or --beside), found none",
        tern_caption_output_is_subtitles (out) ? "subtitle" : "text");
  if (out->format == TERN_CAPTION_WEBDATASET && !tern_caption_tar_is_there ())
    return tern_tool_usage ("caption: --format: expected another, found webdataset, and this program was built without libarchive");
  if (out->format == TERN_CAPTION_WEBDATASET && (!out->path || (g_file_test (out->path, G_FILE_TEST_EXISTS)
              && !g_file_test (out->path, G_FILE_TEST_IS_REGULAR))))
    return tern_tool_usage ("caption: --output: expected the tar file of --format webdataset, found %s",
        out->path ? out->path : "none");
  if (out->format == TERN_CAPTION_METADATA && !out->path)
    return tern_tool_usage ("caption: --output: expected the file of the metadata, in the folder that the inputs lie below, "
        "found none");
  if (o->language && (!tern_caption_output_is_subtitles (out) || !is_language (o->language)))
    return tern_tool_usage ("caption: --language: expected a code such as en or pt-BR, with --format srt, vtt or mux, found %s",
        o->language);
  if (o->language && out->format == TERN_CAPTION_MUX) {
    g_autofree char *code = tern_language_code (o->language);

    if (!code)
      return tern_tool_usage ("caption: --language: expected a code of ISO 639 with two or three letters, such as en or pt-BR, "
          "for the track of --format mux, found %s", o->language);
  }
  out->place = o->beside ? TERN_CAPTION_BESIDE : o->mirror ? TERN_CAPTION_MIRROR : TERN_CAPTION_FLAT;
  out->language = o->language;
  return TERN_TOOL_DONE;
}

/* A tar file's members lie in no folder, and have no file that could be copied. */
static int
check_members (const TernCaptionOutput *out, char **operands)
{
  const char *tar = out->place == TERN_CAPTION_BESIDE || out->format == TERN_CAPTION_MUX ? find_tar (operands) : NULL;

  if (!tar)
    return TERN_TOOL_DONE;
  return out->format == TERN_CAPTION_MUX ? tern_tool_usage ("caption: --format: expected files or folders for mux, found a tar "
      "file, whose members cannot be copied: %s", tar)
      : tern_tool_usage ("caption: --beside: expected files or folders, found a tar file, beside whose members nothing can lie: "
      "%s; --output names a folder for it", tar);
}

/* Standard output has no room for another file behind the first, and cannot be written to again. */
static int
check_standard (const TernCaptionBatchOptions *o, TernCaptionOutput *out, char **operands)
{
  gboolean one = operands[0] && !operands[1] && !o->files_from && !is_many (operands[0]);

  out->standard = g_strcmp0 (out->path, "-") == 0;
  if (out->standard && (out->format == TERN_CAPTION_WEBDATASET || out->format == TERN_CAPTION_MUX))
    return tern_tool_usage ("caption: --output: expected a %s, found - (standard output), which cannot be that",
        out->format == TERN_CAPTION_MUX ? "folder for the copies" : "tar file");
  if (out->standard && tern_caption_output_is_files (out) && !one)
    return tern_tool_usage ("caption: --output: expected one input whose text goes to standard output, found more; name a "
        "folder for theirs");
  if (o->failures && g_str_equal (o->failures, "-") && (out->standard || (!out->path && !o->beside)))
    return tern_tool_usage ("caption: --failures: expected a file, found - (standard output), where the results go");
  return TERN_TOOL_DONE;
}

/* Two shards that made a file of one name would each take it for their own. */
static int
check_parted (const TernCaptionBatchOptions *o, TernCaptionOutput *out, char **operands)
{
  gboolean one = operands[0] && !operands[1] && !o->files_from && is_many (operands[0]);
  guint shard, shards;

  if (!o->shard || !tern_caption_output_is_files (out) || out->standard || !parse_shard (o->shard, &shard, &shards) || shards < 2)
    return TERN_TOOL_DONE;
  if (out->place == TERN_CAPTION_FLAT || (out->place == TERN_CAPTION_MIRROR && !one))
    return tern_tool_usage ("caption: --shard: expected --beside, or --mirror with one folder or tar file, so that files of "
        "different shards have different names, found %s",
        out->place == TERN_CAPTION_FLAT ? "neither" : "--mirror with other inputs");
  out->parted = TRUE;
  return TERN_TOOL_DONE;
}

/* One tar file after the other. Each shard has names of its own. */
static int
check_series (TernCaptionBatchOptions *o, TernCaptionOutput *out)
{
  gboolean meant = out->format == TERN_CAPTION_WEBDATASET && out->path && tern_caption_series_is_meant (out->path);
  guint shard, shards;

  if (meant && !tern_caption_series_is_right (out->path))
    return tern_tool_usage ("caption: --output: expected exactly one %%0Nd, N from 1 to 9, and no other %% in the name of the "
        "tar files, as in shard-%%06d.tar, found %s", out->path);
  if (!meant && (o->samples_per_tar != G_MININT64 || o->bytes_per_tar))
    return tern_tool_usage ("caption: --%s-per-tar: expected --format webdataset and --output with %%0Nd in it, as in "
        "shard-%%06d.tar, found %s", o->bytes_per_tar ? "bytes" : "samples", out->path ? out->path : "neither");
  if (o->samples_per_tar != G_MININT64 && o->samples_per_tar < 1)
    return tern_tool_usage ("caption: --samples-per-tar: expected 1 or more, found %" G_GINT64_FORMAT, o->samples_per_tar);
  if (o->bytes_per_tar && !parse_bytes (o->bytes_per_tar))
    return tern_tool_usage ("caption: --bytes-per-tar: expected bytes, with K, M or G behind them, found %s", o->bytes_per_tar);
  if (!meant)
    return TERN_TOOL_DONE;
  if (o->shard && parse_shard (o->shard, &shard, &shards) && shards > 1)
    out->path = o->series = tern_caption_series_of_shard (out->path, shard, shards);
  out->series = TRUE;
  out->samples_most = o->samples_per_tar != G_MININT64 ? (guint64) o->samples_per_tar : SAMPLES_PER_TAR;
  out->bytes_most = o->bytes_per_tar ? parse_bytes (o->bytes_per_tar) : BYTES_PER_TAR;
  return TERN_TOOL_DONE;
}

static int
check_template (TernCaptionBatchOptions *o, TernCaptionOutput *out)
{
  char *place;

  if (!o->template)
    return TERN_TOOL_DONE;
  place = strstr (o->template, "{}");
  if (out->format == TERN_CAPTION_LINES)
    return tern_tool_usage ("caption: --template: expected --format metadata, webdataset, srt, vtt, txt or mux, found jsonl, "
        "whose lines have what the model said");
  if (!place || strpbrk (o->template, "\r\n"))
    return tern_tool_usage ("caption: --template: expected a line of text with {} where the caption stands, found %s", o->template);
  *place = 0;
  out->before = o->template;
  out->after = place + 2;
  return TERN_TOOL_DONE;
}

static int
check_journal (const TernCaptionBatchOptions *o, const TernCaptionOutput *out, char **operands)
{
  static const char *const need[] = { "journal", "force", "retry-failed", "checksum" };
  const gboolean given[] = { o->journal != NULL, o->force, o->retry_failed, o->checksum };

  for (guint i = 0; !o->resume && i < G_N_ELEMENTS (need); i++)
    if (given[i])
      return tern_tool_usage ("caption: --%s: expected --resume beside it, found none", need[i]);
  if (!o->resume)
    return TERN_TOOL_DONE;
  if ((!out->path && !o->beside) || out->standard)
    return tern_tool_usage ("caption: --resume: expected --output (or --beside), found results on standard output, which "
        "cannot go on");
  if (o->beside && !o->journal)
    return tern_tool_usage ("caption: --resume: expected --journal with --beside, found none");
  if (out->overwrite)
    return tern_tool_usage ("caption: --resume: expected no --overwrite beside it, found one; without --resume it begins anew");
  for (; *operands; operands++)
    if (g_str_equal (*operands, "-"))
      return tern_tool_usage ("caption: --resume: expected inputs that can be read again, found standard input");
  return TERN_TOOL_DONE;
}

static char *
journal_path (const TernCaptionBatchOptions *o, const TernCaptionOutput *out)
{
  return o->journal ? g_strdup (o->journal)
      : tern_caption_output_is_files (out) ? g_build_filename (out->path, ".tern-journal", NULL)
      : g_strconcat (out->path, ".journal", NULL);
}

/* One file by two names, or one that will be. Devices may be named twice. */
static gboolean
is_same_place (const char *a, const char *b)
{
  g_autofree char *folder_a = NULL, *folder_b = NULL, *name_a = NULL, *name_b = NULL;
  struct stat one, other;
  gboolean there = stat (a, &one) == 0;

  if (there != (stat (b, &other) == 0))
    return FALSE;
  if (there)
    return S_ISREG (one.st_mode) && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
  folder_a = g_path_get_dirname (a);
  folder_b = g_path_get_dirname (b);
  name_a = g_path_get_basename (a);
  name_b = g_path_get_basename (b);
  return g_str_equal (name_a, name_b) && stat (folder_a, &one) == 0 && stat (folder_b, &other) == 0
      && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

typedef struct {
  const char *option, *path;    /* NULL: not given */
} Named;

/* What is written is emptied first: neither a file that is read, nor one that something else is written to. */
static int
check_apart (const TernCaptionBatchOptions *o, const TernCaptionOutput *out, char **operands)
{
  g_autofree char *journal = o->resume ? journal_path (o, out) : NULL;
  gboolean line = !tern_caption_output_is_files (out) && !out->standard && !out->series;
  const Named files[] = { { "output", line ? out->path : NULL }, { "journal", journal },
    { "failures", o->failures && !g_str_equal (o->failures, "-") ? o->failures : NULL },
    { "files-from", o->files_from && !g_str_equal (o->files_from, "-") ? o->files_from : NULL } };
  const guint n = G_N_ELEMENTS (files), n_written = n - 1;

  for (guint i = 0; i < n_written; i++) {
    for (guint k = i + 1; files[i].path && k < n; k++)
      if (files[k].path && is_same_place (files[i].path, files[k].path))
        return tern_tool_usage ("caption: --%s: expected another file than that of --%s, found %s", files[i].option, files[k].option,
            files[i].path);
    for (char **p = operands; files[i].path && *p; p++)
      if (is_same_place (files[i].path, *p))
        return tern_tool_usage ("caption: --%s: expected another file than the inputs, found %s", files[i].option, *p);
  }
  return TERN_TOOL_DONE;
}

static int
refuse_input (const TernCaptionOutput *out, const char *option, const char *path)
{
  if (!tern_caption_inputs_may_have (out->inputs, path))
    return TERN_TOOL_DONE;
  return tern_tool_usage ("caption: --%s: expected another file than %s, found %s, which --overwrite would replace", option,
      tern_caption_inputs_are_open (out->inputs) ? "one for which a name of --files-from may stand" : "the inputs", path);
}

/* --overwrite replaces what runs before made, and nothing that this one reads: inputs of lists and in folders, too. */
static int
check_overwrite (const TernCaptionBatchOptions *o, const TernCaptionOutput *out)
{
  const char *failures = o->failures && !g_str_equal (o->failures, "-") ? o->failures : NULL;
  gboolean lines = !tern_caption_output_is_files (out) && !out->standard && out->path;
  g_autoptr (GPtrArray) tars = lines && out->series ? tern_caption_series_find (out->path, 0) : NULL;
  int status = failures ? refuse_input (out, "failures", failures) : TERN_TOOL_DONE;

  for (guint i = 0; tars && i < tars->len && status == TERN_TOOL_DONE; i++)
    status = refuse_input (out, "output", tars->pdata[i]);
  return lines && !tars && status == TERN_TOOL_DONE ? refuse_input (out, "output", out->path) : status;
}

int
tern_caption_batch_check (TernCaptionBatchOptions *o, TernCaptionOutput *out, char **operands)
{
  TernProgressKind progress;
  guint shard, shards;
  int status;

  if (!*operands && !o->files_from)
    return tern_tool_usage ("caption: expected INPUT... or --files-from, found neither; see `tern caption --help`");
  for (char **p = operands; o->files_from && g_str_equal (o->files_from, "-") && *p; p++)
    if (g_str_equal (*p, "-"))
      return tern_tool_usage ("caption: expected either names or an input on standard input, found both");
  if (o->shard && !parse_shard (o->shard, &shard, &shards))
    return tern_tool_usage ("caption: --shard: expected I/N, I from 0 to N - 1, found %s", o->shard);
  if (o->jobs < 0 || o->jobs > TERN_BATCH_JOBS_MAX)
    return tern_tool_usage ("caption: --jobs: expected 0 to %d, found %d", TERN_BATCH_JOBS_MAX, o->jobs);
  if (o->progress && !tern_progress_parse (o->progress, &progress))
    return tern_tool_usage ("caption: --progress: expected auto, json or none, found %s", o->progress);
  if (o->nice != G_MININT && (o->nice < -20 || o->nice > 19))
    return tern_tool_usage ("caption: --nice: expected -20 to 19, found %d", o->nice);
  if (o->max_memory && !parse_bytes (o->max_memory))
    return tern_tool_usage ("caption: --max-memory: expected bytes, with K, M or G behind them, found %s", o->max_memory);
  if (o->file_timeout != TERN_CAPTION_NO_TIMEOUT && !(o->file_timeout >= 0 && o->file_timeout <= 1e9))
    return tern_tool_usage ("caption: --file-timeout: expected seconds, 0 to 1e9, found %g", o->file_timeout);
  if (o->tell_done && (out->format != TERN_CAPTION_LINES || o->resume))
    return tern_tool_usage ("caption: --tell-done: expected --format jsonl without --resume, found another");
  if ((status = check_placing (o, out)) != TERN_TOOL_DONE || (status = check_members (out, operands)) != TERN_TOOL_DONE
      || (status = check_standard (o, out, operands)) != TERN_TOOL_DONE
      || (status = check_copies (out, operands)) != TERN_TOOL_DONE || (status = check_series (o, out)) != TERN_TOOL_DONE
      || (status = check_parted (o, out, operands)) != TERN_TOOL_DONE || (status = check_template (o, out)) != TERN_TOOL_DONE)
    return status;
  if ((status = check_journal (o, out, operands)) != TERN_TOOL_DONE)
    return status;
  if ((status = check_apart (o, out, operands)) != TERN_TOOL_DONE)
    return status;
  if (out->overwrite || (o->resume && tern_caption_output_is_files (out)))
    out->inputs = o->inputs = tern_caption_inputs_new (operands, o->files_from);
  return out->overwrite ? check_overwrite (o, out) : TERN_TOOL_DONE;
}

/* ---- The run ----------------------------------------------------------------------------------------------------- */

/* Bytes that are allocated, whether they were touched or not. */
static guint64
allocated (void)
{
#ifdef __GLIBC__
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

/* What one input more takes: its session, planned to its longest window, and the frame that is being decoded. */
static gboolean
plan_input (TernModel *model, const TernSessionParams *params, guint64 *bytes, GError **error)
{
  guint64 before = allocated (), after;
  TernSession *session = tern_caption_window_open_longest (model, params, error);

  if (!session)
    return FALSE;
  after = allocated ();
  tern_session_free (session);
  *bytes = after - MIN (after, before) + FRAME_BYTES;
  return TRUE;
}

/* What pictures of several inputs side by side take, however many inputs there are. */
static guint64
plan_lanes (TernModel *model)
{
  TernVision *vision = tern_model_vision (model);
  guint small = tern_vision_small_tokens (vision), threads = tern_pool_threads (tern_scheduler_pool (model->scheduler));

  return small > 0 && threads > 1 ? threads * tern_vision_alone_bytes (vision, small) : 0;
}

/* Half of what the machine has to give. */
static guint64
spare_bytes (void)
{
  FILE *info = fopen ("/proc/meminfo", "re");
  guint64 kib = 4 << 20;
  char line[128];

  while (info && fgets (line, sizeof line, info))
    if (sscanf (line, "MemAvailable: %" G_GUINT64_FORMAT, &kib) == 1)
      break;
  if (info)
    fclose (info);
  return kib << 9;
}

/* How many inputs at once, so that their memory is there. A status of the program. */
static int
plan_jobs (const TernCaptionBatchOptions *o, TernBatch *batch, char **operands)
{
  gboolean one = operands[0] && !operands[1] && !o->files_from && !is_many (operands[0]);
  guint wanted = o->jobs > 0 ? (guint) o->jobs : one ? 1 : CLAMP (g_get_num_processors () * JOBS_PER_THREAD, JOBS_LEAST, JOBS_MOST);
  g_autoptr (GError) error = NULL;
  guint64 each, limit, more, room, members = 0;
  TernMemoryUse now;

  if (!plan_input (batch->work.model, &batch->work.params, &each, &error))
    return tern_tool_fail (&error);
  tern_memory_use (&now);
  limit = batch->max_memory ? batch->max_memory : now.resident + spare_bytes ();
  if (batch->max_memory && limit < now.resident + each)
    return tern_tool_usage ("caption: --max-memory: expected at least the %" G_GUINT64_FORMAT " MiB that the model and one "
        "input take, found %" G_GUINT64_FORMAT " MiB", (now.resident + each + (1 << 20) - 1) >> 20, limit >> 20);
  more = now.resident + plan_lanes (batch->work.model);
  room = limit - MIN (limit, more);
  if (find_tar (operands))
    members = (room - MIN (room, each)) / 2;
  batch->jobs = o->jobs > 0 && !batch->max_memory ? wanted : (guint) CLAMP ((room - members) / each, 1, wanted);
  batch->member_bytes = MAX (room - MIN (room, batch->jobs * each), FRAME_BYTES);
  return TERN_TOOL_DONE;
}

static char *
file_setting (const char *path)
{
  g_autofree char *name = path ? g_path_get_basename (path) : g_strdup ("");
  struct stat info;

  return path && stat (path, &info) == 0 ? g_strdup_printf ("%s, %" G_GINT64_FORMAT " bytes", name, (gint64) info.st_size)
      : g_strdup (name);
}

/* What another run must have too. */
static TernJournal *
open_journal (const TernCaptionBatchOptions *o, const TernModel *model, const TernCaptionOutput *out, GError **error)
{
  g_autofree char *path = journal_path (o, out);
  g_autofree char *text_model = file_setting (tern_model_path (model));
  g_autofree char *place = g_strdup_printf ("%d %d %s", out->format, out->place, out->language ? out->language : "");
  g_autofree char *words = g_strconcat (out->before ? out->before : "", "{}", out->after ? out->after : "", NULL);
  g_autofree char *id = tern_model_file_id (tern_llm_file (tern_model_text (model)->llm));
  const char *encoder = tern_model_encoder_id (model);
  const char *const settings[] = { "model", text_model, "model's content", id, "encoder", encoder ? encoder : "", "shard", o->shard ? o->shard : "",
    "questions and windows", o->settings ? o->settings : "", "format and place", place, "template", words,
    "changes told by", o->checksum ? "bytes" : "size and time", NULL };

  if (tern_caption_output_is_files (out) && out->path)
    g_mkdir_with_parents (out->path, 0777);
  return tern_journal_open (path, settings, o->force, error);
}

static int
status_of (const TernBatch *batch)
{
  if (batch->usage)
    return TERN_TOOL_USAGE;
  if (batch->full)
    return TERN_TOOL_TRY_AGAIN;
  if (batch->signal)
    return 128 + batch->signal;
  if (batch->unfit > 0 && batch->unfit == batch->failed && batch->done == 0)
    return TERN_TOOL_USAGE;
  return batch->failed || batch->out->closed ? TERN_TOOL_FAILED : TERN_TOOL_DONE;
}

/* After the run, where everything is whole. */
static int
conclude (TernBatch *batch)
{
  TernCaptionOutput *out = batch->out;
  g_autoptr (GError) error = NULL;
  gboolean whole = !batch->usage && !batch->full && !batch->signal && !out->closed;

  batch->full |= out->full;
  if (batch->journal)
    tern_caption_output_cut (out, tern_journal_end (batch->journal));
  if (whole && !tern_caption_output_settle (out, &error)) {
    tern_tool_message ("%s", error->message);
    batch->full = TRUE;
  }
  if (out->unanswered > 0)
    tern_tool_message ("%" G_GUINT64_FORMAT " input%s without an answer that is as likely as --min-confidence: nothing was made "
        "of %s", out->unanswered, out->unanswered == 1 ? "" : "s", out->unanswered == 1 ? "it" : "them");
  if (batch->signal || batch->full)
    tern_tool_message ("stopped after %" G_GUINT64_FORMAT " done%s", batch->done + batch->skipped,
        batch->journal ? "; the same command goes on from here" : "; with --resume the same command could go on");
  return status_of (batch);
}

#define FAILURE "{\"source\":"   /* how a line of the list begins */

/* A list of before goes, and nothing else does: names are mistyped, and the list of inputs looks alike. */
static gboolean
open_failures (const TernCaptionBatchOptions *o, TernBatch *batch)
{
  gboolean standard = g_str_equal (o->failures, "-");
  char head[sizeof FAILURE] = "";
  struct stat info;
  int fd = standard || batch->out->overwrite || stat (o->failures, &info) < 0 || !S_ISREG (info.st_mode) || info.st_size == 0 ? -1
      : open (o->failures, O_RDONLY | O_CLOEXEC);
  gssize n = fd < 0 ? 0 : pread (fd, head, strlen (FAILURE), 0);

  if (fd >= 0)
    close (fd);
  if (n > 0 && !g_str_equal (head, FAILURE)) {
    tern_tool_message ("%s: expected a new file or the --failures of a run before, found another file; --overwrite replaces it",
        o->failures);
    return FALSE;
  }
  batch->failures_path = standard ? "standard output" : o->failures;
  batch->failures = standard ? stdout : g_fopen (o->failures, "we");
  if (!batch->failures)
    tern_tool_message ("%s: expected a file that can be written, found that it cannot: %s", o->failures, g_strerror (errno));
  return batch->failures != NULL;
}

static gboolean
open_outputs (const TernCaptionBatchOptions *o, TernBatch *batch, int *status)
{
  g_autoptr (GError) error = NULL;

  *status = TERN_TOOL_FAILED;
  if (o->resume && !(batch->journal = open_journal (o, batch->work.model, batch->out, &error))) {
    *status = g_error_matches (error, TERN_ERROR, TERN_ERROR_MISMATCH) ? TERN_TOOL_USAGE
        : g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY) || g_error_matches (error, TERN_ERROR, TERN_ERROR_NO_SPACE)
        ? TERN_TOOL_TRY_AGAIN : TERN_TOOL_FAILED;
    tern_tool_message ("%s", error->message);
    return FALSE;
  }
  batch->out->journal = batch->journal;
  if (!tern_caption_output_settle (batch->out, &error)) {
    tern_tool_message ("%s", error->message);
    return FALSE;
  }
  if (!tern_caption_output_open (batch->out))
    return FALSE;
  return !o->failures || open_failures (o, batch);
}

static gboolean
open_list (const TernCaptionBatchOptions *o, TernBatch *batch, char **operands)
{
  TernBatchListOptions list = { .operands = operands, .files_from = o->files_from, .shards = 1, .sorted = !o->unordered,
    .standard_once = o->resume || g_strcmp0 (o->files_from, "-") == 0, .tell_over = o->tell_done,
    .member_bytes = batch->member_bytes, .member_bytes_most = batch->max_memory ? batch->member_bytes : MEMBER_BYTES_MOST };
  g_autoptr (GError) error = NULL;

  if (o->shard)
    parse_shard (o->shard, &list.shard, &list.shards);
  batch->work.list = tern_batch_list_new (&list, &error);
  if (!batch->work.list)
    tern_tool_message ("%s", error->message);
  return batch->work.list != NULL;
}

int
tern_caption_batch_run (const TernCaptionBatchOptions *o, TernModel *model, const TernSessionParams *params,
    const TernMediaOptions *media, TernCaptionOutput *out, char **operands)
{
  TernBatch batch = { .work = { .model = model, .params = *params, .media = *media, .budget = o->budget,
      .no_stills = tern_caption_output_is_subtitles (out) }, .out = out, .unordered = o->unordered,
    .tell_done = o->tell_done, .retry_failed = o->retry_failed, .checksum = o->checksum,
    .time_limit = MAX (o->file_timeout, 0), .patience = o->file_timeout == TERN_CAPTION_NO_TIMEOUT ? PATIENCE : 0,
    .max_memory = o->max_memory ? parse_bytes (o->max_memory) : 0 };
  gboolean over;
  int status;

  if (o->nice != G_MININT && setpriority (PRIO_PROCESS, 0, o->nice) < 0)
    tern_tool_message ("caption: --nice: priority %d is not allowed here: %s", o->nice, g_strerror (errno));
  if ((status = plan_jobs (o, &batch, operands)) != TERN_TOOL_DONE)
    return status;
  if (batch.jobs == 1 && !o->files_from)
    batch.patience = 0;         /* nobody waits behind it */
  else
    batch.work.media.threads = 1;       /* inputs are decoded beside each other */
  if (o->progress)
    tern_progress_parse (o->progress, &batch.progress.kind);
  out->metrics = params->metrics;
  batch.work.params.metrics |= batch.progress.kind != TERN_PROGRESS_NONE;
  if (open_outputs (o, &batch, &status) && open_list (o, &batch, operands)) {
    over = tern_batch_run (&batch);
    status = conclude (&batch);
    if (!over) {                /* a thread hangs in a read: nothing that it may touch can be freed */
      fflush (NULL);
      _exit (status);
    }
  }
  if (!tern_caption_output_close (out) && status == TERN_TOOL_DONE)
    status = TERN_TOOL_FAILED;
  if (batch.failures && batch.failures != stdout)
    fclose (batch.failures);
  tern_journal_free (batch.journal);
  tern_batch_list_free (batch.work.list);
  return status;
}
