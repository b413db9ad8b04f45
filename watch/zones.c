/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/zones.h"

#include <string.h>

/* [from, to) of a row. */
typedef struct {
  guint row, from, to;
} Span;

struct _TernMask {
  GArray *spans[2];             /* Span: of all pixels, of half of them */
};

/* Where the edge from @p to @q crosses the height @y; FALSE: it does not. */
static gboolean
cross (const double *p, const double *q, double y, double *x)
{
  if ((p[1] <= y) == (q[1] <= y))
    return FALSE;
  *x = p[0] + (y - p[1]) / (q[1] - p[1]) * (q[0] - p[0]);
  return TRUE;
}

/* Even-odd, by the centres of pixels. */
static gboolean
is_in (const TernZone *zone, double x, double y)
{
  const double *points = (const double *) zone->points->data;
  guint n = zone->points->len / 2;
  gboolean in = FALSE;

  for (guint i = 0; i < n; i++) {
    double at;

    if (cross (points + 2 * i, points + 2 * ((i + 1) % n), y, &at) && x < at)
      in = !in;
  }
  return in;
}

static gboolean
is_hidden (const GPtrArray *zones, double x, double y)
{
  gboolean shows = FALSE, any = FALSE;

  for (guint i = 0; i < zones->len; i++) {
    const TernZone *zone = g_ptr_array_index (zones, i);

    if (zone->hide && is_in (zone, x, y))
      return TRUE;
    any |= !zone->hide;
    shows |= !zone->hide && is_in (zone, x, y);
  }
  return any && !shows;
}

static GArray *
make_spans (const guint8 *hidden, guint width, guint height)
{
  GArray *spans = g_array_new (FALSE, FALSE, sizeof (Span));

  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < width; x++) {
      guint from = x;

      while (x < width && hidden[(gsize) y * width + x])
        x++;
      if (x > from) {
        Span span = { y, from, x };

        g_array_append_val (spans, span);
      }
    }
  return spans;
}

static GArray *
make_half_spans (const guint8 *hidden, guint width, guint height)
{
  guint w = (width + 1) / 2, h = (height + 1) / 2;
  g_autofree guint8 *half = g_new0 (guint8, (gsize) w * h);

  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < width; x++)
      half[(gsize) (y / 2) * w + x / 2] |= hidden[(gsize) y * width + x];
  return make_spans (half, w, h);
}

TernMask *
tern_mask_new (const GPtrArray *zones, guint width, guint height)
{
  g_autofree guint8 *hidden = g_new0 (guint8, (gsize) width * height);
  TernMask *mask;

  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < width; x++)
      hidden[(gsize) y * width + x] = (guint8) is_hidden (zones, (x + 0.5) / width, (y + 0.5) / height);
  if (!memchr (hidden, 1, (gsize) width * height))
    return NULL;
  mask = g_new0 (TernMask, 1);
  mask->spans[0] = make_spans (hidden, width, height);
  mask->spans[1] = make_half_spans (hidden, width, height);
  return mask;
}

void
tern_mask_free (TernMask *mask)
{
  if (!mask)
    return;
  g_array_unref (mask->spans[0]);
  g_array_unref (mask->spans[1]);
  g_free (mask);
}

void
tern_mask_apply (const TernMask *mask, gboolean half, guint8 *pixels, gsize stride, guint8 value)
{
  const GArray *spans = mask->spans[half != 0];

  for (guint i = 0; i < spans->len; i++) {
    const Span *span = &g_array_index (spans, Span, i);

    memset (pixels + span->row * stride + span->from, value, span->to - span->from);
  }
}
