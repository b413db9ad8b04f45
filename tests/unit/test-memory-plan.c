/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `tern inspect` plans for streams, beside what the heap has when they are there: reuse in the vision encoder, and sessions
 * with memory=stream. */
#include <malloc.h>

#include "session-fixture.h"
#include "tools/inspect-memory.h"
#include "tern/lanes.h"
#include "engine/decode/draft.h"
#include "tern/stream.h"

/* What whole pages of the system, and the objects around a block, may add. */
#define AROUND (16 << 10)

static gsize
held (void)
{
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
}

static guint64
row (const TernMemoryPlan *plan, const char *name)
{
  for (guint i = 0; i < plan->n; i++)
    if (strcmp (plan->entries[i].name, name) == 0)
      return plan->entries[i].bytes;
  return 0;
}

static gboolean
plan_file (const char *path, const TernMemoryOptions *options, TernMemoryPlan *plan, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (path, error);
  TernMemoryUse before;

  tern_memory_use (&before);
  return file && tern_memory_plan (plan, file, tern_kernels_default (NULL), options, &before, error);
}

static TernMemoryPlan
plan_of (const char *path, const TernMemoryOptions *options)
{
  g_autoptr (GError) error = NULL;
  TernMemoryPlan plan;

  plan_file (path, options, &plan, &error);
  g_assert_no_error (error);
  return plan;
}

static void
expect_error (const char *path, const TernMemoryOptions *options, const char *words)
{
  g_autoptr (GError) error = NULL;
  TernMemoryPlan plan;

  g_assert_false (plan_file (path, options, &plan, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, words));
}

/* ---- Small pictures of several streams --------------------------------------------------------------------------- */

static void
test_lanes (void)
{
  TernMemoryPlan plan = plan_of (MMPROJ_FILE, &(TernMemoryOptions) { 0 });
  g_autoptr (TernModel) model = open_model (0);
  TernVision *vision = tern_model_vision (model);
  TernPool *pool = tern_pool_new (3, NULL);
  TernLanes *lanes;
  gsize before;

  g_assert_true (tern_vision_pack (vision, pool, NULL));
  lanes = tern_lanes_new (vision, TERN_ACTIVATIONS_INT8, pool, NULL);
  before = held ();
  g_assert_cmpuint (tern_vision_small_tokens (vision), >, 0);
  g_assert_true (tern_lanes_run_side (lanes, NULL, 0));
  g_assert_cmpuint (held () - before, >=, 3 * row (&plan, "lane"));
  g_assert_cmpuint (held () - before, <=, 3 * (row (&plan, "lane") + AROUND));
  g_assert_cmpuint (row (&plan, "lane"), >, AROUND);
  tern_lanes_free (lanes);
  tern_pool_free (pool);
}

/* ---- Reuse ------------------------------------------------------------------------------------------------------- */

static guint64
sum_of_vision (const TernMemoryPlan *plan)
{
  return row (plan, "program") + row (plan, "header") + row (plan, "index") + row (plan, "mapped") + row (plan, "owned")
      + row (plan, "state") + row (plan, "reuse");
}

