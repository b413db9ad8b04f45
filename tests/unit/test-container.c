/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What files say of themselves before a decoder sees them: formats by name, how stills stand, how many pictures, and
 * nothing that a damaged file could do. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tern/error.h"
#include "tests/unit/clip.h"
#include "tests/unit/clip-av.h"
#include "tools/container.h"
#include "tools/media.h"

static char *folder;

/* Lives as long as the program. */
static const char *
at (const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  return g_intern_string (path);
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------- */

static void
put_be (GString *out, guint64 value, guint n)
{
  while (n--)                   /* at most 8 */
    g_string_append_c (out, (char) (value >> 8 * n));
}

static void
put_le (GString *out, guint64 value, guint n)
{
  for (guint i = 0; i < n; i++)
    g_string_append_c (out, (char) (value >> 8 * i));
}

static void
put_number (GString *out, guint64 value, guint n, gboolean big_endian)
{
  if (big_endian)
    put_be (out, value, n);
  else
    put_le (out, value, n);
}

/* A TIFF directory with @n entries of one SHORT each. */
static void
put_tiff (GString *out, gboolean big_endian, const guint16 (*entries)[2], guint n)
{
  g_string_append (out, big_endian ? "MM" : "II");
  put_number (out, 42, 2, big_endian);
  put_number (out, 8, 4, big_endian);
  put_number (out, n, 2, big_endian);
  for (guint i = 0; i < n; i++) {
    put_number (out, entries[i][0], 2, big_endian);
    put_number (out, 3, 2, big_endian);
    put_number (out, 1, 4, big_endian);
    put_number (out, entries[i][1], 2, big_endian);
    put_be (out, 0, 2);
  }
  put_be (out, 0, 4);
}

static void
put_exif (GString *out, gboolean big_endian, guint orientation)
{
  const guint16 entries[2][2] = { { 0x010f, 1 }, { 0x0112, orientation } };

  put_tiff (out, big_endian, entries, 2);
}

static void
put_chunk (GString *out, const char *type, const GString *body)
{
  put_be (out, body->len, 4);
  g_string_append_len (out, type, 4);
  g_string_append_len (out, body->str, body->len);
  put_be (out, 0, 4);           /* the check sum, which only decoders look at */
}

/* A box around @body, which is freed. */
static void
put_box (GString *out, const char *type, GString *body)
{
  put_be (out, body->len + 8, 4);
  g_string_append_len (out, type, 4);
  g_string_append_len (out, body->str, body->len);
  g_string_free (body, TRUE);
}

/* ---- Stills ------------------------------------------------------------------------------------------------------ */

static TernContainer
look (const char *path, TernFileType type)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernSource) source = tern_source_open (path, FALSE, &error);

  g_assert_no_error (error);
  g_assert_cmpint (tern_file_kind (source).type, ==, type);
  return tern_container_read (source, type);
}

static void
png_with_exif (const char *path, guint orientation, gboolean animated)
{
  g_autoptr (GString) file = g_string_new_len ("\x89PNG\r\n\x1a\n", 8), exif = g_string_new (NULL);
  g_autoptr (GString) header = g_string_new (NULL), none = g_string_new (NULL), frames = g_string_new (NULL);

  put_be (header, 40, 4);
  put_be (header, 30, 4);
  put_be (header, 0x0802000000, 5);
  put_chunk (file, "IHDR", header);
  put_be (frames, animated ? 3 : 1, 4);
  put_be (frames, 0, 4);
  put_chunk (file, "acTL", frames);
  put_exif (exif, orientation % 2, orientation);
  put_chunk (file, "eXIf", exif);
  put_chunk (file, "IDAT", none);
  put_chunk (file, "IEND", none);
  clip_write_bytes (path, file->str, file->len);
}

static void
webp_with_exif (const char *path, guint orientation, gboolean animated)
{
  g_autoptr (GString) body = g_string_new ("WEBPVP8X"), file = g_string_new ("RIFF"), exif = g_string_new (NULL);

  put_le (body, 10, 4);
  put_le (body, animated ? 0x0a : 0x08, 4);
  put_le (body, 0, 6);
  g_string_append (body, "VP8 ");
  put_le (body, 3, 4);
  put_le (body, 0, 4);          /* odd chunks are padded */
  if (orientation % 2)          /* some writers keep JPEG's mark */
    g_string_append_len (exif, "Exif\0\0", 6);
  put_exif (exif, FALSE, orientation);
  g_string_append (body, "EXIF");
  put_le (body, exif->len, 4);
  g_string_append_len (body, exif->str, exif->len);
  put_le (file, body->len, 4);
  g_string_append_len (file, body->str, body->len);
  clip_write_bytes (path, file->str, file->len);
}

