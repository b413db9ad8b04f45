/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Windows of video from the first frame to the last word; every figure is a comparison within one run.
 *
 *   windows dycoke MODEL    32 frames of 196 tokens with K = P = .7 against all of them: reading them and saying 64 tokens
 *   windows defaults MODEL  32 frames of 64 tokens, compressed and pruned as by default, against all of them; --method NAME and
 *                           --merge-ratio K: as if these were the defaults
 *   windows pruned MODEL    saying 64 tokens behind 32 frames of 121, with fewer and fewer of their keys
 *   windows batch           the bundled model, frames in memory, as fast as it goes: captions a second
 *   windows live            ... 16 streams, each --rate frames a second: windows answered, dropped, and how late
 *
 * --frames N of a window (batch 1; live --rate, a second), --raw FILE WxH: RGB frames instead of painted ones, as of
 * `ffmpeg -i F -pix_fmt rgb24 -f rawvideo`; --threads N (all cores), --seconds S, --rounds N, --json. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/median.h"
#include "engine/base/random.h"
#include "tern/tern.h"

#define STREAMS 16
#define GROUP 4            /* frames that are merged with each other: windows are whole groups */
#define PAINTED 40
#define MS(x) ((guint64) (x) * 1000000)

static gint threads, seconds = 10, rounds = 3, frames, rate = 5, streams = STREAMS;
static gboolean json;
static char *raw;
static char *size;
static TernCompressorParams by_default = TERN_COMPRESSOR_PARAMS_INIT;

/* What there is to look at. */
static guint8 *pixels;
static guint width = 320, height = 180, n_pictures;

static gint64
now (void)
{
  return g_get_monotonic_time ();
}

static double
cpu_seconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void G_GNUC_NORETURN
fail (GError *error)
{
  g_printerr ("windows: %s\n", error->message);
  exit (1);
}

static TernModel *
open_model (const char *path, TernModelParts parts)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  GError *error = NULL;
  TernModel *model;

  params.model_path = path;
  params.parts = parts;
  params.threads = (guint) threads;
  if (!(model = tern_model_open (&params, &error)))
    fail (error);
  return model;
}

static TernSession *
new_session (TernModel *model, const TernSessionParams *params)
{
  GError *error = NULL;
  TernSession *session = tern_session_new (model, params, &error);

  if (!session)
    fail (error);
  return session;
}

/* ---- DyCoke ------------------------------------------------------------------------------------------------------ */

#define WINDOW 32

/* What becomes of frames before they are read, and of their keys afterwards. */
typedef struct {
  const char *name;
  TernCompressorParams compress;
  double kv_prune;
} Way;

typedef struct {
  double ms, decode_ms;         /* from the first push to the answer; of that, saying it */
} Time;

/* One window; what the answer says of itself goes to stderr. */
static Time
answer (TernModel *model, const float *rows, guint grid, const Way *way)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  guint dim = tern_model_embedding_dim (model);
  g_autoptr (TernSession) session = NULL;
  TernResult *result;
  gint64 begin;
  Time time;

  params.window = WINDOW * MS (500);
  params.max_frames = WINDOW;
  params.sampling.ignore_eog = TRUE;
  params.sampling.max_tokens = 64;
  params.compress = way->compress;
  params.kv_prune = way->kv_prune;
  session = new_session (model, &params);
  begin = now ();
  for (guint i = 0; i < WINDOW; i++) {
    TernTokens tokens = { .pts = MS (500) * i, .duration = MS (500), .number = i, .grid_w = grid, .grid_h = grid, .dim = dim,
      .n_tokens = grid * grid, .tokens = rows + (gsize) i * grid * grid * dim };
    GError *error = NULL;

    while (!tern_session_push_tokens (session, &tokens, &error)) {
      if (!g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY))
        fail (error);
      g_clear_error (&error);
      tern_session_wait (session, -1);
    }
  }
  tern_session_finish (session);
  if (tern_session_next (session, -1, &result) != TERN_NEXT_RESULT || strcmp (result->kind, "error") == 0) {
    g_printerr ("windows: expected an answer, found none\n");
    exit (1);
  }
  time = (Time) { (double) (now () - begin) / 1000, result->metrics.decode_ms };
  g_printerr ("%-7s prompt of %u tokens: prefill %.0f ms, decode %.0f ms\n", way->name, result->prompt_tokens,
      result->metrics.prefill_ms, result->metrics.decode_ms);
  tern_result_unref (result);
  return time;
}

