/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the vocabularies of a draft and of the model that it guesses for have in common. */
#include <string.h>

#include "engine/decode/draft-priv.h"
#include "engine/llm/cost.h"
#include "tern/error.h"

#define BEHIND 48               /* bytes that decide how what comes after them is split, at most */
/* Multiply-adds with int8 in the time that a byte takes to come: 236 G against some 40 GB a second, two cores of the machine of
 * docs/numbers.md. Others have more of both. */
#define OPS_PER_BYTE 6
#define MOST_ROW .35            /* measured where weights are ternary, and a row costs the most */

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static const char *const scheme_names[] = { "auto", "same", "tli", "slem" };

const char *
tern_draft_scheme_name (TernDraftScheme scheme)
{
  return scheme_names[scheme];
}

gboolean
tern_draft_scheme_parse (const char *name, TernDraftScheme *scheme)
{
  for (guint i = 0; i < G_N_ELEMENTS (scheme_names); i++)
    if (g_str_equal (name, scheme_names[i])) {
      *scheme = i;
      return TRUE;
    }
  return FALSE;
}

/* ---- Tokens in common -------------------------------------------------------------------------------------------- */

static guint
bytes_hash (gconstpointer key)
{
  const TernBytes *bytes = key;
  guint32 hash = 5381;

  for (gsize i = 0; i < bytes->len; i++)
    hash = hash * 33 + (guint8) bytes->data[i];
  return hash;
}

static gboolean
bytes_equal (gconstpointer a, gconstpointer b)
{
  const TernBytes *x = a, *y = b;

  return x->len == y->len && memcmp (x->data, y->data, x->len) == 0;
}

static gboolean
same_token (const TernDraftModel *self, gint32 id)
{
  TernBytes own = tern_tokenizer_piece (self->tokenizer, id, TRUE), other = tern_tokenizer_piece (self->target, id, TRUE);

  return bytes_equal (&own, &other)
      && tern_tokenizer_is_control (self->tokenizer, id) == tern_tokenizer_is_control (self->target, id);
}

/* FALSE: @error, which may be NULL, says where they differ. */
static gboolean
is_same (const TernDraftModel *self, const char *draft, const char *target, GError **error)
{
  if (self->n_ids != self->n_target) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "draft model %s: expected the vocabulary of %s, %u tokens, found %u",
        draft, target, self->n_target, self->n_ids);
    return FALSE;
  }
  for (guint id = 0; id < self->n_ids; id++)
    if (!same_token (self, (gint32) id)) {
      TernBytes own = tern_tokenizer_piece (self->tokenizer, (gint32) id, TRUE);
      TernBytes other = tern_tokenizer_piece (self->target, (gint32) id, TRUE);
      g_autofree char *found = own.len ? g_utf8_make_valid (own.data, (gssize) own.len) : g_strdup ("");
      g_autofree char *expected = other.len ? g_utf8_make_valid (other.data, (gssize) other.len) : g_strdup ("");

      g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "draft model %s: expected the vocabulary of %s, token %u being "
          "`%s`, found `%s`", draft, target, id, expected, found);
      return FALSE;
    }
  return TRUE;
}

/* Tokens of equal bytes and kind are one. Of several with the same bytes the first counts. */
static void
intersect (TernDraftModel *self)
{
  g_autofree TernBytes *pieces = g_new (TernBytes, self->n_target);

  self->to_target = g_new (gint32, self->n_ids);
  self->to_draft = g_new (gint32, self->n_target);
  for (guint i = 0; i < self->n_target; i++)
    self->to_draft[i] = -1;
  for (guint i = 0; i < self->n_ids; i++)
    self->to_target[i] = -1;
  for (guint control = 0; control < 2; control++) {
    g_autoptr (GHashTable) known = g_hash_table_new (bytes_hash, bytes_equal);

    for (guint i = 0; i < self->n_target; i++) {
      pieces[i] = tern_tokenizer_piece (self->target, (gint32) i, TRUE);
      if (pieces[i].len && tern_tokenizer_is_control (self->target, (gint32) i) == (gboolean) control
          && !g_hash_table_contains (known, &pieces[i]))
        g_hash_table_insert (known, &pieces[i], GUINT_TO_POINTER (i + 1));
    }
    for (guint i = 0; i < self->n_ids; i++) {
      TernBytes piece = tern_tokenizer_piece (self->tokenizer, (gint32) i, TRUE);
      guint at = piece.len && tern_tokenizer_is_control (self->tokenizer, (gint32) i) == (gboolean) control
          ? GPOINTER_TO_UINT (g_hash_table_lookup (known, &piece)) : 0;

      if (at == 0 || self->to_draft[at - 1] >= 0)
        continue;
      self->to_target[i] = (gint32) at - 1;
      self->to_draft[at - 1] = (gint32) i;
      self->shared++;
    }
  }
}

/* ---- What it costs ----------------------------------------------------------------------------------------------- */

