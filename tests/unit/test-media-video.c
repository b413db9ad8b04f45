/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What videos say of themselves: how they stand, their shape and curve, which track, one timeline, whether they end. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <libavformat/avformat.h>
#include <libavutil/pixfmt.h>

#include "tern/error.h"
#include "tests/unit/clip.h"
#include "tests/unit/clip-av.h"
#include "tools/media.h"

static char *folder;

/* Lives as long as the program. */
static const char *
at (const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  return g_intern_string (path);
}

static const ClipTrack film = { .codec = "mpeg4", .width = 64, .height = 48, .frames = 20, .rate = 10 };

typedef struct {
  gboolean still;
  guint frames;
  guint64 first, last, longest_step;    /* ns */
  gboolean falls;
  TernImage image;                      /* of the last frame, its pixels gone */
  TernMediaStatus status;
  char *error, *choice;
} Seen;

static void
seen_clear (Seen *seen)
{
  g_free (seen->error);
  g_free (seen->choice);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Seen, seen_clear)

/* All frames of @path. */
static Seen
see (const char *path, gint track)
{
  TernMediaOptions options = TERN_MEDIA_OPTIONS_INIT;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernMedia) media = NULL;
  guint64 pts, duration;
  Seen seen = { .status = TERN_MEDIA_FAILED };

  options.track = track;
  media = tern_media_open (path, &options, NULL, &error);
  if (media) {
    seen.still = tern_media_is_still (media);
    seen.choice = g_strdup (tern_media_choice (media));
    while ((seen.status = tern_media_next (media, &seen.image, &pts, &duration, &error)) == TERN_MEDIA_FRAME) {
      if (seen.frames++ == 0)
        seen.first = seen.last = pts;
      seen.falls |= pts < seen.last;
      seen.longest_step = MAX (seen.longest_step, pts - seen.last);
      seen.last = pts;
    }
  }
  seen.error = error ? g_strdup (error->message) : NULL;
  return seen;
}

static void
assert_whole (const Seen *seen, guint frames)
{
  g_assert_cmpstr (seen->error, ==, NULL);
  g_assert_cmpint (seen->status, ==, TERN_MEDIA_END);
  g_assert_cmpuint (seen->frames, ==, frames);
}

/* ---- Shape and colour -------------------------------------------------------------------------------------------- */

static void
test_matrix (void)
{
  enum { ONE = 1 << 16 };
  static const gint32 matrices[8][4] = { { ONE, 0, 0, ONE }, { -ONE, 0, 0, ONE }, { -ONE, 0, 0, -ONE }, { ONE, 0, 0, -ONE },
    { 0, ONE, ONE, 0 }, { 0, ONE, -ONE, 0 }, { 0, -ONE, -ONE, 0 }, { 0, -ONE, ONE, 0 } };

  for (guint i = 0; i < 8; i++) {
    const gint32 matrix[9] = { matrices[i][0], matrices[i][1], 0, matrices[i][2], matrices[i][3], 0, 0, 0, 1 << 30 };
    ClipTrack track = film;
    g_auto (Seen) seen = { 0 };

    track.matrix = matrix;
    clip_encode (at ("turned.mov"), "mov", &track, 1);
    seen = see (at ("turned.mov"), -1);
    assert_whole (&seen, 20);
    g_assert_cmpuint (seen.image.orientation, ==, i + 1);
    g_assert_cmpuint (seen.image.width, ==, 64);        /* as it lies */
  }
}

static void
test_aspect (void)
{
  static const char *const formats[] = { "matroska", "mp4", "mpegts" };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    ClipTrack track = film;
    g_auto (Seen) seen = { 0 };

    track.aspect_n = 16;
    track.aspect_d = 11;
    clip_encode (at ("squeezed"), formats[i], &track, 1);
    seen = see (at ("squeezed"), -1);
    assert_whole (&seen, 20);
    g_assert_cmpuint (seen.image.pixel_aspect_n * 11, ==, seen.image.pixel_aspect_d * 16);
    g_assert_cmpuint (seen.image.pixel_aspect_d, >, 0);
  }
}

static void
test_transfer (void)
{
  static const struct {
    int av;
    TernTransfer ours;
  } curves[] = { { AVCOL_TRC_SMPTE2084, TERN_TRANSFER_PQ }, { AVCOL_TRC_ARIB_STD_B67, TERN_TRANSFER_HLG },
    { AVCOL_TRC_BT709, TERN_TRANSFER_SDR }, { 0, TERN_TRANSFER_SDR } };

  for (guint i = 0; i < G_N_ELEMENTS (curves); i++) {
    ClipTrack track = film;
    g_auto (Seen) seen = { 0 };

    track.transfer = curves[i].av;
    clip_encode (at ("bright.mkv"), "matroska", &track, 1);
    seen = see (at ("bright.mkv"), -1);
    assert_whole (&seen, 20);
    g_assert_cmpint (seen.image.transfer, ==, curves[i].ours);
    g_assert_cmpint (seen.image.matrix, ==, curves[i].ours == TERN_TRANSFER_SDR ? TERN_MATRIX_BT601 : TERN_MATRIX_BT2020);
  }
}

