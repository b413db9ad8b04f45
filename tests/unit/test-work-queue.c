/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What waits for the engine: slots, order, and what a live session drops. First cases that can be read, written as the queue
 * reads: `3` is frame 3, `+` a still, `[0,4)` a window. Then operations at random beside a model that keeps a plain list and
 * says what has to be left, not how. */
#include <string.h>

#include "tern/tern.h"
#include "tern/work-queue.h"

struct _TernSessionConfig {
  guint refs;
};

static void
config_unref (TernSessionConfig *config)
{
  g_assert_cmpuint (config->refs, >, 0);
  config->refs--;
}

typedef struct {
  TernWorkQueue queue;
  TernSessionConfig config;
} Fixture;

static void
begin (Fixture *f, guint n_slots, guint always, gsize bytes)
{
  TernWorkLimits limits = { .n_slots = n_slots, .always = always, .bytes = bytes, .unref = config_unref };

  *f = (Fixture) { 0 };
  tern_work_queue_init (&f->queue, &limits);
}

static void
end (Fixture *f)
{
  tern_work_queue_clear (&f->queue);
  g_assert_cmpuint (f->config.refs, ==, 0);
  g_assert_cmpuint (f->queue.n_taken, ==, 0);
  tern_work_queue_clear (&f->queue);
}

static gboolean
push (Fixture *f, TernWorkKind kind, guint64 frame, gsize bytes)
{
  TernWork work = { .kind = kind, .frame = frame, .config = &f->config };
  g_autoptr (GError) error = NULL;
  gboolean room = tern_work_queue_has_room (&f->queue, bytes);

  work.slot = tern_work_queue_take_slot (&f->queue, bytes, &error);
  g_assert_cmpint (work.slot != NULL, ==, room);
  if (!work.slot) {
    g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
    return FALSE;
  }
  memset (work.slot->data, (int) frame, bytes);
  f->config.refs++;
  tern_work_queue_append (&f->queue, &work);
  return TRUE;
}

static void
push_window (Fixture *f, guint64 first, guint64 last, guint64 next)
{
  f->config.refs++;
  tern_work_queue_append (&f->queue, &(TernWork) { .kind = TERN_WORK_WINDOW, .config = &f->config,
        .window = { .first = first, .end = last, .next = next } });
}

static void
spell (GString *text, TernWorkKind kind, guint64 frame, const TernWindow *window)
{
  if (kind == TERN_WORK_WINDOW)
    g_string_append_printf (text, "[%u,%u) ", (guint) window->first, (guint) window->end);
  else if (kind == TERN_WORK_STILL)
    g_string_append (text, "+ ");
  else
    g_string_append_printf (text, "%u ", (guint) frame);
}

static void
expect (const Fixture *f, const char *what)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < f->queue.n; i++)
    spell (text, f->queue.work[i].kind, f->queue.work[i].frame, &f->queue.work[i].window);
  g_assert_cmpstr (text->str, ==, what);
}

/* Frames [@first, @end), then the window of them. */
static void
push_all (Fixture *f, guint64 first, guint64 last)
{
  for (guint64 i = first; i < last; i++)
    g_assert_true (push (f, TERN_WORK_FRAME, i, 8));
  push_window (f, first, last, last);
}

/* ---- Cases ---- */

static void
test_slots (void)
{
  TernWork work;
  Fixture f;

  /* Two frames whatever their size, four at most, and 100 bytes. */
  begin (&f, 4, 2, 100);
  g_assert_true (push (&f, TERN_WORK_FRAME, 0, 1000));
  g_assert_true (push (&f, TERN_WORK_TOKENS, 1, 1000));
  g_assert_false (push (&f, TERN_WORK_FRAME, 2, 1));
  tern_work_queue_drop_all (&f.queue);
  for (guint i = 0; i < 2; i++)
    g_assert_true (push (&f, TERN_WORK_FRAME, i, 10));
  /* Memory that was larger is larger still. */
  g_assert_false (push (&f, TERN_WORK_FRAME, 2, 10));
  end (&f);

  begin (&f, 4, 2, 100);
  for (guint i = 0; i < 4; i++)
    g_assert_true (push (&f, TERN_WORK_FRAME, i, i == 3 ? 70 : 10));
  g_assert_false (push (&f, TERN_WORK_FRAME, 4, 0));
  /* What is in hand has its slot until it is given back. */
  g_assert_true (tern_work_queue_take (&f.queue, &work));
  g_assert_cmpuint (work.frame, ==, 0);
  g_assert_cmpuint (work.slot->data[9], ==, 0);
  g_assert_false (push (&f, TERN_WORK_FRAME, 4, 10));
  tern_work_queue_release (&f.queue, &work);
  g_assert_false (push (&f, TERN_WORK_FRAME, 4, 11));
  g_assert_true (push (&f, TERN_WORK_FRAME, 4, 10));
  expect (&f, "1 2 3 4 ");
  end (&f);
}

