/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a timeline: copies, limits, cancelling, the key policy, short-convolution state. */
#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/llm/solo.h"
#include "tests/golden/golden.h"

#define N 24                    /* tokens of the prompt */
#define STEPS 6                 /* single tokens after it */

typedef struct {
  TernPool *pool;
  TernLlm *llm;
  const TernLlmInfo *info;
  gint32 ids[N + STEPS];
  TernKvType kv;                /* the test's data */
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autofree char *path = golden_path ("lfm2", "lfm2-tq2_0.gguf");
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = NULL;
  const TernKernels *kernels = tern_kernels_default (&error);

  g_assert_no_error (error);
  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  f->llm = tern_llm_open (file, kernels, NULL, &error);
  g_assert_no_error (error);
  f->info = tern_llm_info (f->llm);
  f->pool = tern_pool_new (2, &error);
  g_assert_no_error (error);
  f->kv = GPOINTER_TO_UINT (data);
  for (guint i = 0; i < G_N_ELEMENTS (f->ids); i++)
    f->ids[i] = (i * 37 + 11) % f->info->n_vocab;
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  tern_llm_unref (f->llm);
  tern_pool_free (f->pool);
}

static TernSolo *
new_state_with (Fixture *f, guint context, TernActivations activations, TernKvType kv)
{
  TernSoloParams params = { .context = context, .batch = 7, .activations = activations, .kv = kv,
    .forks = 1 };
  g_autoptr (GError) error = NULL;
  TernSolo *state = tern_solo_new (f->llm, &params, f->pool, &error);

  g_assert_no_error (error);
  return state;
}

static TernSolo *
new_state (Fixture *f, guint context)
{
  return new_state_with (f, context, TERN_ACTIVATIONS_INT8, f->kv);
}

static TernSolo *
new_fork (TernSolo *solo)
{
  g_autoptr (GError) error = NULL;
  TernSolo *fork = tern_solo_fork (solo, &error);

  g_assert_no_error (error);
  return fork;
}

static float *
eval (Fixture *f, TernSolo *state, const gint32 *ids, guint n)
{
  float *logits = g_new (float, f->info->n_vocab);
  g_autoptr (GError) error = NULL;

  tern_solo_eval (state, &(TernLlmInput) { .ids = ids, .n = n }, TERN_LOGITS_LAST, logits, NULL, &error);
  g_assert_no_error (error);
  return logits;
}

static void
assert_equal (Fixture *f, const float *a, const float *b)
{
  g_assert_cmpmem (a, f->info->n_vocab * sizeof (float), b, f->info->n_vocab * sizeof (float));
}

static gboolean
equal (Fixture *f, const float *a, const float *b)
{
  return memcmp (a, b, f->info->n_vocab * sizeof (float)) == 0;
}

/* A fork goes on as its origin does, and what either reads is not seen by the other. */
static void
test_fork (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) a = new_state (f, 64), alone = new_state (f, 64), b = NULL;
  g_autofree float *a1 = NULL, *b1 = NULL, *a2 = NULL, *b2 = NULL, *expected = NULL;

  g_free (eval (f, a, f->ids, N));
  b = new_fork (a);
  g_assert_cmpuint (tern_solo_pos (b), ==, N);
  a1 = eval (f, a, f->ids + N, 3);
  b1 = eval (f, b, f->ids + N, 3);
  assert_equal (f, a1, b1);

  /* They part, and a does not notice; another fork brings b back to a. */
  g_free (eval (f, b, f->ids, 2));
  a2 = eval (f, a, f->ids + N + 3, 1);
  g_free (eval (f, alone, f->ids, N));
  g_free (eval (f, alone, f->ids + N, 3));
  expected = eval (f, alone, f->ids + N + 3, 1);
  assert_equal (f, a2, expected);
  tern_timeline_fork (tern_solo_timeline (b), tern_solo_timeline (a));
  g_assert_cmpuint (tern_solo_pos (b), ==, N + 4);
  g_free (a2);
  a2 = eval (f, a, f->ids + N + 4, 1);
  b2 = eval (f, b, f->ids + N + 4, 1);
  assert_equal (f, a2, b2);
}

