/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the session tests share: the tiny golden pair (256 wide, random weights), and synthetic frames. */
#pragma once

#include <string.h>

#include "tern/model-priv.h"

#define TEXT_FILE TERN_TEST_DATA "/lfm2/lfm2-tq2_0.gguf"
#define MMPROJ_FILE TERN_TEST_DATA "/lfm2vl/mmproj-ship-q8_0.gguf"
#define NARROW_FILE TERN_TEST_DATA "/lfm2s/lfm2s-bf16.gguf"
#define SMOLVLM TERN_TEST_DATA "/vision-own/smolvlm-text.gguf"
#define SMOLVLM_MMPROJ TERN_TEST_DATA "/vision-own/mmproj-smolvlm-odd.gguf"

#define MS(x) ((guint64) (x) * 1000000)

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOWER 10               /* sanitizers */
#else
#define SLOWER 1
#endif

static inline TernModel *
open_parts (TernModelParts parts, guint threads, guint context)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GError) error = NULL;
  TernModel *model;

  params.model_path = TEXT_FILE;
  params.mmproj_path = MMPROJ_FILE;
  params.parts = parts;
  params.threads = threads;
  params.context = context;
  model = tern_model_open (&params, &error);
  g_assert_no_error (error);
  g_assert_nonnull (model);
  return model;
}

static inline TernModel *
open_pair (const char *text, const char *mmproj)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GError) error = NULL;
  TernModel *model;

  params.model_path = text;
  params.mmproj_path = mmproj;
  params.threads = 2;
  model = tern_model_open (&params, &error);
  g_assert_no_error (error);
  return model;
}

static inline TernModel *
open_model (guint context)
{
  return open_parts (TERN_MODEL_FULL, 2, context);
}

/* Small windows, few tokens: tests are quick. */
static inline TernSessionParams
quick_params (void)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;

  params.window = 2 * TERN_SECOND;
  params.sampling.max_tokens = 6;
  return params;
}

static inline TernSession *
new_session (TernModel *model, const TernSessionParams *params)
{
  g_autoptr (GError) error = NULL;
  TernSession *session = tern_session_new (model, params, &error);

  g_assert_no_error (error);
  g_assert_nonnull (session);
  return session;
}

#define FRAME_W 64
#define FRAME_H 64

/* A gradient with a square that moves with @t; @variant changes the colours. */
static inline void
paint (guint8 *pixels, guint w, guint h, guint t, guint variant)
{
  for (guint y = 0; y < h; y++)
    for (guint x = 0; x < w; x++) {
      guint8 *p = pixels + 3 * (y * w + x);
      gboolean in = x >= t % w && x < t % w + w / 4 && y >= h / 3 && y < h / 2;

      p[0] = in ? 255 : (guint8) (x * 3 + variant * 40);
      p[1] = in ? (guint8) (20 * variant) : (guint8) (y * 2);
      p[2] = (guint8) (x + y + variant * 90);
    }
}

static inline gboolean
push_sized (TernSession *session, guint w, guint h, guint t, guint variant, guint64 pts, guint64 duration, GError **error)
{
  g_autofree guint8 *pixels = g_malloc (3 * w * h);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = w, .height = h, .data = { pixels }, .stride = { 3 * (gint) w } };

  paint (pixels, w, h, t, variant);
  return tern_session_push_frame (session, &image, pts, duration, error);
}

/* Pushes as a file does: waits when there is no room. */
static inline void
push (TernSession *session, guint t, guint variant, guint64 pts, guint64 duration)
{
  GError *error = NULL;

  while (!push_sized (session, FRAME_W, FRAME_H, t, variant, pts, duration, &error)) {
    g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
    g_clear_error (&error);
    tern_session_wait (session, -1);
  }
}

/* @n frames at the default sampling rate, from @first on. */
static inline void
push_run (TernSession *session, guint first, guint n, guint variant)
{
  for (guint i = first; i < first + n; i++)
    push (session, 3 * i, variant, MS (500 * i), MS (500));
}

static inline TernResult *
next_result (TernSession *session)
{
  TernResult *result = NULL;

  tern_session_next (session, -1, &result);
  return result;
}

static inline guint64
ask_of (TernSession *session, const TernRequest *request)
{
  g_autoptr (GError) error = NULL;
  guint64 id = 0;
  gboolean ok = tern_session_ask (session, request, &id, &error);

  g_assert_no_error (error);
  g_assert_true (ok);
  return id;
}

