/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What int8 and int4 caches hold, plain and rotated, and what comes of it, against numpy (kv-goldens.py) and by hand. */
#include <math.h>
#include <string.h>

#include "engine/llm/kvcache.h"
#include "tern/error.h"
#include "tests/unit/kv-goldens.h"

static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_AMX, TERN_CPU_NEON };

/* A cache of one page and one head. */
typedef struct {
  TernKernels kernels;
  TernPages pages;
  TernPageTable table;
  guint32 page[1];
  TernKvCache cache;
} Rig;

static void
rig_init (Rig *rig, TernCpu level, TernKvType type, guint dim, guint n)
{
  tern_kernels_init (&rig->kernels, level);
  g_assert_true (tern_kv_check (type, dim, NULL));
  g_assert_true (tern_pages_init (&rig->pages, tern_kvcache_page_bytes (type, 1, dim), 1, "cache", NULL));
  rig->table = (TernPageTable) { .pages = &rig->pages, .rows = TERN_PAGE_ROWS, .page = rig->page };
  g_assert_true (tern_page_table_append (&rig->table, n));
  rig->cache = (TernKvCache) { .type = type, .n_kv = 1, .head_dim = dim, .table = &rig->table };
}

static void
put (Rig *rig, guint pos, const float *k, const float *v)
{
  gsize bytes = rig->cache.head_dim * sizeof (float);
  g_autofree float *own_k = g_memdup2 (k, bytes), *own_v = g_memdup2 (v, bytes);

  tern_kvcache_put (&rig->cache, &rig->kernels, pos, own_k, own_v);
}

static void
check_stored (const Rig *rig, guint golden)
{
  TernKvType type = rig->cache.type;
  guint dim = kv_goldens[golden].dim;
  gsize bytes = type == TERN_KV_INT8 || type == TERN_KV_INT8_ROTATED ? dim : (dim + 31) / 32 * 16;

  for (guint i = 0; i < 2 * KV_KEYS; i++) {
    float scale;
    const void *row = tern_kvcache_row (&rig->cache, i < KV_KEYS ? TERN_KV_KEYS : TERN_KV_VALUES, 0, i % KV_KEYS, &scale);

    g_assert_cmpmem (row, bytes, kv_goldens[golden].bytes + i * bytes, bytes);
    g_assert_cmpfloat (fabsf (scale / kv_goldens[golden].scales[i] - 1), <=, 1e-6f);
  }
  g_assert_cmpfloat (tern_kv_row_bytes (type, dim), ==, bytes + sizeof (float));
}

static void
check_attention (const Rig *rig, guint golden)
{
  guint dim = kv_goldens[golden].dim;
  g_autofree float *q = g_memdup2 (kv_goldens[golden].q, dim * sizeof (float)), *o = g_new (float, dim);
  float weights[KV_KEYS];

  for (guint many = 0; many < 2; many++) {
    float total = 0;

    memcpy (q, kv_goldens[golden].q, dim * sizeof (float));
    tern_kv_rotate (rig->cache.type, &rig->kernels, q, 1, dim);
    tern_kvcache_dot (&rig->cache, &rig->kernels, weights, KV_KEYS, 0, 0, KV_KEYS, q, 1, many, (TernKvNext) { 0 });
    for (guint i = 0; i < KV_KEYS; i++)
      total += weights[i] = expf (weights[i] / sqrtf (dim));
    for (guint i = 0; i < KV_KEYS; i++)
      weights[i] /= total;
    tern_kvcache_sum (&rig->cache, &rig->kernels, o, NULL, weights, KV_KEYS, 0, 0, 1, KV_KEYS, many, (TernKvNext) { 0 });
    tern_kv_rotate (rig->cache.type, &rig->kernels, o, 1, dim);
    for (guint c = 0; c < dim; c++)     /* queries in 16 bits, at most */
      g_assert_cmpfloat (fabsf (o[c] - kv_goldens[golden].o[c]), <=, 3e-4f);
  }
}

