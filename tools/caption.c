/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern caption: pictures, videos and folders to JSON lines or subtitles. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "engine/llm/llm.h"
#include "tern/tern.h"
#include "tools/caption-inputs.h"
#include "tools/media.h"
#include "tools/output.h"
#include "tools/subtitles.h"
#include "tools/tool.h"

#define NOT_GIVEN G_MININT

typedef struct {
  char *model, *mmproj, *prompt, *rate, *compress, *kv, *output, *format;
  double window, merge_ratio, kv_prune;
  gint max_tokens, beam, threads;
} Options;

typedef struct {
  TernModel *model;
  TernSessionParams params;
  gboolean subtitles;
  TernSubtitles kind;
  const char *folder;           /* of subtitles */
  GHashTable *names;            /* subtitle files of this run */
  FILE *lines;                  /* JSON lines */
  const char *lines_name;
  guint64 results;
  guint failed;
  gboolean stop;                /* nobody reads any more, or the options do not suit the model */
  gboolean usage;

  /* the input at work */
  const char *source;
  GString *cues;
  guint n_cues;
  guint input, n_inputs;
  gint64 shown;                 /* when progress was shown last, us */
} Caption;

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static gboolean
wrong (const char *option, const char *expected, const char *format, ...) G_GNUC_PRINTF (3, 4);

static gboolean
wrong (const char *option, const char *expected, const char *format, ...)
{
  g_autofree char *found = NULL;
  va_list args;

  va_start (args, format);
  found = g_strdup_vprintf (format, args);
  va_end (args);
  tern_tool_message ("caption: %s: expected %s, found %s", option, expected, found);
  return FALSE;
}

/* N or N/D, both positive. */
static gboolean
parse_rate (const char *text, guint *n, guint *d)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", 2);
  guint64 number, divisor = 1;

  if (!parts[0] || !g_ascii_string_to_unsigned (parts[0], 10, 1, 1000000, &number, NULL)
      || (parts[1] && !g_ascii_string_to_unsigned (parts[1], 10, 1, 1000000, &divisor, NULL)))
    return wrong ("--frame-rate", "a positive number of frames a second, N or N/D", "%s", text);
  *n = number;
  *d = divisor;
  return TRUE;
}

static gboolean
check_share (const char *option, double value, double *out)
{
  if (value == NOT_GIVEN)
    return TRUE;
  if (!(value >= 0 && value <= 1))
    return wrong (option, "a number from 0 to 1", "%g", value);
  *out = value;
  return TRUE;
}

static gboolean
check_count (const char *option, gint value, gint most, guint *out)
{
  g_autofree char *range = g_strdup_printf ("an integer from 1 to %d", most);

  if (value == NOT_GIVEN)
    return TRUE;
  if (value < 1 || value > most)
    return wrong (option, range, "%d", value);
  *out = value;
  return TRUE;
}

static gboolean
check_format (const Options *o, Caption *c)
{
  if (!o->format || g_str_equal (o->format, "jsonl"))
    return TRUE;
  c->subtitles = TRUE;
  c->kind = g_str_equal (o->format, "vtt") ? TERN_SUBTITLES_VTT : TERN_SUBTITLES_SRT;
  if (!g_str_equal (o->format, "srt") && !g_str_equal (o->format, "vtt"))
    return wrong ("--format", "jsonl, srt or vtt", "%s", o->format);
  if (!o->output)
    return wrong ("--output", "the folder for subtitle files", "none");
  c->folder = o->output;
  return TRUE;
}

static gboolean
check_options (const Options *o, Caption *c, guint *threads)
{
  TernSessionParams *p = &c->params;
  g_autoptr (GError) error = NULL;
  TernKvType kv;

  if ((o->rate && !parse_rate (o->rate, &p->rate_n, &p->rate_d))
      || !check_share ("--merge-ratio", o->merge_ratio, &p->compress.merge_ratio)
      || !check_share ("--kv-prune", o->kv_prune, &p->kv_prune)
      || !check_count ("--max-tokens", o->max_tokens, 65536, &p->max_tokens)
      || !check_count ("--beam", o->beam, 64, &p->beam) || !check_count ("--threads", o->threads, 1024, threads)
      || !check_format (o, c))
    return FALSE;
  if (o->kv) {
    if (!tern_kv_parse (o->kv, &kv))
      return wrong ("--kv", "auto, f32, f16 or int8", "%s", o->kv);
    p->kv_type = (TernCacheType) kv;
  }
  if (o->window != NOT_GIVEN) {
    if (!(o->window > 0 && o->window <= 86400))
      return wrong ("--window", "seconds, more than 0 and at most 86400", "%g", o->window);
    p->window = MAX (1, llrint (o->window * TERN_SECOND));
  }
  if (o->compress && !tern_method_parse (o->compress, &p->compress.method, &error))
    return wrong ("--compress", "none, dycoke or random", "%s", o->compress);
  p->prompt = o->prompt;
  return TRUE;
}

