/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern caption: pictures, videos and folders to JSON lines or subtitles. */
#include <math.h>
#include <signal.h>
#include <string.h>

#include "engine/base/fraction.h"
#include "engine/decode/draft.h"
#include "engine/llm/llm.h"
#include "tern/tern.h"
#include "tools/caption-batch.h"
#include "tools/caption-output.h"
#include "tools/caption-questions.h"
#include "tools/media.h"
#include "tools/tool.h"

#define NOT_GIVEN TERN_CAPTION_NOT_GIVEN
#define OPTIONS_MAX 96

typedef struct {
  char *model, *mmproj, *rate, *compress, *gate, *reuse, *budget, *kv, *memory, *output, *format, *activations, *draft_model,
      *draft_vocabulary;
  TernCaptionQuestions questions;
  TernCaptionBatchOptions batch;
  double window, merge_ratio, kv_prune, gate_threshold, max_silence, reuse_threshold;
  gint frame_tokens, window_tokens, second_tokens, memory_tokens, max_tokens, beam, threads, track, reuse_refresh;
  gboolean overwrite, allow_network, metrics, think;
} Options;

typedef struct {
  TernModel *model;
  TernSessionParams params;
  TernMediaOptions media;
  TernCaptionOutput out;
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
check_reuse (const Options *o, TernReuseParams *reuse)
{
  g_autoptr (GError) error = NULL;

  if (o->reuse && !tern_reuse_mode_parse (o->reuse, &reuse->mode, &error)) {
    tern_tool_message ("caption: --reuse: %s", error->message);
    return FALSE;
  }
  if (o->reuse_threshold != NOT_GIVEN) {
    if (!(o->reuse_threshold >= TERN_REUSE_THRESHOLD_MIN && o->reuse_threshold <= TERN_REUSE_THRESHOLD_MAX))
      return wrong ("--reuse-threshold", "levels from 0.5 to 64", "%g", o->reuse_threshold);
    reuse->threshold = o->reuse_threshold;
  }
  return check_count ("--reuse-refresh", o->reuse_refresh, 0, TERN_REUSE_REFRESH_MAX, &reuse->refresh);
}

/* Whether this machine can keep to it is known before anything is done. */
static gboolean
check_budget (const char *text, TernBudgetParams *budget)
{
  g_autoptr (TernBudget) trial = NULL;
  g_autoptr (GError) error = NULL;

  if (text && tern_budget_parse (text, budget, &error))
    trial = tern_budget_new (budget, &error);
  if (!error)
    return TRUE;
  tern_tool_message ("caption: --budget: %s", error->message);
  return FALSE;
}

static gboolean
check_format (const Options *o, Caption *c)
{
  c->out.path = o->output;
  c->out.overwrite = o->overwrite;
  if (o->format && !tern_caption_format_parse (o->format, &c->out.format))
    return wrong ("--format", "jsonl, metadata, webdataset, srt, vtt, txt or mux", "%s", o->format);
  return TRUE;
}

static gboolean
check_options (const Options *o, Caption *c, guint *threads)
{
  TernSessionParams *p = &c->params;
  TernDraftScheme scheme = TERN_DRAFT_AUTO;
  g_autoptr (GError) error = NULL;
  TernActivationPolicy policy;
  TernKvType kv;

  if (o->rate && !tern_rate_parse (o->rate, &p->rate_n, &p->rate_d))    /* nothing a second is all, as of the elements */
    return wrong ("--frame-rate", "a number of frames a second: N, N/D or a decimal, or 0/1 for every frame", "%s", o->rate);
  if (!check_share ("--merge-ratio", o->merge_ratio, &p->compress.merge_ratio)
      || !check_share ("--kv-prune", o->kv_prune, &p->kv_prune)
      || !check_count ("--max-tokens", o->max_tokens, TERN_MAX_TOKENS_MIN, TERN_MAX_TOKENS_MAX, &p->sampling.max_tokens)
      || !check_count ("--max-tokens-per-frame", o->frame_tokens, 0, TERN_BUDGET_MAX, &p->compress.max_tokens_per_frame)
      || !check_count ("--max-tokens-per-window", o->window_tokens, 0, TERN_BUDGET_MAX, &p->compress.max_tokens_per_window)
      || !check_count ("--max-tokens-per-second", o->second_tokens, 0, TERN_BUDGET_MAX, &p->compress.max_tokens_per_second)
      || !check_count ("--beam", o->beam, TERN_BEAM_MIN, TERN_BEAM_MAX, &p->sampling.beam)
      || !tern_tool_check_threads (*threads = o->threads == NOT_GIVEN ? 0 : o->threads)
      || !check_count ("--memory-tokens", o->memory_tokens, TERN_MEMORY_TOKENS_MIN, TERN_MEMORY_TOKENS_MAX,
          &p->memory_tokens)
      || !check_gate (o, &p->gate) || !check_reuse (o, &p->reuse) || !check_format (o, c))
    return FALSE;
  if (o->memory && !g_str_equal (o->memory, "window") && !g_str_equal (o->memory, "stream"))
    return wrong ("--memory", "window or stream", "%s", o->memory);
  if (g_strcmp0 (o->memory, "stream") == 0)
    p->memory = TERN_MEMORY_STREAM;
  else if (o->memory_tokens != NOT_GIVEN)
    return wrong ("--memory-tokens", "--memory stream with it", "%d alone", o->memory_tokens);
  if (o->kv) {
    if (!tern_kv_parse (o->kv, &kv))
      return wrong ("--kv", TERN_KV_NAMES, "%s", o->kv);
    p->kv_type = (TernCacheType) kv;
  }
  if (o->activations && !g_str_equal (o->activations, "f32") && !tern_policy_parse (o->activations, &policy, &error)) {
    tern_tool_message ("caption: --activations: f32, or: %s", error->message);
    return FALSE;
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
  if (o->draft_vocabulary && !tern_draft_scheme_parse (o->draft_vocabulary, &scheme))
    return wrong ("--draft-vocabulary", "auto, same, tli or slem", "%s", o->draft_vocabulary);
  p->draft_vocabulary = (TernDraftVocabulary) scheme;
  p->draft_model = o->draft_model;
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

/* Of what was named, before anything is done. */
static gboolean
check_stills (const Caption *c, char **operands)
{
  for (; tern_caption_output_is_subtitles (&c->out) && *operands; operands++)
    if (tern_media_file_is_still (*operands)) {
      tern_caption_output_refuse_still (&c->out, *operands);
      return FALSE;
    }
  return TRUE;
}

static int
open_model (const Options *o, Caption *c, guint threads)
{
  TernModelParams model = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GError) error = NULL;

  model.model_path = o->model;
  model.mmproj_path = o->mmproj;
  model.threads = threads;
  model.float_activations = g_strcmp0 (o->activations, "f32") == 0;
  model.activations = model.float_activations ? NULL : o->activations;
  c->model = tern_model_open (&model, &error);
  return c->model ? TERN_TOOL_DONE : tern_tool_fail (&error);
}

/* Whether all inputs are pictures, as far as it is known before the run: what is about time is not for them. */
static gboolean
are_stills (const Options *o, char **operands)
{
  gboolean any = *operands != NULL && !o->batch.files_from;

  for (; any && *operands; operands++)
    any = !g_str_equal (*operands, "-") && g_file_test (*operands, G_FILE_TEST_IS_REGULAR) && tern_media_file_is_still (*operands);
  return any;
}

/* What was asked for and has nothing to work on beside the rest is said, and no more: scripts have one set of options for all. */
static void
tell_vain (const Options *o, const Caption *c, char **operands)
{
  static const char films[] = "it is about videos, and there are pictures alone";
  static const char closed[] = "labels are compared whole, not said token by token";
  const TernTask *task = o->questions.task ? tern_model_task (c->model, o->questions.task) : NULL;
  const char *schema = task && !o->questions.labels && !o->questions.grammar ? task->json_schema : NULL;
  gboolean labels = o->questions.labels || (task && task->labels && !o->questions.json_schema && !o->questions.grammar);
  gboolean form = labels || schema || o->questions.json_schema || o->questions.grammar, beams = c->params.sampling.beam > 1;
  gboolean gate_off = c->params.gate.mode == TERN_GATE_MODE_OFF, reuse_off = c->params.reuse.mode == TERN_REUSE_OFF;
  gboolean lines = c->out.format == TERN_CAPTION_LINES, stills = are_stills (o, operands);
  const TernToolVain all[] = {
    { "--frame-rate", o->rate != NULL, stills, films },
    { "--window", o->window != NOT_GIVEN, stills, films },
    { "--compress", o->compress != NULL, stills, films },
    { "--merge-ratio", o->merge_ratio != NOT_GIVEN, stills, films },
    { "--merge-ratio", o->merge_ratio != NOT_GIVEN, !stills && c->params.compress.method == TERN_METHOD_NONE,
        "--compress none drops no tokens" },
    { "--max-tokens-per-frame", o->frame_tokens != NOT_GIVEN, stills, films },
    { "--max-tokens-per-window", o->window_tokens != NOT_GIVEN, stills, films },
    { "--max-tokens-per-second", o->second_tokens != NOT_GIVEN, stills, films },
    { "--kv-prune", o->kv_prune != NOT_GIVEN, stills, films },
    { "--gate", o->gate != NULL, stills, films },
    { "--gate-threshold", o->gate_threshold != NOT_GIVEN, stills, films },
    { "--gate-threshold", o->gate_threshold != NOT_GIVEN, !stills && gate_off, "--gate off looks at every frame" },
    { "--max-silence", o->max_silence != NOT_GIVEN, stills, films },
    { "--max-silence", o->max_silence != NOT_GIVEN, !stills && gate_off, "--gate off looks at every frame" },
    { "--reuse", o->reuse != NULL, stills, films },
    { "--reuse-threshold", o->reuse_threshold != NOT_GIVEN, reuse_off, "without --reuse auto or on every patch is computed" },
    { "--reuse-refresh", o->reuse_refresh != NOT_GIVEN, reuse_off, "without --reuse auto or on every patch is computed" },
    { "--budget", o->budget != NULL, stills, films },
    { "--memory", o->memory != NULL, stills, films },
    { "--track", o->track != NOT_GIVEN, stills, films },
    { "--draft-vocabulary", o->draft_vocabulary != NULL, !o->draft_model, "there is no --draft-model" },
    { "--draft-model", o->draft_model != NULL, labels, closed },
    { "--draft-model", o->draft_model != NULL, !labels && beams, "with --beam nothing is guessed" },
    { "--beam", o->beam != NOT_GIVEN && beams, labels, closed },
    { "--min-confidence", o->questions.min_confidence != NOT_GIVEN, !labels, "the task has no labels" },
    { "--think", o->think, form, "answers in a form are not thought about" },
    { "--metrics", o->metrics, !lines, "--format jsonl alone has them" },
    { "--overwrite", o->overwrite, !o->output && !o->batch.beside && !o->batch.failures, "nothing is written to a file" },
  };

  tern_tool_tell_vain ("caption", all, G_N_ELEMENTS (all));
}

static int
run (const Options *o, Caption *c, char **operands, guint threads)
{
  int status;

  if (!check_stills (c, operands))
    return TERN_TOOL_USAGE;
  if ((status = open_model (o, c, threads)) != TERN_TOOL_DONE)
    return status;
  if (!tern_caption_questions_suit (&o->questions, c->model))
    return TERN_TOOL_USAGE;
  tell_vain (o, c, operands);
  return tern_caption_batch_run (&o->batch, c->model, &c->params, &c->media, &c->out, operands);
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
  g_free (o->reuse);
  g_free (o->budget);
  g_free (o->kv);
  g_free (o->activations);
  g_free (o->memory);
  g_free (o->draft_model);
  g_free (o->draft_vocabulary);
  g_free (o->output);
  g_free (o->format);
  tern_caption_batch_clear (&o->batch);
}

/* NULL: it is not there. */
static char *
checksum_of (const char *path)
{
  g_autofree char *text = NULL;
  gsize n;

  return path && g_file_get_contents (path, &text, &n, NULL) ? g_compute_checksum_for_string (G_CHECKSUM_MD5, text, n) : NULL;
}

/* What decides about answers, for the journal: another run that goes on must have the same. */
static char *
describe (const Options *o)
{
  g_autofree char *schema = checksum_of (o->questions.json_schema), *grammar = checksum_of (o->questions.grammar);
  const struct {
    const char *name, *value;
  } texts[] = {
    { "prompt", o->questions.prompt }, { "task", o->questions.task }, { "labels", o->questions.labels },
    { "json-schema", o->questions.json_schema }, { "grammar", o->questions.grammar }, { "schema's content", schema },
    { "grammar's content", grammar }, { "frame-rate", o->rate },
    { "compress", o->compress }, { "gate", o->gate }, { "kv", o->kv }, { "memory", o->memory },
    { "reuse", o->reuse }, { "activations", o->activations }, { "budget", o->budget },
  };
  const struct {
    const char *name;
    double value;
  } numbers[] = {
    { "min-confidence", o->questions.min_confidence }, { "window", o->window }, { "merge-ratio", o->merge_ratio },
    { "kv-prune", o->kv_prune }, { "gate-threshold", o->gate_threshold }, { "max-silence", o->max_silence },
    { "max-tokens-per-frame", o->frame_tokens }, { "max-tokens-per-window", o->window_tokens },
    { "max-tokens-per-second", o->second_tokens }, { "max-tokens", o->max_tokens }, { "beam", o->beam },
    { "memory-tokens", o->memory_tokens }, { "reuse-threshold", o->reuse_threshold }, { "reuse-refresh", o->reuse_refresh },
    { "track", o->track },
  };
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    if (texts[i].value)
      g_string_append_printf (out, "--%s %s ", texts[i].name, texts[i].value);
  for (guint i = 0; o->questions.questions && o->questions.questions[i]; i++)
    g_string_append_printf (out, "--question %s ", o->questions.questions[i]);
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (numbers[i].value != NOT_GIVEN)
      g_string_append_printf (out, "--%s %g ", numbers[i].name, numbers[i].value);
  if (o->metrics)
    g_string_append (out, "--metrics ");
  if (o->think)
    g_string_append (out, "--think ");
  return g_strchomp (g_string_free (out, FALSE));
}

/* The options were read. */
static int
check_and_run (Options *o, char **operands)
{
  Caption c = { .params = TERN_SESSION_PARAMS_INIT };
  guint threads = 0;
  int status = TERN_TOOL_USAGE;

  if (check_options (o, &c, &threads) && check_budget (o->budget, &o->batch.budget)) {
    status = tern_caption_batch_check (&o->batch, &c.out, operands);
    if (status == TERN_TOOL_DONE)
      status = tern_caption_questions_check (&o->questions, c.out.format != TERN_CAPTION_LINES, &c.params);
    o->batch.settings = describe (o);
    if (status == TERN_TOOL_DONE)
      status = run (o, &c, operands, threads);
  }
  if (c.model)
    tern_model_unref (c.model);
  return status;
}

int
tern_tool_caption (int argc, char **argv)
{
  Options o = { .window = NOT_GIVEN, .merge_ratio = NOT_GIVEN, .kv_prune = NOT_GIVEN,
    .gate_threshold = NOT_GIVEN, .max_silence = NOT_GIVEN, .reuse_threshold = NOT_GIVEN, .reuse_refresh = NOT_GIVEN,
    .frame_tokens = NOT_GIVEN, .window_tokens = NOT_GIVEN, .second_tokens = NOT_GIVEN, .max_tokens = NOT_GIVEN,
    .memory_tokens = NOT_GIVEN, .beam = NOT_GIVEN, .threads = NOT_GIVEN, .track = NOT_GIVEN, .questions.min_confidence = NOT_GIVEN,
    .batch = TERN_CAPTION_BATCH_OPTIONS_INIT };
  GOptionEntry entries[OPTIONS_MAX] = {
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
        "probable (0): jsonl says so, other formats leave the answer out", "P" },
    { "json-schema", 0, 0, G_OPTION_ARG_FILENAME, &o.questions.json_schema, "Or answer by JSON of this schema", "FILE" },
    { "grammar", 0, 0, G_OPTION_ARG_FILENAME, &o.questions.grammar, "Or by a sentence of this grammar (GBNF)", "FILE" },
    { "frame-rate", 0, 0, G_OPTION_ARG_STRING, &o.rate, "Frames a second of video that are looked at (2/1); 0/1 is "
        "every frame, but at most 32 of a window, evenly", "N/D" },
    { "window", 0, 0, G_OPTION_ARG_DOUBLE, &o.window, "Seconds of video a caption is about (4), rounded up to whole "
        "groups of frames: of 8 frames with the bundled models, so a shorter one needs a higher --frame-rate", "SECONDS" },
    { "compress", 0, 0, G_OPTION_ARG_STRING, &o.compress, "How visual tokens are chosen: dycoke (default), none, v-cast, ... "
        "(docs/compression.md)", "METHOD" },
    { "merge-ratio", 0, 0, G_OPTION_ARG_DOUBLE, &o.merge_ratio, "Share of tokens dropped in frames 2 to 4 of a group (0.8)", "K" },
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
    { "reuse", 0, 0, G_OPTION_ARG_STRING, &o.reuse, "Patches of a frame that look as they did keep their features: off "
        "(default), auto or on", "MODE" },
    { "reuse-threshold", 0, 0, G_OPTION_ARG_DOUBLE, &o.reuse_threshold, "Least difference for which a patch is computed "
        "again, in levels of 255 (4)", "LEVELS" },
    { "reuse-refresh", 0, 0, G_OPTION_ARG_INT, &o.reuse_refresh, "Every N-th frame is computed whole; 0 is never (16)",
        "N" },
    { "budget", 0, 0, G_OPTION_ARG_STRING, &o.budget, "Seconds of one core that are spent for each second of a video, as 0.5, or "
        "power, as 5W: what is new decides for what (docs/budget.md)", "CORES|WATTS" },
    { "kv", 0, 0, G_OPTION_ARG_STRING, &o.kv, "Keys and values are kept as " TERN_KV_NAMES " (auto)", "TYPE" },
    { "activations", 0, 0, G_OPTION_ARG_STRING, &o.activations, "How inputs of the language model's matrices are rounded, "
        "instead of as its file says, for studies: f32 (not at all, the encoder neither), int8, w1a8, a4.8, v2[:BLOCK] or "
        "v2-a8[:BLOCK]", "MODE" },
    { "memory", 0, 0, G_OPTION_ARG_STRING, &o.memory, "Frames of video are read window by window (default), or as one stream, "
        "of which what matters is remembered", "window|stream" },
    { "memory-tokens", 0, 0, G_OPTION_ARG_INT, &o.memory_tokens, "Tokens that are remembered (4096, or what the model has room "
        "for)", "N" },
    { "draft-model", 0, 0, G_OPTION_ARG_FILENAME, &o.draft_model, "A small language model (GGUF) that guesses captions, of which "
        "several tokens are then read at once; captions are the same", "FILE" },
    { "draft-vocabulary", 0, 0, G_OPTION_ARG_STRING, &o.draft_vocabulary, "... whose vocabulary is the same, or not: auto "
        "(default), same, tli (tokens that both have), slem (its text is split anew)", "KIND" },
    { "max-tokens", 0, 0, G_OPTION_ARG_INT, &o.max_tokens, "Longest caption (32)", "N" },
    { "beam", 0, 0, G_OPTION_ARG_INT, &o.beam, "Beams; 1 is greedy (1)", "N" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &o.threads, "Threads (all cores)", "N" },
    { "output", 0, 0, G_OPTION_ARG_FILENAME, &o.output, "File for JSON lines, metadata and webdataset, folder for the others; "
        "- is standard output", "PATH" },
    { "metrics", 0, 0, G_OPTION_ARG_NONE, &o.metrics, "JSON lines have how long each stage took", NULL },
    { "think", 0, 0, G_OPTION_ARG_NONE, &o.think, "Let the model think before it answers, if its template can say so; thoughts "
        "are no captions, but count among --max-tokens", NULL },
    { "track", 0, 0, G_OPTION_ARG_INT, &o.track, "Video track of each file, counted from 0 (the one that is the video)",
        "N" },
    { "overwrite", 0, 0, G_OPTION_ARG_NONE, &o.overwrite, "Replace output files that are there already", NULL },
    { "allow-network", 0, 0, G_OPTION_ARG_NONE, &o.allow_network, "Open URLs (http, https, rtsp, ...), and what playlists "
        "name there", NULL },
    { "format", 0, 0, G_OPTION_ARG_STRING, &o.format, "jsonl (default), metadata, webdataset, srt, vtt, txt, or mux: copies of "
        "films with subtitles in them", "FORMAT" },
  };
  g_auto (GStrv) operands = NULL;
  int status = TERN_TOOL_USAGE;
  guint n;

  signal (SIGPIPE, SIG_IGN);    /* a closed pipe is an error of the write */
  for (n = 0; entries[n].long_name; n++);
  tern_caption_batch_entries (&o.batch, entries + n);
  if (tern_tool_options (argc, argv, "[INPUT...]", 0, G_MAXINT,
          "Captions pictures, videos, folders and tar files of them; - is standard input.", entries, &operands))
    status = check_and_run (&o, operands);
  options_clear (&o);
  return status;
}
