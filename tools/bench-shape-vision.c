/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shapes of vision encoders with their projectors. */
#include "tools/bench-shape-priv.h"

typedef struct {
  const char *name, *projector;
  guint side, patch, width, heads, layers, ffn, factor, projected;
  guint32 deepstack;            /* bit i: features of layer i stand beside the tokens */
} VisionShape;

/* SigLIP-B/16 at 512 pixels as SmolVLM2-500M has it: 64 tokens of 960. The towers of Qwen3.5 2B and Qwen3-VL 2B, pictures of
 * any size of two frames. */
static const VisionShape vision_shapes[] = {
  { "siglip-b-512", "idefics3", 512, 16, 768, 12, 12, 3072, 4, 960, 0 },
  { "qwen3.5-2b-vision", "qwen3vl_merger", 768, 16, 1024, 16, 24, 4096, 2, 2048, 0 },
  { "qwen3-vl-2b-vision", "qwen3vl_merger", 768, 16, 1024, 16, 24, 4096, 2, 2048, 1 << 5 | 1 << 11 | 1 << 17 },
};

G_STATIC_ASSERT (G_N_ELEMENTS (vision_shapes) == TERN_VISION_SHAPES);

const char *
tern_vision_shape_name (guint i)
{
  return vision_shapes[i].name;
}

static const VisionShape *
find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (vision_shapes); i++)
    if (g_str_equal (vision_shapes[i].name, name))
      return &vision_shapes[i];
  return NULL;
}

gboolean
tern_shape_is_vision (const char *name)
{
  return find (name) != NULL;
}

static gboolean
is_paired (const VisionShape *vision)
{
  return g_str_equal (vision->projector, "qwen3vl_merger");
}

static void
add_vision_keys (TernShape *shape, const VisionShape *vision)
{
  static const float half[3] = { 0.5f, 0.5f, 0.5f };
  const TernShapeNumber counts[] = {
    { "image_size", vision->side }, { "patch_size", vision->patch }, { "embedding_length", vision->width },
    { "feed_forward_length", vision->ffn }, { "block_count", vision->layers },
    { "attention.head_count", vision->heads }, { "projection_dim", vision->projected },
    { is_paired (vision) ? "spatial_merge_size" : "projector.scale_factor", vision->factor },
    { "preproc_image_size", 4 * vision->side },         /* last: not of encoders that take any size */
  };
  g_autofree char *name = g_strdup_printf ("random %s", vision->name);

  tern_gguf_writer_string (shape->writer, "general.architecture", "clip");
  tern_gguf_writer_string (shape->writer, "general.type", "mmproj");
  tern_gguf_writer_string (shape->writer, "general.name", name);
  tern_gguf_writer_u32 (shape->writer, "general.file_type", shape->file_type);
  tern_gguf_writer_u32 (shape->writer, "general.quantization_version", 2);
  tern_gguf_writer_bool (shape->writer, "clip.has_vision_encoder", TRUE);
  tern_gguf_writer_string (shape->writer, "clip.projector_type", vision->projector);
  tern_gguf_writer_bool (shape->writer, "clip.use_gelu", TRUE);
  tern_shape_numbers (shape, "clip.vision", counts, G_N_ELEMENTS (counts) - is_paired (vision));
  tern_gguf_writer_f32 (shape->writer, "clip.vision.attention.layer_norm_epsilon", 1e-6f);
  tern_gguf_writer_f32_array (shape->writer, "clip.vision.image_mean", half, 3);
  tern_gguf_writer_f32_array (shape->writer, "clip.vision.image_std", half, 3);
}

static void
add_deepstack_key (TernShape *shape, const VisionShape *vision)
{
  guint8 marks[32];

  for (guint i = 0; i < vision->layers; i++)
    marks[i] = vision->deepstack >> i & 1;
  if (vision->deepstack)
    tern_gguf_writer_bool_array (shape->writer, "clip.vision.is_deepstack_layers", marks, vision->layers);
}

