/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/golden/picture.h"

#include <libavcodec/avcodec.h>
#include <string.h>

static AVFrame *
decode (const guint8 *data, gsize size)
{
  AVCodecContext *context = avcodec_alloc_context3 (avcodec_find_decoder (AV_CODEC_ID_PNG));
  AVPacket *packet = av_packet_alloc ();
  AVFrame *frame = av_frame_alloc ();

  g_assert_cmpint (avcodec_open2 (context, context->codec, NULL), ==, 0);
  g_assert_cmpint (av_new_packet (packet, (int) size), ==, 0);
  memcpy (packet->data, data, size);
  g_assert_cmpint (avcodec_send_packet (context, packet), ==, 0);
  g_assert_cmpint (avcodec_receive_frame (context, frame), ==, 0);
  g_assert_cmpint (frame->format, ==, AV_PIX_FMT_RGB24);
  av_packet_free (&packet);
  avcodec_free_context (&context);
  return frame;
}

GoldenPicture *
golden_picture_png (const char *path)
{
  GoldenPicture *picture = g_new0 (GoldenPicture, 1);
  g_autoptr (GError) error = NULL;
  g_autofree char *data = NULL;
  AVFrame *frame;
  gsize size, row;

  g_file_get_contents (path, &data, &size, &error);
  g_assert_no_error (error);
  frame = decode ((const guint8 *) data, size);
  row = (gsize) frame->width * 3;
  picture->pixels = g_malloc (row * frame->height);
  for (int y = 0; y < frame->height; y++)
    memcpy (picture->pixels + y * row, frame->data[0] + (gssize) y * frame->linesize[0], row);
  picture->image = (TernImage) { .format = TERN_IMAGE_RGB, .width = frame->width, .height = frame->height,
    .data = { picture->pixels }, .stride = { (gint) row } };
  av_frame_free (&frame);
  return picture;
}

void
golden_picture_free (GoldenPicture *picture)
{
  if (picture)
    g_free (picture->pixels);
  g_free (picture);
}
