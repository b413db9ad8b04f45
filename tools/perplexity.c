/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern perplexity: how well a model foretells a text, counted as llama.cpp counts it so that figures compare. */
#include "tools/tool.h"

#include <math.h>
#include <stdio.h>

#include "tern/error.h"
#include "engine/base/mem.h"
#include "engine/base/readfile.h"
#include "engine/decode/sampler.h"
#include "tools/text-model.h"

#define ROWS 32                 /* of logits at once */

typedef struct {
  TernTextModel model;
  const char *path;
  guint context;
  GArray *ids;                  /* gint32 */
  float *logits;                /* [ROWS, n_vocab] */
  double total;                 /* -log p of the tokens scored */
  guint64 scored;
} Work;

static void
work_clear (Work *work)
{
  tern_mem_free (work->logits);
  tern_text_model_clear (&work->model);
  g_clear_pointer (&work->ids, g_array_unref);
}

static gboolean
read_text (Work *work, GError **error)
{
  const TernTokenizer *tokenizer = work->model.tokenizer;
  g_autofree char *text = NULL;
  gsize len;

  if (!(text = tern_file_read (work->path, TERN_TOOL_MAX_TEXT, &len, error)))
    return FALSE;
  work->ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  if (tern_tokenizer_add_bos (tokenizer)) {
    gint32 bos = tern_tokenizer_bos (tokenizer);

    g_array_append_val (work->ids, bos);
  }
  tern_tokenizer_encode (tokenizer, text, len, FALSE, work->ids);
  if (work->ids->len >= work->context)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a text of at least %u tokens (--context), found %u",
      work->path, work->context, work->ids->len);
  return FALSE;
}

static gboolean
start (Work *work, GError **error)
{
  guint n_vocab = tern_llm_info (work->model.llm)->n_vocab;

  return tern_text_model_start (&work->model, "--context", work->context, 0, error)
      && (work->logits = tern_mem_alloc ((gsize) ROWS * n_vocab * sizeof (float), "logits", error));
}

/* One chunk from an empty state, its first token replaced by BOS where the model wants one; what the second half of its
 * positions say of the token after them is scored. */
static gboolean
score_chunk (Work *work, gint32 *ids, GError **error)
{
  TernSolo *state = work->model.state;
  gsize n_vocab = tern_llm_info (work->model.llm)->n_vocab;
  guint n_ids = MIN (tern_tokenizer_size (work->model.tokenizer), n_vocab), n;

  tern_solo_reset (state);
  if (tern_tokenizer_add_bos (work->model.tokenizer))
    ids[0] = tern_tokenizer_bos (work->model.tokenizer);
  if (!tern_solo_eval (state, &(TernLlmInput) { .ids = ids, .n = work->context / 2 }, TERN_LOGITS_NONE, NULL, NULL,
          error))
    return FALSE;
  for (guint i = work->context / 2; i + 1 < work->context; i += n) {
    n = MIN (ROWS, work->context - 1 - i);
    if (!tern_solo_eval (state, &(TernLlmInput) { .ids = ids + i, .n = n }, TERN_LOGITS_ALL, work->logits, NULL, error))
      return FALSE;
    for (guint row = 0; row < n; row++) {
      const float *logits = work->logits + row * n_vocab;

      work->total += tern_log_sum_exp (logits, n_ids) - logits[ids[i + row + 1]];
    }
    work->scored += n;
  }
  return TRUE;
}

static gboolean
run (Work *work, const TernTextOptions *options, GError **error)
{
  guint chunks;

  if (!tern_text_model_open (&work->model, options, error) || !read_text (work, error) || !start (work, error))
    return FALSE;
  chunks = work->ids->len / work->context;
  for (guint i = 0; i < chunks; i++)
    if (!score_chunk (work, &g_array_index (work->ids, gint32, (gsize) i * work->context), error))
      return FALSE;
  if (!isfinite (work->total)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected weights of which a model makes finite logits, found others: the "
        "file is damaged, or not of such a model", options->model);
    return FALSE;
  }
  printf ("perplexity %.4f: %u tokens, %" G_GUINT64_FORMAT " scored in %u chunks of %u\n",
      exp (work->total / work->scored), work->ids->len, work->scored, chunks, work->context);
  return TRUE;
}

int
tern_tool_perplexity (int argc, char **argv)
{
  TernTextOptions o = { 0 };
  gint context = 512;
  const GOptionEntry entries[] = {
    TERN_TEXT_OPTION_ENTRIES (&o),
    { "context", 0, 0, G_OPTION_ARG_INT, &context, "Tokens of a chunk, the second half of which is scored (512)", "N" },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  g_autoptr (GError) error = NULL;
  Work work = { 0 };
  int status;

  if (!tern_tool_options (argc, argv, "FILE", 1, 1, "Prints a model's perplexity on a text.", entries, &rest))
    status = TERN_TOOL_USAGE;
  else if ((status = tern_text_options_check (&o, "perplexity")) == TERN_TOOL_DONE && context < 4)
    status = tern_tool_usage ("--context: expected 4 or more, found %d", context);
  if (status == TERN_TOOL_DONE) {
    work.path = rest[0];
    work.context = context;
    if (!run (&work, &o, &error))
      status = tern_tool_fail (&error);
    if (!tern_tool_flush ())
      status = TERN_TOOL_FAILED;
  }
  work_clear (&work);
  tern_text_options_clear (&o);
  return status;
}
