/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From logits to text, in steps: a generator says which rows it wants to be read next, and is given their logits. Greedy
 * decoding, sampling, beam search and the probabilities of labels are answers to that one question; who reads the rows, and
 * with what else in the pass, is not the generator's concern.
 *
 *   tern_generator_begin (g, timeline, &sampling, NULL, &error);        // the timeline holds the prompt
 *   tern_generator_take (g, logits, scratch);                   // [n_vocab] of its last row
 *   while ((n = tern_generator_wants (g, &rows)) > 0) {
 *     ... one pass with a decode row for each of rows[0..n), logits side by side ...
 *     tern_generator_take (g, logits, scratch);
 *   }
 *   said = tern_generator_said (g);
 *
 * One thread at a time. Nothing is allocated after new, but by the first begin with a constraint. */
#pragma once

#include <glib.h>
#include "engine/decode/draft.h"
#include "engine/decode/labels.h"
#include "engine/grammar/constraint.h"
#include "engine/llm/solo.h"
#include "engine/text/tokenizer.h"
#include "tern/sampling.h"

G_BEGIN_DECLS

/* INVALID names the parameter, its range and the value found. */
gboolean tern_sampling_check (const TernSampling *sampling, GError **error);

typedef enum {
  TERN_FINISH_STOP,             /* an end token, or the end of a constraint's sentence; labels: all are known */
  TERN_FINISH_LENGTH,           /* max_tokens or the context */
  TERN_FINISH_CANCELLED,
  TERN_FINISH_FAILED,           /* a constraint's matcher ran out of its memory: what was said is no sentence of it */
  TERN_FINISH_NO_NUMBERS,       /* the model's logits are not finite, whatever was asked: its file is damaged */
} TernFinish;

typedef struct {
  const gint32 *ids;            /* [n] end tokens are not among them, nor thoughts */
  guint n;
  guint thought;                /* tokens before @ids, at ids[-thought], that are a thought, its marks included */
  double logprob;               /* sum of log p of what was said, the end token and thoughts included */
  double mean_probability;      /* mean of p over the tokens said (end token excluded); -1 when none */
  TernFinish finish;            /* once nothing is wanted any more */
} TernSaid;

/* What picking a token needs for the moment: one for all generators of a model that work in turn. */
typedef struct _TernPicking TernPicking;

TernPicking *tern_picking_new (guint n_vocab, GError **error);
void tern_picking_free (TernPicking *picking);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernPicking, tern_picking_free)

typedef struct _TernGenerator TernGenerator;

typedef struct {
  guint max_tokens;             /* of an answer, at least 1 */
  guint max_beam;               /* TERN_BEAM_MIN: no beam search */
  guint max_forks;              /* tern_labels_forks(), at most TERN_LABEL_FORKS_MAX; with fewer, but at least 1, labels take
                                 * more passes. 0: labels of single tokens alone */
  guint max_label;              /* tern_labels_longest(); 0 = TERN_PAGE_ROWS */
} TernGeneratorLimits;

/* For answers on timelines of @store. @tokenizer (NULL: no end tokens) is kept a reference on. Beams and forks take
 * tern_generator_forks() further timelines of @store, and pages for them: tern_generator_pages(). INVALID, NO_SPACE. */
TernGenerator *tern_generator_new (TernLlm *llm, const TernTokenizer *tokenizer, const TernGeneratorLimits *limits,
    TernStore *store, GError **error);
void tern_generator_free (TernGenerator *generator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGenerator, tern_generator_free)
/* Timelines beside that with the prompt; pages that they may need beside those of that and its answer. */
guint tern_generator_forks (const TernGeneratorLimits *limits);
guint tern_generator_pages (const TernGeneratorLimits *limits);

/* A draft that guesses what is said where the answer before does not: takes it; NULL: none from now on. It is asked about answers
 * whose prompt was looked at, of one token after the other. */
void tern_generator_set_draft (TernGenerator *generator, TernDraft *draft);

/* Takes it back; NULL: there was none. */
TernDraft *tern_generator_steal_draft (TernGenerator *generator);
/* What the prompt of the next answer was, for the draft alone; negative ids are pictures. */
void tern_generator_show_draft (TernGenerator *generator, const gint32 *ids, guint n);

/* What the prompt of the next answer was, for the draft too: whether it leaves a thought open, which an answer then goes on
 * with (thought.h). Not called: it does not. What is thought is not said, but counts among max_tokens. */
void tern_generator_look (TernGenerator *generator, const gint32 *ids, guint n);

/* [n_vocab] what is added to the logits of answers that are said token by token, in no form: borrowed, in force until it is set
 * again. NULL: nothing. Beams and labels are ranked by the model alone. */
void tern_generator_set_bias (TernGenerator *generator, const float *bias);

