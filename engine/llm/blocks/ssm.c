/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/blocks/ssm.h"

#define STRIP 256               /* channels that a thread takes at a time */

gboolean
tern_ssm_vector (const TernBlockSource *source, float **vector, const char *name, gboolean negative, GError **error)
{
  TernTensorWant want;
  gsize n = 1;

  if (!tern_block_vector (source, vector, name, error))
    return FALSE;
  if (!*vector || !tern_block_wants (source, name, &want))
    return TRUE;
  for (guint i = 0; i < want.n_dims; i++)
    n *= want.dims[i];
  return tern_block_check_values (source, name, *vector, n, -G_MAXFLOAT, negative ? 0 : G_MAXFLOAT, error);
}

gboolean
tern_ssm_turn (float **matrix, gsize rows, gsize cols, GError **error)
{
  float *turned = tern_mem_alloc (rows * cols * sizeof *turned, "a turned matrix", error);

  if (!turned)
    return FALSE;
  for (gsize r = 0; r < rows; r++)
    for (gsize c = 0; c < cols; c++)
      turned[c * rows + r] = (*matrix)[r * cols + c];
  tern_mem_free (*matrix);
  *matrix = turned;
  return TRUE;
}

/* ---- Convolution ------------------------------------------------------------------------------------------------- */

gboolean
tern_ssm_conv_load (TernSsmConv *conv, const TernBlockSource *source, guint channels, guint taps, GError **error)
{
  conv->channels = channels;
  conv->taps = taps;
  return tern_ssm_vector (source, &conv->weight, "ssm_conv1d.weight", FALSE, error)
      && tern_ssm_turn (&conv->weight, channels, taps, error)
      && tern_ssm_vector (source, &conv->bias, "ssm_conv1d.bias", FALSE, error);
}

void
tern_ssm_conv_clear (TernSsmConv *conv)
{
  tern_mem_free (conv->weight);
  tern_mem_free (conv->bias);
}

gsize
tern_ssm_conv_owned (const TernSsmConv *conv)
{
  return (gsize) conv->channels * (conv->taps + (conv->bias != NULL)) * sizeof (float);
}

typedef struct {
  const TernSsmConv *conv;
  const TernPass *pass;
  guint part;
  float *y;
  const float *z;
  gsize ldz;
} Convolving;

/* Channels [at, at + width) of the rows [row, row + n) of a segment. */
static void
convolve (const Convolving *c, const TernPassSegment *segment, guint row, guint n, gsize at, gsize width)
{
  const TernSsmConv *conv = c->conv;
  TernStateStep step = tern_pass_step (c->pass, segment, row, c->part);
  gsize first = segment->first + row;

  c->pass->kernels->conv_silu (c->y + first * conv->channels + at, conv->channels, step.to + at, step.from + at,
      conv->channels, c->z + first * c->ldz + at, c->ldz, conv->weight + at, conv->channels,
      conv->bias ? conv->bias + at : NULL, width, conv->taps, n);
}

static void
convolve_strips (void *data, guint begin, guint end, guint worker)
{
  const Convolving *c = data;
  guint strips = (c->conv->channels + STRIP - 1) / STRIP;

  for (guint i = begin; i < end; i++) {
    const TernPassSegment *segment = &c->pass->segments[i / strips];
    gsize at = (gsize) (i % strips) * STRIP, width = MIN (STRIP, c->conv->channels - at);
    guint n = segment->segment.n, step = segment->segment.decode ? 1 : n;

    for (guint row = 0; row < n; row += step)
      convolve (c, segment, row, step, at, width);
  }
}

void
tern_ssm_conv_run (const TernSsmConv *conv, TernPass *pass, guint part, float *y, const float *z, gsize ldz)
{
  Convolving c = { conv, pass, part, y, z, ldz };
  guint strips = (conv->channels + STRIP - 1) / STRIP;

  tern_pool_run (tern_block_pool (pass, 2 * (gsize) pass->n * conv->channels * (conv->taps + 8)), convolve_strips, &c,
      pass->n_segments * strips, 1);
}
