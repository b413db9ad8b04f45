/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/action/head-priv.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

/* By TernActionKind. */
static const TernActionClass *const classes[] = { &tern_action_mlp, &tern_action_cfc, &tern_action_tokens };
static const char *const kinds[] = { "mlp", "cfc", "tokens", NULL };

/* ---- Life ---- */

static gboolean
load (TernActionHead *self, const TernGguf *file, GError **error)
{
  static const char *const architectures[] = { "tern-action", NULL };
  guint architecture, kind;

  self->kernels = tern_kernels_default (error);
  if (!self->kernels
      || !tern_action_key_choice (file, "general.architecture", architectures, -1, &architecture, error)
      || !tern_action_key_choice (file, "tern-action.kind", kinds, -1, &kind, error)
      || !tern_action_space_load (self, file, error))
    return FALSE;
  self->info.kind = (TernActionKind) kind;
  self->klass = classes[kind];
  return self->klass->load (self, file, error);
}

static TernActionHead *
open_file (TernGguf *opened, GError **error)
{
  g_autoptr (TernGguf) file = opened;
  TernActionHead *self;

  if (!file)
    return NULL;
  self = g_new0 (TernActionHead, 1);
  self->refs = 1;
  self->path = g_strdup (tern_gguf_path (file));
  self->strings = g_string_chunk_new (256);
  self->blocks = g_ptr_array_new_with_free_func (g_free);
  if (!load (self, file, error))
    g_clear_pointer (&self, tern_action_head_unref);
  return self;
}

TernActionHead *
tern_action_head_open (const char *path, GError **error)
{
  return open_file (tern_gguf_open (path, error), error);
}

TernActionHead *
tern_action_head_open_memory (const guint8 *data, gsize size, const char *name, GError **error)
{
  return open_file (tern_gguf_open_memory (data, size, name, error), error);
}

TernActionHead *
tern_action_head_ref (TernActionHead *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
tern_action_head_unref (TernActionHead *self)
{
  if (!self || !g_atomic_int_dec_and_test (&self->refs))
    return;
  if (self->klass)
    self->klass->clear (self);
  g_string_chunk_free (self->strings);
  g_ptr_array_unref (self->blocks);
  g_free (self->path);
  g_free (self);
}

const TernActionInfo *
tern_action_head_info (const TernActionHead *self)
{
  return &self->info;
}

const char *
tern_action_head_path (const TernActionHead *self)
{
  return self->path;
}

/* ---- Decisions ---- */

struct _TernActionRun {
  TernActionHead *head;
  float *memory;
  float *input, *work, *y;
  gboolean goes_on;
  guint64 last;                 /* ns */
};

static void
plan (TernActionRun *self, const TernActionHead *head, TernArena *arena)
{
  self->input = tern_plan_take (arena, tern_action_seen (head) + head->klass->extra (head), sizeof (float), 1);
  self->work = tern_plan_take (arena, head->klass->work (head), sizeof (float), 1);
  self->y = tern_plan_take (arena, tern_action_outputs (head), sizeof (float), 1);
}

gsize
tern_action_run_bytes (const TernActionHead *head)
{
  TernActionRun self = { 0 };
  TernArena arena = { 0 };

  plan (&self, head, &arena);
  return arena.used + sizeof self;
}

TernActionRun *
tern_action_run_new (TernActionHead *head, GError **error)
{
  g_autoptr (TernActionRun) self = g_new0 (TernActionRun, 1);
  TernArena arena = { 0 };

  self->head = tern_action_head_ref (head);
  plan (self, head, &arena);
  self->memory = tern_mem_alloc (arena.used, "work space of the action model", error);
  if (!self->memory)
    return NULL;
  arena = (TernArena) { .base = (guint8 *) self->memory };
  plan (self, head, &arena);
  return g_steal_pointer (&self);
}

void
tern_action_run_free (TernActionRun *self)
{
  if (!self)
    return;
  tern_mem_free (self->memory);
  tern_action_head_unref (self->head);
  g_free (self);
}

void
tern_action_run_reset (TernActionRun *self)
{
  const TernActionHead *head = self->head;

  memset (self->input + tern_action_seen (head), 0, head->klass->extra (head) * sizeof (float));
  self->goes_on = FALSE;
}

/* Seconds since the decision before, which is forgotten when it has nothing to do with this one. */
static double
elapse (TernActionRun *self, guint64 time)
{
  double seconds = self->head->first;

  if (self->goes_on && time >= self->last && (double) (time - self->last) / 1e9 <= self->head->limit)
    seconds = (double) (time - self->last) / 1e9;
  else
    tern_action_run_reset (self);
  self->goes_on = TRUE;
  self->last = time;
  return seconds;
}

static gboolean
check_finite (const char *what, const float *values, guint n, GError **error)
{
  for (guint i = 0; i < n; i++)
    if (!isfinite (values[i])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected finite numbers, found %g at %u", what, values[i],
          i);
      return FALSE;
    }
  return TRUE;
}

double
tern_action_scaled (const TernActionHead *head, guint i, float value)
{
  guint d = i % head->info.dims;
  double action = head->action.offset[d] + (double) head->action.scale[d] * value;

  return CLAMP (action, head->info.minimum[d], head->info.maximum[d]);
}

gboolean
tern_action_run_decide (TernActionRun *self, const float *hidden, const float *states, guint64 time, double *actions,
    GError **error)
{
  const TernActionHead *head = self->head;
  const TernActionInfo *info = &head->info;
  float *to = self->input + info->width;
  double seconds;

  if (!check_finite ("hidden state", hidden, info->width, error)
      || !check_finite ("robot's state", states, tern_action_info_states (info), error))
    return FALSE;
  memcpy (self->input, hidden, info->width * sizeof *hidden);
  for (guint i = 0; i < tern_action_info_states (info); i++) {
    guint d = i % info->state_dims;

    to[i] = (states[i] - head->state.offset[d]) / head->state.scale[d];
  }
  g_return_val_if_fail (head->klass->run, FALSE);
  seconds = elapse (self, time);
  head->klass->run (head, self->input, self->work, seconds, self->y);
  if (!check_finite (head->path, self->y, tern_action_outputs (head), error)) {
    tern_action_run_reset (self);
    return FALSE;
  }
  for (guint i = 0; i < tern_action_outputs (head); i++)
    actions[i] = tern_action_scaled (head, i, self->y[i]);
  return TRUE;
}
