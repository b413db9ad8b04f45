/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON as a schema needs it: numbers digit for digit, members in order, every value with its place. json-glib rounds numbers,
 * takes comments, and recurses without end. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_SCHEMA_MAX_BYTES (1u << 20)
#define TERN_SCHEMA_MAX_NESTING 200

/* .DIGITS x 10^exponent, neither first nor last digit being 0; 0 has none. */
typedef struct {
  gboolean negative;
  const char *digits;
  guint n;
  int exponent;                 /* at most 10^9 either way, beyond which nobody looks */
} TernDecimal;

/* -1, 0, 1 */
int tern_decimal_compare (const TernDecimal *a, const TernDecimal *b);
gboolean tern_decimal_is_integer (const TernDecimal *value);
/* The largest integer that is not above it, at the ends of 64 bits where it is beyond. */
gint64 tern_decimal_floor (const TernDecimal *value);

typedef enum {
  TERN_JSON_NULL,
  TERN_JSON_BOOLEAN,
  TERN_JSON_NUMBER,
  TERN_JSON_STRING,
  TERN_JSON_ARRAY,
  TERN_JSON_OBJECT,
} TernJsonKind;

typedef struct _TernJsonValue TernJsonValue;
struct _TernJsonValue {
  TernJsonKind kind;
  gboolean truth;
  guint n;                      /* bytes of the text; members */
  guint index;                  /* in its array */
  const char *text;             /* a string's characters without NUL; a number as it was written */
  const char *name;             /* in its object */
  TernDecimal number;
  TernJsonValue *parent, *first, *last, *next;
  GHashTable *names;            /* name -> member, of objects with more than a few */
};

/* A text and all its values. */
typedef struct _TernJsonDocument TernJsonDocument;
TernJsonDocument *tern_json_document_new (const char *text, GError **error);
void tern_json_document_free (TernJsonDocument *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernJsonDocument, tern_json_document_free)
TernJsonValue *tern_json_document_root (const TernJsonDocument *document);

/* NULL where @object has no such member (or is none). */
TernJsonValue *tern_json_member (const TernJsonValue *object, const char *name);
TernJsonValue *tern_json_element (const TernJsonValue *array, guint index);
/* As JSON Schema compares: numbers by value, objects in any order. */
gboolean tern_json_equal (const TernJsonValue *a, const TernJsonValue *b);
const char *tern_json_kind_name (TernJsonKind kind);
/* "#/properties/a~1b/0", escaped as pointers are. Free it. */
char *tern_json_pointer (const TernJsonValue *value);
/* @text in quotes as answers have it; @value with one blank behind commas and colons. */
void tern_json_quote (GString *out, const char *text);
void tern_json_print (GString *out, const TernJsonValue *value);

G_END_DECLS
