/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a video file is as long as it says. Only what is certain counts as cut: sizes that are left open, as live
 * recorders write them, say nothing. */
#include "tools/container-private.h"

#define TAIL_BYTES (256 << 10)

/* The last bytes of the file; *@at is the offset of the first. Free with g_free. */
static guint8 *
read_tail (const TernSource *source, guint64 *at, gsize *n)
{
  guint64 size = tern_source_size (source);
  guint8 *tail;

  if (tern_source_kind (source) != TERN_SOURCE_FILE)
    return NULL;
  *at = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
  tail = g_malloc (TAIL_BYTES);
  *n = tern_source_read (source, *at, tail, size - *at);
  return tail;
}

/* ---- ISO base media: MP4, MOV, 3GP, AVIF ------------------------------------------------------------------------- */

static gboolean
is_name (const guint8 *type)
{
  for (guint i = 0; i < 4; i++)
    if (!g_ascii_isalnum (type[i]) && !strchr (" -_.", type[i]) && type[i] != 0xa9)
      return FALSE;
  return TRUE;
}

void
tern_container_bmff (const TernSource *source, TernContainer *out)
{
  guint64 at = 0, size = tern_source_size (source);
  TernBox box;

  for (guint i = 0; i < TERN_MAX_STEPS && at < size; i++, at = box.end) {
    if (!tern_box_read (source, at, size, &box) || !is_name (box.type))
      return;                   /* something that is no box comes after the film */
    tern_container_needs (out, source, box.end);
    if (out->cut)
      return;
  }
}

/* ---- Matroska, WebM ---------------------------------------------------------------------------------------------- */

enum { EBML = 0x1a45dfa3, SEGMENT = 0x18538067, CLUSTER = 0x1f43b675 };

gboolean
tern_element_read (const TernSource *source, guint64 at, TernElement *element)
{
  guint8 b[12] = { 0 };
  gsize have = tern_source_read (source, at, b, sizeof b);
  guint id_bytes = 1, size_bytes = 1;
  guint64 size, ones;

  while (id_bytes <= 4 && !(b[0] & 0x80 >> (id_bytes - 1)))
    id_bytes++;
  if (id_bytes > 4 || have < id_bytes + 1)
    return FALSE;
  while (size_bytes <= 8 && !(b[id_bytes] & 0x80 >> (size_bytes - 1)))
    size_bytes++;
  if (size_bytes > 8 || have < id_bytes + size_bytes)
    return FALSE;
  ones = (G_GUINT64_CONSTANT (1) << 7 * size_bytes) - 1;
  size = tern_big_endian (b + id_bytes, size_bytes) & ones;
  element->id = tern_big_endian (b, id_bytes);
  element->open = size == ones;
  element->body = at + id_bytes + size_bytes;
  element->end = element->open ? element->body : size < G_MAXINT64 - element->body ? element->body + size : G_MAXUINT64;
  return TRUE;
}

void
tern_container_matroska (const TernSource *source, TernContainer *out)
{
  guint64 at = 0, size = tern_source_size (source);
  TernElement element;

  /* Elements of unknown size are entered, the others passed over: a segment or cluster that was left open ends with what
   * is in it. */
  for (guint i = 0; i < TERN_MAX_STEPS && at < size && tern_element_read (source, at, &element); i++, at = element.end) {
    if (element.open && element.id != SEGMENT && element.id != CLUSTER)
      return;
    tern_container_needs (out, source, element.end);
    if (out->cut)
      return;
  }
}

/* ---- AVI, ASF, FLV ----------------------------------------------------------------------------------------------- */

void
tern_container_avi (const TernSource *source, TernContainer *out)
{
  guint64 at = 0, size = tern_source_size (source);
  guint8 head[12];

  for (guint i = 0; i < TERN_MAX_STEPS && at < size && tern_get (source, at, head, 12); i++) {
    guint32 length = tern_little_endian (head + 4, 4);

    if (memcmp (head, "RIFF", 4) == 0) {
      at += 12;
    } else {
      if (!g_ascii_isalnum (head[0]) || length == 0xffffffff
          || (length == 0 && memcmp (head, "LIST", 4) == 0))     /* a recorder that came to no end */
        return;
      at += 8 + (guint64) length;
      tern_container_needs (out, source, at);
      at += length & 1;
    }
  }
}

void
tern_container_asf (const TernSource *source, TernContainer *out)
{
  static const guint8 properties[16] = { 0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11, 0x8e, 0xe4, 0, 0xc0, 0x0c, 0x20,
    0x53, 0x65 };
  guint64 at = 30, end;
  guint8 head[92];

  if (!tern_get (source, 16, head, 8))
    return;
  end = tern_little_endian (head, 8);
  for (guint i = 0; i < 1024 && at < end && tern_get (source, at, head, 24); i++) {
    guint64 length = tern_little_endian (head + 16, 8);

    if (memcmp (head, properties, 16) == 0) {
      if (tern_get (source, at, head, 92) && !(head[88] & 1))   /* not a broadcast */
        tern_container_needs (out, source, tern_little_endian (head + 40, 8));
      return;
    }
    if (length < 24 || length > G_MAXINT32)
      return;
    at += length;
  }
}

