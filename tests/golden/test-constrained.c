/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers in a form: whatever the logits, the tokenizer and the way of choosing, a whole sentence comes within the budget, and
 * its probabilities are the model's own. What is a sentence is judged by others: json-glib, and comparing of strings. */
#include <math.h>
#include <string.h>

#include "engine/decode/generator-priv.h"
#include "engine/decode/sampler.h"
#include "tern/error.h"
#include "tests/golden/golden.h"

#define CONTEXT 192u
#define MAX_TOKENS 120u
#define MAX_BEAM 3u

static const struct {
  const char *folder, *file;
} models[] = {
  { "lfm2", "lfm2-tq2_0.gguf" },
  { "families", "qwen3.gguf" },         /* a token a byte */
  { "families", "llama-linear.gguf" },  /* SentencePiece */
  { NULL, "tern-captioner-4m-tq2_0.gguf" },     /* the bundled one */
};

/* An answer to be judged. */
typedef gboolean (*Judge) (const char *text);

static gboolean
is_json (const char *text)
{
  g_autoptr (JsonParser) parser = json_parser_new ();

  return json_parser_load_from_data (parser, text, -1, NULL) && json_parser_get_root (parser);
}

/* {"seen": [STRING, ...]} */
static gboolean
is_seen (const char *text)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonArray *seen;

  if (!json_parser_load_from_data (parser, text, -1, NULL) || !JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
    return FALSE;
  seen = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), "seen");
  for (guint i = 0; seen && i < json_array_get_length (seen); i++)
    if (!json_array_get_string_element (seen, i))
      return FALSE;
  return seen != NULL;
}

static gboolean
is_choice (const char *text)
{
  return strcmp (text, "yes") == 0 || strcmp (text, "no") == 0 || strcmp (text, "not at all") == 0;
}

static gboolean
is_number (const char *text)
{
  return *text && strspn (text, "0123456789") == strlen (text);
}

static const struct {
  const char *text;
  Judge judge;
} grammars[] = {
  { "root ::= \"yes\" | \"no\" | \"not at all\"", is_choice },
  { "root ::= [0-9]+", is_number },     /* may end, and may go on for ever */
  { "root ::= \"{\\\"seen\\\": [\" (item (\", \" item)*)? \"]}\"\n"
    "item ::= \"\\\"\" char* \"\\\"\"\n"
    "char ::= [^\"\\\\\\x00-\\x1f\\x7f] | \"\\\\\" [\"\\\\/bfnrt]\n", is_seen },
  { "root ::= value\n"
    "value ::= object | array | \"\\\"\" [^\"\\\\\\x00-\\x1f\\x7f]* \"\\\"\" | [1-9] [0-9]* | \"true\" | \"null\"\n"
    "array ::= \"[\" (value (\",\" value)*)? \"]\"\n"
    "object ::= \"{\" (pair (\",\" pair)*)? \"}\"\n"
    "pair ::= \"\\\"\" [a-z]+ \"\\\":\" value\n", is_json },
};

typedef struct {
  TernPool *pool;
  TernLlm *llm;
  TernTokenizer *tokenizer;
  TernTokenTrie *trie;
  TernSolo *solo;
  TernGenerator *generator;
  TernPicking *picking;
  gboolean sentencepiece;
  guint n_vocab, n_ids;
  float *logits;                /* [MAX_BEAM, n_vocab] */
  TernSaid said;
  GString *text;
} Fixture;

static const gint32 start[] = { 1, 153, 207, 112, 88 };

