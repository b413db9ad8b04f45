/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How speed and the answer to cancelling hold up with depth: one timeline is filled to each depth, where a prompt of
 * --prefill tokens is read, --decode tokens are said one by one, and a prompt is cancelled at random. One JSON line a
 * depth.
 *
 * usage: depth --model F [--depths 0,8192,...] [--kv T] [--prefill N] [--decode N] [--cancels N] [--threads N] */
#include <stdio.h>
#include <time.h>

#include "engine/llm/solo.h"

static char *model_path, *depths_text, *kv_text;
static int n_prefill = 256, n_decode = 8, n_cancels = 0, n_threads = 1;

static const GOptionEntry entries[] = {
  { "model", 0, 0, G_OPTION_ARG_FILENAME, &model_path, "language model", "F" },
  { "depths", 0, 0, G_OPTION_ARG_STRING, &depths_text, "tokens that were read before, ascending", "N,..." },
  { "kv", 0, 0, G_OPTION_ARG_STRING, &kv_text, "auto, f32, f16 or int8", "T" },
  { "prefill", 0, 0, G_OPTION_ARG_INT, &n_prefill, "tokens of the prompt that is timed", "N" },
  { "decode", 0, 0, G_OPTION_ARG_INT, &n_decode, "tokens said after it", "N" },
  { "cancels", 0, 0, G_OPTION_ARG_INT, &n_cancels, "prompts that are cancelled", "N" },
  { "threads", 0, 0, G_OPTION_ARG_INT, &n_threads, "threads", "N" },
  { NULL }
};

typedef struct {
  TernSolo *state, *other;  /* the timeline, and what is cancelled */
  gint32 *ids;
  guint n_ids;
  float *logits;
} Bench;

static gboolean
eval (Bench *b, TernSolo *state, guint n, TernLogits want, TernCancel *cancel, GError **error)
{
  guint at = tern_solo_pos (state);

  return tern_solo_eval (state, &(TernLlmInput) { .ids = b->ids + at, .n = n }, want, b->logits, cancel, error);
}

typedef struct {
  TernCancel cancel;
  gulong after;                 /* us */
  gint64 raised;
} Canceller;

static gpointer
raise_later (gpointer data)
{
  Canceller *self = data;

  g_usleep (self->after);
  self->raised = g_get_monotonic_time ();
  tern_cancel_raise (&self->cancel);
  return NULL;
}

/* The longest that a cancelled prompt took to come back, in ms; @whole_ms: how long it takes when it is not. */
static double
longest_answer (Bench *b, double whole_ms)
{
  double longest = 0;

  for (int i = 0; i < n_cancels; i++) {
    Canceller canceller = { .after = (gulong) (1000 * whole_ms * (i + 0.5) / n_cancels) };
    GThread *thread;
    g_autoptr (GError) error = NULL;

    tern_timeline_fork (tern_solo_timeline (b->other), tern_solo_timeline (b->state));
    thread = g_thread_new ("canceller", raise_later, &canceller);
    if (!eval (b, b->other, n_prefill, TERN_LOGITS_LAST, &canceller.cancel, &error))
      longest = MAX (longest, (g_get_monotonic_time () - canceller.raised) / 1e3);
    g_thread_join (thread);
  }
  return longest;
}

/* Of all threads, in seconds: what other jobs on the machine do not change much. */
static double
cpu_time (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static gboolean
run_depth (Bench *b, guint depth, GError **error)
{
  gint64 start, middle, end;
  double prefill, cancelled = 0, cpu;

  for (guint at; (at = tern_solo_pos (b->state)) < depth;)
    if (!eval (b, b->state, MIN (depth - at, 512), TERN_LOGITS_NONE, NULL, error))
      return FALSE;
  start = g_get_monotonic_time ();
  cpu = cpu_time ();
  if (!eval (b, b->state, n_prefill, TERN_LOGITS_LAST, NULL, error))
    return FALSE;
  middle = g_get_monotonic_time ();
  cpu = cpu_time () - cpu;
  for (int i = 0; i < n_decode; i++)
    if (!eval (b, b->state, 1, TERN_LOGITS_LAST, NULL, error))
      return FALSE;
  end = g_get_monotonic_time ();
  prefill = (middle - start) / 1e6;
  if (b->other)
    cancelled = longest_answer (b, 1e3 * prefill);
  printf ("{\"depth\": %u, \"kv\": \"%s\", \"threads\": %d, \"prefill_tokens_per_s\": %.1f, "
      "\"prefill_cpu_ms_per_token\": %.3f, \"decode_ms_per_token\": %.3f, \"longest_cancel_ms\": %.1f}\n", depth,
      tern_kv_name (tern_store_kv (tern_solo_store (b->state))),
      n_threads, n_prefill / prefill, 1e3 * cpu / n_prefill, (end - middle) / 1e3 / MAX (n_decode, 1), cancelled);
  fflush (stdout);
  return TRUE;
}

static gboolean
run (TernPool *pool, const TernKernels *kernels, GError **error)
{
  g_auto (GStrv) depths = g_strsplit (depths_text ? depths_text : "0,8192,16384,32000", ",", -1);
  guint n_depths = g_strv_length (depths);
  guint deepest = n_depths ? (guint) g_ascii_strtoull (depths[n_depths - 1], NULL, 10) : 0;
  TernSoloParams params = { .context = deepest + 2 * n_prefill + n_decode, .forks = n_cancels > 0 };
  g_autoptr (TernGguf) file = tern_gguf_open (model_path, error);
  g_autoptr (TernLlm) llm = file ? tern_llm_open (file, kernels, pool, error) : NULL;
  g_autoptr (TernSolo) state = NULL, other = NULL;
  g_autofree gint32 *ids = g_new (gint32, params.context);
  g_autofree float *logits = NULL;
  Bench b = { .ids = ids, .n_ids = params.context };

  if (kv_text)
    tern_kv_parse (kv_text, &params.kv);
  if (!llm || !(b.state = state = tern_solo_new (llm, &params, pool, error))
      || (n_cancels && !(b.other = other = tern_solo_fork (state, error))))
    return FALSE;
  b.logits = logits = g_new (float, tern_llm_info (llm)->n_vocab);
  for (guint i = 0; i < b.n_ids; i++)
    ids[i] = (i * 7919u + 13) % tern_llm_info (llm)->n_vocab;
  for (guint i = 0; i < n_depths; i++)
    if (!run_depth (&b, MAX ((guint) g_ascii_strtoull (depths[i], NULL, 10), tern_solo_pos (state)), error))
      return FALSE;
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- time a model at depth");
  g_autoptr (GError) error = NULL;
  const TernKernels *kernels;
  TernKvType kv;
  TernPool *pool;
  gboolean good;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || !model_path || n_prefill < 1 || n_decode < 0
      || n_threads < 1 || n_cancels < 0 || (kv_text && !tern_kv_parse (kv_text, &kv))) {
    fprintf (stderr, "depth: %s\n", error ? error->message : "needs --model, a type of KV, and counts of at least 1");
    return 2;
  }
  kernels = tern_kernels_default (&error);
  pool = kernels ? tern_pool_new (n_threads, &error) : NULL;
  good = pool && run (pool, kernels, &error);
  if (!good)
    fprintf (stderr, "depth: %s\n", error->message);
  tern_pool_free (pool);
  return !good;
}
