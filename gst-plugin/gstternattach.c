/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-ternattach
 * @title: ternattach
 * @short_description: puts results on the video frames that they are about
 *
 * Passes video through, with TernResultMeta. `text_sink` takes text or JSON
 * that carries TernResultMeta, best from `json_src` of terngenerator, where
 * results keep the time of their window.
 *
 * With `attach=newest` no frame waits: it carries the newest finished result,
 * whose start and end say what that is about. With `attach=window` a frame
 * leaves with the result of its own window. `max-held-bytes` bounds the frames
 * that wait; over it, when nobody is at work on their window, the oldest leave
 * with the newest finished result, and a QOS message and a WARNING say so. They
 * do as well when a source that is not live sends nothing more because of them.
 * A file stops while anybody works on what waits, so that about a window is
 * held. A live source never does: its frames leave when LATENCY says, answered
 * or not.
 *
 * `attach=auto` is newest behind a live source, otherwise window.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! tee name=t  t. ! ternattach name=a ! ternjsonenc ! filesink location=results.jsonl  t. ! ternencoder ! terngenerator name=g  g.json_src ! queue ! a.text_sink
 * ]| What terncaption does inside, where a joint of its own stands for the tee.
 *
 * Since: 0.1
 */
#include "gstternattach-priv.h"

#include "gstternelement.h"
#include "gstternupstream.h"

GST_DEBUG_CATEGORY (gst_tern_attach_debug);

/* Buffers more than downstream needs, so that frames can be held without a
 * copy. */
#define HELD_BUFFERS 4

enum
{
  PROP_0,
  PROP_STATS,
  PROP_SHARED                   /* those of terncaption, in the order below */
};

enum
{
  SHARED_ATTACH,
  SHARED_MAX_HELD_BYTES,
  SHARED_LAST
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate text_template =
GST_STATIC_PAD_TEMPLATE ("text_sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("text/x-raw, format = (string) utf8; "
        "application/x-json"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));

#define gst_tern_attach_parent_class parent_class
G_DEFINE_TYPE (GstTernAttach, gst_tern_attach, GST_TYPE_ELEMENT);
GST_ELEMENT_REGISTER_DEFINE (ternattach, "ternattach", GST_RANK_NONE,
    GST_TYPE_TERN_ATTACH);

/* ---- Video ---- */

/* Once for a stream: frames must not overtake each other. */
static void
decide_hold (GstTernAttach * self)
{
  GstTernAttachMode attach;
  GstClockTime wait = GST_CLOCK_TIME_NONE;
  gboolean live, follows;

  if (self->hold_known)
    return;
  live = gst_tern_upstream_is_live (self->sinkpad);
  follows = gst_tern_upstream_is_shared (self->sinkpad, self->textpad);
  if (live && !gst_tern_query_held (self->textpad, &wait))
    wait = GST_CLOCK_TIME_NONE;
  GST_OBJECT_LOCK (self);
  attach = self->attach;
  GST_OBJECT_UNLOCK (self);

  g_mutex_lock (&self->task.lock);
  self->live = live;
  self->text_follows = follows;
  self->wait = wait;
  self->hold = gst_pad_is_linked (self->textpad)
      && (attach == GST_TERN_ATTACH_WINDOW
      || (attach == GST_TERN_ATTACH_AUTO && !live));
  self->hold_known = TRUE;
  self->last_came = self->last_text = gst_tern_task_now (&self->task);
  /* Under the lock: a pad that was deactivated meanwhile stays without a
   * task. */
  if (self->hold && self->task.flow == GST_FLOW_OK)
    gst_tern_task_start (&self->task);
  g_mutex_unlock (&self->task.lock);
  GST_DEBUG_OBJECT (self, "frames carry the result of %s",
      self->hold ? "their own window" : "the newest window");
}

