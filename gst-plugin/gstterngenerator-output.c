/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What leaves: results as text, JSON, signals and messages, and events in their
 * order, pushed by the task of the src pad. */
#include "gstterngenerator-priv.h"

#include <string.h>
#include "gstternelement.h"

typedef enum
{
  OUT_EVENT,                    /* the object */
  OUT_RESULT,
  OUT_PARTIAL,                  /* a result that is none yet */
  OUT_FAILED_ASK,               /* of a request that has no answer */
  OUT_START,                    /* where text will begin */
  OUT_GAP,                      /* no text comes before a time */
  OUT_PROGRESS,                 /* ... a running time that video has got to */
  OUT_TEXT_END,                 /* no text comes any more */
  OUT_NOTHING                   /* what it was is void */
} OutKind;

/* What the src task has to do, in order. */
typedef struct
{
  GstTernItem base;
  OutKind kind;
  TernResult *result;
  GstClockTime time;            /* stream time, of start and gap; running time
                                 * of a result's start, or NONE */
  GstClockTime utc;             /* of a result's first frame, or NONE */
  GstTernAsk *ask;              /* of OUT_FAILED_ASK */
} OutItem;

/* Text about the past is of no use to what shows a live picture. */
gboolean
gst_tern_generator_stamps_arrival (GstTernGenerator * self)
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
clear_item (GstTernItem * base)
{
  OutItem *item = (OutItem *) base;

  g_clear_pointer (&item->result, tern_result_unref);
  g_clear_pointer (&item->ask, gst_tern_ask_free);
}

guint
gst_tern_generator_count_results (GstTernGenerator * self)
{
  GList *link;
  guint n = 0;

  for (link = self->task.queue.head; link; link = link->next)
    n += ((OutItem *) link->data)->kind == OUT_RESULT;
  return n;
}

/* Nothing happens when nothing goes out any more. */
static void
enqueue (GstTernGenerator * self, OutKind kind, GstClockTime time)
{
  OutItem *last, *item;

  g_mutex_lock (&self->task.lock);
  last = g_queue_peek_tail (&self->task.queue);
  /* One gap waits at most: a later one extends it. */
  if (self->task.flow == GST_FLOW_OK && kind == OUT_GAP && last
      && last->kind == OUT_GAP) {
    last->time = MAX (last->time, time);
  } else if (self->task.flow == GST_FLOW_OK) {
    item = gst_tern_task_new_item (&self->task, NULL);
    item->kind = kind;
    item->time = time;
    gst_tern_task_push (&self->task, item);
  }
  g_mutex_unlock (&self->task.lock);
}

void
gst_tern_generator_enqueue_start (GstTernGenerator * self, GstClockTime time)
{
  enqueue (self, OUT_START, time);
}

/* Live text with the time of its arrival ends with the video: nothing later has
 * a time in it, and who writes a file waits for nobody. JSON, signal and
 * messages have what is still to be answered. Where text alone leaves, and to
 * no other stream, its end is that of the pipeline, and waits for the answer. */
void
gst_tern_generator_end_live_text (GstTernGenerator * self)
{
  gboolean live, json;

  GST_OBJECT_LOCK (self);
  live = self->live;
  json = self->jsonpad != NULL;
  GST_OBJECT_UNLOCK (self);
  if (live && gst_tern_generator_stamps_arrival (self)
      && (json || gst_tern_generator_text_meets_others (self)))
    enqueue (self, OUT_TEXT_END, 0);
}

void
gst_tern_generator_enqueue_gap (GstTernGenerator * self, GstClockTime end)
{
  enqueue (self, OUT_GAP, end);
}

/* On the engine thread. Of partial results about the same only the newest
 * waits: none is late because of those before it. */
void
gst_tern_generator_on_result (void *data, TernResult * result)
{
  GstTernGenerator *self = data;
  gboolean partial = strcmp (result->kind, "partial") == 0;
  OutItem *last, *item;

  g_mutex_lock (&self->task.lock);
  last = g_queue_peek_tail (&self->task.queue);
  if (self->task.flow == GST_FLOW_OK) {
    if (partial && last && last->kind == OUT_PARTIAL
        && last->result->ask_id == result->ask_id
        && strcmp (last->result->prompt_id, result->prompt_id) == 0) {
      item = last;
      tern_result_unref (item->result);
    } else {
      item = gst_tern_task_new_item (&self->task, NULL);
      item->kind = partial ? OUT_PARTIAL : OUT_RESULT;
      gst_tern_task_push (&self->task, item);
    }
    item->result = tern_result_ref (result);
    gst_tern_generator_find_capture (self, result, &item->time, &item->utc);
  }
  g_mutex_unlock (&self->task.lock);
  gst_tern_action_note_result (self->action, result);
}

