/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Forgetting rows of a model of three rotary axes. What is expected of keys is what the same model makes of the rows that stay
 * when it reads them alone, at places worked out by hand or by the rule of a prompt (whose places are the reference's:
 * test-places.c): in the first layer keys know their token and place only. */
#include <math.h>
#include <string.h>

#include "compress/remember.h"
#include "engine/llm/evict.h"
#include "engine/llm/solo.h"
#include "tern/stream.h"
#include "tests/golden/golden.h"

#define ROWS 1024               /* of all that is ever read */
#define BUDGET 128

typedef struct {
  TernPool *pool;
  TernLlm *llm;
  TernSolo *solo, *alone;       /* the store that streams are in; who reads what stays */
  void *scratch;
  guint width, kv;
  /* What was read, row by row. */
  guint n, n_frames;
  float *rows;                  /* [ROWS, width] */
  float *values;                /* [ROWS, kv] of the first layer, which tell rows apart */
  struct { guint frame, extent, h, w; } at[ROWS];       /* extent 0: a word */
} Fixture;

static TernSolo *
new_solo (Fixture *f, guint forks)
{
  TernSoloParams params = { .context = 512, .activations = TERN_ACTIVATIONS_F32, .kv = TERN_KV_F32, .forks = forks };
  g_autoptr (GError) error = NULL;
  TernSolo *solo = tern_solo_new (f->llm, &params, f->pool, &error);

  g_assert_no_error (error);
  return solo;
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autofree char *path = golden_path ("qwen3vl", "qwen3vl-q8_0.gguf");
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
  GRand *rand = g_rand_new_with_seed (7);

  g_assert_no_error (error);
  f->llm = tern_llm_open (file, tern_kernels_default (NULL), NULL, &error);
  g_assert_no_error (error);
  g_assert_true (tern_llm_info (f->llm)->has_places);
  g_assert_true (tern_evict_check (f->llm, &error));
  f->pool = tern_pool_new (1, NULL);
  f->solo = new_solo (f, 3);
  f->alone = new_solo (f, 0);
  f->scratch = g_malloc (tern_evict_scratch_bytes (f->llm));
  f->width = tern_llm_info (f->llm)->width;
  f->kv = tern_evict_kv_width (f->llm, 0);
  f->rows = g_new (float, ROWS * f->width);
  f->values = g_new0 (float, ROWS * f->kv);
  for (guint i = 0; i < ROWS * f->width; i++)
    f->rows[i] = (float) g_rand_double_range (rand, -1, 1);
  g_rand_free (rand);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_free (f->rows);
  g_free (f->values);
  g_free (f->scratch);
  tern_solo_free (f->solo);
  tern_solo_free (f->alone);
  tern_llm_unref (f->llm);
  tern_pool_free (f->pool);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* A word, or with a grid a token of a picture at (h, w) in it. */
static void
note (Fixture *f, guint extent, guint h, guint w)
{
  g_assert_cmpuint (f->n, <, ROWS);
  f->at[f->n].frame = f->n_frames;
  f->at[f->n].extent = extent;
  f->at[f->n].h = h;
  f->at[f->n++].w = w;
}

/* Where rows @keep [n] of those noted stand in a prompt of theirs; where text goes on behind them. */
static guint
stand (const Fixture *f, const guint *keep, guint n, TernPlace *places)
{
  guint p = 0, begins = 0, frame = G_MAXUINT;

  for (guint i = 0; i < n; i++) {
    guint row = keep[i];

    if (f->at[row].extent == 0) {
      places[i] = (TernPlace) { p, p, p };
      p++;
      continue;
    }
    if (f->at[row].frame != frame) {
      frame = f->at[row].frame;
      begins = p;
      p += f->at[row].extent;
    }
    places[i] = (TernPlace) { begins, begins + f->at[row].h, begins + f->at[row].w };
  }
  return p;
}

/* Rows [first, f->n), noted already, into @timeline; @places, counted from where its text goes on. */
static void
read_rows (Fixture *f, TernTimeline *timeline, guint first, const TernPlace *places, guint advance)
{
  TernPass *pass = tern_solo_pass (f->solo);
  TernSegment segment = { .timeline = timeline, .n = f->n - first, .places = places, .advance = advance };
  guint begin = tern_timeline_pos (timeline);
  float *rows;

  tern_pass_begin (pass);
  rows = tern_pass_add (pass, &segment, NULL);
  g_assert_nonnull (rows);
  memcpy (rows, f->rows + first * f->width, segment.n * f->width * sizeof (float));
  g_assert_true (tern_pass_run (pass, NULL));
  tern_timeline_read_values (timeline, 0, begin, segment.n, f->values + first * f->kv);
}

/* Which of all rows each of @timeline is. */
static void
recognise (const Fixture *f, TernTimeline *timeline, guint *rows)
{
  guint n = tern_timeline_pos (timeline);
  g_autofree float *values = g_new (float, n * f->kv);

  tern_timeline_read_values (timeline, 0, 0, n, values);
  for (guint i = 0; i < n; i++) {
    guint row = 0;

    while (row < f->n && memcmp (values + i * f->kv, f->values + row * f->kv, f->kv * sizeof (float)) != 0)
      row++;
    g_assert_cmpuint (row, <, f->n);
    g_assert_true (i == 0 || row > rows[i - 1]);
    rows[i] = row;
  }
}

static float *
keys_of (const Fixture *f, TernTimeline *timeline)
{
  guint n = tern_timeline_pos (timeline), dim = tern_llm_info (f->llm)->head_dim;
  float *keys = g_new (float, n * f->kv);

  for (guint i = 0; i < n; i++)
    for (guint h = 0; h < f->kv / dim; h++)
      memcpy (keys + i * f->kv + h * dim, tern_timeline_key (timeline, 0, h, i), dim * sizeof (float));
  return keys;
}

/* @timeline is what reads rows @keep [n] alone, at @places. */
static void
check_alone (Fixture *f, TernTimeline *timeline, const guint *keep, guint n, const TernPlace *places, guint next)
{
  g_autofree float *rows = g_new (float, n * f->width), *found = NULL, *expected = NULL;
  TernLlmInput input = { .rows = rows, .ld = f->width, .n = n, .places = places, .advance = next };
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (tern_timeline_pos (timeline), ==, n);
  g_assert_cmpuint (tern_timeline_place (timeline), ==, next);
  for (guint i = 0; i < n; i++)
    memcpy (rows + i * f->width, f->rows + keep[i] * f->width, f->width * sizeof (float));
  tern_solo_reset (f->alone);
  tern_solo_eval (f->alone, &input, TERN_LOGITS_NONE, NULL, NULL, &error);
  g_assert_no_error (error);
  found = keys_of (f, timeline);
  expected = keys_of (f, tern_solo_timeline (f->alone));
  g_assert_cmpfloat (sqrt (golden_nmse (found, expected, n * f->kv)), <, 1e-5);
}

/* ---- By hand ----------------------------------------------------------------------------------------------------- */

/* Two words; a word, 2 x 3 tokens and a word; a word, two tokens of 4 x 2 and a word; a word, a token and a word. */
static const TernPlace here[] = { { 0, 0, 0 }, { 1, 1, 1 },
  { 2, 2, 2 }, { 3, 3, 3 }, { 3, 3, 4 }, { 3, 3, 5 }, { 3, 4, 3 }, { 3, 4, 4 }, { 3, 4, 5 }, { 6, 6, 6 },
  { 7, 7, 7 }, { 8, 9, 8 }, { 8, 11, 9 }, { 12, 12, 12 },
  { 13, 13, 13 }, { 14, 14, 14 }, { 15, 15, 15 } };
static const struct { guint begin, tokens, n_tokens, extent; } frames[] = { { 2, 3, 6, 3 }, { 10, 11, 2, 4 }, { 14, 15, 1, 1 } };

static gboolean
is_token (guint row)
{
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    if (row >= frames[i].tokens && row < frames[i].tokens + frames[i].n_tokens)
      return TRUE;
  return FALSE;
}

static void
test_by_hand (Fixture *f, gconstpointer data)
{
  static const struct { guint n, keep[17]; TernPlace to[17]; guint next; } cases[] = {
    { 11, { 0, 1, 2, 5, 7, 10, 12, 13, 14, 15, 16 }, { { 0, 0, 0 }, { 1, 1, 1 }, { 2, 2, 2 }, { 3, 3, 5 }, { 3, 4, 4 }, { 6, 6, 6 },
        { 7, 10, 8 }, { 11, 11, 11 }, { 12, 12, 12 }, { 13, 13, 13 }, { 14, 14, 14 } }, 15 },
    { 7, { 0, 1, 10, 11, 13, 14, 15 }, { { 0, 0, 0 }, { 1, 1, 1 }, { 2, 2, 2 }, { 3, 4, 3 }, { 7, 7, 7 }, { 8, 8, 8 }, { 9, 9, 9 } },
      10 },
    { 3, { 0, 1, 16 }, { { 0, 0, 0 }, { 1, 1, 1 }, { 2, 2, 2 } }, 3 },
    { 2, { 0, 1 }, { { 0, 0, 0 }, { 1, 1, 1 } }, 2 },
  };
  TernStreamParams params = { .budget = BUDGET, .head = 2, .places = 8, .reach = 512, .tick = 1 };
  g_autoptr (GError) error = NULL;
  TernStream *stream = tern_stream_new (f->llm, tern_solo_store (f->solo), &params, &error);

  g_assert_no_error (error);
  for (guint i = 0, frame = 0; i < G_N_ELEMENTS (here); i++) {
    if (frame < G_N_ELEMENTS (frames) && i == frames[frame].begin) {
      tern_stream_add_frame (stream, frame, 1 + frame, 8, frames[frame].extent);
      frame++;
    }
    tern_stream_add_row (stream, is_token (i) ? (gint32) i % 8 : TERN_REMEMBER_NO_PLACE, &here[i]);
    note (f, 0, 0, 0);
  }
  read_rows (f, tern_stream_timeline (stream), 0, here, 16);
  for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
    g_autoptr (TernTimeline) fork = tern_timeline_new (tern_solo_store (f->solo), &error);
    g_autofree float *before = g_new (float, f->kv), *after = g_new (float, f->kv);
    guint last = cases[c].n - 1;
    gint32 keep[17];

    g_assert_no_error (error);
    for (guint i = 0; i < cases[c].n; i++)
      keep[i] = (gint32) cases[c].keep[i];
    tern_timeline_fork (fork, tern_stream_timeline (stream));
    tern_timeline_read_keys (fork, 0, cases[c].keep[last], 1, &here[cases[c].keep[last]], before, f->scratch);
    g_assert_true (tern_stream_narrow (stream, fork, keep, cases[c].n, &error));
    check_alone (f, fork, cases[c].keep, cases[c].n, cases[c].to, cases[c].next);
    /* Turned back, a key is the same wherever it stands. */
    tern_timeline_read_keys (fork, 0, last, 1, &cases[c].to[last], after, f->scratch);
    g_assert_cmpfloat (sqrt (golden_nmse (after, before, f->kv)), <, 1e-6);
  }
  g_assert_cmpuint (tern_timeline_place (tern_stream_timeline (stream)), ==, 16);       /* forks alone have changed */
  tern_stream_free (stream);
}

