/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is served when: clients that read rows for nothing, counted. Everything is looked at from the scheduler's own thread
 * or from between its rounds. */
#include "session-fixture.h"

#define PATIENCE 9              /* rounds after which those that are not live come first, theirs counted */
#define CONTEXT 256
#define TIMELINES 64

typedef struct _Fake Fake;

typedef enum { NOWHERE, IN_DEMAND, IN_ADD, IN_READ } Place;

/* The scheduler and what all clients share; the scheduler's thread's. */
typedef struct {
  TernScheduler *scheduler;
  TernLlm *llm;
  TernStore *store;
} Stage;

struct _Fake {
  TernClient client;
  Stage *stage;
  TernTimeline *timelines[TIMELINES];
  guint n_timelines;
  guint prompt, decode, times;  /* rows that it still wants; decode rows at once, and how many times */
  guint rounds, passes, served; /* that it was asked, that it was in, rows */
  guint last, longest;          /* round of the watched client when it was served last; the longest it waited */
  Fake *watched;
  guint apart;                  /* most rows that it was before or behind `watched`, while both wanted some */
  guint since, watched_since;   /* counted from there */
  Place remove_in;              /* removes `victim` there */
  Fake *victim;
  gboolean gone, destroyed;
  Hold *hold;                   /* waits in read, once */
  gboolean inside;
};

static void
act (Fake *self, Place place)
{
  g_assert_false (self->gone);
  if (self->remove_in != place || !self->victim)
    return;
  self->victim->gone = TRUE;
  g_assert_false (tern_scheduler_remove (self->stage->scheduler, &self->victim->client));
  g_assert_false (self->victim->destroyed);
  self->victim = NULL;
}

static TernDemand
fake_demand (TernClient *client)
{
  Fake *self = (Fake *) client;

  self->rounds++;
  if (!self->gone)
    act (self, IN_DEMAND);
  return (TernDemand) { .prompt = self->prompt, .decode = self->times ? self->decode : 0 };
}

static void
add (Fake *self, TernRound *round, guint timeline, guint n, gboolean decode)
{
  TernTimeline *to = self->timelines[timeline];
  TernSegment segment = { .timeline = to, .n = n, .decode = decode, .want = decode ? TERN_LOGITS_LAST : TERN_LOGITS_NONE,
    .logits = round->logits };
  static const gint32 ids[CONTEXT];
  float *rows;

  if (tern_timeline_pos (to) + n > CONTEXT)
    tern_timeline_reset (to);
  rows = tern_pass_add (round->pass, &segment, NULL);
  g_assert_nonnull (rows);
  tern_llm_embed (self->stage->llm, ids, n, rows, tern_llm_info (self->stage->llm)->width);
}

static guint
fake_add_decode (TernClient *client, TernRound *round)
{
  Fake *self = (Fake *) client;

  act (self, IN_ADD);
  g_assert_cmpuint (self->decode, <=, round->outputs);
  for (guint i = 0; i < self->decode; i++) {
    add (self, round, i, 1, TRUE);
    round->outputs--;
    round->logits += tern_llm_info (self->stage->llm)->n_vocab;
  }
  self->times--;
  self->served += self->decode;
  return self->decode;
}

static guint
fake_add_prompt (TernClient *client, TernRound *round)
{
  Fake *self = (Fake *) client;
  guint n = MIN (MIN (self->prompt, round->rows), tern_pass_room (round->pass));

  act (self, IN_ADD);
  add (self, round, 0, n, FALSE);
  self->prompt -= n;
  self->served += n;
  return n;
}

static void
fake_read (TernClient *client, TernRound *round, const GError *error)
{
  Fake *self = (Fake *) client, *other = self->watched;

  g_assert_no_error (error);
  self->passes++;
  act (self, IN_READ);
  if (other) {
    guint mine = self->served - self->since, its = other->served - self->watched_since;

    self->longest = MAX (self->longest, other->rounds - self->last);
    self->last = other->rounds;
    if (self->prompt > 0 && other->prompt > 0)
      self->apart = MAX (self->apart, mine > its ? mine - its : its - mine);
  }
  if (self->hold) {
    self->inside = TRUE;
    wait_on_engine (self->hold);
    self->inside = FALSE;
    self->hold = NULL;
  }
}

