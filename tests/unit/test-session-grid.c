/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which windows a session makes of a video, whether its frames are pushed as pictures or as tokens, and which of them a
 * live one answers. The engine computes nothing here (fake-step.h). */
#include "fake-step.h"

#define EACH(i, array) guint i = 0; i < G_N_ELEMENTS (array); i++

typedef struct {
  guint64 pts, duration;
} Frame;

typedef struct {
  guint64 start, end;
  guint frames;
} Window;

/* ---- Videos ---- */

typedef enum { STATED, UNKNOWN, WRONG } Durations;

static const struct {
  guint n, d;
} rates[] = {
  { 25, 1 }, { 15, 1 }, { 25, 2 }, { 7, 1 }, { 30000, 1001 }, { 30, 1 }, { 24000, 1001 }, { 60, 1 }, { 10, 1 }, { 3, 1 },
  { 2, 1 }, { 1, 1 }, { 2, 3 }, { 1, 5 }, { 1, 21 },
};
static const guint lengths[] = { 40, 700, 3480, 3700, 3960, 4000, 4040, 7990, 11800, 13000, 21000, 64000 };
static const guint64 offsets[] = { 0, 777, 3600123 };

static GArray *
regular_video (guint rate, guint64 offset_ms, guint length_ms, Durations durations)
{
  GArray *video = g_array_new (FALSE, FALSE, sizeof (Frame));
  guint64 end = MS (length_ms);

  for (guint64 i = 0; i == 0 || i * rates[rate].d * TERN_SECOND / rates[rate].n < end; i++) {
    guint64 pts = i * rates[rate].d * TERN_SECOND / rates[rate].n, next = (i + 1) * rates[rate].d * TERN_SECOND / rates[rate].n;
    Frame frame = { MS (offset_ms) + pts, durations == STATED ? next - pts : durations == WRONG ? MS (40) : TERN_TIME_NONE };

    g_array_append_val (video, frame);
  }
  return video;
}

/* Frames at odd times, that stand until the next one; with @jumps now and then much later, or earlier. */
static GArray *
odd_video (GRand *rand, gboolean jumps, Durations durations)
{
  GArray *video = g_array_new (FALSE, FALSE, sizeof (Frame));
  guint64 pts = MS (g_rand_int_range (rand, 0, 5000));
  guint usual = (guint) g_rand_int_range (rand, 5, 900), n = (guint) g_rand_int_range (rand, 1, 300);

  for (guint i = 0; i < n; i++) {
    guint ms = (guint) g_rand_int_range (rand, 1, (gint) usual) * (g_rand_int_range (rand, 0, 20) ? 1 : 8);
    Frame frame = { pts, durations == STATED ? MS (ms) : durations == WRONG ? MS (40) : TERN_TIME_NONE };

    g_array_append_val (video, frame);
    pts += MS (ms);
    if (jumps && g_rand_int_range (rand, 0, 80) == 0)
      pts = g_rand_boolean (rand) ? pts + 3600 * TERN_SECOND : pts > 20 * TERN_SECOND ? pts - 15 * TERN_SECOND : 0;
  }
  return video;
}

/* ---- Pushing ---- */

static gboolean
try_again (TernSession *session, GError **error)
{
  g_assert_error (*error, TERN_ERROR, TERN_ERROR_BUSY);
  g_clear_error (error);
  return tern_session_wait (session, -1);
}

static void
push_pictures (TernSession *session, const GArray *video)
{
  static const guint8 pixels[64];
  TernImage image = { .format = TERN_IMAGE_GRAY8, .width = 8, .height = 8, .data = { pixels }, .stride = { 8 } };
  GError *error = NULL;

  for (guint i = 0; i < video->len; i++) {
    const Frame *frame = &g_array_index (video, Frame, i);

    while (!tern_session_push_frame (session, &image, frame->pts, frame->duration, &error))
      try_again (session, &error);
  }
}

/* The last frame before @i, as the encoder tells of it when it was not looked at or stands for long; without a duration it
 * is as long as the one before. */
