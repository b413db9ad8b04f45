/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects and arrays. Members come in the order of `properties`, ", " and ": " between things: one way to say each value. */
#include <string.h>

#include "engine/grammar/schema-priv.h"

#define FREE_NAME_LENGTH 64     /* of members that no schema names */
#define PREFIX_MOST 1000
#define UNIQUE_MOST 32

typedef struct {
  TernNode node;                /* name, ": ", value */
  gboolean required;
} Field;

static TernNode
join (TernSchema *ctx, TernNode a, TernNode b)
{
  TernNode items[] = { a, b };

  return tern_grammar_sequence (ctx->builder, items, 2);
}

static TernNode
optional (TernSchema *ctx, TernNode node)
{
  return tern_grammar_repeat (ctx->builder, node, 0, 1);
}

static TernNode
ruled (TernSchema *ctx, TernNode node, const char *name)
{
  TernRule rule = tern_grammar_declare (ctx->builder, name);

  tern_grammar_define (ctx->builder, rule, node);
  return tern_grammar_reference (ctx->builder, rule);
}

/* @item, @min to @max times, commas between; in @brackets. */
static TernNode
list_of (TernSchema *ctx, TernNode item, guint min, guint max, const char *brackets)
{
  TernNode comma = tern_schema_literal (ctx, ", "), items[4];
  TernNode more = join (ctx, comma, item), none = tern_grammar_bytes (ctx->builder, brackets, 2);

  items[0] = tern_grammar_bytes (ctx->builder, brackets, 1);
  items[1] = item;
  items[2] = tern_grammar_repeat (ctx->builder, more, min ? min - 1 : 0, max == TERN_LENGTH_MAX ? TERN_REPEAT_MAX : max - 1);
  items[3] = tern_grammar_bytes (ctx->builder, brackets + 1, 1);
  items[0] = tern_grammar_sequence (ctx->builder, items, 4);
  items[1] = none;
  return min == 0 ? tern_grammar_choice (ctx->builder, items, 2) : items[0];
}

/* ---- Objects whose members have names ---------------------------------------------------------------------------- */

/* Fields that may all be left out: which comes first decides where commas are. */
static TernNode
optional_fields (TernSchema *ctx, const Field *fields, guint n)
{
  g_autofree TernNode *starts = g_new (TernNode, n + 1);
  TernNode comma = tern_schema_literal (ctx, ", "), tail = tern_schema_literal (ctx, "");

  for (guint i = n; i > 0; i--) {
    starts[i - 1] = join (ctx, fields[i - 1].node, tail);
    tail = join (ctx, optional (ctx, join (ctx, comma, fields[i - 1].node)), tail);
    if (i % 8 == 0)             /* not nested without end, and not written out for every start */
      tail = ruled (ctx, tail, "members");
  }
  starts[n] = tern_schema_literal (ctx, "");
  return tern_grammar_choice (ctx->builder, starts, n + 1);
}

static TernNode
fields_node (TernSchema *ctx, const Field *fields, guint n)
{
  g_autofree TernNode *items = g_new (TernNode, n + 3);
  TernNode comma = tern_schema_literal (ctx, ", ");
  guint first = 0, n_items = 0;

  while (first < n && !fields[first].required)
    first++;
  items[n_items++] = tern_schema_literal (ctx, "{");
  if (first == n)
    items[n_items++] = optional_fields (ctx, fields, n);
  for (guint i = 0; i < n && first < n; i++) {
    TernNode node = i < first ? join (ctx, fields[i].node, comma) : i > first ? join (ctx, comma, fields[i].node) : fields[i].node;

    items[n_items++] = fields[i].required ? node : optional (ctx, node);
  }
  items[n_items++] = tern_schema_literal (ctx, "}");
  return tern_grammar_sequence (ctx->builder, items, n_items);
}

static TernNode
field_node (TernSchema *ctx, const char *name, TernNode value)
{
  g_autoptr (GString) text = g_string_new (NULL);

  tern_json_quote (text, name);
  g_string_append (text, ": ");
  return join (ctx, tern_grammar_bytes (ctx->builder, text->str, text->len), value);
}