static void
test_colour_matrix (void)
{
  static const struct {
    int av;
    TernColorMatrix ours;
  } spaces[] = { { AVCOL_SPC_BT709, TERN_MATRIX_BT709 }, { AVCOL_SPC_SMPTE170M, TERN_MATRIX_BT601 }, { 0, TERN_MATRIX_BT601 },
    { AVCOL_SPC_SMPTE240M, TERN_MATRIX_BT709 }, { AVCOL_SPC_BT2020_NCL, TERN_MATRIX_BT2020 } };

  for (guint i = 0; i < G_N_ELEMENTS (spaces); i++) {
    ClipTrack track = film;
    g_auto (Seen) seen = { 0 };

    track.space = spaces[i].av;
    clip_encode (at ("colours.mkv"), "matroska", &track, 1);
    seen = see (at ("colours.mkv"), -1);
    assert_whole (&seen, 20);
    g_assert_cmpint (seen.image.matrix, ==, spaces[i].ours);
  }
}

/* ---- Tracks ------------------------------------------------------------------------------------------------------ */

static void
test_tracks (void)
{
  ClipTrack still = { .codec = "mjpeg", .width = 96, .height = 96, .frames = 1, .rate = 10, .is_default = TRUE };
  ClipTrack previews = { .codec = "mjpeg", .width = 96, .height = 96, .frames = 4, .rate = 10, .every = 10,
    .is_default = TRUE };
  ClipTrack first = film, second = film;
  static const char *const formats[] = { "matroska", "mov" };

  second.width = 80;
  first.frames = 40;
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    const ClipTrack with_still[] = { still, first }, with_previews[] = { previews, first }, cameras[] = { first, second };
    g_auto (Seen) a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 }, e = { 0 };

    clip_encode (at ("tracks"), formats[i], with_still, 2);
    a = see (at ("tracks"), -1);
    assert_whole (&a, 40);
    g_assert_nonnull (strstr (a.choice, "track 1 (mpeg4, 64 x 48) is looked at, not track 0 (mjpeg, 96 x 96)"));
    b = see (at ("tracks"), 0);
    assert_whole (&b, 1);
    g_assert_cmpstr (b.choice, ==, NULL);
    clip_encode (at ("tracks"), formats[i], with_previews, 2);
    c = see (at ("tracks"), -1);
    assert_whole (&c, 40);
    clip_encode (at ("tracks"), formats[i], cameras, 2);
    d = see (at ("tracks"), 1);
    assert_whole (&d, 20);
    g_assert_cmpuint (d.image.width, ==, 80);
    e = see (at ("tracks"), 2);
    g_assert_cmpuint (e.frames, ==, 0);
    g_assert_nonnull (strstr (e.error, "expected video track 2, found track 0"));
    g_assert_nonnull (strstr (e.error, "track 1 (mpeg4, 80 x 48)"));
  }
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

static void
join (const char *out, const char *a, const char *b)
{
  g_autofree char *first = NULL, *second = NULL;
  gsize n_first, n_second;
  g_autoptr (GString) all = NULL;

  g_assert_true (g_file_get_contents (a, &first, &n_first, NULL));
  g_assert_true (g_file_get_contents (b, &second, &n_second, NULL));
  all = g_string_new_len (first, n_first);
  g_string_append_len (all, second, n_second);
  clip_write_bytes (out, all->str, all->len);
}

