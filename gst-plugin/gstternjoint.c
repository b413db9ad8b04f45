/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternjoint.h"

#include <gst/video/video.h>
#include "gstternelement.h"
#include "gstterntimeless.h"
#include "gstternupstream.h"
#include "tern/tern.h"

GST_DEBUG_CATEGORY_STATIC (gst_tern_joint_debug);
#define GST_CAT_DEFAULT gst_tern_joint_debug

/* Frames that the encoder's side holds at a time when they are not copied: one
 * that is encoded, two that wait, one that is to wait. */
#define LOOKED_AT_FRAMES 4

/* What the encoder's side is told to expect when there is nothing for it. */
#define NO_CAPS "video/x-raw, format = (string) GRAY8, width = (int) 16, " \
    "height = (int) 16, framerate = (fraction) 1/1"

struct _GstTernJoint
{
  GstElement parent;
  GstPad *sinkpad, *srcpad, *lookpad;

  /* Under the object lock. */
  gint rate_n, rate_d;

  gint triggered;               /* atomic: a stretch begins with the next frame */

  /* The streaming thread's. */
  TernFrameSampler sampler;
  GstSegment segment;
  GstClockTime frame_duration;  /* by the caps; 0 when they do not say */
  GstTernShape shape;           /* as the encoder's side has it ... */
  GstTernShape looked_shape;    /* ... when it was looked at last; 0 x 0 */
  gint field_height;            /* of fields that come one by one, else 0 */
  gboolean live;
  gboolean able;                /* the encoder's side takes these caps */
  gboolean ended;               /* it wants no more */
  gboolean promised;            /* downstream expects results */
  GstTernSeen seen;             /* of this stretch */
  GstTernTimeless times;
  GstClockTime tick;            /* between frames that are looked at; 0: all */
  GstBufferPool *copies;        /* of live frames; or NULL */
  gsize copy_size;              /* of theirs */
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate look_template =
GST_STATIC_PAD_TEMPLATE ("look_src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("video/x-raw"));

#define gst_tern_joint_parent_class parent_class
G_DEFINE_TYPE (GstTernJoint, gst_tern_joint, GST_TYPE_ELEMENT);

void
gst_tern_joint_set_rate (GstTernJoint * self, gint n, gint d)
{
  GST_OBJECT_LOCK (self);
  self->rate_n = MAX (n, 0);
  self->rate_d = MAX (d, 1);
  GST_OBJECT_UNLOCK (self);
}

static void
restart_sampling (GstTernJoint * self)
{
  GST_OBJECT_LOCK (self);
  tern_frame_sampler_init (&self->sampler, self->rate_n, self->rate_d);
  GST_OBJECT_UNLOCK (self);
  gst_tern_seen_init (&self->seen);
  self->tick = self->sampler.rate_n > 0 ? gst_util_uint64_scale (GST_SECOND,
      self->sampler.rate_d, self->sampler.rate_n) : 0;
  self->looked_shape = (GstTernShape) { 0, };
}

/* ---- Whether there is something to look at ---- */

/* What is kept in memory that is not the CPU's cannot be read here; what some
 * features add to frames in main memory changes nothing. */
static gboolean
memory_is_readable (const GstCapsFeatures * features)
{
  guint i;

  if (!features)
    return TRUE;
  if (gst_caps_features_is_any (features))
    return FALSE;
  for (i = 0; i < gst_caps_features_get_size (features); i++) {
    const gchar *name = gst_caps_features_get_nth (features, i);

    if (g_str_has_prefix (name, "memory:")
        && !g_str_equal (name, GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY)
        && !g_str_equal (name, "memory:DMABuf"))
      return FALSE;
  }
  return TRUE;
}

/* Fields that come one by one are low pictures with high pixels. */
static void
describe_fields (GstTernJoint * self, GstStructure * structure)
{
  gint n = 1, d = 1, height = 0;

  gst_structure_get_int (structure, "height", &height);
  gst_structure_get_fraction (structure, "pixel-aspect-ratio", &n, &d);
  self->field_height = (height + 1) / 2;
  if (n % 2 == 0)
    n /= 2;
  else if (d <= G_MAXINT / 2)
    d *= 2;
  gst_structure_set (structure, "height", G_TYPE_INT, self->field_height,
      "pixel-aspect-ratio", GST_TYPE_FRACTION, n, d,
      "interlace-mode", G_TYPE_STRING, "progressive", NULL);
  gst_structure_remove_field (structure, "field-order");
}

/* The caps of the encoder's side; NULL when it cannot have these frames. */
static GstCaps *
look_caps (GstTernJoint * self, GstCaps * caps)
{
  GstStructure *structure = gst_caps_get_structure (caps, 0);
  const gchar *mode = gst_structure_get_string (structure, "interlace-mode");
  const gchar *format = gst_structure_get_string (structure, "format");
  GstCaps *look, *able;

  self->field_height = 0;
  if (!memory_is_readable (gst_caps_get_features (caps, 0))
      || g_strcmp0 (format, "DMA_DRM") == 0)
    return NULL;
  look = gst_caps_copy (caps);
  gst_caps_set_features (look, 0, NULL);
  if (g_strcmp0 (mode, "alternate") == 0)
    describe_fields (self, gst_caps_get_structure (look, 0));
  able = gst_pad_peer_query_caps (self->lookpad, look);
  if (gst_caps_is_empty (able))
    gst_clear_caps (&look);
  gst_caps_unref (able);
  return look;
}

static void
warn_of_caps (GstTernJoint * self, GstCaps * caps)
{
  GST_ELEMENT_WARNING (self, STREAM, FORMAT,
      ("This video is passed on without captions."),
      ("expected raw video in main memory of a format that videoconvert reads, "
          "found %" GST_PTR_FORMAT "; what downloads or converts it in front "
          "(gldownload, cudadownload, vapostproc, nvvideoconvert, videoconvert) "
          "would help", caps));
}

/* Downstream need not wait for results that do not come. */
static void
promise (GstTernJoint * self)
{
  gboolean looking = self->able && self->segment.rate > 0.0;

  if (looking == self->promised)
    return;
  if (gst_pad_push_event (self->srcpad,
          gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
              gst_structure_new (GST_TERN_EVENT_LOOKING,
                  "looking", G_TYPE_BOOLEAN, looking, NULL))))
    self->promised = looking;
}

/* ---- Events ---- */

/* The encoder's side hears how far the stretch of video went that ends here. */
static void
end_stretch (GstTernJoint * self)
{
  GstClockTime stands = self->seen.stands;

  if (!self->able || !GST_CLOCK_TIME_IS_VALID (self->seen.pts))
    return;
  if (!GST_CLOCK_TIME_IS_VALID (stands) && self->frame_duration > 0)
    stands = self->frame_duration;
  gst_pad_push_event (self->lookpad, gst_event_new_gap (self->seen.pts,
          stands));
  gst_tern_seen_init (&self->seen);
}

static void
take_shape (GstTernJoint * self, const GstStructure * structure)
{
  GstTernShape *shape = &self->shape;

  *shape = (GstTernShape) { 0, 0, 1, 1 };
  gst_structure_get_int (structure, "width", &shape->width);
  gst_structure_get_int (structure, "height", &shape->height);
  gst_structure_get_fraction (structure, "pixel-aspect-ratio", &shape->par_n,
      &shape->par_d);
}

static gboolean
take_caps (GstTernJoint * self, GstEvent * event)
{
  gboolean was_able = self->able, ok;
  GstCaps *caps, *look;
  gint n = 0, d = 1;

  gst_event_parse_caps (event, &caps);
  self->live = gst_tern_upstream_is_live (self->sinkpad);
  self->frame_duration = 0;
  if (gst_structure_get_fraction (gst_caps_get_structure (caps, 0),
          "framerate", &n, &d) && n > 0 && d > 0)
    self->frame_duration = gst_util_uint64_scale (GST_SECOND, d, n);
  gst_tern_timeless_set_rate (&self->times, n, d);

  look = look_caps (self, caps);
  if (look)
    take_shape (self, gst_caps_get_structure (look, 0));
  if (!look && was_able) {
    end_stretch (self);
    gst_pad_push_event (self->lookpad, gst_tern_event_new_drain ());
  }
  self->able = look != NULL;
  if (!look)
    warn_of_caps (self, caps);
  /* Pads of text begin all the same: a muxer waits for them. */
  if (!look && !was_able)
    look = gst_caps_from_string (NO_CAPS);
  if (look) {
    gst_pad_push_event (self->lookpad, gst_event_new_caps (look));
    gst_caps_unref (look);
  }
  promise (self);
  ok = gst_pad_push_event (self->srcpad, gst_event_ref (event));
  gst_event_unref (event);
  return ok;
}

static gboolean
forward (GstTernJoint * self, GstEvent * event)
{
  gboolean ok;

  ok = gst_pad_push_event (self->lookpad, gst_event_ref (event));
  return gst_pad_push_event (self->srcpad, event) || ok;
}

static void
begin_stream (GstTernJoint * self)
{
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  restart_sampling (self);
  self->ended = FALSE;
}

static gboolean
handle_event (GstTernJoint * self, GstPad * pad, GstEvent * event)
{
  gboolean corrects = gst_tern_corrects_segment (event, &self->segment);

  if (gst_tern_ends_stretch (event, &self->segment))
    end_stretch (self);
  if (gst_event_has_name (event, GST_TERN_EVENT_TRIGGER)) {
    g_atomic_int_set (&self->triggered, TRUE);
    return gst_pad_push_event (self->srcpad, event);
  }
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      return take_caps (self, event);
    case GST_EVENT_SEGMENT:
      gst_event_copy_segment (event, &self->segment);
      if (self->segment.format != GST_FORMAT_TIME)
        gst_segment_init (&self->segment, GST_FORMAT_TIME);
      if (!corrects) {
        restart_sampling (self);
        gst_tern_timeless_begin_segment (&self->times);
      }
      promise (self);
      break;
    case GST_EVENT_FLUSH_STOP:
      g_atomic_int_set (&self->triggered, FALSE);
      begin_stream (self);
      gst_tern_timeless_begin_segment (&self->times);
      break;
    case GST_EVENT_STREAM_START:
      begin_stream (self);
      gst_tern_timeless_begin_stream (&self->times);
      break;
    case GST_EVENT_EOS:
      gst_tern_timeless_end_stream (&self->times, GST_ELEMENT_CAST (self));
      break;
    default:
      break;
  }
  return forward (self, event);
}

