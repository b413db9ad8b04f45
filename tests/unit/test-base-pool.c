/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pool: every item exactly once, in pieces as promised, by workers that wake up and go to sleep. */
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <glib/gstdio.h>

#include "tern/error.h"
#include "engine/base/cores.h"
#include "engine/base/mem.h"
#include "engine/base/threads.h"
#include "tests/unit/folder.h"

enum { MAX_ITEMS = 1000, MAX_WORKERS = 8 };

typedef struct {
  guint items, grain, threads;
  gint seen[MAX_ITEMS];         /* atomic */
  gint busy[MAX_WORKERS];       /* atomic: two pieces at once with one worker number */
  gint wrong;                   /* atomic */
} Count;

static void
count_items (void *data, guint begin, guint end, guint worker)
{
  Count *c = data;
  guint i;

  if (worker >= c->threads || begin >= end || end > c->items || begin % c->grain
      || (end % c->grain && end != c->items)) {
    g_atomic_int_inc (&c->wrong);
    return;
  }
  if (g_atomic_int_add (&c->busy[worker], 1) != 0)
    g_atomic_int_inc (&c->wrong);
  for (i = begin; i < end; i++)
    g_atomic_int_inc (&c->seen[i]);
  g_atomic_int_add (&c->busy[worker], -1);
}

static void
run_counted (TernPool *pool, Count *c, guint items, guint grain)
{
  guint i;

  memset (c->seen, 0, sizeof c->seen);
  c->items = items;
  c->grain = grain;
  c->threads = tern_pool_threads (pool);
  tern_pool_run (pool, count_items, c, items, grain);
  for (i = 0; i < MAX_ITEMS; i++)
    g_assert_cmpint (g_atomic_int_get (&c->seen[i]), ==, i < items ? 1 : 0);
  g_assert_cmpint (g_atomic_int_get (&c->wrong), ==, 0);
}

/* Waits for what must come. */
static void
until_asleep (TernPool *pool)
{
  while (tern_pool_workers_asleep (pool) < tern_pool_threads (pool) - 1)
    g_usleep (100);
}

static void
test_once (gconstpointer data)
{
  static const guint items[] = { 0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 63, 64, 65, 127, 333, 1000 };
  static const guint grains[] = { 1, 2, 3, 16, 64, 1000, G_MAXUINT };
  g_autoptr (GError) error = NULL;
  TernPool *pool = tern_pool_new (GPOINTER_TO_UINT (data), &error);
  Count c = { 0 };
  guint i, g, repeat;

  g_assert_no_error (error);
  g_assert_cmpuint (tern_pool_threads (pool), ==, GPOINTER_TO_UINT (data));
  for (repeat = 0; repeat < 20; repeat++) {
    for (i = 0; i < G_N_ELEMENTS (items); i++) {
      for (g = 0; g < G_N_ELEMENTS (grains); g++)
        run_counted (pool, &c, items[i], grains[g]);
    }
    if (repeat % 5 == 0)
      until_asleep (pool);
  }
  tern_pool_free (pool);
}

typedef struct {
  gint total;                   /* atomic */
} Sum;

static void
add_up (void *data, guint begin, guint end, guint worker)
{
  g_atomic_int_add (&((Sum *) data)->total, (gint) (end - begin));
}

/* Runs so short that workers come late, or to the next one. */
static void
test_short_runs (void)
{
  TernPool *pool = tern_pool_new (3, NULL);
  guint i;

  for (i = 0; i < 20000; i++) {
    Sum sum = { 0 };

    tern_pool_run (pool, add_up, &sum, 3 + i % 5, 1);
    g_assert_cmpint (g_atomic_int_get (&sum.total), ==, 3 + i % 5);
    if (i % 1000 == 0)
      until_asleep (pool);
  }
  tern_pool_free (pool);
}

typedef struct {
  GMutex lock;
  GCond arrived;
  guint n, wanted;
} Meeting;

