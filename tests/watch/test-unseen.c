/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was due and not looked at: found out by hand-written stories with a clock of their own, and kept in the memory. When a
 * camera that was lost is tried for again, and when what it shows was, likewise. */
#include <string.h>

#include "tern/error.h"
#include "tests/watch/memory-place.h"
#include "watch/memory-priv.h"
#include "watch/moments.h"
#include "watch/retry.h"
#include "watch/said.h"
#include "watch/unseen.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define NOON ((gint64) 1764417600 * G_USEC_PER_SEC)     /* Saturday 2025-11-29T12:00:00Z */
#define WINDOW (4 * SECOND)

/* ---- Vigils ---- */

/* Times in seconds from here on: "away 4-12 (2)". */
static char *
tell (TernVigil *vigil)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < vigil->spans->len; i++) {
    const TernUnseen *span = &g_array_index (vigil->spans, TernUnseen, i);

    g_string_append_printf (out, "%s%s %g-%g (%d)", i ? ", " : "", tern_unseen_name (span->reason), (double) span->start / SECOND,
        (double) span->end / SECOND, (int) span->windows);
  }
  g_array_set_size (vigil->spans, 0);
  return g_string_free (out, FALSE);
}

#define assert_told(vigil, expected) G_STMT_START { \
  g_autofree char *told_ = tell (vigil); \
  g_assert_cmpstr (told_, ==, expected); \
} G_STMT_END

#define S(x) ((gint64) ((x) * SECOND))

static void
begin (TernVigil *vigil)
{
  tern_vigil_init (vigil, WINDOW, 0);
  tern_vigil_come (vigil, S (.5));
  tern_vigil_look (vigil, S (.5), S (4.5), FALSE);
  assert_told (vigil, "");
}

static char *
going_on (const TernVigil *vigil, gint64 now)
{
  TernUnseen span;

  if (!tern_vigil_goes_on (vigil, now, &span))
    return g_strdup ("");
  return g_strdup_printf ("%s %g-%g (%d)", tern_unseen_name (span.reason), (double) span.start / SECOND, (double) span.end / SECOND,
      (int) span.windows);
}

#define assert_goes_on(vigil, now, expected) G_STMT_START { \
  g_autofree char *going_ = going_on (vigil, now); \
  g_assert_cmpstr (going_, ==, expected); \
} G_STMT_END

/* Windows one after the other, on ticks that wander a little: nothing was missed, gate or no gate. */
static void
test_whole (void)
{
  TernVigil vigil;

  begin (&vigil);
  tern_vigil_look (&vigil, S (5), S (9), FALSE);
  tern_vigil_look (&vigil, S (10.9), S (14.9), FALSE);
  assert_told (&vigil, "");
  assert_goes_on (&vigil, S (16), "");
  tern_vigil_clear (&vigil);
}

/* Pictures came, and windows are missing: this machine had too much to look at. */
static void
test_overload (void)
{
  TernVigil vigil;

  begin (&vigil);
  tern_vigil_look (&vigil, S (12.5), S (16.5), FALSE);
  assert_told (&vigil, "overload 4.5-12.5 (2)");
  tern_vigil_look (&vigil, S (18.5), S (22.5), FALSE);  /* half a window is one */
  assert_told (&vigil, "overload 16.5-18.5 (1)");
  assert_goes_on (&vigil, S (38), "");                  /* an answer may be late */
  assert_goes_on (&vigil, S (42.5), "overload 22.5-34.5 (3)");
  tern_vigil_look (&vigil, S (22.5), S (26.5), FALSE);  /* that one was only late */
  assert_goes_on (&vigil, S (42.4), "");
  assert_told (&vigil, "");
  tern_vigil_look (&vigil, S (26.5), S (30.5), TRUE);
  tern_vigil_look (&vigil, S (30.5), S (34.5), FALSE);
  assert_told (&vigil, "failed 26.5-30.5 (1)");
  tern_vigil_clear (&vigil);
}

/* A connection breaks off: what was on its way is lost with it; until there are pictures again. */
static void
test_away (void)
{
  TernVigil vigil;

  begin (&vigil);
  tern_vigil_lose (&vigil, S (10));
  assert_goes_on (&vigil, S (8.4), "");
  assert_goes_on (&vigil, S (20.5), "away 4.5-20.5 (4)");
  tern_vigil_come (&vigil, S (30));
  assert_goes_on (&vigil, S (31), "away 4.5-30 (6)");   /* nothing is answered yet */
  tern_vigil_lose (&vigil, S (31));                     /* a few pictures, and nothing of them */
  tern_vigil_come (&vigil, S (40));
  tern_vigil_look (&vigil, S (40.5), S (44.5), FALSE);
  assert_told (&vigil, "away 4.5-40.5 (9)");
  /* Under load: older windows were left out, the last two were on their way. */
  tern_vigil_lose (&vigil, S (64.5));
  tern_vigil_come (&vigil, S (70.5));
  tern_vigil_look (&vigil, S (74.5), S (78.5), FALSE);
  assert_told (&vigil, "overload 44.5-56.5 (3), away 56.5-70.5 (4), overload 70.5-74.5 (1)");
  tern_vigil_clear (&vigil);
}

