/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A grammar on the tokens of a vocabulary: which may come next, so that what is said is a sentence of it and fits into
 * what is left to say. */
#pragma once

#include "engine/grammar/grammar.h"
#include "engine/text/tokenizer.h"

G_BEGIN_DECLS

/* The tokens of a vocabulary by their bytes. One for all constraints of a model. Immutable, counted; any thread.
 * Control tokens, those without text, and those of more than 255 bytes are never said. In vocabularies that put a space before
 * every text (SentencePiece) an answer may begin with one that is not part of the sentence: what leaves a session is
 * stripped of it. */
typedef struct _TernTokenTrie TernTokenTrie;

/* @n_ids: ids below it may be said (embeddings may have more rows than there are tokens). */
TernTokenTrie *tern_token_trie_new (TernTokenizer *tokenizer, guint n_ids, GError **error);
TernTokenTrie *tern_token_trie_ref (TernTokenTrie *trie);
void tern_token_trie_unref (TernTokenTrie *trie);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernTokenTrie, tern_token_trie_unref)

/* Counted; any thread: what its matchers look up is made when it is first asked for, under a lock, in bounded memory. */
typedef struct _TernConstraint TernConstraint;

/* UNSUPPORTED: no sentence can be said with these tokens. */

TernConstraint *tern_constraint_new (TernGrammar *grammar, TernTokenTrie *trie, GError **error);
/* Whether a sentence may come with a space before it, which the vocabulary puts before every text and is none of its own. */
gboolean tern_constraint_begins_spaced (const TernConstraint *constraint);
TernConstraint *tern_constraint_ref (TernConstraint *constraint);
void tern_constraint_unref (TernConstraint *constraint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernConstraint, tern_constraint_unref)
/* Tokens that suffice for its shortest sentence, the end token excluded: no smaller max_tokens can be promised. */
guint tern_constraint_shortest (const TernConstraint *constraint);

/* Where an answer is in its constraint. One thread at a time. Its memory is bounded: where a grammar has more readings of what
 * was said than fit (512 at once), those that take longest to end are forgotten, so that less may be said than could be,
 * but never what is no sentence; when none is left, tern_matcher_failed(). */
typedef struct _TernMatcher TernMatcher;

TernMatcher *tern_matcher_new (void);
void tern_matcher_free (TernMatcher *matcher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernMatcher, tern_matcher_free)
/* At the beginning of @constraint, which it keeps a reference on until the next begin or clear. */
void tern_matcher_begin (TernMatcher *matcher, TernConstraint *constraint);
void tern_matcher_clear (TernMatcher *matcher);
/* @matcher is where @from is. */
void tern_matcher_copy (TernMatcher *matcher, const TernMatcher *from);

/* A bit an id of [n_ids], those that may be said when @left tokens may, this one included; end tokens have theirs where
 * the sentence may end. At least one is set as long as @left is at least what the sentence needs, which holds from the
 * beginning with max_tokens >= tern_constraint_shortest() on. Borrowed until the next call. */
const guint32 *tern_matcher_mask (TernMatcher *matcher, guint left);
/* Says @id, which was in the mask. */
void tern_matcher_accept (TernMatcher *matcher, gint32 id);
/* Whether the sentence may end here; whether it must, for nothing can follow. */
gboolean tern_matcher_may_end (const TernMatcher *matcher);
gboolean tern_matcher_must_end (const TernMatcher *matcher);
gboolean tern_matcher_failed (const TernMatcher *matcher);

G_END_DECLS
