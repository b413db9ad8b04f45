/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration as a whole, and the values of its keys. */
#include "watch/config-priv.h"

#include <string.h>

#include "tern/error.h"
#include "engine/base/readfile.h"
#include "engine/base/threads.h"

#define FILE_MAX ((gsize) 64 << 10)
#define NAME_MAX_BYTES 64

/* ---- Values ---- */

gboolean
tern_config_bool (TernKeyFile *keys, const char *group, const char *key, gboolean otherwise)
{
  g_autofree char *text = tern_key_file_string (keys, group, key);

  if (!text)
    return otherwise;
  if (strcmp (text, "true") == 0 || strcmp (text, "false") == 0)
    return *text == 't';
  tern_key_file_mistake (keys, group, key, "expected true or false, found %s", text);
  return otherwise;
}

guint
tern_config_uint (TernKeyFile *keys, const char *group, const char *key, guint min, guint max, guint otherwise)
{
  g_autofree char *text = tern_key_file_string (keys, group, key);
  guint64 value;

  if (!text)
    return otherwise;
  if (g_ascii_string_to_unsigned (text, 10, min, max, &value, NULL))
    return (guint) value;
  tern_key_file_mistake (keys, group, key, "expected %u to %u, found %s", min, max, text);
  return otherwise;
}

double
tern_config_share (TernKeyFile *keys, const char *group, const char *key, double otherwise)
{
  g_autofree char *text = tern_key_file_string (keys, group, key);
  char *end;
  double value;

  if (!text)
    return otherwise;
  value = g_ascii_strtod (text, &end);
  if (end != text && !*end && value >= 0 && value <= 1)
    return value;
  tern_key_file_mistake (keys, group, key, "expected 0 to 1, found %s", text);
  return otherwise;
}

gint64
tern_config_duration (TernKeyFile *keys, const char *group, const char *key, gint64 min, gint64 otherwise)
{
  g_autofree char *text = tern_key_file_string (keys, group, key);
  gint64 value;

  if (!text)
    return otherwise;
  if (tern_watch_parse_duration (text, &value) && value >= min)
    return value;
  tern_key_file_mistake (keys, group, key, "expected a time such as 500ms, 4s, 10m, 2h or 30d, not under %gs, found %s",
      (double) min / G_USEC_PER_SEC, text);
  return otherwise;
}

static guint64
read_bytes (TernKeyFile *keys, const char *group, const char *key, guint64 otherwise)
{
  g_autofree char *text = tern_key_file_string (keys, group, key);
  guint64 value;

  if (!text)
    return otherwise;
  if (tern_watch_parse_bytes (text, &value) && value >= 1 << 20)
    return value;
  tern_key_file_mistake (keys, group, key, "expected a size such as 500M or 10G, not under 1M, found %s", text);
  return otherwise;
}

char *
tern_config_text (TernKeyFile *keys, const char *group, const char *key)
{
  char *text = tern_key_file_string (keys, group, key);

  if (text && !*text)
    tern_key_file_mistake (keys, group, key, "expected text, found nothing");
  return text;
}

static char *
from_here (const TernWatchConfig *config, const char *path)
{
  g_autofree char *folder = g_path_get_dirname (config->path);

  return g_path_is_absolute (path) ? g_strdup (path) : g_build_filename (folder, path, NULL);
}

char *
tern_config_path (TernKeyFile *keys, const char *group, const char *key, const TernWatchConfig *config)
{
  g_autofree char *text = tern_config_text (keys, group, key);

  return text ? from_here (config, text) : NULL;
}

char *
tern_config_file (TernKeyFile *keys, const char *group, const char *key, const TernWatchConfig *config)
{
  g_autofree char *path = tern_config_path (keys, group, key, config);
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  gsize len;

  if (!path)
    return NULL;
  text = tern_file_read (path, FILE_MAX, &len, &error);
  if (!text)
    tern_key_file_mistake (keys, group, key, "%s", error->message);
  else if (!g_utf8_validate (text, len, NULL) || strlen (text) != len || !*g_strchomp (text))
    tern_key_file_mistake (keys, group, key, "%s: expected text in UTF-8, found something else", path);
  else
    return g_steal_pointer (&text);
  return NULL;
}

gboolean
tern_config_week (TernKeyFile *keys, const char *group, const char *key, TernWeek *week)
{
  g_autofree char *text = tern_key_file_string (keys, group, key);
  g_autofree char *wrong = NULL;

  if (!text)
    return FALSE;
  if (!tern_week_parse (week, text, &wrong))
    tern_key_file_mistake (keys, group, key, "expected days and hours such as `Mon-Fri 08:00-18:00; Sun`, found `%s`", wrong);
  return TRUE;
}

