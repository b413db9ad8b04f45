/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the scheduler does with the clients that it has in hand: who is given rows of a pass, and whose picture goes on. */
#include "tern/scheduler-priv.h"

/* A pass for several clients lasts about so long: what a stop, or a word of a client that was not in it, waits for. */
#define PASS_US 20000
#define CHEAP_ROWS 8            /* of decode in a pass: guesses are worth it as long as there are no more */
/* Rounds in which clients that are not live may go without what they ask for. */
#define PATIENCE 8

/* ---- Order ------------------------------------------------------------------------------------------------------- */

/* What clients are given, and how much more of it than the one that had least a client may have had to be its equal:
 * enough that clients of one kind are, and little beside what they take in a second. */
typedef struct {
  gboolean (*wants) (const TernClient *client);
  gsize served;                 /* of a guint64 in TernServed */
  guint64 slack;
  guint bit;                    /* of TernClient.waits */
} Good;

static gboolean
wants_decode (const TernClient *client)
{
  return client->demand.decode > 0;
}

static gboolean
wants_prompt (const TernClient *client)
{
  return client->demand.prompt > 0;
}

static gboolean
wants_slice (const TernClient *client)
{
  return client->demand.slice;
}

static const Good decode_rows = { wants_decode, G_STRUCT_OFFSET (TernServed, decode), 32, 1 << 0 };
static const Good prompt_rows = { wants_prompt, G_STRUCT_OFFSET (TernServed, prompt), 512, 1 << 1 };
static const Good slices = { wants_slice, G_STRUCT_OFFSET (TernServed, slice), 250000, 1 << 2 };

static guint64 *
share (TernServed *served, const Good *good)
{
  return (guint64 *) ((guint8 *) served + good->served);
}

/* Live clients before others, but now and then the other way around; what is awaited before what is early. */
static guint
rank (const TernScheduler *self, const TernClient *client, const Good *good)
{
  gboolean others_first = self->passed_over >= PATIENCE;

  return (client->live != others_first ? 2 : 0) + (good == &prompt_rows && client->demand.awaited ? 1 : 0);
}

/* The next one to be served, or NULL. */
static TernClient *
next_of (const TernScheduler *self, const Good *good)
{
  TernClient *best = NULL;
  guint64 least = G_MAXUINT64;
  guint highest = 0;

  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];
    guint own;

    if (client->removed || !good->wants (client))
      continue;
    own = rank (self, client, good);
    if (own > highest || least == G_MAXUINT64)
      least = *share (&client->served, good);
    else if (own == highest)
      least = MIN (least, *share (&client->served, good));
    highest = MAX (highest, own);
  }
  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];

    if (!client->removed && good->wants (client) && rank (self, client, good) == highest
        && *share (&client->served, good) - least <= good->slack && (!best || client->waited > best->waited))
      best = client;
  }
  return best;
}

/* @client was given @n of @good. */
static void
serve (TernScheduler *self, TernClient *client, const Good *good, guint64 n)
{
  guint64 *served = share (&client->served, good);

  /* Who comes later begins where those are who were served now. */
  *share (&self->clock, good) = MAX (*share (&self->clock, good), *served - MIN (*served, good->slack));
  *served += n;
}

/* Who had nothing to do for a while is not owed for it: it begins where the neediest of those are who wait already, or, where
 * nobody does, where those are who were served now. Who waits keeps what it is owed, however long others are served. */
static void
join (TernScheduler *self, const Good *good)
{
  guint64 least[2] = { G_MAXUINT64, G_MAXUINT64 };      /* of those that are not live, of those that are */

  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];
    guint64 *neediest = &least[client->live != 0];

    if ((client->waits & good->bit) && good->wants (client))
      *neediest = MIN (*neediest, *share (&client->served, good));
  }
  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];
    guint64 *served = share (&client->served, good), from = least[client->live != 0];

    if (!good->wants (client)) {
      client->waits &= ~good->bit;
    } else if (!(client->waits & good->bit)) {
      client->waits |= good->bit;
      *served = MAX (*served, from != G_MAXUINT64 ? from : *share (&self->clock, good));
    }
  }
}

