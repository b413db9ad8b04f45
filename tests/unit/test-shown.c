/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures are looked at as they are shown: turned by their orientation, with square pixels, tone mapped. Each against an
 * upright picture of the same scene, or against the formulas of the standards in double precision. */
#include <math.h>

#include "tern/error.h"
#include "tests/unit/vision-file.h"

/* ---- A scene ----------------------------------------------------------------------------------------------------- */

/* Component @c at (u, v), each from 0 to 1; no symmetry. */
static guint8
scene (guint c, double u, double v)
{
  return (guint8) lrint (128 + 80 * sin (5 * u + 3 * v * v + c) + 40 * cos (7 * v - 2 * u * c));
}

/* Where sample (x, y) of a picture in memory, @w x @h samples, is shown: EXIF 2.3, tag 0x0112, "the 0th row is at the
 * visual ... of the image, the 0th column is the visual ...". */
static void
shown_at (guint orientation, double x, double y, double *u, double *v)
{
  switch (orientation) {
    case 2:                    /* top, right-hand side */
      *u = 1 - x, *v = y;
      break;
    case 3:                    /* bottom, right-hand side */
      *u = 1 - x, *v = 1 - y;
      break;
    case 4:                    /* bottom, left-hand side */
      *u = x, *v = 1 - y;
      break;
    case 5:                    /* left-hand side, top */
      *u = y, *v = x;
      break;
    case 6:                    /* right-hand side, top */
      *u = 1 - y, *v = x;
      break;
    case 7:                    /* right-hand side, bottom */
      *u = 1 - y, *v = 1 - x;
      break;
    case 8:                    /* left-hand side, bottom */
      *u = y, *v = 1 - x;
      break;
    default:
      *u = x, *v = y;
      break;
  }
}

typedef struct {
  const char *name;
  TernImageFormat format;
  guint planes, bytes[3];
} Format;

static const Format formats[] = {
  { "RGB", TERN_IMAGE_RGB, 1, { 3 } },
  { "BGRX", TERN_IMAGE_BGRX, 1, { 4 } },
  { "GRAY8", TERN_IMAGE_GRAY8, 1, { 1 } },
  { "I420", TERN_IMAGE_I420, 3, { 1, 1, 1 } },
  { "NV12", TERN_IMAGE_NV12, 2, { 1, 2 } },
};

/* The scene in @width x @height samples in memory. */
static TernImage
draw (const Format *format, guint width, guint height, guint orientation)
{
  TernImage image = { .format = format->format, .width = width, .height = height, .orientation = orientation };

  for (guint p = 0; p < format->planes; p++) {
    guint w = p ? (width + 1) / 2 : width, h = p ? (height + 1) / 2 : height, bytes = format->bytes[p];
    guint8 *data = g_malloc ((gsize) w * h * bytes);

    image.data[p] = data;
    image.stride[p] = (gint) (w * bytes);
    for (guint y = 0; y < h; y++)
      for (guint x = 0; x < w; x++)
        for (guint b = 0; b < bytes; b++) {
          double u, v;

          shown_at (orientation, (x + 0.5) / w, (y + 0.5) / h, &u, &v);
          *data++ = scene (p + b, u, v);
        }
  }
  return image;
}

static void
image_clear (TernImage *image)
{
  for (guint p = 0; p < 3; p++)
    g_free ((guint8 *) image->data[p]);
}

