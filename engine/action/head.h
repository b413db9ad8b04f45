/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of action models: from a language model's last hidden state, the robot's state and the time since the decision
 * before to a chunk of actions. docs/action-model.md has the file format and the formulas.
 *
 *   head = tern_action_head_open (path, &error);
 *   run = tern_action_run_new (head, &error);           // one stream of decisions
 *   tern_action_run_decide (run, hidden, state, time, actions, &error);
 *
 * Float arithmetic; the bits depend on the kernels alone. */
#pragma once

#include <glib.h>
#include "engine/kernels/kernels.h"

G_BEGIN_DECLS

typedef enum {
  TERN_ACTION_MLP,              /* all steps at once from what is seen now */
  TERN_ACTION_CFC,              /* the same behind a state that lives from decision to decision */
  TERN_ACTION_TOKENS,           /* the language model says each number as a token */
} TernActionKind;

typedef struct {
  TernActionKind kind;
  const char *name;             /* general.name; "" without */
  const char *space;            /* name of the action space */
  guint dims, steps;            /* numbers of a step, steps of a chunk */
  guint rate_n, rate_d;         /* steps a second */
  const char *const *names, *const *units;      /* [dims], NULL after them */
  const float *minimum, *maximum;       /* [dims] */
  guint state_dims;             /* numbers of the robot's state; 0: it is not looked at */
  guint n_lags;                 /* earlier states that are looked at too */
  const guint64 *lags;          /* [n_lags] ns before the newest state, rising */
  guint width;                  /* of the language model */
  guint frames;                 /* pictures that a decision is about */
  guint vocabulary;             /* of TOKENS: ids of the language model are below it at least */
  const char *encoder_id, *language_model;      /* NULL: any that has the width */
} TernActionInfo;

/* Numbers of all states that a decision looks at: the newest, then one for each lag. */
static inline guint
tern_action_info_states (const TernActionInfo *info)
{
  return (1 + info->n_lags) * info->state_dims;
}

/* Immutable, counted; any thread. */
typedef struct _TernActionHead TernActionHead;

/* Errors: those of tern_gguf_open(); FORMAT and UNSUPPORTED name the key or tensor, what was expected and found. */
TernActionHead *tern_action_head_open (const char *path, GError **error);
/* The same from memory, which is not needed afterwards; @name stands for the path. */
TernActionHead *tern_action_head_open_memory (const guint8 *data, gsize size, const char *name, GError **error);
TernActionHead *tern_action_head_ref (TernActionHead *head);
void tern_action_head_unref (TernActionHead *head);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernActionHead, tern_action_head_unref)

const TernActionInfo *tern_action_head_info (const TernActionHead *head);
const char *tern_action_head_path (const TernActionHead *head);

/* One stream of decisions, with what it remembers. One thread at a time; keeps a reference on @head. Not of TOKENS. */
typedef struct _TernActionRun TernActionRun;

TernActionRun *tern_action_run_new (TernActionHead *head, GError **error);
void tern_action_run_free (TernActionRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernActionRun, tern_action_run_free)

/* Bytes that it takes. */
gsize tern_action_run_bytes (const TernActionHead *head);

/* What comes next is a first decision. */
void tern_action_run_reset (TernActionRun *run);
/* @hidden [width], @states [1 + n_lags][state_dims] in their own units, the newest first; @time: of what is decided
 * about, in ns. A time before the last one, or too long after it, is a first decision. @actions [steps * dims], within
 * their ranges. FAILED: a number is not finite; names it. */
gboolean tern_action_run_decide (TernActionRun *run, const float *hidden, const float *states, guint64 time,
    double *actions, GError **error);

/* ---- TOKENS: the language model says steps * dims tokens, one after the other ---- */

/* The likeliest token of those that say number @i of the chunk, by @logits. -1, FAILED: a logit is not finite. */
gint32 tern_action_head_choose (const TernActionHead *head, guint i, const float *logits, GError **error);
/* What tokens [steps * dims], so chosen, say. */
void tern_action_head_spell (const TernActionHead *head, const gint32 *said, double *actions);

G_END_DECLS
