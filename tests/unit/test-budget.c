/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The account of a stream: what comes in, what is learned, what is worth it; power as the counters tell it; and the gate under it.
 * All times and costs are the test's own: no clock is looked at. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "engine/base/energy.h"
#include "folder.h"
#include "tern/budget-priv.h"
#include "tern/gate.h"
#include "tern/tern.h"

#define S(x) ((guint64) ((x) * 1e9))
#define NEAR(a, b) g_assert_cmpfloat_with_epsilon ((a), (b), 1e-9)

/* ---- The ledger: numbers worked out by hand from ledger.h ---------------------------------------------------------- */

static void
test_income (void)
{
  TernLedger ledger;

  tern_ledger_init (&ledger, 1);
  NEAR (ledger.balance, 10);            /* half of 20 s */
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (5));
  NEAR (ledger.balance, 10);            /* a stream begins */
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (8));
  NEAR (ledger.balance, 13);
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (2));
  NEAR (ledger.balance, 13);            /* back */
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, TERN_TIME_NONE);
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (4));
  NEAR (ledger.balance, 15);
  NEAR (ledger.stats.allowed, 5);
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (1000));
  NEAR (ledger.balance, 20);            /* the cap */
  NEAR (ledger.stats.allowed, 25);      /* no more than SPAN at once */
  tern_ledger_set_rate (&ledger, .5);
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (1002));
  NEAR (ledger.balance, 20);            /* a smaller cap takes nothing away */
  tern_ledger_charge (&ledger, TERN_COST_OTHER, 1, 15);
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (1004));
  NEAR (ledger.balance, 6);
}

/* Frames say it before tokens that are made of them: the time is not counted twice. */
static void
test_tellers (void)
{
  TernLedger ledger;

  tern_ledger_init (&ledger, 1);
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (0));
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (1));
  tern_ledger_advance (&ledger, TERN_TOLD_BY_FRAMES, S (100));
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (99));
  tern_ledger_advance (&ledger, TERN_TOLD_BY_FRAMES, S (101));
  tern_ledger_advance (&ledger, TERN_TOLD_BY_TOKENS, S (100));
  tern_ledger_advance (&ledger, TERN_TOLD_BY_FRAMES, S (102));
  NEAR (ledger.balance, 13);
}

static void
test_costs (void)
{
  TernLedger ledger;

  tern_ledger_init (&ledger, 1);
  tern_ledger_charge (&ledger, TERN_COST_FRAME, 0, .5);         /* a slice of it */
  NEAR (ledger.cost[TERN_COST_FRAME], 0);
  tern_ledger_charge (&ledger, TERN_COST_FRAME, 1, 1.5);
  NEAR (ledger.cost[TERN_COST_FRAME], 2);
  tern_ledger_charge (&ledger, TERN_COST_FRAME, 1, 6);
  NEAR (ledger.cost[TERN_COST_FRAME], 3);                       /* 2 + (6 - 2) / 4 */
  tern_ledger_charge (&ledger, TERN_COST_READ, 100, 1);
  NEAR (ledger.cost[TERN_COST_READ], .01);
  NEAR (ledger.balance, 10 - 8 - 1);
  NEAR (ledger.stats.spent[TERN_COST_FRAME], 8);
  /* Work that costs more than SPAN brings in can be saved for. */
  tern_ledger_charge (&ledger, TERN_COST_FRAME, 1, 87);
  NEAR (ledger.cost[TERN_COST_FRAME], 24);
  NEAR (tern_ledger_cap (&ledger), 48);
}

