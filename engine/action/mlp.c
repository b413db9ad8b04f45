/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The whole chunk at once from what is seen now: parallel decoding, as OpenVLA-OFT has it (arXiv:2502.19645). */
#include "engine/action/head-priv.h"

#include <math.h>
#include <string.h>

#define MOST_TIMES 2u
#define MOST_WIDTH 65536u

static gboolean
mlp_load (TernActionHead *head, const TernGguf *file, GError **error)
{
  TernActionMlp *mlp = &head->kind.mlp;
  guint32 widths[TERN_ACTION_LAYERS], in, skip;
  guint n_inner, activation;

  if (!tern_gguf_u32_or (file, "tern-action.mlp.time_features", 0, MOST_TIMES, 0, &mlp->n_times, error)
      || !tern_gguf_u32_or (file, "tern-action.mlp.skip", 0, 1, 0, &skip, error)
      || !tern_action_key_choice (file, "tern-action.mlp.activation", tern_action_activations, TERN_ACTION_RELU,
          &activation, error)
      || !tern_action_key_integers (file, "tern-action.mlp.widths", 1, MOST_WIDTH, TERN_ACTION_LAYERS - 1, widths,
          &n_inner, error))
    return FALSE;
  mlp->activation = activation;
  mlp->n_layers = n_inner + 1;
  widths[n_inner] = tern_action_outputs (head);
  in = tern_action_seen (head) + mlp->n_times;
  for (guint i = 0; i < mlp->n_layers; i++) {
    g_autofree char *name = g_strdup_printf ("mlp.%u", i);

    if (!tern_action_layer_load (&mlp->layers[i], file, name, in, widths[i], error))
      return FALSE;
    in = widths[i];
  }
  return !skip || tern_action_layer_load (&mlp->skip, file, "mlp.skip", tern_action_seen (head) + mlp->n_times,
      tern_action_outputs (head), error);
}

static void
mlp_clear (TernActionHead *head)
{
  tern_action_layer_clear (&head->kind.mlp.skip);
  for (guint i = 0; i < TERN_ACTION_LAYERS; i++)
    tern_action_layer_clear (&head->kind.mlp.layers[i]);
}

static guint
mlp_extra (const TernActionHead *head)
{
  return head->kind.mlp.n_times;
}

static guint
mlp_widest (const TernActionMlp *mlp)
{
  guint widest = 0;

  for (guint i = 0; i + 1 < mlp->n_layers; i++)
    widest = MAX (widest, mlp->layers[i].out);
  return widest;
}

static guint
mlp_work (const TernActionHead *head)
{
  const TernActionMlp *mlp = &head->kind.mlp;

  return 2 * mlp_widest (mlp) + (mlp->skip.weight ? mlp->skip.out : 0);
}

static void
mlp_run (const TernActionHead *head, float *input, float *work, double seconds, float *y)
{
  const TernActionMlp *mlp = &head->kind.mlp;
  float *times = input + tern_action_seen (head), *to[2] = { work, work + mlp_widest (mlp) };
  float *skipped = work + 2 * mlp_widest (mlp);
  const float *seen = input;
  const float times_of[MOST_TIMES] = { (float) seconds, (float) log1p (seconds) };

  memcpy (times, times_of, mlp->n_times * sizeof *times);
  for (guint i = 0; i + 1 < mlp->n_layers; i++) {
    tern_action_layer_run (&mlp->layers[i], head->kernels, input, to[i % 2]);
    tern_action_activate (mlp->activation, to[i % 2], mlp->layers[i].out);
    input = to[i % 2];
  }
  tern_action_layer_run (&mlp->layers[mlp->n_layers - 1], head->kernels, input, y);
  if (!mlp->skip.weight)
    return;
  tern_action_layer_run (&mlp->skip, head->kernels, seen, skipped);
  head->kernels->add (y, skipped, mlp->skip.out);
}

const TernActionClass tern_action_mlp = { "mlp", mlp_load, mlp_clear, mlp_extra, mlp_work, mlp_run };
