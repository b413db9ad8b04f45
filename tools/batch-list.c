/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/batch-list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tern/error.h"
#include "tools/batch-tar.h"
#include "tools/fnv.h"
#include "tools/tool.h"

#define DEPTH_MAX 64
#define EXAMPLES 3
#define AHEAD 256               /* inputs found before somebody wants them */
#define MEMBERS_AHEAD 16        /* of tar files */

struct _TernBatchList {
  gint references;              /* of the caller and of the thread */
  char **operands;
  FILE *names;                  /* of --files-from */
  char *names_path;
  guint shard, shards;
  gboolean sorted;

  GMutex lock;
  GCond room;
  GQueue queue;                 /* TernBatchInput */
  GPtrArray *folders;           /* TernBatchFolder */
  guint members;                /* in the queue, of tar files */
  guint64 member_bytes;         /* of these and of those at work, in memory */
  guint64 bytes_room, bytes_most;       /* of all of them, of one */
  guint64 found;
  guint failed;
  gboolean ended, stopped, starved;
  void (*notify) (void *data);
  void *notify_data;
};

/* ---- Names ------------------------------------------------------------------------------------------------------- */

/* A file with such a name that cannot be read is damaged. What is in a file decides whether it is looked at; suffixes that
 * other trades use too (.ts, .mod, .dat) are therefore not among them. */
static const char *const suffixes[] = {
  "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "avif", "heic", "heif",
  "psd", "jxl", "jp2", "dng", "cr2", "cr3", "nef", "arw",
  "mp4", "m4v", "mov", "mkv", "webm", "avi", "divx", "mpg", "mpeg", "vob", "m2ts", "mts", "m2t", "flv", "f4v", "ogv", "wmv",
  "asf", "3gp", "3g2", "y4m", "h264", "264", "h265", "265", "hevc", "m2v", "mjpeg", "mjpg", "mxf", "lrv", "insv",
};

static gboolean
has_media_name (const char *path)
{
  const char *dot = strrchr (path, '.');

  for (guint i = 0; dot && i < G_N_ELEMENTS (suffixes); i++)
    if (g_ascii_strcasecmp (dot + 1, suffixes[i]) == 0)
      return TRUE;
  return FALSE;
}

/* The share of names that is shard @shard of @shards; FNV-1a of @key's bytes, the same everywhere and always. */
static gboolean
is_in_shard (const char *key, guint shard, guint shards)
{
  guint64 hash = tern_fnv (key, strlen (key));

  return (hash ^ hash >> 32) % shards == shard;
}

static void list_unref (TernBatchList *list);

void
tern_batch_input_free (TernBatchInput *input)
{
  if (!input)
    return;
  if (input->fd >= 0)
    close (input->fd);
  if (input->list) {
    g_mutex_lock (&input->list->lock);
    input->list->member_bytes -= input->bytes;
    g_cond_signal (&input->list->room);
    g_mutex_unlock (&input->list->lock);
    list_unref (input->list);
  }
  g_free (input->path);
  g_free (input->key);
  g_free (input);
}

/* ---- Found, in the list's thread --------------------------------------------------------------------------------- */

/* Waits until there is room. FALSE: nobody wants more. Takes all but @folder. */
static gboolean
add (TernBatchList *list, char *path, char *key, TernBatchFolder *folder, int fd, guint64 bytes)
{
  TernBatchInput *input = g_new0 (TernBatchInput, 1);
  gboolean wanted, ours = is_in_shard (key, list->shard, list->shards);
  void (*notify) (void *data) = NULL;

  *input = (TernBatchInput) { path, key, folder, fd, bytes, fd >= 0 ? list : NULL };
  if (fd >= 0)
    g_atomic_int_inc (&list->references);
  g_mutex_lock (&list->lock);
  if (folder)
    folder->files++;
  while (ours && !list->stopped && (list->queue.length >= AHEAD || list->members >= MEMBERS_AHEAD))
    g_cond_wait (&list->room, &list->lock);
  wanted = !list->stopped;
  if (ours && wanted) {
    list->found++;
    list->members += fd >= 0;
    g_queue_push_tail (&list->queue, g_steal_pointer (&input));
    if (list->starved)
      notify = list->notify;
    list->starved = FALSE;
  }
  g_mutex_unlock (&list->lock);
  if (notify)
    notify (list->notify_data);
  tern_batch_input_free (input);
  return wanted;
}