/* An event that was refused because of a flush is no error. */
static GstFlowReturn
gst_tern_joint_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTernJoint *self = GST_TERN_JOINT (parent);

  if (handle_event (self, pad, event))
    return GST_FLOW_OK;
  return gst_tern_event_flow (self->srcpad);
}

/* From the side of video. */
static gboolean
gst_tern_joint_src_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTernJoint *self = GST_TERN_JOINT (parent);

  if (!gst_event_has_name (event, GST_TERN_EVENT_TRIGGER))
    return gst_pad_event_default (pad, parent, event);
  g_atomic_int_set (&self->triggered, TRUE);
  gst_event_unref (event);
  return TRUE;
}

/* From the side of text: it has no say in how video is made. */
static gboolean
gst_tern_joint_look_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS
      || GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE
      || gst_event_has_name (event, GST_TERN_EVENT_PROGRESS)) {
    gst_event_unref (event);
    return TRUE;
  }
  return gst_pad_event_default (pad, parent, event);
}

/* ---- Frames ---- */

/* The encoder hears of it in front of the frame. */
static void
begin_anew (GstTernJoint * self)
{
  end_stretch (self);
  restart_sampling (self);
  gst_pad_push_event (self->lookpad, gst_tern_event_new_trigger ());
}

/* The encoder, which looks at pictures of another shape as another stretch, does
 * not see the frames between. */
