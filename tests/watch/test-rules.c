/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules: when an alert begins and ends, told by hand-written stories. Zones, what is told, and the service manager. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/folder.h"
#include "watch/messages.h"
#include "watch/notify.h"
#include "watch/rules.h"
#include "watch/zones.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define NOON ((gint64) 1764417600 * G_USEC_PER_SEC)     /* Saturday 2025-11-29T12:00:00Z */

static const char *const cameras[] = { "porch", "yard", NULL };
static const char *const labels[] = { "yes", "no", NULL };

/* One rule, and what it says of windows a second after the other. */
typedef struct {
  gboolean away;                /* nobody looks */
  TernRuleConfig config;
  GPtrArray *configs;
  TernRules *rules;
  gint64 now;
  gint64 set;                   /* how far ahead the clock on the wall has been set */
} Story;

static TernNow
clocks (const Story *story)
{
  return (TernNow) { story->now + story->set, story->now - NOON };
}

static void
story_begin (Story *story, const char *state)
{
  story->config.name = (char *) "r";
  story->configs = g_ptr_array_new ();
  g_ptr_array_add (story->configs, &story->config);
  story->now = story->now ? story->now : NOON;
  story->rules = tern_rules_new (story->configs, cameras, state, clocks (story));
}

static void
story_end (Story *story)
{
  tern_rules_free (story->rules);
  g_ptr_array_unref (story->configs);
}

/* '+' an alert began, '-' one ended, '.' nothing. */
static char
hear (const GArray *alerts)
{
  g_assert_cmpuint (alerts->len, <=, 1);
  return alerts->len == 0 ? '.' : g_array_index (alerts, TernAlert, 0).on ? '+' : '-';
}

static char
see (Story *story, TernSeen seen)
{
  g_autoptr (GArray) alerts = g_array_new (FALSE, FALSE, sizeof (TernAlert));

  seen.camera = seen.camera ? seen.camera : "porch";
  seen.text = seen.text ? seen.text : "";
  story->now += SECOND;
  tern_rules_see (story->rules, &seen, clocks (story), alerts);
  return hear (alerts);
}

static gboolean
is_watched (gpointer data, const char *camera)
{
  return !((Story *) data)->away;
}

static char
tick (Story *story, gint64 seconds)
{
  g_autoptr (GArray) alerts = g_array_new (FALSE, FALSE, sizeof (TernAlert));

  story->now += seconds * SECOND;
  tern_rules_tick (story->rules, clocks (story), is_watched, story, alerts);
  return hear (alerts);
}

/* Probabilities of yes in tenths, a digit each; `u` abstained, `e` an error. What is heard after each. */
static char *
tell_scores (Story *story, const char *tenths)
{
  GString *heard = g_string_new (NULL);

  for (const char *p = tenths; *p; p++) {
    double yes = g_ascii_isdigit (*p) ? (*p - '0') / 10.0 : 0.9;
    double scores[] = { yes, 1 - yes };

    g_string_append_c (heard, see (story, (TernSeen) { .labels = labels, .scores = scores, .abstained = *p == 'u',
                .error = *p == 'e' }));
  }
  return g_string_free (heard, FALSE);
}

static void
assert_scores (TernRuleConfig config, const char *tenths, const char *expected)
{
  Story story = { .config = config };
  g_autofree char *heard = NULL;

  story.config.kind = TERN_RULE_LABEL;
  story.config.label = (char *) "yes";
  story_begin (&story, NULL);
  heard = tell_scores (&story, tenths);
  g_assert_cmpstr (heard, ==, expected);
  story_end (&story);
}

static void
test_label (void)
{
  TernRuleConfig plain = { .threshold = 0.8, .clear = 0.8, .windows = 1 };
  TernRuleConfig slow = { .threshold = 0.8, .clear = 0.4, .windows = 3 };

  assert_scores (plain, "0798", ".." "+.");
  assert_scores (plain, "98719", "+.-.+");
  assert_scores (slow, "8808889", ".....+.");
  assert_scores (slow, "9959994", ".....+.");            /* in between, before it holds, the count begins anew */
  assert_scores (slow, "999545439", "..+....-.");        /* and what holds goes on, down to the lower threshold */
  assert_scores (slow, "99u999", ".....+");              /* not sure: not in a row */
  assert_scores (slow, "999uuu3", "..+...-");
  assert_scores (slow, "99e9e1", "...+.-");              /* an error says nothing, either way */
}

