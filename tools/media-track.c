/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/media-private.h"

#include <libavcodec/version.h>

#include "tern/error.h"

#define LOOK_PACKETS 600        /* of all tracks, read to see which video tracks move */
#define LOOK_BYTES (16 << 20)
#define MOVES 64                /* packets of a track that surely moves */
#define STANDING 8              /* a track with so many times fewer frames than another stands */

const guint8 *
tern_media_side_data (const AVStream *stream, enum AVPacketSideDataType type, size_t *size)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT (60, 31, 0)
  const AVPacketSideData *side = av_packet_side_data_get (stream->codecpar->coded_side_data,
      stream->codecpar->nb_coded_side_data, type);

  *size = side ? side->size : 0;
  return side ? side->data : NULL;
#else
  return av_stream_get_side_data (stream, type, size);
#endif
}

/* Behind #EXT-X-DISCONTINUITY libavformat takes the first fragments of MP4 for what an edit list leaves out. */
static int
read_packet (const TernMedia *media, AVPacket *packet)
{
  int code = av_read_frame (media->format, packet);

  if (code >= 0 && g_str_equal (media->format->iformat->name, "hls"))
    packet->flags &= ~AV_PKT_FLAG_DISCARD;
  return code;
}

int
tern_media_read_packet (TernMedia *media)
{
  AVPacket *packet = g_queue_pop_head (&media->waiting);

  if (!packet)
    return read_packet (media, media->packet);
  av_packet_move_ref (media->packet, packet);
  av_packet_free (&packet);
  return 0;
}

/* ---- Which are there --------------------------------------------------------------------------------------------- */

static gboolean
is_video (const AVStream *stream)
{
  return stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
}

/* Pictures beside a film or a song: a cover, thumbnails to seek by, a poster. */
static gboolean
is_beside (const AVStream *stream)
{
  return (stream->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS
          | AV_DISPOSITION_STILL_IMAGE)) != 0;
}

static gint64
pixels_of (const AVStream *stream)
{
  return (gint64) stream->codecpar->width * stream->codecpar->height;
}

/* "track 1 (mjpeg, 640 x 480)" */
static void
describe (const TernMedia *media, guint index, GString *out)
{
  guint number = 0;
  const AVStream *stream = media->format->streams[index];

  for (guint i = 0; i < index; i++)
    number += is_video (media->format->streams[i]);
  g_string_append_printf (out, "track %u (%s, %d x %d%s)", number, avcodec_get_name (stream->codecpar->codec_id),
      stream->codecpar->width, stream->codecpar->height, is_beside (stream) ? ", a picture" : "");
}

/* All video tracks but @but. */
static char *
list_tracks (const TernMedia *media, int but)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < media->format->nb_streams; i++) {
    if ((int) i == but || !is_video (media->format->streams[i])
        || (but >= 0 && media->format->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC))
      continue;
    g_string_append (out, out->len ? ", " : "");
    describe (media, i, out);
  }
  return g_string_free (out, FALSE);
}

/* ---- Which is the video ------------------------------------------------------------------------------------------ */

/* Packets of each stream, from the file's own count or by reading on; what is read is kept for the decoder. */
static gint64 *
count_frames (TernMedia *media, const GArray *candidates)
{
  gint64 *counts = g_new0 (gint64, media->format->nb_streams);
  gboolean known = TRUE;
  gint64 bytes = 0, most = 0;
  guint n_streams = media->format->nb_streams;

  for (guint i = 0; i < candidates->len; i++) {
    guint index = g_array_index (candidates, guint, i);

    counts[index] = media->format->streams[index]->nb_frames;
    known = known && counts[index] > 0;
  }
  if (known)
    return counts;
  memset (counts, 0, n_streams * sizeof *counts);
  for (guint i = 0; i < LOOK_PACKETS && bytes < LOOK_BYTES && most < MOVES; i++) {
    AVPacket *packet = av_packet_alloc ();

    if (!packet || read_packet (media, packet) < 0) {
      av_packet_free (&packet);
      break;
    }
    bytes += packet->size;
    if (packet->stream_index < (int) n_streams && is_video (media->format->streams[packet->stream_index])) {
      gint64 count = ++counts[packet->stream_index];

      most = MAX (most, count); /* which evaluates its arguments twice */
    }
    g_queue_push_tail (&media->waiting, packet);
  }
  return counts;
}

/* A track with one frame, or with a picture every few seconds, beside one that moves. */
static gboolean
stands (gint64 count, gint64 most)
{
  return most >= 2 && (count < 2 || count * STANDING <= most);
}