/* ---- What it costs ----------------------------------------------------------------------------------------------- */

/* Whether anybody in hand wants to know what is spent. */
static gboolean
is_metered (const TernScheduler *self)
{
  for (guint i = 0; i < self->hand->len; i++)
    if (((TernClient *) self->hand->pdata[i])->metered)
      return TRUE;
  return FALSE;
}

/* A pass of @rows rows took @ns. */
static void
share_pass (TernScheduler *self, guint rows, guint64 ns)
{
  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];

    if (!client->metered || !client->in_pass)
      continue;
    client->spent.decode += ns * client->pass_decode / rows;
    client->spent.prompt += ns * client->pass_prompt / rows;
    client->read_rows += client->pass_prompt;
  }
}

/* ---- Passes ------------------------------------------------------------------------------------------------------ */

static TernRound
make_round (TernScheduler *self)
{
  return (TernRound) { .pass = self->pass, .picking = self->picking, .outputs = TERN_SCHEDULER_OUTPUTS,
    .logits = self->logits };
}

static guint
ask (TernScheduler *self)
{
  guint asking = 0;

  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];

    client->demand = (TernDemand) { 0 };
    if (!client->removed)
      client->demand = client->klass->demand (client);
    client->in_pass = FALSE;
    client->pass_decode = client->pass_prompt = 0;
    client->again = client->demand.decode || client->demand.prompt || client->demand.slice;
    asking += client->again;
  }
  join (self, &decode_rows);
  join (self, &prompt_rows);
  join (self, &slices);
  return asking;
}

/* Rows that are left to prompts: a chunk of a model whose prompts are read in chunks, or they might never go on beside others. */
static guint
reserve (const TernScheduler *self)
{
  guint chunk = tern_pass_chunk (self->pass), prompts = 0;

  for (guint i = 0; i < self->hand->len && chunk > 1; i++)
    prompts += ((TernClient *) self->hand->pdata[i])->demand.prompt > 0;
  return prompts > 0 ? chunk : 0;
}

/* Rows go to clients until the budget is used up; what a client asked for it asks for in this round no more. */
static void
add_rows (TernScheduler *self, TernRound *round, guint budget)
{
  TernClient *client;
  guint n, demanded = 0, guesses, reserved = reserve (self);

  for (guint i = 0; i < self->hand->len; i++)
    demanded += ((TernClient *) self->hand->pdata[i])->demand.decode;
  guesses = MIN (MIN (budget, tern_pass_rows (self->pass)), CHEAP_ROWS);
  guesses -= MIN (demanded, guesses);
  while ((client = next_of (self, &decode_rows))) {
    guint wanted = client->demand.decode;
    gboolean first = tern_pass_segments (self->pass) == 0, fits = wanted <= tern_pass_room (self->pass)
        && wanted <= round->outputs && (first || (wanted <= budget && wanted + reserved <= tern_pass_room (self->pass)));

    client->demand.decode = 0;
    if (!fits)
      continue;
    round->guesses = guesses;
    n = client->klass->add_decode (client, round);
    guesses = round->guesses;
    client->in_pass |= n > 0;
    client->pass_decode += n;
    serve (self, client, &decode_rows, n);
    budget -= MIN (n, budget);
  }
  while ((client = next_of (self, &prompt_rows))) {
    round->rows = MIN (MIN (client->demand.prompt, tern_pass_room (self->pass)),
        tern_pass_segments (self->pass) == 0 ? MAX (budget, 1) : budget);
    client->demand.prompt = 0;
    if (round->rows == 0)
      continue;
    n = client->klass->add_prompt (client, round);
    client->in_pass |= n > 0;
    client->pass_prompt += n;
    serve (self, client, &prompt_rows, n);
    budget -= MIN (n, budget);
  }
}

