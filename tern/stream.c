/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/stream.h"

#include <string.h>

#include "compress/remember.h"
#include "engine/base/mem.h"
#include "engine/llm/evict.h"
#include "tern/error.h"
#include "tern/frames.h"

/* Of the budget: what is new and stays whole, as much as what is old; and what is forgotten at once beyond need: the more, the
 * seldomer scores are computed and keys turned, and the less is remembered. */
#define RECENT_SHARE 2
#define SLACK_SHARE 16
/* Of the rows there may be, what may come at once. */
#define MOST_SHARE 4
#define POOL_WIDTH 3
#define CHUNK TERN_PAGE_ROWS

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

struct _TernStream {
  const TernLlm *llm;
  TernTimeline *timeline;
  TernStreamParams params;
  guint n, n_frames;
  gboolean placed;              /* the model has three axes */
  guint64 turns;
  guint n_keep;                 /* what was chosen already for the next turn, that had no pages; 0: nothing */
  /* in `memory`: */
  TernStreamFrame *frames;      /* [budget] of which n_frames, in the order of their numbers */
  guint *frame;                 /* [budget] of each row from the head on, index into `frames` */
  gint32 *place;                /* [budget] */
  guint *whole;                 /* [budget] of each frame */
  gint32 *keep, *list;          /* [budget] */
  TernPlace *stands, *to;       /* [budget] where each row is, and those that stay will be; NULL: there is one axis */
  float *change, *value, *norm, *pooled;        /* [budget] */
  float *rows;                  /* [CHUNK, width] */
  TernRecentKeys recent;
  void *evict, *choose;
  void *memory;
};

static guint
widest (const TernLlm *llm)
{
  guint width = 0;

  for (guint i = 0; i < tern_llm_info (llm)->n_layers; i++)
    width = MAX (width, tern_evict_kv_width (llm, i));
  return width;
}

static gsize
lay_out (TernStream *self, void *memory)
{
  gsize n = self->params.budget, width = widest (self->llm);
  TernArena arena = { .base = memory };
  float **scores[] = { &self->change, &self->value, &self->norm, &self->pooled };

  self->frames = tern_plan_take (&arena, n, sizeof *self->frames, 1);
  self->frame = tern_plan_take (&arena, n, sizeof *self->frame, 1);
  self->place = tern_plan_take (&arena, n, sizeof *self->place, 1);
  self->whole = tern_plan_take (&arena, n, sizeof *self->whole, 1);
  self->keep = tern_plan_take (&arena, n, sizeof *self->keep, 1);
  self->list = tern_plan_take (&arena, n, sizeof *self->list, 1);
  if (self->placed) {
    self->stands = tern_plan_take (&arena, n, sizeof *self->stands, 1);
    self->to = tern_plan_take (&arena, n, sizeof *self->to, 1);
  }
  for (guint i = 0; i < G_N_ELEMENTS (scores); i++)
    *scores[i] = tern_plan_take (&arena, n, sizeof (float), 1);
  self->rows = tern_plan_take (&arena, CHUNK, width, sizeof (float));
  self->recent.sums = tern_plan_take (&arena, self->params.places, width, sizeof (float));
  self->recent.count = tern_plan_take (&arena, self->params.places, sizeof (guint), 1);
  self->evict = tern_plan_take (&arena, 1, 1, tern_evict_scratch_bytes (self->llm));
  self->choose = tern_plan_take (&arena, 1, 1, tern_remember_scratch ((guint) n, (guint) n));
  return arena.used;
}

gsize
tern_stream_bytes (const TernLlm *llm, const TernStreamParams *params)
{
  TernStream plan = { .llm = llm, .params = *params, .placed = tern_llm_info (llm)->has_places };

  return sizeof plan + lay_out (&plan, NULL);
}

