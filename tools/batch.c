/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/json.h"
#include "engine/base/threads.h"
#include "tools/inspect-memory.h"
#include "tools/source.h"
#include "tools/tool.h"

#define WAIT_US 100000          /* until signals, stalls and progress are looked at again */
#define COMMIT_US G_USEC_PER_SEC
#define AHEAD 512               /* inputs begun while the first of them is not over */
#define WAITING_MAX 32          /* found and not begun, beside those at work */
#define GIVE_UP_US (5 * G_USEC_PER_SEC)         /* a thread that does not come back is left behind */
#define LAST_US (G_USEC_PER_SEC / 2)            /* the same at the end */
#define STOOD_US G_USEC_PER_SEC /* between two looks at the jobs: the program itself stood still (SIGSTOP, a machine that sleeps) */

enum { STOP_NONE, STOP_END, STOP_STALL, STOP_LIMIT };

typedef struct {
  TernBatch *batch;
  GMutex lock;
  GCond cond;
  gboolean changed;             /* there is something to look at */
  GQueue todo;                  /* TernBatchJob, referenced, that no thread has */
  guint threads;                /* that are there, without those left behind */
  gboolean ending;

  /* of the thread that runs the batch alone */
  GQueue jobs;                  /* TernBatchJob in the order of the inputs, until they are written */
  gboolean listed;              /* there are no more */
  gboolean left;                /* some thread was left behind */
  gint64 committed, watched;
  guint64 written, bad;         /* results of the input that is being written; of these, windows that failed */
  char *why;                    /* the first of them did */
  gboolean begun;               /* the first of jobs was */
  gint window_told;             /* atomic, of the inputs' threads */
} Run;

static volatile sig_atomic_t signal_number;

static void
on_signal (int number)
{
  signal_number = number;
}

static gboolean
is_signalled (void)
{
  return signal_number != 0;
}

