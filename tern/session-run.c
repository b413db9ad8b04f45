/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session does on the engine thread: one frame encoded, or one window answered, a step. */
#include "tern/session-priv.h"

#include <string.h>

#include "engine/base/mem.h"

static double
ms_since (gint64 begin)
{
  return (double) (g_get_monotonic_time () - begin) / 1000;
}

/* ---- Memory ---- */

guint
tern_session_context_limit (const TernModel *model)
{
  guint made_for = tern_llm_info (tern_model_text (model)->llm)->context;

  return model->context > 0 ? MIN (model->context, made_for) : made_for;
}

/* Makes or grows the caches for a prompt of @n tokens and its answer. They are planned when the session is made; only a
 * still of many tiles, a longer prompt or further beams let them grow later. */
static gboolean
reserve_caches (TernSession *self, const TernSessionConfig *config, guint n, GError **error)
{
  const TernLlmInfo *info = tern_llm_info (self->text->llm);
  TernPool *pool = tern_scheduler_pool (self->model->scheduler);
  TernGeneratorLimits limits;
  guint limit = tern_session_context_limit (self->model), beam = config->params.sampling.beam;
  guint context = n + config->params.sampling.max_tokens;
  TernSoloParams params = { .activations = self->model->activations, .kv = self->kv };

  if (n >= limit || config->params.sampling.max_tokens > limit - n) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE,
        "context of %s: expected at most %u tokens, found %u of the prompt and %u to say; a shorter window, fewer frames,"
        " a higher merge ratio or fewer tokens to say would fit", self->text->name, limit, n, config->params.sampling.max_tokens);
    return FALSE;
  }
  if (context <= self->context && beam <= self->beam && config->params.sampling.max_tokens <= self->max_tokens)
    return TRUE;

  /* Rounded, so that prompts of nearly one length do not each take new caches. */
  params.context = MIN (MAX ((context + 63) / 64 * 64, self->context), limit);
  g_clear_pointer (&self->generator, tern_generator_free);
  g_clear_pointer (&self->state, tern_solo_free);
  g_clear_pointer (&self->dp, tern_dp_free);
  self->context = self->beam = 0;
  limits = (TernGeneratorLimits) { .max_tokens = config->params.sampling.max_tokens, .max_beam = beam };
  params.forks = beam - 1;
  params.fork_pages = tern_generator_pages (&limits);
  if (!(self->state = tern_solo_new (self->text->llm, &params, pool, error))
      || !(self->generator = tern_generator_new (self->text->llm, self->text->tokenizer, &limits,
              tern_solo_store (self->state), error))
      || !(self->dp = tern_dp_new (info->n_layers, info->is_attention, params.context, error)))
    return FALSE;
  self->context = params.context;
  self->beam = beam;
  self->max_tokens = limits.max_tokens;
  return TRUE;
}

static gboolean
reserve_spans (TernSession *self, guint n, GError **error)
{
  if (n <= self->spans_size)
    return TRUE;
  tern_mem_free (self->spans);
  self->spans_size = 0;
  self->spans = tern_mem_alloc (n * sizeof (TernSpan), "places of visual tokens", error);
  self->spans_size = self->spans ? n : 0;
  return self->spans != NULL;
}

TernPromptParts
tern_session_prompt_parts (const TernSession *self, const TernSessionConfig *config, guint question)
{
  return (TernPromptParts) { .family = self->family, .chat = self->text->chat, .tokenizer = self->text->tokenizer,
    .system = config->params.system_prompt, .text = config->questions[question].prompt };
}

void
tern_session_plan_visual (const TernSession *self, guint n_frames, GArray *runs, TernPromptVisual *visual)
{
  guint64 window = self->windower.plan.window;

  g_array_set_size (runs, 0);
  for (guint i = 0; i < n_frames; i++)
    g_array_append_val (runs, ((TernPromptRun) { .time = (guint64) ((double) window / n_frames * i) }));
  *visual = (TernPromptVisual) { (const TernPromptRun *) runs->data, runs->len, TRUE, window };
}

