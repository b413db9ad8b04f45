/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/unseen.h"

#include "engine/base/json.h"
#include "watch/memory-priv.h"

#define MINUTE (60 * (gint64) G_USEC_PER_SEC)
/* Cameras of which nothing is known for so long are not watched: what goes on is put in every ten seconds. */
#define FILES_NOTE "files"       /* names of cameras, a line each */
#define KNOWN_LATE MINUTE
#define TOGETHER MINUTE
#define CLOCKS_DIFFER MINUTE    /* what lies behind now by less may be of now: clocks are corrected all the time */

static const struct { const char *name, *words; } reasons[TERN_UNSEEN_REASONS] = {
  [TERN_UNSEEN_OVERLOAD] = { "overload", "there was more to look at than this machine can" },
  [TERN_UNSEEN_AWAY] = { "away", "the camera sent no pictures" },
  [TERN_UNSEEN_OFF] = { "off", "tern watch did not run, or not with this camera" },
  [TERN_UNSEEN_SCHEDULE] = { "schedule", "its schedule says so" },
  [TERN_UNSEEN_FAILED] = { "failed", "windows could not be answered" },
};

const char *
tern_unseen_name (TernUnseenReason reason)
{
  return reasons[reason].name;
}

const char *
tern_unseen_words (TernUnseenReason reason)
{
  return reasons[reason].words;
}

/* ---- Writing ---- */

gboolean
tern_unseen_put (TernWatchMemory *memory, gint64 run, const char *camera, const TernUnseen *span, gint64 *id, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "REPLACE INTO unseen (id, run, camera, start, end, time, windows, reason)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?)", error);

  if (!statement)
    return FALSE;
  if (*id)
    sqlite3_bind_int64 (statement, 1, *id);
  sqlite3_bind_int64 (statement, 2, run);
  tern_memory_bind_text (statement, 3, camera);
  sqlite3_bind_int64 (statement, 4, span->start);
  sqlite3_bind_int64 (statement, 5, span->end);
  sqlite3_bind_int64 (statement, 6, span->time);
  sqlite3_bind_int64 (statement, 7, (gint64) span->windows);
  tern_memory_bind_text (statement, 8, tern_unseen_name (span->reason));
  if (!tern_memory_run (memory, statement, error))
    return FALSE;
  *id = sqlite3_last_insert_rowid (memory->db);
  return TRUE;
}

gboolean
tern_unseen_remove (TernWatchMemory *memory, gint64 id, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "DELETE FROM unseen WHERE id = ?", error);

  if (!statement)
    return FALSE;
  sqlite3_bind_int64 (statement, 1, id);
  return tern_memory_run (memory, statement, error);
}

/* ---- Reading ---- */

gint64
tern_unseen_known_until (TernWatchMemory *memory, const char *camera, gint64 now)
{
  sqlite3_stmt *statement = tern_memory_has_unseen (memory) ? tern_memory_prepare (memory, "SELECT max (end) FROM ("
      "SELECT * FROM (SELECT end FROM result WHERE camera = ?1 AND fresh = 0 AND end <= ?2 ORDER BY id DESC LIMIT 1) UNION ALL "
      "SELECT * FROM (SELECT end FROM result WHERE camera = ?1 AND fresh = 1 AND end <= ?2 ORDER BY id DESC LIMIT 1) UNION ALL "
      "SELECT max (end) FROM unseen WHERE camera = ?1 AND end <= ?2)", NULL) : NULL;
  gint64 until = 0;
  int rc;

  if (!statement)
    return 0;
  tern_memory_bind_text (statement, 1, camera);
  sqlite3_bind_int64 (statement, 2, now + CLOCKS_DIFFER);
  rc = tern_memory_step (statement);
  if (rc == SQLITE_ROW)
    until = sqlite3_column_int64 (statement, 0);
  tern_memory_end (memory, statement, rc, NULL);
  return until;
}

static void
sum_free (gpointer data)
{
  g_free (((TernUnseenSum *) data)->camera);
  g_free (data);
}

static TernUnseenReason
reason_of (sqlite3_stmt *statement, int column)
{
  const char *name = (const char *) sqlite3_column_text (statement, column);

  for (guint i = 0; i < TERN_UNSEEN_REASONS; i++)
    if (g_strcmp0 (name, reasons[i].name) == 0)
      return i;
  return TERN_UNSEEN_FAILED;
}

