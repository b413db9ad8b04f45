/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes: frames become groups, groups leave with the tokens that stay, and
 * what ends a group ends it. */
#include "gstterncompressor-priv.h"

#include "gstternelement.h"
#include "gstternerror.h"

/* ---- Groups ---- */

static GstFlowReturn
push_frame (GstTernCompressor * self, const TernTokens * frame)
{
  gsize bytes = (gsize) frame->n_tokens * frame->dim * sizeof (float);
  GstBuffer *buffer = NULL;
  GstFlowReturn flow;

  flow = gst_buffer_pool_acquire_buffer (self->pool, &buffer, NULL);
  if (flow != GST_FLOW_OK)
    return flow;
  gst_buffer_fill (buffer, 0, frame->tokens, bytes);
  gst_tern_token_buffer_describe (buffer, frame);
  if (self->discont) {
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
    self->discont = FALSE;
  }
  GST_LOG_OBJECT (self, "frame %" G_GUINT64_FORMAT ": %u of %u x %u tokens",
      frame->number, frame->n_tokens, frame->grid_w, frame->grid_h);
  return gst_pad_push (self->srcpad, buffer);
}

static GstFlowReturn
push_ready (GstTernCompressor * self)
{
  GstFlowReturn flow = GST_FLOW_OK;
  TernTokens frame;

  while (tern_compressor_pop (self->compressor, &frame)) {
    if (self->pending > 0)
      self->pending--;
    if (flow == GST_FLOW_OK)
      flow = push_frame (self, &frame);
  }
  return flow;
}

static GstFlowReturn
drain (GstTernCompressor * self)
{
  GstFlowReturn flow = GST_FLOW_OK;

  if (self->compressor && self->pending > 0) {
    GST_DEBUG_OBJECT (self, "draining %u frames", self->pending);
    tern_compressor_drain (self->compressor);
    flow = push_ready (self);
  }
  if (self->gap)
    gst_pad_push_event (self->srcpad, g_steal_pointer (&self->gap));
  return flow;
}

/* What comes next begins another group, numbered or not. */
static void
end_group (GstTernCompressor * self)
{
  drain (self);
  if (self->grouper)
    tern_grouper_finish (self->grouper);
  self->new_group = TRUE;
  self->count = (self->count + TERN_GROUP_FRAMES - 1) / TERN_GROUP_FRAMES *
      TERN_GROUP_FRAMES;
}

/* ---- Windows ----
 *
 * When frames are missing, groups would go on beyond a window. */

static GstClockTime
stream_time (GstTernCompressor * self, GstClockTime pts)
{
  GstClockTime time =
      gst_segment_to_stream_time (&self->segment, GST_FORMAT_TIME, pts);

  return GST_CLOCK_TIME_IS_VALID (time) ? time : pts;
}

static void
find_windows (GstTernCompressor * self)
{
  guint64 window, hop;

  g_clear_pointer (&self->grouper, tern_grouper_free);
  if (self->info.rate_n > 0
      && gst_tern_query_windows (self->srcpad, &window, &hop))
    self->grouper = tern_grouper_new (window, hop, self->info.rate_n,
        self->info.rate_d);
}

/* Gives @frame the number that puts it into its group; FALSE: no window has
 * it. */
static gboolean
number_frame (GstTernCompressor * self, TernTokens * frame)
{
  guint64 came = frame->number;
  TernGrouping grouping;
  gboolean begins;

  if (!self->grouper || self->segment.applied_rate != 1.0)
    return TRUE;
  grouping = tern_grouper_add (self->grouper, stream_time (self, frame->pts),
      frame->late, frame->duration);
  begins = grouping == TERN_GROUPING_BEGIN || self->new_group;
  if (grouping == TERN_GROUPING_SKIP)
    return FALSE;
  self->new_group = FALSE;
  if (self->have_number) {
    begins |= came != self->came + 1;
    frame->number = self->left + 1;
    if (begins)
      frame->number = (frame->number + TERN_GROUP_FRAMES - 1)
          / TERN_GROUP_FRAMES * TERN_GROUP_FRAMES;
  }
  self->have_number = TRUE;
  self->came = came;
  self->left = frame->number;
  return TRUE;
}