static void
set_up (Fixture *f, guint model)
{
  g_autofree char *path = models[model].folder ? golden_path (models[model].folder, models[model].file)
      : g_build_filename (g_getenv ("TERN_MODELS"), models[model].file, NULL);
  TernGeneratorLimits limits = { .max_tokens = MAX_TOKENS, .max_beam = MAX_BEAM };
  TernSoloParams params = { .context = CONTEXT, .activations = TERN_ACTIVATIONS_INT8,
    .forks = tern_generator_forks (&limits), .fork_pages = tern_generator_pages (&limits) };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);

  g_assert_no_error (error);
  *f = (Fixture) { .pool = tern_pool_new (1, NULL), .text = g_string_new (NULL) };
  f->llm = tern_llm_open (file, tern_kernels_default (NULL), NULL, &error);
  g_assert_no_error (error);
  f->tokenizer = tern_tokenizer_new (file, &error);
  g_assert_no_error (error);
  f->n_vocab = tern_llm_info (f->llm)->n_vocab;
  f->n_ids = MIN (f->n_vocab, tern_tokenizer_size (f->tokenizer));
  f->trie = tern_token_trie_new (f->tokenizer, f->n_ids, &error);
  g_assert_no_error (error);
  f->solo = tern_solo_new (f->llm, &params, f->pool, &error);
  g_assert_no_error (error);
  f->generator = tern_generator_new (f->llm, f->tokenizer, &limits, tern_solo_store (f->solo), &error);
  g_assert_no_error (error);
  f->picking = tern_picking_new (f->n_vocab, &error);
  f->sentencepiece = strstr (path, "llama-linear") != NULL;
  f->logits = g_new (float, (gsize) MAX_BEAM * f->n_vocab);
}

static void
tear_down (Fixture *f)
{
  tern_generator_free (f->generator);
  tern_picking_free (f->picking);
  tern_solo_free (f->solo);
  tern_token_trie_unref (f->trie);
  tern_tokenizer_unref (f->tokenizer);
  tern_llm_unref (f->llm);
  tern_pool_free (f->pool);
  g_free (f->logits);
  g_string_free (f->text, TRUE);
}

static TernConstraint *
constraint_of (const Fixture *f, const char *gbnf)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGrammar) grammar = tern_grammar_from_gbnf (gbnf, &error);
  TernConstraint *constraint;

  g_assert_no_error (error);
  constraint = tern_constraint_new (grammar, f->trie, &error);
  g_assert_no_error (error);
  return constraint;
}

static void
prompt (Fixture *f)
{
  tern_solo_reset (f->solo);
  g_assert_true (tern_solo_eval (f->solo, &(TernLlmInput) { .ids = start, .n = G_N_ELEMENTS (start) }, TERN_LOGITS_LAST,
          f->logits, NULL, NULL));
}

/* What was said, as text. */
static void
spell (Fixture *f)
{
  TernTextStream stream = { { 0 }, 0 };

  f->said = tern_generator_said (f->generator);
  g_string_truncate (f->text, 0);
  for (guint i = 0; i < f->said.n; i++)
    tern_text_stream_push (&stream, f->tokenizer, f->said.ids[i], f->text);
  tern_text_stream_end (&stream, f->text);
  if (f->sentencepiece && f->text->str[0] == ' ')       /* which is not the text's */
    g_string_erase (f->text, 0, 1);
}

static void
judge (Fixture *f, guint grammar, guint max_tokens)
{
  spell (f);
  g_assert_cmpint (f->said.finish, ==, TERN_FINISH_STOP);
  g_assert_cmpuint (f->said.n, <=, max_tokens);
  if (!grammars[grammar].judge (f->text->str))
    g_error ("grammar %u: %s is no sentence of it", grammar, f->text->str);
}

/* Sum of log p of what was said, by plain passes; @p: the sum of p. */
static double
plain_logprob (Fixture *f, double *p)
{
  g_autofree gint32 *ids = g_memdup2 (f->said.ids, f->said.n * sizeof (gint32));
  double sum = 0;

  *p = 0;
  prompt (f);
  for (guint i = 0; i < f->said.n; i++) {
    double logprob = f->logits[ids[i]] - tern_log_sum_exp (f->logits, f->n_ids);

    sum += logprob;
    *p += exp (logprob);
    if (i + 1 < f->said.n)
      g_assert_true (tern_solo_eval (f->solo, &(TernLlmInput) { .ids = ids + i, .n = 1 }, TERN_LOGITS_LAST, f->logits,
              NULL, NULL));
  }
  return sum;
}