static void
note_shape (GstTernJoint * self)
{
  if (gst_tern_shapes_part (&self->looked_shape, &self->shape))
    end_stretch (self);
  self->looked_shape = self->shape;
}

/* Time goes back within a segment: both sides begin anew, as with another one,
 * or what is said of the first time would be taken for the second. */
static void
repeat_segment (GstTernJoint * self)
{
  GstEvent *event =
      gst_pad_get_sticky_event (self->sinkpad, GST_EVENT_SEGMENT, 0);
  GstTernTimeless times = self->times;

  if (event) {
    handle_event (self, self->sinkpad, gst_event_copy (event));
    gst_event_unref (event);
    self->times = times;
  }
}

/* The encoder chooses the same frames out of these: taking the first frame at
 * or after each tick of a grid twice is taking it once. */
static gboolean
is_due (GstTernJoint * self, GstBuffer * buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer);

  if (!self->able || self->ended || self->segment.rate < 0.0)
    return FALSE;
  if (!gst_segment_clip (&self->segment, GST_FORMAT_TIME, pts, pts, NULL, NULL))
    return FALSE;
  if (g_atomic_int_compare_and_exchange (&self->triggered, TRUE, FALSE))
    begin_anew (self);
  if (tern_frame_sampler_take (&self->sampler, pts)) {
    if (pts < self->seen.pts && GST_CLOCK_TIME_IS_VALID (self->seen.pts)) {
      repeat_segment (self);
      tern_frame_sampler_take (&self->sampler, pts);
    }
    note_shape (self);
    gst_tern_seen_frame (&self->seen, buffer, self->tick);
    return TRUE;
  }
  gst_tern_seen_frame (&self->seen, buffer, self->tick);
  return FALSE;
}

