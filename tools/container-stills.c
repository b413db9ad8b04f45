/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/container-private.h"
#include "tools/exif.h"

static void
set_cursor (TernCursor *cursor, guint64 at)
{
  if (at >= cursor->at - cursor->i && at - (cursor->at - cursor->i) <= cursor->n) {
    cursor->i = at - (cursor->at - cursor->i);
  } else {
    cursor->i = cursor->n = 0;
  }
  cursor->at = at;
}

int
tern_cursor_next (TernCursor *cursor)
{
  if (cursor->i == cursor->n) {
    cursor->i = 0;
    cursor->n = tern_source_read (cursor->source, cursor->at, cursor->block, sizeof cursor->block);
    if (cursor->n == 0)
      return -1;
  }
  cursor->at++;
  return cursor->block[cursor->i++];
}

/* ---- JPEG -------------------------------------------------------------------------------------------------------- */

/* The next marker, over fill bytes and coded data; -1 at the end. */
static int
next_marker (TernCursor *cursor)
{
  int byte, code;

  do {
    do
      byte = tern_cursor_next (cursor);
    while (byte >= 0 && byte != 0xff);
    do
      code = tern_cursor_next (cursor);
    while (code == 0xff);
  } while (byte >= 0 && (code == 0 || (code >= 0xd0 && code <= 0xd7)));         /* stuffing, restarts */
  return byte < 0 ? -1 : code;
}

/* Another picture soon after the first. */
static gboolean
next_start (TernCursor *cursor)
{
  guint last = 0;

  for (guint i = 0; i < 4096; i++) {
    int byte = tern_cursor_next (cursor);

    if (byte < 0)
      return FALSE;
    last = (last << 8 | byte) & 0xffffff;
    if (last == 0xffd8ff) {
      set_cursor (cursor, cursor->at - 1);
      return TRUE;
    }
  }
  return FALSE;
}

/* But for padding. */
static gboolean
ends_with_end (const TernSource *source)
{
  guint8 tail[4096];
  guint64 size = tern_source_size (source);
  gsize n = MIN (size, sizeof tail);

  n = tern_source_read (source, size - n, tail, n);
  while (n > 0 && (tail[n - 1] == 0 || tail[n - 1] == 0xff))
    n--;
  return n == 0 || (n > 1 && tail[n - 2] == 0xff && tail[n - 1] == 0xd9);
}

/* The numbers of scans and of what is in them show that all components have begun: only in a file that is read from top to bottom
 * (not progressive, not lossless, not hierarchical) can no other scan come that makes them better. */
typedef struct {
  gboolean sequential;
  guint components, scanned;
} Scans;

static void
note_scan (Scans *scans, int code, const guint8 *head)
{
  if (code == 0xda) {
    scans->scanned += head[2];
  } else if (code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc) {
    scans->sequential = code <= 0xc1;
    scans->components = head[7];
  }
}

/* Up to the picture's end, or as far as its size: the marker there, -1 at the end of the file. *@album: the file has a table
 * of further pictures. */
static int
read_picture (TernCursor *cursor, gboolean size_only, TernContainer *out, gboolean *album)
{
  Scans scans = { FALSE, 0, 0 };
  int code;

  while ((code = next_marker (cursor)) >= 0 && code != 0xd9) {
    guint64 at = cursor->at;
    guint8 head[8] = { 0 };
    guint length;

    if (code == 0x01 || code == 0xd8)
      continue;
    if (!tern_get (cursor->source, at, head, 2))
      break;
    length = tern_big_endian (head, 2);
    if (tern_get (cursor->source, at, head, 8))
      note_scan (&scans, code, head);
    if (code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc
        && tern_get (cursor->source, at, head, 7)) {
      out->height = tern_big_endian (head + 3, 2);
      out->width = tern_big_endian (head + 5, 2);
      if (size_only)
        break;
    }
    if (code == 0xe1 && length > 2 && out->orientation == 0)
      out->orientation = tern_exif_orientation (cursor->source, at + 2, length - 2);
    if (code == 0xe2 && tern_get (cursor->source, at + 2, head, 4) && memcmp (head, "MPF", 4) == 0)
      *album = TRUE;
    set_cursor (cursor, at + MAX (length, 2));
  }
  out->open_end = code < 0 && scans.sequential && scans.components > 0 && scans.scanned >= scans.components;
  return code;
}

