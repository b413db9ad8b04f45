/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/generator.h"

#include <math.h>

#include "engine/base/mem.h"
#include "engine/decode/generator-priv.h"
#include "engine/decode/labels-priv.h"
#include "tern/error.h"

/* ---- Parameters -------------------------------------------------------------------------------------------------- */

static gboolean
check (gboolean ok, const char *name, const char *range, double found, GError **error)
{
  if (!ok)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected %s, found %g", name, range, found);
  return ok;
}

static gboolean
check_range (double found, double min, double max, const char *name, GError **error)
{
  if (found >= min && found <= max)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected %.7g to %.7g, found %g", name, min, max, found);
  return FALSE;
}

gboolean
tern_sampling_check (const TernSampling *s, GError **error)
{
  return check_range (s->max_tokens, TERN_MAX_TOKENS_MIN, TERN_MAX_TOKENS_MAX, "max-tokens", error)
      && check_range (s->beam, TERN_BEAM_MIN, TERN_BEAM_MAX, "beam", error)
      && check (isfinite (s->length_penalty), "length-penalty", "a finite number", s->length_penalty, error)
      && check_range (s->temperature, 0, TERN_TEMPERATURE_MAX, "temperature", error)
      && check (s->beam <= 1 || s->temperature == 0, "temperature", "0 with more than one beam", s->temperature, error)
      && check_range (s->top_k, 0, TERN_TOP_K_MAX, "top-k", error)
      && check_range (s->top_p, TERN_TOP_P_MIN, TERN_TOP_P_MAX, "top-p", error)
      && check_range (s->min_p, 0, TERN_MIN_P_MAX, "min-p", error)
      && check_range (s->repetition_penalty, TERN_REPETITION_PENALTY_MIN, TERN_REPETITION_PENALTY_MAX,
      "repetition-penalty", error);
}

/* ---- Picking ----------------------------------------------------------------------------------------------------- */

static void
carve (TernPicking *picking, TernArena *arena, guint n_vocab)
{
  picking->candidates = tern_plan_take (arena, n_vocab, sizeof *picking->candidates, 1);
  picking->row = tern_plan_take (arena, n_vocab, sizeof *picking->row, 1);
}

static gsize
picking_bytes (guint n_vocab)
{
  TernPicking picking;
  TernArena arena = { 0 };

  carve (&picking, &arena, n_vocab);
  return arena.used;
}

TernPicking *
tern_picking_new (guint n_vocab, GError **error)
{
  TernArena arena = { .base = tern_mem_alloc (picking_bytes (n_vocab), "candidates of the sampler", error) };
  TernPicking *picking;

  if (!arena.base)
    return NULL;
  picking = g_new (TernPicking, 1);
  carve (picking, &arena, n_vocab);
  return picking;
}

