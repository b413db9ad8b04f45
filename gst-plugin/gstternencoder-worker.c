/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread that turns frames into tokens: the task of the src pad. */
#include "gstternencoder-priv.h"

#include "gstternelement.h"
#include "gstternerror.h"
#include "gstternframe.h"

#define MOST_UNREADABLE 8       /* frames that begin a stream */

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
  if (gate.mode != TERN_GATE_MODE_OFF || budget) {
    self->gate = tern_gate_new (&gate, NULL);
    tern_gate_set_settle (self->gate,
        tern_model_picture_frames (self->model) == 2);
  }
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
  info->deepstack = tern_model_deepstack (self->model);
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
  self->worker_rate_n = info->rate_n;
  self->worker_rate_d = info->rate_d;
  /* From here on, of pictures. */
  self->pairs = tern_model_picture_frames (self->model) == 2;
  if (self->pairs)
    gst_util_fraction_multiply (info->rate_n, info->rate_d, 1, 2,
        &info->rate_n, &info->rate_d);
  self->looks_back = tern_model_looks_back (self->model);
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

/* The next frame begins a group. */
static void
worker_end_group (GstTernEncoder * self)
{
  self->number = (self->number + TERN_GROUP_FRAMES - 1) / TERN_GROUP_FRAMES *
      TERN_GROUP_FRAMES;
}

/* Frames are numbered for temporal merging: a group does not go on where a
 * stretch ends. What was dropped meanwhile makes none longer. Whether one ended
 * before the frame that stands for @tick. */
static gboolean
worker_note_tick (GstTernEncoder * self, GstClockTime tick)
{
  GstClockTime last = self->last_tick;
  gint n, d;

  GST_OBJECT_LOCK (self);
  n = self->rate_n;
  d = self->rate_d;
  GST_OBJECT_UNLOCK (self);
  self->last_tick = tick;
  return GST_CLOCK_TIME_IS_VALID (last)
      && tern_frame_step (last, tick, n, d) != TERN_STEP_ON;
}

/* ---- Pictures of two frames ---- */

/* A copy: where it came from may have few buffers, and want them back. NULL: an
 * error was posted. */
static GstBuffer *
worker_copy (GstTernEncoder * self, GstBuffer * frame)
{
  GstBuffer *copy = gst_buffer_copy_deep (frame);

  if (!copy)
    GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT, (NULL),
        ("no memory for a frame of %" G_GSIZE_FORMAT " bytes",
            gst_buffer_get_size (frame)));
  return copy;
}

/* The next picture is seen with what came directly before it. Takes @frame. */
static void
worker_keep_before (GstTernEncoder * self, GstBuffer * frame)
{
  gst_clear_buffer (&self->before);
  if (self->looks_back)
    self->before = frame;
  else
    gst_buffer_unref (frame);
}

/* What waits is a picture by itself, which stands for both frames. */
static GstFlowReturn
worker_push_half (GstTernEncoder * self)
{
  GstFlowReturn flow = GST_FLOW_OK;
  GstBuffer *half = self->half;
  GstEvent *gap = self->half_gap;

  self->half = NULL;
  self->half_gap = NULL;
  if (half) {
    flow = gst_tern_encoder_encode (self, half, NULL, self->half_late);
    worker_keep_before (self, half);
  }
  if (gap && flow == GST_FLOW_OK)
    return gst_tern_task_send_event (&self->task, gap);
  if (gap)
    gst_event_unref (gap);
  return flow;
}

void
gst_tern_encoder_drop_half (GstTernEncoder * self)
{
  gst_clear_buffer (&self->half);
  gst_event_replace (&self->half_gap, NULL);
  gst_clear_buffer (&self->before);
}

/* What waits is the end of a stretch: nothing of it is before what comes. */
static GstFlowReturn
worker_end_pictures (GstTernEncoder * self)
{
  GstFlowReturn flow = worker_push_half (self);

  gst_clear_buffer (&self->before);
  return flow;
}

/* Whether no second frame is going to come, when the stream has come to @time:
 * as in a session that is given frames. */
static gboolean
worker_half_is_over (GstTernEncoder * self, GstClockTime time)
{
  const GstTernTokenInfo *info = &self->token_info;
  GstClockTime tick = GST_BUFFER_PTS (self->half);

  tick -= MIN (self->half_late, tick);
  if (info->rate_n <= 0 || !GST_CLOCK_TIME_IS_VALID (time))
    return FALSE;
  return time < tick || time - tick > gst_util_uint64_scale (GST_SECOND,
      info->rate_d, info->rate_n);
}

