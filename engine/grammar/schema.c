/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON Schema as grammar: docs/structured-output.md says what of it. */
#include <string.h>

#include "engine/grammar/schema-priv.h"

#define ANY_LEVELS 6
#define ALTERNATIVES_MOST 256   /* of oneOf, which are compared in pairs */
#define FEW_VALUES 16

/* A set of parts that was met. */
typedef struct {
  TernNode node;
  TernRule rule;
  gboolean busy, declared;
} Known;

static GArray *
parts_new (void)
{
  return g_array_new (FALSE, FALSE, sizeof (TernPart));
}

static const TernJsonValue *
place_of (TernSchema *ctx, const GArray *parts)
{
  return parts->len > 0 ? g_array_index (parts, TernPart, parts->len - 1).at : tern_json_document_root (ctx->document);
}

static TernRule
declare (TernSchema *ctx, const GArray *parts)
{
  g_autofree char *name = tern_json_pointer (place_of (ctx, parts));

  return tern_grammar_declare (ctx->builder, name);
}

static TernNode
as_rule (TernSchema *ctx, TernNode node, const GArray *parts)
{
  TernRule rule = declare (ctx, parts);

  tern_grammar_define (ctx->builder, rule, node);
  return tern_grammar_reference (ctx->builder, rule);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static TernNode
values_node (TernSchema *ctx, const GPtrArray *values, const TernSchemaFacts *facts)
{
  const TernJsonValue *list = facts->enums->pdata[0];
  g_autofree TernNode *items = g_new (TernNode, values->len + 1);
  TernNode node;

  if (values->len == 0)
    return tern_schema_none (ctx, list, "expected a value that its neighbours allow, found none");
  for (guint i = 0; i < values->len; i++) {
    g_autoptr (GString) text = g_string_new (NULL);

    tern_json_print (text, values->pdata[i]);
    items[i] = tern_grammar_bytes (ctx->builder, text->str, text->len);
  }
  node = tern_grammar_choice (ctx->builder, items, values->len);
  return values->len > FEW_VALUES ? as_rule (ctx, node, facts->parts) : node;
}

static TernNode
booleans (TernSchema *ctx)
{
  TernNode items[] = { tern_schema_literal (ctx, "true"), tern_schema_literal (ctx, "false") };

  return tern_grammar_choice (ctx->builder, items, 2);
}

static TernNode
string_of (TernSchema *ctx, const TernSchemaFacts *facts, const TernJsonValue *at)
{
  return tern_schema_string (ctx, facts->min_length, facts->max_length, facts->pattern, facts->format,
      facts->length_at ? facts->length_at : at);
}

static TernNode
types_node (TernSchema *ctx, TernSchemaFacts *facts, const TernJsonValue *at)
{
  TernNode items[6];
  guint n = 0, n_kept = 0;

  if (facts->said == 0)
    return tern_schema_none (ctx, at, "expected a type that all that is said of this place allow, found none");
  facts->range.integer = !(facts->said & TERN_TYPE_NUMBER);
  if (facts->said & TERN_TYPE_OBJECT)
    items[n++] = tern_schema_object (ctx, facts, at);
  if (facts->said & TERN_TYPE_ARRAY)
    items[n++] = tern_schema_array (ctx, facts, at);
  if (facts->said & TERN_TYPE_STRING)
    items[n++] = string_of (ctx, facts, at);
  if (facts->said & (TERN_TYPE_NUMBER | TERN_TYPE_INTEGER))
    items[n++] = tern_schema_number (ctx, &facts->range, at);
  if (facts->said & TERN_TYPE_BOOLEAN)
    items[n++] = booleans (ctx);
  if (facts->said & TERN_TYPE_NULL)
    items[n++] = tern_schema_literal (ctx, "null");
  for (guint i = 0; i < n; i++)
    if (items[i] != TERN_NODE_NONE)
      items[n_kept++] = items[i];
  if (n_kept == 0 || ctx->failed)
    return TERN_NODE_NONE;
  return tern_grammar_choice (ctx->builder, items, n_kept);
}

/* Any value of JSON, some levels deep. */
static TernNode
any_value (TernSchema *ctx)
{
  static const TernNumberRange all = { NULL };
  const TernJsonValue *root = tern_json_document_root (ctx->document);

  if (ctx->has_any)
    return ctx->any;
  for (guint level = 0; level <= ANY_LEVELS; level++) {
    TernRule rule = tern_grammar_declare (ctx->builder, "any value");
    TernNode text = tern_schema_string (ctx, 0, TERN_LENGTH_MAX, NULL, NULL, root), comma = tern_schema_literal (ctx, ", ");
    TernNode pair[3] = { text, tern_schema_literal (ctx, ": "), ctx->any };
    TernNode items[6] = { text, tern_schema_number (ctx, &all, root), booleans (ctx), tern_schema_literal (ctx, "null") };
    TernNode lists[2] = { ctx->any, level > 0 ? tern_grammar_sequence (ctx->builder, pair, 3) : 0 };

    for (guint i = 0; i < 2 && level > 0; i++) {
      TernNode more[2] = { comma, lists[i] }, list[2] = { lists[i] }, whole[3];

      list[1] = tern_grammar_repeat (ctx->builder, tern_grammar_sequence (ctx->builder, more, 2), 0, TERN_REPEAT_MAX);
      whole[0] = tern_schema_literal (ctx, i ? "{" : "[");
      whole[1] = tern_grammar_repeat (ctx->builder, tern_grammar_sequence (ctx->builder, list, 2), 0, 1);
      whole[2] = tern_schema_literal (ctx, i ? "}" : "]");
      items[4 + i] = tern_grammar_sequence (ctx->builder, whole, 3);
    }
    tern_grammar_define (ctx->builder, rule, tern_grammar_choice (ctx->builder, items, level > 0 ? 6 : 4));
    ctx->any = tern_grammar_reference (ctx->builder, rule);
  }
  ctx->has_any = TRUE;
  return ctx->any;
}

/* ---- Alternatives ------------------------------------------------------------------------------------------------ */

/* @flat without part @choice, and @branch. */
static GArray *
branch_parts (const GArray *flat, guint choice, const TernJsonValue *branch)
{
  GArray *parts = parts_new ();

  for (guint i = 0; i < flat->len; i++) {
    const TernPart *part = &g_array_index (flat, TernPart, i);

    if (i != choice)
      tern_parts_add (parts, part->kind, part->at, part->name);
  }
  tern_parts_add (parts, TERN_PART_WHOLE, branch, NULL);
  return parts;
}

/* oneOf: what is said of one must not satisfy another. Members that tell them apart become required. */
static void
tell_apart (TernSchema *ctx, GPtrArray *branches, const TernJsonValue *list)
{
  if (branches->len > ALTERNATIVES_MOST) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, list, "expected at most %d alternatives, found %u", ALTERNATIVES_MOST,
        branches->len);
    return;
  }
  for (guint i = 0; i < branches->len; i++)
    for (guint k = i + 1; k < branches->len && !ctx->failed; k++) {
      g_autoptr (GPtrArray) forced = g_ptr_array_new ();

      if (!tern_schema_disjoint (ctx, branches->pdata[i], branches->pdata[k], forced)) {
        tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, list, "expected alternatives that exclude each other (anyOf need not), "
            "found %u and %u, of which both may hold", i, k);
        return;
      }
      for (guint f = 0; f < forced->len; f++) {
        tern_parts_add (branches->pdata[i], TERN_PART_REQUIRED, list, forced->pdata[f]);
        tern_parts_add (branches->pdata[k], TERN_PART_REQUIRED, list, forced->pdata[f]);
      }
    }
}

