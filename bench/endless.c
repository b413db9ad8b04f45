/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream without an end, from a source that is faster than time: hours of visual tokens into a session with memory=stream,
 * asked once an hour about the last minute and about the hour before. No clock is waited for; hours are counted in frames.
 *
 *   endless [--model F] [--hours H] [--rate N] [--new SHARE] [--tokens N] [--memory N] [--json]
 *
 * --rate frames a second (2), of which a --new share (1) shows something new (the others are the picture before, as an
 * encoder behind a gate says), each of --tokens visual tokens (15) in scenes that change every few minutes; --memory tokens are
 * remembered (4096). Prints, hour by hour, the resident memory of the process, what is remembered, how often some was forgotten,
 * and what became of both questions. Exit status 1: after the first tenth of the time memory grew by 1 % or more, more was
 * remembered than --memory says, the last minute was forgotten, or an hour ago was told of although nothing of it is remembered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/random.h"
#include "tern/tern.h"

#define HOUR 3600
#define SCENE 240               /* seconds */

static char *path;
static gint hours = 24, rate = 2, n_tokens = 15, memory = 4096;
static double share = 1;
static gboolean json;

typedef struct {
  TernSession *session;
  guint dim;
  float *scene, *frame;         /* [n_tokens][dim] */
  TernRandom random;
  guint64 n, picture;           /* frames, and pictures that they showed */
  gsize settled;                /* bytes resident after the first tenth */
  guint64 most;                 /* tokens remembered */
  guint wrong;
} Stream;

static void G_GNUC_NORETURN
fail (GError *error)
{
  g_printerr ("endless: %s\n", error->message);
  exit (1);
}

static gsize
resident (void)
{
  unsigned long total = 0, pages = 0;
  FILE *file = fopen ("/proc/self/statm", "r");

  if (!file || fscanf (file, "%lu %lu", &total, &pages) != 2)
    pages = 0;
  if (file)
    fclose (file);
  return (gsize) pages * (gsize) sysconf (_SC_PAGESIZE);
}

static void
draw (Stream *s, float *rows, const float *around, double size)
{
  for (gsize i = 0; i < (gsize) n_tokens * s->dim; i++)
    rows[i] = (float) ((around ? around[i] : 0) + size * (tern_random_uniform (&s->random) - .5));
}

/* ---- In ---------------------------------------------------------------------------------------------------------- */

static void
push (Stream *s)
{
  guint64 tick = TERN_SECOND / (guint64) rate;
  TernTokens tokens = { .pts = s->n * tick, .duration = tick, .number = s->n, .grid_w = (guint) n_tokens, .grid_h = 1,
    .dim = s->dim, .n_tokens = (guint) n_tokens, .tokens = s->frame };
  GError *error = NULL;

  if (s->n % (SCENE * (guint) rate) == 0)
    draw (s, s->scene, NULL, .5);
  if (s->n == 0 || tern_random_uniform (&s->random) < share) {
    draw (s, s->frame, s->scene, .1);
    s->picture++;
  }
  tokens.picture = s->picture;
  while (!tern_session_push_tokens (s->session, &tokens, &error)) {
    if (!g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY))
      fail (error);
    g_clear_error (&error);
    tern_session_wait (s->session, -1);
  }
  s->n++;
}

/* ---- Out --------------------------------------------------------------------------------------------------------- */

/* About [from, to) seconds. */
static TernResult *
ask (Stream *s, guint64 from, guint64 to)
{
  TernRequest request = { .question = { .prompt = "What is there?" }, .from = from * TERN_SECOND, .to = to * TERN_SECOND };
  TernResult *result = NULL;
  GError *error = NULL;
  guint64 id;

  if (!tern_session_ask (s->session, &request, &id, &error))
    fail (error);
  if (tern_session_next (s->session, -1, &result) != TERN_NEXT_RESULT || result->ask_id != id
      || strcmp (result->kind, "error") == 0) {
    g_printerr ("endless: expected an answer, found %s\n", result ? result->result : "none");
    exit (1);
  }
  return result;
}

/* Whether a span covers some of [from, to). */
static gboolean
remembers (const TernResult *result, double from, double to)
{
  for (guint i = 0; i < result->n_memory_spans; i += 2)
    if (result->memory_spans[i] < to && result->memory_spans[i + 1] > from)
      return TRUE;
  return FALSE;
}

