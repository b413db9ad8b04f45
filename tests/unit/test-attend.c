/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention over caches of every type against sums in double precision. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/llm/blocks/attend.h"

#define CONTEXT 1120
#define LAYER 3

static const TernKvType types[] = { TERN_KV_F32, TERN_KV_F16, TERN_KV_INT8, TERN_KV_INT8_ROTATED, TERN_KV_INT4,
  TERN_KV_INT4_ROTATED, TERN_KV_INT3, TERN_KV_INT3_ROTATED };

/* A cache that is full, and what went into it. */
typedef struct {
  guint n_heads, n_kv, head_dim;
  TernKernels kernels;
  TernPool *pool;
  TernStore store;
  TernLayerPlace places[LAYER + 1];
  TernTimeline timeline;        /* holds CONTEXT positions */
  TernKvCache cache;
  void *work;
  float *k, *v;                 /* [CONTEXT, n_kv, head_dim] */
  float *held_k, *held_v;       /* the same as the cache has them */
  float *q;                     /* [CONTEXT, n_heads, head_dim] */
  float mean[CONTEXT];
} Rig;

static float
draw (GRand *random)
{
  return (float) (g_rand_double (random) + g_rand_double (random) + g_rand_double (random) - 1.5) * 2;
}

/* Channel 3 stands out, as some do in real keys. */
static float *
draw_rows (gsize n, guint dim, float out, GRand *random)
{
  float *rows = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    rows[i] = draw (random) * (i % dim == 3 ? out : 1);
  return rows;
}

/* Blocks that rows of @type are rotated in, 1: not at all. */
static guint
block_of (TernKvType type, guint dim)
{
  guint block = 1;

  while ((type == TERN_KV_INT8_ROTATED || type == TERN_KV_INT4_ROTATED || type == TERN_KV_INT3_ROTATED) && dim % (2 * block) == 0)
    block *= 2;
  return block;
}

/* Row @x [dim] times the matrices of its blocks, sum by sum. */
static void
rotate (TernKvType type, guint dim, const double *x, double *y)
{
  guint block = block_of (type, dim);

  for (guint i = 0; i < dim; i++) {
    y[i] = 0;
    for (guint j = i / block * block; j < (i / block + 1) * block; j++)
      y[i] += (__builtin_popcount (i % block & j % block) % 2 ? -1 : 1) * x[j] / sqrt (block);
  }
}

/* Value @c of a row as it is stored. */
static double
stored (TernKvType type, const void *row, double scale, guint c)
{
  const guint8 *both = (const guint8 *) row + c / 32 * 16 + c % 16;

  switch (type) {
    case TERN_KV_F32:
      return ((const float *) row)[c];
    case TERN_KV_F16:
      return tern_f16_to_f32 (((const guint16 *) row)[c]);
    case TERN_KV_INT8:
    case TERN_KV_INT8_ROTATED:
      return ((const gint8 *) row)[c] * scale;
    default:
      return ((c % 32 < 16 ? *both % 16 : *both / 16) - 7.5) * scale;
  }
}

/* What the cache holds of position @at of kv head @g, rotated back, and that it says so itself. */
static void
read_row (const TernKvCache *cache, TernKvPart part, guint g, guint at, float *x)
{
  guint dim = cache->head_dim;
  double held[128] = { 0 }, back[128];
  float scale, said[128];
  const void *row = tern_kvcache_row (cache, part, g, at, &scale);
  TernKernels kernels;

  g_assert_cmpuint (dim, <=, G_N_ELEMENTS (held));
  for (guint c = 0; c < dim; c++)
    held[c] = stored (cache->type, row, scale, c);
  rotate (cache->type, dim, held, back);
  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  tern_kvcache_get (cache, &kernels, part, g, at, said);
  for (guint c = 0; c < dim; c++) {
    x[c] = (float) back[c];
    g_assert_cmpfloat (fabs (said[c] - back[c]), <=, 1e-5);
  }
}

static float *
stored_rows (const TernKvCache *cache, TernKvPart part)
{
  float *x = g_new (float, (gsize) CONTEXT * cache->n_kv * cache->head_dim);

  for (guint at = 0; at < CONTEXT; at++)
    for (guint g = 0; g < cache->n_kv; g++)
      read_row (cache, part, g, at, x + ((gsize) at * cache->n_kv + g) * cache->head_dim);
  return x;
}