/* A field's video meta says the height of the frame. */
static GstBuffer *
make_field (GstTernJoint * self, GstBuffer * buffer)
{
  GstVideoMeta *meta;

  buffer = gst_buffer_make_writable (buffer);
  meta = gst_buffer_get_video_meta (buffer);
  if (meta && meta->height > (guint) self->field_height)
    meta->height = self->field_height;
  return buffer;
}

static void
drop_copies (GstTernJoint * self)
{
  if (self->copies)
    gst_buffer_pool_set_active (self->copies, FALSE);
  gst_clear_object (&self->copies);
}

/* With room for a frame that was used before: fresh memory of the size of a
 * picture costs more than to fill it, and video waits meanwhile. */
static GstBuffer *
acquire_copy (GstTernJoint * self, gsize size)
{
  GstBuffer *copy = NULL;

  if (self->copies && self->copy_size != size)
    drop_copies (self);
  if (!self->copies) {
    GstStructure *config;

    self->copies = gst_buffer_pool_new ();
    self->copy_size = size;
    config = gst_buffer_pool_get_config (self->copies);
    gst_buffer_pool_config_set_params (config, NULL, size, 0, 0);
    if (!gst_buffer_pool_set_config (self->copies, config)
        || !gst_buffer_pool_set_active (self->copies, TRUE))
      drop_copies (self);
  }
  if (self->copies)
    gst_buffer_pool_acquire_buffer (self->copies, &copy, NULL);
  return copy;
}

/* What says where rows and planes lie goes with memory, which was copied whole;
 * gst_buffer_copy_into() leaves it out where it copies no memory itself. */
static gboolean
copy_layout (GstBuffer * buffer, GstMeta ** meta, gpointer copy)
{
  const GstMetaInfo *info = (*meta)->info;
  GstMetaTransformCopy whole = { FALSE, 0, -1 };

  if (gst_meta_api_type_has_tag (info->api,
          g_quark_from_static_string (GST_META_TAG_MEMORY_STR))
      && info->transform_func)
    info->transform_func (copy, *meta, buffer, _gst_meta_transform_copy,
        &whole);
  return TRUE;
}

static GstBuffer *
copy_frame (GstTernJoint * self, GstBuffer * buffer)
{
  gsize size = gst_buffer_get_size (buffer);
  GstBuffer *copy = NULL;
  GstMapInfo map;

  if (size > G_MAXUINT || gst_buffer_n_memory (buffer) != 1
      || !gst_buffer_map (buffer, &map, GST_MAP_READ))
    return gst_buffer_copy_deep (buffer);
  copy = acquire_copy (self, size);
  if (copy) {
    gst_buffer_fill (copy, 0, map.data, map.size);
    gst_buffer_copy_into (copy, buffer, GST_BUFFER_COPY_METADATA, 0, -1);
    gst_buffer_foreach_meta (buffer, copy_layout, copy);
  }
  gst_buffer_unmap (buffer, &map);
  return copy;
}

/* What leaves a live source must be writable downstream, and what comes from a
 * pool with a limit must go back: then the encoder's side has a copy of its
 * own. */
static GstBuffer *
get_looked_at (GstTernJoint * self, GstBuffer * buffer)
{
  GstBuffer *look;

  if (self->live || gst_tern_pool_limit (buffer->pool) > 0)
    look = copy_frame (self, buffer);
  else
    look = gst_buffer_ref (buffer);
  if (look && self->field_height > 0)
    look = make_field (self, look);
  return look;
}

/* Both sides have the same time of a frame. Without one it is not looked at, and
 * the encoder's side hears only that the stream has begun. */
