/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON written value by value, without a tree: a vocabulary has hundreds of thousands of them. Text is UTF-8, numbers do not
 * depend on the locale. What chat templates print is Python's JSON and has rules of its own (engine/chat/print.c). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* {0} but for the first three. */
typedef struct {
  GString *out;
  gboolean lines;               /* each member of an object on a line of its own, indented; else nothing but JSON */
  void (*full) (GString *out);  /* takes what @out holds, now and then; NULL: all of it stays */

  guint depth;
  gboolean named;               /* a member's name was written, its value was not */
  gboolean comma;               /* something stands in front of what comes next */
} TernJson;

/* Digits that give every double back. */
#define TERN_JSON_DIGITS 17

void tern_json_open (TernJson *json, char bracket);     /* '{' or '[' */
void tern_json_close (TernJson *json, char bracket);    /* '}' or ']' */
void tern_json_name (TernJson *json, const char *name);
/* @len bytes, any; up to a NUL if @len is -1. What is not UTF-8 becomes U+FFFD. */
void tern_json_text (TernJson *json, const char *text, gssize len);
void tern_json_int (TernJson *json, gint64 value);
void tern_json_uint (TernJson *json, guint64 value);
/* At most @digits significant digits, and always a point or an exponent. Infinities and NaN are null. */
void tern_json_double (TernJson *json, double value, guint digits);
void tern_json_bool (TernJson *json, gboolean value);
/* A member of an object, with its name. */
void tern_json_add_text (TernJson *json, const char *name, const char *text);
void tern_json_add_uint (TernJson *json, const char *name, guint64 value);
void tern_json_add_bool (TernJson *json, const char *name, gboolean value);
void tern_json_null (TernJson *json);
void tern_json_raw (TernJson *json, const char *value); /* which is JSON */

/* Nested values that tern_json_check() lets through. */
#define TERN_JSON_DEPTH 100

/* Whether json-glib may be given these bytes: its parser is recursive, takes comments, and ends texts at U+0000. FORMAT names
 * @what. What passes may still be no JSON. */
gboolean tern_json_check (const char *json, gsize len, const char *what, GError **error);

/* @json, which is checked, with every number in it such that json-glib reads it without wrapping or changing it: integers of
 * more than 64 bits become doubles; or with @mark, they and all that have a point or an exponent become texts, @mark and
 * their digits. @len bytes; up to a NUL if it is -1. Free it. */
char *tern_json_mend_numbers (const char *json, gssize len, const char *mark);

G_END_DECLS
