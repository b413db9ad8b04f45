/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conversations: what OpenAI's messages become for the template, and which functions may be called. */
#include <string.h>

#include "tools/serve/ask.h"

#define MESSAGES_MAX 4096
#define TOOLS_MAX 128

/* What a model that describes pictures says to a greeting: who sets up a client learns what to send, and nothing is made up.
 * Longer texts want an answer, which there is none to. */
#define NO_PICTURE "This model describes pictures: send one."
#define GREETING_BYTES 100

/* ---- Parts ------------------------------------------------------------------------------------------------------- */

static void
add_typed (JsonArray *parts, const char *type, const char *text)
{
  JsonObject *part = json_object_new ();

  json_object_set_string_member (part, "type", type);
  if (text)
    json_object_set_string_member (part, "text", text);
  json_array_add_object_element (parts, part);
}

void
tern_talk_say (JsonArray *parts, const char *text)
{
  add_typed (parts, "text", text);
}

gboolean
tern_talk_show (TernTalk *talk, JsonArray *parts, const char *url, gboolean clip, const char *param)
{
  const TernCapacity *capacity = talk->capacity;
  TernView *view;

  if (!capacity->pictures)
    return tern_refuse (talk->refusal, 400, TERN_REQUEST_ERROR, param, "%s: expected text alone, for %s cannot see; found a"
        " picture", param, capacity->names[0]);
  if (talk->past)
    return TRUE;
  if (talk->ask->views->len >= capacity->max_pictures)
    return tern_refuse (talk->refusal, 400, TERN_REQUEST_ERROR, param, "%s: expected at most %u pictures, found more", param,
        capacity->max_pictures);
  if (!(view = tern_pictures_take (capacity->pictures, url, clip, param, talk->gone, talk->refusal)))
    return FALSE;
  g_ptr_array_add (talk->ask->views, view);
  add_typed (parts, clip ? "video" : "image", NULL);
  return TRUE;
}

/* "image_url": a text, or an object with "url". */
static gboolean
add_url (TernTalk *talk, const TernFields *part, JsonArray *parts, const char *name, gboolean clip)
{
  JsonNode *node = tern_fields_get (part, name);
  g_autofree char *where = g_strconcat (part->where, name, ".", NULL);
  g_autofree char *param = g_strconcat (part->where, name, ".url", NULL);
  const char *url = NULL;

  if (tern_node_is_text (node)) {
    url = json_node_get_string (node);
  } else if (node && JSON_NODE_HOLDS_OBJECT (node)) {
    TernFields inner = { json_node_get_object (node), where, part->refusal };

    if (!tern_fields_text (&inner, "url", &url))
      return FALSE;
    if (!url)
      return tern_fields_refuse (&inner, "url", "a data URL");
  }
  return url ? tern_talk_show (talk, parts, url, clip, param) : tern_fields_refuse (part, name, "an object with `url`");
}

static gboolean
add_part (TernTalk *talk, const TernFields *part, JsonArray *parts)
{
  const char *type = NULL, *text = NULL;

  if (!tern_fields_text (part, "type", &type))
    return FALSE;
  if (type && g_str_equal (type, "text")) {
    if (!tern_fields_text (part, "text", &text))
      return FALSE;
    if (!text)
      return tern_fields_refuse (part, "text", "a text");
    tern_talk_say (parts, text);
    return TRUE;
  }
  if (type && g_str_equal (type, "image_url"))
    return add_url (talk, part, parts, "image_url", FALSE);
  if (type && g_str_equal (type, "video_url"))
    return add_url (talk, part, parts, "video_url", TRUE);
  if (type && g_str_equal (type, "input_video"))
    return add_url (talk, part, parts, "input_video", TRUE);
  return tern_fields_refuse (part, "type", "text, image_url or video_url");
}