/* The most that two pictures of @n bytes differ. */
static guint
difference (const guint8 *a, const guint8 *b, gsize n)
{
  gint most = 0;

  for (gsize i = 0; i < n; i++)
    most = MAX (most, ABS (a[i] - b[i]));
  return (guint) most;
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

static void
test_size (void)
{
  static const guint sizes[][7] = {
    /* width, height, orientation, aspect, shown width and height */
    { 640, 480, 0, 0, 0, 640, 480 }, { 640, 480, 1, 1, 1, 640, 480 }, { 640, 480, 4, 7, 7, 640, 480 },
    { 640, 480, 6, 1, 1, 480, 640 }, { 720, 576, 0, 16, 15, 768, 576 }, { 720, 576, 5, 16, 15, 576, 768 },
    { 720, 480, 0, 8, 9, 720, 540 }, { 432, 432, 8, 16, 9, 432, 768 }, { 640, 480, 0, 0, 1, 640, 480 },
    { 640, 480, 0, 1, 0, 640, 480 }, { 640, 480, 0, 1, 65535, 640, 480 }, { 640, 480, 0, 65535, 1, 640, 480 },
    { 640, 480, 0, G_MAXUINT, G_MAXUINT - 1, 640, 480 }, { 60000, 2, 0, 2, 1, 65535, 2 }, { 1, 60000, 7, 1, 16, 65535, 1 },
    { 640, 480, 99, 1, 1, 640, 480 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    const guint *s = sizes[i];
    TernImage image = { .width = s[0], .height = s[1], .orientation = s[2], .pixel_aspect_n = s[3], .pixel_aspect_d = s[4] };
    guint width, height;

    tern_vision_shown_size (&image, &width, &height);
    g_assert_cmpuint (width, ==, s[5]);
    g_assert_cmpuint (height, ==, s[6]);
  }
}

/* ---- Resizing ---------------------------------------------------------------------------------------------------- */

#define PLACES 5

static TernPlacement
place_of (guint i, guint width, guint height)
{
  const TernPlacement places[PLACES] = {
    { 0, 0, width, height, 24, 40, 0, 0, 24, 40, 0, 0 },
    { width * 0.3, 0, width * 0.5, height, 32, 16, 0, 0, 32, 16, 0, 0 },
    { 0, height * 0.125, width, height * 0.55, 16, 24, 0, 0, 16, 24, 0, 0 },
    { 0, 0, width, height, 96, 64, 32, 16, 48, 32, 0, 0 },
    { 0, 0, width, height, 20, 9, 0, 0, 20, 9, 2, 3 },
  };

  return places[i];
}

static void
resize (const TernImage *image, const TernPlacement *place, guint width, guint height, guint8 *out)
{
  gsize plane = (gsize) width * height;
  guint8 *rgb[] = { out, out + plane, out + 2 * plane };
  TernResizer resizer = { 0 };
  g_autoptr (GError) error = NULL;
  TernPool *pool = tern_pool_new (2, &error);

  g_assert_true (tern_image_check (image, &error));
  tern_resizer_run (&resizer, image, place, width, height, (guint8[3]) { 1, 128, 254 }, rgb, pool, &error);
  g_assert_no_error (error);
  tern_resizer_clear (&resizer);
  tern_pool_free (pool);
}

static void
test_turned (gconstpointer data)
{
  const Format *format = data;
  static const guint shown[][2] = { { 62, 46 }, { 20, 94 }, { 8, 6 } };

  for (guint orientation = 1; orientation <= 8; orientation++)
    for (guint s = 0; s < G_N_ELEMENTS (shown); s++)
      for (guint i = 0; i < PLACES; i++) {
        guint w = shown[s][0], h = shown[s][1];
        TernPlacement place = place_of (i, w, h);
        guint width = place.width + (i == 4 ? 5 : 0), height = place.height + (i == 4 ? 6 : 0);
        g_autofree guint8 *expected = g_malloc (3 * (gsize) width * height), *found = g_malloc (3 * (gsize) width * height);
        TernImage upright = draw (format, w, h, 0);
        TernImage turned = draw (format, orientation >= 5 ? h : w, orientation >= 5 ? w : h, orientation);

        resize (&upright, &place, width, height, expected);
        resize (&turned, &place, width, height, found);
        if (difference (expected, found, 3 * (gsize) width * height) > 1)
          g_error ("%s %u x %u, orientation %u, place %u: differs from the upright picture", format->name, w, h, orientation, i);
        image_clear (&upright);
        image_clear (&turned);
      }
}

/* ---- Encoding ---------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  Config config;
  TernVisionOptions options;
  guint max_tokens;
} Way;

#define FIXED .min_pixels = 16 * 16, .max_pixels = 16 * 16
static const Way ways[] = {
  { "lfm2 crop", { "fixed", USUAL, FIXED }, { .scaling = TERN_SCALING_CROP }, 4 },
  { "lfm2 letterbox", { "fixed", USUAL, FIXED }, { .scaling = TERN_SCALING_LETTERBOX }, 4 },
  { "lfm2 stretch", { "fixed", USUAL, FIXED }, { .scaling = TERN_SCALING_STRETCH }, 4 },
  { "lfm2 any size", { "usual", USUAL }, { .min_tokens = 4, .max_tokens = 30 }, 30 },
  { "lfm2 still", { "wide", .patch = 16, .factor = 2, .hidden = 8, .heads = 2, .ffn = 12, .blocks = 1, .side = 4, .mm = 10,
      .dim = 6 }, { .min_tokens = 4, .max_tokens = 64, .tile = TRUE }, 256 },
  { "idefics3 frame", { "smol", SMOL }, { .scaling = TERN_SCALING_TRAINED }, 4 },
  { "idefics3 crop", { "smol", SMOL }, { .scaling = TERN_SCALING_CROP }, 4 },
  { "idefics3 letterbox", { "smol", SMOL }, { .scaling = TERN_SCALING_LETTERBOX }, 4 },
  { "idefics3 still", { "smol", SMOL }, { .tile = TRUE }, 4 },
  { "idefics3 whole", { "smol", SMOL }, { .tile = TRUE, .whole = TRUE }, 4 },
};

typedef struct {
  TernVisionPlan plan;
  float *tokens;
  guint8 *pixels;               /* of the last sub-image */
  gsize n_pixels;
} Seen;

static void
look (const Way *way, TernVision *vision, const TernImage *image, Seen *seen)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVisionState) state = tern_vision_state_new (vision, way->max_tokens, TERN_ACTIVATIONS_F32, NULL, &error);
  TernVisionTaps taps;

  g_assert_no_error (error);
  tern_vision_plan_image (vision, image, &way->options, &seen->plan, &error);
  g_assert_no_error (error);
  seen->tokens = g_new (float, (gsize) seen->plan.n_tokens * way->config.dim);
  tern_vision_encode (state, image, &way->options, &seen->plan, seen->tokens, NULL, &error);
  g_assert_no_error (error);
  tern_vision_state_taps (state, &taps);
  seen->n_pixels = (gsize) taps.width * taps.height * 3;
  seen->pixels = g_memdup2 (taps.pixels, seen->n_pixels);
}

