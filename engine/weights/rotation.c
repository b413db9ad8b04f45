/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/rotation.h"

#include <string.h>

#include "tern/error.h"
#include "engine/base/mem.h"

#define PREFIX "prism.hadamard."
#define KEY(name) PREFIX name
#define TRANSFORM "normalized-sylvester-walsh-hadamard"
#define AXIS "input-last-dimension"
#define EMBEDDING "token_embd.weight"
#define OUTPUT "output.weight"
#define MAX_WIDTH (1u << 24)

/* One width's. */
typedef struct {
  TernRotation plain, grouped;  /* grouped: of ssm_out, where the file says so */
  float *signs;                 /* [plain.width]; NULL: identity */
} Width;

struct _TernRotations {
  const TernGguf *file;         /* borrowed for loading and binding */
  guint32 version, block;
  gboolean tied, explicit_signs, v_grouped, embedding;
  guint32 key_heads, value_heads;
  GHashTable *names;            /* of weight_names, owned: whether it was bound (GINT_TO_POINTER: 1 no, 2 yes) */
  GPtrArray *widths;            /* of Width */
  gsize bytes;
};

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

static gboolean
has_contract (const TernGguf *file)
{
  TernGgufType type;

  for (gsize i = 0; i < tern_gguf_n_keys (file); i++)
    if (g_str_has_prefix (tern_gguf_key (file, i, &type), PREFIX))
      return TRUE;
  return FALSE;
}

/* A string key that can have one value alone. */
static gboolean
check_text (const TernGguf *file, const char *key, const char *expected, GError **error)
{
  TernBytes text;
  g_autofree char *found = NULL;

  if (!tern_gguf_string (file, key, &text, error))
    return FALSE;
  if (text.len == strlen (expected) && !memcmp (text.data, expected, text.len))
    return TRUE;
  found = tern_bytes_quote (text);
  return tern_gguf_bad_key (file, key, error, "expected \"%s\", found %s", expected, found);
}

static gboolean
read_sign_mode (TernRotations *self, GError **error)
{
  g_autofree char *found = NULL;
  TernBytes text;

  if (!tern_gguf_string (self->file, KEY ("sign_mode"), &text, error))
    return FALSE;
  self->explicit_signs = text.len == strlen ("explicit") && !memcmp (text.data, "explicit", text.len);
  if (self->explicit_signs || (text.len == strlen ("identity") && !memcmp (text.data, "identity", text.len)))
    return TRUE;
  found = tern_bytes_quote (text);
  return tern_gguf_bad_key (self->file, KEY ("sign_mode"), error, "expected \"identity\" or \"explicit\", found %s", found);
}

static gboolean
read_version (TernRotations *self, GError **error)
{
  const TernGguf *file = self->file;
  gboolean untied = tern_gguf_find (file, OUTPUT) != NULL;

  if (!tern_gguf_has (file, KEY ("version")))
    return tern_gguf_bad_key (file, KEY ("version"), error, "expected 1 or 2, found none beside other keys of " PREFIX "*: its "
        "matrices are rotated, nobody knows how");
  if (!tern_gguf_u32 (file, KEY ("version"), 1, 2, &self->version, error)
      || !tern_gguf_bool_or (file, KEY ("tied_output"), FALSE, &self->tied, error))
    return FALSE;
  if (self->version == 1 && self->tied)
    return tern_gguf_bad_key (file, KEY ("tied_output"), error, "expected false in version 1, found true");
  if (self->version == 2 && (!self->tied || untied))
    return tern_gguf_bad_key (file, KEY ("version"), error, "expected 1 for a file %s, found 2",
        !self->tied ? "without tied_output" : "with " OUTPUT);
  return TRUE;
}

static gboolean
read_block (TernRotations *self, GError **error)
{
  if (!tern_gguf_u32 (self->file, KEY ("block_size"), 0, G_MAXUINT32, &self->block, error))
    return FALSE;
  if (self->block == 0 || self->block & (self->block - 1))
    return tern_gguf_bad_key (self->file, KEY ("block_size"), error, "expected a power of two, found %u", self->block);
  return TRUE;
}

/* A whole number of any width as an element; FALSE for what is none. */
static gboolean
element (const TernGgufArray *array, guint64 i, gint64 *out)
{
  TernGgufValue value;

  tern_gguf_element (array, i, &value);
  switch (value.type) {
    case TERN_GGUF_U8:
    case TERN_GGUF_U16:
    case TERN_GGUF_U32:
    case TERN_GGUF_U64:
      *out = (gint64) MIN (value.u64, (guint64) G_MAXINT64);
      return TRUE;
    case TERN_GGUF_I8:
    case TERN_GGUF_I16:
    case TERN_GGUF_I32:
    case TERN_GGUF_I64:
      *out = value.i64;
      return TRUE;
    default:
      return FALSE;
  }
}

