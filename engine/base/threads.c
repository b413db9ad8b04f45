/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One decode step makes dozens of runs of a few microseconds each, so a run must start and end without a system call
 * while the workers are warm, and a caller must never wait for a worker that the kernel has not scheduled yet: it does
 * the pieces itself and waits only for workers that have really joined.
 *
 * Everything that threads share is atomic; the mutex and its conditions only put threads to sleep. */
#include "engine/base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tern/error.h"
#include "engine/base/cores.h"
#include "engine/base/mem.h"

#define SPIN_US 60              /* a worker's patience between two runs before it sleeps */
#define LOOKS 64                /* at the state, between two at the clock */
#define FETCH_BYTES (256 * 1024)        /* what a waiting thread fetches, at most: a part of its second-level cache */
#define FETCH_LINES 4           /* between two looks */

/* `state`: how many workers are inside the run, whether more may join, whether the caller sleeps until they are out,
 * and the number of the run, so that a worker enters each one once. */
#define STATE_ACTIVE 0x3ffu
#define STATE_OPEN 0x400u
#define STATE_WAITING 0x800u
#define STATE_RUN 0x1000u       /* counts upwards from here; wraps */
#define STATE_RUN_MASK (~(STATE_RUN - 1))

/* A worker's share of a run. What a core did in the run before it does again, so that weights which fit the cores' own
 * caches stay in them; who is done with his share helps others, so that a slow core, or one that somebody else has taken,
 * holds up nobody. */
typedef struct {
  _Alignas (TERN_ALIGN) _Atomic guint64 next;   /* first item that nobody has taken */
  guint64 end;
} Share;

/* What a worker will read first in the run after this one. Two numbers that may not belong together for a moment: nothing
 * is read but ahead of time. */
typedef struct {
  _Alignas (TERN_ALIGN) _Atomic guintptr begin;
  atomic_size_t bytes;
  guintptr fetching;            /* the worker's: what `begin` was when it began, and how far it is */
  gsize fetched;
} Fetch;

typedef struct {
  TernPool *pool;
  GThread *thread;              /* NULL for worker 0, the caller */
  guint index;
  void *scratch;
  clockid_t clock;              /* of its processor time ... */
  atomic_bool has_clock;        /* ... once this is set */
} Worker;

struct _TernPool {
  guint threads;
  gboolean yielding;
  gsize scratch_bytes;
  TernSlice slice;              /* the caller's */

  /* The run; written while nobody can be inside. */
  TernPoolFunc func;
  void *data;
  guint64 grain;
  Share *shares;                /* [threads] */
  Fetch *fetches;               /* [threads] */

  _Alignas (TERN_ALIGN) atomic_uint state;
  _Alignas (TERN_ALIGN) atomic_uint sleepers;
  atomic_bool stop;

  GMutex mutex;
  GCond started;                /* a run has opened, or stop */
  GCond left;                   /* the last worker is out */
  Worker *workers;              /* [threads] */
};

static inline void
relax (void)
{
#if defined(__x86_64__)
  __builtin_ia32_pause ();
#elif defined(__aarch64__)
  __asm__ volatile ("yield");
#endif
}

/* A quarter of what is left of a share: few pieces while there is much to do, small ones at the end, where threads wait for
 * each other. */
#define PIECES_OF_REST 4

static gboolean
take_piece (Share *share, guint64 grain, guint64 *begin, guint64 *end)
{
  guint64 next = atomic_load_explicit (&share->next, memory_order_relaxed), piece;

  do {
    if (next >= share->end)
      return FALSE;
    piece = ((share->end - next) / PIECES_OF_REST + grain - 1) / grain * grain;
    piece = MIN (MAX (piece, grain), share->end - next);
  } while (!atomic_compare_exchange_weak_explicit (&share->next, &next, next + piece, memory_order_relaxed,
          memory_order_relaxed));
  *begin = next;
  *end = next + piece;
  return TRUE;
}

/* The own share first, then those of the others. */
static void
work (TernPool *pool, guint worker)
{
  guint64 begin, end;
  guint i;

  for (i = 0; i < pool->threads; i++) {
    Share *share = &pool->shares[(worker + i) % pool->threads];

    while (take_piece (share, pool->grain, &begin, &end))
      pool->func (pool->data, (guint) begin, (guint) end, worker);
  }
}

