/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread that turns frames into tokens: the task of the src pad. */
#include "gstternencoder-priv.h"

#include <string.h>

#include "gstternelement.h"
#include "gstternerror.h"
#include "gstternframe.h"

/* The model, when it is loaded, and an encoder of it. */
static GstFlowReturn
worker_open (GstTernEncoder * self)
{
  TernEncoder *encoder;
  GError *error = NULL;
  gboolean interrupted;
  TernGateParams gate;
  TernReuseParams reuse;
  TernBudget *budget;
  TernFit fit;

  if (self->model)
    return GST_FLOW_OK;
  self->model = gst_tern_loader_wait (self->loader, &interrupted);
  if (!self->model)
    return interrupted ? GST_FLOW_FLUSHING : GST_FLOW_ERROR;
  GST_OBJECT_LOCK (self);
  fit = self->fit;
  gate = self->gate_params;
  reuse = self->reuse_params;
  budget = self->budget ? tern_budget_ref (self->budget) : NULL;
  GST_OBJECT_UNLOCK (self);
  if (gate.mode != TERN_GATE_MODE_OFF || budget)
    self->gate = tern_gate_new (&gate, NULL);
  if (budget)
    tern_gate_set_budget (self->gate, budget);
  encoder = tern_encoder_new (self->model, fit, &error);
  if (encoder)
    tern_encoder_set_budget (encoder, budget);
  tern_budget_unref (budget);
  if (!encoder || !tern_encoder_set_reuse (encoder, &reuse, &error)) {
    tern_encoder_free (encoder);
    gst_tern_post_error (self, error);
    g_clear_error (&error);
    return GST_FLOW_ERROR;
  }
  g_mutex_lock (&self->task.lock);
  self->encoder = encoder;
  tern_encoder_cancel (encoder, self->task.flow == GST_FLOW_FLUSHING);
  g_mutex_unlock (&self->task.lock);
  return GST_FLOW_OK;
}

static void
worker_describe_tokens (GstTernEncoder * self, GstTernTokenInfo * info)
{
  info->dim = tern_model_embedding_dim (self->model);
  info->frame_tokens = tern_model_frame_tokens (self->model);
  g_strlcpy (info->encoder_id, tern_model_encoder_id (self->model),
      sizeof info->encoder_id);
  GST_OBJECT_LOCK (self);
  info->rate_n = self->rate_n;
  info->rate_d = self->rate_d;
  GST_OBJECT_UNLOCK (self);
  /* The rate that was asked for, whatever comes in: cameras change theirs with
   * the light, which is no reason to begin anew. */
  if (info->rate_n == 0 && GST_VIDEO_INFO_FPS_N (&self->info) > 0) {
    info->rate_n = GST_VIDEO_INFO_FPS_N (&self->info);
    info->rate_d = GST_VIDEO_INFO_FPS_D (&self->info);
  }
}

static gboolean
worker_make_pool (GstTernEncoder * self, GstCaps * caps,
    const GstTernTokenInfo * info)
{
  GError *error = NULL;

  if (!self->pool)
    self->pool = gst_tern_token_pool_new (caps, info->frame_tokens, info->dim);
  if (self->pool)
    return TRUE;
  g_set_error (&error, TERN_ERROR, TERN_ERROR_NO_SPACE,
      "no memory for frames of %u tokens of %u floats", info->frame_tokens,
      info->dim);
  gst_tern_post_error (self, error);
  g_clear_error (&error);
  return FALSE;
}

/* Says @caps, unless they were said before. */
static GstFlowReturn
worker_push_caps (GstTernEncoder * self, GstCaps * caps)
{
  GstFlowReturn flow;

  if (self->token_caps && gst_caps_is_equal (caps, self->token_caps))
    return GST_FLOW_OK;
  GST_DEBUG_OBJECT (self, "caps %" GST_PTR_FORMAT, caps);
  flow = gst_tern_task_send_event (&self->task, gst_event_new_caps (caps));
  if (flow == GST_FLOW_OK)
    gst_caps_replace (&self->token_caps, caps);
  return flow;
}

