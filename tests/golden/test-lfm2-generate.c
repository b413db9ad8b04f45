/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Generation: greedy tokens as the reference has them, beam search against a plain one that computes every sequence
 * from its first token, ends, limits, cancelling. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/decode/generator-priv.h"
#include "engine/decode/sampler.h"
#include "tests/golden/golden.h"
#include "tests/unit/gguf-writer.h"

#define CONTEXT 96
#define MAX_BEAM 5

typedef struct {
  TernPool *pool;
  TernLlm *llm;
  TernTokenizer *tokenizer;
  TernSolo *state;
  TernGenerator *generator;
  TernPicking *picking;
  TernSoloParams params;
  guint n_vocab;
  float *logits;                /* [n_vocab] */
  TernSaid out;
  GArray *heard;                /* ids of the callback */
  double heard_probability;     /* their sum */
  TernCancel cancel;
  guint cancel_after;           /* tokens; 0: never */
} Fixture;

static TernGenerator *
new_generator (Fixture *f)
{
  TernGeneratorLimits limits = { .max_tokens = 1000, .max_beam = MAX_BEAM };
  g_autoptr (GError) error = NULL;
  TernGenerator *generator = tern_generator_new (f->llm, f->tokenizer, &limits, tern_solo_store (f->state), &error);

  g_assert_no_error (error);
  return generator;
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autofree char *path = golden_path ("lfm2", "lfm2-tq2_0.gguf");
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);

  g_assert_no_error (error);
  f->llm = tern_llm_open (file, tern_kernels_default (NULL), NULL, &error);
  g_assert_no_error (error);
  f->tokenizer = tern_tokenizer_new (file, &error);
  g_assert_no_error (error);
  f->pool = tern_pool_new (1, &error);
  f->params = (TernSoloParams) { .context = CONTEXT, .activations = TERN_ACTIVATIONS_F32,
    .forks = MAX_BEAM - 1, .guesses = data ? TERN_GUESS_MAX : 0 };
  f->state = tern_solo_new (f->llm, &f->params, f->pool, &error);
  g_assert_no_error (error);
  f->generator = new_generator (f);
  f->n_vocab = tern_llm_info (f->llm)->n_vocab;
  f->logits = g_new (float, f->n_vocab);
  f->picking = tern_picking_new (f->n_vocab, &error);
  g_assert_no_error (error);
  f->heard = g_array_new (FALSE, FALSE, sizeof (gint32));
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  tern_generator_free (f->generator);
  tern_picking_free (f->picking);
  tern_solo_free (f->state);
  tern_tokenizer_unref (f->tokenizer);
  tern_llm_unref (f->llm);
  tern_pool_free (f->pool);
  g_free (f->logits);
  g_array_unref (f->heard);
}

static void
prompt (Fixture *f, const gint32 *ids, guint n)
{
  g_autoptr (GError) error = NULL;

  tern_solo_reset (f->state);
  tern_solo_eval (f->state, &(TernLlmInput) { .ids = ids, .n = n }, TERN_LOGITS_LAST, f->logits, NULL, &error);
  g_assert_no_error (error);
}

static void
hear (void *data, gint32 id, float probability)
{
  Fixture *f = data;

  g_array_append_val (f->heard, id);
  f->heard_probability += probability;
  if (f->heard->len == f->cancel_after)
    tern_cancel_raise (&f->cancel);
}

/* Runs after @ids; what was heard is what is returned. */
static void
generate (Fixture *f, const gint32 *ids, guint n, const TernSampling *sampling)
{
  g_autoptr (GError) error = NULL;

  prompt (f, ids, n);
  g_array_set_size (f->heard, 0);
  f->heard_probability = 0;
  tern_cancel_reset (&f->cancel);
  tern_generator_run (f->generator, f->state, f->logits, sampling, NULL, hear, f, f->picking, &f->cancel, &error);
  f->out = tern_generator_said (f->generator);
  g_assert_no_error (error);
  g_assert_cmpmem (f->heard->data, f->heard->len * sizeof (gint32), f->out.ids, f->out.n * sizeof (gint32));
  if (f->out.n)
    g_assert_cmpfloat (fabs (f->heard_probability / f->out.n - f->out.mean_probability), <, 1e-6);
  else
    g_assert_cmpfloat (f->out.mean_probability, ==, -1);
}

