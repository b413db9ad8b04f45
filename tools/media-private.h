/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the media*.c files. */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "tools/container.h"
#include "tools/media.h"

G_BEGIN_DECLS

#define TERN_MEDIA_MAX_PIXELS (1 << 28)

/* Where on the one timeline a file's clock is. */
typedef struct {
  gboolean started;
  gboolean joint;               /* the next frame is of another file */
  gint64 offset;                /* ns to add to the file's clock */
  gint64 clock;                 /* of the last frame, the file's, ns */
  guint64 pts, end;             /* of the last frame, on the timeline */
} TernTimeline;

struct _TernMedia {
  char *name;
  TernSource *source;
  TernMediaOptions options;
  gboolean in_memory;           /* the source is bytes, and nothing else may be opened */
  guint64 part, next;           /* of files that were joined: where this one and the next one begin; 0 = no next one */
  TernFileKind kind;
  TernContainer container;
  AVFormatContext *format;
  AVIOContext *io;              /* of what libavformat does not open itself */
  AVCodecContext *codec;
  AVPacket *packet;
  AVFrame *frame;
  GQueue waiting;               /* AVPacket, read before the track was chosen */
  int stream;
  char *choice;
  gboolean still, draining, seen, over;
  int read_end;                 /* why the last packet was the last: AVERROR_EOF, or what is wrong */
  gint64 read_to;               /* where in the file the furthest packet ended, as far as demuxers say */
  guint64 corrupt;              /* a bit a stream: its last packet is not as long as the file says */
  gboolean refused;             /* the decoder could do nothing with the last packet */
  guint since_damage;           /* frames since one of which parts were missing; 0: there was none */
  int packet_bytes;             /* of the last packet */
  GQueue tail;                  /* AVPacket, where they tell whether the end is one: from the last picture that needs no other on */
  gsize tail_bytes;
  gboolean tail_began;
  gint64 deadline;              /* of an address: monotonic time by which it must answer */
  TernTimeline timeline;

  struct SwsContext *sws;
  int sws_width, sws_height, sws_format, sws_to;
  guint8 *rgb;                  /* [height, width, 3] */
  gsize rgb_bytes;
};

/* FALSE with @error: what libav calls @code. */
gboolean tern_media_fail (const TernMedia *media, int code, const char *what, GError **error);
static inline AVStream *
tern_media_stream (const TernMedia *media)
{
  return media->format->streams[media->stream];
}

/* What libavformat may open. */
void tern_media_set_options (const TernMedia *media, AVDictionary **out);
/* Files of a list that cannot be played as one are refused. */
gboolean tern_media_check_list (const TernMedia *media, GError **error);
gboolean tern_media_choose_track (TernMedia *media, gint track, const AVCodec **decoder, gboolean *other,
    GError **error);
/* The next of several files that were joined, if there is one: its format, track and decoder. FALSE without @error: there
 * is none. */
gboolean tern_media_next_part (TernMedia *media, GError **error);
/* As av_read_frame(), those first that were read before the track was chosen. */
int tern_media_read_packet (TernMedia *media);

/* Side data of the stream; NULL when there is none. */
const guint8 *tern_media_side_data (const AVStream *stream, enum AVPacketSideDataType type, size_t *size);

gboolean tern_media_image (TernMedia *media, TernImage *image, GError **error);
void tern_media_note_packet (TernMedia *media, const AVPacket *packet);
void tern_media_note_frame (TernMedia *media, const AVFrame *frame);
/* For tern_media_tail_is_torn(), each packet of the track. */
void tern_media_keep_tail (TernMedia *media, const AVPacket *packet);
void tern_media_forget_tail (TernMedia *media);
/* What was read last is no whole picture. Takes as long as some hundred pictures, in formats that give no other sign. */
gboolean tern_media_tail_is_torn (TernMedia *media);
/* What was read last is a whole picture, whatever may have come behind it. FALSE: it is not, or nobody knows. */
gboolean tern_media_tail_is_whole (TernMedia *media);
/* END, or FAILED when the file is cut off or damaged, or no frame was in it. */
TernMediaStatus tern_media_ended (TernMedia *media, GError **error);
void tern_media_times (TernMedia *media, guint64 *pts, guint64 *duration);

G_END_DECLS
