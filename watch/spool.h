/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is still to be told, for each of those who are told a queue in the memory: an entry goes in with the result that it
 * is about, and out when its receiver has it. Threads and errors: as watch/memory.h. */
#pragma once

#include "watch/memory.h"

G_BEGIN_DECLS

typedef struct {
  gint64 id;                    /* ascending, never twice; 0: none */
  char *topic;                  /* "porch/result", "porch/person" */
  char *payload;                /* a JSON object with a member at least */
  gboolean alert;
} TernSpoolEntry;

void tern_spool_entry_clear (TernSpoolEntry *entry);

gboolean tern_spool_add (TernWatchMemory *memory, const char *sink, const char *topic, const char *payload, gboolean alert,
    GError **error);
/* The oldest entry; with id 0 when there is none. */
gboolean tern_spool_first (TernWatchMemory *memory, const char *sink, TernSpoolEntry *entry, GError **error);
/* The receiver has it. */
gboolean tern_spool_done (TernWatchMemory *memory, gint64 id, GError **error);
/* Deletes, the oldest first, results and then alerts, until what @sink waits for is no more than @bytes. *@n: how many. */
gboolean tern_spool_trim (TernWatchMemory *memory, const char *sink, guint64 bytes, guint *n, GError **error);
/* Names that have entries, NULL at the end. */
char **tern_spool_sinks (TernWatchMemory *memory, GError **error);
/* Nobody is told under this name any more. */
gboolean tern_spool_drop (TernWatchMemory *memory, const char *sink, GError **error);

/* The payload with its id: what is sent. */
char *tern_spool_message (const TernSpoolEntry *entry);

G_END_DECLS
