/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Patches that keep their features: whole pictures are those of a tower without a cache, bit for bit; what is computed and
 * when; caches of many streams on one state; what a picture that was given up leaves. */
#include <stdlib.h>

#include "tests/unit/vision-file.h"
#include "vision/packed.h"

/* ---- Counting: of this thread, which is the pool's only one ---- */

static gboolean counting;
static guint counted;

#ifndef __SANITIZE_ADDRESS__    /* which has its own */
void *__libc_malloc (size_t size);
void *__libc_calloc (size_t n, size_t size);
void *__libc_realloc (void *block, size_t size);

void *
malloc (size_t size)
{
  counted += counting;
  return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  counted += counting;
  return __libc_calloc (n, size);
}

void *
realloc (void *block, size_t size)
{
  counted += counting;
  return __libc_realloc (block, size);
}
#endif

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

#define SIDE 64                 /* pixels: 16 x 16 patches of 4, 8 x 8 tokens */
#define DIM 6
#define VALUES (8 * 8 * DIM)

typedef enum { FLOATS, PACKED_INT8, PACKED_BF16 } Mode;

typedef struct {
  const char *name;
  Config config;
  Mode mode;
} Kind;

#define TOWER .patch = 4, .factor = 2, .hidden = 32, .heads = 2, .ffn = 48, .blocks = 3, .side = 16, .mm = 10, .dim = DIM, \
  .min_pixels = SIDE * SIDE, .max_pixels = SIDE * SIDE

static const Kind kinds[] = {
  { "floats", { "reuse-f", TOWER }, FLOATS },
  { "floats-fused", { "reuse-u", TOWER, .fused = TRUE, .no_post_ln = TRUE, .no_input_norm = TRUE }, FLOATS },
  { "int8", { "reuse-i", TOWER }, PACKED_INT8 },
  { "bf16", { "reuse-b", TOWER }, PACKED_BF16 },
  { "bf16-fused", { "reuse-d", TOWER, .fused = TRUE }, PACKED_BF16 },
};

typedef struct {
  GHashTable *tensors;
  TernVision *vision;
  TernVisionState *state;
  guint8 bytes[3 * SIDE * SIDE];
  float tokens[VALUES], expected[VALUES];
} Fixture;

/* Attention and all matrices in the form asked for, whatever the file's own choice. */
static void
set_form (const Kind *kind, TernVision *vision)
{
  TernVisionMatrix matrix;
  TernPool *pool = tern_pool_new (1, NULL);

  g_assert_true (tern_vision_pack (vision, pool, NULL));
  vision->packed->int8_attention = kind->mode == PACKED_INT8;
  for (guint i = 0; tern_vision_matrix (vision, vision->packed, i, &matrix); i++) {
    tern_packed_clear (matrix.packed);
    g_assert_true (tern_packed_init (matrix.packed, matrix.linear, matrix.first, matrix.rows,
            kind->mode == PACKED_INT8 ? TERN_PACKED_I8 : TERN_PACKED_BF16, TERN_PACKED_GROUP, pool, NULL));
  }
  tern_pool_free (pool);
}

static Fixture *
set_up (const Kind *kind)
{
  Fixture *f = g_new0 (Fixture, 1);
  g_autoptr (GError) error = NULL;

  f->tensors = tensors_new ();
  f->vision = open_config (&kind->config, f->tensors, &error);
  g_assert_no_error (error);
  if (kind->mode != FLOATS)
    set_form (kind, f->vision);
  f->state = tern_vision_state_make (f->vision, 64, kind->mode == FLOATS ? NULL : f->vision->packed, NULL, &error);
  g_assert_no_error (error);
  return f;
}

static void
tear_down (Fixture *f)
{
  tern_vision_state_free (f->state);
  tern_vision_unref (f->vision);
  g_hash_table_unref (f->tensors);
  g_free (f);
}

