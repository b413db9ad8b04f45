/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoding as a step of its own: one frame at a time, done by the engine thread in its turn. */
#include "tern/model-priv.h"

struct _TernEncoder {
  TernClient client;
  TernModel *model;
  TernVision *vision;
  TernVisionState *state;
  TernFit fit;
  TernCancel cancel;

  GMutex lock;
  GCond done;
  gboolean refusing;            /* cancelled */
  /* the run under way; set by the caller, who waits */
  const TernImage *image;
  float *tokens;
  TernTokens *out;
  GError **error;
  gboolean running, started, ok;
};

static gboolean
encode (TernEncoder *self)
{
  TernVisionOptions options = { .tile = FALSE, .scaling = tern_fit_scaling (self->fit) };
  TernVisionPlan plan;

  if (!tern_vision_plan_image (self->vision, self->image, &options, &plan, self->error)
      || !tern_vision_encode (self->state, self->image, &options, &plan, self->tokens, &self->cancel, self->error))
    return FALSE;
  self->out->grid_w = plan.sub[0].grid_w;
  self->out->grid_h = plan.sub[0].grid_h;
  self->out->dim = tern_vision_info (self->vision)->embedding_dim;
  self->out->n_tokens = plan.n_tokens;
  self->out->tokens = self->tokens;
  self->out->keep = NULL;
  return TRUE;
}

static gboolean
step (TernClient *client)
{
  TernEncoder *self = (TernEncoder *) ((guint8 *) client - G_STRUCT_OFFSET (TernEncoder, client));
  gboolean work, ok;

  g_mutex_lock (&self->lock);
  work = self->running;
  self->started = TRUE;
  g_mutex_unlock (&self->lock);
  if (!work)
    return FALSE;
  ok = encode (self);
  g_mutex_lock (&self->lock);
  self->ok = ok;
  self->running = FALSE;
  g_cond_broadcast (&self->done);
  g_mutex_unlock (&self->lock);
  return FALSE;
}

static void
destroy (TernClient *client)
{
  TernEncoder *self = (TernEncoder *) ((guint8 *) client - G_STRUCT_OFFSET (TernEncoder, client));

  g_clear_pointer (&self->state, tern_vision_state_free);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->done);
  tern_model_unref (self->model);
  g_free (self);
}

typedef struct {
  TernEncoder *encoder;
  GError **error;
} Preparing;

static void
prepare (void *data)
{
  Preparing *preparing = data;
  TernEncoder *self = preparing->encoder;

  self->state = tern_vision_state_new (self->vision, tern_vision_info (self->vision)->max_tokens,
      self->model->activations, tern_scheduler_pool (self->model->scheduler), preparing->error);
}

TernEncoder *
tern_encoder_new (TernModel *model, TernFit fit, GError **error)
{
  TernEncoder *self;
  Preparing preparing = { NULL, error };

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
  self->client = (TernClient) { .step = step, .destroy = destroy, .urgent = TRUE };
  g_mutex_init (&self->lock);
  g_cond_init (&self->done);
  preparing.encoder = self;
  tern_scheduler_call (model->scheduler, prepare, &preparing);
  if (!self->state) {
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
tern_encoder_run (TernEncoder *self, const TernImage *image, float *tokens, TernTokens *out, GError **error)
{
  gboolean ok;

  g_return_val_if_fail (self != NULL && image != NULL && tokens != NULL && out != NULL, FALSE);
  g_mutex_lock (&self->lock);
  if (self->refusing) {
    g_mutex_unlock (&self->lock);
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_CANCELLED, "the encoder was cancelled");
    return FALSE;
  }
  *out = (TernTokens) { .pts = TERN_TIME_NONE, .duration = TERN_TIME_NONE };
  self->image = image;
  self->tokens = tokens;
  self->out = out;
  self->error = error;
  self->running = TRUE;
  self->started = FALSE;
  tern_cancel_reset (&self->cancel);
  g_mutex_unlock (&self->lock);

  if (tern_scheduler_is_self (self->model->scheduler)) {
    /* From within a result's callback: the pool is at rest. */
    step (&self->client);
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
