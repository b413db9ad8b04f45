/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-terngenerator
 * @title: terngenerator
 * @short_description: says what visual tokens show
 *
 * Collects the visual tokens of a window of frames, and answers the prompt about
 * each window with a language model. `src` has text whose PTS and duration are
 * those of the window, `json_src` the result as one line of JSON. Both carry
 * TernResultMeta. The bus gets an element message `tern-result` and the signal
 * `result` is emitted, whether or not anything is linked.
 *
 * The model works in threads of its own. Behind a live source old windows are
 * dropped for the newest one, with a QOS message; otherwise upstream waits and
 * every window is answered, see `leaky`. At EOS, at a new segment and where more
 * than a window is missing the last, partial window is answered. A flush ends
 * running work.
 *
 * Tokens of an encoder that does not belong to the model are refused when caps
 * are negotiated. Behind a live source text has the time of the newest frame when
 * it was ready, which is what an overlay needs, see `text-timestamps`; JSON keeps
 * the time of its window.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! ternencoder model-path=tern.gguf ! terncompressor ! terngenerator model-path=tern.gguf prompt="What happens?" window=4000000000 ! srtenc ! filesink location=clip.srt
 * ]| Subtitles of a file.
 *
 * Since: 0.1
 */
#include "gstterngenerator.h"

#include <string.h>
#include "gstternenums.h"
#include "gstternerror.h"
#include "gstternloader.h"
#include "gstternmeta.h"

GST_DEBUG_CATEGORY_STATIC (gst_tern_generator_debug);
#define GST_CAT_DEFAULT gst_tern_generator_debug

#define QUEUE_RESULTS 16        /* wait for downstream, when not leaky */
#define POLL_US (20 * G_TIME_SPAN_MILLISECOND)

enum
{
  PROP_0,
  PROP_MODEL_PATH,
  PROP_MMPROJ_PATH,
  PROP_THREADS,
  PROP_SHARED                   /* those of terncaption; PROP_SHARED + the order below */
};

enum
{
  SHARED_PROMPT,
  SHARED_PROMPT_PATH,
  SHARED_WINDOW,
  SHARED_HOP,
  SHARED_MAX_TOKENS,
  SHARED_BEAM,
  SHARED_TEMPERATURE,
  SHARED_TOP_K,
  SHARED_TOP_P,
  SHARED_MIN_P,
  SHARED_REPETITION_PENALTY,
  SHARED_SEED,
  SHARED_KV_PRUNE,
  SHARED_KV_GATE,
  SHARED_LEAKY,
  SHARED_METRICS,
  SHARED_TIMESTAMPS,
  SHARED_LAST
};

enum
{
  SIGNAL_RESULT,
  SIGNAL_CANCEL,
  LAST_SIGNAL
};

static guint signals[LAST_SIGNAL];

/* What the src task has to do, in order: one of the two. */
typedef struct
{
  TernResult *result;
  GstEvent *event;
} OutItem;

struct _GstTernGenerator
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;

  /* Under the object lock. */
  GstPad *jsonpad;
  gchar *model_path, *mmproj_path, *prompt, *prompt_path;
  TernSessionParams params;     /* what properties set; strings are unused */
  guint threads;
  GstTernLeaky leaky;
  GstTernTimestamps timestamps;
  gboolean params_changed;
  guint prompt_number;
  gboolean live;                /* upstream */
  GstClockTime compute;         /* time that a window takes, as reported */

  /* Under @session_lock for all but the streaming thread, which replaces it.
   * Never taken by the engine thread. */
  GMutex session_lock;
  TernSession *session;

  /* Under @lock. */
  GMutex lock;
  GCond cond;
  GQueue out;                   /* OutItem */
  guint n_results;              /* of them */
  GstFlowReturn flow;
  gboolean eos;
  guint64 dropped_seen;

  gint interrupted;             /* atomic: nobody waits for the model */
  GstTernLoader *loader;

  /* The streaming thread's. */
  GstTernTokenInfo info;
  gboolean have_info;
  GstTernTokenMap map;
  GstSegment segment;
  guint64 count;
  GstClockTime last_end;        /* of the tokens so far; NONE before them */
  gboolean session_leaky;

  /* The src task's. */
  GstSegment out_segment;
  GstClockTime position;        /* up to which text is decided */
  GstEvent *segment_event;
  guint group_id;
  gboolean have_group_id;
  gboolean src_started, json_started;
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_TERN_TOKEN_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("text/x-raw, format = (string) utf8"));
static GstStaticPadTemplate json_template =
GST_STATIC_PAD_TEMPLATE ("json_src", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("application/x-json"));

#define gst_tern_generator_parent_class parent_class
G_DEFINE_TYPE (GstTernGenerator, gst_tern_generator, GST_TYPE_ELEMENT);
GST_ELEMENT_REGISTER_DEFINE (terngenerator, "terngenerator", GST_RANK_NONE,
    GST_TYPE_TERN_GENERATOR);

/* Text about the past is of no use to what shows a live picture. */
static gboolean
stamps_arrival (GstTernGenerator * self)
{
  gboolean arrival;

  GST_OBJECT_LOCK (self);
  arrival = self->timestamps == GST_TERN_TIMESTAMPS_ARRIVAL
      || (self->timestamps == GST_TERN_TIMESTAMPS_AUTO && self->live);
  GST_OBJECT_UNLOCK (self);
  return arrival;
}

/* ---- What waits for the src task ---- */

static void
out_item_free (OutItem * item)
{
  g_clear_pointer (&item->result, tern_result_unref);
  gst_clear_event (&item->event);
  g_free (item);
}

static void
clear_out (GstTernGenerator * self)
{
  OutItem *item;

  while ((item = g_queue_pop_head (&self->out)))
    out_item_free (item);
  self->n_results = 0;
}

