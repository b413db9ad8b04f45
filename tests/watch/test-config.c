/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configurations: what is taken, what is refused and in which words; times as people write them. */
#include <string.h>

#include "tern/error.h"
#include "tests/unit/folder.h"
#include "watch/config.h"

typedef struct {
  char *folder, *path;
} Place;

static void
place_init (Place *place, gconstpointer data)
{
  place->folder = g_dir_make_tmp ("tern-config-XXXXXX", NULL);
  place->path = g_build_filename (place->folder, "w.conf", NULL);
}

static void
place_clear (Place *place, gconstpointer data)
{
  remove_all (place->folder);
  g_free (place->path);
  g_free (place->folder);
}

static void
write_file (const Place *place, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (place->folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static TernWatchConfig *
read_config (const Place *place, const char *text, GError **error)
{
  write_file (place, "w.conf", text);
  return tern_watch_config_read (place->path, NULL, error);
}

#define GOOD "[watch]\nmemory=m.db\n[camera porch]\nsource=rtsp://a/b\n"

/* Every mistake, in the order of its lines: @expected lines begin with the line's number and have the rest somewhere. */
static void
assert_mistakes (const Place *place, const char *text, const char *const *expected)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) lines = NULL;
  guint i;

  g_assert_null (read_config (place, text, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  lines = g_strsplit (error->message, "\n", -1);
  for (i = 0; expected[i] && lines[i]; i++) {
    g_autofree char *place_of = g_strdup_printf ("%s:%.*s:", place->path, (int) strcspn (expected[i], " "), expected[i]);

    if (!g_str_has_prefix (lines[i], place_of) || !strstr (lines[i], strchr (expected[i], ' ') + 1))
      g_error ("expected `%s`, found `%s`", expected[i], lines[i]);
  }
  if (expected[i] || lines[i])
    g_error ("expected %s, found %s", expected[i] ? expected[i] : "no more", lines[i] ? lines[i] : "no more");
}

static void
test_whole (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernWatchConfig) config = NULL;
  g_autofree char *memory = g_build_filename (place->folder, "m.db", NULL);
  const TernCameraConfig *camera;
  const TernRuleConfig *rule;
  const TernSinkConfig *sink;

  write_file (place, "clip.mp4", "x");
  write_file (place, "secret", "s3cret\n");
  config = read_config (place, "# who\n[watch]\nmemory = m.db\nkeep=7d\nkeep-bytes=2G\nthreads=2\n"
      "[zone door]\npoints=0,0; 1,0; 1,0.5\nhide=true\n"
      "[camera porch]\nsource=clip.mp4\nframe-rate=1/2\nwindow=8s\nprompt=Who is it?\nlabels=a cat;a dog\n"
      "min-confidence=0.6\nzones=door\nschedule=Mon-Fri 08:00-18:00\npace=false\nrepeat=true\n"
      "[camera yard]\npipeline=videotestsrc ! video/x-raw,width=64\ngate=off\nframe-rate=29.97\n"
      "[rule dog]\ncameras=porch\nlabel=a dog\nthreshold=0.8\nclear=0.4\nwindows=2\nquiet=22:00-06:00\ninterval=10m\n"
      "[rule quiet]\nsilent=12h\n"
      "[lines all]\npath=log.jsonl\ntell=alerts\n", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (config->memory, ==, memory);
  g_assert_cmpint (config->keep, ==, 7 * 86400 * (gint64) G_USEC_PER_SEC);
  g_assert_cmpuint (config->keep_bytes, ==, (guint64) 2 << 30);
  g_assert_cmpuint (config->cameras->len, ==, 2);
  camera = g_ptr_array_index (config->cameras, 0);
  g_assert_cmpstr (camera->name, ==, "porch");
  g_assert_true (camera->file && camera->repeat && !camera->pace && camera->scheduled);
  g_assert_cmpuint (camera->rate_n, ==, 1);
  g_assert_cmpuint (camera->rate_d, ==, 2);
  g_assert_cmpint (camera->window, ==, 8 * G_USEC_PER_SEC);
  g_assert_cmpstr (camera->labels[1], ==, "a dog");
  g_assert_cmpuint (camera->zones->len, ==, 1);
  camera = g_ptr_array_index (config->cameras, 1);
  g_assert_cmpstr (camera->pipeline, ==, "videotestsrc ! video/x-raw,width=64");
  g_assert_cmpstr (camera->gate, ==, "off");
  g_assert_cmpuint (camera->rate_n, ==, 2997);
  g_assert_cmpuint (camera->rate_d, ==, 100);
  rule = g_ptr_array_index (config->rules, 0);
  g_assert_true (tern_rule_config_has (rule, "porch") && !tern_rule_config_has (rule, "yard"));
  g_assert_cmpfloat (rule->clear, ==, 0.4);
  g_assert_cmpuint (rule->windows, ==, 2);
  rule = g_ptr_array_index (config->rules, 1);
  g_assert_cmpint (rule->kind, ==, TERN_RULE_SILENT);
  g_assert_true (tern_rule_config_has (rule, "yard"));
  sink = g_ptr_array_index (config->sinks, 0);
  g_assert_cmpint (sink->tell, ==, TERN_TELL_ALERTS);
}

static void
test_mistakes (Place *place, gconstpointer data)
{
  static const char *const lines[] = { "1 expected a [GROUP] first", "3 threads: expected 0 to", "4 expected KEY=VALUE",
    "5 keeep: no such key in [watch]", "6 expected [GROUP]", "8 source: expected rtsp://", "9 gate: expected auto, on or off",
    "10 gate: expected once, found in line 9", "11 window: expected a time such as", "12 frame-rate: expected N, N/D or a decimal",
    "13 schedule: expected days and hours", "14 labels: expected 2 to 256 labels", "15 zones: expected the name of a [zone NAME]",
    "16 [camera a/b]: expected a name", "18 [cameras c]: expected [watch]", NULL };

  assert_mistakes (place, "lost=1\n[watch]\nthreads=-1\nnothing\nkeeep=1d\n[broken\n[camera a]\nsource=http://x/y\n"
      "gate=perhaps\ngate=on\nwindow=soon\nframe-rate=1/0\nschedule=Mon-Fri 8-18\nlabels=one\nzones=door\n"
      "[camera a/b]\nsource=rtsp://x\n[cameras c]\n", (const char *const[]) { lines[0], "2 expected memory=FILE", lines[1],
          lines[2], lines[3], lines[4], lines[5], lines[6], lines[7], lines[8], lines[9], lines[10], lines[11], lines[12],
          lines[13], lines[14], NULL });
}

/* Of all pictures, or of more than there are in a second, no file says how long a window would be. */
static void
test_rates (Place *place, gconstpointer data)
{
  static const char *const told[] = { "0", "0/1", "0.0", "1001", "1000.5", "1/1001", "1/", "fast", "-1" };

  for (guint i = 0; i < G_N_ELEMENTS (told); i++) {
    g_autofree char *text = g_strdup_printf (GOOD "frame-rate=%s\n", told[i]);

    assert_mistakes (place, text, (const char *const[]) { "5 frame-rate: expected N, N/D or a decimal, 1/1000 to 1000", NULL });
  }
}

static void
test_groups (Place *place, gconstpointer data)
{
  assert_mistakes (place, "[camera a]\nsource=rtsp://x\npipeline=videotestsrc\n", (const char *const[]) {
      "1 [watch]: expected, not found", "3 pipeline: expected either source=URI or", NULL });
  assert_mistakes (place, "[watch]\nmemory=m\n", (const char *const[]) { "1 expected a [camera NAME], found none", NULL });
  assert_mistakes (place, GOOD "[camera porch]\nsource=rtsp://x\n", (const char *const[]) {
      "5 [camera porch]: expected once, found in line 3 too", NULL });
  assert_mistakes (place, GOOD "[zone z]\npoints=0,0;1,1\n[zone y]\npoints=0,0;1,1;2,0\n", (const char *const[]) {
      "6 points: expected three points", "8 points: expected X,Y", NULL });
  assert_mistakes (place, GOOD "prompt=a\ntask=b\nlabels=a;b\nschema=none.json\n", (const char *const[]) {
      "6 task: expected prompt or task", "8 schema: ", NULL });
  assert_mistakes (place, "[watch]\nmemory=m\nkeep-bytes=10M\nspool-bytes=6M\n[camera a]\nsource=rtsp://x\n",
      (const char *const[]) { "4 spool-bytes: expected half of keep-bytes", NULL });
  write_file (place, "none.json", "{\"type\":");
  write_file (place, "odd.json", "{\"type\":\"nonsense\"}");
  assert_mistakes (place, GOOD "labels=yes;no; yes\n[camera b]\nsource=.\nschema=none.json\n[camera c]\nsource=rtsp://x\n"
      "schema=odd.json\n", (const char *const[]) { "5 labels: expected each label once, found yes again",
          "7 expected a file, found a folder", "8 schema: ", "11 schema: ", NULL });
  assert_mistakes (place, "[watch]\nmemory=m\n[camera a]\nsource=gone.mp4\n", (const char *const[]) { "4 gone.mp4: no such file",
      NULL });
}

static void
test_told (Place *place, gconstpointer data)
{
  assert_mistakes (place, GOOD "[rule a]\nlabel=dog\n[rule b]\n[rule c]\nwords=;\n[rule d]\nsilent=0\n[rule e]\nwords=a\n"
      "cameras=nobody\n[rule result]\nwords=a\n", (const char *const[]) { "6 label: expected one of the labels",
          "7 [rule b]: expected one of label, words and silent, found 0", "9 words: expected words",
          "10 [rule d]: expected one of", "11 silent: expected a time", "14 cameras: expected the name of a [camera NAME]",
          "15 [rule result]: expected another name", NULL });
  assert_mistakes (place, GOOD "labels=a;b\n[rule a]\nlabel=a\nthreshold=0.5\nclear=0.6\n[lines x]\ntell=all\n",
      (const char *const[]) { "9 clear: expected at most the threshold", "10 [lines x]: expected path=FILE",
          "11 tell: expected alerts, results", NULL });
#ifdef TERN_HAVE_MQTT
  assert_mistakes (place, GOOD "[mqtt]\nport=0\nprefix=a/#\npassword-file=none\n", (const char *const[]) {
      "5 [mqtt]: expected host=NAME", "6 port: expected 1 to 65535", "7 prefix: expected a topic", "8 password-file: ", NULL });
  assert_mistakes (place, GOOD "[mqtt]\nhost=a\nca-file=none.pem\n", (const char *const[]) {
      "7 none.pem: cannot be read: No such file", NULL });
  assert_mistakes (place, GOOD "[mqtt]\nhost=a\nca-file=.\n", (const char *const[]) { "7 cannot be read: Is a directory",
      NULL });
#endif
#ifdef TERN_HAVE_WEBHOOK
  assert_mistakes (place, GOOD "[webhook a]\nurl=ftp://x\n[webhook b]\n", (const char *const[]) {
      "6 url: expected http:// or https://", "7 [webhook b]: expected url=URL", NULL });
#endif
}

/* Whole groups of four pictures, of one frame or of two. */
static void
test_windows (void)
{
  static const struct {
    guint rate_n, rate_d;
    double window, of_one, of_two;
  } cases[] = { { 2, 1, 4, 4, 4 }, { 2, 1, 1, 2, 4 }, { 2, 1, 5, 6, 8 }, { 1, 2, 4, 8, 16 }, { 40, 1, .1, .1, .2 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    TernCameraConfig camera = { .rate_n = cases[i].rate_n, .rate_d = cases[i].rate_d,
      .window = (gint64) (cases[i].window * G_USEC_PER_SEC) };

    g_assert_cmpint (tern_camera_config_window (&camera, 1), ==, (gint64) (cases[i].of_one * G_USEC_PER_SEC));
    g_assert_cmpint (tern_camera_config_window (&camera, 2), ==, (gint64) (cases[i].of_two * G_USEC_PER_SEC));
  }
}

static gboolean
refuse (const char *words, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "no element %s", words);
  return FALSE;
}

static void
test_pipeline (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  write_file (place, "w.conf", "[watch]\nmemory=m\n[camera a]\npipeline=nonsense\n");
  g_assert_null (tern_watch_config_read (place->path, &(TernConfigChecks) { .pipeline = refuse }, &error));
  g_assert_nonnull (strstr (error->message, ":4: pipeline: no element nonsense"));
}

static void
test_files (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL, other = NULL;

  g_assert_null (tern_watch_config_read (place->path, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND);
  g_assert_null (read_config (place, "[watch]\nmemory=\xff\n", &other));
  g_assert_error (other, TERN_ERROR, TERN_ERROR_FORMAT);
}

/* What a camera is made of, and nothing else, makes it another one. */
static void
test_same (Place *place, gconstpointer data)
{
#define ZONES(x) "[watch]\nmemory=m\nkeep=" x "d\n[zone z]\npoints=0,0; 1,0; 0," x "\n[camera a]\nsource=rtsp://x\nzones=z\n" \
    "[camera b]\nsource=rtsp://y\n"
  g_autoptr (TernWatchConfig) one = read_config (place, ZONES ("1"), NULL);
  g_autoptr (TernWatchConfig) two = read_config (place, ZONES ("0.5"), NULL);
  const TernCameraConfig *a = g_ptr_array_index (one->cameras, 0), *b = g_ptr_array_index (one->cameras, 1);
  const TernCameraConfig *c = g_ptr_array_index (two->cameras, 0), *d = g_ptr_array_index (two->cameras, 1);

  g_assert_cmpstr (a->text, !=, c->text);
  g_assert_cmpstr (b->text, ==, d->text);
}

/* ---- Times ---- */

static void
test_durations (void)
{
  static const struct {
    const char *text;
    gint64 us;
  } good[] = { { "4", 4000000 }, { "500ms", 500000 }, { "1.5s", 1500000 }, { "10m", 600000000 }, { "2h", 7200000000 },
    { "30d", 2592000000000 }, { "0", 0 } };
  static const char *const bad[] = { "", "s", "4 s", "4x", "-1s", "1e30d", "nan", "4ms5" };
  gint64 us;

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    g_assert_true (tern_watch_parse_duration (good[i].text, &us));
    g_assert_cmpint (us, ==, good[i].us);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (tern_watch_parse_duration (bad[i], &us));
}

/* Seconds since 1970 are those of `date -u -d TEXT +%s`. */
static void
test_moments (void)
{
  const gint64 now = 1764374400 * (gint64) G_USEC_PER_SEC;
  gint64 us;

  g_assert_true (tern_watch_parse_moment ("2h", now, &us) && us == now - 7200 * (gint64) G_USEC_PER_SEC);
  g_assert_true (tern_watch_parse_moment ("2025-11-29T00:00:00Z", now, &us) && us == now);
  g_assert_true (tern_watch_parse_moment ("2025-11-29T01:00:00+01:00", now, &us) && us == now);
  g_assert_true (tern_watch_parse_moment ("2025-11-29T00:00", now, &us) && us == now);      /* TZ is UTC here */
  g_assert_true (tern_watch_parse_moment ("2025-11-29", now, &us) && us == now);
  g_assert_false (tern_watch_parse_moment ("yesterday", now, &us));
  g_assert_false (tern_watch_parse_moment ("2025-13-01", now, &us));
}

/* Seconds since 1970 are those of `TZ=Europe/Berlin date -d TEXT +%s`. */
static void
test_hours (void)
{
  static const struct {
    const char *day;
    gint64 hours[4];            /* of hours 0, 2, 3 and 24 */
  } days[] = {
    { "2026-03-28", { 1774652400, 1774659600, 1774663200, 1774738800 } },
    { "2026-03-29", { 1774738800, 1774746000, 1774746000, 1774821600 } },       /* 2 o'clock is 3 o'clock */
    { "2026-10-25", { 1792879200, 1792886400, 1792893600, 1792969200 } },       /* from 2 o'clock on twice */
  };

  g_setenv ("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (days); i++) {
    static const guint at[] = { 0, 2, 3, 24 };
    gint64 day;

    g_assert_true (tern_watch_parse_moment (days[i].day, 0, &day));
    for (guint k = 0; k < G_N_ELEMENTS (at); k++)
      g_assert_cmpint (tern_watch_hour (day, at[k]), ==, days[i].hours[k] * G_USEC_PER_SEC);
  }
  g_setenv ("TZ", "UTC", TRUE);
}

static void
test_bytes (void)
{
  guint64 bytes;

  g_assert_true (tern_watch_parse_bytes ("10M", &bytes) && bytes == 10485760);
  g_assert_true (tern_watch_parse_bytes ("1.5G", &bytes) && bytes == 1610612736);
  g_assert_true (tern_watch_parse_bytes ("7", &bytes) && bytes == 7);
  g_assert_false (tern_watch_parse_bytes ("10MB", &bytes));
  g_assert_false (tern_watch_parse_bytes ("", &bytes));
}

static gboolean
in_week (const char *text, const char *moment)
{
  g_autofree char *wrong = NULL;
  TernWeek week;
  gint64 us;

  g_assert_true (tern_week_parse (&week, text, &wrong));
  g_assert_true (tern_watch_parse_moment (moment, 0, &us));
  return tern_week_has (&week, us);
}

/* 2025-11-29 was a Saturday. */
static void
test_weeks (void)
{
  static const char *const bad[] = { "", ";", "Mon-", "Noday", "08:00", "8:00-9:00", "25:00-26:00", "Mon 08:00-18:00 x",
    "08:00-09:60", "24:00-01:00" };
  TernWeek week;

  g_assert_true (in_week ("Sat", "2025-11-29T00:00Z"));
  g_assert_false (in_week ("Sat", "2025-11-30T00:00Z"));
  g_assert_true (in_week ("Mon-Fri 08:00-18:00", "2025-11-28T17:59Z"));
  g_assert_false (in_week ("Mon-Fri 08:00-18:00", "2025-11-28T18:00Z"));
  g_assert_false (in_week ("Mon-Fri 08:00-18:00", "2025-11-29T12:00Z"));
  g_assert_true (in_week ("Sat-Mon", "2025-12-01T12:00Z"));
  g_assert_true (in_week ("Fri 22:00-06:00", "2025-11-29T05:59Z"));     /* over midnight, into the next day */
  g_assert_false (in_week ("Fri 22:00-06:00", "2025-11-28T05:59Z"));
  g_assert_true (in_week ("Sun 22:00-06:00", "2025-12-01T03:00Z"));     /* and into the next week */
  g_assert_true (in_week ("22:00-24:00; 00:00-02:00", "2025-11-29T01:59Z"));
  g_assert_true (in_week ("sat,SUN", "2025-11-30T23:59Z"));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *wrong = NULL;

    g_assert_false (tern_week_parse (&week, bad[i], &wrong));
    g_assert_nonnull (wrong);
  }
}

/* As editors on other systems write files. */
static void
test_line_ends (Place *place, gconstpointer data)
{
  static const char *const texts[] = { ("\xef\xbb\xbf" GOOD), "[watch]\r\nmemory=m.db\r\n[camera porch]\r\nsource=rtsp://a/b\r\n",
    "[watch]\nmemory=m.db\n[camera porch]\nsource=rtsp://a/b" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernWatchConfig) config = read_config (place, texts[i], &error);

    g_assert_no_error (error);
    g_assert_cmpuint (config->cameras->len, ==, 1);
  }
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC", TRUE);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add (name, Place, NULL, place_init, func, place_clear)
  ADD ("/watch/config/line-ends", test_line_ends);
  ADD ("/watch/config/whole", test_whole);
  ADD ("/watch/config/mistakes", test_mistakes);
  ADD ("/watch/config/rates", test_rates);
  ADD ("/watch/config/groups", test_groups);
  ADD ("/watch/config/told", test_told);
  ADD ("/watch/config/pipeline", test_pipeline);
  ADD ("/watch/config/files", test_files);
  ADD ("/watch/config/same", test_same);
  g_test_add_func ("/watch/config/windows", test_windows);
  g_test_add_func ("/watch/times/durations", test_durations);
  g_test_add_func ("/watch/times/moments", test_moments);
  g_test_add_func ("/watch/times/hours", test_hours);
  g_test_add_func ("/watch/times/bytes", test_bytes);
  g_test_add_func ("/watch/times/weeks", test_weeks);
  return g_test_run ();
}
