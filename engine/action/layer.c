/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/action/head-priv.h"

#include <math.h>

#include "tern/error.h"

const char *const tern_action_activations[] = { "relu", "gelu", "silu", "tanh", "lecun_tanh", NULL };

/* What a machine follows must not come from a number that is none. */
static float *
load (const TernGguf *file, const char *name, guint n_dims, const guint64 *dims, GError **error)
{
  float *values = tern_gguf_load_f32 (file, name, n_dims, dims, error);
  gsize n = dims[0] * (n_dims > 1 ? dims[1] : 1);

  for (gsize i = 0; values && i < n; i++)
    if (!isfinite (values[i])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected finite numbers, found %g at %"
          G_GSIZE_FORMAT, tern_gguf_path (file), name, values[i], i);
      g_clear_pointer (&values, tern_mem_free);
    }
  return values;
}

float *
tern_action_vector_load (const TernGguf *file, const char *name, guint n, GError **error)
{
  return load (file, name, 1, (guint64[]) { n }, error);
}

gboolean
tern_action_layer_load (TernActionLayer *layer, const TernGguf *file, const char *name, guint in, guint out,
    GError **error)
{
  g_autofree char *weight = g_strconcat (name, ".weight", NULL), *bias = g_strconcat (name, ".bias", NULL);

  layer->in = in;
  layer->out = out;
  layer->weight = load (file, weight, 2, (guint64[]) { in, out }, error);
  if (layer->weight)
    layer->bias = tern_action_vector_load (file, bias, out, error);
  return layer->bias != NULL;
}

void
tern_action_layer_clear (TernActionLayer *layer)
{
  tern_mem_free (layer->weight);
  tern_mem_free (layer->bias);
}

void
tern_action_layer_run (const TernActionLayer *layer, const TernKernels *kernels, const float *x, float *y)
{
  kernels->gemm_f32 (y, layer->out, layer->weight, layer->in, layer->out, layer->in, x, layer->in, 1, FALSE);
  kernels->add (y, layer->bias, layer->out);
}

void
tern_action_activate (TernActionActivation activation, float *x, guint n)
{
  for (guint i = 0; i < n; i++)
    switch (activation) {
      case TERN_ACTION_RELU:
        x[i] = MAX (x[i], 0);
        break;
      case TERN_ACTION_GELU:
        x[i] = 0.5f * x[i] * (1 + erff (x[i] * (float) G_SQRT2 / 2));
        break;
      case TERN_ACTION_SILU:
        x[i] = x[i] / (1 + expf (-x[i]));
        break;
      case TERN_ACTION_TANH:
        x[i] = tanhf (x[i]);
        break;
      case TERN_ACTION_LECUN_TANH:
        x[i] = 1.7159f * tanhf (0.666f * x[i]);
        break;
    }
}