static const TernSampling ways[] = {
  { .beam = 1, .top_p = 1, .repetition_penalty = 1 },
  { .beam = 1, .top_p = 1, .repetition_penalty = 1, .temperature = 1.5f },
  { .beam = 1, .top_p = 0.9f, .repetition_penalty = 1.3f, .temperature = 1.5f, .top_k = 40, .min_p = 0.01f },
  { .beam = 1, .top_p = 1, .repetition_penalty = 100, .ignore_eog = TRUE },
  { .beam = MAX_BEAM, .top_p = 1, .repetition_penalty = 1, .length_penalty = 0.7f },
  { .beam = MAX_BEAM, .top_p = 1, .repetition_penalty = 1.3f, .length_penalty = 0 },
};

static void
check_way (Fixture *f, guint grammar, TernConstraint *constraint, TernSampling sampling)
{
  g_autoptr (GError) error = NULL;
  double p, logprob;
  guint free;

  tern_solo_reset (f->solo);
  free = tern_store_free_pages (tern_solo_store (f->solo));
  prompt (f);
  tern_generator_run (f->generator, f->solo, f->logits, &sampling, constraint, NULL, NULL, f->picking, NULL, &error);
  g_assert_no_error (error);
  judge (f, grammar, sampling.max_tokens);
  tern_solo_reset (f->solo);
  g_assert_cmpuint (tern_store_free_pages (tern_solo_store (f->solo)), ==, free);
  if (f->said.n == 0)
    return;
  logprob = plain_logprob (f, &p);
  g_assert_cmpfloat (fabs (f->said.mean_probability - p / f->said.n), <, 1e-5);
  g_assert_cmpfloat (f->said.logprob, <=, logprob + 1e-3);      /* an end token may have been said too */
}

/* Every way of choosing, and every budget from the smallest. */
static void
test_model (gconstpointer data)
{
  Fixture f;

  set_up (&f, GPOINTER_TO_UINT (data));
  for (guint g = 0; g < G_N_ELEMENTS (grammars); g++) {
    g_autoptr (TernConstraint) constraint = constraint_of (&f, grammars[g].text);
    guint shortest = tern_constraint_shortest (constraint);

    for (guint w = 0; w < G_N_ELEMENTS (ways); w++) {
      TernSampling sampling = ways[w];

      sampling.max_tokens = MAX_TOKENS;
      for (sampling.seed = 0; sampling.seed < (sampling.temperature > 0 ? 5 : 1); sampling.seed++)
        check_way (&f, g, constraint, sampling);
      for (guint more = 0; more < 12; more += 1 + more / 4) {
        sampling.seed = more;
        sampling.max_tokens = shortest + more;
        check_way (&f, g, constraint, sampling);
      }
    }
  }
  tear_down (&f);
}

/* ---- Logits of the worst kind ------------------------------------------------------------------------------------ */

enum { RANDOM, NAN_ALL, NAN_SOME, MINUS_INF, ONE_TOKEN, N_KINDS };

static void
bad_logits (const Fixture *f, guint kind, GRand *rand, float *logits)
{
  gint32 one = g_rand_int_range (rand, 0, (gint) f->n_ids);

  for (guint id = 0; id < f->n_vocab; id++)
    switch (kind) {
      case RANDOM:
        logits[id] = (float) g_rand_double_range (rand, -30, 30);
        break;
      case NAN_ALL:
        logits[id] = NAN;
        break;
      case NAN_SOME:
        logits[id] = g_rand_int_range (rand, 0, 3) ? NAN : 1;
        break;
      case MINUS_INF:
        logits[id] = -INFINITY;
        break;
      default:
        logits[id] = id == (guint) one ? 1e30f : -INFINITY;
    }
}

static void
answer_bad_logits (Fixture *f, guint kind, TernConstraint *constraint, const TernSampling *sampling, GRand *rand)
{
  g_autoptr (GError) error = NULL;
  const TernWanted *wants;
  guint n = 1;

  tern_solo_reset (f->solo);
  tern_generator_begin (f->generator, tern_solo_timeline (f->solo), sampling, constraint, &error);
  g_assert_no_error (error);
  for (; n > 0; n = tern_generator_wants (f->generator, &wants)) {
    for (guint i = 0; i < n; i++)
      bad_logits (f, kind, rand, f->logits + (gsize) i * f->n_vocab);
    tern_generator_take (f->generator, f->logits, f->picking);
  }
}

