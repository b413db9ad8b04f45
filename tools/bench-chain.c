/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Embeddings and outputs of random models that say a known chain of tokens, so that a model and its draft agree as often as
 * wanted. An embedding is so large beside what random layers add that the last hidden state still points its way; the output row
 * of the token that comes next is that embedding. All of the model is computed as ever, and none of it decides. */
#include <math.h>
#include <string.h>

#include "engine/base/random.h"
#include "engine/weights/quantize.h"
#include "tools/bench-shape-priv.h"

#define FIRST 1000u             /* ids of texts: below it are control tokens and bytes */
#define SCALE 64                /* of an embedding's values, beside about 1 of what a block adds */

/* @n ids from FIRST on, in a circle: 8 k + 5 as a factor, odd as an addend make all of 2^k numbers come once; ids beyond the
 * last power of two come never. */
typedef struct {
  guint32 n;
  double agree;
} Chain;

static guint32
after (const Chain *chain, guint32 i)
{
  return (i * 1664525u + 1013904223u) & (chain->n - 1);
}

/* Whether the draft says the same behind @i. */
static gboolean
agrees (const Chain *chain, guint32 i)
{
  TernRandom random = { i };

  return tern_random_uniform (&random) < chain->agree;
}

static void
embedding (guint64 cols, guint32 id, float scale, float *x)
{
  TernRandom random = { (guint64) id << 20 };

  for (guint64 k = 0; k < cols; k += 2) {
    guint64 bits = tern_random_next (&random);

    for (guint64 part = 0; part < 2 && k + part < cols; part++) {
      guint32 half = (guint32) (bits >> 32 * part);
      gint32 sum = (gint32) (half & 0xff) + (gint32) (half >> 8 & 0xff) + (gint32) (half >> 16 & 0xff) + (gint32) (half >> 24);

      x[k + part] += scale * ((float) sum - 510) / 148; /* about normal: the sum of four bytes */
    }
  }
}

/* The row of output @id: embeddings that it comes behind. */
static void
output (const Chain *chain, guint64 cols, guint32 id, const guint32 *before, float *x)
{
  guint32 i = id - FIRST, one = (i - 1) & (chain->n - 1);
  float scale = 1 / sqrtf ((float) cols);

  if (id < FIRST || i >= chain->n)
    return;
  if (agrees (chain, before[i]))
    embedding (cols, FIRST + before[i], scale, x);
  if (!agrees (chain, before[one]))     /* what is wrong is one further than it should be */
    embedding (cols, FIRST + before[one], scale, x);
}

gboolean
tern_chain_write (const TernShapeTensor *tensor, double agree, TernGgufWriter *writer, GError **error)
{
  guint64 cols = tensor->dims[0], rows = tensor->dims[1];
  gboolean is_output = g_str_has_prefix (tensor->name, "output");
  Chain chain = { 1u << (g_bit_storage (rows - FIRST) - 1), agree };
  g_autofree guint32 *before = g_new (guint32, chain.n);
  g_autofree float *x = g_new (float, cols);
  gsize bytes = cols / tensor->type->block * tensor->type->bytes;
  g_autofree guint8 *row = g_malloc (bytes);

  for (guint32 i = 0; i < chain.n; i++)
    before[after (&chain, i)] = i;
  for (guint32 id = 0; id < rows; id++) {
    memset (x, 0, cols * sizeof *x);
    if (is_output)
      output (&chain, cols, id, before, x);
    else
      embedding (cols, id, SCALE, x);
    tern_quantizer (tensor->type->type) (row, x, cols);
    if (!tern_gguf_writer_data (writer, row, bytes, error))
      return FALSE;
  }
  return TRUE;
}
