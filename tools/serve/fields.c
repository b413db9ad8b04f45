/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/serve/fields.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/json.h"

#define SHOWN 40                /* characters of a text in a message */

/* Texts that begin as numbers do in the tree, plain or escaped, would pass for them. */
static gboolean
check_marks (const char *json, gsize size, GError **error)
{
  for (gsize i = 0; i < size; i++) {
    if (json[i] != '"')
      continue;
    i++;
    if ((size - i >= 3 && memcmp (json + i, TERN_NUMBER_MARK, 3) == 0)
        || (size - i >= 6 && g_ascii_strncasecmp (json + i, "\\ufdd0", 6) == 0)) {
      g_set_error_literal (error, TERN_ERROR, TERN_ERROR_FORMAT, "expected texts that begin with a character, found U+FDD0");
      return FALSE;
    }
    for (; i < size && json[i] != '"'; i++)
      i += json[i] == '\\';
  }
  return TRUE;
}

JsonNode *
tern_fields_parse (GBytes *body, TernRefusal *refusal)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GError) error = NULL;
  g_autofree char *mended = NULL;
  gsize size;
  const char *json = g_bytes_get_data (body, &size);
  JsonNode *root;

  if (size == 0 || !tern_json_check (json, size, "body", &error)
      || !g_utf8_validate (json, (gssize) size, NULL) || !check_marks (json, size, &error)
      || !(mended = tern_json_mend_numbers (json, (gssize) size, TERN_NUMBER_MARK))
      || !json_parser_load_from_data (parser, mended, -1, &error)) {
    tern_refuse (refusal, 400, TERN_REQUEST_ERROR, NULL, "body: expected JSON, found %s", size == 0 ? "nothing"
        : error ? error->message : "what is no UTF-8");
    return NULL;
  }
  root = json_parser_steal_root (parser);
  if (root && JSON_NODE_HOLDS_OBJECT (root))
    return root;
  g_clear_pointer (&root, json_node_unref);
  tern_refuse (refusal, 400, TERN_REQUEST_ERROR, NULL, "body: expected a JSON object, found another value");
  return NULL;
}

JsonNode *
tern_fields_get (const TernFields *fields, const char *name)
{
  JsonNode *node = json_object_get_member (fields->object, name);

  return node && !JSON_NODE_HOLDS_NULL (node) ? node : NULL;
}

gboolean
tern_node_number (JsonNode *node, double *value)
{
  GType type = node && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_INVALID;
  const char *digits = tern_node_digits (node);

  if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE && !digits)
    return FALSE;
  *value = digits ? g_ascii_strtod (digits, NULL) : type == G_TYPE_INT64 ? (double) json_node_get_int (node)
      : json_node_get_double (node);
  return TRUE;
}

static void
write_node (TernJson *json, JsonNode *node)
{
  const char *digits = tern_node_digits (node);

  if (digits) {
    tern_json_raw (json, digits);
  } else if (JSON_NODE_HOLDS_OBJECT (node)) {
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;

    tern_json_open (json, '{');
    json_object_iter_init_ordered (&iter, json_node_get_object (node));
    while (json_object_iter_next_ordered (&iter, &name, &member)) {
      tern_json_name (json, name);
      write_node (json, member);
    }
    tern_json_close (json, '}');
  } else if (JSON_NODE_HOLDS_ARRAY (node)) {
    tern_json_open (json, '[');
    for (guint i = 0; i < json_array_get_length (json_node_get_array (node)); i++)
      write_node (json, json_array_get_element (json_node_get_array (node), i));
    tern_json_close (json, ']');
  } else if (JSON_NODE_HOLDS_NULL (node)) {
    tern_json_null (json);
  } else if (json_node_get_value_type (node) == G_TYPE_STRING) {
    tern_json_text (json, json_node_get_string (node), -1);
  } else if (json_node_get_value_type (node) == G_TYPE_BOOLEAN) {
    tern_json_bool (json, json_node_get_boolean (node));
  } else if (json_node_get_value_type (node) == G_TYPE_DOUBLE) {
    tern_json_double (json, json_node_get_double (node), TERN_JSON_DIGITS);
  } else {
    tern_json_int (json, json_node_get_int (node));
  }
}

char *
tern_node_json (JsonNode *node)
{
  TernJson json = { .out = g_string_new (NULL) };

  write_node (&json, node);
  return g_string_free (json.out, FALSE);
}