/* No answer, in whatever form, is one of a model that says no numbers. */
static void
judge_no_numbers (const Fixture *f)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (tern_generator_is_finished (f->generator));
  g_assert_cmpint (tern_generator_said (f->generator).finish, ==, TERN_FINISH_NO_NUMBERS);
  g_assert_false (tern_generator_check (f->generator, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "finite logits"));
}

static void
test_bad_logits (gconstpointer data)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);
  Fixture f;

  set_up (&f, GPOINTER_TO_UINT (data));
  for (guint g = 0; g < G_N_ELEMENTS (grammars); g++) {
    g_autoptr (TernConstraint) constraint = constraint_of (&f, grammars[g].text);

    for (guint w = 0; w < G_N_ELEMENTS (ways); w++)
      for (guint kind = 0; kind < N_KINDS; kind++)
        for (guint i = 0; i < 6; i++) {
          TernSampling sampling = ways[w];

          sampling.seed = i;
          sampling.max_tokens = i % 2 ? MAX_TOKENS : tern_constraint_shortest (constraint) + i;
          answer_bad_logits (&f, kind, constraint, &sampling, rand);
          if (kind == RANDOM || kind == ONE_TOKEN)
            judge (&f, g, sampling.max_tokens);
          else
            judge_no_numbers (&f);
        }
  }
  tear_down (&f);
}

/* ---- Limits ------------------------------------------------------------------------------------------------------ */

static void
test_too_short (void)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  g_autoptr (GError) error = NULL;
  Fixture f;

  set_up (&f, 1);
  {
    g_autoptr (TernConstraint) constraint = constraint_of (&f, "root ::= \"0123456789\"");

    g_assert_cmpuint (tern_constraint_shortest (constraint), ==, 10);
    sampling.max_tokens = 9;
    prompt (&f);
    g_assert_false (tern_generator_begin (f.generator, tern_solo_timeline (f.solo), &sampling, constraint, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, "10"));
    g_assert_nonnull (strstr (error->message, "9"));
    g_clear_error (&error);
    /* The context is a budget too: the last token is not read. */
    sampling.max_tokens = MAX_TOKENS;
    for (guint i = tern_solo_pos (f.solo); i < CONTEXT - 9; i++)
      g_assert_true (tern_solo_eval (f.solo, &(TernLlmInput) { .ids = start, .n = 1 }, TERN_LOGITS_LAST, f.logits, NULL,
              NULL));
    for (sampling.beam = 1; sampling.beam <= 2; sampling.beam++) {
      g_assert_true (tern_generator_begin (f.generator, tern_solo_timeline (f.solo), &sampling, constraint, &error));
    }
    g_assert_true (tern_solo_eval (f.solo, &(TernLlmInput) { .ids = start, .n = 1 }, TERN_LOGITS_LAST, f.logits, NULL, NULL));
    sampling.beam = 1;
    g_assert_false (tern_generator_begin (f.generator, tern_solo_timeline (f.solo), &sampling, constraint, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, "context"));
  }
  tear_down (&f);
}

/* The end of the context presses as max_tokens does. */
static void
test_context (void)
{
  Fixture f;

  set_up (&f, 3);
  for (guint g = 1; g < G_N_ELEMENTS (grammars); g++)
    for (guint w = 0; w < G_N_ELEMENTS (ways); w++) {
      g_autoptr (TernConstraint) constraint = constraint_of (&f, grammars[g].text);
      guint room = tern_constraint_shortest (constraint) + g;
      g_autoptr (GError) error = NULL;
      TernSampling sampling = ways[w];

      sampling.max_tokens = MAX_TOKENS;
      prompt (&f);
      while (tern_solo_pos (f.solo) < CONTEXT + 1 - room)
        g_assert_true (tern_solo_eval (f.solo, &(TernLlmInput) { .ids = start + 1, .n = 1 }, TERN_LOGITS_LAST, f.logits, NULL,
                NULL));
      tern_generator_run (f.generator, f.solo, f.logits, &sampling, constraint, NULL, NULL, f.picking, NULL, &error);
      g_assert_no_error (error);
      judge (&f, g, room);
    }
  tear_down (&f);
}

