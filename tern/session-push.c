/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames on their way into a session: sampled by time, copied, put into groups and windows. Pushing never waits for the
 * engine. */
#include "tern/planes.h"
#include "tern/session-priv.h"
#include "tern/tokens.h"

#include <string.h>

/* Frames of a window when every frame is to be looked at and nobody says how many. */
#define FRAMES_UNLIMITED 32

/* ---- Slots ---- */

/* A slot of @bytes, or NULL + BUSY or NO_SPACE. A live session drops what is older for it; at last the window that comes
 * in, and its rest is passed over. Under the lock. */
static TernFrameSlot *
take_slot (TernSession *self, gsize bytes, GError **error)
{
  TernFrameSlot *slot;

  if (self->live && !tern_work_queue_make_room (&self->queue, bytes)) {
    self->queue.dropped += self->windower.n_marks > 0;
    tern_windower_pass_over (&self->windower);
  }
  slot = tern_work_queue_take_slot (&self->queue, bytes, error);
  if (!slot)
    self->refused_bytes = bytes;
  return slot;
}

/* ---- Windows ---- */

gboolean
tern_session_plan_windows (TernSession *self, const TernSessionParams *params, TernWindowPlan *plan, GError **error)
{
  guint rate_n = params->rate_n, rate_d = params->rate_d, most = params->max_frames, frame_n = rate_n, frame_d = rate_d;
  guint64 frames = FRAMES_UNLIMITED;

  self->tokens_only = params->tokens_only;
  self->pairs = self->vision && !params->tokens_only && tern_vision_info (self->vision)->frames == 2;
  self->looks_back = self->pairs && tern_vision_info (self->vision)->looks_back;
  if (self->pairs) {            /* from here on, of pictures */
    if (rate_d <= G_MAXUINT / 2)
      rate_d *= 2;
    else
      rate_n = (rate_n + 1) / 2;
    most = most / 2 + most % 2;
  }
  if (most > TERN_GROUP_FRAMES)
    most -= most % TERN_GROUP_FRAMES;
  if (rate_n > 0)
    frames = tern_window_round (params->window, rate_n, rate_d, TERN_GROUP_FRAMES);
  if (most == 0)
    most = (guint) MIN (frames, TERN_WINDOW_FRAMES_MAX + 1);
  if (most > TERN_WINDOW_FRAMES_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "frames of a window: expected at most %u, found %s%u; a shorter "
        "window, a lower rate or max_frames would do", TERN_WINDOW_FRAMES_MAX, params->max_frames ? "" : "more than ",
        params->max_frames ? most : TERN_WINDOW_FRAMES_MAX);
    return FALSE;
  }

  self->thin = rate_n == 0 || frames > most;
  self->max_frames = self->thin ? most : (guint) frames;
  self->group_frames = MIN (self->max_frames, TERN_GROUP_FRAMES);
  if (self->thin) {
    /* As many ticks in a window as it may have frames. */
    guint64 ms = MAX (params->window / 1000000, 1);

    rate_n = self->max_frames * 1000;
    rate_d = (guint) MIN (ms, G_MAXUINT32);
    frame_n = rate_n * (self->pairs ? 2 : 1);
    frame_d = rate_d;
  }
  tern_frame_sampler_init (&self->sampler, frame_n, frame_d);
  *plan = (TernWindowPlan) { .group = self->group_frames, .window = self->max_frames, .rate_n = rate_n, .rate_d = rate_d,
    .hop = self->max_frames, .eager = self->live };
  if (params->hop)
    plan->hop = tern_window_round (params->hop, rate_n, rate_d, self->group_frames);
  return TRUE;
}

void
tern_session_windows (TernSession *self, guint64 *window, guint64 *hop)
{
  g_return_if_fail (self != NULL && window != NULL && hop != NULL);
  *window = self->windower.window;
  *hop = self->windower.hop;
}

static void
append_frame (TernSession *self, const TernWork *frame)
{
  self->last_pushed = frame->pushed;
  self->ended = FALSE;
  self->stats.frames_sampled++;
  tern_work_queue_append (&self->queue, frame);
}

