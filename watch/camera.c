/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/camera.h"

#include <string.h>

#include "watch/retry.h"
#include "watch/said.h"

/* Shorter losses are not worth their length. */
#define LONG (60 * (gint64) G_USEC_PER_SEC)

struct _TernCamera {
  const TernCameraConfig *config;
  TernModel *model;
  const TernCameraFuncs *funcs;
  gpointer data;

  TernRun *run;                 /* NULL: not connected */
  TernRetry retry;
  guint timer;                  /* source: the next try */
  TernVigil vigil;
  TernCameraState state;
  TernSaid said;
};

static void
say (TernCamera *camera, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
say (TernCamera *camera, const char *format, ...)
{
  g_autofree char *what = NULL, *text = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  text = g_strdup_printf ("camera %s: %s", camera->config->name, what);
  camera->funcs->say (camera->data, text);
}

/* ---- What was not looked at ---- */

/* A file waits for the model: all of it is looked at, whatever the time is. */
static gboolean
is_due_by_time (const TernCamera *camera)
{
  return !camera->config->file;
}

static gint64
wall_offset (void)
{
  return g_get_real_time () - g_get_monotonic_time ();
}

static void
tell_unseen (TernCamera *camera)
{
  g_autoptr (GArray) spans = camera->vigil.spans;
  gint64 offset = wall_offset ();

  if (spans->len == 0) {
    g_steal_pointer (&spans);
    return;
  }
  camera->vigil.spans = g_array_new (FALSE, FALSE, sizeof (TernUnseen));
  for (guint i = 0; i < spans->len; i++) {
    TernUnseen span = g_array_index (spans, TernUnseen, i);

    span.start += offset;
    span.end += offset;
    camera->funcs->unseen (camera->data, camera, &span);
  }
}

/* When pictures came, and when they did not. */
static void
note_frames (TernCamera *camera, gint64 *last)
{
  g_autoptr (GArray) silences = g_array_new (FALSE, FALSE, sizeof (gint64));
  gint64 first;

  tern_run_frames (camera->run, &first, last, silences);
  if (first)
    tern_vigil_come (&camera->vigil, first);
  for (guint i = 0; i + 1 < silences->len; i += 2)
    tern_vigil_miss (&camera->vigil, g_array_index (silences, gint64, i), g_array_index (silences, gint64, i + 1));
}

static void
look (TernCamera *camera, const TernObserved *observed)
{
  gboolean failed = strcmp (observed->kind, "error") == 0;
  gint64 end = observed->began + (observed->end - observed->start), last;

  if (is_due_by_time (camera)) {
    note_frames (camera, &last);
    tern_vigil_look (&camera->vigil, observed->began, end, failed);
    tell_unseen (camera);
  } else if (failed) {
    camera->funcs->unseen (camera->data, camera, &(TernUnseen) { observed->start, observed->end, observed->end - observed->start, 1,
            TERN_UNSEEN_FAILED });
  }
}

static void
pause_vigil (TernCamera *camera, TernUnseenReason why)
{
  if (is_due_by_time (camera))
    tern_vigil_pause (&camera->vigil, g_get_monotonic_time (), why);
  tell_unseen (camera);
}

gboolean
tern_camera_is_missed (TernCamera *camera, TernUnseen *span)
{
  gint64 offset = wall_offset (), last;

  if (!is_due_by_time (camera))
    return FALSE;
  if (camera->run)
    note_frames (camera, &last);
  if (!tern_vigil_goes_on (&camera->vigil, g_get_monotonic_time (), span))
    return FALSE;
  span->start += offset;
  span->end += offset;
  return TRUE;
}

/* ---- Connections ---- */

static void
drop_run (TernCamera *camera)
{
  g_clear_pointer (&camera->run, tern_run_free);
  if (camera->state == TERN_CAMERA_ON)
    camera->state = TERN_CAMERA_AWAY;
}

/* It went away. */
static void
disconnect (TernCamera *camera)
{
  gint64 last = 0;

  if (camera->run && is_due_by_time (camera))
    note_frames (camera, &last);
  if (last)
    tern_vigil_lose (&camera->vigil, last);
  drop_run (camera);
}

/* We go, for the reason @why. */
static void
leave (TernCamera *camera, TernUnseenReason why)
{
  gint64 last;

  if (camera->run && is_due_by_time (camera))
    note_frames (camera, &last);
  pause_vigil (camera, why);
  drop_run (camera);
}

/* To the millisecond, between two ticks. */
static gboolean
on_due (gpointer data)
{
  TernCamera *camera = data;

  camera->timer = 0;
  tern_camera_tick (camera, MAX (g_get_monotonic_time (), camera->retry.due), g_get_real_time ());
  return G_SOURCE_REMOVE;
}

/* Of words that go on, but for their full stop. */
static int
length (const char *words)
{
  return (int) strlen (words) - g_str_has_suffix (words, ".");
}

static void
say_lost (TernCamera *camera, const char *why, gint64 now)
{
  gint64 away = tern_said_away (&camera->said, now);
  g_autofree char *lasts = tern_watch_length (away);
  g_autofree char *gone = away < LONG ? g_strdup ("") : g_strconcat ("away for ", lasts, ", ", NULL);

  if (camera->retry.apart)
    say (camera, "%.*s; %sanother try within %d s", length (why), why, gone, (int) (camera->retry.apart / G_USEC_PER_SEC));
  else
    say (camera, "%.*s; %sanother try at once", length (why), why, gone);
}

static void
fail (TernCamera *camera, const char *why)
{
  gint64 now = g_get_monotonic_time ();

  tern_retry_fail (&camera->retry, now, camera->state == TERN_CAMERA_ON);
  disconnect (camera);
  if (tern_said_lost (&camera->said, why, !camera->retry.apart, now))
    say_lost (camera, why, now);
  if (!camera->timer)
    camera->timer = g_timeout_add ((guint) ((camera->retry.due - now) / 1000), on_due, camera);
}

/* Frames came. A short file may be over before anybody looks. */
static void
note_connection (TernCamera *camera)
{
  gint64 window = tern_run_window (camera->config, camera->model), away;
  g_autofree char *lasted = NULL;

  if (camera->state == TERN_CAMERA_ON)
    return;
  camera->state = TERN_CAMERA_ON;
  if (!tern_said_back (&camera->said, g_get_monotonic_time (), &away))
    return;
  lasted = tern_watch_length (away);
  if (away)
    say (camera, "watching again after %s", lasted);
  else if (window == camera->config->window)
    say (camera, "watching");
  else
    say (camera, "watching; a window is %g s, whole groups of %u frames", (double) window / G_USEC_PER_SEC,
        4 * tern_model_picture_frames (camera->model));
}

/* A file is what it is: the next try would find the same, and what was seen of it would be remembered again. */
static void
give_up (TernCamera *camera, const char *why)
{
  gboolean any = tern_run_last_frame (camera->run) > 0;

  disconnect (camera);
  camera->state = TERN_CAMERA_GIVEN_UP;
  say (camera, "%.*s; %s", length (why), why, any ? "the file is watched up to there" : "there is no video in the file that can be watched");
}

/* ---- What a connection says ---- */

static void
on_observed (gpointer data, const TernObserved *observed)
{
  TernCamera *camera = data;

  look (camera, observed);
  camera->funcs->observed (camera->data, camera, observed);
}

/* One that repeats, and has pictures, goes on from its beginning. What is asked stays what it is, whatever comes. */
static void
on_failed (gpointer data, const char *why, TernFault fault)
{
  TernCamera *camera = data;

  if (fault == TERN_FAULT_SETTINGS) {
    leave (camera, TERN_UNSEEN_FAILED);
    camera->state = TERN_CAMERA_REFUSED;
    say (camera, "%.*s; it is given up", length (why), why);
  } else if (camera->config->file && fault == TERN_FAULT_STREAM
      && !(camera->config->repeat && tern_run_last_frame (camera->run) > 0)) {
    give_up (camera, why);
  } else {
    fail (camera, why);
  }
}

static void
on_ended (gpointer data)
{
  TernCamera *camera = data;
  gboolean any = tern_run_last_frame (camera->run) > 0;

  if (!camera->config->file) {
    fail (camera, any ? "the stream has ended" : "there was no picture");
    return;
  }
  if (!any) {
    give_up (camera, "there was no picture");
    return;
  }
  note_connection (camera);
  disconnect (camera);
  /* The next tick goes on with one that repeats. */
  camera->state = camera->config->repeat ? TERN_CAMERA_ON : TERN_CAMERA_ENDED;
  if (camera->state == TERN_CAMERA_ENDED)
    say (camera, "watched to its end");
}

static void
on_warned (gpointer data, const char *what)
{
  TernCamera *camera = data;

  if (tern_said_warned (&camera->said, what, g_get_monotonic_time ()))
    say (camera, "%s", what);
}

static const TernRunFuncs run_funcs = { on_observed, on_failed, on_ended, on_warned };

/* ---- The camera ---- */

TernCamera *
tern_camera_new (const TernCameraConfig *config, TernModel *model, const TernCameraFuncs *funcs, gpointer data)
{
  TernCamera *camera = g_new0 (TernCamera, 1);

  camera->config = config;
  camera->model = model;
  camera->funcs = funcs;
  camera->data = data;
  tern_vigil_init (&camera->vigil, tern_run_window (camera->config, camera->model), g_get_monotonic_time ());
  return camera;
}

void
tern_camera_free (gpointer data)
{
  TernCamera *camera = data;

  leave (camera, TERN_UNSEEN_OFF);
  tern_vigil_clear (&camera->vigil);
  tern_said_clear (&camera->said);
  if (camera->timer)
    g_source_remove (camera->timer);
  g_free (camera);
}

static void
connect (TernCamera *camera, gint64 now)
{
  g_autoptr (GError) error = NULL;

  tern_retry_begin (&camera->retry, now);
  camera->run = tern_run_new (camera->config, camera->model, &run_funcs, camera, &error);
  if (!camera->run)
    fail (camera, error->message);
}

/* A file may wait for the model; a camera sends. */
static void
check_frames (TernCamera *camera, gint64 now)
{
  gint64 last = tern_run_last_frame (camera->run);

  if (last)
    note_connection (camera);
  if (!camera->config->file && tern_retry_is_lost (&camera->retry, now, last, camera->config->stall))
    fail (camera, "no picture comes");
}

void
tern_camera_tick (TernCamera *camera, gint64 monotonic, gint64 wall)
{
  gboolean wanted = camera->state < TERN_CAMERA_ENDED
      && (!camera->config->scheduled || tern_week_has (&camera->config->schedule, wall));

  if (!wanted) {
    gboolean watched = camera->run != NULL;

    leave (camera, TERN_UNSEEN_SCHEDULE);
    if (watched) {
      tern_said_pause (&camera->said);
      say (camera, "not watched now, as its schedule says");
    }
    return;
  }
  tern_vigil_resume (&camera->vigil, monotonic);
  tell_unseen (camera);
  if (camera->run)
    check_frames (camera, monotonic);
  else if (monotonic >= camera->retry.due)
    connect (camera, monotonic);
}

void
tern_camera_set_config (TernCamera *camera, const TernCameraConfig *config)
{
  camera->config = config;
}

const TernCameraConfig *
tern_camera_config (const TernCamera *camera)
{
  return camera->config;
}

TernCameraState
tern_camera_state (const TernCamera *camera)
{
  return camera->state;
}

void
tern_camera_stats (const TernCamera *camera, TernRunStats *stats)
{
  if (camera->run)
    tern_run_stats (camera->run, stats);
  else
    *stats = (TernRunStats) { 0 };
}
