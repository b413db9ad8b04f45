/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Norms, activations and the other work on one row, scalar. Sums over a row are kept in double: they cost nothing here
 * and make this the reference that the vector versions are measured with. */
#include <math.h>

#include "engine/kernels/versions.h"

static TERN_DECL_RMS_NORM (rms_norm_c)
{
  double sum = 0;
  float s;
  gsize i;

  for (i = 0; i < n; i++)
    sum += (double) x[i] * x[i];
  s = (float) (1.0 / sqrt (sum / (double) n + eps));
  for (i = 0; i < n; i++)
    y[i] = x[i] * s * w[i];
}

static TERN_DECL_LAYER_NORM (layer_norm_c)
{
  double mean = 0, var = 0;
  float m, s;
  gsize i;

  for (i = 0; i < n; i++)
    mean += x[i];
  mean /= (double) n;
  for (i = 0; i < n; i++)
    var += (x[i] - mean) * (x[i] - mean);
  m = (float) mean;
  s = (float) (1.0 / sqrt (var / (double) n + eps));
  for (i = 0; i < n; i++)
    y[i] = (x[i] - m) * s * w[i] + b[i];
}

static double
exponentials (float *x, gsize n, float scale, float *largest)
{
  double sum = 0;
  gsize i;

  for (i = 0; i < n; i++) {
    x[i] *= scale;
    *largest = x[i] > *largest ? x[i] : *largest;
  }
  for (i = 0; i < n; i++) {
    x[i] = expf (x[i] - *largest);
    sum += x[i];
  }
  return sum;
}

static TERN_DECL_SOFTMAX (softmax_c)
{
  float max = -INFINITY, s;
  gsize i;

  s = (float) (1.0 / exponentials (x, n, scale, &max));
  for (i = 0; i < n; i++)
    x[i] *= s;
}

static TERN_DECL_SOFTMAX_STEP (softmax_step_c)
{
  return (float) exponentials (x, n, scale, largest);
}

static TERN_DECL_SILU_MUL (silu_mul_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    gate[i] = gate[i] / (1.0f + expf (-gate[i])) * up[i];
}

static TERN_DECL_RELU2_MUL (relu2_mul_c)
{
  gsize i;

  for (i = 0; i < n; i++) {
    float g = gate[i] < 0.0f ? 0.0f : gate[i];

    gate[i] = g * g * up[i];
  }
}

static TERN_DECL_SIGMOID_MUL (sigmoid_mul_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = x[i] / (1.0f + expf (-gate[i]));
}

static TERN_DECL_RELU2 (relu2_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = x[i] < 0.0f ? 0.0f : x[i] * x[i];
}

/* 0.5 x (1 + tanh u) = x / (1 + exp(-2u)): without the cancellation that 1 + tanh has for negative x. */
static TERN_DECL_GELU (gelu_tanh_c)
{
  gsize i;

  for (i = 0; i < n; i++) {
    float u = 0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);

    x[i] = x[i] / (1.0f + expf (-2.0f * u));
  }
}

static TERN_DECL_GELU (gelu_erf_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = 0.5f * x[i] * erfcf (-0.70710678f * x[i]);
}

static TERN_DECL_ADD (add_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] += y[i];
}

static TERN_DECL_ROPE (rope_c)
{
  const float *cosine = cos_sin, *sine = cos_sin + d / 2;
  gsize i;

  for (i = 0; i < d / 2; i++) {
    float a = x[i], b = x[i + d / 2];

    x[i] = a * cosine[i] - b * sine[i];
    x[i + d / 2] = b * cosine[i] + a * sine[i];
  }
}

static TERN_DECL_SHORTCONV (shortconv_c)
{
  const float *b = bcx, *c = bcx + channels, *x = bcx + 2 * channels;
  gsize ch, k;

  for (ch = 0; ch < channels; ch++) {
    float z = b[ch] * x[ch], sum = 0;

    for (k = 0; k + 1 < l; k++) {
      float *old = state + k * channels + ch;

      sum += taps[ch * l + k] * *old;
      *old = k + 2 < l ? old[channels] : z;
    }
    y[ch] = c[ch] * (sum + taps[ch * l + l - 1] * z);
  }
}

void
tern_elementwise_init_c (TernKernels *k)
{
  k->rms_norm = rms_norm_c;
  k->layer_norm = layer_norm_c;
  k->softmax = softmax_c;
  k->softmax_step = softmax_step_c;
  k->silu_mul = silu_mul_c;
  k->relu2_mul = relu2_mul_c;
  k->sigmoid_mul = sigmoid_mul_c;
  k->relu2 = relu2_c;
  k->gelu_tanh = gelu_tanh_c;
  k->gelu_erf = gelu_erf_c;
  k->add = add_c;
  k->rope = rope_c;
  k->shortconv = shortconv_c;
}
