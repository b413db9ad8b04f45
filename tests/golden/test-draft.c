/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers that a draft guesses at are those of plain decoding, bit for bit: every family as the large model and as the draft, by
 * each scheme, greedy and drawn; what it means that vocabularies are the same; texts that are split behind others. */
#include <string.h>

#include "engine/decode/draft-priv.h"
#include "engine/decode/generator.h"
#include "tern/error.h"
#include "tests/golden/golden.h"

#define CONTEXT 160
#define TOKENS 40
#define TEXT "A photograph shows a dog that runs along the beach, and a woman who"

static const char *const files[][2] = {
  { "lfm2", "lfm2-tq2_0.gguf" }, { "lfm2s", "lfm2s-bf16.gguf" }, { "families", "bitnet-tq1_0.gguf" },
  { "families", "llama-linear.gguf" }, { "families", "llama-3.gguf" }, { "families", "qwen3.gguf" },
  { "qwen35", "qwen35-q8_0.gguf" }, { "qwen35", "qwen35t-tq2_0.gguf" }, { "qwen35", "bonsai-had128-pq2_0.gguf" },
  { "ssm", "granitehybrid-tq2_0.gguf" }, { "ssm", "mamba-q8_0.gguf" }, { "ssm", "mamba2-q8_0.gguf" },
  { "ssm", "nemotron_h_moe-q8_0.gguf" }, { "vision-own", "smolvlm-text.gguf" },
};

typedef struct {
  TernLlm *llm;
  TernTokenizer *tokenizer;
} Model;

static TernPool *pool;
static Model models[G_N_ELEMENTS (files)];      /* opened when they are first asked for; llm NULL: the file is not there */

static const Model *
model_of (guint i)
{
  g_autofree char *path = golden_path (files[i][0], files[i][1]);
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (GError) error = NULL;
  Model *model = &models[i];

  if (model->llm || !path)
    return model;
  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  model->llm = tern_llm_open (file, tern_kernels_default (NULL), NULL, &error);
  g_assert_no_error (error);
  model->tokenizer = tern_tokenizer_new (file, &error);
  g_assert_no_error (error);
  return model;
}

static TernDraftModel *
draft_model (const Model *draft, const Model *target, TernDraftScheme scheme, GError **error)
{
  return tern_draft_model_new (draft->llm, draft->tokenizer, target->llm, target->tokenizer, scheme, error);
}

/* ---- The same answers -------------------------------------------------------------------------------------------- */

typedef struct {
  const Model *model;
  TernSolo *solo;
  TernGenerator *generator;
  TernPicking *picking;
  float *logits;
} Side;

static void
side_open (Side *side, const Model *model, guint guesses)
{
  TernSoloParams params = { .context = CONTEXT, .guesses = guesses };
  TernGeneratorLimits limits = { .max_tokens = TOKENS, .max_beam = 1 };
  guint n_vocab = tern_llm_info (model->llm)->n_vocab;
  g_autoptr (GError) error = NULL;

  *side = (Side) { .model = model, .solo = tern_solo_new (model->llm, &params, pool, &error) };
  g_assert_no_error (error);
  side->generator = tern_generator_new (model->llm, model->tokenizer, &limits, tern_solo_store (side->solo), &error);
  g_assert_no_error (error);
  side->picking = tern_picking_new (n_vocab, &error);
  side->logits = g_new (float, n_vocab);
}

static void
side_close (Side *side)
{
  tern_generator_free (side->generator);
  tern_picking_free (side->picking);
  tern_solo_free (side->solo);
  g_free (side->logits);
}