/* Puts @frame (or NULL) into the queue, and the windows that were closed around it: before it what ended before. Whether
 * there was anything. Under the lock. */
static gboolean
append_closed (TernSession *self, const TernWork *frame)
{
  TernWork work = { .kind = TERN_WORK_WINDOW };
  gboolean any = frame != NULL;

  while (tern_windower_next (&self->windower, &work.window)) {
    if (frame && work.window.end > frame->frame) {
      append_frame (self, frame);
      frame = NULL;
    }
    work.config = tern_session_config_ref (self->config);
    work.pushed = self->last_pushed;
    tern_work_queue_append (&self->queue, &work);
    if (self->live)
      tern_work_queue_keep_newest (&self->queue);
    any = TRUE;
  }
  if (frame)
    append_frame (self, frame);
  return any;
}

/* ---- Pictures of two frames ---- */

static void enqueue (TernSession *self, TernWorkKind kind, TernFrameSlot *slot, guint64 at, guint64 pts, gboolean new_group);

/* What waits is a picture, with or without a second frame. Under the lock. */
static void
enqueue_half (TernSession *self)
{
  TernFrameSlot *slot = g_steal_pointer (&self->half);

  if (slot)
    enqueue (self, TERN_WORK_FRAME, slot, self->half_at, self->half_pts, self->half_first);
}

/* The stream has come to @time: whether no second frame is going to come, and what waits went into the queue. Under the lock. */
static gboolean
give_up_half (TernSession *self, guint64 time)
{
  if (!self->half || (time >= self->half_at && time - self->half_at <= self->windower.tick))
    return FALSE;
  enqueue_half (self);
  return TRUE;
}

/* What comes follows nothing. Under the lock. */
static void
forget_latest (TernSession *self)
{
  if (self->latest)
    tern_work_queue_return_slot (&self->queue, g_steal_pointer (&self->latest));
}

void
tern_session_end_picture (TernSession *self)
{
  if (!self->half)
    return;
  enqueue_half (self);
  forget_latest (self);
}

void
tern_session_drop_half (TernSession *self)
{
  if (self->half)
    tern_work_queue_return_slot (&self->queue, g_steal_pointer (&self->half));
  forget_latest (self);
}

/* A picture of one frame or two takes the reference to the frame before it, and there is one to its last. Whether it is
 * looked at, in a window or between two, changes nothing for the next one. Under the lock. */
static void
follow (TernSession *self, TernFrameSlot *slot, gboolean new_group)
{
  if (new_group)
    forget_latest (self);
  slot->before = self->latest;
  self->latest = tern_work_queue_hold_slot (slot->second ? slot->second : slot);
}

/* A frame that has its slot. Under the lock. */
static void
pair_frame (TernSession *self, TernFrameSlot *slot, guint64 at, guint64 pts, gboolean new_group)
{
  if (self->half && !new_group) {
    self->half->second = slot;
    self->half->between = self->half_pts + (pts - self->half_pts) / 2;
    self->half->after = pts - self->half->between;
    self->stats.frames_sampled++;
    enqueue_half (self);
    return;
  }
  enqueue_half (self);
  self->half = slot;
  self->half_at = at;
  self->half_pts = pts;
  self->half_first = new_group;
}

/* ---- Stretches ---- */

void
tern_session_end_stretch (TernSession *self)
{
  enqueue_half (self);
  forget_latest (self);
  self->over_stretch = self->windower.stretch;
  self->over = self->seen.end;
  tern_session_drop_previews (self, G_MAXUINT64);
  tern_windower_finish (&self->windower, self->seen.end);
  append_closed (self, NULL);
  self->stretch_first = self->windower.count;
  self->states.may_restart = TRUE;
  tern_session_forget_seen (self);
}

guint64
tern_session_end_of (const TernSession *self, const TernWindow *window)
{
  if (window->stretch != self->over_stretch || window->end_time <= self->over || self->over <= window->start_time)
    return window->end_time;
  return self->over;
}

