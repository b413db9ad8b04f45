/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is new in a picture: over long sequences of a still scene with noise, flicker, exposure, rain and a codec's blocks
 * nothing is; objects of 1 % of it that come, go and move are, however slowly they do. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "engine/base/random.h"
#include "vision/gate.h"

#define WIDTH 320
#define HEIGHT 180
#define LONG 1200               /* frames: ten minutes of two a second */
#define THRESHOLD 6
#define POOL (1 << 18)          /* draws of noise */

/* ---- A scene ----------------------------------------------------------------------------------------------------- */

/* What is wrong with the camera. */
typedef struct {
  const char *name;
  double noise;                 /* standard deviation, levels */
  double flicker;               /* share of the light, its frequency being no multiple of the frames' */
  double exposure;              /* steps of up to this share, every 90 frames */
  guint rain;                   /* streaks a frame, 1 x 14 pixels, 45 levels */
  double blocks;                /* levels that blocks of 8 x 8 pixels are off by, anew every 20 frames */
} Fault;

typedef struct {
  double x, y, w, h;            /* pixels */
  double contrast;              /* levels that it is lighter than what is behind it, whose texture shows; 0: there is none */
} Object;

typedef struct {
  TernRandom random;
  float background[HEIGHT][WIDTH];
  float noise[POOL];
  float blocks[HEIGHT / 8 + 1][WIDTH / 8 + 1];
  double gain;
  guint8 pixels[HEIGHT][WIDTH];
} Scene;

/* Smooth surfaces with some texture: sums of waves. */
static void
draw_background (Scene *scene)
{
  double wave[8][4];

  for (guint k = 0; k < 8; k++) {
    wave[k][0] = (tern_random_uniform (&scene->random) - .5) * (k + 1) * .05;
    wave[k][1] = (tern_random_uniform (&scene->random) - .5) * (k + 1) * .05;
    wave[k][2] = tern_random_uniform (&scene->random) * 6.3;
    wave[k][3] = 40. / (k + 1);
  }
  for (guint y = 0; y < HEIGHT; y++)
    for (guint x = 0; x < WIDTH; x++) {
      double v = 118;

      for (guint k = 0; k < 8; k++)
        v += wave[k][3] * sin (wave[k][0] * x + wave[k][1] * y + wave[k][2]);
      scene->background[y][x] = (float) CLAMP (v, 24, 225);
    }
}

static Scene *
new_scene (guint seed)
{
  Scene *scene = g_new0 (Scene, 1);

  scene->random.state = seed;
  scene->gain = 1;
  draw_background (scene);
  for (guint i = 0; i < POOL; i++) {
    guint64 bits = tern_random_next (&scene->random);
    int sum = 0;

    for (guint b = 0; b < 64; b += 8)
      sum += (int) (bits >> b & 255);
    scene->noise[i] = ((float) sum - 1020) / 209.0f;    /* eight uniform ones: variance 8 * 65535 / 12 */
  }
  return scene;
}

static double
level_behind (const Scene *scene, const Object *object)
{
  return scene->background[(guint) (object->y + object->h / 2)][(guint) (object->x + object->w / 2)];
}

static gboolean
is_in (const Object *object, guint x, guint y)
{
  return x >= object->x && x < object->x + object->w && y >= object->y && y < object->y + object->h;
}

static void
add_rain (Scene *scene, guint streaks)
{
  for (guint i = 0; i < streaks; i++) {
    guint x = tern_random_below (&scene->random, WIDTH), y = tern_random_below (&scene->random, HEIGHT - 14);

    for (guint r = y; r < y + 14; r++)
      scene->pixels[r][x] = (guint8) MIN (255, scene->pixels[r][x] + 45);
  }
}

static void
change_camera (Scene *scene, const Fault *fault, guint frame)
{
  if (frame > 0 && frame % 90 == 0)
    scene->gain = 1 + fault->exposure * (2 * tern_random_uniform (&scene->random) - 1);
  for (guint i = 0; frame % 20 == 0 && i < G_N_ELEMENTS (scene->blocks); i++)
    for (guint k = 0; k < G_N_ELEMENTS (scene->blocks[i]); k++)
      scene->blocks[i][k] = (float) (fault->blocks * (2 * tern_random_uniform (&scene->random) - 1));
}

