/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/batch-list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tern/error.h"
#include "tools/batch-names.h"
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
  int names;                    /* of --files-from; -1: none */
  char *names_path;
  guint shard, shards;
  gboolean sorted, standard_once, tell_over;
  GHashTable *seen;             /* hashes of what came; of the list's thread. NULL: nothing can come twice, or it shall */

  GMutex lock;
  GCond room;
  GQueue queue;                 /* TernBatchInput */
  GPtrArray *folders;           /* TernBatchFolder */
  guint members;                /* in the queue, of tar files */
  guint64 member_bytes;         /* of these and of those at work, in memory */
  guint64 bytes_room, bytes_most;       /* of all of them, of one */
  guint64 found;
  guint64 twice;                /* files, folders and tar files that came again */
  char *first_twice;            /* the first of them */
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

gboolean
tern_batch_has_media_name (const char *path)
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
  g_free (input->refusal);
  g_free (input);
}

/* ---- Once, in the list's thread ---------------------------------------------------------------------------------- */

/* Whether the file @name in the folder @info, "" for the folder itself, has come before. A file is where it stands: of two links of
 * different names to it both are done. */
static gboolean
comes_again (TernBatchList *list, TernBatchFolder *folder, const struct stat *info, const char *name, const char *path)
{
  const guint64 where[] = { info->st_dev, info->st_ino };
  guint64 hash = tern_fnv_on (tern_fnv (name, strlen (name)), where, sizeof where);

  if (g_hash_table_add (list->seen, GSIZE_TO_POINTER (hash | 1)))
    return FALSE;
  g_mutex_lock (&list->lock);
  if (list->twice++ == 0)
    list->first_twice = g_strdup (path);
  if (folder)
    folder->twice++;
  g_mutex_unlock (&list->lock);
  return TRUE;
}

/* What was named: a file, an address, or a @tar file, which in a folder is nothing that is done. */
static gboolean
named_again (TernBatchList *list, const char *path, gboolean tar)
{
  g_autofree char *folder = g_path_get_dirname (path), *file = g_path_get_basename (path);
  g_autofree char *name = tar ? g_strconcat (file, "/", NULL) : g_steal_pointer (&file);
  struct stat info;

  if (!list->seen)
    return FALSE;
  if (stat (folder, &info) == 0)
    return comes_again (list, NULL, &info, name, path);
  info = (struct stat) { 0 };
  return comes_again (list, NULL, &info, path, path);
}

/* ---- Found, in the list's thread --------------------------------------------------------------------------------- */

