/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/batch-journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tern/error.h"
#include "tools/fnv.h"
#include "tools/output.h"

#define FIRST_LINE "tern-journal 1\n"
#define END "end"
/* Room for some 229,000 inputs, 4 MB, taken whole at the beginning: what a run will need it has before its first input. */
#define FIRST_SLOTS (1 << 18)
#define MORE_SLOTS 1024
#define LINE_BYTES 96           /* a line has at least */

/* An input: 16 bytes, so that a million takes some 20 MB. */
typedef struct {
  guint64 key;                  /* half of the MD5; 0: none */
  guint32 more;                 /* a part of the other half */
  guint32 state;                /* upper 29 bits: of the state; lower 3: TernJournalStatus */
} Slot;

struct _TernJournal {
  char *path;
  int fd;
  gboolean is_new;
  gsize size;                   /* of what is whole */
  Slot *slots;
  guint n_slots, n_used;
  GHashTable *made;             /* hashes, in pointers: of a file that was made to its input's key */
  GHashTable *reasons;          /* guint64: of what failed before this run its key to where its line begins, and one more */
  GHashTable *settings;
  GHashTable *marks;            /* of a setting's key the number of lines of done in front of it, in a pointer */
  guint64 end, results, counts[TERN_JOURNAL_PASSED + 1];
  gsize n_made;                 /* lines of done with what was made: an input that was changed has several */
  GString *pending;
};

static const char *const kinds[] = { [TERN_JOURNAL_DONE] = "done", [TERN_JOURNAL_FAILED] = "failed",
  [TERN_JOURNAL_PASSED] = "passed" };

static gboolean
fail_errno (const TernJournal *journal, GError **error)
{
  int errsv = errno;

  g_set_error (error, TERN_ERROR, errsv == ENOSPC || errsv == EDQUOT ? TERN_ERROR_NO_SPACE : TERN_ERROR_READ,
      "%s: the journal cannot be written: %s", journal->path, g_strerror (errsv));
  return FALSE;
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static Slot *
find_slot (const TernJournal *journal, guint64 key, guint32 more)
{
  guint i = key % journal->n_slots;

  while (journal->slots[i].key && (journal->slots[i].key != key || journal->slots[i].more != more))
    i = i + 1 < journal->n_slots ? i + 1 : 0;
  return &journal->slots[i];
}

static void
grow (TernJournal *journal, guint n_slots)
{
  Slot *old = journal->slots;
  guint n = journal->n_slots;

  journal->n_slots = n_slots;
  /* Not g_new0(): pages that nobody has written to are there only when they are. */
  journal->slots = g_new (Slot, journal->n_slots);
  memset (journal->slots, 0, sizeof (Slot) * journal->n_slots);
  for (guint i = 0; i < n; i++)
    if (old[i].key)
      *find_slot (journal, old[i].key, old[i].more) = old[i];
  g_free (old);
}

static void
put (TernJournal *journal, TernJournalStatus status, guint64 key, guint32 more, guint64 state)
{
  Slot *slot;

  if (journal->n_used + 1 > journal->n_slots / 8 * 7)
    grow (journal, journal->n_slots / 2 * 3);
  slot = find_slot (journal, key, more);
  if (slot->key)
    journal->counts[slot->state & 7]--;
  else
    journal->n_used++;
  *slot = (Slot) { key, more, (guint32) (state & ~G_GUINT64_CONSTANT (7)) | status };
  journal->counts[status]++;
}

static void
hash_name (const char *name, guint64 *key, guint32 *more, char hex[33])
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_MD5);
  char half[17] = "";

  g_checksum_update (sum, (const guchar *) name, strlen (name));
  memcpy (hex, g_checksum_get_string (sum), 33);
  memcpy (half, hex, 16);
  *key = MAX (g_ascii_strtoull (half, NULL, 16), 1);
  half[8] = 0;
  memcpy (half, hex + 16, 8);
  *more = (guint32) g_ascii_strtoull (half, NULL, 16);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* The next field of @line, which is cut behind it. */
static char *
field (char **line)
{
  char *start = *line, *tab = start ? strchr (start, '\t') : NULL;

  *line = tab ? tab + 1 : NULL;
  if (tab)
    *tab = 0;
  return start;
}