void
tern_picking_free (TernPicking *picking)
{
  if (!picking)
    return;
  tern_mem_free (picking->candidates);
  g_free (picking);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

guint
tern_generator_forks (const TernGeneratorLimits *limits)
{
  return MAX (MAX (limits->max_beam, 1) - 1, limits->max_forks);
}

/* What is read after the prompt begins anywhere in a page, which a fork has to itself. */
static guint
fork_pages (guint tokens)
{
  return (tokens + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS + 1;
}

static guint
max_label (const TernGeneratorLimits *limits)
{
  return limits->max_label ? limits->max_label : TERN_PAGE_ROWS;
}

guint
tern_generator_pages (const TernGeneratorLimits *limits)
{
  guint beams = (MAX (limits->max_beam, 1) - 1) * fork_pages (limits->max_tokens);

  return MAX (beams, limits->max_forks * fork_pages (max_label (limits)));
}

static gboolean
make_forks (TernGenerator *self, TernStore *store, GError **error)
{
  guint n = tern_generator_forks (&self->limits);

  self->wants = g_new0 (TernWanted, MAX (n, TERN_GUESS_MAX) + 1);
  self->matchers = g_new0 (TernMatcher *, self->limits.max_beam);
  self->timelines = g_new0 (TernTimeline *, n);
  for (guint i = 0; i < n; i++)
    if (!(self->timelines[i] = tern_timeline_new (store, error)))
      return FALSE;
  self->closed.paths = g_new0 (TernPath, self->limits.max_forks);
  return self->limits.max_beam == 1 || tern_search_init (self, error);
}

TernGenerator *
tern_generator_new (TernLlm *llm, const TernTokenizer *tokenizer, const TernGeneratorLimits *limits, TernStore *store,
    GError **error)
{
  g_autoptr (TernGenerator) self = g_new0 (TernGenerator, 1);

  self->llm = tern_llm_ref (llm);
  self->tokenizer = tokenizer ? tern_tokenizer_ref ((TernTokenizer *) tokenizer) : NULL;
  self->n_vocab = tern_llm_info (llm)->n_vocab;
  /* Embeddings may have more rows than there are tokens: such an id has no text. */
  self->n_ids = tokenizer ? MIN (tern_tokenizer_size (tokenizer), self->n_vocab) : self->n_vocab;
  self->context = tern_store_context (store);
  self->limits = *limits;
  tern_guide_init (&self->guide);
  tern_thought_init (&self->thought, tokenizer);
  if (!check_range (limits->max_beam, TERN_BEAM_MIN, TERN_BEAM_MAX, "beam", error)
      || !check_range (limits->max_forks, 0, TERN_LABEL_FORKS_MAX, "forks of labels", error)
      || !check_range (limits->max_tokens, TERN_MAX_TOKENS_MIN, TERN_MAX_TOKENS_MAX, "max-tokens", error)
      || !(self->ids = tern_mem_alloc (limits->max_tokens * sizeof *self->ids, "tokens said", error))
      || !(self->guide.ids = tern_mem_alloc (limits->max_tokens * sizeof *self->ids, "tokens said before", error))
      || !(self->probabilities = tern_mem_alloc (limits->max_tokens * sizeof *self->probabilities,
              "probabilities of the tokens said", error))
      || !make_forks (self, store, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
tern_generator_free (TernGenerator *self)
{
  if (!self)
    return;
  tern_search_clear (self);
  for (guint i = 0; self->timelines && i < tern_generator_forks (&self->limits); i++)
    tern_timeline_free (self->timelines[i]);
  g_free (self->timelines);
  for (guint i = 0; self->matchers && i < self->limits.max_beam; i++)
    tern_matcher_free (self->matchers[i]);
  g_free (self->matchers);
  tern_constraint_unref (self->constraint);
  g_free (self->closed.paths);
  tern_labels_unref (self->labels);
  g_free (self->wants);
  tern_draft_free (self->draft);
  tern_mem_free (self->ids);
  tern_mem_free (self->guide.ids);
  tern_mem_free (self->probabilities);
  if (self->tokenizer)
    tern_tokenizer_unref (self->tokenizer);
  tern_llm_unref (self->llm);
  g_free (self);
}

/* ---- For the strategies ------------------------------------------------------------------------------------------ */

gboolean
tern_generator_is_end (const TernGenerator *self, gint32 id)
{
  return self->tokenizer && tern_tokenizer_is_eog (self->tokenizer, id);
}

void
tern_generator_say (TernGenerator *self, gint32 id, float probability)
{
  self->ids[self->said.n] = id;
  self->probabilities[self->said.n++] = probability;
  tern_guide_hear (&self->guide, self->ids, self->said.n);
  if (self->drafts)
    tern_draft_hear (self->draft);
  tern_thought_hear (&self->thought, self->tokenizer, id, self->said.n);
}

void
tern_generator_finish (TernGenerator *self, TernFinish finish)
{
  self->n_wants = self->n_guesses = 0;
  self->finished = TRUE;
  self->said.finish = finish;
  tern_timeline_set_policy (self->timeline, self->policy);
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

/* What was said is what the next answer may say again. */
static void
hand_on (TernGenerator *self)
{
  gint32 *ids = self->guide.ids;

  if (self->said.n > 0) {
    self->guide.ids = self->ids;
    self->guide.n = self->said.n;
    self->ids = ids;
  }
  tern_guide_begin (&self->guide);
}

/* Nothing is under way. */
static void
forget (TernGenerator *self)
{
  hand_on (self);
  self->strategy = NULL;
  self->n_wants = self->n_guesses = 0;
  self->finished = FALSE;
  self->probability = 0;
  self->said = (TernSaid) { .ids = self->ids, .finish = TERN_FINISH_LENGTH };
  g_clear_pointer (&self->labels, tern_labels_unref);
  g_clear_pointer (&self->constraint, tern_constraint_unref);
  for (guint i = 0; i < tern_generator_forks (&self->limits); i++)
    tern_timeline_reset (self->timelines[i]);   /* of one that was given up on */
}

static void
begin (TernGenerator *self, TernTimeline *timeline, const TernStrategy *strategy)
{
  self->timeline = timeline;
  self->policy = tern_timeline_policy (timeline);
  self->strategy = strategy;
  self->drafts = self->draft && self->looked && strategy == &tern_strategy_single;
  self->looked = FALSE;
  strategy->begin (self);
}

static gboolean
check_sampling (const TernGenerator *self, const TernSampling *sampling, GError **error)
{
  if (!tern_sampling_check (sampling, error))
    return FALSE;
  if (sampling->beam > self->limits.max_beam)
    return check (FALSE, "beam", "at most what the generator was made for", sampling->beam, error);
  if (sampling->max_tokens > self->limits.max_tokens)
    return check (FALSE, "max-tokens", "at most what the generator was made for", sampling->max_tokens, error);
  return TRUE;
}

/* Whether its shortest sentence fits. */
static gboolean
check_constraint (const TernConstraint *constraint, guint max_tokens, guint room, GError **error)
{
  guint shortest = tern_constraint_shortest (constraint);

  if (shortest <= room)
    return TRUE;
  if (shortest > max_tokens)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max-tokens: expected %u or more, which the shortest answer of this "
        "form takes, found %u", shortest, max_tokens);
  else
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "context: expected room for %u tokens, which the shortest answer of "
        "this form takes, found room for %u", shortest, room);
  return FALSE;
}

static void
begin_constraint (TernGenerator *self, TernConstraint *constraint, guint n_matchers)
{
  self->constraint = tern_constraint_ref (constraint);
  for (guint i = 0; i < n_matchers; i++) {
    if (!self->matchers[i])
      self->matchers[i] = tern_matcher_new ();
    tern_matcher_begin (self->matchers[i], constraint);
  }
}

void
tern_generator_set_draft (TernGenerator *self, TernDraft *draft)
{
  tern_draft_free (self->draft);
  self->draft = draft;
  self->looked = self->drafts = FALSE;
}

TernDraft *
tern_generator_steal_draft (TernGenerator *self)
{
  self->looked = self->drafts = FALSE;
  return g_steal_pointer (&self->draft);
}

void
tern_generator_show_draft (TernGenerator *self, const gint32 *ids, guint n)
{
  if (self->draft)
    tern_draft_begin (self->draft, ids, n);
  self->looked = TRUE;
}

void
tern_generator_look (TernGenerator *self, const gint32 *ids, guint n)
{
  tern_thought_look (&self->thought, ids, n);
  tern_generator_show_draft (self, ids, n);
}

void
tern_generator_set_bias (TernGenerator *self, const float *bias)
{
  self->bias = bias;
}

gboolean
tern_generator_begin (TernGenerator *self, TernTimeline *timeline, const TernSampling *sampling,
    TernConstraint *constraint, GError **error)
{
  guint room = tern_timeline_context (timeline) - tern_timeline_pos (timeline) + 1;

  forget (self);
  if (!check_sampling (self, sampling, error))
    return FALSE;
  self->room = MIN (sampling->max_tokens, room);
  if (constraint && !check_constraint (constraint, sampling->max_tokens, self->room, error))
    return FALSE;
  if (constraint)
    begin_constraint (self, constraint, sampling->beam);
  self->sampling = *sampling;
  tern_thought_begin (&self->thought, constraint != NULL);
  begin (self, timeline, sampling->beam > 1 ? &tern_strategy_beam : &tern_strategy_single);
  return TRUE;
}

gboolean
tern_generator_begin_labels (TernGenerator *self, TernTimeline *timeline, TernLabels *labels, GError **error)
{
  guint inner = labels->longest - 1;    /* the last token is not read */

  forget (self);
  if ((guint) labels->last_id >= self->n_ids)
    return check (FALSE, "labels", "tokens of the model", labels->last_id, error);
  if (labels->n_tips > 0 && self->limits.max_forks == 0)
    return check (FALSE, "labels", "single tokens, which the generator was made for", labels->longest, error);
  if (inner > max_label (&self->limits))
    return check (FALSE, "labels", "at most the tokens that the generator was made for", labels->longest, error);
  if (inner > tern_timeline_context (timeline) - tern_timeline_pos (timeline)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context: expected at most %u tokens, found %u and %u more of a "
        "label", tern_timeline_context (timeline), tern_timeline_pos (timeline), inner);
    return FALSE;
  }
  self->labels = tern_labels_ref (labels);
  tern_thought_begin (&self->thought, TRUE);
  begin (self, timeline, &tern_strategy_closed);
  return TRUE;
}

/* The answer before says what comes next, or where it says nothing the draft does, which takes time. */
static guint
find_guesses (TernGenerator *self, guint most, const gint32 **ids)
{
  guint n = tern_guide_guess (&self->guide, most, ids);

  self->by_draft = n == 0 && self->drafts;
  return self->by_draft ? tern_draft_guess (self->draft, self->ids, self->said.n, most, ids) : n;
}

guint
tern_generator_guess (TernGenerator *self, guint most)
{
  const TernKeyPolicy *policy = self->policy;
  guint room = self->room - self->said.n;       /* tokens to say: the last one is not read */
  const gint32 *ids;

  if (self->strategy != &tern_strategy_single || self->n_wants == 0 || room <= 1)
    return 0;
  most = MIN (MIN (most, TERN_GUESS_MAX), MIN (room - 1, tern_timeline_free_guesses (self->timeline)));
  most = policy ? MIN (most, MAX (policy->rows, 1) - 1) : most;
  self->n_guesses = find_guesses (self, most, &ids);
  self->before = tern_timeline_pos (self->timeline);
  for (guint i = 0; i < self->n_guesses; i++)
    self->wants[1 + i] = (TernWanted) { self->timeline, ids[i] };
  self->n_wants = 1 + self->n_guesses;
  return self->n_guesses;
}

void
tern_generator_learn (TernGenerator *self, guint n, guint right)
{
  self->guessed += n;
  self->right += right;
  if (self->by_draft) {
    tern_draft_learn (self->draft, n, right);
    self->drafted += n;
    self->drafted_right += right;
  } else {
    tern_guide_learn (&self->guide, n, right);
  }
}

static void
tell_counts (guint64 read, guint64 right, guint64 *to_read, guint64 *to_right)
{
  if (to_read)
    *to_read = read;
  if (to_right)
    *to_right = right;
}

void
tern_generator_guesses (const TernGenerator *self, guint64 *read, guint64 *right)
{
  tell_counts (self->guessed, self->right, read, right);
}

void
tern_generator_drafts (const TernGenerator *self, guint64 *read, guint64 *right)
{
  tell_counts (self->drafted, self->drafted_right, read, right);
}

guint
tern_generator_wants (const TernGenerator *self, const TernWanted **rows)
{
  *rows = self->wants;
  return self->n_wants;
}

guint
tern_generator_paths (const TernGenerator *self, const TernPath **paths)
{
  *paths = self->closed.paths + self->closed.at;
  return self->finished || !self->labels ? 0 : self->closed.n_paths - self->closed.at;
}

void
tern_generator_take_paths (TernGenerator *self, const float *logits, guint n, TernPicking *picking)
{
  for (guint i = 0; i < n && !self->finished; i++)
    tern_closed_take_row (self, logits + i * self->n_vocab, picking);
}

gboolean
tern_generator_has_begun (const TernGenerator *self)
{
  return self->said.n > 0 || (self->strategy == &tern_strategy_beam && self->search.length > 0);
}

static void
add_bias (const TernGenerator *self, float *logits, guint rows)
{
  for (guint r = 0; r < rows; r++, logits += self->n_vocab)
    for (guint i = 0; i < self->n_ids; i++)
      logits[i] += self->bias[i];
}

void
tern_generator_take (TernGenerator *self, float *logits, TernPicking *picking)
{
  g_return_if_fail (self->strategy && !self->finished);

  if (self->bias && self->strategy == &tern_strategy_single && !self->constraint)
    add_bias (self, logits, 1 + self->n_guesses);
  self->n_wants = 0;
  self->strategy->take (self, logits, picking);
}

void
tern_generator_cancel (TernGenerator *self)
{
  if (!self->strategy || self->finished)
    return;
  self->strategy->cancel (self);
  tern_generator_finish (self, TERN_FINISH_CANCELLED);
}

gboolean
tern_generator_is_finished (const TernGenerator *self)
{
  return self->finished;
}

gboolean
tern_generator_check (const TernGenerator *self, GError **error)
{
  if (self->finished && self->said.finish == TERN_FINISH_NO_NUMBERS) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected weights of which a model makes finite logits, found others after "
        "%u tokens: the file is damaged, or not of such a model", tern_gguf_path (tern_llm_file (self->llm)), self->said.n);
    return FALSE;
  }
  if (!self->finished || self->said.finish != TERN_FINISH_FAILED)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "the answer's form: expected one that can be followed in bounded memory, "
      "found one that cannot after %u tokens", self->said.n);
  return FALSE;
}

