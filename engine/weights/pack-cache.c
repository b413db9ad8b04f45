/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/pack-cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "engine/base/log.h"
#include "engine/base/mapfile.h"
#include "engine/base/mem.h"

/* The file: a Header, an Entry for each matrix, a sum for each CHUNK of data, the data: packed rows, then row scales, each
 * from a multiple of ALIGN of the file on. Numbers as this machine has them; one with other ones finds another ORDER. */
#define MAGIC "TERNPACK"
#define VERSION 1u
#define ORDER 0x01020304u
#define ALIGN 64
#define CHUNK ((gsize) 1 << 20)
#define DIGEST 32               /* characters */
#define MOST_ENTRIES (1u << 20)

typedef struct {
  char magic[8];
  guint32 version, order;
  char digest[DIGEST];
  guint64 size;                 /* of the whole file */
  guint64 data;                 /* where it begins */
  guint32 n_entries, n_chunks;
  guint64 sum;                  /* of all between header and data */
} Header;

typedef struct {
  guint64 source;               /* where the matrix begins in the model file */
  guint64 packed, packed_bytes; /* in this file; 0 bytes: its values turned out not to be ternary */
  guint64 scales;               /* of rows, in this file; 0: none */
  guint32 rows, cols, groups;
  float scale;
} Entry;

struct _TernPackCache {
  char *path;
  char digest[DIGEST + 1];
  const TernGguf *model;        /* borrowed: matrices are found by their place in it */
  TernMap map;
};

/* ---- What a cache belongs to ------------------------------------------------------------------------------------- */

#define SAMPLE 1024             /* bytes, of the beginning, the middle and the end of a tensor */

static void
digest_model (TernPackCache *cache, const TernGguf *file, const char *layout, gint64 modified)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gint64 numbers[] = { VERSION, tern_gguf_size (file), modified };

  g_checksum_update (sum, (const guchar *) layout, (gssize) strlen (layout));
  g_checksum_update (sum, (const guchar *) numbers, sizeof numbers);
  for (guint i = 0; i < tern_gguf_n_parts (file); i++) {
    TernBytes header = tern_gguf_header (tern_gguf_part (file, i));

    g_checksum_update (sum, (const guchar *) header.data, (gssize) header.len);
  }
  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);
    gsize bytes = MIN (tensor->bytes, SAMPLE), rest = tensor->bytes - bytes;

    for (guint part = 0; part < 3 && bytes > 0; part++)
      g_checksum_update (sum, tensor->data + rest / 2 * part, (gssize) bytes);
  }
  g_strlcpy (cache->digest, g_checksum_get_string (sum), sizeof cache->digest);
}

TernPackCache *
tern_pack_cache_new (const TernGguf *file, const char *layout)
{
  const char *folder = g_getenv ("TERN_CACHE_DIR"), *path = tern_gguf_path (file);
  g_autofree char *base = NULL;
  TernPackCache *cache;
  GStatBuf st;

  if (!folder || !*folder || g_stat (path, &st) != 0 || !S_ISREG (st.st_mode))
    return NULL;
  if (g_mkdir_with_parents (folder, 0700) != 0) {
    tern_log (TERN_LOG_WARNING, "TERN_CACHE_DIR: %s: %s; models are packed in memory", folder, g_strerror (errno));
    return NULL;
  }
  cache = g_new0 (TernPackCache, 1);
  cache->model = file;
  digest_model (cache, file, layout, (gint64) st.st_mtim.tv_sec * G_GINT64_CONSTANT (1000000000) + st.st_mtim.tv_nsec);
  base = g_path_get_basename (path);
  cache->path = g_strdup_printf ("%s/%s.%s.tern-pack", folder, base, cache->digest);
  return cache;
}

void
tern_pack_cache_free (TernPackCache *cache)
{
  if (!cache)
    return;
  tern_map_close (&cache->map);
  g_free (cache->path);
  g_free (cache);
}

const char *
tern_pack_cache_path (const TernPackCache *cache)
{
  return cache->path;
}

/* ---- Sums -------------------------------------------------------------------------------------------------------- */

/* Four sums side by side, a word each: damage is to be found at the speed of memory, nobody is to be kept from making two
 * files of one sum. @bytes: a multiple of 32 but for the last. */
