/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of vision/ share. */
#pragma once

#include "engine/base/mem.h"
#include "engine/weights/linear-packed.h"
#include "vision/reuse.h"

G_BEGIN_DECLS

/* Sides of a picture that are taken; keeps every index and product of the preprocessing far from overflow. */
#define TERN_VISION_MAX_SIDE TERN_IMAGE_SIDE_MAX

/* ---- the model: open.c, bind.c ---- */

typedef struct {
  float *weight, *bias;         /* [n], owned; NULL when the file has none */
} TernNorm;

typedef struct {
  TernNorm ln1, ln2;
  gboolean fused;               /* attn_qkv holds q, k and v */
  TernLinear q, k, v;           /* fused: q is all three */
  float *q_bias, *k_bias, *v_bias;
  TernLinear out, up, down;
  float *out_bias, *up_bias, *down_bias;
} TernVitBlock;

/* In place over @n values. */
typedef void (*TernActivation) (const TernKernels *kernels, float *x, gsize n);

typedef struct _TernVisionLoop TernVisionLoop;
typedef struct _TernVisionPacked TernVisionPacked;      /* packed.h */

/* A stage of the arithmetic on a sub-image (a norm, a product, attention) is one loop over the pool after another. Sets
 * up the loop of @round 0, 1, ...; FALSE: there were no more than @round. */
typedef gboolean (*TernVisionStage) (TernVisionState *state, guint round, TernVisionLoop *loop);

/* What one kind of projector does its own way: keys, tensors, sizes, pixels, the way from features to tokens. Each is a
 * file in projectors/ and a line in projector.c's table. */
typedef struct {
  const char *name;             /* the value of clip.projector_type */
  TernScaling scaling;          /* TERN_SCALING_TRAINED stands for it */
  const char *factor_key;       /* of info.factor; NULL: clip.vision.projector.scale_factor */
  gboolean rotary;              /* queries and keys turn by the row and the column of their patch */
  gboolean corners;             /* a resized table of positions has its corners where the table has them */
  guint frames;                 /* that make one picture; 0 is 1 */
  gboolean reusable;            /* its layers are those of vit.c, its patches row by row: reuse.c may leave some out */
  gboolean swapped_ffn;         /* files are about whose ffn_up and ffn_down bear each other's name */
  /* Sets the limits, after the keys that all files share. */
  gboolean (*read_keys) (TernVision *vision, GError **error);
  /* Loads the tensors of the projector. */
  gboolean (*bind) (TernVision *vision, GError **error);
  /* tern_vision_plan() and tern_vision_sub_tokens(), for sizes in range. */
  gboolean (*plan) (const TernVision *vision, guint width, guint height, const TernVisionOptions *options,
      TernVisionPlan *plan, GError **error);
  gboolean (*sub_tokens) (const TernVision *vision, const TernVisionOptions *options, guint *tokens, GError **error);
  /* Sub-image @i of @plan to the state's planes; called for i = 0, 1, ... in turn. */
  gboolean (*pixels) (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
      const TernVisionPlan *plan, guint i, GError **error);
  /* What leads from @state->x to the first embedding_dim values of the rows of @state->tokens [ceil(grid_h / factor) *
   * ceil(grid_w / factor), row_dim]; NULL at the end. */
  const TernVisionStage *stages;
} TernProjector;

extern const TernProjector tern_projector_lfm2, tern_projector_idefics3, tern_projector_qwen3vl;

/* NULL + UNSUPPORTED, which lists what there is; @key names where @name was found. */
const TernProjector *tern_projector_find (TernBytes name, const char *path, const char *key, GError **error);

#define TERN_PROJECTOR_LINEARS 2

/* What takes the features behind a layer to the language model, beside the tokens (DeepStack, arXiv:2406.04334). */
typedef struct {
  guint layer;
  TernNorm norm;                /* [factor^2 * hidden]: of features side by side */
  TernLinear fc[2];             /* with GELU (erf) between */
  float *fc_bias[2];
} TernDeepMerger;

/* Published files have three; every one makes all rows longer. */
#define TERN_VISION_DEEPSTACK 8

