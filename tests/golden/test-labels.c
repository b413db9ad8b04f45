/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probabilities of labels against those worked out from the logits of plain passes over prompt and label. */
#include <math.h>
#include <string.h>

#include "engine/decode/generator.h"
#include "tern/error.h"
#include "tern/ranges.h"
#include "tests/golden/golden.h"

#define CONTEXT 160u
#define MAX_LABELS 24

static const struct {
  const char *folder, *file;
} models[] = {
  { "lfm2", "lfm2-tq2_0.gguf" },
  { "lfm2s", "lfm2s-bf16.gguf" },
  { "families", "qwen3.gguf" },
  { "families", "bitnet-i2_s.gguf" },
  { "families", "llama-linear.gguf" },  /* SentencePiece */
  { NULL, "tern-captioner-4m-tq2_0.gguf" },      /* the bundled one */
};

static const char *const sets[][MAX_LABELS] = {
  { "yes", "no" },
  { "a dog", "a dog runs", "a dog runs fast", "a cat", "nothing" },
  { "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
      "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty" },
  { "a person is on a ladder", "a person is on the ground", "a person", "a vehicle is on the road", "a vehicle",
      "an animal", "an animal is at the gate", "nothing can be seen", "smoke", "smoke and fire", "fire", "feu", "f\xc3\xaa\x74" },
};

typedef struct {
  TernPool *pool;
  TernLlm *llm;
  TernTokenizer *tokenizer;
  TernPicking *picking;
  TernActivations activations;
  guint n_vocab, n_ids;
  float *logits;                /* [n_vocab] */
} Fixture;

static const gint32 start[] = { 1, 153, 207, 112, 88 };

static void
set_up (Fixture *f, guint model, TernActivations activations)
{
  g_autofree char *path = models[model].folder ? golden_path (models[model].folder, models[model].file)
      : g_build_filename (g_getenv ("TERN_MODELS"), models[model].file, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);

  g_assert_no_error (error);
  *f = (Fixture) { .pool = tern_pool_new (1, NULL), .activations = activations };
  f->llm = tern_llm_open (file, tern_kernels_default (NULL), NULL, &error);
  g_assert_no_error (error);
  f->tokenizer = tern_tokenizer_new (file, &error);
  g_assert_no_error (error);
  f->n_vocab = tern_llm_info (f->llm)->n_vocab;
  f->n_ids = MIN (f->n_vocab, tern_tokenizer_size (f->tokenizer));
  f->picking = tern_picking_new (f->n_vocab, &error);
  f->logits = g_new (float, f->n_vocab);
}

static void
tear_down (Fixture *f)
{
  tern_picking_free (f->picking);
  tern_tokenizer_unref (f->tokenizer);
  tern_llm_unref (f->llm);
  tern_pool_free (f->pool);
  g_free (f->logits);
}

static guint
count (const char *const *labels)
{
  guint n = 0;

  while (n < MAX_LABELS && labels[n])
    n++;
  return n;
}

static TernSolo *
read_start (const Fixture *f, const TernGeneratorLimits *limits, float *logits)
{
  TernSoloParams params = { .context = CONTEXT, .activations = f->activations, .kv = TERN_KV_F32 };
  g_autoptr (GError) error = NULL;
  TernSolo *solo;

  if (limits) {
    params.forks = tern_generator_forks (limits);
    params.fork_pages = tern_generator_pages (limits);
  }
  solo = tern_solo_new (f->llm, &params, f->pool, &error);
  g_assert_no_error (error);
  tern_solo_eval (solo, &(TernLlmInput) { .ids = start, .n = G_N_ELEMENTS (start) }, TERN_LOGITS_LAST, logits, NULL, &error);
  g_assert_no_error (error);
  return solo;
}

/* ---- The plain way ----------------------------------------------------------------------------------------------- */

static double
log_share (const Fixture *f, const float *logits, gboolean (*counts) (const Fixture *f, gint32 id, gint32 wanted),
    gint32 wanted)
{
  double most = -INFINITY, all = 0, some = 0;

  for (guint id = 0; id < f->n_ids; id++)
    most = MAX (most, (double) logits[id]);      /* fmax() here is an internal error of gcc 12 on aarch64 */
  for (guint id = 0; id < f->n_ids; id++) {
    double p = exp (logits[id] - most);

    all += p;
    if (counts (f, (gint32) id, wanted))
      some += p;
  }
  return log (some) - log (all);
}

