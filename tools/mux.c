/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "tern/error.h"
#include "engine/base/replace.h"
#include "tools/language.h"

/* A TextSampleEntry (3GPP TS 26.245, 5.16): words at the bottom, in the middle, white, 18 points of font 1, "Serif". */
static const guint8 text_sample_entry[] = {
  0, 0, 0, 0,                           /* display flags */
  1, 0xff,                              /* centred, at the bottom */
  0, 0, 0, 0,                           /* background: none */
  0, 0, 0, 0, 0, 0, 0, 0,               /* the box: the whole picture */
  0, 0, 0, 0, 0, 1, 0, 18, 0xff, 0xff, 0xff, 0xff,      /* style of all of it */
  0, 0, 0, 18, 'f', 't', 'a', 'b', 0, 1, 0, 1, 5, 'S', 'e', 'r', 'i', 'f',
};

typedef struct {
  const char *film, *path;
  AVFormatContext *in, *out;
  AVPacket *packet;
  int *to;                      /* of each track of the film, its number in the copy; -1: it stays behind */
  gint64 *last;                 /* of each, the time at which its newest packet is decoded, in the copy's units; G_MININT64: none */
  guint n_tracks;               /* of the film when it was opened; of these alone there is @to */
  guint n_known;                /* and of those that began later */
  GString *left;                /* tracks that stay behind */
  int words;                    /* the new track's number */
  gboolean mp4;                 /* or mov */
  const GArray *cues;
  guint next;                   /* cue that was not written yet */
} Mux;

static gboolean
fail (const Mux *mux, int code, gboolean reading, GError **error)
{
  char reason[AV_ERROR_MAX_STRING_SIZE];

  av_strerror (code, reason, sizeof reason);
  g_set_error (error, TERN_ERROR, code == AVERROR (ENOSPC) || code == AVERROR (ENOMEM) ? TERN_ERROR_NO_SPACE
      : reading && code == AVERROR (ENOENT) ? TERN_ERROR_NOT_FOUND : reading && code == AVERROR_INVALIDDATA ? TERN_ERROR_FORMAT
      : TERN_ERROR_READ, "%s: a copy with subtitles cannot be %s: %s", reading ? mux->film : mux->path,
      reading ? "read" : "written", reason);
  return FALSE;
}

/* The muxer for a film of that name. QuickTime files hold what MP4 does not: PCM, ProRes. */
static const char *
format_for (const char *film)
{
  static const char *const formats[][2] = { { ".mp4", "mp4" }, { ".m4v", "mp4" }, { ".mov", "mov" } };
  const char *dot = strrchr (film, '.');

  for (guint i = 0; dot && i < G_N_ELEMENTS (formats); i++)
    if (g_ascii_strcasecmp (dot, formats[i][0]) == 0)
      return formats[i][1];
  return "matroska";
}

static gboolean
is_mp4 (const char *film)
{
  return !g_str_equal (format_for (film), "matroska");
}

const char *
tern_mux_suffix (const char *film)
{
  return is_mp4 (film) ? strrchr (film, '.') : ".mkv";
}

/* One that is not in the copy. */
static void
leave_behind (Mux *mux, guint i)
{
  const AVCodecParameters *par = mux->in->streams[i]->codecpar;
  const char *type = av_get_media_type_string (par->codec_type);

  g_string_append_printf (mux->left, "%strack %u (%s%s%s)", mux->left->len ? ", " : "", i, type ? type : "unknown",
      par->codec_id == AV_CODEC_ID_NONE ? "" : ", ", par->codec_id == AV_CODEC_ID_NONE ? "" : avcodec_get_name (par->codec_id));
}

