/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session's life: windows to results, repeatable, interleaved, changed, stopped. */
#include <json-glib/json-glib.h>

#include "engine/text/tokenizer.h"
#include <glib/gstdio.h>

#include "session-fixture.h"
#include "tern/session-priv.h"

/* ---- Results ---- */

static void
test_windows (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  g_autoptr (TernSession) session = NULL;
  TernResult *result;
  TernSessionStats stats;
  guint tokens = 0;

  params.source = "clip.mp4";
  params.prompt = "What is this?";
  params.prompt_id = "q1";
  params.metrics = TRUE;
  params.sampling.max_tokens = 5;
  params.compress.method = TERN_METHOD_DYCOKE;
  params.compress.merge_ratio = params.kv_prune = 0.7;
  session = new_session (model, &params);
  /* 30 frames a second for 9.2 seconds: two windows and a rest. */
  for (guint i = 0; i < 276; i++)
    push (session, i / 3, 0, i * TERN_SECOND / 30, TERN_SECOND / 30);
  tern_session_finish (session);

  for (guint w = 0; w < 3; w++) {
    result = next_result (session);
    g_assert_nonnull (result);
    g_assert_cmpuint (result->version, ==, 1);
    g_assert_cmpstr (result->kind, ==, "caption");
    g_assert_cmpuint (result->id, ==, w);
    g_assert_cmpstr (result->source, ==, "clip.mp4");
    g_assert_cmpstr (result->prompt, ==, "What is this?");
    g_assert_cmpstr (result->prompt_id, ==, "q1");
    g_assert_cmpstr (result->model, ==, "tern golden lfm2-tq2_0");
    g_assert_true (strcmp (result->finish_reason, "length") == 0 || strcmp (result->finish_reason, "stop") == 0);
    g_assert_cmpuint (result->timestamp, ==, w * 4 * TERN_SECOND);
    g_assert_cmpfloat (result->start, ==, 4 * w);
    g_assert_cmpfloat_with_epsilon (result->end, w < 2 ? 4 * w + 4 : 9.2, 1e-6);
    g_assert_cmpfloat_with_epsilon ((double) result->duration / TERN_SECOND, result->end - result->start, 1e-6);
    g_assert_cmpuint (result->frames, ==, w < 2 ? 8 : 3);
    if (w == 0)
      tokens = result->visual_in / 8;
    g_assert_cmpuint (result->visual_in, ==, tokens * result->frames);
    /* The first of a group is whole, the others keep .3 of it. */
    g_assert_cmpuint (result->visual_kept, ==, w < 2 ? 2 * (tokens + 3 * (tokens * 3 / 10)) : tokens + 2 * (tokens * 3 / 10));
    g_assert_cmpuint (result->prompt_tokens, >, result->visual_kept + 2 * result->frames);
    g_assert_cmpuint (result->generated_tokens, <=, 5);
    g_assert_cmpfloat (result->confidence, >, 0);
    g_assert_true (result->has_metrics);
    g_assert_cmpfloat (result->metrics.encode_ms, >, 0);
    g_assert_cmpfloat (result->metrics.prefill_ms, >, 0);
    g_assert_cmpfloat (result->metrics.total_ms, >, 0);
    g_assert_cmpuint (result->metrics.kv_pruned_layers, ==, 1);
    g_assert_cmpfloat (result->metrics.kv_kept, <, .7);
    g_assert_cmpuint (result->metrics.kv_selections, >=, 1);
    g_assert_cmpuint (result->metrics.kv_selections, <=, result->generated_tokens);
    tern_result_unref (result);
  }
  g_assert_cmpint (tern_session_next (session, -1, &result), ==, TERN_NEXT_END);
  g_assert_null (tern_session_poll (session));
  tern_session_stats (session, &stats);
  g_assert_cmpuint (stats.frames_in, ==, 276);
  g_assert_cmpuint (stats.frames_sampled, ==, 19);
  g_assert_cmpuint (stats.windows_done, ==, 3);
  g_assert_cmpuint (stats.windows_dropped, ==, 0);
  g_assert_cmpuint (stats.queued_windows, ==, 0);
}

static char *
run_clip (TernModel *model, const TernSessionParams *params, guint variant, guint n)
{
  g_autoptr (TernSession) session = new_session (model, params);

  push_run (session, 0, n, variant);
  tern_session_finish (session);
  return drain (session);
}