/* Whether video that is at @pts, and stands for @duration, ends a window. */
static gboolean
see (GstTernCompressor * self, GstClockTime pts, GstClockTime duration)
{
  gboolean ends;

  if (!self->grouper)
    return FALSE;
  if (!GST_CLOCK_TIME_IS_VALID (duration))
    duration = 0;
  pts = stream_time (self, pts);
  ends = tern_grouper_see (self->grouper, pts, duration);
  if (duration > 0)
    ends |= tern_grouper_see (self->grouper, pts + duration, 0);
  return ends;
}

void
gst_tern_compressor_drop (GstTernCompressor * self)
{
  TernCompressorStats stats = { 0, };
  TernCompressor *old;

  GST_OBJECT_LOCK (self);
  old = self->compressor;
  self->compressor = NULL;
  if (old) {
    tern_compressor_stats (old, &stats);
    self->stats.frames += stats.frames;
    self->stats.groups += stats.groups;
    self->stats.tokens_in += stats.tokens_in;
    self->stats.tokens_kept += stats.tokens_kept;
    self->stats.milliseconds += stats.milliseconds;
  }
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&old, tern_compressor_free);
  if (self->pool) {
    gst_buffer_pool_set_active (self->pool, FALSE);
    gst_clear_object (&self->pool);
  }
  self->pending = 0;
}

/* What is set, and what only a stream has; under the object lock. */
static TernCompressorParams
stream_params (GstTernCompressor * self)
{
  TernCompressorParams params = self->params;

  if (self->grouper)
    params.window_frames = tern_grouper_window_frames (self->grouper);
  else
    params.max_tokens_per_window = 0;   /* of no window */
  params.rate_n = MAX (self->info.rate_n, 0);
  params.rate_d = MAX (self->info.rate_d, 1);
  if (params.rate_n == 0)
    params.max_tokens_per_second = 0;
  return params;
}

/* Tells downstream how many tokens a group has at most: a model plans for them.
 * Only more of them need to be told. */
