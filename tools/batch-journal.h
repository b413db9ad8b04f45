/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a run of `tern caption --resume` has done, so that the same command goes on after whatever ended it.
 *
 * A file of lines, each ending with a check of its own, that only grows. It is written in groups: first what was made is
 * brought to the disk, then the lines that say so, then these are. After a crash the lines up to the first that is not
 * whole hold; what was made and not told of is made again. A line:
 *
 *   done|failed|passed TAB key TAB state TAB end TAB results TAB name TAB note TAB check
 *
 * key: MD5 of the name's bytes, hexadecimal. state: of size and time, or of the content, hexadecimal; another one means that
 * the input was changed. end: bytes of the file of results after it. results: how many there are by then. name, note: as
 * g_strescape() writes them; the note is the file that was made, or why it failed. check: FNV-1a of what stands before it.
 * In front of them stand the settings, a line each: set TAB key TAB value TAB check. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  TERN_JOURNAL_NEW,
  TERN_JOURNAL_CHANGED,         /* done or failed before, of another state */
  TERN_JOURNAL_DONE,
  TERN_JOURNAL_FAILED,
  TERN_JOURNAL_PASSED,          /* neither picture nor video */
} TernJournalStatus;

typedef struct _TernJournal TernJournal;

/* Opens, or begins, the journal at @path, and keeps others from it where the file system has locks. @settings: pairs of key
 * and value, NULL-terminated. @force: other settings than those that it began with are taken.
 * Errors: BUSY (another run has it), MISMATCH (names the setting, both values), FORMAT (no journal), READ, NO_SPACE. */
TernJournal *tern_journal_open (const char *path, const char *const *settings, gboolean force, GError **error);
void tern_journal_free (TernJournal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernJournal, tern_journal_free)

/* What became of @name, whose state is @state now. */
TernJournalStatus tern_journal_find (const TernJournal *journal, const char *name, guint64 state);
/* Why @name failed in a run before this one; told once. NULL: it did not, or the journal cannot be read. Free with g_free. */
char *tern_journal_take_reason (TernJournal *journal, const char *name);

/* A file of the name @output was made before, for the input @name. */
gboolean tern_journal_made (const TernJournal *journal, const char *output, const char *name);
/* The same, for another input: its name is taken. */
gboolean tern_journal_made_for_other (const TernJournal *journal, const char *output, const char *name);

/* There was no file at its path: nothing is a run's before. */
gboolean tern_journal_is_new (const TernJournal *journal);
/* Where the last whole group ended. */
guint64 tern_journal_end (const TernJournal *journal);
guint64 tern_journal_results (const TernJournal *journal);
guint64 tern_journal_count (const TernJournal *journal, TernJournalStatus status);

/* Notes what became of an input; @note (nullable). On the disk after the next commit. */
void tern_journal_add (TernJournal *journal, TernJournalStatus status, const char *name, guint64 state, guint64 end,
    guint64 results, const char *note);
/* A word about the whole run, under a name that no setting has. */
void tern_journal_mark (TernJournal *journal, const char *key, const char *value);
const char *tern_journal_marked (const TernJournal *journal, const char *key);         /* "" = not */
/* Of how many inputs it was noted what was made of them since that word was said last; of one that was not said, all. */
guint64 tern_journal_made_since (const TernJournal *journal, const char *key);
/* The file of results was made anew and ends at @end. */
void tern_journal_set_end (TernJournal *journal, guint64 end);
gboolean tern_journal_pending (const TernJournal *journal);
/* What was made must be on the disk. Errors: READ, NO_SPACE; then nothing of it counts. */
gboolean tern_journal_commit (TernJournal *journal, GError **error);

G_END_DECLS
