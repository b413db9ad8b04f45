/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many timelines in one pass, at random: each is answered what it is answered alone, bit for bit; what is cancelled, finds
 * no room or never runs changes nothing for others. Every family of models, every instruction set. */
#include <string.h>

#include "engine/llm/model.h"
#include "engine/llm/solo.h"
#include "tern/error.h"
#include "tests/golden/golden.h"

#define CONTEXT 160u            /* at most: two pages and a half */
#define TIMELINES 6
#define GUESSES 10              /* fewer than two whole segments take */

static const struct {
  const char *folder, *file;
} models[] = {
  { "lfm2", "lfm2-tq2_0.gguf" },
  { "lfm2s", "lfm2s-bf16.gguf" },
  { "lfm2moe", "lfm2moe-mixed.gguf" },
  { "families", "qwen3.gguf" },
  { "families", "bitnet-i2_s.gguf" },
  { "qwen35", "qwen35-q8_0.gguf" },
};

/* A sequence, and what is known of it: the tokens read, how they were cut where that matters (decode rows), and the logits
 * of its last row. */
typedef struct {
  TernTimeline *timeline;
  GArray *ids;                  /* gint32 */
  GArray *decoded;              /* gboolean, for each */
  float *logits;                /* [n_vocab] after the last one, if `known` */
  gboolean known;
  TernCancel cancel;
} Sequence;

typedef struct {
  TernPool *pool;
  TernLlm *llm;
  TernStore *store;
  TernPass *pass;
  TernSolo *solo;               /* reads each sequence alone */
  GRand *rand;
  guint n_vocab, width, context;
  Sequence sequences[TIMELINES];
  float *logits;                /* [rows, n_vocab] */
} Stage;

static guint
pick (Stage *stage, guint n)
{
  return (guint) g_rand_int_range (stage->rand, 0, (gint) n);
}

static void
set_up (Stage *stage, guint model, const TernKernels *kernels, TernKvType kv, TernActivations mode, guint pages, guint seed)
{
  g_autofree char *path = golden_path (models[model].folder, models[model].file);
  TernStoreParams store = { .timelines = TIMELINES, .pages = pages, .kv = kv, .activations = mode,
    .guesses = GUESSES };
  TernPassParams pass = { .rows = 24, .activations = mode };
  TernSoloParams solo = { .kv = kv, .activations = mode };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);

  g_assert_no_error (error);
  *stage = (Stage) { .rand = g_rand_new_with_seed (seed), .pool = tern_pool_new (2, NULL) };
  stage->llm = tern_llm_open (file, kernels, NULL, &error);
  g_assert_no_error (error);
  stage->context = MIN (CONTEXT, tern_llm_info (stage->llm)->context);
  store.context = pass.context = solo.context = stage->context;
  stage->store = tern_store_new (stage->llm, &store, &error);
  g_assert_no_error (error);
  stage->pass = tern_pass_new (stage->llm, &pass, stage->pool, &error);
  g_assert_no_error (error);
  stage->solo = tern_solo_new (stage->llm, &solo, stage->pool, &error);
  g_assert_no_error (error);
  stage->n_vocab = tern_llm_info (stage->llm)->n_vocab;
  stage->width = tern_llm_info (stage->llm)->width;
  stage->logits = g_new (float, (gsize) tern_pass_rows (stage->pass) * stage->n_vocab);
  for (guint i = 0; i < TIMELINES; i++) {
    Sequence *s = &stage->sequences[i];

    s->timeline = tern_timeline_new (stage->store, &error);
    g_assert_no_error (error);
    s->ids = g_array_new (FALSE, FALSE, sizeof (gint32));
    s->decoded = g_array_new (FALSE, FALSE, sizeof (gboolean));
    s->logits = g_new (float, stage->n_vocab);
  }
}