static void
test_repeatable (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();

  for (guint i = 0; i < 5; i++) {
    g_autofree char *a = NULL, *b = NULL;

    params.compress.method = i == 1 ? TERN_METHOD_RANDOM : i == 2 ? TERN_METHOD_NONE : TERN_METHOD_DYCOKE;
    params.sampling.temperature = i == 3 ? 1.5f : 0;
    params.sampling.seed = 42;
    params.sampling.beam = i == 4 ? 3 : 1;
    a = run_clip (model, &params, 1, 10);
    b = run_clip (model, &params, 1, 10);
    g_assert_cmpstr (a, ==, b);
    g_assert_cmpuint (strlen (a), >, 30);
  }
}

/* A second stretch in the same session answers as the first one did: nothing leaks from window to window. */
static void
test_second_stretch (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autofree char *a = NULL, *b = NULL;

  push_run (session, 0, 6, 2);
  tern_session_finish (session);
  a = drain (session);
  push_run (session, 0, 6, 2);
  tern_session_finish (session);
  b = drain (session);
  g_assert_cmpstr (a, ==, b);
}

static void
push_scene (TernSession *session, guint window, guint variant)
{
  for (guint i = 4 * window; i < 4 * window + 4; i++)
    push (session, 0, variant, MS (500 * i), MS (500));
}

/* Windows of still scenes, whose answers are guessed by those before them, are answered as in a session of their own each:
 * with all keys, a part of them, and drawn. */
static void
test_guesses (void)
{
  static const guint scenes[] = { 1, 1, 1, 2, 1, 1, 3, 3 };
  g_autoptr (TernModel) model = open_model (0);

  for (guint i = 0; i < 3; i++) {
    TernSessionParams params = quick_params ();
    g_autoptr (TernSession) session = NULL;
    g_autoptr (GString) alone = g_string_new (NULL);
    g_autofree char *together = NULL;
    guint64 guessed, right;

    params.sampling.max_tokens = 20;
    params.kv_prune = i == 1 ? 0 : .7f;
    params.sampling.temperature = i == 2 ? .3f : 0;
    for (guint w = 0; w < G_N_ELEMENTS (scenes); w++) {
      g_autoptr (TernSession) own = new_session (model, &params);
      g_autofree char *answer = NULL;

      push_scene (own, w, scenes[w]);
      tern_session_finish (own);
      answer = drain (own);
      g_string_append (alone, answer);
    }
    /* After those: where others wait too, a pass has as many rows as the machine is quick, and guesses what is left. */
    session = new_session (model, &params);
    for (guint w = 0; w < G_N_ELEMENTS (scenes); w++)
      push_scene (session, w, scenes[w]);
    tern_session_finish (session);
    together = drain (session);
    g_assert_cmpstr (together, ==, alone->str);
    tern_scheduler_settle (model->scheduler, &session->client);
    tern_generator_guesses (session->standing.asks[0].generator, &guessed, &right);
    g_assert_cmpuint (right, >, 10);
    g_assert_cmpuint (guessed, >=, right);
  }
}

/* With a draft answers are what they are without: all keys looked at, a part of them, drawn. The draft is another model of the same
 * vocabulary, one of another (TLI, SLEM), or the model itself without its pictures. What was guessed is counted. */
