/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values against schemas, for enum and const beside other keywords; and whether alternatives exclude each other, for oneOf. */
#include <math.h>
#include <string.h>

#include "engine/grammar/schema-priv.h"

#define ELEMENTS_COMPARED 8     /* of two arrays */
#define LEVELS_COMPARED 12

static GArray *
parts_new (void)
{
  return g_array_new (FALSE, FALSE, sizeof (TernPart));
}

static guint
type_of (const TernJsonValue *value)
{
  static const guint types[] = { TERN_TYPE_NULL, TERN_TYPE_BOOLEAN, TERN_TYPE_NUMBER, TERN_TYPE_STRING, TERN_TYPE_ARRAY,
    TERN_TYPE_OBJECT };

  if (value->kind == TERN_JSON_NUMBER && tern_decimal_is_integer (&value->number))
    return TERN_TYPE_INTEGER;
  return types[value->kind];
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static gboolean
number_allowed (const TernNumberRange *range, const TernJsonValue *value)
{
  int order;

  if (range->min) {
    order = tern_decimal_compare (&value->number, &range->min->number);
    if (order < 0 || (order == 0 && range->above_min))
      return FALSE;
  }
  if (range->max) {
    order = tern_decimal_compare (&value->number, &range->max->number);
    if (order > 0 || (order == 0 && range->below_max))
      return FALSE;
  }
  for (guint i = 0; i < range->multiples->len; i++) {
    const TernJsonValue *step = range->multiples->pdata[i];
    double quotient = g_ascii_strtod (value->text, NULL) / g_ascii_strtod (step->text, NULL);

    if (quotient != floor (quotient))
      return FALSE;
  }
  return TRUE;
}

static gboolean
count_allowed (guint64 n, guint min, guint max)
{
  return n >= min && (max == TERN_LENGTH_MAX || n <= max);
}

static gboolean
string_allowed (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *value)
{
  const TernJsonValue *extra = facts->pattern ? facts->pattern : facts->format;

  if (extra) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, extra, "expected enum or const, or \"%s\", found both", extra->name);
    return FALSE;
  }
  return count_allowed (g_utf8_strlen (value->text, -1), facts->min_length, facts->max_length);
}

static gboolean
array_allowed (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *value)
{
  if (!count_allowed (value->n, facts->min_items, facts->max_items))
    return FALSE;
  for (const TernJsonValue *item = value->first; item; item = item->next) {
    g_autoptr (GArray) child = parts_new ();

    for (const TernJsonValue *other = value->first; facts->unique && other != item; other = other->next)
      if (!tern_schema_work (ctx, facts->unique) || tern_json_equal (item, other))
        return FALSE;
    tern_parts_element (facts->parts, item->index, child);
    if (!tern_schema_allows (ctx, child, item))
      return FALSE;
  }
  return TRUE;
}

static gboolean
object_allowed (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *value)
{
  if (!count_allowed (value->n, facts->min_members, facts->max_members))
    return FALSE;
  for (guint i = 0; i < facts->required->len; i++)
    if (!tern_json_member (value, facts->required->pdata[i]))
      return FALSE;
  for (guint i = 0; i < facts->parts->len; i++) {
    const TernPart *part = &g_array_index (facts->parts, TernPart, i);
    const TernJsonValue *extra = tern_json_member (part->at, "patternProperties");

    extra = extra ? extra : tern_json_member (part->at, "propertyNames");
    if (extra && part->kind == TERN_PART_PLAIN) {
      tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, extra, "expected enum or const, or \"%s\", found both", extra->name);
      return FALSE;
    }
  }
  for (const TernJsonValue *member = value->first; member; member = member->next) {
    g_autoptr (GArray) child = parts_new ();

    tern_parts_member (facts->parts, member->name, child);
    if (!tern_schema_allows (ctx, child, member))
      return FALSE;
  }
  return TRUE;
}

