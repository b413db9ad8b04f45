/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vision encoder on small files made here: every variant of the file format against the formulas in double precision;
 * misuse, cancelling, and that a second frame allocates nothing. */
#include <stdlib.h>

#include "tern/error.h"
#include "tests/unit/vision-file.h"
#include "vision/packed.h"

/* ---- Allocations of this thread, counted ------------------------------------------------------------------------- */

#if defined (__GLIBC__) && !defined (__SANITIZE_ADDRESS__) && !defined (__SANITIZE_THREAD__)
#define COUNTED 1
extern void *__libc_malloc (size_t bytes);
extern void *__libc_calloc (size_t n, size_t bytes);
extern void *__libc_realloc (void *block, size_t bytes);
void *malloc (size_t bytes);
void *calloc (size_t n, size_t bytes);
void *realloc (void *block, size_t bytes);

static __thread guint allocations;

void *
malloc (size_t bytes)
{
  allocations++;
  return __libc_malloc (bytes);
}

void *
calloc (size_t n, size_t bytes)
{
  allocations++;
  return __libc_calloc (n, bytes);
}

void *
realloc (void *block, size_t bytes)
{
  allocations++;
  return __libc_realloc (block, bytes);
}
#endif

static const Config variants[] = {
  { "usual", USUAL },
  { "fused", USUAL, .fused = TRUE },
  { "bare", USUAL, .no_patch_bias = TRUE, .no_post_ln = TRUE, .no_input_norm = TRUE, .other_key = TRUE },
  { "quick-gelu", USUAL, .activation = QUICK_GELU },
  { "silu", USUAL, .activation = SILU },
  { "no-blocks", .patch = 4, .factor = 2, .hidden = 8, .heads = 2, .ffn = 12, .blocks = 0, .side = 4, .mm = 10, .dim = 6 },
  { "one-head", .patch = 2, .factor = 1, .hidden = 5, .heads = 1, .ffn = 7, .blocks = 1, .side = 3, .mm = 3, .dim = 2 },
  { "thirds", .patch = 5, .factor = 3, .hidden = 9, .heads = 3, .ffn = 20, .blocks = 1, .side = 7, .mm = 4, .dim = 11 },
  { "odd-grid", .patch = 4, .factor = 2, .hidden = 8, .heads = 4, .ffn = 12, .blocks = 1, .side = 5, .mm = 10, .dim = 6,
    .min_pixels = 20 * 20, .max_pixels = 20 * 20 },     /* 5 x 5 patches: the last column and row are half empty */
  { "smol", SMOL },
  { "smol-swapped", SMOL, .swapped = TRUE, .no_post_ln = TRUE },
  { "smol-fused", SMOL, .fused = TRUE, .no_patch_bias = TRUE, .activation = SILU },
};

/* ---- The formulas ------------------------------------------------------------------------------------------------ */

typedef struct {
  const Config *config;
  GHashTable *tensors;
  guint grid_w, grid_h, n;
  guint width;                  /* pixels */
} Reference;

static const float *
tensor (const Reference *r, const char *format, guint i)
{
  g_autofree char *name = strstr (format, "%u") ? NULL : g_strdup (format);

  if (!name) {
    g_auto (GStrv) halves = g_strsplit (format, "%u", 2);

    name = g_strdup_printf ("%s%u%s", halves[0], i, halves[1]);
  }
  return g_hash_table_lookup (r->tensors, name);
}

/* y[t][o] = sum x[t][i] w[o][i] + b[o] */
static double *
linear (const double *x, const float *w, const float *b, guint n, guint cols, guint rows)
{
  double *y = g_new (double, (gsize) n * rows);

  for (guint t = 0; t < n; t++)
    for (guint o = 0; o < rows; o++) {
      double sum = b ? b[o] : 0;

      for (guint i = 0; i < cols; i++)
        sum += x[t * cols + i] * w[(gsize) o * cols + i];
      y[t * rows + o] = sum;
    }
  return y;
}

static double *
norm (const double *x, const float *w, const float *b, guint n, guint cols, double eps)
{
  double *y = g_memdup2 (x, (gsize) n * cols * sizeof (double));

  for (guint t = 0; w && t < n; t++) {
    double *row = y + t * cols, mean = 0, variance = 0;

    for (guint i = 0; i < cols; i++)
      mean += row[i] / cols;
    for (guint i = 0; i < cols; i++)
      variance += (row[i] - mean) * (row[i] - mean) / cols;
    for (guint i = 0; i < cols; i++)
      row[i] = (row[i] - mean) / sqrt (variance + eps) * w[i] + b[i];
  }
  return y;
}