static void
test_interval (void)
{
  TernRuleConfig config = { .threshold = 0.5, .clear = 0.5, .windows = 1, .interval = 5 * SECOND };

  /* The alert of second 3 is not told; that of second 6, which still holds, is. */
  assert_scores (config, "909999990", "+-...+..-");
  assert_scores (config, "9090900", "+-....." );
}

/* From 22:00 to 06:00 nobody is woken; what still holds then is told in the morning. */
static void
test_quiet (void)
{
  Story story = { .config = { .kind = TERN_RULE_WORDS, .windows = 1, .has_quiet = TRUE,
      .words = (char *[]) { (char *) "car", NULL } }, .now = NOON + 10 * 3600 * SECOND - SECOND };
  g_autofree char *wrong = NULL;

  g_assert_true (tern_week_parse (&story.config.quiet, "22:00-06:00", &wrong));
  story_begin (&story, NULL);
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '.');       /* 22:00:00 */
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a tree" }), ==, '.');
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '.');
  story.now = NOON + 18 * 3600 * SECOND - SECOND;
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '+');       /* 06:00:00 */
  story_end (&story);
}

/* An end in the night is told in the morning, unless it holds again by then, and neither by a restart in between is lost. */
static void
test_quiet_end (void)
{
  Story story = { .config = { .kind = TERN_RULE_WORDS, .windows = 1, .has_quiet = TRUE,
      .words = (char *[]) { (char *) "car", NULL } }, .now = NOON + 10 * 3600 * SECOND - 3 * SECOND };
  g_autofree char *wrong = NULL, *state = NULL;

  g_assert_true (tern_week_parse (&story.config.quiet, "22:00-06:00", &wrong));
  story_begin (&story, NULL);
  for (guint day = 0; day < 2; day++) {
    g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, day ? '.' : '+');         /* 21:59:58 */
    g_assert_cmpint (tick (&story, 2), ==, '.');
    g_assert_cmpint (see (&story, (TernSeen) { .text = "a tree" }), ==, '.');    /* 22:00:01 */
    g_assert_cmpint (tick (&story, 10), ==, '.');
    g_free (state);
    state = tern_rules_state (story.rules, clocks (&story));
    story_end (&story);
    story_begin (&story, state);
    if (day == 0)
      g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '.');
    g_assert_cmpint (tick (&story, 8 * 3600), ==, day ? '-' : '.');              /* after six */
    g_assert_cmpint (tick (&story, 1), ==, '.');
    story.now = NOON + (34 + 24 * (gint64) day) * 3600 * SECOND - 3 * SECOND;
  }
  story_end (&story);
}

/* A rule that goes away while it holds, or leaves a camera, ends, and that is told once; also after a kill before that. */
static void
test_gone (void)
{
  Story story = { .config = { .kind = TERN_RULE_WORDS, .windows = 1, .words = (char *[]) { (char *) "car", NULL } } };
  g_autofree char *state = NULL, *again = NULL, *after = NULL;

  story_begin (&story, NULL);
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '+');
  state = tern_rules_state (story.rules, clocks (&story));
  story_end (&story);
  story.config.cameras = (char *[]) { (char *) "yard", NULL };
  for (guint turn = 0; turn < 2; turn++) {
    story_begin (&story, turn ? again : state);
    again = again ? again : tern_rules_state (story.rules, clocks (&story));
    g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '.');
    g_assert_cmpint (tick (&story, 1), ==, '-');
    g_assert_cmpint (tick (&story, 1), ==, '.');
    g_free (after);
    after = tern_rules_state (story.rules, clocks (&story));
    story_end (&story);
  }
  story_begin (&story, after);
  g_assert_cmpint (tick (&story, 1), ==, '.');
  story_end (&story);
}

static void
test_words (void)
{
  Story story = { .config = { .kind = TERN_RULE_WORDS, .windows = 1,
      .words = (char *[]) { (char *) "Red car", (char *) "café", NULL } } };
  static const struct {
    const char *text;
    char heard;
  } told[] = { { "a red car stands there", '+' }, { "A RED CAR", '.' }, { "a red cart", '-' }, { "a tired car", '.' },
    { "red, car", '.' }, { "in front of a CAFÉ.", '+' }, { "cafés", '-' }, { "", '.' } };

  story_begin (&story, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (told); i++)
    g_assert_cmpint (see (&story, (TernSeen) { .text = told[i].text }), ==, told[i].heard);
  story_end (&story);
}

