/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes a GGUF v3 file: keys and tensors are named first, then the tensors' bytes follow in the same order. The file
 * appears under its name when it is whole, or not at all. */
#pragma once

#include "engine/weights/gguf.h"

G_BEGIN_DECLS

typedef struct _TernGgufWriter TernGgufWriter;

/* @alignment: of the tensors, a power of two; the key general.alignment is the caller's business. */
TernGgufWriter *tern_gguf_writer_new (guint32 alignment);
/* What was not finished is gone. NULL-safe. */
void tern_gguf_writer_free (TernGgufWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGgufWriter, tern_gguf_writer_free)

/* A key as tern_gguf_key_record() gives it. */
void tern_gguf_writer_copy_key (TernGgufWriter *writer, TernBytes record);
void tern_gguf_writer_u32 (TernGgufWriter *writer, const char *key, guint32 value);
void tern_gguf_writer_f32 (TernGgufWriter *writer, const char *key, float value);
void tern_gguf_writer_bool (TernGgufWriter *writer, const char *key, gboolean value);
void tern_gguf_writer_string (TernGgufWriter *writer, const char *key, const char *value);
/* 0 or 1 each. */
void tern_gguf_writer_bool_array (TernGgufWriter *writer, const char *key, const guint8 *values, gsize n);
void tern_gguf_writer_i32_array (TernGgufWriter *writer, const char *key, const gint32 *values, gsize n);
void tern_gguf_writer_f32_array (TernGgufWriter *writer, const char *key, const float *values, gsize n);
void tern_gguf_writer_string_array (TernGgufWriter *writer, const char *key, const char *const *values, gsize n);
void tern_gguf_writer_tensor (TernGgufWriter *writer, const char *name, const TernTypeInfo *type, guint n_dims,
    const guint64 *dims, gsize bytes);

/* Starts the file that will be @path; no keys or tensors after that. Errors: FAILED, which names @path. */
gboolean tern_gguf_writer_begin (TernGgufWriter *writer, const char *path, GError **error);
/* The same into @fd, which is borrowed, empty and called @name in messages: finish gives it no name and syncs nothing. */
gboolean tern_gguf_writer_begin_fd (TernGgufWriter *writer, int fd, const char *name, GError **error);
/* The next bytes of the tensors; a call must not go beyond the end of one. Padding is added. */
gboolean tern_gguf_writer_data (TernGgufWriter *writer, const void *data, gsize bytes, GError **error);
/* All of @tensor of a file; its pages leave memory. */
gboolean tern_gguf_writer_copy_tensor (TernGgufWriter *writer, const TernTensor *tensor, GError **error);
/* Gives the file its name, replacing what had it, whose mode it gets; a link stays one, and what it names is replaced. All tensors
 * must be written. */
gboolean tern_gguf_writer_finish (TernGgufWriter *writer, GError **error);

/* Of the whole file, once tensors are named. */
guint64 tern_gguf_writer_size (const TernGgufWriter *writer);

G_END_DECLS
