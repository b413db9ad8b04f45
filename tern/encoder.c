/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoding as a step of its own: one frame at a time, done by the scheduler in slices, beside those of other encoders where
 * pictures are small. */
#include "tern/budget-priv.h"
#include "tern/model-priv.h"
#include "tern/reuse-priv.h"

struct _TernEncoder {
  TernClient client;
  TernModel *model;
  TernVision *vision;
  TernFit fit;
  TernReuse *reuse;             /* NULL: none */
  TernBudget *budget;           /* NULL: none */
  TernCancel cancel;

  GMutex lock;
  GCond done;
  gboolean refusing;            /* cancelled */
  /* the run under way; set by the caller, who waits */
  const TernImage *before, *image, *second;     /* before, second: NULL without */
  float *tokens;
  TernTokens *out;
  GError **error;
  gboolean running, started, ok;

  /* the scheduler's thread's */
  guint64 number;               /* of the picture; 0: it is not planned yet */
  TernVisionPlan plan;
};

static TernEncoder *
encoder_of (TernClient *client)
{
  return (TernEncoder *) ((guint8 *) client - G_STRUCT_OFFSET (TernEncoder, client));
}

/* What is done, but for its number. */
static gboolean
plan (TernEncoder *self, TernLook *look)
{
  TernVisionOptions options = { .tile = FALSE, .scaling = tern_fit_scaling (self->fit) };

  *look = (TernLook) { .image = self->image, .second = self->second, .before = self->before, .options = options,
    .plan = &self->plan, .reuse = self->second || self->before ? NULL : self->reuse, .tokens = self->tokens,
    .cancel = &self->cancel };
  return tern_vision_plan_image (self->vision, self->image, &options, &self->plan, self->error);
}

static void
end (TernEncoder *self, gboolean ok)
{
  if (ok) {
    self->out->grid_w = self->plan.sub[0].grid_w;
    self->out->grid_h = self->plan.sub[0].grid_h;
    self->out->dim = tern_vision_info (self->vision)->row_dim;
    self->out->deepstack = tern_vision_info (self->vision)->deepstack;
    self->out->n_tokens = self->plan.n_tokens;
    self->out->tokens = self->tokens;
    self->out->keep = NULL;
  }
  g_mutex_lock (&self->lock);
  self->ok = ok;
  self->running = FALSE;
  g_cond_broadcast (&self->done);
  g_mutex_unlock (&self->lock);
}

static TernDemand
encoder_demand (TernClient *client)
{
  TernEncoder *self = encoder_of (client);
  TernDemand demand = { 0 };
  gboolean cancelled;

  g_mutex_lock (&self->lock);
  demand.slice = self->running;
  cancelled = self->running && self->started && tern_cancel_is_raised (&self->cancel);
  g_mutex_unlock (&self->lock);
  if (!cancelled)
    return demand;
  g_set_error_literal (self->error, TERN_ERROR, TERN_ERROR_CANCELLED, "the encoder was cancelled");
  end (self, FALSE);
  return (TernDemand) { 0 };
}

/* FALSE: who asked has gone. */
static gboolean
start (TernEncoder *self)
{
  gboolean running;

  g_mutex_lock (&self->lock);
  if (self->running && !self->started)
    self->number = 0;
  running = self->running;
  self->started |= running;
  g_mutex_unlock (&self->lock);
  return running;
}

static gboolean
encoder_look (TernClient *client, TernLook *look, gboolean *metered)
{
  TernEncoder *self = encoder_of (client);

  if (!start (self))
    return FALSE;
  if (!plan (self, look)) {
    end (self, FALSE);
    return FALSE;
  }
  self->number = self->number ? self->number : tern_scheduler_number_picture (self->model->scheduler);
  look->number = self->number;
  *metered = self->budget != NULL;
  return TRUE;
}

static void
encoder_looked (TernClient *client, const TernLooked *looked)
{
  TernEncoder *self = encoder_of (client);

  if (self->budget)
    tern_budget_charge (self->budget, TERN_COST_FRAME, looked->step == TERN_VISION_DONE, looked->cpu);
  if (looked->step == TERN_VISION_MORE)
    return;
  if (looked->error)
    g_propagate_error (self->error, g_error_copy (looked->error));
  end (self, looked->step == TERN_VISION_DONE);
}

/* From within a result's callback: at once. */
static void
run_here (TernEncoder *self)
{
  TernScheduler *scheduler = self->model->scheduler;
  TernVisionState *vision = tern_scheduler_take_vision (scheduler);
  guint64 since = self->budget ? tern_scheduler_cpu_time (scheduler) : 0;
  TernVisionStep step = TERN_VISION_FAILED;
  TernLook look;

  start (self);
  if (plan (self, &look) && tern_look_begin (&look, vision, self->error))
    while ((step = tern_vision_step (vision, &self->cancel, self->error)) == TERN_VISION_MORE);
  if (self->budget)
    tern_budget_charge (self->budget, TERN_COST_FRAME, step == TERN_VISION_DONE, tern_scheduler_cpu_time (scheduler) - since);
  end (self, step == TERN_VISION_DONE);
}

static void
destroy (TernClient *client)
{
  TernEncoder *self = encoder_of (client);

  g_mutex_clear (&self->lock);
  g_cond_clear (&self->done);
  tern_reuse_free (self->reuse);
  tern_budget_unref (self->budget);
  tern_model_unref (self->model);
  g_free (self);
}

static const TernClientClass encoder_class = {
  .demand = encoder_demand,
  .look = encoder_look,
  .looked = encoder_looked,
  .destroy = destroy,
};

