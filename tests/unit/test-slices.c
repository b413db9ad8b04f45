/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work between two looks at the cancel flag, on machines of any speed: a clock of our own says how long work takes, so
 * that nothing here depends on the machine that the test runs on. */
#include "tern/error.h"
#include "engine/base/slice.h"
#include "engine/base/threads.h"
#include "engine/decode/generator.h"
#include "session-fixture.h"
#include "vision/internal.h"

typedef struct {
  double speed;                 /* multiply-adds a microsecond */
  double now;
  guint slices;
  guint64 largest;
  TernCancel *cancel;           /* is raised with slice number @stop_at */
  guint stop_at, after;         /* slices that were begun after that */
} Machine;

static gint64
tick (void *data, guint64 work)
{
  Machine *m = data;

  m->now += (double) work / m->speed;
  if (work) {
    m->slices++;
    m->largest = MAX (m->largest, work);
    m->after += m->cancel && tern_cancel_is_raised (m->cancel);
    if (m->cancel && m->slices == m->stop_at)
      tern_cancel_raise (m->cancel);
  }
  return (gint64) m->now;
}

static void
install (TernSlice *slice, Machine *machine)
{
  tern_slice_init (slice);
  slice->clock = tick;
  slice->data = machine;
}

/* ---- Learning ---------------------------------------------------------------------------------------------------- */

/* The longest of some slices of work without grain, in microseconds, and what is allowed in the end. */
static double
longest (TernSlice *slice, Machine *m, guint slices)
{
  double most = 0;

  for (guint i = 0; i < slices; i++) {
    guint64 work = slice->limit;
    gint64 began = tern_slice_begin (slice, work);
    double before = m->now;

    tern_slice_end (slice, began, work);
    most = MAX (most, m->now - before);
  }
  return most;
}

/* From the slowest core imaginable to a server: no slice is long, and in the end they are not short either. */
static void
test_speeds (void)
{
  for (double speed = 30; speed < 1e6; speed *= 3) {
    Machine m = { .speed = speed };
    TernSlice slice;

    install (&slice, &m);
    g_assert_cmpfloat (longest (&slice, &m, 1), <=, MAX (2 * TERN_SLICE_US, TERN_SLICE_FIRST / speed));
    g_assert_cmpfloat (longest (&slice, &m, 40), <=, 2 * TERN_SLICE_US);
    g_assert_cmpfloat (slice.limit / speed, <=, 2 * TERN_SLICE_US);
    g_assert_true (slice.limit / speed >= TERN_SLICE_US / 2 || slice.limit == TERN_SLICE_MOST);
  }
}

/* A core that is taken away for a while: one late slice, then the same as ever. */
static void
test_hiccup (void)
{
  Machine m = { .speed = 5000 };
  TernSlice slice;
  guint64 limit;

  install (&slice, &m);
  longest (&slice, &m, 30);
  limit = slice.limit;
  m.speed /= 20;
  longest (&slice, &m, 1);
  g_assert_cmpfloat (longest (&slice, &m, 20), <=, 2 * TERN_SLICE_US);
  m.speed *= 20;
  longest (&slice, &m, 20);
  g_assert_cmpuint (slice.limit, >=, limit / 2);
  /* Small products say nothing about large ones. */
  limit = slice.limit;
  for (guint i = 0; i < 50; i++) {
    gint64 began = tern_slice_begin (&slice, TERN_SLICE_TIMED);

    tern_slice_end (&slice, began, TERN_SLICE_TIMED);
  }
  g_assert_cmpuint (slice.limit, ==, limit);
}

/* ---- The pool ---------------------------------------------------------------------------------------------------- */

enum { ITEMS = 1003, GRAIN = 4, WORK = 5000 };

typedef struct {
  guint8 seen[ITEMS];
  gint done;                    /* atomic */
} Items;

static void
see (void *data, guint begin, guint end, guint worker)
{
  Items *items = data;

  g_assert_cmpuint (begin % GRAIN, ==, 0);
  for (guint i = begin; i < end; i++)
    items->seen[i]++;
  g_atomic_int_add (&items->done, (gint) (end - begin));
}