struct _TernVision {
  gint refs;                    /* atomic */
  TernGguf *file;
  const TernKernels *kernels;
  const TernProjector *projector;
  TernVisionInfo info;
  char *name;
  gsize owned;                  /* bytes */

  guint hidden, ffn, heads, head_dim, n_blocks;
  float eps;
  TernActivation activation;
  float mean[3], std[3];

  guint64 min_pixels, max_pixels;       /* of a (sub-)image; lfm2 */
  guint fixed_side;             /* pixels; the file takes pictures of exactly this square; 0 = any size */
  guint longest_edge;           /* pixels that stills are resized to before they are cut in tiles; idefics3 */

  GHashTable *used;             /* names of tensors, while they are bound */
  guint position_side;          /* the table is position_side x position_side */
  float *positions;             /* [position_side^2, hidden] */
  TernLinear patch;             /* 3 * patch^2 for each frame of a picture -> hidden */
  float *patch_frames;          /* its values where several tensors of the file make it up; else NULL */
  float *patch_bias;            /* NULL when the file has none */
  TernVitBlock *blocks;         /* [n_blocks] */
  TernNorm post_ln;             /* optional */
  TernNorm input_norm;          /* optional; [factor^2 * hidden] */
  TernLinear mm[TERN_PROJECTOR_LINEARS];        /* of the projector, in order; all zero where it has fewer */
  float *mm_bias[TERN_PROJECTOR_LINEARS];       /* NULL when it has none */
  TernDeepMerger deep[TERN_VISION_DEEPSTACK];   /* the first info.deepstack, by layer */
  TernLinear motion[2];         /* all zero where the file has none (motion-tokens.c) */
  float *motion_bias[2];

  GMutex packing;
  TernVisionPacked *packed;     /* made once, under the mutex */
};

gboolean tern_vision_bind (TernVision *vision, GError **error);
/* For projectors: what bind.c loads tensors with. Sizes are counted in vision->owned. */
gboolean tern_vision_load_norm (TernVision *vision, TernNorm *norm, const char *prefix, guint n, GError **error);
gboolean tern_vision_load_optional_norm (TernVision *vision, TernNorm *norm, const char *prefix, guint n, GError **error);
/* @bias NULL: @prefix.weight alone. */
gboolean tern_vision_load_linear (TernVision *vision, TernLinear *linear, float **bias, const char *prefix, guint cols,
    guint rows, GError **error);
/* Once a process, before any thread preprocesses. */
void tern_vision_compile_orc (void);
void tern_vision_unbind (TernVision *vision);

void tern_activation_gelu_erf (const TernKernels *kernels, float *x, gsize n);
void tern_activation_gelu_tanh (const TernKernels *kernels, float *x, gsize n);
void tern_activation_quick_gelu (const TernKernels *kernels, float *x, gsize n);
void tern_activation_silu (const TernKernels *kernels, float *x, gsize n);

/* ---- sizes: plan.c ---- */

/* One more sub-image of @width x @height pixels. */
TernSubImage *tern_vision_plan_append (TernVisionPlan *plan, const TernVision *vision, guint width, guint height);
/* INVALID for limits in @options that contradict each other. */
gboolean tern_vision_check_limits (const TernVisionOptions *options, GError **error);
/* projectors/lfm2.c: both sides to whole tokens, by the square root of what is too much or too little for the limits. */
gboolean tern_vision_smart_size (const TernVision *vision, guint width, guint height, const TernVisionOptions *options,
    guint *out_w, guint *out_h, GError **error);
/* The most tokens that comes to. */
gboolean tern_vision_smart_tokens (const TernVision *vision, const TernVisionOptions *options, guint *tokens, GError **error);
/* projectors/idefics3.c: what @options->scaling says of the picture as the state's planes, by Pillow's bicubic filter. */
gboolean tern_vision_fit_frame (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *planned, GError **error);

/* ---- where the pixels of a sub-image come from: fit.c ---- */

typedef struct {
  double x, y, w, h;            /* the part of the picture that is shown, source pixels */
  guint full_w, full_h;         /* pixels that this part is resized to */
  guint off_x, off_y;           /* the window of these that the sub-image holds ... */
  guint width, height;
  guint left, top;              /* ... and where in the sub-image it stands; the rest is padding */
} TernPlacement;

