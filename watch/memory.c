/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/memory-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tern/error.h"

#define APPLICATION 0x5465726e  /* "Tern" */
#define VERSION 2
#define VERSION_OF_UNSEEN 2
#define BUSY_MS 10000           /* somebody else writes: a reader that forgets nothing is soon done */

/* Results with nothing new are rows, but no words: a search for what stands in front of a camera all day finds it once. The
 * indices of words take their texts from the view, and are told of every change with the values of before. */
static const char schema[] =
    "CREATE TABLE run (id INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL);"
    "CREATE TABLE result (id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, camera TEXT NOT NULL,"
    "  number INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,"
    "  label TEXT, scores TEXT, confidence REAL NOT NULL, abstained INTEGER NOT NULL, fresh INTEGER NOT NULL, model TEXT,"
    "  tags TEXT NOT NULL, verdict INTEGER, UNIQUE (run, camera, number));"
    "CREATE INDEX result_start ON result (start);"
    "CREATE INDEX result_camera ON result (camera, fresh);"
    "CREATE INDEX result_unsure ON result (id) WHERE abstained = 1 AND fresh = 1 AND verdict IS NULL;"
    "CREATE TABLE thumbnail (result INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);"
    "CREATE VIEW said AS SELECT id, text, tags FROM result WHERE fresh = 1;"
    "CREATE VIRTUAL TABLE words USING fts5 (text, tags, content='said', content_rowid='id',"
    "  tokenize='porter unicode61 remove_diacritics 2', prefix='2 3');"
    "CREATE VIRTUAL TABLE pieces USING fts5 (text, content='said', content_rowid='id', tokenize='trigram');"
    "CREATE TRIGGER result_added AFTER INSERT ON result WHEN new.fresh = 1 BEGIN"
    "  INSERT INTO words (rowid, text, tags) VALUES (new.id, new.text, new.tags);"
    "  INSERT INTO pieces (rowid, text) VALUES (new.id, new.text); END;"
    "CREATE TRIGGER result_deleted AFTER DELETE ON result BEGIN"
    "  INSERT INTO words (words, rowid, text, tags) SELECT 'delete', old.id, old.text, old.tags WHERE old.fresh = 1;"
    "  INSERT INTO pieces (pieces, rowid, text) SELECT 'delete', old.id, old.text WHERE old.fresh = 1;"
    "  DELETE FROM thumbnail WHERE result = old.id; END;"
    "CREATE TABLE spool (id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, topic TEXT NOT NULL,"
    "  payload TEXT NOT NULL, alert INTEGER NOT NULL);"
    "CREATE INDEX spool_sink ON spool (sink);"
    /* By a memory's first time, so that receivers who know the last id of one before are told by a new one, too. */
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('spool', CAST (strftime ('%s', 'now') AS INTEGER) * 1000);"
    "CREATE TABLE note (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;";

/* Since version 2: times that were not looked at. */
static const char unseen_schema[] =
    "CREATE TABLE unseen (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, camera TEXT NOT NULL, start INTEGER NOT NULL,"
    "  end INTEGER NOT NULL, time INTEGER NOT NULL, windows INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE INDEX unseen_camera ON unseen (camera, end);"
    "CREATE INDEX unseen_end ON unseen (end);";

/* ---- Statements ---- */

static gboolean
fail (TernWatchMemory *memory, int rc, GError **error)
{
  TernErrorCode code = rc == SQLITE_CANTOPEN ? TERN_ERROR_NOT_FOUND
      : rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT ? TERN_ERROR_FORMAT
      : rc == SQLITE_FULL ? TERN_ERROR_NO_SPACE : rc == SQLITE_BUSY ? TERN_ERROR_BUSY : TERN_ERROR_READ;

  g_set_error (error, TERN_ERROR, code, "%s: %s", memory->path,
      memory->db ? sqlite3_errmsg (memory->db) : sqlite3_errstr (rc));
  return FALSE;
}