static void
tear_down (Stage *stage)
{
  for (guint i = 0; i < TIMELINES; i++) {
    tern_timeline_free (stage->sequences[i].timeline);
    g_array_unref (stage->sequences[i].ids);
    g_array_unref (stage->sequences[i].decoded);
    g_free (stage->sequences[i].logits);
  }
  g_free (stage->logits);
  tern_solo_free (stage->solo);
  tern_pass_free (stage->pass);
  tern_store_unref (stage->store);
  tern_llm_unref (stage->llm);
  tern_pool_free (stage->pool);
  g_rand_free (stage->rand);
}

/* ---- Sequences --------------------------------------------------------------------------------------------------- */

static void
empty (Sequence *s)
{
  tern_timeline_reset (s->timeline);
  g_array_set_size (s->ids, 0);
  g_array_set_size (s->decoded, 0);
  s->known = FALSE;
}

static void
note (Sequence *s, const gint32 *ids, guint n, gboolean decode)
{
  g_array_append_vals (s->ids, ids, n);
  for (guint i = 0; i < n; i++)
    g_array_append_val (s->decoded, decode);
  s->known = FALSE;
}

static void
fork_sequence (Stage *stage, Sequence *to, const Sequence *from)
{
  tern_timeline_fork (to->timeline, from->timeline);
  g_array_set_size (to->ids, 0);
  g_array_append_vals (to->ids, from->ids->data, from->ids->len);
  g_array_set_size (to->decoded, 0);
  g_array_append_vals (to->decoded, from->decoded->data, from->decoded->len);
  to->known = from->known;
  memcpy (to->logits, from->logits, stage->n_vocab * sizeof (float));
}

/* Reads @s alone: logits of its last row. Prompts at once, decode rows one by one. */
static void
read_alone (Stage *stage, const Sequence *s, float *logits)
{
  const gint32 *ids = (const gint32 *) s->ids->data;
  const gboolean *decoded = (const gboolean *) s->decoded->data;

  tern_solo_reset (stage->solo);
  for (guint i = 0, n; i < s->ids->len; i += n) {
    g_autoptr (GError) error = NULL;
    TernSegment segment = { .timeline = tern_solo_timeline (stage->solo), .want = TERN_LOGITS_LAST, .logits = logits };
    float *rows;

    for (n = 1; !decoded[i] && n < tern_pass_rows (tern_solo_pass (stage->solo)) && i + n < s->ids->len
        && !decoded[i + n]; n++);
    segment.n = n;
    segment.decode = decoded[i];
    tern_pass_begin (tern_solo_pass (stage->solo));
    rows = tern_pass_add (tern_solo_pass (stage->solo), &segment, &error);
    g_assert_no_error (error);
    tern_llm_embed (stage->llm, ids + i, n, rows, stage->width);
    tern_pass_run (tern_solo_pass (stage->solo), &error);
    g_assert_no_error (error);
  }
}

static void
check_sequence (Stage *stage, const Sequence *s)
{
  g_autofree float *alone = g_new (float, stage->n_vocab);
  gsize bytes = stage->n_vocab * sizeof (float);

  g_assert_cmpuint (tern_timeline_pos (s->timeline), ==, s->ids->len);
  if (!s->known)
    return;
  read_alone (stage, s, alone);
  g_assert_cmpmem (s->logits, bytes, alone, bytes);
}

/* ---- A pass at random -------------------------------------------------------------------------------------------- */

typedef struct {
  Sequence *s;
  guint keep;                   /* rows of a decode segment that stand */
  gint32 ids[64];
  guint n;
  gboolean decode;
  TernLogits want;
  float *logits;
} Part;

static void
make_part (Stage *stage, Part *part, gboolean decode, float **logits)
{
  guint room = MIN (tern_pass_room (stage->pass), stage->context - part->s->ids->len);

  part->decode = decode;
  part->n = 1 + pick (stage, MIN (room, decode ? TERN_GUESS_MAX + 1 : 20));
  if (decode && pick (stage, 2))
    part->n = 1;
  part->keep = decode ? 1 + pick (stage, part->n) : part->n;
  part->want = decode && part->n == 1 ? TERN_LOGITS_LAST : (TernLogits) pick (stage, 3);
  part->logits = *logits;
  for (guint i = 0; i < part->n; i++)
    part->ids[i] = (gint32) pick (stage, stage->n_vocab);
  *logits += stage->n_vocab * (part->want == TERN_LOGITS_ALL ? part->n : part->want == TERN_LOGITS_LAST);
}

