/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of a grammar share: the nodes that a builder collects, and the program that build makes of them. */
#pragma once

#include "engine/grammar/grammar.h"

G_BEGIN_DECLS

/* ---- Nodes ------------------------------------------------------------------------------------------------------- */

typedef enum {
  TERN_NODE_BYTES,              /* bytes [at, at + n) */
  TERN_NODE_CLASS,              /* ranges [at, at + n), ascending and apart; none: no character */
  TERN_NODE_SEQUENCE,           /* items [at, at + n) */
  TERN_NODE_CHOICE,
  TERN_NODE_REPEAT,             /* of node @at, @n to @max times */
  TERN_NODE_REFERENCE,          /* to rule @at */
} TernNodeKind;

typedef struct {
  guint8 kind;
  guint16 depth;                /* of what is below it, references not followed */
  guint32 at, n, max;
} TernNodeData;

typedef struct {
  char *name;
  TernNode node;
  gboolean defined;
} TernRuleData;

/* Nodes that say the same are one: node 0 is the empty string. */
struct _TernGrammarBuilder {
  GArray *nodes;                /* TernNodeData */
  GArray *items;                /* TernNode */
  GArray *ranges;               /* TernCharRange */
  GByteArray *bytes;
  GArray *rules;                /* TernRuleData */
  guint32 *slots;               /* [mask + 1] node + 1, 0 = free: by what they say */
  guint32 mask;
  char *failed;                 /* the first thing that was wrong, for build */
};

#define TERN_NODES_MAX (1u << 20)
#define TERN_DEPTH_MAX 4000

static inline TernNodeData *
tern_node (const TernGrammarBuilder *b, TernNode node)
{
  return &g_array_index (b->nodes, TernNodeData, node);
}

static inline const TernNode *
tern_node_items (const TernGrammarBuilder *b, const TernNodeData *data)
{
  return &g_array_index (b->items, TernNode, data->at);
}

static inline TernRuleData *
tern_rule (const TernGrammarBuilder *b, TernRule rule)
{
  return &g_array_index (b->rules, TernRuleData, rule);
}

/* What is known of each node. */
typedef struct {
  GByteArray *nullable, *productive;    /* [nodes] */
} TernNodeFacts;

/* Finds out, and makes what is repeated never empty: INVALID as build says. Of what @root leads to. */
gboolean tern_grammar_check (TernGrammarBuilder *builder, TernRule root, TernNodeFacts *facts, GError **error);
void tern_node_facts_clear (TernNodeFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TernNodeFacts, tern_node_facts_clear)

/* ---- The program ------------------------------------------------------------------------------------------------- */

/* A nondeterministic automaton whose pieces call each other. A piece ends in TERN_STATE_END, the one for all; what comes
 * then stands in the frame that the call put on the stack. A call that nothing follows puts none: it goes on in the piece
 * called, so that lists that are written as right recursion need no stack. */
typedef enum {
  TERN_OP_END,
  TERN_OP_BYTE,                 /* one byte from @low to @high, then @next */
  TERN_OP_SPLIT,                /* any of targets [at, at + n) */
  TERN_OP_CALL,                 /* the piece that begins at @at, then @next */
  TERN_OP_RUN,                  /* run @at, then @next */
  TERN_OP_COUNT,                /* count @at, then @next */
} TernOpKind;

typedef struct {
  guint8 kind, low, high;
  guint32 next, at, n;
} TernOp;

#define TERN_STATE_END 0
#define TERN_STATE_NONE G_MAXUINT32

/* What a run repeats: a set of strings none of which begins with another, so that where one ends is never in question.
 * State 0 is between two of them, and is entered by TERN_ITEM_WHOLE alone. */
#define TERN_ITEM_DEAD 255
#define TERN_ITEM_WHOLE 254
#define TERN_ITEM_STATES 254

typedef struct {
  guint n;
  guint8 (*next)[256];          /* [n] a state, WHOLE or DEAD */
  guint64 (*live)[4];           /* [n] bytes that are not DEAD */
} TernItem;

/* From *@state with *@whole items behind it, over @byte. FALSE: no item goes on so, nothing was changed. */
static inline gboolean
tern_item_step (const TernItem *item, guint8 *state, guint8 *whole, guint8 byte)
{
  guint8 next = item->next[*state][byte];

  if (next == TERN_ITEM_DEAD)
    return FALSE;
  *whole += next == TERN_ITEM_WHOLE;
  *state = next == TERN_ITEM_WHOLE ? 0 : next;
  return TRUE;
}

typedef struct {
  guint32 item, min, max, next;
} TernRun;

/* As a run, of a piece of its own, each time with a frame that says how many there were. */
typedef struct {
  guint32 start, min, max, next;
} TernCount;

struct _TernGrammar {
  gatomicrefcount refs;
  GArray *ops;                  /* TernOp */
  GArray *targets;              /* guint32 */
  GArray *items;                /* TernItem */
  GArray *runs;                 /* TernRun */
  GArray *counts;               /* TernCount */
  guint32 start;
  guint32 start_spaced;         /* the same after one space, or at once */
};

#define TERN_STATES_MAX (1u << 18)

static inline const TernOp *
tern_op (const TernGrammar *grammar, guint32 state)
{
  return &g_array_index (grammar->ops, TernOp, state);
}

/* INVALID where it would be too large. */
TernGrammar *tern_grammar_compile (TernGrammarBuilder *builder, const TernNodeFacts *facts, TernRule root,
    GError **error);

/* For classes: calls @func with the bytes of each run of characters whose encodings differ in ranges of bytes only. */
typedef struct {
  guint n;
  guint8 low[4], high[4];
} TernByteRanges;
typedef void (*TernByteRangesFunc) (void *data, const TernByteRanges *ranges);
void tern_utf8_ranges (gunichar first, gunichar last, TernByteRangesFunc func, void *data);

/* The automaton of [@start, END) if its strings need no stack, none begins with another, and it is small; else FALSE. */
gboolean tern_item_make (const TernGrammar *grammar, guint32 start, TernItem *item);

G_END_DECLS
