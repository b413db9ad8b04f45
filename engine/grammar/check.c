/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold of a grammar before it is compiled: rules are defined, have a sentence, and do not begin with themselves;
 * what is repeated is never the empty string. */
#include <string.h>

#include "engine/grammar/grammar-priv.h"
#include "tern/error.h"

/* What a node is made of, references followed. */
static const TernNode *
children (const TernGrammarBuilder *b, const TernNodeData *node, guint *n)
{
  *n = 0;
  switch (node->kind) {
    case TERN_NODE_SEQUENCE:
    case TERN_NODE_CHOICE:
      *n = node->n;
      return tern_node_items (b, node);
    case TERN_NODE_REPEAT:
      *n = 1;
      return &node->at;
    case TERN_NODE_REFERENCE:
      *n = 1;
      return &tern_rule (b, node->at)->node;
    default:
      return NULL;
  }
}

/* ---- Which nodes may be empty, and which have a sentence --------------------------------------------------------- */

typedef struct {
  guint32 *first;               /* [nodes + 1] of parents */
  guint32 *parents;
} Parents;

static void
parents_clear (Parents *parents)
{
  g_free (parents->first);
  g_free (parents->parents);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Parents, parents_clear)

static void
find_parents (const TernGrammarBuilder *b, Parents *to)
{
  guint n_nodes = b->nodes->len, n;

  to->first = g_new0 (guint32, n_nodes + 2);
  for (guint i = 0; i < n_nodes; i++) {
    const TernNode *below = children (b, tern_node (b, i), &n);

    for (guint k = 0; k < n; k++)
      to->first[below[k] + 2]++;
  }
  for (guint i = 2; i < n_nodes + 2; i++)
    to->first[i] += to->first[i - 1];
  to->parents = g_new (guint32, MAX (to->first[n_nodes + 1], 1));
  for (guint i = 0; i < n_nodes; i++) {
    const TernNode *below = children (b, tern_node (b, i), &n);

    for (guint k = 0; k < n; k++)
      to->parents[to->first[below[k] + 1]++] = i;
  }
}

/* Marks what is true of a node by itself, and what follows from its children: of all for a sequence, of one for others. */
static GByteArray *
mark (const TernGrammarBuilder *b, const Parents *parents, gboolean (*itself) (const TernNodeData *node))
{
  guint n_nodes = b->nodes->len;
  GByteArray *marks = g_byte_array_sized_new (n_nodes);
  g_autofree guint32 *missing = g_new0 (guint32, n_nodes), *queue = g_new (guint32, n_nodes);
  guint n_queue = 0;

  g_byte_array_set_size (marks, n_nodes);
  memset (marks->data, 0, n_nodes);
  for (guint i = 0; i < n_nodes; i++) {
    const TernNodeData *node = tern_node (b, i);

    missing[i] = node->kind == TERN_NODE_SEQUENCE ? node->n : 1;
    if (itself (node)) {
      marks->data[i] = TRUE;
      queue[n_queue++] = i;
    }
  }
  while (n_queue > 0) {
    guint32 node = queue[--n_queue];

    for (guint32 k = parents->first[node]; k < parents->first[node + 1]; k++) {
      guint32 parent = parents->parents[k];

      if (!marks->data[parent] && --missing[parent] == 0) {
        marks->data[parent] = TRUE;
        queue[n_queue++] = parent;
      }
    }
  }
  return marks;
}

static gboolean
is_empty_itself (const TernNodeData *node)
{
  return node->kind == TERN_NODE_REPEAT ? node->n == 0 : node->kind == TERN_NODE_BYTES && node->n == 0;
}

static gboolean
is_sentence_itself (const TernNodeData *node)
{
  return node->kind == TERN_NODE_BYTES || (node->kind == TERN_NODE_REPEAT && node->n == 0)
      || (node->kind == TERN_NODE_CLASS && node->n > 0);
}

void
tern_node_facts_clear (TernNodeFacts *facts)
{
  g_clear_pointer (&facts->nullable, g_byte_array_unref);
  g_clear_pointer (&facts->productive, g_byte_array_unref);
}

static void
find_facts (const TernGrammarBuilder *b, TernNodeFacts *facts)
{
  g_auto (Parents) parents = { NULL };

  tern_node_facts_clear (facts);
  find_parents (b, &parents);
  facts->nullable = mark (b, &parents, is_empty_itself);
  facts->productive = mark (b, &parents, is_sentence_itself);
}