/* The prompt of @config around @visual. The one of a video without times is kept until it or its number of frames
 * changes. */
static gboolean
compile (TernSession *self, TernSessionConfig *config, const TernPromptVisual *visual, GError **error)
{
  guint n_vocab = tern_llm_info (self->text->llm)->n_vocab;
  gboolean keep = visual->video && !tern_prompt_is_timed (self->family);
  TernPromptParts parts = tern_session_prompt_parts (self, config, 0);

  if (keep && self->compiled == config && self->compiled_frames == visual->n)
    return TRUE;
  g_clear_pointer (&self->compiled, tern_session_config_unref);
  if (!tern_prompt_compile (self->ids, &parts, visual, error))
    return FALSE;
  for (guint i = 0; i < self->ids->len; i++)
    if (g_array_index (self->ids, gint32, i) >= (gint32) n_vocab) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected token ids below %u in the prompt, found %d",
          self->model->path, n_vocab, g_array_index (self->ids, gint32, i));
      return FALSE;
    }
  self->compiled = keep ? tern_session_config_ref (config) : NULL;
  self->compiled_frames = visual->n;
  return TRUE;
}

gboolean
tern_session_prepare (TernSession *self, GError **error)
{
  const TernLlmInfo *info = tern_llm_info (self->text->llm);
  TernPool *pool = tern_scheduler_pool (self->model->scheduler);
  TernSessionConfig *config = self->config;
  guint n_tokens = self->vision ? tern_vision_info (self->vision)->max_tokens : 0;
  guint n_groups = (self->max_frames + self->group_frames - 1) / self->group_frames;
  g_autofree char *files = self->model->mmproj_path
      ? g_strdup_printf ("%s with %s", self->model->path, self->model->mmproj_path) : g_strdup (self->model->path);
  TernPromptVisual visual;

  tern_session_plan_visual (self, self->max_frames, self->runs, &visual);
  if (self->vision && !(self->vision_state = tern_vision_state_new (self->vision, n_tokens, self->model->activations,
              pool, error)))
    return FALSE;
  return (self->family = tern_prompt_family (self->model->projector, self->text->tokenizer, files, error))
      && (self->rows = tern_mem_alloc ((gsize) TERN_SESSION_ROWS * info->width * sizeof (float), "prompt rows", error))
      && (self->logits = tern_mem_alloc ((gsize) info->n_vocab * sizeof (float), "logits", error))
      && (n_tokens == 0 || tern_frame_store_reserve (&self->store, n_groups + 1, n_tokens, error))
      && (self->picking = tern_picking_new (info->n_vocab, error))
      && reserve_spans (self, self->max_frames, error)
      && compile (self, config, &visual, error)
      && reserve_caches (self, config, self->planned_visual + self->ids->len, error);
}

void
tern_session_clear_engine_side (TernSession *self)
{
  g_clear_pointer (&self->generator, tern_generator_free);
  g_clear_pointer (&self->state, tern_solo_free);
  g_clear_pointer (&self->vision_state, tern_vision_state_free);
  g_clear_pointer (&self->dp, tern_dp_free);
  g_clear_pointer (&self->compiled, tern_session_config_unref);
  tern_frame_store_clear (&self->store);
  tern_mem_free (self->rows);
  tern_mem_free (self->logits);
  tern_picking_free (self->picking);
  tern_mem_free (self->spans);
  tern_mem_free (self->still_tokens);
  g_array_unref (self->ids);
  g_array_unref (self->runs);
  g_array_unref (self->pictures);
}

/* ---- Frames ---- */

static void
close_open_group (TernSession *self, const TernSessionConfig *config)
{
  TernFrameGroup *open = tern_frame_store_open (&self->store);

  if (open)
    tern_frame_store_close (&self->store, open, &config->params.compress);
}

