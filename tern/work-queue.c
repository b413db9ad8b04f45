/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/work-queue.h"

#include <string.h>

#include "tern/error.h"

void
tern_work_queue_init (TernWorkQueue *queue, const TernWorkLimits *limits)
{
  *queue = (TernWorkQueue) { .limits = *limits };
  queue->slots = g_new0 (TernFrameSlot, limits->n_slots);
  /* Every frame may end a window; more come in when windows are closed by time alone. */
  queue->size = 2 * limits->n_slots + 8;
  queue->work = g_new0 (TernWork, queue->size);
}

void
tern_work_queue_clear (TernWorkQueue *queue)
{
  tern_work_queue_drop_all (queue);
  for (guint i = 0; i < queue->limits.n_slots; i++)
    g_free (queue->slots[i].data);
  g_clear_pointer (&queue->slots, g_free);
  g_clear_pointer (&queue->work, g_free);
  queue->limits.n_slots = queue->size = 0;
}

/* ---- Slots ---- */

gboolean
tern_work_queue_has_room (const TernWorkQueue *queue, gsize bytes)
{
  gsize held = bytes;

  if (queue->n_taken == queue->limits.n_slots)
    return FALSE;
  if (queue->n_taken < queue->limits.always)
    return TRUE;
  for (guint i = 0; i < queue->limits.n_slots; i++)
    held += queue->slots[i].refs > 0 ? queue->slots[i].capacity : 0;
  return held <= queue->limits.bytes;
}

TernFrameSlot *
tern_work_queue_take_slot (TernWorkQueue *queue, gsize bytes, GError **error)
{
  TernFrameSlot *slot = queue->slots;

  if (!tern_work_queue_has_room (queue, bytes)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_BUSY, "%u frames wait for the engine already", queue->n_taken);
    return NULL;
  }
  while (slot->refs > 0)
    slot++;
  if (slot->capacity < bytes) {
    g_free (slot->data);
    slot->data = g_try_malloc (bytes);
    slot->capacity = slot->data ? bytes : 0;
    if (!slot->data) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "memory for a frame of %" G_GSIZE_FORMAT " bytes", bytes);
      return NULL;
    }
  }
  slot->refs = 1;
  slot->after = 0;
  queue->n_taken++;
  return slot;
}

TernFrameSlot *
tern_work_queue_hold_slot (TernFrameSlot *slot)
{
  slot->refs++;
  return slot;
}

/* What goes where @slot goes; not what it is `before` of. */
static void
return_others (TernWorkQueue *queue, TernFrameSlot *slot)
{
  if (slot->second)
    tern_work_queue_return_slot (queue, g_steal_pointer (&slot->second));
  if (slot->before)
    tern_work_queue_return_slot (queue, g_steal_pointer (&slot->before));
}

void
tern_work_queue_return_slot (TernWorkQueue *queue, TernFrameSlot *slot)
{
  if (--slot->refs > 0)
    return;
  return_others (queue, slot);
  queue->n_taken--;
}

/* ---- Order ---- */

void
tern_work_queue_append (TernWorkQueue *queue, const TernWork *work)
{
  if (queue->n == queue->size) {
    queue->size *= 2;
    queue->work = g_renew (TernWork, queue->work, queue->size);
  }
  queue->work[queue->n++] = *work;
}

/* Takes the one at @at out; what it has is the caller's. */
static TernWork
take_at (TernWorkQueue *queue, guint at)
{
  TernWork work = queue->work[at];

  queue->n--;
  memmove (queue->work + at, queue->work + at + 1, (queue->n - at) * sizeof (TernWork));
  return work;
}

gboolean
tern_work_queue_take (TernWorkQueue *queue, TernWork *work)
{
  if (queue->n == 0)
    return FALSE;
  *work = take_at (queue, 0);
  return TRUE;
}

void
tern_work_queue_release (TernWorkQueue *queue, TernWork *work)
{
  if (work->slot) {
    return_others (queue, work->slot);  /* whoever holds it further wants its pixels alone */
    tern_work_queue_return_slot (queue, work->slot);
  }
  if (work->config)
    queue->limits.unref (work->config);
  work->slot = NULL;
  work->config = NULL;
}

guint
tern_work_queue_answers (const TernWorkQueue *queue)
{
  guint n = 0;

  for (guint i = 0; i < queue->n; i++)
    n += queue->work[i].kind == TERN_WORK_WINDOW || queue->work[i].kind == TERN_WORK_STILL;
  return n;
}

/* ---- What is dropped ---- */

void
tern_work_queue_drop_all (TernWorkQueue *queue)
{
  for (guint i = 0; i < queue->n; i++)
    tern_work_queue_release (queue, &queue->work[i]);
  queue->n = 0;
}

static gboolean
is_frame (const TernWork *work)
{
  return work->kind == TERN_WORK_FRAME || work->kind == TERN_WORK_TOKENS;
}

void
tern_work_queue_drop_frames (TernWorkQueue *queue, guint64 first, guint64 end)
{
  guint kept = 0;

  for (guint i = 0; i < queue->n; i++) {
    TernWork *work = &queue->work[i];

    if (is_frame (work) && work->frame >= first && work->frame < end)
      tern_work_queue_release (queue, work);
    else
      queue->work[kept++] = *work;
  }
  queue->n = kept;
}

static void
drop_window (TernWorkQueue *queue, guint at)
{
  TernWork work = take_at (queue, at);

  tern_work_queue_release (queue, &work);
  queue->dropped++;
}

/* The place of the window that is next after place @from, or n. */
static guint
find_window (const TernWorkQueue *queue, guint from)
{
  while (from < queue->n && queue->work[from].kind != TERN_WORK_WINDOW)
    from++;
  return from;
}

/* Frames that only dropped windows had: those that come before any that is still needed. */
static void
drop_orphans (TernWorkQueue *queue, guint64 needed)
{
  guint window = find_window (queue, 0);

  if (window < queue->n)
    needed = MIN (needed, queue->work[window].window.first);
  tern_work_queue_drop_frames (queue, 0, needed);
}

gboolean
tern_work_queue_drop_oldest (TernWorkQueue *queue)
{
  guint at = find_window (queue, 0);
  guint64 next;

  if (at == queue->n)
    return FALSE;
  next = queue->work[at].window.next;
  drop_window (queue, at);
  drop_orphans (queue, next);
  return TRUE;
}

/* Whether the engine has begun with @window's frames: some do not wait any more. */
static gboolean
is_touched (const TernWorkQueue *queue, const TernWindow *window)
{
  for (guint i = 0; i < queue->n; i++)
    if (is_frame (&queue->work[i]))
      return queue->work[i].frame > window->first;
  return TRUE;
}

void
tern_work_queue_keep_newest (TernWorkQueue *queue)
{
  guint at = find_window (queue, 0), next;
  guint64 first = 0;

  if (at < queue->n && is_touched (queue, &queue->work[at].window)) {
    first = queue->work[at].window.end;
    at = find_window (queue, at + 1);
  }
  while ((next = find_window (queue, at + 1)) < queue->n) {
    drop_window (queue, at);
    at = next - 1;
  }
  if (at < queue->n)
    tern_work_queue_drop_frames (queue, first, queue->work[at].window.first);
}

gboolean
tern_work_queue_make_room (TernWorkQueue *queue, gsize bytes)
{
  while (!tern_work_queue_has_room (queue, bytes) && tern_work_queue_drop_oldest (queue));
  if (tern_work_queue_has_room (queue, bytes))
    return TRUE;
  tern_work_queue_drop_frames (queue, 0, G_MAXUINT64);
  return FALSE;
}