/* Pictures of one size, one after the other, are Motion JPEG. What a camera adds to a photograph, which is the first, is
 * listed in a table or has another size: previews, the other eye's view, what makes it brighter on bright screens. */
void
tern_container_jpeg (const TernSource *source, TernContainer *out)
{
  g_autofree TernCursor *cursor = g_new0 (TernCursor, 1);
  TernContainer second = { 0 };
  gboolean album = FALSE;
  int code;

  cursor->source = source;
  set_cursor (cursor, 2);
  out->pictures = 1;
  code = read_picture (cursor, FALSE, out, &album);
  if (code < 0)
    out->cut = TRUE;
  else if (!album && next_start (cursor)) {
    read_picture (cursor, TRUE, &second, &album);
    if (second.width == out->width && second.height == out->height) {
      out->pictures = 2;
      out->cut = !ends_with_end (source);
    }
  }
}

/* ---- PNG, GIF, WebP ---------------------------------------------------------------------------------------------- */

void
tern_container_png (const TernSource *source, TernContainer *out)
{
  guint64 at = 8;
  guint8 head[12];
  gboolean any = FALSE;         /* picture data, whole chunks */

  out->pictures = 1;
  for (guint i = 0; i < TERN_MAX_STEPS; i++) {
    guint length;

    if (!tern_get (source, at, head, 8) || (memcmp (head + 4, "IEND", 4) == 0 && !tern_get (source, at, head, 12))) {
      out->cut = TRUE;
      out->open_end = any;
      out->whole_to = at;
      return;
    }
    length = tern_big_endian (head, 4);
    if (memcmp (head + 4, "IEND", 4) == 0)
      return;
    if (memcmp (head + 4, "IHDR", 4) == 0 && tern_get (source, at + 8, head, 8)) {
      out->width = tern_big_endian (head, 4);
      out->height = tern_big_endian (head + 4, 4);
      memset (head, 0, 8);
    }
    any |= memcmp (head + 4, "IDAT", 4) == 0;
    if (memcmp (head + 4, "eXIf", 4) == 0)
      out->orientation = tern_exif_orientation (source, at + 8, length);
    if (memcmp (head + 4, "acTL", 4) == 0 && tern_get (source, at + 8, head, 4) && tern_big_endian (head, 4) > 1)
      out->pictures = 2;
    at += 12 + (guint64) length;
    tern_container_needs (out, source, at);
    if (out->cut)
      return;
  }
}

/* Over blocks of up to 255 bytes, up to the empty one. */
static gboolean
skip_sub_blocks (TernCursor *cursor)
{
  int n;

  while ((n = tern_cursor_next (cursor)) > 0)
    set_cursor (cursor, cursor->at + n);
  return n == 0;
}

void
tern_container_gif (const TernSource *source, TernContainer *out)
{
  g_autofree TernCursor *cursor = g_new0 (TernCursor, 1);
  guint8 head[13];
  int code = -1;
  gboolean whole = tern_get (source, 0, head, sizeof head);

  cursor->source = source;
  set_cursor (cursor, 13 + (whole && head[10] & 0x80 ? 3 << ((head[10] & 7) + 1) : 0));
  while (whole && (code = tern_cursor_next (cursor)) >= 0 && code != 0x3b) {
    if (code == 0x2c) {
      whole = tern_get (source, cursor->at, head, 9);
      set_cursor (cursor, cursor->at + 10 + (whole && head[8] & 0x80 ? 3 << ((head[8] & 7) + 1) : 0));
      out->pictures = MIN (out->pictures + 1, 2);
      whole = whole && skip_sub_blocks (cursor);
    } else if (code == 0x21) {
      tern_cursor_next (cursor);
      whole = skip_sub_blocks (cursor);
    } else {
      return;                   /* something that is no GIF comes after it */
    }
  }
  out->cut = !whole || cursor->at > tern_source_size (source);
}

