/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copies of films with subtitles: what was in the film is in the copy, under the name that it had. */
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "tests/unit/clip-av.h"
#include "tests/unit/clip.h"
#include "tern/error.h"
#include "tools/language.h"
#include "tools/mux.h"

static char *folder;

static char *
at (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

typedef struct {
  enum AVMediaType type;
  enum AVCodecID codec;
  const char *tag;              /* four letters; NULL: the muxer's */
  const char *bytes;            /* extradata: a configuration, or the file that is attached */
  gsize n_bytes;
  const char *filename, *mimetype;
} Track;

static void
set_up (AVFormatContext *film, const Track *track)
{
  AVStream *stream = avformat_new_stream (film, NULL);
  AVCodecParameters *par = stream->codecpar;

  par->codec_type = track->type;
  par->codec_id = track->codec;
  if (track->tag)
    par->codec_tag = MKTAG (track->tag[0], track->tag[1], track->tag[2], track->tag[3]);
  par->width = 64;
  par->height = 48;
  par->format = track->type == AVMEDIA_TYPE_AUDIO ? AV_SAMPLE_FMT_S16 : AV_PIX_FMT_YUV420P;
  if (track->type == AVMEDIA_TYPE_AUDIO) {
    par->width = par->height = 0;
    par->sample_rate = 8000;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT (59, 24, 100)
    av_channel_layout_default (&par->ch_layout, 1);
#else
    par->channels = 1;
#endif
    par->block_align = 2;
    par->bits_per_coded_sample = 16;
  }
  stream->time_base = (AVRational) { 1, track->type == AVMEDIA_TYPE_AUDIO ? 8000 : 1000 };
  stream->avg_frame_rate = (AVRational) { 5, 1 };
  if (track->bytes) {
    par->extradata = av_mallocz (track->n_bytes + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy (par->extradata, track->bytes, track->n_bytes);
    par->extradata_size = track->n_bytes;
  }
  if (track->filename) {
    av_dict_set (&stream->metadata, "filename", track->filename, 0);
    av_dict_set (&stream->metadata, "mimetype", track->mimetype, 0);
  }
}

/* Five packets of bytes that nobody decodes in each track. */
static void
write_film (const char *path, const char *format, const Track *tracks, guint n)
{
  AVFormatContext *film = NULL;
  AVPacket *packet = av_packet_alloc ();
  static const guint8 bytes[64] = { 0, 0, 0, 60, 2, 1, 0xd0 };

  g_assert_cmpint (avformat_alloc_output_context2 (&film, NULL, format, path), >=, 0);
  for (guint i = 0; i < n; i++)
    set_up (film, &tracks[i]);
  g_assert_cmpint (avio_open (&film->pb, path, AVIO_FLAG_WRITE), >=, 0);
  g_assert_cmpint (avformat_write_header (film, NULL), >=, 0);
  for (guint k = 0; k < 5; k++) {
    for (guint i = 0; i < n; i++) {
      if (tracks[i].type == AVMEDIA_TYPE_ATTACHMENT)
        continue;
      g_assert_cmpint (av_new_packet (packet, sizeof bytes), >=, 0);
      memcpy (packet->data, bytes, sizeof bytes);
      packet->stream_index = i;
      packet->pts = packet->dts = k * 200;
      packet->duration = 200;
      packet->flags = AV_PKT_FLAG_KEY;
      av_packet_rescale_ts (packet, (AVRational) { 1, 1000 }, film->streams[i]->time_base);
      g_assert_cmpint (av_interleaved_write_frame (film, packet), >=, 0);
    }
  }
  g_assert_cmpint (av_write_trailer (film), >=, 0);
  av_packet_free (&packet);
  avio_closep (&film->pb);
  avformat_free_context (film);
}

static const char *wanted_left;         /* tracks that a copy leaves behind */

/* The copy, opened; free with avformat_close_input. */
static AVFormatContext *
copy (const char *film, const char *copy_name)
{
  TernCue cue = { 0.2, 0.8, (char *) "words" };
  g_autoptr (GArray) cues = g_array_new (FALSE, FALSE, sizeof (TernCue));
  g_autofree char *to = at (copy_name);
  g_autoptr (GError) error = NULL;
  g_autofree char *left = NULL;
  AVFormatContext *in = NULL;

  g_array_append_val (cues, cue);
  tern_mux_write (film, to, cues, "en", NULL, &left, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (left, ==, wanted_left);
  g_assert_cmpint (avformat_open_input (&in, to, NULL, NULL), >=, 0);
  return in;
}

static const AVStream *
find (const AVFormatContext *film, enum AVCodecID codec)
{
  for (guint i = 0; i < film->nb_streams; i++)
    if (film->streams[i]->codecpar->codec_id == codec)
      return film->streams[i];
  g_error ("no %s in the copy", avcodec_get_name (codec));
}

static const char *
filename_of (const AVStream *stream)
{
  const AVDictionaryEntry *entry = av_dict_get (stream->metadata, "filename", NULL, 0);

  return entry ? entry->value : NULL;
}

/* A camera's sound is PCM. */
static void
test_quicktime (void)
{
  const Track tracks[] = { { AVMEDIA_TYPE_VIDEO, AV_CODEC_ID_PRORES, "apcn" },
      { AVMEDIA_TYPE_AUDIO, AV_CODEC_ID_PCM_S16LE, "sowt" } };
  g_autofree char *film = at ("film.mov");
  AVFormatContext *in;

  write_film (film, "mov", tracks, 2);
  in = copy (film, "copy.mov");
  g_assert_cmpuint (in->nb_streams, ==, 3);
  g_assert_cmpuint (find (in, AV_CODEC_ID_PRORES)->codecpar->codec_tag, ==, MKTAG ('a', 'p', 'c', 'n'));
  g_assert_cmpuint (find (in, AV_CODEC_ID_PCM_S16LE)->codecpar->codec_tag, ==, MKTAG ('s', 'o', 'w', 't'));
  g_assert_cmpuint (find (in, AV_CODEC_ID_MOV_TEXT)->codecpar->codec_tag, ==, MKTAG ('t', 'x', '3', 'g'));
  avformat_close_input (&in);
}

/* The name of a codec decides about who plays it. */
static void
test_tags (void)
{
  static const char configuration[23] = { 1, 1, 0x60, 0, 0, 0, (char) 0x90, 0, 0, 0, 0, 0, 30, (char) 0xf0, 0, (char) 0xfc,
      (char) 0xfd, (char) 0xf8, (char) 0xf8, 0, 0, 15, 0 };
  static const char *const tags[] = { "hvc1", "hev1" };
  g_autofree char *film = at ("film.mp4");

  for (guint i = 0; i < G_N_ELEMENTS (tags); i++) {
    const Track track = { AVMEDIA_TYPE_VIDEO, AV_CODEC_ID_HEVC, tags[i], configuration, sizeof configuration };
    AVFormatContext *in;

    write_film (film, "mp4", &track, 1);
    in = copy (film, "copy.mp4");
    g_assert_cmpuint (find (in, AV_CODEC_ID_HEVC)->codecpar->codec_tag, ==, MKTAG (tags[i][0], tags[i][1], tags[i][2], tags[i][3]));
    avformat_close_input (&in);
  }
}

/* Fonts and covers are files in Matroska, codecs of AVI and ASF have their numbers there. */
static void
test_matroska (void)
{
  static const char jpeg[] = "\xff\xd8\xff\xd9";
  const Track tracks[] = { { AVMEDIA_TYPE_VIDEO, AV_CODEC_ID_WMV2, "WMV2", "abcd", 4 },
    { AVMEDIA_TYPE_ATTACHMENT, AV_CODEC_ID_TTF, NULL, "letters", 7, "letters.ttf", "application/x-truetype-font" },
    { AVMEDIA_TYPE_ATTACHMENT, AV_CODEC_ID_MJPEG, NULL, jpeg, 4, "front.jpg", "image/jpeg" } };
  g_autofree char *film = at ("film.mkv");
  AVFormatContext *in;
  const AVStream *cover;

  write_film (film, "matroska", tracks, 3);
  in = copy (film, "copy.mkv");
  g_assert_cmpuint (in->nb_streams, ==, 4);
  g_assert_cmpuint (find (in, AV_CODEC_ID_WMV2)->codecpar->codec_tag, ==, MKTAG ('W', 'M', 'V', '2'));
  g_assert_cmpstr (filename_of (find (in, AV_CODEC_ID_TTF)), ==, "letters.ttf");
  g_assert_cmpmem (find (in, AV_CODEC_ID_TTF)->codecpar->extradata, 7, "letters", 7);
  cover = find (in, AV_CODEC_ID_MJPEG);
  g_assert_true (cover->disposition & AV_DISPOSITION_ATTACHED_PIC);
  g_assert_cmpstr (filename_of (cover), ==, "front.jpg");
  g_assert_cmpmem (cover->attached_pic.data, cover->attached_pic.size, jpeg, 4);
  find (in, AV_CODEC_ID_SUBRIP);
  avformat_close_input (&in);
}

/* A cover has no time, and no need of one. */
static void
test_cover (void)
{
  const ClipTrack front = { .codec = "mjpeg", .width = 64, .height = 48, .frames = 1, .rate = 25 };
  Track tracks[] = { { AVMEDIA_TYPE_VIDEO, AV_CODEC_ID_MPEG4 },
    { AVMEDIA_TYPE_ATTACHMENT, AV_CODEC_ID_MJPEG, .filename = "front.jpg", .mimetype = "image/jpeg" } };
  g_autofree char *film = at ("cover.mp4"), *picture = at ("front.jpg"), *jpeg = NULL;
  AVFormatContext *in;
  const AVStream *cover;
  gsize n;

  clip_encode (picture, "mjpeg", &front, 1);
  g_assert_true (g_file_get_contents (picture, &jpeg, &n, NULL));
  tracks[1].bytes = jpeg;
  tracks[1].n_bytes = n;
  write_film (film, "matroska", tracks, 2);
  in = copy (film, "copy-of-cover.mp4");
  g_assert_cmpuint (in->nb_streams, ==, 3);
  cover = find (in, AV_CODEC_ID_MJPEG);
  g_assert_true (cover->disposition & AV_DISPOSITION_ATTACHED_PIC);
  g_assert_cmpmem (cover->attached_pic.data, cover->attached_pic.size, jpeg, n);
  g_assert_cmpint (find (in, AV_CODEC_ID_MPEG4)->nb_frames, ==, 5);
  avformat_close_input (&in);
}

/* Program streams leave out times that follow from others. */
static void
test_program_stream (void)
{
  const ClipTrack track = { .codec = "mpeg2video", .width = 64, .height = 48, .frames = 20, .rate = 25 };
  g_autofree char *film = at ("film.mpg");
  AVFormatContext *in;

  clip_encode (film, "mpeg", &track, 1);
  in = copy (film, "copy-of-mpg.mkv");
  find (in, AV_CODEC_ID_MPEG2VIDEO);
  avformat_close_input (&in);
}

/* What has no place in a copy is named. */
static void
test_left (void)
{
  const Track stream[] = { { AVMEDIA_TYPE_VIDEO, AV_CODEC_ID_MPEG4 }, { AVMEDIA_TYPE_DATA, AV_CODEC_ID_BIN_DATA, "data" } };
  static const char head[] = "[Script Info]\nScriptType: v4.00+\n";
  const Track titled[] = { { AVMEDIA_TYPE_VIDEO, AV_CODEC_ID_MPEG4 },
    { AVMEDIA_TYPE_SUBTITLE, AV_CODEC_ID_ASS, NULL, head, sizeof head - 1 } };
  g_autofree char *nut = at ("film.nut"), *named_mp4 = at ("matroska.mp4");
  AVFormatContext *in;

  write_film (nut, "nut", stream, 2);
  wanted_left = "track 1 (data)";
  in = copy (nut, "copy-of-nut.mkv");
  g_assert_cmpuint (in->nb_streams, ==, 2);
  avformat_close_input (&in);
  write_film (named_mp4, "matroska", titled, 2);
  wanted_left = "track 1 (subtitle, ass)";
  in = copy (named_mp4, "copy-of-matroska.mp4");
  g_assert_cmpuint (in->nb_streams, ==, 2);
  avformat_close_input (&in);
  wanted_left = NULL;
}

/* Two streams, one behind the other as they are. */
static void
test_joined (void)
{
  const ClipTrack track = { .codec = "mpeg2video", .width = 64, .height = 48, .frames = 20, .rate = 25 };
  g_autofree char *film = at ("joined.ts"), *to = at ("joined.mkv"), *bytes = NULL, *left = NULL;
  g_autoptr (GArray) cues = g_array_new (FALSE, FALSE, sizeof (TernCue));
  g_autoptr (GString) twice = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  gsize n;

  clip_encode (film, "mpegts", &track, 1);
  g_assert_true (g_file_get_contents (film, &bytes, &n, NULL));
  g_string_append_len (twice, bytes, n);
  g_string_append_len (twice, bytes, n);
  clip_write_bytes (film, twice->str, twice->len);
  g_assert_false (tern_mux_write (film, to, cues, NULL, NULL, &left, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "the clock of track 0 (mpeg2video) goes back from "));
  g_assert_null (left);
  g_assert_false (g_file_test (to, G_FILE_TEST_EXISTS));
}

static void
test_languages (void)
{
  static const char *const codes[][2] = { { "en", "eng" }, { "DE", "ger" }, { "pt-BR", "por" }, { "ca", "cat" }, { "nb", "nob" },
    { "fa", "per" }, { "zu", "zul" }, { "aa", "aar" }, { "zh-Hant-TW", "chi" }, { "deu", "deu" }, { "gsw-CH", "gsw" },
    { "xq", NULL }, { "e", NULL }, { "german", NULL }, { "12", NULL }, { "", NULL }, { "-", NULL } };

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++) {
    g_autofree char *code = tern_language_code (codes[i][0]);

    g_assert_cmpstr (code, ==, codes[i][1]);
  }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  av_log_set_level (AV_LOG_QUIET);
  folder = g_dir_make_tmp ("tern-mux-XXXXXX", NULL);
  g_assert_nonnull (folder);
  g_test_add_func ("/mux/quicktime", test_quicktime);
  g_test_add_func ("/mux/tags", test_tags);
  g_test_add_func ("/mux/matroska", test_matroska);
  g_test_add_func ("/mux/cover", test_cover);
  g_test_add_func ("/mux/program-stream", test_program_stream);
  g_test_add_func ("/mux/left", test_left);
  g_test_add_func ("/mux/joined", test_joined);
  g_test_add_func ("/mux/languages", test_languages);
  status = g_test_run ();
  clip_remove_folder (folder);
  g_free (folder);
  return status;
}