static gboolean
read_number (const char *text, guint base, guint64 *out)
{
  char *end;

  if (!text || !g_ascii_isxdigit (*text))
    return FALSE;
  *out = g_ascii_strtoull (text, &end, base);
  return *end == 0;
}

static void
note_made (TernJournal *journal, const char *output, guint64 key)
{
  g_hash_table_insert (journal->made, GSIZE_TO_POINTER (tern_fnv (output, strlen (output)) | 1), GSIZE_TO_POINTER (key));
}

/* The line at journal->size is of the input whose key is @key. */
static void
note_reason (TernJournal *journal, TernJournalStatus status, guint64 key)
{
  if (status == TERN_JOURNAL_FAILED)
    g_hash_table_insert (journal->reasons, g_memdup2 (&key, sizeof key), GSIZE_TO_POINTER (journal->size + 1));
  else
    g_hash_table_remove (journal->reasons, &key);
}

static gboolean
read_entry (TernJournal *journal, TernJournalStatus status, char *rest)
{
  char *hex = field (&rest), *state = field (&rest), *end = field (&rest), *results = field (&rest), half[17] = "";
  guint64 key, more, state_number, end_number, n_results;
  const char *note;

  if (!hex || strlen (hex) != 32 || !read_number (state, 16, &state_number) || !read_number (end, 10, &end_number)
      || !read_number (results, 10, &n_results) || !field (&rest) || !(note = field (&rest)))
    return FALSE;
  memcpy (half, hex, 16);
  if (!read_number (half, 16, &key))
    return FALSE;
  half[8] = 0;
  memcpy (half, hex + 16, 8);
  if (!read_number (half, 16, &more))
    return FALSE;
  put (journal, status, MAX (key, 1), (guint32) more, state_number);
  note_reason (journal, status, MAX (key, 1));
  journal->end = end_number;
  journal->results = n_results;
  if (status == TERN_JOURNAL_DONE && *note) {
    g_autofree char *output = g_strcompress (note);

    journal->n_made++;
    note_made (journal, output, MAX (key, 1));
  }
  return TRUE;
}

static void
set (TernJournal *journal, const char *key, char *value)
{
  g_hash_table_replace (journal->settings, g_strdup (key), value);
  g_hash_table_replace (journal->marks, g_strdup (key), GSIZE_TO_POINTER (journal->n_made));
}

/* @line: without its end. FALSE: it is not whole, or not ours. */
static gboolean
read_line (TernJournal *journal, char *line, gsize length)
{
  char *check = length ? memrchr (line, '\t', length) : NULL, *kind;
  guint64 sum;

  if (!check || memchr (line, 0, length) || !read_number (check + 1, 16, &sum) || sum != tern_fnv (line, check - line))
    return FALSE;
  *check = 0;
  kind = field (&line);
  if (g_str_equal (kind, "set")) {
    const char *key = field (&line), *value = field (&line);

    if (!value)
      return FALSE;
    set (journal, key, g_strcompress (value));
    return !g_str_equal (key, END) || read_number (value, 10, &journal->end);
  }
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (kinds[i] && g_str_equal (kind, kinds[i]))
      return line && read_entry (journal, i, line);
  return FALSE;
}

/* Up to the first line that is not whole: what was being written when the machine stopped. */
static gboolean
read_all (TernJournal *journal, GError **error)
{
  int copy = fcntl (journal->fd, F_DUPFD_CLOEXEC, 3);
  FILE *file = copy < 0 ? NULL : fdopen (copy, "r");
  char *line = NULL;
  size_t room = 0;
  ssize_t n;
  gboolean first = TRUE, good = TRUE;

  if (!file)
    return fail_errno (journal, error);
  while (good && (n = getline (&line, &room, file)) > 0 && line[n - 1] == '\n') {
    if (first && !g_str_equal (line, FIRST_LINE)) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a journal of tern caption, found another file",
          journal->path);
      good = FALSE;
    } else if (!first) {
      line[n - 1] = 0;
      if (!read_line (journal, line, n - 1))
        break;
    }
    first = FALSE;
    journal->size += n;
  }
  if (good && ferror (file))
    good = fail_errno (journal, error);
  /* Another file of one line without an end is none of ours either; a torn first line is. */
  if (good && first && n > 0 && !g_str_has_prefix (FIRST_LINE, line)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a journal of tern caption, found another file", journal->path);
    good = FALSE;
  }
  free (line);
  fclose (file);
  return good;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void