static guint64
sum_of (const guint8 *data, gsize bytes)
{
  const guint64 prime = G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  guint64 sums[4] = { 1, 2, 3, 4 }, word, all = bytes;
  gsize at;
  guint i;

  for (at = 0; at + 32 <= bytes; at += 32) {
    for (i = 0; i < 4; i++) {
      memcpy (&word, data + at + 8 * i, 8);
      sums[i] = (sums[i] ^ word) * prime;
      sums[i] ^= sums[i] >> 29;
    }
  }
  for (; at < bytes; at++)
    all = (all ^ data[at]) * prime;
  for (i = 0; i < 4; i++) {
    all = (all ^ sums[i]) * prime;
    all ^= all >> 32;
  }
  return all;
}

typedef struct {
  const guint8 *data;
  gsize bytes;
  guint64 *sums;                /* to be made, or */
  const guint64 *expected;
  gint wrong;                   /* atomic */
} Summing;

static void
sum_chunks (void *data, guint begin, guint end, guint worker)
{
  Summing *s = data;

  for (guint i = begin; i < end; i++) {
    gsize at = i * CHUNK;
    guint64 sum = sum_of (s->data + at, MIN (CHUNK, s->bytes - at));

    if (s->sums)
      s->sums[i] = sum;
    else if (sum != s->expected[i])
      g_atomic_int_set (&s->wrong, 1);
  }
}

static guint
chunks_in (gsize bytes)
{
  return (guint) ((bytes + CHUNK - 1) / CHUNK);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* Bytes between the header and the data, not rounded up. */
static guint64
table_bytes (guint64 n_entries, guint64 n_chunks)
{
  return n_entries * sizeof (Entry) + n_chunks * sizeof (guint64);
}

/* Nothing that follows looks outside of the map. */
static gboolean
header_fits (const TernPackCache *cache, const Header *h)
{
  const guint8 *table = cache->map.data + sizeof *h;

  return memcmp (h->magic, MAGIC, sizeof h->magic) == 0 && h->version == VERSION && h->order == ORDER
      && memcmp (h->digest, cache->digest, DIGEST) == 0 && h->size == cache->map.size
      && h->n_entries <= MOST_ENTRIES && h->data <= h->size && h->data % ALIGN == 0
      && h->data >= sizeof *h + table_bytes (h->n_entries, h->n_chunks)
      && h->n_chunks == chunks_in (h->size - h->data)
      && h->sum == sum_of (table, h->data - sizeof *h);
}

static gboolean
span_fits (const Header *h, guint64 at, guint64 bytes)
{
  return at >= h->data && at % ALIGN == 0 && at <= h->size && bytes <= h->size - at;
}

/* The entry of @linear, if it is what packing would make. */
static const Entry *
find_entry (const TernPackCache *cache, const Header *h, const TernLinear *linear)
{
  const Entry *entries = (const Entry *) (h + 1);

  for (guint i = 0; i < h->n_entries; i++) {
    const Entry *e = &entries[i];

    if (e->source != tern_gguf_place (cache->model, linear->data) || e->rows != linear->rows || e->cols != linear->cols)
      continue;
    if (e->packed_bytes == 0)
      return e;
    return e->packed_bytes == tern_linear_packed_bytes (linear) && span_fits (h, e->packed, e->packed_bytes)
        && e->groups == tern_linear_groups (linear)
        && (!e->scales || span_fits (h, e->scales, e->rows * sizeof (float))) ? e : NULL;
  }
  return NULL;
}

/* Instead of what it has packed itself. */
static void
take_entry (const TernPackCache *cache, const Entry *e, TernLinear *linear)
{
  if (!linear->borrowed)
    tern_mem_free (linear->packed);
  if (!linear->scale_borrowed)
    tern_mem_free (linear->row_scale);
  linear->packed = NULL;
  linear->row_scale = NULL;
  if (e->packed_bytes == 0) {
    linear->form = TERN_FORM_EXPAND;
    return;
  }
  linear->groups = e->groups;
  linear->scale = e->scale;
  linear->packed = (guint8 *) cache->map.data + e->packed;
  linear->row_scale = e->scales ? (float *) (cache->map.data + e->scales) : NULL;
  linear->borrowed = linear->scale_borrowed = TRUE;
}

/* TRUE: it is there, and ours. Says what is wrong with it else, but for not being there. */
static gboolean
map_cache (TernPackCache *cache)
{
  GStatBuf st;

  if (cache->map.data)
    return TRUE;
  if (g_lstat (cache->path, &st) != 0)
    return FALSE;
  if (!S_ISREG (st.st_mode) || (st.st_uid != geteuid () && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH))) {
    tern_log (TERN_LOG_WARNING, "%s: expected a file of this user that nobody else may write to; not used", cache->path);
    return FALSE;
  }
  return tern_map_open (&cache->map, cache->path, NULL);
}

