/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Life of a file object, and typed access to what the reader found. */
#include "engine/weights/gguf-private.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/mem.h"

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static TernGguf *
file_new (const char *path)
{
  TernGguf *file = g_new0 (TernGguf, 1);

  g_atomic_ref_count_init (&file->refs);
  file->path = g_strdup (path);
  return file;
}

TernGguf *
tern_gguf_open_one (const char *path, GError **error)
{
  g_autoptr (TernGguf) file = file_new (path);

  if (!tern_map_open (&file->map, path, error))
    return NULL;
  file->owns_map = TRUE;
  if (!tern_gguf_read (file, error))
    return NULL;
  return g_steal_pointer (&file);
}

TernGguf *
tern_gguf_open (const char *path, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open_one (path, error);

  if (!file || (file->n_parts > 1 && !tern_gguf_join (file, error)))
    return NULL;
  return g_steal_pointer (&file);
}

TernGguf *
tern_gguf_open_memory (const guint8 *data, gsize size, const char *name, GError **error)
{
  g_autoptr (TernGguf) file = file_new (name);

  file->map.data = data;
  file->map.size = size;
  if (!tern_gguf_read (file, error))
    return NULL;
  return g_steal_pointer (&file);
}

TernGguf *
tern_gguf_ref (TernGguf *file)
{
  g_atomic_ref_count_inc (&file->refs);
  return file;
}

void
tern_gguf_unref (TernGguf *file)
{
  gsize i;

  if (!file || !g_atomic_ref_count_dec (&file->refs))
    return;
  for (i = 0; file->keys && i < file->n_keys; i++)
    g_free (file->keys[i].name);
  for (i = 0; file->tensors && i < file->n_tensors; i++)
    g_free ((char *) file->tensors[i].name);
  g_free (file->keys);
  g_free (file->key_order);
  g_free (file->tensors);
  g_free (file->tensor_order);
  if (file->owns_map)
    tern_map_close (&file->map);
  g_clear_pointer (&file->parts, g_ptr_array_unref);
  g_free (file->path);
  g_free (file);
}

const char *
tern_gguf_path (const TernGguf *file)
{
  return file->path;
}

guint32
tern_gguf_version (const TernGguf *file)
{
  return file->version;
}

gsize
tern_gguf_size (const TernGguf *file)
{
  gsize bytes = 0;

  for (guint i = 0; i < tern_gguf_n_parts (file); i++)
    bytes += tern_gguf_part (file, i)->map.size;
  return bytes;
}

gsize
tern_gguf_data_start (const TernGguf *file)
{
  gsize bytes = 0;

  for (guint i = 0; i < tern_gguf_n_parts (file); i++)
    bytes += tern_gguf_part (file, i)->data_start;
  return bytes;
}

guint32
tern_gguf_alignment (const TernGguf *file)
{
  return file->alignment;
}