/* ---- What is repeated is not empty ------------------------------------------------------------------------------- */

/* X{m,n} of an X that may be empty says what Y{0,n} does, Y being X without the empty string. */
typedef struct {
  TernGrammarBuilder *b;
  const TernNodeFacts *facts;
  GHashTable *nodes;            /* node -> the same but never empty */
  GHashTable *rules;            /* rule -> likewise */
  GArray *todo;                 /* rules of which the likewise has to be defined */
} Strip;

static TernNode strip (Strip *s, TernNode node);

static gboolean
may_be_empty (const Strip *s, TernNode node)
{
  return node < s->facts->nullable->len ? s->facts->nullable->data[node] : node == 0;
}

static TernNode
strip_sequence (Strip *s, const TernNode *items, guint n)
{
  TernNode result = tern_grammar_class (s->b, NULL, 0, FALSE), tail = 0;

  while (n-- > 0) {
    TernNode first[2] = { strip (s, items[n]), tail }, both[2], rest[2] = { items[n], tail };

    both[0] = tern_grammar_sequence (s->b, first, 2);
    both[1] = result;
    result = tern_grammar_choice (s->b, both, 2);
    tail = tern_grammar_sequence (s->b, rest, 2);
  }
  return result;
}

static TernNode
strip_rule (Strip *s, TernRule rule)
{
  gpointer known;
  g_autofree char *name = NULL;

  if (!g_hash_table_lookup_extended (s->rules, GUINT_TO_POINTER (rule), NULL, &known)) {
    name = g_strdup (tern_rule (s->b, rule)->name);
    known = GUINT_TO_POINTER (tern_grammar_declare (s->b, name));
    g_hash_table_insert (s->rules, GUINT_TO_POINTER (rule), known);
    g_array_append_val (s->todo, rule);
  }
  return tern_grammar_reference (s->b, GPOINTER_TO_UINT (known));
}

static TernNode
strip_new (Strip *s, TernNodeData node)
{
  g_autofree TernNode *items = NULL;

  if (node.kind == TERN_NODE_SEQUENCE || node.kind == TERN_NODE_CHOICE)
    items = g_memdup2 (tern_node_items (s->b, &node), node.n * sizeof *items);
  switch (node.kind) {
    case TERN_NODE_SEQUENCE:
      return strip_sequence (s, items, node.n);
    case TERN_NODE_CHOICE:
      for (guint i = 0; i < node.n; i++)
        items[i] = strip (s, items[i]);
      return tern_grammar_choice (s->b, items, node.n);
    case TERN_NODE_REPEAT:
      return tern_grammar_repeat (s->b, strip (s, node.at), 1, node.max);
    case TERN_NODE_REFERENCE:
      return strip_rule (s, node.at);
    default:
      return tern_grammar_class (s->b, NULL, 0, FALSE);
  }
}

static TernNode
strip (Strip *s, TernNode node)
{
  gpointer known;

  if (!may_be_empty (s, node))
    return node;
  if (!g_hash_table_lookup_extended (s->nodes, GUINT_TO_POINTER (node), NULL, &known)) {
    known = GUINT_TO_POINTER (strip_new (s, *tern_node (s->b, node)));
    g_hash_table_insert (s->nodes, GUINT_TO_POINTER (node), known);
  }
  return GPOINTER_TO_UINT (known);
}

/* Repeats are changed where they stand. FALSE: nothing had to be. */
static gboolean
strip_repeats (TernGrammarBuilder *b, const TernNodeFacts *facts)
{
  Strip s = { b, facts, g_hash_table_new (NULL, NULL), g_hash_table_new (NULL, NULL),
    g_array_new (FALSE, FALSE, sizeof (TernRule)) };
  guint n_nodes = facts->nullable->len;
  gboolean any = FALSE;

  for (guint i = 0; i < n_nodes && !b->failed; i++)
    if (tern_node (b, i)->kind == TERN_NODE_REPEAT && may_be_empty (&s, tern_node (b, i)->at)) {
      strip (&s, tern_node (b, i)->at);
      any = TRUE;
    }
  while (s.todo->len > 0 && !b->failed) {
    TernRule rule = g_array_index (s.todo, TernRule, s.todo->len - 1);
    TernRule twin = GPOINTER_TO_UINT (g_hash_table_lookup (s.rules, GUINT_TO_POINTER (rule)));

    g_array_set_size (s.todo, s.todo->len - 1);
    tern_grammar_define (b, twin, strip (&s, tern_rule (b, rule)->node));
  }
  for (guint i = 0; any && i < b->nodes->len && !b->failed; i++) {
    TernNodeData *node = tern_node (b, i);

    if (node->kind == TERN_NODE_REPEAT && may_be_empty (&s, node->at)) {
      node->at = GPOINTER_TO_UINT (g_hash_table_lookup (s.nodes, GUINT_TO_POINTER (node->at)));
      node->n = 0;
    }
  }
  g_hash_table_unref (s.nodes);
  g_hash_table_unref (s.rules);
  g_array_unref (s.todo);
  return any;
}

