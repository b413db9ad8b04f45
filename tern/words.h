/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings that people write as one of a few words. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* *@which of @words [@n], n >= 2, @name is. INVALID lists them and says what was found. */
gboolean tern_word_parse (const char *name, const char *const *words, guint n, guint *which, GError **error);

G_END_DECLS
