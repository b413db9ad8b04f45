/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/serve/pictures.h"

#include <string.h>

#include "tern/error.h"
#include "tools/container.h"
#include "tools/media.h"
#include "tools/serve/fields.h"

#define STEP (TERN_SECOND / 2)  /* between frames of a clip, as windows have them by default */

/* A view that is kept, by what its bytes are. */
typedef struct {
  char *sum;
  TernView *view;
} Kept;

struct _TernPictures {
  TernModel *model;
  TernPictureLimits limits;
  GMutex lock;
  GQueue kept;                  /* of Kept, newest first */
  GHashTable *by_sum;           /* sum -> its GList link */
  guint64 seen, found;
};

static void
kept_free (void *data)
{
  Kept *kept = data;

  tern_view_unref (kept->view);
  g_free (kept->sum);
  g_free (kept);
}

TernPictures *
tern_pictures_new (TernModel *model, const TernPictureLimits *limits)
{
  TernPictures *self = g_new0 (TernPictures, 1);

  self->model = tern_model_ref (model);
  self->limits = *limits;
  self->by_sum = g_hash_table_new (g_str_hash, g_str_equal);
  g_queue_init (&self->kept);
  g_mutex_init (&self->lock);
  return self;
}

void
tern_pictures_free (TernPictures *self)
{
  if (!self)
    return;
  g_hash_table_unref (self->by_sum);
  g_queue_clear_full (&self->kept, kept_free);
  g_mutex_clear (&self->lock);
  tern_model_unref (self->model);
  g_free (self);
}

/* ---- What is kept ------------------------------------------------------------------------------------------------ */

static gsize
bytes_kept (TernPictures *self)
{
  gsize bytes = 0;

  for (GList *l = self->kept.head; l; l = l->next)
    bytes += tern_view_bytes (((Kept *) l->data)->view);
  return bytes;
}

void
tern_pictures_counts (TernPictures *self, guint64 *seen, guint64 *kept, gsize *bytes)
{
  g_mutex_lock (&self->lock);
  *seen = self->seen;
  *kept = self->found;
  *bytes = bytes_kept (self);
  g_mutex_unlock (&self->lock);
}

static TernView *
look_up (TernPictures *self, const char *sum)
{
  TernView *view = NULL;
  GList *link;

  g_mutex_lock (&self->lock);
  self->seen++;
  if ((link = g_hash_table_lookup (self->by_sum, sum))) {
    self->found++;
    g_queue_unlink (&self->kept, link);
    g_queue_push_head_link (&self->kept, link);
    view = tern_view_ref (((Kept *) link->data)->view);
  }
  g_mutex_unlock (&self->lock);
  return view;
}

