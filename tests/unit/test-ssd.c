/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two forms of Mamba-2's recurrence, in chunks and token by token, against sums in doubles: awkward sizes, groups, steps from
 * nothing to 97, states from before, at every instruction set. -m perf: what each takes. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "engine/llm/blocks/ssd.h"

enum { TOKENS = 150 };

typedef struct {
  TernSsdShape shape;
  gsize ld, inner;
  float *x;                     /* [TOKENS, ld] x, B, C */
  float *dt;                    /* [TOKENS, heads] */
  float *a, *d;                 /* [heads] */
  float *start;                 /* [heads, states, channels] */
  double *y, *h;                /* what comes of it */
  double *y_sizes, *h_sizes;    /* the same with every product's magnitude: by these single precision may be wrong */
} Case;

static float
uniform (float low, float high)
{
  return (float) g_test_rand_double_range (low, high);
}

/* One head: the recurrence as it is written. */
static void
expect_head (Case *c, guint head)
{
  const TernSsdShape *s = &c->shape;
  gsize at = (gsize) head * s->states * s->channels, group = head / (s->heads / s->groups);

  for (gsize i = 0; i < (gsize) s->states * s->channels; i++) {
    c->h[at + i] = c->start[at + i];
    c->h_sizes[at + i] = fabs (c->start[at + i]);
  }
  for (guint t = 0; t < TOKENS; t++) {
    const float *row = c->x + t * c->ld, *b = row + c->inner + group * s->states, *cc = b + s->groups * s->states;
    double dt = c->dt[t * s->heads + head], decay = exp (dt * c->a[head]);

    for (guint p = 0; p < s->channels; p++) {
      double x = row[head * s->channels + p], sum = c->d[head] * x, size = fabs (sum);
      gsize out = t * c->inner + head * s->channels + p;

      for (guint n = 0; n < s->states; n++) {
        gsize i = at + n * s->channels + p;

        c->h[i] = decay * c->h[i] + dt * x * b[n];
        c->h_sizes[i] = decay * c->h_sizes[i] + fabs (dt * x * b[n]);
        sum += cc[n] * c->h[i];
        size += fabs (cc[n]) * c->h_sizes[i];
      }
      c->y[out] = sum;
      c->y_sizes[out] = size;
    }
  }
}

static Case
make (guint heads, guint groups, guint channels, guint states, float most_dt)
{
  Case c = { .shape = { heads, groups, channels, states } };
  gsize state = (gsize) heads * states * channels;

  c.inner = heads * channels;
  c.ld = c.inner + 2 * groups * states + 3;
  c.x = g_new (float, TOKENS * c.ld);
  c.dt = g_new (float, TOKENS * heads);
  c.a = g_new (float, heads);
  c.d = g_new (float, heads);
  c.start = g_new (float, state);
  c.y = g_new (double, TOKENS * c.inner);
  c.h = g_new (double, state);
  c.y_sizes = g_new (double, TOKENS * c.inner);
  c.h_sizes = g_new (double, state);
  for (gsize i = 0; i < TOKENS * c.ld; i++)
    c.x[i] = uniform (-1, 1);
  for (gsize i = 0; i < TOKENS * heads; i++)
    c.dt[i] = g_test_rand_int_range (0, 5) ? expf (uniform (-9, 0)) : most_dt;
  for (guint h = 0; h < heads; h++) {
    c.a[h] = -expf (uniform (-3, 3));
    c.d[h] = uniform (-1, 1);
  }
  for (gsize i = 0; i < state; i++)
    c.start[i] = uniform (-1, 1);
  for (guint h = 0; h < heads; h++)
    expect_head (&c, h);
  return c;
}

static void
case_clear (Case *c)
{
  g_free (c->x);
  g_free (c->dt);
  g_free (c->a);
  g_free (c->d);
  g_free (c->start);
  g_free (c->y);
  g_free (c->h);
  g_free (c->y_sizes);
  g_free (c->h_sizes);
}

/* Chunks of @size tokens; 0: token by token. */
static void
run (const Case *c, const TernKernels *kernels, guint size, float *y, float *h)
{
  const TernSsdShape *s = &c->shape;
  gsize each = (gsize) s->states * s->channels;
  g_autofree float *products = g_new (float, tern_ssd_products (s, TERN_SSD_CHUNK));
  g_autofree float *turned = g_new (float, tern_ssd_vectors (s, TERN_SSD_CHUNK));
  g_autofree float *rows = g_new (float, tern_ssd_vectors (s, TERN_SSD_CHUNK));
  void *scratch = tern_mem_alloc (tern_ssd_scratch (s), "scratch", NULL);

  memcpy (h, c->start, s->heads * each * sizeof *h);
  for (guint t = 0; t < TOKENS; t += MAX (size, 1)) {
    const float *row = c->x + t * c->ld;
    TernSsdChunk chunk = { .n = MIN (MAX (size, 1), TOKENS - t), .x = row, .b = row + c->inner,
      .c = row + c->inner + s->groups * s->states, .ld = c->ld, .dt = c->dt + t * s->heads, .lddt = s->heads,
      .y = y + t * c->inner, .ldy = c->inner, .products = products, .turned = turned,
      .rows = rows };

    for (guint g = 0; size && g < s->groups; g++)
      tern_ssd_group (kernels, s, &chunk, g);
    for (guint head = 0; head < s->heads; head++) {
      gsize group = head / (s->heads / s->groups) * s->states, at = head * s->channels;
      float dt = chunk.dt[head];

      if (size)
        tern_ssd_head (kernels, s, &chunk, head, c->a[head], c->d[head], h + head * each, scratch);
      else
        kernels->ssd_step (chunk.y + at, h + head * each, h + head * each, row + at, chunk.b + group, chunk.c + group,
            expf (dt * c->a[head]), dt, c->d[head], s->channels, s->states);
    }
  }
  tern_mem_free (scratch);
}