/* FALSE: there was no room, and nothing has changed. */
static gboolean
add_part (Stage *stage, const Part *part)
{
  TernSegment segment = { .timeline = part->s->timeline, .n = part->n, .decode = part->decode, .want = part->want,
    .logits = part->logits, .cancel = &part->s->cancel };
  guint pos = tern_timeline_pos (part->s->timeline), free = tern_store_free_pages (stage->store), room =
      tern_pass_room (stage->pass);
  g_autoptr (GError) error = NULL;
  float *rows = tern_pass_add (stage->pass, &segment, &error);

  if (!rows) {
    g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
    g_assert_cmpuint (tern_timeline_pos (part->s->timeline), ==, pos);
    g_assert_cmpuint (tern_store_free_pages (stage->store), ==, free);
    g_assert_cmpuint (tern_pass_room (stage->pass), ==, room);
    return FALSE;
  }
  tern_llm_embed (stage->llm, part->ids, part->n, rows, stage->width);
  return TRUE;
}

/* @parts [TIMELINES]; how many. Decode rows come first. */
static guint
put_together (Stage *stage, Part *parts)
{
  gboolean decode[TIMELINES];
  float *logits = stage->logits;
  guint n = 0;

  tern_pass_begin (stage->pass);
  for (guint i = 0; i < TIMELINES; i++)
    decode[i] = stage->sequences[i].ids->len > 0 && pick (stage, 2);
  for (guint turn = 0; turn < 2; turn++)
    for (guint i = 0; i < TIMELINES; i++) {
      Sequence *s = &stage->sequences[i];

      if (decode[i] != (turn == 0) || pick (stage, 4) == 0 || tern_pass_room (stage->pass) == 0
          || s->ids->len == stage->context)
        continue;
      parts[n].s = s;
      make_part (stage, &parts[n], decode[i], &logits);
      if (add_part (stage, &parts[n]))
        n++;
      else
        logits = parts[n].logits;
    }
  return n;
}

static void
take_part (Stage *stage, const Part *part)
{
  Sequence *s = part->s;
  gsize n_vocab = stage->n_vocab;
  gboolean all = part->want == TERN_LOGITS_ALL;

  note (s, part->ids, part->keep, part->decode);
  if (part->decode && (part->n > 1 || pick (stage, 2)))
    tern_timeline_cut (s->timeline, part->keep);
  if (part->want == TERN_LOGITS_NONE || (!all && part->keep < part->n))
    return;
  s->known = TRUE;
  memcpy (s->logits, part->logits + (all ? part->keep - 1 : 0) * n_vocab, n_vocab * sizeof (float));
  /* Rows summed together with others of their prompt are another order of summation than the last one alone. */
  s->known = part->decode || !all;
}

/* Puts a pass together, and does not run it, or cancels some or all. */
static void
run_one (Stage *stage)
{
  Part parts[TIMELINES];
  guint n = put_together (stage, parts), fate = pick (stage, 10), left_out = n > 0 ? pick (stage, n) : 0;
  g_autoptr (GError) error = NULL;
  gboolean ok;

  if (fate == 0 || n == 0) {
    tern_pass_begin (stage->pass);
    for (guint i = 0; i < TIMELINES; i++)
      g_assert_cmpuint (tern_timeline_pos (stage->sequences[i].timeline), ==, stage->sequences[i].ids->len);
    return;
  }
  for (guint i = 0; fate <= 2 && i < n; i++)
    if (fate == 1 || i != left_out)
      tern_cancel_raise (&parts[i].s->cancel);
  ok = tern_pass_run (stage->pass, &error);
  g_assert_true (ok == (fate != 1));
  if (!ok)
    g_assert_error (error, TERN_ERROR, TERN_ERROR_CANCELLED);
  for (guint i = 0; i < n; i++) {
    tern_cancel_reset (&parts[i].s->cancel);
    g_assert_true (tern_timeline_is_torn (parts[i].s->timeline) == !ok);
    if (ok)
      take_part (stage, &parts[i]);
    else
      empty (parts[i].s);
  }
}

