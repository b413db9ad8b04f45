/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small vision encoder files, right ones and wrong ones. */
#pragma once

#include <glib/gstdio.h>
#include <math.h>
#include <unistd.h>

#include "tests/unit/gguf-writer.h"
#include "vision/internal.h"
#include "vision/motion.h"

typedef enum { GELU, QUICK_GELU, SILU } Activation;

/* What a file has; zeros mean the usual. */
typedef struct {
  const char *name;
  guint patch, factor, hidden, heads, ffn, blocks, side, mm, dim;
  Activation activation;
  gboolean fused, no_patch_bias, no_post_ln, no_input_norm, other_key;
  guint min_pixels, max_pixels;
  guint motion;                 /* inputs of its second layer; 0: the file has none */
  guint version;                /* ... of what is measured; 0: 1 */
  guint image_size, preproc;    /* projector idefics3, which has the first; 0: lfm2 */
  gboolean swapped;             /* ffn_up and ffn_down bear each other's name */
  const char *wrong;            /* what is wrong with it, see put_keys() and put_tensor() */
} Config;

#define USUAL .patch = 4, .factor = 2, .hidden = 8, .heads = 2, .ffn = 12, .blocks = 2, .side = 4, .mm = 10, .dim = 6

#define OUTLIER 500

/* Four by four patches, two pixels left over; stills of up to 3 x 3 tiles. */
#define SMOL USUAL, .image_size = 18, .preproc = 40

static inline gboolean
wrong (const Config *config, const char *what)
{
  return config->wrong && g_str_equal (config->wrong, what);
}

static inline void
put_f32_key (GgufWriter *w, const char *name, float value)
{
  writer_number (w, name, TERN_GGUF_F32, &value, sizeof value);
}

static inline void
put_bool_key (GgufWriter *w, const char *name)
{
  writer_number (w, name, TERN_GGUF_BOOL, "\1", 1);
}

static inline void
put_channels (GgufWriter *w, const char *name, float a, float b, float c, guint n)
{
  const float values[] = { a, b, c };

  writer_array (w, name, TERN_GGUF_F32, n);
  put_bytes (w->keys, values, n * sizeof (float));
}

static inline void
put_u32_key (const Config *config, GgufWriter *w, const char *name, guint32 value)
{
  g_autofree char *zero = g_strconcat ("0 ", name, NULL), *absent = g_strconcat ("no ", name, NULL);
  g_autofree char *key = g_strconcat ("clip.vision.", name, NULL);

  if (!wrong (config, absent))
    writer_u32 (w, key, wrong (config, zero) ? 0 : value);
}

static inline void
put_keys (const Config *config, GgufWriter *w)
{
  writer_string (w, "general.architecture", wrong (config, "architecture") ? "llama" : "clip");
  writer_string (w, "general.name", "small");
  if (!wrong (config, "no projector"))
    writer_string (w, config->other_key ? "clip.vision.projector_type" : "clip.projector_type",
        wrong (config, "projector") ? "warp" : config->image_size ? "idefics3" : "lfm2");
  if (wrong (config, "no encoder"))
    writer_number (w, "clip.has_vision_encoder", TERN_GGUF_BOOL, "\0", 1);
  if (config->activation == GELU)
    put_bool_key (w, "clip.use_gelu");
  if (config->activation == SILU || wrong (config, "gelu and silu"))
    put_bool_key (w, "clip.use_silu");
  put_u32_key (config, w, "patch_size", config->patch);
  put_u32_key (config, w, "projector.scale_factor", config->factor);
  put_u32_key (config, w, "embedding_length", config->hidden);
  put_u32_key (config, w, "feed_forward_length", config->ffn);
  put_u32_key (config, w, "block_count", config->blocks + wrong (config, "blocks"));
  put_u32_key (config, w, "attention.head_count", wrong (config, "heads") ? 3 : config->heads);
  put_u32_key (config, w, "projection_dim", config->dim + wrong (config, "width"));
  put_f32_key (w, "clip.vision.attention.layer_norm_epsilon", wrong (config, "eps") ? NAN : 1e-6f);
  put_channels (w, "clip.vision.image_mean", wrong (config, "mean") ? INFINITY : 0.5f, 0.4f, 0.3f,
      wrong (config, "short mean") ? 1 : 3);
  put_channels (w, "clip.vision.image_std", 0.5f, wrong (config, "std") ? 0 : wrong (config, "nan std") ? NAN : 0.25f, 0.3f,
      3);
  if (config->image_size)
    put_u32_key (config, w, "image_size", config->image_size);
  if (config->preproc)
    put_u32_key (config, w, "preproc_image_size", config->preproc);
  if (config->min_pixels)
    writer_u32 (w, "clip.vision.image_min_pixels", config->min_pixels);
  if (config->max_pixels)
    writer_u32 (w, "clip.vision.image_max_pixels", config->max_pixels);
  if (config->motion)
    writer_u32 (w, "tern.vision.motion", wrong (config, "motion") ? 3 : MAX (config->version, 1));
}

