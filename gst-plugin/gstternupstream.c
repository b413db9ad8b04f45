/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternupstream.h"

#include <gst/base/gstbasesrc.h>

#define MOST_HOPS 64            /* pads from here to a source */
#define MOST_QUEUE_HOPS 8       /* from a demuxer to the queue of a stream */

static void
add_pad (const GValue * item, gpointer pads)
{
  g_ptr_array_add (pads, g_value_dup_object (item));
}

GPtrArray *
gst_tern_linked_inside (GstPad * pad)
{
  GPtrArray *pads = g_ptr_array_new_with_free_func (gst_object_unref);
  GstIterator *links = gst_pad_iterate_internal_links (pad);

  while (links
      && gst_iterator_foreach (links, add_pad, pads) == GST_ITERATOR_RESYNC) {
    g_ptr_array_set_size (pads, 0);
    gst_iterator_resync (links);
  }
  g_clear_pointer (&links, gst_iterator_free);
  return pads;
}

/* What flows into @sinkpad comes, among others, from a source that is live. */
static gboolean
has_live_source (GstPad * sinkpad, guint hops)
{
  GstPad *peer = gst_pad_get_peer (sinkpad);
  GstElement *element = peer ? gst_pad_get_parent_element (peer) : NULL;
  gboolean live = FALSE;

  if (element && GST_IS_BASE_SRC (element)) {
    live = gst_base_src_is_live (GST_BASE_SRC (element));
  } else if (peer && hops > 0) {
    g_autoptr (GPtrArray) links = gst_tern_linked_inside (peer);
    guint i;

    for (i = 0; i < links->len && !live; i++)
      live = has_live_source (g_ptr_array_index (links, i), hops - 1);
  }
  gst_clear_object (&element);
  gst_clear_object (&peer);
  return live;
}

/* Of two cameras at an input-selector the second may have begun to start when
 * the first sends its caps: then there is no answer, and a live source must not
 * be taken for a file. */
gboolean
gst_tern_upstream_is_live (GstPad * sinkpad)
{
  GstQuery *query = gst_query_new_latency ();
  gboolean live = FALSE;

  if (gst_pad_peer_query (sinkpad, query))
    gst_query_parse_latency (query, &live, NULL, NULL);
  else
    live = has_live_source (sinkpad, MOST_HOPS);
  gst_query_unref (query);
  return live;
}

static void
collect_upstream (GstPad * sinkpad, GHashTable * found)
{
  GstPad *peer = gst_pad_get_peer (sinkpad);

  if (peer) {
    g_autoptr (GPtrArray) links = gst_tern_linked_inside (peer);
    guint i;

    for (i = 0; i < links->len; i++) {
      GstPad *link = g_ptr_array_index (links, i);

      if (g_hash_table_add (found, gst_object_ref (link)))
        collect_upstream (link, found);
    }
    gst_object_unref (peer);
  }
}

static GHashTable *
find_upstream (GstPad * sinkpad)
{
  GHashTable *found =
      g_hash_table_new_full (NULL, NULL, gst_object_unref, NULL);

  collect_upstream (sinkpad, found);
  return found;
}

gboolean
gst_tern_upstream_is_shared (GstPad * a, GstPad * b)
{
  g_autoptr (GHashTable) of_a = find_upstream (a), of_b = find_upstream (b);
  GHashTableIter iter;
  gpointer pad;

  g_hash_table_iter_init (&iter, of_b);
  while (g_hash_table_iter_next (&iter, &pad, NULL))
    if (g_hash_table_contains (of_a, pad))
      return TRUE;
  return FALSE;
}

/* A queue, or a pad of a multiqueue. */
static gboolean
is_queue (gpointer object)
{
  return g_object_class_find_property (G_OBJECT_GET_CLASS (object),
      "current-level-buffers") != NULL;
}

/* A property; 0 when there is no such number. */
static guint64
read_number (gpointer object, const gchar * name)
{
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (object),
      name);
  GValue value = G_VALUE_INIT, number = G_VALUE_INIT;
  guint64 result = 0;

  if (!spec)
    return 0;
  g_value_init (&value, spec->value_type);
  g_value_init (&number, G_TYPE_UINT64);
  g_object_get_property (object, name, &value);
  if (g_value_transform (&value, &number))
    result = g_value_get_uint64 (&number);
  g_value_unset (&value);
  g_value_unset (&number);
  return result;
}

