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
    { 2700, TRUE }, { 2999, FALSE }, { 3000, TRUE },    /* a gap: ticks without a frame are lost */
    { 3800, TRUE }, { 3999, FALSE }, { 4000, TRUE },
    { 6100, TRUE }, { 6500, FALSE }, { 6600, TRUE },    /* a pause: sampled from there on */
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

/* A new group after a pause; not at low rates, where it is none. */
static void
test_sampler_pause (void)
{
  TernFrameSampler sampler;

  tern_frame_sampler_init (&sampler, 2, 1);
  g_assert_true (tern_frame_sampler_take (&sampler, 0));
  g_assert_true (tern_frame_sampler_take (&sampler, MS (2000)));
  g_assert_cmpuint (sampler.count, ==, 2);
  g_assert_true (tern_frame_sampler_take (&sampler, MS (4001)));
  g_assert_cmpuint (sampler.count, ==, 5);
  g_assert_cmpuint (tern_frame_sampler_late (&sampler, MS (4001)), ==, 0);

  tern_frame_sampler_init (&sampler, 30, 1);
  for (guint i = 0; i < 10; i++)
    g_assert_true (tern_frame_sampler_take (&sampler, MS (1000 * i)));
  g_assert_cmpuint (sampler.count, ==, 10);

  tern_frame_sampler_init (&sampler, 1, 10);
  g_assert_true (tern_frame_sampler_take (&sampler, 0));
  g_assert_true (tern_frame_sampler_take (&sampler, MS (35000)));
  g_assert_cmpuint (sampler.count, ==, 2);
  g_assert_cmpuint (tern_frame_sampler_late (&sampler, MS (35000)), ==, MS (5000));
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
  GString *log;
} Fixture;

/* What was closed so far. */
static void
take_closed (Fixture *f)
{
  TernWindow window;

  while (tern_windower_next (&f->windower, &window))
    g_string_append_printf (f->log, "[%u,%u)%u-%u>%u ", (guint) window.first, (guint) window.end,
        (guint) (window.start_time / 1000000), (guint) (window.end_time / 1000000), (guint) window.next);
}

/* Two ticks a second. */
static void
begin (Fixture *f, guint window, guint hop, gboolean eager)
{
  TernWindowPlan plan = { .group = 4, .window = window, .hop = hop, .rate_n = 2, .rate_d = 1, .eager = eager };

  f->log = g_string_new (NULL);
  tern_windower_init (&f->windower, &plan);
}

static TernWindowVerdict
add (Fixture *f, guint ms)
{
  TernWindowVerdict verdict = tern_windower_add (&f->windower, MS (ms), MS (ms), FALSE);

  take_closed (f);
  return verdict;
}

static void
expect (Fixture *f, const char *windows)
{
  take_closed (f);
  g_assert_cmpstr (f->log->str, ==, windows);
  g_string_truncate (f->log, 0);
}

static void
end_of_test (Fixture *f)
{
  g_string_free (f->log, TRUE);
  tern_windower_clear (&f->windower);
}

static void
test_regular (void)
{
  Fixture f;

  begin (&f, 8, 8, TRUE);
  for (guint i = 0; i < 20; i++)
    g_assert_cmpint (add (&f, 500 * i), ==, i % 4 == 0 ? TERN_WINDOW_TAKE_FIRST : TERN_WINDOW_TAKE);
  tern_windower_finish (&f.windower, MS (9900));
  tern_windower_finish (&f.windower, MS (9900));
  expect (&f, "[0,8)0-4000>8 [8,16)4000-8000>16 [16,20)8000-9900>20 ");
  end_of_test (&f);
}

/* The window is answered when it is known that the video fills it: its last one must not end after the video. */
static void
test_eager (void)
{
  Fixture f;

  for (gint eager = 0; eager < 2; eager++) {
    begin (&f, 4, 4, eager);
    for (guint i = 0; i < 4; i++) {
      tern_windower_see (&f.windower, MS (500 * i), MS (9000));       /* what a duration says; but a frame is due */
      add (&f, 500 * i);
    }
    tern_windower_see (&f.windower, MS (1960), MS (1990));
    expect (&f, eager ? "[0,4)0-2000>4 " : "");
    tern_windower_finish (&f.windower, MS (1990));
    expect (&f, eager ? "" : "[0,4)0-1990>4 ");
    for (guint i = 20; i < 24; i++)
      add (&f, 500 * i);
    tern_windower_see (&f.windower, MS (11980), MS (12000));
    expect (&f, "[4,8)10000-12000>8 ");
    for (guint i = 24; i < 29; i++)
      add (&f, 500 * i);
    expect (&f, "[8,12)12000-14000>12 ");
    tern_windower_see (&f.windower, MS (16000), MS (16000));
    expect (&f, "[12,13)14000-16000>13 ");
    end_of_test (&f);
  }
}