static TernSaid
answer (Side *side, const GArray *ids, const TernSampling *sampling)
{
  g_autoptr (GError) error = NULL;

  tern_solo_reset (side->solo);
  tern_solo_eval (side->solo, &(TernLlmInput) { .ids = (const gint32 *) ids->data, .n = ids->len }, TERN_LOGITS_LAST,
      side->logits, NULL, &error);
  g_assert_no_error (error);
  tern_generator_look (side->generator, (const gint32 *) ids->data, ids->len);
  tern_generator_run (side->generator, side->solo, side->logits, sampling, NULL, NULL, NULL, side->picking, NULL, &error);
  g_assert_no_error (error);
  return tern_generator_said (side->generator);
}

static void
set_draft (Side *side, TernDraftModel *model)
{
  g_autoptr (GError) error = NULL;
  TernDraft *draft = tern_draft_new (model, &(TernDraftParams) { .context = 4 * CONTEXT }, pool, &error);

  g_assert_no_error (error);
  tern_generator_set_draft (side->generator, draft);
}

static void
prompt_of (const Model *model, guint variant, GArray *ids)
{
  g_autofree char *text = g_strdup_printf ("%s %u", TEXT, variant);

  gint32 bos = tern_tokenizer_bos (model->tokenizer);

  g_array_set_size (ids, 0);
  if (bos >= 0 && tern_tokenizer_add_bos (model->tokenizer))
    g_array_append_val (ids, bos);
  tern_tokenizer_encode (model->tokenizer, text, strlen (text), TRUE, ids);
}

/* A new draft for each answer: the answer before is never what guesses. What guesses cost is set to nothing, so that no failure
 * makes a draft silent. Guesses that were read are counted. */
static void
check_pair (Side *with, Side *without, TernDraftModel *model)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));

  model->own = model->row = -.5 * .03;
  for (guint i = 0; i < 3; i++) {
    TernSampling sampling = TERN_SAMPLING_INIT;
    TernSaid a, b;

    sampling.max_tokens = TOKENS;
    sampling.ignore_eog = i != 2;
    sampling.temperature = i == 1 ? .5f : 0;
    sampling.repetition_penalty = i == 2 ? 1.2f : 1;
    sampling.seed = 7;
    prompt_of (with->model, i, ids);
    set_draft (with, model);
    a = answer (with, ids, &sampling);
    b = answer (without, ids, &sampling);
    g_assert_cmpmem (a.ids, a.n * sizeof *a.ids, b.ids, b.n * sizeof *b.ids);
    g_assert_cmpfloat (a.logprob, ==, b.logprob);
    g_assert_cmpint (a.finish, ==, b.finish);
    g_assert_cmpuint (tern_solo_pos (with->solo), ==, tern_solo_pos (without->solo));
  }
}

static void
test_same_answers (gconstpointer data)
{
  static const TernDraftScheme schemes[] = { TERN_DRAFT_AUTO, TERN_DRAFT_TLI, TERN_DRAFT_SLEM };
  guint target = GPOINTER_TO_UINT (data), pairs = 0;
  const Model *large = model_of (target);
  guint64 drafted, right;
  Side with, without;

  if (!large->llm) {
    g_test_skip ("not among the data");
    return;
  }
  side_open (&with, large, TERN_GUESS_MAX);
  side_open (&without, large, 0);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    for (guint s = 0; s < G_N_ELEMENTS (schemes); s++) {
      g_autoptr (GError) error = NULL;
      g_autoptr (TernDraftModel) model = NULL;
      const Model *small = model_of (i);

      if (s > 0 && (i + s + target) % 2)        /* one of the two forced ones each */
        continue;
      if (!small->llm || (golden_is_sample () && (i + s + target) % 7))
        continue;
      model = draft_model (small, large, schemes[s], &error);
      if (g_error_matches (error, TERN_ERROR, TERN_ERROR_MISMATCH))
        continue;               /* TLI, and nothing is shared */
      g_assert_no_error (error);
      check_pair (&with, &without, model);
      pairs++;
    }
  tern_generator_drafts (with.generator, &drafted, &right);
  g_test_message ("%u pairs, %" G_GUINT64_FORMAT " guesses, %" G_GUINT64_FORMAT " right", pairs, drafted, right);
  g_assert_cmpuint (pairs, >, 0);
  g_assert_cmpuint (drafted, >, 20 * pairs);
  g_assert_cmpuint (drafted, >, right);
  side_close (&with);
  side_close (&without);
}

