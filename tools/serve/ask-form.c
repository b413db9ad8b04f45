/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The form of an answer, however a client asks for it: OpenAI's response_format, llama.cpp's json_schema and grammar, vLLM's
 * structured_outputs and its older guided_... . One of them at a time: a form that is asked for is held, or refused. */
#include "tools/serve/ask.h"

#include <string.h>

#define ANY_OBJECT "{\"type\":\"object\"}"

/* FALSE: there is one already. */
static gboolean
claim (TernAsked *ask, const TernFields *fields, const char *name)
{
  g_autofree char *expected = NULL;

  if (!ask->json_schema && !ask->grammar)
    return TRUE;
  expected = g_strdup_printf ("none beside %s", ask->form_field);
  return tern_fields_refuse (fields, name, expected);
}

static gboolean
set_form (TernAsked *ask, const TernFields *fields, const char *name)
{
  g_free (ask->form_field);
  ask->form_field = g_strconcat (fields->where, name, NULL);
  return TRUE;
}

void
tern_ask_schema (TernAsked *ask, JsonNode *schema)
{
  g_free (ask->json_schema);
  ask->json_schema = tern_node_json (schema);
}

/* A schema, as JSON or as its text. */
static gboolean
read_schema (TernAsked *ask, const TernFields *fields, const char *name)
{
  JsonNode *node = tern_fields_get (fields, name);

  if (!node)
    return TRUE;
  if (!claim (ask, fields, name))
    return FALSE;
  if (tern_node_is_text (node))
    ask->json_schema = g_strdup (json_node_get_string (node));
  else if (JSON_NODE_HOLDS_OBJECT (node))
    tern_ask_schema (ask, node);
  else
    return tern_fields_refuse (fields, name, "a JSON Schema");
  return set_form (ask, fields, name);
}

/* Clients that have none send "". */
static gboolean
read_grammar (TernAsked *ask, const TernFields *fields, const char *name)
{
  const char *text = "";

  if (!tern_fields_text (fields, name, &text))
    return FALSE;
  if (!*text)
    return TRUE;
  if (!claim (ask, fields, name))
    return FALSE;
  ask->grammar = g_strdup (text);
  return set_form (ask, fields, name);
}

static void
add_literal (GString *grammar, const char *text)
{
  g_string_append (grammar, grammar->len > 0 ? " | \"" : "root ::= \"");
  for (; *text; text++) {
    if (*text == '"' || *text == '\\')
      g_string_append_c (grammar, '\\');
    g_string_append_c (grammar, *text);
  }
  g_string_append_c (grammar, '"');
}

/* The answer is one of these texts, without quotes around it. */
static gboolean
read_choices (TernAsked *ask, const TernFields *fields, const char *name)
{
  static const char expected[] = "an array of texts, none empty";
  g_autoptr (GString) grammar = g_string_new (NULL);
  JsonArray *choices = NULL;
  guint n;

  if (!tern_fields_array (fields, name, &choices))
    return FALSE;
  if (!choices)
    return TRUE;
  if (!claim (ask, fields, name))
    return FALSE;
  n = json_array_get_length (choices);
  for (guint i = 0; i < n; i++) {
    JsonNode *node = json_array_get_element (choices, i);

    if (!tern_node_is_text (node) || !*json_node_get_string (node))
      return tern_fields_refuse (fields, name, expected);
    add_literal (grammar, json_node_get_string (node));
  }
  if (n == 0)
    return tern_fields_refuse (fields, name, expected);
  ask->grammar = g_strdup (grammar->str);
  return set_form (ask, fields, name);
}

/* "structured_outputs", which was "guided_..." once. */
static gboolean
read_structured (TernAsked *ask, const TernFields *fields)
{
  static const char *const others[] = { "regex", "structural_tag", NULL };
  static const char *const guided[] = { "guided_regex", NULL };
  TernFields inner = { NULL, "structured_outputs.", fields->refusal };
  gboolean object = FALSE;

  if (!tern_fields_object (fields, "structured_outputs", &inner.object) || !read_schema (ask, fields, "guided_json")
      || !read_choices (ask, fields, "guided_choice") || !read_grammar (ask, fields, "guided_grammar"))
    return FALSE;
  for (guint i = 0; guided[i]; i++)
    if (tern_fields_get (fields, guided[i]))
      return tern_fields_refuse (fields, guided[i], "none: there are guided_json, guided_choice and guided_grammar");
  if (!inner.object)
    return TRUE;
  for (guint i = 0; others[i]; i++)
    if (tern_fields_get (&inner, others[i]))
      return tern_fields_refuse (&inner, others[i], "none: there are json, json_object, choice and grammar");
  if (!read_schema (ask, &inner, "json") || !read_choices (ask, &inner, "choice") || !read_grammar (ask, &inner, "grammar")
      || !tern_fields_flag (&inner, "json_object", &object))
    return FALSE;
  if (!object)
    return TRUE;
  if (!claim (ask, &inner, "json_object"))
    return FALSE;
  ask->json_schema = g_strdup (ANY_OBJECT);
  return set_form (ask, &inner, "json_object");
}

static gboolean
read_format (TernAsked *ask, const TernFields *fields)
{
  TernFields format = { NULL, "response_format.", fields->refusal }, schema = format;
  const char *type = NULL;
  JsonNode *node;

  if (!tern_fields_object (fields, "response_format", &format.object) || !format.object)
    return !tern_fields_get (fields, "response_format") || format.object;
  if (!tern_fields_text (&format, "type", &type))
    return FALSE;
  if (type && g_str_equal (type, "text"))
    return TRUE;
  set_form (ask, fields, "response_format");
  if (type && g_str_equal (type, "json_object")) {
    node = tern_fields_get (&format, "schema");         /* llama.cpp's way */
    if (node)
      tern_ask_schema (ask, node);
    else
      ask->json_schema = g_strdup (ANY_OBJECT);
    return TRUE;
  }
  if (!type || !g_str_equal (type, "json_schema"))
    return tern_fields_refuse (&format, "type", "text, json_object or json_schema");
  if (!tern_fields_object (&format, "json_schema", &schema.object))
    return FALSE;
  schema.where = "response_format.json_schema.";
  node = schema.object ? tern_fields_get (&schema, "schema") : tern_fields_get (&format, "schema");
  if (!node || !JSON_NODE_HOLDS_OBJECT (node))
    return schema.object ? tern_fields_refuse (&schema, "schema", "an object")
        : tern_fields_refuse (&format, "json_schema", "an object with `schema`");
  tern_ask_schema (ask, node);
  return TRUE;
}

gboolean
tern_ask_form (TernAsked *ask, const TernFields *fields)
{
  return read_format (ask, fields) && read_schema (ask, fields, "json_schema") && read_grammar (ask, fields, "grammar")
      && read_structured (ask, fields);
}
