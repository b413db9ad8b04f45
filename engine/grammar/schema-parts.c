/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a schema says: its keywords, its references, and what several of them say together. */
#include <string.h>

#include "engine/grammar/schema-priv.h"

#define WORK_MOST 100000
#define DEPTH_MOST 400

/* Keywords that restrict and are not handled. */
static const char *const refused[] = {
  "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "contains", "minContains",
  "maxContains", "unevaluatedItems", "unevaluatedProperties", "additionalItems", "$dynamicRef", "$recursiveRef",
  "extends", "disallow", "divisibleBy",
};

/* Keywords that say nothing about values, or are handled elsewhere. */
static const char *const others[] = {
  "$ref", "$defs", "definitions", "allOf", "anyOf", "oneOf", "title", "description", "default", "example", "examples",
  "deprecated", "readOnly", "writeOnly", "$schema", "$id", "id", "$comment", "$anchor", "$dynamicAnchor", "$recursiveAnchor",
  "$vocabulary", "nullable", "contentEncoding", "contentMediaType", "contentSchema", NULL
};

/* Those that make a PLAIN part, and their kinds. */
typedef enum {
  NEEDS_NUMBER,
  NEEDS_COUNT,
  NEEDS_STRING,
  NEEDS_BOOLEAN,
  NEEDS_STRINGS,
  NEEDS_VALUES,
  NEEDS_SCHEMA,
  NEEDS_SCHEMAS,
  NEEDS_MEMBERS,                /* an object of schemas */
  NEEDS_TYPE,
  NEEDS_NOTHING,
} Needs;

static const struct {
  const char *name;
  Needs needs;
  guint types;                  /* what it is about, where no type is named */
} keywords[] = {
  { "type", NEEDS_TYPE, 0 },
  { "enum", NEEDS_VALUES, 0 },
  { "const", NEEDS_NOTHING, 0 },
  { "minimum", NEEDS_NUMBER, TERN_TYPE_NUMBER },
  { "maximum", NEEDS_NUMBER, TERN_TYPE_NUMBER },
  { "exclusiveMinimum", NEEDS_NUMBER, TERN_TYPE_NUMBER },
  { "exclusiveMaximum", NEEDS_NUMBER, TERN_TYPE_NUMBER },
  { "multipleOf", NEEDS_NUMBER, TERN_TYPE_NUMBER },
  { "minLength", NEEDS_COUNT, TERN_TYPE_STRING },
  { "maxLength", NEEDS_COUNT, TERN_TYPE_STRING },
  { "pattern", NEEDS_STRING, TERN_TYPE_STRING },
  { "format", NEEDS_STRING, 0 },
  { "items", NEEDS_SCHEMA, TERN_TYPE_ARRAY },
  { "prefixItems", NEEDS_SCHEMAS, TERN_TYPE_ARRAY },
  { "minItems", NEEDS_COUNT, TERN_TYPE_ARRAY },
  { "maxItems", NEEDS_COUNT, TERN_TYPE_ARRAY },
  { "uniqueItems", NEEDS_BOOLEAN, TERN_TYPE_ARRAY },
  { "properties", NEEDS_MEMBERS, TERN_TYPE_OBJECT },
  { "patternProperties", NEEDS_MEMBERS, TERN_TYPE_OBJECT },
  { "additionalProperties", NEEDS_SCHEMA, TERN_TYPE_OBJECT },
  { "propertyNames", NEEDS_SCHEMA, TERN_TYPE_OBJECT },
  { "required", NEEDS_STRINGS, TERN_TYPE_OBJECT },
  { "minProperties", NEEDS_COUNT, TERN_TYPE_OBJECT },
  { "maxProperties", NEEDS_COUNT, TERN_TYPE_OBJECT },
};

static const struct {
  const char *name;
  guint type;
} type_names[] = {
  { "null", TERN_TYPE_NULL }, { "boolean", TERN_TYPE_BOOLEAN }, { "integer", TERN_TYPE_INTEGER },
  { "number", TERN_TYPE_NUMBER | TERN_TYPE_INTEGER }, { "string", TERN_TYPE_STRING }, { "array", TERN_TYPE_ARRAY },
  { "object", TERN_TYPE_OBJECT },
};