static gboolean
encode (TernSession *self, const TernFrameSlot *slot, guint64 pts, TernFrameGroup *group, GError **error)
{
  TernVisionOptions options = { .tile = FALSE, .scaling = tern_fit_scaling (self->fit) };
  TernVisionPlan plan;
  float *rows;

  if (!tern_vision_plan_image (self->vision, &slot->image, &options, &plan, error)
      || !(rows = tern_frame_store_rows (&self->store, group, plan.n_tokens, error))
      || !tern_vision_encode (self->vision_state, &slot->image, &options, &plan, rows, &self->cancel, error))
    return FALSE;
  tern_frame_store_add (group, plan.n_tokens, plan.n_tokens, pts);
  return TRUE;
}

static gboolean
take_tokens (TernSession *self, const TernFrameSlot *slot, guint64 pts, TernFrameGroup *group, GError **error)
{
  float *rows = tern_frame_store_rows (&self->store, group, slot->n_tokens, error);

  if (!rows)
    return FALSE;
  memcpy (rows, slot->data, (gsize) slot->n_tokens * self->store.dim * sizeof (float));
  tern_frame_store_add (group, slot->n_tokens, slot->full, pts);
  return TRUE;
}

static void
run_frame (TernSession *self, const TernWork *work)
{
  gint64 begin = g_get_monotonic_time ();
  TernFrameGroup *group = tern_frame_store_open (&self->store);
  g_autoptr (GError) error = NULL;

  if (work->first || !group) {
    close_open_group (self, work->config);
    group = tern_frame_store_begin (&self->store, work->frame);
  }
  if (work->kind == TERN_WORK_FRAME ? !encode (self, work->slot, work->pts, group, &error)
      : !take_tokens (self, work->slot, work->pts, group, &error)) {
    if (!g_error_matches (error, TERN_ERROR, TERN_ERROR_CANCELLED) && !group->error)
      group->error = g_strdup (error->message);
    return;
  }
  group->encode_ms += work->kind == TERN_WORK_FRAME ? ms_since (begin) : 0;
  if (group->n_frames == self->group_frames)
    tern_frame_store_close (&self->store, group, &work->config->params.compress);
}

/* ---- Prompts ---- */

/* Rows on their way into the model. */
typedef struct {
  TernSession *self;
  guint fill;                   /* rows that wait */
  guint pos;                    /* rows so far */
} Feed;

static gboolean
feed_flush (Feed *feed, gboolean last, GError **error)
{
  TernSession *self = feed->self;
  gsize width = tern_llm_info (self->text->llm)->width;
  TernLlmInput input = { .rows = self->rows, .ld = width, .n = feed->fill };

  feed->fill = 0;
  tern_scheduler_pause (self->model->scheduler);
  return tern_solo_eval (self->state, &input, last ? TERN_LOGITS_LAST : TERN_LOGITS_NONE, last ? self->logits : NULL,
      &self->cancel, error);
}

/* The place of the next row, or NULL. */
static float *
feed_next (Feed *feed, GError **error)
{
  gsize width = tern_llm_info (feed->self->text->llm)->width;

  if (feed->fill == TERN_SESSION_ROWS && !feed_flush (feed, FALSE, error))
    return NULL;
  feed->pos++;
  return feed->self->rows + feed->fill++ * width;
}

static gboolean
feed_id (Feed *feed, gint32 id, GError **error)
{
  float *row = feed_next (feed, error);

  if (!row)
    return FALSE;
  tern_llm_embed (feed->self->text->llm, &id, 1, row, tern_llm_info (feed->self->text->llm)->width);
  return TRUE;
}

static gboolean
feed_picture (Feed *feed, const TernPicture *picture, TernSpan *span, GError **error)
{
  gsize width = tern_llm_info (feed->self->text->llm)->width;

  *span = (TernSpan) { feed->pos, picture->n };
  for (guint i = 0; i < picture->n; i++) {
    gsize from = picture->keep ? (gsize) picture->keep[i] : i;
    float *row = feed_next (feed, error);

    if (!row)
      return FALSE;
    memcpy (row, picture->tokens + from * width, width * sizeof (float));
  }
  return TRUE;
}

