/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A closed-form continuous-time cell (Hasani et al. 2022, arXiv:2106.13898), as its authors' library ncps computes it:
 * what it remembers moves with the time that really passed, however irregular that is. */
#include "engine/action/head-priv.h"

#include <math.h>

#define MOST_WIDTH 65536u

static const char *const modes[] = { "default", "no_gate", "pure", NULL };

/* ---- The step ---- */

void
tern_cfc_step (float *h, const float *f1, const float *f2, const float *a, const float *b, float seconds,
    gboolean gated, guint n)
{
  for (guint i = 0; i < n; i++) {
    float x = tanhf (f1[i]), y = tanhf (f2[i]), gate = 1 / (1 + expf (-(a[i] * seconds + b[i])));

    h[i] = (gated ? x * (1 - gate) : x) + gate * y;
  }
}

void
tern_cfc_step_pure (float *h, const float *f1, const float *tau, const float *asymptote, float seconds, guint n)
{
  for (guint i = 0; i < n; i++)
    h[i] = asymptote[i] - asymptote[i] * expf (-seconds * (fabsf (tau[i]) + fabsf (f1[i]))) * f1[i];
}

/* ---- The kind ---- */

static gboolean
load_cell (TernActionHead *head, const TernGguf *file, guint in, GError **error)
{
  TernActionCfc *cfc = &head->kind.cfc;
  guint units = cfc->units;

  if (!tern_action_layer_load (&cfc->ff1, file, "cfc.ff1", in, units, error))
    return FALSE;
  if (cfc->mode == TERN_CFC_PURE)
    return (cfc->a = tern_action_vector_load (file, "cfc.a", units, error))
        && (cfc->w_tau = tern_action_vector_load (file, "cfc.w_tau", units, error));
  return tern_action_layer_load (&cfc->ff2, file, "cfc.ff2", in, units, error)
      && tern_action_layer_load (&cfc->time_a, file, "cfc.time_a", in, units, error)
      && tern_action_layer_load (&cfc->time_b, file, "cfc.time_b", in, units, error);
}

static gboolean
cfc_load (TernActionHead *head, const TernGguf *file, GError **error)
{
  TernActionCfc *cfc = &head->kind.cfc;
  guint mode, activation, in;
  guint32 width = 0;

  if (!tern_gguf_u32 (file, "tern-action.cfc.units", 1, MOST_WIDTH, &cfc->units, error)
      || !tern_action_key_choice (file, "tern-action.cfc.mode", modes, TERN_CFC_DEFAULT, &mode, error)
      || !tern_action_key_choice (file, "tern-action.cfc.backbone_activation", tern_action_activations,
          TERN_ACTION_LECUN_TANH, &activation, error)
      || !tern_gguf_u32_or (file, "tern-action.cfc.backbone_layers", 0, TERN_ACTION_LAYERS, 1, &cfc->n_backbone, error)
      || (cfc->n_backbone > 0
          && !tern_gguf_u32 (file, "tern-action.cfc.backbone_units", 1, MOST_WIDTH, &width, error)))
    return FALSE;
  cfc->mode = (TernCfcMode) mode;
  cfc->activation = activation;
  in = tern_action_seen (head) + cfc->units;
  for (guint i = 0; i < cfc->n_backbone; i++) {
    g_autofree char *name = g_strdup_printf ("cfc.backbone.%u", i);

    if (!tern_action_layer_load (&cfc->backbone[i], file, name, in, width, error))
      return FALSE;
    in = width;
  }
  return load_cell (head, file, in, error)
      && tern_action_layer_load (&cfc->output, file, "output", cfc->units, tern_action_outputs (head), error);
}

static void
cfc_clear (TernActionHead *head)
{
  TernActionCfc *cfc = &head->kind.cfc;

  for (guint i = 0; i < TERN_ACTION_LAYERS; i++)
    tern_action_layer_clear (&cfc->backbone[i]);
  tern_action_layer_clear (&cfc->ff1);
  tern_action_layer_clear (&cfc->ff2);
  tern_action_layer_clear (&cfc->time_a);
  tern_action_layer_clear (&cfc->time_b);
  tern_action_layer_clear (&cfc->output);
  tern_mem_free (cfc->a);
  tern_mem_free (cfc->w_tau);
}

static guint
cfc_extra (const TernActionHead *head)
{
  return head->kind.cfc.units;
}

/* Of the backbone's layers; 0 without. */
static guint
backbone_width (const TernActionCfc *cfc)
{
  return cfc->n_backbone ? cfc->backbone[0].out : 0;
}

static guint
cfc_work (const TernActionHead *head)
{
  const TernActionCfc *cfc = &head->kind.cfc;

  return 2 * backbone_width (cfc) + 4 * cfc->units;
}

static void
cfc_run (const TernActionHead *head, float *input, float *work, double seconds, float *y)
{
  const TernActionCfc *cfc = &head->kind.cfc;
  guint width = backbone_width (cfc), n = cfc->units;
  float *h = input + tern_action_seen (head), *to[2] = { work, work + width };
  float *f1 = work + 2 * width, *f2 = f1 + n, *a = f2 + n, *b = a + n;

  for (guint i = 0; i < cfc->n_backbone; i++) {
    tern_action_layer_run (&cfc->backbone[i], head->kernels, input, to[i % 2]);
    tern_action_activate (cfc->activation, to[i % 2], width);
    input = to[i % 2];
  }
  tern_action_layer_run (&cfc->ff1, head->kernels, input, f1);
  if (cfc->mode == TERN_CFC_PURE) {
    tern_cfc_step_pure (h, f1, cfc->w_tau, cfc->a, (float) seconds, n);
  } else {
    tern_action_layer_run (&cfc->ff2, head->kernels, input, f2);
    tern_action_layer_run (&cfc->time_a, head->kernels, input, a);
    tern_action_layer_run (&cfc->time_b, head->kernels, input, b);
    tern_cfc_step (h, f1, f2, a, b, (float) seconds, cfc->mode == TERN_CFC_DEFAULT, n);
  }
  tern_action_layer_run (&cfc->output, head->kernels, h, y);
}

const TernActionClass tern_action_cfc = { "cfc", cfc_load, cfc_clear, cfc_extra, cfc_work, cfc_run };