/* The next session counts its requests anew. */
void
gst_tern_generator_forget_answers (GstTernGenerator * self)
{
  GList *link;

  for (link = self->task.queue.head; link; link = link->next) {
    OutItem *item = link->data;

    if (item->result && item->result->ask_id > 0)
      item->kind = OUT_NOTHING;
  }
}

/* ---- The src task ---- */

/* As gst_pad_create_stream_id(), which is for elements with one sink pad. */
gchar *
gst_tern_generator_make_stream_id (GstTernGenerator * self, const gchar * name)
{
  gchar *upstream = gst_pad_get_stream_id (self->sinkpad), *id;

  if (upstream)
    id = g_strconcat (upstream, "/", name, NULL);
  else
    id = g_strdup_printf ("%08x%08x/%s", g_random_int (), g_random_int (),
        name);
  g_free (upstream);
  return id;
}

static void
start_pad (GstTernGenerator * self, GstPad * pad, const gchar * name,
    const gchar * media_type)
{
  gchar *id = gst_tern_generator_make_stream_id (self, name);
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

GstPad *
gst_tern_generator_ref_json_pad (GstTernGenerator * self)
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
    self->language_told = FALSE;
    start_pad (self, self->srcpad, "text", "text/x-raw");
  }
  json = gst_tern_generator_ref_json_pad (self);
  if (json && !self->json_started) {
    self->json_started = TRUE;
    start_pad (self, json, "json", "application/x-json");
  }
  return json;
}

static gboolean
push_event_everywhere (gpointer element, GstEvent * event)
{
  GstTernGenerator *self = element;
  GstPad *json = start_pads (self);

  if (json) {
    gst_pad_push_event (json, gst_event_ref (event));
    gst_object_unref (json);
  }
  self->ended |= GST_EVENT_TYPE (event) == GST_EVENT_EOS;
  gst_tern_action_push_event (self->action, event);
  if (self->text_ended && GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    gst_event_unref (event);
  else
    gst_pad_push_event (self->srcpad, event);
  return TRUE;
}

/* Tells who waits for text that none comes before @time. JSON keeps the time of
 * its window whatever text has, and ternattach goes by what is @decided of it. */
static void
advance (GstTernGenerator * self, GstClockTime time, gboolean decided)
{
  GstPad *json;

  if (self->text_ended || (GST_CLOCK_TIME_IS_VALID (self->position)
          && time <= self->position))
    return;
  self->position = time;
  json = start_pads (self);
  if (json)
    gst_tern_generator_push_json_gap (json, time, decided);
  gst_clear_object (&json);
  gst_tern_generator_push_gap (self, time, decided);
}

/* Sinks preroll on it; once, for JSON is decided by answers after that. What
 * video tells of itself may have been earlier, but only on the text pad. */
static void
emit_start (GstTernGenerator * self, GstClockTime time)
{
  GstPad *json = start_pads (self);

  if (!self->begun)
    gst_tern_action_push_start (self->action, time);
  if (json && !self->begun)
    gst_pad_push_event (json, gst_event_new_gap (time, 0));
  gst_clear_object (&json);
  self->begun = TRUE;
  if (self->text_ended || (GST_CLOCK_TIME_IS_VALID (self->position)
          && time <= self->position))
    return;
  self->position = time;
  gst_tern_generator_push_gap (self, time, TRUE);
}

/* Video is at @running time. */
static void
emit_progress (GstTernGenerator * self, GstClockTime running)
{
  guint64 time;

  if (gst_segment_position_from_running_time_full (&self->out_segment,
          GST_FORMAT_TIME, running, &time) == 1)
    advance (self, time, FALSE);
}

/* Of text; once, when its first segment is there. */
static void
push_language (GstTernGenerator * self)
{
  gchar *code;

  if (self->language_told)
    return;
  self->language_told = TRUE;
  GST_OBJECT_LOCK (self);
  code = g_strdup (self->language);
  GST_OBJECT_UNLOCK (self);
  if (code && *code)
    gst_pad_push_event (self->srcpad,
        gst_event_new_tag (gst_tag_list_new (GST_TAG_LANGUAGE_CODE, code,
                NULL)));
  g_free (code);
}

static void
emit_event (GstTernGenerator * self, GstEvent * event)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      self->have_group_id = gst_event_parse_group_id (event, &self->group_id);
      self->src_started = self->json_started = self->text_ended = FALSE;
      self->ended = FALSE;
      gst_tern_action_restart_pad (self->action);
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
      self->begun = self->ended = FALSE;
      gst_event_replace (&self->segment_event, event);
      push_event_everywhere (self, event);
      push_language (self);
      return;
    }
    default:
      break;
  }
  push_event_everywhere (self, event);
}

