/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small files to read in tests, in formats that need no encoder. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* YUV4MPEG2, 4:2:0: frame i has luma 16 + 8 * (i % 28). @fps is "10:1". Cut to @keep bytes unless that is 0. */
void clip_write_y4m (const char *path, guint width, guint height, const char *fps, guint frames, gsize keep);
/* A PPM picture whose pixel x, y is (x, y, 128). */
void clip_write_ppm (const char *path, guint width, guint height);
/* A tenth of a second of silence. */
void clip_write_wav (const char *path);
void clip_write_bytes (const char *path, const char *bytes, gsize len);
/* The folder @path and all that is in it. */
void clip_remove_folder (const char *path);

G_END_DECLS
