/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memory=stream: frames enter one timeline as their groups are closed, whatever windows there are (tern/stream.h). What is
 * asked is read on a fork of it, of which nothing stays. Which words stand between pictures: session-memory-words.h. */
#include "tern/session-memory-words.h"

#include "compress/remember.h"
#include "engine/llm/evict.h"

/* Groups that may wait to be read; then no frame is looked at until they were. */
#define WAITING_GROUPS 3

struct _TernSessionStream {
  TernStream *memory;
  TernReader reader;            /* of the block that is read; its timeline is the memory's */
  gboolean in_pass;
  TernStreamWords words;
  guint budget, context;
  guint reach;                  /* where text goes on behind what is remembered, at most; of three rotary axes */
  guint64 next;                 /* frame that is read next, behind the block */
  guint64 block;                /* first frame of that */
  guint64 picture;              /* that was read last; 0: nobody says */
  guint picture_rows;           /* most tokens of it that one frame had */
  guint64 began, newest;        /* ns, when the first frame began and of the last one that came; TERN_TIME_NONE: none did */
  guint64 before;               /* ns, of the frame that was read last */
  char *failure;                /* why a frame could not be read; NULL: none */
  gboolean hold;                /* a request waits for the end of the block: no other one is begun */
};

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static gboolean
check_params (const TernSessionParams *params, GError **error)
{
  if (params->memory == TERN_MEMORY_WINDOW || (!params->action && params->kv_prune == 0
          && (params->kv_type == TERN_CACHE_AUTO || params->kv_type == TERN_CACHE_F32)))
    return TRUE;
  if (params->action)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "memory: expected windows for a session with an action model, "
        "found a stream");
  else if (params->kv_prune > 0)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "kv_prune: expected 0 with the memory of a stream, which forgets by "
        "itself, found %g", params->kv_prune);
  else
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "kv_type: expected auto or f32 with the memory of a stream, whose keys "
        "are turned again and again, found %s", tern_kv_name ((TernKvType) params->kv_type));
  return FALSE;
}

gboolean
tern_session_stream_check (const TernSessionParams *params, GError **error)
{
  if ((guint) params->memory > TERN_MEMORY_STREAM) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "memory: expected 0 to %u, found %u", (guint) TERN_MEMORY_STREAM,
        (guint) params->memory);
    return FALSE;
  }
  if (params->memory_tokens != 0 && (params->memory_tokens < TERN_MEMORY_TOKENS_MIN
          || params->memory_tokens > TERN_MEMORY_TOKENS_MAX)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "memory_tokens: expected 0 or %u to %u, found %u",
        TERN_MEMORY_TOKENS_MIN, TERN_MEMORY_TOKENS_MAX, params->memory_tokens);
    return FALSE;
  }
  return check_params (params, error);
}

void
tern_session_open_stream (TernSession *self, const TernSessionParams *params)
{
  if (params->memory != TERN_MEMORY_STREAM)
    return;
  self->stream = g_new0 (TernSessionStream, 1);
  tern_stream_words_init (&self->stream->words);
  self->stream->began = self->stream->newest = TERN_TIME_NONE;
  self->stream->budget = params->memory_tokens;
  tern_reader_init (&self->stream->reader);
}

void
tern_session_close_stream (TernSession *self)
{
  TernSessionStream *stream = self->stream;

  if (!stream)
    return;
  stream->reader.timeline = NULL;       /* the memory's */
  tern_reader_clear (&stream->reader);
  tern_stream_free (stream->memory);
  tern_stream_words_clear (&stream->words);
  g_free (stream->failure);
  g_free (stream);
  self->stream = NULL;
}

/* Rows of the frames of a group that is open, all of their tokens, which requests are about as well. */
static guint
open_rows (const TernSession *self)
{
  guint n_tokens = self->vision ? tern_vision_info (self->vision)->max_tokens : 0;

  return self->group_frames * (n_tokens + self->stream->words.between->len);
}

