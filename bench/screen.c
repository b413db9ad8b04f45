/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a certified output head would save: scores of few bits with an error bound, and the exact ones of those rows that the
 * bound cannot tell from the best. Counts, with the hidden states of a text, how many rows that would be; times nothing.
 *
 * usage: screen MODEL TEXT [STATES]
 *
 * A row's columns are in blocks of 32 with a scale each, but for the COLUMNS that carry most of the hidden states' energy, by 32
 * states of the beginning or by the last norm's weights alone, which have 8 bits. Bound: the norm of a row's error times that
 * of the state, for both parts, without what rounding adds. `p` is how far the best token's probability is off when the rows
 * that are left out count with their scores of few bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/llm/model.h"
#include "engine/llm/solo.h"
#include "engine/text/tokenizer.h"

#define CHUNK 512               /* rows at a time */
#define CALIBRATION 32          /* states */

typedef struct {
  TernLlm *llm;
  const TernKernels *kernels;
  guint width, n_vocab, n;      /* states that are scored */
  float *states;                /* [CALIBRATION + n, width] */
  float *exact, *score, *bound; /* [n, n_vocab] */
} Study;

typedef struct {
  const char *by;
  guint bits, columns;
} Plan;

static void
must (gboolean ok, GError *error)
{
  if (ok && !error)
    return;
  fprintf (stderr, "screen: %s\n", error ? error->message : "failed");
  exit (1);
}

/* ---- Hidden states ----------------------------------------------------------------------------------------------- */

static void
read_text (Study *study, const char *path, TernTokenizer *tokenizer, TernPool *pool, guint most)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  TernSolo *solo;
  g_autofree char *text = NULL;
  GError *error = NULL;
  gsize size;
  guint n;

  must (g_file_get_contents (path, &text, &size, &error), error);
  tern_tokenizer_encode (tokenizer, text, size, TRUE, ids);
  n = MIN (ids->len, CALIBRATION + most);
  if (n <= CALIBRATION) {
    fprintf (stderr, "screen: %s: expected more than %u tokens, found %u\n", path, CALIBRATION, n);
    exit (1);
  }
  study->n = n - CALIBRATION;
  study->states = g_new (float, (gsize) n * study->width);
  solo = tern_solo_new (study->llm, &(TernSoloParams) { .context = n }, pool, &error);
  must (solo != NULL, error);
  for (guint i = 0; i < n; i++) {
    TernSegment segment = { .timeline = tern_solo_timeline (solo), .n = 1, .decode = TRUE, .want = TERN_LOGITS_NONE,
      .hidden = study->states + (gsize) i * study->width };
    float *row;

    tern_pass_begin (tern_solo_pass (solo));
    row = tern_pass_add (tern_solo_pass (solo), &segment, &error);
    must (row != NULL, error);
    tern_llm_embed (study->llm, &g_array_index (ids, gint32, i), 1, row, study->width);
    must (tern_pass_run (tern_solo_pass (solo), &error), error);
  }
  tern_solo_free (solo);
}

/* ---- The screen -------------------------------------------------------------------------------------------------- */

/* Which columns have 8 bits. */
static void
choose_columns (const Study *study, const Plan *plan, gboolean *chosen)
{
  g_autofree double *energy = g_new0 (double, study->width);

  memset (chosen, 0, study->width * sizeof *chosen);
  for (guint c = 0; c < study->width; c++)
    for (guint i = 0; i < CALIBRATION; i++) {
      double x = plan->by[0] == 's' ? study->states[(gsize) i * study->width + c] : study->llm->final_norm[c];

      energy[c] += x * x;
    }
  for (guint k = 0; k < plan->columns; k++) {
    guint best = 0;

    for (guint c = 0; c < study->width; c++)
      best = energy[c] > energy[best] ? c : best;
    chosen[best] = TRUE;
    energy[best] = -1;
  }
}

