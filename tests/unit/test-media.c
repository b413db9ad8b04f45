/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files to frames: kinds, times, pixels, and what is no picture. */
#include <glib/gstdio.h>
#include <string.h>

#include "tern/error.h"
#include "tests/unit/clip.h"
#include "tools/media.h"

static char *folder;

static char *
in_folder (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

static TernMedia *
open_media (const char *path)
{
  g_autoptr (GError) error = NULL;
  TernMedia *media = tern_media_open (path, NULL, NULL, &error);

  g_assert_no_error (error);
  return media;
}

static void
test_video (void)
{
  g_autofree char *path = in_folder ("clip.y4m");
  g_autoptr (TernMedia) media = NULL;
  g_autoptr (GError) error = NULL;
  guint64 pts, duration;
  TernImage image;
  guint n = 0;

  clip_write_y4m (path, 48, 32, "25:2", 20, 0);
  media = open_media (path);
  g_assert_false (tern_media_is_still (media));
  while (tern_media_next (media, &image, &pts, &duration, &error) == TERN_MEDIA_FRAME) {
    g_assert_cmpint (image.format, ==, TERN_IMAGE_I420);
    g_assert_cmpuint (image.width, ==, 48);
    g_assert_cmpuint (image.height, ==, 32);
    g_assert_false (image.full_range);
    g_assert_cmpuint (image.data[0][0], ==, 16 + 8 * n);
    g_assert_cmpuint (image.data[0][31 * image.stride[0] + 47], ==, 16 + 8 * n);
    g_assert_cmpuint (pts, ==, n * 80000000u);
    g_assert_cmpuint (duration, ==, 80000000u);
    n++;
  }
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 20);
}

static void
test_still (void)
{
  /* No pattern of numbers, no protocol. */
  static const char *const names[] = { "still.ppm", "50%d.ppm", "pipe:1.ppm" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = in_folder (names[i]);
    g_autoptr (TernMedia) media = NULL;
    g_autoptr (GError) error = NULL;
    guint64 pts, duration;
    TernImage image;

    clip_write_ppm (path, 40, 20);
    media = open_media (path);
    g_assert_true (tern_media_is_still (media));
    g_assert_cmpint (tern_media_next (media, &image, &pts, &duration, &error), ==, TERN_MEDIA_FRAME);
    g_assert_cmpint (image.format, ==, TERN_IMAGE_RGB);
    g_assert_cmpmem (image.data[0] + 13 * image.stride[0] + 3 * 37, 3, "\x25\x0d\x80", 3);
    g_assert_cmpint (tern_media_next (media, &image, &pts, &duration, &error), ==, TERN_MEDIA_END);
    g_assert_no_error (error);
  }
}

/* The first picture of @path lies as @width x @height and stands as @orientation says. */
static void
first_image (const char *path, guint width, guint height, guint orientation)
{
  g_autoptr (TernMedia) media = open_media (path);
  g_autoptr (GError) error = NULL;
  guint64 pts, duration;
  TernImage image;

  g_assert_cmpint (tern_media_next (media, &image, &pts, &duration, &error), ==, TERN_MEDIA_FRAME);
  g_assert_no_error (error);
  g_assert_cmpuint (image.width, ==, width);
  g_assert_cmpuint (image.height, ==, height);
  g_assert_cmpuint (image.orientation, ==, orientation);
}

static void
test_gray (void)
{
  g_autofree char *path = in_folder ("gray.pgm"), *deep = in_folder ("deep.pgm"), *film = in_folder ("gray.y4m");
  const char *const paths[] = { path, deep, film };
  static const char limited[] = "YUV4MPEG2 W2 H2 F1:1 Cmono XCOLORRANGE=LIMITED\nFRAME\n\x10\x2b\xb5\xeb";

  clip_write_bytes (film, limited, sizeof limited - 1);
  clip_write_bytes (path, "P5\n2 2\n255\n\x00\x20\xc0\xff", 15);
  clip_write_bytes (deep, "P5\n2 2\n65535\n\x00\x00\x20\x20\xc0\xc0\xff\xff", 21);
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_autoptr (TernMedia) media = open_media (paths[i]);
    g_autoptr (GError) error = NULL;
    guint64 pts, duration;
    TernImage image;
    gsize step;

    g_assert_cmpint (tern_media_next (media, &image, &pts, &duration, &error), ==, TERN_MEDIA_FRAME);
    g_assert_no_error (error);
    step = image.format == TERN_IMAGE_GRAY8 ? 1 : 3;
    g_assert_cmpuint (image.data[0][0], ==, 0);
    g_assert_cmpint (ABS (image.data[0][step] - 0x20), <=, 1);
    g_assert_cmpint (ABS (image.data[0][image.stride[0]] - 0xc0), <=, 1);
    g_assert_cmpuint (image.data[0][image.stride[0] + step], ==, 0xff);
  }
}