void
gst_tern_generator_post_dropped (GstTernGenerator * self,
    const GstSegment * segment, GstClockTime pts)
{
  guint64 dropped, answered;
  gboolean news;
  guint queued;

  dropped = gst_tern_generator_count_dropped (self, &queued);
  g_mutex_lock (&self->task.lock);
  news = dropped > self->dropped_seen;
  if (news)
    self->dropped_seen = dropped;
  answered = self->answered;
  g_mutex_unlock (&self->task.lock);
  if (!news)
    return;

  GST_INFO_OBJECT (self, "%" G_GUINT64_FORMAT " windows dropped so far",
      dropped);
  gst_tern_post_dropped (GST_ELEMENT_CAST (self), segment,
      &(GstTernDropped) { GST_TERN_DROPPED_LATE, TRUE, pts, GST_CLOCK_TIME_NONE,
          answered, dropped });
}

GstBuffer *
gst_tern_generator_result_buffer (const gchar * text, gsize size,
    GstClockTime pts, GstClockTime duration, const GstStructure * structure)
{
  GstBuffer *buffer = size > 0 ? gst_buffer_new_memdup (text, size) :
      gst_buffer_new ();

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = duration;
  gst_tern_buffer_set_result (buffer, structure);
  return buffer;
}

/* Up to where text is decided when @result has left: the start of the next
 * window, at the earliest. */
static GstClockTime
decided_by (GstTernGenerator * self, const TernResult * result)
{
  GstClockTime end = result->timestamp + result->duration, tick = 0;
  GstClockTime hop = gst_tern_generator_hop_time (self);

  GST_OBJECT_LOCK (self);
  if (self->params.rate_n > 0)
    tick = gst_util_uint64_scale (GST_SECOND, self->params.rate_d,
        self->params.rate_n);
  GST_OBJECT_UNLOCK (self);
  if (hop >= result->duration)
    return end;
  return result->timestamp + (hop > tick ? hop - tick : 0);
}

