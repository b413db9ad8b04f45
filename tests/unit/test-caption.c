/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern caption: what it reads, what it writes where, what it leaves out of videos, and what it says of bad input. */
#include <glib/gstdio.h>

#include "tests/unit/caption-run.h"
#include "tools/subtitles.h"

static void
test_lines (void)
{
  g_auto (Run) run = { 0 };
  g_autofree char *found = NULL, *passed = NULL;

  if (absent ())
    return;
  run = caption (at ("clips"), at ("still.ppm"), NULL);
  passed = g_strdup_printf ("tern: %s: 1 file passed over, neither picture nor video: notes.txt\n", at ("clips"));
  g_assert_cmpstr (run.err, ==, passed);
  g_assert_cmpint (run.status, ==, 0);
  found = summary (run.out);
  g_assert_cmpstr (found, ==, "clips/a.y4m 0-4\nclips/a.y4m 4-5\nclips/b/c.y4m 0-1\nclips/d.ppm 0-0\nstill.ppm 0-0\n");
}

static void
test_options (void)
{
  g_auto (Run) run = { 0 };
  g_autofree char *text = NULL, *found = NULL;

  if (absent ())
    return;
  run = caption ("--output", at ("lines.jsonl"), "--metrics", "--window", "2", "--frame-rate", "4/2", "--compress", "none",
      "--kv-prune", "0", "--kv", "int8", "--beam", "2", "--prompt", "", at ("clips/a.y4m"), NULL);
  g_assert_cmpint (run.status, ==, 0);
  g_assert_cmpstr (run.out, ==, "");
  g_assert_true (g_file_get_contents (at ("lines.jsonl"), &text, NULL, NULL));
  found = summary (text);
  g_assert_cmpstr (found, ==, "clips/a.y4m 0-2\nclips/a.y4m 2-4\nclips/a.y4m 4-5\n");
  g_assert_nonnull (strstr (text, "\"metrics\":{\"prepare_embeddings_duration_mean\":"));
}

/* Bad inputs are told by name; the others are done. */
static void
test_bad_inputs (void)
{
  static const char *const bad[] = { "empty.mp4", "sound.wav", "tiny.y4m", "text.mkv", "missing.mp4" };
  g_auto (Run) run = { 0 };
  g_autofree char *found = NULL;

  if (absent ())
    return;
  run = caption (at (bad[0]), at (bad[1]), at (bad[2]), at (bad[3]), at (bad[4]), at ("still.ppm"), NULL);
  g_assert_cmpint (run.status, ==, 1);
  found = summary (run.out);
  g_assert_cmpstr (found, ==, "still.ppm 0-0\n");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_nonnull (strstr (run.err, bad[i]));
  {
    g_auto (GStrv) lines = g_strsplit (run.err, "\n", -1);      /* one each, and nothing from the decoders */

    g_assert_cmpuint (g_strv_length (lines), ==, G_N_ELEMENTS (bad) + 1);
  }
}

static void
test_bad_options (void)
{
  static const char *const bad[][2] = {
    { "--frame-rate", "-2" }, { "--frame-rate", "1/0" }, { "--window", "0" }, { "--window", "nan" },
    { "--merge-ratio", "1.5" }, { "--kv-prune", "-0.5" }, { "--kv", "int2" }, { "--beam", "0" }, { "--max-tokens", "0" },
    { "--threads", "-1" }, { "--compress", "zip" }, { "--format", "doc" }, { "--format", "srt" }, { "--beam", "two" },
    { "--track", "-1" },
  };

  if (absent ())
    return;
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_auto (Run) run = caption (bad[i][0], bad[i][1], at ("still.ppm"), NULL);

    g_assert_cmpint (run.status, ==, 2);
    g_assert_cmpstr (run.out, ==, "");
    g_assert_nonnull (strstr (run.err, g_str_equal (bad[i][1], "srt") ? "--output" : bad[i][0]));
  }
}