static void
check_random (const TernKernels *kernels, gconstpointer data)
{
  static const TernKvType types[] = { TERN_KV_F32, TERN_KV_F16, TERN_KV_INT8, TERN_KV_INT4_ROTATED };
  guint model = GPOINTER_TO_UINT (data);

  for (guint k = 0; k < G_N_ELEMENTS (types); k++) {
    /* A few pages only, in one of them: what finds no room must change nothing. */
    guint pages = k == 1 ? 7 : 0, rounds = kernels->level == TERN_CPU_SCALAR || golden_is_sample () ? 12 : 60;
    Stage stage;

    set_up (&stage, model, kernels, types[k], k == 2 ? TERN_ACTIVATIONS_F32 : TERN_ACTIVATIONS_INT8, pages, 17 * model + k);
    for (guint i = 0; i < rounds; i++) {
      Sequence *s = &stage.sequences[pick (&stage, TIMELINES)], *other = &stage.sequences[pick (&stage, TIMELINES)];

      if (s != other && pick (&stage, 4) == 0)
        fork_sequence (&stage, other, s);
      else if (pick (&stage, 12) == 0 || s->ids->len + 24 > stage.context)
        empty (s);
      run_one (&stage);
      if (i % 6 == 5)
        for (guint t = 0; t < TIMELINES; t++)
          check_sequence (&stage, &stage.sequences[t]);
    }
    for (guint t = 0; t < TIMELINES; t++)
      empty (&stage.sequences[t]);
    g_assert_cmpuint (tern_store_free_guesses (stage.store), ==, GUESSES);
    g_assert_cmpuint (tern_store_free_pages (stage.store), ==,
        pages ? pages : TIMELINES * ((stage.context + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS));
    tear_down (&stage);
  }
}

static void
test_random (gconstpointer data)
{
  golden_each_level (check_random, data);
}

/* ---- What is left out -------------------------------------------------------------------------------------------- */

static void
see_all (void *data, guint layer, const float *rows, guint n)
{
  g_assert_cmpuint (n, >, 0);
}

/* Rows that nobody asks for leave a pass where nothing looks back at them any more, but not while somebody looks on: with
 * and without, the same passes give the same logits, and timelines that go on alike. */
static void
check_narrow (const TernKernels *kernels, gconstpointer data)
{
  static const TernKvType types[] = { TERN_KV_F32, TERN_KV_INT4_ROTATED };

  for (guint k = 0; k < G_N_ELEMENTS (types); k++) {
    TernActivations mode = k ? TERN_ACTIVATIONS_F32 : TERN_ACTIVATIONS_INT8;
    guint rounds = kernels->level == TERN_CPU_SCALAR || golden_is_sample () ? 12 : 60, compared = 0;
    Stage narrow, whole;

    set_up (&narrow, GPOINTER_TO_UINT (data), kernels, types[k], mode, 0, 5 + k);
    set_up (&whole, GPOINTER_TO_UINT (data), kernels, types[k], mode, 0, 5 + k);
    tern_pass_set_tap (whole.pass, see_all, NULL);
    for (guint i = 0; i < rounds; i++) {
      run_one (&narrow);
      run_one (&whole);
      for (guint t = 0; t < TIMELINES; t++) {
        Sequence *a = &narrow.sequences[t], *b = &whole.sequences[t];
        gsize bytes = narrow.n_vocab * sizeof (float);

        g_assert_cmpuint (a->ids->len, ==, b->ids->len);
        g_assert_true (a->known == b->known);
        compared += a->known;
        if (a->known)
          g_assert_cmpmem (a->logits, bytes, b->logits, bytes);
      }
    }
    g_assert_cmpuint (compared, >, rounds / 4);
    tear_down (&narrow);
    tear_down (&whole);
  }
}

static void
test_narrow (gconstpointer data)
{
  golden_each_level (check_narrow, data);
}

/* Which rows: counted by hand from the models' layers, C a convolution of three taps, A attention. */
static void
test_needs (void)
{
  const guint all = G_MAXUINT;
  const struct {
    guint model, behind[5], before[5];
  } expected[] = {
    { 0, { all, all, all, 0 }, { all, all, all, all } },        /* C A C A */
    { 1, { all, all, 2, 0 }, { all, all, all, 2 } },            /* C C A C */
    { 2, { all, all, all, 2, 0 }, { all, all, all, all, 2 } },  /* C A C A C, with experts */
    { 3, { 0 }, { all } },                                      /* A */
    { 5, { all, all, all, 0 }, { all, all, all, all } },        /* linear attention three times, A */
  };

  TernKernels kernels;

  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++) {
    g_autofree char *path = golden_path (models[expected[i].model].folder, models[expected[i].model].file);
    g_autoptr (TernGguf) file = tern_gguf_open (path, NULL);
    g_autoptr (TernLlm) llm = tern_llm_plan (file, &kernels, NULL);

    for (guint l = 0; l < tern_llm_info (llm)->n_layers; l++) {
      g_assert_cmpuint (llm->layers[l].needed_behind, ==, expected[i].behind[l]);
      g_assert_cmpuint (llm->layers[l].needed_before, ==, expected[i].before[l]);
    }
  }
}