/* A timeline of one layer's cache, whose pages are in no order. */
static void
take_timeline (Rig *rig, TernKvType type)
{
  enum { PAGES = CONTEXT / TERN_PAGE_ROWS + 1 };
  gsize bytes = tern_kvcache_page_bytes (type, rig->n_kv, rig->head_dim);
  TernPageTable *table = &rig->timeline.table;

  g_assert_true (tern_pages_init (&rig->store.pages, bytes, PAGES, "cache", NULL));
  rig->store.kv = type;
  rig->store.context = CONTEXT;
  rig->store.places = rig->places;
  for (guint i = 0; i < PAGES; i++)
    rig->store.pages.free[i] = i * 7 % PAGES;
  rig->timeline = (TernTimeline) { .store = &rig->store, .state = TERN_NO_PAGE };
  *table = (TernPageTable) { .pages = &rig->store.pages, .rows = TERN_PAGE_ROWS, .page = g_new (guint32, PAGES) };
  g_assert_true (tern_page_table_append (table, CONTEXT));
  rig->cache = (TernKvCache) { .type = type, .n_kv = rig->n_kv, .head_dim = rig->head_dim, .table = table };
}

static Rig *
rig_new (TernCpu level, TernKvType type, guint n_heads, guint n_kv, guint head_dim, guint threads)
{
  Rig *rig = g_new0 (Rig, 1);
  GRand *random = g_rand_new_with_seed (n_heads * 100 + head_dim);
  gsize row = (gsize) n_kv * head_dim, q_row = (gsize) n_heads * head_dim;
  TernAttending a = { .n_heads = n_heads, .n_kv = n_kv, .head_dim = head_dim,
    .scale = 1 / sqrtf (head_dim) };
  TernArena work = { 0 };

  rig->n_heads = n_heads;
  rig->n_kv = n_kv;
  rig->head_dim = head_dim;
  tern_kernels_init (&rig->kernels, level);
  rig->pool = tern_pool_new (threads, NULL);
  g_assert_true (tern_pool_reserve (rig->pool, tern_attend_scratch (&a, CONTEXT), NULL));
  take_timeline (rig, type);
  tern_attend_take (&a, &work, CONTEXT, CONTEXT);
  rig->work = tern_mem_alloc (work.used, "work", NULL);

  rig->k = draw_rows (CONTEXT * row, head_dim, 5, random);
  rig->v = draw_rows (CONTEXT * row, head_dim, 5, random);
  rig->q = draw_rows (CONTEXT * q_row, head_dim, 1, random);
  for (gsize i = 0; i < CONTEXT; i++) {
    g_autofree float *k = g_memdup2 (rig->k + i * row, row * sizeof (float));
    g_autofree float *v = g_memdup2 (rig->v + i * row, row * sizeof (float));

    tern_kvcache_put (&rig->cache, &rig->kernels, i, k, v);
  }
  rig->held_k = stored_rows (&rig->cache, TERN_KV_KEYS);
  rig->held_v = stored_rows (&rig->cache, TERN_KV_VALUES);
  g_rand_free (random);
  return rig;
}

static void
rig_free (Rig *rig)
{
  tern_pool_free (rig->pool);
  tern_pages_clear (&rig->store.pages);
  g_free (rig->timeline.table.page);
  tern_mem_free (rig->work);
  g_free (rig->k);
  g_free (rig->v);
  g_free (rig->held_k);
  g_free (rig->held_v);
  g_free (rig->q);
  g_free (rig);
}

/* Part of a pass: queries at positions pos .. pos + n - 1. */
typedef struct {
  guint pos, n;
  gboolean decode;
  const TernKeyPolicy *policy;
} Run;

