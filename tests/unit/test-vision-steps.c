/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures in slices: the same tokens, bit for bit, wherever slices end; pictures of many in turn on one state; given up
 * and cancelled anywhere; how much work a slice holds. */
#include "tern/error.h"
#include "tests/unit/vision-file.h"
#include "vision/packed.h"

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

#define PIXELS (1300 * 700)

/* A model, and pictures for it. */
typedef struct {
  const char *name;
  Config config;
  guint max_tokens;             /* of a sub-image */
  struct {
    guint width, height, min_tokens, max_tokens;
    gboolean tile;
    TernScaling scaling;
  } picture[3];
} Family;

#define ANY(w, h, scaling) { w, h, 1, 30, FALSE, scaling }
#define SMALL(w, h, tile, scaling) { w, h, 1, 4, tile, scaling }
#define OWN(w, h, tile, scaling) { w, h, 0, 0, tile, scaling }

static const Family families[] = {
  { "lfm2", { "lfm2", USUAL }, 30, { ANY (40, 24, TERN_SCALING_CROP), ANY (16, 40, TERN_SCALING_LETTERBOX),
      ANY (33, 21, TERN_SCALING_STRETCH) } },
  { "lfm2-fused", { "fused", USUAL, .fused = TRUE, .no_post_ln = TRUE, .no_input_norm = TRUE }, 30,
    { ANY (40, 24, TERN_SCALING_TRAINED), ANY (16, 40, TERN_SCALING_CROP), ANY (33, 21, TERN_SCALING_CROP) } },
  { "tiles", { "tiles", .patch = 64, .factor = 2, .hidden = 8, .heads = 2, .ffn = 12, .blocks = 1, .side = 4, .mm = 10,
      .dim = 6 }, 16, { SMALL (1300, 700, TRUE, TERN_SCALING_CROP), SMALL (300, 200, FALSE, TERN_SCALING_LETTERBOX),
      SMALL (500, 900, TRUE, TERN_SCALING_CROP) } },
  { "idefics3", { "smol", SMOL }, 4, { OWN (40, 30, TRUE, TERN_SCALING_TRAINED), OWN (50, 20, FALSE, TERN_SCALING_CROP),
      OWN (17, 40, FALSE, TERN_SCALING_TRAINED) } },
};

typedef struct {
  const Family *family;
  TernVision *vision;
  TernPool *pool;
  TernVisionState *state;
  GHashTable *tensors;
  guint8 *bytes;
  gsize values[3];              /* of a picture's tokens */
  float *expected[3];           /* by another state, at once */
  float *found;
} Fixture;

static void
describe (const Fixture *f, guint i, TernImage *image, TernVisionOptions *options)
{
  guint width = f->family->picture[i].width, height = f->family->picture[i].height;

  *image = (TernImage) { .format = TERN_IMAGE_RGB, .width = width, .height = height, .data = { f->bytes + i },
    .stride = { (gint) width * 3 } };
  *options = (TernVisionOptions) { .min_tokens = f->family->picture[i].min_tokens,
    .max_tokens = f->family->picture[i].max_tokens, .tile = f->family->picture[i].tile,
    .scaling = f->family->picture[i].scaling };
}

/* What is handed over lives no longer than the call. */
static void
begin (const Fixture *f, guint i, float *tokens)
{
  g_autofree TernVisionPlan *plan = g_new (TernVisionPlan, 1);
  g_autoptr (GError) error = NULL;
  TernVisionOptions options;
  TernImage image;

  describe (f, i, &image, &options);
  g_assert_true (tern_vision_plan_image (f->vision, &image, &options, plan, &error));
  memset (tokens, 0x55, f->values[i] * sizeof (float));
  tern_vision_begin (f->state, &image, &options, plan, tokens, &error);
  g_assert_no_error (error);
  memset (&image, 0x55, sizeof image);
  memset (&options, 0x55, sizeof options);
  memset (plan, 0x55, sizeof *plan);
}

/* Returns how many steps there were. */
static guint
finish (const Fixture *f, guint i)
{
  g_autoptr (GError) error = NULL;
  TernVisionStep step;
  guint steps = 0;

  do {
    step = tern_vision_step (f->state, NULL, &error);
    g_assert_no_error (error);
    steps++;
  } while (step == TERN_VISION_MORE);
  g_assert_cmpint (step, ==, TERN_VISION_DONE);
  g_assert_cmpmem (f->found, f->values[i] * sizeof (float), f->expected[i], f->values[i] * sizeof (float));
  return steps;
}

static guint
whole (const Fixture *f, guint i)
{
  begin (f, i, f->found);
  return finish (f, i);
}