static JsonNode *
make_content (TernTalk *talk, const TernFields *message)
{
  JsonNode *content = tern_fields_get (message, "content");
  g_autoptr (JsonArray) parts = json_array_new ();
  JsonArray *asked;

  if (!content || tern_node_is_text (content))
    return content ? json_node_copy (content) : json_node_init_string (json_node_alloc (), "");
  if (!JSON_NODE_HOLDS_ARRAY (content)) {
    tern_fields_refuse (message, "content", "a text or an array of parts");
    return NULL;
  }
  asked = json_node_get_array (content);
  for (guint i = 0; i < json_array_get_length (asked); i++) {
    JsonNode *node = json_array_get_element (asked, i);
    g_autofree char *where = g_strdup_printf ("%scontent[%u].", message->where, i);
    TernFields part = { NULL, where, message->refusal };

    if (!JSON_NODE_HOLDS_OBJECT (node)) {
      tern_refuse (talk->refusal, 400, TERN_REQUEST_ERROR, where, "%s: expected an object, found another value", where);
      return NULL;
    }
    part.object = json_node_get_object (node);
    if (!add_part (talk, &part, parts))
      return NULL;
  }
  return json_node_init_array (json_node_alloc (), parts);
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

JsonObject *
tern_talk_add (TernTalk *talk, const char *role, JsonNode *content)
{
  JsonObject *message = json_object_new ();

  json_object_set_string_member (message, "role", role);
  json_object_set_member (message, "content", content);
  json_array_add_object_element (talk->messages, message);
  return message;
}

/* Templates want the arguments as what they are; OpenAI's clients send them as JSON in a text. */
static void
unpack_arguments (JsonNode *call)
{
  JsonObject *object = JSON_NODE_HOLDS_OBJECT (call) ? json_node_get_object (call) : NULL;
  JsonNode *function = object ? json_object_get_member (object, "function") : NULL;
  JsonNode *arguments = function && JSON_NODE_HOLDS_OBJECT (function)
      ? json_object_get_member (json_node_get_object (function), "arguments") : NULL;
  g_autoptr (GBytes) bytes = NULL;
  TernRefusal unused = { 0 };
  JsonNode *parsed;

  if (!tern_node_is_text (arguments))
    return;
  bytes = g_bytes_new (json_node_get_string (arguments), strlen (json_node_get_string (arguments)));
  if ((parsed = tern_fields_parse (bytes, &unused)))
    json_object_set_member (json_node_get_object (function), "arguments", parsed);
  tern_refusal_clear (&unused);
}

static void
copy_calls (JsonObject *to, JsonArray *calls)
{
  JsonNode *node = json_node_init_array (json_node_alloc (), calls), *copy;
  g_autofree char *json = json_to_string (node, FALSE);         /* the tree as it is, with its marks */

  json_node_unref (node);
  if (!(copy = json_from_string (json, NULL)))
    return;
  for (guint i = 0; i < json_array_get_length (json_node_get_array (copy)); i++)
    unpack_arguments (json_array_get_element (json_node_get_array (copy), i));
  json_object_set_member (to, "tool_calls", copy);
}

static gboolean
add_message (TernTalk *talk, const TernFields *fields)
{
  static const char *const roles[] = { "system", "developer", "user", "assistant", "tool", "function", NULL };
  const char *role = NULL, *name = NULL, *call_id = NULL, *thought = NULL;
  JsonArray *calls = NULL;
  JsonObject *message;
  JsonNode *content;

  if (!tern_fields_text (fields, "role", &role) || !tern_fields_text (fields, "name", &name)
      || !tern_fields_text (fields, "tool_call_id", &call_id) || !tern_fields_text (fields, "reasoning_content", &thought)
      || !tern_fields_array (fields, "tool_calls", &calls))
    return FALSE;
  if (!role || !g_strv_contains (roles, role))
    return tern_fields_refuse (fields, "role", "system, developer, user, assistant or tool");
  if (!tern_fields_get (fields, "content") && !g_str_equal (role, "assistant"))
    return tern_fields_refuse (fields, "content", "a text or an array of parts");
  if (!(content = make_content (talk, fields)))
    return FALSE;
  message = tern_talk_add (talk, g_str_equal (role, "developer") ? "system" : role, content);
  if (name)
    json_object_set_string_member (message, "name", name);
  if (thought)
    json_object_set_string_member (message, "reasoning_content", thought);
  if (call_id)
    json_object_set_string_member (message, "tool_call_id", call_id);
  if (calls && json_array_get_length (calls) > 0)
    copy_calls (message, calls);
  return TRUE;
}

guint
tern_talk_newest (JsonArray *messages, gboolean (*shows) (JsonObject *message))
{
  guint any = G_MAXUINT;

  for (guint i = json_array_get_length (messages); i-- > 0;) {
    JsonNode *node = json_array_get_element (messages, i);
    JsonObject *message = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
    JsonNode *role = message ? json_object_get_member (message, "role") : NULL;

    if (!message || !shows (message))
      continue;
    if (tern_node_is_text (role) && g_str_equal (json_node_get_string (role), "user"))
      return i;
    any = any == G_MAXUINT ? i : any;
  }
  return any;
}

/* Parts that are no texts are pictures, or wrong. */
static gboolean
has_pictures (JsonObject *message)
{
  JsonNode *content = json_object_get_member (message, "content");
  JsonArray *parts = content && JSON_NODE_HOLDS_ARRAY (content) ? json_node_get_array (content) : NULL;

  for (guint i = 0; parts && i < json_array_get_length (parts); i++) {
    JsonNode *part = json_array_get_element (parts, i);
    JsonNode *type = JSON_NODE_HOLDS_OBJECT (part) ? json_object_get_member (json_node_get_object (part), "type") : NULL;

    if (tern_node_is_text (type) && !g_str_equal (json_node_get_string (type), "text"))
      return TRUE;
  }
  return FALSE;
}

gboolean
tern_talk_messages (TernTalk *talk, const TernFields *fields)
{
  gboolean reads = talk->capacity->prompt_use == TERN_PROMPT_READ;
  JsonArray *messages = NULL;
  guint n, newest;

  if (!tern_fields_array (fields, "messages", &messages))
    return FALSE;
  n = messages ? json_array_get_length (messages) : 0;
  if (n == 0 || n > MESSAGES_MAX)
    return tern_refuse (talk->refusal, 400, TERN_REQUEST_ERROR, "messages", "messages: expected 1 to %d messages, found %u",
        MESSAGES_MAX, n);
  newest = tern_talk_newest (messages, has_pictures);
  for (guint i = 0; i < n; i++) {
    JsonNode *node = json_array_get_element (messages, i);
    g_autofree char *where = g_strdup_printf ("messages[%u].", i);
    TernFields message = { NULL, where, talk->refusal };

    if (!JSON_NODE_HOLDS_OBJECT (node))
      return tern_refuse (talk->refusal, 400, TERN_REQUEST_ERROR, "messages", "messages[%u]: expected an object, found another"
          " value", i);
    message.object = json_node_get_object (node);
    talk->past = !reads && i != newest;
    if (!add_message (talk, &message))
      return FALSE;
  }
  return TRUE;
}

/* ---- Tools ------------------------------------------------------------------------------------------------------- */

/* One alternative of the schema of a call. */
static void
add_alternative (JsonArray *choices, JsonObject *function, const char *name)
{
  JsonObject *choice = json_object_new (), *properties = json_object_new (), *constant = json_object_new ();
  JsonNode *parameters = json_object_get_member (function, "parameters");
  JsonArray *required = json_array_new ();

  json_object_set_string_member (constant, "const", name);
  json_object_set_object_member (properties, "name", constant);
  if (parameters && JSON_NODE_HOLDS_OBJECT (parameters)) {
    json_object_set_member (properties, "arguments", json_node_copy (parameters));
  } else {
    JsonObject *none = json_object_new ();

    json_object_set_string_member (none, "type", "object");
    json_object_set_boolean_member (none, "additionalProperties", FALSE);
    json_object_set_object_member (properties, "arguments", none);
  }
  json_array_add_string_element (required, "name");
  json_array_add_string_element (required, "arguments");
  json_object_set_string_member (choice, "type", "object");
  json_object_set_object_member (choice, "properties", properties);
  json_object_set_array_member (choice, "required", required);
  json_object_set_boolean_member (choice, "additionalProperties", FALSE);
  json_array_add_object_element (choices, choice);
}

static gboolean
take_tool (TernTalk *talk, JsonNode *node, guint i, const char *only, JsonArray *choices)
{
  g_autofree char *where = g_strdup_printf ("tools[%u].", i), *inner = g_strconcat (where, "function.", NULL);
  TernFields tool = { NULL, where, talk->refusal }, function = { NULL, inner, talk->refusal };
  const char *name = NULL, *type = "function";
  JsonObject *parameters = NULL;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return tern_refuse (talk->refusal, 400, TERN_REQUEST_ERROR, "tools", "tools[%u]: expected an object, found another value",
        i);
  tool.object = json_node_get_object (node);
  if (!tern_fields_text (&tool, "type", &type) || !tern_fields_object (&tool, "function", &function.object))
    return FALSE;
  if (!g_str_equal (type, "function"))
    return tern_fields_refuse (&tool, "type", "function");
  if (!function.object)
    return tern_fields_refuse (&tool, "function", "an object");
  if (!tern_fields_text (&function, "name", &name) || !tern_fields_object (&function, "parameters", &parameters))
    return FALSE;
  if (!name || !*name)
    return tern_fields_refuse (&function, "name", "a text");
  g_ptr_array_add (talk->ask->tools, g_strdup (name));
  if (!only || g_str_equal (only, name))
    add_alternative (choices, function.object, name);
  return TRUE;
}

/* "tool_choice": none, auto, required, or a function's name in *@only. */
static gboolean
read_choice (const TernFields *fields, gboolean *none, gboolean *call, const char **only)
{
  static const char expected[] = "none, auto, required, or {\"type\":\"function\",\"function\":{\"name\":...}}";
  JsonNode *node = tern_fields_get (fields, "tool_choice");
  JsonObject *function = NULL;

  if (!node)
    return TRUE;
  if (tern_node_is_text (node)) {
    const char *word = json_node_get_string (node);

    *none = g_str_equal (word, "none");
    *call = g_str_equal (word, "required");
    return *none || *call || g_str_equal (word, "auto") || tern_fields_refuse (fields, "tool_choice", expected);
  }
  if (JSON_NODE_HOLDS_OBJECT (node)) {
    TernFields choice = { json_node_get_object (node), "tool_choice.", fields->refusal }, inner = choice;

    if (!tern_fields_object (&choice, "function", &function))
      return FALSE;
    inner.object = function;
    inner.where = "tool_choice.function.";
    if (function && !tern_fields_text (&inner, "name", only))
      return FALSE;
    *call = *only != NULL;
  }
  return *call || tern_fields_refuse (fields, "tool_choice", expected);
}

gboolean
tern_talk_tools (TernTalk *talk, const TernFields *fields, JsonArray **tools)
{
  g_autoptr (JsonArray) choices = json_array_new ();
  gboolean none = FALSE, call = FALSE;
  const char *only = NULL;
  guint n;

  *tools = NULL;
  if (!tern_fields_array (fields, "tools", tools) || !read_choice (fields, &none, &call, &only))
    return FALSE;
  n = *tools ? json_array_get_length (*tools) : 0;
  if (n > TOOLS_MAX)
    return tern_fields_refuse (fields, "tools", "at most " G_STRINGIFY (TOOLS_MAX) " functions");
  if (n == 0 && call)
    return tern_fields_refuse (fields, "tools", "at least one function, for tool_choice wants a call");
  talk->ask->tools = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < n; i++)
    if (!take_tool (talk, json_array_get_element (*tools, i), i, only, choices))
      return FALSE;
  if (only && json_array_get_length (choices) == 0)
    return tern_refuse (talk->refusal, 400, TERN_REQUEST_ERROR, "tool_choice.function.name", "tool_choice.function.name: "
        "expected one of tools, found \"%s\"", only);
  if (n == 0 || none) {
    g_clear_pointer (&talk->ask->tools, g_ptr_array_unref);
    *tools = NULL;
  } else if (call) {
    g_autoptr (JsonObject) schema = json_object_new ();
    g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), schema);

    json_object_set_array_member (schema, "anyOf", g_steal_pointer (&choices));
    tern_ask_schema (talk->ask, node);
    talk->ask->call = TRUE;
  }
  return TRUE;
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