/* A model is a perfect draft of itself where it has all tokens of both vocabularies: whatever its layers remember is where it
 * should be after every failure and success. Random models may say ends alone, which no draft says. */
static guint64 said;            /* guesses of all models at themselves */

static void
test_itself (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  const Model *model = model_of (i);

  if (!model->llm) {
    g_test_skip ("not among the data");
    return;
  }
  for (TernDraftScheme scheme = TERN_DRAFT_SAME; scheme <= TERN_DRAFT_TLI; scheme++) {
    g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
    g_autoptr (GError) error = NULL;
    g_autoptr (TernDraftModel) self = draft_model (model, model, scheme, &error);
    TernSampling sampling = TERN_SAMPLING_INIT;
    guint64 drafted, right;
    Side side;

    g_assert_no_error (error);
    g_assert_cmpint (tern_draft_model_scheme (self), ==, scheme);
    side_open (&side, model, TERN_GUESS_MAX);
    self->own = self->row = 0;
    sampling.max_tokens = TOKENS;
    sampling.ignore_eog = TRUE;
    prompt_of (model, 9, ids);
    set_draft (&side, self);
    answer (&side, ids, &sampling);
    tern_generator_drafts (side.generator, &drafted, &right);
    g_test_message ("%s: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT, tern_draft_scheme_name (scheme), right, drafted);
    if (scheme == TERN_DRAFT_SAME || self->shared == self->n_ids)
      g_assert_cmpuint (10 * right, >=, 9 * drafted);
    said += scheme == TERN_DRAFT_SAME ? drafted : 0;
    side_close (&side);
  }
}

static void
test_itself_all (void)
{
  if (!model_of (0)->llm)
    g_test_skip ("not among the data");
  else
    g_assert_cmpuint (said, >=, 10 * TOKENS / 2);
}

/* A draft that is never right is asked less and less, and one that is asked for nothing reads nothing. */
static void
test_silent (void)
{
  const Model *large = model_of (0), *small = model_of (1);
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GError) error = NULL;
  g_autoptr (TernDraftModel) model = NULL;
  TernSampling sampling = TERN_SAMPLING_INIT;
  guint64 before, after;
  Side side;

  if (!large->llm || !small->llm) {
    g_test_skip ("not among the data");
    return;
  }
  model = draft_model (small, large, TERN_DRAFT_AUTO, &error);
  g_assert_no_error (error);
  side_open (&side, large, TERN_GUESS_MAX);
  set_draft (&side, model);
  sampling.max_tokens = TOKENS;
  sampling.ignore_eog = TRUE;
  sampling.temperature = 5;     /* noise, which nobody guesses */
  for (guint i = 0; i < 40; i++) {
    sampling.seed = i;
    prompt_of (large, i, ids);
    answer (&side, ids, &sampling);
  }
  tern_generator_guesses (side.generator, &before, NULL);
  for (guint i = 40; i < 80; i++) {
    sampling.seed = i;
    answer (&side, ids, &sampling);
  }
  tern_generator_guesses (side.generator, &after, NULL);
  g_assert_cmpuint (after - before, <, 40 * TOKENS / 25);
  side_close (&side);
}

/* ---- Vocabularies ------------------------------------------------------------------------------------------------ */