static void
encode_expected (Fixture *f, guint i)
{
  g_autoptr (TernVisionState) other = tern_vision_state_new (f->vision, f->family->max_tokens, TERN_ACTIVATIONS_INT8, NULL,
      NULL);
  g_autofree TernVisionPlan *plan = g_new (TernVisionPlan, 1);
  g_autoptr (GError) error = NULL;
  TernVisionOptions options;
  TernImage image;

  describe (f, i, &image, &options);
  tern_vision_plan_image (f->vision, &image, &options, plan, &error);
  g_assert_no_error (error);
  g_assert_true (!options.tile || plan->n > 1);
  f->values[i] = (gsize) plan->n_tokens * f->family->config.dim;
  f->expected[i] = g_new (float, f->values[i]);
  tern_vision_encode (other, &image, &options, plan, f->expected[i], NULL, &error);
  g_assert_no_error (error);
}

static void
set_up (Fixture *f, const Family *family)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (4);
  g_autoptr (GError) error = NULL;
  gsize most = 0;

  *f = (Fixture) { .family = family, .tensors = tensors_new (), .pool = tern_pool_new (3, NULL),
    .bytes = g_malloc (3 * PIXELS + 3) };
  f->vision = open_config (&family->config, f->tensors, &error);
  g_assert_no_error (error);
  f->state = tern_vision_state_new (f->vision, family->max_tokens, TERN_ACTIVATIONS_INT8, f->pool, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < 3 * PIXELS + 3; i++)
    f->bytes[i] = (guint8) (i / 331 + (guint) g_rand_int (rand) % 64);
  for (guint i = 0; i < 3; i++) {
    encode_expected (f, i);
    most = MAX (most, f->values[i]);
  }
  f->found = g_new (float, most);
}

static void
tear_down (Fixture *f)
{
  for (guint i = 0; i < 3; i++)
    g_free (f->expected[i]);
  g_free (f->found);
  g_free (f->bytes);
  tern_vision_state_free (f->state);
  tern_pool_free (f->pool);
  tern_vision_unref (f->vision);
  g_hash_table_unref (f->tensors);
}

/* ---- Slices ------------------------------------------------------------------------------------------------------ */

static void
test_same_bits (gconstpointer data)
{
  static const guint64 slices[] = { 1, 5000, 100000, TERN_VISION_SLICE };
  Fixture f;

  set_up (&f, data);
  for (guint s = 0; s < G_N_ELEMENTS (slices); s++)
    for (guint rows = 0; rows < 2; rows++)
      for (guint i = 0; i < 3; i++) {
        guint steps;

        f.state->slice = slices[s];
        f.state->macs_at_once = rows ? 1 : TERN_VISION_MACS_AT_ONCE;    /* blocks of 32 rows */
        steps = whole (&f, i);
        if (slices[s] == 1)
          g_assert_cmpuint (steps, >, 10);
      }
  tear_down (&f);
}

/* Another picture's, larger or smaller and with other options, comes in the midst; the first is begun anew after it. */
static void
test_given_up (gconstpointer data)
{
  Fixture f;
  guint steps;

  set_up (&f, data);
  f.state->slice = 1;
  steps = whole (&f, 0);
  for (guint after = 0; after <= steps; after += MAX (steps / 13, 1)) {
    g_autofree float *lost = g_new (float, f.values[0]), *then = NULL;

    begin (&f, 0, lost);
    for (guint i = 0; i < after; i++)
      tern_vision_step (f.state, NULL, NULL);
    then = g_memdup2 (lost, f.values[0] * sizeof (float));
    whole (&f, 1 + after % 2);
    g_assert_cmpmem (lost, f.values[0] * sizeof (float), then, f.values[0] * sizeof (float));
    whole (&f, 0);
  }
  tear_down (&f);
}

