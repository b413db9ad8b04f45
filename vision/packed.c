/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The matrices of a tower, and their packed forms. */
#include "vision/packed.h"

#include "engine/base/mem.h"
#include "engine/base/mapfile.h"

static gboolean
whole (TernVisionMatrix *matrix, TernLinear *linear, TernPacked *packed, guint set)
{
  *matrix = (TernVisionMatrix) { linear, packed, 0, linear->rows, set };
  return TRUE;
}

static gboolean
of_block (TernVision *vision, TernVisionPacked *packed, guint block, guint k, guint set, TernVisionMatrix *matrix)
{
  TernVitBlock *b = &vision->blocks[block];
  TernVitPacked *p = &packed->blocks[block];
  TernLinear *qkv[] = { &b->q, b->fused ? &b->q : &b->k, b->fused ? &b->q : &b->v };
  TernPacked *packed_qkv[] = { &p->q, &p->k, &p->v };

  if (k < G_N_ELEMENTS (qkv)) {
    *matrix = (TernVisionMatrix) { qkv[k], packed_qkv[k], b->fused ? k * vision->hidden : 0, vision->hidden, set };
    return TRUE;
  }
  if (k == 3)
    return whole (matrix, &b->out, &p->out, set + k);
  return k == 4 ? whole (matrix, &b->up, &p->up, set + k) : whole (matrix, &b->down, &p->down, set + k);
}

gboolean
tern_vision_matrix (TernVision *vision, TernVisionPacked *packed, guint i, TernVisionMatrix *matrix)
{
  guint set = i + 1, block;

  if (i == 0)
    return whole (matrix, &vision->patch, &packed->patch, 0);
  block = --i / TERN_VISION_BLOCK_MATRICES;
  if (block < vision->n_blocks)
    return of_block (vision, packed, block, i % TERN_VISION_BLOCK_MATRICES, set - i % TERN_VISION_BLOCK_MATRICES, matrix);
  i -= vision->n_blocks * TERN_VISION_BLOCK_MATRICES;
  if (i < TERN_PROJECTOR_LINEARS && vision->mm[i].rows > 0)
    return whole (matrix, &vision->mm[i], &packed->mm[i], set);
  if (i < TERN_PROJECTOR_LINEARS || i >= TERN_PROJECTOR_LINEARS + 2 * vision->info.deepstack)
    return FALSE;
  i -= TERN_PROJECTOR_LINEARS;
  return whole (matrix, &vision->deep[i / 2].fc[i % 2], &packed->deep[i], set);
}

const TernPacked *
tern_vision_packed_of (const TernVision *vision, const TernVisionPacked *packed, const TernLinear *linear)
{
  guint i;

  for (i = 0; i < TERN_PROJECTOR_LINEARS; i++)
    if (linear == &vision->mm[i])
      return &packed->mm[i];
  for (i = 0; i < 2 * vision->info.deepstack; i++)
    if (linear == &vision->deep[i / 2].fc[i % 2])
      return &packed->deep[i];
  return linear == &vision->patch ? &packed->patch : NULL;
}

void
tern_vision_packed_free (TernVisionPacked *packed, guint n_blocks)
{
  guint i;

  if (!packed)
    return;
  tern_packed_clear (&packed->patch);
  for (i = 0; i < TERN_PROJECTOR_LINEARS; i++)
    tern_packed_clear (&packed->mm[i]);
  for (i = 0; i < G_N_ELEMENTS (packed->deep); i++)
    tern_packed_clear (&packed->deep[i]);
  for (i = 0; i < n_blocks; i++) {
    TernVitPacked *b = &packed->blocks[i];
    TernPacked *all[] = { &b->q, &b->k, &b->v, &b->out, &b->up, &b->down };

    for (guint k = 0; k < G_N_ELEMENTS (all); k++)
      tern_packed_clear (all[k]);
  }
  tern_mem_free (packed->block);
  g_free (packed->blocks);
  g_free (packed);
}

/* Into one block, for large pages: their panels go past all rows of a picture again and again. */
static gboolean
gather (TernVision *vision, TernVisionPacked *packed, GError **error)
{
  TernVisionMatrix matrix;
  gsize bytes = 0, at = 0;
  guint i;

  for (i = 0; tern_vision_matrix (vision, packed, i, &matrix); i++)
    bytes += tern_packed_bytes (matrix.packed);
  packed->block = tern_mem_alloc (bytes, "vision encoder", error);
  if (!packed->block)
    return FALSE;
  tern_mem_dense (packed->block, bytes);
  for (i = 0; tern_vision_matrix (vision, packed, i, &matrix); i++) {
    gsize size = tern_packed_bytes (matrix.packed);

    tern_packed_move (matrix.packed, packed->block + at);
    at += size;
  }
  return TRUE;
}

/* The pages that they came from leave the process: what runs on floats brings them back. */
static void
settle (TernVision *vision, TernVisionPacked *packed)
{
  TernVisionMatrix matrix;
  guint i;

  packed->bytes = sizeof *packed + vision->n_blocks * sizeof *packed->blocks;
  for (i = 0; tern_vision_matrix (vision, packed, i, &matrix); i++) {
    gsize bytes = (gsize) matrix.rows * tern_linear_row_bytes (matrix.linear);

    packed->bytes += tern_packed_bytes (matrix.packed);
    packed->source += bytes;
    if (matrix.linear->mapped)
      tern_map_release (matrix.linear->data + (gsize) matrix.first * tern_linear_row_bytes (matrix.linear), bytes);
  }
}

gboolean
tern_vision_pack (TernVision *vision, TernPool *pool, GError **error)
{
  TernPool *own = NULL;

  g_mutex_lock (&vision->packing);
  if (!vision->packed && (pool || (pool = own = tern_pool_new (0, error)))) {
    TernVisionPacked *packed = tern_vision_choose (vision, pool, error);

    if (packed && gather (vision, packed, error)) {
      settle (vision, packed);
      vision->packed = packed;
    } else {
      tern_vision_packed_free (packed, vision->n_blocks);
    }
  }
  g_mutex_unlock (&vision->packing);
  tern_pool_free (own);
  return vision->packed != NULL;
}

gsize
tern_vision_repacked_bytes (const TernVision *vision)
{
  return vision->packed ? vision->packed->source : 0;
}

char *
tern_vision_packed_text (TernVision *vision)
{
  static const char *const names[] = { "int8", "int8/128", "bf16" };
  guint counts[G_N_ELEMENTS (names)] = { 0 }, i, k;
  GString *text = g_string_new (NULL);
  TernVisionMatrix matrix;

  for (i = 0; vision->packed && tern_vision_matrix (vision, vision->packed, i, &matrix); i++)
    for (k = 0; k < G_N_ELEMENTS (names); k++)
      counts[k] += g_str_equal (tern_packed_name (matrix.packed), names[k]);
  for (k = 0; k < G_N_ELEMENTS (names); k++)
    if (counts[k] > 0)
      g_string_append_printf (text, "%s%u in %s", text->len ? ", " : "", counts[k], names[k]);
  if (vision->packed && vision->packed->int8_attention)
    g_string_append (text, ", attention in int8");
  return g_string_free (text, FALSE);
}
