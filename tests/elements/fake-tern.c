/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libtern without a model, for tests of the elements: deterministic, fast, and as slow as a test wants. Sampler, windows,
 * queue, compressor, results, parameters and sessions are the library's own; models and encoders stand here, what sessions
 * ask of a model in fake-session.c.
 *
 * A model is any file that starts with GGUF; an mmproj file's id is the MD5 sum of its bytes. A frame becomes 4 x 4 tokens
 * of 8 floats, the first of which is the mean byte of its part of plane 0; then width, height, orientation, aspect and
 * transfer of the picture. With TERN_FAKE_PAIRS in the environment two frames make a picture; the mean byte of the second is
 * the seventh float, -1 where one stands alone; with TERN_FAKE_BACK the eighth is that of the frame before, -1 where there is none.
 * A window's text is "<n> frames, <prompt>". Each carries the tasks `danger` (yes, no) and `scene`
 * (a JSON string).
 * Read at each use: TERN_FAKE_LOAD_MS, TERN_FAKE_ENCODE_MS, TERN_FAKE_GENERATE_MS. Tests that must not go by the clock hold
 * answers, frames and loads instead, see harness.h: tern_fake_hold(), tern_fake_wait_begun(). */
#include <stdlib.h>
#include <string.h>
#include "tern/budget-priv.h"
#include "fake-priv.h"

#define GRID 4
#define DIM FAKE_DIM
#define TOKENS (GRID * GRID)

static guint
get_ms (const char *name)
{
  const char *text = g_getenv (name);

  return text ? atoi (text) : 0;
}

/* Sleeps, in slices of a millisecond, unless @cancel becomes non-zero. */
static gboolean
work (guint ms, gint *cancel)
{
  gint64 end = g_get_monotonic_time () + ms * G_TIME_SPAN_MILLISECOND;

  while (g_get_monotonic_time () < end) {
    if (g_atomic_int_get (cancel))
      return FALSE;
    g_usleep (1000);
  }
  return !g_atomic_int_get (cancel);
}

/* ---- Held work ---- */

static GMutex hold_lock;
static GCond hold_cond;
static struct {
  gboolean held;
  guint begun;
} works[TERN_FAKE_N_WORKS];

void
tern_fake_hold (TernFakeWork what, gboolean hold)
{
  g_mutex_lock (&hold_lock);
  works[what].held = hold;
  g_cond_broadcast (&hold_cond);
  g_mutex_unlock (&hold_lock);
}

guint
tern_fake_begun (TernFakeWork what)
{
  guint n;

  g_mutex_lock (&hold_lock);
  n = works[what].begun;
  g_mutex_unlock (&hold_lock);
  return n;
}

void
tern_fake_wait_begun (TernFakeWork what, guint n)
{
  g_mutex_lock (&hold_lock);
  while (works[what].begun < n)
    g_cond_wait (&hold_cond, &hold_lock);
  g_mutex_unlock (&hold_lock);
}

/* Begins, and stays while it is held, unless @is_cancelled. */
static void
begin_work (TernFakeWork what, gboolean (*is_cancelled) (gpointer), gpointer flag)
{
  g_mutex_lock (&hold_lock);
  works[what].begun++;
  g_cond_broadcast (&hold_cond);
  /* Who cancels does not know of hold_cond. */
  while (works[what].held && !(is_cancelled && is_cancelled (flag)))
    g_cond_wait_until (&hold_cond, &hold_lock, g_get_monotonic_time () + G_TIME_SPAN_MILLISECOND);
  g_mutex_unlock (&hold_lock);
}

static gboolean
is_answer_cancelled (gpointer cancel)
{
  return tern_cancel_is_raised (cancel);
}

static gboolean
is_frame_cancelled (gpointer cancel)
{
  return g_atomic_int_get ((gint *) cancel) != 0;
}

gboolean
fake_generate (TernCancel *cancel)
{
  gint64 end;

  begin_work (TERN_FAKE_ANSWERS, is_answer_cancelled, cancel);
  end = g_get_monotonic_time () + get_ms ("TERN_FAKE_GENERATE_MS") * G_TIME_SPAN_MILLISECOND;
  while (g_get_monotonic_time () < end && !tern_cancel_is_raised (cancel))
    g_usleep (1000);
  return !tern_cancel_is_raised (cancel);
}

/* ---- Models ---- */

static char *
find_mmproj (const char *folder)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  const char *name;
  char *found = NULL;
  guint n = 0;

  while (dir && (name = g_dir_read_name (dir)))
    if (g_str_has_prefix (name, "mmproj") && g_str_has_suffix (name, ".gguf")) {
      g_free (found);
      found = g_build_filename (folder, name, NULL);
      n++;
    }
  if (dir)
    g_dir_close (dir);
  if (n != 1)
    g_clear_pointer (&found, g_free);
  return found;
}