/* Frames that others follow stay, and nothing of what they follow themselves, however they leave. */
static void
test_before (void)
{
  TernFrameSlot *latest = NULL;
  TernWork work;
  Fixture f;

  begin (&f, 4, 4, 0);
  for (guint i = 0; i < 3; i++) {
    g_assert_true (push (&f, TERN_WORK_FRAME, i, 8));
    f.queue.work[i].slot->before = latest;
    latest = tern_work_queue_hold_slot (f.queue.work[i].slot);
  }
  g_assert_cmpuint (f.queue.n_taken, ==, 3);
  g_assert_true (tern_work_queue_take (&f.queue, &work));
  tern_work_queue_release (&f.queue, &work);
  g_assert_cmpuint (f.queue.n_taken, ==, 3);
  tern_work_queue_drop_frames (&f.queue, 1, 2);
  g_assert_cmpuint (f.queue.n_taken, ==, 2);    /* frame 2, and 1, which it follows */
  g_assert_cmpuint (f.queue.work[0].slot->before->data[7], ==, 1);
  g_assert_null (f.queue.work[0].slot->before->before);
  g_assert_true (push (&f, TERN_WORK_FRAME, 3, 8));
  g_assert_true (push (&f, TERN_WORK_FRAME, 4, 8));
  g_assert_false (push (&f, TERN_WORK_FRAME, 5, 8));
  tern_work_queue_drop_all (&f.queue);
  g_assert_cmpuint (f.queue.n_taken, ==, 1);
  g_assert_cmpuint (latest->data[7], ==, 2);
  tern_work_queue_return_slot (&f.queue, latest);
  end (&f);
}

static void
test_order (void)
{
  TernWork work;
  Fixture f;

  begin (&f, 4, 4, 0);
  g_assert_false (tern_work_queue_take (&f.queue, &work));
  g_assert_true (push (&f, TERN_WORK_FRAME, 0, 1));
  /* Windows need no slots: more than there was memory for at first. */
  for (guint i = 0; i < 100; i++)
    push_window (&f, i, i + 1, i + 1);
  g_assert_true (push (&f, TERN_WORK_STILL, 0, 1));
  g_assert_cmpuint (tern_work_queue_answers (&f.queue), ==, 101);
  for (guint i = 0; i < 102; i++) {
    g_assert_true (tern_work_queue_take (&f.queue, &work));
    g_assert_cmpint (work.kind, ==, i == 0 ? TERN_WORK_FRAME : i == 101 ? TERN_WORK_STILL : TERN_WORK_WINDOW);
    g_assert_cmpuint (work.window.end, ==, i == 101 ? 0 : i);
    tern_work_queue_release (&f.queue, &work);
  }
  g_assert_cmpuint (tern_work_queue_answers (&f.queue), ==, 0);
  end (&f);
}

static void
test_drop_oldest (void)
{
  Fixture f;

  begin (&f, 64, 64, 0);
  push_all (&f, 0, 2);
  g_assert_true (push (&f, TERN_WORK_STILL, 0, 1));
  push_all (&f, 2, 4);
  g_assert_true (push (&f, TERN_WORK_FRAME, 4, 1));
  g_assert_true (tern_work_queue_drop_oldest (&f.queue));
  expect (&f, "+ 2 3 [2,4) 4 ");
  g_assert_true (tern_work_queue_drop_oldest (&f.queue));
  expect (&f, "+ 4 ");
  g_assert_false (tern_work_queue_drop_oldest (&f.queue));
  g_assert_cmpuint (f.queue.dropped, ==, 2);
  end (&f);

  /* Windows that overlap: the next one needs frames 2 and 3, one that is open 4 and 5. */
  begin (&f, 64, 64, 0);
  for (guint i = 0; i < 4; i++)
    push (&f, TERN_WORK_FRAME, i, 1);
  push_window (&f, 0, 4, 2);
  for (guint i = 4; i < 6; i++)
    push (&f, TERN_WORK_FRAME, i, 1);
  push_window (&f, 2, 6, 4);
  tern_work_queue_drop_oldest (&f.queue);
  expect (&f, "2 3 4 5 [2,6) ");
  tern_work_queue_drop_oldest (&f.queue);
  expect (&f, "4 5 ");
  end (&f);
}