void
tern_schema_fail (TernSchema *ctx, TernErrorCode code, const TernJsonValue *at, const char *format, ...)
{
  g_autofree char *message = NULL, *pointer = NULL;
  va_list args;

  if (ctx->failed)
    return;
  ctx->failed = TRUE;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  pointer = tern_json_pointer (at);
  g_set_error (ctx->error, TERN_ERROR, code, "JSON Schema, %s: %s", pointer, message);
}

TernNode
tern_schema_none (TernSchema *ctx, const TernJsonValue *at, const char *format, ...)
{
  g_autofree char *message = NULL, *pointer = NULL;
  va_list args;

  if (ctx->why)
    return TERN_NODE_NONE;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  pointer = tern_json_pointer (at);
  ctx->why = g_strdup_printf ("%s: %s", pointer, message);
  return TERN_NODE_NONE;
}

gboolean
tern_schema_work (TernSchema *ctx, const TernJsonValue *at)
{
  if (ctx->failed)
    return FALSE;
  if (ctx->work++ > WORK_MOST)
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, at, "expected fewer combinations of references and alternatives, found more "
        "than %d", WORK_MOST);
  else if (ctx->depth > DEPTH_MOST)
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, at, "expected at most %d schemas in each other, found more", DEPTH_MOST);
  return !ctx->failed;
}

/* ---- Keywords ---------------------------------------------------------------------------------------------------- */

static gboolean
is_list (const TernJsonValue *value, TernJsonKind of)
{
  if (value->kind != TERN_JSON_ARRAY)
    return FALSE;
  for (const TernJsonValue *item = value->first; item; item = item->next)
    if (item->kind != of)
      return FALSE;
  return TRUE;
}

static const char *
wrong_kind (const TernJsonValue *value, Needs needs)
{
  switch (needs) {
    case NEEDS_NUMBER:
      return value->kind == TERN_JSON_NUMBER ? NULL : "a number";
    case NEEDS_COUNT:
      return value->kind == TERN_JSON_NUMBER && !value->number.negative && tern_decimal_is_integer (&value->number) ? NULL
          : "an integer from 0 on";
    case NEEDS_STRING:
      return value->kind == TERN_JSON_STRING ? NULL : "a string";
    case NEEDS_BOOLEAN:
      return value->kind == TERN_JSON_BOOLEAN ? NULL : "a boolean";
    case NEEDS_STRINGS:
      return is_list (value, TERN_JSON_STRING) ? NULL : "an array of strings";
    case NEEDS_VALUES:
    case NEEDS_SCHEMAS:
      return value->kind == TERN_JSON_ARRAY ? NULL : "an array";
    case NEEDS_SCHEMA:
      return value->kind == TERN_JSON_OBJECT || value->kind == TERN_JSON_BOOLEAN ? NULL : "a schema (an object or a boolean)";
    case NEEDS_MEMBERS:
      return value->kind == TERN_JSON_OBJECT ? NULL : "an object";
    case NEEDS_TYPE:
      return value->kind == TERN_JSON_STRING || (is_list (value, TERN_JSON_STRING) && value->n > 0) ? NULL
          : "the name of a type, or an array of names";
    default:
      return NULL;
  }
}

/* The keyword's value, of the kind that it must have. */
static const TernJsonValue *
keyword (TernSchema *ctx, const TernJsonValue *schema, guint index)
{
  const TernJsonValue *value = tern_json_member (schema, keywords[index].name);
  const char *wrong = value ? wrong_kind (value, keywords[index].needs) : NULL;

  if (!wrong)
    return value;
  if (keywords[index].needs == NEEDS_SCHEMA && value->kind == TERN_JSON_ARRAY)
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, value, "expected a schema (several are prefixItems), found an array");
  else
    tern_schema_fail (ctx, TERN_ERROR_INVALID, value, "expected %s, found %s%s%.40s", wrong, tern_json_kind_name (value->kind),
        value->kind == TERN_JSON_NUMBER ? ", " : "", value->kind == TERN_JSON_NUMBER ? value->text : "");
  return NULL;
}