static void
meet (void *data, guint begin, guint end, guint worker)
{
  Meeting *m = data;

  g_mutex_lock (&m->lock);
  m->n++;
  g_cond_broadcast (&m->arrived);
  while (m->n < m->wanted)
    g_cond_wait (&m->arrived, &m->lock);
  g_mutex_unlock (&m->lock);
}

/* Pieces that wait for each other: only as many threads at once can do them. Also when the others sleep. */
static void
test_together (void)
{
  TernPool *pool = tern_pool_new (3, NULL);
  Meeting m;
  guint i;

  g_mutex_init (&m.lock);
  g_cond_init (&m.arrived);
  for (i = 0; i < 30; i++) {
    m.wanted = 3;
    m.n = 0;
    if (i % 3 == 0)
      until_asleep (pool);
    tern_pool_run (pool, meet, &m, 3, 1);
    g_assert_cmpuint (m.n, ==, 3);
  }
  g_mutex_clear (&m.lock);
  g_cond_clear (&m.arrived);
  tern_pool_free (pool);
}

typedef struct {
  TernPool *pool;
  gint others;                  /* atomic: pieces that other threads began */
  gint total;                   /* atomic */
} Dawdling;

/* The caller begins nothing before somebody else is in a piece, who stays there until the caller has gone to sleep. */
static void
dawdle (void *data, guint begin, guint end, guint worker)
{
  Dawdling *d = data;

  if (worker == 0) {
    while (g_atomic_int_get (&d->others) == 0)
      sched_yield ();
  } else if (g_atomic_int_add (&d->others, 1) == 0) {
    while (!tern_pool_caller_asleep (d->pool))
      g_usleep (100);
  }
  g_atomic_int_add (&d->total, (gint) (end - begin));
}

static void
test_slow_worker (void)
{
  TernPool *pool = tern_pool_new (4, NULL);
  guint i;

  for (i = 0; i < 20; i++) {
    Dawdling d = { pool, 0, 0 };

    tern_pool_run (pool, dawdle, &d, 64, 1);
    g_assert_cmpint (g_atomic_int_get (&d.total), ==, 64);
    g_assert_false (tern_pool_caller_asleep (pool));
  }
  tern_pool_free (pool);
}

typedef struct {
  gint held;                    /* atomic: items of the piece that somebody stays in; 0: nobody yet */
  gint done;                    /* atomic */
  guint items;
} Holding;

/* Whoever comes first stays until all that he did not take is done: by others, for he cannot. */
static void
hold (void *data, guint begin, guint end, guint worker)
{
  Holding *h = data;

  if (g_atomic_int_compare_and_exchange (&h->held, 0, (gint) (end - begin))) {
    while (g_atomic_int_get (&h->done) + (gint) (end - begin) < (gint) h->items)
      g_usleep (100);
  }
  g_atomic_int_add (&h->done, (gint) (end - begin));
}

/* A core that is slow, or taken away in the middle of a piece, keeps that piece alone: a quarter of its share at most. */
static void
test_helping (void)
{
  for (guint threads = 2; threads <= 4; threads++) {
    TernPool *pool = tern_pool_new (threads, NULL);

    for (guint i = 0; i < 20; i++) {
      Holding h = { .items = 64 * threads };

      tern_pool_run (pool, hold, &h, h.items, 1);
      g_assert_cmpint (g_atomic_int_get (&h.done), ==, h.items);
      g_assert_cmpint (g_atomic_int_get (&h.held), <=, 16);
    }
    tern_pool_free (pool);
  }
}

/* Who has nothing to do sleeps. */
static void
test_idle (void)
{
  TernPool *pool = tern_pool_new (4, NULL);
  Sum sum = { 0 };

  until_asleep (pool);
  tern_pool_run (pool, add_up, &sum, 100, 1);
  until_asleep (pool);
  tern_pool_free (pool);
}

