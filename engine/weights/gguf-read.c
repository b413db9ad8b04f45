/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of a GGUF file: magic, version, counts, keys, tensor directory, and where the tensors' bytes lie.
 *
 * Names are found by binary search in sorted indices, not in a hash table: a hostile file chooses its names, and could
 * choose them so that they collide. */
#include "engine/weights/gguf-private.h"

#include <string.h>

#include "tern/error.h"
#include "engine/base/mem.h"

#define MAX_KEYS 65536
#define MAX_TENSORS 65536
#define MAX_KEY_BYTES 65535
#define MAX_NAME_BYTES 63
#define MAX_STRING_BYTES ((guint64) 1 << 30)
#define MAX_ELEMENTS ((guint64) 1 << 30)
#define MAX_ALIGNMENT (1u << 20)
#define MAX_DIMS 4
#define MAX_PARTS 65535

/* The fewest bytes of an entry: lengths and ids, and names of one byte. */
#define MIN_KEY_BYTES (8 + 1 + 4 + 1)
#define MIN_TENSOR_BYTES (8 + 1 + 4 + 4 + 8)

typedef struct {
  TernGguf *file;
  const guint8 *p;
  gsize left;
  GError **error;
} Reader;

G_GNUC_PRINTF (3, 4) static gboolean
fail (Reader *r, TernErrorCode code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (r->error, TERN_ERROR, code, "%s: %s", r->file->path, message);
  return FALSE;
}

static gsize
position (const Reader *r)
{
  return r->p - r->file->map.data;
}

static gboolean
take (Reader *r, void *out, gsize bytes, const char *what)
{
  if (r->left < bytes)
    return fail (r, TERN_ERROR_FORMAT, "truncated: expected %" G_GSIZE_FORMAT " bytes of %s at byte %" G_GSIZE_FORMAT
        ", found %" G_GSIZE_FORMAT, bytes, what, position (r), r->left);
  memcpy (out, r->p, bytes);
  r->p += bytes;
  r->left -= bytes;
  return TRUE;
}

static gboolean
take_u32 (Reader *r, guint32 *out, const char *what)
{
  if (!take (r, out, sizeof *out, what))
    return FALSE;
  *out = GUINT32_FROM_LE (*out);
  return TRUE;
}

static gboolean
take_u64 (Reader *r, guint64 *out, const char *what)
{
  if (!take (r, out, sizeof *out, what))
    return FALSE;
  *out = GUINT64_FROM_LE (*out);
  return TRUE;
}

/* A byte string within the file. */
static gboolean
take_string (Reader *r, TernBytes *out, guint64 max, const char *what)
{
  guint64 len = 0;

  if (!take_u64 (r, &len, what))
    return FALSE;
  if (len > max)
    return fail (r, TERN_ERROR_FORMAT, "%s at byte %" G_GSIZE_FORMAT ": expected at most %" G_GUINT64_FORMAT
        " bytes, found a length of %" G_GUINT64_FORMAT, what, position (r) - 8, max, len);
  if (len > r->left)
    return fail (r, TERN_ERROR_FORMAT, "truncated: expected %" G_GUINT64_FORMAT " bytes of %s at byte %" G_GSIZE_FORMAT
        ", found %" G_GSIZE_FORMAT, len, what, position (r), r->left);
  out->data = (const char *) r->p;
  out->len = len;
  r->p += len;
  r->left -= len;
  return TRUE;
}

/* A key or tensor name: it will be printed and compared as a C string. */
static gboolean
take_name (Reader *r, char **out, gsize max, const char *what)
{
  gsize start = position (r), i;
  TernBytes name = { NULL, 0 };

  if (!take_string (r, &name, max, what))
    return FALSE;
  if (name.len == 0)
    return fail (r, TERN_ERROR_FORMAT, "%s at byte %" G_GSIZE_FORMAT ": expected a name, found an empty one", what,
        start);
  for (i = 0; i < name.len; i++)
    if ((guint8) name.data[i] < 0x20 || name.data[i] == 0x7f)
      break;
  if (i < name.len || !g_utf8_validate (name.data, name.len, NULL))
    return fail (r, TERN_ERROR_FORMAT, "%s at byte %" G_GSIZE_FORMAT
        ": expected UTF-8 without control characters, found other bytes", what, start);
  *out = g_strndup (name.data, name.len);
  return TRUE;
}

