/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of a constraint share: the trie, the sets of a program's states, and what it costs to end. */
#pragma once

#include "engine/grammar/constraint.h"
#include "engine/grammar/grammar-priv.h"

G_BEGIN_DECLS

/* ---- The trie ---------------------------------------------------------------------------------------------------- */

/* In the order of a walk: what is below a node follows it. */
typedef struct {
  guint32 size;                 /* of what is below it, itself included */
  gint32 id;                    /* the last token that ends here, or -1 */
  guint8 byte;
  guint8 depth;                 /* bytes before it */
} TernTrieNode;

#define TERN_TOKEN_BYTES_MAX 255        /* longer tokens are never said */

struct _TernTokenTrie {
  gatomicrefcount refs;
  TernTokenizer *tokenizer;
  guint n_ids;
  guint n_nodes;
  TernTrieNode *nodes;
  guint32 first[256];           /* node of the first byte, or n_nodes */
  gint32 byte_id[256];          /* a token of that byte alone, or -1 */
  gint32 *same;                 /* [n_ids] another token with the same bytes, or -1 */
  gint32 *ends;                 /* ends of generation */
  guint n_ends;
  gboolean space_first;         /* the vocabulary is one whose texts begin with a space that is not theirs */
};

/* ---- Sets of states ---------------------------------------------------------------------------------------------- */

#define TERN_COST_ENDLESS (1u << 30)

static inline guint32
tern_cost_add (guint32 a, guint32 b)
{
  return MIN (a + b, TERN_COST_ENDLESS);
}

static inline guint32
tern_cost_times (guint32 a, guint32 n)
{
  return a == 0 ? 0 : MIN ((guint64) a * n, TERN_COST_ENDLESS);
}

/* States of the program that one may be in at once, between the same frames: what is reached without a byte is among
 * them. Made when they are met. */
typedef struct {
  guint32 *members;             /* ascending, no splits */
  guint32 n;
  guint32 n_jumps;              /* of the members: calls, runs and counts */
  guint32 *jumps;
  guint32 *next;                /* [bytes of live] a set, 0: not known yet */
  guint64 live[4];              /* bytes that lead somewhere */
  guint32 cost;                 /* tokens that suffice to the end of the piece */
  gboolean ends;                /* the piece may end here */
} TernSet;

#define TERN_SET_NONE 0         /* no member */

typedef struct {
  const TernGrammar *grammar;
  const guint32 *costs;         /* [states], NULL until they are known */
  GPtrArray *sets;              /* TernSet *, 0 is empty */
  guint32 *slots;               /* by members: set, 0 = free */
  guint32 mask;
  guint32 *at;                  /* [states] the set of what it leads to without a byte, 0: not known */
  guint32 *single;              /* [states] the set of it alone, 0: none yet */
  guint32 *stamps;              /* [states] */
  guint32 stamp;
  GArray *work, *found;
  gsize bytes;                  /* that they take */
} TernSets;

#define TERN_SETS_BYTES (32u << 20)     /* beyond it, states go by themselves */

void tern_sets_init (TernSets *sets, const TernGrammar *grammar);
void tern_sets_clear (TernSets *sets);
void tern_sets_set_costs (TernSets *sets, const guint32 *costs);
static inline const TernSet *
tern_set (const TernSets *sets, guint32 set)
{
  return (const TernSet *) g_ptr_array_index (sets->sets, set);
}

static inline gboolean
tern_set_has (const TernSet *set, guint8 byte)
{
  return set->live[byte / 64] >> byte % 64 & 1;
}

/* What @state leads to without a byte. May be several sets where there is no room for one: *@n of them, borrowed until
 * the next call. */
const guint32 *tern_sets_at (TernSets *sets, guint32 state, guint *n);
/* Where @byte leads from @set; likewise, none if nowhere. */
const guint32 *tern_sets_step (TernSets *sets, guint32 set, guint8 byte, guint *n);
guint32 tern_sets_single (TernSets *sets, guint32 state);

/* ---- Items on tokens --------------------------------------------------------------------------------------------- */

/* What is known of an item with this vocabulary. */
typedef struct {
  guint32 *finish;              /* [states] tokens that end the item that one is in; of state 0 a whole one */
  guint32 *many;                /* [n_many] tokens of so many whole ones */
  guint n_many;
} TernItemCosts;

/* Tokens for @n whole ones. */
guint32 tern_item_many (const TernItemCosts *costs, guint32 n);

/* A place where a token may leave a run: the node of the trie behind the first byte outside. */
typedef struct {
  guint32 node;
  guint32 whole;                /* items that the token ends before */
} TernExit;

typedef struct {
  TernExit *exits;
  guint32 n;
} TernExits;

/* Tokens that end in the same state after as many items. */
typedef struct {
  guint8 state, whole;
  guint32 first, n;
} TernTokenClass;

/* What may be said in a state of an item, without counting: made when it is asked for. For all tokens, or those below a
 * node of the trie, where a run begins in their middle. */
typedef struct {
  guint64 key;
  guint32 item, node;
  guint8 state;
  guint32 *mask;                /* [words]; of all tokens */
  gint32 *ids;                  /* by class */
  TernTokenClass *classes;
  guint n_classes, n_ids;
  guint most;                   /* items that a token ends, at most */
  TernExits exits[256];         /* by the byte outside; of those that no item begins with */
  TernExits *others[256];       /* of those that one does; NULL: not known yet */
} TernItemTokens;

#define TERN_TOKENS_BYTES (64u << 20)   /* beyond it, those that were made go */

/* ---- The constraint ---------------------------------------------------------------------------------------------- */

struct _TernConstraint {
  gatomicrefcount refs;
  TernGrammar *grammar;
  TernTokenTrie *trie;
  guint32 start;                /* state */
  guint32 *costs;               /* [states] tokens that suffice to the end of the state's piece */
  TernItemCosts *item_costs;    /* [items] */

  GMutex lock;                  /* what follows is made when it is asked for */
  TernSets sets;
  GHashTable *item_tokens;      /* TernItemTokens by key */
  gsize item_bytes;
};

#define TERN_NODE_ROOT G_MAXUINT32

/* Of tokens below @node. With the lock; kept until tern_constraint_trim_items(). */
TernItemTokens *tern_constraint_item_tokens (TernConstraint *constraint, guint32 item, guint8 state, guint32 node);
/* Exits by @byte of what that gave. */
const TernExits *tern_constraint_exits (TernConstraint *constraint, TernItemTokens *tokens, guint8 byte);
/* If they take too much. */
void tern_constraint_trim_items (TernConstraint *constraint);

/* Fills @costs and @item_costs. */
void tern_constraint_find_costs (TernConstraint *constraint);

G_END_DECLS
