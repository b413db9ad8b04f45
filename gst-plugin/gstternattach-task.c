/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames that wait for the result of their window, and the task of the src pad,
 * which lets them go: with their result; without one when none will come;
 * early, when there are too many, or when upstream has nothing more to send
 * because of them, and nobody is at work whose answer would let them go. */
#include "gstternattach-priv.h"

#include <unistd.h>
#include "gstternelement.h"
#include "gstternupstream.h"

/* Frames of a file that come while somebody is at work on those before: so
 * little that a video of any size is held a window at a time. */
#define READ_AHEAD (G_GUINT64_CONSTANT (64) << 20)
/* Before a live frame would be late at its sink. */
#define DUE_LEAD (20 * GST_MSECOND)

/* How often to ask who is at work, while frames wait for nothing else. */
#define WORK_POLL (20 * GST_MSECOND)
/* Work without a sign for so long is not waited for: who takes the text may be
 * waiting for the video. */
#define WORK_PATIENCE (60 * GST_SECOND)
/* A source that sends nothing for so long may miss its buffers ... */
#define LOAN_TIME (250 * GST_MSECOND)
/* ... or wait for something that waits for the video. */
#define DRY_TIME (5 * GST_SECOND)
/* ... whose queues are full, while no window was whole yet. */
#define FULL_TIME (500 * GST_MSECOND)

typedef enum
{
  HEAD_NONE,                    /* there is nothing */
  HEAD_READY,
  HEAD_WAITS,
  HEAD_KEPT,                    /* waits for the end of text alone */
  HEAD_OVER,                    /* waits, and there are too many */
  HEAD_NEWEST                   /* does not wait any more */
} HeadState;

/* ---- Buffers that upstream misses ---- */

static gboolean
is_loan (const HeldItem * item)
{
  return item->lender || item->foreign;
}

/* The held frame becomes ours. */
static void
return_loan (HeldItem * item)
{
  GstBuffer *copy = gst_buffer_copy_deep (GST_BUFFER_CAST (item->base.object));

  item->lender = NULL;
  item->foreign = FALSE;
  if (!copy)
    return;
  gst_mini_object_unref (item->base.object);
  item->base.object = GST_MINI_OBJECT_CAST (copy);
}

static gboolean
has_loans (GstTernAttach * self)
{
  GList *link;

  for (link = self->task.queue.head; link; link = link->next)
    if (is_loan (link->data))
      return TRUE;
  return FALSE;
}

void
gst_tern_attach_return_loans (GstTernAttach * self)
{
  GList *link;

  for (link = self->task.queue.head; link; link = link->next)
    if (is_loan (link->data))
      return_loan (link->data);
}

/* At most half of what a pool has is held; of memory that is not the CPU's we
 * do not know how much there is. */
static void
note_loan (GstTernAttach * self, HeldItem * item)
{
  GstBuffer *buffer = GST_BUFFER_CAST (item->base.object);
  guint limit = gst_tern_pool_limit (buffer->pool), lent = 1;
  GList *link;

  if (limit == 0) {
    item->foreign = !buffer->pool && gst_buffer_n_memory (buffer) > 0
        && !gst_memory_is_type (gst_buffer_peek_memory (buffer, 0),
        GST_ALLOCATOR_SYSMEM);
    return;
  }
  item->lender = buffer->pool;
  for (link = self->task.queue.head; link; link = link->next)
    lent += ((HeldItem *) link->data)->lender == item->lender;
  if (2 * lent > limit)
    return_loan (item);
}

/* ---- Frames come ---- */

static guint64
get_limit (GstTernAttach * self)
{
  guint64 bytes;

  GST_OBJECT_LOCK (self);
  bytes = self->max_held_bytes;
  GST_OBJECT_UNLOCK (self);
  if (bytes == 0)
    bytes = (guint64) sysconf (_SC_PHYS_PAGES) * sysconf (_SC_PAGESIZE) / 2;
  return self->dry_bytes > 0 ? MIN (bytes, self->dry_bytes) : bytes;
}