static void
fake_destroy (TernClient *client)
{
  Fake *self = (Fake *) client;

  g_assert_true (self->gone);
  g_assert_false (self->destroyed);
  self->destroyed = TRUE;
}

static const TernClientClass fake_class = { fake_demand, fake_add_decode, fake_add_prompt, fake_read, NULL, NULL, fake_destroy };

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void
prepare (void *data)
{
  Stage *stage = data;

  g_assert_true (tern_scheduler_prepare_text (stage->scheduler, stage->llm, CONTEXT, TERN_ACTIVATIONS_INT8, NULL));
}

static void
set_up (Stage *stage, gconstpointer data)
{
  TernStoreParams params = { .context = CONTEXT, .timelines = 2 * TIMELINES };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (data ? data : TEXT_FILE, &error);

  g_assert_no_error (error);
  stage->llm = tern_llm_open (file, tern_kernels_default (NULL), NULL, &error);
  g_assert_no_error (error);
  stage->store = tern_store_new (stage->llm, &params, &error);
  g_assert_no_error (error);
  stage->scheduler = tern_scheduler_new (1, FALSE, &error);
  g_assert_no_error (error);
  tern_scheduler_call (stage->scheduler, prepare, stage);
}

static void
tear_down (Stage *stage, gconstpointer data)
{
  tern_scheduler_free (stage->scheduler);
  tern_store_unref (stage->store);
  tern_llm_unref (stage->llm);
}

static Fake *
new_fake (Stage *stage, gboolean live, guint n_timelines)
{
  Fake *self = g_new0 (Fake, 1);

  self->client.klass = &fake_class;
  self->client.live = live;
  self->stage = stage;
  self->n_timelines = n_timelines;
  for (guint i = 0; i < n_timelines; i++)
    self->timelines[i] = tern_timeline_new (stage->store, NULL);
  tern_scheduler_add (stage->scheduler, &self->client);
  return self;
}

static void
free_fake (Fake *self)
{
  g_assert_true (self->gone ? self->destroyed : tern_scheduler_remove (self->stage->scheduler, &self->client));
  for (guint i = 0; i < self->n_timelines; i++)
    tern_timeline_free (self->timelines[i]);
  g_free (self);
}

/* Both begin in one round. */
static void
kick_both (void *data)
{
  Fake **fakes = data;

  for (guint i = 0; i < 2; i++)
    tern_scheduler_kick (fakes[i]->stage->scheduler, &fakes[i]->client);
}

static void
run_both (Stage *stage, Fake *a, Fake *b)
{
  Fake *both[2] = { a, b };

  a->watched = b;
  b->watched = a;
  tern_scheduler_call (stage->scheduler, kick_both, both);
  come_to_rest (stage->scheduler);
}

/* ---- Who is served when ------------------------------------------------------------------------------------------ */

#define BUDGET 128              /* rows of a pass, at most */
#define SLACK 512               /* rows that one may have had more than its equal */

static void
test_equal (Stage *stage, gconstpointer data)
{
  Fake *a = new_fake (stage, FALSE, 1), *b = new_fake (stage, FALSE, 1);

  a->prompt = b->prompt = 3000;
  run_both (stage, a, b);
  g_assert_cmpuint (a->served, ==, 3000);
  g_assert_cmpuint (b->served, ==, 3000);
  g_assert_cmpuint (MAX (a->apart, b->apart), <=, SLACK + BUDGET);
  free_fake (a);
  free_fake (b);
}