/* Also a picture that is refused. */
static void
test_refused (gconstpointer data)
{
  g_autofree TernVisionPlan *plan = g_new0 (TernVisionPlan, 1);
  g_autoptr (GError) error = NULL;
  TernVisionOptions options;
  TernImage image;
  Fixture f;

  set_up (&f, data);
  g_assert_cmpint (tern_vision_step (f.state, NULL, &error), ==, TERN_VISION_FAILED);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  describe (&f, 0, &image, &options);
  begin (&f, 1, f.found);
  g_assert_cmpint (tern_vision_step (f.state, NULL, &error), ==, TERN_VISION_MORE);
  g_assert_false (tern_vision_begin (f.state, &image, &options, plan, f.found, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_cmpint (tern_vision_step (f.state, NULL, &error), ==, TERN_VISION_FAILED);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  whole (&f, 2);
  g_assert_cmpint (tern_vision_step (f.state, NULL, &error), ==, TERN_VISION_FAILED);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  tear_down (&f);
}

/* Made for small pictures: takes what larger ones need when they come, and keeps it. */
static void
test_grows (gconstpointer data)
{
  const float *memory = NULL;
  Fixture f;

  set_up (&f, data);
  tern_vision_state_free (f.state);
  f.state = tern_vision_state_new (f.vision, 1, TERN_ACTIVATIONS_INT8, f.pool, NULL);
  for (guint round = 0; round < 3; round++) {
    for (guint i = 0; i < 3; i++)
      whole (&f, (i + 1) % 3);
    g_assert_true (round == 0 || f.state->x == memory);
    memory = f.state->x;
  }
  g_assert_cmpuint (f.state->max_tokens, <=, f.family->max_tokens);
  tear_down (&f);
}

/* ---- Cancelling -------------------------------------------------------------------------------------------------- */

/* A cancel comes with work number @at; by this clock all work takes as long as it should, so that the pool learns
 * nothing. */
typedef struct {
  TernCancel cancel;
  guint works, at;
} Alarm;

static gint64
ring (void *data, guint64 work)
{
  Alarm *alarm = data;

  if (work && ++alarm->works == alarm->at)
    tern_cancel_raise (&alarm->cancel);
  return (gint64) alarm->works * TERN_SLICE_US;
}

static void
check_cancelled (const Fixture *f, TernCancel *cancel)
{
  g_autoptr (GError) error = NULL;
  TernVisionStep step;

  do {
    step = tern_vision_step (f->state, cancel, &error);
  } while (step == TERN_VISION_MORE);
  g_assert_cmpint (step, ==, TERN_VISION_CANCELLED);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_cmpint (tern_vision_step (f->state, NULL, &error), ==, TERN_VISION_FAILED);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

static void
test_between_slices (gconstpointer data)
{
  Fixture f;
  guint steps;

  set_up (&f, data);
  f.state->slice = 1;
  steps = whole (&f, 0);
  for (guint after = 0; after < steps; after += MAX (steps / 13, 1)) {
    TernCancel cancel = { 0 };

    begin (&f, 0, f.found);
    for (guint i = 0; i < after; i++)
      g_assert_cmpint (tern_vision_step (f.state, &cancel, NULL), ==, TERN_VISION_MORE);
    tern_cancel_raise (&cancel);
    check_cancelled (&f, &cancel);
    whole (&f, 1);
  }
  tear_down (&f);
}

/* While a step computes: in any of the products, which are the work that takes long. */
static void
test_within_slices (gconstpointer data)
{
  Fixture f;
  Alarm alarm = { .at = 0 };
  TernSlice *slice;
  guint works;

  set_up (&f, data);
  slice = tern_pool_slice (f.pool);
  slice->clock = ring;
  slice->data = &alarm;
  slice->limit = TERN_SLICE_TIMED / 8192;
  whole (&f, 0);
  works = alarm.works;
  g_assert_cmpuint (works, >=, 5);
  for (guint at = 1; at <= works; at += MAX (works / 13, 1)) {
    alarm = (Alarm) { .at = at };
    begin (&f, 0, f.found);
    check_cancelled (&f, &alarm.cancel);
    g_assert_cmpuint (alarm.works, ==, at);
    alarm.at = 0;
    whole (&f, 1 + at % 2);
  }
  tear_down (&f);
}

/* ---- Work -------------------------------------------------------------------------------------------------------- */

static guint64 counted;

static void
count_i8 (float *y, gsize ldy, const guint8 *w, gsize rows, gsize cols, const float *wscale, const float *bias,
    const gint8 *x, gsize ldx, gsize group, const float *xscale, const gint32 *xsum, gsize ldg, gsize n)
{
  counted += rows * cols * n;
}

static void
count_bf16 (float *y, gsize ldy, const guint16 *w, gsize rows, gsize cols, const float *bias, const guint16 *x, gsize ldx,
    gsize n)
{
  counted += rows * cols * n;
}

static gint64
stopped (void *data, guint64 work)
{
  return 0;
}

static void
skip (float *x, gsize n)
{
}

static float
skip_softmax (guint16 *dst, const float *x, gsize n, float scale, float *largest)
{
  return 1;
}

static float
skip_softmax_i8 (gint8 *dst, const float *x, gsize n, float scale, gboolean rest, float *largest, gint32 *sum)
{
  *largest = 0;
  *sum = 127;
  return 1;
}

typedef struct {
  double speed;                 /* multiply-adds a microsecond */
  double now;
} Machine;

static gint64
tick (void *data, guint64 work)
{
  Machine *machine = data;

  machine->now += (double) work / machine->speed;
  return (gint64) machine->now;
}

/* Steps of a picture once the state knows the machine; the work of the largest. */
static guint
steps_at (const Fixture *f, double speed, guint64 *largest)
{
  Machine machine = { .speed = speed };
  TernVisionStep step;
  guint steps = 0;

  f->state->pace.clock = tick;
  f->state->pace.data = &machine;
  for (guint i = 0; i < 3; i++)
    whole (f, 0);
  *largest = 0;
  begin (f, 0, f->found);
  do {
    step = tern_vision_step (f->state, NULL, NULL);
    *largest = MAX (*largest, f->state->work);
    steps++;
  } while (step == TERN_VISION_MORE);
  g_assert_cmpint (step, ==, TERN_VISION_DONE);
  return steps;
}

/* Slices are as large as the machine is fast; the smallest that there are: a block of rows for each thread. */
static void
test_pace (void)
{
  const guint64 smallest = 3 * TERN_PACKED_ROWS * 10 * 6 * (2 * 4 + TERN_VISION_VALUE_WORK);
  guint64 slow, fast;
  Fixture f;

  set_up (&f, &families[0]);
  g_assert_cmpuint (steps_at (&f, 1, &slow), >, 15);
  g_assert_cmpuint (slow, <, 2 * TERN_SLICE_US + smallest);
  g_assert_cmpuint (steps_at (&f, 1e6, &fast), ==, 2);
  g_assert_cmpuint (fast, >, slow);
  tear_down (&f);
}

/* SigLIP-B/16 at 512 pixels, one layer of it, with kernels that count instead of multiplying: a slice is a small part of
 * a layer, and the work is all there. */
static void
test_work (void)
{
  const Config config = { "siglip", .patch = 16, .factor = 2, .hidden = 768, .heads = 12, .ffn = 3072, .blocks = 1,
    .side = 16, .mm = 1024, .dim = 512, .activation = GELU, .min_pixels = 512 * 512, .max_pixels = 512 * 512 };
  const guint64 n = 1024, layer = n * 768 * (4 * 768 + 2 * 3072) + 2 * n * n * 768;
  const guint64 all = n * 768 * 768 + layer + n / 4 * 1024 * (4 * 768 + 512);
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (TernVision) vision = open_config (&config, tensors, NULL);
  g_autoptr (TernVisionState) state = tern_vision_state_new (vision, 256, TERN_ACTIVATIONS_INT8, NULL, NULL);
  TernKernels *kernels = (TernKernels *) vision->kernels;
  g_autofree guint8 *bytes = g_malloc0 (3 * 512 * 512);
  g_autofree float *tokens = g_new (float, 256 * 512);
  TernImage image = { TERN_IMAGE_RGB, 512, 512, { bytes }, { 3 * 512 } };
  TernVisionOptions options = { .scaling = TERN_SCALING_CROP };
  guint64 sum = 0, most = 0;
  TernVisionPlan plan;
  TernVisionStep step;
  guint steps = 0;

  kernels->gemm_i8p = count_i8;
  kernels->gemm_bf16p = count_bf16;
  kernels->gelu_tanh = kernels->gelu_erf = skip;
  kernels->softmax_bf16 = skip_softmax;
  kernels->softmax_i8 = skip_softmax_i8;
  g_assert_true (tern_vision_plan_image (vision, &image, &options, &plan, NULL));
  g_assert_true (tern_vision_begin (state, &image, &options, &plan, tokens, NULL));
  state->pace.clock = stopped;  /* a fast machine */
  state->pace.limit = TERN_SLICE_MOST;
  do {
    counted = 0;
    step = tern_vision_step (state, NULL, NULL);
    sum += counted;
    most = MAX (most, counted);
    steps++;
  } while (step == TERN_VISION_MORE);
  g_assert_cmpint (step, ==, TERN_VISION_DONE);
  g_assert_cmpuint (sum, ==, all);
  g_test_message ("%u slices, at most %" G_GUINT64_FORMAT " multiply-adds", steps, most);
  g_assert_cmpuint (most, <, layer / 3);
  g_assert_cmpuint (most, <=, TERN_VISION_SLICE + TERN_VISION_SLICE / 16);
  g_assert_cmpuint (steps, <, 2 * all / TERN_VISION_SLICE + 10);        /* and no confetti */
}

static void
add (const char *name, const Family *family, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/vision/steps/%s/%s", family->name, name);

  g_test_add_data_func (path, family, func);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (families); i++) {
    add ("same-bits", &families[i], test_same_bits);
    add ("given-up", &families[i], test_given_up);
    add ("grows", &families[i], test_grows);
    add ("refused", &families[i], test_refused);
    add ("between-slices", &families[i], test_between_slices);
    add ("within-slices", &families[i], test_within_slices);
  }
  g_test_add_func ("/vision/steps/pace", test_pace);
  g_test_add_func ("/vision/steps/work", test_work);
  return g_test_run ();
}
