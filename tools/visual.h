/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Picture files to visual tokens. */
#pragma once

#include "engine/base/threads.h"
#include "engine/llm/llm.h"
#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct {
  guint width;                  /* of a token's row */
  guint n;                      /* tokens of all sub-images */
  float *rows;                  /* [n, width] */
  guint n_sub;
  guint *sub;                   /* [n_sub] tokens of each sub-image, in the order in which they enter the prompt */
  guint *columns;               /* [n_sub] of them in a row of its grid */
} TernVisual;

typedef struct {
  const char *mmproj;
  char **images;                /* NULL-terminated paths */
  guint min_tokens, max_tokens; /* per image; 0 = the model's */
  guint runs;                   /* sub-images that the prompt has places for: as many as pictures: none of them is tiled;
                                   with an encoder that pairs frames, half as many: they are a video's, in turn, which one that
                                   looks back sees */
  TernActivations activations;
} TernVisualParams;

/* Errors: those of opening the mmproj file and the pictures; MISMATCH when a token's width, or what stands behind it in its row,
 * is not what @model takes, whose info @text is. */
gboolean tern_visual_encode (TernVisual *visual, const TernVisualParams *params, const char *model, const TernLlmInfo *text,
    const TernKernels *kernels, TernPool *pool, GError **error);
void tern_visual_clear (TernVisual *visual);

/* "MIN:MAX" */
gboolean tern_visual_parse_limits (const char *text, guint *min, guint *max);

G_END_DECLS