static float *
random_frames (TernModel *model, guint grid)
{
  gsize n = (gsize) WINDOW * grid * grid * tern_model_embedding_dim (model);
  float *rows = g_new (float, n);
  TernRandom random = { 1 };

  for (gsize i = 0; i < n; i++)
    rows[i] = (float) (tern_random_uniform (&random) - .5) / 8;
  return rows;
}

static Way
way_of (const char *name, TernMethod method, double merge_ratio, double kv_prune)
{
  Way way = { name, TERN_COMPRESSOR_PARAMS_INIT, kv_prune };

  way.compress.method = method;
  way.compress.merge_ratio = merge_ratio;
  return way;
}

static void
compare (const char *path, guint grid, const Way *way)
{
  TernModel *model = open_model (path, TERN_MODEL_TEXT);
  g_autofree float *rows = random_frames (model, grid);
  g_autofree double *none = g_new (double, rounds), *merged = g_new (double, rounds);
  Way all = way_of ("all", TERN_METHOD_NONE, 0, 0);
  double a, b;

  answer (model, rows, grid, way);       /* warms up */
  for (gint i = 0; i < rounds; i++) {
    none[i] = answer (model, rows, grid, &all).ms;
    merged[i] = answer (model, rows, grid, way).ms;
  }
  a = median (none, (guint) rounds);
  b = median (merged, (guint) rounds);
  if (json)
    g_print ("{\"none_ms\": %.1f, \"%s_ms\": %.1f}\n", a, way->name, b);
  else
    g_print ("32 frames of %u tokens, 64 said, median of %d: all %.0f ms, %s %.0f ms: %.2f times\n", grid * grid, rounds, a,
        way->name, b, a / b);
  tern_model_unref (model);
}

/* What attention costs a token, by how many keys are left: what is above saying as much behind hardly any. */
static void
prune (const char *path, guint grid)
{
  static const double shares[] = { 0, .25, .5, .75, .9, .99 };
  enum { N = G_N_ELEMENTS (shares) };
  TernModel *model = open_model (path, TERN_MODEL_TEXT);
  g_autofree float *rows = random_frames (model, grid);
  g_autofree double *found = g_new (double, N * rounds);
  double ms[N];

  for (gint i = 0; i < rounds; i++)
    for (guint k = 0; k < N; k++) {
      Way way = way_of ("pruned", TERN_METHOD_NONE, 0, shares[k]);

      found[k * rounds + i] = answer (model, rows, grid, &way).decode_ms;
    }
  for (guint k = 0; k < N; k++)
    ms[k] = median (found + k * rounds, (guint) rounds);
  for (guint k = 0; k < N; k++)
    g_print ("kv-prune %.2f: 64 tokens in %.1f ms; what %u keys cost above those of .99: %.2f of all\n", shares[k], ms[k],
        (guint) (WINDOW * grid * grid * (1 - shares[k])), (ms[k] - ms[N - 1]) / (ms[0] - ms[N - 1]));
  tern_model_unref (model);
}

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

static void
paint (guint8 *picture, guint t)
{
  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < width; x++) {
      guint8 *p = picture + 3 * ((gsize) y * width + x);

      p[0] = (guint8) (x + 7 * t);
      p[1] = (guint8) (y + 3 * t);
      p[2] = (guint8) ((x * y >> 6) + 40 * t);
    }
}

static void
load_pictures (void)
{
  GError *error = NULL;
  gsize bytes, one;

  if (raw && (!size || sscanf (size, "%ux%u", &width, &height) != 2 || width - 1 > 8191 || height - 1 > 8191)) {
    g_printerr ("windows: --size: expected WxH with --raw, found %s\n", size ? size : "none");
    exit (2);
  }
  one = (gsize) 3 * width * height;
  if (raw) {
    if (!g_file_get_contents (raw, (char **) &pixels, &bytes, &error))
      fail (error);
    if ((n_pictures = (guint) (bytes / one)) > 0)
      return;
    g_printerr ("windows: %s: expected frames of %" G_GSIZE_FORMAT " bytes, found %" G_GSIZE_FORMAT "\n", raw, one, bytes);
    exit (1);
  }
  n_pictures = PAINTED;
  pixels = g_malloc (n_pictures * one);
  for (guint i = 0; i < n_pictures; i++)
    paint (pixels + i * one, i);
}

