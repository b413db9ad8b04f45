/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions of all kinds on one model, mixed at random: pushes in any order, stops, other questions, the engine held between
 * rounds and within passes. What each of them says is compared with what it says alone, bit for bit; what a stop cuts off
 * must have begun like that. Nothing here depends on a clock: whatever the threads do, the answers are the same.
 *
 * TERN_MIXING_SEEDS=1000 runs more seeds, TERN_MIXING_FIRST=17 begins with that one. */
#include "session-gate.h"
#include "tern/session-priv.h"

#define SESSIONS_MOST 5
#define SEGMENTS_MOST 3         /* stretches of pushes with a stop between them */

typedef enum { DO_FRAME, DO_STILL, DO_FINISH, DO_QUESTIONS, DO_REQUEST, DO_CANCEL, DO_FLUSH, DO_FREE } Action;

typedef struct {
  Action action;
  guint segment, t, variant, side, n;
  guint64 pts, duration;
} Step;

/* What one session is and does. */
typedef struct {
  TernSessionParams params;
  gboolean tokens;
  guint salt;
  GArray *steps;                /* of Step */
  guint segments;
  gboolean freed;

  TernSession *session;
  guint at;                     /* the next step */
  guint asked, answered;        /* requests */
  gboolean flushed;
  GPtrArray *said[SEGMENTS_MOST], *alone[SEGMENTS_MOST];        /* of TernResult */
} Actor;

static const char *const prompts[] = { "What happens?", "How many people are there", "", "Describe the video in detail, please.",
  "Is anybody here?" };
static const char *const labels[] = { "yes", "no", "nothing at all", "nothing", NULL };

/* ---- Scripts ----------------------------------------------------------------------------------------------------- */

static guint
pick (GRand *rand, guint n)
{
  return (guint) g_rand_int_range (rand, 0, (gint) n);
}

static void
add_step (Actor *actor, Step step)
{
  g_array_append_val (actor->steps, step);
}

static void
write_segment (Actor *actor, GRand *rand, guint segment, guint64 *pts)
{
  guint n = 3 + pick (rand, 14);

  add_step (actor, (Step) { DO_QUESTIONS, segment, .n = 1 + pick (rand, 4), .t = pick (rand, 5) });
  for (guint i = 0; i < n; i++) {
    add_step (actor, (Step) { DO_FRAME, segment, pick (rand, 60), pick (rand, 3), 40 + 8 * (guint) (actor->salt % 5),
          pick (rand, 6), *pts, MS (500) });
    *pts += MS (500);
    if (pick (rand, 12) == 0)
      add_step (actor, (Step) { DO_QUESTIONS, segment, .n = 1 + pick (rand, 4), .t = pick (rand, 5) });
    if (pick (rand, 5) == 0)
      add_step (actor, (Step) { DO_REQUEST, segment, .t = pick (rand, 6), .n = pick (rand, 4), .variant = pick (rand, 2) });
    if (!actor->tokens && !actor->params.live && pick (rand, 14) == 0)
      add_step (actor, (Step) { DO_STILL, segment, pick (rand, 60), pick (rand, 3), 40 + pick (rand, 60) });
    if (pick (rand, 16) == 0) {
      add_step (actor, (Step) { DO_FINISH, segment });
      *pts += 20 * TERN_SECOND;
    }
  }
}

static void
write_script (Actor *actor, GRand *rand)
{
  guint64 pts = MS (pick (rand, 3000));

  actor->steps = g_array_new (FALSE, FALSE, sizeof (Step));
  actor->segments = pick (rand, 3) ? 1 : 2 + pick (rand, SEGMENTS_MOST - 1);
  for (guint s = 0; s < actor->segments; s++) {
    write_segment (actor, rand, s, &pts);
    if (s + 1 < actor->segments)
      add_step (actor, (Step) { pick (rand, 2) ? DO_CANCEL : DO_FLUSH, s });
    pts += 40 * TERN_SECOND;
  }
  actor->freed = pick (rand, 6) == 0;
  add_step (actor, (Step) { actor->freed ? DO_FREE : DO_FINISH, actor->segments - 1 });
}