/* Frame number @frame of what the camera sees. */
static void
draw (Scene *scene, const Fault *fault, guint frame, const Object *object)
{
  double light;
  guint at = tern_random_below (&scene->random, POOL);

  change_camera (scene, fault, frame);
  light = scene->gain * (1 + fault->flicker * sin (frame * 4.39));
  for (guint y = 0; y < HEIGHT; y++)
    for (guint x = 0; x < WIDTH; x++) {
      double v = scene->background[y][x] + (is_in (object, x, y) ? object->contrast : 0);

      v = v * light + scene->blocks[y / 8][x / 8] + fault->noise * scene->noise[(at + y * WIDTH + x) % POOL];
      scene->pixels[y][x] = (guint8) CLAMP (v + .5, 0, 255);
    }
  add_rain (scene, fault->rain);
}

static TernGateVerdict
judge (TernGateModel *model, const Scene *scene)
{
  TernImage image = { .format = TERN_IMAGE_GRAY8, .width = WIDTH, .height = HEIGHT, .data = { scene->pixels[0] },
    .stride = { WIDTH } };
  TernGateCells cells;

  tern_gate_cells (&cells, &image, 0);
  return tern_gate_model_judge (model, &cells);
}

static TernGateVerdict
see (TernGateModel *model, Scene *scene, const Fault *fault, guint frame, const Object *object)
{
  draw (scene, fault, frame, object);
  return judge (model, scene);
}

/* ---- Nothing is new ---------------------------------------------------------------------------------------------- */

static const Object nothing = { 0 };

static const Fault faults[] = {
  { "none" },
  { "noise-2", .noise = 2 },
  { "noise-5", .noise = 5 },
  { "noise-10", .noise = 10 },
  { "noise-20", .noise = 20 },
  { "flicker-2", .noise = 2, .flicker = .02 },
  { "flicker-10", .noise = 3, .flicker = .1 },
  { "exposure", .noise = 3, .exposure = .2 },
  { "rain", .noise = 2, .rain = 40 },
  { "cloudburst", .noise = 3, .rain = 120 },
  { "blocks-4", .noise = 1, .blocks = 4 },
  { "blocks-8", .noise = 1, .blocks = 8 },
  { "all", .noise = 4, .flicker = .03, .exposure = .1, .rain = 20, .blocks = 4 },
};

static void
test_still (const void *data)
{
  const Fault *fault = data;

  g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
  g_autofree Scene *scene = new_scene (1);

  g_assert_cmpuint (see (model, scene, fault, 0, &nothing), ==, TERN_GATE_FIRST);
  for (guint frame = 1; frame < LONG; frame++) {
    TernGateVerdict verdict = see (model, scene, fault, frame, &nothing);

    if (verdict != TERN_GATE_STILL)
      g_error ("%s: frame %u is taken for new (%u)", fault->name, frame, verdict);
  }
}

/* ---- Something is ------------------------------------------------------------------------------------------------ */

#define WARM 40                 /* frames of nothing before */

/* A hundredth of the picture, somewhere; @shape: its width in heights. */
static Object
place (Scene *scene, double shape, double contrast)
{
  double h = sqrt (WIDTH * HEIGHT * .01 / shape), w = h * shape;
  Object object = { .w = ceil (w), .h = ceil (h), .contrast = contrast };

  object.x = tern_random_below (&scene->random, (guint) (WIDTH - object.w));
  object.y = tern_random_below (&scene->random, (guint) (HEIGHT - object.h));
  if (level_behind (scene, &object) + contrast > 235 || level_behind (scene, &object) + contrast < 10)
    object.contrast = -contrast;
  return object;
}

/* Frames from @frame on until something is new, at most @most; G_MAXUINT: nothing was. */
static guint
wait_for_news (TernGateModel *model, Scene *scene, const Fault *fault, guint *frame, guint most, const Object *object)
{
  for (guint i = 0; i < most; i++)
    if (see (model, scene, fault, (*frame)++, object) != TERN_GATE_STILL)
      return i;
  return G_MAXUINT;
}

static void
expect_news (TernGateModel *model, Scene *scene, const Fault *fault, guint *frame, guint most, const Object *object,
    const char *what)
{
  if (wait_for_news (model, scene, fault, frame, most, object) == G_MAXUINT)
    g_error ("%s: an object of %gx%g at %g, %g, contrast %g, that %s was not seen within %u frames", fault->name, object->w,
        object->h, object->x, object->y, object->contrast, what, most);
}

/* Comes, stays for a while, goes: each is seen, with the second frame at the latest. Its place is another each time, and
 * how light it is. */