/* ---- Endless ----------------------------------------------------------------------------------------------------- */

/* A frame: two words, tokens of a grid, a word; the head before the first one. */
static void
read_frame (Fixture *f, TernStream *stream, guint columns, guint grid_rows, guint every, guint n_head)
{
  guint first = f->n, extent = MAX (columns, grid_rows), n, advance, all[64];
  TernPlace places[64];
  guint row;

  for (guint i = 0; i < n_head + 2; i++)
    note (f, 0, 0, 0);
  f->n_frames++;
  for (guint i = f->n_frames % every; i < columns * grid_rows; i += every)
    note (f, extent, i / columns, i % columns);
  note (f, 0, 0, 0);
  n = f->n - first;
  g_assert_cmpuint (n, <=, G_N_ELEMENTS (all));
  for (guint i = 0; i < n; i++)
    all[i] = first + i;
  advance = stand (f, all, n, places);
  g_assert_true (tern_stream_make_room (stream, n, advance, NULL));
  for (guint i = 0; i < n; i++) {
    if (i == n_head)
      tern_stream_add_frame (stream, f->n_frames, f->n_frames, columns * grid_rows, extent);
    row = first + i;
    tern_stream_add_row (stream, f->at[row].extent ? (gint32) (f->at[row].h * columns + f->at[row].w) : TERN_REMEMBER_NO_PLACE,
        &places[i]);
  }
  read_rows (f, tern_stream_timeline (stream), first, places, advance);
}

