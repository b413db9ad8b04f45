/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/inspect-memory.h"

#include <stdio.h>
#include <string.h>

#include "tern/error.h"
#include "engine/action/head.h"
#include "engine/decode/draft.h"
#include "engine/llm/evict.h"
#include "engine/llm/solo.h"
#include "engine/text/tokenizer.h"
#include "tern/encoder-id.h"
#include "tern/stream.h"
#include "vision/reuse.h"
#include "vision/vision.h"

/* Measured (bench/memory.py): what running adds to the program beside all that is counted: code that is not touched
 * before, the heap's gaps; and how deep a worker's stack gets, whose matrix products keep panels there. */
#define RUNNING_BYTES (256 << 10)
#define STACK_BYTES (160 << 10)

void
tern_memory_use (TernMemoryUse *use)
{
  FILE *status = fopen ("/proc/self/status", "re");
  char line[256];
  guint64 kib;

  memset (use, 0, sizeof *use);
  while (status && fgets (line, sizeof line, status)) {
    if (sscanf (line, "VmRSS: %" G_GUINT64_FORMAT, &kib) == 1)
      use->resident = kib << 10;
    else if (sscanf (line, "RssAnon: %" G_GUINT64_FORMAT, &kib) == 1)
      use->anonymous = kib << 10;
  }
  if (status)
    fclose (status);
}

G_GNUC_PRINTF (4, 5) static void
add (TernMemoryPlan *plan, const char *name, guint64 bytes, const char *format, ...)
{
  va_list args;

  g_return_if_fail (plan->n < TERN_MEMORY_ENTRIES);
  plan->entries[plan->n].name = name;
  plan->entries[plan->n].bytes = bytes;
  va_start (args, format);
  g_vsnprintf (plan->entries[plan->n].what, sizeof plan->entries[plan->n].what, format, args);
  va_end (args);
  plan->n++;
}

static guint64
tensor_bytes (const TernGguf *file)
{
  guint64 bytes = 0;

  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++)
    bytes += tern_gguf_tensor_at (file, i)->bytes;
  return bytes;
}

static guint64
page_bytes (const TernLlm *llm, guint context, TernKvType kv)
{
  TernStoreParams one = { .context = context, .pages = 1, .kv = kv }, two = one;

  two.pages = 2;
  return tern_store_bytes (llm, &two) - tern_store_bytes (llm, &one);
}

static guint
count_threads (guint threads)
{
  g_autoptr (GError) error = NULL;
  TernPool *pool = threads ? NULL : tern_pool_new (0, &error);

  threads = threads ? threads : tern_pool_threads (pool);
  tern_pool_free (pool);
  return threads;
}

/* The process before the file, what opening the file has added, and what the vocabulary will. */
static guint64
add_process (TernMemoryPlan *plan, const TernGguf *file, const TernMemoryUse *before, guint64 vectors,
    guint64 vocabulary)
{
  guint64 opened, header = tern_gguf_data_start (file);
  TernMemoryUse now;

  tern_memory_use (&now);
  opened = now.anonymous - MIN (now.anonymous, before->anonymous);
  opened -= MIN (opened, vectors);
  opened += vocabulary;
  add (plan, "program", before->resident + RUNNING_BYTES, "the program and its libraries, without a model");
  add (plan, "header", header, "header of the file, mapped");
  add (plan, "index", opened, "names, vocabulary: what opening the file takes beside weights");
  return before->resident + RUNNING_BYTES + header + opened;
}

static gboolean
check_stream (const TernLlm *llm, guint context, TernMemoryOptions *options, GError **error)
{
  guint spare = TERN_STREAM_SPARE, most = context > spare ? context - spare : 0;

  if (options->memory != TERN_MEMORY_STREAM)
    return TRUE;
  if (!tern_evict_check (llm, error))
    return FALSE;
  if (options->memory_tokens == 0)
    options->memory_tokens = MIN (TERN_STREAM_TOKENS, most);
  if (options->memory_tokens >= TERN_MEMORY_TOKENS_MIN && options->memory_tokens <= most)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--memory-tokens: expected %u to %u of a context of %u, found %u",
      TERN_MEMORY_TOKENS_MIN, most, context, options->memory_tokens);
  return FALSE;
}

/* What tern/session-memory.c takes because a session remembers a stream. Frames have as many places here as there is room for,
 * as in a session that is given tokens; with an encoder of its own the record is smaller. */
static void
add_stream (TernMemoryPlan *plan, const TernLlm *llm, guint context, guint tokens)
{
  TernStreamParams params = { .budget = tokens, .places = tokens };
  guint64 page = page_bytes (llm, context, TERN_KV_F32), fork = tern_stream_pages (tokens + TERN_STREAM_SPARE) - 1;

  add (plan, "remembered", tern_stream_pages (tokens) * page, "more in a session with memory=stream: keys and values of %u tokens, "
      "in f32; not in the total", tokens);
  add (plan, "answering", fork * page, "... beside them, while an answer is given about what was forgotten since; as much again "
      "once it is asked");
  add (plan, "record", tern_stream_bytes (llm, &params), "... whose tokens these are, and choosing which stay; at most");
}