static void
keep (TernPictures *self, const char *sum, TernView *view)
{
  g_mutex_lock (&self->lock);
  if (!g_hash_table_contains (self->by_sum, sum)) {
    Kept *kept = g_new (Kept, 1);

    *kept = (Kept) { g_strdup (sum), tern_view_ref (view) };
    g_queue_push_head (&self->kept, kept);
    g_hash_table_insert (self->by_sum, kept->sum, self->kept.head);
  }
  while (self->kept.length > 1 && bytes_kept (self) > self->limits.cache_bytes) {
    Kept *oldest = g_queue_pop_tail (&self->kept);

    g_hash_table_remove (self->by_sum, oldest->sum);
    kept_free (oldest);
  }
  g_mutex_unlock (&self->lock);
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------- */

static gboolean
refuse (TernRefusal *refusal, const char *param, const char *expected, const char *found)
{
  return tern_refuse (refusal, 400, TERN_REQUEST_ERROR, param, "%s: expected %s, found %s", param, expected, found);
}

/* GLib's decoder leaves out what it does not know: damage would pass for a damaged picture. */
static GBytes *
decode (const char *text, gsize len, const char *param, TernRefusal *refusal)
{
  g_autofree guint8 *bytes = g_malloc (len / 4 * 3 + 4);
  gint state = 0;
  guint save = 0;
  gsize n;

  for (gsize i = 0; i < len; i++)
    if (!g_ascii_isalnum (text[i]) && !strchr ("+/=\r\n", text[i])) {
      refuse (refusal, param, "base64", "another character in it");
      return NULL;
    }
  n = g_base64_decode_step (text, len, bytes, &state, &save);
  if (n == 0) {
    refuse (refusal, param, "base64 of a picture", "nothing");
    return NULL;
  }
  return g_bytes_new_take (g_steal_pointer (&bytes), n);
}

/* Where the base64 of @url begins; NULL: refused. *@frames: there may be several, with commas between them. */
static const char *
find_base64 (const char *url, const char *param, gboolean *frames, TernRefusal *refusal)
{
  const char *comma;
  g_autofree char *head = NULL;

  *frames = FALSE;
  if (g_ascii_strncasecmp (url, "http:", 5) == 0 || g_ascii_strncasecmp (url, "https:", 6) == 0) {
    refuse (refusal, param, "a data URL, for this server fetches nothing", "an address");
    return NULL;
  }
  if (g_ascii_strncasecmp (url, "data:", 5) != 0) {
    if (!strstr (url, ":"))
      return url;
    refuse (refusal, param, "a data URL or base64", "another address");
    return NULL;
  }
  comma = strchr (url, ',');
  head = comma ? g_ascii_strdown (url, comma - url) : NULL;
  if (!comma || !g_str_has_suffix (head, ";base64")) {
    refuse (refusal, param, "a data URL in base64", "another one");
    return NULL;
  }
  *frames = g_str_has_prefix (head, "data:video/jpeg");
  return comma + 1;
}

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

static TernMedia *
open_media (const TernPictures *self, GBytes *bytes, gboolean clip, const char *param, const gint *gone,
    TernRefusal *refusal)
{
  static const TernFileType stills[] = { TERN_FILE_JPEG, TERN_FILE_PNG, TERN_FILE_GIF, TERN_FILE_WEBP, TERN_FILE_AVIF };
  static const TernFileType clips[] = { TERN_FILE_BMFF, TERN_FILE_MATROSKA, TERN_FILE_AVI, TERN_FILE_MPEG_TS, TERN_FILE_GIF };
  const TernFileType *types = clip ? clips : stills;
  TernMediaOptions options = TERN_MEDIA_OPTIONS_INIT;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernSource) source = tern_source_new_bytes (bytes, param, NULL);
  TernFileKind kind = source ? tern_file_kind (source) : (TernFileKind) { TERN_FILE_UNKNOWN, NULL, NULL };
  TernMedia *media = NULL;
  gboolean known = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (stills); i++)
    known |= kind.type == types[i];
  if (!known) {
    refuse (refusal, param, clip ? "a clip (MP4, Matroska, AVI, MPEG-TS, GIF)" : "a picture (JPEG, PNG, WebP, GIF, AVIF)",
        kind.name ? kind.name : "neither picture nor video");
    return NULL;
  }
  options.max_pixels = self->limits.max_pixels;
  options.stop = gone;
  media = tern_media_open_bytes (bytes, param, &options, NULL, &error);
  if (!media)
    tern_refuse (refusal, 400, TERN_REQUEST_ERROR, param, "%s", error->message);
  return media;
}

/* FALSE: refused, for the picture that was taken from @media is not all there. Of what moves the first one was asked for. */
static gboolean
check_whole (TernMedia *media, const char *param, TernRefusal *refusal)
{
  g_autoptr (GError) error = NULL;
  guint64 pts, duration;
  TernImage image;

  if (!tern_media_is_still (media) || tern_media_next (media, &image, &pts, &duration, &error) != TERN_MEDIA_FAILED)
    return TRUE;
  return tern_refuse (refusal, 400, TERN_REQUEST_ERROR, param, "%s", error->message);
}

static TernView *
take_still (TernPictures *self, GBytes *bytes, const char *param, const gint *gone, TernRefusal *refusal)
{
  g_autoptr (TernMedia) media = open_media (self, bytes, FALSE, param, gone, refusal);
  g_autoptr (GError) error = NULL;
  TernView *view = NULL;
  TernImage image;
  guint64 pts, duration;

  if (!media)
    return NULL;
  if (tern_media_next (media, &image, &pts, &duration, &error) == TERN_MEDIA_FRAME)
    view = tern_view_new_still (self->model, &image, &error);
  if (!view)
    tern_refuse (refusal, 400, TERN_REQUEST_ERROR, param, "%s: expected a picture, found that it cannot be used: %s", param,
        error ? error->message : "there is none in it");
  else if (!check_whole (media, param, refusal))
    g_clear_pointer (&view, tern_view_unref);
  return view;
}

/* ---- Clips ------------------------------------------------------------------------------------------------------- */

/* MPEG-TS is a stream that whoever receives it may cut anywhere: it is looked at as far as it goes. */
static gboolean
may_end_anywhere (GBytes *bytes, const char *param)
{
  g_autoptr (TernSource) source = tern_source_new_bytes (bytes, param, NULL);

  return source && tern_file_kind (source).type == TERN_FILE_MPEG_TS;
}

