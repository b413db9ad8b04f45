/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every picture format to RGB planes, against the formulas in double precision: odd sizes, strides of either sign, parts
 * of a picture, padding; and that nothing is read beside the rows. */
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tern/error.h"
#include "vision/internal.h"

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  TernImageFormat format;
  guint planes;
  guint bytes[3];               /* of a pixel or chroma pair */
  guint at[3];                  /* RGB: where red, green and blue stand; YUV: where Y, U and V stand in their plane */
  gboolean yuv;
} Format;

static const Format formats[] = {
  { "RGB", TERN_IMAGE_RGB, 1, { 3 }, { 0, 1, 2 } },
  { "BGR", TERN_IMAGE_BGR, 1, { 3 }, { 2, 1, 0 } },
  { "RGBX", TERN_IMAGE_RGBX, 1, { 4 }, { 0, 1, 2 } },
  { "BGRX", TERN_IMAGE_BGRX, 1, { 4 }, { 2, 1, 0 } },
  { "GRAY8", TERN_IMAGE_GRAY8, 1, { 1 }, { 0, 0, 0 } },
  { "I420", TERN_IMAGE_I420, 3, { 1, 1, 1 }, { 0, 0, 0 }, TRUE },
  { "NV12", TERN_IMAGE_NV12, 2, { 1, 2 }, { 0, 0, 1 }, TRUE },
};

/* Rows touch the forbidden page after them, or before them. */
typedef enum { TOUCH_END, TOUCH_START } Touch;

typedef struct {
  const Format *format;
  TernImage image;
  struct {
    guint8 *map;
    gsize size;
  } maps[3];
} Picture;