static void
failed (TernBatchList *list, const char *message)
{
  tern_tool_message ("%s", message);
  g_mutex_lock (&list->lock);
  list->failed++;
  g_mutex_unlock (&list->lock);
}

static TernBatchFolder *
new_folder (TernBatchList *list, const char *path)
{
  TernBatchFolder *folder = g_new0 (TernBatchFolder, 1);

  folder->path = g_strdup (path);
  folder->examples = g_ptr_array_new_with_free_func (g_free);
  g_mutex_lock (&list->lock);
  g_ptr_array_add (list->folders, folder);
  g_mutex_unlock (&list->lock);
  return folder;
}

static void
pass_locked (TernBatchFolder *folder, const char *path)
{
  char *name = g_path_get_basename (path);
  guint at = 0;

  folder->passed++;
  while (at < folder->examples->len && strcmp (folder->examples->pdata[at], name) <= 0)
    at++;
  g_ptr_array_insert (folder->examples, (gint) at, name);
  if (folder->examples->len > EXAMPLES)
    g_ptr_array_remove_index (folder->examples, EXAMPLES);
}

/* "a, b, c, ...": those, and whether there are more. */
static char *
list_examples (const TernBatchFolder *folder)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < folder->examples->len; i++)
    g_string_append_printf (text, "%s%s", i ? ", " : "", (const char *) folder->examples->pdata[i]);
  if (folder->passed > EXAMPLES)
    g_string_append (text, ", ...");
  return g_string_free (text, FALSE);
}

/* ---- Folders ----------------------------------------------------------------------------------------------------- */

/* Names of one folder, one after the other: a million of them in some 24 MB. */
typedef struct {
  GByteArray *bytes;
  GArray *starts;               /* guint32, where each begins */
} Names;

static int
by_name (gconstpointer a, gconstpointer b, gpointer data)
{
  const char *bytes = data;

  return strcmp (bytes + *(const guint32 *) a, bytes + *(const guint32 *) b);
}

static Names
read_names (GDir *dir)
{
  Names names = { g_byte_array_new (), g_array_new (FALSE, FALSE, sizeof (guint32)) };
  const char *name;

  while ((name = g_dir_read_name (dir)) && names.bytes->len < G_MAXUINT32 - 4096) {
    guint32 start = names.bytes->len;

    if (name[0] == '.')
      continue;
    g_array_append_val (names.starts, start);
    g_byte_array_append (names.bytes, (const guint8 *) name, strlen (name) + 1);
  }
  g_array_sort_with_data (names.starts, by_name, names.bytes->data);
  return names;
}

static gboolean add_folder (TernBatchList *list, TernBatchFolder *folder, const char *path, const char *below, guint depth);

/* Links to folders may lead in circles, FIFOs and devices may have no end. */
static gboolean
add_entry (TernBatchList *list, TernBatchFolder *folder, const char *path, const char *below, const char *name, guint depth)
{
  g_autofree char *entry = g_build_filename (path, name, NULL);
  g_autofree char *key = *below ? g_build_filename (below, name, NULL) : g_strdup (name);
  GStatBuf info;
  int code = g_stat (entry, &info) < 0 ? errno : 0;

  /* A link that leads nowhere, or a file that has gone, is nothing; the others are there, and missing them is told. */
  if (code && code != ENOENT && code != ENOTDIR && code != ELOOP) {
    g_autofree char *message = g_strdup_printf ("%s: expected a file or folder, found that it cannot be read: %s", entry,
        g_strerror (code));

    failed (list, message);
    return TRUE;
  }
  if (code == 0 && S_ISDIR (info.st_mode)) {
    if (depth >= DEPTH_MAX || g_file_test (entry, G_FILE_TEST_IS_SYMLINK))
      return TRUE;
    return add_folder (list, folder, entry, key, depth + 1);
  }
  if (g_file_test (entry, G_FILE_TEST_IS_REGULAR))
    return add (list, g_steal_pointer (&entry), g_steal_pointer (&key), folder, -1, 0);
  g_mutex_lock (&list->lock);
  folder->files++;
  pass_locked (folder, entry);
  g_mutex_unlock (&list->lock);
  return TRUE;
}