/* @tensors gets the values also when the file does not. */
static inline void
put_tensor (const Config *config, GgufWriter *w, GHashTable *tensors, GRand *rand, const char *name, guint n_dims,
    const guint64 *dims, double middle, double spread)
{
  g_autofree char *absent = g_strconcat ("no ", name, NULL), *zeros = g_strconcat ("zero ", name, NULL);
  gsize n = 1;
  float *values;

  for (guint i = 0; i < n_dims; i++)
    n *= dims[i];
  values = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    values[i] = (float) (middle + spread * g_rand_double_range (rand, -1, 1));
  /* A channel that is hundreds of times as large as the others, and counts for as much. */
  if (wrong (config, "outlier") && g_str_equal (name, "v.blk.0.ln2.weight"))
    values[5] = OUTLIER;
  if (wrong (config, "outlier") && g_str_equal (name, "v.blk.0.ffn_up.weight"))
    for (gsize i = 5; i < n; i += dims[0])
      values[i] /= OUTLIER;
  if ((wrong (config, "nan norm") && g_str_equal (name, "v.blk.0.ln2.weight"))
      || (wrong (config, "nan matrix") && g_str_equal (name, "v.blk.0.ffn_up.weight")))
    values[1] = NAN;
  if (wrong (config, zeros))
    memset (values, 0, n * sizeof (float));
  if (!wrong (config, absent))
    writer_tensor (w, name, n_dims, dims, TERN_TYPE_F32, values, n * sizeof (float));
  g_hash_table_insert (tensors, g_strdup (name), values);
}

static inline void
put_norm (const Config *config, GgufWriter *w, GHashTable *tensors, GRand *rand, const char *prefix, guint n)
{
  g_autofree char *weight = g_strconcat (prefix, ".weight", NULL), *bias = g_strconcat (prefix, ".bias", NULL);

  put_tensor (config, w, tensors, rand, weight, 1, (guint64[]) { n }, 1, 0.5);
  put_tensor (config, w, tensors, rand, bias, 1, (guint64[]) { n }, 0, 0.5);
}

static inline void
put_linear (const Config *config, GgufWriter *w, GHashTable *tensors, GRand *rand, const char *prefix, guint cols, guint rows)
{
  g_autofree char *weight = g_strconcat (prefix, ".weight", NULL), *bias = g_strconcat (prefix, ".bias", NULL);

  put_tensor (config, w, tensors, rand, weight, 2, (guint64[]) { cols, rows }, 0, 2 / sqrt (cols));
  put_tensor (config, w, tensors, rand, bias, 1, (guint64[]) { rows }, 0, 0.3);
}

static inline void
put_block (const Config *config, GgufWriter *w, GHashTable *tensors, GRand *rand, guint i)
{
  static const char *const names[] = { "attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down", "attn_qkv" };
  guint hidden = config->hidden, up = config->swapped ? 5 : 4, down = config->swapped ? 4 : 5;

  for (guint k = 0; k < G_N_ELEMENTS (names); k++) {
    g_autofree char *prefix = g_strdup_printf ("v.blk.%u.%s", i, names[k]);

    if (config->fused ? k < 3 : k == 6)
      continue;
    put_linear (config, w, tensors, rand, prefix, k == down ? config->ffn : hidden, k == up ? config->ffn
        : k == 6 ? 3 * hidden : hidden);
  }
  for (guint k = 1; k <= 2; k++) {
    g_autofree char *prefix = g_strdup_printf ("v.blk.%u.ln%u", i, k);

    put_norm (config, w, tensors, rand, prefix, hidden);
  }
}