/* The whole prompt; afterwards `logits` are those of its last token. */
static gboolean
prefill (TernSession *self, GError **error)
{
  Feed feed = { self, 0, 0 };
  guint at = 0;

  tern_solo_reset (self->state);
  for (guint i = 0; i < self->ids->len; i++) {
    gint32 id = g_array_index (self->ids, gint32, i);

    if (id != TERN_PROMPT_RUN ? !feed_id (&feed, id, error)
        : !feed_picture (&feed, &g_array_index (self->pictures, TernPicture, at), &self->spans[at], error))
      return FALSE;
    at += id == TERN_PROMPT_RUN;
  }
  return feed_flush (&feed, TRUE, error);
}

/* One run for each picture: what the prompt is compiled from says so. */
static guint
prompt_length (const TernSession *self)
{
  guint n = self->ids->len - self->pictures->len;

  for (guint i = 0; i < self->pictures->len; i++)
    n += g_array_index (self->pictures, TernPicture, i).n;
  return n;
}

/* ---- Answers ---- */

typedef struct {
  TernSession *self;
  gint64 first_token;           /* monotonic us; 0 before it */
} Saying;

static void
on_token (void *data, gint32 id, float probability)
{
  Saying *saying = data;

  if (saying->first_token == 0)
    saying->first_token = g_get_monotonic_time ();
  tern_scheduler_pause (saying->self->model->scheduler);
}

static char *
spell (TernSession *self, const TernSaid *generation)
{
  TernTextStream stream = { 0 };
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < generation->n; i++)
    tern_text_stream_push (&stream, self->text->tokenizer, generation->ids[i], text);
  tern_text_stream_end (&stream, text);
  return g_strstrip (g_string_free (text, FALSE));
}

static void
measure (TernSession *self, const Saying *saying, const TernSaid *said, gint64 begin, gint64 decode,
    TernResult *out)
{
  TernMetrics *m = &out->metrics;
  TernDpStats dp;
  gint64 now = g_get_monotonic_time ();

  tern_dp_stats (self->dp, &dp);
  m->prefill_ms = (double) (decode - begin) / 1000;
  m->decode_ms = (double) (now - decode) / 1000;
  m->prefill_tokens_per_second = m->prefill_ms > 0 ? out->prompt_tokens / m->prefill_ms * 1000 : 0;
  m->ttft_ms = saying->first_token ? (double) (saying->first_token - begin) / 1000 : 0;
  if (saying->first_token && said->n > 1) {
    m->tpot_ms = (double) (now - saying->first_token) / 1000 / (said->n - 1);
    m->decode_tokens_per_second = m->tpot_ms > 0 ? 1000 / m->tpot_ms : 0;
  }
  m->kv_kept = dp.keys > 0 ? (double) dp.kept / (double) dp.keys : 1;
  m->kv_pruned_layers = dp.pruned_layers;
}

/* Asks about `pictures`, which @visual says what they are; fills in what is known of the answer. */
static gboolean
answer (TernSession *self, TernSessionConfig *config, const TernDpParams *dp, TernPromptVisual visual, TernResult *out,
    char **text, GError **error)
{
  static const char *const reasons[] = {
    [TERN_FINISH_STOP] = "stop",
    [TERN_FINISH_LENGTH] = "length",
    [TERN_FINISH_CANCELLED] = "cancelled",
  };
  gint64 begin = g_get_monotonic_time (), decode;
  Saying saying = { self, 0 };
  TernSaid said;
  const TernKeyPolicy *policy;
  gboolean ok;

  visual.runs = (const TernPromptRun *) self->runs->data;
  visual.n = self->runs->len;
  if (!compile (self, config, &visual, error))
    return FALSE;
  out->prompt_tokens = prompt_length (self);
  if (!reserve_caches (self, config, out->prompt_tokens, error)
      || !reserve_spans (self, self->pictures->len, error) || !prefill (self, error))
    return FALSE;

  decode = g_get_monotonic_time ();
  policy = tern_dp_begin (self->dp, dp, self->spans, self->pictures->len);
  tern_timeline_set_policy (tern_solo_timeline (self->state), policy);
  ok = tern_generator_run (self->generator, self->state, self->logits, &config->params.sampling, on_token, &saying,
      self->picking, &self->cancel, error);
  tern_timeline_set_policy (tern_solo_timeline (self->state), NULL);
  if (!ok)
    return FALSE;

  said = tern_generator_said (self->generator);
  *text = spell (self, &said);
  out->finish_reason = reasons[said.finish];
  out->confidence = said.mean_probability;
  out->generated_tokens = said.n;
  measure (self, &saying, &said, begin, decode, out);
  return TRUE;
}