static TernReuse *
make_cache (const Fixture *f, TernReuseOptions options)
{
  g_autoptr (GError) error = NULL;
  TernReuse *reuse = tern_reuse_new (f->vision, 64, &options, &error);

  g_assert_no_error (error);
  return reuse;
}

/* A scene of @seed, and a square of @size pixels at (@x, @y) that is of another. */
static void
draw (Fixture *f, guint seed, guint x, guint y, guint size)
{
  for (guint i = 0; i < SIDE * SIDE; i++) {
    guint px = i % SIDE, py = i / SIDE, of = seed + (px >= x && px < x + size && py >= y && py < y + size ? 77 : 0);

    for (guint c = 0; c < 3; c++)
      f->bytes[3 * i + c] = (guint8) ((px * 5 + py * 3 + px * py / 8 + of * 37 + c * 60) % 200 + 20);
  }
}

static TernVisionStep
advance (Fixture *f, TernReuse *reuse, guint width, guint height, float *tokens, guint steps)
{
  TernImage image = { .format = TERN_IMAGE_RGB, .width = width, .height = height, .data = { f->bytes },
    .stride = { 3 * (gint) width } };
  TernVisionOptions options = { .scaling = TERN_SCALING_STRETCH };
  g_autofree TernVisionPlan *plan = g_new (TernVisionPlan, 1);
  TernVisionStep step = TERN_VISION_MORE;
  g_autoptr (GError) error = NULL;

  g_assert_true (tern_vision_plan_image (f->vision, &image, &options, plan, &error));
  counting = TRUE;
  tern_vision_begin_reusing (f->state, reuse, &image, &options, plan, tokens, &error);
  while (!error && step == TERN_VISION_MORE && steps-- > 0)
    step = tern_vision_step (f->state, NULL, &error);
  counting = FALSE;
  g_assert_no_error (error);
  return step;
}

static void
encode (Fixture *f, TernReuse *reuse, float *tokens)
{
  g_assert_cmpint (advance (f, reuse, SIDE, SIDE, tokens, G_MAXUINT), ==, TERN_VISION_DONE);
}

static void
assert_whole (Fixture *f)
{
  encode (f, NULL, f->expected);
  g_assert_cmpmem (f->tokens, sizeof f->tokens, f->expected, sizeof f->expected);
}

static TernReuseCounts
counts_of (const TernReuse *reuse)
{
  TernReuseCounts counts;

  tern_reuse_counts (reuse, &counts);
  return counts;
}

/* ---- All changed: computed in part, from a list of all patches ---- */

static void
test_all_changed (gconstpointer kind)
{
  Fixture *f = set_up (kind);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .drift = 2, .always = TRUE });
  guint8 changed[16 * 16];

  memset (changed, 1, sizeof changed);
  for (guint t = 0; t < 4; t++) {
    draw (f, t, 4 * t, 8, 16);
    tern_reuse_set_changed (reuse, changed, 16, 16);
    encode (f, reuse, f->tokens);
    assert_whole (f);
  }
  g_assert_cmpuint (counts_of (reuse).refreshes, ==, 1);        /* the first */
  g_assert_cmpuint (counts_of (reuse).computed, ==, 4 * 256);
  g_assert_cmpuint (counts_of (reuse).macs, ==, counts_of (reuse).whole);
  tear_down (f);
}

/* Nothing changed: tokens are the same, whatever the probes find. */
static void
test_still (gconstpointer kind)
{
  Fixture *f = set_up (kind);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = .005 });

  guint64 reused = 0;

  draw (f, 1, 0, 0, 0);
  for (guint t = 0; t < 20; t++) {
    encode (f, reuse, f->tokens);
    assert_whole (f);
    for (guint i = 0; t > 0 && i < 64; i++)     /* all but probes, of 4 patches each */
      reused += 4 * ((i % 8 + 5 * (i / 8)) % 16 != 3 * t % 16);
  }
  g_assert_cmpuint (counts_of (reuse).refreshes, ==, 1);
  g_assert_cmpuint (counts_of (reuse).reused, ==, reused);
  g_assert_cmpfloat (counts_of (reuse).drift, ==, 0);
  tear_down (f);
}

