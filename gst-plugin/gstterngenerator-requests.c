/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests on their way: held until there is a session that has seen a frame,
 * and room in it, then given to it. Whatever becomes of one, there is one
 * result with its id: of the session, or, of one that it never had in time, or
 * that a flush or a stop ended, one that is made here. */
#include "gstterngenerator-priv.h"

#include <string.h>
#include "gstternelement.h"

#define MAX_HELD 1024
#define MAX_TEXT (1 << 20)      /* bytes of a buffer */

/* ---- Given, held, failed; with the task's lock ---- */

/* Takes @ask; it gives its result when the src task comes to it. */
static void
fail (GstTernGenerator * self, GstTernAsk * ask, const gchar * reason,
    gboolean cancelled)
{
  ask->failure = g_strdup (reason);
  ask->cancelled = cancelled;
  g_queue_push_tail (&self->asks_failed, ask);
  g_cond_broadcast (&self->task.cond);
}

static gboolean
pad_is_asking (GstTernGenerator * self)
{
  GList *link;

  for (link = self->asks_given.head; link; link = link->next)
    if (((GstTernAsk *) link->data)->from_pad)
      return TRUE;
  return FALSE;
}

/* The next one to be given; of a pad's one at a time. */
static GstTernAsk *
take_held (GstTernGenerator * self)
{
  gboolean pad = pad_is_asking (self);
  GList *link;

  if (self->task.flow != GST_FLOW_OK || !self->seen
      || self->asks_given.length >= TERN_REQUESTS_MAX)
    return NULL;
  for (link = self->asks_held.head; link; link = link->next) {
    GstTernAsk *ask = link->data;

    if (pad && ask->from_pad)
      continue;
    g_queue_delete_link (&self->asks_held, link);
    return ask;
  }
  return NULL;
}

static void
drop_late (GstTernGenerator * self)
{
  GstClockTime now = gst_tern_task_now (&self->task);
  GList *link, *next;

  for (link = self->asks_held.head; link; link = next) {
    GstTernAsk *ask = link->data;

    next = link->next;
    if (ask->deadline > now)    /* NONE is later than all */
      continue;
    g_queue_delete_link (&self->asks_held, link);
    fail (self, ask, "timeout: expected an answer in time, found that the "
        "request still waited for the model", FALSE);
  }
}

gboolean
gst_tern_generator_has_failed_asks (GstTernGenerator * self)
{
  drop_late (self);
  return self->asks_failed.length > 0;
}

GstTernAsk *
gst_tern_generator_take_failed_ask (GstTernGenerator * self)
{
  return g_queue_pop_head (&self->asks_failed);
}

GstClockTime
gst_tern_generator_next_deadline (GstTernGenerator * self)
{
  GstClockTime first = GST_CLOCK_TIME_NONE;
  GList *link;

  for (link = self->asks_held.head; link; link = link->next)
    first = MIN (first, ((GstTernAsk *) link->data)->deadline);
  return first;
}

/* ---- Into the session ---- */

/* With the ask lock; what is left of the time goes with it. Once the session has
 * it, it may be answered, and gone. */
static gboolean
give (GstTernGenerator * self, GstTernAsk * ask, GError ** error)
{
  guint64 session_id = 0, expected = ask->session_id;
  TernRequest request = ask->request;
  gboolean ok;

  if (GST_CLOCK_TIME_IS_VALID (ask->deadline)) {
    GstClockTime now = gst_tern_task_now (&self->task);

    request.timeout = ask->deadline > now ? ask->deadline - now : 1;
  }
  ok = tern_session_ask (self->session, &request, &session_id, error);
  g_warn_if_fail (!ok || session_id == expected);
  return ok;
}

/* As many as the session takes. Returns why it did not take @own, which is
 * freed then; NULL: it waits or was given. */
static GError *
feed (GstTernGenerator * self, GstTernAsk * own)
{
  GError *refused = NULL, *error = NULL;
  GstTernAsk *ask = NULL;

  g_mutex_lock (&self->ask_lock);
  while (self->session) {
    g_mutex_lock (&self->task.lock);
    ask = take_held (self);
    /* Its answer may be there before we are told its number. */
    if (ask) {
      ask->session_id = self->session_asks + 1;
      g_queue_push_tail (&self->asks_given, ask);
    }
    g_mutex_unlock (&self->task.lock);
    if (!ask)
      break;
    if (give (self, ask, &error)) {
      self->session_asks++;
      continue;
    }
    g_mutex_lock (&self->task.lock);
    g_queue_remove (&self->asks_given, ask);
    if (g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY)) {
      g_queue_push_head (&self->asks_held, ask);
      ask = NULL;
    } else if (ask == own) {
      refused = g_steal_pointer (&error);
      gst_tern_ask_free (ask);
    } else {
      fail (self, ask, error->message, FALSE);
    }
    g_mutex_unlock (&self->task.lock);
    g_clear_error (&error);
    if (!ask)
      break;
  }
  g_mutex_unlock (&self->ask_lock);
  return refused;
}