static void
seen_clear (Seen *seen)
{
  g_free (seen->tokens);
  g_free (seen->pixels);
}

/* Normalised; what a step of rounding in a few pixels may make of it. */
#define MOST_ERROR 1e-2

static void
compare (const Way *way, const Seen *a, const Seen *b, guint most, const char *what, guint number)
{
  double error = 0, power = 0;

  g_assert_cmpuint (a->plan.n, ==, b->plan.n);
  g_assert_cmpuint (a->plan.n_tokens, ==, b->plan.n_tokens);
  g_assert_cmpuint (a->n_pixels, ==, b->n_pixels);
  if (difference (a->pixels, b->pixels, a->n_pixels) > most)
    g_error ("%s: %s %u: pixels differ by %u", way->name, what, number, difference (a->pixels, b->pixels, a->n_pixels));
  for (gsize i = 0; i < (gsize) a->plan.n_tokens * way->config.dim; i++) {
    error += (a->tokens[i] - b->tokens[i]) * (a->tokens[i] - b->tokens[i]);
    power += a->tokens[i] * a->tokens[i];
  }
  if (!(error <= MOST_ERROR * power))
    g_error ("%s: %s %u: tokens differ by %g", way->name, what, number, error / power);
}

/* Wide and high, turned all ways and squeezed, whatever the model does with sizes. */
static void
test_encode (gconstpointer data)
{
  static const guint shapes[][2] = { { 128, 72 }, { 60, 100 }, { 900, 400 } };
  const Way *way = data;
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVision) vision = open_config (&way->config, tensors, &error);

  g_assert_no_error (error);
  for (guint s = 0; s < (way->max_tokens > 100 ? 3 : 2); s++) {
    guint w = shapes[s][0], h = shapes[s][1];
    TernImage upright = draw (&formats[0], w, h, 0);
    Seen expected, found;

    look (way, vision, &upright, &expected);
    for (guint orientation = 2; orientation <= 8; orientation += s == 2 ? 4 : 1) {
      TernImage turned = draw (&formats[0], orientation >= 5 ? h : w, orientation >= 5 ? w : h, orientation);

      look (way, vision, &turned, &found);
      compare (way, &expected, &found, 2, "orientation", orientation);
      seen_clear (&found);
      /* Half of the columns in memory, shown twice as wide. */
      image_clear (&turned);
      turned = draw (&formats[0], (orientation >= 5 ? h : w) / 2, orientation >= 5 ? w : h, orientation);
      turned.pixel_aspect_n = 2;
      turned.pixel_aspect_d = 1;
      look (way, vision, &turned, &found);
      compare (way, &expected, &found, 6, "squeezed, orientation", orientation);
      seen_clear (&found);
      image_clear (&turned);
    }
    seen_clear (&expected);
    image_clear (&upright);
  }
}

/* ---- Light ------------------------------------------------------------------------------------------------------- */

