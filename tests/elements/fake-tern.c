/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libtern without a model, for tests of the elements: deterministic, fast, and as slow as a test wants.
 *
 * A model is any file that starts with GGUF; an mmproj file's id is the MD5 sum of its bytes. A frame becomes 4 x 4 tokens
 * of 8 floats, the first of which is the mean byte of its part of plane 0; then width, height, orientation, aspect and
 * transfer of the picture. A window's text is "<n> frames, <prompt>".
 * Read at each use: TERN_FAKE_LOAD_MS, TERN_FAKE_ENCODE_MS, TERN_FAKE_GENERATE_MS. Tests that must not go by the clock hold
 * answers instead, see harness.h: tern_fake_hold(), tern_fake_wait_begun(). */
#include <stdlib.h>
#include <string.h>
#include "fake-tern.h"
#include "tern/tern.h"

#define GRID 4
#define DIM 8
#define TOKENS (GRID * GRID)
#define MAX_QUEUED 2            /* windows, before a push is BUSY */

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

/* ---- Held answers ---- */

static GMutex hold_lock;
static GCond hold_cond;
static gboolean held;
static guint begun;             /* answers, in all */

void
tern_fake_hold (gboolean hold)
{
  g_mutex_lock (&hold_lock);
  held = hold;
  g_cond_broadcast (&hold_cond);
  g_mutex_unlock (&hold_lock);
}

guint
tern_fake_begun (void)
{
  guint n;

  g_mutex_lock (&hold_lock);
  n = begun;
  g_mutex_unlock (&hold_lock);
  return n;
}

void
tern_fake_wait_begun (guint n)
{
  g_mutex_lock (&hold_lock);
  while (begun < n)
    g_cond_wait (&hold_cond, &hold_lock);
  g_mutex_unlock (&hold_lock);
}

static void
wait_while_held (gint *cancel)
{
  g_mutex_lock (&hold_lock);
  begun++;
  g_cond_broadcast (&hold_cond);
  while (held && !g_atomic_int_get (cancel))
    g_cond_wait (&hold_cond, &hold_lock);
  g_mutex_unlock (&hold_lock);
}

static void
raise_cancel (gint *cancel)
{
  g_mutex_lock (&hold_lock);
  g_atomic_int_set (cancel, 1);
  g_cond_broadcast (&hold_cond);
  g_mutex_unlock (&hold_lock);
}

/* ---- Models ---- */

struct _TernModel {
  gint ref_count;
  char *path, *mmproj, *id;
};

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

  work (get_ms ("TERN_FAKE_LOAD_MS"), &never);
  model->ref_count = 1;
  model->path = g_strdup (params->model_path ? params->model_path : g_getenv ("TERN_MODEL_PATH"));
  model->mmproj = g_strdup (params->mmproj_path);
  if (!model->mmproj && model->path) {
    g_autofree char *folder = g_path_get_dirname (model->path);

    model->mmproj = find_mmproj (folder);
  }
  if (((params->parts & TERN_MODEL_TEXT) || !model->mmproj) && !model->path) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "no model");
  } else if ((params->parts & TERN_MODEL_VISION) && !model->mmproj) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "expected one mmproj*.gguf beside %s", model->path);
  } else if ((!(params->parts & TERN_MODEL_TEXT) || read_model (model->path, NULL, error))
      && (!model->mmproj || read_model (model->mmproj, &model->id, error))) {
    return model;
  }
  tern_model_unref (model);
  return NULL;
}

TernModel *
tern_model_ref (TernModel *model)
{
  g_atomic_int_inc (&model->ref_count);
  return model;
}

void
tern_model_unref (TernModel *model)
{
  if (!g_atomic_int_dec_and_test (&model->ref_count))
    return;
  g_free (model->path);
  g_free (model->mmproj);
  g_free (model->id);
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
  return model->mmproj;
}

const char *
tern_model_instruction_set (const TernModel *model)
{
  return "none";
}