/* Makes the caps and everything that depends on the model. */
static GstFlowReturn
worker_negotiate (GstTernEncoder * self)
{
  GstTernTokenInfo info = { 0, };
  GstFlowReturn flow = worker_open (self);
  GstCaps *caps;

  if (flow != GST_FLOW_OK)
    return flow;
  worker_describe_tokens (self, &info);
  caps = gst_tern_token_info_to_caps (&info);
  if (!worker_make_pool (self, caps, &info)) {
    gst_caps_unref (caps);
    return GST_FLOW_ERROR;
  }
  self->token_info = info;
  flow = worker_push_caps (self, caps);
  gst_caps_unref (caps);
  return flow;
}

/* How long the picture stands: what the frame says, else what the caps say of a
 * source that is slower than the sampling; NONE else. */
static GstClockTime
worker_duration (GstTernEncoder * self, GstBuffer * buffer)
{
  gint n = GST_VIDEO_INFO_FPS_N (&self->info);
  gint d = GST_VIDEO_INFO_FPS_D (&self->info);

  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    return GST_BUFFER_DURATION (buffer);
  if (n > 0 && d > 0 && gst_util_fraction_compare (n, d,
          self->token_info.rate_n, self->token_info.rate_d) < 0)
    return gst_util_uint64_scale (GST_SECOND, d, n);
  return GST_CLOCK_TIME_NONE;
}

/* The next frame begins a group. */
static void
worker_end_group (GstTernEncoder * self)
{
  self->number = (self->number + TERN_GROUP_FRAMES - 1) / TERN_GROUP_FRAMES *
      TERN_GROUP_FRAMES;
}

/* Frames are numbered for temporal merging: a group does not go on where a
 * stretch ends. What was dropped meanwhile makes none longer. */
static void
worker_number_frame (GstTernEncoder * self, TernTokens * tokens)
{
  GstClockTime tick = tokens->pts - MIN (tokens->late, tokens->pts);
  gint n, d;

  GST_OBJECT_LOCK (self);
  n = self->rate_n;
  d = self->rate_d;
  GST_OBJECT_UNLOCK (self);
  if (GST_CLOCK_TIME_IS_VALID (self->last_tick)
      && tern_frame_step (self->last_tick, tick, n, d) != TERN_STEP_ON)
    worker_end_group (self);
  self->last_tick = tick;
  tokens->number = self->number++;
}

/* Seconds from the beginning of 1900, which NTP counts from, to that of 1970. */
#define NTP_TO_UNIX (G_GUINT64_CONSTANT (2208988800) * GST_SECOND)

/* When the frame was taken, as far as upstream says so; 0 else. */
static guint64
get_utc (GstBuffer * buffer)
{
  static GstStaticCaps unix_caps = GST_STATIC_CAPS ("timestamp/x-unix");
  static GstStaticCaps ntp_caps = GST_STATIC_CAPS ("timestamp/x-ntp");
  GstReferenceTimestampMeta *meta;
  GstCaps *caps = gst_static_caps_get (&unix_caps);

  meta = gst_buffer_get_reference_timestamp_meta (buffer, caps);
  gst_caps_unref (caps);
  if (meta)
    return GST_CLOCK_TIME_IS_VALID (meta->timestamp) ? meta->timestamp : 0;
  caps = gst_static_caps_get (&ntp_caps);
  meta = gst_buffer_get_reference_timestamp_meta (buffer, caps);
  gst_caps_unref (caps);
  if (!meta || !GST_CLOCK_TIME_IS_VALID (meta->timestamp)
      || meta->timestamp <= NTP_TO_UNIX)
    return 0;
  return meta->timestamp - NTP_TO_UNIX;
}

/* ---- What is new ---- */

/* Another scene begins, or what was encoded is not there. */
static void
worker_forget_picture (GstTernEncoder * self)
{
  gst_clear_buffer (&self->last);
  if (self->gate)
    tern_gate_force (self->gate);
}

/* Whether the frame is to be encoded: @image as it lies in memory. */
static gboolean
worker_is_new (GstTernEncoder * self, const TernImage * image, guint shift,
    GstClockTime pts)
{
  gboolean is_new;

  if (!self->gate)
    return TRUE;
  is_new = tern_gate_look (self->gate, image, shift, pts) || !self->last;
  g_mutex_lock (&self->task.lock);
  tern_gate_stats (self->gate, &self->gate_stats);
  g_mutex_unlock (&self->task.lock);
  return is_new;
}