/* SMPTE ST 2084:2014, 5.1 and 5.2. */
static double
pq_eotf (double n)
{
  double p = pow (n, 1 / 78.84375);

  return 10000 * pow (MAX (p - 0.8359375, 0) / (18.8515625 - 18.6875 * p), 1 / 0.1593017578125);
}

static double
pq_inverse (double nits)
{
  double y = pow (nits / 10000, 0.1593017578125);

  return pow ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y), 78.84375);
}

/* BT.2100-2 table 5: inverse OETF, OOTF with gamma 1.2 for 1000 cd/m2. */
static void
hlg_eotf (const double code[3], double nits[3])
{
  double e[3], y;

  for (guint c = 0; c < 3; c++)
    e[c] = code[c] <= 0.5 ? code[c] * code[c] / 3 : (exp ((code[c] - 0.55991073) / 0.17883277) + 0.28466892) / 12;
  y = 0.2627 * e[0] + 0.6780 * e[1] + 0.0593 * e[2];
  for (guint c = 0; c < 3; c++)
    nits[c] = y > 0 ? 1000 * pow (y, 0.2) * e[c] : 0;
}

/* As vision/transfer.c documents it: Reinhard et al., equation 4, above four fifths of diffuse white. */
static double
bent (double nits)
{
  double x = nits / 203, l = (x - 0.8) / 0.2, l_white = (1000.0 / 203 - 0.8) / 0.2;

  return x <= 0.8 ? x : 0.8 + 0.2 * (l * (1 + l / pow (l_white, 2)) / (1 + l));
}

/* BT.2087-0, table 4 (M2); IEC 61966-2-1. */
static void
show (const double nits[3], double code[3])
{
  static const double m[3][3] = { { 1.6605, -0.5876, -0.0728 }, { -0.1246, 1.1329, -0.0083 }, { -0.0182, -0.1006, 1.1187 } };
  double most = MAX (nits[0], MAX (nits[1], nits[2])), scale = most > 0 ? bent (most) / most : 0;

  for (guint c = 0; c < 3; c++) {
    double x = scale * (m[c][0] * nits[0] + m[c][1] * nits[1] + m[c][2] * nits[2]);

    x = CLAMP (x, 0, 1);
    code[c] = 255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * pow (x, 1 / 2.4) - 0.055);
  }
}

/* The formulas above against numbers that the standards and BT.2408 print. */
static void
test_worked_numbers (void)
{
  static const double pq[][2] = { { 0, 0 }, { 0.1, 0.0625 }, { 1, 0.15 }, { 10, 0.30 }, { 100, 0.51 }, { 203, 0.58 },
    { 1000, 0.75 }, { 4000, 0.90 }, { 10000, 1 } };
  double nits[3], white[3];

  for (guint i = 0; i < G_N_ELEMENTS (pq); i++)
    g_assert_cmpfloat_with_epsilon (pq_inverse (pq[i][0]), pq[i][1], 0.006);
  g_assert_cmpfloat_with_epsilon (pq_eotf (0.5806888810416109), 203, 0.01);
  hlg_eotf ((double[3]) { 0.75, 0.75, 0.75 }, nits);
  g_assert_cmpfloat_with_epsilon (nits[0], 203, 0.5);
  hlg_eotf ((double[3]) { 1, 1, 1 }, nits);
  g_assert_cmpfloat_with_epsilon (nits[1], 1000, 0.5);
  show (nits, white);
  g_assert_cmpfloat_with_epsilon (white[0], 255, 0.1);
  /* Diffuse white is next to it: 0.9 + 0.1 / 20.63^2 of light, 0.9548 in sRGB. */
  show ((double[3]) { 203, 203, 203 }, white);
  g_assert_cmpfloat_with_epsilon (white[2], 255 * 0.95479, 0.2);
  /* Mid grey of 18 % under diffuse white is untouched: 0.4614 in sRGB. */
  show ((double[3]) { 36.54, 36.54, 36.54 }, white);
  g_assert_cmpfloat_with_epsilon (white[1], 255 * 0.46136, 0.1);
}