/* What one pass with @runs gives, one behind the other. Free with g_free. */
static float *
attend_all (Rig *rig, const Run *runs, guint n_runs)
{
  guint32 segment_of[CONTEXT];
  TernPassSegment segments[8];
  TernTimeline timelines[8];
  TernPass pass = { .kernels = &rig->kernels, .pool = rig->pool, .layer = LAYER, .context = CONTEXT, .mean = rig->mean,
    .segments = segments, .segment_of = segment_of, .n_segments = n_runs };
  TernAttending a = { .n_heads = rig->n_heads, .n_kv = rig->n_kv, .head_dim = rig->head_dim,
    .scale = 1 / sqrtf (rig->head_dim), .pass = &pass };
  TernArena arena = { .base = rig->work };
  gsize row = (gsize) rig->n_heads * rig->head_dim;

  tern_attend_take (&a, &arena, CONTEXT, CONTEXT);
  for (guint i = 0; i < n_runs; i++) {
    timelines[i] = rig->timeline;
    timelines[i].policy = runs[i].policy;
    segments[i] = (TernPassSegment) { { .timeline = &timelines[i], .n = runs[i].n, .decode = runs[i].decode }, pass.n,
      runs[i].pos };
    memcpy (a.q + pass.n * row, rig->q + runs[i].pos * row, runs[i].n * row * sizeof (float));
    for (guint t = 0; t < runs[i].n; t++)
      segment_of[pass.n++] = i;
    pass.n_decode += runs[i].decode;
  }
  tern_attend (&a);
  return g_memdup2 (a.o, pass.n * row * sizeof (float));
}

static float *
attend (Rig *rig, guint pos, guint n, gboolean decode, const TernKeyPolicy *policy)
{
  return attend_all (rig, &(Run) { pos, n, decode, policy }, 1);
}

static void
rotate_row (const Rig *rig, const float *x, double *y)
{
  double wide[128] = { 0 };

  for (guint c = 0; c < rig->head_dim; c++)
    wide[c] = x[c];
  rotate (rig->cache.type, rig->head_dim, wide, y);
}

/* How far the cache's idea of row @x of kv values, as it is stored, may lie from it, per value: half a step. */
static double
rounding (const Rig *rig, const float *x, guint c)
{
  TernKvType type = rig->cache.type;
  double largest = 0, y[128];

  if (type == TERN_KV_F32)
    return 0;
  if (type == TERN_KV_F16)
    return fabs (x[c]) / 2048 + 1e-7;
  rotate_row (rig, x, y);
  for (guint i = 0; i < rig->head_dim; i++)
    largest = MAX (largest, fabs (y[i]));
  return largest / (type == TERN_KV_INT8 || type == TERN_KV_INT8_ROTATED ? 254 : type == TERN_KV_INT3 || type == TERN_KV_INT3_ROTATED
      ? 7 : 15) * 1.00001;
}

/* Rows have a scale: all values of one are as far off. */
static gboolean
has_steps (const Rig *rig)
{
  return rig->cache.type >= TERN_KV_INT8;
}

/* One head of the query at @pos over rows @k and @v of the keys at @list [n] (NULL: 0 .. n - 1). */
static void
exact (const Rig *rig, const float *k, const float *v, guint pos, guint head, const gint32 *list, guint n, double *o,
    double *p)
{
  guint dim = rig->head_dim, g = head / (rig->n_heads / rig->n_kv);
  const float *q = rig->q + ((gsize) pos * rig->n_heads + head) * dim;
  double largest = -INFINITY, sum = 0;

  for (guint i = 0; i < n; i++) {
    const float *row = k + ((gsize) (list ? list[i] : i) * rig->n_kv + g) * dim;
    double dot = 0;

    for (guint c = 0; c < dim; c++)
      dot += (double) q[c] * row[c];
    p[i] = dot / sqrt (dim);
    largest = MAX (largest, p[i]);
  }
  for (guint i = 0; i < n; i++)
    sum += p[i] = exp (p[i] - largest);
  memset (o, 0, dim * sizeof *o);
  for (guint i = 0; i < n; i++) {
    const float *row = v + ((gsize) (list ? list[i] : i) * rig->n_kv + g) * dim;

    p[i] /= sum;
    for (guint c = 0; c < dim; c++)
      o[c] += p[i] * row[c];
  }
}

static gboolean
is_rotated (const Rig *rig)
{
  return block_of (rig->cache.type, rig->head_dim) > 1;
}

/* How far rounding in the cache may move the result with weights @p: every score is off by at most `bend`, every weight
 * by a factor of at most exp (2 bend), every value by half a step, or, rotated back, by those of its block over the root of
 * their number. */
