/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/media-private.h"

#include <math.h>
#include <stdlib.h>

#include <libavutil/pixdesc.h>

#include "tern/error.h"

#define MIN_SIDE 2              /* pixels: nothing smaller shows anything, and 4:2:0 has no such size */
#define MAX_ASPECT 16           /* of a pixel; what says more is damaged */

/* ---- Colours ----------------------------------------------------------------------------------------------------- */

static TernTransfer
transfer_of (const TernMedia *media, const AVFrame *frame)
{
  enum AVColorTransferCharacteristic curve = frame->color_trc;

  if (curve == AVCOL_TRC_UNSPECIFIED)   /* the bitstream says nothing: the container may */
    curve = tern_media_stream (media)->codecpar->color_trc;
  return curve == AVCOL_TRC_SMPTE2084 ? TERN_TRANSFER_PQ
      : curve == AVCOL_TRC_ARIB_STD_B67 ? TERN_TRANSFER_HLG : TERN_TRANSFER_SDR;
}

static TernColorMatrix
matrix_of (const TernMedia *media, const AVFrame *frame)
{
  enum AVColorSpace space = frame->colorspace;

  if (space == AVCOL_SPC_UNSPECIFIED)
    space = tern_media_stream (media)->codecpar->color_space;
  switch (space) {
    case AVCOL_SPC_BT709:
    case AVCOL_SPC_SMPTE240M:           /* but for a hundredth */
      return TERN_MATRIX_BT709;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return TERN_MATRIX_BT2020;
    case AVCOL_SPC_UNSPECIFIED:         /* as players guess: pictures and small videos are BT.601 */
      if (transfer_of (media, frame) != TERN_TRANSFER_SDR)
        return TERN_MATRIX_BT2020;
      return media->still || frame->height < 720 ? TERN_MATRIX_BT601 : TERN_MATRIX_BT709;
    default:
      return TERN_MATRIX_BT601;
  }
}

/* What says nothing is limited, but for grey and the formats that JPEG has to itself. */
static gboolean
is_full_range (const AVFrame *frame)
{
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get (frame->format);

  if (frame->color_range != AVCOL_RANGE_UNSPECIFIED)
    return frame->color_range == AVCOL_RANGE_JPEG;
  return (format && format->nb_components <= 2) || frame->format == AV_PIX_FMT_YUVJ420P
      || frame->format == AV_PIX_FMT_YUVJ422P || frame->format == AV_PIX_FMT_YUVJ444P
      || frame->format == AV_PIX_FMT_YUVJ440P;
}

