/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternmeta.h"

#include <string.h>
#include "gstternvalue.h"

#define MAX_GRID 32767          /* rows, columns: their product fits an int */

void
gst_tern_meta_register (void)
{
  static const gchar *no_tags[] = { NULL };

  /* Applications may have registered them first, to look at them. */
  if (!gst_meta_get_info (GST_TERN_RESULT_META))
    gst_meta_register_custom (GST_TERN_RESULT_META, no_tags, NULL, NULL, NULL);
  if (!gst_meta_get_info (GST_TERN_TOKEN_META))
    gst_meta_register_custom (GST_TERN_TOKEN_META, no_tags, NULL, NULL, NULL);
}

/* ---- Results ---- */

static void
add_strings (GstStructure * structure, const gchar * name,
    const char *const *strings)
{
  GValue array = G_VALUE_INIT;

  gst_value_array_init (&array, 4);
  gst_tern_strings_to_value (strings, &array);
  gst_structure_take_value (structure, name, &array);
}

static void
add_doubles (GstStructure * structure, const gchar * name,
    const double *numbers, guint n)
{
  GValue array = G_VALUE_INIT;
  guint i;

  gst_value_array_init (&array, n);
  for (i = 0; i < n; i++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, G_TYPE_DOUBLE);
    g_value_set_double (&value, numbers[i]);
    gst_value_array_append_and_take_value (&array, &value);
  }
  gst_structure_take_value (structure, name, &array);
}

/* @base has the field, and its count if it has one. */
static void
structure_add_field (GstStructure * structure, const TernField * field,
    const guint8 * base)
{
  gconstpointer value = base + field->offset;

  switch (field->type) {
    case TERN_FIELD_UINT:
      gst_structure_set (structure, field->name, G_TYPE_UINT,
          *(const guint *) value, NULL);
      break;
    case TERN_FIELD_UINT64:
      gst_structure_set (structure, field->name, G_TYPE_UINT64,
          *(const guint64 *) value, NULL);
      break;
    case TERN_FIELD_DOUBLE:
      gst_structure_set (structure, field->name, G_TYPE_DOUBLE,
          *(const double *) value, NULL);
      break;
    case TERN_FIELD_STRING:
      gst_structure_set (structure, field->name, G_TYPE_STRING,
          *(const char *const *) value, NULL);
      break;
    case TERN_FIELD_BOOLEAN:
      gst_structure_set (structure, field->name, G_TYPE_BOOLEAN,
          *(const gboolean *) value, NULL);
      break;
    case TERN_FIELD_STRINGS:
      add_strings (structure, field->name, *(const char *const *const *) value);
      break;
    case TERN_FIELD_DOUBLES:
      add_doubles (structure, field->name, *(const double *const *) value,
          *(const guint *) (base + field->count_offset));
      break;
  }
}

/* As many as there are; the strings are @structure's. */
static gboolean
get_strings (const GstStructure * structure, const gchar * name,
    const char *const **strings, guint * n)
{
  const GValue *array =
      gst_tern_structure_get_array (structure, name, G_TYPE_STRING);
  const char **copy;
  guint i;

  if (!array)
    return FALSE;
  *n = gst_value_array_get_size (array);
  copy = g_new (const char *, *n + 1);
  copy[*n] = NULL;
  *strings = copy;
  for (i = 0; i < *n; i++) {
    copy[i] = g_value_get_string (gst_value_array_get_value (array, i));
    if (!copy[i])
      return FALSE;
  }
  return TRUE;
}

static gboolean
get_doubles (const GstStructure * structure, const gchar * name,
    const double **numbers, guint * n)
{
  const GValue *array =
      gst_tern_structure_get_array (structure, name, G_TYPE_DOUBLE);
  double *copy;
  guint i;

  if (!array)
    return FALSE;
  *n = gst_value_array_get_size (array);
  copy = g_new (double, *n);
  *numbers = copy;
  for (i = 0; i < *n; i++)
    copy[i] = g_value_get_double (gst_value_array_get_value (array, i));
  return TRUE;
}

