/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* terngenerator between its files. */
#pragma once

#include "gstterngenerator.h"
#include "gstternenums.h"
#include "gstternloader.h"
#include "gstternmeta.h"
#include "gstterntask.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_tern_generator_debug);
#define GST_CAT_DEFAULT gst_tern_generator_debug

struct _GstTernGenerator
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;

  /* Under the object lock. */
  GstPad *jsonpad;
  GstTernModelSettings settings;
  gchar *prompt, *prompt_path;  /* as they are read back */
  gchar *prompt_text;           /* the prompt in force; NULL: the model's own */
  TernSessionParams params;     /* what properties set, and the rate; strings
                                 * are unused */
  TernSessionParams accepted;   /* by the session */
  GstTernLeaky leaky;
  GstTernTimestamps timestamps;
  gboolean params_changed;
  gboolean live;                /* upstream */
  GstClockTime latency;         /* of an answer, as the property says */

  /* Taken before all other locks: the session's prompt and parameters change
   * one after the other. */
  GMutex prompt_lock;
  GHashTable *prompt_ids;       /* text: guint, counted */
  guint next_prompt_id;

  /* Under @session_lock for all but the streaming thread, which replaces it.
   * Never taken by the engine thread. */
  GMutex session_lock;
  TernSession *session;

  GstTernTask task;             /* pushes what leaves: OutItem */
  /* Under its lock. */
  guint64 dropped_seen;
  guint64 answered, errors;     /* since READY */
  guint64 dropped_before;       /* by sessions before this one */
  GstClockTime progress;        /* running time that video has got to, and text
                                 * was not said to have; or NONE */
  GstClockTime last_latency;    /* of the last answer, live; or NONE */
  gboolean latency_said;

  GstTernLoader *loader;

  /* The streaming thread's. */
  GstTernTokenInfo info;
  GstCaps *refused;             /* and why was said */
  GstTernTokenMap map;
  GstSegment segment;
  guint64 count;
  GstClockTime last_end;        /* of the tokens so far, stream time; NONE before
                                 * them */
  gboolean session_leaky;

  /* The src task's. */
  GstSegment out_segment;       /* PTS are stream times */
  GstClockTime position;        /* up to which text is decided */
  GstClockTime cue_until;       /* running time of the last cue's end; NONE */
  GstClockTime sample_until;    /* of the last buffer for an MP4 muxer; NONE */
  guint64 next_id;              /* of results, as long as the element lives */
  GstEvent *segment_event;
  guint group_id;
  gboolean have_group_id;
  gboolean src_started, json_started;
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
void gst_tern_generator_init_properties (GstTernGenerator * self);

/* gstterngenerator-prompt.c */
/* From the next window on. */
void gst_tern_generator_set_prompt (GstTernGenerator * self,
    const gchar * prompt);
void gst_tern_generator_set_prompt_path (GstTernGenerator * self,
    const gchar * path);
/* When the element starts: reads the file, if there is one. */
gboolean gst_tern_generator_check_prompt (GstTernGenerator * self,
    GError ** error);
/* With @prompt_lock: the prompt in force, NULL being the model's own, and its
 * id, which is the same for the same text. Free both. */
void gst_tern_generator_get_prompt (GstTernGenerator * self, gchar ** prompt,
    gchar ** id);
void gst_tern_generator_clear_prompt (GstTernGenerator * self);

/* gstterngenerator-input.c */
GstFlowReturn gst_tern_generator_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer);
GstFlowReturn gst_tern_generator_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_generator_sink_activate_mode (GstPad * pad,
    GstObject * parent, GstPadMode mode, gboolean active);
/* Nobody takes what is still to be answered. Whoever waits for it goes on. */
void gst_tern_generator_interrupt (gpointer generator, gboolean interrupt);

/* gstterngenerator-session.c */
void gst_tern_generator_update_params (GstTernGenerator * self);
GstStructure *gst_tern_generator_make_stats (GstTernGenerator * self);
guint64 gst_tern_generator_count_dropped (GstTernGenerator * self,
    guint * queued);
gboolean gst_tern_generator_make_session (GstTernGenerator * self,
    TernModel * model, GError ** error);
void gst_tern_generator_drop_session (GstTernGenerator * self);
/* The windows so far are answered, the last one as far as it goes. */
void gst_tern_generator_drain (GstTernGenerator * self);
/* Time that a window is about: whole groups of frames. */
GstClockTime gst_tern_generator_window_time (GstTernGenerator * self);

/* gstterngenerator-times.c */
/* Stream time of a timestamp; 0 before the beginning. */
GstClockTime gst_tern_generator_stream_time (const GstSegment * segment,
    GstClockTime pts);
GstClockTime gst_tern_generator_stream_duration (const GstSegment * segment,
    GstClockTime duration);
/* The segment of text for that of tokens. */
void gst_tern_generator_text_segment (const GstSegment * tokens,
    GstSegment * text);
GstEvent *gst_tern_generator_text_segment_event (GstEvent * event);
void gst_tern_generator_note_progress (GstTernGenerator * self,
    GstEvent * event, gboolean left);
gboolean gst_tern_generator_query_latency (GstTernGenerator * self,
    GstPad * pad, GstQuery * query);
gboolean gst_tern_generator_sink_query (GstPad * pad, GstObject * parent,
    GstQuery * query);
void gst_tern_generator_check_latency (GstTernGenerator * self,
    const TernResult * result);

/* gstterngenerator-text.c; the src task's. No text comes before @time; what is
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
/* With the lock: results that wait to leave. */
guint gst_tern_generator_count_results (GstTernGenerator * self);
/* A QOS message, when windows were dropped since the last one. */
void gst_tern_generator_post_dropped (GstTernGenerator * self,
    const GstSegment * segment, GstClockTime pts);
GstPad *gst_tern_generator_ref_json_pad (GstTernGenerator * self);
extern const GstTernTaskFuncs gst_tern_generator_task;
gboolean gst_tern_generator_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query);
gboolean gst_tern_generator_src_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_generator_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active);

G_END_DECLS
