/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Qwen3-VL through the public library against transformers in float64: what sessions and completions say of pictures whose rows
 * hold features of early layers, of whole clips and of what DyCoke leaves of one, is as likely as there; passes with rows of many
 * timelines, forks in the middle of a picture; and files that do not belong together. */
#include <math.h>
#include <string.h>

#include "engine/llm/solo.h"
#include "tern/model-priv.h"
#include "vision/internal.h"
#include "tests/golden/golden.h"
#include "tests/unit/completion-end.h"

#define FOLDER "qwen3vl"
#define SAID 6                  /* tokens */
#define NEAR 2e-4               /* of probabilities */
#define FRAMES 4
#define TICK (TERN_SECOND / 2)
#define DEEPSTACK 2

typedef struct {
  JsonParser *parser;
  TernModel *model;
} Fixture;

/* ---- What is there ----------------------------------------------------------------------------------------------- */

static TernModel *
open_files (const char *folder, const char *text, const char *mmproj_folder, const char *mmproj, TernModelParts parts,
    GError **error)
{
  g_autofree char *path = golden_path (folder, text), *mmproj_path = golden_path (mmproj_folder, mmproj);
  TernModelParams params = TERN_MODEL_PARAMS_INIT;

  params.model_path = path;
  params.mmproj_path = mmproj_path;
  params.parts = parts;
  params.threads = 2;
  params.float_activations = TRUE;
  return tern_model_open (&params, error);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->parser = golden_json (FOLDER, "mmproj-f16.json", &(JsonObject *) { NULL });
  f->model = open_files (FOLDER, "qwen3vl-q8_0.gguf", FOLDER, "mmproj-f16.gguf", TERN_MODEL_FULL, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_object_unref (f->parser);
  tern_model_unref (f->model);
}

static JsonObject *
find_case (const Fixture *f, const char *name)
{
  JsonArray *cases = json_object_get_array_member (json_node_get_object (json_parser_get_root (f->parser)), "cases");

  for (guint i = 0; i < json_array_get_length (cases); i++) {
    JsonObject *item = json_array_get_object_element (cases, i);

    if (g_str_equal (json_object_get_string_member (item, "name"), name))
      return item;
  }
  g_assert_not_reached ();
}

static double
logprob (JsonObject *item, guint i)
{
  return json_array_get_double_element (json_object_get_array_member (json_object_get_object_member (item, "greedy"), "logprob"),
      i);
}

/* The mean probability of the first tokens said. */
static double
confidence (JsonObject *item)
{
  double sum = 0;

  for (guint i = 0; i < SAID; i++)
    sum += exp (logprob (item, i));
  return sum / SAID;
}

/* Frame @i of a case as pixels that need no resizing, which the image points to. */
static guint8 *
load_frame (JsonObject *item, guint i, TernImage *image)
{
  g_autofree char *path = golden_path (FOLDER, json_array_get_string_element (json_object_get_array_member (item, "resized"), i));
  g_autoptr (GoldenArray) pixels = golden_npy (path);
  guint8 *bytes = g_malloc (pixels->n);

  for (gsize k = 0; k < pixels->n; k++)
    bytes[k] = (guint8) pixels->data[k];
  *image = (TernImage) { .format = TERN_IMAGE_RGB, .width = (guint) pixels->shape[1], .height = (guint) pixels->shape[0],
    .data = { bytes }, .stride = { (gint) pixels->shape[1] * 3 } };
  return bytes;
}

static TernSession *
new_session (TernModel *model, TernMemory memory, TernMethod method, gboolean tokens)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  TernQuestion question = { .prompt = "What happens?" };
  g_autoptr (GError) error = NULL;
  TernSession *session;

  params.window = 4 * TERN_SECOND;
  params.memory = memory;
  params.tokens_only = tokens;
  params.rate_n = tokens ? 1 : 2;       /* of pictures, of frames */
  params.rate_d = 1;
  params.questions = &question;
  params.n_questions = 1;
  params.compress.method = method;
  params.sampling.max_tokens = SAID;
  params.kv_type = TERN_CACHE_F32;
  session = tern_session_new (model, &params, &error);
  g_assert_no_error (error);
  return session;
}

