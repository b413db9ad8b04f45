/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drawing a token: distributions worked out by hand. */
#include <math.h>

#include "tern/error.h"
#include "engine/decode/sampler.h"
#include "engine/decode/thought.h"
#include "tests/unit/vocabulary.h"

#define DRAWS 40000

/* Probabilities 1/2, 1/4, 1/8, 1/8 at ids 2, 0, 3, 1. */
static const double halves[] = { 0.25, 0.125, 0.5, 0.125 };

/* Draws from @p with @sampling and compares the shares with @expected. */
static void
check_shares (const double *p, const double *expected, guint n, TernSampling sampling)
{
  TernRandom random = { 42 };
  TernCandidate candidates[8];
  float logits[8];
  guint counts[8] = { 0 };

  for (guint i = 0; i < n; i++)
    logits[i] = (float) log (p[i]) + 3;
  for (guint i = 0; i < DRAWS; i++)
    counts[tern_sample (logits, n, &sampling, &random, candidates)]++;
  for (guint i = 0; i < n; i++) {
    double share = (double) counts[i] / DRAWS, sigma = sqrt (expected[i] * (1 - expected[i]) / DRAWS);

    g_assert_cmpfloat (fabs (share - expected[i]), <=, 4 * sigma);
  }
}

static TernSampling
with (float temperature, guint top_k, float top_p, float min_p)
{
  TernSampling sampling = TERN_SAMPLING_INIT;

  sampling.temperature = temperature;
  sampling.top_k = top_k;
  sampling.top_p = top_p;
  sampling.min_p = min_p;
  return sampling;
}

static void
test_plain (void)
{
  check_shares (halves, halves, 4, with (1, 0, 1, 0));
}

static void
test_temperature (void)
{
  /* p^(1/T): T = 0.5 squares, T = 2 takes roots. */
  const double squared[] = { 4 / 22., 1 / 22., 16 / 22., 1 / 22. };
  double sum = 0.5 + 2 * sqrt (0.125) + sqrt (0.5), root[4];

  for (guint i = 0; i < 4; i++)
    root[i] = sqrt (halves[i]) / sum;
  check_shares (halves, squared, 4, with (0.5f, 0, 1, 0));
  check_shares (halves, root, 4, with (2, 0, 1, 0));
}

static void
test_top_k (void)
{
  const double two[] = { 1 / 3., 0, 2 / 3., 0 };
  /* Of the equal 1 and 3 the lower id stays. */
  const double three[] = { 2 / 7., 1 / 7., 4 / 7., 0 };

  check_shares (halves, two, 4, with (1, 2, 1, 0));
  check_shares (halves, three, 4, with (1, 3, 1, 0));
  check_shares (halves, halves, 4, with (1, 4, 1, 0));
  check_shares (halves, halves, 4, with (1, 100, 1, 0));
}

static void
test_top_p (void)
{
  const double one[] = { 0, 0, 1, 0 }, two[] = { 1 / 3., 0, 2 / 3., 0 };

  check_shares (halves, one, 4, with (1, 0, 0.4f, 0));
  check_shares (halves, two, 4, with (1, 0, 0.7f, 0));   /* 0.5 does not reach it, 0.75 does */
  /* After top-k 3 the best two hold 6/7 = 0.857 of what is left, the best one 4/7. */
  check_shares (halves, two, 4, with (1, 3, 0.85f, 0));
}

static void
test_min_p (void)
{
  const double one[] = { 0, 0, 1, 0 }, two[] = { 1 / 3., 0, 2 / 3., 0 };

  check_shares (halves, two, 4, with (1, 0, 1, 0.3f));
  check_shares (halves, one, 4, with (1, 0, 1, 0.6f));
  /* At temperature 2 the second has 0.707 of the best. */
  check_shares (halves, one, 4, with (2, 0, 1, 0.8f));
}

static void
test_many (void)
{
  /* A long row through the heap: only the 40 best, and in proportion. */
  float logits[5000];
  TernCandidate candidates[5000];
  TernSampling sampling = with (1, 40, 1, 0);
  TernRandom random = { 7 };

  for (guint i = 0; i < 5000; i++)
    logits[i] = (float) (i * 2654435761u % 5000) / 500;
  for (guint i = 0; i < 2000; i++)
    g_assert_cmpfloat (logits[tern_sample (logits, 5000, &sampling, &random, candidates)], >=, 4960 / 500.f);
}

