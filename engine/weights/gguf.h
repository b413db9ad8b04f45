/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GGUF v2/v3 files, mapped and checked. File bytes are hostile: every count, length, offset and product is checked
 * before it is used, and an error names the file, the key or tensor, what was expected and what was found.
 *
 * A TernGguf is immutable after open and may be read from any thread. */
#pragma once

#include <glib.h>
#include "engine/weights/types.h"

G_BEGIN_DECLS

typedef struct _TernGguf TernGguf;

/* Value types of keys, ids as in the file. */
typedef enum {
  TERN_GGUF_U8, TERN_GGUF_I8, TERN_GGUF_U16, TERN_GGUF_I16, TERN_GGUF_U32, TERN_GGUF_I32, TERN_GGUF_F32,
  TERN_GGUF_BOOL, TERN_GGUF_STRING, TERN_GGUF_ARRAY, TERN_GGUF_U64, TERN_GGUF_I64, TERN_GGUF_F64,
} TernGgufType;

/* A borrowed byte string; not terminated, may hold NUL. Never NULL for a key that is there. */
typedef struct {
  const char *data;
  gsize len;
} TernBytes;

/* Arrays. `count` elements of `type` (never ARRAY). Elements of numeric arrays are unaligned in `data`. */
typedef struct {
  TernGgufType type;
  guint64 count;
  const guint8 *data;
} TernGgufArray;

/* At most 40 bytes of @bytes in quotation marks, fit for a message whatever they are. Free with g_free. */
char *tern_bytes_quote (TernBytes bytes);

/* One tensor: borrowed from the file, valid as long as it. */
typedef struct {
  const char *name;             /* terminated */
  const TernTypeInfo *type;     /* never NULL; its to_f32 is, for types that this build cannot convert */
  guint32 type_id;
  guint n_dims;
  guint64 dims[4];              /* dims[0] is contiguous (the input features of a linear); missing ones are 1 */
  const guint8 *data;           /* @bytes bytes, within the file */
  gsize bytes;
  guint64 offset;               /* from the start of the file, of several the one that it is in */
  guint part;                   /* which of several files, from 0 */
  gboolean mapped;              /* @data lies in a mapped file: see tern_map_release() */
} TernTensor;

/* Values of @tensor; below 2^63. */
static inline guint64
tern_tensor_values (const TernTensor *tensor)
{
  return tensor->dims[0] * tensor->dims[1] * tensor->dims[2] * tensor->dims[3];
}

/* The tensor's tail (TernTypeInfo.tail), NULL when its type has none. */
static inline const guint8 *
tern_tensor_tail (const TernTensor *tensor)
{
  return tensor->type->tail && tensor->bytes ? tensor->data + tensor->bytes - tensor->type->tail : NULL;
}

/* Refuses what contradicts itself, tensors of unknown types (their size is unknown, too) and big-endian files. Of a model in
 * several files (NAME-00001-of-00003.gguf) the first, beside which the others are opened as well; another part is refused. Errors:
 * those of tern_map_open(), FORMAT, UNSUPPORTED. */
TernGguf *tern_gguf_open (const char *path, GError **error);
/* The same from memory, borrowed for the life of the object; @name stands for the path. */
TernGguf *tern_gguf_open_memory (const guint8 *data, gsize size, const char *name, GError **error);
TernGguf *tern_gguf_ref (TernGguf *file);
void tern_gguf_unref (TernGguf *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGguf, tern_gguf_unref)

const char *tern_gguf_path (const TernGguf *file);
guint32 tern_gguf_version (const TernGguf *file);
gsize tern_gguf_size (const TernGguf *file);            /* bytes of all parts */
gsize tern_gguf_data_start (const TernGguf *file);      /* bytes before tensors, of all parts together */
guint32 tern_gguf_alignment (const TernGguf *file);
/* The bytes of the whole header (magic to the end of the tensor directory), for hashing. */
TernBytes tern_gguf_header (const TernGguf *file);

/* ---- gguf-split.c: models in several files ---- */

guint tern_gguf_n_parts (const TernGguf *file);         /* 1: in one file */
/* The @i-th from 0, which is @file: its path and header. Tensors are @file's. */
const TernGguf *tern_gguf_part (const TernGguf *file, guint i);
/* Where @data, of one of its tensors, lies in all parts one behind the other. */
guint64 tern_gguf_place (const TernGguf *file, const guint8 *data);
/* FALSE, INVALID: to write @out would be to lose one of the several files that @file is. */
gboolean tern_gguf_check_out (const TernGguf *file, const char *out, GError **error);
/* Which of several files one called so is, from 1; 0: it is not called as one of them. */
guint tern_gguf_part_of_name (const char *path);

