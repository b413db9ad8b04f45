/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* engine/base: instruction sets, memory, mapped files, messages, cancellation. Threads: test-base-pool.c. */
#include <fcntl.h>
#include <signal.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/cancel.h"
#include "engine/base/cpu.h"
#include "tern/error.h"
#include "engine/base/log.h"
#include "engine/base/mapfile.h"
#include "engine/base/mem.h"
#include "engine/base/readfile.h"

static void
test_cpu_parse (void)
{
  TernCpu best, level;
  guint i;

  g_assert_true (tern_cpu_has (TERN_CPU_SCALAR));
  g_assert_false (tern_cpu_has (TERN_CPU_N_LEVELS));
  g_assert_true (tern_cpu_parse (NULL, &best, NULL));
  g_assert_true (tern_cpu_has (best));
  g_assert_true (tern_cpu_parse ("", &level, NULL));
  g_assert_cmpint (level, ==, best);
  g_assert_true (tern_cpu_parse ("auto", &level, NULL));
  g_assert_cmpint (level, ==, best);

  for (i = 0; i < TERN_CPU_N_LEVELS; i++) {
    g_autoptr (GError) error = NULL;
    const char *name = tern_cpu_name (i);

    g_assert_cmpint (tern_cpu_parse (name, &level, &error), ==, tern_cpu_has (i));
    if (tern_cpu_has (i)) {
      g_assert_no_error (error);
      g_assert_cmpuint (level, ==, i);
      g_assert_cmpint (best, >=, i);
    } else {                    /* x86 and Arm levels exclude each other, so some are always lacking */
      g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
      g_assert_nonnull (strstr (error->message, name));
      g_assert_nonnull (strstr (error->message, "scalar"));
    }
  }
}

static void
test_cpu_unknown (void)
{
  static const char *const names[] = { "sse9", "AVX2", "avx2 ", "avx", "0", "auto,avx2" };
  TernCpu level = TERN_CPU_N_LEVELS;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (tern_cpu_parse (names[i], &level, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, names[i]));
    g_assert_nonnull (strstr (error->message, "avx512vbmi"));
    g_assert_nonnull (strstr (error->message, "i8mm"));
    g_assert_cmpint (level, ==, TERN_CPU_N_LEVELS);
  }
}

#if defined(__x86_64__)
/* What the kernel says of this CPU, for names that clang's __builtin_cpu_supports() refuses to compile. */
static gboolean
system_lists (const char *flag)
{
  g_autofree char *text = NULL, *pattern = g_strdup_printf ("^flags\\b.*\\b%s\\b", flag);

  if (!g_file_get_contents ("/proc/cpuinfo", &text, NULL, NULL))
    return TRUE;                /* no second opinion */
  return g_regex_match_simple (pattern, text, G_REGEX_MULTILINE, 0);
}
#endif

/* A level includes those before it, but for AVX-VNNI, which AVX-512 machines may lack. */
static void
test_cpu_order (void)
{
  static const TernCpu needs[][2] = {
    { TERN_CPU_AVXVNNI, TERN_CPU_AVX2 }, { TERN_CPU_AVX512VNNI, TERN_CPU_AVX2 },
    { TERN_CPU_AVX512VBMI, TERN_CPU_AVX512VNNI }, { TERN_CPU_AVX512BF16, TERN_CPU_AVX512VBMI },
    { TERN_CPU_AMX, TERN_CPU_AVX512BF16 },
    { TERN_CPU_DOTPROD, TERN_CPU_NEON }, { TERN_CPU_I8MM, TERN_CPU_DOTPROD },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (needs); i++) {
    if (tern_cpu_has (needs[i][0]))
      g_assert_true (tern_cpu_has (needs[i][1]));
  }
#if defined(__x86_64__)
  __builtin_cpu_init ();
  g_assert_cmpint (tern_cpu_has (TERN_CPU_AVX2), ==, !!__builtin_cpu_supports ("avx2")
      && !!__builtin_cpu_supports ("fma") && system_lists ("f16c"));
  g_assert_cmpint (tern_cpu_has (TERN_CPU_AVX512VNNI), ==, !!__builtin_cpu_supports ("avx512vnni")
      && !!__builtin_cpu_supports ("avx512bw") && !!__builtin_cpu_supports ("avx512dq")
      && !!__builtin_cpu_supports ("avx512vl"));
#endif
}

