/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/media-private.h"

#include "tern/error.h"
#include "tern/tern.h"

#define BLOCK_BYTES (64 << 10)
#define PATIENCE (30 * G_USEC_PER_SEC)  /* with an address that does not answer */

gboolean
tern_media_fail (const TernMedia *media, int code, const char *what, GError **error)
{
  char reason[AV_ERROR_MAX_STRING_SIZE];

  av_strerror (code, reason, sizeof reason);
  g_set_error (error, TERN_ERROR, code == AVERROR (ENOENT) ? TERN_ERROR_NOT_FOUND
      : code == AVERROR (EACCES) || code == AVERROR (EIO) ? TERN_ERROR_READ
      : code == AVERROR_DECODER_NOT_FOUND || code == AVERROR (ENOSYS) ? TERN_ERROR_UNSUPPORTED
      : code == AVERROR (ENOMEM) ? TERN_ERROR_NO_SPACE : TERN_ERROR_FORMAT,
      "%s: expected a picture or video, found that %s: %s", media->name, what, reason);
  return FALSE;
}

/* ---- What it is -------------------------------------------------------------------------------------------------- */

/* A format that is not read is named, with what reads it. */
static gboolean
refuse_kind (const TernMedia *media, TernErrorCode code, const char *why, GError **error)
{
  const TernFileKind *kind = &media->kind;

  g_set_error (error, TERN_ERROR, code, "%s: expected a picture or video, found %s%s%s%s", media->name, kind->name, why,
      kind->reader ? "; " : "", kind->reader ? kind->reader : "");
  return FALSE;
}

static gboolean
check_kind (const TernMedia *media, gboolean in_folder, gboolean *other, GError **error)
{
  if (media->kind.type == TERN_FILE_OTHER || (in_folder && media->kind.type == TERN_FILE_PLAYLIST)) {
    *other = TRUE;
    return refuse_kind (media, TERN_ERROR_FORMAT, "", error);
  }
  if (media->kind.type == TERN_FILE_FOREIGN_PICTURE)
    return refuse_kind (media, TERN_ERROR_UNSUPPORTED, ", which is not read here", error);
  if (media->container.unread) {
    g_autofree char *why = g_strconcat (media->container.unread, ", which is not read here", NULL);

    return refuse_kind (media, TERN_ERROR_UNSUPPORTED, why, error);
  }
  return TRUE;
}

static gboolean
check_size (const TernMedia *media, GError **error)
{
  const AVCodecParameters *par = tern_media_stream (media)->codecpar;
  guint64 width = par->width > 0 ? par->width : media->container.width;
  guint64 height = par->height > 0 ? par->height : media->container.height;

  guint64 most = media->options.max_pixels ? media->options.max_pixels : TERN_MEDIA_MAX_PIXELS;

  if (width * height <= most)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected at most %u million pixels, found "
      "%" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT ": %" G_GUINT64_FORMAT " million; ImageMagick (`convert IN -resize "
      "25%% OUT.png`) makes it smaller", media->name, (guint) (most / 1000000), width, height, width * height / 1000000);
  return FALSE;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static int
read_source (void *data, guint8 *to, int n)
{
  gssize got = tern_source_take (data, to, n);

  return got > 0 ? (int) got : got == 0 ? AVERROR_EOF : AVERROR ((int) -got);
}

static gint64
seek_source (void *data, gint64 offset, int whence)
{
  TernSource *source = data;

  if (whence == AVSEEK_SIZE)
    return tern_source_size (source) < G_MAXINT64 ? (gint64) tern_source_size (source) : AVERROR (ENOSYS);
  return whence == SEEK_SET && tern_source_seek (source, offset) ? offset : AVERROR (ENOSYS);
}

/* A stream that libavformat cannot open by name. */
static gboolean
open_io (TernMedia *media, GError **error)
{
  guint8 *block = av_malloc (BLOCK_BYTES);
  gboolean seekable = tern_source_kind (media->source) == TERN_SOURCE_FILE;

  media->io = block ? avio_alloc_context (block, BLOCK_BYTES, 0, media->source, read_source, NULL,
      seekable ? seek_source : NULL) : NULL;
  if (!media->io) {
    av_free (block);
    return tern_media_fail (media, AVERROR (ENOMEM), "it cannot be read", error);
  }
  media->io->seekable = seekable ? AVIO_SEEKABLE_NORMAL : 0;
  media->format->pb = media->io;
  media->format->flags |= AVFMT_FLAG_CUSTOM_IO;
  return TRUE;
}

static int
is_late (void *data)
{
  const TernMedia *media = data;

  return (media->deadline && g_get_monotonic_time () > media->deadline)
      || (media->options.stop && g_atomic_int_get (media->options.stop));
}

void
tern_media_set_options (const TernMedia *media, AVDictionary **out)
{
  /* Names with % are no patterns, and a playlist opens nothing from the network. What comes from the network keeps
   * libavformat's own list, which has no local files in it. */
  av_dict_set (out, "pattern_type", "none", 0);
  if (media->in_memory)
    av_dict_set (out, "protocol_whitelist", "none", 0);
  else if (tern_source_kind (media->source) != TERN_SOURCE_ADDRESS)
    av_dict_set (out, "protocol_whitelist", media->options.allow_network
        ? "file,crypto,data,http,https,httpproxy,tcp,tls,udp,rtp,rtsp,rtmp" : "file,crypto,data", 0);
}

