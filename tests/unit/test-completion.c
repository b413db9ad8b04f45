/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Completions: what they say is what sessions say of the same, pieces are the whole, stop texts, scores, cancelling, views
 * that are shown again; and what people say never becomes a control token. */
#include "session-fixture.h"

#include <math.h>

#include "engine/base/random.h"
#include "tern/plain.h"
#include "tern/view-priv.h"
#include "tests/unit/completion-end.h"

#define ASK(parts) "{\"messages\":[{\"role\":\"user\",\"content\":[" parts "]}]}"
#define IMAGE "{\"type\":\"image\"}"
#define CLIP "{\"type\":\"video\"}"
#define TEXT(words) "{\"type\":\"text\",\"text\":\"" words "\"}"

/* What was told, by a completion that is waited for. */
typedef struct {
  CompletionEnd end;
  GString *text;
  guint events, scores, tops;
  double first_score;
  gboolean sums_up;             /* scores of top tokens fall, the first of a greedy answer is its own */
  char *reason, *error;
  TernCompletionEvent last;
  gboolean free_inside;
} Told;

static void
told_init (Told *told)
{
  *told = (Told) { .text = g_string_new (NULL), .sums_up = TRUE };
}

static void
told_clear (Told *told)
{
  g_string_free (told->text, TRUE);
  g_free (told->reason);
  g_free (told->error);
}

static void
hear (void *data, TernCompletion *completion, const TernCompletionEvent *event)
{
  Told *told = data;

  g_assert_false (told->end.over);
  told->events++;
  g_string_append (told->text, event->text);
  for (guint i = 0; i < event->n_scores; i++) {
    const TernTokenScore *score = &event->scores[i];

    if (told->scores++ == 0)
      told->first_score = score->logprob;
    told->tops += score->n_top;
    for (guint t = 0; t + 1 < score->n_top; t++)
      told->sums_up &= score->top[t].logprob >= score->top[t + 1].logprob;
    told->sums_up &= score->n_top == 0 || score->top[0].logprob == score->logprob;
  }
  if (event->last) {
    told->last = *event;
    told->reason = g_strdup (event->finish_reason);
    told->error = event->failure ? g_strdup (event->failure->message) : NULL;
    if (told->free_inside)
      tern_completion_free (completion);
    completion_end_tell (&told->end);
  }
}

static TernCompletion *
begin (TernModel *model, const TernCompletionParams *params, Told *told)
{
  TernCompletionParams own = *params;
  g_autoptr (GError) error = NULL;
  TernCompletion *completion;

  own.func = hear;
  own.func_data = told;
  told_init (told);
  completion = tern_completion_new (model, &own, &error);
  g_assert_no_error (error);
  return completion;
}

/* All that is said. */
static char *
complete (TernModel *model, const TernCompletionParams *params, Told *told)
{
  g_autoptr (TernCompletion) completion = begin (model, params, told);

  tern_completion_start (completion);
  completion_end_wait (&told->end);
  g_assert_null (told->error);
  return g_strdup (told->text->str);
}

static TernView *
new_view (TernModel *model, guint variant)
{
  g_autofree guint8 *pixels = g_malloc (3 * FRAME_W * FRAME_H);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = FRAME_W, .height = FRAME_H, .data = { pixels },
    .stride = { 3 * FRAME_W } };
  g_autoptr (GError) error = NULL;
  TernView *view;

  paint (pixels, FRAME_W, FRAME_H, 0, variant);
  view = tern_view_new_still (model, &image, &error);
  g_assert_no_error (error);
  return view;
}

/* ---- What is said ------------------------------------------------------------------------------------------------ */