static void
test_rank (void)
{
  TernLedger ledger;

  tern_ledger_init (&ledger, 1);
  for (guint i = 1; i <= 8; i++) {
    NEAR (tern_ledger_rank (&ledger, .01), 1);          /* so few that anything is an event */
    tern_ledger_tell (&ledger, TERN_TOLD_BY_FRAMES, .1 * i);
    tern_ledger_tell (&ledger, TERN_TOLD_BY_FRAMES, 0); /* is nothing, and not remembered */
  }
  NEAR (tern_ledger_rank (&ledger, .35), 3. / 8);
  NEAR (tern_ledger_rank (&ledger, .1), .5 / 8);        /* equal ones count half */
  NEAR (tern_ledger_rank (&ledger, 1), 1);
  NEAR (tern_ledger_rank (&ledger, 0), 0);
  NEAR (tern_ledger_rank (&ledger, -1), .5);            /* nobody says */
  NEAR (tern_ledger_rank (&ledger, NAN), .5);
  for (guint i = 0; i < 1000; i++)
    tern_ledger_tell (&ledger, TERN_TOLD_BY_FRAMES, .9);
  for (guint i = 0; i < 48; i++)                        /* the newest 64 are looked at */
    tern_ledger_tell (&ledger, TERN_TOLD_BY_FRAMES, .2);
  NEAR (tern_ledger_rank (&ledger, .5), 48. / 64);
}

static void
test_need (void)
{
  TernLedger ledger;
  TernWindowNews window = { .novelty = -1, .end = S (4) };

  tern_ledger_init (&ledger, 1);
  tern_ledger_charge (&ledger, TERN_COST_FRAME, 1, 2);
  NEAR (ledger.balance, 8);
  g_assert_false (tern_ledger_wants_frame (&ledger, 0, FALSE));         /* 2 + 10 */
  g_assert_true (tern_ledger_wants_frame (&ledger, -1, FALSE));         /* 2 + 5 */
  tern_ledger_charge (&ledger, TERN_COST_FRAME, 1, 2);
  g_assert_false (tern_ledger_wants_frame (&ledger, -1, FALSE));        /* there are 6 */
  g_assert_true (tern_ledger_wants_frame (&ledger, .3, FALSE));         /* 2 */
  tern_ledger_charge (&ledger, TERN_COST_FRAME, 1, 2);
  tern_ledger_charge (&ledger, TERN_COST_FRAME, 1, 2);
  tern_ledger_charge (&ledger, TERN_COST_OTHER, 1, .5);
  g_assert_false (tern_ledger_wants_frame (&ledger, .3, FALSE));        /* there are 1.5 */
  g_assert_true (tern_ledger_wants_frame (&ledger, 0, TRUE));           /* in any case */
  g_assert_cmpuint (ledger.stats.frames, ==, 3);
  g_assert_cmpuint (ledger.stats.frames_due, ==, 1);
  g_assert_cmpuint (ledger.stats.frames_deferred, ==, 3);

  /* An answer: what it costs is learned with its rows. */
  tern_ledger_charge (&ledger, TERN_COST_READ, 10, .5);
  tern_ledger_charge (&ledger, TERN_COST_SAY, 1, .5);
  tern_ledger_count_answer (&ledger, &window, TRUE, TRUE, 10);
  NEAR (ledger.balance, .5);
  window.end = S (8);
  g_assert_false (tern_ledger_wants_answer (&ledger, &window));         /* 1 + 5 */
  window.novelty = .3;
  g_assert_false (tern_ledger_wants_answer (&ledger, &window));         /* not in a picture that was encoded: 1 + 10 */
  window.fresh = TRUE;
  g_assert_false (tern_ledger_wants_answer (&ledger, &window));         /* 1 */
  window.fresh = FALSE;
  ledger.teller = TERN_TOLD_BY_FRAMES;
  g_assert_false (tern_ledger_wants_answer (&ledger, &window));
  window.fresh = TRUE;                  /* its frame was encoded, and this was counted in */
  g_assert_true (tern_ledger_wants_answer (&ledger, &window));
  tern_ledger_charge (&ledger, TERN_COST_OTHER, 1, .6);
  g_assert_false (tern_ledger_wants_answer (&ledger, &window));         /* overdrawn */
  ledger.max_silence = S (5);
  g_assert_false (tern_ledger_wants_answer (&ledger, &window));         /* 4 s since the last one */
  window.end = S (9);
  g_assert_true (tern_ledger_wants_answer (&ledger, &window));
}

