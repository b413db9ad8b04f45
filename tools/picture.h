/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A still from a file, through libavformat and libavcodec. */
#pragma once

#include <glib.h>
#include "engine/base/image.h"

G_BEGIN_DECLS

typedef struct {
  guint8 *pixels;               /* [height, width, 3] R G B, rows without gaps */
  guint width, height;
} TernPicture;

/* The first frame of the file, any transparency dropped. Errors: NOT_FOUND, READ, FORMAT. */
gboolean tern_picture_load (TernPicture *picture, const char *path, GError **error);
void tern_picture_clear (TernPicture *picture);
TernImage tern_picture_image (const TernPicture *picture);

G_END_DECLS
