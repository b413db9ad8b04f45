/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The streaming thread of ternencoder: which frames are looked at, and what the
 * worker hears of the others. It computes nothing, and behind a live source it
 * never waits. */
#include "gstternencoder-priv.h"

#include "gstternelement.h"
#include "gstternupstream.h"

/* ---- What was seen ---- */

void
gst_tern_encoder_push_seen (GstTernEncoder * self)
{
  if (self->unseen)
    gst_tern_task_push (&self->task, gst_tern_task_new_item (&self->task,
            gst_event_new_gap (self->seen.pts, self->seen.stands)));
  self->unseen = FALSE;
}

/* With the lock. The stream has come to @time, which may be NONE, without a
 * frame that is looked at. */
static void
come_to (GstTernEncoder * self, GstClockTime time)
{
  if (!GST_CLOCK_TIME_IS_VALID (self->come)
      || (GST_CLOCK_TIME_IS_VALID (time) && time > self->come))
    self->come = time;
}

static void
pass_over (GstTernEncoder * self, GstBuffer * buffer)
{
  come_to (self, GST_BUFFER_PTS (buffer)
      + (GST_BUFFER_DURATION_IS_VALID (buffer) ? GST_BUFFER_DURATION (buffer) :
          0));
}

/* With the lock. The last frame says where a stretch ends, looked at or not. Of
 * two that are looked at the second is earlier only behind a jump. */
static void
see (GstTernEncoder * self, GstBuffer * buffer, gboolean looked_at)
{
  if (!looked_at)
    pass_over (self, buffer);
  if (looked_at && GST_BUFFER_PTS (buffer) < self->seen.pts)
    gst_tern_encoder_push_seen (self);
  gst_tern_seen_frame (&self->seen, buffer, self->tick);
  self->unseen = !looked_at || (GST_CLOCK_TIME_IS_VALID (self->seen.stands)
      && self->seen.stands != self->seen.stated);
  self->seen_at = gst_tern_task_now (&self->task);
  /* The worker waits without an end while nothing comes. */
  if (self->idle)
    g_cond_broadcast (&self->task.cond);
  self->idle = FALSE;
}

/* Text need not hold anybody up who waits for it. Not serialized: the worker
 * may be far behind. */
static void
tell_progress (GstTernEncoder * self, GstBuffer * buffer)
{
  const GstSegment *segment = &self->segment;
  GstClockTime begin = GST_BUFFER_PTS (buffer), end = begin;

  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    end += GST_BUFFER_DURATION (buffer);
  if (GST_CLOCK_TIME_IS_VALID (segment->stop))
    end = MIN (end, segment->stop);
  begin = gst_segment_to_running_time (segment, GST_FORMAT_TIME, begin);
  end = gst_segment_to_running_time (segment, GST_FORMAT_TIME, end);
  if (!GST_CLOCK_TIME_IS_VALID (begin) || !GST_CLOCK_TIME_IS_VALID (end))
    return;
  /* Backwards the end of a frame comes first. */
  gst_pad_push_event (self->srcpad,
      gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
          gst_structure_new (GST_TERN_EVENT_PROGRESS,
              "running-time", G_TYPE_UINT64, MIN (begin, end),
              "end", G_TYPE_UINT64, MAX (begin, end), NULL)));
}

/* ---- Events ---- */

/* What ends a stretch comes after the last frame of it. */
static GstFlowReturn
enqueue_event (GstTernEncoder * self, GstEvent * event)
{
  if (gst_tern_ends_stretch (event, &self->segment)) {
    g_mutex_lock (&self->task.lock);
    if (self->task.flow == GST_FLOW_OK)
      gst_tern_encoder_push_seen (self);
    g_mutex_unlock (&self->task.lock);
  }
  return gst_tern_task_push_event (&self->task, event);
}

/* ---- Stretches ---- */

/* A frame that is looked at begins another one, although time goes on. */
static void
end_stretch (GstTernEncoder * self)
{
  g_mutex_lock (&self->task.lock);
  if (self->task.flow == GST_FLOW_OK) {
    gst_tern_encoder_push_seen (self);
    gst_tern_task_push (&self->task, gst_tern_task_new_item (&self->task,
            gst_tern_event_new_drain ()));
  }
  self->seen.kept = FALSE;
  g_mutex_unlock (&self->task.lock);
}

