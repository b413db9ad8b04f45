/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mamba1.c and mamba2.c share: their convolution and the checks of their vectors. */
#pragma once

#include "engine/llm/blocks/blocks.h"

G_BEGIN_DECLS

/* ssm_conv1d of @channels channels, causal, with SiLU behind it. Its state is the last taps - 1 inputs, oldest first. */
typedef struct {
  guint channels, taps;
  float *weight;                /* [taps, channels], the last row meets the current token */
  float *bias;                  /* [channels] or NULL */
} TernSsmConv;

gboolean tern_ssm_conv_load (TernSsmConv *conv, const TernBlockSource *source, guint channels, guint taps, GError **error);
void tern_ssm_conv_clear (TernSsmConv *conv);
gsize tern_ssm_conv_owned (const TernSsmConv *conv);
/* y [n, channels] for the rows z of the pass, @ldz apart, of every segment; the state is part @part of the running block. */
void tern_ssm_conv_run (const TernSsmConv *conv, TernPass *pass, guint part, float *y, const float *z, gsize ldz);

/* Loads a vector whose values must be finite, or it is an error that names the tensor and the first value that is not; NULL
 * for what the table does not want. @negative: and at most 0: a decay above 1 would let states grow for ever. */
gboolean tern_ssm_vector (const TernBlockSource *source, float **vector, const char *name, gboolean negative, GError **error);
/* [rows, cols] to [cols, rows] in memory of its own, which takes the place of the old one. */
gboolean tern_ssm_turn (float **matrix, gsize rows, gsize cols, GError **error);

G_END_DECLS