static void
test_reset (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) state = new_state (f, 64);
  g_autofree float *first = eval (f, state, f->ids, N), *more = eval (f, state, f->ids, 5), *again = NULL;

  g_assert_false (equal (f, first, more));
  tern_solo_reset (state);
  g_assert_cmpuint (tern_solo_pos (state), ==, 0);
  again = eval (f, state, f->ids, N);
  assert_equal (f, first, again);
}

/* Embedding rows are what ids stand for. */
static void
test_rows (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) state = new_state (f, 64);
  g_autofree float *expected = eval (f, state, f->ids, N), *found = g_new (float, f->info->n_vocab);
  gsize ld = f->info->width + 5;
  g_autofree float *rows = g_new (float, N * ld);
  g_autoptr (GError) error = NULL;
  TernLinear embedding;

  g_assert_true (tern_linear_load (&embedding, tern_llm_file (f->llm), "token_embd.weight", f->info->width,
          f->info->n_vocab, tern_kernels_default (NULL), NULL));
  for (guint i = 0; i < N; i++)
    tern_linear_row (&embedding, f->ids[i], rows + i * ld);
  tern_solo_reset (state);
  tern_solo_eval (state, &(TernLlmInput) { .rows = rows, .ld = ld, .n = N }, TERN_LOGITS_LAST, found, NULL, &error);
  g_assert_no_error (error);
  assert_equal (f, expected, found);
  tern_linear_clear (&embedding);
}

static void
refused (TernSolo *state, TernLlmInput input, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (tern_solo_eval (state, &input, TERN_LOGITS_NONE, NULL, NULL, &error));
  g_assert_error (error, TERN_ERROR, code);
}