/* The better of two that could be it: one that can be decoded, the default one, the larger, the first. */
static gboolean
is_better (const AVStream *a, const AVStream *b)
{
  gboolean decodes_a = avcodec_find_decoder (a->codecpar->codec_id) != NULL;
  gboolean decodes_b = avcodec_find_decoder (b->codecpar->codec_id) != NULL;
  int default_a = a->disposition & AV_DISPOSITION_DEFAULT, default_b = b->disposition & AV_DISPOSITION_DEFAULT;

  if (decodes_a != decodes_b)
    return decodes_a;
  if (default_a != default_b)
    return default_a != 0;
  return pixels_of (a) > pixels_of (b);
}

/* @best, which libavformat takes for the best by its flags, unless it stands still. */
static int
moving_track (TernMedia *media, int best)
{
  g_autoptr (GArray) candidates = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autofree gint64 *counts = NULL;
  AVStream **streams = media->format->streams;
  gint64 most = 0;
  int chosen = -1;

  for (guint i = 0; i < media->format->nb_streams; i++)
    if (is_video (streams[i]) && !is_beside (streams[i]))
      g_array_append_val (candidates, i);
  if (candidates->len < 2)
    return candidates->len ? (int) g_array_index (candidates, guint, 0) : best;
  counts = count_frames (media, candidates);
  for (guint i = 0; i < candidates->len; i++)
    most = MAX (most, counts[g_array_index (candidates, guint, i)]);
  if (best >= 0 && !is_beside (streams[best]) && !stands (counts[best], most))
    return best;
  for (guint i = 0; i < candidates->len; i++) {
    guint index = g_array_index (candidates, guint, i);

    if (!stands (counts[index], most) && (chosen < 0 || is_better (streams[index], streams[chosen])))
      chosen = index;
  }
  return chosen < 0 ? best : chosen;
}

/* Of an icon's pictures. */
static int
largest_track (const TernMedia *media, int best)
{
  AVStream **streams = media->format->streams;

  for (guint i = 0; i < media->format->nb_streams; i++)
    if (is_video (streams[i]) && pixels_of (streams[i]) > pixels_of (streams[best]))
      best = i;
  return best;
}

/* ---- The choice -------------------------------------------------------------------------------------------------- */

static gboolean
take_track (TernMedia *media, gint track, GError **error)
{
  g_autofree char *list = NULL;
  gint number = 0;

  for (guint i = 0; i < media->format->nb_streams; i++) {
    if (!is_video (media->format->streams[i]) || number++ != track)
      continue;
    media->stream = i;
    return TRUE;
  }
  list = list_tracks (media, -1);
  g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "%s: expected video track %d, found %s", media->name, track,
      *list ? list : "no video track");
  return FALSE;
}

/* A cover picture in a sound file is no video. */
static gboolean
find_track (TernMedia *media, gboolean *other, GError **error)
{
  int best = av_find_best_stream (media->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);

  if (best >= 0 && media->kind.type == TERN_FILE_ICO)
    best = largest_track (media, best);
  else if (best >= 0 && media->format->nb_streams > 1)
    best = moving_track (media, best);
  if (best < 0 || media->format->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC) {
    *other = TRUE;
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a picture or video, found %s", media->name,
        av_find_best_stream (media->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) >= 0 ? "only sound" : "neither");
    return FALSE;
  }
  media->stream = best;
  return TRUE;
}

static void
note_choice (TernMedia *media)
{
  g_autofree char *others = list_tracks (media, media->stream);
  GString *out;

  if (!*others || media->kind.type == TERN_FILE_ICO || media->kind.type == TERN_FILE_AVIF)
    return;
  out = g_string_new (NULL);
  describe (media, media->stream, out);
  g_string_append_printf (out, " is looked at, not %s", others);
  media->choice = g_string_free (out, FALSE);
}

gboolean
tern_media_choose_track (TernMedia *media, gint track, const AVCodec **decoder, gboolean *other, GError **error)
{
  if (!(track >= 0 ? take_track (media, track, error) : find_track (media, other, error)))
    return FALSE;
  if (track < 0)
    note_choice (media);
  *decoder = avcodec_find_decoder (tern_media_stream (media)->codecpar->codec_id);
  if (!*decoder)
    return tern_media_fail (media, AVERROR_DECODER_NOT_FOUND, "its codec is unknown", error);
  return TRUE;
}

const char *
tern_media_choice (const TernMedia *media)
{
  return media->choice;
}