static void
make_actor (Actor *actor, GRand *rand)
{
  static const TernCacheType types[] = { TERN_CACHE_AUTO, TERN_CACHE_F32, TERN_CACHE_F16, TERN_CACHE_INT8,
    TERN_CACHE_INT8_ROTATED, TERN_CACHE_INT4, TERN_CACHE_INT4_ROTATED, TERN_CACHE_INT3_ROTATED };
  TernSessionParams *params = &actor->params;

  *actor = (Actor) { .tokens = pick (rand, 3) == 0, .salt = pick (rand, 1000) };
  *params = quick_params ();
  params->live = pick (rand, 5) == 0;
  params->sampling.max_tokens = 1 + pick (rand, 8);
  params->sampling.beam = pick (rand, 2) ? 1 : 2 + pick (rand, 3);
  params->sampling.ignore_eog = pick (rand, 3) == 0;
  if (params->sampling.beam == 1 && pick (rand, 3) == 0) {
    params->sampling.temperature = 0.9f;
    params->sampling.seed = pick (rand, 1000);
  }
  params->sampling.repetition_penalty = pick (rand, 3) ? 1 : 1.2f;
  params->compress.method = params->live ? pick (rand, 2) ? TERN_METHOD_NONE : TERN_METHOD_DYCOKE : (TernMethod) pick (rand, 3);
  params->compress.merge_ratio = pick (rand, 3) ? 0.7 : 1;
  /* The context holds so many whole pictures. */
  params->window = (params->compress.method == TERN_METHOD_NONE ? 1 : 1 + pick (rand, 3)) * 2 * TERN_SECOND;
  params->hop = pick (rand, 2) ? 0 : MAX (params->window / (2 + pick (rand, 2)), 1);
  params->kv_prune = pick (rand, 2) ? 0.7 : 0;
  params->kv_layer = pick (rand, 4);
  params->kv_type = types[pick (rand, G_N_ELEMENTS (types))];
  params->system_prompt = pick (rand, 4) ? NULL : "You are brief.";
  write_script (actor, rand);
  for (guint s = 0; s < SEGMENTS_MOST; s++) {
    actor->said[s] = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_result_unref);
    actor->alone[s] = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_result_unref);
  }
}

static void
clear_actor (Actor *actor)
{
  tern_session_free (actor->session);
  g_array_unref (actor->steps);
  for (guint s = 0; s < SEGMENTS_MOST; s++) {
    g_ptr_array_unref (actor->said[s]);
    g_ptr_array_unref (actor->alone[s]);
  }
}

/* ---- Playing them ------------------------------------------------------------------------------------------------ */

/* The segment that asked stands in the name of the question. What a request is told depends on when it was asked: it is
 * counted. */
static void
collect (Actor *actor, TernResult *result, GPtrArray **into)
{
  guint segment = (guint) g_ascii_strtoull (result->prompt_id, NULL, 10);

  if (result->ask_id) {
    g_assert_cmpstr (result->prompt_id, ==, "request");
    actor->answered++;
    tern_result_unref (result);
    return;
  }
  g_assert_cmpuint (segment, <, SEGMENTS_MOST);
  g_ptr_array_add (into[segment], result);
}

static void
ask (Actor *actor, const Step *step)
{
  TernQuestion questions[TERN_QUESTIONS_MAX] = { 0 };
  g_autoptr (GError) error = NULL;

  for (guint q = 0; q < step->n; q++) {
    questions[q].prompt = prompts[(step->t + q) % G_N_ELEMENTS (prompts)];
    questions[q].prompt_id = g_strdup_printf ("%u/%u", step->segment, q);
    questions[q].labels = (step->t + q) % 4 == 2 ? labels : NULL;
    if ((step->t + q) % 4 == 3) {
      questions[q].grammar = "root ::= [a-f]+ | \"no \" [0-9]{2,5}";
      questions[q].max_tokens = 6;
    }
  }
  if (step->n == 1)
    tern_session_set_prompt (actor->session, questions[0].prompt, questions[0].prompt_id, &error);
  else
    tern_session_set_questions (actor->session, questions, step->n, &error);
  g_assert_no_error (error);
  for (guint q = 0; q < step->n; q++)
    g_free ((char *) questions[q].prompt_id);
}

static void
request (Actor *actor, const Step *step)
{
  TernRequest request = { .question = { .prompt = prompts[step->t % G_N_ELEMENTS (prompts)], .prompt_id = "request",
      .labels = step->t > 3 ? labels : NULL, .max_tokens = 1 + step->t }, .frames = step->n,
    .timeout = step->variant && step->t == 0 ? 1 : 0 };
  g_autoptr (GError) error = NULL;

  tern_session_ask (actor->session, &request, NULL, &error);
  g_assert_no_error (error);
  actor->asked++;
}