static void
restart_grid (GstTernEncoder * self)
{
  GST_OBJECT_LOCK (self);
  tern_frame_sampler_init (&self->sampler, self->rate_n, self->rate_d);
  GST_OBJECT_UNLOCK (self);
}

/* Pictures of another size do not belong to a window with those before. */
static gboolean
shape_is_new (GstTernEncoder * self)
{
  const GstTernShape *a = &self->looked_shape, *b = &self->shape;
  gboolean is_new = gst_tern_shapes_part (a, b);

  if (is_new)
    GST_ELEMENT_INFO (self, STREAM, FORMAT,
        ("The size of the pictures changes; captions go on."),
        ("from %d x %d to %d x %d", a->width, a->height, b->width, b->height));
  self->looked_shape = *b;
  return is_new;
}

/* ---- Frames ---- */

/* Live: the one frame that waits makes room; returns it. */
static GstBuffer *
replace_waiting_frame (GstTernEncoder * self)
{
  GList *link = self->task.queue.tail;
  EncoderItem *item;
  GstBuffer *old;

  while (link && !GST_IS_BUFFER (((GstTernItem *) link->data)->object))
    link = link->prev;
  if (!link)
    return NULL;
  item = gst_tern_task_take (&self->task, link);
  old = GST_BUFFER_CAST (item->base.object);
  come_to (self, item->come);
  pass_over (self, old);
  g_free (item);
  self->dropped++;
  return old;
}

typedef enum
{
  NOT_SEEN,                     /* not of the video that is captioned */
  SEEN,
  LOOK_AT,
  LOOK_ANEW                     /* ... and a stretch begins with it */
} Verdict;

static Verdict
judge_frame (GstTernEncoder * self, GstBuffer * buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  gboolean anew;
  guint max_frames;

  if (!gst_segment_clip (&self->segment, GST_FORMAT_TIME, pts, pts, NULL, NULL))
    return NOT_SEEN;
  tell_progress (self, buffer);
  /* Backwards, frames come in no order that a model was trained on. */
  if (self->segment.rate < 0.0)
    return NOT_SEEN;
  GST_OBJECT_LOCK (self);
  max_frames = self->max_frames;
  GST_OBJECT_UNLOCK (self);
  if (max_frames > 0 && self->looked >= max_frames) {
    /* Nobody waits for tokens that do not come. */
    if (!self->ended)
      enqueue_event (self, gst_event_new_eos ());
    self->ended = TRUE;
    return NOT_SEEN;
  }
  anew = g_atomic_int_compare_and_exchange (&self->triggered, TRUE, FALSE);
  if (anew)
    restart_grid (self);
  if (!tern_frame_sampler_take (&self->sampler, pts))
    return SEEN;
  self->looked++;
  return shape_is_new (self) || anew ? LOOK_ANEW : LOOK_AT;
}

/* With the lock: leaves a frame for the worker. Takes @buffer; what had to make
 * room for it is returned. */
static GstBuffer *
enqueue_frame (GstTernEncoder * self, GstBuffer * buffer, guint64 late)
{
  GstTernTask *task = &self->task;
  GstBuffer *old = NULL;
  EncoderItem *item;

  if (self->live && task->buffers > 0)
    old = replace_waiting_frame (self);
  while (task->flow == GST_FLOW_OK && !self->live
      && task->buffers >= GST_TERN_ENCODER_QUEUE)
    g_cond_wait (&task->cond, &task->lock);
  if (task->flow != GST_FLOW_OK) {
    gst_buffer_unref (buffer);
    return old;
  }
  if (old && GST_BUFFER_IS_DISCONT (old) && !GST_BUFFER_IS_DISCONT (buffer)) {
    buffer = gst_buffer_make_writable (buffer);
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  }
  item = gst_tern_task_new_item (task, buffer);
  item->late = late;
  item->come = self->come;
  self->come = GST_CLOCK_TIME_NONE;
  gst_tern_task_push (task, item);
  return old;
}