static GstTernTiming
find_time (GstTernJoint * self, GstBuffer ** buffer)
{
  GstTernTiming timing;
  GstEvent *gap;

  if (!self->able)
    return GST_TERN_TIMED;
  timing = gst_tern_timeless_take (&self->times, GST_ELEMENT_CAST (self),
      &self->segment, self->live, buffer);
  if (timing == GST_TERN_TIMED)
    return timing;
  gap = gst_tern_timeless_announce (&self->times, &self->segment);
  if (gap)
    gst_pad_push_event (self->lookpad, gap);
  return timing;
}

/* Video goes on whatever becomes of its captions, unless there was an error,
 * which is known already. */
static GstFlowReturn
look_at (GstTernJoint * self, GstBuffer * buffer)
{
  GstBuffer *look = get_looked_at (self, buffer);
  GstFlowReturn flow;

  if (!look) {
    GST_WARNING_OBJECT (self, "cannot copy %" GST_PTR_FORMAT, buffer);
    return GST_FLOW_OK;
  }
  flow = gst_pad_push (self->lookpad, look);
  if (flow == GST_FLOW_NOT_NEGOTIATED) {
    GstCaps *caps = gst_pad_get_current_caps (self->sinkpad);

    self->able = FALSE;
    if (caps)
      warn_of_caps (self, caps);
    gst_clear_caps (&caps);
    promise (self);
    return GST_FLOW_OK;
  }
  if (flow == GST_FLOW_EOS) {
    self->ended = TRUE;
    return GST_FLOW_OK;
  }
  return flow;
}

static GstFlowReturn
gst_tern_joint_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTernJoint *self = GST_TERN_JOINT (parent);
  GstFlowReturn flow, look = GST_FLOW_OK;
  GstTernTiming timing;

  /* The encoder's side first: a video sink that prerolls on this frame blocks,
   * until there is something for the sinks of text. */
  timing = find_time (self, &buffer);
  if (timing == GST_TERN_TIMELESS)
    look = GST_FLOW_ERROR;
  else if (timing == GST_TERN_TIMED && is_due (self, buffer))
    look = look_at (self, buffer);
  if (look != GST_FLOW_OK && look != GST_FLOW_NOT_LINKED) {
    gst_buffer_unref (buffer);
    return look;
  }
  flow = gst_pad_push (self->srcpad, buffer);
  /* Text without video may be wanted. */
  if (flow == GST_FLOW_NOT_LINKED)
    flow = self->ended ? GST_FLOW_EOS : look;
  return flow;
}

/* ---- Queries ---- */

/* Downstream's answer holds for frames that the encoder's side reads, too, but
 * that it does not crop them. */
static gboolean
query_allocation (GstTernJoint * self, GstQuery * query)
{
  guint i, index;

  if (!gst_pad_peer_query (self->srcpad, query)) {
    if (gst_pad_is_linked (self->srcpad))
      return FALSE;
    gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  }
  while (gst_query_find_allocation_meta (query, GST_VIDEO_CROP_META_API_TYPE,
          &index))
    gst_query_remove_nth_allocation_meta (query, index);
  if (self->live)
    return TRUE;
  for (i = 0; i < gst_query_get_n_allocation_pools (query); i++) {
    GstBufferPool *pool;
    guint size, min, max;

    gst_query_parse_nth_allocation_pool (query, i, &pool, &size, &min, &max);
    min += LOOKED_AT_FRAMES;
    if (max > 0 && max < min) {
      max = min;
      gst_clear_object (&pool);
    }
    gst_query_set_nth_allocation_pool (query, i, pool, size, min, max);
    gst_clear_object (&pool);
  }
  return TRUE;
}

/* What downstream takes decides; the encoder's side has no say. */
static gboolean
query_caps (GstTernJoint * self, GstPad * pad, GstQuery * query)
{
  GstPad *other = pad == self->sinkpad ? self->srcpad : self->sinkpad;
  GstCaps *filter, *templ, *wanted, *result;

  gst_query_parse_caps (query, &filter);
  templ = gst_pad_get_pad_template_caps (pad);
  wanted = filter ? gst_caps_intersect_full (filter, templ,
      GST_CAPS_INTERSECT_FIRST) : gst_caps_ref (templ);
  result = gst_pad_peer_query_caps (other, wanted);
  gst_query_set_caps_result (query, result);
  gst_caps_unref (templ);
  gst_caps_unref (wanted);
  gst_caps_unref (result);
  return TRUE;
}