gsize
tern_gguf_type_bytes (guint32 type)
{
  static const guint8 bytes[] = {
    [TERN_GGUF_U8] = 1, [TERN_GGUF_I8] = 1, [TERN_GGUF_U16] = 2, [TERN_GGUF_I16] = 2, [TERN_GGUF_U32] = 4,
    [TERN_GGUF_I32] = 4, [TERN_GGUF_F32] = 4, [TERN_GGUF_BOOL] = 1, [TERN_GGUF_U64] = 8, [TERN_GGUF_I64] = 8,
    [TERN_GGUF_F64] = 8,
  };

  return type < G_N_ELEMENTS (bytes) ? bytes[type] : 0;
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

static gboolean
read_array (Reader *r, TernGgufKey *key)
{
  guint32 element = 0;
  guint64 i;
  gsize bytes;

  if (!take_u32 (r, &element, "an array's element type") || !take_u64 (r, &key->count, "an array's count"))
    return FALSE;
  bytes = element == TERN_GGUF_STRING ? sizeof (guint64) : tern_gguf_type_bytes (element);
  if (element == TERN_GGUF_ARRAY)
    return fail (r, TERN_ERROR_UNSUPPORTED, "key %s: expected an array of numbers or strings, found one of arrays",
        key->name);
  if (bytes == 0)
    return fail (r, TERN_ERROR_FORMAT, "key %s: expected an element type of 0 to 12, found %u", key->name, element);
  if (key->count > MAX_ELEMENTS || key->count > r->left / bytes)
    return fail (r, TERN_ERROR_FORMAT, "key %s: expected an array that fits the %" G_GSIZE_FORMAT
        " bytes left in the file, found %" G_GUINT64_FORMAT " elements of type %s", key->name, r->left, key->count,
        tern_gguf_type_name (element));

  key->element = element;
  key->data = r->p;
  if (element == TERN_GGUF_STRING) {
    for (i = 0; i < key->count; i++) {
      TernBytes string;

      if (!take_string (r, &string, MAX_STRING_BYTES, key->name))
        return FALSE;
    }
  } else {
    r->p += key->count * bytes;
    r->left -= key->count * bytes;
  }
  return TRUE;
}

static gboolean
read_key (Reader *r, TernGgufKey *key)
{
  guint32 type = 0;
  gsize bytes;

  if (!take_name (r, &key->name, MAX_KEY_BYTES, "a key") || !take_u32 (r, &type, "a key's type"))
    return FALSE;
  key->type = type;
  if (type == TERN_GGUF_ARRAY)
    return read_array (r, key);
  if (type == TERN_GGUF_STRING) {
    TernBytes string;

    if (!take_string (r, &string, MAX_STRING_BYTES, key->name))
      return FALSE;
    key->data = (const guint8 *) string.data;
    key->count = string.len;
    return TRUE;
  }
  bytes = tern_gguf_type_bytes (type);
  if (bytes == 0)
    return fail (r, TERN_ERROR_FORMAT, "key %s: expected a value type of 0 to 12, found %u", key->name, type);
  if (r->left < bytes)
    return fail (r, TERN_ERROR_FORMAT, "truncated: expected %" G_GSIZE_FORMAT " bytes of key %s, found %"
        G_GSIZE_FORMAT, bytes, key->name, r->left);
  key->data = r->p;
  r->p += bytes;
  r->left -= bytes;
  return TRUE;
}

static gint
compare_keys (gconstpointer a, gconstpointer b, gpointer data)
{
  const TernGgufKey *keys = data;

  return strcmp (keys[*(const guint32 *) a].name, keys[*(const guint32 *) b].name);
}

static gint
compare_tensors (gconstpointer a, gconstpointer b, gpointer data)
{
  const TernTensor *tensors = data;

  return strcmp (tensors[*(const guint32 *) a].name, tensors[*(const guint32 *) b].name);
}

static guint32 *
sorted_order (gsize n, GCompareDataFunc compare, gpointer data)
{
  guint32 *order = g_new (guint32, MAX (n, 1));
  gsize i;

  for (i = 0; i < n; i++)
    order[i] = i;
#if GLIB_CHECK_VERSION (2, 82, 0)
  g_sort_array (order, n, sizeof *order, compare, data);
#else
  g_qsort_with_data (order, n, sizeof *order, compare, data);
#endif
  return order;
}

static gboolean
read_keys (Reader *r)
{
  TernGguf *file = r->file;
  gsize n = file->n_keys, i;

  file->keys = g_new0 (TernGgufKey, MAX (n, 1));
  for (i = 0; i < n; i++) {
    const guint8 *start = r->p;

    if (!read_key (r, &file->keys[i]))
      return FALSE;
    file->keys[i].record = (TernBytes) { (const char *) start, r->p - start };
  }
  file->key_order = sorted_order (n, compare_keys, file->keys);
  for (i = 1; i < n; i++)
    if (compare_keys (&file->key_order[i - 1], &file->key_order[i], file->keys) == 0)
      return fail (r, TERN_ERROR_FORMAT, "key %s: expected once, found twice", file->keys[file->key_order[i]].name);
  return TRUE;
}

void
tern_gguf_drop_keys (TernGguf *file, const char *prefix)
{
  gsize kept = 0;

  for (gsize i = 0; i < file->n_keys; i++)
    if (g_str_has_prefix (file->keys[i].name, prefix))
      g_free (file->keys[i].name);
    else
      file->keys[kept++] = file->keys[i];
  file->n_keys = kept;
  g_free (file->key_order);
  file->key_order = sorted_order (kept, compare_keys, file->keys);
}

/* The keys that decide how the rest of the file is read. */
static gboolean
read_settings (Reader *r)
{
  TernGguf *file = r->file;

  if (!tern_gguf_u32_or (file, "general.alignment", 0, G_MAXUINT32, 32, &file->alignment, r->error)
      || !tern_gguf_u32_or (file, "split.count", 0, MAX_PARTS, 0, &file->n_parts, r->error))
    return FALSE;
  file->n_parts = MAX (file->n_parts, 1);
  if (!tern_gguf_u32_or (file, "split.no", 0, file->n_parts - 1, 0, &file->part, r->error))
    return FALSE;
  if (file->alignment == 0 || (file->alignment & (file->alignment - 1)) != 0 || file->alignment > MAX_ALIGNMENT)
    return fail (r, TERN_ERROR_FORMAT, "key general.alignment: expected a power of two up to %u, found %u",
        MAX_ALIGNMENT, file->alignment);
  if (file->n_parts > 1 && !file->owns_map)
    return fail (r, TERN_ERROR_UNSUPPORTED, "key split.count: expected a whole file, found one part of %u", file->n_parts);
  return TRUE;
}

/* ---- Tensors ----------------------------------------------------------------------------------------------------- */

/* Whether id 39 is bitnet.cpp's TL2 here, not ggml's MXFP4: its files name a BitNet architecture, and never the file
 * type that ggml gives to MXFP4 (38). */
static gboolean
is_tl2 (const Reader *r)
{
  TernBytes arch;
  guint32 file_type;

  return tern_gguf_string_or (r->file, "general.architecture", &arch, NULL)
      && arch.len >= strlen ("bitnet") && memcmp (arch.data, "bitnet", strlen ("bitnet")) == 0
      && tern_gguf_has (r->file, "general.file_type")
      && tern_gguf_u32_or (r->file, "general.file_type", 0, G_MAXUINT32, 0, &file_type, NULL) && file_type != 38;
}

static gboolean
find_type (Reader *r, TernTensor *tensor)
{
  const char *refusal = tern_type_refusal (tensor->type_id);

  if (tensor->type_id == 39 && is_tl2 (r))
    refusal = "TL2 of bitnet.cpp, which is laid out for one model on one machine; convert the model to I2_S or TQ2_0";
  tensor->type = refusal ? NULL : tern_type_info (tensor->type_id);
  if (tensor->type)
    return TRUE;
  if (refusal)
    return fail (r, TERN_ERROR_UNSUPPORTED, "tensor %s: expected one of the types %s; found type number %u: %s",
        tensor->name, tern_type_list (), tensor->type_id, refusal);
  return fail (r, TERN_ERROR_UNSUPPORTED, "tensor %s: expected one of the types %s; found type number %u",
      tensor->name, tern_type_list (), tensor->type_id);
}

/* dims, type -> bytes. */
static gboolean
measure (Reader *r, TernTensor *tensor)
{
  guint64 values = 1, bytes;
  guint i;

  for (i = 0; i < MAX_DIMS; i++)
    if (tensor->dims[i] > G_MAXINT64 || __builtin_mul_overflow (values, tensor->dims[i], &values)
        || values > G_MAXINT64)
      return fail (r, TERN_ERROR_FORMAT, "tensor %s: expected fewer than 2^63 values, found %" G_GUINT64_FORMAT " x %"
          G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT, tensor->name, tensor->dims[0],
          tensor->dims[1], tensor->dims[2], tensor->dims[3]);
  if (!find_type (r, tensor))
    return FALSE;
  if (tensor->dims[0] % tensor->type->block != 0)
    return fail (r, TERN_ERROR_FORMAT, "tensor %s: expected rows of a multiple of %u values for type %s, found %"
        G_GUINT64_FORMAT, tensor->name, tensor->type->block, tensor->type->name, tensor->dims[0]);
  if (!tern_type_tensor_bytes (tensor->type, tensor->dims, &bytes) || bytes > G_MAXINT64)
    return fail (r, TERN_ERROR_FORMAT, "tensor %s: expected fewer than 2^63 bytes, found more", tensor->name);
  if (bytes > (guint64) G_MAXSSIZE)     /* with 32 bits; no file that has them all could be mapped */
    return fail (r, TERN_ERROR_FORMAT, "tensor %s: expected at most %" G_GSIZE_FORMAT " bytes, found %" G_GUINT64_FORMAT
        ", in a file of %" G_GSIZE_FORMAT "; is it truncated?", tensor->name, (gsize) G_MAXSSIZE, bytes, r->file->map.size);
  tensor->bytes = bytes;
  return TRUE;
}

static gboolean
read_tensor (Reader *r, TernTensor *tensor)
{
  char *name = NULL;
  guint32 n_dims = 0;
  guint i;

  if (!take_name (r, &name, MAX_NAME_BYTES, "a tensor's name"))
    return FALSE;
  tensor->name = name;
  if (!take_u32 (r, &n_dims, name))
    return FALSE;
  if (n_dims > MAX_DIMS)
    return fail (r, TERN_ERROR_FORMAT, "tensor %s: expected at most %d dimensions, found %u", name, MAX_DIMS, n_dims);
  tensor->n_dims = n_dims;
  for (i = 0; i < MAX_DIMS; i++)
    tensor->dims[i] = 1;
  for (i = 0; i < n_dims; i++)
    if (!take_u64 (r, &tensor->dims[i], name))
      return FALSE;
  /* The offset is relative to the end of the directory, which is not known yet; place() makes it absolute. */
  if (!take_u32 (r, &tensor->type_id, name) || !take_u64 (r, &tensor->offset, name))
    return FALSE;
  return measure (r, tensor);
}

static gboolean
place (Reader *r, TernTensor *tensor)
{
  TernGguf *file = r->file;
  guint64 begin, end;

  if (tensor->offset % file->alignment != 0)
    return fail (r, TERN_ERROR_FORMAT, "tensor %s: expected an offset that is a multiple of %u, found %"
        G_GUINT64_FORMAT, tensor->name, file->alignment, tensor->offset);
  if (__builtin_add_overflow (tensor->offset, (guint64) file->data_start, &begin)
      || __builtin_add_overflow (begin, (guint64) tensor->bytes, &end)
      || (end > file->map.size && tensor->bytes != 0))
    return fail (r, TERN_ERROR_FORMAT, "tensor %s: expected %" G_GSIZE_FORMAT " bytes at data offset %" G_GUINT64_FORMAT
        ", found that the file ends at %" G_GSIZE_FORMAT "; is it truncated?", tensor->name, tensor->bytes,
        tensor->offset, file->map.size - MIN (file->data_start, file->map.size));
  tensor->offset = begin;
  tensor->mapped = file->owns_map;
  tensor->data = tensor->bytes ? file->map.data + begin : file->map.data;
  return TRUE;
}

static gint
compare_places (gconstpointer a, gconstpointer b, gpointer data)
{
  const TernTensor *x = (const TernTensor *) data + *(const guint32 *) a;
  const TernTensor *y = (const TernTensor *) data + *(const guint32 *) b;

  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static gboolean
check_overlap (Reader *r)
{
  TernGguf *file = r->file;
  g_autofree guint32 *order = sorted_order (file->n_tensors, compare_places, file->tensors);
  const TernTensor *last = NULL;
  gsize i;

  for (i = 0; i < file->n_tensors; i++) {
    const TernTensor *tensor = &file->tensors[order[i]];

    if (tensor->bytes == 0)
      continue;
    if (last && tensor->offset < last->offset + last->bytes)
      return fail (r, TERN_ERROR_FORMAT, "tensor %s: expected bytes of its own, found that it overlaps tensor %s",
          tensor->name, last->name);
    last = tensor;
  }
  return TRUE;
}

gboolean
tern_gguf_sort_tensors (TernGguf *file, GError **error)
{
  g_free (file->tensor_order);
  file->tensor_order = sorted_order (file->n_tensors, compare_tensors, file->tensors);
  for (gsize i = 1; i < file->n_tensors; i++)
    if (compare_tensors (&file->tensor_order[i - 1], &file->tensor_order[i], file->tensors) == 0) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected once, found twice", file->path,
          file->tensors[file->tensor_order[i]].name);
      return FALSE;
    }
  return TRUE;
}