/* The first frame of a picture. */
static GstFlowReturn
worker_take_half (GstTernEncoder * self, GstBuffer * in, guint64 late)
{
  GstClockTime duration = gst_tern_encoder_duration (self, in);

  self->half = worker_copy (self, in);
  if (!self->half)
    return GST_FLOW_ERROR;
  self->half_late = late;
  if (GST_CLOCK_TIME_IS_VALID (duration)
      && worker_half_is_over (self, GST_BUFFER_PTS (in) + duration))
    return worker_push_half (self);
  return GST_FLOW_OK;
}

/* What waits and @in are a picture. */
static GstFlowReturn
worker_push_pair (GstTernEncoder * self, GstBuffer * in)
{
  GstBuffer *copy;
  GstFlowReturn flow;

  /* What was said between the two, the tokens say. */
  gst_event_replace (&self->half_gap, NULL);
  flow = gst_tern_encoder_encode (self, self->half, in, self->half_late);
  gst_clear_buffer (&self->half);
  if (flow != GST_FLOW_OK || !self->looks_back)
    return flow;
  copy = worker_copy (self, in);
  if (!copy)
    return GST_FLOW_ERROR;
  worker_keep_before (self, copy);
  return GST_FLOW_OK;
}

/* @come: how far the stream had come before this frame; @apart: a stretch ended
 * before it. */
static GstFlowReturn
worker_pair (GstTernEncoder * self, GstBuffer * in, guint64 late,
    GstClockTime come, gboolean apart)
{
  gboolean back = self->half
      && GST_BUFFER_PTS (in) < GST_BUFFER_PTS (self->half);
  GstFlowReturn flow;

  if (self->half && !apart && !back && !worker_half_is_over (self, come))
    return worker_push_pair (self, in);
  flow = apart || back ? worker_end_pictures (self) : worker_push_half (self);
  if (apart)
    worker_end_group (self);
  return flow == GST_FLOW_OK ? worker_take_half (self, in, late) : flow;
}

/* Nothing came for a while: one that is not over yet is said behind its tokens. */
static GstFlowReturn
worker_take_gap (GstTernEncoder * self, GstEvent * event)
{
  GstClockTime pts, duration;
  GstFlowReturn flow;

  gst_event_parse_gap (event, &pts, &duration);
  if (GST_CLOCK_TIME_IS_VALID (duration))
    pts += duration;
  if (self->half && !worker_half_is_over (self, pts)) {
    gst_event_replace (&self->half_gap, event);
    return GST_FLOW_OK;
  }
  flow = worker_push_half (self);
  if (flow != GST_FLOW_OK)
    return flow;
  return gst_tern_task_send_event (&self->task, gst_event_ref (event));
}

/* ---- Frames ---- */

/* Of a stream all of whose frames are so, which is another fault. */
static GstFlowReturn
worker_post_unreadable (GstTernEncoder * self, const gchar * why)
{
  GST_ELEMENT_ERROR (self, STREAM, FAILED,
      ("The frames of this video cannot be read."),
      ("none of the %u that were looked at; the last one: %s", self->unreadable,
          why));
  return GST_FLOW_ERROR;
}

/* Cameras leave out the end of a frame, or all of it: that one is not looked
 * at, and the stream goes on. */
static GstFlowReturn
worker_skip_unreadable (GstTernEncoder * self, GstBuffer * in,
    const gchar * why)
{
  GstClockTime pts = GST_BUFFER_PTS (in);
  GstFlowReturn flow;
  GstEvent *gap;

  self->unreadable++;
  if (!self->readable && self->unreadable >= MOST_UNREADABLE)
    return worker_post_unreadable (self, why);
  if (self->unreadable == 1)
    GST_ELEMENT_WARNING (self, STREAM, FAILED,
        ("A video frame that cannot be read is not looked at."),
        ("frame at %" GST_TIME_FORMAT ": %s", GST_TIME_ARGS (pts), why));
  gap = gst_event_new_gap (pts, gst_tern_encoder_duration (self, in));
  flow = worker_take_gap (self, gap);
  gst_event_unref (gap);
  return flow;
}

/* A frame that is none. */
static gboolean
is_gap (GstBuffer * buffer)
{
  return GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP)
      && gst_buffer_get_size (buffer) == 0;
}