/* Connected all the time, and nothing came for a while. */
static void
test_stalled (void)
{
  TernVigil vigil;

  begin (&vigil);
  tern_vigil_miss (&vigil, S (6), S (7));               /* is nothing */
  tern_vigil_look (&vigil, S (4.5), S (8.5), FALSE);
  tern_vigil_miss (&vigil, S (12.5), S (18.5));
  tern_vigil_look (&vigil, S (8.5), S (12.5), FALSE);
  tern_vigil_look (&vigil, S (18.5), S (22.5), FALSE);
  assert_told (&vigil, "away 12.5-18.5 (2)");
  tern_vigil_miss (&vigil, S (28.5), S (36.5));
  tern_vigil_look (&vigil, S (44.5), S (48.5), FALSE);
  assert_told (&vigil, "overload 22.5-28.5 (2), away 28.5-36.5 (2), overload 36.5-44.5 (2)");
  tern_vigil_clear (&vigil);
}

static void
test_schedule (void)
{
  TernVigil vigil;

  begin (&vigil);
  tern_vigil_pause (&vigil, S (10), TERN_UNSEEN_SCHEDULE);      /* the last one was not over: */
  assert_told (&vigil, "");
  assert_goes_on (&vigil, S (50), "schedule 4.5-50 (0)");       /* it is lost, and not for the camera */
  tern_vigil_look (&vigil, S (4.5), S (8.5), FALSE);    /* nobody asks for it any more */
  tern_vigil_resume (&vigil, S (3610));
  assert_told (&vigil, "schedule 4.5-3610 (0)");
  assert_goes_on (&vigil, S (3620), "away 3610-3620 (3)");
  tern_vigil_pause (&vigil, S (3630), TERN_UNSEEN_SCHEDULE);
  assert_told (&vigil, "away 3610-3630 (5)");
  tern_vigil_resume (&vigil, S (3640));
  tern_vigil_come (&vigil, S (3641));
  tern_vigil_look (&vigil, S (3641), S (3645), FALSE);
  tern_vigil_pause (&vigil, S (3665), TERN_UNSEEN_SCHEDULE);    /* the last two may be on their way, no more */
  assert_told (&vigil, "schedule 3630-3640 (0), overload 3645-3657 (3)");
  tern_vigil_clear (&vigil);
}

/* Who stops watching is no camera that went away; one that had gone before had. */
static void
test_left (void)
{
  TernVigil vigil;

  begin (&vigil);
  tern_vigil_look (&vigil, S (4.5), S (8.5), FALSE);
  tern_vigil_pause (&vigil, S (12), TERN_UNSEEN_OFF);
  assert_told (&vigil, "");
  assert_goes_on (&vigil, S (20.5), "off 8.5-20.5 (3)");
  tern_vigil_clear (&vigil);
  begin (&vigil);
  tern_vigil_lose (&vigil, S (12.5));
  tern_vigil_pause (&vigil, S (30.5), TERN_UNSEEN_OFF);
  assert_told (&vigil, "away 4.5-30.5 (7)");
  tern_vigil_clear (&vigil);
  begin (&vigil);                                       /* what cannot be asked as it is to be will never be looked at */
  tern_vigil_pause (&vigil, S (5), TERN_UNSEEN_FAILED);
  assert_goes_on (&vigil, S (44.5), "failed 4.5-44.5 (10)");
  tern_vigil_clear (&vigil);
}

/* A source that is faster than time: its windows lie in what is to come, and nothing was missed. */
static void
test_fast (void)
{
  TernVigil vigil;

  tern_vigil_init (&vigil, WINDOW, 0);
  tern_vigil_come (&vigil, S (.1));
  for (guint i = 0; i < 10; i++)
    tern_vigil_look (&vigil, S (.1 + 4 * i), S (4.1 + 4 * i), FALSE);
  tern_vigil_lose (&vigil, S (40));
  assert_goes_on (&vigil, S (1), "");
  tern_vigil_come (&vigil, S (2));
  tern_vigil_look (&vigil, S (2), S (6), FALSE);
  tern_vigil_pause (&vigil, S (7), TERN_UNSEEN_OFF);
  assert_told (&vigil, "");
  tern_vigil_clear (&vigil);
}

