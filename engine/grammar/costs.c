/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many tokens suffice to the end, from each state of a program: by tokens of the vocabulary that stay within a piece,
 * so that whoever goes this way never finds that the next step is not a token. Longer ones that leave a piece are not
 * counted on: they can only make an answer shorter. */
#include <string.h>

#include "engine/base/heap.h"
#include "engine/grammar/constraint-priv.h"

#define WALK_NODES (12u << 20)  /* of the trie, for one constraint: what is left beyond is said byte by byte */
#define MANY_MAX 4096

/* ---- Items ------------------------------------------------------------------------------------------------------- */

typedef struct {
  guint8 state, whole;          /* at the token's end, and how many items ended in it */
} ItemEnd;

/* Where the tokens lead from @from: every pair once, those that end more than 255 items left out. */
static GArray *
item_ends (const TernItem *item, const TernTokenTrie *trie, guint from, gint64 *budget)
{
  GArray *ends = g_array_new (FALSE, FALSE, sizeof (ItemEnd));
  guint8 states[TERN_TOKEN_BYTES_MAX + 1], wholes[TERN_TOKEN_BYTES_MAX + 1];
  g_autofree guint8 *seen = g_malloc0 (item->n * 256);
  gboolean by_bytes = *budget <= 0;

  states[0] = from;
  wholes[0] = 0;
  for (guint i = 0; i < trie->n_nodes;) {
    const TernTrieNode *node = &trie->nodes[i];
    guint8 next = states[node->depth], whole = wholes[node->depth];

    --*budget;
    if ((by_bytes && node->depth > 0) || !tern_item_step (item, &next, &whole, node->byte)) {
      i += node->size;
      continue;
    }
    states[node->depth + 1] = next;
    wholes[node->depth + 1] = whole;
    if (node->id >= 0 && !seen[next * 256 + whole]) {
      ItemEnd end = { next, whole };

      seen[next * 256 + whole] = TRUE;
      g_array_append_val (ends, end);
    }
    i++;
  }
  return ends;
}

/* By items' states: finish; by numbers of whole ones: many. */
static void
find_item_costs (const TernItem *item, const TernTokenTrie *trie, guint most, TernItemCosts *costs, gint64 *budget)
{
  g_autoptr (GPtrArray) ends = g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  const GArray *whole;
  gboolean changed = TRUE;

  costs->finish = g_new (guint32, item->n);
  for (guint i = 0; i < item->n; i++) {
    costs->finish[i] = TERN_COST_ENDLESS;
    g_ptr_array_add (ends, item_ends (item, trie, i, budget));
  }
  while (changed) {
    changed = FALSE;
    for (guint i = 0; i < item->n; i++) {
      const GArray *list = g_ptr_array_index (ends, i);

      for (guint k = 0; k < list->len; k++) {
        const ItemEnd *end = &g_array_index (list, ItemEnd, k);
        guint32 cost = TERN_COST_ENDLESS;

        if (end->whole == 0)
          cost = tern_cost_add (1, costs->finish[end->state]);
        else if (end->whole == 1 && end->state == 0)
          cost = 1;
        if (cost < costs->finish[i]) {
          costs->finish[i] = cost;
          changed = TRUE;
        }
      }
    }
  }
  costs->n_many = MIN (most, MANY_MAX) + 1;
  costs->many = g_new0 (guint32, costs->n_many);
  whole = g_ptr_array_index (ends, 0);
  for (guint n = 1; n < costs->n_many; n++) {
    costs->many[n] = tern_cost_add (costs->many[n - 1], costs->finish[0]);
    for (guint k = 0; k < whole->len; k++) {
      const ItemEnd *end = &g_array_index (whole, ItemEnd, k);

      if (end->state == 0 && end->whole <= n && end->whole > 0)
        costs->many[n] = MIN (costs->many[n], tern_cost_add (1, costs->many[n - end->whole]));
    }
  }
}

guint32
tern_item_many (const TernItemCosts *costs, guint32 n)
{
  guint32 step = costs->n_many - 1;

  if (n <= step)
    return costs->many[n];
  if (step == 0)
    return tern_cost_times (costs->finish[0], n);
  return tern_cost_add (tern_cost_times (costs->many[step], n / step), costs->many[n % step]);
}

static void
find_items (TernConstraint *c, gint64 *budget)
{
  const TernGrammar *g = c->grammar;
  g_autofree guint32 *most = g_new0 (guint32, MAX (g->items->len, 1));

  for (guint i = 0; i < g->runs->len; i++) {
    const TernRun *run = &g_array_index (g->runs, TernRun, i);

    most[run->item] = MAX (most[run->item], run->min);
  }
  c->item_costs = g_new0 (TernItemCosts, MAX (g->items->len, 1));
  for (guint i = 0; i < g->items->len; i++)
    find_item_costs (&g_array_index (g->items, TernItem, i), c->trie, most[i], &c->item_costs[i], budget);
}

/* ---- States ------------------------------------------------------------------------------------------------------ */

/* Who depends on whom: states, and after them the sets in which tokens end. */
typedef struct {
  guint32 from, to;
} Edge;