/* FALSE: nobody wants more. */
static gboolean
add_folder (TernBatchList *list, TernBatchFolder *folder, const char *path, const char *below, guint depth)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &error);
  gboolean wanted = TRUE;
  const char *name;

  if (!dir) {
    failed (list, error->message);
    return TRUE;
  }
  if (list->sorted) {
    Names names = read_names (dir);

    g_clear_pointer (&dir, g_dir_close);        /* folders below may be many */
    for (guint i = 0; wanted && i < names.starts->len; i++)
      wanted = add_entry (list, folder, path, below, (char *) names.bytes->data + g_array_index (names.starts, guint32, i), depth);
    g_byte_array_unref (names.bytes);
    g_array_unref (names.starts);
    return wanted;
  }
  while (wanted && (name = g_dir_read_name (dir)))
    wanted = name[0] == '.' || add_entry (list, folder, path, below, name, depth);
  return wanted;
}

/* ---- What was named ---------------------------------------------------------------------------------------------- */

typedef struct {
  TernBatchList *list;
  TernBatchFolder *tar;
  guint64 bytes;                /* of the member that is being read; counted */
  gboolean wanted;
} Members;

/* Outputs are named after it. */
static gboolean
leads_out (const char *member)
{
  g_auto (GStrv) parts = g_strsplit (member, "/", -1);

  return member[0] == '/' || g_strv_contains ((const char * const *) parts, "..");
}

/* As in folders: what a file system keeps there for itself (._name.jpg). */
static gboolean
is_hidden (const char *member)
{
  for (const char *p = member; p; p = strchr (p, '/')) {
    p += *p == '/';
    if (p[0] == '.' && p[1] && p[1] != '/')
      return TRUE;
  }
  return FALSE;
}

/* Waits until those before it have given back what they take: the first of them always goes on. */
static gboolean
make_room (guint64 bytes, gboolean *fits, void *data)
{
  Members *m = data;
  TernBatchList *list = m->list;

  *fits = bytes <= list->bytes_most;
  m->bytes = *fits ? bytes : 0;
  g_mutex_lock (&list->lock);
  while (*fits && !list->stopped && list->member_bytes > 0 && list->member_bytes + bytes > list->bytes_room)
    g_cond_wait (&list->room, &list->lock);
  list->member_bytes += m->bytes;
  m->wanted = !list->stopped;
  g_mutex_unlock (&list->lock);
  return m->wanted;
}

static void
give_room_back (Members *m)
{
  g_mutex_lock (&m->list->lock);
  m->list->member_bytes -= m->bytes;
  g_mutex_unlock (&m->list->lock);
  m->bytes = 0;
}

static gboolean
add_member (const char *member, int fd, void *data)
{
  Members *m = data;

  if (leads_out (member) || is_hidden (member)) {
    g_autofree char *message = leads_out (member)
        ? g_strdup_printf ("%s: expected members' names that lie below it, found %s", m->tar->path, member) : NULL;

    close (fd);
    give_room_back (m);
    if (message)
      failed (m->list, message);
    return TRUE;
  }
  m->wanted = add (m->list, g_build_filename (m->tar->path, member, NULL), g_strdup (member), m->tar, fd, m->bytes);
  m->bytes = 0;                 /* the input's now */
  return m->wanted;
}

static void
refuse_member (const char *member, guint64 bytes, void *data)
{
  Members *m = data;
  g_autofree char *message = g_strdup_printf ("%s: %s: expected at most %" G_GUINT64_FORMAT " MiB in a member, which stands in memory "
      "(--max-memory), found %" G_GUINT64_FORMAT " MiB", m->tar->path, member, m->list->bytes_most >> 20, bytes >> 20);

  failed (m->list, message);
}

