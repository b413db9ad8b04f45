/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions to the memory: what to look for, and what a language model is told of what was found. What comes from the memory
 * is data: it stands in JSON, a line a hit, behind words that say so, and nothing in it can end its line. That it never becomes
 * a control token is the library's care (TernCompletionParams.chat). Pure functions. */
#pragma once

#include "watch/search.h"

G_BEGIN_DECLS

/* The words of a question that say what it is about: all but those that stand in any question, unless there are no others. */
char *tern_ask_words (const char *question);
/* The conversation, a JSON object with `messages`: about the first @n of @hits. */
char *tern_ask_chat (const char *question, const GPtrArray *hits, guint n);

G_END_DECLS
