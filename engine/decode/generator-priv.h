/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of generation. A strategy is three functions. */
#pragma once

#include "engine/decode/generator.h"
#include "engine/decode/sampler.h"
#include "engine/decode/speculate.h"
#include "engine/decode/thought.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/* A bit each in beam.c and closed.c. */
G_STATIC_ASSERT (TERN_BEAM_MAX <= 64 && TERN_LABEL_FORKS_MAX <= 64);

struct _TernPicking {
  TernCandidate *candidates;    /* [n_vocab] */
  float *row;                   /* [n_vocab] logits with penalties */
};

typedef struct {
  void (*begin) (TernGenerator *self);
  /* Logits of what was wanted; sets what is wanted next, n_wants = 0 when it is finished. */
  void (*take) (TernGenerator *self, const float *logits, TernPicking *picking);
  /* It ends here: what stands of what was said. */
  void (*cancel) (TernGenerator *self);
} TernStrategy;

extern const TernStrategy tern_strategy_single;         /* one token after the other */
extern const TernStrategy tern_strategy_beam;           /* beam search */
extern const TernStrategy tern_strategy_closed;         /* the probabilities of labels */

/* A token of some beam; beams share the nodes of what they have in common. */
typedef struct {
  gint32 id;
  gint32 parent;                /* index of the node before, -1: none */
  float probability;            /* by the model, whatever the penalties */
} TernBeamNode;

typedef struct {
  TernTimeline *timeline;
  TernMatcher *matcher;         /* goes with the timeline; NULL: no constraint */
  const float *logits;          /* [n_vocab] of its next token, within a take */
  double total;                 /* log of the sum of their exp */
  gint32 node;                  /* its last token, -1: none yet */
  double score;                 /* sum of log p that ranks */
  double logprob;               /* sum of log p by the model */
} TernBeam;

/* A beam and the token that continues it. */
typedef struct {
  guint beam;
  gint32 id;
  double score;
} TernBeamStep;

/* A finished sequence. */
typedef struct {
  gint32 node;                  /* last token that is not an end token */
  double rank;                  /* score / length^length_penalty */
  double logprob;
  gboolean ended;               /* by an end token */
} TernBeamEnd;

/* A search; its memory is there when max_beam is more than 1. */
typedef struct {
  TernBeam *beams, *next;       /* [max_beam] */
  TernBeamStep *steps;          /* [2 max_beam] */
  TernBeamNode *nodes;          /* [max_beam * max_tokens] */
  gint32 *keys;                 /* [n_layers, context] the policy's answers for the best beam */
  gint *n_keys;                 /* [n_layers]; -1: everything */
  TernKeyPolicy record, replay;
  guint width;                  /* beams that may live */
  guint n_beams, n_steps, n_nodes;
  guint length;                 /* tokens said by each */
  guint n_ends;
  TernBeamEnd best;             /* the best sequence that ended */
} TernSearch;

typedef struct {
  TernPath *paths;              /* [max_forks] what is left of those that are wanted; those before `at` were read */
  guint n_paths, at;
  guint first_tip, next_tip;    /* of those paths, and of the next ones */
  double logprob;               /* of the next row's token and all before it */
  double firsts[TERN_LABELS_MAX];       /* log p of the first tokens, in the order of the trie */
  double logprobs[TERN_LABELS_MAX];     /* of the labels */
} TernClosed;

struct _TernGenerator {
  TernLlm *llm;
  TernTokenizer *tokenizer;
  TernGeneratorLimits limits;
  guint n_ids;                  /* ids below it may be said */
  guint context;
  gsize n_vocab;
  gint32 *ids;                  /* [max_tokens] */
  float *probabilities;         /* [max_tokens] */
  TernWanted *wants;            /* [tern_generator_forks() + 1], at least [TERN_GUESS_MAX + 1] */
  TernTimeline **timelines;     /* [tern_generator_forks()] for beams and labels */
  TernMatcher **matchers;       /* [max_beam] NULL until a constraint wants them */

  /* The answer under way. */
  TernSampling sampling;
  TernConstraint *constraint;   /* NULL: none */
  const float *bias;            /* [n_vocab] of answers to come, too; NULL: none */
  TernRandom random;
  const TernStrategy *strategy; /* NULL: none was begun */
  TernTimeline *timeline;
  const TernKeyPolicy *policy;  /* of that timeline */
  guint room;                   /* tokens that may be said, by max_tokens and context: the last one is not read */
  guint n_wants;
  guint n_guesses, before;      /* of what is wanted; what the timeline held then */
  gboolean finished;
  double probability;           /* sum over the tokens said */
  TernSaid said;                /* thoughts too */
  TernThought thought;

  TernGuide guide;              /* by the answer before */
  guint64 guessed, right;       /* in all answers */
  TernDraft *draft;             /* NULL: none */
  gboolean looked;              /* it knows the prompt of the next answer, ... */
  gboolean drafts;              /* ... of this one */
  gboolean by_draft;            /* the guesses among what is wanted are its */
  guint64 drafted, drafted_right;       /* of those above */

  TernSearch search;
  TernLabels *labels;           /* NULL: no closed answer */
  TernClosed closed;
};

/* closed.c: the logits of the next row of the paths. */
void tern_closed_take_row (TernGenerator *self, const float *logits, TernPicking *picking);
gboolean tern_generator_is_end (const TernGenerator *self, gint32 id);

/* Whether an end token ends the answer. */
static inline gboolean
tern_generator_heeds_end (const TernGenerator *self)
{
  return self->constraint || !self->sampling.ignore_eog;
}

/* Of the @n guesses that were read the first @right came true. */
void tern_generator_learn (TernGenerator *self, guint n, guint right);
/* Appends a token that stands. */
void tern_generator_say (TernGenerator *self, gint32 id, float probability);
void tern_generator_finish (TernGenerator *self, TernFinish finish);
gboolean tern_search_init (TernGenerator *self, GError **error);
void tern_search_clear (TernGenerator *self);

G_END_DECLS