static gboolean
read_tensors (Reader *r)
{
  TernGguf *file = r->file;
  gsize n = file->n_tensors, i;

  file->tensors = g_new0 (TernTensor, MAX (n, 1));
  for (i = 0; i < n; i++)
    if (!read_tensor (r, &file->tensors[i]))
      return FALSE;
  file->header_len = position (r);
  /* header_len <= size of a mapping, alignment <= 1 MiB: no overflow. */
  file->data_start = (file->header_len + file->alignment - 1) / file->alignment * file->alignment;

  if (!tern_gguf_sort_tensors (file, r->error))
    return FALSE;
  for (i = 0; i < n; i++)
    if (!place (r, &file->tensors[i]))
      return FALSE;
  return check_overlap (r);
}

/* ---- Head -------------------------------------------------------------------------------------------------------- */

static gboolean
read_count (Reader *r, gsize *out, guint64 max, gsize min_bytes, const char *what)
{
  guint64 count = 0;

  if (!take_u64 (r, &count, what))
    return FALSE;
  if (count > max || count > r->left / min_bytes)
    return fail (r, TERN_ERROR_FORMAT, "%s: expected at most %" G_GUINT64_FORMAT " that fit the file's %" G_GSIZE_FORMAT
        " bytes, found %" G_GUINT64_FORMAT, what, max, r->file->map.size, count);
  *out = count;
  return TRUE;
}