/* ---- Output ------------------------------------------------------------------------------------------------------ */

static gboolean
open_lines (Caption *c, const char *path)
{
  c->lines = stdout;
  c->lines_name = "standard output";
  if (!path)
    return TRUE;
  c->lines_name = path;
  c->lines = g_fopen (path, "we");
  if (!c->lines)
    tern_tool_message ("%s: expected a file that can be written, found that it cannot: %s", path, g_strerror (errno));
  return c->lines != NULL;
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
clear_progress (Caption *c)
{
  if (c->shown)
    fputs ("\r\033[K", stderr);
  c->shown = 0;
}

static void
show_progress (Caption *c, guint64 pts, guint64 duration)
{
  gint64 now = g_get_monotonic_time ();

  if (!isatty (STDERR_FILENO) || (c->shown && now - c->shown < G_USEC_PER_SEC / 5))
    return;
  c->shown = now;
  fprintf (stderr, "\r\033[K[%u/%u] %s", c->input + 1, c->n_inputs, c->source);
  if (duration != TERN_TIME_NONE)
    fprintf (stderr, " %.0f of %.0f s", pts / 1e9, duration / 1e9);
  fflush (stderr);
}

/* The input could not be done, or not all of it. */
static void
input_failed (Caption *c, GError *error)
{
  clear_progress (c);
  if (strstr (error->message, c->source))
    tern_tool_message ("%s", error->message);
  else
    tern_tool_message ("%s: %s", c->source, error->message);
}

static void
write_line (Caption *c, const char *line)
{
  if (fprintf (c->lines, "%s\n", line) >= 0 && fflush (c->lines) == 0)
    return;
  if (errno != EPIPE)           /* whoever read has what they wanted */
    tern_tool_message ("%s: %s", c->lines_name, g_strerror (errno));
  c->stop = TRUE;
}

/* Takes @result. FALSE for one that says that its window failed. */
static gboolean
take_result (Caption *c, TernResult *result)
{
  gboolean good = !g_str_equal (result->kind, "error");

  result->id = c->results++;    /* of this run, not of this file */
  if (c->subtitles) {
    if (good && tern_subtitles_cue (c->kind, c->n_cues + 1, result->start, result->end, result->result, c->cues))
      c->n_cues++;
  } else if (!c->stop) {
    g_autofree char *line = tern_result_to_json (result);

    clear_progress (c);
    write_line (c, line);
  }
  tern_result_unref (result);
  return good;
}

/* video.srt; video.mp4.srt, video.mp4-2.srt, ... when another input has taken the name. */
static char *
subtitle_path (Caption *c)
{
  g_autofree char *name = g_path_get_basename (c->source), *stem = g_strdup (name);
  const char *suffix = tern_subtitles_suffix (c->kind);
  char *dot = strrchr (stem, '.'), *file;

  if (dot && dot != stem)
    *dot = 0;
  file = g_strconcat (stem, suffix, NULL);
  for (guint i = 1; !g_hash_table_add (c->names, g_strdup (file)); i++) {
    g_free (file);
    file = i == 1 ? g_strconcat (name, suffix, NULL) : g_strdup_printf ("%s-%u%s", name, i, suffix);
  }
  g_free (stem);
  stem = file;
  return g_build_filename (c->folder, stem, NULL);
}

static gboolean
write_subtitles (Caption *c, GError **error)
{
  g_autofree char *path = subtitle_path (c);
  TernOutput *output = tern_output_open (path, error);

  if (!output)
    return FALSE;
  if (tern_output_write (output, c->cues->str, c->cues->len, error))
    return tern_output_commit (output, error);
  tern_output_discard (output);
  return FALSE;
}

/* ---- Work -------------------------------------------------------------------------------------------------------- */

/* Pushes until there is room: nothing of a file is dropped. */
static gboolean
push (Caption *c, TernSession *session, const TernMedia *media, const TernImage *image, guint64 pts, guint64 duration,
    GError **error)
{
  g_autoptr (GError) busy = NULL;

  while (!(tern_media_is_still (media) ? tern_session_push_still (session, image, &busy)
          : tern_session_push_frame (session, image, pts, duration, &busy))) {
    if (!g_error_matches (busy, TERN_ERROR, TERN_ERROR_BUSY)) {
      g_propagate_error (error, g_steal_pointer (&busy));
      return FALSE;
    }
    g_clear_error (&busy);
    tern_session_wait (session, 200000);
    show_progress (c, pts, tern_media_duration (media));
  }
  return TRUE;
}

static gboolean
poll_results (Caption *c, TernSession *session)
{
  gboolean good = TRUE;
  TernResult *result;

  while ((result = tern_session_poll (session)))
    good = take_result (c, result) && good;
  return good;
}

/* All frames of one file. What was decoded before a file breaks off is answered too. */
static gboolean
run_media (Caption *c, TernSession *session, TernMedia *media, GError **error)
{
  guint64 length = tern_media_duration (media), pts = 0, duration;
  TernMediaStatus status;
  TernNext next;
  TernResult *result;
  TernImage image;
  gboolean good = TRUE;

  while (!c->stop && (status = tern_media_next (media, &image, &pts, &duration, error)) == TERN_MEDIA_FRAME) {
    show_progress (c, pts, length);
    if (!push (c, session, media, &image, pts, duration, error))
      break;
    good = poll_results (c, session) && good;
    if (tern_media_is_still (media))
      break;
  }
  tern_session_finish (session);
  while (!c->stop && (next = tern_session_next (session, 200000, &result)) != TERN_NEXT_END) {
    if (next == TERN_NEXT_RESULT)
      good = take_result (c, result) && good;
    show_progress (c, pts, length);
  }
  return good && !*error;
}

static void
run_input (Caption *c)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernMedia) media = tern_media_open (c->source, NULL, NULL, &error);
  g_autoptr (TernSession) session = NULL;
  gboolean good = FALSE;

  c->params.source = c->source;
  session = media ? tern_session_new (c->model, &c->params, &error) : NULL;
  if (media && !session && g_error_matches (error, TERN_ERROR, TERN_ERROR_INVALID))
    c->usage = c->stop = TRUE;  /* no other input would fare better */
  c->n_cues = 0;
  g_string_truncate (c->cues, 0);
  if (c->subtitles)
    tern_subtitles_head (c->kind, c->cues);
  if (session)
    good = run_media (c, session, media, &error);
  if (error)
    input_failed (c, error);
  else if (session && !good)
    tern_tool_message ("%s: expected a caption of every window, found that some failed", c->source);
  if (session && c->subtitles && (good || c->n_cues > 0)) {
    g_autoptr (GError) unwritten = NULL;

    if (!write_subtitles (c, &unwritten)) {
      input_failed (c, unwritten);
      good = FALSE;
    }
  }
  clear_progress (c);
  c->failed += !good;
}