sqlite3_stmt *
tern_memory_prepare (TernWatchMemory *memory, const char *sql, GError **error)
{
  sqlite3_stmt *statement = g_hash_table_lookup (memory->statements, sql);
  int rc;

  if (statement)
    return statement;
  rc = sqlite3_prepare_v3 (memory->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
  if (rc != SQLITE_OK) {
    fail (memory, rc, error);
    return NULL;
  }
  g_hash_table_insert (memory->statements, (gpointer) sql, statement);
  return statement;
}

int
tern_memory_step (sqlite3_stmt *statement)
{
  return sqlite3_step (statement);
}

gboolean
tern_memory_end (TernWatchMemory *memory, sqlite3_stmt *statement, int rc, GError **error)
{
  gboolean good = rc == SQLITE_DONE || rc == SQLITE_ROW || fail (memory, rc, error);

  sqlite3_reset (statement);
  sqlite3_clear_bindings (statement);
  return good;
}

gboolean
tern_memory_run (TernWatchMemory *memory, sqlite3_stmt *statement, GError **error)
{
  return tern_memory_end (memory, statement, sqlite3_step (statement), error);
}

static gboolean
run_sql (TernWatchMemory *memory, const char *sql, GError **error)
{
  int rc = sqlite3_exec (memory->db, sql, NULL, NULL, NULL);

  return rc == SQLITE_OK || fail (memory, rc, error);
}

/* The one number that a PRAGMA answers; -1 with @error. */
static gint64
ask_number (TernWatchMemory *memory, const char *sql, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, sql, error);
  gint64 number = -1;
  int rc;

  if (!statement)
    return -1;
  rc = sqlite3_step (statement);
  if (rc == SQLITE_ROW)
    number = sqlite3_column_int64 (statement, 0);
  return tern_memory_end (memory, statement, rc, error) ? number : -1;
}

void
tern_memory_bind_text (sqlite3_stmt *statement, int i, const char *text)
{
  sqlite3_bind_text (statement, i, text, -1, SQLITE_TRANSIENT);
}

char *
tern_memory_column_text (sqlite3_stmt *statement, int i)
{
  return g_strdup ((const char *) sqlite3_column_text (statement, i));
}

/* ---- Opening ---- */

static void
statement_free (gpointer statement)
{
  sqlite3_finalize (statement);
}

/* FALSE: it is something else, or of a later version. */
static gboolean
check_kind (TernWatchMemory *memory, gint64 *version, GError **error)
{
  gint64 application = ask_number (memory, "PRAGMA application_id", error);
  gint64 tables = application < 0 ? -1 : ask_number (memory, "SELECT count(*) FROM sqlite_master", error);

  *version = tables < 0 ? -1 : ask_number (memory, "PRAGMA user_version", error);
  if (*version < 0)
    return FALSE;
  if (tables == 0 && application == 0)
    return TRUE;                /* empty */
  if (application == APPLICATION && *version >= 1 && *version <= VERSION)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a memory of version 1 to %d, found %s %" G_GINT64_FORMAT,
      memory->path, VERSION, application == APPLICATION ? "version" : "a database of another program, version", *version);
  return FALSE;
}

/* Of a file that is of @version, 0: empty, all that it lacks; or nothing, whatever fails. */
static gboolean
make_tables (TernWatchMemory *memory, gint64 version, GError **error)
{
  g_autofree char *sql = g_strdup_printf ("BEGIN IMMEDIATE;%s%s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
      version < 1 ? schema : "", version < VERSION_OF_UNSEEN ? unseen_schema : "", APPLICATION, VERSION);

  if (run_sql (memory, sql, error))
    return TRUE;
  tern_memory_rollback (memory);
  return FALSE;
}

gboolean
tern_memory_has_unseen (TernWatchMemory *memory)
{
  return memory->version >= VERSION_OF_UNSEEN;
}