/* irot counts quarters against the clock; imir 0 exchanges top and bottom, 1 left and right. -1: without. */
static void
avif_with_turn (const char *path, int turns, int mirror)
{
  g_autoptr (GString) file = g_string_new (NULL);
  GString *brands = g_string_new ("avif"), *meta = g_string_new (NULL), *item = g_string_new (NULL);
  GString *ipco = g_string_new (NULL), *ipma = g_string_new (NULL), *iprp = g_string_new (NULL), *size;
  guint n = (turns >= 0) + (mirror >= 0) + 1;

  put_be (brands, 0, 4);
  g_string_append (brands, "avifmif1");
  put_box (file, "ftyp", brands);
  put_be (meta, 0, 4);
  put_be (item, 0, 4);
  put_be (item, 1, 2);
  g_string_append_len (item, "\0\0", 2);
  put_box (meta, "pitm", item);
  size = g_string_new (NULL);
  put_be (size, 0, 4);
  put_be (size, 0, 8);
  put_box (ipco, "ispe", size);
  if (turns >= 0)
    put_box (ipco, "irot", g_string_new_len ((const char[]) { (char) turns }, 1));
  if (mirror >= 0)
    put_box (ipco, "imir", g_string_new_len ((const char[]) { (char) mirror }, 1));
  put_be (ipma, 0, 4);
  put_be (ipma, 2, 4);          /* two items; the first is not the primary one */
  put_be (ipma, 9, 2);
  put_be (ipma, 1, 1);
  put_be (ipma, 0x82, 1);
  put_be (ipma, 1, 2);
  put_be (ipma, n, 1);
  for (guint i = 1; i <= n; i++)
    put_be (ipma, i == 1 ? 1 : 0x80 | i, 1);
  put_box (iprp, "ipco", ipco);
  put_box (iprp, "ipma", ipma);
  put_box (meta, "iprp", iprp);
  put_box (file, "meta", meta);
  put_box (file, "mdat", g_string_new ("pixels"));
  clip_write_bytes (path, file->str, file->len);
}

static void
test_orientation (void)
{
  static const int turns[8] = { -1, -1, 2, -1, 1, 3, 1, 1 }, mirrors[8] = { -1, 1, -1, 0, 0, -1, 1, -1 };

  for (guint i = 1; i <= 8; i++) {
    g_autoptr (GString) tiff = g_string_new (NULL);
    TernContainer container;

    png_with_exif (at ("a.png"), i, FALSE);
    container = look (at ("a.png"), TERN_FILE_PNG);
    g_assert_cmpuint (container.orientation, ==, i);
    g_assert_cmpuint (container.width, ==, 40);
    g_assert_false (container.cut);
    webp_with_exif (at ("a.webp"), i, FALSE);
    container = look (at ("a.webp"), TERN_FILE_WEBP);
    g_assert_cmpuint (container.orientation, ==, i);
    g_assert_false (container.cut);
    put_exif (tiff, i % 2, i);
    clip_write_bytes (at ("a.tif"), tiff->str, tiff->len);
    container = look (at ("a.tif"), TERN_FILE_TIFF);
    g_assert_cmpuint (container.orientation, ==, i);
    avif_with_turn (at ("a.avif"), turns[i - 1], mirrors[i - 1]);
    container = look (at ("a.avif"), TERN_FILE_AVIF);
    g_assert_cmpuint (container.orientation, ==, i);
    g_assert_false (container.cut);
  }
}

