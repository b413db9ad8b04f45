/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/said.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define AGAIN (3600 * SECOND)
/* Lost for so long, it is not as good as there, whatever the reason. */
#define AWAY (60 * SECOND)
/* Whoever finds more reasons than that makes them up. */
#define REASONS_MOST 64

void
tern_said_clear (TernSaid *said)
{
  g_clear_pointer (&said->reasons, g_hash_table_unref);
}

/* Numbers of elements (decodebin16) change from try to try; those that stand alone mean something (status 503). */
static char *
without_numbers (const char *words)
{
  GString *out = g_string_new (NULL);
  gboolean name = FALSE;

  for (const char *p = words; *p; p++) {
    name = g_ascii_isalpha (*p) || (name && g_ascii_isdigit (*p));
    if (!name || !g_ascii_isdigit (*p))
      g_string_append_c (out, *p);
  }
  return g_string_free (out, FALSE);
}

static gboolean
is_news (TernSaid *said, const char *what, gint64 now)
{
  g_autofree char *key = without_numbers (what);
  const gint64 *when;

  if (!said->reasons)
    said->reasons = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  when = g_hash_table_lookup (said->reasons, key);
  if (when && now - *when < AGAIN)
    return FALSE;
  if (g_hash_table_size (said->reasons) >= REASONS_MOST)
    g_hash_table_remove_all (said->reasons);
  g_hash_table_replace (said->reasons, g_steal_pointer (&key), g_memdup2 (&now, sizeof now));
  return TRUE;
}

gboolean
tern_said_lost (TernSaid *said, const char *why, gboolean lasted, gint64 now)
{
  gboolean news;

  if (lasted)
    tern_said_clear (said);
  if (!said->since)
    said->since = now;
  news = is_news (said, why, now) || (said->here && now - said->since >= AWAY);
  if (news)
    said->here = FALSE;
  return news;
}

gboolean
tern_said_back (TernSaid *said, gint64 now, gint64 *away)
{
  gboolean news = !said->here;

  *away = said->ever ? tern_said_away (said, now) : 0;
  said->since = 0;
  said->here = said->ever = TRUE;
  return news;
}

gint64
tern_said_away (const TernSaid *said, gint64 now)
{
  return said->since ? now - said->since : 0;
}

gboolean
tern_said_warned (TernSaid *said, const char *what, gint64 now)
{
  return is_news (said, what, now);
}

void
tern_said_pause (TernSaid *said)
{
  tern_said_clear (said);
  said->since = 0;
  said->here = FALSE;
}