/* Free text is what it was after answers in a form, and a cancelled one ends in the midst. */
static void
test_between (void)
{
  g_autofree gint32 *free_text = NULL;
  TernSampling sampling = TERN_SAMPLING_INIT;
  Fixture f;

  set_up (&f, 0);
  for (sampling.beam = 1; sampling.beam <= MAX_BEAM; sampling.beam += 2) {
    g_autoptr (TernConstraint) constraint = constraint_of (&f, grammars[2].text);
    TernCancel cancel = { 0 };
    guint n;

    prompt (&f);
    g_assert_true (tern_generator_run (f.generator, f.solo, f.logits, &sampling, NULL, NULL, NULL, f.picking, NULL, NULL));
    f.said = tern_generator_said (f.generator);
    n = f.said.n;
    g_free (free_text);
    free_text = g_memdup2 (f.said.ids, n * sizeof (gint32));
    prompt (&f);
    g_assert_true (tern_generator_begin (f.generator, tern_solo_timeline (f.solo), &sampling, constraint, NULL));
    tern_generator_take (f.generator, f.logits, f.picking);
    tern_generator_cancel (f.generator);
    g_assert_cmpint (tern_generator_said (f.generator).finish, ==, TERN_FINISH_CANCELLED);
    g_assert_cmpuint (tern_generator_said (f.generator).n, ==, 1);
    prompt (&f);
    g_assert_true (tern_generator_run (f.generator, f.solo, f.logits, &sampling, NULL, NULL, NULL, f.picking, &cancel, NULL));
    f.said = tern_generator_said (f.generator);
    g_assert_cmpmem (f.said.ids, f.said.n * sizeof (gint32), free_text, n * sizeof (gint32));
  }
  tear_down (&f);
}

/* A matcher that lost its way says so, and the answer ends there. */
static void
test_failed (void)
{
  TernSampling sampling = TERN_SAMPLING_INIT;
  Fixture f;

  set_up (&f, 1);
  for (sampling.beam = 1; sampling.beam <= MAX_BEAM; sampling.beam += 2) {
    g_autoptr (TernConstraint) constraint = constraint_of (&f, "root ::= \"0123456789\"");
    g_autoptr (GError) error = NULL;

    prompt (&f);
    g_assert_true (tern_generator_begin (f.generator, tern_solo_timeline (f.solo), &sampling, constraint, NULL));
    g_assert_true (tern_generator_check (f.generator, NULL));
    for (guint i = 0; i < sampling.beam; i++)
      tern_matcher_accept (f.generator->matchers[i], 'x');      /* a token a byte: it was not allowed */
    tern_generator_take (f.generator, f.logits, f.picking);
    g_assert_true (tern_generator_is_finished (f.generator));
    g_assert_cmpint (tern_generator_said (f.generator).finish, ==, TERN_FINISH_FAILED);
    g_assert_false (tern_generator_check (f.generator, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  }
  tear_down (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autofree char *base = g_path_get_basename (models[i].file);
    g_autofree char *name = g_strdup_printf ("/constrained/ways/%s", base);
    g_autofree char *bad = g_strdup_printf ("/constrained/bad-logits/%s", base);

    g_test_add_data_func (name, GUINT_TO_POINTER (i), test_model);
    g_test_add_data_func (bad, GUINT_TO_POINTER (i), test_bad_logits);
  }
  g_test_add_func ("/constrained/too-short", test_too_short);
  g_test_add_func ("/constrained/context", test_context);
  g_test_add_func ("/constrained/between", test_between);
  g_test_add_func ("/constrained/failed", test_failed);
  return g_test_run ();
}