static void
see_before (TernSession *session, const GArray *video, guint i, gboolean looked_at)
{
  const Frame *last = &g_array_index (video, Frame, i - 1);
  guint64 duration = last->duration;

  if (duration == TERN_TIME_NONE && i > 1 && last->pts > (last - 1)->pts)
    duration = last->pts - (last - 1)->pts;
  if (!looked_at || last->duration != MS (40))
    tern_session_see (session, last->pts, duration);
}

/* As the elements do: the encoder samples, and tells of the last frame of a stretch. */
static void
push_tokens (TernSession *session, const GArray *video, guint rate_n, guint rate_d)
{
  static const float token[256];
  TernFrameSampler sampler;
  gboolean looked_at = FALSE;
  GError *error = NULL;

  tern_frame_sampler_init (&sampler, rate_n, rate_d);
  for (guint i = 0; i < video->len; i++) {
    const Frame *frame = &g_array_index (video, Frame, i);
    TernTokens tokens = { .pts = frame->pts, .duration = frame->duration, .grid_w = 1, .grid_h = 1, .dim = 256, .n_tokens = 1,
      .tokens = token };

    if (i > 0 && frame->pts < (frame - 1)->pts)
      see_before (session, video, i, looked_at);
    looked_at = tern_frame_sampler_take (&sampler, frame->pts);
    if (!looked_at)
      continue;
    tokens.number = sampler.count - 1;
    tokens.late = tern_frame_sampler_late (&sampler, frame->pts);
    while (!tern_session_push_tokens (session, &tokens, &error))
      try_again (session, &error);
  }
  see_before (session, video, video->len, looked_at);
}

static GArray *
windows_of (TernModel *model, const TernSessionParams *params, const GArray *video, gboolean pictures, guint64 *sampled)
{
  g_autoptr (TernSession) session = new_session (model, params);
  GArray *windows = g_array_new (FALSE, FALSE, sizeof (Window));
  TernSessionStats stats;
  TernResult *result;

  if (pictures)
    push_pictures (session, video);
  else
    push_tokens (session, video, params->rate_n, params->rate_d);
  tern_session_finish (session);
  while ((result = next_result (session))) {
    Window window = { result->timestamp, result->timestamp + result->duration, result->frames };

    g_assert_cmpuint (result->id, ==, windows->len);
    g_array_append_val (windows, window);
    tern_result_unref (result);
  }
  tern_session_stats (session, &stats);
  *sampled = stats.frames_sampled;
  return windows;
}

/* ---- What must hold ---- */

static char *
spell (const GArray *windows)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < windows->len; i++) {
    const Window *w = &g_array_index (windows, Window, i);

    g_string_append_printf (text, "%.6f-%.6f(%u) ", w->start / 1e9, w->end / 1e9, w->frames);
  }
  return g_string_free (text, FALSE);
}

static guint
windows_with (const GArray *windows, guint64 pts)
{
  guint n = 0;

  for (guint i = 0; i < windows->len; i++)
    n += g_array_index (windows, Window, i).start <= pts && pts < g_array_index (windows, Window, i).end;
  return n;
}

/* Of one stretch of @video. */
static void
check_stretch (const GArray *windows, const GArray *video, const TernSessionParams *params, guint64 sampled)
{
  const Frame *first = &g_array_index (video, Frame, 0), *last = &g_array_index (video, Frame, video->len - 1);
  gboolean apart = params->hop == 0 || params->hop == params->window;
  guint64 frames = 0, length = 0;

  g_assert_cmpuint (windows->len, >, 0);
  g_assert_cmpuint (g_array_index (windows, Window, 0).start, ==, first->pts);
  for (guint i = 0; i < windows->len; i++)
    length = MAX (length, g_array_index (windows, Window, i).end - g_array_index (windows, Window, i).start);
  for (guint i = 0; i < windows->len; i++) {
    const Window *w = &g_array_index (windows, Window, i), *next = i + 1 < windows->len ? w + 1 : NULL;

    frames += w->frames;
    g_assert_cmpuint (w->frames, >, 0);
    g_assert_cmpuint (w->end, >, w->start);
    if (!next)
      break;
    g_assert_cmpuint (w->end - w->start + 1, >=, length);
    g_assert_cmpuint (next->start, >, w->start);
    if (apart)
      g_assert_cmpuint (next->start, >=, w->end);
  }
  /* The last one ends with the video; where nobody says when that is, with the window. */
  if (last->duration != TERN_TIME_NONE && last->duration != MS (40))
    g_assert_cmpuint (g_array_index (windows, Window, windows->len - 1).end, <=, last->pts + last->duration);
  if (!apart)
    return;
  g_assert_cmpuint (frames, ==, sampled);
  for (guint i = 0; i < video->len; i++) {
    const Frame *frame = &g_array_index (video, Frame, i);

    g_assert_cmpuint (windows_with (windows, frame->pts), <=, 1);
  }
}