void
gst_tern_attach_describe (GstTernAttach * self, HeldItem * item)
{
  GstBuffer *buffer = GST_BUFFER_CAST (item->base.object);
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  GstClockTime duration = GST_BUFFER_DURATION_IS_VALID (buffer) ?
      GST_BUFFER_DURATION (buffer) : self->frame_duration;

  item->duration = GST_BUFFER_DURATION (buffer);
  item->stream_time = gst_segment_to_stream_time (&self->segment,
      GST_FORMAT_TIME, pts);
  item->running_time = item->running_end =
      gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME, pts);
  if (GST_CLOCK_TIME_IS_VALID (pts) && self->segment.rate > 0.0
      && GST_CLOCK_TIME_IS_VALID (item->running_time)) {
    item->running_end = gst_segment_to_running_time (&self->segment,
        GST_FORMAT_TIME, pts + duration);
    if (!GST_CLOCK_TIME_IS_VALID (item->running_end))
      item->running_end = item->running_time;
  }
}

/* Whether text will come although no more frames do. Asks without the lock:
 * what comes meanwhile is seen afterwards, for who is not at work has handed it
 * over. */
gboolean
gst_tern_attach_text_is_at_work (GstTernAttach * self)
{
  GstClockTime patience = self->last_text + WORK_PATIENCE;
  gboolean busy;

  g_mutex_unlock (&self->task.lock);
  busy = gst_tern_query_work (self->textpad);
  g_mutex_lock (&self->task.lock);
  return busy && gst_tern_task_now (&self->task) < patience;
}

/* With the lock: until there is room for another frame. A file stops while
 * somebody works, and so when a window is whole, until it is answered: what is
 * held is a window, and what came in while nobody had anything to do. A camera
 * does not stop. */
static void
wait_for_room (GstTernAttach * self)
{
  GstTernTask *task = &self->task;

  while (task->flow == GST_FLOW_OK && !self->live) {
    if (task->bytes > get_limit (self))
      g_cond_wait (&task->cond, &task->lock);
    else if (task->bytes > READ_AHEAD && gst_tern_attach_text_is_at_work (self))
      gst_tern_task_wait_until (task, gst_tern_task_now (task) + WORK_POLL);
    else
      return;
  }
}

GstFlowReturn
gst_tern_attach_hold_frame (GstTernAttach * self, GstBuffer * buffer)
{
  GstTernTask *task = &self->task;
  GstFlowReturn flow;
  HeldItem *item;

  g_mutex_lock (&task->lock);
  if (task->flow == GST_FLOW_OK) {
    item = gst_tern_task_new_item (task, g_steal_pointer (&buffer));
    gst_tern_attach_describe (self, item);
    item->segment = self->video_segment;
    item->unanswered = !self->looking || self->segment.rate < 0.0;
    note_loan (self, item);
    gst_tern_task_push (task, item);
    self->waiting = TRUE;
    self->last_came = gst_tern_task_now (&self->task);
    self->most_held = MAX (self->most_held, task->bytes);
    wait_for_room (self);
    self->waiting = FALSE;
    self->last_came = gst_tern_task_now (&self->task);
  }
  flow = task->flow;
  g_mutex_unlock (&task->lock);
  gst_clear_buffer (&buffer);
  return flow;
}

/* Frames of this segment come so much later in the stream than it said. */
void
gst_tern_attach_move (GstTernAttach * self, GstClockTime by)
{
  GList *link;

  g_mutex_lock (&self->task.lock);
  for (link = self->task.queue.head; link; link = link->next) {
    HeldItem *item = link->data;

    if (GST_IS_BUFFER (item->base.object)
        && item->segment == self->video_segment
        && GST_CLOCK_TIME_IS_VALID (item->stream_time))
      item->stream_time += by;
  }
  g_mutex_unlock (&self->task.lock);
}

/* ---- Frames leave ---- */

/* What becomes of the oldest item; sets what it leaves with. */
static HeadState
get_head_state (GstTernAttach * self, Result ** result)
{
  HeldItem *item = g_queue_peek_head (&self->task.queue);

  *result = NULL;
  if (!item)
    return HEAD_NONE;
  if (GST_IS_EVENT (item->base.object)
      && GST_EVENT_TYPE (item->base.object) == GST_EVENT_EOS
      && gst_tern_attach_keeps_eos (self))
    return HEAD_KEPT;
  if (!GST_IS_BUFFER (item->base.object) || item->unanswered)
    return HEAD_READY;

  if (self->newest) {
    *result = g_queue_peek_tail (&self->results);
    return HEAD_NEWEST;
  }
  *result = gst_tern_attach_find_window (self, item);
  if (*result)
    return HEAD_READY;
  if (gst_tern_attach_text_is_over (self)
      || item->segment < self->text_segment
      || !GST_CLOCK_TIME_IS_VALID (item->stream_time)
      || (item->segment == self->text_segment
          && GST_CLOCK_TIME_IS_VALID (self->decided)
          && item->stream_time < self->decided)) {
    *result = gst_tern_attach_find_before (self, item);
    return HEAD_READY;
  }
  return self->task.bytes > get_limit (self) ? HEAD_OVER : HEAD_WAITS;
}

