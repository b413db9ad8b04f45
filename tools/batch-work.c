/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/batch-work.h"

#include "tools/caption-window.h"
#include "tools/source.h"
#include "tools/tool.h"

#define WAIT_US 100000          /* then it is seen whether to stop */

TernBatchJob *
tern_batch_job_new (const TernBatchWork *work, TernBatchInput *input)
{
  TernBatchJob *job = g_new0 (TernBatchJob, 1);

  job->work = work;
  job->input = input;
  job->source = tern_source_public_name (input->path);
  job->references = 1;
  job->length = TERN_TIME_NONE;
  g_mutex_init (&job->lock);
  g_queue_init (&job->results);
  return job;
}

void
tern_batch_job_unref (TernBatchJob *job)
{
  TernResult *result;

  if (!g_atomic_int_dec_and_test (&job->references))
    return;
  while ((result = g_queue_pop_head (&job->results)))
    tern_result_unref (result);
  g_clear_error (&job->error);
  tern_batch_input_free (job->input);
  g_mutex_clear (&job->lock);
  g_free (job->source);
  g_free (job);
}

TernResult *
tern_batch_job_poll (TernBatchJob *job)
{
  TernResult *result;

  g_mutex_lock (&job->lock);
  result = g_queue_pop_head (&job->results);
  g_mutex_unlock (&job->lock);
  return result;
}

gboolean
tern_batch_job_done (TernBatchJob *job)
{
  gboolean done;

  g_mutex_lock (&job->lock);
  done = job->done && job->results.length == 0;
  g_mutex_unlock (&job->lock);
  return done;
}

static gboolean
stopped (TernBatchJob *job)
{
  return g_atomic_int_get (&job->stop) != 0;
}

static void
moved (TernBatchJob *job, guint64 pts)
{
  g_mutex_lock (&job->lock);
  job->moved = g_get_monotonic_time ();
  if (pts != TERN_TIME_NONE)
    job->pts = pts;
  g_mutex_unlock (&job->lock);
}

/* Takes @result. FALSE for one that says that its window failed. */
static gboolean
give (TernBatchJob *job, TernResult *result)
{
  gboolean good = !g_str_equal (result->kind, "error");

  g_mutex_lock (&job->lock);
  g_queue_push_tail (&job->results, result);
  job->moved = g_get_monotonic_time ();
  g_mutex_unlock (&job->lock);
  job->work->notify (job->work->notify_data);
  return good;
}

/* Pushes until there is room: nothing of a file is dropped. */
static gboolean
push (TernBatchJob *job, TernSession *session, const TernMedia *media, const TernImage *image, guint64 pts, guint64 duration,
    GError **error)
{
  g_autoptr (GError) busy = NULL;

  while (!(tern_media_is_still (media) ? tern_session_push_still (session, image, &busy)
          : tern_session_push_frame (session, image, pts, duration, &busy))) {
    if (stopped (job) || !g_error_matches (busy, TERN_ERROR, TERN_ERROR_BUSY)) {
      g_propagate_error (error, g_steal_pointer (&busy));
      return FALSE;
    }
    g_clear_error (&busy);
    tern_session_wait (session, WAIT_US);
    moved (job, TERN_TIME_NONE);        /* others are at work: it does not stand still */
  }
  return TRUE;
}

static TernMediaStatus
next_frame (TernBatchJob *job, TernMedia *media, TernImage *image, guint64 *pts, guint64 *duration, GError **error)
{
  gint64 start = g_get_monotonic_time ();
  TernMediaStatus status = tern_media_next (media, image, pts, duration, error);

  job->decode_s += (g_get_monotonic_time () - start) / 1e6;
  if (status == TERN_MEDIA_FRAME)
    moved (job, *pts);
  return status;
}

/* All frames of one file. What was decoded before a file breaks off is answered too. */
static gboolean
run_media (TernBatchJob *job, TernSession *session, TernMedia *media, GError **error)
{
  guint64 pts = 0, duration;
  TernNext next;
  TernResult *result;
  TernImage image;
  gboolean good = TRUE;

  while (!stopped (job) && next_frame (job, media, &image, &pts, &duration, error) == TERN_MEDIA_FRAME) {
    if (!push (job, session, media, &image, pts, duration, error))
      break;
    while ((result = tern_session_poll (session)))
      good = give (job, result) && good;
  }
  tern_session_finish (session);
  while (!stopped (job) && (next = tern_session_next (session, WAIT_US, &result)) != TERN_NEXT_END) {
    moved (job, TERN_TIME_NONE);
    if (next == TERN_NEXT_RESULT)
      good = give (job, result) && good;
  }
  return good && !*error;
}