static double
activate (Activation activation, double x)
{
  switch (activation) {
    case GELU:
      return 0.5 * x * (1 + tanh (sqrt (2 / G_PI) * (x + 0.044715 * x * x * x)));
    case QUICK_GELU:
      return x / (1 + exp (-1.702 * x));
    case SILU:
      return x / (1 + exp (-x));
  }
  g_assert_not_reached ();
}

/* The table's value @c for patch (x, y). */
static double
position (const Reference *r, guint x, guint y, guint c)
{
  guint side = r->config->side;
  const float *table = tensor (r, "v.position_embd.weight", 0);
  double sx = (double) side / r->grid_w, sy = (double) side / r->grid_h, sum = 0, value = 0;

  for (guint j = 0; j < side; j++)
    for (guint i = 0; i < side; i++) {
      double w = MAX (0, 1 - fabs (i + 0.5 - (x + 0.5) * sx) / MAX (sx, 1))
          * MAX (0, 1 - fabs (j + 0.5 - (y + 0.5) * sy) / MAX (sy, 1));

      sum += w;
      value += w * table[(j * side + i) * r->config->hidden + c];
    }
  return value / sum;
}

static double *
embed (const Reference *r, const guint8 *pixels)
{
  static const double mean[] = { 0.5f, 0.4f, 0.3f }, deviation[] = { 0.5f, 0.25f, 0.3f };
  guint patch = r->config->patch, hidden = r->config->hidden, width = r->width;
  const float *w = tensor (r, "v.patch_embd.weight", 0), *b = tensor (r, "v.patch_embd.bias", 0);
  double *x = g_new (double, r->n * hidden);

  for (guint t = 0; t < r->n; t++)
    for (guint o = 0; o < hidden; o++) {
      double sum = position (r, t % r->grid_w, t / r->grid_w, o) + (b ? b[o] : 0);

      for (guint c = 0; c < 3; c++)
        for (guint j = 0; j < patch; j++)
          for (guint i = 0; i < patch; i++) {
            guint px = t % r->grid_w * patch + i, py = t / r->grid_w * patch + j;

            sum += w[((o * 3 + c) * patch + j) * patch + i] * (pixels[(py * width + px) * 3 + c] / 255.0 - mean[c])
                / deviation[c];
          }
      x[t * hidden + o] = sum;
    }
  return x;
}

/* @which: 0 query, 1 key, 2 value */
static double *
project_qkv (const Reference *r, const double *x, guint block, guint which)
{
  static const char *const weights[] = { "v.blk.%u.attn_q.weight", "v.blk.%u.attn_k.weight", "v.blk.%u.attn_v.weight" };
  static const char *const biases[] = { "v.blk.%u.attn_q.bias", "v.blk.%u.attn_k.bias", "v.blk.%u.attn_v.bias" };
  guint hidden = r->config->hidden;

  if (r->config->fused)
    return linear (x, tensor (r, "v.blk.%u.attn_qkv.weight", block) + which * hidden * hidden,
        tensor (r, "v.blk.%u.attn_qkv.bias", block) + which * hidden, r->n, hidden, hidden);
  return linear (x, tensor (r, weights[which], block), tensor (r, biases[which], block), r->n, hidden, hidden);
}

static double *
attention (const Reference *r, const double *x, guint block)
{
  guint hidden = r->config->hidden, d = hidden / r->config->heads;
  g_autofree double *q = project_qkv (r, x, block, 0), *k = project_qkv (r, x, block, 1), *v = project_qkv (r, x, block, 2);
  g_autofree double *out = g_new0 (double, r->n * hidden), *score = g_new (double, r->n);

  for (guint head = 0; head < hidden; head += d)
    for (guint t = 0; t < r->n; t++) {
      double sum = 0;

      for (guint s = 0; s < r->n; s++) {
        score[s] = 0;
        for (guint i = head; i < head + d; i++)
          score[s] += q[t * hidden + i] * k[s * hidden + i];
        sum += score[s] = exp (score[s] / sqrt (d));
      }
      for (guint s = 0; s < r->n; s++)
        for (guint i = head; i < head + d; i++)
          out[t * hidden + i] += score[s] / sum * v[s * hidden + i];
    }
  return linear (out, tensor (r, "v.blk.%u.attn_out.weight", block), tensor (r, "v.blk.%u.attn_out.bias", block), r->n,
      hidden, hidden);
}

