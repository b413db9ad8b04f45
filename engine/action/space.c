/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every action model says, whatever its kind: the space of its actions, its inputs, how numbers are scaled. */
#include "engine/action/head-priv.h"

#include <math.h>

#include "tern/error.h"
#include "tern/ranges.h"

#define MOST_DIMS 256u
#define MOST_STEPS 1024u
#define MOST_STATE 1024u
#define MOST_FRAMES 64u
#define MOST_LAGS 64u
#define MOST_LAG 2.0f           /* seconds, of 4,096 states that are kept */
#define MOST_RATE 1000000u
#define MOST_SECONDS 86400.0f
#define LEAST_SPREAD 1e-12f

static float *
new_floats (TernActionHead *head, guint n)
{
  float *values = g_new0 (float, MAX (n, 1));

  g_ptr_array_add (head->blocks, values);
  return values;
}

static const char **
new_texts (TernActionHead *head, guint n)
{
  const char **texts = g_new0 (const char *, n + 1);

  g_ptr_array_add (head->blocks, texts);
  return texts;
}

/* ---- Scaling ---- */

enum { NONE, MEAN_STD, MIN_MAX };

static const char *const normalizations[] = { "none", "mean_std", "min_max", NULL };

static gboolean
check_spread (const TernGguf *file, const char *key, const float *spread, guint n, const char *expected, GError **error)
{
  for (guint i = 0; i < n; i++)
    if (!(spread[i] >= LEAST_SPREAD)) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
          "%s: key %s: expected numbers %s by %g or more, found %g at %u",
          tern_gguf_path (file), key, expected, LEAST_SPREAD, spread[i], i);
      return FALSE;
    }
  return TRUE;
}

/* Keys below @prefix of @n numbers. */
static gboolean
load_scaling (TernActionHead *head, const TernGguf *file, const char *prefix, guint n, TernActionScaling *scaling,
    GError **error)
{
  g_autofree char *kind = g_strconcat (prefix, ".normalization", NULL);
  g_autofree char *first = NULL, *second = NULL;
  guint normalization;

  scaling->offset = new_floats (head, n);
  scaling->scale = new_floats (head, n);
  if (!tern_action_key_choice (file, kind, normalizations, NONE, &normalization, error))
    return FALSE;
  for (guint i = 0; i < n; i++)
    scaling->scale[i] = 1;
  if (normalization == NONE || n == 0)
    return TRUE;
  first = g_strconcat (prefix, normalization == MEAN_STD ? ".mean" : ".low", NULL);
  second = g_strconcat (prefix, normalization == MEAN_STD ? ".std" : ".high", NULL);
  if (!tern_action_key_floats (file, first, n, scaling->offset, error)
      || !tern_action_key_floats (file, second, n, scaling->scale, error))
    return FALSE;
  if (normalization == MEAN_STD)
    return check_spread (file, second, scaling->scale, n, "above 0", error);
  for (guint i = 0; i < n; i++) {       /* low is -1, high is 1 */
    float low = scaling->offset[i], high = scaling->scale[i];

    scaling->scale[i] = high / 2 - low / 2;
    scaling->offset[i] = high / 2 + low / 2;
  }
  return check_spread (file, second, scaling->scale, n, "above low, half the difference being more", error);
}

/* ---- The space ---- */

static gboolean
load_sizes (TernActionInfo *info, const TernGguf *file, GError **error)
{
  return tern_gguf_u32 (file, "tern-action.dims", 1, MOST_DIMS, &info->dims, error)
      && tern_gguf_u32 (file, "tern-action.steps", 1, MOST_STEPS, &info->steps, error)
      && tern_gguf_u32 (file, "tern-action.rate.numerator", 1, MOST_RATE, &info->rate_n, error)
      && tern_gguf_u32 (file, "tern-action.rate.denominator", 1, MOST_RATE, &info->rate_d, error)
      && tern_gguf_u32_or (file, "tern-action.state.dims", 0, MOST_STATE, 0, &info->state_dims, error)
      && tern_gguf_u32 (file, "tern-action.embedding_length", 1, TERN_EMBEDDING_DIM_MAX, &info->width, error)
      && tern_gguf_u32_or (file, "tern-action.frames", 1, MOST_FRAMES, 1, &info->frames, error);
}