/* No window of the segment that leaves has been answered. */
static gboolean
is_first_window (GstTernAttach * self)
{
  const HeldItem *head = g_queue_peek_head (&self->task.queue);
  const Result *last = g_queue_peek_tail (&self->results);

  return !last || (head && GST_IS_BUFFER (head->base.object)
      && last->segment < head->segment);
}

static gboolean
tail_is_eos (GstTernAttach * self)
{
  HeldItem *item = g_queue_peek_tail (&self->task.queue);

  return item && GST_IS_EVENT (item->base.object)
      && GST_EVENT_TYPE (item->base.object) == GST_EVENT_EOS;
}

/* With the lock, which is not held meanwhile. */
static gboolean
upstream_is_full (GstTernAttach * self)
{
  gboolean full;

  g_mutex_unlock (&self->task.lock);
  full = gst_tern_upstream_is_full (self->sinkpad);
  g_mutex_lock (&self->task.lock);
  return full;
}

/* The same. Another captioner may hold the frames that would come. */
static gboolean
anybody_is_at_work (GstTernAttach * self)
{
  gboolean busy;

  if (gst_tern_attach_text_is_at_work (self))
    return TRUE;
  g_mutex_unlock (&self->task.lock);
  busy = gst_tern_query_work (self->sinkpad);
  g_mutex_lock (&self->task.lock);
  return busy;
}

/* Nobody works, and nothing came for @time: frames leave. Where there is no room
 * for the first window, there is none for the others either: frames that are
 * held would all have the result of a window before theirs, and stand still for
 * each. */
static void
let_go (GstTernAttach * self, GstClockTime time, gboolean full)
{
  if (self->last_came + time > gst_tern_task_now (&self->task)
      || self->task.buffers == 0)
    return;
  if (full && is_first_window (self))
    self->newest = TRUE;
  else                          /* next time, half of it must be enough */
    self->dry_bytes = MAX (self->task.bytes / 2, 1);
  /* Who was asked may have taken its time. */
  self->last_came = gst_tern_task_now (&self->task);
}

/* Nothing comes, and frames wait. Does what is due now; returns when to look
 * again, or NONE. */
static GstClockTime
look_after_upstream (GstTernAttach * self)
{
  GstClockTime now = gst_tern_task_now (&self->task), since;
  gboolean first = is_first_window (self), full;

  if (self->task.buffers == 0 || self->waiting || tail_is_eos (self))
    return GST_CLOCK_TIME_NONE;
  if (has_loans (self)) {
    if (now - self->last_came < LOAN_TIME)
      return self->last_came + LOAN_TIME;
    GST_DEBUG_OBJECT (self, "upstream gets its buffers back");
    gst_tern_attach_return_loans (self);
  }
  /* A live source stops when it wants to. */
  if (self->live)
    return GST_CLOCK_TIME_NONE;
  since = MAX (self->last_came, self->last_text);
  if (now < since + (first ? FULL_TIME : DRY_TIME))
    return since + (first ? FULL_TIME : DRY_TIME);
  full = first && upstream_is_full (self);
  if (now < since + DRY_TIME && !full)
    return MIN (since + DRY_TIME, now + FULL_TIME);
  if (anybody_is_at_work (self))
    self->last_text = now;
  else
    let_go (self, full ? FULL_TIME : DRY_TIME, full);
  return now;
}

/* How long a live frame may still wait, by the clock that its sink goes by;
 * NONE when that does not run. */
static GstClockTime
time_left (GstTernAttach * self, const HeldItem * item)
{
  GstClockTime now, due;

  /* Sinks do not show anything meanwhile. */
  if (!self->task.playing || !GST_CLOCK_TIME_IS_VALID (self->wait)
      || !GST_CLOCK_TIME_IS_VALID (item->running_time))
    return GST_CLOCK_TIME_NONE;
  now = gst_element_get_current_running_time (GST_ELEMENT_CAST (self));
  if (!GST_CLOCK_TIME_IS_VALID (now))
    return GST_CLOCK_TIME_NONE;
  due = item->running_time + self->wait;
  due -= MIN (due, DUE_LEAD);
  return due > now ? due - now : 0;
}