static void
test_unwritable (void)
{
  g_auto (Run) lines = { 0 }, subtitles = { 0 };

  if (absent ())
    return;
  lines = caption ("--output", folder, at ("still.ppm"), NULL);
  g_assert_cmpint (lines.status, ==, 1);
  g_assert_nonnull (strstr (lines.err, folder));
  subtitles = caption ("--format", "srt", "--output", at ("still.ppm"), at ("clips/a.y4m"), NULL);
  g_assert_cmpint (subtitles.status, ==, 1);
  g_assert_nonnull (strstr (subtitles.err, "still.ppm"));
}

/* A picture each 20 s: cues of a window, not of a frame, that end before the next picture. */
static void
test_slides (void)
{
  g_auto (Run) run = { 0 };
  g_autofree char *srt = NULL;

  if (absent ())
    return;
  clip_write_y4m (at ("slides.y4m"), 64, 48, "1:20", 3, 0);
  run = caption ("--format", "srt", "--output", at ("slides"), at ("slides.y4m"), NULL);
  g_assert_cmpint (run.status, ==, 0);
  g_assert_true (g_file_get_contents (at ("slides/slides.srt"), &srt, NULL, NULL));
  g_assert_true (g_str_has_prefix (srt, "1\n00:00:00,000 --> 00:00:03,999\n"));
  g_assert_nonnull (strstr (srt, "\n2\n00:00:20,000 --> 00:00:23,999\n"));
  g_assert_nonnull (strstr (srt, "\n3\n00:00:40,000 --> 00:00:43,999\n"));
}

static void
test_subtitles (void)
{
  g_auto (Run) run = { 0 }, again = { 0 }, still = { 0 };
  g_autofree char *srt = NULL, *vtt = NULL, *bytes = NULL;
  gsize n;

  if (absent ())
    return;
  g_assert_true (g_file_get_contents (at ("clips/a.y4m"), &bytes, &n, NULL));
  g_assert_cmpint (g_mkdir (at ("namesake"), 0777), ==, 0);
  g_assert_true (g_file_set_contents (at ("namesake/a.y4m"), bytes, n, NULL));
  run = caption ("--format", "srt", "--output", at ("made/here"), at ("clips/a.y4m"), at ("clips/b/c.y4m"),
      at ("namesake/a.y4m"), NULL);
  g_assert_cmpstr (run.err, ==, "");
  g_assert_cmpint (run.status, ==, 0);
  g_assert_cmpstr (run.out, ==, "");
  g_assert_true (g_file_get_contents (at ("made/here/a.srt"), &srt, NULL, NULL));
  g_assert_true (g_str_has_prefix (srt, "1\n00:00:00,000 --> 00:00:04,000\n"));
  g_assert_nonnull (strstr (srt, "\n\n2\n00:00:04,000 --> 00:00:05,000\n"));
  g_assert_true (g_file_test (at ("made/here/c.srt"), G_FILE_TEST_EXISTS));
  g_assert_true (g_file_test (at ("made/here/a.y4m.srt"), G_FILE_TEST_EXISTS));
  again = caption ("--format", "vtt", "--output", at ("made/here"), at ("clips/a.y4m"), NULL);
  g_assert_cmpint (again.status, ==, 0);
  g_assert_true (g_file_get_contents (at ("made/here/a.vtt"), &vtt, NULL, NULL));
  g_assert_true (g_str_has_prefix (vtt, "WEBVTT\n\n1\n00:00:00.000 --> 00:00:04.000\n"));
  still = caption ("--format", "srt", "--output", at ("made"), at ("clips/a.y4m"), at ("still.ppm"), NULL);
  g_assert_cmpint (still.status, ==, 2);
  g_assert_nonnull (strstr (still.err, "still.ppm"));
  /* Beside films, in their folder, pictures are posters. */
  for (guint i = 0; i < 2; i++) {
    g_auto (Run) films = caption ("--format", "srt", "--output", at ("made/films"), "--resume", at ("clips"), NULL);

    g_assert_cmpint (films.status, ==, 0);
    g_assert_nonnull (strstr (films.err, "clips: 1 picture passed over: subtitles are of videos"));
    g_assert_true (g_file_test (at ("made/films/a.srt"), G_FILE_TEST_EXISTS));
    g_assert_true (g_file_test (at ("made/films/c.srt"), G_FILE_TEST_EXISTS));
  }
}