/* How a phone was held and the like. */
static gboolean
copy_side_data (AVStream *to, const AVStream *from)
{
#if LIBAVFORMAT_VERSION_MAJOR < 61
  for (int i = 0; i < from->nb_side_data; i++) {
    guint8 *data = av_stream_new_side_data (to, from->side_data[i].type, from->side_data[i].size);

    if (!data)
      return FALSE;
    memcpy (data, from->side_data[i].data, from->side_data[i].size);
  }
#endif
  return TRUE;                  /* later versions keep it with the codec's parameters */
}

/* Uncompressed pictures have no place in either. Matroska has what AVI and ASF have, by their numbers for it, of which
 * libavformat does not tell. */
static gboolean
fits (const Mux *mux, const AVCodecParameters *par)
{
  const struct AVCodecTag *const riff[] = { par->codec_type == AVMEDIA_TYPE_VIDEO ? avformat_get_riff_video_tags ()
    : par->codec_type == AVMEDIA_TYPE_AUDIO ? avformat_get_riff_audio_tags () : NULL, NULL };

  if (par->codec_id == AV_CODEC_ID_RAWVIDEO)
    return FALSE;
  return avformat_query_codec (mux->out->oformat, par->codec_id, FF_COMPLIANCE_NORMAL) != 0
      || (!mux->mp4 && par->codec_type == AVMEDIA_TYPE_ATTACHMENT && par->extradata_size > 0)
      || (!mux->mp4 && riff[0] && av_codec_get_tag (riff, par->codec_id) != 0);
}

/* The name that the film has for the codec, where the copy may have it: players of one firm take HEVC as `hvc1` alone. */
static guint
tag_for (const Mux *mux, const AVCodecParameters *par)
{
  const struct AVCodecTag *const *tags = mux->out->oformat->codec_tag;

  return tags && av_codec_get_id (tags, par->codec_tag) == par->codec_id ? par->codec_tag : 0;
}

/* In Matroska the picture of a cover is a file, not a track. */
static gboolean
attach_cover (Mux *mux, const AVStream *from, AVStream *to)
{
  AVCodecParameters *par = to->codecpar;
  gboolean png = par->codec_id == AV_CODEC_ID_PNG;

  par->codec_type = AVMEDIA_TYPE_ATTACHMENT;
  av_freep (&par->extradata);
  par->extradata_size = 0;
  par->extradata = av_mallocz (from->attached_pic.size + AV_INPUT_BUFFER_PADDING_SIZE);
  if (!par->extradata)
    return FALSE;
  par->extradata_size = from->attached_pic.size;
  memcpy (par->extradata, from->attached_pic.data, from->attached_pic.size);
  to->disposition = 0;
  av_dict_set (&to->metadata, "filename", png ? "cover.png" : "cover.jpg", AV_DICT_DONT_OVERWRITE);
  av_dict_set (&to->metadata, "mimetype", png ? "image/png" : "image/jpeg", AV_DICT_DONT_OVERWRITE);
  return TRUE;
}

static gboolean
is_cover (const AVStream *stream)
{
  return (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) && stream->attached_pic.size > 0;
}

static gboolean
copy_track (Mux *mux, guint i, GError **error)
{
  const AVStream *from = mux->in->streams[i];
  enum AVMediaType type = from->codecpar->codec_type;
  AVStream *to;
  int code;

  mux->to[i] = -1;
  if (!fits (mux, from->codecpar)
      || (type != AVMEDIA_TYPE_VIDEO && type != AVMEDIA_TYPE_AUDIO && type != AVMEDIA_TYPE_SUBTITLE
          && type != AVMEDIA_TYPE_ATTACHMENT)) {
    if ((type != AVMEDIA_TYPE_VIDEO && type != AVMEDIA_TYPE_AUDIO) || is_cover (from)) {
      leave_behind (mux, i);    /* data of a camera, say */
      return TRUE;
    }
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected tracks that fit into %s, found track %u (%s)", mux->film,
        mux->mp4 ? mux->out->oformat->name : "Matroska", i, avcodec_get_name (from->codecpar->codec_id));
    return FALSE;
  }
  to = avformat_new_stream (mux->out, NULL);
  if (!to || (code = avcodec_parameters_copy (to->codecpar, from->codecpar)) < 0)
    return fail (mux, to ? code : AVERROR (ENOMEM), FALSE, error);
  to->codecpar->codec_tag = tag_for (mux, from->codecpar);
  to->time_base = from->time_base;
  to->disposition = from->disposition;
  to->sample_aspect_ratio = from->sample_aspect_ratio;
  to->avg_frame_rate = from->avg_frame_rate;
  av_dict_copy (&to->metadata, from->metadata, 0);
  if (!mux->mp4 && is_cover (from))
    return attach_cover (mux, from, to) || fail (mux, AVERROR (ENOMEM), FALSE, error);
  mux->to[i] = to->index;
  return copy_side_data (to, from) || fail (mux, AVERROR (ENOMEM), FALSE, error);
}

