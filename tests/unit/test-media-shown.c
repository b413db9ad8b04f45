/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which part of a film's pictures is shown, in which shape, and how it is turned: what containers say and libavformat does not. */
#include <string.h>

#include <glib/gstdio.h>
#include <libavformat/avformat.h>

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

/* @image is its first one, and lives as long as what is returned. */
static TernMedia *
first_image (const char *path, TernImage *image)
{
  g_autoptr (GError) error = NULL;
  TernMedia *media = tern_media_open (path, NULL, NULL, &error);
  guint64 pts, duration;

  g_assert_no_error (error);
  g_assert_cmpint (tern_media_next (media, image, &pts, &duration, &error), ==, TERN_MEDIA_FRAME);
  return media;
}

/* ---- Matroska ---------------------------------------------------------------------------------------------------- */

static void
put_number (GByteArray *out, guint64 value, guint bytes)
{
  for (guint i = bytes; i-- > 0;)
    g_byte_array_append (out, (const guint8[]) { (guint8) (value >> 8 * i) }, 1);
}

/* Starts an element of Matroska whose size is told in four bytes; what is put until close_element() is in it. */
static guint
open_element (GByteArray *out, guint32 id)
{
  put_number (out, id, id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1);
  put_number (out, 0, 4);
  return out->len;
}

static void
close_element (GByteArray *out, guint begin)
{
  guint32 size = GUINT32_TO_BE ((out->len - begin) | 0x10000000);

  memcpy (out->data + begin - 4, &size, 4);
}

static void
put_element (GByteArray *out, guint32 id, const void *data, guint n)
{
  guint begin = open_element (out, id);

  g_byte_array_append (out, data, n);
  close_element (out, begin);
}

static void
put_uint (GByteArray *out, guint32 id, guint value)
{
  put_element (out, id, (const guint8[]) { (guint8) (value >> 8), (guint8) value }, 2);
}

/* A Matroska file of one track of one picture, a JPEG of 32 x 16, of which @video says what is shown: pairs of an element's id and
 * its value; @angles, unless NULL, its projection's yaw, pitch and roll. */
static void
write_matroska (const char *path, const guint (*video)[2], guint n, const float *angles)
{
  static const char jpeg[] =
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+"
    "JS5ESUM8SDc9Pjv/wAALCAAQACABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAAAAYH/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAA"
    "PwDORUCoFgP/2Q==";
  static const guint8 block_head[] = { 0x81, 0, 0, 0x80 };
  g_autoptr (GByteArray) out = g_byte_array_new (), block = g_byte_array_new ();
  guint segment, part, track, shown;
  gsize len;
  g_autofree guchar *picture = g_base64_decode (jpeg, &len);

  part = open_element (out, 0x1a45dfa3);
  put_element (out, 0x4282, "matroska", 8);
  close_element (out, part);
  segment = open_element (out, 0x18538067);
  part = open_element (out, 0x1654ae6b);
  track = open_element (out, 0xae);
  put_uint (out, 0xd7, 1);
  put_uint (out, 0x73c5, 1);
  put_uint (out, 0x83, 1);
  put_element (out, 0x86, "V_MJPEG", 7);
  shown = open_element (out, 0xe0);
  put_uint (out, 0xb0, 32);
  put_uint (out, 0xba, 16);
  for (guint i = 0; i < n; i++)
    put_uint (out, video[i][0], video[i][1]);
  if (angles) {
    guint projection = open_element (out, 0x7670);

    put_uint (out, 0x7671, 0);
    for (guint i = 0; i < 3; i++) {
      guint32 bits;

      memcpy (&bits, &angles[i], 4);
      bits = GUINT32_TO_BE (bits);
      put_element (out, 0x7673 + i, &bits, 4);
    }
    close_element (out, projection);
  }
  close_element (out, shown);
  close_element (out, track);
  close_element (out, part);
  part = open_element (out, 0x1f43b675);
  put_uint (out, 0xe7, 0);
  g_byte_array_append (block, block_head, sizeof block_head);
  g_byte_array_append (block, picture, (guint) len);
  put_element (out, 0xa3, block->data, block->len);
  close_element (out, part);
  close_element (out, segment);
  clip_write_bytes (path, (const char *) out->data, out->len);
}