/* One picture is a still, more are a film; none of it is decoded. */
static void
test_pictures (void)
{
  static const char *const codecs[] = { "gif", "apng" };
  TernContainer container;

  png_with_exif (at ("one.png"), 1, FALSE);
  container = look (at ("one.png"), TERN_FILE_PNG);
  g_assert_true (tern_container_is_still (TERN_FILE_PNG, &container));
  png_with_exif (at ("many.png"), 1, TRUE);
  container = look (at ("many.png"), TERN_FILE_PNG);
  g_assert_false (tern_container_is_still (TERN_FILE_PNG, &container));
  for (guint i = 0; i < G_N_ELEMENTS (codecs); i++) {
    for (guint frames = 1; frames <= 3; frames += 2) {
      ClipTrack track = { .codec = codecs[i], .width = 20, .height = 10, .frames = frames, .rate = 10 };
      g_autoptr (TernMedia) media = NULL;
      g_autoptr (GError) error = NULL;
      guint64 pts, duration;
      TernImage image;
      guint n = 0;

      clip_encode (at ("film"), codecs[i], &track, 1);
      g_assert_cmpint (tern_media_file_is_still (at ("film")), ==, frames == 1);
      media = tern_media_open (at ("film"), NULL, NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpint (tern_media_is_still (media), ==, frames == 1);
      while (tern_media_next (media, &image, &pts, &duration, &error) == TERN_MEDIA_FRAME)
        n++;
      g_assert_no_error (error);
      g_assert_cmpuint (n, ==, frames);
    }
  }
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static void
refused (const char *path, const char *what, const char *reader, gboolean is_other)
{
  g_autoptr (GError) error = NULL;
  gboolean other;
  TernMedia *media = tern_media_open (path, NULL, &other, &error);

  g_assert_null (media);
  if (!strstr (error->message, what) || (reader && !strstr (error->message, reader)))
    g_error ("\"%s\" does not say %s, %s", error->message, what, reader);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_cmpint (other, ==, is_other);
}

static void
test_names (void)
{
  static const struct {
    const char *bytes;
    gsize n;
    const char *what, *reader;
    gboolean other;
  } files[] = {
    { "\0\0\0\x18" "ftypheic\0\0\0\0mif1heic", 24, "a HEIC picture", "heif-convert", FALSE },
    { "\0\0\0\x18" "ftypmif1\0\0\0\0mif1heic", 24, "a HEIC picture", "heif-convert", FALSE },
    { "\0\0\0\x18" "ftypcrx \0\0\0\0crx isom", 24, "CR3", "raw converter", FALSE },
    { "%PDF-1.7\n%\xe2\xe3\n", 13, "a PDF document", "pdftoppm", TRUE },
    { "PK\3\4\x14\0\6\0", 8, "a ZIP archive", NULL, TRUE },
    { "gimp xcf v011\0", 14, "a GIMP file", "GIMP", FALSE },
    { "version https://git-lfs.github.com/spec/v1\noid ", 47, "a Git LFS pointer", "git lfs pull", TRUE },
    { "{ \"captions\": [] }\n", 19, "text", NULL, TRUE },
    { "1\n00:00:01,000 --> 00:00:02,000\nhello\n", 38, "text", NULL, TRUE },
    { "GGUF\3\0\0\0", 8, "a model file", NULL, TRUE },
    { "#EXTM3U\n#EXTINF:9,x\na.mkv\n", 27, "a player's playlist", "--files-from", FALSE },
    { "#EXTM3U\n#EXT-X-VERSION:3\n", 25, "a playlist", "--allow-network", FALSE },
  };
  g_autoptr (GString) huge = g_string_new_len ("\x89PNG\r\n\x1a\n", 8), header = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    clip_write_bytes (at ("thing"), files[i].bytes, files[i].n);
    refused (at ("thing"), files[i].what, files[i].reader, files[i].other);
  }
  webp_with_exif (at ("moving.webp"), 1, TRUE);
  refused (at ("moving.webp"), "an animated WebP", "ImageMagick", FALSE);
  put_be (header, 20000, 4);
  put_be (header, 15000, 4);
  put_be (header, 0x0100000000, 5);
  put_chunk (huge, "IHDR", header);
  g_string_set_size (header, 0);
  put_chunk (huge, "IDAT", header);
  put_chunk (huge, "IEND", header);
  clip_write_bytes (at ("huge.png"), huge->str, huge->len);
  refused (at ("huge.png"), "20000 x 15000: 300 million", "ImageMagick", FALSE);
}

static void
test_addresses (void)
{
  static const char *const addresses[] = { "http://127.0.0.1:9/a.mp4", "rtsp://someone:secret@127.0.0.1:9/live" };
  g_autofree char *name = tern_source_public_name (addresses[1]);

  g_assert_cmpstr (name, ==, "rtsp://127.0.0.1:9/live");
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (tern_media_open (addresses[i], NULL, NULL, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, "--allow-network"));
    g_assert_null (strstr (error->message, "secret"));
  }
  g_assert_false (tern_source_is_address ("C:/films/a.mp4"));
  g_assert_false (tern_source_is_address ("a:b.mp4"));
}

