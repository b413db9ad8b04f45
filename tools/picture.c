/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/picture.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "engine/base/error.h"

#define MAX_PIXELS (1 << 28)

typedef struct {
  const char *path;
  AVFormatContext *format;
  AVCodecContext *codec;
  AVPacket *packet;
  AVFrame *frame;
  int stream;
} Reader;

static gboolean
fail (const Reader *reader, int code, const char *what, GError **error)
{
  char reason[AV_ERROR_MAX_STRING_SIZE];

  av_strerror (code, reason, sizeof reason);
  g_set_error (error, TERN_ERROR, code == AVERROR (ENOENT) ? TERN_ERROR_NOT_FOUND : TERN_ERROR_FORMAT,
      "%s: expected a picture, found that %s: %s", reader->path, what, reason);
  return FALSE;
}

static gboolean
open_file (Reader *reader, GError **error)
{
  g_autofree char *url = g_strconcat ("file:", reader->path, NULL);     /* a name with a colon is no protocol */
  const AVCodec *decoder = NULL;
  int code;

  if ((code = avformat_open_input (&reader->format, url, NULL, NULL)) < 0
      || (code = avformat_find_stream_info (reader->format, NULL)) < 0)
    return fail (reader, code, "it cannot be read", error);
  code = av_find_best_stream (reader->format, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
  if (code < 0)
    return fail (reader, code, "it has none", error);
  reader->stream = code;
  reader->codec = avcodec_alloc_context3 (decoder);
  reader->packet = av_packet_alloc ();
  reader->frame = av_frame_alloc ();
  if (!reader->codec || !reader->packet || !reader->frame)
    return fail (reader, AVERROR (ENOMEM), "it cannot be decoded", error);
  reader->codec->max_pixels = MAX_PIXELS;
  if ((code = avcodec_parameters_to_context (reader->codec, reader->format->streams[reader->stream]->codecpar)) < 0
      || (code = avcodec_open2 (reader->codec, decoder, NULL)) < 0)
    return fail (reader, code, "it cannot be decoded", error);
  return TRUE;
}

static gboolean
decode_first (Reader *reader, GError **error)
{
  gboolean ended = FALSE;
  int code;

  while ((code = avcodec_receive_frame (reader->codec, reader->frame)) == AVERROR (EAGAIN)) {
    av_packet_unref (reader->packet);
    ended = ended || av_read_frame (reader->format, reader->packet) < 0;
    if (!ended && reader->packet->stream_index != reader->stream)
      continue;
    code = avcodec_send_packet (reader->codec, ended ? NULL : reader->packet);
    if (code < 0)
      break;
  }
  return code >= 0 || fail (reader, code, "it cannot be decoded", error);
}

static gboolean
convert (const Reader *reader, TernPicture *picture, GError **error)
{
  const AVFrame *frame = reader->frame;
  struct SwsContext *sws = sws_getContext (frame->width, frame->height, frame->format, frame->width, frame->height,
      AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
  int stride = 3 * frame->width;

  if (!sws)
    return fail (reader, AVERROR (ENOSYS), "its pixels cannot be converted", error);
  picture->width = frame->width;
  picture->height = frame->height;
  /* The scaler may write whole vectors beyond the last row. */
  picture->pixels = g_try_malloc0 ((gsize) stride * frame->height + 64);
  if (picture->pixels)
    sws_scale (sws, (const guint8 * const *) frame->data, frame->linesize, 0, frame->height, &picture->pixels, &stride);
  sws_freeContext (sws);
  return picture->pixels || fail (reader, AVERROR (ENOMEM), "it cannot be decoded", error);
}

gboolean
tern_picture_load (TernPicture *picture, const char *path, GError **error)
{
  Reader reader = { .path = path };
  gboolean ok;

  *picture = (TernPicture) { 0 };
  av_log_set_level (AV_LOG_QUIET);      /* what went wrong is in the error */
  ok = open_file (&reader, error) && decode_first (&reader, error) && convert (&reader, picture, error);
  av_frame_free (&reader.frame);
  av_packet_free (&reader.packet);
  avcodec_free_context (&reader.codec);
  avformat_close_input (&reader.format);
  return ok;
}

void
tern_picture_clear (TernPicture *picture)
{
  g_clear_pointer (&picture->pixels, g_free);
}

TernImage
tern_picture_image (const TernPicture *picture)
{
  return (TernImage) {
    .format = TERN_IMAGE_RGB, .width = picture->width, .height = picture->height,
    .data = { picture->pixels }, .stride = { 3 * picture->width },
  };
}
