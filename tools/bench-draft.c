/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Saying tokens with a draft, beside saying them without: the same tokens, or it fails. */
#include <string.h>

#include "engine/decode/generator.h"
#include "engine/llm/cost.h"
#include "tern/error.h"
#include "tools/bench.h"

typedef struct {
  TernFigure parent;
  const TernBenchPlan *plan;
  TernLlm *llm;
  TernDraftModel *model;
  TernSolo *solo;
  TernGenerator *generator;
  TernPicking *picking;
  float *logits;                /* [n_vocab] */
  GArray *ids;                  /* gint32: the prompt */
  GArray *said;                 /* gint32: what was said by this figure, or by that without a draft */
  TernFigure *without;          /* what it has to say; NULL: this is it */
  guint64 runs, read, right;
} DraftFigure;

static void
draft_figure_clear (TernFigure *figure)
{
  DraftFigure *self = (DraftFigure *) figure;

  tern_generator_free (self->generator);
  tern_picking_free (self->picking);
  tern_solo_free (self->solo);
  tern_draft_model_unref (self->model);
  tern_llm_unref (self->llm);
  g_array_unref (self->ids);
  g_array_unref (self->said);
  g_free (self->logits);
}

static gboolean
check_said (const DraftFigure *self, GError **error)
{
  const GArray *expected = self->without ? ((DraftFigure *) self->without)->said : self->said;

  if (self->said->len == expected->len
      && memcmp (self->said->data, expected->data, expected->len * sizeof (gint32)) == 0)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected the same %u tokens with a draft as without, found others",
      self->plan->source, expected->len);
  return FALSE;
}

static gboolean
run_draft (TernFigure *figure, GError **error)
{
  DraftFigure *self = (DraftFigure *) figure;
  TernSampling sampling = TERN_SAMPLING_INIT;
  guint64 read, right;
  TernSaid said;
  gint64 start;

  sampling.max_tokens = self->plan->decode;
  sampling.ignore_eog = TRUE;
  /* Another prompt each time, as the answer before guesses too; the same for both figures. */
  g_array_index (self->ids, gint32, self->ids->len - 1) = (gint32) ((2003 + 101 * self->runs)
      % tern_llm_info (self->llm)->n_vocab);
  tern_solo_reset (self->solo);
  if (!tern_solo_eval (self->solo, &(TernLlmInput) { .ids = (const gint32 *) self->ids->data, .n = self->ids->len },
          TERN_LOGITS_LAST, self->logits, NULL, error))
    return FALSE;
  tern_generator_drafts (self->generator, &read, &right);
  tern_generator_look (self->generator, (const gint32 *) self->ids->data, self->ids->len);
  start = g_get_monotonic_time ();
  if (!tern_generator_run (self->generator, self->solo, self->logits, &sampling, NULL, NULL, NULL, self->picking, NULL, error))
    return FALSE;
  figure->seconds = MAX (g_get_monotonic_time () - start, 1) / 1e6;
  said = tern_generator_said (self->generator);
  g_array_set_size (self->said, 0);
  g_array_append_vals (self->said, said.ids, said.n);
  self->read -= read;
  self->right -= right;
  tern_generator_drafts (self->generator, &read, &right);
  self->read += read;
  self->right += right;
  self->runs++;
  figure->guesses = (double) self->read / self->runs;
  figure->guesses_right = (double) self->right / self->runs;
  g_free (figure->what);
  figure->what = !self->model ? g_strdup_printf ("%u tokens by the same program without", self->plan->decode)
      : !self->read ? g_strdup_printf ("%u tokens, a draft of %s", self->plan->decode,
      tern_draft_scheme_name (tern_draft_model_scheme (self->model)))
      : g_strdup_printf ("%u tokens, a draft of %s; %.2f of %.1f guesses right", self->plan->decode,
      tern_draft_scheme_name (tern_draft_model_scheme (self->model)), (double) self->right / self->read, figure->guesses);
  return check_said (self, error);
}

static DraftFigure *
add_figure (GPtrArray *figures, const TernBenchPlan *plan, TernLlm *llm, const TernTokenizer *tokenizer, const char *name,
    guint guesses, GError **error)
{
  DraftFigure *self = g_new0 (DraftFigure, 1);
  guint n_vocab = tern_llm_info (llm)->n_vocab, prompt = MAX (plan->prefill, 1);
  TernSoloParams params = { .context = prompt + plan->decode, .kv = plan->kv, .guesses = guesses };
  TernGeneratorLimits limits = { .max_tokens = plan->decode, .max_beam = 1 };
  TernLlmWork work = { .timelines = 1, .rows = 1, .depth = prompt, .heads = 1, .kv = TERN_KV_F32 };
  TernCost *cost = &self->parent.cost;

  self->parent = (TernFigure) { .name = name, .unit = "tokens/s", .run = run_draft, .clear = draft_figure_clear,
    .amount = plan->decode, .tokens = plan->decode };
  g_ptr_array_add (figures, self);
  self->plan = plan;
  self->llm = tern_llm_ref (llm);
  self->logits = g_new (float, n_vocab);
  self->ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  self->said = g_array_new (FALSE, FALSE, sizeof (gint32));
  for (guint i = 0; i < prompt; i++) {
    gint32 id = (gint32) ((i * 7919u + 1013) % n_vocab);

    g_array_append_val (self->ids, id);
  }
  /* What saying them one by one cannot do without: with a draft more than the floor may be reached. */
  tern_llm_cost (llm, &work, cost);
  *cost = (TernCost) { plan->decode * cost->bytes, plan->decode * cost->i8, plan->decode * cost->f32,
    plan->decode * cost->bf16 };
  return (self->solo = tern_solo_new (llm, &params, plan->pool, error))
      && (self->generator = tern_generator_new (llm, tokenizer, &limits, tern_solo_store (self->solo), error))
      && (self->picking = tern_picking_new (n_vocab, error)) ? self : NULL;
}

gboolean
tern_draft_figures_add (GPtrArray *figures, const TernBenchPlan *plan, TernLlm *llm, TernDraftModel *model,
    const TernTokenizer *tokenizer, GError **error)
{
  DraftFigure *without, *with;
  TernDraft *draft;

  if (!(without = add_figure (figures, plan, llm, tokenizer, "decode_plain", TERN_GUESS_MAX, error))
      || !(with = add_figure (figures, plan, llm, tokenizer, "decode_draft", TERN_GUESS_MAX, error))
      || !(draft = tern_draft_new (model, &(TernDraftParams) { .context = 2 * (plan->prefill + plan->decode) }, plan->pool,
              error)))
    return FALSE;
  tern_generator_set_draft (with->generator, draft);
  with->model = tern_draft_model_ref (model);
  with->without = &without->parent;
  with->parent.single = &without->parent;
  with->parent.drafts = TRUE;
  return TRUE;
}