/* Two recordings, whatever the clock does between them: an hour on, back, over the end of 33 bits, the same again. */
static void
test_joined (void)
{
  static const struct {
    const char *format, *codec;
    guint first_ms, second_ms;
  } cases[] = {
    { "mpegts", "mpeg2video", 0, 0 }, { "mpegts", "mpeg2video", 0, 3600000 }, { "mpegts", "mpeg2video", 3600000, 0 },
    { "mpegts", "mpeg2video", 95000000, 0 }, { "mpegts", "mpeg2video", 0, 95000000 }, { "mpegts", "mpeg4", 500, 400 },
    { "mpeg", "mpeg2video", 0, 0 }, { "mpeg2video", "mpeg2video", 0, 0 }, { "matroska", "mpeg4", 0, 0 },
    { "flv", "flv", 0, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    ClipTrack track = film;
    g_auto (Seen) seen = { 0 };

    track.codec = cases[i].codec;
    track.rate = 25;
    track.start_ms = cases[i].first_ms;
    clip_encode (at ("first"), cases[i].format, &track, 1);
    track.start_ms = cases[i].second_ms;
    clip_encode (at ("second"), cases[i].format, &track, 1);
    join (at ("joined"), at ("first"), at ("second"));
    seen = see (at ("joined"), -1);
    assert_whole (&seen, 40);
    g_assert_false (seen.falls);
    g_assert_cmpuint (seen.longest_step, <=, 80 * 1000000);
    g_assert_cmpuint (seen.last - seen.first, >=, 38 * 40 * 1000000ull);
    g_assert_cmpuint (seen.last, <=, 41 * 40 * 1000000ull);
  }
}

/* A list of files is one film, where one decoder and one clock do for all of them. */
static void
test_list (void)
{
  static const struct {
    const char *format, *codec;
    guint rate;                 /* of the second; the unit of time in MP4 follows from it */
    const char *found;          /* NULL: one film */
  } cases[] = {
    { "mp4", "mpeg4", 10, NULL }, { "matroska", "mpeg4", 25, NULL },
    { "mp4", "mpeg4", 25, "mpeg4 in units of 1/10240 s, then mpeg4 in 1/12800 s in it.mp4" },
    { "matroska", "mpeg2video", 25, "mpeg4 in units of 1/1000 s, then mpeg2video in 1/1000 s in it.mp4" },
  };
  static const char list[] = "ffconcat version 1.0\n# more\nfile a.mp4\n  file 'it'.mp4\n";

  clip_write_bytes (at ("list"), list, strlen (list));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    ClipTrack track = film;
    g_auto (Seen) seen = { 0 };

    clip_encode (at ("a.mp4"), cases[i].format, &track, 1);
    track.codec = cases[i].codec;
    track.rate = cases[i].rate;
    clip_encode (at ("it.mp4"), cases[i].format, &track, 1);
    seen = see (at ("list"), -1);
    if (cases[i].found) {
      g_assert_cmpuint (seen.frames, ==, 0);
      g_assert_nonnull (strstr (seen.error, cases[i].found));
    } else {
      assert_whole (&seen, 40);
      g_assert_cmpuint (seen.last, ==, (1900 + 100 + 19 * 1000 / cases[i].rate) * 1000000ull);
    }
  }
}

/* Frames of AVI are counted, in the order in which they are shown. */
static void
test_avi (void)
{
  for (guint b = 0; b < 3; b++) {
    ClipTrack track = film;
    g_auto (Seen) seen = { 0 };

    track.b_frames = b;
    clip_encode (at ("counted.avi"), "avi", &track, 1);
    seen = see (at ("counted.avi"), -1);
    assert_whole (&seen, 20);
    g_assert_cmpuint (seen.first, ==, 0);
    g_assert_cmpuint (seen.last, ==, 1900 * 1000000ull);
    g_assert_cmpuint (seen.longest_step, ==, 100 * 1000000ull);
  }
}

/* Fields of GXF are counted in the order in which they are coded. */
static void
test_gxf (void)
{
  for (guint b = 0; b < 3; b++) {
    ClipTrack track = { .codec = "mpeg2video", .width = 720, .height = 576, .frames = 20, .rate = 25, .b_frames = b };
    g_auto (Seen) seen = { 0 };

    clip_encode (at ("counted.gxf"), "gxf", &track, 1);
    seen = see (at ("counted.gxf"), -1);
    assert_whole (&seen, 20);
    g_assert_cmpuint (seen.first, ==, 0);
    g_assert_cmpuint (seen.last, ==, 760 * 1000000ull);
    g_assert_cmpuint (seen.longest_step, ==, 40 * 1000000ull);
  }
}

/* An element of Matroska around @body, which is freed. */
static void
put_element (GString *out, guint32 id, GString *body)
{
  for (gint shift = id > 0xffffff ? 24 : id > 0xffff ? 16 : id > 0xff ? 8 : 0; shift >= 0; shift -= 8)
    g_string_append_c (out, (char) (id >> shift));
  g_string_append_c (out, 0x10 | (char) (body->len >> 24 & 0xf));
  for (gint shift = 16; shift >= 0; shift -= 8)
    g_string_append_c (out, (char) (body->len >> shift));
  g_string_append_len (out, body->str, body->len);
  g_string_free (body, TRUE);
}

static void
put_byte (GString *out, guint32 id, guint8 value)
{
  put_element (out, id, g_string_new_len ((const char *) &value, 1));
}

