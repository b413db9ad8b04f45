/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guesses what is said next from what was said last (prompt look-up decoding; arXiv:2304.04487 does it with a given
 * text): where an answer goes on like the one before, as captions of a still scene do, tokens of that one are read
 * beside the newest token, in one pass. What the model says after each of them decides whether the next one stands, so
 * answers are the same, bit for bit, however bad guesses are.
 *
 * How many are worth it is learned from those that came true: a row costs a part of a pass, more where weights come from
 * caches than where they come from memory. A guide that is wrong too often is silent, for longer each time. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How well guesses of one kind have done of late, and whether they are worth it. */
typedef struct {
  double share;                 /* of guesses that came true */
  guint pause, silent;          /* tokens without guesses: after the next failure; still to come */
} TernTrust;

void tern_trust_init (TernTrust *trust, double share);
/* A token was said. */
void tern_trust_hear (TernTrust *trust);
/* Of @n guesses the first @right came true. With less of them true than @worth, a share, there is a pause after a failure, which
 * is longer each time. */
void tern_trust_learn (TernTrust *trust, guint n, guint right, double worth);

typedef struct {
  gint32 *ids;                  /* [n] the answer before */
  guint n;
  guint at;                     /* of them, what would come next; n: nothing known */
  TernTrust trust;
} TernGuide;

void tern_guide_init (TernGuide *guide);
/* A new answer begins; @guide's ids are those of the one before. */
void tern_guide_begin (TernGuide *guide);
/* @said [n], n > 0, is what the answer is so far; called for each token of it. */
void tern_guide_hear (TernGuide *guide, const gint32 *said, guint n);
/* What may come next, at most @most; how many, and *@ids borrowed until the next begin. */
guint tern_guide_guess (const TernGuide *guide, guint most, const gint32 **ids);
/* Of @n guesses the first @right came true. */
void tern_guide_learn (TernGuide *guide, guint n, guint right);

G_END_DECLS