static void
test_thrift (void)
{
  TernLedger ledger;

  tern_ledger_init (&ledger, 1);
  NEAR (tern_ledger_thrift (&ledger, 0), 0);            /* the reserve is whole */
  tern_ledger_charge (&ledger, TERN_COST_OTHER, 1, 4);
  NEAR (tern_ledger_thrift (&ledger, 0), .4);
  NEAR (tern_ledger_thrift (&ledger, -1), .2);
  NEAR (tern_ledger_thrift (&ledger, .3), 0);           /* an event */
  g_assert_cmpuint (tern_ledger_tokens (&ledger, 0, 4, 100), ==, 80);
  g_assert_cmpuint (tern_ledger_tokens (&ledger, -1, 4, 100), ==, 90);
  g_assert_cmpuint (tern_ledger_tokens (&ledger, .3, 4, 100), ==, 100);
  g_assert_cmpuint (tern_ledger_tokens (&ledger, 0, 4, 4), ==, 4);      /* a token a frame */
  g_assert_cmpuint (tern_ledger_tokens (&ledger, 0, 4, 3), ==, 3);      /* but never more than is allowed */
  NEAR (tern_ledger_prune (&ledger, 0, 1024, 0), .7 * .4);
  NEAR (tern_ledger_prune (&ledger, 0, 1024, .5), .5);
  NEAR (tern_ledger_prune (&ledger, 0, 1023, 0), 0);
  tern_ledger_charge (&ledger, TERN_COST_OTHER, 1, 100);
  NEAR (tern_ledger_thrift (&ledger, 0), 1);
  g_assert_cmpuint (tern_ledger_tokens (&ledger, 0, 4, 100), ==, 50);
}

/* ---- Streams ------------------------------------------------------------------------------------------------------- */

typedef struct {
  double spent, chosen, put_off;        /* s; means of novelties */
  guint frames, answers;
  TernLedger ledger;
} Course;

/* Two frames a second, windows of four seconds; a frame costs .2 s, an answer .3 s. @novelty of frame i; 0: the gate leaves it
 * out. */
static Course
play (double rate, guint n, double (*novelty) (GRand *rand, guint i))
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (14);
  TernWindowNews window = { 0 };
  Course c = { 0 };
  guint off = 0;

  tern_ledger_init (&c.ledger, rate);
  for (guint i = 0; i < n; i++) {
    double v = novelty (rand, i);

    tern_ledger_advance (&c.ledger, TERN_TOLD_BY_FRAMES, S (.5) * i);
    tern_ledger_tell (&c.ledger, TERN_TOLD_BY_FRAMES, v);
    if (v > 0 && tern_ledger_wants_frame (&c.ledger, v, i == 0)) {
      tern_ledger_charge (&c.ledger, TERN_COST_FRAME, 1, .2);
      window.fresh = TRUE;
      c.frames++;
      c.chosen += v;
    } else if (v > 0) {
      off++;
      c.put_off += v;
    }
    window.novelty = MAX (window.novelty, v);
    if (i % 8 < 7)
      continue;
    window.end = S (.5) * (i + 1);
    if (window.novelty > 0 && (i == 7 || tern_ledger_wants_answer (&c.ledger, &window))) {
      tern_ledger_charge (&c.ledger, TERN_COST_SAY, 1, .3);
      tern_ledger_count_answer (&c.ledger, &window, TRUE, i == 7, 0);
      c.answers++;
    }
    window = (TernWindowNews) { 0 };
  }
  for (guint k = 0; k < TERN_COSTS; k++)
    c.spent += c.ledger.stats.spent[k];
  c.chosen /= MAX (c.frames, 1);
  c.put_off /= MAX (off, 1);
  return c;
}