TernBytes
tern_gguf_header (const TernGguf *file)
{
  return (TernBytes) { (const char *) file->map.data, file->header_len };
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

gsize
tern_gguf_n_keys (const TernGguf *file)
{
  return file->n_keys;
}

const char *
tern_gguf_key (const TernGguf *file, gsize i, TernGgufType *type)
{
  if (type)
    *type = file->keys[i].type;
  return file->keys[i].name;
}

TernBytes
tern_gguf_key_record (const TernGguf *file, gsize i)
{
  return file->keys[i].record;
}

const char *
tern_gguf_type_name (TernGgufType type)
{
  static const char *const names[] = {
    [TERN_GGUF_U8] = "u8", [TERN_GGUF_I8] = "i8", [TERN_GGUF_U16] = "u16", [TERN_GGUF_I16] = "i16",
    [TERN_GGUF_U32] = "u32", [TERN_GGUF_I32] = "i32", [TERN_GGUF_F32] = "f32", [TERN_GGUF_BOOL] = "bool",
    [TERN_GGUF_STRING] = "string", [TERN_GGUF_ARRAY] = "array", [TERN_GGUF_U64] = "u64", [TERN_GGUF_I64] = "i64",
    [TERN_GGUF_F64] = "f64",
  };

  return type < G_N_ELEMENTS (names) ? names[type] : "unknown";
}

/* The entry of @entries[@n], @size bytes each, that is called @name; @order has their indices sorted by name. The
 * first member of an entry is its name. */
static const void *
find_name (const char *name, const void *entries, gsize size, const guint32 *order, gsize n)
{
  gsize low = 0, high = n;

  while (low < high) {
    gsize middle = low + (high - low) / 2;
    const char *const *entry = (const void *) ((const guint8 *) entries + order[middle] * size);
    gint sign = strcmp (name, *entry);

    if (sign == 0)
      return entry;
    if (sign < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

static const TernGgufKey *
find_key (const TernGguf *file, const char *name)
{
  G_STATIC_ASSERT (G_STRUCT_OFFSET (TernGgufKey, name) == 0);

  return find_name (name, file->keys, sizeof *file->keys, file->key_order, file->n_keys);
}

gboolean
tern_gguf_has (const TernGguf *file, const char *key)
{
  return find_key (file, key) != NULL;
}

/* A number of @type at @p, which has no alignment. */
static void
read_number (TernGgufType type, const guint8 *p, TernGgufValue *value)
{
  gsize bytes = tern_gguf_type_bytes (type);
  guint64 raw = 0;
  float f;
  gsize i;

  for (i = 0; i < bytes; i++)
    raw |= (guint64) p[i] << 8 * i;
  value->type = type;
  switch (type) {
    case TERN_GGUF_U8:
    case TERN_GGUF_U16:
    case TERN_GGUF_U32:
    case TERN_GGUF_U64:
    case TERN_GGUF_BOOL:
      value->u64 = raw;
      break;
    case TERN_GGUF_I8:
      value->i64 = (gint8) raw;
      break;
    case TERN_GGUF_I16:
      value->i64 = (gint16) raw;
      break;
    case TERN_GGUF_I32:
      value->i64 = (gint32) raw;
      break;
    case TERN_GGUF_I64:
      value->i64 = (gint64) raw;
      break;
    case TERN_GGUF_F32:
      memcpy (&f, &(guint32) { (guint32) raw }, sizeof f);
      value->f64 = f;
      break;
    case TERN_GGUF_F64:
      memcpy (&value->f64, &raw, sizeof value->f64);
      break;
    default:
      break;
  }
}

static void
read_value (const TernGgufKey *key, TernGgufValue *value)
{
  memset (value, 0, sizeof *value);
  value->type = key->type;
  if (key->type == TERN_GGUF_STRING)
    value->string = (TernBytes) { (const char *) key->data, key->count };
  else if (key->type == TERN_GGUF_ARRAY)
    value->array = (TernGgufArray) { key->element, key->count, key->data };
  else
    read_number (key->type, key->data, value);
}

void
tern_gguf_value (const TernGguf *file, gsize i, TernGgufValue *value)
{
  read_value (&file->keys[i], value);
}

void
tern_gguf_element (const TernGgufArray *array, guint64 i, TernGgufValue *value)
{
  memset (value, 0, sizeof *value);
  read_number (array->type, array->data + i * tern_gguf_type_bytes (array->type), value);
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

char *
tern_bytes_quote (TernBytes bytes)
{
  gsize len = MIN (bytes.len, 40);
  g_autofree char *text = g_strndup (bytes.data, len);          /* stops at a NUL */
  g_autofree char *escaped = g_strescape (text, NULL);

  return g_strdup_printf ("\"%s\"%s", escaped, len < bytes.len ? "..." : "");
}

static char *
describe (const TernGgufValue *value)
{
  switch (value->type) {
    case TERN_GGUF_STRING: {
      g_autofree char *text = tern_bytes_quote (value->string);

      return g_strdup_printf ("the string %s", text);
    }
    case TERN_GGUF_ARRAY:
      return g_strdup_printf ("an array of %" G_GUINT64_FORMAT " %s", value->array.count,
          tern_gguf_type_name (value->array.type));
    case TERN_GGUF_F32:
    case TERN_GGUF_F64:
      return g_strdup_printf ("%g (%s)", value->f64, tern_gguf_type_name (value->type));
    case TERN_GGUF_I8:
    case TERN_GGUF_I16:
    case TERN_GGUF_I32:
    case TERN_GGUF_I64:
      return g_strdup_printf ("%" G_GINT64_FORMAT, value->i64);
    case TERN_GGUF_BOOL:
      if (value->u64 <= 1)
        return g_strdup (value->u64 ? "true" : "false");
      return g_strdup_printf ("a bool of value %" G_GUINT64_FORMAT, value->u64);
    default:
      return g_strdup_printf ("%" G_GUINT64_FORMAT, value->u64);
  }
}

gboolean
tern_gguf_bad_key (const TernGguf *file, const char *key, GError **error, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: key %s: %s", file->path, key, what);
  return FALSE;
}

static gboolean
missing (const TernGguf *file, const char *key, GError **error)
{
  return tern_gguf_bad_key (file, key, error, "expected a value, found no such key");
}

G_GNUC_PRINTF (5, 6) static gboolean
unexpected (const TernGguf *file, const char *key, const TernGgufValue *value, GError **error, const char *format, ...)
{
  g_autofree char *expected = NULL, *found = describe (value);
  va_list args;

  va_start (args, format);
  expected = g_strdup_vprintf (format, args);
  va_end (args);
  return tern_gguf_bad_key (file, key, error, "expected %s, found %s", expected, found);
}

/* ---- Typed keys -------------------------------------------------------------------------------------------------- */

static gboolean
as_u32 (const TernGgufValue *value, guint32 min, guint32 max, guint32 *out)
{
  guint64 number;

  switch (value->type) {
    case TERN_GGUF_U8:
    case TERN_GGUF_U16:
    case TERN_GGUF_U32:
    case TERN_GGUF_U64:
      number = value->u64;
      break;
    case TERN_GGUF_I8:
    case TERN_GGUF_I16:
    case TERN_GGUF_I32:
    case TERN_GGUF_I64:
      number = value->i64;      /* negative ones become larger than any max */
      break;
    default:
      return FALSE;
  }
  if (number < min || number > max)
    return FALSE;
  *out = number;
  return TRUE;
}

gboolean
tern_gguf_u32_or (const TernGguf *file, const char *key, guint32 min, guint32 max, guint32 fallback, guint32 *out,
    GError **error)
{
  const TernGgufKey *entry = find_key (file, key);
  TernGgufValue value;

  *out = fallback;
  if (!entry)
    return TRUE;
  read_value (entry, &value);
  if (as_u32 (&value, min, max, out))
    return TRUE;
  return unexpected (file, key, &value, error, "an integer from %u to %u", min, max);
}

gboolean
tern_gguf_u32 (const TernGguf *file, const char *key, guint32 min, guint32 max, guint32 *out, GError **error)
{
  if (!tern_gguf_has (file, key))
    return missing (file, key, error);
  return tern_gguf_u32_or (file, key, min, max, 0, out, error);
}

gboolean
tern_gguf_f32_or (const TernGguf *file, const char *key, float min, float max, float fallback, float *out,
    GError **error)
{
  const TernGgufKey *entry = find_key (file, key);
  TernGgufValue value;

  *out = fallback;
  if (!entry)
    return TRUE;
  read_value (entry, &value);
  /* Compared as float, so that limits mean what the caller wrote; an f64 beyond the range of float is infinite. */
  if ((value.type == TERN_GGUF_F32 || value.type == TERN_GGUF_F64) && isfinite ((float) value.f64)
      && (float) value.f64 >= min && (float) value.f64 <= max) {
    *out = (float) value.f64;
    return TRUE;
  }
  return unexpected (file, key, &value, error, "a float from %g to %g", min, max);
}

gboolean
tern_gguf_f32 (const TernGguf *file, const char *key, float min, float max, float *out, GError **error)
{
  if (!tern_gguf_has (file, key))
    return missing (file, key, error);
  return tern_gguf_f32_or (file, key, min, max, 0, out, error);
}

gboolean
tern_gguf_bool_or (const TernGguf *file, const char *key, gboolean fallback, gboolean *out, GError **error)
{
  const TernGgufKey *entry = find_key (file, key);
  TernGgufValue value;

  *out = fallback;
  if (!entry)
    return TRUE;
  read_value (entry, &value);
  if (value.type != TERN_GGUF_BOOL || value.u64 > 1)
    return unexpected (file, key, &value, error, "a bool");
  *out = value.u64 != 0;
  return TRUE;
}

gboolean
tern_gguf_string_or (const TernGguf *file, const char *key, TernBytes *out, GError **error)
{
  const TernGgufKey *entry = find_key (file, key);
  TernGgufValue value;

  *out = (TernBytes) { NULL, 0 };
  if (!entry)
    return TRUE;
  read_value (entry, &value);
  if (value.type != TERN_GGUF_STRING)
    return unexpected (file, key, &value, error, "a string");
  *out = value.string;
  return TRUE;
}

const char *
tern_gguf_companion (const TernGguf *file)
{
  static const struct { const char *key, *name, *what; } kinds[] = {
    { "general.architecture", "clip", "a vision encoder (clip)" },
    { "general.architecture", "tern-action", "an action model (tern-action)" },
    { "general.type", "adapter", "an adapter (LoRA)" },
    { "general.type", "imatrix", "an importance matrix (imatrix)" },
  };
  TernBytes text;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (tern_gguf_string_or (file, kinds[i].key, &text, NULL) && text.data && text.len == strlen (kinds[i].name)
        && !memcmp (text.data, kinds[i].name, text.len))
      return kinds[i].what;
  return NULL;
}

gboolean
tern_gguf_string (const TernGguf *file, const char *key, TernBytes *out, GError **error)
{
  if (!tern_gguf_has (file, key)) {
    *out = (TernBytes) { NULL, 0 };
    return missing (file, key, error);
  }
  return tern_gguf_string_or (file, key, out, error);
}

gboolean
tern_gguf_u32_layers (const TernGguf *file, const char *key, guint32 min, guint32 max, guint n, guint32 *out,
    GError **error)
{
  const TernGgufKey *entry = find_key (file, key);
  TernGgufValue value, element;
  guint i;

  if (!entry)
    return missing (file, key, error);
  read_value (entry, &value);
  if (value.type != TERN_GGUF_ARRAY) {
    guint32 all;

    if (!as_u32 (&value, min, max, &all))
      return unexpected (file, key, &value, error, "an integer from %u to %u, or one for each of %u layers", min, max,
          n);
    for (i = 0; i < n; i++)
      out[i] = all;
    return TRUE;
  }
  if (value.array.count != n || value.array.type == TERN_GGUF_STRING)
    return unexpected (file, key, &value, error, "an integer for each of %u layers", n);
  for (i = 0; i < n; i++) {
    tern_gguf_element (&value.array, i, &element);
    if (!as_u32 (&element, min, max, &out[i]))
      return unexpected (file, key, &element, error, "integers from %u to %u", min, max);
  }
  return TRUE;
}

gboolean
tern_gguf_array (const TernGguf *file, const char *key, TernGgufType type, gboolean required, TernGgufArray *out,
    GError **error)
{
  const TernGgufKey *entry = find_key (file, key);
  TernGgufValue value;

  *out = (TernGgufArray) { type, 0, NULL };
  if (!entry)
    return required ? missing (file, key, error) : TRUE;
  read_value (entry, &value);
  if (value.type != TERN_GGUF_ARRAY || value.array.type != type)
    return unexpected (file, key, &value, error, "an array of %s", tern_gguf_type_name (type));
  *out = value.array;
  return TRUE;
}

TernBytes
tern_gguf_next_string (const guint8 **cursor)
{
  guint64 len;
  TernBytes out;

  memcpy (&len, *cursor, sizeof len);
  len = GUINT64_FROM_LE (len);
  out = (TernBytes) { (const char *) *cursor + sizeof len, len };
  *cursor += sizeof len + len;
  return out;
}

/* ---- Tensors ----------------------------------------------------------------------------------------------------- */

gsize
tern_gguf_n_tensors (const TernGguf *file)
{
  return file->n_tensors;
}

const TernTensor *
tern_gguf_tensor_at (const TernGguf *file, gsize i)
{
  return &file->tensors[i];
}

const TernTensor *
tern_gguf_find (const TernGguf *file, const char *name)
{
  G_STATIC_ASSERT (G_STRUCT_OFFSET (TernTensor, name) == 0);

  return find_name (name, file->tensors, sizeof *file->tensors, file->tensor_order, file->n_tensors);
}

/* "256 x 1024": all dims up to the last one that is not 1. */
static char *
shape_text (const guint64 *dims, guint n_dims)
{
  GString *text = g_string_new (NULL);
  guint i;

  while (n_dims > 1 && dims[n_dims - 1] == 1)
    n_dims--;
  for (i = 0; i < n_dims; i++)
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, i ? " x " : "", dims[i]);
  return g_string_free (text, FALSE);
}

const TernTensor *
tern_gguf_require (const TernGguf *file, const char *name, guint n_dims, const guint64 *dims, GError **error)
{
  const TernTensor *tensor = tern_gguf_find (file, name);
  g_autofree char *expected = shape_text (dims, n_dims);
  guint i;

  if (!tensor) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected shape %s, found no such tensor",
        file->path, name, expected);
    return NULL;
  }
  for (i = 0; i < G_N_ELEMENTS (tensor->dims); i++)
    if (tensor->dims[i] != (i < n_dims ? dims[i] : 1)) {
      g_autofree char *found = shape_text (tensor->dims, G_N_ELEMENTS (tensor->dims));

      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected shape %s, found %s", file->path, name,
          expected, found);
      return NULL;
    }
  if (tensor->bytes == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected values, found an empty one", file->path,
        name);
    return NULL;
  }
  if (!tensor->type->to_f32) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected one of the types %s, found %s",
        file->path, name, tern_type_list (), tensor->type->name);
    return NULL;
  }
  return tensor;
}

