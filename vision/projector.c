/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kinds of projector, and what several of them do. */
#include "vision/internal.h"

#include <string.h>

#include "tern/error.h"

static const TernProjector *const projectors[] = {
  &tern_projector_lfm2,
  &tern_projector_idefics3,
  &tern_projector_qwen3vl,
};

const TernProjector *
tern_projector_find (TernBytes name, const char *path, const char *key, GError **error)
{
  g_autoptr (GString) known = g_string_new (NULL);
  g_autofree char *head = NULL, *shown = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (projectors); i++) {
    if (name.len == strlen (projectors[i]->name) && memcmp (name.data, projectors[i]->name, name.len) == 0)
      return projectors[i];
    g_string_append_printf (known, "%s\"%s\"", i ? ", " : "", projectors[i]->name);
  }
  head = g_strndup (name.data ? name.data : "", MIN (name.len, 40));
  shown = g_strescape (head, NULL);
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: %s is \"%s\", supported: %s", path, key, shown, known->str);
  return NULL;
}

#define UNSHUFFLE_GRAIN 16

/* Features that stand past the edge of an odd grid are zero. */
static void
unshuffle_token (const TernVisionState *state, const float *features, guint token, float *to)
{
  guint factor = state->vision->info.factor, hidden = state->vision->hidden, r, c;
  guint tokens = (state->grid_w + factor - 1) / factor, y = token / tokens, x = token % tokens;

  for (r = 0; r < factor; r++)
    for (c = 0; c < factor; c++, to += hidden) {
      guint py = y * factor + r, px = x * factor + c;

      if (py < state->grid_h && px < state->grid_w)
        memcpy (to, features + ((gsize) py * state->grid_w + px) * hidden, hidden * sizeof (float));
      else
        memset (to, 0, hidden * sizeof (float));
    }
}

/* One item is a token that is computed. */
static void
unshuffle (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  const TernReuse *reuse = state->reuse;
  gsize cols = (gsize) state->vision->info.factor * state->vision->info.factor * state->vision->hidden;
  guint i;

  for (i = begin; i < end; i++)
    unshuffle_token (state, reuse ? reuse->features : state->x, reuse ? reuse->fresh_rows[i] : i, state->wide + i * cols);
}

float *
tern_vision_token_rows (const TernVisionState *state)
{
  return state->reuse ? state->reuse->fresh : state->tokens;
}

guint
tern_vision_tokens (const TernVisionState *state)
{
  guint factor = state->vision->info.factor;

  if (state->reuse)
    return state->reuse->n_fresh;
  return ((state->grid_h + factor - 1) / factor) * ((state->grid_w + factor - 1) / factor);
}

/* Pixel unshuffle: sub-pixel convolution (arXiv:1609.05158) the other way round. */
gboolean
tern_vision_unshuffle (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  guint factor = state->vision->info.factor;

  *loop = (TernVisionLoop) { .func = unshuffle, .items = tern_vision_tokens (state), .grain = UNSHUFFLE_GRAIN,
    .work = (guint64) factor * factor * state->vision->hidden * TERN_VISION_VALUE_WORK };
  return round == 0;
}

/* ---- Two linear layers with a GELU between them ------------------------------------------------------------------ */

gboolean
tern_vision_widen_tokens (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return tern_vision_loop_product (state, round, loop, &state->vision->mm[0], state->vision->mm_bias[0], state->wide,
      tern_vision_tokens (state), state->projected);
}

gboolean
tern_vision_bend_tokens (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_activate (loop, tern_activation_gelu_erf, state->projected,
      (gsize) tern_vision_tokens (state) * state->vision->mm[0].rows);
}

gboolean
tern_vision_narrow_tokens (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return tern_vision_loop_product_apart (state, round, loop, &state->vision->mm[1], state->vision->mm_bias[1], state->projected,
      tern_vision_tokens (state), tern_vision_token_rows (state), state->vision->info.row_dim);
}