static gboolean
read_model (const char *path, char **id, GError **error)
{
  g_autofree char *bytes = NULL;
  gsize size;

  if (!g_file_get_contents (path, &bytes, &size, NULL)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "%s: no such file", path);
    return FALSE;
  }
  if (size < 8 || memcmp (bytes, "GGUF", 4) != 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected a header, found %" G_GSIZE_FORMAT " bytes", path,
        size);
    return FALSE;
  }
  if (id)
    *id = g_compute_checksum_for_data (G_CHECKSUM_MD5, (guint8 *) bytes, size);
  return TRUE;
}

TernModel *
tern_model_open (const TernModelParams *params, GError **error)
{
  TernModel *model = g_new0 (TernModel, 1);
  gint never = 0;

  begin_work (TERN_FAKE_LOADS, NULL, NULL);
  work (get_ms ("TERN_FAKE_LOAD_MS"), &never);
  model->refs = 1;
  model->path = g_strdup (params->model_path ? params->model_path : g_getenv ("TERN_MODEL_PATH"));
  model->mmproj_path = g_strdup (params->mmproj_path);
  if (!model->mmproj_path && model->path) {
    g_autofree char *folder = g_path_get_dirname (model->path);

    model->mmproj_path = find_mmproj (folder);
  }
  if (((params->parts & TERN_MODEL_TEXT) || !model->mmproj_path) && !model->path) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "no model");
  } else if ((params->parts & TERN_MODEL_VISION) && !model->mmproj_path) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "expected one mmproj*.gguf beside %s", model->path);
  } else if ((!(params->parts & TERN_MODEL_TEXT) || read_model (model->path, NULL, error))
      && (!model->mmproj_path || read_model (model->mmproj_path, &model->encoder_id, error))) {
    model->text = params->parts & TERN_MODEL_TEXT ? fake_model_text () : NULL;
    model->scheduler = tern_scheduler_new (1, FALSE, error);
    return model;
  }
  tern_model_unref (model);
  return NULL;
}

TernModel *
tern_model_ref (TernModel *model)
{
  g_atomic_int_inc (&model->refs);
  return model;
}

void
tern_model_unref (TernModel *model)
{
  if (!g_atomic_int_dec_and_test (&model->refs))
    return;
  if (model->scheduler)
    tern_scheduler_free (model->scheduler);
  g_free (model->path);
  g_free (model->mmproj_path);
  g_free (model->encoder_id);
  g_free (model);
}

const char *
tern_model_name (const TernModel *model)
{
  return "fake";
}

const char *
tern_model_path (const TernModel *model)
{
  return model->path;
}

const char *
tern_model_mmproj_path (const TernModel *model)
{
  return model->mmproj_path;
}

const char *
tern_model_instruction_set (const TernModel *model)
{
  return "none";
}

const char *
tern_model_encoder_id (const TernModel *model)
{
  return model->encoder_id;
}

guint
tern_model_embedding_dim (const TernModel *model)
{
  return DIM;
}

guint
tern_model_deepstack (const TernModel *model)
{
  return 0;
}

guint
tern_model_frame_tokens (const TernModel *model)
{
  return TOKENS;
}

guint
tern_model_picture_frames (const TernModel *model)
{
  return g_getenv ("TERN_FAKE_PAIRS") ? 2 : 1;
}

gboolean
tern_model_looks_back (const TernModel *model)
{
  return g_getenv ("TERN_FAKE_BACK") != NULL;
}

guint
tern_model_context (const TernModel *model)
{
  return model->text ? 10000 : 0;
}

/* ---- Tasks ---- */

const TernTask *
tern_model_tasks (const TernModel *model, guint *n)
{
  *n = model->text ? model->text->tasks.n : 0;
  return model->text ? model->text->tasks.tasks : NULL;
}

const TernTask *
tern_model_task (const TernModel *model, const char *name)
{
  return model->text ? tern_tasks_find (&model->text->tasks, name) : NULL;
}

/* ---- Steps ---- */

struct _TernEncoder {
  TernModel *model;
  gint cancel;
  TernReuseParams reuse;
  TernReuseStats stats;
  TernBudget *budget;
};

TernEncoder *
tern_encoder_new (TernModel *model, TernFit fit, GError **error)
{
  TernEncoder *encoder = g_new0 (TernEncoder, 1);

  encoder->model = tern_model_ref (model);
  return encoder;
}

void
tern_encoder_free (TernEncoder *encoder)
{
  if (!encoder)
    return;
  tern_budget_unref (encoder->budget);
  tern_model_unref (encoder->model);
  g_free (encoder);
}

