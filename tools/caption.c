/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern caption: pictures, videos and folders to JSON lines or subtitles. */
#include <math.h>
#include <signal.h>
#include <string.h>

#include "engine/llm/llm.h"
#include "tern/tern.h"
#include "tools/caption-inputs.h"
#include "tools/caption-output.h"
#include "tools/caption-questions.h"
#include "tools/media.h"
#include "tools/source.h"
#include "tools/tool.h"

#define NOT_GIVEN TERN_CAPTION_NOT_GIVEN

typedef struct {
  char *model, *mmproj, *rate, *compress, *gate, *kv, *output, *format;
  TernCaptionQuestions questions;
  double window, merge_ratio, kv_prune, gate_threshold, max_silence;
  gint frame_tokens, window_tokens, second_tokens, max_tokens, beam, threads, track;
  gboolean overwrite, allow_network, metrics, think;
} Options;

typedef struct {
  TernModel *model;
  TernSessionParams params;
  TernMediaOptions media;
  TernCaptionOutput out;
  const TernCaptionInputs *inputs;
  guint failed;
  gboolean usage;               /* the options do not suit the model or an input */

  /* the input at work */
  TernCaptionInput *input;
  guint number;
  const char *source;           /* its name, without a password */
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

static gboolean
check_share (const char *option, double value, double *out)
{
  if (value == NOT_GIVEN)
    return TRUE;
  if (!(value >= 0 && value <= TERN_SHARE_MAX))
    return wrong (option, "a number from 0 to 1", "%g", value);
  *out = value;
  return TRUE;
}

static gboolean
check_count (const char *option, gint value, gint least, gint most, guint *out)
{
  g_autofree char *range = g_strdup_printf ("an integer from %d to %d", least, most);

  if (value == NOT_GIVEN)
    return TRUE;
  if (value < least || value > most)
    return wrong (option, range, "%d", value);
  *out = value;
  return TRUE;
}

static gboolean
check_gate (const Options *o, TernGateParams *gate)
{
  g_autoptr (GError) error = NULL;

  if (o->gate && !tern_gate_mode_parse (o->gate, &gate->mode, &error)) {
    tern_tool_message ("caption: --gate: %s", error->message);
    return FALSE;
  }
  if (o->gate_threshold != NOT_GIVEN) {
    if (!(o->gate_threshold >= TERN_GATE_THRESHOLD_MIN && o->gate_threshold <= TERN_GATE_THRESHOLD_MAX))
      return wrong ("--gate-threshold", "levels from 1 to 255", "%g", o->gate_threshold);
    gate->threshold = o->gate_threshold;
  }
  if (o->max_silence != NOT_GIVEN) {
    if (!(o->max_silence >= 0 && o->max_silence <= 1e9))
      return wrong ("--max-silence", "seconds, 0 to 1e9", "%g", o->max_silence);
    gate->max_silence = (guint64) llrint (o->max_silence * TERN_SECOND);
  }
  return TRUE;
}

static gboolean
check_format (const Options *o, Caption *c)
{
  c->out.path = o->output;
  c->out.overwrite = o->overwrite;
  if (!o->format || g_str_equal (o->format, "jsonl"))
    return TRUE;
  c->out.subtitles = TRUE;
  c->out.kind = g_str_equal (o->format, "vtt") ? TERN_SUBTITLES_VTT : TERN_SUBTITLES_SRT;
  if (!g_str_equal (o->format, "srt") && !g_str_equal (o->format, "vtt"))
    return wrong ("--format", "jsonl, srt or vtt", "%s", o->format);
  if (!o->output)
    return wrong ("--output", "the folder for subtitle files", "none");
  return TRUE;
}

static gboolean
check_options (const Options *o, Caption *c, guint *threads)
{
  TernSessionParams *p = &c->params;
  g_autoptr (GError) error = NULL;
  TernKvType kv;

  if (o->rate && !tern_tool_parse_rate (o->rate, &p->rate_n, &p->rate_d))
    return wrong ("--frame-rate", "a positive number of frames a second, N or N/D", "%s", o->rate);
  if (!check_share ("--merge-ratio", o->merge_ratio, &p->compress.merge_ratio)
      || !check_share ("--kv-prune", o->kv_prune, &p->kv_prune)
      || !check_count ("--max-tokens", o->max_tokens, TERN_MAX_TOKENS_MIN, TERN_MAX_TOKENS_MAX, &p->sampling.max_tokens)
      || !check_count ("--max-tokens-per-frame", o->frame_tokens, 0, TERN_BUDGET_MAX, &p->compress.max_tokens_per_frame)
      || !check_count ("--max-tokens-per-window", o->window_tokens, 0, TERN_BUDGET_MAX, &p->compress.max_tokens_per_window)
      || !check_count ("--max-tokens-per-second", o->second_tokens, 0, TERN_BUDGET_MAX, &p->compress.max_tokens_per_second)
      || !check_count ("--beam", o->beam, TERN_BEAM_MIN, TERN_BEAM_MAX, &p->sampling.beam)
      || !tern_tool_check_threads (*threads = o->threads == NOT_GIVEN ? 0 : o->threads)
      || !check_gate (o, &p->gate) || !check_format (o, c))
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
  if (o->compress && !tern_method_parse (o->compress, &p->compress.method, &error)) {
    tern_tool_message ("caption: --compress: %s", error->message);
    return FALSE;
  }
  p->metrics = o->metrics;
  p->think = o->think;
  c->media = (TernMediaOptions) TERN_MEDIA_OPTIONS_INIT;
  c->media.allow_network = o->allow_network;
  if (o->track != NOT_GIVEN && (o->track < 0 || o->track > 4095))
    return wrong ("--track", "the number of a video track, from 0", "%d", o->track);
  if (o->track != NOT_GIVEN)
    c->media.track = o->track;
  return TRUE;
}

/* ---- Work -------------------------------------------------------------------------------------------------------- */

static void
show_progress (Caption *c, guint64 pts, guint64 duration)
{
  tern_caption_output_progress (&c->out, c->source, c->number, c->inputs->inputs->len, pts, duration);
}

/* The input could not be done, or not all of it. */
static void
input_failed (Caption *c, GError *error)
{
  tern_caption_output_clear_progress (&c->out);
  if (strstr (error->message, g_str_equal (c->source, "-") ? "standard input" : c->source))
    tern_tool_message ("%s", error->message);
  else
    tern_tool_message ("%s: %s", c->source, error->message);
}

static gboolean
stopped (const Caption *c)
{
  return c->usage || c->out.closed;
}

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
    good = tern_caption_output_take (&c->out, result) && good;
  return good;
}

