/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/media.h"

#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "engine/base/error.h"
#include "tern/tern.h"

#define MAX_PIXELS (1 << 28)
#define MIN_SIDE 2              /* pixels: nothing smaller shows anything, and 4:2:0 has no such size */

/* What makes a picture upright. */
typedef struct {
  int turns;                    /* quarters, clockwise */
  gboolean mirror;              /* then left to right */
} Upright;

struct _TernMedia {
  char *path;
  AVFormatContext *format;
  AVCodecContext *codec;
  AVPacket *packet;
  AVFrame *frame;
  int stream;
  gboolean still, draining, seen;
  int read_end;                 /* why the last packet was the last: AVERROR_EOF, or what is wrong */
  gboolean has_matrix;          /* the stream says how its frames stand */
  Upright upright;
  guint64 next_pts;             /* for frames without one */

  struct SwsContext *sws;
  int sws_width, sws_height, sws_format;
  guint8 *rgb, *turned;         /* [height, width, 3] */
  gsize rgb_bytes, turned_bytes;
};

static gboolean
fail (const TernMedia *media, int code, const char *what, GError **error)
{
  char reason[AV_ERROR_MAX_STRING_SIZE];

  av_strerror (code, reason, sizeof reason);
  g_set_error (error, TERN_ERROR, code == AVERROR (ENOENT) ? TERN_ERROR_NOT_FOUND
      : code == AVERROR (EACCES) || code == AVERROR (EIO) ? TERN_ERROR_READ
      : code == AVERROR_DECODER_NOT_FOUND || code == AVERROR (ENOSYS) ? TERN_ERROR_UNSUPPORTED
      : code == AVERROR (ENOMEM) ? TERN_ERROR_NO_SPACE : TERN_ERROR_FORMAT,
      "%s: expected a picture or video, found that %s: %s", media->path, what, reason);
  return FALSE;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static gboolean
open_format (TernMedia *media, GError **error)
{
  g_autofree char *url = g_strconcat ("file:", media->path, NULL);      /* a name with a colon is no protocol */
  AVDictionary *options = NULL;
  int code;

  /* Names with % are no patterns, and a playlist opens nothing from the network. */
  av_dict_set (&options, "pattern_type", "none", 0);
  av_dict_set (&options, "protocol_whitelist", "file", 0);
  code = avformat_open_input (&media->format, url, NULL, &options);
  av_dict_free (&options);
  if (code < 0)
    return fail (media, code, "it cannot be read", error);
  code = avformat_find_stream_info (media->format, NULL);
  return code >= 0 || fail (media, code, "it cannot be read", error);
}

/* A cover picture in a sound file is no video. */
static gboolean
find_stream (TernMedia *media, const AVCodec **decoder, GError **error)
{
  int code = av_find_best_stream (media->format, AVMEDIA_TYPE_VIDEO, -1, -1, decoder, 0);

  if (code == AVERROR_DECODER_NOT_FOUND)
    return fail (media, code, "its codec is unknown", error);
  if (code < 0 || media->format->streams[code]->disposition & AV_DISPOSITION_ATTACHED_PIC) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a picture or video, found %s", media->path,
        av_find_best_stream (media->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) >= 0 ? "only sound" : "neither");
    return FALSE;
  }
  media->stream = code;
  return TRUE;
}

static gboolean
open_codec (TernMedia *media, const AVCodec *decoder, GError **error)
{
  int code;

  media->codec = avcodec_alloc_context3 (decoder);
  media->packet = av_packet_alloc ();
  media->frame = av_frame_alloc ();
  if (!media->codec || !media->packet || !media->frame)
    return fail (media, AVERROR (ENOMEM), "it cannot be decoded", error);
  media->codec->max_pixels = MAX_PIXELS;
  media->codec->thread_count = media->still ? 1 : 0;
  if ((code = avcodec_parameters_to_context (media->codec, media->format->streams[media->stream]->codecpar)) < 0
      || (code = avcodec_open2 (media->codec, decoder, NULL)) < 0)
    return fail (media, code, "it cannot be decoded", error);
  return TRUE;
}

/* A display matrix takes (x, y) to (a x + c y, b x + d y); a slanted one counts as the nearest quarter. */
static Upright
upright_of_matrix (const gint32 *matrix)
{
  double a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];

  return (Upright) { fabs (b) > fabs (d) ? b > 0 ? 1 : 3 : d < 0 ? 2 : 0, a * d - b * c < 0 };
}

static gboolean
is_still_format (const char *name)
{
  return g_str_equal (name, "image2") || g_str_has_suffix (name, "_pipe");
}

