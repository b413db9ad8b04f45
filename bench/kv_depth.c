/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a token costs behind a long context with each type of keys and values: one thread, in turn, in processor time, so that
 * other programs do not count but for what they throw out of the caches.
 *
 * usage: kv_depth MODEL [DEPTH [TOKENS [ROUNDS]]]
 *
 * Every type's timeline reads the same DEPTH tokens (4096), then each says TOKENS (16) of them in ROUNDS (9) rounds in turn:
 * bytes of keys and values, median ms a token, its quarters, and how it stands to F16 in the same round. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/median.h"
#include "engine/base/threads.h"
#include "engine/llm/solo.h"

#define ROUNDS_MAX 1000

typedef struct {
  TernSolo *solo;
  guint64 bytes;
  double ms[ROUNDS_MAX], ratio[ROUNDS_MAX];
} Side;

static void
must (gboolean ok, GError *error)
{
  if (ok && !error)
    return;
  fprintf (stderr, "kv_depth: %s\n", error ? error->message : "failed");
  exit (1);
}

static double
processor_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static void
read_tokens (TernSolo *solo, const gint32 *ids, guint n, gboolean one_by_one, float *logits)
{
  GError *error = NULL;

  if (!one_by_one)
    must (tern_solo_eval (solo, &(TernLlmInput) { .ids = ids, .n = n }, TERN_LOGITS_NONE, NULL, NULL, &error), error);
  for (guint i = 0; one_by_one && i < n; i++)
    must (tern_solo_eval (solo, &(TernLlmInput) { .ids = ids + i, .n = 1 }, TERN_LOGITS_LAST, logits, NULL, &error), error);
}

/* Pages of @context tokens, and nothing else: states are of one size. */
static guint64
kv_bytes (const TernLlm *llm, TernKvType kv, guint context)
{
  TernStoreParams all = { .context = context, .kv = kv }, one = { .context = TERN_PAGE_ROWS, .kv = kv };
  guint pages = context / TERN_PAGE_ROWS;

  return (tern_store_bytes (llm, &all) - tern_store_bytes (llm, &one)) * pages / MAX (pages - 1, 1);
}

static void
report (TernKvType kv, Side *side, guint rounds)
{
  double middle = median (side->ms, rounds);

  printf ("%-13s %8.2f MB %8.3f ms a token [%.3f, %.3f] %6.3f of f16's\n", tern_kv_name (kv), (double) side->bytes / 1e6, middle,
      side->ms[rounds / 4], side->ms[rounds - 1 - rounds / 4], median (side->ratio, rounds));
}

int
main (int argc, char **argv)
{
  guint depth = argc > 2 ? (guint) atoi (argv[2]) : 4096, tokens = argc > 3 ? (guint) atoi (argv[3]) : 16;
  guint rounds = argc > 4 ? (guint) atoi (argv[4]) : 9, total = depth + (rounds + 1) * tokens;
  Side *sides = g_new0 (Side, TERN_KV_N_TYPES);
  const TernKernels *kernels;
  g_autofree gint32 *ids = NULL;
  g_autofree float *logits = NULL;
  GError *error = NULL;
  TernGguf *file;
  TernPool *pool;
  TernLlm *llm;

  if (argc < 2 || depth == 0 || tokens == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
    fprintf (stderr, "usage: kv_depth MODEL [DEPTH [TOKENS [ROUNDS]]]\n");
    return 2;
  }
  must ((kernels = tern_kernels_default (&error)) != NULL, error);
  must ((file = tern_gguf_open (argv[1], &error)) != NULL, error);
  must ((pool = tern_pool_new (1, &error)) != NULL, error);
  must ((llm = tern_llm_open (file, kernels, pool, &error)) != NULL, error);
  ids = g_new (gint32, total);
  for (guint i = 0; i < total; i++)
    ids[i] = (gint32) ((guint64) i * 7919 % tern_llm_info (llm)->n_vocab);
  logits = g_new (float, tern_llm_info (llm)->n_vocab);
  for (TernKvType kv = TERN_KV_F32; kv < TERN_KV_N_TYPES; kv++) {
    TernSoloParams params = { .context = total, .kv = kv };

    sides[kv].bytes = kv_bytes (llm, kv, depth);
    must ((sides[kv].solo = tern_solo_new (llm, &params, pool, &error)) != NULL, error);
    read_tokens (sides[kv].solo, ids, depth, FALSE, logits);
    read_tokens (sides[kv].solo, ids + depth, tokens, TRUE, logits);    /* the first ones are not timed */
  }
  for (guint round = 0; round < rounds; round++) {
    for (TernKvType kv = TERN_KV_F32; kv < TERN_KV_N_TYPES; kv++) {
      double begin = processor_ms ();

      read_tokens (sides[kv].solo, ids + depth + (round + 1) * tokens, tokens, TRUE, logits);
      sides[kv].ms[round] = (processor_ms () - begin) / tokens;
    }
    for (TernKvType kv = TERN_KV_F32; kv < TERN_KV_N_TYPES; kv++)
      sides[kv].ratio[round] = sides[kv].ms[round] / sides[TERN_KV_F16].ms[round];
  }
  for (TernKvType kv = TERN_KV_F32; kv < TERN_KV_N_TYPES; kv++) {
    report (kv, &sides[kv], rounds);
    tern_solo_free (sides[kv].solo);
  }
  g_free (sides);
  tern_llm_unref (llm);
  tern_pool_free (pool);
  tern_gguf_unref (file);
  return 0;
}