/* What is refused changes nothing. */
static void
test_limits (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) state = new_state (f, N + 1), other = new_state (f, 64);
  g_autofree float *a = NULL, *b = NULL;
  g_autoptr (GError) error = NULL;
  const gint32 negative = -1, high = f->info->n_vocab;
  float row[1];

  g_free (eval (f, state, f->ids, N));
  refused (state, (TernLlmInput) { .ids = f->ids, .n = 2 }, TERN_ERROR_NO_SPACE);
  refused (state, (TernLlmInput) { .ids = &negative, .n = 1 }, TERN_ERROR_INVALID);
  refused (state, (TernLlmInput) { .ids = &high, .n = 1 }, TERN_ERROR_INVALID);
  refused (state, (TernLlmInput) { .n = 1 }, TERN_ERROR_INVALID);
  refused (state, (TernLlmInput) { .ids = f->ids, .rows = row, .n = 1 }, TERN_ERROR_INVALID);
  g_assert_cmpuint (tern_solo_pos (state), ==, N);
  a = eval (f, state, f->ids + N, 1);
  g_free (eval (f, other, f->ids, N));
  b = eval (f, other, f->ids + N, 1);
  assert_equal (f, a, b);
  refused (state, (TernLlmInput) { .ids = f->ids, .n = 1 }, TERN_ERROR_NO_SPACE);

  g_assert_null (tern_solo_new (f->llm, &(TernSoloParams) { .context = f->info->context + 1 }, f->pool,
          &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* The plan counts what is taken: a longer context takes exactly its pages of keys and values, their places in the table
 * and the mean weights more. */
static void
test_plan (Fixture *f, gconstpointer data)
{
  static const struct { TernKvType kv; double value; guint row; } types[] = {
    { TERN_KV_AUTO, 4, 0 }, { TERN_KV_F32, 4, 0 }, { TERN_KV_F16, 2, 0 }, { TERN_KV_INT8, 1, 4 }, { TERN_KV_INT8_ROTATED, 1, 4 },
    { TERN_KV_INT4, .5, 4 }, { TERN_KV_INT4_ROTATED, .5, 4 }, { TERN_KV_INT3, .5, 4 }, { TERN_KV_INT3_ROTATED, .5, 4 }
  };
  guint kv_heads = 2;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    TernStoreParams shorter = { .context = 64 * 32, .kv = types[i].kv }, longer = shorter;
    gsize row = f->info->n_attention * 2 * kv_heads * (gsize) (f->info->head_dim * types[i].value + types[i].row);

    if (types[i].kv == TERN_KV_AUTO)
      shorter.activations = longer.activations = TERN_ACTIVATIONS_F32;
    longer.context *= 2;
    /* A reference and a place among the free ones for each page, and one in the table; aligned for so many pages. */
    g_assert_cmpuint (tern_store_bytes (f->llm, &longer) - tern_store_bytes (f->llm, &shorter), ==,
        64 * 32 * row + 32 * (3 * sizeof (guint32) + sizeof (guint8 *)));
  }
}

/* ---- Cancelling -------------------------------------------------------------------------------------------------- */

typedef struct {
  TernCancel cancel;
  guint last;
} Canceller;

static void
cancel_in_layer_1 (void *data, guint layer, const float *rows, guint n)
{
  Canceller *self = data;

  self->last = layer;
  if (layer == 1)
    tern_cancel_raise (&self->cancel);
}

static void
test_cancel (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) state = new_state (f, 64);
  g_autofree float *expected = eval (f, state, f->ids, N), *found = NULL;
  g_autoptr (GError) error = NULL;
  Canceller canceller = { 0 };

  tern_solo_reset (state);
  tern_pass_set_tap (tern_solo_pass (state), cancel_in_layer_1, &canceller);
  g_assert_false (tern_solo_eval (state, &(TernLlmInput) { .ids = f->ids, .n = N }, TERN_LOGITS_NONE, NULL,
          &canceller.cancel, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_CANCELLED);
  g_assert_cmpuint (canceller.last, ==, 1);
  tern_pass_set_tap (tern_solo_pass (state), NULL, NULL);
  refused (state, (TernLlmInput) { .ids = f->ids, .n = 1 }, TERN_ERROR_INVALID);
  tern_solo_reset (state);
  found = eval (f, state, f->ids, N);
  assert_equal (f, expected, found);
}

/* ---- Key policy -------------------------------------------------------------------------------------------------- */

typedef struct {
  const gint32 *list;           /* ascending, NULL: everything; the new token is added */
  guint n_list;
  gint only_layer;              /* -1: all */
  gint32 buffer[128];
  guint asked, observed;
  guint layers[16];
  float scores[128], query[1024];
  guint n_query;
} Script;

static const gint32 *
script_keys (void *self, guint layer, guint n_keys, guint *n_out)
{
  Script *script = self;

  script->layers[script->asked++ % G_N_ELEMENTS (script->layers)] = layer;
  if (!script->list || (script->only_layer >= 0 && script->only_layer != (gint) layer))
    return NULL;
  memcpy (script->buffer, script->list, script->n_list * sizeof (gint32));
  *n_out = script->n_list;
  while (*n_out && script->buffer[*n_out - 1] >= (gint32) n_keys - 1)
    --*n_out;
  script->buffer[(*n_out)++] = n_keys - 1;
  return script->buffer;
}

static void
script_observe (void *self, const TernKeyView *view)
{
  Script *script = self;

  script->observed++;
  memcpy (script->scores, view->scores, view->n_keys * sizeof (float));
  memcpy (script->query, view->query, script->n_query * sizeof (float));
}

static TernKeyPolicy
policy_of (Script *script, gint score_layer)
{
  return (TernKeyPolicy) { .score_layer = score_layer, .observe = script_observe, .keys = script_keys, .self = script };
}

/* W6: a list of all keys gives the bits of no list, step after step; prefill does not ask. */
static void
test_policy_identity (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) plain = new_state (f, 64), asked = new_state (f, 64);
  gint32 all[64];
  Script script = { .list = all, .n_list = 64, .only_layer = -1, .n_query = f->info->n_heads * f->info->head_dim };
  TernKeyPolicy policy = policy_of (&script, 1);

  for (guint i = 0; i < 64; i++)
    all[i] = i;
  tern_timeline_set_policy (tern_solo_timeline (asked), &policy);
  g_assert_true (tern_timeline_policy (tern_solo_timeline (asked)) == &policy);
  g_free (eval (f, plain, f->ids, N));
  g_free (eval (f, asked, f->ids, N));
  g_assert_cmpuint (script.asked + script.observed, ==, 0);
  for (guint i = N; i < N + STEPS; i++) {
    g_autofree float *a = eval (f, plain, f->ids + i, 1), *b = eval (f, asked, f->ids + i, 1);

    assert_equal (f, a, b);
  }
  g_assert_cmpuint (script.observed, ==, STEPS);
  g_assert_cmpuint (script.asked, ==, STEPS);   /* layer 3; layer 1 scores */
  g_assert_cmpuint (script.layers[0], ==, 3);
}

