/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: frames and windows on their way through the work queue of a session, live or not, while the engine takes
 * and gives back when it likes. Whatever is dropped, a window that reaches the engine has all of its frames; and where frames are
 * looked back to, each has the one that was pushed before it. */
#include <string.h>

#include "tern/work-queue.h"
#include "tests/fuzz/bytes.h"

#define MOST_FRAMES 4096
#define MOST_HELD 40            /* works in the engine's hand */

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

struct _TernSessionConfig {
  int refs;
};

typedef struct {
  Bytes bytes;
  gboolean live;
  TernWindower windower;
  TernWorkQueue queue;
  TernSessionConfig config;
  guint64 pts;

  TernWork held[MOST_HELD];
  guint n_held;
  gboolean came[MOST_FRAMES];   /* the engine had this frame */
  guint64 last_frame;           /* that the engine had; -1: none */
  guint64 last_end;             /* of the window that it had last */
  guint64 closed, answered, passed_over, thrown_away;

  gboolean looks_back;
  TernFrameSlot *latest;        /* the frame that was pushed last; NULL: none since the last finish or flush */
  guint64 pushed;               /* frames; slots of frames have their number as their picture */
} Run;

static TernSessionConfig *
take_ref (Run *run)
{
  run->config.refs++;
  return &run->config;
}

static void
drop_ref (TernSessionConfig *config)
{
  g_assert_cmpint (config->refs, >, 0);
  config->refs--;
}

static gboolean
is_frame (const TernWork *work)
{
  return work->kind == TERN_WORK_FRAME || work->kind == TERN_WORK_TOKENS;
}

static const TernWork *
work_at (const Run *run, guint i)
{
  return i < run->n_held ? &run->held[i] : &run->queue.work[i - run->n_held];
}

/* Each slot has as many references as there are to it. */
static void
check_slots (const Run *run)
{
  const TernWorkQueue *queue = &run->queue;
  guint taken = 0;

  for (guint s = 0; s < queue->limits.n_slots; s++) {
    const TernFrameSlot *slot = &queue->slots[s];
    guint refs = run->latest == slot;

    for (guint i = 0; i < run->n_held + queue->n; i++) {
      const TernWork *work = work_at (run, i);

      refs += work->slot && (work->slot == slot || work->slot->before == slot);
    }
    g_assert_cmpuint (slot->refs, ==, refs);
    g_assert_true (refs > 0 || (!slot->before && !slot->second));
    taken += refs > 0;
  }
  g_assert_cmpuint (queue->n_taken, ==, taken);
}

/* Slots are used once each, references counted, frames in order, windows in order. */
static void
check_queue (const Run *run)
{
  const TernWorkQueue *queue = &run->queue;
  guint answers = 0;
  gint64 frame = -1;
  guint64 end = 0;

  for (guint i = 0; i < run->n_held + queue->n; i++) {
    const TernWork *work = work_at (run, i);

    g_assert_true ((work->slot != NULL) == (work->kind != TERN_WORK_WINDOW));
    for (guint j = 0; work->slot && j < i; j++)
      g_assert_true (work_at (run, j)->slot != work->slot);
    if (i < run->n_held)
      continue;
    answers += work->kind == TERN_WORK_WINDOW || work->kind == TERN_WORK_STILL;
    if (is_frame (work)) {
      g_assert_cmpint ((gint64) work->frame, >, frame);
      frame = (gint64) work->frame;
    } else if (work->kind == TERN_WORK_WINDOW) {
      g_assert_cmpuint (work->window.end, >=, end);
      end = work->window.end;
    }
  }
  check_slots (run);
  g_assert_cmpuint (answers, ==, tern_work_queue_answers (queue));
  g_assert_cmpint (run->config.refs, ==, (gint) (run->n_held + queue->n));
  /* No answer is lost unseen. */
  g_assert_cmpuint (run->closed, ==, run->answered + run->thrown_away + queue->dropped - run->passed_over + answers);
}