/* What can be seen through is shown on white; where nothing else is there, alpha means nothing. */
static void
test_clear (void)
{
  static const guint8 pixels[2][8] = { { 0, 0, 0, 0, 255, 0, 0, 51 }, { 10, 20, 30, 0, 40, 50, 60, 0 } };
  static const guint8 expected[2][6] = { { 255, 255, 255, 255, 204, 204 }, { 10, 20, 30, 40, 50, 60 } };
  g_autofree char *path = in_folder ("clear.pam");

  for (guint i = 0; i < 2; i++) {
    g_autoptr (GString) file = g_string_new ("P7\nWIDTH 2\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n");
    g_autoptr (TernMedia) media = NULL;
    g_autoptr (GError) error = NULL;
    guint64 pts, duration;
    TernImage image;

    g_string_append_len (file, (const char *) pixels[i], sizeof pixels[i]);
    clip_write_bytes (path, file->str, file->len);
    media = open_media (path);
    g_assert_cmpint (tern_media_next (media, &image, &pts, &duration, &error), ==, TERN_MEDIA_FRAME);
    g_assert_no_error (error);
    g_assert_cmpint (image.format, ==, TERN_IMAGE_RGB);
    g_assert_cmpmem (image.data[0], 6, expected[i], 6);
  }
}

static void
refused (const char *name, int code, const char *what)
{
  g_autofree char *path = in_folder (name);
  g_autoptr (GError) error = NULL;
  TernMedia *media = tern_media_open (path, NULL, NULL, &error);
  TernMediaStatus status = media ? TERN_MEDIA_FRAME : TERN_MEDIA_FAILED;
  guint64 pts, duration;
  TernImage image;

  while (status == TERN_MEDIA_FRAME)
    status = tern_media_next (media, &image, &pts, &duration, &error);
  g_assert_cmpint (status, ==, TERN_MEDIA_FAILED);
  g_assert_error (error, TERN_ERROR, code);
  g_assert_nonnull (strstr (error->message, name));
  if (!strstr (error->message, what))
    g_error ("\"%s\" does not say %s", error->message, what);
  tern_media_free (media);
}

/* A JPEG of 32 x 16 with EXIF's orientation, which is told and not applied. */
static void
test_upright (void)
{
  static const char jpeg[] =
    "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAAoHBwgHBgoICAgL"
    "CgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/wAALCAAQACABAREA/8QAFgAB"
    "AQEAAAAAAAAAAAAAAAAAAAYH/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAAPwDORUCoFgP/2Q==";
  g_autofree char *path = in_folder ("upright.jpg");
  gsize len;
  g_autofree guchar *bytes = g_base64_decode (jpeg, &len);

  for (guint i = 1; i <= 8; i++) {
    bytes[49] = (guchar) i;
    clip_write_bytes (path, (const char *) bytes, len);
    first_image (path, 32, 16, i);
  }
}

/* The bottom row comes first: the picture is told to stand on its head. */
static void
test_float_map (void)
{
  static const char *const heads[] = { "PF\n4 3\n-1.0\n", "PF 4 3 -1\n" };

  for (guint i = 0; i < G_N_ELEMENTS (heads); i++) {
    g_autofree char *path = in_folder ("a.pfm");
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    float one = 1;
    guint32 bits;

    memcpy (&bits, &one, 4);
    bits = GUINT32_TO_LE (bits);
    g_byte_array_append (bytes, (const guint8 *) heads[i], strlen (heads[i]));
    for (guint k = 0; k < 4 * 3 * 3; k++)
      g_byte_array_append (bytes, (const guint8 *) &bits, 4);
    clip_write_bytes (path, (const char *) bytes->data, bytes->len);
    first_image (path, 4, 3, 4);
  }
}

/* Half red, half blue, of which 8 x 6 of the blue are shown:
 * convert -size 8x8 xc:red xc:blue +append tiny.png; avifenc -l -y 444 --crop 8,2,8,6 tiny.png tiny.avif */
static void
test_aperture (void)
{
  static const char avif[] =
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAAEbbWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA"
    "AGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABQwAAADEAAAAoaWluZgAAAAAAAQAAABppbmZl"
    "AgAAAAABAABhdjAxQ29sb3IAAAAAk2lwcnAAAABzaXBjbwAAABRpc3BlAAAAAAAAABAAAAAIAAAAEHBpeGkAAAAAAwgICAAAAAxh"
    "djFDgSAAAAAAABNjb2xybmNseAABAA0AAIAAAAAoY2xhcAAAAAgAAAABAAAABgAAAAEAAAAEAAAAAQAAAAEAAAABAAAAGGlwbWEA"
    "AAAAAAAAAQABBQECgwSFAAAAOW1kYXQSAAoIOAy/sICGgBAyIxAAAMsdrGZgXKH14eBZ0IOf7lg+dUuw/hYmJoWncYGRDUHL";
  g_autofree char *path = in_folder ("tiny.avif");
  g_autoptr (TernMedia) media = NULL;
  g_autoptr (GError) error = NULL;
  guint64 pts, duration;
  TernImage image;
  gsize len;
  g_autofree guchar *bytes = g_base64_decode (avif, &len);

  clip_write_bytes (path, (const char *) bytes, len);
  media = tern_media_open (path, NULL, NULL, &error);
  if (!media || tern_media_next (media, &image, &pts, &duration, &error) != TERN_MEDIA_FRAME) {
    g_test_skip ("this libavcodec reads no AV1");
    return;
  }
  g_assert_cmpint (image.format, ==, TERN_IMAGE_RGB);
  g_assert_cmpuint (image.width, ==, 8);
  g_assert_cmpuint (image.height, ==, 6);
  for (guint y = 0; y < 6; y++) {
    const guint8 *row = image.data[0] + y * image.stride[0];

    for (guint x = 0; x < 8; x++)
      g_assert_true (row[3 * x] < 8 && row[3 * x + 1] < 8 && row[3 * x + 2] > 247);
  }
}