/* The answer of a session about the same picture, whose prompts and logits have goldens of their own. */
static char *
session_says (TernModel *model, guint variant, const char *prompt, const TernSampling *sampling)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  g_autofree guint8 *pixels = g_malloc (3 * FRAME_W * FRAME_H);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = FRAME_W, .height = FRAME_H, .data = { pixels },
    .stride = { 3 * FRAME_W } };
  g_autoptr (TernSession) session = NULL;
  TernResult *result;
  char *text;

  params.prompt = prompt;
  params.sampling = *sampling;
  session = new_session (model, &params);
  paint (pixels, FRAME_W, FRAME_H, 0, variant);
  g_assert_true (tern_session_push_still (session, &image, NULL));
  result = next_result (session);
  text = g_strdup (result->result);
  tern_result_unref (result);
  return text;
}

static void
test_as_sessions (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;

  params.sampling.max_tokens = 12;
  for (guint i = 0; i < 4; i++) {
    g_autoptr (TernView) view = new_view (model, i);
    g_autofree char *expected = NULL, *said = NULL;
    Told told;

    params.sampling.temperature = i == 3 ? 1 : 0;
    params.sampling.beam = i == 2 ? 3 : 1;
    params.chat = ASK (IMAGE "," TEXT ("What is it?"));
    params.views = &view;
    params.n_views = 1;
    expected = session_says (model, i, "What is it?", &params.sampling);
    said = complete (model, &params, &told);
    g_assert_cmpstr (g_strstrip (said), ==, expected);
    g_assert_cmpuint (strlen (said), >, 5);
    g_assert_cmpuint (told.last.visual_tokens, >, 3);
    g_assert_cmpuint (told.last.prompt_tokens, >, told.last.visual_tokens + 5);
    g_assert_cmpuint (told.last.generated_tokens, <=, 12);
    g_assert_cmpuint (told.events, >, i == 2 ? 0 : 3);
    told_clear (&told);
  }
}

/* A clip is what a window of its frames is. */
static void
test_clip (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams window = TERN_SESSION_PARAMS_INIT;
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autofree guint8 *pixels = g_malloc (3 * FRAME_W * FRAME_H);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = FRAME_W, .height = FRAME_H, .data = { pixels },
    .stride = { 3 * FRAME_W } };
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernView) clip = tern_view_new_clip (model, NULL);
  g_autofree char *said = NULL;
  TernResult *result;
  Told told;

  window.prompt = "What?";
  window.sampling.max_tokens = params.sampling.max_tokens = 12;
  window.gate.mode = TERN_GATE_MODE_OFF;
  session = new_session (model, &window);
  push_run (session, 0, 7, 1);
  tern_session_finish (session);
  result = next_result (session);
  for (guint i = 0; i < 7; i++) {
    paint (pixels, FRAME_W, FRAME_H, 3 * i, 1);
    g_assert_true (tern_view_add_frame (clip, &image, MS (500 * i), NULL));
  }
  params.chat = ASK (CLIP "," TEXT ("What?"));
  params.views = &clip;
  params.n_views = 1;
  said = complete (model, &params, &told);
  g_assert_cmpstr (g_strstrip (said), ==, result->result);
  g_assert_cmpuint (told.last.visual_tokens, ==, result->visual_kept);
  g_assert_cmpuint (told.last.prompt_tokens, ==, result->prompt_tokens);
  g_assert_false (tern_view_add_frame (clip, &image, MS (9000), NULL));
  tern_result_unref (result);
  told_clear (&told);
}

static void
test_stop (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autofree char *whole = NULL, *said = NULL;
  char stop[4] = "";
  const char *stops[] = { "never said", stop, NULL };
  Told told;

  params.text = "One two three";
  params.sampling.max_tokens = 40;
  params.sampling.ignore_eog = TRUE;
  whole = complete (model, &params, &told);
  g_assert_cmpstr (told.reason, ==, "length");
  g_assert_cmpuint (told.last.generated_tokens, ==, 40);
  told_clear (&told);
  /* Three bytes from the middle, wherever tokens end. */
  g_assert_cmpuint (strlen (whole), >, 30);
  for (gsize at = strlen (whole) / 2; at + 3 < strlen (whole); at += 5) {
    memcpy (stop, whole + at, 3);
    if (!g_utf8_validate (stop, 3, NULL))
      continue;
    params.stop = stops;
    said = complete (model, &params, &told);
    g_assert_cmpstr (told.reason, ==, "stop");
    g_assert_cmpuint (strlen (said), ==, (gsize) (strstr (whole, stop) - whole));
    g_assert_true (g_str_has_prefix (whole, said));
    told_clear (&told);
    g_clear_pointer (&said, g_free);
  }
}

