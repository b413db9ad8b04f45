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

static inline guint64
tern_fnv (const char *bytes, gsize n)
{
  guint64 hash = TERN_FNV_START;

  for (gsize i = 0; i < n; i++)
    hash = tern_fnv_more (hash, (guchar) bytes[i]);
  return hash;
}

G_END_DECLS