/* (transfer full); FALSE when nothing goes out any more. */
static gboolean
enqueue_event (GstTernGenerator * self, GstEvent * event)
{
  OutItem *item;
  gboolean ok, ended;

  g_mutex_lock (&self->lock);
  ok = self->flow == GST_FLOW_OK;
  ended = self->flow == GST_FLOW_EOS;
  if (ok) {
    item = g_new0 (OutItem, 1);
    item->event = event;
    if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
      self->eos = TRUE;
    g_queue_push_tail (&self->out, item);
    g_cond_broadcast (&self->cond);
  }
  g_mutex_unlock (&self->lock);
  if (ok)
    return TRUE;
  /* Downstream took no more text; the end it still has to hear of. */
  if (ended && GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    return gst_pad_event_default (self->sinkpad, GST_OBJECT_CAST (self), event);
  gst_event_unref (event);
  return FALSE;
}

/* One gap waits at most: a later one extends it. */
static void
enqueue_gap (GstTernGenerator * self, GstClockTime pts, GstClockTime duration)
{
  OutItem *last;

  g_mutex_lock (&self->lock);
  last = g_queue_peek_tail (&self->out);
  if (last && last->event && GST_EVENT_TYPE (last->event) == GST_EVENT_GAP) {
    GstClockTime start;

    gst_event_parse_gap (last->event, &start, NULL);
    if (start <= pts) {
      gst_event_replace (&last->event, NULL);
      last->event = gst_event_new_gap (start, pts + duration - start);
      g_mutex_unlock (&self->lock);
      return;
    }
  }
  g_mutex_unlock (&self->lock);
  enqueue_event (self, gst_event_new_gap (pts, duration));
}

/* On the engine thread. */
static void
on_result (void *data, TernResult * result)
{
  GstTernGenerator *self = data;

  g_mutex_lock (&self->lock);
  if (self->flow == GST_FLOW_OK) {
    OutItem *item = g_new0 (OutItem, 1);

    item->result = tern_result_ref (result);
    g_queue_push_tail (&self->out, item);
    self->n_results++;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

/* ---- The src task ---- */

static void
start_pad (GstTernGenerator * self, GstPad * pad, const gchar * name,
    const gchar * media_type)
{
  gchar *id =
      gst_pad_create_stream_id (pad, GST_ELEMENT_CAST (self), name);
  GstEvent *event = gst_event_new_stream_start (id);
  GstCaps *caps;

  gst_event_set_stream_flags (event, GST_STREAM_FLAG_SPARSE);
  if (self->have_group_id)
    gst_event_set_group_id (event, self->group_id);
  gst_pad_push_event (pad, event);
  g_free (id);

  if (strcmp (name, "text") == 0)
    caps = gst_caps_new_simple (media_type, "format", G_TYPE_STRING, "utf8",
        NULL);
  else
    caps = gst_caps_new_empty_simple (media_type);
  gst_pad_push_event (pad, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  if (self->segment_event)
    gst_pad_push_event (pad, gst_event_ref (self->segment_event));
}

static GstPad *
ref_json_pad (GstTernGenerator * self)
{
  GstPad *pad = NULL;

  GST_OBJECT_LOCK (self);
  if (self->jsonpad)
    pad = gst_object_ref (self->jsonpad);
  GST_OBJECT_UNLOCK (self);
  return pad;
}

/* Both pads have what must come before anything else. Returns the JSON pad. */
static GstPad *
start_pads (GstTernGenerator * self)
{
  GstPad *json;

  if (!self->src_started) {
    self->src_started = TRUE;
    start_pad (self, self->srcpad, "text", "text/x-raw");
  }
  json = ref_json_pad (self);
  if (json && !self->json_started) {
    self->json_started = TRUE;
    start_pad (self, json, "json", "application/x-json");
  }
  return json;
}

static void
push_event_everywhere (GstTernGenerator * self, GstEvent * event)
{
  GstPad *json = start_pads (self);

  if (json) {
    gst_pad_push_event (json, gst_event_ref (event));
    gst_object_unref (json);
  }
  gst_pad_push_event (self->srcpad, event);
}

/* When text has the time of its arrival, JSON still has that of its window, and
 * only the gap at the start is true of both. */
static void
emit_gap (GstTernGenerator * self, GstEvent * event)
{
  GstClockTime pts, duration;
  gboolean arrival, first;
  GstPad *json;

  gst_event_parse_gap (event, &pts, &duration);
  if (!GST_CLOCK_TIME_IS_VALID (duration))
    duration = 0;
  if (GST_CLOCK_TIME_IS_VALID (self->position)
      && pts + duration < self->position) {
    gst_event_unref (event);
    return;
  }
  first = !GST_CLOCK_TIME_IS_VALID (self->position);
  self->position = pts + duration;

  arrival = stamps_arrival (self);
  json = start_pads (self);
  if (json) {
    if (!arrival)
      gst_pad_push_event (json, gst_event_ref (event));
    else if (first)
      gst_pad_push_event (json, gst_event_new_gap (pts, 0));
    gst_object_unref (json);
  }
  gst_pad_push_event (self->srcpad, event);
}

static void
emit_event (GstTernGenerator * self, GstEvent * event)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      self->have_group_id = gst_event_parse_group_id (event, &self->group_id);
      self->src_started = self->json_started = FALSE;
      gst_clear_event (&self->segment_event);
      gst_event_unref (event);
      return;
    case GST_EVENT_SEGMENT:{
      GstPad *json;

      /* Before the segment, so that it is sent once. */
      json = start_pads (self);
      gst_clear_object (&json);
      gst_event_copy_segment (event, &self->out_segment);
      self->position = GST_CLOCK_TIME_NONE;
      gst_event_replace (&self->segment_event, event);
      break;
    }
    case GST_EVENT_GAP:
      emit_gap (self, event);
      return;
    default:
      break;
  }
  push_event_everywhere (self, event);
}

static GstClockTime
position_of (const GstSegment * segment, guint64 stream_time)
{
  guint64 position;

  if (stream_time == TERN_TIME_NONE)
    return GST_CLOCK_TIME_NONE;
  position = gst_segment_position_from_stream_time (segment, GST_FORMAT_TIME,
      stream_time);
  return position == (guint64) - 1 ? stream_time : position;
}

/* How long windows take, for the latency: grows only. */
static void
note_compute (GstTernGenerator * self, const TernResult * result)
{
  GstClockTime now, end;
  gboolean changed = FALSE;

  now = gst_element_get_current_running_time (GST_ELEMENT_CAST (self));
  end = gst_segment_to_running_time (&self->out_segment, GST_FORMAT_TIME,
      position_of (&self->out_segment, (guint64) (result->end * TERN_SECOND)));
  if (!GST_CLOCK_TIME_IS_VALID (now) || !GST_CLOCK_TIME_IS_VALID (end)
      || now <= end)
    return;

  GST_OBJECT_LOCK (self);
  if (self->live && now - end > self->compute) {
    self->compute = (now - end) / 4 * 5;
    changed = TRUE;
  }
  GST_OBJECT_UNLOCK (self);
  if (changed) {
    GST_INFO_OBJECT (self, "a window took %" GST_TIME_FORMAT,
        GST_TIME_ARGS (now - end));
    gst_element_post_message (GST_ELEMENT_CAST (self),
        gst_message_new_latency (GST_OBJECT_CAST (self)));
  }
}

static void
post_dropped (GstTernGenerator * self, const GstSegment * segment,
    GstClockTime pts)
{
  TernSessionStats stats = { 0, };
  gboolean news = FALSE;
  GstMessage *message;

  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_stats (self->session, &stats);
  g_mutex_unlock (&self->session_lock);
  g_mutex_lock (&self->lock);
  if (stats.windows_dropped > self->dropped_seen) {
    self->dropped_seen = stats.windows_dropped;
    news = TRUE;
  }
  g_mutex_unlock (&self->lock);
  if (!news)
    return;

  GST_INFO_OBJECT (self, "%" G_GUINT64_FORMAT " windows dropped so far",
      stats.windows_dropped);
  message = gst_message_new_qos (GST_OBJECT_CAST (self), TRUE,
      gst_segment_to_running_time (segment, GST_FORMAT_TIME, pts),
      gst_segment_to_stream_time (segment, GST_FORMAT_TIME, pts), pts,
      GST_CLOCK_TIME_NONE);
  gst_message_set_qos_stats (message, GST_FORMAT_BUFFERS, stats.windows_done,
      stats.windows_dropped);
  gst_element_post_message (GST_ELEMENT_CAST (self), message);
}

static GstBuffer *
result_buffer (const gchar * text, gsize size, GstClockTime pts,
    GstClockTime duration, const GstStructure * structure)
{
  GstBuffer *buffer = size > 0 ? gst_buffer_new_memdup (text, size) :
      gst_buffer_new ();

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = duration;
  gst_tern_buffer_set_result (buffer, structure);
  return buffer;
}

/* Every result is a buffer, with or without text: an error is none to show, and
 * its meta says what it is. */
static GstFlowReturn
push_text (GstTernGenerator * self, const TernResult * result,
    const GstStructure * structure, GstClockTime pts, GstClockTime duration)
{
  gsize size = strlen (result->result);

  if (strcmp (result->kind, "error") == 0)
    size = 0;
  if (GST_CLOCK_TIME_IS_VALID (self->position) && pts > self->position)
    gst_pad_push_event (self->srcpad, gst_event_new_gap (self->position,
            pts - self->position));
  return gst_pad_push (self->srcpad, result_buffer (result->result, size, pts,
          duration, structure));
}

static GstFlowReturn
push_json (GstPad * pad, const TernResult * result,
    const GstStructure * structure, GstClockTime pts, GstClockTime duration)
{
  gchar *json = tern_result_to_json (result);
  gchar *line = g_strconcat (json, "\n", NULL);
  GstFlowReturn flow;

  flow = gst_pad_push (pad, result_buffer (line, strlen (line), pts, duration,
          structure));
  g_free (line);
  g_free (json);
  return flow;
}

/* Nothing needs to be linked: results go to the bus as well. */
static GstFlowReturn
combine_flows (GstFlowReturn a, GstFlowReturn b)
{
  if (a == GST_FLOW_NOT_LINKED)
    a = GST_FLOW_OK;
  if (b == GST_FLOW_NOT_LINKED)
    b = GST_FLOW_OK;
  /* One that has seen enough does not end the other. */
  if (a == GST_FLOW_EOS && b != GST_FLOW_EOS)
    return b;
  if (b == GST_FLOW_EOS && a != GST_FLOW_EOS)
    return a;
  return MIN (a, b);
}

static GstFlowReturn
emit_result (GstTernGenerator * self, const TernResult * result)
{
  GstStructure *structure, *message;
  GstClockTime pts, window_pts, duration = 0;
  GstFlowReturn flow, json_flow = GST_FLOW_NOT_LINKED;
  GstPad *json;

  pts = window_pts = position_of (&self->out_segment, result->timestamp);
  if (result->end > result->start)
    duration = (result->end - result->start) * TERN_SECOND + 0.5;
  if (stamps_arrival (self) && GST_CLOCK_TIME_IS_VALID (self->position))
    pts = self->position;

  message = gst_tern_result_to_structure (result, GST_TERN_RESULT_NAME);
  structure = gst_structure_copy (message);
  GST_DEBUG_OBJECT (self, "%" GST_PTR_FORMAT, structure);
  if (strcmp (result->kind, "error") == 0)
    GST_ELEMENT_WARNING (self, LIBRARY, FAILED,
        ("A window could not be answered."), ("%s", result->result));
  g_signal_emit (self, signals[SIGNAL_RESULT], 0, structure);
  gst_element_post_message (GST_ELEMENT_CAST (self),
      gst_message_new_element (GST_OBJECT_CAST (self), message));

  json = start_pads (self);
  if (json) {
    json_flow = push_json (json, result, structure, window_pts, duration);
    gst_object_unref (json);
  }
  flow = push_text (self, result, structure, pts, duration);
  if (GST_CLOCK_TIME_IS_VALID (pts)
      && (!GST_CLOCK_TIME_IS_VALID (self->position) || self->position < pts))
    self->position = pts;
  gst_structure_free (structure);
  note_compute (self, result);
  post_dropped (self, &self->out_segment, pts);
  return combine_flows (flow, json_flow);
}

static void
task_fail (GstTernGenerator * self, GstFlowReturn flow)
{
  gboolean eos;

  g_mutex_lock (&self->lock);
  if (self->flow == GST_FLOW_OK)
    self->flow = flow;
  flow = self->flow;
  eos = self->eos;
  clear_out (self);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);

  if (flow == GST_FLOW_EOS && eos)
    push_event_everywhere (self, gst_event_new_eos ());
  gst_pad_pause_task (self->srcpad);
  /* After EOS upstream does not ask for the flow any more. */
  if (eos && flow < GST_FLOW_EOS)
    GST_ELEMENT_FLOW_ERROR (self, flow);
}

static void
gst_tern_generator_loop (gpointer data)
{
  GstTernGenerator *self = data;
  OutItem *item = NULL;
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  while (self->flow == GST_FLOW_OK && g_queue_is_empty (&self->out))
    g_cond_wait (&self->cond, &self->lock);
  flow = self->flow;
  if (flow == GST_FLOW_OK) {
    item = g_queue_pop_head (&self->out);
    if (item->result)
      self->n_results--;
    g_cond_broadcast (&self->cond);
  }
  g_mutex_unlock (&self->lock);

  if (item && item->result)
    flow = emit_result (self, item->result);
  else if (item)
    emit_event (self, g_steal_pointer (&item->event));
  g_clear_pointer (&item, out_item_free);
  if (flow != GST_FLOW_OK)
    task_fail (self, flow);
}

/* ---- Sessions ---- */

static gboolean
read_prompt_file (const gchar * path, gchar ** text, GError ** error)
{
  GError *file_error = NULL;
  gsize length;

  if (!g_file_get_contents (path, text, &length, &file_error)) {
    g_set_error (error, TERN_ERROR,
        g_error_matches (file_error, G_FILE_ERROR, G_FILE_ERROR_NOENT) ?
        TERN_ERROR_NOT_FOUND : TERN_ERROR_READ, "prompt-path: %s",
        file_error->message);
    g_error_free (file_error);
    return FALSE;
  }
  if (strlen (*text) != length || !g_utf8_validate (*text, length, NULL)) {
    g_clear_pointer (text, g_free);
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "prompt-path: %s: expected UTF-8 text, found other bytes", path);
    return FALSE;
  }
  g_strchomp (*text);
  return TRUE;
}

