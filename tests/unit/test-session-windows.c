/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sampling by time and the grouping of frames into windows, without any model. */
#include "tern/tern.h"
#include "tern/window.h"

#define MS(x) ((guint64) (x) * 1000000)

/* ---- Sampling ---- */

static void
test_sampler_constant (void)
{
  TernFrameSampler sampler;
  guint taken = 0;

  /* 30000/1001 frames a second, two looked at: the first at or after each half second. */
  tern_frame_sampler_init (&sampler, 2, 1);
  for (guint64 i = 0; i < 300; i++) {
    guint64 pts = i * 1001 * TERN_SECOND / 30000;
    guint64 before = i ? (i - 1) * 1001 * TERN_SECOND / 30000 : 0;
    gboolean crosses = i == 0 || pts / MS (500) != before / MS (500);

    g_assert_cmpint (tern_frame_sampler_take (&sampler, MS (777) + pts), ==, crosses);
    taken += crosses;
  }
  g_assert_cmpuint (sampler.count, ==, taken);
  g_assert_cmpuint (taken, ==, 20);
}

static void
test_sampler_variable (void)
{
  static const struct {
    guint ms;
    gboolean take;
  } frames[] = {
    { 0, TRUE }, { 10, FALSE }, { 499, FALSE }, { 520, TRUE }, { 990, FALSE }, { 1000, TRUE }, { 1490, FALSE },
    { 4100, TRUE }, { 4200, FALSE }, { 4499, FALSE }, { 4500, TRUE },   /* a gap: ticks without a frame are lost */
    { 5300, TRUE }, { 5499, FALSE }, { 5500, TRUE },
  };
  TernFrameSampler sampler;

  tern_frame_sampler_init (&sampler, 2, 1);
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    g_assert_cmpint (tern_frame_sampler_take (&sampler, MS (frames[i].ms)), ==, frames[i].take);
  g_assert_false (tern_frame_sampler_take (&sampler, TERN_TIME_NONE));
}

static void
test_sampler_rounding (void)
{
  TernFrameSampler sampler;

  /* Thirds of a second, rounded down by the container. */
  tern_frame_sampler_init (&sampler, 3, 1);
  for (guint i = 0; i < 30; i++)
    g_assert_cmpint (tern_frame_sampler_take (&sampler, i * TERN_SECOND / 30), ==, i % 10 == 0);
}

static void
test_sampler_jump_back (void)
{
  TernFrameSampler sampler;

  tern_frame_sampler_init (&sampler, 2, 1);
  for (guint i = 0; i < 5; i++)
    tern_frame_sampler_take (&sampler, MS (500 * i));
  g_assert_cmpuint (sampler.count, ==, 5);
  g_assert_true (tern_frame_sampler_take (&sampler, MS (100)));
  g_assert_cmpuint (sampler.count, ==, 9);      /* number 8: the next group */
  g_assert_false (tern_frame_sampler_take (&sampler, MS (590)));
  g_assert_true (tern_frame_sampler_take (&sampler, MS (600)));

  tern_frame_sampler_init (&sampler, 0, 1);
  g_assert_true (tern_frame_sampler_take (&sampler, 5));
  g_assert_true (tern_frame_sampler_take (&sampler, 6));
  g_assert_true (tern_frame_sampler_take (&sampler, 1));
  g_assert_cmpuint (sampler.count, ==, 5);
}

/* ---- Windows ---- */

typedef struct {
  TernWindower windower;
  TernWindowMark marks[64];
  GString *log;
} Fixture;

static void
on_window (void *data, const TernWindow *window)
{
  Fixture *f = data;

  g_string_append_printf (f->log, "[%u,%u)%u-%u>%u ", (guint) window->first, (guint) window->end,
      (guint) (window->start_time / 1000000), (guint) (window->end_time / 1000000), (guint) window->next);
}

static void
begin (Fixture *f, guint max_frames, guint window_ms, guint hop_ms, guint tick_ms)
{
  TernWindowPlan plan = { .group = 4, .max_frames = max_frames, .max_groups = 64, .window = MS (window_ms),
    .hop = MS (hop_ms), .tick = MS (tick_ms) };

  f->log = g_string_new (NULL);
  tern_windower_init (&f->windower, &plan, f->marks, on_window, f);
}

static TernWindowVerdict
add (Fixture *f, guint ms, guint length)
{
  return tern_windower_add (&f->windower, MS (ms), MS (ms), MS (ms + length), FALSE);
}

static void
expect (Fixture *f, const char *windows)
{
  g_assert_cmpstr (f->log->str, ==, windows);
  g_string_free (f->log, TRUE);
}

static void
test_regular (void)
{
  Fixture f;

  begin (&f, 8, 4000, 4000, 500);
  for (guint i = 0; i < 20; i++)
    g_assert_cmpint (add (&f, 500 * i, 500), ==, i % 4 == 0 ? TERN_WINDOW_TAKE_FIRST : TERN_WINDOW_TAKE);
  tern_windower_finish (&f.windower, MS (9900));
  tern_windower_finish (&f.windower, MS (9900));
  expect (&f, "[0,8)0-4000>8 [8,16)4000-8000>16 [16,20)8000-9900>20 ");
}

/* Rounded up to whole groups. */
static void
test_rounding (void)
{
  Fixture f;

  begin (&f, 8, 3000, 3000, 500);
  for (guint i = 0; i < 16; i++)
    add (&f, 500 * i, 500);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,8)0-4000>8 [8,16)4000-8000>16 ");
}