/* A machine that is too slow for hours makes a row for ten minutes of it, and no row for each window. */
static void
test_joined (void)
{
  TernUnseen span = { 0, S (8), S (8), 2, TERN_UNSEEN_OVERLOAD }, next = { S (12), S (20), S (8), 2, TERN_UNSEEN_OVERLOAD };
  TernUnseen away = { S (30), S (40), S (10), 2, TERN_UNSEEN_AWAY }, early = { S (4), S (6), S (2), 1, TERN_UNSEEN_OVERLOAD };
  TernUnseen far = { S (80.1), S (90), S (9.9), 2, TERN_UNSEEN_OVERLOAD }, late = { S (70), S (600.1), S (530.1), 132,
      TERN_UNSEEN_OVERLOAD };

  g_assert_true (tern_unseen_join (&span, &next));
  g_assert_cmpint (span.start, ==, 0);
  g_assert_cmpint (span.end, ==, S (20));
  g_assert_cmpint (span.time, ==, S (16));
  g_assert_cmpuint (span.windows, ==, 4);
  g_assert_false (tern_unseen_join (&span, &away));
  g_assert_false (tern_unseen_join (&span, &early));
  g_assert_false (tern_unseen_join (&span, &far));
  g_assert_false (tern_unseen_join (&span, &late));
  g_assert_cmpint (span.end, ==, S (20));
}

/* ---- Tries ---- */

#define HANDSHAKE S (2)         /* from a try to a picture, of a camera that is there */

typedef enum { REFUSES, SWALLOWS } Absence;

/* A camera is lost at 0 and back at @back. Until it is watched again; *@tries begun. What begins before it is back fails. */
static gint64
watched_again (Absence absence, gint64 back, guint *tries)
{
  TernRetry retry = { 0 };
  gint64 now = 0;

  tern_retry_begin (&retry, -S (3600));
  tern_retry_fail (&retry, now, TRUE);
  for (*tries = 1;; ++*tries) {
    now = retry.due;
    tern_retry_begin (&retry, now);
    if (now >= back)
      return now + HANDSHAKE - back;
    now += absence == REFUSES ? S (.002) : TERN_RETRY_ANSWER;
    tern_retry_fail (&retry, now, FALSE);
  }
}

/* Whenever it comes back, and whatever it says until then. */
static void
test_back_in_time (void)
{
  for (guint absence = 0; absence < 2; absence++) {
    gint64 most = 0;
    guint tries;

    for (gint64 back = S (.01); back < S (60); back += S (.037))
      most = MAX (most, watched_again (absence, back, &tries));
    g_assert_cmpint (most, <=, S (10));
    g_assert_cmpint (most, >, S (5));                   /* nor is it asked all the time */
  }
}

static void
test_does_not_hammer (void)
{
  for (guint absence = 0; absence < 2; absence++) {
    guint tries;

    watched_again (absence, S (3600), &tries);
    g_assert_cmpuint (tries, <=, 3600 / 4 + 4);
    g_assert_cmpuint (tries, >=, 3600 / 4);
  }
}

/* One that swallows what it is asked, or sends nothing any more, and is back at once. */
static void
test_silent_loss (void)
{
  TernRetry retry = { 0 };
  gint64 lost = 0;

  tern_retry_begin (&retry, -S (100));
  while (!tern_retry_is_lost (&retry, lost, S (-.04), TERN_RETRY_STALL))
    lost += SECOND;             /* a tick of the service */
  tern_retry_fail (&retry, lost, TRUE);
  g_assert_cmpint (retry.due + HANDSHAKE, <=, S (10));
  /* But a first picture is waited for: key frames may be ten seconds apart. */
  tern_retry_begin (&retry, S (1000));
  g_assert_false (tern_retry_is_lost (&retry, S (1010), 0, TERN_RETRY_STALL));
  g_assert_true (tern_retry_is_lost (&retry, S (1011), 0, TERN_RETRY_STALL));
}

static void
test_steps (void)
{
  static const gint64 apart[] = { 0, 1, 2, 4, 4, 4 };
  TernRetry retry = { 0 };
  gint64 now = S (50);

  for (guint turn = 0; turn < 2; turn++) {
    for (guint i = 0; i < G_N_ELEMENTS (apart); i++) {
      tern_retry_begin (&retry, now);
      tern_retry_fail (&retry, now + S (.5), i == 3);   /* a few pictures are none */
      g_assert_cmpint (retry.apart, ==, S (apart[i]));
      g_assert_cmpint (retry.due, ==, now + MAX (S (apart[i]), S (.5)));
      now = retry.due;
    }
    tern_retry_begin (&retry, now);                     /* it lasts, and is lost anew */
    now += S (60);
    tern_retry_fail (&retry, now, TRUE);
    g_assert_cmpint (retry.due, ==, now);
    retry = (TernRetry) { 0 };
  }
}

/* ---- What is said of it ---- */

