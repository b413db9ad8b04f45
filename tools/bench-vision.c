/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures to visual tokens, merging of these, and whole windows. */
#include "compress/compress.h"
#include "engine/base/mem.h"
#include "engine/llm/cost.h"
#include "tern/error.h"
#include "tern/tern.h"
#include "tools/bench.h"
#include "vision/cost.h"

#define LARGE_SIDE 512          /* pixels of a picture for encoders that take any size */
#define GROUPS 64               /* merged in one run: one alone is too short to be timed */
#define FRAMES 8                /* of a window */
#define FRAME_NS (G_GUINT64_CONSTANT (500) * 1000 * 1000)
#define CAMERA_WIDTH 640
#define CAMERA_HEIGHT 480

typedef struct {
  TernFigure parent;
  TernVision *vision;
  TernVisionState *state;
  TernVisionOptions options;
  TernVisionPlan plan;
  TernImage image;
  guint8 *pixels;
  float *tokens;
} VisionFigure;

typedef struct {
  TernFigure parent;
  float *tokens;                /* [TERN_COMPRESS_GROUP, n, dim] */
  guint n, dim;
  gint32 *keep;
  void *scratch;
} CompressFigure;

typedef struct {
  TernFigure parent;
  TernModel *model;
  TernLlm *llm;
  TernCost frame;               /* of one picture */
  TernImage images[FRAMES];
  guint8 *pixels[FRAMES];
} WindowFigure;

/* Noise, so that no frame is like another. */
static guint8 *
make_picture (TernImage *image, guint width, guint height, guint32 seed)
{
  gsize n = (gsize) width * height * 3;
  guint8 *pixels = g_malloc (n);

  for (gsize i = 0; i < n; i++)
    pixels[i] = ((guint32) i * 2654435761u + seed) >> 24;
  *image = (TernImage) { .format = TERN_IMAGE_RGB, .width = width, .height = height, .data = { pixels },
    .stride = { 3 * (gint) width } };
  return pixels;
}

/* ---- One picture ------------------------------------------------------------------------------------------------- */

static void
vision_clear (TernFigure *figure)
{
  VisionFigure *self = (VisionFigure *) figure;

  tern_vision_state_free (self->state);
  tern_vision_unref (self->vision);
  g_free (self->pixels);
  g_free (self->tokens);
}

static gboolean
run_vision (TernFigure *figure, GError **error)
{
  VisionFigure *self = (VisionFigure *) figure;
  gint64 start = g_get_monotonic_time ();

  if (!tern_vision_encode (self->state, &self->image, &self->options, &self->plan, self->tokens, NULL, error))
    return FALSE;
  figure->seconds = MAX (g_get_monotonic_time () - start, 1) / 1e6;
  return TRUE;
}

/* A frame in the size that the encoder takes. */
static gboolean
add_vision (GPtrArray *figures, const TernBenchPlan *plan, TernVision *vision, GError **error)
{
  VisionFigure *self = g_new0 (VisionFigure, 1);
  const TernVisionInfo *info = tern_vision_info (vision);
  guint width, height;

  self->parent = (TernFigure) { .name = "vision", .unit = "frames/s", .run = run_vision, .clear = vision_clear,
    .amount = 1 };
  self->vision = tern_vision_ref (vision);
  self->options.scaling = TERN_SCALING_TRAINED;
  g_ptr_array_add (figures, self);
  if (!tern_vision_plan (vision, LARGE_SIDE, LARGE_SIDE, &self->options, &self->plan, error))
    return FALSE;
  width = self->plan.sub[0].width;
  height = self->plan.sub[0].height;
  if (!tern_vision_plan (vision, width, height, &self->options, &self->plan, error)
      || !(self->state = tern_vision_state_new (vision, self->plan.n_tokens, TERN_ACTIVATIONS_INT8, plan->pool, error)))
    return FALSE;
  self->pixels = make_picture (&self->image, width, height, 0);
  self->tokens = g_new (float, (gsize) self->plan.n_tokens * info->row_dim);
  self->parent.what = g_strdup_printf ("%ux%u to %u tokens", width, height, self->plan.n_tokens);
  self->parent.tokens = self->plan.n_tokens;
  tern_vision_cost (vision, &self->plan, &self->parent.cost);
  return TRUE;
}

/* ---- Merging ----------------------------------------------------------------------------------------------------- */

static void
compress_clear (TernFigure *figure)
{
  CompressFigure *self = (CompressFigure *) figure;

  g_free (self->tokens);
  g_free (self->keep);
  g_free (self->scratch);
}

static gboolean
run_compress (TernFigure *figure, GError **error)
{
  CompressFigure *self = (CompressFigure *) figure;
  const TernCompressorParams by_default = TERN_COMPRESSOR_PARAMS_INIT;
  TernCompressParams params = { .merge_ratio = by_default.merge_ratio };
  TernTokenGroup group = { self->tokens, TERN_COMPRESS_GROUP, self->n, self->dim, 0 };
  guint n_keep[TERN_COMPRESS_GROUP];
  gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < GROUPS; i++)
    tern_compress_dycoke.select (&params, &group, self->scratch, self->keep, n_keep);
  figure->seconds = MAX (g_get_monotonic_time () - start, 1) / 1e6;
  return TRUE;
}

