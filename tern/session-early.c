/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames are read as they come: the visual tokens of a window enter its timeline as soon as their group is closed, not when
 * the window ends. At its end the prompt's tail and the answer are left. What the prompt will be is guessed from a window
 * that is whole; when it turns out otherwise (tern_reader_aim() compares), it is read anew. */
#include "tern/session-priv.h"

/* A window that will be answered, or is open. */
typedef struct {
  guint64 first, start;         /* frame; ns */
  gboolean open;
} Coming;

#define COMING_MOST 64          /* windows that are followed at once */

void
tern_session_forget_readings_before (TernSession *self, guint64 next)
{
  for (guint i = 0; i < self->n_readings; i++) {
    TernReading *reading = &self->readings[i];

    if (!reading->in_use || reading->first >= next)
      continue;
    tern_reader_restart (&reading->reader);
    reading->in_use = FALSE;
  }
}

void
tern_session_forget_readings (TernSession *self)
{
  tern_session_forget_readings_before (self, G_MAXUINT64);
}

gboolean
tern_session_take_reading (TernSession *self, guint64 first, TernReader *reader)
{
  for (guint i = 0; i < self->n_readings; i++)
    if (self->readings[i].in_use && self->readings[i].first == first) {
      TernReader swap = *reader;

      *reader = self->readings[i].reader;
      self->readings[i].reader = swap;
      self->readings[i].in_use = FALSE;
      tern_reader_restart (&self->readings[i].reader);
      return TRUE;
    }
  return FALSE;
}

void
tern_session_fork_reading (TernSession *self, guint64 first, TernReader *reader)
{
  for (guint i = 0; i < self->n_readings; i++) {
    const TernReading *reading = &self->readings[i];

    if (reading->in_use && reading->first == first && !tern_timeline_is_torn (reading->reader.timeline)) {
      tern_reader_fork (reader, &reading->reader, reading->reader.ids);
      return;
    }
  }
}

static guint
find_coming (TernSession *self, Coming coming[COMING_MOST])
{
  guint n = 0;

  if (self->standing.hand.has && self->standing.hand.work.kind == TERN_WORK_WINDOW)   /* its last group is being closed */
    coming[n++] = (Coming) { .first = self->standing.hand.work.window.first };
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->queue.n && n < COMING_MOST; i++)
    if (self->queue.work[i].kind == TERN_WORK_WINDOW)
      coming[n++] = (Coming) { .first = self->queue.work[i].window.first };
  for (guint i = 0; i < self->windower.n_marks && n < COMING_MOST; i++)
    coming[n++] = (Coming) { self->windower.marks[i].first, self->windower.marks[i].start, TRUE };
  g_mutex_unlock (&self->lock);
  return n;
}

static void
forget_gone (TernSession *self, const Coming *coming, guint n)
{
  for (guint i = 0; i < self->n_readings; i++) {
    TernReading *reading = &self->readings[i];
    gboolean found = FALSE;

    for (guint c = 0; c < n; c++)
      found |= coming[c].first == reading->first;
    if (reading->in_use && !found) {
      tern_reader_restart (&reading->reader);
      reading->in_use = FALSE;
    }
  }
}

static TernReading *
find_reading (TernSession *self, guint64 first)
{
  TernReading *free = NULL;

  for (guint i = 0; i < self->n_readings; i++) {
    if (self->readings[i].in_use && self->readings[i].first == first)
      return &self->readings[i];
    if (!self->readings[i].in_use && !free)
      free = &self->readings[i];
  }
  if (free) {
    free->in_use = TRUE;
    free->first = first;
  }
  return free;
}

/* What is there of a window from frame @first on. FALSE: nothing, or something is wrong with it. */
static gboolean
gather (TernSession *self, guint64 first, guint64 start)
{
  tern_session_clear_pictures (self);
  for (guint g = 0; g < self->store.n; g++) {
    const TernFrameGroup *group = &self->store.groups[g];

    if (group->first < first || !group->closed)
      continue;
    if (group->error)
      return FALSE;
    tern_session_add_group (self, group, start);
  }
  return self->pictures->len > 0;
}

/* The prompt of the window, were it whole: the frames that are there, and others at their times. */
static gboolean
plan_prompt (TernSession *self, TernSessionConfig *config)
{
  gboolean timed = tern_prompt_is_timed (self->family);
  g_autoptr (GArray) runs = NULL;
  TernPromptVisual visual;

  if (self->planned_of == config)
    return TRUE;
  g_clear_pointer (&self->planned_of, tern_session_config_unref);
  runs = g_array_new (FALSE, FALSE, sizeof (TernPromptRun));
  tern_session_plan_visual (self, MAX (self->max_frames, self->runs->len), runs, &visual);
  for (guint i = 0; i < self->runs->len; i++)
    g_array_index (runs, TernPromptRun, i) = g_array_index (self->runs, TernPromptRun, i);
  if (!tern_session_compile (self, config, 0, &visual, self->planned, NULL, NULL))
    return FALSE;
  if (!timed)
    self->planned_of = tern_session_config_ref (config);
  return TRUE;
}

/* Who is given visual tokens does not know beforehand how many there will be: the first group of a window tells. Not while
 * a window is answered, whose timelines would be lost. */
static void
make_room (TernSession *self, const TernSessionConfig *config)
{
  guint64 visual = 0, frames = self->pictures->len;

  for (guint i = 0; i < self->pictures->len; i++)
    visual += g_array_index (self->pictures, TernPicture, i).n;
  visual = visual * MAX (self->max_frames, frames) / frames + self->planned->len;
  if (visual > self->cache.prompt && !self->standing.hand.has && visual < G_MAXINT32)
    tern_session_reserve (self, config, (guint) visual, self->cache.tail, NULL);
}

void
tern_session_read_early (TernSession *self)
{
  Coming coming[COMING_MOST];
  guint n = find_coming (self, coming);
  TernSessionConfig *config;

  if (!self->caches || self->stream)    /* there was no memory for larger ones; or all frames are read in turn */
    return;
  forget_gone (self, coming, n);
  g_mutex_lock (&self->lock);
  config = tern_session_config_ref (self->config);
  g_mutex_unlock (&self->lock);
  if (config->params.on_demand)         /* nobody may ask */
    n = 0;
  for (guint c = 0; c < n; c++) {
    TernReading *reading;
    guint end;

    /* Nothing is new, or it is not worth it: at its end it will be told what the one before was. */
    if (tern_answered_is (&self->answered, tern_session_picture (self, coming[c].first, G_MAXUINT64), config)
        || !tern_session_may_answer (self, coming[c].first, config))
      continue;
    if (!coming[c].open || !gather (self, coming[c].first, coming[c].start) || !plan_prompt (self, config)
        || (end = tern_prompt_end_of_run (self->planned, self->pictures->len)) == 0)
      continue;
    make_room (self, config);
    if (!(reading = find_reading (self, coming[c].first)))
      continue;
    tern_reader_aim (&reading->reader, self->planned, (const TernPicture *) self->pictures->data, self->pictures->len,
        end);
  }
  tern_session_config_unref (config);
}
