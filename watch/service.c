/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/service.h"

#include <string.h>

#include "watch/camera.h"
#include "watch/messages.h"
#include "watch/rules.h"
#include "watch/teller.h"
#include "watch/unseen.h"

#define FORGET_EVERY (60 * (gint64) G_USEC_PER_SEC)
#define FORGET_MOST 1000        /* results at a time */
#define UNSEEN_EVERY (10 * (gint64) G_USEC_PER_SEC)     /* what goes on being missed is put in */
#define RULES_NOTE "rules"
#define DISCOVERY_NOTE "discovery"

struct _TernService {
  TernWatchConfig *config;
  TernModel *model;
  void (*say) (const char *what);
  TernWatchMemory *memory;
  gint64 run;
  GHashTable *numbers;          /* camera name -> guint64: results in this run */
  GPtrArray *cameras;           /* TernCamera */
  GPtrArray *tellers;           /* TernTeller */
  TernRules *rules;
  GHashTable *tallies;          /* camera name -> TernTally */
  gint64 forget_due, unseen_due;        /* monotonic */
  char *failure;
  void (*listener) (gpointer data, const TernTold *told, gint64 id, gboolean has_picture);
  gpointer listener_data;
};

/* ---- Results ---- */

static guint64
next_number (TernService *service, const char *camera)
{
  guint64 *number = g_hash_table_lookup (service->numbers, camera);

  if (!number) {
    number = g_new0 (guint64, 1);
    g_hash_table_insert (service->numbers, g_strdup (camera), number);
  }
  return (*number)++;
}

static TernTally *
tally_of (TernService *service, const char *camera)
{
  TernTally *tally = g_hash_table_lookup (service->tallies, camera);

  if (!tally) {
    tally = g_new0 (TernTally, 1);
    g_hash_table_insert (service->tallies, g_strdup (camera), tally);
  }
  return tally;
}