static void
test_overlap (void)
{
  Fixture f;

  begin (&f, 8, 4, TRUE);
  for (guint i = 0; i < 18; i++)
    add (&f, 500 * i);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,8)0-4000>4 [4,12)2000-6000>8 [8,16)4000-8000>12 [12,18)6000-10000>18 ");
  end_of_test (&f);

  /* Nothing new since the last window: no partial one. */
  begin (&f, 8, 4, TRUE);
  for (guint i = 0; i < 8; i++)
    add (&f, 500 * i);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,8)0-4000>4 ");
  end_of_test (&f);
}

static void
test_pauses (void)
{
  Fixture f;

  begin (&f, 8, 20, FALSE);
  for (guint i = 0; i < 28; i++)
    g_assert_cmpint (add (&f, 500 * i) == TERN_WINDOW_SKIP, ==, i >= 8 && i < 20);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,8)0-4000>8 [8,16)10000-14000>16 ");
  end_of_test (&f);
}

/* Fewer frames than ticks: time ends windows and groups. */
static void
test_slow_frames (void)
{
  Fixture f;

  begin (&f, 8, 8, FALSE);
  for (guint i = 0; i < 7; i++)
    g_assert_cmpint (add (&f, 1500 * i), ==, i % 3 == 0 ? TERN_WINDOW_TAKE_FIRST : TERN_WINDOW_TAKE);
  tern_windower_finish (&f.windower, MS (9100));
  expect (&f, "[0,3)0-4000>3 [3,6)4000-8000>6 [6,7)8000-9100>7 ");
  add (&f, 20000);
  add (&f, 25000);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[7,8)20000-24000>8 [8,9)25000-29000>9 ");
  end_of_test (&f);
}

/* Starts stay whole hops from the first one however late frames come, and begin anew behind a pause alone. */
static void
test_grid (void)
{
  Fixture f;

  begin (&f, 4, 4, FALSE);
  for (guint i = 0; i < 5; i++)
    add (&f, 1500 * i);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,2)0-2000>2 [2,3)2000-4000>3 [3,4)4000-6000>4 [4,5)6000-8000>5 ");
  end_of_test (&f);

  begin (&f, 8, 4, FALSE);
  for (guint i = 0; i < 5; i++)
    add (&f, 1500 * i);
  add (&f, 9000);
  for (guint i = 0; i < 5; i++)
    add (&f, 11500 + 1500 * i);
  expect (&f, "[0,3)0-4000>2 [2,4)2000-6000>3 [3,5)4000-8000>4 [4,6)6000-10000>5 [5,7)9000-13000>6 [6,9)11500-15500>8 "
      "[8,10)13500-17500>9 ");
  end_of_test (&f);

  begin (&f, 4, 8, FALSE);
  for (guint i = 0; i < 8; i++)
    g_assert_cmpint (add (&f, 1500 * i) == TERN_WINDOW_SKIP, ==, i == 2 || i == 4 || i == 5 || i == 7);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,2)0-2000>2 [2,3)4000-6000>3 [3,4)8000-10000>4 ");
  end_of_test (&f);

  /* Between two windows that no frame lies in: one begins late, and ends before the next one at the latest. */
  begin (&f, 4, 8, FALSE);
  add (&f, 0);
  add (&f, 1900);
  add (&f, 3900);
  add (&f, 6100);
  add (&f, 7800);
  add (&f, 9800);
  add (&f, 11500);
  tern_windower_finish (&f.windower, G_MAXUINT64);
  expect (&f, "[0,2)0-2000>2 [2,4)6100-8100>4 [4,5)10100-12100>5 ");
  end_of_test (&f);
}

/* What ticks are rounded by does not add up: a hundred thousand windows at 29.97 frames a second. */
static void
test_grid_rounding (void)
{
  TernWindowPlan plan = { .group = 4, .window = 4, .hop = 4, .rate_n = 30000, .rate_d = 1001 };
  TernWindower windower;
  TernWindow window = { 0 };
  guint64 n = 0;

  tern_windower_init (&windower, &plan);
  for (guint64 i = 0; i < 400001; i++) {
    guint64 at = i * 1001 * TERN_SECOND / 30000;

    tern_windower_add (&windower, at, at, FALSE);
    while (tern_windower_next (&windower, &window)) {
      g_assert_cmpuint (window.start_time, ==, n * 4 * 1001 * TERN_SECOND / 30000);
      g_assert_cmpuint (window.end - window.first, ==, 4);
      n++;
    }
  }
  g_assert_cmpuint (n, ==, 100000);
  tern_windower_clear (&windower);
}

