/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern act: what an action model decides, over a video and the states that a robot had. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tern/planes.h"
#include "tern/tern.h"
#include "tools/act-states.h"
#include "tools/media.h"
#include "tools/tool.h"

#define NOT_GIVEN G_MININT
#define LEAST_EVERY 0.001
#define MOST_EVERY 3600.0
/* By which a first picture may be late and still be that of a decision: decoders' delays and the lead-in of sound tracks. */
#define LATE (TERN_SECOND / 10)

typedef struct {
  char *action_model, *model, *mmproj, *instruction, *states, *state_rate, *reuse;
  double every;
  gint frames, threads, track;
  gboolean float_activations, metrics, allow_network;
} Options;

typedef struct {
  TernActionModel *action;
  const TernActionSpace *space;
  TernModel *model;
  TernSession *session;
  TernMedia *media;
  TernStates states;
  gsize next_state;             /* row that was not pushed yet */
  guint rate_n, rate_d;         /* of the states */
  guint frames;                 /* pictures of a decision */
  double every;                 /* seconds */
  TernReuseMode reuse;
  const char *video;
  const char *instruction;
  guint64 decisions;            /* of times that have passed */
  guint64 left_out;             /* of them those before the first picture */
  guint64 first, end;           /* of the pictures */
  gboolean at_first;            /* none was due while there were pictures: one was made at the first */
  gboolean metrics;
  gboolean failed;

  /* the newest frame: borrowed pixels end with the next one */
  TernImage image;
  guint8 *pixels;
  gboolean has_image;
  /* the first one that came late: what is decided about where no decision is due while there are pictures */
  TernImage late_image;
  guint8 *late_pixels;
} Act;

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static gboolean
wrong (const char *option, const char *expected, const char *found)
{
  tern_tool_message ("act: %s: expected %s, found %s", option, expected, found);
  return FALSE;
}

static gboolean
wrong_number (const char *option, const char *expected, double found)
{
  g_autofree char *text = g_strdup_printf ("%g", found);

  return wrong (option, expected, text);
}

static gboolean
check_reuse (const char *text, TernReuseMode *mode)
{
  g_autoptr (GError) error = NULL;

  if (!text || tern_reuse_mode_parse (text, mode, &error))
    return TRUE;
  tern_tool_message ("act: --reuse: %s", error->message);
  return FALSE;
}

static gboolean
check_options (const Options *o, Act *a)
{
  if (!o->action_model)
    return wrong ("--action-model", "the GGUF file of an action model", "none");
  if (!o->instruction)
    return wrong ("--instruction", "what the robot is to do", "none");
  if (!g_utf8_validate (o->instruction, -1, NULL))
    return wrong ("--instruction", "UTF-8", "other bytes");
  if (o->every != NOT_GIVEN && !(o->every >= LEAST_EVERY && o->every <= MOST_EVERY))
    return wrong_number ("--every", "seconds, 0.001 to 3600", o->every);
  if (o->frames != NOT_GIVEN && (o->frames < 1 || o->frames > 64))
    return wrong_number ("--frames", "1 to 64 pictures", o->frames);
  if (o->track != NOT_GIVEN && (o->track < 0 || o->track > 4095))
    return wrong_number ("--track", "the number of a video track, from 0", o->track);
  if (o->state_rate && !tern_tool_parse_rate (o->state_rate, &a->rate_n, &a->rate_d))
    return wrong ("--state-rate", "a positive number of rows a second: N, N/D or a decimal", o->state_rate);
  return check_reuse (o->reuse, &a->reuse) && tern_tool_check_threads (o->threads);
}