/* The formats that need no conversion. */
static gboolean
direct_format (const AVFrame *frame, TernImageFormat *out)
{
  static const struct {
    int av;
    TernImageFormat ours;
  } table[] = {
    { AV_PIX_FMT_YUV420P, TERN_IMAGE_I420 }, { AV_PIX_FMT_YUVJ420P, TERN_IMAGE_I420 },
    { AV_PIX_FMT_NV12, TERN_IMAGE_NV12 }, { AV_PIX_FMT_RGB24, TERN_IMAGE_RGB }, { AV_PIX_FMT_BGR24, TERN_IMAGE_BGR },
    { AV_PIX_FMT_RGB0, TERN_IMAGE_RGBX }, { AV_PIX_FMT_RGBA, TERN_IMAGE_RGBX }, { AV_PIX_FMT_BGR0, TERN_IMAGE_BGRX },
    { AV_PIX_FMT_BGRA, TERN_IMAGE_BGRX }, { AV_PIX_FMT_GRAY8, TERN_IMAGE_GRAY8 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (table); i++) {
    if (table[i].av == frame->format && (table[i].ours != TERN_IMAGE_GRAY8 || is_full_range (frame))) {
      *out = table[i].ours;
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
is_animation (TernFileType type)
{
  return type == TERN_FILE_GIF || type == TERN_FILE_PNG || type == TERN_FILE_WEBP;
}

/* Of a video what lies under clear parts is shown, as it is stored: players know no page behind it. */
static gboolean
is_clear (const TernMedia *media, const AVFrame *frame)
{
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get (frame->format);

  return (media->still || is_animation (media->kind.type)) && format && (format->flags & AV_PIX_FMT_FLAG_ALPHA);
}

/* @bytes and some more, as the scaler may write whole vectors beyond the last row. */
static gboolean
make_room (guint8 **block, gsize *have, gsize bytes)
{
  if (*have >= bytes)
    return TRUE;
  av_free (*block);
  *block = av_mallocz (bytes + 64);
  *have = *block ? bytes : 0;
  return *block != NULL;
}

/* What can be seen through in a still or an animation is shown on white, as on a page; its colours are anything. One that
 * is clear all over has an alpha that nobody looks at. RGBA to RGB in place. */
static void
lay_on_white (guint8 *pixels, gsize n)
{
  guint seen = 0;

  for (gsize i = 0; i < n; i++)
    seen |= pixels[4 * i + 3];
  for (gsize i = 0; i < n; i++) {
    const guint8 from[4] = { pixels[4 * i], pixels[4 * i + 1], pixels[4 * i + 2], pixels[4 * i + 3] };
    guint alpha = seen ? from[3] : 255;

    for (guint c = 0; c < 3; c++)
      pixels[3 * i + c] = (from[c] * alpha + 255 * (255 - alpha) + 127) / 255;
  }
}

/* Which the scaler does for grey of more bits alone. */
static void
widen (guint8 *pixels, gsize n)
{
  for (gsize i = 0; i < n; i++)
    pixels[i] = CLAMP ((pixels[i] - 16) * 255 + 109, 0, 255 * 219) / 219;
}

/* From the last frame's format to @to, without another size. */
static gboolean
open_scaler (TernMedia *media, enum AVPixelFormat to, GError **error)
{
  const AVFrame *frame = media->frame;

  if (!media->sws || media->sws_width != frame->width || media->sws_height != frame->height
      || media->sws_format != frame->format || media->sws_to != (int) to) {
    sws_freeContext (media->sws);
    media->sws = sws_getContext (frame->width, frame->height, frame->format, frame->width, frame->height,
        to, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    media->sws_width = frame->width;
    media->sws_height = frame->height;
    media->sws_format = frame->format;
    media->sws_to = (int) to;
  }
  return media->sws || tern_media_fail (media, AVERROR (ENOSYS), "its pixels cannot be converted", error);
}

static void
describe_rgb (const TernMedia *media, TernImage *image)
{
  *image = (TernImage) {
    .format = TERN_IMAGE_RGB, .width = media->frame->width, .height = media->frame->height,
    .data = { media->rgb }, .stride = { 3 * media->frame->width },
  };
}

static gboolean
is_ycgco (const TernMedia *media, const AVFrame *frame)
{
  enum AVColorSpace space = frame->colorspace;

  return (space == AVCOL_SPC_UNSPECIFIED ? tern_media_stream (media)->codecpar->color_space : space) == AVCOL_SPC_YCGCO;
}

/* Which the scaler does not know: ITU-T H.273, equations of matrix 8. @planes: three of @n samples. */
static void
mix_ycgco (const guint8 *planes, gsize n, gboolean full, guint8 *rgb)
{
  for (gsize i = 0; i < n; i++, rgb += 3) {
    double y = planes[i], cg = planes[n + i] - 128.0, co = planes[2 * n + i] - 128.0;

    if (!full) {
      y = (y - 16) * 255 / 219;
      cg = cg * 255 / 224;
      co = co * 255 / 224;
    }
    rgb[0] = (guint8) CLAMP (y - cg + co + 0.5, 0, 255);
    rgb[1] = (guint8) CLAMP (y + cg + 0.5, 0, 255);
    rgb[2] = (guint8) CLAMP (y - cg - co + 0.5, 0, 255);
  }
}

static gboolean
ycgco_to_rgb (TernMedia *media, TernImage *image, GError **error)
{
  const AVFrame *frame = media->frame;
  gsize n = (gsize) frame->width * frame->height;
  const int strides[3] = { frame->width, frame->width, frame->width }, *table = sws_getCoefficients (SWS_CS_DEFAULT);
  gboolean full = is_full_range (frame);
  guint8 *planes[3];

  if (!open_scaler (media, AV_PIX_FMT_YUV444P, error))
    return FALSE;
  if (!make_room (&media->rgb, &media->rgb_bytes, 6 * n))
    return tern_media_fail (media, AVERROR (ENOMEM), "it cannot be decoded", error);
  for (guint p = 0; p < 3; p++)
    planes[p] = media->rgb + (3 + p) * n;
  sws_setColorspaceDetails (media->sws, table, full, table, full, 0, 1 << 16, 1 << 16);
  sws_scale (media->sws, (const guint8 * const *) frame->data, frame->linesize, 0, frame->height, planes, strides);
  mix_ycgco (planes[0], n, full, media->rgb);
  describe_rgb (media, image);
  return TRUE;
}

static gboolean
to_rgb (TernMedia *media, TernImage *image, GError **error)
{
  const AVFrame *frame = media->frame;
  static const int coefficients[] = { SWS_CS_ITU601, SWS_CS_ITU709, SWS_CS_BT2020 };
  gboolean clear = is_clear (media, frame);
  int stride = (clear ? 4 : 3) * frame->width, brightness = 0, contrast = 1 << 16, saturation = 1 << 16;

  /* Of one file, whether it is clear goes by the format alone. */
  if (!open_scaler (media, clear ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24, error))
    return FALSE;
  if (!make_room (&media->rgb, &media->rgb_bytes, (gsize) stride * frame->height))
    return tern_media_fail (media, AVERROR (ENOMEM), "it cannot be decoded", error);
  /* Refused for formats without chroma, which then need none of it. */
  sws_setColorspaceDetails (media->sws, sws_getCoefficients (coefficients[matrix_of (media, frame)]),
      is_full_range (frame), sws_getCoefficients (SWS_CS_DEFAULT), 1, brightness, contrast, saturation);
  sws_scale (media->sws, (const guint8 * const *) frame->data, frame->linesize, 0, frame->height, &media->rgb, &stride);
  if (frame->format == AV_PIX_FMT_GRAY8 && !is_full_range (frame))
    widen (media->rgb, (gsize) stride * frame->height);
  if (clear)
    lay_on_white (media->rgb, (gsize) frame->width * frame->height);
  describe_rgb (media, image);
  return TRUE;
}

/* ---- Shape ------------------------------------------------------------------------------------------------------- */

/* A display matrix takes (x, y) to (a x + c y, b x + d y); a slanted one counts as the nearest quarter. */
static guint
orientation_of_matrix (const gint32 *matrix)
{
  static const guint orientation[4][2] = { { 1, 2 }, { 6, 5 }, { 3, 4 }, { 8, 7 } };
  double a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  guint turns = fabs (b) > fabs (d) ? (b > 0 ? 1 : 3) : d < 0 ? 2 : 0;  /* quarters, clockwise */

  return orientation[turns][a * d - b * c < 0];         /* then left to right */
}

/* What the container itself says of the track that is looked at; NULL: nothing. */
static const TernTrackShape *
track_shape (const TernMedia *media)
{
  guint number = 0;

  for (int i = 0; i < media->stream; i++)
    number += media->format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
  return number < media->container.n_tracks ? &media->container.tracks[number] : NULL;
}

/* The frame's own word counts most, it may change within a stream; then the track's, then the file's. */
static guint
orientation_of (const TernMedia *media, const AVFrame *frame)
{
  const AVFrameSideData *side = av_frame_get_side_data (frame, AV_FRAME_DATA_DISPLAYMATRIX);
  const TernTrackShape *shape = track_shape (media);
  const AVDictionaryEntry *entry;
  const guint8 *matrix;
  size_t size;
  int value;

  if (side && side->size >= 9 * sizeof (gint32))
    return orientation_of_matrix ((const gint32 *) side->data);
  matrix = tern_media_side_data (tern_media_stream (media), AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (matrix && size >= 9 * sizeof (gint32))
    return orientation_of_matrix ((const gint32 *) matrix);
  if (shape && shape->orientation)
    return shape->orientation;
  if (media->container.orientation)
    return media->container.orientation;
  entry = av_dict_get (frame->metadata, "Orientation", NULL, 0);
  value = entry ? atoi (entry->value) : 1;
  return value >= 1 && value <= 8 ? value : 1;
}

/* Unless it is none. */
static void
set_pixel_aspect (AVRational aspect, TernImage *image)
{
  if (aspect.num > 0 && aspect.den > 0 && aspect.num / aspect.den < MAX_ASPECT
      && aspect.den / aspect.num < MAX_ASPECT) {
    image->pixel_aspect_n = aspect.num;
    image->pixel_aspect_d = aspect.den;
  }
}

/* As players show videos. What a still says is how large it is to be printed, and no viewer looks at it. */
static void
pixel_aspect_of (const TernMedia *media, AVFrame *frame, TernImage *image)
{
  AVRational aspect = { 0, 0 };

  if (!media->still && !is_animation (media->kind.type))
    aspect = av_guess_sample_aspect_ratio (media->format, tern_media_stream (media), frame);
  set_pixel_aspect (aspect, image);
}

/* The first pixel of @image from now on. Where chroma is shared it is one that has its own. */
static void
move_corner (TernImage *image, gsize left, gsize top)
{
  static const guint bytes[] = { [TERN_IMAGE_RGB] = 3, [TERN_IMAGE_BGR] = 3, [TERN_IMAGE_RGBX] = 4, [TERN_IMAGE_BGRX] = 4,
    [TERN_IMAGE_GRAY8] = 1, [TERN_IMAGE_I420] = 1, [TERN_IMAGE_NV12] = 1 };
  gboolean shared = image->format == TERN_IMAGE_I420 || image->format == TERN_IMAGE_NV12;

  if (shared) {
    left &= ~(gsize) 1;
    top &= ~(gsize) 1;
  }
  image->data[0] += (gssize) top * image->stride[0] + left * bytes[image->format];
  for (guint p = 1; shared && p < 3; p++)
    if (image->data[p])
      image->data[p] += (gssize) (top / 2) * image->stride[p] + (image->format == TERN_IMAGE_NV12 ? left : left / 2);
}

/* The part of a picture that is shown; one that leads out of it is none. */
static gboolean
cut_to_aperture (const gint64 *aperture, TernImage *image)
{
  double part[4], left, top;

  for (guint i = 0; i < 4; i++) {
    if (aperture[2 * i + 1] <= 0)
      return FALSE;
    part[i] = (double) aperture[2 * i] / aperture[2 * i + 1];
  }
  left = (image->width - part[0]) / 2 + part[2];
  top = (image->height - part[1]) / 2 + part[3];
  if (!(part[0] >= 1 && part[1] >= 1 && left >= 0 && top >= 0 && left + part[0] <= image->width
      && top + part[1] <= image->height))
    return FALSE;
  move_corner (image, (gsize) left, (gsize) top);
  image->width = (guint) part[0];
  image->height = (guint) part[1];
  return TRUE;
}

/* libavformat takes the shape that Matroska says of what is shown for that of the whole picture. */
static void
cut_to_track (const TernTrackShape *shape, TernImage *image)
{
  AVRational aspect;

  if (!shape || shape->width != image->width || shape->height != image->height || !cut_to_aperture (shape->aperture, image)
      || !shape->shown_width || !shape->shown_height)
    return;
  av_reduce (&aspect.num, &aspect.den, (gint64) shape->shown_width * image->height, (gint64) shape->shown_height * image->width,
      G_MAXINT);
  set_pixel_aspect (aspect, image);
}

gboolean
tern_media_image (TernMedia *media, TernImage *image, GError **error)
{
  AVFrame *frame = media->frame;
  TernImageFormat format;

  if (!media->still && (frame->width < MIN_SIDE || frame->height < MIN_SIDE)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a video of at least %d x %d pixels, found "
        "%d x %d", media->name, MIN_SIDE, MIN_SIDE, frame->width, frame->height);
    return FALSE;
  }
  if (is_ycgco (media, frame)) {
    if (!ycgco_to_rgb (media, image, error))
      return FALSE;
    /* Subsampled stills go through the scaler, which interpolates chroma as picture viewers do. */
  } else if (!direct_format (frame, &format) || is_clear (media, frame)
      || (media->still && (format == TERN_IMAGE_I420 || format == TERN_IMAGE_NV12))) {
    if (!to_rgb (media, image, error))
      return FALSE;
  } else {
    *image = (TernImage) {
      .format = format, .width = frame->width, .height = frame->height,
      .data = { frame->data[0], frame->data[1], format == TERN_IMAGE_NV12 ? NULL : frame->data[2] },
      .stride = { frame->linesize[0], frame->linesize[1], format == TERN_IMAGE_NV12 ? 0 : frame->linesize[2] },
      .matrix = matrix_of (media, frame), .full_range = is_full_range (frame),
    };
  }
  if (media->still)
    cut_to_aperture (media->container.aperture, image);
  image->transfer = transfer_of (media, frame);
  image->orientation = orientation_of (media, frame);
  pixel_aspect_of (media, frame, image);
  if (!media->still)
    cut_to_track (track_shape (media), image);
  return TRUE;
}