/* The last four bytes say how long the last tag is. */
void
tern_container_flv (const TernSource *source, TernContainer *out)
{
  guint64 size = tern_source_size (source), at = 13;
  guint8 b[11];

  for (guint i = 0; i < TERN_MAX_STEPS && at < size; i++) {
    if (!tern_get (source, at, b, 11)) {
      out->cut = TRUE;
      return;
    }
    if (b[0] == 'F' && b[1] == 'L' && b[2] == 'V') {
      out->next = at;
      return;
    }
    if (b[0] != 8 && b[0] != 9 && b[0] != 18)
      return;
    at += 11 + tern_big_endian (b + 1, 3);
    tern_container_needs (out, source, at);
    if (out->cut)
      return;
    at += 4;                    /* the tag's length again; some writers leave out the last */
  }
}

/* ---- Ogg, MPEG --------------------------------------------------------------------------------------------------- */

/* Streams begin at the beginning: where another one does, a file was joined. */
static guint64
next_ogg (const TernSource *source)
{
  guint64 at = 0;
  guint8 page[27 + 255] = { 0 };
  gboolean began = FALSE;

  for (guint i = 0; i < TERN_MAX_STEPS && tern_source_read (source, at, page, sizeof page) >= 27; i++) {
    gboolean begins = page[5] & 2;
    guint64 length = 27 + page[26];

    if (memcmp (page, "OggS\0", 5) != 0)
      return 0;
    if (begins && began)
      return at;
    began = began || !begins;
    for (guint k = 0; k < page[26]; k++)
      length += page[27 + k];
    at += length;
  }
  return 0;
}

void
tern_container_ogg (const TernSource *source, TernContainer *out)
{
  guint64 at;
  gsize n;
  g_autofree guint8 *tail = NULL;

  out->next = next_ogg (source);
  if (out->next)
    return;
  tail = read_tail (source, &at, &n);
  for (gsize i = n; tail && i >= 27; i--) {     /* the last page */
    const guint8 *page = tail + i - 27;
    guint64 length = 27 + page[26];

    if (memcmp (page, "OggS\0", 5) != 0)
      continue;
    for (guint k = 0; k < page[26] && i + k < n; k++)
      length += page[27 + k];
    tern_container_needs (out, source, at + (page - tail) + length);
    return;
  }
}

/* Packets of 188 bytes, after 4 of a time stamp in Blu-ray's files; the end falls between two of them. */
void
tern_container_mpeg_ts (const TernSource *source, TernContainer *out)
{
  static const guint sizes[] = { 188, 192, 204 };
  guint64 at;
  gsize n;
  g_autofree guint8 *tail = read_tail (source, &at, &n);

  for (guint i = 0; tail && i < G_N_ELEMENTS (sizes); i++) {
    guint size = sizes[i], before = size == 192 ? 4 : 0;

    if (n < 6 * size)
      continue;
    for (gsize start = n - size; start > n - 2 * size; start--) {       /* where the last whole packet may begin */
      gsize rest = n - start - size;
      guint found = 0;

      for (guint k = 0; k < 5; k++)
        found += tail[start - k * size + before] == 0x47;
      if (found < 5)
        continue;
      out->cut = rest > before && (tail[start + size + before] == 0x47);
      out->expected = out->cut ? tern_source_size (source) + size - rest : 0;
      return;
    }
  }
}

/* The last packet that says how long it is. Sound may hold the bytes of a header by chance: only what a chain of packets
 * leads to is one. */
void
tern_container_mpeg_ps (const TernSource *source, TernContainer *out)
{
  guint64 at;
  gsize n, i = 0;
  guint chain = 0;
  g_autofree guint8 *tail = read_tail (source, &at, &n);

  while (tail && i + 14 <= n) {
    const guint8 *p = tail + i;
    gsize length = 0;

    if (p[0] == 0 && p[1] == 0 && p[2] == 1) {
      if (p[3] == 0xb9)
        length = 4;
      else if (p[3] == 0xba)
        length = (p[4] & 0xc0) == 0x40 ? 14 + (p[13] & 7) : 12;
      else if (p[3] >= 0xbb && p[3] != 0xff)
        length = 6 + tern_big_endian (p + 4, 2);
    }
    chain = length ? chain + 1 : 0;
    if (chain > 2)
      tern_container_needs (out, source, at + i + length);
    i += length ? length : 1;
  }
}

/* ---- MXF --------------------------------------------------------------------------------------------------------- */

static gboolean
is_partition (const guint8 *key)
{
  static const guint8 partition[13] = { 6, 0x0e, 0x2b, 0x34, 2, 5, 1, 1, 0x0d, 1, 2, 1, 1 };

  return memcmp (key, partition, sizeof partition) == 0 && key[13] >= 2 && key[13] <= 4;
}

/* Keys of 16 bytes, lengths, values. */
void
tern_container_mxf (const TernSource *source, TernContainer *out)
{
  guint64 at = 0, size = tern_source_size (source);
  guint8 b[16 + 9 + 32];

  for (guint i = 0; i < TERN_MAX_STEPS && at < size; i++) {
    gsize have = tern_source_read (source, at, b, sizeof b);
    guint more = have > 17 && b[16] & 0x80 ? b[16] & 0x7f : 0;
    guint64 body = 17 + more;

    if (have >= 4 && memcmp (b, "\6\x0e\x2b\x34", 4) != 0)
      return;
    if (have < 17 || have < body || more > 8) {
      out->cut = TRUE;
      return;
    }
    /* Where the footer is: most often all that need be known. */
    if (is_partition (b) && have >= body + 32)
      tern_container_needs (out, source, tern_big_endian (b + body + 24, 8));
    at += body + (more ? tern_big_endian (b + 17, more) : b[16]);
    tern_container_needs (out, source, at);
    if (out->cut)
      return;
  }
}