static void
test_inline (void)
{
  Count c = { 0 };
  guint i;

  run_counted (NULL, &c, 100, 7);
  g_assert_cmpuint (tern_pool_threads (NULL), ==, 1);
  for (i = 0; i < 10; i++) {    /* one that never works */
    TernPool *pool = tern_pool_new (i, NULL);

    g_assert_nonnull (pool);
    tern_pool_free (pool);
  }
  tern_pool_free (NULL);
}

static void
test_threads (void)
{
  g_autoptr (GError) error = NULL;
  TernPool *pool = tern_pool_new (0, &error);
  cpu_set_t set;

  g_assert_no_error (error);
  g_assert_cmpuint (tern_pool_threads (pool), ==, MIN (tern_cores (), TERN_THREADS_MAX));
  if (sched_getaffinity (0, sizeof set, &set) == 0)
    g_assert_cmpuint (tern_cores (), <=, CPU_COUNT (&set));
  tern_pool_free (pool);
  g_assert_null (tern_pool_new (G_MAXUINT, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* Control groups as files in a folder. */
static void
put_group (const char *root, const char *folder, const char *file, const char *text)
{
  g_autofree char *path = g_build_filename (root, folder, NULL);
  g_autofree char *name = g_build_filename (path, file, NULL);

  g_assert_cmpint (g_mkdir_with_parents (path, 0700), ==, 0);
  g_assert_true (g_file_set_contents (name, text, -1, NULL));
}

static void
test_quota (void)
{
  static const struct {
    const char *groups;
    guint cores;
  } cases[] = {
    { "0::/two\n", 2 },         /* its own */
    { "0::/two/one/deep\n", 1 },        /* one above has less */
    { "0::/two/most\n", 2 },
    { "0::/not-here\n", 6 },    /* in a container the mount is the group itself */
    { "0::/\n", 6 },
    { "1:name=systemd:/x\n4:cpu,cpuacct:/three\n0::/free\n", 3 },
    { "4:cpu,cpuacct:/free\n", 0 },
    { "3:cpuset:/two\n", 0 },
    { "0::/half\n", 1 },        /* never less than one */
    { "0::/nearly\n", 2 },
    { "0::/wrong\n", 6 },
    { "0::/../two\n", 0 },
    { "nonsense", 0 }, { "", 0 }, { ":::\n::\n:", 6 },
  };
  g_autofree char *root = g_dir_make_tmp ("tern-cores-XXXXXX", NULL);

  put_group (root, "", "cpu.max", "600000 100000\n");
  put_group (root, "two", "cpu.max", "200000 100000\n");
  put_group (root, "two/one", "cpu.max", "50000 50000\n");
  put_group (root, "two/one/deep", "cpu.max", "max 100000\n");
  put_group (root, "two/most", "cpu.max", "max 100000\n");
  put_group (root, "half", "cpu.max", "20000 100000\n");
  put_group (root, "nearly", "cpu.max", "150000 100000\n");
  put_group (root, "wrong", "cpu.max", "100000 0\n");
  put_group (root, "cpu,cpuacct/three", "cpu.cfs_quota_us", "300000\n");
  put_group (root, "cpu,cpuacct/three", "cpu.cfs_period_us", "100000\n");
  put_group (root, "cpu,cpuacct/free", "cpu.cfs_quota_us", "-1\n");
  put_group (root, "cpu,cpuacct/free", "cpu.cfs_period_us", "100000\n");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_test_message ("%s", cases[i].groups);
    g_assert_cmpuint (tern_cores_quota (root, cases[i].groups), ==, cases[i].cores);
  }
  g_assert_cmpuint (tern_cores (), >=, 1);
  remove_all (root);
}

typedef struct {
  Meeting meeting;
  int nice[3];                  /* by worker */
} Niceness;

static void
note_nice (void *data, guint begin, guint end, guint worker)
{
  Niceness *n = data;

  n->nice[worker] = getpriority (PRIO_PROCESS, 0);
  meet (&n->meeting, begin, end, worker);
}

/* Workers of a yielding pool step back, once, however often they are told; the caller does so by itself. */
static void
test_step_back (void)
{
  int own = getpriority (PRIO_PROCESS, 0), expected = MIN (own + TERN_YIELD_NICE, 19);

  for (guint yielding = 0; yielding < 2; yielding++) {
    TernPool *pool = yielding ? tern_pool_new_yielding (3, NULL) : tern_pool_new (3, NULL);
    Niceness n = { .meeting.wanted = 3 };

    g_mutex_init (&n.meeting.lock);
    g_cond_init (&n.meeting.arrived);
    tern_pool_run (pool, note_nice, &n, 3, 1);
    g_assert_cmpint (n.nice[0], ==, own);
    for (guint i = 1; i < 3; i++)
      g_assert_cmpint (n.nice[i], ==, yielding ? expected : own);
    g_mutex_clear (&n.meeting.lock);
    g_cond_clear (&n.meeting.arrived);
    tern_pool_free (pool);
  }
}

static gpointer
step_back_twice (gpointer data)
{
  tern_thread_step_back ();
  tern_thread_step_back ();
  return GINT_TO_POINTER (getpriority (PRIO_PROCESS, 0));
}

static void
test_step_back_twice (void)
{
  int own = getpriority (PRIO_PROCESS, 0);
  gpointer found = g_thread_join (g_thread_new ("modest", step_back_twice, NULL));

  g_assert_cmpint (GPOINTER_TO_INT (found), ==, MIN (own + TERN_YIELD_NICE, 19));
  g_assert_cmpint (getpriority (PRIO_PROCESS, 0), ==, own);
}

#ifdef SCHED_BATCH
static gpointer
take_turns (gpointer data)
{
  const struct sched_param none = { 0 };
  int policy = GPOINTER_TO_INT (data);

  if (policy != SCHED_OTHER && sched_setscheduler (0, policy, &none) != 0)
    return GINT_TO_POINTER (-1);
  tern_thread_take_turns ();
  return GINT_TO_POINTER (sched_getscheduler (0));
}

/* Of the calling thread alone, and not where somebody chose another policy. */
static void
test_take_turns (void)
{
  int own = sched_getscheduler (0), idle;

  if (own != SCHED_OTHER) {
    g_test_skip ("run with another policy than the usual one");
    return;
  }
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (g_thread_new ("patient", take_turns, GINT_TO_POINTER (SCHED_OTHER)))), ==,
      SCHED_BATCH);
  idle = GPOINTER_TO_INT (g_thread_join (g_thread_new ("idle", take_turns, GINT_TO_POINTER (SCHED_IDLE))));
  g_assert_true (idle == SCHED_IDLE || idle == -1);
  g_assert_cmpint (sched_getscheduler (0), ==, own);
}
#endif