/* @n: where how many it has is written, of a field that has several. */
static gboolean
structure_get_field (const GstStructure * structure, const TernField * field,
    gpointer value, guint * n)
{
  const char *string;

  switch (field->type) {
    case TERN_FIELD_UINT:
      return gst_structure_get_uint (structure, field->name, value);
    case TERN_FIELD_UINT64:
      return gst_structure_get_uint64 (structure, field->name, value);
    case TERN_FIELD_DOUBLE:
      return gst_structure_get_double (structure, field->name, value);
    case TERN_FIELD_STRING:
      string = gst_structure_get_string (structure, field->name);
      *(const char **) value = string;
      return string != NULL;
    case TERN_FIELD_BOOLEAN:
      return gst_structure_get_boolean (structure, field->name, value);
    case TERN_FIELD_STRINGS:
      return get_strings (structure, field->name, value, n);
    case TERN_FIELD_DOUBLES:
      return get_doubles (structure, field->name, value, n);
  }
  return FALSE;
}

/* Those of version 1 are all there, the later ones where there is something to
 * say. */
static gboolean
structure_get_fields (const GstStructure * structure, const TernField * fields,
    guint n, gpointer base)
{
  guint i, count = 0;

  for (i = 0; i < n; i++) {
    const TernField *field = &fields[i];
    guint *total = (guint *) ((guint8 *) base + field->count_offset);

    if (field->version > 1 && !gst_structure_has_field (structure, field->name))
      continue;
    if (!structure_get_field (structure, field, (guint8 *) base + field->offset,
            &count))
      return FALSE;
    /* Arrays of numbers say how many there are, for what else goes with
     * them. */
    if (field->type == TERN_FIELD_DOUBLES)
      *total = count;
  }
  return TRUE;
}

/* Whether the later fields are those that would be written. */
static gboolean
is_consistent (const TernResult * result, const GstStructure * structure)
{
  const TernField *fields;
  guint i, n;

  fields = tern_result_fields (&n);
  for (i = 0; i < n; i++)
    if (tern_result_has_field (result, &fields[i]) !=
        gst_structure_has_field (structure, fields[i].name))
      return FALSE;
  return result->labels ? g_strv_length ((gchar **) result->labels) ==
      result->n_labels : !result->scores;
}

GstStructure *
gst_tern_result_to_structure (const TernResult * given, const gchar * name)
{
  GstStructure *structure = gst_structure_new_empty (name);
  TernResult versioned = *given, *result = &versioned;
  const TernField *fields;
  guint i, n;

  /* Whoever filled it in may not have thought of its version. */
  versioned.version = tern_result_version (given);
  fields = tern_result_fields (&n);
  for (i = 0; i < n; i++)
    if (tern_result_has_field (result, &fields[i]))
      structure_add_field (structure, &fields[i], (const guint8 *) result);
  if (result->has_metrics) {
    GstStructure *metrics = gst_structure_new_empty ("metrics");

    fields = tern_metrics_fields (&n);
    for (i = 0; i < n; i++)
      structure_add_field (metrics, &fields[i],
          (const guint8 *) &result->metrics);
    gst_structure_set (structure, "metrics", GST_TYPE_STRUCTURE, metrics, NULL);
    gst_structure_free (metrics);
  }
  return structure;
}

static gboolean
read_result (TernResult * result, const GstStructure * structure)
{
  const TernField *fields;
  const GValue *metrics;
  guint n;

  fields = tern_result_fields (&n);
  if (!structure_get_fields (structure, fields, n, result)
      || !is_consistent (result, structure))
    return FALSE;

  metrics = gst_structure_get_value (structure, "metrics");
  if (metrics && GST_VALUE_HOLDS_STRUCTURE (metrics)) {
    fields = tern_metrics_fields (&n);
    if (!structure_get_fields (gst_value_get_structure (metrics), fields, n,
            &result->metrics))
      return FALSE;
    result->has_metrics = TRUE;
  }
  return TRUE;
}