/* Keys by index, in the order of the file; for `tern inspect`. */
gsize tern_gguf_n_keys (const TernGguf *file);
const char *tern_gguf_key (const TernGguf *file, gsize i, TernGgufType *type);

/* Name, type and value of key @i as they stand in the file, for copying. */
TernBytes tern_gguf_key_record (const TernGguf *file, gsize i);

gboolean tern_gguf_has (const TernGguf *file, const char *key);
/* FORMAT: "FILE: key KEY: what". FALSE, for callers to return. */
gboolean tern_gguf_bad_key (const TernGguf *file, const char *key, GError **error, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

/* Any value; for programs that show or copy keys. */
typedef struct {
  TernGgufType type;
  guint64 u64;                  /* U8, U16, U32, U64, BOOL (as stored: may be above 1) */
  gint64 i64;                   /* I8, I16, I32, I64 */
  double f64;                   /* F32, F64 */
  TernBytes string;
  TernGgufArray array;
} TernGgufValue;

void tern_gguf_value (const TernGguf *file, gsize i, TernGgufValue *value);
/* Element @i of an array of numbers or booleans (not strings). */
void tern_gguf_element (const TernGgufArray *array, guint64 i, TernGgufValue *value);
const char *tern_gguf_type_name (TernGgufType type);    /* "u32" */

/* Integers of any width are accepted and checked against [min, max]. A missing key is an error (FORMAT); the _or
 * variants take @fallback for a missing key but still refuse one of a wrong type or range. */
gboolean tern_gguf_u32 (const TernGguf *file, const char *key, guint32 min, guint32 max, guint32 *out, GError **error);
gboolean tern_gguf_u32_or (const TernGguf *file, const char *key, guint32 min, guint32 max, guint32 fallback,
    guint32 *out, GError **error);
/* Finite floats (f32 or f64) in [min, max]. */
gboolean tern_gguf_f32 (const TernGguf *file, const char *key, float min, float max, float *out, GError **error);
gboolean tern_gguf_f32_or (const TernGguf *file, const char *key, float min, float max, float fallback, float *out,
    GError **error);
gboolean tern_gguf_bool_or (const TernGguf *file, const char *key, gboolean fallback, gboolean *out, GError **error);
gboolean tern_gguf_string (const TernGguf *file, const char *key, TernBytes *out, GError **error);
/* As string, but a missing key gives {NULL, 0}. */
gboolean tern_gguf_string_or (const TernGguf *file, const char *key, TernBytes *out, GError **error);

/* What @file says it is, if that goes beside a language model and is none: "a vision encoder (clip)", "an action model
 * (tern-action)", "an adapter (LoRA)" or "an importance matrix (imatrix)". NULL: none of them. */
const char *tern_gguf_companion (const TernGguf *file);

/* A key that is one integer for all layers or an array of @n. */
gboolean tern_gguf_u32_layers (const TernGguf *file, const char *key, guint32 min, guint32 max, guint n, guint32 *out,
    GError **error);

/* Of exactly @type. A missing key gives count 0 and data NULL unless @required. */
gboolean tern_gguf_array (const TernGguf *file, const char *key, TernGgufType type, gboolean required,
    TernGgufArray *out, GError **error);
/* Walks a string array: start with *cursor = array->data; every call gives the next string. */
TernBytes tern_gguf_next_string (const guint8 **cursor);

gsize tern_gguf_n_tensors (const TernGguf *file);
const TernTensor *tern_gguf_tensor_at (const TernGguf *file, gsize i);
const TernTensor *tern_gguf_find (const TernGguf *file, const char *name);      /* NULL when absent */

/* The tensor @name with exactly these dims (trailing 1s may be left out in the file), readable by this build. Errors:
 * FORMAT when missing or of another shape, UNSUPPORTED for its type; both with expected and found. */
const TernTensor *tern_gguf_require (const TernGguf *file, const char *name, guint n_dims, const guint64 *dims,
    GError **error);

/* A new f32 array with the tensor's values converted (for norms, biases, taps); free with tern_mem_free. FORMAT, too, for one that
 * is not finite. */
float *tern_gguf_load_f32 (const TernGguf *file, const char *name, guint n_dims, const guint64 *dims, GError **error);

/* A download that reserves its space first and is cut short leaves a file of full size that ends in zeros: it would run, and say
 * anything. Both FORMAT: the @n @scales of the norm @name are all 0, or so is the last matrix of the file, or of one of its parts.
 * The latter reads two pages. */
gboolean tern_gguf_check_norm (const TernGguf *file, const char *name, const float *scales, gsize n, GError **error);
gboolean tern_gguf_check_end (const TernGguf *file, GError **error);

G_END_DECLS