void
tern_session_forget_seen (TernSession *self)
{
  self->seen = (TernSeen) { .pts = TERN_TIME_NONE, .end = TERN_TIME_NONE };
  self->token_group = G_MAXUINT64;
}

/* How far the stream has come: whether that gave the engine something to do. Under the lock.
 *
 * The last frame seen, looked at or not, says where a stretch ends: after the time that it stands for. Where that is not
 * said, it stands for as long as the frame before. Not every duration is true either: the pictures of a slide show are
 * said to stand for 40 ms in some containers. If so of the frame before, by more than a tick, it is of this one, unless the
 * caller is @sure, or a frame did stand as long as was said: then it was a pause of the recording. */
static gboolean
see (TernSession *self, guint64 pts, guint64 duration, gboolean sure)
{
  TernSeen *seen = &self->seen;
  guint64 stated = duration == TERN_TIME_NONE ? 0 : duration, stands = stated, since;
  gboolean more, kept;
  /* Tokens come of some frames only: the one that stood so long may be another. */
  guint64 doubt = self->has_tokens ? MAX (self->windower.tick, 2 * TERN_SECOND) : self->windower.tick;

  if (seen->pts != TERN_TIME_NONE && pts < seen->pts)
    return FALSE;
  more = give_up_half (self, pts + stated);
  tern_windower_see (&self->windower, pts, pts + stated);
  more |= append_closed (self, NULL);
  if (seen->pts == pts) {
    /* The same frame again: what is said of it for certain is better. */
    if (sure && stated > 0)
      seen->end = pts + stated;
    return more;
  }
  since = seen->pts != TERN_TIME_NONE ? pts - seen->pts : 0;
  kept = seen->kept || (since > 0 && seen->stated > 0 && since <= seen->stated + (self->has_tokens ? doubt : seen->stated));
  if (stated == 0 || (!sure && !kept && seen->stated > 0 && since > seen->stated + doubt))
    stands = MAX (stands, since);
  *seen = (TernSeen) { .pts = pts, .stated = stated, .end = stands > 0 ? pts + stands : TERN_TIME_NONE, .kept = kept };
  return more;
}

static gboolean
check_time (guint64 pts, guint64 duration, GError **error)
{
  if (pts <= G_MAXINT64 && (duration <= G_MAXINT64 || duration == TERN_TIME_NONE))
    return TRUE;
  if (pts == TERN_TIME_NONE)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "frame: expected a time stamp, found none");
  else
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "frame: expected times below 2^63 ns, found %" G_GUINT64_FORMAT
        " for %" G_GUINT64_FORMAT, pts, duration);
  return FALSE;
}

/* Puts a frame that has its slot into the queue, windows that end before or with it around it. Under the lock. */
static void
enqueue (TernSession *self, TernWorkKind kind, TernFrameSlot *slot, guint64 at, guint64 pts, gboolean new_group)
{
  TernWindowVerdict verdict;
  TernWork work = { .kind = kind, .slot = slot, .frame = self->windower.count, .begins = at,
    .pts = slot->second ? slot->between : pts, .pushed = g_get_monotonic_time (),
    .config = tern_session_config_ref (self->config) };

  if (self->looks_back)
    follow (self, slot, new_group);
  verdict = tern_windower_add (&self->windower, at, pts, new_group);
  work.first = verdict == TERN_WINDOW_TAKE_FIRST;
  work.stretch = self->windower.stretch;
  append_closed (self, verdict == TERN_WINDOW_SKIP ? NULL : &work);
  if (verdict == TERN_WINDOW_SKIP)
    tern_work_queue_release (&self->queue, &work);
}

/* ---- Pushing ---- */

/* A frame that is not looked at. */
static void
see_and_unlock (TernSession *self, guint64 pts, guint64 duration, gboolean sure)
{
  gboolean more = see (self, pts, duration, sure);

  g_mutex_unlock (&self->lock);
  if (more)
    tern_scheduler_kick (self->model->scheduler, &self->client);
}