/* Whether the state shows a run that this worker has not been in. */
static inline gboolean
has_news (TernPool *pool, guint last)
{
  guint state = atomic_load (&pool->state);

  return ((state & STATE_OPEN) && (state & STATE_RUN_MASK) != last) || atomic_load (&pool->stop);
}

/* Passes a moment: with fetching, as long as there is something. */
static inline void
pass_time (Fetch *fetch)
{
  guintptr begin = atomic_load_explicit (&fetch->begin, memory_order_relaxed);
  guint i;

  if (begin != fetch->fetching) {
    fetch->fetching = begin;
    fetch->fetched = 0;
  }
  if (fetch->fetched >= atomic_load_explicit (&fetch->bytes, memory_order_relaxed)) {
    relax ();
    return;
  }
  for (i = 0; i < FETCH_LINES; i++, fetch->fetched += TERN_ALIGN)
    __builtin_prefetch ((const void *) (begin + fetch->fetched), 0, 2);
}

static void
wait_for_news (TernPool *pool, guint last, Fetch *fetch)
{
  gint64 end = g_get_monotonic_time () + SPIN_US;
  guint i;

  do {
    for (i = 0; i < LOOKS; i++) {
      if (has_news (pool, last))
        return;
      pass_time (fetch);
    }
  } while (g_get_monotonic_time () < end);

  /* The caller opens the run and then looks at `sleepers`; here it is the other way round. Both are sequentially
   * consistent, so one of the two sees the other. */
  g_mutex_lock (&pool->mutex);
  atomic_fetch_add (&pool->sleepers, 1);
  while (!has_news (pool, last))
    g_cond_wait (&pool->started, &pool->mutex);
  atomic_fetch_sub (&pool->sleepers, 1);
  g_mutex_unlock (&pool->mutex);
}

void
tern_thread_step_back (void)
{
  int of_process, own;

  /* On Linux each thread has a nice value of its own, and the process is its first thread. */
  errno = 0;
  of_process = getpriority (PRIO_PROCESS, getpid ());
  own = getpriority (PRIO_PROCESS, 0);
  if (errno == 0 && own < of_process + TERN_YIELD_NICE)
    setpriority (PRIO_PROCESS, (id_t) syscall (SYS_gettid), MIN (of_process + TERN_YIELD_NICE, 19));
}

void
tern_thread_take_turns (void)
{
#ifdef SCHED_BATCH
  const struct sched_param none = { 0 };

  if (sched_getscheduler (0) == SCHED_OTHER)    /* of this thread alone, on Linux */
    sched_setscheduler (0, SCHED_BATCH, &none);
#endif
}

static void *
worker_main (void *data)
{
  Worker *self = data;
  TernPool *pool = self->pool;
  guint last = 0, state;

  if (pool->yielding)
    tern_thread_step_back ();
  if (pthread_getcpuclockid (pthread_self (), &self->clock) == 0)
    atomic_store (&self->has_clock, TRUE);
  for (;;) {
    wait_for_news (pool, last, &pool->fetches[self->index]);
    if (atomic_load (&pool->stop))
      return NULL;

    state = atomic_load (&pool->state);
    while ((state & STATE_OPEN) && !atomic_compare_exchange_weak (&pool->state, &state, state + 1));
    if (!(state & STATE_OPEN))
      continue;                 /* it was over before we came */
    last = state & STATE_RUN_MASK;
    work (pool, self->index);

    state = atomic_fetch_sub (&pool->state, 1) - 1;
    if ((state & STATE_WAITING) && !(state & (STATE_ACTIVE | STATE_OPEN))) {
      g_mutex_lock (&pool->mutex);
      g_cond_signal (&pool->left);
      g_mutex_unlock (&pool->mutex);
    }
  }
}

/* Closes the run and waits for the workers that are inside, first awake, then asleep: one of them may have lost its
 * core in the middle of a piece. */