static gboolean
push_caps (GstTernCompressor * self, gboolean new_caps)
{
  TernCompressorParams params;
  guint64 bound;
  guint group;
  GstCaps *caps;
  gboolean ok;

  GST_OBJECT_LOCK (self);
  params = stream_params (self);
  GST_OBJECT_UNLOCK (self);
  bound = tern_compressor_bound (&params, TERN_GROUP_FRAMES,
      self->info.frame_tokens);
  group = bound <= G_MAXINT ? (guint) bound : 0;
  if (!new_caps && group <= self->info.group_tokens)
    return TRUE;

  self->info.group_tokens = group;
  caps = gst_tern_token_info_to_caps (&self->info);
  GST_DEBUG_OBJECT (self, "caps %" GST_PTR_FORMAT, caps);
  ok = gst_pad_push_event (self->srcpad, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  return ok;
}

/* A budget of @set that nothing is known of to spread it over. */
static void
tell_unlimited (GstTernCompressor * self, const TernCompressorParams * set,
    const TernCompressorParams * params)
{
  if (set->max_tokens_per_window > params->max_tokens_per_window)
    GST_ELEMENT_INFO (self, STREAM, FORMAT, ("Tokens are not limited."),
        ("max-tokens-per-window=%u: expected a terngenerator behind, which "
            "knows the windows, found none", set->max_tokens_per_window));
  if (set->max_tokens_per_second > params->max_tokens_per_second)
    GST_ELEMENT_INFO (self, STREAM, FORMAT, ("Tokens are not limited."),
        ("max-tokens-per-second=%u: expected tokens with a framerate, found "
            "none", set->max_tokens_per_second));
}

/* Makes room for frames of @tokens tokens. */
static gboolean
prepare (GstTernCompressor * self, guint tokens, GError ** error)
{
  TernCompressorParams params, set;
  TernCompressor *compressor;
  gboolean changed;
  GstCaps *caps;

  GST_OBJECT_LOCK (self);
  params = stream_params (self);
  set = self->params;
  changed = self->params_changed;
  self->params_changed = FALSE;
  GST_OBJECT_UNLOCK (self);

  if (changed) {
    tell_unlimited (self, &set, &params);
    push_caps (self, FALSE);
  }
  if (self->compressor && tokens <= self->capacity)
    return !changed
        || tern_compressor_set_params (self->compressor, &params, error);

  gst_tern_compressor_drop (self);
  compressor = tern_compressor_new (&params, tokens, self->info.dim, error);
  if (!compressor)
    return FALSE;
  caps = gst_tern_token_info_to_caps (&self->info);
  self->pool = gst_tern_token_pool_new (caps, tokens, self->info.dim);
  gst_caps_unref (caps);
  if (!self->pool) {
    tern_compressor_free (compressor);
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE,
        "no memory for frames of %u tokens of %u floats", tokens,
        self->info.dim);
    return FALSE;
  }
  self->capacity = tokens;
  GST_OBJECT_LOCK (self);
  tern_compressor_set_budget (compressor, self->budget);
  self->compressor = compressor;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static GstClockTime
group_time (GstTernCompressor * self)
{
  if (self->info.rate_n <= 0)
    return 2 * GST_SECOND;
  return gst_util_uint64_scale (TERN_GROUP_FRAMES * GST_SECOND,
      self->info.rate_d, self->info.rate_n);
}

/* A stretch ends before what comes at @tick. */
static gboolean
is_apart (GstTernCompressor * self, GstClockTime tick)
{
  return GST_CLOCK_TIME_IS_VALID (self->last_tick)
      && tern_frame_step (self->last_tick, tick, self->info.rate_n,
      self->info.rate_d) != TERN_STEP_ON;
}

/* Frames stay whole, whatever the others of their group are. */
static gboolean
keeps_all (GstTernCompressor * self)
{
  gboolean all;

  GST_OBJECT_LOCK (self);
  all = self->params.method == TERN_METHOD_NONE && self->params.max_tokens == 0
      && self->params.max_tokens_per_frame == 0
      && self->params.max_tokens_per_window == 0
      && self->params.max_tokens_per_second == 0;
  GST_OBJECT_UNLOCK (self);
  return all;
}

/* Who may be asked about it hears of a frame that is held. */
static void
push_preview (GstTernCompressor * self, GstBuffer * buffer, guint64 number)
{
  gboolean previews;

  GST_OBJECT_LOCK (self);
  previews = self->previews;
  GST_OBJECT_UNLOCK (self);
  if (previews)
    gst_pad_push_event (self->srcpad, gst_tern_event_new_preview (buffer,
            number));
}

/* Gives @frame to the compressor. ERROR with @error set: it does not take it. */
static GstFlowReturn
add_frame (GstTernCompressor * self, const TernTokens * frame, GError ** error)
{
  GstFlowReturn flow = GST_FLOW_OK;
  GError *refusal = NULL;

  if (!prepare (self, MAX (frame->n_tokens, 1), error))
    return GST_FLOW_ERROR;
  while (flow == GST_FLOW_OK
      && !tern_compressor_push (self->compressor, frame, &refusal)) {
    if (!g_error_matches (refusal, TERN_ERROR, TERN_ERROR_BUSY)
        || self->pending == 0) {
      g_propagate_error (error, refusal);
      return GST_FLOW_ERROR;
    }
    /* The frame belongs to another group than those before it. */
    g_clear_error (&refusal);
    flow = push_ready (self);
  }
  return flow;
}

/* Takes @error. */
static GstFlowReturn
post_refusal (GstTernCompressor * self, GError * error)
{
  /* No model file has to do with it. */
  if (g_error_matches (error, TERN_ERROR, TERN_ERROR_FORMAT)
      || g_error_matches (error, TERN_ERROR, TERN_ERROR_INVALID))
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("These visual tokens cannot be compressed."), ("%s", error->message));
  else
    gst_tern_post_error (self, error);
  g_error_free (error);
  return GST_FLOW_ERROR;
}