static gboolean
holds_buffers (gpointer object)
{
  return read_number (object, "current-level-buffers") > 0;
}

static gboolean
reaches (gpointer object, const gchar * level, gpointer owner,
    const gchar * limit)
{
  guint64 most = read_number (owner, limit);

  return most > 0 && read_number (object, level) >= most;
}

/* Nothing goes into a queue of @owner until something leaves it. What leaks takes
 * everything. A multiqueue of which a pad is empty, as that of the video is, lets
 * others have more buffers than it says, but not more bytes or time. */
static gboolean
is_full (gpointer object, GstElement * owner)
{
  return holds_buffers (object) && read_number (owner, "leaky") == 0
      && (reaches (object, "current-level-bytes", owner, "max-size-bytes")
      || reaches (object, "current-level-time", owner, "max-size-time")
      || (GST_IS_ELEMENT (object) && reaches (object, "current-level-buffers",
              owner, "max-size-buffers")));
}

static gboolean is_full_behind (GstPad * srcpad, guint hops);

static gboolean
links_are_full (GstPad * pad, guint hops)
{
  g_autoptr (GPtrArray) links = gst_tern_linked_inside (pad);
  gboolean full = FALSE;
  guint i;

  for (i = 0; i < links->len && !full; i++)
    full = is_full_behind (g_ptr_array_index (links, i), hops);
  return full;
}

/* The first queue on the way says it: while that takes more, nobody further on
 * holds the source up. */
static gboolean
is_full_behind (GstPad * srcpad, guint hops)
{
  GstElement *ours = gst_pad_get_parent_element (srcpad), *element = NULL;
  GstPad *peer = gst_pad_get_peer (srcpad);
  gboolean full = FALSE;

  if (peer)
    element = gst_pad_get_parent_element (peer);
  if (ours && is_queue (srcpad))
    full = is_full (srcpad, ours);
  else if (element && is_queue (element))
    full = is_full (element, element);
  else if (peer && hops > 0)
    full = links_are_full (peer, hops - 1);
  gst_clear_object (&ours);
  gst_clear_object (&element);
  gst_clear_object (&peer);
  return full;
}

static gboolean
others_are_full (GstElement * element, GstPad * ours)
{
  g_autoptr (GPtrArray) pads =
      g_ptr_array_new_with_free_func (gst_object_unref);
  GstIterator *it = gst_element_iterate_src_pads (element);
  gboolean full = FALSE;
  guint i;

  while (gst_iterator_foreach (it, add_pad, pads) == GST_ITERATOR_RESYNC) {
    g_ptr_array_set_size (pads, 0);
    gst_iterator_resync (it);
  }
  gst_iterator_free (it);
  for (i = 0; i < pads->len && !full; i++)
    full = g_ptr_array_index (pads, i) != ours
        && is_full_behind (g_ptr_array_index (pads, i), MOST_QUEUE_HOPS);
  return full;
}

static gboolean
is_full_beside (GstPad * sinkpad, guint hops)
{
  GstPad *peer = gst_pad_get_peer (sinkpad);
  GstElement *element = peer ? gst_pad_get_parent_element (peer) : NULL;
  gboolean full = FALSE;

  /* The inner side of a ghost pad is no element's. */
  if (peer && !holds_buffers (peer) && !(element && holds_buffers (element))) {
    g_autoptr (GPtrArray) links = gst_tern_linked_inside (peer);
    guint i;

    full = element && others_are_full (element, peer);
    for (i = 0; i < links->len && !full && hops > 0; i++)
      full = is_full_beside (g_ptr_array_index (links, i), hops - 1);
  }
  gst_clear_object (&element);
  gst_clear_object (&peer);
  return full;
}

gboolean
gst_tern_upstream_is_full (GstPad * sinkpad)
{
  return is_full_beside (sinkpad, MOST_HOPS);
}