/* All but the data itself. */
static gboolean
has_all (const TernPackCache *cache, TernLinear *const *linears, guint n)
{
  const Header *h = (const Header *) cache->map.data;
  gboolean fits = cache->map.size >= sizeof *h && header_fits (cache, h);

  for (guint i = 0; fits && i < n; i++)
    fits = !linears[i]->packable || find_entry (cache, h, linears[i]);
  return fits;
}

static void
take_all (const TernPackCache *cache, TernLinear *const *linears, guint n)
{
  for (guint i = 0; i < n; i++)
    if (linears[i]->packable)
      take_entry (cache, find_entry (cache, (const Header *) cache->map.data, linears[i]), linears[i]);
}

static gboolean
check_data (const TernPackCache *cache, const Header *h, TernPool *pool)
{
  const guint64 *expected = (const guint64 *) ((const Entry *) (h + 1) + h->n_entries);
  Summing summing = { .data = cache->map.data + h->data, .bytes = h->size - h->data, .expected = expected };

  tern_pool_run (pool, sum_chunks, &summing, h->n_chunks, 1);
  return !summing.wrong;
}

/* What tern_pack_cache_load() and _save() give is in use from now on: swept away is what was not for long. */
static void
note_use (const TernPackCache *cache)
{
  utimensat (AT_FDCWD, cache->path, NULL, AT_SYMLINK_NOFOLLOW);
}

gboolean
tern_pack_cache_load (TernPackCache *cache, TernLinear *const *linears, guint n, TernPool *pool)
{
  const Header *h;

  if (!map_cache (cache))
    return FALSE;
  h = (const Header *) cache->map.data;
  if (!has_all (cache, linears, n) || !check_data (cache, h, pool)) {
    tern_log (TERN_LOG_WARNING, "%s: it is damaged, or not of this version; written again", cache->path);
    tern_map_close (&cache->map);
    return FALSE;
  }
  take_all (cache, linears, n);
  note_use (cache);
  tern_log (TERN_LOG_DEBUG, "%s: packed matrices taken from it", cache->path);
  return TRUE;
}

/* ---- Room -------------------------------------------------------------------------------------------------------- */

#define UNUSED_SECONDS (30 * 24 * 3600)
#define HALF_SECONDS 3600       /* after which nobody writes a file any more */

/* Whether @name is a cache of the model called @base, or (@half) what a process left of one that it did not write to its end. */
static gboolean
is_cache_of (const char *name, const char *base, gboolean *half)
{
  const char *digest = name + strlen (base) + 1, *rest = digest + DIGEST;

  if (!g_str_has_prefix (name, base) || strlen (name) < strlen (base) + 1 + DIGEST || digest[-1] != '.'
      || strspn (digest, "0123456789abcdef") != DIGEST || !g_str_has_prefix (rest, ".tern-pack"))
    return FALSE;
  rest += strlen (".tern-pack");
  *half = g_str_has_prefix (rest, ".") && g_str_has_suffix (rest, ".new");
  return *half || *rest == 0;
}

/* A model that was written again, or for another machine, has another digest: caches of before stay, and are as large as it is. So
 * before one is written those of this model's name go that nobody has used for a month. */
static void
sweep (const TernPackCache *cache)
{
  g_autofree char *folder = g_path_get_dirname (cache->path), *base = g_path_get_basename (tern_gguf_path (cache->model));
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  gint64 now = g_get_real_time () / G_USEC_PER_SEC;
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    gboolean half = FALSE;
    GStatBuf st;

    if (is_cache_of (name, base, &half) && g_lstat (path, &st) == 0 && S_ISREG (st.st_mode)
        && now - st.st_mtime > (half ? HALF_SECONDS : UNUSED_SECONDS) && g_unlink (path) == 0)
      tern_log (TERN_LOG_DEBUG, "%s: not used for long; removed", path);
  }
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static guint64
take_place (guint64 *at, guint64 bytes)
{
  guint64 place = *at;

  *at = (place + bytes + ALIGN - 1) / ALIGN * ALIGN;
  return place;
}