/* Columns: camera, reason, start, end, time, windows. */
static gboolean
read_sums (TernWatchMemory *memory, const char *sql, const char *camera, gint64 since, gint64 until, GPtrArray *sums,
    GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, sql, error);
  int rc;

  if (!statement)
    return FALSE;
  tern_memory_bind_text (statement, 1, camera);
  sqlite3_bind_int64 (statement, 2, since);
  sqlite3_bind_int64 (statement, 3, until);
  while ((rc = tern_memory_step (statement)) == SQLITE_ROW) {
    TernUnseenSum *sum = g_new0 (TernUnseenSum, 1);

    sum->camera = tern_memory_column_text (statement, 0);
    sum->reason = reason_of (statement, 1);
    sum->start = sqlite3_column_int64 (statement, 2);
    sum->end = sqlite3_column_int64 (statement, 3);
    sum->time = (gint64) (sqlite3_column_double (statement, 4) + .5);
    sum->windows = (guint64) (sqlite3_column_double (statement, 5) + .5);
    g_ptr_array_add (sums, sum);
  }
  return tern_memory_end (memory, statement, rc, error);
}

/* Of a span that is cut by the times that are asked for, its share. */
#define SHARE "* 1.0 * (min (end, ?3) - max (start, ?2)) / max (end - start, 1)"
#define CUT "time " SHARE ", windows " SHARE
#define WHERE " FROM unseen WHERE end > ?2 AND start < ?3 AND (?1 IS NULL OR camera = ?1)"
#define SUMS "SELECT camera, reason, max (min (start), ?2), min (max (end), ?3), sum (time " SHARE "), sum (windows " SHARE ")" WHERE \
    " GROUP BY +camera, reason ORDER BY +camera, reason"
#define SPANS "SELECT camera, reason, max (start, ?2), min (end, ?3), " CUT WHERE " ORDER BY +camera, reason, start"
/* Each camera that is known, by one look into an index for each. */
#define CAMERAS "WITH RECURSIVE known (camera) AS (SELECT min (camera) FROM result UNION ALL SELECT (SELECT min (camera) FROM" \
    " result r WHERE r.camera > known.camera) FROM known WHERE known.camera IS NOT NULL), also (camera) AS (SELECT min (camera)" \
    " FROM unseen UNION ALL SELECT (SELECT min (camera) FROM unseen u WHERE u.camera > also.camera) FROM also" \
    " WHERE also.camera IS NOT NULL) SELECT camera, 'off', 0, 0, 0, 0 FROM (SELECT camera FROM known UNION SELECT camera FROM also)" \
    " WHERE camera IS NOT NULL AND (?1 IS NULL OR camera = ?1) AND ?2 IS NOT NULL AND ?3 IS NOT NULL"

static void
add_off (GPtrArray *sums, const char *camera, gint64 start, gint64 end)
{
  TernUnseenSum *sum;

  for (guint i = 0; i < sums->len; i++) {
    sum = g_ptr_array_index (sums, i);
    if (sum->reason == TERN_UNSEEN_OFF && g_strcmp0 (sum->camera, camera) == 0) {
      sum->time += end - start;
      sum->end = end;
      return;
    }
  }
  sum = g_new0 (TernUnseenSum, 1);
  *sum = (TernUnseenSum) { g_strdup (camera), TERN_UNSEEN_OFF, start, end, end - start, 0 };
  g_ptr_array_add (sums, sum);
}

static char **
read_files (TernWatchMemory *memory)
{
  g_autofree char *note = tern_memory_get (memory, FILES_NOTE, NULL);

  return g_strsplit (note ? note : "", "\n", -1);
}

gboolean
tern_unseen_set_file (TernWatchMemory *memory, const char *camera, gboolean file, GError **error)
{
  g_auto (GStrv) names = read_files (memory);
  g_autoptr (GString) others = g_string_new (NULL);

  if (g_strv_contains ((const char *const *) names, camera) == file)
    return TRUE;
  for (char **name = names; *name; name++)
    if (**name && strcmp (*name, camera) != 0)
      g_string_append_printf (others, "%s\n", *name);
  if (file)
    g_string_append_printf (others, "%s\n", camera);
  return tern_memory_put (memory, FILES_NOTE, others->str, error);
}

gboolean
tern_unseen_add_unknown (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, gint64 now, GPtrArray *sums,
    GError **error)
{
  g_autoptr (GPtrArray) cameras = g_ptr_array_new_with_free_func (sum_free);
  g_auto (GStrv) files = read_files (memory);

  until = until ? MIN (until, now) : now;
  if (tern_memory_has_unseen (memory) && !read_sums (memory, CAMERAS, camera, since, until, cameras, error))
    return FALSE;
  for (guint i = 0; i < cameras->len; i++) {
    const TernUnseenSum *known = g_ptr_array_index (cameras, i);
    gint64 from = MAX (tern_unseen_known_until (memory, known->camera, now), since);

    if (until - from > KNOWN_LATE && !g_strv_contains ((const char *const *) files, known->camera))
      add_off (sums, known->camera, from, until);
  }
  return TRUE;
}

