/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests as Ollama's API has them: streams unless told otherwise, pictures in bare base64, options in an object. */
#include "tools/serve/ask.h"

#include <string.h>

static gboolean
read_options (TernAsked *ask, const TernFields *fields)
{
  TernFields options = { NULL, "options.", fields->refusal };
  double temperature = 0, top_p = 1, min_p = 0, penalty = 1;
  gint64 top_k = 0, n = -1;

  ask->sampling.seed = g_random_int ();
  if (!tern_fields_object (fields, "options", &options.object) || !options.object)
    return options.object || !tern_fields_get (fields, "options");
  if (!tern_fields_number (&options, "temperature", 0, TERN_TEMPERATURE_MAX, &temperature)
      || !tern_fields_number (&options, "top_p", 0, 1, &top_p)
      || !tern_fields_number (&options, "min_p", 0, TERN_MIN_P_MAX, &min_p)
      || !tern_fields_integer (&options, "top_k", -1, TERN_TOP_K_MAX, &top_k)
      || !tern_fields_number (&options, "repeat_penalty", TERN_REPETITION_PENALTY_MIN, TERN_REPETITION_PENALTY_MAX, &penalty)
      || !tern_fields_seed (&options, "seed", &ask->sampling.seed)
      || !tern_fields_integer (&options, "num_predict", -2, G_MAXINT64, &n)
      || !tern_ask_stop (ask, &options, "stop"))
    return FALSE;
  ask->sampling.temperature = (float) temperature;
  ask->sampling.top_p = (float) MAX (top_p, TERN_TOP_P_MIN);
  ask->sampling.min_p = (float) min_p;
  ask->sampling.top_k = (guint) MAX (top_k, 0);
  ask->sampling.repetition_penalty = (float) penalty;
  if (n > 0)
    ask->sampling.max_tokens = (guint) MIN (n, TERN_MAX_TOKENS_MAX);
  return n != 0 || tern_fields_refuse (&options, "num_predict", "at least 1, or -1");
}

/* "format": "json", or a schema. */
static gboolean
read_format (TernAsked *ask, const TernFields *fields)
{
  JsonNode *node = tern_fields_get (fields, "format");

  if (!node || (tern_node_is_text (node) && !*json_node_get_string (node)))
    return TRUE;
  if (tern_node_is_text (node) && g_str_equal (json_node_get_string (node), "json")) {
    ask->json_schema = g_strdup ("{\"type\":\"object\"}");
    return TRUE;
  }
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return tern_fields_refuse (fields, "format", "\"json\" or a JSON Schema");
  tern_ask_schema (ask, node);
  return TRUE;
}

static gboolean
add_images (TernTalk *talk, const TernFields *fields, JsonArray *parts)
{
  JsonArray *images = NULL;

  if (!tern_fields_array (fields, "images", &images))
    return FALSE;
  for (guint i = 0; images && i < json_array_get_length (images); i++) {
    JsonNode *node = json_array_get_element (images, i);
    g_autofree char *param = g_strdup_printf ("%simages[%u]", fields->where, i);

    if (!tern_node_is_text (node))
      return tern_fields_refuse (fields, "images", "base64 of pictures");
    if (!tern_talk_show (talk, parts, json_node_get_string (node), FALSE, param))
      return FALSE;
  }
  return TRUE;
}

/* A message with the pictures of @fields before @words. */
static gboolean
add_turn (TernTalk *talk, const TernFields *fields, const char *role, const char *words, const char *thought,
    JsonArray *calls)
{
  g_autoptr (JsonArray) parts = json_array_new ();
  JsonObject *message;

  if (!add_images (talk, fields, parts))
    return FALSE;
  if (json_array_get_length (parts) == 0) {
    message = tern_talk_add (talk, role, json_node_init_string (json_node_alloc (), words));
  } else {
    tern_talk_say (parts, words);
    message = tern_talk_add (talk, role, json_node_init_array (json_node_alloc (), parts));
  }
  if (thought)                  /* as templates know it */
    json_object_set_string_member (message, "reasoning_content", thought);
  if (calls && json_array_get_length (calls) > 0)
    json_object_set_array_member (message, "tool_calls", json_array_ref (calls));
  return TRUE;
}

static gboolean
has_images (JsonObject *message)
{
  JsonNode *images = json_object_get_member (message, "images");

  return images && JSON_NODE_HOLDS_ARRAY (images) && json_array_get_length (json_node_get_array (images)) > 0;
}