static gboolean
cannot_be_read (const TernMedia *media, int code, gboolean *other, GError **error)
{
  const TernContainer *container = &media->container;

  if (container->cut && container->expected)
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected %" G_GUINT64_FORMAT " bytes, as the file says, "
        "found %" G_GUINT64_FORMAT ": it is cut off, and what is left cannot be read", media->name, container->expected,
        tern_source_size (media->source));
  else if (media->kind.name && code == AVERROR_INVALIDDATA)
    refuse_kind (media, media->kind.type == TERN_FILE_STILL ? TERN_ERROR_UNSUPPORTED : TERN_ERROR_FORMAT,
        " that cannot be read", error);
  else
    tern_media_fail (media, code, code == AVERROR_EXIT ? "it does not answer" : "it cannot be read", error);
  *other = media->kind.type == TERN_FILE_UNKNOWN && code == AVERROR_INVALIDDATA;
  return FALSE;
}

static gboolean
open_format (TernMedia *media, const TernMediaOptions *options, gboolean *other, GError **error)
{
  const AVInputFormat *demuxer = NULL;
  AVDictionary *dict = NULL;
  int code;

  media->format = avformat_alloc_context ();
  if (!media->format)
    return tern_media_fail (media, AVERROR (ENOMEM), "it cannot be read", error);
  media->format->interrupt_callback = (AVIOInterruptCB) { is_late, media };
  if (tern_source_kind (media->source) == TERN_SOURCE_ADDRESS) {
    avformat_network_init ();
    media->deadline = g_get_monotonic_time () + PATIENCE;
  }
  if (!tern_source_url (media->source) && !open_io (media, error))
    return FALSE;
  tern_media_set_options (media, &dict);
  /* libavformat tells Motion JPEG of small pictures alone from one picture. */
  if (media->kind.type == TERN_FILE_JPEG && media->container.pictures > 1)
    demuxer = av_find_input_format ("mjpeg");
  code = avformat_open_input (&media->format, tern_source_url (media->source), demuxer, &dict);
  av_dict_free (&dict);
  if (code >= 0)
    code = avformat_find_stream_info (media->format, NULL);
  return code >= 0 || cannot_be_read (media, code, other, error);
}

/* Letters drawn as pictures, by the name of the file alone, and what was guessed from a few bits. */
static gboolean
check_guess (const TernMedia *media, const TernMediaOptions *options, gboolean *other, GError **error)
{
  static const char *const drawn[] = { "tty", "bin", "xbin", "adf", "idf" };
  const char *name = media->format->iformat->name;
  gboolean guess = options->in_folder && media->kind.type == TERN_FILE_UNKNOWN
      && media->format->probe_score <= AVPROBE_SCORE_RETRY;

  for (guint i = 0; i < G_N_ELEMENTS (drawn); i++)
    guess = guess || g_str_equal (name, drawn[i]);
  if (!guess)
    return TRUE;
  *other = TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a picture or video, found neither", media->name);
  return FALSE;
}

static gboolean
open_codec (TernMedia *media, const AVCodec *decoder, GError **error)
{
  int code;

  media->codec = avcodec_alloc_context3 (decoder);
  if (!media->codec)
    return tern_media_fail (media, AVERROR (ENOMEM), "it cannot be decoded", error);
  media->codec->max_pixels = (gint64) (media->options.max_pixels ? media->options.max_pixels : TERN_MEDIA_MAX_PIXELS);
  media->codec->thread_count = media->still ? 1 : media->options.threads;
  if ((code = avcodec_parameters_to_context (media->codec, tern_media_stream (media)->codecpar)) < 0
      || (code = avcodec_open2 (media->codec, decoder, NULL)) < 0)
    return tern_media_fail (media, code, "it cannot be decoded", error);
  return TRUE;
}

/* By what the file says of itself, else by what libavformat takes it for. */
static gboolean
is_still (const TernMedia *media)
{
  const char *name = media->format->iformat->name;

  if (tern_container_is_still (media->kind.type, &media->container))
    return TRUE;
  return g_str_equal (name, "image2") || g_str_has_suffix (name, "_pipe");
}

/* What the source says of itself. Of files that were joined only the first one is looked at for now. */
static void
look_at_part (TernMedia *media)
{
  media->kind = tern_file_kind (media->source);
  media->container = tern_container_read (media->source, media->kind.type);
  media->next = media->container.next ? media->part + media->container.next : 0;
  if (media->next)
    tern_source_narrow (media->source, media->part, media->container.next);
}

/* What comes once and must be read twice is kept. Motion JPEG is read as it comes. */
static gboolean
look (TernMedia *media, gboolean *other, GError **error)
{
  TernFileType type;

  look_at_part (media);
  type = media->kind.type;
  if (!check_kind (media, media->options.in_folder, other, error))
    return FALSE;
  if (tern_source_kind (media->source) == TERN_SOURCE_STREAM
      && (tern_container_is_still (type, &media->container) || type == TERN_FILE_PNG || type == TERN_FILE_GIF
          || tern_container_needs_seeking (media->source, type))) {
    if (!tern_source_spool (media->source, error))
      return FALSE;
    look_at_part (media);
  }
  return TRUE;
}

