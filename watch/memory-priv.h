/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements on the memory's database, for the files that have tables in it. */
#pragma once

#include <sqlite3.h>

#include "watch/memory.h"

G_BEGIN_DECLS

struct _TernMemory {
  char *path;
  sqlite3 *db;
  gint64 version;               /* of the file's tables */
  GHashTable *statements;       /* SQL (static) -> sqlite3_stmt: prepared once */
};

/* Whether the file has the table of watch/unseen.h: one of before is not changed by who only reads it. */
gboolean tern_memory_has_unseen (TernWatchMemory *memory);

/* The statement of @sql, a string that lives for ever, ready for values; NULL with @error. */
sqlite3_stmt *tern_memory_prepare (TernWatchMemory *memory, const char *sql, GError **error);
/* Runs it to its end and makes it ready again. */
gboolean tern_memory_run (TernWatchMemory *memory, sqlite3_stmt *statement, GError **error);
/* SQLITE_ROW, or anything else: the end, or a failure that tern_memory_end() tells of. */
int tern_memory_step (sqlite3_stmt *statement);
/* After the last step: makes the statement ready again. FALSE if @rc is neither a row nor the end. */
gboolean tern_memory_end (TernWatchMemory *memory, sqlite3_stmt *statement, int rc, GError **error);

void tern_memory_bind_text (sqlite3_stmt *statement, int i, const char *text);
/* A copy of the text in column @i; NULL for none. */
char *tern_memory_column_text (sqlite3_stmt *statement, int i);

G_END_DECLS