/* The prompt in force, NULL being the model's own, and its id. */
static gboolean
get_prompt (GstTernGenerator * self, gchar ** prompt, gchar ** id,
    GError ** error)
{
  gchar *path;
  gboolean ok;

  GST_OBJECT_LOCK (self);
  *prompt = g_strdup (self->prompt);
  path = g_strdup (self->prompt_path);
  *id = g_strdup_printf ("%u", self->prompt_number);
  GST_OBJECT_UNLOCK (self);

  if (*prompt && path)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected prompt or prompt-path, found both");
  ok = !(*prompt && path) && (!path || read_prompt_file (path, prompt, error));
  g_free (path);
  if (!ok) {
    g_clear_pointer (prompt, g_free);
    g_clear_pointer (id, g_free);
  }
  return ok;
}

static gboolean
has_session (GstTernGenerator * self)
{
  gboolean has;

  g_mutex_lock (&self->session_lock);
  has = self->session != NULL;
  g_mutex_unlock (&self->session_lock);
  return has;
}

/* From the next window on. */
static void
update_prompt (GstTernGenerator * self)
{
  GError *error = NULL;
  gchar *prompt, *id;

  /* What is set before there is a session is looked at when it is made. */
  if (!has_session (self))
    return;

  /* Outside of the session lock: it may read a file and post a message. */
  if (get_prompt (self, &prompt, &id, &error)) {
    g_mutex_lock (&self->session_lock);
    if (self->session)
      tern_session_set_prompt (self->session, prompt, id, &error);
    g_mutex_unlock (&self->session_lock);
    g_free (prompt);
    g_free (id);
  }
  if (error)
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("The prompt was not changed."), ("%s", error->message));
  g_clear_error (&error);
}

