/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people say, on its way through a chat template: a template is free to cut, join and quote it, so what must not be
 * taken for a control token, or for a place of a picture, is replaced by stand-ins from a private-use area before, and put
 * back after. All else goes through as it is, so that templates which look at texts see them. */
#pragma once

#include "engine/text/tokenizer.h"

G_BEGIN_DECLS

/* The control tokens of a vocabulary. Immutable, any thread. */
typedef struct _TernPlain TernPlain;

TernPlain *tern_plain_new (const TernTokenizer *tokenizer);
void tern_plain_free (TernPlain *plain);

/* @text with stand-ins, numbered on, for: control tokens, what could become one beside other text, places of pictures, and
 * stand-ins themselves. What they stand for is added to @kept (of char *). Free it. */
char *tern_plain_protect (const TernPlain *plain, const char *text, GPtrArray *kept);

/* The first stand-in for one of @kept in @text: its number, and where it begins and ends. FALSE: there is none. */
gboolean tern_plain_find (const char *text, const GPtrArray *kept, guint *number, const char **begin, const char **end);

G_END_DECLS
