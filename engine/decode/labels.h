/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closed answers: how likely each of a set of words or phrases is. The prompt is read once; labels are the paths of a trie
 * of their tokens, which are known beforehand and read on forks, all in one pass where there is room: a set of single tokens
 * costs no pass at all.
 *
 *   p (label) is proportional to exp (sum over its tokens of log p (token | prompt, tokens before) / temperature)
 *
 * over the set. A label whose tokens another one begins with counts the end of the answer as well: else the longer one
 * could never win. */
#pragma once

#include <glib.h>
#include "engine/text/tokenizer.h"

G_BEGIN_DECLS

/* Immutable, counted; any thread. */
typedef struct _TernLabels TernLabels;

/* @labels: @n words or phrases, UTF-8, that begin an answer. INVALID: fewer than 2 or more than TERN_LABELS_MAX, an empty
 * one, one that is not UTF-8, two that are equal or whose tokens are, one that begins another one where the vocabulary has
 * no end token. */
TernLabels *tern_labels_new (const TernTokenizer *tokenizer, const char *const *labels, guint n, GError **error);
TernLabels *tern_labels_ref (TernLabels *labels);
void tern_labels_unref (TernLabels *labels);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernLabels, tern_labels_unref)

guint tern_labels_n (const TernLabels *labels);
const char *tern_labels_text (const TernLabels *labels, guint i);
/* Each has pages and a state to itself. */
#define TERN_LABEL_FORKS_MAX 16
/* Forks that are of use at once, at most TERN_LABEL_FORKS_MAX; 0 where all labels are single tokens. */
guint tern_labels_forks (const TernLabels *labels);
guint tern_labels_longest (const TernLabels *labels);   /* tokens of the longest */

/* Softmax of @logprobs [n] / @temperature (more than 0) to @scores [n], which sum to 1; what is no number counts nothing,
 * and where none is one all are alike. Returns the likeliest, ties to the first. */
guint tern_labels_scores (const double *logprobs, guint n, double temperature, double *scores);

G_END_DECLS