/* ---- Hidden states ----------------------------------------------------------------------------------------------- */

typedef struct {
  guint layer, n;
  float rows[4096];             /* after the final norm */
  gsize width;
} Seen;

static void
see_last (void *data, guint layer, const float *rows, guint n)
{
  Seen *seen = data;

  if (layer != seen->layer)
    return;
  g_assert_cmpuint ((seen->n + n) * seen->width, <=, G_N_ELEMENTS (seen->rows));
  memcpy (seen->rows + seen->n * seen->width, rows, n * seen->width * sizeof (float));
  seen->n += n;
}

/* What the head makes of a row. */
static void
head (Stage *stage, TernActivations mode, const float *hidden, float *logits)
{
  g_autofree void *memory = g_malloc (tern_linear_input_bytes (1, stage->width) + TERN_ALIGN);
  const TernLinear *linear = tern_llm_head (stage->llm);
  TernLinearInput input;

  g_assert_true (tern_pool_reserve (stage->pool, tern_linear_scratch (linear), NULL));
  tern_linear_input_init (&input, (void *) tern_align_up ((gsize) memory), stage->llm->kernels, mode, hidden, stage->width,
      1, stage->width);
  input.few = 1;
  g_assert_true (tern_linear_run_until (linear, &input, NULL, logits, stage->n_vocab, stage->pool, NULL));
}