/* The types that a schema names, or ALL. */
static guint
types_of (TernSchema *ctx, const TernJsonValue *schema)
{
  const TernJsonValue *type = keyword (ctx, schema, 0), *name;
  guint types = 0, i;

  if (!type)
    return TERN_TYPE_ALL;
  for (name = type->kind == TERN_JSON_ARRAY ? type->first : type; name; name = type == name ? NULL : name->next) {
    for (i = 0; i < G_N_ELEMENTS (type_names) && strcmp (name->text, type_names[i].name) != 0; i++);
    if (i == G_N_ELEMENTS (type_names)) {
      tern_schema_fail (ctx, TERN_ERROR_INVALID, name, "expected one of null, boolean, integer, number, string, array, object, "
          "found \"%.40s\"", name->text);
      return 0;
    }
    types |= type_names[i].type;
  }
  return types;
}

/* ---- Sets of parts ----------------------------------------------------------------------------------------------- */

void
tern_parts_add (GArray *parts, TernPartKind kind, const TernJsonValue *at, const char *name)
{
  TernPart part;

  memset (&part, 0, sizeof part);       /* sets are compared byte by byte */
  part.at = at;
  part.name = name;
  part.kind = kind;
  for (guint i = 0; i < parts->len; i++)
    if (memcmp (&g_array_index (parts, TernPart, i), &part, sizeof part) == 0)
      return;
  g_array_append_val (parts, part);
}

/* A pointer's token as it is meant: %XX, then ~1 and ~0. */
static char *
unescape_token (const char *token, gsize n)
{
  g_autofree char *part = g_strndup (token, n), *plain = NULL;
  GString *name = g_string_new (NULL);

  plain = strchr (part, '%') ? g_uri_unescape_string (part, NULL) : g_strdup (part);
  for (const char *p = plain; p && *p; p++) {
    if (*p == '~' && (p[1] == '0' || p[1] == '1'))
      g_string_append_c (name, *++p == '0' ? '~' : '/');
    else
      g_string_append_c (name, *p);
  }
  return g_string_free (name, FALSE);
}

static const TernJsonValue *
resolve (TernSchema *ctx, const TernJsonValue *ref)
{
  const TernJsonValue *at = tern_json_document_root (ctx->document);
  const char *p;

  if (ref->kind != TERN_JSON_STRING) {
    tern_schema_fail (ctx, TERN_ERROR_INVALID, ref, "expected a string, found %s", tern_json_kind_name (ref->kind));
    return NULL;
  }
  if (ref->text[0] != '#' || (ref->text[1] && ref->text[1] != '/')) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, ref, "expected a pointer into this schema (\"#/$defs/...\"), found \"%.100s\"",
        ref->text);
    return NULL;
  }
  for (p = ref->text + 1; at && *p == '/';) {
    gsize n = strcspn (p + 1, "/");
    g_autofree char *token = unescape_token (p + 1, n);
    char *end;

    if (at->kind == TERN_JSON_ARRAY) {
      guint64 index = g_ascii_strtoull (token, &end, 10);

      at = g_ascii_isdigit (*token) && *end == 0 && index < at->n ? tern_json_element (at, index) : NULL;
    } else {
      at = tern_json_member (at, token);
    }
    p += n + 1;
  }
  if (!at)
    tern_schema_fail (ctx, TERN_ERROR_INVALID, ref, "expected a place in this schema, found \"%.100s\", which is not there",
        ref->text);
  return at;
}

static gboolean flatten_schema (TernSchema *ctx, const TernJsonValue *schema, GArray *flat);

static gboolean
flatten_list (TernSchema *ctx, const TernJsonValue *list, GArray *flat)
{
  if (list->kind != TERN_JSON_ARRAY || list->n == 0) {
    tern_schema_fail (ctx, TERN_ERROR_INVALID, list, "expected an array of at least one schema, found %s",
        list->kind == TERN_JSON_ARRAY ? "none" : tern_json_kind_name (list->kind));
    return FALSE;
  }
  for (const TernJsonValue *item = list->first; item; item = item->next)
    if (!flatten_schema (ctx, item, flat))
      return FALSE;
  return TRUE;
}

static gboolean
is_keyword (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (keywords); i++)
    if (g_str_equal (name, keywords[i].name))
      return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    if (g_str_equal (name, refused[i]))
      return TRUE;
  return g_strv_contains (others, name);
}