void
gst_tern_generator_feed_asks (GstTernGenerator * self)
{
  feed (self, NULL);
}

/* Before the first frame there is nothing to ask about. */
void
gst_tern_generator_set_seen (GstTernGenerator * self, gboolean seen)
{
  gboolean news;

  g_mutex_lock (&self->task.lock);
  news = seen && !self->seen;
  self->seen = seen;
  g_mutex_unlock (&self->task.lock);
  if (news)
    feed (self, NULL);
}

/* Of a pad the newest question wins. */
static void
supersede (GstTernGenerator * self)
{
  GList *link, *next;

  for (link = self->asks_held.head; link; link = next) {
    next = link->next;
    if (!((GstTernAsk *) link->data)->from_pad)
      continue;
    fail (self, link->data, "superseded by a newer question", TRUE);
    g_queue_delete_link (&self->asks_held, link);
  }
}

/* Takes @ask. Returns its id; 0 + error: it was refused. */
static guint64
hold (GstTernGenerator * self, GstTernAsk * ask, GError ** error)
{
  guint64 id = 0;

  g_mutex_lock (&self->task.lock);
  if (!self->takes_asks) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected an element in PAUSED or PLAYING, found one that is not");
  } else if (self->asks_held.length >= MAX_HELD) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected at most %u requests that wait, found one more", MAX_HELD);
  } else {
    if (ask->from_pad)
      supersede (self);
    if (ask->request.timeout > 0)
      ask->deadline = gst_tern_task_now (&self->task)
          + MIN (ask->request.timeout, G_MAXINT64);
    ask->id = id = ++self->asked;
    g_queue_push_tail (&self->asks_held, ask);
    g_cond_broadcast (&self->task.cond);
  }
  g_mutex_unlock (&self->task.lock);
  if (id == 0)
    gst_tern_ask_free (ask);
  return id;
}

/* ---- Asking ---- */

/* What is asked about each window from now on. Takes @ask. */
static guint64
ask_standing (GstTernGenerator * self, GstTernAsk * ask, GError ** error)
{
  GstTernStanding *standing =
      gst_tern_ask_to_standing (ask, self->standing);
  guint64 id = 0;

  if (gst_tern_generator_change_standing (self, standing, error)) {
    g_mutex_lock (&self->task.lock);
    id = ++self->asked;
    g_mutex_unlock (&self->task.lock);
  }
  gst_tern_ask_free (ask);
  return id;
}

static guint64
ask_once (GstTernGenerator * self, GstTernAsk * ask, GError ** error)
{
  TernQuestion *question = &ask->request.question;
  guint first = self->next_prompt_id;
  GError *refused = NULL;
  guint64 id;

  if (!ask->prompt_id)
    ask->prompt_id = gst_tern_generator_prompt_id (self, ask->prompt);
  question->prompt_id = ask->prompt_id;
  if (question->min_confidence < 0)
    question->min_confidence = self->standing->min_confidence;
  id = hold (self, ask, error);
  if (id > 0)
    refused = feed (self, ask);
  if (refused) {
    g_propagate_error (error, refused);
    id = 0;
  }
  if (id == 0)
    gst_tern_generator_take_ids_back (self, first);
  return id;
}

/* Takes @ask. */
static guint64
ask (GstTernGenerator * self, GstTernAsk * ask, GError * error)
{
  guint64 id = 0;

  if (ask) {
    g_mutex_lock (&self->prompt_lock);
    id = ask->stands ? ask_standing (self, ask, &error)
        : ask_once (self, ask, &error);
    g_mutex_unlock (&self->prompt_lock);
  }
  if (error)
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("A request was refused."), ("%s", error->message));
  g_clear_error (&error);
  return id;
}

