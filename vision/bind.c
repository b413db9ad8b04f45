/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensors of an mmproj file. */
#include "vision/packed.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

/* ---- What is used ------------------------------------------------------------------------------------------------ */

static void
use (TernVision *vision, const char *name)
{
  g_hash_table_add (vision->used, g_strdup (name));
}

/* Of a block behind those that are run: converters may leave there what a model's projector does not see. */
static gboolean
is_behind (const TernVision *vision, const char *name)
{
  const char *const blocks = "v.blk.";
  char *end;
  guint64 i;

  if (!g_str_has_prefix (name, blocks) || !g_ascii_isdigit (name[strlen (blocks)]))
    return FALSE;
  i = g_ascii_strtoull (name + strlen (blocks), &end, 10);
  return *end == '.' && i >= vision->n_blocks;
}

/* Somebody put every tensor there to be computed with: features without it would be wrong, and nobody would notice. */
static gboolean
check_names (const TernVision *vision, GError **error)
{
  for (gsize i = 0; i < tern_gguf_n_tensors (vision->file); i++) {
    const char *name = tern_gguf_tensor_at (vision->file, i)->name;

    if ((!g_str_has_prefix (name, "v.") && !g_str_has_prefix (name, "mm.")) || g_hash_table_contains (vision->used, name)
        || is_behind (vision, name))
      continue;
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected none of this name in an encoder with "
        "projector %s, found one", tern_gguf_path (vision->file), name, vision->projector->name);
    return FALSE;
  }
  return TRUE;
}

/* ---- Tensors ----------------------------------------------------------------------------------------------------- */

static float *
load_vector (TernVision *vision, const char *name, guint n, GError **error)
{
  const guint64 dims[] = { n };
  float *values = tern_gguf_load_f32 (vision->file, name, 1, dims, error);

  use (vision, name);
  if (values)
    vision->owned += n * sizeof (float);
  return values;
}

/* @prefix.weight and .bias. */
gboolean
tern_vision_load_norm (TernVision *vision, TernNorm *norm, const char *prefix, guint n, GError **error)
{
  g_autofree char *weight = g_strconcat (prefix, ".weight", NULL);
  g_autofree char *bias = g_strconcat (prefix, ".bias", NULL);

  norm->weight = load_vector (vision, weight, n, error);
  if (!norm->weight || !tern_gguf_check_norm (vision->file, weight, norm->weight, n, error))
    return FALSE;
  norm->bias = load_vector (vision, bias, n, error);
  return norm->bias != NULL;
}

gboolean
tern_vision_load_optional_norm (TernVision *vision, TernNorm *norm, const char *prefix, guint n, GError **error)
{
  g_autofree char *weight = g_strconcat (prefix, ".weight", NULL);
  g_autofree char *bias = g_strconcat (prefix, ".bias", NULL);

  if (!tern_gguf_find (vision->file, weight) && !tern_gguf_find (vision->file, bias))
    return TRUE;
  return tern_vision_load_norm (vision, norm, prefix, n, error);
}

gboolean
tern_vision_load_linear (TernVision *vision, TernLinear *linear, float **bias, const char *prefix, guint cols, guint rows,
    GError **error)
{
  g_autofree char *weight = g_strconcat (prefix, ".weight", NULL);
  g_autofree char *bias_name = g_strconcat (prefix, ".bias", NULL);
  g_autofree char *scale = g_strconcat (prefix, ".scale", NULL);

  use (vision, weight);
  use (vision, scale);          /* tern_linear_load() looks for it */
  if (!tern_linear_load (linear, vision->file, weight, cols, rows, vision->kernels, error)
      || !tern_linear_pack (linear, NULL, error))
    return FALSE;
  vision->owned += tern_linear_owned (linear);
  if (!bias)
    return TRUE;
  *bias = load_vector (vision, bias_name, rows, error);
  return *bias != NULL;
}

static gboolean
load_qkv (TernVision *vision, TernVitBlock *block, guint i, GError **error)
{
  g_autofree char *fused = g_strdup_printf ("v.blk.%u.attn_qkv", i);
  g_autofree char *fused_weight = g_strconcat (fused, ".weight", NULL);
  g_autofree char *q = g_strdup_printf ("v.blk.%u.attn_q", i);
  g_autofree char *k = g_strdup_printf ("v.blk.%u.attn_k", i);
  g_autofree char *v = g_strdup_printf ("v.blk.%u.attn_v", i);
  guint hidden = vision->hidden;

  block->fused = tern_gguf_find (vision->file, fused_weight) != NULL;
  if (block->fused)
    return tern_vision_load_linear (vision, &block->q, &block->q_bias, fused, hidden, 3 * hidden, error);
  return tern_vision_load_linear (vision, &block->q, &block->q_bias, q, hidden, hidden, error)
      && tern_vision_load_linear (vision, &block->k, &block->k_bias, k, hidden, hidden, error)
      && tern_vision_load_linear (vision, &block->v, &block->v_bias, v, hidden, hidden, error);
}