static gboolean
is_same (const Fixture *f, gint32 id, gint32 wanted)
{
  return id == wanted;
}

static gboolean
is_end (const Fixture *f, gint32 id, gint32 wanted)
{
  return tern_tokenizer_is_eog (f->tokenizer, id);
}

static GArray *
tokens_of (const Fixture *f, const char *label)
{
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (gint32));

  tern_tokenizer_encode (f->tokenizer, label, strlen (label), FALSE, ids);
  return ids;
}

static gboolean
begins_another (const Fixture *f, const char *const *labels, guint n, guint label)
{
  g_autoptr (GArray) ids = tokens_of (f, labels[label]);

  for (guint i = 0; i < n; i++) {
    g_autoptr (GArray) other = tokens_of (f, labels[i]);

    if (i != label && other->len > ids->len && memcmp (other->data, ids->data, ids->len * sizeof (gint32)) == 0)
      return TRUE;
  }
  return FALSE;
}

static double
plain_logprob (const Fixture *f, const char *const *labels, guint n, guint label)
{
  g_autoptr (GArray) ids = tokens_of (f, labels[label]);
  g_autofree float *all = g_new (float, (gsize) (ids->len + 2) * f->n_vocab);
  g_autoptr (TernSolo) solo = read_start (f, NULL, all);
  const gint32 *id;
  double sum = 0;
  guint n_rows;

  /* One more, for a single row would be summed as a word that is said. */
  g_array_append_val (ids, start[0]);
  n_rows = ids->len;
  g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = (const gint32 *) ids->data, .n = n_rows }, TERN_LOGITS_ALL,
          all + f->n_vocab, NULL, NULL));
  g_array_set_size (ids, n_rows - 1);
  id = (const gint32 *) ids->data;
  for (guint i = 0; i < ids->len; i++)
    sum += log_share (f, all + (gsize) i * f->n_vocab, is_same, id[i]);
  if (begins_another (f, labels, n, label))
    sum += log_share (f, all + (gsize) ids->len * f->n_vocab, is_end, 0);
  return sum;
}

/* ---- Our way ----------------------------------------------------------------------------------------------------- */

/* With at most @forks at once. */
static void
ask (const Fixture *f, TernLabels *labels, guint forks, double *logprobs)
{
  TernGeneratorLimits limits = { .max_tokens = 4, .max_beam = 1, .max_forks = forks,
    .max_label = tern_labels_longest (labels) };
  g_autoptr (TernSolo) solo = read_start (f, &limits, f->logits);
  guint free = tern_store_free_pages (tern_solo_store (solo));
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGenerator) generator = tern_generator_new (f->llm, f->tokenizer, &limits, tern_solo_store (solo), &error);
  TernSaid said;

  g_assert_no_error (error);
  tern_generator_run_labels (generator, solo, f->logits, labels, f->picking, NULL, &error);
  g_assert_no_error (error);
  said = tern_generator_said (generator);
  g_assert_cmpint (said.finish, ==, TERN_FINISH_STOP);
  g_assert_cmpuint (said.n, ==, 0);
  g_assert_cmpuint (tern_solo_pos (solo), ==, G_N_ELEMENTS (start));
  g_assert_cmpuint (tern_store_free_pages (tern_solo_store (solo)), ==, free);
  memcpy (logprobs, tern_generator_label_logprobs (generator), tern_labels_n (labels) * sizeof (double));
}