/* The observed row is the head mean of the softmax, worked out from the query and the cache. */
static void
test_policy_scores (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) state = new_state_with (f, 64, TERN_ACTIVATIONS_INT8, TERN_KV_F32);
  guint heads = f->info->n_heads, dim = f->info->head_dim, kv = 2, n_keys = N + 1;
  Script script = { .only_layer = -1, .n_query = heads * dim };
  TernKeyPolicy policy = policy_of (&script, 1);
  double mean[N + 1] = { 0 };

  g_free (eval (f, state, f->ids, N));
  tern_timeline_set_policy (tern_solo_timeline (state), &policy);
  g_free (eval (f, state, f->ids + N, 1));
  g_assert_cmpuint (script.observed, ==, 1);
  for (guint h = 0; h < heads; h++) {
    double e[N + 1], sum = 0;

    for (guint i = 0; i < n_keys; i++) {
      const float *key = tern_timeline_key (tern_solo_timeline (state), 1, h / (heads / kv), i);
      double dot = 0;

      for (guint c = 0; c < dim; c++)
        dot += (double) script.query[h * dim + c] * key[c];
      sum += e[i] = exp (dot / sqrt (dim));
    }
    for (guint i = 0; i < n_keys; i++)
      mean[i] += e[i] / sum / heads;
  }
  for (guint i = 0; i < n_keys; i++)
    g_assert_cmpfloat (fabs (script.scores[i] - mean[i]), <, 1e-6);
}

/* Leaving keys out equals keeping them with a weight of zero: the other state's keys are bent so far away from the
 * query that exp underflows. */
static void
test_policy_subset (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) pruned = new_state_with (f, 64, TERN_ACTIVATIONS_F32, TERN_KV_AUTO);
  g_autoptr (TernSolo) bent = NULL, spied = NULL;
  const gint32 list[] = { 0, 1, 5, 6, 7, 13, 20 };
  guint heads = f->info->n_heads, dim = f->info->head_dim, kv = 2, group = heads / kv;
  Script script = { .list = list, .n_list = G_N_ELEMENTS (list), .only_layer = 1 };
  Script scores = { .only_layer = -1, .n_query = heads * dim };
  TernKeyPolicy policy = policy_of (&script, -1), spy = policy_of (&scores, 1);
  g_autofree float *a = NULL, *b = NULL, *full = NULL;

  g_free (eval (f, pruned, f->ids, N));
  spied = new_fork (pruned);
  tern_timeline_set_policy (tern_solo_timeline (spied), &spy);
  full = eval (f, spied, f->ids + N, 1);
  bent = new_state_with (f, 64, TERN_ACTIVATIONS_F32, TERN_KV_AUTO);
  g_free (eval (f, bent, f->ids, N));
  for (guint i = 0, j = 0; i < N; i++) {
    if (j < G_N_ELEMENTS (list) && list[j] == (gint32) i) {
      j++;
      continue;
    }
    for (guint g = 0; g < kv; g++)
      for (guint c = 0; c < dim; c++) {
        float *key = (float *) tern_timeline_key (tern_solo_timeline (bent), 1, g, i), sum = 0;

        for (guint h = g * group; h < (g + 1) * group; h++)
          sum += scores.query[h * dim + c];
        key[c] = -1000 * sum;
      }
  }
  tern_timeline_set_policy (tern_solo_timeline (pruned), &policy);
  a = eval (f, pruned, f->ids + N, 1);
  b = eval (f, bent, f->ids + N, 1);
  g_assert_cmpfloat (golden_nmse (a, b, f->info->n_vocab), <, 1e-10);
  g_assert_cmpfloat (golden_nmse (a, full, f->info->n_vocab), >, 1e-3);
}