static inline void
put_tensors (const Config *config, GgufWriter *w, GHashTable *tensors)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (9);
  guint hidden = config->hidden, joined = config->factor * config->factor * hidden;
  guint positions = config->side * config->side - wrong (config, "positions");

  put_tensor (config, w, tensors, rand, "v.patch_embd.weight", 4, (guint64[]) { config->patch, config->patch, 3, hidden }, 0,
      1.0 / config->patch);
  if (!config->no_patch_bias)
    put_tensor (config, w, tensors, rand, "v.patch_embd.bias", 1, (guint64[]) { hidden }, 0, 0.3);
  put_tensor (config, w, tensors, rand, "v.position_embd.weight", 2, (guint64[]) { hidden, positions }, 0, 1);
  for (guint i = 0; i < config->blocks; i++)
    put_block (config, w, tensors, rand, i);
  if (!config->no_post_ln)
    put_norm (config, w, tensors, rand, "v.post_ln", hidden);
  if (config->wrong && g_str_has_prefix (config->wrong, "with "))       /* one that no projector here has */
    put_tensor (config, w, tensors, rand, config->wrong + strlen ("with "), 1, (guint64[]) { g_str_has_suffix (config->wrong,
              ".scale") ? 1 : hidden }, 1, 0.5);
  if (config->image_size) {
    put_tensor (config, w, tensors, rand, "mm.model.fc.weight", 2,
        (guint64[]) { joined - wrong (config, "projector shape"), config->dim }, 0, 2 / sqrt (joined));
    return;
  }
  if (!config->no_input_norm)
    put_norm (config, w, tensors, rand, "mm.input_norm", joined);
  put_linear (config, w, tensors, rand, "mm.1", joined, config->mm);
  put_linear (config, w, tensors, rand, "mm.2", config->mm, config->dim);
  if (config->motion) {
    put_linear (config, w, tensors, rand, "mm.motion.1", wrong (config, "motion width") ? TERN_MOTION_FEATURES - 1
        : wrong (config, "motion once") ? TERN_MOTION_FEATURES : TERN_MOTION_FEATURES * MAX (config->version, 1),
        config->motion);
    put_linear (config, w, tensors, rand, "mm.motion.2", config->motion, config->dim);
  }
}

/* Writes the file of @config; @tensors gets every tensor's values by its name. Its path, to be freed. */
static inline char *
write_config (const Config *config, GHashTable *tensors)
{
  g_auto (GgufWriter) w;
  GByteArray *bytes;
  char *path = NULL;
  int fd;

  writer_init (&w);
  put_keys (config, &w);
  put_tensors (config, &w, tensors);
  bytes = writer_finish (&w);
  fd = g_file_open_tmp ("tern-vision-XXXXXX.gguf", &path, NULL);
  g_assert_cmpint (write (fd, bytes->data, bytes->len), ==, bytes->len);
  close (fd);
  g_byte_array_unref (bytes);
  return path;
}

/* Opens it. */
static inline TernVision *
open_config (const Config *config, GHashTable *tensors, GError **error)
{
  static TernKernels kernels;
  g_autoptr (TernGguf) file = NULL;
  g_autofree char *path = write_config (config, tensors);

  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  file = tern_gguf_open (path, error);
  g_unlink (path);
  return file ? tern_vision_open (file, &kernels, error) : NULL;
}

static inline GHashTable *
tensors_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

/* The family's patches and factor, to plan sizes with. */
#define LFM2_VL .patch = 16, .factor = 2, .hidden = 4, .heads = 1, .ffn = 4, .blocks = 0, .side = 2, .mm = 2, .dim = 2

static inline TernVision *
open_lfm2_vl (guint min_pixels, guint max_pixels)
{
  Config config = { "sizes", LFM2_VL, .min_pixels = min_pixels, .max_pixels = max_pixels };
  g_autoptr (GHashTable) tensors = tensors_new ();
  g_autoptr (GError) error = NULL;
  TernVision *vision = open_config (&config, tensors, &error);

  g_assert_no_error (error);
  return vision;
}

static inline double
cosine (const float *a, const float *b, gsize n)
{
  double ab = 0, aa = 0, bb = 0;

  for (gsize i = 0; i < n; i++) {
    ab += (double) a[i] * b[i];
    aa += (double) a[i] * a[i];
    bb += (double) b[i] * b[i];
  }
  return ab / sqrt (aa * bb);
}
