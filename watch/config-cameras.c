/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The groups [camera NAME] and [zone NAME]. */
#include "watch/config-priv.h"

#include <string.h>

#include "engine/base/fraction.h"
#include "engine/grammar/grammar.h"
#include "watch/retry.h"

#define RATE_MAX 1000
#define WINDOW_MAX ((gint64) 3600 * G_USEC_PER_SEC)

/* ---- Zones ---- */

void
tern_zone_free (gpointer data)
{
  TernZone *zone = data;

  g_free (zone->name);
  g_array_unref (zone->points);
  g_free (zone);
}

/* "0.1,0.5" */
static gboolean
read_point (TernZone *zone, const char *text)
{
  double point[2];
  char *end;

  for (guint i = 0; i < 2; i++) {
    point[i] = g_ascii_strtod (text, &end);
    if (end == text || point[i] < 0 || point[i] > 1 || *end != (i == 0 ? ',' : 0))
      return FALSE;
    text = end + 1;
  }
  g_array_append_vals (zone->points, point, 2);
  return TRUE;
}

static void
read_zone (TernWatchConfig *config, TernKeyFile *keys, const char *group, const char *name)
{
  g_auto (GStrv) points = tern_key_file_list (keys, group, "points");
  TernZone *zone = g_new0 (TernZone, 1);

  zone->name = g_strdup (name);
  zone->points = g_array_new (FALSE, FALSE, sizeof (double));
  zone->hide = tern_config_bool (keys, group, "hide", FALSE);
  for (guint i = 0; points && points[i]; i++)
    if (!read_point (zone, points[i]))
      tern_key_file_mistake (keys, group, "points", "expected X,Y, shares of width and height from 0 to 1, found %s", points[i]);
  if (!points || g_strv_length (points) < 3)
    tern_key_file_mistake (keys, group, "points", "expected three points or more, X,Y; X,Y; X,Y, found %u",
        points ? g_strv_length (points) : 0);
  g_ptr_array_add (config->zones, zone);
}

void
tern_config_read_zones (TernWatchConfig *config, TernKeyFile *keys)
{
  const char *const *groups = tern_key_file_groups (keys);

  for (guint i = 0; groups[i]; i++) {
    const char *name = tern_config_name (keys, groups[i], "zone");

    if (name)
      read_zone (config, keys, groups[i], name);
  }
}

static TernZone *
find_zone (const TernWatchConfig *config, const char *name)
{
  for (guint i = 0; i < config->zones->len; i++) {
    TernZone *zone = g_ptr_array_index (config->zones, i);

    if (strcmp (zone->name, name) == 0)
      return zone;
  }
  return NULL;
}

/* ---- Cameras ---- */

void
tern_camera_config_free (gpointer data)
{
  TernCameraConfig *camera = data;

  g_free (camera->name);
  g_free (camera->source);
  g_free (camera->pipeline);
  g_free (camera->prompt);
  g_free (camera->task);
  g_free (camera->schema);
  g_strfreev (camera->labels);
  g_free (camera->gate);
  g_ptr_array_unref (camera->zones);
  g_free (camera->text);
  g_free (camera);
}

static void
read_source (TernCameraConfig *camera, TernKeyFile *keys, const char *group, const TernWatchConfig *config,
    const TernConfigChecks *checks)
{
  g_autofree char *source = tern_config_text (keys, group, "source");
  g_autoptr (GError) error = NULL;

  camera->pipeline = tern_config_text (keys, group, "pipeline");
  if (!source == !camera->pipeline)
    tern_key_file_mistake (keys, group, camera->pipeline ? "pipeline" : NULL, "expected either source=URI or pipeline=WORDS "
        "OF GST-LAUNCH, found %s", camera->pipeline ? "both" : "neither");
  if (camera->pipeline && checks && checks->pipeline && !checks->pipeline (camera->pipeline, &error))
    tern_key_file_mistake (keys, group, "pipeline", "%s", error->message);
  if (source && !strstr (source, "://")) {
    camera->file = TRUE;
    camera->source = tern_config_path (keys, group, "source", config);
    if (!g_file_test (camera->source, G_FILE_TEST_EXISTS))
      tern_key_file_mistake (keys, group, "source", "%s: no such file", camera->source);
    else if (g_file_test (camera->source, G_FILE_TEST_IS_DIR))
      tern_key_file_mistake (keys, group, "source", "%s: expected a file, found a folder", camera->source);
  } else if (source) {
    if (!g_str_has_prefix (source, "rtsp://") && !g_str_has_prefix (source, "rtsps://")
        && !g_str_has_prefix (source, "rtspt://") && !g_str_has_prefix (source, "v4l2://"))
      tern_key_file_mistake (keys, group, "source", "expected rtsp://, rtsps://, rtspt://, v4l2:///dev/... or a file, found %s",
          source);
    camera->source = g_steal_pointer (&source);
  }
  camera->repeat = tern_config_bool (keys, group, "repeat", FALSE);
  camera->pace = tern_config_bool (keys, group, "pace", TRUE);
}

static void
read_rate (TernCameraConfig *camera, TernKeyFile *keys, const char *group)
{
  g_autofree char *text = tern_key_file_string (keys, group, "frame-rate");
  guint n = 2, d = 1;

  if (text && (!tern_rate_parse (text, &n, &d) || n == 0 || n > (guint64) RATE_MAX * d || d > (guint64) RATE_MAX * n))
    tern_key_file_mistake (keys, group, "frame-rate", "expected N, N/D or a decimal, 1/%d to %d frames a second, found %s",
        RATE_MAX, RATE_MAX, text);
  camera->rate_n = n;
  camera->rate_d = d;
}