/* @timeline holds the prompt, is borrowed until the next begin, and is what the answer is read into (with beams: some of
 * it). Its key policy is asked for the best beam, which the others follow; it is @timeline's again at the end. @sampling is
 * copied. INVALID: @sampling is out of range, or asks for more than the limits.
 *
 * @constraint (NULL: none; for @generator's vocabulary): a reference is kept until the next begin. What is said is a whole
 * sentence of it within max_tokens and the context, whatever the logits, and ends with it; ignore_eog is not looked at.
 * Probabilities are the model's own, of all tokens. INVALID names both numbers where the shortest sentence does not fit. */
gboolean tern_generator_begin (TernGenerator *generator, TernTimeline *timeline, const TernSampling *sampling,
    TernConstraint *constraint, GError **error);

/* Asks how likely each of @labels is instead: nothing is said. @timeline holds the prompt, is borrowed until the next begin,
 * and stays as it is; its key policy is not asked. A reference on @labels is kept until then. INVALID: they ask for more
 * than the limits; NO_SPACE: the longest one does not fit into the context. */
gboolean tern_generator_begin_labels (TernGenerator *generator, TernTimeline *timeline, TernLabels *labels, GError **error);
/* [tern_labels_n()], by labels.h's rule before temperature; NULL before TERN_FINISH_STOP. Borrowed, until the next begin. */
const double *tern_generator_label_logprobs (const TernGenerator *generator);

/* A token to be read into a timeline, as a decode row. */
typedef struct {
  TernTimeline *timeline;
  gint32 id;
} TernWanted;

/* Rows that follow @rows[0] in its timeline, itself counted. */
static inline guint
tern_wanted_run (const TernWanted *rows, guint n)
{
  guint run = 1;

  while (run < n && rows[run].timeline == rows->timeline)
    run++;
  return run;
}

/* Tokens of labels to be read into a timeline in order, as rows of a prompt, the logits of each of which are wanted. */
typedef struct {
  TernTimeline *timeline;
  const gint32 *ids;            /* [n] */
  guint n;
} TernPath;

/* What closed answers want instead: the first rows of these, as many as there is room for, path after path. Borrowed until
 * they are taken. 0: none. */
guint tern_generator_paths (const TernGenerator *generator, const TernPath **paths);
/* The logits [n, n_vocab] of the first @n rows. */
void tern_generator_take_paths (TernGenerator *generator, const float *logits, guint n, TernPicking *picking);

/* What wants() gives may then go on with tokens that a guess says come next: at most @most, of the timeline that its one row
 * is of. Called before it, by those who have room; what is said is the same without. How many were added; 0 for beams, closed
 * answers, and where nothing is guessed. The store has as many guesses free. */
guint tern_generator_guess (TernGenerator *generator, guint most);

/* Rows of one timeline stand side by side, and are read by one segment. Borrowed until the next take. 0: it is finished (or
 * waits for the logits of the prompt), or wants paths. */
guint tern_generator_wants (const TernGenerator *generator, const TernWanted **rows);
/* @logits [n, n_vocab] of what was wanted, in that order; a bias is added to them in place. */
void tern_generator_take (TernGenerator *generator, float *logits, TernPicking *picking);
/* Gives up: finished with what was said so far. After a pass that was cancelled too. */
void tern_generator_cancel (TernGenerator *generator);
gboolean tern_generator_is_finished (const TernGenerator *generator);
/* Whether it goes on or is finished well. FALSE: it failed (TERN_FINISH_FAILED), NO_SPACE; or the model did
 * (TERN_FINISH_NO_NUMBERS), FAILED, which names its file. */
gboolean tern_generator_check (const TernGenerator *generator, GError **error);

/* Guesses that were read so far, in all answers, and those that came true, each a pass that was saved; either may be NULL. */
void tern_generator_guesses (const TernGenerator *generator, guint64 *read, guint64 *right);
/* The same of those alone that a draft has made. */
void tern_generator_drafts (const TernGenerator *generator, guint64 *read, guint64 *right);

/* What stands so far; with beams nothing before the end. Borrowed, until the next call on @generator. */
TernSaid tern_generator_said (const TernGenerator *generator);
/* Whether a first token was chosen: with beams that of those that are under way. */
gboolean tern_generator_has_begun (const TernGenerator *generator);

/* All of it for one timeline: answers what @solo has read, whose last eval gave @logits (used as scratch). @func (may be
 * NULL) is called for every token once it stands. Cancelling is no error. */
typedef void (*TernTokenFunc) (void *data, gint32 id, float probability);
gboolean tern_generator_run (TernGenerator *generator, TernSolo *solo, float *logits, const TernSampling *sampling,
    TernConstraint *constraint, TernTokenFunc func, void *data, TernPicking *picking, TernCancel *cancel, GError **error);
gboolean tern_generator_run_labels (TernGenerator *generator, TernSolo *solo, float *logits, TernLabels *labels,
    TernPicking *picking, TernCancel *cancel, GError **error);

G_END_DECLS
