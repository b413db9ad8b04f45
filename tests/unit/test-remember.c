/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is remembered, beside what numpy makes of the same equations (remember-goldens.py), and what holds for anything. */
#include <math.h>
#include <string.h>

#include "compress/remember.h"
#include "engine/base/random.h"

typedef struct {
  guint frames, places, dim, layers, keep, recent;
  double change, asked, least;
  const gint32 *kept;
  guint n_kept, first;
  double total_change, total_value;
} Golden;

#include "remember-goldens.h"

#define MOST 4096

/* Rows and their scores. */
typedef struct {
  guint n, n_frames, frame[MOST], whole[256];
  gint32 place[MOST], keep[MOST + 1];
  float change[MOST], asked[MOST], value[MOST], norm[MOST];
} Bench;

static TernRememberRows
rows_of (const Bench *b, gboolean asked)
{
  return (TernRememberRows) { b->n, b->n_frames, b->frame, b->place, b->whole, b->change, asked ? b->asked : NULL, b->value };
}

static guint64
splitmix (guint64 x)
{
  x += G_GUINT64_CONSTANT (0x9E3779B97F4A7C15);
  x = (x ^ x >> 30) * G_GUINT64_CONSTANT (0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * G_GUINT64_CONSTANT (0x94D049BB133111EB);
  return x ^ x >> 31;
}

static double
uniform (guint64 x)
{
  return (double) (splitmix (x) >> 40) / (1 << 24) - .5;
}

static void
add_row (Bench *b, guint frame, gint32 place)
{
  b->frame[b->n] = frame;
  b->place[b->n++] = place;
}

static void
add_rows (Bench *b, const Golden *g)
{
  for (guint f = 0; f < g->frames; f++) {
    add_row (b, f, TERN_REMEMBER_NO_PLACE);
    for (guint p = 0; p < g->places; p++)
      if (f % 4 == 0 || splitmix (f * 1000 + p) % 3)
        add_row (b, f, (gint32) p);
    add_row (b, f, TERN_REMEMBER_NO_PLACE);
    b->whole[f] = g->places;
  }
  b->n_frames = g->frames;
}

/* Keys or values of a layer. */
static float *
draw (const Bench *b, const Golden *g, guint layer, guint what)
{
  static const double owns[] = { .0625, .25, 1 };
  guint64 base = (guint64) (layer * 2 + what) << 48;
  float *rows = g_new0 (float, (gsize) b->n * g->dim);

  for (guint i = 0; i < b->n; i++)
    for (guint d = 0; d < g->dim; d++) {
      guint64 at = base + (guint64) (b->place[i] + 1) * 4096 + d;
      double own = what ? .5 : owns[MAX (b->place[i], 0) % 3];

      rows[(gsize) i * g->dim + d] = (float) (uniform (at) + own * uniform (at + ((guint64) (b->frame[i] + 1) << 32)));
    }
  return rows;
}

/* In pieces, as pages come. */
static void
score (Bench *b, const Golden *g, guint first)
{
  TernRecentKeys recent = { g->places, g->dim, g_new (float, g->places * g->dim), g_new (guint, g->places) };
  g_autofree float *pooled = g_new (float, b->n);
  TernRememberRows rows = rows_of (b, FALSE);

  for (guint layer = 0; layer < g->layers; layer++) {
    g_autofree float *keys = draw (b, g, layer, 0), *values = draw (b, g, layer, 1);
    guint half = first + (b->n - first) / 2;

    memset (recent.sums, 0, (gsize) g->places * g->dim * sizeof (float));
    memset (recent.count, 0, g->places * sizeof (guint));
    tern_recent_add (&recent, b->place + first, keys + (gsize) first * g->dim, half - first);
    tern_recent_add (&recent, b->place + half, keys + (gsize) half * g->dim, b->n - half);
    tern_recent_compare (&recent, b->place, keys, first, 1.f / (float) g->layers, b->change);
    tern_remember_norms (values, b->n, g->dim, b->norm);
    tern_remember_add_norms (b->place, b->norm, b->n, 1.f / (float) g->layers, b->value);
  }
  tern_remember_pool (&rows, b->value, 3, pooled);
  memcpy (b->value, pooled, b->n * sizeof (float));
  for (guint i = 0; i < b->n; i++)
    b->asked[i] = (float) (uniform (((guint64) 99 << 48) + i) + .5);
  g_free (recent.sums);
  g_free (recent.count);
}

static guint
choose (Bench *b, const TernRememberParams *params, gboolean asked)
{
  TernRememberRows rows = rows_of (b, asked);
  g_autofree void *scratch = g_malloc (tern_remember_scratch (b->n, b->n_frames));
  guint n;

  b->keep[b->n] = -7;
  n = tern_remember (params, &rows, scratch, b->keep);
  g_assert_cmpint (b->keep[b->n], ==, -7);
  return n;
}

static void
test_goldens (void)
{
  for (guint c = 0; c < G_N_ELEMENTS (goldens); c++) {
    const Golden *g = &goldens[c];
    TernRememberParams params = { g->keep, g->recent, g->change, MAX (g->asked, 0), g->least };
    g_autofree Bench *b = g_new0 (Bench, 1);
    double change = 0, value = 0;
    TernRememberRows rows;
    guint n;

    add_rows (b, g);
    rows = rows_of (b, FALSE);
    g_assert_cmpuint (tern_remember_recent (&rows, MIN (g->recent, g->keep)), ==, g->first);
    score (b, g, g->first);
    for (guint i = 0; i < b->n; i++) {
      change += b->change[i];
      value += b->value[i];
    }
    g_assert_cmpfloat_with_epsilon (change, g->total_change, 1e-4);
    g_assert_cmpfloat_with_epsilon (value, g->total_value, 1e-4);
    n = choose (b, &params, g->asked >= 0);
    g_assert_cmpmem (b->keep, n * sizeof (gint32), g->kept, g->n_kept * sizeof (gint32));
  }
}

/* Worked by hand: frames of a word and two places; room for three rows beside the newest frame. */
static void
test_by_hand (void)
{
  TernRememberParams params = { .keep = 6, .recent = 3, .change = 1, .least = .5 };
  g_autofree Bench *b = g_new0 (Bench, 1);

  for (guint f = 0; f < 4; f++) {
    add_row (b, f, TERN_REMEMBER_NO_PLACE);
    add_row (b, f, 0);
    add_row (b, f, 1);
    b->whole[f] = 2;
  }
  b->n_frames = 4;
  b->change[4] = -.25f;         /* frame 1, place 0 has changed most, then frame 0, place 1 */
  b->change[2] = -.5f;
  b->change[1] = b->change[5] = b->change[7] = b->change[8] = -1;
  /* Frame 1's costs two rows, frame 0's the one left with its word: no; but frame 1's other place does. */
  g_assert_cmpuint (choose (b, &params, FALSE), ==, 6);
  g_assert_cmpmem (b->keep, 6 * sizeof (gint32), ((gint32[]) { 3, 4, 5, 9, 10, 11 }), 6 * sizeof (gint32));
  params.keep = 8;              /* frame 0's changed place and its word as well, and then what is newest of the others */
  g_assert_cmpuint (choose (b, &params, FALSE), ==, 8);
  g_assert_cmpmem (b->keep, 8 * sizeof (gint32), ((gint32[]) { 0, 2, 3, 4, 5, 9, 10, 11 }), 8 * sizeof (gint32));
  params.least = .75;           /* half a frame is a crumb */
  g_assert_cmpuint (choose (b, &params, FALSE), ==, 6);
  g_assert_cmpmem (b->keep, 6 * sizeof (gint32), ((gint32[]) { 3, 4, 5, 9, 10, 11 }), 6 * sizeof (gint32));
  params.keep = 2;              /* less than the newest frame has */
  g_assert_cmpuint (choose (b, &params, FALSE), ==, 2);
  g_assert_cmpmem (b->keep, 2 * sizeof (gint32), ((gint32[]) { 9, 10 }), 2 * sizeof (gint32));
}

/* Whatever the numbers: ascending, within the room, the recent window whole, words with their frames, no crumbs. */
static void
check_choice (Bench *b, const TernRememberParams *params, guint n)
{
  TernRememberRows rows = rows_of (b, TRUE);
  guint first = tern_remember_recent (&rows, MIN (params->recent, params->keep)), seen[256] = { 0 }, words[256] = { 0 };
  guint all_words[256] = { 0 };

  g_assert_cmpuint (n, <=, MIN (params->keep, b->n));
  for (guint i = 0; i < n; i++) {
    g_assert_cmpint (b->keep[i], <, (gint) b->n);
    g_assert_true (i == 0 || b->keep[i] > b->keep[i - 1]);
    seen[b->frame[b->keep[i]]] += b->place[b->keep[i]] >= 0;
    words[b->frame[b->keep[i]]] += b->place[b->keep[i]] < 0;
  }
  for (guint i = 0; i < b->n; i++)
    all_words[b->frame[i]] += b->place[i] < 0;
  for (guint i = 0; b->n - first <= params->keep && i < b->n - first; i++)
    g_assert_cmpint (b->keep[n - 1 - i], ==, (gint) (b->n - 1 - i));
  for (guint f = 0; f < b->n_frames && f < b->frame[first]; f++) {
    g_assert_true (seen[f] == 0 || seen[f] >= params->least * b->whole[f]);
    g_assert_cmpuint (words[f], ==, seen[f] ? all_words[f] : 0);
  }
}

static void
test_anything (void)
{
  g_autofree Bench *b = g_new0 (Bench, 1);
  const float odd[] = { NAN, INFINITY, -INFINITY, 0, -0.f, 1e38f };

  for (guint run = 0; run < 400; run++) {
    TernRandom random = { run };
    TernRememberParams params = TERN_REMEMBER_PARAMS_INIT;

    b->n = b->n_frames = 0;
    for (guint f = 0, n = 1 + (guint) (tern_random_next (&random) % 40); f < n; f++) {
      guint places = (guint) (tern_random_next (&random) % (run % 7 == 0 ? 60 : 9));

      add_row (b, f, TERN_REMEMBER_NO_PLACE);
      for (guint p = 0; p < places; p++)
        if (tern_random_next (&random) % 3)
          add_row (b, f, (gint32) p);
      b->whole[f] = places;
      b->n_frames++;
    }
    for (guint i = 0; i < b->n; i++) {
      float *scores[] = { &b->change[i], &b->asked[i], &b->value[i] };

      for (guint s = 0; s < 3; s++) {
        guint64 draw = tern_random_next (&random);

        *scores[s] = draw % 5 == 0 ? odd[draw / 5 % G_N_ELEMENTS (odd)] : (float) (draw >> 40) / (1 << 24);
      }
    }
    params.keep = (guint) (tern_random_next (&random) % (b->n + 10));
    params.recent = (guint) (tern_random_next (&random) % (b->n + 10));
    params.least = (double) (run % 5) / 4;
    check_choice (b, &params, choose (b, &params, TRUE));
  }
}

/* Keys that are no numbers, or nothing, say nothing; no neighbour suffers. */
static void
test_odd_keys (void)
{
  const gint32 place[] = { 0, 1, 5, -1, 0 };
  float keys[] = { 3, 4, NAN, 1, 1, 1, 1, 1, 0, 0 }, change[5] = { 0 }, sums[4] = { 0 }, value[5] = { 0 };
  const float norm[] = { 1, NAN, 3, 7, INFINITY };
  guint count[2] = { 0 };
  TernRecentKeys recent = { 2, 2, sums, count };

  tern_recent_add (&recent, place, keys, 5);
  g_assert_cmpuint (count[0], ==, 1);
  g_assert_cmpuint (count[1], ==, 0);
  tern_recent_compare (&recent, place, keys, 5, 1, change);
  g_assert_cmpfloat_with_epsilon (change[0], -1, 1e-6);
  for (guint i = 1; i < 5; i++)
    g_assert_cmpfloat (change[i], ==, 0);
  tern_remember_add_norms (place, norm, 5, 1, value);
  g_assert_cmpfloat_with_epsilon (value[0], .5, 1e-6);
  g_assert_cmpfloat_with_epsilon (value[2], 1.5, 1e-6);
  g_assert_true (value[1] == 0 && value[3] == 0 && value[4] == 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/remember/goldens", test_goldens);
  g_test_add_func ("/remember/by-hand", test_by_hand);
  g_test_add_func ("/remember/anything", test_anything);
  g_test_add_func ("/remember/odd-keys", test_odd_keys);
  return g_test_run ();
}