static void
test_come_and_go (const void *data)
{
  const Fault *fault = data;
  double least = fault->noise >= 10 || fault->rain > 0 || fault->blocks > 4 ? 40 : 24;
  const double contrasts[] = { least, -least, 1.5 * least, -1.5 * least, 80, -80 }, shapes[] = { 1, .3, 2.5 };
  g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
  g_autofree Scene *scene = new_scene (7);
  guint frame = 0;

  while (frame < WARM)
    see (model, scene, fault, frame++, &nothing);
  for (guint i = 0; i < 60; i++) {
    Object object = place (scene, shapes[i % 3], contrasts[i % 6]);

    expect_news (model, scene, fault, &frame, 2, &object, "came");
    wait_for_news (model, scene, fault, &frame, 8, &object);
    expect_news (model, scene, fault, &frame, 2, &nothing, "went");
    wait_for_news (model, scene, fault, &frame, 8, &nothing);
  }
}

/* Where little is wrong with the camera less is enough. */
static void
test_faint (void)
{
  const Fault fault = { "faint", .noise = 2 };
  const double contrasts[] = { 9, -9, 12, -12 };

  for (guint i = 0; i < 40; i++) {
    g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
    g_autofree Scene *scene = new_scene (100 + i);
    Object object;
    guint frame = 0;

    while (frame < WARM)
      see (model, scene, &fault, frame++, &nothing);
    object = place (scene, 1, contrasts[i % 4]);
    expect_news (model, scene, &fault, &frame, 2, &object, "came");
  }
}

/* It adds up against what was encoded, however little it is from frame to frame. */
static void
test_fade_in (const void *data)
{
  const Fault *fault = data;

  for (guint i = 0; i < 12; i++) {
    g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
    g_autofree Scene *scene = new_scene (200 + i);
    Object object;
    guint frame = 0, n = 0;
    double contrast;

    while (frame < WARM)
      see (model, scene, fault, frame++, &nothing);
    object = place (scene, 1, i % 2 ? 30 : -30);
    contrast = object.contrast;
    do {
      object.contrast = contrast * ++n / 100;
      g_assert_cmpuint (n, <=, 100);
    } while (see (model, scene, fault, frame++, &object) == TERN_GATE_STILL);
  }
}

/* A pixel a frame: seen before it has gone as far as it is wide. */
static void
test_slow (const void *data)
{
  const Fault *fault = data;

  for (guint i = 0; i < 12; i++) {
    g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
    g_autofree Scene *scene = new_scene (300 + i);
    Object object = place (scene, 1, i % 2 ? 40 : -40);
    guint frame = 0, seen;

    object.x = WIDTH / 4 + i;
    while (frame < WARM)
      see (model, scene, fault, frame++, &object);
    for (guint step = 0; step < 4; step++) {    /* and again, from where it was seen last */
      seen = 0;
      do {
        object.x += i % 3 ? 1 : -.5;
        g_assert_cmpuint (++seen, <=, object.w / (i % 3 ? 1 : .5));
      } while (see (model, scene, fault, frame++, &object) == TERN_GATE_STILL);
    }
  }
}

/* ---- Everything is ----------------------------------------------------------------------------------------------- */

static void
test_upheaval (void)
{
  const Fault fault = { "upheaval", .noise = 3 };
  g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
  g_autofree Scene *scene = new_scene (1), *other = new_scene (2);
  guint frame = 0;

  while (frame < WARM)
    see (model, scene, &fault, frame++, &nothing);
  g_assert_cmpuint (see (model, other, &fault, frame, &nothing), ==, TERN_GATE_UPHEAVAL);
  g_assert_cmpuint (see (model, other, &fault, frame, &nothing), ==, TERN_GATE_STILL);
  other->gain = .3;             /* the light goes out */
  g_assert_cmpuint (see (model, other, &fault, frame + 1, &nothing), ==, TERN_GATE_UPHEAVAL);
  g_assert_cmpuint (see (model, other, &fault, frame + 2, &nothing), ==, TERN_GATE_STILL);
}

/* A picture with nothing in it does not say whether another one is the same in another light. */
static void
test_flat (void)
{
  guint8 bytes[64 * 36];
  TernImage image = { .format = TERN_IMAGE_GRAY8, .width = 64, .height = 36, .data = { bytes }, .stride = { 64 } };
  g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
  TernGateCells cells;

  for (guint i = 0; i < 40; i++) {
    memset (bytes, (int) (100 + 2 * i), sizeof bytes);
    tern_gate_cells (&cells, &image, 0);
    g_assert_cmpuint (tern_gate_model_judge (model, &cells), ==, i == 0 ? TERN_GATE_FIRST : i % 4 == 0 ? TERN_GATE_UPHEAVAL
        : TERN_GATE_STILL);
  }
}