const char *
tern_model_encoder_id (const TernModel *model)
{
  return model->id;
}

guint
tern_model_embedding_dim (const TernModel *model)
{
  return DIM;
}

guint
tern_model_frame_tokens (const TernModel *model)
{
  return TOKENS;
}

/* ---- Steps ---- */

struct _TernEncoder {
  TernModel *model;
  gint cancel;
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
  tern_model_unref (encoder->model);
  g_free (encoder);
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

gboolean
tern_encoder_run (TernEncoder *encoder, const TernImage *image, float *tokens, TernTokens *out, GError **error)
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
  memset (tokens, 0, sizeof (float) * TOKENS * DIM);
  for (i = 0; i < TOKENS; i++) {
    tokens[i * DIM] = sum[i] / count[i];
    tokens[i * DIM + 1] = image->width;
    tokens[i * DIM + 2] = image->height;
    tokens[i * DIM + 3] = image->orientation;
    tokens[i * DIM + 4] = image->pixel_aspect_d ? (float) image->pixel_aspect_n / image->pixel_aspect_d : 0;
    tokens[i * DIM + 5] = image->transfer;
  }
  if (!work (get_ms ("TERN_FAKE_ENCODE_MS"), &encoder->cancel)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_CANCELLED, "cancelled");
    return FALSE;
  }
  *out = (TernTokens) { .pts = TERN_TIME_NONE, .duration = TERN_TIME_NONE, .grid_w = GRID, .grid_h = GRID, .dim = DIM,
    .n_tokens = TOKENS, .tokens = tokens };
  return TRUE;
}

void
tern_encoder_cancel (TernEncoder *encoder, gboolean cancel)
{
  g_atomic_int_set (&encoder->cancel, cancel);
}

/* ---- Results ---- */

typedef struct {
  TernResult result;
  gint ref_count;
} FakeResult;

TernResult *
tern_result_ref (TernResult *result)
{
  g_atomic_int_inc (&((FakeResult *) result)->ref_count);
  return result;
}

void
tern_result_unref (TernResult *result)
{
  if (!g_atomic_int_dec_and_test (&((FakeResult *) result)->ref_count))
    return;
  g_free ((char *) result->result);
  g_free ((char *) result->source);
  g_free ((char *) result->prompt);
  g_free ((char *) result->prompt_id);
  g_free (result);
}

#define FIELD(name, type) { #name, TERN_FIELD_##type, "", "", G_STRUCT_OFFSET (TernResult, name) }
static const TernField fields[] = {
  FIELD (version, UINT), FIELD (kind, STRING), FIELD (id, UINT64), FIELD (source, STRING), FIELD (result, STRING),
  FIELD (timestamp, UINT64), FIELD (timestamp_seconds, DOUBLE), FIELD (start, DOUBLE), FIELD (end, DOUBLE),
  FIELD (prompt_id, STRING), FIELD (prompt, STRING), FIELD (model, STRING), FIELD (finish_reason, STRING),
  FIELD (confidence, DOUBLE), FIELD (frames, UINT), FIELD (visual_in, UINT), FIELD (visual_kept, UINT),
};
static const TernField metrics_fields[] = {
  { "total_ms", TERN_FIELD_DOUBLE, "ms", "", G_STRUCT_OFFSET (TernMetrics, total_ms) },
};

const TernField *
tern_result_fields (guint *n)
{
  *n = G_N_ELEMENTS (fields);
  return fields;
}

const TernField *
tern_metrics_fields (guint *n)
{
  *n = G_N_ELEMENTS (metrics_fields);
  return metrics_fields;
}