/* OpenAPI's word for the member that tells alternatives apart: parsers want it even where its schema has a default. */
static void
require_discriminator (TernSchema *ctx, GPtrArray *branches, const TernJsonValue *schema)
{
  const TernJsonValue *found = tern_json_member (schema, "discriminator");

  found = found ? tern_json_member (found, "propertyName") : NULL;
  for (guint i = 0; found && found->kind == TERN_JSON_STRING && i < branches->len; i++) {
    g_autoptr (GArray) flat = parts_new ();
    g_autoptr (GPtrArray) names = NULL;

    if (!tern_parts_flatten (ctx, branches->pdata[i], flat))
      continue;
    names = tern_parts_names (flat);
    if (g_ptr_array_find_with_equal_func (names, found->text, g_str_equal, NULL))
      tern_parts_add (branches->pdata[i], TERN_PART_REQUIRED, found, found->text);
  }
}

static TernNode
alternatives (TernSchema *ctx, const GArray *flat, guint choice)
{
  const TernPart *part = &g_array_index (flat, TernPart, choice);
  gboolean one = part->kind == TERN_PART_ONE_OF;
  const TernJsonValue *list = tern_json_member (part->at, one ? "oneOf" : "anyOf");
  g_autoptr (GPtrArray) branches = g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  g_autofree TernNode *nodes = g_new (TernNode, list->n);
  guint n = 0;

  for (const TernJsonValue *item = list->first; item; item = item->next)
    g_ptr_array_add (branches, branch_parts (flat, choice, item));
  require_discriminator (ctx, branches, part->at);
  if (one)
    tell_apart (ctx, branches, list);
  for (guint i = 0; i < branches->len && !ctx->failed; i++) {
    nodes[n] = tern_schema_compile (ctx, branches->pdata[i]);
    n += nodes[n] != TERN_NODE_NONE;
  }
  return n == 0 || ctx->failed ? TERN_NODE_NONE : tern_grammar_choice (ctx->builder, nodes, n);
}

