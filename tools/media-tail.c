/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the last picture of a stream without sizes is whole where its decoder does not say. libavcodec's HEVC decoder goes on
 * behind the end of what is there, and makes a picture of it. One that is whole does not depend on the bytes behind it: so the last
 * pictures are decoded twice, with other bytes there. The same tells of JPEG and PNG without their ends whether anything of the
 * picture is not there. */
#include "tools/media-private.h"

#include <string.h>

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#define MOST_BYTES (64 << 20)   /* from one picture that needs no other to the next: more is not looked at */
#define MOST_PACKETS 600
#define BEHIND 256              /* bytes */

static gboolean
applies (const TernMedia *media)
{
  const char *name = media->format->iformat->name;

  return (media->still && media->container.open_end) || g_str_equal (name, "hevc") || g_str_equal (name, "vvc");
}

static void
free_packet (gpointer data)
{
  av_packet_free ((AVPacket **) &data);
}

void
tern_media_forget_tail (TernMedia *media)
{
  g_queue_clear_full (&media->tail, free_packet);
  media->tail_bytes = 0;
}

void
tern_media_keep_tail (TernMedia *media, const AVPacket *packet)
{
  AVPacket *kept;

  if (!applies (media))
    return;
  if (packet->flags & AV_PKT_FLAG_KEY || media->still) {        /* no parser saw the end of that picture */
    tern_media_forget_tail (media);
    media->tail_began = TRUE;
  }
  if (!media->tail_began || !(kept = av_packet_clone (packet)))
    return;
  g_queue_push_tail (&media->tail, kept);
  media->tail_bytes += packet->size;
  if (media->tail_bytes > MOST_BYTES || media->tail.length > MOST_PACKETS) {
    tern_media_forget_tail (media);
    media->tail_began = FALSE;
  }
}

static void
add_picture (GChecksum *sum, const AVFrame *frame)
{
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get (frame->format);

  for (int p = 0; p < av_pix_fmt_count_planes (frame->format); p++) {
    int rows = p == 1 || p == 2 ? AV_CEIL_RSHIFT (frame->height, format->log2_chroma_h) : frame->height;
    int bytes = av_image_get_linesize (frame->format, frame->width, p);

    for (int y = 0; y < rows && bytes > 0; y++)
      g_checksum_update (sum, frame->data[p] + (gssize) y * frame->linesize[p], bytes);
  }
}

/* @packet, or the end, and what comes of it: how many pictures. */
static guint
decode (AVCodecContext *codec, const AVPacket *packet, AVFrame *frame, GChecksum *sum)
{
  guint n = 0;

  avcodec_send_packet (codec, packet);
  for (; avcodec_receive_frame (codec, frame) >= 0; n++) {
    add_picture (sum, frame);
    av_frame_unref (frame);
  }
  return n;
}

static gboolean
is_stopped (const TernMedia *media)
{
  return media->options.stop && g_atomic_int_get (media->options.stop);
}

/* @n bytes @behind, in PNG as a chunk of further picture data, whose checksum is not looked at. */
static void
fill_behind (const TernMedia *media, guint8 behind, guint8 *to, gsize n)
{
  static const guint8 end[] = { 0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82 };

  memset (to, behind, n);
  if (media->kind.type != TERN_FILE_PNG)
    return;
  memset (to, 0, 4);
  to[2] = (guint8) ((n - 12 - sizeof end) >> 8);
  to[3] = (guint8) (n - 12 - sizeof end);
  memcpy (to + 4, "IDAT", 4);
  memcpy (to + n - sizeof end, end, sizeof end);
}

/* What the last pictures are with bytes @behind them; NULL: nobody knows, or nothing comes of them. */
static char *
sum_up (TernMedia *media, guint8 behind)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  const AVPacket *last = g_queue_peek_tail (&media->tail);
  AVCodecContext *codec = avcodec_alloc_context3 (media->codec->codec);
  AVPacket *longer = av_packet_alloc ();
  AVFrame *frame = av_frame_alloc ();
  char *out = NULL;
  guint n = 0;

  if (codec && longer && frame && avcodec_parameters_to_context (codec, tern_media_stream (media)->codecpar) >= 0
      && avcodec_open2 (codec, NULL, NULL) >= 0 && av_new_packet (longer, last->size + BEHIND) >= 0) {
    memcpy (longer->data, last->data, last->size);
    fill_behind (media, behind, longer->data + last->size, BEHIND);
    for (GList *link = media->tail.head; link && !is_stopped (media); link = link->next)
      n += decode (codec, link->next ? link->data : longer, frame, sum);
    n += decode (codec, NULL, frame, sum);
    out = n ? g_strdup (g_checksum_get_string (sum)) : NULL;
  }
  av_frame_free (&frame);
  av_packet_free (&longer);
  avcodec_free_context (&codec);
  return out;
}

/* TRUE only where it is certain. */
gboolean
tern_media_tail_is_whole (TernMedia *media)
{
  g_autofree char *zeros = NULL, *others = NULL;

  if (media->tail.length == 0)
    return FALSE;
  zeros = sum_up (media, 0);
  others = sum_up (media, 0xaa);        /* other from the first bit on, and no marker of JPEG */
  return zeros && others && !is_stopped (media) && g_str_equal (zeros, others);
}

gboolean
tern_media_tail_is_torn (TernMedia *media)
{
  g_autofree char *zeros = NULL, *ones = NULL;

  if (media->tail.length == 0)
    return FALSE;
  zeros = sum_up (media, 0);
  ones = sum_up (media, 0xff);
  return zeros && ones && !is_stopped (media) && !g_str_equal (zeros, ones);
}