end_line (GString *out, gsize start)
{
  g_string_append_printf (out, "\t%016" G_GINT64_MODIFIER "x\n", tern_fnv (out->str + start, out->len - start));
}

static void
append_escaped (GString *out, const char *text)
{
  g_autofree char *escaped = g_strescape (text, NULL);

  g_string_append_c (out, '\t');
  g_string_append (out, escaped);
}

void
tern_journal_add (TernJournal *journal, TernJournalStatus status, const char *name, guint64 state, guint64 end,
    guint64 results, const char *note)
{
  gsize start = journal->pending->len;
  guint64 key;
  guint32 more;
  char hex[33];

  hash_name (name, &key, &more, hex);
  put (journal, status, key, more, state);
  if (status == TERN_JOURNAL_DONE && note) {
    journal->n_made++;
    note_made (journal, note, key);
  }
  journal->end = end;
  journal->results = results;
  g_string_append_printf (journal->pending, "%s\t%s\t%016" G_GINT64_MODIFIER "x\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT,
      kinds[status], hex, state, end, results);
  append_escaped (journal->pending, name);
  append_escaped (journal->pending, note ? note : "");
  end_line (journal->pending, start);
}

gboolean
tern_journal_pending (const TernJournal *journal)
{
  return journal->pending->len > 0;
}

gboolean
tern_journal_commit (TernJournal *journal, GError **error)
{
  gsize done = 0;

  while (done < journal->pending->len) {
    gssize n = pwrite (journal->fd, journal->pending->str + done, journal->pending->len - done, journal->size + done);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail_errno (journal, error);
    done += n;
  }
  if (done && fdatasync (journal->fd) < 0 && errno != EINVAL && errno != ENOTSUP)
    return fail_errno (journal, error);
  journal->size += done;
  g_string_truncate (journal->pending, 0);
  return TRUE;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static gboolean
check_setting (const TernJournal *journal, const char *key, const char *value, GError **error)
{
  const char *before = g_hash_table_lookup (journal->settings, key);

  if (!before || g_str_equal (before, value))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: expected to go on with %s = %s, as this journal began, found %s; "
      "--force goes on all the same", journal->path, key, *before ? before : "(none)", *value ? value : "(none)");
  return FALSE;
}

void
tern_journal_mark (TernJournal *journal, const char *key, const char *value)
{
  gsize start = journal->pending->len;

  g_string_append_printf (journal->pending, "set\t%s", key);
  append_escaped (journal->pending, value);
  end_line (journal->pending, start);
  set (journal, key, g_strdup (value));
}

void
tern_journal_set_end (TernJournal *journal, guint64 end)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, end);

  tern_journal_mark (journal, END, text);
  journal->end = end;
}

const char *
tern_journal_marked (const TernJournal *journal, const char *key)
{
  const char *value = g_hash_table_lookup (journal->settings, key);

  return value ? value : "";
}

/* What is new of @settings is noted. */
static gboolean
take_settings (TernJournal *journal, const char *const *settings, gboolean force, GError **error)
{
  if (journal->size == 0)
    g_string_append (journal->pending, FIRST_LINE);
  for (guint i = 0; settings && settings[i]; i += 2) {
    const char *before = g_hash_table_lookup (journal->settings, settings[i]);

    if (!force && !check_setting (journal, settings[i], settings[i + 1], error))
      return FALSE;
    if (!before || !g_str_equal (before, settings[i + 1]))
      tern_journal_mark (journal, settings[i], settings[i + 1]);
  }
  return TRUE;
}

