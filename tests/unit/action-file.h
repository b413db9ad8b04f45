/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Action models in memory, right ones, and such with one key or tensor wrong. */
#pragma once

#include "tests/unit/gguf-writer.h"

/* What is wrong: the entry of this name is left out, or @put writes another one. */
typedef struct {
  const char *name;
  void (*put) (GgufWriter *w, const char *name);
} ActionFlaw;

typedef struct {
  const char *kind;             /* "mlp", "cfc", "tokens": 4 bins, tokens 10.. and 20.. of two numbers */
  const char *mode;             /* of a cfc */
  guint width, state, dims, steps;
  guint inner, n_inner;         /* width of an MLP's inner layers or of the backbone; how many */
  guint units;                  /* of a cfc */
  guint times, skip;            /* of an mlp */
  guint n_lags;
  const char *activation;
  const char *normalization;
  float range;                  /* -range..range */
  float first, limit;
  guint frames;
  const char *encoder_id, *language_model;      /* NULL: none */
  ActionFlaw flaw;

  /* what was drawn: by layer, [out][in] and [out] */
  GRand *rand;
  GHashTable *tensors;          /* name -> float * */
} ActionFile;

static inline ActionFile
action_file (const char *kind)
{
  return (ActionFile) { .kind = kind, .mode = "default", .width = 24, .state = 3, .dims = 2, .steps = 4, .inner = 20,
    .n_inner = 1, .units = 12, .activation = "lecun_tanh", .normalization = "mean_std", .range = 100, .first = 1,
    .limit = 10, .frames = 1 };
}

static inline gboolean
action_flawed (GgufWriter *w, const ActionFile *f, const char *name)
{
  if (g_strcmp0 (f->flaw.name, name) != 0)
    return FALSE;
  if (f->flaw.put)
    f->flaw.put (w, name);
  return TRUE;
}

static inline void
action_u32 (GgufWriter *w, const ActionFile *f, const char *name, guint32 value)
{
  if (!action_flawed (w, f, name))
    writer_u32 (w, name, value);
}

static inline void
action_text (GgufWriter *w, const ActionFile *f, const char *name, const char *value)
{
  if (value && !action_flawed (w, f, name))
    writer_string (w, name, value);
}

static inline void
action_floats (GgufWriter *w, const ActionFile *f, const char *name, const float *values, guint n)
{
  if (action_flawed (w, f, name))
    return;
  writer_array (w, name, TERN_GGUF_F32, n);
  put_bytes (w->keys, values, n * sizeof *values);
}

/* @a + @b * i, for n numbers. */
static inline void
action_line (GgufWriter *w, const ActionFile *f, const char *name, guint n, float a, float b)
{
  float values[64];

  for (guint i = 0; i < n; i++)
    values[i] = a + b * i;
  action_floats (w, f, name, values, n);
}

static inline void
action_texts (GgufWriter *w, const ActionFile *f, const char *name, const char *stem)
{
  if (action_flawed (w, f, name))
    return;
  writer_array (w, name, TERN_GGUF_STRING, f->dims);
  for (guint i = 0; i < f->dims; i++) {
    g_autofree char *text = g_strdup_printf ("%s%u", stem, i);

    put_string (w->keys, text);
  }
}

static inline void
action_tensor (GgufWriter *w, const ActionFile *f, const char *name, guint n_dims, const guint64 *dims, float size)
{
  gsize n = dims[0] * (n_dims > 1 ? dims[1] : 1);
  float *values = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    values[i] = (float) g_rand_double_range (f->rand, -size, size);
  g_hash_table_insert (f->tensors, g_strdup (name), values);
  if (!action_flawed (w, f, name))
    writer_tensor (w, name, n_dims, dims, TERN_TYPE_F32, values, n * sizeof *values);
}

static inline void
action_layer (GgufWriter *w, const ActionFile *f, const char *stem, guint in, guint out)
{
  g_autofree char *weight = g_strconcat (stem, ".weight", NULL), *bias = g_strconcat (stem, ".bias", NULL);

  action_tensor (w, f, weight, 2, (guint64[]) { in, out }, 0.5f);
  action_tensor (w, f, bias, 1, (guint64[]) { out }, 0.5f);
}

static inline void
action_put_mlp (GgufWriter *w, ActionFile *f)
{
  guint in = f->width + (1 + f->n_lags) * f->state + f->times;

  action_u32 (w, f, "tern-action.mlp.time_features", f->times);
  action_u32 (w, f, "tern-action.mlp.skip", f->skip);
  if (f->skip)
    action_layer (w, f, "mlp.skip", in, f->steps * f->dims);
  action_text (w, f, "tern-action.mlp.activation", f->activation);
  if (!action_flawed (w, f, "tern-action.mlp.widths")) {
    writer_array (w, "tern-action.mlp.widths", TERN_GGUF_I32, f->n_inner);
    for (guint i = 0; i < f->n_inner; i++)
      put_u32 (w->keys, f->inner);
  }
  for (guint i = 0; i <= f->n_inner; i++) {
    g_autofree char *stem = g_strdup_printf ("mlp.%u", i);

    action_layer (w, f, stem, in, i < f->n_inner ? f->inner : f->steps * f->dims);
    in = f->inner;
  }
}

