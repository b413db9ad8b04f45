/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON written straight to standard output: vocabularies have hundreds of thousands of elements, and a tree of them takes longer
 * than everything else that inspecting a file does. */
#pragma once

#include "engine/weights/gguf.h"

G_BEGIN_DECLS

typedef struct {
  GString *out;                 /* not yet written */
  guint depth;
  gboolean named;               /* a member's name was written, its value was not */
  gboolean comma;               /* something stands in front of what comes next */
} TernJson;

/* What is left, at the end. Whether it could be written is tern_tool_flush()'s to say. */
void tern_json_flush (TernJson *json);
void tern_json_open (TernJson *json, char bracket);     /* '{' or '[' */
void tern_json_close (TernJson *json, char bracket);    /* '}' or ']' */
void tern_json_name (TernJson *json, const char *name);
/* Any bytes; those that are not UTF-8 become U+FFFD. */
void tern_json_text (TernJson *json, TernBytes bytes);
void tern_json_int (TernJson *json, gint64 value);
void tern_json_double (TernJson *json, double value);
/* Of any type, arrays in full. What JSON has no number for (infinities, integers beyond 2^63) is a string. */
void tern_json_value (TernJson *json, const TernGgufValue *value);

G_END_DECLS