static void
test_jumps (void)
{
  Fixture f;

  begin (&f, 8, 8, FALSE);
  for (guint i = 0; i < 6; i++)
    add (&f, 500 * i);
  g_assert_false (tern_windower_is_jump (&f.windower, MS (3000)));
  g_assert_false (tern_windower_is_jump (&f.windower, MS (900000)));
  g_assert_true (tern_windower_is_jump (&f.windower, MS (1000)));
  tern_windower_finish (&f.windower, MS (2900));
  g_assert_false (tern_windower_is_jump (&f.windower, MS (1000)));
  for (guint i = 0; i < 8; i++)
    g_assert_cmpint (add (&f, 1000 + 500 * i), ==, i % 4 == 0 ? TERN_WINDOW_TAKE_FIRST : TERN_WINDOW_TAKE);
  tern_windower_finish (&f.windower, MS (5000));
  expect (&f, "[0,6)0-2900>6 [6,14)1000-5000>14 ");
  end_of_test (&f);
}

/* What begins anew between two ticks (frames of another size) does not begin before what was. */
static void
test_between_ticks (void)
{
  Fixture f;

  begin (&f, 4, 4, FALSE);
  tern_windower_add (&f.windower, MS (0), MS (0), FALSE);
  tern_windower_add (&f.windower, MS (500), MS (510), FALSE);
  tern_windower_finish (&f.windower, MS (1020));
  tern_windower_add (&f.windower, MS (1000), MS (1020), FALSE);
  tern_windower_add (&f.windower, MS (1500), MS (1530), FALSE);
  tern_windower_add (&f.windower, MS (3000), MS (3020), FALSE);
  tern_windower_finish (&f.windower, MS (3040));
  expect (&f, "[0,2)0-1020>2 [2,4)1020-3000>4 [4,5)3000-3040>5 ");
  end_of_test (&f);
}

/* Windows wait until they are taken, however many: in their order, and none is lost. Only a reset forgets them. */
static void
test_untaken (void)
{
  TernWindow window;
  guint64 end = 0;
  guint n = 0;
  Fixture f;

  begin (&f, 4, 4, TRUE);
  for (guint i = 0; i < 400; i++)
    tern_windower_add (&f.windower, MS (500 * i), MS (500 * i), FALSE);
  for (; tern_windower_next (&f.windower, &window); n++, end = window.end)
    g_assert_cmpuint (window.first, ==, end);
  g_assert_cmpuint (n, ==, 100);
  for (guint i = 0; i < 5; i++)
    tern_windower_add (&f.windower, MS (200000 + 500 * i), MS (200000 + 500 * i), FALSE);
  tern_windower_reset (&f.windower);
  expect (&f, "");
  end_of_test (&f);
}

/* What a frame closes ended before it or with it, and its `end` says which. */
static void
test_around_frame (void)
{
  TernWindow window;
  Fixture f;

  begin (&f, 4, 4, TRUE);
  for (guint i = 0; i < 3; i++)
    add (&f, 500 * i);
  tern_windower_add (&f.windower, MS (1500), MS (1500), FALSE);
  g_assert_true (tern_windower_next (&f.windower, &window));
  g_assert_cmpuint (window.end, ==, 4);         /* with frame 3 */
  add (&f, 2000);
  tern_windower_add (&f.windower, MS (9000), MS (9000), FALSE);
  g_assert_true (tern_windower_next (&f.windower, &window));
  g_assert_cmpuint (window.end, ==, 5);         /* before frame 5 */
  g_assert_false (tern_windower_next (&f.windower, &window));
  end_of_test (&f);
}

/* What is passed over does not move the grid. */
static void
test_pass_over (void)
{
  Fixture f;

  begin (&f, 4, 4, TRUE);
  for (guint i = 0; i < 14; i++) {
    if (i == 6)
      tern_windower_pass_over (&f.windower);
    g_assert_cmpint (add (&f, 500 * i) == TERN_WINDOW_SKIP, ==, i == 6 || i == 7);
  }
  expect (&f, "[0,4)0-2000>4 [6,10)4000-6000>10 ");
  end_of_test (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sampler/constant", test_sampler_constant);
  g_test_add_func ("/sampler/variable", test_sampler_variable);
  g_test_add_func ("/sampler/rounding", test_sampler_rounding);
  g_test_add_func ("/sampler/pause", test_sampler_pause);
  g_test_add_func ("/sampler/jump-back", test_sampler_jump_back);
  g_test_add_func ("/windows/regular", test_regular);
  g_test_add_func ("/windows/eager", test_eager);
  g_test_add_func ("/windows/overlap", test_overlap);
  g_test_add_func ("/windows/pauses", test_pauses);
  g_test_add_func ("/windows/slow-frames", test_slow_frames);
  g_test_add_func ("/windows/grid", test_grid);
  g_test_add_func ("/windows/grid-rounding", test_grid_rounding);
  g_test_add_func ("/windows/jumps", test_jumps);
  g_test_add_func ("/windows/between-ticks", test_between_ticks);
  g_test_add_func ("/windows/untaken", test_untaken);
  g_test_add_func ("/windows/around-frame", test_around_frame);
  g_test_add_func ("/windows/pass-over", test_pass_over);
  return g_test_run ();
}