static void
finish (TernPool *pool)
{
  gint64 end;
  guint i;

  if (!(atomic_fetch_and (&pool->state, ~STATE_OPEN) & STATE_ACTIVE))
    return;
  end = g_get_monotonic_time () + SPIN_US;
  do {
    for (i = 0; i < LOOKS; i++) {
      if (!(atomic_load (&pool->state) & STATE_ACTIVE))
        return;
      pass_time (&pool->fetches[0]);
    }
  } while (g_get_monotonic_time () < end);

  g_mutex_lock (&pool->mutex);
  atomic_fetch_or (&pool->state, STATE_WAITING);
  while (atomic_load (&pool->state) & STATE_ACTIVE)
    g_cond_wait (&pool->left, &pool->mutex);
  atomic_fetch_and (&pool->state, ~STATE_WAITING);
  g_mutex_unlock (&pool->mutex);
}

static guint64
read_clock (clockid_t clock)
{
  struct timespec now;

  if (clock_gettime (clock, &now) != 0)
    return 0;
  return (guint64) now.tv_sec * 1000000000 + (guint64) now.tv_nsec;
}

guint64
tern_pool_cpu_time (TernPool *pool)
{
  guint64 sum = read_clock (CLOCK_THREAD_CPUTIME_ID);

  for (guint i = 1; i < pool->threads; i++)
    if (atomic_load (&pool->workers[i].has_clock))
      sum += read_clock (pool->workers[i].clock);
  return sum;
}

guint
tern_pool_share (const TernPool *pool, guint items, guint grain, guint worker)
{
  guint64 grains = ((guint64) items + grain - 1) / grain, threads = tern_pool_threads (pool);

  return (guint) MIN (grains * worker / threads * grain, items);
}

void
tern_pool_fetch (TernPool *pool, guint worker, const void *memory, gsize bytes)
{
  atomic_store_explicit (&pool->fetches[worker].begin, (guintptr) memory, memory_order_relaxed);
  atomic_store_explicit (&pool->fetches[worker].bytes, MIN (bytes, FETCH_BYTES), memory_order_relaxed);
}

const void *
tern_pool_fetches (TernPool *pool, guint worker, gsize *bytes)
{
  *bytes = atomic_load_explicit (&pool->fetches[worker].bytes, memory_order_relaxed);
  return (const void *) atomic_load_explicit (&pool->fetches[worker].begin, memory_order_relaxed);
}

/* Items [first, end), @first being a multiple of @grain. */
static void
run_range (TernPool *pool, TernPoolFunc func, void *data, guint first, guint end, guint grain)
{
  guint items = end - first, i;

  if (!pool || pool->threads == 1 || items <= grain) {
    func (data, first, end, 0);
    return;
  }

  pool->func = func;
  pool->data = data;
  pool->grain = grain;
  for (i = 0; i < pool->threads; i++) {
    atomic_store_explicit (&pool->shares[i].next, first + tern_pool_share (pool, items, grain, i), memory_order_relaxed);
    pool->shares[i].end = first + tern_pool_share (pool, items, grain, i + 1);
  }
  atomic_fetch_add (&pool->state, STATE_RUN | STATE_OPEN);      /* OPEN was clear */

  if (atomic_load (&pool->sleepers)) {
    g_mutex_lock (&pool->mutex);
    g_cond_broadcast (&pool->started);
    g_mutex_unlock (&pool->mutex);
  }
  work (pool, 0);
  finish (pool);
}

void
tern_pool_run (TernPool *pool, TernPoolFunc func, void *data, guint items, guint grain)
{
  if (items > 0)
    run_range (pool, func, data, 0, items, MAX (grain, 1));
}

/* Items of the next slice: what the limit allows in whole grains, and one for every thread in any case. */
static guint
slice_items (TernPool *pool, guint items, guint grain, guint64 work)
{
  guint64 grains = pool->slice.limit / MAX (work, 1) / grain;

  return (guint) MIN (MAX (grains, pool->threads) * grain, items);
}

gboolean
tern_pool_run_until (TernPool *pool, TernPoolFunc func, void *data, guint items, guint grain, guint64 work,
    TernCancel *cancel)
{
  guint first = 0, n;

  grain = MAX (grain, 1);
  for (; first < items && !tern_cancel_is_raised (cancel); first += n) {
    gint64 began;

    n = pool ? slice_items (pool, items - first, grain, work) : items;
    began = pool ? tern_slice_begin (&pool->slice, n * work) : -1;
    run_range (pool, func, data, first, first + n, grain);
    if (pool)
      tern_slice_end (&pool->slice, began, n * work);
  }
  return first == items;
}