/* Motion JPEG in Matroska, of which nothing says how long its one frame stands. */
static void
test_no_duration (void)
{
  ClipTrack track = { .codec = "mjpeg", .width = 64, .height = 48, .frames = 1, .rate = 10 };
  GString *head = g_string_new (NULL), *video = g_string_new (NULL), *entry = g_string_new (NULL), *tracks = g_string_new (NULL);
  GString *block = g_string_new_len ("\x81\0\0\x80", 4), *cluster = g_string_new (NULL), *segment = g_string_new (NULL);
  GString *info = g_string_new (NULL);
  g_autoptr (GString) file = g_string_new (NULL);
  g_autoptr (TernMedia) media = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *jpeg = NULL;
  guint64 pts, duration;
  TernImage image;
  gsize n;

  clip_encode (at ("one.jpg"), "mjpeg", &track, 1);
  g_assert_true (g_file_get_contents (at ("one.jpg"), &jpeg, &n, NULL));
  put_element (head, 0x4282, g_string_new ("matroska"));
  put_element (file, 0x1a45dfa3, head);
  put_element (info, 0x2ad7b1, g_string_new_len ("\x0f\x42\x40", 3));         /* ticks of a millisecond */
  put_element (segment, 0x1549a966, info);
  put_byte (video, 0xb0, 64);
  put_byte (video, 0xba, 48);
  put_byte (entry, 0xd7, 1);
  put_byte (entry, 0x73c5, 1);
  put_byte (entry, 0x83, 1);
  put_element (entry, 0x86, g_string_new ("V_MJPEG"));
  put_element (entry, 0xe0, video);
  put_element (tracks, 0xae, entry);
  put_element (segment, 0x1654ae6b, tracks);
  put_byte (cluster, 0xe7, 0);
  g_string_append_len (block, jpeg, n);
  put_element (cluster, 0xa3, block);
  put_element (segment, 0x1f43b675, cluster);
  put_element (file, 0x18538067, segment);
  clip_write_bytes (at ("one.mkv"), file->str, file->len);
  media = tern_media_open (at ("one.mkv"), NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (tern_media_next (media, &image, &pts, &duration, &error), ==, TERN_MEDIA_FRAME);
  g_assert_cmpuint (pts, ==, 0);
  g_assert_cmpuint (duration, ==, G_MAXUINT64);
}

/* A screen that stood still for most of the time, and Matroska says no lengths. libavformat makes up 8.3 s for each frame:
 * ffmpeg -f lavfi -i color=gray:s=32x32:r=10:d=0.6 -vf "setpts='if(lt(N,4),N/10,N/10+49.6)/TB'" -fps_mode vfr -c:v libx264
 * -preset ultrafast -bsf:v filter_units=remove_types=6 screen.mp4; ffmpeg -i screen.mp4 -c copy screen.mkv */
static void
test_mean_duration (void)
{
  static const char text[] =
    "GkXfo6NChoEBQveBAULygQRC84EIQoKIbWF0cm9za2FCh4EEQoWBAhhTgGcBAAAAAAAC6xFNm3TAv4RGid9BTbuLU6uEFUmpZlOsgaFN"
    "u4tTq4QWVK5rU6yBzE27jFOrhBJUw2dTrIIBVE27jFOrhBxTu2tTrIICz+wBAAAAAAAAUwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFUmpZqa/hCuUCewq17GDD0JATYCE"
    "TGF2ZldBhExhdmZEiYhA6IMAAAAAABZUrmtAgr+EiOBWIK4BAAAAAAAAc9eBAXPFiAAAAAAAAAABnIEAIrWcg3VuZIaPVl9NUEVHNC9J"
    "U08vQVZDg4EBI+ODhQHysTOq4JSwgSC6gSCagQJVsIhVt4EBVbiBAmOipQFCwAr/4QAWZ0LACtolsBEAAAMAAQAAAwAUDxImoAEABGjO"
    "D8gSVMNnQPm/hCuyfGZzc95jwIBnyJVFo4tNQUpPUl9CUkFORESHhGlzb21nyJZFo41NSU5PUl9WRVJTSU9ORIeDNTEyZ8inRaORQ09N"
    "UEFUSUJMRV9CUkFORFNEh5Bpc29taXNvMmF2YzFtcDQxc3NAjmPAi2PFiAAAAAAAAAABZ8ieRaOMSEFORExFUl9OQU1FRIeMVmlkZW9I"
    "YW5kbGVyZ8ibRaOJVkVORE9SX0lERIeMWzBdWzBdWzBdWzBdZ8iZRaOHRU5DT0RFUkSHjExhdmMgbGlieDI2NGfIokWjiERVUkFUSU9O"
    "RIeUMDA6MDA6NTAuMjAwMDAwMDAwAAAfQ7Z1yr+Ew0ciIueBAKOSgQAAgAAAAApliIQ6JigMnXXgo42BAGQAAAAABUGaIDKLo42BAMgA"
    "AAAABUGaQDaLo42BASwAAAAABUGaYD6LH0O2dai/hNh8BJrngsNQo42BAAAAAAAABUGagDqLo42BAGQAAAAABUGaoDqLHFO7a5e/hG9x"
    "iKa7j7OBALeK94EB8YICU/CBCQ==";
  g_autoptr (TernMedia) media = NULL;
  g_autoptr (GError) error = NULL;
  guint64 pts, duration;
  TernImage image;
  gsize n;
  g_autofree guchar *bytes = g_base64_decode (text, &n);

  clip_write_bytes (at ("screen.mkv"), (const char *) bytes, n);
  media = tern_media_open (at ("screen.mkv"), NULL, NULL, &error);
  if (!media) {
    g_test_skip ("this libavcodec reads no H.264");
    return;
  }
  for (guint i = 0; i < 6; i++) {
    g_assert_cmpint (tern_media_next (media, &image, &pts, &duration, &error), ==, TERN_MEDIA_FRAME);
    g_assert_true (duration == G_MAXUINT64 || duration <= 100 * 1000000ull);
  }
  g_assert_cmpuint (pts, ==, 50100 * 1000000ull);
}

/* Pictures that libavformat takes for one alone; a photograph with others behind it. */
static void
test_motion_jpeg (void)
{
  ClipTrack track = { .codec = "mjpeg", .width = 1280, .height = 960, .frames = 5, .rate = 10 };
  static const guint widths[] = { 64, 320, 640, 1280 };
  g_auto (Seen) preview = { 0 }, album = { 0 };
  g_autofree char *bytes = NULL;
  g_autoptr (GString) listed = NULL;
  gsize n;

  for (guint i = 0; i < G_N_ELEMENTS (widths); i++) {
    g_auto (Seen) seen = { 0 };

    track.width = widths[i];
    track.height = widths[i] * 3 / 4;
    clip_encode (at ("motion.jpg"), "mjpeg", &track, 1);
    seen = see (at ("motion.jpg"), -1);
    assert_whole (&seen, 5);
    g_assert_false (seen.still);
  }
  g_assert_true (g_file_get_contents (at ("motion.jpg"), &bytes, &n, NULL));
  listed = g_string_new_len (bytes, n);
  g_string_insert_len (listed, 2, "\xff\xe2\0\x08MPF\0\0\0", 10);
  clip_write_bytes (at ("album.jpg"), listed->str, listed->len);
  album = see (at ("album.jpg"), -1);
  assert_whole (&album, 1);
  g_assert_true (album.still);

  track.frames = 1;
  clip_encode (at ("first"), "mjpeg", &track, 1);
  track.width = 64;
  track.height = 48;
  clip_encode (at ("second"), "mjpeg", &track, 1);
  join (at ("preview.jpg"), at ("first"), at ("second"));
  preview = see (at ("preview.jpg"), -1);
  assert_whole (&preview, 1);
  g_assert_true (preview.still);
}

/* A picture that stands for long is no joint. */
static void
test_slides (void)
{
  static const char *const formats[] = { "matroska", "mp4", "mpegts" };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    ClipTrack track = film;
    g_auto (Seen) seen = { 0 };

    track.frames = 3;
    track.every = 200;
    track.codec = "mpeg2video";
    track.rate = 25;
    clip_encode (at ("slides"), formats[i], &track, 1);
    seen = see (at ("slides"), -1);
    assert_whole (&seen, 3);
    g_assert_cmpuint (seen.last - seen.first, ==, 16 * 1000000000ull);
  }
}

