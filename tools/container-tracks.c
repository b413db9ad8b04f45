/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which part of a video track's pictures is shown, and how they are turned, where libavformat (5.1) does not pass it on: `clap` of
 * MP4 and QuickTime, PixelCrop* and ProjectionPoseRoll of Matroska. */
#include "tools/container-private.h"

#include <math.h>

/* Makes room for what is said of the next video track; NULL: there are more than are looked at. */
static TernTrackShape *
add_track (TernContainer *out)
{
  return out->n_tracks < TERN_CONTAINER_TRACKS ? &out->tracks[out->n_tracks++] : NULL;
}

/* ---- ISO base media ---------------------------------------------------------------------------------------------- */

enum { SAMPLE_ENTRY = 78 };     /* bytes of one of video in front of its boxes */

static gboolean
is_video_track (const TernSource *source, const TernBox *mdia)
{
  TernBox hdlr;
  guint8 b[12];

  return tern_box_find (source, mdia->body, mdia->end, "hdlr", &hdlr) && tern_get (source, hdlr.body, b, sizeof b)
      && memcmp (b + 8, "vide", 4) == 0;
}

/* Of the first description of its pictures. */
static void
read_sample_entry (const TernSource *source, const TernBox *stsd, TernTrackShape *shape)
{
  TernBox entry, clap;
  guint8 b[8];

  if (!tern_box_read (source, stsd->body + 8, stsd->end, &entry) || entry.end > stsd->end
      || !tern_box_find (source, entry.body + SAMPLE_ENTRY, entry.end, "clap", &clap)
      || !tern_get (source, entry.body + 24, b, 4))
    return;
  shape->width = tern_big_endian (b, 2);
  shape->height = tern_big_endian (b + 2, 2);
  tern_aperture_read (source, clap.body, shape->aperture);
}

void
tern_container_bmff_tracks (const TernSource *source, TernContainer *out)
{
  TernBox moov, trak, mdia, minf, stbl, stsd;
  guint64 at;

  if (!tern_box_find (source, 0, tern_source_size (source), "moov", &moov))
    return;
  at = moov.body;
  for (guint i = 0; i < 64 && tern_box_find (source, at, moov.end, "trak", &trak); i++, at = trak.end) {
    TernTrackShape *shape;

    if (!tern_box_find (source, trak.body, trak.end, "mdia", &mdia) || !is_video_track (source, &mdia)
        || !(shape = add_track (out)))
      continue;
    if (tern_box_find (source, mdia.body, mdia.end, "minf", &minf) && tern_box_find (source, minf.body, minf.end, "stbl", &stbl)
        && tern_box_find (source, stbl.body, stbl.end, "stsd", &stsd))
      read_sample_entry (source, &stsd, shape);
  }
}

/* ---- Matroska, WebM ---------------------------------------------------------------------------------------------- */

enum {
  SEGMENT = 0x18538067, CLUSTER = 0x1f43b675, TRACKS = 0x1654ae6b, TRACK = 0xae, TYPE = 0x83, VIDEO = 0xe0,
  WIDTH = 0xb0, HEIGHT = 0xba, CROP_BOTTOM = 0x54aa, CROP_TOP = 0x54bb, CROP_LEFT = 0x54cc, CROP_RIGHT = 0x54dd,
  SHOWN_WIDTH = 0x54b0, SHOWN_HEIGHT = 0x54ba, SHOWN_UNIT = 0x54b2,
  PROJECTION = 0x7670, PROJECTION_TYPE = 0x7671, YAW = 0x7673, PITCH = 0x7674, ROLL = 0x7675,
};
enum { KIND_VIDEO = 1, UNIT_UNKNOWN = 4 };
enum { MOST_ELEMENTS = 256 };   /* of one, that are looked at */

typedef struct {
  guint64 type, width, height, bottom, top, left, right, shown_width, shown_height, unit;
  guint64 projection;
  double yaw, pitch, roll;      /* degrees */
} Track;

static guint64
read_number (const TernSource *source, const TernElement *element)
{
  guint64 n = element->end - element->body;
  guint8 b[8];

  return n <= sizeof b && tern_get (source, element->body, b, n) ? tern_big_endian (b, n) : 0;
}

