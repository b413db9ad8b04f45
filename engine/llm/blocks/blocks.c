/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/blocks/blocks.h"

/* Below this a second thread does not pay for its waking (about 5 us). */
#define SPLIT_FLOPS 100000

static const char *
block_name (const TernBlockSource *source, const char *name, char *buffer, gsize size)
{
  g_snprintf (buffer, size, "blk.%u.%s", source->layer, name);
  return buffer;
}

gboolean
tern_block_linear (const TernBlockSource *source, TernLinear *linear, const char *name, guint cols, guint rows,
    GError **error)
{
  char buffer[80];

  return tern_linear_load (linear, source->file, block_name (source, name, buffer, sizeof buffer), cols, rows,
      source->kernels, error);
}

float *
tern_block_vector (const TernBlockSource *source, const char *name, guint n, GError **error)
{
  guint64 dims[1] = { n };
  char buffer[80];

  return tern_gguf_load_f32 (source->file, block_name (source, name, buffer, sizeof buffer), 1, dims, error);
}

gboolean
tern_block_has (const TernBlockSource *source, const char *name)
{
  char buffer[80];

  return tern_gguf_find (source->file, block_name (source, name, buffer, sizeof buffer)) != NULL;
}

static void
clear_linear (TernLinear *linear, void *data)
{
  tern_linear_clear (linear);
}

void
tern_block_free (TernBlock *block)
{
  if (!block)
    return;
  block->klass->linears (block, clear_linear, NULL);
  block->klass->free (block);
}

void
tern_block_input (TernPass *pass, TernLinearInput *input, const float *x, guint cols)
{
  tern_linear_input_init (input, pass->input, pass->kernels, pass->mode, x, cols, pass->n, cols);
}

gboolean
tern_block_run (TernPass *pass, const TernLinear *linear, TernLinearInput *input, float *y)
{
  if (!tern_pass_goes_on (pass))
    return FALSE;
  tern_linear_run (linear, input, NULL, y, linear->rows, pass->pool);
  return TRUE;
}

TernPool *
tern_block_pool (const TernPass *pass, gsize flops)
{
  return flops < SPLIT_FLOPS ? NULL : pass->pool;
}