/* FALSE: @buffer, which is taken then, is not to be looked at, and @flow is the
 * answer. */
static gboolean
has_time (GstTernEncoder * self, GstBuffer ** buffer, GstFlowReturn * flow)
{
  GstTernTiming timing = gst_tern_timeless_take (&self->times,
      GST_ELEMENT_CAST (self), &self->segment, self->live, buffer);
  GstEvent *gap;

  if (timing == GST_TERN_TIMED)
    return TRUE;
  gst_buffer_unref (*buffer);
  *flow = timing == GST_TERN_TIMELESS ? GST_FLOW_ERROR : GST_FLOW_OK;
  gap = gst_tern_timeless_announce (&self->times, &self->segment);
  if (gap)
    enqueue_event (self, gap);
  return FALSE;
}

GstFlowReturn
gst_tern_encoder_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);
  GstBuffer *old = NULL;
  GstFlowReturn flow;
  guint64 late;
  Verdict verdict;

  if (!self->have_caps) {
    gst_buffer_unref (buffer);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  if (!has_time (self, &buffer, &flow))
    return flow;
  verdict = judge_frame (self, buffer);
  late = tern_frame_sampler_late (&self->sampler, GST_BUFFER_PTS (buffer));
  if (verdict == LOOK_ANEW) {
    end_stretch (self);
    verdict = LOOK_AT;
  }
  g_mutex_lock (&self->task.lock);
  self->frames++;
  if (verdict != NOT_SEEN)
    see (self, buffer, verdict == LOOK_AT);
  if (verdict == LOOK_AT) {
    self->taken++;
    old = enqueue_frame (self, buffer, late);
  }
  flow = self->task.flow;
  g_mutex_unlock (&self->task.lock);

  if (verdict != LOOK_AT)
    gst_buffer_unref (buffer);
  if (old) {
    gst_tern_encoder_post_dropped (self, &self->segment, old,
        GST_TERN_DROPPED_LATE);
    gst_buffer_unref (old);
  }
  return flow;
}

/* ---- Starting and stopping ---- */

static void
update_live (GstTernEncoder * self)
{
  gboolean live = gst_tern_upstream_is_live (self->sinkpad);

  g_mutex_lock (&self->task.lock);
  self->live = live;
  g_cond_broadcast (&self->task.cond);
  g_mutex_unlock (&self->task.lock);
  GST_DEBUG_OBJECT (self, "upstream is %slive", live ? "" : "not ");
}

static void
restart_sampling (GstTernEncoder * self)
{
  GstClockTime tick = 0;

  restart_grid (self);
  gst_tern_timeless_begin_segment (&self->times);
  self->looked_shape = (GstTernShape) { 0, };
  g_atomic_int_set (&self->triggered, FALSE);
  if (self->sampler.rate_n > 0)
    tick = gst_util_uint64_scale (GST_SECOND, self->sampler.rate_d,
        self->sampler.rate_n);
  self->looked = 0;
  self->ended = FALSE;
  self->gap_end = self->come = GST_CLOCK_TIME_NONE;
  g_mutex_lock (&self->task.lock);
  gst_tern_seen_init (&self->seen);
  self->tick = tick;
  self->unseen = FALSE;
  g_mutex_unlock (&self->task.lock);
}

static GstFlowReturn
flush_event (GstTernEncoder * self, GstEvent * event)
{
  gboolean start = GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START;

  gst_pad_push_event (self->srcpad, event);
  if (!start) {
    gst_segment_init (&self->segment, GST_FORMAT_TIME);
    restart_sampling (self);
    self->number = 0;
    self->last_tick = GST_CLOCK_TIME_NONE;
    gst_tern_encoder_drop_half (self);
  }
  gst_tern_task_flush (&self->task, start);
  return GST_FLOW_OK;
}

