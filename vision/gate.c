/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is new in a picture; the method stands in gate.h. */
#include "vision/gate.h"

#include <math.h>
#include <string.h>

#define REFERENCE_FRAMES 8      /* still frames that the background is the mean of, at most */
#define MIN_CELLS 6             /* of luma that touch each other */
#define MIN_CHROMA_CELLS 2
#define LIGHT_MOST 48.0f        /* levels by which light may change on average and nothing be new */
#define FADE 0.99f              /* of what was learned of noise, from frame to frame */
#define NOISE_TIMES 1.5f
#define NOISE_MOST 4.0f         /* of the threshold asked for: what noise may make of it */
#define SCALE_TIMES 4.0f
#define LIGHT_SHARE 0.15f       /* of a change of light that the fit may be wrong by */
#define STRONG 2.0f             /* thresholds that make an alarm at once */
#define GAIN_LEAST 0.25f
#define GAIN_MOST 4.0f
#define FLAT 4.0f               /* variance of a background without anything in it: no gain is fitted */

typedef struct {
  guint w, h, n;
  float gain, offset;           /* from the background to the picture */
  gboolean flat;                /* there is nothing in the background */
  float scale;                  /* of what everything does at once */
  float lowest, highest;        /* of the picture */
  float now[TERN_GATE_CELLS];
  float background[TERN_GATE_CELLS];
  float e[3][TERN_GATE_CELLS];  /* residuals: of this picture, of the one before, of the one before that */
  float noise[TERN_GATE_CELLS];
  float threshold[TERN_GATE_CELLS];
} Plane;

struct _TernGateModel {
  float threshold;
  guint n;                      /* planes; 0: none yet */
  guint frames;                 /* that the background is the mean of; 0: there is none */
  guint history;                /* residuals of earlier pictures that there are, 2 at most */
  Plane planes[TERN_GATE_PLANES];
  guint8 mask[TERN_GATE_CELLS];
  guint16 stack[TERN_GATE_CELLS];
};

TernGateModel *
tern_gate_model_new (double threshold)
{
  TernGateModel *model = g_new0 (TernGateModel, 1);

  model->threshold = (float) threshold;
  return model;
}

void
tern_gate_model_free (TernGateModel *model)
{
  g_free (model);
}

/* ---- Light ------------------------------------------------------------------------------------------------------- */

/* Median by counting, in steps of 1/16 up to 127; of @n values, or with @absolute of their sizes. */
static float
median (const float *values, guint n, gboolean absolute)
{
  guint16 count[2 * 128 * 16] = { 0 };
  guint seen = 0, bin = 0;

  for (guint i = 0; i < n; i++) {
    float v = absolute ? fabsf (values[i]) : values[i];

    count[(guint) ((CLAMP (v, -127.9f, 127.9f) + 128) * 16)]++;
  }
  while (seen + count[bin] <= n / 2)
    seen += count[bin++];
  return ((float) bin + 0.5f) / 16 - 128;
}

static void
find_residuals (Plane *p)
{
  for (guint i = 0; i < p->n; i++) {
    float expected = p->gain * p->background[i] + p->offset;

    p->e[0][i] = p->now[i] - CLAMP (expected, p->lowest, p->highest);
  }
  p->scale = 1.4826f * MAX (median (p->e[0], p->n, TRUE), 0);
}

/* Least squares over cells whose residuals are within 2.5 times their scale. */
static void
refit (Plane *p)
{
  float limit = 2.5f * MAX (p->scale, 0.25f), n = 0, x = 0, y = 0, xx = 0, xy = 0, variance;

  for (guint i = 0; i < p->n; i++)
    if (fabsf (p->e[0][i]) <= limit) {
      n += 1;
      x += p->background[i];
      y += p->now[i];
    }
  if (n < 2)
    return;
  x /= n;
  y /= n;
  for (guint i = 0; i < p->n; i++)
    if (fabsf (p->e[0][i]) <= limit) {
      float d = p->background[i] - x;

      xx += d * d;
      xy += d * (p->now[i] - y);
    }
  variance = xx / n;
  p->flat = !(variance > FLAT);
  p->gain = !p->flat ? CLAMP (xy / xx, GAIN_LEAST, GAIN_MOST) : 1;
  p->offset = y - p->gain * x;
}