gboolean
gst_tern_result_from_structure (TernResult * result,
    const GstStructure * structure)
{
  memset (result, 0, sizeof *result);
  result->running_time = result->utc = TERN_TIME_NONE;
  if (read_result (result, structure))
    return TRUE;
  gst_tern_result_clear (result);
  return FALSE;
}

void
gst_tern_result_clear (TernResult * result)
{
  const TernField *fields;
  guint i, n;

  fields = tern_result_fields (&n);
  for (i = 0; i < n; i++)
    if (fields[i].type == TERN_FIELD_STRINGS
        || fields[i].type == TERN_FIELD_DOUBLES)
      g_clear_pointer ((gpointer *) ((guint8 *) result + fields[i].offset),
          g_free);
}

static gboolean
copy_field (GQuark field, const GValue * value, gpointer structure)
{
  gst_structure_id_set_value (structure, field, value);
  return TRUE;
}

static GstCustomMeta *
next_result_meta (GstBuffer * buffer, gpointer * state)
{
  const GstMetaInfo *info = gst_meta_get_info (GST_TERN_RESULT_META);
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta (buffer, state)))
    if (meta->info == info)
      return (GstCustomMeta *) meta;
  return NULL;
}

static GstCustomMeta *
find_source (GstBuffer * buffer, const gchar * source)
{
  gpointer state = NULL;
  GstCustomMeta *meta;

  while ((meta = next_result_meta (buffer, &state)))
    if (g_strcmp0 (gst_structure_get_string (gst_custom_meta_get_structure
                (meta), "source"), source) == 0)
      break;
  return meta;
}

void
gst_tern_buffer_set_result (GstBuffer * buffer, const GstStructure * result)
{
  GstCustomMeta *meta;
  GstStructure *structure;

  meta = find_source (buffer, gst_structure_get_string (result, "source"));
  if (!meta)
    meta = gst_buffer_add_custom_meta (buffer, GST_TERN_RESULT_META);
  structure = gst_custom_meta_get_structure (meta);
  gst_structure_remove_all_fields (structure);
  gst_structure_foreach (result, copy_field, structure);
}

const GstStructure *
gst_tern_buffer_next_result (GstBuffer * buffer, gpointer * state)
{
  GstCustomMeta *meta = next_result_meta (buffer, state);

  return meta ? gst_custom_meta_get_structure (meta) : NULL;
}

const GstStructure *
gst_tern_buffer_get_result (GstBuffer * buffer)
{
  gpointer state = NULL;

  return gst_tern_buffer_next_result (buffer, &state);
}

/* ---- Visual tokens ---- */

static guint
get_count (const GstStructure * s, const gchar * field)
{
  gint n;

  return gst_structure_get_int (s, field, &n) && n > 0 ? n : 0;
}

gboolean
gst_tern_token_info_from_caps (GstTernTokenInfo * info, const GstCaps * caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  const gchar *id;
  gint dim;

  memset (info, 0, sizeof *info);
  if (!gst_structure_get_int (s, "embedding-dim", &dim) || dim < 1)
    return FALSE;
  info->dim = dim;
  info->deepstack = get_count (s, "deepstack");
  if (info->dim % (1 + (guint64) info->deepstack) != 0)
    return FALSE;
  id = gst_structure_get_string (s, "encoder-id");
  if (!id || !*id || strlen (id) >= sizeof info->encoder_id)
    return FALSE;
  g_strlcpy (info->encoder_id, id, sizeof info->encoder_id);
  if (!gst_structure_get_fraction (s, "framerate", &info->rate_n,
          &info->rate_d)) {
    info->rate_n = 0;
    info->rate_d = 1;
  }
  info->frame_tokens = get_count (s, "frame-tokens");
  info->group_tokens = get_count (s, "group-tokens");
  return TRUE;
}