static void
test_keep_newest (void)
{
  TernWork work;
  Fixture f;

  begin (&f, 64, 64, 0);
  for (guint i = 0; i < 3; i++) {
    push_all (&f, 2 * i, 2 * i + 2);
    tern_work_queue_keep_newest (&f.queue);
  }
  expect (&f, "4 5 [4,6) ");
  g_assert_cmpuint (f.queue.dropped, ==, 2);

  /* The engine has a frame of it: answered, and one that waits beside it. */
  g_assert_true (tern_work_queue_take (&f.queue, &work));
  for (guint i = 3; i < 6; i++) {
    push_all (&f, 2 * i, 2 * i + 2);
    tern_work_queue_keep_newest (&f.queue);
  }
  expect (&f, "5 [4,6) 10 11 [10,12) ");
  tern_work_queue_release (&f.queue, &work);

  /* All its frames. */
  g_assert_true (tern_work_queue_take (&f.queue, &work));
  tern_work_queue_release (&f.queue, &work);
  push_all (&f, 12, 14);
  tern_work_queue_keep_newest (&f.queue);
  expect (&f, "[4,6) 12 13 [12,14) ");
  end (&f);
}

static void
test_make_room (void)
{
  TernWork work;
  Fixture f;

  begin (&f, 6, 6, 0);
  push_all (&f, 0, 2);
  push_all (&f, 2, 4);
  g_assert_true (tern_work_queue_make_room (&f.queue, 1));
  expect (&f, "0 1 [0,2) 2 3 [2,4) ");
  push (&f, TERN_WORK_FRAME, 4, 1);
  push (&f, TERN_WORK_FRAME, 5, 1);
  g_assert_true (tern_work_queue_make_room (&f.queue, 1));
  expect (&f, "2 3 [2,4) 4 5 ");
  push (&f, TERN_WORK_FRAME, 6, 1);
  push (&f, TERN_WORK_FRAME, 7, 1);
  g_assert_true (tern_work_queue_make_room (&f.queue, 1));
  expect (&f, "4 5 6 7 ");
  push (&f, TERN_WORK_STILL, 0, 1);
  push (&f, TERN_WORK_STILL, 0, 1);
  /* No window waits: the frames of the one that comes in go, stills stay. */
  g_assert_false (tern_work_queue_make_room (&f.queue, 1));
  expect (&f, "+ + ");
  for (guint i = 0; i < 4; i++)
    push (&f, TERN_WORK_STILL, 0, 1);
  g_assert_true (tern_work_queue_take (&f.queue, &work));
  g_assert_false (tern_work_queue_make_room (&f.queue, 1));
  g_assert_false (push (&f, TERN_WORK_FRAME, 9, 1));
  tern_work_queue_release (&f.queue, &work);
  end (&f);
}

/* ---- At random ---- */

#define BYTES 16
#define MODEL_MOST 256

/* The model: what waits, as a plain list; and what is in hand. */
typedef struct {
  TernWorkKind kind;
  guint64 frame;
  TernWindow window;
} Item;

typedef struct {
  Fixture f;
  GArray *items;                /* Item */
  TernWork hand[2];
  guint n_hand, hand_slots;
  guint n_slots, always, bytes;
  guint64 count, opened;        /* frames so far; first frame of the window that is open */
  guint hop;
  guint64 dropped;
} Model;

static Item *
item (const Model *m, guint i)
{
  return &g_array_index (m->items, Item, i);
}

static gboolean
is_frame (const Item *i)
{
  return i->kind == TERN_WORK_FRAME || i->kind == TERN_WORK_TOKENS;
}

static guint
slots_taken (const Model *m)
{
  guint n = m->hand_slots;

  for (guint i = 0; i < m->items->len; i++)
    n += item (m, i)->kind != TERN_WORK_WINDOW;
  return n;
}

/* All of one size, so that what a slot can hold is what it holds. */
static gboolean
model_has_room (const Model *m)
{
  guint n = slots_taken (m);

  return n < m->n_slots && (n < m->always || (n + 1) * BYTES <= m->bytes);
}