/* What people have in the place of a GGUF file, by its first bytes. */
static const char *
name_other (const guint8 *data, gsize size)
{
  static const struct { guint at, n; const char *bytes, *what; } kinds[] = {
    { 8, 2, "{\"", "safetensors, which llama.cpp's convert_hf_to_gguf.py makes GGUF of" },
    { 0, 18, "version https://gi", "a pointer of git-lfs, which stands for the file (`git lfs pull` fetches it)" },
    { 0, 1, "<", "a web page, or an error message" }, { 0, 1, "{", "JSON, an error message perhaps" },
    { 0, 2, "\x1f\x8b", "a file that gzip packed" }, { 0, 4, "\x28\xb5\x2f\xfd", "a file that zstd packed" },
    { 0, 4, "PK\3\4", "a zip file, such as PyTorch's" }, { 0, 4, "lmgg", "a model of GGML, before GGUF" },
    { 0, 4, "fmgg", "a model of GGML, before GGUF" }, { 0, 4, "tjgg", "a model of GGML, before GGUF" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (size >= kinds[i].at + kinds[i].n && memcmp (data + kinds[i].at, kinds[i].bytes, kinds[i].n) == 0)
      return kinds[i].what;
  return size ? "something else (no GGUF magic)" : "an empty one";
}

gboolean
tern_gguf_read (TernGguf *file, GError **error)
{
  Reader r = { file, file->map.data, file->map.size, error };
  guint8 magic[4];

  if (file->map.size < sizeof magic || memcmp (file->map.data, "GGUF", sizeof magic) != 0)
    return fail (&r, TERN_ERROR_FORMAT, "expected a GGUF file, found %s", name_other (file->map.data, file->map.size));
  if (!take (&r, magic, sizeof magic, "magic") || !take_u32 (&r, &file->version, "the version"))
    return FALSE;
  if (file->version != 0 && (file->version & 0xffff) == 0)
    return fail (&r, TERN_ERROR_UNSUPPORTED, "expected a little-endian GGUF file, found a big-endian one");
  if (file->version != 2 && file->version != 3)
    return fail (&r, TERN_ERROR_UNSUPPORTED, "expected GGUF version 2 or 3, found %u", file->version);
  return read_count (&r, &file->n_tensors, MAX_TENSORS, MIN_TENSOR_BYTES, "number of tensors")
      && read_count (&r, &file->n_keys, MAX_KEYS, MIN_KEY_BYTES, "number of keys")
      && read_keys (&r)
      && read_settings (&r)
      && read_tensors (&r);
}