/* @sub of @plan for a picture that is shown at @width x @height. */
void tern_vision_place (guint width, guint height, const TernVisionOptions *options, const TernVisionPlan *plan,
    const TernSubImage *sub, TernPlacement *place);

/* ---- how a picture is turned to be shown: turn.c ---- */

/* First mirrored along the diagonal from the upper left, then left to right, then upside down. */
typedef struct {
  gboolean transposed, mirror_x, mirror_y;
} TernTurn;

TernTurn tern_image_turn (const TernImage *image);
/* @place of a picture as it is shown -> of the same pixels as they lie in memory: part, sizes and window; left and top are
 * not touched. */
void tern_turn_place (const TernTurn *turn, const TernImage *image, TernPlacement *place);

/* Where pixels of a turned window of @width x @height (as it is shown) go in a plane with rows @stride apart. */
typedef struct {
  gsize start;                  /* of the first pixel of the first row in memory */
  gssize pixel, row;            /* from one pixel, one row in memory to the next */
} TernTurnSteps;

void tern_turn_steps (const TernTurn *turn, guint width, guint height, guint stride, TernTurnSteps *steps);
/* A plane of @width x @height, as it lies in memory, to where @steps says. */
void tern_turn_plane (const TernTurnSteps *steps, const guint8 *from, guint width, guint height, guint8 *to);

/* ---- PQ and HLG to what SDR screens show: transfer.c ---- */

/* @n pixels in place. SDR is left as it is. */
void tern_transfer_map (TernTransfer transfer, guint8 *red, guint8 *green, guint8 *blue, gsize n);
/* Makes the tables of @transfer, once a process; before threads map. */
void tern_transfer_prepare (TernTransfer transfer);

/* ---- resampling weights of one axis: axis.c ---- */

/* Samples of a line of @length, @count output samples wanted of those that [start, start + extent) is resized to. */
typedef struct {
  guint length;                 /* source samples */
  double start, scale;          /* source samples: of the first output sample's edge, per output sample */
  guint offset, count;          /* output samples */
  gboolean rows;                /* weights for rows (sum 65535, taps a multiple of 4) or along them (sum 32768) */
} TernAxisKey;

typedef struct {
  TernAxisKey key;
  guint64 used;                 /* for replacement; 0 = empty */
  guint taps;                   /* of each output sample, zero weights included */
  guint most;                   /* most taps that are not zero */
  guint *first;                 /* [count] source sample of the first tap */
  guint16 *weights;             /* [count, taps] */
} TernAxis;

/* The triangle filter of Pillow and torchvision for output sample @i: source samples [*first, *end) and what each weighs,
 * not normalised. */
void tern_triangle_span (double start, double scale, guint length, guint i, guint *first, guint *end, double *centre,
    double *support);
static inline double
tern_triangle_weight (double centre, double support, guint sample)
{
  double d = ((double) sample + 0.5 - centre) / support;

  return d < 0 ? MAX (0.0, 1.0 + d) : MAX (0.0, 1.0 - d);
}

/* A tiled picture needs up to 11 axes each way, twice that with subsampled chroma. */
#define TERN_AXES 64

typedef struct {
  TernAxis axes[TERN_AXES];
  guint64 clock;
} TernAxisCache;

/* From @cache, made when first asked for. Valid until 12 further axes were asked for. */
const TernAxis *tern_axis_get (TernAxisCache *cache, const TernAxisKey *key, GError **error);
void tern_axis_cache_clear (TernAxisCache *cache);

/* ---- YUV to RGB: colour.c ---- */

/* Coefficients of 13 fraction bits, offsets of 20, for the programs in preprocess.orc. */
typedef struct {
  gint luma, red_v, green_u, green_v, blue_u;
  gint red_offset, green_offset, blue_offset;
} TernYuvMatrix;

void tern_yuv_matrix_init (TernYuvMatrix *matrix, TernColorMatrix standard, gboolean full_range);

/* ---- pictures to planes of red, green and blue: resize.c ---- */

typedef struct {
  TernAxisCache axes;
  guint8 *scratch;              /* a slice for each worker */
  gsize scratch_bytes;
} TernResizer;