/* What is in a file counts, not its name; what is neither is counted; playlists name what is found anyway. */
static void
test_folders (void)
{
  g_auto (Run) run = { 0 }, nothing = { 0 };
  g_autofree char *found = NULL, *passed = NULL;

  if (absent ())
    return;
  run = caption (at ("mixed"), NULL);
  g_assert_cmpint (run.status, ==, 1);  /* broken.mp4 */
  found = summary (run.out);
  g_assert_cmpstr (found, ==, "mixed/a.y4m 0-1\nmixed/camera.lrv 0-1\nmixed/no-suffix 0-1\nmixed/photo.jfif 0-0\n");
  passed = g_strdup_printf ("tern: %s: 6 files passed over, neither picture nor video: empty, list.m3u8, notes.md, ...\n",
      at ("mixed"));
  g_assert_nonnull (strstr (run.err, passed));
  g_assert_nonnull (strstr (run.err, "broken.mp4"));
  g_assert_null (strstr (run.err, "sound.wav:"));
  nothing = caption (at ("texts"), NULL);
  g_assert_cmpint (nothing.status, ==, 1);
  g_assert_nonnull (strstr (nothing.err, "found none"));
}

/* Captions of what is there, a message, status 1. */
static void
test_cut (void)
{
  g_auto (Run) run = { 0 }, srt = { 0 };
  g_autofree char *found = NULL;

  if (absent ())
    return;
  run = caption (at ("cut.y4m"), at ("clips/b/c.y4m"), NULL);
  g_assert_cmpint (run.status, ==, 1);
  g_assert_nonnull (strstr (run.err, "cut.y4m"));
  g_assert_nonnull (strstr (run.err, "cut off"));
  found = summary (run.out);
  g_assert_true (g_str_has_prefix (found, "cut.y4m 0-"));
  g_assert_nonnull (strstr (found, "clips/b/c.y4m 0-1\n"));
  srt = caption ("--format", "srt", "--output", at ("of-cut"), at ("cut.y4m"), NULL);
  g_assert_cmpint (srt.status, ==, 1);
  assert_cues (at ("of-cut/cut.srt"), "1\n00:00:00,000 --> 00:00:0");
}

static void
test_standard_input (void)
{
  g_auto (Run) film = { 0 }, still = { 0 }, none = { 0 }, srt = { 0 };

  if (absent ())
    return;
  film = caption_from (at ("clips/a.y4m"), "-", NULL);
  g_assert_cmpstr (film.err, ==, "");
  g_assert_cmpint (film.status, ==, 0);
  g_assert_nonnull (strstr (film.out, "\"source\":\"-\""));
  g_assert_nonnull (strstr (film.out, "\"end\":5.0"));
  still = caption_from (at ("still.ppm"), "-", NULL);
  g_assert_cmpint (still.status, ==, 0);
  g_assert_nonnull (strstr (still.out, "\"end\":0.0"));
  none = caption ("-", NULL);
  g_assert_cmpint (none.status, ==, 1);
  g_assert_nonnull (strstr (none.err, "standard input"));
  srt = caption_from (at ("clips/a.y4m"), "--format", "srt", "--output", at ("of-input"), "-", NULL);
  g_assert_cmpint (srt.status, ==, 0);
  assert_cues (at ("of-input/stdin.srt"), "1\n00:00:00,000 --> 00:00:04,000\n");
}