static GstFlowReturn
push_json (GstPad * pad, const TernResult * result,
    const GstStructure * structure)
{
  gchar *json = tern_result_to_json (result);
  gchar *line = g_strconcat (json, "\n", NULL);
  GstFlowReturn flow;

  flow = gst_pad_push (pad, gst_tern_generator_result_buffer (line,
          strlen (line), result->timestamp, result->duration, structure));
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

/* Before the first segment, and after the end, the signal and the message say
 * it alone. */
static GstFlowReturn
push_result (GstTernGenerator * self, const TernResult * result,
    const GstStructure * structure, gboolean as_text)
{
  GstFlowReturn flow = GST_FLOW_NOT_LINKED, json_flow = GST_FLOW_NOT_LINKED;
  GstPad *json;

  if (!self->segment_event || self->ended)
    return GST_FLOW_OK;
  json = start_pads (self);
  if (json) {
    json_flow = push_json (json, result, structure);
    gst_object_unref (json);
  }
  if (as_text && !self->text_ended)
    flow = gst_tern_generator_push_text (self, result, structure);
  return combine_flows (flow, json_flow);
}

static gboolean
tells_changes_only (GstTernGenerator * self)
{
  gboolean only;

  GST_OBJECT_LOCK (self);
  only = self->on_change;
  GST_OBJECT_UNLOCK (self);
  return only;
}

/* Up to where text is decided, and how long it took. */
static void
end_window (GstTernGenerator * self, const TernResult * result)
{
  gboolean last = gst_tern_generator_is_last (self, result);

  if (!gst_tern_generator_stamps_arrival (self) && self->segment_event)
    advance (self, last ? decided_by (self, result) : result->timestamp, last);
  gst_tern_generator_check_latency (self, result);
  gst_tern_generator_post_dropped (self, &self->out_segment, result->timestamp);
}

/* The chunk leaves first: a machine waits for it. There is no text. */
static GstFlowReturn
emit_decision (GstTernGenerator * self, TernResult * result)
{
  GstFlowReturn flow, action_flow;
  GstStructure *structure;

  result->ask_id = 0;
  structure = gst_tern_generator_tell (self, result);
  action_flow =
      gst_tern_action_push_result (self->action, result, structure);
  flow = push_result (self, result, structure, FALSE);
  gst_structure_free (structure);
  end_window (self, result);
  return action_flow < GST_FLOW_EOS ? action_flow : flow;
}

/* The answer to a request is text where text has the time of its arrival: cues
 * that lie beside each other are about windows. */
static GstFlowReturn
emit_result (GstTernGenerator * self, const OutItem * item)
{
  TernResult result = *item->result;
  gboolean asked = result.ask_id > 0, news, stale;
  GstFlowReturn flow = GST_FLOW_OK;
  GstStructure *structure;

  result.running_time = item->time;
  if (GST_CLOCK_TIME_IS_VALID (item->utc))
    result.utc = item->utc;
  if (gst_tern_action_take_result (self->action, &result, &stale))
    return stale ? GST_FLOW_OK : emit_decision (self, &result);
  if (asked && !gst_tern_generator_name_ask (self, &result, TRUE))
    return GST_FLOW_OK;
  news = gst_tern_generator_is_news (self, &result)
      || !tells_changes_only (self);
  if (news) {
    structure = gst_tern_generator_tell (self, &result);
    flow = push_result (self, &result, structure, !asked
        || gst_tern_generator_stamps_arrival (self));
    gst_structure_free (structure);
  } else {
    gst_tern_generator_count_unchanged (self, &result);
  }
  if (asked)
    gst_tern_generator_feed_asks (self);
  else
    end_window (self, &result);
  return flow;
}

/* What leaves may not be the last word: with on-change nobody knows yet whether
 * anything does. */
static GstFlowReturn
emit_partial (GstTernGenerator * self, const OutItem * item)
{
  TernResult result = *item->result;
  GstStructure *structure;
  GstFlowReturn flow;

  result.running_time = item->time;
  if (GST_CLOCK_TIME_IS_VALID (item->utc))
    result.utc = item->utc;
  if (result.ask_id > 0 ?
      !gst_tern_generator_name_ask (self, &result, FALSE) :
      tells_changes_only (self))
    return GST_FLOW_OK;
  structure = gst_tern_generator_tell (self, &result);
  flow = push_result (self, &result, structure, FALSE);
  gst_structure_free (structure);
  return flow;
}

static GstFlowReturn
emit_failed_ask (GstTernGenerator * self, const GstTernAsk * ask)
{
  GstStructure *structure;
  GstFlowReturn flow;
  TernResult result;
  gchar *source;

  gst_tern_generator_failed_result (self, ask, &result, &source);
  structure = gst_tern_generator_tell (self, &result);
  flow = push_result (self, &result, structure, FALSE);
  gst_structure_free (structure);
  g_free (source);
  return flow;
}

/* With the lock: something to do that is in no queue. How far video has got
 * waits for the first segment, in which it is said: who waits for text may hold
 * video up until then, and nothing further would come. */
static OutItem *
take_other (GstTernGenerator * self)
{
  OutItem *item = NULL;

  if (gst_tern_generator_has_failed_asks (self)) {
    item = gst_tern_task_new_item (&self->task, NULL);
    item->kind = OUT_FAILED_ASK;
    item->ask = gst_tern_generator_take_failed_ask (self);
  } else if (GST_CLOCK_TIME_IS_VALID (self->progress) && self->segment_event) {
    item = gst_tern_task_new_item (&self->task, NULL);
    item->kind = OUT_PROGRESS;
    item->time = self->progress;
    self->progress = GST_CLOCK_TIME_NONE;
  }
  return item;
}

static void
wait_for_something (GstTernGenerator * self)
{
  GstClockTime deadline = gst_tern_generator_next_deadline (self);

  if (GST_CLOCK_TIME_IS_VALID (deadline))
    gst_tern_task_wait_until (&self->task, deadline);
  else
    g_cond_wait (&self->task.cond, &self->task.lock);
}

static GstTernItem *
take (gpointer element)
{
  GstTernGenerator *self = element;
  GstTernTask *task = &self->task;
  OutItem *item;

  while (task->flow == GST_FLOW_OK) {
    if (task->queue.head)
      return gst_tern_task_take (task, task->queue.head);
    item = take_other (self);
    if (item)
      return &item->base;
    wait_for_something (self);
  }
  return NULL;
}

static GstFlowReturn
handle (gpointer element, GstTernItem * base)
{
  GstTernGenerator *self = element;
  OutItem *item = (OutItem *) base;

  switch (item->kind) {
    case OUT_RESULT:
      return emit_result (self, item);
    case OUT_PARTIAL:
      return emit_partial (self, item);
    case OUT_FAILED_ASK:
      return emit_failed_ask (self, item->ask);
    case OUT_NOTHING:
      break;
    case OUT_EVENT:
      emit_event (self, gst_event_ref (GST_EVENT_CAST (base->object)));
      break;
    case OUT_START:
      emit_start (self, item->time);
      break;
    case OUT_GAP:
      advance (self, item->time, FALSE);
      break;
    case OUT_PROGRESS:
      emit_progress (self, item->time);
      break;
    case OUT_TEXT_END:{
      GstPad *json = start_pads (self);

      gst_clear_object (&json);
      self->text_ended = TRUE;
      gst_pad_push_event (self->srcpad, gst_event_new_eos ());
      break;
    }
  }
  return GST_FLOW_OK;
}

const GstTernTaskFuncs gst_tern_generator_task = {
  .item_size = sizeof (OutItem),
  .take = take,
  .handle = handle,
  .clear_item = clear_item,
  .interrupt = gst_tern_generator_interrupt,
  .push_eos = push_event_everywhere,
};

/* Upstream first: what it has done meanwhile is here then. */
static gboolean
query_work (GstTernGenerator * self, GstQuery * query)
{
  TernSessionStats stats = { 0, };
  gboolean busy;

  gst_pad_peer_query (self->sinkpad, query);
  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_stats (self->session, &stats);
  g_mutex_unlock (&self->session_lock);
  g_mutex_lock (&self->task.lock);
  busy = stats.queued_windows > 0 || gst_tern_generator_count_results (self) > 0
      || (self->task.current
      && ((const OutItem *) self->task.current)->kind == OUT_RESULT);
  g_mutex_unlock (&self->task.lock);
  gst_tern_answer_work_query (query, busy);
  return TRUE;
}

gboolean
gst_tern_generator_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);

  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY)
    return gst_tern_generator_query_latency (self, pad, query);
  if (gst_tern_is_held_query (query))
    return gst_tern_generator_answer_held (self, query);
  if (gst_tern_is_work_query (query))
    return query_work (self, query);
  return gst_pad_query_default (pad, parent, query);
}

gboolean
gst_tern_generator_src_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  gboolean taken;

  /* Text that is late at its sink is no reason to decode video differently. */
  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS) {
    gst_event_unref (event);
    return TRUE;
  }
  if (gst_event_has_name (event, GST_TERN_EVENT_PROGRESS)) {
    gst_tern_generator_note_progress (GST_TERN_GENERATOR (parent), event, TRUE);
    gst_event_unref (event);
    return TRUE;
  }
  if (gst_tern_generator_take_event (GST_TERN_GENERATOR (parent), event, FALSE,
          &taken)) {
    gst_event_unref (event);
    return taken;
  }
  return gst_pad_event_default (pad, parent, event);
}

gboolean
gst_tern_generator_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);

  if (active)
    gst_segment_init (&self->out_segment, GST_FORMAT_TIME);
  return gst_tern_task_activate (&self->task, mode, active);
}
