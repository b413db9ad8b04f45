/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/camera.h"

/* What is waited for after the second failure in a row, and at most: half of the ten seconds within which a camera that is
 * there again is to be watched, since the other half may go by until it answers. After the first one nothing is. */
#define RETRY_FIRST ((gint64) G_USEC_PER_SEC)
#define RETRY_MOST (4 * (gint64) G_USEC_PER_SEC)

struct _TernCamera {
  const TernCameraConfig *config;
  TernModel *model;
  const TernCameraFuncs *funcs;
  gpointer data;

  TernRun *run;                 /* NULL: not connected */
  gint64 began;                 /* when that was made, monotonic */
  gint64 due;                   /* when the next one is, monotonic; 0: at once */
  gint64 retry;                 /* what is waited for after the next failure */
  gboolean ended;
  gboolean connected;           /* frames came */
  gboolean said;                /* that it is watched */
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

static void
disconnect (TernCamera *camera)
{
  g_clear_pointer (&camera->run, tern_run_free);
  camera->connected = FALSE;
}

static void
fail (TernCamera *camera, const char *why)
{
  gint64 now = g_get_monotonic_time ();

  /* One that sends a few pictures each time is no better than one that sends none. */
  if (camera->connected && now - camera->began > RETRY_MOST)
    camera->retry = 0;
  disconnect (camera);
  camera->said = FALSE;
  camera->due = now + camera->retry;
  if (camera->retry)
    say (camera, "%s; another try in %d s", why, (int) (camera->retry / G_USEC_PER_SEC));
  else
    say (camera, "%s; another try at once", why);
  camera->retry = CLAMP (2 * camera->retry, RETRY_FIRST, RETRY_MOST);
}

/* ---- What a connection says ---- */

static void
on_observed (gpointer data, const TernObserved *observed)
{
  TernCamera *camera = data;

  camera->funcs->observed (camera->data, camera, observed);
}

static void
on_failed (gpointer data, const char *why)
{
  fail (data, why);
}

/* A file from which nothing came is a failure, not to be begun again at once. */
static void
on_ended (gpointer data)
{
  TernCamera *camera = data;
  gboolean any = tern_run_last_frame (camera->run) > 0;

  if (!any || !camera->config->file) {
    fail (camera, any ? "the stream has ended" : "there was no picture");
    return;
  }
  disconnect (camera);
  camera->ended = !camera->config->repeat;
  camera->due = 0;
  if (camera->ended)
    say (camera, "watched to its end");
}

static void
on_warned (gpointer data, const char *what)
{
  say (data, "%s", what);
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
  return camera;
}

void
tern_camera_free (gpointer data)
{
  TernCamera *camera = data;

  disconnect (camera);
  g_free (camera);
}

static void
connect (TernCamera *camera, gint64 now)
{
  g_autoptr (GError) error = NULL;

  camera->began = now;
  camera->run = tern_run_new (camera->config, camera->model, &run_funcs, camera, &error);
  if (!camera->run)
    fail (camera, error->message);
}

/* A file may wait for the model; a camera sends. */
static void
check_frames (TernCamera *camera, gint64 now)
{
  gint64 last = tern_run_last_frame (camera->run);

  if (last && !camera->connected) {
    camera->connected = TRUE;
    if (!camera->said)
      say (camera, "watching");
    camera->said = TRUE;
  }
  if (!camera->config->file && now - MAX (last, camera->began) > camera->config->stall)
    fail (camera, "no picture comes");
}

void
tern_camera_tick (TernCamera *camera, gint64 monotonic, gint64 wall)
{
  gboolean wanted = !camera->ended && (!camera->config->scheduled || tern_week_has (&camera->config->schedule, wall));

  if (camera->run && !wanted) {
    disconnect (camera);
    camera->said = FALSE;
    say (camera, "not watched now, as its schedule says");
  } else if (camera->run) {
    check_frames (camera, monotonic);
  } else if (wanted && monotonic >= camera->due) {
    connect (camera, monotonic);
  }
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

gboolean
tern_camera_has_ended (const TernCamera *camera)
{
  return camera->ended;
}

gboolean
tern_camera_is_on (const TernCamera *camera)
{
  return camera->connected;
}

void
tern_camera_stats (const TernCamera *camera, TernRunStats *stats)
{
  if (camera->run)
    tern_run_stats (camera->run, stats);
  else
    *stats = (TernRunStats) { 0 };
}