static void
test_goldens (void)
{
  for (guint l = 0; l < G_N_ELEMENTS (levels); l++)
    for (guint i = 0; i < G_N_ELEMENTS (kv_goldens) && tern_cpu_has (levels[l]); i++) {
      guint dim = kv_goldens[i].dim;
      TernKvType type;
      Rig rig;

      g_assert_true (tern_kv_parse (kv_goldens[i].type, &type));
      rig_init (&rig, levels[l], type, dim, KV_KEYS);
      for (guint pos = 0; pos < KV_KEYS; pos++)
        put (&rig, pos, kv_goldens[i].k + pos * dim, kv_goldens[i].v + pos * dim);
      check_stored (&rig, i);
      check_attention (&rig, i);
      tern_pages_clear (&rig.pages);
    }
}

/* int3: 1 is (1 / 3) * 3.5 = 1.17 steps above 3.5, the digit 5, which stands as 9 and is 1.5 steps of 6 / 7. Turned, 2 is 1.75 steps
 * above 3.5, the same digit; back again (4 + 12 / 7, 4 - 12 / 7) / 2.
 * (3, 1) turned is (4, 2) / sqrt 2: the larger one is digit 15, and the other, 3.75 steps above 7.5, is digit 11. These are 7.5
 * and 3.5 steps of 4 / (7.5 sqrt 2), which turned back are (11, 4) * 4 / 15. As it is, a step is .4, and 1 is the digit 10. */
static void
test_worked (void)
{
  static const struct { TernKvType type; guint8 digits[2]; float scale, back[2]; } cases[] = {
    { TERN_KV_INT4, { 15, 10 }, 0.4f, { 3, 1 } },
    { TERN_KV_INT4_ROTATED, { 15, 11 }, 4 / (7.5f * (float) G_SQRT2), { 44 / 15.f, 16 / 15.f } },
    { TERN_KV_INT3, { 11, 9 }, 6 / 7.f, { 3, 9 / 7.f } },
    { TERN_KV_INT3_ROTATED, { 11, 9 }, 4 / (3.5f * (float) G_SQRT2), { 20 / 7.f, 8 / 7.f } },
  };
  static const float x[2] = { 3, 1 };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    const guint8 *row;
    float scale, back[2];
    Rig rig;

    rig_init (&rig, TERN_CPU_SCALAR, cases[i].type, 2, 1);
    put (&rig, 0, x, x);
    row = tern_kvcache_row (&rig.cache, TERN_KV_KEYS, 0, 0, &scale);
    tern_kvcache_get (&rig.cache, &rig.kernels, TERN_KV_VALUES, 0, 0, back);
    g_assert_cmpfloat (fabsf (scale - cases[i].scale), <=, 1e-6f);
    for (guint c = 0; c < 2; c++) {
      g_assert_cmpuint (row[c] & 15, ==, cases[i].digits[c]);
      g_assert_cmpfloat (fabsf (back[c] - cases[i].back[c]), <=, 1e-6f);
    }
    tern_pages_clear (&rig.pages);
  }
}

static void
test_odd (void)
{
  for (TernKvType type = TERN_KV_F32; type < TERN_KV_N_TYPES; type++) {
    g_autoptr (GError) error = NULL;
    gboolean rotated = strstr (tern_kv_name (type), "rotated") != NULL;

    g_assert_true (tern_kv_check (type, 14, NULL));
    g_assert_true (tern_kv_check (type, 15, &error) == !rotated);
    if (!rotated)
      continue;
    g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
    g_assert_nonnull (strstr (error->message, tern_kv_name (type)));
    g_assert_nonnull (strstr (error->message, "15"));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kvcache/numpy", test_goldens);
  g_test_add_func ("/kvcache/worked", test_worked);
  g_test_add_func ("/kvcache/odd-heads", test_odd);
  return g_test_run ();
}