/* One NaN in a norm makes NaN of all that a model says. */
static gboolean
check_finite (const TernGguf *file, const char *name, const float *values, gsize n, GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected finite numbers, found %g at %" G_GSIZE_FORMAT,
          file->path, name, values[i], i);
      return FALSE;
    }
  return TRUE;
}

float *
tern_gguf_load_f32 (const TernGguf *file, const char *name, guint n_dims, const guint64 *dims, GError **error)
{
  const TernTensor *tensor = tern_gguf_require (file, name, n_dims, dims, error);
  gsize values, bytes;
  float *out;

  if (!tensor)
    return NULL;
  values = tern_tensor_values (tensor);
  if (!tern_mul (values, sizeof *out, &bytes)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: tensor %s: %" G_GSIZE_FORMAT
        " values do not fit the address space", file->path, name, values);
    return NULL;
  }
  out = tern_mem_alloc (bytes, name, error);
  if (!out)
    return NULL;
  tern_type_rows_to_f32 (tensor->type, out, tensor->data, values / tensor->dims[0], tensor->dims[0], tern_tensor_tail (tensor));
  if (!check_finite (file, name, out, values, error)) {
    tern_mem_free (out);
    return NULL;
  }
  return out;
}

/* ---- Files that were not downloaded to their end ------------------------------------------------------------------ */

