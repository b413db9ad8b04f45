/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrices that a file holds rotated: the contract of Bonsai's files (keys prism.hadamard.*). H is the Sylvester matrix of a
 * block, normalised, s a sign for each input feature of a width, the same for all matrices of that width:
 *
 *   named in weight_names:          y = W H (s x)         instead of W x
 *   token_embd.weight, if named in inverse_weight_names:  a row is s (H z) instead of z
 *
 * A file with such keys gives garbage when they are not heeded, so whatever is not understood in them is refused. Keys:
 * version (1; 2: tied_output, the rotated embedding is the head too), block_size, transform, axis, sign_mode, sign_widths,
 * sign_values, weight_names, inverse_weight_names, gdn_v_grouped (ssm_out's features are the value heads in groups that
 * share a key head, not in the order of the file's other tensors). */
#pragma once

#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct _TernRotations TernRotations;

/* *@rotations is NULL for a file without such keys. FORMAT or UNSUPPORTED names the key and says what it is. */
gboolean tern_rotations_load (const TernGguf *file, TernRotations **rotations, GError **error);
/* NULL-safe. */
void tern_rotations_free (TernRotations *rotations);
/* Tells @linear, bound to a tensor of the file, how it is rotated, if it is; @head: it is the head. Not packed yet. */
void tern_rotations_bind (TernRotations *rotations, TernLinear *linear, gboolean head);
/* After all: FORMAT when a name is left over that no matrix product has. */
gboolean tern_rotations_check (const TernRotations *rotations, GError **error);
/* Bytes of the signs. NULL-safe. */
gsize tern_rotations_bytes (const TernRotations *rotations);

G_END_DECLS