static GstFlowReturn
gst_tern_attach_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);
  HeldItem item = {.base.object = GST_MINI_OBJECT_CAST (buffer) };

  decide_hold (self);
  if (self->hold)
    return gst_tern_attach_hold_frame (self, buffer);

  gst_tern_attach_describe (self, &item);
  g_mutex_lock (&self->task.lock);
  if (self->looking)
    gst_tern_attach_put_result (self, &buffer,
        g_queue_peek_tail (&self->results));
  while (self->results.length > 1)
    gst_tern_attach_result_free (g_queue_pop_head (&self->results));
  g_mutex_unlock (&self->task.lock);
  gst_tern_attach_tell_text (self, &item);
  return gst_pad_push (self->srcpad, buffer);
}

void
gst_tern_attach_set_keep_eos (GstTernAttach * self, gboolean keep)
{
  g_mutex_lock (&self->task.lock);
  self->keep_eos = keep;
  g_cond_broadcast (&self->task.cond);
  g_mutex_unlock (&self->task.lock);
}

gboolean
gst_tern_attach_text_is_over (const GstTernAttach * self)
{
  return self->text_ends > self->video_ends
      || (self->text_eos && !self->text_follows)
      || !gst_pad_is_linked (self->textpad);
}

static void
on_text_unlinked (GstPad * pad, GstPad * peer, GstTernAttach * self)
{
  g_mutex_lock (&self->task.lock);
  g_cond_broadcast (&self->task.cond);
  g_mutex_unlock (&self->task.lock);
}

gboolean
gst_tern_attach_keeps_eos (GstTernAttach * self)
{
  return self->keep_eos && !gst_tern_attach_text_is_over (self);
}

/* Frames that did not wait have gone; their end does, until a flush or a stop at
 * most. */
static void
wait_for_end_of_text (GstTernAttach * self)
{
  g_mutex_lock (&self->task.lock);
  while (self->task.flow == GST_FLOW_OK && gst_tern_attach_keeps_eos (self))
    g_cond_wait (&self->task.cond, &self->task.lock);
  self->video_ends++;
  g_mutex_unlock (&self->task.lock);
}

static void
forget_everything (GstTernAttach * self, gboolean flush)
{
  g_mutex_lock (&self->task.lock);
  gst_tern_task_empty (&self->task, flush);
  g_queue_clear_full (&self->results, gst_tern_attach_result_free);
  self->text_segment = 0;
  self->decided = GST_CLOCK_TIME_NONE;
  self->text_eos = FALSE;
  self->text_ends = self->video_ends = 0;
  self->over = self->newest = FALSE;
  g_mutex_unlock (&self->task.lock);
  self->video_segment = 0;
}

static void
take_frame_rate (GstTernAttach * self, GstEvent * event)
{
  GstCaps *caps;
  gint n, d;

  gst_event_parse_caps (event, &caps);
  self->frame_duration = 0;
  if (gst_structure_get_fraction (gst_caps_get_structure (caps, 0),
          "framerate", &n, &d) && n > 0 && d > 0)
    self->frame_duration = gst_util_uint64_scale (GST_SECOND, d, n);
}

static void
flush (GstTernAttach * self, GstEvent * event)
{
  gboolean start = GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START;

  gst_pad_push_event (self->srcpad, event);
  if (!start) {
    gst_segment_init (&self->segment, GST_FORMAT_TIME);
    forget_everything (self, TRUE);
  }
  if (self->hold)
    gst_tern_task_flush (&self->task, start);
  else if (start)
    gst_tern_task_flush_start (&self->task);
  else
    gst_tern_task_flush_stop (&self->task);
}

static void
take_segment (GstTernAttach * self, GstEvent * event)
{
  GstClockTime start = self->segment.start;
  gboolean corrects = gst_tern_corrects_segment (event, &self->segment);

  gst_event_copy_segment (event, &self->segment);
  if (corrects)
    gst_tern_attach_move (self, start - self->segment.start);
  else
    self->video_segment++;
}