static void
test_forget_and_adopt (void)
{
  const Fault fault = { "forget", .noise = 2 };
  g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
  g_autofree Scene *scene = new_scene (1);
  Object object;
  guint frame = 0;

  while (frame < WARM)
    see (model, scene, &fault, frame++, &nothing);
  tern_gate_model_forget (model);
  g_assert_cmpuint (see (model, scene, &fault, frame++, &nothing), ==, TERN_GATE_FIRST);
  wait_for_news (model, scene, &fault, &frame, WARM, &nothing);
  /* What was seen, though not for new, is the background from then on. */
  object = place (scene, 1, 5);
  g_assert_cmpuint (see (model, scene, &fault, frame++, &object), ==, TERN_GATE_STILL);
  tern_gate_model_adopt (model);
  object.contrast += object.contrast > 0 ? 5 : -5;
  g_assert_cmpuint (wait_for_news (model, scene, &fault, &frame, 20, &object), ==, G_MAXUINT);
}

/* ---- Cells ------------------------------------------------------------------------------------------------------- */

static void
assert_same (const TernGateCells *a, const TernGateCells *b)
{
  g_assert_cmpuint (a->n, ==, b->n);
  for (guint p = 0; p < a->n; p++) {
    g_assert_cmpuint (a->w[p], ==, b->w[p]);
    g_assert_cmpuint (a->h[p], ==, b->h[p]);
    g_assert_true (memcmp (a->mean[p], b->mean[p], a->w[p] * a->h[p] * sizeof (float)) == 0);
  }
}

/* Any size, stride, format and width of samples: as the reference has it, bit for bit. */
static void
test_cells (void)
{
  TernRandom random = { 5 };
  const guint sizes[][2] = { { 1, 1 }, { 2, 3 }, { 63, 35 }, { 64, 36 }, { 65, 37 }, { 127, 200 }, { 641, 11 }, { 7, 481 },
    { 1920, 36 }, { 9000, 3 }, { 65535, 1 } };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    for (guint f = 0; f < 2 * (TERN_IMAGE_NV12 + 1); f++) {
      guint width = sizes[s][0], height = sizes[s][1], shift = f > TERN_IMAGE_NV12 ? 2 + f % 2 * 6 : 0;
      gsize row = (gsize) width * 4 + 4 + tern_random_below (&random, 9), plane = row * height;
      g_autofree guint8 *bytes = g_malloc (3 * plane);
      TernImage image = { .format = f % (TERN_IMAGE_NV12 + 1), .width = width, .height = height };
      TernGateCells a, b;

      if (shift > 0 && image.format < TERN_IMAGE_GRAY8)
        continue;
      for (gsize i = 0; i < 3 * plane; i++)
        bytes[i] = (guint8) tern_random_next (&random);
      for (guint p = 0; p < 3; p++) {
        gboolean upwards = tern_random_below (&random, 2);

        image.stride[p] = upwards ? -(gint) row : (gint) row;
        image.data[p] = bytes + p * plane + (upwards ? (height - 1) * row : 0);
      }
      tern_gate_cells (&a, &image, shift);
      tern_gate_cells_reference (&b, &image, shift);
      assert_same (&a, &b);
    }
}

/* A picture of one colour has that mean in every cell, whatever the format. */
static void
test_means (void)
{
  g_autofree guint8 *bytes = g_malloc (100 * 50 * 4);
  TernImage image = { .width = 100, .height = 50, .data = { bytes, bytes, bytes }, .stride = { 400, 400, 400 } };
  TernGateCells cells;

  memset (bytes, 77, 100 * 50 * 4);
  for (guint f = 0; f <= TERN_IMAGE_NV12; f++) {
    gboolean packed = f < TERN_IMAGE_GRAY8;

    image.format = f;
    tern_gate_cells (&cells, &image, 0);
    g_assert_cmpuint (cells.n, ==, f == TERN_IMAGE_GRAY8 ? 1 : 3);
    for (guint p = 0; p < cells.n; p++)
      for (guint i = 0; i < cells.w[p] * cells.h[p]; i++)
        g_assert_cmpfloat (cells.mean[p][i], ==, packed && p > 0 ? 127.5f : 77);
  }
  for (guint i = 0; i < 100 * 50 * 2; i++) {    /* 10 bits, low and high in their words */
    bytes[2 * i] = (77 * 4) & 255;
    bytes[2 * i + 1] = (77 * 4) >> 8;
  }
  image.format = TERN_IMAGE_I420;
  tern_gate_cells (&cells, &image, 2);
  g_assert_cmpfloat (cells.mean[0][0], ==, 77);
  g_assert_cmpfloat (cells.mean[2][99], ==, 77);
}