/* NULL with an error, or, when the input is of no interest, without. */
static TernMedia *
open_media (TernBatchJob *job, GError **error)
{
  TernMediaOptions options = job->work->media;
  gint64 start = g_get_monotonic_time ();
  g_autoptr (GError) failure = NULL;
  TernMedia *media;
  gboolean other;

  options.in_folder = job->input->folder != NULL;
  options.fd = job->input->fd;
  options.stop = &job->stop;
  media = tern_media_open (job->input->path, &options, &other, &failure);
  job->read_s += (g_get_monotonic_time () - start) / 1e6;
  if (!media) {
    job->other = other && !tern_batch_has_media_name (job->input->path);
    job->passed = other && tern_batch_list_pass (job->work->list, job->input);
    if (!job->passed)
      g_propagate_error (error, g_steal_pointer (&failure));
    return NULL;
  }
  g_mutex_lock (&job->lock);
  job->length = tern_media_duration (media);
  g_mutex_unlock (&job->lock);
  if (tern_media_choice (media))
    tern_tool_message ("%s: %s; --track N takes another", job->source, tern_media_choice (media));
  return media;
}

/* What became of the budget of a video. */
static void
tell_budget (const TernBatchJob *job, TernBudget *budget)
{
  TernBudgetStats s;

  tern_budget_stats (budget, &s);
  tern_tool_message ("%s: budget: %.3f s of a core came in, %.3f s were spent (%.3f encoding, %.3f reading, %.3f saying, %.3f"
      " otherwise); frames: %" G_GUINT64_FORMAT " encoded, %" G_GUINT64_FORMAT " put off; windows: %" G_GUINT64_FORMAT
      " answered, %" G_GUINT64_FORMAT " put off; tokens: %" G_GUINT64_FORMAT " spared", job->source, s.allowed,
      s.spent[0] + s.spent[1] + s.spent[2] + s.spent[3], s.spent[0], s.spent[1], s.spent[2], s.spent[3], s.frames,
      s.frames_deferred, s.answers, s.answers_deferred, s.tokens_spared);
}

/* Once a run, and of videos alone: a picture has a window of its own. */
static void
tell_window (const TernBatchJob *job, const TernSession *session, const TernSessionParams *params)
{
  const TernSessionParams *asked = &job->work->params;
  g_autofree char *note = params->window == asked->window && params->rate_n == asked->rate_n && params->rate_d == asked->rate_d
      ? tern_caption_window_note (session, asked) : NULL;

  if (note && g_atomic_int_compare_and_exchange (job->work->window_told, 0, 1))
    tern_tool_message ("%s", note);
}

static void
run_open (TernBatchJob *job, TernMedia *media)
{
  const TernBudgetParams *limit = &job->work->budget;
  TernSessionParams params = job->work->params;
  g_autoptr (TernBudget) budget = NULL;
  g_autoptr (TernSession) session = NULL;

  job->still = tern_media_is_still (media);
  if (job->still && job->work->no_stills) {
    job->passed = tern_batch_list_pass_still (job->work->list, job->input);
    job->usage = !job->passed;
    return;
  }
  params.source = job->source;
  if (!job->still && (limit->cores > 0 || limit->watts > 0)
      && !(params.budget = budget = tern_budget_new (limit, &job->error)))
    return;
  session = tern_caption_window_open (job->work->model, &params, media, &job->error);
  if (session && !job->still)
    tell_window (job, session, &params);
  if (session)
    job->good = run_media (job, session, media, &job->error);
  else if (!(job->unfit = tern_tool_is_unfit (job->error)))
    job->usage = g_error_matches (job->error, TERN_ERROR, TERN_ERROR_INVALID);
  if (session && budget)
    tell_budget (job, budget);
}

void
tern_batch_job_run (TernBatchJob *job)
{
  g_autoptr (TernMedia) media = NULL;

  g_mutex_lock (&job->lock);
  job->began = job->moved = g_get_monotonic_time ();
  g_mutex_unlock (&job->lock);
  media = stopped (job) ? NULL : open_media (job, &job->error);
  if (media)
    run_open (job, media);
  g_mutex_lock (&job->lock);
  job->done = TRUE;
  g_mutex_unlock (&job->lock);
  job->work->notify (job->work->notify_data);
}
