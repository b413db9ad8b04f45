/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/spool.h"

#include <string.h>

#include "watch/memory-priv.h"

void
tern_spool_entry_clear (TernSpoolEntry *entry)
{
  g_free (entry->topic);
  g_free (entry->payload);
  *entry = (TernSpoolEntry) { 0, NULL, NULL, FALSE };
}

gboolean
tern_spool_add (TernWatchMemory *memory, const char *sink, const char *topic, const char *payload, gboolean alert, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory,
      "INSERT INTO spool (sink, topic, payload, alert) VALUES (?, ?, ?, ?)", error);

  if (!statement)
    return FALSE;
  tern_memory_bind_text (statement, 1, sink);
  tern_memory_bind_text (statement, 2, topic);
  tern_memory_bind_text (statement, 3, payload);
  sqlite3_bind_int (statement, 4, alert != 0);
  return tern_memory_run (memory, statement, error);
}

gboolean
tern_spool_first (TernWatchMemory *memory, const char *sink, TernSpoolEntry *entry, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory,
      "SELECT id, topic, payload, alert FROM spool WHERE sink = ? ORDER BY id LIMIT 1", error);
  int rc;

  *entry = (TernSpoolEntry) { 0, NULL, NULL, FALSE };
  if (!statement)
    return FALSE;
  tern_memory_bind_text (statement, 1, sink);
  rc = tern_memory_step (statement);
  if (rc == SQLITE_ROW) {
    entry->id = sqlite3_column_int64 (statement, 0);
    entry->topic = tern_memory_column_text (statement, 1);
    entry->payload = tern_memory_column_text (statement, 2);
    entry->alert = sqlite3_column_int (statement, 3);
  }
  return tern_memory_end (memory, statement, rc, error);
}

gboolean
tern_spool_done (TernWatchMemory *memory, gint64 id, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "DELETE FROM spool WHERE id = ?", error);

  if (!statement)
    return FALSE;
  sqlite3_bind_int64 (statement, 1, id);
  return tern_memory_run (memory, statement, error);
}

/* From the first one that fits with all that are told rather than it: alerts before results, new ones before old ones. */
gboolean
tern_spool_trim (TernWatchMemory *memory, const char *sink, guint64 bytes, guint *n, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory,
      "DELETE FROM spool WHERE id IN (SELECT id FROM (SELECT id, sum (length (payload) + 64) OVER (ORDER BY alert DESC, id DESC)"
      " AS held FROM spool WHERE sink = ?1) WHERE held > ?2)", error);

  *n = 0;
  if (!statement)
    return FALSE;
  tern_memory_bind_text (statement, 1, sink);
  sqlite3_bind_int64 (statement, 2, (gint64) MIN (bytes, G_MAXINT64));
  if (!tern_memory_run (memory, statement, error))
    return FALSE;
  *n = (guint) sqlite3_changes (memory->db);
  return TRUE;
}

char **
tern_spool_sinks (TernWatchMemory *memory, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "SELECT DISTINCT sink FROM spool ORDER BY sink", error);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  int rc;

  if (!statement)
    return NULL;
  while ((rc = tern_memory_step (statement)) == SQLITE_ROW)
    g_ptr_array_add (names, tern_memory_column_text (statement, 0));
  if (!tern_memory_end (memory, statement, rc, error))
    return NULL;
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&names), FALSE);
}

gboolean
tern_spool_drop (TernWatchMemory *memory, const char *sink, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "DELETE FROM spool WHERE sink = ?", error);

  if (!statement)
    return FALSE;
  tern_memory_bind_text (statement, 1, sink);
  return tern_memory_run (memory, statement, error);
}

char *
tern_spool_message (const TernSpoolEntry *entry)
{
  return g_strdup_printf ("{\"id\":%" G_GINT64_FORMAT ",%s", entry->id, entry->payload + 1);
}