/* Tries every 4 s from @from until @to (seconds) that fail for the reasons @reasons in turn: how many are said. */
static guint
lose (TernSaid *said, double from, double to, const char *const *reasons)
{
  guint n = 0, turn = 0;

  for (double at = from; at < to; at += 4, turn++)
    for (guint i = 0; reasons[i]; i++) {
      g_autofree char *why = g_strdup_printf ("%s%u", reasons[i], turn);        /* a number that changes */

      n += tern_said_lost (said, why, FALSE, S (at));
    }
  return n;
}

#define LOSE(...) lose (&said, __VA_ARGS__)

/* A camera that is away for a day, and for another reason in the afternoon, does not fill the log. */
static void
test_said_away (void)
{
  static const char *const refused[] = { "refused", NULL }, *const both[] = { "refused", "no route", NULL };
  TernSaid said = { NULL };
  gint64 away;

  g_assert_true (tern_said_back (&said, S (1), &away));
  g_assert_cmpint (away, ==, 0);
  g_assert_true (tern_said_lost (&said, "the stream has ended", TRUE, S (100)));
  g_assert_cmpuint (LOSE (100, 3700, refused), ==, 1);
  g_assert_cmpuint (LOSE (3700, 7300, both), ==, 2);    /* the hour is over, and there is another reason */
  g_assert_cmpuint (LOSE (7300, 86400, refused), ==, 22);
  g_assert_cmpint (tern_said_away (&said, S (86500)), ==, S (86400));
  g_assert_true (tern_said_back (&said, S (86500), &away));
  g_assert_cmpint (away, ==, S (86400));
  g_assert_false (tern_said_back (&said, S (86501), &away));
  g_assert_cmpint (tern_said_away (&said, S (86501)), ==, 0);
  g_assert_true (tern_said_lost (&said, "refused0", TRUE, S (86600)));          /* another loss is news */
  tern_said_clear (&said);
}

/* One that comes and goes says no more than one that is away; but the last word is not for long that it is there when it is not. */
static void
test_said_flaps (void)
{
  TernSaid said = { NULL };
  guint lines = 0;
  gint64 away;

  for (double at = 0; at < 3600; at += 4) {
    lines += tern_said_back (&said, S (at), &away);
    lines += tern_said_lost (&said, "the stream has ended", FALSE, S (at + 1));
  }
  g_assert_cmpuint (lines, ==, 3);                      /* watching, ended, watching again */
  g_assert_false (tern_said_lost (&said, "the stream has ended", FALSE, S (3598)));
  g_assert_false (tern_said_lost (&said, "the stream has ended", FALSE, S (3599)));
  g_assert_true (tern_said_lost (&said, "the stream has ended", FALSE, S (3661)));
  tern_said_clear (&said);
}

static void
test_said_warned (void)
{
  TernSaid said = { NULL };
  guint n = 0;
  gint64 away;

  g_assert_true (tern_said_back (&said, 0, &away));
  for (guint second = 0; second < 7300; second++)
    n += tern_said_warned (&said, "windows are left out", S (second));
  g_assert_cmpuint (n, ==, 3);
  g_assert_true (tern_said_warned (&said, "status 503", S (7300)));     /* such a number means something, */
  g_assert_true (tern_said_warned (&said, "status 404", S (7300)));
  g_assert_true (tern_said_warned (&said, "decodebin16: nothing", S (7300)));   /* and such a one does not */
  g_assert_false (tern_said_warned (&said, "decodebin17: nothing", S (7300)));
  tern_said_pause (&said);                              /* its hours are over: what comes then is new */
  g_assert_true (tern_said_back (&said, S (9000), &away));
  g_assert_cmpint (away, ==, 0);
  g_assert_true (tern_said_warned (&said, "windows are left out", S (9000)));
  for (guint i = 0; i < 1000; i++) {                    /* whatever is made up, memory is not its to fill */
    g_autofree char *what = g_strnfill (1 + i, 'a');

    tern_said_warned (&said, what, S (9001));
  }
  g_assert_cmpuint (g_hash_table_size (said.reasons), <=, 64);
  tern_said_clear (&said);
}

/* ---- Moments ---- */

/* This machine's clocks @seconds after its start, at noon; the one on the wall was set by @set since. */
static TernNow
clocks (double seconds, double set)
{
  return (TernNow) { NOON + S (seconds + set), S (1000 + seconds) };
}

/* In seconds from noon on by the clock on the wall. */
static double
was_at (TernMoments *moments, double time, TernNow now)
{
  return (double) (tern_moments_wall (moments, S (time), WINDOW, now) - NOON) / SECOND;
}

