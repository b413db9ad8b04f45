/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the gate's word counts (vision/gate.h says what it is): once a scene has stood still, not where everything moves. */
#include "tern/gate.h"

#include "tern/budget-priv.h"
#include "tern/error.h"
#include "tern/planes.h"
#include "tern/words.h"
#include "vision/gate.h"

#define STILL_FRAMES 16         /* that a scene stands still before frames are left out by themselves ... */
#define STILL_TIME (8 * G_GUINT64_CONSTANT (1000000000))        /* ... and ns */
#define RECENT G_MAXUINT16      /* frames that are counted, a bit each: the newest 16 */
#define BUSY 8                  /* of them new: the scene does not stand still */
#define AWAKE 32                /* new frames one after the other before the gate sleeps */
#define SLEEP_LEAST 32          /* frames that it sleeps for */
#define SLEEP_MOST 128

struct _TernGate {
  TernGateParams params;
  TernGateModel *model;
  TernGateStats stats;
  TernBudget *budget;           /* NULL: none */
  double novelty;               /* of the frame looked at last */

  gboolean settle, moving;      /* tokens say what moves; those of the frame encoded last say that something does */
  gboolean engaged;             /* AUTO: frames may be left out */
  guint quiet;                  /* still frames one after the other ... */
  guint64 quiet_since;          /* ... and the time of the one before them */
  guint recent;                 /* a bit for each frame, the newest one lowest: new */
  guint news;                   /* new frames one after the other */
  guint sleep, left;            /* frames that it sleeps for, and those still to come */

  guint64 pts;                  /* of the frame before; of the one encoded last */
  guint64 encoded;
  gboolean any;
  TernImageFormat format;
  guint width, height;
};

gboolean
tern_gate_params_check (const TernGateParams *params, GError **error)
{
  g_return_val_if_fail (params != NULL, FALSE);
  if ((guint) params->mode > TERN_GATE_MODE_ON)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "gate: expected a mode from 0 to %u, found %u",
        (guint) TERN_GATE_MODE_ON, (guint) params->mode);
  else if (!(params->threshold >= TERN_GATE_THRESHOLD_MIN && params->threshold <= TERN_GATE_THRESHOLD_MAX))
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "threshold of the gate: expected %g to %g levels, found %g",
        TERN_GATE_THRESHOLD_MIN, TERN_GATE_THRESHOLD_MAX, params->threshold);
  else if (params->max_silence > G_MAXINT64)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max_silence of the gate: expected less than 2^63 ns, found %"
        G_GUINT64_FORMAT, params->max_silence);
  else
    return TRUE;
  return FALSE;
}

gboolean
tern_gate_mode_parse (const char *name, TernGateMode *mode, GError **error)
{
  static const char *const words[] = { "auto", "off", "on" };
  guint which;

  g_return_val_if_fail (name != NULL && mode != NULL, FALSE);
  if (!tern_word_parse (name, words, G_N_ELEMENTS (words), &which, error))
    return FALSE;
  *mode = (TernGateMode) which;
  return TRUE;
}

TernGate *
tern_gate_new (const TernGateParams *params, GError **error)
{
  TernGate *gate;

  if (!tern_gate_params_check (params, error))
    return NULL;
  gate = g_new0 (TernGate, 1);
  gate->params = *params;
  gate->model = tern_gate_model_new (params->threshold);
  return gate;
}

void
tern_gate_free (TernGate *gate)
{
  if (!gate)
    return;
  tern_gate_model_free (gate->model);
  tern_budget_unref (gate->budget);
  g_free (gate);
}

gboolean
tern_gate_set_params (TernGate *gate, const TernGateParams *params, GError **error)
{
  g_return_val_if_fail (gate != NULL, FALSE);
  if (!tern_gate_params_check (params, error))
    return FALSE;
  if (params->threshold != gate->params.threshold) {
    tern_gate_model_free (gate->model);
    gate->model = tern_gate_model_new (params->threshold);
  }
  gate->params = *params;
  if (gate->budget)
    tern_budget_set_silence (gate->budget, params->max_silence);
  return TRUE;
}

void
tern_gate_set_budget (TernGate *gate, TernBudget *budget)
{
  g_return_if_fail (gate != NULL);
  if (budget)
    tern_budget_set_silence (tern_budget_ref (budget), gate->params.max_silence);
  tern_budget_unref (gate->budget);
  gate->budget = budget;
}

void
tern_gate_set_settle (TernGate *gate, gboolean settle)
{
  g_return_if_fail (gate != NULL);
  gate->settle = settle;
}

double
tern_gate_novelty (const TernGate *gate)
{
  g_return_val_if_fail (gate != NULL, 1);
  return gate->novelty;
}

void
tern_gate_force (TernGate *gate)
{
  g_return_if_fail (gate != NULL);
  tern_gate_model_forget (gate->model);
  gate->any = FALSE;
}

void
tern_gate_stats (const TernGate *gate, TernGateStats *stats)
{
  g_return_if_fail (gate != NULL && stats != NULL);
  *stats = gate->stats;
}

/* ---- By itself --------------------------------------------------------------------------------------------------- */

static guint
ones (guint bits)
{
  guint n = 0;

  for (; bits; bits &= bits - 1)
    n++;
  return n;
}

/* Whether the scene has stood still for long enough. */
static void
count (TernGate *gate, gboolean is_new, guint64 pts)
{
  gate->recent = (gate->recent << 1 | is_new) & RECENT;
  if (is_new) {
    gate->quiet = 0;
    gate->quiet_since = pts;
    gate->news++;
  } else {
    gate->quiet++;
    gate->news = 0;
    gate->sleep = 0;
  }
  if (ones (gate->recent) >= BUSY)
    gate->engaged = FALSE;
  if (gate->quiet >= STILL_FRAMES && pts - gate->quiet_since >= STILL_TIME)
    gate->engaged = TRUE;
}

