/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any plan of windows and any video, sampled and put into windows as a session does it, against what the
 * head of tern/window.c promises. */
#include "engine/base/fraction.h"
#include "tern/tern.h"
#include "tern/window.h"
#include "tests/fuzz/bytes.h"

#define MOST_FRAMES 4096

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

typedef struct {
  Bytes bytes;
  TernWindower windower;
  TernFrameSampler sampler;
  guint64 pts;                  /* where the video is */
  guint64 seen_end;             /* where the last frame seen ends; G_MAXUINT64: nothing seen since a finish */
  guint64 seen_pts;
  struct {
    guint64 at, pts, stretch;
    gboolean first;             /* of a group */
    guint windows;              /* that it was in */
    gboolean passed_over;
  } frames[MOST_FRAMES];
  guint64 open_from;            /* frames before it were flushed */
  guint64 grid;                 /* where a window began that others are whole hops from; G_MAXUINT64: not known */
  guint64 stretch_ended;        /* with the last window of the stretch before; G_MAXUINT64: there was none */
  gboolean any, finishing;
  TernWindow last;
} Run;

static guint64
slack (const Run *run)
{
  return MIN (run->windower.tick / 4, 1000);
}

/* Windows that no time lies between start whole hops from each other, or with their first frame. @cut: where the stretch before it ended. */
static void
check_start (Run *run, const TernWindow *w, gboolean cut)
{
  const TernWindowPlan *plan = &run->windower.plan;
  guint64 hop = tern_mul_div (plan->hop, TERN_SECOND * plan->rate_d, 0, plan->rate_n), n, start;

  if (cut || plan->hop > plan->window) {
    run->grid = G_MAXUINT64;
  } else if (w->start_time == run->frames[w->first].at) {
    run->grid = w->start_time;
  } else if (run->grid != G_MAXUINT64) {
    g_assert_cmpuint (w->start_time, >, run->grid);
    n = (w->start_time - run->grid + hop / 2) / MAX (hop, 1);
    for (start = G_MAXUINT64; start != w->start_time && n + 1 > 0; n--) {
      start = run->grid + tern_mul_div (n * plan->hop, TERN_SECOND * plan->rate_d, 0, plan->rate_n);
      if (start + 2 >= w->start_time && start <= w->start_time + 2)
        break;                  /* the grid that was seen may be of a later window, whose own start was rounded */
      g_assert_cmpuint (start + hop, >, w->start_time);
    }
  }
}

static void
check_window (Run *run, const TernWindow *w)
{
  const TernWindower *self = &run->windower;
  guint64 limit = run->windower.window;
  gboolean cut = w->start_time == run->stretch_ended;

  check_start (run, w, cut);
  /* Frames, at most as many as a window has ticks, of one stretch, each at a time that lies in the window. */
  g_assert_cmpuint (w->first, <, w->end);
  g_assert_cmpuint (w->end, <=, self->count);
  g_assert_cmpuint (w->end - w->first, <=, self->plan.window);
  g_assert_cmpuint (w->next, <=, w->end);
  g_assert_cmpuint (w->next, >=, w->first);
  g_assert_cmpuint (w->start_time, <=, w->end_time);
  g_assert_cmpuint (w->end_time - w->start_time, <=, limit);
  for (guint64 i = w->first; i < w->end; i++) {
    g_assert_cmpuint (run->frames[i].stretch, ==, w->stretch);
    g_assert_false (run->frames[i].passed_over);
    g_assert_cmpuint (run->frames[i].pts + slack (run), >=, w->start_time);
    g_assert_cmpuint (run->frames[i].at, <, w->start_time + limit);
    run->frames[i].windows++;
  }
  g_assert_true (run->frames[w->first].first);
  /* Only the end of a stretch cuts one short. */
  if (run->finishing) {
    g_assert_cmpuint (w->end_time, <=, MAX (run->seen_end, w->start_time));
  } else {
    g_assert_cmpuint (w->end_time, <=, w->start_time + limit);
    g_assert_cmpuint (w->end_time + slack (run), >, run->frames[w->first].at);
    if (!cut)
      g_assert_cmpuint (w->end_time, ==, w->start_time + limit);
  }

  /* In order; without overlap when hop = window. */
  if (run->any) {
    g_assert_cmpuint (w->stretch, >=, run->last.stretch);
    g_assert_cmpuint (w->first, >=, run->last.first);
    g_assert_cmpuint (w->end, >=, run->last.end);
    g_assert_cmpuint (w->first, >=, run->last.next);
    if (w->stretch == run->last.stretch)
      g_assert_cmpuint (w->start_time, >, run->last.start_time);
    if (self->plan.hop >= self->plan.window) {
      g_assert_cmpuint (w->first, >=, run->last.end);
      if (w->stretch == run->last.stretch || run->frames[w->first].pts >= run->last.end_time)
        g_assert_cmpuint (w->start_time, >=, run->last.end_time);
    }
  }
  run->any = TRUE;
  run->last = *w;
}

static void
take_closed (Run *run)
{
  guint open = (guint) ((run->windower.plan.window + run->windower.plan.hop - 1) / run->windower.plan.hop) + 1;
  TernWindow window;

  g_assert_cmpuint (run->windower.n_marks, <=, open);
  g_assert_cmpuint (run->windower.closed_size, ==, open + 1);   /* nothing was allocated */
  while (tern_windower_next (&run->windower, &window))
    check_window (run, &window);
}

static void
finish (Run *run)
{
  run->finishing = TRUE;
  tern_windower_finish (&run->windower, run->seen_end);
  take_closed (run);
  run->finishing = FALSE;
  if (run->any)
    run->stretch_ended = run->last.end_time;
  run->seen_end = run->seen_pts = G_MAXUINT64;
}