/* Format, track and decoder. */
static gboolean
open_part (TernMedia *media, gboolean *other, GError **error)
{
  const AVCodec *decoder = NULL;

  if (!open_format (media, &media->options, other, error) || !check_guess (media, &media->options, other, error)
      || !tern_media_choose_track (media, media->options.track, &decoder, other, error)
      || !tern_media_check_list (media, error))
    return FALSE;
  media->still = is_still (media);
  return check_size (media, error) && open_codec (media, decoder, error);
}

/* Takes @source. */
static TernMedia *
open_source (TernSource *source, const TernMediaOptions *options, gboolean in_memory, gboolean *other, GError **error)
{
  g_autoptr (TernMedia) media = g_new0 (TernMedia, 1);

  media->options = *options;
  media->in_memory = in_memory;
  av_log_set_level (AV_LOG_QUIET);      /* what went wrong is in the error */
  g_queue_init (&media->waiting);
  g_queue_init (&media->tail);
  media->source = source;
  media->name = g_strdup (tern_source_name (media->source));
  media->packet = av_packet_alloc ();
  media->frame = av_frame_alloc ();
  if (!media->packet || !media->frame) {
    tern_media_fail (media, AVERROR (ENOMEM), "it cannot be read", error);
    return NULL;
  }
  return look (media, other, error) && open_part (media, other, error) ? g_steal_pointer (&media) : NULL;
}

TernMedia *
tern_media_open (const char *input, const TernMediaOptions *options, gboolean *other, GError **error)
{
  static const TernMediaOptions defaults = TERN_MEDIA_OPTIONS_INIT;
  gboolean unused;
  TernSource *source;

  options = options ? options : &defaults;
  other = other ? other : &unused;
  *other = FALSE;
  source = tern_source_open_full (input, options->allow_network, options->fd, options->stop, error);
  if (source)
    return open_source (source, options, FALSE, other, error);
  *other = error && g_error_matches (*error, TERN_ERROR, TERN_ERROR_FORMAT);    /* empty */
  return NULL;
}

TernMedia *
tern_media_open_bytes (GBytes *bytes, const char *name, const TernMediaOptions *options, gboolean *other, GError **error)
{
  TernMediaOptions guarded = *options;
  gboolean unused;
  TernSource *source = tern_source_new_bytes (bytes, name, error);

  other = other ? other : &unused;
  *other = source == NULL;
  guarded.in_folder = TRUE;             /* playlists and guesses are refused */
  guarded.allow_network = FALSE;
  return source ? open_source (source, &guarded, TRUE, other, error) : NULL;
}

static void
free_packet (gpointer data)
{
  av_packet_free ((AVPacket **) &data);
}

static void
close_part (TernMedia *media)
{
  g_queue_clear_full (&media->waiting, free_packet);
  tern_media_forget_tail (media);
  avcodec_free_context (&media->codec);
  avformat_close_input (&media->format);
  if (media->io)
    av_freep (&media->io->buffer);
  avio_context_free (&media->io);
  g_clear_pointer (&media->choice, g_free);
}

gboolean
tern_media_next_part (TernMedia *media, GError **error)
{
  gboolean other;

  if (!media->next)
    return FALSE;
  media->part = media->next;
  tern_source_narrow (media->source, media->part, G_MAXUINT64);
  close_part (media);
  media->draining = media->refused = FALSE;
  media->corrupt = 0;
  media->since_damage = 0;
  media->timeline.joint = TRUE;
  look_at_part (media);
  return open_part (media, &other, error);
}

void
tern_media_free (TernMedia *media)
{
  if (!media)
    return;
  close_part (media);
  sws_freeContext (media->sws);
  av_frame_free (&media->frame);
  av_packet_free (&media->packet);
  tern_source_free (media->source);
  av_free (media->rgb);
  g_free (media->name);
  g_free (media);
}

gboolean
tern_media_file_is_still (const char *path)
{
  g_autoptr (TernSource) source = NULL;
  TernContainer container;
  TernFileKind kind;

  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR) || !(source = tern_source_open (path, FALSE, NULL)))
    return FALSE;
  kind = tern_file_kind (source);
  if (kind.type == TERN_FILE_JPEG)      /* not all of it is read; Motion JPEG has suffixes of its own */
    return !g_str_has_suffix (path, ".mjpeg") && !g_str_has_suffix (path, ".mjpg");
  container = tern_container_read (source, kind.type);
  return tern_container_is_still (kind.type, &container);
}

gboolean
tern_media_is_still (const TernMedia *media)
{
  return media->still;
}

guint64
tern_media_duration (const TernMedia *media)
{
  gint64 duration = media->format->duration;

  return duration > 0 && duration < G_MAXINT64 / 1000 ? (guint64) duration * 1000 : TERN_TIME_NONE;
}