/* Everything moves: nothing is looked at for a while, then two frames are, of which the second one says whether that is
 * still so. */
static gboolean
is_asleep (TernGate *gate)
{
  if (gate->params.mode != TERN_GATE_MODE_AUTO || gate->budget)
    return FALSE;
  if (gate->left == 0 && gate->news >= AWAKE) {
    gate->sleep = CLAMP (2 * gate->sleep, SLEEP_LEAST, SLEEP_MOST);
    gate->left = gate->sleep + 1;
    gate->news = AWAKE - 2;
    tern_gate_model_forget (gate->model);
  }
  if (gate->left == 0)
    return FALSE;
  return --gate->left > 0;
}

/* ---- Looking ----------------------------------------------------------------------------------------------------- */

/* Samples of two bytes have rows twice as long. */
static gboolean
is_picture (const TernImage *image, guint shift)
{
  TernPlanes planes;

  if (!tern_planes_of (image, &planes, NULL) || (shift > 0 && image->format < TERN_IMAGE_GRAY8))
    return FALSE;
  for (guint p = 0; shift > 0 && p < planes.n; p++)
    if ((gsize) ABS ((gint64) image->stride[p]) < 2 * planes.row_bytes[p])
      return FALSE;
  return shift <= 8;
}

/* What comes before it is not of the same scene. */
static gboolean
begins_anew (TernGate *gate, const TernImage *image, guint64 pts)
{
  gboolean anew = !gate->any || pts < gate->pts || image->format != gate->format || image->width != gate->width
      || image->height != gate->height;

  gate->any = TRUE;
  gate->pts = pts;
  gate->format = image->format;
  gate->width = image->width;
  gate->height = image->height;
  return anew;
}

/* Nothing was encoded for too long. */
static gboolean
was_silent (const TernGate *gate, guint64 pts)
{
  return gate->params.max_silence > 0 && pts - gate->encoded >= gate->params.max_silence;
}

/* Whether a frame that the gate would let through is worth what it costs. */
static gboolean
is_worth_it (TernGate *gate, TernGateVerdict verdict, guint64 pts)
{
  gboolean first = verdict == TERN_GATE_FIRST, silent = !first && was_silent (gate, pts);

  if (!gate->budget || tern_budget_wants_frame (gate->budget, gate->novelty, first || silent)) {
    gate->stats.forced += gate->budget && silent;
    return TRUE;
  }
  gate->stats.deferred++;
  return FALSE;
}

/* Of a still frame: whether the gate leaves it out, though there may be enough of everything. */
static gboolean
is_left_out (const TernGate *gate)
{
  return gate->params.mode == TERN_GATE_MODE_ON || (gate->params.mode == TERN_GATE_MODE_AUTO && gate->engaged);
}

/* FALSE: nothing is new, and that counts; or it is not worth it. */
static gboolean
is_new (TernGate *gate, const TernImage *image, guint shift, guint64 pts)
{
  TernGateCells cells;
  TernGateVerdict verdict;
  gboolean still, look;

  tern_gate_cells (&cells, image, shift);
  verdict = tern_gate_model_compare (gate->model, &cells, &gate->novelty);
  still = verdict == TERN_GATE_STILL;
  count (gate, !still, pts);
  if (gate->budget)
    tern_budget_see (gate->budget, TERN_TOLD_BY_FRAMES, pts, gate->novelty);
  if (!still || !is_left_out (gate)) {
    look = is_worth_it (gate, verdict, pts);
    if (!still && look)
      tern_gate_model_take (gate->model, verdict);
    else if (!still)
      tern_gate_model_put_off (gate->model, verdict);
    if (look)
      gate->moving = !still;
    return look;
  }
  if (!was_silent (gate, pts) && !(gate->settle && gate->moving))
    return FALSE;
  if (gate->budget)
    tern_budget_wants_frame (gate->budget, 0, TRUE);
  tern_gate_model_adopt (gate->model);
  gate->stats.forced++;
  gate->moving = FALSE;
  return TRUE;
}

static gboolean
look_at (TernGate *gate, const TernImage *image, guint shift, guint64 pts)
{
  guint64 deferred = gate->stats.deferred;
  gboolean anew, look = TRUE;

  gate->novelty = 1;
  if ((gate->params.mode == TERN_GATE_MODE_OFF && !gate->budget) || !is_picture (image, shift)) {
    tern_gate_force (gate);     /* what was encoded last is not known afterwards */
    return TRUE;
  }
  anew = begins_anew (gate, image, pts);
  if (anew)
    tern_gate_model_forget (gate->model);
  if (is_asleep (gate)) {
    gate->stats.asleep++;
    gate->moving = TRUE;
  } else {
    look = is_new (gate, image, shift, pts);
  }
  if (look)
    gate->encoded = pts;
  else if (gate->stats.deferred == deferred)
    gate->stats.unchanged++;
  return look;
}

gboolean
tern_gate_look (TernGate *gate, const TernImage *image, guint shift, guint64 pts)
{
  guint64 began;
  gboolean look;

  g_return_val_if_fail (gate != NULL && image != NULL, TRUE);
  gate->stats.frames++;
  if (!gate->budget)
    return look_at (gate, image, shift, pts);
  began = tern_budget_thread_time ();
  look = look_at (gate, image, shift, pts);
  tern_budget_charge (gate->budget, TERN_COST_OTHER, 1, tern_budget_thread_time () - began);
  return look;
}