/* What is held of a live source leaves in time, whether it is answered or not;
 * what is too much at once. */
static GstTernEarly
live_head_is_early (GstTernAttach * self, HeadState state, GstClockTime * until)
{
  GstClockTime left;

  if (state == HEAD_OVER)
    return GST_TERN_EARLY_FULL;
  left = time_left (self, g_queue_peek_head (&self->task.queue));
  if (left == 0)
    return GST_TERN_EARLY_DUE;
  *until = look_after_upstream (self);
  if (GST_CLOCK_TIME_IS_VALID (left))
    *until = MIN (*until, gst_tern_task_now (&self->task) + left);
  return GST_TERN_IN_TIME;
}

/* With the lock: until the oldest item may leave. */
static GstFlowReturn
wait_for_head (GstTernAttach * self, Result ** result, GstTernEarly * early)
{
  gboolean idle = FALSE;

  *early = GST_TERN_IN_TIME;
  while (self->task.flow == GST_FLOW_OK) {
    HeadState state = get_head_state (self, result);
    GstClockTime until = GST_CLOCK_TIME_NONE;

    if (state == HEAD_READY)
      return GST_FLOW_OK;
    if (state == HEAD_NEWEST) {
      *early = GST_TERN_EARLY_NEWEST;
      return GST_FLOW_OK;
    }
    if (state != HEAD_NONE && state != HEAD_KEPT && self->live) {
      *early = live_head_is_early (self, state, &until);
      if (*early) {
        *result = g_queue_peek_tail (&self->results);
        return GST_FLOW_OK;
      }
    } else if (state == HEAD_OVER) {
      if (idle) {
        *result = g_queue_peek_tail (&self->results);
        *early = self->dry_bytes > 0 ? GST_TERN_EARLY_DRY : GST_TERN_EARLY_FULL;
        return GST_FLOW_OK;
      }
      idle = !gst_tern_attach_text_is_at_work (self);
      if (idle)
        continue;
      until = gst_tern_task_now (&self->task) + WORK_POLL;
    } else if (state == HEAD_WAITS) {
      idle = FALSE;
      until = look_after_upstream (self);
    }
    if (GST_CLOCK_TIME_IS_VALID (until))
      gst_tern_task_wait_until (&self->task, until);
    else
      g_cond_wait (&self->task.cond, &self->task.lock);
  }
  return self->task.flow;
}

/* How much video is held, in seconds. */
static gdouble
held_seconds (GstTernAttach * self, const HeldItem * first)
{
  GList *link;

  for (link = self->task.queue.tail; link; link = link->prev) {
    HeldItem *last = link->data;

    if (GST_IS_BUFFER (last->base.object)
        && GST_CLOCK_TIME_IS_VALID (last->running_end)
        && GST_CLOCK_TIME_IS_VALID (first->running_time)
        && last->running_end > first->running_time)
      return (gdouble) (last->running_end - first->running_time) / GST_SECOND;
  }
  return 0.0;
}

static void
warn_of_early (GstTernAttach * self, const HeldItem * item)
{
  static const gchar text[] =
      "Frames left before the result of their window was known.";

  switch (item->say) {
    case GST_TERN_EARLY_DRY:
      GST_ELEMENT_WARNING (self, STREAM, FAILED, ("%s", text),
          ("the source sent nothing more while %.1f s of video waited: queues "
              "beside the video (of audio, for a muxer) must hold a whole "
              "window and more, see max-size-time and max-size-bytes of queue, "
              "or set attach=newest", item->held_seconds));
      break;
    case GST_TERN_EARLY_NEWEST:
      GST_ELEMENT_WARNING (self, STREAM, FAILED,
          ("Frames carry the newest result from now on, not that of their "
              "window."),
          ("the source sent nothing more while %.1f s of video waited, for "
              "queues of its other streams (audio) are full, and hold less than "
              "a window. Those of decodebin hold one; with playbin3 and "
              "decodebin3 set attach=newest", item->held_seconds));
      break;
    case GST_TERN_EARLY_DUE:
      GST_ELEMENT_WARNING (self, STREAM, FAILED, ("%s", text),
          ("latency: expected an answer while live frames waited %.1f s, found "
              "none: raise latency of terngenerator, or set attach=newest",
              (gdouble) self->wait / GST_SECOND));
      break;
    default:
      GST_ELEMENT_WARNING (self, RESOURCE, NO_SPACE_LEFT, ("%s", text),
          ("max-held-bytes: found room for %" G_GUINT64_FORMAT " bytes, %.1f s "
              "of this video, expected room for a whole window%s: raise it, or "
              "set attach=newest", item->held_bytes, item->held_seconds,
              self->live ? " and latency" : ""));
      break;
  }
}