/* ---- Ends -------------------------------------------------------------------------------------------------------- */

/* What is there is given, then the file fails. Whole it passes. */
static void
test_cut (void)
{
  static const struct {
    const char *format, *codec;
  } kinds[] = {
    { "matroska", "mpeg4" }, { "avi", "mpeg4" }, { "mpegts", "mpeg2video" }, { "mpeg", "mpeg2video" },
    { "vob", "mpeg2video" }, { "flv", "flv" }, { "asf", "mpeg4" }, { "mjpeg", "mjpeg" }, { "gif", "gif" },
    { "apng", "apng" }, { "m4v", "mpeg4" }, { "mpeg2video", "mpeg2video" },
    { "mxf", "mpeg2video" }, { "mp4", "mpeg4" }, { "mov", "mjpeg" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    ClipTrack track = film;
    g_auto (Seen) whole = { 0 };
    g_autofree char *bytes = NULL;
    gsize n;

    track.codec = kinds[i].codec;
    track.rate = 25;
    track.width = 352;
    track.height = 288;
    clip_encode (at ("whole"), kinds[i].format, &track, 1);
    whole = see (at ("whole"), -1);
    assert_whole (&whole, 20);
    g_assert_true (g_file_get_contents (at ("whole"), &bytes, &n, NULL));
    for (guint percent = 25; percent < 100; percent += 17) {
      g_auto (Seen) cut = { 0 };

      clip_write_bytes (at ("cut"), bytes, n * percent / 100);
      cut = see (at ("cut"), -1);
      if (cut.status != TERN_MEDIA_FAILED || !cut.error)
        g_error ("%s cut at %u %%: %u frames, no failure", kinds[i].format, percent, cut.frames);
      g_assert_cmpuint (cut.frames, <=, 20);
      g_assert_nonnull (strstr (cut.error, "cut"));
    }
  }
}

/* Demuxers that say at the end of every file that it cannot be read. */
static void
test_odd_ends (void)
{
  static const struct {
    const char *format, *codec;
    guint width, height, rate;
  } kinds[] = { { "gxf", "mpeg2video", 720, 576, 25 }, { "roq", "roqvideo", 64, 64, 30 } };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    const ClipTrack track = { .codec = kinds[i].codec, .width = kinds[i].width, .height = kinds[i].height, .frames = 20,
      .rate = kinds[i].rate };
    g_auto (Seen) whole = { 0 };
    g_autofree char *bytes = NULL;
    gsize n;

    clip_encode (at ("whole"), kinds[i].format, &track, 1);
    whole = see (at ("whole"), -1);
    g_assert_cmpstr (whole.error, ==, NULL);
    g_assert_cmpint (whole.status, ==, TERN_MEDIA_END);
    g_assert_cmpuint (whole.frames, >=, 20);
    if (g_str_equal (kinds[i].format, "roq") && avformat_version () >= AV_VERSION_INT (61, 0, 0))
      continue;                 /* FFmpeg 7 ends where a block is cut as at the end */
    g_assert_true (g_file_get_contents (at ("whole"), &bytes, &n, NULL));
    for (guint percent = 30; percent < 100; percent += 23) {
      g_auto (Seen) cut = { 0 };

      clip_write_bytes (at ("cut"), bytes, n * percent / 100);
      cut = see (at ("cut"), -1);
      if (cut.status != TERN_MEDIA_FAILED)
        g_error ("%s cut at %u %%: %u frames, no failure", kinds[i].format, percent, cut.frames);
    }
  }
}