gboolean
tern_session_plan_stream (TernSession *self, guint *prompt, guint *tail, GError **error)
{
  TernSessionStream *stream = self->stream;
  guint limit = tern_session_context_limit (self->model), longest, beside, least, most;

  if (!tern_stream_words_plan (&stream->words, self, error)
      || !tern_stream_words_longest (&stream->words, self, self->config, &longest, error))
    return FALSE;
  beside = longest + open_rows (self);
  least = stream->words.head + 2 * TERN_MEMORY_TOKENS_MIN;
  most = limit > beside ? limit - beside : 0;
  if (most < least) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context of %s: expected at most %u tokens, found %u to remember at "
        "least and %u of a question, its answer and the newest frames; fewer tokens to say would fit", self->text->name, limit,
        least, beside);
    return FALSE;
  }
  if (stream->budget == 0)
    stream->budget = MIN (TERN_STREAM_TOKENS, most);
  if (stream->budget < least || stream->budget > most) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "memory_tokens: expected %u to %u, found %u: of the context of %s, %u "
        "tokens, a question, its answer and the newest frames take %u", least, most, stream->budget, self->text->name, limit,
        beside);
    return FALSE;
  }
  /* What comes behind it stands in no more places than it has rows. */
  stream->reach = tern_llm_info (self->text->llm)->context - beside;
  stream->context = MIN (limit, stream->budget + MAX (beside, TERN_STREAM_SPARE));
  *prompt = stream->context - self->config->max_tokens;
  *tail = self->config->n_questions > 1 ? stream->context - stream->budget : 0;
  return TRUE;
}

guint
tern_session_stream_tokens (const TernSession *self)
{
  return self->stream->budget;
}

TernStream *
tern_session_stream_memory (TernSession *self)
{
  return self->stream->memory;
}

gboolean
tern_session_prepare_stream (TernSession *self, GError **error)
{
  TernSessionStream *stream = self->stream;
  guint n_tokens = self->vision ? tern_vision_info (self->vision)->max_tokens : stream->budget;
  TernStreamParams params = { .budget = stream->budget, .head = stream->words.head, .places = MIN (n_tokens, stream->budget),
    .reach = stream->reach, .tick = self->windower.tick };

  stream->memory = tern_stream_new (self->text->llm, self->caches, &params, error);
  if (!stream->memory)
    return FALSE;
  stream->reader.timeline = tern_stream_timeline (stream->memory);
  tern_evict_touch (self->caches);
  return TRUE;
}

gboolean
tern_session_stream_fits (const TernSession *self, const TernSessionConfig *config, GError **error)
{
  guint longest, room = self->stream->context - self->stream->budget;

  if (!check_params (&config->params, error) || !tern_stream_words_longest (&self->stream->words, self, config, &longest, error))
    return FALSE;
  if (longest <= room)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "memory of a stream: expected at most %u tokens of a question and its "
      "answer, found %u", room, longest);
  return FALSE;
}

void
tern_session_stream_forget (TernSession *self)
{
  TernSessionStream *stream = self->stream;

  if (!stream || !stream->memory)
    return;
  tern_stream_forget (stream->memory);
  tern_reader_restart (&stream->reader);
  stream->picture = 0;
  stream->began = stream->newest = TERN_TIME_NONE;
  g_clear_pointer (&stream->failure, g_free);
}

/* ---- Which frames are read next ---------------------------------------------------------------------------------- */

/* A frame of a closed group in the store. */
typedef struct {
  const TernFrameGroup *group;
  guint f;
  guint64 number;
} Found;

static gboolean
find_from (const TernSession *self, guint64 number, Found *found)
{
  for (guint g = 0; g < self->store.n; g++) {
    const TernFrameGroup *group = &self->store.groups[g];
    guint64 f = number > group->first ? number - group->first : 0;

    if (group->closed && f < group->n_frames) {
      *found = (Found) { group, (guint) f, group->first + f };
      return TRUE;
    }
  }
  return FALSE;
}

/* The frame that is read next, from @number on; FALSE: there is none yet, or none before a window that waits is answered. What
 * a window sees would else depend on how many frames behind it were looked at by then: on time. */
static gboolean
find_next (const TernSession *self, guint64 number, Found *found)
{
  return find_from (self, number, found)
      && (!self->stream_waits || found->number < self->standing.hand.work.window.end);
}

/* Nothing is left of it, or it shows what was read already, by as many tokens. */
static gboolean
says_nothing (const TernSessionStream *stream, const Found *frame)
{
  guint64 picture = frame->group->picture[frame->f];
  guint rows = frame->group->n_keep[frame->f];

  return rows == 0 || (picture != 0 && picture == stream->picture && rows <= stream->picture_rows);
}