static void
test_pool (void)
{
  for (guint threads = 1; threads <= 3; threads++) {
    TernPool *pool = tern_pool_new (threads, NULL);
    Machine slow = { .speed = 5 };      /* a grain of each of 3 threads takes 12 ms */

    install (tern_pool_slice (pool), &slow);
    for (guint round = 0; round < 20; round++) {
      Items items = { { 0 }, 0 };
      TernCancel cancel = { 0 };

      g_assert_true (tern_pool_run_until (pool, see, &items, ITEMS, GRAIN, WORK, &cancel));
      for (guint i = 0; i < ITEMS; i++)
        g_assert_cmpuint (items.seen[i], ==, 1);
      if (round == 0)
        slow.largest = 0;
    }
    g_assert_cmpuint (slow.slices, >, 0);
    g_assert_cmpuint (slow.largest, <=, MAX (2 * TERN_SLICE_US * 5, threads * GRAIN * WORK));
    {
      Items items = { { 0 }, 0 };
      TernCancel cancel = { 0 };

      slow.cancel = &cancel;
      slow.slices = 0;
      slow.stop_at = 3;
      g_assert_false (tern_pool_run_until (pool, see, &items, ITEMS, GRAIN, WORK, &cancel));
      g_assert_cmpuint (slow.after, ==, 0);
      g_assert_cmpint (items.done, <, ITEMS);
      g_assert_false (tern_pool_run_until (pool, see, &items, ITEMS, GRAIN, WORK, &cancel));
    }
    tern_pool_free (pool);
  }
  {
    Items items = { { 0 }, 0 };

    g_assert_true (tern_pool_run_until (NULL, see, &items, ITEMS, GRAIN, WORK, NULL));
    g_assert_true (tern_pool_run_until (NULL, see, &items, 0, GRAIN, WORK, NULL));
    g_assert_cmpint (items.done, ==, ITEMS);
  }
}

/* ---- Models ------------------------------------------------------------------------------------------------------ */

/* Something that runs on a pool, to a block of floats. FALSE: cancelled. */
typedef gboolean (*Run) (void *data, TernPool *pool, float *out, TernCancel *cancel);

/* A machine so slow that all slices are the smallest there are: the same bits, small slices, and nothing is begun after
 * a cancel, wherever it comes. */
static void
check_slow (Run run, void *data, gsize n, guint64 smallest)
{
  g_autofree float *expected = g_new0 (float, n), *found = g_new0 (float, n);
  TernPool *pool = tern_pool_new (2, NULL);
  Machine slow = { .speed = 0.01 };
  guint slices;

  g_assert_true (run (data, pool, expected, NULL));
  install (tern_pool_slice (pool), &slow);
  g_assert_true (run (data, pool, found, NULL));        /* learns */
  slow.largest = slow.slices = 0;
  g_assert_true (run (data, pool, found, NULL));
  g_assert_cmpmem (found, n * sizeof (float), expected, n * sizeof (float));
  g_assert_cmpuint (slow.largest, <=, smallest);
  slices = slow.slices;
  g_assert_cmpuint (slices, >, 40);
  for (guint i = 1; i < slices; i += MAX (slices / 23, 1)) {
    TernCancel cancel = { 0 };

    slow.cancel = &cancel;
    slow.stop_at = i;
    slow.slices = slow.after = 0;
    g_assert_false (run (data, pool, found, &cancel));
    g_assert_cmpuint (slow.slices, ==, i);
    g_assert_cmpuint (slow.after, ==, 0);
  }
  tern_pool_free (pool);
}

/* A clock that stands still. */
static gint64
still (void *data, guint64 work)
{
  return 0;
}

static gboolean
encode (void *data, TernPool *pool, float *out, TernCancel *cancel)
{
  TernVision *vision = data;
  g_autofree guint8 *pixels = g_malloc (3 * 320 * 240);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = 320, .height = 240, .data = { pixels }, .stride = { 960 } };
  TernVisionOptions options = { .scaling = TERN_SCALING_CROP };
  g_autoptr (TernVisionState) state = NULL;
  g_autoptr (GError) error = NULL;
  TernVisionPlan plan;
  gboolean ok;

  paint (pixels, 320, 240, 7, 1);
  g_assert_true (tern_vision_plan (vision, 320, 240, &options, &plan, NULL));
  state = tern_vision_state_new (vision, plan.n_tokens, TERN_ACTIVATIONS_INT8, pool, NULL);
  state->pace.clock = still;    /* or the real one would say how many steps there are, and with them slices */
  ok = tern_vision_encode (state, &image, &options, &plan, out, cancel, &error);
  if (!ok)
    g_assert_error (error, TERN_ERROR, TERN_ERROR_CANCELLED);
  return ok;
}