static GstFlowReturn
caps_event (GstTernEncoder * self, GstEvent * event)
{
  GstVideoInfo info;
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  if (!gst_video_info_from_caps (&info, caps)) {
    GST_WARNING_OBJECT (self, "not video caps: %" GST_PTR_FORMAT, caps);
    gst_event_unref (event);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  /* A picture of a pixel is a broken stream, not something to caption. */
  if (GST_VIDEO_INFO_WIDTH (&info) < 2
      || GST_VIDEO_INFO_FIELD_HEIGHT (&info) < 2) {
    self->have_caps = FALSE;
    GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
        ("The video is too small to be captioned."),
        ("expected pictures of at least 2 x 2 pixels, found %d x %d",
            GST_VIDEO_INFO_WIDTH (&info), GST_VIDEO_INFO_FIELD_HEIGHT (&info)));
    gst_event_unref (event);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  update_live (self);
  gst_tern_timeless_set_rate (&self->times, GST_VIDEO_INFO_FPS_N (&info),
      GST_VIDEO_INFO_FPS_D (&info));
  self->have_caps = TRUE;
  self->shape = (GstTernShape) {
    GST_VIDEO_INFO_WIDTH (&info), GST_VIDEO_INFO_HEIGHT (&info),
    GST_VIDEO_INFO_PAR_N (&info), GST_VIDEO_INFO_PAR_D (&info)};
  return enqueue_event (self, event);
}

static GstClockTime
get_duration (GstTernEncoder * self)
{
  gint64 duration;

  if (!gst_pad_peer_query_duration (self->sinkpad, GST_FORMAT_TIME, &duration)
      || duration <= 0)
    return GST_CLOCK_TIME_NONE;
  return duration;
}

static GstFlowReturn
segment_event (GstTernEncoder * self, GstEvent * event)
{
  GstFlowReturn flow;
  GstSegment segment;
  gboolean corrects;

  if (!gst_tern_take_time_segment (GST_ELEMENT_CAST (self), event,
          "Only video with times can be captioned.", &segment)) {
    gst_event_unref (event);
    return GST_FLOW_ERROR;
  }
  corrects = gst_tern_corrects_segment (event, &self->segment);
  /* The last frame of the segment before is said first. */
  flow = enqueue_event (self, event);
  gst_segment_copy_into (&segment, &self->segment);
  if (!corrects)
    restart_sampling (self);
  self->duration = get_duration (self);
  return flow;
}

/* What a file promises and does not have is no error of its demuxer. A fifth
 * may be missing: durations are those of the longest track. At the end of
 * several files one after the other the answer may be about any of them. */
static void
warn_of_missing_end (GstTernEncoder * self)
{
  GstClockTime expected, end = self->seen.pts;

  if (self->live || self->ended || self->segment.rate <= 0.0
      || !GST_CLOCK_TIME_IS_VALID (end))
    return;
  expected = get_duration (self);
  if (!GST_CLOCK_TIME_IS_VALID (expected))
    return;
  expected = MIN (expected, self->duration);
  if (GST_CLOCK_TIME_IS_VALID (self->segment.stop))
    expected = MIN (expected, gst_segment_to_stream_time (&self->segment,
            GST_FORMAT_TIME, self->segment.stop));
  if (GST_CLOCK_TIME_IS_VALID (self->seen.stands))
    end += self->seen.stands;
  if (GST_CLOCK_TIME_IS_VALID (self->gap_end))
    end = MAX (end, self->gap_end);
  end = gst_segment_to_stream_time (&self->segment, GST_FORMAT_TIME,
      MIN (end, self->segment.stop));
  if (GST_CLOCK_TIME_IS_VALID (end)
      && end + MAX (GST_SECOND, expected / 5) < expected)
    GST_ELEMENT_WARNING (self, STREAM, DEMUX,
        ("The video ends too early: it may be cut off."),
        ("expected %" GST_TIME_FORMAT ", found frames until %" GST_TIME_FORMAT,
            GST_TIME_ARGS (expected), GST_TIME_ARGS (end)));
}

static GstFlowReturn
gap_event (GstTernEncoder * self, GstEvent * event)
{
  GstClockTime pts, duration;

  gst_event_parse_gap (event, &pts, &duration);
  if (GST_CLOCK_TIME_IS_VALID (duration))
    pts += duration;
  self->gap_end = pts;
  /* Whoever chooses frames for us has seen more of them. */
  g_mutex_lock (&self->task.lock);
  if (GST_CLOCK_TIME_IS_VALID (self->seen.pts) && pts >= self->seen.pts)
    self->unseen = FALSE;
  g_mutex_unlock (&self->task.lock);
  return enqueue_event (self, event);
}

static GstFlowReturn
eos_event (GstTernEncoder * self, GstEvent * event)
{
  warn_of_missing_end (self);
  gst_tern_timeless_end_stream (&self->times, GST_ELEMENT_CAST (self));
  if (!self->ended)
    return enqueue_event (self, event);
  gst_event_unref (event);
  return GST_FLOW_OK;
}

static GstFlowReturn
stream_start_event (GstTernEncoder * self, GstEvent * event)
{
  GstFlowReturn flow = enqueue_event (self, event);

  gst_tern_timeless_begin_stream (&self->times);
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  /* It has an end of its own, even without a segment. */
  self->ended = FALSE;
  return flow;
}

/* Whoever chooses frames for this element knows which one comes next. */
void
gst_tern_encoder_trigger (GstTernEncoder * self)
{
  if (!gst_tern_query_trigger (self->sinkpad))
    g_atomic_int_set (&self->triggered, TRUE);
}

/* Says why an event is not taken: one that comes while everything is flushed or
 * shut down is no error of the stream. */
GstFlowReturn
gst_tern_encoder_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
    case GST_EVENT_FLUSH_STOP:
      return flush_event (self, event);
    case GST_EVENT_CAPS:
      return caps_event (self, event);
    case GST_EVENT_SEGMENT:
      return segment_event (self, event);
    case GST_EVENT_GAP:
      return gap_event (self, event);
    case GST_EVENT_EOS:
      return eos_event (self, event);
    case GST_EVENT_STREAM_START:
      return stream_start_event (self, event);
    default:
      if (gst_event_has_name (event, GST_TERN_EVENT_TRIGGER)) {
        g_atomic_int_set (&self->triggered, TRUE);
        gst_event_unref (event);
        return GST_FLOW_OK;
      }
      if (GST_EVENT_IS_SERIALIZED (event))
        return enqueue_event (self, event);
      gst_pad_push_event (self->srcpad, event);
      return GST_FLOW_OK;
  }
}