static void
note_picture (TernSessionStream *stream, const Found *frame)
{
  guint64 picture = frame->group->picture[frame->f];

  if (picture == 0 || picture != stream->picture)
    stream->picture_rows = 0;
  stream->picture_rows = MAX (stream->picture_rows, frame->group->n_keep[frame->f]);
  stream->picture = picture;
}

static guint
groups_waiting (const TernSession *self)
{
  guint n = 0;

  for (guint g = 0; g < self->store.n; g++) {
    const TernFrameGroup *group = &self->store.groups[g];

    n += group->closed && group->n_frames > 0 && group->first + group->n_frames > self->stream->next;
  }
  return n;
}

gboolean
tern_session_stream_is_full (const TernSession *self)
{
  return self->stream && groups_waiting (self) >= WAITING_GROUPS;
}

gboolean
tern_session_stream_has_read (const TernSession *self, guint64 end)
{
  Found found;

  return tern_reader_left (&self->stream->reader) == 0 && !self->stream->in_pass
      && (!find_from (self, self->stream->next, &found) || found.number >= end);
}

guint64
tern_session_stream_needs (const TernSession *self)
{
  return tern_reader_left (&self->stream->reader) > 0 ? self->stream->block : self->stream->next;
}

gboolean
tern_session_stream_has_seen (const TernSession *self)
{
  guint n;

  tern_stream_frames (self->stream->memory, &n);
  return n > 0;
}

/* ---- A block ----------------------------------------------------------------------------------------------------- */

/* Token @i of those that are kept of a frame: where in the grid it was. What nobody says is like nothing else. */
static gint32
place_of (const TernFrameGroup *group, guint f, guint i)
{
  guint before = 0;

  for (guint k = 0; k < f; k++)
    before += group->n_tokens[k];
  return group->placed[f] ? group->at[before + (guint) group->keep[before + i]] : G_MAXINT32;
}

/* The frames that are read at once: pictures of one group. */
typedef struct {
  Found frames[TERN_GROUP_FRAMES];
  guint n, size;                /* how many; about as many rows */
} Block;

/* About what @frame is counted as: rows, or what its picture's extent takes of the places there are. */
static guint
size_of (const TernSession *self, const Found *frame)
{
  const TernFrameGroup *group = frame->group;
  guint extent = tern_llm_info (self->text->llm)->has_places ? MAX (group->grid_w[frame->f], group->grid_h[frame->f]) : 0;

  return MAX (group->n_keep[frame->f], extent) + self->stream->words.between->len;
}

/* Frames that say nothing are passed over. */
static void
gather (TernSession *self, Block *block)
{
  TernSessionStream *stream = self->stream;
  guint most = tern_stream_most (stream->memory);
  Found found;

  *block = (Block) { .size = tern_stream_rows (stream->memory) == 0 ? stream->words.first->len : 0 };
  while (block->n < TERN_GROUP_FRAMES && find_next (self, stream->next, &found)) {
    guint64 pts = found.group->pts[found.f], begins = found.group->begins[found.f];
    guint size = size_of (self, &found);

    if (block->n > 0 && found.group != block->frames[0].group)
      return;
    if (stream->newest != TERN_TIME_NONE && pts < stream->newest) {     /* time begins anew */
      if (block->n > 0)
        return;
      tern_session_stream_forget (self);
      block->size = stream->words.first->len;
    }
    if (says_nothing (stream, &found)) {
      if (block->n > 0)
        return;
      tern_stream_extend (stream->memory, begins);
    } else if (size > most - MIN (block->size, most)) {
      if (block->n > 0)
        return;
      g_free (stream->failure);
      stream->failure = g_strdup_printf ("memory_tokens: expected room for a frame of %u tokens, four times that and more, "
          "found %u", size, stream->budget);
    } else {
      block->frames[block->n++] = found;
      block->size += size;
      note_picture (stream, &found);
    }
    stream->next = found.number + 1;
    stream->newest = pts;
    if (stream->began == TERN_TIME_NONE)
      stream->began = begins;
  }
}

