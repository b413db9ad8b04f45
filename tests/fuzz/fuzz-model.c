/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any bytes as a language model. What opens says how much memory it takes and, when that is little, reads a
 * prompt, a token and a guess that is taken back: whatever keys and tensors say, nothing is touched that is not there. What does
 * not open says why, and of which file. Seeds: tests/golden/make-ssm.py --set seeds, make-qwen35.py. How to build it stands in
 * meson.build. */
#include <stdlib.h>
#include <string.h>

#include "engine/llm/solo.h"

#define MOST_BYTES (64u << 20)  /* of a run: keys may ask for more than a fuzzer has time for */
#define PROMPT 5u
#define ROWS 3u                 /* of the guess */

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
check (gboolean good)
{
  if (!good)
    abort ();
}

static void
guess (TernSolo *solo, const TernLlm *llm, float *logits)
{
  TernSegment segment = { .timeline = tern_solo_timeline (solo), .n = ROWS, .decode = TRUE, .want = TERN_LOGITS_ALL,
    .logits = logits };
  TernPass *pass = tern_solo_pass (solo);
  const gint32 ids[ROWS] = { 0 };
  float *rows;

  tern_pass_begin (pass);
  rows = tern_pass_add (pass, &segment, NULL);
  check (rows != NULL);
  tern_llm_embed (llm, ids, ROWS, rows, tern_llm_info (llm)->width);
  check (tern_pass_run (pass, NULL));
  tern_timeline_cut (tern_solo_timeline (solo), 1);
}

/* A row of a picture with what stands behind it, where the model takes that. */
static void
show (TernSolo *solo, const TernLlm *llm, float *logits)
{
  const TernLlmInfo *info = tern_llm_info (llm);
  g_autofree float *row = g_new0 (float, info->visual_dim);
  const float *slices = info->deepstack ? row + info->width : NULL;
  const TernPlace place = { 0, 1, 2 };

  row[0] = row[info->visual_dim - 1] = 1;
  check (tern_solo_eval (solo, &(TernLlmInput) { .rows = row, .ld = info->visual_dim, .n = 1, .slices = &slices, .places = &place,
          .advance = 1 }, TERN_LOGITS_LAST, logits, NULL, NULL));
}

static void
run (TernLlm *llm, TernPool *pool, TernActivations mode)
{
  const TernLlmInfo *info = tern_llm_info (llm);
  TernSoloParams params = { .context = MIN (info->context, 16), .guesses = ROWS - 1, .activations = mode };
  gint32 ids[PROMPT];
  g_autoptr (TernSolo) solo = NULL;
  gsize logits = (gsize) MAX (PROMPT, ROWS) * info->n_vocab * sizeof (float), bytes = tern_solo_bytes (llm, &params);
  g_autofree float *out = NULL;

  if (info->context < PROMPT + 2 + ROWS || bytes > MOST_BYTES || tern_solo_scratch_bytes (llm, &params) > MOST_BYTES
      || logits > MOST_BYTES)
    return;
  out = g_malloc (logits);
  for (guint i = 0; i < PROMPT; i++)
    ids[i] = (gint32) (i % info->n_vocab);
  solo = tern_solo_new (llm, &params, pool, NULL);
  if (!solo)
    return;
  check (tern_solo_eval (solo, &(TernLlmInput) { .ids = ids, .n = PROMPT }, TERN_LOGITS_ALL, out, NULL, NULL));
  check (tern_solo_eval (solo, &(TernLlmInput) { .ids = ids, .n = 1 }, TERN_LOGITS_LAST, out, NULL, NULL));
  guess (solo, llm, out);
  check (tern_solo_pos (solo) == PROMPT + 2);
  show (solo, llm, out);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open_memory (data, size, "fuzz.gguf", &error);
  g_autoptr (TernLlm) llm = NULL;
  TernKernels kernels;
  TernPool *pool;

  if (!file)
    return 0;
  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  pool = tern_pool_new (1, NULL);
  llm = tern_llm_open (file, &kernels, pool, &error);
  check (!llm == (error != NULL));
  check (!error || (strstr (error->message, "fuzz.gguf: ") == error->message && g_utf8_validate (error->message, -1, NULL)));
  if (llm) {
    run (llm, pool, TERN_ACTIVATIONS_F32);
    run (llm, pool, TERN_ACTIVATIONS_INT8);
  }
  g_clear_pointer (&llm, tern_llm_unref);
  tern_pool_free (pool);
  return 0;
}
