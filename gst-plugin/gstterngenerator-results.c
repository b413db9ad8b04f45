/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What results get on their way out: a number, times of capture, the signal and
 * the message; and which of them are news. */
#include "gstterngenerator-priv.h"

#include <string.h>

#define MOST_CAPTURES 16384     /* frames whose UTC is known */
#define MOST_TOLD 256           /* questions whose last answer is known */
#define MOST_LAST 16384         /* ids that were those of last questions */
/* A label that is not the one that was told last leaves when it is likelier by
 * so much, or for the second time in a row. */
#define NEWS_MARGIN 0.2
#define NEWS_HELD 2

/* ---- Times of capture ---- */

typedef struct
{
  GstClockTime pts, utc;        /* stream time; NONE: not known */
} Capture;

/* Windows know their stream time alone. */
void
gst_tern_generator_note_capture (GstTernGenerator * self,
    const TernTokens * tokens)
{
  Capture capture = { tokens->pts, tokens->utc > 0 ? tokens->utc :
    GST_CLOCK_TIME_NONE
  };

  g_mutex_lock (&self->task.lock);
  self->frames++;
  self->seen_end = tokens->pts + (tokens->duration == TERN_TIME_NONE ? 0 :
      tokens->duration);
  if (self->captures->len >= MOST_CAPTURES)
    g_array_remove_range (self->captures, 0, MOST_CAPTURES / 4);
  g_array_append_val (self->captures, capture);
  g_mutex_unlock (&self->task.lock);
}

/* Frames of another segment, or behind a flush. @segment: of text; NULL: none
 * yet. */
void
gst_tern_generator_reset_captures (GstTernGenerator * self,
    const GstSegment * segment)
{
  g_mutex_lock (&self->task.lock);
  g_array_set_size (self->captures, 0);
  if (segment)
    gst_segment_copy_into (segment, &self->in_segment);
  else
    gst_segment_init (&self->in_segment, GST_FORMAT_UNDEFINED);
  g_mutex_unlock (&self->task.lock);
}

/* With the task's lock, while the segment of the window is the newest one. */
void
gst_tern_generator_find_capture (GstTernGenerator * self,
    const TernResult * result, GstClockTime * running, GstClockTime * utc)
{
  guint i, n = 0;

  *running = *utc = GST_CLOCK_TIME_NONE;
  if (self->in_segment.format == GST_FORMAT_TIME
      && gst_segment_to_running_time_full (&self->in_segment, GST_FORMAT_TIME,
          result->timestamp, running) != 1)
    *running = GST_CLOCK_TIME_NONE;
  for (i = 0; i < self->captures->len; i++) {
    const Capture *capture = &g_array_index (self->captures, Capture, i);

    if (capture->pts >= result->timestamp) {
      if (capture->pts < result->timestamp + result->duration
          || result->duration == 0)
        *utc = capture->utc;
      break;
    }
    n++;
  }
  /* Later windows begin later; what a request is about may not. */
  if (result->ask_id == 0 && n > 0)
    g_array_remove_range (self->captures, 0, n);
}

/* ---- News ---- */

/* What was said last in answer to a question. */
typedef struct
{
  gchar *said;
  gchar *next;                  /* another label, held so often in a row */
  guint held;
} Told;

static void
free_told (gpointer data)
{
  Told *told = data;

  g_free (told->said);
  g_free (told->next);
  g_free (told);
}

GHashTable *
gst_tern_generator_new_told (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_told);
}

static Told *
told_about (GstTernGenerator * self, const gchar * id)
{
  Told *told = g_hash_table_lookup (self->told, id);

  if (!told) {
    if (g_hash_table_size (self->told) >= MOST_TOLD)
      g_hash_table_remove_all (self->told);
    told = g_new0 (Told, 1);
    g_hash_table_insert (self->told, g_strdup (id), told);
  }
  return told;
}

static gdouble
score_of (const TernResult * result, const gchar * label)
{
  guint i;

  for (i = 0; i < result->n_labels; i++)
    if (g_str_equal (result->labels[i], label))
      return result->scores[i];
  return -1;
}

/* Whether another label than the last one has come to stay. */
static gboolean
label_is_news (Told * told, const TernResult * result)
{
  gdouble before = score_of (result, told->said);

  if (before < 0)               /* of another set */
    return TRUE;
  told->held = g_strcmp0 (told->next, result->result) == 0 ? told->held + 1 : 1;
  g_free (told->next);
  told->next = g_strdup (result->result);
  return told->held >= NEWS_HELD
      || score_of (result, result->result) - before >= NEWS_MARGIN;
}

/* With `on-change`: of the answers to a question about windows those that say
 * something else than the last one that left. */
