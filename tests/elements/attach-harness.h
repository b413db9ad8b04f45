/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of ternattach share. */
#pragma once

#include <gst/check/gsttestclock.h>
#include "harness.h"

/* A second harness on text_sink; results are made by hand. */
GstHarness *text_side (GstHarness *h);
void push_result (GstHarness *text, guint64 id, guint start, guint end);

/* A frame each half second. */
void push_frames (GstHarness *h, guint from, guint end);
/* Frame @number, as it was; returns the result's id, -1 without one. */
gint64 pull_frame (GstHarness *h, guint number);
/* Frames that wait. */
guint held (GstHarness *h);

/* The clock that elements made from now on go by. It stands until it is set. */
GstTestClock *stop_clock (void);
void let_clock_go (GstTestClock *clock);
/* The element looks at the clock when something comes, if it did not wake by itself. */
void pass_time (GstHarness *h, GstTestClock *clock, GstClockTime time);

/* A query function of what gives text. Whether somebody is at work on it; how often that was asked. */
gboolean work_query (GstPad *pad, GstObject *parent, GstQuery *query);
extern gint at_work, asked;
void wait_until_asked (gint more_than);
/* The next answer takes 70 s of this clock. */
extern GstTestClock *slow;