static char *
check_answer (TernSession *session, JsonObject *item)
{
  g_autoptr (TernResult) result = NULL;
  guint n, visual = 0;
  g_autofree gint32 *ids = golden_ids (item, "tokens", &n);
  char *said;

  for (guint i = 0; i < n; i++)
    visual += ids[i] == json_object_get_int_member (item, "image_token");
  tern_session_finish (session);
  tern_session_next (session, -1, &result);
  g_assert_nonnull (result);
  g_assert_cmpstr (result->kind, ==, "caption");
  g_assert_cmpuint (result->visual_in, ==, 16);
  g_assert_cmpuint (result->visual_kept, ==, visual);
  g_assert_cmpuint (result->prompt_tokens, ==, n);
  g_assert_cmpuint (result->generated_tokens, ==, SAID);
  g_test_message ("confidence: expected %.9f, found %.9f", confidence (item), result->confidence);
  g_assert_cmpfloat (fabs (result->confidence - confidence (item)), <=, NEAR);
  said = g_strdup (result->result);
  return said;
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

static char *
say_frames (const Fixture *f, TernMemory memory, TernMethod method, const char *name)
{
  g_autoptr (TernSession) session = new_session (f->model, memory, method, FALSE);
  JsonObject *item = find_case (f, name);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < FRAMES; i++) {
    TernImage image;
    g_autofree guint8 *pixels G_GNUC_UNUSED = load_frame (item, i, &image);

    tern_session_push_frame (session, &image, i * TICK, TICK, &error);
    g_assert_no_error (error);
  }
  return check_answer (session, item);
}

static void
test_session (Fixture *f, gconstpointer data)
{
  g_autofree char *whole = say_frames (f, TERN_MEMORY_WINDOW, TERN_METHOD_NONE, "video");
  g_autofree char *kept = say_frames (f, TERN_MEMORY_WINDOW, TERN_METHOD_DYCOKE, "dycoke");

  g_assert_cmpstr (whole, !=, kept);
}

/* A timeline that remembers the stream has read what a window of it reads, tokens that were left out or not. */
static void
test_stream (Fixture *f, gconstpointer data)
{
  static const struct {
    TernMethod method;
    const char *name;
  } cases[] = { { TERN_METHOD_NONE, "video" }, { TERN_METHOD_DYCOKE, "dycoke" } };

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
    g_autofree char *window = say_frames (f, TERN_MEMORY_WINDOW, cases[c].method, cases[c].name);
    g_autofree char *stream = say_frames (f, TERN_MEMORY_STREAM, cases[c].method, cases[c].name);

    g_assert_cmpstr (stream, ==, window);
  }
}