static gboolean
read_messages (TernTalk *talk, const TernFields *fields)
{
  static const char *const roles[] = { "system", "user", "assistant", "tool", NULL };
  gboolean reads = talk->capacity->prompt_use == TERN_PROMPT_READ;
  JsonArray *messages = NULL;
  guint newest;

  if (!tern_fields_array (fields, "messages", &messages))
    return FALSE;
  newest = messages ? tern_talk_newest (messages, has_images) : 0;
  for (guint i = 0; messages && i < json_array_get_length (messages); i++) {
    JsonNode *node = json_array_get_element (messages, i);
    g_autofree char *where = g_strdup_printf ("messages[%u].", i);
    TernFields message = { JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL, where, fields->refusal };
    const char *role = NULL, *content = "", *thought = NULL;
    JsonArray *calls = NULL;

    if (!message.object)
      return tern_fields_refuse (fields, "messages", "objects");
    if (!tern_fields_text (&message, "role", &role) || !tern_fields_text (&message, "content", &content)
        || !tern_fields_text (&message, "thinking", &thought) || !tern_fields_array (&message, "tool_calls", &calls))
      return FALSE;
    if (!role || !g_strv_contains (roles, role))
      return tern_fields_refuse (&message, "role", "system, user, assistant or tool");
    talk->past = !reads && i != newest;
    if (!add_turn (talk, &message, role, content, thought, calls))
      return FALSE;
  }
  talk->ask->nothing = !messages || json_array_get_length (messages) == 0;
  return TRUE;
}

static gboolean
read_generate (TernTalk *talk, const TernFields *fields)
{
  const char *prompt = "", *system = "";
  gboolean raw = FALSE;
  JsonArray *images = NULL;

  if (!tern_fields_text (fields, "prompt", &prompt) || !tern_fields_text (fields, "system", &system)
      || !tern_fields_flag (fields, "raw", &raw) || !tern_fields_array (fields, "images", &images))
    return FALSE;
  talk->ask->nothing = !*prompt && (!images || json_array_get_length (images) == 0);
  if (talk->ask->nothing)
    return TRUE;
  if (tern_fields_get (fields, "suffix") && *json_object_get_string_member_with_default (fields->object, "suffix", "?"))
    return tern_fields_refuse (fields, "suffix", "none");
  if (raw && images && json_array_get_length (images) > 0)
    return tern_fields_refuse (fields, "raw", "false with pictures");
  if (raw && talk->capacity->prompt_use == TERN_PROMPT_READ) {
    talk->ask->text = g_strdup (prompt);
    return TRUE;
  }
  if (*system)
    tern_talk_add (talk, "system", json_node_init_string (json_node_alloc (), system));
  return add_turn (talk, fields, "user", prompt, NULL, NULL);
}

/* "think" is what templates call enable_thinking. */
static gboolean
read_think (const TernFields *fields, JsonObject *more)
{
  JsonNode *node = tern_fields_get (fields, "think");

  if (!node)
    return TRUE;
  if (!tern_node_is_text (node) && !(JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_BOOLEAN))
    return tern_fields_refuse (fields, "think", "true, false, or how much");
  json_object_set_boolean_member (more, "enable_thinking", tern_node_is_text (node) || json_node_get_boolean (node));
  return TRUE;
}

gboolean
tern_ask_ollama (TernAsked *ask, const TernFields *fields, const TernCapacity *capacity, const gint *gone)
{
  TernTalk talk = { ask, capacity, gone, fields->refusal, json_array_new (), FALSE };
  g_autoptr (JsonObject) more = json_object_new ();
  JsonArray *tools = NULL;
  gboolean ok;

  ask->stream = TRUE;
  ok = tern_ask_model (fields, capacity, TRUE) && tern_fields_flag (fields, "stream", &ask->stream)
      && read_options (ask, fields) && read_format (ask, fields) && read_think (fields, more);
  if (ok && ask->door == TERN_DOOR_OLLAMA_CHAT) {
    gboolean form = ask->json_schema != NULL;

    ok = tern_talk_tools (&talk, fields, &tools) && read_messages (&talk, fields);
    if (form) {
      tools = NULL;
      g_clear_pointer (&ask->tools, g_ptr_array_unref);
    }
  } else if (ok) {
    ok = read_generate (&talk, fields);
  }
  ok = ok && (ask->nothing || ask->text || tern_talk_end (&talk, tools, more));
  json_array_unref (talk.messages);
  return ok;
}
