/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a file ends where it should. */
#include "tools/media-private.h"

#include "tern/error.h"

void
tern_media_note_packet (TernMedia *media, const AVPacket *packet)
{
  guint64 bit = packet->stream_index < 64 ? G_GUINT64_CONSTANT (1) << packet->stream_index : 0;

  media->corrupt &= ~bit;
  if (packet->flags & AV_PKT_FLAG_CORRUPT)
    media->corrupt |= bit;
  if (packet->pos >= 0)
    media->read_to = MAX (media->read_to, packet->pos + packet->size);
  if (packet->stream_index == media->stream)
    media->packet_bytes = packet->size;
}

void
tern_media_note_frame (TernMedia *media, const AVFrame *frame)
{
  const int damage = FF_DECODE_ERROR_INVALID_BITSTREAM | FF_DECODE_ERROR_CONCEALMENT_ACTIVE
      | FF_DECODE_ERROR_DECODE_SLICES;

  if (frame->decode_error_flags & damage)
    media->since_damage = 1;
  else if (media->since_damage)
    media->since_damage++;
}

/* An entry of the index, as MP4 has it, points behind the end. */
static gboolean
index_leads_out (const TernMedia *media)
{
  AVStream *stream = tern_media_stream (media);
  guint64 size = tern_source_size (media->source);
  int n = avformat_index_get_entries_count (stream);
  const AVIndexEntry *last = n > 0 ? avformat_index_get_entry (stream, n - 1) : NULL;

  return last && media->kind.type == TERN_FILE_BMFF && size != G_MAXUINT64 && (guint64) last->pos + last->size > size;
}

/* YUV4MPEG2: a line, then for each frame a line and the frame. */
static gboolean
y4m_is_cut (const TernMedia *media)
{
  guint64 at = 0, size = tern_source_size (media->source);
  char line[129];

  for (;;) {
    gsize n = tern_source_read (media->source, at, line, sizeof line - 1), length;

    line[n] = 0;
    length = strcspn (line, "\n");
    if (at > 0 && strncmp (line, "FRAME", n < 5 ? n : 5) != 0)
      return FALSE;
    if (length == n)
      return at + n >= size;
    at += length + 1 + (at > 0 ? media->packet_bytes : 0);
    if (at >= size)
      return at > size;
  }
}

/* AV1 without a container: units that say how long they are, after a byte or two. */
static gboolean
obu_is_cut (const TernMedia *media)
{
  guint64 at = 0, size = tern_source_size (media->source);
  guint8 b[2 + 8];

  while (at < size) {
    gsize n = tern_source_read (media->source, at, b, sizeof b), i = 1;
    guint64 length = 0;
    gboolean more = TRUE;

    if ((b[0] & 0x82) != 2)     /* forbidden, or of a length that is not said */
      return FALSE;
    i += (b[0] & 4) != 0;
    for (guint shift = 0; more && shift < 35; shift += 7, i++) {
      if (i >= n)
        return TRUE;
      length |= (guint64) (b[i] & 0x7f) << shift;
      more = b[i] & 0x80;
    }
    at += i + length;
  }
  return at > size;
}

/* Formats without a container, in which all frames have one size, or each says its own. */
static gboolean
frames_are_cut (const TernMedia *media)
{
  const char *name = media->format->iformat->name;

  if (tern_source_kind (media->source) != TERN_SOURCE_FILE || media->packet_bytes <= 0)
    return FALSE;
  if (g_str_equal (name, "yuv4mpegpipe"))
    return y4m_is_cut (media);
  if (g_str_equal (name, "obu"))
    return obu_is_cut (media);
  return g_str_equal (name, "dv") && tern_source_size (media->source) % media->packet_bytes != 0;
}

/* The file is shorter than it says, or its last packet or picture is not whole: that is how streams without sizes end when
 * they are cut. What is damaged before the end says nothing. */
static gboolean
is_cut (TernMedia *media)
{
  guint delay = MAX (media->codec->has_b_frames, 0) + 1;        /* the last one read may be shown before others */

  /* All of the picture, and nothing that says so. */
  if (media->still && media->container.open_end)
    return !tern_media_tail_is_whole (media);
  return media->container.cut || media->corrupt || media->refused || index_leads_out (media) || frames_are_cut (media)
      || (media->since_damage && media->since_damage <= delay) || tern_media_tail_is_torn (media);
}

/* Demuxers of old formats say at the end of a file that reading failed. It is one behind a packet that ends there, and where one
 * that gives no reason found nothing more to read; a packet that breaks off is told of by its length. */
static gboolean
read_to_the_end (const TernMedia *media)
{
  AVIOContext *pb = media->format->pb;

  if (media->read_end == AVERROR_EOF)
    return TRUE;
  return pb && pb->error == 0 && avio_feof (pb)
      && (media->read_end == AVERROR (EPERM) || (guint64) media->read_to == tern_source_size (media->source));
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

static void
cut_off (const TernMedia *media, GError **error)
{
  guint64 size = tern_source_size (media->source);

  if (media->container.expected && size != G_MAXUINT64)
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected %" G_GUINT64_FORMAT " bytes, as the file says, "
        "found %" G_GUINT64_FORMAT ": it is cut off", media->name, media->container.expected, size);
  else
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected the end of the %s, found that the file is cut off or "
        "damaged there", media->name, media->still ? "picture" : "video");
}

TernMediaStatus
tern_media_ended (TernMedia *media, GError **error)
{
  media->over = TRUE;
  if (!media->seen)
    none_seen (media, error);
  else if (is_cut (media))
    cut_off (media, error);
  else if (media->still || read_to_the_end (media))
    return TERN_MEDIA_END;
  else
    tern_media_fail (media, media->read_end, "it breaks off", error);
  return TERN_MEDIA_FAILED;
}
