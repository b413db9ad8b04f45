/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One weight matrix, bound to the kernels: y = x W^T (+ bias).
 *
 * Binding reads none of the tensor's bytes; tern_linear_pack() then does what has to be done once at load: ternary
 * tensors (TQ1_0, TQ2_0 whose blocks all carry one scale, I2_S, IQ1_BN, IQ2_BN) are repacked to the ternary layout of
 * the kernels, and run on per-token int8 activations: the exact BitNet arithmetic. So are Q1_0, Q2_0, PQ2_0 and PTQ1_0,
 * whose blocks have scales of their own and may hold +2. Block types (TernBlocks) run from the
 * map on int8 blocks of 32; F32, F16 and BF16 run from the map on float activations; every other type is expanded a few
 * rows at a time to float.
 * TERN_ACTIVATIONS_F32 computes every type from float activations and expanded weights.
 *
 * A matrix may be rotated (rotation.h): its input is turned before it is quantised, by the thread that quantises it and row by
 * row. Linears that are turned alike share that. The same holds where a model says how its inputs are rounded (activations.h):
 * ternary forms run on those integers, all others on the floats that they stand for, whatever their type.
 *
 * "One scale" allows blocks of scale 0 (a quantiser writes them for blocks of zeros): they become zero digits. Ternary
 * tensors with several scales, or with the digit 3, and F32, F16 or BF16 tensors at addresses that are not multiples
 * of their size are expanded. */
#pragma once

#include <glib.h>
#include "engine/base/threads.h"
#include "engine/kernels/kernels.h"
#include "engine/weights/gguf.h"

G_BEGIN_DECLS

typedef enum {
  TERN_ACTIVATIONS_INT8,        /* what runs */
  TERN_ACTIVATIONS_F32,         /* no activation quantisation: debugging and references */
} TernActivations;

/* How the matrix is stored and run. */
typedef enum {
  TERN_FORM_T2,
  TERN_FORM_T2S,                /* with a scale for each block: panels of T2, or of the table's layout */
  TERN_FORM_BLOCKS,
  TERN_FORM_F32,
  TERN_FORM_F16,
  TERN_FORM_BF16,
  TERN_FORM_EXPAND,
} TernForm;

/* x' = H (s x): the orthonormal transform of each @block of x, times signs before. */
typedef struct {
  guint width, block;           /* of x; a divisor of it, a power of two */
  const float *signs;           /* [width] +-1; NULL: none */
  /* Above 1: x is @value_heads heads, of which f reads key head f mod key_heads; first they are put in the order of key
   * heads, those that read the first one before the others. */
  guint key_heads, value_heads;
} TernRotation;

/* What becomes of rows of input before a product, where a model's policy says so (activations.h). */
typedef enum {
  TERN_ROUNDING_FORM,           /* what the form below takes: none */
  TERN_ROUNDING_I8,             /* quant_i8 */
  TERN_ROUNDING_I4,             /* quant_i4 */
  TERN_ROUNDING_I8_TOP,         /* the half of largest magnitude alone, then quant_i8 */
} TernRounding;

typedef struct _TernLinear TernLinear;

struct _TernLinear {
  const TernKernels *kernels;
  const TernTypeInfo *type;
  const char *name;             /* of the tensor, borrowed from the file */
  TernForm form;                /* T2 is a plan until the linear is packed: the values may be other than ternary */
  guint rows, cols;             /* output, input features */
  const guint8 *data;           /* the rows as in the file, mapped */
  const guint8 *tail;           /* of the tensor, see types.h; NULL without one */
  guint8 *packed;               /* T2, T2S: panels as the kernels want them, owned; else NULL */
  guint groups;                 /* T2, T2S: groups of a row */
  float scale;                  /* T2: of the tensor; 1 with row_scale */
  float *row_scale;             /* T2: [rows], owned, where rows differ; else NULL */
  float factor;                 /* multiplies all outputs; 1 but for a scale in a tensor of its own */
  gboolean mapped;              /* data lies in a mapped file */
  gboolean packable;            /* T2 or T2S when it was bound */
  gboolean binary;              /* T2: of the signs of what is in the file */
  guint parts;                  /* T2S: scales in a group */
  const TernRotation *rotation; /* of its input; NULL: none. Borrowed, as is the next */
  TernRounding rounding;        /* of its input, turned or not */
  /* The weights are not rotated, though the input is: rounded rows are turned back, and the product is on floats. For studies of
   * what rounding costs there. */
  gboolean turns_back;
  const TernRotation *row_rotation;     /* tern_linear_row() gives s (H row); NULL: the row as it is */
  gboolean borrowed, scale_borrowed;    /* packed, row_scale are somebody else's (packing.h) */
  TernBlocks blocks;            /* BLOCKS: which */
  /* Where the order of linears is always the same, set by who knows it (NULL: unknown): the one after this in the same run of
   * the pool, and, of the first in a run, the first of the run after. */
  const TernLinear *beside, *next;
  gboolean in_step;             /* with `beside`: pieces are rows of both */
};