static GstFlowReturn
take_frame (GstTernCompressor * self, GstBuffer * buffer)
{
  GstFlowReturn flow = GST_FLOW_OK;
  TernTokens *frame = &self->map.tokens;
  GError *error = NULL;
  GstClockTime tick;
  guint64 number;

  if (!gst_tern_token_map (&self->map, buffer, &self->info, self->count,
          &error))
    return post_refusal (self, error);
  if (frame->keep) {
    g_set_error (&error, TERN_ERROR, TERN_ERROR_FORMAT,
        "expected whole frames, found one of which %u tokens of %u x %u are "
        "left: is there another terncompressor before this one?",
        frame->n_tokens, frame->grid_w, frame->grid_h);
    gst_tern_token_unmap (&self->map, buffer);
    return post_refusal (self, error);
  }
  tick = frame->pts - MIN (frame->late, frame->pts);
  if (is_apart (self, tick) || frame->n_tokens > self->capacity)
    flow = drain (self);
  self->last_tick = tick;
  self->count = frame->number + 1;
  if (flow == GST_FLOW_OK && !number_frame (self, frame)) {
    flow = drain (self);
    gst_pad_push_event (self->srcpad, gst_event_new_gap (frame->pts,
            frame->duration));
    gst_tern_token_unmap (&self->map, buffer);
    return flow;
  }
  /* The frame says more than a gap before it. */
  gst_clear_event (&self->gap);
  if (flow == GST_FLOW_OK)
    flow = add_frame (self, frame, &error);
  if (flow == GST_FLOW_OK) {
    /* It waits for its group; that video went on is known at once, and ends the
     * window before. The next one begins with it. */
    if (self->pending++ == 0)
      gst_pad_push_event (self->srcpad, gst_event_new_gap (tick, 0));
  }
  number = frame->number;
  gst_tern_token_unmap (&self->map, buffer);
  if (error)
    return post_refusal (self, error);
  if (flow != GST_FLOW_OK)
    return flow;
  flow = keeps_all (self) ? drain (self) : push_ready (self);
  if (flow == GST_FLOW_OK && self->pending > 0)
    push_preview (self, buffer, number);
  return flow;
}

GstFlowReturn
gst_tern_compressor_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTernCompressor *self = GST_TERN_COMPRESSOR (parent);
  GstFlowReturn flow;

  if (!self->have_info) {
    gst_buffer_unref (buffer);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  if (!GST_BUFFER_PTS_IS_VALID (buffer)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("Visual tokens without timestamps cannot be compressed."),
        ("expected a PTS on every buffer, found none"));
    return GST_FLOW_ERROR;
  }

  if (GST_BUFFER_IS_DISCONT (buffer))
    self->discont = TRUE;
  flow = take_frame (self, buffer);
  gst_buffer_unref (buffer);
  return flow;
}

static void
forget_numbers (GstTernCompressor * self)
{
  self->count = 0;
  self->last_tick = GST_CLOCK_TIME_NONE;
  self->have_number = FALSE;
  if (self->grouper)
    tern_grouper_finish (self->grouper);
}

void
gst_tern_compressor_reset (GstTernCompressor * self)
{
  if (self->compressor)
    tern_compressor_reset (self->compressor);
  self->pending = 0;
  forget_numbers (self);
  self->discont = FALSE;
  gst_clear_event (&self->gap);
}

/* Says why an event did not get further: one that comes while everything is
 * flushed or shut down is no error of the stream. */
static GstFlowReturn
event_flow (GstTernCompressor * self, gboolean ok, GstFlowReturn refused)
{
  if (ok)
    return GST_FLOW_OK;
  return GST_PAD_IS_FLUSHING (self->srcpad) ? GST_FLOW_FLUSHING : refused;
}