static void
test_transfer (gconstpointer data)
{
  TernTransfer transfer = (TernTransfer) GPOINTER_TO_INT (data);
  guint worst = 0;

  tern_transfer_prepare (transfer);
  for (guint r = 0; r < 256; r += r < 16 ? 1 : 5)
    for (guint g = 0; g < 256; g += 5)
      for (guint b = 0; b < 256; b += 5) {
        guint8 rgb[3] = { (guint8) r, (guint8) g, (guint8) b };
        double code[3] = { r / 255.0, g / 255.0, b / 255.0 }, nits[3], expected[3];

        if (transfer == TERN_TRANSFER_PQ)
          for (guint c = 0; c < 3; c++)
            nits[c] = MIN (pq_eotf (code[c]), 1000);
        else
          hlg_eotf (code, nits);
        show (nits, expected);
        tern_transfer_map (transfer, &rgb[0], &rgb[1], &rgb[2], 1);
        for (guint c = 0; c < 3; c++) {
          double off = fabs (rgb[c] - expected[c]);

          if (off > 0.75)
            g_error ("transfer %d, %u %u %u: component %u: expected %.2f, found %u", transfer, r, g, b, c, expected[c], rgb[c]);
          worst = MAX (worst, (guint) (off * 1000));
        }
      }
  g_test_message ("largest difference %u / 1000 of a step", worst);
}

/* Padding is not light of the picture, and SDR is not touched. */
static void
test_transfer_of_pictures (void)
{
  TernImage image = draw (&formats[0], 40, 30, 6);
  TernPlacement place = { 0, 0, 30, 40, 20, 9, 0, 0, 20, 9, 2, 3 };
  guint8 sdr[3 * 25 * 15], hdr[3 * 25 * 15];

  resize (&image, &place, 25, 15, sdr);
  image.transfer = TERN_TRANSFER_PQ;
  resize (&image, &place, 25, 15, hdr);
  for (guint y = 0; y < 15; y++)
    for (guint x = 0; x < 25; x++) {
      gsize at = y * 25 + x;
      guint8 rgb[3] = { sdr[at], sdr[375 + at], sdr[750 + at] };

      if (x >= 2 && x < 22 && y >= 3 && y < 12)
        tern_transfer_map (TERN_TRANSFER_PQ, &rgb[0], &rgb[1], &rgb[2], 1);
      for (guint c = 0; c < 3; c++)
        g_assert_cmpuint (hdr[c * 375 + at], ==, rgb[c]);
    }
  image_clear (&image);
}

static void
test_encode_transfer (gconstpointer data)
{
  const Way *way = data;
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (TernVision) vision = open_config (&way->config, tensors, NULL);
  TernImage image = draw (&formats[0], 60, 80, 0);
  guint8 padding[3];
  Seen sdr, hdr;

  tern_vision_padding (vision, padding);
  look (way, vision, &image, &sdr);
  image.transfer = TERN_TRANSFER_HLG;
  look (way, vision, &image, &hdr);
  for (gsize i = 0; i < sdr.n_pixels; i += 3) {
    guint8 *p = sdr.pixels + i;

    /* No pixel of the scene is like it. */
    if (memcmp (p, padding, 3) == 0)
      continue;
    tern_transfer_map (TERN_TRANSFER_HLG, p, p + 1, p + 2, 1);
  }
  g_assert_cmpmem (sdr.pixels, sdr.n_pixels, hdr.pixels, hdr.n_pixels);
  seen_clear (&sdr);
  seen_clear (&hdr);
  image_clear (&image);
}

static void
test_refused (void)
{
  TernImage image = draw (&formats[0], 4, 4, 0);
  g_autoptr (GError) error = NULL;

  image.orientation = 9;
  g_assert_false (tern_image_check (&image, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  image.orientation = 8;
  g_assert_true (tern_image_check (&image, &error));
  image.transfer = 3;
  g_assert_false (tern_image_check (&image, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  image_clear (&image);
}

static void
add (const char *prefix, const char *name, gconstpointer data, void (*test) (gconstpointer))
{
  g_autofree char *path = g_strconcat (prefix, name, NULL);

  g_test_add_data_func (path, data, test);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  tern_vision_compile_orc ();
  g_test_add_func ("/shown/size", test_size);
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    add ("/shown/turned/", formats[i].name, &formats[i], test_turned);
  for (guint i = 0; i < G_N_ELEMENTS (ways); i++) {
    add ("/shown/encode/", ways[i].name, &ways[i], test_encode);
    add ("/shown/encode-transfer/", ways[i].name, &ways[i], test_encode_transfer);
  }
  g_test_add_func ("/shown/transfer/worked-numbers", test_worked_numbers);
  g_test_add_data_func ("/shown/transfer/pq", GINT_TO_POINTER (TERN_TRANSFER_PQ), test_transfer);
  g_test_add_data_func ("/shown/transfer/hlg", GINT_TO_POINTER (TERN_TRANSFER_HLG), test_transfer);
  g_test_add_func ("/shown/transfer/pictures", test_transfer_of_pictures);
  g_test_add_func ("/shown/refused", test_refused);
  return g_test_run ();
}