gboolean
tern_schema_check_root (TernSchema *ctx, const TernJsonValue *root)
{
  const TernJsonValue *unknown = NULL, *inner;

  if (root->kind != TERN_JSON_OBJECT)
    return TRUE;
  for (const TernJsonValue *member = root->first; member; member = member->next) {
    if (is_keyword (member->name))
      return TRUE;
    if (!unknown && !g_str_has_prefix (member->name, "x-"))
      unknown = member;
  }
  inner = tern_json_member (root, "schema");
  if (inner && inner->kind == TERN_JSON_OBJECT)
    tern_schema_fail (ctx, TERN_ERROR_INVALID, root, "expected a schema, found what some services wrap around one: give what "
        "stands in \"schema\"");
  else if (unknown)
    tern_schema_fail (ctx, TERN_ERROR_INVALID, root, "expected a keyword of JSON Schema, found none beside \"%s\"", unknown->name);
  return !ctx->failed;
}

/* What an object of keywords says besides $ref and allOf. */
static gboolean
add_own (TernSchema *ctx, const TernJsonValue *schema, GArray *flat)
{
  static const struct {
    const char *name;
    TernPartKind kind;
  } choices[] = { { "anyOf", TERN_PART_ANY_OF }, { "oneOf", TERN_PART_ONE_OF } };
  gboolean own = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    const TernJsonValue *found = tern_json_member (schema, refused[i]);

    if (found) {
      tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, found, "expected keywords that are handled, found \"%s\"", refused[i]);
      return FALSE;
    }
  }
  for (guint i = 0; i < G_N_ELEMENTS (keywords); i++)
    own |= keyword (ctx, schema, i) != NULL;
  if (own)
    tern_parts_add (flat, TERN_PART_PLAIN, schema, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (choices); i++) {
    const TernJsonValue *list = tern_json_member (schema, choices[i].name);

    if (list && (list->kind != TERN_JSON_ARRAY || list->n == 0)) {
      tern_schema_fail (ctx, TERN_ERROR_INVALID, list, "expected an array of at least one schema, found %s",
          list->kind == TERN_JSON_ARRAY ? "none" : tern_json_kind_name (list->kind));
      return FALSE;
    }
    if (list)
      tern_parts_add (flat, choices[i].kind, schema, NULL);
  }
  return !ctx->failed;
}

static gboolean
flatten_object (TernSchema *ctx, const TernJsonValue *schema, GArray *flat)
{
  const TernJsonValue *ref = tern_json_member (schema, "$ref"), *all = tern_json_member (schema, "allOf"), *target;

  if (ref) {
    target = resolve (ctx, ref);
    if (!target || !flatten_schema (ctx, target, flat))
      return FALSE;
  }
  if (all && !flatten_list (ctx, all, flat))
    return FALSE;
  return add_own (ctx, schema, flat);
}

static gboolean
flatten_schema (TernSchema *ctx, const TernJsonValue *schema, GArray *flat)
{
  gboolean good;

  if (!tern_schema_work (ctx, schema))
    return FALSE;
  if (schema->kind == TERN_JSON_BOOLEAN) {
    if (!schema->truth)
      tern_schema_none (ctx, schema, "false, which nothing satisfies");
    return schema->truth;
  }
  if (schema->kind != TERN_JSON_OBJECT) {
    tern_schema_fail (ctx, TERN_ERROR_INVALID, schema, "expected a schema (an object or a boolean), found %s",
        tern_json_kind_name (schema->kind));
    return FALSE;
  }
  for (guint i = 0; i < ctx->expanding->len; i++)
    if (ctx->expanding->pdata[i] == schema) {
      tern_schema_fail (ctx, TERN_ERROR_INVALID, schema, "expected a schema, found references that lead back to themselves");
      return FALSE;
    }
  g_ptr_array_add (ctx->expanding, (gpointer) schema);
  ctx->depth++;
  good = flatten_object (ctx, schema, flat);
  ctx->depth--;
  g_ptr_array_set_size (ctx->expanding, ctx->expanding->len - 1);
  return good;
}