/* Entries of what is packed, their places counted from the beginning of the data. */
static GArray *
plan_entries (const TernPackCache *cache, TernLinear *const *linears, guint n, guint64 *data_bytes)
{
  GArray *entries = g_array_new (FALSE, FALSE, sizeof (Entry));

  *data_bytes = 0;
  for (guint i = 0; i < n; i++) {
    const TernLinear *linear = linears[i];
    Entry e = { .source = tern_gguf_place (cache->model, linear->data), .rows = linear->rows, .cols = linear->cols,
      .groups = linear->groups, .scale = linear->scale };

    if (!linear->packable)
      continue;
    if (linear->packed) {
      e.packed_bytes = tern_linear_packed_bytes (linear);
      e.packed = take_place (data_bytes, e.packed_bytes);
      if (linear->row_scale)
        e.scales = take_place (data_bytes, linear->rows * sizeof (float));
    }
    g_array_append_val (entries, e);
  }
  return entries;
}

/* A new file of @size bytes beside the cache, which has its blocks: writing to its map cannot fail. -1: see errno. */
static int
create_file (const char *path, guint64 size, guint8 **map)
{
  int fd = g_open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  int failure;

  if (fd < 0)
    return -1;
  failure = posix_fallocate (fd, 0, (off_t) size);
  if (!failure) {
    *map = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    failure = *map == MAP_FAILED ? errno : 0;
  }
  if (!failure)
    return fd;
  close (fd);
  g_unlink (path);
  errno = failure;
  return -1;
}

static void
fill_file (guint8 *map, Header *h, GArray *entries, TernLinear *const *linears, guint n, TernPool *pool)
{
  Entry *table = (Entry *) (map + sizeof *h);
  Summing summing = { .data = map + h->data, .bytes = h->size - h->data, .sums = (guint64 *) (table + h->n_entries) };

  for (guint i = 0, at = 0; i < n; i++) {
    Entry *e;

    if (!linears[i]->packable)
      continue;
    e = &g_array_index (entries, Entry, at++);
    if (e->packed_bytes == 0)
      continue;
    e->packed += h->data;
    memcpy (map + e->packed, linears[i]->packed, e->packed_bytes);
    if (!e->scales)
      continue;
    e->scales += h->data;
    memcpy (map + e->scales, linears[i]->row_scale, e->rows * sizeof (float));
  }
  memcpy (table, entries->data, entries->len * sizeof (Entry));
  tern_pool_run (pool, sum_chunks, &summing, h->n_chunks, 1);
  h->sum = sum_of ((const guint8 *) table, h->data - sizeof *h);
  memcpy (map, h, sizeof *h);
}

gboolean
tern_pack_cache_save (TernPackCache *cache, TernLinear *const *linears, guint n, TernPool *pool)
{
  g_autofree char *beside = g_strdup_printf ("%s.%d.new", cache->path, (int) getpid ());
  guint64 data_bytes;
  g_autoptr (GArray) entries = plan_entries (cache, linears, n, &data_bytes);
  Header h = { .version = VERSION, .order = ORDER, .n_entries = entries->len, .n_chunks = chunks_in (data_bytes) };
  guint8 *map = NULL;
  int fd;

  if (data_bytes == 0)
    return FALSE;
  memcpy (h.magic, MAGIC, sizeof h.magic);
  memcpy (h.digest, cache->digest, DIGEST);
  h.data = (sizeof h + table_bytes (h.n_entries, h.n_chunks) + ALIGN - 1) / ALIGN * ALIGN;
  h.size = h.data + data_bytes;
  sweep (cache);
  g_unlink (beside);            /* of a process of this number that ended in the middle */
  fd = create_file (beside, h.size, &map);
  if (fd >= 0) {
    fill_file (map, &h, entries, linears, n, pool);
    munmap (map, h.size);
    close (fd);
    if (g_rename (beside, cache->path) == 0) {
      if (!map_cache (cache) || !has_all (cache, linears, n))
        return FALSE;           /* somebody has changed it meanwhile */
      take_all (cache, linears, n);
      return TRUE;
    }
  }
  tern_log (TERN_LOG_WARNING, "%s: cannot be written: %s", cache->path, g_strerror (errno));
  if (fd >= 0)
    g_unlink (beside);
  return FALSE;
}