static void
test_overlap (void)
{
  Fixture f;

  begin (&f, 8, 4000, 1000, 500);       /* the hop becomes a group: 2 s */
  for (guint i = 0; i < 18; i++)
    add (&f, 500 * i, 500);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,8)0-4000>4 [4,12)2000-6000>8 [8,16)4000-8000>12 [12,18)6000-9000>18 ");

  /* Nothing new since the last window: no partial one. */
  begin (&f, 8, 4000, 2000, 500);
  for (guint i = 0; i < 8; i++)
    add (&f, 500 * i, 500);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,8)0-4000>4 ");
}

static void
test_pauses (void)
{
  Fixture f;

  begin (&f, 8, 4000, 10000, 500);
  for (guint i = 0; i < 28; i++)
    g_assert_cmpint (add (&f, 500 * i, 500) == TERN_WINDOW_SKIP, ==, i >= 8 && i < 20);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,8)0-4000>8 [8,16)10000-14000>16 ");
}

/* One frame a second where two could be had: time ends the window. */
static void
test_slow_frames (void)
{
  Fixture f;

  begin (&f, 8, 4000, 4000, 500);
  for (guint i = 0; i < 10; i++)
    add (&f, 1000 * i, 1000);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,4)0-4000>4 [4,8)4000-8000>8 [8,10)8000-10000>10 ");

  /* The same without durations. */
  begin (&f, 8, 4000, 4000, 500);
  for (guint i = 0; i < 10; i++)
    add (&f, 1000 * i, 500);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,4)0-4000>4 [4,8)4000-8000>8 [8,10)8000-9500>10 ");
}

static void
test_gaps (void)
{
  Fixture f;

  begin (&f, 8, 4000, 4000, 500);
  for (guint i = 0; i < 6; i++)
    add (&f, 500 * i, 500);
  g_assert_false (tern_windower_is_gap (&f.windower, MS (3000)));
  g_assert_false (tern_windower_is_gap (&f.windower, MS (6900)));
  g_assert_true (tern_windower_is_gap (&f.windower, MS (7100)));
  g_assert_true (tern_windower_is_gap (&f.windower, MS (1000)));
  tern_windower_finish (&f.windower, MS (2900));
  for (guint i = 0; i < 8; i++)
    g_assert_cmpint (add (&f, 20000 + 500 * i, 500), ==, i % 4 == 0 ? TERN_WINDOW_TAKE_FIRST : TERN_WINDOW_TAKE);
  expect (&f, "[0,6)0-2900>6 [6,14)20000-24000>14 ");
}

static void
test_single_frame (void)
{
  Fixture f;

  begin (&f, 8, 4000, 4000, 500);
  add (&f, 0, 500);
  tern_windower_finish (&f.windower, MS (40));
  tern_windower_reset (&f.windower);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,1)0-40>1 ");
}

/* Whatever comes: windows begin at groups, do not run backwards, hold at most max_frames, and with hop = window every
 * frame is in exactly one. */
static void
on_random_window (void *data, const TernWindow *w)
{
  guint64 *at = data;

  g_assert_cmpuint (w->first, ==, *at);
  g_assert_cmpuint (w->end, >, w->first);
  g_assert_cmpuint (w->end - w->first, <=, 12);
  g_assert_cmpuint (w->next, ==, w->end);
  g_assert_cmpuint (w->end_time, >=, w->start_time);
  *at = w->end;
}

static void
test_random (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (9);

  for (guint round = 0; round < 200; round++) {
    TernWindowPlan plan = { .group = 4, .max_frames = 12, .max_groups = 64, .window = MS (g_rand_int_range (rand, 100, 9000)),
      .tick = MS (500) };
    TernWindowMark marks[64];
    TernWindower windower;
    guint64 at = 0, pts = 0;

    plan.hop = plan.window;
    tern_windower_init (&windower, &plan, marks, on_random_window, &at);
    for (guint i = 0; i < 200; i++) {
      pts += MS (g_rand_int_range (rand, 450, 2500));
      if (tern_windower_is_gap (&windower, pts))
        tern_windower_finish (&windower, G_MAXUINT64);
      if (tern_windower_add (&windower, pts, pts, pts + MS (500), g_rand_int_range (rand, 0, 9) == 0) == TERN_WINDOW_SKIP)
        g_assert_not_reached ();
    }
    tern_windower_finish (&windower, G_MAXUINT64);
    g_assert_cmpuint (at, ==, 200);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sampler/constant", test_sampler_constant);
  g_test_add_func ("/sampler/variable", test_sampler_variable);
  g_test_add_func ("/sampler/rounding", test_sampler_rounding);
  g_test_add_func ("/sampler/jump-back", test_sampler_jump_back);
  g_test_add_func ("/windows/regular", test_regular);
  g_test_add_func ("/windows/rounding", test_rounding);
  g_test_add_func ("/windows/overlap", test_overlap);
  g_test_add_func ("/windows/pauses", test_pauses);
  g_test_add_func ("/windows/slow-frames", test_slow_frames);
  g_test_add_func ("/windows/gaps", test_gaps);
  g_test_add_func ("/windows/single-frame", test_single_frame);
  g_test_add_func ("/windows/random", test_random);
  return g_test_run ();
}
