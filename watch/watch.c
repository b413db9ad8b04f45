/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern watch: cameras, day and night. */
#include <glib-unix.h>
#include <gst/gst.h>
#include <signal.h>

#include "tools/tool.h"
#include "watch/commands.h"
#include "watch/notify.h"
#ifdef TERN_HAVE_PAGE
#include "watch/page.h"
#endif
#include "watch/questions.h"
#include "watch/run-source.h"
#include "watch/service.h"

typedef struct {
  const char *path;             /* of the configuration */
  TernService *service;
  TernModel *model;
#ifdef TERN_HAVE_PAGE
  TernPage *page;               /* NULL: none is asked for */
#endif
  GMainLoop *loop;
  char *status;                 /* as it was told last */
  int result;
} Watch;

/* How far a start has come: elements and configuration, the model, what others may have taken (the memory, the address). */
typedef enum { STEP_CONFIG, STEP_MODEL, STEP_PLACES } Step;

static void
say (const char *what)
{
  tern_tool_message ("%s", what);
}

/* Of a configuration: a line each mistake. A message is one line, whatever is in it. */
static void
say_lines (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (char **line = lines; *line; line++)
    say (*line);
}

/* What the next start would find again, until somebody mends it: TERN_TOOL_USAGE, after which the manager does not start us
 * (RestartPreventExitStatus in tern-watch.service.in). */
static int
fail (const GError *error, Step step)
{
  gboolean lasts = error->code == TERN_ERROR_INVALID || step == STEP_CONFIG;

  say_lines (error->message);
  if (step == STEP_MODEL)
    lasts = error->code != TERN_ERROR_NO_SPACE && error->code != TERN_ERROR_FAILED;
  return lasts && error->domain == TERN_ERROR ? TERN_TOOL_USAGE : TERN_TOOL_FAILED;
}

static void
tell_status (Watch *watch)
{
  char *status = tern_service_status (watch->service);
  g_autofree char *line = g_strconcat ("STATUS=", status, NULL);

  if (g_strcmp0 (status, watch->status) != 0)
    tern_notify (line);
  g_free (watch->status);
  watch->status = status;
}

static gboolean
on_tick (gpointer data)
{
  Watch *watch = data;
  gboolean busy = tern_service_tick (watch->service);
  const char *failure = tern_service_failure (watch->service);

  tell_status (watch);
#ifdef TERN_HAVE_PAGE
  if (watch->page)
    tern_page_tick (watch->page);
#endif
  if (failure) {
    tern_tool_message ("%s", failure);
    watch->result = TERN_TOOL_FAILED;
  }
  if (!busy && tern_service_has (watch->service, TERN_CAMERA_REFUSED))
    watch->result = TERN_TOOL_USAGE;
  else if (!busy && tern_service_has (watch->service, TERN_CAMERA_GIVEN_UP))
    watch->result = TERN_TOOL_FAILED;
  if (failure || !busy)
    g_main_loop_quit (watch->loop);
  return G_SOURCE_CONTINUE;
}

