/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* States that go on from token to token, against the same sums in double precision; and however tokens are split over calls, the
 * same bits. */
#include <math.h>
#include <string.h>

#include "tests/kernels/check.h"

static const guint widths[] = { 1, 7, 16, 31, 32, 65, 128 };

/* ---- conv_silu --------------------------------------------------------------------------------------------------- */

typedef struct {
  guint channels, l, n;
  gsize ld;                     /* of x, y, taps and the state */
  float *x, *y, *taps, *bias, *from, *to;
} Conv;

static void
conv_take (Conv *c)
{
  gsize row = c->channels * sizeof (float), step = c->ld * sizeof (float);

  c->x = check_buffer (SLOT_X, (c->n - 1) * step + row);
  c->y = check_buffer (SLOT_Y, (c->n - 1) * step + row);
  c->taps = check_buffer (SLOT_W, (c->l - 1) * step + row);
  c->bias = check_buffer (SLOT_B, row);
  c->from = check_buffer (SLOT_STATE, c->l > 1 ? (c->l - 2) * step + row : 0);
  c->to = check_buffer (SLOT_STATE2, c->l > 1 ? (c->l - 2) * step + row : 0);
  for (guint t = 0; t < c->n; t++)
    check_floats (c->x + t * c->ld, c->channels, 100);
  for (guint k = 0; k < c->l; k++)
    check_floats (c->taps + k * c->ld, c->channels, 4);
  for (guint k = 0; k + 1 < c->l; k++)
    check_floats (c->from + k * c->ld, c->channels, 100);
  check_floats (c->bias, c->channels, 4);
}

/* Value @k of the state's rows and the tokens' of channel @ch. */
static double
conv_at (const Conv *c, guint k, guint ch)
{
  return k < c->l - 1 ? c->from[k * c->ld + ch] : c->x[(k - (c->l - 1)) * c->ld + ch];
}

static void
conv_exact (const Conv *c, gboolean biased, float *want, float *left)
{
  for (guint ch = 0; ch < c->channels; ch++) {
    for (guint t = 0; t < c->n; t++) {
      double sum = biased ? c->bias[ch] : 0;

      for (guint k = 0; k < c->l; k++)
        sum += c->taps[k * c->ld + ch] * conv_at (c, t + k, ch);
      want[(gsize) t * c->channels + ch] = (float) (sum / (1 + exp (-sum)));
    }
    for (guint k = 0; k + 1 < c->l; k++)
      left[(gsize) k * c->channels + ch] = (float) conv_at (c, c->n + k, ch);
  }
}

static void
conv_compare (const Conv *c, const float *state, const float *want, const float *left)
{
  for (guint t = 0; t < c->n; t++)
    check_close (c->y + t * c->ld, want + (gsize) t * c->channels, c->channels, 2e-5, 2e-3);
  for (guint k = 0; k + 1 < c->l; k++)
    check_equal (state + k * c->ld, left + (gsize) k * c->channels, c->channels);
  check_guards (c->y, c->n, c->channels, c->ld);
}

static void
conv_case (const TernKernels *k, guint channels, guint l, guint n, guint gap)
{
  Conv c = { .channels = channels, .l = l, .n = n, .ld = channels + gap };
  g_autofree float *want = g_new (float, (gsize) n * channels), *left = g_new (float, (gsize) l * channels);
  g_autofree float *whole = g_new (float, (gsize) n * channels);
  gboolean biased = n % 2;
  guint first;

  check_case ("conv_silu channels=%u l=%u n=%u gap=%u", channels, l, n, gap);
  conv_take (&c);
  conv_exact (&c, biased, want, left);
  k->conv_silu (c.y, c.ld, c.to, c.from, c.ld, c.x, c.ld, c.taps, c.ld, biased ? c.bias : NULL, channels, l, n);
  conv_compare (&c, c.to, want, left);
  for (guint t = 0; t < n; t++)
    memcpy (whole + (gsize) t * channels, c.y + t * c.ld, channels * sizeof (float));
  /* In place, in two calls. */
  first = n / 2;
  k->conv_silu (c.y, c.ld, c.from, c.from, c.ld, c.x, c.ld, c.taps, c.ld, biased ? c.bias : NULL, channels, l, first);
  k->conv_silu (c.y + first * c.ld, c.ld, c.from, c.from, c.ld, c.x + first * c.ld, c.ld, c.taps, c.ld,
      biased ? c.bias : NULL, channels, l, n - first);
  conv_compare (&c, c.from, want, left);
  for (guint t = 0; t < n; t++)
    check_equal (c.y + t * c.ld, whole + (gsize) t * channels, channels);
}