static void
add_vision_linear (TernShape *shape, guint cols, guint rows, guint layer, const char *name)
{
  tern_shape_matrix (shape, cols, rows, "v.blk.%u.%s.weight", layer, name);
  tern_shape_vector (shape, rows, "v.blk.%u.%s.bias", layer, name);
}

/* A frame of a picture has its own. */
static void
add_patches (TernShape *shape, const VisionShape *vision)
{
  const TernTypeInfo *type = tern_type_info (shape->type->type == TERN_TYPE_F32 ? TERN_TYPE_F32 : TERN_TYPE_F16);
  const guint64 dims[4] = { vision->patch, vision->patch, 3, vision->width };

  tern_shape_tensor (shape, "v.patch_embd.weight", type, 4, dims);
  if (is_paired (vision))
    tern_shape_tensor (shape, "v.patch_embd.weight.1", type, 4, dims);
  tern_shape_vector (shape, vision->width, "v.patch_embd.bias");
}

static void
add_projector (TernShape *shape, const VisionShape *vision)
{
  guint joined = vision->width * vision->factor * vision->factor;

  if (is_paired (vision)) {
    tern_shape_matrix (shape, joined, joined, "mm.0.weight");
    tern_shape_vector (shape, joined, "mm.0.bias");
    tern_shape_matrix (shape, joined, vision->projected, "mm.2.weight");
    tern_shape_vector (shape, vision->projected, "mm.2.bias");
  } else {
    tern_shape_matrix (shape, joined, vision->projected, "mm.model.fc.weight");
  }
}

/* Behind layer @i. */
static void
add_deep_merger (TernShape *shape, const VisionShape *vision, guint i)
{
  guint joined = vision->width * vision->factor * vision->factor;

  if (!(vision->deepstack >> i & 1))
    return;
  tern_shape_vector (shape, joined, "v.deepstack.%u.norm.weight", i);
  tern_shape_vector (shape, joined, "v.deepstack.%u.norm.bias", i);
  tern_shape_matrix (shape, joined, joined, "v.deepstack.%u.fc1.weight", i);
  tern_shape_vector (shape, joined, "v.deepstack.%u.fc1.bias", i);
  tern_shape_matrix (shape, joined, vision->projected, "v.deepstack.%u.fc2.weight", i);
  tern_shape_vector (shape, vision->projected, "v.deepstack.%u.fc2.bias", i);
}

static void
add_vision_attention (TernShape *shape, const VisionShape *vision, guint i)
{
  guint d = vision->width;

  if (is_paired (vision)) {
    add_vision_linear (shape, d, 3 * d, i, "attn_qkv");
  } else {
    add_vision_linear (shape, d, d, i, "attn_q");
    add_vision_linear (shape, d, d, i, "attn_k");
    add_vision_linear (shape, d, d, i, "attn_v");
  }
  add_vision_linear (shape, d, d, i, "attn_out");
}

static void
lay_out (TernShape *shape, const VisionShape *vision)
{
  guint d = vision->width, grid = vision->side / vision->patch;

  add_vision_keys (shape, vision);
  add_deepstack_key (shape, vision);
  add_patches (shape, vision);
  tern_shape_matrix (shape, d, grid * grid, "v.position_embd.weight");
  for (guint i = 0; i < vision->layers; i++) {
    for (guint norm = 1; norm <= 2; norm++) {
      tern_shape_vector (shape, d, "v.blk.%u.ln%u.weight", i, norm);
      tern_shape_vector (shape, d, "v.blk.%u.ln%u.bias", i, norm);
    }
    add_vision_attention (shape, vision, i);
    add_vision_linear (shape, d, vision->ffn, i, "ffn_up");
    add_vision_linear (shape, vision->ffn, d, i, "ffn_down");
    add_deep_merger (shape, vision, i);
  }
  tern_shape_vector (shape, d, "v.post_ln.weight");
  tern_shape_vector (shape, d, "v.post_ln.bias");
  add_projector (shape, vision);
}

void
tern_vision_shape_lay_out (TernShape *shape, const char *name)
{
  const VisionShape *vision = find (name);

  if (vision)
    lay_out (shape, vision);
}
