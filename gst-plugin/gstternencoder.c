/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-ternencoder
 * @title: ternencoder
 * @short_description: turns video frames into visual tokens
 *
 * Looks at frames by their timestamps, `frame-rate` of them a second, and turns
 * each into the visual tokens of a vision encoder (an mmproj GGUF file). Between
 * the frames that it looks at nothing is mapped or converted.
 *
 * The work is done by a thread of its own. Behind a live source a frame that is
 * still waiting when the next one comes is dropped, with a QOS message;
 * otherwise upstream waits. While a stream plays backwards nothing is looked at.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! ternencoder mmproj-path=mmproj-tern.gguf frame-rate=2/1 ! fakesink silent=false -v
 * ]| Prints the tokens' caps and one buffer for each frame.
 *
 * Since: 0.1
 */
#include "gstternencoder-priv.h"

#include "gstternelement.h"
#include "gstternenums.h"
#include "gstternerror.h"
#include "gstternframe.h"

GST_DEBUG_CATEGORY (gst_tern_encoder_debug);

#define QUEUE_FRAMES 2          /* sampled frames that wait, when not live */
#define DEFAULT_RATE_N 2
#define DEFAULT_RATE_D 1

enum
{
  PROP_0,
  PROP_MODEL_PATH,
  PROP_THREADS,
  PROP_SHARED                   /* those of terncaption; PROP_SHARED + the order below */
};

enum
{
  SHARED_MMPROJ_PATH,
  SHARED_FRAME_RATE,
  SHARED_MAX_FRAMES,
  SHARED_SCALING,
  SHARED_LAST
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_TERN_VIDEO_FORMATS) "; "
        GST_VIDEO_CAPS_MAKE_WITH_FEATURES ("ANY", GST_TERN_VIDEO_FORMATS)));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_TERN_TOKEN_CAPS));

#define gst_tern_encoder_parent_class parent_class
G_DEFINE_TYPE (GstTernEncoder, gst_tern_encoder, GST_TYPE_ELEMENT);
GST_ELEMENT_REGISTER_DEFINE (ternencoder, "ternencoder", GST_RANK_NONE,
    GST_TYPE_TERN_ENCODER);

/* ---- The streaming thread ---- */

static gboolean
enqueue_event (GstTernEncoder * self, GstEvent * event)
{
  gboolean ok, ended;

  g_mutex_lock (&self->lock);
  ok = self->flow == GST_FLOW_OK;
  ended = self->flow == GST_FLOW_EOS;
  if (ok) {
    self->eos = GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    g_queue_push_tail (&self->queue, event);
    g_cond_broadcast (&self->cond);
  }
  g_mutex_unlock (&self->lock);
  if (ok)
    return TRUE;
  /* Downstream took no more tokens; the end it still has to hear of. */
  if (ended && GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    return gst_pad_push_event (self->srcpad, event);
  gst_event_unref (event);
  return FALSE;
}

/* Live: the one frame that waits makes room; returns it. */
static GstBuffer *
replace_waiting_frame (GstTernEncoder * self)
{
  GList *link;

  for (link = self->queue.tail; link; link = link->prev) {
    if (GST_IS_BUFFER (link->data)) {
      GstBuffer *old = link->data;

      g_queue_delete_link (&self->queue, link);
      self->queued_frames--;
      self->dropped++;
      return old;
    }
  }
  return NULL;
}

static gboolean
take_frame (GstTernEncoder * self, GstBuffer * buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  guint max_frames;

  /* Backwards, frames come in no order that a model was trained on. */
  if (self->segment.rate < 0.0
      || !gst_segment_clip (&self->segment, GST_FORMAT_TIME, pts, pts, NULL,
          NULL))
    return FALSE;
  GST_OBJECT_LOCK (self);
  max_frames = self->max_frames;
  GST_OBJECT_UNLOCK (self);
  if (max_frames > 0 && self->looked >= max_frames) {
    /* Nobody waits for tokens that do not come. */
    if (!self->ended)
      enqueue_event (self, gst_event_new_eos ());
    self->ended = TRUE;
    return FALSE;
  }
  if (!tern_frame_sampler_take (&self->sampler, pts))
    return FALSE;
  self->looked++;
  return TRUE;
}

/* For every frame, past what waits for the worker: who waits for text need not
 * wait for tokens. */
static void
send_progress (GstTernEncoder * self, GstBuffer * buffer)
{
  GstClockTime start, end = GST_BUFFER_PTS (buffer);

  start = gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME, end);
  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    end += GST_BUFFER_DURATION (buffer);
  end = gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME, end);
  if (!GST_CLOCK_TIME_IS_VALID (end))
    end = start;
  if (GST_CLOCK_TIME_IS_VALID (start))
    gst_pad_push_event (self->srcpad,
        gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
            gst_structure_new (GST_TERN_EVENT_PROGRESS,
                "running-time", G_TYPE_UINT64, start,
                "end", G_TYPE_UINT64, end, NULL)));
}

