/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closed forms of answers as options give them. */
#pragma once

#include "engine/grammar/grammar.h"

G_BEGIN_DECLS

/* A,B,... as labels: blanks around each are dropped, `\,` is a comma and `\\` a backslash within one. INVALID; the message
 * names @option. Free with g_strfreev. */
char **tern_form_labels (const char *option, const char *text, GError **error);

/* A file with a JSON Schema, or with a grammar in GBNF, and whether it is one that can be answered by. INVALID: not so, the
 * message names the file and the place in it; those of tern_file_read(). Free with g_free. @grammar (or NULL):
 * what it was found to be, for who goes on with that. */
char *tern_form_schema (const char *path, TernGrammar **grammar, GError **error);
char *tern_form_grammar (const char *path, TernGrammar **grammar, GError **error);

G_END_DECLS