static void
notify (void *data)
{
  Run *run = data;

  g_mutex_lock (&run->lock);
  run->changed = TRUE;
  g_cond_broadcast (&run->cond);
  g_mutex_unlock (&run->lock);
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

static gpointer
work (gpointer data)
{
  Run *run = data;
  gboolean left_behind = FALSE;

  tern_thread_take_turns ();
  g_mutex_lock (&run->lock);
  while (!left_behind) {
    TernBatchJob *job = g_queue_pop_head (&run->todo);

    if (!job && run->ending)
      break;
    if (!job) {
      g_cond_wait (&run->cond, &run->lock);
      continue;
    }
    g_mutex_unlock (&run->lock);
    tern_batch_job_run (job);
    g_mutex_lock (&run->lock);
    left_behind = job->left_behind;
    tern_batch_job_unref (job);
  }
  if (!left_behind)
    run->threads--;
  g_cond_broadcast (&run->cond);
  g_mutex_unlock (&run->lock);
  return NULL;
}

static void
start_thread (Run *run)
{
  run->threads++;
  g_thread_unref (g_thread_new ("tern-input", work, run));
}

/* Its thread hangs in a read: another one takes its place. */
static void
leave_behind (Run *run, TernBatchJob *job)
{
  g_mutex_lock (&run->lock);
  job->left_behind = run->left = TRUE;
  start_thread (run);
  run->threads--;
  g_mutex_unlock (&run->lock);
}

/* ---- What became of an input ------------------------------------------------------------------------------------- */

static void
note_failure (TernBatch *batch, const char *source, const char *message)
{
  g_autofree char *bytes = tern_source_bytes (source);
  g_autoptr (GString) line = NULL;
  TernJson json;

  if (!batch->failures || batch->unlisted)
    return;
  line = g_string_new (NULL);
  json = (TernJson) { line };
  tern_json_open (&json, '{');
  tern_json_add_text (&json, "source", source);
  if (bytes)
    tern_json_add_text (&json, TERN_CAPTION_SOURCE_BYTES, bytes);
  tern_json_add_text (&json, "error", message);
  tern_json_close (&json, '}');
  if (fprintf (batch->failures, "%s\n", line->str) >= 0 && fflush (batch->failures) == 0)
    return;
  tern_tool_message ("%s: the list of what failed cannot be written: %s", batch->failures_path, g_strerror (errno));
  batch->full |= errno == ENOSPC || errno == EDQUOT;
  batch->unlisted = TRUE;
}

static char *
failure_message (const TernBatch *batch, const TernBatchJob *job, guint64 bad, const char *why)
{
  const char *message = job->error ? job->error->message : NULL;
  int stop = g_atomic_int_get (&job->stop);

  if (stop == STOP_STALL)
    return g_strdup_printf ("%s: expected something new within %g s, found nothing: given up", job->source, batch->patience);
  if (stop == STOP_LIMIT)
    return g_strdup_printf ("%s: expected it to be over within %g s, found that it is not: given up", job->source,
        batch->time_limit);
  if (!message)
    return g_strdup_printf ("%s: expected a caption of every window, found that %" G_GUINT64_FORMAT " failed: %s", job->source, bad,
        why ? why : "no reason");
  if (strstr (message, g_str_equal (job->source, "-") ? "standard input" : job->source))
    return g_strdup (message);
  return g_strdup_printf ("%s: %s", job->source, message);
}

/* The disk is full: it is not the input's fault. */
static gboolean
is_full (const GError *error)
{
  return g_error_matches (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
}

/* Nothing more can be written, or shall be. */
static gboolean
is_end (const GError *error)
{
  return is_full (error) || g_error_matches (error, TERN_ERROR, TERN_ERROR_CANCELLED);
}

static void
note (TernBatch *batch, const TernBatchJob *job, TernJournalStatus status, const char *text)
{
  if (batch->journal)
    tern_journal_add (batch->journal, status, job->input->path, job->state, tern_caption_output_end_of_lines (batch->out),
        batch->out->results, text);
}

static void
failed (const char *source, const char *message, void *data)
{
  TernBatch *batch = data;

  tern_tool_message ("%s", message);
  batch->failed++;
  note_failure (batch, source, message);
}

static void
tell_done (const Run *run, const TernBatchJob *job, const char *error)
{
  if (run->batch->tell_done)
    tern_caption_output_tell_done (run->batch->out, job->source, run->written, error, job->other);
}

/* All of @job's results are written, or none. */
static void
finish (Run *run, TernBatchJob *job)
{
  TernBatch *batch = run->batch;
  g_autoptr (GError) unwritten = NULL;
  gboolean stalled = g_atomic_int_get (&job->stop) != STOP_NONE;

  if (job->usage) {
    if (job->error)
      tern_tool_message ("%s: %s", job->source, job->error->message);
    else
      tern_caption_output_refuse_still (batch->out, job->source);
    batch->usage = TRUE;
    return;
  }
  if (job->input->over && !job->input->refusal) {
    tell_done (run, job, NULL);
    return;
  }
  if (job->passed) {
    batch->passed++;
    note (batch, job, TERN_JOURNAL_PASSED, NULL);
    tell_done (run, job, NULL);
    return;
  }
  batch->progress.times.reading += job->left_behind ? 0 : job->read_s;
  batch->progress.times.decoding += job->left_behind ? 0 : job->decode_s;
  if ((job->good || (batch->out->n_cues > 0 && tern_caption_output_takes_parts (batch->out))) && !stalled
      && !tern_caption_output_end (batch->out, job->input, job->again, &unwritten) && is_end (unwritten)) {
    batch->full = is_full (unwritten);
    if (batch->full)
      tern_tool_message ("%s", unwritten->message);
    return;
  }
  if (job->good && !stalled && !unwritten) {
    batch->done++;
    note (batch, job, TERN_JOURNAL_DONE, batch->out->file);
    tell_done (run, job, NULL);
  } else {
    g_autofree char *message = unwritten ? g_strdup (unwritten->message) : failure_message (batch, job, run->bad, run->why);

    failed (job->source, message, batch);
    batch->unfit += job->unfit;
    if (!job->input->refusal)   /* what was not opened is seen again by the next run */
      note (batch, job, TERN_JOURNAL_FAILED, message);
    tell_done (run, job, message);
  }
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void
write_result (Run *run, TernResult *result)
{
  TernBatch *batch = run->batch;

  if (result->has_metrics) {
    batch->progress.times.vision += result->metrics.encode_ms / 1e3;
    batch->progress.times.language_model += (result->metrics.prefill_ms + result->metrics.decode_ms) / 1e3;
  }
  tern_progress_clear (&batch->progress);
  run->written++;
  if (!run->why && g_str_equal (result->kind, "error"))
    run->why = g_strdup (result->result);
  if (!tern_caption_output_take (batch->out, result))
    run->bad++;
}

/* What is there of @job. TRUE: it is over. */
static gboolean
write_job (Run *run, TernBatchJob *job)
{
  TernBatch *batch = run->batch;
  gint64 start = g_get_monotonic_time ();
  gboolean over = FALSE;
  TernResult *result;

  if (!run->begun) {
    run->written = run->bad = 0;
    g_clear_pointer (&run->why, g_free);
    tern_caption_output_begin (batch->out, job->source, job->again);
    run->begun = TRUE;
  }
  while (!batch->out->closed && (result = tern_batch_job_poll (job)))
    write_result (run, result);
  if (!batch->out->closed && (job->left_behind || tern_batch_job_done (job))) {
    finish (run, job);
    run->begun = FALSE;
    over = TRUE;
  }
  batch->progress.times.writing += (g_get_monotonic_time () - start) / 1e6;
  return over;
}

static gboolean
stopping (const Run *run)
{
  return signal_number || run->batch->usage || run->batch->full || run->batch->out->closed;
}

static gboolean
is_done (TernBatchJob *job)
{
  gboolean done;

  g_mutex_lock (&job->lock);
  done = job->done;
  g_mutex_unlock (&job->lock);
  return done;
}

/* Whether @job has its turn. In order: the first, whose results are written as they come. Unordered: what is over. */
static gboolean
has_turn (Run *run, TernBatchJob *job)
{
  if (!run->batch->unordered || job->input->over)       /* that stands behind all that is in it */
    return g_queue_peek_head (&run->jobs) == job;
  return job->left_behind || is_done (job);
}

static gboolean
write_all (Run *run)
{
  gboolean any = FALSE;

  for (GList *l = run->jobs.head, *next; l && !stopping (run); l = next) {
    TernBatchJob *job = l->data;

    next = l->next;
    if (has_turn (run, job) && write_job (run, job)) {
      g_queue_delete_link (&run->jobs, l);
      tern_batch_job_unref (job);
      any = TRUE;
    } else if (!run->batch->unordered) {
      break;
    }
  }
  return any;
}

/* First what was made, then that it was. */
static void
commit (Run *run, gboolean now)
{
  TernBatch *batch = run->batch;
  g_autoptr (GError) error = NULL;

  if (!batch->journal || !tern_journal_pending (batch->journal)
      || (!now && g_get_monotonic_time () - run->committed < COMMIT_US))
    return;
  run->committed = g_get_monotonic_time ();
  if (tern_caption_output_sync (batch->out, &error) && tern_journal_commit (batch->journal, &error))
    return;
  tern_tool_message ("%s", error->message);
  batch->full = TRUE;
}

/* ---- Beginning --------------------------------------------------------------------------------------------------- */

/* Of what is in the input: size and time, or the bytes. */
static guint64
state_of (const TernBatch *batch, const TernBatchInput *input)
{
  g_autoptr (GChecksum) sum = NULL;
  guint8 block[1 << 16];
  struct stat info;
  gsize length = 8, at = 0;
  guint64 state = 0;
  gssize n;
  int fd;

  if ((input->fd >= 0 ? fstat (input->fd, &info) : stat (input->path, &info)) < 0 || !S_ISREG (info.st_mode))
    return 0;
  sum = g_checksum_new (G_CHECKSUM_MD5);
  if (!batch->checksum && input->fd < 0) {
    gint64 stamp[3] = { info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec };

    g_checksum_update (sum, (const guchar *) stamp, sizeof stamp);
  } else {
    fd = input->fd >= 0 ? dup (input->fd) : open (input->path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = pread (fd, block, sizeof block, at)) > 0) {
      g_checksum_update (sum, block, n);
      at += n;
    }
    if (fd >= 0)
      close (fd);
  }
  length = 16;
  g_checksum_get_digest (sum, block, &length);
  memcpy (&state, block, sizeof state);
  return state;
}

/* It is not tried again, and is on the list all the same: the list is of all runs, whatever ended them. */
static void
count_old_failure (TernBatch *batch, const TernBatchJob *job)
{
  g_autofree char *reason = tern_journal_take_reason (batch->journal, job->input->path);

  batch->failed++;
  if (reason)
    note_failure (batch, job->source, reason);
}

/* Whether a run before has done @job. */
static gboolean
is_over (TernBatch *batch, TernBatchJob *job)
{
  if (!batch->journal)
    return FALSE;
  job->state = state_of (batch, job->input);
  switch (tern_journal_find (batch->journal, job->input->path, job->state)) {
    case TERN_JOURNAL_DONE:
      batch->skipped++;
      return TRUE;
    case TERN_JOURNAL_PASSED:
      batch->passed += tern_batch_list_pass (batch->work.list, job->input)
          || (batch->work.no_stills && tern_batch_list_pass_still (batch->work.list, job->input));
      return TRUE;
    case TERN_JOURNAL_FAILED:
      job->again = TRUE;
      if (!batch->retry_failed)
        count_old_failure (batch, job);
      return !batch->retry_failed;
    case TERN_JOURNAL_CHANGED:
      job->again = TRUE;
      return FALSE;
    default:
      return FALSE;
  }
}

static void
begin (Run *run, TernBatchInput *input)
{
  TernBatchJob *job = tern_batch_job_new (&run->batch->work, input);
  gboolean unopened = input->refusal || input->over;
  g_autoptr (GError) error = NULL;

  if (unopened) {
    if (input->refusal)
      job->error = g_error_new_literal (TERN_ERROR, TERN_ERROR_READ, input->refusal);
    job->done = TRUE;
    g_queue_push_tail (&run->jobs, job);
    return;
  }
  if (tern_caption_output_is_own (run->batch->out, input)) {
    tern_batch_list_pass_own (run->batch->work.list, input);
    run->batch->passed++;
    tern_batch_job_unref (job);
    return;
  }
  if (is_over (run->batch, job)) {
    tern_batch_job_unref (job);
    return;
  }
  if (!tern_caption_output_may (run->batch->out, input, job->again, &error)) {
    job->error = g_steal_pointer (&error);      /* told when it is its turn */
    job->done = TRUE;
    g_queue_push_tail (&run->jobs, job);
    return;
  }
  g_queue_push_tail (&run->jobs, job);
  g_atomic_int_inc (&job->references);
  g_mutex_lock (&run->lock);
  g_queue_push_tail (&run->todo, job);
  if (run->threads < run->batch->jobs)
    start_thread (run);
  g_cond_broadcast (&run->cond);
  g_mutex_unlock (&run->lock);
}

/* More than --max-memory is in use, and what is at work will give some of it back. */
static gboolean
is_tight (const Run *run)
{
  TernMemoryUse use;

  if (!run->batch->max_memory || run->jobs.length == 0)
    return FALSE;
  tern_memory_use (&use);
  return use.resident > run->batch->max_memory;
}

/* As many as there is room for. */
static void
begin_some (Run *run)
{
  TernBatchInput *input;
  guint waiting;

  while (!run->listed && !stopping (run) && run->jobs.length < AHEAD) {
    g_mutex_lock (&run->lock);
    waiting = run->todo.length;
    g_mutex_unlock (&run->lock);
    if (waiting >= WAITING_MAX || is_tight (run))
      return;
    switch (tern_batch_list_next (run->batch->work.list, &input)) {
      case TERN_BATCH_LIST_INPUT:
        begin (run, input);
        break;
      case TERN_BATCH_LIST_WAIT:
        return;
      case TERN_BATCH_LIST_END:
        run->listed = TRUE;
    }
  }
}

/* ---- Watching ---------------------------------------------------------------------------------------------------- */

/* Time in which the whole program stood still is nobody's. */
static void
forgive (Run *run, gint64 stood)
{
  for (GList *l = run->jobs.head; l; l = l->next) {
    TernBatchJob *job = l->data;

    g_mutex_lock (&job->lock);
    if (job->began) {
      job->began += stood;
      job->moved += stood;
    }
    g_mutex_unlock (&job->lock);
  }
}

/* Gives up what stands still or takes too long. */
static void
watch (Run *run)
{
  TernBatch *batch = run->batch;
  gint64 now = g_get_monotonic_time ();

  if (run->watched && now - run->watched > STOOD_US)
    forgive (run, now - run->watched);
  run->watched = now;
  for (GList *l = run->jobs.head; l; l = l->next) {
    TernBatchJob *job = l->data;
    gint64 began, moved;
    gboolean done;

    g_mutex_lock (&job->lock);
    began = job->began;
    moved = job->moved;
    done = job->done;
    g_mutex_unlock (&job->lock);
    if (done || !began || job->left_behind)
      continue;
    if (g_atomic_int_get (&job->stop) == STOP_NONE) {
      if (batch->patience > 0 && now - moved > batch->patience * G_USEC_PER_SEC)
        g_atomic_int_set (&job->stop, STOP_STALL);
      else if (batch->time_limit > 0 && now - began > batch->time_limit * G_USEC_PER_SEC)
        g_atomic_int_set (&job->stop, STOP_LIMIT);
    } else if (now - moved > GIVE_UP_US && now - began > batch->time_limit * G_USEC_PER_SEC + GIVE_UP_US) {
      leave_behind (run, job);
    }
  }
}

static void
show (Run *run, gboolean end)
{
  TernBatch *batch = run->batch;
  TernBatchJob *job = g_queue_peek_head (&run->jobs);
  TernBatchState state = { batch->done, batch->failed, batch->skipped, batch->passed };

  state.total_known = tern_batch_list_total (batch->work.list, &state.total);
  state.length = G_MAXUINT64;
  if (job) {
    g_mutex_lock (&job->lock);
    state.source = job->source;
    state.pts = job->pts;
    state.length = job->length;
    g_mutex_unlock (&job->lock);
  }
  if (end)
    tern_progress_end (&batch->progress, &state);
  else
    tern_progress_show (&batch->progress, &state);
}

static void
wait_a_moment (Run *run)
{
  gint64 until = g_get_monotonic_time () + WAIT_US;

  g_mutex_lock (&run->lock);
  while (!run->changed && !signal_number && g_cond_wait_until (&run->cond, &run->lock, until));
  run->changed = FALSE;
  g_mutex_unlock (&run->lock);
}

/* ---- From begin to end ------------------------------------------------------------------------------------------- */

/* FALSE: some thread does not come back. */
static gboolean
end_threads (Run *run)
{
  gint64 until = g_get_monotonic_time () + LAST_US;
  gboolean all;

  for (GList *l = run->jobs.head; l; l = l->next)
    g_atomic_int_compare_and_exchange (&((TernBatchJob *) l->data)->stop, STOP_NONE, STOP_END);
  g_mutex_lock (&run->lock);
  run->ending = TRUE;
  g_queue_clear_full (&run->todo, (GDestroyNotify) tern_batch_job_unref);
  g_cond_broadcast (&run->cond);
  while (run->threads && g_cond_wait_until (&run->cond, &run->lock, until));
  all = run->threads == 0 && !run->left;
  g_mutex_unlock (&run->lock);
  return all;
}

static void
take_signals (void (*handler) (int))
{
  struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
}

gboolean
tern_batch_run (TernBatch *batch)
{
  Run *run = g_new0 (Run, 1);
  gboolean all, wrote;

  run->batch = batch;
  run->committed = g_get_monotonic_time ();
  batch->work.notify = notify;
  batch->out->stopped = is_signalled;
  batch->work.notify_data = run;
  batch->work.window_told = &run->window_told;
  g_mutex_init (&run->lock);
  g_cond_init (&run->cond);
  take_signals (on_signal);
  tern_progress_begin (&batch->progress);
  tern_batch_list_watch (batch->work.list, notify, run);
  while (!stopping (run)) {
    begin_some (run);
    wrote = write_all (run);
    if (!wrote && run->listed && run->jobs.length == 0)
      break;
    watch (run);
    commit (run, FALSE);
    show (run, FALSE);
    if (!wrote)                 /* what is over has made room, or was the last */
      wait_a_moment (run);
  }
  batch->signal = signal_number;
  commit (run, TRUE);
  if (!stopping (run))
    tern_batch_list_report (batch->work.list, failed, batch);
  show (run, TRUE);
  tern_batch_list_watch (batch->work.list, NULL, NULL);
  all = end_threads (run);
  take_signals (SIG_DFL);
  if (!all)
    return FALSE;
  g_queue_clear_full (&run->jobs, (GDestroyNotify) tern_batch_job_unref);
  g_free (run->why);
  g_mutex_clear (&run->lock);
  g_cond_clear (&run->cond);
  g_free (run);
  return TRUE;
}