/* A square that moves: the ring around it is computed, and it is much nearer to the whole than what was kept. */
static void
test_square (gconstpointer kind)
{
  Fixture *f = set_up (kind);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = 2 });
  float before[VALUES];

  draw (f, 1, 0, 0, 0);
  encode (f, reuse, f->tokens);
  for (guint t = 0; t < 3; t++) {
    guint64 computed = counts_of (reuse).computed, n;

    memcpy (before, f->tokens, sizeof before);
    draw (f, 1, 16 + 4 * t, 20, 8);
    encode (f, reuse, f->tokens);
    encode (f, NULL, f->expected);
    n = counts_of (reuse).computed - computed;
    g_assert_cmpuint (n, >=, 16);       /* 2 x 2 patches, and a ring */
    g_assert_cmpuint (n, <=, 5 * 4 + 5 * 4);    /* 3 x 2 changed, and a ring; probes */
    g_assert_cmpfloat (cosine (f->tokens, f->expected, VALUES), >, .99);
    g_assert_cmpfloat (1 - cosine (f->tokens, f->expected, VALUES), <, (1 - cosine (before, f->expected, VALUES)) / 2);
  }
  tear_down (f);
}

/* ---- Whole again ---- */

static void
test_refresh (void)
{
  Fixture *f = set_up (&kinds[0]);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = 2, .refresh = 4 });

  for (guint t = 0; t < 12; t++) {
    draw (f, 1, 4 * t, 20, 12);
    encode (f, reuse, f->tokens);
    g_assert_cmpuint (counts_of (reuse).refreshes, ==, t / 4 + 1);
    if (t % 4 == 0)
      assert_whole (f);
  }
  tern_reuse_forget (reuse);
  encode (f, reuse, f->tokens);
  g_assert_cmpuint (counts_of (reuse).refreshes, ==, 4);
  tear_down (f);
}

/* A bound that nothing keeps: what was computed in part is computed whole at once. */
static void
test_drift (void)
{
  Fixture *f = set_up (&kinds[0]);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = 1e-12, .always = TRUE });

  for (guint t = 0; t < 5; t++) {
    draw (f, 1, 4 * t, 20, 12);
    encode (f, reuse, f->tokens);
    assert_whole (f);
  }
  g_assert_cmpuint (counts_of (reuse).drifted, ==, 4);
  g_assert_cmpuint (counts_of (reuse).refreshes, ==, 5);
  g_assert_cmpuint (counts_of (reuse).macs, >, counts_of (reuse).whole);
  tear_down (f);
}

/* Everything moves: the cache rests more and more, and every picture is the whole tower's. */
static void
test_rest (void)
{
  Fixture *f = set_up (&kinds[0]);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = .005 });
  TernReuseCounts counts;

  for (guint t = 0; t < 200; t++) {
    draw (f, t, 0, 0, 0);
    encode (f, reuse, f->tokens);
    assert_whole (f);
  }
  counts = counts_of (reuse);
  g_assert_cmpuint (counts.frames, ==, 200);
  g_assert_cmpuint (counts.refreshes, ==, 200);
  g_assert_cmpuint (counts.drifted, ==, 0);
  g_assert_cmpuint (counts.macs, ==, counts.whole);
  g_assert_cmpuint (counts.rested, ==, 8 + 16 + 32 + 64 + 64 + 1);        /* after 5 pictures, and then 2 between */
  for (guint t = 0; t < 80; t++) {      /* it stands still again */
    encode (f, reuse, f->tokens);
    assert_whole (f);
  }
  g_assert_cmpuint (counts_of (reuse).reused, >, 0);
  tear_down (f);
}

/* ---- Streams and sizes ---- */

