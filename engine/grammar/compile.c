/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From nodes to a program, from the end to the beginning: what comes next is known when a node is written. */
#include <string.h>

#include "engine/grammar/grammar-priv.h"
#include "tern/error.h"

#define INLINE_STATES 32        /* a node that is used in several places is a piece of its own if it is larger */
#define INLINE_DEPTH 1000
#define UNROLL_STATES 64        /* a repeat is written out if it takes no more */
#define ITEM_STATES 512         /* what a run repeats, before it is made deterministic */
#define ITEMS_STATES 8192       /* of all items together, deterministic */
#define WIDE 16                 /* bytes that an item may begin with: fewer are as well walked each time */
#define ENDLESS (1u << 30)

/* From 64-bit keys to states. */
typedef struct {
  guint64 *keys;
  guint32 *values;              /* TERN_STATE_NONE: free */
  guint n, mask;
} Map;

static guint
map_place (const Map *map, guint64 key)
{
  guint i = (key * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) >> 32) & map->mask;

  while (map->values[i] != TERN_STATE_NONE && map->keys[i] != key)
    i = (i + 1) & map->mask;
  return i;
}

static void
map_grow (Map *map)
{
  Map old = *map;

  map->mask = old.mask ? 2 * old.mask + 1 : 255;
  map->keys = g_new (guint64, (gsize) map->mask + 1);
  map->values = g_new (guint32, (gsize) map->mask + 1);
  memset (map->values, 0xff, ((gsize) map->mask + 1) * sizeof *map->values);
  for (guint i = 0; old.mask && i <= old.mask; i++)
    if (old.values[i] != TERN_STATE_NONE) {
      guint place = map_place (map, old.keys[i]);

      map->keys[place] = old.keys[i];
      map->values[place] = old.values[i];
    }
  g_free (old.keys);
  g_free (old.values);
}

static guint32
map_get (const Map *map, guint64 key)
{
  return map->mask ? map->values[map_place (map, key)] : TERN_STATE_NONE;
}

static void
map_put (Map *map, guint64 key, guint32 value)
{
  guint place;

  if (2 * map->n >= map->mask)
    map_grow (map);
  place = map_place (map, key);
  map->n += map->values[place] == TERN_STATE_NONE;
  map->keys[place] = key;
  map->values[place] = value;
}

static void
map_clear (Map *map)
{
  g_free (map->keys);
  g_free (map->values);
}

/* What is known of a node before it is written. */
typedef struct {
  guint8 visit;                 /* 1 on the way, 2 done */
  guint8 piece;                 /* called, not written where it is used */
  guint8 endless;               /* leads back to itself */
  guint16 depth;                /* pieces not followed */
  guint32 uses;
  guint32 size;                 /* states, about; pieces count as one */
  guint32 flat;                 /* if everything is written out */
  gint32 item;                  /* of what runs repeat; -1 none, -2 not known */
} Plan;

typedef struct {
  TernGrammarBuilder *b;
  const TernNodeFacts *facts;
  Plan *plans;
  TernGrammar *grammar;
  gboolean flat;                /* everything is written out */
  gboolean full;
  guint *item_states;           /* left */
  Map written;                  /* node and what follows -> state */
  Map bytes;                    /* range and what follows -> state */
  Map starts;                   /* piece's node -> state */
  GArray *todo;                 /* pieces */
} Compiler;

/* ---- Plans ------------------------------------------------------------------------------------------------------- */

static const TernNode *
children (const TernGrammarBuilder *b, const TernNodeData *node, guint *n)
{
  *n = node->kind == TERN_NODE_REPEAT || node->kind == TERN_NODE_REFERENCE;
  if (node->kind == TERN_NODE_REPEAT)
    return &node->at;
  if (node->kind == TERN_NODE_REFERENCE)
    return &tern_rule (b, node->at)->node;
  if (node->kind == TERN_NODE_SEQUENCE || node->kind == TERN_NODE_CHOICE) {
    *n = node->n;
    return tern_node_items (b, node);
  }
  return NULL;
}