typedef struct {
  TernEncoder *encoder;
  GError **error;
  gboolean ok;
} Preparing;

static void
prepare (void *data)
{
  Preparing *preparing = data;
  TernEncoder *self = preparing->encoder;

  preparing->ok = tern_scheduler_prepare_vision (self->model->scheduler, self->vision, self->model->activations,
      preparing->error);
}

TernEncoder *
tern_encoder_new (TernModel *model, TernFit fit, GError **error)
{
  TernEncoder *self;
  Preparing preparing = { NULL, error, FALSE };

  g_return_val_if_fail (model != NULL, NULL);
  if (!tern_model_vision (model)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected a model opened with TERN_MODEL_VISION for an encoder, found one without", tern_model_path (model));
    return NULL;
  }
  if ((guint) fit > TERN_FIT_TRAINED) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "fit: expected 0 to %u, found %u", (guint) TERN_FIT_TRAINED,
        (guint) fit);
    return NULL;
  }
  self = g_new0 (TernEncoder, 1);
  self->model = tern_model_ref (model);
  self->vision = tern_model_vision (model);
  self->fit = fit;
  self->client = (TernClient) { .klass = &encoder_class, .live = TRUE };
  g_mutex_init (&self->lock);
  g_cond_init (&self->done);
  preparing.encoder = self;
  tern_scheduler_call (model->scheduler, prepare, &preparing);
  if (!preparing.ok) {
    destroy (&self->client);
    return NULL;
  }
  tern_scheduler_add (model->scheduler, &self->client);
  return self;
}

void
tern_encoder_free (TernEncoder *self)
{
  if (!self)
    return;
  tern_encoder_cancel (self, TRUE);
  if (tern_scheduler_remove (self->model->scheduler, &self->client))
    destroy (&self->client);
}

gboolean
tern_encoder_set_reuse (TernEncoder *self, const TernReuseParams *params, GError **error)
{
  g_return_val_if_fail (self != NULL && params != NULL, FALSE);
  tern_scheduler_settle (self->model->scheduler, &self->client);
  g_clear_pointer (&self->reuse, tern_reuse_free);
  return tern_reuse_open (self->vision, params, &self->reuse, error);
}

void
tern_encoder_set_budget (TernEncoder *self, TernBudget *budget)
{
  TernBudget *before;

  g_return_if_fail (self != NULL);
  tern_scheduler_settle (self->model->scheduler, &self->client);
  before = self->budget;
  self->budget = budget ? tern_budget_ref (budget) : NULL;
  tern_budget_unref (before);
}

void
tern_encoder_reuse_stats (const TernEncoder *self, TernReuseStats *stats)
{
  g_return_if_fail (self != NULL && stats != NULL);
  tern_reuse_get_stats (self->reuse, stats);
}

/* @before, @second: NULL without. */
static gboolean
run (TernEncoder *self, const TernImage *before, const TernImage *image, const TernImage *second, float *tokens,
    TernTokens *out, GError **error)
{
  gboolean ok;

  g_mutex_lock (&self->lock);
  if (self->refusing) {
    g_mutex_unlock (&self->lock);
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_CANCELLED, "the encoder was cancelled");
    return FALSE;
  }
  *out = (TernTokens) { .pts = TERN_TIME_NONE, .duration = TERN_TIME_NONE };
  self->before = tern_vision_info (self->vision)->looks_back ? before : NULL;
  self->image = image;
  self->second = second;
  self->tokens = tokens;
  self->out = out;
  self->error = error;
  self->running = TRUE;
  self->started = FALSE;
  tern_cancel_reset (&self->cancel);
  g_mutex_unlock (&self->lock);

  if (tern_scheduler_is_self (self->model->scheduler)) {
    run_here (self);
  } else {
    tern_scheduler_kick (self->model->scheduler, &self->client);
  }
  g_mutex_lock (&self->lock);
  while (self->running && (self->started || !self->refusing))
    g_cond_wait (&self->done, &self->lock);
  if (self->running) {
    /* Cancelled before its turn came. */
    self->running = self->ok = FALSE;
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_CANCELLED, "the encoder was cancelled");
  }
  ok = self->ok;
  g_mutex_unlock (&self->lock);
  return ok;
}

gboolean
tern_encoder_run (TernEncoder *self, const TernImage *image, float *tokens, TernTokens *out, GError **error)
{
  g_return_val_if_fail (self != NULL && image != NULL && tokens != NULL && out != NULL, FALSE);
  return run (self, NULL, image, NULL, tokens, out, error);
}

gboolean
tern_encoder_run_pair (TernEncoder *self, const TernImage *first, const TernImage *second, float *tokens, TernTokens *out,
    GError **error)
{
  g_return_val_if_fail (self != NULL && first != NULL && second != NULL && tokens != NULL && out != NULL, FALSE);
  return run (self, NULL, first, second, tokens, out, error);
}

gboolean
tern_encoder_run_frames (TernEncoder *self, const TernImage *before, const TernImage *first, const TernImage *second,
    float *tokens, TernTokens *out, GError **error)
{
  g_return_val_if_fail (self != NULL && first != NULL && tokens != NULL && out != NULL, FALSE);
  return run (self, before, first, second, tokens, out, error);
}

void
tern_encoder_cancel (TernEncoder *self, gboolean cancel)
{
  g_return_if_fail (self != NULL);
  g_mutex_lock (&self->lock);
  self->refusing = cancel;
  if (cancel && self->running)
    tern_cancel_raise (&self->cancel);
  g_cond_broadcast (&self->done);
  g_mutex_unlock (&self->lock);
}