/* A still has no time for a subtitle to be shown. */
static gboolean
refuse_stills (const GPtrArray *inputs, const char *format)
{
  for (guint i = 0; i < inputs->len; i++) {
    g_autoptr (TernMedia) media = tern_media_open (inputs->pdata[i], NULL, NULL, NULL);

    if (media && tern_media_is_still (media)) {
      tern_tool_message ("caption: %s: expected a video for --format %s, found a still", (char *) inputs->pdata[i],
          format);
      return FALSE;
    }
  }
  return TRUE;
}

static int
run (const Options *o, Caption *c, const GPtrArray *inputs, guint threads)
{
  TernModelParams model = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GError) error = NULL;

  model.model_path = o->model;
  model.mmproj_path = o->mmproj;
  model.threads = threads;
  c->model = tern_model_open (&model, &error);
  if (!c->model) {
    tern_tool_message ("%s", error->message);
    return TERN_TOOL_FAILED;
  }
  if (c->subtitles ? !open_folder (c->folder) : !open_lines (c, o->output))
    return TERN_TOOL_FAILED;
  c->n_inputs = inputs->len;
  for (c->input = 0; c->input < inputs->len && !c->stop; c->input++) {
    c->source = inputs->pdata[c->input];
    run_input (c);
  }
  if (c->lines && c->lines != stdout && fclose (g_steal_pointer (&c->lines)) != 0) {
    tern_tool_message ("%s: %s", o->output, g_strerror (errno));
    c->failed++;
  }
  return c->usage ? TERN_TOOL_USAGE : c->failed || c->stop ? TERN_TOOL_FAILED : TERN_TOOL_DONE;
}