static guint32
add_up (guint32 a, guint32 b)
{
  return MIN ((guint64) a + b, ENDLESS);
}

static guint32
times (guint32 a, guint32 b)
{
  return MIN ((guint64) a * b, ENDLESS);
}

static void
count_states (void *data, const TernByteRanges *ranges)
{
  *(guint32 *) data += ranges->n;
}

/* Those of the children are known. */
static void
plan_node (const TernGrammarBuilder *b, Plan *plans, TernNode i)
{
  const TernNodeData *node = tern_node (b, i);
  Plan *plan = &plans[i];
  guint n, most = node->max == TERN_REPEAT_MAX ? MAX (node->n, 1) : node->max;
  const TernNode *below = children (b, node, &n);

  plan->size = 1;
  if (node->kind == TERN_NODE_BYTES)
    plan->size = node->n;
  if (node->kind == TERN_NODE_CLASS)
    for (guint k = 0; k < node->n; k++) {
      const TernCharRange *range = &g_array_index (b->ranges, TernCharRange, node->at + k);

      tern_utf8_ranges (range->first, range->last, count_states, &plan->size);
    }
  plan->flat = plan->size;
  for (guint k = 0; k < n; k++) {
    const Plan *child = &plans[below[k]];

    plan->size = add_up (plan->size, child->piece ? 1 : child->size);
    plan->flat = add_up (plan->flat, child->endless ? ENDLESS : child->flat);
    plan->depth = MAX (plan->depth, child->piece ? 1 : child->depth + 1);
  }
  if (node->kind == TERN_NODE_REPEAT) {
    plan->flat = times (plan->flat, most);
    plan->size = MIN (times (plan->size, most), MAX (plan->size, UNROLL_STATES));
  }
  plan->piece = plan->endless || (plan->uses > 1 && plan->size > INLINE_STATES) || plan->depth > INLINE_DEPTH;
  plan->item = -2;
}

typedef struct {
  TernNode node;
  guint next;
} Place;

static Plan *
make_plans (const TernGrammarBuilder *b, TernNode root)
{
  Plan *plans = g_new0 (Plan, b->nodes->len);
  g_autoptr (GArray) way = g_array_new (FALSE, FALSE, sizeof (Place)), order = g_array_new (FALSE, FALSE, 4);
  Place place = { root, 0 };
  guint n;

  plans[root].visit = 1;
  g_array_append_val (way, place);
  while (way->len > 0) {
    Place *top = &g_array_index (way, Place, way->len - 1);
    const TernNode *below = children (b, tern_node (b, top->node), &n);

    if (top->next == n) {
      plans[top->node].visit = 2;
      g_array_append_val (order, top->node);
      g_array_set_size (way, way->len - 1);
      continue;
    }
    place.node = below[top->next++];
    plans[place.node].uses++;
    if (plans[place.node].visit == 1)
      plans[place.node].endless = TRUE;
    if (plans[place.node].visit == 0) {
      plans[place.node].visit = 1;
      g_array_append_val (way, place);
    }
  }
  for (guint i = 0; i < order->len; i++)
    plan_node (b, plans, g_array_index (order, TernNode, i));
  return plans;
}

/* ---- States ------------------------------------------------------------------------------------------------------ */

static guint32
add_state (Compiler *c, TernOp op)
{
  if (c->grammar->ops->len >= TERN_STATES_MAX || c->grammar->targets->len >= 4 * TERN_STATES_MAX) {
    c->full = TRUE;
    return TERN_STATE_NONE;
  }
  g_array_append_val (c->grammar->ops, op);
  return c->grammar->ops->len - 1;
}