/* Leaves what @keep says stays. */
static void
model_keep (Model *m, gboolean (*keep) (const Item *, const guint64 *), const guint64 *bounds)
{
  for (guint i = m->items->len; i-- > 0;)
    if (!keep (item (m, i), bounds)) {
      m->dropped += item (m, i)->kind == TERN_WORK_WINDOW;
      g_array_remove_index (m->items, i);
    }
}

static gboolean
outside (const Item *i, const guint64 *bounds)
{
  return !is_frame (i) || i->frame < bounds[0] || i->frame >= bounds[1];
}

/* Windows that begin before bounds[0] or at or after bounds[1] stay. */
static gboolean
window_outside (const Item *i, const guint64 *bounds)
{
  return i->kind != TERN_WORK_WINDOW || i->window.first < bounds[0] || i->window.first >= bounds[1];
}

static const Item *
nth_window (const Model *m, gint n)
{
  const Item *found = NULL;

  for (guint i = 0; i < m->items->len && n >= 0; i++)
    if (item (m, i)->kind == TERN_WORK_WINDOW) {
      found = item (m, i);
      if (n-- == 0)
        return found;
    }
  return NULL;
}

static const Item *
last_window (const Model *m)
{
  const Item *found = NULL;

  for (guint i = 0; i < m->items->len; i++)
    if (item (m, i)->kind == TERN_WORK_WINDOW)
      found = item (m, i);
  return found;
}

static gboolean
model_drop_oldest (Model *m)
{
  const Item *oldest = nth_window (m, 0), *next = nth_window (m, 1);
  guint64 frames[2] = { 0 }, windows[2] = { 0 };

  if (!oldest)
    return FALSE;
  windows[1] = oldest->window.first + 1;
  frames[1] = next ? MIN (oldest->window.next, next->window.first) : oldest->window.next;
  model_keep (m, window_outside, windows);
  model_keep (m, outside, frames);
  return TRUE;
}

static void
model_keep_newest (Model *m)
{
  const Item *oldest = nth_window (m, 0), *newest = last_window (m);
  guint64 frames[2] = { 0 }, windows[2] = { 0 }, waits = G_MAXUINT64;

  if (!oldest)
    return;
  for (guint i = m->items->len; i-- > 0;)
    if (is_frame (item (m, i)))
      waits = item (m, i)->frame;
  if (waits > oldest->window.first) {
    if (oldest == newest)
      return;
    windows[0] = oldest->window.first + 1;
    frames[0] = oldest->window.end;
  }
  windows[1] = newest->window.first;
  frames[1] = newest->window.first;
  model_keep (m, window_outside, windows);
  model_keep (m, outside, frames);
}

static void
compare (const Model *m)
{
  g_autoptr (GString) found = g_string_new (NULL), expected = g_string_new (NULL);
  const TernWorkQueue *queue = &m->f.queue;
  guint answers = 0;

  for (guint i = 0; i < queue->n; i++)
    spell (found, queue->work[i].kind, queue->work[i].frame, &queue->work[i].window);
  for (guint i = 0; i < m->items->len; i++) {
    spell (expected, item (m, i)->kind, item (m, i)->frame, &item (m, i)->window);
    answers += !is_frame (item (m, i));
  }
  g_assert_cmpstr (found->str, ==, expected->str);
  g_assert_cmpuint (tern_work_queue_answers (queue), ==, answers);
  g_assert_cmpuint (queue->n_taken, ==, slots_taken (m));
  g_assert_cmpuint (m->f.config.refs, ==, m->items->len + m->n_hand);
  g_assert_cmpuint (queue->dropped, ==, m->dropped);
  g_assert_cmpint (tern_work_queue_has_room (queue, BYTES), ==, model_has_room (m));
  for (guint i = 0; i < queue->n; i++)
    if (queue->work[i].slot)
      g_assert_cmpuint (queue->work[i].slot->data[BYTES - 1], ==, queue->work[i].frame & 0xff);
}

static void
random_push (Model *m, GRand *rand)
{
  static const TernWorkKind kinds[] = { TERN_WORK_FRAME, TERN_WORK_TOKENS, TERN_WORK_FRAME, TERN_WORK_STILL };
  TernWorkKind kind = kinds[g_rand_int_range (rand, 0, G_N_ELEMENTS (kinds))];
  Item i = { .kind = kind, .frame = kind == TERN_WORK_STILL ? 7 : m->count };

  g_assert_cmpint (push (&m->f, kind, i.frame, BYTES), ==, model_has_room (m));
  if (model_has_room (m)) {
    g_array_append_val (m->items, i);
    m->count += kind != TERN_WORK_STILL;
  }
}

