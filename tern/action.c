/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/action-priv.h"

struct _TernActionModel {
  gint refs;                    /* atomic */
  TernActionHead *head;
  TernActionSpace space;
};

TernActionModel *
tern_action_model_open (const char *path, GError **error)
{
  const TernActionInfo *info;
  TernActionModel *self;
  TernActionHead *head;

  g_return_val_if_fail (path != NULL, NULL);
  head = tern_action_head_open (path, error);
  if (!head)
    return NULL;
  info = tern_action_head_info (head);
  self = g_new0 (TernActionModel, 1);
  self->refs = 1;
  self->head = head;
  self->space = (TernActionSpace) { .name = info->space, .dims = info->dims, .steps = info->steps,
    .rate_n = info->rate_n, .rate_d = info->rate_d, .names = info->names, .units = info->units,
    .minimum = info->minimum, .maximum = info->maximum, .state_dims = info->state_dims, .frames = info->frames };
  return self;
}

TernActionModel *
tern_action_model_ref (TernActionModel *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_int_inc (&self->refs);
  return self;
}

void
tern_action_model_unref (TernActionModel *self)
{
  if (!self || !g_atomic_int_dec_and_test (&self->refs))
    return;
  tern_action_head_unref (self->head);
  g_free (self);
}

const TernActionSpace *
tern_action_model_space (const TernActionModel *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return &self->space;
}

TernActionHead *
tern_action_model_head (const TernActionModel *self)
{
  return self->head;
}

guint
tern_action_model_tokens (const TernActionModel *self)
{
  return tern_action_head_info (self->head)->kind == TERN_ACTION_TOKENS ? self->space.steps * self->space.dims : 0;
}