static TernSessionParams
grid_params (guint rate_n, guint rate_d, guint window_ms, guint hop_ms, guint max_frames)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;

  params.rate_n = rate_n;
  params.rate_d = rate_d;
  params.window = MS (window_ms);
  params.hop = MS (hop_ms);
  params.max_frames = max_frames;
  return params;
}

/* Equal windows both ways; but tokens that were sampled at one rate are not thinned out to just what another one takes. */
static GArray *
check_both (TernModel *model, const TernSessionParams *params, const GArray *video, guint64 *sampled)
{
  guint64 taken;
  GArray *windows = windows_of (model, params, video, TRUE, sampled);
  g_autoptr (GArray) other = windows_of (model, params, video, FALSE, &taken);
  g_autofree char *a = spell (windows), *b = spell (other);

  if (params->rate_n > 0 && params->max_frames > 0)
    return windows;
  g_assert_cmpstr (b, ==, a);
  g_assert_cmpuint (taken, ==, *sampled);
  return windows;
}

/* ---- Tests ---- */

/* Any camera's rate whose frames are no pause: [0, 4), [4, 8), ... and the end of the video; every frame in its window. */
static void
test_regular (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = grid_params (2, 1, 4000, 0, 0);

  for (EACH (r, rates))
    for (EACH (l, lengths))
      for (EACH (o, offsets)) {
        g_autoptr (GArray) video = regular_video (r, offsets[o], lengths[l], STATED);
        const Frame *last = &g_array_index (video, Frame, video->len - 1);
        guint64 sampled, end = last->pts + last->duration;
        g_autoptr (GArray) windows = check_both (model, &params, video, &sampled);

        check_stretch (windows, video, &params, sampled);
        if (2 * rates[r].n < rates[r].d)
          continue;
        for (guint i = 0; i < windows->len; i++) {
          guint64 start = MS (offsets[o]) + i * 4 * TERN_SECOND;

          g_assert_cmpuint (g_array_index (windows, Window, i).start, ==, start);
          g_assert_cmpuint (g_array_index (windows, Window, i).end, ==, MIN (start + 4 * TERN_SECOND, end));
        }
        for (guint i = 0; i < video->len; i++)
          g_assert_cmpuint (windows_with (windows, g_array_index (video, Frame, i).pts), ==, 1);
      }
}

/* A picture stands until the next one or its window's end, also the last one, also where durations are wrong. */
static void
test_slides (void)
{
  g_autoptr (TernModel) model = open_model (0);
  static const guint seconds[] = { 4, 5, 7, 20, 21 };

  for (EACH (s, seconds))
    for (Durations d = STATED; d <= WRONG; d++) {
      g_autoptr (GArray) video = g_array_new (FALSE, FALSE, sizeof (Frame)), windows = NULL;
      TernSessionParams params = grid_params (2, 1, 4000, 0, 0);
      guint64 sampled;

      for (guint i = 0; i < 4; i++) {
        Frame frame = { i * seconds[s] * TERN_SECOND, d == STATED ? seconds[s] * TERN_SECOND : d == WRONG ? MS (40)
            : TERN_TIME_NONE };

        g_array_append_val (video, frame);
      }
      windows = check_both (model, &params, video, &sampled);
      g_assert_cmpuint (windows->len, ==, 4);
      for (guint i = 0; i < 4; i++) {
        g_assert_cmpuint (g_array_index (windows, Window, i).start, ==, i * seconds[s] * TERN_SECOND);
        g_assert_cmpuint (g_array_index (windows, Window, i).end, ==, (i * seconds[s] + 4) * TERN_SECOND);
      }
    }
}