/* Fewer rows when a pass took too long, more while it does not. */
static void
learn (TernScheduler *self, guint rows, gint64 took)
{
  if (took > 2 * PASS_US)
    self->rows = (guint) CLAMP ((gint64) rows * PASS_US / took, 1, self->rows);
  else if (took < PASS_US / 2 && rows >= self->rows / 2)
    self->rows = MIN (2 * self->rows, tern_pass_rows (self->pass));
}

static void
spend (TernScheduler *self, gint64 on_pass, gint64 on_slice)
{
  /* What was spent while nobody waited is not owed. */
  self->owed = CLAMP (self->owed + on_pass - on_slice, -2 * PASS_US, 2 * PASS_US);
}

static void
run_pass (TernScheduler *self, guint asking)
{
  TernRound round = make_round (self);
  guint budget = asking > 1 ? self->rows : tern_pass_rows (self->pass), rows;
  gint64 begin = g_get_monotonic_time ();
  gboolean metered = is_metered (self);
  guint64 meter = metered ? tern_scheduler_cpu_time (self) : 0;
  g_autoptr (GError) error = NULL;

  tern_pass_begin (self->pass);
  add_rows (self, &round, budget);
  rows = tern_pass_rows (self->pass) - tern_pass_room (self->pass);
  if (rows == 0)
    return;
  if (tern_pass_run (self->pass, &error) && asking > 1)
    learn (self, rows, g_get_monotonic_time () - begin);
  if (metered)
    share_pass (self, rows, tern_scheduler_cpu_time (self) - meter);
  round = make_round (self);
  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];

    if (client->in_pass && !client->removed)
      client->klass->read (client, &round, error);
  }
  spend (self, g_get_monotonic_time () - begin, 0);
}

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

/* Pictures get as much time as passes while both wait: a word does not wait for a slice as long as that. */
static gboolean
is_time_for_slice (TernScheduler *self, gboolean words)
{
  if (!words)
    self->owed = 0;
  return self->owed >= 0;
}

/* Appends @client's picture; what it asked for it asks for in this round no more. NULL: it wants none any more. */
static TernLookTask *
add_task (TernScheduler *self, TernClient *client)
{
  TernLookTask task = { .owner = client };

  client->demand.slice = client->metered_look = FALSE;
  if (!client->klass->look (client, &task.look, &client->metered_look))
    return NULL;
  g_array_append_val (self->tasks, task);
  return &g_array_index (self->tasks, TernLookTask, self->tasks->len - 1);
}

/* Whether one before the last is the same picture: several may want it. */
static gboolean
is_there (const TernScheduler *self)
{
  const TernLookTask *tasks = (const TernLookTask *) self->tasks->data;
  guint last = self->tasks->len - 1;

  for (guint i = 0; i < last; i++)
    if (tasks[i].look.tokens == tasks[last].look.tokens)
      return TRUE;
  return FALSE;
}

static void
drop_last (TernScheduler *self)
{
  g_array_set_size (self->tasks, self->tasks->len - 1);
}

/* Pictures that are under way go on, whatever else is wanted. Where. */
static TernLanePlace
gather_under_way (TernScheduler *self)
{
  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];
    TernLookTask *task;
    TernLanePlace place;

    if (client->removed || !client->demand.slice || !(task = add_task (self, client)))
      continue;
    place = tern_lanes_find (self->lanes, task->look.number);
    if (place == TERN_LANE_WHOLE) {
      g_array_remove_range (self->tasks, 0, self->tasks->len - 1);
      return place;
    }
    if (place == TERN_LANE_SIDE && !is_there (self))
      continue;
    drop_last (self);
    client->demand.slice = TRUE;
  }
  return self->tasks->len > 0 ? TERN_LANE_SIDE : TERN_LANE_NONE;
}