/* y = x in steps of most * share / levels; the square of what is lost. */
static double
round_to (float *y, const float *x, const gboolean *chosen, gboolean which, guint n, float most, float share, int levels)
{
  float step = most * share / (float) levels;
  double lost = 0;

  for (guint i = 0; i < n; i++)
    if (chosen[i] == which) {
      y[i] = step > 0 ? step * CLAMP (rintf (x[i] / step), (float) -levels, (float) levels - 1) : 0;
      lost += (double) (x[i] - y[i]) * (x[i] - y[i]);
    }
  return lost;
}

static float
largest (const float *x, const gboolean *chosen, gboolean which, guint n)
{
  float most = 0;

  for (guint i = 0; i < n; i++)
    most = chosen[i] == which ? MAX (most, fabsf (x[i])) : most;
  return most;
}

/* One row with few bits; the norms of its errors, of the common columns and of the chosen ones. */
static void
screen_row (float *y, const float *x, const gboolean *chosen, guint width, guint bits, double lost[2])
{
  lost[0] = 0;
  for (guint b = 0; b < width; b += 32) {
    guint n = MIN (32, width - b);
    float most = largest (x + b, chosen + b, FALSE, n), best_share = 1;
    double least = INFINITY;

    for (float share = .6f; share < 1.01f; share += .05f) {
      double now = round_to (y + b, x + b, chosen + b, FALSE, n, most, share, 1 << (bits - 1));

      best_share = now < least ? share : best_share;
      least = MIN (least, now);
    }
    lost[0] += round_to (y + b, x + b, chosen + b, FALSE, n, most, best_share, 1 << (bits - 1));
  }
  lost[1] = sqrt (round_to (y, x, chosen, TRUE, width, largest (x, chosen, TRUE, width), 1, 128));
  lost[0] = sqrt (lost[0]);
}

static void
norms (const Study *study, const gboolean *chosen, double (*norm)[2])
{
  for (guint t = 0; t < study->n; t++) {
    const float *x = study->states + (gsize) (CALIBRATION + t) * study->width;

    norm[t][0] = norm[t][1] = 0;
    for (guint c = 0; c < study->width; c++)
      norm[t][chosen[c]] += (double) x[c] * x[c];
    norm[t][0] = sqrt (norm[t][0]);
    norm[t][1] = sqrt (norm[t][1]);
  }
}

static void
score (Study *study, const Plan *plan)
{
  gsize width = study->width, n_vocab = study->n_vocab;
  g_autofree gboolean *chosen = g_new (gboolean, width);
  g_autofree float *rows = g_new (float, CHUNK * width), *few = g_new (float, CHUNK * width);
  double (*norm)[2] = g_malloc (study->n * sizeof *norm);
  const float *x = study->states + CALIBRATION * width;

  choose_columns (study, plan, chosen);
  norms (study, chosen, norm);
  for (guint first = 0; first < n_vocab; first += CHUNK) {
    guint n = MIN (CHUNK, (guint) n_vocab - first);

    for (guint r = 0; r < n; r++) {
      double lost[2];

      tern_linear_row (tern_llm_head (study->llm), first + r, rows + r * width);
      screen_row (few + r * width, rows + r * width, chosen, (guint) width, plan->bits, lost);
      for (guint t = 0; t < study->n; t++)
        study->bound[t * n_vocab + first + r] = (float) (lost[0] * norm[t][0] + lost[1] * norm[t][1]);
    }
    study->kernels->gemm_f32 (study->exact + first, n_vocab, rows, width, n, width, x, width, study->n, TRUE);
    study->kernels->gemm_f32 (study->score + first, n_vocab, few, width, n, width, x, width, study->n, TRUE);
  }
  g_free (norm);
}

/* ---- What it comes to -------------------------------------------------------------------------------------------- */

static int
by_size (const void *a, const void *b)
{
  guint x = *(const guint *) a, y = *(const guint *) b;

  return (x > y) - (x < y);
}