/* What is there once more because another model guesses for one of @context tokens. */
typedef struct {
  guint64 sum;                  /* resident at most, without workers */
  guint64 worker;               /* scratch of each */
} Draft;

static gboolean
add_draft (TernMemoryPlan *plan, Draft *draft, const char *path, const TernKernels *kernels, guint context, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (path, error);
  g_autoptr (TernLlm) llm = file ? tern_llm_plan (file, kernels, error) : NULL;
  TernDraftParams params = { .context = context };
  guint64 mapped, owned, state;
  TernLlmRepack repack;
  gsize vocabulary;

  if (!llm || !tern_tokenizer_check (file, &vocabulary, error))
    return FALSE;
  repack = tern_llm_repack (llm);
  mapped = tern_gguf_data_start (file) + tensor_bytes (file) - repack.source - tern_llm_unused_bytes (llm);
  owned = tern_llm_owned_bytes (llm) + vocabulary;
  state = tern_draft_bytes (llm, &params);
  draft->sum = owned + MAX (mapped + state, repack.largest);
  draft->worker = tern_draft_scratch_bytes (llm, &params);
  add (plan, "draft_mapped", mapped, "of the draft: header, and weights that run from its file");
  add (plan, "draft_owned", owned, "... weights repacked or converted at load, vocabulary; once per process");
  add (plan, "draft", state, "... caches and work space of one answer; where its vocabulary is another, tables of both beside it");
  return TRUE;
}

static gboolean
plan_llm (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, const TernMemoryOptions *options,
    const TernMemoryUse *before, GError **error)
{
  g_autoptr (TernLlm) llm = tern_llm_plan (file, kernels, error);
  TernSoloParams params = { .context = options->context, .kv = options->kv };
  guint threads = count_threads (options->threads);
  const TernLlmInfo *info;
  guint64 sum, mapped, owned, state, workers, logits, unused;
  TernLlmRepack repack;
  Draft draft = { 0 };
  gsize vocabulary;

  if (!llm || !tern_tokenizer_check (file, &vocabulary, error))
    return FALSE;
  info = tern_llm_info (llm);
  plan->activations = info->policy;
  if (params.context > info->context) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--context: expected at most the %u tokens that %s was made "
        "for, found %u", info->context, tern_gguf_path (file), params.context);
    return FALSE;
  }
  if (!params.context)
    params.context = info->context;
  if (!tern_store_check (llm, &(TernStoreParams) { .context = params.context, .kv = params.kv }, error))
    return FALSE;
  params.kv = tern_store_kv_type (llm, &(TernStoreParams) { .context = params.context, .kv = params.kv });
  plan->with = (TernMemoryOptions) { .context = params.context, .kv = params.kv, .threads = threads, .memory = options->memory,
    .memory_tokens = options->memory_tokens };
  if (options->reuse != TERN_REUSE_OFF) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--reuse: expected a vision encoder, found the language model %s",
        tern_gguf_path (file));
    return FALSE;
  }
  if (!check_stream (llm, params.context, &plan->with, error))
    return FALSE;

  repack = tern_llm_repack (llm);
  owned = tern_llm_owned_bytes (llm);
  unused = tern_llm_unused_bytes (llm);
  mapped = tensor_bytes (file) - repack.source - unused;
  state = tern_solo_bytes (llm, &params);
  logits = info->n_vocab * sizeof (float);
  sum = add_process (plan, file, before, owned - repack.packed, vocabulary);
  add (plan, "mapped", mapped, "weights that run from the file; shared by all processes");
  if (info->n_unused)
    add (plan, "unused", unused, "of the file, never read: %u layer%s of a head that guesses further tokens", info->n_unused,
        info->n_unused == 1 ? "" : "s");
  add (plan, "owned", owned, "weights repacked or converted at load; once per process");
  add (plan, "repacking", repack.largest, "of the file, while its largest repacked matrix is read; not in the total");
  add (plan, "state", state, "caches and work space of one timeline of %u tokens, keys and values in %s",
      params.context, tern_kv_name (params.kv));
  add (plan, "recurrent", tern_llm_state_bytes (llm), "of these for recurrent states, however long the text is");
  add (plan, "guesses", (guint64) TERN_GUESS_MAX * tern_llm_state_bytes (llm), "more for recurrent states in a session that "
      "guesses ahead, once it does: between %d rows that may be taken back; not in the total", TERN_GUESS_MAX + 1);
  add (plan, "token", page_bytes (llm, params.context, params.kv) / TERN_PAGE_ROWS, "of these for every token of context");
  if (plan->with.memory == TERN_MEMORY_STREAM)
    add_stream (plan, llm, params.context, plan->with.memory_tokens);
  if (options->draft_model && !add_draft (plan, &draft, options->draft_model, kernels, params.context, error))
    return FALSE;
  workers = threads * (MAX ((guint64) tern_solo_scratch_bytes (llm, &params), draft.worker) + STACK_BYTES);
  add (plan, "workers", workers, "scratch and stack of %u thread%s", threads, threads == 1 ? "" : "s");
  add (plan, "logits", logits, "scores of the whole vocabulary for one token");
  sum += owned + MAX (mapped + state + workers + logits, repack.largest) + draft.sum;
  add (plan, "total", sum, "resident at most, once %u tokens were read by this program", params.context);
  return TRUE;
}