TernMedia *
tern_media_open (const char *path, GError **error)
{
  g_autoptr (TernMedia) media = g_new0 (TernMedia, 1);
  const AVCodec *decoder = NULL;
  const gint32 *matrix;
  GStatBuf info;

  media->path = g_strdup (path);
  av_log_set_level (AV_LOG_QUIET);      /* what went wrong is in the error */
  if (g_stat (path, &info) == 0 && S_ISREG (info.st_mode) && info.st_size == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a picture or video, found an empty file", path);
    return NULL;
  }
  if (!open_format (media, error) || !find_stream (media, &decoder, error))
    return NULL;
  media->still = is_still_format (media->format->iformat->name);
  matrix = (const gint32 *) av_stream_get_side_data (media->format->streams[media->stream], AV_PKT_DATA_DISPLAYMATRIX,
      NULL);
  media->has_matrix = matrix != NULL;
  if (matrix)
    media->upright = upright_of_matrix (matrix);
  return open_codec (media, decoder, error) ? g_steal_pointer (&media) : NULL;
}

void
tern_media_free (TernMedia *media)
{
  if (!media)
    return;
  sws_freeContext (media->sws);
  av_frame_free (&media->frame);
  av_packet_free (&media->packet);
  avcodec_free_context (&media->codec);
  avformat_close_input (&media->format);
  av_free (media->rgb);
  av_free (media->turned);
  g_free (media->path);
  g_free (media);
}

gboolean
tern_media_is_still (const TernMedia *media)
{
  return media->still;
}

guint64
tern_media_duration (const TernMedia *media)
{
  gint64 duration = media->format->duration;

  return duration > 0 && duration < G_MAXINT64 / 1000 ? (guint64) duration * 1000 : TERN_TIME_NONE;
}

/* ---- Pixels ------------------------------------------------------------------------------------------------------ */

