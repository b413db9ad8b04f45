/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that a model takes once it runs, by what it is for; what a vision encoder makes of a picture. */
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/llm/llm.h"
#include "engine/weights/gguf.h"
#include "tern/reuse.h"
#include "tern/session.h"

G_BEGIN_DECLS

#define TERN_MEMORY_ENTRIES 24

typedef struct {
  guint context;                /* tokens of a timeline; 0 = the model's own */
  TernKvType kv;
  guint threads;                /* 0 = the cores that this process may use */
  TernMemory memory;            /* of a session, STREAM: what that takes is planned as well */
  guint memory_tokens;          /* ... 0: what a session would choose */
  TernReuseMode reuse;          /* of vision encoders */
  const char *draft_model;      /* of language models: a file of one that guesses for it; NULL: none. Borrowed */
} TernMemoryOptions;

typedef struct {
  TernMemoryOptions with;       /* language models: what the options came to */
  guint n;
  struct {
    const char *name;           /* of the JSON member */
    guint64 bytes;
    char what[120];
  } entries[TERN_MEMORY_ENTRIES];
  TernActivationPolicy activations;     /* of a language model; else of kind FILE */
  const char *projector;        /* of a vision encoder; else NULL and what follows 0 */
  guint min_tokens, max_tokens; /* of an image */
  guint max_pieces;             /* of a still */
  guint deepstack;              /* features of early layers beside each token */
  char encoder_id[40];          /* what tokens of this encoder are told by */
} TernMemoryPlan;

/* What the process holds now: to be taken before a file is opened. */
typedef struct {
  guint64 resident, anonymous;
} TernMemoryUse;

void tern_memory_use (TernMemoryUse *use);

/* Opens what @file holds, a language model with its tokenizer, a vision encoder or an action model, without reading its
 * matrices, and asks it. @before: what the process held before @file was opened. Errors: those of opening, the draft's too;
 * INVALID for @options. */
gboolean tern_memory_plan (TernMemoryPlan *plan, TernGguf *file, const TernKernels *kernels,
    const TernMemoryOptions *options, const TernMemoryUse *before, GError **error);

G_END_DECLS