static void
see (Run *run, guint64 duration)
{
  if (run->seen_pts != G_MAXUINT64 && run->pts < run->seen_pts)
    return;
  tern_windower_see (&run->windower, run->pts, run->pts + duration);
  take_closed (run);
  run->seen_pts = run->pts;
  run->seen_end = duration ? run->pts + duration : G_MAXUINT64;
}

static void
push (Run *run, guint64 duration)
{
  guint64 at, n = run->windower.count, before = run->sampler.count;
  TernWindowVerdict verdict;

  if (tern_frame_sampler_take (&run->sampler, run->pts)) {
    at = run->pts - tern_frame_sampler_late (&run->sampler, run->pts);
    if (tern_windower_is_jump (&run->windower, at))
      finish (run);
    /* Before the call: the frame may close its own window. */
    run->frames[n].at = at;
    run->frames[n].pts = run->pts;
    run->frames[n].stretch = run->windower.stretch;
    run->frames[n].first = TRUE;
    verdict = tern_windower_add (&run->windower, at, run->pts, run->sampler.count != before + 1);
    g_assert_cmpuint (run->windower.count, ==, n + (verdict != TERN_WINDOW_SKIP));
    run->frames[n].first = verdict == TERN_WINDOW_TAKE_FIRST;
    take_closed (run);
  }
  see (run, duration);
}

static TernWindowPlan
choose_plan (Bytes *bytes)
{
  static const guint rates[][2] = { { 2, 1 }, { 1, 1 }, { 1, 21 }, { 7, 2 }, { 30000, 1001 }, { 25, 1 }, { 1000, 999 },
    { 4096000, 1 }, { 3, G_MAXUINT32 }, { 90000, 1 } };
  guint rate = next_below (bytes, G_N_ELEMENTS (rates)), hop = next_below (bytes, 4);
  TernWindowPlan plan = { .group = 1 + next_below (bytes, 4), .eager = next_below (bytes, 2) };

  plan.rate_n = rates[rate][0];
  plan.rate_d = rates[rate][1];
  plan.window = plan.group * (1 + next_below (bytes, 20));
  plan.hop = plan.window;
  if (hop == 1)
    plan.hop = plan.group * (1 + next_below (bytes, plan.window / plan.group));
  else if (hop == 2)
    plan.hop = plan.window + plan.group * next_below (bytes, 600);
  else if (hop == 3 && next_below (bytes, 16) == 0)
    plan.hop = G_MAXINT64 / plan.group * plan.group;
  return plan;
}

/* Some of a tick, some ticks, a nanosecond, an hour; the end of time is the session's to refuse. */
static guint64
choose_step (Run *run)
{
  guint64 tick = run->windower.tick, step;

  switch (next_below (&run->bytes, 8)) {
    case 0:
      step = next_below (&run->bytes, 3);
      break;
    case 1:
      step = tick + 1 - next_below (&run->bytes, 3);
      break;
    case 2:
      step = tick / 8 * next_below (&run->bytes, 64);
      break;
    case 3:
      step = tick * next_below (&run->bytes, 256);
      break;
    case 4:
      step = 3600 * TERN_SECOND;
      break;
    default:
      step = tick / 256 * next_below (&run->bytes, 512);
      break;
  }
  return MIN (step, (guint64) G_MAXINT64 - run->pts);
}

static void
go_on (Run *run)
{
  guint64 back;

  switch (next_below (&run->bytes, 32)) {
    case 0:
      finish (run);
      break;
    case 1:                    /* back */
      back = choose_step (run);
      run->pts -= MIN (back, run->pts);
      break;
    case 2:                    /* a flush */
      tern_windower_reset (&run->windower);
      for (guint64 i = run->open_from; i < run->windower.count; i++)
        run->frames[i].passed_over |= run->frames[i].windows == 0;
      run->open_from = run->windower.count;
      run->seen_end = run->seen_pts = G_MAXUINT64;
      run->any = FALSE;
      break;
    case 3:                    /* there was no room */
      for (guint64 i = run->open_from; i < run->windower.count; i++)
        run->frames[i].passed_over |= run->frames[i].windows == 0;
      tern_windower_pass_over (&run->windower);
      run->grid = G_MAXUINT64;
      break;
    case 4:
      see (run, next_below (&run->bytes, 2) ? 0 : choose_step (run));
      break;
    default:
      push (run, next_below (&run->bytes, 2) ? 0 : choose_step (run));
      break;
  }
  run->pts += choose_step (run);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  Run *run = g_new0 (Run, 1);
  TernWindowPlan plan;

  run->bytes = (Bytes) { data, data + size };
  plan = choose_plan (&run->bytes);
  run->pts = next_below (&run->bytes, 4) ? next_below (&run->bytes, 60) * TERN_SECOND : (guint64) G_MAXINT64 / 2;
  run->seen_end = run->seen_pts = run->grid = run->stretch_ended = G_MAXUINT64;
  tern_windower_init (&run->windower, &plan);
  tern_frame_sampler_init (&run->sampler, plan.rate_n, plan.rate_d);
  while (bytes_left (&run->bytes) && run->windower.count < MOST_FRAMES)
    go_on (run);
  finish (run);
  /* With hop = window each frame is in one window, but for those that were given up. */
  for (guint64 i = 0; i < run->windower.count && plan.hop == plan.window; i++)
    g_assert_cmpuint (run->frames[i].windows, ==, run->frames[i].passed_over ? 0 : 1);
  tern_windower_clear (&run->windower);
  g_free (run);
  return 0;
}
