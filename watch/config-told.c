/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The groups [rule NAME], and of who is told: [mqtt], [webhook NAME], [lines NAME]. */
#include "watch/config-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- Rules ---- */

void
tern_rule_config_free (gpointer data)
{
  TernRuleConfig *rule = data;

  g_free (rule->name);
  g_strfreev (rule->cameras);
  g_free (rule->label);
  g_strfreev (rule->words);
  g_free (rule);
}

gboolean
tern_rule_config_has (const TernRuleConfig *rule, const char *camera)
{
  return !rule->cameras || g_strv_contains ((const char *const *) rule->cameras, camera);
}

static const TernCameraConfig *
find_camera (const TernWatchConfig *config, const char *name)
{
  for (guint i = 0; i < config->cameras->len; i++) {
    const TernCameraConfig *camera = g_ptr_array_index (config->cameras, i);

    if (strcmp (camera->name, name) == 0)
      return camera;
  }
  return NULL;
}

/* A label that no camera's answers have never comes: a typing error. Those of tasks are the model's. */
static void
check_label (const TernRuleConfig *rule, TernKeyFile *keys, const char *group, const TernWatchConfig *config)
{
  for (guint i = 0; i < config->cameras->len; i++) {
    const TernCameraConfig *camera = g_ptr_array_index (config->cameras, i);

    if (!tern_rule_config_has (rule, camera->name))
      continue;
    if (camera->task || (camera->labels && g_strv_contains ((const char *const *) camera->labels, rule->label)))
      return;
  }
  tern_key_file_mistake (keys, group, "label", "expected one of the labels of its cameras, found %s", rule->label);
}

static void
read_condition (TernRuleConfig *rule, TernKeyFile *keys, const char *group, const TernWatchConfig *config)
{
  guint n;

  rule->label = tern_config_text (keys, group, "label");
  rule->words = tern_key_file_list (keys, group, "words");
  rule->silent = tern_config_duration (keys, group, "silent", G_USEC_PER_SEC, 0);
  n = (rule->label != NULL) + (rule->words != NULL) + (rule->silent > 0);
  if (n != 1) {
    tern_key_file_mistake (keys, group, NULL, "expected one of label, words and silent, found %u of them", n);
    return;
  }
  rule->kind = rule->label ? TERN_RULE_LABEL : rule->words ? TERN_RULE_WORDS : TERN_RULE_SILENT;
  if (rule->words && !rule->words[0])
    tern_key_file_mistake (keys, group, "words", "expected words apart by ;, found none");
  if (rule->label)
    check_label (rule, keys, group, config);
}

static void
read_rule (TernWatchConfig *config, TernKeyFile *keys, const char *group, const char *name)
{
  TernRuleConfig *rule = g_new0 (TernRuleConfig, 1);

  rule->name = g_strdup (name);
  if (strcmp (name, "result") == 0 || strcmp (name, "caption") == 0)
    tern_key_file_mistake (keys, group, NULL, "expected another name: what is told of cameras themselves has this one");
  rule->cameras = tern_key_file_list (keys, group, "cameras");
  for (guint i = 0; rule->cameras && rule->cameras[i]; i++)
    if (!find_camera (config, rule->cameras[i]))
      tern_key_file_mistake (keys, group, "cameras", "expected the name of a [camera NAME], found %s", rule->cameras[i]);
  read_condition (rule, keys, group, config);
  if (rule->kind == TERN_RULE_LABEL) {
    rule->threshold = tern_config_share (keys, group, "threshold", 0.5);
    rule->clear = tern_config_share (keys, group, "clear", rule->threshold);
    if (rule->clear > rule->threshold)
      tern_key_file_mistake (keys, group, "clear", "expected at most the threshold, %g, found %g", rule->threshold, rule->clear);
  }
  rule->windows = tern_config_uint (keys, group, "windows", 1, 1000, 1);
  rule->has_quiet = tern_config_week (keys, group, "quiet", &rule->quiet);
  rule->interval = tern_config_duration (keys, group, "interval", 0, 0);
  g_ptr_array_add (config->rules, rule);
}

void
tern_config_read_rules (TernWatchConfig *config, TernKeyFile *keys)
{
  const char *const *groups = tern_key_file_groups (keys);

  for (guint i = 0; groups[i]; i++) {
    const char *name = tern_config_name (keys, groups[i], "rule");

    if (name)
      read_rule (config, keys, groups[i], name);
  }
}

/* ---- Who is told ---- */

void
tern_sink_config_free (gpointer data)
{
  TernSinkConfig *sink = data;

  g_free (sink->name);
  g_free (sink->host);
  g_free (sink->user);
  g_free (sink->password);
  g_free (sink->ca_file);
  g_free (sink->client);
  g_free (sink->prefix);
  g_free (sink->discovery);
  g_free (sink->url);
  g_free (sink->secret);
  g_free (sink->path);
  g_free (sink->text);
  g_free (sink);
}

static TernTell
read_tell (TernKeyFile *keys, const char *group, TernTell otherwise)
{
  g_auto (GStrv) items = tern_key_file_list (keys, group, "tell");
  TernTell tell = 0;

  if (!items)
    return otherwise;
  for (guint i = 0; items[i]; i++)
    if (strcmp (items[i], "alerts") == 0)
      tell |= TERN_TELL_ALERTS;
    else if (strcmp (items[i], "results") == 0)
      tell |= TERN_TELL_RESULTS;
    else
      tern_key_file_mistake (keys, group, "tell", "expected alerts, results or alerts;results, found %s", items[i]);
  return tell;
}