static void
check_labels (TernKeyFile *keys, const char *group, char **labels)
{
  if (g_strv_length (labels) < 2 || g_strv_length (labels) > 256)
    tern_key_file_mistake (keys, group, "labels", "expected 2 to 256 labels apart by ;, found %u", g_strv_length (labels));
  for (char **label = labels; *label; label++)
    if (g_strv_contains ((const char *const *) label + 1, *label))
      tern_key_file_mistake (keys, group, "labels", "expected each label once, found %s again", *label);
}

static char *
read_schema (TernKeyFile *keys, const char *group, const TernWatchConfig *config)
{
  g_autofree char *schema = tern_config_file (keys, group, "schema", config);
  g_autoptr (TernGrammar) grammar = NULL;
  g_autoptr (GError) error = NULL;

  if (!schema)
    return NULL;
  grammar = tern_grammar_from_json_schema (schema, &error);
  if (!grammar)
    tern_key_file_mistake (keys, group, "schema", "%s", error->message);
  return g_steal_pointer (&schema);
}

static void
read_question (TernCameraConfig *camera, TernKeyFile *keys, const char *group, const TernWatchConfig *config)
{
  camera->prompt = tern_key_file_string (keys, group, "prompt");
  camera->task = tern_config_text (keys, group, "task");
  if (camera->prompt && camera->task)
    tern_key_file_mistake (keys, group, "task", "expected prompt or task, found both");
  camera->labels = tern_key_file_list (keys, group, "labels");
  camera->schema = read_schema (keys, group, config);
  if (camera->labels)
    check_labels (keys, group, camera->labels);
  if (camera->labels && camera->schema)
    tern_key_file_mistake (keys, group, "schema", "expected labels or schema, found both");
  camera->min_confidence = tern_config_share (keys, group, "min-confidence", 0);
  camera->max_tokens = tern_config_uint (keys, group, "max-tokens", 1, 4096, 32);
}

static void
read_view (TernCameraConfig *camera, TernKeyFile *keys, const char *group, const TernWatchConfig *config)
{
  g_auto (GStrv) zones = tern_key_file_list (keys, group, "zones");

  camera->gate = tern_key_file_string (keys, group, "gate");
  if (!camera->gate)
    camera->gate = g_strdup ("auto");
  if (strcmp (camera->gate, "auto") != 0 && strcmp (camera->gate, "on") != 0 && strcmp (camera->gate, "off") != 0)
    tern_key_file_mistake (keys, group, "gate", "expected auto, on or off, found %s", camera->gate);
  camera->zones = g_ptr_array_new ();
  for (guint i = 0; zones && zones[i]; i++) {
    TernZone *zone = find_zone (config, zones[i]);

    if (zone)
      g_ptr_array_add (camera->zones, zone);
    else
      tern_key_file_mistake (keys, group, "zones", "expected the name of a [zone NAME], found %s", zones[i]);
  }
  camera->thumbnail = tern_config_uint (keys, group, "thumbnail", 0, 1280, 320);
}

/* Its keys, and those of its zones. */
static char *
camera_text (const TernCameraConfig *camera, const TernKeyFile *keys, const char *group)
{
  g_autofree char *own = tern_key_file_text (keys, group);
  GString *text = g_string_new (own);

  g_string_append_printf (text, "schema %s\n", camera->schema ? camera->schema : "");
  for (guint i = 0; i < camera->zones->len; i++) {
    const TernZone *zone = g_ptr_array_index (camera->zones, i);
    g_autofree char *name = g_strconcat ("zone ", zone->name, NULL);
    g_autofree char *keys_of_zone = tern_key_file_text (keys, name);

    g_string_append_printf (text, "%s\n%s", name, keys_of_zone);
  }
  return g_string_free (text, FALSE);
}

static void
read_camera (TernWatchConfig *config, TernKeyFile *keys, const char *group, const char *name, const TernConfigChecks *checks)
{
  TernCameraConfig *camera = g_new0 (TernCameraConfig, 1);

  camera->name = g_strdup (name);
  read_source (camera, keys, group, config, checks);
  read_rate (camera, keys, group);
  camera->window = tern_config_duration (keys, group, "window", 100 * 1000, 4 * G_USEC_PER_SEC);
  if (camera->window > WINDOW_MAX)
    tern_key_file_mistake (keys, group, "window", "expected at most 1h");
  camera->stall = tern_config_duration (keys, group, "stall", G_USEC_PER_SEC, TERN_RETRY_STALL);
  read_question (camera, keys, group, config);
  read_view (camera, keys, group, config);
  camera->scheduled = tern_config_week (keys, group, "schedule", &camera->schedule);
  camera->text = camera_text (camera, keys, group);
  g_ptr_array_add (config->cameras, camera);
}

void
tern_config_read_cameras (TernWatchConfig *config, TernKeyFile *keys, const TernConfigChecks *checks)
{
  const char *const *groups = tern_key_file_groups (keys);

  for (guint i = 0; groups[i]; i++) {
    const char *name = tern_config_name (keys, groups[i], "camera");

    if (name)
      read_camera (config, keys, groups[i], name, checks);
  }
  if (config->cameras->len == 0)
    tern_key_file_mistake (keys, "watch", NULL, "expected a [camera NAME], found none");
}

gint64
tern_camera_config_window (const TernCameraConfig *config, guint picture_frames)
{
  gint64 group = 4 * (gint64) MAX (picture_frames, 1) * G_USEC_PER_SEC * config->rate_d / MAX (config->rate_n, 1);

  return group > 0 ? (config->window + group - 1) / group * group : config->window;
}