static void
test_odd_rows (void)
{
  TernCandidate candidates[4];
  TernSampling sampling = with (1, 2, 0.9f, 0.1f);
  TernRandom random = { 1 };
  const float masked[] = { -INFINITY, 1, -INFINITY, -INFINITY }, nan[] = { NAN, 0, NAN, -1 };
  const float infinite[] = { 0, INFINITY, 1, INFINITY }, nothing[] = { NAN, -INFINITY, NAN, NAN };

  for (guint i = 0; i < 100; i++) {
    g_assert_cmpint (tern_sample (masked, 4, &sampling, &random, candidates), ==, 1);
    g_assert_cmpint (tern_sample (nan, 4, &sampling, &random, candidates) & 1, ==, 1);
    g_assert_cmpint (tern_sample (infinite, 4, &sampling, &random, candidates), ==, 1);
    g_assert_cmpint (tern_sample (nothing, 4, &sampling, &random, candidates), ==, 0);
  }
  g_assert_cmpint (tern_argmax (nan, 4), ==, 1);
  g_assert_true (isnan (tern_log_sum_exp (nothing, 4)));
}

static void
test_greedy (void)
{
  const float tied[] = { 1, 3, 3, 2 };

  g_assert_cmpint (tern_argmax (tied, 4), ==, 1);
  g_assert_cmpfloat (fabs (tern_log_sum_exp (tied, 4) - 3.9175762), <, 1e-6);
}

static void
test_penalty (void)
{
  g_assert_cmpfloat (tern_penalise (3, 2), ==, 1.5f);
  g_assert_cmpfloat (tern_penalise (-3, 2), ==, -6);
}

static void
check_refused (TernSampling sampling, const char *name)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (tern_sampling_check (&sampling, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_true (g_str_has_prefix (error->message, name));
}

static void
test_check (void)
{
  TernSampling good = TERN_SAMPLING_INIT, bad;
  g_autoptr (GError) error = NULL;

  g_assert_true (tern_sampling_check (&good, &error));
  g_assert_no_error (error);
#define REFUSED(field, value, name) (bad = good, bad.field = (value), check_refused (bad, name))
  REFUSED (max_tokens, 0, "max-tokens");
  REFUSED (beam, 65, "beam");
  REFUSED (temperature, -1, "temperature");
  REFUSED (temperature, NAN, "temperature");
  REFUSED (top_p, 0, "top-p");
  REFUSED (top_p, 1.5f, "top-p");
  REFUSED (min_p, -0.1f, "min-p");
  REFUSED (repetition_penalty, 0, "repetition-penalty");
  REFUSED (length_penalty, INFINITY, "length-penalty");
  bad = good;
  bad.beam = 4;
  bad.temperature = 1;
  check_refused (bad, "temperature");
}

/* What ranges.h says is what is taken, up to both ends and no further. */
static void
test_ranges (void)
{
  TernSampling good = TERN_SAMPLING_INIT, bad;

#define TAKEN(field, value) do { \
    bad = good; \
    bad.field = (value); \
    g_assert_true (tern_sampling_check (&bad, NULL)); \
  } while (0)
  TAKEN (max_tokens, TERN_MAX_TOKENS_MIN);
  TAKEN (max_tokens, TERN_MAX_TOKENS_MAX);
  REFUSED (max_tokens, TERN_MAX_TOKENS_MAX + 1, "max-tokens");
  TAKEN (beam, TERN_BEAM_MIN);
  REFUSED (beam, TERN_BEAM_MIN - 1u, "beam");
  TAKEN (beam, TERN_BEAM_MAX);
  REFUSED (beam, TERN_BEAM_MAX + 1, "beam");
  TAKEN (temperature, TERN_TEMPERATURE_MAX);
  REFUSED (temperature, nextafterf (TERN_TEMPERATURE_MAX, INFINITY), "temperature");
  TAKEN (top_k, TERN_TOP_K_MAX);
  REFUSED (top_k, TERN_TOP_K_MAX + 1u, "top-k");
  TAKEN (top_p, TERN_TOP_P_MIN);
  TAKEN (top_p, TERN_TOP_P_MAX);
  REFUSED (top_p, nextafterf (TERN_TOP_P_MIN, 0), "top-p");
  TAKEN (min_p, TERN_MIN_P_MAX);
  REFUSED (min_p, nextafterf (TERN_MIN_P_MAX, 2), "min-p");
  TAKEN (repetition_penalty, TERN_REPETITION_PENALTY_MIN);
  TAKEN (repetition_penalty, TERN_REPETITION_PENALTY_MAX);
  REFUSED (repetition_penalty, nextafterf (TERN_REPETITION_PENALTY_MIN, 0), "repetition-penalty");
  REFUSED (repetition_penalty, nextafterf (TERN_REPETITION_PENALTY_MAX, INFINITY), "repetition-penalty");
}

/* ---- Thoughts ---------------------------------------------------------------------------------------------------- */

enum { OPEN, CLOSE, LINES, WORD, SPACED, N_PIECES };

