/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/exif.h"

#include <string.h>

#define MAX_ENTRIES 1024        /* of a directory; cameras write some twenty */
#define MAX_STRIPS (1 << 16)

enum { SHORT = 3, LONG = 4 };
enum {
  WIDTH = 0x0100, HEIGHT = 0x0101, COMPRESSION = 0x0103, STRIP_OFFSETS = 0x0111, ORIENTATION = 0x0112, STRIP_BYTES = 0x0117,
  TILE_OFFSETS = 0x0144, TILE_BYTES = 0x0145,
  DNG_VERSION = 0xc612,
};
enum { OLD_JPEG = 6, JPEG = 7 };        /* compressions */

typedef struct {
  const TernSource *source;
  guint64 base, length;         /* of the block in the source */
  gboolean big_endian;
  guint64 entries;              /* offset of the first entry */
  guint n_entries;
} Directory;

typedef struct {
  guint type, count;
  guint64 values;               /* offset of the first one in the block */
} Entry;

/* @n (2 or 4) bytes at @offset of the block. */
static gboolean
number (const Directory *dir, guint64 offset, guint n, guint32 *value)
{
  guint8 b[4];

  if (offset > dir->length || dir->length - offset < n || tern_source_read (dir->source, dir->base + offset, b, n) < n)
    return FALSE;
  *value = 0;
  for (guint i = 0; i < n; i++)
    *value = *value << 8 | b[dir->big_endian ? i : n - 1 - i];
  return TRUE;
}

static gboolean
open_directory (Directory *dir, const TernSource *source, guint64 offset, guint64 length)
{
  guint8 head[6];
  guint32 magic, first, n;

  *dir = (Directory) { .source = source, .base = offset, .length = length };
  if (length >= 6 && tern_source_read (source, offset, head, 6) == 6 && memcmp (head, "Exif\0", 5) == 0) {
    dir->base += 6;
    dir->length -= 6;
  }
  if (dir->length < 8 || tern_source_read (source, dir->base, head, 2) < 2 || head[0] != head[1])
    return FALSE;
  dir->big_endian = head[0] == 'M';
  if ((head[0] != 'M' && head[0] != 'I') || !number (dir, 2, 2, &magic) || magic != 42
      || !number (dir, 4, 4, &first))
    return FALSE;
  dir->entries = (guint64) first + 2;
  if (!number (dir, first, 2, &n))
    return FALSE;
  dir->n_entries = MIN (n, MAX_ENTRIES);
  return TRUE;
}

static gboolean
find (const Directory *dir, guint tag, Entry *entry)
{
  for (guint i = 0; i < dir->n_entries; i++) {
    guint64 at = dir->entries + 12 * i;
    guint32 value, outside;

    if (!number (dir, at, 2, &value))
      return FALSE;
    if (value != tag)
      continue;
    if (!number (dir, at + 2, 2, &entry->type) || !number (dir, at + 4, 4, &entry->count)
        || (entry->type != SHORT && entry->type != LONG))
      return FALSE;
    entry->values = at + 8;
    if ((guint64) entry->count * (entry->type == SHORT ? 2 : 4) <= 4)
      return TRUE;
    entry->values = number (dir, at + 8, 4, &outside) ? outside : dir->length;
    return TRUE;
  }
  return FALSE;
}

static gboolean
get (const Directory *dir, const Entry *entry, guint i, guint32 *value)
{
  guint size = entry->type == SHORT ? 2 : 4;

  return i < entry->count && number (dir, entry->values + (guint64) size * i, size, value);
}

guint
tern_exif_orientation (const TernSource *source, guint64 offset, guint64 length)
{
  Directory dir;
  Entry entry;
  guint32 value;

  return open_directory (&dir, source, offset, length) && find (&dir, ORIENTATION, &entry)
      && get (&dir, &entry, 0, &value) && value >= 1 && value <= 8 ? value : 0;
}

void
tern_tiff_size (const TernSource *source, guint64 *width, guint64 *height)
{
  Directory dir;
  Entry across, down;
  guint32 w, h;

  if (!open_directory (&dir, source, 0, G_MAXUINT32) || !find (&dir, WIDTH, &across) || !find (&dir, HEIGHT, &down)
      || !get (&dir, &across, 0, &w) || !get (&dir, &down, 0, &h))
    return;
  *width = w;
  *height = h;
}

static gboolean
has (const Directory *dir, guint tag)
{
  guint32 value;

  for (guint i = 0; i < dir->n_entries; i++)
    if (number (dir, dir->entries + 12 * i, 2, &value) && value == tag)
      return TRUE;
  return FALSE;
}

const char *
tern_tiff_unread (const TernSource *source)
{
  Directory dir;
  Entry entry;
  guint32 value;

  if (!open_directory (&dir, source, 0, G_MAXUINT32) || has (&dir, DNG_VERSION))
    return NULL;
  if (find (&dir, COMPRESSION, &entry) && get (&dir, &entry, 0, &value) && (value == OLD_JPEG || value == JPEG))
    return " compressed as JPEG";
  return has (&dir, TILE_OFFSETS) ? " made of tiles" : NULL;
}

guint64
tern_tiff_end (const TernSource *source)
{
  Directory dir;
  Entry offsets, bytes;
  guint64 end = 0;

  if (!open_directory (&dir, source, 0, G_MAXUINT32))
    return dir.entries;         /* it should be there */
  if (!((find (&dir, STRIP_OFFSETS, &offsets) && find (&dir, STRIP_BYTES, &bytes))
          || (find (&dir, TILE_OFFSETS, &offsets) && find (&dir, TILE_BYTES, &bytes))))
    return 0;
  for (guint i = 0; i < MIN (offsets.count, MAX_STRIPS); i++) {
    guint32 at, n;

    if (!get (&dir, &offsets, i, &at) || !get (&dir, &bytes, i, &n))
      return MAX (end, offsets.values + (guint64) offsets.count * (offsets.type == SHORT ? 2 : 4));
    end = MAX (end, (guint64) at + n);
  }
  return end;
}