static guint32
add_byte (Compiler *c, guint8 low, guint8 high, guint32 next)
{
  guint64 key = (guint64) next << 16 | low << 8 | high;
  guint32 state = map_get (&c->bytes, key);

  if (state != TERN_STATE_NONE)
    return state;
  state = add_state (c, (TernOp) { .kind = TERN_OP_BYTE, .low = low, .high = high, .next = next });
  if (state != TERN_STATE_NONE)
    map_put (&c->bytes, key, state);
  return state;
}

static void
set_split (Compiler *c, guint32 state, const guint32 *targets, guint n)
{
  TernOp *op;

  if (state == TERN_STATE_NONE)
    return;
  op = &g_array_index (c->grammar->ops, TernOp, state);
  op->at = c->grammar->targets->len;
  op->n = n;
  g_array_append_vals (c->grammar->targets, targets, n);
}

static guint32
add_split (Compiler *c, const guint32 *targets, guint n)
{
  guint32 state;

  if (n == 0)
    return TERN_STATE_NONE;
  if (n == 1 || (n == 2 && targets[0] == targets[1]))
    return targets[0];
  state = add_state (c, (TernOp) { .kind = TERN_OP_SPLIT });
  set_split (c, state, targets, n);
  return state;
}

static guint32
add_either (Compiler *c, guint32 first, guint32 second)
{
  guint32 targets[2] = { first, second };
  guint n = 0;

  if (first != TERN_STATE_NONE)
    targets[n++] = first;
  if (second != TERN_STATE_NONE)
    targets[n++] = second;
  return add_split (c, targets, n);
}

/* ---- Nodes ------------------------------------------------------------------------------------------------------- */

static guint32 write_node (Compiler *c, TernNode node, guint32 next);

static guint32
write_bytes (Compiler *c, const TernNodeData *node, guint32 next)
{
  for (guint i = node->n; i-- > 0 && next != TERN_STATE_NONE;) {
    guint8 byte = c->b->bytes->data[node->at + i];

    next = add_byte (c, byte, byte, next);
  }
  return next;
}

typedef struct {
  Compiler *c;
  guint32 next;
  GArray *firsts;
} ClassWriter;

static void
write_ranges (void *data, const TernByteRanges *ranges)
{
  ClassWriter *writer = data;
  guint32 state = writer->next;

  for (guint i = ranges->n; i-- > 0 && state != TERN_STATE_NONE;)
    state = add_byte (writer->c, ranges->low[i], ranges->high[i], state);
  if (state != TERN_STATE_NONE)
    g_array_append_val (writer->firsts, state);
}

static guint32
write_class (Compiler *c, const TernNodeData *node, guint32 next)
{
  g_autoptr (GArray) firsts = g_array_new (FALSE, FALSE, sizeof (guint32));
  ClassWriter writer = { c, next, firsts };

  for (guint i = 0; i < node->n; i++) {
    const TernCharRange *range = &g_array_index (c->b->ranges, TernCharRange, node->at + i);

    tern_utf8_ranges (range->first, range->last, write_ranges, &writer);
  }
  return add_split (c, (const guint32 *) firsts->data, firsts->len);
}

static guint32
write_choice (Compiler *c, const TernNodeData *node, guint32 next)
{
  g_autoptr (GArray) firsts = g_array_sized_new (FALSE, FALSE, sizeof (guint32), node->n);

  for (guint i = 0; i < node->n && !c->full; i++) {
    guint32 state = write_node (c, tern_node_items (c->b, node)[i], next);

    if (state != TERN_STATE_NONE)
      g_array_append_val (firsts, state);
  }
  return add_split (c, (const guint32 *) firsts->data, firsts->len);
}

/* Where the piece begins; it is written later. */
static guint32
start_of (Compiler *c, TernNode node)
{
  guint32 state = map_get (&c->starts, node);

  if (state != TERN_STATE_NONE)
    return state;
  state = add_state (c, (TernOp) { .kind = TERN_OP_SPLIT });
  if (state != TERN_STATE_NONE) {
    map_put (&c->starts, node, state);
    g_array_append_val (c->todo, node);
  }
  return state;
}