static GstFlowReturn
gst_tern_encoder_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);
  GstBuffer *old = NULL;
  GstFlowReturn flow;
  guint64 taken, dropped;

  if (!GST_BUFFER_PTS_IS_VALID (buffer)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("Video without timestamps cannot be captioned."),
        ("expected a PTS on every buffer, found none"));
    return GST_FLOW_ERROR;
  }
  if (!self->have_caps) {
    gst_buffer_unref (buffer);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  send_progress (self, buffer);
  if (!take_frame (self, buffer)) {
    gst_buffer_unref (buffer);
    g_mutex_lock (&self->lock);
    flow = self->flow;
    g_mutex_unlock (&self->lock);
    return flow;
  }

  g_mutex_lock (&self->lock);
  self->taken++;
  if (self->live && self->queued_frames > 0)
    old = replace_waiting_frame (self);
  while (self->flow == GST_FLOW_OK && !self->live
      && self->queued_frames >= QUEUE_FRAMES)
    g_cond_wait (&self->cond, &self->lock);
  flow = self->flow;
  if (flow == GST_FLOW_OK) {
    if (old && GST_BUFFER_IS_DISCONT (old) && !GST_BUFFER_IS_DISCONT (buffer)) {
      buffer = gst_buffer_make_writable (buffer);
      GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
    }
    g_queue_push_tail (&self->queue, buffer);
    self->queued_frames++;
    buffer = NULL;
    g_cond_broadcast (&self->cond);
  }
  taken = self->taken;
  dropped = self->dropped;
  g_mutex_unlock (&self->lock);

  gst_clear_buffer (&buffer);
  if (old) {
    gst_tern_post_dropped (GST_ELEMENT_CAST (self), &self->segment,
        GST_BUFFER_PTS (old), GST_BUFFER_DURATION (old), taken - dropped,
        dropped);
    gst_buffer_unref (old);
  }
  return flow;
}

static void
update_live (GstTernEncoder * self)
{
  gboolean live = gst_tern_upstream_is_live (self->sinkpad);

  g_mutex_lock (&self->lock);
  self->live = live;
  g_mutex_unlock (&self->lock);
  GST_DEBUG_OBJECT (self, "upstream is %slive", live ? "" : "not ");
}

static void
restart_sampling (GstTernEncoder * self)
{
  GST_OBJECT_LOCK (self);
  tern_frame_sampler_init (&self->sampler, self->rate_n, self->rate_d);
  GST_OBJECT_UNLOCK (self);
  self->looked = 0;
  self->ended = FALSE;
}