/* Thumbnails show homes: nobody else's to read. */
static gboolean
make_file (const char *path, GError **error)
{
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  if (fd < 0) {
    g_set_error (error, TERN_ERROR, errno == ENOENT ? TERN_ERROR_NOT_FOUND : TERN_ERROR_READ, "%s: cannot be opened: %s",
        path, g_strerror (errno));
    return FALSE;
  }
  close (fd);
  return TRUE;
}

/* FULL: what is committed is on the disk, power cut or not; it is a few times a second. */
static gboolean
set_up (TernWatchMemory *memory, TernMemoryMode mode, GError **error)
{
  gint64 version;

  sqlite3_busy_timeout (memory->db, BUSY_MS);
  if (!check_kind (memory, &version, error))
    return FALSE;
  if (mode == TERN_MEMORY_READ && version == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a memory, found an empty file", memory->path);
    return FALSE;
  }
  memory->version = mode == TERN_MEMORY_READ ? version : VERSION;
  return mode == TERN_MEMORY_READ || (run_sql (memory, "PRAGMA auto_vacuum=INCREMENTAL;PRAGMA journal_mode=WAL;PRAGMA "
          "synchronous=FULL;PRAGMA journal_size_limit=16777216", error)
      && (version == VERSION || make_tables (memory, version, error)));
}

TernWatchMemory *
tern_memory_open (const char *path, TernMemoryMode mode, GError **error)
{
  g_autoptr (TernWatchMemory) memory = NULL;
  int rc;

  if (mode == TERN_MEMORY_WRITE && !make_file (path, error))
    return NULL;
  memory = g_new0 (TernWatchMemory, 1);
  memory->path = g_strdup (path);
  memory->statements = g_hash_table_new_full (g_direct_hash, g_direct_equal, NULL, statement_free);
  rc = sqlite3_open_v2 (path, &memory->db, SQLITE_OPEN_READWRITE, NULL);
  if (rc != SQLITE_OK) {
    fail (memory, rc, error);
    return NULL;
  }
  return set_up (memory, mode, error) ? g_steal_pointer (&memory) : NULL;
}

void
tern_memory_close (TernWatchMemory *memory)
{
  if (!memory)
    return;
  g_hash_table_unref (memory->statements);
  sqlite3_close (memory->db);
  g_free (memory->path);
  g_free (memory);
}

gboolean
tern_memory_lock (const char *path, GError **error)
{
  g_autofree char *name = g_strconcat (path, "-watch", NULL);
  int fd = open (name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  if (fd >= 0 && flock (fd, LOCK_EX | LOCK_NB) == 0)
    return TRUE;                /* kept open: the lock is the process's */
  g_set_error (error, TERN_ERROR, errno == EWOULDBLOCK ? TERN_ERROR_BUSY : TERN_ERROR_READ, "%s: %s", path,
      errno == EWOULDBLOCK ? "expected to be the only one that watches with it, found another process" : g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return FALSE;
}

/* ---- Writing ---- */

gint64
tern_memory_new_run (TernWatchMemory *memory, gint64 now, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "INSERT INTO run (started) VALUES (?)", error);

  if (!statement)
    return 0;
  sqlite3_bind_int64 (statement, 1, now);
  return tern_memory_run (memory, statement, error) ? sqlite3_last_insert_rowid (memory->db) : 0;
}

static gboolean
run_prepared (TernWatchMemory *memory, const char *sql, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, sql, error);

  return statement && tern_memory_run (memory, statement, error);
}

gboolean
tern_memory_begin (TernWatchMemory *memory, GError **error)
{
  return run_prepared (memory, "BEGIN IMMEDIATE", error);
}

gboolean
tern_memory_commit (TernWatchMemory *memory, GError **error)
{
  return run_prepared (memory, "COMMIT", error);
}

void
tern_memory_rollback (TernWatchMemory *memory)
{
  if (!sqlite3_get_autocommit (memory->db))
    run_prepared (memory, "ROLLBACK", NULL);
}

