/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times and ticks: products that 64 bits do not hold, divided. Not every compiler has integers of 128. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* (@a * @b + @extra) / @c, rounded down; G_MAXUINT64 where it is more. @c > 0. */
guint64 tern_mul_div (guint64 a, guint64 b, guint64 extra, guint64 c);

G_END_DECLS