static void
flush_start (GstTernEncoder * self)
{
  g_atomic_int_set (&self->interrupted, 1);
  if (self->loader)
    gst_tern_loader_wake (self->loader);
  g_mutex_lock (&self->lock);
  self->flow = GST_FLOW_FLUSHING;
  if (self->encoder)
    tern_encoder_cancel (self->encoder, TRUE);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
flush_stop (GstTernEncoder * self)
{
  g_mutex_lock (&self->lock);
  gst_tern_encoder_clear_queue (self);
  self->flow = GST_FLOW_OK;
  self->eos = FALSE;
  self->busy = FALSE;
  if (self->encoder)
    tern_encoder_cancel (self->encoder, FALSE);
  g_mutex_unlock (&self->lock);
  g_atomic_int_set (&self->interrupted, 0);
}

static gboolean
gst_tern_encoder_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:{
      gboolean ok = gst_pad_push_event (self->srcpad, event);

      flush_start (self);
      gst_pad_pause_task (self->srcpad);
      return ok;
    }
    case GST_EVENT_FLUSH_STOP:{
      gboolean ok = gst_pad_push_event (self->srcpad, event);

      gst_segment_init (&self->segment, GST_FORMAT_TIME);
      restart_sampling (self);
      self->number = 0;
      self->last_pts = GST_CLOCK_TIME_NONE;
      flush_stop (self);
      gst_pad_start_task (self->srcpad, gst_tern_encoder_loop, self, NULL);
      return ok;
    }
    case GST_EVENT_CAPS:{
      GstVideoInfo info;
      GstCaps *caps;

      gst_event_parse_caps (event, &caps);
      if (!gst_video_info_from_caps (&info, caps)) {
        GST_WARNING_OBJECT (self, "not video caps: %" GST_PTR_FORMAT, caps);
        gst_event_unref (event);
        return FALSE;
      }
      /* A picture of a pixel is a broken stream, not something to caption. */
      if (GST_VIDEO_INFO_WIDTH (&info) < 2 || GST_VIDEO_INFO_HEIGHT (&info) < 2) {
        self->have_caps = FALSE;
        GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
            ("The video is too small to be captioned."),
            ("expected pictures of at least 2 x 2 pixels, found %d x %d",
                GST_VIDEO_INFO_WIDTH (&info), GST_VIDEO_INFO_HEIGHT (&info)));
        gst_event_unref (event);
        return FALSE;
      }
      update_live (self);
      self->have_caps = TRUE;
      return enqueue_event (self, event);
    }
    case GST_EVENT_SEGMENT:
      if (!gst_tern_take_time_segment (GST_ELEMENT_CAST (self), event,
              "Only video with times can be captioned.", &self->segment)) {
        gst_event_unref (event);
        return FALSE;
      }
      restart_sampling (self);
      return enqueue_event (self, event);
    case GST_EVENT_EOS:
      if (!self->ended)
        return enqueue_event (self, event);
      gst_event_unref (event);
      return TRUE;
    case GST_EVENT_STREAM_START:
      /* A new stream may follow EOS without a flush. */
      g_mutex_lock (&self->lock);
      self->eos = FALSE;
      g_mutex_unlock (&self->lock);
      return enqueue_event (self, event);
    default:
      if (GST_EVENT_IS_SERIALIZED (event))
        return enqueue_event (self, event);
      return gst_pad_push_event (self->srcpad, event);
  }
}

static gboolean
gst_tern_encoder_sink_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_ALLOCATION:
      /* Planes are read where they lie, with any stride. */
      gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
      return TRUE;
    case GST_QUERY_DRAIN:{
      gboolean ok;

      /* Upstream wants its buffers back. */
      g_mutex_lock (&self->lock);
      while (self->flow == GST_FLOW_OK && (self->busy
              || !g_queue_is_empty (&self->queue)))
        g_cond_wait (&self->cond, &self->lock);
      ok = self->flow == GST_FLOW_OK;
      g_mutex_unlock (&self->lock);
      return ok;
    }
    default:
      return gst_pad_query_default (pad, parent, query);
  }
}

static gboolean
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
  } else {
    flush_start (self);
  }
  return TRUE;
}