static void
fill_scratch (void *data, guint begin, guint end, guint worker)
{
  TernPool *pool = data;

  memset (tern_pool_scratch (pool, worker), (int) worker + 1, 1000);
}

static void
test_scratch (void)
{
  g_autoptr (GError) error = NULL;
  TernPool *pool = tern_pool_new (3, NULL);
  void *first;
  guint i;

  g_assert_true (tern_pool_reserve (pool, 1000, &error));
  first = tern_pool_scratch (pool, 0);
  g_assert_true (tern_pool_reserve (pool, 10, &error));
  g_assert_true (tern_pool_scratch (pool, 0) == first);         /* never smaller */
  for (i = 0; i < 100; i++)
    tern_pool_run (pool, fill_scratch, pool, 30, 1);
  for (i = 0; i < 3; i++) {
    g_assert_cmpuint ((guintptr) tern_pool_scratch (pool, i) % TERN_ALIGN, ==, 0);
    g_assert_true (i == 0 || tern_pool_scratch (pool, i) != tern_pool_scratch (pool, i - 1));
  }
  first = tern_pool_scratch (pool, 0);
  g_assert_false (tern_pool_reserve (pool, G_MAXSIZE, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_assert_true (tern_pool_scratch (pool, 0) == first);         /* what others run with is still there */
  tern_pool_run (pool, fill_scratch, pool, 30, 1);
  tern_pool_free (pool);
}

/* ---- What it costs ----------------------------------------------------------------------------------------------- */

static guint64
read_clock (clockid_t clock)
{
  struct timespec now;

  g_assert_cmpint (clock_gettime (clock, &now), ==, 0);
  return (guint64) now.tv_sec * 1000000000 + (guint64) now.tv_nsec;
}

enum { SPENDERS = 3 };

typedef struct {
  Meeting meeting;
  guint64 spent[SPENDERS];      /* ns of each piece's thread, by its own clock */
} Spending;

/* Each piece in a thread of its own, some milliseconds of its time. */
static void
spend (void *data, guint begin, guint end, guint worker)
{
  Spending *s = data;
  guint64 since = read_clock (CLOCK_THREAD_CPUTIME_ID), *spent = &s->spent[begin];

  meet (&s->meeting, begin, end, worker);
  do
    *spent = read_clock (CLOCK_THREAD_CPUTIME_ID) - since;
  while (*spent < (begin + 1) * G_GUINT64_CONSTANT (2000000));
}

/* The time of all threads: what each has spent by its own clock at least, and no more than the program has. */
static void
test_cpu_time (void)
{
  TernPool *pool = tern_pool_new (SPENDERS, NULL);
  Spending s = { 0 };

  g_mutex_init (&s.meeting.lock);
  g_cond_init (&s.meeting.arrived);
  for (guint run = 0; run < 5; run++) {
    guint64 program = read_clock (CLOCK_PROCESS_CPUTIME_ID), all = tern_pool_cpu_time (pool);

    s.meeting.n = 0;
    s.meeting.wanted = SPENDERS;
    tern_pool_run (pool, spend, &s, SPENDERS, 1);
    all = tern_pool_cpu_time (pool) - all;
    program = read_clock (CLOCK_PROCESS_CPUTIME_ID) - program;
    g_assert_cmpuint (all, >=, s.spent[0] + s.spent[1] + s.spent[2]);
    g_assert_cmpuint (all, <=, program);
  }
  g_mutex_clear (&s.meeting.lock);
  g_cond_clear (&s.meeting.arrived);
  tern_pool_free (pool);
}

int
main (int argc, char **argv)
{
  guint threads;

  g_test_init (&argc, &argv, NULL);
  for (threads = 1; threads <= 4; threads++) {
    g_autofree char *path = g_strdup_printf ("/pool/once/%u", threads);

    g_test_add_data_func (path, GUINT_TO_POINTER (threads), test_once);
  }
  g_test_add_func ("/pool/short-runs", test_short_runs);
  g_test_add_func ("/pool/together", test_together);
  g_test_add_func ("/pool/slow-worker", test_slow_worker);
  g_test_add_func ("/pool/helping", test_helping);
  g_test_add_func ("/pool/idle", test_idle);
  g_test_add_func ("/pool/inline", test_inline);
  g_test_add_func ("/pool/threads", test_threads);
  g_test_add_func ("/pool/quota", test_quota);
  g_test_add_func ("/pool/scratch", test_scratch);
  g_test_add_func ("/pool/cpu-time", test_cpu_time);
  g_test_add_func ("/pool/step-back", test_step_back);
  g_test_add_func ("/pool/step-back-twice", test_step_back_twice);
#ifdef SCHED_BATCH
  g_test_add_func ("/pool/take-turns", test_take_turns);
#endif
  return g_test_run ();
}