/* What libavcodec makes a wrong picture of without a word is refused; strips and DNG are its own affair. */
static void
test_tiff_unread (void)
{
  static const struct {
    guint16 entries[3][2];
    const char *unread;
  } cases[] = {
    { { { 0x0100, 8 }, { 0x0103, 1 }, { 0x0111, 8 } }, NULL }, { { { 0x0100, 8 }, { 0x0103, 5 }, { 0x0111, 8 } }, NULL },
    { { { 0x0100, 8 }, { 0x0103, 7 }, { 0x0111, 8 } }, " compressed as JPEG" },
    { { { 0x0100, 8 }, { 0x0103, 6 }, { 0x0111, 8 } }, " compressed as JPEG" },
    { { { 0x0100, 8 }, { 0x0103, 1 }, { 0x0144, 8 } }, " made of tiles" },
    { { { 0x0103, 7 }, { 0x0144, 8 }, { 0xc612, 1 } }, NULL },
  };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
    g_autoptr (GString) tiff = g_string_new (NULL);

    put_tiff (tiff, i & 1, cases[i / 2].entries, 3);
    clip_write_bytes (at ("a.tif"), tiff->str, tiff->len);
    g_assert_cmpstr (look (at ("a.tif"), TERN_FILE_TIFF).unread, ==, cases[i / 2].unread);
  }
}

/* ---- Hostile files ----------------------------------------------------------------------------------------------- */

static void
read_as_everything (void)
{
  static const TernFileType types[] = { TERN_FILE_JPEG, TERN_FILE_PNG, TERN_FILE_GIF, TERN_FILE_WEBP, TERN_FILE_TIFF,
    TERN_FILE_AVIF, TERN_FILE_BMFF, TERN_FILE_MATROSKA, TERN_FILE_AVI, TERN_FILE_ASF, TERN_FILE_FLV, TERN_FILE_OGG,
    TERN_FILE_MPEG_TS, TERN_FILE_MPEG_PS, TERN_FILE_MXF };
  g_autoptr (TernSource) source = tern_source_open (at ("abused"), FALSE, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    TernContainer container = tern_container_read (source, types[i]);

    g_assert_cmpuint (container.orientation, <=, 8);
  }
  tern_file_kind (source);
  tern_container_needs_seeking (source, TERN_FILE_BMFF);
}

/* Every length of a file, and every byte of it changed: nothing is read that is not there, and all of it ends. */
static void
abuse (const char *path)
{
  g_autofree char *bytes = NULL;
  gsize n;
  int fd;

  g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
  n = MIN (n, 300);
  clip_write_bytes (at ("abused"), bytes, n);
  fd = g_open (at ("abused"), O_RDWR, 0);
  g_assert_cmpint (fd, >=, 0);
  for (gsize i = 0; i < n; i++) {
    const char changed[] = { (char) 0xff, (char) (bytes[i] ^ 1 << i % 8), bytes[i] };

    for (guint k = 0; k < G_N_ELEMENTS (changed); k++) {
      g_assert_cmpint (pwrite (fd, &changed[k], 1, i), ==, 1);
      read_as_everything ();
    }
  }
  for (gsize i = n - 1; i > 0; i--) {
    g_assert_cmpint (ftruncate (fd, i), ==, 0);
    read_as_everything ();
  }
  close (fd);
}

static void
test_hostile (void)
{
  static const struct {
    const char *format, *codec;
  } films[] = { { "matroska", "mpeg4" }, { "avi", "mpeg4" }, { "flv", "flv" }, { "asf", "mpeg4" }, { "mxf", "mpeg2video" },
    { "mp4", "mpeg4" }, { "gif", "gif" }, { "mpegts", "mpeg2video" }, { "mpeg", "mpeg2video" }, { "mjpeg", "mjpeg" } };
  g_autoptr (GString) tiff = g_string_new (NULL);

  png_with_exif (at ("a.png"), 6, TRUE);
  abuse (at ("a.png"));
  webp_with_exif (at ("a.webp"), 6, FALSE);
  abuse (at ("a.webp"));
  avif_with_turn (at ("a.avif"), 1, 1);
  abuse (at ("a.avif"));
  put_exif (tiff, TRUE, 6);
  clip_write_bytes (at ("a.tif"), tiff->str, tiff->len);
  abuse (at ("a.tif"));
  for (guint i = 0; i < G_N_ELEMENTS (films); i++) {
    ClipTrack track = { .codec = films[i].codec, .width = 64, .height = 48, .frames = 2, .rate = 25 };

    clip_encode (at ("film"), films[i].format, &track, 1);
    abuse (at ("film"));
  }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("tern-container-XXXXXX", NULL);
  g_assert_nonnull (folder);
  g_test_add_func ("/container/orientation", test_orientation);
  g_test_add_func ("/container/pictures", test_pictures);
  g_test_add_func ("/container/tiff-unread", test_tiff_unread);
  g_test_add_func ("/container/names", test_names);
  g_test_add_func ("/container/addresses", test_addresses);
  g_test_add_func ("/container/hostile", test_hostile);
  status = g_test_run ();
  clip_remove_folder (folder);
  g_free (folder);
  return status;
}