static void
picture_plane (Picture *p, guint plane, guint row_bytes, guint rows, guint padding, gboolean upside_down, Touch touch,
    GRand *rand)
{
  gsize page = (gsize) sysconf (_SC_PAGESIZE), stride = row_bytes + padding;
  gsize bytes = stride * (rows - 1) + row_bytes, room = (bytes + page - 1) / page * page;
  guint8 *map = mmap (NULL, room + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *first;

  g_assert_true (map != MAP_FAILED);
  p->maps[plane].map = map;
  p->maps[plane].size = room + 2 * page;
  first = touch == TOUCH_END ? map + page + room - bytes : map + page;
  for (gsize i = 0; i < bytes; i++)
    first[i] = (guint8) g_rand_int (rand);
  g_assert_cmpint (mprotect (map, page, PROT_NONE), ==, 0);
  g_assert_cmpint (mprotect (map + page + room, page, PROT_NONE), ==, 0);
  p->image.data[plane] = upside_down ? first + stride * (rows - 1) : first;
  p->image.stride[plane] = upside_down ? -(gint) stride : (gint) stride;
}

static void
picture_init (Picture *p, const Format *format, guint width, guint height, guint padding, gboolean upside_down,
    Touch touch, GRand *rand)
{
  *p = (Picture) { .format = format, .image = { .format = format->format, .width = width, .height = height } };
  for (guint i = 0; i < format->planes; i++)
    picture_plane (p, i, (i ? (width + 1) / 2 : width) * format->bytes[i], i ? (height + 1) / 2 : height, padding,
        upside_down, touch, rand);
}

static void
picture_clear (Picture *p)
{
  for (guint i = 0; i < p->format->planes; i++)
    munmap (p->maps[i].map, p->maps[i].size);
}

/* ---- The formulas ------------------------------------------------------------------------------------------------ */

/* Component @c at sample (x, y) of its plane. */
static double
sample (const Picture *p, guint c, guint x, guint y)
{
  guint plane = p->format->yuv && c ? MIN (c, p->format->planes - 1) : 0;

  return p->image.data[plane][(gssize) y * p->image.stride[plane] + (gssize) x * p->format->bytes[plane]
      + p->format->at[c]];
}

static void
triangle (double *weight, guint length, double centre, double scale)
{
  double support = MAX (scale, 1), sum = 0;

  for (guint j = 0; j < length; j++)
    sum += weight[j] = MAX (0, 1 - fabs (j + 0.5 - centre) / support);
  g_assert_cmpfloat (sum, >, 0);
  for (guint j = 0; j < length; j++)
    weight[j] /= sum;
}

/* Component @c of pixel (i, j) of what the part of the picture becomes at full size; not rounded. */
static double
resized (const Picture *p, const TernPlacement *place, guint c, guint i, guint j)
{
  guint sub = p->format->yuv && c ? 2 : 1;
  guint w = (p->image.width + sub - 1) / sub, h = (p->image.height + sub - 1) / sub;
  double sx = place->w / place->full_w / sub, sy = place->h / place->full_h / sub, value = 0;
  g_autofree double *wx = g_new (double, w), *wy = g_new (double, h);

  triangle (wx, w, place->x / sub + (i + 0.5) * sx, sx);
  triangle (wy, h, place->y / sub + (j + 0.5) * sy, sy);
  for (guint y = 0; y < h; y++)
    for (guint x = 0; wy[y] > 0 && x < w; x++)
      if (wx[x] > 0)
        value += wx[x] * wy[y] * sample (p, c, x, y);
  return value;
}

/* ITU-R BT.601, 709, 2020: E'y = kr R + kg G + kb B, Pb = (B - E'y) / (2 (1 - kb)), Pr = (R - E'y) / (2 (1 - kr)). */
static void
to_rgb (const TernImage *image, const double yuv[3], double rgb[3])
{
  static const double k[][2] = { { 0.299, 0.114 }, { 0.2126, 0.0722 }, { 0.2627, 0.0593 } };
  double kr = k[image->matrix][0], kb = k[image->matrix][1];
  double luma = image->full_range ? yuv[0] / 255 : (yuv[0] - 16) / 219;
  double pb = (yuv[1] - 128) / (image->full_range ? 255 : 224), pr = (yuv[2] - 128) / (image->full_range ? 255 : 224);

  rgb[0] = luma + 2 * (1 - kr) * pr;
  rgb[2] = luma + 2 * (1 - kb) * pb;
  rgb[1] = (luma - kr * rgb[0] - kb * rgb[2]) / (1 - kr - kb);
  for (guint c = 0; c < 3; c++)
    rgb[c] = CLAMP (rgb[c] * 255, 0, 255);
}

static void
exact_pixel (const Picture *p, const TernPlacement *place, guint i, guint j, double rgb[3])
{
  double value[3];

  for (guint c = 0; c < 3; c++)
    value[c] = resized (p, place, c, i, j);
  if (p->format->yuv)
    to_rgb (&p->image, value, rgb);
  else
    memcpy (rgb, value, sizeof value);
}

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

typedef struct {
  guint8 *rgb[3];
  guint width, height;
} Result;

static const guint8 padding[3] = { 1, 128, 254 };

static void
run (Result *r, TernResizer *resizer, const Picture *p, const TernPlacement *place, guint width, guint height, guint threads)
{
  g_autoptr (GError) error = NULL;
  TernPool *pool = tern_pool_new (threads, &error);

  g_assert_no_error (error);
  r->width = width;
  r->height = height;
  for (guint c = 0; c < 3; c++)
    r->rgb[c] = g_malloc ((gsize) width * height);
  g_assert_true (tern_image_check (&p->image, &error));
  tern_resizer_run (resizer, &p->image, place, width, height, padding, r->rgb, pool, &error);
  g_assert_no_error (error);
  tern_pool_free (pool);
}

static void
result_clear (Result *r)
{
  for (guint c = 0; c < 3; c++)
    g_free (r->rgb[c]);
}

/* Half a step of rounding, and what fixed point may add to it. */
#define BOUND 0.57

static void
check_pixels (const Picture *p, const TernPlacement *place, const Result *r)
{
  for (guint y = 0; y < r->height; y++)
    for (guint x = 0; x < r->width; x++) {
      double exact[3] = { padding[0], padding[1], padding[2] };

      if (x >= place->left && x - place->left < place->width && y >= place->top && y - place->top < place->height)
        exact_pixel (p, place, place->off_x + x - place->left, place->off_y + y - place->top, exact);
      for (guint c = 0; c < 3; c++)
        if (!(fabs (r->rgb[c][y * r->width + x] - exact[c]) <= BOUND))
          g_error ("%s %u x %u: component %u of pixel %u, %u: expected %.3f, found %u", p->format->name, p->image.width,
              p->image.height, c, x, y, exact[c], r->rgb[c][y * r->width + x]);
    }
}

static void
check (const Picture *p, const TernPlacement *place, guint width, guint height)
{
  TernResizer resizer = { 0 };
  Result one, three;

  run (&one, &resizer, p, place, width, height, 1);
  check_pixels (p, place, &one);
  run (&three, &resizer, p, place, width, height, 3);
  for (guint c = 0; c < 3; c++)
    g_assert_cmpmem (one.rgb[c], (gsize) width * height, three.rgb[c], (gsize) width * height);
  result_clear (&one);
  result_clear (&three);
  tern_resizer_clear (&resizer);
}

static TernPlacement
whole (guint width, guint height, guint to_width, guint to_height)
{
  return (TernPlacement) { .w = width, .h = height, .full_w = to_width, .full_h = to_height, .width = to_width,
    .height = to_height };
}

static void
test_format (gconstpointer data)
{
  static const guint sizes[][4] = {
    { 1, 1, 8, 8 }, { 2, 3, 8, 12 }, { 17, 31, 16, 16 }, { 31, 17, 48, 8 }, { 40, 24, 40, 24 }, { 129, 3, 16, 32 },
    { 5, 300, 4, 16 }, { 700, 2, 4, 4 }, { 33, 33, 64, 64 },
  };
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);
  const Format *format = data;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint variant = 0; variant < 4; variant++) {
      TernPlacement place = whole (sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
      Picture p;

      picture_init (&p, format, sizes[i][0], sizes[i][1], variant & 1 ? 13 : 0, variant >= 2,
          variant & 2 ? TOUCH_START : TOUCH_END, rand);
      p.image.matrix = i % 3;
      p.image.full_range = variant & 1;
      check (&p, &place, sizes[i][2], sizes[i][3]);
      picture_clear (&p);
    }
}