/* An array of whole numbers, whatever their width. */
static gboolean
number_array (const TernGguf *file, const char *key, TernGgufArray *array, GError **error)
{
  TernGgufValue value = { 0 };
  TernGgufType type;

  for (gsize i = 0; i < tern_gguf_n_keys (file); i++) {
    if (strcmp (tern_gguf_key (file, i, &type), key) != 0)
      continue;
    tern_gguf_value (file, i, &value);
    if (type != TERN_GGUF_ARRAY || value.array.type == TERN_GGUF_STRING || value.array.type == TERN_GGUF_BOOL
        || value.array.type == TERN_GGUF_F32 || value.array.type == TERN_GGUF_F64)
      return tern_gguf_bad_key (file, key, error, "expected an array of whole numbers, found %s%s", type == TERN_GGUF_ARRAY
          ? "one of " : "", tern_gguf_type_name (type == TERN_GGUF_ARRAY ? value.array.type : type));
    *array = value.array;
    return TRUE;
  }
  return tern_gguf_bad_key (file, key, error, "expected an array of whole numbers (sign_mode is \"explicit\"), found none");
}

/* ---- Widths and their signs -------------------------------------------------------------------------------------- */

static void
free_width (gpointer data)
{
  Width *width = data;

  tern_mem_free (width->signs);
  g_free (width);
}

static Width *
find_width (const TernRotations *self, guint width)
{
  for (guint i = 0; i < self->widths->len; i++) {
    Width *found = g_ptr_array_index (self->widths, i);

    if (found->plain.width == width)
      return found;
  }
  return NULL;
}

static Width *
add_width (TernRotations *self, guint width)
{
  Width *added = g_new0 (Width, 1);

  added->plain = (TernRotation) { .width = width, .block = self->block };
  g_ptr_array_add (self->widths, added);
  return added;
}