/* Where a signal stack is too small for tiles Linux says no, and so do we; without a word. */
static void
test_cpu_small_stack (void)
{
#if defined(__x86_64__) && defined(__linux__)
  static guint8 memory[4096];
  stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory };
  TernCpu level;

  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, 0);
    g_test_trap_assert_passed ();
    g_test_trap_assert_stderr ("");
    return;
  }
  g_assert_cmpint (sigaltstack (&stack, NULL), ==, 0);
  g_assert_false (tern_cpu_has (TERN_CPU_AMX));
  g_assert_true (tern_cpu_parse ("auto", &level, NULL));
  g_assert_cmpint (level, <, TERN_CPU_AMX);
  stack.ss_flags = SS_DISABLE;
  g_assert_cmpint (sigaltstack (&stack, NULL), ==, 0);
  g_assert_false (tern_cpu_has (TERN_CPU_AMX));         /* that stays */
#else
  g_test_skip ("tiles are x86's");
#endif
}

static void
test_mem (void)
{
  static const gsize sizes[] = { 0, 1, 63, 64, 65, 4097, 3 << 20 };
  g_autoptr (GError) error = NULL;
  guint i;
  gsize j;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    guint8 *block = tern_mem_alloc (sizes[i], "block", &error);

    g_assert_no_error (error);
    g_assert_cmpuint ((guintptr) block % TERN_ALIGN, ==, 0);
    for (j = 0; j < sizes[i]; j++)
      g_assert_cmpuint (block[j], ==, 0);
    memset (block, 0xff, sizes[i]);
    tern_mem_free (block);
  }
  tern_mem_free (NULL);
}

