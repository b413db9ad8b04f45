/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directories of TIFF files, and of EXIF, which has the same form. Made for hostile input: reads are bounded. */
#pragma once

#include "tools/source.h"

G_BEGIN_DECLS

/* Tag 0x0112 of the first directory of the @length bytes at @offset, which may begin with "Exif\0\0": 1 to 8; 0 when it
 * is not there. */
guint tern_exif_orientation (const TernSource *source, guint64 offset, guint64 length);

/* Pixels of the first picture of a TIFF file; nothing is written when it does not say. */
void tern_tiff_size (const TernSource *source, guint64 *width, guint64 *height);
/* What of its first picture libavcodec takes for something else without a word: " made of tiles", or another static string;
 * NULL when it reads it or says that it does not. */
const char *tern_tiff_unread (const TernSource *source);

/* Where the last strip or tile of the first picture ends, in bytes from the start of a TIFF file; 0 when nothing says so. */
guint64 tern_tiff_end (const TernSource *source);

G_END_DECLS
