/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/media-private.h"

#include "engine/base/error.h"

#define PATIENCE (30 * G_USEC_PER_SEC)

/* Feeds the decoder one packet of the stream, or the end. A packet that it refuses is left out. */
static void
feed (TernMedia *media)
{
  int code;

  if (media->deadline)
    media->deadline = g_get_monotonic_time () + PATIENCE;
  do {
    av_packet_unref (media->packet);
    code = tern_media_read_packet (media);
  } while (code >= 0 && media->packet->stream_index != media->stream);
  media->draining = code < 0;
  media->read_end = code;
  if (code >= 0)
    media->last_corrupt = (media->packet->flags & AV_PKT_FLAG_CORRUPT) != 0;
  avcodec_send_packet (media->codec, code < 0 ? NULL : media->packet);
}

/* An entry of the index, as MP4 has it, points behind the end. */
static gboolean
index_leads_out (const TernMedia *media)
{
  AVStream *stream = tern_media_stream (media);
  guint64 size = tern_source_size (media->source);
  int n = avformat_index_get_entries_count (stream);
  const AVIndexEntry *last = n > 0 && media->kind.type == TERN_FILE_BMFF ? avformat_index_get_entry (stream, n - 1) : NULL;

  return last && size != G_MAXUINT64 && (guint64) last->pos + last->size > size;
}

/* Whether the file stops before its end. A transport stream marks packets for other reasons too. */
static gboolean
is_cut (const TernMedia *media)
{
  return media->container.cut || index_leads_out (media)
      || (media->last_corrupt && !(media->format->iformat->flags & AVFMT_TS_DISCONT));
}

static void
none_seen (const TernMedia *media, GError **error)
{
  const TernFileKind *kind = &media->kind;

  if (!media->container.cut && media->still && kind->name)
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a picture, found %s of which not one frame can be "
        "decoded%s%s", media->name, kind->name, kind->reader ? "; " : "", kind->reader ? kind->reader : "");
  else
    tern_media_fail (media, AVERROR_INVALIDDATA, media->container.cut ? "it is cut off before the first frame ends"
        : "not one frame can be decoded", error);
}

static TernMediaStatus
ended (TernMedia *media, GError **error)
{
  guint64 size = tern_source_size (media->source);

  media->over = TRUE;
  if (!media->seen) {
    none_seen (media, error);
    return TERN_MEDIA_FAILED;
  }
  if (is_cut (media)) {
    if (media->container.expected && size != G_MAXUINT64)
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected %" G_GUINT64_FORMAT " bytes, as the file says, "
          "found %" G_GUINT64_FORMAT ": it is cut off", media->name, media->container.expected, size);
    else
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected the end of the %s, found that the file is cut off",
          media->name, media->still ? "picture" : "video");
    return TERN_MEDIA_FAILED;
  }
  if (media->still || media->read_end == AVERROR_EOF)
    return TERN_MEDIA_END;
  tern_media_fail (media, media->read_end, "it breaks off", error);
  return TERN_MEDIA_FAILED;
}

TernMediaStatus
tern_media_next (TernMedia *media, TernImage *image, guint64 *pts, guint64 *duration, GError **error)
{
  guint errors = 0;
  int code;

  if (media->over || (media->still && media->seen))
    return ended (media, error);
  av_frame_unref (media->frame);
  while ((code = avcodec_receive_frame (media->codec, media->frame)) < 0) {
    /* A damaged frame is left out. Frame threads tell of each that they still hold. */
    if (code == AVERROR_EOF || (media->draining && ++errors > 256))
      return ended (media, error);
    if (!media->draining)
      feed (media);
  }
  if (!tern_media_image (media, image, error))
    return TERN_MEDIA_FAILED;
  media->seen = TRUE;
  tern_media_times (media, pts, duration);
  return TERN_MEDIA_FRAME;
}