static TernImage
picture (guint i)
{
  return (TernImage) { .format = TERN_IMAGE_RGB, .width = width, .height = height, .stride = { (gint) (3 * width) },
    .data = { pixels + (gsize) (i % n_pictures) * 3 * width * height } };
}

/* ---- Batch ------------------------------------------------------------------------------------------------------- */

typedef struct {
  guint done, tokens;
  double encode_ms, prefill_ms, decode_ms;
} Said;

static void
take (Said *said, TernResult *result)
{
  if (strcmp (result->kind, "caption") != 0) {
    g_printerr ("windows: expected a caption, found %s: %s\n", result->kind, result->result);
    exit (1);
  }
  said->done++;
  said->tokens += result->generated_tokens;
  said->encode_ms += result->metrics.encode_ms;
  said->prefill_ms += result->metrics.prefill_ms;
  said->decode_ms += result->metrics.decode_ms;
  tern_result_unref (result);
}

/* A session for each picture, as `tern caption` has it for stills: windows of video are whole groups of frames. */
static void
run_stills (TernModel *model, const TernSessionParams *params, gint64 end, Said *said)
{
  for (guint i = 0; now () < end; i++) {
    g_autoptr (TernSession) session = new_session (model, params);
    TernImage image = picture (i);
    GError *error = NULL;
    TernResult *result;

    if (!tern_session_push_frame (session, &image, 0, TERN_SECOND / 2, &error))
      fail (error);
    tern_session_finish (session);
    while (tern_session_next (session, -1, &result) == TERN_NEXT_RESULT)
      take (said, result);
  }
}

/* As `tern caption` has it for videos: one session, which takes what it has room for. */
static void
run_video (TernModel *model, const TernSessionParams *params, gint64 end, Said *said)
{
  g_autoptr (TernSession) session = new_session (model, params);
  guint64 step = TERN_SECOND / 2;
  TernResult *result;

  for (guint i = 0; now () < end; i++) {
    TernImage image = picture (i);
    GError *error = NULL;

    while (!tern_session_push_frame (session, &image, step * i, step, &error)) {
      if (!g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY))
        fail (error);
      g_clear_error (&error);
      tern_session_wait (session, -1);
    }
    while ((result = tern_session_poll (session)))
      take (said, result);
  }
  tern_session_finish (session);
  while (tern_session_next (session, -1, &result) == TERN_NEXT_RESULT)
    take (said, result);
}

static void
batch (void)
{
  TernModel *model = open_model (NULL, TERN_MODEL_FULL);
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  gint64 begin = now ();
  double cpu = cpu_seconds (), took;
  Said said = { 0 };

  frames = frames > 1 ? (frames + GROUP - 1) / GROUP * GROUP : 1;
  params.window = (guint64) frames * TERN_SECOND / 2;
  params.metrics = TRUE;
  (frames == 1 ? run_stills : run_video) (model, &params, begin + (gint64) seconds * G_USEC_PER_SEC, &said);
  took = (double) (now () - begin) / 1e6;
  cpu = (cpu_seconds () - cpu) / took;
  said.done = MAX (said.done, 1);
  g_print (json ? "{\"captions_per_second\": %.2f, \"frames\": %d, \"tokens\": %.2f, \"cores\": %.2f, \"encode_ms\": %.2f, "
      "\"prefill_ms\": %.2f, \"decode_ms\": %.2f}\n" : "%.1f captions/s of %d frame(s) and %.1f tokens; %.2f cores; of each "
      "caption %.2f ms encoding, %.2f ms prefill, %.2f ms decode\n", said.done / took, frames, (double) said.tokens / said.done,
      cpu, said.encode_ms / said.done, said.prefill_ms / said.done, said.decode_ms / said.done);
  tern_model_unref (model);
}

/* ---- Live -------------------------------------------------------------------------------------------------------- */

typedef struct {
  guint done, dropped, errors;
  double longest;
} Heard;

static void
hear (TernSession *session, Heard *heard)
{
  TernResult *result;

  while ((result = tern_session_poll (session))) {
    heard->longest = MAX (heard->longest, result->metrics.total_ms);
    heard->errors += strcmp (result->kind, "caption") != 0;
    tern_result_unref (result);
  }
}