/* A recording with a pause: durations that were true before it are so behind it, of slides that are said to stand for a moment
 * they are not. What is said of one stretch says nothing of the next. */
static void
test_pause_before_last (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = grid_params (2, 1, 4000, 0, 0);

  for (guint slides = 0; slides < 2; slides++) {
    g_autoptr (GArray) video = g_array_new (FALSE, FALSE, sizeof (Frame)), windows = NULL;
    g_autofree char *text = NULL;
    guint64 sampled;

    for (guint i = 0; i < 50; i++) {
      Frame frame = { 300 * TERN_SECOND + i * MS (100), MS (100) };

      g_array_append_val (video, frame);
    }
    for (guint i = 0; i < (slides ? 3 : 1); i++) {
      Frame frame = { (slides ? 20 * i : 320) * TERN_SECOND, MS (slides ? 40 : 100) };

      g_array_append_val (video, frame);
    }
    windows = check_both (model, &params, video, &sampled);
    text = spell (windows);
    g_assert_cmpstr (text, ==, slides
        ? "300.000000-304.000000(8) 304.000000-305.000000(2) 0.000000-4.000000(1) 20.000000-24.000000(1) 40.000000-44.000000(1) "
        : "300.000000-304.000000(8) 304.000000-308.000000(2) 320.000000-320.100000(1) ");
  }
}

static void
test_low_rate (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = grid_params (1, 10, 4000, 0, 0);
  g_autoptr (GArray) video = regular_video (0, 0, 84000, STATED), windows = NULL;
  g_autofree char *text = NULL;
  guint64 sampled;

  windows = check_both (model, &params, video, &sampled);
  text = spell (windows);
  g_assert_cmpstr (text, ==, "0.000000-40.000000(4) 40.000000-80.000000(4) 80.000000-84.000000(1) ");
}

/* Frames are looked at more often than there are any: windows start where they would with a frame at each tick. */
static void
test_fewer_frames (void)
{
  static const guint hops[] = { 0, 400, 800, 3600 };
  g_autoptr (TernModel) model = open_model (0);

  for (EACH (r, rates))
    for (EACH (h, hops)) {
      TernSessionParams params = grid_params (10, 1, 1200, hops[h], 0);
      guint64 hop = MS (hops[h] ? hops[h] : 1200), sampled;
      g_autoptr (GArray) video = regular_video (r, 500, 64000, STATED), windows = check_both (model, &params, video, &sampled);

      check_stretch (windows, video, &params, sampled);
      for (guint i = 0; i < windows->len && 2 * rates[r].n >= rates[r].d; i++)
        g_assert_cmpuint ((g_array_index (windows, Window, i).start - MS (500)) % hop, <=, hop - MIN (hop, MS (1200)));
      if (hops[h] == 0 && rates[r].n >= rates[r].d)
        g_assert_cmpuint (windows->len, ==, (g_array_index (video, Frame, video->len - 1).pts - MS (500)) / hop + 1);
    }
}

/* Everything with everything. */
static void
test_combinations (void)
{
  static const guint sampling[][2] = { { 2, 1 }, { 1, 1 }, { 1, 10 }, { 5, 1 }, { 3, 1 }, { 30000, 1001 }, { 0, 1 } };
  static const guint window[] = { 4000, 3000, 1000, 500, 10000 }, hop[] = { 0, 300, 1000, 2000, 6000, 20000 };
  static const guint most[] = { 0, 1, 3, 6, 8 };
  g_autoptr (TernModel) model = open_model (0);
  guint n = 0;

  for (EACH (s, sampling))
    for (EACH (w, window))
      for (EACH (h, hop))
        for (EACH (m, most)) {
          TernSessionParams params = grid_params (sampling[s][0], sampling[s][1], window[w], hop[h], most[m]);
          guint length = lengths[n % G_N_ELEMENTS (lengths)];
          g_autoptr (GArray) video = regular_video (n % G_N_ELEMENTS (rates), offsets[n % 3], length, (Durations) (n % 2));
          guint64 sampled;
          g_autoptr (GArray) windows = check_both (model, &params, video, &sampled);

          check_stretch (windows, video, &params, sampled);
          n++;
        }
}