static void
weigh (TernDraftModel *self, TernLlm *target)
{
  const TernLlmWork word = { .timelines = 1, .rows = 1, .heads = 1, .kv = TERN_KV_F16 };
  TernCost own = { 0 }, large = { 0 };
  double ops;

  tern_llm_cost (self->llm, &word, &own);
  tern_llm_cost (target, &word, &large);
  ops = large.i8 + 4 * large.f32 + 2 * large.bf16;
  self->own = own.bytes / MAX (large.bytes, 1);
  self->row = MIN (ops / OPS_PER_BYTE / MAX (large.bytes, 1), MOST_ROW);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

TernDraftModel *
tern_draft_model_new (TernLlm *draft, TernTokenizer *tokenizer, TernLlm *target, TernTokenizer *target_tokenizer,
    TernDraftScheme scheme, GError **error)
{
  const char *path = tern_gguf_path (tern_llm_file (draft)), *target_path = tern_gguf_path (tern_llm_file (target));
  g_autoptr (TernDraftModel) self = g_new0 (TernDraftModel, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->llm = tern_llm_ref (draft);
  self->tokenizer = tern_tokenizer_ref (tokenizer);
  self->target = tern_tokenizer_ref (target_tokenizer);
  self->n_ids = MIN (tern_tokenizer_size (tokenizer), tern_llm_info (draft)->n_vocab);
  self->n_target = MIN (tern_tokenizer_size (target_tokenizer), tern_llm_info (target)->n_vocab);
  self->scheme = scheme;
  weigh (self, target);
  if (scheme == TERN_DRAFT_AUTO || scheme == TERN_DRAFT_SAME) {
    if (is_same (self, path, target_path, scheme == TERN_DRAFT_SAME ? error : NULL)) {
      self->scheme = TERN_DRAFT_SAME;
      self->shared = self->n_ids;
      return g_steal_pointer (&self);
    }
    if (scheme == TERN_DRAFT_SAME)
      return NULL;
  }
  intersect (self);
  if (scheme == TERN_DRAFT_AUTO)
    self->scheme = 2 * self->shared >= self->n_target ? TERN_DRAFT_TLI : TERN_DRAFT_SLEM;
  if (self->scheme == TERN_DRAFT_TLI && self->shared == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "draft model %s: expected tokens that %s has too, found none", path,
        target_path);
    return NULL;
  }
  return g_steal_pointer (&self);
}

TernDraftModel *
tern_draft_model_ref (TernDraftModel *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
tern_draft_model_unref (TernDraftModel *self)
{
  if (!self || !g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_free (self->to_target);
  g_free (self->to_draft);
  tern_tokenizer_unref (self->tokenizer);
  tern_tokenizer_unref (self->target);
  tern_llm_unref (self->llm);
  g_free (self);
}

TernDraftScheme
tern_draft_model_scheme (const TernDraftModel *self)
{
  return self->scheme;
}

guint
tern_draft_model_shared (const TernDraftModel *self)
{
  return self->shared;
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

void
tern_draft_spell (const TernTokenizer *tokenizer, const gint32 *ids, guint n, gboolean special, GString *out)
{
  for (guint i = 0; i < n; i++) {
    TernBytes piece = ids[i] >= 0 ? tern_tokenizer_piece (tokenizer, ids[i], special) : (TernBytes) { NULL, 0 };

    if (piece.len)
      g_string_append_len (out, piece.data, (gssize) piece.len);
  }
}

/* Where a word begins not far before @begin, so that splitting from there on is as in the whole text. */
static gsize
word_before (const GString *text, gsize begin)
{
  gsize first = begin > BEHIND ? begin - BEHIND : 0;

  for (gsize i = first; i < begin; i++)
    if (i == 0 || text->str[i] == ' ')
      return i;
  return begin;
}

void
tern_draft_split (const TernTokenizer *tokenizer, const GString *text, gsize begin, GArray *out)
{
  gsize from = word_before (text, begin), len = text->len - from, all = 0, passed = 0, before;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  guint first = 0;

  if (begin == text->len)
    return;
  tern_tokenizer_encode (tokenizer, text->str + from, len, FALSE, ids);
  for (guint i = 0; i < ids->len; i++)
    all += tern_tokenizer_piece (tokenizer, g_array_index (ids, gint32, i), FALSE).len;
  /* Some vocabularies put a space before a text. */
  before = begin == from ? 0 : begin - from + all - MIN (all, len);
  while (first < ids->len && passed < before)
    passed += tern_tokenizer_piece (tokenizer, g_array_index (ids, gint32, first++), FALSE).len;
  if (passed == before && first < ids->len)
    g_array_append_vals (out, &g_array_index (ids, gint32, first), ids->len - first);
  else                          /* a token lies across */
    tern_tokenizer_encode (tokenizer, text->str + begin, text->len - begin, FALSE, out);
}

/* ---- Ids --------------------------------------------------------------------------------------------------------- */

static void
translate_one (const TernDraftModel *self, gint32 id, gboolean special, GArray *out)
{
  TernBytes piece = { NULL, 0 };

  if (id < 0)
    return;
  if ((guint) id < self->n_target && self->to_draft[id] >= 0) {
    g_array_append_val (out, self->to_draft[id]);
    return;
  }
  piece = tern_tokenizer_piece (self->target, id, special);
  if (piece.len)
    tern_tokenizer_encode (self->tokenizer, piece.data, piece.len, FALSE, out);
}

void
tern_draft_model_translate (const TernDraftModel *self, const gint32 *ids, guint n, gboolean special, GArray *out)
{
  if (self->scheme == TERN_DRAFT_SLEM) {
    g_autoptr (GString) text = g_string_new (NULL);

    tern_draft_spell (self->target, ids, n, special, text);
    tern_tokenizer_encode (self->tokenizer, text->str, text->len, special, out);
    return;
  }
  for (guint i = 0; i < n; i++)
    if (self->scheme == TERN_DRAFT_TLI)
      translate_one (self, ids[i], special, out);
    else if (ids[i] >= 0)
      g_array_append_val (out, ids[i]);
}