/* ---- Rules ------------------------------------------------------------------------------------------------------- */

/* Nodes that are being looked at, the first of them first. */
typedef struct {
  TernNode node;
  guint next;                   /* child */
} Place;

/* How many children may stand at the node's left end. */
static guint
n_at_left (const TernGrammarBuilder *b, const TernNodeFacts *facts, TernNode node)
{
  guint n;
  const TernNode *below = children (b, tern_node (b, node), &n);

  if (tern_node (b, node)->kind == TERN_NODE_SEQUENCE)
    for (guint i = 0; i < n; i++)
      if (!facts->nullable->data[below[i]])
        return i + 1;
  return n;
}

/* The names on the way from the place @from back to it. */
static void
set_left_recursion (const TernGrammarBuilder *b, GArray *way, guint from, GError **error)
{
  g_autoptr (GString) names = g_string_new (NULL);
  const char *first = NULL;
  guint n = 0;

  for (guint i = from; i < way->len; i++) {
    const TernNodeData *node = tern_node (b, g_array_index (way, Place, i).node);

    if (node->kind != TERN_NODE_REFERENCE || n++ > 8)
      continue;
    if (!first)
      first = tern_rule (b, node->at)->name;
    else
      g_string_append_printf (names, "\"%s\", ", tern_rule (b, node->at)->name);
  }
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
      "rule \"%s\" refers to itself at its left end (%s\"%s\"): expected something else before it", first, names->str,
      first);
}

static gboolean
check_left_ends (const TernGrammarBuilder *b, const TernNodeFacts *facts, TernNode root, GError **error)
{
  g_autofree guint8 *seen = g_malloc0 (b->nodes->len);  /* 1 on the way, 2 done */
  g_autoptr (GArray) way = g_array_new (FALSE, FALSE, sizeof (Place));
  guint n;

  for (guint start = 0; start <= b->nodes->len; start++) {
    Place place = { start == 0 ? root : start - 1, 0 };

    if (seen[place.node])
      continue;
    seen[place.node] = 1;
    g_array_append_val (way, place);
    while (way->len > 0) {
      Place *top = &g_array_index (way, Place, way->len - 1);
      Place below = { 0, 0 };

      if (top->next == n_at_left (b, facts, top->node)) {
        seen[top->node] = 2;
        g_array_set_size (way, way->len - 1);
        continue;
      }
      below.node = children (b, tern_node (b, top->node), &n)[top->next++];
      if (seen[below.node] == 1) {
        guint from = way->len;

        while (g_array_index (way, Place, --from).node != below.node);
        set_left_recursion (b, way, from, error);
        return FALSE;
      }
      if (!seen[below.node]) {
        seen[below.node] = 1;
        g_array_append_val (way, below);
      }
    }
  }
  return TRUE;
}

static gboolean
check_rules (const TernGrammarBuilder *b, GError **error)
{
  for (guint i = 0; i < b->rules->len; i++)
    if (!tern_rule (b, i)->defined) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "rule \"%s\" is not defined", tern_rule (b, i)->name);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_sentences (const TernGrammarBuilder *b, const TernNodeFacts *facts, GError **error)
{
  for (guint i = 0; i < b->rules->len; i++)
    if (!facts->productive->data[tern_rule (b, i)->node]) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
          "rule \"%s\" has no sentence: expected a way through it that ends", tern_rule (b, i)->name);
      return FALSE;
    }
  return TRUE;
}

gboolean
tern_grammar_check (TernGrammarBuilder *b, TernRule root, TernNodeFacts *facts, GError **error)
{
  if (!check_rules (b, error))
    return FALSE;
  find_facts (b, facts);
  if (!check_sentences (b, facts, error))
    return FALSE;
  if (strip_repeats (b, facts)) {
    if (b->failed) {
      g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, b->failed);
      return FALSE;
    }
    find_facts (b, facts);
  }
  return check_left_ends (b, facts, tern_rule (b, root)->node, error);
}