static const gint32 start[] = { 1, 153, 507, 412, 88 };

/* Tokens, and their log p worked out from logits at all positions. */
static void
test_greedy (Fixture *f, gconstpointer data)
{
  JsonObject *root, *greedy, *item;
  G_GNUC_UNUSED g_autoptr (JsonParser) parser = golden_json ("lfm2", "lfm2-tq2_0.json", &root);
  TernSampling sampling = TERN_SAMPLING_INIT;
  guint n, n_expected;
  double logprob = 0;
  g_autofree gint32 *ids = NULL, *expected = NULL;
  g_autofree float *all = NULL;

  item = json_array_get_object_element (json_object_get_array_member (root, "cases"), 1);
  greedy = json_object_get_object_member (item, "greedy");
  ids = golden_ids (item, "tokens", &n);
  expected = golden_ids (greedy, "tokens", &n_expected);
  sampling.ignore_eog = TRUE;
  sampling.max_tokens = n_expected;
  generate (f, ids, n, &sampling);
  g_assert_cmpmem (f->out.ids, f->out.n * sizeof (gint32), expected, n_expected * sizeof (gint32));
  g_assert_cmpint (f->out.finish, ==, TERN_FINISH_LENGTH);

  all = g_new (float, (gsize) n_expected * f->n_vocab);
  prompt (f, ids, n);
  memcpy (all, f->logits, f->n_vocab * sizeof (float));
  g_assert_true (tern_solo_eval (f->state, &(TernLlmInput) { .ids = expected, .n = n_expected - 1 }, TERN_LOGITS_ALL,
          all + f->n_vocab, NULL, NULL));
  for (guint i = 0; i < n_expected; i++)
    logprob += all[(gsize) i * f->n_vocab + expected[i]] - tern_log_sum_exp (all + (gsize) i * f->n_vocab, f->n_vocab);
  g_assert_cmpfloat (fabs (f->out.logprob - logprob), <, 1e-3);
}

static void
test_sampled (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  gint32 first[CONTEXT], greedy[CONTEXT];
  guint n;

  sampling.ignore_eog = TRUE;
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  memcpy (greedy, f->out.ids, f->out.n * sizeof (gint32));
  n = f->out.n;

  sampling.temperature = 1.5f;
  sampling.seed = 5;
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  memcpy (first, f->out.ids, f->out.n * sizeof (gint32));
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  g_assert_cmpmem (first, n * sizeof (gint32), f->out.ids, f->out.n * sizeof (gint32));
  sampling.seed = 6;
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  g_assert_true (memcmp (first, f->out.ids, n * sizeof (gint32)) != 0);
  sampling.temperature = 1e-4f;
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  g_assert_cmpmem (greedy, n * sizeof (gint32), f->out.ids, f->out.n * sizeof (gint32));
}