/* ---- Types of KV ------------------------------------------------------------------------------------------------- */

/* What rounding keys and values costs in the logits of tokens said after a prompt, with float activations, and
 * that chunks of other sizes see the same cache. */
static void
test_cost (Fixture *f, gconstpointer data)
{
  /* Steps of int4 are 17 times those of int8, steps of int3 are 36 times as large. */
  static const double bounds[] = { [TERN_KV_F32] = 1e-12, [TERN_KV_F16] = 1e-7, [TERN_KV_INT8] = 1e-4,
    [TERN_KV_INT8_ROTATED] = 1e-4, [TERN_KV_INT4] = 17 * 17 * 1e-4, [TERN_KV_INT4_ROTATED] = 17 * 17 * 1e-4,
    [TERN_KV_INT3] = 36 * 36 * 1e-4, [TERN_KV_INT3_ROTATED] = 36 * 36 * 1e-4 };
  g_autoptr (TernSolo) exact = new_state_with (f, 64, TERN_ACTIVATIONS_F32, TERN_KV_F32);
  g_autoptr (TernSolo) state = new_state_with (f, 64, TERN_ACTIVATIONS_F32, f->kv);
  g_autoptr (TernSolo) pieces = new_state_with (f, 64, TERN_ACTIVATIONS_F32, f->kv);
  double cost = 0;

  g_free (eval (f, exact, f->ids, N));
  g_free (eval (f, state, f->ids, N));
  g_free (eval (f, pieces, f->ids, 1));
  g_free (eval (f, pieces, f->ids + 1, 4));
  g_free (eval (f, pieces, f->ids + 5, N - 5));
  for (guint i = N; i < N + STEPS; i++) {
    g_autofree float *a = eval (f, exact, f->ids + i, 1), *b = eval (f, state, f->ids + i, 1);
    g_autofree float *c = eval (f, pieces, f->ids + i, 1);

    cost = MAX (cost, golden_nmse (b, a, f->info->n_vocab));
    /* Sums in another order may round a key the other way: as much as the type itself costs. */
    g_assert_cmpfloat (golden_nmse (c, b, f->info->n_vocab), <=, bounds[f->kv]);
  }
  g_test_message ("%s: nmse %.3g", tern_kv_name (f->kv), cost);
  g_assert_cmpfloat (cost, <=, bounds[f->kv]);
  g_assert_cmpint (cost > 0, ==, f->kv != TERN_KV_F32);
}

/* ---- Short convolution ------------------------------------------------------------------------------------------- */

/* W11: taps (.5, -1, 2) over 1, 2, 3, one token at a time. */
static void
check_conv (const TernKernels *kernels, gconstpointer data)
{
  const float taps[] = { 0.5f, -1, 2 }, expected[] = { 2, 3, 4.5f };
  float state[2] = { 0 };

  for (guint t = 0; t < 3; t++) {
    const float bcx[] = { 1, 1, t + 1 };
    float y;

    kernels->shortconv (&y, bcx, state, taps, 1, 3);
    g_assert_cmpfloat (y, ==, expected[t]);
  }
  g_assert_cmpfloat (state[0], ==, 2);
  g_assert_cmpfloat (state[1], ==, 3);
}