static void
check_set (const Fixture *f, const char *const *texts)
{
  guint n = count (texts);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernLabels) labels = tern_labels_new (f->tokenizer, texts, n, &error);
  double once[MAX_LABELS], scores[MAX_LABELS], plain[MAX_LABELS], sum = 0, worst = 0;
  guint all, best = 0;

  g_assert_no_error (error);
  all = tern_labels_forks (labels);
  ask (f, labels, MAX (all, 1), once);
  for (guint i = 0; i < n; i++) {
    plain[i] = plain_logprob (f, texts, n, i);
    worst = fmax (worst, fabs (once[i] - plain[i]));
    if (plain[i] > plain[best])
      best = i;
  }
  g_test_message ("%s, %s ...: log p differs by %.2g at most", f->activations == TERN_ACTIVATIONS_F32 ? "f32" : "int8",
      texts[0], worst);
  g_assert_cmpfloat (worst, <, 2e-6 * tern_labels_longest (labels));
  g_assert_cmpuint (tern_labels_scores (once, n, 1, scores), ==, best);
  for (guint i = 0; i < n; i++)
    sum += exp (plain[i] - plain[best]);
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat (fabs (scores[i] - exp (plain[i] - plain[best]) / sum), <, 1e-5);
  /* In rounds: the same bits. */
  for (guint forks = 1; forks < all; forks = forks * 2 + 1) {
    double rounds[MAX_LABELS];

    ask (f, labels, forks, rounds);
    g_assert_cmpmem (rounds, n * sizeof *rounds, once, n * sizeof *once);
  }
}

static void
test_plain (gconstpointer data)
{
  for (guint way = 0; way < 2; way++) {
    Fixture f;

    set_up (&f, GPOINTER_TO_UINT (data), way ? TERN_ACTIVATIONS_F32 : TERN_ACTIVATIONS_INT8);
    for (guint i = 0; i < G_N_ELEMENTS (sets); i++)
      check_set (&f, sets[i]);
    tear_down (&f);
  }
}

/* ---- What is refused --------------------------------------------------------------------------------------------- */

static void
refuse (const Fixture *f, const char *const *texts, guint n, const char *why)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (tern_labels_new (f->tokenizer, texts, n, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, why));
}

static void
test_refused (void)
{
  const char *one[] = { "yes" }, *empty[] = { "yes", "" }, *twice[] = { "yes", "no", "yes" }, *bytes[] = { "yes", "n\xff" };
  const char *most[TERN_LABELS_MAX + 1];
  Fixture f;

  set_up (&f, G_N_ELEMENTS (models) - 1, TERN_ACTIVATIONS_INT8);
  for (guint i = 0; i <= TERN_LABELS_MAX; i++)
    most[i] = "x";
  refuse (&f, one, 1, "expected 2 to 256 of them, found 1");
  refuse (&f, most, TERN_LABELS_MAX + 1, "found 257");
  refuse (&f, empty, 2, "place 2");
  refuse (&f, twice, 3, "found \"yes\" twice");
  refuse (&f, bytes, 2, "UTF-8");
  tear_down (&f);
}

