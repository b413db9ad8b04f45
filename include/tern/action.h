/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Action models: what turns a language model's view of a scene into numbers that a machine follows. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernActionModel:
 *
 * The head of a robot policy, from a GGUF file of its own (architecture `tern-action`, docs/action-model.md). Immutable,
 * counted; any thread.
 *
 * Since: 0.1
 */
typedef struct _TernActionModel TernActionModel;

/**
 * TernActionSpace:
 * @name: of the space
 * @dims: numbers of a step
 * @steps: steps of a chunk
 * @rate_n: steps a second, numerator
 * @rate_d: steps a second, denominator
 * @names: (array length=dims): of each number
 * @units: (array length=dims): of each number; "" where there is none
 * @minimum: (array length=dims): of each number, in its unit
 * @maximum: (array length=dims): of each number, in its unit
 * @state_dims: numbers of the robot's state that a decision takes; 0: none
 * @frames: pictures that a decision is made for, the newest ones: TernRequest.frames
 * @reserved: 0
 *
 * What an action model says. Owned by the model.
 *
 * Since: 0.1
 */
typedef struct {
  const char *name;
  guint dims;
  guint steps;
  guint rate_n;
  guint rate_d;
  const char *const *names;
  const char *const *units;
  const float *minimum;
  const float *maximum;
  guint state_dims;
  guint frames;
  gpointer reserved[4];
} TernActionSpace;

/**
 * tern_action_model_open:
 * @path: of the GGUF file
 * @error: return location of an error, or %NULL
 *
 * Reads an action model. Any thread.
 *
 * Errors: those of files; %TERN_ERROR_FORMAT names the key or tensor, what was expected and what was found.
 *
 * Returns: (transfer full) (nullable): the model; tern_action_model_unref() gives it back. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernActionModel *tern_action_model_open (const char *path, GError **error);

/**
 * tern_action_model_ref:
 * @model: an action model
 *
 * A further reference. Any thread.
 *
 * Returns: (transfer full): @model
 *
 * Since: 0.1
 */
TERN_API TernActionModel *tern_action_model_ref (TernActionModel *model);

/**
 * tern_action_model_unref:
 * @model: (transfer full) (nullable): an action model, or %NULL
 *
 * Gives a reference back. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_action_model_unref (TernActionModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernActionModel, tern_action_model_unref)

/**
 * tern_action_model_space:
 * @model: an action model
 *
 * What it says.
 *
 * Returns: (transfer none): the space, valid as long as @model
 *
 * Since: 0.1
 */
TERN_API const TernActionSpace *tern_action_model_space (const TernActionModel *model);

G_END_DECLS