/* All frames of one file. What was decoded before a file breaks off is answered too. */
static gboolean
run_media (Caption *c, TernSession *session, TernMedia *media, GError **error)
{
  guint64 length = tern_media_duration (media), pts = 0, duration;
  TernNext next;
  TernResult *result;
  TernImage image;
  gboolean good = TRUE;

  while (!stopped (c) && tern_media_next (media, &image, &pts, &duration, error) == TERN_MEDIA_FRAME) {
    show_progress (c, pts, length);
    if (!push (c, session, media, &image, pts, duration, error))
      break;
    good = poll_results (c, session) && good;
  }
  tern_session_finish (session);
  while (!stopped (c) && (next = tern_session_next (session, 200000, &result)) != TERN_NEXT_END) {
    if (next == TERN_NEXT_RESULT)
      good = tern_caption_output_take (&c->out, result) && good;
    show_progress (c, pts, length);
  }
  return good && !*error;
}

/* A still has no time for a subtitle to be shown. */
static gboolean
refuse_still (Caption *c, const char *name)
{
  tern_tool_message ("caption: %s: expected a video for --format %s, found a still", name,
      tern_subtitles_suffix (c->out.kind) + 1);
  c->usage = TRUE;
  return FALSE;
}

/* FALSE with @error, or, when the input is of no interest, without. */
static TernMedia *
open_media (Caption *c, GError **error)
{
  TernMediaOptions options = c->media;
  g_autoptr (GError) failure = NULL;
  TernMedia *media;
  gboolean other;

  options.in_folder = c->input->folder != NULL;
  media = tern_media_open (c->input->path, &options, &other, &failure);
  if (!media) {
    if (!other || !tern_caption_input_pass (c->input))
      g_propagate_error (error, g_steal_pointer (&failure));
    return NULL;
  }
  if (tern_media_choice (media)) {
    tern_caption_output_clear_progress (&c->out);
    tern_tool_message ("%s: %s; --track N takes another", c->source, tern_media_choice (media));
  }
  return media;
}

/* FALSE with or without @error: not all of it could be done. */
static gboolean
run_open (Caption *c, TernMedia *media, GError **error)
{
  g_autoptr (TernSession) session = NULL;
  gboolean good;

  if (c->out.subtitles && tern_media_is_still (media))
    return refuse_still (c, c->source);
  if (!tern_caption_output_begin (&c->out, c->input->path, error))
    return FALSE;
  c->params.source = c->source;
  session = tern_session_new (c->model, &c->params, error);
  if (!session) {
    c->usage = g_error_matches (*error, TERN_ERROR, TERN_ERROR_INVALID);        /* no other input would fare better */
    return FALSE;
  }
  good = run_media (c, session, media, error);
  if (!good && !*error)
    tern_tool_message ("%s: expected a caption of every window, found that some failed", c->source);
  if (good || c->out.n_cues > 0) {
    g_autoptr (GError) unwritten = NULL;

    if (!tern_caption_output_end (&c->out, &unwritten)) {
      input_failed (c, unwritten);
      good = FALSE;
    }
  }
  return good;
}