static void
fit_light (Plane *p)
{
  p->lowest = p->highest = p->now[0];
  for (guint i = 0; i < p->n; i++) {
    p->lowest = MIN (p->lowest, p->now[i]);
    p->highest = MAX (p->highest, p->now[i]);
    p->e[0][i] = p->now[i] - p->background[i];
  }
  p->gain = 1;
  p->flat = TRUE;
  p->offset = median (p->e[0], p->n, FALSE);
  find_residuals (p);
  for (guint i = 0; i < 2; i++) {
    refit (p);
    find_residuals (p);
  }
}

/* By how much light changed, on average; and thresholds. */
static float
find_thresholds (Plane *p, float least)
{
  float common = MAX (least, SCALE_TIMES * p->scale), sum = 0;

  for (guint i = 0; i < p->n; i++) {
    float light = fabsf (p->gain * p->background[i] + p->offset - p->background[i]);

    sum += light;
    p->threshold[i] = MAX (common, NOISE_TIMES * p->noise[i]) + LIGHT_SHARE * light;
  }
  return sum / (float) p->n;
}

/* ---- Alarms ------------------------------------------------------------------------------------------------------ */

static float
middle (float a, float b, float c)
{
  return MAX (MIN (a, b), MIN (MAX (a, b), c));
}

/* Cells that are different, at once or for a second time. */
static void
mark (TernGateModel *model, const Plane *p)
{
  for (guint i = 0; i < p->n; i++) {
    float strong = STRONG * p->threshold[i];
    float stays = middle (p->e[0][i], model->history > 0 ? p->e[1][i] : 0, model->history > 1 ? p->e[2][i] : 0);

    model->mask[i] = fabsf (p->e[0][i]) > strong || fabsf (stays) > p->threshold[i];
  }
}

/* Cells that are marked and touch @start; they are marked 2. */
static guint
flood (TernGateModel *model, const Plane *p, guint start)
{
  guint n = 1, found = 0;

  model->stack[0] = (guint16) start;
  model->mask[start] = 2;
  while (n > 0) {
    guint i = model->stack[--n], x = i % p->w, near[4], k = 0;

    found++;
    if (x > 0)
      near[k++] = i - 1;
    if (x + 1 < p->w)
      near[k++] = i + 1;
    if (i >= p->w)
      near[k++] = i - p->w;
    if (i + p->w < p->n)
      near[k++] = i + p->w;
    while (k-- > 0)
      if (model->mask[near[k]] == 1) {
        model->mask[near[k]] = 2;
        model->stack[n++] = (guint16) near[k];
      }
  }
  return found;
}

/* Marked cells of which as many as an object has touch each other. Small pictures have fewer cells. */
static guint
count_objects (TernGateModel *model, const Plane *p, guint plane)
{
  guint whole = plane ? TERN_GATE_CELLS / 4 : TERN_GATE_CELLS, cells = plane ? MIN_CHROMA_CELLS : MIN_CELLS;
  guint least = MAX (1, cells * p->n / whole);
  guint found = 0;

  for (guint i = 0; i < p->n; i++)
    if (model->mask[i] == 1) {
      guint n = flood (model, p, i);

      found += n >= least ? n : 0;
    }
  return found;
}

/* ---- Learning ---------------------------------------------------------------------------------------------------- */

/* From the frame before, now that what was seen in it has gone or was below the threshold. */
static void
learn_noise (const TernGateModel *model, Plane *p)
{
  float most = NOISE_MOST * model->threshold / NOISE_TIMES;

  for (guint i = 0; i < p->n; i++) {
    float seen = model->history > 1 ? fabsf (p->e[1][i] - p->e[2][i]) : 0;

    p->noise[i] = MAX (FADE * p->noise[i], MIN (seen, most));
  }
}

/* Cells that made an alarm. */
static void
learn_alarm (const TernGateModel *model, Plane *p)
{
  float most = 2 * model->threshold / NOISE_TIMES;

  for (guint i = 0; i < p->n; i++)
    if (fabsf (p->e[0][i]) > p->threshold[i])
      p->noise[i] = MAX (p->noise[i], MIN (fabsf (p->e[0][i]), most));
}

