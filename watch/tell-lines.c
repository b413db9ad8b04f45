/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON lines in a file. The first entry may be the file's last line already, when we ended before the memory knew: then it is
 * not written again. A line that was cut off when the machine stopped is taken away, and what it had is written again. Other
 * lines say nothing of what is to be told: those of another memory may have any ids. The file is opened anew for each line, so that
 * it may be moved away. */
#include "watch/teller.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tern/error.h"

#define RETRY_SECONDS 8
#define LINE_MAX_BYTES ((gint64) 16 << 20)      /* ours are shorter */

typedef struct {
  TernTeller *teller;
  char *path;
  char *last;                   /* line of the file, until the first entry is there; NULL: none of ours */
  gboolean failing;             /* as was said */
  guint retry;                  /* source */
} Lines;

/* Where the last line of [0, size) begins whose end is at @size - 1; -1 when reading fails. */
static gint64
find_start (int fd, gint64 size)
{
  char block[4096];

  for (gint64 end = size; end > 0;) {
    gint64 start = MAX (end - (gint64) sizeof block, 0);

    if (pread (fd, block, (gsize) (end - start), start) != end - start)
      return -1;
    for (gint64 i = end - start - 1; i >= 0; i--)
      if (block[i] == '\n' && start + i < size - 1)
        return start + i + 1;
    end = start;
  }
  return 0;
}

/* Of [@start, @end); NULL when it cannot be read. */
static char *
read_line (int fd, gint64 start, gint64 end)
{
  g_autofree char *line = g_malloc0 ((gsize) (end - start) + 1);

  return pread (fd, line, (gsize) (end - start), start) == end - start ? g_steal_pointer (&line) : NULL;
}

/* Takes a line without end away, and reads the last one. */
static gboolean
read_end (Lines *lines, int fd)
{
  struct stat st;
  gint64 start;
  char last;

  if (fstat (fd, &st) < 0)
    return FALSE;
  if (st.st_size == 0 || !S_ISREG (st.st_mode))
    return TRUE;
  if (pread (fd, &last, 1, st.st_size - 1) != 1)
    return FALSE;
  if (last != '\n') {
    start = find_start (fd, st.st_size);
    return start >= 0 && ftruncate (fd, start) == 0 && read_end (lines, fd);
  }
  start = find_start (fd, st.st_size);
  if (start < 0 || st.st_size - start > LINE_MAX_BYTES)
    return start >= 0;
  lines->last = read_line (fd, start, st.st_size - 1);
  return lines->last != NULL;
}

static gpointer
lines_open (const TernSinkConfig *config, TernTeller *teller, GError **error)
{
  int fd = open (config->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  Lines *lines;
  gboolean ok;

  lines = g_new0 (Lines, 1);
  lines->teller = teller;
  lines->path = g_strdup (config->path);
  ok = fd >= 0 && read_end (lines, fd);
  if (!ok)
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: cannot be written: %s", config->path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
  if (!ok) {
    g_free (lines->path);
    g_free (lines);
    return NULL;
  }
  tern_teller_ready (teller, TRUE);
  return lines;
}

/* All of the line is on the disk, or none: what was written of it is taken back. */
static gboolean
append (const char *path, const char *line)
{
  int fd = open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  gsize len = strlen (line);
  struct stat st;
  gboolean ok;

  if (fd < 0)
    return FALSE;
  ok = fstat (fd, &st) == 0 && write (fd, line, len) == (gssize) len && (fdatasync (fd) == 0 || errno == EINVAL);
  if (!ok && S_ISREG (st.st_mode) && ftruncate (fd, st.st_size) < 0)
    ok = FALSE;
  close (fd);
  return ok;
}

static gboolean
try_again (gpointer data)
{
  Lines *lines = data;

  lines->retry = 0;
  tern_teller_ready (lines->teller, TRUE);
  return G_SOURCE_REMOVE;
}

static void
lines_send (gpointer transport, const TernSpoolEntry *entry)
{
  g_autofree char *message = tern_spool_message (entry);
  g_autofree char *line = g_strconcat (message, "\n", NULL);
  Lines *lines = transport;

  if (g_strcmp0 (message, lines->last) == 0 || append (lines->path, line)) {
    g_clear_pointer (&lines->last, g_free);
    lines->failing = FALSE;
    tern_teller_done (lines->teller, entry->id);
    return;
  }
  if (!lines->failing)
    tern_teller_say (lines->teller, "%s: cannot be written: %s; what is to be told waits", lines->path, g_strerror (errno));
  lines->failing = TRUE;
  tern_teller_ready (lines->teller, FALSE);
  tern_teller_later (lines->teller);
  lines->retry = g_timeout_add_seconds (RETRY_SECONDS, try_again, lines);
}

static void
lines_close (gpointer transport)
{
  Lines *lines = transport;

  if (lines->retry)
    g_source_remove (lines->retry);
  g_free (lines->last);
  g_free (lines->path);
  g_free (lines);
}

const TernTransport tern_transport_lines = { lines_open, lines_send, lines_close };