static char *
describe (JsonNode *node)
{
  if (!node || JSON_NODE_HOLDS_NULL (node))
    return g_strdup ("none");
  if (JSON_NODE_HOLDS_OBJECT (node))
    return g_strdup ("an object");
  if (JSON_NODE_HOLDS_ARRAY (node))
    return g_strdup ("an array");
  if (tern_node_is_text (node)) {
    const char *text = json_node_get_string (node);
    glong length = g_utf8_strlen (text, -1);
    g_autofree char *head = g_utf8_substring (text, 0, MIN (length, SHOWN));

    return g_strdup_printf ("\"%s\"%s", head, length > SHOWN ? "..." : "");
  }
  return tern_node_json (node);
}

gboolean
tern_fields_refuse (const TernFields *fields, const char *name, const char *expected)
{
  g_autofree char *param = g_strconcat (fields->where, name, NULL);
  g_autofree char *found = describe (json_object_get_member (fields->object, name));

  return tern_refuse (fields->refusal, 400, TERN_REQUEST_ERROR, param, "%s: expected %s, found %s", param, expected, found);
}

gboolean
tern_fields_text (const TernFields *fields, const char *name, const char **value)
{
  JsonNode *node = tern_fields_get (fields, name);

  if (!node)
    return TRUE;
  if (!tern_node_is_text (node))
    return tern_fields_refuse (fields, name, "a text");
  *value = json_node_get_string (node);
  return TRUE;
}

gboolean
tern_fields_number (const TernFields *fields, const char *name, double min, double max, double *value)
{
  g_autofree char *expected = g_strdup_printf ("a number from %.7g to %.7g", min, max);
  JsonNode *node = tern_fields_get (fields, name);
  double found;

  if (!node)
    return TRUE;
  if (!tern_node_number (node, &found) || !(found >= min && found <= max))
    return tern_fields_refuse (fields, name, expected);
  *value = found;
  return TRUE;
}

/* 3.0 is an integer, too: some clients know one kind of number. */
gboolean
tern_fields_integer (const TernFields *fields, const char *name, gint64 min, gint64 max, gint64 *value)
{
  g_autofree char *expected = g_strdup_printf ("an integer from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, min, max);
  JsonNode *node = tern_fields_get (fields, name);
  gboolean whole = node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64;
  double real;
  gint64 found;

  if (!node)
    return TRUE;
  if (!tern_node_number (node, &real) || (!whole && !(real == floor (real) && fabs (real) < 9e15)))
    return tern_fields_refuse (fields, name, expected);
  found = whole ? json_node_get_int (node) : (gint64) real;
  if (found < min || found > max)
    return tern_fields_refuse (fields, name, expected);
  *value = found;
  return TRUE;
}

gboolean
tern_fields_seed (const TernFields *fields, const char *name, guint64 *value)
{
  JsonNode *node = tern_fields_get (fields, name);
  const char *digits = tern_node_digits (node);
  guint64 above;
  gint64 seed = -1;

  if (digits && g_ascii_string_to_unsigned (digits, 10, 0, G_MAXUINT64, &above, NULL)) {
    *value = above;
    return TRUE;
  }
  if (digits && strspn (digits, "-0123456789") == strlen (digits))
    return tern_fields_refuse (fields, name, "an integer of 64 bits");
  if (!tern_fields_integer (fields, name, G_MININT64, G_MAXINT64, &seed))
    return FALSE;
  if (seed != -1)
    *value = (guint64) seed;
  return TRUE;
}

gboolean
tern_fields_flag (const TernFields *fields, const char *name, gboolean *value)
{
  JsonNode *node = tern_fields_get (fields, name);

  if (!node)
    return TRUE;
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_BOOLEAN)
    return tern_fields_refuse (fields, name, "true or false");
  *value = json_node_get_boolean (node);
  return TRUE;
}

gboolean
tern_fields_object (const TernFields *fields, const char *name, JsonObject **value)
{
  JsonNode *node = tern_fields_get (fields, name);

  if (!node)
    return TRUE;
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return tern_fields_refuse (fields, name, "an object");
  *value = json_node_get_object (node);
  return TRUE;
}

gboolean
tern_fields_array (const TernFields *fields, const char *name, JsonArray **value)
{
  JsonNode *node = tern_fields_get (fields, name);

  if (!node)
    return TRUE;
  if (!JSON_NODE_HOLDS_ARRAY (node))
    return tern_fields_refuse (fields, name, "an array");
  *value = json_node_get_array (node);
  return TRUE;
}