static void
test_silent (void)
{
  Story story = { .config = { .kind = TERN_RULE_SILENT, .silent = 10 * SECOND, .windows = 1,
      .cameras = (char *[]) { (char *) "porch", NULL } } };

  story_begin (&story, NULL);
  g_assert_cmpint (tick (&story, 9), ==, '.');
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a man" }), ==, '.');
  g_assert_cmpint (tick (&story, 9), ==, '.');
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a man", .unchanged = TRUE }), ==, '.');
  g_assert_cmpint (tick (&story, 0), ==, '+');
  g_assert_cmpint (tick (&story, 100), ==, '.');
  g_assert_cmpint (see (&story, (TernSeen) { .text = "", .error = TRUE }), ==, '.');
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a dog" }), ==, '-');
  /* What nobody looked at was not silent; what holds goes on meanwhile. */
  g_assert_cmpint (tick (&story, 6), ==, '.');
  story.away = TRUE;
  g_assert_cmpint (tick (&story, 100), ==, '.');
  story.away = FALSE;
  g_assert_cmpint (tick (&story, 3), ==, '.');
  g_assert_cmpint (tick (&story, 1), ==, '+');
  story.away = TRUE;
  g_assert_cmpint (tick (&story, 100), ==, '.');
  story_end (&story);
}

/* Cameras do not know of each other, and a rule of one is not of the other. */
static void
test_cameras (void)
{
  Story story = { .config = { .kind = TERN_RULE_WORDS, .windows = 2, .words = (char *[]) { (char *) "car", NULL } } };
  TernSeen porch = { .camera = "porch", .text = "car" }, yard = { .camera = "yard", .text = "car" };

  story_begin (&story, NULL);
  g_assert_cmpint (see (&story, porch), ==, '.');
  g_assert_cmpint (see (&story, yard), ==, '.');
  g_assert_cmpint (see (&story, porch), ==, '+');
  g_assert_cmpint (see (&story, yard), ==, '+');
  story_end (&story);
  story.config.cameras = (char *[]) { (char *) "yard", NULL };
  story_begin (&story, NULL);
  g_assert_cmpint (see (&story, porch), ==, '.');
  g_assert_cmpint (see (&story, porch), ==, '.');
  story_end (&story);
}

/* What was told before a restart is not told again, and ends after it. */
static void
test_state (void)
{
  Story story = { .config = { .kind = TERN_RULE_LABEL, .label = (char *) "yes", .threshold = 0.8, .clear = 0.8, .windows = 2,
      .interval = 100 * SECOND } };
  g_autofree char *before = NULL, *after = NULL, *heard = NULL, *state = NULL, *other = NULL;

  story_begin (&story, NULL);
  before = tell_scores (&story, "99");
  g_assert_cmpstr (before, ==, ".+");
  state = tern_rules_state (story.rules, clocks (&story));
  story_end (&story);
  story_begin (&story, state);
  after = tell_scores (&story, "991999");
  g_assert_cmpstr (after, ==, "..-...");        /* the interval goes on, too */
  story_end (&story);
  other = g_strconcat ("nonsense\nr porch\nother porch 1 1 1 5\n", state, NULL);
  story_begin (&story, other);
  heard = tell_scores (&story, "1");
  g_assert_cmpstr (heard, ==, "-");
  story_end (&story);
}

/* A clock that is set is no silence, and no interval is longer or shorter for it. */
static void
test_clock_is_set (void)
{
  static const gint64 sets[] = { 86400 * SECOND, -86400 * SECOND };

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
    Story story = { .config = { .kind = TERN_RULE_SILENT, .silent = 10 * SECOND, .windows = 1 } };

    story.config.cameras = (char *[]) { (char *) "porch", NULL };
    story_begin (&story, NULL);
    g_assert_cmpint (tick (&story, 5), ==, '.');
    story.set = sets[i];
    g_assert_cmpint (tick (&story, 4), ==, '.');
    g_assert_cmpint (tick (&story, 1), ==, '+');
    g_assert_cmpint (see (&story, (TernSeen) { .text = "a dog" }), ==, '-');
    story.away = TRUE;
    story.set = 0;
    g_assert_cmpint (tick (&story, 100), ==, '.');
    story.away = FALSE;
    g_assert_cmpint (tick (&story, 9), ==, '.');
    g_assert_cmpint (tick (&story, 1), ==, '+');
    story_end (&story);

    story = (Story) { .config = { .kind = TERN_RULE_WORDS, .windows = 1, .interval = 5 * SECOND } };
    story.config.words = (char *[]) { (char *) "car", NULL };
    story_begin (&story, NULL);
    g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '+');
    g_assert_cmpint (see (&story, (TernSeen) { .text = "a tree" }), ==, '-');
    story.set = sets[i];
    for (guint second = 0; second < 3; second++)
      g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '.');
    g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '+');
    story_end (&story);
  }
}