/* Frames begin to leave early: a QOS message, and once a warning that says what
 * would help. */
static void
post_early (GstTernAttach * self, const HeldItem * item)
{
  GstMessage *message;
  guint64 attached, early;
  gboolean warned;

  g_mutex_lock (&self->task.lock);
  attached = self->attached;
  early = self->early;
  warned = self->warned;
  self->warned = TRUE;
  g_mutex_unlock (&self->task.lock);

  message = gst_message_new_qos (GST_OBJECT_CAST (self), self->live,
      item->running_time, item->stream_time,
      GST_BUFFER_PTS (GST_BUFFER_CAST (item->base.object)), item->duration);
  gst_message_set_qos_stats (message, GST_FORMAT_BUFFERS, attached, early);
  gst_element_post_message (GST_ELEMENT_CAST (self), message);
  if (!warned)
    warn_of_early (self, item);
}

void
gst_tern_attach_tell_text (GstTernAttach * self, const HeldItem * item)
{
  if (GST_CLOCK_TIME_IS_VALID (item->running_time)
      && gst_pad_is_linked (self->textpad))
    gst_pad_push_event (self->textpad,
        gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
            gst_structure_new (GST_TERN_EVENT_PROGRESS,
                "running-time", G_TYPE_UINT64, item->running_time,
                "end", G_TYPE_UINT64, item->running_end, NULL)));
}

/* What upstream was found to hold, or not, is not true of another stream. A flush
 * keeps what took seconds to find out. */
static void
note_event (GstTernAttach * self, GstEvent * event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS) {
    self->video_ends++;
  } else if (GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START) {
    self->newest = FALSE;
    self->dry_bytes = 0;
  }
}

/* The oldest item, with its result on it, once it may leave. */
static GstTernItem *
take (gpointer element)
{
  GstTernAttach *self = element;
  guint64 held;
  Result *result;
  HeldItem *item;
  GstTernEarly early;

  if (wait_for_head (self, &result, &early) != GST_FLOW_OK)
    return NULL;
  held = self->task.bytes;
  item = gst_tern_task_take (&self->task, self->task.queue.head);
  if (GST_IS_BUFFER (item->base.object)) {
    GstBuffer *buffer = GST_BUFFER_CAST (item->base.object);

    gst_tern_attach_put_result (self, &buffer, result);
    item->base.object = GST_MINI_OBJECT_CAST (buffer);
    gst_tern_attach_forget_results (self, item);
    item->say = self->over ? GST_TERN_IN_TIME : early;
    item->held_bytes = held;
    item->held_seconds = item->say ? held_seconds (self, item) : 0.0;
    self->over = early != GST_TERN_IN_TIME;
    self->early += self->over;
  } else {
    note_event (self, GST_EVENT_CAST (item->base.object));
  }
  return &item->base;
}

static GstFlowReturn
handle (gpointer element, GstTernItem * base)
{
  GstTernAttach *self = element;
  HeldItem *item = (HeldItem *) base;

  if (!GST_IS_BUFFER (base->object))
    return gst_tern_task_send_event (&self->task,
        gst_event_ref (GST_EVENT_CAST (base->object)));
  if (item->say)
    post_early (self, item);
  gst_tern_attach_tell_text (self, item);
  return gst_pad_push (self->srcpad,
      GST_BUFFER_CAST (g_steal_pointer (&base->object)));
}

/* Upstream hears of an src pad that leads nowhere; that may be meant. */
const GstTernTaskFuncs gst_tern_attach_task = {
  .item_size = sizeof (HeldItem),
  .take = take,
  .handle = handle,
  .may_be_unlinked = TRUE,
};