TernSaid
tern_generator_said (const TernGenerator *self)
{
  TernSaid said = self->said;
  guint thought = self->thought.n;
  double probability = thought ? 0 : self->probability;

  for (guint i = thought; thought && i < self->said.n; i++)
    probability += self->probabilities[i];
  said.ids += thought;
  said.n -= thought;
  said.thought = thought;
  said.mean_probability = said.n ? probability / said.n : -1;
  return said;
}

const double *
tern_generator_label_logprobs (const TernGenerator *self)
{
  return self->labels && self->finished && self->said.finish == TERN_FINISH_STOP ? self->closed.logprobs : NULL;
}

#define PATH_ROWS 64            /* of labels in a pass */

/* ---- Alone ------------------------------------------------------------------------------------------------------- */

/* One pass with what is wanted, or more where the pass is small. */
static gboolean
read_wanted (const TernGenerator *self, TernPass *pass, const TernWanted *wants, guint n, float *logits,
    TernCancel *cancel, GError **error)
{
  guint rows = tern_pass_rows (pass);

  for (; n > rows; n -= rows, wants += rows, logits += rows * self->n_vocab)
    if (!read_wanted (self, pass, wants, rows, logits, cancel, error))
      return FALSE;
  tern_pass_begin (pass);
  for (guint i = 0, rest; i < n; i += rest) {
    TernSegment segment = { .timeline = wants[i].timeline, .decode = TRUE, .want = TERN_LOGITS_ALL,
      .logits = logits + i * self->n_vocab, .cancel = cancel };
    gsize width = tern_llm_info (self->llm)->width;
    float *row;

    segment.n = rest = tern_wanted_run (wants + i, n - i);
    row = tern_pass_add (pass, &segment, error);
    if (!row) {
      tern_pass_begin (pass);   /* the other beams have not read theirs */
      return FALSE;
    }
    for (guint t = 0; t < rest; t++)
      tern_llm_embed (self->llm, &wants[i + t].id, 1, row + t * width, width);
  }
  return tern_pass_run (pass, error);
}