guint
tern_stream_pages (guint budget)
{
  return (budget + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS + 1;
}

TernStream *
tern_stream_new (const TernLlm *llm, TernStore *store, const TernStreamParams *params, GError **error)
{
  TernStream *self;

  if (!tern_evict_check (llm, error))
    return NULL;
  self = g_new0 (TernStream, 1);
  self->llm = llm;
  self->params = *params;
  self->placed = tern_llm_info (llm)->has_places;
  self->recent.places = params->places;
  if (!(self->timeline = tern_timeline_new (store, error))
      || !(self->memory = tern_mem_alloc (lay_out (self, NULL), "what is remembered of a stream", error))) {
    tern_stream_free (self);
    return NULL;
  }
  lay_out (self, self->memory);
  return self;
}

void
tern_stream_free (TernStream *self)
{
  if (!self)
    return;
  tern_timeline_free (self->timeline);
  tern_mem_free (self->memory);
  g_free (self);
}

TernTimeline *
tern_stream_timeline (TernStream *self)
{
  return self->timeline;
}

guint
tern_stream_rows (const TernStream *self)
{
  return self->n;
}

const TernStreamFrame *
tern_stream_frames (const TernStream *self, guint *n)
{
  *n = self->n_frames;
  return self->frames;
}

guint64
tern_stream_turns (const TernStream *self)
{
  return self->turns;
}

gint32 *
tern_stream_list (TernStream *self)
{
  return self->list;
}

/* ---- The record -------------------------------------------------------------------------------------------------- */

void
tern_stream_forget (TernStream *self)
{
  tern_timeline_reset (self->timeline);
  self->n = self->n_frames = self->n_keep = 0;
}

void
tern_stream_add_frame (TernStream *self, guint64 number, guint64 pts, guint whole, guint extent)
{
  g_return_if_fail (self->n_frames < self->params.budget);
  self->frames[self->n_frames++] = (TernStreamFrame) { number, pts, pts + self->params.tick, whole, 0, extent };
}

void
tern_stream_add_row (TernStream *self, gint32 place, const TernPlace *stands)
{
  gint32 from = (gint32) tern_timeline_place (self->timeline);

  g_return_if_fail (self->n < self->params.budget && !stands == !self->placed);
  if (stands)
    self->stands[self->n] = (TernPlace) { from + stands->t, from + stands->h, from + stands->w };
  self->frame[self->n] = self->n_frames > 0 ? self->n_frames - 1 : 0;
  self->place[self->n++] = place;
  if (place != TERN_REMEMBER_NO_PLACE && self->n_frames > 0)
    self->frames[self->n_frames - 1].rows++;
}

void
tern_stream_extend (TernStream *self, guint64 pts)
{
  TernStreamFrame *last = self->n_frames > 0 ? &self->frames[self->n_frames - 1] : NULL;

  if (last)
    last->until = MAX (last->until, pts + self->params.tick);
}

/* ---- Forgetting -------------------------------------------------------------------------------------------------- */

static guint
head_of (const TernStream *self)
{
  return MIN (self->params.head, self->n);
}

/* Where rows @keep [n] go: to self->to. Returns where text goes on behind them. */
static guint
place_rows (TernStream *self, const gint32 *keep, guint n)
{
  guint next = 0, begins = 0, last = G_MAXUINT;

  for (guint i = 0; i < n; i++) {
    guint frame = self->frame[keep[i]];
    TernPlace was = self->stands[keep[i]];

    if (self->place[keep[i]] == TERN_REMEMBER_NO_PLACE) {
      self->to[i] = (TernPlace) { (gint32) next, (gint32) next, (gint32) next };
      next++;
      continue;
    }
    if (frame != last) {
      begins = next;
      next += self->frames[frame].extent;
      last = frame;
    }
    self->to[i] = (TernPlace) { (gint32) begins, (gint32) begins + was.h - was.t, (gint32) begins + was.w - was.t };
  }
  return next;
}

/* What moves when rows @keep [n] stay of the stream's timeline or of a fork; NULL: nobody has to say. */
static const TernMoves *
moves_of (TernStream *self, const gint32 *keep, guint n, TernMoves *moves)
{
  if (!self->placed)
    return NULL;
  *moves = (TernMoves) { self->stands, self->to, place_rows (self, keep, n) };
  return moves;
}

/* Rows behind the head. */
static TernRememberRows
rows_of (const TernStream *self)
{
  guint head = head_of (self);

  for (guint f = 0; f < self->n_frames; f++)
    self->whole[f] = self->frames[f].whole;
  return (TernRememberRows) { self->n - head, self->n_frames, self->frame + head, self->place + head, self->whole,
    self->change, NULL, self->pooled };
}

/* Rows [first, end) of @rows, a part of them at a time. */
typedef void (*Part) (TernStream *self, const TernRememberRows *rows, guint layer, guint first, guint n, float weight);

static void
in_parts (TernStream *self, const TernRememberRows *rows, guint layer, guint first, guint end, float weight, Part part)
{
  for (guint i = first; i < end; i += CHUNK)
    part (self, rows, layer, i, MIN (CHUNK, end - i), weight);
}

static void
read_keys (TernStream *self, guint layer, guint first, guint n)
{
  guint begin = head_of (self) + first;

  tern_timeline_read_keys (self->timeline, layer, begin, n, self->placed ? self->stands + begin : NULL, self->rows, self->evict);
}

static void
add_recent (TernStream *self, const TernRememberRows *rows, guint layer, guint first, guint n, float weight)
{
  read_keys (self, layer, first, n);
  tern_recent_add (&self->recent, rows->place + first, self->rows, n);
}

static void
compare (TernStream *self, const TernRememberRows *rows, guint layer, guint first, guint n, float weight)
{
  read_keys (self, layer, first, n);
  tern_recent_compare (&self->recent, rows->place + first, self->rows, n, weight, self->change + first);
}

static void
measure (TernStream *self, const TernRememberRows *rows, guint layer, guint first, guint n, float weight)
{
  tern_timeline_read_values (self->timeline, layer, head_of (self) + first, n, self->rows);
  tern_remember_norms (self->rows, n, self->recent.dim, self->norm + first);
}

static void
score (TernStream *self, const TernRememberRows *rows, guint recent)
{
  const TernLlmInfo *info = tern_llm_info (self->llm);
  float weight = 1.f / (float) MAX (info->n_attention, 1);

  memset (self->change, 0, rows->n * sizeof (float));
  memset (self->value, 0, rows->n * sizeof (float));
  for (guint layer = 0; layer < info->n_layers; layer++) {
    self->recent.dim = tern_evict_kv_width (self->llm, layer);
    if (self->recent.dim == 0)
      continue;
    memset (self->recent.sums, 0, (gsize) self->recent.places * self->recent.dim * sizeof (float));
    memset (self->recent.count, 0, self->recent.places * sizeof (guint));
    in_parts (self, rows, layer, recent, rows->n, weight, add_recent);
    in_parts (self, rows, layer, 0, recent, weight, compare);
    in_parts (self, rows, layer, 0, rows->n, weight, measure);
    tern_remember_add_norms (rows->place, self->norm, rows->n, weight, self->value);
  }
  tern_remember_pool (rows, self->value, POOL_WIDTH, self->pooled);
}

/* Rows of the timeline that stay, at most @most behind the head, whose come first. */
static void
choose (TernStream *self, guint most)
{
  TernRememberParams params = TERN_REMEMBER_PARAMS_INIT;
  TernRememberRows rows = rows_of (self);
  guint head = head_of (self);

  params.keep = most;
  params.recent = self->params.budget / RECENT_SHARE;
  score (self, &rows, tern_remember_recent (&rows, MIN (params.recent, params.keep)));
  for (guint i = 0; i < head; i++)
    self->keep[i] = (gint32) i;
  self->n_keep = head + tern_remember (&params, &rows, self->choose, self->keep + head);
  for (guint i = head; i < self->n_keep; i++)
    self->keep[i] += (gint32) head;
}

/* The record of what stays; frames of which nothing does go. */
static void
record_kept (TernStream *self)
{
  guint head = head_of (self), n_frames = 0, last = G_MAXUINT;

  for (guint f = 0; f < self->n_frames; f++)
    self->frames[f].rows = 0;
  for (guint i = head; i < self->n_keep; i++) {
    guint from = (guint) self->keep[i], frame = self->frame[from];

    if (frame != last)
      self->frames[n_frames++] = self->frames[frame];
    last = frame;
    self->frame[i] = n_frames - 1;
    self->place[i] = self->place[from];
    if (self->placed)
      self->stands[i] = self->to[i];
    self->frames[n_frames - 1].rows += self->place[i] != TERN_REMEMBER_NO_PLACE;
  }
  self->n = self->n_keep;
  self->n_frames = n_frames;
  self->n_keep = 0;
}

guint
tern_stream_most (const TernStream *self)
{
  return (self->params.budget - self->params.head) / MOST_SHARE;
}

/* Whether there is room for @n rows behind @rows ones, of which text goes on at @place, and in places for @advance. */
static gboolean
has_room (const TernStream *self, guint rows, guint place, guint n, guint advance)
{
  return rows + n <= self->params.budget && (!self->placed || place + advance <= self->params.reach);
}

/* What was chosen once stays chosen until there are pages, unless it leaves too much. Few rows may stand over many places: then
 * fewer and fewer stay. */
static void
choose_for (TernStream *self, guint n, guint advance)
{
  guint room = self->params.budget - head_of (self), slack = MAX (n, self->params.budget / SLACK_SHARE);

  for (guint most = room - MIN (slack, room);; most -= MAX (most / SLACK_SHARE, 1)) {
    guint place;

    if (self->n_keep == 0)
      choose (self, most);
    place = self->placed ? place_rows (self, self->keep, self->n_keep) : 0;
    if (most == 0 || has_room (self, self->n_keep, place, n, advance))
      return;
    self->n_keep = 0;
  }
}

gboolean
tern_stream_make_room (TernStream *self, guint n, guint advance, GError **error)
{
  TernMoves moves;

  g_return_val_if_fail (n <= self->params.budget - head_of (self), FALSE);

  if (has_room (self, self->n, tern_timeline_place (self->timeline), n, advance))
    return TRUE;
  choose_for (self, n, advance);
  if (!tern_timeline_keep (self->timeline, self->keep, self->n_keep, moves_of (self, self->keep, self->n_keep, &moves), self->evict,
        error))
    return FALSE;
  record_kept (self);
  self->turns++;
  return TRUE;
}

/* ---- A part of it ------------------------------------------------------------------------------------------------ */

static gboolean
is_wanted (const TernStreamFrame *frame, guint64 start, guint64 end, guint64 first)
{
  return frame->pts < end && frame->until > start && frame->number >= first;
}

guint
tern_stream_select (const TernStream *self, guint64 start, guint64 end, guint64 first, gint32 *keep, guint *n_frames)
{
  guint head = head_of (self), n = 0;

  *n_frames = 0;
  for (guint f = 0; f < self->n_frames; f++)
    *n_frames += is_wanted (&self->frames[f], start, end, first);
  for (guint i = 0; i < self->n; i++)
    if (i < head || is_wanted (&self->frames[self->frame[i]], start, end, first))
      keep[n++] = (gint32) i;
  return n;
}

gboolean
tern_stream_narrow (TernStream *self, TernTimeline *timeline, const gint32 *keep, guint n, GError **error)
{
  TernMoves moves;

  return tern_timeline_keep (timeline, keep, n, moves_of (self, keep, n, &moves), self->evict, error);
}

/* ---- Times ------------------------------------------------------------------------------------------------------- */

/* Takes pair @i and the one behind it together. */
static guint
join (double *spans, guint n, guint i)
{
  spans[2 * i + 1] = MAX (spans[2 * i + 1], spans[2 * i + 3]);
  memmove (spans + 2 * i + 2, spans + 2 * i + 4, (n - i - 2) * 2 * sizeof *spans);
  return n - 1;
}

static guint
join_nearest (double *spans, guint n)
{
  guint best = 0;

  for (guint i = 1; i + 1 < n; i++)
    if (spans[2 * i + 2] - spans[2 * i + 1] < spans[2 * best + 2] - spans[2 * best + 1])
      best = i;
  return join (spans, n, best);
}

guint
tern_stream_spans (const TernStream *self, double out[2 * TERN_STREAM_SPANS])
{
  double spans[2 * (TERN_STREAM_SPANS + 1)];
  guint64 end = 0;
  guint n = 0;

  for (guint f = 0; f < self->n_frames; f++) {
    const TernStreamFrame *frame = &self->frames[f];

    /* Ticks are whole numbers of ns, rounded. */
    if (n > 0 && frame->pts <= end + self->params.tick / 2) {
      end = MAX (end, frame->until);
      spans[2 * n - 1] = (double) end / TERN_SECOND;
      continue;
    }
    end = frame->until;
    spans[2 * n] = (double) frame->pts / TERN_SECOND;
    spans[2 * n++ + 1] = (double) end / TERN_SECOND;
    if (n > TERN_STREAM_SPANS)
      n = join_nearest (spans, n);
  }
  memcpy (out, spans, 2 * n * sizeof *spans);
  return 2 * n;
}
