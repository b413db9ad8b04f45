/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/kvcache.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

/* What rows are made of. I3: digits 4 to 11 of an int4 row, which its kernels read as such. */
typedef enum { F32, F16, I8, I4, I3 } Form;

static const struct {
  const char *name;
  Form form;
  gboolean rotated;
} types[] = {
  [TERN_KV_AUTO] = { "auto", F32, FALSE },
  [TERN_KV_F32] = { "f32", F32, FALSE },
  [TERN_KV_F16] = { "f16", F16, FALSE },
  [TERN_KV_INT8] = { "int8", I8, FALSE },
  [TERN_KV_INT8_ROTATED] = { "int8-rotated", I8, TRUE },
  [TERN_KV_INT4] = { "int4", I4, FALSE },
  [TERN_KV_INT4_ROTATED] = { "int4-rotated", I4, TRUE },
  [TERN_KV_INT3] = { "int3", I3, FALSE },
  [TERN_KV_INT3_ROTATED] = { "int3-rotated", I3, TRUE },
};
G_STATIC_ASSERT (G_N_ELEMENTS (types) == TERN_KV_N_TYPES);

const char *
tern_kv_name (TernKvType type)
{
  return types[type].name;
}

gboolean
tern_kv_parse (const char *name, TernKvType *type)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (!strcmp (name, types[i].name)) {
      *type = i;
      return TRUE;
    }
  return FALSE;
}

/* ---- Rotation ---------------------------------------------------------------------------------------------------- */

/* The largest power of two that divides it. */
static guint
block_of (guint head_dim)
{
  return head_dim & -head_dim;
}

gboolean
tern_kv_check (TernKvType type, guint head_dim, GError **error)
{
  if (!types[type].rotated || block_of (head_dim) > 1)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "keys and values as %s: expected heads of an even number of values, "
      "which are rotated in blocks of a power of two, found %u", types[type].name, head_dim);
  return FALSE;
}

void
tern_kv_rotate (TernKvType type, const TernKernels *kernels, float *x, guint n, guint head_dim)
{
  if (types[type].rotated)
    kernels->hadamard (x, x, NULL, (gsize) n * head_dim, block_of (head_dim), FALSE);
}

/* ---- Layout ------------------------------------------------------------------------------------------------------ */

/* Keys, values, their scales: TERN_PAGE_ROWS rows of anything keep what follows aligned. */
G_STATIC_ASSERT (TERN_PAGE_ROWS % TERN_ALIGN == 0);

typedef struct {
  guint8 *rows[2];              /* of TernKvPart */
  float *scale[2];              /* NULL but of int8 and int4 rows */
} Part;

/* Bytes of a row. */
static inline gsize
row_bytes (TernKvType type, guint head_dim)
{
  static const gsize bytes[] = { [F32] = sizeof (float), [F16] = sizeof (guint16), [I8] = sizeof (gint8) };

  return types[type].form >= I4 ? tern_i4_bytes (head_dim) : head_dim * bytes[types[type].form];
}

static inline gboolean
has_scales (TernKvType type)
{
  return types[type].form >= I8;
}

double
tern_kv_row_bytes (TernKvType type, guint head_dim)
{
  return (double) row_bytes (type, head_dim) + (has_scales (type) ? sizeof (float) : 0);
}

gsize
tern_kvcache_page_bytes (TernKvType type, guint n_kv, guint head_dim)
{
  TernArena arena = { 0 };

  tern_plan_take (&arena, 2 * (gsize) TERN_PAGE_ROWS * n_kv, row_bytes (type, head_dim), 1);
  if (has_scales (type))
    tern_plan_take (&arena, 2 * (gsize) TERN_PAGE_ROWS * n_kv, sizeof (float), 1);
  return arena.used;
}

/* The layer's part of @page. */
static inline Part
part_in (const TernKvCache *cache, guint8 *page)
{
  guint8 *at = page + cache->at;
  gsize rows = (gsize) TERN_PAGE_ROWS * cache->n_kv, bytes = rows * row_bytes (cache->type, cache->head_dim);
  float *scales = (float *) (at + 2 * bytes);

  if (has_scales (cache->type))
    return (Part) { { at, at + bytes }, { scales, scales + rows } };
  return (Part) { { at, at + bytes }, { NULL, NULL } };
}