static gboolean
copy_chapters (Mux *mux)
{
  AVFormatContext *in = mux->in, *out = mux->out;

  out->chapters = in->nb_chapters ? av_calloc (in->nb_chapters, sizeof *out->chapters) : NULL;
  for (guint i = 0; out->chapters && i < in->nb_chapters; i++) {
    AVChapter *chapter = av_mallocz (sizeof *chapter);

    if (!chapter)
      return FALSE;
    chapter->id = in->chapters[i]->id;
    chapter->time_base = in->chapters[i]->time_base;
    chapter->start = in->chapters[i]->start;
    chapter->end = in->chapters[i]->end;
    av_dict_copy (&chapter->metadata, in->chapters[i]->metadata, 0);
    out->chapters[out->nb_chapters++] = chapter;
  }
  return TRUE;
}

static gboolean
add_words (Mux *mux, const char *language, GError **error)
{
  g_autofree char *code = language ? tern_language_code (language) : NULL;
  AVStream *track = avformat_new_stream (mux->out, NULL);
  AVCodecParameters *par = track ? track->codecpar : NULL;

  if (!track)
    return fail (mux, AVERROR (ENOMEM), FALSE, error);
  par->codec_type = AVMEDIA_TYPE_SUBTITLE;
  par->codec_id = mux->mp4 ? AV_CODEC_ID_MOV_TEXT : AV_CODEC_ID_SUBRIP;
  track->time_base = (AVRational) { 1, 1000 };
  if (code)
    av_dict_set (&track->metadata, "language", code, 0);
  av_dict_set (&track->metadata, "title", "Captions", 0);
  mux->words = track->index;
  if (!mux->mp4)
    return TRUE;
  par->codec_tag = MKTAG ('t', 'x', '3', 'g');
  par->extradata = av_mallocz (sizeof text_sample_entry + AV_INPUT_BUFFER_PADDING_SIZE);
  if (!par->extradata)
    return fail (mux, AVERROR (ENOMEM), FALSE, error);
  memcpy (par->extradata, text_sample_entry, sizeof text_sample_entry);
  par->extradata_size = sizeof text_sample_entry;
  return TRUE;
}

