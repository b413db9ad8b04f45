/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of a request's JSON, each wrong one refused by its name. What is null is not there. */
#pragma once

#include <json-glib/json-glib.h>

#include "tools/http/http.h"

G_BEGIN_DECLS

typedef struct {
  JsonObject *object;
  const char *where;            /* what stands before a member's name in messages: "", "messages[0]." */
  TernRefusal *refusal;
} TernFields;

#define TERN_REQUEST_ERROR "invalid_request_error"

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
gboolean tern_fields_flag (const TernFields *fields, const char *name, gboolean *value);
gboolean tern_fields_object (const TernFields *fields, const char *name, JsonObject **value);
gboolean tern_fields_array (const TernFields *fields, const char *name, JsonArray **value);

static inline gboolean
tern_node_is_text (JsonNode *node)
{
  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING;
}

G_END_DECLS