/* Binds @tensor ([cols, rows] in file order), whose bytes must outlive @linear. Errors: UNSUPPORTED (type), FORMAT
 * (shape); they name the tensor. */
gboolean tern_linear_init (TernLinear *linear, const TernTensor *tensor, const TernKernels *kernels, GError **error);
/* The same for matrix @index of a tensor [cols, rows, n] (experts). */
gboolean tern_linear_init_slice (TernLinear *linear, const TernTensor *tensor, guint index, const TernKernels *kernels,
    GError **error);
/* To be called once before the first run. One pass over a ternary tensor, its rows split over @pool (NULL: the calling
 * thread alone); nothing for the others. Errors: NO_SPACE. */
gboolean tern_linear_pack (TernLinear *linear, TernPool *pool, GError **error);
/* The same into @place, which is borrowed: tern_linear_packed_bytes() that are zero, TERN_ALIGN-aligned. */
gboolean tern_linear_pack_into (TernLinear *linear, void *place, TernPool *pool, GError **error);
/* Whether tern_linear_pack() has something to do; and of what is or was so: bytes and T2 groups of the packed form. */
gboolean tern_linear_is_packable (const TernLinear *linear);
gsize tern_linear_packed_bytes (const TernLinear *linear);
/* The order of its panels: T2 for digits that other layouts do not have. */
const TernTernaryLayout *tern_linear_layout (const TernLinear *linear);
guint tern_linear_groups (const TernLinear *linear);
/* tern_gguf_require + init for tensor @name of @cols x @rows. A tensor of one value beside it, named ".scale" instead
 * of ".weight", multiplies the matrix (BitNet files of ik_llama.cpp, whose matrices hold -1, 0 and +1). */
gboolean tern_linear_load (TernLinear *linear, const TernGguf *file, const char *name, guint cols, guint rows,
    const TernKernels *kernels, GError **error);
/* From now on it packs its binary form, whatever its type: sign (w - mean w) times mean |w| (activations.h). Not packed yet.
 * UNSUPPORTED: too many columns. Packing then has the error FORMAT where values are not finite. */
gboolean tern_linear_make_binary (TernLinear *linear, GError **error);
void tern_linear_clear (TernLinear *linear);    /* NULL-safe on half-built ones (zeroed memory) */

/* Bytes that @linear needs in every worker's pool scratch, whatever the activations. */
gsize tern_linear_scratch (const TernLinear *linear);
/* Bytes that it owns beside the map; before it is packed, those that it will own if it is what its type says. */
gsize tern_linear_owned (const TernLinear *linear);

/* Of a row in the file. */
static inline gsize
tern_linear_row_bytes (const TernLinear *linear)
{
  return tern_type_row_bytes (linear->type, linear->cols);
}

/* One row of W as floats (token embedding), turned back where it is stored rotated. */
void tern_linear_row (const TernLinear *linear, guint row, float *dst);

