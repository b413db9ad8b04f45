/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chunks of actions on simulated time: what is frozen, what goes over, what is late. */
#include "gst-plugin/gstternchunks.h"

#include <string.h>

#define MS(n) ((n) * GST_MSECOND)
#define NONE GST_CLOCK_TIME_NONE
#define STEPS 6

/* Six steps of two numbers, 10 a second: @value and the step's place in it, and ten times that. */
static void
fill (double *actions, double value)
{
  int i;

  for (i = 0; i < STEPS; i++) {
    actions[2 * i] = value + i;
    actions[2 * i + 1] = 10 * (value + i);
  }
}

typedef struct
{
  GstTernChunks chunks;
  GstTernChunkInfo info;
  float out[2 * STEPS];
} Case;

static GstTernChunkFate
add (Case *c, GstClockTime decided, GstClockTime now, GstClockTime deadline, guint overlap, double value)
{
  double actions[2 * STEPS];

  fill (actions, value);
  return gst_tern_chunks_add (&c->chunks, decided, now, deadline, overlap, actions, c->out, &c->info);
}

static void
begin (Case *c)
{
  memset (c, 0, sizeof *c);
  gst_tern_chunks_init (&c->chunks, STEPS, 2, 10, 1);
}

static void
expect (const Case *c, const double *first_numbers)
{
  int i;

  for (i = 0; i < STEPS; i++) {
    g_assert_cmpfloat_with_epsilon (c->out[2 * i], first_numbers[i], 1e-5);
    g_assert_cmpfloat_with_epsilon (c->out[2 * i + 1], 10 * first_numbers[i], 1e-4);
  }
}

/* Nobody waits: every chunk leaves as it is, on its own time. */
static void
test_file (void)
{
  Case c;
  int i;

  begin (&c);
  for (i = 0; i < 3; i++) {
    g_assert_cmpint (add (&c, MS (1000 + 200 * i), NONE, 0, 0, 100 * i), ==, GST_TERN_CHUNK_READY);
    g_assert_cmpuint (c.info.pts, ==, MS (1000 + 200 * i));
    g_assert_cmpuint (c.info.duration, ==, MS (600));
    g_assert_cmpuint (c.info.first, ==, 2 * i);
    g_assert_cmpuint (c.info.frozen + c.info.blended + c.info.missed, ==, 0);
    expect (&c, (double[]) { 100 * i, 100 * i + 1, 100 * i + 2, 100 * i + 3, 100 * i + 4, 100 * i + 5 });
  }
  gst_tern_chunks_clear (&c.chunks);
}

/* Steps that have passed keep what was said for their time; the chunk after that goes by what left, not by what was
 * decided. */
static void
test_frozen (void)
{
  Case c;

  begin (&c);
  g_assert_cmpint (add (&c, MS (1000), MS (1000), 0, 0, 0), ==, GST_TERN_CHUNK_READY);
  /* At 1.35 s steps 2 and 3 (1.2 and 1.3 s) have passed. */
  g_assert_cmpint (add (&c, MS (1200), MS (1350), 0, 0, 100), ==, GST_TERN_CHUNK_READY);
  g_assert_cmpuint (c.info.pts, ==, MS (1200));
  g_assert_cmpuint (c.info.frozen, ==, 2);
  expect (&c, (double[]) { 2, 3, 102, 103, 104, 105 });
  /* A step that is due this very moment is still to come. */
  g_assert_cmpint (add (&c, MS (1300), MS (1500), 0, 0, 200), ==, GST_TERN_CHUNK_READY);
  g_assert_cmpuint (c.info.frozen, ==, 2);
  expect (&c, (double[]) { 3, 102, 202, 203, 204, 205 });
  gst_tern_chunks_clear (&c.chunks);
}

/* In equal parts, as far as the old chunk goes. */
static void
test_overlap (void)
{
  Case c;

  begin (&c);
  add (&c, MS (1000), MS (1000), 0, 3, 0);
  g_assert_cmpuint (c.info.blended, ==, 0);
  /* Step 2 is frozen; 3 to 5 are 3, 4, 5 and would be 101, 102, 103. */
  g_assert_cmpint (add (&c, MS (1200), MS (1250), 0, 3, 100), ==, GST_TERN_CHUNK_READY);
  g_assert_cmpuint (c.info.frozen, ==, 1);
  g_assert_cmpuint (c.info.blended, ==, 3);
  expect (&c, (double[]) { 2, 3 + 98 * .25, 4 + 98 * .5, 5 + 98 * .75, 104, 105 });
  /* The old chunk ends within: its steps 6 and 7 alone go over, of five. */
  g_assert_cmpint (add (&c, MS (1600), MS (1600), 0, 5, 200), ==, GST_TERN_CHUNK_READY);
  g_assert_cmpuint (c.info.blended, ==, 2);
  expect (&c, (double[]) { 104 + 96. / 6, 105 + 96. / 3, 202, 203, 204, 205 });
  gst_tern_chunks_clear (&c.chunks);
}