/* Who has not started what writes into a named pipe is told, and may do it still. */
static void
test_named_pipe (void)
{
  static const char script[] = "mkfifo \"$0.pipe\"; : >\"$0.err\"; \"$@\" 2>>\"$0.err\" &\n"
      "while kill -0 $! 2>/dev/null && ! grep -q 'waiting for its writer' \"$0.err\"; do sleep 0.1; done\n"
      "cat \"$0\" >\"$0.pipe\"; wait $!; status=$?; cat \"$0.err\" >&2; rm \"$0.pipe\" \"$0.err\"; exit $status";
  g_auto (Run) run = { 0 };
  g_autofree char *pipe = NULL, *expected = NULL;

  if (absent ())
    return;
  pipe = g_strconcat (at ("clips/a.y4m"), ".pipe", NULL);
  expected = g_strdup_printf ("tern: %s: a pipe that nothing comes from: waiting for its writer\n", pipe);
  run = caption_by (script, at ("clips/a.y4m"), pipe, NULL);
  g_assert_cmpstr (run.err, ==, expected);
  g_assert_cmpint (run.status, ==, 0);
  g_assert_nonnull (strstr (run.out, "\"end\":5.0"));
}

/* What was there stays, unless it is said that it need not. */
static void
test_overwrite (void)
{
  g_auto (Run) lines = { 0 }, srt = { 0 }, again = { 0 };
  g_autofree char *kept = NULL;

  if (absent ())
    return;
  g_assert_cmpint (g_mkdir_with_parents (at ("kept"), 0777), ==, 0);
  clip_write_bytes (at ("kept/a.srt"), "mine", 4);
  clip_write_bytes (at ("kept/lines"), "mine", 4);
  lines = caption ("--output", at ("kept/lines"), at ("still.ppm"), NULL);
  g_assert_cmpint (lines.status, ==, 1);
  g_assert_nonnull (strstr (lines.err, "--overwrite"));
  g_assert_true (g_file_get_contents (at ("kept/lines"), &kept, NULL, NULL));
  g_assert_cmpstr (kept, ==, "mine");
  srt = caption ("--format", "srt", "--output", at ("kept"), at ("clips/a.y4m"), at ("clips/b/c.y4m"), NULL);
  g_assert_cmpint (srt.status, ==, 1);
  g_assert_nonnull (strstr (srt.err, at ("kept/a.srt")));
  assert_cues (at ("kept/a.srt"), "mine");
  assert_cues (at ("kept/c.srt"), "1\n00:00:00,000 --> 00:00:01,000\n");      /* the others are done */
  again = caption ("--overwrite", "--format", "srt", "--output", at ("kept"), at ("clips/a.y4m"), NULL);
  g_assert_cmpint (again.status, ==, 0);
  assert_cues (at ("kept/a.srt"), "1\n00:00:00,000 --> 00:00:04,000\n");
}

/* Names as long as the file system takes, and of letters that have two bytes. */
static void
test_long_names (void)
{
  if (absent ())
    return;
  for (guint length = 246; length <= 255; length += length < 251 ? 1 : 4) {
    g_autofree char *stem = g_strnfill (length, 'n'), *name = g_strconcat ("long/", stem, NULL);
    g_auto (Run) run = { 0 };

    memcpy (name + strlen (name) - 4, ".y4m", 4);
    memcpy (name + 5, "\303\244\303\244\303\244", 6);
    clip_write_y4m (at (name), 64, 48, "5:1", 5, 0);
    run = caption ("--format", "srt", "--output", at ("long"), at (name), NULL);
    g_assert_cmpstr (run.err, ==, "");
    g_assert_cmpint (run.status, ==, 0);
    memcpy (name + strlen (name) - 4, ".srt", 4);
    assert_cues (at (name), "1\n");
  }
  {
    g_autofree char *stem = g_strnfill (255, 'n'), *name = g_strconcat ("long/", stem, NULL);
    g_auto (Run) run = { 0 };

    memcpy (name + 5 + 250, "\303\244", 2);      /* the cut would fall into it */
    clip_write_y4m (at (name), 64, 48, "5:1", 5, 0);
    run = caption ("--format", "srt", "--output", at ("long"), at (name), NULL);
    g_assert_cmpint (run.status, ==, 0);
    strcpy (name + 5 + 250, ".srt");
    assert_cues (at (name), "1\n");
  }
}