static double *
feed_forward (const Reference *r, const double *x, guint block)
{
  const Config *config = r->config;
  const char *up = config->swapped ? "v.blk.%u.ffn_down.weight" : "v.blk.%u.ffn_up.weight";
  const char *down = config->swapped ? "v.blk.%u.ffn_up.weight" : "v.blk.%u.ffn_down.weight";
  const char *up_bias = config->swapped ? "v.blk.%u.ffn_down.bias" : "v.blk.%u.ffn_up.bias";
  const char *down_bias = config->swapped ? "v.blk.%u.ffn_up.bias" : "v.blk.%u.ffn_down.bias";
  g_autofree double *inside = linear (x, tensor (r, up, block), tensor (r, up_bias, block), r->n, config->hidden,
      config->ffn);

  for (guint i = 0; i < r->n * config->ffn; i++)
    inside[i] = activate (config->activation, inside[i]);
  return linear (inside, tensor (r, down, block), tensor (r, down_bias, block), r->n, config->ffn, config->hidden);
}

static void
add (double *x, const double *y, guint n)
{
  for (guint i = 0; i < n; i++)
    x[i] += y[i];
}

static double *
transform (const Reference *r, const guint8 *pixels)
{
  guint hidden = r->config->hidden;
  g_autofree double *x = embed (r, pixels);

  for (guint i = 0; i < r->config->blocks; i++) {
    g_autofree double *first = norm (x, tensor (r, "v.blk.%u.ln1.weight", i), tensor (r, "v.blk.%u.ln1.bias", i), r->n,
        hidden, 1e-6);
    g_autofree double *attended = attention (r, first, i), *second = NULL, *fed = NULL;

    add (x, attended, r->n * hidden);
    second = norm (x, tensor (r, "v.blk.%u.ln2.weight", i), tensor (r, "v.blk.%u.ln2.bias", i), r->n, hidden, 1e-6);
    fed = feed_forward (r, second, i);
    add (x, fed, r->n * hidden);
  }
  return norm (x, tensor (r, "v.post_ln.weight", 0), tensor (r, "v.post_ln.bias", 0), r->n, hidden, 1e-6);
}

static double *
project (const Reference *r, const double *x, guint tokens_w, guint tokens_h)
{
  guint hidden = r->config->hidden, factor = r->config->factor, cols = factor * factor * hidden, n = tokens_w * tokens_h;
  g_autofree double *joined = g_new0 (double, n * cols), *normed = NULL, *inside = NULL;

  for (guint t = 0; t < n; t++)
    for (guint k = 0; k < factor * factor; k++) {
      guint px = t % tokens_w * factor + k % factor, py = t / tokens_w * factor + k / factor;

      if (px < r->grid_w && py < r->grid_h)
        memcpy (joined + t * cols + k * hidden, x + (py * r->grid_w + px) * hidden, hidden * sizeof (double));
    }
  if (r->config->image_size)
    return linear (joined, tensor (r, "mm.model.fc.weight", 0), NULL, n, cols, r->config->dim);
  normed = norm (joined, tensor (r, "mm.input_norm.weight", 0), tensor (r, "mm.input_norm.bias", 0), n, cols, 1e-5);
  inside = linear (normed, tensor (r, "mm.1.weight", 0), tensor (r, "mm.1.bias", 0), n, cols, r->config->mm);
  for (guint i = 0; i < n * r->config->mm; i++)
    inside[i] = 0.5 * inside[i] * (1 + erf (inside[i] / G_SQRT2));
  return linear (inside, tensor (r, "mm.2.weight", 0), tensor (r, "mm.2.bias", 0), n, r->config->mm, r->config->dim);
}

/* ---- Variants ---------------------------------------------------------------------------------------------------- */

static double
error_of (const float *found, const double *exact, gsize n)
{
  double error = 0, power = 0;

  for (gsize i = 0; i < n; i++) {
    error += (found[i] - exact[i]) * (found[i] - exact[i]);
    power += exact[i] * exact[i];
  }
  return error / power;
}

static TernImage
noise (guint width, guint height, guint8 *bytes)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (width * 1000 + height);

  for (gsize i = 0; i < 3 * (gsize) width * height; i++)
    bytes[i] = (guint8) g_rand_int (rand);
  return (TernImage) { .format = TERN_IMAGE_RGB, .width = width, .height = height, .data = { bytes },
    .stride = { (gint) width * 3 } };
}