/* Encoder, compressor and a session that is given tokens, as the elements are behind one another. */
static void
test_steps (Fixture *f, gconstpointer data)
{
  TernCompressorParams params = TERN_COMPRESSOR_PARAMS_INIT;
  guint n = tern_model_frame_tokens (f->model), dim = tern_model_embedding_dim (f->model);
  g_autoptr (TernEncoder) encoder = tern_encoder_new (f->model, TERN_FIT_TRAINED, NULL);
  g_autoptr (TernCompressor) compressor = tern_compressor_new (&params, n, dim, NULL);
  g_autoptr (TernSession) session = new_session (f->model, TERN_MEMORY_WINDOW, TERN_METHOD_NONE, TRUE);
  g_autofree float *rows = g_new (float, (gsize) n * dim);
  JsonObject *item = find_case (f, "dycoke");
  g_autofree char *frames = say_frames (f, TERN_MEMORY_WINDOW, TERN_METHOD_DYCOKE, "dycoke"), *said = NULL;
  g_autoptr (GError) error = NULL;
  TernTokens tokens;

  for (guint p = 0; p < FRAMES / 2; p++) {
    TernImage first, second;
    g_autofree guint8 *a G_GNUC_UNUSED = load_frame (item, 2 * p, &first);
    g_autofree guint8 *b G_GNUC_UNUSED = load_frame (item, 2 * p + 1, &second);

    tern_encoder_run_pair (encoder, &first, &second, rows, &tokens, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (tokens.deepstack, ==, DEEPSTACK);
    g_assert_cmpuint (tokens.dim, ==, dim);
    tokens.number = p;
    tokens.late = TICK / 2;     /* of their first frame: the tick */
    tokens.pts = 2 * p * TICK + tokens.late;
    tokens.duration = 2 * TICK;
    tern_compressor_push (compressor, &tokens, &error);
    g_assert_no_error (error);
  }
  tern_compressor_drain (compressor);
  while (tern_compressor_pop (compressor, &tokens)) {
    g_assert_cmpuint (tokens.deepstack, ==, DEEPSTACK);
    tern_session_push_tokens (session, &tokens, &error);
    g_assert_no_error (error);
  }
  said = check_answer (session, item);
  g_assert_cmpstr (said, ==, frames);
  tokens = (TernTokens) { .grid_w = 1, .grid_h = 1, .dim = dim, .n_tokens = 1, .tokens = rows, .deepstack = 4 };
  g_assert_false (tern_compressor_push (compressor, &tokens, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* ---- Completions ------------------------------------------------------------------------------------------------- */

typedef struct {
  CompletionEnd end;
  guint n, prompt_tokens;
  double logprob[SAID];
} Told;

static void
hear (void *data, TernCompletion *completion, const TernCompletionEvent *event)
{
  Told *told = data;

  for (guint i = 0; i < event->n_scores && told->n < SAID; i++)
    told->logprob[told->n++] = event->scores[i].logprob;
  if (event->last) {
    g_assert_null (event->failure);
    told->prompt_tokens = event->prompt_tokens;
    completion_end_tell (&told->end);
  }
}

static void
check_completion (const Fixture *f, TernView *view, const char *chat, const char *name)
{
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  JsonObject *item = find_case (f, name);
  g_autoptr (TernCompletion) completion = NULL;
  g_autoptr (GError) error = NULL;
  guint n = json_array_get_length (json_object_get_array_member (item, "tokens"));
  Told told = { 0 };

  params.chat = chat;
  params.views = &view;
  params.n_views = 1;
  params.sampling.max_tokens = SAID;
  params.scores = TRUE;
  params.func = hear;
  params.func_data = &told;
  completion = tern_completion_new (f->model, &params, &error);
  g_assert_no_error (error);
  tern_completion_start (completion);
  completion_end_wait (&told.end);
  g_assert_cmpuint (told.n, ==, SAID);
  g_assert_cmpuint (told.prompt_tokens, ==, n);
  for (guint i = 0; i < SAID; i++)
    g_test_message ("%s: log probability %u: expected %.6f, found %.6f", name, i, logprob (item, i), told.logprob[i]);
  for (guint i = 0; i < SAID; i++)
    g_assert_cmpfloat (fabs (exp (told.logprob[i]) - exp (logprob (item, i))), <=, NEAR);
}

static void
test_completions (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  TernImage image;
  g_autofree guint8 *still G_GNUC_UNUSED = load_frame (find_case (f, "wide"), 0, &image);
  g_autoptr (TernView) view = tern_view_new_still (f->model, &image, &error);
  g_autoptr (TernView) clip = tern_view_new_clip (f->model, &error);

  g_assert_no_error (error);
  check_completion (f, view, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},"
      "{\"type\":\"text\",\"text\":\"What is this?\"}]}]}", "wide");
  for (guint i = 0; i < FRAMES; i++) {
    g_autofree guint8 *pixels G_GNUC_UNUSED = load_frame (find_case (f, "dycoke"), i, &image);

    tern_view_add_frame (clip, &image, i * TICK, &error);
    g_assert_no_error (error);
  }
  check_completion (f, clip, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video\"},"
      "{\"type\":\"text\",\"text\":\"What happens?\"}]}]}", "dycoke");
}

/* ---- Passes ------------------------------------------------------------------------------------------------------ */

/* Rows of a picture in one pass with those of two texts, of which one decodes, and a fork that goes on in the middle of the
 * picture: the same logits, to the bit, as each alone. Nothing of the features comes to rows of text, before or after. */
static void
test_pass (Fixture *f, gconstpointer data)
{
  TernLlm *llm = tern_model_text (f->model)->llm;
  const TernLlmInfo *info = tern_llm_info (llm);
  g_autofree char *path = golden_path (FOLDER, "mmproj-f16.video.visual0.npy");
  g_autoptr (GoldenArray) visual = golden_npy (path);
  guint n = (guint) visual->shape[0], half = n / 2;
  TernPool *pool = tern_pool_new (2, NULL);
  TernStoreParams store_params = { .context = 64, .timelines = 6, .kv = TERN_KV_F32, .activations = TERN_ACTIVATIONS_F32 };
  TernPassParams pass_params = { .context = 64, .rows = 32, .activations = TERN_ACTIVATIONS_F32 };
  TernStore *store = tern_store_new (llm, &store_params, NULL);
  g_autoptr (TernPass) pass = tern_pass_new (llm, &pass_params, pool, NULL);
  static const gint32 ids[] = { 5, 60, 7, 8 };
  g_autofree float *logits = g_new0 (float, 8 * (gsize) info->n_vocab);
  TernTimeline *t[6];

  g_assert_cmpuint (visual->shape[1], ==, info->visual_dim);
  for (guint i = 0; i < G_N_ELEMENTS (t); i++)
    t[i] = tern_timeline_new (store, NULL);
  /* 0: all at once with 1 and 2; 3 to 5: the same alone, of the picture first one half, which 5 is forked from. */
  for (guint round = 0; round < 6; round++) {
    static const struct {
      guint timeline, what;     /* 0, 1: halves of the picture, 2: both, 3: text, 4: a word that is said */
    } rounds[6][3] = { { { 2, 3 }, { 4, 3 } }, { { 2, 4 }, { 0, 2 }, { 1, 3 } }, { { 3, 0 } }, { { 3, 1 } }, { { 4, 4 } },
      { { 5, 1 } } };

    tern_pass_begin (pass);
    for (guint s = 0; s < 3 && (s == 0 || rounds[round][s].timeline > 0 || rounds[round][s].what > 0); s++) {
      guint i = rounds[round][s].timeline, what = rounds[round][s].what, first = what == 1 ? half : 0;
      TernSegment segment = { .timeline = t[i], .want = TERN_LOGITS_LAST, .logits = logits + i * (gsize) info->n_vocab,
        .n = what < 2 ? half : what == 2 ? n : what == 3 ? G_N_ELEMENTS (ids) : 1, .decode = what == 4, .stays = TRUE };
      float *rows = tern_pass_add (pass, &segment, NULL);

      g_assert_nonnull (rows);
      if (what > 2)
        tern_llm_embed (llm, ids, segment.n, rows, info->width);
      for (guint r = 0; what <= 2 && r < segment.n; r++) {
        const float *row = visual->data + (first + r) * info->visual_dim;

        memcpy (rows + r * info->width, row, info->width * sizeof (float));
        tern_pass_deepen (pass, rows + r * info->width, row + info->width);
      }
    }
    g_assert_true (tern_pass_run (pass, NULL));
    if (round == 2)
      tern_timeline_fork (t[5], t[3]);
  }
  for (guint i = 0; i < 2; i++)         /* 3 and 5 are 0 */
    g_assert_cmpmem (logits + (i ? 5 : 3) * (gsize) info->n_vocab, info->n_vocab * sizeof (float), logits,
        info->n_vocab * sizeof (float));
  g_assert_cmpmem (logits + 4 * (gsize) info->n_vocab, info->n_vocab * sizeof (float), logits + 2 * (gsize) info->n_vocab,
      info->n_vocab * sizeof (float));
  for (guint i = 0; i < G_N_ELEMENTS (t); i++)
    tern_timeline_free (t[i]);
  tern_store_unref (store);
  g_clear_pointer (&pass, tern_pass_free);
  tern_pool_free (pool);
}

/* ---- The tower --------------------------------------------------------------------------------------------------- */

static void
encode (TernVision *vision, TernActivations mode, TernPool *pool, guint64 slice, const TernImage *image, float *rows)
{
  TernVisionOptions options = { .scaling = TERN_SCALING_STRETCH };
  g_autoptr (GError) error = NULL;
  TernVisionPlan plan;
  TernVisionState *state;

  tern_vision_plan_image (vision, image, &options, &plan, &error);
  g_assert_no_error (error);
  state = tern_vision_state_new (vision, plan.n_tokens, mode, pool, &error);
  g_assert_no_error (error);
  state->slice = slice ? slice : state->slice;
  g_assert_true (tern_vision_encode (state, image, &options, &plan, rows, NULL, &error));
  tern_vision_state_free (state);
}

/* The same rows, to the bit, wherever slices end and however many threads there are; all of each is written. */
static void
test_slices (Fixture *f, gconstpointer data)
{
  static const TernActivations modes[] = { TERN_ACTIVATIONS_F32, TERN_ACTIVATIONS_INT8 };
  TernVision *vision = tern_model_vision (f->model);
  gsize n = 39 * (gsize) tern_vision_info (vision)->row_dim;
  g_autofree float *whole = g_new (float, n), *cut = g_new (float, n);
  TernPool *pool = tern_pool_new (3, NULL);
  TernImage image;
  g_autofree guint8 *pixels G_GNUC_UNUSED = load_frame (find_case (f, "wide"), 0, &image);

  for (guint m = 0; m < G_N_ELEMENTS (modes); m++) {
    memset (whole, 0xff, n * sizeof (float));
    encode (vision, modes[m], NULL, 0, &image, whole);
    for (gsize i = 0; i < n; i++)
      g_assert_true (isfinite (whole[i]));
    for (guint64 slice = 1; slice <= 1 << 20; slice <<= 10) {
      encode (vision, modes[m], pool, slice, &image, cut);
      g_assert_cmpmem (whole, n * sizeof (float), cut, n * sizeof (float));
    }
  }
  tern_pool_free (pool);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static void
test_widths (Fixture *f, gconstpointer data)
{
  static const TernModelParts parts[] = { TERN_MODEL_TEXT, TERN_MODEL_VISION, TERN_MODEL_FULL };

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernModel) model = open_files (FOLDER, "qwen3vl-q8_0.gguf", FOLDER, "mmproj-f16.gguf", parts[i], &error);

    g_assert_no_error (error);
    g_assert_cmpuint (tern_model_deepstack (model), ==, DEEPSTACK);
    g_assert_cmpuint (tern_model_embedding_dim (model), ==, 64 * (1 + DEEPSTACK));
  }
}

/* Both are 64 wide: what tells them apart is what stands beside the tokens. */
static void
test_strangers (Fixture *f, gconstpointer data)
{
  static const struct {
    const char *folder, *text, *mmproj_folder, *mmproj, *what;
  } pairs[] = {
    { FOLDER, "qwen3vl-q8_0.gguf", "qwen35", "mmproj-f32.gguf",
      "*qwen3vl-q8_0.gguf (key qwen3vl.n_deepstack_layers)* 2 *mmproj-f32.gguf (key clip.vision.is_deepstack_layers) makes 0*" },
    { "qwen35", "qwen35-q8_0.gguf", FOLDER, "mmproj-f16.gguf",
      "*qwen35-q8_0.gguf* 0 *mmproj-f16.gguf (key clip.vision.is_deepstack_layers) makes 2*" },
  };
  static const TernModelParts parts[] = { TERN_MODEL_TEXT, TERN_MODEL_FULL };

  for (guint i = 0; i < G_N_ELEMENTS (pairs) * G_N_ELEMENTS (parts); i++) {
    const char *what = pairs[i / 2].what;
    g_autoptr (GError) error = NULL;

    g_assert_null (open_files (pairs[i / 2].folder, pairs[i / 2].text, pairs[i / 2].mmproj_folder, pairs[i / 2].mmproj,
        parts[i % 2], &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_MISMATCH);
    g_test_message ("%s", error->message);
    g_assert_true (g_pattern_match_simple (what, error->message));
  }
}

/* A change to a right file: some bytes, @skip behind the end of a text that stands in it once, or in the last place of it. */
typedef struct {
  const char *file, *text;
  gsize skip, n;
  const guint8 *bytes;
  const char *const what[3];    /* the message has them; none: it opens */
} Damage;

#define BYTES(...) .n = sizeof (const guint8[]) { __VA_ARGS__ }, .bytes = (const guint8[]) { __VA_ARGS__ }
#define TEXT "qwen3vl-q8_0.gguf"
#define TOWER "mmproj-f16.gguf"
#define IN_ARRAY 16             /* type, type of elements, count */

static const Damage damages[] = {
  { TEXT, "qwen3vl.n_deepstack_layers", 4, BYTES (4), { "key qwen3vl.n_deepstack_layers", "0 to 3, found 4" } },
  { TEXT, "qwen3vl.n_deepstack_layers", 4, BYTES (0xff, 0xff, 0xff, 0xff), { "key qwen3vl.n_deepstack_layers", "4294967295" } },
  { TEXT, "qwen3vl.n_deepstack_layers", 4, BYTES (3), { NULL } },
  { TEXT, "qwen3vl.rope.dimension_sections", IN_ARRAY, BYTES (7), { "key qwen3vl.rope.dimension_sections", "sum to 16", "7, 5, 5" } },
  { TEXT, "qwen3vl.rope.dimension_sectio", 0, BYTES ('m', 's'), { "qwen3vl.rope.dimension_sections", "no such key" } },
  { TEXT, "general.architecture", 12, BYTES ('q', 'w', 'e', 'n', '4', 'v', 'l'), { "general.architecture", "qwen3vl", "qwen4vl" } },
  { TOWER, "clip.vision.is_deepstack_layers", IN_ARRAY + 1, BYTES (1), { "v.deepstack.1.norm.weight", "no such tensor" } },
  { TOWER, "clip.vision.is_deepstack_layers", IN_ARRAY + 2, BYTES (0),
    { "v.deepstack.2.", "is_deepstack_layers" } },
  { TOWER, "clip.vision.block_count", 4, BYTES (3), { "key clip.vision.is_deepstack_layers", "each of the 3 layers", "found 4" } },
  { TOWER, "clip.vision.is_deepstack_layers", 4, BYTES (0), { "clip.vision.is_deepstack_layers", "bool" } },
  { TOWER, "v.deepstack.0.norm.bias", 4, BYTES (64), { "v.deepstack.0.norm.bias", "128", "64" } },
  { TOWER, "v.deepstack.2.fc1.weight", 4, BYTES (64), { "v.deepstack.2.fc1.weight", "128", "64" } },
  { TOWER, "v.deepstack.0.fc2.bia", 0, BYTES ('z'), { "v.deepstack.0.fc2.bias", "no such tensor" } },
};

static void
test_damaged (Fixture *f, gconstpointer data)
{
  const Damage *damage = data;
  g_autofree char *path = golden_path (FOLDER, damage->file), *bytes = NULL;
  g_autoptr (GError) error = NULL;
  gsize size, at = 0, length = strlen (damage->text);
  TernKernels kernels;

  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  for (gsize i = 0; i + length < size; i++)
    at = memcmp (bytes + i, damage->text, length) == 0 ? i + length : at;
  g_assert_cmpuint (at, >, 0);
  memcpy (bytes + at + damage->skip, damage->bytes, damage->n);
  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  {
    g_autoptr (TernGguf) file = tern_gguf_open_memory ((const guint8 *) bytes, size, "damaged.gguf", &error);
    g_autoptr (TernLlm) llm = file && g_str_equal (damage->file, TEXT) ? tern_llm_plan (file, &kernels, &error) : NULL;
    g_autoptr (TernVision) vision = file && g_str_equal (damage->file, TOWER) ? tern_vision_open (file, &kernels, &error) : NULL;

    if (!damage->what[0]) {
      g_assert_no_error (error);
      g_assert_cmpuint (tern_llm_info (llm)->deepstack, ==, 3);
      return;
    }
    g_assert_true (!llm && !vision);
  }
  g_assert_nonnull (error);
  g_test_message ("%s", error->message);
  g_assert_true (g_str_has_prefix (error->message, "damaged.gguf: "));
  for (guint i = 0; i < G_N_ELEMENTS (damage->what) && damage->what[i]; i++)
    g_assert_nonnull (strstr (error->message, damage->what[i]));
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*func) (Fixture *f, gconstpointer data);
  } tests[] = { { "session", test_session }, { "stream", test_stream }, { "steps", test_steps }, { "completions",
      test_completions }, { "pass", test_pass },
    { "slices", test_slices },
    { "widths", test_widths }, { "strangers", test_strangers } };
  g_autofree char *there = NULL;

  g_test_init (&argc, &argv, NULL);
  if (!(there = golden_path (FOLDER, "mmproj-f16.gguf"))) {
    g_print ("1..0 # SKIP no qwen3vl/mmproj-f16.gguf among the data\n");
    return 0;
  }
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *name = g_strdup_printf ("/deepstack/%s", tests[i].name);

    g_test_add (name, Fixture, NULL, set_up, tests[i].func, tear_down);
  }
  for (guint i = 0; i < G_N_ELEMENTS (damages); i++) {
    g_autofree char *name = g_strdup_printf ("/deepstack/damaged/%u", i);

    g_test_add (name, Fixture, &damages[i], NULL, test_damaged, NULL);
  }
  return g_test_run ();
}