static gboolean
refuse_zeros (const TernGguf *file, const char *name, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected weights, found zeros only; is the download complete?",
      file->path, name);
  return FALSE;
}

gboolean
tern_gguf_check_norm (const TernGguf *file, const char *name, const float *scales, gsize n, GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (scales[i] != 0)
      return TRUE;
  return refuse_zeros (file, name, error);
}

static gboolean
has_zeros_only (const TernTensor *tensor)
{
  const gsize look = MIN (tensor->bytes, 4096);
  const guint8 *end = tensor->data + tensor->bytes - look;

  /* Where there is something, one end of a tensor or the other tells, and no more of it is read. */
  for (gsize i = 0; i < look; i++)
    if (tensor->data[i] || end[i])
      return FALSE;
  for (gsize i = look; i < tensor->bytes; i++)
    if (tensor->data[i])
      return FALSE;
  return TRUE;
}

gboolean
tern_gguf_check_end (const TernGguf *file, GError **error)
{
  guint n_parts = tern_gguf_n_parts (file);
  g_autofree const TernTensor **last = g_new0 (const TernTensor *, n_parts);

  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);

    /* Biases may well be 0, and motion layers before they have learnt anything. */
    if (tensor->bytes && tensor->n_dims > 1 && !g_str_has_prefix (tensor->name, "mm.motion.")
        && (!last[tensor->part] || tensor->offset > last[tensor->part]->offset))
      last[tensor->part] = tensor;
  }
  for (guint i = 0; i < n_parts; i++)
    if (last[i] && has_zeros_only (last[i]))
      return refuse_zeros (tern_gguf_part (file, i), last[i]->name, error);
  return TRUE;
}