/* A playlist of fragments of MP4 that plays them twice, as around an advertisement. */
static void
test_playlist (void)
{
  static const char list[] = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"init-stream0.m4s\"\n"
    "#EXTINF:2.0,\nchunk-stream0-00001.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-stream0.m4s\"\n"
    "#EXTINF:2.0,\nchunk-stream0-00001.m4s\n#EXT-X-ENDLIST\n";
  g_auto (Seen) seen = { 0 };

  clip_encode (at ("whole.mpd"), "dash", &film, 1);
  clip_write_bytes (at ("twice.m3u8"), list, strlen (list));
  seen = see (at ("twice.m3u8"), -1);
  assert_whole (&seen, 40);
  g_assert_false (seen.falls);
  g_assert_cmpuint (seen.last, ==, 3900000000);
}

/* Four red frames: ffmpeg -f lavfi -i color=red:s=64x48:r=10:d=0.4 -c:v libaom-av1 -usage realtime -crf 60 -f obu red.obu */
static void
test_cut_obu (void)
{
  static const char text[] =
    "EgAKCgAAAAKv95tfIAgyGxAAxQBhhhgoJIC023rhcpq78CD1o6KfpNIqIhIAMhIwA4CA/fgG+AH///4sVNIAlbASADISMAQBBX34"
    "BvgB///+LFTSAJHAEgAyEjAGAgn9+Ab4Af///ixU0gCNgA==";
  g_auto (Seen) whole = { 0 };
  gsize n;
  g_autofree guchar *bytes = g_base64_decode (text, &n);

  clip_write_bytes (at ("red.obu"), (const char *) bytes, n);
  whole = see (at ("red.obu"), -1);
  if (whole.frames == 0) {
    g_test_skip ("this libavcodec reads no AV1");
    return;
  }
  assert_whole (&whole, 4);
  for (gsize k = 1; k < 20; k++) {
    g_auto (Seen) cut = { 0 };

    clip_write_bytes (at ("cut.obu"), (const char *) bytes, n - k);
    cut = see (at ("cut.obu"), -1);
    g_assert_cmpint (cut.status, ==, TERN_MEDIA_FAILED);
    g_assert_nonnull (strstr (cut.error, "cut off"));
  }
}

/* Two frames: ffmpeg -f lavfi -i testsrc2=s=64x48:r=10:d=0.2 -pix_fmt yuv420p -c:v libx265 -preset ultrafast -crf 36
 * -x265-params info=0:keyint=1 two.hevc */
