/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Codes of languages as containers have them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The three letters of ISO 639-2 (the older ones where there are two: ger) for a code of two or three letters, with or without what
 * may stand behind a hyphen. Free with g_free. NULL: it begins with neither three letters nor two that ISO 639-1 has. */
char *tern_language_code (const char *code);

G_END_DECLS