/* To everybody who wants to know. */
static gboolean
spool (TernService *service, TernTell what, const char *topic, const char *payload, GError **error)
{
  for (guint i = 0; i < service->config->sinks->len; i++) {
    const TernSinkConfig *sink = g_ptr_array_index (service->config->sinks, i);

    if ((sink->tell & what)
        && !tern_spool_add (service->memory, sink->name, topic, payload, what == TERN_TELL_ALERTS, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
spool_alerts (TernService *service, const GArray *alerts, const TernTold *told, gint64 now, GError **error)
{
  for (guint i = 0; i < alerts->len; i++) {
    const TernAlert *alert = &g_array_index (alerts, TernAlert, i);
    g_autofree char *topic = tern_message_alert_topic (alert);
    g_autofree char *payload = tern_message_alert (alert, told, now);

    if (!spool (service, TERN_TELL_ALERTS, topic, payload, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
keep_rules (TernService *service, TernNow now, GError **error)
{
  g_autofree char *state = tern_rules_state (service->rules, now);

  return tern_memory_put (service->memory, RULES_NOTE, state, error);
}

static gboolean
remember (TernService *service, const TernTold *told, GBytes *thumbnail, gint64 *id, GError **error)
{
  TernMemoryResult row = { .run = service->run, .camera = told->camera, .start = told->start, .end = told->end,
    .kind = told->kind, .text = told->text, .label = told->label, .scores = told->scores, .confidence = told->confidence,
    .abstained = told->abstained, .unchanged = told->unchanged, .model = told->model, .thumbnail = thumbnail };

  row.number = next_number (service, told->camera);
  return tern_memory_add (service->memory, &row, id, error);
}

static gboolean
take_result (TernService *service, const TernTold *told, const TernSeen *seen, GBytes *thumbnail, gint64 *id, GError **error)
{
  g_autoptr (GArray) alerts = g_array_new (FALSE, FALSE, sizeof (TernAlert));
  g_autofree char *topic = tern_message_result_topic (told->camera);
  g_autofree char *payload = tern_message_result (told);
  TernNow now = tern_watch_now ();

  tern_rules_see (service->rules, seen, now, alerts);
  return tern_memory_begin (service->memory, error) && remember (service, told, thumbnail, id, error)
      && spool (service, TERN_TELL_RESULTS, topic, payload, error)
      && spool_alerts (service, alerts, told, now.wall, error) && keep_rules (service, now, error)
      && tern_memory_commit (service->memory, error);
}

static void
kick_all (TernService *service)
{
  for (guint i = 0; i < service->tellers->len; i++)
    tern_teller_kick (g_ptr_array_index (service->tellers, i));
}

/* Whoever goes on after this has seen what is in no memory. */
static void
fail (TernService *service, const GError *error)
{
  tern_memory_rollback (service->memory);
  if (!service->failure)
    service->failure = g_strdup (error->message);
}

static void
count_result (TernService *service, const TernTold *told, gboolean failed)
{
  TernTally *tally = tally_of (service, told->camera);

  tally->results++;
  tally->unchanged += told->unchanged;
  tally->failed += failed;
}

static void
on_observed (gpointer data, TernCamera *camera, const TernObserved *observed)
{
  TernService *service = data;
  const char *name = tern_camera_config (camera)->name;
  g_autofree char *scores = observed->scores
      ? tern_message_scores ((const char *const *) observed->labels, observed->scores) : NULL;
  TernTold told = { name, observed->start, observed->end, observed->kind, observed->text, observed->model,
    observed->labels ? observed->text : NULL, scores, observed->confidence, observed->abstained, observed->unchanged };
  TernSeen seen = { name, observed->text, (const char *const *) observed->labels, observed->scores, observed->abstained,
    observed->unchanged, strcmp (observed->kind, "error") == 0 };
  g_autoptr (GError) error = NULL;
  gint64 id;

  if (service->failure)
    return;
  if (!take_result (service, &told, &seen, observed->thumbnail, &id, &error)) {
    fail (service, error);
    return;
  }
  kick_all (service);
  count_result (service, &told, seen.error);
  if (service->listener)
    service->listener (service->listener_data, &told, id, observed->thumbnail && !observed->unchanged && !seen.error);
}

static void
on_say (gpointer data, const char *what)
{
  TernService *service = data;

  service->say (what);
}

/* ---- What was not looked at ---- */

/* @id: as of tern_unseen_put(). */
static void
put_unseen (TernService *service, const char *camera, const TernUnseen *span, gint64 *id)
{
  g_autoptr (GError) error = NULL;

  if (!service->failure && !tern_unseen_put (service->memory, service->run, camera, span, id, &error))
    fail (service, error);
}

static void
end_unseen (TernService *service, TernTally *tally)
{
  g_autoptr (GError) error = NULL;

  if (tally->going_on && !service->failure && !tern_unseen_remove (service->memory, tally->going_on, &error))
    fail (service, error);
  tally->going_on = 0;
}

/* What went on until now, or a part of it, is over. */
static void
on_unseen (gpointer data, TernCamera *camera, const TernUnseen *span)
{
  TernService *service = data;
  const char *name = tern_camera_config (camera)->name;
  TernTally *tally = tally_of (service, name);

  if (tally->last && tern_unseen_join (&tally->last_span, span)) {
    end_unseen (service, tally);
  } else {
    tally->last = tally->going_on;
    tally->last_span = *span;
  }
  put_unseen (service, name, &tally->last_span, &tally->last);
  tally->going_on = 0;
  tally->unseen[span->reason] += span->windows;
  tally->unseen_time[span->reason] += span->end - span->start;
}

/* So that who searches meanwhile knows, and a kill loses seconds of it. */
static void
tick_unseen (TernService *service, gint64 monotonic)
{
  g_autoptr (GError) error = NULL;

  if (monotonic < service->unseen_due)
    return;
  service->unseen_due = monotonic + UNSEEN_EVERY;
  if (!tern_memory_begin (service->memory, &error)) {
    fail (service, error);
    return;
  }
  for (guint i = 0; i < service->cameras->len; i++) {
    TernCamera *camera = g_ptr_array_index (service->cameras, i);
    const char *name = tern_camera_config (camera)->name;
    TernTally *tally = tally_of (service, name);
    TernUnseen span;

    if (tern_camera_is_missed (camera, &span))
      put_unseen (service, name, &span, &tally->going_on);
    else
      end_unseen (service, tally);
  }
  if (!service->failure && !tern_memory_commit (service->memory, &error))
    fail (service, error);
}

typedef struct {
  TernService *service;
  const TernCameraConfig *camera;
} Before;

static void
put_before (gpointer data, gint64 start, gint64 end, gboolean due)
{
  Before *before = data;
  TernUnseen span = { start, end, end - start, 0, due ? TERN_UNSEEN_OFF : TERN_UNSEEN_SCHEDULE };
  gint64 id = 0;

  if (due)
    span.windows = tern_unseen_windows (end - start, tern_run_window (before->camera, before->service->model));
  put_unseen (before->service, before->camera->name, &span, &id);
}

/* From what is known of a camera that was watched before until now nobody watched it. */
static void
add_time_off (TernService *service, const TernCameraConfig *camera)
{
  gint64 now = g_get_real_time (), known = tern_unseen_known_until (service->memory, camera->name, now);
  Before before = { service, camera };

  if (known && !camera->file && now - known >= tern_run_window (camera, service->model) / 2)
    tern_unseen_split (camera->scheduled ? &camera->schedule : NULL, MAX (known, now - service->config->keep), now, put_before,
        &before);
}

static const TernCameraFuncs camera_funcs = { on_observed, on_unseen, on_say };

/* ---- Who is told ---- */

/* What was announced once and is no more is taken back. */
static void
take_back (TernService *service, GPtrArray *pairs)
{
  g_autofree char *before = tern_memory_get (service->memory, DISCOVERY_NOTE, NULL);
  g_auto (GStrv) topics = g_strsplit (before ? before : "", "\n", -1);
  g_autoptr (GString) now = g_string_new (NULL);
  guint n = pairs->len;

  for (guint i = 0; i < n; i += 2)
    g_string_append_printf (now, "%s\n", (char *) g_ptr_array_index (pairs, i));
  for (guint i = 0; topics[i]; i++) {
    gboolean there = !*topics[i];

    for (guint k = 0; k < n && !there; k += 2)
      there = strcmp (topics[i], g_ptr_array_index (pairs, k)) == 0;
    if (there)
      continue;
    g_ptr_array_add (pairs, g_strdup (topics[i]));
    g_ptr_array_add (pairs, NULL);
  }
  tern_memory_put (service->memory, DISCOVERY_NOTE, now->str, NULL);
}

static GPtrArray *
on_hello (gpointer data, const TernSinkConfig *config)
{
  TernService *service = data;
  GPtrArray *pairs = tern_message_discovery (service->config, config, tern_model_name (service->model));

  take_back (service, pairs);
  return pairs;
}

static const TernTellerFuncs teller_funcs = { on_say, on_hello };

static gboolean
add_teller (TernService *service, const TernSinkConfig *config, GError **error)
{
  TernTeller *teller = tern_teller_new (config, service->memory, &teller_funcs, service, error);

  if (teller)
    g_ptr_array_add (service->tellers, teller);
  return teller != NULL;
}

static TernSinkConfig *
find_sink (const TernWatchConfig *config, const char *name)
{
  for (guint i = 0; i < config->sinks->len; i++) {
    TernSinkConfig *sink = g_ptr_array_index (config->sinks, i);

    if (strcmp (sink->name, name) == 0)
      return sink;
  }
  return NULL;
}

/* What waits for those who are no longer told goes to nobody. */
static gboolean
drop_unknown (TernService *service, GError **error)
{
  g_auto (GStrv) names = tern_spool_sinks (service->memory, error);

  for (guint i = 0; names && names[i]; i++)
    if (!find_sink (service->config, names[i]) && !tern_spool_drop (service->memory, names[i], error))
      return FALSE;
  return names != NULL;
}

/* ---- Cameras and rules of a configuration ---- */

static TernCameraConfig *
find_camera_config (const TernWatchConfig *config, const char *name)
{
  for (guint i = 0; i < config->cameras->len; i++) {
    TernCameraConfig *camera = g_ptr_array_index (config->cameras, i);

    if (strcmp (camera->name, name) == 0)
      return camera;
  }
  return NULL;
}

static gboolean
has_camera (TernService *service, const char *name)
{
  for (guint i = 0; i < service->cameras->len; i++)
    if (strcmp (tern_camera_config (g_ptr_array_index (service->cameras, i))->name, name) == 0)
      return TRUE;
  return FALSE;
}

static void
add_cameras (TernService *service)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < service->config->cameras->len; i++) {
    const TernCameraConfig *config = g_ptr_array_index (service->config->cameras, i);

    if (has_camera (service, config->name))
      continue;
    if (!service->failure && !tern_unseen_set_file (service->memory, config->name, config->file, &error))
      fail (service, error);
    add_time_off (service, config);
    g_ptr_array_add (service->cameras, tern_camera_new (config, service->model, &camera_funcs, service));
  }
}

static void
make_rules (TernService *service, const char *state, TernNow now)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  for (guint i = 0; i < service->config->cameras->len; i++)
    g_ptr_array_add (names, ((TernCameraConfig *) g_ptr_array_index (service->config->cameras, i))->name);
  g_ptr_array_add (names, NULL);
  service->rules = tern_rules_new (service->config->rules, (const char *const *) names->pdata, state, now);
}

/* ---- The whole ---- */

static gboolean
start (TernService *service, GError **error)
{
  g_autofree char *state = NULL;

  service->memory = tern_memory_open (service->config->memory, TERN_MEMORY_WRITE, error);
  if (!service->memory || !tern_memory_lock (service->config->memory, error))
    return FALSE;
  service->run = tern_memory_new_run (service->memory, g_get_real_time (), error);
  if (!service->run || !drop_unknown (service, error))
    return FALSE;
  state = tern_memory_get (service->memory, RULES_NOTE, NULL);
  make_rules (service, state, tern_watch_now ());
  for (guint i = 0; i < service->config->sinks->len; i++)
    if (!add_teller (service, g_ptr_array_index (service->config->sinks, i), error))
      return FALSE;
  add_cameras (service);
  return TRUE;
}

TernService *
tern_service_new (TernWatchConfig *config, TernModel *model, void (*say_func) (const char *what), GError **error)
{
  TernService *service = g_new0 (TernService, 1);

  service->config = config;
  service->model = tern_model_ref (model);
  service->say = say_func;
  service->numbers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  service->tallies = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  service->cameras = g_ptr_array_new_with_free_func (tern_camera_free);
  service->tellers = g_ptr_array_new_with_free_func (tern_teller_free);
  if (start (service, error))
    return service;
  tern_service_free (service);
  return NULL;
}

void
tern_service_free (TernService *service)
{
  if (!service)
    return;
  g_ptr_array_unref (service->cameras);
  tern_run_wait_closed ();
  g_ptr_array_unref (service->tellers);
  tern_rules_free (service->rules);
  tern_memory_close (service->memory);
  g_hash_table_unref (service->numbers);
  g_hash_table_unref (service->tallies);
  tern_watch_config_free (service->config);
  tern_model_unref (service->model);
  g_free (service->failure);
  g_free (service);
}

static void
forget (TernService *service, gint64 monotonic)
{
  g_autoptr (GError) error = NULL;
  guint n = 0;

  if (monotonic < service->forget_due)
    return;
  if (!tern_memory_forget (service->memory, g_get_real_time () - service->config->keep, service->config->keep_bytes,
          FORGET_MOST, &n, &error)) {
    fail (service, error);
    return;
  }
  for (guint i = 0; i < service->config->sinks->len; i++) {
    const TernSinkConfig *sink = g_ptr_array_index (service->config->sinks, i);
    g_autofree char *text = NULL;
    guint dropped = 0;

    tern_spool_trim (service->memory, sink->name, service->config->spool_bytes, &dropped, NULL);
    text = g_strdup_printf ("%s: %u entries that it was to be told are dropped, for more than spool-bytes waited", sink->name,
        dropped);
    if (dropped)
      service->say (text);
  }
  service->forget_due = n == FORGET_MOST ? 0 : monotonic + FORGET_EVERY;
}

static gboolean
is_watched (gpointer data, const char *name)
{
  TernService *service = data;

  for (guint i = 0; i < service->cameras->len; i++) {
    TernCamera *camera = g_ptr_array_index (service->cameras, i);

    if (strcmp (tern_camera_config (camera)->name, name) == 0)
      return tern_camera_state (camera) == TERN_CAMERA_ON;
  }
  return FALSE;
}

static void
tick_rules (TernService *service)
{
  g_autoptr (GArray) alerts = g_array_new (FALSE, FALSE, sizeof (TernAlert));
  TernNow now = tern_watch_now ();
  g_autoptr (GError) error = NULL;

  tern_rules_tick (service->rules, now, is_watched, service, alerts);
  if (alerts->len == 0)
    return;
  if (tern_memory_begin (service->memory, &error) && spool_alerts (service, alerts, NULL, now.wall, &error)
      && keep_rules (service, now, &error) && tern_memory_commit (service->memory, &error))
    kick_all (service);
  else
    fail (service, error);
}

static gboolean
is_busy (TernService *service)
{
  for (guint i = 0; i < service->cameras->len; i++)
    if (tern_camera_state (g_ptr_array_index (service->cameras, i)) < TERN_CAMERA_ENDED)
      return TRUE;
  for (guint i = 0; i < service->tellers->len; i++)
    if (!tern_teller_is_idle (g_ptr_array_index (service->tellers, i)))
      return TRUE;
  return FALSE;
}

gboolean
tern_service_tick (TernService *service)
{
  gint64 monotonic = g_get_monotonic_time (), wall = g_get_real_time ();

  if (service->failure)
    return TRUE;
  for (guint i = 0; i < service->cameras->len; i++)
    tern_camera_tick (g_ptr_array_index (service->cameras, i), monotonic, wall);
  tick_unseen (service, monotonic);
  tick_rules (service);
  forget (service, monotonic);
  kick_all (service);           /* whom the memory kept waiting */
  return is_busy (service);
}

const char *
tern_service_failure (TernService *service)
{
  return service->failure;
}

gboolean
tern_service_has (TernService *service, TernCameraState state)
{
  for (guint i = 0; i < service->cameras->len; i++)
    if (tern_camera_state (g_ptr_array_index (service->cameras, i)) == state)
      return TRUE;
  return FALSE;
}

char *
tern_service_status (TernService *service)
{
  guint on = 0;

  for (guint i = 0; i < service->cameras->len; i++)
    on += tern_camera_state (g_ptr_array_index (service->cameras, i)) == TERN_CAMERA_ON;
  return g_strdup_printf ("%u of %u cameras watched", on, service->cameras->len);
}

TernWatchMemory *
tern_service_memory (TernService *service)
{
  return service->memory;
}

void
tern_service_each_camera (TernService *service, void (*func) (gpointer data, const TernCameraStatus *status), gpointer data)
{
  for (guint i = 0; i < service->cameras->len; i++) {
    TernCamera *camera = g_ptr_array_index (service->cameras, i);
    TernCameraStatus status = { tern_camera_config (camera)->name, tern_camera_state (camera) };
    TernRunStats stats;

    tern_camera_stats (camera, &stats);
    status.frames = stats.frames;
    status.looked_at = stats.looked_at;
    status.unchanged = stats.unchanged;
    status.left_out = stats.left_out;
    status.windows = stats.windows;
    status.repeated = stats.repeated;
    status.dropped = stats.dropped;
    status.latency = stats.latency;
    status.tally = tally_of (service, status.name);
    func (data, &status);
  }
}

void
tern_service_listen (TernService *service, void (*func) (gpointer data, const TernTold *told, gint64 id, gboolean has_picture),
    gpointer data)
{
  service->listener = func;
  service->listener_data = data;
}

/* ---- Another configuration ---- */

/* The one that @config has instead of @camera's; NULL: it is another one, or none. */
static const TernCameraConfig *
same_camera (const TernWatchConfig *config, TernCamera *camera)
{
  const TernCameraConfig *was = tern_camera_config (camera);
  const TernCameraConfig *is = find_camera_config (config, was->name);

  return is && strcmp (is->text, was->text) == 0 ? is : NULL;
}

static void
reload_cameras (TernService *service, const TernWatchConfig *config)
{
  for (guint i = service->cameras->len; i > 0; i--) {
    TernCamera *camera = g_ptr_array_index (service->cameras, i - 1);
    const TernCameraConfig *same = same_camera (config, camera);

    if (same)
      tern_camera_set_config (camera, same);
    else
      g_ptr_array_remove_index (service->cameras, i - 1);
  }
}

/* All that may be told is announced anew: connections are made again. */
static void
reload_tellers (TernService *service)
{
  g_ptr_array_set_size (service->tellers, 0);
  for (guint i = 0; i < service->config->sinks->len; i++) {
    g_autoptr (GError) error = NULL;

    if (!add_teller (service, g_ptr_array_index (service->config->sinks, i), &error))
      service->say (error->message);
  }
}

static void
check_fixed (TernService *service, const TernWatchConfig *config)
{
  if (g_strcmp0 (service->config->memory, config->memory) != 0 || g_strcmp0 (service->config->model, config->model) != 0
      || g_strcmp0 (service->config->mmproj, config->mmproj) != 0 || service->config->threads != config->threads
      || g_strcmp0 (service->config->page, config->page) != 0)
    service->say ("memory, model, mmproj, threads or page are others now: they are changed by a restart");
}

void
tern_service_reload (TernService *service, TernWatchConfig *config)
{
  TernNow now = tern_watch_now ();
  g_autofree char *state = tern_rules_state (service->rules, now);
  g_autoptr (TernWatchConfig) was G_GNUC_UNUSED = service->config;
  g_autoptr (GError) error = NULL;

  check_fixed (service, config);
  reload_cameras (service, config);
  service->config = config;
  add_cameras (service);
  g_clear_pointer (&service->rules, tern_rules_free);
  make_rules (service, state, now);
  if (!drop_unknown (service, &error))
    fail (service, error);
  reload_tellers (service);
}