static void
check_size (const Config *config, GHashTable *tensors, TernVision *vision, TernVisionState *state, double bound, guint width,
    guint height)
{
  gboolean fixed = config->min_pixels || config->image_size;
  TernVisionOptions options = { .min_tokens = fixed ? 0 : 1, .max_tokens = fixed ? 0 : 30 };
  g_autofree guint8 *bytes = g_malloc (3 * (gsize) width * height);
  g_autofree float *tokens = g_new (float, 64 * config->dim);
  g_autofree double *features = NULL, *exact = NULL;
  TernImage image = noise (width, height, bytes);
  g_autoptr (GError) error = NULL;
  Reference r = { config, tensors };
  TernVisionPlan plan;
  TernVisionTaps taps;

  tern_vision_plan (vision, width, height, &options, &plan, &error);
  g_assert_no_error (error);
  tern_vision_encode (state, &image, &options, &plan, tokens, NULL, &error);
  g_assert_no_error (error);
  tern_vision_state_taps (state, &taps);
  r.width = taps.width;
  r.grid_w = taps.width / config->patch;
  r.grid_h = taps.height / config->patch;
  r.n = r.grid_w * r.grid_h;
  g_assert_cmpuint (taps.n_patches, ==, r.n);
  features = transform (&r, taps.pixels);
  exact = project (&r, features, plan.sub[0].grid_w, plan.sub[0].grid_h);
  g_assert_cmpfloat (error_of (taps.output, features, r.n * config->hidden), <, bound);
  g_assert_cmpfloat (error_of (tokens, exact, plan.n_tokens * config->dim), <, bound);
}

/* On floats as exactly as they allow; on int8 and bf16 with a cosine of .999 at least. */
static void
check_variant (const Config *config, GHashTable *tensors, TernVision *vision, TernActivations activations)
{
  const double bound = activations == TERN_ACTIVATIONS_F32 ? 1e-10 : 2e-3;
  guint step = config->patch * config->factor;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVisionState) state = tern_vision_state_new (vision, 30, activations, NULL, &error);

  g_assert_no_error (error);
  check_size (config, tensors, vision, state, bound, 2 * step, 3 * step);
  check_size (config, tensors, vision, state, bound, 5 * step, 4 * step);
  check_size (config, tensors, vision, state, bound, 4 * step, 2 * step + 1);
  check_size (config, tensors, vision, state, bound, 2 * step, 3 * step);       /* positions were replaced in between */
  state->macs_at_once = 1;      /* 32 rows */
  check_size (config, tensors, vision, state, bound, 5 * step, 4 * step);
}

static void
test_variant (gconstpointer data)
{
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (TernVision) vision = open_config (data, tensors, &error);

  g_assert_no_error (error);
  check_variant (data, tensors, vision, TERN_ACTIVATIONS_F32);
  check_variant (data, tensors, vision, TERN_ACTIVATIONS_INT8);
}

/* ---- int8 and bf16 ----------------------------------------------------------------------------------------------- */

static float *
encode_noise (TernVision *vision, TernVisionState *state, gsize *n)
{
  TernVisionOptions options = { .min_tokens = 1, .max_tokens = 30 };
  g_autofree guint8 *bytes = g_malloc (3 * 40 * 32);
  TernImage image = noise (40, 32, bytes);
  g_autoptr (GError) error = NULL;
  TernVisionPlan plan;
  float *tokens;

  tern_vision_plan (vision, 40, 32, &options, &plan, &error);
  g_assert_no_error (error);
  *n = (gsize) plan.n_tokens * tern_vision_info (vision)->embedding_dim;
  tokens = g_new (float, *n);
  tern_vision_encode (state, &image, &options, &plan, tokens, NULL, &error);
  g_assert_no_error (error);
  return tokens;
}

/* Every matrix in int8, come what may. */
static TernVisionPacked *
pack_int8 (TernVision *vision, TernPool *pool)
{
  TernVisionPacked *packed = g_new0 (TernVisionPacked, 1);
  TernVisionMatrix matrix;

  packed->blocks = g_new0 (TernVitPacked, vision->n_blocks);
  for (guint i = 0; tern_vision_matrix (vision, packed, i, &matrix); i++)
    g_assert_true (tern_packed_init (matrix.packed, matrix.linear, matrix.first, matrix.rows, TERN_PACKED_I8,
            TERN_PACKED_GROUP, pool, NULL));
  return packed;
}

