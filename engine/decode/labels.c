/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/labels.h"

#include <math.h>
#include <string.h>

#include "engine/decode/labels-priv.h"
#include "tern/error.h"
#include "tern/ranges.h"

/* A label's tokens, while the trie is built. */
typedef struct {
  guint label;
  GArray *ids;                  /* gint32 */
} Entry;

static gint32
id_of (const Entry *entry, guint i)
{
  return g_array_index (entry->ids, gint32, i);
}

/* Tokens that both begin with. */
static guint
common (const Entry *a, const Entry *b)
{
  guint n = 0;

  while (n < a->ids->len && n < b->ids->len && id_of (a, n) == id_of (b, n))
    n++;
  return n;
}

static gint
by_tokens (gconstpointer a, gconstpointer b)
{
  const Entry *x = a, *y = b;
  guint n = common (x, y);

  if (n == x->ids->len || n == y->ids->len)
    return (x->ids->len > n) - (y->ids->len > n);
  return id_of (x, n) < id_of (y, n) ? -1 : 1;
}

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

static gboolean
check_text (const char *const *labels, guint i, GError **error)
{
  if (!labels[i] || !*labels[i]) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "labels: expected words or phrases, found nothing in place %u", i + 1);
    return FALSE;
  }
  if (!g_utf8_validate (labels[i], -1, NULL)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "labels: expected UTF-8, found other bytes in label %u", i + 1);
    return FALSE;
  }
  return TRUE;
}

/* Two neighbours in the order of their tokens: those that are equal or begin one another are. */
static gboolean
check_pair (const TernLabels *self, const Entry *a, const Entry *b, GError **error)
{
  const char *first = self->texts[a->label], *second = self->texts[b->label];
  guint n = common (a, b);

  if (n == a->ids->len && n == b->ids->len) {
    if (strcmp (first, second) == 0)
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "labels: expected different ones, found \"%s\" twice", first);
    else
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "labels: expected different tokens, found the same of \"%s\" and "
          "\"%s\"", first, second);
    return FALSE;
  }
  if (n == a->ids->len && self->n_ends == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "labels: expected a vocabulary with an end token, to tell \"%s\" from "
        "\"%s\", found none", first, second);
    return FALSE;
  }
  return TRUE;
}

/* ---- The trie ---------------------------------------------------------------------------------------------------- */

static void
add_path (TernLabels *self, const Entry *entry, guint shared, gint32 *path)
{
  /* path[d]: the node of depth d on the way to the label before; the order makes it the last child of its parent. */
  for (guint depth = shared; depth < entry->ids->len; depth++) {
    gint32 node = (gint32) self->n_nodes++, *link = &self->nodes[path[depth]].child;

    self->nodes[node] = (TernLabelNode) { .id = id_of (entry, depth), .parent = path[depth], .child = -1, .next = -1,
      .label = -1, .depth = depth + 1 };
    while (*link >= 0)
      link = &self->nodes[*link].next;
    *link = node;
    path[depth + 1] = node;
    self->last_id = MAX (self->last_id, id_of (entry, depth));
  }
  self->nodes[path[entry->ids->len]].label = (gint32) entry->label;
}

static gboolean
is_tip (const TernLabels *self, const TernLabelNode *node)
{
  if (node->child < 0 || node == self->nodes)
    return FALSE;
  for (gint32 c = node->child; c >= 0; c = self->nodes[c].next)
    if (self->nodes[c].child >= 0)
      return FALSE;
  return TRUE;
}

/* Which child of the prompt @node is. */
static guint
place_of (const TernLabels *self, gint32 node)
{
  guint place = 0;

  for (gint32 c = self->nodes[0].child; c != node; c = self->nodes[c].next)
    place++;
  return place;
}

/* @tokens: of all labels; paths have no more. */
static void
find_paths (TernLabels *self, gsize tokens)
{
  guint used = 0;

  self->tips = g_new (TernLabelTip, self->n);
  self->ids = g_new (gint32, tokens);
  self->steps = g_new (gint32, tokens);
  for (guint i = 0; i < self->n_nodes; i++) {
    gint32 node = (gint32) i;

    if (!is_tip (self, &self->nodes[i]))
      continue;
    for (guint at = used + self->nodes[i].depth; at-- > used; node = self->nodes[node].parent) {
      self->steps[at] = node;
      self->ids[at] = self->nodes[node].id;
    }
    self->tips[self->n_tips++] = (TernLabelTip) { used, self->nodes[i].depth, place_of (self, self->steps[used]) };
    used += self->nodes[i].depth;
  }
}

