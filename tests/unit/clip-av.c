/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/clip-av.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>

static enum AVPixelFormat
format_of (const char *codec)
{
  if (g_str_equal (codec, "roqvideo"))
    return AV_PIX_FMT_YUVJ444P;
  return g_str_equal (codec, "mjpeg") ? AV_PIX_FMT_YUVJ420P : g_str_equal (codec, "png") || g_str_equal (codec, "apng")
      ? AV_PIX_FMT_RGB24 : g_str_equal (codec, "gif") ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_YUV420P;
}

static AVCodecContext *
open_encoder (const ClipTrack *track, const AVFormatContext *format)
{
  const AVCodec *codec = avcodec_find_encoder_by_name (track->codec);
  AVCodecContext *encoder = avcodec_alloc_context3 (codec);

  g_assert_nonnull (encoder);
  encoder->width = track->width;
  encoder->height = track->height;
  encoder->pix_fmt = format_of (track->codec);
  encoder->time_base = (AVRational) { 1, track->rate };
  encoder->framerate = (AVRational) { track->rate, 1 };
  encoder->gop_size = 5;
  encoder->max_b_frames = track->b_frames;
  encoder->bit_rate = 400000;
  encoder->thread_count = 1;
  if (track->aspect_d)
    encoder->sample_aspect_ratio = (AVRational) { track->aspect_n, track->aspect_d };
  if (track->transfer)
    encoder->color_trc = track->transfer;
  if (track->space)
    encoder->colorspace = track->space;
  if (format->oformat->flags & AVFMT_GLOBALHEADER)
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  g_assert_cmpint (avcodec_open2 (encoder, codec, NULL), >=, 0);
  return encoder;
}

static void
add_matrix (AVStream *stream, const gint32 *matrix)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT (60, 31, 0)
  AVPacketSideData *side = av_packet_side_data_new (&stream->codecpar->coded_side_data,
      &stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof *matrix, 0);

  memcpy (side->data, matrix, 9 * sizeof *matrix);
#else
  memcpy (av_stream_new_side_data (stream, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof *matrix), matrix, 9 * sizeof *matrix);
#endif
}

static AVFrame *
make_frame (const ClipTrack *track, const AVCodecContext *encoder, guint number)
{
  AVFrame *frame = av_frame_alloc ();
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get (encoder->pix_fmt);
  gboolean planes = format->nb_components > 1 && !(format->flags & AV_PIX_FMT_FLAG_RGB);

  frame->format = encoder->pix_fmt;
  frame->width = track->width;
  frame->height = track->height;
  frame->sample_aspect_ratio = encoder->sample_aspect_ratio;
  g_assert_cmpint (av_frame_get_buffer (frame, 0), >=, 0);
  for (guint p = 0; p < 4 && frame->data[p] && (p == 0 || planes); p++) {
    guint rows = p ? (guint) AV_CEIL_RSHIFT ((int) track->height, format->log2_chroma_h) : track->height;

    memset (frame->data[p], p ? 128 : 16 + 8 * (number % 28), (gsize) frame->linesize[p] * rows);
  }
  frame->pts = (gint64) number * MAX (track->every, 1) + (gint64) track->start_ms * track->rate / 1000;
  return frame;
}

static void
write_packets (AVFormatContext *format, AVCodecContext *encoder, AVStream *stream)
{
  AVPacket *packet = av_packet_alloc ();

  while (avcodec_receive_packet (encoder, packet) >= 0) {
    packet->duration = packet->duration ? packet->duration : 1;
    av_packet_rescale_ts (packet, encoder->time_base, stream->time_base);
    packet->stream_index = stream->index;
    g_assert_cmpint (av_interleaved_write_frame (format, packet), >=, 0);
  }
  av_packet_free (&packet);
}

void
clip_encode (const char *path, const char *format_name, const ClipTrack *tracks, guint n_tracks)
{
  AVFormatContext *format = NULL;
  AVCodecContext *encoders[4];
  g_autofree char *url = g_strconcat ("file:", path, NULL);
  guint most = 0;

  av_log_set_level (AV_LOG_QUIET);
  g_assert_cmpuint (n_tracks, <=, G_N_ELEMENTS (encoders));
  g_assert_cmpint (avformat_alloc_output_context2 (&format, NULL, format_name, url), >=, 0);
  for (guint i = 0; i < n_tracks; i++) {
    AVStream *stream = avformat_new_stream (format, NULL);

    encoders[i] = open_encoder (&tracks[i], format);
    g_assert_cmpint (avcodec_parameters_from_context (stream->codecpar, encoders[i]), >=, 0);
    stream->time_base = encoders[i]->time_base;
    stream->avg_frame_rate = encoders[i]->framerate;
    stream->sample_aspect_ratio = encoders[i]->sample_aspect_ratio;
    stream->disposition = tracks[i].is_default ? AV_DISPOSITION_DEFAULT : 0;
    if (tracks[i].matrix)
      add_matrix (stream, tracks[i].matrix);
    most = MAX (most, tracks[i].frames);
  }
  if (!(format->oformat->flags & AVFMT_NOFILE))
    g_assert_cmpint (avio_open (&format->pb, url, AVIO_FLAG_WRITE), >=, 0);
  if (avformat_write_header (format, NULL) < 0)
    g_error ("%s takes no %s", format_name, tracks[0].codec);
  for (guint n = 0; n <= most; n++) {
    for (guint i = 0; i < n_tracks; i++) {
      AVFrame *frame = n < tracks[i].frames ? make_frame (&tracks[i], encoders[i], n) : NULL;

      if (n <= tracks[i].frames)
        avcodec_send_frame (encoders[i], frame);        /* NULL: the end */
      av_frame_free (&frame);
      write_packets (format, encoders[i], format->streams[i]);
    }
  }
  g_assert_cmpint (av_write_trailer (format), >=, 0);
  for (guint i = 0; i < n_tracks; i++)
    avcodec_free_context (&encoders[i]);
  if (!(format->oformat->flags & AVFMT_NOFILE))
    avio_closep (&format->pb);
  avformat_free_context (format);
}