/* A clock that is set is followed at once, by what began before, too; how long ago something was does not change. */
static void
test_clock_is_set (void)
{
  for (guint live = 0; live < 2; live++) {
    TernMoments moments = { FALSE };

    tern_moments_begin (&moments, S (7), 0, clocks (10, 0));
    g_assert_cmpfloat (was_at (&moments, 8, clocks (12, 0)), ==, 11);
    if (live)                   /* what is live is .25 s old when it comes, and its clock is late by .5 s in the end */
      tern_moments_follow (&moments, S (7.25), clocks (10, 0));
    g_assert_cmpfloat (was_at (&moments, 8, clocks (15, 0)), ==, live ? 10.75 : 11);
    if (live)
      tern_moments_follow (&moments, S (26.75), clocks (30, 0));
    g_assert_cmpfloat (was_at (&moments, 8, clocks (30, 0)), ==, live ? 11.25 : 11);
    for (guint i = 0; i < 2; i++) {
      double set = i ? -3600 : 86400;

      g_assert_cmpfloat (was_at (&moments, 8, clocks (30, set)), ==, set + (live ? 11.25 : 11));
      g_assert_cmpfloat (was_at (&moments, 28, clocks (40, set)), ==, set + (live ? 31.25 : 31));
    }
    g_assert_cmpint (tern_moments_monotonic (&moments, S (8)), ==, S (live ? 1011.25 : 1011));
  }
}

/* A recording has ended when it is opened, as it says, or as it turns out; it stays together whatever the clock does. */
static void
test_recorded (void)
{
  TernMoments says = { TRUE }, silent = { TRUE };

  tern_moments_begin (&says, 0, S (100), clocks (0, 0));
  g_assert_cmpfloat (was_at (&says, 0, clocks (1, 0)), ==, -100);
  g_assert_cmpfloat (was_at (&says, 96, clocks (5, 0)), ==, -4);
  g_assert_cmpfloat (was_at (&says, 120, clocks (5, 0)), ==, 1);        /* it is longer */
  g_assert_cmpfloat (was_at (&says, 124, clocks (5, 0)), ==, 1);
  tern_moments_begin (&silent, 0, 0, clocks (0, 0));
  g_assert_cmpfloat (was_at (&silent, 0, clocks (1, 0)), ==, -3);
  g_assert_cmpfloat (was_at (&silent, 4, clocks (1, 0)), ==, -3);
  g_assert_cmpfloat (was_at (&silent, 8, clocks (2, 3600)), ==, 1);
}

/* A camera's own clock decides nothing, and is told of where it is another one. */
static void
test_camera_clock (void)
{
  static const struct { double ahead; const char *words; } clocks[] = { { 0, NULL }, { 4, NULL }, { -4, NULL },
    { -11100, "the camera's clock is 3 h 5 min behind this machine's, by which times are remembered" },
    { 10799.8, "the camera's clock is 3 h ahead of this machine's, by which times are remembered" },
    { 59.8, "the camera's clock is 1 min ahead of this machine's, by which times are remembered" } };

  for (guint i = 0; i < G_N_ELEMENTS (clocks); i++) {
    g_autofree char *words = tern_moments_clock_words (NOON, NOON + S (clocks[i].ahead));

    g_assert_cmpstr (words, ==, clocks[i].words);
  }
}

/* ---- In the memory ---- */

static gint64
put (TernWatchMemory *memory, const char *camera, TernUnseenReason reason, gint64 start, gint64 end)
{
  TernUnseen span = { NOON + start, NOON + end, end - start, tern_unseen_windows (end - start, WINDOW), reason };
  g_autoptr (GError) error = NULL;
  gint64 id = 0;

  g_assert_true (tern_unseen_put (memory, 1, camera, &span, &id, &error));
  g_assert_no_error (error);
  return id;
}

static void
saw (TernWatchMemory *memory, const char *camera, guint64 number, gint64 start, gboolean unchanged)
{
  TernMemoryResult result = { .run = 1, .camera = camera, .number = number, .start = NOON + start, .end = NOON + start + WINDOW,
    .kind = "caption", .text = "a dog", .unchanged = unchanged };
  g_autoptr (GError) error = NULL;
  gint64 id;

  g_assert_true (tern_memory_add (memory, &result, &id, &error));
}

/* "porch overload 0-8 8 (2)": from, until, how long, windows. */
static char *
sums (GPtrArray *found)
{
  GString *out = g_string_new (NULL);

  g_assert_nonnull (found);
  for (guint i = 0; i < found->len; i++) {
    const TernUnseenSum *sum = g_ptr_array_index (found, i);

    g_string_append_printf (out, "%s%s %s %g-%g %g (%d)", i ? ", " : "", sum->camera, tern_unseen_name (sum->reason),
        (double) (sum->start - NOON) / SECOND, (double) (sum->end - NOON) / SECOND, (double) sum->time / SECOND,
        (int) sum->windows);
  }
  g_ptr_array_unref (found);
  return g_string_free (out, FALSE);
}