/* The squared error in units of @sizes squared: few numbers may cancel out, and their own power says nothing then. */
static double
nmse (const float *found, const double *expected, const double *sizes, gsize n)
{
  double error = 0, power = 0;

  for (gsize i = 0; i < n; i++) {
    error += (found[i] - expected[i]) * (found[i] - expected[i]);
    power += sizes[i] * sizes[i];
  }
  return error / power;
}

static void
check (const Case *c, const TernKernels *kernels)
{
  static const guint sizes[] = { 0, 1, 2, 5, 16, 33, 63, 64 };
  gsize state = (gsize) c->shape.heads * c->shape.states * c->shape.channels;
  g_autofree float *y = g_new (float, TOKENS * c->inner), *h = g_new (float, state);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    double of_y, of_h;

    run (c, kernels, sizes[i], y, h);
    of_y = nmse (y, c->y, c->y_sizes, TOKENS * c->inner);
    of_h = nmse (h, c->h, c->h_sizes, state);
    if (!(of_y <= 1e-12 && of_h <= 1e-12))
      g_test_message ("chunks of %u: y %.3g state %.3g", sizes[i], of_y, of_h);
    g_assert_cmpfloat (of_y, <=, 1e-12);
    g_assert_cmpfloat (of_h, <=, 1e-12);
  }
}

static void
test_forms (gconstpointer data)
{
  static const struct {
    guint heads, groups, channels, states;
  } shapes[] = { { 1, 1, 1, 1 }, { 6, 2, 16, 16 }, { 8, 1, 16, 24 }, { 4, 4, 7, 5 }, { 3, 3, 64, 128 }, { 12, 4, 33, 17 },
    { 2, 1, 80, 300 } };        /* more states than a run of a product */
  static const float most[] = { 1, 97, 1e6f };
  TernKernels kernels;
  TernCpu level = GPOINTER_TO_UINT (data);

  if (!tern_cpu_has (level)) {
    g_test_skip ("not on this CPU");
    return;
  }
  tern_kernels_init (&kernels, level);
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    for (guint j = 0; j < G_N_ELEMENTS (most); j++) {
      Case c = make (shapes[i].heads, shapes[i].groups, shapes[i].channels, shapes[i].states, most[j]);

      check (&c, &kernels);
      case_clear (&c);
    }
}

/* An infinite step is no number behind it, and none before it; and it stays in its head. */
static void
test_not_a_number (void)
{
  Case c = make (2, 1, 4, 3, 1);
  g_autofree float *y = g_new (float, TOKENS * c.inner), *h = g_new (float, 24);
  TernKernels kernels;

  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  c.dt[10 * 2] = NAN;
  run (&c, &kernels, 64, y, h);
  for (guint t = 0; t < TOKENS; t++)
    for (guint i = 0; i < c.inner; i++)
      g_assert_true (isfinite (y[t * c.inner + i]) == (i >= 4 || t < 10));
  case_clear (&c);
}

/* Of the heads of a layer of Granite 4 H micro, for a prompt of TOKENS rows. */
static void
test_speed (void)
{
  static const guint sizes[] = { 0, 16, 32, 64 };
  Case c = make (64, 1, 64, 128, 1);
  g_autofree float *y = g_new (float, TOKENS * c.inner), *h = g_new (float, 64 * 64 * 128);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    double least = G_MAXDOUBLE;

    for (guint repeat = 0; repeat < 9; repeat++) {
      clock_t start = clock ();

      run (&c, tern_kernels_default (NULL), sizes[i], y, h);
      least = MIN (least, (double) (clock () - start) / CLOCKS_PER_SEC);
    }
    g_test_message ("chunks of %u: %.1f us a token and layer", sizes[i], least * 1e6 / TOKENS);
  }
  case_clear (&c);
}

int
main (int argc, char **argv)
{
  static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_NEON };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    g_autofree char *path = g_strdup_printf ("/ssd/forms/%s", tern_cpu_name (levels[i]));

    g_test_add_data_func (path, GUINT_TO_POINTER (levels[i]), test_forms);
  }
  g_test_add_func ("/ssd/not-a-number", test_not_a_number);
  if (g_test_perf ())
    g_test_add_func ("/ssd/speed", test_speed);
  return g_test_run ();
}