static gboolean
gst_tern_encoder_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernEncoder *self = GST_TERN_ENCODER (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active) {
    flush_stop (self);
    return gst_pad_start_task (pad, gst_tern_encoder_loop, self, NULL);
  }
  flush_start (self);
  return gst_pad_stop_task (pad);
}

/* ---- The element ---- */

static gboolean
check_settings (GstTernEncoder * self)
{
  GError *error = NULL;
  gint rate_n, rate_d;

  GST_OBJECT_LOCK (self);
  rate_n = self->rate_n;
  rate_d = self->rate_d;
  GST_OBJECT_UNLOCK (self);

  /* The property takes any fraction: what GObject refuses only makes a warning,
   * and a pipeline that does something else than it was told. */
  if (rate_n < 0) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("A setting is out of its range."),
        ("frame-rate: expected 0/1 or more, found %d/%d", rate_n, rate_d));
    return FALSE;
  }
  if (gst_tern_model_settings_check (&self->settings, GST_ELEMENT_CAST (self),
          &error))
    return TRUE;
  gst_tern_post_error (self, error);
  g_clear_error (&error);
  return FALSE;
}

static void
stop (GstTernEncoder * self)
{
  g_mutex_lock (&self->lock);
  gst_tern_encoder_clear_queue (self);
  g_clear_pointer (&self->encoder, tern_encoder_free);
  self->taken = self->dropped = 0;
  g_mutex_unlock (&self->lock);
  if (self->pool) {
    gst_buffer_pool_set_active (self->pool, FALSE);
    gst_clear_object (&self->pool);
  }
  g_clear_pointer (&self->model, tern_model_unref);
  g_clear_pointer (&self->loader, gst_tern_loader_stop);
  self->number = 0;
  self->last_pts = GST_CLOCK_TIME_NONE;
}

static GstStateChangeReturn
gst_tern_encoder_change_state (GstElement * element, GstStateChange transition)
{
  GstTernEncoder *self = GST_TERN_ENCODER (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !check_settings (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    self->loader = gst_tern_loader_start (element, &self->settings,
        TERN_MODEL_VISION);

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED
          && ret == GST_STATE_CHANGE_FAILURE))
    stop (self);
  return ret;
}