static void
run_input (Caption *c)
{
  g_autofree char *name = tern_source_public_name (c->input->path);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernMedia) media = NULL;

  c->source = name;
  media = open_media (c, &error);
  if (media ? !run_open (c, media, &error) : error != NULL)
    c->failed++;
  if (error)
    input_failed (c, error);
  tern_caption_output_clear_progress (&c->out);
}

static gboolean
check_stills (Caption *c)
{
  for (guint i = 0; c->out.subtitles && i < c->inputs->inputs->len; i++) {
    const char *path = g_array_index (c->inputs->inputs, TernCaptionInput, i).path;

    if (tern_media_file_is_still (path))
      return refuse_still (c, path);
  }
  return TRUE;
}

static int
run (const Options *o, Caption *c, guint threads)
{
  TernModelParams model = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GError) error = NULL;

  if (!check_stills (c))
    return TERN_TOOL_USAGE;
  model.model_path = o->model;
  model.mmproj_path = o->mmproj;
  model.threads = threads;
  c->model = tern_model_open (&model, &error);
  if (!c->model) {
    tern_tool_message ("%s", error->message);
    return TERN_TOOL_FAILED;
  }
  if (!tern_caption_questions_suit (&o->questions, c->model))
    return TERN_TOOL_USAGE;
  if (!tern_caption_output_open (&c->out))
    return TERN_TOOL_FAILED;
  for (c->number = 0; c->number < c->inputs->inputs->len && !stopped (c); c->number++) {
    c->input = &g_array_index (c->inputs->inputs, TernCaptionInput, c->number);
    run_input (c);
  }
  if (!stopped (c))
    tern_caption_inputs_report (c->inputs, &c->failed);
  return c->usage ? TERN_TOOL_USAGE : c->failed || c->out.closed ? TERN_TOOL_FAILED : TERN_TOOL_DONE;
}

static int
find_and_run (const Options *o, Caption *c, char **operands, guint threads)
{
  g_autoptr (TernCaptionInputs) inputs = tern_caption_inputs (operands, &c->failed);

  c->inputs = inputs;
  return run (o, c, threads);
}

static void
options_clear (Options *o)
{
  g_free (o->model);
  g_free (o->mmproj);
  tern_caption_questions_clear (&o->questions);
  g_free (o->rate);
  g_free (o->compress);
  g_free (o->gate);
  g_free (o->kv);
  g_free (o->output);
  g_free (o->format);
}

