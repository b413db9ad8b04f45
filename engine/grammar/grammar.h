/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an answer may look like: a context-free grammar over bytes. Two front ends make one: GBNF (gbnf.c) and JSON Schema
 * (schema.c); both by the builder below. A constraint (constraint.h) is a grammar on the tokens of a vocabulary. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Immutable, counted; any thread. */
typedef struct _TernGrammar TernGrammar;

TernGrammar *tern_grammar_ref (TernGrammar *grammar);
void tern_grammar_unref (TernGrammar *grammar);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGrammar, tern_grammar_unref)

/* GBNF as llama.cpp's grammars/README.md describes it, with a byte order mark before it or without; the rule `root` is the
 * answer. INVALID names line and column, what was expected and what was found. */
TernGrammar *tern_grammar_from_gbnf (const char *text, GError **error);

/* A JSON Schema (the subset of docs/structured-output.md). INVALID: not JSON, or a keyword's value is of the wrong kind;
 * UNSUPPORTED: a keyword that is refused. Both name the place in the schema as a JSON pointer, and what was found. */
TernGrammar *tern_grammar_from_json_schema (const char *json, GError **error);

/* ---- Building one ------------------------------------------------------------------------------------------------ */

/* One thread. Nodes are made from the bottom up, and may be used in several places. */
typedef struct _TernGrammarBuilder TernGrammarBuilder;
typedef guint TernNode;

#define TERN_REPEAT_MAX G_MAXUINT       /* as often as one likes */

TernGrammarBuilder *tern_grammar_builder_new (void);
void tern_grammar_builder_free (TernGrammarBuilder *builder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGrammarBuilder, tern_grammar_builder_free)

/* These bytes; none: the empty string. */
TernNode tern_grammar_bytes (TernGrammarBuilder *builder, const char *bytes, gsize n);

/* One Unicode character (a scalar value, as UTF-8) that lies in one of the ranges, or with @negate in none of them. */
typedef struct {
  gunichar first, last;
} TernCharRange;
TernNode tern_grammar_class (TernGrammarBuilder *builder, const TernCharRange *ranges, guint n, gboolean negate);

TernNode tern_grammar_sequence (TernGrammarBuilder *builder, const TernNode *items, guint n);
TernNode tern_grammar_choice (TernGrammarBuilder *builder, const TernNode *items, guint n);     /* n >= 1 */
/* @item, @min to @max times. Counted at run time, not written out: 600 costs no more than 6. */
TernNode tern_grammar_repeat (TernGrammarBuilder *builder, TernNode item, guint min, guint max);

/* A rule is declared, may be referred to from then on, and is defined once before build. @name for messages. */
typedef guint TernRule;
TernRule tern_grammar_declare (TernGrammarBuilder *builder, const char *name);
TernNode tern_grammar_reference (TernGrammarBuilder *builder, TernRule rule);
void tern_grammar_define (TernGrammarBuilder *builder, TernRule rule, TernNode node);

/* INVALID: a rule that is not defined, that has no sentence, or that refers to itself at its left end (names it). */
TernGrammar *tern_grammar_build (TernGrammarBuilder *builder, TernRule root, GError **error);

G_END_DECLS