static void
average_background (TernGateModel *model, Plane *p)
{
  float weight = 1 / (float) (model->frames + 1);

  for (guint i = 0; i < p->n; i++)
    p->background[i] += ((p->now[i] - p->offset) / p->gain - p->background[i]) * weight;
}

static void
remember (TernGateModel *model)
{
  for (guint k = 0; k < model->n; k++) {
    Plane *p = &model->planes[k];

    memcpy (p->e[2], p->e[1], p->n * sizeof (float));
    memcpy (p->e[1], p->e[0], p->n * sizeof (float));
  }
  model->history = MIN (model->history + 1, 2);
}

/* ---- Verdicts ---------------------------------------------------------------------------------------------------- */

void
tern_gate_model_adopt (TernGateModel *model)
{
  for (guint k = 0; k < model->n; k++)
    memcpy (model->planes[k].background, model->planes[k].now, model->planes[k].n * sizeof (float));
  model->frames = 1;
  model->history = 0;
}

void
tern_gate_model_forget (TernGateModel *model)
{
  model->frames = 0;
}

static void
load (TernGateModel *model, const TernGateCells *cells)
{
  gboolean same = model->n == cells->n;

  for (guint k = 0; k < cells->n; k++)
    same = same && model->planes[k].w == cells->w[k] && model->planes[k].h == cells->h[k];
  if (!same) {
    model->frames = 0;
    model->n = cells->n;
  }
  for (guint k = 0; k < model->n; k++) {
    Plane *p = &model->planes[k];

    p->w = cells->w[k];
    p->h = cells->h[k];
    p->n = p->w * p->h;
    memcpy (p->now, cells->mean[k], p->n * sizeof (float));
    if (!same)
      memset (p->noise, 0, sizeof p->noise);
  }
}

static TernGateVerdict
compare (TernGateModel *model, double *novelty)
{
  TernGateVerdict verdict = TERN_GATE_STILL;

  *novelty = 0;
  for (guint k = 0; k < model->n; k++) {
    Plane *p = &model->planes[k];
    float light;
    guint found;

    fit_light (p);
    light = find_thresholds (p, model->threshold);
    if (p->scale > model->threshold || light > (k == 0 && p->flat ? model->threshold : LIGHT_MOST)) {
      *novelty = 1;
      return TERN_GATE_UPHEAVAL;
    }
    mark (model, p);
    found = count_objects (model, p, k);
    if (found > 0)
      verdict = TERN_GATE_OBJECT;
    *novelty = MAX (*novelty, (double) found / p->n);
  }
  return verdict;
}

static void
learn_still (TernGateModel *model)
{
  for (guint k = 0; k < model->n; k++) {
    learn_noise (model, &model->planes[k]);
    if (model->frames < REFERENCE_FRAMES)
      average_background (model, &model->planes[k]);
  }
  model->frames = MIN (model->frames + 1, REFERENCE_FRAMES);
  remember (model);
}

TernGateVerdict
tern_gate_model_compare (TernGateModel *model, const TernGateCells *cells, double *novelty)
{
  TernGateVerdict verdict = TERN_GATE_FIRST;

  load (model, cells);
  *novelty = 1;
  if (model->frames > 0)
    verdict = compare (model, novelty);
  if (verdict == TERN_GATE_STILL)
    learn_still (model);
  return verdict;
}

void
tern_gate_model_take (TernGateModel *model, TernGateVerdict verdict)
{
  for (guint k = 0; verdict == TERN_GATE_OBJECT && k < model->n; k++)
    learn_alarm (model, &model->planes[k]);
  tern_gate_model_adopt (model);
}

/* Nothing is learned of it: it is to make an alarm again. Planes that were not looked at have residuals of another picture. */
void
tern_gate_model_put_off (TernGateModel *model, TernGateVerdict verdict)
{
  if (verdict == TERN_GATE_OBJECT)
    remember (model);
  else
    model->history = 0;
}

TernGateVerdict
tern_gate_model_judge (TernGateModel *model, const TernGateCells *cells)
{
  double novelty;
  TernGateVerdict verdict = tern_gate_model_compare (model, cells, &novelty);

  if (verdict != TERN_GATE_STILL)
    tern_gate_model_take (model, verdict);
  return verdict;
}