static void
test_vision (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (MMPROJ_FILE, &error);
  g_autoptr (TernVision) vision = file ? tern_vision_open (file, tern_kernels_default (NULL), &error) : NULL;
  const TernVisionInfo *info;

  g_assert_no_error (error);
  info = tern_vision_info (vision);
  /* Two threads, a panel each, all patches of the picture, and no more than 4,096 columns. */
  check_slow (encode, vision, (gsize) info->max_tokens * info->embedding_dim, (guint64) 2 * TERN_LINEAR_GRAIN * 4096
      * info->max_tokens * info->factor * info->factor);
}

static gboolean
prefill (void *data, TernPool *pool, float *out, TernCancel *cancel)
{
  g_autoptr (TernLlm) llm = tern_llm_ref (data);
  TernSoloParams params = { .context = 256 };
  g_autoptr (TernSolo) state = tern_solo_new (llm, &params, pool, NULL);
  g_autoptr (GError) error = NULL;
  gint32 ids[100], next = 5;
  gboolean ok;

  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    ids[i] = (gint32) (i * 37 % 500);
  ok = tern_solo_eval (state, &(TernLlmInput) { .ids = ids, .n = G_N_ELEMENTS (ids) }, TERN_LOGITS_LAST, out, cancel, &error)
      && tern_solo_eval (state, &(TernLlmInput) { .ids = &next, .n = 1 }, TERN_LOGITS_LAST, out, cancel, &error);
  if (!ok)
    g_assert_error (error, TERN_ERROR, TERN_ERROR_CANCELLED);
  return ok;
}

static gboolean
search (void *data, TernPool *pool, float *out, TernCancel *cancel)
{
  TernLlm *llm = data;
  TernSoloParams params = { .context = 64, .forks = 3 };
  TernGeneratorLimits limits = { .max_tokens = 8, .max_beam = 4 };
  TernSampling sampling = TERN_SAMPLING_INIT;
  g_autoptr (TernSolo) state = tern_solo_new (llm, &params, pool, NULL);
  g_autoptr (TernGenerator) generator = tern_generator_new (llm, NULL, &limits, tern_solo_store (state), NULL);
  g_autoptr (TernPicking) picking = tern_picking_new (tern_llm_info (llm)->n_vocab, NULL);
  g_autofree float *logits = g_new (float, tern_llm_info (llm)->n_vocab);
  gint32 first[] = { 1, 7 };
  TernSaid said;

  sampling.beam = 4;
  sampling.max_tokens = limits.max_tokens;
  if (!tern_solo_eval (state, &(TernLlmInput) { .ids = first, .n = 2 }, TERN_LOGITS_LAST, logits, cancel, NULL))
    return FALSE;
  g_assert_true (tern_generator_run (generator, state, logits, &sampling, NULL, NULL, NULL, picking, cancel, NULL));
  said = tern_generator_said (generator);
  for (guint i = 0; i < said.n; i++)
    out[i] = (float) said.ids[i];
  return said.finish != TERN_FINISH_CANCELLED;
}

static void
test_text (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (TEXT_FILE, &error);
  TernPool *pool = tern_pool_new (1, NULL);
  g_autoptr (TernLlm) llm = file ? tern_llm_open (file, tern_kernels_default (NULL), pool, &error) : NULL;

  g_assert_no_error (error);
  tern_pool_free (pool);
  check_slow (prefill, llm, tern_llm_info (llm)->n_vocab, (guint64) 2 * TERN_LINEAR_GRAIN * 2048 * 100);
  check_slow (search, llm, 8, (guint64) 2 * TERN_LINEAR_GRAIN * 2048 * 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/slices/speeds", test_speeds);
  g_test_add_func ("/slices/hiccup", test_hiccup);
  g_test_add_func ("/slices/pool", test_pool);
  g_test_add_func ("/slices/vision", test_vision);
  g_test_add_func ("/slices/text", test_text);
  return g_test_run ();
}