/* FALSE: failed, or a member must be there and cannot. */
static gboolean
add_field (TernSchema *ctx, const TernSchemaFacts *facts, const char *name, gboolean required, GArray *fields,
    const TernJsonValue *at)
{
  g_autoptr (GArray) child = g_array_new (FALSE, FALSE, sizeof (TernPart));
  gboolean knew = ctx->why != NULL;
  Field field = { 0, required };
  TernNode value;

  tern_parts_member (facts->parts, name, child);
  value = tern_schema_compile (ctx, child);
  if (value == TERN_NODE_NONE && !ctx->failed && required)
    tern_schema_none (ctx, at, "expected the required member \"%.60s\" to be possible", name);
  if (value == TERN_NODE_NONE) {
    if (!required && !knew)
      g_clear_pointer (&ctx->why, g_free);
    return !required && !ctx->failed;
  }
  field.node = field_node (ctx, name, value);
  g_array_append_val (fields, field);
  return TRUE;
}

/* minProperties and maxProperties, where the members that must be there, or all of them, settle it. */
static gboolean
settle_count (TernSchema *ctx, const TernSchemaFacts *facts, GArray *fields, const TernJsonValue *at)
{
  guint n_required = 0;

  for (guint i = 0; i < fields->len; i++)
    n_required += g_array_index (fields, Field, i).required;
  if (facts->min_members > fields->len || facts->max_members < n_required) {
    tern_schema_none (ctx, facts->members_at, "expected a number of members that is possible: %u, of which %u are required, "
        "found another", fields->len, n_required);
    return FALSE;
  }
  if (facts->min_members > n_required && facts->min_members == fields->len) {
    for (guint i = 0; i < fields->len; i++)
      g_array_index (fields, Field, i).required = TRUE;
    n_required = fields->len;
  }
  if (facts->max_members < fields->len && facts->max_members == n_required)
    for (guint i = fields->len; i > 0; i--)
      if (!g_array_index (fields, Field, i - 1).required)
        g_array_remove_index (fields, i - 1);
  if (facts->min_members <= n_required && facts->max_members >= fields->len)
    return TRUE;
  tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, facts->members_at,
      "expected a number of members that is that of the required ones, or of all, found another");
  return FALSE;
}

/* ---- Objects whose members have any name ------------------------------------------------------------------------- */

static const TernJsonValue *
find_keyword (TernSchema *ctx, const GArray *parts, const char *name, gboolean alone)
{
  const TernJsonValue *found = NULL;

  for (guint i = 0; i < parts->len; i++) {
    const TernPart *part = &g_array_index (parts, TernPart, i);
    const TernJsonValue *value = part->kind == TERN_PART_PLAIN ? tern_json_member (part->at, name) : NULL;

    if (value && found && alone)
      tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, value, "expected \"%s\" once for a place, found it twice", name);
    found = value ? value : found;
  }
  return found;
}

static TernNode
free_name (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *patterns, const TernJsonValue *at)
{
  g_autoptr (GArray) parts = g_array_new (FALSE, FALSE, sizeof (TernPart));
  TernNode items[3];

  if (patterns) {
    items[0] = items[2] = tern_schema_literal (ctx, "\"");
    items[1] = tern_schema_pattern (ctx, patterns->first->name, 0, TERN_LENGTH_MAX, patterns->first);
    return items[1] == TERN_NODE_NONE ? TERN_NODE_NONE : tern_grammar_sequence (ctx->builder, items, 3);
  }
  if (!facts->names)
    return tern_schema_string (ctx, 1, FREE_NAME_LENGTH, NULL, NULL, at);
  tern_parts_add (parts, TERN_PART_WHOLE, facts->names, NULL);
  tern_parts_add (parts, TERN_PART_WHOLE, tern_json_document_root (ctx->string), NULL);
  return tern_schema_compile (ctx, parts);
}

static TernNode
free_members (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *patterns, const TernJsonValue *at)
{
  g_autoptr (GArray) child = g_array_new (FALSE, FALSE, sizeof (TernPart));
  gboolean knew = ctx->why != NULL;
  TernNode name, value, member[3];

  if (facts->min_members > 1) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, facts->members_at, "expected at most 1 where names are free and might be "
        "said twice, found %u", facts->min_members);
    return TERN_NODE_NONE;
  }
  if (patterns)
    tern_parts_add (child, TERN_PART_WHOLE, patterns->first, NULL);
  else
    tern_parts_member (facts->parts, "", child);
  value = tern_schema_compile (ctx, child);
  name = value == TERN_NODE_NONE || facts->max_members == 0 ? TERN_NODE_NONE : free_name (ctx, facts, patterns, at);
  if (name == TERN_NODE_NONE) {
    if (facts->min_members > 0 || ctx->failed)
      return tern_schema_none (ctx, at, "expected members to be possible");
    if (!knew)
      g_clear_pointer (&ctx->why, g_free);
    return tern_schema_literal (ctx, "{}");
  }
  member[0] = name;
  member[1] = tern_schema_literal (ctx, ": ");
  member[2] = value;
  return list_of (ctx, tern_grammar_sequence (ctx->builder, member, 3), facts->min_members, facts->max_members, "{}");
}