static void
test_scores (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autofree char *said = NULL;
  Told told;

  params.text = "One";
  params.sampling.max_tokens = 9;
  params.sampling.ignore_eog = TRUE;
  params.scores = TRUE;
  params.top_scores = 5;
  said = complete (model, &params, &told);
  g_assert_cmpuint (told.scores, ==, 9);
  g_assert_cmpuint (told.tops, ==, 45);
  g_assert_true (told.sums_up);
  g_assert_cmpfloat (told.first_score, <, 0);
  g_assert_cmpfloat (told.first_score, >, -20);
  told_clear (&told);
}

static void
test_form (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;

  params.chat = ASK (TEXT ("x"));
  params.json_schema = "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":3,\"maximum\":5}},"
      "\"required\":[\"n\"],\"additionalProperties\":false}";
  params.sampling.max_tokens = 60;
  for (guint i = 0; i < 5; i++) {
    g_autofree char *said = NULL;
    Told told;

    params.sampling.temperature = i;
    params.sampling.seed = i;
    said = complete (model, &params, &told);
    g_assert_true (g_str_equal (said, "{\"n\": 3}") || g_str_equal (said, "{\"n\": 4}") || g_str_equal (said, "{\"n\": 5}"));
    g_assert_cmpstr (told.reason, ==, "stop");
    told_clear (&told);
  }
}

/* ---- Views ------------------------------------------------------------------------------------------------------- */

/* A view is encoded once, and its pixels go; what is said of it again is the same, and takes no encoding. */
static void
test_views (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autoptr (TernView) view = new_view (model, 1), other = new_view (model, 2);
  TernView *twice[] = { view, other, view };
  g_autofree char *first = NULL, *again = NULL, *more = NULL;
  gsize before = tern_view_bytes (view);
  Told told;

  params.chat = ASK (TEXT ("a") "," IMAGE "," TEXT ("b"));
  params.views = &view;
  params.n_views = 1;
  first = complete (model, &params, &told);
  g_assert_cmpfloat (told.last.encode_ms, >, 0);
  g_assert_cmpuint (tern_view_bytes (view), ==, before - 3 * FRAME_W * FRAME_H);
  told_clear (&told);
  again = complete (model, &params, &told);
  g_assert_cmpfloat (told.last.encode_ms, ==, 0);
  g_assert_cmpstr (again, ==, first);
  told_clear (&told);
  params.chat = ASK (IMAGE "," TEXT ("a") "," IMAGE "," TEXT ("b") "," IMAGE);
  params.views = twice;
  params.n_views = 3;
  more = complete (model, &params, &told);
  g_assert_cmpuint (told.last.visual_tokens % 3, ==, 0);
  told_clear (&told);
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static void
test_cancel (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  Told told;
  TernCompletion *completion;

  params.text = "One";
  params.sampling.max_tokens = 2000;
  params.sampling.ignore_eog = TRUE;
  completion = begin (model, &params, &told);
  g_assert_cmpuint (tern_completion_prompt_tokens (completion), >, 0);
  tern_completion_start (completion);
  tern_completion_cancel (completion);
  completion_end_wait (&told.end);
  g_assert_cmpstr (told.reason, ==, "cancelled");
  g_assert_cmpuint (told.last.generated_tokens, <, 2000);
  tern_completion_free (completion);
  told_clear (&told);
  /* Freed where it is told of its end; never started; in the middle of it. */
  params.sampling.max_tokens = 3;
  completion = begin (model, &params, &told);
  told.free_inside = TRUE;
  tern_completion_start (completion);
  completion_end_wait (&told.end);
  told_clear (&told);
  tern_completion_free (begin (model, &params, &told));
  told_clear (&told);
  params.sampling.max_tokens = 2000;
  completion = begin (model, &params, &told);
  tern_completion_start (completion);
  tern_completion_free (completion);
  g_assert_false (told.end.over && !g_str_equal (told.reason, "cancelled") && !g_str_equal (told.reason, "length"));
  told_clear (&told);
  tern_completion_free (NULL);
}

/* Many at once say what each says alone. */
static void
test_together (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autoptr (TernView) view = new_view (model, 3);
  TernCompletion *all[8];
  g_autofree char *alone = NULL;
  Told told[8], first;

  params.chat = ASK (IMAGE "," TEXT ("Which?"));
  params.views = &view;
  params.n_views = 1;
  params.sampling.max_tokens = 16;
  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    tern_completion_start (all[i] = begin (model, &params, &told[i]));
  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    completion_end_wait (&told[i].end);
  alone = complete (model, &params, &first);
  for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
    g_assert_cmpstr (told[i].text->str, ==, alone);
    tern_completion_free (all[i]);
    told_clear (&told[i]);
  }
  told_clear (&first);
}