static void
append_fields (GString *json, const TernField *table, guint n, const guint8 *base)
{
  guint i;

  for (i = 0; i < n; i++) {
    const guint8 *value = base + table[i].offset;

    g_string_append_printf (json, "%s\"%s\": ", i ? ", " : "", table[i].name);
    switch (table[i].type) {
      case TERN_FIELD_UINT:
        g_string_append_printf (json, "%u", *(const guint *) value);
        break;
      case TERN_FIELD_UINT64:
        g_string_append_printf (json, "%" G_GUINT64_FORMAT, *(const guint64 *) value);
        break;
      case TERN_FIELD_DOUBLE:
        g_string_append_printf (json, "%.17g", *(const double *) value);
        break;
      case TERN_FIELD_STRING: {
        g_autofree char *escaped = g_strescape (*(const char *const *) value, NULL);

        g_string_append_printf (json, "\"%s\"", escaped);
        break;
      }
    }
  }
}

char *
tern_result_to_json (const TernResult *result)
{
  GString *json = g_string_new ("{");

  append_fields (json, fields, G_N_ELEMENTS (fields), (const guint8 *) result);
  if (result->has_metrics) {
    g_string_append (json, ", \"metrics\": {");
    append_fields (json, metrics_fields, G_N_ELEMENTS (metrics_fields), (const guint8 *) &result->metrics);
    g_string_append_c (json, '}');
  }
  g_string_append_c (json, '}');
  return g_string_free (json, FALSE);
}

/* ---- Sessions ---- */

typedef struct {
  guint64 start, last, end;     /* ns: first and last frame, end of the last one */
  guint frames, visual_in, visual_kept;
  char *prompt, *prompt_id;
  gboolean metrics;
} Window;

struct _TernSession {
  TernSessionParams params;
  char *source, *prompt, *prompt_id;
  GMutex lock;
  GCond cond;
  GThread *thread;
  GQueue windows;               /* Window */
  Window *open;
  gboolean stop, running, keep_partial;
  gint cancel;
  guint64 seen_end;             /* ns, of the last frame seen; 0 none */
  guint64 next_id;
  TernSessionStats stats;
};

static void
window_free (void *data)
{
  Window *window = data;

  g_free (window->prompt);
  g_free (window->prompt_id);
  g_free (window);
}

static TernResult *
answer (TernSession *session, const Window *window, gboolean whole)
{
  FakeResult *fake = g_new0 (FakeResult, 1);
  TernResult *r = &fake->result;

  fake->ref_count = 1;
  r->version = 1;
  r->kind = "caption";
  r->id = session->next_id++;
  r->source = g_strdup (session->source);
  r->prompt = g_strdup (window->prompt);
  r->prompt_id = g_strdup (window->prompt_id);
  r->result = g_strdup_printf ("%u frames, %s", window->frames, window->prompt);
  r->timestamp = window->start;
  r->start = r->timestamp_seconds = (double) window->start / TERN_SECOND;
  r->end = (double) window->end / TERN_SECOND;
  r->duration = window->end - window->start;
  r->model = "fake";
  r->finish_reason = whole ? "stop" : "cancelled";
  r->confidence = -1;
  r->frames = window->frames;
  r->visual_in = window->visual_in;
  r->visual_kept = window->visual_kept;
  r->has_metrics = window->metrics;
  r->metrics.total_ms = 1;
  return r;
}

static void *
engine (void *data)
{
  TernSession *session = data;

  g_mutex_lock (&session->lock);
  while (!session->stop) {
    Window *window = g_queue_pop_head (&session->windows);
    gboolean whole;

    if (!window) {
      g_cond_wait (&session->cond, &session->lock);
      continue;
    }
    session->running = TRUE;
    g_cond_broadcast (&session->cond);
    g_atomic_int_set (&session->cancel, 0);
    session->keep_partial = FALSE;
    g_mutex_unlock (&session->lock);
    wait_while_held (&session->cancel);
    whole = work (get_ms ("TERN_FAKE_GENERATE_MS"), &session->cancel);
    if (whole || session->keep_partial) {
      TernResult *result = answer (session, window, whole);

      session->params.func (session->params.func_data, result);
      tern_result_unref (result);
    }
    window_free (window);
    g_mutex_lock (&session->lock);
    session->running = FALSE;
    session->stats.windows_done++;
    g_cond_broadcast (&session->cond);
  }
  g_mutex_unlock (&session->lock);
  return NULL;
}