/* When the last frame of a clip stands, by looking at all of them. G_MAXUINT64: refused, or given up. */
static guint64
measure (const TernPictures *self, GBytes *bytes, const char *param, const gint *gone, TernRefusal *refusal)
{
  g_autoptr (TernMedia) media = open_media (self, bytes, TRUE, param, gone, refusal);
  g_autoptr (GError) error = NULL;
  guint64 last = 0, pts, duration, n = 0;
  TernMediaStatus status = TERN_MEDIA_FRAME;
  TernImage image;

  while (media && !(gone && g_atomic_int_get (gone))
      && (status = tern_media_next (media, &image, &pts, &duration, &error)) == TERN_MEDIA_FRAME) {
    last = pts;
    n++;
  }
  if (media && n == 0)
    refuse (refusal, param, "a clip", "one without a frame that can be decoded");
  else if (status == TERN_MEDIA_FAILED && may_end_anywhere (bytes, param))
    status = TERN_MEDIA_END;
  else if (status == TERN_MEDIA_FAILED)
    tern_refuse (refusal, 400, TERN_REQUEST_ERROR, param, "%s", error->message);
  return media && n > 0 && status != TERN_MEDIA_FAILED ? last : G_MAXUINT64;
}

/* Two frames a second, and fewer of what is long: spread over all of it. */
static TernView *
take_clip (TernPictures *self, GBytes *bytes, const char *param, const gint *gone, TernRefusal *refusal)
{
  guint64 last = measure (self, bytes, param, gone, refusal), due = 0, step, pts, duration;
  g_autoptr (TernMedia) media = last == G_MAXUINT64 ? NULL : open_media (self, bytes, TRUE, param, gone, refusal);
  g_autoptr (TernView) view = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0;
  TernImage image;

  if (!media)
    return NULL;
  step = MAX (STEP, last / self->limits.max_frames + 1);
  view = tern_view_new_clip (self->model, &error);
  while (view && n < self->limits.max_frames && !(gone && g_atomic_int_get (gone))
      && tern_media_next (media, &image, &pts, &duration, NULL) == TERN_MEDIA_FRAME) {
    if (pts < due)
      continue;
    if (!tern_view_add_frame (view, &image, pts, &error))
      g_clear_pointer (&view, tern_view_unref);
    due = pts - pts % step + step;
    n++;
  }
  if (!view)
    tern_refuse (refusal, 400, TERN_REQUEST_ERROR, param, "%s: expected a clip, found that it cannot be used: %s", param,
        error->message);
  return g_steal_pointer (&view);
}

/* Frames that somebody else sampled, as JPEGs with commas between them. */
static TernView *
take_frames (TernPictures *self, const char *text, const char *param, const gint *gone, TernRefusal *refusal)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", (gint) self->limits.max_frames + 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernView) view = tern_view_new_clip (self->model, &error);

  if (g_strv_length (parts) > self->limits.max_frames) {
    tern_refuse (refusal, 400, TERN_REQUEST_ERROR, param, "%s: expected at most %u frames, found more", param,
        self->limits.max_frames);
    return NULL;
  }
  for (guint i = 0; view && parts[i]; i++) {
    g_autoptr (GBytes) bytes = decode (parts[i], strlen (parts[i]), param, refusal);
    g_autoptr (TernMedia) media = bytes ? open_media (self, bytes, FALSE, param, gone, refusal) : NULL;
    guint64 pts, duration;
    TernImage image;

    if (!media)
      return NULL;
    if (tern_media_next (media, &image, &pts, &duration, &error) != TERN_MEDIA_FRAME
        || !tern_view_add_frame (view, &image, i * STEP, &error))
      break;
    if (!check_whole (media, param, refusal))
      return NULL;
  }
  if (!view || error) {
    tern_refuse (refusal, 400, TERN_REQUEST_ERROR, param, "%s: expected frames, found that they cannot be used: %s", param,
        error ? error->message : "one is no picture");
    return NULL;
  }
  return g_steal_pointer (&view);
}

TernView *
tern_pictures_take (TernPictures *self, const char *url, gboolean clip, const char *param, const gint *gone,
    TernRefusal *refusal)
{
  gboolean frames;
  const char *text = find_base64 (url, param, &frames, refusal);
  g_autoptr (GBytes) bytes = NULL;
  g_autofree char *digest = NULL, *sum = NULL;
  TernView *view;

  if (!text)
    return NULL;
  if (frames && !clip) {
    refuse (refusal, param, "a picture", "frames of a video; they go into a video_url");
    return NULL;
  }
  digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
  sum = g_strconcat (clip ? "v" : "p", digest, NULL);
  if ((view = look_up (self, sum)))
    return view;
  if (frames) {
    view = take_frames (self, text, param, gone, refusal);
  } else {
    if (!(bytes = decode (text, strlen (text), param, refusal)))
      return NULL;
    view = clip ? take_clip (self, bytes, param, gone, refusal) : take_still (self, bytes, param, gone, refusal);
  }
  if (view)
    keep (self, sum, view);
  return view;
}