static void
test_idle_is_not_owed (Stage *stage, gconstpointer data)
{
  Fake *a = new_fake (stage, FALSE, 1), *b = new_fake (stage, FALSE, 1);

  a->prompt = 3000;
  tern_scheduler_kick (stage->scheduler, &a->client);
  come_to_rest (stage->scheduler);
  g_assert_cmpuint (a->served, ==, 3000);
  a->prompt = b->prompt = 4000;
  a->since = b->watched_since = a->served;
  run_both (stage, a, b);
  g_assert_cmpuint (b->served, ==, 4000);
  g_assert_cmpuint (MAX (a->apart, b->apart), <=, 2 * SLACK + BUDGET);
  free_fake (a);
  free_fake (b);
}

/* Live ones go first, and yet the others are never forgotten. */
static void
test_live (Stage *stage, gconstpointer data)
{
  Fake *live = new_fake (stage, TRUE, 1), *other = new_fake (stage, FALSE, 1);

  live->prompt = 6000;
  other->prompt = 6000;
  run_both (stage, live, other);
  g_assert_cmpuint (live->served, ==, 6000);
  g_assert_cmpuint (other->served, ==, 6000);
  /* The live one is through while the other has had its turns. */
  g_assert_cmpuint (live->passes, <, other->rounds);
  g_assert_cmpuint (live->longest, <=, 2);
  g_assert_cmpuint (other->longest, <=, PATIENCE + 1);
  g_assert_cmpuint (other->longest, >=, 2);
  free_fake (live);
  free_fake (other);
}

static void
test_outputs (Stage *stage, gconstpointer data)
{
  Fake *many = new_fake (stage, FALSE, 60), *few = new_fake (stage, FALSE, 10);

  many->decode = 60;
  few->decode = 10;
  many->times = few->times = 12;
  run_both (stage, many, few);
  g_assert_cmpuint (many->passes, ==, 12);
  g_assert_cmpuint (few->passes, ==, 12);
  /* They never find room in one pass; nobody waits for long. */
  g_assert_cmpuint (few->longest, <=, 3);
  g_assert_cmpuint (many->rounds, <=, 12 + 12 + 2);
  free_fake (many);
  free_fake (few);
}

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

#define LOOKERS 8
#define SLICE_US 400000         /* longer by far than what one may have had more than its equal */
#define PICTURES 160            /* of all */

typedef struct _Gallery Gallery;

/* Somebody whose next picture always waits when one is done, as a camera's on a machine that is too slow for all. */
typedef struct {
  TernClient client;
  Gallery *gallery;
  gboolean waits;
  guint64 number;
  guint pictures;               /* done */
} Looker;

struct _Gallery {
  TernScheduler *scheduler;
  TernVision *vision;
  TernImage image;
  TernVisionOptions options;
  TernVisionPlan plan;
  TernCancel cancel;
  float *tokens;
  Looker lookers[LOOKERS];
  Looker *away;                 /* whose picture is done, and whose next one comes while another's is looked at */
  guint left;
};

/* Every look at it finds that a slice has passed. */
static gint64
gallery_time (void)
{
  static gint64 now;

  return now += SLICE_US;
}

static TernDemand
looker_demand (TernClient *client)
{
  Looker *self = (Looker *) client;

  return (TernDemand) { .slice = self->gallery->left > 0 && self->waits };
}

static gboolean
looker_look (TernClient *client, TernLook *look, gboolean *metered)
{
  Looker *self = (Looker *) client;
  Gallery *gallery = self->gallery;

  self->number = self->number ? self->number : tern_scheduler_number_picture (gallery->scheduler);
  *look = (TernLook) { .number = self->number, .image = &gallery->image, .options = gallery->options,
    .plan = &gallery->plan, .tokens = gallery->tokens, .cancel = &gallery->cancel };
  return TRUE;
}

