/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guessing an answer from the one before costs and gains, with one timeline and two threads.
 *
 * usage: guesses MODEL [ANSWERS [TOKENS]]
 *
 * same     the same prompt again and again, as a still scene
 * alike    prompts that differ in a few words
 * noise    answers that are drawn from nearly even odds: no guess comes true but by luck
 *
 * Each is answered twice in turn, by a generator whose store has room for guesses and by one without: tokens a second, guesses
 * that were read, and those that came true. Fails where an answer differs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/decode/generator.h"
#include "engine/text/tokenizer.h"

static const char *const subjects[] = { "dog", "woman", "child", "man in a red shirt", "cat" };
static const char *const places[] = { "beach", "street", "kitchen", "mountain" };

typedef struct {
  TernLlm *llm;
  TernTokenizer *tokenizer;
  TernPool *pool;
  TernPicking *picking;
  float *logits;
  guint tokens;
} Bench;

typedef struct {
  TernSolo *solo;
  TernGenerator *generator;
  gint64 us;
  guint said;
} Side;

static void
must (gboolean ok, GError *error)
{
  if (ok && !error)
    return;
  fprintf (stderr, "guesses: %s\n", error ? error->message : "failed");
  exit (1);
}

static void
open_side (const Bench *bench, Side *side, guint guesses)
{
  TernSoloParams params = { .context = 1024, .guesses = guesses };
  TernGeneratorLimits limits = { .max_tokens = bench->tokens, .max_beam = 1 };
  GError *error = NULL;

  *side = (Side) { .solo = tern_solo_new (bench->llm, &params, bench->pool, &error) };
  must (side->solo != NULL, error);
  side->generator = tern_generator_new (bench->llm, bench->tokenizer, &limits, tern_solo_store (side->solo), &error);
  must (side->generator != NULL, error);
}

static void
close_side (Side *side)
{
  tern_generator_free (side->generator);
  tern_solo_free (side->solo);
}

static void
answer (const Bench *bench, Side *side, const GArray *ids, const TernSampling *sampling)
{
  GError *error = NULL;
  gint64 begin;

  tern_solo_reset (side->solo);
  must (tern_solo_eval (side->solo, &(TernLlmInput) { .ids = (const gint32 *) ids->data, .n = ids->len },
          TERN_LOGITS_LAST, bench->logits, NULL, &error), error);
  begin = g_get_monotonic_time ();
  must (tern_generator_run (side->generator, side->solo, bench->logits, sampling, NULL, NULL, NULL, bench->picking, NULL,
          &error), error);
  side->us += g_get_monotonic_time () - begin;
  side->said += tern_generator_said (side->generator).n;
}

static void
check_same (const Side *a, const Side *b)
{
  TernSaid x = tern_generator_said (a->generator), y = tern_generator_said (b->generator);

  if (x.n != y.n || memcmp (x.ids, y.ids, x.n * sizeof *x.ids) != 0 || x.logprob != y.logprob) {
    fprintf (stderr, "guesses: an answer with guesses differs from one without\n");
    exit (1);
  }
}

static void
run (const Bench *bench, const char *name, guint answers, gboolean alike, gboolean noise)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  TernSampling sampling = TERN_SAMPLING_INIT;
  guint64 read, right;
  Side with, without;

  open_side (bench, &with, TERN_GUESS_MAX);
  open_side (bench, &without, 0);
  sampling.max_tokens = bench->tokens;
  sampling.temperature = noise ? 5 : 0;
  for (guint i = 0; i < answers; i++) {
    guint s = alike ? i % G_N_ELEMENTS (subjects) : 0, p = alike ? i / 3 % G_N_ELEMENTS (places) : 0;
    g_autofree char *text = g_strdup_printf ("A photograph shows a %s at the %s. In one sentence, what happens in it:",
        subjects[s], places[p]);

    g_array_set_size (ids, 0);
    tern_tokenizer_encode (bench->tokenizer, text, strlen (text), TRUE, ids);
    sampling.seed = i;
    answer (bench, i % 2 ? &with : &without, ids, &sampling);
    answer (bench, i % 2 ? &without : &with, ids, &sampling);
    check_same (&with, &without);
  }
  tern_generator_guesses (with.generator, &read, &right);
  printf ("%-6s %5u tokens, %7.1f tokens/s without, %7.1f with: %.2f times; %" G_GUINT64_FORMAT " guesses, %" G_GUINT64_FORMAT
      " right\n", name, with.said, without.said * 1e6 / (double) without.us, with.said * 1e6 / (double) with.us,
      (double) without.us / (double) with.us, read, right);
  close_side (&with);
  close_side (&without);
}

int
main (int argc, char **argv)
{
  guint answers = argc > 2 ? (guint) atoi (argv[2]) : 20;
  Bench bench = { .tokens = argc > 3 ? (guint) atoi (argv[3]) : 32 };
  GError *error = NULL;
  TernGguf *file;
  const TernKernels *kernels;

  if (argc < 2 || answers == 0 || bench.tokens == 0) {
    fprintf (stderr, "usage: guesses MODEL [ANSWERS [TOKENS]]\n");
    return 2;
  }
  must ((kernels = tern_kernels_default (&error)) != NULL, error);
  must ((file = tern_gguf_open (argv[1], &error)) != NULL, error);
  must ((bench.pool = tern_pool_new (2, &error)) != NULL, error);
  must ((bench.tokenizer = tern_tokenizer_new (file, &error)) != NULL, error);
  must ((bench.llm = tern_llm_open (file, kernels, bench.pool, &error)) != NULL, error);
  must ((bench.picking = tern_picking_new (tern_llm_info (bench.llm)->n_vocab, &error)) != NULL, error);
  bench.logits = g_new (float, tern_llm_info (bench.llm)->n_vocab);
  run (&bench, "same", answers, FALSE, FALSE);
  run (&bench, "alike", answers, TRUE, FALSE);
  run (&bench, "noise", answers, FALSE, TRUE);
  g_free (bench.logits);
  tern_picking_free (bench.picking);
  tern_llm_unref (bench.llm);
  tern_tokenizer_unref (bench.tokenizer);
  tern_pool_free (bench.pool);
  tern_gguf_unref (file);
  return 0;
}