/* What is as light as what is behind it is seen by its colour. */
static void
test_colour (void)
{
  enum { W = 320, H = 180 };
  g_autofree guint8 *bytes = g_malloc (W * H * 3 / 2);
  g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
  TernImage image = { .format = TERN_IMAGE_I420, .width = W, .height = H,
    .data = { bytes, bytes + W * H, bytes + W * H * 5 / 4 }, .stride = { W, W / 2, W / 2 } };
  TernGateCells cells;

  memset (bytes, 128, W * H * 3 / 2);
  tern_gate_cells (&cells, &image, 0);
  tern_gate_model_judge (model, &cells);
  g_assert_cmpuint (tern_gate_model_judge (model, &cells), ==, TERN_GATE_STILL);
  for (guint y = 40; y < 50; y++)
    memset (bytes + W * H + y * W / 2 + 60, 148, 20);
  tern_gate_cells (&cells, &image, 0);
  g_assert_cmpuint (tern_gate_model_judge (model, &cells), ==, TERN_GATE_OBJECT);
}

/* With -m perf: CPU time of a frame of 1920 x 1080 that is in no cache, the least of many. */
static void
test_time (void)
{
  enum { W = 1920, H = 1080, FRAMES = 16 };
  static const char *const names[] = { "RGB", "BGR", "RGBX", "BGRX", "GRAY8", "I420", "NV12" };
  const gsize bytes = (gsize) W * H * 4;
  g_autofree guint8 *pixels = g_malloc (FRAMES * bytes);

  for (gsize i = 0; i < FRAMES * bytes; i++)
    pixels[i] = (guint8) (i * 2654435761u >> 13 & 63);
  for (guint f = 0; f <= TERN_IMAGE_NV12; f++) {
    g_autoptr (TernGateModel) model = tern_gate_model_new (THRESHOLD);
    gint step = f < TERN_IMAGE_RGBX ? 3 : f < TERN_IMAGE_GRAY8 ? 4 : 1;
    double least = 1e9;

    for (guint i = 0; i < 10 * FRAMES; i++) {
      const guint8 *frame = pixels + i % FRAMES * bytes;
      TernImage image = { .format = f, .width = W, .height = H, .data = { frame, frame + W * H, frame + W * H * 5 / 4 },
        .stride = { W * step, f == TERN_IMAGE_I420 ? W / 2 : W, W / 2 } };
      TernGateCells cells;
      struct timespec begin, end;

      clock_gettime (CLOCK_THREAD_CPUTIME_ID, &begin);
      tern_gate_cells (&cells, &image, 0);
      tern_gate_model_judge (model, &cells);
      clock_gettime (CLOCK_THREAD_CPUTIME_ID, &end);
      least = MIN (least, (double) (end.tv_sec - begin.tv_sec) * 1e3 + (double) (end.tv_nsec - begin.tv_nsec) / 1e6);
    }
    g_test_minimized_result (least, "%s: %.3f ms", names[f], least);
  }
}

int
main (int argc, char **argv)
{
  static const Fault quiet = { "quiet", .noise = 2 }, usual = { "usual", .noise = 4, .flicker = .02, .exposure = .05 };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gate/cells", test_cells);
  g_test_add_func ("/gate/means", test_means);
  g_test_add_func ("/gate/colour", test_colour);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++) {
    g_autofree char *still = g_strconcat ("/gate/still/", faults[i].name, NULL);
    g_autofree char *objects = g_strconcat ("/gate/objects/", faults[i].name, NULL);

    g_test_add_data_func (still, &faults[i], test_still);
    g_test_add_data_func (objects, &faults[i], test_come_and_go);
  }
  g_test_add_func ("/gate/faint", test_faint);
  g_test_add_data_func ("/gate/fade-in/quiet", &quiet, test_fade_in);
  g_test_add_data_func ("/gate/fade-in/usual", &usual, test_fade_in);
  g_test_add_data_func ("/gate/slow/quiet", &quiet, test_slow);
  g_test_add_data_func ("/gate/slow/usual", &usual, test_slow);
  g_test_add_func ("/gate/upheaval", test_upheaval);
  g_test_add_func ("/gate/flat", test_flat);
  g_test_add_func ("/gate/forget-and-adopt", test_forget_and_adopt);
  if (g_test_perf ())
    g_test_add_func ("/gate/time", test_time);
  return g_test_run ();
}