/* Whom what is said is told to. */
typedef struct {
  TernTokenFunc func;
  void *data;
  guint told;
} Listener;

static void
tell (const TernGenerator *self, Listener *listener)
{
  for (guint i; listener->func && (i = self->thought.n + listener->told) < self->said.n; listener->told++)
    listener->func (listener->data, self->ids[i], self->probabilities[i]);
}

/* What was begun, to its end. @rows: of logits that are wanted at once, at most. */
static gboolean
run (TernGenerator *self, TernSolo *solo, float *logits, guint rows, Listener listener, TernPicking *picking,
    TernCancel *cancel, GError **error)
{
  g_autofree float *more = rows > 1 ? g_new (float, self->n_vocab * rows) : NULL;
  float *read = more ? more : logits;
  const TernWanted *wants;
  guint n;

  for (float *next = logits;; next = read) {
    g_autoptr (GError) failure = NULL;

    if (tern_cancel_is_raised (cancel))
      tern_generator_cancel (self);
    else
      tern_generator_take (self, next, picking);
    tell (self, &listener);
    tern_generator_guess (self, MIN (rows, tern_pass_rows (tern_solo_pass (solo))) - 1);
    n = tern_generator_wants (self, &wants);
    if (n == 0)
      return TRUE;
    if (read_wanted (self, tern_solo_pass (solo), wants, n, read, cancel, &failure))
      continue;
    tern_generator_cancel (self);
    if (!g_error_matches (failure, TERN_ERROR, TERN_ERROR_CANCELLED)) {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }
    tell (self, &listener);
    return TRUE;
  }
}