static void
test_cut_hevc (void)
{
  static const char text[] =
    "AAAAAUABDAH//wQIAAADAJ+oAAADAAAeugJAAAAAAUIBAQQIAAADAJ+oAAADAAAeoCCDFlukpMLwFoCAAAADAIAAAAUEAAAAAUQBwHGB"
    "EgAAASgBrHag4IXyPqv62++LrUAqx4hDpR3ei4rIbpIhj3rUHnHuezds5rdoG63vIoU/GX6hlExNkJMLGTLFVNxNk3c+y8se1zMQSm83"
    "mH//2KdAlsgwzYxeY0Nic3e0t0gziv64l0iwzBVK4ZbVgWOCpe4gD8Mn8cp8WdV4B68JdOdZoyCGXHvC5xtlSS42mx5EbqMuC8OnLzJV"
    "MylERy6cc/92Ld8dzfjDvU+6Eg6vAc5XuOqYAwVa3SVT//fSB2wV8Gk/iOh6HCknf2/lzdE4ZodeUqaagCjZ7HahwreqTgfZ8OfPD16m"
    "vFF0jcI2GIbmp0+xYzDE8KuIDOwntP0E6AGICnjuh6nbMGsbuimvUJZSBvkaJ/UPumruPDzQNEFn3cpWdoB+XUmzRUbFvA8OHyLRQC8x"
    "VxnbBu1zBBhI+Eo5vhGel2kjaI0wJ6yPT7AINT339nD3M7HT/W0qk5QrCANYjPpJBByfVszbJmqsJZtCowNnlJJMpM4tBMwO1yuok66A"
    "57BrxAsA4OvB/XR44LAm7WUZKzvsPi115Qb0OttPf0te+PBgRSfRLyMqLzY5smTE2HD0A2HgN/hwVAW6tUeolEp2po50lzMh86HG+pzE"
    "YEQDm6ldJRpOIKLyaBuAkbex5GJZC0gkxbAdKx+T4HrVOQu3AU8jChzQrz/Y8Ek/jAJgC2a51qioMKONFpO2nV8a30JBjGEQXa6A3zW5"
    "uf9GU5TEex1DC+7AB+BHJR7JcAT9LGpRUZOzxs7NAckyOL/p92hzxdyFF6JLbx8BRKB2Q+itM2OB52s1HqvtUTBz7aBdmI1fchj4ojWM"
    "gYZ/lAA5q0HQ3XsuA4UsT5Rv8/KMN7t0npMGaUyJ+0gta9rhSr4T2Ssj6FSI4DF1P7AA1wIt3l9L+x+xTqVsfgp/y4zdhgX+7HPELJOA"
    "AAAAAUABDAH//wQIAAADAJ+oAAADAAAeugJAAAAAAUIBAQQIAAADAJ+oAAADAAAeoCCDFlukpMLwFoCAAAADAIAAAAUEAAAAAUQBwHGB"
    "EgAAASgBrCWAonh9O16v7g2Z1EhLY2UK8fC94G8uWpWGiFKfTbzKa5YvmkNfgk1pahvbb+TPukj/u3Chc8ZY8wiv9dzcPIX5L//nN40m"
    "0tbNP4aHxeA4KeEXsgGFL00OfrliobvWvv6xPdUozoYzCQt7ZhptrHdnhY+KQac0PyGD5h8JfSp+zT/Wm1JOcYOG3XfpLzaL5q9fWil5"
    "3ROoId42mA9vnp8AH5TWp/zvQPI+Obq0amhBftcrm/nhwKqUFqcQiUi/qw2jAE31HI2gP50nOF40vbH8kY0tO8KjNfgJhqngX02ciBb2"
    "ZQQRXflrvp7SRRWpdXXhNxIM/Q/eUygPLcReIE2xhbCNA4ZA5B2Keb/6+BSIyBcyE/31WKyFeAzWXaUHPTnoqrOvVjC9D42Tf2uCds7g"
    "aqyekgDtblzhLlXh0OSUX05IDGv16aVmy1o7jJKrvFAv+ZSoXctRtrsi/SsPQutGXmSd7fE0rt0S9DtE6gmGrZm1rTAg9RM6jMLlCPRH"
    "uDRjTiYSmURy9f/SvRiyrBc7pmU+Jjl6z+PQ0qsJHSv2aqOX+kqKD32ZQsUhIkxXKBfhMo+LHVkc+pqv1BJEb5AjAULwnFEWqd5VQvsp"
    "ZZ+IR9mI7AmQEtGQBPy1tO4+6VqSbV7v9d5k52LeWm0hgHcAHLow8/h6vHCt+rRArS4Y1cDBYqidIKa6wxYfsC2zU/iRUdQ+q2o5EouO"
    "dllxrLcZUudANPx9XoyfIsIu3+58aZBoIxiL5PKxCa78cGKcR4zf2pNu7cFJ0xcRdwQfVMs//kRF2yOadC0JF/uaO3mnEe85bSJMV8w/"
    "WbLkqconR/g=";
  g_auto (Seen) whole = { 0 };
  gsize n;
  g_autofree guchar *bytes = g_base64_decode (text, &n);

  clip_write_bytes (at ("two.hevc"), (const char *) bytes, n);
  whole = see (at ("two.hevc"), -1);
  if (whole.frames == 0) {
    g_test_skip ("this libavcodec reads no HEVC");
    return;
  }
  assert_whole (&whole, 2);
  for (gsize k = 8; k < 400; k += 7) {
    g_auto (Seen) cut = { 0 };

    clip_write_bytes (at ("cut.hevc"), (const char *) bytes, n - k);
    cut = see (at ("cut.hevc"), -1);
    g_assert_cmpint (cut.status, ==, TERN_MEDIA_FAILED);
    g_assert_nonnull (strstr (cut.error, "cut off"));
  }
}

