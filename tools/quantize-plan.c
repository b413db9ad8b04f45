/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/quantize-plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/weights/quantize.h"
#include "tools/tool.h"
#include "vision/vision.h"

/* Squares of what rounding makes wrong to squares of what a matrix puts out. Q8_0 comes to some 3e-5, Q4_0 to 5e-3; of the bundled
 * encoders' matrices whose inputs have outliers to .02 and more, which changes the visual tokens by a third. */
#define WIDE_ERROR 1e-3
#define WIDE_TIMES 10           /* the median of the file */

/* What can be asked for. Where rows are not a multiple of a type's block, the next one in the list fits or F16 does.
 * Embedding and output matrix (often one) speak for every token, and are kept finer than the rest. */
static const struct {
  guint32 type, file_type;
  guint32 matrices[3], embedding[3];    /* ended by F16, which always fits */
} offers[] = {
  { TERN_TYPE_Q8_0, 7, { TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q4_0, 2, { TERN_TYPE_Q4_0, TERN_TYPE_F16 }, { TERN_TYPE_Q6_K, TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q4_K, 14, { TERN_TYPE_Q4_K, TERN_TYPE_Q5_0, TERN_TYPE_F16 },
    { TERN_TYPE_Q6_K, TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q6_K, 18, { TERN_TYPE_Q6_K, TERN_TYPE_Q8_0, TERN_TYPE_F16 },
    { TERN_TYPE_Q6_K, TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_TQ1_0, 36, { TERN_TYPE_TQ1_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_TQ2_0, 37, { TERN_TYPE_TQ2_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q1_0, 40, { TERN_TYPE_Q1_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q2_0, 41, { TERN_TYPE_Q2_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_PQ2_0, 141, { TERN_TYPE_PQ2_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_PTQ1_0, 143, { TERN_TYPE_PTQ1_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
};

const TernTypeInfo *
tern_quantize_type (const char *name, guint32 *file_type)
{
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (offers); i++) {
    const TernTypeInfo *type = tern_type_info (offers[i].type);

    if (g_ascii_strcasecmp (type->name, name) == 0) {
      *file_type = offers[i].file_type;
      return type;
    }
  }
  return NULL;
}

/* A matrix of a linear or an embedding, or one for each of several experts; not what only looks like one: taps of
 * convolutions, tables of positions, the router, on whose small differences the choice of experts hangs. */
static gboolean
is_matrix (const TernTensor *tensor)
{
  static const char *const others[] = {
    "norm", ".conv.", "conv1d", "ffn_gate_inp", "rope_f", "position_embd", "pos_embd", "patch_embd", "class_embd",
    "token_types", "tile_embd",
  };
  gsize i;

  if (tensor->bytes == 0 || tensor->dims[1] == 1 || tensor->dims[1] > G_MAXINT32 || tensor->dims[3] != 1
      || !g_str_has_suffix (tensor->name, ".weight"))
    return FALSE;
  for (i = 0; i < G_N_ELEMENTS (others); i++)
    if (strstr (tensor->name, others[i]))
      return FALSE;
  return TRUE;
}

static gboolean
is_embedding (const TernTensor *tensor)
{
  return strcmp (tensor->name, "token_embd.weight") == 0 || strcmp (tensor->name, "output.weight") == 0
      || strcmp (tensor->name, "per_layer_token_embd.weight") == 0;
}

void
tern_quantize_plan (TernQuantizePlan *plan, const TernTensor *tensor, guint32 type)
{
  const guint32 *chain = NULL;
  gsize i;

  *plan = (TernQuantizePlan) { TERN_QUANTIZE_KEEP, NULL, tensor->type };
  if (!is_matrix (tensor))
    return;
  if (tensor->type_id != TERN_TYPE_F32 && tensor->type_id != TERN_TYPE_F16 && tensor->type_id != TERN_TYPE_BF16) {
    plan->step = TERN_QUANTIZE_DONE;
    return;
  }
  for (i = 0; !chain; i++)
    if (offers[i].type == type)
      chain = is_embedding (tensor) ? offers[i].embedding : offers[i].matrices;
  plan->asked = tern_type_info (*chain);
  while (tensor->dims[0] % tern_type_info (*chain)->block != 0)
    chain++;
  plan->step = *chain == plan->asked->type ? TERN_QUANTIZE_MAKE : TERN_QUANTIZE_FALLBACK;
  /* F16 is for what was wider; 16 bits stay as they are. */
  plan->type = *chain == TERN_TYPE_F16 && tensor->type_id != TERN_TYPE_F32 ? tensor->type : tern_type_info (*chain);
}

/* ---- Vision encoders --------------------------------------------------------------------------------------------- */

typedef struct {
  TernGguf *file;
  TernQuantizePlan *plans;
  double *wrong, *power;        /* [tensor]; power 0: not measured */
} Measured;

static gsize
find_tensor (const Measured *measured, const char *name)
{
  gsize i = 0, n = tern_gguf_n_tensors (measured->file);

  while (i < n && strcmp (tern_gguf_tensor_at (measured->file, i)->name, name) != 0)
    i++;
  return i;
}

/* Rounding of few bits is what a model was trained for, or done at one's own risk. */
static const TernTypeInfo *
type_of (void *data, const char *name)
{
  const Measured *measured = data;
  gsize i = find_tensor (measured, name);
  const TernQuantizePlan *plan = i < tern_gguf_n_tensors (measured->file) ? &measured->plans[i] : NULL;

  if (!plan || (plan->step != TERN_QUANTIZE_MAKE && plan->step != TERN_QUANTIZE_FALLBACK))
    return NULL;
  switch (plan->type->type) {
    case TERN_TYPE_Q8_0:
    case TERN_TYPE_Q6_K:
    case TERN_TYPE_Q5_0:
    case TERN_TYPE_Q4_0:
    case TERN_TYPE_Q4_K:
      return plan->type;
    default:
      return NULL;
  }
}

static void
note (void *data, const char *name, double wrong, double power)
{
  Measured *measured = data;
  gsize i = find_tensor (measured, name);

  measured->wrong[i] += wrong;
  measured->power[i] += power;
}

static int
ascending (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static double
error_of (const Measured *measured, gsize i)
{
  return measured->wrong[i] / measured->power[i];
}

static double
find_limit (const Measured *measured)
{
  gsize n = tern_gguf_n_tensors (measured->file), m = 0;
  g_autofree double *errors = g_new (double, n + 1);

  for (gsize i = 0; i < n; i++)
    if (measured->power[i] > 0)
      errors[m++] = error_of (measured, i);
  if (m == 0)
    return WIDE_ERROR;
  qsort (errors, m, sizeof *errors, ascending);
  return MAX (WIDE_ERROR, WIDE_TIMES * errors[m / 2]);
}

static void
widen (const Measured *measured)
{
  double limit = find_limit (measured);

  for (gsize i = 0; i < tern_gguf_n_tensors (measured->file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (measured->file, i);
    TernQuantizePlan *plan = &measured->plans[i];

    /* What is not finite is for the quantiser to refuse. */
    if (!(measured->power[i] > 0 && error_of (measured, i) > limit))
      continue;
    plan->step = TERN_QUANTIZE_WIDE;
    plan->type = tensor->type_id == TERN_TYPE_F32 ? tern_type_info (TERN_TYPE_F16) : tensor->type;
    tern_tool_message ("%s: %s, not %s, which would change what it puts out by %.2g %%", tensor->name, plan->type->name,
        plan->asked->name, 100 * sqrt (error_of (measured, i)));
  }
}

static gboolean
is_encoder (TernGguf *file)
{
  TernBytes kind;

  return tern_gguf_string (file, "general.architecture", &kind, NULL) && kind.len == 4 && memcmp (kind.data, "clip", 4) == 0;
}

gboolean
tern_quantize_widen (TernQuantizePlan *plans, TernGguf *file, TernPool *pool, GError **error)
{
  gsize n = tern_gguf_n_tensors (file);
  g_autoptr (TernVision) vision = NULL;
  g_autoptr (GError) failure = NULL;
  g_autofree double *wrong = NULL, *power = NULL;
  Measured measured = { .file = file, .plans = plans };
  gboolean asked = FALSE;

  for (gsize i = 0; is_encoder (file) && i < n; i++)
    asked |= type_of (&measured, tern_gguf_tensor_at (file, i)->name) != NULL;
  if (!asked)
    return TRUE;
  if (!(vision = tern_vision_open (file, tern_kernels_default (NULL), &failure))) {
    tern_tool_message ("what rounding changes was not measured: %s", failure->message);
    return TRUE;
  }
  measured.wrong = wrong = g_new0 (double, n);
  measured.power = power = g_new0 (double, n);
  if (!tern_vision_round (vision, pool, type_of, note, &measured, error))
    return FALSE;
  widen (&measured);
  return TRUE;
}
