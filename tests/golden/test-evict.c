/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Forgetting rows of a timeline. What is expected is what the same model makes of the rows that stay when it reads them alone:
 * in the first layer keys and values know their token and position only, and models of one layer have no others. */
#include <math.h>
#include <string.h>

#include "engine/llm/evict.h"
#include "engine/llm/solo.h"
#include "tern/error.h"
#include "tests/golden/golden.h"

#define N 200                   /* rows that are read: more than three pages */

typedef struct {
  TernPool *pool;
  TernLlm *llm;
  TernSolo *a, *b;              /* b has a store of its own */
  void *scratch;
  gint32 ids[512];
} Fixture;

static TernSolo *
new_solo (Fixture *f, TernKvType kv, guint forks, guint fork_pages)
{
  TernSoloParams params = { .context = 512, .activations = TERN_ACTIVATIONS_F32, .kv = kv, .forks = forks,
    .fork_pages = fork_pages };
  g_autoptr (GError) error = NULL;
  TernSolo *solo = tern_solo_new (f->llm, &params, f->pool, &error);

  g_assert_no_error (error);
  return solo;
}

static gboolean
set_up (Fixture *f, const char *folder, const char *name, TernKvType kv)
{
  g_autofree char *path = golden_path (folder, name);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = NULL;
  const TernKernels *kernels = tern_kernels_default (&error);

  if (!path)
    return FALSE;
  g_assert_no_error (error);
  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  f->llm = tern_llm_open (file, kernels, NULL, &error);
  g_assert_no_error (error);
  f->pool = tern_pool_new (1, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (f->ids); i++)
    f->ids[i] = (i * 37 + i * i * 5 + 11) % tern_llm_info (f->llm)->n_vocab;
  f->a = new_solo (f, kv, 1, 0);
  f->b = new_solo (f, kv, 0, 0);
  f->scratch = g_malloc (tern_evict_scratch_bytes (f->llm));
  g_assert_true (tern_evict_check (f->llm, &error));
  return TRUE;
}

static void
tear_down (Fixture *f)
{
  g_free (f->scratch);
  tern_solo_free (f->a);
  tern_solo_free (f->b);
  tern_llm_unref (f->llm);
  tern_pool_free (f->pool);
}

/* @logits may be NULL. */
static void
eval (TernSolo *solo, const gint32 *ids, guint n, float *logits)
{
  g_autoptr (GError) error = NULL;

  tern_solo_eval (solo, &(TernLlmInput) { .ids = ids, .n = n }, logits ? TERN_LOGITS_LAST : TERN_LOGITS_NONE, logits, NULL,
      &error);
  g_assert_no_error (error);
}