static gboolean
read_signs (TernRotations *self, GError **error)
{
  const TernGguf *file = self->file;
  TernGgufArray widths, values;
  guint64 at = 0;

  if (!self->explicit_signs)
    return TRUE;
  if (!number_array (file, KEY ("sign_widths"), &widths, error) || !number_array (file, KEY ("sign_values"), &values, error))
    return FALSE;
  for (guint64 i = 0; i < widths.count; i++) {
    gint64 n = 0, sign = 0;
    Width *width;

    if (!element (&widths, i, &n) || n < 1 || n > MAX_WIDTH || find_width (self, (guint) n))
      return tern_gguf_bad_key (file, KEY ("sign_widths"), error, "[%" G_GUINT64_FORMAT "]: expected widths of matrices, each "
          "once, found %" G_GINT64_FORMAT, i, n);
    if (n % self->block)
      return tern_gguf_bad_key (file, KEY ("block_size"), error, "expected a divisor of " KEY ("sign_widths") "[%" G_GUINT64_FORMAT
          "], %" G_GINT64_FORMAT ", found %u", i, n, self->block);
    if ((guint64) n > values.count - at)
      return tern_gguf_bad_key (file, KEY ("sign_values"), error, "expected as many values as sign_widths adds up to, found %"
          G_GUINT64_FORMAT, values.count);
    width = add_width (self, (guint) n);
    width->signs = tern_mem_alloc ((gsize) n * sizeof (float), KEY ("sign_values"), error);
    if (!width->signs)
      return FALSE;
    width->plain.signs = width->signs;
    self->bytes += (gsize) n * sizeof (float);
    for (gint64 k = 0; k < n; k++, at++) {
      if (!element (&values, at, &sign) || (sign != 1 && sign != -1))
        return tern_gguf_bad_key (file, KEY ("sign_values"), error, "[%" G_GUINT64_FORMAT "]: expected 1 or -1, found %"
            G_GINT64_FORMAT, at, sign);
      width->signs[k] = (float) sign;
    }
  }
  if (at == values.count)
    return TRUE;
  return tern_gguf_bad_key (file, KEY ("sign_values"), error, "expected %" G_GUINT64_FORMAT " values, as many as sign_widths "
      "adds up to, found %" G_GUINT64_FORMAT, at, values.count);
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

/* The tensor that @key names; its width has signs, and is whole blocks. */
static gboolean
check_tensor (TernRotations *self, const char *key, const char *name, GError **error)
{
  const TernTensor *tensor = tern_gguf_find (self->file, name);
  guint64 width = tensor ? tensor->dims[0] : 0;

  if (!tensor)
    return tern_gguf_bad_key (self->file, key, error, "expected names of tensors in the file, found \"%s\", which is not", name);
  if (tensor->dims[2] != 1 || tensor->dims[3] != 1 || width > MAX_WIDTH)
    return tern_gguf_bad_key (self->file, key, error, "expected matrices, found \"%s\" (%" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT
        " x %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT ")", name, width, tensor->dims[1], tensor->dims[2], tensor->dims[3]);
  if (width % self->block)
    return tern_gguf_bad_key (self->file, KEY ("block_size"), error, "expected a divisor of the %" G_GUINT64_FORMAT
        " input features of %s, found %u", width, name, self->block);
  if (find_width (self, (guint) width))
    return TRUE;
  if (self->explicit_signs)
    return tern_gguf_bad_key (self->file, KEY ("sign_widths"), error, "expected the width %" G_GUINT64_FORMAT " of %s among them",
        width, name);
  add_width (self, (guint) width);
  return TRUE;
}

/* A product with activations that come in a row. */
static gboolean
is_product (const char *name)
{
  static const char *const ends[] = { ".attn_q.weight", ".attn_k.weight", ".attn_v.weight", ".attn_qkv.weight",
    ".attn_gate.weight", ".attn_output.weight", ".ffn_gate.weight", ".ffn_up.weight", ".ffn_down.weight", ".ssm_out.weight",
    ".ssm_alpha.weight", ".ssm_beta.weight" };

  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    if (g_str_has_suffix (name, ends[i]))
      return TRUE;
  return strcmp (name, OUTPUT) == 0;
}

static gboolean
refuse_name (const TernRotations *self, const char *name, GError **error)
{
  return tern_gguf_bad_key (self->file, KEY ("weight_names"), error, "expected matrices of attention, DeltaNet, feed-forward "
      "or the head that the model multiplies with, found \"%s\"", name);
}

static gboolean
read_names (TernRotations *self, GError **error)
{
  const char *key = KEY ("weight_names");
  TernGgufArray array;
  const guint8 *cursor;

  if (!tern_gguf_array (self->file, key, TERN_GGUF_STRING, TRUE, &array, error))
    return FALSE;
  if (array.count == 0)
    return tern_gguf_bad_key (self->file, key, error, "expected names of tensors, found none");
  cursor = array.data;
  for (guint64 i = 0; i < array.count; i++) {
    TernBytes text = tern_gguf_next_string (&cursor);
    g_autofree char *name = g_utf8_make_valid (text.data, (gssize) text.len);

    if (g_hash_table_contains (self->names, name))
      return tern_gguf_bad_key (self->file, key, error, "expected each name once, found \"%s\" twice", name);
    if (tern_gguf_find (self->file, name) && !is_product (name))
      return refuse_name (self, name, error);
    if (!check_tensor (self, key, name, error))
      return FALSE;
    g_hash_table_insert (self->names, g_steal_pointer (&name), GINT_TO_POINTER (1));
  }
  return TRUE;
}

static gboolean
read_inverse_names (TernRotations *self, GError **error)
{
  const char *key = KEY ("inverse_weight_names");
  TernGgufArray array;
  const guint8 *cursor;

  if (!tern_gguf_array (self->file, key, TERN_GGUF_STRING, FALSE, &array, error))
    return FALSE;
  cursor = array.data;
  for (guint64 i = 0; i < array.count; i++) {
    TernBytes text = tern_gguf_next_string (&cursor);
    g_autofree char *name = g_utf8_make_valid (text.data, (gssize) text.len);

    if (strcmp (name, EMBEDDING) != 0 || self->embedding)
      return tern_gguf_bad_key (self->file, key, error, "expected \"" EMBEDDING "\" once at most, found \"%s\"", name);
    if (!check_tensor (self, key, name, error))
      return FALSE;
    self->embedding = TRUE;
  }
  if (self->version == 2 && !self->embedding)
    return tern_gguf_bad_key (self->file, key, error, "expected \"" EMBEDDING "\" in version 2, found none");
  if (self->version == 1 && self->embedding && !tern_gguf_find (self->file, OUTPUT))
    return tern_gguf_bad_key (self->file, KEY ("version"), error, "expected 2 for a rotated embedding that is the head too (there "
        "is no " OUTPUT "), found 1");
  return TRUE;
}

/* ssm_out's heads. */
static gboolean
read_heads (TernRotations *self, GError **error)
{
  g_autofree char *groups = NULL, *heads = NULL, *arch = NULL;
  TernBytes text;

  if (!tern_gguf_bool_or (self->file, KEY ("gdn_v_grouped"), FALSE, &self->v_grouped, error))
    return FALSE;
  if (!self->v_grouped)
    return TRUE;
  if (!tern_gguf_string (self->file, "general.architecture", &text, error))
    return FALSE;
  arch = g_utf8_make_valid (text.data, (gssize) text.len);
  groups = g_strconcat (arch, ".ssm.group_count", NULL);
  heads = g_strconcat (arch, ".ssm.time_step_rank", NULL);
  if (!tern_gguf_u32 (self->file, groups, 1, MAX_WIDTH, &self->key_heads, error)
      || !tern_gguf_u32 (self->file, heads, 1, MAX_WIDTH, &self->value_heads, error))
    return FALSE;
  if (self->value_heads % self->key_heads == 0)
    return TRUE;
  return tern_gguf_bad_key (self->file, groups, error, "expected a divisor of %s (%u), found %u", heads, self->value_heads,
      self->key_heads);
}

static gboolean
check_grouped (const TernRotations *self, const char *name, guint cols, GError **error)
{
  if (!self->v_grouped || !g_str_has_suffix (name, ".ssm_out.weight") || cols % self->value_heads == 0)
    return TRUE;
  return tern_gguf_bad_key (self->file, KEY ("gdn_v_grouped"), error, "expected the %u input features of %s to be %u heads", cols,
      name, self->value_heads);
}

static gboolean
check_all_grouped (const TernRotations *self, GError **error)
{
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, self->names);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    if (!check_grouped (self, name, (guint) tern_gguf_find (self->file, name)->dims[0], error))
      return FALSE;
  return TRUE;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

gboolean
tern_rotations_load (const TernGguf *file, TernRotations **rotations, GError **error)
{
  TernRotations *self;

  *rotations = NULL;
  if (!has_contract (file))
    return TRUE;
  self = g_new0 (TernRotations, 1);
  self->file = file;
  self->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->widths = g_ptr_array_new_with_free_func (free_width);
  if (!read_version (self, error) || !check_text (file, KEY ("transform"), TRANSFORM, error)
      || !check_text (file, KEY ("axis"), AXIS, error) || !read_block (self, error) || !read_sign_mode (self, error)
      || !read_signs (self, error) || !read_names (self, error) || !read_inverse_names (self, error)
      || !read_heads (self, error) || !check_all_grouped (self, error)) {
    tern_rotations_free (self);
    return FALSE;
  }
  *rotations = self;
  return TRUE;
}

void
tern_rotations_free (TernRotations *self)
{
  if (!self)
    return;
  g_hash_table_unref (self->names);
  g_ptr_array_unref (self->widths);
  g_free (self);
}

static const TernRotation *
rotation_of (const TernRotations *self, const TernLinear *linear)
{
  Width *width = find_width (self, linear->cols);

  if (!self->v_grouped || self->key_heads == 1 || !g_str_has_suffix (linear->name, ".ssm_out.weight"))
    return &width->plain;
  width->grouped = width->plain;
  width->grouped.key_heads = self->key_heads;
  width->grouped.value_heads = self->value_heads;
  return &width->grouped;
}

void
tern_rotations_bind (TernRotations *self, TernLinear *linear, gboolean head)
{
  gpointer name;

  if (!linear->name)
    return;
  if (g_hash_table_lookup_extended (self->names, linear->name, &name, NULL)) {
    linear->rotation = rotation_of (self, linear);
    g_hash_table_steal (self->names, name);
    g_hash_table_insert (self->names, name, GINT_TO_POINTER (2));
  }
  if (self->embedding && strcmp (linear->name, EMBEDDING) == 0) {
    linear->row_rotation = &find_width (self, linear->cols)->plain;
    if (self->tied && head)
      linear->rotation = linear->row_rotation;
  }
}

gboolean
tern_rotations_check (const TernRotations *self, GError **error)
{
  GHashTableIter iter;
  gpointer name, bound;

  g_hash_table_iter_init (&iter, self->names);
  while (g_hash_table_iter_next (&iter, &name, &bound))
    if (GPOINTER_TO_INT (bound) == 1)
      return refuse_name (self, name, error);
  return TRUE;
}

gsize
tern_rotations_bytes (const TernRotations *self)
{
  return self ? self->bytes : 0;
}
