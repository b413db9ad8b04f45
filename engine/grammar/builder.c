/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the nodes of a grammar. */
#include <string.h>

#include "engine/grammar/grammar-priv.h"
#include "tern/error.h"

#define BYTES_MAX (1u << 24)
#define ITEMS_MAX (1u << 23)
#define RULES_MAX (1u << 18)

G_GNUC_PRINTF (2, 3)
static void
fail (TernGrammarBuilder *b, const char *format, ...)
{
  va_list args;

  if (b->failed)
    return;
  va_start (args, format);
  b->failed = g_strdup_vprintf (format, args);
  va_end (args);
}

/* ---- Nodes that say the same are one ----------------------------------------------------------------------------- */

/* The words and bytes that a node is made of; arrays that nothing was put into yet have no place. */
static const void *
content (const TernGrammarBuilder *b, const TernNodeData *node, gsize *size)
{
  switch (node->kind) {
    case TERN_NODE_BYTES:
      *size = node->n;
      return *size > 0 ? (const void *) (b->bytes->data + node->at) : "";
    case TERN_NODE_CLASS:
      *size = node->n * sizeof (TernCharRange);
      return *size > 0 ? (const void *) &g_array_index (b->ranges, TernCharRange, node->at) : "";
    case TERN_NODE_SEQUENCE:
    case TERN_NODE_CHOICE:
      *size = node->n * sizeof (TernNode);
      return tern_node_items (b, node);
    default:
      *size = 0;
      return NULL;
  }
}

static guint32
hash (guint32 seed, const void *data, gsize n)
{
  const guint8 *p = data;

  for (gsize i = 0; i < n; i++)
    seed = (seed ^ p[i]) * 16777619u;
  return seed;
}

static guint32
node_hash (const TernGrammarBuilder *b, const TernNodeData *node)
{
  gsize size;
  const void *data = content (b, node, &size);
  guint32 words[4] = { node->kind, data ? 0 : node->at, node->n, node->max };

  return hash (hash (2166136261u, words, sizeof words), data, size);
}

static gboolean
node_equal (const TernGrammarBuilder *b, const TernNodeData *x, const TernNodeData *y)
{
  gsize size;
  const void *data, *other;

  if (x->kind != y->kind || x->n != y->n || x->max != y->max)
    return FALSE;
  data = content (b, x, &size);
  if (!data)
    return x->at == y->at;
  other = content (b, y, &size);
  return size == 0 || memcmp (data, other, size) == 0;
}

static guint32 *
find_slot (const TernGrammarBuilder *b, const TernNodeData *node)
{
  guint32 i = node_hash (b, node) & b->mask;

  while (b->slots[i] && !node_equal (b, tern_node (b, b->slots[i] - 1), node))
    i = (i + 1) & b->mask;
  return &b->slots[i];
}

static void
grow_slots (TernGrammarBuilder *b)
{
  b->mask = b->mask ? 2 * b->mask + 1 : 255;
  g_free (b->slots);
  b->slots = g_new0 (guint32, (gsize) b->mask + 1);
  for (guint i = 0; i < b->nodes->len; i++)
    *find_slot (b, tern_node (b, i)) = i + 1;
}

static guint
depth_of (const TernGrammarBuilder *b, const TernNodeData *node)
{
  const TernNode *items = &node->at;
  guint n = node->kind == TERN_NODE_REPEAT, depth = 0;

  if (node->kind == TERN_NODE_SEQUENCE || node->kind == TERN_NODE_CHOICE) {
    items = tern_node_items (b, node);
    n = node->n;
  }
  for (guint i = 0; i < n; i++)
    depth = MAX (depth, tern_node (b, items[i])->depth + 1u);
  return depth;
}

/* The node that says what @node does. Its content was appended to its array, and goes if there is one already. */
static TernNode
add (TernGrammarBuilder *b, TernNodeData node)
{
  guint32 *slot;
  guint depth;

  if (2 * b->nodes->len >= b->mask)
    grow_slots (b);
  slot = find_slot (b, &node);
  if (*slot) {
    if (node.kind == TERN_NODE_BYTES)
      g_byte_array_set_size (b->bytes, node.at);
    else if (node.kind == TERN_NODE_CLASS)
      g_array_set_size (b->ranges, node.at);
    else if (node.kind == TERN_NODE_SEQUENCE || node.kind == TERN_NODE_CHOICE)
      g_array_set_size (b->items, node.at);
    return *slot - 1;
  }
  depth = depth_of (b, &node);
  if (depth > TERN_DEPTH_MAX) {
    fail (b, "a grammar is nested too deeply: expected at most %u levels", TERN_DEPTH_MAX);
    return 0;
  }
  if (b->nodes->len >= TERN_NODES_MAX || b->items->len > ITEMS_MAX || b->ranges->len > ITEMS_MAX
      || b->bytes->len > BYTES_MAX) {
    fail (b, "a grammar is too large: expected at most %u parts and %u bytes", TERN_NODES_MAX, BYTES_MAX);
    return 0;
  }
  node.depth = depth;
  g_array_append_val (b->nodes, node);
  *slot = b->nodes->len;
  return b->nodes->len - 1;
}

