/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random weights, fast: a few megabytes of blocks for each type and length of rows, made by the quantisers from normal
 * values, and read round and round from another place for every tensor. Values have variance 1 / columns, so that
 * activations stay finite; ternary tensors have one scale each, as real ones do. */
#include <math.h>
#include <string.h>

#include "engine/base/random.h"
#include "engine/weights/quantize.h"
#include "tools/bench-shape-priv.h"

#define POOL_VALUES (1u << 20)

typedef struct {
  const TernTypeInfo *type;
  guint64 cols;
  guint8 *blocks;
  gsize bytes;
} Pool;

struct _TernValues {
  TernRandom random;
  GArray *pools;
};

static void
pool_clear (gpointer data)
{
  g_free (((Pool *) data)->blocks);
}

TernValues *
tern_values_new (void)
{
  TernValues *values = g_new0 (TernValues, 1);

  values->pools = g_array_new (FALSE, TRUE, sizeof (Pool));
  g_array_set_clear_func (values->pools, pool_clear);
  return values;
}

void
tern_values_free (TernValues *values)
{
  g_array_unref (values->pools);
  g_free (values);
}

/* About normal, variance 1: the sum of eight bytes. */
static float
normal (TernValues *values)
{
  const float deviation = 209.02f;      /* of the sum: sqrt (8 (256^2 - 1) / 12) */
  guint64 r = tern_random_next (&values->random);
  guint32 a = r, b = r >> 32, pairs = (a & 0xff00ff) + (a >> 8 & 0xff00ff) + (b & 0xff00ff) + (b >> 8 & 0xff00ff);

  return ((float) (pairs & 0xffff) + (float) (pairs >> 16) - 8 * 127.5f) / deviation;
}

static gboolean
is_ternary (const TernTypeInfo *type)
{
  return type->type == TERN_TYPE_TQ1_0 || type->type == TERN_TYPE_TQ2_0;
}

/* @n values to blocks of @type. */
static void
encode (const TernTypeInfo *type, guint8 *dst, const float *x, gsize n)
{
  if (type->type == TERN_TYPE_F32) {
    memcpy (dst, x, n * sizeof *x);
  } else if (type->type == TERN_TYPE_BF16) {
    for (gsize i = 0; i < n; i++)
      memcpy (dst + 2 * i, (const guint8 *) &x[i] + (G_BYTE_ORDER == G_LITTLE_ENDIAN ? 2 : 0), 2);
  } else {
    tern_quantizer (type->type) (dst, x, n);
  }
}

static const Pool *
find_pool (TernValues *values, const TernTypeInfo *type, guint64 cols)
{
  gsize n = POOL_VALUES / type->block * type->block;
  float sigma = 1 / sqrtf (cols);
  Pool pool = { type, cols, NULL, n / type->block * type->bytes };
  g_autofree float *x = NULL;

  for (guint i = 0; i < values->pools->len; i++) {
    const Pool *known = &g_array_index (values->pools, Pool, i);

    if (known->type == type && known->cols == cols)
      return known;
  }
  x = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    x[i] = is_ternary (type) ? ((int) tern_random_below (&values->random, 3) - 1) * sigma * sqrtf (1.5f)
        : sigma * normal (values);
  pool.blocks = g_malloc (pool.bytes);
  encode (type, pool.blocks, x, n);
  g_array_append_val (values->pools, pool);
  return &g_array_index (values->pools, Pool, values->pools->len - 1);
}

static gboolean
write_pool (TernValues *values, const TernShapeTensor *tensor, guint64 bytes, TernGgufWriter *writer, GError **error)
{
  const Pool *pool = find_pool (values, tensor->type, tensor->dims[0]);
  gsize at = (gsize) tern_random_below (&values->random, pool->bytes / tensor->type->bytes) * tensor->type->bytes;

  while (bytes) {
    gsize n = MIN (bytes, pool->bytes - at);

    if (!tern_gguf_writer_data (writer, pool->blocks + at, n, error))
      return FALSE;
    bytes -= n;
    at = (at + n) % pool->bytes;
  }
  return TRUE;
}

/* What stands for each channel or head, though it may have two dimensions. */
static gboolean
is_vector (const TernShapeTensor *tensor)
{
  return tensor->n_dims == 1 || g_str_has_suffix (tensor->name, ".ssm_a") || g_str_has_suffix (tensor->name, ".ssm_d")
      || g_str_has_suffix (tensor->name, ".ssm_norm.weight");
}

/* Norms are about 1, biases about 0, rates of decay about -1. */
static gboolean
write_vector (TernValues *values, const TernShapeTensor *tensor, TernGgufWriter *writer, GError **error)
{
  gboolean bias = g_str_has_suffix (tensor->name, ".bias"), rate = g_str_has_suffix (tensor->name, ".ssm_a");
  gsize n = tensor->dims[0] * tensor->dims[1];
  g_autofree float *x = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    x[i] = (bias ? -0.02 : rate ? -1.4 : 0.6) + (bias ? 0.04 : 0.8) * tern_random_uniform (&values->random);
  return tern_gguf_writer_data (writer, x, n * sizeof *x, error);
}

gboolean
tern_values_write (TernValues *values, const TernShapeTensor *tensor, TernGgufWriter *writer, GError **error)
{
  guint64 bytes = 0;

  if (is_vector (tensor))
    return write_vector (values, tensor, writer, error);
  tern_type_tensor_bytes (tensor->type, tensor->dims, &bytes);
  return write_pool (values, tensor, bytes, writer, error);
}
