/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/tensors.h"

#include <string.h>

#include "tern/error.h"

#define IN_LAYER "blk.N."

/* Whether @pattern, from a table, is @name or blk.N.@name. */
static gboolean
is_called (const char *pattern, const char *name)
{
  if (!pattern)
    return FALSE;
  return g_str_equal (pattern, name) || (g_str_has_prefix (pattern, IN_LAYER)
      && g_str_equal (pattern + strlen (IN_LAYER), name));
}

static const TernTensorRow *
find_row (const TernTensorRow *table, const char *name)
{
  for (const TernTensorRow *row = table; row->name; row++)
    if (is_called (row->name, name) || is_called (row->also, name))
      return row;
  return NULL;
}

/* The name of @pattern at the source's layer. */
static void
name_in_file (const TernBlockSource *source, const char *pattern, char *name, gsize size)
{
  if (g_str_has_prefix (pattern, IN_LAYER))
    g_snprintf (name, size, "blk.%u.%s", source->layer, pattern + strlen (IN_LAYER));
  else
    g_strlcpy (name, pattern, size);
}

gboolean
tern_block_wants (const TernBlockSource *source, const char *name, TernTensorWant *want)
{
  const TernTensorRow *row = find_row (source->table, name);

  if (!row)
    return FALSE;
  name_in_file (source, row->name, want->name, sizeof want->name);
  if (row->also && !tern_gguf_find (source->file, want->name)) {
    char also[sizeof want->name];

    name_in_file (source, row->also, also, sizeof also);
    if (tern_gguf_find (source->file, also))
      memcpy (want->name, also, sizeof also);
  }
  for (want->n_dims = 0; want->n_dims < G_N_ELEMENTS (row->dims) && row->dims[want->n_dims]; want->n_dims++)
    want->dims[want->n_dims] = source->dims[row->dims[want->n_dims]];
  return !row->optional || tern_gguf_find (source->file, want->name);
}

gboolean
tern_block_linear (const TernBlockSource *source, TernLinear *linear, const char *name, GError **error)
{
  TernTensorWant want;

  memset (linear, 0, sizeof *linear);
  if (!tern_block_wants (source, name, &want))
    return TRUE;
  return tern_linear_load (linear, source->file, want.name, want.dims[0], want.dims[1], source->kernels, error);
}

gboolean
tern_block_vector (const TernBlockSource *source, float **vector, const char *name, GError **error)
{
  TernTensorWant want;
  gsize n = 1;

  *vector = NULL;
  if (!tern_block_wants (source, name, &want))
    return TRUE;
  if (!(*vector = tern_gguf_load_f32 (source->file, want.name, want.n_dims, want.dims, error)))
    return FALSE;
  for (guint i = 0; i < want.n_dims; i++)
    n *= want.dims[i];
  return !g_str_has_suffix (name, "norm.weight") || tern_gguf_check_norm (source->file, want.name, *vector, n, error);
}

/* What is not a linear of its own is not multiplied by the scale that may stand beside it. */
static gboolean
check_no_scale (const TernGguf *file, const char *name, GError **error)
{
  g_autofree char *scale = NULL;

  if (!g_str_has_suffix (name, ".weight"))
    return TRUE;
  scale = g_strdup_printf ("%.*s.scale", (int) (strlen (name) - strlen (".weight")), name);
  if (!tern_gguf_find (file, scale))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected none beside a tensor that holds "
      "several matrices", tern_gguf_path (file), scale);
  return FALSE;
}

gboolean
tern_block_tensor (const TernBlockSource *source, const TernTensor **tensor, const char *name, GError **error)
{
  TernTensorWant want;

  *tensor = NULL;
  if (!tern_block_wants (source, name, &want))
    return TRUE;
  *tensor = tern_gguf_require (source->file, want.name, want.n_dims, want.dims, error);
  return *tensor && check_no_scale (source->file, want.name, error);
}

gboolean
tern_block_check_values (const TernBlockSource *source, const char *name, const float *values, gsize n, float low,
    float high, GError **error)
{
  TernTensorWant want;

  for (gsize i = 0; i < n; i++)
    if (!(values[i] >= low && values[i] <= high)) {
      g_autofree char *most = high < G_MAXFLOAT ? g_strdup_printf (" of at most %g", high) : g_strdup ("");

      tern_block_wants (source, name, &want);
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected finite numbers%s, found %g at %"
          G_GSIZE_FORMAT, tern_gguf_path (source->file), want.name, most, values[i], i);
      return FALSE;
    }
  return TRUE;
}

const char *
tern_tensor_layer (const char *name, guint64 *layer)
{
  char *end;

  if (!g_str_has_prefix (name, "blk.") || !g_ascii_isdigit (name[4]))
    return NULL;
  *layer = g_ascii_strtoull (name + 4, &end, 10);
  return *end == '.' ? end + 1 : NULL;
}

/* A weight may come with a scale beside it, which tern_linear_load() finds. */
static gboolean
is_known (const TernTensorRow *table, const char *name)
{
  g_autofree char *weight = NULL;

  if (find_row (table, name))
    return TRUE;
  if (!g_str_has_suffix (name, ".scale"))
    return FALSE;
  weight = g_strdup_printf ("%.*s.weight", (int) (strlen (name) - strlen (".scale")), name);
  return find_row (table, weight) != NULL;
}

/* Outside of layers. */
static const char *const meant[] = {
  "output.bias", "output_norm.weight", "output_norm.bias", "position_embd.weight", "rope_factors_long.weight",
  "rope_factors_short.weight", "rope_freqs.weight", "token_embd_norm.weight", "token_embd_norm.bias",
  "token_types.weight", NULL
};

gboolean
tern_block_check_names (const TernBlockSource *source, GError **error)
{
  for (gsize i = 0; i < tern_gguf_n_tensors (source->file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (source->file, i);
    guint64 layer = 0;
    const char *name = tern_tensor_layer (tensor->name, &layer);

    if (layer >= source->n_layers && layer < (guint64) source->n_layers + source->n_extra)
      continue;
    if (layer >= source->n_layers) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected layers 0 to %u (key %s.block_count), "
          "found one of another layer", tern_gguf_path (source->file), tensor->name,
          source->n_layers + source->n_extra - 1, source->architecture);
      return FALSE;
    }
    if (name ? !is_known (source->table, name)
        : g_strv_contains (meant, tensor->name) && !find_row (source->table, tensor->name)) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected none of this name, which "
          "architecture %s does not have; without it the results would be others", tern_gguf_path (source->file),
          tensor->name, source->architecture);
      return FALSE;
    }
  }
  return TRUE;
}
