/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is measured between two frames, against numpy (motion-goldens.py, which draws the same pictures), and what must hold of
 * any two. */
#include <math.h>
#include <string.h>

#include "engine/base/mem.h"
#include "vision/motion.h"

typedef struct {
  const char *kind;
  guint width, height, cell;
  gint a, b;
  const float *features;
  gsize n;
} MotionCase;

#include "tests/unit/motion-goldens.h"

/* Sums are exact; logarithms and the fit are not, and a parabola's place divides small numbers. */
#define NEAR 2e-4

static gint
lattice (gint64 i, gint64 j, gint64 c)
{
  guint64 mixed = (guint64) ((i * 73856093) ^ (j * 19349663) ^ (c * 83492791));

  return (gint) ((guint32) (mixed * 2654435761u) >> 24);
}

static gint
texture (gint x, gint y, gint c)
{
  gint i = x / 6, j = y / 6, fx = x % 6, fy = y % 6;

  return ((6 - fx) * (6 - fy) * lattice (i, j, c) + fx * (6 - fy) * lattice (i + 1, j, c)
      + (6 - fx) * fy * lattice (i, j + 1, c) + fx * fy * lattice (i + 1, j + 1, c)) / 36;
}

/* As Python's // for a divisor above 0. */
static gint
floor_div (gint a, gint b)
{
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static gint
pixel (const MotionCase *c, gint frame, gint channel, gint x, gint y)
{
  gint value = texture (x, y, channel), w = (gint) c->width / 2 + 100, h = (gint) c->height / 2 + 100;

  if (g_str_equal (c->kind, "mover")) {
    gint mx = x - frame * c->a, my = y - frame * c->b;

    return mx >= 120 && mx < 160 && my >= 130 && my < 165 ? texture (mx + 500, my + 300, channel) : value;
  }
  if (g_str_equal (c->kind, "flat"))
    return 90 + 20 * channel + frame * c->a;
  if (frame == 0)
    return value;
  if (g_str_equal (c->kind, "still"))
    return value + (x * 7 + y * 13 + channel) % 3 - 1;
  if (g_str_equal (c->kind, "shift"))
    return texture (x - c->a, y - c->b, channel);
  if (g_str_equal (c->kind, "brighter"))
    return value + c->a;
  if (g_str_equal (c->kind, "zoom"))
    return texture (floor_div ((x - w) * c->a, c->b) + w, floor_div ((y - h) * c->a, c->b) + h, channel);
  if (g_str_equal (c->kind, "other"))
    return texture (x + 1000, y + 2000, channel);
  return value;
}

typedef struct {
  guint8 *planes[2][3];
  void *scratch;
  gsize bytes;
} Frames;

static void
frames_init (Frames *f, const MotionCase *c)
{
  guint frame, channel, x, y;

  for (frame = 0; frame < 2; frame++)
    for (channel = 0; channel < 3; channel++) {
      guint8 *plane = f->planes[frame][channel] = g_malloc ((gsize) c->width * c->height);

      for (y = 0; y < c->height; y++)
        for (x = 0; x < c->width; x++)
          *plane++ = (guint8) CLAMP (pixel (c, (gint) frame, (gint) channel, (gint) x + 100, (gint) y + 100), 0, 255);
    }
  f->bytes = tern_motion_scratch (c->width, c->height, c->cell);
  f->scratch = tern_mem_alloc (f->bytes + 64, "scratch", NULL);
  memset (f->scratch, 0xa5, f->bytes + 64);
}

static void
frames_clear (Frames *f)
{
  guint i;

  for (i = 0; i < 6; i++)
    g_free (f->planes[i / 3][i % 3]);
  tern_mem_free (f->scratch);
}

static void
measure (Frames *f, const MotionCase *c, gboolean backward, float *out)
{
  const guint8 *const *first = (const guint8 *const *) f->planes[backward], *const *second
      = (const guint8 *const *) f->planes[!backward];
  guint i;

  tern_motion_measure (first, second, c->width, c->height, c->cell, f->scratch, out, TERN_MOTION_FEATURES);
  for (i = 0; i < 64; i++)      /* it keeps to what it asked for */
    g_assert_cmpuint (((guint8 *) f->scratch)[f->bytes + i], ==, 0xa5);
}

/* The same where cells stand among other numbers, which stay. */
static void
check_apart (Frames *f, const MotionCase *c, const float *expected, gsize n)
{
  gsize cells = n / TERN_MOTION_FEATURES, stride = TERN_MOTION_FEATURES + 5, at, i;
  g_autofree float *out = g_new (float, cells * stride);

  for (i = 0; i < cells * stride; i++)
    out[i] = -77;
  tern_motion_measure ((const guint8 *const *) f->planes[0], (const guint8 *const *) f->planes[1], c->width, c->height, c->cell,
      f->scratch, out + 5, stride);
  for (at = 0; at < cells; at++) {
    for (i = 0; i < 5; i++)
      g_assert_cmpfloat (out[at * stride + i], ==, -77);
    g_assert_cmpmem (out + at * stride + 5, TERN_MOTION_FEATURES * sizeof (float), expected + at * TERN_MOTION_FEATURES,
        TERN_MOTION_FEATURES * sizeof (float));
  }
}

static void
test_golden (gconstpointer data)
{
  const MotionCase *c = data;
  gsize n = (gsize) ((c->width + c->cell - 1) / c->cell) * ((c->height + c->cell - 1) / c->cell) * TERN_MOTION_FEATURES, i;
  g_autofree float *out = g_new (float, n);
  Frames frames;

  g_assert_cmpuint (n, ==, c->n);
  frames_init (&frames, c);
  measure (&frames, c, FALSE, out);
  for (i = 0; i < n; i++)
    if (!(fabs (out[i] - c->features[i]) <= NEAR * (1 + fabs (c->features[i]))))
      g_error ("%s %u x %u: cell %u, feature %u: expected %g, found %g", c->kind, c->width, c->height,
          (guint) (i / TERN_MOTION_FEATURES), (guint) (i % TERN_MOTION_FEATURES), c->features[i], out[i]);
  check_apart (&frames, c, out, n);
  frames_clear (&frames);
}

/* What the numbers mean, whatever made them: a shift is found where the picture has room for it, backward it is the other way
 * round, and a mover is seen where it is and nowhere else. */
static void
test_meaning (void)
{
  const MotionCase shift = { "shift", 160, 96, 32, 12, -8, NULL, 0 }, mover = { "mover", 160, 96, 32, 12, 0, NULL, 0 };
  float out[15 * TERN_MOTION_FEATURES];
  Frames frames;
  guint backward, at;

  frames_init (&frames, &shift);
  for (backward = 0; backward < 2; backward++) {
    measure (&frames, &shift, backward != 0, out);
    g_assert_cmpfloat_with_epsilon (out[TERN_MOTION_ALL_X], backward ? -12 / 32.0 : 12 / 32.0, 0.02);
    g_assert_cmpfloat_with_epsilon (out[TERN_MOTION_ALL_Y], backward ? 8 / 32.0 : -8 / 32.0, 0.02);
    g_assert_cmpfloat_with_epsilon (out[TERN_MOTION_ALL_ZOOM], 0, 0.05);
    g_assert_cmpfloat (out[TERN_MOTION_ALL_AGREE], >, 0.9);
  }
  frames_clear (&frames);

  frames_init (&frames, &mover);        /* (20, 30) to (60, 65): the cell at (32, 32) is full of it */
  measure (&frames, &mover, FALSE, out);
  for (at = 0; at < 15; at++) {
    const float *cell = out + at * TERN_MOTION_FEATURES;

    if (at == 6)
      g_assert_cmpfloat_with_epsilon (cell[TERN_MOTION_OWN_X], 12 / 32.0, 0.05);
    else if (at % 5 > 2)
      g_assert_cmpfloat_with_epsilon (cell[TERN_MOTION_OWN_X], 0, 0.05);
    g_assert_cmpfloat_with_epsilon (cell[TERN_MOTION_ALL_X], 0, 0.05);
  }
  frames_clear (&frames);
}

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/motion/golden/%s-%u-%ux%u", cases[i].kind, i, cases[i].width, cases[i].height);

    g_test_add_data_func (path, &cases[i], test_golden);
  }
  g_test_add_func ("/motion/meaning", test_meaning);
  return g_test_run ();
}