/* From the loop that does the work: when it hangs, nothing is said, and the manager starts us again. */
static gboolean
on_watchdog (gpointer data)
{
  tern_notify ("WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

static gboolean
on_quit (gpointer data)
{
  Watch *watch = data;

  g_main_loop_quit (watch->loop);
  return G_SOURCE_CONTINUE;
}

static const TernConfigChecks checks = {
  tern_source_check,
#ifdef TERN_HAVE_PAGE
  tern_page_check,
#endif
};

static gboolean
on_reload (gpointer data)
{
  g_autofree char *reloading = g_strdup_printf ("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time ());
  g_autoptr (GError) error = NULL;
  Watch *watch = data;
  TernWatchConfig *config;

  tern_notify (reloading);
  config = tern_watch_config_read (watch->path, &checks, &error);
  if (config && !tern_questions_check (config, watch->model, &error))
    g_clear_pointer (&config, tern_watch_config_free);
  if (config) {
    tern_service_reload (watch->service, config);
    tern_tool_message ("%s: read again", watch->path);
  } else {
    say_lines (error->message);
    tern_tool_message ("%s: what was read before stays", watch->path);
  }
  tern_notify ("READY=1");
  return G_SOURCE_CONTINUE;
}

static void
run (Watch *watch)
{
  gint64 watchdog = tern_notify_watchdog ();

  watch->loop = g_main_loop_new (NULL, FALSE);
  signal (SIGPIPE, SIG_IGN);    /* who hangs up is told of by what was written to */
  g_unix_signal_add (SIGTERM, on_quit, watch);
  g_unix_signal_add (SIGINT, on_quit, watch);
  g_unix_signal_add (SIGHUP, on_reload, watch);
  g_timeout_add_seconds (1, on_tick, watch);
  if (watchdog)
    g_timeout_add ((guint) CLAMP (watchdog / 1000, 1, G_MAXINT), on_watchdog, NULL);
  tern_notify ("READY=1");
  if (on_tick (watch))
    g_main_loop_run (watch->loop);
  tern_notify ("STOPPING=1");
  g_main_loop_unref (watch->loop);
}

static TernModel *
open_model (const TernWatchConfig *config, GError **error)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;

  params.model_path = config->model;
  params.mmproj_path = config->mmproj;
  params.threads = config->threads;
  params.yielding = TRUE;
  return tern_model_open (&params, error);
}

static gboolean
open_page (Watch *watch, const char *listen, GError **error)
{
#ifdef TERN_HAVE_PAGE
  g_autofree char *address = NULL;

  watch->page = tern_page_new (watch->service, listen, error);
  if (!watch->page) {
    g_prefix_error (error, "%s: ", watch->path);
    return FALSE;
  }
  address = tern_page_address (watch->page);
  tern_tool_message ("the page is at %s", address);
#endif
  return TRUE;
}

/* Everything that can be wrong is found before a camera is connected. */
static gboolean
start (Watch *watch, gboolean check, Step *step, GError **error)
{
  TernWatchConfig *config = NULL;
  g_autofree char *page = NULL;

  *step = STEP_CONFIG;
  if (!tern_source_find_elements (error) || !(config = tern_watch_config_read (watch->path, &checks, error)))
    return FALSE;
  if (check) {
    tern_tool_message ("%s: %u cameras, %u rules, nothing wrong", watch->path, config->cameras->len, config->rules->len);
    tern_watch_config_free (config);
    return TRUE;
  }
  *step = STEP_MODEL;
  watch->model = open_model (config, error);
  if (!watch->model || !tern_questions_check (config, watch->model, error)) {
    tern_watch_config_free (config);
    return FALSE;
  }
  *step = STEP_PLACES;
  page = g_strdup (config->page);
  watch->service = tern_service_new (config, watch->model, say, error);
  return watch->service && (!page || open_page (watch, page, error));
}

int
tern_watch_command (int argc, char **argv)
{
  g_autofree char *path = NULL;
  gboolean check = FALSE;
  const GOptionEntry entries[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &path, "What to watch, and how (docs/watch.md)", "FILE" },
    { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Only say what is wrong with it", NULL },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  g_autoptr (GError) error = NULL;
  Watch watch = { NULL };
  Step step;

  if (!tern_tool_options (argc, argv, NULL, 0, 0, "Watches cameras, remembers what they saw, and tells of it.", entries, &rest))
    return TERN_TOOL_USAGE;
  if (!path)
    return tern_tool_usage ("watch: expected --config FILE, found none");
  gst_init (NULL, NULL);
  watch.path = path;
  if (!start (&watch, check, &step, &error)) {
    tern_service_free (watch.service);
    tern_model_unref (watch.model);
    return fail (error, step);
  }
  if (check)
    return TERN_TOOL_DONE;
  run (&watch);
#ifdef TERN_HAVE_PAGE
  tern_page_free (watch.page);
#endif
  tern_service_free (watch.service);
  tern_model_unref (watch.model);
  g_free (watch.status);
  return watch.result;
}
