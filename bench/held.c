/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a run holds at a depth that would take hours to read: a prompt of a few hundred tokens is read, keys and values of all
 * tokens behind it but the last ones are zeros that are written where computed ones would stand, and words are said after them,
 * which reads them all. Prints the most that was resident, as `tern inspect --context TOKENS --kv KV --threads N` predicts it.
 *
 * usage: held MODEL TOKENS KV THREADS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/llm/model.h"
#include "engine/llm/solo.h"
#include "engine/text/tokenizer.h"

#define PROMPT 256
#define SAID 8

static void
must (gboolean ok, const GError *error)
{
  if (ok)
    return;
  fprintf (stderr, "held: %s\n", error ? error->message : "failed");
  exit (1);
}

/* @n rows more, as if they had been read. */
static void
fill (TernTimeline *timeline, guint n)
{
  const TernStore *store = timeline->store;
  GError *error = NULL;

  must (tern_timeline_extend (timeline, n, FALSE, &error), error);
  for (guint page = PROMPT / TERN_PAGE_ROWS; page < (timeline->table.n + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS; page++)
    memset (tern_pages_at (&store->pages, timeline->table.page[page]), 0, store->pages.bytes);
  timeline->place += n;
}

static void
say (TernSolo *solo, guint n_vocab, guint n, float *logits)
{
  GError *error = NULL;

  for (guint i = 0; i < n; i++) {
    const gint32 id = (gint32) (i % n_vocab);

    must (tern_solo_eval (solo, &(TernLlmInput) { .ids = &id, .n = 1 }, TERN_LOGITS_LAST, logits, NULL, &error), error);
  }
}

int
main (int argc, char **argv)
{
  TernSoloParams params = { .activations = TERN_ACTIVATIONS_INT8 };
  TernTokenizer *tokenizer;
  gint32 ids[PROMPT];
  struct rusage usage;
  GError *error = NULL;
  TernGguf *file;
  TernPool *pool;
  TernSolo *solo;
  TernLlm *llm;
  float *logits;
  guint n_vocab;

  if (argc != 5 || (params.context = (guint) strtoul (argv[2], NULL, 10)) < 2 * PROMPT || !tern_kv_parse (argv[3], &params.kv)) {
    fprintf (stderr, "usage: held MODEL TOKENS KV THREADS\n");
    return 2;
  }
  must ((file = tern_gguf_open (argv[1], &error)) != NULL, error);
  must ((pool = tern_pool_new ((guint) strtoul (argv[4], NULL, 10), &error)) != NULL, error);
  must ((llm = tern_llm_open (file, tern_kernels_default (NULL), pool, &error)) != NULL, error);
  must ((tokenizer = tern_tokenizer_new (file, &error)) != NULL, error);
  must ((solo = tern_solo_new (llm, &params, pool, &error)) != NULL, error);
  n_vocab = tern_llm_info (llm)->n_vocab;
  logits = g_new (float, n_vocab);
  for (guint i = 0; i < PROMPT; i++)
    ids[i] = (gint32) (i * 7919u % n_vocab);
  must (tern_solo_eval (solo, &(TernLlmInput) { .ids = ids, .n = PROMPT }, TERN_LOGITS_LAST, logits, NULL, &error), error);
  fill (tern_solo_timeline (solo), params.context - PROMPT - SAID);
  say (solo, n_vocab, SAID, logits);
  getrusage (RUSAGE_SELF, &usage);
  printf ("%u tokens, %s: %.1f MB resident at most\n", tern_solo_pos (solo), tern_kv_name (params.kv),
      usage.ru_maxrss * 1024 / 1e6);
  g_free (logits);
  tern_solo_free (solo);
  tern_tokenizer_unref (tokenizer);
  tern_llm_unref (llm);
  tern_pool_free (pool);
  tern_gguf_unref (file);
  return 0;
}
