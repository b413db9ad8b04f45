/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What Tern says about buffers.
 *
 * TernResultMeta is a GstCustomMeta on text and on video: its structure has the
 * fields of the result table, tern_result_fields(), and with metrics a nested
 * structure `metrics`. TernTokenMeta is a GstCustomMeta on visual tokens:
 * `number`, `late`, `after` (of a picture of two frames: from the PTS to the last
 * one), `utc`, `picture` (uint64; all but the first optional; frames of one picture
 * show nothing new and have the same tokens), `novelty` (double, with
 * `picture`: the share of the picture that is new), `grid-width`, `grid-height`, `n-tokens`
 * (uint), and on compressed frames `keep`, a GstValueArray of ascending
 * positions in the grid. Neither has tags, so that they survive scaling and
 * conversion. */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

#define GST_TERN_RESULT_META "TernResultMeta"
#define GST_TERN_RESULT_NAME "tern-result"      /* message, signal */
#define GST_TERN_TOKEN_META "TernTokenMeta"

void gst_tern_meta_register (void);

/* The structure of @result, named @name. (transfer full) */
GstStructure *gst_tern_result_to_structure (const TernResult * result,
    const gchar * name);
/* Fills @result with values, whose strings @structure keeps owning, and arrays
 * that gst_tern_result_clear() frees. FALSE, and nothing to free, when a field of
 * the result table is missing, has another type, or does not go with the
 * others. */
gboolean gst_tern_result_from_structure (TernResult * result,
    const GstStructure * structure);
void gst_tern_result_clear (TernResult * result);

/* @buffer must be writable; a result of the same source that it carries already
 * is replaced, those of others stay. */
void gst_tern_buffer_set_result (GstBuffer * buffer,
    const GstStructure * result);
/* Borrowed from @buffer; NULL without one. Of several, the first. */
const GstStructure *gst_tern_buffer_get_result (GstBuffer * buffer);
/* One after the other, in the order in which sources added theirs; *@state is
 * NULL at first. */
const GstStructure *gst_tern_buffer_next_result (GstBuffer * buffer,
    gpointer * state);

/* ---- Visual tokens ---- */

#define GST_TERN_TOKEN_CAPS \
  "tensor/strided, tensor-id = (string) visual-tokens, " \
  "type = (string) float32, embedding-dim = (int) [ 1, max ], " \
  "framerate = (fraction) [ 0, max ]"

typedef struct
{
  guint dim;                    /* floats of a row */
  guint deepstack;              /* features in it behind the token */
  gchar encoder_id[65];
  gint rate_n, rate_d;          /* ticks a second that frames are sampled at;
                                 * 0/1 when that is not known */
  guint frame_tokens;           /* of a frame, at most; 0 unknown */
  guint group_tokens;           /* of a compressed group, at most; 0 unknown */
} GstTernTokenInfo;

gboolean gst_tern_token_info_from_caps (GstTernTokenInfo * info,
    const GstCaps * caps);
GstCaps *gst_tern_token_info_to_caps (const GstTernTokenInfo * info);

/* A pool of buffers that hold up to @max_tokens tokens, active. */
GstBufferPool *gst_tern_token_pool_new (GstCaps * caps, guint max_tokens,
    guint dim);
/* Sets size, time and TernTokenMeta of a buffer from tern's description. */
void gst_tern_token_buffer_describe (GstBuffer * buffer,
    const TernTokens * tokens);

/* A mapped token buffer. */
typedef struct
{
  TernTokens tokens;
  GstMapInfo map;
  GArray *keep;                 /* gint32; kept from frame to frame */
} GstTernTokenMap;

/* Reads @buffer, which has no or a whole number of tokens. Without
 * TernTokenMeta the tokens count as one row, with @number. */
gboolean gst_tern_token_map (GstTernTokenMap * map, GstBuffer * buffer,
    const GstTernTokenInfo * info, guint64 number, GError ** error);
void gst_tern_token_unmap (GstTernTokenMap * map, GstBuffer * buffer);
void gst_tern_token_map_clear (GstTernTokenMap * map);

G_END_DECLS
