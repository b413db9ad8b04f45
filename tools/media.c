/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/media-private.h"

#define PATIENCE (30 * G_USEC_PER_SEC)  /* with an address that has nothing to say */

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
    if (code >= 0)
      tern_media_note_packet (media, media->packet);
    /* Some recorders write empty packets, at the end above all. */
  } while (code >= 0 && (media->packet->stream_index != media->stream || media->packet->size == 0));
  /* A piece that is not whole makes the decoder refuse all of them. */
  if (code >= 0 && media->still && media->container.open_end && media->container.whole_to)
    av_shrink_packet (media->packet, (int) MIN ((guint64) media->packet->size, media->container.whole_to));
  if (code >= 0)
    tern_media_keep_tail (media, media->packet);
  media->draining = code < 0;
  media->read_end = code;
  if (avcodec_send_packet (media->codec, code < 0 ? NULL : media->packet) < 0)
    media->refused = TRUE;
  else if (code >= 0)
    media->refused = FALSE;
}

/* The decoder has no more frames: nor may the next of files that were joined. */
static gboolean
ended (TernMedia *media, TernMediaStatus *status, GError **error)
{
  g_autoptr (GError) failure = NULL;

  if (media->seen && tern_media_next_part (media, &failure))
    return FALSE;
  if (failure) {
    media->over = TRUE;
    g_propagate_error (error, g_steal_pointer (&failure));
    *status = TERN_MEDIA_FAILED;
  } else {
    *status = tern_media_ended (media, error);
  }
  return TRUE;
}

TernMediaStatus
tern_media_next (TernMedia *media, TernImage *image, guint64 *pts, guint64 *duration, GError **error)
{
  TernMediaStatus status;
  guint errors = 0;
  int code;

  if (media->over || (media->still && media->seen))
    return tern_media_ended (media, error);
  av_frame_unref (media->frame);
  while ((code = avcodec_receive_frame (media->codec, media->frame)) < 0) {
    if (code != AVERROR (EAGAIN) && code != AVERROR_EOF)
      media->refused = TRUE;
    /* A damaged frame is left out. Frame threads tell of each that they still hold. */
    if ((code == AVERROR_EOF || (media->draining && ++errors > 256)) && ended (media, &status, error))
      return status;
    if (!media->draining)
      feed (media);
  }
  tern_media_note_frame (media, media->frame);
  if (!tern_media_image (media, image, error))
    return TERN_MEDIA_FAILED;
  media->seen = TRUE;
  tern_media_times (media, pts, duration);
  return TERN_MEDIA_FRAME;
}