static gboolean
upstream_is_live (GstTernGenerator * self)
{
  GstQuery *query = gst_query_new_latency ();
  gboolean live = FALSE;

  if (gst_pad_peer_query (self->sinkpad, query))
    gst_query_parse_latency (query, &live, NULL, NULL);
  gst_query_unref (query);
  return live;
}

static void
get_params (GstTernGenerator * self, TernSessionParams * params)
{
  GstTernLeaky leaky;
  gboolean live;

  GST_OBJECT_LOCK (self);
  *params = self->params;
  leaky = self->leaky;
  live = self->live;
  self->params_changed = FALSE;
  GST_OBJECT_UNLOCK (self);

  params->rate_n = self->info.rate_n;
  params->rate_d = self->info.rate_d;
  /* Nothing is dropped here: it is what context is planned for. */
  params->compress.method = TERN_METHOD_NONE;
  params->compress.max_tokens = self->info.group_tokens;
  params->live = leaky == GST_TERN_LEAKY_DOWNSTREAM
      || (leaky == GST_TERN_LEAKY_AUTO && live);
  self->session_leaky = params->live;
  params->func = on_result;
  params->func_data = self;
}

static void
drop_session (GstTernGenerator * self)
{
  TernSession *session;

  g_mutex_lock (&self->session_lock);
  session = self->session;
  self->session = NULL;
  g_mutex_unlock (&self->session_lock);
  g_clear_pointer (&session, tern_session_free);
}

static gboolean
make_session (GstTernGenerator * self, TernModel * model, GError ** error)
{
  TernSessionParams params;
  TernSession *session;
  gchar *prompt, *id, *source;
  gboolean changed, live;
  guint number;

  live = upstream_is_live (self);
  GST_OBJECT_LOCK (self);
  number = self->prompt_number;
  self->live = live;
  GST_OBJECT_UNLOCK (self);
  if (!get_prompt (self, &prompt, &id, error))
    return FALSE;
  source = gst_object_get_path_string (GST_OBJECT_CAST (self));
  get_params (self, &params);
  params.prompt = prompt;
  params.prompt_id = id;
  params.source = source;
  session = tern_session_new (model, &params, error);
  g_free (prompt);
  g_free (id);
  g_free (source);
  if (!session)
    return FALSE;

  GST_DEBUG_OBJECT (self, "session at %d/%d frames a second%s",
      self->info.rate_n, self->info.rate_d, params.live ? ", leaky" : "");
  g_mutex_lock (&self->session_lock);
  self->session = session;
  g_mutex_unlock (&self->session_lock);
  g_mutex_lock (&self->lock);
  self->dropped_seen = 0;
  g_mutex_unlock (&self->lock);

  GST_OBJECT_LOCK (self);
  changed = self->prompt_number != number;
  GST_OBJECT_UNLOCK (self);
  if (changed)
    update_prompt (self);
  return TRUE;
}

static void
update_params (GstTernGenerator * self)
{
  TernSessionParams params;
  GError *error = NULL;
  gchar *prompt, *id;
  gboolean changed;

  GST_OBJECT_LOCK (self);
  changed = self->params_changed;
  GST_OBJECT_UNLOCK (self);
  if (!changed || !get_prompt (self, &prompt, &id, NULL))
    return;

  get_params (self, &params);
  params.prompt = prompt;
  params.prompt_id = id;
  if (!tern_session_set_params (self->session, &params, &error)) {
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("The settings were not changed."), ("%s", error->message));
    g_error_free (error);
  }
  g_free (prompt);
  g_free (id);
}

static GstFlowReturn
get_flow (GstTernGenerator * self)
{
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  flow = self->flow;
  g_mutex_unlock (&self->lock);
  return flow;
}

/* The windows so far are answered, the last one as far as it goes. */
static void
drain (GstTernGenerator * self)
{
  gboolean go_on = TRUE;

  self->last_end = GST_CLOCK_TIME_NONE;
  if (!self->session)
    return;

  tern_session_finish (self->session);
  while (go_on) {
    TernResult *result = NULL;
    TernNext next = tern_session_next (self->session, POLL_US, &result);

    g_clear_pointer (&result, tern_result_unref);
    go_on = next != TERN_NEXT_END && get_flow (self) == GST_FLOW_OK;
  }
}

/* ---- The streaming thread ---- */

static GstClockTime
window_time (GstTernGenerator * self)
{
  GstClockTime window, group;

  GST_OBJECT_LOCK (self);
  window = self->params.window;
  GST_OBJECT_UNLOCK (self);
  if (self->info.rate_n <= 0)
    return window;
  group = gst_util_uint64_scale (TERN_GROUP_FRAMES * GST_SECOND,
      self->info.rate_d, self->info.rate_n);
  if (group == 0 || window > G_MAXUINT64 - group)
    return window;
  return (window + group - 1) / group * group;
}

/* Downstream is slower than the model: upstream waits, too. */
static GstFlowReturn
wait_for_downstream (GstTernGenerator * self)
{
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  while (self->flow == GST_FLOW_OK && self->n_results >= QUEUE_RESULTS)
    g_cond_wait (&self->cond, &self->lock);
  flow = self->flow;
  g_mutex_unlock (&self->lock);
  return flow;
}

