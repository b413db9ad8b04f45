/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/frame-store.h"

#include <string.h>

#include "engine/base/mem.h"
#include "tern/compress-group.h"

void
tern_frame_store_init (TernFrameStore *store, guint dim, guint deepstack, guint group_frames, guint max_groups)
{
  *store = (TernFrameStore) { .dim = dim, .deepstack = deepstack, .group_frames = group_frames, .max_groups = max_groups };
  store->groups = g_new0 (TernFrameGroup, max_groups);
}

void
tern_frame_store_clear (TernFrameStore *store)
{
  for (guint i = 0; i < store->max_groups; i++) {
    tern_mem_free (store->groups[i].tokens);
    tern_mem_free (store->groups[i].keep);
    tern_mem_free (store->groups[i].at);
    tern_mem_free (store->groups[i].mixed);
    g_free (store->groups[i].error);
  }
  g_clear_pointer (&store->groups, g_free);
  tern_mem_free (store->scratch);
}

/* Rows already in the group stay. */
static gboolean
grow (TernFrameStore *store, TernFrameGroup *group, guint capacity, GError **error)
{
  gsize row = (gsize) store->dim * sizeof (float);
  float *tokens;
  gint32 *keep, *at;

  if (group->capacity >= capacity)
    return TRUE;
  tokens = tern_mem_alloc (capacity * row, "visual tokens of a window", error);
  if (!tokens)
    return FALSE;
  keep = tern_mem_alloc (capacity * sizeof (gint32), "visual tokens of a window", error);
  at = keep ? tern_mem_alloc (capacity * sizeof (gint32), "visual tokens of a window", error) : NULL;
  if (!at) {
    tern_mem_free (tokens);
    tern_mem_free (keep);
    return FALSE;
  }
  if (group->total > 0) {
    memcpy (tokens, group->tokens, group->total * row);
    memcpy (at, group->at, group->total * sizeof (gint32));
  }
  tern_mem_free (group->tokens);
  tern_mem_free (group->keep);
  tern_mem_free (group->at);
  group->tokens = tokens;
  group->keep = keep;
  group->at = at;
  group->capacity = capacity;
  return TRUE;
}

/* Room for compressing @group by @params. */
static gboolean
make_room (TernFrameStore *store, TernFrameGroup *group, const TernCompressorParams *params, guint n_tokens, GError **error)
{
  gsize row = (gsize) store->dim * sizeof (float), mixed = group->mixed_capacity * row;
  gboolean ok = tern_compress_room (&store->scratch, &store->scratch_bytes,
      tern_compress_group_scratch (params, n_tokens, store->dim), error);

  if (ok && tern_compress_group_mixes (params)) {
    ok = tern_compress_room ((void **) &group->mixed, &mixed, group->capacity * row, error);
    group->mixed_capacity = (guint) (mixed / row);
  }
  return ok;
}

gboolean
tern_frame_store_reserve (TernFrameStore *store, const TernCompressorParams *params, guint n_groups, guint n_tokens,
    GError **error)
{
  for (guint i = 0; i < MIN (n_groups, store->max_groups); i++)
    if (!grow (store, &store->groups[i], store->group_frames * n_tokens, error)
        || !make_room (store, &store->groups[i], params, n_tokens, error))
      return FALSE;
  return TRUE;
}

/* Takes the oldest group out; its memory is the next one's, so that no more groups than are in use at once get any. */
static void
drop_oldest (TernFrameStore *store)
{
  TernFrameGroup group = store->groups[0];

  g_clear_pointer (&group.error, g_free);
  memmove (store->groups, store->groups + 1, (store->n - 1) * sizeof (group));
  store->groups[--store->n] = group;
}

TernFrameGroup *
tern_frame_store_begin (TernFrameStore *store, guint64 first)
{
  TernFrameGroup *group, memory;

  if (store->n == store->max_groups)
    drop_oldest (store);
  group = &store->groups[store->n++];
  memory = *group;
  *group = (TernFrameGroup) { .first = first, .whole = TRUE, .tokens = memory.tokens, .keep = memory.keep,
    .at = memory.at, .capacity = memory.capacity, .mixed = memory.mixed, .mixed_capacity = memory.mixed_capacity };
  return group;
}