void
tern_container_webp (const TernSource *source, TernContainer *out)
{
  guint64 at = 12, end;
  guint8 head[9];

  out->pictures = 1;
  if (!tern_get (source, 4, head, 4))
    return;
  end = 8 + tern_little_endian (head, 4);
  tern_container_needs (out, source, end);
  for (guint i = 0; i < TERN_MAX_STEPS && at + 8 <= end && tern_get (source, at, head, 8); i++) {
    guint64 length = tern_little_endian (head + 4, 4);

    if (memcmp (head, "EXIF", 4) == 0)
      out->orientation = tern_exif_orientation (source, at + 8, length);
    if (memcmp (head, "VP8X", 4) == 0 && tern_get (source, at + 8, head, 1) && head[0] & 2)
      out->pictures = 2;
    at += 8 + length + (length & 1);
  }
}

void
tern_container_tiff (const TernSource *source, TernContainer *out)
{
  out->pictures = 1;
  out->orientation = tern_exif_orientation (source, 0, G_MAXUINT32);
  out->unread = tern_tiff_unread (source);
  tern_tiff_size (source, &out->width, &out->height);
  tern_container_needs (out, source, tern_tiff_end (source));
}

/* ---- PFM --------------------------------------------------------------------------------------------------------- */

/* Alone among the portable maps these begin with the bottom row (netpbm's pfm(5)); libavcodec gives rows as they come. */
void
tern_container_pfm (const TernSource *source, TernContainer *out)
{
  out->pictures = 1;
  out->orientation = 4;
}

/* ---- AVIF -------------------------------------------------------------------------------------------------------- */

gboolean
tern_box_read (const TernSource *source, guint64 at, guint64 limit, TernBox *box)
{
  guint8 head[16];
  guint64 size, header = 8;

  if (at + 8 > limit || !tern_get (source, at, head, 8))
    return FALSE;
  memcpy (box->type, head + 4, 4);
  size = tern_big_endian (head, 4);
  if (size == 1) {
    if (!tern_get (source, at, head, 16))
      return FALSE;
    size = tern_big_endian (head + 8, 8);
    header = 16;
  } else if (size == 0) {
    size = limit - at;
  }
  box->body = at + header;
  box->end = size >= header && size < G_MAXINT64 - at ? at + size : G_MAXUINT64;
  return size >= header;
}

static gboolean
is_box (const TernBox *box, const char *type)
{
  return memcmp (box->type, type, 4) == 0;
}

gboolean
tern_box_find (const TernSource *source, guint64 at, guint64 limit, const char *type, TernBox *box)
{
  for (guint i = 0; i < 4096 && tern_box_read (source, at, limit, box) && box->end <= limit; i++) {
    if (is_box (box, type))
      return TRUE;
    at = box->end;
  }
  return FALSE;
}

/* Turned clockwise by quarters, then mirrored left to right. */
typedef struct {
  guint turns;
  gboolean mirror;
} Upright;

enum { PROPERTIES = 512 };      /* that are looked at */

/* What `ipco` lists, by index from 1: 'r' and quarters clockwise, 'm' and the axis, 'c' for a part that is shown, or 0; where
 * each begins in @bodies. */
static void
read_properties (const TernSource *source, const TernBox *ipco, guint8 (*properties)[2], guint64 *bodies)
{
  guint64 at = ipco->body;
  TernBox box;

  for (guint i = 1; i < PROPERTIES && tern_box_read (source, at, ipco->end, &box); i++, at = box.end) {
    guint8 value;

    bodies[i] = box.body;
    if (is_box (&box, "clap"))
      properties[i][0] = 'c';
    if (!(is_box (&box, "irot") || is_box (&box, "imir")) || !tern_get (source, box.body, &value, 1))
      continue;
    properties[i][0] = box.type[1] == 'r' ? 'r' : 'm';
    properties[i][1] = box.type[1] == 'r' ? 4 - (value & 3) : value & 1;
  }
}

void
tern_aperture_read (const TernSource *source, guint64 at, gint64 *aperture)
{
  guint8 b[8][4];

  if (tern_get (source, at, b, sizeof b))
    for (guint i = 0; i < 8; i++)
      aperture[i] = (gint32) tern_big_endian (b[i], 4);
}