#define assert_sums(found, expected) G_STMT_START { \
  g_autofree char *sums_ = sums (found); \
  g_assert_cmpstr (sums_, ==, expected); \
} G_STMT_END

static void
test_memory (Place *place, gconstpointer data)
{
  TernWatchMemory *m = place->memory;
  TernUnseen span = { NOON + S (200), NOON + S (220), S (20), 5, TERN_UNSEEN_AWAY };
  gint64 id = 0;

  saw (m, "porch", 0, 0, FALSE);
  put (m, "porch", TERN_UNSEEN_OVERLOAD, S (4), S (12));
  put (m, "porch", TERN_UNSEEN_OVERLOAD, S (16), S (20));
  put (m, "yard", TERN_UNSEEN_AWAY, S (10), S (110));
  put (m, "porch", TERN_UNSEEN_FAILED, S (196), S (200));
  assert_sums (tern_unseen_sum (m, NULL, 0, 0, NOON + S (150), NULL),
      "porch overload 4-20 12 (3), yard away 10-110 100 (25)");
  assert_sums (tern_unseen_sum (m, "porch", NOON + S (8), NOON + S (18), NOON + S (150), NULL), "porch overload 8-18 6 (2)");
  assert_sums (tern_unseen_sum (m, "nobody", 0, 0, NOON + S (150), NULL), "");
  assert_sums (tern_unseen_list (m, "porch", NOON, NOON + S (150), 10, NULL), "porch overload 4-20 12 (3)");
  assert_sums (tern_unseen_list (m, NULL, NOON, NOON + S (300), 10, NULL),
      "porch failed 196-200 4 (1), yard away 10-110 100 (25), porch overload 4-20 12 (3)");
  /* What goes on grows, and is one. */
  g_assert_true (tern_unseen_put (m, 1, "porch", &span, &id, NULL));
  span.end = NOON + S (240);
  span.time = S (40);
  span.windows = 10;
  g_assert_true (tern_unseen_put (m, 1, "porch", &span, &id, NULL));
  assert_sums (tern_unseen_sum (m, "porch", NOON + S (190), 0, NOON + S (250), NULL),
      "porch away 200-240 40 (10), porch failed 196-200 4 (1)");
  /* Half of a span of which a quarter was missed. */
  span.time = S (10);
  span.windows = 3;
  g_assert_true (tern_unseen_put (m, 1, "porch", &span, &id, NULL));
  assert_sums (tern_unseen_sum (m, "porch", NOON + S (220), NOON + S (240), NOON + S (250), NULL), "porch away 220-240 5 (2)");
  g_assert_true (tern_unseen_remove (m, id, NULL));
  assert_sums (tern_unseen_sum (m, "porch", NOON + S (190), 0, NOON + S (250), NULL), "porch failed 196-200 4 (1)");
}

static GPtrArray *
unknown (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, gint64 now)
{
  GPtrArray *sums = tern_unseen_sum (memory, "nobody", 0, 0, NOON, NULL);

  g_assert_true (tern_unseen_add_unknown (memory, camera, NOON + since, until ? NOON + until : 0, NOON + now, sums, NULL));
  return sums;
}

/* Of whom nothing is known any more nobody looks at; and it is forgotten with the rest. */
static void
test_known (Place *place, gconstpointer data)
{
  TernWatchMemory *m = place->memory;
  g_autoptr (GError) error = NULL;
  guint n;

  g_assert_cmpint (tern_unseen_known_until (m, "porch", NOON + S (70)), ==, 0);
  assert_sums (tern_unseen_sum (m, NULL, 0, 0, NOON, NULL), "");
  saw (m, "porch", 0, 0, FALSE);
  g_assert_cmpint (tern_unseen_known_until (m, "porch", NOON + S (70)), ==, NOON + S (4));
  saw (m, "porch", 1, S (4), TRUE);
  g_assert_cmpint (tern_unseen_known_until (m, "porch", NOON + S (70)), ==, NOON + S (8));
  put (m, "porch", TERN_UNSEEN_AWAY, S (8), S (20));
  put (m, "yard", TERN_UNSEEN_AWAY, S (0), S (60));
  g_assert_cmpint (tern_unseen_known_until (m, "porch", NOON + S (70)), ==, NOON + S (20));
  assert_sums (tern_unseen_sum (m, NULL, 0, 0, NOON + S (70), NULL), "porch away 8-20 12 (3), yard away 0-60 60 (15)");
  assert_sums (tern_unseen_sum (m, NULL, NOON + S (60), 0, NOON + S (180), NULL), "");
  assert_sums (unknown (m, NULL, S (60), 0, S (180)), "porch off 60-180 120 (0), yard off 60-180 120 (0)");
  assert_sums (unknown (m, "porch", 0, S (100), S (180)), "porch off 20-100 80 (0)");
  assert_sums (unknown (m, "porch", 0, S (75), S (180)), "");   /* what goes on is written down now and then only */
  g_assert_true (tern_memory_forget (m, NOON + S (30), G_MAXUINT64, 100, &n, &error));
  assert_sums (tern_unseen_sum (m, NULL, 0, 0, NOON + S (70), NULL), "yard away 0-60 60 (15)");
}