/* Of whoever wants it, with logits or without: what logits are computed from, and no logits for those that want none. */
static void
check_hidden (const TernKernels *kernels, gconstpointer data)
{
  for (guint way = 0; way < 2; way++) {
    TernActivations mode = way ? TERN_ACTIVATIONS_F32 : TERN_ACTIVATIONS_INT8;
    TernLogits wants[] = { TERN_LOGITS_LAST, TERN_LOGITS_NONE, TERN_LOGITS_NONE, TERN_LOGITS_ALL };
    gint32 ids[] = { 1, 4, 9, 16, 25 };
    g_autofree float *hidden = NULL, *again = NULL;
    Seen seen = { 0 };
    gsize bytes;
    Stage stage;

    set_up (&stage, GPOINTER_TO_UINT (data), kernels, TERN_KV_F32, mode, 0, 1);
    hidden = g_new0 (float, G_N_ELEMENTS (wants) * stage.width);
    again = g_new (float, stage.n_vocab);
    bytes = stage.width * sizeof (float);
    seen.layer = tern_llm_info (stage.llm)->n_layers;
    seen.width = stage.width;
    tern_pass_set_tap (stage.pass, see_last, &seen);
    tern_pass_begin (stage.pass);
    for (guint i = 0; i < G_N_ELEMENTS (wants); i++) {
      TernSegment segment = { .timeline = stage.sequences[i].timeline, .n = G_N_ELEMENTS (ids), .want = wants[i],
        .logits = stage.logits + (i ? stage.n_vocab : 0), .hidden = i == 2 ? NULL : hidden + i * stage.width };

      tern_llm_embed (stage.llm, ids, segment.n, tern_pass_add (stage.pass, &segment, NULL), stage.width);
    }
    g_assert_true (tern_pass_run (stage.pass, NULL));
    g_assert_cmpuint (seen.n, ==, 1 + G_N_ELEMENTS (ids));
    g_assert_cmpmem (hidden, bytes, seen.rows, bytes);
    g_assert_cmpmem (hidden + stage.width, bytes, seen.rows, bytes);
    g_assert_cmpfloat (hidden[2 * stage.width], ==, 0);
    g_assert_cmpmem (hidden + 3 * stage.width, bytes, seen.rows, bytes);
    head (&stage, mode, hidden + stage.width, again);
    g_assert_cmpmem (again, stage.n_vocab * sizeof (float), stage.logits, stage.n_vocab * sizeof (float));
    tear_down (&stage);
  }
}

static void
test_hidden (gconstpointer data)
{
  golden_each_level (check_hidden, data);
}

/* ---- What a fork costs ------------------------------------------------------------------------------------------- */

static void
read_some (Stage *stage, guint sequence, guint n)
{
  Sequence *s = &stage->sequences[sequence];

  while (n > 0) {
    Part part = { .s = s, .n = MIN (n, 20) };

    for (guint i = 0; i < part.n; i++)
      part.ids[i] = (gint32) i;
    tern_pass_begin (stage->pass);
    g_assert_true (add_part (stage, &part));
    g_assert_true (tern_pass_run (stage->pass, NULL));
    note (s, part.ids, part.n, FALSE);
    n -= part.n;
  }
}

/* Pages are copied by who writes to one that others have too, and by nobody else. */
static void
test_pages (void)
{
  const TernKernels *kernels = tern_kernels_default (NULL);
  Stage stage;
  guint free;

  g_assert_nonnull (kernels);
  set_up (&stage, 0, kernels, TERN_KV_F32, TERN_ACTIVATIONS_INT8, 0, 1);
  free = tern_store_free_pages (stage.store);
  read_some (&stage, 0, 70);
  g_assert_cmpuint (free - tern_store_free_pages (stage.store), ==, 2);
  fork_sequence (&stage, &stage.sequences[1], &stage.sequences[0]);
  fork_sequence (&stage, &stage.sequences[2], &stage.sequences[0]);
  g_assert_cmpuint (free - tern_store_free_pages (stage.store), ==, 2);
  read_some (&stage, 1, 1);
  g_assert_cmpuint (free - tern_store_free_pages (stage.store), ==, 3);
  read_some (&stage, 0, 1);
  g_assert_cmpuint (free - tern_store_free_pages (stage.store), ==, 4);
  read_some (&stage, 2, 1);     /* alone with it by now */
  g_assert_cmpuint (free - tern_store_free_pages (stage.store), ==, 4);
  read_some (&stage, 2, 1);
  g_assert_cmpuint (free - tern_store_free_pages (stage.store), ==, 4);
  /* A page that is full is shared for good. */
  empty (&stage.sequences[1]);
  empty (&stage.sequences[2]);
  read_some (&stage, 0, 128 - 71);
  fork_sequence (&stage, &stage.sequences[1], &stage.sequences[0]);
  read_some (&stage, 1, 1);
  g_assert_cmpuint (free - tern_store_free_pages (stage.store), ==, 3);
  empty (&stage.sequences[0]);
  g_assert_cmpuint (free - tern_store_free_pages (stage.store), ==, 3);
  tear_down (&stage);
}

