/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Picture -> visual tokens: preprocessing, vision transformer, projector; from an mmproj GGUF (arch `clip`). */
#pragma once

#include <glib.h>
#include "engine/base/cancel.h"
#include "tern/image.h"
#include "engine/base/threads.h"
#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct _TernVision TernVision;
typedef struct _TernVisionState TernVisionState;

typedef struct {
  const char *projector;        /* the file's clip.projector_type: "lfm2", "idefics3", "qwen3vl_merger" */
  const char *name;
  guint embedding_dim;          /* width of a visual token = width of the language model */
  guint deepstack;              /* features of early layers, each as wide, that stand in a token's row behind it (DeepStack) */
  guint row_dim;                /* of a row: embedding_dim * (1 + deepstack) */
  guint patch, factor;          /* pixels of a patch, unshuffle factor */
  guint min_tokens, max_tokens; /* per (sub-)image, from the file's own limits or the family's defaults */
  guint max_pieces;             /* sub-images of a still, at most */
  guint frames;                 /* of a video that make one picture: its tokens are of all of them. 1 or 2 */
  gboolean looks_back;          /* a picture's tokens say what changed since the frame before it as well */
} TernVisionInfo;

/* Immutable, any thread. Keeps a reference on @file. */
TernVision *tern_vision_open (TernGguf *file, const TernKernels *kernels, GError **error);
TernVision *tern_vision_ref (TernVision *vision);
void tern_vision_unref (TernVision *vision);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernVision, tern_vision_unref)

const TernVisionInfo *tern_vision_info (const TernVision *vision);
/* Beside the map. */
gsize tern_vision_owned_bytes (const TernVision *vision);

/* Brings the matrices into the form that they run in, once; later calls find it done. A state on int8 activations does so
 * when it is made. @pool NULL: as many threads as there are cores. What is int8 and what bf16 is decided by a look at what
 * the file makes of a small picture (choose.c). Any thread; not while @pool runs. Errors: NO_SPACE. */
gboolean tern_vision_pack (TernVision *vision, TernPool *pool, GError **error);
/* Of a packed one: bytes of the file that are not read any more (unless on floats). */
gsize tern_vision_repacked_bytes (const TernVision *vision);
/* Of a packed one: how many matrices are in which form, "62 in int8, 12 in bf16". Free with g_free(). */
char *tern_vision_packed_text (TernVision *vision);

/* What tensors in types of fewer bits would change, for who writes them (rounding.c). @type_of: the type of tensor @name, one that
 * tern_quantizer() knows, or NULL: it is not looked at. @func: of what its matrix makes of a small picture, the sum of squares
 * (@power), and that of what would be wrong. Not while @pool runs. Errors: NO_SPACE. */
typedef const TernTypeInfo *(*TernVisionTypeFunc) (void *data, const char *name);
typedef void (*TernVisionErrorFunc) (void *data, const char *name, double wrong, double power);
gboolean tern_vision_round (TernVision *vision, TernPool *pool, TernVisionTypeFunc type_of, TernVisionErrorFunc func, void *data,
    GError **error);

/* The most visual tokens of one sub-image that limits may allow. */
#define TERN_VISION_MAX_TOKENS 65536

typedef enum {
  TERN_SCALING_CROP,            /* keep the aspect, cut what is too much around the centre */
  TERN_SCALING_LETTERBOX,       /* keep the aspect, pad with the colour nearest to the normalised zero */
  TERN_SCALING_STRETCH,
  TERN_SCALING_TRAINED,         /* as the family's video frames were in training: lfm2 CROP, idefics3 STRETCH */
} TernScaling;

/* What becomes of a picture with the projector `lfm2`:
 *
 *   file               tile    size                                   shown
 *   fixes one size     any     that square                            by @scaling
 *   any size           FALSE   smart_resize within the limits         by @scaling: with CROP what smart_resize's rounding
 *                                                                     would distort is cut instead
 *   any size           TRUE    the same, or tiles of 512 pixels and   all of it, stretched, as the family's processor
 *                              a thumbnail when it is too large       does; @scaling is not looked at
 *
 * A file fixes one size when its clip.vision.image_min_pixels and image_max_pixels are equal and the square of a whole
 * number of patches; limits in the options that differ from the file's undo that. Too large, grid, order and sizes are
 * those of Lfm2VlImageProcessor in transformers; the tag of a tile says its row first (y), counted from 1. Departure:
 * where smart_resize passes the upper limit (a side below one step, limits close to each other), the size is rounded down
 * instead and then the longer side gives way.
 *
 * With `idefics3` every sub-image is a square of clip.vision.image_size pixels and has a fixed number of tokens. A frame
 * is brought to it by @scaling. A still is resized twice, by SmolVLMImageProcessor's rules: to
 * clip.vision.preproc_image_size pixels at its longer side, then to multiples of the square; the tiles of that, row by
 * row, come first, all of it as one square (the "thumbnail") last. With `whole` it is resized as frames are, but for the
 * filter: Lanczos for stills, bicubic for frames. */
typedef struct {
  guint min_tokens, max_tokens; /* of a single image or thumbnail; 0 = the model's. One alone overrides the model's other
                                   where the two contradict */
  gboolean tile;                /* a still; never set it for video frames */
  gboolean whole;               /* a still in one piece, whatever its size (do_image_splitting = False) */
  TernScaling scaling;
} TernVisionOptions;

typedef struct {
  guint width, height;          /* pixels after resizing */
  guint grid_w, grid_h;         /* visual tokens */
  guint n_tokens;
  guint row, column;            /* tile: counted from 1; 0 for a single image or the thumbnail */
  gboolean thumbnail;           /* the last one of a tiled picture */
} TernSubImage;