static void
add_compress (GPtrArray *figures, guint n, guint dim)
{
  CompressFigure *self = g_new0 (CompressFigure, 1);
  gsize values = (gsize) TERN_COMPRESS_GROUP * n * dim;

  self->parent = (TernFigure) { .name = "compression", .unit = "frames/s", .run = run_compress,
    .clear = compress_clear, .amount = GROUPS * TERN_COMPRESS_GROUP, .tokens = n };
  self->parent.what = g_strdup_printf ("dycoke, frames of %u tokens of %u", n, dim);
  self->n = n;
  self->dim = dim;
  self->tokens = g_new (float, values);
  self->keep = g_new (gint32, TERN_COMPRESS_GROUP * n);
  self->scratch = g_malloc (MAX (tern_compress_dycoke.scratch (n, dim), 1));
  for (gsize i = 0; i < values; i++)
    self->tokens[i] = (float) (((guint32) i * 2654435761u) >> 8) / (1 << 24) - 0.5f;
  /* Each token once; three products with another frame's, and each one's length. */
  self->parent.cost.bytes = (double) GROUPS * values * sizeof (float);
  self->parent.cost.f32 = (double) GROUPS * n * dim * (3 + TERN_COMPRESS_GROUP);
  g_ptr_array_add (figures, self);
}

gboolean
tern_vision_figures_add (GPtrArray *figures, const TernBenchPlan *plan, TernVision *vision, GError **error)
{
  if (!add_vision (figures, plan, vision, error))
    return FALSE;
  add_compress (figures, ((TernFigure *) figures->pdata[figures->len - 1])->tokens,
      tern_vision_info (vision)->embedding_dim);
  return TRUE;
}

/* ---- A window ---------------------------------------------------------------------------------------------------- */

static void
window_clear (TernFigure *figure)
{
  WindowFigure *self = (WindowFigure *) figure;

  tern_model_unref (self->model);
  tern_llm_unref (self->llm);
  for (guint i = 0; i < FRAMES; i++)
    g_free (self->pixels[i]);
}

/* What frames, prompt and answer cost at least, now that their lengths are known. */
static void
count_window (WindowFigure *self, const TernResult *result)
{
  TernLlmWork prompt = { .timelines = 1, .rows = result->prompt_tokens, .heads = 1, .kv = TERN_KV_F16 };
  TernLlmWork said = { .timelines = 1, .rows = 1, .heads = 1, .depth = result->prompt_tokens, .kv = TERN_KV_F16 };
  TernCost cost = { FRAMES * self->frame.bytes, FRAMES * self->frame.i8, FRAMES * self->frame.f32, FRAMES * self->frame.bf16 };

  tern_llm_cost (self->llm, &prompt, &cost);
  for (guint i = 1; i < result->generated_tokens; i++, said.depth++)
    tern_llm_cost (self->llm, &said, &cost);
  self->parent.cost = cost;
  self->parent.tokens = result->generated_tokens;
  g_free (self->parent.what);
  self->parent.what = g_strdup_printf ("%u frames, %u tokens read, %u said", FRAMES, result->prompt_tokens,
      result->generated_tokens);
}

static gboolean
ask_window (WindowFigure *self, TernSession *session, TernResult **result, GError **error)
{
  for (guint i = 0; i < FRAMES; i++)
    if (!tern_session_push_frame (session, &self->images[i], i * FRAME_NS, FRAME_NS, error))
      return FALSE;
  tern_session_finish (session);
  if (tern_session_next (session, -1, result) == TERN_NEXT_RESULT)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected a result of a window of %u frames, found none",
      tern_model_path (self->model), FRAMES);
  return FALSE;
}

static gboolean
run_window (TernFigure *figure, GError **error)
{
  WindowFigure *self = (WindowFigure *) figure;
  TernSessionParams params;
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernResult) result = NULL;
  gint64 start;

  tern_session_params_init (&params);
  params.window = FRAMES * FRAME_NS;
  if (!(session = tern_session_new (self->model, &params, error)))
    return FALSE;
  start = g_get_monotonic_time ();
  if (!ask_window (self, session, &result, error))
    return FALSE;
  figure->seconds = MAX (g_get_monotonic_time () - start, 1) / 1e6;
  if (g_strcmp0 (result->kind, "caption") != 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected a caption, found %s: %s",
        tern_model_path (self->model), result->kind, result->result);
    return FALSE;
  }
  count_window (self, result);
  return TRUE;
}

gboolean
tern_window_figure_add (GPtrArray *figures, TernModel *model, TernLlm *llm, TernVision *vision, GError **error)
{
  WindowFigure *self = g_new0 (WindowFigure, 1);
  TernVisionOptions options = { .scaling = TERN_SCALING_TRAINED };
  TernVisionPlan picture;

  self->parent = (TernFigure) { .name = "end_to_end", .unit = "frames/s", .run = run_window, .clear = window_clear,
    .amount = FRAMES };
  self->model = tern_model_ref (model);
  self->llm = tern_llm_ref (llm);
  g_ptr_array_add (figures, self);
  for (guint i = 0; i < FRAMES; i++)
    self->pixels[i] = make_picture (&self->images[i], CAMERA_WIDTH, CAMERA_HEIGHT, i << 27);
  if (!tern_vision_plan_image (vision, &self->images[0], &options, &picture, error))
    return FALSE;
  tern_vision_cost (vision, &picture, &self->frame);
  return TRUE;
}
