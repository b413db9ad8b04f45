/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures and videos from files, frame by frame, through libavformat and libavcodec. */
#pragma once

#include <glib.h>
#include "engine/base/image.h"

G_BEGIN_DECLS

typedef struct _TernMedia TernMedia;

/* Errors: NOT_FOUND, READ, FORMAT (damaged, or no picture in it), UNSUPPORTED; the message names @path. */
TernMedia *tern_media_open (const char *path, GError **error);
void tern_media_free (TernMedia *media);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernMedia, tern_media_free)

gboolean tern_media_is_still (const TernMedia *media);
guint64 tern_media_duration (const TernMedia *media);   /* ns; G_MAXUINT64 when unknown */

typedef enum {
  TERN_MEDIA_FRAME,
  TERN_MEDIA_END,
  TERN_MEDIA_FAILED,            /* the file is damaged here, or has not one frame */
} TernMediaStatus;

/* The next frame, upright, borrowed until the next call. @pts and @duration: ns from the start of the file; duration is
 * G_MAXUINT64 when unknown. */
TernMediaStatus tern_media_next (TernMedia *media, TernImage *image, guint64 *pts, guint64 *duration, GError **error);

G_END_DECLS