/* INVALID for pictures whose pointers or strides cannot be right. */
gboolean tern_image_check (const TernImage *image, GError **error);

/* Fills @rgb, three planes of sub-image @width x @height, rows @width apart, with what @place says of the picture as it is
 * shown: turned, in the shape of its pixels' aspect, and tone mapped. */
gboolean tern_resizer_run (TernResizer *resizer, const TernImage *image, const TernPlacement *place, guint width,
    guint height, const guint8 padding[3], guint8 *const rgb[3], TernPool *pool, GError **error);
void tern_resizer_clear (TernResizer *resizer);

/* ---- the resampling of Pillow, bit for bit: convolve.c ---- */

typedef enum {
  TERN_FILTER_BICUBIC,
  TERN_FILTER_LANCZOS,
} TernFilter;

/* Three planes of bytes, rows without gaps. */
typedef struct {
  guint8 *plane[3];
  guint width, height;
} TernPlanes;

/* Memory that grows to what was needed most. */
typedef struct {
  void *data;
  gsize bytes;
} TernRoom;

typedef struct {
  TernRoom canvas[2];           /* pictures on their way */
  TernRoom between;             /* rows that were resized along x */
  TernRoom weights[2];          /* along x, along y */
} TernConvolver;

/* Planes of @width x @height in canvas @i; what was there is lost. */
gboolean tern_convolver_canvas (TernConvolver *self, guint i, guint width, guint height, TernPlanes *planes,
    GError **error);
/* The part of @from that starts at @x, @y and is @w x @h large, resized to all of @to. Cancelled: @to is not whole. */
gboolean tern_convolver_resize (TernConvolver *self, const TernPlanes *from, double x, double y, double w, double h,
    const TernPlanes *to, TernFilter filter, TernPool *pool, TernCancel *cancel, GError **error);
void tern_convolver_clear (TernConvolver *self);

/* ---- loops, which can be left off and taken up again between any two items: stages.c ---- */

typedef struct {
  const TernLinear *linear;
  const float *bias;
  float *y;
} TernVisionProduct;

struct _TernVisionLoop {
  TernPoolFunc func;            /* its data is the state */
  guint items, grain;
  guint64 work;                 /* multiply-adds of an item */
  gboolean heavy;               /* items that may take longer than a slice: the pool looks at the cancel flag between them */

  /* What it works on; each takes some of it. */
  float *y;
  const float *x;
  gsize n;                      /* values */
  guint cols;                   /* of a row of both */
  const TernNorm *norm;
  float eps;
  TernActivation activation;
  TernLinearInput input;        /* some rows of x */
  TernVisionProduct product;    /* linear NULL: none */
  gsize ldy;
  guint rows;                   /* blocks of rows: of an item; n of all */
  const TernPacked *packed;     /* a product with it, and with bias */
  const float *bias;
};

/* What the loops that are no products cost for each value, as multiply-adds. */
#define TERN_VISION_VALUE_WORK 32

/* y = layer norm of x, @n rows of @cols, or a copy when @norm has no weights. */
gboolean tern_vision_loop_norm (TernVisionState *state, TernVisionLoop *loop, float *y, const float *x,
    const TernNorm *norm, guint n, guint cols, float eps);
gboolean tern_vision_loop_copy (TernVisionLoop *loop, float *y, const float *x, guint n, guint cols);
/* y += x */
gboolean tern_vision_loop_add (TernVisionLoop *loop, float *y, const float *x, guint n, guint cols);
gboolean tern_vision_loop_activate (TernVisionLoop *loop, TernActivation activation, float *y, gsize n);
/* Round @round of the products of @x, @n rows, with rows of the results @ldy apart: the next product of a block of rows,
 * or the next block. */
gboolean tern_vision_loop_products (TernVisionState *state, guint round, TernVisionLoop *loop,
    const TernVisionProduct *products, guint n_products, const float *x, guint n, gsize ldy);
gboolean tern_vision_loop_product (TernVisionState *state, guint round, TernVisionLoop *loop, const TernLinear *linear,
    const float *bias, const float *x, guint n, float *y);
/* The same with rows of @y @ldy apart. */
gboolean tern_vision_loop_product_apart (TernVisionState *state, guint round, TernVisionLoop *loop, const TernLinear *linear,
    const float *bias, const float *x, guint n, float *y, gsize ldy);

