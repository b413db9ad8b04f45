/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Picture -> visual tokens: preprocessing, vision transformer, projector; from an mmproj GGUF (arch `clip`). */
#pragma once

#include <glib.h>
#include "engine/base/cancel.h"
#include "engine/base/image.h"
#include "engine/base/threads.h"
#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct _TernVision TernVision;
typedef struct _TernVisionState TernVisionState;

typedef struct {
  const char *projector;        /* "lfm2" */
  const char *name;
  guint embedding_dim;          /* width of a visual token = width of the language model */
  guint patch, factor;          /* pixels of a patch, unshuffle factor */
  guint min_tokens, max_tokens; /* per (sub-)image, from the file's own limits or the family's defaults */
} TernVisionInfo;

/* Immutable, any thread. Keeps a reference on @file. */
TernVision *tern_vision_open (TernGguf *file, const TernKernels *kernels, GError **error);
TernVision *tern_vision_ref (TernVision *vision);
void tern_vision_unref (TernVision *vision);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernVision, tern_vision_unref)

const TernVisionInfo *tern_vision_info (const TernVision *vision);
gsize tern_vision_owned_bytes (const TernVision *vision);

typedef enum {
  TERN_SCALING_CROP,            /* keep the aspect, cut what is too much around the centre */
  TERN_SCALING_LETTERBOX,       /* keep the aspect, pad with the colour of the normalised zero */
  TERN_SCALING_STRETCH,
} TernScaling;

/* How one picture becomes sub-images; see tern_vision_plan(). */
typedef struct {
  guint width, height;          /* pixels after resizing */
  guint grid_w, grid_h;         /* visual tokens */
  guint n_tokens;
  guint row, column;            /* tile: counted from 1; 0 for a single image or the thumbnail */
  gboolean thumbnail;
} TernSubImage;

#define TERN_MAX_SUB_IMAGES 12

typedef struct {
  guint n;
  TernSubImage sub[TERN_MAX_SUB_IMAGES];        /* in the order in which they enter the prompt */
  guint n_tokens;               /* of all */
} TernVisionPlan;

typedef struct {
  guint min_tokens, max_tokens; /* 0 = the model's */
  gboolean tile;                /* stills may be tiled when the model does it; never video */
  TernScaling scaling;          /* video frames only (tile FALSE and fixed size); stills are stretched as the family's
                                   processor does it, unless the file fixes one size (min = max) */
} TernVisionOptions;

/* INVALID for pictures the family cannot take (a zero side). */
gboolean tern_vision_plan (const TernVision *vision, guint width, guint height, const TernVisionOptions *options,
    TernVisionPlan *plan, GError **error);

/* Scratch for pictures whose plan holds at most @max_tokens tokens per sub-image. One thread at a time. Encoding
 * allocates nothing once a picture of that size was seen. @pool is borrowed. */
TernVisionState *tern_vision_state_new (TernVision *vision, guint max_tokens, TernActivations activations, TernPool *pool,
    GError **error);
void tern_vision_state_free (TernVisionState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernVisionState, tern_vision_state_free)

/* Writes plan->n_tokens rows of embedding_dim floats to @tokens, sub-images in order, each row-major. @cancel is looked
 * at per layer. */
gboolean tern_vision_encode (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, float *tokens, TernCancel *cancel, GError **error);

/* Debugging taps: the resized RGB bytes, patch embeddings, and vision output of the last sub-image encoded. */
typedef struct {
  const guint8 *pixels;         /* [height, width, 3] */
  const float *patch_embd;      /* [patches, vision width] */
  const float *output;          /* [patches, vision width], after the last norm */
} TernVisionTaps;
void tern_vision_state_taps (const TernVisionState *state, TernVisionTaps *taps);

G_END_DECLS
