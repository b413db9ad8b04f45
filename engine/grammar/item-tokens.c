/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may be said within a run: one walk through the trie for each state of an item, kept for all masks to come. How often
 * the item was repeated decides then which classes of tokens are left. */
#include <string.h>

#include "engine/grammar/constraint-priv.h"

typedef struct {
  guint32 node;
  gint32 id;
  guint8 state, whole;
} Found;

typedef struct {
  const TernItem *item;
  const TernTokenTrie *trie;
  GArray *found;                /* Found: tokens */
  GArray *exits;                /* Found: state is the byte */
  gint byte;                    /* exits by it alone, and no tokens; -1: tokens, and exits by what no item begins with */
} Walk;

static void
walk (Walk *w, guint8 from, guint32 below)
{
  guint8 states[TERN_TOKEN_BYTES_MAX + 1], wholes[TERN_TOKEN_BYTES_MAX + 1];
  const TernTokenTrie *trie = w->trie;
  guint depth = below == TERN_NODE_ROOT ? 0 : trie->nodes[below].depth + 1u;
  guint32 end = below == TERN_NODE_ROOT ? trie->n_nodes : below + trie->nodes[below].size;

  states[depth] = from;
  wholes[depth] = 0;
  for (guint i = below == TERN_NODE_ROOT ? 0 : below + 1; i < end;) {
    const TernTrieNode *node = &trie->nodes[i];
    guint8 before = wholes[node->depth], next = states[node->depth], whole = before;
    gboolean between = next == 0, goes_on = tern_item_step (w->item, &next, &whole, node->byte);

    if (between && before > 0 && (w->byte < 0 ? !goes_on : node->byte == w->byte)) {
      Found exit = { i, 0, node->byte, before };

      g_array_append_val (w->exits, exit);
    }
    if (!goes_on) {
      i += node->size;
      continue;
    }
    states[node->depth + 1] = next;
    wholes[node->depth + 1] = whole;
    for (gint32 id = w->byte < 0 ? node->id : -1; id >= 0; id = trie->same[id]) {
      Found token = { i, id, next, whole };

      g_array_append_val (w->found, token);
    }
    i++;
  }
}

/* ---- What was found, in order ------------------------------------------------------------------------------------ */

static void
set_classes (TernItemTokens *t, const GArray *found, const TernItemCosts *costs, guint words)
{
  g_autofree guint32 *counts = g_new0 (guint32, 65536);
  g_autoptr (GArray) classes = g_array_new (FALSE, FALSE, sizeof (TernTokenClass));
  guint sum = 0;

  for (guint i = 0; i < found->len; i++) {
    const Found *token = &g_array_index (found, Found, i);

    if (costs->finish[token->state] < TERN_COST_ENDLESS || token->state == 0)
      counts[token->whole << 8 | token->state]++;
  }
  for (guint i = 0; i < 65536; i++)
    if (counts[i]) {
      TernTokenClass class = { i & 0xff, i >> 8, sum, counts[i] };

      g_array_append_val (classes, class);
      counts[i] = sum;
      sum += class.n;
      t->most = MAX (t->most, class.whole);
    }
  t->n_ids = sum;
  t->ids = g_new (gint32, MAX (sum, 1));
  t->mask = words ? g_new0 (guint32, words) : NULL;
  for (guint i = 0; i < found->len; i++) {
    const Found *token = &g_array_index (found, Found, i);

    if (costs->finish[token->state] >= TERN_COST_ENDLESS && token->state != 0)
      continue;
    t->ids[counts[token->whole << 8 | token->state]++] = token->id;
    if (t->mask)
      t->mask[token->id / 32] |= 1u << token->id % 32;
  }
  t->n_classes = classes->len;
  t->classes = g_memdup2 (classes->data, classes->len * sizeof (TernTokenClass));
}

static void
set_exits (TernItemTokens *t, const GArray *exits)
{
  guint32 counts[256] = { 0 };

  for (guint i = 0; i < exits->len; i++)
    counts[g_array_index (exits, Found, i).state]++;
  for (guint i = 0; i < 256; i++)
    if (counts[i])
      t->exits[i].exits = g_new (TernExit, counts[i]);
  for (guint i = 0; i < exits->len; i++) {
    const Found *found = &g_array_index (exits, Found, i);
    TernExits *to = &t->exits[found->state];

    to->exits[to->n++] = (TernExit) { found->node, found->whole };
    t->most = MAX (t->most, found->whole);
  }
}

static void
tokens_free (gpointer data)
{
  TernItemTokens *t = data;

  for (guint i = 0; i < 256; i++) {
    g_free (t->exits[i].exits);
    if (t->others[i])
      g_free (t->others[i]->exits);
    g_free (t->others[i]);
  }
  g_free (t->ids);
  g_free (t->mask);
  g_free (t->classes);
  g_free (t);
}

void
tern_constraint_trim_items (TernConstraint *c)
{
  if (c->item_bytes > TERN_TOKENS_BYTES) {
    g_hash_table_remove_all (c->item_tokens);
    c->item_bytes = 0;
  }
}

static TernItemTokens *
find_tokens (TernConstraint *c, guint64 key, guint32 item, guint8 state, guint32 node)
{
  Walk w = { &g_array_index (c->grammar->items, TernItem, item), c->trie, .byte = -1 };
  guint words = node == TERN_NODE_ROOT ? (c->trie->n_ids + 31) / 32 : 0;
  TernItemTokens *t = g_new0 (TernItemTokens, 1);

  t->key = key;
  t->item = item;
  t->state = state;
  t->node = node;
  w.found = g_array_new (FALSE, FALSE, sizeof (Found));
  w.exits = g_array_new (FALSE, FALSE, sizeof (Found));
  walk (&w, state, node);
  set_classes (t, w.found, &c->item_costs[item], words);
  set_exits (t, w.exits);
  c->item_bytes += sizeof *t + 4 * (words + t->n_ids) + sizeof (TernExit) * w.exits->len;
  g_array_unref (w.found);
  g_array_unref (w.exits);
  return t;
}

TernItemTokens *
tern_constraint_item_tokens (TernConstraint *c, guint32 item, guint8 state, guint32 node)
{
  guint64 key = ((guint64) item << 8 | state) << 32 | node;
  TernItemTokens *t;

  if (!c->item_tokens)
    c->item_tokens = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, tokens_free);
  t = g_hash_table_lookup (c->item_tokens, &key);
  if (!t) {
    t = find_tokens (c, key, item, state, node);
    g_hash_table_insert (c->item_tokens, &t->key, t);
  }
  return t;
}

const TernExits *
tern_constraint_exits (TernConstraint *c, TernItemTokens *t, guint8 byte)
{
  const TernItem *item = &g_array_index (c->grammar->items, TernItem, t->item);
  Walk w = { item, c->trie, .byte = byte };
  TernExits *exits;

  if (item->next[0][byte] == TERN_ITEM_DEAD)
    return &t->exits[byte];
  if (t->others[byte])
    return t->others[byte];
  w.exits = g_array_new (FALSE, FALSE, sizeof (Found));
  walk (&w, t->state, t->node);
  exits = t->others[byte] = g_new (TernExits, 1);
  exits->n = w.exits->len;
  exits->exits = g_new (TernExit, MAX (exits->n, 1));
  for (guint i = 0; i < exits->n; i++) {
    const Found *found = &g_array_index (w.exits, Found, i);

    exits->exits[i] = (TernExit) { found->node, found->whole };
    t->most = MAX (t->most, found->whole);
  }
  c->item_bytes += sizeof *exits + sizeof (TernExit) * exits->n;
  g_array_unref (w.exits);
  return exits;
}