/* Whether the lists from @from on have it. */
static gboolean
listed (TernSchema *ctx, const TernSchemaFacts *facts, guint from, const TernJsonValue *value)
{
  for (guint i = from; i < facts->enums->len; i++) {
    const TernJsonValue *list = facts->enums->pdata[i], *item;
    gboolean is_enum = strcmp (list->name, "enum") == 0;

    ctx->work += is_enum ? list->n / 32 : 0;
    for (item = is_enum ? list->first : list; item; item = is_enum ? item->next : NULL)
      if (tern_json_equal (item, value))
        break;
    if (!item)
      return FALSE;
  }
  return TRUE;
}

static gboolean
facts_allow (TernSchema *ctx, const TernSchemaFacts *facts, guint from, const TernJsonValue *value)
{
  if (!(facts->types & type_of (value)) || !listed (ctx, facts, from, value))
    return FALSE;
  switch (value->kind) {
    case TERN_JSON_NUMBER:
      return number_allowed (&facts->range, value);
    case TERN_JSON_STRING:
      return string_allowed (ctx, facts, value);
    case TERN_JSON_ARRAY:
      return array_allowed (ctx, facts, value);
    case TERN_JSON_OBJECT:
      return object_allowed (ctx, facts, value);
    default:
      return TRUE;
  }
}

static gboolean
choice_allows (TernSchema *ctx, const TernPart *part, const TernJsonValue *value)
{
  gboolean one = part->kind == TERN_PART_ONE_OF;
  const TernJsonValue *list = tern_json_member (part->at, one ? "oneOf" : "anyOf");
  guint n = 0;

  for (const TernJsonValue *item = list->first; item && !ctx->failed; item = item->next) {
    g_autoptr (GArray) branch = parts_new ();

    tern_parts_add (branch, TERN_PART_WHOLE, item, NULL);
    n += tern_schema_allows (ctx, branch, value);
  }
  return one ? n == 1 : n > 0;
}

gboolean
tern_schema_allows (TernSchema *ctx, const GArray *parts, const TernJsonValue *value)
{
  g_auto (TernSchemaFacts) facts = { NULL };
  g_autoptr (GArray) flat = parts_new ();
  gboolean knew = ctx->why != NULL, allowed;

  if (!tern_schema_work (ctx, value))
    return FALSE;
  ctx->depth++;
  allowed = tern_parts_flatten (ctx, parts, flat) && tern_schema_facts (ctx, flat, &facts) && facts_allow (ctx, &facts, 0, value);
  for (guint i = 0; allowed && i < flat->len; i++) {
    const TernPart *part = &g_array_index (flat, TernPart, i);

    if (part->kind == TERN_PART_ANY_OF || part->kind == TERN_PART_ONE_OF)
      allowed = choice_allows (ctx, part, value);
  }
  ctx->depth--;
  if (!knew)
    g_clear_pointer (&ctx->why, g_free);
  return allowed && !ctx->failed;
}

GPtrArray *
tern_schema_values (TernSchema *ctx, const TernSchemaFacts *facts)
{
  g_autoptr (GHashTable) texts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GPtrArray *values;
  const TernJsonValue *list;
  gboolean is_enum;

  if (facts->enums->len == 0)
    return NULL;
  list = facts->enums->pdata[0];
  is_enum = strcmp (list->name, "enum") == 0;
  values = g_ptr_array_new ();
  for (const TernJsonValue *item = is_enum ? list->first : list; item && !ctx->failed; item = is_enum ? item->next : NULL) {
    GString *text = g_string_new (NULL);

    tern_json_print (text, item);
    if (facts->enums->len > 1)
      tern_schema_work (ctx, item);
    if (g_hash_table_add (texts, g_string_free (text, FALSE)) && facts_allow (ctx, facts, 1, item))
      g_ptr_array_add (values, (gpointer) item);
  }
  return values;
}

/* ---- Alternatives ------------------------------------------------------------------------------------------------ */

static gboolean disjoint_parts (TernSchema *ctx, const GArray *a, const GArray *b, GPtrArray *forced, guint level);

