/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* terngenerator between its files. */
#pragma once

#include "gstternaction.h"
#include "gstternbudget.h"
#include "gstternelement.h"
#include "gstterngenerator.h"
#include "gstterngenerator-ask.h"
#include "gstternenums.h"
#include "gstternloader.h"
#include "gstternmeta.h"
#include "gstterntask.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_tern_generator_debug);
#define GST_CAT_DEFAULT gst_tern_generator_debug

/* The settings that say what is asked, in the order of their properties. */
typedef enum
{
  GST_TERN_SETTING_PROMPT,
  GST_TERN_SETTING_PROMPT_PATH,
  GST_TERN_SETTING_PROMPTS,
  GST_TERN_SETTING_TASK,
  GST_TERN_SETTING_LABELS,
  GST_TERN_SETTING_MIN_CONFIDENCE,
  GST_TERN_SETTING_JSON_SCHEMA,
  GST_TERN_SETTING_JSON_SCHEMA_PATH,
  GST_TERN_SETTING_GRAMMAR,
  GST_TERN_SETTING_GRAMMAR_PATH,
  GST_TERN_SETTING_ACTION_PATH,
  GST_TERN_SETTINGS
} GstTernSetting;

struct _GstTernGenerator
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;

  /* Under the object lock. */
  GstPad *jsonpad, *promptpad;
  GstTernModelSettings settings;
  GstTernStanding *standing;    /* changed with the prompt lock too */
  gboolean on_change;
  gchar *draft_model;
  gchar *draft_named;           /* what the session was made with; under the
                                 * prompt lock */
  gchar *language;
  TernBudgetParams budget_params;
  TernBudget *budget;           /* NULL: none; from READY to READY */
  TernSessionParams params;     /* what properties set, and the rate; strings
                                 * are unused */
  TernSessionParams accepted;   /* by the session */
  GstTernLeaky leaky;
  GstTernTimestamps timestamps;
  gboolean params_changed;
  gboolean live;                /* upstream */
  GstClockTime latency;         /* of an answer, as the property says */
  guint64 window, hop;          /* ns, as the session rounded them; 0 before */

  /* Taken before all other locks: the session's questions and parameters
   * change, and requests are asked, one after the other. */
  GMutex prompt_lock;
  GHashTable *prompt_ids;       /* text: guint, counted */
  guint next_prompt_id;

  /* Before the session's lock: as long as it is held the session stays, and
   * nobody else asks it anything. Forms are compiled and prompts tokenised with
   * it, and so no frame waits for it. */
  GMutex ask_lock;
  guint64 session_asks;         /* requests that the session took */

  /* Under @session_lock for all but the streaming thread, which replaces it.
   * Never taken by the engine thread. */
  GMutex session_lock;
  TernSession *session;

  GstTernTask task;             /* pushes what leaves: OutItem */
  /* Under its lock. */
  guint64 dropped_seen;
  guint64 frames;               /* since READY, as those that follow */
  guint64 answered, errors, abstained, unchanged;
  guint64 guesses_before[4];    /* and right; of drafts, and right */
  guint64 repeated_before, deferred_before;
  guint64 dropped_before, windows_before;       /* by sessions before this
                                                 * one */
  gboolean takes_asks;          /* from READY to PAUSED, and back */
  gboolean seen;                /* the session has a frame to ask about */
  guint64 asked;                /* requests, as long as the element lives */
  guint64 asked_before;         /* ... of these, before READY */
  GQueue asks_given, asks_held, asks_failed;    /* GstTernAsk */
  guint64 next_id;              /* of results, as long as the element lives */
  GHashTable *last_ids;         /* of prompts that end a window's questions */
  GArray *captures;             /* of the newest segment's frames */
  GstSegment in_segment;        /* of text, for them */
  GstClockTime seen_end;        /* stream time of the newest frame's end */
  GstClockTime progress;        /* running time that video has got to, and text
                                 * was not said to have; or NONE */
  GstClockTime last_latency;    /* of the last answer, live; or NONE */
  gboolean latency_said;

  GstTernHeard heard;           /* under the object lock */
  GstTernLoader *loader;
  GstTernAction *action;        /* as long as the element lives */

  /* The streaming thread's. */
  GstTernTokenInfo info;
  GstCaps *refused;             /* and why was said */
  GstTernTokenMap map;
  GstSegment segment;
  guint64 count;
  GstClockTime last_end;        /* of the tokens so far, stream time; NONE before
                                 * them */
  gboolean session_leaky;
  gint triggered;               /* atomic */

  /* The src task's. */
  GstSegment out_segment;       /* PTS are stream times */
  GstClockTime position;        /* up to which text is decided */
  GstClockTime cue_until;       /* running time of the last cue's end; NONE */
  GstClockTime sample_until;    /* of the last buffer for an MP4 muxer; NONE */
  GHashTable *told;             /* prompt id: what was answered last */
  GstEvent *segment_event;
  guint group_id;
  gboolean have_group_id;
  gboolean src_started, json_started;
  gboolean language_told;
  gboolean ended;               /* both pads */
  gboolean text_ended;          /* before the answers did */
  gboolean begun;               /* it was said where the segment's JSON begins */
};