static GstFlowReturn
worker_encode (GstTernEncoder * self, GstBuffer * in, const EncoderItem * item)
{
  GstClockTime pts = GST_BUFFER_PTS (in);
  g_autoptr (GError) error = NULL;
  gboolean apart;

  if (!self->pool)
    return GST_FLOW_NOT_NEGOTIATED;
  if (is_gap (in))
    return GST_FLOW_OK;
  if (!gst_tern_encoder_can_read (self, in, &error))
    return worker_skip_unreadable (self, in, error->message);
  self->readable = TRUE;
  self->unreadable = 0;
  /* Sinks of text preroll on this. They could not wait for a whole group of
   * frames: a sink of video waits for them, and frames wait for it. */
  if (!self->announced) {
    self->announced = TRUE;
    gst_pad_push_event (self->srcpad, gst_event_new_gap (pts, 0));
  }
  apart = worker_note_tick (self, pts - MIN (item->late, pts));
  if (self->pairs)
    return worker_pair (self, in, item->late, item->come, apart);
  if (apart)
    worker_end_group (self);
  return gst_tern_encoder_encode (self, in, NULL, item->late);
}

/* ---- Events ---- */

/* Tags of the stream say more than those of the file that it is in. What they
 * do not mention stays as it was. */
static GstFlowReturn
worker_take_tags (GstTernEncoder * self, GstEvent * event)
{
  GstFlowReturn flow;
  GstTagList *tags;
  guint orientation, scope;

  gst_event_parse_tag (event, &tags);
  scope = gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_GLOBAL;
  orientation = gst_tern_orientation_from_tags (tags);
  if (orientation > 1 && gst_tern_orientation_is_applied (self->sinkpad))
    orientation = 1;
  if (orientation == 0 || orientation == self->tag_orientation[scope])
    return GST_FLOW_OK;
  flow = worker_end_pictures (self);
  GST_DEBUG_OBJECT (self, "orientation of the %s is %u",
      scope ? "file" : "stream", orientation);
  self->tag_orientation[scope] = orientation;
  gst_tern_encoder_forget_picture (self);
  return flow;
}

/* Behind a flush, which forgets the last tick, everything begins anew. */
static gboolean
worker_segment_goes_on (GstTernEncoder * self, GstEvent * event)
{
  return GST_CLOCK_TIME_IS_VALID (self->last_tick)
      && gst_tern_corrects_segment (event, &self->out_segment);
}

/* Whether the frames before @event and behind it are of different pictures. */
static gboolean
parts_pictures (GstTernEncoder * self, GstEvent * event)
{
  if (worker_segment_goes_on (self, event))
    return FALSE;
  return gst_tern_ends_stretch (event, &self->out_segment)
      || GST_EVENT_TYPE (event) == GST_EVENT_CAPS
      || gst_event_has_name (event, GST_TERN_EVENT_DRAIN);
}

static GstFlowReturn
worker_event (GstTernEncoder * self, GstEvent * event)
{
  GstFlowReturn flow = GST_FLOW_OK;

  if (parts_pictures (self, event))
    flow = worker_end_pictures (self);
  if (flow != GST_FLOW_OK)
    return flow;
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      self->tag_orientation[0] = self->tag_orientation[1] = 0;
      self->readable = FALSE;
      self->unreadable = 0;
      gst_segment_init (&self->out_segment, GST_FORMAT_TIME);
      break;
    case GST_EVENT_EOS:
      if (!self->readable && self->unreadable > 0)
        flow = worker_post_unreadable (self, "as the WARNING says");
      break;
    case GST_EVENT_TAG:
      flow = worker_take_tags (self, event);
      break;
    case GST_EVENT_GAP:
      return worker_take_gap (self, event);
    case GST_EVENT_CAPS:{
      GstCaps *caps;

      gst_event_parse_caps (event, &caps);
      gst_video_info_from_caps (&self->info, caps);
      gst_tern_encoder_forget_picture (self);
      return worker_negotiate (self);
    }
    case GST_EVENT_SEGMENT:
      if (!worker_segment_goes_on (self, event)) {
        self->number = 0;
        self->last_tick = GST_CLOCK_TIME_NONE;
        self->announced = FALSE;
        gst_tern_encoder_forget_picture (self);
      }
      gst_event_copy_segment (event, &self->out_segment);
      break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      if (gst_event_has_name (event, GST_TERN_EVENT_DRAIN)) {
        worker_end_group (self);
        gst_tern_encoder_forget_picture (self);
      }
      break;
    default:
      break;
  }
  if (flow != GST_FLOW_OK)
    return flow;
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
 * then what waits for further frames is to be answered. One that the application
 * has paused has not stopped. */
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
    } else if (!self->live || self->idle || timeout == 0 || task->eos
        || !task->playing) {
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
        (EncoderItem *) item);
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