gboolean
gst_tern_generator_is_news (GstTernGenerator * self, const TernResult * result)
{
  Told *told;
  gboolean news;

  if (result->ask_id > 0 || strcmp (result->kind, "error") == 0
      || strcmp (result->finish_reason, "cancelled") == 0)
    return TRUE;
  told = told_about (self, result->prompt_id);
  if (result->abstained) {
    g_clear_pointer (&told->next, g_free);
    return FALSE;
  }
  if (g_strcmp0 (told->said, result->result) == 0) {
    g_clear_pointer (&told->next, g_free);
    return FALSE;
  }
  news = !told->said || result->n_labels == 0 || label_is_news (told, result);
  if (news) {
    g_free (told->said);
    told->said = g_strdup (result->result);
    g_clear_pointer (&told->next, g_free);
  }
  return news;
}

/* ---- Whether a window is over ---- */

/* Several questions are answered in their order. */
void
gst_tern_generator_note_questions (GstTernGenerator * self,
    const GstTernStanding * standing)
{
  if (standing->n_questions == 0)
    return;
  g_mutex_lock (&self->task.lock);
  if (g_hash_table_size (self->last_ids) >= MOST_LAST)
    g_hash_table_remove_all (self->last_ids);
  g_hash_table_add (self->last_ids, g_strdup (standing->questions
          [standing->n_questions - 1].prompt_id));
  g_mutex_unlock (&self->task.lock);
}

gboolean
gst_tern_generator_is_last (GstTernGenerator * self, const TernResult * result)
{
  gboolean last;

  g_mutex_lock (&self->task.lock);
  last = g_hash_table_contains (self->last_ids, result->prompt_id);
  g_mutex_unlock (&self->task.lock);
  return last;
}

/* ---- Telling ---- */

static void
count (GstTernGenerator * self, TernResult * result)
{
  g_mutex_lock (&self->task.lock);
  result->id = self->next_id++;
  if (strcmp (result->kind, "partial") != 0) {
    self->answered++;
    self->errors += strcmp (result->kind, "error") == 0;
    self->abstained += result->abstained;
  }
  g_mutex_unlock (&self->task.lock);
}

void
gst_tern_generator_count_unchanged (GstTernGenerator * self,
    const TernResult * result)
{
  g_mutex_lock (&self->task.lock);
  self->answered++;
  self->unchanged++;
  self->abstained += result->abstained;
  g_mutex_unlock (&self->task.lock);
}

/* Numbers @result, counts it, and says it to the application. What its meta
 * will have; (transfer full). */
GstStructure *
gst_tern_generator_tell (GstTernGenerator * self, TernResult * result)
{
  GstStructure *structure, *message;

  /* Sessions come and go; the element goes on counting. */
  count (self, result);
  result->version = tern_result_version (result);
  message = gst_tern_result_to_structure (result, GST_TERN_RESULT_NAME);
  structure = gst_structure_copy (message);
  GST_DEBUG_OBJECT (self, "%" GST_PTR_FORMAT, structure);
  /* Who asked hears of it by the result. */
  if (strcmp (result->kind, "error") == 0 && result->ask_id == 0
      && gst_tern_action_is_news (self->action))
    GST_ELEMENT_WARNING (self, LIBRARY, FAILED,
        ("A window could not be answered."), ("%s", result->result));
  gst_tern_generator_signal_result (self, structure);
  gst_element_post_message (GST_ELEMENT_CAST (self),
      gst_message_new_element (GST_OBJECT_CAST (self), message));
  return structure;
}

/* The result of a request that has no answer; @source is to be freed after
 * it. */
void
gst_tern_generator_failed_result (GstTernGenerator * self,
    const GstTernAsk * ask, TernResult * result, gchar ** source)
{
  const TernQuestion *question = &ask->request.question;

  *source = gst_object_get_path_string (GST_OBJECT_CAST (self));
  memset (result, 0, sizeof *result);
  result->kind = "error";
  result->source = *source;
  result->result = ask->failure;
  result->prompt = question->prompt ? question->prompt : "";
  result->prompt_id = question->prompt_id ? question->prompt_id : "";
  result->model = "";
  result->finish_reason = ask->cancelled ? "cancelled" : "error";
  result->confidence = -1;
  result->ask_id = ask->id;
  result->running_time = result->utc = TERN_TIME_NONE;
  g_mutex_lock (&self->task.lock);
  result->timestamp = self->seen_end;
  g_mutex_unlock (&self->task.lock);
  result->timestamp_seconds = result->start = result->end =
      (gdouble) result->timestamp / GST_SECOND;
}

void
gst_tern_generator_tell_failed_ask (GstTernGenerator * self,
    const GstTernAsk * ask)
{
  TernResult result;
  gchar *source;

  gst_tern_generator_failed_result (self, ask, &result, &source);
  gst_structure_free (gst_tern_generator_tell (self, &result));
  g_free (source);
}