/* ---- Guesses ----------------------------------------------------------------------------------------------------- */

static const struct {
  const char *file;
  TernDraftVocabulary vocabulary;
} drafts[] = {
  { TERN_TEST_DATA "/lfm2/lfm2-tq2_0.gguf", TERN_DRAFT_VOCABULARY_AUTO },      /* itself */
  { TERN_TEST_DATA "/lfm2s/lfm2s-bf16.gguf", TERN_DRAFT_VOCABULARY_AUTO },
  { TERN_TEST_DATA "/families/bitnet-tq1_0.gguf", TERN_DRAFT_VOCABULARY_TLI }, /* another vocabulary */
  { TERN_TEST_DATA "/families/bitnet-tq1_0.gguf", TERN_DRAFT_VOCABULARY_SLEM },
};

static TernDrafter *
open_drafter (TernModel *model, guint d)
{
  g_autoptr (GError) error = NULL;
  TernDrafter *drafter = tern_drafter_new (model, drafts[d].file, drafts[d].vocabulary, &error);

  g_assert_no_error (error);
  return drafter;
}

/* The same with @drafter as without, of as many tokens, for the same reason. How many guesses were right is added. */
static void
compare_drafted (TernModel *model, TernCompletionParams params, TernDrafter *drafter, guint *right)
{
  g_autofree char *plain = NULL, *drafted = NULL;
  Told without, with;

  params.drafter = NULL;
  plain = complete (model, &params, &without);
  g_assert_cmpuint (without.last.guesses, ==, 0);
  params.drafter = drafter;
  drafted = complete (model, &params, &with);
  g_assert_cmpstr (drafted, ==, plain);
  g_assert_cmpstr (with.reason, ==, without.reason);
  g_assert_cmpuint (with.last.generated_tokens, ==, without.last.generated_tokens);
  g_assert_cmpuint (with.scores, ==, without.scores);
  g_assert_cmpuint (with.last.guesses, >=, with.last.guesses_right);
  *right += with.last.guesses_right;
  told_clear (&without);
  told_clear (&with);
}

/* What is said is what is said without: a text that is gone on with, drawn tokens, a form, stop texts wherever they end, a chat
 * with a picture that no draft sees. */