static guint32
write_call (Compiler *c, TernNode node, guint32 next)
{
  guint32 start = start_of (c, node);

  if (next == TERN_STATE_END || start == TERN_STATE_NONE)
    return start;
  return add_state (c, (TernOp) { .kind = TERN_OP_CALL, .at = start, .next = next });
}

static TernGrammar *
new_grammar (void)
{
  TernGrammar *grammar = g_new0 (TernGrammar, 1);
  TernOp end = { .kind = TERN_OP_END };

  g_atomic_ref_count_init (&grammar->refs);
  grammar->ops = g_array_new (FALSE, FALSE, sizeof (TernOp));
  grammar->targets = g_array_new (FALSE, FALSE, sizeof (guint32));
  grammar->items = g_array_new (FALSE, FALSE, sizeof (TernItem));
  grammar->runs = g_array_new (FALSE, FALSE, sizeof (TernRun));
  grammar->counts = g_array_new (FALSE, FALSE, sizeof (TernCount));
  g_array_append_val (grammar->ops, end);
  return grammar;
}

static void
compiler_clear (Compiler *c)
{
  map_clear (&c->written);
  map_clear (&c->bytes);
  map_clear (&c->starts);
  g_array_unref (c->todo);
}

/* The item of runs of @node, or -1. */
static gint32
item_of (Compiler *c, TernNode node)
{
  Plan *plan = &c->plans[node];
  Compiler flat = { c->b, c->facts, c->plans, NULL, TRUE };
  TernItem item;
  guint32 start;

  if (plan->item != -2)
    return plan->item;
  plan->item = -1;
  if (plan->flat > ITEM_STATES || plan->endless || *c->item_states < TERN_ITEM_STATES)
    return -1;
  flat.grammar = new_grammar ();
  flat.todo = g_array_new (FALSE, FALSE, sizeof (TernNode));
  start = write_node (&flat, node, TERN_STATE_END);
  if (start != TERN_STATE_NONE && !flat.full && tern_item_make (flat.grammar, start, &item)) {
    plan->item = c->grammar->items->len;
    *c->item_states -= item.n;
    g_array_append_val (c->grammar->items, item);
  } else {
    *c->item_states -= TERN_ITEM_STATES / 8;
  }
  compiler_clear (&flat);
  tern_grammar_unref (flat.grammar);
  return plan->item;
}

static gboolean
is_wide (const Compiler *c, gint32 item)
{
  const guint8 *next = g_array_index (c->grammar->items, TernItem, item).next[0];
  guint n = 0;

  for (guint i = 0; i < 256; i++)
    n += next[i] != TERN_ITEM_DEAD;
  return n > WIDE;
}

static guint32
write_out (Compiler *c, const TernNodeData *node, guint32 next)
{
  guint32 state = next, loop[2];

  if (node->max == TERN_REPEAT_MAX) {
    state = add_state (c, (TernOp) { .kind = TERN_OP_SPLIT });
    loop[0] = write_node (c, node->at, state);
    loop[1] = next;
    set_split (c, state, loop, 2);
  } else {
    for (guint i = node->n; i < node->max && !c->full; i++)
      state = add_either (c, write_node (c, node->at, state), next);
  }
  for (guint i = 0; i < node->n && !c->full; i++)
    state = write_node (c, node->at, state);
  return state;
}

static guint32
write_run (Compiler *c, const TernNodeData *node, guint32 item, guint32 next)
{
  TernRun run = { item, node->n, node->max, next };

  g_array_append_val (c->grammar->runs, run);
  return add_state (c, (TernOp) { .kind = TERN_OP_RUN, .at = c->grammar->runs->len - 1, .next = next });
}