/* ---- The builder ------------------------------------------------------------------------------------------------- */

static void
clear_rule (gpointer rule)
{
  g_free (((TernRuleData *) rule)->name);
}

TernGrammarBuilder *
tern_grammar_builder_new (void)
{
  TernGrammarBuilder *b = g_new0 (TernGrammarBuilder, 1);

  b->nodes = g_array_new (FALSE, FALSE, sizeof (TernNodeData));
  b->items = g_array_new (FALSE, FALSE, sizeof (TernNode));
  b->ranges = g_array_new (FALSE, FALSE, sizeof (TernCharRange));
  b->bytes = g_byte_array_new ();
  b->rules = g_array_new (FALSE, FALSE, sizeof (TernRuleData));
  g_array_set_clear_func (b->rules, clear_rule);
  tern_grammar_bytes (b, "", 0);
  return b;
}

void
tern_grammar_builder_free (TernGrammarBuilder *b)
{
  if (!b)
    return;
  g_array_unref (b->nodes);
  g_array_unref (b->items);
  g_array_unref (b->ranges);
  g_byte_array_unref (b->bytes);
  g_array_unref (b->rules);
  g_free (b->slots);
  g_free (b->failed);
  g_free (b);
}

TernNode
tern_grammar_bytes (TernGrammarBuilder *b, const char *bytes, gsize n)
{
  TernNodeData node = { .kind = TERN_NODE_BYTES, .at = b->bytes->len };

  if (n > BYTES_MAX) {
    fail (b, "a grammar is too large: expected at most %u bytes, found %" G_GSIZE_FORMAT, BYTES_MAX, n);
    return 0;
  }
  node.n = n;
  g_byte_array_append (b->bytes, (const guint8 *) bytes, n);
  return add (b, node);
}

static int
by_first (const void *a, const void *b)
{
  gunichar x = ((const TernCharRange *) a)->first, y = ((const TernCharRange *) b)->first;

  return x < y ? -1 : x > y;
}

/* Scalar values of [first, last], which surrogates are not. */
static void
append_scalars (GArray *ranges, gunichar first, gunichar last)
{
  last = MIN (last, 0x10ffff);
  if (first <= 0xdfff && last >= 0xd800) {
    if (first < 0xd800)
      append_scalars (ranges, first, 0xd7ff);
    if (last > 0xdfff)
      append_scalars (ranges, 0xe000, last);
  } else if (first <= last) {
    TernCharRange range = { first, last };

    g_array_append_val (ranges, range);
  }
}

TernNode
tern_grammar_class (TernGrammarBuilder *b, const TernCharRange *ranges, guint n, gboolean negate)
{
  TernNodeData node = { .kind = TERN_NODE_CLASS, .at = b->ranges->len };
  g_autofree TernCharRange *sorted = n ? g_memdup2 (ranges, n * sizeof *ranges) : NULL;
  gunichar first = 0, last = 0, free_from = 0;
  guint i = 0;

  if (n)
    qsort (sorted, n, sizeof *sorted, by_first);
  while (i < n) {
    if (sorted[i].first > sorted[i].last) {
      i++;
      continue;
    }
    first = sorted[i].first;
    for (last = sorted[i].last; i < n && (sorted[i].first <= last || sorted[i].first == last + 1); i++)
      if (sorted[i].first <= sorted[i].last)
        last = MAX (last, sorted[i].last);
    last = MIN (last, 0x10ffff);
    if (first > last)
      break;
    if (!negate)
      append_scalars (b->ranges, first, last);
    else if (first > free_from)
      append_scalars (b->ranges, free_from, first - 1);
    free_from = last + 1;
  }
  if (negate)
    append_scalars (b->ranges, free_from, 0x10ffff);
  node.n = b->ranges->len - node.at;
  return add (b, node);
}

static gboolean
is_node (TernGrammarBuilder *b, TernNode node)
{
  if (node < b->nodes->len)
    return TRUE;
  fail (b, "a grammar uses part %u of %u", node, b->nodes->len);
  return FALSE;
}

/* Adds the bytes of @node; while all strings are empty there are none to point to. */
static void
append_bytes (const TernGrammarBuilder *b, GByteArray *text, const TernNodeData *node)
{
  if (node->n > 0)
    g_byte_array_append (text, b->bytes->data + node->at, node->n);
}