/* A topic without what has a meaning to brokers. */
static char *
read_topic (TernKeyFile *keys, const char *group, const char *key, const char *otherwise)
{
  g_autofree char *topic = tern_key_file_string (keys, group, key);

  if (!topic)
    return g_strdup (otherwise);
  if (!*topic && strcmp (key, "discovery") == 0)
    return NULL;
  if (!*topic || strlen (topic) > 128 || strpbrk (topic, "+#") || *topic == '$' || *topic == '/' || g_str_has_suffix (topic, "/"))
    tern_key_file_mistake (keys, group, key, "expected a topic without + and #, at most 128 bytes, found %s", topic);
  return g_steal_pointer (&topic);
}

/* Of certificates: they may be more than other files. Without them nothing is told, rather than in the clear. */
static char *
read_certificates (TernKeyFile *keys, const char *group, const char *key, const TernWatchConfig *config)
{
  char *path = tern_config_path (keys, group, key, config);
  char byte;
  int fd;

  if (!path)
    return NULL;
  fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || read (fd, &byte, 1) < 0)
    tern_key_file_mistake (keys, group, key, "%s: cannot be read: %s", path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return path;
}

static void
read_mqtt (TernWatchConfig *config, TernKeyFile *keys)
{
  TernSinkConfig *sink = g_new0 (TernSinkConfig, 1);

#ifndef TERN_HAVE_MQTT
  tern_key_file_mistake (keys, "mqtt", NULL, "this build knows no MQTT: it needs libmosquitto 2.0 or later "
      "(meson setup -Dmqtt=enabled)");
#endif
  sink->name = g_strdup ("mqtt");
  sink->kind = TERN_SINK_MQTT;
  sink->tell = read_tell (keys, "mqtt", TERN_TELL_ALERTS | TERN_TELL_RESULTS);
  sink->host = tern_config_text (keys, "mqtt", "host");
  if (!sink->host)
    tern_key_file_mistake (keys, "mqtt", NULL, "expected host=NAME, not found");
  sink->user = tern_config_text (keys, "mqtt", "user");
  sink->password = tern_config_file (keys, "mqtt", "password-file", config);
  sink->ca_file = read_certificates (keys, "mqtt", "ca-file", config);
  sink->port = tern_config_uint (keys, "mqtt", "port", 1, 65535, sink->ca_file ? 8883 : 1883);
  sink->client = tern_config_text (keys, "mqtt", "client-id");
  sink->prefix = read_topic (keys, "mqtt", "prefix", "tern");
  sink->discovery = read_topic (keys, "mqtt", "discovery", "homeassistant");
  sink->text = tern_key_file_text (keys, "mqtt");
  g_ptr_array_add (config->sinks, sink);
}

static void
read_webhook (TernWatchConfig *config, TernKeyFile *keys, const char *group)
{
  TernSinkConfig *sink = g_new0 (TernSinkConfig, 1);

#ifndef TERN_HAVE_WEBHOOK
  tern_key_file_mistake (keys, group, NULL, "this build knows no webhooks: it needs libsoup 3.2 or later "
      "(meson setup -Dwebhooks=enabled)");
#endif
  sink->name = g_strdup (group);
  sink->kind = TERN_SINK_WEBHOOK;
  sink->tell = read_tell (keys, group, TERN_TELL_ALERTS);
  sink->url = tern_config_text (keys, group, "url");
  if (!sink->url)
    tern_key_file_mistake (keys, group, NULL, "expected url=URL, not found");
  else if ((!g_str_has_prefix (sink->url, "http://") && !g_str_has_prefix (sink->url, "https://"))
      || !g_uri_is_valid (sink->url, G_URI_FLAGS_NONE, NULL))
    tern_key_file_mistake (keys, group, "url", "expected http:// or https://, found %s", sink->url);
  sink->secret = tern_config_file (keys, group, "secret-file", config);
  sink->text = tern_key_file_text (keys, group);
  g_ptr_array_add (config->sinks, sink);
}

static void
read_lines (TernWatchConfig *config, TernKeyFile *keys, const char *group)
{
  TernSinkConfig *sink = g_new0 (TernSinkConfig, 1);

  sink->name = g_strdup (group);
  sink->kind = TERN_SINK_LINES;
  sink->tell = read_tell (keys, group, TERN_TELL_ALERTS | TERN_TELL_RESULTS);
  sink->path = tern_config_path (keys, group, "path", config);
  if (!sink->path)
    tern_key_file_mistake (keys, group, NULL, "expected path=FILE, not found");
  sink->text = tern_key_file_text (keys, group);
  g_ptr_array_add (config->sinks, sink);
}

void
tern_config_read_sinks (TernWatchConfig *config, TernKeyFile *keys)
{
  const char *const *groups = tern_key_file_groups (keys);

  if (tern_key_file_has_group (keys, "mqtt"))
    read_mqtt (config, keys);
  for (guint i = 0; groups[i]; i++) {
    if (tern_config_name (keys, groups[i], "webhook"))
      read_webhook (config, keys, groups[i]);
    else if (tern_config_name (keys, groups[i], "lines"))
      read_lines (config, keys, groups[i]);
  }
}