static void
test_tracks_and_addresses (void)
{
  g_auto (Run) none = { 0 }, first = { 0 }, address = { 0 };

  if (absent ())
    return;
  none = caption ("--track", "1", at ("clips/a.y4m"), NULL);
  g_assert_cmpint (none.status, ==, 1);
  g_assert_nonnull (strstr (none.err, "expected video track 1, found track 0 (rawvideo, 64 x 48)"));
  first = caption ("--track", "0", at ("clips/a.y4m"), NULL);
  g_assert_cmpint (first.status, ==, 0);
  address = caption ("http://127.0.0.1:9/a.mp4", at ("still.ppm"), NULL);
  g_assert_cmpint (address.status, ==, 1);
  g_assert_nonnull (strstr (address.err, "--allow-network"));
  g_assert_nonnull (strstr (address.out, "still.ppm"));
}

static void
test_cues (void)
{
  g_autoptr (GString) out = g_string_new (NULL);

  g_assert_true (tern_subtitles_cue (TERN_SUBTITLES_SRT, 7, 3661.0015, 3662.5, "a\n\n <b> \n", out));
  g_assert_cmpstr (out->str, ==, "7\n01:01:01,002 --> 01:01:02,500\na\n<b>\n\n");
  g_string_truncate (out, 0);
  g_assert_true (tern_subtitles_cue (TERN_SUBTITLES_VTT, 1, 1, 1, "a --> b & c", out));
  g_assert_cmpstr (out->str, ==, "1\n00:00:01.000 --> 00:00:01.001\na --&gt; b &amp; c\n\n");
  g_string_truncate (out, 0);
  g_assert_false (tern_subtitles_cue (TERN_SUBTITLES_SRT, 1, 0, 1, " \n", out));
  g_assert_cmpuint (out->len, ==, 0);
}

static void
make_inputs (void)
{
  g_assert_cmpint (g_mkdir_with_parents (at ("clips/b"), 0777), ==, 0);
  clip_write_y4m (at ("clips/a.y4m"), 64, 48, "10:1", 50, 0);
  clip_write_y4m (at ("clips/b/c.y4m"), 48, 64, "5:1", 5, 0);
  clip_write_ppm (at ("clips/d.ppm"), 60, 40);
  clip_write_bytes (at ("clips/notes.txt"), "no media\n", 9);
  clip_write_bytes (at ("clips/.hidden.png"), "", 0);
  g_assert_cmpint (g_mkdir_with_parents (at ("mixed"), 0777), ==, 0);
  g_assert_cmpint (g_mkdir_with_parents (at ("texts"), 0777), ==, 0);
  g_assert_cmpint (g_mkdir_with_parents (at ("long"), 0777), ==, 0);
  clip_write_y4m (at ("mixed/a.y4m"), 64, 48, "5:1", 5, 0);
  clip_write_y4m (at ("mixed/camera.lrv"), 64, 48, "5:1", 5, 0);
  clip_write_y4m (at ("mixed/no-suffix"), 64, 48, "5:1", 5, 0);
  clip_write_ppm (at ("mixed/photo.jfif"), 30, 60);
  clip_write_bytes (at ("mixed/broken.mp4"), "\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7\0", 16);
  clip_write_bytes (at ("mixed/empty"), "", 0);
  clip_write_bytes (at ("mixed/list.m3u8"), "#EXTM3U\n", 8);
  clip_write_bytes (at ("mixed/notes.md"), "# Notes\n", 8);
  clip_write_bytes (at ("mixed/results.json"), "{}\n", 3);
  clip_write_wav (at ("mixed/sound.wav"));
  clip_write_bytes (at ("mixed/words.srt"), "1\n00:00:01,000 --> 00:00:02,000\nhello\n", 38);
  clip_write_bytes (at ("texts/a.txt"), "words\n", 6);
  clip_write_y4m (at ("cut.y4m"), 64, 48, "10:1", 60, 200000);
  clip_write_ppm (at ("still.ppm"), 30, 60);
  clip_write_bytes (at ("empty.mp4"), "", 0);
  clip_write_wav (at ("sound.wav"));
  clip_write_y4m (at ("tiny.y4m"), 1, 1, "10:1", 3, 0);
  clip_write_bytes (at ("text.mkv"), "no video at all\n", 16);
}