static void
bounds (const Rig *rig, guint pos, guint head, const gint32 *list, guint n, const double *p, double *slack)
{
  guint dim = rig->head_dim, g = head / (rig->n_heads / rig->n_kv);
  const float *q = rig->q + ((gsize) pos * rig->n_heads + head) * dim;
  double bend = 0, turned[128], spread = sqrt (block_of (rig->cache.type, dim));

  rotate_row (rig, q, turned);
  for (guint i = 0; i < n; i++) {
    const float *row = rig->k + ((gsize) (list ? list[i] : i) * rig->n_kv + g) * dim;
    double moved = 0, step = rounding (rig, row, 0);

    for (guint c = 0; c < dim; c++)
      moved += fabs (turned[c]) * (has_steps (rig) ? step : rounding (rig, row, c));
    bend = MAX (bend, moved / sqrt (dim));
  }
  memset (slack, 0, dim * sizeof *slack);
  for (guint i = 0; i < n; i++) {
    const float *row = rig->v + ((gsize) (list ? list[i] : i) * rig->n_kv + g) * dim;
    double step = rounding (rig, row, 0);

    for (guint c = 0; c < dim; c++)
      slack[c] += p[i] * (expm1 (2 * bend) * fabs (row[c])
          + exp (2 * bend) * (has_steps (rig) ? step * spread : rounding (rig, row, c)));
  }
}

/* @o [n, heads, head_dim] of the queries from @pos on: within what rounding in the cache explains of the exact result,
 * and within float arithmetic of the exact result over what the cache holds. */
static void
check_rows (const Rig *rig, const float *o, guint pos, guint n, const gint32 *list, guint n_list)
{
  g_autofree double *want = g_new (double, rig->head_dim), *slack = g_new (double, rig->head_dim);
  g_autofree double *p = g_new (double, CONTEXT);
  double error = 0, power = 0;

  for (guint t = 0; t < n; t++)
    for (guint head = 0; head < rig->n_heads; head++) {
      const float *found = o + ((gsize) t * rig->n_heads + head) * rig->head_dim;
      guint n_keys = list ? n_list : pos + t + 1;

      exact (rig, rig->k, rig->v, pos + t, head, list, n_keys, want, p);
      bounds (rig, pos + t, head, list, n_keys, p, slack);
      for (guint c = 0; c < rig->head_dim; c++)
        g_assert_cmpfloat (fabs (found[c] - want[c]), <=, slack[c] + 2e-5);
      exact (rig, rig->held_k, rig->held_v, pos + t, head, list, n_keys, want, p);
      for (guint c = 0; c < rig->head_dim; c++) {
        error += (found[c] - want[c]) * (found[c] - want[c]);
        power += want[c] * want[c];
      }
    }
  /* Beside int8 and int4 keys a query may be taken in 16 bits: steps of its largest value, which grows as it is rotated. What keys of
   * int3 lack is larger, and so are the scores that it moves. */
  g_assert_cmpfloat (error / power, <=,
      !has_steps (rig) ? 1e-11 : is_rotated (rig) ? 1e-8 : rig->cache.type == TERN_KV_INT3 ? 3e-9 : 1e-9);
}

typedef void (*RigFunc) (Rig *rig);

static void
each_rig (RigFunc func)
{
  static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_AMX, TERN_CPU_NEON };
  static const guint shapes[][3] = { { 4, 2, 64 }, { 9, 3, 64 }, { 2, 1, 32 }, { 3, 3, 16 }, { 8, 1, 80 },
    { 4, 2, 20 } };
  const char *sample = g_getenv ("TERN_TEST_SAMPLE");   /* one rig of so many */

  for (guint l = 0; l < G_N_ELEMENTS (levels); l++)
    for (guint s = l == 0 ? 2 : 0; s < G_N_ELEMENTS (shapes) && tern_cpu_has (levels[l]); s++)    /* scalar is slow */
      for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
        Rig *rig;

        if (sample && g_test_rand_int_range (0, MAX (atoi (sample), 1)) != 0)
          continue;
        rig = rig_new (levels[l], types[t], shapes[s][0], shapes[s][1], shapes[s][2], 2);
        func (rig);
        rig_free (rig);
      }
}