GstCaps *
gst_tern_token_info_to_caps (const GstTernTokenInfo * info)
{
  GstCaps *caps = gst_caps_new_simple ("tensor/strided",
      "tensor-id", G_TYPE_STRING, "visual-tokens",
      "type", G_TYPE_STRING, "float32",
      "embedding-dim", G_TYPE_INT, (gint) info->dim,
      "encoder-id", G_TYPE_STRING, info->encoder_id,
      "group", G_TYPE_INT, TERN_GROUP_FRAMES,
      "framerate", GST_TYPE_FRACTION, info->rate_n, info->rate_d, NULL);

  if (info->deepstack > 0)
    gst_caps_set_simple (caps, "deepstack", G_TYPE_INT,
        (gint) info->deepstack, NULL);
  if (info->frame_tokens > 0)
    gst_caps_set_simple (caps, "frame-tokens", G_TYPE_INT,
        (gint) info->frame_tokens, NULL);
  if (info->group_tokens > 0)
    gst_caps_set_simple (caps, "group-tokens", G_TYPE_INT,
        (gint) info->group_tokens, NULL);
  return caps;
}

GstBufferPool *
gst_tern_token_pool_new (GstCaps * caps, guint max_tokens, guint dim)
{
  GstAllocationParams params;
  GstBufferPool *pool;
  GstStructure *config;
  gsize size;

  /* GstBufferPool counts bytes in a guint. */
  if (!g_size_checked_mul (&size, max_tokens, dim)
      || !g_size_checked_mul (&size, size, sizeof (float)) || size > G_MAXUINT)
    return NULL;

  pool = gst_buffer_pool_new ();
  gst_allocation_params_init (&params);
  params.align = 63;            /* a cache line: what the kernels like */
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, size, 0, 0);
  gst_buffer_pool_config_set_allocator (config, NULL, &params);
  if (!gst_buffer_pool_set_config (pool, config)
      || !gst_buffer_pool_set_active (pool, TRUE)) {
    gst_object_unref (pool);
    return NULL;
  }
  return pool;
}

void
gst_tern_token_buffer_describe (GstBuffer * buffer, const TernTokens * tokens)
{
  GstCustomMeta *meta;
  GstStructure *s;

  gst_buffer_set_size (buffer,
      (gsize) tokens->n_tokens * tokens->dim * sizeof (float));
  GST_BUFFER_PTS (buffer) = tokens->pts;
  GST_BUFFER_DURATION (buffer) = tokens->duration;
  GST_BUFFER_OFFSET (buffer) = tokens->number;

  meta = gst_buffer_add_custom_meta (buffer, GST_TERN_TOKEN_META);
  s = gst_custom_meta_get_structure (meta);
  gst_structure_set (s, "number", G_TYPE_UINT64, tokens->number,
      "late", G_TYPE_UINT64, tokens->late,
      "grid-width", G_TYPE_UINT, tokens->grid_w,
      "grid-height", G_TYPE_UINT, tokens->grid_h,
      "n-tokens", G_TYPE_UINT, tokens->n_tokens, NULL);
  if (tokens->after > 0)
    gst_structure_set (s, "after", G_TYPE_UINT64, tokens->after, NULL);
  if (tokens->utc > 0)
    gst_structure_set (s, "utc", G_TYPE_UINT64, tokens->utc, NULL);
  if (tokens->picture > 0)
    gst_structure_set (s, "picture", G_TYPE_UINT64, tokens->picture,
        "novelty", G_TYPE_DOUBLE, tokens->novelty, NULL);
  if (tokens->keep) {
    GValue array = G_VALUE_INIT;
    guint i;

    gst_value_array_init (&array, tokens->n_tokens);
    for (i = 0; i < tokens->n_tokens; i++) {
      GValue value = G_VALUE_INIT;

      g_value_init (&value, G_TYPE_INT);
      g_value_set_int (&value, tokens->keep[i]);
      gst_value_array_append_and_take_value (&array, &value);
    }
    gst_structure_take_value (s, "keep", &array);
  }
}

