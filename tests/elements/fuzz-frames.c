/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Video frames as no camera makes them, on the way that ternencoder looks at them: caps -> GstVideoInfo -> buffer with or
 * without GstVideoMeta -> gst_tern_frame_map() -> the gate's cells and the resizer of vision/. Every buffer's memory ends at
 * (or begins after) a page that may not be touched, so that a read outside of it is a crash without any sanitizer. What is
 * mapped must be taken or refused with an error; nothing else.
 *
 *   fuzz-frames [CASES [SEED]]      default 40000 1; under -Db_sanitize=address,undefined an hour is about 1e7 cases */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gst/video/video.h>

#include "gst-plugin/gstternframe.h"
#include "vision/gate.h"
#include "vision/internal.h"

/* ---- Memory between forbidden pages ------------------------------------------------------------------------------ */

typedef struct {
  guint8 *map;
  gsize size;
} Guarded;

static void
guarded_free (gpointer data)
{
  Guarded *guarded = data;

  munmap (guarded->map, guarded->size);
  g_free (guarded);
}

static GstMemory *
guarded_memory (gsize bytes, gboolean at_start)
{
  gsize page = (gsize) sysconf (_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
  Guarded *guarded = g_new (Guarded, 1);
  guint8 *data;

  guarded->size = room + 2 * page;
  guarded->map = mmap (NULL, guarded->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_assert_true (guarded->map != MAP_FAILED);
  g_assert_cmpint (mprotect (guarded->map, page, PROT_NONE), ==, 0);
  g_assert_cmpint (mprotect (guarded->map + page + room, page, PROT_NONE), ==, 0);
  data = guarded->map + page + (at_start ? 0 : room - bytes);
  memset (data, 0x5a, bytes);
  return gst_memory_new_wrapped (GST_MEMORY_FLAG_READONLY, data, bytes, 0, bytes, guarded, guarded_free);
}

/* ---- Cases ------------------------------------------------------------------------------------------------------- */

static const char *const formats[] = { "RGB", "BGR", "RGBx", "BGRx", "RGBA", "BGRA", "GRAY8", "I420", "NV12", "I420_10LE",
  "P010_10LE", "YV12", "NV21", "GRAY16_LE", "Y42B" };
static const char *const modes[] = { "progressive", "progressive", "interleaved", "mixed", "fields", "alternate",
  "alternate" };
static const char *const colours[] = { "bt601", "bt709", "bt2020", "bt2100-pq", "bt2100-hlg", "smpte240m", "sRGB", "2:4:7:1",
  "1:6:14:7", "0:0:0:0" };
static const char *const aspects[] = { "1/1", "1/1", "16/15", "8/9", "2/1", "1/65535", "65535/1", "2147483647/1",
  "1/2147483647", "2147483647/2147483646" };
static const guint sides[] = { 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 255, 256, 257, 720, 4099 };

#define PICK(rand, list) (list)[g_rand_int_range (rand, 0, G_N_ELEMENTS (list))]

static GstCaps *
make_caps (GRand *rand)
{
  const char *mode = PICK (rand, modes);
  gboolean one_in_20 = g_rand_int_range (rand, 0, 20) == 0;
  guint width = PICK (rand, sides), height = PICK (rand, sides);
  g_autofree char *text = NULL;

  if (width * height > 300000)
    width = 16;
  text = g_strdup_printf ("video/x-raw%s, format=%s, width=%u, height=%u, framerate=25/1, interlace-mode=%s, colorimetry=%s, "
      "pixel-aspect-ratio=%s", g_str_equal (mode, "alternate") != one_in_20 ? "(format:Interlaced)" : "",
      PICK (rand, formats), width, height, mode, PICK (rand, colours), PICK (rand, aspects));
  return gst_caps_from_string (text);
}

static gint
near (GRand *rand, gint value)
{
  switch (g_rand_int_range (rand, 0, 8)) {
    case 0:
      return value + g_rand_int_range (rand, -3, 4);
    case 1:
      return -value;
    case 2:
      return value * g_rand_int_range (rand, 0, 5);
    case 3:
      return (gint) g_rand_int (rand);
    case 4:
      return 0;
    default:
      return value;
  }
}

/* A meta that is right, or is not: the fields are written behind the back of gst_buffer_add_video_meta_full(). */
static void
add_meta (GRand *rand, GstBuffer *buffer, GstVideoInfo *info)
{
  GstVideoMeta *meta = gst_buffer_add_video_meta_full (buffer, 0, GST_VIDEO_INFO_FORMAT (info), GST_VIDEO_INFO_WIDTH (info),
      GST_VIDEO_INFO_HEIGHT (info), GST_VIDEO_INFO_N_PLANES (info), info->offset, info->stride);
  guint i;

  g_assert_nonnull (meta);
  if (g_rand_boolean (rand))
    return;
  for (i = 0; i < GST_VIDEO_MAX_PLANES; i++) {
    if (g_rand_int_range (rand, 0, 4) == 0)
      meta->stride[i] = near (rand, meta->stride[i]);
    if (g_rand_int_range (rand, 0, 4) == 0)
      meta->offset[i] = (gsize) (gssize) near (rand, (gint) meta->offset[i]);
  }
  if (g_rand_int_range (rand, 0, 6) == 0)
    meta->n_planes = (guint) g_rand_int_range (rand, 0, 5);
  if (g_rand_int_range (rand, 0, 6) == 0)
    meta->width = (guint) near (rand, (gint) meta->width);
  if (g_rand_int_range (rand, 0, 6) == 0)
    meta->height = (guint) near (rand, (gint) meta->height);
  if (g_rand_int_range (rand, 0, 8) == 0)
    meta->format = (GstVideoFormat) g_rand_int_range (rand, 0, 30);
}

/* In one to three pieces, of the right size or not. */
static GstBuffer *
make_buffer (GRand *rand, GstVideoInfo *info)
{
  GstBuffer *buffer = gst_buffer_new ();
  gsize size = MAX (info->size, 1);
  guint pieces = g_rand_int_range (rand, 0, 4) == 0 ? (guint) g_rand_int_range (rand, 2, 4) : 1, i;
  gboolean at_start = g_rand_int_range (rand, 0, 4) == 0;

  if (g_rand_int_range (rand, 0, 3) == 0) {
    gint64 other = (gint64) size + g_rand_int_range (rand, -40, 40);

    size = (gsize) MAX (other, 1);
  }
  for (i = 0; i < pieces; i++) {
    gsize part = i + 1 < pieces ? size * (gsize) g_rand_int_range (rand, 1, 100) / 100 : size;

    part = CLAMP (part, 1, size);
    gst_buffer_append_memory (buffer, guarded_memory (part, at_start));
    size -= part;
    if (size == 0)
      break;
  }
  if (g_rand_boolean (rand))
    add_meta (rand, buffer, info);
  return buffer;
}

/* ---- The way ----------------------------------------------------------------------------------------------------- */

#define SIDE 16

typedef struct {
  TernResizer resizer;
  TernPool *pool;
  GstTernRoom room;
  guint8 planes[3][SIDE * SIDE];
  guint64 taken, refused, no_info;
} Way;

static void
look (Way *way, TernImage *image, guint shift, GRand *rand)
{
  TernVisionPlan plan = { .n = 1, .fixed = TRUE, .sub = { { .width = SIDE, .height = SIDE } } };
  TernVisionOptions options = { .scaling = (TernScaling) g_rand_int_range (rand, 0, 3) };
  guint8 *const rgb[3] = { way->planes[0], way->planes[1], way->planes[2] };
  g_autoptr (GError) error = NULL;
  TernPlacement place;
  TernGateCells cells;
  guint width, height;

  tern_gate_cells (&cells, image, shift);
  g_assert_cmpuint (cells.n, >=, 1);
  g_assert_true (gst_tern_frame_narrow (image, shift, &way->room, &error));
  image->orientation = (guint) g_rand_int_range (rand, 0, 9);
  g_assert_true (tern_image_check (image, &error));
  tern_vision_shown_size (image, &width, &height);
  g_assert_cmpuint (width, >=, 1);
  g_assert_cmpuint (height, >=, 1);
  tern_vision_place (width, height, &options, &plan, &plan.sub[0], &place);
  g_assert_true (tern_resizer_run (&way->resizer, image, &place, SIDE, SIDE, (guint8[3]) { 0 }, rgb, way->pool, &error));
}

static void
run_case (Way *way, GRand *rand)
{
  GstCaps *caps = make_caps (rand);
  g_autoptr (GError) error = NULL;
  GstVideoFrame frame;
  GstVideoInfo info;
  GstBuffer *buffer;
  TernImage image;
  guint shift;

  g_assert_nonnull (caps);
  if (!gst_video_info_from_caps (&info, caps)) {
    way->no_info++;
    gst_caps_unref (caps);
    return;
  }
  buffer = make_buffer (rand, &info);
  if (gst_tern_frame_map (&frame, &image, &info, buffer, &shift, &error)) {
    g_assert_no_error (error);
    look (way, &image, shift, rand);
    gst_video_frame_unmap (&frame);
    way->taken++;
  } else {
    g_assert_nonnull (error);
    way->refused++;
  }
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
}

int
main (int argc, char **argv)
{
  guint64 cases = argc > 1 ? g_ascii_strtoull (argv[1], NULL, 10) : 40000, i;
  guint64 seed = argc > 2 ? g_ascii_strtoull (argv[2], NULL, 10) : 1;
  Way *way = g_new0 (Way, 1);

  /* What GStreamer says of each damaged frame is not of interest; that it takes one for a programming error is. */
  g_setenv ("G_DEBUG", "fatal-criticals", TRUE);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
  gst_init (NULL, NULL);
  gst_debug_set_default_threshold (GST_LEVEL_NONE);
  tern_vision_compile_orc ();
  way->pool = tern_pool_new (1, NULL);
  printf ("1..1\n");
  for (i = 0; i < cases; i++) {
    GRand *rand = g_rand_new_with_seed_array ((guint32[]) { (guint32) seed, (guint32) i, (guint32) (i >> 32) }, 3);

    run_case (way, rand);
    g_rand_free (rand);
    if ((i + 1) % 1000000 == 0) {
      printf ("# %" G_GUINT64_FORMAT " cases\n", i + 1);
      fflush (stdout);
    }
  }
  printf ("# seed %" G_GUINT64_FORMAT ": %" G_GUINT64_FORMAT " frames looked at, %" G_GUINT64_FORMAT " refused, %"
      G_GUINT64_FORMAT " caps without a layout\n", seed, way->taken, way->refused, way->no_info);
  printf ("%s 1 - frames are looked at or refused\n", way->taken > 0 && way->refused > 0 ? "ok" : "not ok");
  tern_resizer_clear (&way->resizer);
  tern_pool_free (way->pool);
  g_free (way->room.data);
  g_free (way);
  return 0;
}