static void
prefill_rows (Rig *rig)
{
  static const guint cases[][2] = { { 0, 1 }, { 0, 2 }, { 0, 37 }, { 250, 9 }, { 511, 2 }, { 1024, 3 }, { 1117, 3 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree float *o = attend (rig, cases[i][0], cases[i][1], FALSE, NULL);

    check_rows (rig, o, cases[i][0], cases[i][1], NULL, 0);
  }
}

static void
decode_rows (Rig *rig)
{
  static const guint positions[] = { 0, 1, 511, 512, CONTEXT - 1 };

  for (guint i = 0; i < G_N_ELEMENTS (positions); i++) {
    g_autofree float *o = attend (rig, positions[i], 1, TRUE, NULL);

    check_rows (rig, o, positions[i], 1, NULL, 0);
  }
}

static void
test_prefill (void)
{
  each_rig (prefill_rows);
}

static void
test_decode (void)
{
  each_rig (decode_rows);
}

/* ---- Policies ---------------------------------------------------------------------------------------------------- */

typedef struct {
  gint32 list[CONTEXT];
  guint n;
  guint observed;
  float weights[CONTEXT], query[8 * 128];
  gsize n_query;                /* values of query that are wanted */
} Script;

static const gint32 *
script_keys (void *self, guint layer, guint n_keys, guint *n_out)
{
  Script *script = self;

  g_assert_cmpuint (layer, ==, LAYER);
  g_assert_cmpint (script->list[script->n - 1], ==, n_keys - 1);
  *n_out = script->n;
  return script->list;
}

static void
script_observe (void *self, const TernKeyView *view)
{
  Script *script = self;

  script->observed = view->n_keys;
  memcpy (script->weights, view->scores, view->n_keys * sizeof (float));
  memcpy (script->query, view->query, script->n_query * sizeof (float));
}

static void
decode_some (Rig *rig)
{
  const guint pos = CONTEXT - 1;
  Script script = { .n = 0 };
  const TernKeyPolicy policy = { .score_layer = -1, .keys = script_keys, .observe = script_observe, .self = &script };
  g_autofree float *some = NULL, *listed = NULL, *all = attend (rig, pos, 1, TRUE, NULL);

  for (guint i = 0; i <= pos; i += i % 7 == 0 ? 1 : 2)   /* more than a piece */
    script.list[script.n++] = i;
  if (script.list[script.n - 1] != (gint32) pos)
    script.list[script.n++] = pos;
  g_assert_cmpuint (script.n, >, 512);
  some = attend (rig, pos, 1, TRUE, &policy);
  check_rows (rig, some, pos, 1, script.list, script.n);
  g_assert_cmpuint (script.observed, ==, 0);

  for (script.n = 0; script.n <= pos; script.n++)
    script.list[script.n] = script.n;
  listed = attend (rig, pos, 1, TRUE, &policy);
  g_assert_cmpmem (listed, rig->n_heads * rig->head_dim * sizeof (float), all,
      rig->n_heads * rig->head_dim * sizeof (float));
}

static void
test_some (void)
{
  each_rig (decode_some);
}

/* Kernels that count the rows of keys and of values that they are given. */
static TernKernels counted;
static guint keys_read, values_read;

#define DOT(name, DECL, ...) \
  static DECL (count_##name) \
  { \
    g_atomic_int_add (&keys_read, (gint) rows); \
    counted.name (__VA_ARGS__, rows, cols, x, ldx, n, many); \
  }
DOT (gemm_f32, TERN_DECL_GEMM_F32, y, ldy, w, ldw)
DOT (gemm_f16, TERN_DECL_GEMM_F16, y, ldy, w, ldw)
DOT (gemm_i8row, TERN_DECL_GEMM_I8ROW, y, ldy, w, ldw, scale, lds)
DOT (gemm_i4row, TERN_DECL_GEMM_I4ROW, y, ldy, w, ldw, scale, lds)
#undef DOT
#define SUM(name, DECL, ...) \
  static DECL (count_##name) \
  { \
    g_atomic_int_add (&values_read, (gint) depth); \
    counted.name (y, ldy, a, lda, b, ldb, __VA_ARGS__); \
  }
SUM (gemm_nn, TERN_DECL_GEMM_NN, n, depth, cols, go_on)
SUM (gemm_nn_f16, TERN_DECL_GEMM_NN_F16, n, depth, cols, many, go_on)
SUM (gemm_nn_i8row, TERN_DECL_GEMM_NN_I8ROW, scale, lds, n, depth, cols, many, go_on)
SUM (gemm_nn_i4row, TERN_DECL_GEMM_NN_I4ROW, scale, lds, n, depth, cols, many, go_on)
#undef SUM

/* Decode reads each key and value that is kept once for each head that has it, and no other. */
static void
read_some (Rig *rig)
{
  static const guint sizes[] = { 1, 63, 280, 513, CONTEXT };
  Script script = { .n = 0 };
  const TernKeyPolicy policy = { .score_layer = -1, .keys = script_keys, .self = &script };

  counted = rig->kernels;
  rig->kernels.gemm_f32 = count_gemm_f32;
  rig->kernels.gemm_f16 = count_gemm_f16;
  rig->kernels.gemm_i8row = count_gemm_i8row;
  rig->kernels.gemm_i4row = count_gemm_i4row;
  rig->kernels.gemm_nn = count_gemm_nn;
  rig->kernels.gemm_nn_f16 = count_gemm_nn_f16;
  rig->kernels.gemm_nn_i8row = count_gemm_nn_i8row;
  rig->kernels.gemm_nn_i4row = count_gemm_nn_i4row;
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree float *o = NULL;

    for (script.n = 0; script.n < sizes[i]; script.n++)
      script.list[script.n] = CONTEXT - sizes[i] + script.n;
    keys_read = values_read = 0;
    o = attend (rig, CONTEXT - 1, 1, TRUE, &policy);
    g_assert_cmpuint (keys_read, ==, sizes[i] * rig->n_kv);
    g_assert_cmpuint (values_read, ==, sizes[i] * rig->n_kv);
  }
}

static void
test_read (void)
{
  each_rig (read_some);
}

static void
observe_weights (Rig *rig)
{
  static const guint positions[] = { 0, 511, 512, CONTEXT - 1 };
  g_autofree double *o = g_new (double, rig->head_dim), *p = g_new (double, CONTEXT);

  for (guint i = 0; i < G_N_ELEMENTS (positions); i++) {
    Script script = { .n_query = MIN (rig->n_heads * rig->head_dim, G_N_ELEMENTS (script.query)) };
    const float *q = rig->q + (gsize) positions[i] * rig->n_heads * rig->head_dim;
    const TernKeyPolicy policy = { .score_layer = LAYER, .observe = script_observe, .self = &script };
    g_autofree double *want = g_new0 (double, positions[i] + 1);
    g_autofree float *seen = attend (rig, positions[i], 1, TRUE, &policy), *unseen = attend (rig, positions[i], 1, TRUE,
        NULL);

    g_assert_cmpmem (seen, rig->n_heads * rig->head_dim * sizeof (float), unseen,
        rig->n_heads * rig->head_dim * sizeof (float));
    g_assert_cmpuint (script.observed, ==, positions[i] + 1);
    for (gsize c = 0; c < script.n_query; c++)  /* not as a cache that is rotated wants it */
      g_assert_cmpfloat (fabsf (script.query[c] - q[c]), <=, 1e-5f);
    for (guint head = 0; head < rig->n_heads; head++) {
      exact (rig, rig->held_k, rig->held_v, positions[i], head, NULL, positions[i] + 1, o, p);
      for (guint k = 0; k <= positions[i]; k++)
        want[k] += p[k] / rig->n_heads;
    }
    for (guint k = 0; k <= positions[i]; k++)
      g_assert_cmpfloat (fabs (script.weights[k] - want[k]), <=,
          (!has_steps (rig) ? 2e-5 : is_rotated (rig) ? 3e-4 : 1e-4) * want[k] + 1e-9);
  }
}

static void
test_observe (void)
{
  each_rig (observe_weights);
}

/* ---- Pieces ------------------------------------------------------------------------------------------------------ */

/* The same bits from any number of threads. */
static void
test_threads (void)
{
  static const guint threads[] = { 1, 2, 3, 5 };
  const gsize width = 6 * 64;
  TernCpu level;

  g_assert_true (tern_cpu_parse (NULL, &level, NULL));
  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    g_autofree float *first = NULL, *newest = NULL, *weights = NULL;

    for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
      Rig *rig = rig_new (level, types[t], 6, 2, 64, threads[i]);
      Script script = { .n = 0 };
      const TernKeyPolicy policy = { .score_layer = LAYER, .observe = script_observe, .self = &script };
      g_autofree float *many = attend (rig, 700, 150, FALSE, NULL), *one = attend (rig, 1100, 1, TRUE, &policy);

      if (i == 0) {
        first = g_steal_pointer (&many);
        newest = g_steal_pointer (&one);
        weights = g_memdup2 (script.weights, sizeof script.weights);
      } else {
        g_assert_cmpmem (many, 150 * width * sizeof (float), first, 150 * width * sizeof (float));
        g_assert_cmpmem (one, width * sizeof (float), newest, width * sizeof (float));
        g_assert_cmpmem (script.weights, sizeof script.weights, weights, sizeof script.weights);
      }
      rig_free (rig);
    }
  }
}