TernFrameGroup *
tern_frame_store_open (TernFrameStore *store)
{
  TernFrameGroup *last = store->n > 0 ? &store->groups[store->n - 1] : NULL;

  return last && !last->closed ? last : NULL;
}

float *
tern_frame_store_rows (TernFrameStore *store, TernFrameGroup *group, guint n_tokens, GError **error)
{
  guint capacity = MAX (group->total + n_tokens, store->group_frames * n_tokens);

  /* A frame that nothing is left of has a place too. */
  if (!grow (store, group, MAX (capacity, 1), error))
    return NULL;
  for (guint i = 0; i < n_tokens; i++)
    group->at[group->total + i] = (gint32) i;
  group->placed[group->n_frames] = FALSE;
  return group->tokens + (gsize) group->total * store->dim;
}

void
tern_frame_store_place (TernFrameGroup *group, const gint32 *at, guint n_tokens)
{
  memcpy (group->at + group->total, at, n_tokens * sizeof (gint32));
  group->placed[group->n_frames] = TRUE;
}

/* As the first one of its group. */
static gboolean
is_alike (const TernFrameGroup *group, const TernStoredFrame *frame)
{
  return frame->n_tokens == group->n_tokens[0] && frame->grid_w == group->grid_w[0] && frame->grid_h == group->grid_h[0];
}

void
tern_frame_store_add (TernFrameGroup *group, const TernStoredFrame *frame)
{
  guint f = group->n_frames;

  g_assert (f < TERN_GROUP_FRAMES);
  if (frame->n_tokens != frame->full || (f > 0 && !is_alike (group, frame)))
    group->whole = FALSE;
  group->placed[f] |= frame->n_tokens == frame->full;
  group->grid_w[f] = frame->grid_w;
  group->grid_h[f] = frame->grid_h;
  group->begins[f] = frame->begins;
  group->pts[f] = frame->pts;
  group->after[f] = frame->after;
  group->picture[f] = frame->picture;
  group->novelty[f] = frame->novelty;
  group->n_tokens[f] = frame->n_tokens;
  group->n_frames++;
  group->total += frame->n_tokens;
  group->full += frame->full;
}

const float *
tern_frame_store_kept (const TernFrameGroup *group)
{
  return group->closed && group->is_mixed ? group->mixed : group->tokens;
}

void
tern_frame_store_close (TernFrameStore *store, TernFrameGroup *group, const TernCompressorParams *params)
{
  gint64 begin = g_get_monotonic_time ();
  gint32 *keep = group->keep;
  g_autoptr (GError) error = NULL;

  group->closed = TRUE;
  if (group->n_frames == 0)
    return;
  if (group->whole && group->n_tokens[0] > 0 && make_room (store, group, params, group->n_tokens[0], &error)) {
    TernTokenGroup tokens = { .tokens = group->tokens, .n_frames = group->n_frames, .n_tokens = group->n_tokens[0],
      .dim = store->dim, .main = store->dim / (1 + store->deepstack), .index = group->first / store->group_frames,
      .grid_w = group->grid_w[0], .grid_h = group->grid_h[0] };

    group->is_mixed = tern_compress_group_mixes (params);
    tern_compress_group_run (params, &tokens, group->first, store->scratch, group->keep, group->n_keep, group->mixed);
  } else {
    if (error && !group->error)
      group->error = g_strdup (error->message);
    /* Compressed before it came here. */
    for (guint f = 0; f < group->n_frames; keep += group->n_tokens[f++]) {
      for (guint i = 0; i < group->n_tokens[f]; i++)
        keep[i] = (gint32) i;
      group->n_keep[f] = group->n_tokens[f];
    }
  }
  group->compress_ms = (double) (g_get_monotonic_time () - begin) / 1000;
}

void
tern_frame_store_release (TernFrameStore *store, guint64 next)
{
  while (store->n > 0 && store->groups[0].first < next)
    drop_oldest (store);
}