/* What is said with a bias is what its sum with the logits of one token after the other says; a search is not asked. */
static void
test_bias (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  g_autofree float *bias = g_new (float, f->n_vocab);
  g_autofree gint32 *plain = NULL, *found = NULL;
  gint32 expected[30];
  double logprob = 0;
  guint n = sampling.max_tokens = G_N_ELEMENTS (expected);

  for (guint i = 0; i < f->n_vocab; i++)
    bias[i] = 2 * sinf (1.7f * i);
  sampling.ignore_eog = TRUE;
  prompt (f, start, G_N_ELEMENTS (start));
  for (guint i = 0; i < n; i++) {
    for (guint k = 0; k < f->n_vocab; k++)
      f->logits[k] += bias[k];
    expected[i] = tern_argmax (f->logits, f->n_vocab);
    logprob += f->logits[expected[i]] - tern_log_sum_exp (f->logits, f->n_vocab);
    g_assert_true (tern_solo_eval (f->state, &(TernLlmInput) { .ids = &expected[i], .n = 1 }, TERN_LOGITS_LAST, f->logits, NULL, NULL));
  }

  generate (f, start, G_N_ELEMENTS (start), &sampling);
  plain = g_memdup2 (f->out.ids, n * sizeof (gint32));
  tern_generator_set_bias (f->generator, bias);
  for (guint again = 0; again < 2; again++) {   /* then it has the answer before to guess by */
    generate (f, start, G_N_ELEMENTS (start), &sampling);
    g_assert_cmpmem (f->out.ids, f->out.n * sizeof (gint32), expected, n * sizeof (gint32));
    g_assert_cmpfloat (fabs (f->out.logprob - logprob), <, 1e-3);
  }
  g_assert_true (memcmp (plain, expected, n * sizeof (gint32)) != 0);

  sampling.beam = 3;
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  found = g_memdup2 (f->out.ids, n * sizeof (gint32));
  tern_generator_set_bias (f->generator, NULL);
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  g_assert_cmpmem (f->out.ids, f->out.n * sizeof (gint32), found, n * sizeof (gint32));
  sampling.beam = 1;
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  g_assert_cmpmem (f->out.ids, f->out.n * sizeof (gint32), plain, n * sizeof (gint32));
}

/* A vocabulary of @n tokens. */
static TernTokenizer *
small_tokenizer (guint n)
{
  g_auto (GgufWriter) w;
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  TernTokenizer *tokenizer;

  writer_init (&w);
  writer_string (&w, "tokenizer.ggml.model", "llama");
  writer_array (&w, "tokenizer.ggml.tokens", TERN_GGUF_STRING, n);
  for (guint i = 0; i < n; i++) {
    g_autofree char *text = g_strdup_printf ("t%u", i);

    put_string (w.keys, text);
  }
  writer_array (&w, "tokenizer.ggml.scores", TERN_GGUF_F32, n);
  for (guint i = 0; i < n; i++)
    put_u32 (w.keys, 0);
  bytes = writer_finish (&w);
  g_close (g_file_open_tmp ("tern-XXXXXX.gguf", &path, NULL), NULL);
  g_assert_true (g_file_set_contents (path, (char *) bytes->data, bytes->len, NULL));
  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  tokenizer = tern_tokenizer_new (file, &error);
  g_assert_no_error (error);
  g_unlink (path);
  return tokenizer;
}

/* A head may have more rows than there are tokens: they are never said, whatever their logits. */
static void
test_rows_without_tokens (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  const guint n = 40;
  gboolean lost = FALSE;

  tern_generator_free (f->generator);
  tern_tokenizer_unref (f->tokenizer);
  f->tokenizer = small_tokenizer (n);
  f->generator = new_generator (f);
  sampling.ignore_eog = TRUE;
  sampling.max_tokens = 12;
  for (guint way = 0; way < 3; way++) {
    sampling.temperature = way == 1 ? 3 : 0;
    sampling.beam = way == 2 ? 3 : 1;
    prompt (f, start, G_N_ELEMENTS (start));
    lost |= tern_argmax (f->logits, f->n_vocab) >= (gint32) n;
    generate (f, start, G_N_ELEMENTS (start), &sampling);
    g_assert_cmpuint (f->out.n, ==, 12);
    for (guint i = 0; i < f->out.n; i++)
      g_assert_cmpint (f->out.ids[i], <, n);
  }
  g_assert_true (lost);         /* else this has shown nothing */
}

/* A huge penalty never says a token twice. */
static void
test_penalty (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;

  sampling.ignore_eog = TRUE;
  sampling.repetition_penalty = 100;
  sampling.max_tokens = 40;
  for (sampling.beam = 1; sampling.beam <= 3; sampling.beam += 2) {
    generate (f, start, G_N_ELEMENTS (start), &sampling);
    g_assert_cmpuint (f->out.n, ==, 40);
    for (guint i = 0; i < 40; i++)
      for (guint j = 0; j < i; j++)
        g_assert_cmpint (f->out.ids[i], !=, f->out.ids[j]);
  }
}

