/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread that turns frames into tokens: the task of the src pad. */
#include "gstternencoder-priv.h"

#include "gstternerror.h"
#include "gstternframe.h"

void
gst_tern_encoder_clear_queue (GstTernEncoder * self)
{
  GstMiniObject *item;

  while ((item = g_queue_pop_head (&self->queue)))
    gst_mini_object_unref (item);
  self->queued_frames = 0;
}

static void
worker_fail (GstTernEncoder * self, GstFlowReturn flow)
{
  gboolean eos;

  g_mutex_lock (&self->lock);
  if (self->flow == GST_FLOW_OK)
    self->flow = flow;
  flow = self->flow;
  eos = self->eos;
  gst_tern_encoder_clear_queue (self);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);

  if (flow == GST_FLOW_EOS && eos)
    gst_pad_push_event (self->srcpad, gst_event_new_eos ());
  gst_pad_pause_task (self->srcpad);
  /* After EOS upstream does not ask for the flow any more. */
  if (eos && (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS))
    GST_ELEMENT_FLOW_ERROR (self, flow);
}

/* Makes the caps and everything that depends on the model. */
static GstFlowReturn
worker_negotiate (GstTernEncoder * self)
{
  GstTernTokenInfo info = { 0, };
  GError *error = NULL;
  GstCaps *caps;
  TernFit fit;
  guint max_tokens;
  gint in_n = GST_VIDEO_INFO_FPS_N (&self->info);
  gint in_d = GST_VIDEO_INFO_FPS_D (&self->info);

  if (!self->model) {
    TernEncoder *encoder;

    self->model = gst_tern_loader_wait (self->loader, &self->interrupted);
    if (!self->model)
      return g_atomic_int_get (&self->interrupted) ? GST_FLOW_FLUSHING :
          GST_FLOW_ERROR;
    GST_OBJECT_LOCK (self);
    fit = self->fit;
    GST_OBJECT_UNLOCK (self);
    encoder = tern_encoder_new (self->model, fit, &error);
    if (!encoder)
      goto failed;
    g_mutex_lock (&self->lock);
    self->encoder = encoder;
    tern_encoder_cancel (encoder, self->flow == GST_FLOW_FLUSHING);
    g_mutex_unlock (&self->lock);
  }

  info.dim = tern_model_embedding_dim (self->model);
  max_tokens = tern_model_frame_tokens (self->model);
  info.frame_tokens = max_tokens;
  g_strlcpy (info.encoder_id, tern_model_encoder_id (self->model),
      sizeof info.encoder_id);
  GST_OBJECT_LOCK (self);
  info.grid_n = info.rate_n = self->rate_n;
  info.grid_d = info.rate_d = self->rate_d;
  GST_OBJECT_UNLOCK (self);
  /* Nothing is looked at twice: the rate that comes in is the limit. */
  if (in_n > 0 && in_d > 0 && (info.rate_n == 0
          || gst_util_fraction_compare (in_n, in_d, info.rate_n,
              info.rate_d) < 0)) {
    info.rate_n = in_n;
    info.rate_d = in_d;
  }
  if (info.grid_n == 0) {
    info.grid_n = info.rate_n;
    info.grid_d = info.rate_d;
  }

  caps = gst_tern_token_info_to_caps (&info);
  if (!self->pool) {
    self->pool = gst_tern_token_pool_new (caps, max_tokens, info.dim);
    if (!self->pool) {
      gst_caps_unref (caps);
      g_set_error (&error, TERN_ERROR, TERN_ERROR_NO_SPACE,
          "no memory for frames of %u tokens of %u floats", max_tokens,
          info.dim);
      goto failed;
    }
  }
  self->token_info = info;
  GST_DEBUG_OBJECT (self, "caps %" GST_PTR_FORMAT, caps);
  if (!gst_pad_push_event (self->srcpad, gst_event_new_caps (caps)))
    GST_DEBUG_OBJECT (self, "downstream did not take the caps");
  gst_caps_unref (caps);
  return GST_FLOW_OK;

failed:
  gst_tern_post_error (self, error);
  g_clear_error (&error);
  return GST_FLOW_ERROR;
}

/* Frames are numbered for temporal merging: a group must not span a gap. */
static void
worker_number_frame (GstTernEncoder * self, GstBuffer * buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  GstClockTime span = 2 * GST_SECOND;

  if (self->token_info.rate_n > 0)
    span = gst_util_uint64_scale (TERN_GROUP_FRAMES * GST_SECOND,
        self->token_info.rate_d, self->token_info.rate_n);
  if (GST_CLOCK_TIME_IS_VALID (self->last_pts)
      && (pts < self->last_pts || pts - self->last_pts > span))
    self->number = (self->number + TERN_GROUP_FRAMES - 1) / TERN_GROUP_FRAMES *
        TERN_GROUP_FRAMES;
  self->last_pts = pts;
}