/* What depends on whether the action model takes states. */
static gboolean
check_states (const Options *o, const Act *a)
{
  if (a->space->state_dims == 0)
    return !o->states || wrong ("--states", "none, for the action model takes no states", o->states);
  if (!o->states)
    return wrong ("--states", "a .npy file of the robot's states", "none");
  return o->state_rate || wrong ("--state-rate", "rows of --states a second, N/D", "none");
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

/* Keeps @image beyond the next frame. */
static gboolean
keep (const TernImage *image, guint8 **pixels, TernImage *kept, GError **error)
{
  TernPlanes planes;

  if (!tern_planes_of (image, &planes, error))
    return FALSE;
  *pixels = g_realloc (*pixels, tern_planes_bytes (&planes));
  tern_planes_copy (&planes, image, *pixels, kept);
  return TRUE;
}

/* ---- Decisions --------------------------------------------------------------------------------------------------- */

static guint64
time_of (const Act *a, guint64 decision)
{
  return (guint64) llround ((double) decision * a->every * TERN_SECOND);
}

/* Those until @time: models may look back. */
static gboolean
push_states (Act *a, guint64 time, GError **error)
{
  if (a->space->state_dims == 0)
    return TRUE;
  for (gsize last = tern_states_at (&a->states, time); a->next_state <= last; a->next_state++) {
    guint64 when;
    const float *values = tern_states_row (&a->states, a->next_state, &when);

    if (!tern_session_push_state (a->session, MIN (when, time), values, a->space->state_dims, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
push_frame (Act *a, const TernImage *image, guint64 time, GError **error)
{
  g_autoptr (GError) busy = NULL;

  while (!tern_session_push_frame (a->session, image, time, TERN_TIME_NONE, &busy)) {
    if (!g_error_matches (busy, TERN_ERROR, TERN_ERROR_BUSY)) {
      g_propagate_error (error, g_steal_pointer (&busy));
      return FALSE;
    }
    g_clear_error (&busy);
    tern_session_wait (a->session, -1);
  }
  return TRUE;
}

static gboolean
print (Act *a, const TernResult *result)
{
  g_autofree char *line = tern_result_to_json (result);

  a->failed |= g_str_equal (result->kind, "error");
  puts (line);
  return tern_tool_flush ();
}

/* What is decided at @time, about @image, which is there then. */
static gboolean
decide (Act *a, const TernImage *image, guint64 time, GError **error)
{
  TernRequest request = { .question = { .prompt = a->instruction, .action = TRUE }, .frames = a->frames };
  TernResult *result;
  gboolean good;

  if (!push_states (a, time, error) || !push_frame (a, image, time, error)
      || !tern_session_ask (a->session, &request, NULL, error))
    return FALSE;
  if (tern_session_next (a->session, -1, &result) != TERN_NEXT_RESULT) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected a decision at %.3f s, found none", a->video,
        (double) time / TERN_SECOND);
    return FALSE;
  }
  good = print (a, result);
  if (!good)
    a->failed = TRUE;
  tern_result_unref (result);
  return good;
}

/* All that are due before @end, at which another frame is there, or the video is over. */
static gboolean
decide_until (Act *a, guint64 end, GError **error)
{
  for (; time_of (a, a->decisions) < end; a->decisions++)
    if (!decide (a, &a->image, time_of (a, a->decisions), error))
      return FALSE;
  return TRUE;
}

/* Before the first picture there is nothing to decide about. */
static void
begin_at (Act *a, guint64 first)
{
  a->first = first;
  if (first > LATE)
    a->decisions = (guint64) ((double) (first - LATE) / (a->every * TERN_SECOND));
  while (time_of (a, a->decisions) + LATE < first)
    a->decisions++;
  a->left_out = a->decisions;
}

/* Whoever asks for a decision an hour wants one of a video of a minute, too, also if its first picture is late. */
static gboolean
decide_once (Act *a, GError **error)
{
  if (a->decisions > a->left_out)
    return TRUE;
  a->at_first = TRUE;
  return decide (a, a->late_pixels ? &a->late_image : &a->image, a->first, error);
}

/* Each decision is about the newest frame that is there at its time. */
static gboolean
run_media (Act *a, GError **error)
{
  guint64 pts, duration;
  TernMediaStatus status;
  TernImage image;

  while ((status = tern_media_next (a->media, &image, &pts, &duration, error)) == TERN_MEDIA_FRAME) {
    if (!a->has_image) {
      begin_at (a, pts);
      if (a->left_out && !keep (&image, &a->late_pixels, &a->late_image, error))
        return FALSE;
    }
    if ((a->has_image && !decide_until (a, pts, error)) || !keep (&image, &a->pixels, &a->image, error))
      return FALSE;
    a->has_image = TRUE;
    a->end = duration == G_MAXUINT64 || duration == 0 ? pts + 1 : pts + duration;
  }
  /* Of a file that breaks off, what was there is decided about too. */
  if (a->has_image) {
    g_autoptr (GError) other = NULL;

    if (!decide_until (a, a->end, *error ? &other : error) || !decide_once (a, *error ? &other : error))
      return FALSE;
  }
  return status == TERN_MEDIA_END;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static gboolean
open_session (Act *a, GError **error)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  /* Frames stay until the windows that they are in are over: as long as a decision may look back. */
  guint n = a->frames == 1 ? 1 : (a->frames + TERN_GROUP_FRAMES - 1) / TERN_GROUP_FRAMES * TERN_GROUP_FRAMES
      + TERN_GROUP_FRAMES;

  params.rate_n = 0;
  /* Of models whose pictures are two frames each is one, for there is a decision behind each: room is counted for both. */
  params.max_frames = n * MAX (tern_model_picture_frames (a->model), 1);
  params.window = (guint64) (n * a->every * TERN_SECOND);
  params.hop = n == 1 ? 0 : (guint64) ((TERN_GROUP_FRAMES - 0.5) * a->every * TERN_SECOND);
  params.compress.method = TERN_METHOD_NONE;
  params.reuse.mode = a->reuse;
  params.kv_prune = 0;
  params.sampling.max_tokens = 1;
  params.prompt = a->instruction;
  params.on_demand = TRUE;
  params.action = a->action;
  params.metrics = a->metrics;
  params.source = a->video;
  a->session = tern_session_new (a->model, &params, error);
  return a->session != NULL;
}

static gboolean
open_media (const Options *o, Act *a, GError **error)
{
  TernMediaOptions options = TERN_MEDIA_OPTIONS_INIT;

  if (o->track != NOT_GIVEN)
    options.track = o->track;
  options.allow_network = o->allow_network;
  a->media = tern_media_open (a->video, &options, NULL, error);
  if (!a->media)
    return FALSE;
  if (tern_media_is_still (a->media)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected a video, found a still", a->video);
    return FALSE;
  }
  if (tern_media_choice (a->media))
    tern_tool_message ("%s: %s; --track N takes another", a->video, tern_media_choice (a->media));
  return TRUE;
}

/* What has no picture, or no state: pairs are made by time alone. */
static void
tell_outside (const Options *o, Act *a)
{
  double first = (double) a->first / TERN_SECOND, end = (double) a->end / TERN_SECOND;

  if (a->left_out > 0)
    tern_tool_message ("%s: its first picture is at %.3f s: %" G_GUINT64_FORMAT " decision%s before it left out", a->video, first,
        a->left_out, a->left_out == 1 ? "" : "s");
  if (a->at_first)
    tern_tool_message ("%s: no decision is due while there are pictures, %.3f to %.3f s: one is made at the first", a->video, first,
        end);
  if (a->space->state_dims && tern_states_seconds (&a->states) > end + MAX (a->every, 1))
    tern_tool_message ("%s: its %" G_GSIZE_FORMAT " rows go on until %.3f s, the video ends at %.3f s: nothing is decided about "
        "those behind it", o->states, a->states.rows, tern_states_seconds (&a->states), end);
}

static void
tell_short_states (const Options *o, const Act *a)
{
  double seconds = a->space->state_dims ? tern_states_seconds (&a->states) : INFINITY;
  double last = (double) (a->at_first ? a->first : time_of (a, MAX (a->decisions, 1) - 1)) / TERN_SECOND;

  if (last >= seconds)
    tern_tool_message ("%s: its %" G_GSIZE_FORMAT " rows end at %.3f s, decisions at %.3f s: the last row stands for "
        "those behind it", o->states, a->states.rows, seconds, last);
}

static int
run (const Options *o, Act *a)
{
  TernModelParams model = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GError) error = NULL;

  model.model_path = o->model;
  model.mmproj_path = o->mmproj;
  model.threads = (guint) o->threads;
  model.float_activations = o->float_activations;
  a->action = tern_action_model_open (o->action_model, &error);
  if (!a->action)
    return tern_tool_fail (&error);
  a->space = tern_action_model_space (a->action);
  if (!check_states (o, a))
    return TERN_TOOL_USAGE;
  a->frames = o->frames != NOT_GIVEN ? (guint) o->frames : a->space->frames;
  a->every = o->every != NOT_GIVEN ? o->every : (double) a->space->steps * a->space->rate_d / a->space->rate_n;
  a->metrics = o->metrics;
  a->every = CLAMP (a->every, LEAST_EVERY, MOST_EVERY);
  if ((a->space->state_dims
          && !tern_states_read (&a->states, o->states, a->space->state_dims, a->rate_n, a->rate_d, &error))
      || !open_media (o, a, &error) || !(a->model = tern_model_open (&model, &error)) || !open_session (a, &error))
    return tern_tool_fail (&error);
  if (run_media (a, &error))
    tell_outside (o, a);
  else
    a->failed = TRUE;
  if (error)
    tern_tool_message ("%s", error->message);
  tell_short_states (o, a);
  return a->failed ? TERN_TOOL_FAILED : TERN_TOOL_DONE;
}

static void
act_clear (Act *a)
{
  g_clear_pointer (&a->session, tern_session_free);
  g_clear_pointer (&a->model, tern_model_unref);
  g_clear_pointer (&a->action, tern_action_model_unref);
  g_clear_pointer (&a->media, tern_media_free);
  g_clear_pointer (&a->pixels, g_free);
  g_clear_pointer (&a->late_pixels, g_free);
  tern_states_clear (&a->states);
}

static void
options_clear (Options *o)
{
  g_free (o->action_model);
  g_free (o->model);
  g_free (o->mmproj);
  g_free (o->instruction);
  g_free (o->states);
  g_free (o->state_rate);
  g_free (o->reuse);
}

int
tern_tool_act (int argc, char **argv)
{
  Options o = { .every = NOT_GIVEN, .frames = NOT_GIVEN, .track = NOT_GIVEN };
  const GOptionEntry entries[] = {
    { "action-model", 0, 0, G_OPTION_ARG_FILENAME, &o.action_model, "GGUF file of the action model", "FILE" },
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &o.model, "GGUF file of the language model, or a folder with one", "FILE" },
    { "mmproj", 0, 0, G_OPTION_ARG_FILENAME, &o.mmproj, "GGUF file of the vision encoder", "FILE" },
    { "instruction", 0, 0, G_OPTION_ARG_STRING, &o.instruction, "What the robot is to do", "TEXT" },
    { "states", 0, 0, G_OPTION_ARG_FILENAME, &o.states, "The robot's states: .npy, float32 [n, dims]", "FILE" },
    { "state-rate", 0, 0, G_OPTION_ARG_STRING, &o.state_rate, "Rows of the states a second: 30, 30000/1001 or 29.97", "RATE" },
    { "every", 0, 0, G_OPTION_ARG_DOUBLE, &o.every, "Seconds from one decision to the next (a chunk's length)",
        "SECONDS" },
    { "frames", 0, 0, G_OPTION_ARG_INT, &o.frames, "Pictures that a decision looks at, one a decision (what the action "
        "model says)", "N" },
    { "reuse", 0, 0, G_OPTION_ARG_STRING, &o.reuse, "Patches of a picture that look as they did keep their features: off "
        "(default), auto or on", "MODE" },
    { "float-activations", 0, 0, G_OPTION_ARG_NONE, &o.float_activations, "Compute without quantising activations",
        NULL },
    { "metrics", 0, 0, G_OPTION_ARG_NONE, &o.metrics, "JSON lines have how long each stage took", NULL },
    { "threads", 0, 0, G_OPTION_ARG_INT, &o.threads, "Threads (all cores)", "N" },
    { "allow-network", 0, 0, G_OPTION_ARG_NONE, &o.allow_network, "VIDEO may be an address", NULL },
    { "track", 0, 0, G_OPTION_ARG_INT, &o.track, "Video track, counted from 0 (the one that is the video)", "N" },
    { NULL }
  };
  Act a = { NULL };
  g_auto (GStrv) operands = NULL;
  int status = TERN_TOOL_USAGE;

  signal (SIGPIPE, SIG_IGN);    /* a closed pipe is an error of the write */
  if (tern_tool_options (argc, argv, "VIDEO", 1, 1,
          "Decides what a robot does, from a video and the states it had: JSON lines.", entries, &operands)
      && check_options (&o, &a)) {
    a.video = operands[0];
    a.instruction = o.instruction;
    status = run (&o, &a);
  }
  act_clear (&a);
  options_clear (&o);
  return status;
}