gboolean
tern_parts_flatten (TernSchema *ctx, const GArray *parts, GArray *flat)
{
  for (guint i = 0; i < parts->len; i++) {
    const TernPart *part = &g_array_index (parts, TernPart, i);

    if (part->kind != TERN_PART_WHOLE)
      tern_parts_add (flat, part->kind, part->at, part->name);
    else if (!flatten_schema (ctx, part->at, flat))
      return FALSE;
  }
  return !ctx->failed;
}

/* ---- What they say together -------------------------------------------------------------------------------------- */

static guint
count_of (const TernJsonValue *value)
{
  gint64 count = tern_decimal_floor (&value->number);

  return MIN (count, TERN_LENGTH_MAX);
}

static void
narrow_bound (TernNumberRange *range, const TernJsonValue *value, gboolean lower, gboolean exclusive)
{
  const TernJsonValue **bound = lower ? &range->min : &range->max;
  gboolean *excluded = lower ? &range->above_min : &range->below_max;
  int order = *bound ? tern_decimal_compare (&value->number, &(*bound)->number) * (lower ? 1 : -1) : 1;

  if (order > 0) {
    *bound = value;
    *excluded = exclusive;
  } else if (order == 0) {
    *excluded |= exclusive;
  }
}

static void
narrow_count (guint *min, guint *max, const TernJsonValue **where, const TernJsonValue *low, const TernJsonValue *high)
{
  if (low && count_of (low) > *min) {
    *min = count_of (low);
    *where = low;
  }
  if (high && count_of (high) < *max) {
    *max = count_of (high);
    *where = high;
  }
}

static void
take_one (TernSchema *ctx, const TernJsonValue **slot, const TernJsonValue *value)
{
  if (value && *slot && !tern_json_equal (*slot, value))
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, value, "expected one \"%s\" for a place, found two that must both hold",
        value->name);
  else if (value)
    *slot = value;
}

static void
take_strings (TernSchema *ctx, const TernJsonValue *schema, TernSchemaFacts *facts)
{
  const TernJsonValue *format = tern_json_member (schema, "format"), *unique = tern_json_member (schema, "uniqueItems");

  narrow_count (&facts->min_length, &facts->max_length, &facts->length_at, tern_json_member (schema, "minLength"),
      tern_json_member (schema, "maxLength"));
  narrow_count (&facts->min_items, &facts->max_items, &facts->items_at, tern_json_member (schema, "minItems"),
      tern_json_member (schema, "maxItems"));
  narrow_count (&facts->min_members, &facts->max_members, &facts->members_at, tern_json_member (schema, "minProperties"),
      tern_json_member (schema, "maxProperties"));
  take_one (ctx, &facts->pattern, tern_json_member (schema, "pattern"));
  if (format && tern_schema_is_format (format->text))
    take_one (ctx, &facts->format, format);
  take_one (ctx, &facts->names, tern_json_member (schema, "propertyNames"));
  if (unique && unique->truth)
    facts->unique = unique;
}

static void
take_numbers (TernSchema *ctx, const TernJsonValue *schema, TernSchemaFacts *facts)
{
  const TernJsonValue *value;

  if ((value = tern_json_member (schema, "minimum")))
    narrow_bound (&facts->range, value, TRUE, FALSE);
  if ((value = tern_json_member (schema, "exclusiveMinimum")))
    narrow_bound (&facts->range, value, TRUE, TRUE);
  if ((value = tern_json_member (schema, "maximum")))
    narrow_bound (&facts->range, value, FALSE, FALSE);
  if ((value = tern_json_member (schema, "exclusiveMaximum")))
    narrow_bound (&facts->range, value, FALSE, TRUE);
  if ((value = tern_json_member (schema, "multipleOf"))) {
    if (value->number.n == 0 || value->number.negative)
      tern_schema_fail (ctx, TERN_ERROR_INVALID, value, "expected a number above 0, found %.40s", value->text);
    g_ptr_array_add (facts->range.multiples, (gpointer) value);
  }
}

static void
take_required (const TernJsonValue *schema, TernSchemaFacts *facts)
{
  const TernJsonValue *required = tern_json_member (schema, "required");

  for (const TernJsonValue *name = required ? required->first : NULL; name; name = name->next)
    g_ptr_array_add (facts->required, (gpointer) name->text);
}