static GstFlowReturn
push_tokens (GstTernGenerator * self, TernTokens * tokens)
{
  GstFlowReturn flow = GST_FLOW_OK;
  GError *error = NULL;

  if (!self->session_leaky)
    flow = wait_for_downstream (self);
  while (flow == GST_FLOW_OK
      && !tern_session_push_tokens (self->session, tokens, &error)) {
    if (!g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY)) {
      gst_tern_post_error (self, error);
      flow = GST_FLOW_ERROR;
    } else {
      tern_session_wait (self->session, POLL_US);
      flow = get_flow (self);
    }
    g_clear_error (&error);
  }
  return flow;
}

static void
note_progress (GstTernGenerator * self, GstClockTime pts, GstClockTime duration,
    gboolean first)
{
  /* The first one lets sinks preroll and muxers start. When text is stamped
   * with the time of its arrival, none comes before what was seen. */
  if (first)
    enqueue_gap (self, pts, 0);
  if (stamps_arrival (self))
    enqueue_gap (self, pts, duration);
}

static GstFlowReturn
gst_tern_generator_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  GstClockTime duration = GST_BUFFER_DURATION (buffer);
  GError *error = NULL;
  GstFlowReturn flow;

  if (!self->session) {
    gst_buffer_unref (buffer);
    flow = get_flow (self);
    return flow == GST_FLOW_OK ? GST_FLOW_NOT_NEGOTIATED : flow;
  }
  if (!GST_CLOCK_TIME_IS_VALID (pts)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("Visual tokens without timestamps cannot be captioned."),
        ("expected a PTS on every buffer, found none"));
    return GST_FLOW_ERROR;
  }

  if (!GST_CLOCK_TIME_IS_VALID (duration))
    duration = 0;
  if (GST_CLOCK_TIME_IS_VALID (self->last_end) && (pts + duration <
          self->last_end || (pts > self->last_end
              && pts - self->last_end > window_time (self)))) {
    GST_DEBUG_OBJECT (self, "jump to %" GST_TIME_FORMAT, GST_TIME_ARGS (pts));
    drain (self);
  }
  update_params (self);
  if (!gst_tern_token_map (&self->map, buffer, &self->info, self->count,
          &error)) {
    gst_tern_post_error (self, error);
    g_clear_error (&error);
    gst_buffer_unref (buffer);
    return GST_FLOW_ERROR;
  }

  note_progress (self, pts, duration,
      !GST_CLOCK_TIME_IS_VALID (self->last_end));
  self->last_end = pts + duration;
  self->count = self->map.tokens.number + 1;
  self->map.tokens.pts = gst_segment_to_stream_time (&self->segment,
      GST_FORMAT_TIME, pts);
  if (self->map.tokens.pts == GST_CLOCK_TIME_NONE)
    self->map.tokens.pts = pts;
  /* A frame stands for the time until the next one that is looked at. */
  if (self->info.rate_n > 0)
    self->map.tokens.duration = TERN_TIME_NONE;
  flow = push_tokens (self, &self->map.tokens);
  gst_tern_token_unmap (&self->map, buffer);
  gst_buffer_unref (buffer);
  if (flow == GST_FLOW_OK)
    post_dropped (self, &self->segment, pts);
  return flow;
}

/* The tokens must come from the encoder that belongs to the model. */
static gboolean
set_caps (GstTernGenerator * self, GstCaps * caps)
{
  GstTernTokenInfo info;
  GError *error = NULL;
  TernModel *model;
  const gchar *id;
  gboolean ok = FALSE;

  if (!gst_tern_token_info_from_caps (&info, caps)) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("These are not visual tokens."),
        ("expected embedding-dim and encoder-id in %" GST_PTR_FORMAT, caps));
    return FALSE;
  }
  if (self->session && info.dim == self->info.dim
      && strcmp (info.encoder_id, self->info.encoder_id) == 0
      && info.rate_n == self->info.rate_n
      && info.rate_d == self->info.rate_d) {
    GST_OBJECT_LOCK (self);
    self->params_changed |= info.group_tokens != self->info.group_tokens;
    GST_OBJECT_UNLOCK (self);
    self->info = info;
    return TRUE;
  }

  model = gst_tern_loader_wait (self->loader, &self->interrupted);
  if (!model)
    return FALSE;
  id = tern_model_encoder_id (model);
  if (!id) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("The encoder of the model is not known."),
        ("no mmproj file was found beside %s: set mmproj-path",
            tern_model_path (model)));
  } else if (strcmp (id, info.encoder_id) != 0
      || tern_model_embedding_dim (model) != info.dim) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("The visual tokens come from an encoder that does not belong to the "
            "language model."),
        ("expected encoder-id %s, embedding-dim %u, found %s, %u", id,
            tern_model_embedding_dim (model), info.encoder_id, info.dim));
  } else {
    drain (self);
    drop_session (self);
    self->info = info;
    ok = make_session (self, model, &error);
    if (!ok) {
      gst_tern_post_error (self, error);
      g_clear_error (&error);
    }
  }
  tern_model_unref (model);
  return ok;
}

static void
flush_start (GstTernGenerator * self)
{
  g_atomic_int_set (&self->interrupted, 1);
  if (self->loader)
    gst_tern_loader_wake (self->loader);
  g_mutex_lock (&self->lock);
  self->flow = GST_FLOW_FLUSHING;
  clear_out (self);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);

  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_flush (self->session);
  g_mutex_unlock (&self->session_lock);
}

static void
flush_stop (GstTernGenerator * self)
{
  /* Once more: a frame may have been pushed meanwhile. */
  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_flush (self->session);
  g_mutex_unlock (&self->session_lock);
  g_mutex_lock (&self->lock);
  clear_out (self);
  self->flow = GST_FLOW_OK;
  self->eos = FALSE;
  g_mutex_unlock (&self->lock);
  g_atomic_int_set (&self->interrupted, 0);
}

/* Through both pads, from outside of the task. */
static gboolean
forward_flush (GstTernGenerator * self, GstEvent * event)
{
  GstPad *json = ref_json_pad (self);

  if (json) {
    gst_pad_push_event (json, gst_event_ref (event));
    gst_object_unref (json);
  }
  return gst_pad_push_event (self->srcpad, event);
}

static gboolean
handle_gap (GstTernGenerator * self, GstEvent * event)
{
  GstClockTime pts, duration;

  gst_event_parse_gap (event, &pts, &duration);
  if (GST_CLOCK_TIME_IS_VALID (duration) && duration > window_time (self)) {
    drain (self);
    return enqueue_event (self, event);
  }
  /* Before the first tokens it says where they will be. */
  if (!GST_CLOCK_TIME_IS_VALID (self->last_end)) {
    gst_event_unref (event);
    enqueue_gap (self, pts, 0);
    return TRUE;
  }
  /* Text about this time may still come. */
  gst_event_unref (event);
  return TRUE;
}

