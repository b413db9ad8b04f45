/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TEAM-VLA (arXiv:2512.09927), which chooses by the words of the instruction: pure functions.
 *
 * Stage 1 chooses tokens and could be a method of compress.h once groups carry the instruction's embeddings and the shape
 * of their grid. Stage 2 mixes rows within the language model, which nothing in Tern does (docs/design.md, "Compression
 * chooses, never mixes"): it is here for comparing with the paper alone. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_TEAM_DEVIATIONS 1.0        /* above the mean: a seed */
#define TERN_TEAM_CONTEXT 0.1   /* share of the other tokens that stay as context */

/* Of one frame, @tokens [@rows * @columns][@dim] and @words [@n_words][@dim]: a token is a seed when its largest cosine with
 * a word is above mean + @deviations standard deviations of the frame; what lies beside a seed (3x3) stays too, and of the
 * others each with probability @context, drawn from @seed. @scratch: [rows * columns] doubles. Returns how many positions
 * stand in @keep, ascending. */
guint tern_team_select (const float *tokens, guint rows, guint columns, const float *words, guint n_words, guint dim,
    double deviations, double context, guint64 seed, double *scratch, gint32 *keep);

/* The others [@n_others][@dim] are spread over the anchors [@n_anchors][@dim], which change: each other by the softmax over
 * anchors of the products of both, brought to a root mean square of 1, by sqrt (dim). @weights: [n_anchors][n_others]
 * floats, filled. */
void tern_team_merge (float *anchors, guint n_anchors, const float *others, guint n_others, guint dim, float *weights);

G_END_DECLS
