/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A borrowed picture. Installed. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  TERN_IMAGE_RGB,               /* 3 bytes a pixel: R G B */
  TERN_IMAGE_BGR,
  TERN_IMAGE_RGBX,              /* 4 bytes a pixel, the last one is ignored */
  TERN_IMAGE_BGRX,
  TERN_IMAGE_GRAY8,
  TERN_IMAGE_I420,              /* Y, U, V planes; chroma of ceil(w/2) x ceil(h/2) */
  TERN_IMAGE_NV12,              /* Y plane, interleaved UV plane of ceil(h/2) rows */
} TernImageFormat;

typedef enum {
  TERN_MATRIX_BT601,
  TERN_MATRIX_BT709,
  TERN_MATRIX_BT2020,
} TernColorMatrix;

/* How code values stand for light. */
typedef enum {
  TERN_TRANSFER_SDR,            /* BT.709, sRGB and their like: looked at as they are */
  TERN_TRANSFER_PQ,             /* SMPTE ST 2084 (HDR10), primaries of BT.2020 */
  TERN_TRANSFER_HLG,            /* ARIB STD-B67, primaries of BT.2020 */
} TernTransfer;

/**
 * TernImage:
 * @data: first byte of the first row of each plane; unused planes are %NULL
 * @stride: bytes from one row to the next, per plane; may exceed the row's bytes and may be negative
 * @matrix, @full_range: how YUV formats are coded (ignored for the others)
 * @transfer: PQ and HLG are tone mapped to SDR before they are looked at
 * @orientation: how the picture must be turned to be shown upright: 1 to 8 as EXIF's tag 0x0112 counts, 0 = 1 = as it
 *   lies. @width, @height, planes and @pixel_aspect are of the picture as it lies in memory
 * @pixel_aspect_n, @pixel_aspect_d: width of a pixel over its height; 0/0 = 1/1
 *
 * Pixels stay the caller's and are only read during the call that takes the image.
 */
typedef struct {
  TernImageFormat format;
  guint width, height;          /* pixels */
  const guint8 *data[3];
  gint stride[3];
  TernColorMatrix matrix;
  gboolean full_range;
  TernTransfer transfer;
  guint orientation;
  guint pixel_aspect_n, pixel_aspect_d;
} TernImage;

G_END_DECLS
