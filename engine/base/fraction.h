/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times and ticks: products that 64 bits do not hold, divided, for not every compiler has integers of 128; and rates as people
 * write them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* (@a * @b + @extra) / @c, rounded down; G_MAXUINT64 where it is more. @c > 0. */
guint64 tern_mul_div (guint64 a, guint64 b, guint64 extra, guint64 c);

#define TERN_RATE_MOST 1000000

/* A rate: N or N/D, at most TERN_RATE_MOST, or a decimal of at most six places (29.97, .5, 2.). Nothing a second, however it is
 * written, is 0/1. FALSE: @text is none. */
gboolean tern_rate_parse (const char *text, guint *n, guint *d);

G_END_DECLS
