/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FNV-1a with 64 bits (draft-eastlake-fnv): the same on every machine and always, as journals and shards need it. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_FNV_START G_GUINT64_CONSTANT (0xcbf29ce484222325)

static inline guint64
tern_fnv_more (guint64 hash, guchar byte)
{
  return (hash ^ byte) * G_GUINT64_CONSTANT (0x100000001b3);
}

/* Of what @hash is of, and @bytes behind it. */
static inline guint64
tern_fnv_on (guint64 hash, const void *bytes, gsize n)
{
  for (gsize i = 0; i < n; i++)
    hash = tern_fnv_more (hash, ((const guchar *) bytes)[i]);
  return hash;
}

static inline guint64
tern_fnv (const char *bytes, gsize n)
{
  return tern_fnv_on (TERN_FNV_START, bytes, n);
}

G_END_DECLS
