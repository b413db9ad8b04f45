/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A family's tensors, as a table: what a block may ask for, in which shape, and what may be missing. The table is the
 * one place that says so. A block asks for everything it knows how to use by the name that all families share, and goes
 * without what the family does not list. */
#pragma once

#include "engine/weights/linear.h"

G_BEGIN_DECLS

/* Sizes that shapes are made of; every layer has its own values. */
typedef enum {
  TERN_DIM_NONE,
  TERN_D,                       /* width of the model */
  TERN_V,                       /* vocabulary */
  TERN_H,                       /* one head */
  TERN_Q,                       /* all query heads */
  TERN_KV,                      /* all key (or value) heads */
  TERN_QKV,                     /* Q + 2 KV */
  TERN_R2,                      /* pairs of a head that turn */
  TERN_F,                       /* inside of the feed-forward */
  TERN_D3,                      /* 3 D */
  TERN_TAPS,                    /* of a short convolution */
  TERN_E,                       /* experts */
  TERN_FE,                      /* inside of one */
  TERN_FE2,                     /* gate and up of one, of TERN_FE each */
  TERN_Q2,                      /* Q with gates beside */
  TERN_SC,                      /* channels that a state-space or linear-attention block convolves */
  TERN_SV,                      /* its values: all heads */
  TERN_SH,                      /* its (value) heads */
  TERN_SW,                      /* one of them */
  TERN_FS,                      /* inside of the shared one */
  TERN_LATENT,                  /* what experts see where that is not D */
  TERN_1,                       /* 1 */
  TERN_SSM_N,                   /* states of a state-space block */
  TERN_SSM_R,                   /* rank of its steps */
  TERN_SSM_G,                   /* its groups */
  TERN_SSM_DG,                  /* channels of a group */
  TERN_SSM_X,                   /* step, B and C together */
  TERN_SSM_IN,                  /* all that it projects its input to */
  TERN_N_DIMS,
} TernDim;

typedef struct {
  const char *name;             /* "blk.N." stands for every layer; the table ends with NULL */
  TernDim dims[3];              /* as in the file: the contiguous one first */
  gboolean optional;
  const char *also;             /* another name that files have for it */
} TernTensorRow;

/* Where tensors come from: a file seen through a family's table, at one layer. */
typedef struct {
  const TernGguf *file;
  const TernKernels *kernels;
  const char *architecture;
  const TernTensorRow *table;
  guint n_layers;
  guint n_extra;                /* behind them in the file: for heads that are not run */
  guint layer;
  guint64 dims[TERN_N_DIMS];
} TernBlockSource;

/* What a row means at this layer. */
typedef struct {
  char name[80];                /* in the file */
  guint n_dims;
  guint64 dims[3];
} TernTensorWant;

/* The tensor that the table calls @name or blk.N.@name. FALSE: it is not in the table, or optional and not in the file.
 * One that must be there and is not gives TRUE: requiring it makes the error. */
gboolean tern_block_wants (const TernBlockSource *source, const char *name, TernTensorWant *want);

/* Bound as a linear, loaded as floats, or as it is (several matrices in one). What tern_block_wants() does not want
 * gives TRUE and a cleared linear (rows 0) or NULL. Errors: those of tern_linear_load() and tern_gguf_require(). */
gboolean tern_block_linear (const TernBlockSource *source, TernLinear *linear, const char *name, GError **error);
gboolean tern_block_vector (const TernBlockSource *source, float **vector, const char *name, GError **error);
gboolean tern_block_tensor (const TernBlockSource *source, const TernTensor **tensor, const char *name,
    GError **error);

/* FORMAT unless each of the @n @values of the tensor that tern_block_vector() calls @name is a number from @low to @high. */
gboolean tern_block_check_values (const TernBlockSource *source, const char *name, const float *values, gsize n, float low,
    float high, GError **error);

/* The part of a tensor's name behind "blk.<number>.", and the number; NULL: it is in no layer. */
const char *tern_tensor_layer (const char *name, guint64 *layer);

/* Refuses a file with a tensor that the table does not have, when it is in a layer or has a name that other families
 * give a meaning: the results would not be what its makers meant. Others (heads for other tasks, notes) are nobody's
 * business. */
gboolean tern_block_check_names (const TernBlockSource *source, GError **error);

G_END_DECLS
