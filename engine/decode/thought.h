/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a model thinks before it answers stands between <think> and </think>, which are tokens of their own where models do so.
 * It is read, counted and penalised like all that is said, and is no part of the answer. A thought begins with an answer's
 * first token, or was left open by the prompt; one that does not end leaves no answer. */
#pragma once

#include <glib.h>
#include "engine/text/tokenizer.h"

G_BEGIN_DECLS

typedef enum { TERN_THOUGHT_NONE, TERN_THOUGHT_UNDER_WAY, TERN_THOUGHT_OVER } TernThoughtState;

typedef struct {
  gint32 open, close;           /* -1: the vocabulary has no thoughts */
  gboolean left_open;           /* by the prompt of the next answer */
  TernThoughtState state;
  guint n;                      /* of the tokens said, those in front that are no answer */
} TernThought;

/* @tokenizer may be NULL. */
void tern_thought_init (TernThought *thought, const TernTokenizer *tokenizer);
/* Looks at the prompt @ids [n] of the next answer. */
void tern_thought_look (TernThought *thought, const gint32 *ids, guint n);
/* Where the prompt @ids of an answer leaves a thought open, closes it, empty: for answers of some form, which would be said in
 * it. */
void tern_thought_close (const TernTokenizer *tokenizer, GArray *ids);
/* An answer begins. @form: what is said has a form of its own, and nothing in it is a thought. */
void tern_thought_begin (TernThought *thought, gboolean form);
/* Token @id was said, the @n-th. White space right behind a thought belongs to it. */
void tern_thought_hear (TernThought *thought, const TernTokenizer *tokenizer, gint32 id, guint n);

G_END_DECLS
