/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session does with pictures: frames become groups of visual tokens, stills those of their tiles. */
#include "tern/session-priv.h"

#include <string.h>

#include "engine/base/mem.h"

void
tern_session_close_group (TernSession *self, const TernSessionConfig *config)
{
  TernFrameGroup *open = tern_frame_store_open (&self->store);
  TernCompressorParams params;

  if (!open)
    return;
  params = tern_session_compression (self, config);
  tern_session_limit_group (self, open, &params);
  tern_frame_store_close (&self->store, open, &params);
  tern_session_read_early (self);
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

/* The frame is over; @error: why it has no tokens. */
static void
end_frame (TernSession *self, TernFrameGroup *group, const GError *error)
{
  const TernWork *work = &self->frame.work;

  if (error && !g_error_matches (error, TERN_ERROR, TERN_ERROR_CANCELLED) && !group->error)
    group->error = g_strdup (error->message);
  group->encode_ms += (double) self->frame.spent / 1000;
  if (group->n_frames == self->group_frames)
    tern_session_close_group (self, work->config);
  tern_session_put_down (self, &self->frame);
}

/* Where the frame's tokens go; its picture is to be encoded. */
static gboolean
plan_frame (TernSession *self, TernFrameGroup *group, GError **error)
{
  TernInHand *frame = &self->frame;

  frame->options = (TernVisionOptions) { .tile = FALSE, .scaling = tern_fit_scaling (self->fit) };
  return tern_vision_plan_image (self->vision, &frame->work.slot->image, &frame->options, &frame->plan, error)
      && (frame->tokens = tern_frame_store_rows (&self->store, group, frame->plan.n_tokens, error));
}

static gboolean
take_tokens (TernSession *self, TernFrameGroup *group, GError **error)
{
  const TernFrameSlot *slot = self->frame.work.slot;
  float *rows = tern_frame_store_rows (&self->store, group, slot->n_tokens, error);

  if (!rows)
    return FALSE;
  if (slot->n_tokens > 0)
    memcpy (rows, slot->data, (gsize) slot->n_tokens * self->store.dim * sizeof (float));
  if (slot->placed && slot->n_tokens > 0)
    tern_frame_store_place (group, (const gint32 *) (slot->data + (gsize) slot->n_tokens * self->store.dim * sizeof (float)),
        slot->n_tokens);
  group->given = TRUE;
  tern_frame_store_add (group, &(TernStoredFrame) { slot->n_tokens, slot->full, slot->grid_w, slot->grid_h, self->frame.work.begins,
        self->frame.work.pts, slot->picture, slot->novelty, slot->after });
  tern_session_see_tokens (self, &self->frame.work);
  return TRUE;
}

/* It is to be encoded. */
static void
begin_look (TernSession *self, TernInHand *hand)
{
  hand->looking = TRUE;
  hand->number = tern_scheduler_number_picture (self->model->scheduler);
}

void
tern_session_begin_frame (TernSession *self)
{
  const TernWork *work = &self->frame.work;
  TernFrameGroup *group = tern_frame_store_open (&self->store);
  g_autoptr (GError) error = NULL;

  if (work->first || !group) {
    tern_session_close_group (self, work->config);
    tern_session_release_frames (self);
    if (self->store.n == self->store.max_groups) {      /* the oldest one goes */
      tern_session_forget_readings_before (self, self->store.groups[0].first + 1);
      tern_session_restart_request (self);
    }
    group = tern_frame_store_begin (&self->store, work->frame);
    group->stretch = work->stretch;
  }
  if (work->kind == TERN_WORK_TOKENS) {
    take_tokens (self, group, &error);
  } else if (!tern_session_reuse_frame (self, group)) {
    if (plan_frame (self, group, &error)) {
      begin_look (self, &self->frame);
      return;
    }
    tern_session_keep_frame (self, FALSE);
  }
  end_frame (self, group, error);
}

/* ---- Stills ------------------------------------------------------------------------------------------------------ */

static gboolean
plan_still (TernSession *self, GError **error)
{
  TernInHand *still = &self->standing.hand;
  gsize width = tern_llm_info (self->text->llm)->visual_dim;

  still->options = (TernVisionOptions) { .tile = TRUE, .scaling = tern_fit_scaling (self->fit) };
  if (!tern_vision_plan_image (self->vision, &still->work.slot->image, &still->options, &still->plan, error))
    return FALSE;
  if (still->plan.n_tokens > self->still_size) {
    tern_mem_free (self->still_tokens);
    self->still_size = 0;
    self->still_tokens = tern_mem_alloc (still->plan.n_tokens * width * sizeof (float), "visual tokens of a picture",
        error);
    self->still_size = self->still_tokens ? still->plan.n_tokens : 0;
  }
  still->tokens = self->still_tokens;
  return still->tokens != NULL;
}

void
tern_session_begin_still (TernSession *self)
{
  g_autoptr (GError) error = NULL;

  if (plan_still (self, &error))
    begin_look (self, &self->standing.hand);
  else
    tern_session_fail (self, &self->standing, error);
}

/* ---- Looking ----------------------------------------------------------------------------------------------------- */

static void
end_look (TernSession *self, TernInHand *hand, const GError *error)
{
  hand->looking = FALSE;
  if (hand == &self->frame) {
    TernFrameGroup *group = tern_frame_store_open (&self->store);

    guint64 picture = tern_session_keep_frame (self, !error);

    tern_session_count_reuse (self);

    if (!error) {
      gboolean whole = hand->plan.n == 1;

      tern_frame_store_add (group, &(TernStoredFrame) { hand->plan.n_tokens, hand->plan.n_tokens,
            whole ? hand->plan.sub[0].grid_w : 0, whole ? hand->plan.sub[0].grid_h : 0, hand->work.begins, hand->work.pts,
            picture, tern_session_novelty (self), hand->work.slot->after });
    }
    end_frame (self, group, error);
  } else if (error) {
    tern_session_fail (self, &self->standing, error);
  } else {
    tern_session_begin_answer (self, &self->standing);
  }
}

/* Whichever is under way. */
static TernInHand *
looked_at (TernSession *self)
{
  return self->standing.hand.looking ? &self->standing.hand : &self->frame;
}

void
tern_session_look (TernSession *self, TernLook *look)
{
  TernInHand *hand = looked_at (self);
  const TernFrameSlot *slot = hand->work.slot;

  *look = (TernLook) { .number = hand->number, .image = &slot->image, .second = slot->second ? &slot->second->image : NULL,
    .before = slot->before ? &slot->before->image : NULL, .options = hand->options, .plan = &hand->plan,
    .tokens = hand->tokens, .cancel = &self->cancel,
    .reuse = hand == &self->frame && !slot->second && !slot->before ? self->news.reuse : NULL };
}

void
tern_session_looked (TernSession *self, const TernLooked *looked)
{
  TernInHand *hand = looked_at (self);

  hand->spent += looked->us;
  tern_session_charge_look (self, hand, looked->cpu, looked->step == TERN_VISION_DONE);
  /* A stop ends it, in its own time. */
  if (looked->step == TERN_VISION_DONE || looked->step == TERN_VISION_FAILED)
    end_look (self, hand, looked->error);
}
