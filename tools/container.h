/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the first bytes of a file say it is, and what a container says that libavformat does not pass on: how a still
 * stands, how many pictures it has, and whether the file is as long as it says. Made for hostile input: every walk is
 * bounded. */
#pragma once

#include "tools/source.h"

G_BEGIN_DECLS

typedef enum {
  TERN_FILE_UNKNOWN,
  TERN_FILE_JPEG, TERN_FILE_PNG, TERN_FILE_GIF, TERN_FILE_WEBP, TERN_FILE_TIFF, TERN_FILE_AVIF, TERN_FILE_ICO,
  TERN_FILE_PFM,                /* a portable float map */
  TERN_FILE_STILL,              /* another still format that libavcodec knows */
  TERN_FILE_BMFF, TERN_FILE_MATROSKA, TERN_FILE_AVI, TERN_FILE_ASF, TERN_FILE_FLV, TERN_FILE_OGG, TERN_FILE_MPEG_TS,
  TERN_FILE_MPEG_PS, TERN_FILE_MXF,
  TERN_FILE_PLAYLIST,           /* names other files */
  TERN_FILE_FOREIGN_PICTURE,    /* a picture that is refused */
  TERN_FILE_OTHER,              /* neither picture nor video */
} TernFileType;

typedef struct {
  TernFileType type;
  const char *name;             /* "a HEIC picture"; NULL when unknown. Static */
  const char *reader;           /* what reads it or makes something of it that Tern reads; NULL. Static */
} TernFileKind;

TernFileKind tern_file_kind (const TernSource *source);

/* What a container says of a video track's pictures, which libavformat need not pass on. */
typedef struct {
  guint orientation;            /* as EXIF counts; 0 = nothing is said */
  guint width, height;          /* of the whole picture, of which */
  gint64 aperture[8];           /* this part is shown, as in TernContainer; [1] = 0: all of it */
  guint shown_width, shown_height;      /* the shape of that part, where it is said; 0 = by the pixels' own */
} TernTrackShape;

#define TERN_CONTAINER_TRACKS 8

typedef struct {
  guint64 width, height;        /* of a still, pixels; 0 = not known */
  guint orientation;            /* as EXIF counts; 0 = nothing is said */
  /* The part of an AVIF picture that is shown, before it is turned: width, height, how far its middle lies to the right of
   * the whole's and below it, each a numerator and a denominator. [1] = 0: all of it. */
  gint64 aperture[8];
  guint pictures;               /* 0 = unknown, 2 = two or more */
  TernTrackShape tracks[TERN_CONTAINER_TRACKS];         /* of a film, the first ones of video */
  guint n_tracks;
  const char *unread;           /* why a still is not read, as " made of tiles"; NULL when nothing is against it. Static */
  guint64 next;                 /* where a further file begins that was joined to this one; 0 = nowhere */
  gboolean cut;                 /* the file ends too early */
  gboolean open_end;            /* a still, `cut`, of which perhaps only what says that it is over is not there */
  guint64 whole_to;             /* where in one of an open end the last whole piece ends; 0 = it is not made of pieces */
  guint64 expected;             /* bytes that there should be at least; 0 = unknown */
} TernContainer;

/* Of a FILE; of anything else what the bytes at hand say, and never `cut`. */
TernContainer tern_container_read (const TernSource *source, TernFileType type);

/* A still, by what the file says of itself: no decoder is asked. */
gboolean tern_container_is_still (TernFileType type, const TernContainer *container);

/* A film whose index comes after its pictures cannot be read as it comes. */
gboolean tern_container_needs_seeking (const TernSource *source, TernFileType type);

G_END_DECLS
