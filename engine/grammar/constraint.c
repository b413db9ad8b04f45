/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A grammar on the tokens of a vocabulary. */
#include "engine/grammar/constraint-priv.h"

#include "tern/error.h"

#define EARLY_ITEMS 8           /* that are looked up before the first answer waits for them: 2 ms each */

TernConstraint *
tern_constraint_new (TernGrammar *grammar, TernTokenTrie *trie, GError **error)
{
  TernConstraint *c = g_new0 (TernConstraint, 1);

  g_atomic_ref_count_init (&c->refs);
  g_mutex_init (&c->lock);
  c->grammar = tern_grammar_ref (grammar);
  c->trie = tern_token_trie_ref (trie);
  c->start = trie->space_first ? grammar->start_spaced : grammar->start;
  tern_sets_init (&c->sets, grammar);
  tern_constraint_find_costs (c);
  if (c->costs[c->start] >= TERN_COST_ENDLESS) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED,
        "a grammar on a vocabulary: expected a sentence that fewer than %u of its tokens say, found none",
        TERN_COST_ENDLESS);
    tern_constraint_unref (c);
    return NULL;
  }
  for (guint i = 0; i < MIN (grammar->items->len, EARLY_ITEMS); i++)
    tern_constraint_item_tokens (c, i, 0, TERN_NODE_ROOT);
  return c;
}

gboolean
tern_constraint_begins_spaced (const TernConstraint *constraint)
{
  return constraint->trie->space_first;
}

TernConstraint *
tern_constraint_ref (TernConstraint *constraint)
{
  g_atomic_ref_count_inc (&constraint->refs);
  return constraint;
}

void
tern_constraint_unref (TernConstraint *c)
{
  if (!c || !g_atomic_ref_count_dec (&c->refs))
    return;
  g_clear_pointer (&c->item_tokens, g_hash_table_unref);
  tern_sets_clear (&c->sets);
  for (guint i = 0; c->item_costs && i < c->grammar->items->len; i++) {
    g_free (c->item_costs[i].finish);
    g_free (c->item_costs[i].many);
  }
  g_free (c->item_costs);
  g_free (c->costs);
  g_mutex_clear (&c->lock);
  tern_token_trie_unref (c->trie);
  tern_grammar_unref (c->grammar);
  g_free (c);
}

guint
tern_constraint_shortest (const TernConstraint *constraint)
{
  return constraint->costs[constraint->start];
}