static GstBuffer *
worker_run (GstTernEncoder * self, GstBuffer * in, const TernImage * image,
    GError ** error)
{
  GstBuffer *out = NULL;
  TernTokens tokens;
  GstMapInfo map;
  gboolean ok;

  if (gst_buffer_pool_acquire_buffer (self->pool, &out, NULL) != GST_FLOW_OK) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE,
        "no memory for a frame's visual tokens");
    return NULL;
  }
  if (!gst_buffer_map (out, &map, GST_MAP_WRITE)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED,
        "a buffer for visual tokens cannot be mapped");
    gst_buffer_unref (out);
    return NULL;
  }
  ok = tern_encoder_run (self->encoder, image, (float *) map.data, &tokens,
      error);
  gst_buffer_unmap (out, &map);
  if (!ok) {
    gst_buffer_unref (out);
    return NULL;
  }

  worker_number_frame (self, in);
  tokens.pts = GST_BUFFER_PTS (in);
  tokens.duration = GST_BUFFER_DURATION (in);
  tokens.number = self->number++;
  gst_tern_token_buffer_describe (out, &tokens);
  if (GST_BUFFER_IS_DISCONT (in))
    GST_BUFFER_FLAG_SET (out, GST_BUFFER_FLAG_DISCONT);
  return out;
}

static GstFlowReturn
worker_encode (GstTernEncoder * self, GstBuffer * in)
{
  GError *error = NULL;
  GstVideoFrame frame;
  GstBuffer *out;
  TernImage image;

  if (!self->pool)
    return GST_FLOW_NOT_NEGOTIATED;
  /* Sinks of text preroll on this. They could not wait for a whole group of
   * frames: a sink of video waits for them, and frames wait for it. */
  if (!self->announced) {
    self->announced = TRUE;
    gst_pad_push_event (self->srcpad, gst_event_new_gap (GST_BUFFER_PTS (in),
            0));
  }
  if (!gst_video_frame_map (&frame, &self->info, in,
          GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("A video frame cannot be read."),
        ("the memory of %" GST_PTR_FORMAT " cannot be mapped", in));
    return GST_FLOW_ERROR;
  }
  if (!gst_tern_image_from_frame (&image, &frame)) {
    gst_video_frame_unmap (&frame);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  out = worker_run (self, in, &image, &error);
  gst_video_frame_unmap (&frame);

  if (!out) {
    gboolean cancelled =
        g_error_matches (error, TERN_ERROR, TERN_ERROR_CANCELLED);

    gst_tern_post_error (self, error);
    g_clear_error (&error);
    return cancelled ? GST_FLOW_FLUSHING : GST_FLOW_ERROR;
  }
  GST_LOG_OBJECT (self, "tokens %" GST_PTR_FORMAT, out);
  return gst_pad_push (self->srcpad, out);
}

static GstFlowReturn
worker_event (GstTernEncoder * self, GstEvent * event)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:{
      GstCaps *caps;

      gst_event_parse_caps (event, &caps);
      gst_video_info_from_caps (&self->info, caps);
      gst_event_unref (event);
      return worker_negotiate (self);
    }
    case GST_EVENT_SEGMENT:
      self->number = 0;
      self->last_pts = GST_CLOCK_TIME_NONE;
      self->announced = FALSE;
      break;
    default:
      break;
  }
  gst_pad_push_event (self->srcpad, event);
  return GST_FLOW_OK;
}

void
gst_tern_encoder_loop (gpointer data)
{
  GstTernEncoder *self = data;
  GstMiniObject *item;
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  while (self->flow == GST_FLOW_OK && g_queue_is_empty (&self->queue))
    g_cond_wait (&self->cond, &self->lock);
  flow = self->flow;
  if (flow == GST_FLOW_OK) {
    item = g_queue_pop_head (&self->queue);
    if (GST_IS_BUFFER (item))
      self->queued_frames--;
    self->busy = TRUE;
    g_cond_broadcast (&self->cond);
  }
  g_mutex_unlock (&self->lock);
  if (flow != GST_FLOW_OK) {
    worker_fail (self, flow);
    return;
  }

  if (GST_IS_BUFFER (item)) {
    flow = worker_encode (self, GST_BUFFER_CAST (item));
    gst_mini_object_unref (item);
  } else {
    flow = worker_event (self, GST_EVENT_CAST (item));
  }

  g_mutex_lock (&self->lock);
  self->busy = FALSE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  if (flow != GST_FLOW_OK)
    worker_fail (self, flow);
}