/* ---- the state: state.c ---- */

typedef struct {
  guint w, h;                   /* patches; 0 = empty */
  float *table;                 /* [h * w, hidden] */
  float *angles;                /* rotary: [h * w, head_dim] cosines, then sines of a patch's row and of its column */
} TernPositions;

#define TERN_POSITION_GRIDS 2   /* a tile's and the thumbnail's */

/* Queries, keys and values of a layer (attention-int8.c). */
typedef struct {
  gint8 *queries;
  guint8 *keys, *values;
  float *query_scales, *key_scales, *value_scales;
  gint32 *query_sums;
} TernInt8Attention;

struct _TernVisionState {
  TernVision *vision;
  const TernVisionPacked *packed;       /* NULL: on floats */
  TernPool *pool, *own_pool;
  guint max_tokens, max_patches;
  void *block;                  /* everything below but the resizer */

  TernResizer resizer;
  TernConvolver convolver;
  TernPlanes whole;             /* in the convolver: the picture that tiles are cut from */
  guint8 *rgb[3];               /* planes of the sub-image */
  guint8 *second[3];            /* of the picture's second frame, before that for a while of the frame before it; those of the
                                 * first where no picture has more than one */
  TernPositions positions[TERN_POSITION_GRIDS];
  guint next_positions;
  const float *angles;          /* rotary: of the current grid */

  float *x;                     /* [max_patches, hidden] residual stream; at the end the output */
  float *embd;                  /* [max_patches, hidden] patch embeddings */
  float *norm;                  /* [max_patches, hidden] */
  float *wide;                  /* patches, then q k v, then the MLP's inside, then unshuffled features; pixels of the tap */
  float *projected;             /* [max_tokens, outputs of mm[0]] */
  float *measured, *moving, *moved;     /* [max_tokens, ...] of motion-tokens.c: its inputs, between its layers, behind them */
  void *motion_scratch;
  guint16 *queries, *keys, *values;     /* packed: where attention in bf16 reads them (attention-packed.c) */
  TernInt8Attention int8;       /* and that in int8 (attention-int8.c) */

  /* The picture that was begun: of whoever began it, so nothing of it stays when it is done or given up. */
  gboolean busy;
  TernImage image, next;        /* next: the second frame, where there is one (paired) */
  TernImage before;             /* the frame before it, where that is looked at (follows) */
  gboolean paired, follows;
  TernVisionOptions options;
  TernVisionPlan plan;
  float *tokens;                /* of the current sub-image */
  TernReuse *reuse;             /* NULL: all of it is computed, and nothing is kept */
  guint sub;                    /* which that is */
  gboolean has_pixels;          /* it stands in rgb */
  guint stage, layer, round;    /* where in the arithmetic; layer: of the stages that each layer has */
  TernVisionLoop loop;
  guint item;                   /* of the loop */
  guint64 work;                 /* multiply-adds of the last slice */

  TernCancel *cancel;           /* of the current call, or NULL */
  guint64 macs_at_once;         /* multiplications of a block of rows, at least 32 of them; tests make it smaller */
  guint64 slice;                /* multiply-adds of a slice, at most; a step may do an item for each thread beyond */
  TernSlice pace;               /* how many of them take 20 ms */
  guint width, height;          /* pixels of the current sub-image */
  guint grid_w, grid_h;         /* its patches */
  guint n;                      /* grid_w * grid_h */
};

/* 10 to 50 ms on one fast core. How long it takes between two looks at the cancel flag is learned (engine/base/slice.h);
 * this is fixed, so that the same rows meet in one product on every machine. */
#define TERN_VISION_MACS_AT_ONCE ((guint64) 1 << 29)
/* The most multiply-adds of a slice, 2 to 20 ms on two fast cores. Less where they take longer. */
#define TERN_VISION_SLICE ((guint64) 1 << 31)

/* tern_vision_state_new() with @packed, or NULL for floats. */
TernVisionState *tern_vision_state_make (TernVision *vision, guint max_tokens, const TernVisionPacked *packed,
    TernPool *pool, GError **error);