/* The input of one or several linears (q, k and v share one): float rows, turned and quantised when a linear first asks. */
typedef struct _TernLinearInput TernLinearInput;
struct _TernLinearInput {
  const TernKernels *kernels;
  TernActivations mode;
  const float *x;               /* [n, cols], rows ldx apart */
  gsize ldx;
  guint n, cols;
  guint few;                    /* the first so many rows are summed in the order for few, the others for many rows */
  gint8 *i8;                    /* per-token form; rows of cols rounded up to 128 */
  float *i8_scale;
  gint32 *i8_sum;
  gint32 *i8_part;              /* sums of TERN_T2S_SUM columns; rows of cols rounded up to 128 / TERN_T2S_SUM */
  TernQ8Block *q8;              /* block form */
  gboolean has_i8, has_part, has_q8;
  /* The same rows turned or rounded, all of them, which linears that want it see instead; in its memory, once one asked. */
  TernLinearInput *turned;
  const TernLinear *turned_for; /* NULL: nobody yet */
  guint first;                  /* the row of it that is row 0 here */
};

/* Rows up to which the order for few (kernels.h) is the faster one. */
#define TERN_LINEAR_FEW 4

/* Whether @linear reads the rows as they are, or turned or rounded. */
static inline gboolean
tern_linear_turns (const TernLinear *linear)
{
  return linear->rotation != NULL || linear->rounding != TERN_ROUNDING_FORM;
}

/* Scratch for an input of at most @n x @cols; and more for one that linears read which turn it. Both are too large to be had, and
 * do not wrap when added to something, where they are. */
gsize tern_linear_input_bytes (guint n, guint cols);
gsize tern_linear_turned_bytes (guint n, guint cols);
/* Puts all rows in one order of summation, by their number: up to TERN_LINEAR_FEW few. Who puts rows together that must
 * not see each other says so in @few, before the first run. */
void tern_linear_input_init (TernLinearInput *input, void *scratch, const TernKernels *kernels, TernActivations mode,
    const float *x, gsize ldx, guint n, guint cols);

/* y[t * ldy + r] for all n rows of the input; @bias [rows] or NULL. Splits rows over @pool, whose scratch must hold
 * tern_linear_scratch() bytes. @pool may be NULL only for a linear that needs no scratch. Allocates nothing. */
void tern_linear_run (const TernLinear *linear, TernLinearInput *input, const float *bias, float *y, gsize ldy,
    TernPool *pool);

/* The same in slices (tern_pool_run_until): FALSE when @cancel was raised before the end; what is left of @y is as it was.
 * The bits are the same however it is cut. */
gboolean tern_linear_run_until (const TernLinear *linear, TernLinearInput *input, const float *bias, float *y, gsize ldy,
    TernPool *pool, TernCancel *cancel);

/* The same for up to TERN_LINEAR_BESIDE linears on one input, with 2^31 rows together at most, in one run of the pool: they do
 * not wait for each other. While threads wait for others at the end, they fetch the beginning of what the first one's `next`
 * will read.
 * With @then, they have as many rows, and whoever computed rows of all of them calls @then for these rows: what is done with
 * outputs one by one is done while they are at hand. */
#define TERN_LINEAR_BESIDE 3
typedef struct {
  const TernLinear *linear;
  const float *bias;
  float *y;
  gsize ldy;
} TernLinearProduct;
gboolean tern_linear_run_beside (const TernLinearProduct *products, guint n, TernLinearInput *input, TernPoolFunc then,
    void *then_data, TernPool *pool, TernCancel *cancel);

/* The same in pieces, for several linears that share one run of the pool: tern_linear_ready() for each, then rows
 * [begin, end) from any worker, begin a multiple of TERN_LINEAR_GRAIN (whole panels in every layout). */
#define TERN_LINEAR_GRAIN TERN_TERNARY_ROWS_MAX
/* The rows that pieces for this input should be multiples of, which may be fewer (and suffices for begin) or more; itself a
 * multiple of TERN_LINEAR_UNIT. */
#define TERN_LINEAR_UNIT TERN_T2_ROWS
guint tern_linear_grain (const TernLinear *linear, const TernLinearInput *input);
void tern_linear_ready (const TernLinear *linear, TernLinearInput *input, TernPool *pool);
void tern_linear_rows (const TernLinear *linear, const TernLinearInput *input, const float *bias, float *y, gsize ldy,
    guint begin, guint end, TernPool *pool, guint worker);
/* Rows [first, first + n) of an input that is ready for all that will run on them. */
TernLinearInput tern_linear_input_part (const TernLinearInput *input, guint first, guint n);

G_END_DECLS
