/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work that would never end by itself is stopped in every stage of it, in every way, again and again; then the same elements
 * go on. What hangs runs into the time limit of the test. */
#include "harness.h"

#define TIMES 112              /* a thousand in all */

/* What is done when the stop comes. */
typedef enum { LOOKING, ANSWERING, HELD, N_STAGES } Stage;
/* What comes. */
typedef enum { STOP, FLUSH, UNLINK, N_WAYS } Way;

typedef struct {
  GstHarness *h, *text;
  Stage stage;
  guint begun;
} Fixture;

static void
start_segment (Fixture *f, GstClockTime start)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = segment.position = start;
  fail_unless (gst_harness_push_event (f->h, gst_event_new_segment (&segment)));
}

static void
push_frames (Fixture *f, guint from, guint end)
{
  for (; from < end; from++)
    fail_unless_equals_int (gst_harness_push (f->h, make_frame (MS (500 * from), MS (500), 0)), GST_FLOW_OK);
}

/* Up to work that does not end. */
static void
begin (Fixture *f)
{
  TernFakeWork what = f->stage == LOOKING ? TERN_FAKE_FRAMES : TERN_FAKE_ANSWERS;
  guint begun = fake_begun_work (what);

  f->begun = fake_begun ();
  fake_hold_work (what, TRUE);
  push_frames (f, 0, f->stage == LOOKING ? 1 : f->stage == HELD ? 20 : 9);
  fake_wait_work (what, begun + 1);
}

static void
let_go (void)
{
  fake_hold_work (TERN_FAKE_FRAMES, FALSE);
  fake_hold_work (TERN_FAKE_ANSWERS, FALSE);
}

static void
end (Fixture *f, Way way)
{
  GstElement *element = f->h->element;

  switch (way) {
    case STOP:
      fail_unless (gst_element_set_state (element, GST_STATE_NULL) == GST_STATE_CHANGE_SUCCESS);
      break;
    case FLUSH:
      fail_unless (gst_harness_push_event (f->h, gst_event_new_flush_start ()));
      fail_unless (gst_harness_push_event (f->h, gst_event_new_flush_stop (TRUE)));
      break;
    default:
      gst_harness_teardown (f->text);
      f->text = NULL;
      break;
  }
  /* Nothing was begun by the stop. */
  fail_unless (fake_begun () <= f->begun + 1);
}

static void
start (Fixture *f, Stage stage)
{
  *f = (Fixture) { .stage = stage };
  f->h = file_harness ("terncaption prompt=p", "sink", "src");
  f->text = gst_harness_new_with_element (f->h->element, NULL, "text_src");
  gst_harness_set_src_caps_str (f->h, FRAME_CAPS);
}

static void
finish (Fixture *f)
{
  if (f->text)
    gst_harness_teardown (f->text);
  gst_harness_teardown (f->h);
}

GST_START_TEST (test_stops)
{
  Stage stage = __i__ / N_WAYS;
  Way way = __i__ % N_WAYS;
  guint i;

  for (i = 0; i < TIMES; i++) {
    Fixture f;
    GstBuffer *frame;

    start (&f, stage);
    begin (&f);
    end (&f, way);
    let_go ();
    if (way == FLUSH) {
      g_autofree char *text = NULL;

      /* What was begun before is about nothing any more. */
      start_segment (&f, 100 * GST_SECOND);
      push_frames (&f, 200, 209);
      text = pull_text (f.text, 100 * GST_SECOND, 4 * GST_SECOND);
      fail_unless_equals_string (text, "8 frames, p");
    } else if (way == UNLINK && stage != LOOKING) {
      /* Video has its results all the same, and who asks for text again has it. */
      f.text = gst_harness_new_with_element (f.h->element, NULL, "text_src");
      push_frames (&f, stage == HELD ? 20 : 9, 30);
      gst_harness_push_event (f.h, gst_event_new_eos ());
      frame = gst_harness_pull (f.h);
      fail_unless (frame && gst_buffer_get_custom_meta (frame, "TernResultMeta"));
      gst_buffer_unref (frame);
    }
    finish (&f);
  }
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("stops");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_stops, 0, N_STAGES * N_WAYS);
  return run_suite (suite);
}