/* YUV4MPEG2 of 64 x 48 pixels, two frames a second: a ramp, and from frame @from on a square before it. */
static void
write_scene (const char *path, guint frames, guint from)
{
  g_autoptr (GString) file = g_string_new ("YUV4MPEG2 W64 H48 F2:1 C420\n");

  for (guint i = 0; i < frames; i++) {
    g_string_append (file, "FRAME\n");
    for (guint y = 0; y < 48; y++)
      for (guint x = 0; x < 64; x++)
        g_string_append_c (file, (char) (40 + 2 * x + (i >= from && x >= 16 && x < 32 && y >= 12 && y < 24 ? 60 : 0)));
    for (guint c = 0; c < 64 * 48 / 2; c++)
      g_string_append_c (file, (char) 128);
  }
  clip_write_bytes (path, file->str, file->len);
}

/* A letter for each line: u unchanged, . said. */
static char *
finish_reasons (const char *lines)
{
  g_auto (GStrv) split = g_strsplit (lines, "\n", -1);
  GString *out = g_string_new (NULL);

  for (guint i = 0; split[i] && *split[i]; i++)
    g_string_append_c (out, strstr (split[i], "\"finish_reason\":\"unchanged\"") ? 'u' : '.');
  return g_string_free (out, FALSE);
}

/* A line a window in any case. By itself the gate waits until the scene has stood still for a while. */
static void
test_gate (void)
{
  const struct { const char *mode, *expected; } cases[] = { { "off", "........" }, { "on", ".uu..uuu" }, { "auto", ".....uuu" },
    { NULL, ".....uuu" } };
  const char *clip = at ("scene.y4m");

  if (absent ())
    return;
  write_scene (clip, 64, 26);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Run) run = cases[i].mode ? caption ("--gate", cases[i].mode, clip, NULL) : caption (clip, NULL);
    g_autofree char *found = NULL, *where = NULL;

    g_assert_cmpstr (run.err, ==, "");
    g_assert_cmpint (run.status, ==, 0);
    found = finish_reasons (run.out);
    g_assert_cmpstr (found, ==, cases[i].expected);
    where = summary (run.out);
    g_assert_nonnull (strstr (where, "scene.y4m 28-32\n"));
  }
  {
    g_auto (Run) looks = caption ("--gate", "on", "--max-silence", "8", "--gate-threshold", "100", clip, NULL);
    g_autofree char *found = finish_reasons (looks.out);

    g_assert_cmpstr (found, ==, ".u.u.u.u");     /* a look every second window; what came is not enough */
  }
  expect_usage (caption ("--gate", "maybe", clip, NULL), WORDS ("--gate", "auto, off or on", "maybe"));
  expect_usage (caption ("--gate-threshold", "0", clip, NULL), WORDS ("--gate-threshold", "1 to 255", "0"));
  expect_usage (caption ("--max-silence", "-1", clip, NULL), WORDS ("--max-silence", "seconds", "-1"));
}

