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
  guint32 part, n_parts;        /* of a model in several files: which of how many, from 0; else 0 and 1 */
  GPtrArray *parts;             /* TernGguf of the others, in order, whose tensors are in this one's list; NULL: there are none */

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
/* Maps and reads one file, be it a part. */
TernGguf *tern_gguf_open_one (const char *path, GError **error);
/* Opens the others of a first part, and makes one of all. */
gboolean tern_gguf_join (TernGguf *file, GError **error);

/* Of file->tensors as they are now. FORMAT: two have one name. */
gboolean tern_gguf_sort_tensors (TernGguf *file, GError **error);
/* Forgets keys whose names begin with @prefix. */
void tern_gguf_drop_keys (TernGguf *file, const char *prefix);

G_END_DECLS