/* What is remembered stands as if nothing else had ever been read, however often something was forgotten, and never beyond its
 * reach: where few tokens of large grids are left, that is sooner than the rows are full. */
static void
test_endless (Fixture *f, gconstpointer data)
{
  gboolean sparse = GPOINTER_TO_UINT (data);
  TernStreamParams params = { .budget = BUDGET, .head = 3, .places = 24, .reach = BUDGET, .tick = 1 };
  g_autoptr (GError) error = NULL;
  TernStream *stream = tern_stream_new (f->llm, tern_solo_store (f->solo), &params, &error);
  TernTimeline *timeline = tern_stream_timeline (stream);
  guint most = 0;
  guint64 turns = 0;

  g_assert_no_error (error);
  for (guint i = 0; i < 60; i++) {
    guint keep[BUDGET], n, next;
    TernPlace places[BUDGET];

    if (sparse)
      read_frame (f, stream, i % 2 ? 24 : 2, i % 2 ? 1 : 12, 11, i == 0 ? 3 : 0);
    else
      read_frame (f, stream, i % 2 ? 4 : 2, i % 2 ? 3 : 5, 1, i == 0 ? 3 : 0);
    n = tern_stream_rows (stream);
    most = MAX (most, n);
    g_assert_cmpuint (n, <=, BUDGET);
    g_assert_cmpuint (tern_timeline_place (timeline), <=, BUDGET);
    if (tern_stream_turns (stream) == turns && i % 8 > 0)
      continue;
    turns = tern_stream_turns (stream);
    recognise (f, timeline, keep);
    next = stand (f, keep, n, places);
    check_alone (f, timeline, keep, n, places, next);
  }
  g_test_message ("%" G_GUINT64_FORMAT " turns, at most %u rows", turns, most);
  g_assert_cmpuint (turns, >, 4);
  if (sparse)
    g_assert_cmpuint (most, <, BUDGET / 2);
  else
    g_assert_cmpuint (most, >, BUDGET - 16);
  tern_stream_free (stream);
}

int
main (int argc, char **argv)
{
  g_autofree char *path = golden_path ("qwen3vl", "qwen3vl-q8_0.gguf");

  if (!path) {
    g_print ("1..0 # SKIP no qwen3vl-q8_0.gguf among the data\n");
    return 0;
  }
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/evict-places/by-hand", Fixture, NULL, set_up, test_by_hand, tear_down);
  g_test_add ("/evict-places/endless", Fixture, GUINT_TO_POINTER (FALSE), set_up, test_endless, tear_down);
  g_test_add ("/evict-places/reach", Fixture, GUINT_TO_POINTER (TRUE), set_up, test_endless, tear_down);
  return g_test_run ();
}