static void
test_mem_no_space (void)
{
  static const gsize sizes[] = { G_MAXSIZE, G_MAXSIZE - 64, G_MAXSSIZE, (gsize) 1 << (GLIB_SIZEOF_SIZE_T * 8 - 1) };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (tern_mem_alloc (sizes[i], "cache of keys", &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
    g_assert_nonnull (strstr (error->message, "cache of keys"));
  }
}

static void
test_mul (void)
{
  gsize out = 0;

  g_assert_true (tern_mul (G_MAXSIZE, 1, &out));
  g_assert_cmpuint (out, ==, G_MAXSIZE);
  g_assert_true (tern_mul (0, G_MAXSIZE, &out));
  g_assert_cmpuint (out, ==, 0);
  g_assert_false (tern_mul (G_MAXSIZE / 2 + 1, 2, &out));
  g_assert_false (tern_mul ((gsize) 1 << (GLIB_SIZEOF_SIZE_T * 4), (gsize) 1 << (GLIB_SIZEOF_SIZE_T * 4), &out));
}

static void
test_arena (void)
{
  TernArena plan = { NULL, 0 }, arena = { NULL, 0 };
  guint8 *a, *b, *c;

  g_assert_null (tern_arena_take (&plan, 1));
  g_assert_null (tern_arena_take (&plan, 65));
  g_assert_null (tern_arena_take (&plan, 0));
  g_assert_cmpuint (plan.used, ==, 64 + 128);

  arena.base = tern_mem_alloc (plan.used, "arena", NULL);
  a = tern_arena_take (&arena, 1);
  b = tern_arena_take (&arena, 65);
  c = tern_arena_take (&arena, 0);
  g_assert_true (a == arena.base && b == a + 64 && c == b + 128);
  g_assert_cmpuint (arena.used, ==, plan.used);
  tern_mem_free (arena.base);
}

static char *
temporary (const void *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  char *path;
  int fd = g_file_open_tmp ("tern-base-XXXXXX", &path, &error);

  g_assert_no_error (error);
  g_assert_cmpint (write (fd, data, size), ==, size);
  close (fd);
  return path;
}

static void
test_map (void)
{
  g_autofree char *content = g_strnfill (10000, 'x'), *path = NULL, *empty = NULL;
  g_autoptr (GError) error = NULL;
  TernMap map;

  content[9999] = 'y';
  path = temporary (content, 10000);
  g_assert_true (tern_map_open (&map, path, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (map.data, map.size, content, 10000);
  g_unlink (path);
  g_assert_cmpuint (map.data[9999], ==, 'y');   /* the pages outlive the name */
  tern_map_close (&map);
  g_assert_null (map.data);
  tern_map_close (&map);

  empty = temporary ("", 0);
  g_assert_true (tern_map_open (&map, empty, &error));
  g_assert_null (map.data);
  g_assert_cmpuint (map.size, ==, 0);
  tern_map_close (&map);
  g_unlink (empty);
}

static void
expect_map_error (const char *path, TernErrorCode code)
{
  g_autoptr (GError) error = NULL;
  TernMap map;

  g_assert_false (tern_map_open (&map, path, &error));
  g_assert_error (error, TERN_ERROR, code);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_null (map.data);
  tern_map_close (&map);
}

static void
test_map_errors (void)
{
  g_autofree char *file = temporary ("x", 1), *below = g_build_filename (file, "below", NULL);
  g_autofree char *fifo = g_strconcat (file, ".fifo", NULL);

  expect_map_error ("/nonexistent/model.gguf", TERN_ERROR_NOT_FOUND);
  expect_map_error ("", TERN_ERROR_NOT_FOUND);
  expect_map_error (below, TERN_ERROR_NOT_FOUND);
  expect_map_error (g_get_tmp_dir (), TERN_ERROR_READ);
  expect_map_error ("/dev/null", TERN_ERROR_READ);
  if (mkfifo (fifo, 0600) == 0) {       /* must not wait for a writer */
    expect_map_error (fifo, TERN_ERROR_READ);
    g_unlink (fifo);
  }
  if (g_chmod (file, 0) == 0 && access (file, R_OK) != 0)       /* root may read it anyway */
    expect_map_error (file, TERN_ERROR_READ);
  g_unlink (file);
}

static void
read_error (const char *path, gsize most, TernErrorCode code, const char *what)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (tern_file_read (path, most, NULL, &error));
  g_assert_error (error, TERN_ERROR, code);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_nonnull (strstr (error->message, what));
}

static void
test_read (void)
{
  g_autofree char *content = g_strnfill (100000, 'x'), *path = NULL, *empty = temporary ("", 0);
  g_autoptr (GError) error = NULL;
  gsize sizes[] = { 1, 2, 4094, 4095, 4096, 4097, 4098, 8191, 100000 }, size = 1;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree char *file = temporary (content, sizes[i]), *text = tern_file_read (file, sizes[i], &size, &error);

    g_assert_no_error (error);
    g_assert_cmpmem (text, size, content, sizes[i]);
    g_assert_cmpint (text[size], ==, 0);
    read_error (file, sizes[i] - 1, TERN_ERROR_READ, "at most");
    g_unlink (file);
  }
  path = tern_file_read (empty, 0, &size, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (path, ==, "");
  g_assert_cmpuint (size, ==, 0);
  g_unlink (empty);
}

/* What has no end, or nothing to read yet, is no file. */
static void
test_read_errors (void)
{
  g_autofree char *file = temporary ("text", 4), *fifo = g_strconcat (file, ".fifo", NULL);
  g_autofree char *link = g_strconcat (file, ".link", NULL);

  read_error ("/nonexistent/prompt.txt", 100, TERN_ERROR_NOT_FOUND, "No such file");
  read_error (g_get_tmp_dir (), 100, TERN_ERROR_READ, "a folder");
  read_error ("/dev/zero", 100, TERN_ERROR_READ, "regular file");
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  read_error (fifo, 100, TERN_ERROR_READ, "a pipe");
  g_assert_cmpint (symlink (fifo, link), ==, 0);
  read_error (link, 100, TERN_ERROR_READ, "a pipe");
  g_unlink (link);
  g_unlink (fifo);
  g_assert_cmpint (truncate (file, (off_t) 1 << 40), ==, 0);
  read_error (file, (gsize) 1 << 20, TERN_ERROR_READ, "1099511627776");
  g_unlink (file);
}

/* A file that claims to be empty, and a stream. */
static void
test_read_unknown_length (void)
{
  g_autofree char *status = tern_file_read ("/proc/self/maps", 16 << 20, NULL, NULL), *text = NULL;
  g_autoptr (GError) error = NULL;
  gsize size = 0;
  int ends[2], zero = open ("/dev/zero", O_RDONLY);

  if (status)                   /* there is a /proc */
    g_assert_nonnull (strstr (status, "[stack]"));
  g_assert_cmpint (pipe (ends), ==, 0);
  g_assert_cmpint (write (ends[1], "a\0b", 3), ==, 3);
  close (ends[1]);
  text = tern_file_read_stream (ends[0], "standard input", 3, &size, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (text, size, "a\0b", 3);
  close (ends[0]);
  g_assert_null (tern_file_read_stream (zero, "standard input", 1 << 20, &size, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_READ);
  g_assert_nonnull (strstr (error->message, "standard input: expected at most 1048576 bytes"));
  close (zero);
}

static void
count_message (TernLogLevel level, const char *message, void *data)
{
  guint *count = data;

  (*count)++;
  if (level == TERN_LOG_WARNING) {
    g_assert_cmpstr (message, ==, "layer 3 of model");
    tern_log (TERN_LOG_DEBUG, "from within");
  } else {
    g_assert_cmpstr (message, ==, "from within");
  }
}

static void
test_log (void)
{
  guint count = 0;

  tern_log (TERN_LOG_ERROR, "nobody listens: %d", 1);
  tern_log_set (count_message, &count);
  tern_log (TERN_LOG_WARNING, "layer %d of %s", 3, "model");
  g_assert_cmpuint (count, ==, 2);
  tern_log_set (NULL, NULL);
  tern_log (TERN_LOG_WARNING, "layer %d of %s", 3, "model");
  g_assert_cmpuint (count, ==, 2);
}

static void *
raise_it (void *data)
{
  tern_cancel_raise (data);
  return NULL;
}

static void
test_cancel (void)
{
  TernCancel cancel = { 0 };

  g_assert_false (tern_cancel_is_raised (NULL));
  g_assert_false (tern_cancel_is_raised (&cancel));
  g_thread_join (g_thread_new ("raise", raise_it, &cancel));
  g_assert_true (tern_cancel_is_raised (&cancel));
  g_assert_true (tern_cancel_is_raised (&cancel));
  tern_cancel_reset (&cancel);
  g_assert_false (tern_cancel_is_raised (&cancel));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cpu/parse", test_cpu_parse);
  g_test_add_func ("/cpu/unknown", test_cpu_unknown);
  g_test_add_func ("/cpu/order", test_cpu_order);
  g_test_add_func ("/cpu/small-stack", test_cpu_small_stack);
  g_test_add_func ("/mem/alloc", test_mem);
  g_test_add_func ("/mem/no-space", test_mem_no_space);
  g_test_add_func ("/mem/mul", test_mul);
  g_test_add_func ("/mem/arena", test_arena);
  g_test_add_func ("/map/content", test_map);
  g_test_add_func ("/map/errors", test_map_errors);
  g_test_add_func ("/read/whole", test_read);
  g_test_add_func ("/read/errors", test_read_errors);
  g_test_add_func ("/read/unknown-length", test_read_unknown_length);
  g_test_add_func ("/log", test_log);
  g_test_add_func ("/cancel", test_cancel);
  return g_test_run ();
}