gboolean
tern_session_push_frame (TernSession *self, const TernImage *image, guint64 pts, guint64 duration, GError **error)
{
  TernPlanes planes;
  gsize bytes;
  TernFrameSampler sampler;
  TernFrameSlot *slot;
  gboolean new_group;
  guint64 at;
  guint epoch, width, height;

  g_return_val_if_fail (self != NULL && image != NULL, FALSE);
  if (!check_time (pts, duration, error) || !tern_planes_of (image, &planes, error))
    return FALSE;
  if (!self->vision || self->has_tokens || self->tokens_only) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, self->vision ? "a session that was given visual tokens takes no frames"
        : "%s: expected a model opened with TERN_MODEL_VISION for frames, found one without", self->text->name);
    return FALSE;
  }
  bytes = tern_planes_bytes (&planes);

  g_mutex_lock (&self->lock);
  sampler = self->sampler;
  if (!tern_frame_sampler_take (&sampler, pts)) {
    self->stats.frames_in++;
    see_and_unlock (self, pts, duration, FALSE);
    return TRUE;
  }
  slot = take_slot (self, bytes, error);
  if (!slot) {
    g_mutex_unlock (&self->lock);
    return FALSE;
  }
  epoch = self->epoch;
  g_mutex_unlock (&self->lock);

  tern_planes_copy (&planes, image, slot->data, &slot->image);
  tern_vision_shown_size (image, &width, &height);

  g_mutex_lock (&self->lock);
  self->stats.frames_in++;
  if (self->epoch != epoch) {
    /* Flushed meanwhile: the frame belongs to what was dropped. */
    tern_work_queue_return_slot (&self->queue, slot);
    g_mutex_unlock (&self->lock);
    return TRUE;
  }
  at = pts - tern_frame_sampler_late (&sampler, pts);
  if (tern_windower_is_jump (&self->windower, at) || (self->half && (at < self->half_at || pts < self->half_pts))
      || (self->has_frames && (width != self->width || height != self->height)))
    tern_session_end_stretch (self);
  new_group = self->sampler.origin != TERN_TIME_NONE && sampler.origin != self->sampler.origin;  /* the grid began anew */
  self->sampler = sampler;
  self->has_frames = TRUE;
  tern_session_drop_previews (self, G_MAXUINT64);
  self->width = width;
  self->height = height;
  if (self->pairs)
    pair_frame (self, slot, at, pts, new_group);
  else
    enqueue (self, TERN_WORK_FRAME, slot, at, pts, new_group);
  see (self, pts, duration, FALSE);
  g_mutex_unlock (&self->lock);
  tern_scheduler_kick (self->model->scheduler, &self->client);
  return TRUE;
}

void
tern_session_see (TernSession *self, guint64 pts, guint64 duration)
{
  g_return_if_fail (self != NULL);
  if (!check_time (pts, duration, NULL))
    return;
  g_mutex_lock (&self->lock);
  if (duration > 0) {
    see_and_unlock (self, pts, duration, TRUE);
    return;
  }
  give_up_half (self, pts);
  tern_windower_see (&self->windower, pts, pts);
  append_closed (self, NULL);
  g_mutex_unlock (&self->lock);
  tern_scheduler_kick (self->model->scheduler, &self->client);
}

gboolean
tern_session_check_tokens (TernSession *self, const TernTokens *tokens, GError **error)
{
  if (tokens->dim != self->store.dim) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "visual tokens for %s: expected %u numbers each, found %u",
        self->text->name, self->store.dim, tokens->dim);
    return FALSE;
  }
  if (tokens->n_tokens > TERN_FRAME_TOKENS_MAX || (tokens->n_tokens > 0 && !tokens->tokens)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "visual tokens: expected at most %u in a frame, found %u%s",
        TERN_FRAME_TOKENS_MAX, tokens->n_tokens, tokens->tokens ? "" : " without data");
    return FALSE;
  }
  if (self->has_frames) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID,
        "a session that was given frames takes no visual tokens");
    return FALSE;
  }
  if (!check_time (tokens->pts, tokens->duration, error))
    return FALSE;
  if (tokens->after <= G_MAXINT64 - tokens->pts)
    return tern_tokens_check_places (tokens, error) && tern_tokens_check_numbers (tokens, error);
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "visual tokens: expected a last frame below 2^63 ns, found %"
      G_GUINT64_FORMAT " after %" G_GUINT64_FORMAT, tokens->after, tokens->pts);
  return FALSE;
}

