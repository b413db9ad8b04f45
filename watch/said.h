/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is worth a line of the log, of something that is tried again and again: each reason once, again after an hour, and when
 * it is over. Reasons that differ in numbers of elements alone (decodebin16) are the same. Plain arithmetic on monotonic us that
 * others tell it, so that tests play days without a clock. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* All 0 at first. */
typedef struct {
  GHashTable *reasons;          /* words -> gint64: when they were said last */
  gint64 since;                 /* when it was lost; 0: it is there, or nobody looked */
  gboolean here;                /* what was said last is that it is there */
  gboolean ever;                /* it was there once */
} TernSaid;

void tern_said_clear (TernSaid *said);

/* It is not there, for the reason @why. @lasted: it was there until now, for so long that this is another loss. TRUE: it is to be
 * said. */
gboolean tern_said_lost (TernSaid *said, const char *why, gboolean lasted, gint64 now);
/* It is there. TRUE: it is to be said; *@away: how long it was not, us; 0: it is the first time. */
gboolean tern_said_back (TernSaid *said, gint64 now, gint64 *away);
/* How long it has not been there; 0: it is. */
gint64 tern_said_away (const TernSaid *said, gint64 now);
/* Something else is said of it. TRUE: it is to be. */
gboolean tern_said_warned (TernSaid *said, const char *what, gint64 now);
/* It is not to be there; what follows is new. */
void tern_said_pause (TernSaid *said);

G_END_DECLS