static gboolean
gst_tern_generator_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:{
      gboolean ok = forward_flush (self, event);

      flush_start (self);
      gst_pad_pause_task (self->srcpad);
      return ok;
    }
    case GST_EVENT_FLUSH_STOP:{
      gboolean ok = forward_flush (self, event);

      self->count = 0;
      self->last_end = GST_CLOCK_TIME_NONE;
      self->position = GST_CLOCK_TIME_NONE;
      flush_stop (self);
      gst_pad_start_task (self->srcpad, gst_tern_generator_loop, self, NULL);
      return ok;
    }
    case GST_EVENT_CAPS:{
      GstCaps *caps;
      gboolean ok;

      gst_event_parse_caps (event, &caps);
      ok = set_caps (self, caps);
      gst_event_unref (event);
      return ok;
    }
    case GST_EVENT_SEGMENT:{
      GstSegment segment;

      gst_event_copy_segment (event, &segment);
      if (segment.format != GST_FORMAT_TIME) {
        gst_event_unref (event);
        GST_ELEMENT_ERROR (self, STREAM, FORMAT,
            ("Only visual tokens with times can be captioned."),
            ("expected a segment in time, found %s",
                gst_format_get_name (segment.format)));
        return FALSE;
      }
      drain (self);
      self->segment = segment;
      self->count = 0;
      return enqueue_event (self, event);
    }
    case GST_EVENT_GAP:
      return handle_gap (self, event);
    case GST_EVENT_STREAM_START:
    case GST_EVENT_EOS:
    case GST_EVENT_SEGMENT_DONE:
      drain (self);
      return enqueue_event (self, event);
    case GST_EVENT_TAG:{
      GstTagList *tags;

      /* Those of the video stream are not true of text. */
      gst_event_parse_tag (event, &tags);
      if (gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_GLOBAL)
        return enqueue_event (self, event);
      gst_event_unref (event);
      return TRUE;
    }
    default:
      if (GST_EVENT_IS_SERIALIZED (event))
        return enqueue_event (self, event);
      return gst_pad_event_default (pad, parent, event);
  }
}

/* Text comes when its window is over and answered. */
static gboolean
gst_tern_generator_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);
  GstClockTime min, max, wait;
  gboolean live;

  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return gst_pad_query_default (pad, parent, query);
  if (!gst_pad_peer_query (self->sinkpad, query))
    return FALSE;

  gst_query_parse_latency (query, &live, &min, &max);
  wait = window_time (self);
  GST_OBJECT_LOCK (self);
  self->live = live;
  wait += self->compute;
  GST_OBJECT_UNLOCK (self);
  if (pad == self->srcpad && stamps_arrival (self))
    wait = 0;
  if (live) {
    min += wait;
    if (GST_CLOCK_TIME_IS_VALID (max))
      max += wait;
  } else {
    min = 0;
    max = GST_CLOCK_TIME_NONE;
  }
  gst_query_set_latency (query, live, min, max);
  return TRUE;
}

static gboolean
gst_tern_generator_sink_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active)
    gst_segment_init (&self->segment, GST_FORMAT_TIME);
  else
    flush_start (self);
  return TRUE;
}

static gboolean
gst_tern_generator_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  /* The JSON pad is fed by the task of the text pad. */
  if (pad != self->srcpad)
    return TRUE;
  if (active) {
    gst_segment_init (&self->out_segment, GST_FORMAT_TIME);
    flush_stop (self);
    return gst_pad_start_task (pad, gst_tern_generator_loop, self, NULL);
  }
  flush_start (self);
  return gst_pad_stop_task (pad);
}

/* ---- The element ---- */

static GstPad *
gst_tern_generator_request_new_pad (GstElement * element,
    GstPadTemplate * template, const gchar * name, const GstCaps * caps)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (element);
  gboolean taken;
  GstPad *pad;

  pad = gst_pad_new_from_template (template, "json_src");
  gst_pad_use_fixed_caps (pad);
  gst_pad_set_query_function (pad, gst_tern_generator_src_query);
  gst_object_ref_sink (pad);
  GST_OBJECT_LOCK (self);
  taken = self->jsonpad != NULL;
  if (!taken) {
    self->jsonpad = pad;
    self->json_started = FALSE;
  }
  GST_OBJECT_UNLOCK (self);
  if (taken) {
    GST_WARNING_OBJECT (self, "there is one json_src only");
    gst_object_unref (pad);
    return NULL;
  }
  gst_pad_set_active (pad, TRUE);
  gst_element_add_pad (element, pad);
  return pad;
}

static void
gst_tern_generator_release_pad (GstElement * element, GstPad * pad)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (element);
  gboolean ours;

  GST_OBJECT_LOCK (self);
  ours = self->jsonpad == pad;
  if (ours)
    self->jsonpad = NULL;
  GST_OBJECT_UNLOCK (self);
  if (!ours)
    return;
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (element, pad);
  gst_object_unref (pad);
}

static gboolean
check_settings (GstTernGenerator * self)
{
  gchar *paths[2], *prompt = NULL, *id = NULL;
  GError *error = NULL;
  guint i;

  GST_OBJECT_LOCK (self);
  paths[0] = g_strdup (self->model_path);
  paths[1] = g_strdup (self->mmproj_path);
  GST_OBJECT_UNLOCK (self);
  for (i = 0; i < 2; i++) {
    if (!error && paths[i])
      gst_tern_check_model_file (paths[i], &error);
    g_free (paths[i]);
  }
  if (!error)
    get_prompt (self, &prompt, &id, &error);
  g_free (prompt);
  g_free (id);
  if (!error)
    return TRUE;

  gst_tern_post_error (self, error);
  g_error_free (error);
  return FALSE;
}

static void
start_loading (GstTernGenerator * self)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  gchar *model_path, *mmproj_path;

  GST_OBJECT_LOCK (self);
  params.model_path = model_path = g_strdup (self->model_path);
  params.mmproj_path = mmproj_path = g_strdup (self->mmproj_path);
  params.threads = self->threads;
  GST_OBJECT_UNLOCK (self);
  params.parts = TERN_MODEL_TEXT;
  self->loader = gst_tern_loader_start (GST_ELEMENT_CAST (self), &params);
  g_free (model_path);
  g_free (mmproj_path);
}

static void
stop (GstTernGenerator * self)
{
  drop_session (self);
  g_clear_pointer (&self->loader, gst_tern_loader_stop);
  gst_clear_event (&self->segment_event);
  g_mutex_lock (&self->lock);
  clear_out (self);
  g_mutex_unlock (&self->lock);
  self->have_group_id = FALSE;
  self->src_started = self->json_started = FALSE;
  self->count = 0;
  self->last_end = self->position = GST_CLOCK_TIME_NONE;
  GST_OBJECT_LOCK (self);
  self->compute = 0;
  GST_OBJECT_UNLOCK (self);
}

static GstStateChangeReturn
gst_tern_generator_change_state (GstElement * element,
    GstStateChange transition)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !check_settings (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    start_loading (self);

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED
          && ret == GST_STATE_CHANGE_FAILURE))
    stop (self);
  return ret;
}

static void
gst_tern_generator_cancel (GstTernGenerator * self)
{
  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_cancel (self->session);
  g_mutex_unlock (&self->session_lock);
}