/* Positions must ascend inside the grid: the model places tokens by them. */
static gboolean
read_keep (GstTernTokenMap * map, const GstStructure * s, GError ** error)
{
  TernTokens *t = &map->tokens;
  const GValue *array = gst_structure_get_value (s, "keep");
  gint64 last = -1, end = (gint64) t->grid_w * t->grid_h;
  guint i;

  if (!array) {
    if (t->n_tokens == end)
      return TRUE;
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "TernTokenMeta: expected keep or %u x %u tokens, found %u tokens",
        t->grid_w, t->grid_h, t->n_tokens);
    return FALSE;
  }
  if (!GST_VALUE_HOLDS_ARRAY (array)
      || gst_value_array_get_size (array) != t->n_tokens) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "TernTokenMeta: expected keep of %u positions", t->n_tokens);
    return FALSE;
  }

  if (!map->keep)
    map->keep = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_array_set_size (map->keep, t->n_tokens);
  for (i = 0; i < t->n_tokens; i++) {
    const GValue *value = gst_value_array_get_value (array, i);
    gint position = G_VALUE_HOLDS_INT (value) ? g_value_get_int (value) : -1;

    if (position <= last || position >= end) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
          "TernTokenMeta: keep[%u] = %d is not an ascending position of a "
          "%u x %u grid", i, position, t->grid_w, t->grid_h);
      return FALSE;
    }
    g_array_index (map->keep, gint32, i) = position;
    last = position;
  }
  t->keep = (const gint32 *) map->keep->data;
  return TRUE;
}

static gboolean
read_description (GstTernTokenMap * map, GstBuffer * buffer, guint64 number,
    GError ** error)
{
  TernTokens *t = &map->tokens;
  GstCustomMeta *meta;
  GstStructure *s;
  guint n;

  meta = gst_buffer_get_custom_meta (buffer, GST_TERN_TOKEN_META);
  if (!meta) {
    t->number = number;
    t->grid_w = t->n_tokens;
    t->grid_h = 1;
    return TRUE;
  }

  s = gst_custom_meta_get_structure (meta);
  if (!gst_structure_get_uint64 (s, "number", &t->number)
      || !gst_structure_get_uint (s, "grid-width", &t->grid_w)
      || !gst_structure_get_uint (s, "grid-height", &t->grid_h)
      || !gst_structure_get_uint (s, "n-tokens", &n) || n != t->n_tokens
      || t->grid_w > MAX_GRID || t->grid_h > MAX_GRID) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "TernTokenMeta: number, grid-width, grid-height or n-tokens is missing "
        "or is not that of the buffer's %u tokens", t->n_tokens);
    return FALSE;
  }
  gst_structure_get_uint64 (s, "late", &t->late);
  gst_structure_get_uint64 (s, "after", &t->after);
  gst_structure_get_uint64 (s, "utc", &t->utc);
  gst_structure_get_uint64 (s, "picture", &t->picture);
  gst_structure_get_double (s, "novelty", &t->novelty);
  return read_keep (map, s, error);
}

gboolean
gst_tern_token_map (GstTernTokenMap * map, GstBuffer * buffer,
    const GstTernTokenInfo * info, guint64 number, GError ** error)
{
  TernTokens *t = &map->tokens;
  gsize row = (gsize) info->dim * sizeof (float);

  if (!gst_buffer_map (buffer, &map->map, GST_MAP_READ)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED,
        "a buffer of visual tokens cannot be mapped");
    return FALSE;
  }
  memset (t, 0, sizeof *t);
  t->pts = GST_BUFFER_PTS (buffer);
  t->duration = GST_BUFFER_DURATION (buffer);
  t->dim = info->dim;
  t->deepstack = info->deepstack;
  t->tokens = (const float *) map->map.data;
  t->n_tokens = map->map.size / row;
  if (map->map.size % row != 0 || map->map.size / row > G_MAXINT) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "expected visual tokens of %" G_GSIZE_FORMAT " bytes, found a buffer "
        "of %" G_GSIZE_FORMAT, row, map->map.size);
  } else if (read_description (map, buffer, number, error)) {
    return TRUE;
  }
  gst_buffer_unmap (buffer, &map->map);
  return FALSE;
}

void
gst_tern_token_unmap (GstTernTokenMap * map, GstBuffer * buffer)
{
  gst_buffer_unmap (buffer, &map->map);
}

void
gst_tern_token_map_clear (GstTernTokenMap * map)
{
  g_clear_pointer (&map->keep, g_array_unref);
}
