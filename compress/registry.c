/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods by name, and what all of them share. */
#include "compress/compress.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

static gsize
none_scratch (guint n_tokens, guint dim)
{
  return 0;
}

static guint64
none_bound (const TernCompressParams *params, guint n_frames, guint n_tokens)
{
  return (guint64) n_frames * n_tokens;
}

static void
none_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  for (guint f = 0; f < group->n_frames; f++) {
    n_keep[f] = group->n_tokens;
    for (guint i = 0; i < group->n_tokens; i++)
      keep[(gsize) f * group->n_tokens + i] = (gint32) i;
  }
}

const TernCompressMethod tern_compress_none = {
  .name = "none",
  .about = "every token is kept",
  .needs = TERN_COMPRESS_NEEDS_NOTHING,
  .scratch = none_scratch,
  .bound = none_bound,
  .select = none_select,
};

/* The values of TernMethod are places in it: new ones go to the end. */
static const TernCompressMethod *const methods[] = {
  &tern_compress_none,
  &tern_compress_dycoke,
  &tern_compress_random,
  &tern_compress_vla_cache,
  &tern_compress_random_any,
  &tern_compress_uniform,
  &tern_compress_mean,
  &tern_compress_vidcom2,
  &tern_compress_vcast,
  &tern_compress_evs,
  &tern_compress_sttm,
  &tern_compress_visionzip,
  &tern_compress_holitom,
  &tern_compress_fastvid,
  &tern_compress_flashvid,
  &tern_compress_cdpruner,
};

const TernCompressMethod *const *
tern_compress_methods (guint *n)
{
  *n = G_N_ELEMENTS (methods);
  return methods;
}

const TernCompressMethod *
tern_compress_find (const char *name, GError **error)
{
  g_autoptr (GString) names = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (methods); i++)
    if (name && strcmp (methods[i]->name, name) == 0)
      return methods[i];

  names = g_string_new (methods[0]->name);
  for (guint i = 1; i < G_N_ELEMENTS (methods); i++)
    g_string_append_printf (names, ", %s", methods[i]->name);
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "compression method: expected one of %s, found \"%s\"", names->str,
      name ? name : "");
  return NULL;
}

TernCompressNeeds
tern_compress_has (const TernTokenGroup *group)
{
  return (group->tokens ? TERN_COMPRESS_NEEDS_TOKENS : TERN_COMPRESS_NEEDS_NOTHING)
      | (group->scores ? TERN_COMPRESS_NEEDS_SCORES : TERN_COMPRESS_NEEDS_NOTHING);
}

gboolean
tern_compress_check (const TernCompressMethod *method, TernCompressNeeds has, GError **error)
{
  static const char *const names[] = { "visual tokens", "attention scores of the vision tower" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (method->needs & ~has & (1 << i)) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "compression method \"%s\": expected %s, which it needs, "
          "found none", method->name, names[i]);
      return FALSE;
    }
  return TRUE;
}

void
tern_compress_run (const TernCompressMethod *method, const TernCompressParams *params, const TernTokenGroup *group,
    void *scratch, gint32 *keep, guint *n_keep, float *mixed)
{
  if (method->mix)
    method->mix (params, group, scratch, keep, n_keep, mixed);
  else
    method->select (params, group, scratch, keep, n_keep);
  tern_compress_limit (params->max_tokens, tern_compress_cap (params, group->n_tokens), group->n_frames, group->n_tokens,
      keep, n_keep);
}

/* What hard budgets leave of @n tokens of @n_frames frames. */
static guint64
within (const TernCompressParams *params, guint64 n, guint n_frames, guint n_tokens)
{
  n = MIN (n, (guint64) n_frames * tern_compress_cap (params, n_tokens));
  return params->max_tokens > 0 ? MIN (n, params->max_tokens) : n;
}

guint64
tern_compress_bound (const TernCompressMethod *method, const TernCompressParams *params, guint n_frames, guint n_tokens)
{
  return within (params, method->bound (params, n_frames, n_tokens), n_frames, n_tokens);
}

guint
tern_compress_cap (const TernCompressParams *params, guint n_tokens)
{
  return params->max_frame_tokens > 0 ? MIN (params->max_frame_tokens, n_tokens) : n_tokens;
}

guint64
tern_compress_budget (const TernCompressParams *params, guint n_frames, guint n_tokens)
{
  guint64 n = n_frames ? n_tokens + (guint64) (n_frames - 1) * tern_compress_keep (params->merge_ratio, n_tokens) : 0;

  return within (params, n, n_frames, n_tokens);
}

void
tern_compress_grid (const TernTokenGroup *group, guint *columns, guint *rows)
{
  guint n = group->n_tokens;

  if ((guint64) group->grid_w * group->grid_h == n) {
    *columns = group->grid_w;
    *rows = group->grid_h;
    return;
  }
  for (*rows = (guint) sqrt (n); *rows > 1 && n % *rows; (*rows)--);
  *columns = n / MAX (*rows, 1);
}

guint
tern_compress_keep (double merge_ratio, guint n_tokens)
{
  double k = CLAMP (merge_ratio, 0, 1);

  /* 1 - .9 is below .1 in binary: without the small addend the product falls under the whole number that is meant. */
  return MIN ((guint) floor ((1 - k) * n_tokens + 1e-9), n_tokens);
}

/* Of @total tokens in a row, token j stays when a multiple of total / @most falls into its place. */
static gboolean
stays (guint64 j, guint64 most, guint64 total)
{
  return j * most / total != (j + 1) * most / total;
}

void
tern_compress_limit (guint max_tokens, guint frame, guint n_frames, guint n_tokens, gint32 *keep, guint *n_keep)
{
  guint64 total = 0, at = 0;

  for (guint f = 0; f < n_frames; f++) {
    gint32 *row = keep + (gsize) f * n_tokens;
    guint n = 0;

    for (guint i = 0; i < n_keep[f]; i++)
      if (n_keep[f] <= frame || stays (i, frame, n_keep[f]))
        row[n++] = row[i];
    n_keep[f] = n;
    total += n;
  }
  if (max_tokens == 0 || total <= max_tokens)
    return;
  for (guint f = 0; f < n_frames; f++) {
    gint32 *row = keep + (gsize) f * n_tokens;
    guint n = 0;

    for (guint i = 0; i < n_keep[f]; i++, at++)
      if (stays (at, max_tokens, total))
        row[n++] = row[i];
    n_keep[f] = n;
  }
}
