/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures and clips of requests: what the bytes say decides, not the declared type; bounded before they are decoded; and
 * kept, encoded, for the next request that shows the same. */
#pragma once

#include "tern/tern.h"
#include "tools/http/http.h"

G_BEGIN_DECLS

typedef struct {
  guint64 max_pixels;           /* of a picture or frame */
  guint max_frames;             /* of a clip that are looked at */
  gsize cache_bytes;            /* of what is kept */
} TernPictureLimits;

/* Any thread. */
typedef struct _TernPictures TernPictures;

TernPictures *tern_pictures_new (TernModel *model, const TernPictureLimits *limits);
void tern_pictures_free (TernPictures *pictures);
void tern_pictures_counts (TernPictures *pictures, guint64 *seen, guint64 *kept, gsize *bytes);

/* A view of what @url, a data URL or bare base64, holds; @clip: a video. @param: the field's name, for the refusal. @gone,
 * or NULL: atomic; once it is not 0 the work is given up. NULL: refused. */
TernView *tern_pictures_take (TernPictures *pictures, const char *url, gboolean clip, const char *param, const gint *gone,
    TernRefusal *refusal);

G_END_DECLS