static void
conv_silu_truth (const TernKernels *k)
{
  static const guint lengths[] = { 1, 2, 3, 4, 7 }, tokens[] = { 1, 2, 3, 6, 17 };
  float x[3] = { 1, 2, 3 }, taps[3] = { 0.5f, -1, 2 }, state[2] = { 0 }, y[3];
  const float sums[3] = { 2, 3, 4.5f };

  check_case ("conv_silu: worked example");
  k->conv_silu (y, 1, state, state, 1, x, 1, taps, 1, NULL, 1, 3, 3);
  for (guint i = 0; i < 3; i++)
    if (fabs (y[i] - sums[i] / (1 + exp (-sums[i]))) > 1e-6)
      check_fail ("expected silu(%g), found %g", sums[i], y[i]);
  if (state[0] != 2 || state[1] != 3)
    check_fail ("expected the state 2 3, found %g %g", state[0], state[1]);
  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint j = 0; j < G_N_ELEMENTS (lengths); j++)
      for (guint t = 0; t < G_N_ELEMENTS (tokens); t++)
        conv_case (k, widths[i], lengths[j], tokens[t], (i + t) % 3);
}

static void
conv_silu_check (const TernKernels *ref, const TernKernels *k)
{
  conv_silu_truth (k);
}

/* ---- delta_rule -------------------------------------------------------------------------------------------------- */

typedef struct {
  guint keys, values, n;
  gsize ldqk, ldv;              /* of q and k, of v and o */
  float *q, *k, *v, *o, *decay, *beta, *from, *to;
} Delta;

/* A row of length 1, as the model has them: the rule contracts for these alone. */
static void
unit_row (float *x, guint n)
{
  double sum = 1e-12;

  for (guint i = 0; i < n; i++) {
    x[i] = check_uniform ();
    sum += x[i] * x[i];
  }
  for (guint i = 0; i < n; i++)
    x[i] /= (float) sqrt (sum);
}

/* Gates at their ends in one of four tokens. */
static float
draw_gate (void)
{
  guint kind = check_below (8);

  return kind == 0 ? 0 : kind == 1 ? 1 : 0.5f + 0.5f * check_uniform ();
}

static void
delta_take (Delta *d)
{
  gsize state = (gsize) d->keys * d->values;

  d->q = check_buffer (SLOT_X, ((d->n - 1) * d->ldqk + d->keys) * sizeof (float));
  d->k = check_buffer (SLOT_X2, ((d->n - 1) * d->ldqk + d->keys) * sizeof (float));
  d->v = check_buffer (SLOT_W, ((d->n - 1) * d->ldv + d->values) * sizeof (float));
  d->o = check_buffer (SLOT_Y, ((d->n - 1) * d->ldv + d->values) * sizeof (float));
  d->decay = check_buffer (SLOT_A, d->n * sizeof (float));
  d->beta = check_buffer (SLOT_B, d->n * sizeof (float));
  d->from = check_buffer (SLOT_STATE, state * sizeof (float));
  d->to = check_buffer (SLOT_STATE2, state * sizeof (float));
  for (guint t = 0; t < d->n; t++) {
    unit_row (d->q + t * d->ldqk, d->keys);
    unit_row (d->k + t * d->ldqk, d->keys);
    check_floats (d->v + t * d->ldv, d->values, 10);
    d->decay[t] = draw_gate ();
    d->beta[t] = draw_gate ();
  }
  check_floats (d->from, state, 10);
}

/* The rule as it is written, in double: @o [n, values], @state [keys, values], which begins as @d's. */
static void
delta_exact (const Delta *d, double *o, double *state)
{
  for (guint t = 0; t < d->n; t++)
    for (guint j = 0; j < d->values; j++) {
      const float *q = d->q + t * d->ldqk, *k = d->k + t * d->ldqk;
      double read = 0, u, out = 0;

      for (guint i = 0; i < d->keys; i++) {
        state[(gsize) i * d->values + j] *= d->decay[t];
        read += state[(gsize) i * d->values + j] * k[i];
      }
      u = d->beta[t] * (d->v[t * d->ldv + j] - read);
      for (guint i = 0; i < d->keys; i++) {
        state[(gsize) i * d->values + j] += k[i] * u;
        out += state[(gsize) i * d->values + j] * q[i];
      }
      o[(gsize) t * d->values + j] = out;
    }
}