/* ---- The engine ---- */

static void
engine_takes (Run *run)
{
  TernWork work;

  if (run->n_held == MOST_HELD || !tern_work_queue_take (&run->queue, &work))
    return;
  if (is_frame (&work)) {
    g_assert_false (run->came[work.frame]);
    g_assert_true (run->last_frame == G_MAXUINT64 || work.frame > run->last_frame);
    g_assert_cmpuint (memcmp (work.slot->data, &work.frame, sizeof work.frame), ==, 0);
    g_assert_true (!work.slot->before || work.slot->before->picture + 1 == work.slot->picture);
    run->came[work.frame] = TRUE;
    run->last_frame = work.frame;
  } else if (work.kind == TERN_WORK_WINDOW) {
    g_assert_cmpuint (work.window.end, >=, run->last_end);
    run->last_end = work.window.end;
    for (guint64 i = work.window.first; i < work.window.end; i++)
      g_assert_true (run->came[i]);
    run->answered++;
  } else {
    run->answered++;
  }
  run->held[run->n_held++] = work;
}

static void
engine_releases (Run *run)
{
  guint at = run->n_held ? next_below (&run->bytes, run->n_held) : 0;

  if (run->n_held == 0)
    return;
  tern_work_queue_release (&run->queue, &run->held[at]);
  run->held[at] = run->held[--run->n_held];
}

/* ---- The session, as tern/session-push.c does it ---- */

/* Newer windows push older ones out, but not the one at whose frames the engine is. */
static void
keep_newest (Run *run)
{
  const TernWorkQueue *queue = &run->queue;
  guint at = 0;
  gboolean begun = FALSE;
  TernWindow window;

  while (queue->work[at].kind != TERN_WORK_WINDOW)
    at++;
  window = queue->work[at].window;
  begun = run->came[window.first];
  tern_work_queue_keep_newest (&run->queue);
  for (at = 0; queue->work[at].kind != TERN_WORK_WINDOW; at++);
  g_assert_true (!begun || queue->work[at].window.first == window.first);
}

static void
append_closed (Run *run, const TernWork *frame)
{
  TernWork work = { .kind = TERN_WORK_WINDOW };

  while (tern_windower_next (&run->windower, &work.window)) {
    if (frame && work.window.end > frame->frame) {
      tern_work_queue_append (&run->queue, frame);
      frame = NULL;
    }
    work.config = take_ref (run);
    tern_work_queue_append (&run->queue, &work);
    run->closed++;
    if (run->live)
      keep_newest (run);
  }
  if (frame)
    tern_work_queue_append (&run->queue, frame);
}

static TernFrameSlot *
take_slot (Run *run, gsize bytes)
{
  TernFrameSlot *slot;
  gboolean room;

  if (run->live && !tern_work_queue_make_room (&run->queue, bytes)) {
    run->passed_over += run->windower.n_marks > 0;
    run->queue.dropped += run->windower.n_marks > 0;
    tern_windower_pass_over (&run->windower);
  }
  room = tern_work_queue_has_room (&run->queue, bytes);
  slot = tern_work_queue_take_slot (&run->queue, bytes, NULL);
  g_assert_true ((slot != NULL) == room);
  /* An engine that has let go of everything and has nothing to do is never the reason. */
  g_assert_true (slot || run->queue.n + run->n_held > 0);
  g_assert_true (!slot || slot->capacity >= bytes);
  return slot;
}

static void
forget_latest (Run *run)
{
  if (run->latest)
    tern_work_queue_return_slot (&run->queue, g_steal_pointer (&run->latest));
}

static void
follow (Run *run, TernFrameSlot *slot)
{
  slot->picture = ++run->pushed;
  if (!run->looks_back)
    return;
  slot->before = run->latest;
  run->latest = tern_work_queue_hold_slot (slot);
}