static void
test_limits (void)
{
  const TernKernels *kernels = tern_kernels_default (NULL);
  g_autoptr (GError) error = NULL;
  Part part = { 0 };
  Stage stage;

  g_assert_nonnull (kernels);
  set_up (&stage, 0, kernels, TERN_KV_F32, TERN_ACTIVATIONS_INT8, 4, 1);
  g_assert_null (tern_timeline_new (stage.store, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_clear_error (&error);
  part.s = &stage.sequences[0];
  part.n = 20;
  read_some (&stage, 0, 150);
  tern_pass_begin (stage.pass);
  g_assert_false (add_part (&stage, &part));    /* the context is full */
  read_some (&stage, 1, 64);
  part.s = &stage.sequences[1];
  part.n = 1;
  tern_pass_begin (stage.pass);
  g_assert_false (add_part (&stage, &part));    /* the pages are */
  empty (&stage.sequences[0]);
  g_assert_true (add_part (&stage, &part));
  tern_pass_begin (stage.pass);
  g_assert_cmpuint (tern_store_free_pages (stage.store), ==, 3);
  /* Torn: it takes nothing until it is reset. */
  tern_cancel_raise (&part.s->cancel);
  g_assert_true (add_part (&stage, &part));
  g_assert_false (tern_pass_run (stage.pass, NULL));
  g_assert_null (tern_pass_add (stage.pass, &(TernSegment) { .timeline = part.s->timeline, .n = 1 }, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  tear_down (&stage);
}

/* The runs of a pass as the linears name them: from the head through every run of the layers once, and back to the head. */
typedef struct {
  GHashTable *left;             /* that have not been run */
} Order;

static void
expect_linear (TernLinear *linear, void *data)
{
  g_hash_table_add (((Order *) data)->left, linear);
}

static void
test_order (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autofree char *path = golden_path (models[i].folder, models[i].file);
    Order order = { g_hash_table_new (NULL, NULL) };
    g_autoptr (GError) error = NULL;
    g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
    g_autoptr (TernLlm) llm = tern_llm_open (file, tern_kernels_default (NULL), NULL, &error);
    const TernLinear *head = tern_llm_head (llm), *run = head;
    guint n = 0;

    g_assert_no_error (error);
    tern_llm_each_linear (llm, expect_linear, &order);
    g_hash_table_remove (order.left, head);
    g_hash_table_remove (order.left, &llm->embedding);
    n = g_hash_table_size (order.left);
    for (run = head->next; run && run != head; run = run->next)
      for (const TernLinear *linear = run; linear; linear = linear->beside)
        g_assert_true (g_hash_table_remove (order.left, linear));
    /* Which experts come next is not known before. */
    g_assert_true (run == head || g_str_equal (models[i].folder, "lfm2moe"));
    g_assert_true ((g_hash_table_size (order.left) == 0) == (run == head));
    g_assert_cmpuint (g_hash_table_size (order.left), <, n);
    g_hash_table_unref (order.left);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autofree char *name = g_strdup_printf ("/pass/random/%s", models[i].file);
    g_autofree char *hidden = g_strdup_printf ("/pass/hidden/%s", models[i].file);
    g_autofree char *narrow = g_strdup_printf ("/pass/narrow/%s", models[i].file);

    g_test_add_data_func (name, GUINT_TO_POINTER (i), test_random);
    g_test_add_data_func (hidden, GUINT_TO_POINTER (i), test_hidden);
    g_test_add_data_func (narrow, GUINT_TO_POINTER (i), test_narrow);
  }
  g_test_add_func ("/pass/needs", test_needs);
  g_test_add_func ("/pass/pages", test_pages);
  g_test_add_func ("/pass/limits", test_limits);
  g_test_add_func ("/pass/order", test_order);
  return g_test_run ();
}