static void
test_reuse (void)
{
  TernMemoryPlan off = plan_of (MMPROJ_FILE, &(TernMemoryOptions) { 0 });
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernEncoder) encoder = tern_encoder_new (model, TERN_FIT_TRAINED, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (row (&off, "reuse"), ==, 0);
  g_assert_cmpuint (row (&off, "total"), ==, sum_of_vision (&off));
  for (TernReuseMode mode = TERN_REUSE_AUTO; mode <= TERN_REUSE_ON; mode++) {
    TernMemoryPlan with = plan_of (MMPROJ_FILE, &(TernMemoryOptions) { .reuse = mode });
    guint64 planned = row (&with, "reuse");
    TernReuseParams params;
    gsize before, now;

    tern_reuse_params_init (&params);
    tern_encoder_set_reuse (encoder, &params, &error);
    g_assert_no_error (error);
    before = held ();
    params.mode = mode;
    tern_encoder_set_reuse (encoder, &params, &error);
    g_assert_no_error (error);
    now = held ();
    g_test_message ("planned %" G_GUINT64_FORMAT ", held %" G_GSIZE_FORMAT, planned, now - before);
    g_assert_cmpuint (planned, >, 8 * AROUND);
    g_assert_cmpuint (now - before, >=, planned);
    g_assert_cmpuint (now - before, <, planned + AROUND);
    g_assert_cmpuint (row (&with, "total"), ==, sum_of_vision (&with));
  }
  expect_error (TEXT_FILE, &(TernMemoryOptions) { .reuse = TERN_REUSE_ON }, "--reuse");
  expect_error (MMPROJ_FILE, &(TernMemoryOptions) { .memory = TERN_MEMORY_STREAM }, "--memory");
}

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

/* What a session that remembers @tokens takes, which come from elsewhere. */
static gsize
session_takes (TernModel *model, guint tokens)
{
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  gsize before = held ();

  params.memory = TERN_MEMORY_STREAM;
  params.memory_tokens = tokens;
  session = new_session (model, &params);
  return held () - before;
}

static guint64
planned_for (guint tokens)
{
  TernMemoryPlan plan = plan_of (TEXT_FILE, &(TernMemoryOptions) { .memory = TERN_MEMORY_STREAM, .memory_tokens = tokens });

  g_assert_cmpuint (plan.with.memory_tokens, ==, tokens);
  return row (&plan, "remembered") + row (&plan, "answering") + row (&plan, "record");
}

/* A session has other things as well; what it takes grows by what is planned for more to remember. */
static void
test_session (void)
{
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 1, 0);
  const guint less = 256, more = 1280;
  guint64 planned = planned_for (more) - planned_for (less);
  gsize a, b;

  session_takes (model, more);          /* the engine's own work space stays */
  a = session_takes (model, less);
  b = session_takes (model, more);
  g_test_message ("planned %" G_GUINT64_FORMAT " (of %" G_GUINT64_FORMAT "), held %" G_GSIZE_FORMAT " (of %" G_GSIZE_FORMAT ")",
      planned, planned_for (more), b - a, b);
  g_assert_cmpuint (planned_for (more), <=, b);
  g_assert_cmpfloat (ABS ((double) (b - a) / planned - 1), <, .05);
}

/* The record alone, to the byte but for what is around a block. */
static void
test_record (void)
{
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 1, 0);
  TernLlm *llm = tern_model_text (model)->llm;
  TernMemoryPlan plan = plan_of (TEXT_FILE, &(TernMemoryOptions) { .memory = TERN_MEMORY_STREAM, .memory_tokens = 1024 });
  const TernStoreParams store = { .context = 1024, .kv = TERN_KV_F32, .timelines = 1, .pages = tern_stream_pages (1024) };
  const TernStreamParams params = { .budget = 1024, .places = 1024, .tick = MS (500) };
  g_autoptr (GError) error = NULL;
  gsize before = held (), caches, now;
  TernStore *pages = tern_store_new (llm, &store, &error);
  TernStream *stream;

  g_assert_no_error (error);
  caches = held ();
  stream = tern_stream_new (llm, pages, &params, &error);
  g_assert_no_error (error);
  now = held ();
  g_test_message ("record %" G_GUINT64_FORMAT ", held %" G_GSIZE_FORMAT "; remembered %" G_GUINT64_FORMAT ", held %" G_GSIZE_FORMAT,
      row (&plan, "record"), now - caches, row (&plan, "remembered"), caches - before);
  g_assert_cmpuint (row (&plan, "record"), >, 4 * AROUND);
  g_assert_cmpuint (now - caches, >=, row (&plan, "record"));
  g_assert_cmpuint (now - caches, <, row (&plan, "record") + AROUND);
  g_assert_cmpuint (caches - before, >=, row (&plan, "remembered"));
  g_assert_cmpuint (caches - before, <, row (&plan, "remembered") + 2 * AROUND);
  tern_stream_free (stream);
  tern_store_unref (pages);
}

