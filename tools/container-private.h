/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the container-*.c files. */
#pragma once

#include <string.h>

#include "tools/container.h"

G_BEGIN_DECLS

#define TERN_MAX_STEPS (1 << 20)        /* chunks, boxes or elements that a walk looks at */

static inline guint64
tern_big_endian (const guint8 *b, guint n)
{
  guint64 value = 0;

  for (guint i = 0; i < n; i++)
    value = value << 8 | b[i];
  return value;
}

static inline guint64
tern_little_endian (const guint8 *b, guint n)
{
  guint64 value = 0;

  for (guint i = n; i-- > 0;)
    value = value << 8 | b[i];
  return value;
}

/* All @n bytes are there. */
static inline gboolean
tern_get (const TernSource *source, guint64 offset, void *to, gsize n)
{
  return tern_source_read (source, offset, to, n) == n;
}

/* Notes that the file should have @end bytes; a length beyond what files have says only that it is too short. */
static inline void
tern_container_needs (TernContainer *out, const TernSource *source, guint64 end)
{
  if (end > tern_source_size (source)) {
    out->cut = TRUE;
    out->expected = MAX (out->expected, end <= G_MAXINT64 ? end : 0);
  }
}

/* A box of ISO base media: TRUE with the offset of what is in it and of what comes after it. */
typedef struct {
  guint8 type[4];
  guint64 body, end;
} TernBox;
gboolean tern_box_read (const TernSource *source, guint64 at, guint64 limit, TernBox *box);
/* The first of @type that is whole. */
gboolean tern_box_find (const TernSource *source, guint64 at, guint64 limit, const char *type, TernBox *box);
/* The body of `clap`. */
void tern_aperture_read (const TernSource *source, guint64 at, gint64 *aperture);
/* As EXIF counts: clockwise by @turns quarters, then left to right. */
guint tern_orientation (guint turns, gboolean mirror);

/* An element of Matroska, with the offset of what is in it and of what comes after it. */
typedef struct {
  guint32 id;
  gboolean open;                /* its size is not known */
  guint64 body, end;
} TernElement;
gboolean tern_element_read (const TernSource *source, guint64 at, TernElement *element);

/* Bytes one after the other, for formats that must be searched. */
typedef struct {
  const TernSource *source;
  guint64 at;                   /* of the next byte */
  gsize n, i;
  guint8 block[32 << 10];
} TernCursor;

int tern_cursor_next (TernCursor *cursor);      /* -1 at the end */

void tern_container_jpeg (const TernSource *source, TernContainer *out);
void tern_container_png (const TernSource *source, TernContainer *out);
void tern_container_gif (const TernSource *source, TernContainer *out);
void tern_container_webp (const TernSource *source, TernContainer *out);
void tern_container_tiff (const TernSource *source, TernContainer *out);
void tern_container_pfm (const TernSource *source, TernContainer *out);
void tern_container_avif (const TernSource *source, TernContainer *out);
void tern_container_bmff (const TernSource *source, TernContainer *out);
void tern_container_matroska (const TernSource *source, TernContainer *out);
/* What they say of their video tracks. */
void tern_container_bmff_tracks (const TernSource *source, TernContainer *out);
void tern_container_matroska_tracks (const TernSource *source, TernContainer *out);
void tern_container_avi (const TernSource *source, TernContainer *out);
void tern_container_asf (const TernSource *source, TernContainer *out);
void tern_container_flv (const TernSource *source, TernContainer *out);
void tern_container_ogg (const TernSource *source, TernContainer *out);
void tern_container_mpeg_ts (const TernSource *source, TernContainer *out);
void tern_container_mpeg_ps (const TernSource *source, TernContainer *out);
void tern_container_mxf (const TernSource *source, TernContainer *out);

G_END_DECLS