static gboolean
push_tokens_of (Actor *actor, const Step *step, GError **error)
{
  static const gint32 places[] = { 0, 1, 2, 3, 4, 5 };
  guint dim = tern_llm_info (tern_model_text (actor->session->model)->llm)->width;
  g_autofree float *rows = g_new (float, 6 * dim);
  TernTokens tokens = { .pts = step->pts, .duration = step->duration, .number = step->pts / MS (500), .grid_w = 3,
    .grid_h = 2, .dim = dim, .n_tokens = step->n, .tokens = rows, .keep = places };

  for (guint i = 0; i < 6 * dim; i++)
    rows[i] = (float) ((i * 2654435761u + step->t * 40503u + step->variant * 7919u) >> 16 & 1023) / 20000 - 0.025f;
  return tern_session_push_tokens (actor->session, &tokens, error);
}

static gboolean
push_still_of (Actor *actor, const Step *step, GError **error)
{
  g_autofree guint8 *pixels = g_malloc (3 * step->side * step->side);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = step->side, .height = step->side, .data = { pixels },
    .stride = { 3 * (gint) step->side } };

  paint (pixels, step->side, step->side, step->t, step->variant);
  return tern_session_push_still (actor->session, &image, error);
}

/* FALSE: there is no room. */
static gboolean
try_step (Actor *actor, const Step *step)
{
  g_autoptr (GError) error = NULL;
  gboolean ok = TRUE;

  if (step->action == DO_FINISH)
    tern_session_finish (actor->session);
  else if (step->action == DO_QUESTIONS)
    ask (actor, step);
  else if (step->action == DO_REQUEST)
    request (actor, step);
  else if (step->action == DO_STILL)
    ok = push_still_of (actor, step, &error);
  else if (actor->tokens)
    ok = push_tokens_of (actor, step, &error);
  else
    ok = push_sized (actor->session, step->side, step->side, step->t, step->variant, step->pts, step->duration, &error);
  if (!ok)
    g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
  return ok;
}

/* Until the session is idle. */
static void
drain_into (Actor *actor, GPtrArray **into)
{
  TernResult *result;

  while ((result = next_result (actor->session)))
    collect (actor, result, into);
}

static void
play_alone (Actor *actor, TernModel *model)
{
  actor->session = new_session (model, &actor->params);
  for (guint i = 0; i < actor->steps->len; i++) {
    const Step *step = &g_array_index (actor->steps, Step, i);

    if (step->action == DO_REQUEST)
      continue;
    if (step->action >= DO_CANCEL)
      tern_session_finish (actor->session);
    else
      while (!try_step (actor, step))
        tern_session_wait (actor->session, -1);
    /* A live session drops nothing then. */
    if (actor->params.live || step->action >= DO_CANCEL)
      drain_into (actor, actor->alone);
  }
  drain_into (actor, actor->alone);
  g_clear_pointer (&actor->session, tern_session_free);
}

typedef struct {
  TernModel *model;
  GRand *rand;
  Hold hold;
  gboolean held;
  Gate gate;
  gboolean gated;
} Stage;

static void
let_go (Stage *stage)
{
  if (stage->held)
    release_engine (&stage->hold);
  stage->held = FALSE;
  if (stage->gated) {
    gate_open (&stage->gate);
    gate_set (stage->model, NULL, 0, NULL);
    gate_clear (&stage->gate);
  }
  stage->gated = FALSE;
}

static void
interfere (Stage *stage)
{
  guint what = pick (stage->rand, 8);

  if (what < 2) {
    let_go (stage);
  } else if (what == 2 && !stage->held && !stage->gated) {
    hold_engine (&stage->hold, stage->model);
    stage->held = TRUE;
  } else if (what == 3 && !stage->held && !stage->gated) {
    gate_init (&stage->gate);
    gate_set (stage->model, &stage->gate, 1 + pick (stage->rand, 300), NULL);
    stage->gated = TRUE;
  }
}

static void
play_step (Actor *actor, Stage *stage)
{
  const Step *step = &g_array_index (actor->steps, Step, actor->at++);
  TernResult *result;

  while (pick (stage->rand, 3) == 0 && (result = tern_session_poll (actor->session)))
    collect (actor, result, actor->said);
  if (step->action == DO_CANCEL) {
    tern_session_cancel (actor->session);
  } else if (step->action == DO_FLUSH || step->action == DO_FREE) {
    /* They wait for the engine: a gate would stand in their way for ever. */
    if (stage->gated)
      let_go (stage);
    if (step->action == DO_FREE)
      g_clear_pointer (&actor->session, tern_session_free);
    else
      tern_session_flush (actor->session);
    actor->flushed = TRUE;
  } else {
    while (!try_step (actor, step)) {
      let_go (stage);
      tern_session_wait (actor->session, -1);
    }
  }
}