static void
gst_tern_generator_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);
  TernSessionParams *params = &self->params;
  gboolean prompt = FALSE;

  GST_OBJECT_LOCK (self);
  self->params_changed = TRUE;
  switch (id) {
    case PROP_MODEL_PATH:
      g_free (self->model_path);
      self->model_path = g_value_dup_string (value);
      break;
    case PROP_MMPROJ_PATH:
      g_free (self->mmproj_path);
      self->mmproj_path = g_value_dup_string (value);
      break;
    case PROP_THREADS:
      self->threads = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_PROMPT:
      g_free (self->prompt);
      self->prompt = g_value_dup_string (value);
      self->prompt_number++;
      prompt = TRUE;
      break;
    case PROP_SHARED + SHARED_PROMPT_PATH:
      g_free (self->prompt_path);
      self->prompt_path = g_value_dup_string (value);
      self->prompt_number++;
      prompt = TRUE;
      break;
    case PROP_SHARED + SHARED_WINDOW:
      params->window = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_HOP:
      params->hop = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_MAX_TOKENS:
      params->max_tokens = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_BEAM:
      params->beam = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_TEMPERATURE:
      params->temperature = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_TOP_K:
      params->top_k = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_TOP_P:
      params->top_p = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_MIN_P:
      params->min_p = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_REPETITION_PENALTY:
      params->repetition_penalty = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_SEED:
      params->seed = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_KV_PRUNE:
      params->kv_prune = g_value_get_double (value);
      break;
    case PROP_SHARED + SHARED_KV_GATE:
      params->kv_gate = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_LEAKY:
      self->leaky = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_METRICS:
      params->metrics = g_value_get_boolean (value);
      break;
    case PROP_SHARED + SHARED_TIMESTAMPS:
      self->timestamps = g_value_get_enum (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
  if (prompt)
    update_prompt (self);
}

static void
gst_tern_generator_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);
  const TernSessionParams *params = &self->params;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_MODEL_PATH:
      g_value_set_string (value, self->model_path);
      break;
    case PROP_MMPROJ_PATH:
      g_value_set_string (value, self->mmproj_path);
      break;
    case PROP_THREADS:
      g_value_set_uint (value, self->threads);
      break;
    case PROP_SHARED + SHARED_PROMPT:
      g_value_set_string (value, self->prompt);
      break;
    case PROP_SHARED + SHARED_PROMPT_PATH:
      g_value_set_string (value, self->prompt_path);
      break;
    case PROP_SHARED + SHARED_WINDOW:
      g_value_set_uint64 (value, params->window);
      break;
    case PROP_SHARED + SHARED_HOP:
      g_value_set_uint64 (value, params->hop);
      break;
    case PROP_SHARED + SHARED_MAX_TOKENS:
      g_value_set_uint (value, params->max_tokens);
      break;
    case PROP_SHARED + SHARED_BEAM:
      g_value_set_uint (value, params->beam);
      break;
    case PROP_SHARED + SHARED_TEMPERATURE:
      g_value_set_float (value, params->temperature);
      break;
    case PROP_SHARED + SHARED_TOP_K:
      g_value_set_uint (value, params->top_k);
      break;
    case PROP_SHARED + SHARED_TOP_P:
      g_value_set_float (value, params->top_p);
      break;
    case PROP_SHARED + SHARED_MIN_P:
      g_value_set_float (value, params->min_p);
      break;
    case PROP_SHARED + SHARED_REPETITION_PENALTY:
      g_value_set_float (value, params->repetition_penalty);
      break;
    case PROP_SHARED + SHARED_SEED:
      g_value_set_uint64 (value, params->seed);
      break;
    case PROP_SHARED + SHARED_KV_PRUNE:
      g_value_set_double (value, params->kv_prune);
      break;
    case PROP_SHARED + SHARED_KV_GATE:
      g_value_set_enum (value, params->kv_gate);
      break;
    case PROP_SHARED + SHARED_LEAKY:
      g_value_set_enum (value, self->leaky);
      break;
    case PROP_SHARED + SHARED_METRICS:
      g_value_set_boolean (value, params->metrics);
      break;
    case PROP_SHARED + SHARED_TIMESTAMPS:
      g_value_set_enum (value, self->timestamps);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_generator_finalize (GObject * object)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);

  gst_tern_token_map_clear (&self->map);
  g_free (self->model_path);
  g_free (self->mmproj_path);
  g_free (self->prompt);
  g_free (self->prompt_path);
  gst_clear_object (&self->jsonpad);
  g_mutex_clear (&self->session_lock);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