/* The clips' files are streams of their own: the first window says what it says without, and lines tell what is remembered. */
static void
test_memory (void)
{
  const char *clip = at ("clips/a.y4m");
  g_auto (Run) alone = caption ("--kv", "f32", clip, NULL), stream = caption ("--memory", "stream", clip, NULL);
  g_autofree char *first = g_strndup (alone.out, strcspn (alone.out, "\n")), *found = NULL;
  g_autoptr (JsonParser) expected_parser = json_parser_new (), parser = json_parser_new ();
  JsonObject *expected, *object;

  g_assert_cmpint (alone.status, ==, 0);
  g_assert_cmpint (stream.status, ==, 0);
  found = g_strndup (stream.out, strcspn (stream.out, "\n"));
  g_assert_true (json_parser_load_from_data (expected_parser, first, -1, NULL));
  g_assert_true (json_parser_load_from_data (parser, found, -1, NULL));
  expected = json_node_get_object (json_parser_get_root (expected_parser));
  object = json_node_get_object (json_parser_get_root (parser));
  g_assert_cmpstr (json_object_get_string_member (object, "result"), ==, json_object_get_string_member (expected, "result"));
  g_assert_false (json_object_has_member (expected, "memory_spans"));
  g_assert_cmpfloat (json_array_get_double_element (json_object_get_array_member (object, "memory_spans"), 0), ==, 0);
  expect_usage (caption ("--memory", "all", clip, NULL), WORDS ("--memory", "window or stream", "all"));
  expect_usage (caption ("--memory-tokens", "9", clip, NULL), WORDS ("--memory-tokens", "64", "9"));
  expect_usage (caption ("--memory-tokens", "900", clip, NULL), WORDS ("--memory-tokens", "--memory stream", "900 alone"));
}

/* Every window is answered, whatever is computed again. */
static void
test_reuse (void)
{
  const char *clip = at ("scene.y4m");

  if (absent ())
    return;
  write_scene (clip, 64, 26);
  {
    g_auto (Run) off = caption ("--gate", "off", clip, NULL);
    g_auto (Run) whole = caption ("--gate", "off", "--reuse", "on", "--reuse-refresh", "1", clip, NULL);
    g_auto (Run) reuse = caption ("--gate", "off", "--reuse", "auto", "--reuse-threshold", "2.5", clip, NULL);
    g_autofree char *found = finish_reasons (reuse.out);

    g_assert_cmpstr (whole.out, ==, off.out);
    g_assert_cmpint (reuse.status, ==, 0);
    g_assert_cmpstr (found, ==, "........");
  }
  expect_usage (caption ("--reuse", "maybe", clip, NULL), WORDS ("--reuse", "off, auto or on", "maybe"));
  expect_usage (caption ("--reuse-threshold", "0", clip, NULL), WORDS ("--reuse-threshold", "0.5 to 64", "0"));
  expect_usage (caption ("--reuse-refresh", "-2", clip, NULL), WORDS ("--reuse-refresh", "-2"));
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("tern-caption-XXXXXX", NULL);
  g_assert_nonnull (folder);
  make_inputs ();
  g_test_add_func ("/caption/cues", test_cues);
  g_test_add_func ("/caption/lines", test_lines);
  g_test_add_func ("/caption/options", test_options);
  g_test_add_func ("/caption/bad-inputs", test_bad_inputs);
  g_test_add_func ("/caption/bad-options", test_bad_options);
  g_test_add_func ("/caption/unwritable", test_unwritable);
  g_test_add_func ("/caption/slides", test_slides);
  g_test_add_func ("/caption/subtitles", test_subtitles);
  g_test_add_func ("/caption/folders", test_folders);
  g_test_add_func ("/caption/cut", test_cut);
  g_test_add_func ("/caption/standard-input", test_standard_input);
  g_test_add_func ("/caption/named-pipe", test_named_pipe);
  g_test_add_func ("/caption/overwrite", test_overwrite);
  g_test_add_func ("/caption/long-names", test_long_names);
  g_test_add_func ("/caption/tracks-and-addresses", test_tracks_and_addresses);
  g_test_add_func ("/caption/gate", test_gate);
  g_test_add_func ("/caption/memory", test_memory);
  g_test_add_func ("/caption/reuse", test_reuse);
  status = g_test_run ();
  clip_remove_folder (folder);
  g_free (folder);
  return status;
}
