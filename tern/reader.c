/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/reader.h"

#include <string.h>

#include "tern/prompt.h"

void
tern_reader_init (TernReader *reader)
{
  *reader = (TernReader) { .ids = g_array_new (FALSE, FALSE, sizeof (gint32)),
    .pictures = g_array_new (FALSE, FALSE, sizeof (TernPicture)) };
}

void
tern_reader_clear (TernReader *reader)
{
  g_clear_pointer (&reader->timeline, tern_timeline_free);
  g_clear_pointer (&reader->ids, g_array_unref);
  g_clear_pointer (&reader->pictures, g_array_unref);
}

void
tern_reader_restart (TernReader *reader)
{
  reader->at = reader->picture = reader->row = reader->end = 0;
  if (reader->timeline)
    tern_timeline_reset (reader->timeline);
}

static inline gint32
id_at (const GArray *ids, guint i)
{
  return g_array_index (ids, gint32, i);
}

guint
tern_reader_alike (const GArray *a, const GArray *b, guint most)
{
  guint same = 0;

  while (same < most && id_at (a, same) == id_at (b, same))
    same++;
  return same;
}

/* Whether what was read is how @ids with @pictures begins. */
static gboolean
begins_alike (const TernReader *reader, const GArray *ids, const TernPicture *pictures, guint n_pictures, guint end)
{
  guint started = reader->picture + (reader->row > 0);

  if (reader->at > end || (reader->row > 0 && reader->at == end) || started > n_pictures)
    return FALSE;
  if (reader->row > 0 && id_at (ids, reader->at) != TERN_PROMPT_RUN)
    return FALSE;
  for (guint i = 0; i < started; i++) {
    const TernPicture *read = &g_array_index (reader->pictures, TernPicture, i);

    if (read->frame != pictures[i].frame || read->n != pictures[i].n)
      return FALSE;
  }
  return tern_reader_alike (reader->ids, ids, reader->at) == reader->at;
}

void
tern_reader_aim (TernReader *reader, const GArray *ids, const TernPicture *pictures, guint n_pictures, guint end)
{
  if (!begins_alike (reader, ids, pictures, n_pictures, end) || tern_timeline_is_torn (reader->timeline))
    tern_reader_restart (reader);
  g_array_set_size (reader->ids, 0);
  g_array_append_vals (reader->ids, ids->data, ids->len);
  g_array_set_size (reader->pictures, 0);
  g_array_append_vals (reader->pictures, pictures, n_pictures);
  reader->end = end;
}

void
tern_reader_fork (TernReader *reader, const TernReader *from, const GArray *ids)
{
  tern_timeline_fork (reader->timeline, from->timeline);
  g_array_set_size (reader->ids, 0);
  g_array_append_vals (reader->ids, ids->data, ids->len);
  g_array_set_size (reader->pictures, 0);
  g_array_append_vals (reader->pictures, from->pictures->data, from->pictures->len);
  reader->at = from->at;
  reader->picture = from->picture;
  reader->row = from->row;
  reader->end = ids->len;
}

guint
tern_reader_left (const TernReader *reader)
{
  guint n = 0, picture = reader->picture;

  for (guint i = reader->at; i < reader->end; i++)
    n += id_at (reader->ids, i) == TERN_PROMPT_RUN ? g_array_index (reader->pictures, TernPicture, picture++).n : 1;
  return n - reader->row;
}

/* Rows of the picture that stands next, at most @n. */
static guint
fill_picture (TernReader *reader, TernPass *pass, const TernLlmInfo *info, float *rows, guint n)
{
  const TernPicture *picture = &g_array_index (reader->pictures, TernPicture, reader->picture);
  guint count = MIN (n, picture->n - reader->row);

  for (guint i = 0; i < count; i++) {
    gsize from = picture->keep ? (gsize) picture->keep[reader->row + i] : reader->row + i;
    const float *row = picture->tokens + from * info->visual_dim;

    memcpy (rows + i * info->width, row, info->width * sizeof (float));
    if (info->deepstack > 0)
      tern_pass_deepen (pass, rows + i * info->width, row + info->width);
  }
  reader->row += count;
  if (reader->row == picture->n) {
    reader->row = 0;
    reader->picture++;
    reader->at++;
  }
  return count;
}

/* The places of rows [@first, @first + @n) of @picture, counted from where it begins. */
static void
place_picture (TernPlace *places, const TernPicture *picture, guint first, guint n, gint32 from)
{
  guint columns = picture->grid_w ? picture->grid_w : MAX (picture->n, 1);

  for (guint i = 0; i < n; i++) {
    guint row = picture->keep ? (guint) picture->keep[first + i] : first + i;
    guint at = picture->at ? (guint) picture->at[row] : row;

    places[i] = (TernPlace) { from, from + (gint32) (at / columns), from + (gint32) (at % columns) };
  }
}

guint
tern_picture_extent (const TernPicture *picture)
{
  return picture->grid_w ? MAX (picture->grid_w, picture->grid_h) : MAX (picture->n, 1);
}

guint
tern_reader_places (const TernReader *reader, TernPlace *places, guint n)
{
  guint at = reader->at, next = reader->picture, row = reader->row, place = 0, count;

  for (; n > 0; n -= count, places += count) {
    const TernPicture *picture;

    if (id_at (reader->ids, at) != TERN_PROMPT_RUN) {
      *places = (TernPlace) { (gint32) place, (gint32) place, (gint32) place };
      count = 1;
      place++;
      at++;
      continue;
    }
    picture = &g_array_index (reader->pictures, TernPicture, next);
    count = MIN (n, picture->n - row);
    place_picture (places, picture, row, count, (gint32) place);
    row += count;
    if (row < picture->n)
      return place;
    place += tern_picture_extent (picture);
    row = 0;
    next++;
    at++;
  }
  return place;
}

void
tern_reader_place (const TernReader *reader, const TernLlm *llm, GArray *places, TernSegment *segment)
{
  if (!tern_llm_info (llm)->has_places)
    return;
  if (places->len < segment->n)
    g_array_set_size (places, segment->n);
  segment->places = (const TernPlace *) places->data;
  segment->advance = tern_reader_places (reader, (TernPlace *) places->data, segment->n);
}

void
tern_reader_fill (TernReader *reader, TernPass *pass, const TernLlm *llm, float *rows, guint n)
{
  const TernLlmInfo *info = tern_llm_info (llm);
  gsize width = info->width;

  while (n > 0) {
    gint32 id = id_at (reader->ids, reader->at);
    guint count = 1;

    if (id == TERN_PROMPT_RUN) {
      count = fill_picture (reader, pass, info, rows, n);
    } else {
      tern_llm_embed (llm, &id, 1, rows, width);
      reader->at++;
    }
    rows += count * width;
    n -= count;
  }
}