static void
test_cut_y4m (void)
{
  g_auto (Seen) whole = { 0 }, cut = { 0 };

  clip_write_y4m (at ("whole.y4m"), 64, 48, "10:1", 20, 0);
  whole = see (at ("whole.y4m"), -1);
  assert_whole (&whole, 20);
  clip_write_y4m (at ("cut.y4m"), 64, 48, "10:1", 20, 30000);
  cut = see (at ("cut.y4m"), -1);
  g_assert_cmpuint (cut.frames, ==, 6);
  g_assert_nonnull (strstr (cut.error, "cut off"));
}

/* A film after whose last frame more sound or nothing of note comes is whole. */
static void
test_whole (void)
{
  static const char *const formats[] = { "matroska", "mp4", "avi", "mpegts" };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    ClipTrack longer = film;
    const ClipTrack tracks[] = { film, longer };
    g_auto (Seen) seen = { 0 };

    longer.frames = 60;
    clip_encode (at ("longer"), formats[i], tracks, 2);
    seen = see (at ("longer"), 0);
    assert_whole (&seen, 20);
  }
}

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *from, *to;
} Copy;

static void *
copy (void *data)
{
  Copy *job = data;
  g_autofree char *bytes = NULL;
  gsize n;
  FILE *file = fopen (job->to, "w");

  g_assert_true (g_file_get_contents (job->from, &bytes, &n, NULL));
  fwrite (bytes, 1, n, file);
  fclose (file);
  return NULL;
}

/* What can be read once only, films whose index is at the end among them. */
static void
test_streams (void)
{
  static const struct {
    const char *format, *codec;
    gboolean still;
  } kinds[] = { { "matroska", "mpeg4", FALSE }, { "mp4", "mpeg4", FALSE }, { "mpegts", "mpeg2video", FALSE },
    { "mjpeg", "mjpeg", FALSE }, { "apng", "apng", FALSE } };

  g_assert_cmpint (mkfifo (at ("fifo"), 0600), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    ClipTrack track = film;
    Copy job = { at ("source"), at ("fifo") };
    g_auto (Seen) seen = { 0 };
    GThread *thread;

    track.codec = kinds[i].codec;
    track.rate = 25;
    clip_encode (job.from, kinds[i].format, &track, 1);
    thread = g_thread_new ("copy", copy, &job);
    seen = see (job.to, -1);
    g_thread_join (thread);
    assert_whole (&seen, 20);
  }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("tern-video-XXXXXX", NULL);
  g_assert_nonnull (folder);
  g_test_add_func ("/media/matrix", test_matrix);
  g_test_add_func ("/media/aspect", test_aspect);
  g_test_add_func ("/media/transfer", test_transfer);
  g_test_add_func ("/media/colour-matrix", test_colour_matrix);
  g_test_add_func ("/media/tracks", test_tracks);
  g_test_add_func ("/media/joined", test_joined);
  g_test_add_func ("/media/list", test_list);
  g_test_add_func ("/media/playlist", test_playlist);
  g_test_add_func ("/media/avi", test_avi);
  g_test_add_func ("/media/gxf", test_gxf);
  g_test_add_func ("/media/no-duration", test_no_duration);
  g_test_add_func ("/media/mean-duration", test_mean_duration);
  g_test_add_func ("/media/motion-jpeg", test_motion_jpeg);
  g_test_add_func ("/media/slides", test_slides);
  g_test_add_func ("/media/cut", test_cut);
  g_test_add_func ("/media/odd-ends", test_odd_ends);
  g_test_add_func ("/media/cut-obu", test_cut_obu);
  g_test_add_func ("/media/cut-hevc", test_cut_hevc);
  g_test_add_func ("/media/cut-y4m", test_cut_y4m);
  g_test_add_func ("/media/whole", test_whole);
  g_test_add_func ("/media/streams", test_streams);
  status = g_test_run ();
  clip_remove_folder (folder);
  g_free (folder);
  return status;
}