static gboolean
add_tar (TernBatchList *list, const char *path)
{
  Members members = { list, new_folder (list, path), 0, TRUE };
  const TernBatchTarReader reader = { make_room, add_member, refuse_member, &members };
  g_autoptr (GError) error = NULL;

  if (!tern_batch_tar_walk (path, &reader, &error))
    failed (list, error->message);
  give_room_back (&members);    /* of a member that broke off */
  return members.wanted;
}

static gboolean
add_named (TernBatchList *list, const char *path)
{
  if (g_str_equal (path, "-"))  /* standard input, whatever else has that name: ./- */
    return add (list, g_strdup (path), g_strdup (path), NULL, -1, 0);
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    return add_folder (list, new_folder (list, path), path, "", 0);
  if (tern_batch_is_tar (path))
    return add_tar (list, path);
  return add (list, g_strdup (path), g_strdup (path), NULL, -1, 0);
}

/* Names end with a line or, where there is one in the file's first name, with a NUL. */
static gboolean
add_names (TernBatchList *list)
{
  g_autoptr (GString) name = g_string_new (NULL);
  gboolean wanted = TRUE;
  int c, end = '\n';

  while (wanted && (c = getc_unlocked (list->names)) != EOF) {
    if (c == 0)
      end = 0;                  /* from find -print0: then lines are part of names */
    if (c != end) {
      g_string_append_c (name, c);
      continue;
    }
    if (end == '\n' && name->len && name->str[name->len - 1] == '\r')
      g_string_truncate (name, name->len - 1);
    if (name->len)
      wanted = add_named (list, name->str);
    g_string_truncate (name, 0);
  }
  if (wanted && ferror (list->names)) {
    g_autofree char *message = g_strdup_printf ("%s: expected names of files, found that it cannot be read: %s", list->names_path,
        g_strerror (errno));

    failed (list, message);
  }
  return wanted && (name->len == 0 || add_named (list, name->str));
}

static void
list_unref (TernBatchList *list)
{
  if (!g_atomic_int_dec_and_test (&list->references))
    return;
  if (list->names && list->names != stdin)
    fclose (list->names);
  g_strfreev (list->operands);
  g_ptr_array_unref (list->folders);
  g_free (list->names_path);
  g_mutex_clear (&list->lock);
  g_cond_clear (&list->room);
  g_free (list);
}

static gpointer
look (gpointer data)
{
  TernBatchList *list = data;
  gboolean wanted = TRUE;
  void (*notify) (void *data);

  for (guint i = 0; wanted && list->operands[i]; i++)
    wanted = add_named (list, list->operands[i]);
  if (wanted && list->names)
    add_names (list);
  g_mutex_lock (&list->lock);
  list->ended = TRUE;
  notify = list->stopped ? NULL : list->notify;
  g_mutex_unlock (&list->lock);
  if (notify)
    notify (list->notify_data);
  list_unref (list);
  return NULL;
}

/* ---- For who works ----------------------------------------------------------------------------------------------- */

static void
folder_free (void *data)
{
  TernBatchFolder *folder = data;

  g_free (folder->path);
  g_ptr_array_unref (folder->examples);
  g_free (folder);
}

static gboolean
open_names (TernBatchList *list, const char *path, GError **error)
{
  gboolean standard = g_str_equal (path, "-");

  list->names_path = g_strdup (standard ? "standard input" : path);
  list->names = standard ? stdin : g_fopen (path, "re");
  if (list->names)
    return TRUE;
  g_set_error (error, TERN_ERROR, errno == ENOENT ? TERN_ERROR_NOT_FOUND : TERN_ERROR_READ,
      "%s: expected a file with names of files, found that it cannot be read: %s", path, g_strerror (errno));
  return FALSE;
}

