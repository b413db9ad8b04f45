/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small films and pictures to read in tests, encoded and put in containers by libav. Codecs are FFmpeg's own. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  const char *codec;            /* "mpeg4", "mpeg2video", "mjpeg", "png", "gif", "apng", "flv" */
  guint width, height;
  guint frames, rate;           /* frames a second */
  guint start_ms;               /* of the first frame */
  guint b_frames;               /* between others, at most */
  guint every;                  /* frames of @rate from one to the next; 0 = 1 */
  guint aspect_n, aspect_d;     /* of a pixel */
  const gint32 *matrix;         /* [9] display matrix */
  int transfer;                 /* AVCOL_TRC_..., 0 = not said */
  int space;                    /* AVCOL_SPC_..., 0 = not said */
  gboolean is_default;
} ClipTrack;

/* Frame i has luma 16 + 8 * (i % 28). @format: a muxer's name. */
void clip_encode (const char *path, const char *format, const ClipTrack *tracks, guint n_tracks);

G_END_DECLS