static void
test_odd (void)
{
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (GRand) rand = g_rand_new_with_seed (12);

  for (guint round = 0; round < 400; round++) {
    gboolean jumps = round / 2 % 2;
    g_autoptr (GArray) video = odd_video (rand, jumps, jumps ? UNKNOWN : (Durations) (round % 2));
    TernSessionParams params = grid_params ((guint) g_rand_int_range (rand, 1, 4), 1,
        (guint) g_rand_int_range (rand, 300, 9000), 0, round % 5 ? 0 : 8);
    guint64 sampled;
    g_autoptr (GArray) windows = NULL;

    if (round % 7 == 0)
      params.hop = MS (g_rand_int_range (rand, 300, 12000));
    windows = check_both (model, &params, video, &sampled);
    if (!jumps)
      check_stretch (windows, video, &params, sampled);
  }
}

/* Two recordings in one file: the windows before a jump end with what was seen before it, those after begin anew. */
static void
test_jumps (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = grid_params (2, 1, 4000, 0, 0);
  static const struct {
    guint from;                 /* ms, where the second recording begins */
    const char *windows;
  } cases[] = {
    { 0, "0.000000-4.000000(8) 4.000000-5.400000(3) 0.000000-4.000000(8) 4.000000-5.400000(3) " },
    { 3000, "0.000000-4.000000(8) 4.000000-5.400000(3) 3.000000-7.000000(8) 7.000000-8.400000(3) " },
    { 60000, "0.000000-4.000000(8) 4.000000-8.000000(3) 60.000000-64.000000(8) 64.000000-65.400000(3) " },
    { 95342717, "0.000000-4.000000(8) 4.000000-8.000000(3) 95342.717000-95346.717000(8) 95346.717000-95348.117000(3) " },
  };

  for (EACH (c, cases)) {
    g_autoptr (GArray) video = regular_video (0, 0, 5400, STATED), second = regular_video (0, cases[c].from, 5400, STATED);
    g_autoptr (GArray) windows = NULL;
    g_autofree char *text = NULL;
    guint64 sampled;

    g_array_append_vals (video, second->data, second->len);
    windows = check_both (model, &params, video, &sampled);
    text = spell (windows);
    g_assert_cmpstr (text, ==, cases[c].windows);
  }
}

/* Just below and just above what ends a stretch: windows are the same for pictures and for tokens. */
static void
test_thresholds (void)
{
  static const guint sampling[][2] = { { 2, 1 }, { 10, 1 }, { 1, 5 }, { 30000, 1001 } };
  g_autoptr (TernModel) model = open_model (0);

  for (EACH (s, sampling)) {
    TernSessionParams params = grid_params (sampling[s][0], sampling[s][1], 4000, 0, 0);
    gint64 tick = (gint64) (TERN_SECOND * sampling[s][1] / sampling[s][0]);
    gint64 most = MAX (4 * tick, 2 * (gint64) TERN_SECOND), ms = MS (1);
    gint64 by[] = { most - ms, most, most + ms, -tick / 3, ms - tick, -tick - ms, -5 * tick };

    for (EACH (b, by)) {
      g_autoptr (GArray) video = g_array_new (FALSE, FALSE, sizeof (Frame)), windows = NULL;
      gboolean again = FALSE;
      guint64 sampled;

      for (gint64 i = 0; i < 12; i++) {
        Frame frame = { 60 * TERN_SECOND + (guint64) (i < 6 ? i * tick : (i - 1) * tick + by[b]), TERN_TIME_NONE };

        g_array_append_val (video, frame);
      }
      windows = check_both (model, &params, video, &sampled);
      for (guint i = 1; i < windows->len; i++)
        again |= g_array_index (windows, Window, i).start < g_array_index (windows, Window, i - 1).end;
      g_assert_cmpint (again, ==, by[b] < -tick);
    }
  }
}