const char *
tern_config_name (TernKeyFile *keys, const char *group, const char *kind)
{
  gsize len = strlen (kind);
  const char *name, *p;

  if (strncmp (group, kind, len) != 0 || group[len] != ' ')
    return NULL;
  name = group + len + 1;
  for (p = name; g_ascii_isalnum (*p) || *p == '-' || *p == '_'; p++);
  if (*p || p == name || p - name > NAME_MAX_BYTES)
    tern_key_file_mistake (keys, group, NULL, "expected a name of 1 to %d letters, digits, - and _, found `%s`", NAME_MAX_BYTES,
        name);
  return name;
}

/* ---- The whole ---- */

static void
read_general (TernWatchConfig *config, TernKeyFile *keys, const TernConfigChecks *checks)
{
  g_autoptr (GError) error = NULL;

  if (!tern_key_file_has_group (keys, "watch"))
    tern_key_file_mistake (keys, "watch", NULL, "expected, not found");
  config->memory = tern_config_path (keys, "watch", "memory", config);
  if (!config->memory && tern_key_file_has_group (keys, "watch"))
    tern_key_file_mistake (keys, "watch", NULL, "expected memory=FILE, not found");
  config->model = tern_config_path (keys, "watch", "model", config);
  config->mmproj = tern_config_path (keys, "watch", "mmproj", config);
  config->text_model = tern_config_path (keys, "watch", "text-model", config);
  config->threads = tern_config_uint (keys, "watch", "threads", 0, TERN_THREADS_MAX, 0);
  config->page = tern_config_text (keys, "watch", "page");
#ifndef TERN_HAVE_PAGE
  if (config->page)
    tern_key_file_mistake (keys, "watch", "page", "this build has no page: it needs libsoup 3.2 or later "
        "(meson setup -Dwebhooks=enabled)");
#endif
  if (config->page && *config->page && checks && checks->page && !checks->page (config->page, &error))
    tern_key_file_mistake (keys, "watch", "page", "%s", error->message);
  config->keep = tern_config_duration (keys, "watch", "keep", 60 * G_USEC_PER_SEC, 30 * 86400 * (gint64) G_USEC_PER_SEC);
  config->keep_bytes = read_bytes (keys, "watch", "keep-bytes", (guint64) 10 << 30);
  config->spool_bytes = read_bytes (keys, "watch", "spool-bytes", MIN ((guint64) 64 << 20, config->keep_bytes / 2));
  if (config->spool_bytes > config->keep_bytes / 2)     /* what waits is in the same file: it must not push out all else */
    tern_key_file_mistake (keys, "watch", "spool-bytes", "expected half of keep-bytes at most");
}

/* Groups that are none of ours. */
static void
check_groups (TernKeyFile *keys)
{
  static const char *const kinds[] = { "camera", "zone", "rule", "webhook", "lines" };
  const char *const *groups = tern_key_file_groups (keys);

  for (guint i = 0; groups[i]; i++) {
    gboolean ours = strcmp (groups[i], "watch") == 0 || strcmp (groups[i], "mqtt") == 0;

    for (guint k = 0; k < G_N_ELEMENTS (kinds) && !ours; k++)
      ours = g_str_has_prefix (groups[i], kinds[k]) && groups[i][strlen (kinds[k])] == ' ';
    if (!ours)
      tern_key_file_mistake (keys, groups[i], NULL, "expected [watch], [mqtt], or [camera NAME] and likewise zone, rule, "
          "webhook, lines");
  }
}

TernWatchConfig *
tern_watch_config_read (const char *path, const TernConfigChecks *checks, GError **error)
{
  g_autoptr (TernKeyFile) keys = tern_key_file_read (path, error);
  g_autoptr (TernWatchConfig) config = NULL;

  if (!keys)
    return NULL;
  config = g_new0 (TernWatchConfig, 1);
  config->path = g_strdup (path);
  config->cameras = g_ptr_array_new_with_free_func (tern_camera_config_free);
  config->rules = g_ptr_array_new_with_free_func (tern_rule_config_free);
  config->sinks = g_ptr_array_new_with_free_func (tern_sink_config_free);
  config->zones = g_ptr_array_new_with_free_func (tern_zone_free);
  read_general (config, keys, checks);
  check_groups (keys);
  tern_config_read_zones (config, keys);
  tern_config_read_cameras (config, keys, checks);
  tern_config_read_rules (config, keys);
  tern_config_read_sinks (config, keys);
  return tern_key_file_check (keys, error) ? g_steal_pointer (&config) : NULL;
}

void
tern_watch_config_free (TernWatchConfig *config)
{
  if (!config)
    return;
  g_free (config->path);
  g_free (config->memory);
  g_free (config->model);
  g_free (config->mmproj);
  g_free (config->text_model);
  g_free (config->page);
  g_ptr_array_unref (config->cameras);
  g_ptr_array_unref (config->rules);
  g_ptr_array_unref (config->sinks);
  g_ptr_array_unref (config->zones);
  g_free (config);
}