static double
busy (GRand *rand, guint i)
{
  return g_rand_double_range (rand, .05, .6);
}

static double
same (GRand *rand, guint i)
{
  return .4;
}

/* Something enters or leaves every half a minute. */
static double
events (GRand *rand, guint i)
{
  return i % 60 == 0 ? .02 : 0;
}

/* An hour in which everything moves costs what was allowed, whatever that is: within what is saved at most, and the last piece
 * of work. What is newer than the rest is what it was spent on. */
static void
test_busy (void)
{
  static const double rates[] = { .02, .05, .1, .2, .4 };

  for (guint r = 0; r < G_N_ELEMENTS (rates); r++) {
    Course c = play (rates[r], 7200, busy);
    double allowed = rates[r] * 3599.5;

    NEAR (c.ledger.stats.allowed, allowed);
    g_assert_cmpfloat (c.spent, <=, allowed + 10 * rates[r] + .5);
    g_assert_cmpfloat (c.spent, >=, allowed - tern_ledger_cap (&c.ledger));
    g_assert_cmpfloat (c.chosen, >, c.put_off + .05);
    g_assert_cmpuint (c.answers, >, 0);
    g_assert_cmpuint (c.answers, <=, c.frames);
  }
}

/* Where nothing can be told from anything else, time decides. */
static void
test_same (void)
{
  Course c = play (.1, 7200, same);

  g_assert_cmpfloat (c.spent, <=, 360 + 1.5);
  g_assert_cmpfloat (c.spent, >=, 360 - 2);
  g_assert_cmpuint (c.answers, >, c.frames / 4);        /* what was looked at is told */
}

/* Where little happens all of it is looked at, at once, and what is not needed is not spent. */
static void
test_events (void)
{
  Course c = play (.05, 1200, events);

  g_assert_cmpuint (c.frames, ==, 20);
  g_assert_cmpuint (c.ledger.stats.frames_deferred, ==, 0);
  g_assert_cmpuint (c.answers, ==, 20);
  NEAR (c.spent, 20 * .5);
  g_assert_cmpfloat (c.spent, <, .05 * 600 / 2);
}

/* Enough for everything: nothing is put off. */
static void
test_plenty (void)
{
  Course c = play (1, 7200, busy);

  g_assert_cmpuint (c.frames, ==, 7200);
  g_assert_cmpuint (c.answers, ==, 900);
}

/* ---- The account --------------------------------------------------------------------------------------------------- */

static void
test_parse (void)
{
  static const struct { const char *text; double cores, watts; } good[] = {
    { "0.5", .5, 0 }, { "2", 2, 0 }, { "5W", 0, 5 }, { "1.5w", 0, 1.5 }, { "1e-3", .001, 0 },
  };
  static const char *const bad[] = { "", "W", "5 W", "5J", "-1", "nan", "inf", "0", "0W", "1e9", "0.0001", "0x", "half" };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    TernBudgetParams params;

    g_assert_true (tern_budget_parse (good[i].text, &params, NULL));
    NEAR (params.cores, good[i].cores);
    NEAR (params.watts, good[i].watts);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    TernBudgetParams params;

    g_assert_false (tern_budget_parse (bad[i], &params, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, "budget: expected"));
  }
}

static void
test_limit (void)
{
  g_autoptr (TernBudget) budget = tern_budget_new (&(TernBudgetParams) { .cores = .5 }, NULL);
  TernBudgetStats stats;

  tern_budget_limit (budget, .2);
  tern_budget_see (budget, TERN_TOLD_BY_FRAMES, S (0), 0);
  tern_budget_see (budget, TERN_TOLD_BY_FRAMES, S (1), 0);
  tern_budget_stats (budget, &stats);
  NEAR (stats.rate, .2);
  NEAR (stats.allowed, .2);
  NEAR (stats.balance, 5);              /* .5 x 10; the cap is 4 now */
  tern_budget_limit (budget, HUGE_VAL);
  tern_budget_stats (budget, &stats);
  NEAR (stats.rate, .5);
}