/* Through a restart, too: what was kept last follows a clock that was set before, and of what is still to come then nobody knows
 * when it was. */
static void
test_clock_is_set_and_restart (void)
{
  Story story = { .config = { .kind = TERN_RULE_WORDS, .windows = 1, .interval = 1000 * SECOND,
      .words = (char *[]) { (char *) "car", NULL } } };
  g_autofree char *state = NULL, *corrected = NULL;

  story.set = 86400 * SECOND;
  story_begin (&story, NULL);
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '+');
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a tree" }), ==, '-');
  state = tern_rules_state (story.rules, clocks (&story));
  story.set = 0;
  corrected = tern_rules_state (story.rules, clocks (&story));
  story_end (&story);
  story_begin (&story, corrected);
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '.');
  story.now += 998 * SECOND;
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '+');
  story_end (&story);
  story_begin (&story, state);
  g_assert_cmpint (see (&story, (TernSeen) { .text = "a car" }), ==, '+');
  story_end (&story);
}

/* ---- Zones ---- */

static TernZone
zone (gboolean hide, const double *points, guint n)
{
  TernZone made = { (char *) "z", hide, g_array_new (FALSE, FALSE, sizeof (double)) };

  g_array_append_vals (made.points, points, n);
  return made;
}

/* 'x' hidden, '.' shown. */
static void
assert_mask (const GPtrArray *zones, guint width, guint height, gboolean half, const char *expected)
{
  g_autoptr (TernMask) mask = tern_mask_new (zones, width, height);
  guint w = half ? (width + 1) / 2 : width, h = half ? (height + 1) / 2 : height, stride = w + 3;
  g_autofree guint8 *pixels = g_malloc (stride * h);

  memset (pixels, '.', stride * h);
  g_assert_nonnull (mask);
  tern_mask_apply (mask, half, pixels, stride, 'x');
  for (guint y = 0; y < h; y++) {
    g_assert_cmpmem (pixels + y * stride, w, expected + y * w, w);
    g_assert_cmpmem (pixels + y * stride + w, 3, "...", 3);
  }
}

static void
test_zones (void)
{
  const double left[] = { 0, 0, 0.5, 0, 0.5, 1, 0, 1 };
  const double corner[] = { 0, 0, 1, 0, 0, 1 };
  const double hole[] = { 0.25, 0.25, 0.75, 0.25, 0.75, 0.75, 0.25, 0.75 };
  TernZone shown = zone (FALSE, left, 8), triangle = zone (FALSE, corner, 6), hidden = zone (TRUE, hole, 8);
  g_autoptr (GPtrArray) zones = g_ptr_array_new ();

  g_assert_null (tern_mask_new (zones, 4, 4));
  g_ptr_array_add (zones, &shown);
  assert_mask (zones, 4, 2, FALSE, "..xx" "..xx");
  assert_mask (zones, 5, 1, FALSE, "..xxx");    /* the middle of the third pixel is on the edge, and outside */
  assert_mask (zones, 6, 3, TRUE, ".xx" ".xx"); /* a sample for two by two: hidden if one of them is */
  g_ptr_array_add (zones, &hidden);
  assert_mask (zones, 4, 4, FALSE, "..xx" ".xxx" ".xxx" "..xx");
  g_ptr_array_remove_index (zones, 0);
  assert_mask (zones, 4, 4, FALSE, "...." ".xx." ".xx." "....");
  g_ptr_array_index (zones, 0) = &triangle;
  assert_mask (zones, 4, 4, FALSE, "...x" "..xx" ".xxx" "xxxx");
  g_array_unref (shown.points);
  g_array_unref (triangle.points);
  g_array_unref (hidden.points);
}

