/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/batch-progress.h"

#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

#include "engine/base/json.h"
#include "tools/tool.h"

#define TERMINAL_US (G_USEC_PER_SEC / 5)
#define JSON_US G_USEC_PER_SEC

gboolean
tern_progress_parse (const char *text, TernProgressKind *kind)
{
  static const char *const names[] = { "auto", "json", "none" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (text, names[i])) {
      *kind = i;
      return TRUE;
    }
  return FALSE;
}

static gint64
processor_us (void)
{
  struct timespec now;

  return clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now) == 0 ? now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 : 0;
}

void
tern_progress_begin (TernBatchProgress *progress)
{
  if (progress->kind == TERN_PROGRESS_AUTO && !isatty (STDERR_FILENO))
    progress->kind = TERN_PROGRESS_NONE;
  progress->began = progress->shown = g_get_monotonic_time ();
  progress->processor = processor_us ();
}

void
tern_progress_clear (const TernBatchProgress *progress)
{
  if (progress->kind == TERN_PROGRESS_AUTO)
    tern_tool_show_line (NULL);
}

/* Inputs a second of this run, and the seconds that are left; NAN: not known. */
static void
foretell (const TernBatchProgress *progress, const TernBatchState *state, gint64 now, double *rate, double *left)
{
  double seconds = (now - progress->began) / 1e6;
  guint64 over = state->done + state->failed + state->passed;

  *rate = seconds > 0 ? over / seconds : 0;
  *left = state->total_known && *rate > 0 ? (state->total - MIN (state->total, over + state->skipped)) / *rate : NAN;
}

static guint
width_of (const char *text)
{
  guint width = 0;

  for (; *text; text = g_utf8_next_char (text)) {
    gunichar c = g_utf8_get_char (text);

    width += g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
  }
  return width;
}

/* Columns of the terminal that a line may take without beginning another one, which could not be taken back. */
static guint
columns (void)
{
  struct winsize size;

  return ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

/* The end of a name, which tells more than its beginning, in what is left of the line. */
static void
append_end (GString *line, const char *name, guint room)
{
  g_autoptr (GString) plain = g_string_new (NULL);
  const char *p;

  tern_append_plain (plain, name);
  p = plain->str;
  if (room < 12)
    return;
  if (width_of (p) + 1 <= room) {
    g_string_append_printf (line, " %s", p);
    return;
  }
  while (width_of (p) + 4 > room)
    p = g_utf8_next_char (p);
  g_string_append_printf (line, " ...%s", p);
}

static void
show_line (const TernBatchProgress *progress, const TernBatchState *state, gint64 now)
{
  guint64 over = state->done + state->failed + state->passed + state->skipped;
  double rate, left;
  g_autoptr (GString) line = g_string_new (NULL), behind = g_string_new (NULL);
  guint room = columns ();

  foretell (progress, state, now, &rate, &left);
  g_string_append_printf (line, "[%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT "%s]", over, state->total, state->total_known ? "" : "+");
  if (state->total_known && state->total)
    g_string_append_printf (line, " %.0f %%", 100.0 * over / state->total);
  if (over > state->skipped)
    g_string_append_printf (line, " %.*f/s", rate < 10 ? 2 : 0, rate);
  if (left >= 0)
    g_string_append_printf (line, " %02.0f:%02.0f:%02.0f left", floor (left / 3600), floor (fmod (left, 3600) / 60),
        floor (fmod (left, 60)));
  if (state->failed)
    g_string_append_printf (line, " %" G_GUINT64_FORMAT " failed", state->failed);
  g_string_append_printf (line, " %.1f cores", progress->cores);
  if (state->source && state->length != G_MAXUINT64)
    g_string_append_printf (behind, " %.0f of %.0f s", state->pts / 1e9, state->length / 1e9);
  if (state->source)
    append_end (line, state->source, room - MIN (room, line->len + behind->len));
  g_string_append (line, behind->str);
  if (width_of (line->str) > room)
    g_string_truncate (line, g_utf8_offset_to_pointer (line->str, room) - line->str);
  tern_tool_show_line (line->str);
}

static void
put_double (TernJson *json, const char *name, double value)
{
  tern_json_name (json, name);
  tern_json_double (json, value, 6);
}

/* One object, one line. @times: NULL while it runs. */
static void
show_json (const TernBatchProgress *progress, const TernBatchState *state, gint64 now, const TernBatchTimes *times)
{
  g_autoptr (GString) text = g_string_new (NULL);
  TernJson json = { text };
  double rate, left;

  foretell (progress, state, now, &rate, &left);
  tern_json_open (&json, '{');
  put_double (&json, "seconds", (now - progress->began) / 1e6);
  tern_json_add_uint (&json, "done", state->done);
  tern_json_add_uint (&json, "failed", state->failed);
  tern_json_add_uint (&json, "passed_over", state->passed);
  tern_json_add_uint (&json, "done_before", state->skipped);
  tern_json_add_uint (&json, state->total_known ? "total" : "total_so_far", state->total);
  put_double (&json, "files_per_second", rate);
  put_double (&json, "seconds_left", left);
  put_double (&json, "cores_busy", progress->cores);
  if (times) {
    tern_json_add_bool (&json, "finished", TRUE);
    put_double (&json, "reading_seconds", times->reading);
    put_double (&json, "decoding_seconds", times->decoding);
    put_double (&json, "vision_seconds", times->vision);
    put_double (&json, "language_model_seconds", times->language_model);
    put_double (&json, "writing_seconds", times->writing);
  }
  tern_json_close (&json, '}');
  fprintf (stderr, "%s\n", text->str);
  fflush (stderr);
}

void
tern_progress_show (TernBatchProgress *progress, const TernBatchState *state)
{
  gint64 now, processor, since;

  if (progress->kind == TERN_PROGRESS_NONE)
    return;
  now = g_get_monotonic_time ();
  since = now - progress->shown;
  if (since < (progress->kind == TERN_PROGRESS_JSON ? JSON_US : TERMINAL_US))
    return;
  processor = processor_us ();
  progress->cores = (double) (processor - progress->processor) / since;
  progress->processor = processor;
  progress->shown = now;
  if (progress->kind == TERN_PROGRESS_JSON) {
    show_json (progress, state, now, NULL);
    return;
  }
  show_line (progress, state, now);
}

void
tern_progress_end (TernBatchProgress *progress, const TernBatchState *state)
{
  const TernBatchTimes *times = &progress->times;
  gint64 now = g_get_monotonic_time ();
  double seconds = MAX ((now - progress->began) / 1e6, 1e-6);

  tern_progress_clear (progress);
  if (progress->kind == TERN_PROGRESS_NONE)
    return;
  progress->cores = processor_us () / 1e6 / seconds;
  if (progress->kind == TERN_PROGRESS_JSON) {
    show_json (progress, state, now, times);
    return;
  }
  if (state->total < 2)
    return;
  tern_tool_message ("%" G_GUINT64_FORMAT " done, %" G_GUINT64_FORMAT " failed, %" G_GUINT64_FORMAT " done before, in %.1f s "
      "(%.2f a second); of threads' seconds %.1f were reading, %.1f decoding, %.1f writing, and of answers' %.1f vision, %.1f the "
      "language model", state->done, state->failed, state->skipped, seconds, state->done / seconds, times->reading, times->decoding,
      times->writing, times->vision, times->language_model);
}
