/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes GGUF files in memory, right ones and, field by field, wrong ones. */
#pragma once

#include <string.h>

#include "engine/weights/gguf.h"

typedef struct {
  guint32 version;
  guint32 alignment;            /* of the data; the key is the caller's business */
  guint64 n_keys, n_tensors;    /* counted; may be overwritten */
  GByteArray *keys, *infos, *data;
} GgufWriter;

static inline void
put_bytes (GByteArray *to, const void *data, gsize n)
{
  g_byte_array_append (to, data, n);
}

static inline void
put_u32 (GByteArray *to, guint32 v)
{
  v = GUINT32_TO_LE (v);
  put_bytes (to, &v, sizeof v);
}

static inline void
put_u64 (GByteArray *to, guint64 v)
{
  v = GUINT64_TO_LE (v);
  put_bytes (to, &v, sizeof v);
}

static inline void
put_string (GByteArray *to, const char *text)
{
  put_u64 (to, strlen (text));
  put_bytes (to, text, strlen (text));
}

static inline void
writer_init (GgufWriter *w)
{
  *w = (GgufWriter) { .version = 3, .alignment = 32 };
  w->keys = g_byte_array_new ();
  w->infos = g_byte_array_new ();
  w->data = g_byte_array_new ();
}

static inline void
writer_clear (GgufWriter *w)
{
  g_byte_array_unref (w->keys);
  g_byte_array_unref (w->infos);
  g_byte_array_unref (w->data);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GgufWriter, writer_clear)

/* Name and type of a key; its value follows by put_*(). */
static inline void
writer_key (GgufWriter *w, const char *name, guint32 type)
{
  put_string (w->keys, name);
  put_u32 (w->keys, type);
  w->n_keys++;
}

static inline void
writer_u32 (GgufWriter *w, const char *name, guint32 v)
{
  writer_key (w, name, TERN_GGUF_U32);
  put_u32 (w->keys, v);
}

static inline void
writer_number (GgufWriter *w, const char *name, guint32 type, const void *value, gsize bytes)
{
  writer_key (w, name, type);
  put_bytes (w->keys, value, bytes);
}

static inline void
writer_string (GgufWriter *w, const char *name, const char *text)
{
  writer_key (w, name, TERN_GGUF_STRING);
  put_string (w->keys, text);
}

/* Type and count of an array; its elements follow. */
static inline void
writer_array (GgufWriter *w, const char *name, guint32 element, guint64 count)
{
  writer_key (w, name, TERN_GGUF_ARRAY);
  put_u32 (w->keys, element);
  put_u64 (w->keys, count);
}

/* A directory entry with everything as given. */
static inline void
writer_info (GgufWriter *w, const char *name, guint32 n_dims, const guint64 *dims, guint32 type, guint64 offset)
{
  guint32 i;

  put_string (w->infos, name);
  put_u32 (w->infos, n_dims);
  for (i = 0; i < n_dims && i < 8; i++)
    put_u64 (w->infos, dims[i]);
  put_u32 (w->infos, type);
  put_u64 (w->infos, offset);
  w->n_tensors++;
}

static inline void
writer_pad (GByteArray *to, gsize alignment)
{
  while (to->len % alignment)
    put_bytes (to, "", 1);
}

/* A whole tensor. */
static inline void
writer_tensor (GgufWriter *w, const char *name, guint32 n_dims, const guint64 *dims, guint32 type, const void *data,
    gsize bytes)
{
  writer_pad (w->data, w->alignment);
  writer_info (w, name, n_dims, dims, type, w->data->len);
  put_bytes (w->data, data, bytes);
}

/* The file. */
static inline GByteArray *
writer_finish (const GgufWriter *w)
{
  GByteArray *file = g_byte_array_new ();

  put_bytes (file, "GGUF", 4);
  put_u32 (file, w->version);
  put_u64 (file, w->n_tensors);
  put_u64 (file, w->n_keys);
  put_bytes (file, w->keys->data, w->keys->len);
  put_bytes (file, w->infos->data, w->infos->len);
  writer_pad (file, w->alignment ? w->alignment : 1);
  put_bytes (file, w->data->data, w->data->len);
  return file;
}