/* The result of @work, whatever became of it. */
static TernResult *
conclude (TernSession *self, const TernWork *work, TernResult *values, const char *text, const GError *error)
{
  const TernSessionConfig *config = work->config;
  const TernWindow *window = &work->window;
  gboolean cancelled = error && g_error_matches (error, TERN_ERROR, TERN_ERROR_CANCELLED);

  values->version = 1;
  values->kind = "caption";
  values->source = self->source;
  values->result = text;
  values->prompt_id = config->questions[0].prompt_id;
  values->prompt = config->questions[0].prompt;
  values->model = self->text->name;
  if (error) {
    values->confidence = -1;
    values->finish_reason = cancelled ? "cancelled" : "error";
    if (!cancelled) {
      values->kind = "error";
      values->result = error->message;
    }
  }
  values->timestamp = window->start_time;
  values->duration = window->end_time - window->start_time;
  values->timestamp_seconds = values->start = (double) window->start_time / TERN_SECOND;
  values->end = (double) window->end_time / TERN_SECOND;
  values->has_metrics = config->params.metrics;
  values->metrics.total_ms = ms_since (work->pushed);
  return tern_result_new (values);
}

static void
clear_pictures (TernSession *self)
{
  g_array_set_size (self->pictures, 0);
  g_array_set_size (self->runs, 0);
}

static void
add_picture (TernSession *self, const float *tokens, const gint32 *keep, guint n, const TernPromptRun *run)
{
  TernPicture picture = { .tokens = tokens, .keep = keep, .n = n };

  g_array_append_val (self->pictures, picture);
  g_array_append_val (self->runs, *run);
}

/* The window's frames become pictures; one that nothing is left of is none. */
static gboolean
gather (TernSession *self, const TernWork *work, TernResult *values, GError **error)
{
  const char *failure = NULL;

  clear_pictures (self);
  for (guint g = 0; g < self->store.n; g++) {
    const TernFrameGroup *group = &self->store.groups[g];
    const float *tokens = group->tokens;
    const gint32 *keep = group->keep;

    if (group->first < work->window.first || group->first >= work->window.end)
      continue;
    failure = failure ? failure : group->error;
    for (guint f = 0; f < group->n_frames; f++) {
      guint64 start = work->window.start_time;

      if (group->n_keep[f] > 0)
        add_picture (self, tokens, keep, group->n_keep[f],
            &(TernPromptRun) { .time = group->pts[f] > start ? group->pts[f] - start : 0 });
      tokens += (gsize) group->n_tokens[f] * self->store.dim;
      keep += group->n_tokens[f];
      values->visual_kept += group->n_keep[f];
    }
    values->frames += group->n_frames;
    values->visual_in += group->full;
    values->metrics.encode_ms += group->encode_ms;
    values->metrics.compress_ms += group->compress_ms;
  }
  if (failure)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_FAILED, failure);
  else if (values->frames == 0)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_FAILED, "no frame of the window could be encoded");
  return !failure && values->frames > 0;
}

static TernResult *
run_window (TernSession *self, const TernWork *work)
{
  TernResult values = { .confidence = -1 };
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  TernResult *result;

  close_open_group (self, work->config);
  if (gather (self, work, &values, &error))
    answer (self, work->config, &work->config->dp, (TernPromptVisual) { .video = TRUE,
          .duration = work->window.end_time - work->window.start_time }, &values, &text, &error);
  result = conclude (self, work, &values, text, error);
  tern_frame_store_release (&self->store, work->window.next);
  return result;
}

/* ---- Stills ---- */