int
tern_tool_caption (int argc, char **argv)
{
  Options o = { .window = NOT_GIVEN, .merge_ratio = NOT_GIVEN, .kv_prune = NOT_GIVEN,
    .gate_threshold = NOT_GIVEN, .max_silence = NOT_GIVEN, .frame_tokens = NOT_GIVEN,
    .window_tokens = NOT_GIVEN, .second_tokens = NOT_GIVEN, .max_tokens = NOT_GIVEN,
    .beam = NOT_GIVEN, .threads = NOT_GIVEN, .track = NOT_GIVEN, .questions.min_confidence = NOT_GIVEN };
  const GOptionEntry entries[] = {
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &o.model, "GGUF file of the language model, or a folder with one", "FILE" },
    { "mmproj", 0, 0, G_OPTION_ARG_FILENAME, &o.mmproj, "GGUF file of the vision encoder", "FILE" },
    { "prompt", 0, 0, G_OPTION_ARG_STRING, &o.questions.prompt, "Instruction; empty for none", "TEXT" },
    { "question", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.questions.questions, "Or several: each answers with a line of its own "
        "for each window, ID being its prompt_id", "ID=TEXT" },
    { "task", 0, 0, G_OPTION_ARG_STRING, &o.questions.task, "A question that the model file carries (`tern tasks`); options "
        "beside it go before what it says", "NAME" },
    { "labels", 0, 0, G_OPTION_ARG_STRING, &o.questions.labels, "Answer by one of these words or phrases, with the "
        "probability of each; \\, is a comma in one", "A,B,..." },
    { "min-confidence", 0, 0, G_OPTION_ARG_DOUBLE, &o.questions.min_confidence, "Abstain when the likeliest label is less "
        "probable (0)", "P" },
    { "json-schema", 0, 0, G_OPTION_ARG_FILENAME, &o.questions.json_schema, "Or answer by JSON of this schema", "FILE" },
    { "grammar", 0, 0, G_OPTION_ARG_FILENAME, &o.questions.grammar, "Or by a sentence of this grammar (GBNF)", "FILE" },
    { "frame-rate", 0, 0, G_OPTION_ARG_STRING, &o.rate, "Frames a second of video that are looked at (2/1)", "N/D" },
    { "window", 0, 0, G_OPTION_ARG_DOUBLE, &o.window, "Seconds of video a caption is about (4)", "SECONDS" },
    { "compress", 0, 0, G_OPTION_ARG_STRING, &o.compress, "How visual tokens are chosen: dycoke (default), none, v-cast, ... "
        "(docs/compression.md)", "METHOD" },
    { "merge-ratio", 0, 0, G_OPTION_ARG_DOUBLE, &o.merge_ratio, "Share of tokens dropped in frames 2 to 4 of a group (0.7)", "K" },
    { "max-tokens-per-frame", 0, 0, G_OPTION_ARG_INT, &o.frame_tokens, "Visual tokens of a frame of video, at most", "N" },
    { "max-tokens-per-window", 0, 0, G_OPTION_ARG_INT, &o.window_tokens, "Visual tokens of a window, at most", "N" },
    { "max-tokens-per-second", 0, 0, G_OPTION_ARG_INT, &o.second_tokens, "Visual tokens of a second of video, at most", "N" },
    { "kv-prune", 0, 0, G_OPTION_ARG_DOUBLE, &o.kv_prune, "Share of visual keys that decoding leaves out of videos (0)",
        "P" },
    { "gate", 0, 0, G_OPTION_ARG_STRING, &o.gate, "Frames of video in which nothing is new are left out: auto (default; "
        "once the scene stands still), off or on", "MODE" },
    { "gate-threshold", 0, 0, G_OPTION_ARG_DOUBLE, &o.gate_threshold, "Least difference that is something new, in levels of "
        "255 (6)", "LEVELS" },
    { "max-silence", 0, 0, G_OPTION_ARG_DOUBLE, &o.max_silence, "Look after so many seconds although nothing is new; 0 is "
        "never (60)", "SECONDS" },
    { "kv", 0, 0, G_OPTION_ARG_STRING, &o.kv, "Keys and values are kept as auto (default), f32, f16 or int8", "TYPE" },
    { "max-tokens", 0, 0, G_OPTION_ARG_INT, &o.max_tokens, "Longest caption (32)", "N" },
    { "beam", 0, 0, G_OPTION_ARG_INT, &o.beam, "Beams; 1 is greedy (1)", "N" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &o.threads, "Threads (all cores)", "N" },
    { "output", 0, 0, G_OPTION_ARG_FILENAME, &o.output, "File for JSON lines, folder for subtitles", "PATH" },
    { "metrics", 0, 0, G_OPTION_ARG_NONE, &o.metrics, "JSON lines have how long each stage took", NULL },
    { "think", 0, 0, G_OPTION_ARG_NONE, &o.think, "Let the model think before it answers, if its template can say so; thoughts "
        "are no captions, but count among --max-tokens", NULL },
    { "track", 0, 0, G_OPTION_ARG_INT, &o.track, "Video track of each file, counted from 0 (the one that is the video)",
        "N" },
    { "overwrite", 0, 0, G_OPTION_ARG_NONE, &o.overwrite, "Replace output files that are there already", NULL },
    { "allow-network", 0, 0, G_OPTION_ARG_NONE, &o.allow_network, "Open URLs (http, https, rtsp, ...), and what playlists "
        "name there", NULL },
    { "format", 0, 0, G_OPTION_ARG_STRING, &o.format, "jsonl (default), srt or vtt", "FORMAT" },
    { NULL }
  };
  Caption c = { .params = TERN_SESSION_PARAMS_INIT };
  g_auto (GStrv) operands = NULL;
  guint threads = 0;
  int status = TERN_TOOL_USAGE;

  signal (SIGPIPE, SIG_IGN);    /* a closed pipe is an error of the write */
  if (tern_tool_options (argc, argv, "INPUT...", 1, G_MAXINT,
          "Captions pictures, videos, and folders of them; - is standard input.", entries, &operands)
      && check_options (&o, &c, &threads)) {
    status = tern_caption_questions_check (&o.questions, c.out.subtitles, &c.params);
    if (status == TERN_TOOL_DONE)
      status = find_and_run (&o, &c, operands, threads);
  }
  if (!tern_caption_output_close (&c.out) && status == TERN_TOOL_DONE)
    status = TERN_TOOL_FAILED;
  if (c.model)
    tern_model_unref (c.model);
  options_clear (&o);
  return status;
}