gboolean
gst_tern_encoder_sink_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_ALLOCATION:
      /* Planes are read where they lie, with any stride. */
      gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
      return TRUE;
    case GST_QUERY_DRAIN:
      /* Upstream wants its buffers back. */
      return gst_tern_task_drain (&self->task);
    default:
      return gst_pad_query_default (pad, parent, query);
  }
}

/* A text sink that is late is no reason for the camera to hurry. */
gboolean
gst_tern_encoder_src_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);
  gboolean busy;

  if (!gst_tern_is_work_query (query))
    return gst_pad_query_default (pad, parent, query);
  g_mutex_lock (&self->task.lock);
  busy = gst_tern_task_is_busy (&self->task);
  g_mutex_unlock (&self->task.lock);
  gst_tern_answer_work_query (query, busy);
  return TRUE;
}

gboolean
gst_tern_encoder_src_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  gboolean taken;

  if (gst_event_has_name (event, GST_TERN_EVENT_TRIGGER)) {
    if (!gst_tern_heard_before (&GST_TERN_ENCODER (parent)->heard,
            GST_ELEMENT_CAST (parent), event, &taken))
      gst_tern_encoder_trigger (GST_TERN_ENCODER (parent));
  } else if (GST_EVENT_TYPE (event) != GST_EVENT_QOS)
    return gst_pad_event_default (pad, parent, event);
  gst_event_unref (event);
  return TRUE;
}

gboolean
gst_tern_encoder_sink_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active) {
    gst_segment_init (&self->segment, GST_FORMAT_TIME);
    restart_sampling (self);
    self->have_caps = FALSE;
    gst_tern_timeless_begin_stream (&self->times);
  } else {
    gst_tern_task_flush_start (&self->task);
  }
  return TRUE;
}

gboolean
gst_tern_encoder_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  return gst_tern_task_activate (&GST_TERN_ENCODER (parent)->task, mode,
      active);
}