/* Whether the block's "ffn_down" is the linear that comes first: converters of an early time had the names the other way
 * round. Told by the shape; of a square one the name is believed. */
static gboolean
is_swapped (const TernVision *vision, const char *down)
{
  g_autofree char *name = g_strconcat (down, ".weight", NULL);
  const TernTensor *tensor = tern_gguf_find (vision->file, name);

  return vision->projector->swapped_ffn && tensor && tensor->n_dims == 2 && tensor->dims[0] == vision->hidden
      && tensor->dims[1] == vision->ffn && vision->ffn != vision->hidden;
}

static gboolean
load_block (TernVision *vision, TernVitBlock *block, guint i, GError **error)
{
  g_autofree char *ln1 = g_strdup_printf ("v.blk.%u.ln1", i);
  g_autofree char *ln2 = g_strdup_printf ("v.blk.%u.ln2", i);
  g_autofree char *out = g_strdup_printf ("v.blk.%u.attn_out", i);
  g_autofree char *up = g_strdup_printf ("v.blk.%u.ffn_up", i);
  g_autofree char *down = g_strdup_printf ("v.blk.%u.ffn_down", i);
  gboolean swapped = is_swapped (vision, down);
  const char *first = swapped ? down : up, *second = swapped ? up : down;
  guint hidden = vision->hidden;

  return tern_vision_load_norm (vision, &block->ln1, ln1, hidden, error)
      && tern_vision_load_norm (vision, &block->ln2, ln2, hidden, error)
      && load_qkv (vision, block, i, error)
      && tern_vision_load_linear (vision, &block->out, &block->out_bias, out, hidden, hidden, error)
      && tern_vision_load_linear (vision, &block->up, &block->up_bias, first, hidden, vision->ffn, error)
      && tern_vision_load_linear (vision, &block->down, &block->down_bias, second, vision->ffn, hidden, error);
}

static gboolean
load_blocks (TernVision *vision, GError **error)
{
  guint i;

  vision->blocks = g_new0 (TernVitBlock, vision->n_blocks);
  vision->owned += vision->n_blocks * sizeof (TernVitBlock);
  for (i = 0; i < vision->n_blocks; i++)
    if (!load_block (vision, &vision->blocks[i], i, error))
      return FALSE;
  return TRUE;
}

/* One kernel for each frame of a picture: a row of the matrix is the kernels' rows one after the other. */
static gboolean
join_frames (TernVision *vision, TernTensor *matrix, GError **error)
{
  guint patch = vision->info.patch, r;
  const guint64 dims[] = { patch, patch, 3, vision->hidden };
  gsize cols = 3 * (gsize) patch * patch;
  float *first = tern_gguf_load_f32 (vision->file, "v.patch_embd.weight", 4, dims, error);
  float *second = first ? tern_gguf_load_f32 (vision->file, "v.patch_embd.weight.1", 4, dims, error) : NULL;

  use (vision, "v.patch_embd.weight.1");
  if (second)
    vision->patch_frames = tern_mem_alloc (2 * cols * vision->hidden * sizeof (float), "v.patch_embd.weight", error);
  for (r = 0; vision->patch_frames && r < vision->hidden; r++) {
    memcpy (vision->patch_frames + 2 * r * cols, first + r * cols, cols * sizeof (float));
    memcpy (vision->patch_frames + (2 * r + 1) * cols, second + r * cols, cols * sizeof (float));
  }
  tern_mem_free (first);
  tern_mem_free (second);
  if (!vision->patch_frames)
    return FALSE;
  matrix->type = tern_type_info (TERN_TYPE_F32);
  matrix->type_id = TERN_TYPE_F32;
  matrix->data = (const guint8 *) vision->patch_frames;
  matrix->bytes = 2 * cols * vision->hidden * sizeof (float);
  matrix->mapped = FALSE;
  matrix->dims[0] = 2 * cols;
  vision->owned += matrix->bytes;
  return TRUE;
}

/* The convolution with stride = kernel is a linear over a patch: the kernel [hidden][3][patch][patch] lies in memory as
 * its matrix does. */
