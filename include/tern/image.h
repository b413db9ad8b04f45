/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A borrowed picture. Installed. */
#pragma once

#include <glib.h>
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernImageFormat:
 * @TERN_IMAGE_RGB: 3 bytes a pixel: R G B
 * @TERN_IMAGE_BGR: 3 bytes a pixel: B G R
 * @TERN_IMAGE_RGBX: 4 bytes a pixel: R G B, and one that is ignored
 * @TERN_IMAGE_BGRX: 4 bytes a pixel: B G R, and one that is ignored
 * @TERN_IMAGE_GRAY8: one byte a pixel
 * @TERN_IMAGE_I420: Y, U and V planes; chroma of ceil (width / 2) x ceil (height / 2)
 * @TERN_IMAGE_NV12: Y plane, then U and V interleaved in a plane of ceil (height / 2) rows
 *
 * How pixels lie in memory.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_IMAGE_RGB,
  TERN_IMAGE_BGR,
  TERN_IMAGE_RGBX,
  TERN_IMAGE_BGRX,
  TERN_IMAGE_GRAY8,
  TERN_IMAGE_I420,
  TERN_IMAGE_NV12,
} TernImageFormat;

/**
 * TernColorMatrix:
 * @TERN_MATRIX_BT601: ITU-R BT.601, standard definition
 * @TERN_MATRIX_BT709: ITU-R BT.709, high definition
 * @TERN_MATRIX_BT2020: ITU-R BT.2020, ultra high definition, non-constant luminance
 *
 * How Y, U and V were made of R, G and B.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_MATRIX_BT601,
  TERN_MATRIX_BT709,
  TERN_MATRIX_BT2020,
} TernColorMatrix;

/**
 * TernTransfer:
 * @TERN_TRANSFER_SDR: BT.709, sRGB and their like: looked at as they are
 * @TERN_TRANSFER_PQ: SMPTE ST 2084 (HDR10), primaries of BT.2020
 * @TERN_TRANSFER_HLG: ARIB STD-B67, primaries of BT.2020
 *
 * How code values stand for light. PQ and HLG are tone mapped to SDR before they are looked at.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_TRANSFER_SDR,
  TERN_TRANSFER_PQ,
  TERN_TRANSFER_HLG,
} TernTransfer;

/**
 * TernImage:
 * @format: how pixels lie in memory
 * @width: pixels in a row as it lies in memory, 1..TERN_IMAGE_SIDE_MAX
 * @height: rows as they lie in memory, 1..TERN_IMAGE_SIDE_MAX
 * @data: (array fixed-size=3): first byte of the first row of each plane; %NULL for planes that the format has not
 * @stride: (array fixed-size=3): bytes from one row to the next, per plane; may exceed the row's bytes, and may be
 *   negative
 * @matrix: how YUV formats are coded; ignored for the others
 * @full_range: whether YUV formats use all code values from 0 to 255; ignored for the others
 * @transfer: how code values stand for light
 * @orientation: how the picture must be turned to be shown upright: 1..TERN_ORIENTATION_MAX as EXIF's tag 0x0112
 *   counts, 0 = 1 = as it lies
 * @pixel_aspect_n: width of a pixel as it lies in memory, in units of its height / @pixel_aspect_d; 0 = square
 * @pixel_aspect_d: see @pixel_aspect_n. Pixels of a shape beyond TERN_PIXEL_ASPECT_MAX : 1 or its inverse are taken for
 *   square ones
 * @reserved: 0
 *
 * A picture. Pixels stay the caller's and are only read during the call that takes the image.
 *
 * Since: 0.1
 */
typedef struct {
  TernImageFormat format;
  guint width;
  guint height;
  const guint8 *data[3];
  gint stride[3];
  TernColorMatrix matrix;
  gboolean full_range;
  TernTransfer transfer;
  guint orientation;
  guint pixel_aspect_n;
  guint pixel_aspect_d;
  gpointer reserved[4];
} TernImage;

G_END_DECLS