static gboolean
query_accept_caps (GstTernJoint * self, GstPad * pad, GstQuery * query)
{
  GstPad *other = pad == self->sinkpad ? self->srcpad : self->sinkpad;
  GstCaps *caps, *templ = gst_pad_get_pad_template_caps (pad);
  gboolean ok;

  gst_query_parse_accept_caps (query, &caps);
  ok = gst_caps_is_subset (caps, templ) && (!gst_pad_is_linked (other)
      || gst_pad_peer_query_accept_caps (other, caps));
  gst_query_set_accept_caps_result (query, ok);
  gst_caps_unref (templ);
  return TRUE;
}

static gboolean
gst_tern_joint_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTernJoint *self = GST_TERN_JOINT (parent);

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_ALLOCATION:
      return query_allocation (self, query);
    case GST_QUERY_CAPS:
      return query_caps (self, pad, query);
    case GST_QUERY_ACCEPT_CAPS:
      return query_accept_caps (self, pad, query);
    case GST_QUERY_DRAIN:
      if (self->able)
        gst_pad_peer_query (self->lookpad, query);
      return gst_pad_peer_query (self->srcpad, query);
    default:
      return gst_pad_query_default (pad, parent, query);
  }
}

static gboolean
gst_tern_joint_look_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTernJoint *self = GST_TERN_JOINT (parent);

  if (!gst_tern_take_trigger_query (query))
    return gst_pad_query_default (pad, parent, query);
  g_atomic_int_set (&self->triggered, TRUE);
  return TRUE;
}

static GstIterator *
gst_tern_joint_iterate_internal_links (GstPad * pad, GstObject * parent)
{
  GstTernJoint *self = GST_TERN_JOINT (parent);

  return gst_tern_iterate_one_pad (pad == self->sinkpad ? self->srcpad :
      self->sinkpad);
}

/* ---- The element ---- */

static gboolean
gst_tern_joint_sink_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernJoint *self = GST_TERN_JOINT (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active) {
    gst_segment_init (&self->segment, GST_FORMAT_TIME);
    restart_sampling (self);
    gst_tern_timeless_begin_stream (&self->times);
    g_atomic_int_set (&self->triggered, FALSE);
    self->able = self->ended = self->live = FALSE;
    self->promised = TRUE;
    self->frame_duration = 0;
    self->field_height = 0;
  }
  return TRUE;
}

static GstStateChangeReturn
gst_tern_joint_change_state (GstElement * element, GstStateChange transition)
{
  GstStateChangeReturn ret;

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    drop_copies (GST_TERN_JOINT (element));
  return ret;
}

static void
gst_tern_joint_class_init (GstTernJointClass * klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_tern_joint_debug, "ternjoint", 0,
      "Where video and what is looked at part");
  element_class->change_state = gst_tern_joint_change_state;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &look_template);
  gst_element_class_set_static_metadata (element_class, "Tern joint",
      "Generic", "Passes video on, and the frames that are due to an encoder",
      "The Tern developers");
}

static GstPad *
add_pad (GstTernJoint * self, GstStaticPadTemplate * template)
{
  GstPad *pad = gst_pad_new_from_static_template (template,
      template->name_template);

  gst_pad_set_query_function (pad, gst_tern_joint_query);
  gst_pad_set_iterate_internal_links_function (pad,
      gst_tern_joint_iterate_internal_links);
  return pad;
}

static void
gst_tern_joint_init (GstTernJoint * self)
{
  self->sinkpad = add_pad (self, &sink_template);
  gst_pad_set_chain_function (self->sinkpad, gst_tern_joint_chain);
  gst_pad_set_event_full_function (self->sinkpad, gst_tern_joint_sink_event);
  gst_pad_set_activatemode_function (self->sinkpad,
      gst_tern_joint_sink_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = add_pad (self, &src_template);
  gst_pad_set_event_function (self->srcpad, gst_tern_joint_src_event);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);

  self->lookpad = add_pad (self, &look_template);
  gst_pad_set_event_function (self->lookpad, gst_tern_joint_look_event);
  gst_pad_use_fixed_caps (self->lookpad);
  gst_pad_set_query_function (self->lookpad, gst_tern_joint_look_query);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->lookpad);

  self->rate_d = 1;
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
}