static void
test_drafted (void)
{
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernView) view = new_view (model, 3);

  for (guint d = 0; d < G_N_ELEMENTS (drafts); d++) {
    g_autoptr (TernDrafter) drafter = open_drafter (model, d);
    TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
    const char *stops[2] = { NULL, NULL };
    g_autofree char *whole = NULL;
    guint right = 0, others = 0;
    Told told;

    params.text = "One two three";
    params.sampling.max_tokens = 60;
    params.sampling.ignore_eog = TRUE;
    compare_drafted (model, params, drafter, &right);
    if (d == 0)
      g_assert_cmpuint (right, >=, 20);         /* the model itself is always right */
    whole = complete (model, &params, &told);
    told_clear (&told);
    params.stop = stops;
    for (const char *p = whole; strlen (p) > 4; p += 7) {
      g_autofree char *stop = g_utf8_make_valid (p, 3);

      stops[0] = stop;
      compare_drafted (model, params, drafter, &others);
    }
    params.stop = NULL;
    params.sampling.temperature = 1.5;
    params.sampling.seed = 5;
    compare_drafted (model, params, drafter, &others);
    params.sampling.temperature = 0;
    params.sampling.ignore_eog = FALSE;
    params.json_schema = "{\"type\":\"array\",\"items\":{\"enum\":[\"red\",\"blue\"]},\"minItems\":6,\"maxItems\":9}";
    compare_drafted (model, params, drafter, &others);
    params.json_schema = NULL;
    params.text = NULL;
    params.chat = ASK (IMAGE "," TEXT ("Which?"));
    params.views = &view;
    params.n_views = 1;
    compare_drafted (model, params, drafter, &others);
  }
}

/* Nobody guesses where each token's probability is asked for, nor with beams; and answers are the same. */
static void
test_undrafted (void)
{
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernDrafter) drafter = open_drafter (model, 0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  guint right = 0;

  params.text = "One two three";
  params.sampling.max_tokens = 20;
  params.sampling.ignore_eog = TRUE;
  params.scores = TRUE;
  params.top_scores = 2;
  compare_drafted (model, params, drafter, &right);
  params.scores = FALSE;
  params.top_scores = 0;
  params.sampling.beam = 3;
  compare_drafted (model, params, drafter, &right);
  g_assert_cmpuint (right, ==, 0);
}