static const Piece pieces[N_PIECES] = { { "<think>", 7 }, { "</think>", 8 }, { "\n\n", 2 }, { "dog", 3 }, { " dog", 4 } };

/* Whether a prompt left a thought open, what is said, and how many of these tokens are no answer. */
static void
test_thoughts (void)
{
  static const struct {
    gint32 prompt[4], said[8];  /* end with -1 */
    gboolean form;
    guint thought;
  } cases[] = {
    { { WORD, -1 }, { WORD, SPACED, -1 }, FALSE, 0 },
    { { OPEN, LINES, -1 }, { WORD, SPACED, -1 }, FALSE, 2 },
    { { OPEN, -1 }, { WORD, CLOSE, LINES, WORD, LINES, -1 }, FALSE, 3 },
    { { OPEN, -1 }, { WORD, CLOSE, SPACED, WORD, -1 }, FALSE, 2 },
    { { OPEN, -1 }, { WORD, CLOSE, LINES, LINES, WORD, -1 }, FALSE, 4 },
    { { OPEN, CLOSE, LINES, -1 }, { WORD, SPACED, -1 }, FALSE, 0 },
    { { OPEN, CLOSE, OPEN, -1 }, { WORD, -1 }, FALSE, 1 },
    { { -1 }, { OPEN, WORD, CLOSE, WORD, -1 }, FALSE, 3 },
    { { -1 }, { OPEN, WORD, WORD, -1 }, FALSE, 3 },
    { { -1 }, { WORD, OPEN, WORD, CLOSE, WORD, -1 }, FALSE, 0 },        /* it speaks of the token */
    { { -1 }, { CLOSE, WORD, -1 }, FALSE, 0 },
    { { OPEN, -1 }, { WORD, CLOSE, WORD, OPEN, WORD, -1 }, FALSE, 2 },
    { { OPEN, -1 }, { WORD, WORD, -1 }, TRUE, 0 },
  };
  TernTokenizer *tokenizer = vocabulary_new (pieces, N_PIECES, FALSE);
  TernThought thought;

  tern_thought_init (&thought, tokenizer);
  g_assert_cmpint (thought.open, ==, OPEN);
  g_assert_cmpint (thought.close, ==, CLOSE);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint n = 0;

    while (cases[i].prompt[n] >= 0)
      n++;
    tern_thought_look (&thought, cases[i].prompt, n);
    tern_thought_begin (&thought, cases[i].form);
    for (n = 0; cases[i].said[n] >= 0; n++)
      tern_thought_hear (&thought, tokenizer, cases[i].said[n], n + 1);
    g_test_message ("case %u", i);
    g_assert_cmpuint (thought.n, ==, cases[i].thought);
  }
  /* Of the prompt before, nothing is left. */
  tern_thought_look (&thought, (gint32[]) { OPEN }, 1);
  tern_thought_begin (&thought, FALSE);
  tern_thought_begin (&thought, FALSE);
  tern_thought_hear (&thought, tokenizer, WORD, 1);
  g_assert_cmpuint (thought.n, ==, 0);
  tern_tokenizer_unref (tokenizer);
}

/* Words that stand for no thoughts in vocabularies without both tokens. */
static void
test_no_thoughts (void)
{
  TernTokenizer *tokenizer = vocabulary_new (pieces, 1, FALSE);
  TernThought thought;

  tern_thought_init (&thought, tokenizer);
  tern_thought_look (&thought, (gint32[]) { OPEN }, 1);
  tern_thought_begin (&thought, FALSE);
  tern_thought_hear (&thought, tokenizer, OPEN, 1);
  g_assert_cmpuint (thought.n, ==, 0);
  tern_thought_init (&thought, NULL);
  tern_thought_begin (&thought, FALSE);
  tern_thought_hear (&thought, NULL, 0, 1);
  g_assert_cmpuint (thought.n, ==, 0);
  tern_tokenizer_unref (tokenizer);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/generate/sample/plain", test_plain);
  g_test_add_func ("/generate/sample/temperature", test_temperature);
  g_test_add_func ("/generate/sample/top-k", test_top_k);
  g_test_add_func ("/generate/sample/top-p", test_top_p);
  g_test_add_func ("/generate/sample/min-p", test_min_p);
  g_test_add_func ("/generate/sample/many", test_many);
  g_test_add_func ("/generate/sample/odd-rows", test_odd_rows);
  g_test_add_func ("/generate/greedy", test_greedy);
  g_test_add_func ("/generate/penalty", test_penalty);
  g_test_add_func ("/generate/check", test_check);
  g_test_add_func ("/generate/ranges", test_ranges);
  g_test_add_func ("/generate/thoughts", test_thoughts);
  g_test_add_func ("/generate/no-thoughts", test_no_thoughts);
  return g_test_run ();
}
