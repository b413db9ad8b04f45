/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of files that are played as one film (ffconcat). libavformat takes all of them for what the first one is: what another
 * codec made would be decoded as if it were the first one's, and times in other units taken for the first one's. */
#include "tools/media-private.h"

#include <libavutil/avstring.h>

#include "tern/error.h"

#define LIST_BYTES (4 << 20)    /* of a list; a longer one is looked at so far */
#define SPACES " \t\r\n"

/* Where @name of the list is. */
static char *
place_of (const TernMedia *media, const char *name)
{
  const char *list = tern_source_url (media->source);
  g_autofree char *folder = NULL;

  if (!list || g_path_is_absolute (name) || name[strcspn (name, ":/")] == ':')
    return g_strdup (name);
  folder = g_path_get_dirname (list);
  return g_build_filename (folder, name, NULL);
}

/* One that cannot be opened is told of when its turn comes. */
static gboolean
check_file (const TernMedia *media, const char *name, GError **error)
{
  const AVStream *first = tern_media_stream (media), *stream;
  g_autofree char *place = place_of (media, name);
  AVFormatContext *file = avformat_alloc_context ();
  AVDictionary *options = NULL;
  gboolean fits = TRUE;

  if (!file)
    return tern_media_fail (media, AVERROR (ENOMEM), "it cannot be read", error);
  file->interrupt_callback = media->format->interrupt_callback;
  tern_media_set_options (media, &options);
  if (avformat_open_input (&file, place, NULL, &options) >= 0 && media->stream < (int) file->nb_streams) {
    stream = file->streams[media->stream];
    fits = (stream->codecpar->codec_id == first->codecpar->codec_id || stream->codecpar->codec_id == AV_CODEC_ID_NONE)
        && av_cmp_q (stream->time_base, first->time_base) == 0;
    if (!fits)
      g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected files of one codec and one unit of time, found %s in "
          "units of %d/%d s, then %s in %d/%d s in %s; each file can be named by itself", media->name,
          avcodec_get_name (first->codecpar->codec_id), first->time_base.num, first->time_base.den,
          avcodec_get_name (stream->codecpar->codec_id), stream->time_base.num, stream->time_base.den, name);
  }
  av_dict_free (&options);
  avformat_close_input (&file);
  return fits;
}

/* The next word, with libavformat's quotes and escapes; free with av_free. */
static char *
next_word (const char **at)
{
  *at += strspn (*at, SPACES);
  return av_get_token (at, SPACES);
}

gboolean
tern_media_check_list (const TernMedia *media, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  gboolean good = TRUE;

  if (!g_str_equal (media->format->iformat->name, "concat"))
    return TRUE;
  text = g_malloc0 (LIST_BYTES + 1);
  tern_source_read (media->source, 0, text, LIST_BYTES);
  lines = g_strsplit_set (text, "\r\n", -1);
  for (guint i = 0; good && lines[i]; i++) {
    const char *at = lines[i];
    char *verb = next_word (&at), *name = next_word (&at);

    if (g_strcmp0 (verb, "stream") == 0) {      /* then tracks go by their own numbers */
      av_free (verb);
      av_free (name);
      break;
    }
    if (g_strcmp0 (verb, "file") == 0 && name && *name && g_hash_table_add (seen, g_strdup (name)))
      good = check_file (media, name, error);
    av_free (verb);
    av_free (name);
  }
  return good;
}