static GstFlowReturn
gst_tern_attach_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);
  GstFlowReturn flow;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
    case GST_EVENT_FLUSH_STOP:
      flush (self, event);
      return GST_FLOW_OK;
    case GST_EVENT_STREAM_START:
      gst_segment_init (&self->segment, GST_FORMAT_TIME);
      break;
    case GST_EVENT_EOS:
      if (!self->hold)
        wait_for_end_of_text (self);
      break;
    case GST_EVENT_SEGMENT:
      take_segment (self, event);
      break;
    case GST_EVENT_CAPS:
      /* Now upstream can tell whether it is live. */
      decide_hold (self);
      take_frame_rate (self, event);
      break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      if (!gst_event_has_name (event, GST_TERN_EVENT_LOOKING))
        break;
      gst_structure_get_boolean (gst_event_get_structure (event), "looking",
          &self->looking);
      gst_event_unref (event);
      return GST_FLOW_OK;
    default:
      break;
  }
  /* Events keep their place among frames that wait. */
  if (GST_EVENT_IS_SERIALIZED (event) && self->hold)
    return gst_tern_task_push_event (&self->task, event);
  if (gst_pad_push_event (self->srcpad, event))
    return GST_FLOW_OK;
  /* An event that was refused because of a flush is no error. */
  flow = gst_tern_task_get_flow (&self->task);
  return flow != GST_FLOW_OK ? flow : gst_tern_event_flow (self->srcpad);
}

/* Buffers of downstream's pool with a limit must not be held; upstream's should
 * have some more than it needs itself. */
static void
answer_allocation (GstQuery * query)
{
  guint i, n = gst_query_get_n_allocation_pools (query);

  for (i = 0; i < n; i++) {
    GstBufferPool *pool;
    guint size, min, max;

    gst_query_parse_nth_allocation_pool (query, i, &pool, &size, &min, &max);
    if (max > 0)
      gst_clear_object (&pool);
    gst_query_set_nth_allocation_pool (query, i, pool, size,
        min + HELD_BUFFERS, 0);
    gst_clear_object (&pool);
  }
}

/* Downstream can answer when it has the caps. It gets them at once, unless
 * frames are held before them: then it cannot. */
static gboolean
wait_for_events (GstTernAttach * self)
{
  gboolean ok;

  g_mutex_lock (&self->task.lock);
  while (self->task.flow == GST_FLOW_OK && self->task.buffers == 0
      && gst_tern_task_is_busy (&self->task))
    g_cond_wait (&self->task.cond, &self->task.lock);
  ok = self->task.flow == GST_FLOW_OK && self->task.buffers == 0;
  g_mutex_unlock (&self->task.lock);
  return ok;
}

static gboolean
gst_tern_attach_sink_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);
  gboolean ok;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_ALLOCATION:
      if (self->hold && !wait_for_events (self))
        return FALSE;
      ok = gst_pad_peer_query (self->srcpad, query);
      if (ok && self->hold)
        answer_allocation (query);
      return ok;
    case GST_QUERY_DRAIN:
      g_mutex_lock (&self->task.lock);
      gst_tern_attach_return_loans (self);
      while (self->task.flow == GST_FLOW_OK && self->task.queue.head
          && gst_tern_attach_text_is_over (self))
        g_cond_wait (&self->task.cond, &self->task.lock);
      g_mutex_unlock (&self->task.lock);
      return gst_pad_peer_query (self->srcpad, query);
    default:
      return gst_pad_query_default (pad, parent, query);
  }
}

/* Frames are here that will leave. */
static gboolean
is_at_work (GstTernAttach * self)
{
  gboolean busy;

  g_mutex_lock (&self->task.lock);
  busy = self->task.buffers > 0 && gst_tern_attach_text_is_at_work (self);
  g_mutex_unlock (&self->task.lock);
  return busy;
}

