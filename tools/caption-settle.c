/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of inputs that were done again: the ones of before go. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tools/caption-output.h"
#include "tools/fnv.h"
#include "tools/output.h"

#define MOVING "moving"         /* mark of the journal: bytes that the file has when it was replaced */
#define AGAIN "again"
#define EDGES "edges"           /* where runs began with an input that the run before may have ended with */

#define BYTES ",\"" TERN_CAPTION_SOURCE_BYTES "\":\""     /* within a string its quotes would be escaped */

/* What tells one input's line from another's: the bytes of its source, as JSON has them, or as it cannot. */
static guint64
source_of (const char *line)
{
  guint64 hash = TERN_FNV_START;
  const char *p = strstr (line, BYTES);

  p = p ? p + strlen (BYTES) : (p = strstr (line, "\"source\":\"")) ? p + 10
      : g_str_has_prefix (line, "{\"file_name\":\"") ? line + 14 : line;
  for (; *p && *p != '"'; p++) {
    hash = tern_fnv_more (hash, (guchar) *p);
    if (*p == '\\' && p[1])
      hash = tern_fnv_more (hash, (guchar) *++p);
  }
  return hash | 1;
}

/* The numbers in a mark, ascending; G_MAXUINT64 behind the last. */
static guint64
next_edge (const char **edges)
{
  char *end;
  guint64 edge = g_ascii_strtoull (*edges, &end, 10);

  if (end == *edges)
    return G_MAXUINT64;
  *edges = end;
  return edge;
}

/* An input's lines stand together: where the last ones of each begin. @func is called for all lines. */
typedef gboolean (*LineFunc) (const char *line, gsize n, guint64 block, guint64 source, void *data, GError **error);

static gboolean
walk (const TernCaptionOutput *out, LineFunc func, void *data, GError **error)
{
  const char *path = out->path, *edges = tern_journal_marked (out->journal, EDGES);
  FILE *file = g_fopen (path, "re");
  guint64 edge = next_edge (&edges);
  guint64 at = 0, block = 0, before = 0, source;
  char *line = NULL;
  size_t room = 0;
  gboolean good = TRUE;
  ssize_t n;

  if (!file) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: cannot be read: %s", path, g_strerror (errno));
    return FALSE;
  }
  while (good && at < out->bytes && (n = getline (&line, &room, file)) > 0) {
    source = source_of (line);
    while (edge < at)
      edge = next_edge (&edges);
    if (source != before || edge == at)
      block = at;
    good = func (line, n, block, source, data, error);
    before = source;
    at += n;
  }
  free (line);
  fclose (file);
  return good;
}

static gboolean
note_last (const char *line, gsize n, guint64 block, guint64 source, void *data, GError **error)
{
  g_hash_table_insert (data, GSIZE_TO_POINTER (source), GSIZE_TO_POINTER (block + 1));
  return TRUE;
}

typedef struct {
  GHashTable *last;
  TernOutput *output;
  guint64 bytes;
} Copy;

static gboolean
copy_last (const char *line, gsize n, guint64 block, guint64 source, void *data, GError **error)
{
  Copy *copy = data;

  if (GPOINTER_TO_SIZE (g_hash_table_lookup (copy->last, GSIZE_TO_POINTER (source))) != block + 1)
    return TRUE;
  copy->bytes += n;
  return tern_output_write (copy->output, line, n, error);
}

/* The file takes its new place between two marks of the journal, so that a run after a crash knows which one it is. */
static gboolean
replace (TernCaptionOutput *out, Copy *copy, GError **error)
{
  g_autofree char *bytes = g_strdup_printf ("%" G_GUINT64_FORMAT, copy->bytes);

  tern_journal_mark (out->journal, MOVING, bytes);
  if (!tern_output_sync (copy->output, error) || !tern_journal_commit (out->journal, error)
      || !tern_output_commit (g_steal_pointer (&copy->output), error))
    return FALSE;
  tern_journal_mark (out->journal, AGAIN, "");
  tern_journal_mark (out->journal, EDGES, "");
  tern_journal_mark (out->journal, MOVING, "");
  tern_journal_set_end (out->journal, copy->bytes);
  return tern_journal_commit (out->journal, error);
}

/* A run before was ended while the file took its place. */
static gboolean
see_through (TernCaptionOutput *out, GError **error)
{
  const char *moving = tern_journal_marked (out->journal, MOVING);
  struct stat info;

  if (!*moving)
    return TRUE;
  if (stat (out->path, &info) == 0 && (guint64) info.st_size == g_ascii_strtoull (moving, NULL, 10)) {
    tern_journal_set_end (out->journal, info.st_size);
    tern_journal_mark (out->journal, AGAIN, "");
    tern_journal_mark (out->journal, EDGES, "");
  }
  tern_journal_mark (out->journal, MOVING, "");
  return tern_journal_commit (out->journal, error);
}

/* A sample of a tar file is never written a second time. */
static gboolean
is_settled (const TernCaptionOutput *out)
{
  return out->journal && out->path && !tern_caption_output_is_files (out) && out->format != TERN_CAPTION_WEBDATASET;
}

/* Within a run each input is done once, so its lines may touch older ones of its own only where a run begins. */
void
tern_caption_output_note_again (TernCaptionOutput *out)
{
  g_autofree char *edges = NULL, *edge = NULL;

  if (!is_settled (out))
    return;
  tern_journal_mark (out->journal, AGAIN, "yes");
  if (out->start == 0 || out->bytes != out->start)
    return;
  edge = g_strdup_printf (" %" G_GUINT64_FORMAT, out->start);
  if (g_str_has_suffix (tern_journal_marked (out->journal, EDGES), edge))
    return;
  edges = g_strconcat (tern_journal_marked (out->journal, EDGES), edge, NULL);
  tern_journal_mark (out->journal, EDGES, edges);
}

gboolean
tern_caption_output_settle (TernCaptionOutput *out, GError **error)
{
  g_autoptr (GHashTable) last = NULL;
  Copy copy = { 0 };
  gboolean good;

  if (!is_settled (out))
    return TRUE;
  if (!out->lines)
    return see_through (out, error);
  if (!g_str_equal (tern_journal_marked (out->journal, AGAIN), "yes"))
    return TRUE;
  last = g_hash_table_new (NULL, NULL);
  copy.last = last;
  if (!walk (out, note_last, last, error) || !(copy.output = tern_output_open (out->path, error)))
    return FALSE;
  good = walk (out, copy_last, &copy, error) && replace (out, &copy, error);
  tern_output_discard (copy.output);
  return good;
}