gboolean
tern_encoder_set_reuse (TernEncoder *encoder, const TernReuseParams *params, GError **error)
{
  encoder->reuse = *params;
  return TRUE;
}

void
tern_encoder_set_budget (TernEncoder *encoder, TernBudget *budget)
{
  encoder->budget = budget ? tern_budget_ref (budget) : NULL;
}

void
tern_encoder_reuse_stats (const TernEncoder *encoder, TernReuseStats *stats)
{
  *stats = encoder->stats;
}

/* So many patches as the parameters are. */
static void
count_patches (TernEncoder *encoder)
{
  if (encoder->reuse.mode == TERN_REUSE_OFF)
    return;
  encoder->stats.refreshed += encoder->stats.frames++ % MAX (encoder->reuse.refresh, 1) == 0;
  encoder->stats.patches_computed += (guint64) encoder->reuse.threshold;
  encoder->stats.patches_reused += encoder->reuse.mode;
}

static guint
row_bytes (const TernImage *image)
{
  switch (image->format) {
    case TERN_IMAGE_RGB:
    case TERN_IMAGE_BGR:
      return image->width * 3;
    case TERN_IMAGE_RGBX:
    case TERN_IMAGE_BGRX:
      return image->width * 4;
    default:
      return image->width;
  }
}

/* The mean byte of each part of plane 0, as number @place of its token. */
static gboolean
describe (const TernImage *image, float *tokens, guint place, GError **error)
{
  double sum[TOKENS] = { 0 };
  guint count[TOKENS] = { 0 };
  guint bytes = row_bytes (image), x, y, i;

  if (image->width < GRID || image->height < GRID) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "a picture of %u x %u is too small", image->width,
        image->height);
    return FALSE;
  }
  for (y = 0; y < image->height; y++)
    for (x = 0; x < bytes; x++) {
      guint cell = y * GRID / image->height * GRID + x * GRID / bytes;

      sum[cell] += image->data[0][(gint64) y * image->stride[0] + x];
      count[cell]++;
    }
  for (i = 0; i < TOKENS; i++)
    tokens[i * DIM + place] = sum[i] / count[i];
  return TRUE;
}

gboolean
tern_encoder_run_frames (TernEncoder *encoder, const TernImage *before, const TernImage *image, const TernImage *second,
    float *tokens, TernTokens *out, GError **error)
{
  memset (tokens, 0, sizeof (float) * TOKENS * DIM);
  if (!describe (image, tokens, 0, error) || (second && !describe (second, tokens, 6, error))
      || (before && !describe (before, tokens, 7, error)))
    return FALSE;
  count_patches (encoder);
  if (encoder->budget)          /* what it says, whatever it took */
    tern_budget_charge (encoder->budget, TERN_COST_FRAME, 1, (guint64) get_ms ("TERN_FAKE_COST_MS") * 1000000);
  for (guint i = 0; i < TOKENS; i++) {
    tokens[i * DIM + 1] = image->width;
    tokens[i * DIM + 2] = image->height;
    tokens[i * DIM + 3] = image->orientation;
    tokens[i * DIM + 4] = image->pixel_aspect_d ? (float) image->pixel_aspect_n / image->pixel_aspect_d : 0;
    tokens[i * DIM + 5] = image->transfer;
    if (!second)
      tokens[i * DIM + 6] = -1;
    if (!before && g_getenv ("TERN_FAKE_BACK"))
      tokens[i * DIM + 7] = -1;
  }
  begin_work (TERN_FAKE_FRAMES, is_frame_cancelled, &encoder->cancel);
  if (!work (get_ms ("TERN_FAKE_ENCODE_MS"), &encoder->cancel)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_CANCELLED, "cancelled");
    return FALSE;
  }
  *out = (TernTokens) { .pts = TERN_TIME_NONE, .duration = TERN_TIME_NONE, .grid_w = GRID, .grid_h = GRID, .dim = DIM,
    .n_tokens = TOKENS, .tokens = tokens };
  return TRUE;
}

gboolean
tern_encoder_run (TernEncoder *encoder, const TernImage *image, float *tokens, TernTokens *out, GError **error)
{
  return tern_encoder_run_frames (encoder, NULL, image, NULL, tokens, out, error);
}

gboolean
tern_encoder_run_pair (TernEncoder *encoder, const TernImage *first, const TernImage *second, float *tokens, TernTokens *out,
    GError **error)
{
  return tern_encoder_run_frames (encoder, NULL, first, second, tokens, out, error);
}

void
tern_encoder_cancel (TernEncoder *encoder, gboolean cancel)
{
  g_atomic_int_set (&encoder->cancel, cancel);
}

void
tern_set_message_func (TernMessageFunc func, void *data)
{
}