/* A model whose template knows nothing of tools is told of them in words. */
static void
tell_tools (TernTalk *talk, JsonArray *tools)
{
  JsonNode *node = json_node_init_array (json_node_alloc (), tools);
  g_autofree char *json = tern_node_json (node);
  g_autofree char *words = g_strdup_printf ("You may call one of these functions: %s\nTo call one, answer with nothing but "
      "{\"name\": its name, \"arguments\": {...}}.", json);
  JsonArray *messages = json_array_new ();
  JsonObject *first = json_object_new ();

  json_node_unref (node);
  json_object_set_string_member (first, "role", "system");
  json_object_set_string_member (first, "content", words);
  json_array_add_object_element (messages, first);
  for (guint i = 0; i < json_array_get_length (talk->messages); i++)
    json_array_add_element (messages, json_node_copy (json_array_get_element (talk->messages, i)));
  json_array_unref (talk->messages);
  talk->messages = messages;
}

static gboolean
is_greeting (const TernTalk *talk)
{
  JsonNode *node = json_node_init_array (json_node_alloc (), talk->messages);
  g_autofree char *json = tern_node_json (node);

  json_node_unref (node);
  return strlen (json) <= GREETING_BYTES;
}

/* The pictures alone, with what the model is used to being asked. */
static gboolean
show_only (TernTalk *talk)
{
  TernAsked *ask = talk->ask;
  JsonArray *parts = json_array_new ();

  if (ask->views->len == 0 && (ask->json_schema || ask->grammar || !is_greeting (talk))) {
    json_array_unref (parts);
    return tern_refuse (talk->refusal, 400, TERN_REQUEST_ERROR, "messages", "messages: expected a picture, for %s describes "
        "what it is shown, whatever it is asked; found none", talk->capacity->names[0]);
  }
  if (ask->views->len == 0)
    ask->fixed = g_strdup (NO_PICTURE);
  json_array_unref (talk->messages);
  talk->messages = json_array_new ();
  for (guint i = 0; i < ask->views->len; i++)
    add_typed (parts, tern_view_is_clip (ask->views->pdata[i]) ? "video" : "image", NULL);
  tern_talk_say (parts, tern_model_default_prompt (talk->capacity->model));
  tern_talk_add (talk, "user", json_node_init_array (json_node_alloc (), parts));
  json_array_unref (parts);
  if (!ask->call)
    g_clear_pointer (&ask->tools, g_ptr_array_unref);
  return TRUE;
}

gboolean
tern_talk_end (TernTalk *talk, JsonArray *tools, JsonObject *more)
{
  gboolean reads = talk->capacity->prompt_use == TERN_PROMPT_READ;
  g_autoptr (JsonObject) values = json_object_new ();
  g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), values);
  gboolean knows = strstr (tern_model_chat_template (talk->capacity->model), "tools") != NULL;

  if (!reads && !show_only (talk))
    return FALSE;
  if (reads && tools && !knows)
    tell_tools (talk, tools);
  if (reads && more) {
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;

    json_object_iter_init_ordered (&iter, more);
    while (json_object_iter_next_ordered (&iter, &name, &member))
      json_object_set_member (values, name, json_node_copy (member));
  }
  /* What has a form is not thought about, unless the client says so. */
  if ((talk->ask->json_schema || talk->ask->grammar) && !json_object_has_member (values, "enable_thinking"))
    json_object_set_boolean_member (values, "enable_thinking", FALSE);
  json_object_set_array_member (values, "messages", json_array_ref (talk->messages));
  if (reads && tools && knows)
    json_object_set_array_member (values, "tools", json_array_ref (tools));
  talk->ask->chat = tern_node_json (node);
  return TRUE;
}