GPtrArray *
tern_unseen_sum (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, gint64 now, GError **error)
{
  g_autoptr (GPtrArray) sums = g_ptr_array_new_with_free_func (sum_free);

  until = until ? MIN (until, now) : now;
  if (tern_memory_has_unseen (memory) && since < until && !read_sums (memory, SUMS, camera, since, until, sums, error))
    return NULL;
  return g_steal_pointer (&sums);
}

GPtrArray *
tern_unseen_find (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, GError **error)
{
  gint64 now = g_get_real_time ();
  g_autoptr (GPtrArray) sums = tern_unseen_sum (memory, camera, since, until, now, error);

  if (!sums || !tern_unseen_add_unknown (memory, camera, since, until, now, sums, error))
    return NULL;
  return g_steal_pointer (&sums);
}

static gint
by_start (gconstpointer a, gconstpointer b)
{
  const TernUnseenSum *x = *(TernUnseenSum *const *) a, *y = *(TernUnseenSum *const *) b;

  return x->start > y->start ? -1 : x->start < y->start;
}

static gboolean
belong_together (const TernUnseenSum *before, const TernUnseenSum *after)
{
  return before->reason == after->reason && g_strcmp0 (before->camera, after->camera) == 0
      && after->start - before->end < TOGETHER;
}

GPtrArray *
tern_unseen_list (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, guint limit, GError **error)
{
  g_autoptr (GPtrArray) spans = g_ptr_array_new_with_free_func (sum_free), all = NULL;

  if (tern_memory_has_unseen (memory) && !read_sums (memory, SPANS, camera, since, until, spans, error))
    return NULL;
  all = g_ptr_array_new_with_free_func (sum_free);
  for (guint i = 0; i < spans->len; i++) {
    TernUnseenSum *span = g_ptr_array_index (spans, i), *last = all->len ? g_ptr_array_index (all, all->len - 1) : NULL;

    if (last && belong_together (last, span)) {
      last->end = MAX (last->end, span->end);
      last->time += span->time;
      last->windows += span->windows;
    } else {
      g_ptr_array_add (all, g_memdup2 (span, sizeof *span));
      ((TernUnseenSum *) g_ptr_array_index (all, all->len - 1))->camera = g_strdup (span->camera);
    }
  }
  g_ptr_array_sort (all, by_start);
  if (all->len > limit)
    g_ptr_array_set_size (all, (gint) limit);
  return g_steal_pointer (&all);
}

/* ---- Showing ---- */

char *
tern_unseen_line (const TernUnseenSum *sum)
{
  g_autofree char *time = tern_watch_length (sum->time), *start = tern_watch_local (sum->start), *end = tern_watch_local (sum->end);
  g_autofree char *windows = sum->windows ? g_strdup_printf (" (%" G_GUINT64_FORMAT " windows)", sum->windows) : g_strdup ("");

  return g_strdup_printf ("%s: %s%s were not looked at, between %s and %s: %s", sum->camera, time, windows, start, end,
      tern_unseen_words (sum->reason));
}

char *
tern_unseen_json (const TernUnseenSum *sum)
{
  g_autofree char *start = tern_watch_utc (sum->start), *end = tern_watch_utc (sum->end);
  TernJson json = { g_string_new (NULL) };

  tern_json_open (&json, '{');
  tern_json_add_text (&json, "camera", sum->camera);
  tern_json_add_text (&json, "not_looked_at", tern_unseen_name (sum->reason));
  tern_json_add_text (&json, "start", start);
  tern_json_add_text (&json, "end", end);
  tern_json_name (&json, "seconds");
  tern_json_double (&json, (double) sum->time / G_USEC_PER_SEC, 9);
  tern_json_add_uint (&json, "windows", sum->windows);
  tern_json_close (&json, '}');
  return g_string_free (json.out, FALSE);
}

/* ---- Schedules ---- */

void
tern_unseen_split (const TernWeek *schedule, gint64 start, gint64 end, void (*put) (gpointer data, gint64 start, gint64 end,
        gboolean due), gpointer data)
{
  while (start < end) {
    gboolean due = !schedule || tern_week_has (schedule, start);
    gint64 to = schedule ? (start / MINUTE + 1) * MINUTE : end;

    while (to < end && tern_week_has (schedule, to) == due)
      to += MINUTE;
    put (data, start, MIN (to, end), due);
    start = to;
  }
}