/* One after the other, in the order in which the item lists them. */
static void
apply (const guint8 *property, Upright *upright)
{
  if (property[0] == 'r') {
    upright->turns += upright->mirror ? 4 - property[1] : property[1];
  } else if (property[0] == 'm') {      /* 1: left and right change places; 0: top and bottom */
    upright->turns += property[1] ? 0 : 2;
    upright->mirror = !upright->mirror;
  }
}

guint
tern_orientation (guint turns, gboolean mirror)
{
  static const guint orientation[4][2] = { { 1, 2 }, { 6, 5 }, { 3, 4 }, { 8, 7 } };

  return orientation[turns % 4][mirror != FALSE];
}

/* The properties of @item, by the table of associations in `ipma`. */
static void
read_associations (const TernSource *source, const TernBox *ipma, const TernBox *ipco, guint item, TernContainer *out)
{
  guint8 b[8];
  guint64 at = ipma->body + 8;
  guint version, n, wide;
  Upright upright = { 0 };
  guint8 properties[PROPERTIES][2] = { { 0 } };
  guint64 bodies[PROPERTIES] = { 0 };

  if (!tern_get (source, ipma->body, b, 8))
    return;
  read_properties (source, ipco, properties, bodies);
  version = b[0];
  wide = b[3] & 1;
  n = MIN (tern_big_endian (b + 4, 4), 4096);
  for (guint i = 0; i < n && at < ipma->end; i++) {
    guint id_bytes = version < 1 ? 2 : 4, id, count;

    if (!tern_get (source, at, b, id_bytes + 1))
      return;
    id = tern_big_endian (b, id_bytes);
    count = b[id_bytes];
    at += id_bytes + 1;
    for (guint k = 0; k < count; k++, at += wide ? 2 : 1) {
      guint index;

      if (!tern_get (source, at, b, wide ? 2 : 1))
        return;
      index = wide ? tern_big_endian (b, 2) & 0x7fff : b[0] & 0x7f;
      if (id != item || index >= PROPERTIES)
        continue;
      apply (properties[index], &upright);
      if (properties[index][0] == 'c')
        tern_aperture_read (source, bodies[index], out->aperture);
    }
  }
  out->orientation = tern_orientation (upright.turns, upright.mirror);
}

/* The primary picture is put together from others: a table of items says so. */
static gboolean
is_grid (const TernSource *source, const TernBox *meta, guint item)
{
  TernBox iinf, infe;
  guint8 b[16];
  guint64 at;

  if (!tern_box_find (source, meta->body, meta->end, "iinf", &iinf) || !tern_get (source, iinf.body, b, 1))
    return FALSE;
  at = iinf.body + (b[0] == 0 ? 6 : 8);
  for (guint i = 0; i < 4096 && tern_box_read (source, at, iinf.end, &infe); i++, at = infe.end) {
    guint wide = 2;

    if (!tern_get (source, infe.body, b, 14))
      return FALSE;
    if (b[0] == 3)
      wide = 4;
    if (b[0] >= 2 && tern_big_endian (b + 4, wide) == item)
      return memcmp (b + 4 + wide + 2, "grid", 4) == 0;
  }
  return FALSE;
}

void
tern_container_avif (const TernSource *source, TernContainer *out)
{
  TernBox meta, pitm, iprp, ipco, ipma;
  guint8 b[8];
  guint item;

  out->pictures = 1;
  tern_container_bmff (source, out);
  if (!tern_box_find (source, 0, tern_source_size (source), "meta", &meta))
    return;
  meta.body += 4;
  if (!tern_box_find (source, meta.body, meta.end, "pitm", &pitm) || !tern_get (source, pitm.body, b, 8))
    return;
  item = tern_big_endian (b + 4, b[0] == 0 ? 2 : 4);
  out->unread = is_grid (source, &meta, item) ? " made of tiles" : NULL;
  if (!tern_box_find (source, meta.body, meta.end, "iprp", &iprp)
      || !tern_box_find (source, iprp.body, iprp.end, "ipco", &ipco)
      || !tern_box_find (source, iprp.body, iprp.end, "ipma", &ipma))
    return;
  read_associations (source, &ipma, &ipco, item, out);
}