/* The next result of a request; windows' are passed over. */
static inline TernResult *
next_of_requests (TernSession *session)
{
  TernResult *result;

  while ((result = next_result (session)) && result->ask_id == 0)
    tern_result_unref (result);
  return result;
}

/* The texts of all results to come, a line each. */
static inline char *
drain (TernSession *session)
{
  GString *all = g_string_new (NULL);
  TernResult *result;

  while ((result = next_result (session))) {
    g_string_append_printf (all, "%s|%.3f-%.3f|%s|%u\n", result->kind, result->start, result->end, result->result,
        result->visual_kept);
    tern_result_unref (result);
  }
  return g_string_free (all, FALSE);
}

static inline GPtrArray *
new_results (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) tern_result_unref);
}

/* The reasons of all results to come, a letter each: u unchanged, b budget, c cancelled, e error, . said. @results: they are
 * appended to it, unless it is NULL. */
static inline char *
reasons (TernSession *session, GPtrArray *results)
{
  static const char *const named[] = { "unchanged", "budget", "cancelled", "error" };
  GString *all = g_string_new (NULL);
  TernResult *result;

  while ((result = next_result (session))) {
    char letter = '.';

    for (guint i = 0; i < G_N_ELEMENTS (named); i++)
      if (g_str_equal (result->finish_reason, named[i]))
        letter = named[i][0];
    g_string_append_c (all, letter);
    if (results)
      g_ptr_array_add (results, tern_result_ref (result));
    tern_result_unref (result);
  }
  return g_string_free (all, FALSE);
}

/* ---- An engine that waits ---- */

typedef struct {
  TernModel *model;
  GThread *thread;
  GMutex lock;
  GCond changed;
  gboolean held, go_on;
} Hold;

static inline void
wait_on_engine (void *data)
{
  Hold *hold = data;

  g_mutex_lock (&hold->lock);
  hold->held = TRUE;
  g_cond_broadcast (&hold->changed);
  while (!hold->go_on)
    g_cond_wait (&hold->changed, &hold->lock);
  g_mutex_unlock (&hold->lock);
}

static inline gpointer
hold_engine_thread (gpointer data)
{
  Hold *hold = data;

  tern_scheduler_call (hold->model->scheduler, wait_on_engine, hold);
  return NULL;
}

/* From now on the engine of @model does nothing, until release_engine(). */
static inline void
hold_engine (Hold *hold, TernModel *model)
{
  *hold = (Hold) { .model = model };
  g_mutex_init (&hold->lock);
  g_cond_init (&hold->changed);
  hold->thread = g_thread_new ("hold", hold_engine_thread, hold);
  g_mutex_lock (&hold->lock);
  while (!hold->held)
    g_cond_wait (&hold->changed, &hold->lock);
  g_mutex_unlock (&hold->lock);
}

static inline void
release_engine (Hold *hold)
{
  g_mutex_lock (&hold->lock);
  hold->go_on = TRUE;
  g_cond_broadcast (&hold->changed);
  g_mutex_unlock (&hold->lock);
  g_thread_join (hold->thread);
  g_mutex_clear (&hold->lock);
  g_cond_clear (&hold->changed);
}

/* ---- An engine that has done all ---- */

typedef struct {
  TernScheduler *scheduler;
  gboolean wanted;
} Rest;

static inline void
look_for_rest (void *data)
{
  Rest *rest = data;

  rest->wanted = tern_scheduler_is_wanted (rest->scheduler);
}

/* Until the engine has nothing to do: seen from between its rounds. */
static inline void
come_to_rest (TernScheduler *scheduler)
{
  Rest rest = { scheduler };

  do
    tern_scheduler_call (scheduler, look_for_rest, &rest);
  while (rest.wanted);
}

/* ---- When it was ---- */

/* What a request about the newest @n pictures (0: those of the window) says of its time, in ms. */
static inline void
expect_times (TernModel *model, TernSession *session, guint n, guint frames, guint start, guint end)
{
  TernRequest request = { .question = { .prompt = "What?", .max_tokens = 1 }, .frames = n };
  g_autoptr (TernResult) result = NULL;

  come_to_rest (model->scheduler);
  ask_of (session, &request);
  result = next_of_requests (session);
  g_assert_cmpstr (result->kind, ==, "caption");
  g_assert_cmpuint (result->frames, ==, frames);
  g_assert_cmpuint (result->timestamp, ==, MS (start));
  g_assert_cmpuint (result->duration, ==, MS (end - start));
  g_assert_cmpfloat (result->start, ==, start / 1000.);
  g_assert_cmpfloat (result->end, ==, end / 1000.);
}