/* ---- An encoder beside them -------------------------------------------------------------------------------------- */

#define PICTURES 4

typedef struct {
  TernModel *model;
  float *tokens[PICTURES];
  guint n_tokens[PICTURES];
} Encoding;

static gpointer
encode (gpointer data)
{
  Encoding *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernEncoder) encoder = tern_encoder_new (self->model, TERN_FIT_TRAINED, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < PICTURES; i++) {
    guint side = 40 + 30 * i;
    g_autofree guint8 *pixels = g_malloc (3 * side * side);
    TernImage image = { .format = TERN_IMAGE_RGB, .width = side, .height = side, .data = { pixels },
      .stride = { 3 * (gint) side } };
    const TernVisionInfo *info = tern_vision_info (tern_model_vision (self->model));
    TernTokens out;

    paint (pixels, side, side, i, i);
    self->tokens[i] = g_new0 (float, (gsize) info->max_tokens * info->embedding_dim);
    tern_encoder_run (encoder, &image, self->tokens[i], &out, &error);
    g_assert_no_error (error);
    self->n_tokens[i] = out.n_tokens * out.dim;
  }
  return NULL;
}

static void
compare_encodings (Encoding *a, Encoding *b)
{
  for (guint i = 0; i < PICTURES; i++) {
    g_assert_cmpmem (a->tokens[i], a->n_tokens[i] * sizeof (float), b->tokens[i], b->n_tokens[i] * sizeof (float));
    g_free (a->tokens[i]);
    g_free (b->tokens[i]);
  }
}

/* Several at once, on more threads than one: small pictures go side by side (tern/lanes.h). What they say is what one alone
 * says, on one thread. */
#define ENCODERS 7

static TernModel *
open_threads (guint threads)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GError) error = NULL;
  TernModel *model;

  params.model_path = TEXT_FILE;
  params.mmproj_path = MMPROJ_FILE;
  params.threads = threads;
  model = tern_model_open (&params, &error);
  g_assert_no_error (error);
  return model;
}

static void
test_side_by_side (void)
{
  for (guint threads = 2; threads <= 5; threads++) {
    g_autoptr (TernModel) one = open_threads (1), many = open_threads (threads);
    Encoding encodings[ENCODERS];
    GThread *running[ENCODERS];

    for (guint i = 0; i < ENCODERS; i++) {
      encodings[i] = (Encoding) { .model = many };
      running[i] = g_thread_new ("encoder", encode, &encodings[i]);
    }
    for (guint i = 0; i < ENCODERS; i++) {
      Encoding alone = { .model = one };

      g_thread_join (running[i]);
      encode (&alone);
      compare_encodings (&alone, &encodings[i]);
    }
  }
}

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

static char *
spelled (const TernResult *r)
{
  guint64 bits;

  memcpy (&bits, &r->confidence, sizeof bits);
  return g_strdup_printf ("%s|%.3f-%.3f|%s|%s|%s|%" G_GINT64_MODIFIER "x|%u of %u in %u|%u+%u|%s", r->kind, r->start, r->end,
      r->prompt_id, r->prompt, r->result, bits, r->visual_kept, r->visual_in, r->frames, r->prompt_tokens,
      r->generated_tokens, r->finish_reason);
}

static void
assert_same (const TernResult *a, const TernResult *b)
{
  g_autofree char *x = spelled (a), *y = spelled (b);

  g_assert_cmpstr (x, ==, y);
  g_assert_cmpmem (a->scores, a->n_labels * sizeof (double), b->scores, b->n_labels * sizeof (double));
}

/* What was said when it was cut off. Beams may yet have chosen otherwise, and a character may have been cut in two. */
static void
assert_begins (const Actor *actor, const TernResult *cut, const TernResult *whole)
{
  g_assert_cmpstr (cut->prompt_id, ==, whole->prompt_id);
  g_assert_cmpfloat (cut->start, ==, whole->start);
  if (cut->result && g_str_equal (whole->kind, "caption") && actor->params.sampling.beam == 1) {
    g_autofree char *text = g_strdup (cut->result);

    while (g_str_has_suffix (text, "\357\277\275"))
      text[strlen (text) - 3] = '\0';
    g_assert_true (g_str_has_prefix (whole->result, g_strchomp (text)));
    g_assert_cmpuint (cut->generated_tokens, <=, whole->generated_tokens);
  }
}