static gboolean
has_name (const GPtrArray *names, const char *name)
{
  for (guint i = 0; i < names->len; i++)
    if (strcmp (names->pdata[i], name) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
members_disjoint (TernSchema *ctx, const TernSchemaFacts *a, const TernSchemaFacts *b, const char *name, guint level)
{
  g_autoptr (GArray) x = parts_new (), y = parts_new ();

  tern_parts_member (a->parts, name, x);
  tern_parts_member (b->parts, name, y);
  return disjoint_parts (ctx, x, y, NULL, level + 1);
}

static gboolean
forbids (const TernSchemaFacts *facts, const char *name)
{
  g_autoptr (GArray) child = parts_new ();
  gboolean found = FALSE;

  tern_parts_member (facts->parts, name, child);
  for (guint i = 0; i < child->len; i++) {
    const TernJsonValue *schema = g_array_index (child, TernPart, i).at;

    found |= schema->kind == TERN_JSON_BOOLEAN && !schema->truth;
  }
  return found;
}

/* Whether a member is missing or too many wherever an object that is said of @a is held against @b. */
static gboolean
never_of (const TernSchemaFacts *a, const GPtrArray *names, const TernSchemaFacts *b)
{
  for (guint i = 0; i < b->required->len && names->len > 0; i++)
    if (!has_name (names, b->required->pdata[i]) && !has_name (a->required, b->required->pdata[i]))
      return TRUE;
  for (guint i = 0; i < a->required->len; i++)
    if (forbids (b, a->required->pdata[i]))
      return TRUE;
  return FALSE;
}

static gboolean
objects_disjoint (TernSchema *ctx, const TernSchemaFacts *a, const TernSchemaFacts *b, GPtrArray *forced, guint level)
{
  g_autoptr (GPtrArray) names = tern_parts_names (a->parts), others = tern_parts_names (b->parts);

  if (never_of (a, names, b) && never_of (b, others, a))
    return TRUE;
  for (guint pass = 0; pass < (forced ? 2 : 1); pass++)
    for (guint i = 0; i < names->len && tern_schema_work (ctx, tern_json_document_root (ctx->document)); i++) {
      const char *name = names->pdata[i];
      gboolean there = has_name (a->required, name) && has_name (b->required, name);

      if (!has_name (others, name) || there != (pass == 0) || !members_disjoint (ctx, a, b, name, level))
        continue;
      if (!there)
        g_ptr_array_add (forced, (gpointer) name);
      return TRUE;
    }
  return FALSE;
}

static gboolean
arrays_disjoint (TernSchema *ctx, const TernSchemaFacts *a, const TernSchemaFacts *b, guint level)
{
  if (a->max_items < b->min_items || b->max_items < a->min_items)
    return TRUE;
  for (guint i = 0; i < MIN (ELEMENTS_COMPARED, MIN (a->min_items, b->min_items)); i++) {
    g_autoptr (GArray) x = parts_new (), y = parts_new ();

    tern_parts_element (a->parts, i, x);
    tern_parts_element (b->parts, i, y);
    if (disjoint_parts (ctx, x, y, NULL, level + 1))
      return TRUE;
  }
  return FALSE;
}

static gboolean
ranges_disjoint (const TernNumberRange *a, const TernNumberRange *b)
{
  int order;

  if (!a->max || !b->min)
    return FALSE;
  order = tern_decimal_compare (&a->max->number, &b->min->number);
  return order < 0 || (order == 0 && (a->below_max || b->above_min));
}

/* None of the values that @a lists is allowed by @parts. */
static gboolean
values_apart (TernSchema *ctx, const TernSchemaFacts *a, const GArray *parts)
{
  g_autoptr (GPtrArray) values = tern_schema_values (ctx, a);

  if (!values || ctx->failed)
    return FALSE;
  for (guint i = 0; i < values->len; i++)
    if (tern_schema_allows (ctx, parts, values->pdata[i]) || ctx->failed)
      return FALSE;
  return TRUE;
}

static gboolean
facts_disjoint (TernSchema *ctx, const TernSchemaFacts *a, const TernSchemaFacts *b, GPtrArray *forced, guint level)
{
  guint of_a = a->said | (a->said & TERN_TYPE_NUMBER ? TERN_TYPE_INTEGER : 0);
  guint of_b = b->said | (b->said & TERN_TYPE_NUMBER ? TERN_TYPE_INTEGER : 0), common = (of_a & b->types) | (of_b & a->types);

  if (values_apart (ctx, a, b->parts) || values_apart (ctx, b, a->parts))
    return TRUE;
  if (common & (TERN_TYPE_NULL | TERN_TYPE_BOOLEAN) || ctx->failed)
    return FALSE;
  if (common & (TERN_TYPE_NUMBER | TERN_TYPE_INTEGER) && !ranges_disjoint (&a->range, &b->range)
      && !ranges_disjoint (&b->range, &a->range))
    return FALSE;
  if (common & TERN_TYPE_STRING && a->max_length >= b->min_length && b->max_length >= a->min_length)
    return FALSE;
  if (common & TERN_TYPE_ARRAY && !arrays_disjoint (ctx, a, b, level))
    return FALSE;
  return !(common & TERN_TYPE_OBJECT) || objects_disjoint (ctx, a, b, forced, level);
}

static const TernPart *
first_choice (const GArray *flat)
{
  for (guint i = 0; i < flat->len; i++) {
    const TernPart *part = &g_array_index (flat, TernPart, i);

    if (part->kind == TERN_PART_ANY_OF || part->kind == TERN_PART_ONE_OF)
      return part;
  }
  return NULL;
}

/* Every branch of @choice, which is one of @flat, against @b. */
static gboolean
branches_disjoint (TernSchema *ctx, const GArray *flat, const TernPart *choice, const GArray *b, GPtrArray *forced, guint level)
{
  const TernJsonValue *list = tern_json_member (choice->at, choice->kind == TERN_PART_ONE_OF ? "oneOf" : "anyOf");

  for (const TernJsonValue *item = list->first; item; item = item->next) {
    g_autoptr (GArray) branch = parts_new ();

    for (guint i = 0; i < flat->len; i++) {
      const TernPart *part = &g_array_index (flat, TernPart, i);

      if (part != choice)
        tern_parts_add (branch, part->kind, part->at, part->name);
    }
    tern_parts_add (branch, TERN_PART_WHOLE, item, NULL);
    if (!disjoint_parts (ctx, branch, b, forced, level + 1))
      return FALSE;
  }
  return TRUE;
}

static gboolean
disjoint_parts (TernSchema *ctx, const GArray *a, const GArray *b, GPtrArray *forced, guint level)
{
  g_auto (TernSchemaFacts) facts_a = { NULL }, facts_b = { NULL };
  g_autoptr (GArray) flat_a = parts_new (), flat_b = parts_new ();
  const TernPart *choice_a, *choice_b;

  if (level > LEVELS_COMPARED || !tern_schema_work (ctx, tern_json_document_root (ctx->document)))
    return FALSE;
  if (!tern_parts_flatten (ctx, a, flat_a) || !tern_parts_flatten (ctx, b, flat_b))
    return !ctx->failed;        /* one of them says nothing at all */
  if (!tern_schema_facts (ctx, flat_a, &facts_a) || !tern_schema_facts (ctx, flat_b, &facts_b))
    return FALSE;
  choice_a = first_choice (flat_a);
  choice_b = first_choice (flat_b);
  /* What is said is known once no choice is left. */
  if (choice_a)
    return branches_disjoint (ctx, flat_a, choice_a, flat_b, forced, level);
  if (choice_b)
    return branches_disjoint (ctx, flat_b, choice_b, flat_a, forced, level);
  return facts_disjoint (ctx, &facts_a, &facts_b, forced, level);
}

gboolean
tern_schema_disjoint (TernSchema *ctx, const GArray *a, const GArray *b, GPtrArray *forced)
{
  gboolean knew = ctx->why != NULL, disjoint = disjoint_parts (ctx, a, b, forced, 0);

  if (!knew)
    g_clear_pointer (&ctx->why, g_free);
  return disjoint && !ctx->failed;
}