/* With a deadline as much is frozen as it lasts, whenever the chunk is ready, and also when nobody waits. */
static void
test_deadline (void)
{
  static const GstClockTime ready[] = { MS (1200), MS (1201), MS (1350), NONE };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (ready); i++) {
    Case c;

    begin (&c);
    add (&c, MS (1000), MS (1000), MS (150), 0, 0);
    g_assert_cmpuint (c.info.frozen, ==, 2);
    expect (&c, (double[]) { 0, 1, 2, 3, 4, 5 });
    g_assert_cmpint (add (&c, MS (1200), ready[i], MS (150), 0, 100), ==, GST_TERN_CHUNK_READY);
    g_assert_cmpuint (c.info.frozen, ==, 2);
    expect (&c, (double[]) { 2, 3, 102, 103, 104, 105 });
    gst_tern_chunks_clear (&c.chunks);
  }
}

/* A late chunk changes nothing: the old one holds, and the next goes on with that. */
static void
test_late (void)
{
  Case c;

  begin (&c);
  /* The very first. */
  g_assert_cmpint (add (&c, MS (500), MS (601), MS (100), 0, 7), ==, GST_TERN_CHUNK_LATE);
  g_assert_cmpint (add (&c, MS (500), MS (1001), 0, 0, 7), ==, GST_TERN_CHUNK_LATE);
  add (&c, MS (1000), MS (1050), MS (100), 0, 0);
  g_assert_cmpuint (c.info.pts, ==, MS (1000));
  /* A nanosecond after its deadline; and after its last step. */
  g_assert_cmpint (add (&c, MS (1100), MS (1200) + 1, MS (100), 0, 100), ==, GST_TERN_CHUNK_LATE);
  g_assert_cmpint (add (&c, MS (1100), MS (1600) + 1, 0, 0, 100), ==, GST_TERN_CHUNK_LATE);
  g_assert_cmpint (add (&c, MS (1200), MS (1300), MS (100), 0, 200), ==, GST_TERN_CHUNK_READY);
  expect (&c, (double[]) { 2, 201, 202, 203, 204, 205 });
  /* Its last step is due now. */
  g_assert_cmpint (add (&c, MS (1300), MS (1800), 0, 0, 300), ==, GST_TERN_CHUNK_READY);
  g_assert_cmpuint (c.info.frozen, ==, 5);
  expect (&c, (double[]) { 201, 202, 203, 204, 205, 305 });
  g_assert_cmpuint (c.info.missed, ==, 0);
  /* 1.9 and 2.0 s were in no chunk. */
  g_assert_cmpint (add (&c, MS (1900), MS (2050), 0, 0, 400), ==, GST_TERN_CHUNK_READY);
  g_assert_cmpuint (c.info.missed, ==, 2);
  expect (&c, (double[]) { 400, 401, 402, 403, 404, 405 });
  gst_tern_chunks_clear (&c.chunks);
}

/* What was before a restart, or a jump back, is not what was done before this. */
static void
test_restart (void)
{
  Case c;

  begin (&c);
  add (&c, MS (5000), MS (5000), 0, 6, 0);
  gst_tern_chunks_restart (&c.chunks);
  g_assert_cmpint (add (&c, MS (5110), MS (5300), 0, 6, 100), ==, GST_TERN_CHUNK_READY);
  g_assert_cmpuint (c.info.pts, ==, MS (5110));
  g_assert_cmpuint (c.info.first, ==, 0);
  expect (&c, (double[]) { 100, 101, 102, 103, 104, 105 });
  g_assert_cmpint (add (&c, MS (1005), NONE, 0, 6, 200), ==, GST_TERN_CHUNK_READY);
  g_assert_cmpuint (c.info.pts, ==, MS (1005));
  expect (&c, (double[]) { 200, 201, 202, 203, 204, 205 });
  gst_tern_chunks_clear (&c.chunks);
}