static void
test_streams (gconstpointer kind)
{
  Fixture *f = set_up (kind);
  TernReuse *both[2], *alone[2];
  float tokens[2][6][VALUES];

  for (guint s = 0; s < 2; s++) {
    both[s] = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = 2 });
    alone[s] = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = 2 });
    for (guint t = 0; t < 6; t++) {
      draw (f, 3 * s, 8 * t, 16 + 16 * s, 12);
      encode (f, alone[s], tokens[s][t]);
    }
  }
  for (guint t = 0; t < 6; t++)
    for (guint s = 0; s < 2; s++) {
      draw (f, 3 * s, 8 * t, 16 + 16 * s, 12);
      encode (f, both[s], f->tokens);
      g_assert_cmpmem (f->tokens, sizeof f->tokens, tokens[s][t], sizeof tokens[s][t]);
    }
  for (guint s = 0; s < 2; s++) {
    g_assert_cmpuint (counts_of (both[s]).refreshes, ==, 1);
    tern_reuse_free (both[s]);
    tern_reuse_free (alone[s]);
  }
  tear_down (f);
}

/* One that was given up, after any number of steps, leaves nothing to go by. */
static void
test_given_up (gconstpointer kind)
{
  Fixture *f = set_up (kind);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = 2 });

  f->state->slice = 1;
  for (guint steps = 1; steps < 100; steps += 7) {
    draw (f, 1, 0, 0, 0);
    encode (f, reuse, f->tokens);
    draw (f, 1, 24, 24, 12);
    if (advance (f, reuse, SIDE, SIDE, f->tokens, steps) == TERN_VISION_DONE)
      break;
    encode (f, reuse, f->tokens);
    assert_whole (f);
  }
  tear_down (f);
}

static void
test_size (void)
{
  const Config any = { "reuse-any", .patch = 4, .factor = 2, .hidden = 32, .heads = 2, .ffn = 48, .blocks = 2, .side = 4,
    .mm = 10, .dim = DIM, .min_pixels = 64, .max_pixels = SIDE * SIDE };
  Kind kind = { "any", any, FLOATS };
  Fixture *f = set_up (&kind);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = 2 });

  draw (f, 1, 0, 0, 0);
  for (guint i = 0; i < 4; i++) {
    guint height = i % 2 ? SIDE / 2 : SIDE;

    advance (f, reuse, SIDE, height, f->tokens, G_MAXUINT);
    advance (f, NULL, SIDE, height, f->expected, G_MAXUINT);
    g_assert_cmpmem (f->tokens, sizeof (float) * 8 * (height / 8) * DIM, f->expected, sizeof (float) * 8 * (height / 8) * DIM);
    g_assert_cmpuint (counts_of (reuse).refreshes, ==, i + 1);
  }
  tear_down (f);
}

/* Nothing is allocated for a picture once one was seen. */
static void
test_allocations (gconstpointer kind)
{
  Fixture *f = set_up (kind);
  g_autoptr (TernReuse) reuse = make_cache (f, (TernReuseOptions) { .threshold = 4, .drift = .005, .refresh = 5 });

  for (guint t = 0; t < 12; t++) {
    draw (f, t / 8, 4 * (t % 8), 20, 12);
    if (t == 1)
      counted = 0;
    encode (f, reuse, f->tokens);
  }
  g_assert_cmpuint (counted, ==, 0);
  g_assert_cmpuint (counts_of (reuse).reused, >, 0);
  tear_down (f);
}

static void
add (const char *name, const Kind *kind, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/vision/reuse/%s/%s", kind->name, name);

  g_test_add_data_func (path, kind, func);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    add ("all-changed", &kinds[i], test_all_changed);
    add ("still", &kinds[i], test_still);
    add ("square", &kinds[i], test_square);
    add ("streams", &kinds[i], test_streams);
    add ("given-up", &kinds[i], test_given_up);
    add ("allocations", &kinds[i], test_allocations);
  }
  g_test_add_func ("/vision/reuse/refresh", test_refresh);
  g_test_add_func ("/vision/reuse/drift", test_drift);
  g_test_add_func ("/vision/reuse/rest", test_rest);
  g_test_add_func ("/vision/reuse/size", test_size);
  return g_test_run ();
}
