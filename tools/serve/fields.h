/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of a request's JSON, each wrong one refused by its name. What is null is not there. */
#pragma once

#include <string.h>

#include <json-glib/json-glib.h>

#include "tools/http/http.h"

G_BEGIN_DECLS

typedef struct {
  JsonObject *object;
  const char *where;            /* what stands before a member's name in messages: "", "messages[0]." */
  TernRefusal *refusal;
} TernFields;

#define TERN_REQUEST_ERROR "invalid_request_error"

/* json-glib keeps 64 bits of a number: those that have more, or a point or an exponent, are texts in its tree, with this
 * before their digits. No text of a request may begin with it. */
#define TERN_NUMBER_MARK "\357\267\220"         /* U+FDD0, which is no character */

/* The request's object; FALSE: it is none. Free with json_node_unref. */
JsonNode *tern_fields_parse (GBytes *body, TernRefusal *refusal);

/* NULL: there is none. */
JsonNode *tern_fields_get (const TernFields *fields, const char *name);
/* FALSE, with the refusal: what was expected of @name, and what was found. */
gboolean tern_fields_refuse (const TernFields *fields, const char *name, const char *expected);

/* FALSE: refused. Where there is no such member *@value stays as it is. */
gboolean tern_fields_text (const TernFields *fields, const char *name, const char **value);
gboolean tern_fields_number (const TernFields *fields, const char *name, double min, double max, double *value);
gboolean tern_fields_integer (const TernFields *fields, const char *name, gint64 min, gint64 max, gint64 *value);
/* Any number of 64 bits, with a sign or without one; -1, which is how some clients say that any will do, is as if there were
 * none. */
gboolean tern_fields_seed (const TernFields *fields, const char *name, guint64 *value);
gboolean tern_fields_flag (const TernFields *fields, const char *name, gboolean *value);
gboolean tern_fields_object (const TernFields *fields, const char *name, JsonObject **value);
gboolean tern_fields_array (const TernFields *fields, const char *name, JsonArray **value);

/* The digits of a number as they were written, where json-glib has none for it; else NULL. */
static inline const char *
tern_node_digits (JsonNode *node)
{
  const char *text = node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
      ? json_node_get_string (node) : NULL;

  return text && g_str_has_prefix (text, TERN_NUMBER_MARK) ? text + strlen (TERN_NUMBER_MARK) : NULL;
}

static inline gboolean
tern_node_is_text (JsonNode *node)
{
  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING && !tern_node_digits (node);
}

/* FALSE: it is no number. */
gboolean tern_node_number (JsonNode *node, double *value);
/* As JSON, every number digit for digit. Free it. */
char *tern_node_json (JsonNode *node);

G_END_DECLS