enum { CROP_BOTTOM = 0x54aa, CROP_TOP = 0x54bb, CROP_LEFT = 0x54cc, CROP_RIGHT = 0x54dd, SHOWN_WIDTH = 0x54b0, SHOWN_HEIGHT = 0x54ba };

static void
test_matroska_shown (void)
{
  static const struct {
    guint video[6][2], n;
    guint width, height, aspect_n, aspect_d;    /* what is to be looked at; 0: square */
  } cases[] = {
    { { { CROP_LEFT, 4 }, { CROP_RIGHT, 6 }, { CROP_TOP, 2 }, { CROP_BOTTOM, 0 } }, 4, 22, 14, 1, 1 },
    { { { CROP_LEFT, 8 }, { CROP_RIGHT, 8 }, { SHOWN_WIDTH, 16 }, { SHOWN_HEIGHT, 16 } }, 4, 16, 16, 1, 1 },
    { { { CROP_LEFT, 8 }, { CROP_RIGHT, 8 }, { SHOWN_WIDTH, 64 }, { SHOWN_HEIGHT, 36 } }, 4, 16, 16, 16, 9 },
    { { { CROP_TOP, 4 }, { CROP_BOTTOM, 4 } }, 2, 32, 8, 1, 1 },
    { { { SHOWN_WIDTH, 16 }, { SHOWN_HEIGHT, 16 } }, 2, 32, 16, 1, 2 },
    { { { CROP_TOP, 9 }, { CROP_BOTTOM, 7 } }, 2, 32, 16, 1, 1 },       /* nothing would be left: FFmpeg 7.1 refuses it */
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases) - (avformat_version () >= AV_VERSION_INT (61, 7, 0)); i++) {
    g_autoptr (TernMedia) media = NULL;
    TernImage image;

    write_matroska (at ("shown.mkv"), cases[i].video, cases[i].n, NULL);
    media = first_image (at ("shown.mkv"), &image);
    g_assert_cmpuint (image.width, ==, cases[i].width);
    g_assert_cmpuint (image.height, ==, cases[i].height);
    g_assert_cmpuint (MAX (image.pixel_aspect_n, 1) * cases[i].aspect_d, ==, MAX (image.pixel_aspect_d, 1) * cases[i].aspect_n);
  }
}