/* The window that is open ends here, if it has frames. */
static void
random_window (Model *m)
{
  Item i = { .kind = TERN_WORK_WINDOW, .window = { .first = m->opened, .end = m->count } };

  if (m->count == m->opened || m->items->len > MODEL_MOST)
    return;
  m->opened = MIN (m->opened + m->hop, m->count);
  i.window.next = m->opened;
  push_window (&m->f, i.window.first, i.window.end, i.window.next);
  g_array_append_val (m->items, i);
}

static void
random_hand (Model *m, gboolean take)
{
  if (take && m->n_hand < G_N_ELEMENTS (m->hand)) {
    TernWork *work = &m->hand[m->n_hand];

    g_assert_cmpint (tern_work_queue_take (&m->f.queue, work), ==, m->items->len > 0);
    if (m->items->len > 0) {
      g_assert_cmpint (work->kind, ==, item (m, 0)->kind);
      g_array_remove_index (m->items, 0);
      m->hand_slots += work->slot != NULL;
      m->n_hand++;
    }
  } else if (!take && m->n_hand > 0) {
    m->hand_slots -= m->hand[--m->n_hand].slot != NULL;
    tern_work_queue_release (&m->f.queue, &m->hand[m->n_hand]);
  }
}

static void
random_drop (Model *m, GRand *rand)
{
  guint64 bounds[2] = { 0, G_MAXUINT64 };
  gboolean room;

  switch (g_rand_int_range (rand, 0, 8)) {
    case 0:
      bounds[0] = m->count - MIN (m->count, (guint) g_rand_int_range (rand, 0, 20));
      bounds[1] = bounds[0] + g_rand_int_range (rand, 0, 10);
      tern_work_queue_drop_frames (&m->f.queue, bounds[0], bounds[1]);
      model_keep (m, outside, bounds);
      break;
    case 1:
      tern_work_queue_drop_all (&m->f.queue);
      g_array_set_size (m->items, 0);
      m->opened = m->count;
      break;
    case 2:
      g_assert_cmpint (tern_work_queue_drop_oldest (&m->f.queue), ==, model_drop_oldest (m));
      break;
    case 3:
    case 4:
    case 5:
      tern_work_queue_keep_newest (&m->f.queue);
      model_keep_newest (m);
      break;
    default:
      while (!model_has_room (m) && model_drop_oldest (m));
      room = model_has_room (m);
      if (!room)
        model_keep (m, outside, bounds);
      g_assert_cmpint (tern_work_queue_make_room (&m->f.queue, BYTES), ==, room);
  }
}

static void
test_random (void)
{
  for (guint seed = 1; seed <= 40; seed++) {
    GRand *rand = g_rand_new_with_seed (seed);
    Model m = { .items = g_array_new (FALSE, FALSE, sizeof (Item)) };

    m.n_slots = g_rand_int_range (rand, 2, 20);
    m.always = g_rand_int_range (rand, 1, m.n_slots + 1);
    m.bytes = g_rand_int_range (rand, 0, m.n_slots * BYTES * 2);
    m.hop = g_rand_int_range (rand, 1, 10);
    begin (&m.f, m.n_slots, m.always, m.bytes);
    for (guint i = 0; i < 4000; i++) {
      guint what = g_rand_int_range (rand, 0, 20);

      if (what < 9)
        random_push (&m, rand);
      else if (what < 12)
        random_window (&m);
      else if (what < 18)
        random_hand (&m, what % 2);
      else
        random_drop (&m, rand);
      compare (&m);
    }
    while (m.n_hand > 0)
      random_hand (&m, FALSE);
    end (&m.f);
    g_array_unref (m.items);
    g_rand_free (rand);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/queue/slots", test_slots);
  g_test_add_func ("/queue/before", test_before);
  g_test_add_func ("/queue/order", test_order);
  g_test_add_func ("/queue/drop-oldest", test_drop_oldest);
  g_test_add_func ("/queue/keep-newest", test_keep_newest);
  g_test_add_func ("/queue/make-room", test_make_room);
  g_test_add_func ("/queue/random", test_random);
  return g_test_run ();
}