/* Tiles a side, of any projector. */
#define TERN_MAX_TILES 16
#define TERN_MAX_SUB_IMAGES (TERN_MAX_TILES * TERN_MAX_TILES + 1)

typedef struct {
  guint n;
  TernSubImage sub[TERN_MAX_SUB_IMAGES];        /* in the order in which they enter the prompt */
  guint n_tokens;               /* of all */
  gboolean fixed;               /* the size is the one that the file fixes */
} TernVisionPlan;

/* For a picture that is shown at @width x @height.
 * INVALID for a side of 0 or above 65535 pixels, for limits that contradict each other, and for limits that a projector
 * with a fixed number of tokens cannot keep. */
gboolean tern_vision_plan (const TernVision *vision, guint width, guint height, const TernVisionOptions *options,
    TernVisionPlan *plan, GError **error);

/* Width and height of @image as it is shown: turned by its orientation, with square pixels. This is what plans are made
 * for. A pixel aspect beyond 1:16 or 16:1 is taken for damage and not looked at. */
void tern_vision_shown_size (const TernImage *image, guint *width, guint *height);
/* Whether two pictures are shown at one size. */
gboolean tern_vision_shown_alike (const TernImage *a, const TernImage *b);
/* tern_vision_plan() for @image as it is shown. */
gboolean tern_vision_plan_image (const TernVision *vision, const TernImage *image, const TernVisionOptions *options,
    TernVisionPlan *plan, GError **error);

/* The most tokens that any sub-image of any picture has with these options: for tern_vision_state_new(). */
gboolean tern_vision_sub_tokens (const TernVision *vision, const TernVisionOptions *options, guint *tokens,
    GError **error);

/* Scratch for pictures whose plan holds at most @max_tokens tokens per sub-image; for larger ones it grows when the first
 * of them comes, and keeps what it took. One thread at a time; one picture at a time, of whoever it may be: nothing of a
 * picture stays but memory, the resampling weights and resized position tables of sizes that were seen last, and the
 * taps. Encoding allocates nothing once a picture of that size was seen. @pool is borrowed, and may do other work between
 * slices; NULL = the calling thread alone. */
TernVisionState *tern_vision_state_new (TernVision *vision, guint max_tokens, TernActivations activations, TernPool *pool,
    GError **error);
void tern_vision_state_free (TernVisionState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernVisionState, tern_vision_state_free)

/* Bytes of such a state, for `tern inspect`; what the pool's workers and pictures of their own sizes need comes on top. */
gsize tern_vision_state_bytes (TernVision *vision, guint max_tokens);
/* Of one for the calling thread alone, all of it. */
gsize tern_vision_alone_bytes (TernVision *vision, guint max_tokens);

/* The most tokens of a picture of a single sub-image that one thread has soon done by itself: no more multiply-adds than a slice has
 * at most; 0 where the smallest picture has more. */
guint tern_vision_small_tokens (TernVision *vision);

/* Begins a picture, of which tern_vision_step() writes plan->n_tokens rows of row_dim floats to @tokens, sub-images
 * in order, each row-major. @plan is tern_vision_plan_image()'s for this picture and these options (INVALID otherwise);
 * NO_SPACE when a sub-image is so large that there is no memory for it. What the picture's pointers lead to and @tokens are
 * borrowed until the last step; the structures themselves are copied. A picture that was under way is given up: its
 * tokens stay as far as they were written, and nothing of it is touched any more. So it is when this fails. */
gboolean tern_vision_begin (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, float *tokens, GError **error);

/* The same for frames of a video. With @second two of them make one picture (info.frames is 2), shown at the same size; NULL: @first
 * alone, which stands for both. @before is the frame that came directly before @first in the same stream: the second one of the
 * picture before, or its only one. NULL where there is none, or nobody knows; it is not looked at where it is shown at another size
 * than @first, nor by an encoder that does not look back (info.looks_back). */
gboolean tern_vision_begin_frames (TernVisionState *state, const TernImage *before, const TernImage *first,
    const TernImage *second, const TernVisionOptions *options, const TernVisionPlan *plan, float *tokens, GError **error);

typedef enum {
  TERN_VISION_MORE,             /* to be called again */
  TERN_VISION_DONE,             /* all tokens are there */
  TERN_VISION_FAILED,           /* error set; the picture is given up */
  TERN_VISION_CANCELLED,        /* the same, with TERN_ERROR_CANCELLED */
} TernVisionStep;

/* The next slice: the pixels of a sub-image, or some 20 ms of the arithmetic on them, by what the slices before
 * took (engine/base/slice.h); fewer on fast machines, never much more. The tokens are the same, bit for bit, wherever the slices end. @cancel is looked at
 * about every 20 ms within a slice too; once it was raised the picture is given up, and another one may begin. INVALID
 * without a picture. FAILED where tokens are not finite: the file, which it names, is damaged. */
TernVisionStep tern_vision_step (TernVisionState *state, TernCancel *cancel, GError **error);

/* Begins and does all slices. */
gboolean tern_vision_encode (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, float *tokens, TernCancel *cancel, GError **error);

/* Debugging taps of the last sub-image encoded; valid until the next call with @state. */
typedef struct {
  guint width, height, n_patches;
  const guint8 *pixels;         /* [height, width, 3] after resizing */
  const float *patch_embd;      /* [n_patches, vision width], positions added */
  const float *output;          /* [n_patches, vision width], after the last norm */
} TernVisionTaps;
void tern_vision_state_taps (TernVisionState *state, TernVisionTaps *taps);

G_END_DECLS