/* What a model of little context would refuse. */
static gboolean
check_context (const char *prompt, guint max_tokens, GError **error)
{
  if ((!prompt || strlen (prompt) <= 10000) && max_tokens <= 10000)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context of fake: expected at most 10000 tokens");
  return FALSE;
}

TernSession *
tern_session_new (TernModel *model, const TernSessionParams *params, GError **error)
{
  TernSession *session;

  if (!check_context (params->prompt, params->sampling.max_tokens, error))
    return NULL;
  session = g_new0 (TernSession, 1);

  session->params = *params;
  session->source = g_strdup (params->source ? params->source : "");
  session->prompt = g_strdup (params->prompt ? params->prompt : "default");
  session->prompt_id = g_strdup (params->prompt_id ? params->prompt_id : "");
  g_mutex_init (&session->lock);
  g_cond_init (&session->cond);
  g_queue_init (&session->windows);
  session->thread = g_thread_new ("fake-engine", engine, session);
  return session;
}

static void
drop_queued (TernSession *session)
{
  g_queue_clear_full (&session->windows, window_free);
  g_clear_pointer (&session->open, window_free);
}

void
tern_session_free (TernSession *session)
{
  g_mutex_lock (&session->lock);
  session->stop = TRUE;
  raise_cancel (&session->cancel);
  g_cond_broadcast (&session->cond);
  g_mutex_unlock (&session->lock);
  g_thread_join (session->thread);
  drop_queued (session);
  g_free (session->source);
  g_free (session->prompt);
  g_free (session->prompt_id);
  g_mutex_clear (&session->lock);
  g_cond_clear (&session->cond);
  g_free (session);
}

static guint
frames_of (TernSession *session, guint64 time)
{
  double frames = session->params.rate_n ? (double) time / TERN_SECOND * session->params.rate_n /
      session->params.rate_d : 8;
  guint n = (guint) (frames + 0.999999);

  return MAX (1, (n + TERN_GROUP_FRAMES - 1) / TERN_GROUP_FRAMES) * TERN_GROUP_FRAMES;
}

static void
close_window (TernSession *session)
{
  while (session->params.live && !g_queue_is_empty (&session->windows)) {
    window_free (g_queue_pop_head (&session->windows));
    session->stats.windows_dropped++;
  }
  g_queue_push_tail (&session->windows, g_steal_pointer (&session->open));
  g_cond_broadcast (&session->cond);
}

/* Whether the open window is over when something comes at @time. */
static gboolean
ends_window (TernSession *session, guint64 time)
{
  Window *open = session->open;

  return open && (time < open->last || (time > open->end && time - open->end > session->params.window));
}

void
tern_session_see (TernSession *session, guint64 pts, guint64 duration)
{
  g_mutex_lock (&session->lock);
  session->seen_end = pts + (duration == TERN_TIME_NONE ? 0 : duration);
  if (ends_window (session, session->seen_end))
    close_window (session);
  g_mutex_unlock (&session->lock);
}

gboolean
tern_session_push_tokens (TernSession *session, const TernTokens *tokens, GError **error)
{
  Window *open;

  g_mutex_lock (&session->lock);
  if (!session->params.live && session->windows.length >= MAX_QUEUED) {
    g_mutex_unlock (&session->lock);
    g_set_error (error, TERN_ERROR, TERN_ERROR_BUSY, "full");
    return FALSE;
  }
  if (ends_window (session, tokens->pts))
    close_window (session);
  if (!session->open) {
    session->open = g_new0 (Window, 1);
    session->open->start = tokens->pts;
    session->open->prompt = g_strdup (session->prompt);
    session->open->prompt_id = g_strdup (session->prompt_id);
    session->open->metrics = session->params.metrics;
  }
  open = session->open;
  open->frames++;
  open->visual_in += tokens->grid_w * tokens->grid_h;
  open->visual_kept += tokens->n_tokens;
  open->last = tokens->pts;
  open->end = session->params.rate_n ?
      tokens->pts + TERN_SECOND * session->params.rate_d / session->params.rate_n : tokens->pts + tokens->duration;
  session->stats.frames_in++;
  if (open->frames == frames_of (session, session->params.window))
    close_window (session);
  g_mutex_unlock (&session->lock);
  return TRUE;
}