/* The same over all tokens at once (the form of arXiv:2412.06464 section 3.3): with G_i the product of the decays up to i, what
 * is written solves a triangular system, u_i = beta_i (v_i - G_i S0^T k_i - sum over j < i of G_i / G_j (k_i . k_j) u_j), and
 * o_i = G_i S0^T q_i + sum over j <= i of G_i / G_j (q_i . k_j) u_j. */
static void
delta_chunked (const Delta *d, const double *start, double *o, double *state)
{
  g_autofree double *u = g_new0 (double, (gsize) d->n * d->values);

  for (guint i = 0; i < d->n; i++)
    for (guint c = 0; c < d->values; c++) {
      const float *q = d->q + i * d->ldqk, *k = d->k + i * d->ldqk;
      double fall = 1, read = 0, out = 0, kept = 0, asked = 0;

      for (guint j = i; j-- > 0;) {
        double kk = 0, qk = 0;

        fall *= d->decay[j + 1];
        for (guint r = 0; r < d->keys; r++) {
          kk += (double) k[r] * d->k[j * d->ldqk + r];
          qk += (double) q[r] * d->k[j * d->ldqk + r];
        }
        read += fall * kk * u[(gsize) j * d->values + c];
        out += fall * qk * u[(gsize) j * d->values + c];
      }
      fall *= d->decay[0];
      for (guint r = 0; r < d->keys; r++) {
        kept += k[r] * start[(gsize) r * d->values + c];
        asked += q[r] * start[(gsize) r * d->values + c];
      }
      u[(gsize) i * d->values + c] = d->beta[i] * (d->v[i * d->ldv + c] - fall * kept - read);
      for (guint r = 0; r < d->keys; r++)
        out += (double) q[r] * k[r] * u[(gsize) i * d->values + c];
      o[(gsize) i * d->values + c] = fall * asked + out;
    }
  for (guint r = 0; r < d->keys; r++)
    for (guint c = 0; c < d->values; c++) {
      double fall = 1, sum = 0;

      for (guint j = d->n; j-- > 0;) {
        sum += fall * d->k[j * d->ldqk + r] * u[(gsize) j * d->values + c];
        fall *= d->decay[j];
      }
      state[(gsize) r * d->values + c] = fall * start[(gsize) r * d->values + c] + sum;
    }
}

static void
check_like (const float *found, gsize ld, const double *exact, guint rows, guint cols, double bound)
{
  double largest = 1;

  for (gsize i = 0; i < (gsize) rows * cols; i++)
    largest = MAX (largest, fabs (exact[i]));
  for (guint r = 0; r < rows; r++)
    for (guint c = 0; c < cols; c++)
      if (!(fabs (found[r * ld + c] - exact[(gsize) r * cols + c]) <= bound * largest)) {
        check_fail ("row %u column %u: expected %g, found %g", r, c, exact[(gsize) r * cols + c], found[r * ld + c]);
        return;
      }
}

static void
run_delta (const TernKernels *k, const Delta *d, float *o, float *to, const float *from, guint t, guint n)
{
  k->delta_rule (o + t * d->ldv, d->ldv, to, from, d->q + t * d->ldqk, d->k + t * d->ldqk, d->ldqk, d->v + t * d->ldv, d->ldv,
      d->decay + t, d->beta + t, 1, d->keys, d->values, n);
}

static void
delta_case (const TernKernels *k, guint keys, guint values, guint n, guint gap)
{
  Delta d = { .keys = keys, .values = values, .n = n, .ldqk = keys + gap, .ldv = values + gap };
  gsize state = (gsize) keys * values;
  g_autofree double *start = g_new (double, state), *step = g_new (double, state), *chunk = g_new (double, state);
  g_autofree double *o = g_new (double, (gsize) n * values), *chunk_o = g_new (double, (gsize) n * values);
  g_autofree float *whole = g_new (float, n * d.ldv), *once = g_new (float, state);

  check_case ("delta_rule keys=%u values=%u n=%u gap=%u", keys, values, n, gap);
  delta_take (&d);
  for (gsize i = 0; i < state; i++)
    step[i] = start[i] = d.from[i];
  delta_exact (&d, o, step);
  delta_chunked (&d, start, chunk_o, chunk);
  run_delta (k, &d, d.o, d.to, d.from, 0, n);
  check_like (d.o, d.ldv, o, n, values, 3e-6);
  check_like (d.o, d.ldv, chunk_o, n, values, 3e-6);
  check_like (d.to, values, step, keys, values, 3e-6);
  check_like (d.to, values, chunk, keys, values, 3e-6);
  check_guards (d.o, n, values, d.ldv);
  memcpy (whole, d.o, ((n - 1) * d.ldv + values) * sizeof (float));
  memcpy (once, d.to, state * sizeof (float));

  /* Token by token, in place, the output over the values. */
  for (guint t = 0; t < n; t++)
    run_delta (k, &d, d.v, d.from, d.from, t, 1);
  check_equal (d.from, once, state);
  for (guint t = 0; t < n; t++)
    check_equal (d.v + t * d.ldv, whole + t * d.ldv, values);
}

