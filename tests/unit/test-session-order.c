/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* With the memory of a stream an answer depends on the stream alone: whatever the engine has done when a frame comes. The engine
 * does a round when it is told to, and nothing between; orders of rounds and frames are gone through one after the other. */
#include "session-fixture.h"
#include "tern/session-priv.h"

#define FRAME_TOKENS 16
#define REST G_MAXUINT          /* rounds: until nothing is left to do */

/* ---- An engine that does one round at a time --------------------------------------------------------------------- */

/* A client that is first in each round and wants nothing, but that the round waits for. */
typedef struct {
  TernClient client;
  TernScheduler *scheduler;
  GMutex lock;
  GCond changed;
  guint rounds;                 /* that may begin */
  gboolean waits, over;
} Stepper;

static TernDemand
stepper_demand (TernClient *client)
{
  Stepper *self = (Stepper *) client;

  g_mutex_lock (&self->lock);
  self->waits = TRUE;
  g_cond_broadcast (&self->changed);
  while (self->rounds == 0 && !self->over)
    g_cond_wait (&self->changed, &self->lock);
  self->rounds -= self->rounds > 0;
  self->waits = FALSE;
  if (!self->over)
    tern_scheduler_kick (self->scheduler, client);
  g_mutex_unlock (&self->lock);
  return (TernDemand) { 0 };
}

static void
wait_for_stepper (Stepper *self)
{
  while (!self->waits || self->rounds > 0)
    g_cond_wait (&self->changed, &self->lock);
}

static void
step (Stepper *self)
{
  g_mutex_lock (&self->lock);
  self->rounds = 1;
  g_cond_broadcast (&self->changed);
  wait_for_stepper (self);
  g_mutex_unlock (&self->lock);
}

/* Before the session is made, which stands behind it in each round then. */
static void
add_stepper (Stepper *self, TernModel *model)
{
  static const TernClientClass klass = { .demand = stepper_demand };

  *self = (Stepper) { .client.klass = &klass, .scheduler = model->scheduler };
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  tern_scheduler_add (self->scheduler, &self->client);
}

static void
start_stepper (Stepper *self)
{
  tern_scheduler_kick (self->scheduler, &self->client);
  g_mutex_lock (&self->lock);
  wait_for_stepper (self);
  g_mutex_unlock (&self->lock);
}

static void
end_stepper (Stepper *self)
{
  g_mutex_lock (&self->lock);
  self->over = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  tern_scheduler_remove (self->scheduler, &self->client);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
}

/* ---- A stream ---------------------------------------------------------------------------------------------------- */

/* Frame @i of a stream: which picture it shows, and when it is. */
typedef struct {
  const char *name;
  guint n;
  guint picture_frames;         /* a picture stands for so many */
  guint back;                   /* frame at which time begins anew; 0: none */
  guint asked;                  /* every so many frames something is asked beside the windows; 0: nothing */
} Stream;

static guint64
time_of (const Stream *stream, guint i)
{
  return MS (500 * (stream->back > 0 && i >= stream->back ? i - stream->back : i));
}

static gboolean
push_tokens (TernSession *session, const Stream *stream, guint i)
{
  guint dim = tern_llm_info (session->text->llm)->width, picture = i / stream->picture_frames;
  g_autofree float *rows = g_new (float, FRAME_TOKENS * dim);
  g_autoptr (GError) error = NULL;
  TernTokens tokens = { .pts = time_of (stream, i), .duration = MS (500), .number = i, .grid_w = 4, .grid_h = 4, .dim = dim,
    .n_tokens = FRAME_TOKENS, .tokens = rows, .picture = picture + 1 };

  for (guint t = 0; t < FRAME_TOKENS * dim; t++)
    rows[t] = (float) ((t * 2654435761u + picture * 40503u) >> 16 & 1023) / 20000 - .025f;
  if (tern_session_push_tokens (session, &tokens, &error))
    return TRUE;
  g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
  return FALSE;
}

/* About all that was seen, the newest frames, or a time. What windows are told must not depend on it. */
static void
ask (TernSession *session, const Stream *stream, guint i)
{
  TernRequest requests[] = { { .frames = 0 }, { .frames = 3 },
      { .from = time_of (stream, i) / 2, .to = time_of (stream, i) + MS (500) } };
  TernRequest *request = &requests[i % G_N_ELEMENTS (requests)];
  g_autoptr (GError) error = NULL;

  request->question.prompt = "Who is there?";
  tern_session_ask (session, request, NULL, &error);
  g_assert_no_error (error);
}