/* Those of pictures at times[1], ... up to the end of each, the one at times[0] being read. */
static gboolean
add_words (TernSession *self, const guint64 *times, guint n, GArray *ids)
{
  TernSessionStream *stream = self->stream;
  gboolean first = tern_stream_rows (stream->memory) == 0;

  if (tern_prompt_is_timed (self->family))
    return tern_stream_words_timed (self, times, n, first, ids);
  for (guint i = 0; i < n; i++) {
    const GArray *words = i == 0 && first ? stream->words.first : stream->words.between;

    g_array_append_vals (ids, words->data, words->len);
  }
  return TRUE;
}

/* What is to be read, row by row; @stands: where, of models of three rotary axes, else NULL. */
static void
record (TernSession *self, const Block *block, const TernPlace *stands)
{
  TernSessionStream *stream = self->stream;
  const GArray *ids = stream->reader.ids;
  guint at = 0;

  for (guint b = 0; b < block->n; b++) {
    const Found *frame = &block->frames[b];
    const TernFrameGroup *group = frame->group;
    guint begins = at + (tern_stream_rows (stream->memory) == 0 ? stream->words.head : stream->words.close);
    guint extent = tern_picture_extent (&g_array_index (stream->reader.pictures, TernPicture, b));

    for (;; at++) {
      if (at == begins)
        tern_stream_add_frame (stream->memory, frame->number, group->begins[frame->f], group->n_tokens[frame->f], extent);
      if (g_array_index (ids, gint32, at) == TERN_PROMPT_RUN)
        break;
      tern_stream_add_row (stream->memory, TERN_REMEMBER_NO_PLACE, stands ? stands++ : NULL);
    }
    for (guint i = 0; i < group->n_keep[frame->f]; i++)
      tern_stream_add_row (stream->memory, place_of (group, frame->f, i), stands ? stands++ : NULL);
    at++;
  }
}

/* Makes room for the block that the reader has, and records it. FALSE: not now. */
static gboolean
enter (TernSession *self, const Block *block)
{
  TernSessionStream *stream = self->stream;
  gboolean placed = tern_llm_info (self->text->llm)->has_places;
  guint rows = tern_reader_left (&stream->reader), advance = rows;

  if (placed) {
    g_array_set_size (self->places, MAX (self->places->len, rows));
    advance = tern_reader_places (&stream->reader, (TernPlace *) self->places->data, rows);
  }
  if (!tern_stream_make_room (stream->memory, MAX (rows, block->size), advance, NULL))      /* times become longer */
    return FALSE;
  record (self, block, placed ? (const TernPlace *) self->places->data : NULL);
  return TRUE;
}

static guint64
since (const TernSessionStream *stream, guint64 pts)
{
  return stream->began != TERN_TIME_NONE && pts > stream->began ? pts - stream->began : 0;
}

/* The next frames, if there are some, and room for them; FALSE: not now. */
static gboolean
begin_block (TernSession *self)
{
  TernSessionStream *stream = self->stream;
  guint64 times[TERN_GROUP_FRAMES + 1] = { since (stream, stream->before) };
  guint64 next = stream->next, picture = stream->picture, newest = stream->newest;
  guint picture_rows = stream->picture_rows;
  TernReader *reader = &stream->reader;
  Block block;

  gather (self, &block);
  if (block.n == 0)
    return FALSE;
  tern_session_clear_pictures (self);
  for (guint b = 0; b < block.n; b++) {
    times[b + 1] = since (stream, block.frames[b].group->pts[block.frames[b].f]);
    tern_session_add_frame (self, block.frames[b].group, block.frames[b].f);
  }
  reader->at = reader->picture = reader->row = reader->end = 0;
  g_array_set_size (reader->ids, 0);
  if (!add_words (self, times, block.n, reader->ids))
    return FALSE;
  g_array_set_size (reader->pictures, 0);
  g_array_append_vals (reader->pictures, self->pictures->data, self->pictures->len);
  reader->end = reader->ids->len;
  if (!enter (self, &block)) {
    reader->end = 0;
    stream->next = next;
    stream->picture = picture;
    stream->picture_rows = picture_rows;
    stream->newest = newest;
    return FALSE;
  }
  stream->block = block.frames[0].number;
  stream->before = block.frames[block.n - 1].group->pts[block.frames[block.n - 1].f];
  return TRUE;
}

