/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/draft.h"

#include <string.h>

#include "engine/base/mem.h"
#include "engine/decode/draft-priv.h"
#include "engine/decode/sampler.h"

#define FIRST_SHARE .8          /* of guesses that come true, before anything is known: one tries */
#define MARGIN .03              /* what guessing has to save, of a pass */
#define PIECE 32                /* rows of a prompt that are read at once: nobody waits longer for a pass */
#define AT_ONCE (TERN_GUESS_MAX + 1)    /* rows that are read as decode rows are */

struct _TernDraft {
  TernDraftModel *model;
  TernStore *store;
  TernTimeline *base, *ahead;   /* what was said, as far as it was read; with guesses behind it */
  TernPass *pass;
  float *logits;                /* [n_vocab] */
  GArray *ids;                  /* gint32, of the draft's vocabulary: the prompt and what was said */
  guint heard;                  /* tokens said that they are of */
  gboolean lost;                /* for this answer: its context is full, or it did not pay */
  TernTrust trust;
  gint32 own[TERN_GUESS_MAX];   /* [n_own] what it said last */
  guint n_own;
  GArray *guesses;              /* gint32: the same for the large model */
  GString *text;                /* SLEM: the answer, ... */
  gsize spelled;                /* ... bytes of it that `ids` are of */
};

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static guint
context_of (const TernLlm *llm, const TernDraftParams *params)
{
  guint most = tern_llm_info (llm)->context;

  return params->context ? MIN (params->context, most) : most;
}