/* Of a live session: some windows, each as it would have been. */
static void
compare_live (const GPtrArray *said, const GPtrArray *alone)
{
  guint next = 0;

  for (guint i = 0; i < said->len; i++) {
    const TernResult *result = said->pdata[i];

    if (g_str_equal (result->finish_reason, "cancelled"))
      continue;
    for (;; next++) {
      const TernResult *other;

      g_assert_cmpuint (next, <, alone->len);
      other = alone->pdata[next];
      if (other->start == result->start && g_str_equal (other->prompt_id, result->prompt_id))
        break;
    }
    assert_same (result, alone->pdata[next++]);
  }
}

static void
compare (const Actor *actor)
{
  for (guint s = 0; s < actor->segments; s++) {
    const GPtrArray *said = actor->said[s], *alone = actor->alone[s];
    gboolean stopped = s + 1 < actor->segments || actor->freed;

    if (actor->params.live) {
      compare_live (said, alone);
      continue;
    }
    if (stopped)
      g_assert_cmpuint (said->len, <=, alone->len);
    else
      g_assert_cmpuint (said->len, ==, alone->len);
    for (guint i = 0; i < said->len; i++) {
      const TernResult *result = said->pdata[i];

      if (stopped && g_str_equal (result->finish_reason, "cancelled"))
        assert_begins (actor, result, alone->pdata[i]);
      else
        assert_same (result, alone->pdata[i]);
    }
  }
}

/* ---- The test ---------------------------------------------------------------------------------------------------- */

static void
mix (TernModel *model, guint seed, Encoding *reference)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  Stage stage = { .model = model, .rand = rand };
  Actor actors[SESSIONS_MOST];
  guint n = 2 + pick (rand, SESSIONS_MOST - 1), playing = n;
  Encoding encoding = { model };
  GThread *encoder;

  for (guint i = 0; i < n; i++) {
    make_actor (&actors[i], rand);
    play_alone (&actors[i], model);
  }
  for (guint i = 0; i < n; i++)
    actors[i].session = new_session (model, &actors[i].params);
  encoder = g_thread_new ("encoder", encode, &encoding);
  while (playing > 0) {
    Actor *actor = &actors[pick (rand, n)];
    guint run = 1 + pick (rand, 6);

    interfere (&stage);
    for (; run > 0 && actor->at < actor->steps->len; run--) {
      play_step (actor, &stage);
      playing -= actor->at == actor->steps->len;
    }
  }
  let_go (&stage);
  g_thread_join (encoder);
  for (guint i = 0; i < n; i++) {
    if (actors[i].session) {
      drain_into (&actors[i], actors[i].said);
      if (actors[i].flushed)    /* with results that waited to be polled */
        g_assert_cmpuint (actors[i].answered, <=, actors[i].asked);
      else
        g_assert_cmpuint (actors[i].answered, ==, actors[i].asked);
    }
    compare (&actors[i]);
    clear_actor (&actors[i]);
  }
  *reference = encoding;
}

static guint
from_environment (const char *name, guint otherwise)
{
  const char *value = g_getenv (name);

  return value ? (guint) g_ascii_strtoull (value, NULL, 10) : otherwise;
}

static void
run_seeds (TernModel *model, guint odd)
{
  guint first = from_environment ("TERN_MIXING_FIRST", 1), n = from_environment ("TERN_MIXING_SEEDS", SLOWER > 1 ? 4 : 20);
  Encoding alone = { model };

  encode (&alone);
  for (guint i = 0; i < PICTURES; i++)
    g_assert_cmpuint (alone.n_tokens[i], >, 0);
  for (guint seed = first; seed < first + n; seed++) {
    Encoding mixed, copy = alone;

    g_test_message ("seed %u", seed);
    for (guint i = 0; i < PICTURES; i++)
      copy.tokens[i] = g_memdup2 (alone.tokens[i], alone.n_tokens[i] * sizeof (float));
    mix (model, 2 * seed + odd, &mixed);
    compare_encodings (&mixed, &copy);
  }
  for (guint i = 0; i < PICTURES; i++)
    g_free (alone.tokens[i]);
}

static void
test_lfm2 (void)
{
  g_autoptr (TernModel) model = open_model (0);

  run_seeds (model, 0);
}

static void
test_idefics3 (void)
{
  g_autoptr (TernModel) model = open_pair (SMOLVLM, SMOLVLM_MMPROJ);

  run_seeds (model, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mixing/side-by-side", test_side_by_side);
  g_test_add_func ("/mixing/lfm2", test_lfm2);
  g_test_add_func ("/mixing/idefics3", test_idefics3);
  return g_test_run ();
}