static void
tell (Stream *s, guint hour)
{
  guint64 now = s->n / (guint64) rate, then = now > HOUR ? now - HOUR : 0;
  TernResult *last = ask (s, now - 60, now), *before = ask (s, then, then + 10);
  gboolean forgotten = strcmp (before->finish_reason, "forgotten") == 0;
  TernSessionStats stats;

  tern_session_stats (s->session, &stats);
  s->most = MAX (s->most, stats.memory_tokens);
  s->wrong += strcmp (last->finish_reason, "forgotten") == 0 || (!forgotten
      && !remembers (before, (double) then, (double) then + 10));
  g_print (json ? "{\"hour\": %u, \"resident_bytes\": %" G_GSIZE_FORMAT ", \"memory_tokens\": %" G_GUINT64_FORMAT
      ", \"turns\": %" G_GUINT64_FORMAT ", \"last_minute_frames\": %u, \"hour_ago\": \"%s\", \"remembered_from_s\": %.1f}\n"
      : "%2u h: %" G_GSIZE_FORMAT " bytes resident, %" G_GUINT64_FORMAT " tokens remembered, forgotten %" G_GUINT64_FORMAT
      " times, last minute: %u frames, an hour ago: %s, remembered from %.1f s on\n", hour, resident (), stats.memory_tokens,
      stats.memory_turns, last->frames, before->finish_reason, last->n_memory_spans ? last->memory_spans[0] : -1.);
  tern_result_unref (last);
  tern_result_unref (before);
}

static int
conclude (const Stream *s)
{
  gsize now = resident ();
  double grew = s->settled ? (double) now / (double) s->settled - 1 : 0;
  gboolean ok = grew < .01 && s->most <= (guint64) memory && s->wrong == 0;

  g_print (json ? "{\"hours\": %d, \"frames\": %" G_GUINT64_FORMAT ", \"pictures\": %" G_GUINT64_FORMAT ", \"grew\": %.5f, "
      "\"most_tokens\": %" G_GUINT64_FORMAT ", \"wrong\": %u}\n" : "%d hours, %" G_GUINT64_FORMAT " frames with %"
      G_GUINT64_FORMAT " pictures: resident memory grew by %.5f of itself, at most %" G_GUINT64_FORMAT
      " tokens were remembered, %u questions were answered wrongly\n", hours, s->n, s->picture, grew, s->most, s->wrong);
  return ok ? 0 : 1;
}

int
main (int argc, char **argv)
{
  const GOptionEntry entries[] = {
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &path, "GGUF file of the language model (the bundled one)", "F" },
    { "hours", 0, 0, G_OPTION_ARG_INT, &hours, "Of stream (24)", "H" },
    { "rate", 0, 0, G_OPTION_ARG_INT, &rate, "Frames a second (2)", "N" },
    { "new", 0, 0, G_OPTION_ARG_DOUBLE, &share, "Share of frames that show something new (1)", "SHARE" },
    { "tokens", 0, 0, G_OPTION_ARG_INT, &n_tokens, "Of a frame (15)", "N" },
    { "memory", 0, 0, G_OPTION_ARG_INT, &memory, "Tokens to remember (4096)", "N" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "One JSON object a line", NULL },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  TernModelParams model_params = TERN_MODEL_PARAMS_INIT;
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  Stream s = { .random = { 1 } };
  GError *error = NULL;
  TernModel *model;
  int status;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    fail (error);
  if (hours < 1 || rate < 1 || n_tokens < 1 || !(share > 0 && share <= 1)) {
    g_printerr ("endless: expected --hours, --rate and --tokens of at least 1, and --new above 0 and at most 1\n");
    return 2;
  }
  model_params.model_path = path;
  model_params.parts = TERN_MODEL_TEXT;
  if (!(model = tern_model_open (&model_params, &error)))
    fail (error);
  params.memory = TERN_MEMORY_STREAM;
  params.memory_tokens = (guint) memory;
  params.on_demand = TRUE;
  params.rate_n = (guint) rate;
  params.compress.method = TERN_METHOD_NONE;
  if (!(s.session = tern_session_new (model, &params, &error)))
    fail (error);
  s.dim = tern_model_embedding_dim (model);
  s.scene = g_new (float, (gsize) n_tokens * s.dim);
  s.frame = g_new (float, (gsize) n_tokens * s.dim);
  for (guint64 end = (guint64) hours * HOUR * (guint64) rate; s.n < end;) {
    push (&s);
    if (s.n == 60 * (guint64) rate)       /* what requests take is taken with the first one */
      tern_result_unref (ask (&s, 0, 60));
    if (s.n % (HOUR * (guint64) rate) == 0)
      tell (&s, (guint) (s.n / (HOUR * (guint64) rate)));
    if (s.n == end / 10)
      s.settled = resident ();
  }
  status = conclude (&s);
  tern_session_free (s.session);
  tern_model_unref (model);
  g_free (s.scene);
  g_free (s.frame);
  return status;
}