static gboolean
encode_still (TernSession *self, const TernWork *work, TernResult *values, GError **error)
{
  gint64 begin = g_get_monotonic_time ();
  const TernImage *image = &work->slot->image;
  TernVisionOptions options = { .tile = TRUE, .scaling = tern_fit_scaling (self->fit) };
  gsize width = tern_llm_info (self->text->llm)->width;
  TernVisionPlan plan;
  const float *tokens;

  if (!tern_vision_plan_image (self->vision, image, &options, &plan, error))
    return FALSE;
  if (plan.n_tokens > self->still_size) {
    tern_mem_free (self->still_tokens);
    self->still_size = 0;
    self->still_tokens = tern_mem_alloc (plan.n_tokens * width * sizeof (float), "visual tokens of a picture", error);
    if (!self->still_tokens)
      return FALSE;
    self->still_size = plan.n_tokens;
  }
  if (!tern_vision_encode (self->vision_state, image, &options, &plan, self->still_tokens, &self->cancel, error))
    return FALSE;

  clear_pictures (self);
  tokens = self->still_tokens;
  for (guint i = 0; i < plan.n; i++) {
    const TernSubImage *sub = &plan.sub[i];

    add_picture (self, tokens, NULL, sub->n_tokens,
        &(TernPromptRun) { .row = sub->row, .column = sub->column, .thumbnail = sub->thumbnail });
    tokens += sub->n_tokens * width;
  }
  values->frames = 1;
  values->visual_in = values->visual_kept = plan.n_tokens;
  values->metrics.encode_ms = ms_since (begin);
  return TRUE;
}

static TernResult *
run_still (TernSession *self, const TernWork *work)
{
  TernResult values = { .confidence = -1 };
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  /* All keys of a still: nothing repeats in it, and leaving out 0.7 of the bundled model's 49 tokens costs captions what
   * docs/numbers.md tells, for no time that could be measured. */
  if (encode_still (self, work, &values, &error))
    answer (self, work->config, &(TernDpParams) { 0 }, (TernPromptVisual) { 0 }, &values, &text, &error);
  return conclude (self, work, &values, text, error);
}

/* ---- Steps ---- */

/* Hands @result over. Called and left with the lock held. */
static void
deliver (TernSession *self, TernResult *result, const TernWork *work)
{
  guint64 end = tern_session_end_of (self, &work->window);

  if (self->discard) {
    tern_result_unref (result);
    return;
  }
  result->id = self->next_id++;
  result->duration = end - result->timestamp;
  result->end = (double) end / TERN_SECOND;
  self->stats.windows_done++;
  if (!self->func) {
    g_queue_push_tail (&self->results, result);
    return;
  }
  g_mutex_unlock (&self->lock);
  self->func (self->func_data, result);
  tern_result_unref (result);
  g_mutex_lock (&self->lock);
}

gboolean
tern_session_step (TernClient *client)
{
  TernSession *self = (TernSession *) ((guint8 *) client - G_STRUCT_OFFSET (TernSession, client));
  TernResult *result = NULL;
  TernWork work;
  gboolean more;

  g_mutex_lock (&self->lock);
  if (!tern_session_take_work (self, &work)) {
    g_mutex_unlock (&self->lock);
    return FALSE;
  }
  self->in_window = work.kind == TERN_WORK_WINDOW || work.kind == TERN_WORK_STILL;
  self->discard = FALSE;
  tern_cancel_reset (&self->cancel);
  if (self->store_epoch != self->epoch) {
    self->store_epoch = self->epoch;
    tern_frame_store_release (&self->store, G_MAXUINT64);
  }
  g_mutex_unlock (&self->lock);

  if (work.kind == TERN_WORK_WINDOW)
    result = run_window (self, &work);
  else if (work.kind == TERN_WORK_STILL)
    result = run_still (self, &work);
  else
    run_frame (self, &work);

  g_mutex_lock (&self->lock);
  tern_work_queue_release (&self->queue, &work);
  if (result)
    deliver (self, result, &work);
  self->busy = self->in_window = FALSE;
  more = self->queue.n > 0;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return more;
}