/* Others whose turn it is: the first one alone, or as many small ones as may go side by side. Those that are live wait for none
 * that are not, and what is larger is not passed by: when it is its turn, no more is begun until it can be. */
static void
gather_next (TernScheduler *self, gboolean side)
{
  guint most = MAX (tern_lanes_most (self->lanes), 1), first = 0;
  TernClient *client;

  while (self->tasks->len < most && (client = next_of (self, &slices))) {
    guint own = rank (self, client, &slices);
    TernLookTask *task;

    if (self->tasks->len > 0 && !side && own != first)
      return;
    if (!(task = add_task (self, client)))
      continue;
    first = self->tasks->len == 1 ? own : first;
    if (is_there (self)) {
      drop_last (self);
    } else if (!tern_lanes_is_small (self->lanes, &task->look)) {
      if (self->tasks->len > 1)
        drop_last (self);
      return;
    }
  }
}

/* TRUE: side by side; FALSE: the first one alone. */
static gboolean
gather_tasks (TernScheduler *self)
{
  TernLanePlace place;

  g_array_set_size (self->tasks, 0);
  if ((place = gather_under_way (self)) == TERN_LANE_WHOLE)
    return FALSE;
  gather_next (self, place == TERN_LANE_SIDE);
  return place == TERN_LANE_SIDE || (tern_lanes_most (self->lanes) > 0 && self->tasks->len >= tern_lanes_least (self->lanes));
}

/* Tells clients what their pictures came to; @cpu is shared by the time that each took. */
static void
tell_looked (TernScheduler *self, guint threads, guint64 cpu)
{
  gint64 sum = 0;

  for (guint i = 0; i < self->tasks->len; i++) {
    const TernLookTask *task = &g_array_index (self->tasks, TernLookTask, i);

    sum += task->touched ? task->us + 1 : 0;
  }
  for (guint i = 0; i < self->tasks->len; i++) {
    TernLookTask *task = &g_array_index (self->tasks, TernLookTask, i);
    TernClient *client = (TernClient *) task->owner;
    TernLooked looked = { task->step, task->error, task->us, 0 };

    if (!task->touched)
      continue;
    if (client->metered_look)
      looked.cpu = (guint64) ((double) cpu * (double) (task->us + 1) / (double) sum);
    serve (self, client, &slices, (guint64) task->us / threads + 1);
    if (!client->removed)
      client->klass->looked (client, &looked);
    g_clear_error (&task->error);
  }
}

static void
run_slices (TernScheduler *self)
{
  gint64 begin = g_get_monotonic_time ();
  gboolean side = gather_tasks (self), metered = FALSE;
  TernLookTask *tasks = (TernLookTask *) self->tasks->data;
  guint64 meter;

  if (self->tasks->len == 0)
    return;
  for (guint i = 0; i < self->tasks->len; i++)
    metered |= ((const TernClient *) tasks[i].owner)->metered_look;
  meter = metered ? tern_scheduler_cpu_time (self) : 0;
  side = side && tern_lanes_run_side (self->lanes, tasks, self->tasks->len);
  if (!side)
    tern_lanes_run_whole (self->lanes, tasks);
  tell_looked (self, side ? tern_pool_threads (self->pool) : 1, metered ? tern_scheduler_cpu_time (self) - meter : 0);
  spend (self, 0, g_get_monotonic_time () - begin);
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

void
tern_scheduler_round (TernScheduler *self)
{
  guint asking = ask (self);
  gboolean words = FALSE, others = FALSE;

  for (guint i = 0; i < self->hand->len; i++) {
    const TernClient *client = self->hand->pdata[i];

    words |= client->demand.decode > 0 || client->demand.prompt > 0;
    others |= !client->live && client->again;
  }
  if (words)
    run_pass (self, asking);
  if (self->lanes && is_time_for_slice (self, words))
    run_slices (self);
  self->passed_over = others && self->passed_over < PATIENCE ? self->passed_over + 1 : 0;
}