/* The tokens of the picture that was encoded last. */
static gboolean
worker_repeat (GstTernEncoder * self, float *tokens, TernTokens * out,
    GError ** error)
{
  GstTernTokenMap map = { {0,}, };

  if (!gst_tern_token_map (&map, self->last, &self->token_info, 0, error))
    return FALSE;
  *out = map.tokens;
  out->tokens = tokens;
  memcpy (tokens, map.tokens.tokens,
      (gsize) map.tokens.n_tokens * map.tokens.dim * sizeof (float));
  gst_tern_token_unmap (&map, self->last);
  gst_tern_token_map_clear (&map);
  return TRUE;
}

static gboolean
worker_look (GstTernEncoder * self, TernImage * image, guint shift,
    float *tokens, TernTokens * out, GError ** error)
{
  if (gst_tern_frame_narrow (image, shift, &self->room, error)
      && tern_encoder_run (self->encoder, image, tokens, out, error)) {
    self->picture++;
    g_mutex_lock (&self->task.lock);
    tern_encoder_reuse_stats (self->encoder, &self->reuse_stats);
    g_mutex_unlock (&self->task.lock);
    return TRUE;
  }
  worker_forget_picture (self);
  return FALSE;
}

static GstBuffer *
worker_run (GstTernEncoder * self, GstBuffer * in, TernImage * image,
    guint shift, guint64 late, GError ** error)
{
  gboolean ok, is_new = worker_is_new (self, image, shift, GST_BUFFER_PTS (in));
  GstBuffer *out = NULL;
  TernTokens tokens;
  GstMapInfo map;

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
  ok = is_new ? worker_look (self, image, shift, (float *) map.data, &tokens,
      error) : worker_repeat (self, (float *) map.data, &tokens, error);
  gst_buffer_unmap (out, &map);
  if (!ok) {
    gst_buffer_unref (out);
    return NULL;
  }

  tokens.pts = GST_BUFFER_PTS (in);
  tokens.duration = worker_duration (self, in);
  tokens.late = late;
  tokens.utc = get_utc (in);
  tokens.picture = self->gate ? self->picture : 0;
  tokens.novelty = self->gate ? tern_gate_novelty (self->gate) : 0;
  worker_number_frame (self, &tokens);
  gst_tern_token_buffer_describe (out, &tokens);
  if (self->gate && is_new)
    gst_buffer_replace (&self->last, out);
  if (GST_BUFFER_IS_DISCONT (in))
    GST_BUFFER_FLAG_SET (out, GST_BUFFER_FLAG_DISCONT);
  return out;
}

static GstFlowReturn
worker_encode (GstTernEncoder * self, GstBuffer * in, guint64 late)
{
  GError *error = NULL;
  GstVideoFrame frame;
  GstBuffer *out;
  TernImage image;
  guint shift;

  if (!self->pool)
    return GST_FLOW_NOT_NEGOTIATED;
  /* Sinks of text preroll on this. They could not wait for a whole group of
   * frames: a sink of video waits for them, and frames wait for it. */
  if (!self->announced) {
    self->announced = TRUE;
    gst_pad_push_event (self->srcpad, gst_event_new_gap (GST_BUFFER_PTS (in),
            0));
  }
  if (!gst_tern_frame_map (&frame, &image, &self->info, in, &shift, &error)) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("A video frame cannot be read."),
        ("frame at %" GST_TIME_FORMAT ": %s",
            GST_TIME_ARGS (GST_BUFFER_PTS (in)), error->message));
    g_clear_error (&error);
    return GST_FLOW_ERROR;
  }
  image.orientation = self->tag_orientation[0] ? self->tag_orientation[0] :
      self->tag_orientation[1];
  out = worker_run (self, in, &image, shift, late, &error);
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

/* Tags of the stream say more than those of the file that it is in. What they
 * do not mention stays as it was. */
static void
worker_take_tags (GstTernEncoder * self, GstEvent * event)
{
  GstTagList *tags;
  guint orientation, scope;

  gst_event_parse_tag (event, &tags);
  scope = gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_GLOBAL;
  orientation = gst_tern_orientation_from_tags (tags);
  if (orientation > 1 && gst_tern_orientation_is_applied (self->sinkpad))
    orientation = 1;
  if (orientation == 0 || orientation == self->tag_orientation[scope])
    return;
  GST_DEBUG_OBJECT (self, "orientation of the %s is %u",
      scope ? "file" : "stream", orientation);
  self->tag_orientation[scope] = orientation;
  worker_forget_picture (self);
}