/* All three standards in both ranges, at the corners of the cube and at random. */
static void
test_matrices (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (6);
  TernPlacement place = whole (64, 64, 64, 64);

  for (guint i = 0; i < 6; i++) {
    Picture p;

    picture_init (&p, &formats[5], 64, 64, 0, FALSE, TOUCH_END, rand);
    p.image.matrix = i / 2;
    p.image.full_range = i & 1;
    for (guint corner = 0; corner < 8; corner++)
      for (guint plane = 0; plane < 3; plane++)
        for (guint y = 0; y < (plane ? 2 : 4); y++)
          memset ((guint8 *) p.image.data[plane] + (gssize) y * p.image.stride[plane] + corner * (plane ? 2 : 4),
              corner >> plane & 1 ? 255 : 0, plane ? 2 : 4);
    check (&p, &place, 64, 64);
    picture_clear (&p);
  }
}

/* Parts between pixels, windows of a larger whole (tiles), padding around. */
static void
test_parts (void)
{
  const TernPlacement places[] = {
    { 12.25, 0, 38.5, 50, 16, 16, 0, 0, 16, 16, 0, 0 },
    { 0, 7.125, 63, 35.75, 32, 8, 0, 0, 32, 8, 0, 0 },
    { 0, 0, 63, 50, 96, 64, 32, 32, 32, 32, 0, 0 },
    { 0, 0, 63, 50, 24, 48, 16, 24, 8, 24, 0, 0 },
    { 0, 0, 63, 50, 20, 9, 0, 0, 20, 9, 2, 3 },
  };
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);

  for (guint f = 0; f < G_N_ELEMENTS (formats); f++)
    for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
      Picture p;

      picture_init (&p, &formats[f], 63, 50, 3, i & 1, TOUCH_END, rand);
      p.image.matrix = TERN_MATRIX_BT709;
      check (&p, &places[i], places[i].width + (i == 4 ? 5 : 0), places[i].height + (i == 4 ? 6 : 0));
      picture_clear (&p);
    }
}

/* No resizing leaves bytes as they are; a flat picture stays flat however far it is reduced. */
static void
test_exact (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (8);
  static const guint sizes[][2] = { { 3000, 5 }, { 5, 3000 }, { 1001, 999 }, { 65535, 1 }, { 1, 65535 } };
  TernResizer resizer = { 0 };
  TernPlacement place = whole (50, 40, 50, 40);
  Picture p;
  Result r;

  picture_init (&p, &formats[0], 50, 40, 0, FALSE, TOUCH_END, rand);
  run (&r, &resizer, &p, &place, 50, 40, 1);
  for (guint i = 0; i < 50 * 40 * 3; i++)
    g_assert_cmpuint (r.rgb[i % 3][i / 3], ==, p.image.data[0][i]);
  result_clear (&r);
  picture_clear (&p);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint value = 0; value < 256; value += 51) {
      place = whole (sizes[i][0], sizes[i][1], 32, 32);
      picture_init (&p, &formats[4], sizes[i][0], sizes[i][1], 0, FALSE, TOUCH_END, rand);
      for (guint y = 0; y < sizes[i][1]; y++)
        memset ((guint8 *) p.image.data[0] + (gssize) y * p.image.stride[0], value, sizes[i][0]);
      run (&r, &resizer, &p, &place, 32, 32, 1);
      for (guint k = 0; k < 32 * 32; k++)
        for (guint c = 0; c < 3; c++)
          g_assert_cmpuint (r.rgb[c][k], ==, value);
      result_clear (&r);
      picture_clear (&p);
    }
  tern_resizer_clear (&resizer);
}

/* ---- Where the pixels come from ---------------------------------------------------------------------------------- */

