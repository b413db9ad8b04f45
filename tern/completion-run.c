/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A completion's work, as the scheduler's client: its pictures are encoded, its prompt is read, its answer is said. */
#include "tern/completion-priv.h"

#include "engine/base/mem.h"

static TernCompletion *
completion_of (TernClient *client)
{
  return (TernCompletion *) ((guint8 *) client - G_STRUCT_OFFSET (TernCompletion, client));
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

/* The last event. @self may be on its way out after it. */
static void
finish (TernCompletion *self, const char *reason)
{
  self->state = TERN_COMPLETION_OVER;
  self->end = g_get_monotonic_time ();
  tern_completion_tell (self, reason);
}

/* Takes @error, which is told when the scheduler asks next. */
static void
fail (TernCompletion *self, GError *error)
{
  if (self->error)
    g_error_free (error);
  else
    self->error = error;
}

static const char *
reason_of (TernFinish finish)
{
  return finish == TERN_FINISH_LENGTH ? "length" : finish == TERN_FINISH_CANCELLED ? "cancelled" : "stop";
}

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

static TernViewFrame *
next_frame (const TernCompletion *self, TernView **view)
{
  for (guint i = 0; i < self->views->len; i++) {
    TernViewFrame *frame = tern_view_next (*view = self->views->pdata[i]);

    if (frame)
      return frame;
  }
  return NULL;
}

static gboolean
completion_look (TernClient *client, TernLook *look, gboolean *metered)
{
  TernCompletion *self = completion_of (client);
  gsize width = tern_llm_info (self->text->llm)->visual_dim;
  GError *error = NULL;
  TernView *view;
  TernViewFrame *frame = next_frame (self, &view);

  if (!frame || tern_cancel_is_raised (&self->cancel))  /* somebody else needed it, too */
    return FALSE;
  if (!frame->tokens && !(frame->tokens = tern_mem_alloc (frame->plan->n_tokens * width * sizeof (float),
              "visual tokens of a picture", &error))) {
    fail (self, error);
    return FALSE;
  }
  if (self->looking != frame)
    self->number = tern_scheduler_number_picture (self->model->scheduler);
  self->looking = frame;
  *look = (TernLook) { .number = self->number, .image = &frame->pixels[0].image,
    .second = frame->n_frames > 1 ? &frame->pixels[1].image : NULL, .before = tern_view_before (view, frame),
    .options = frame->options, .plan = frame->plan, .tokens = frame->tokens, .cancel = &self->cancel };
  return TRUE;
}

static void
completion_looked (TernClient *client, const TernLooked *looked)
{
  TernCompletion *self = completion_of (client);
  g_autoptr (GError) error = looked->error ? g_error_copy (looked->error) : NULL;
  TernView *view = NULL;
  TernViewFrame *frame = next_frame (self, &view);

  if (looked->step == TERN_VISION_DONE)
    tern_view_encoded (view, frame, &error);
  if (looked->step != TERN_VISION_MORE)
    self->looking = NULL;
  self->encode += looked->us;
  if (error && looked->step != TERN_VISION_CANCELLED)
    fail (self, g_steal_pointer (&error));
}

/* ---- The prompt -------------------------------------------------------------------------------------------------- */

/* Here the pool rests, which it is made for. */
static gboolean
take_draft (TernCompletion *self, GError **error)
{
  TernDraft *draft = tern_drafter_take (self->drafter, self->context, error);

  if (!draft)
    return FALSE;
  tern_generator_set_draft (self->generator, draft);
  return TRUE;
}

static gboolean
start_reading (TernCompletion *self, GError **error)
{
  g_autoptr (GArray) pictures = g_array_new (FALSE, FALSE, sizeof (TernPicture));

  for (guint i = 0; i < self->views->len; i++)
    tern_view_pictures (self->views->pdata[i], pictures);
  if (self->drafter && !take_draft (self, error))
    return FALSE;
  tern_generator_look (self->generator, (const gint32 *) self->ids->data, self->ids->len);
  self->visual_tokens = 0;
  for (guint i = 0; i < pictures->len; i++)
    self->visual_tokens += g_array_index (pictures, TernPicture, i).n;
  self->prompt_tokens = self->ids->len - pictures->len + self->visual_tokens;
  tern_reader_aim (&self->reader, self->ids, (const TernPicture *) pictures->data, pictures->len, self->ids->len);
  self->read = g_get_monotonic_time ();
  self->state = TERN_COMPLETION_READS;
  return tern_scheduler_prepare_text (self->model->scheduler, self->text->llm, self->context, self->model->activations,
      error);
}

/* What there is to do before words. */
static gboolean
advance (TernCompletion *self, GError **error)
{
  TernView *view;

  if (self->state != TERN_COMPLETION_LOOKS)
    return TRUE;
  if (next_frame (self, &view))
    return tern_scheduler_prepare_vision (self->model->scheduler, tern_model_vision (self->model),
        self->model->activations, error);
  return start_reading (self, error);
}

static TernDemand
completion_demand (TernClient *client)
{
  TernCompletion *self = completion_of (client);
  TernDemand demand = { 0 };
  const TernWanted *rows;
  GError *error = NULL;

  if (self->state == TERN_COMPLETION_OVER)
    return demand;
  if (tern_cancel_is_raised (&self->cancel)) {
    g_clear_error (&self->error);
    finish (self, "cancelled");
    return demand;
  }
  if (!self->error && !advance (self, &error))
    fail (self, error);
  if (self->error) {
    finish (self, "error");
    return demand;
  }
  if (self->state == TERN_COMPLETION_LOOKS) {
    demand.slice = TRUE;
  } else if (self->state == TERN_COMPLETION_READS) {
    demand.prompt = tern_reader_left (&self->reader);
    demand.awaited = TRUE;
  } else {
    demand.decode = tern_generator_wants (self->generator, &rows);
  }
  return demand;
}

/* ---- Passes ------------------------------------------------------------------------------------------------------ */

static float *
add_segment (TernCompletion *self, TernRound *round, TernSegment *segment)
{
  GError *error = NULL;
  guint outputs = segment->want == TERN_LOGITS_ALL ? segment->n : segment->want != TERN_LOGITS_NONE;
  float *rows;

  segment->cancel = &self->cancel;
  segment->logits = round->logits;
  rows = tern_pass_add (round->pass, segment, &error);
  if (!rows) {
    fail (self, error);
    return NULL;
  }
  round->logits += (gsize) outputs * tern_llm_info (self->text->llm)->n_vocab;
  round->outputs -= outputs;
  self->in_pass = TRUE;
  return rows;
}

static guint
completion_add_prompt (TernClient *client, TernRound *round)
{
  TernCompletion *self = completion_of (client);
  guint left = tern_reader_left (&self->reader);
  guint n = tern_pass_cut (round->pass, self->reader.timeline, left, round->rows, round->outputs > 0);
  TernSegment segment = { .timeline = self->reader.timeline };
  float *rows;

  if (n == 0)
    return 0;
  segment.n = n;
  tern_reader_place (&self->reader, self->text->llm, self->places, &segment);
  segment.want = n == left ? TERN_LOGITS_LAST : TERN_LOGITS_NONE;
  self->logits = n == left ? round->logits : NULL;
  if (!(rows = add_segment (self, round, &segment)))
    return 0;
  tern_reader_fill (&self->reader, round->pass, self->text->llm, rows, n);
  round->rows -= MIN (n, round->rows);
  return n;
}

static guint
completion_add_decode (TernClient *client, TernRound *round)
{
  TernCompletion *self = completion_of (client);
  gsize width = tern_llm_info (self->text->llm)->width;
  const TernWanted *wanted;
  guint n, run;

  if (self->drafter)
    round->guesses -= tern_generator_guess (self->generator, round->guesses);
  n = tern_generator_wants (self->generator, &wanted);
  if (n == 0 || n > round->outputs || n > tern_pass_room (round->pass))
    return 0;
  self->logits = round->logits;
  for (guint i = 0; i < n; i += run) {
    TernSegment segment = { .timeline = wanted[i].timeline, .decode = TRUE, .want = TERN_LOGITS_ALL };
    float *row;

    segment.n = run = tern_wanted_run (wanted + i, n - i);
    if (!(row = add_segment (self, round, &segment)))
      return i;
    for (guint t = 0; t < run; t++)
      tern_llm_embed (self->text->llm, &wanted[i + t].id, 1, row + t * width, width);
  }
  return n;
}

static void
take (TernCompletion *self, TernRound *round)
{
  GError *error = NULL;

  tern_generator_take (self->generator, self->logits, round->picking);
  self->end = g_get_monotonic_time ();
  if (!self->first)
    self->first = self->end;
  if (tern_completion_spell (self, self->logits)) {
    tern_generator_cancel (self->generator);
    finish (self, "stop");
  } else if (!tern_generator_is_finished (self->generator)) {
    tern_completion_tell (self, NULL);
  } else if (tern_generator_check (self->generator, &error)) {
    finish (self, reason_of (tern_generator_said (self->generator).finish));
  } else {
    fail (self, error);
  }
}

static void
completion_read (TernClient *client, TernRound *round, const GError *error)
{
  TernCompletion *self = completion_of (client);
  GError *failure = NULL;

  if (!self->in_pass)
    return;
  self->in_pass = FALSE;
  if (error || self->error || !self->logits)
    return;                     /* a cancel that tore it ends it in the next round */
  if (self->state == TERN_COMPLETION_READS) {
    self->state = TERN_COMPLETION_SAYS;
    if (!tern_generator_begin (self->generator, self->reader.timeline, &self->sampling, self->constraint, &failure)) {
      fail (self, failure);
      return;
    }
  }
  take (self, round);
}

const TernClientClass tern_completion_client_class = {
  .demand = completion_demand,
  .add_decode = completion_add_decode,
  .add_prompt = completion_add_prompt,
  .read = completion_read,
  .look = completion_look,
  .looked = completion_looked,
  .destroy = tern_completion_destroy,
};