static void
take_plain (TernSchema *ctx, const TernJsonValue *schema, TernSchemaFacts *facts, guint *hints)
{
  const TernJsonValue *constant = tern_json_member (schema, "const"), *list, *format;

  for (guint i = 0; i < G_N_ELEMENTS (keywords); i++)
    if (keyword (ctx, schema, i))
      *hints |= keywords[i].types;
  format = tern_json_member (schema, "format");
  if (format && !ctx->failed && tern_schema_is_format (format->text))
    *hints |= TERN_TYPE_STRING;
  if (ctx->failed)
    return;
  facts->types &= types_of (ctx, schema);
  if (constant)
    g_ptr_array_add (facts->enums, (gpointer) constant);
  list = tern_json_member (schema, "enum");
  if (list)
    g_ptr_array_add (facts->enums, (gpointer) list);
  take_numbers (ctx, schema, facts);
  take_strings (ctx, schema, facts);
  take_required (schema, facts);
}

gboolean
tern_schema_facts (TernSchema *ctx, const GArray *flat, TernSchemaFacts *facts)
{
  guint hints = 0;

  *facts = (TernSchemaFacts) { .parts = flat, .types = TERN_TYPE_ALL, .max_length = TERN_LENGTH_MAX,
    .max_items = TERN_LENGTH_MAX, .max_members = TERN_LENGTH_MAX };
  facts->enums = g_ptr_array_new ();
  facts->required = g_ptr_array_new ();
  facts->range.multiples = g_ptr_array_new ();
  for (guint i = 0; i < flat->len && !ctx->failed; i++) {
    const TernPart *part = &g_array_index (flat, TernPart, i);

    if (part->kind == TERN_PART_PLAIN)
      take_plain (ctx, part->at, facts, &hints);
    else if (part->kind == TERN_PART_REQUIRED)
      g_ptr_array_add (facts->required, (gpointer) part->name);
  }
  facts->said = facts->types == TERN_TYPE_ALL && hints ? hints : facts->types;
  return !ctx->failed;
}

void
tern_schema_facts_clear (TernSchemaFacts *facts)
{
  g_clear_pointer (&facts->enums, g_ptr_array_unref);
  g_clear_pointer (&facts->required, g_ptr_array_unref);
  g_clear_pointer (&facts->range.multiples, g_ptr_array_unref);
}

void
tern_parts_member (const GArray *parts, const char *name, GArray *child)
{
  for (guint i = 0; i < parts->len; i++) {
    const TernPart *part = &g_array_index (parts, TernPart, i);
    const TernJsonValue *properties, *schema;

    if (part->kind != TERN_PART_PLAIN)
      continue;
    properties = tern_json_member (part->at, "properties");
    schema = properties ? tern_json_member (properties, name) : NULL;
    if (!schema)
      schema = tern_json_member (part->at, "additionalProperties");
    if (schema)
      tern_parts_add (child, TERN_PART_WHOLE, schema, NULL);
  }
}

void
tern_parts_element (const GArray *parts, guint index, GArray *child)
{
  for (guint i = 0; i < parts->len; i++) {
    const TernPart *part = &g_array_index (parts, TernPart, i);
    const TernJsonValue *first, *schema;

    if (part->kind != TERN_PART_PLAIN)
      continue;
    first = tern_json_member (part->at, "prefixItems");
    schema = first && index < first->n ? tern_json_element (first, index) : tern_json_member (part->at, "items");
    if (schema)
      tern_parts_add (child, TERN_PART_WHOLE, schema, NULL);
  }
}

GPtrArray *
tern_parts_names (const GArray *parts)
{
  GPtrArray *names = g_ptr_array_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < parts->len; i++) {
    const TernPart *part = &g_array_index (parts, TernPart, i);
    const TernJsonValue *properties = part->kind == TERN_PART_PLAIN ? tern_json_member (part->at, "properties") : NULL;

    for (const TernJsonValue *member = properties ? properties->first : NULL; member; member = member->next)
      if (g_hash_table_add (seen, (gpointer) member->name))
        g_ptr_array_add (names, (gpointer) member->name);
  }
  return names;
}