static void
keep (Fixture *f, TernTimeline *timeline, const gint32 *rows, guint n)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (tern_timeline_keep (timeline, rows, n, NULL, f->scratch, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (tern_timeline_pos (timeline), ==, n);
}

/* Most of the first page, nothing of the second, pieces of the others. Returns how many. */
static guint
choose (gint32 rows[N])
{
  guint n = 0;

  for (guint i = 0; i < N; i++)
    if (i < 50 ? i % 25 != 24 : i >= 128 && (i * i / 7) % 3 != 0)
      rows[n++] = i;
  return n;
}

/* ---- Where rows go ----------------------------------------------------------------------------------------------- */

/* Root of the mean square of a - b, relative to that of b. */
static double
distance (const float *a, const float *b, gsize n)
{
  return sqrt (golden_nmse (a, b, n));
}

/* Keys and values of the first attention layer, in floats. */
static float *
rows_of (Fixture *f, TernTimeline *timeline, gboolean turned, guint *width)
{
  guint layer = 0, n = tern_timeline_pos (timeline);
  float *rows;

  while ((*width = tern_evict_kv_width (f->llm, layer)) == 0)
    layer++;
  rows = g_new (float, 2 * (gsize) n * *width);
  for (guint i = 0, head_dim = tern_llm_info (f->llm)->head_dim; turned && i < n; i++)
    for (guint h = 0; h < *width / head_dim; h++)
      memcpy (rows + (gsize) i * *width + h * head_dim, tern_timeline_key (timeline, layer, h, i), head_dim * sizeof (float));
  if (!turned)
    tern_timeline_read_keys (timeline, layer, 0, n, NULL, rows, f->scratch);
  tern_timeline_read_values (timeline, layer, 0, n, rows + (gsize) n * *width);
  return rows;
}

/* A model of one layer goes on as one that has read nothing else. */
static void
check_family (const char *name, gboolean one_layer)
{
  g_autofree float *found = NULL, *expected = NULL, *goes_on = NULL, *alone = NULL;
  gint32 rows[N], ids[N];
  guint n = choose (rows), width;
  Fixture f;

  if (!set_up (&f, "families", name, TERN_KV_F32)) {
    g_test_skip ("no such file");
    return;
  }
  for (guint i = 0; i < n; i++)
    ids[i] = f.ids[rows[i]];
  eval (f.a, f.ids, N, NULL);
  keep (&f, tern_solo_timeline (f.a), rows, n);
  eval (f.b, ids, n, NULL);
  found = rows_of (&f, tern_solo_timeline (f.a), TRUE, &width);
  expected = rows_of (&f, tern_solo_timeline (f.b), TRUE, &width);
  g_assert_cmpfloat (distance (found, expected, (gsize) n * width), <, 1e-6);
  g_assert_cmpmem (found + (gsize) n * width, (gsize) n * width * sizeof (float), expected + (gsize) n * width,
      (gsize) n * width * sizeof (float));

  if (one_layer) {
    guint n_vocab = tern_llm_info (f.llm)->n_vocab;

    goes_on = g_new (float, n_vocab);
    alone = g_new (float, n_vocab);
    eval (f.a, f.ids + N, 9, NULL);
    eval (f.b, f.ids + N, 9, NULL);
    eval (f.a, f.ids + N + 9, 1, goes_on);
    eval (f.b, f.ids + N + 9, 1, alone);
    g_assert_cmpfloat (golden_nmse (goes_on, alone, n_vocab), <, 1e-10);
  }
  tear_down (&f);
}

static void
test_families (void)
{
  check_family ("llama-linear.gguf", TRUE);     /* values in pairs, frequencies divided */
  check_family ("llama-smol.gguf", TRUE);
  check_family ("qwen2-yarn.gguf", TRUE);       /* cosines and sines that are longer than 1 */
  check_family ("llama-3.gguf", FALSE);
  check_family ("qwen3.gguf", FALSE);           /* keys with a norm */
}

/* Before they were turned, keys do not depend on where they stand. */
static void
test_unturned (void)
{
  g_autofree float *moved = NULL, *stayed = NULL;
  gint32 rows[N];
  guint n = choose (rows), width;
  Fixture f;

  if (!set_up (&f, "families", "qwen2-yarn.gguf", TERN_KV_F32)) {
    g_test_skip ("no such file");
    return;
  }
  eval (f.a, f.ids, N, NULL);
  stayed = rows_of (&f, tern_solo_timeline (f.a), FALSE, &width);
  keep (&f, tern_solo_timeline (f.a), rows, n);
  moved = rows_of (&f, tern_solo_timeline (f.a), FALSE, &width);
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat (distance (moved + (gsize) i * width, stayed + (gsize) rows[i] * width, width), <, 1e-6);
  tear_down (&f);
}

/* ---- What stays -------------------------------------------------------------------------------------------------- */

/* A fork keeps what it has, bit for bit, and needs its pages; states carry on. */
static void
test_forks (void)
{
  g_autoptr (TernSolo) fork = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree float *before = NULL, *after = NULL, *said = NULL, *expected = NULL, *state = NULL;
  gint32 rows[N], all[N];
  guint n = choose (rows), width, n_vocab, free, needs, conv = 0;
  gsize n_state;
  TernTimeline *timeline;
  Fixture f;

  if (!set_up (&f, "lfm2", "lfm2-tq2_0.gguf", TERN_KV_F32)) {
    g_test_skip ("no such file");
    return;
  }
  timeline = tern_solo_timeline (f.a);
  n_vocab = tern_llm_info (f.llm)->n_vocab;
  said = g_new (float, n_vocab);
  expected = g_new (float, n_vocab);
  for (guint i = 0; i < N; i++)
    all[i] = i;
  while (!tern_timeline_state (timeline, conv, "conv", &n_state) && conv + 1 < tern_llm_info (f.llm)->n_layers
      && tern_llm_info (f.llm)->is_attention[conv])
    conv++;
  eval (f.a, f.ids, N, NULL);
  eval (f.b, f.ids, N, NULL);
  fork = tern_solo_fork (f.a, &error);
  g_assert_no_error (error);

  /* All of them: nothing happens. */
  g_assert_cmpuint (tern_timeline_keep_pages (timeline, all, N, NULL), ==, 0);
  before = rows_of (&f, timeline, TRUE, &width);
  keep (&f, timeline, all, N);
  after = rows_of (&f, timeline, TRUE, &width);
  g_assert_cmpmem (before, 2 * N * width * sizeof (float), after, 2 * N * width * sizeof (float));

  state = g_memdup2 (tern_timeline_state (timeline, conv, "conv", &n_state), tern_llm_info (f.llm)->width * sizeof (float));
  free = tern_store_free_pages (tern_solo_store (f.a));
  needs = tern_timeline_keep_pages (timeline, rows, n, NULL);
  g_assert_cmpuint (needs, ==, (n + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS);
  keep (&f, timeline, rows, n);
  g_assert_cmpuint (tern_store_free_pages (tern_solo_store (f.a)), ==, free - needs);
  g_assert_cmpmem (tern_timeline_state (timeline, conv, "conv", &n_state), tern_llm_info (f.llm)->width * sizeof (float), state,
      tern_llm_info (f.llm)->width * sizeof (float));

  /* The fork says what one that was never forked does. */
  eval (fork, f.ids + N, 5, said);
  eval (f.b, f.ids + N, 5, expected);
  g_assert_cmpmem (said, n_vocab * sizeof (float), expected, n_vocab * sizeof (float));
  eval (f.a, f.ids + N, 5, said);
  g_assert_false (memcmp (said, expected, n_vocab * sizeof (float)) == 0);

  /* Nothing shared: it happens in place. */
  g_assert_cmpuint (tern_timeline_keep_pages (timeline, rows, 10, NULL), ==, 0);
  free = tern_store_free_pages (tern_solo_store (f.a));
  keep (&f, timeline, rows + 20, 10);
  g_assert_cmpuint (tern_store_free_pages (tern_solo_store (f.a)), ==, free + 1);
  keep (&f, timeline, NULL, 0);
  g_assert_cmpuint (tern_store_free_pages (tern_solo_store (f.a)), ==, free + 2);
  tern_solo_free (g_steal_pointer (&fork));
  tear_down (&f);
}

/* No page is left for what a fork shares: nothing changes, and the error says so. */
static void
test_no_pages (void)
{
  g_autoptr (TernSolo) solo = NULL, fork = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree float *before = NULL, *after = NULL;
  gint32 rows[N];
  guint n = choose (rows), width;
  Fixture f;

  if (!set_up (&f, "lfm2", "lfm2-tq2_0.gguf", TERN_KV_F32)) {
    g_test_skip ("no such file");
    return;
  }
  solo = new_solo (&f, TERN_KV_F32, 1, 1);
  eval (solo, f.ids, N, NULL);
  fork = tern_solo_fork (solo, &error);
  g_assert_no_error (error);
  eval (fork, f.ids, 512 - N, NULL);    /* takes what is left */
  g_assert_cmpuint (tern_store_free_pages (tern_solo_store (solo)), <, (n + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS);
  before = rows_of (&f, tern_solo_timeline (solo), TRUE, &width);
  g_assert_false (tern_timeline_keep (tern_solo_timeline (solo), rows, n, NULL, f.scratch, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_assert_cmpuint (tern_solo_pos (solo), ==, N);
  after = rows_of (&f, tern_solo_timeline (solo), TRUE, &width);
  g_assert_cmpmem (before, 2 * N * width * sizeof (float), after, 2 * N * width * sizeof (float));
  tern_solo_free (g_steal_pointer (&fork));
  tern_solo_free (g_steal_pointer (&solo));
  tear_down (&f);
}

/* ---- Again and again --------------------------------------------------------------------------------------------- */

/* How far rows that have moved by @way in @turns equal steps are from what they were at first. */
static double
drift (TernKvType kv, guint turns, guint way)
{
  g_autofree float *before = NULL, *after = NULL;
  gint32 rows[512];
  guint width, n = 480, left = n, step = way / turns;
  TernTimeline *timeline;
  double found;
  Fixture f;

  if (!set_up (&f, "families", "llama-smol.gguf", kv))
    return -1;
  timeline = tern_solo_timeline (f.a);
  eval (f.a, f.ids, n, NULL);
  before = rows_of (&f, timeline, FALSE, &width);
  for (guint t = 0; t < turns; t++) {
    left -= step;
    for (guint i = 0; i < left; i++)
      rows[i] = i + step;
    keep (&f, timeline, rows, left);
  }
  after = rows_of (&f, timeline, FALSE, &width);
  found = distance (after, before + (gsize) way * width, (gsize) left * width);
  g_assert_cmpmem (after + (gsize) left * width, (gsize) left * width * sizeof (float), before + (gsize) (n + way) * width,
      (gsize) left * width * sizeof (float));   /* values do not turn */
  tear_down (&f);
  return found;
}

/* What evict.h says. Of F32 the cosine and sine count: 2^-24 off at most, the same way each time that the turn is the same, as
 * it is here. Once, F16 is 2^-11 of a value off at most and int8 half the 127th part of a row's largest value, which is some
 * three times its root mean square, and int4 the 15th part; uniform, so a root of three less; storing them at first was so,
 * too. Many small turns are more than that: what is less than half a step is lost each time. */
static void
test_drift (void)
{
  const struct { TernKvType kv; guint turns; double bound; } kinds[] = {
    { TERN_KV_F32, 1, 1e-6 }, { TERN_KV_F32, 400, 400 / 16777216. },
    { TERN_KV_F16, 1, 2 / 2048. / sqrt (3) }, { TERN_KV_INT8, 1, 2 * 3 * .5 / 127 / sqrt (3) },
    { TERN_KV_INT8_ROTATED, 1, 2 * 3 * .5 / 127 / sqrt (3) }, { TERN_KV_INT4, 1, 2 * 3 / 15. / sqrt (3) },
    { TERN_KV_INT4_ROTATED, 1, 2 * 3 / 15. / sqrt (3) },
  };
  double often;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    double found = drift (kinds[i].kv, kinds[i].turns, 400);

    if (found < 0) {
      g_test_skip ("no such file");
      return;
    }
    g_test_message ("%s: %u turns move a key by %.2g of its length, at most %.2g expected", tern_kv_name (kinds[i].kv),
        kinds[i].turns, found, kinds[i].bound);
    g_assert_cmpfloat (found, <, kinds[i].bound);
  }
  often = drift (TERN_KV_F16, 400, 400);
  g_test_message ("f16: 400 turns move a key by %.2g of its length", often);
  g_assert_cmpfloat (often, >, 10 * drift (TERN_KV_F16, 1, 400));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/evict/families", test_families);
  g_test_add_func ("/evict/unturned", test_unturned);
  g_test_add_func ("/evict/forks", test_forks);
  g_test_add_func ("/evict/no-pages", test_no_pages);
  g_test_add_func ("/evict/drift", test_drift);
  return g_test_run ();
}