static gboolean
open_both (Mux *mux, const char *temp, const char *language, GError **error)
{
  g_autofree char *from = g_strconcat ("file:", mux->film, NULL), *to = g_strconcat ("file:", temp, NULL);
  int code;

  mux->in = avformat_alloc_context ();
  if (!mux->in)
    return fail (mux, AVERROR (ENOMEM), TRUE, error);
  mux->in->flags |= AVFMT_FLAG_GENPTS;          /* not all packets of MPEG program streams and AVI have one */
  if ((code = avformat_open_input (&mux->in, from, NULL, NULL)) < 0)
    return fail (mux, code, TRUE, error);
  /* That a codec's parameters cannot be made out matters to who decodes. */
  if ((code = avformat_find_stream_info (mux->in, NULL)) < 0 && (code != AVERROR_INVALIDDATA || mux->in->nb_streams == 0))
    return fail (mux, code, TRUE, error);
  if ((code = avformat_alloc_output_context2 (&mux->out, NULL, format_for (mux->film), NULL)) < 0)
    return fail (mux, code, FALSE, error);
  mux->n_tracks = mux->n_known = mux->in->nb_streams;
  mux->to = g_new (int, mux->n_tracks);
  mux->last = g_new (gint64, mux->n_tracks);
  for (guint i = 0; i < mux->n_tracks; i++) {
    mux->last[i] = G_MININT64;
    if (!copy_track (mux, i, error))
      return FALSE;
  }
  av_dict_copy (&mux->out->metadata, mux->in->metadata, 0);
  if (!copy_chapters (mux))
    return fail (mux, AVERROR (ENOMEM), FALSE, error);
  if (!add_words (mux, language, error))
    return FALSE;
  mux->packet = av_packet_alloc ();
  if (!mux->packet)
    return fail (mux, AVERROR (ENOMEM), FALSE, error);
  if ((code = avio_open (&mux->out->pb, to, AVIO_FLAG_WRITE)) < 0 || (code = avformat_write_header (mux->out, NULL)) < 0)
    return fail (mux, code, FALSE, error);
  return TRUE;
}

/* A cue as a packet: in mp4 its length in front of it. */
static int
write_cue (Mux *mux, const TernCue *cue)
{
  const AVStream *track = mux->out->streams[mux->words];
  gsize length = MIN (strlen (cue->text), G_MAXUINT16), head = mux->mp4 ? 2 : 0;
  gint64 zero = mux->in->start_time == AV_NOPTS_VALUE ? 0 : mux->in->start_time / 1000;
  int code = av_new_packet (mux->packet, length + head);

  if (code < 0)
    return code;
  if (mux->mp4) {
    mux->packet->data[0] = length >> 8;
    mux->packet->data[1] = length & 0xff;
  }
  memcpy (mux->packet->data + head, cue->text, length);
  mux->packet->stream_index = mux->words;
  mux->packet->pts = mux->packet->dts = zero + llrint (cue->start * 1000);
  mux->packet->duration = MAX (llrint ((cue->end - cue->start) * 1000), 1);
  mux->packet->flags |= AV_PKT_FLAG_KEY;
  av_packet_rescale_ts (mux->packet, (AVRational) { 1, 1000 }, track->time_base);
  return av_interleaved_write_frame (mux->out, mux->packet);
}

/* Those that begin by then; NAN: all. */
static int
write_cues (Mux *mux, double seconds)
{
  int code = 0;

  while (code >= 0 && mux->next < mux->cues->len && !(g_array_index (mux->cues, TernCue, mux->next).start > seconds))
    code = write_cue (mux, &g_array_index (mux->cues, TernCue, mux->next++));
  return code;
}

/* A raw stream of H.264, say: which time a picture has is only known to who decodes it. */
static gboolean
fail_untimed (const Mux *mux, int track, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a film whose packets have times, found track %d (%s) "
      "without, as in streams that no container holds; a film made of it by another program can be copied", mux->film, track,
      avcodec_get_name (mux->in->streams[track]->codecpar->codec_id));
  return FALSE;
}

static gboolean
fail_backward (const Mux *mux, guint track, gint64 to, GError **error)
{
  const AVStream *stream = mux->out->streams[mux->to[track]];
  double unit = av_q2d (stream->time_base);

  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected packets in the order of their times, found that the clock "
      "of track %u (%s) goes back from %.3f to %.3f s, as where files were joined; a film made of it by another program can be "
      "copied",
      mux->film, track, avcodec_get_name (stream->codecpar->codec_id), mux->last[track] * unit, to * unit);
  return FALSE;
}

/* Those that the film has only now; whoever shows it may find them. */
static void
leave_behind_late (Mux *mux)
{
  for (; mux->n_known < mux->in->nb_streams; mux->n_known++)
    leave_behind (mux, mux->n_known);
}