/* The fork has the base's last page and what comes behind it to itself. */
static TernStoreParams
store_params (const TernLlm *llm, const TernDraftParams *params)
{
  guint context = context_of (llm, params);

  return (TernStoreParams) { .context = context, .timelines = 2,
    .pages = (context + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS + 2, .activations = params->activations };
}

static TernPassParams
pass_params (const TernLlm *llm, const TernDraftParams *params)
{
  return (TernPassParams) { .context = context_of (llm, params), .rows = PIECE, .activations = params->activations };
}

gsize
tern_draft_bytes (const TernLlm *llm, const TernDraftParams *params)
{
  TernStoreParams store = store_params (llm, params);
  TernPassParams pass = pass_params (llm, params);
  gsize a = tern_store_bytes (llm, &store), b = tern_pass_bytes (llm, &pass);

  return a > G_MAXSSIZE / 2 || b > G_MAXSSIZE / 2 ? G_MAXSSIZE
      : a + b + tern_llm_info (llm)->n_vocab * sizeof (float) + sizeof (TernDraft);
}

gsize
tern_draft_scratch_bytes (const TernLlm *llm, const TernDraftParams *params)
{
  TernPassParams pass = pass_params (llm, params);

  return tern_pass_scratch_bytes (llm, &pass);
}

TernDraft *
tern_draft_new (TernDraftModel *model, const TernDraftParams *params, TernPool *pool, GError **error)
{
  TernStoreParams store = store_params (model->llm, params);
  TernPassParams pass = pass_params (model->llm, params);
  g_autoptr (TernDraft) self = g_new0 (TernDraft, 1);

  self->model = tern_draft_model_ref (model);
  self->lost = TRUE;
  tern_trust_init (&self->trust, FIRST_SHARE);
  self->ids = g_array_sized_new (FALSE, FALSE, sizeof (gint32), store.context);
  self->guesses = g_array_sized_new (FALSE, FALSE, sizeof (gint32), TERN_GUESS_MAX);
  self->text = g_string_new (NULL);
  if (!(self->store = tern_store_new (model->llm, &store, error)) || !(self->base = tern_timeline_new (self->store, error))
      || !(self->ahead = tern_timeline_new (self->store, error))
      || !(self->pass = tern_pass_new (model->llm, &pass, pool, error))
      || !(self->logits = tern_mem_alloc (tern_llm_info (model->llm)->n_vocab * sizeof (float), "logits of the draft", error)))
    return NULL;
  return g_steal_pointer (&self);
}

void
tern_draft_free (TernDraft *self)
{
  if (!self)
    return;
  tern_pass_free (self->pass);
  tern_timeline_free (self->base);
  tern_timeline_free (self->ahead);
  g_clear_pointer (&self->store, tern_store_unref);
  tern_mem_free (self->logits);
  g_array_unref (self->ids);
  g_array_unref (self->guesses);
  g_string_free (self->text, TRUE);
  tern_draft_model_unref (self->model);
  g_free (self);
}

guint
tern_draft_context (const TernDraft *self)
{
  return tern_timeline_context (self->base);
}

/* ---- What was said ----------------------------------------------------------------------------------------------- */

void
tern_draft_begin (TernDraft *self, const gint32 *ids, guint n)
{
  const TernTokenizer *tokenizer = self->model->tokenizer;
  gint32 bos = tern_tokenizer_bos (tokenizer);

  tern_timeline_reset (self->base);
  g_array_set_size (self->ids, 0);
  tern_draft_model_translate (self->model, ids, n, TRUE, self->ids);
  if (bos >= 0 && tern_tokenizer_add_bos (tokenizer) && (self->ids->len == 0 || g_array_index (self->ids, gint32, 0) != bos))
    g_array_prepend_val (self->ids, bos);
  g_string_truncate (self->text, 0);
  self->spelled = 0;
  self->heard = self->n_own = 0;
  self->lost = FALSE;
}

/* What the draft said itself stays as it was said; the rest of the text is split anew. */
static void
hear_text (TernDraft *self)
{
  for (guint i = 0; i < self->n_own; i++) {
    TernBytes piece = tern_tokenizer_piece (self->model->tokenizer, self->own[i], FALSE);

    if (piece.len > self->text->len - self->spelled || memcmp (piece.data, self->text->str + self->spelled, piece.len) != 0)
      break;
    g_array_append_val (self->ids, self->own[i]);
    self->spelled += piece.len;
  }
  tern_draft_split (self->model->tokenizer, self->text, self->spelled, self->ids);
  self->spelled = self->text->len;
}

static void
hear (TernDraft *self, const gint32 *said, guint n)
{
  const gint32 *new = said + self->heard;
  guint n_new = n - MIN (self->heard, n);

  if (self->model->scheme == TERN_DRAFT_SLEM) {
    tern_draft_spell (self->model->target, new, n_new, FALSE, self->text);
    hear_text (self);
  } else {
    tern_draft_model_translate (self->model, new, n_new, FALSE, self->ids);
  }
  self->heard = n;
  self->n_own = 0;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static gboolean
read_ids (TernDraft *self, TernTimeline *timeline, const gint32 *ids, guint n, gboolean decode, gboolean last)
{
  TernLlm *llm = self->model->llm;
  gsize width = tern_llm_info (llm)->width;
  TernSegment segment = { .timeline = timeline, .n = n, .decode = decode, .stays = TRUE, .logits = self->logits,
    .want = last ? TERN_LOGITS_LAST : TERN_LOGITS_NONE };
  float *rows;

  tern_pass_begin (self->pass);
  rows = tern_pass_add (self->pass, &segment, NULL);
  if (!rows)
    return FALSE;
  tern_llm_embed (llm, ids, n, rows, width);
  return tern_pass_run (self->pass, NULL);
}

/* Reads what was said, or a piece of it. Whether that was all, and its logits are there. */
static gboolean
catch_up (TernDraft *self)
{
  guint at = tern_timeline_pos (self->base), left = self->ids->len - at, n = MIN (left, PIECE);

  if (left == 0)
    return FALSE;
  self->lost = self->ids->len > tern_timeline_context (self->base)
      || !read_ids (self, self->base, &g_array_index (self->ids, gint32, at), n, at > 0 && left <= AT_ONCE, n == left);
  return !self->lost && n == left;
}

/* ---- Guessing ---------------------------------------------------------------------------------------------------- */

/* How many guesses are worth most: with each of them true with probability p, 1 + p + ... + p^g tokens come of a pass with g
 * rows more and g tokens of the draft. */
static guint
how_many (const TernDraft *self, guint most)
{
  double tokens = 1, power = 1, best = 0;
  guint count = 1;

  for (guint g = 1; g <= most; g++) {
    double gain;

    power *= self->trust.share;
    tokens += power;
    gain = tokens / (1 + g * (self->model->own + self->model->row));
    if (gain > best) {
      best = gain;
      count = g;
    }
  }
  return count;
}

/* The likeliest token that the large model has a text for. */
static gint32
pick (const TernDraft *self)
{
  const gint32 *to_target = self->model->to_target;
  gint32 best = -1;

  if (self->model->scheme != TERN_DRAFT_TLI)
    return tern_argmax (self->logits, self->model->n_ids);
  for (guint i = 0; i < self->model->n_ids; i++)
    if (to_target[i] >= 0 && (best < 0 || self->logits[i] > self->logits[best]))
      best = (gint32) i;
  return best;
}

/* Says up to @most tokens, on a fork. An end is not said: nothing comes behind it. */
static void
say (TernDraft *self, guint most)
{
  const TernTokenizer *tokenizer = self->model->tokenizer;
  gint32 id = pick (self);

  tern_timeline_reset (self->ahead);
  while (id >= 0 && !tern_tokenizer_is_eog (tokenizer, id) && !tern_tokenizer_is_control (tokenizer, id)) {
    self->own[self->n_own++] = id;
    if (self->n_own == most)
      break;
    if (self->n_own == 1)
      tern_timeline_fork (self->ahead, self->base);
    if (!read_ids (self, self->ahead, &id, 1, TRUE, TRUE))
      break;
    id = pick (self);
  }
  tern_timeline_reset (self->ahead);    /* so that the base has its last page to itself again */
}

/* What it said, in the large model's vocabulary. */
static void
hand_over (TernDraft *self)
{
  gsize said = self->text->len;

  g_array_set_size (self->guesses, 0);
  if (self->model->scheme == TERN_DRAFT_SLEM) {
    tern_draft_spell (self->model->tokenizer, self->own, self->n_own, FALSE, self->text);
    tern_draft_split (self->model->target, self->text, said, self->guesses);
    g_string_truncate (self->text, said);
    return;
  }
  for (guint i = 0; i < self->n_own; i++) {
    gint32 id = self->model->scheme == TERN_DRAFT_TLI ? self->model->to_target[self->own[i]] : self->own[i];

    g_array_append_val (self->guesses, id);
  }
}

guint
tern_draft_guess (TernDraft *self, const gint32 *said, guint n, guint most, const gint32 **ids)
{
  const gint32 *guesses;
  guint count;

  if (self->lost || most == 0 || self->trust.silent > 0)
    return 0;
  hear (self, said, n);
  if (!catch_up (self))
    return 0;
  most = MIN (most, TERN_GUESS_MAX);
  say (self, how_many (self, most));
  hand_over (self);
  guesses = *ids = (const gint32 *) self->guesses->data;
  for (count = 0; count < MIN (self->guesses->len, most); count++)
    if ((guint) guesses[count] >= self->model->n_target)
      break;
  return count;
}

void
tern_draft_learn (TernDraft *self, guint n, guint right)
{
  tern_trust_learn (&self->trust, n, right, MIN (self->model->own + self->model->row + MARGIN, .95));
  /* What is said in a pause would have to be read behind it: the next answer begins anew. */
  self->lost |= self->trust.silent > 0;
}

void
tern_draft_hear (TernDraft *self)
{
  tern_trust_hear (&self->trust);
}