static void
test_draft (void)
{
  static const struct {
    const char *file;
    TernDraftVocabulary vocabulary;
  } drafts[] = {
    { NARROW_FILE, TERN_DRAFT_VOCABULARY_SAME }, { TEXT_FILE, TERN_DRAFT_VOCABULARY_AUTO },
    { TERN_TEST_DATA "/ssm/mamba2-q8_0.gguf", TERN_DRAFT_VOCABULARY_TLI },
    { TERN_TEST_DATA "/qwen35/qwen35-q8_0.gguf", TERN_DRAFT_VOCABULARY_SLEM },
  };
  g_autoptr (TernModel) model = open_model (0);

  for (guint i = 0; i < 3; i++) {
    TernSessionParams params = quick_params ();
    g_autofree char *plain = NULL;

    params.sampling.max_tokens = 24;
    params.kv_prune = i == 1 ? 0 : .7f;
    params.sampling.temperature = i == 2 ? .3f : 0;
    plain = run_clip (model, &params, 1, 10);
    for (guint d = 0; d < G_N_ELEMENTS (drafts); d++) {
      g_autoptr (TernSession) session = NULL;
      g_autofree char *drafted = NULL;
      TernSessionStats stats;

      params.draft_model = drafts[d].file;
      params.draft_vocabulary = drafts[d].vocabulary;
      session = new_session (model, &params);
      push_run (session, 0, 10, 1);
      tern_session_finish (session);
      drafted = drain (session);
      g_assert_cmpstr (drafted, ==, plain);
      tern_session_stats (session, &stats);
      g_assert_cmpuint (stats.drafts, >, 0);
      g_assert_cmpuint (stats.drafts, >=, stats.drafts_right);
      g_assert_cmpuint (stats.guesses, >=, stats.drafts);
      g_assert_cmpuint (stats.guesses_right, >=, stats.drafts_right);
    }
  }
}

static void
refuse_draft (TernModel *model, const char *file, TernDraftVocabulary vocabulary, TernErrorCode code, const char *what)
{
  TernSessionParams params = quick_params ();
  g_autoptr (GError) error = NULL;

  params.draft_model = file;
  params.draft_vocabulary = vocabulary;
  g_assert_null (tern_session_new (model, &params, &error));
  g_assert_error (error, TERN_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, what));
  if (*file)
    g_assert_nonnull (strstr (error->message, file));
}

static void
test_bad_drafts (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (GError) error = NULL;

  refuse_draft (model, "/nowhere/draft.gguf", TERN_DRAFT_VOCABULARY_AUTO, TERN_ERROR_NOT_FOUND, "draft model");
  refuse_draft (model, MMPROJ_FILE, TERN_DRAFT_VOCABULARY_AUTO, TERN_ERROR_UNSUPPORTED, "vision encoder");
  refuse_draft (model, TERN_TEST_DATA "/action/mlp.gguf", TERN_DRAFT_VOCABULARY_AUTO, TERN_ERROR_UNSUPPORTED, "tern-action");
  refuse_draft (model, TERN_TEST_DATA "/ssm/mamba2-q8_0.gguf", TERN_DRAFT_VOCABULARY_SAME, TERN_ERROR_MISMATCH, "vocabulary");
  refuse_draft (model, TERN_TEST_DATA "/tokenizers/vocab-lfm2.gguf", TERN_DRAFT_VOCABULARY_AUTO, TERN_ERROR_FORMAT, "draft model");
  params.draft_vocabulary = (TernDraftVocabulary) 9;
  g_assert_null (tern_session_new (model, &params, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "draft_vocabulary"));
}

/* What a model says it was made for costs nothing until it is used. */
static void
test_any_context (void)
{
  static const char key[] = "lfm2.context_length";
  g_autofree char *folder = g_dir_make_tmp ("tern-XXXXXX", NULL), *path = g_build_filename (folder, "model.gguf", NULL);
  g_autofree char *bytes = NULL, *a = NULL, *b = NULL;
  const guint32 vast = 1 << 27;
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  TernSessionParams session = quick_params ();
  g_autoptr (TernModel) model = open_model (0), other = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;
  char *at;

  g_assert_true (g_file_get_contents (TEXT_FILE, &bytes, &size, NULL));
  at = memmem (bytes, size, key, strlen (key));
  g_assert_nonnull (at);
  memcpy (at + strlen (key) + sizeof (guint32), &vast, sizeof vast);     /* behind the value's type */
  g_assert_true (g_file_set_contents (path, bytes, (gssize) size, NULL));
  params.model_path = path;
  params.mmproj_path = MMPROJ_FILE;
  other = tern_model_open (&params, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_model_context (other), ==, vast);
  a = run_clip (model, &session, 1, 6);
  b = run_clip (other, &session, 1, 6);
  g_assert_cmpstr (a, ==, b);
  g_unlink (path);
  g_rmdir (folder);
}