guint64
gst_tern_generator_ask (GstTernGenerator * self, const GstStructure * structure)
{
  GError *error = NULL;
  GstTernAsk *request = NULL;

  if (structure)
    request = gst_tern_ask_from_structure (structure, &error);
  else
    g_set_error (&error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected a structure " GST_TERN_ASK ", found none");
  return ask (self, request, error);
}

gboolean
gst_tern_generator_take_event (GstTernGenerator * self, GstEvent * event,
    gboolean sent, gboolean * taken)
{
  GstElement *element = GST_ELEMENT_CAST (self);
  gboolean asks = gst_event_has_name (event, GST_TERN_ASK);

  if (!asks && !(GST_EVENT_IS_UPSTREAM (event)
          && gst_event_has_name (event, GST_TERN_EVENT_TRIGGER)))
    return FALSE;
  *taken = TRUE;
  if (!sent && gst_tern_heard_before (&self->heard, element, event, taken))
    return TRUE;
  if (!asks) {
    gst_tern_generator_trigger (self,
        sent ? GST_SEQNUM_INVALID : gst_event_get_seqnum (event));
  } else if (gst_tern_generator_ask (self, gst_event_get_structure (event))
      == 0) {
    *taken = FALSE;
    if (!sent)
      gst_tern_heard_refused (&self->heard, element, event);
  }
  return TRUE;
}

/* ---- The end of those that have none ---- */

static void
take_all (GQueue * from, GQueue * to)
{
  gpointer ask;

  while ((ask = g_queue_pop_head (from)))
    g_queue_push_tail (to, ask);
}

/* What waited and was not answered; while nothing can leave, the message and
 * the signal say so alone. @all: those too that no session had yet. */
void
gst_tern_generator_end_asks (GstTernGenerator * self, gboolean all,
    const gchar * reason)
{
  GQueue ended = G_QUEUE_INIT;
  GstTernAsk *ask;

  g_mutex_lock (&self->ask_lock);       /* not one that is being given */
  g_mutex_lock (&self->task.lock);
  take_all (&self->asks_given, &ended);
  take_all (&self->asks_failed, &ended);
  if (all)
    take_all (&self->asks_held, &ended);
  gst_tern_generator_forget_answers (self);
  g_mutex_unlock (&self->task.lock);
  g_mutex_unlock (&self->ask_lock);
  while ((ask = g_queue_pop_head (&ended))) {
    if (!ask->failure) {
      ask->failure = g_strdup (reason);
      ask->cancelled = TRUE;
    }
    gst_tern_generator_tell_failed_ask (self, ask);
    gst_tern_ask_free (ask);
  }
}

void
gst_tern_generator_cancel_held_asks (GstTernGenerator * self)
{
  GstTernAsk *ask;

  g_mutex_lock (&self->task.lock);
  while ((ask = g_queue_pop_head (&self->asks_held)))
    fail (self, ask, "cancelled", TRUE);
  g_mutex_unlock (&self->task.lock);
}

/* Whoever ends requests may do so meanwhile: one that stays is looked at with
 * the lock alone. */
gboolean
gst_tern_generator_name_ask (GstTernGenerator * self, TernResult * result,
    gboolean last)
{
  GstTernAsk *over = NULL;
  gboolean found = FALSE;
  GList *link;

  g_mutex_lock (&self->task.lock);
  for (link = self->asks_given.head; link && !found; link = link->next) {
    GstTernAsk *ask = link->data;

    if (ask->session_id != result->ask_id)
      continue;
    found = TRUE;
    result->ask_id = ask->id;
    if (last) {
      over = ask;
      g_queue_delete_link (&self->asks_given, link);
      break;
    }
  }
  g_mutex_unlock (&self->task.lock);
  gst_tern_ask_free (over);
  return found;
}

/* ---- prompt_sink ---- */

static gchar *
read_text (GstBuffer * buffer, GError ** error)
{
  gsize size = gst_buffer_get_size (buffer);
  gchar *text;

  if (size > MAX_TEXT) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "prompt_sink: expected a question of at most %u bytes, found %"
        G_GSIZE_FORMAT, MAX_TEXT, size);
    return NULL;
  }
  text = g_malloc0 (size + 1);
  gst_buffer_extract (buffer, 0, text, size);
  if (g_utf8_validate (text, size, NULL))
    return text;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
      "prompt_sink: expected UTF-8 text, found other bytes");
  g_free (text);
  return NULL;
}

/* Nobody waits here, and what comes ends nothing. */
GstFlowReturn
gst_tern_generator_prompt_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);
  GstTernStanding *standing;
  GstTernAsk *question = NULL;
  GError *error = NULL;
  gchar *text;

  text = read_text (buffer, &error);
  gst_buffer_unref (buffer);
  if (text && !*g_strstrip (text)) {    /* a pause of who writes */
    g_free (text);
    return GST_FLOW_OK;
  }
  standing = gst_tern_generator_ref_standing (self);
  if (text)
    question = gst_tern_ask_from_text (text, standing);
  gst_tern_standing_unref (standing);
  ask (self, question, error);
  return GST_FLOW_OK;
}

gboolean
gst_tern_generator_prompt_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  gst_event_unref (event);
  return TRUE;
}

GstIterator *
gst_tern_generator_iterate_no_pad (GstPad * pad, GstObject * parent)
{
  return NULL;
}

GstIterator *
gst_tern_generator_iterate_sink (GstPad * pad, GstObject * parent)
{
  return gst_tern_iterate_one_pad (GST_TERN_GENERATOR (parent)->sinkpad);
}