/* ---- Rounds ------------------------------------------------------------------------------------------------------ */

guint
tern_session_stream_left (const TernSession *self)
{
  const TernSessionStream *stream = self->stream;
  guint left = tern_reader_left (&stream->reader);
  Found found;

  for (guint64 next = stream->next; !stream->hold && find_next (self, next, &found); next = found.number + 1)
    left += found.group->n_keep[found.f] + stream->words.between->len;
  return left;
}

TernReader *
tern_session_stream_reader (TernSession *self)
{
  TernSessionStream *stream = self->stream;

  if (tern_reader_left (&stream->reader) == 0 && !stream->hold)
    begin_block (self);
  return tern_reader_left (&stream->reader) > 0 ? &stream->reader : NULL;
}

gboolean
tern_session_stream_reads (const TernSession *self, const TernReader *reader)
{
  return self->stream && reader == &self->stream->reader;
}

void
tern_session_stream_pass (TernSession *self, gboolean in_pass, gboolean torn)
{
  TernStream *memory = self->stream->memory;

  g_mutex_lock (&self->lock);
  self->stats.memory_tokens = tern_stream_rows (memory);
  self->stats.memory_turns = tern_stream_turns (memory);
  g_mutex_unlock (&self->lock);
  self->stream->in_pass = in_pass;
  if (torn && tern_timeline_is_torn (self->stream->reader.timeline))
    tern_session_stream_forget (self);
}

gboolean
tern_session_stream_hold (TernSession *self, gboolean wanted)
{
  self->stream->hold = wanted && tern_reader_left (&self->stream->reader) > 0;
  return self->stream->hold;
}

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

static gboolean
is_asked (const TernPending *pending, guint64 from, guint64 to)
{
  return pending->to == 0 || (from < pending->to && to > pending->from);
}

gboolean
tern_session_stream_moment (const TernSession *self, const TernPending *pending, gboolean found, TernInquiry *in)
{
  TernWindow *moment = &in->hand.work.window;
  guint n;
  const TernStreamFrame *frames = tern_stream_frames (self->stream->memory, &n);

  if (!found && n == 0)
    return FALSE;
  if (!found)
    *moment = (TernWindow) { .end = frames[n - 1].number + 1, .start_time = frames[0].pts, .end_time = frames[n - 1].until };
  in->since = pending->frames > 0 ? moment->end - MIN (moment->end, pending->frames) : 0;
  /* What is in the store is looked at where it was not read yet. */
  moment->first = MIN (self->stream->next, moment->end);
  if (pending->to > 0) {
    moment->start_time = pending->from;
    moment->end_time = pending->to;
  } else if (n > 0 && pending->frames == 0) {
    moment->start_time = MIN (moment->start_time, frames[0].pts);
  }
  return TRUE;
}

/* Frames that were not read, of an open group and beforehand: they are read on the fork, with all their tokens. */
static void
gather_unread (TernSession *self, TernInquiry *in)
{
  TernWindow moment = in->hand.work.window;
  guint n = 0;

  in->hand.work.window.start_time = 0;  /* times of runs are then those of the stream */
  tern_session_gather (self, in, NULL);
  in->hand.work.window = moment;
  for (guint i = 0; i < self->pictures->len; i++) {
    TernPicture picture = g_array_index (self->pictures, TernPicture, i);
    guint64 pts = g_array_index (self->runs, TernPromptRun, i).time, tick = tern_session_times_of (self, picture.frame).tick;

    if (picture.frame < in->since || !is_asked (self->asked_now, tick, tick + self->windower.tick)
        || n == 2 * TERN_GROUP_FRAMES)
      continue;
    g_array_index (self->pictures, TernPicture, n) = picture;
    g_array_index (self->runs, TernPromptRun, n++).time = since (self->stream, pts);
  }
  g_array_set_size (self->pictures, n);
  g_array_set_size (self->runs, n);
}

/* Rows that @in is about, in the stream's list: of a window's frames, or what a request says. Ticks are whole numbers of ns,
 * rounded: a frame that ends where a window begins is not of it. */