static gboolean
gst_tern_attach_src_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);
  GstClockTime min, max, text_min;
  gboolean live;

  if (gst_tern_is_work_query (query) && is_at_work (self)) {
    gst_tern_answer_work_query (query, TRUE);
    return TRUE;
  }
  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return gst_pad_query_default (pad, parent, query);
  if (!gst_pad_peer_query (self->sinkpad, query))
    return FALSE;
  gst_query_parse_latency (query, &live, &min, &max);
  if (!live || !self->hold)
    return TRUE;

  /* Frames wait for text, as long as text takes. */
  if (gst_tern_query_held (self->textpad, &text_min)) {
    if (text_min > min) {
      if (GST_CLOCK_TIME_IS_VALID (max))
        max += text_min - min;
      gst_query_set_latency (query, live, text_min, max);
    }
    g_mutex_lock (&self->task.lock);
    self->wait = MAX (min, text_min);
    g_cond_broadcast (&self->task.cond);
    g_mutex_unlock (&self->task.lock);
  }
  return TRUE;
}

static GstIterator *
gst_tern_attach_iterate_internal_links (GstPad * pad, GstObject * parent)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);

  if (pad == self->textpad)
    return NULL;
  return gst_tern_iterate_one_pad (pad == self->sinkpad ? self->srcpad :
      self->sinkpad);
}

/* ---- The element ---- */

static gboolean
gst_tern_attach_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active) {
    self->hold_known = self->hold = FALSE;
    gst_tern_task_flush_stop (&self->task);
    return TRUE;
  }
  gst_tern_task_flush_start (&self->task);
  return gst_pad_stop_task (pad);
}

static gboolean
gst_tern_attach_sink_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active) {
    gst_segment_init (&self->segment, GST_FORMAT_TIME);
    self->looking = TRUE;
    self->frame_duration = 0;
  } else {
    gst_tern_task_flush_start (&self->task);
  }
  return TRUE;
}

static GstStateChangeReturn
gst_tern_attach_change_state (GstElement * element, GstStateChange transition)
{
  GstTernAttach *self = GST_TERN_ATTACH (element);
  GstStateChangeReturn ret;

  gst_tern_task_change_state (&self->task, transition);
  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    forget_everything (self, FALSE);
    self->attached = self->early = self->most_held = 0;
    self->dry_bytes = 0;
    self->warned = FALSE;
  }
  return ret;
}

static GstStructure *
make_stats (GstTernAttach * self)
{
  GstStructure *stats;

  g_mutex_lock (&self->task.lock);
  stats = gst_structure_new ("stats",
      "attached", G_TYPE_UINT64, self->attached,
      "early", G_TYPE_UINT64, self->early,
      "held-frames", G_TYPE_UINT, self->task.buffers,
      "held-bytes", G_TYPE_UINT64, self->task.bytes,
      "most-held-bytes", G_TYPE_UINT64, self->most_held, NULL);
  g_mutex_unlock (&self->task.lock);
  return stats;
}