gboolean
tern_generator_run (TernGenerator *self, TernSolo *solo, float *logits, const TernSampling *sampling,
    TernConstraint *constraint, TernTokenFunc func, void *data, TernPicking *picking, TernCancel *cancel, GError **error)
{
  guint rows = sampling->beam > 1 ? sampling->beam : 1 + tern_store_free_guesses (tern_solo_store (solo));

  return tern_generator_begin (self, tern_solo_timeline (solo), sampling, constraint, error)
      && run (self, solo, logits, MIN (rows, TERN_BEAM_MAX), (Listener) { func, data, 0 }, picking, cancel, error);
}

/* One pass with the first rows of what is wanted, at most @most of them. How many; 0: @error. */
static guint
read_paths (const TernGenerator *self, TernPass *pass, guint most, float *logits, TernCancel *cancel, GError **error)
{
  gsize width = tern_llm_info (self->llm)->width;
  const TernPath *paths;
  guint n = tern_generator_paths (self, &paths), rows = 0;

  tern_pass_begin (pass);
  for (guint i = 0; i < n && rows < most; i++) {
    TernSegment segment = { .timeline = paths[i].timeline, .want = TERN_LOGITS_ALL, .logits = logits + rows * self->n_vocab,
      .cancel = cancel };
    float *row;

    segment.n = tern_pass_cut (pass, paths[i].timeline, paths[i].n, most - rows, TRUE);
    if (segment.n > most - rows)
      segment.n = 0;
    row = segment.n ? tern_pass_add (pass, &segment, error) : NULL;

    if (segment.n == 0)
      break;
    if (!row)
      return 0;
    tern_llm_embed (self->llm, paths[i].ids, segment.n, row, width);
    rows += segment.n;
    if (segment.n < paths[i].n)
      break;
  }
  return tern_pass_run (pass, error) ? rows : 0;
}

gboolean
tern_generator_run_labels (TernGenerator *self, TernSolo *solo, float *logits, TernLabels *labels, TernPicking *picking,
    TernCancel *cancel, GError **error)
{
  guint most = MIN (tern_pass_rows (tern_solo_pass (solo)), PATH_ROWS);
  g_autofree float *read = NULL;

  if (!tern_generator_begin_labels (self, tern_solo_timeline (solo), labels, error))
    return FALSE;
  if (tern_cancel_is_raised (cancel))
    tern_generator_cancel (self);
  else
    tern_generator_take (self, logits, picking);
  read = self->finished ? NULL : g_new (float, self->n_vocab * most);
  while (!self->finished) {
    g_autoptr (GError) failure = NULL;
    guint rows = read_paths (self, tern_solo_pass (solo), most, read, cancel, &failure);

    tern_generator_take_paths (self, read, rows, picking);
    if (rows > 0)
      continue;
    tern_generator_cancel (self);
    if (!g_error_matches (failure, TERN_ERROR, TERN_ERROR_CANCELLED)) {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }
  }
  return tern_generator_check (self, error);
}
