/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/messages.h"

#include <string.h>

#include "engine/base/json.h"

/* Members of which there is nothing are left out. */
static void
put_text (TernJson *json, const char *name, const char *text)
{
  if (!text)
    return;
  tern_json_name (json, name);
  tern_json_text (json, text, -1);
}

static void
put_time (TernJson *json, const char *name, gint64 us)
{
  g_autofree char *text = tern_watch_utc (us);

  put_text (json, name, text);
}

/* @text is JSON: it stands as the last member. */
static char *
close_with (TernJson *json, const char *name, const char *text)
{
  tern_json_close (json, '}');
  if (text) {
    g_string_truncate (json->out, json->out->len - 1);
    g_string_append_printf (json->out, ",\"%s\":%s}", name, text);
  }
  return g_string_free (json->out, FALSE);
}

char *
tern_message_scores (const char *const *labels, const double *scores)
{
  TernJson json = { g_string_new (NULL) };

  tern_json_open (&json, '{');
  for (guint i = 0; labels[i]; i++) {
    tern_json_name (&json, labels[i]);
    tern_json_double (&json, scores[i], 6);
  }
  tern_json_close (&json, '}');
  return g_string_free (json.out, FALSE);
}

char *
tern_message_result (const TernTold *told)
{
  TernJson json = { g_string_new (NULL) };

  tern_json_open (&json, '{');
  put_text (&json, "camera", told->camera);
  put_time (&json, "start", told->start);
  put_time (&json, "end", told->end);
  put_text (&json, "kind", told->kind);
  put_text (&json, "result", told->text);
  put_text (&json, "label", told->label);
  tern_json_name (&json, "confidence");
  tern_json_double (&json, told->confidence, 6);
  tern_json_name (&json, "abstained");
  tern_json_bool (&json, told->abstained);
  tern_json_name (&json, "unchanged");
  tern_json_bool (&json, told->unchanged);
  put_text (&json, "model", told->model);
  return close_with (&json, "scores", told->scores);
}

char *
tern_message_alert (const TernAlert *alert, const TernTold *told, gint64 now)
{
  TernJson json = { g_string_new (NULL) };

  tern_json_open (&json, '{');
  put_text (&json, "rule", alert->rule);
  put_text (&json, "camera", alert->camera);
  put_text (&json, "state", alert->on ? "ON" : "OFF");
  put_time (&json, "time", now);
  if (told) {
    put_time (&json, "start", told->start);
    put_time (&json, "end", told->end);
    put_text (&json, "result", told->text);
  }
  if (alert->score >= 0) {
    tern_json_name (&json, "score");
    tern_json_double (&json, alert->score, 6);
  }
  return close_with (&json, NULL, NULL);
}

char *
tern_message_result_topic (const char *camera)
{
  return g_strconcat (camera, "/result", NULL);
}

char *
tern_message_alert_topic (const TernAlert *alert)
{
  return g_strconcat (alert->camera, "/", alert->rule, NULL);
}

/* ---- Home Assistant ---- */

static void
put_origin (TernJson *json)
{
  tern_json_name (json, "origin");
  tern_json_open (json, '{');
  put_text (json, "name", "tern");
  put_text (json, "sw_version", TERN_VERSION);
  tern_json_close (json, '}');
}

static void
put_device (TernJson *json, const char *node, const char *camera, const char *model)
{
  tern_json_name (json, "device");
  tern_json_open (json, '{');
  tern_json_name (json, "identifiers");
  tern_json_open (json, '[');
  tern_json_text (json, node, -1);
  tern_json_close (json, ']');
  put_text (json, "name", camera);
  put_text (json, "manufacturer", "Tern");
  put_text (json, "model", model);
  tern_json_close (json, '}');
}

/* An entity of a camera: @what is told on its topic, of which @value is shown. */
static void
put_entity (GPtrArray *pairs, const TernSinkConfig *sink, const char *kind, const char *camera, const char *what,
    const char *value, const char *model)
{
  g_autofree char *node = g_strdup_printf ("%s_%s", sink->prefix, camera);
  g_autofree char *state = NULL, *status = NULL, *id = NULL;
  gboolean caption = strcmp (kind, "sensor") == 0;
  TernJson json = { g_string_new (NULL) };

  g_strdelimit (node, "/ ", '_');
  state = g_strdup_printf ("%s/%s/%s", sink->prefix, camera, caption ? "result" : what);
  status = g_strdup_printf ("%s/status", sink->prefix);
  id = g_strdup_printf ("%s_%s", node, what);
  tern_json_open (&json, '{');
  put_text (&json, "name", caption ? "Caption" : what);
  put_text (&json, "unique_id", id);
  put_text (&json, "state_topic", state);
  put_text (&json, "value_template", value);
  put_text (&json, "json_attributes_topic", state);
  put_text (&json, "availability_topic", status);
  if (caption) {
    put_text (&json, "icon", "mdi:cctv");
  } else {
    put_text (&json, "payload_on", "ON");
    put_text (&json, "payload_off", "OFF");
  }
  put_origin (&json);
  put_device (&json, node, camera, model);
  tern_json_close (&json, '}');
  g_ptr_array_add (pairs, g_strdup_printf ("%s/%s/%s/%s/config", sink->discovery, kind, node, what));
  g_ptr_array_add (pairs, g_string_free (json.out, FALSE));
}

/* A state of more than 255 characters is none to Home Assistant; the whole text is among the attributes. */
GPtrArray *
tern_message_discovery (const TernWatchConfig *config, const TernSinkConfig *sink, const char *model)
{
  GPtrArray *pairs = g_ptr_array_new_with_free_func (g_free);

  for (guint c = 0; sink->discovery && c < config->cameras->len; c++) {
    const char *camera = ((TernCameraConfig *) g_ptr_array_index (config->cameras, c))->name;

    if (sink->tell & TERN_TELL_RESULTS)
      put_entity (pairs, sink, "sensor", camera, "caption", "{{ value_json.result[:255] }}", model);
    for (guint r = 0; (sink->tell & TERN_TELL_ALERTS) && r < config->rules->len; r++) {
      const TernRuleConfig *rule = g_ptr_array_index (config->rules, r);

      if (tern_rule_config_has (rule, camera))
        put_entity (pairs, sink, "binary_sensor", camera, rule->name, "{{ value_json.state }}", model);
    }
  }
  return pairs;
}