static gboolean
check_no_text (const TernMemoryOptions *options, const char *what, const TernGguf *file, GError **error)
{
  if (!options->context && !options->kv && options->memory == TERN_MEMORY_WINDOW && !options->memory_tokens
      && !options->draft_model)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--context, --kv, --memory and --draft-model: expected a language model, "
      "found the %s %s", what, tern_gguf_path (file));
  return FALSE;
}

/* What tern/reuse.c takes of a stream. */
static gboolean
plan_reuse (const TernVision *vision, TernReuseMode mode, guint64 *bytes, GError **error)
{
  *bytes = 0;
  if (mode == TERN_REUSE_OFF || (mode == TERN_REUSE_AUTO && !tern_reuse_fits (vision)))
    return TRUE;
  *bytes = tern_reuse_bytes (vision, tern_vision_info (vision)->max_tokens);
  return tern_reuse_check (vision, error);
}

static gboolean
plan_vision (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, const TernMemoryOptions *options,
    const TernMemoryUse *before, GError **error)
{
  g_autoptr (TernVision) vision = tern_vision_open (file, kernels, error);
  const TernVisionOptions stills = { .tile = TRUE };
  guint64 sum, mapped, owned, state;
  g_autofree char *id = NULL, *forms = NULL;
  guint64 reuse = 0;
  guint tokens, small;

  if (!vision || !tern_vision_sub_tokens (vision, &stills, &tokens, error) || !tern_vision_pack (vision, NULL, error))
    return FALSE;
  if (!check_no_text (options, "vision encoder", file, error) || !plan_reuse (vision, options->reuse, &reuse, error))
    return FALSE;
  mapped = tensor_bytes (file) - tern_vision_repacked_bytes (vision);
  owned = tern_vision_owned_bytes (vision);
  state = tern_vision_state_bytes (vision, tokens);
  /* The table of projectors outlives the encoder. */
  plan->projector = tern_vision_info (vision)->projector;
  plan->min_tokens = tern_vision_info (vision)->min_tokens;
  plan->max_tokens = tern_vision_info (vision)->max_tokens;
  plan->max_pieces = tern_vision_info (vision)->max_pieces;
  plan->deepstack = tern_vision_info (vision)->deepstack;
  id = tern_encoder_id (file);
  g_strlcpy (plan->encoder_id, id, sizeof plan->encoder_id);
  sum = add_process (plan, file, before, owned, 0);
  add (plan, "mapped", mapped, "weights that run from the file; shared by all processes");
  forms = tern_vision_packed_text (vision);
  add (plan, "owned", owned, "weights at load, once per process: %s", forms);
  add (plan, "state", state, "work space for pictures of up to %u visual tokens each", tokens);
  if (reuse)
    add (plan, "reuse", reuse, "features of a stream that are kept from picture to picture; once a stream");
  add (plan, "total", sum + mapped + owned + state + reuse, "resident at most, in a program that holds nothing else");
  if ((small = tern_vision_small_tokens (vision)) > 0)
    add (plan, "lane", tern_vision_alone_bytes (vision, small), "more for each of several threads, once small pictures of "
        "several streams wait");
  return TRUE;
}

static gboolean
plan_action (TernMemoryPlan *plan, TernGguf *file, const TernMemoryOptions *options, const TernMemoryUse *before,
    GError **error)
{
  g_autoptr (TernActionHead) head = tern_action_head_open (tern_gguf_path (file), error);
  guint64 sum, owned = 0, state;

  if (!head)
    return FALSE;
  if (!check_no_text (options, "action model", file, error))
    return FALSE;
  if (options->reuse != TERN_REUSE_OFF) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--reuse: expected a vision encoder, found the action model %s",
        tern_gguf_path (file));
    return FALSE;
  }
  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++)
    owned += tern_tensor_values (tern_gguf_tensor_at (file, i)) * sizeof (float);
  state = tern_action_run_bytes (head);
  sum = add_process (plan, file, before, owned, 0);
  add (plan, "owned", owned, "weights as float32");
  add (plan, "state", state, "work space of a session");
  add (plan, "total", sum + owned + state, "resident at most, in a program that holds nothing else");
  return TRUE;
}

static gboolean
is (TernBytes text, const char *name)
{
  return text.len == strlen (name) && memcmp (text.data, name, text.len) == 0;
}

gboolean
tern_memory_plan (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels, const TernMemoryOptions *options,
    const TernMemoryUse *before, GError **error)
{
  TernBytes architecture;

  memset (plan, 0, sizeof *plan);
  if (!tern_gguf_string (file, "general.architecture", &architecture, error))
    return FALSE;
  if (is (architecture, "clip"))
    return plan_vision (plan, file, kernels, options, before, error);
  if (is (architecture, "tern-action"))
    return plan_action (plan, file, options, before, error);
  return plan_llm (plan, file, kernels, options, before, error);
}