/* Decisions about every third frame of 29.97 a second, 30 steps a second, for three hours: the grid does not drift, and a
 * chunk lies at most half a step away from what it is about. */
static void
test_grid (void)
{
  GstTernChunks chunks;
  GstTernChunkInfo info;
  double action = 0;
  guint64 i;
  float out;

  gst_tern_chunks_init (&chunks, 1, 1, 30, 1);
  for (i = 0; i < 108000; i++) {
    GstClockTime decided = GST_SECOND + gst_util_uint64_scale (3 * i, 1001 * GST_SECOND, 30000);

    g_assert_cmpint (gst_tern_chunks_add (&chunks, decided, NONE, 0, 0, &action, &out, &info), ==, GST_TERN_CHUNK_READY);
    g_assert_cmpuint (info.pts, ==, GST_SECOND + gst_util_uint64_scale (info.first, GST_SECOND, 30));
    g_assert_cmpint (ABS ((gint64) (info.pts - decided)), <=, (gint64) GST_SECOND / 60 + 1);
  }
  gst_tern_chunks_clear (&chunks);
}

/* ---- A robot ---- */

typedef struct
{
  GstClockTime ready;
  GstTernChunkInfo info;
  float values[15];
} Sent;

/* What is in force at @time: the newest chunk that is there by then. */
static const Sent *
in_force (const Sent *sent, guint n, GstClockTime time)
{
  while (n > 0 && sent[n - 1].ready > time)
    n--;
  return n > 0 ? &sent[n - 1] : NULL;
}

/* Ten decisions a second that take 20 to 180 ms, each begun when the one before is there; thirty steps a second, chunks of
 * 15. Whoever follows the newest chunk at each step's time does what every later chunk says was done, and is
 * told nothing new about the past; without a deadline no step is missed. */
static void
follow (guint32 seed, GstClockTime deadline)
{
  g_autofree Sent *sent = g_new0 (Sent, 1000);
  GRand *random = g_rand_new_with_seed (seed);
  GstClockTime decided, free_at = 0;
  guint n = 0, late = 0, i, j;
  GstTernChunks chunks;

  gst_tern_chunks_init (&chunks, 15, 1, 30, 1);
  for (decided = MS (40); decided < MS (100040); decided += MS (100)) {
    GstClockTime ready = MAX (decided, free_at) + MS (g_rand_int_range (random, 20, 180));
    double actions[15];

    if (free_at > decided + MS (100))
      continue;                 /* the next frame will do */
    free_at = ready;
    for (i = 0; i < 15; i++)
      actions[i] = g_rand_double (random);
    sent[n].ready = ready;
    if (gst_tern_chunks_add (&chunks, decided, ready, deadline, 2, actions, sent[n].values, &sent[n].info)
        == GST_TERN_CHUNK_READY)
      n++;
    else
      late++;
  }
  g_assert_cmpuint (n, >, 300);
  if (deadline > 0)
    g_assert_cmpuint (late, >, 0);
  else
    g_assert_cmpuint (late, ==, 0);

  for (i = 1; i < n; i++) {
    const Sent *chunk = &sent[i];

    if (deadline == 0)
      g_assert_cmpuint (chunk->info.missed, ==, 0);
    for (j = 0; j < 15; j++) {
      GstClockTime time = chunks.origin + gst_util_uint64_scale (chunk->info.first + j, GST_SECOND, 30);
      const Sent *old = in_force (sent, n, time);

      if (j >= chunk->info.frozen)
        g_assert_cmpuint (time, >=, chunk->ready);
      else if (old && old < chunk && chunk->info.first + j < old->info.first + 15)
        g_assert_cmpfloat (chunk->values[j], ==, old->values[chunk->info.first + j - old->info.first]);
    }
  }
  gst_tern_chunks_clear (&chunks);
  g_rand_free (random);
}

static void
test_follow (void)
{
  guint32 seed;

  for (seed = 1; seed <= 20; seed++) {
    follow (seed, 0);
    follow (seed, MS (200));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/chunks/file", test_file);
  g_test_add_func ("/chunks/frozen", test_frozen);
  g_test_add_func ("/chunks/overlap", test_overlap);
  g_test_add_func ("/chunks/deadline", test_deadline);
  g_test_add_func ("/chunks/late", test_late);
  g_test_add_func ("/chunks/restart", test_restart);
  g_test_add_func ("/chunks/grid", test_grid);
  g_test_add_func ("/chunks/follow", test_follow);
  return g_test_run ();
}