static void
push_frame (Run *run, gboolean still)
{
  gsize bytes = 8 + next_below (&run->bytes, 3) * 200;
  TernFrameSlot *slot = take_slot (run, bytes);
  TernWork work = { .kind = still ? TERN_WORK_STILL : TERN_WORK_FRAME, .slot = slot };
  TernWindowVerdict verdict;

  if (!slot)
    return;
  work.config = take_ref (run);
  if (still) {
    run->closed++;
    tern_work_queue_append (&run->queue, &work);
    return;
  }
  work.frame = run->windower.count;
  memset (slot->data, 0, bytes);
  memcpy (slot->data, &work.frame, sizeof work.frame);
  follow (run, slot);
  verdict = tern_windower_add (&run->windower, run->pts, run->pts, next_below (&run->bytes, 8) == 0);
  append_closed (run, verdict == TERN_WINDOW_SKIP ? NULL : &work);
  if (verdict == TERN_WINDOW_SKIP)
    tern_work_queue_release (&run->queue, &work);
}

static void
finish (Run *run)
{
  tern_windower_finish (&run->windower, run->pts);
  append_closed (run, NULL);
  forget_latest (run);
}

static void
flush (Run *run)
{
  forget_latest (run);
  run->thrown_away += tern_work_queue_answers (&run->queue);
  tern_windower_reset (&run->windower);
  tern_work_queue_drop_all (&run->queue);
}

static void
go_on (Run *run)
{
  switch (next_below (&run->bytes, 16)) {
    case 0:
      finish (run);
      break;
    case 1:
      if (next_below (&run->bytes, 4) == 0)
        flush (run);
      break;
    case 2:
    case 3:
    case 4:
      for (guint n = 1 + next_below (&run->bytes, 12); n > 0; n--)
        engine_takes (run);
      break;
    case 5:
    case 6:
    case 7:
      for (guint n = 1 + next_below (&run->bytes, 12); n > 0; n--)
        engine_releases (run);
      break;
    case 8:
      push_frame (run, TRUE);
      break;
    case 9:
      tern_windower_see (&run->windower, run->pts, run->pts);
      append_closed (run, NULL);
      break;
    default:
      push_frame (run, FALSE);
      run->pts += 500000000 * (guint64) next_below (&run->bytes, 4);
      break;
  }
  check_queue (run);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  Run *run = g_new0 (Run, 1);
  TernWindowPlan plan = { .rate_n = 2, .rate_d = 1 };
  TernWorkLimits limits = { .unref = drop_ref };

  run->bytes = (Bytes) { data, data + size };
  run->live = next_below (&run->bytes, 2);
  plan.eager = run->live;
  plan.group = 1 + next_below (&run->bytes, 4);
  plan.window = plan.group * (1 + next_below (&run->bytes, 4));
  plan.hop = plan.group * (1 + next_below (&run->bytes, 6));
  limits.n_slots = (run->live ? 3 : 1) * plan.window + plan.group;
  limits.always = 2 * plan.group;
  limits.bytes = next_below (&run->bytes, 2) ? 1000 : 100000;
  run->looks_back = next_below (&run->bytes, 2);
  if (run->looks_back) {
    limits.n_slots += run->live ? 4 : 2;
    limits.always += 2;
  }
  run->last_frame = G_MAXUINT64;
  tern_windower_init (&run->windower, &plan);
  tern_work_queue_init (&run->queue, &limits);

  while (bytes_left (&run->bytes) && run->windower.count < MOST_FRAMES)
    go_on (run);
  finish (run);
  while (run->queue.n + run->n_held > 0) {
    engine_takes (run);
    engine_releases (run);
    check_queue (run);
  }
  g_assert_cmpuint (run->queue.n_taken, ==, 0);
  tern_work_queue_clear (&run->queue);
  tern_windower_clear (&run->windower);
  g_free (run);
  return 0;
}