static gboolean
build (TernLabels *self, GArray *entries, gsize tokens, GError **error)
{
  g_autofree gint32 *path = g_new0 (gint32, self->longest + 1);

  g_array_sort (entries, by_tokens);
  self->nodes[self->n_nodes++] = (TernLabelNode) { .id = -1, .parent = -1, .child = -1, .next = -1, .label = -1 };
  for (guint i = 0; i < entries->len; i++) {
    const Entry *entry = &g_array_index (entries, Entry, i), *before = entry - 1;

    if (i > 0 && !check_pair (self, before, entry, error))
      return FALSE;
    add_path (self, entry, i > 0 ? common (before, entry) : 0, path);
  }
  find_paths (self, tokens);
  return TRUE;
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void
find_ends (TernLabels *self, const TernTokenizer *tokenizer)
{
  g_autoptr (GArray) ends = g_array_new (FALSE, FALSE, sizeof (gint32));
  gint32 n = (gint32) tern_tokenizer_size (tokenizer);

  for (gint32 id = 0; id < n; id++)
    if (tern_tokenizer_is_eog (tokenizer, id))
      g_array_append_val (ends, id);
  self->n_ends = ends->len;
  self->ends = (gint32 *) g_array_free (g_steal_pointer (&ends), FALSE);
}

static void
clear_entry (gpointer entry)
{
  g_array_unref (((Entry *) entry)->ids);
}

static gboolean
take_labels (TernLabels *self, const TernTokenizer *tokenizer, const char *const *labels, GError **error)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  gsize tokens = 0;

  g_array_set_clear_func (entries, clear_entry);
  for (guint i = 0; i < self->n; i++) {
    Entry entry = { .label = i };

    if (!check_text (labels, i, error))
      return FALSE;
    self->texts[i] = g_strdup (labels[i]);
    entry.ids = g_array_new (FALSE, FALSE, sizeof (gint32));
    tern_tokenizer_encode (tokenizer, labels[i], strlen (labels[i]), FALSE, entry.ids);
    g_array_append_val (entries, entry);
    tokens += entry.ids->len;
    self->longest = MAX (self->longest, entry.ids->len);
    if (entry.ids->len == 0) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "labels: expected some token for \"%s\", found none", labels[i]);
      return FALSE;
    }
  }
  self->nodes = g_new (TernLabelNode, tokens + 1);
  return build (self, entries, tokens, error);
}

TernLabels *
tern_labels_new (const TernTokenizer *tokenizer, const char *const *labels, guint n, GError **error)
{
  g_autoptr (TernLabels) self = NULL;

  if (n < 2 || n > TERN_LABELS_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "labels: expected 2 to %u of them, found %u", TERN_LABELS_MAX, n);
    return NULL;
  }
  self = g_new0 (TernLabels, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->n = n;
  self->texts = g_new0 (char *, n);
  find_ends (self, tokenizer);
  return take_labels (self, tokenizer, labels, error) ? g_steal_pointer (&self) : NULL;
}

TernLabels *
tern_labels_ref (TernLabels *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
tern_labels_unref (TernLabels *self)
{
  if (!self || !g_atomic_ref_count_dec (&self->ref_count))
    return;
  for (guint i = 0; i < self->n; i++)
    g_free (self->texts[i]);
  g_free (self->texts);
  g_free (self->nodes);
  g_free (self->tips);
  g_free (self->ids);
  g_free (self->steps);
  g_free (self->ends);
  g_free (self);
}

guint
tern_labels_n (const TernLabels *self)
{
  return self->n;
}

const char *
tern_labels_text (const TernLabels *self, guint i)
{
  return self->texts[i];
}

guint
tern_labels_forks (const TernLabels *self)
{
  return MIN (self->n_tips, TERN_LABEL_FORKS_MAX);
}

guint
tern_labels_longest (const TernLabels *self)
{
  return self->longest;
}

/* ---- Scores ------------------------------------------------------------------------------------------------------ */

guint
tern_labels_scores (const double *logprobs, guint n, double temperature, double *scores)
{
  guint best = 0;
  double most = -INFINITY, sum = 0;

  for (guint i = 0; i < n; i++)
    if (logprobs[i] > most) {
      most = logprobs[i];
      best = i;
    }
  for (guint i = 0; i < n; i++)
    sum += scores[i] = !isfinite (most) ? 1 : isnan (logprobs[i]) ? 0 : exp ((logprobs[i] - most) / temperature);
  for (guint i = 0; i < n; i++)
    scores[i] /= sum;
  return best;
}