/* Stemming leaves what ends in a digit alone, so names stay whole. */
char *
tern_memory_tag (char kind, const char *name)
{
  GString *tag = g_string_new (NULL);

  g_string_append_c (tag, kind);
  for (const char *p = name; *p; p++)
    g_string_append_printf (tag, "%02x", (guint8) *p);
  g_string_append_c (tag, '0');
  return g_string_free (tag, FALSE);
}

static gboolean
add_thumbnail (TernWatchMemory *memory, gint64 id, GBytes *jpeg, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "INSERT INTO thumbnail (result, jpeg) VALUES (?, ?)", error);
  gsize len;
  const void *data = g_bytes_get_data (jpeg, &len);

  if (!statement)
    return FALSE;
  sqlite3_bind_int64 (statement, 1, id);
  sqlite3_bind_blob64 (statement, 2, data, len, SQLITE_TRANSIENT);
  return tern_memory_run (memory, statement, error);
}

gboolean
tern_memory_add (TernWatchMemory *memory, const TernMemoryResult *result, gint64 *id, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "INSERT INTO result (run, camera, number, start, end, kind, text,"
      " label, scores, confidence, abstained, fresh, model, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", error);
  gboolean fresh = !result->unchanged && strcmp (result->kind, "error") != 0;
  g_autofree char *camera = tern_memory_tag ('c', result->camera);
  g_autofree char *label = result->label ? tern_memory_tag ('l', result->label) : NULL;
  g_autofree char *tags = g_strconcat (camera, label ? " " : NULL, label, NULL);

  if (!statement)
    return FALSE;
  sqlite3_bind_int64 (statement, 1, result->run);
  tern_memory_bind_text (statement, 2, result->camera);
  sqlite3_bind_int64 (statement, 3, (gint64) result->number);
  sqlite3_bind_int64 (statement, 4, result->start);
  sqlite3_bind_int64 (statement, 5, result->end);
  tern_memory_bind_text (statement, 6, result->kind);
  tern_memory_bind_text (statement, 7, result->text ? result->text : "");
  tern_memory_bind_text (statement, 8, result->label);
  tern_memory_bind_text (statement, 9, result->scores);
  sqlite3_bind_double (statement, 10, result->confidence);
  sqlite3_bind_int (statement, 11, result->abstained != 0);
  sqlite3_bind_int (statement, 12, fresh);
  tern_memory_bind_text (statement, 13, result->model);
  tern_memory_bind_text (statement, 14, tags);
  if (!tern_memory_run (memory, statement, error))
    return FALSE;
  *id = sqlite3_last_insert_rowid (memory->db);
  return !result->thumbnail || !fresh || add_thumbnail (memory, *id, result->thumbnail, error);
}

/* ---- Forgetting ---- */

static gboolean
delete_oldest (TernWatchMemory *memory, const char *sql, gint64 before, guint most, guint *n, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, sql, error);

  if (!statement)
    return FALSE;
  sqlite3_bind_int64 (statement, 1, most);
  sqlite3_bind_int64 (statement, 2, before);
  if (!tern_memory_run (memory, statement, error))
    return FALSE;
  *n += (guint) sqlite3_changes (memory->db);
  return TRUE;
}

/* What the file holds; pages that are free are none of it. */
static gint64
content_bytes (TernWatchMemory *memory, GError **error)
{
  gint64 size = ask_number (memory, "PRAGMA page_size", error);
  gint64 pages = size < 0 ? -1 : ask_number (memory, "PRAGMA page_count", error);
  gint64 unused = pages < 0 ? -1 : ask_number (memory, "PRAGMA freelist_count", error);

  return unused < 0 ? -1 : (pages - unused) * size;
}

#define STEP 16                 /* results between two looks at the size */
#define OLDEST "DELETE FROM result WHERE id IN (SELECT id FROM result WHERE start < ?2 AND end < ?2 ORDER BY start LIMIT ?1)"

