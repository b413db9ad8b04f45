/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of closed answers: the trie of the labels' tokens. */
#pragma once

#include "engine/decode/labels.h"

G_BEGIN_DECLS

/* A token of some labels. One with children is *inner*: what may follow is read on a fork. An inner one whose children are
 * not is a *tip*, where a path ends. */
typedef struct {
  gint32 id;
  gint32 parent, child, next;   /* its parent, its first child, its parent's next one; -1: none */
  gint32 label;                 /* that ends here; -1: none */
  guint depth;                  /* tokens up to it */
} TernLabelNode;

/* A path from the prompt to a tip, [first, first + n) of ids and steps. */
typedef struct {
  guint first, n;
  guint child;                  /* which child of the prompt it begins with, from 0 */
} TernLabelTip;

struct _TernLabels {
  gatomicrefcount ref_count;
  guint n;
  char **texts;                 /* [n] */
  TernLabelNode *nodes;         /* [n_nodes] depth first; the first one is the prompt, which is neither read nor a tip */
  guint n_nodes;
  TernLabelTip *tips;           /* [n_tips] in the order of the nodes */
  guint n_tips;
  gint32 *ids, *steps;          /* tokens of the paths, and their nodes */
  guint longest;                /* tokens of a label */
  gint32 last_id;               /* the highest */
  gint32 *ends;                 /* [n_ends] end tokens */
  guint n_ends;
};

G_END_DECLS
