/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/packing.h"

#include "engine/base/mem.h"
#include "engine/weights/pack-cache.h"

struct _TernPacking {
  TernPackCache *cache;         /* or NULL */
  void *block;                  /* NULL where all comes from the cache, or nothing is packed */
};

static gsize
bytes_of (const TernLinear *linear)
{
  return tern_linear_is_packable (linear) ? tern_align_up (tern_linear_packed_bytes (linear)) : 0;
}

static gboolean
pack_in_memory (TernPacking *packing, TernLinear *const *linears, guint n, TernPool *pool, GError **error)
{
  gsize bytes = 0;
  guint8 *at;

  for (guint i = 0; i < n; i++)
    bytes += bytes_of (linears[i]);
  if (bytes == 0)
    return TRUE;
  at = packing->block = tern_mem_alloc (bytes, "packed matrices", error);
  if (!at)
    return FALSE;
  tern_mem_dense (at, bytes);
  for (guint i = 0; i < n; i++) {
    gsize own = bytes_of (linears[i]);

    if (own > 0 && !tern_linear_pack_into (linears[i], at, pool, error))
      return FALSE;
    at += own;
  }
  return TRUE;
}

TernPacking *
tern_packing_new (const TernGguf *file, const char *layout, TernLinear *const *linears, guint n, TernPool *pool,
    GError **error)
{
  TernPacking *packing = g_new0 (TernPacking, 1);

  packing->cache = tern_pack_cache_new (file, layout);
  if (packing->cache && tern_pack_cache_load (packing->cache, linears, n, pool))
    return packing;
  if (!pack_in_memory (packing, linears, n, pool, error)) {
    g_prefix_error (error, "%s: ", tern_gguf_path (file));
    tern_packing_free (packing);
    return NULL;
  }
  if (packing->cache && tern_pack_cache_save (packing->cache, linears, n, pool))
    g_clear_pointer (&packing->block, tern_mem_free);   /* they have the cache's now */
  return packing;
}

void
tern_packing_free (TernPacking *packing)
{
  if (!packing)
    return;
  tern_pack_cache_free (packing->cache);
  tern_mem_free (packing->block);
  g_free (packing);
}
