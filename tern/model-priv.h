/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tern/scheduler.h"
#include "tern/prompt.h"
#include "tern/shared.h"
#include "tern/tern.h"

struct _TernModel {
  guint refs;                   /* under the registry's lock */
  char *key;                    /* in the registry */
  char *path, *mmproj_path;     /* real paths; NULL: none */
  guint threads, context;
  TernActivations activations;
  TernActivationPolicy policy;  /* FILE: as the file says */
  const TernKernels *kernels;
  TernScheduler *scheduler;
  char *encoder_id;             /* NULL: no mmproj file */
  guint projected_dim;          /* of a visual token, from the mmproj file; 0: no such file */
  guint projected_deepstack;    /* features behind it in its row, from there too */
  char *projector;              /* the mmproj file's kind; NULL: no such file, or it does not say */

  TernModelText *text;          /* shared; atomic; NULL until TERN_MODEL_TEXT was asked for */
  TernVision *vision;           /* shared; atomic; NULL until TERN_MODEL_VISION was asked for */
};

/* What is to guess for @model: the language model and vocabulary of the file @path alone; give it back with tern_shared_unref().
 * NOT_FOUND, READ, FORMAT, UNSUPPORTED. */
TernModelText *tern_model_draft (TernModel *model, const char *path, GError **error);

static inline const TernModelText *
tern_model_text (const TernModel *model)
{
  return g_atomic_pointer_get (&((TernModel *) model)->text);
}

static inline TernVision *
tern_model_vision (const TernModel *model)
{
  return g_atomic_pointer_get (&((TernModel *) model)->vision);
}

static inline TernScaling
tern_fit_scaling (TernFit fit)
{
  return fit == TERN_FIT_LETTERBOX ? TERN_SCALING_LETTERBOX
      : fit == TERN_FIT_STRETCH ? TERN_SCALING_STRETCH
      : fit == TERN_FIT_TRAINED ? TERN_SCALING_TRAINED : TERN_SCALING_CROP;
}
