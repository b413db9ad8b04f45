/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the elements share: fake models, frames, tokens, a bus. */
#pragma once

#include <gst/check/check.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include "fake-tern.h"

/* Model files that the fake engine takes; other_* belong to another encoder. */
extern char *model_path, *mmproj_path, *other_model_path;

#define FRAME_CAPS "video/x-raw, format = RGB, width = 16, height = 16, framerate = 10/1"
#define MS(n) ((n) * GST_MSECOND)

/* Makes the files, runs the suite, prints TAP. */
int run_suite (Suite *suite);

/* A harness whose upstream is a file, not a live source (which is what GstHarness says). */
GstHarness *file_harness (const char *launch, const char *sink, const char *src);
/* The same for several elements in a row, as a bin. */
GstHarness *chain_harness (const char *launch);
/* The same for a bin that has pads sink and src; takes it. */
GstHarness *bin_harness (GstElement *bin);
/* The element gets a bus, which the caller owns. */
GstBus *watch (GstElement *element);
/* Gives the bus back: what is still on it holds the element. */
void unwatch (GstBus *bus);
/* The error's domain and code must be these; takes the message. */
void expect_error (GstBus *bus, GQuark domain, gint code);
/* Takes those that have come by now. */
guint count_messages (GstBus *bus, GstMessageType types);
/* Waits for what must come; where it does not, the test's time limit says so. */
GstMessage *wait_message (GstBus *bus, GstMessageType types);

/* Where a buffer that leaves waits, as the probe wait_at_gate() of a pad has it, and is then answered @flow. Cleared by
 * gate_clear(). */
typedef struct {
  GMutex lock;
  GCond cond;
  gboolean arrived, go;
  GstFlowReturn flow;
} Gate;

void gate_init (Gate *gate, GstFlowReturn flow);
void gate_clear (Gate *gate);
GstPadProbeReturn wait_at_gate (GstPad *pad, GstPadProbeInfo *info, gpointer gate);
void wait_for_arrival (Gate *gate);
void open_gate (Gate *gate);

/* The fake engine, held: answers begin but do not end, unless they are cancelled. In place of sleeping. */
void fake_hold (gboolean hold);
/* Answers that were begun so far; waits until there are so many. */
guint fake_begun (void);
void fake_wait_begun (guint n);
/* The same of frames that are encoded, and of models that are loaded, which nobody cancels. */
void fake_hold_work (TernFakeWork what, gboolean hold);
guint fake_begun_work (TernFakeWork what);
void fake_wait_work (TernFakeWork what, guint n);
/* Labels and constraints of answers that there are. */
guint fake_forms (void);
/* Compiling a schema or grammar, held: it begins but does not end. */
void fake_hold_forms (gboolean hold);
void fake_wait_forms (void);
/* A function of the fake libtern, which is in the plugin. */
gpointer fake_function (const char *name);

GstBuffer *make_frame (GstClockTime pts, GstClockTime duration, guint8 value);
/* Tokens of frame @number at 2 frames a second; 16 of 8 floats. */
GstBuffer *make_tokens (guint64 number);
char *token_caps (const char *mmproj);
guint64 token_number (GstBuffer *buffer);
/* Events of @h in order, without PROGRESS, up to @last. */
char *events_until (GstHarness *h, GstEventType last);
/* The next buffer of text, as a string; checks the time. */
char *pull_text (GstHarness *h, GstClockTime pts, GstClockTime duration);

/* terngenerator behind a file, with the caps of its encoder's tokens. */
GstHarness *start_generator (const char *launch);
/* Frames [from, end). */
void push_tokens (GstHarness *h, guint64 from, guint64 end);
/* The next buffer, which has a result, and what that says. */
GstBuffer *pull_result (GstHarness *h);
const char *result_string (GstBuffer *buffer, const char *field);
guint64 result_uint64 (GstBuffer *buffer, const char *field);
gboolean result_has (GstBuffer *buffer, const char *field);
/* Frames [from, end) whose tokens begin with @value: the fake engine's last label is @value / 255 probable. */
void push_bright_tokens (GstHarness *h, guint64 from, guint64 end, float value);
/* The next result on the bus; a copy of its structure. */
GstStructure *wait_result (GstBus *bus);
/* The debug text of the next WARNING has all of @words (NULL-terminated), and it is RESOURCE SETTINGS. */
void expect_refusal (GstBus *bus, const char *const *words);
void expect_no_warning (GstBus *bus);
/* The next WARNING has @words in its text or debug text. */
void expect_warning_of (GstBus *bus, const char *words);
/* A pad @name of the bin, which is @pad of the element @child. */
void add_ghost (GstElement *bin, const char *name, const char *child, const char *pad);
/* The property @name reads @expected, as GStreamer spells it; NULL: unset. */
void expect_value (gpointer object, const char *name, const char *expected);