/* ---- Power --------------------------------------------------------------------------------------------------------- */

static void
put (const char *folder, const char *path, const char *format, ...)
{
  g_autofree char *whole = g_build_filename (folder, path, NULL), *dir = g_path_get_dirname (whole);
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_assert_cmpint (g_mkdir_with_parents (dir, 0700), ==, 0);
  g_file_set_contents (whole, text, -1, &error);
  g_assert_no_error (error);
}

/* So many J of package 0, and s that cores have worked. */
static void
put_counters (const char *folder, guint64 uj, double busy)
{
  double hz = (double) sysconf (_SC_CLK_TCK);

  put (folder, "powercap/intel-rapl:0/energy_uj", "%" G_GUINT64_FORMAT "\n", uj);
  put (folder, "stat", "cpu  %.0f 0 %.0f 123456 7 0 0 0 0 0\ncpu0 1 2 3\n", busy * hz * .75, busy * hz * .25);
}

static char *
make_machine (void)
{
  char *folder = g_dir_make_tmp ("tern-budget-XXXXXX", NULL);

  put (folder, "powercap/intel-rapl:0/name", "package-0\n");
  put (folder, "powercap/intel-rapl:0/max_energy_range_uj", "1000000000\n");
  put (folder, "powercap/intel-rapl:0:0/name", "core\n");       /* is a part of the package */
  put (folder, "powercap/intel-rapl:0:0/energy_uj", "5\n");
  put_counters (folder, 990000000, 100);
  return folder;
}

static void
test_energy (void)
{
  g_autofree char *folder = make_machine (), *powercap = g_build_filename (folder, "powercap", NULL);
  g_autofree char *stat = g_build_filename (folder, "stat", NULL);
  g_autoptr (GError) error = NULL;
  TernEnergy *energy = tern_energy_open (powercap, stat, &error);
  double joules, busy;

  g_assert_no_error (error);
  put_counters (folder, 995000000, 102);
  g_assert_true (tern_energy_read (energy, &joules, &busy));
  NEAR (joules, 5);
  NEAR (busy, 2);
  put_counters (folder, 3000000, 104);          /* it began again: 5 J to its end, and 3 */
  g_assert_true (tern_energy_read (energy, &joules, &busy));
  NEAR (joules, 13);
  put (folder, "stat", "nothing");
  g_assert_false (tern_energy_read (energy, &joules, &busy));
  tern_energy_free (energy);
  remove_all (folder);
}