static void
gst_tern_encoder_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTernEncoder *self = GST_TERN_ENCODER (object);

  if (gst_tern_refuse_property (GST_ELEMENT_CAST (self), pspec, value))
    return;
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_MODEL_PATH:
      g_free (self->settings.model_path);
      self->settings.model_path = g_value_dup_string (value);
      break;
    case PROP_THREADS:
      self->settings.threads = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_MMPROJ_PATH:
      g_free (self->settings.mmproj_path);
      self->settings.mmproj_path = g_value_dup_string (value);
      break;
    case PROP_SHARED + SHARED_FRAME_RATE:
      self->rate_n = gst_value_get_fraction_numerator (value);
      self->rate_d = gst_value_get_fraction_denominator (value);
      break;
    case PROP_SHARED + SHARED_MAX_FRAMES:
      self->max_frames = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_SCALING:
      self->fit = g_value_get_enum (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_encoder_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernEncoder *self = GST_TERN_ENCODER (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_MODEL_PATH:
      g_value_set_string (value, self->settings.model_path);
      break;
    case PROP_THREADS:
      g_value_set_uint (value, self->settings.threads);
      break;
    case PROP_SHARED + SHARED_MMPROJ_PATH:
      g_value_set_string (value, self->settings.mmproj_path);
      break;
    case PROP_SHARED + SHARED_FRAME_RATE:
      gst_value_set_fraction (value, self->rate_n, self->rate_d);
      break;
    case PROP_SHARED + SHARED_MAX_FRAMES:
      g_value_set_uint (value, self->max_frames);
      break;
    case PROP_SHARED + SHARED_SCALING:
      g_value_set_enum (value, self->fit);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_encoder_finalize (GObject * object)
{
  GstTernEncoder *self = GST_TERN_ENCODER (object);

  gst_tern_model_settings_clear (&self->settings);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

guint
gst_tern_encoder_install_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = GST_TERN_PARAM_READY;

  /**
   * GstTernEncoder:mmproj-path:
   *
   * GGUF file of the vision encoder. Unset, the one mmproj*.gguf beside the
   * model.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MMPROJ_PATH,
      g_param_spec_string ("mmproj-path", "Vision encoder path",
          "GGUF file of the vision encoder (default: the one mmproj*.gguf "
          "beside the model)", NULL, ready));
  /**
   * GstTernEncoder:frame-rate:
   *
   * Frames a second that are looked at, by their timestamps; 0/1 looks at every
   * frame.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_FRAME_RATE,
      gst_param_spec_fraction ("frame-rate", "Frame rate",
          "Frames a second that are looked at (0/1 = all)", -G_MAXINT, 1,
          G_MAXINT, 1, DEFAULT_RATE_N, DEFAULT_RATE_D, ready));
  /**
   * GstTernEncoder:max-frames:
   *
   * Frames of a segment that are looked at, at most; then the tokens end, and
   * what made them goes on. 0 is no limit.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MAX_FRAMES,
      g_param_spec_uint ("max-frames", "Maximum frames",
          "Frames of a segment that are looked at, at most (0 = no limit)", 0,
          G_MAXUINT, 0, GST_TERN_PARAM_PLAYING));
  /**
   * GstTernEncoder:scaling:
   *
   * How a picture is fitted into the square that the encoder sees.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_SCALING,
      g_param_spec_enum ("scaling", "Scaling",
          "How pictures are fitted into what the encoder sees",
          GST_TYPE_TERN_SCALING, TERN_FIT_TRAINED, ready));
  return first + SHARED_LAST;
}

static void
gst_tern_encoder_class_init (GstTernEncoderClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_tern_encoder_debug, "ternencoder", 0,
      "Tern vision encoder");

  object_class->set_property = gst_tern_encoder_set_property;
  object_class->get_property = gst_tern_encoder_get_property;
  object_class->finalize = gst_tern_encoder_finalize;
  element_class->change_state = gst_tern_encoder_change_state;

  /**
   * GstTernEncoder:model-path:
   *
   * GGUF file of the language model, or a folder with one: where to look for
   * the vision encoder when `mmproj-path` is not set. Unset, TERN_MODEL_PATH or
   * the bundled model.
   *
   * Since: 0.1
   */
  gst_tern_install_model_path (object_class, PROP_MODEL_PATH);
  /**
   * GstTernEncoder:threads:
   *
   * Threads that work on this model; 0 is one for each core.
   *
   * Since: 0.1
   */
  gst_tern_install_threads (object_class, PROP_THREADS);
  gst_tern_encoder_install_properties (object_class, PROP_SHARED);

  gst_type_mark_as_plugin_api (GST_TYPE_TERN_SCALING, 0);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Tern vision encoder",
      "Encoder/Analyzer/Video", "Turns video frames into visual tokens",
      "The Tern developers");
}

static void
gst_tern_encoder_init (GstTernEncoder * self)
{
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_encoder_chain);
  gst_pad_set_event_function (self->sinkpad, gst_tern_encoder_sink_event);
  gst_pad_set_query_function (self->sinkpad, gst_tern_encoder_sink_query);
  gst_pad_set_activatemode_function (self->sinkpad,
      gst_tern_encoder_sink_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->srcpad);
  gst_pad_set_activatemode_function (self->srcpad,
      gst_tern_encoder_src_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);

  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_queue_init (&self->queue);
  self->flow = GST_FLOW_FLUSHING;
  self->rate_n = DEFAULT_RATE_N;
  self->rate_d = DEFAULT_RATE_D;
  self->fit = TERN_FIT_TRAINED;
  self->last_pts = GST_CLOCK_TIME_NONE;
}