static GstFlowReturn
worker_event (GstTernEncoder * self, GstEvent * event)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      self->tag_orientation[0] = self->tag_orientation[1] = 0;
      break;
    case GST_EVENT_TAG:
      worker_take_tags (self, event);
      break;
    case GST_EVENT_CAPS:{
      GstCaps *caps;

      gst_event_parse_caps (event, &caps);
      gst_video_info_from_caps (&self->info, caps);
      worker_forget_picture (self);
      return worker_negotiate (self);
    }
    case GST_EVENT_SEGMENT:
      self->number = 0;
      self->last_tick = GST_CLOCK_TIME_NONE;
      self->announced = FALSE;
      worker_forget_picture (self);
      break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      if (gst_event_has_name (event, GST_TERN_EVENT_DRAIN)) {
        worker_end_group (self);
        worker_forget_picture (self);
      }
      break;
    default:
      break;
  }
  return gst_tern_task_send_event (&self->task, gst_event_ref (event));
}

/* With the lock, which is not held meanwhile. */
static void
say_pause (GstTernEncoder * self, gboolean pause, GstClockTime timeout)
{
  g_mutex_unlock (&self->task.lock);
  if (pause)
    GST_ELEMENT_INFO (self, RESOURCE, READ, ("The camera has stopped."),
        ("no frame for %" GST_TIME_FORMAT ": what there is of a window is "
            "answered", GST_TIME_ARGS (timeout)));
  else
    GST_ELEMENT_INFO (self, RESOURCE, READ, ("The camera sends again."),
        ("captions go on"));
  g_mutex_lock (&self->task.lock);
}

/* Until there is something to do, or it is clear that the camera has stopped;
 * then what waits for further frames is to be answered. */
static GstTernItem *
worker_take (gpointer element)
{
  GstTernEncoder *self = element;
  GstTernTask *task = &self->task;
  GstClockTime timeout;

  GST_OBJECT_LOCK (self);
  timeout = self->idle_timeout;
  GST_OBJECT_UNLOCK (self);
  while (task->flow == GST_FLOW_OK) {
    GstClockTime end = self->seen_at + timeout;

    if (self->paused && !self->idle) {
      self->paused = FALSE;
      say_pause (self, FALSE, 0);
    } else if (task->queue.head) {
      return gst_tern_task_take (task, task->queue.head);
    } else if (!self->live || self->idle || timeout == 0 || task->eos) {
      g_cond_wait (&task->cond, &task->lock);
    } else if (gst_tern_task_now (task) < end) {
      gst_tern_task_wait_until (task, end);
    } else {
      GST_DEBUG_OBJECT (self, "no frame for %" GST_TIME_FORMAT,
          GST_TIME_ARGS (timeout));
      self->idle = self->paused = TRUE;
      gst_tern_encoder_push_seen (self);
      gst_tern_task_push (task, gst_tern_task_new_item (task,
              gst_tern_event_new_drain ()));
      say_pause (self, TRUE, timeout);
    }
  }
  return NULL;
}

static GstFlowReturn
worker_handle (gpointer element, GstTernItem * item)
{
  if (GST_IS_BUFFER (item->object))
    return worker_encode (element, GST_BUFFER_CAST (item->object),
        ((EncoderItem *) item)->late);
  return worker_event (element, GST_EVENT_CAST (item->object));
}

static void
worker_interrupt (gpointer element, gboolean interrupt)
{
  GstTernEncoder *self = element;

  gst_tern_loader_interrupt (self->loader, interrupt);
  g_mutex_lock (&self->task.lock);
  self->idle = TRUE;
  self->paused = FALSE;
  if (self->encoder)
    tern_encoder_cancel (self->encoder, interrupt);
  g_mutex_unlock (&self->task.lock);
}

const GstTernTaskFuncs gst_tern_encoder_task = {
  .item_size = sizeof (EncoderItem),
  .take = worker_take,
  .handle = worker_handle,
  .interrupt = worker_interrupt,
};