/* A file with an outlier, which int8 alone gets wrong, is told by itself; one without stays in int8. */
static void
test_forms (void)
{
  static const Config configs[] = {
    { "plain", .patch = 4, .factor = 2, .hidden = 64, .heads = 2, .ffn = 128, .blocks = 2, .side = 4, .mm = 64, .dim = 32 },
    { "outlier", .patch = 4, .factor = 2, .hidden = 64, .heads = 2, .ffn = 128, .blocks = 2, .side = 4, .mm = 64, .dim = 32,
      .wrong = "outlier" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (configs); i++) {
    g_autoptr (GHashTable) tensors = tensors_new ();
    g_autoptr (TernVision) vision = open_config (&configs[i], tensors, NULL);
    TernPool *pool = tern_pool_new (2, NULL);
    TernVisionPacked *int8 = pack_int8 (vision, pool);
    g_autoptr (TernVisionState) floats = tern_vision_state_new (vision, 30, TERN_ACTIVATIONS_F32, pool, NULL);
    g_autoptr (TernVisionState) chosen = tern_vision_state_new (vision, 30, TERN_ACTIVATIONS_INT8, pool, NULL);
    g_autoptr (TernVisionState) alone = tern_vision_state_make (vision, 30, int8, pool, NULL);
    gsize n;
    g_autofree float *exact = encode_noise (vision, floats, &n), *found = encode_noise (vision, chosen, &n);
    g_autofree float *wrong = encode_noise (vision, alone, &n);
    g_autofree char *text = tern_vision_packed_text (vision);

    g_test_message ("%s: %s, cosine %f; in int8 alone %f", configs[i].name, text, cosine (exact, found, n),
        cosine (exact, wrong, n));
    g_assert_cmpfloat (cosine (exact, found, n), >=, .999);
    g_assert_cmpint (vision->packed->blocks[0].up.type, ==, i ? TERN_PACKED_BF16 : TERN_PACKED_I8);
    g_assert_cmpint (vision->packed->blocks[1].up.type, ==, TERN_PACKED_I8);
    if (i == 1)
      g_assert_cmpfloat (cosine (exact, wrong, n), <, .999);
    g_clear_pointer (&alone, tern_vision_state_free);
    tern_vision_packed_free (int8, vision->n_blocks);
    g_clear_pointer (&floats, tern_vision_state_free);
    g_clear_pointer (&chosen, tern_vision_state_free);
    tern_pool_free (pool);
  }
}

/* ---- Use --------------------------------------------------------------------------------------------------------- */

static void
test_misuse (void)
{
  g_autoptr (TernVision) vision = open_lfm2_vl (0, 0);
  TernVisionOptions options = { .tile = FALSE };
  g_autofree guint8 *bytes = g_malloc (3 * 300 * 300);
  g_autofree float *tokens = g_new (float, 256 * 2);
  TernImage image = noise (300, 300, bytes);
  g_autoptr (TernVisionState) enough = NULL;
  g_autoptr (GError) error = NULL;
  TernCancel cancel = { 0 };
  TernVisionPlan plan;

  g_assert_null (tern_vision_state_new (vision, 0, TERN_ACTIVATIONS_INT8, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  enough = tern_vision_state_new (vision, 81, TERN_ACTIVATIONS_INT8, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (tern_vision_plan (vision, 300, 300, &options, &plan, &error));

  plan.sub[0].height += 32;
  g_assert_false (tern_vision_encode (enough, &image, &options, &plan, tokens, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  plan.sub[0].height -= 32;
  tern_cancel_raise (&cancel);
  g_assert_false (tern_vision_encode (enough, &image, &options, &plan, tokens, &cancel, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_CANCELLED);
  g_clear_error (&error);
  tern_cancel_reset (&cancel);
  g_assert_true (tern_vision_encode (enough, &image, &options, &plan, tokens, &cancel, &error));
}

/* What an encoder's matrices hold is seen in its tokens. */
static void
test_damaged (void)
{
  static const TernActivations forms[] = { TERN_ACTIVATIONS_F32, TERN_ACTIVATIONS_INT8 };
  const Config config = { "damaged", SMOL, .wrong = "nan matrix" };
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (TernVision) vision = open_config (&config, tensors, NULL);
  TernVisionOptions options = { .tile = FALSE };
  g_autofree guint8 *bytes = g_malloc (3 * 20 * 20);
  g_autofree float *tokens = g_new (float, 64 * config.dim);
  TernImage image = noise (20, 20, bytes);
  TernVisionPlan plan;

  g_assert_true (tern_vision_plan (vision, 20, 20, &options, &plan, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (forms); i++) {
    g_autoptr (TernVisionState) state = tern_vision_state_new (vision, 30, forms[i], NULL, NULL);
    g_autoptr (GError) error = NULL;

    for (guint again = 0; again < 2; again++, g_clear_error (&error)) {
      g_assert_false (tern_vision_encode (state, &image, &options, &plan, tokens, NULL, &error));
      g_assert_error (error, TERN_ERROR, TERN_ERROR_FAILED);
      g_assert_nonnull (strstr (error->message, "finite visual tokens"));
      g_assert_nonnull (strstr (error->message, "tern-vision-"));       /* the file */
    }
  }
}

/* A tile of more tokens than are ever planned for. */
static void
test_too_large (void)
{
  const Config config = { "fine", .patch = 1, .factor = 1, .hidden = 4, .heads = 1, .ffn = 4, .blocks = 0, .side = 2, .mm = 2,
    .dim = 2 };
  TernVisionOptions options = { .min_tokens = 1, .max_tokens = 100, .tile = TRUE };
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (TernVision) vision = open_config (&config, tensors, NULL);
  g_autoptr (TernVisionState) state = tern_vision_state_new (vision, 1, TERN_ACTIVATIONS_INT8, NULL, NULL);
  g_autofree guint8 *bytes = g_malloc (3 * 90 * 90);
  TernImage image = noise (90, 90, bytes);
  g_autoptr (GError) error = NULL;
  TernVisionPlan plan;
  float tokens[200];

  g_assert_true (tern_vision_plan (vision, 90, 90, &options, &plan, NULL));
  g_assert_cmpuint (plan.sub[0].n_tokens, >, TERN_VISION_MAX_TOKENS);
  g_assert_false (tern_vision_begin (state, &image, &options, &plan, tokens, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_clear_error (&error);
  options.tile = FALSE;         /* the state is as good as before */
  g_assert_true (tern_vision_plan (vision, 90, 90, &options, &plan, NULL));
  g_assert_true (tern_vision_encode (state, &image, &options, &plan, tokens, NULL, &error));
}

/* Two sizes in turn, and one that is tiled. */
static void
count_allocations (TernVision *vision, guint most)
{
#ifdef COUNTED
  TernVisionOptions options = { .tile = TRUE };
  static const guint shapes[][2] = { { 300, 200 }, { 90, 400 }, { 1300, 700 } };
  g_autofree guint8 *bytes = g_malloc (3 * 1300 * 700);
  g_autofree float *tokens = g_new (float, 11 * 256 * 2);
  g_autoptr (TernVisionState) state = tern_vision_state_new (vision, most, TERN_ACTIVATIONS_INT8, NULL, NULL);
  guint seen = 0;

  for (guint round = 0; round < 4; round++) {
    if (round == 1)
      seen = allocations;
    for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
      TernImage image = { TERN_IMAGE_RGB, shapes[i][0], shapes[i][1], { bytes }, { (gint) shapes[i][0] * 3 } };
      TernVisionPlan plan;

      g_assert_true (tern_vision_plan (vision, image.width, image.height, &options, &plan, NULL));
      g_assert_true (tern_vision_encode (state, &image, &options, &plan, tokens, NULL, NULL));
    }
  }
  g_assert_cmpuint (seen, >, 0);
  g_assert_cmpuint (allocations, ==, seen);
#else
  g_test_skip ("allocations cannot be counted in this build");
#endif
}

static void
test_no_allocation (void)
{
  const Config config = { "smol", SMOL };
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (TernVision) lfm2 = open_lfm2_vl (0, 0), smol = open_config (&config, tensors, NULL);

  count_allocations (lfm2, 256);
  count_allocations (smol, 4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (variants); i++) {
    g_autofree char *name = g_strconcat ("/vision/variant/", variants[i].name, NULL);

    g_test_add_data_func (name, &variants[i], test_variant);
  }
  g_test_add_func ("/vision/forms", test_forms);
  g_test_add_func ("/vision/misuse", test_misuse);
  g_test_add_func ("/vision/damaged", test_damaged);
  g_test_add_func ("/vision/too-large", test_too_large);
  g_test_add_func ("/vision/no-allocation", test_no_allocation);
  return g_test_run ();
}