/* Makes it good for sub-images of @tokens, at most TERN_VISION_MAX_TOKENS; not between two slices of a picture. */
gboolean tern_vision_state_reserve (TernVisionState *state, guint tokens, GError **error);

/* ---- reuse.c: of a picture with a cache, which patches are computed ---- */

#define TERN_REUSE_NONE G_MAXUINT32

struct _TernReuse {
  TernVision *vision;
  TernReuseOptions options;
  TernReuseCounts counts;
  guint max_tokens, max_patches;
  void *block;                  /* everything below */

  gboolean kept;                /* there is a picture, of this grid */
  guint grid_w, grid_h;
  guint age;                    /* pictures since one was computed whole */
  guint failures, rest, pause;  /* one after the other; pictures to rest for, and as many the next time */
  guint first_probe;

  /* Of the picture under way. */
  gboolean whole;
  guint n_rows, n_fresh;        /* patches and tokens that are computed ... */
  guint32 *rows, *fresh_rows;   /* ... which, ascending ... */
  guint32 *at, *fresh_at;       /* ... and where among these a patch, a token stands; or TERN_REUSE_NONE */
  guint8 *mask, *ring;          /* [max_patches] */
  guint8 *probes;               /* [max_tokens] */
  float *change;                /* [max_patches] */
  guint8 *given;                /* [max_patches] set from outside ... */
  guint given_w, given_h;       /* ... of this many cells; 0: not */

  guint8 *pixels;               /* [max_patches][3][patch][patch] */
  float *keys, *values;         /* [n_blocks][max_patches][hidden] */
  float *features;              /* [max_patches][hidden] */
  float *fresh, *tokens;        /* [max_tokens][embedding_dim] of those that are computed; of all */
};

/* Patches that are computed, and tokens. */
static inline guint
tern_vision_rows (const TernVisionState *state)
{
  return state->reuse ? state->reuse->n_rows : state->n;
}

/* Keys and values of the current layer that are kept, [n, hidden]. */
static inline float *
tern_reuse_keys (const TernVisionState *state)
{
  return state->reuse->keys + (gsize) state->layer * state->reuse->max_patches * state->vision->hidden;
}

static inline float *
tern_reuse_values (const TernVisionState *state)
{
  return state->reuse->values + (gsize) state->layer * state->reuse->max_patches * state->vision->hidden;
}

/* A picture with this plan begins: FALSE, without the cache. */
gboolean tern_reuse_enter (TernReuse *reuse, const TernVisionPlan *plan);
/* Once its pixels are there: what is computed of it. */
void tern_reuse_choose (TernVisionState *state);
/* Once all stages were done. TRUE: its tokens are there; FALSE: all of them are to be done again, for the whole picture. */
gboolean tern_reuse_finish (TernVisionState *state);
/* @y of row i += @x of its patch. */
gboolean tern_reuse_loop_add (TernVisionState *state, TernVisionLoop *loop, float *y, const float *x);
/* Keys and values of rows [row, row + n) at @x, rows @ldx apart, to where all of them are kept. */
void tern_reuse_keep_rows (const TernVisionState *state, guint row, guint n, const float *x, gsize ldx, float *to);
/* Stages, of pictures with a cache alone: those of all rows that stand side by side in state->wide; what left the last
 * layer. */
gboolean tern_reuse_keep_qkv (TernVisionState *state, guint round, TernVisionLoop *loop);
gboolean tern_reuse_keep_features (TernVisionState *state, guint round, TernVisionLoop *loop);

/* ---- attention.c ---- */

/* Attention goes over blocks of so many queries of one head. */
#define TERN_ATTENTION_ROWS 32
typedef struct {
  guint head, row, rows;        /* queries [row, row + rows) */
} TernAttentionBlock;

/* What item @item of such a loop is; a loop over all blocks, whose results go to @out. */
TernAttentionBlock tern_attention_block (const TernVisionState *state, guint item);
void tern_attention_set_loop (const TernVisionState *state, TernVisionLoop *loop, TernPoolFunc func, float *out);
/* Bytes that attention on floats needs in each worker's scratch for @n patches. */
gsize tern_attention_scratch (guint n);

/* ---- stages.c ---- */

/* Does some of the current loop and of those after it, until as much was done as a slice holds. TRUE: all of the
 * sub-image is done. Returns early when cancelled. */