static void
looker_looked (TernClient *client, const TernLooked *looked)
{
  Looker *self = (Looker *) client;
  Gallery *gallery = self->gallery;

  g_assert_no_error (looked->error);
  if (gallery->away && gallery->away != self) {
    gallery->away->waits = TRUE;
    tern_scheduler_kick (gallery->scheduler, &gallery->away->client);
    gallery->away = NULL;
  }
  if (looked->step == TERN_VISION_MORE)
    return;
  self->number = 0;
  self->waits = FALSE;
  self->pictures++;
  gallery->left--;
  gallery->away = self;
}

static void
looker_destroy (TernClient *client)
{
  g_assert_not_reached ();
}

static const TernClientClass looker_class = { .demand = looker_demand, .look = looker_look, .looked = looker_looked,
  .destroy = looker_destroy };

static void
open_gallery (void *data)
{
  Gallery *gallery = data;

  g_assert_true (tern_scheduler_prepare_vision (gallery->scheduler, gallery->vision, TERN_ACTIVATIONS_INT8, NULL));
  tern_scheduler_set_clock (gallery->scheduler, gallery_time);
  for (guint i = 0; i < LOOKERS; i++)
    tern_scheduler_kick (gallery->scheduler, &gallery->lookers[i].client);
}

static void
test_pictures (Stage *stage, gconstpointer data)
{
  static guint8 pixels[64 * 64 * 3];
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (MMPROJ_FILE, &error);
  guint64 most = 0;
  Gallery gallery = { .scheduler = stage->scheduler, .left = PICTURES, .options = { .scaling = TERN_SCALING_STRETCH },
    .image = { .format = TERN_IMAGE_RGB, .width = 64, .height = 64, .data = { pixels }, .stride = { 64 * 3 } } };

  g_assert_no_error (error);
  gallery.vision = tern_vision_open (file, tern_kernels_default (NULL), &error);
  g_assert_no_error (error);
  tern_vision_plan_image (gallery.vision, &gallery.image, &gallery.options, &gallery.plan, &error);
  g_assert_no_error (error);
  gallery.tokens = g_new (float, (gsize) gallery.plan.n_tokens * tern_vision_info (gallery.vision)->embedding_dim);
  for (guint i = 0; i < LOOKERS; i++) {
    gallery.lookers[i] = (Looker) { .client = { .klass = &looker_class, .live = TRUE }, .gallery = &gallery, .waits = TRUE };
    tern_scheduler_add (stage->scheduler, &gallery.lookers[i].client);
  }
  tern_scheduler_call (stage->scheduler, open_gallery, &gallery);
  come_to_rest (stage->scheduler);
  g_assert_cmpuint (gallery.left, ==, 0);
  for (guint i = 0; i < LOOKERS; i++)
    most = MAX (most, gallery.lookers[i].client.served.slice);
  for (guint i = 0; i < LOOKERS; i++) {
    /* Time is shared; into how many slices a picture is cut depends on the machine. */
    g_assert_cmpuint (gallery.lookers[i].client.served.slice, >=, most * 4 / 5);
    g_assert_cmpuint (gallery.lookers[i].pictures, >, 0);
    g_assert_true (tern_scheduler_remove (stage->scheduler, &gallery.lookers[i].client));
  }
  g_free (gallery.tokens);
  tern_vision_unref (gallery.vision);
}

/* ---- Going away -------------------------------------------------------------------------------------------------- */

static void
test_remove_within (Stage *stage, gconstpointer data)
{
  for (Place place = IN_DEMAND; place <= IN_READ; place++)
    for (guint itself = 0; itself < 2; itself++) {
      Fake *a = new_fake (stage, FALSE, 1), *b = new_fake (stage, FALSE, 1);

      a->prompt = b->prompt = 300;
      a->remove_in = place;
      a->victim = itself ? a : b;
      run_both (stage, a, b);
      g_assert_true ((itself ? a : b)->destroyed);
      g_assert_cmpuint ((itself ? b : a)->served, ==, 300);
      g_assert_cmpuint ((itself ? a : b)->served, <, 300);
      free_fake (a);
      free_fake (b);
    }
}