TernNode
tern_schema_object (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *at)
{
  g_autoptr (GPtrArray) names = tern_parts_names (facts->parts);
  g_autoptr (GHashTable) required = g_hash_table_new (g_str_hash, g_str_equal), seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GArray) fields = g_array_new (FALSE, FALSE, sizeof (Field));
  const TernJsonValue *patterns = find_keyword (ctx, facts->parts, "patternProperties", TRUE);
  gboolean any_known = names->len > 0 || facts->required->len > 0;

  if (patterns && (any_known || patterns->n != 1 || facts->names)) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, patterns, "expected one pattern, without properties, required or propertyNames "
        "beside it, found more");
    return TERN_NODE_NONE;
  }
  if (facts->names && any_known) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, facts->names, "expected propertyNames without properties or required, found "
        "both");
    return TERN_NODE_NONE;
  }
  for (guint i = 0; i < facts->required->len; i++)
    g_hash_table_add (required, facts->required->pdata[i]);
  for (guint i = 0; i < names->len; i++) {
    g_hash_table_add (seen, names->pdata[i]);
    if (!add_field (ctx, facts, names->pdata[i], g_hash_table_contains (required, names->pdata[i]), fields, at))
      return TERN_NODE_NONE;
  }
  for (guint i = 0; i < facts->required->len; i++)
    if (g_hash_table_add (seen, facts->required->pdata[i]) && !add_field (ctx, facts, facts->required->pdata[i], TRUE, fields, at))
      return TERN_NODE_NONE;
  if (ctx->failed)
    return TERN_NODE_NONE;
  if (!any_known)
    return free_members (ctx, facts, patterns, at);
  if (!settle_count (ctx, facts, fields, at))
    return TERN_NODE_NONE;
  return fields_node (ctx, (const Field *) fields->data, fields->len);
}

/* ---- Arrays ------------------------------------------------------------------------------------------------------ */

static TernNode
element_node (TernSchema *ctx, const TernSchemaFacts *facts, guint index)
{
  g_autoptr (GArray) child = g_array_new (FALSE, FALSE, sizeof (TernPart));

  tern_parts_element (facts->parts, index, child);
  return tern_schema_compile (ctx, child);
}

/* Different values of a list: in its order, each at most once. */
static TernNode
unique_node (TernSchema *ctx, const TernSchemaFacts *facts, const GPtrArray *values, guint max)
{
  guint n = values->len, counted = max < n ? max : MIN (facts->min_items, n);
  g_autofree TernNode *after = g_new (TernNode, (gsize) (n + 1) * (counted + 1)), *items = g_new (TernNode, n + 1);
  TernNode comma = tern_schema_literal (ctx, ", "), open;

  /* [i][k]: values from i on may follow, k were said (counted as far as it matters). */
  for (guint i = n + 1; i-- > 0;)
    for (guint k = 0; k <= counted; k++) {
      guint n_items = 0;

      if (k >= facts->min_items)
        items[n_items++] = tern_schema_literal (ctx, "");
      for (guint j = i; j < n && (k < max || max >= n); j++) {
        g_autoptr (GString) text = g_string_new (NULL);
        TernNode rest = after[(j + 1) * (counted + 1) + MIN (k + 1, counted)], value;

        if (rest == TERN_NODE_NONE)
          continue;
        tern_json_print (text, values->pdata[j]);
        value = tern_grammar_bytes (ctx->builder, text->str, text->len);
        items[n_items++] = join (ctx, i > 0 ? join (ctx, comma, value) : value, rest);
      }
      after[i * (counted + 1) + k] = n_items == 0 ? TERN_NODE_NONE
          : ruled (ctx, tern_grammar_choice (ctx->builder, items, n_items), "different values");
    }
  open = after[0];
  if (open == TERN_NODE_NONE)
    return TERN_NODE_NONE;
  items[0] = join (ctx, tern_schema_literal (ctx, "["), open);
  return join (ctx, items[0], tern_schema_literal (ctx, "]"));
}

