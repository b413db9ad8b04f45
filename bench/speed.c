/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times prefill, decode and the vision encoder of one model and prints one JSON line; bench/llamacpp.py runs it beside
 * llama.cpp.
 *
 * usage: speed --model F [--mmproj F] [--prefill N] [--decode N] [--threads N] [--repeat N] */
#include <stdio.h>

#include "engine/llm/solo.h"
#include "vision/vision.h"

static char *model_path, *mmproj_path;
static int n_prefill = 400, n_decode = 64, n_threads = 1, n_repeat = 5;

static const GOptionEntry entries[] = {
  {"model", 0, 0, G_OPTION_ARG_FILENAME, &model_path, "language model", "F"},
  {"mmproj", 0, 0, G_OPTION_ARG_FILENAME, &mmproj_path, "vision encoder", "F"},
  {"prefill", 0, 0, G_OPTION_ARG_INT, &n_prefill, "tokens of the prompt", "N"},
  {"decode", 0, 0, G_OPTION_ARG_INT, &n_decode, "tokens decoded after it", "N"},
  {"threads", 0, 0, G_OPTION_ARG_INT, &n_threads, "threads", "N"},
  {"repeat", 0, 0, G_OPTION_ARG_INT, &n_repeat, "runs; the median counts", "N"},
  {NULL}
};

static int
compare (const void *a, const void *b)
{
  double d = *(const double *) a - *(const double *) b;

  return (d > 0) - (d < 0);
}

static double
median (double *values, int n)
{
  qsort (values, n, sizeof *values, compare);
  return values[n / 2];
}

static gint32
best (const float *logits, guint n)
{
  guint at = 0;

  for (guint i = 1; i < n; i++)
    if (logits[i] > logits[at])
      at = i;
  return at;
}

static gboolean
time_text (TernPool *pool, const TernKernels *kernels, double *prefill_ms, double *decode_ms, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (model_path, error);
  g_autoptr (TernLlm) llm = file ? tern_llm_open (file, kernels, pool, error) : NULL;
  TernSoloParams params = {.context = n_prefill + n_decode };
  g_autoptr (TernSolo) state = llm ? tern_solo_new (llm, &params, pool, error) : NULL;
  g_autofree gint32 *ids = g_new (gint32, n_prefill);
  g_autofree double *prefill = g_new (double, n_repeat), *decode = g_new (double, n_repeat);
  g_autofree float *logits = NULL;
  guint n_vocab;

  if (!state)
    return FALSE;
  n_vocab = tern_llm_info (llm)->n_vocab;
  logits = g_new (float, n_vocab);
  for (int i = 0; i < n_prefill; i++)
    ids[i] = (i * 7919 + 13) % n_vocab;
  for (int r = 0; r < n_repeat; r++) {
    gint64 start = g_get_monotonic_time (), middle;

    tern_solo_reset (state);
    if (!tern_solo_eval (state, &(TernLlmInput) {.ids = ids,.n = n_prefill }, TERN_LOGITS_LAST, logits, NULL, error))
      return FALSE;
    middle = g_get_monotonic_time ();
    for (int i = 0; i < n_decode; i++) {
      gint32 id = best (logits, n_vocab);

      if (!tern_solo_eval (state, &(TernLlmInput) {.ids = &id,.n = 1 }, TERN_LOGITS_LAST, logits, NULL, error))
        return FALSE;
    }
    prefill[r] = (middle - start) / 1e3;
    decode[r] = (g_get_monotonic_time () - middle) / 1e3;
  }
  *prefill_ms = median (prefill, n_repeat);
  *decode_ms = median (decode, n_repeat);
  return TRUE;
}

static gboolean
time_vision (TernPool *pool, const TernKernels *kernels, double *vision_ms, guint *n_tokens, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (mmproj_path, error);
  g_autoptr (TernVision) vision = file ? tern_vision_open (file, kernels, error) : NULL;
  TernVisionOptions options = {.scaling = TERN_SCALING_CROP };
  TernVisionPlan plan;
  g_autoptr (TernVisionState) state = NULL;
  g_autofree guint8 *pixels = g_malloc (224 * 224 * 3);
  g_autofree float *tokens = NULL;
  g_autofree double *ms = g_new (double, n_repeat);
  TernImage image = {.format = TERN_IMAGE_RGB,.width = 224,.height = 224,.data = {pixels},.stride = {224 * 3} };

  if (!vision || !tern_vision_plan (vision, 224, 224, &options, &plan, error))
    return FALSE;
  state = tern_vision_state_new (vision, plan.n_tokens, TERN_ACTIVATIONS_INT8, pool, error);
  if (!state)
    return FALSE;
  tokens = g_new (float, (gsize) plan.n_tokens * tern_vision_info (vision)->embedding_dim);
  for (int i = 0; i < 224 * 224 * 3; i++)
    pixels[i] = (i * 2654435761u) >> 24;
  for (int r = -1; r < n_repeat; r++) { /* the first picture of a size plans its resampling */
    gint64 start = g_get_monotonic_time ();

    if (!tern_vision_encode (state, &image, &options, &plan, tokens, NULL, error))
      return FALSE;
    if (r >= 0)
      ms[r] = (g_get_monotonic_time () - start) / 1e3;
  }
  *vision_ms = median (ms, n_repeat);
  *n_tokens = plan.n_tokens;
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- time prefill, decode and vision");
  g_autoptr (GError) error = NULL;
  const TernKernels *kernels;
  TernPool *pool;
  double prefill_ms, decode_ms, vision_ms = 0;
  guint n_tokens = 0;
  gboolean good;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || !model_path || n_prefill < 1 || n_decode < 1
      || n_threads < 1 || n_repeat < 1) {
    fprintf (stderr, "speed: %s\n", error ? error->message : "needs --model, and counts of at least 1");
    return 2;
  }
  kernels = tern_kernels_default (&error);
  pool = kernels ? tern_pool_new (n_threads, &error) : NULL;
  good = pool && time_text (pool, kernels, &prefill_ms, &decode_ms, &error)
      && (!mmproj_path || time_vision (pool, kernels, &vision_ms, &n_tokens, &error));
  if (good)
    printf ("{\"cpu\": \"%s\", \"threads\": %d, \"prefill_tokens\": %d, \"prefill_ms\": %.3f, \"decode_tokens\": %d, "
        "\"decode_ms\": %.3f, \"vision_tokens\": %u, \"vision_ms\": %.3f}\n", tern_cpu_name (kernels->level), n_threads,
        n_prefill, prefill_ms, n_decode, decode_ms, n_tokens, vision_ms);
  else
    fprintf (stderr, "speed: %s\n", error->message);
  tern_pool_free (pool);
  return !good;
}