/* gstterngenerator.c */
void gst_tern_generator_signal_result (GstTernGenerator * self,
    GstStructure * result);

/* gstterngenerator-properties.c */
void gst_tern_generator_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec);
void gst_tern_generator_get_property (GObject * object, guint id,
    GValue * value, GParamSpec * pspec);
void gst_tern_generator_install_own_properties (GObjectClass * klass);
void gst_tern_generator_install_question_properties (GObjectClass * klass,
    guint first);
void gst_tern_generator_init_properties (GstTernGenerator * self);

/* gstterngenerator-questions.c; those with the prompt lock as said there */
/* From the next window on. */
void gst_tern_generator_set_question (GstTernGenerator * self,
    GstTernSetting setting, const GValue * value);
void gst_tern_generator_get_question (GstTernGenerator * self,
    GstTernSetting setting, GValue * value);
/* When the element starts: reads files, and sees what does not go together. */
gboolean gst_tern_generator_check_questions (GstTernGenerator * self,
    GError ** error);
GstTernStanding *gst_tern_generator_ref_standing (GstTernGenerator * self);
/* With the prompt lock: takes @standing; what is not taken changes nothing. */
gboolean gst_tern_generator_change_standing (GstTernGenerator * self,
    GstTernStanding * standing, GError ** error);
/* With the prompt lock: the same for the same text. */
gchar *gst_tern_generator_prompt_id (GstTernGenerator * self,
    const gchar * prompt);
void gst_tern_generator_take_ids_back (GstTernGenerator * self, guint first);
void gst_tern_generator_init_questions (GstTernGenerator * self);
void gst_tern_generator_clear_questions (GstTernGenerator * self);

/* gstterngenerator-requests.c */
/* The request's id; 0: refused, a WARNING says why. */
guint64 gst_tern_generator_ask (GstTernGenerator * self,
    const GstStructure * structure);
/* Those that wait, as far as the session takes them. */
void gst_tern_generator_feed_asks (GstTernGenerator * self);
void gst_tern_generator_set_seen (GstTernGenerator * self, gboolean seen);
void gst_tern_generator_end_asks (GstTernGenerator * self, gboolean all,
    const gchar * reason);
void gst_tern_generator_cancel_held_asks (GstTernGenerator * self);
/* @result, of a session, gets the id that its request is known by; FALSE: that
 * was ended before. With its @last result it is over. */
gboolean gst_tern_generator_name_ask (GstTernGenerator * self,
    TernResult * result, gboolean last);
/* With the task's lock. */
gboolean gst_tern_generator_has_failed_asks (GstTernGenerator * self);
GstTernAsk *gst_tern_generator_take_failed_ask (GstTernGenerator * self);
GstClockTime gst_tern_generator_next_deadline (GstTernGenerator * self);
GstFlowReturn gst_tern_generator_prompt_chain (GstPad * pad,
    GstObject * parent, GstBuffer * buffer);
gboolean gst_tern_generator_prompt_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
GstIterator *gst_tern_generator_iterate_no_pad (GstPad * pad,
    GstObject * parent);
GstIterator *gst_tern_generator_iterate_sink (GstPad * pad, GstObject * parent);

/* gstterngenerator-results.c */
void gst_tern_generator_note_capture (GstTernGenerator * self,
    const TernTokens * tokens);
void gst_tern_generator_reset_captures (GstTernGenerator * self,
    const GstSegment * segment);
void gst_tern_generator_find_capture (GstTernGenerator * self,
    const TernResult * result, GstClockTime * running, GstClockTime * utc);
GHashTable *gst_tern_generator_new_told (void);
gboolean gst_tern_generator_is_news (GstTernGenerator * self,
    const TernResult * result);
void gst_tern_generator_count_unchanged (GstTernGenerator * self,
    const TernResult * result);
void gst_tern_generator_note_questions (GstTernGenerator * self,
    const GstTernStanding * standing);
gboolean gst_tern_generator_is_last (GstTernGenerator * self,
    const TernResult * result);
GstStructure *gst_tern_generator_tell (GstTernGenerator * self,
    TernResult * result);
void gst_tern_generator_failed_result (GstTernGenerator * self,
    const GstTernAsk * ask, TernResult * result, gchar ** source);
void gst_tern_generator_tell_failed_ask (GstTernGenerator * self,
    const GstTernAsk * ask);