static TernNode
unique_array (TernSchema *ctx, const TernSchemaFacts *facts, guint n_first, guint max)
{
  g_autoptr (GArray) child = g_array_new (FALSE, FALSE, sizeof (TernPart)), flat = g_array_new (FALSE, FALSE, sizeof (TernPart));
  g_auto (TernSchemaFacts) item = { NULL };
  g_autoptr (GPtrArray) values = NULL;

  tern_parts_element (facts->parts, 0, child);
  if (n_first == 0 && tern_parts_flatten (ctx, child, flat) && tern_schema_facts (ctx, flat, &item))
    values = tern_schema_values (ctx, &item);
  for (guint i = 0; values && i < flat->len; i++)
    if (g_array_index (flat, TernPart, i).kind != TERN_PART_PLAIN)
      g_clear_pointer (&values, g_ptr_array_unref);
  if (!values || values->len > UNIQUE_MOST) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, facts->unique, "expected items that are listed (enum, at most %d) to be "
        "unique, found others", UNIQUE_MOST);
    return TERN_NODE_NONE;
  }
  for (guint i = 0; i < values->len; i++)       /* 1 and 1.0 are the same */
    for (guint k = values->len - 1; k > i; k--)
      if (tern_json_equal (values->pdata[i], values->pdata[k]))
        g_ptr_array_remove_index (values, k);
  if (facts->min_items > values->len)
    return tern_schema_none (ctx, facts->unique, "expected as many different values as minItems %u, found %u", facts->min_items,
        values->len);
  return unique_node (ctx, facts, values, max);
}

/* `prefixItems`, then `items`: what is beyond @min may be left out from the end. */
static TernNode
tuple_node (TernSchema *ctx, const TernNode *first, guint n_first, TernNode rest, guint min, guint max)
{
  TernNode comma = tern_schema_literal (ctx, ", "), tail = tern_schema_literal (ctx, ""), items[3];

  if (rest != TERN_NODE_NONE && max > n_first)
    tail = tern_grammar_repeat (ctx->builder, join (ctx, comma, rest), min > n_first ? min - n_first : 0,
        max == TERN_LENGTH_MAX ? TERN_REPEAT_MAX : max - n_first);
  for (guint i = n_first; i > 0; i--) {
    tail = join (ctx, i > 1 ? join (ctx, comma, first[i - 1]) : first[0], tail);
    if (i > min)
      tail = optional (ctx, tail);
    if (i % 32 == 0)
      tail = ruled (ctx, tail, "items");
  }
  items[0] = tern_schema_literal (ctx, "[");
  items[1] = tail;
  items[2] = tern_schema_literal (ctx, "]");
  return tern_grammar_sequence (ctx->builder, items, 3);
}

/* How many elements have schemas of their own; *@open: any may follow them. */
static guint
count_first (const GArray *parts, gboolean *open)
{
  guint n = 0;

  *open = TRUE;
  for (guint i = 0; i < parts->len; i++) {
    const TernPart *part = &g_array_index (parts, TernPart, i);
    const TernJsonValue *first = part->kind == TERN_PART_PLAIN ? tern_json_member (part->at, "prefixItems") : NULL;

    n = MAX (n, first ? first->n : 0);
    *open &= part->kind != TERN_PART_PLAIN || !tern_json_member (part->at, "items");
  }
  return n;
}

TernNode
tern_schema_array (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *at)
{
  g_autofree TernNode *first = NULL;
  gboolean knew = ctx->why != NULL, open;
  guint min = facts->min_items, max = facts->max_items, n_first = count_first (facts->parts, &open);
  TernNode rest = TERN_NODE_NONE;

  if (n_first > PREFIX_MOST) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, at, "expected at most %d prefixItems, found %u", PREFIX_MOST, n_first);
    return TERN_NODE_NONE;
  }
  if (min > max)
    return tern_schema_none (ctx, facts->items_at, "expected a minItems that is not above maxItems, found %u and %u", min, max);
  /* A tuple goes no further unless it must. */
  if (n_first > 0 && open && min <= n_first)
    max = MIN (max, n_first);
  if (facts->unique && max > 1)
    return unique_array (ctx, facts, n_first, max);
  n_first = MIN (n_first, max);
  first = g_new (TernNode, n_first + 1);
  for (guint i = 0; i < n_first; i++) {
    first[i] = element_node (ctx, facts, i);
    if (first[i] == TERN_NODE_NONE)
      n_first = max = i;
  }
  if (max > n_first)
    rest = element_node (ctx, facts, n_first);
  if (rest == TERN_NODE_NONE)
    max = MIN (max, n_first);
  if (ctx->failed)
    return TERN_NODE_NONE;
  if (min > max)
    return tern_schema_none (ctx, at, "expected %u elements to be possible, found %u", min, max);
  if (!knew)
    g_clear_pointer (&ctx->why, g_free);
  if (max == 0)
    return tern_schema_literal (ctx, "[]");
  return n_first == 0 ? list_of (ctx, rest, min, max, "[]") : tuple_node (ctx, first, n_first, rest, min, max);
}