static TernColorMatrix
matrix_of (const TernMedia *media, const AVFrame *frame)
{
  switch (frame->colorspace) {
    case AVCOL_SPC_BT709:
      return TERN_MATRIX_BT709;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return TERN_MATRIX_BT2020;
    case AVCOL_SPC_UNSPECIFIED:         /* as players guess: pictures and small videos are BT.601 */
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

static gboolean
to_rgb (TernMedia *media, TernImage *image, GError **error)
{
  const AVFrame *frame = media->frame;
  static const int coefficients[] = { SWS_CS_ITU601, SWS_CS_ITU709, SWS_CS_BT2020 };
  int stride = 3 * frame->width, brightness = 0, contrast = 1 << 16, saturation = 1 << 16;

  if (!media->sws || media->sws_width != frame->width || media->sws_height != frame->height
      || media->sws_format != frame->format) {
    sws_freeContext (media->sws);
    media->sws = sws_getContext (frame->width, frame->height, frame->format, frame->width, frame->height,
        AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    media->sws_width = frame->width;
    media->sws_height = frame->height;
    media->sws_format = frame->format;
  }
  if (!media->sws)
    return fail (media, AVERROR (ENOSYS), "its pixels cannot be converted", error);
  if (!make_room (&media->rgb, &media->rgb_bytes, (gsize) stride * frame->height))
    return fail (media, AVERROR (ENOMEM), "it cannot be decoded", error);
  /* Refused for formats without chroma, which then need none of it. */
  sws_setColorspaceDetails (media->sws, sws_getCoefficients (coefficients[matrix_of (media, frame)]),
      is_full_range (frame), sws_getCoefficients (SWS_CS_DEFAULT), 1, brightness, contrast, saturation);
  sws_scale (media->sws, (const guint8 * const *) frame->data, frame->linesize, 0, frame->height, &media->rgb, &stride);
  *image = (TernImage) {
    .format = TERN_IMAGE_RGB, .width = frame->width, .height = frame->height,
    .data = { media->rgb }, .stride = { stride },
  };
  return TRUE;
}

/* @image, an RGB one, turned clockwise and then mirrored left to right. */
static gboolean
turn (TernMedia *media, TernImage *image, Upright upright, GError **error)
{
  int quarters = upright.turns;
  guint w = image->width, h = image->height, out_w = quarters % 2 ? h : w, out_h = quarters % 2 ? w : h;

  if (!make_room (&media->turned, &media->turned_bytes, (gsize) 3 * w * h))
    return fail (media, AVERROR (ENOMEM), "it cannot be turned", error);
  for (guint y = 0; y < out_h; y++) {
    for (guint to_x = 0; to_x < out_w; to_x++) {
      guint x = upright.mirror ? out_w - 1 - to_x : to_x;
      guint from_x = quarters == 0 ? x : quarters == 1 ? y : quarters == 2 ? w - 1 - x : w - 1 - y;
      guint from_y = quarters == 0 ? y : quarters == 1 ? h - 1 - x : quarters == 2 ? h - 1 - y : x;

      memcpy (media->turned + 3 * ((gsize) y * out_w + to_x), image->data[0] + 3 * ((gsize) from_y * w + from_x), 3);
    }
  }
  *image = (TernImage) {
    .format = TERN_IMAGE_RGB, .width = out_w, .height = out_h, .data = { media->turned }, .stride = { 3 * out_w },
  };
  return TRUE;
}

/* EXIF's tag 0x0112, where the decoder does not make a matrix of it. */
static Upright
upright_of_exif (const AVFrame *frame)
{
  static const Upright upright[] = { { 0, FALSE }, { 0, TRUE }, { 2, FALSE }, { 2, TRUE }, { 1, TRUE }, { 1, FALSE },
    { 3, TRUE }, { 3, FALSE } };
  const AVDictionaryEntry *entry = av_dict_get (frame->metadata, "Orientation", NULL, 0);
  int orientation = entry ? atoi (entry->value) : 1;

  return upright[orientation >= 1 && orientation <= 8 ? orientation - 1 : 0];
}

static gboolean
to_image (TernMedia *media, TernImage *image, GError **error)
{
  const AVFrame *frame = media->frame;
  const AVFrameSideData *side = av_frame_get_side_data (frame, AV_FRAME_DATA_DISPLAYMATRIX);
  Upright upright = side ? upright_of_matrix ((const gint32 *) side->data) : media->has_matrix ? media->upright
      : upright_of_exif (frame);
  gboolean stands = upright.turns == 0 && !upright.mirror;
  TernImageFormat format;

  if (!media->still && (frame->width < MIN_SIDE || frame->height < MIN_SIDE)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a video of at least %d x %d pixels, found "
        "%d x %d", media->path, MIN_SIDE, MIN_SIDE, frame->width, frame->height);
    return FALSE;
  }
  /* Subsampled stills go through the scaler, which interpolates chroma as picture viewers do. */
  if (!stands || !direct_format (frame, &format)
      || (media->still && (format == TERN_IMAGE_I420 || format == TERN_IMAGE_NV12)))
    return to_rgb (media, image, error) && (stands || turn (media, image, upright, error));
  *image = (TernImage) {
    .format = format, .width = frame->width, .height = frame->height,
    .data = { frame->data[0], frame->data[1], format == TERN_IMAGE_NV12 ? NULL : frame->data[2] },
    .stride = { frame->linesize[0], frame->linesize[1], format == TERN_IMAGE_NV12 ? 0 : frame->linesize[2] },
    .matrix = matrix_of (media, frame), .full_range = is_full_range (frame),
  };
  return TRUE;
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

/* Feeds the decoder one packet of the stream, or the end. A packet that it refuses is left out. */
static void
feed (TernMedia *media)
{
  int code;

  do {
    av_packet_unref (media->packet);
    code = av_read_frame (media->format, media->packet);
  } while (code >= 0 && media->packet->stream_index != media->stream);
  media->draining = code < 0;
  media->read_end = code;
  avcodec_send_packet (media->codec, code < 0 ? NULL : media->packet);
}

static TernMediaStatus
ended (const TernMedia *media, GError **error)
{
  if (media->seen && media->read_end == AVERROR_EOF)
    return TERN_MEDIA_END;
  if (media->seen)
    fail (media, media->read_end, "it breaks off", error);
  else
    fail (media, AVERROR_INVALIDDATA, "not one frame can be decoded", error);
  return TERN_MEDIA_FAILED;
}

static void
times_of (TernMedia *media, guint64 *pts, guint64 *duration)
{
  const AVStream *stream = media->format->streams[media->stream];
  const AVRational ns = { 1, 1000000000 };
  gint64 start = media->format->start_time, stamp = media->frame->best_effort_timestamp, length;
  AVRational rate = av_guess_frame_rate (media->format, (AVStream *) stream, media->frame);

  length = media->frame->pkt_duration > 0 ? av_rescale_q (media->frame->pkt_duration, stream->time_base, ns)
      : rate.num > 0 && rate.den > 0 ? av_rescale_q (1, av_inv_q (rate), ns) : 0;
  *duration = length > 0 ? (guint64) length : TERN_TIME_NONE;
  if (stamp == AV_NOPTS_VALUE) {
    *pts = media->next_pts;
  } else {
    stamp = av_rescale_q (stamp, stream->time_base, ns);
    if (start != AV_NOPTS_VALUE)
      stamp -= av_rescale_q (start, AV_TIME_BASE_Q, ns);
    *pts = MAX (stamp, 0);
  }
  media->next_pts = *pts + MAX (length, 0);
}

TernMediaStatus
tern_media_next (TernMedia *media, TernImage *image, guint64 *pts, guint64 *duration, GError **error)
{
  guint errors = 0;
  int code;

  av_frame_unref (media->frame);
  while ((code = avcodec_receive_frame (media->codec, media->frame)) < 0) {
    /* A damaged frame is left out. Frame threads tell of each that they still hold. */
    if (code == AVERROR_EOF || (media->draining && ++errors > 256))
      return ended (media, error);
    if (!media->draining)
      feed (media);
  }
  media->seen = TRUE;
  if (!to_image (media, image, error))
    return TERN_MEDIA_FAILED;
  times_of (media, pts, duration);
  return TERN_MEDIA_FRAME;
}
