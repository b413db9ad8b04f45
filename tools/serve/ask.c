/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/serve/ask.h"

#include <string.h>

void
tern_ask_clear (TernAsked *ask)
{
  g_free (ask->chat);
  g_free (ask->text);
  g_free (ask->json_schema);
  g_free (ask->grammar);
  g_free (ask->form_field);
  g_free (ask->fixed);
  g_clear_pointer (&ask->views, g_ptr_array_unref);
  g_clear_pointer (&ask->stop, g_ptr_array_unref);
  g_clear_pointer (&ask->tools, g_ptr_array_unref);
  *ask = (TernAsked) { 0 };
}

gboolean
tern_ask_parse (TernAsked *ask, TernDoor door, GBytes *body, const TernCapacity *capacity, const gint *gone,
    TernRefusal *refusal)
{
  g_autoptr (JsonNode) root = tern_fields_parse (body, refusal);
  TernFields fields = { .object = root ? json_node_get_object (root) : NULL, .where = "", .refusal = refusal };

  *ask = (TernAsked) { .door = door, .sampling = TERN_SAMPLING_INIT };
  ask->sampling.max_tokens = capacity->max_tokens;
  ask->views = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_view_unref);
  ask->stop = g_ptr_array_new_with_free_func (g_free);
  if (!root || !(door >= TERN_DOOR_OLLAMA_CHAT ? tern_ask_ollama : tern_ask_openai) (ask, &fields, capacity, gone))
    return FALSE;
  if (gone && g_atomic_int_get (gone))
    return tern_refuse (refusal, 499, "cancelled", NULL, "the client has gone");
  g_ptr_array_add (ask->stop, NULL);
  return TRUE;
}

/* ---- What doors share -------------------------------------------------------------------------------------------- */

gboolean
tern_ask_is_name (const TernCapacity *capacity, const char *name, gboolean tagged)
{
  gsize len = tagged && g_str_has_suffix (name, ":latest") ? strlen (name) - strlen (":latest") : strlen (name);

  for (guint i = 0; capacity->names[i]; i++)
    if (strlen (capacity->names[i]) == len && strncmp (capacity->names[i], name, len) == 0)
      return TRUE;
  return FALSE;
}

gboolean
tern_ask_model (const TernFields *fields, const TernCapacity *capacity, gboolean tagged)
{
  const char *name = "";

  if (!tern_fields_text (fields, "model", &name))
    return FALSE;
  if (!*name || tern_ask_is_name (capacity, name, tagged))
    return TRUE;
  tern_refuse (fields->refusal, 404, TERN_REQUEST_ERROR, "model", "model: expected %s, found \"%s\"", capacity->names[0],
      name);
  fields->refusal->code = "model_not_found";
  return FALSE;
}

static gboolean
add_stop (TernAsked *ask, const TernFields *fields, const char *name, JsonNode *node)
{
  if (!tern_node_is_text (node) || !*json_node_get_string (node) || ask->stop->len >= TERN_STOPS_MAX)
    return tern_fields_refuse (fields, name, "a text, or at most " G_STRINGIFY (TERN_STOPS_MAX) " of them, none empty");
  g_ptr_array_add (ask->stop, g_strdup (json_node_get_string (node)));
  return TRUE;
}

gboolean
tern_ask_stop (TernAsked *ask, const TernFields *fields, const char *name)
{
  JsonNode *node = tern_fields_get (fields, name);
  JsonArray *array;

  if (!node)
    return TRUE;
  if (!JSON_NODE_HOLDS_ARRAY (node))
    return add_stop (ask, fields, name, node);
  array = json_node_get_array (node);
  for (guint i = 0; i < json_array_get_length (array); i++)
    if (!add_stop (ask, fields, name, json_array_get_element (array, i)))
      return FALSE;
  return TRUE;
}