/* Tokens that come more often than was said are thinned out, not crowded into the window. */
static void
test_crowded_tokens (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = grid_params (2, 1, 4000, 0, 0);
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (GArray) video = regular_video (0, 0, 12000, STATED);
  TernResult *result;
  guint n = 0;

  push_tokens (session, video, 25, 1);
  tern_session_finish (session);
  for (; (result = next_result (session)); n++) {
    g_assert_cmpuint (result->timestamp, ==, n * 4 * TERN_SECOND);
    g_assert_cmpuint (result->duration, ==, 4 * TERN_SECOND);
    g_assert_cmpuint (result->frames, ==, 8);
    tern_result_unref (result);
  }
  g_assert_cmpuint (n, ==, 3);
}

/* ---- Live ---- */

/* The engine stops after any number of frames, while 60 seconds come in. Whatever it was at: the windows stay on the grid,
 * none is refused or overlaps, the one begun is answered, and so is the newest whole one. */
static void
check_live (TernModel *model, const TernSessionParams *params, guint encoded)
{
  g_autoptr (TernSession) session = new_session (model, params);
  guint hop = params->hop ? (guint) (params->hop / MS (500)) : session->max_frames, window = session->max_frames;
  guint64 newest = 0;
  gboolean has_newest = FALSE, has_first = FALSE;
  TernSessionStats stats;
  TernResult *result;
  guint n = 0;

  gate_hold_after (encoded);
  for (guint i = 0; i < 120; i++) {
    g_autoptr (GError) error = NULL;

    push_sized (session, 8, 8, i, 0, MS (500 * i), MS (500), &error);
    g_assert_no_error (error);
    gate_settle (session);
  }
  while ((newest + hop) + window <= 120)
    newest += hop;
  gate_open ();
  while ((result = next_result (session))) {
    guint64 frame = result->timestamp / MS (500);

    g_assert_cmpuint (result->timestamp % MS (500), ==, 0);
    g_assert_cmpuint (frame % hop, ==, 0);
    g_assert_cmpuint (result->frames, ==, window);
    g_assert_cmpuint (result->duration, ==, window * MS (500));
    has_newest |= frame == newest;
    has_first |= frame == 0;
    n++;
    tern_result_unref (result);
  }
  g_assert_true (has_newest);
  g_assert_true (has_first);
  g_assert_cmpuint (n, <=, 4);
  tern_session_stats (session, &stats);
  g_assert_cmpuint (stats.windows_done, ==, n);
  g_assert_cmpuint (stats.windows_dropped + n, ==, (120 - window) / hop + 1);
  g_assert_cmpuint (session->queue.n_taken, ==, 0);
}

static void
test_live_newest (void)
{
  static const guint shapes[][2] = { { 2000, 0 }, { 4000, 0 }, { 4000, 2000 }, { 8000, 2000 }, { 4000, 6000 } };
  g_autoptr (TernModel) model = open_model (0);

  for (EACH (s, shapes))
    for (guint encoded = 0; encoded <= 8; encoded++) {
      TernSessionParams params = grid_params (2, 1, shapes[s][0], shapes[s][1], 0);

      params.live = TRUE;
      check_live (model, &params, encoded);
    }
}

