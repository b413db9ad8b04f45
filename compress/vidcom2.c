/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VidCom2: X. Liu et al., "Video Compression Commander: Plug-and-Play Inference Acceleration for Video Large Language
 * Models", arXiv:2505.14454, section 3; read beside xuyang-liu16/VidCom2 @ d31b156.
 *
 * Of the channels the half that varies least over all tokens is looked at, rows brought to length 1 there. A token is like
 * the video by the sum of exp (-|x - mean of all|^2 / 2a) over a = 1/8 ... 2, and like its frame by the same with the frame's
 * mean. A frame weighs 1 + softmax (-mean likeness to the video / 0.01) - 1/T; the budget is shared by that (the authors round
 * each frame's product by itself, here the sum is exact). In a frame the tokens stay that are least like both. The paper has
 * all frames of the video, here it is a group. */
#include "compress/share.h"

#include <math.h>

#define TEMPERATURE 0.01
#define CHANNELS 0.5

typedef struct {
  TernScored *channel;          /* [dim] by variance; the first n_channels are used */
  guint n_channels;
  double *video, *frame, *row;  /* [n_channels] means and a row */
  double *like;                 /* [4][n] to the video */
  TernScored *scored;           /* [n] */
} Room;

static gsize
vidcom2_scratch (guint n_tokens, guint dim)
{
  return (gsize) dim * (sizeof (TernScored) + 3 * sizeof (double))
      + (gsize) n_tokens * (TERN_COMPRESS_GROUP * sizeof (double) + sizeof (TernScored));
}

static Room
take_room (void *scratch, guint n, guint dim)
{
  Room room = { .channel = scratch };

  room.scored = room.channel + dim;
  room.video = (double *) (room.scored + n);
  room.frame = room.video + dim;
  room.row = room.frame + dim;
  room.like = room.row + dim;
  return room;
}

/* The half of the channels whose variance over all tokens is least. */
static void
choose_channels (const TernTokenGroup *group, Room *room)
{
  guint64 n = (guint64) group->n_frames * group->n_tokens;
  double *mean = room->video, *variance = room->frame;
  guint dim = tern_main (group);

  tern_mean_row (group->tokens, (guint) n, group->dim, dim, mean);
  for (guint d = 0; d < dim; d++)
    variance[d] = 0;
  for (guint64 i = 0; i < n; i++)
    for (guint d = 0; d < dim; d++) {
      double off = group->tokens[i * group->dim + d] - mean[d];

      variance[d] += off * off;
    }
  for (guint d = 0; d < dim; d++)
    room->channel[d] = (TernScored) { .score = isnan (variance[d]) ? G_MAXDOUBLE : variance[d], .index = (gint32) d };
  room->n_channels = MAX ((guint) (dim * CHANNELS), 1);
  tern_select_lowest (room->channel, dim, room->n_channels);
}

/* The row's chosen channels at length 1. */
static void
take_row (const TernTokenGroup *group, guint f, guint i, Room *room)
{
  const float *row = tern_row (group, f, i);
  double sum = 0;

  for (guint c = 0; c < room->n_channels; c++) {
    room->row[c] = row[room->channel[c].index];
    sum += room->row[c] * room->row[c];
  }
  sum = MAX (sqrt (sum), 1e-12);
  for (guint c = 0; c < room->n_channels; c++)
    room->row[c] /= sum;
}

static double
likeness (const Room *room, const double *center)
{
  double distance = 0, sum = 0;

  for (guint c = 0; c < room->n_channels; c++)
    distance += (room->row[c] - center[c]) * (room->row[c] - center[c]);
  for (double a = 1 / 8.0; a <= 2; a *= 2)
    sum += exp (-distance / (2 * a));
  return sum;
}

/* Adds the frame's rows to @center. */
static void
add_frame (const TernTokenGroup *group, guint f, Room *room, double *center)
{
  for (guint i = 0; i < group->n_tokens; i++) {
    take_row (group, f, i, room);
    for (guint c = 0; c < room->n_channels; c++)
      center[c] += room->row[c];
  }
}

static void
clear (double *center, guint n)
{
  for (guint c = 0; c < n; c++)
    center[c] = 0;
}

static void
divide (double *center, guint n, double by)
{
  for (guint c = 0; c < n; c++)
    center[c] /= by;
}

static void
share_frames (const TernCompressParams *params, const TernTokenGroup *group, Room *room, guint *count)
{
  double apart[TERN_COMPRESS_GROUP] = { 0 }, weight[TERN_COMPRESS_GROUP];
  guint n = group->n_tokens;

  clear (room->video, room->n_channels);
  for (guint f = 0; f < group->n_frames; f++)
    add_frame (group, f, room, room->video);
  divide (room->video, room->n_channels, (double) group->n_frames * n);
  for (guint f = 0; f < group->n_frames; f++) {
    for (guint i = 0; i < n; i++) {
      take_row (group, f, i, room);
      apart[f] -= room->like[(gsize) f * n + i] = likeness (room, room->video);
    }
    apart[f] /= n;
  }
  tern_softmax (apart, group->n_frames, TEMPERATURE, weight);
  for (guint f = 0; f < group->n_frames; f++)
    weight[f] += 1 - 1.0 / group->n_frames;
  tern_share (weight, group->n_frames, tern_compress_budget (params, group->n_frames, n), 1, tern_compress_cap (params, n),
      count);
}

static void
vidcom2_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  guint n = group->n_tokens, count[TERN_COMPRESS_GROUP];
  Room room = take_room (scratch, n, tern_main (group));

  choose_channels (group, &room);
  share_frames (params, group, &room, count);
  for (guint f = 0; f < group->n_frames; f++) {
    clear (room.frame, room.n_channels);
    add_frame (group, f, &room, room.frame);
    divide (room.frame, room.n_channels, n);
    for (guint i = 0; i < n; i++) {
      take_row (group, f, i, &room);
      room.scored[i] = (TernScored) { .score = room.like[(gsize) f * n + i] + likeness (&room, room.frame),
        .index = (gint32) i };
    }
    n_keep[f] = tern_keep_lowest (room.scored, n, count[f], keep + (gsize) f * n);
  }
}

const TernCompressMethod tern_compress_vidcom2 = {
  .name = "vidcom2",
  .about = "VidCom2: more tokens for frames unlike the others, those least like frame and video",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = vidcom2_scratch,
  .bound = tern_compress_budget,
  .select = vidcom2_select,
};