static void
test_vocabularies (void)
{
  const Model *lfm2 = model_of (0), *lfm2s = model_of (1), *bitnet = model_of (2), *spm = model_of (3);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernDraftModel) same = NULL, none = NULL, other = NULL;
  guint shared = 0;

  if (!lfm2->llm || !lfm2s->llm || !bitnet->llm || !spm->llm) {
    g_test_skip ("not among the data");
    return;
  }
  same = draft_model (lfm2s, lfm2, TERN_DRAFT_AUTO, &error);
  g_assert_no_error (error);
  g_assert_cmpint (tern_draft_model_scheme (same), ==, TERN_DRAFT_SAME);

  none = draft_model (bitnet, lfm2, TERN_DRAFT_SAME, &error);
  g_assert_null (none);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_MISMATCH);
  g_assert_nonnull (strstr (error->message, "bitnet-tq1_0.gguf"));
  g_assert_nonnull (strstr (error->message, "lfm2-tq2_0.gguf"));
  g_clear_error (&error);

  /* Counted the slow way: distinct texts of tokens of one kind. */
  other = draft_model (spm, lfm2, TERN_DRAFT_AUTO, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < other->n_target; i++) {
    TernBytes text = tern_tokenizer_piece (lfm2->tokenizer, (gint32) i, TRUE);
    gboolean control = tern_tokenizer_is_control (lfm2->tokenizer, (gint32) i), first = TRUE, found = FALSE;

    for (guint k = 0; k < i && first; k++) {
      TernBytes before = tern_tokenizer_piece (lfm2->tokenizer, (gint32) k, TRUE);

      first = before.len != text.len || memcmp (before.data, text.data, text.len) != 0
          || tern_tokenizer_is_control (lfm2->tokenizer, (gint32) k) != control;
    }
    for (guint k = 0; text.len && first && !found && k < other->n_ids; k++) {
      TernBytes piece = tern_tokenizer_piece (spm->tokenizer, (gint32) k, TRUE);

      found = piece.len == text.len && memcmp (piece.data, text.data, text.len) == 0
          && tern_tokenizer_is_control (spm->tokenizer, (gint32) k) == control;
    }
    shared += found;
  }
  g_assert_cmpuint (tern_draft_model_shared (other), ==, shared);
  g_assert_cmpint (tern_draft_model_scheme (other), ==, 2 * shared >= other->n_target ? TERN_DRAFT_TLI : TERN_DRAFT_SLEM);
}

/* Whatever stands before, the ids spell what is behind, and where they begin at a word they are those of the whole text. */
static void
test_split (void)
{
  static const char text[] = "a dog runs\nthrough  the sn\303\266w, 12 times - and  back";

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    const Model *model = model_of (i);
    g_autoptr (GString) whole = g_string_new (text);

    for (gsize begin = 0; model->llm && begin <= whole->len; begin++) {
      g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
      g_autoptr (GString) spelled = g_string_new (NULL);
      const char *at;

      tern_draft_split (model->tokenizer, whole, begin, ids);
      tern_draft_spell (model->tokenizer, (const gint32 *) ids->data, ids->len, FALSE, spelled);
      at = spelled->str + (spelled->len > whole->len - begin);  /* a space that some vocabularies put before */
      g_assert_cmpstr (at, ==, whole->str + begin);
    }
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  pool = tern_pool_new (1, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *same = g_strdup_printf ("/draft/same-answers/%s", files[i][1]);
    g_autofree char *itself = g_strdup_printf ("/draft/itself/%s", files[i][1]);

    g_test_add_data_func (same, GUINT_TO_POINTER (i), test_same_answers);
    g_test_add_data_func (itself, GUINT_TO_POINTER (i), test_itself);
  }
  g_test_add_func ("/draft/itself/all", test_itself_all);
  g_test_add_func ("/draft/silent", test_silent);
  g_test_add_func ("/draft/vocabularies", test_vocabularies);
  g_test_add_func ("/draft/split", test_split);
  status = g_test_run ();
  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_clear_pointer (&models[i].llm, tern_llm_unref);
    g_clear_pointer (&models[i].tokenizer, tern_tokenizer_unref);
  }
  tern_pool_free (pool);
  return status;
}