gboolean
tern_session_push_tokens (TernSession *self, const TernTokens *tokens, GError **error)
{
  guint64 group, full, at = tokens->pts - MIN (tokens->late, tokens->pts);
  TernFrameSampler sampler;
  TernFrameSlot *slot;
  gboolean new_group;
  gsize bytes, places;

  g_return_val_if_fail (self != NULL && tokens != NULL, FALSE);
  if (!tern_session_check_tokens (self, tokens, error))
    return FALSE;
  bytes = (gsize) tokens->n_tokens * tokens->dim * sizeof (float);
  places = tokens->keep ? tokens->n_tokens * sizeof (gint32) : 0;
  group = tokens->number / TERN_GROUP_FRAMES;
  full = MAX ((guint64) tokens->grid_w * tokens->grid_h, tokens->n_tokens);

  g_mutex_lock (&self->lock);
  sampler = self->sampler;
  if (self->thin && !tern_frame_sampler_take (&sampler, at)) {
    self->stats.frames_in++;
    tern_session_drop_previews (self, tokens->number);
    see_and_unlock (self, tokens->pts, tokens->duration, FALSE);
    return TRUE;
  }
  slot = take_slot (self, bytes + places, error);
  if (!slot) {
    g_mutex_unlock (&self->lock);
    return FALSE;
  }
  if (bytes > 0)
    memcpy (slot->data, tokens->tokens, bytes);
  if (places > 0)
    memcpy (slot->data + bytes, tokens->keep, places);
  slot->placed = places > 0;
  slot->grid_w = tokens->grid_w;
  slot->grid_h = tokens->grid_h;
  slot->n_tokens = tokens->n_tokens;
  slot->full = (guint) MIN (full, TERN_FRAME_TOKENS_MAX);
  slot->picture = tokens->picture;
  slot->novelty = tokens->novelty;
  slot->after = tokens->after;
  self->stats.frames_in++;
  self->sampler = sampler;

  if (self->thin)
    at -= tern_frame_sampler_late (&sampler, at);

  if (tern_windower_is_jump (&self->windower, at))
    tern_session_end_stretch (self);
  new_group = group != self->token_group;
  self->token_group = group;
  self->has_tokens = TRUE;
  tern_session_drop_previews (self, tokens->number);
  enqueue (self, TERN_WORK_TOKENS, slot, at, tokens->pts, new_group);
  see (self, tokens->pts, tokens->duration, FALSE);
  g_mutex_unlock (&self->lock);
  tern_scheduler_kick (self->model->scheduler, &self->client);
  return TRUE;
}

gboolean
tern_session_push_still (TernSession *self, const TernImage *image, GError **error)
{
  TernWork work = { .kind = TERN_WORK_STILL };
  TernPlanes planes;
  gsize bytes;

  g_return_val_if_fail (self != NULL && image != NULL, FALSE);
  if (!tern_planes_of (image, &planes, error))
    return FALSE;
  if (!self->vision) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected a model opened with TERN_MODEL_VISION for pictures, found one without", self->text->name);
    return FALSE;
  }
  bytes = tern_planes_bytes (&planes);

  g_mutex_lock (&self->lock);
  work.slot = take_slot (self, bytes, error);
  if (!work.slot) {
    g_mutex_unlock (&self->lock);
    return FALSE;
  }
  tern_planes_copy (&planes, image, work.slot->data, &work.slot->image);
  work.config = tern_session_config_ref (self->config);
  work.pushed = g_get_monotonic_time ();
  self->stats.frames_in++;
  self->stats.frames_sampled++;
  tern_work_queue_append (&self->queue, &work);
  g_mutex_unlock (&self->lock);
  tern_scheduler_kick (self->model->scheduler, &self->client);
  return TRUE;
}