static void
test_no_energy (void)
{
  g_autofree char *folder = make_machine (), *stat = g_build_filename (folder, "stat", NULL);
  const char *const folders[] = { "nowhere", "empty" };

  put (folder, "empty/other/name", "dram\n");
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autofree char *powercap = g_build_filename (folder, folders[i], NULL);
    g_autoptr (GError) error = NULL;

    g_assert_null (tern_budget_new_at (&(TernBudgetParams) { .watts = 5 }, powercap, stat, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
    g_assert_nonnull (strstr (error->message, powercap));
    g_assert_nonnull (strstr (error->message, "5 W"));
  }
  remove_all (folder);
}

/* W become time of cores by what that costs, as soon as a second of it was seen. */
static void
test_watts (void)
{
  g_autofree char *folder = make_machine (), *powercap = g_build_filename (folder, "powercap", NULL);
  g_autofree char *stat = g_build_filename (folder, "stat", NULL);
  g_autoptr (TernBudget) budget = tern_budget_new_at (&(TernBudgetParams) { .watts = 5, .cores = .4 }, powercap, stat, NULL);
  TernBudgetStats stats;

  g_assert_nonnull (budget);
  tern_budget_stats (budget, &stats);
  NEAR (stats.rate, .4);                /* .5 by the first guess */
  NEAR (stats.joules_per_second, 0);
  put_counters (folder, 995000000, 100.5);      /* half a second tells nothing */
  tern_budget_see (budget, TERN_TOLD_BY_FRAMES, S (0), 0);
  tern_budget_stats (budget, &stats);
  NEAR (stats.joules_per_second, 0);
  put_counters (folder, 40000000, 102);         /* 10 J to the end, and 40: 50 in 2 s */
  tern_budget_see (budget, TERN_TOLD_BY_FRAMES, S (1), 0);
  tern_budget_stats (budget, &stats);
  NEAR (stats.joules_per_second, 25);
  NEAR (stats.rate, .2);
  put_counters (folder, 45000000, 103);         /* 5 a second: (3 x 25 + 5) / 4 = 20 */
  tern_budget_see (budget, TERN_TOLD_BY_FRAMES, S (2), 0);
  tern_budget_stats (budget, &stats);
  NEAR (stats.joules_per_second, 20);
  NEAR (stats.rate, .25);
  remove_all (folder);
}

/* ---- The gate under it --------------------------------------------------------------------------------------------- */

#define SIDE 64

/* A ramp, and in it a square of a sixteenth of the picture that is brighter by @object. */
static gboolean
look (TernGate *gate, guint8 object, guint64 pts)
{
  guint8 pixels[SIDE * SIDE];
  TernImage image = { .format = TERN_IMAGE_GRAY8, .width = SIDE, .height = SIDE, .data = { pixels }, .stride = { SIDE } };

  for (guint y = 0; y < SIDE; y++)
    for (guint x = 0; x < SIDE; x++)
      pixels[y * SIDE + x] = 60 + x + (x / 16 == 1 && y / 16 == 1 ? object : 0);
  return tern_gate_look (gate, &image, 0, pts);
}

static guint64
nothing (void *data, TernCost cost, guint n, guint64 ns)
{
  return 0;
}

/* What there is not enough for is put off, and stays new until there is; a still scene is still even so. */
static void
test_gate (void)
{
  g_autoptr (TernBudget) budget = tern_budget_new (&(TernBudgetParams) { .cores = .1 }, NULL);
  TernGateParams params = TERN_GATE_PARAMS_INIT;
  g_autoptr (TernGate) gate = NULL;
  TernBudgetStats stats;
  TernGateStats seen;
  guint i = 0;

  params.mode = TERN_GATE_MODE_ON;
  params.max_silence = 0;
  gate = tern_gate_new (&params, NULL);
  tern_gate_set_budget (gate, budget);
  tern_budget_set_costs (budget, nothing, NULL);
  g_assert_true (look (gate, 0, S (.5) * i++));         /* the first in any case */
  g_assert_cmpfloat (tern_gate_novelty (gate), ==, 1);
  tern_budget_set_costs (budget, NULL, NULL);
  tern_budget_charge (budget, TERN_COST_FRAME, 1, S (1.2));     /* what a frame costs; 1 was there */
  tern_budget_set_costs (budget, nothing, NULL);
  for (guint k = 0; k < 4; k++)
    g_assert_false (look (gate, 0, S (.5) * i++));
  g_assert_cmpfloat (tern_gate_novelty (gate), ==, 0);
  /* By now there is nothing; 1.2 s are needed, which come in in 24 frames. */
  for (guint k = 0; k < 23; k++) {
    g_assert_false (look (gate, 60, S (.5) * i++));
    g_assert_cmpfloat_with_epsilon (tern_gate_novelty (gate), 1. / 16, .02);
  }
  tern_budget_stats (budget, &stats);
  g_assert_cmpuint (stats.frames_deferred, ==, 23);
  tern_budget_charge (budget, TERN_COST_OTHER, 1, 0);
  for (guint k = 0; k < 20 && !look (gate, 60, S (.5) * i++); k++);
  tern_budget_stats (budget, &stats);
  g_assert_cmpuint (stats.frames, ==, 2);
  g_assert_false (look (gate, 60, S (.5) * i++));       /* now it is what was encoded */
  g_assert_cmpfloat (tern_gate_novelty (gate), ==, 0);
  tern_gate_stats (gate, &seen);
  g_assert_cmpuint (seen.deferred, ==, stats.frames_deferred);
  g_assert_cmpuint (seen.unchanged, ==, 4 + 1);
  g_assert_cmpuint (seen.frames, ==, i);
}

/* Whatever there is: after max_silence a frame is looked at. */
static void
test_gate_silence (void)
{
  g_autoptr (TernBudget) budget = tern_budget_new (&(TernBudgetParams) { .cores = .001 }, NULL);
  TernGateParams params = TERN_GATE_PARAMS_INIT;
  g_autoptr (TernGate) gate = NULL;
  TernBudgetStats stats;
  guint encoded = 0;

  params.mode = TERN_GATE_MODE_OFF;     /* nothing is left out for being still, but what there is not enough for */
  params.max_silence = S (5);
  gate = tern_gate_new (&params, NULL);
  tern_gate_set_budget (gate, budget);
  tern_budget_charge (budget, TERN_COST_FRAME, 1, S (100));
  for (guint i = 0; i < 101; i++)
    encoded += look (gate, i % 2 ? 60 : 0, S (.5) * i);
  g_assert_cmpuint (encoded, ==, 11);
  tern_budget_stats (budget, &stats);
  g_assert_cmpuint (stats.frames_due, ==, 11);
  g_assert_cmpuint (stats.frames_deferred, ==, 90);
}

/* Without an account, or with enough in it, the gate says what it always said. */
static void
test_gate_rich (void)
{
  for (guint mode = 0; mode < 3; mode++) {
    g_autoptr (TernBudget) budget = tern_budget_new (&(TernBudgetParams) { .cores = 100 }, NULL);
    TernGateParams params = TERN_GATE_PARAMS_INIT;
    g_autoptr (TernGate) plain = NULL, rich = NULL;

    params.mode = (TernGateMode) mode;
    params.max_silence = S (7);
    plain = tern_gate_new (&params, NULL);
    rich = tern_gate_new (&params, NULL);
    tern_gate_set_budget (rich, budget);
    for (guint i = 0; i < 120; i++) {
      guint8 object = i < 60 ? 0 : i < 63 ? 20 * (i % 4) : 30;

      g_assert_cmpint (look (rich, object, S (.5) * i), ==, look (plain, object, S (.5) * i));
    }
  }
}

/* Parameters of a gate in use: from the next frame on they count, unless they are wrong; then nothing changes. */
static void
test_gate_params (void)
{
  TernGateParams params = TERN_GATE_PARAMS_INIT;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGate) gate = NULL;
  TernGateStats stats;
  guint i = 0;

  params.mode = TERN_GATE_MODE_ON;
  params.max_silence = 0;
  gate = tern_gate_new (&params, NULL);
  g_assert_true (look (gate, 0, S (.5) * i++));
  for (guint k = 0; k < 30; k++)
    g_assert_false (look (gate, 0, S (.5) * i++));

  params.threshold = TERN_GATE_THRESHOLD_MAX * 2;
  params.mode = TERN_GATE_MODE_OFF;
  g_assert_false (tern_gate_set_params (gate, &params, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_false (look (gate, 0, S (.5) * i++));

  params.threshold = 6;
  g_assert_true (tern_gate_set_params (gate, &params, NULL));
  g_assert_true (look (gate, 0, S (.5) * i++));         /* off: every frame */

  params.mode = TERN_GATE_MODE_ON;
  params.max_silence = S (2);
  g_assert_true (tern_gate_set_params (gate, &params, NULL));
  g_assert_true (look (gate, 0, S (.5) * i++));         /* what the last one showed is not known */
  for (guint k = 0; k < 3; k++)
    g_assert_false (look (gate, 0, S (.5) * i++));
  g_assert_true (look (gate, 0, S (.5) * i++));         /* two seconds after the last one */
  tern_gate_stats (gate, &stats);
  g_assert_cmpuint (stats.forced, ==, 1);

  params.threshold = TERN_GATE_THRESHOLD_MAX;           /* what was new enough is no longer */
  params.max_silence = 0;
  g_assert_true (tern_gate_set_params (gate, &params, NULL));
  look (gate, 0, S (.5) * i++);
  g_assert_false (look (gate, 30, S (.5) * i++));
  params.threshold = TERN_GATE_THRESHOLD_MIN;
  g_assert_true (tern_gate_set_params (gate, &params, NULL));
  look (gate, 0, S (.5) * i++);
  g_assert_true (look (gate, 30, S (.5) * i++));
}

/* Where tokens say what moves, the first still frame behind a new one is encoded, too, once, and by itself where frames are left out
 * by themselves. */
static void
test_gate_settle (void)
{
  TernGateParams params = TERN_GATE_PARAMS_INIT;
  guint8 shown[] = { 0, 0, 0, 0, 60, 60, 60, 0, 60, 60, 60 };
  gboolean plain[] = { TRUE, FALSE, FALSE, FALSE, TRUE, FALSE, FALSE, TRUE, TRUE, FALSE, FALSE };
  gboolean settled[] = { TRUE, TRUE, FALSE, FALSE, TRUE, TRUE, FALSE, TRUE, TRUE, TRUE, FALSE };

  params.max_silence = 0;
  for (guint settle = 0; settle < 2; settle++) {
    g_autoptr (TernGate) on = NULL, by_itself = NULL;
    TernGateStats stats;

    params.mode = TERN_GATE_MODE_ON;
    on = tern_gate_new (&params, NULL);
    tern_gate_set_settle (on, settle);
    for (guint i = 0; i < G_N_ELEMENTS (shown); i++)
      g_assert_cmpint (look (on, shown[i], S (.5) * i), ==, settle ? settled[i] : plain[i]);
    tern_gate_stats (on, &stats);
    g_assert_cmpuint (stats.forced, ==, settle ? 3 : 0);

    params.mode = TERN_GATE_MODE_AUTO;
    by_itself = tern_gate_new (&params, NULL);
    tern_gate_set_settle (by_itself, settle);
    for (guint i = 0; i < 40; i++)
      look (by_itself, 0, S (.5) * i);
    tern_gate_stats (by_itself, &stats);
    g_assert_cmpuint (stats.unchanged, >, 0);   /* it stood still long enough, and what was encoded last was still */
    g_assert_cmpuint (stats.forced, ==, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/budget/income", test_income);
  g_test_add_func ("/budget/tellers", test_tellers);
  g_test_add_func ("/budget/costs", test_costs);
  g_test_add_func ("/budget/rank", test_rank);
  g_test_add_func ("/budget/need", test_need);
  g_test_add_func ("/budget/thrift", test_thrift);
  g_test_add_func ("/budget/busy", test_busy);
  g_test_add_func ("/budget/same", test_same);
  g_test_add_func ("/budget/events", test_events);
  g_test_add_func ("/budget/plenty", test_plenty);
  g_test_add_func ("/budget/parse", test_parse);
  g_test_add_func ("/budget/limit", test_limit);
  g_test_add_func ("/budget/energy", test_energy);
  g_test_add_func ("/budget/no-energy", test_no_energy);
  g_test_add_func ("/budget/watts", test_watts);
  g_test_add_func ("/budget/gate", test_gate);
  g_test_add_func ("/budget/gate-silence", test_gate_silence);
  g_test_add_func ("/budget/gate-rich", test_gate_rich);
  g_test_add_func ("/budget/gate-params", test_gate_params);
  g_test_add_func ("/budget/gate-settle", test_gate_settle);
  return g_test_run ();
}