static guint32
write_count (Compiler *c, const TernNodeData *node, guint32 next)
{
  TernCount count = { start_of (c, node->at), node->n, node->max, next };

  g_array_append_val (c->grammar->counts, count);
  return add_state (c, (TernOp) { .kind = TERN_OP_COUNT, .at = c->grammar->counts->len - 1, .next = next });
}

static guint32
write_repeat (Compiler *c, const TernNodeData *node, guint32 next)
{
  const Plan *plan = &c->plans[node->at];
  guint32 size = plan->piece ? 1 : plan->size;
  gboolean endless = node->max == TERN_REPEAT_MAX;
  gboolean small = times (size, endless ? MAX (node->n, 1) : node->max) <= UNROLL_STATES;
  gint32 item;

  if (!c->facts->productive->data[node->at])
    return node->n == 0 ? next : TERN_STATE_NONE;
  if (c->flat || node->max == 1)
    return write_out (c, node, next);
  item = item_of (c, node->at);
  if (item >= 0 && (!small || is_wide (c, item)))
    return write_run (c, node, item, next);
  if (small || (endless && node->n <= 1))
    return write_out (c, node, next);
  return write_count (c, node, next);
}

static guint32
write_new (Compiler *c, TernNode i, guint32 next)
{
  const TernNodeData *node = tern_node (c->b, i);

  switch (node->kind) {
    case TERN_NODE_BYTES:
      return write_bytes (c, node, next);
    case TERN_NODE_CLASS:
      return write_class (c, node, next);
    case TERN_NODE_SEQUENCE:
      for (guint k = node->n; k-- > 0 && next != TERN_STATE_NONE;)
        next = write_node (c, tern_node_items (c->b, node)[k], next);
      return next;
    case TERN_NODE_CHOICE:
      return write_choice (c, node, next);
    case TERN_NODE_REPEAT:
      return write_repeat (c, node, next);
    default:
      return write_node (c, tern_rule (c->b, node->at)->node, next);
  }
}

/* Where it begins, or NONE if it has no sentence or there is no room. */
static guint32
write_node (Compiler *c, TernNode node, guint32 next)
{
  guint64 key = (guint64) next << 32 | node;
  guint32 state;

  if (c->full || next == TERN_STATE_NONE || !c->facts->productive->data[node])
    return TERN_STATE_NONE;
  state = map_get (&c->written, key);
  if (state != TERN_STATE_NONE)
    return state;
  if (c->plans[node].piece && !c->flat)
    state = write_call (c, node, next);
  else
    state = write_new (c, node, next);
  if (state != TERN_STATE_NONE)
    map_put (&c->written, key, state);
  return state;
}

static void
write_pieces (Compiler *c)
{
  while (c->todo->len > 0 && !c->full) {
    TernNode node = g_array_index (c->todo, TernNode, c->todo->len - 1);
    guint32 body;

    g_array_set_size (c->todo, c->todo->len - 1);
    body = write_new (c, node, TERN_STATE_END);
    if (body != TERN_STATE_NONE)
      set_split (c, map_get (&c->starts, node), &body, 1);
  }
}

TernGrammar *
tern_grammar_compile (TernGrammarBuilder *b, const TernNodeFacts *facts, TernRule root, GError **error)
{
  guint item_states = ITEMS_STATES;
  TernNode node = tern_rule (b, root)->node;
  Compiler c = { b, facts, make_plans (b, node), new_grammar (), .item_states = &item_states };
  gboolean full;

  c.todo = g_array_new (FALSE, FALSE, sizeof (TernNode));
  c.grammar->start = start_of (&c, node);
  write_pieces (&c);
  c.grammar->start_spaced = add_either (&c, c.grammar->start, add_byte (&c, ' ', ' ', c.grammar->start));
  full = c.full;
  compiler_clear (&c);
  g_free (c.plans);
  if (full) {
    tern_grammar_unref (c.grammar);
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "a grammar is too large: expected at most %u states",
        TERN_STATES_MAX);
    return NULL;
  }
  return c.grammar;
}