/* Bytes side by side are one string; what is empty goes. */
TernNode
tern_grammar_sequence (TernGrammarBuilder *b, const TernNode *items, guint n)
{
  g_autoptr (GArray) kept = g_array_new (FALSE, FALSE, sizeof (TernNode));
  TernNodeData node = { .kind = TERN_NODE_SEQUENCE };

  for (guint i = 0; i < n; i++) {
    g_autoptr (GByteArray) text = NULL;
    TernNode item = items[i];

    if (!is_node (b, item))
      return 0;
    while (i + 1 < n && tern_node (b, item)->kind == TERN_NODE_BYTES && is_node (b, items[i + 1])
        && tern_node (b, items[i + 1])->kind == TERN_NODE_BYTES) {
      const TernNodeData *more = tern_node (b, items[++i]);

      if (!text) {
        text = g_byte_array_new ();
        append_bytes (b, text, tern_node (b, item));
      }
      append_bytes (b, text, more);
    }
    if (text)
      item = tern_grammar_bytes (b, (const char *) text->data, text->len);
    if (item != 0)
      g_array_append_val (kept, item);
  }
  if (kept->len == 0)
    return 0;
  if (kept->len == 1)
    return g_array_index (kept, TernNode, 0);
  node.at = b->items->len;
  node.n = kept->len;
  g_array_append_vals (b->items, kept->data, kept->len);
  return add (b, node);
}

TernNode
tern_grammar_choice (TernGrammarBuilder *b, const TernNode *items, guint n)
{
  TernNodeData node = { .kind = TERN_NODE_CHOICE, .at = b->items->len, .n = n };

  for (guint i = 0; i < n; i++)
    if (!is_node (b, items[i]))
      return 0;
  if (n == 1)
    return items[0];
  g_array_append_vals (b->items, items, n);
  return add (b, node);
}

TernNode
tern_grammar_repeat (TernGrammarBuilder *b, TernNode item, guint min, guint max)
{
  TernNodeData node = { .kind = TERN_NODE_REPEAT, .at = item, .n = min, .max = max };

  if (!is_node (b, item))
    return 0;
  if (min > max) {
    fail (b, "a grammar repeats a part at least %u and at most %u times", min, max);
    return 0;
  }
  if (item == 0 || max == 0)
    return 0;
  return min == 1 && max == 1 ? item : add (b, node);
}

TernRule
tern_grammar_declare (TernGrammarBuilder *b, const char *name)
{
  TernRuleData rule = { .node = 0 };

  if (b->rules->len >= RULES_MAX) {
    fail (b, "a grammar has too many rules: expected at most %u", RULES_MAX);
    return 0;
  }
  rule.name = g_strdup (name);
  g_array_append_val (b->rules, rule);
  return b->rules->len - 1;
}

TernNode
tern_grammar_reference (TernGrammarBuilder *b, TernRule rule)
{
  if (rule >= b->rules->len) {
    fail (b, "a grammar refers to rule %u of %u", rule, b->rules->len);
    return 0;
  }
  return add (b, (TernNodeData) { .kind = TERN_NODE_REFERENCE, .at = rule });
}

void
tern_grammar_define (TernGrammarBuilder *b, TernRule rule, TernNode node)
{
  TernRuleData *data;

  if (rule >= b->rules->len || !is_node (b, node)) {
    fail (b, "a grammar defines rule %u of %u", rule, b->rules->len);
    return;
  }
  data = tern_rule (b, rule);
  if (data->defined)
    fail (b, "rule \"%s\" is defined twice", data->name);
  data->node = node;
  data->defined = TRUE;
}

/* ---- The grammar ------------------------------------------------------------------------------------------------- */

TernGrammar *
tern_grammar_build (TernGrammarBuilder *b, TernRule root, GError **error)
{
  g_auto (TernNodeFacts) facts = { NULL };

  if (root >= b->rules->len)
    fail (b, "a grammar begins with rule %u of %u", root, b->rules->len);
  if (b->failed) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, b->failed);
    return NULL;
  }
  if (!tern_grammar_check (b, root, &facts, error))
    return NULL;
  return tern_grammar_compile (b, &facts, root, error);
}

TernGrammar *
tern_grammar_ref (TernGrammar *grammar)
{
  g_atomic_ref_count_inc (&grammar->refs);
  return grammar;
}

void
tern_grammar_unref (TernGrammar *grammar)
{
  if (!grammar || !g_atomic_ref_count_dec (&grammar->refs))
    return;
  g_array_unref (grammar->ops);
  g_array_unref (grammar->targets);
  for (guint i = 0; i < grammar->items->len; i++) {
    g_free (g_array_index (grammar->items, TernItem, i).next);
    g_free (g_array_index (grammar->items, TernItem, i).live);
  }
  g_array_unref (grammar->items);
  g_array_unref (grammar->runs);
  g_array_unref (grammar->counts);
  g_free (grammar);
}
