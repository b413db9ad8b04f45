/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nothing is allocated per token or per frame: counts what the engine thread and its pool allocate once they are warm.
 *
 * Allowed, once a window, whatever its frames and tokens: the result, its strings and the text they are made from, and
 * the link in the queue of results. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "session-fixture.h"

/* ---- Counting ---- */

typedef void *(*MmapFunc) (void *, size_t, int, int, int, off_t);

static gint counted;            /* atomic: allocations while counting */
static gint counting;           /* atomic */
static __thread gboolean exempt;        /* this thread's do not count */

static void
note (void)
{
  if (__atomic_load_n (&counting, __ATOMIC_RELAXED) && !exempt)
    __atomic_add_fetch (&counted, 1, __ATOMIC_RELAXED);
}

void *__libc_malloc (size_t size);
void *__libc_calloc (size_t n, size_t size);
void *__libc_realloc (void *block, size_t size);
void *__libc_memalign (size_t alignment, size_t size);

void *
malloc (size_t size)
{
  note ();
  return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  note ();
  return __libc_calloc (n, size);
}

void *
realloc (void *block, size_t size)
{
  note ();
  return __libc_realloc (block, size);
}

void *
aligned_alloc (size_t alignment, size_t size)
{
  note ();
  return __libc_memalign (alignment, size);
}

int
posix_memalign (void **out, size_t alignment, size_t size)
{
  note ();
  *out = __libc_memalign (alignment, size);
  return *out ? 0 : ENOMEM;
}

void *
mmap (void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
  static MmapFunc real;

  note ();
  if (!real)
    real = (MmapFunc) dlsym (RTLD_NEXT, "mmap");
  return real (address, length, protection, flags, fd, offset);
}

/* ---- Tests ---- */

/* Allocations of the engine's side for @windows windows of @frames frames and @tokens tokens each, after two that do
 * not count; more with a @memory of so many tokens, until it has forgotten some. */
static guint
count_with (TernModel *model, guint windows, guint frames, guint tokens, TernMethod method, guint beam, guint memory)
{
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  guint before = 0, n, first = memory > 0 ? 16 : 2;

  params.memory = memory > 0 ? TERN_MEMORY_STREAM : TERN_MEMORY_WINDOW;
  params.memory_tokens = memory;

  params.window = frames * MS (500);
  params.sampling.max_tokens = tokens;
  params.compress.method = method;
  params.sampling.beam = MAX (beam, 1);
  params.sampling.temperature = beam ? 0 : 3;    /* rarely an end token: as many tokens as asked for */
  session = new_session (model, &params);
  exempt = TRUE;                        /* this thread pushes and polls */
  for (guint w = 0; w < windows + first; w++) {
    TernResult *result;

    if (w == first) {
      before = (guint) __atomic_load_n (&counted, __ATOMIC_RELAXED);
      __atomic_store_n (&counting, 1, __ATOMIC_RELAXED);
    }
    push_run (session, w * frames, frames, w);
    result = next_result (session);
    g_assert_nonnull (result);
    g_assert_cmpuint (result->frames, ==, frames);
    tern_result_unref (result);
  }
  __atomic_store_n (&counting, 0, __ATOMIC_RELAXED);
  n = (guint) __atomic_load_n (&counted, __ATOMIC_RELAXED) - before;
  exempt = FALSE;
  return n;
}

static guint
count (TernModel *model, guint windows, guint frames, guint tokens, TernMethod method, guint beam)
{
  return count_with (model, windows, frames, tokens, method, beam, 0);
}

/* The counter counts. */
static void
test_counter (void)
{
  gint before = __atomic_load_n (&counted, __ATOMIC_RELAXED);
  void *volatile block;

  __atomic_store_n (&counting, 1, __ATOMIC_RELAXED);
  block = malloc (10);
  free (block);
  block = g_new0 (int, 7);
  g_free (block);
  __atomic_store_n (&counting, 0, __ATOMIC_RELAXED);
  g_assert_cmpint (__atomic_load_n (&counted, __ATOMIC_RELAXED) - before, >=, 2);
}

/* A result's strings and their making: about thirty, however long the window and the answer. */
#define PER_WINDOW 40

static void
test_windows (void)
{
  g_autoptr (TernModel) model = open_model (0);
  guint few = count (model, 4, 4, 4, TERN_METHOD_DYCOKE, 0);
  guint tokens = count (model, 4, 4, 64, TERN_METHOD_DYCOKE, 0);
  guint frames = count (model, 4, 12, 4, TERN_METHOD_DYCOKE, 0);

  g_test_message ("allocations of 4 windows: %u, with 16 times the tokens %u, with 3 times the frames %u", few, tokens,
      frames);
  g_assert_cmpuint (few, >, 0);
  g_assert_cmpuint (few, <=, 4 * PER_WINDOW);
  /* A text grows in powers of two: a few doublings, not 60 tokens' worth. */
  g_assert_cmpuint (tokens, <=, few + 4 * 8);
  g_assert_cmpuint (frames, <=, few + 4 * 4);
}

static void
test_methods (void)
{
  g_autoptr (TernModel) model = open_model (0);

  g_assert_cmpuint (count (model, 3, 4, 8, TERN_METHOD_NONE, 0), <=, 3 * PER_WINDOW);
  g_assert_cmpuint (count (model, 3, 4, 8, TERN_METHOD_RANDOM, 0), <=, 3 * PER_WINDOW);
  g_assert_cmpuint (count (model, 3, 4, 8, TERN_METHOD_DYCOKE, 3), <=, 3 * PER_WINDOW);
}

/* Frames enter what is remembered, and it forgets, without any. */
static void
test_memory (void)
{
  g_autoptr (TernModel) model = open_model (0);
  guint few = count_with (model, 8, 4, 4, TERN_METHOD_DYCOKE, 0, 420);
  guint frames = count_with (model, 8, 12, 4, TERN_METHOD_DYCOKE, 0, 420);

  g_test_message ("allocations of 8 windows of a stream: %u, with 3 times the frames %u", few, frames);
  g_assert_cmpuint (few, >, 0);
  g_assert_cmpuint (few, <=, 8 * PER_WINDOW);
  g_assert_cmpuint (frames, <=, few + 8 * 4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/alloc/counter", test_counter);
  g_test_add_func ("/alloc/windows", test_windows);
  g_test_add_func ("/alloc/methods", test_methods);
  g_test_add_func ("/alloc/memory", test_memory);
  return g_test_run ();
}