static void
test_limits (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;

  sampling.ignore_eog = TRUE;
  sampling.max_tokens = 1000;
  for (sampling.beam = 1; sampling.beam <= 2; sampling.beam++) {
    /* The last token that fits is said, but not read. */
    generate (f, start, G_N_ELEMENTS (start), &sampling);
    g_assert_cmpuint (f->out.n, ==, CONTEXT - G_N_ELEMENTS (start) + 1);
    g_assert_cmpint (f->out.finish, ==, TERN_FINISH_LENGTH);
  }
}

static void
test_cancel (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;

  sampling.ignore_eog = TRUE;
  f->cancel_after = 4;
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  g_assert_cmpuint (f->out.n, ==, 4);
  g_assert_cmpint (f->out.finish, ==, TERN_FINISH_CANCELLED);
  tern_cancel_raise (&f->cancel);
  prompt (f, start, G_N_ELEMENTS (start));
  g_assert_true (tern_generator_run (f->generator, f->state, f->logits, &sampling, NULL, NULL, NULL, f->picking, &f->cancel,
          NULL));
  f->out = tern_generator_said (f->generator);
  g_assert_cmpuint (f->out.n, ==, 0);
  g_assert_cmpint (f->out.finish, ==, TERN_FINISH_CANCELLED);
}

/* How many tokens are likelier than the likeliest end token. */
static guint
end_rank (Fixture *f)
{
  float end = -INFINITY;
  guint above = 0;

  for (guint id = 0; id < f->n_vocab; id++)
    if (tern_tokenizer_is_eog (f->tokenizer, id))
      end = MAX (end, f->logits[id]);
  for (guint id = 0; id < f->n_vocab; id++)
    above += f->logits[id] > end;
  return above;
}

/* One-token prompts after which the end comes at place 0, 1, ... @n - 1; -1 where there is none. */
static void
ending_prompts (Fixture *f, gint32 *ids, guint n)
{
  for (guint i = 0; i < n; i++)
    ids[i] = -1;
  for (gint32 id = f->n_vocab - 1; id >= 0; id--) {
    guint place;

    prompt (f, &id, 1);
    place = end_rank (f);
    if (place < n)
      ids[place] = id;
  }
}

static void
test_end (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  gint32 id;

  ending_prompts (f, &id, 1);
  if (id < 0) {
    g_test_skip ("this model never ends");
    return;
  }
  generate (f, &id, 1, &sampling);
  g_assert_cmpuint (f->out.n, ==, 0);
  g_assert_cmpint (f->out.finish, ==, TERN_FINISH_STOP);
  g_assert_cmpfloat (f->out.logprob, <, 0);
  sampling.ignore_eog = TRUE;
  generate (f, &id, 1, &sampling);
  g_assert_cmpuint (f->out.n, ==, 32);
}

/* ---- Beam search, the plain way ---------------------------------------------------------------------------------- */

typedef struct {
  gint32 ids[16];
  guint n;
  double score;
  gboolean ended;
} Sequence;

static gint
by_score (gconstpointer a, gconstpointer b)
{
  double x = ((const Sequence *) a)->score, y = ((const Sequence *) b)->score;

  return x < y ? 1 : x > y ? -1 : 0;
}

static double
rank (const Sequence *s, float penalty)
{
  return s->score / pow (s->n, penalty);
}