/* Phrases of any length: two that differ at the end of 100,000 words. */
static void
test_long (void)
{
  GString *text = g_string_new (NULL);
  g_autofree char *other = NULL;
  const char *texts[2];
  g_autoptr (GError) error = NULL;
  Fixture f;

  set_up (&f, G_N_ELEMENTS (models) - 1, TERN_ACTIVATIONS_INT8);
  for (guint i = 0; i < 100000; i++)
    g_string_append (text, "dog ");
  other = g_strconcat (text->str, "cat", NULL);
  texts[0] = text->str;
  texts[1] = other;
  {
    g_autoptr (TernLabels) labels = tern_labels_new (f.tokenizer, texts, 2, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (tern_labels_longest (labels), >, 100000);
    g_assert_cmpuint (tern_labels_forks (labels), ==, 1);
  }
  g_string_free (text, TRUE);
  tear_down (&f);
}

/* What a generator was not made for, and what does not fit. */
static void
test_limits (void)
{
  TernGeneratorLimits limits = { .max_tokens = 4, .max_beam = 1 };
  const char *texts[] = { "a zebra crosses the street", "an umbrella" };
  TernSoloParams params = { .context = G_N_ELEMENTS (start) + 1, .forks = 2 };
  g_autoptr (GError) error = NULL;
  Fixture f;

  set_up (&f, G_N_ELEMENTS (models) - 1, TERN_ACTIVATIONS_INT8);
  {
    g_autoptr (TernLabels) labels = tern_labels_new (f.tokenizer, texts, 2, &error);
    g_autoptr (TernSolo) solo = tern_solo_new (f.llm, &params, f.pool, &error);

    g_assert_cmpuint (tern_labels_longest (labels), >, 2);
    tern_solo_eval (solo, &(TernLlmInput) { .ids = start, .n = G_N_ELEMENTS (start) }, TERN_LOGITS_LAST, f.logits, NULL,
        &error);
    g_assert_no_error (error);
    for (guint way = 0; way < 3; way++) {
      g_autoptr (TernGenerator) generator = NULL;

      limits.max_forks = MIN (way, 1);
      limits.max_label = way == 1 ? 1 : 0;
      generator = tern_generator_new (f.llm, f.tokenizer, &limits, tern_solo_store (solo), &error);
      g_assert_no_error (error);
      g_assert_false (tern_generator_begin_labels (generator, tern_solo_timeline (solo), labels, &error));
      g_assert_error (error, TERN_ERROR, (way == 2 ? TERN_ERROR_NO_SPACE : TERN_ERROR_INVALID));
      g_assert_null (tern_generator_label_logprobs (generator));
      g_clear_error (&error);
    }
  }
  tear_down (&f);
}

/* Cancelled in the midst of it: nothing is known, no page is held, and the next answer is as ever. */
static void
test_cancel (void)
{
  TernGeneratorLimits limits = { .max_tokens = 4, .max_beam = 2, .max_forks = 3 };
  double before[MAX_LABELS];
  guint n = count (sets[3]), free;
  g_autoptr (GError) error = NULL;
  Fixture f;

  set_up (&f, G_N_ELEMENTS (models) - 1, TERN_ACTIVATIONS_INT8);
  {
    g_autoptr (TernLabels) labels = tern_labels_new (f.tokenizer, sets[3], n, &error);
    g_autoptr (TernSolo) solo = read_start (&f, &limits, f.logits);
    g_autoptr (TernGenerator) generator = tern_generator_new (f.llm, f.tokenizer, &limits, tern_solo_store (solo), &error);
    g_autofree float *first = g_memdup2 (f.logits, f.n_vocab * sizeof (float));
    const TernPath *paths;

    g_assert_no_error (error);
    free = tern_store_free_pages (tern_solo_store (solo));
    ask (&f, labels, 3, before);
    g_assert_true (tern_generator_begin_labels (generator, tern_solo_timeline (solo), labels, NULL));
    tern_generator_take (generator, first, f.picking);
    g_assert_cmpuint (tern_generator_paths (generator, &paths), >, 0);
    tern_generator_cancel (generator);
    g_assert_null (tern_generator_label_logprobs (generator));
    g_assert_cmpint (tern_generator_said (generator).finish, ==, TERN_FINISH_CANCELLED);
    g_assert_cmpuint (tern_store_free_pages (tern_solo_store (solo)), ==, free);
    memcpy (f.logits, first, f.n_vocab * sizeof (float));
    g_assert_true (tern_generator_run_labels (generator, solo, f.logits, labels, f.picking, NULL, NULL));
    g_assert_cmpmem (tern_generator_label_logprobs (generator), n * sizeof (double), before, n * sizeof (double));
  }
  tear_down (&f);
}

static void
test_scores (void)
{
  double scores[3];

  g_assert_cmpuint (tern_labels_scores ((const double[]) { -3, -1, -1 }, 3, 2, scores), ==, 1);
  g_assert_cmpfloat (fabs (scores[0] - exp (-1) / (2 + exp (-1))), <, 1e-12);
  g_assert_cmpfloat (fabs (scores[0] + scores[1] + scores[2] - 1), <, 1e-12);
  g_assert_cmpuint (tern_labels_scores ((const double[]) { NAN, -800, -900 }, 3, 0.1, scores), ==, 1);
  g_assert_cmpfloat (scores[1], ==, 1);
  g_assert_cmpuint (tern_labels_scores ((const double[]) { -INFINITY, NAN, -INFINITY }, 3, 1, scores), ==, 0);
  g_assert_cmpfloat (fabs (scores[2] - 1. / 3), <, 1e-12);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autofree char *base = g_path_get_basename (models[i].file), *name = g_strdup_printf ("/labels/plain/%s", base);

    g_test_add_data_func (name, GUINT_TO_POINTER (i), test_plain);
  }
  g_test_add_func ("/labels/refused", test_refused);
  g_test_add_func ("/labels/long", test_long);
  g_test_add_func ("/labels/limits", test_limits);
  g_test_add_func ("/labels/cancel", test_cancel);
  g_test_add_func ("/labels/scores", test_scores);
  return g_test_run ();
}
