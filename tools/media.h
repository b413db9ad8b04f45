/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures and videos from files, streams and addresses, frame by frame, through libavformat and libavcodec.
 *
 *   media.c          frames and their end
 *   media-open.c     what is opened, and which track of it
 *   media-track.c    the video among pictures and thumbnails
 *   media-pixels.c   what a frame looks like: format, colours, shape, how it stands
 *   media-times.c    one timeline, however the file counts
 *   media-end.c      whether the end is one
 *   media-tail.c     where the decoder does not say whether the last picture is whole
 *   container.c, source.c, exif.c: what libavformat does not tell */
#pragma once

#include <glib.h>
#include "tern/image.h"

G_BEGIN_DECLS

typedef struct _TernMedia TernMedia;

/**
 * TernMediaOptions:
 * @track: the N-th video track from 0, as in libav's stream specifier v:N; -1 = the video
 * @allow_network: URLs are opened, and playlists may name them
 * @in_folder: it was not named but found: playlists, whose files are found too, and what libavformat guesses from weak signs
 *   only are neither picture nor video
 * @fd: unless -1, the bytes, of which the input is the name alone; read from their beginning by offset, not taken
 * @threads: that decode a video; 0 = all cores
 * @stop: (nullable): when it is no longer 0 (any thread sets it), opening and reading end soon, with READ
 * @max_pixels: of a picture or frame; 0: 268 million
 */
typedef struct {
  gint track;
  gboolean allow_network;
  gboolean in_folder;
  int fd;
  guint threads;
  const gint *stop;
  guint64 max_pixels;
} TernMediaOptions;

#define TERN_MEDIA_OPTIONS_INIT { .track = -1, .fd = -1 }

/* @input: a path, `-` for standard input, or a URL. @options: NULL for the defaults. @other, unless NULL: set to whether
 * what was found is neither picture nor video (text, an archive, sound), the error saying so.
 * Errors: NOT_FOUND, READ, FORMAT (damaged, or no picture in it), UNSUPPORTED (names the format or size, and what would
 * read it), INVALID (a URL that is not allowed); the message names @input. */
TernMedia *tern_media_open (const char *input, const TernMediaOptions *options, gboolean *other, GError **error);
/* The same from memory; @name is for messages. Formats that name other files are refused, and no file is opened. */
TernMedia *tern_media_open_bytes (GBytes *bytes, const char *name, const TernMediaOptions *options, gboolean *other,
    GError **error);
void tern_media_free (TernMedia *media);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernMedia, tern_media_free)

/* A still, by the first bytes and the structure of the file: quick, nothing is decoded. FALSE for what cannot be read. */
gboolean tern_media_file_is_still (const char *path);

gboolean tern_media_is_still (const TernMedia *media);
guint64 tern_media_duration (const TernMedia *media);   /* ns; G_MAXUINT64 when unknown */
/* Frames a second, the most that the file says or that its times have. FALSE: not known; a still has none. */
gboolean tern_media_rate (const TernMedia *media, guint *n, guint *d);
/* "track 0 (h264, 640 x 360) is looked at, not track 1 (...)"; NULL when there is nothing to choose from. */
const char *tern_media_choice (const TernMedia *media);

typedef enum {
  TERN_MEDIA_FRAME,
  TERN_MEDIA_END,
  TERN_MEDIA_FAILED,            /* the file is damaged or cut off here, or has not one frame */
} TernMediaStatus;

/* The next frame, as it lies in the file (TernImage says how it stands and what its pixels are like), borrowed until the
 * next call. A still has one. @pts and @duration: ns from the start of the file, never falling: where the clock of a file
 * jumps, because two recordings were joined, time goes on. @duration is G_MAXUINT64 when unknown. A file that is cut off
 * fails after its last frame. */
TernMediaStatus tern_media_next (TernMedia *media, TernImage *image, guint64 *pts, guint64 *duration, GError **error);

G_END_DECLS