static guint
select_rows (TernSession *self, const TernInquiry *in, guint *n_frames)
{
  const TernWindow *window = &in->hand.work.window;
  guint64 from = window->start_time + self->windower.tick / 2, to = window->end_time, since = 0;

  if (in == &self->request) {
    gboolean timed = self->asked_now->to > 0;

    from = timed ? self->asked_now->from : 0;
    to = timed ? self->asked_now->to : G_MAXUINT64;
    since = in->since;
  }
  return tern_stream_select (self->stream->memory, from, to, since, tern_stream_list (self->stream->memory), n_frames);
}

/* Visual tokens that a window's prompt has: frames with nothing new have none of their own, and what they show was read once. */
static guint
window_tokens (const TernSession *self, const TernWindow *window)
{
  guint n_frames, n = 0;
  const TernStreamFrame *frames = tern_stream_frames (self->stream->memory, &n_frames);

  for (guint f = 0; f < n_frames; f++)
    if (frames[f].pts < window->end_time && frames[f].until > window->start_time + self->windower.tick / 2)
      n += frames[f].rows;
  return n;
}

static void
count_seen (TernSession *self, TernInquiry *in, guint n_frames)
{
  TernResult *values = &in->told.values;
  guint n;
  const TernStreamFrame *frames = tern_stream_frames (self->stream->memory, &n);

  values->frames = n_frames + self->pictures->len;
  values->visual_in = values->visual_kept = 0;
  for (guint f = 0; f < n; f++)
    if (frames[f].number >= in->since && is_asked (self->asked_now, frames[f].pts, frames[f].until)) {
      values->visual_in += frames[f].whole;
      values->visual_kept += frames[f].rows;
    }
  for (guint i = 0; i < self->pictures->len; i++) {
    values->visual_in += g_array_index (self->pictures, TernPicture, i).n;
    values->visual_kept += g_array_index (self->pictures, TernPicture, i).n;
  }
}

gboolean
tern_session_stream_gather (TernSession *self, TernInquiry *in, GError **error)
{
  TernSessionStream *stream = self->stream;
  guint n_frames;

  in->n_memory = tern_stream_spans (stream->memory, in->memory);
  if (in == &self->standing && stream->failure) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_NO_SPACE, stream->failure);
    g_clear_pointer (&stream->failure, g_free);
    return FALSE;
  }
  in->visible = select_rows (self, in, &n_frames);
  if (in == &self->standing) {          /* what the window's result says of its frames is counted where they came */
    gboolean ok = tern_session_gather (self, in, error);

    in->told.values.visual_kept = window_tokens (self, &in->hand.work.window);
    tern_session_clear_pictures (self);
    return ok;
  }
  gather_unread (self, in);
  count_seen (self, in, n_frames);
  in->told.forgotten = in->told.values.frames == 0;
  return TRUE;
}

gboolean
tern_session_stream_compile (TernSession *self, TernInquiry *in, guint q, const TernPromptVisual *when, GArray *ids,
    char **filled, GError **error)
{
  g_autoptr (GArray) tail = g_array_new (FALSE, FALSE, sizeof (gint32));
  guint64 times[2 * TERN_GROUP_FRAMES + 1] = { since (self->stream, self->stream->before) };
  guint unread = in == &self->request ? MIN (self->pictures->len, 2 * TERN_GROUP_FRAMES) : 0;

  g_array_set_size (ids, 0);
  for (guint i = 0; i < unread; i++)
    times[i + 1] = g_array_index (self->runs, TernPromptRun, i).time;
  if (!tern_stream_words_tail (&self->stream->words, self, in->hand.work.config, q, when, tail, filled, error))
    return FALSE;
  if (unread > 0 && !add_words (self, times, unread, ids)) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_FAILED, "memory of a stream: the newest frames have no words");
    return FALSE;
  }
  g_array_append_vals (ids, tail->data, tail->len);
  return TRUE;
}

gboolean
tern_session_stream_fork (TernSession *self, TernInquiry *in, TernReader *reader, GError **error)
{
  TernStream *memory = self->stream->memory;
  guint n_frames, n = select_rows (self, in, &n_frames);

  tern_reader_restart (reader);
  tern_timeline_fork (reader->timeline, tern_stream_timeline (memory));
  return n == tern_stream_rows (memory)
      || tern_stream_narrow (memory, reader->timeline, tern_stream_list (memory), n, error);
}