typedef struct {
  Fake *fake;
  gboolean remove;
  gboolean inside;              /* the client was still in hand when the call returned */
} Leaving;

static gpointer
leave (gpointer data)
{
  Leaving *self = data;

  if (self->remove)
    g_assert_true (tern_scheduler_remove (self->fake->stage->scheduler, &self->fake->client));
  else
    tern_scheduler_settle (self->fake->stage->scheduler, &self->fake->client);
  self->inside = self->fake->inside;
  return NULL;
}

/* Who settles or removes a client waits for the round that has it in hand. */
static void
test_wait_for_round (Stage *stage, gconstpointer data)
{
  for (guint remove = 0; remove < 2; remove++) {
    Fake *fake = new_fake (stage, FALSE, 1);
    Leaving leaving = { fake, remove };
    Hold hold = { 0 };
    GThread *thread;

    g_mutex_init (&hold.lock);
    g_cond_init (&hold.changed);
    fake->prompt = 10;
    fake->hold = &hold;
    tern_scheduler_kick (stage->scheduler, &fake->client);
    g_mutex_lock (&hold.lock);
    while (!hold.held)
      g_cond_wait (&hold.changed, &hold.lock);
    g_mutex_unlock (&hold.lock);
    thread = g_thread_new ("leave", leave, &leaving);
    g_mutex_lock (&hold.lock);
    hold.go_on = TRUE;
    g_cond_broadcast (&hold.changed);
    g_mutex_unlock (&hold.lock);
    g_thread_join (thread);
    g_assert_false (leaving.inside);
    g_mutex_clear (&hold.lock);
    g_cond_clear (&hold.changed);
    free_fake (fake);
  }
}

/* ---- What is read ------------------------------------------------------------------------------------------------ */

/* Reads a prompt and keeps what is said about it; with @decode it says words all the time, too, on another timeline. */
typedef struct {
  TernClient client;
  Stage *stage;
  TernTimeline *prompt, *words;
  guint seed, length, decode;   /* of the prompt; words that are still to be said */
  float *logits;                /* [n_vocab] of its last row; the scheduler's until read() */
  const float *said;
} Reader;

static TernDemand
reader_demand (TernClient *client)
{
  Reader *self = (Reader *) client;

  return (TernDemand) { .prompt = self->length - tern_timeline_pos (self->prompt), .decode = self->decode > 0 };
}

static void
put (Reader *self, TernRound *round, const TernSegment *segment)
{
  guint pos = tern_timeline_pos (segment->timeline);
  float *rows = tern_pass_add (round->pass, segment, NULL);
  gsize width = tern_llm_info (self->stage->llm)->width;

  g_assert_nonnull (rows);
  for (guint i = 0; i < segment->n; i++) {
    gint32 id = (gint32) ((self->seed + (pos + i) * (pos + i)) % 250);

    tern_llm_embed (self->stage->llm, &id, 1, rows + i * width, width);
  }
  if (segment->want == TERN_LOGITS_NONE)
    return;
  round->outputs--;
  round->logits += tern_llm_info (self->stage->llm)->n_vocab;
}

static guint
reader_add_decode (TernClient *client, TernRound *round)
{
  Reader *self = (Reader *) client;

  if (tern_timeline_pos (self->words) == CONTEXT)
    tern_timeline_reset (self->words);
  put (self, round, &(TernSegment) { .timeline = self->words, .n = 1, .decode = TRUE, .want = TERN_LOGITS_LAST,
      .logits = round->logits });
  self->decode--;
  return 1;
}

static guint
reader_add_prompt (TernClient *client, TernRound *round)
{
  Reader *self = (Reader *) client;
  guint left = self->length - tern_timeline_pos (self->prompt);
  guint n = tern_pass_cut (round->pass, self->prompt, left, round->rows, round->outputs > 0);

  self->said = n == left ? round->logits : NULL;
  if (n > 0)
    put (self, round, &(TernSegment) { .timeline = self->prompt, .n = n, .logits = round->logits,
        .want = n == left ? TERN_LOGITS_LAST : TERN_LOGITS_NONE });
  return n;
}