/* ---- What is told ---- */

static void
test_messages (void)
{
  const double values[] = { 0.75, 0.25 };
  g_autofree char *scores = tern_message_scores (labels, values);
  TernTold told = { "porch", NOON, NOON + 4 * SECOND, "answer", "say \"no\"\n", "m", "yes", scores, 0.75, TRUE, FALSE };
  TernAlert on = { "person", "porch", TRUE, 0.75 }, off = { "person", "porch", FALSE, -1 };
  g_autofree char *result = tern_message_result (&told), *alert = tern_message_alert (&on, &told, NOON + 5 * SECOND);
  g_autofree char *quiet = tern_message_alert (&off, NULL, NOON), *topic = tern_message_alert_topic (&on);

  g_assert_cmpstr (result, ==, "{\"camera\":\"porch\",\"start\":\"2025-11-29T12:00:00.000Z\",\"end\":\"2025-11-29T12:00:04.000Z\","
      "\"kind\":\"answer\",\"result\":\"say \\\"no\\\"\\n\",\"label\":\"yes\",\"confidence\":0.75,\"abstained\":true,"
      "\"unchanged\":false,\"model\":\"m\",\"scores\":{\"yes\":0.75,\"no\":0.25}}");
  g_assert_cmpstr (alert, ==, "{\"rule\":\"person\",\"camera\":\"porch\",\"state\":\"ON\",\"time\":\"2025-11-29T12:00:05.000Z\","
      "\"start\":\"2025-11-29T12:00:00.000Z\",\"end\":\"2025-11-29T12:00:04.000Z\",\"result\":\"say \\\"no\\\"\\n\","
      "\"score\":0.75}");
  g_assert_cmpstr (quiet, ==, "{\"rule\":\"person\",\"camera\":\"porch\",\"state\":\"OFF\",\"time\":\"2025-11-29T12:00:00.000Z\"}");
  g_assert_cmpstr (topic, ==, "porch/person");
}

/* ---- The service manager ---- */

static void
test_notify (void)
{
  g_autofree char *folder = g_dir_make_tmp ("tern-notify-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "socket", NULL), *pid = g_strdup_printf ("%d", (int) getpid ());
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_DGRAM, 0);
  char text[64];
  gssize n;

  g_assert_false (tern_notify ("READY=1"));
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_setenv ("NOTIFY_SOCKET", path, TRUE);
  g_assert_true (tern_notify ("READY=1\nSTATUS=2 cameras"));
  n = recv (fd, text, sizeof text, 0);
  g_assert_cmpmem (text, n, "READY=1\nSTATUS=2 cameras", strlen ("READY=1\nSTATUS=2 cameras"));
  close (fd);
  g_assert_false (tern_notify ("READY=1"));     /* nobody there any more */
  g_unsetenv ("NOTIFY_SOCKET");
  g_assert_cmpint (tern_notify_watchdog (), ==, 0);
  g_setenv ("WATCHDOG_USEC", "30000000", TRUE);
  g_assert_cmpint (tern_notify_watchdog (), ==, 15000000);
  g_setenv ("WATCHDOG_PID", pid, TRUE);
  g_assert_cmpint (tern_notify_watchdog (), ==, 15000000);
  g_setenv ("WATCHDOG_PID", "1", TRUE);
  g_assert_cmpint (tern_notify_watchdog (), ==, 0);
  remove_all (folder);
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/watch/rules/label", test_label);
  g_test_add_func ("/watch/rules/interval", test_interval);
  g_test_add_func ("/watch/rules/quiet", test_quiet);
  g_test_add_func ("/watch/rules/quiet-end", test_quiet_end);
  g_test_add_func ("/watch/rules/gone", test_gone);
  g_test_add_func ("/watch/rules/words", test_words);
  g_test_add_func ("/watch/rules/silent", test_silent);
  g_test_add_func ("/watch/rules/cameras", test_cameras);
  g_test_add_func ("/watch/rules/state", test_state);
  g_test_add_func ("/watch/rules/clock-is-set", test_clock_is_set);
  g_test_add_func ("/watch/rules/clock-is-set-and-restart", test_clock_is_set_and_restart);
  g_test_add_func ("/watch/zones", test_zones);
  g_test_add_func ("/watch/messages", test_messages);
  g_test_add_func ("/watch/notify", test_notify);
  return g_test_run ();
}