void
tern_session_finish (TernSession *session)
{
  g_mutex_lock (&session->lock);
  if (session->open) {
    /* The last window ends with the video. */
    if (session->seen_end > session->open->last)
      session->open->end = MIN (session->seen_end, session->open->start + session->params.window);
    close_window (session);
  }
  session->seen_end = 0;
  g_mutex_unlock (&session->lock);
}

static void
flush (TernSession *session, gboolean keep_partial)
{
  g_mutex_lock (&session->lock);
  drop_queued (session);
  session->keep_partial = keep_partial;
  if (session->running)
    raise_cancel (&session->cancel);
  g_cond_broadcast (&session->cond);
  g_mutex_unlock (&session->lock);
}

void
tern_session_flush (TernSession *session)
{
  flush (session, FALSE);
}

void
tern_session_cancel (TernSession *session)
{
  flush (session, TRUE);
}

gboolean
tern_session_set_prompt (TernSession *session, const char *prompt, const char *prompt_id, GError **error)
{
  if (!check_context (prompt, 0, error))
    return FALSE;
  g_mutex_lock (&session->lock);
  g_free (session->prompt);
  g_free (session->prompt_id);
  session->prompt = g_strdup (prompt ? prompt : "default");
  session->prompt_id = g_strdup (prompt_id ? prompt_id : "");
  g_mutex_unlock (&session->lock);
  return TRUE;
}

gboolean
tern_session_set_params (TernSession *session, const TernSessionParams *params, GError **error)
{
  if (!check_context (params->prompt, params->sampling.max_tokens, error))
    return FALSE;
  g_mutex_lock (&session->lock);
  session->params.metrics = params->metrics;
  g_mutex_unlock (&session->lock);
  return TRUE;
}

/* FALSE when @end passed; -1: never. Under the lock. */
static gboolean
wait_for_change (TernSession *session, gint64 end)
{
  if (end >= 0)
    return g_cond_wait_until (&session->cond, &session->lock, end);
  g_cond_wait (&session->cond, &session->lock);
  return TRUE;
}

TernNext
tern_session_next (TernSession *session, gint64 timeout_us, TernResult **result)
{
  gint64 end = timeout_us < 0 ? -1 : g_get_monotonic_time () + timeout_us;
  gboolean idle;

  *result = NULL;
  g_mutex_lock (&session->lock);
  while (!(idle = !session->running && g_queue_is_empty (&session->windows)) && wait_for_change (session, end));
  g_mutex_unlock (&session->lock);
  return idle ? TERN_NEXT_END : TERN_NEXT_PENDING;
}

gboolean
tern_session_wait (TernSession *session, gint64 timeout_us)
{
  gint64 end = timeout_us < 0 ? -1 : g_get_monotonic_time () + timeout_us;
  gboolean ok;

  g_mutex_lock (&session->lock);
  while (session->windows.length >= MAX_QUEUED && wait_for_change (session, end));
  ok = session->windows.length < MAX_QUEUED;
  g_mutex_unlock (&session->lock);
  return ok;
}

void
tern_session_stats (TernSession *session, TernSessionStats *stats)
{
  g_mutex_lock (&session->lock);
  *stats = session->stats;
  stats->queued_windows = session->windows.length + session->running;
  g_mutex_unlock (&session->lock);
}

void
tern_set_message_func (TernMessageFunc func, void *data)
{
}