/* gstterngenerator-input.c */
GstFlowReturn gst_tern_generator_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer);
GstFlowReturn gst_tern_generator_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_generator_sink_activate_mode (GstPad * pad,
    GstObject * parent, GstPadMode mode, gboolean active);
/* Nobody takes what is still to be answered. Whoever waits for it goes on. */
void gst_tern_generator_interrupt (gpointer generator, gboolean interrupt);

/* A window begins now. The event that says so upstream has @seqnum, unless that
 * is GST_SEQNUM_INVALID. */
void gst_tern_generator_trigger (GstTernGenerator * self, guint32 seqnum);
void gst_tern_generator_take_trigger (GstTernGenerator * self);

/* gstterngenerator-session.c */
void gst_tern_generator_reset_counts (GstTernGenerator * self);
void gst_tern_generator_update_params (GstTernGenerator * self);
GstStructure *gst_tern_generator_make_stats (GstTernGenerator * self);
guint64 gst_tern_generator_count_dropped (GstTernGenerator * self,
    guint * queued);
gboolean gst_tern_generator_make_session (GstTernGenerator * self,
    TernModel * model, GError ** error);
void gst_tern_generator_drop_session (GstTernGenerator * self);
/* The windows so far are answered, the last one as far as it goes. */
void gst_tern_generator_drain (GstTernGenerator * self);
/* Time that a window is about, and from one's start to the next one's: whole
 * groups of frames. */
GstClockTime gst_tern_generator_window_time (GstTernGenerator * self);
GstClockTime gst_tern_generator_hop_time (GstTernGenerator * self);

/* gstterngenerator-times.c */
/* Stream time of a timestamp; 0 before the beginning. */
GstClockTime gst_tern_generator_stream_time (const GstSegment * segment,
    GstClockTime pts);
GstClockTime gst_tern_generator_stream_duration (const GstSegment * segment,
    GstClockTime duration);
GstEvent *gst_tern_generator_text_segment_event (GstEvent * event);
void gst_tern_generator_note_progress (GstTernGenerator * self,
    GstEvent * event, gboolean left);
gboolean gst_tern_generator_query_latency (GstTernGenerator * self,
    GstPad * pad, GstQuery * query);
gboolean gst_tern_generator_answer_held (GstTernGenerator * self,
    GstQuery * query);
gboolean gst_tern_generator_sink_query (GstPad * pad, GstObject * parent,
    GstQuery * query);
void gst_tern_generator_check_latency (GstTernGenerator * self,
    const TernResult * result);

/* gstterngenerator-text.c; the src task's, but for the first. */
gboolean gst_tern_generator_text_meets_others (GstTernGenerator * self);
/* Video is at @time; @decided: results before it have left. JSON is about the
 * past, and hears of the former where somebody waits for it alone. */
void gst_tern_generator_push_json_gap (GstPad * json, GstClockTime time,
    gboolean decided);
/* No text comes before @time; what is
 * @decided stays so. */
void gst_tern_generator_push_gap (GstTernGenerator * self, GstClockTime time,
    gboolean decided);
GstFlowReturn gst_tern_generator_push_text (GstTernGenerator * self,
    const TernResult * result, const GstStructure * structure);

/* gstterngenerator-output.c */
GstBuffer *gst_tern_generator_result_buffer (const gchar * text, gsize size,
    GstClockTime pts, GstClockTime duration, const GstStructure * structure);
/* Whether text has the time of its arrival. */
gboolean gst_tern_generator_stamps_arrival (GstTernGenerator * self);
/* A TernResultFunc. */
void gst_tern_generator_on_result (void *data, TernResult * result);
/* Text will begin at @time; lets sinks preroll and muxers start. */
void gst_tern_generator_enqueue_start (GstTernGenerator * self,
    GstClockTime time);
void gst_tern_generator_end_live_text (GstTernGenerator * self);
/* No text comes before @end. Both are stream times. */
void gst_tern_generator_enqueue_gap (GstTernGenerator * self, GstClockTime end);
/* With the lock: requests were ended, and what waits to leave in answer to them
 * is void. */
void gst_tern_generator_forget_answers (GstTernGenerator * self);
/* With the lock: results that wait to leave. */
guint gst_tern_generator_count_results (GstTernGenerator * self);
/* A QOS message, when windows were dropped since the last one. */
void gst_tern_generator_post_dropped (GstTernGenerator * self,
    const GstSegment * segment, GstClockTime pts);
/* Of what leaves as @name. Free it. */
gchar *gst_tern_generator_make_stream_id (GstTernGenerator * self,
    const gchar * name);
GstPad *gst_tern_generator_ref_json_pad (GstTernGenerator * self);
extern const GstTernTaskFuncs gst_tern_generator_task;
gboolean gst_tern_generator_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query);
gboolean gst_tern_generator_src_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_generator_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active);

G_END_DECLS