TernBatchList *
tern_batch_list_new (const TernBatchListOptions *options, GError **error)
{
  TernBatchList *list = g_new0 (TernBatchList, 1);

  list->references = 1;
  list->operands = g_strdupv (options->operands);
  list->shard = options->shard;
  list->shards = options->shards;
  list->sorted = options->sorted;
  list->bytes_room = options->member_bytes;
  list->bytes_most = options->member_bytes_most;
  list->folders = g_ptr_array_new_with_free_func (folder_free);
  g_mutex_init (&list->lock);
  g_cond_init (&list->room);
  if (options->files_from && !open_names (list, options->files_from, error)) {
    list_unref (list);
    return NULL;
  }
  g_atomic_int_inc (&list->references);
  g_thread_unref (g_thread_new ("tern-list", look, list));
  return list;
}

void
tern_batch_list_free (TernBatchList *list)
{
  GQueue queue;
  TernBatchInput *input;

  if (!list)
    return;
  g_mutex_lock (&list->lock);
  list->stopped = TRUE;
  list->notify = NULL;
  queue = list->queue;
  g_queue_init (&list->queue);
  g_cond_broadcast (&list->room);
  g_mutex_unlock (&list->lock);
  while ((input = g_queue_pop_head (&queue)))   /* they hold the list */
    tern_batch_input_free (input);
  list_unref (list);
}

void
tern_batch_list_watch (TernBatchList *list, void (*notify) (void *data), void *data)
{
  g_mutex_lock (&list->lock);
  list->notify_data = data;
  list->notify = notify;
  g_mutex_unlock (&list->lock);
}

TernBatchListStatus
tern_batch_list_next (TernBatchList *list, TernBatchInput **input)
{
  TernBatchListStatus status;

  g_mutex_lock (&list->lock);
  *input = g_queue_pop_head (&list->queue);
  status = *input ? TERN_BATCH_LIST_INPUT : list->ended ? TERN_BATCH_LIST_END : TERN_BATCH_LIST_WAIT;
  if (*input && (*input)->fd >= 0)
    list->members--;
  list->starved = status == TERN_BATCH_LIST_WAIT;
  g_cond_signal (&list->room);
  g_mutex_unlock (&list->lock);
  return status;
}

gboolean
tern_batch_list_total (TernBatchList *list, guint64 *total)
{
  gboolean known;

  g_mutex_lock (&list->lock);
  *total = list->found;
  known = list->ended;
  g_mutex_unlock (&list->lock);
  return known;
}

gboolean
tern_batch_list_pass (TernBatchList *list, const TernBatchInput *input)
{
  if (!input->folder || has_media_name (input->path))
    return FALSE;
  g_mutex_lock (&list->lock);
  pass_locked (input->folder, input->path);
  g_mutex_unlock (&list->lock);
  return TRUE;
}

gboolean
tern_batch_list_pass_still (TernBatchList *list, const TernBatchInput *input)
{
  if (!input->folder)
    return FALSE;
  g_mutex_lock (&list->lock);
  input->folder->stills++;
  g_mutex_unlock (&list->lock);
  return TRUE;
}

guint
tern_batch_list_report (TernBatchList *list)
{
  guint bad;

  g_mutex_lock (&list->lock);
  bad = list->failed;
  for (guint i = 0; i < list->folders->len; i++) {
    const TernBatchFolder *folder = list->folders->pdata[i];

    if (folder->passed) {
      g_autofree char *names = list_examples (folder);

      tern_tool_message ("%s: %u file%s passed over, neither picture nor video: %s", folder->path, folder->passed,
          folder->passed == 1 ? "" : "s", names);
    }
    if (folder->stills)
      tern_tool_message ("%s: %u picture%s passed over: subtitles are of videos", folder->path, folder->stills,
          folder->stills == 1 ? "" : "s");
    if (folder->passed + folder->stills == folder->files) {
      tern_tool_message ("%s: expected %s in this folder, found none", folder->path,
          folder->stills ? "videos" : "pictures or videos");
      bad++;
    }
  }
  g_mutex_unlock (&list->lock);
  return bad;
}