static gboolean
load_lags (TernActionHead *head, const TernGguf *file, GError **error)
{
  static const char key[] = "tern-action.state.lags";
  guint64 *lags = g_new0 (guint64, MOST_LAGS);
  float seconds[MOST_LAGS], last = 0;

  g_ptr_array_add (head->blocks, lags);
  head->info.lags = lags;
  if (!tern_action_key_floats_up_to (file, key, MOST_LAGS, seconds, &head->info.n_lags, error))
    return FALSE;
  for (guint i = 0; i < head->info.n_lags; last = seconds[i++]) {
    if (!(seconds[i] > last) || seconds[i] > MOST_LAG)
      return tern_gguf_bad_key (file, key, error, "expected rising seconds above 0, at most %g, found %g at %u", MOST_LAG,
          seconds[i], i);
    lags[i] = (guint64) llround (seconds[i] * 1e9);
  }
  return TRUE;
}

static gboolean
load_texts (TernActionHead *head, const TernGguf *file, GError **error)
{
  TernActionInfo *info = &head->info;
  const char **names = new_texts (head, info->dims), **units = new_texts (head, info->dims);

  info->names = names;
  info->units = units;
  for (guint i = 0; i < info->dims; i++)
    units[i] = "";
  if (!tern_action_key_text (file, "general.name", "", head->strings, &info->name, error)
      || !tern_action_key_text (file, "tern-action.space", NULL, head->strings, &info->space, error)
      || !tern_action_key_text (file, "tern-action.encoder_id", "", head->strings, &info->encoder_id, error)
      || !tern_action_key_text (file, "tern-action.language_model", "", head->strings, &info->language_model, error)
      || !tern_action_key_texts (file, "tern-action.names", info->dims, FALSE, head->strings, names, error)
      || (tern_gguf_has (file, "tern-action.units")
          && !tern_action_key_texts (file, "tern-action.units", info->dims, TRUE, head->strings, units, error)))
    return FALSE;
  if (!*info->encoder_id)
    info->encoder_id = NULL;
  if (!*info->language_model)
    info->language_model = NULL;
  return TRUE;
}

static gboolean
load_ranges (TernActionHead *head, const TernGguf *file, GError **error)
{
  TernActionInfo *info = &head->info;
  float *minimum = new_floats (head, info->dims), *maximum = new_floats (head, info->dims);

  info->minimum = minimum;
  info->maximum = maximum;
  if (!tern_action_key_floats (file, "tern-action.minimum", info->dims, minimum, error)
      || !tern_action_key_floats (file, "tern-action.maximum", info->dims, maximum, error))
    return FALSE;
  for (guint i = 0; i < info->dims; i++)
    if (minimum[i] > maximum[i]) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
          "%s: key tern-action.maximum: expected at least the minimum, %g, found %g at %u", tern_gguf_path (file),
          minimum[i], maximum[i], i);
      return FALSE;
    }
  return TRUE;
}

gboolean
tern_action_space_load (TernActionHead *head, const TernGguf *file, GError **error)
{
  return load_sizes (&head->info, file, error)
      && load_lags (head, file, error)
      && load_texts (head, file, error)
      && load_ranges (head, file, error)
      && load_scaling (head, file, "tern-action.state", head->info.state_dims, &head->state, error)
      && load_scaling (head, file, "tern-action.action", head->info.dims, &head->action, error)
      && tern_gguf_f32_or (file, "tern-action.time.first", 0, MOST_SECONDS, 1, &head->first, error)
      && tern_gguf_f32_or (file, "tern-action.time.limit", 0, MOST_SECONDS, 10, &head->limit, error);
}
