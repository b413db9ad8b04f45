/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DeepStack (L. Meng et al., arXiv:2406.04334) as Qwen3-VL has it (arXiv:2511.21631): behind marked layers of the tower the
 * features of each factor x factor patches, side by side, go through a merger of that layer's own,
 *
 *   y = W2 gelu (W1 LN (x) + b1) + b2        LN over all of them; the projector's own norm is over those of one patch
 *
 * and stand in the row of their token behind it, those of the earliest marked layer first. The language model adds the first
 * to that row behind its first layer, the second behind its second, and so on. */
#include "vision/internal.h"

#include <string.h>

#include "tern/error.h"

#define KEY "clip.vision.is_deepstack_layers"

gboolean
tern_vision_read_deepstack (TernVision *vision, GError **error)
{
  TernVisionInfo *info = &vision->info;
  TernGgufArray marks;

  if (!tern_gguf_array (vision->file, KEY, TERN_GGUF_BOOL, FALSE, &marks, error))
    return FALSE;
  if (marks.count > 0 && marks.count != vision->n_blocks)
    return tern_gguf_bad_key (vision->file, KEY, error, "expected one value for each of the %u layers (clip.vision.block_count), "
        "found %" G_GUINT64_FORMAT, vision->n_blocks, marks.count);
  for (guint i = 0; i < marks.count; i++) {
    if (!marks.data[i])
      continue;
    if (info->deepstack == TERN_VISION_DEEPSTACK)
      return tern_gguf_bad_key (vision->file, KEY, error, "expected at most %u marked layers, found layer %u as one more",
          TERN_VISION_DEEPSTACK, i);
    vision->deep[info->deepstack++].layer = i;
  }
  info->row_dim = info->embedding_dim * (1 + info->deepstack);
  return TRUE;
}

static gboolean
bind_merger (TernVision *vision, TernDeepMerger *merger, GError **error)
{
  guint inner = vision->info.factor * vision->info.factor * vision->hidden;
  g_autofree char *norm = g_strdup_printf ("v.deepstack.%u.norm", merger->layer);
  g_autofree char *first = g_strdup_printf ("v.deepstack.%u.fc1", merger->layer);
  g_autofree char *second = g_strdup_printf ("v.deepstack.%u.fc2", merger->layer);

  return tern_vision_load_norm (vision, &merger->norm, norm, inner, error)
      && tern_vision_load_linear (vision, &merger->fc[0], &merger->fc_bias[0], first, inner, inner, error)
      && tern_vision_load_linear (vision, &merger->fc[1], &merger->fc_bias[1], second, inner, vision->info.embedding_dim, error);
}

/* Tensors of a layer that is not marked: the results would not be what the file's makers meant. */
static gboolean
check_names (const TernVision *vision, GError **error)
{
  for (gsize i = 0; i < tern_gguf_n_tensors (vision->file); i++) {
    const char *name = tern_gguf_tensor_at (vision->file, i)->name;
    guint64 layer;
    gboolean marked = FALSE;

    if (!g_str_has_prefix (name, "v.deepstack."))
      continue;
    layer = g_ascii_strtoull (name + strlen ("v.deepstack."), NULL, 10);
    for (guint k = 0; k < vision->info.deepstack; k++)
      marked |= vision->deep[k].layer == layer;
    if (marked)
      continue;
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected a layer that " KEY " marks, found one that it "
        "does not", tern_gguf_path (vision->file), name);
    return FALSE;
  }
  return TRUE;
}

gboolean
tern_vision_bind_deepstack (TernVision *vision, GError **error)
{
  for (guint i = 0; i < vision->info.deepstack; i++)
    if (!bind_merger (vision, &vision->deep[i], error))
      return FALSE;
  return check_names (vision, error);
}

/* ---- Stages behind a layer: state->x to state->wide, from there to state->projected, and to the rows -------------- */

/* Of the layer that has just run, or NULL. */
static const TernDeepMerger *
merger_of (const TernVisionState *state)
{
  const TernVision *vision = state->vision;

  for (guint i = 0; i < vision->info.deepstack; i++)
    if (vision->deep[i].layer == state->layer)
      return &vision->deep[i];
  return NULL;
}

static gboolean
join (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return merger_of (state) && tern_vision_unshuffle (state, round, loop);
}

static gboolean
norm (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  const TernDeepMerger *merger = merger_of (state);

  return merger && round == 0 && tern_vision_loop_norm (state, loop, state->wide, state->wide, &merger->norm,
      tern_vision_tokens (state), merger->fc[0].cols, state->vision->eps);
}

static gboolean
widen (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  const TernDeepMerger *merger = merger_of (state);

  return merger && tern_vision_loop_product (state, round, loop, &merger->fc[0], merger->fc_bias[0], state->wide,
      tern_vision_tokens (state), state->projected);
}

static gboolean
bend (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  const TernDeepMerger *merger = merger_of (state);

  return merger && round == 0 && tern_vision_loop_activate (loop, tern_activation_gelu_erf, state->projected,
      (gsize) tern_vision_tokens (state) * merger->fc[0].rows);
}

static gboolean
narrow (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  const TernDeepMerger *merger = merger_of (state);
  const TernVisionInfo *info = &state->vision->info;
  gsize place;

  if (!merger)
    return FALSE;
  place = (1 + (gsize) (merger - state->vision->deep)) * info->embedding_dim;
  return tern_vision_loop_product_apart (state, round, loop, &merger->fc[1], merger->fc_bias[1], state->projected,
      tern_vision_tokens (state), tern_vision_token_rows (state) + place, info->row_dim);
}

const TernVisionStage tern_vision_deepstack[TERN_VISION_DEEPSTACK_STAGES] = { join, norm, widen, bend, narrow };