/* Half red, half blue, as Y, Cg and Co:
 * convert -size 8x8 xc:red xc:blue +append tiny.png; avifenc --cicp 1/13/8 -y 444 --min 0 --max 10 tiny.png tiny.avif */
static void
test_ycgco (void)
{
  static const char avif[] =
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADybWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAGxp"
    "YmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABGgAAACYAAAAoaWluZgAAAAAAAQAAABppbmZlAgAAAAAB"
    "AABhdjAxQ29sb3IAAAAAamlwcnAAAABLaXBjbwAAABRpc3BlAAAAAAAAABAAAAAIAAAAEHBpeGkAAAAAAwgICAAAAAxhdjFDgSAAAAAA"
    "ABNjb2xybmNseAABAA0ACIAAAAAXaXBtYQAAAAAAAAABAAEEAQKDBAAAAC5tZGF0EgAKCDgMv7CAhoRIMhgRQAAAQLcRca19rPm7SOUV"
    "0I0/V5An8HA=";
  g_autofree char *path = in_folder ("ycgco.avif");
  g_autoptr (TernMedia) media = NULL;
  g_autoptr (GError) error = NULL;
  guint64 pts, duration;
  TernImage image;
  gsize len;
  g_autofree guchar *bytes = g_base64_decode (avif, &len);

  clip_write_bytes (path, (const char *) bytes, len);
  media = tern_media_open (path, NULL, NULL, &error);
  if (!media || tern_media_next (media, &image, &pts, &duration, &error) != TERN_MEDIA_FRAME) {
    g_test_skip ("this libavcodec reads no AV1");
    return;
  }
  g_assert_cmpint (image.format, ==, TERN_IMAGE_RGB);
  for (guint y = 0; y < 8; y++) {
    const guint8 *red = image.data[0] + y * image.stride[0] + 3 * 2, *blue = red + 3 * 11;

    g_assert_true (red[0] > 245 && red[1] < 10 && red[2] < 10);
    g_assert_true (blue[0] < 10 && blue[1] < 10 && blue[2] > 245);
  }
}

static void
test_refused (void)
{
  g_autofree char *empty = in_folder ("empty.mp4"), *sound = in_folder ("sound.wav"), *tiny = in_folder ("tiny.y4m");
  g_autofree char *text = in_folder ("text.mp4"), *cut = in_folder ("cut.ppm");

  clip_write_bytes (empty, "", 0);
  clip_write_wav (sound);
  clip_write_y4m (tiny, 1, 1, "10:1", 3, 0);
  clip_write_bytes (text, "no video at all\n", 16);
  clip_write_bytes (cut, "P6\n40 20\n255\n", 13);
  refused ("nothing.mp4", TERN_ERROR_NOT_FOUND, "No such file");
  refused ("empty.mp4", TERN_ERROR_FORMAT, "an empty file");
  refused ("sound.wav", TERN_ERROR_FORMAT, "only sound");
  refused ("tiny.y4m", TERN_ERROR_UNSUPPORTED, "found 1 x 1");
  refused ("text.mp4", TERN_ERROR_FORMAT, "found text");
  refused ("cut.ppm", TERN_ERROR_FORMAT, "not one frame");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("tern-media-XXXXXX", NULL);
  g_assert_nonnull (folder);
  g_test_add_func ("/media/video", test_video);
  g_test_add_func ("/media/still", test_still);
  g_test_add_func ("/media/gray", test_gray);
  g_test_add_func ("/media/clear", test_clear);
  g_test_add_func ("/media/upright", test_upright);
  g_test_add_func ("/media/float-map", test_float_map);
  g_test_add_func ("/media/ycgco", test_ycgco);
  g_test_add_func ("/media/aperture", test_aperture);
  g_test_add_func ("/media/refused", test_refused);
  status = g_test_run ();
  {
    g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name (dir))) {
      g_autofree char *path = in_folder (name);

      g_unlink (path);
    }
  }
  g_rmdir (folder);
  g_free (folder);
  return status;
}