static inline void
action_put_cfc (GgufWriter *w, ActionFile *f)
{
  guint in = f->width + (1 + f->n_lags) * f->state + f->units;

  action_text (w, f, "tern-action.cfc.mode", f->mode);
  action_text (w, f, "tern-action.cfc.backbone_activation", f->activation);
  action_u32 (w, f, "tern-action.cfc.units", f->units);
  action_u32 (w, f, "tern-action.cfc.backbone_layers", f->n_inner);
  action_u32 (w, f, "tern-action.cfc.backbone_units", f->inner);
  for (guint i = 0; i < f->n_inner; i++) {
    g_autofree char *stem = g_strdup_printf ("cfc.backbone.%u", i);

    action_layer (w, f, stem, in, f->inner);
    in = f->inner;
  }
  action_layer (w, f, "cfc.ff1", in, f->units);
  if (g_str_equal (f->mode, "pure")) {
    action_tensor (w, f, "cfc.a", 1, (guint64[]) { f->units }, 1);
    action_tensor (w, f, "cfc.w_tau", 1, (guint64[]) { f->units }, 1);
  } else {
    action_layer (w, f, "cfc.ff2", in, f->units);
    action_layer (w, f, "cfc.time_a", in, f->units);
    action_layer (w, f, "cfc.time_b", in, f->units);
  }
  action_layer (w, f, "output", f->units, f->steps * f->dims);
}

static inline void
action_put_tokens (GgufWriter *w, ActionFile *f)
{
  const gint32 ids[] = { 10, 11, 12, 13, 23, 22, 21, 20 };
  const float edges[] = { -1, -0.5f, 0, 0.25f, 1, 0, 0.1f, 0.1f, 0.5f, 2 };

  action_u32 (w, f, "tern-action.tokens.bins", 4);
  if (!action_flawed (w, f, "tern-action.tokens.ids")) {
    writer_array (w, "tern-action.tokens.ids", TERN_GGUF_I32, G_N_ELEMENTS (ids));
    put_bytes (w->keys, ids, sizeof ids);
  }
  action_floats (w, f, "tern-action.tokens.edges", edges, G_N_ELEMENTS (edges));
}

/* The file; the drawn values are in f->tensors until action_file_clear(). */
static inline GByteArray *
action_file_write (ActionFile *f)
{
  gboolean by_mean = g_str_equal (f->normalization, "mean_std"), by_range = g_str_equal (f->normalization, "min_max");
  g_auto (GgufWriter) w;

  writer_init (&w);
  f->rand = g_rand_new_with_seed (7);
  f->tensors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  action_text (&w, f, "general.architecture", "tern-action");
  action_text (&w, f, "general.name", "test head");
  action_text (&w, f, "tern-action.kind", f->kind);
  action_text (&w, f, "tern-action.space", "arm");
  action_text (&w, f, "tern-action.encoder_id", f->encoder_id);
  action_text (&w, f, "tern-action.language_model", f->language_model);
  action_u32 (&w, f, "tern-action.dims", f->dims);
  action_u32 (&w, f, "tern-action.steps", f->steps);
  action_u32 (&w, f, "tern-action.rate.numerator", 30);
  action_u32 (&w, f, "tern-action.rate.denominator", 1);
  action_u32 (&w, f, "tern-action.embedding_length", f->width);
  action_u32 (&w, f, "tern-action.frames", f->frames);
  action_texts (&w, f, "tern-action.names", "joint");
  action_texts (&w, f, "tern-action.units", "rad");
  action_line (&w, f, "tern-action.minimum", f->dims, -f->range, 0);
  action_line (&w, f, "tern-action.maximum", f->dims, f->range, 0);
  action_u32 (&w, f, "tern-action.state.dims", f->state);
  action_line (&w, f, "tern-action.state.lags", f->n_lags, 0.05f, 0.1f);
  action_text (&w, f, "tern-action.state.normalization", f->normalization);
  action_text (&w, f, "tern-action.action.normalization", f->normalization);
  if (by_mean || by_range) {
    action_line (&w, f, by_mean ? "tern-action.state.mean" : "tern-action.state.low", f->state, -0.5f, 0.25f);
    action_line (&w, f, by_mean ? "tern-action.state.std" : "tern-action.state.high", f->state, 1.5f, 0.5f);
    action_line (&w, f, by_mean ? "tern-action.action.mean" : "tern-action.action.low", f->dims, -2, 1.5f);
    action_line (&w, f, by_mean ? "tern-action.action.std" : "tern-action.action.high", f->dims, 2.5f, 3);
  }
  writer_number (&w, "tern-action.time.first", TERN_GGUF_F32, &f->first, sizeof f->first);
  writer_number (&w, "tern-action.time.limit", TERN_GGUF_F32, &f->limit, sizeof f->limit);
  if (g_str_equal (f->kind, "cfc"))
    action_put_cfc (&w, f);
  else if (g_str_equal (f->kind, "tokens"))
    action_put_tokens (&w, f);
  else
    action_put_mlp (&w, f);
  return writer_finish (&w);
}

static inline void
action_file_clear (ActionFile *f)
{
  g_clear_pointer (&f->rand, g_rand_free);
  g_clear_pointer (&f->tensors, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ActionFile, action_file_clear)