/* The sets in which the tokens end that may be said in @state. */
static void
token_edges (TernConstraint *c, guint32 state, GHashTable *seen, gint64 *budget, GArray *edges)
{
  const TernTokenTrie *trie = c->trie;
  guint32 sets[TERN_TOKEN_BYTES_MAX + 1];
  guint n_states = c->grammar->ops->len, n;
  guint by_bytes = *budget <= 0;

  g_hash_table_remove_all (seen);
  sets[0] = tern_sets_single (&c->sets, state);
  for (guint i = 0; i < trie->n_nodes;) {
    const TernTrieNode *node = &trie->nodes[i];
    const guint32 *next;

    if (node->depth == 0 && !tern_set_has (tern_set (&c->sets, sets[0]), node->byte)) {
      i += node->size;
      continue;
    }
    --*budget;
    next = by_bytes && node->depth > 0 ? (n = 0, NULL) : tern_sets_step (&c->sets, sets[node->depth], node->byte, &n);
    if (n != 1) {
      i += node->size;
      continue;
    }
    sets[node->depth + 1] = next[0];
    if (node->id >= 0 && g_hash_table_add (seen, GUINT_TO_POINTER (next[0]))) {
      Edge edge = { n_states + next[0], state };

      g_array_append_val (edges, edge);
    }
    i++;
  }
}

static void
find_edges (TernConstraint *c, gint64 *budget, GArray *edges)
{
  const TernGrammar *g = c->grammar;
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < g->ops->len; i++) {
    const TernOp *op = tern_op (g, i);
    Edge edge = { op->next, i };

    switch (op->kind) {
      case TERN_OP_BYTE:
        token_edges (c, i, seen, budget, edges);
        continue;
      case TERN_OP_SPLIT:
        for (guint k = 0; k < op->n; k++) {
          edge.from = g_array_index (g->targets, guint32, op->at + k);
          g_array_append_val (edges, edge);
        }
        continue;
      case TERN_OP_END:
        continue;
      case TERN_OP_CALL:
        g_array_append_val (edges, edge);
        edge.from = op->at;
        break;
      case TERN_OP_COUNT:
        g_array_append_val (edges, edge);
        edge.from = g_array_index (g->counts, TernCount, op->at).start;
        break;
      default:
        break;
    }
    g_array_append_val (edges, edge);
  }
  for (guint i = 1; i < c->sets.sets->len; i++) {
    const TernSet *set = tern_set (&c->sets, i);

    for (guint k = 0; k < set->n; k++) {
      Edge edge = { set->members[k], g->ops->len + i };

      g_array_append_val (edges, edge);
    }
  }
}

typedef struct {
  guint32 cost, node;
} Reached;

static gboolean
cheaper (const Reached *a, const Reached *b)
{
  return a->cost != b->cost ? a->cost < b->cost : a->node < b->node;
}

TERN_DEFINE_HEAP (reached, Reached, cheaper)

/* The cost of @node, of which what comes next costs @cost. */
static guint32
cost_of (const TernConstraint *c, const guint32 *costs, guint32 node, guint32 cost)
{
  const TernGrammar *g = c->grammar;
  const TernOp *op;

  if (node >= g->ops->len)
    return cost;
  op = tern_op (g, node);
  switch (op->kind) {
    case TERN_OP_BYTE:
      return tern_cost_add (cost, 1);
    case TERN_OP_CALL:
      return tern_cost_add (costs[op->at], costs[op->next]);
    case TERN_OP_RUN:
    {
      const TernRun *run = &g_array_index (g->runs, TernRun, op->at);

      return tern_cost_add (tern_item_many (&c->item_costs[run->item], run->min), cost);
    }
    case TERN_OP_COUNT:
    {
      const TernCount *count = &g_array_index (g->counts, TernCount, op->at);

      return tern_cost_add (tern_cost_times (costs[count->start], count->min), costs[op->next]);
    }
    default:
      return cost;
  }
}

/* Cheapest first: what a node costs is never less than what it depends on. */
static void
find_state_costs (TernConstraint *c, const GArray *edges, guint n_nodes)
{
  g_autofree guint32 *first = g_new0 (guint32, n_nodes + 2), *to = g_new (guint32, MAX (edges->len, 1));
  g_autofree guint32 *costs = g_new (guint32, n_nodes);
  g_autofree guint8 *done = g_malloc0 (n_nodes);
  g_autoptr (GArray) heap = g_array_new (FALSE, FALSE, sizeof (Reached));
  Reached start = { 0, TERN_STATE_END };

  for (guint i = 0; i < edges->len; i++)
    first[g_array_index (edges, Edge, i).from + 2]++;
  for (guint i = 2; i < n_nodes + 2; i++)
    first[i] += first[i - 1];
  for (guint i = 0; i < edges->len; i++)
    to[first[g_array_index (edges, Edge, i).from + 1]++] = g_array_index (edges, Edge, i).to;
  for (guint i = 0; i < n_nodes; i++)
    costs[i] = TERN_COST_ENDLESS;
  costs[TERN_STATE_END] = 0;
  g_array_append_val (heap, start);
  while (heap->len > 0) {
    Reached least = reached_pop ((Reached *) heap->data, heap->len);

    g_array_set_size (heap, heap->len - 1);
    if (done[least.node])
      continue;
    done[least.node] = TRUE;
    for (guint32 k = first[least.node]; k < first[least.node + 1]; k++) {
      Reached next = { cost_of (c, costs, to[k], least.cost), to[k] };

      if (next.cost >= costs[next.node] || next.cost >= TERN_COST_ENDLESS)
        continue;
      costs[next.node] = next.cost;
      g_array_append_val (heap, next);
      reached_rise ((Reached *) heap->data, heap->len - 1, next);
    }
  }
  memcpy (c->costs, costs, c->grammar->ops->len * sizeof *costs);
}

void
tern_constraint_find_costs (TernConstraint *c)
{
  gint64 budget = WALK_NODES;
  g_autoptr (GArray) edges = g_array_new (FALSE, FALSE, sizeof (Edge));

  find_items (c, &budget);
  find_edges (c, &budget, edges);
  c->costs = g_new (guint32, c->grammar->ops->len);
  find_state_costs (c, edges, c->grammar->ops->len + c->sets.sets->len);
  tern_sets_set_costs (&c->sets, c->costs);
}
