/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the schema compiler share. A schema position is a set of parts that must all hold; its rule says the
 * sentences that satisfy them. After the first error everything unwinds: ctx->failed. */
#pragma once

#include "engine/grammar/grammar.h"
#include "engine/grammar/schema-json.h"
#include "tern/error.h"

G_BEGIN_DECLS

/* Stands for a node without a sentence: nothing satisfies this. */
#define TERN_NODE_NONE G_MAXUINT

typedef struct {
  TernGrammarBuilder *builder;
  TernJsonDocument *document;
  GHashTable *known;            /* key of a set -> its node */
  GPtrArray *expanding;         /* schemas whose $ref and allOf are being followed */
  guint depth, work;
  TernJsonDocument *string;     /* {"type": "string"} */
  TernNode string_char, any;
  gboolean has_char, has_any;
  char *why;                    /* the first thing that nothing satisfies */
  GError **error;
  gboolean failed;
} TernSchema;

/* The first call counts. @at: the place that the message names. */
void tern_schema_fail (TernSchema *ctx, TernErrorCode code, const TernJsonValue *at, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
/* Remembers why nothing satisfies @at; returns TERN_NODE_NONE. */
TernNode tern_schema_none (TernSchema *ctx, const TernJsonValue *at, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* FALSE, and failed, when there was too much of it. */
gboolean tern_schema_work (TernSchema *ctx, const TernJsonValue *at);

static inline TernNode
tern_schema_literal (TernSchema *ctx, const char *text)
{
  gsize n = 0;

  while (text[n])
    n++;
  return tern_grammar_bytes (ctx->builder, text, n);
}

/* ---- Numbers (schema-number.c) ----------------------------------------------------------------------------------- */

typedef struct {
  const TernJsonValue *min, *max;       /* the keywords' values, the narrowest ones; NULL: none */
  gboolean above_min, below_max;        /* exclusive */
  GPtrArray *multiples;                 /* TernJsonValue, of multipleOf */
  gboolean integer;
} TernNumberRange;

/* @at: the schema, for messages. */
TernNode tern_schema_number (TernSchema *ctx, const TernNumberRange *range, const TernJsonValue *at);

/* ---- Characters and patterns (schema-string.c, schema-regex.c) --------------------------------------------------- */

#define TERN_LENGTH_MAX G_MAXUINT       /* any length */

/* One character of a string as JSON writes it: itself or its escape, of one spelling. */
TernNode tern_schema_char (TernSchema *ctx, const TernCharRange *ranges, guint n);
/* A string of @min to @max characters; pattern, format: NULL, or the keyword's value. */
TernNode tern_schema_string (TernSchema *ctx, guint min, guint max, const TernJsonValue *pattern,
    const TernJsonValue *format, const TernJsonValue *at);
/* Whether a format of this name restricts what is said. */
gboolean tern_schema_is_format (const char *name);

/* What stands in the quotes. @pattern as ECMAScript has them, found anywhere unless it has anchors. */
TernNode tern_schema_pattern (TernSchema *ctx, const char *pattern, guint min, guint max, const TernJsonValue *at);

/* ---- Sets of parts (schema-parts.c) ------------------------------------------------------------------------------ */

typedef enum {
  TERN_PART_WHOLE,              /* a schema */
  TERN_PART_PLAIN,              /* what it says itself: without $ref, allOf, anyOf, oneOf */
  TERN_PART_ANY_OF,             /* its anyOf alone */
  TERN_PART_ONE_OF,
  TERN_PART_REQUIRED,           /* the member @name is there */
} TernPartKind;

typedef struct {
  const TernJsonValue *at;
  const char *name;
  TernPartKind kind;
} TernPart;

/* As a mask, a bit each kind; integers are numbers, too. */
enum {
  TERN_TYPE_NULL = 1 << 0,
  TERN_TYPE_BOOLEAN = 1 << 1,
  TERN_TYPE_INTEGER = 1 << 2,
  TERN_TYPE_NUMBER = 1 << 3,
  TERN_TYPE_STRING = 1 << 4,
  TERN_TYPE_ARRAY = 1 << 5,
  TERN_TYPE_OBJECT = 1 << 6,
  TERN_TYPE_ALL = (1 << 7) - 1,
};

/* Fails for an object that says something, none of which is a keyword: it would allow everything, which nobody writes it for. */
gboolean tern_schema_check_root (TernSchema *ctx, const TernJsonValue *root);
void tern_parts_add (GArray *parts, TernPartKind kind, const TernJsonValue *at, const char *name);
/* Follows $ref and allOf: PLAIN, ANY_OF, ONE_OF and REQUIRED remain. FALSE: nothing satisfies them, or failed. */
gboolean tern_parts_flatten (TernSchema *ctx, const GArray *parts, GArray *flat);

/* All that PLAIN and REQUIRED parts say together. */
typedef struct {
  const GArray *parts;
  guint types;                  /* allowed */
  guint said;                   /* of these, those that answers have: hinted at by other keywords where no type is named */
  GPtrArray *enums;             /* values of enum and const */
  TernNumberRange range;
  guint min_length, max_length, min_items, max_items, min_members, max_members;
  const TernJsonValue *pattern, *format, *unique, *names;
  const TernJsonValue *length_at, *items_at, *members_at;       /* keywords that were narrowest, for messages */
  GPtrArray *required;          /* names */
} TernSchemaFacts;

gboolean tern_schema_facts (TernSchema *ctx, const GArray *flat, TernSchemaFacts *facts);
void tern_schema_facts_clear (TernSchemaFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TernSchemaFacts, tern_schema_facts_clear)

/* The schemas for member @name and for element @index of what @parts say, appended to @child as WHOLE. */
void tern_parts_member (const GArray *parts, const char *name, GArray *child);
void tern_parts_element (const GArray *parts, guint index, GArray *child);
/* The names in `properties`, each once, in order. */
GPtrArray *tern_parts_names (const GArray *parts);

/* ---- Values and alternatives (schema-value.c) -------------------------------------------------------------------- */

/* The values that @facts list and allow, each way of writing once; NULL: they list none. */
GPtrArray *tern_schema_values (TernSchema *ctx, const TernSchemaFacts *facts);
/* Whether @value satisfies the parts. */
gboolean tern_schema_allows (TernSchema *ctx, const GArray *parts, const TernJsonValue *value);
/* Whether no answer that is said of the one satisfies the other. Members that must be there for that are added to
 * @forced, unless it is NULL. */
gboolean tern_schema_disjoint (TernSchema *ctx, const GArray *a, const GArray *b, GPtrArray *forced);

/* ---- All together (schema.c) ------------------------------------------------------------------------------------- */

/* The node of a set of parts, or TERN_NODE_NONE. */
TernNode tern_schema_compile (TernSchema *ctx, const GArray *parts);
/* Objects and arrays (schema-nested.c). */
TernNode tern_schema_object (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *at);
TernNode tern_schema_array (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *at);

G_END_DECLS