/* ---- Orders ------------------------------------------------------------------------------------------------------ */

/* How many rounds there are after each frame. */
typedef struct {
  guint before, from, between, to, after;       /* frames before @from; from there to @to; from there on */
} Order;

static const Order in_time = { REST, 0, REST, 0, REST };

static guint
rounds_of (const Order *order, guint i)
{
  return i < order->from ? order->before : i < order->to ? order->between : order->after;
}

typedef struct {
  char *text;                   /* of all results */
  GPtrArray *results;           /* char *: of each, its time first */
  guint64 looked_at;            /* bits of the frames of a stream that does not go back */
  guint64 frames[64];           /* numbers of those that are remembered at the end */
  guint n_frames;
  guint64 turns, dropped;
} Course;

static void
clear_course (Course *course)
{
  g_free (course->text);
  g_ptr_array_unref (course->results);
}

static char *
spell (const TernResult *result)
{
  GString *line = g_string_new (NULL);
  guint64 bits;

  memcpy (&bits, &result->confidence, sizeof bits);
  g_string_append_printf (line, "%.3f-%.3f|%s|%s|%s|%u of %u frames, %u tokens|%" G_GINT64_MODIFIER "x|", result->start,
      result->end, result->kind,
      result->finish_reason, result->result, result->visual_kept, result->frames, result->prompt_tokens, bits);
  for (guint i = 0; i < result->n_memory_spans; i++)
    g_string_append_printf (line, " %.3f", result->memory_spans[i]);
  return g_string_free (line, FALSE);
}

/* A frame is in the store for a round at least: it is read in one, and leaves in another. */
static void
do_round (Stepper *stepper, TernSession *session, Course *course)
{
  step (stepper);
  for (guint g = 0; g < session->store.n; g++)
    for (guint f = 0; f < session->store.groups[g].n_frames; f++)
      course->looked_at |= G_GUINT64_CONSTANT (1) << session->store.groups[g].pts[f] / MS (500);
}

/* The engine stands at the beginning of a round: in hand is who has something to do in it, ready who came later. */
static void
go_on (Stepper *stepper, TernSession *session, guint rounds, Course *course)
{
  for (guint n = 0; n < rounds; n++) {
    if (rounds == REST && !session->client.in_hand && !session->client.ready)
      return;
    do_round (stepper, session, course);
  }
}

/* Frames of @stream whose bit in @taken is set, in @order. */
static Course
run (TernModel *model, const TernSessionParams *params, const Stream *stream, guint64 taken, const Order *order)
{
  Course course = { .results = g_ptr_array_new_with_free_func (g_free) };
  const TernStreamFrame *frames;
  TernSession *session;
  TernSessionStats stats;
  TernResult *result;
  Stepper stepper;

  add_stepper (&stepper, model);
  session = new_session (model, params);
  start_stepper (&stepper);
  for (guint i = 0; i < stream->n; i++) {
    if (!(taken >> i & 1))
      continue;
    while (!push_tokens (session, stream, i))
      do_round (&stepper, session, &course);
    if (stream->asked > 0 && i % stream->asked == 1)
      ask (session, stream, i);
    go_on (&stepper, session, rounds_of (order, i), &course);
  }
  tern_session_finish (session);
  go_on (&stepper, session, REST, &course);
  end_stepper (&stepper);
  while ((result = next_result (session))) {
    if (result->ask_id == 0)
      g_ptr_array_add (course.results, spell (result));
    else
      g_assert_cmpstr (result->kind, ==, "caption");
    tern_result_unref (result);
  }
  g_ptr_array_add (course.results, NULL);
  course.text = g_strjoinv ("\n", (char **) course.results->pdata);
  tern_session_stats (session, &stats);
  course.turns = stats.memory_turns;
  course.dropped = stats.windows_dropped;
  frames = tern_stream_frames (tern_session_stream_memory (session), &course.n_frames);
  g_assert_cmpuint (course.n_frames, <=, G_N_ELEMENTS (course.frames));
  for (guint f = 0; f < course.n_frames; f++)
    course.frames[f] = frames[f].number;
  tern_session_free (session);
  return course;
}