static gboolean
forget (TernWatchMemory *memory, gint64 before, guint64 bytes, guint most, guint *n, GError **error)
{
  gint64 held;

  if (!delete_oldest (memory, OLDEST, before, most, n, error))
    return FALSE;
  while (*n < most) {
    guint was = *n;

    held = content_bytes (memory, error);
    if (held < 0)
      return FALSE;
    if ((guint64) held <= bytes)
      return TRUE;
    if (!delete_oldest (memory, OLDEST, G_MAXINT64, MIN (most - *n, STEP), n, error))
      return FALSE;
    if (*n == was)
      return TRUE;
  }
  return TRUE;
}

static gboolean
forget_unseen (TernWatchMemory *memory, gint64 before, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "DELETE FROM unseen WHERE end < ?", error);

  if (!statement)
    return FALSE;
  sqlite3_bind_int64 (statement, 1, before);
  return tern_memory_run (memory, statement, error);
}

gboolean
tern_memory_forget (TernWatchMemory *memory, gint64 before, guint64 bytes, guint most, guint *n, GError **error)
{
  *n = 0;
  if (!tern_memory_begin (memory, error))
    return FALSE;
  if (!forget (memory, before, bytes, most, n, error) || !forget_unseen (memory, before, error)
      || !tern_memory_commit (memory, error)) {
    tern_memory_rollback (memory);
    return FALSE;
  }
  return *n == 0 || run_sql (memory, "PRAGMA incremental_vacuum", error);
}

/* ---- Single values ---- */

guint
tern_memory_count (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "SELECT count(*) FROM result WHERE start >= ? AND start < ? AND fresh = 1"
      " AND (?3 IS NULL OR camera = ?3)", NULL);
  guint n = 0;
  int rc;

  if (!statement)
    return 0;
  sqlite3_bind_int64 (statement, 1, since);
  sqlite3_bind_int64 (statement, 2, until);
  tern_memory_bind_text (statement, 3, camera);
  rc = sqlite3_step (statement);
  if (rc == SQLITE_ROW)
    n = (guint) sqlite3_column_int64 (statement, 0);
  tern_memory_end (memory, statement, rc, NULL);
  return n;
}

gboolean
tern_memory_judge (TernWatchMemory *memory, gint64 id, gboolean right, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "UPDATE result SET verdict = ? WHERE id = ?", error);

  if (!statement)
    return FALSE;
  sqlite3_bind_int (statement, 1, right ? 1 : 0);
  sqlite3_bind_int64 (statement, 2, id);
  return tern_memory_run (memory, statement, error);
}

GBytes *
tern_memory_thumbnail (TernWatchMemory *memory, gint64 id, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "SELECT jpeg FROM thumbnail WHERE result = ?", error);
  GBytes *jpeg = NULL;
  int rc;

  if (!statement)
    return NULL;
  sqlite3_bind_int64 (statement, 1, id);
  rc = sqlite3_step (statement);
  if (rc == SQLITE_ROW)
    jpeg = g_bytes_new (sqlite3_column_blob (statement, 0), (gsize) sqlite3_column_bytes (statement, 0));
  tern_memory_end (memory, statement, rc, error);
  return jpeg;
}

char *
tern_memory_get (TernWatchMemory *memory, const char *name, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, "SELECT text FROM note WHERE name = ?", error);
  char *text = NULL;
  int rc;

  if (!statement)
    return NULL;
  tern_memory_bind_text (statement, 1, name);
  rc = sqlite3_step (statement);
  if (rc == SQLITE_ROW)
    text = tern_memory_column_text (statement, 0);
  tern_memory_end (memory, statement, rc, error);
  return text;
}

gboolean
tern_memory_put (TernWatchMemory *memory, const char *name, const char *text, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, text ? "REPLACE INTO note (name, text) VALUES (?, ?)"
      : "DELETE FROM note WHERE name = ?", error);

  if (!statement)
    return FALSE;
  tern_memory_bind_text (statement, 1, name);
  if (text)
    tern_memory_bind_text (statement, 2, text);
  return tern_memory_run (memory, statement, error);
}