static void
test_place (void)
{
  TernVisionPlan plan = { .n = 1, .fixed = TRUE, .sub = { { .width = 224, .height = 224 } } };
  TernVisionOptions options = { .scaling = TERN_SCALING_CROP };
  TernPlacement p;

  tern_vision_place (1920, 1080, &options, &plan, &plan.sub[0], &p);
  g_assert_cmpfloat (p.x, ==, 420);
  g_assert_cmpfloat (p.w, ==, 1080);
  g_assert_cmpfloat (p.y, ==, 0);
  g_assert_cmpfloat (p.h, ==, 1080);
  tern_vision_place (3, 7, &options, &plan, &plan.sub[0], &p);
  g_assert_cmpfloat (p.y, ==, 2);
  g_assert_cmpfloat (p.h, ==, 3);

  options.scaling = TERN_SCALING_LETTERBOX;
  tern_vision_place (1920, 1080, &options, &plan, &plan.sub[0], &p);
  g_assert_cmpuint (p.width, ==, 224);
  g_assert_cmpuint (p.height, ==, 126);
  g_assert_cmpuint (p.left, ==, 0);
  g_assert_cmpuint (p.top, ==, 49);
  g_assert_cmpfloat (p.w, ==, 1920);
  tern_vision_place (1, 60000, &options, &plan, &plan.sub[0], &p);
  g_assert_cmpuint (p.width, ==, 1);
  g_assert_cmpuint (p.left, ==, 111);

  options.scaling = TERN_SCALING_STRETCH;
  tern_vision_place (1920, 1080, &options, &plan, &plan.sub[0], &p);
  g_assert_cmpfloat (p.w, ==, 1920);
  g_assert_cmpfloat (p.h, ==, 1080);
  g_assert_cmpuint (p.width, ==, 224);

  /* A still of a file that takes any size is stretched, whatever the scaling. */
  options = (TernVisionOptions) { .tile = TRUE, .scaling = TERN_SCALING_CROP };
  plan.fixed = FALSE;
  tern_vision_place (1920, 1080, &options, &plan, &plan.sub[0], &p);
  g_assert_cmpfloat (p.w, ==, 1920);
  g_assert_cmpfloat (p.h, ==, 1080);
}

static void
test_place_tiles (void)
{
  TernVisionPlan plan = { .n = 7 };
  TernVisionOptions options = { .tile = TRUE };
  TernPlacement p;

  for (guint i = 0; i < 6; i++)
    plan.sub[i] = (TernSubImage) { .width = 512, .height = 512, .row = 1 + i / 3, .column = 1 + i % 3 };
  plan.sub[6] = (TernSubImage) { .width = 448, .height = 320, .thumbnail = TRUE };
  tern_vision_place (1500, 1000, &options, &plan, &plan.sub[4], &p);
  g_assert_cmpuint (p.full_w, ==, 1536);
  g_assert_cmpuint (p.full_h, ==, 1024);
  g_assert_cmpuint (p.off_x, ==, 512);
  g_assert_cmpuint (p.off_y, ==, 512);
  g_assert_cmpfloat (p.w, ==, 1500);
  tern_vision_place (1500, 1000, &options, &plan, &plan.sub[6], &p);
  g_assert_cmpuint (p.full_w, ==, 448);
  g_assert_cmpuint (p.off_x, ==, 0);
  g_assert_cmpfloat (p.w, ==, 1500);
}

/* ---- Pictures that cannot be right ------------------------------------------------------------------------------- */

static void
refuse (const TernImage *image, const char *words)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (tern_image_check (image, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  if (!strstr (error->message, words))
    g_error ("expected \"%s\" in: %s", words, error->message);
}

static void
test_refused (void)
{
  static const guint8 bytes[64];
  TernImage good = { TERN_IMAGE_NV12, 5, 3, { bytes, bytes }, { 5, 6 } }, image = good;
  g_autoptr (GError) error = NULL;

  g_assert_true (tern_image_check (&good, &error));
  image.stride[0] = -4;
  refuse (&image, "NV12 picture of 5 x 3: plane 0: expected data and a stride of at least 5 bytes, found data and -4");
  image = good;
  image.stride[1] = 5;
  refuse (&image, "plane 1");
  image = good;
  image.data[1] = NULL;
  refuse (&image, "found none");
  image = good;
  image.format = 99;
  refuse (&image, "format 99");
  image = good;
  image.matrix = 7;
  refuse (&image, "colour matrix 7");
  image = (TernImage) { TERN_IMAGE_RGB, 5, 1, { bytes }, { 0 } };       /* one row needs no stride */
  g_assert_true (tern_image_check (&image, &error));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  tern_vision_compile_orc ();
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autofree char *name = g_strconcat ("/preprocess/format/", formats[i].name, NULL);

    g_test_add_data_func (name, &formats[i], test_format);
  }
  g_test_add_func ("/preprocess/matrices", test_matrices);
  g_test_add_func ("/preprocess/parts", test_parts);
  g_test_add_func ("/preprocess/exact", test_exact);
  g_test_add_func ("/preprocess/place", test_place);
  g_test_add_func ("/preprocess/place-tiles", test_place_tiles);
  g_test_add_func ("/preprocess/refused", test_refused);
  return g_test_run ();
}