/* A key that comes again with beta 1 is overwritten, whatever was there; a decay of 0 forgets all. */
static void
delta_example (const TernKernels *k)
{
  float q[2] = { 0, 1 }, key[2] = { 0, 1 }, state[4] = { 1, 2, 3, 4 }, o[2], v[2] = { 7, -5 }, decay = 1, beta = 1;

  check_case ("delta_rule: worked example");
  k->delta_rule (o, 2, state, state, q, key, 2, v, 2, &decay, &beta, 1, 2, 2, 1);
  if (o[0] != 7 || o[1] != -5 || state[0] != 1 || state[1] != 2 || state[2] != 7 || state[3] != -5)
    check_fail ("expected what was written, found %g %g", o[0], o[1]);
  decay = 0;
  beta = 0.5f;
  k->delta_rule (o, 2, state, state, q, key, 2, v, 2, &decay, &beta, 1, 2, 2, 1);
  if (o[0] != 3.5f || o[1] != -2.5f || state[0] != 0 || state[1] != 0)
    check_fail ("expected half of what is written, found %g %g", o[0], o[1]);
}

static void
delta_rule_truth (const TernKernels *k)
{
  static const guint tokens[] = { 1, 2, 5, 33 };

  delta_example (k);
  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint j = 0; j < G_N_ELEMENTS (widths); j++)
      for (guint t = 0; t < G_N_ELEMENTS (tokens); t++)
        if (!check_leaves_out () && (widths[i] * widths[j] * tokens[t] < 70000 || i == j))
          delta_case (k, widths[i], widths[j], tokens[t], (i + j + t) % 3);
}

static void
delta_rule_check (const TernKernels *ref, const TernKernels *k)
{
  delta_rule_truth (k);
}

/* A layer of 16 heads of 128, as models have them: one token, and a pass of a prompt. */
enum { HEADS = 16, WIDTH = 128, TOKENS = 128 };

typedef struct {
  guint n;
  float *state, *qk, *v, *o, decay[TOKENS], beta[TOKENS];
} DeltaBench;

static void
run_heads (const TernKernels *k, void *data)
{
  DeltaBench *b = data;

  for (guint h = 0; h < HEADS; h++) {
    float *state = b->state + (gsize) h * WIDTH * WIDTH;

    k->delta_rule (b->o + h * WIDTH, HEADS * WIDTH, state, state, b->qk + 2 * h * WIDTH, b->qk + (2 * h + 1) * WIDTH,
        2 * HEADS * WIDTH, b->v + h * WIDTH, HEADS * WIDTH, b->decay, b->beta, 1, WIDTH, WIDTH, b->n);
  }
}

static void
delta_rule_bench (void)
{
  static const guint ns[] = { 1, TOKENS };
  g_autofree float *state = g_new0 (float, HEADS * WIDTH * WIDTH), *qk = g_new (float, 2 * TOKENS * HEADS * WIDTH);
  g_autofree float *v = g_new (float, TOKENS * HEADS * WIDTH), *o = g_new (float, TOKENS * HEADS * WIDTH);
  g_autofree DeltaBench *b = g_new0 (DeltaBench, 1);

  *b = (DeltaBench) { .state = state, .qk = qk, .v = v, .o = o };
  for (guint i = 0; i < 2 * TOKENS * HEADS; i++)
    unit_row (qk + i * WIDTH, WIDTH);
  check_floats (v, TOKENS * HEADS * WIDTH, 1);
  for (guint t = 0; t < TOKENS; t++) {
    b->decay[t] = 0.9f;
    b->beta[t] = 0.5f;
  }
  for (guint i = 0; i < G_N_ELEMENTS (ns); i++) {
    g_autofree char *what = g_strdup_printf ("delta_rule heads=%d width=%d n=%u", HEADS, WIDTH, ns[i]);

    b->n = ns[i];
    check_bench (what, run_heads, b, (double) ns[i] * 4 * HEADS * WIDTH * WIDTH);
  }
}

#define KERNEL(name) { #name, name##_truth, name##_check, name##_bench }

const Kernel recurrent_kernels[] = {
  { "conv_silu", conv_silu_truth, conv_silu_check, NULL }, KERNEL (delta_rule), { NULL }
};