/* ... of the page that holds @pos. */
static inline Part
part_of (const TernKvCache *cache, guint pos)
{
  const TernPageTable *table = cache->table;

  return part_in (cache, tern_pages_at (table->pages, table->page[pos / TERN_PAGE_ROWS]));
}

/* Rows of @head from @pos to the end of its page. */
static TernKvView
view (const TernKvCache *cache, TernKvPart which, guint head, guint pos)
{
  Part part = part_of (cache, pos);
  gsize row = (gsize) head * TERN_PAGE_ROWS + pos % TERN_PAGE_ROWS;

  return (TernKvView) { cache->type, part.rows[which] + row * row_bytes (cache->type, cache->head_dim),
    part.scale[which] ? part.scale[which] + row : NULL };
}

static guint
rest_of_page (guint pos)
{
  return TERN_PAGE_ROWS - pos % TERN_PAGE_ROWS;
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

/* Eight steps: scale = max|x| / 3.5, digit = round_half_even (x * (3.5 / max) + 3.5) within 0 to 7, value = scale * (digit - 3.5),
 * which is scale * (digit + 4 - 7.5): an int4 row. What pads it is as x = 0. A NaN makes the scale NaN, and digits 0. */
static void
pack_i3row (guint8 *q, float *scale, const float *x, guint n)
{
  float max = 0, step;

  for (guint i = 0; i < n; i++)
    max = !(fabsf (x[i]) <= max) && !isnan (max) ? fabsf (x[i]) : max;
  max = max < 1e-30f ? 0 : max;
  step = max == 0 ? 0 : 3.5f / max;
  *scale = max / 3.5f;
  memset (q, 0, tern_i4_bytes (n));
  for (guint g = 0; g < n && !isnan (max); g += TERN_I4_GROUP, q += TERN_I4_GROUP / 2)
    for (guint i = 0; i < TERN_I4_GROUP; i++) {
      float place = rintf ((g + i < n ? x[g + i] : 0) * step + 3.5f);

      q[i % 16] |= (guint8) (4 + (guint) CLAMP (place, 0, 7)) << (i < 16 ? 0 : 4);
    }
}

/* Row @row of @rows and its scale from @x, which is rotated where rows are. */
static void
put_row (const TernKvCache *cache, const TernKernels *kernels, void *rows, float *scale, gsize row, const float *x)
{
  void *to = (guint8 *) rows + row * row_bytes (cache->type, cache->head_dim);

  switch (types[cache->type].form) {
    case F32:
      memcpy (to, x, cache->head_dim * sizeof (float));
      break;
    case F16:
      kernels->pack_f16 (to, x, cache->head_dim);
      break;
    case I8:
      kernels->pack_i8row (to, scale + row, x, cache->head_dim);
      break;
    case I4:
      kernels->pack_i4row (to, scale + row, x, cache->head_dim);
      break;
    case I3:
      pack_i3row (to, scale + row, x, cache->head_dim);
      break;
  }
}

void
tern_kvcache_put (const TernKvCache *cache, const TernKernels *kernels, guint pos, float *k, float *v)
{
  Part part = part_of (cache, pos);

  tern_kv_rotate (cache->type, kernels, k, cache->n_kv, cache->head_dim);
  tern_kv_rotate (cache->type, kernels, v, cache->n_kv, cache->head_dim);
  for (guint head = 0; head < cache->n_kv; head++) {
    gsize row = (gsize) head * TERN_PAGE_ROWS + pos % TERN_PAGE_ROWS, at = (gsize) head * cache->head_dim;

    put_row (cache, kernels, part.rows[TERN_KV_KEYS], part.scale[TERN_KV_KEYS], row, k + at);
    put_row (cache, kernels, part.rows[TERN_KV_VALUES], part.scale[TERN_KV_VALUES], row, v + at);
  }
}

const void *
tern_kvcache_row (const TernKvCache *cache, TernKvPart part, guint head, guint pos, float *scale)
{
  TernKvView row = view (cache, part, head, pos);

  if (scale)
    *scale = row.scale ? *row.scale : 1;
  return row.rows;
}

/* The value at @i of an int4 row in parts of its scale. */
static float
digit (const guint8 *row, guint i)
{
  guint8 both = row[i / TERN_I4_GROUP * (TERN_I4_GROUP / 2) + i % 16];

  return (float) (i % TERN_I4_GROUP < 16 ? both & 15 : both >> 4) - 7.5f;
}

/* Row @row of @rows as floats, rotated back. */
static void
get_row (const TernKvCache *cache, const TernKernels *kernels, const void *rows, const float *scale, gsize row, float *x)
{
  const void *from = (const guint8 *) rows + row * row_bytes (cache->type, cache->head_dim);
  Form form = types[cache->type].form;

  if (form == F32)
    memcpy (x, from, cache->head_dim * sizeof (float));
  for (guint i = 0; form == F16 && i < cache->head_dim; i++)
    x[i] = tern_f16_to_f32 (((const guint16 *) from)[i]);
  for (guint i = 0; form == I8 && i < cache->head_dim; i++)
    x[i] = scale[row] * (float) ((const gint8 *) from)[i];
  for (guint i = 0; form >= I4 && i < cache->head_dim; i++)
    x[i] = scale[row] * digit (from, i);
  tern_kv_rotate (cache->type, kernels, x, 1, cache->head_dim);
}

void
tern_kvcache_get (const TernKvCache *cache, const TernKernels *kernels, TernKvPart which, guint head, guint pos, float *x)
{
  Part part = part_of (cache, pos);

  get_row (cache, kernels, part.rows[which], part.scale[which], (gsize) head * TERN_PAGE_ROWS + pos % TERN_PAGE_ROWS, x);
}

static void
move_row (const TernKvCache *cache, const Part *to, const Part *from, TernKvPart which, gsize to_row, gsize from_row)
{
  gsize bytes = row_bytes (cache->type, cache->head_dim);

  memmove (to->rows[which] + to_row * bytes, from->rows[which] + from_row * bytes, bytes);
  if (to->scale[which])
    to->scale[which][to_row] = from->scale[which][from_row];
}

void
tern_kvcache_move (const TernKvCache *cache, const TernKernels *kernels, const TernKvMove *move, float *spare)
{
  Part to = part_in (cache, move->to), from = part_in (cache, (guint8 *) move->from);

  for (guint head = 0; head < cache->n_kv; head++) {
    gsize to_row = (gsize) head * TERN_PAGE_ROWS + move->to_row, from_row = (gsize) head * TERN_PAGE_ROWS + move->from_row;

    move_row (cache, &to, &from, TERN_KV_VALUES, to_row, from_row);
    if (!move->angles) {
      move_row (cache, &to, &from, TERN_KV_KEYS, to_row, from_row);
      continue;
    }
    get_row (cache, kernels, from.rows[TERN_KV_KEYS], from.scale[TERN_KV_KEYS], from_row, spare);
    kernels->rope (spare, move->angles, move->dim);
    tern_kv_rotate (cache->type, kernels, spare, 1, cache->head_dim);
    put_row (cache, kernels, to.rows[TERN_KV_KEYS], to.scale[TERN_KV_KEYS], to_row, spare);
  }
}

gsize
tern_kv_gather_bytes (guint head_dim)
{
  return tern_align_up (TERN_PAGE_ROWS * sizeof (float))
      + (gsize) TERN_PAGE_ROWS * MAX (head_dim * sizeof (float), tern_i4_bytes (head_dim));
}

guint
tern_kv_in_page (const gint32 *index, guint n)
{
  guint i = 0;

  while (i < n && index[i] / TERN_PAGE_ROWS == index[0] / TERN_PAGE_ROWS)
    i++;
  return i;
}

TernKvKept
tern_kv_kept (const TernKvCache *cache, TernKvPart part, guint head, const gint32 *index, guint n)
{
  TernKvView all;

  if (n == 0)
    return (TernKvKept) { .n = 0 };
  all = view (cache, part, head, index[0] - index[0] % TERN_PAGE_ROWS);
  return (TernKvKept) { all.rows, all.scale, index, n };
}

/* Rows of @bytes, a constant where speed counts. */
static inline __attribute__ ((always_inline)) void
copy_rows (guint8 *to, TernKvKept now, TernKvKept then, const gsize bytes)
{
  for (guint i = 0; i < MAX (now.n, then.n); i++) {
    if (i < then.n)
      for (gsize b = 0; b < bytes; b += TERN_ALIGN)
        __builtin_prefetch (then.rows + (gsize) then.index[i] % TERN_PAGE_ROWS * bytes + b);
    if (i < now.n)
      memcpy (to + i * bytes, now.rows + (gsize) now.index[i] % TERN_PAGE_ROWS * bytes, bytes);
  }
}

TernKvView
tern_kv_gather (void *scratch, const TernKvCache *cache, TernKvKept now, TernKvKept then)
{
  gsize bytes = row_bytes (cache->type, cache->head_dim);
  float *scale = scratch;
  guint8 *rows = (guint8 *) scratch + tern_align_up (TERN_PAGE_ROWS * sizeof (float));

  switch (bytes) {
    case 32: copy_rows (rows, now, then, 32); break;
    case 64: copy_rows (rows, now, then, 64); break;
    case 128: copy_rows (rows, now, then, 128); break;
    case 256: copy_rows (rows, now, then, 256); break;
    case 512: copy_rows (rows, now, then, 512); break;
    default: copy_rows (rows, now, then, bytes);
  }
  for (guint i = 0; now.scale && i < now.n; i++)
    scale[i] = now.scale[now.index[i] % TERN_PAGE_ROWS];
  return (TernKvView) { cache->type, rows, now.scale ? scale : NULL };
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

void
tern_kv_dot (const TernKernels *kernels, float *y, gsize ldy, TernKvView keys, guint n_keys, guint head_dim,
    const float *x, guint n, gboolean many)
{
  switch (types[keys.type].form) {
    case F32:
      kernels->gemm_f32 (y, ldy, keys.rows, head_dim, n_keys, head_dim, x, head_dim, n, many);
      break;
    case F16:
      kernels->gemm_f16 (y, ldy, keys.rows, head_dim, n_keys, head_dim, x, head_dim, n, many);
      break;
    case I8:
      kernels->gemm_i8row (y, ldy, keys.rows, head_dim, keys.scale, 1, n_keys, head_dim, x, head_dim, n, many);
      break;
    case I4:
    case I3:
      kernels->gemm_i4row (y, ldy, keys.rows, tern_i4_bytes (head_dim), keys.scale, 1, n_keys, head_dim, x, head_dim, n, many);
      break;
  }
}

/* Rows that are read at once, while as many are fetched: few enough for what a core can have on its way. */
#define BYTES_AT_ONCE 4096
#define FEW_AT_ONCE 16

static guint
at_once (const TernKvCache *cache, gboolean many)
{
  gsize rows = BYTES_AT_ONCE / MAX (row_bytes (cache->type, cache->head_dim), 1);

  return many ? TERN_PAGE_ROWS : CLAMP (rows, FEW_AT_ONCE, TERN_PAGE_ROWS);
}

/* What is read after the rows up to @end that begin at @pos: those of the next page, then @next. */
static TernKvNext
after (const TernKvCache *cache, TernKvPart part, guint head, guint pos, guint end, TernKvNext next)
{
  guint begin = pos + rest_of_page (pos);

  return begin < end ? (TernKvNext) { cache, part, head, begin, MIN (TERN_PAGE_ROWS, end - begin) } : next;
}

/* Rows [first, first + n) of those of @next that lie in one page, unless they follow the part of @now that is being read: there
 * the kernels look ahead themselves. */
static void
fetch (const TernKvNext *next, guint first, guint n, TernKvNext now)
{
  guint rows = MIN (next->n, rest_of_page (next->pos));
  gsize bytes;
  TernKvView from;

  if (first >= rows || (next->part == now.part && next->head == now.head + 1 && next->pos == now.pos))
    return;
  from = view (next->cache, next->part, next->head, next->pos + first);
  bytes = MIN (n, rows - first) * row_bytes (from.type, next->cache->head_dim);
  for (gsize i = 0; i < bytes; i += TERN_ALIGN)
    __builtin_prefetch ((const guint8 *) from.rows + i);
  if (from.scale)
    __builtin_prefetch (from.scale);
}

void
tern_kvcache_dot (const TernKvCache *cache, const TernKernels *kernels, float *y, gsize ldy, guint head, guint first,
    guint n_keys, const float *x, guint n, gboolean many, TernKvNext next)
{
  guint end = first + n_keys, most = at_once (cache, many), step;

  for (guint pos = first; pos < end;) {
    TernKvNext then = after (cache, TERN_KV_KEYS, head, pos, end, next);
    guint part = MIN (rest_of_page (pos), end - pos);

    for (guint i = 0; i < part; i += step, pos += step) {
      step = MIN (most, part - i);
      fetch (&then, i, most, (TernKvNext) { cache, TERN_KV_KEYS, head, pos - i, 0 });
      tern_kv_dot (kernels, y + (pos - first), ldy, view (cache, TERN_KV_KEYS, head, pos), step, cache->head_dim, x, n,
          many);
    }
  }
}

void
tern_kv_sum (const TernKernels *kernels, float *y, const float *a, gsize lda, TernKvView values, guint n, guint n_keys,
    guint head_dim, gboolean go_on, gboolean many)
{
  switch (types[values.type].form) {
    case F32:
      kernels->gemm_nn (y, head_dim, a, lda, values.rows, head_dim, n, n_keys, head_dim, go_on);
      break;
    case F16:
      kernels->gemm_nn_f16 (y, head_dim, a, lda, values.rows, head_dim, n, n_keys, head_dim, many, go_on);
      break;
    case I8:
      kernels->gemm_nn_i8row (y, head_dim, a, lda, values.rows, head_dim, values.scale, 1, n, n_keys, head_dim, many,
          go_on);
      break;
    case I4:
    case I3:
      kernels->gemm_nn_i4row (y, head_dim, a, lda, values.rows, tern_i4_bytes (head_dim), values.scale, 1, n, n_keys,
          head_dim, many, go_on);
      break;
  }
}

guint
tern_kvcache_sum_page (const TernKvCache *cache, const TernKernels *kernels, float *y, float *spare, const float *a,
    gsize lda, guint head, guint first, guint i, guint n, guint n_keys, gboolean many, TernKvNext next)
{
  guint part = MIN (rest_of_page (first + i), n_keys - i), end = i + part, most = at_once (cache, many), step;
  gboolean later = i >= TERN_KV_RUN;

  for (guint at = 0; at < part; at += step, i += step) {
    step = MIN (most, part - at);
    fetch (&next, at, most, (TernKvNext) { cache, TERN_KV_VALUES, head, first + i - at, 0 });
    tern_kv_sum (kernels, later ? spare : y, a + i, lda, view (cache, TERN_KV_VALUES, head, first + i), n, step,
        cache->head_dim, i % TERN_KV_RUN > 0, many);
  }
  if (later && (end % TERN_KV_RUN == 0 || end == n_keys))
    kernels->add (y, spare, (gsize) n * cache->head_dim);
  return part;
}

void
tern_kvcache_sum (const TernKvCache *cache, const TernKernels *kernels, float *y, float *spare, const float *a, gsize lda,
    guint head, guint first, guint n, guint n_keys, gboolean many, TernKvNext next)
{
  for (guint i = 0; i < n_keys;)
    i += tern_kvcache_sum_page (cache, kernels, y, spare, a, lda, head, first, i, n, n_keys, many,
        after (cache, TERN_KV_VALUES, head, first + i, first + n_keys, next));
}