static void
gst_tern_attach_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTernAttach *self = GST_TERN_ATTACH (object);

  if (gst_tern_refuse_property (GST_ELEMENT_CAST (self), pspec, value))
    return;
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_SHARED + SHARED_ATTACH:
      self->attach = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_MAX_HELD_BYTES:
      self->max_held_bytes = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_attach_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernAttach *self = GST_TERN_ATTACH (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, make_stats (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_SHARED + SHARED_ATTACH:
      g_value_set_enum (value, self->attach);
      break;
    case PROP_SHARED + SHARED_MAX_HELD_BYTES:
      g_value_set_uint64 (value, self->max_held_bytes);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_attach_finalize (GObject * object)
{
  GstTernAttach *self = GST_TERN_ATTACH (object);

  forget_everything (self, FALSE);
  gst_tern_task_finalize (&self->task);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

guint
gst_tern_attach_install_properties (GObjectClass * klass, guint first)
{
  /**
   * GstTernAttach:attach:
   *
   * Which result a frame carries.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_ATTACH,
      g_param_spec_enum ("attach", "Attach", "Which result a frame carries",
          GST_TYPE_TERN_ATTACH_MODE, GST_TERN_ATTACH_AUTO,
          GST_TERN_PARAM_READY));
  /**
   * GstTernAttach:max-held-bytes:
   *
   * Of frames that wait for their result, at most. From a file, frames come as
   * long as nobody is at work on those that wait, so that at any resolution
   * about a window of them is held. 0 is as much as that takes, but not more
   * than half of the machine's memory. Over the limit the oldest leave with the
   * newest finished result: from a file when nobody is at work on their window,
   * of a live source at once.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MAX_HELD_BYTES,
      g_param_spec_uint64 ("max-held-bytes", "Maximum held bytes",
          "Of frames that wait for the result of their window (0 = what a "
          "window takes, at most half of the machine's memory)", 0,
          G_MAXUINT64, 0, GST_TERN_PARAM_READY));
  return first + SHARED_LAST;
}

static void
gst_tern_attach_class_init (GstTernAttachClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_tern_attach_debug, "ternattach", 0,
      "Tern result attacher");

  object_class->set_property = gst_tern_attach_set_property;
  object_class->get_property = gst_tern_attach_get_property;
  object_class->finalize = gst_tern_attach_finalize;
  element_class->change_state = gst_tern_attach_change_state;

  /**
   * GstTernAttach:stats:
   *
   * Frames that got a result, those that left before theirs was known, what
   * waits now, and the most that did: `attached`, `early`, `held-frames`,
   * `held-bytes`, `most-held-bytes`.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Frames with results, early ones, and what waits",
          GST_TYPE_STRUCTURE,
          (GParamFlags) (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  gst_tern_attach_install_properties (object_class, PROP_SHARED);

  gst_type_mark_as_plugin_api (GST_TYPE_TERN_ATTACH_MODE, 0);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &text_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Tern result attacher",
      "Formatter/Metadata/Video", "Puts results on the frames that they are "
      "about", "The Tern developers");
}

static void
gst_tern_attach_init (GstTernAttach * self)
{
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_attach_chain);
  gst_pad_set_event_full_function (self->sinkpad, gst_tern_attach_sink_event);
  gst_pad_set_query_function (self->sinkpad, gst_tern_attach_sink_query);
  gst_pad_set_activatemode_function (self->sinkpad,
      gst_tern_attach_sink_activate_mode);
  gst_pad_set_iterate_internal_links_function (self->sinkpad,
      gst_tern_attach_iterate_internal_links);
  GST_PAD_SET_PROXY_CAPS (self->sinkpad);
  GST_PAD_SET_PROXY_SCHEDULING (self->sinkpad);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->textpad = gst_pad_new_from_static_template (&text_template,
      "text_sink");
  gst_pad_set_chain_function (self->textpad, gst_tern_attach_text_chain);
  gst_pad_set_event_full_function (self->textpad, gst_tern_attach_text_event);
  gst_pad_set_iterate_internal_links_function (self->textpad,
      gst_tern_attach_iterate_internal_links);
  g_signal_connect (self->textpad, "unlinked", G_CALLBACK (on_text_unlinked),
      self);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->textpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_query_function (self->srcpad, gst_tern_attach_src_query);
  gst_pad_set_activatemode_function (self->srcpad,
      gst_tern_attach_src_activate_mode);
  gst_pad_set_iterate_internal_links_function (self->srcpad,
      gst_tern_attach_iterate_internal_links);
  GST_PAD_SET_PROXY_CAPS (self->srcpad);
  GST_PAD_SET_PROXY_SCHEDULING (self->srcpad);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);

  gst_tern_task_init (&self->task, self, self->srcpad, &gst_tern_attach_task);
  g_queue_init (&self->results);
  self->decided = GST_CLOCK_TIME_NONE;
  self->attach = GST_TERN_ATTACH_AUTO;
  self->wait = GST_CLOCK_TIME_NONE;
}