/* Nothing of it unless it is asked for; a number that the context has no room for is refused. */
static void
test_choice (void)
{
  TernMemoryPlan window = plan_of (TEXT_FILE, &(TernMemoryOptions) { 0 });
  TernMemoryPlan stream = plan_of (TEXT_FILE, &(TernMemoryOptions) { .memory = TERN_MEMORY_STREAM });

  g_assert_cmpuint (row (&window, "remembered") + row (&window, "record"), ==, 0);
  g_assert_cmpuint (stream.with.memory_tokens, ==, MIN (4096, stream.with.context - TERN_STREAM_SPARE));
  expect_error (TEXT_FILE, &(TernMemoryOptions) { .memory = TERN_MEMORY_STREAM, .memory_tokens = stream.with.context },
      "--memory-tokens");
  expect_error (TEXT_FILE, &(TernMemoryOptions) { .memory = TERN_MEMORY_STREAM, .memory_tokens = 8 }, "--memory-tokens");
}

/* ---- Drafts ------------------------------------------------------------------------------------------------------ */

/* A model that guesses for itself: its caches on the heap, and the total. */
static void
test_draft (void)
{
  const TernMemoryOptions alone = { .context = 512 }, both = { .context = 512, .draft_model = TEXT_FILE };
  TernMemoryPlan one = plan_of (TEXT_FILE, &alone), two = plan_of (TEXT_FILE, &both);
  guint64 planned = row (&two, "draft"), weights = row (&two, "draft_mapped") + row (&two, "draft_owned");
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 1, 0);
  const TernModelText *text = tern_model_text (model);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernDraftModel) guesser = tern_draft_model_new (text->llm, text->tokenizer, text->llm, text->tokenizer,
      TERN_DRAFT_AUTO, &error);
  TernPool *pool = tern_pool_new (1, &error);
  const TernDraftParams params = { .context = 512 };
  TernDraft *draft;
  gsize before, now;

  g_assert_no_error (error);
  tern_draft_free (tern_draft_new (guesser, &params, pool, &error));    /* the scratch of workers stays */
  before = held ();
  draft = tern_draft_new (guesser, &params, pool, &error);
  g_assert_no_error (error);
  now = held ();
  g_test_message ("planned %" G_GUINT64_FORMAT ", held %" G_GSIZE_FORMAT, planned, now - before);
  g_assert_cmpuint (planned, >, 8 * AROUND);
  g_assert_cmpuint (now - before, >=, planned);
  g_assert_cmpuint (now - before, <, planned + 2 * AROUND);
  g_assert_cmpuint (row (&one, "draft"), ==, 0);
  g_assert_cmpuint (weights, >=, row (&one, "mapped") + row (&one, "owned"));
  g_assert_cmpuint (row (&two, "total") - row (&two, "program") - row (&two, "index"), >=,
      row (&one, "total") - row (&one, "program") - row (&one, "index") + planned + weights);
  expect_error (MMPROJ_FILE, &(TernMemoryOptions) { .draft_model = TEXT_FILE }, "--draft-model");
  tern_draft_free (draft);
  tern_pool_free (pool);
}

int
main (int argc, char **argv)
{
  /* Blocks of their own, and one heap for all threads, so that all of it is counted. */
  mallopt (M_ARENA_MAX, 1);
  mallopt (M_MMAP_THRESHOLD, 4096);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/memory-plan/reuse", test_reuse);
  g_test_add_func ("/memory-plan/lanes", test_lanes);
  g_test_add_func ("/memory-plan/session", test_session);
  g_test_add_func ("/memory-plan/record", test_record);
  g_test_add_func ("/memory-plan/choice", test_choice);
  g_test_add_func ("/memory-plan/draft", test_draft);
  return g_test_run ();
}