static gboolean
copy_packets (Mux *mux, gboolean (*stopped) (void), GError **error)
{
  int code = 0, read;

  while (code >= 0 && (read = av_read_frame (mux->in, mux->packet)) >= 0) {
    const AVStream *from = mux->in->streams[mux->packet->stream_index];
    double at = mux->packet->dts == AV_NOPTS_VALUE ? -1 : mux->packet->dts * av_q2d (from->time_base);
    AVPacket *packet = mux->packet;
    guint track = packet->stream_index;
    gint64 dts;

    leave_behind_late (mux);
    if (stopped && stopped ()) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_CANCELLED, "%s: not copied to its end", mux->film);
      return FALSE;
    }
    if (track >= mux->n_tracks || mux->to[track] < 0) {
      av_packet_unref (packet);
      continue;
    }
    if (packet->pts == AV_NOPTS_VALUE && packet->dts == AV_NOPTS_VALUE && is_cover (from))
      packet->pts = packet->dts = 0;    /* the muxer keeps it for the file's head */
    if (packet->pts == AV_NOPTS_VALUE && packet->dts == AV_NOPTS_VALUE)
      return fail_untimed (mux, packet->stream_index, error);
    packet->stream_index = mux->to[track];
    av_packet_rescale_ts (packet, from->time_base, mux->out->streams[packet->stream_index]->time_base);
    packet->pos = -1;
    dts = packet->dts;          /* the packet is the muxer's then */
    code = av_interleaved_write_frame (mux->out, packet);
    if (code == AVERROR (EINVAL) && dts != AV_NOPTS_VALUE && dts <= mux->last[track])
      return fail_backward (mux, track, dts, error);
    if (dts != AV_NOPTS_VALUE)
      mux->last[track] = dts;
    if (code >= 0 && at >= 0)
      code = write_cues (mux, at - (mux->in->start_time == AV_NOPTS_VALUE ? 0 : mux->in->start_time / 1e6));
  }
  if (code >= 0 && read != AVERROR_EOF)
    return fail (mux, read, TRUE, error);
  if (code < 0 || (code = write_cues (mux, NAN)) < 0 || (code = av_write_trailer (mux->out)) < 0
      || (mux->out->pb->error < 0 && (code = mux->out->pb->error)))
    return fail (mux, code, FALSE, error);
  return TRUE;
}

gboolean
tern_mux_write (const char *film, const char *path, const GArray *cues, const char *language, gboolean (*stopped) (void),
    char **left, GError **error)
{
  Mux mux = { .film = film, .path = path, .cues = cues, .mp4 = is_mp4 (film), .left = g_string_new (NULL) };
  g_autofree char *target = tern_replace_target (path), *folder = g_path_get_dirname (target);
  g_autofree char *temp = g_build_filename (folder, ".tern-XXXXXX", NULL);
  int fd = g_mkstemp_full (temp, O_RDWR | O_CLOEXEC, 0666), code = 0;
  gboolean good;

  *left = NULL;
  if (fd < 0) {
    g_string_free (mux.left, TRUE);
    return fail (&mux, AVERROR (errno), FALSE, error);
  }
  tern_replace_like (fd, target);
  close (fd);
  good = open_both (&mux, temp, language, error) && copy_packets (&mux, stopped, error);
  if (mux.out && mux.out->pb && (code = avio_closep (&mux.out->pb)) < 0 && good)
    good = fail (&mux, code, FALSE, error);
  av_packet_free (&mux.packet);
  avformat_free_context (mux.out);
  avformat_close_input (&mux.in);
  g_free (mux.to);
  g_free (mux.last);
  if (good && g_rename (temp, target) < 0)
    good = fail (&mux, AVERROR (errno), FALSE, error);
  if (!good)
    g_unlink (temp);
  *left = g_string_free (mux.left, !good || mux.left->len == 0);
  return good;
}