/* Degrees against the clock; from behind, which is a mirror, before that. A picture on a sphere is none to turn. */
static void
test_matroska_turned (void)
{
  static const struct {
    float angles[3];
    guint orientation;
  } cases[] = {
    { { 0, 0, 90 }, 8 }, { { 0, 0, -90 }, 6 }, { { 0, 0, 180 }, 3 }, { { 0, 0, -180 }, 3 }, { { 0, 0, 80 }, 8 }, { { 0, 0, 0 }, 1 },
    { { 180, 0, 0 }, 2 }, { { -180, 0, 180 }, 4 }, { { 180, 0, 90 }, 5 }, { { 0, 30, 90 }, 1 }, { { 20, 0, 90 }, 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (TernMedia) media = NULL;
    TernImage image;

    write_matroska (at ("turned.mkv"), NULL, 0, cases[i].angles);
    media = first_image (at ("turned.mkv"), &image);
    if (image.orientation != cases[i].orientation)
      g_error ("yaw %g, pitch %g, roll %g: expected %u, found %u", (double) cases[i].angles[0], (double) cases[i].angles[1],
          (double) cases[i].angles[2], cases[i].orientation, image.orientation);
  }
}

/* A description in itself, again and again. */
static void
test_matroska_deep (void)
{
  enum { DEPTH = 100000 };
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autofree guint *begins = g_new (guint, DEPTH);
  guint segment, tracks, track;
  TernMedia *media;

  put_element (out, 0x1a45dfa3, "\x42\x82\x88matroska", 11);
  segment = open_element (out, 0x18538067);
  tracks = open_element (out, 0x1654ae6b);
  track = open_element (out, 0xae);
  put_uint (out, 0x83, 1);
  for (guint i = 0; i < DEPTH; i++)
    begins[i] = open_element (out, i % 2 ? 0x7670 : 0xe0);
  for (guint i = DEPTH; i-- > 0;)
    close_element (out, begins[i]);
  close_element (out, track);
  close_element (out, tracks);
  close_element (out, segment);
  clip_write_bytes (at ("deep.mkv"), (const char *) out->data, out->len);
  media = tern_media_open (at ("deep.mkv"), NULL, NULL, NULL);
  g_assert_null (media);
}

/* ---- QuickTime --------------------------------------------------------------------------------------------------- */

/* Puts `clap` behind the description of the pictures of the only track in @bytes, whose `moov` comes last. */
static GByteArray *
add_clap (const char *bytes, gsize n, const guint32 *numbers)
{
  static const char *const path[] = { "moov", "trak", "mdia", "minf", "stbl", "stsd", "mp4v" };
  GByteArray *out = g_byte_array_new ();
  guint at = 0, i;

  g_byte_array_append (out, (const guint8 *) bytes, (guint) n);
  for (i = 0; i < G_N_ELEMENTS (path); i++) {
    guint32 size;

    while (memcmp (out->data + at + 4, path[i], 4) != 0) {
      memcpy (&size, out->data + at, 4);
      at += GUINT32_FROM_BE (size);
      g_assert_cmpuint (at + 8, <, n);
    }
    memcpy (&size, out->data + at, 4);
    size = GUINT32_FROM_BE (size) + 40;
    size = GUINT32_TO_BE (size);
    memcpy (out->data + at, &size, 4);
    at += g_str_equal (path[i], "stsd") ? 16 : 8;
  }
  g_byte_array_set_size (out, (guint) n + 40);
  memmove (out->data + at + 78 + 40, out->data + at + 78, n - at - 78);
  memcpy (out->data + at + 78, "\0\0\0\x28" "clap", 8);
  for (i = 0; i < 8; i++) {
    guint32 value = GUINT32_TO_BE (numbers[i]);

    memcpy (out->data + at + 78 + 8 + 4 * i, &value, 4);
  }
  return out;
}

static const guint8 *
sample (const TernImage *image, guint plane, guint x, guint y)
{
  return image->data[plane] + (gssize) y * image->stride[plane] + x;
}

/* The middle of 41 x 30 pixels lies 2.5 to the right of the whole's and 3 above it. */
static void
test_clap (void)
{
  static const guint32 numbers[8] = { 41, 1, 30, 1, 5, 2, (guint32) -3, 1 };
  const guint left = 14, top = 6;       /* (64 - 41) / 2 + 2.5; (48 - 30) / 2 - 3 */
  static const ClipTrack film = { .codec = "mpeg4", .width = 64, .height = 48, .frames = 20, .rate = 10 };
  g_autoptr (TernMedia) whole = NULL, clap = NULL;
  g_autoptr (GByteArray) changed = NULL;
  g_autofree char *bytes = NULL;
  TernImage images[2];
  gsize n;

  clip_encode (at ("whole.mov"), "mov", &film, 1);
  g_assert_true (g_file_get_contents (at ("whole.mov"), &bytes, &n, NULL));
  changed = add_clap (bytes, n, numbers);
  clip_write_bytes (at ("clap.mov"), (const char *) changed->data, changed->len);
  whole = first_image (at ("whole.mov"), &images[0]);
  clap = first_image (at ("clap.mov"), &images[1]);
  g_assert_cmpuint (images[0].width, ==, 64);
  g_assert_cmpuint (images[1].width, ==, 41);
  g_assert_cmpuint (images[1].height, ==, 30);
  g_assert_cmpint (images[1].format, ==, TERN_IMAGE_I420);
  for (guint plane = 0; plane < 3; plane++)
    for (guint y = 0; y < (plane ? 15 : 30); y++)
      for (guint x = 0; x < (plane ? 21 : 41); x++)
        g_assert_cmpuint (*sample (&images[1], plane, x, y), ==,
            *sample (&images[0], plane, x + (plane ? left / 2 : left), y + (plane ? top / 2 : top)));
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("tern-media-shown-XXXXXX", NULL);
  g_assert_nonnull (folder);
  g_test_add_func ("/media-shown/matroska-part", test_matroska_shown);
  g_test_add_func ("/media-shown/matroska-turned", test_matroska_turned);
  g_test_add_func ("/media-shown/matroska-deep", test_matroska_deep);
  g_test_add_func ("/media-shown/clap", test_clap);
  status = g_test_run ();
  clip_remove_folder (folder);
  g_free (folder);
  return status;
}
