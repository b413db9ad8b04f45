/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Actions as words: each number of a chunk is a token of a set of its own, as RT-2 (arXiv:2307.15818) and OpenVLA
 * (arXiv:2406.09246) say them. The set is a mask on the logits, so that whatever the model finds likely is a number. */
#include "engine/action/head-priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tern/error.h"

#define MOST_BINS 65536u

/* ---- The table ---- */

/* How many numbers of a step have a row of their own in @key; 1: all share one. @per: values of a row. */
static guint
rows_of (const TernGguf *file, const char *key, guint dims, guint per, gboolean *good)
{
  TernGgufArray array;

  *good = FALSE;
  for (TernGgufType type = TERN_GGUF_U8; type <= TERN_GGUF_F64; type++)
    if (tern_gguf_array (file, key, type, TRUE, &array, NULL)) {
      *good = array.count == per || array.count == (guint64) per * dims;
      return array.count == per ? 1 : dims;
    }
  return 1;
}

static gboolean
wrong (const TernGguf *file, const char *key, GError **error, const char *expected, guint a, guint b)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
      "%s: key %s: expected %s: %u, or %u for all numbers of a step; found "
      "another length, or none", tern_gguf_path (file), key, expected, a, b);
  return FALSE;
}

static gint
compare_ids (gconstpointer a, gconstpointer b)
{
  guint32 x = *(const guint32 *) a, y = *(const guint32 *) b;

  return x < y ? -1 : x > y;
}

/* A token that is said for two numbers would be neither. */
static gboolean
check_ids (const TernActionTokens *tokens, const TernGguf *file, const char *key, GError **error)
{
  g_autofree guint32 *sorted = g_new (guint32, tokens->bins);

  for (guint r = 0; r < tokens->id_rows; r++) {
    memcpy (sorted, tokens->ids + (gsize) r * tokens->bins, tokens->bins * sizeof *sorted);
    qsort (sorted, tokens->bins, sizeof *sorted, compare_ids);
    for (guint i = 1; i < tokens->bins; i++)
      if (sorted[i] == sorted[i - 1]) {
        g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
            "%s: key %s: expected each token once for a number, found %u twice "
            "for number %u", tern_gguf_path (file), key, sorted[i], r);
        return FALSE;
      }
  }
  return TRUE;
}

static gboolean
load_ids (TernActionHead *head, const TernGguf *file, GError **error)
{
  static const char key[] = "tern-action.tokens.ids";
  TernActionTokens *tokens = &head->kind.tokens;
  gboolean good;
  guint n;

  tokens->id_rows = rows_of (file, key, head->info.dims, tokens->bins, &good);
  if (!good)
    return wrong (file, key, error, "a token for each bin", tokens->bins, tokens->bins * head->info.dims);
  n = tokens->id_rows * tokens->bins;
  tokens->ids = g_new (guint32, n);
  return tern_action_key_integers (file, key, 0, G_MAXINT32, n, tokens->ids, &n, error)
      && check_ids (tokens, file, key, error);
}

/* The middles of bins, of equal width between -1 and 1 where the file has no edges. */
static gboolean
load_values (TernActionHead *head, const TernGguf *file, GError **error)
{
  static const char key[] = "tern-action.tokens.edges";
  TernActionTokens *tokens = &head->kind.tokens;
  guint bins = tokens->bins;
  g_autofree float *edges = NULL;
  gboolean good;

  tokens->value_rows = 1;
  if (tern_gguf_has (file, key)) {
    tokens->value_rows = rows_of (file, key, head->info.dims, bins + 1, &good);
    if (!good)
      return wrong (file, key, error, "an edge more than there are bins", bins + 1, (bins + 1) * head->info.dims);
    edges = g_new (float, tokens->value_rows * (bins + 1));
    if (!tern_action_key_floats (file, key, tokens->value_rows * (bins + 1), edges, error))
      return FALSE;
  }
  tokens->values = g_new (float, tokens->value_rows * bins);
  for (guint r = 0; r < tokens->value_rows; r++)
    for (guint i = 0; i < bins; i++) {
      const float *edge = edges ? edges + (gsize) r * (bins + 1) + i : NULL;

      if (edge && edge[1] < edge[0]) {
        g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
            "%s: key %s: expected edges that do not fall, found %g after %g",
            tern_gguf_path (file), key, edge[1], edge[0]);
        return FALSE;
      }
      tokens->values[r * bins + i] = edge ? edge[0] / 2 + edge[1] / 2 : (2 * (float) i + 1) / (float) bins - 1;
    }
  return TRUE;
}

static gboolean
tokens_load (TernActionHead *head, const TernGguf *file, GError **error)
{
  if (head->info.state_dims > 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "%s: key tern-action.state.dims: expected 0, for actions that are said "
        "know no state but what the instruction tells, found %u", tern_gguf_path (file), head->info.state_dims);
    return FALSE;
  }
  if (!tern_gguf_u32 (file, "tern-action.tokens.bins", 2, MOST_BINS, &head->kind.tokens.bins, error)
      || !load_ids (head, file, error) || !load_values (head, file, error))
    return FALSE;
  for (guint i = 0; i < head->kind.tokens.id_rows * head->kind.tokens.bins; i++)
    head->info.vocabulary = MAX (head->info.vocabulary, head->kind.tokens.ids[i] + 1);
  return TRUE;
}

static void
tokens_clear (TernActionHead *head)
{
  g_free (head->kind.tokens.ids);
  g_free (head->kind.tokens.values);
}

static guint
nothing (const TernActionHead *head)
{
  return 0;
}

const TernActionClass tern_action_tokens = { "tokens", tokens_load, tokens_clear, nothing, nothing, NULL };

/* ---- Saying it ---- */

static guint
row (guint rows, guint dims, guint i)
{
  return rows == 1 ? 0 : i % dims;
}

gint32
tern_action_head_choose (const TernActionHead *head, guint i, const float *logits, GError **error)
{
  const TernActionTokens *tokens = &head->kind.tokens;
  const guint32 *ids = tokens->ids + (gsize) row (tokens->id_rows, head->info.dims, i) * tokens->bins;
  guint best = 0;

  for (guint b = 0; b < tokens->bins; b++) {
    if (!isfinite (logits[ids[b]])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED,
          "logits of the language model: expected finite numbers, found %g at "
          "token %u", logits[ids[b]], ids[b]);
      return -1;
    }
    if (logits[ids[b]] > logits[ids[best]])
      best = b;
  }
  return (gint32) ids[best];
}

void
tern_action_head_spell (const TernActionHead *head, const gint32 *said, double *actions)
{
  const TernActionTokens *tokens = &head->kind.tokens;
  guint dims = head->info.dims;

  for (guint i = 0; i < tern_action_outputs (head); i++) {
    const guint32 *ids = tokens->ids + (gsize) row (tokens->id_rows, dims, i) * tokens->bins;
    const float *values = tokens->values + (gsize) row (tokens->value_rows, dims, i) * tokens->bins;
    guint b = 0;

    while (b + 1 < tokens->bins && ids[b] != (guint32) said[i])
      b++;
    actions[i] = tern_action_scaled (head, i, values[b]);
  }
}