static void
reader_read (TernClient *client, TernRound *round, const GError *error)
{
  Reader *self = (Reader *) client;

  g_assert_no_error (error);
  if (self->said)
    memcpy (self->logits, self->said, tern_llm_info (self->stage->llm)->n_vocab * sizeof (float));
  self->said = NULL;
}

static const TernClientClass reader_class = { reader_demand, reader_add_decode, reader_add_prompt, reader_read, NULL, NULL };

static Reader *
new_reader (Stage *stage, guint seed, guint length, guint decode)
{
  Reader *self = g_new0 (Reader, 1);

  *self = (Reader) { .client = { .klass = &reader_class }, .stage = stage, .seed = seed, .length = length, .decode = decode,
    .prompt = tern_timeline_new (stage->store, NULL), .words = tern_timeline_new (stage->store, NULL),
    .logits = g_new0 (float, tern_llm_info (stage->llm)->n_vocab) };
  tern_scheduler_add (stage->scheduler, &self->client);
  return self;
}

static void
free_reader (Reader *self)
{
  g_assert_true (tern_scheduler_remove (self->stage->scheduler, &self->client));
  tern_timeline_free (self->prompt);
  tern_timeline_free (self->words);
  g_free (self->logits);
  g_free (self);
}

static void
kick_readers (void *data)
{
  for (Reader **readers = data; *readers; readers++)
    tern_scheduler_kick ((*readers)->stage->scheduler, &(*readers)->client);
}

/* Many prompts at once, beside words of others, in passes whose size is learned: each gives the bits that it gives alone. */
static void
test_beside (Stage *stage, gconstpointer data)
{
  enum { MANY = 12 };
  Reader *readers[MANY + 1] = { NULL };
  gsize bytes = tern_llm_info (stage->llm)->n_vocab * sizeof (float);

  for (guint i = 0; i < MANY; i++)
    readers[i] = new_reader (stage, i, 60 + 17 * i, i % 2 ? 100 : 0);
  tern_scheduler_call (stage->scheduler, kick_readers, readers);
  come_to_rest (stage->scheduler);
  for (guint i = 0; i < MANY; i++) {
    Reader *alone[2] = { new_reader (stage, i, readers[i]->length, 0) };

    tern_scheduler_call (stage->scheduler, kick_readers, alone);
    come_to_rest (stage->scheduler);
    g_assert_cmpmem (alone[0]->logits, bytes, readers[i]->logits, bytes);
    free_reader (alone[0]);
  }
  for (guint i = 0; i < MANY; i++)
    free_reader (readers[i]);
}

#define TEST(name, func) g_test_add ("/scheduler/" name, Stage, NULL, set_up, func, tear_down)

/* Models whose prompts are summed in chunks. */
static const char *const chunked[][2] = { { "mamba2", TERN_TEST_DATA "/ssm/mamba2-q8_0.gguf" },
  { "falcon-h1", TERN_TEST_DATA "/ssm/falcon-h1-odd-f32.gguf" },
  { "granitehybrid", TERN_TEST_DATA "/ssm/granitehybrid-tq2_0.gguf" } };

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  TEST ("equal", test_equal);
  TEST ("idle-is-not-owed", test_idle_is_not_owed);
  TEST ("live", test_live);
  TEST ("outputs", test_outputs);
  TEST ("pictures", test_pictures);
  TEST ("remove-within", test_remove_within);
  TEST ("wait-for-round", test_wait_for_round);
  TEST ("beside/lfm2", test_beside);
  for (guint i = 0; i < G_N_ELEMENTS (chunked); i++) {
    g_autofree char *path = g_strdup_printf ("/scheduler/beside/%s", chunked[i][0]);

    g_test_add (path, Stage, chunked[i][1], set_up, test_beside, tear_down);
  }
  return g_test_run ();
}