/* Eight at once, of several lengths, and some that are cancelled: each has a draft of its own, and leaves it to others. */
static void
test_drafted_together (void)
{
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (TernDrafter) drafter = open_drafter (model, 0);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;

  params.sampling.ignore_eog = TRUE;
  params.drafter = drafter;
  for (guint turn = 0; turn < 3; turn++) {
    TernCompletion *all[8];
    Told told[8];

    for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
      params.text = i % 2 ? "One two three" : "A dog";
      params.sampling.max_tokens = 10 + 7 * i;
      tern_completion_start (all[i] = begin (model, &params, &told[i]));
      if (i % 4 == 3)
        tern_completion_cancel (all[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
      g_autofree char *alone = NULL;
      Told first;

      completion_end_wait (&told[i].end);
      tern_completion_free (all[i]);
      params.text = i % 2 ? "One two three" : "A dog";
      params.sampling.max_tokens = 10 + 7 * i;
      alone = complete (model, &params, &first);
      if (i % 4 == 3)
        g_assert_true (g_str_has_prefix (alone, told[i].text->str));
      else
        g_assert_cmpstr (told[i].text->str, ==, alone);
      told_clear (&told[i]);
      told_clear (&first);
    }
  }
}

/* What cannot guess for a model is named. */
static void
test_no_drafter (void)
{
  g_autoptr (TernModel) model = open_model (0);
  static const struct {
    const char *file;
    TernDraftVocabulary vocabulary;
    TernErrorCode code;
    const char *words;
  } wrong[] = {
    { TERN_TEST_DATA "/families/bitnet-tq1_0.gguf", TERN_DRAFT_VOCABULARY_SAME, TERN_ERROR_MISMATCH, "bitnet-tq1_0.gguf" },
    { TERN_TEST_DATA "/lfm2vl/mmproj-ship-q8_0.gguf", TERN_DRAFT_VOCABULARY_AUTO, TERN_ERROR_UNSUPPORTED, "a draft sees no pictures" },
    { TERN_TEST_DATA "/nothing.gguf", TERN_DRAFT_VOCABULARY_AUTO, TERN_ERROR_NOT_FOUND, "nothing.gguf" },
    { TERN_TEST_DATA "/lfm2/lfm2-tq2_0.gguf", (TernDraftVocabulary) 4, TERN_ERROR_INVALID, "expected 0 to 3, found 4" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (tern_drafter_new (model, wrong[i].file, wrong[i].vocabulary, &error));
    g_assert_error (error, TERN_ERROR, wrong[i].code);
    if (!strstr (error->message, wrong[i].words))
      g_error ("expected \"%s\" in the message, found: %s", wrong[i].words, error->message);
  }
}

/* ---- What is refused --------------------------------------------------------------------------------------------- */

static void
refused (TernModel *model, const TernCompletionParams *params, TernErrorCode code, const char *words)
{
  TernCompletionParams own = *params;
  g_autoptr (GError) error = NULL;

  own.func = hear;
  g_assert_null (tern_completion_new (model, &own, &error));
  g_assert_error (error, TERN_ERROR, code);
  if (!strstr (error->message, words))
    g_error ("expected \"%s\" in the message, found: %s", words, error->message);
}

static void
test_refused (void)
{
  g_autoptr (TernModel) model = open_model (96);
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autoptr (TernView) view = new_view (model, 0), clip = tern_view_new_clip (model, NULL);
  TernView *const gap[] = { view, NULL };
  const char *empty[] = { "", NULL };
  g_autofree char *long_text = g_strnfill (4000, 'a');

  refused (model, &params, TERN_ERROR_INVALID, "chat and text");
  params.chat = "{";
  refused (model, &params, TERN_ERROR_FORMAT, "chat");
  params.chat = "[]";
  refused (model, &params, TERN_ERROR_FORMAT, "object");
  params.chat = "{\"messages\":3}";
  refused (model, &params, TERN_ERROR_INVALID, "messages");
  params.chat = "{\"messages\":[{\"content\":\"x\"}]}";
  refused (model, &params, TERN_ERROR_INVALID, "role");
  params.chat = ASK ("{\"type\":\"sound\"}");
  refused (model, &params, TERN_ERROR_INVALID, "sound");
  params.chat = ASK (IMAGE);
  refused (model, &params, TERN_ERROR_INVALID, "views");
  params.views = &view;
  params.n_views = 1;
  params.chat = ASK (CLIP);
  refused (model, &params, TERN_ERROR_INVALID, "video");
  params.chat = ASK (TEXT ("x"));
  refused (model, &params, TERN_ERROR_INVALID, "views");
  params.views = &clip;
  refused (model, &params, TERN_ERROR_INVALID, "frame");
  params.views = NULL;
  params.chat = ASK (IMAGE);
  refused (model, &params, TERN_ERROR_INVALID, "views: expected 1, found none at 0");
  params.views = gap;
  params.n_views = 2;
  refused (model, &params, TERN_ERROR_INVALID, "views: expected 2, found none at 1");
  params.chat = ASK (TEXT ("x"));
  params.n_views = 0;
  params.stop = empty;
  refused (model, &params, TERN_ERROR_INVALID, "stop");
  params.stop = NULL;
  params.json_schema = "{\"type\":\"object\"}";
  params.grammar = "root ::= \"a\"";
  refused (model, &params, TERN_ERROR_INVALID, "grammar");
  params.grammar = NULL;
  params.json_schema = "{\"type\":\"string\",\"minLength\":9000}";
  refused (model, &params, TERN_ERROR_INVALID, "max_tokens");
  params.sampling.max_tokens = 4000;
  params.json_schema = "{\"type\":\"string\",\"minLength\":9000}";
  refused (model, &params, TERN_ERROR_NO_SPACE, "context of");
  params.json_schema = "{\"not\":{}}";
  refused (model, &params, TERN_ERROR_UNSUPPORTED, "json_schema");
  params.json_schema = NULL;
  params.chat = NULL;
  params.text = long_text;
  refused (model, &params, TERN_ERROR_NO_SPACE, "at most 96");
}

/* ---- What people say --------------------------------------------------------------------------------------------- */

/* Texts of pieces of control tokens, stand-ins, places and blanks, each protected, stripped as templates do, and put beside
 * each other and the template's own tokens: only those are control tokens in the end. */
static void
test_plain (void)
{
  static const char *const pieces[] = { "<|im_end|>", "<|im_", "<|", "<", "end|>", "|>", ">", "im_end", "<image>", "<ima", "ge>",
      "<video>",
    "\xee\x80\x80", "0\xee\x80\x81", "\xee\x80\x81", " ", "\n", "a", "\xc3\xa9", "<|im_start|>user\n", "<|endoftext|>" };
  g_autoptr (TernModel) model = open_model (0);
  const TernModelText *text = tern_model_text (model);
  TernRandom random = { 17 };

  for (guint run = 0; run < 3000; run++) {
    g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GString) rendered = g_string_new ("<|im_start|>"), spelled = g_string_new ("<|im_start|>"),
        back = g_string_new (NULL);
    g_autoptr (GArray) plain = g_array_new (FALSE, FALSE, sizeof (TernTextRange)), ids = g_array_new (FALSE, FALSE,
        sizeof (gint32));
    guint n = 1 + tern_random_below (&random, 3), number, controls = 0;
    const char *at, *first, *end;

    for (guint i = 0; i < n; i++) {
      g_autoptr (GString) said = g_string_new (NULL);
      g_autofree char *safe = NULL;

      for (guint k = tern_random_below (&random, 5); k > 0; k--)
        g_string_append (said, pieces[tern_random_below (&random, G_N_ELEMENTS (pieces))]);
      safe = tern_plain_protect (text->plain, said->str, kept);
      g_string_append (rendered, run % 2 ? g_strstrip (safe) : safe);
      g_string_append (spelled, run % 2 ? g_strstrip (said->str) : said->str);
    }
    g_string_append (rendered, "<|im_end|>");
    g_string_append (spelled, "<|im_end|>");
    for (at = rendered->str; tern_plain_find (at, kept, &number, &first, &end); at = end) {
      TernTextRange range = { .begin = back->len + (gsize) (first - at) };

      g_string_append_len (back, at, first - at);
      g_string_append (back, kept->pdata[number]);
      range.end = back->len;
      g_array_append_val (plain, range);
    }
    g_string_append (back, at);
    g_assert_cmpstr (back->str, ==, spelled->str);
    tern_tokenizer_encode_mixed (text->tokenizer, back->str, back->len, (const TernTextRange *) plain->data, plain->len, ids);
    for (guint i = 0; i < ids->len; i++)
      controls += tern_tokenizer_is_control (text->tokenizer, g_array_index (ids, gint32, i));
    g_assert_cmpuint (controls, ==, 2);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/completion/as-sessions", test_as_sessions);
  g_test_add_func ("/completion/clip", test_clip);
  g_test_add_func ("/completion/stop", test_stop);
  g_test_add_func ("/completion/scores", test_scores);
  g_test_add_func ("/completion/form", test_form);
  g_test_add_func ("/completion/views", test_views);
  g_test_add_func ("/completion/cancel", test_cancel);
  g_test_add_func ("/completion/together", test_together);
  g_test_add_func ("/completion/drafted", test_drafted);
  g_test_add_func ("/completion/undrafted", test_undrafted);
  g_test_add_func ("/completion/drafted-together", test_drafted_together);
  g_test_add_func ("/completion/no-drafter", test_no_drafter);
  g_test_add_func ("/completion/refused", test_refused);
  g_test_add_func ("/completion/plain", test_plain);
  return g_test_run ();
}