/* Rows that may be the best of state @t; *@off: by how much its probability would be. */
static guint
survivors (const Study *study, guint t, double *off, double *error)
{
  const float *exact = study->exact + t * (gsize) study->n_vocab, *few = study->score + t * (gsize) study->n_vocab;
  const float *bound = study->bound + t * (gsize) study->n_vocab;
  double sure = -INFINITY, best = -INFINITY, all = 0, mixed = 0;
  guint n = 0;

  for (guint r = 0; r < study->n_vocab; r++) {
    sure = MAX (sure, (double) few[r] - bound[r]);
    best = MAX (best, exact[r]);
    *error += (double) (exact[r] - few[r]) * (exact[r] - few[r]);
  }
  for (guint r = 0; r < study->n_vocab; r++) {
    gboolean in = (double) few[r] + bound[r] >= sure;

    n += in;
    all += exp (exact[r] - best);
    mixed += exp ((in ? exact[r] : few[r]) - best);
  }
  *off = fabs (1 / all - 1 / mixed);
  return n;
}

static void
report (const Study *study, const Plan *plan)
{
  g_autofree guint *n = g_new (guint, study->n);
  double off, most = 0, mean = 0, bound = 0, error = 0;
  gsize all = (gsize) study->n * study->n_vocab;
  guint many = 0;

  for (guint t = 0; t < study->n; t++) {
    n[t] = survivors (study, t, &off, &error);
    most = MAX (most, off);
    mean += (double) n[t] / study->n;
    many += n[t] > study->n_vocab / 8;
  }
  for (gsize i = 0; i < all; i++)
    bound += study->bound[i] / (double) all;
  qsort (n, study->n, sizeof *n, by_size);
  printf ("%u bits, %3u columns of 8 by %-6s %.2f bits a weight; bound %6.2f, error %.2f; exact rows of %u: median %u, mean %.0f, "
      "90 %% below %u; above 1/8: %u of %u states; p off by %.4f at most\n", plan->bits, plan->columns,
      plan->columns ? plan->by : "-", plan->bits + .5 + 8. * plan->columns / study->width, bound, sqrt (error / (double) all),
      study->n_vocab, n[study->n / 2], mean, n[study->n * 9 / 10], many, study->n, most);
}

int
main (int argc, char **argv)
{
  static const Plan plans[] = { { "states", 4, 0 }, { "norm", 4, 64 }, { "states", 4, 16 }, { "states", 4, 32 },
    { "states", 4, 64 }, { "states", 3, 64 }, { "states", 5, 0 }, { "states", 5, 64 }, { "states", 6, 0 } };
  Study study = { 0 };
  GError *error = NULL;
  TernTokenizer *tokenizer;
  TernGguf *file;
  TernPool *pool;
  gsize all;

  if (argc < 3) {
    fprintf (stderr, "usage: screen MODEL TEXT [STATES]\n");
    return 2;
  }
  must ((study.kernels = tern_kernels_default (&error)) != NULL, error);
  must ((file = tern_gguf_open (argv[1], &error)) != NULL, error);
  must ((pool = tern_pool_new (2, &error)) != NULL, error);
  must ((tokenizer = tern_tokenizer_new (file, &error)) != NULL, error);
  must ((study.llm = tern_llm_open (file, study.kernels, pool, &error)) != NULL, error);
  study.width = tern_llm_info (study.llm)->width;
  study.n_vocab = tern_llm_info (study.llm)->n_vocab;
  read_text (&study, argv[2], tokenizer, pool, argc > 3 ? (guint) MAX (atoi (argv[3]), 1) : 100);
  all = (gsize) study.n * study.n_vocab;
  study.exact = g_new (float, all);
  study.score = g_new (float, all);
  study.bound = g_new (float, all);
  for (guint i = 0; i < G_N_ELEMENTS (plans); i++)
    if (plans[i].columns < study.width / 2) {
      score (&study, &plans[i]);
      report (&study, &plans[i]);
    }
  g_free (study.exact);
  g_free (study.score);
  g_free (study.bound);
  g_free (study.states);
  tern_llm_unref (study.llm);
  tern_tokenizer_unref (tokenizer);
  tern_pool_free (pool);
  tern_gguf_unref (file);
  return 0;
}