/* A clock that was an hour ahead until it was set, or until the program ended: what it wrote is not known of now. */
static void
test_known_ahead (Place *place, gconstpointer data)
{
  TernWatchMemory *m = place->memory;

  saw (m, "porch", 0, 0, FALSE);
  saw (m, "porch", 1, S (3600), FALSE);
  saw (m, "porch", 2, S (3604), TRUE);
  put (m, "porch", TERN_UNSEEN_AWAY, S (3608), S (3640));
  g_assert_cmpint (tern_unseen_known_until (m, "porch", NOON + S (100)), ==, NOON + S (4));
  assert_sums (unknown (m, NULL, 0, 0, S (104)), "porch off 4-104 100 (0)");
  saw (m, "porch", 3, S (50), FALSE);                   /* it was set */
  saw (m, "porch", 4, S (54), TRUE);
  g_assert_cmpint (tern_unseen_known_until (m, "porch", NOON + S (100)), ==, NOON + S (58));
  put (m, "porch", TERN_UNSEEN_AWAY, S (58), S (90));
  g_assert_cmpint (tern_unseen_known_until (m, "porch", NOON + S (100)), ==, NOON + S (90));
  g_assert_cmpint (tern_unseen_known_until (m, "porch", NOON + S (3630)), ==, NOON + S (3640));         /* clocks differ a little */
}

/* Of a file that has ended nothing is missing; of a camera of that name afterwards there is. */
static void
test_files (Place *place, gconstpointer data)
{
  TernWatchMemory *m = place->memory;

  saw (m, "clip", 0, 0, FALSE);
  saw (m, "porch", 0, 0, FALSE);
  for (guint i = 0; i < 2; i++) {
    g_assert_true (tern_unseen_set_file (m, "clip", TRUE, NULL));
    g_assert_true (tern_unseen_set_file (m, "other", TRUE, NULL));
    g_assert_true (tern_unseen_set_file (m, "porch", FALSE, NULL));
  }
  assert_sums (unknown (m, NULL, 0, 0, S (104)), "porch off 4-104 100 (0)");
  g_assert_true (tern_unseen_set_file (m, "clip", FALSE, NULL));
  g_assert_true (tern_unseen_set_file (m, "porch", TRUE, NULL));
  assert_sums (unknown (m, NULL, 0, 0, S (104)), "clip off 4-104 100 (0)");
}

static void
test_words (void)
{
  TernUnseenSum sum = { (char *) "porch", TERN_UNSEEN_OVERLOAD, NOON, NOON + S (600), S (130), 32 };
  static const struct { double seconds; const char *text; } lengths[] = { { .4, "0 s" }, { 45, "45 s" }, { 60, "1 min" },
    { 130, "2 min 10 s" }, { 3600, "1 h" }, { 11145, "3 h 5 min" }, { 187201, "2 d 4 h" } };
  g_autofree char *line = tern_unseen_line (&sum), *json = tern_unseen_json (&sum);

  g_assert_cmpstr (line, ==, "porch: 2 min 10 s (32 windows) were not looked at, between 2025-11-29 12:00:00 and 2025-11-29 "
      "12:10:00: there was more to look at than this machine can");
  g_assert_cmpstr (json, ==, "{\"camera\":\"porch\",\"not_looked_at\":\"overload\",\"start\":\"2025-11-29T12:00:00.000Z\",\"end\":"
      "\"2025-11-29T12:10:00.000Z\",\"seconds\":130.0,\"windows\":32}");
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
    g_autofree char *text = tern_watch_length (S (lengths[i].seconds));

    g_assert_cmpstr (text, ==, lengths[i].text);
  }
}

static void
add_part (gpointer data, gint64 start, gint64 end, gboolean due)
{
  g_string_append_printf (data, "%s %g-%g ", due ? "due" : "not", (double) (start - NOON) / SECOND, (double) (end - NOON) / SECOND);
}

static void
test_split (void)
{
  g_autoptr (GString) parts = g_string_new (NULL);
  TernWeek week;
  char *wrong;

  g_assert_true (tern_week_parse (&week, "Sat 11:00-13:00; Sun 00:00-01:00", &wrong));
  tern_unseen_split (&week, NOON - S (7200), NOON + S (13 * 3600 + 30), add_part, parts);
  g_assert_cmpstr (parts->str, ==, "not -7200--3600 due -3600-3600 not 3600-43200 due 43200-46800 not 46800-46830 ");
  g_string_truncate (parts, 0);
  tern_unseen_split (NULL, NOON, NOON + S (5), add_part, parts);
  g_assert_cmpstr (parts->str, ==, "due 0-5 ");
}

