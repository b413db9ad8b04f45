/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of generation: what generate.c and beam.c share. */
#pragma once

#include "engine/decode/sampler.h"

G_BEGIN_DECLS

G_STATIC_ASSERT (TERN_BEAM_MAX <= 64);   /* a bit each in beam.c */

/* A token of some beam; beams share the nodes of what they have in common. */
typedef struct {
  gint32 id;
  gint32 parent;                /* index of the node before, -1: none */
  float probability;            /* by the model, whatever the penalties */
} TernBeamNode;

typedef struct {
  TernLlmState *state;
  float *logits;                /* [n_vocab] of its next token */
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

struct _TernGenerator {
  TernLlm *llm;
  TernTokenizer *tokenizer;
  guint n_ids;                  /* ids below it may be said */
  guint context;
  TernCandidate *candidates;    /* [n_vocab] */
  float *row;                   /* [n_vocab] logits with penalties */

  /* Beam search; max_beam 1 has none of it. */
  guint max_beam;
  TernLlmState **states;        /* [max_beam - 1] */
  float *logits;                /* [max_beam - 1, n_vocab] */
  TernBeam *beams, *next;       /* [max_beam] */
  TernBeamStep *steps;          /* [2 max_beam] */
  TernBeamNode *nodes;          /* [max_beam * context] */
  guint n_nodes;
  gint32 *keys;                 /* [n_layers, context] the policy's answers for the best beam */
  gint *n_keys;                 /* [n_layers]; -1: everything */
};

gboolean tern_generator_is_end (const TernGenerator *self, gint32 id);
gboolean tern_generator_beam (TernGenerator *self, TernLlmState *state, float *logits, const TernSampling *sampling,
    TernTokenFunc func, void *data, TernCancel *cancel, TernGeneration *out, GError **error);

G_END_DECLS