/* Every step expands all beams by the whole vocabulary and sorts. Sequences keep their end token here. */
static Sequence
plain_beam (Fixture *f, const gint32 *ids, guint n, const TernSampling *sampling)
{
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (Sequence));
  Sequence beams[MAX_BEAM] = { 0 }, best = { 0 };
  guint n_beams = 1, n_ends = 0;
  gboolean found = FALSE;

  for (guint length = 1; length <= sampling->max_tokens; length++) {
    g_array_set_size (all, 0);
    for (guint b = 0; b < n_beams; b++) {
      gint32 text[64];
      double total;

      memcpy (text, ids, n * sizeof (gint32));
      memcpy (text + n, beams[b].ids, beams[b].n * sizeof (gint32));
      prompt (f, text, n + beams[b].n);
      total = tern_log_sum_exp (f->logits, f->n_vocab);
      for (guint id = 0; id < f->n_vocab; id++) {
        Sequence next = beams[b];

        next.ids[next.n++] = id;
        next.score += f->logits[id] - total;
        next.ended = !sampling->ignore_eog && tern_tokenizer_is_eog (f->tokenizer, id);
        g_array_append_val (all, next);
      }
    }
    g_array_sort (all, by_score);
    n_beams = 0;
    for (guint i = 0; n_beams < sampling->beam; i++) {
      const Sequence *s = &g_array_index (all, Sequence, i);

      if (!s->ended) {
        beams[n_beams++] = *s;
      } else if (i < sampling->beam) {
        n_ends++;
        if (!found || rank (s, sampling->length_penalty) > rank (&best, sampling->length_penalty))
          best = *s;
        found = TRUE;
      }
    }
    if (n_ends >= sampling->beam && rank (&best, sampling->length_penalty) >= rank (beams, sampling->length_penalty))
      break;
  }
  for (guint b = 0; b < n_beams; b++)
    if (!found || rank (&beams[b], sampling->length_penalty) > rank (&best, sampling->length_penalty)) {
      best = beams[b];
      found = TRUE;
    }
  return best;
}

static void
check_beam (Fixture *f, const gint32 *ids, guint n, const TernSampling *sampling)
{
  Sequence expected = plain_beam (f, ids, n, sampling);

  generate (f, ids, n, sampling);
  g_assert_cmpmem (expected.ids, (expected.n - expected.ended) * sizeof (gint32), f->out.ids, f->out.n * sizeof (gint32));
  g_assert_cmpint (f->out.finish, ==, expected.ended ? TERN_FINISH_STOP : TERN_FINISH_LENGTH);
  g_assert_cmpfloat (fabs (f->out.logprob - expected.score), <, 1e-3);
}

static void
test_beam (Fixture *f, gconstpointer data)
{
  const float penalties[] = { 0, 3 };
  TernSampling sampling = TERN_SAMPLING_INIT;
  gint32 endings[4];

  ending_prompts (f, endings, G_N_ELEMENTS (endings));
  sampling.max_tokens = 4;
  for (guint i = 0; i < G_N_ELEMENTS (penalties); i++)
    for (sampling.beam = 2; sampling.beam <= MAX_BEAM; sampling.beam += 3) {
      sampling.length_penalty = penalties[i];
      check_beam (f, start, G_N_ELEMENTS (start), &sampling);
      for (guint j = 0; j < G_N_ELEMENTS (endings); j++)
        if (endings[j] >= 0)
          check_beam (f, &endings[j], 1, &sampling);
    }
}