gboolean tern_vision_advance (TernVisionState *state);
/* To the first stage. */
void tern_vision_rewind (TernVisionState *state);

/* patches.c: the sub-image's planes to @state->wide [n, 3 * patch^2], normalised. */
gboolean tern_vision_gather_patches (TernVisionState *state, guint round, TernVisionLoop *loop);
/* positions.c: the table for the current grid, [n, hidden]; and all that belongs to the grid, resized anew. */
const TernPositions *tern_vision_grid (TernVisionState *state);
const float *tern_vision_positions (TernVisionState *state);
/* rotary.c: turns @n rows of queries or keys, heads of the tower beside each other, @ld apart, of patches from @row on. Nothing
 * where the projector is not rotary. */
void tern_vision_turn (const TernVisionState *state, float *rows, gsize ld, guint row, guint n);
/* The angles of a grid, for positions.c. */
void tern_vision_angles (const TernVision *vision, TernPositions *grid);
/* attention.c: loop->y [n, hidden] from loop->x [n, 3 * hidden], q, k and v. */
gboolean tern_vision_loop_attention (TernVisionState *state, TernVisionLoop *loop, float *out, const float *qkv);
/* vit.c: stage @i of all, the projector's at the end; sets state->layer. NULL: there are no more. */
TernVisionStage tern_vision_stage (TernVisionState *state, guint i);
/* encode.c: the pixels of sub-image @i, for i = 0, 1, ... in turn. */
gboolean tern_vision_pixels (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, guint i, GError **error);
/* Frames of a picture that the patch embedding sees. */
static inline guint
tern_vision_frames (const TernVision *vision)
{
  return MAX (vision->projector->frames, 1);
}
/* projector.c: where the projector's last product goes, a row for each of tern_vision_tokens(). */
float *tern_vision_token_rows (const TernVisionState *state);
/* projector.c: a stage: factor x factor neighbours of @state->x side by side in @state->wide. */
gboolean tern_vision_unshuffle (TernVisionState *state, guint round, TernVisionLoop *loop);
/* projector.c: stages of projectors that are two linear layers, mm[0] and mm[1], with a GELU (erf) between them: @state->wide to
 * @state->projected, that in place, and to the token rows. */
gboolean tern_vision_widen_tokens (TernVisionState *state, guint round, TernVisionLoop *loop);
gboolean tern_vision_bend_tokens (TernVisionState *state, guint round, TernVisionLoop *loop);
gboolean tern_vision_narrow_tokens (TernVisionState *state, guint round, TernVisionLoop *loop);
/* deepstack.c: which layers have mergers of their own, and their tensors; stages behind every layer, which have nothing to do
 * behind others. */
gboolean tern_vision_read_deepstack (TernVision *vision, GError **error);
gboolean tern_vision_bind_deepstack (TernVision *vision, GError **error);
extern const TernVisionStage tern_vision_deepstack[];
#define TERN_VISION_DEEPSTACK_STAGES 5
/* motion-tokens.c: its tensors, where the file has them; its memory; what is measured from the frame before, which stands in the
 * second one's planes, to the first, and from the first to the second; stages that add it to the token rows, for a projector's
 * table behind what writes those. */
gboolean tern_vision_bind_motion (TernVision *vision, GError **error);
void tern_vision_carve_motion (TernVisionState *state, TernArena *arena);
void tern_vision_measure_before (TernVisionState *state);
void tern_vision_measure_pair (TernVisionState *state);
gboolean tern_vision_widen_motion (TernVisionState *state, guint round, TernVisionLoop *loop);
gboolean tern_vision_bend_motion (TernVisionState *state, guint round, TernVisionLoop *loop);
gboolean tern_vision_narrow_motion (TernVisionState *state, guint round, TernVisionLoop *loop);
gboolean tern_vision_add_motion (TernVisionState *state, guint round, TernVisionLoop *loop);
/* Visual tokens of the current sub-image that are computed. */
guint tern_vision_tokens (const TernVisionState *state);
/* What @vision's mean says a pixel of no light and no colour is. */
void tern_vision_padding (const TernVision *vision, guint8 padding[3]);

G_END_DECLS