install_sampling_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
      GST_PARAM_MUTABLE_READY;
  const GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
      GST_PARAM_MUTABLE_PLAYING;

  /**
   * GstTernGenerator:max-tokens:
   *
   * Most tokens to say about a window.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MAX_TOKENS,
      g_param_spec_uint ("max-tokens", "Maximum tokens",
          "Most tokens to say about a window", 1, G_MAXINT, 32, playing));
  /**
   * GstTernGenerator:beam:
   *
   * Width of the beam search; 1 searches no further than the likeliest token.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_BEAM,
      g_param_spec_uint ("beam", "Beams", "Width of the beam search (1 = none)",
          1, 16, 1, ready));
  /**
   * GstTernGenerator:temperature:
   *
   * 0 says the likeliest token, always; more chooses among them at random.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_TEMPERATURE,
      g_param_spec_float ("temperature", "Temperature",
          "Randomness of what is said (0 = none)", 0.0f, 10.0f, 0.0f, playing));
  /**
   * GstTernGenerator:top-k:
   *
   * Choose among the likeliest tokens, this many; 0 among all.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_TOP_K,
      g_param_spec_uint ("top-k", "Top k",
          "Choose among this many tokens (0 = all)", 0, G_MAXINT, 0, playing));
  /**
   * GstTernGenerator:top-p:
   *
   * Choose among the likeliest tokens that have this probability together.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_TOP_P,
      g_param_spec_float ("top-p", "Top p",
          "Choose among tokens of this probability together (1 = all)", 0.0f,
          1.0f, 1.0f, playing));
  /**
   * GstTernGenerator:min-p:
   *
   * Choose among tokens of at least this share of the likeliest one's
   * probability.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MIN_P,
      g_param_spec_float ("min-p", "Min p",
          "Least probability, as a share of the likeliest token's (0 = any)",
          0.0f, 1.0f, 0.0f, playing));
  /**
   * GstTernGenerator:repetition-penalty:
   *
   * Makes tokens that were said less likely; 1 does not.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_REPETITION_PENALTY,
      g_param_spec_float ("repetition-penalty", "Repetition penalty",
          "Makes tokens that were said less likely (1 = no)", 1.0f, 10.0f, 1.0f,
          playing));
  /**
   * GstTernGenerator:seed:
   *
   * The same seed says the same.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_SEED,
      g_param_spec_uint64 ("seed", "Seed", "Seed of what is left to chance", 0,
          G_MAXUINT64, 0, playing));
  /**
   * GstTernGenerator:kv-prune:
   *
   * Share of the visual keys that are not looked at while text is made (DyCoke
   * stage 2).
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_KV_PRUNE,
      g_param_spec_double ("kv-prune", "KV pruning",
          "Share of visual keys that are not looked at while decoding", 0.0,
          1.0, 0.7, playing));
  /**
   * GstTernGenerator:kv-gate:
   *
   * When the visual keys to look at are selected again.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_KV_GATE,
      g_param_spec_enum ("kv-gate", "KV pruning gate",
          "When visual keys are selected again", GST_TYPE_TERN_PRUNE_GATE,
          TERN_GATE_PAPER, playing));
}

guint
gst_tern_generator_install_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
      GST_PARAM_MUTABLE_READY;
  const GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
      GST_PARAM_MUTABLE_PLAYING;

  /**
   * GstTernGenerator:prompt:
   *
   * What is asked about each window, from the next one on; the results' prompt_id
   * counts the changes. Unset, the instruction that the model was trained with;
   * empty, none.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_PROMPT,
      g_param_spec_string ("prompt", "Prompt",
          "What is asked about each window (default: the model's own)", NULL,
          playing));
  /**
   * GstTernGenerator:prompt-path:
   *
   * A file with the prompt, read when it is set and when the element starts.
   * Instead of `prompt`.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_PROMPT_PATH,
      g_param_spec_string ("prompt-path", "Prompt path",
          "File with the prompt, instead of prompt", NULL, playing));
  /**
   * GstTernGenerator:window:
   *
   * Time that an answer is about, rounded up to whole groups of four frames.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_WINDOW,
      g_param_spec_uint64 ("window", "Window",
          "Time that an answer is about, in ns", 1, G_MAXINT64, 4 * GST_SECOND,
          ready));
  /**
   * GstTernGenerator:hop:
   *
   * Time from one window's start to the next one's, rounded up to whole groups
   * of four frames; 0 is the window, so that windows do not overlap.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_HOP,
      g_param_spec_uint64 ("hop", "Hop",
          "Time between the starts of windows, in ns (0 = window)", 0,
          G_MAXINT64, 0, ready));
  install_sampling_properties (klass, first);
  /**
   * GstTernGenerator:leaky:
   *
   * What happens when windows come faster than answers.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_LEAKY,
      g_param_spec_enum ("leaky", "Leaky",
          "Whether old windows are dropped for the newest one",
          GST_TYPE_TERN_LEAKY, GST_TERN_LEAKY_AUTO, ready));
  /**
   * GstTernGenerator:metrics:
   *
   * Results say how long each stage took.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_METRICS,
      g_param_spec_boolean ("metrics", "Metrics",
          "Results say how long each stage took", FALSE, playing));
  /**
   * GstTernGenerator:text-timestamps:
   *
   * Whose time text has.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_TIMESTAMPS,
      g_param_spec_enum ("text-timestamps", "Text timestamps",
          "Whose time text has: its window's, or the newest frame's",
          GST_TYPE_TERN_TIMESTAMPS, GST_TERN_TIMESTAMPS_AUTO, ready));
  return first + SHARED_LAST;
}

static void
gst_tern_generator_class_init (GstTernGeneratorClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
      GST_PARAM_MUTABLE_READY;

  GST_DEBUG_CATEGORY_INIT (gst_tern_generator_debug, "terngenerator", 0,
      "Tern language model");

  object_class->set_property = gst_tern_generator_set_property;
  object_class->get_property = gst_tern_generator_get_property;
  object_class->finalize = gst_tern_generator_finalize;
  element_class->change_state = gst_tern_generator_change_state;
  element_class->request_new_pad = gst_tern_generator_request_new_pad;
  element_class->release_pad = gst_tern_generator_release_pad;

  /**
   * GstTernGenerator:model-path:
   *
   * GGUF file of the language model, or a folder with one. Unset,
   * TERN_MODEL_PATH or the bundled model.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_MODEL_PATH,
      g_param_spec_string ("model-path", "Model path",
          "GGUF file of the language model, or a folder with one (default: "
          "TERN_MODEL_PATH, then the bundled model)", NULL, ready));
  /**
   * GstTernGenerator:mmproj-path:
   *
   * GGUF file of the vision encoder whose tokens are accepted; it is identified,
   * not loaded. Unset, the one mmproj*.gguf beside the model.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_MMPROJ_PATH,
      g_param_spec_string ("mmproj-path", "Vision encoder path",
          "GGUF file of the vision encoder whose tokens are accepted (default: "
          "the one mmproj*.gguf beside the model)", NULL, ready));
  /**
   * GstTernGenerator:threads:
   *
   * Threads that work on this model; 0 is one for each core.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_THREADS,
      g_param_spec_uint ("threads", "Threads",
          "Threads that work on the model (0 = one for each core)", 0, 1024, 0,
          ready));
  gst_tern_generator_install_properties (object_class, PROP_SHARED);

  /**
   * GstTernGenerator::result:
   * @generator: the element
   * @result: the result, with the fields of the result table
   *
   * From the thread that pushes text.
   *
   * Since: 0.1
   */
  signals[SIGNAL_RESULT] = g_signal_new ("result", G_TYPE_FROM_CLASS (klass),
      G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1,
      GST_TYPE_STRUCTURE | G_SIGNAL_TYPE_STATIC_SCOPE);
  /**
   * GstTernGenerator::cancel:
   * @generator: the element
   *
   * Ends running work and drops what waits. The running window's result has what
   * was said so far and the finish_reason `cancelled`.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CANCEL] = g_signal_new_class_handler ("cancel",
      G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION,
      G_CALLBACK (gst_tern_generator_cancel), NULL, NULL, NULL, G_TYPE_NONE, 0);

  gst_type_mark_as_plugin_api (GST_TYPE_TERN_PRUNE_GATE, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_LEAKY, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_TIMESTAMPS, 0);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &json_template);
  gst_element_class_set_static_metadata (element_class, "Tern language model",
      "Converter/Analyzer/Text", "Says what visual tokens show",
      "The Tern developers");
}

static void
gst_tern_generator_init (GstTernGenerator * self)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_generator_chain);
  gst_pad_set_event_function (self->sinkpad, gst_tern_generator_sink_event);
  gst_pad_set_activatemode_function (self->sinkpad,
      gst_tern_generator_sink_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->srcpad);
  gst_pad_set_query_function (self->srcpad, gst_tern_generator_src_query);
  gst_pad_set_activatemode_function (self->srcpad,
      gst_tern_generator_src_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);

  g_mutex_init (&self->session_lock);
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_queue_init (&self->out);
  self->flow = GST_FLOW_FLUSHING;
  self->params = params;
  self->params.beam = 1;
  self->last_end = self->position = GST_CLOCK_TIME_NONE;
}