/* Chunks of any size say what one go says, bit for bit, whatever the cache holds its rows as. */
static void
chunked (Rig *rig)
{
  static const guint chunks[] = { 1, 2, 7, 33 };
  enum { N = 99, POS = 480 };
  gsize row = (gsize) rig->n_heads * rig->head_dim;
  g_autofree float *whole = attend (rig, POS, N, FALSE, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (chunks); i++)
    for (guint t = 0; t < N; t += chunks[i]) {
      guint n = MIN (chunks[i], N - t);
      g_autofree float *o = attend (rig, POS + t, n, FALSE, NULL);

      g_assert_cmpmem (o, n * row * sizeof (float), whole + t * row, n * row * sizeof (float));
    }
}

static void
test_chunks (void)
{
  each_rig (chunked);
}

/* Rows of several timelines in one pass are what they are alone, and each one's policy is its own. */
static void
together (Rig *rig)
{
  static Script scripts[3];
  const TernKeyPolicy policies[] = {
    { .score_layer = LAYER, .observe = script_observe, .self = &scripts[0] },
    { .score_layer = -1, .keys = script_keys, .self = &scripts[1] },
    { .score_layer = LAYER, .observe = script_observe, .self = &scripts[2] },
  };
  const Run runs[] = {
    { 700, 1, TRUE, &policies[0] }, { CONTEXT - 1, 1, TRUE, NULL }, { 65, 1, TRUE, &policies[1] }, { 0, 1, TRUE, NULL },
    { 513, 1, TRUE, &policies[2] }, { 300, 41, FALSE, NULL }, { 0, 3, FALSE, NULL }, { 1000, 1, FALSE, NULL },
  };
  gsize row = (gsize) rig->n_heads * rig->head_dim, at = 0;
  g_autofree float *all = NULL;
  Script seen[3];

  scripts[1].n = 0;
  for (guint i = 0; i <= 65; i += 5)
    scripts[1].list[scripts[1].n++] = i;
  all = attend_all (rig, runs, G_N_ELEMENTS (runs));
  memcpy (seen, scripts, sizeof seen);
  for (guint i = 0; i < G_N_ELEMENTS (runs); i++) {
    g_autofree float *alone = attend_all (rig, &runs[i], 1);
    gsize n = runs[i].n * row;

    g_assert_cmpmem (alone, n * sizeof (float), all + at, n * sizeof (float));
    at += n;
  }
  for (guint i = 0; i < 3; i += 2)
    g_assert_cmpmem (seen[i].weights, seen[i].observed * sizeof (float), scripts[i].weights,
        scripts[i].observed * sizeof (float));
}

static void
test_together (void)
{
  each_rig (together);
}

static void
test_names (void)
{
  TernKvType type;

  for (guint i = TERN_KV_AUTO; i < TERN_KV_N_TYPES; i++) {
    g_assert_true (tern_kv_parse (tern_kv_name (i), &type));
    g_assert_cmpuint (type, ==, i);
    g_assert_nonnull (strstr (TERN_KV_NAMES, tern_kv_name (i)));
  }
  g_assert_false (tern_kv_parse ("int2", &type));
  g_assert_false (tern_kv_parse ("rotated", &type));
  g_assert_false (tern_kv_parse ("", &type));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/attend/prefill", test_prefill);
  g_test_add_func ("/attend/decode", test_decode);
  g_test_add_func ("/attend/some-keys", test_some);
  g_test_add_func ("/attend/keys-read", test_read);
  g_test_add_func ("/attend/observe", test_observe);
  g_test_add_func ("/attend/threads", test_threads);
  g_test_add_func ("/attend/chunks", test_chunks);
  g_test_add_func ("/attend/together", test_together);
  g_test_add_func ("/attend/names", test_names);
  return g_test_run ();
}