/* Waits until there is room. FALSE: nobody wants more. Takes @input. */
static gboolean
push (TernBatchList *list, TernBatchInput *input)
{
  gboolean wanted, member = input->fd >= 0;
  void (*notify) (void *data) = NULL;

  g_mutex_lock (&list->lock);
  while (!list->stopped && (list->queue.length >= AHEAD || list->members >= MEMBERS_AHEAD))
    g_cond_wait (&list->room, &list->lock);
  wanted = !list->stopped;
  if (wanted) {
    list->found += !input->over || input->refusal;
    list->members += member;
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

/* Takes all but @folder. */
static gboolean
add (TernBatchList *list, char *path, char *key, TernBatchFolder *folder, int fd, guint64 bytes)
{
  TernBatchInput *input = g_new0 (TernBatchInput, 1);

  *input = (TernBatchInput) { .path = path, .key = key, .folder = folder, .fd = fd, .bytes = bytes, .list = fd >= 0 ? list : NULL };
  if (fd >= 0)
    g_atomic_int_inc (&list->references);
  if (folder) {
    g_mutex_lock (&list->lock);
    folder->files++;
    g_mutex_unlock (&list->lock);
  }
  if (is_in_shard (key, list->shard, list->shards))
    return push (list, input);
  tern_batch_input_free (input);
  return TRUE;
}

/* One that has failed before it is opened: told in its turn, and listed, like any other. Takes @path and @refusal. */
static gboolean
refuse (TernBatchList *list, char *path, char *refusal, gboolean over)
{
  TernBatchInput *input = g_new0 (TernBatchInput, 1);

  *input = (TernBatchInput) { .path = path, .key = g_strdup (path), .fd = -1, .refusal = refusal, .over = over };
  return push (list, input);
}

/* What was named has been looked through; @refusal (nullable, taken): not to its end. */
static gboolean
end_named (TernBatchList *list, TernBatchFolder *folder, char *refusal)
{
  folder->refused |= refusal != NULL;   /* read when all is over */
  return (!refusal && !list->tell_over) || refuse (list, g_strdup (folder->path), refusal, TRUE);
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

static gboolean add_folder (TernBatchList *list, TernBatchFolder *folder, const char *path, const char *below, guint depth,
    char **refusal);

static gboolean
add_below (TernBatchList *list, TernBatchFolder *folder, const char *path, const char *below, guint depth)
{
  char *refusal = NULL;
  gboolean wanted = add_folder (list, folder, path, below, depth, &refusal);

  return refusal ? refuse (list, g_strdup (path), refusal, FALSE) && wanted : wanted;
}

/* Of a picture or video that is kept elsewhere, say, and is not here. Takes @entry. */
static gboolean
refuse_link (TernBatchList *list, TernBatchFolder *folder, char *entry, const char *key)
{
  g_mutex_lock (&list->lock);
  folder->files++;
  g_mutex_unlock (&list->lock);
  if (is_in_shard (key, list->shard, list->shards))
    return refuse (list, entry, g_strdup ("expected a picture or video, found a link that leads nowhere"), FALSE);
  g_free (entry);
  return TRUE;
}

/* Links to folders may lead in circles, FIFOs and devices may have no end. */
static gboolean
add_entry (TernBatchList *list, TernBatchFolder *folder, const struct stat *here, const char *path, const char *below,
    const char *name, guint depth)
{
  g_autofree char *entry = g_build_filename (path, name, NULL);
  g_autofree char *key = *below ? g_build_filename (below, name, NULL) : g_strdup (name);
  GStatBuf info;
  int code = g_stat (entry, &info) < 0 ? errno : 0;

  /* A file that has gone is nothing; the others are there, and missing them is told. */
  if (code && code != ENOENT && code != ENOTDIR && code != ELOOP)
    return refuse (list, g_strdup (entry), g_strdup_printf ("expected a file or folder, found that it cannot be read: %s",
            g_strerror (code)), FALSE);
  if (code == 0 && S_ISDIR (info.st_mode)) {
    if (g_file_test (entry, G_FILE_TEST_IS_SYMLINK))
      return TRUE;
    if (depth >= DEPTH_MAX) {
      folder->refused = TRUE;
      return refuse (list, g_steal_pointer (&entry), g_strdup_printf ("expected folders at most %u deep, found a deeper one, "
              "in which nothing is done", DEPTH_MAX), FALSE);
    }
    return add_below (list, folder, entry, key, depth + 1);
  }
  if (list->seen && comes_again (list, folder, here, name, entry))
    return TRUE;
  if (code && tern_batch_has_media_name (name) && g_file_test (entry, G_FILE_TEST_IS_SYMLINK))
    return refuse_link (list, folder, g_steal_pointer (&entry), key);
  if (g_file_test (entry, G_FILE_TEST_IS_REGULAR))
    return add (list, g_steal_pointer (&entry), g_steal_pointer (&key), folder, -1, 0);
  g_mutex_lock (&list->lock);
  folder->files++;
  pass_locked (folder, entry);
  g_mutex_unlock (&list->lock);
  return TRUE;
}

/* FALSE: nobody wants more. @refusal: why it cannot be read. */
static gboolean
add_folder (TernBatchList *list, TernBatchFolder *folder, const char *path, const char *below, guint depth, char **refusal)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = NULL;
  gboolean wanted = TRUE;
  struct stat here = { 0 };
  const char *name;

  if (list->seen && stat (path, &here) == 0 && comes_again (list, folder, &here, "", path))
    return TRUE;
  dir = g_dir_open (path, 0, &error);
  if (!dir) {
    *refusal = g_strdup_printf ("expected a folder, found that it cannot be read: %s", error->message);
    return TRUE;
  }
  if (list->sorted) {
    Names names = read_names (dir);

    g_clear_pointer (&dir, g_dir_close);        /* folders below may be many */
    for (guint i = 0; wanted && i < names.starts->len; i++)
      wanted = add_entry (list, folder, &here, path, below,
          (char *) names.bytes->data + g_array_index (names.starts, guint32, i), depth);
    g_byte_array_unref (names.bytes);
    g_array_unref (names.starts);
    return wanted;
  }
  while (wanted && (name = g_dir_read_name (dir)))
    wanted = name[0] == '.' || add_entry (list, folder, &here, path, below, name, depth);
  return wanted;
}

/* ---- What was named ---------------------------------------------------------------------------------------------- */

typedef struct {
  TernBatchList *list;
  TernBatchFolder *tar;
  GHashTable *names;            /* hashes of those so far */
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

/* Whether @member shall be read: what is another shard's, or fails by its name, is passed over as it stands there. */
static gboolean
wants_member (const char *member, const char *link, void *data)
{
  Members *m = data;
  TernBatchList *list = m->list;
  guint64 hash = tern_fnv (member, strlen (member)) | 1;
  gboolean ours = is_in_shard (member, list->shard, list->shards), media = tern_batch_has_media_name (member);
  char *refusal = NULL;

  if (is_hidden (member) && !leads_out (member))
    return FALSE;
  if (leads_out (member))
    refusal = g_strdup_printf ("expected members' names that lie below it, found %s", member);
  else if (ours && !g_hash_table_add (m->names, GSIZE_TO_POINTER (hash)))
    refusal = !media ? NULL : g_strdup ("expected a name once in the tar file, found it again: the first of that name alone is done");
  else if (ours && link)
    refusal = !media ? NULL : g_strdup_printf ("expected a member with its bytes, found a link to %s, which alone is done", link);
  else if (ours)
    return TRUE;
  g_mutex_lock (&list->lock);
  m->tar->files++;
  if (ours && !refusal)
    pass_locked (m->tar, member);
  g_mutex_unlock (&list->lock);
  if (ours && refusal)
    m->wanted = refuse (list, g_strconcat (m->tar->path, "/", member, NULL), g_steal_pointer (&refusal), FALSE);
  g_free (refusal);
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

  m->wanted = add (m->list, g_build_filename (m->tar->path, member, NULL), g_strdup (member), m->tar, fd, m->bytes);
  m->bytes = 0;                 /* the input's now */
  return m->wanted;
}

static void
refuse_member (const char *member, guint64 bytes, void *data)
{
  Members *m = data;
  g_mutex_lock (&m->list->lock);
  m->tar->files++;
  g_mutex_unlock (&m->list->lock);
  m->wanted = refuse (m->list, g_strconcat (m->tar->path, "/", member, NULL), g_strdup_printf ("expected at most %" G_GUINT64_FORMAT
          " MiB in a member, which stands in memory (--max-memory), found %" G_GUINT64_FORMAT " MiB", m->list->bytes_most >> 20,
          bytes >> 20), FALSE);
}

static gboolean
add_tar (TernBatchList *list, const char *path)
{
  g_autoptr (GHashTable) names = g_hash_table_new (NULL, NULL);
  Members members = { list, new_folder (list, path), names, 0, TRUE };
  const TernBatchTarReader reader = { wants_member, make_room, add_member, refuse_member, &members };
  g_autoptr (GError) error = NULL;
  gboolean whole = tern_batch_tar_walk (path, &reader, &error);

  give_room_back (&members);    /* of a member that broke off */
  return members.wanted && end_named (list, members.tar, whole ? NULL : g_strdup (error->message));
}

/* A folder; like a tar file it is over behind what is in it. */
static gboolean
add_named_folder (TernBatchList *list, const char *path)
{
  TernBatchFolder *folder = new_folder (list, path);
  char *refusal = NULL;

  return add_folder (list, folder, path, "", 0, &refusal) && end_named (list, folder, refusal);
}

static gboolean
add_named (TernBatchList *list, const char *path)
{
  gboolean tar;

  if (g_str_equal (path, "-"))  /* standard input, whatever else has that name: ./- */
    return add (list, g_strdup (path), g_strdup (path), NULL, -1, 0);
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    return add_named_folder (list, path);
  if (named_again (list, path, (tar = tern_batch_is_tar (path))))
    return TRUE;
  if (tar)
    return add_tar (list, path);
  return add (list, g_strdup (path), g_strdup (path), NULL, -1, 0);
}

static gboolean
add_listed (const char *name, void *data)
{
  TernBatchList *list = data;

  if (list->standard_once && g_str_equal (name, "-"))
    return refuse (list, g_strdup (name), g_strdup ("standard input: expected a file's name in the list, found -, which cannot be "
            "read here; ./- is a file of that name"), FALSE);
  return add_named (list, name);
}

static void
list_unref (TernBatchList *list)
{
  if (!g_atomic_int_dec_and_test (&list->references))
    return;
  if (list->names > STDIN_FILENO)
    close (list->names);
  g_strfreev (list->operands);
  g_ptr_array_unref (list->folders);
  g_free (list->names_path);
  g_free (list->first_twice);
  g_clear_pointer (&list->seen, g_hash_table_unref);
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
  char *refusal;

  for (guint i = 0; wanted && list->operands[i]; i++)
    wanted = add_named (list, list->operands[i]);
  if (wanted && list->names >= 0 && (refusal = tern_batch_names_read (list->names, add_listed, list)))
    refuse (list, g_strdup (list->names_path), refusal, FALSE);
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
  list->names = standard ? STDIN_FILENO : open (path, O_RDONLY | O_CLOEXEC);
  if (list->names >= 0)
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
  list->standard_once = options->standard_once;
  list->tell_over = options->tell_over;
  list->names = -1;
  /* One folder is walked in which nothing is followed; who asks for each answer may ask for it again. */
  if (!options->tell_over && (options->files_from || (options->operands[0] && options->operands[1])))
    list->seen = g_hash_table_new (NULL, NULL);
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
  if (!input->folder || tern_batch_has_media_name (input->path))
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

void
tern_batch_list_pass_own (TernBatchList *list, const TernBatchInput *input)
{
  g_mutex_lock (&list->lock);
  input->folder->own++;
  g_mutex_unlock (&list->lock);
}

void
tern_batch_list_report (TernBatchList *list, void (*failed) (const char *path, const char *message, void *data), void *data)
{
  if (list->twice == 1)
    tern_tool_message ("%s: had come before, in a folder or by another name: it is done once", list->first_twice);
  else if (list->twice)
    tern_tool_message ("%s and %" G_GUINT64_FORMAT " more: had come before, in a folder or by another name: each is done once",
        list->first_twice, list->twice - 1);
  for (guint i = 0; i < list->folders->len; i++) {      /* nobody else has them any more */
    const TernBatchFolder *folder = list->folders->pdata[i];

    if (folder->passed) {
      g_autofree char *names = list_examples (folder);

      tern_tool_message ("%s: %u file%s passed over, neither picture nor video: %s", folder->path, folder->passed,
          folder->passed == 1 ? "" : "s", names);
    }
    if (folder->stills)
      tern_tool_message ("%s: %u picture%s passed over: subtitles are of videos", folder->path, folder->stills,
          folder->stills == 1 ? "" : "s");
    if (folder->own)
      tern_tool_message ("%s: %u file%s passed over, which %s of films", folder->path, folder->own, folder->own == 1 ? "" : "s",
          folder->own == 1 ? "is a copy" : "are copies");
    if (folder->passed + folder->stills + folder->own == folder->files && !folder->refused && !folder->twice) {
      g_autofree char *message = g_strdup_printf ("%s: expected %s in this folder, found none", folder->path,
          folder->stills || folder->own ? "videos" : "pictures or videos");

      g_mutex_lock (&list->lock);
      list->found++;
      g_mutex_unlock (&list->lock);
      failed (folder->path, message, data);
    }
  }
}