static TernSessionParams
stream_params (guint tokens)
{
  TernSessionParams params = quick_params ();

  params.memory = TERN_MEMORY_STREAM;
  params.memory_tokens = tokens;
  params.compress.method = TERN_METHOD_NONE;
  return params;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static void
check (TernModel *model, const TernSessionParams *params, const Stream *stream, const Order *order, const Course *expected)
{
  Course found = run (model, params, stream, G_MAXUINT64, order);

  if (!g_str_equal (found.text, expected->text))
    g_test_message ("%s: %u rounds, from frame %u on %u, from %u on %u", stream->name, order->before, order->from, order->between,
        order->to, order->after);
  g_assert_cmpstr (found.text, ==, expected->text);
  g_assert_cmpmem (found.frames, found.n_frames * sizeof (guint64), expected->frames, expected->n_frames * sizeof (guint64));
  g_assert_cmpuint (found.turns, ==, expected->turns);
  clear_course (&found);
}

/* The same answers, to the last bit, whatever the order. @turns: at least so often something is forgotten. */
static void
check_orders (TernModel *model, const TernSessionParams *params, const Stream *stream, guint turns)
{
  Course expected = run (model, params, stream, G_MAXUINT64, &in_time);

  g_test_message ("%s:\n%s", stream->name, expected.text);
  g_assert_cmpuint (expected.results->len, >, stream->n / 4 - 1);
  g_assert_cmpuint (expected.turns, >=, turns);
  for (guint rounds = 0; rounds < 8; rounds++)
    check (model, params, stream, &(Order) { .after = rounds }, &expected);
  for (guint at = 1; at < stream->n; at++)
    check (model, params, stream, at % 2 ? &(Order) { REST, at, 0, at + 4 + at % 3, REST } : &(Order) { 2, at, 0, at + 4, 2 },
        &expected);
  clear_course (&expected);
}

static void
test_file (void)
{
  static const Stream still = { "pictures that stand", 24, 3, 0 }, moving = { "a new picture each time", 24, 1, 0 },
    pairs = { "two frames a picture", 32, 2, 0 }, back = { "time begins anew", 22, 3, 9 },
    asked = { "requests beside it", 32, 2, 0, 4 };
  static const TernQuestion questions[] = { { .prompt = "What is there?" }, { .prompt = "How many?" } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0);

  check_orders (model, &params, &still, 0);
  check_orders (model, &params, &back, 0);
  params.memory_tokens = 200;
  check_orders (model, &params, &pairs, 1);
  check_orders (model, &params, &asked, 1);
  check_orders (model, &params, &moving, 2);
  params.questions = questions;
  params.n_questions = 2;
  params.window = 4 * TERN_SECOND;
  params.hop = 2 * TERN_SECOND;
  check_orders (model, &params, &pairs, 1);
}

/* ---- Live -------------------------------------------------------------------------------------------------------- */

/* A live session drops what it cannot keep up with. Its answers are those of a session that was given no more than the frames that
 * it accepted, each in time. */
static void
check_live (TernModel *model, const TernSessionParams *params, const Stream *stream, const Order *order, guint *dropped)
{
  TernSessionParams file = *params;
  Course found = run (model, params, stream, G_MAXUINT64, order), expected;

  file.live = FALSE;
  expected = run (model, &file, stream, found.looked_at, &in_time);
  g_assert_cmpuint (found.results->len, >, 1);
  for (guint i = 0; i + 1 < found.results->len; i++) {
    const char *line = found.results->pdata[i];

    if (!g_strv_contains ((const char *const *) expected.results->pdata, line))
      g_error ("%u, %u to %u, %u: expected an answer of\n%s\nfound\n%s", order->before, order->from, order->to, order->after,
          expected.text, line);
  }
  *dropped += (guint) found.dropped;
  clear_course (&found);
  clear_course (&expected);
}

static void
test_live (void)
{
  static const Stream stream = { "live", 32, 3, 0 };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0);
  guint dropped = 0;

  params.live = TRUE;
  for (guint rounds = 0; rounds < 8; rounds++)
    check_live (model, &params, &stream, &(Order) { .after = rounds }, &dropped);
  for (guint at = 1; at < stream.n; at += 2) {
    check_live (model, &params, &stream, &(Order) { REST, at, 0, at + 14, REST }, &dropped);
    check_live (model, &params, &stream, &(Order) { 2, at, 0, at + 6, 2 }, &dropped);
  }
  g_assert_cmpuint (dropped, >, 10);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/order/file", test_file);
  g_test_add_func ("/order/live", test_live);
  return g_test_run ();
}
