/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GGUF files in the shape of known models with random weights: for speed and memory, where values do not matter. What is
 * written is a function of shape and type alone, and llama.cpp loads it too. */
#pragma once

#include "engine/weights/gguf-write.h"

G_BEGIN_DECLS

#define TERN_SHAPE_SHIPPED "shipped"    /* the bundled model's */

/* Terminated by NULL; "shipped" is the last. */
const char *const *tern_shape_names (void);
/* Whether it is one that chains are made of: bitnet-2b, lfm2-1.2b, lfm2-350m. */
gboolean tern_shape_is_text (const char *name);
/* Whether it is a vision encoder. */
gboolean tern_shape_is_vision (const char *name);

/* F32, F16, BF16 and what `tern quantize` makes; NULL: @name is none of them. *@file_type: its general.file_type. */
const TernTypeInfo *tern_shape_type (const char *name, guint32 *file_type);
/* The names, for messages. */
#define TERN_SHAPE_TYPES "F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K, TQ1_0, TQ2_0, Q2_0, PQ2_0 or PTQ1_0"

typedef struct _TernShape TernShape;

/* Lays out shape @name, one of the above. @type: of the matrices, where their rows allow it, NULL for the shape's own:
 * TQ2_0 (shipped: as in the file; vision encoders: F16). Embeddings and output are Q8_0 beside ternary types, Q6_K beside
 * those of 4 and 6 bits; bonsai-2b has all in @type, and with Q2_0, PQ2_0 and PTQ1_0 its rotation. @shipped: the file of
 * "shipped", else NULL. */
TernShape *tern_shape_new (const char *name, const char *type, const TernGguf *shipped);
/* The same of a text shape whose model says a known chain of tokens; its embeddings are 64 and more columns of a type with blocks.
 * Two of them, of one vocabulary and the second with @agree < 1, say the same token behind that share of tokens. */
TernShape *tern_shape_new_chain (const char *name, const char *type, double agree);
void tern_shape_free (TernShape *shape);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernShape, tern_shape_free)

/* Of the whole file, and of the matrices in the form in which they are repacked at load. */
guint64 tern_shape_bytes (const TernShape *shape);
guint64 tern_shape_packed_bytes (const TernShape *shape);

/* Writes the file, once: as @path, or to @fd, see gguf-write.h. */
gboolean tern_shape_save (TernShape *shape, const char *path, GError **error);
gboolean tern_shape_write (TernShape *shape, int fd, const char *name, GError **error);

G_END_DECLS