static void
test_conv (void)
{
  golden_each_level (check_conv, NULL);
}

static void
test_kinds (Fixture *f, gconstpointer data)
{
  g_autoptr (TernSolo) state = new_state_with (f, 8, TERN_ACTIVATIONS_INT8, TERN_KV_F32);
  g_autoptr (TernSolo) half = new_state_with (f, 8, TERN_ACTIVATIONS_INT8, TERN_KV_F16);
  gsize n;

  g_assert_null (tern_timeline_state (tern_solo_timeline (state), 0, "conv", &n));
  g_free (eval (f, state, f->ids, 1));
  g_free (eval (f, half, f->ids, 1));
  g_assert_cmpuint (f->info->n_attention, ==, 2);
  g_assert_cmpint (tern_store_kv (tern_solo_store (half)), ==, TERN_KV_F16);
  g_assert_cmpint (tern_store_kv (tern_solo_store (state)), ==, TERN_KV_F32);
  for (guint i = 0; i < f->info->n_layers; i++) {
    g_assert_cmpint (f->info->is_attention[i], ==, i % 2);
    g_assert_cmpint (tern_timeline_key (tern_solo_timeline (state), i, 0, 0) != NULL, ==, i % 2);
    g_assert_cmpint (tern_timeline_value (tern_solo_timeline (state), i, 1, 0) != NULL, ==, i % 2);
    g_assert_null (tern_timeline_key (tern_solo_timeline (state), i, 0, 1));
    g_assert_null (tern_timeline_key (tern_solo_timeline (half), i, 0, 0));
    g_assert_null (tern_timeline_value (tern_solo_timeline (half), i, 0, 0));
    g_assert_cmpint (tern_timeline_state (tern_solo_timeline (state), i, "conv", &n) == NULL, ==, i % 2);
    g_assert_null (tern_timeline_state (tern_solo_timeline (state), i, "delta", &n));
  }
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
#define ADD(name, func) g_test_add ("/lfm2-state/" name, Fixture, NULL, set_up, func, tear_down)
#define ADD_KV(name, kv) \
  g_test_add ("/lfm2-state/" name "/copy", Fixture, GUINT_TO_POINTER (kv), set_up, test_fork, tear_down); \
  g_test_add ("/lfm2-state/" name "/reset", Fixture, GUINT_TO_POINTER (kv), set_up, test_reset, tear_down); \
  g_test_add ("/lfm2-state/" name "/rows", Fixture, GUINT_TO_POINTER (kv), set_up, test_rows, tear_down); \
  g_test_add ("/lfm2-state/" name "/limits", Fixture, GUINT_TO_POINTER (kv), set_up, test_limits, tear_down); \
  g_test_add ("/lfm2-state/" name "/cancel", Fixture, GUINT_TO_POINTER (kv), set_up, test_cancel, tear_down); \
  g_test_add ("/lfm2-state/" name "/policy", Fixture, GUINT_TO_POINTER (kv), set_up, test_policy_identity, tear_down); \
  g_test_add ("/lfm2-state/" name "/cost", Fixture, GUINT_TO_POINTER (kv), set_up, test_cost, tear_down)
  ADD_KV ("f32", TERN_KV_F32);
  ADD_KV ("f16", TERN_KV_F16);
  ADD_KV ("int8", TERN_KV_INT8);
  ADD_KV ("int8-rotated", TERN_KV_INT8_ROTATED);
  ADD_KV ("int4", TERN_KV_INT4);
  ADD_KV ("int4-rotated", TERN_KV_INT4_ROTATED);
  ADD_KV ("int3", TERN_KV_INT3);
  ADD_KV ("int3-rotated", TERN_KV_INT3_ROTATED);
  ADD ("plan", test_plan);
  ADD ("kinds", test_kinds);
  ADD ("policy/scores", test_policy_scores);
  ADD ("policy/subset", test_policy_subset);
  g_test_add_func ("/lfm2-state/shortconv", test_conv);
  return g_test_run ();
}