static void
test_too_many_beams (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  g_autoptr (GError) error = NULL;

  sampling.beam = MAX_BEAM + 1;
  prompt (f, start, G_N_ELEMENTS (start));
  g_assert_false (tern_generator_run (f->generator, f->state, f->logits, &sampling, NULL, NULL, NULL, f->picking, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* ---- Key policy in a beam search --------------------------------------------------------------------------------- */

typedef struct {
  guint observed, asked;
  gint32 keys[CONTEXT];
} Counter;

static void
count_scores (void *self, const TernKeyView *view)
{
  ((Counter *) self)->observed++;
}

static const gint32 *
half_keys (void *self, guint layer, guint n_keys, guint *n_out)
{
  Counter *counter = self;

  counter->asked++;
  *n_out = 0;
  for (guint i = 0; i < n_keys; i++)
    if (i % 2 || i == n_keys - 1)
      counter->keys[(*n_out)++] = i;
  return counter->keys;
}

/* Once a step and layer, whatever the number of beams; the state keeps its policy. */
static void
test_beam_policy (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  Counter counter = { 0 };
  TernKeyPolicy policy = { .score_layer = 1, .observe = count_scores, .keys = half_keys, .self = &counter };

  sampling.beam = 3;
  sampling.max_tokens = 5;
  sampling.ignore_eog = TRUE;
  tern_timeline_set_policy (tern_solo_timeline (f->state), &policy);
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  g_assert_cmpuint (f->out.n, ==, 5);
  g_assert_cmpuint (counter.observed, ==, 4);
  g_assert_cmpuint (counter.asked, ==, 4);
  g_assert_true (tern_timeline_policy (tern_solo_timeline (f->state)) == &policy);
}

/* ---- Guesses by the answer before -------------------------------------------------------------------------------- */

/* What @f says after @ids, kept: [n] ids. */
static gint32 *
say (Fixture *f, const gint32 *ids, guint n, const TernSampling *sampling, TernSaid *said)
{
  generate (f, ids, n, sampling);
  *said = f->out;
  return g_memdup2 (f->out.ids, f->out.n * sizeof (gint32));
}

/* Answers to prompts that change now and then, greedy, drawn and with a penalty: bit for bit those of a generator that guesses
 * nothing, and timelines that have read the same. */
static void
test_guesses (Fixture *f, gconstpointer data)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (21);
  Fixture plain = { 0 };
  guint64 guessed, right;
  gint32 ids[5];

  set_up (&plain, NULL);
  memcpy (ids, start, sizeof ids);
  for (guint i = 0; i < 60; i++) {
    TernSampling sampling = TERN_SAMPLING_INIT;
    g_autofree gint32 *said = NULL, *expected = NULL;
    TernSaid got, want;

    sampling.ignore_eog = i % 4 != 0;
    sampling.max_tokens = i % 7 == 6 ? 1000 : 24;
    if (i % 5 == 3)
      sampling.repetition_penalty = 1.3f;
    if (i % 6 == 5) {
      sampling.temperature = .4f;
      sampling.seed = i;
    }
    if (i % 3 == 2)
      ids[g_rand_int_range (rand, 0, 5)] = g_rand_int_range (rand, 0, (gint32) f->n_vocab);
    expected = say (&plain, ids, 5, &sampling, &want);
    said = say (f, ids, 5, &sampling, &got);
    g_assert_cmpmem (said, got.n * sizeof (gint32), expected, want.n * sizeof (gint32));
    g_assert_cmpint (got.finish, ==, want.finish);
    g_assert_cmpfloat (got.logprob, ==, want.logprob);
    g_assert_cmpfloat (got.mean_probability, ==, want.mean_probability);
    g_assert_cmpuint (tern_solo_pos (f->state), ==, tern_solo_pos (plain.state));
    g_assert_cmpuint (tern_store_free_guesses (tern_solo_store (f->state)), ==, TERN_GUESS_MAX);
  }
  tern_generator_guesses (plain.generator, &guessed, &right);
  g_assert_cmpuint (guessed, ==, 0);
  tern_generator_guesses (f->generator, &guessed, &right);
  g_assert_cmpuint (right, >, 0);
  g_assert_cmpuint (guessed, >, right); /* some were wrong */
  tear_down (&plain, NULL);
}

/* The same answer again and again takes a pass for eight tokens; one that is never the same soon takes one each. */
static void
test_guesses_pay (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  guint64 guessed, right, guessed_before, right_before;

  sampling.ignore_eog = TRUE;
  sampling.max_tokens = 41;
  for (guint i = 0; i < 4; i++)
    generate (f, start, G_N_ELEMENTS (start), &sampling);
  tern_generator_guesses (f->generator, &guessed_before, &right_before);
  generate (f, start, G_N_ELEMENTS (start), &sampling);
  tern_generator_guesses (f->generator, &guessed, &right);
  g_assert_cmpuint (guessed - guessed_before, ==, 35);  /* 40 tokens are read, five of them first of a pass */
  g_assert_cmpuint (right - right_before, ==, 35);

  sampling.temperature = 5;     /* noise */
  for (guint i = 0; i < 40; i++) {
    sampling.seed = 100 + i;
    generate (f, start, G_N_ELEMENTS (start), &sampling);
  }
  tern_generator_guesses (f->generator, &guessed_before, NULL);
  for (guint i = 0; i < 40; i++) {
    sampling.seed = 200 + i;
    generate (f, start, G_N_ELEMENTS (start), &sampling);
  }
  tern_generator_guesses (f->generator, &guessed, NULL);
  g_assert_cmpuint (guessed - guessed_before, <, 40 * 41 / 50);
}

/* The same tokens, of which a thought that the prompt left open is not said: two of them make up its ends here. */
static void
check_thought (Fixture *f, const TernSampling *sampling)
{
  TernThought *thought = &f->generator->thought;
  const gint32 open = start[G_N_ELEMENTS (start) - 1];
  gint32 all[CONTEXT];
  guint n, end;

  tern_thought_init (thought, NULL);
  generate (f, start, G_N_ELEMENTS (start), sampling);
  n = f->out.n;
  memcpy (all, f->out.ids, n * sizeof (gint32));
  thought->open = open;
  thought->close = all[n / 2];
  for (end = 1; all[end - 1] != thought->close; end++)
    ;
  generate (f, start, G_N_ELEMENTS (start), sampling);  /* it did not look */
  g_assert_cmpmem (all, n * sizeof (gint32), f->out.ids, f->out.n * sizeof (gint32));

  tern_generator_look (f->generator, start, G_N_ELEMENTS (start));
  generate (f, start, G_N_ELEMENTS (start), sampling);
  g_assert_cmpuint (f->out.n, <=, n - end);
  g_assert_cmpuint (f->out.n, >, 0);
  g_assert_cmpmem (all + n - f->out.n, f->out.n * sizeof (gint32), f->out.ids, f->out.n * sizeof (gint32));

  thought->close = (gint32) f->n_vocab; /* does not come */
  tern_generator_look (f->generator, start, G_N_ELEMENTS (start));
  generate (f, start, G_N_ELEMENTS (start), sampling);
  g_assert_cmpuint (f->out.n, ==, 0);
  g_assert_cmpint (f->out.finish, ==, TERN_FINISH_LENGTH);
}

static void
test_thought (Fixture *f, gconstpointer data)
{
  TernSampling sampling = TERN_SAMPLING_INIT;

  sampling.ignore_eog = TRUE;
  sampling.max_tokens = 20;
  check_thought (f, &sampling);
  sampling.beam = 3;
  check_thought (f, &sampling);
}

int
main (int argc, char **argv)
{
  g_autofree char *path = golden_path ("lfm2", "lfm2-tq2_0.gguf");

  g_test_init (&argc, &argv, NULL);
  if (!path) {
    g_print ("1..0 # SKIP no lfm2-tq2_0.gguf among the data\n");
    return 0;
  }
#define ADD(name, func) g_test_add ("/lfm2-generate/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("greedy", test_greedy);
  ADD ("sampled", test_sampled);
  ADD ("rows-without-tokens", test_rows_without_tokens);
  ADD ("penalty", test_penalty);
  ADD ("limits", test_limits);
  ADD ("cancel", test_cancel);
  ADD ("end", test_end);
  ADD ("thought", test_thought);
  ADD ("beam/plain", test_beam);
  ADD ("beam/too-many", test_too_many_beams);
  ADD ("beam/policy", test_beam_policy);
  ADD ("bias", test_bias);
  g_test_add ("/lfm2-generate/guesses/bias", Fixture, "", set_up, test_bias, tear_down);
  g_test_add ("/lfm2-generate/guesses/same", Fixture, "", set_up, test_guesses, tear_down);
  g_test_add ("/lfm2-generate/guesses/pay", Fixture, "", set_up, test_guesses_pay, tear_down);
  return g_test_run ();
}
