/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the reader (gguf-read.c) makes and the getters (gguf.c) look at. */
#pragma once

#include "engine/base/mapfile.h"
#include "engine/weights/gguf.h"

G_BEGIN_DECLS

typedef struct {
  char *name;                   /* owned, UTF-8, no control characters */
  TernGgufType type;
  TernGgufType element;         /* ARRAY */
  guint64 count;                /* ARRAY: elements; STRING: bytes */
  const guint8 *data;           /* first byte of the value, of the string or of the first element */
  TernBytes record;             /* the key with everything that belongs to it, as in the file */
} TernGgufKey;

struct _TernGguf {
  gatomicrefcount refs;
  char *path;
  TernMap map;
  gboolean owns_map;
  guint32 version, alignment;
  gsize header_len, data_start;

  gsize n_keys;
  TernGgufKey *keys;            /* [n_keys] in the order of the file */
  guint32 *key_order;           /* [n_keys] indices sorted by name */

  gsize n_tensors;
  TernTensor *tensors;
  guint32 *tensor_order;        /* sorted by name */
};

/* Bytes of one value, 0 for STRING, ARRAY and ids that do not exist. */
gsize tern_gguf_type_bytes (guint32 type);

/* Reads and checks the whole header of file->map. */
gboolean tern_gguf_read (TernGguf *file, GError **error);

G_END_DECLS