static gboolean
lock (const TernJournal *journal, GError **error)
{
  if (flock (journal->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
    return TRUE;                /* not every file system has locks */
  g_set_error (error, TERN_ERROR, TERN_ERROR_BUSY, "%s: expected a journal of this run alone, found that another run has it",
      journal->path);
  return FALSE;
}

TernJournal *
tern_journal_open (const char *path, const char *const *settings, gboolean force, GError **error)
{
  g_autoptr (TernJournal) journal = g_new0 (TernJournal, 1);
  struct stat info;
  guint n;

  journal->path = g_strdup (path);
  journal->pending = g_string_new (NULL);
  journal->settings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  journal->marks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  journal->made = g_hash_table_new (NULL, NULL);
  journal->reasons = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  journal->is_new = stat (path, &info) < 0;
  journal->fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (journal->fd < 0) {
    fail_errno (journal, error);
    return NULL;
  }
  /* Room for what is in it at once: while a table grows there are two. */
  n = fstat (journal->fd, &info) == 0 ? (guint) MIN (info.st_size / LINE_BYTES, 1 << 30) : 0;
  grow (journal, MAX (FIRST_SLOTS, MORE_SLOTS + n / 7 * 8));
  if (!lock (journal, error) || !read_all (journal, error) || !take_settings (journal, settings, force, error))
    return NULL;
  if (fstat (journal->fd, &info) == 0 && (guint64) info.st_size > journal->size
      && ftruncate (journal->fd, journal->size) < 0) {
    fail_errno (journal, error);
    return NULL;
  }
  if (!tern_journal_commit (journal, error))
    return NULL;
  tern_output_sync_folder (path);
  return g_steal_pointer (&journal);
}

void
tern_journal_free (TernJournal *journal)
{
  if (!journal)
    return;
  if (journal->fd >= 0)
    close (journal->fd);
  g_string_free (journal->pending, TRUE);
  g_hash_table_unref (journal->settings);
  g_hash_table_unref (journal->marks);
  g_hash_table_unref (journal->made);
  g_hash_table_unref (journal->reasons);
  g_free (journal->slots);
  g_free (journal->path);
  g_free (journal);
}

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

TernJournalStatus
tern_journal_find (const TernJournal *journal, const char *name, guint64 state)
{
  const Slot *slot;
  guint64 key;
  guint32 more;
  char hex[33];

  hash_name (name, &key, &more, hex);
  slot = find_slot (journal, key, more);
  if (!slot->key)
    return TERN_JOURNAL_NEW;
  return ((slot->state ^ (guint32) state) & ~7u) ? TERN_JOURNAL_CHANGED : (TernJournalStatus) (slot->state & 7);
}

/* The key of the input that @output was made for; 0: it was not made. */
static guint64
maker (const TernJournal *journal, const char *output)
{
  return GPOINTER_TO_SIZE (g_hash_table_lookup (journal->made, GSIZE_TO_POINTER (tern_fnv (output, strlen (output)) | 1)));
}

static guint64
key_of (const char *name)
{
  guint64 key;
  guint32 more;
  char hex[33];

  hash_name (name, &key, &more, hex);
  return key;
}

#define NOTE_FIELD 6
#define LINE_MOST (1 << 17)     /* names and notes have some thousand bytes, four times as many where all are escaped */

char *
tern_journal_take_reason (TernJournal *journal, const char *name)
{
  guint64 key = key_of (name);
  gsize at = GPOINTER_TO_SIZE (g_hash_table_lookup (journal->reasons, &key));
  g_autofree char *line = at ? g_malloc (LINE_MOST) : NULL;
  char *rest = line, *note = NULL;
  gssize n = at ? pread (journal->fd, line, LINE_MOST - 1, at - 1) : 0;

  g_hash_table_remove (journal->reasons, &key);
  if (n <= 0)
    return NULL;
  line[n] = 0;
  line[strcspn (line, "\n")] = 0;
  for (guint i = 0; i <= NOTE_FIELD && rest; i++)
    note = field (&rest);
  return rest ? g_strcompress (note) : NULL;    /* behind the note stands the check */
}

gboolean
tern_journal_made (const TernJournal *journal, const char *output, const char *name)
{
  return maker (journal, output) == (gsize) key_of (name);
}

gboolean
tern_journal_made_for_other (const TernJournal *journal, const char *output, const char *name)
{
  guint64 made_for = maker (journal, output);

  return made_for && made_for != (gsize) key_of (name);
}

gboolean
tern_journal_is_new (const TernJournal *journal)
{
  return journal->is_new;
}

guint64
tern_journal_end (const TernJournal *journal)
{
  return journal->end;
}

guint64
tern_journal_results (const TernJournal *journal)
{
  return journal->results;
}

guint64
tern_journal_made_since (const TernJournal *journal, const char *key)
{
  return journal->n_made - GPOINTER_TO_SIZE (g_hash_table_lookup (journal->marks, key));
}

guint64
tern_journal_count (const TernJournal *journal, TernJournalStatus status)
{
  return journal->counts[status];
}