static void
test_interleaved (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autofree char *alone_a = run_clip (model, &params, 1, 14), *alone_b = run_clip (model, &params, 2, 14);
  g_autoptr (TernSession) a = new_session (model, &params);
  g_autoptr (TernSession) b = new_session (model, &params);
  g_autofree char *together_a = NULL, *together_b = NULL;

  for (guint i = 0; i < 14; i++) {
    push_run (a, i, 1, 1);
    push_run (b, i, 1, 2);
  }
  tern_session_finish (b);
  tern_session_finish (a);
  together_a = drain (a);
  together_b = drain (b);
  g_assert_cmpstr (together_a, ==, alone_a);
  g_assert_cmpstr (together_b, ==, alone_b);
  g_assert_cmpstr (alone_a, !=, alone_b);
}

/* Encoder, compressor and a session of tokens say what a session of frames says. */
static void
test_steps (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autofree char *whole = NULL, *split = NULL;
  g_autoptr (TernEncoder) encoder = tern_encoder_new (model, params.fit, NULL);
  g_autoptr (TernCompressor) compressor = tern_compressor_new (&params.compress, tern_model_frame_tokens (model),
      tern_model_embedding_dim (model), NULL);
  g_autoptr (TernSession) session = NULL;
  g_autofree float *rows = g_new (float, tern_model_frame_tokens (model) * tern_model_embedding_dim (model));
  g_autofree guint8 *pixels = g_malloc (3 * FRAME_W * FRAME_H);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = FRAME_W, .height = FRAME_H, .data = { pixels },
    .stride = { 3 * FRAME_W } };
  g_autoptr (GError) error = NULL;
  TernTokens tokens;

  params.kv_type = TERN_CACHE_F32;      /* the one plans for more tokens than the other */
  whole = run_clip (model, &params, 3, 10);
  params.compress.method = TERN_METHOD_NONE;
  session = new_session (model, &params);
  for (guint i = 0; i < 10; i++) {
    paint (pixels, FRAME_W, FRAME_H, 3 * i, 3);
    g_assert_true (tern_encoder_run (encoder, &image, rows, &tokens, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (tokens.grid_w * tokens.grid_h, ==, tokens.n_tokens);
    if (i == 0) {               /* not this model's frames */
      g_autoptr (GError) refused = NULL;
      TernTokens none;

      g_assert_false (tern_encoder_run_pair (encoder, &image, &image, rows, &none, &refused));
      g_assert_error (refused, TERN_ERROR, TERN_ERROR_INVALID);
      g_assert_nonnull (strstr (refused->message, "lfm2"));
      g_assert_true (tern_encoder_run (encoder, &image, rows, &tokens, &error));
    }
    tokens.number = i;
    tokens.pts = MS (500 * i);
    tokens.duration = MS (500);
    g_assert_true (tern_compressor_push (compressor, &tokens, &error));
    if (i == 9)
      tern_compressor_drain (compressor);
    while (tern_compressor_pop (compressor, &tokens))
      while (!tern_session_push_tokens (session, &tokens, &error)) {
        g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
        g_clear_error (&error);
        tern_session_wait (session, -1);
      }
  }
  tern_session_finish (session);
  split = drain (session);
  g_assert_cmpstr (split, ==, whole);

  tokens.dim++;
  g_assert_false (tern_session_push_tokens (session, &tokens, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_MISMATCH);
  g_clear_error (&error);
  g_assert_false (push_sized (session, 8, 8, 0, 0, 0, 0, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* ---- Changes ---- */

static void
test_prompt_change (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  static const char *const ids[] = { "a", "b", "b" };

  params.prompt = "One?";
  params.prompt_id = "a";
  session = new_session (model, &params);
  push_run (session, 0, 5, 0);
  g_assert_true (tern_session_set_prompt (session, "Two <|im_end|> <image> \"?", "b", NULL));
  push_run (session, 5, 7, 0);
  for (guint i = 0; i < 3; i++) {
    TernResult *result = next_result (session);

    g_assert_nonnull (result);
    g_assert_cmpstr (result->kind, ==, "caption");
    g_assert_cmpstr (result->prompt_id, ==, ids[i]);
    g_assert_cmpstr (result->prompt, ==, i ? "Two <|im_end|> <image> \"?" : "One?");
    tern_result_unref (result);
  }
}

static void
test_params_change (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (GError) error = NULL;

  push_run (session, 0, 4, 0);
  params.sampling.max_tokens = 12;
  params.compress.method = TERN_METHOD_NONE;
  params.sampling.beam = 2;
  params.kv_prune = 0;
  params.metrics = TRUE;
  g_assert_true (tern_session_set_params (session, &params, NULL));
  push_run (session, 4, 4, 0);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (TernResult) result = next_result (session);

    g_assert_nonnull (result);
    g_assert_cmpuint (result->visual_kept == result->visual_in, ==, i);
    g_assert_cmpint (result->has_metrics, ==, i);
    if (!i)
      continue;
    g_assert_cmpfloat (result->metrics.kv_kept, ==, 1);
    g_assert_cmpuint (result->generated_tokens, >, 1);
    /* The first token of beams is said before the last one. */
    g_assert_cmpfloat (result->metrics.tpot_ms, >, 0);
    g_assert_cmpfloat (result->metrics.decode_tokens_per_second, >, 0);
    g_assert_cmpfloat (result->metrics.ttft_ms, <, result->metrics.prefill_ms + result->metrics.decode_ms);
  }
  params.kv_prune = 1.5;
  g_assert_false (tern_session_set_params (session, &params, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "1.5"));
}

/* Budgets hold in every window, those that overlap too, whatever the method; a short window has its frames' part. */
static void
test_budgets (void)
{
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (GError) error = NULL;
  TernSessionParams params = quick_params ();

  params.compress.merge_ratio = 0;
  for (guint m = 0; *tern_method_name (m); m++)
    for (guint kind = 0; kind < 3; kind++) {
      g_autoptr (TernSession) session = NULL;
      guint frames = 0, windows = 0;
      TernResult *result;

      params.compress.method = m;
      params.compress.max_tokens_per_window = kind == 0 ? 29 : 0;
      params.compress.max_tokens_per_frame = kind == 1 ? 3 : 0;
      params.compress.max_tokens_per_second = kind == 2 ? 7 : 0;
      params.window = 4 * TERN_SECOND;
      params.hop = 2 * TERN_SECOND;
      session = new_session (model, &params);
      push_run (session, 0, 22, m);
      tern_session_finish (session);
      while ((result = next_result (session))) {
        guint whole = session->max_frames, most = kind == 0 ? 29 : kind == 1 ? 3 * result->frames
            : 7 * whole / 2;    /* two frames a second */
        gboolean loose = m == TERN_METHOD_STTM || m == TERN_METHOD_HOLITOM || m == TERN_METHOD_VLA_CACHE;

        g_assert_cmpstr (result->kind, ==, "caption");
        g_assert_cmpuint (result->visual_kept, <=, most);
        if (result->frames == whole && !loose)
          g_assert_cmpuint (result->visual_kept, ==, most);
        frames = MAX (frames, result->frames);
        windows++;
        tern_result_unref (result);
      }
      g_assert_cmpuint (frames, ==, session->max_frames);
      g_assert_cmpuint (windows, >=, 3);
    }

  params.compress.max_tokens_per_second = 0;
  params.compress.max_tokens_per_window = 7;
  g_assert_null (tern_session_new (model, &params, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "max_tokens_per_window"));
}

/* Each question about each window, in their order; what is said is what a session says that is asked nothing else. */
static void
test_questions_alone (void)
{
  static const TernQuestion questions[] = { { "One?", "a" }, { "What else is there?", NULL }, { "", "c" },
    { NULL, "d" } };
  static const char *const prompts[] = { "One?", "What else is there?", "" }, *const ids[] = { "a", "", "c", "d" };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  TernSession *alone[G_N_ELEMENTS (questions)];

  for (guint q = 0; q < G_N_ELEMENTS (questions); q++) {
    params.prompt = questions[q].prompt;
    alone[q] = new_session (model, &params);
  }
  params.questions = questions;
  params.n_questions = G_N_ELEMENTS (questions);
  session = new_session (model, &params);
  push_run (session, 0, 9, 0);
  tern_session_finish (session);
  for (guint q = 0; q < G_N_ELEMENTS (questions); q++) {
    push_run (alone[q], 0, 9, 0);
    tern_session_finish (alone[q]);
  }
  for (guint window = 0; window < 3; window++)
    for (guint q = 0; q < G_N_ELEMENTS (questions); q++) {
      g_autoptr (TernResult) one = next_result (alone[q]), result = next_result (session);

      g_assert_nonnull (one);
      g_assert_nonnull (result);
      g_assert_cmpuint (result->id, ==, window * G_N_ELEMENTS (questions) + q);
      g_assert_cmpuint (result->timestamp, ==, one->timestamp);
      g_assert_cmpuint (result->duration, ==, one->duration);
      g_assert_cmpstr (result->prompt, ==, q < 3 ? prompts[q] : tern_model_default_prompt (model));
      g_assert_cmpstr (result->prompt_id, ==, ids[q]);
      g_assert_cmpstr (result->result, ==, one->result);
      g_assert_cmpfloat (result->confidence, ==, one->confidence);
      g_assert_cmpuint (result->visual_kept, ==, one->visual_kept);
      g_assert_cmpuint (result->prompt_tokens, ==, one->prompt_tokens);
    }
  g_assert_null (next_result (session));
  for (guint q = 0; q < G_N_ELEMENTS (questions); q++) {
    g_assert_null (next_result (alone[q]));
    tern_session_free (alone[q]);
  }
}

/* Each has to fit, be text, and be there. */
static void
test_questions (void)
{
  g_autoptr (TernModel) model = open_model (600);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  g_autofree char *words = g_strnfill (4000, '?');
  TernQuestion questions[TERN_QUESTIONS_MAX + 1] = { { .prompt = "One?", .prompt_id = "a" }, { .prompt = "Two?" } };
  g_autoptr (TernResult) result = NULL;
  g_autoptr (GError) error = NULL;

  params.prompt = "Not asked?";
  params.questions = questions;
  params.n_questions = 2;
  session = new_session (model, &params);
  push_run (session, 0, 4, 0);
  result = next_result (session);
  g_assert_cmpstr (result->prompt, ==, "One?");
  g_assert_cmpstr (result->prompt_id, ==, "a");

  g_assert_true (tern_session_set_questions (session, questions, TERN_QUESTIONS_MAX, NULL));
  g_assert_false (tern_session_set_questions (session, questions, TERN_QUESTIONS_MAX + 1, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_false (tern_session_set_questions (session, NULL, 0, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  questions[1].prompt_id = "\xff";
  g_assert_false (tern_session_set_questions (session, questions, 2, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "prompt_id of question 2: expected UTF-8"));
  g_clear_error (&error);
  questions[1] = (TernQuestion) { .prompt = words };
  g_assert_false (tern_session_set_questions (session, questions, 2, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (error->message, "question 2 of 2"));
  g_clear_error (&error);
  g_assert_null (tern_session_new (model, &params, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
}

static void
test_invalid_params (void)
{
  g_autoptr (TernModel) model = open_model (0);
  static const struct {
    const char *what;
    gsize offset;
    double value;
    gboolean is_double;
  } bad[] = {
    { "rate", G_STRUCT_OFFSET (TernSessionParams, rate_d), 0, FALSE },
    { "max-tokens", G_STRUCT_OFFSET (TernSessionParams, sampling.max_tokens), 0, FALSE },
    { "beam", G_STRUCT_OFFSET (TernSessionParams, sampling.beam), 1e6, FALSE },
    { "beam", G_STRUCT_OFFSET (TernSessionParams, sampling.beam), 0, FALSE },
    { "questions", G_STRUCT_OFFSET (TernSessionParams, n_questions), TERN_QUESTIONS_MAX, FALSE },
    { "kv_prune", G_STRUCT_OFFSET (TernSessionParams, kv_prune), -.1, TRUE },
    { "merge_ratio", G_STRUCT_OFFSET (TernSessionParams, compress.merge_ratio), 1.01, TRUE },
    { "kv_gate", G_STRUCT_OFFSET (TernSessionParams, kv_gate), 7, FALSE },
    { "kv_type", G_STRUCT_OFFSET (TernSessionParams, kv_type), 9, FALSE },
    { "fit", G_STRUCT_OFFSET (TernSessionParams, fit), 9, FALSE },
  };
  TernSessionParams params;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    params = quick_params ();
    if (bad[i].is_double)
      *(double *) ((guint8 *) &params + bad[i].offset) = bad[i].value;
    else
      *(guint *) ((guint8 *) &params + bad[i].offset) = (guint) bad[i].value;
    g_assert_null (tern_session_new (model, &params, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, bad[i].what));
  }

  /* A window that the model has no room for. */
  {
    g_autoptr (GError) error = NULL;

    params = quick_params ();
    params.window = 600 * TERN_SECOND;
    g_assert_null (tern_session_new (model, &params, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
    g_assert_nonnull (strstr (error->message, "context"));
  }
}

static void
test_max_frames (void)
{
  g_autoptr (TernModel) model = open_model (0);
  static const guint most[] = { 0, 1, 3, 4, 6, 8 };
  static const guint frames[] = { 8, 1, 3, 4, 4, 8 };

  for (guint i = 0; i < G_N_ELEMENTS (most); i++) {
    TernSessionParams params = quick_params ();
    g_autoptr (TernSession) session = NULL;

    params.window = 4 * TERN_SECOND;
    params.max_frames = most[i];
    session = new_session (model, &params);
    for (guint f = 0; f < 81; f++)
      push (session, f, 0, MS (100 * f), MS (100));
    for (guint w = 0; w < 2; w++) {
      g_autoptr (TernResult) result = next_result (session);

      g_assert_nonnull (result);
      g_assert_cmpuint (result->frames, ==, frames[i]);
      g_assert_cmpfloat (result->start, ==, 4 * w);
      g_assert_cmpfloat_with_epsilon (result->end, 4 * w + 4, .11);
    }
  }
}

/* ---- Odd streams ---- */

static void
test_gap_and_size (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  static const double starts[] = { 0, 100, 101, 50 }, ends[] = { 2, 101, 102.5, 50.5 };
  static const guint frames[] = { 2, 2, 3, 1 };
  g_autoptr (GError) error = NULL;

  push_run (session, 0, 2, 0);
  push_run (session, 200, 2, 0);        /* after a gap, in which the last frame stands */
  for (guint i = 0; i < 3; i++)         /* of another size */
    g_assert_true (push_sized (session, 96, 40, i, 0, 101 * TERN_SECOND + MS (500 * i), MS (500), &error));
  push_run (session, 100, 1, 0);        /* a jump back, and the first size again */
  tern_session_finish (session);
  for (guint i = 0; i < 4; i++) {
    g_autoptr (TernResult) result = next_result (session);

    g_assert_nonnull (result);
    g_assert_cmpfloat (result->start, ==, starts[i]);
    g_assert_cmpfloat (result->end, ==, ends[i]);
    g_assert_cmpuint (result->frames, ==, frames[i]);
  }
  g_assert_null (next_result (session));

  g_assert_false (push_sized (session, 8, 8, 0, 0, TERN_TIME_NONE, 0, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_false (tern_session_push_frame (session, &(TernImage) { .format = TERN_IMAGE_NV12, .width = 4, .height = 4 },
          TERN_SECOND, 0, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* A picture that does not fit gives an error result; the session goes on. */
static void
test_error_result (void)
{
  g_autoptr (TernModel) model = open_model (340);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  g_autofree guint8 *pixels = g_malloc0 (1200 * 640 * 3);
  TernImage large = { .format = TERN_IMAGE_RGB, .width = 1200, .height = 640, .data = { pixels }, .stride = { 3600 } };
  TernImage small = { .format = TERN_IMAGE_RGB, .width = 224, .height = 224, .data = { pixels }, .stride = { 672 } };
  TernResult *result;
  g_autoptr (GError) error = NULL;

  g_assert_null (tern_session_new (model, &params, &error));    /* a whole group has no room here */
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_clear_error (&error);
  params.max_frames = 1;
  params.prompt_id = "p";
  session = new_session (model, &params);
  g_assert_true (tern_session_push_still (session, &large, NULL));
  g_assert_true (tern_session_push_still (session, &small, NULL));

  result = next_result (session);
  g_assert_nonnull (result);
  g_assert_cmpstr (result->kind, ==, "error");
  g_assert_cmpstr (result->finish_reason, ==, "error");
  g_assert_cmpstr (result->prompt_id, ==, "p");
  g_assert_nonnull (strstr (result->result, "340"));
  g_assert_cmpfloat (result->confidence, ==, -1);
  tern_result_unref (result);
  result = next_result (session);
  g_assert_nonnull (result);
  g_assert_cmpstr (result->kind, ==, "caption");
  g_assert_cmpuint (result->frames, ==, 1);
  g_assert_cmpfloat (result->start, ==, result->end);
  tern_result_unref (result);
}

/* The whole chain against transformers in float64: a picture, an instruction, the text that follows greedily. */
static void
test_golden_still (void)
{
  TernModelParams model_params = { .model_path = TEXT_FILE, .mmproj_path = MMPROJ_FILE, .parts = TERN_MODEL_FULL,
    .threads = 2, .float_activations = TRUE };
  g_autoptr (TernModel) model = tern_model_open (&model_params, NULL);
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernResult) result = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (TernGguf) file = tern_gguf_open (TEXT_FILE, NULL);
  g_autoptr (TernTokenizer) tokenizer = tern_tokenizer_new (file, NULL);
  g_autoptr (GString) want = g_string_new (NULL);
  g_autofree char *npy = NULL;
  TernTextStream stream = { 0 };
  TernImage image = { .format = TERN_IMAGE_RGB, .width = 256, .height = 256, .stride = { 768 } };
  JsonObject *golden;
  JsonArray *greedy;
  gsize size;

  g_assert_true (json_parser_load_from_file (parser, TERN_TEST_DATA "/lfm2vl/mmproj-ship-q8_0.json", NULL));
  golden = json_array_get_object_element (json_object_get_array_member (json_node_get_object (json_parser_get_root
              (parser)), "cases"), 1);
  g_assert_cmpstr (json_object_get_string_member (golden, "name"), ==, "256");
  greedy = json_object_get_array_member (json_object_get_object_member (golden, "greedy"), "tokens");
  for (guint i = 0; i < json_array_get_length (greedy); i++)
    tern_text_stream_push (&stream, tokenizer, (gint32) json_array_get_int_element (greedy, i), want);
  tern_text_stream_end (&stream, want);
  g_strstrip (want->str);

  /* The pixels as resized: the header of the array ends where its length says. */
  g_assert_true (g_file_get_contents (TERN_TEST_DATA "/lfm2vl/ship.256.resized0.npy", &npy, &size, NULL));
  image.data[0] = (const guint8 *) npy + 10 + (guint8) npy[8] + 256 * (guint8) npy[9];
  g_assert_cmpuint ((gsize) (image.data[0] - (const guint8 *) npy) + 256 * 256 * 3, ==, size);

  params.prompt = "Write a short caption for this image.";
  params.sampling.max_tokens = json_array_get_length (greedy);
  params.kv_prune = 0;
  session = new_session (model, &params);
  g_assert_true (tern_session_push_still (session, &image, NULL));
  result = next_result (session);
  g_assert_nonnull (result);
  g_assert_cmpuint (result->visual_kept, ==, 64);
  g_assert_cmpuint (result->prompt_tokens, ==, json_array_get_length (json_object_get_array_member (golden, "tokens")));
  g_assert_cmpstr (result->result, ==, want->str);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/session/windows", test_windows);
  g_test_add_func ("/session/repeatable", test_repeatable);
  g_test_add_func ("/session/second-stretch", test_second_stretch);
  g_test_add_func ("/session/guesses", test_guesses);
  g_test_add_func ("/session/draft", test_draft);
  g_test_add_func ("/session/bad-drafts", test_bad_drafts);
  g_test_add_func ("/session/any-context", test_any_context);
  g_test_add_func ("/session/interleaved", test_interleaved);
  g_test_add_func ("/session/golden-still", test_golden_still);
  g_test_add_func ("/session/steps", test_steps);
  g_test_add_func ("/session/prompt-change", test_prompt_change);
  g_test_add_func ("/session/questions", test_questions);
  g_test_add_func ("/session/questions-alone", test_questions_alone);
  g_test_add_func ("/session/params-change", test_params_change);
  g_test_add_func ("/session/budgets", test_budgets);
  g_test_add_func ("/session/invalid-params", test_invalid_params);
  g_test_add_func ("/session/max-frames", test_max_frames);
  g_test_add_func ("/session/gap-and-size", test_gap_and_size);
  g_test_add_func ("/session/error-result", test_error_result);
  return g_test_run ();
}