/* A memory of version 1: all that there is but for this. */
static void
make_old (Place *place)
{
  static const char to_old[] = "DROP TABLE unseen; PRAGMA user_version=1;";

  saw (place->memory, "porch", 0, 0, FALSE);
  g_assert_cmpint (sqlite3_exec (place->memory->db, to_old, NULL, NULL, NULL), ==, SQLITE_OK);
  g_clear_pointer (&place->memory, tern_memory_close);
}

static void
test_old (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  TernUnseen span = { NOON, NOON + WINDOW, WINDOW, 1, TERN_UNSEEN_AWAY };
  gint64 id = 0;

  make_old (place);
  place->memory = tern_memory_open (place->path, TERN_MEMORY_READ, &error);     /* who reads changes nothing */
  g_assert_no_error (error);
  g_assert_false (tern_memory_has_unseen (place->memory));
  assert_sums (tern_unseen_sum (place->memory, NULL, 0, 0, NOON + S (3600), NULL), "");
  assert_sums (tern_unseen_list (place->memory, NULL, 0, NOON + S (3600), 10, NULL), "");
  g_assert_cmpint (tern_unseen_known_until (place->memory, "porch", NOON + S (70)), ==, 0);
  tern_memory_close (place->memory);
  for (guint turn = 0; turn < 2; turn++) {              /* who writes brings it up to date, once */
    place->memory = tern_memory_open (place->path, TERN_MEMORY_WRITE, &error);
    g_assert_no_error (error);
    g_assert_cmpint (tern_unseen_known_until (place->memory, "porch", NOON + S (70)), ==, NOON + S (4));
    g_assert_cmpuint (tern_memory_count (place->memory, "porch", NOON, NOON + S (1)), ==, 1);
    g_assert_true (tern_unseen_put (place->memory, 1, "porch", &span, &id, &error));
    if (turn == 0)
      tern_memory_close (place->memory);
  }
  assert_sums (tern_unseen_sum (place->memory, NULL, 0, 0, NOON + S (10), NULL), "porch away 0-4 4 (1)");
  g_clear_pointer (&place->memory, tern_memory_close);
  place->memory = tern_memory_open (place->path, TERN_MEMORY_READ, &error);
  g_assert_true (tern_memory_has_unseen (place->memory));
}

/* One of a later version is none of ours to change. */
static void
test_later (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (sqlite3_exec (place->memory->db, "PRAGMA user_version=3", NULL, NULL, NULL), ==, SQLITE_OK);
  g_clear_pointer (&place->memory, tern_memory_close);
  g_assert_null (tern_memory_open (place->path, TERN_MEMORY_WRITE, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "expected a memory of version 1 to 2, found version 3"));
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/watch/vigil/whole", test_whole);
  g_test_add_func ("/watch/vigil/overload", test_overload);
  g_test_add_func ("/watch/vigil/away", test_away);
  g_test_add_func ("/watch/vigil/stalled", test_stalled);
  g_test_add_func ("/watch/vigil/schedule", test_schedule);
  g_test_add_func ("/watch/vigil/left", test_left);
  g_test_add_func ("/watch/vigil/fast", test_fast);
  g_test_add_func ("/watch/vigil/joined", test_joined);
  g_test_add_func ("/watch/retry/back-in-time", test_back_in_time);
  g_test_add_func ("/watch/retry/does-not-hammer", test_does_not_hammer);
  g_test_add_func ("/watch/retry/silent-loss", test_silent_loss);
  g_test_add_func ("/watch/retry/steps", test_steps);
  g_test_add_func ("/watch/said/away", test_said_away);
  g_test_add_func ("/watch/said/flaps", test_said_flaps);
  g_test_add_func ("/watch/said/warned", test_said_warned);
  g_test_add_func ("/watch/moments/clock-is-set", test_clock_is_set);
  g_test_add_func ("/watch/moments/recorded", test_recorded);
  g_test_add_func ("/watch/moments/camera-clock", test_camera_clock);
  g_test_add_func ("/watch/unseen/words", test_words);
  g_test_add_func ("/watch/unseen/split", test_split);
#define ADD(name, func) g_test_add (name, Place, NULL, place_open, func, place_clear)
  ADD ("/watch/unseen/memory", test_memory);
  ADD ("/watch/unseen/known", test_known);
  ADD ("/watch/unseen/known-ahead", test_known_ahead);
  ADD ("/watch/unseen/files", test_files);
  ADD ("/watch/unseen/old", test_old);
  ADD ("/watch/unseen/later", test_later);
  return g_test_run ();
}
