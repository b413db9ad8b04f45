/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Action models of the fake libtern: a file that starts with GGUF. What comes after says what is other than this:
 * "GGUF dims=2 steps=8 rate=10/1 state=3 frames=1". Number d of step s of a chunk is s + d / 10 + the state's first number:
 * fake_action(). */
#include <stdio.h>
#include <string.h>

#include "fake-priv.h"
#include "tern/action-priv.h"

#define MOST_DIMS 16

struct _TernActionModel {
  gint refs;
  TernActionSpace space;
  char *names[MOST_DIMS + 1];
  const char *units[MOST_DIMS + 1];
  float minimum[MOST_DIMS], maximum[MOST_DIMS];
};

static gboolean
read_numbers (TernActionSpace *space, const char *text)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);

  for (char **word = words; *word; word++)
    if (sscanf (*word, "dims=%u", &space->dims) + sscanf (*word, "steps=%u", &space->steps)
        + sscanf (*word, "rate=%u/%u", &space->rate_n, &space->rate_d) + sscanf (*word, "state=%u", &space->state_dims)
        + sscanf (*word, "frames=%u", &space->frames) < 1)
      g_test_message ("%s says nothing", *word);
  return space->dims > 0 && space->dims <= MOST_DIMS && space->steps > 0 && space->rate_n > 0 && space->rate_d > 0;
}

TernActionModel *
tern_action_model_open (const char *path, GError **error)
{
  g_autofree char *text = NULL;
  TernActionModel *self;
  gsize size;

  if (!g_file_get_contents (path, &text, &size, NULL)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "%s: no such file", path);
    return NULL;
  }
  self = g_new0 (TernActionModel, 1);
  self->refs = 1;
  self->space = (TernActionSpace) { .name = "fake", .dims = 2, .steps = 8, .rate_n = 10, .rate_d = 1,
    .names = (const char *const *) self->names, .units = self->units, .minimum = self->minimum,
    .maximum = self->maximum, .state_dims = 3, .frames = 1 };
  if (size < 8 || memcmp (text, "GGUF", 4) != 0 || !read_numbers (&self->space, text + 4)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected an action model, found %" G_GSIZE_FORMAT " bytes",
        path, size);
    tern_action_model_unref (self);
    return NULL;
  }
  for (guint i = 0; i < self->space.dims; i++) {
    self->names[i] = g_strdup_printf ("joint%u", i);
    self->units[i] = "rad";
    self->minimum[i] = -1000;
    self->maximum[i] = 1000;
  }
  return self;
}

TernActionModel *
tern_action_model_ref (TernActionModel *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
tern_action_model_unref (TernActionModel *self)
{
  if (!self || !g_atomic_int_dec_and_test (&self->refs))
    return;
  for (guint i = 0; i < MOST_DIMS; i++)
    g_free (self->names[i]);
  g_free (self);
}

const TernActionSpace *
tern_action_model_space (const TernActionModel *self)
{
  return &self->space;
}

guint
tern_action_model_tokens (const TernActionModel *self)
{
  return 0;
}

double *
fake_action (const TernActionModel *self, const float *state)
{
  guint dims = self->space.dims, n = self->space.steps * dims;
  double *actions = g_new (double, n);

  for (guint i = 0; i < n; i++)
    actions[i] = i / dims + i % dims / 10.0 + (state ? state[0] : 0);
  return actions;
}