static gboolean
load_patch_embedding (TernVision *vision, GError **error)
{
  guint patch = vision->info.patch;
  const guint64 dims[] = { patch, patch, 3, vision->hidden };
  const TernTensor *found = tern_gguf_require (vision->file, "v.patch_embd.weight", 4, dims, error);
  TernTensor matrix;

  use (vision, "v.patch_embd.weight");
  if (!found)
    return FALSE;
  matrix = *found;
  matrix.n_dims = 2;
  matrix.dims[0] = 3 * (guint64) patch * patch;
  matrix.dims[1] = vision->hidden;
  matrix.dims[2] = matrix.dims[3] = 1;
  if (tern_vision_frames (vision) > 1 && !join_frames (vision, &matrix, error))
    return FALSE;
  if (!tern_linear_init (&vision->patch, &matrix, vision->kernels, error)
      || !tern_linear_pack (&vision->patch, NULL, error)) {
    g_prefix_error (error, "%s: ", tern_gguf_path (vision->file));
    return FALSE;
  }
  vision->owned += tern_linear_owned (&vision->patch);
  if (!tern_gguf_find (vision->file, "v.patch_embd.bias"))
    return TRUE;
  vision->patch_bias = load_vector (vision, "v.patch_embd.bias", vision->hidden, error);
  return vision->patch_bias != NULL;
}

static gboolean
load_positions (TernVision *vision, GError **error)
{
  const char *name = "v.position_embd.weight";
  const TernTensor *tensor = tern_gguf_find (vision->file, name);
  guint64 dims[] = { vision->hidden, tensor ? tensor->dims[1] : 1 };
  guint64 side = tensor ? (guint64) lrint (sqrt ((double) dims[1])) : 0;

  use (vision, name);
  if (!tern_gguf_require (vision->file, name, 2, dims, error))
    return FALSE;
  if (dims[1] < 1 || side > 4096 || side * side != dims[1]) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: %s: expected a square grid of positions, found %" G_GUINT64_FORMAT,
        tern_gguf_path (vision->file), name, dims[1]);
    return FALSE;
  }
  vision->position_side = (guint) side;
  vision->positions = tern_gguf_load_f32 (vision->file, name, 2, dims, error);
  vision->owned += dims[1] * vision->hidden * sizeof (float);
  return vision->positions != NULL;
}

gboolean
tern_vision_bind (TernVision *vision, GError **error)
{
  gboolean ok;

  vision->used = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  ok = load_patch_embedding (vision, error) && load_positions (vision, error) && load_blocks (vision, error)
      && tern_vision_load_optional_norm (vision, &vision->post_ln, "v.post_ln", vision->hidden, error)
      && vision->projector->bind (vision, error) && check_names (vision, error);
  g_clear_pointer (&vision->used, g_hash_table_unref);
  return ok;
}

static void
free_norm (TernNorm *norm)
{
  tern_mem_free (norm->weight);
  tern_mem_free (norm->bias);
}

static void
free_linear (TernLinear *linear, float *bias)
{
  tern_linear_clear (linear);
  tern_mem_free (bias);
}

void
tern_vision_unbind (TernVision *vision)
{
  guint i;

  tern_vision_packed_free (vision->packed, vision->blocks ? vision->n_blocks : 0);
  free_linear (&vision->patch, vision->patch_bias);
  tern_mem_free (vision->patch_frames);
  tern_mem_free (vision->positions);
  for (i = 0; vision->blocks && i < vision->n_blocks; i++) {
    TernVitBlock *block = &vision->blocks[i];

    free_norm (&block->ln1);
    free_norm (&block->ln2);
    free_linear (&block->q, block->q_bias);
    free_linear (&block->k, block->k_bias);
    free_linear (&block->v, block->v_bias);
    free_linear (&block->out, block->out_bias);
    free_linear (&block->up, block->up_bias);
    free_linear (&block->down, block->down_bias);
  }
  g_free (vision->blocks);
  free_norm (&vision->post_ln);
  free_norm (&vision->input_norm);
  for (i = 0; i < TERN_PROJECTOR_LINEARS; i++)
    free_linear (&vision->mm[i], vision->mm_bias[i]);
  for (i = 0; i < TERN_VISION_DEEPSTACK; i++) {
    free_norm (&vision->deep[i].norm);
    free_linear (&vision->deep[i].fc[0], vision->deep[i].fc_bias[0]);
    free_linear (&vision->deep[i].fc[1], vision->deep[i].fc_bias[1]);
  }
  for (i = 0; i < G_N_ELEMENTS (vision->motion); i++)
    free_linear (&vision->motion[i], vision->motion_bias[i]);
}
