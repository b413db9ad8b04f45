/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of a completion: what its maker set, and what is the scheduler's thread's from the start on. */
#pragma once

#include "engine/decode/generator.h"
#include "tern/drafter-priv.h"
#include "tern/view-priv.h"

typedef enum {
  TERN_COMPLETION_LOOKS,        /* a picture is encoded */
  TERN_COMPLETION_READS,
  TERN_COMPLETION_SAYS,
  TERN_COMPLETION_OVER,         /* the last event was told, or never will be */
} TernCompletionState;

/* What was said, on its way to who is told. */
typedef struct {
  GString *text;                /* all of it, or what stands before a stop text */
  gsize told;                   /* bytes of it */
  guint spelled;                /* tokens whose bytes are in it, or held */
  gboolean begun;               /* something other than blanks was said */
  gboolean stopped;             /* by a stop text */
  TernTextStream stream;
  GString *thought;             /* what was thought, without blanks around it, and was not told */
  GString *blanks;              /* behind it: they are told with what follows them */
  gboolean thinks;              /* something other than blanks was thought */
  guint thoughts;               /* tokens of it, marks included, that were looked at */
  TernTextStream thinking;
  GArray *scores;               /* TernTokenScore that were not told */
  GPtrArray *tops;              /* of TernTopScore *: theirs */
} TernSaying;

struct _TernCompletion {
  TernClient client;
  TernModel *model;
  const TernModelText *text;
  TernCompletionFunc func;
  void *func_data;
  GPtrArray *views;             /* of TernView; a reference each */
  char **stop;                  /* NULL: none */
  gsize longest_stop;           /* bytes */
  TernSampling sampling;        /* max_tokens: as many as there is room for */
  TernConstraint *constraint;   /* NULL: free text */
  gboolean chat;                /* an answer; else a text that is gone on with */
  gboolean scores;
  guint top_scores;
  guint prompt_tokens, visual_tokens;   /* at most, until all is encoded */
  guint context;
  TernStore *store;
  TernReader reader;            /* its ids are the prompt */
  GArray *ids;                  /* gint32 the prompt, until it is read */
  GArray *places;               /* TernPlace of rows that are read */
  TernGenerator *generator;
  TernDrafter *drafter;         /* NULL: nothing is guessed. Its draft is with the generator from the start of reading on */
  TernCancel cancel;
  gint started;                 /* atomic: any thread may cancel */

  /* the scheduler's thread's */
  TernCompletionState state;
  TernViewFrame *looking;       /* the picture that is with the encoder; NULL: none of ours ... */
  guint64 number;               /* ... under this one (TernLook) */
  float *logits;                /* of its rows in the pass; NULL: none are wanted */
  gboolean in_pass;
  gint64 encode;                /* us */
  gint64 read, first, end;      /* monotonic us: begins to read, first token, last token; 0: not yet */
  TernSaying said;
  GError *error;                /* instead of an answer */
};

extern const TernClientClass tern_completion_client_class;
void tern_completion_destroy (TernClient *client);

/* ---- completion-said.c ---- */

void tern_completion_said_init (TernSaying *said);
void tern_completion_said_clear (TernSaying *said);
/* The generator took @logits, and has said something or nothing. Whether it ends here, by a stop text. */
gboolean tern_completion_spell (TernCompletion *self, const float *logits);
/* Tells what can be told; with @finish_reason all of it, and that it is the last. */
void tern_completion_tell (TernCompletion *self, const char *finish_reason);