guint
tern_pool_workers_asleep (TernPool *pool)
{
  return atomic_load (&pool->sleepers);
}

gboolean
tern_pool_caller_asleep (TernPool *pool)
{
  return (atomic_load (&pool->state) & STATE_WAITING) != 0;
}

TernSlice *
tern_pool_slice (TernPool *pool)
{
  return &pool->slice;
}

static TernPool *
pool_new (guint threads, gboolean yielding, GError **error)
{
  TernPool *pool;
  guint i;

  if (threads > TERN_THREADS_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "threads: expected 0 (all cores) to %d, found %u",
        TERN_THREADS_MAX, threads);
    return NULL;
  }
  if (threads == 0)
    threads = MIN (tern_cores (), TERN_THREADS_MAX);

  pool = tern_mem_alloc (sizeof *pool, "thread pool", error);
  if (!pool)
    return NULL;
  g_mutex_init (&pool->mutex);
  g_cond_init (&pool->started);
  g_cond_init (&pool->left);
  pool->yielding = yielding;
  tern_slice_init (&pool->slice);
  pool->threads = threads;
  pool->workers = g_new0 (Worker, threads);
  pool->shares = tern_mem_alloc (threads * sizeof *pool->shares, "thread pool", error);
  if (pool->shares)
    pool->fetches = tern_mem_alloc (threads * sizeof *pool->fetches, "thread pool", error);
  if (!pool->fetches) {
    tern_pool_free (pool);
    return NULL;
  }

  for (i = 1; i < threads; i++) {
    Worker *worker = &pool->workers[i];
    g_autoptr (GError) why = NULL;

    worker->pool = pool;
    worker->index = i;
    worker->thread = g_thread_try_new ("tern-worker", worker_main, worker, &why);
    if (!worker->thread) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "threads: started %u of %u: %s", i, threads, why->message);
      tern_pool_free (pool);
      return NULL;
    }
  }
  return pool;
}

TernPool *
tern_pool_new (guint threads, GError **error)
{
  return pool_new (threads, FALSE, error);
}

TernPool *
tern_pool_new_yielding (guint threads, GError **error)
{
  return pool_new (threads, TRUE, error);
}

void
tern_pool_free (TernPool *pool)
{
  guint i;

  if (!pool)
    return;
  g_mutex_lock (&pool->mutex);
  atomic_store (&pool->stop, TRUE);
  g_cond_broadcast (&pool->started);
  g_mutex_unlock (&pool->mutex);
  for (i = 0; i < pool->threads; i++) {
    if (pool->workers[i].thread)
      g_thread_join (pool->workers[i].thread);
    tern_mem_free (pool->workers[i].scratch);
  }
  g_free (pool->workers);
  tern_mem_free (pool->shares);
  tern_mem_free (pool->fetches);
  g_mutex_clear (&pool->mutex);
  g_cond_clear (&pool->started);
  g_cond_clear (&pool->left);
  tern_mem_free (pool);
}

guint
tern_pool_threads (const TernPool *pool)
{
  return pool ? pool->threads : 1;
}

/* What there was stays when there is no more: others run on this pool. */
gboolean
tern_pool_reserve (TernPool *pool, gsize bytes, GError **error)
{
  void *larger[TERN_THREADS_MAX];
  guint i;

  if (bytes <= pool->scratch_bytes)
    return TRUE;
  for (i = 0; i < pool->threads; i++) {
    larger[i] = tern_mem_alloc (bytes, "scratch of a worker", error);
    if (!larger[i]) {
      while (i-- > 0)
        tern_mem_free (larger[i]);
      return FALSE;
    }
  }
  for (i = 0; i < pool->threads; i++) {
    tern_mem_free (pool->workers[i].scratch);
    pool->workers[i].scratch = larger[i];
  }
  pool->scratch_bytes = bytes;
  return TRUE;
}

void *
tern_pool_scratch (TernPool *pool, guint worker)
{
  return pool->workers[worker].scratch;
}