/* Live windows are answered with their last tick, before it is known whether the video goes on. */
static void
test_live_end (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = grid_params (2, 1, 4000, 0, 0);
  g_autoptr (GArray) video = regular_video (0, 0, 3600, STATED);

  params.live = TRUE;
  for (gint pictures = 0; pictures < 2; pictures++) {
    g_autoptr (TernSession) session = new_session (model, &params);
    TernResult *result;

    gate_hold_after (0);
    if (pictures)
      push_pictures (session, video);
    else
      push_tokens (session, video, 2, 1);
    tern_session_finish (session);
    gate_open ();
    result = next_result (session);
    g_assert_nonnull (result);
    g_assert_cmpuint (result->frames, ==, 8);
    g_assert_cmpuint (result->duration, ==, MS (3600));
    tern_result_unref (result);
    g_assert_null (next_result (session));
  }
}

/* A live session that is short of memory keeps to the grid, too, and goes on. */
static void
test_live_memory (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = grid_params (2, 1, 8000, 0, 0);
  g_autoptr (TernSession) session = NULL;
  g_autofree guint8 *pixels = g_malloc0 (8000 * 6000);
  TernImage image = { .format = TERN_IMAGE_GRAY8, .width = 8000, .height = 6000, .data = { pixels }, .stride = { 8000 } };
  TernResult *result;
  guint n = 0;

  params.live = TRUE;
  session = new_session (model, &params);
  gate_hold_after (0);
  for (guint i = 0; i < 40; i++) {
    g_autoptr (GError) error = NULL;

    tern_session_push_frame (session, &image, MS (500 * i), MS (500), &error);
    g_assert_no_error (error);
  }
  gate_open ();
  while ((result = next_result (session)))
    tern_result_unref (result);
  for (guint i = 40; i < 64; i++) {
    gate_settle (session);
    tern_session_push_frame (session, &image, MS (500 * i), MS (500), NULL);
  }
  for (; (result = next_result (session)); n++) {
    g_assert_cmpuint (result->timestamp % (8 * TERN_SECOND), ==, 0);
    g_assert_cmpuint (result->frames, ==, 16);
    tern_result_unref (result);
  }
  g_assert_cmpuint (n, ==, 1);
}

static void
change_params_once (TernSession *session)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;

  gate.planning = NULL;
  params.prompt = "Lost?";
  params.kv_prune = 0.25;
  g_assert_true (tern_session_set_params (session, &params, NULL));
}

/* Pushes and polls do not wait for the prompt to be tokenised (fake-step.h tries the lock), and parameters that change in
 * the meantime stay. */
static void
test_change_unlocked (void)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernSession) session = new_session (model, &params);
  static const TernQuestion questions[] = { { "One?", "1" }, { "Two?", "2" } };

  gate.planning = change_params_once;
  g_assert_true (tern_session_set_prompt (session, "What?", "w", NULL));
  g_assert_cmpstr (session->config->questions[0].prompt, ==, "What?");
  g_assert_cmpuint (session->config->n_questions, ==, 1);
  g_assert_cmpfloat (session->config->params.kv_prune, ==, 0.25);
  g_assert_true (tern_session_set_questions (session, questions, 2, NULL));
  g_assert_cmpuint (session->config->n_questions, ==, 2);
  g_assert_cmpstr (session->config->questions[1].prompt_id, ==, "2");
  g_assert_true (session->config->questions[1].prompt != questions[1].prompt);
  g_assert_cmpfloat (session->config->params.kv_prune, ==, 0.25);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/grid/regular", test_regular);
  g_test_add_func ("/grid/slides", test_slides);
  g_test_add_func ("/grid/pause-before-last", test_pause_before_last);
  g_test_add_func ("/grid/low-rate", test_low_rate);
  g_test_add_func ("/grid/fewer-frames", test_fewer_frames);
  g_test_add_func ("/grid/combinations", test_combinations);
  g_test_add_func ("/grid/odd", test_odd);
  g_test_add_func ("/grid/jumps", test_jumps);
  g_test_add_func ("/grid/thresholds", test_thresholds);
  g_test_add_func ("/grid/crowded-tokens", test_crowded_tokens);
  g_test_add_func ("/live/newest", test_live_newest);
  g_test_add_func ("/live/end", test_live_end);
  g_test_add_func ("/live/memory", test_live_memory);
  g_test_add_func ("/session/change-unlocked", test_change_unlocked);
  return g_test_run ();
}
