/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of shapes: how one is laid out, and what its tensors and vocabulary are filled with. */
#pragma once

#include "tools/bench-shape.h"

G_BEGIN_DECLS

typedef struct {
  char *name;
  const TernTypeInfo *type;
  guint n_dims;
  guint64 dims[4];
} TernShapeTensor;

struct _TernShape {
  const TernTypeInfo *type;     /* of matrices; NULL: as in the file that is imitated */
  guint32 file_type;
  TernGgufWriter *writer;
  GArray *tensors;              /* of TernShapeTensor */
  guint64 packed;
  double agree;                 /* of a chain; 0: none */
};

/* ---- bench-shape.c ---- */

/* One more; of @type, or NULL: that of the shape where @name is a matrix, else F32. */
void tern_shape_tensor (TernShape *shape, const char *name, const TernTypeInfo *type, guint n_dims, const guint64 *dims);
void tern_shape_vector (TernShape *shape, guint n, const char *format, ...) G_GNUC_PRINTF (3, 4);
void tern_shape_matrix (TernShape *shape, guint cols, guint rows, const char *format, ...) G_GNUC_PRINTF (4, 5);

typedef struct {
  const char *name;
  guint32 value;
} TernShapeNumber;

/* Keys that begin with @prefix. */
void tern_shape_numbers (TernShape *shape, const char *prefix, const TernShapeNumber *numbers, gsize n);

/* ---- bench-shape-vision.c ---- */

#define TERN_VISION_SHAPES 3

const char *tern_vision_shape_name (guint i);
/* Nothing where @name is none of them. */
void tern_vision_shape_lay_out (TernShape *shape, const char *name);

/* ---- What they are filled with ---- */

/* bench-vocabulary.c: byte-level BPE of random merges with the family's special tokens in their places, and the chat
 * template. */
typedef enum {
  TERN_VOCABULARY_LFM2,
  TERN_VOCABULARY_LLAMA3,
  TERN_VOCABULARY_QWEN3VL,
  TERN_VOCABULARY_QWEN35,
  TERN_N_VOCABULARIES
} TernVocabulary;

void tern_vocabulary_write (TernGgufWriter *writer, TernVocabulary family, guint n_tokens);

/* bench-chain.c: token_embd.weight and output.weight of models that say a chain. */
gboolean tern_chain_write (const TernShapeTensor *tensor, double agree, TernGgufWriter *writer, GError **error);

/* bench-values.c: random blocks. */
typedef struct _TernValues TernValues;
TernValues *tern_values_new (void);
void tern_values_free (TernValues *values);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernValues, tern_values_free)
gboolean tern_values_write (TernValues *values, const TernShapeTensor *tensor, TernGgufWriter *writer, GError **error);

G_END_DECLS