/* ---- Sets of parts ----------------------------------------------------------------------------------------------- */

static TernNode
compile_flat (TernSchema *ctx, const GArray *flat)
{
  g_auto (TernSchemaFacts) facts = { NULL };
  g_autoptr (GPtrArray) values = NULL;
  TernNode node;

  if (flat->len == 0)
    return any_value (ctx);
  for (guint i = 0; i < flat->len; i++) {
    TernPartKind kind = g_array_index (flat, TernPart, i).kind;

    if (kind != TERN_PART_ANY_OF && kind != TERN_PART_ONE_OF)
      continue;
    node = alternatives (ctx, flat, i);
    return node == TERN_NODE_NONE ? node : as_rule (ctx, node, flat);
  }
  if (!tern_schema_facts (ctx, flat, &facts))
    return TERN_NODE_NONE;
  values = tern_schema_values (ctx, &facts);
  if (ctx->failed)
    return TERN_NODE_NONE;
  if (values)
    return values_node (ctx, values, &facts);
  node = types_node (ctx, &facts, place_of (ctx, flat));
  if (node == TERN_NODE_NONE || !(facts.said & (TERN_TYPE_ARRAY | TERN_TYPE_OBJECT)))
    return node;
  return as_rule (ctx, node, flat);
}

TernNode
tern_schema_compile (TernSchema *ctx, const GArray *parts)
{
  g_autoptr (GArray) flat = NULL;
  GBytes *key;
  Known *known;

  if (!tern_schema_work (ctx, place_of (ctx, parts)))
    return TERN_NODE_NONE;
  key = g_bytes_new (parts->data, (gsize) parts->len * sizeof (TernPart));
  known = g_hash_table_lookup (ctx->known, key);
  if (known) {
    g_bytes_unref (key);
    if (!known->busy)
      return known->node;
    if (!known->declared)
      known->rule = declare (ctx, parts);
    known->declared = TRUE;
    return tern_grammar_reference (ctx->builder, known->rule);
  }
  known = g_new0 (Known, 1);
  known->busy = TRUE;
  known->node = TERN_NODE_NONE;
  g_hash_table_insert (ctx->known, key, known);
  flat = parts_new ();
  ctx->depth++;
  if (tern_parts_flatten (ctx, parts, flat))
    known->node = compile_flat (ctx, flat);
  ctx->depth--;
  known->busy = FALSE;
  if (known->declared) {
    tern_grammar_define (ctx->builder, known->rule,
        known->node == TERN_NODE_NONE ? tern_grammar_class (ctx->builder, NULL, 0, FALSE) : known->node);
    known->node = known->node == TERN_NODE_NONE ? TERN_NODE_NONE : tern_grammar_reference (ctx->builder, known->rule);
  }
  return known->node;
}

static TernGrammar *
build (TernSchema *ctx)
{
  const TernJsonValue *root = tern_json_document_root (ctx->document);
  g_autoptr (GArray) parts = parts_new ();
  TernGrammar *grammar;
  TernRule rule;
  TernNode node;

  if (!tern_schema_check_root (ctx, root))
    return NULL;
  tern_parts_add (parts, TERN_PART_WHOLE, root, NULL);
  node = tern_schema_compile (ctx, parts);
  if (ctx->failed)
    return NULL;
  if (node == TERN_NODE_NONE) {
    g_set_error (ctx->error, TERN_ERROR, TERN_ERROR_INVALID, "JSON Schema, %s", ctx->why ? ctx->why : "#: nothing satisfies it");
    return NULL;
  }
  rule = tern_grammar_declare (ctx->builder, "root");
  tern_grammar_define (ctx->builder, rule, node);
  grammar = tern_grammar_build (ctx->builder, rule, ctx->error);
  if (!grammar)
    g_prefix_error (ctx->error, "JSON Schema: ");
  return grammar;
}

TernGrammar *
tern_grammar_from_json_schema (const char *json, GError **error)
{
  g_autoptr (TernJsonDocument) document = tern_json_document_new (json, error);
  g_autoptr (TernJsonDocument) string = document ? tern_json_document_new ("{\"type\": \"string\"}", error) : NULL;
  g_autoptr (TernGrammarBuilder) builder = tern_grammar_builder_new ();
  g_autoptr (GHashTable) known = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, g_free);
  g_autoptr (GPtrArray) expanding = g_ptr_array_new ();
  TernSchema ctx = { .builder = builder, .document = document, .string = string, .known = known, .expanding = expanding,
    .error = error };
  TernGrammar *grammar;

  if (!string)
    return NULL;
  grammar = build (&ctx);
  g_free (ctx.why);
  return grammar;
}