static void
caption_clear (Caption *c)
{
  if (c->lines && c->lines != stdout)
    fclose (c->lines);
  g_string_free (c->cues, TRUE);
  g_hash_table_unref (c->names);
  if (c->model)
    tern_model_unref (c->model);
}

static void
options_clear (Options *o)
{
  g_free (o->model);
  g_free (o->mmproj);
  g_free (o->prompt);
  g_free (o->rate);
  g_free (o->compress);
  g_free (o->kv);
  g_free (o->output);
  g_free (o->format);
}

int
tern_tool_caption (int argc, char **argv)
{
  Options o = { .window = NOT_GIVEN, .merge_ratio = NOT_GIVEN, .kv_prune = NOT_GIVEN, .max_tokens = NOT_GIVEN,
    .beam = NOT_GIVEN, .threads = NOT_GIVEN };
  const GOptionEntry entries[] = {
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &o.model, "GGUF file of the language model, or a folder with one", "FILE" },
    { "mmproj", 0, 0, G_OPTION_ARG_FILENAME, &o.mmproj, "GGUF file of the vision encoder", "FILE" },
    { "prompt", 0, 0, G_OPTION_ARG_STRING, &o.prompt, "Instruction; empty for none", "TEXT" },
    { "frame-rate", 0, 0, G_OPTION_ARG_STRING, &o.rate, "Frames a second of video that are looked at (2/1)", "N/D" },
    { "window", 0, 0, G_OPTION_ARG_DOUBLE, &o.window, "Seconds of video a caption is about (4)", "SECONDS" },
    { "compress", 0, 0, G_OPTION_ARG_STRING, &o.compress, "none, dycoke (default) or random", "METHOD" },
    { "merge-ratio", 0, 0, G_OPTION_ARG_DOUBLE, &o.merge_ratio, "Share of tokens that merging drops (0.7)", "K" },
    { "kv-prune", 0, 0, G_OPTION_ARG_DOUBLE, &o.kv_prune, "Share of visual keys that decoding leaves out of videos (0.7)",
        "P" },
    { "kv", 0, 0, G_OPTION_ARG_STRING, &o.kv, "Keys and values are kept as auto (default), f32, f16 or int8", "TYPE" },
    { "max-tokens", 0, 0, G_OPTION_ARG_INT, &o.max_tokens, "Longest caption (32)", "N" },
    { "beam", 0, 0, G_OPTION_ARG_INT, &o.beam, "Beams; 1 is greedy (1)", "N" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &o.threads, "Threads (all cores)", "N" },
    { "output", 0, 0, G_OPTION_ARG_FILENAME, &o.output, "File for JSON lines, folder for subtitles", "PATH" },
    { "format", 0, 0, G_OPTION_ARG_STRING, &o.format, "jsonl (default), srt or vtt", "FORMAT" },
    { NULL }
  };
  Caption c = { .params = TERN_SESSION_PARAMS_INIT, .cues = g_string_new (NULL),
    .names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };
  g_auto (GStrv) operands = NULL;
  guint threads = 0;
  int status = TERN_TOOL_USAGE;

  signal (SIGPIPE, SIG_IGN);    /* a closed pipe is an error of the write */
  if (tern_tool_options (argc, argv, "INPUT...", 1, G_MAXINT,
          "Captions pictures, videos, and folders of them.", entries, &operands)
      && check_options (&o, &c, &threads)) {
    g_autoptr (GPtrArray) inputs = tern_caption_inputs (operands, &c.failed);

    if (!c.subtitles || refuse_stills (inputs, o.format))
      status = run (&o, &c, inputs, threads);
  }
  caption_clear (&c);
  options_clear (&o);
  return status;
}