static double
read_float (const TernSource *source, const TernElement *element)
{
  guint64 bits = read_number (source, element);
  guint32 low = (guint32) bits;
  double wide;
  float narrow;

  memcpy (&wide, &bits, sizeof wide);
  memcpy (&narrow, &low, sizeof narrow);
  return element->end - element->body == 8 ? wide : element->end - element->body == 4 ? narrow : 0;
}

/* @inner: the element in it that is looked into, and in that one the projection. */
static void
read_track (const TernSource *source, guint64 at, guint64 limit, guint32 inner, Track *track)
{
  TernElement element;

  for (guint i = 0; i < MOST_ELEMENTS && at < limit && tern_element_read (source, at, &element) && element.end <= limit;
      i++, at = element.end) {
    guint64 *const numbers[] = { &track->type, &track->width, &track->height, &track->bottom, &track->top, &track->left,
      &track->right, &track->shown_width, &track->shown_height, &track->unit, &track->projection };
    static const guint32 ids[] = { TYPE, WIDTH, HEIGHT, CROP_BOTTOM, CROP_TOP, CROP_LEFT, CROP_RIGHT, SHOWN_WIDTH, SHOWN_HEIGHT,
      SHOWN_UNIT, PROJECTION_TYPE };
    double *angle = element.id == YAW ? &track->yaw : element.id == PITCH ? &track->pitch : element.id == ROLL ? &track->roll : NULL;

    for (guint k = 0; k < G_N_ELEMENTS (ids); k++)
      if (element.id == ids[k])
        *numbers[k] = read_number (source, &element);
    if (angle)
      *angle = read_float (source, &element);
    if (inner && element.id == inner)
      read_track (source, element.body, element.end, inner == VIDEO ? PROJECTION : 0, track);
  }
}

/* Seen from behind or not, then turned against the clock; a slanted one counts as the nearest quarter. */
static guint
orientation_of (const Track *track)
{
  gboolean mirror = fabs (track->yaw) == 180;
  int quarters;

  if (track->projection != 0 || track->pitch != 0 || (track->yaw != 0 && !mirror) || !(fabs (track->roll) <= 360))
    return 0;
  quarters = (int) lround (-track->roll / 90) + 8;
  return tern_orientation ((guint) (mirror ? 16 - quarters : quarters) % 4, mirror);
}

static void
describe (const Track *track, TernTrackShape *shape)
{
  guint64 across = track->left + track->right, down = track->top + track->bottom;

  if (track->yaw != 0 || track->roll != 0)
    shape->orientation = orientation_of (track);
  if (MAX (track->width, track->height) > G_MAXUINT16 || MAX (track->left, track->right) > G_MAXUINT16
      || MAX (track->top, track->bottom) > G_MAXUINT16 || across + down == 0 || across >= track->width || down >= track->height)
    return;
  shape->width = track->width;
  shape->height = track->height;
  memcpy (shape->aperture, (gint64[]) { track->width - across, 1, track->height - down, 1,
      (gint64) track->left - (gint64) track->right, 2, (gint64) track->top - (gint64) track->bottom, 2 }, sizeof shape->aperture);
  if (track->unit < UNIT_UNKNOWN && MAX (track->shown_width, track->shown_height) <= G_MAXUINT16) {
    shape->shown_width = track->shown_width;
    shape->shown_height = track->shown_height;
  }
}

static void
read_tracks (const TernSource *source, const TernElement *tracks, TernContainer *out)
{
  guint64 at = tracks->body;
  TernElement element;

  for (guint i = 0; i < MOST_ELEMENTS && at < tracks->end && tern_element_read (source, at, &element) && element.end <= tracks->end;
      i++, at = element.end) {
    TernTrackShape *shape;
    Track track = { 0 };

    if (element.id != TRACK)
      continue;
    read_track (source, element.body, element.end, VIDEO, &track);
    if (track.type == KIND_VIDEO && (shape = add_track (out)))
      describe (&track, shape);
  }
}

/* They stand before the pictures. */
void
tern_container_matroska_tracks (const TernSource *source, TernContainer *out)
{
  TernElement element;
  guint64 at = 0;

  for (guint i = 0; i < MOST_ELEMENTS && tern_element_read (source, at, &element) && element.id != CLUSTER; i++) {
    if (element.id == TRACKS) {
      read_tracks (source, &element, out);
      return;
    }
    at = element.id == SEGMENT ? element.body : element.end;
    if (at > G_MAXINT64)
      return;
  }
}