/* Streams are out of step by an equal part of the time between two frames, as cameras are that nobody starts together. */
static void
live (void)
{
  TernModel *model = open_model (NULL, TERN_MODEL_FULL);
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  g_autofree TernSession **sessions = g_new0 (TernSession *, streams);
  gint64 step = G_USEC_PER_SEC / rate, begin;
  guint n = (guint) (seconds * rate), windows;
  double cpu, took;
  Heard heard = { 0 };

  frames = ((frames ? frames : rate) + GROUP - 1) / GROUP * GROUP;
  params.rate_n = (guint) rate;
  params.window = TERN_SECOND * (guint64) frames / (guint64) rate;
  params.live = params.metrics = TRUE;
  for (gint s = 0; s < streams; s++)
    sessions[s] = new_session (model, &params);
  begin = now ();
  cpu = cpu_seconds ();
  for (guint i = 0; i < n * (guint) streams; i++) {
    guint t = i / (guint) streams, s = i % (guint) streams;
    gint64 due = begin + (gint64) t * step + (gint64) s * step / streams;
    TernImage image = picture (t + 3 * s);

    if (due > now ())
      g_usleep ((gulong) (due - now ()));
    tern_session_push_frame (sessions[s], &image, TERN_SECOND * t / (guint64) rate, TERN_SECOND / (guint64) rate, NULL);
    hear (sessions[s], &heard);
  }
  took = (double) (now () - begin) / 1e6;
  cpu = (cpu_seconds () - cpu) / took;
  windows = (n + (guint) frames - 1) / (guint) frames * (guint) streams;
  for (gint s = 0; s < streams; s++) {
    TernSessionStats stats;
    TernResult *result;

    tern_session_finish (sessions[s]);
    while (tern_session_next (sessions[s], -1, &result) == TERN_NEXT_RESULT)
      tern_result_unref (result);
    tern_session_stats (sessions[s], &stats);
    heard.done += (guint) stats.windows_done;
    heard.dropped += (guint) stats.windows_dropped;
    tern_session_free (sessions[s]);
  }
  g_print (json ? "{\"windows\": %u, \"done\": %u, \"dropped\": %u, \"errors\": %u, \"longest_ms\": %.1f, \"cores\": %.2f, "
      "\"frames\": %d}\n" : "%u windows, %u answered, %u dropped, %u errors; longest from a window's last frame to its answer "
      "%.1f ms; %.2f cores; %d frames a window\n", windows, heard.done, heard.dropped, heard.errors, heard.longest, cpu,
      frames);
  tern_model_unref (model);
}

int
main (int argc, char **argv)
{
  g_autofree char *method = NULL;
  const GOptionEntry entries[] = {
    { "method", 0, 0, G_OPTION_ARG_STRING, &method, "", "NAME" },
    { "merge-ratio", 0, 0, G_OPTION_ARG_DOUBLE, &by_default.merge_ratio, "", "K" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &threads, "", "N" }, { "seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "", "S" },
    { "rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "", "N" }, { "frames", 0, 0, G_OPTION_ARG_INT, &frames, "", "N" },
    { "rate", 0, 0, G_OPTION_ARG_INT, &rate, "", "N" }, { "streams", 0, 0, G_OPTION_ARG_INT, &streams, "", "N" },
    { "raw", 0, 0, G_OPTION_ARG_FILENAME, &raw, "", "F" }, { "size", 0, 0, G_OPTION_ARG_STRING, &size, "", "WxH" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "", NULL }, { NULL }
  };
  GOptionContext *context = g_option_context_new ("dycoke MODEL|defaults MODEL|batch|live");
  GError *error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    fail (error);
  g_option_context_free (context);
  if (method && !tern_method_parse (method, &by_default.method, &error))
    fail (error);
  if (seconds < 1 || rounds < 1 || rate < 1 || streams < 1 || frames < 0 || threads < 0)
    argc = 0;
  if (argc == 3 && !strcmp (argv[1], "dycoke")) {
    Way way = way_of ("dycoke", TERN_METHOD_DYCOKE, .7, .7);

    compare (argv[2], 14, &way);
  } else if (argc == 3 && !strcmp (argv[1], "defaults")) {
    Way way = { "default", by_default, 0 };

    compare (argv[2], 8, &way);
  } else if (argc == 3 && !strcmp (argv[1], "pruned")) {
    prune (argv[2], 11);
  } else if (argc == 2 && (!strcmp (argv[1], "batch") || !strcmp (argv[1], "live"))) {
    load_pictures ();
    (!strcmp (argv[1], "batch") ? batch : live) ();
    g_free (pixels);
  } else {
    g_printerr ("usage: windows dycoke MODEL | defaults MODEL | pruned MODEL | batch | live [options]\n");
    return 2;
  }
  return 0;
}
