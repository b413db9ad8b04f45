/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which machine this is. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_CACHES 8

typedef struct {
  guint level;
  char kind;                    /* 'd' data, 'i' instructions, 'u' both */
  guint64 bytes;
  guint sharing;                /* cores that have it between them; 0: not known */
} TernCache;

typedef struct {
  char cpu[128];                /* its name; "" when the system does not say */
  guint cores;                  /* that this process may use */
  guint n_caches;
  TernCache caches[TERN_CACHES];        /* of the first core */
  guint64 memory;               /* bytes, 0: not known */
} TernMachine;

void tern_machine_look (TernMachine *machine);
/* Bytes of the last cache, those of all cores together; a guess where the system does not say. */
guint64 tern_machine_cache_bytes (const TernMachine *machine);
/* Bytes that this process can still get without pushing others out, limits of control groups included; G_MAXUINT64: not
 * known. */
guint64 tern_machine_available (void);

G_END_DECLS