static GstFlowReturn
caps_event (GstTernCompressor * self, GstEvent * event)
{
  GstTernTokenInfo info;
  GstFlowReturn flow;
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  drain (self);
  if (!gst_tern_take_token_caps (GST_ELEMENT_CAST (self), caps, &info)) {
    gst_event_unref (event);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  if (self->have_info && info.dim != self->info.dim)
    gst_tern_compressor_drop (self);
  gst_event_unref (event);
  self->info = info;
  self->info.group_tokens = 0;
  self->have_info = TRUE;
  flow = event_flow (self, push_caps (self, TRUE), GST_FLOW_NOT_NEGOTIATED);
  if (flow == GST_FLOW_OK)
    find_windows (self);
  GST_OBJECT_LOCK (self);
  self->params_changed = TRUE;  /* budgets are spread over windows and rate */
  GST_OBJECT_UNLOCK (self);
  return flow;
}

static GstFlowReturn
gap_event (GstTernCompressor * self, GstEvent * event)
{
  GstClockTime pts, duration;
  gboolean ends;

  gst_event_parse_gap (event, &pts, &duration);
  ends = see (self, pts, duration);
  /* Frames that wait are earlier than the gap. A long one completes their
   * group; a short one says something only if nothing comes after it. */
  if (self->pending > 0) {
    gst_clear_event (&self->gap);
    self->gap = event;
    if (GST_CLOCK_TIME_IS_VALID (duration))
      pts += duration;
    if (ends || is_apart (self, pts))
      drain (self);
    return GST_FLOW_OK;
  }
  gst_pad_push_event (self->srcpad, event);
  return GST_FLOW_OK;
}

GstFlowReturn
gst_tern_compressor_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  GstTernCompressor *self = GST_TERN_COMPRESSOR (parent);
  gboolean sticky = GST_EVENT_IS_STICKY (event);

  if (gst_tern_ends_stretch (event, &self->segment)) {
    drain (self);
    forget_numbers (self);
  }
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_STOP:
      gst_tern_compressor_reset (self);
      /* FALLTHROUGH */
    case GST_EVENT_STREAM_START:
      gst_segment_init (&self->segment, GST_FORMAT_TIME);
      break;
    case GST_EVENT_SEGMENT:
      gst_event_copy_segment (event, &self->segment);
      break;
    case GST_EVENT_CAPS:
      return caps_event (self, event);
    case GST_EVENT_GAP:
      return gap_event (self, event);
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      if (gst_event_has_name (event, GST_TERN_EVENT_DRAIN)
          || gst_event_has_name (event, GST_TERN_EVENT_TRIGGER))
        end_group (self);
      break;
    default:
      break;
  }
  /* What nobody knew what to do with is no error either. */
  return event_flow (self, gst_pad_event_default (pad, parent, event),
      sticky ? GST_FLOW_ERROR : GST_FLOW_OK);
}

/* A text sink that is late is no reason for the camera to hurry. */
gboolean
gst_tern_compressor_src_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  if (GST_EVENT_TYPE (event) != GST_EVENT_QOS)
    return gst_pad_event_default (pad, parent, event);
  gst_event_unref (event);
  return TRUE;
}

/* Frames wait for the rest of their group. */
gboolean
gst_tern_compressor_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query)
{
  GstTernCompressor *self = GST_TERN_COMPRESSOR (parent);
  GstClockTime min, max, wait;
  gboolean live;

  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return gst_pad_query_default (pad, parent, query);
  if (!gst_pad_peer_query (self->sinkpad, query))
    return FALSE;

  gst_query_parse_latency (query, &live, &min, &max);
  if (live && self->have_info
      && !gst_structure_has_field (gst_query_get_structure (query),
          GST_TERN_QUERY_TEXT)) {
    wait = group_time (self) / TERN_GROUP_FRAMES * (TERN_GROUP_FRAMES - 1);
    min += wait;
    if (GST_CLOCK_TIME_IS_VALID (max))
      max += wait;
    gst_query_set_latency (query, live, min, max);
  }
  return TRUE;
}
