/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods by name, and what all of them share. */
#include "compress/compress.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

static gsize
none_scratch (guint n_tokens)
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
    void *scratch, gint32 *keep, guint *n_keep)
{
  method->select (params, group, scratch, keep, n_keep);
  if (params->max_tokens > 0)
    tern_compress_limit (params->max_tokens, group->n_frames, group->n_tokens, keep, n_keep);
}

guint64
tern_compress_bound (const TernCompressMethod *method, const TernCompressParams *params, guint n_frames, guint n_tokens)
{
  guint64 bound = method->bound (params, n_frames, n_tokens);

  return params->max_tokens > 0 ? MIN (bound, params->max_tokens) : bound;
}

guint
tern_compress_keep (double merge_ratio, guint n_tokens)
{
  double k = CLAMP (merge_ratio, 0, 1);

  /* 1 - .9 is below .1 in binary: without the small addend the product falls under the whole number that is meant. */
  return MIN ((guint) floor ((1 - k) * n_tokens + 1e-9), n_tokens);
}

void
tern_compress_limit (guint max_tokens, guint n_frames, guint n_tokens, gint32 *keep, guint *n_keep)
{
  guint64 total = 0, at = 0;

  for (guint f = 0; f < n_frames; f++)
    total += n_keep[f];
  if (total <= max_tokens)
    return;

  /* Of @total tokens in a row, token j stays when a multiple of total / max_tokens falls into its place. */
  for (guint f = 0; f < n_frames; f++) {
    gint32 *row = keep + (gsize) f * n_tokens;
    guint n = 0;

    for (guint i = 0; i < n_keep[f]; i++, at++)
      if (at * max_tokens / total != (at + 1) * max_tokens / total)
        row[n++] = row[i];
    n_keep[f] = n;
  }
}
