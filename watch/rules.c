/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/rules.h"

#include <string.h>

#define NEVER G_MININT64

/* Where a rule stands for one camera. */
typedef struct {
  const TernRuleConfig *config; /* NULL: there is no such rule any more, or not of this camera */
  char *name, *camera;
  guint count;                  /* windows in a row for which it held */
  gboolean on;                  /* it holds; */
  gboolean told;                /* somebody was told so, and nothing else since */
  gint64 last_alert;            /* when, monotonic; or NEVER */
  gint64 last_news;             /* when there was something new, monotonic, for rules that wait for nothing */
} Stand;

struct _TernRules {
  GPtrArray *stands;
  gint64 last_tick;             /* monotonic */
};

static void
stand_free (gpointer data)
{
  Stand *stand = data;

  g_free (stand->name);
  g_free (stand->camera);
  g_free (stand);
}

static Stand *
stand_new (const TernRuleConfig *config, const char *name, const char *camera)
{
  Stand *stand = g_new0 (Stand, 1);

  stand->config = config;
  stand->name = g_strdup (name);
  stand->camera = g_strdup (camera);
  stand->last_alert = NEVER;
  return stand;
}

static Stand *
find_stand (const TernRules *rules, const char *name, const char *camera)
{
  for (guint i = 0; i < rules->stands->len; i++) {
    Stand *stand = g_ptr_array_index (rules->stands, i);

    if (strcmp (stand->name, name) == 0 && strcmp (stand->camera, camera) == 0)
      return stand;
  }
  return NULL;
}

/* Of a line of tern_rules_state(): RULE CAMERA COUNT ON TOLD LAST-ALERT (us since 1970; 0: never). What was told of a rule that
 * there is no more is over. An alert of what is to come is from a clock that has been set since: nobody knows when it was. */
static void
restore (TernRules *rules, const char *line, TernNow now)
{
  g_auto (GStrv) parts = g_strsplit (line, " ", -1);
  gboolean whole = g_strv_length (parts) == 6, told = whole && strcmp (parts[4], "1") == 0;
  Stand *stand = whole ? find_stand (rules, parts[0], parts[1]) : NULL;
  gint64 last;

  if (!stand && told) {
    stand = stand_new (NULL, parts[0], parts[1]);
    g_ptr_array_add (rules->stands, stand);
  }
  if (!stand)
    return;
  stand->told = told;
  if (!stand->config)
    return;
  stand->count = (guint) g_ascii_strtoull (parts[2], NULL, 10);
  stand->on = strcmp (parts[3], "1") == 0;
  last = g_ascii_strtoll (parts[5], NULL, 10);
  if (last > 0 && last <= now.wall)
    stand->last_alert = now.monotonic - (now.wall - last);
}

TernRules *
tern_rules_new (const GPtrArray *configs, const char *const *cameras, const char *state, TernNow now)
{
  g_auto (GStrv) lines = state ? g_strsplit (state, "\n", -1) : NULL;
  TernRules *rules = g_new0 (TernRules, 1);

  rules->stands = g_ptr_array_new_with_free_func (stand_free);
  rules->last_tick = now.monotonic;
  for (guint r = 0; r < configs->len; r++)
    for (guint c = 0; cameras[c]; c++) {
      const TernRuleConfig *config = g_ptr_array_index (configs, r);
      Stand *stand;

      if (!tern_rule_config_has (config, cameras[c]))
        continue;
      stand = stand_new (config, config->name, cameras[c]);
      stand->last_news = now.monotonic; /* while nobody looked there was nothing to see */
      g_ptr_array_add (rules->stands, stand);
    }
  for (guint i = 0; lines && lines[i]; i++)
    restore (rules, lines[i], now);
  return rules;
}

void
tern_rules_free (TernRules *rules)
{
  if (!rules)
    return;
  g_ptr_array_unref (rules->stands);
  g_free (rules);
}

char *
tern_rules_state (const TernRules *rules, TernNow now)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < rules->stands->len; i++) {
    const Stand *stand = g_ptr_array_index (rules->stands, i);

    gint64 last = stand->last_alert == NEVER ? 0 : now.wall - (now.monotonic - stand->last_alert);

    if (!stand->config && !stand->told)
      continue;
    g_string_append_printf (text, "%s %s %u %d %d %" G_GINT64_FORMAT "\n", stand->name, stand->camera, stand->count,
        stand->on, stand->told, last);
  }
  return g_string_free (text, FALSE);
}

/* ---- What holds ---- */

static gboolean
is_word (const char *p)
{
  return g_unichar_isalnum (g_utf8_get_char (p));
}

/* Whether @word stands in @text, both in lower case, and not inside a longer word. */
static gboolean
has_word (const char *text, const char *word)
{
  gsize len = strlen (word);

  for (const char *p = text; len && (p = strstr (p, word)); p = g_utf8_next_char (p)) {
    const char *before = g_utf8_find_prev_char (text, p);

    if ((!before || !is_word (before)) && (!p[len] || !is_word (p + len)))
      return TRUE;
  }
  return FALSE;
}

static gboolean
has_any_word (const char *text, char **words)
{
  g_autofree char *low = g_utf8_casefold (text, -1);

  for (guint i = 0; words[i]; i++) {
    g_autofree char *word = g_utf8_casefold (words[i], -1);

    if (has_word (low, word))
      return TRUE;
  }
  return FALSE;
}

/* The label's probability; -1: it is not among them. */
static double
score_of (const TernSeen *seen, const char *label)
{
  for (guint i = 0; seen->labels && seen->scores && seen->labels[i]; i++)
    if (strcmp (seen->labels[i], label) == 0)
      return seen->scores[i];
  return -1;
}

/* ---- Beginning and end ---- */

static void
put_alert (const Stand *stand, gboolean on, double score, GArray *alerts)
{
  TernAlert alert = { stand->name, stand->camera, on, score };

  g_array_append_val (alerts, alert);
}

static gboolean
is_quiet (const Stand *stand, TernNow now)
{
  return stand->config && stand->config->has_quiet && tern_week_has (&stand->config->quiet, now.wall);
}

/* It holds, in one more window. What may not be said now is said later, if it still holds then. */
static void
stand_holds (Stand *stand, double score, TernNow now, GArray *alerts)
{
  const TernRuleConfig *config = stand->config;

  stand->count = MIN (stand->count, config->windows) + 1;
  stand->on |= stand->count >= config->windows;
  if (!stand->on || stand->told || is_quiet (stand, now)
      || (stand->last_alert != NEVER && now.monotonic - stand->last_alert < config->interval))
    return;
  stand->told = TRUE;
  stand->last_alert = now.monotonic;
  put_alert (stand, TRUE, score, alerts);
}

/* Whom nothing may be told now hears of it later, if it does not hold again by then. */
static void
stand_ends (Stand *stand, double score, TernNow now, GArray *alerts)
{
  stand->count = 0;
  stand->on = FALSE;
  if (!stand->told || is_quiet (stand, now))
    return;
  put_alert (stand, FALSE, score, alerts);
  stand->told = FALSE;
}

static void
see_label (Stand *stand, const TernSeen *seen, TernNow now, GArray *alerts)
{
  double score = score_of (seen, stand->config->label);

  if (score < 0)
    return;
  if (score >= stand->config->threshold && !seen->abstained)
    stand_holds (stand, score, now, alerts);
  else if (score < stand->config->clear && !seen->abstained)
    stand_ends (stand, score, now, alerts);
  else if (!stand->on)
    stand->count = 0;           /* in between, or not sure: what holds goes on, what does not has not begun */
}

static void
see_silent (Stand *stand, const TernSeen *seen, TernNow now, GArray *alerts)
{
  if (seen->unchanged)
    return;
  stand->last_news = now.monotonic;
  stand_ends (stand, -1, now, alerts);
}

void
tern_rules_see (TernRules *rules, const TernSeen *seen, TernNow now, GArray *alerts)
{
  for (guint i = 0; i < rules->stands->len; i++) {
    Stand *stand = g_ptr_array_index (rules->stands, i);

    if (seen->error || !stand->config || strcmp (stand->camera, seen->camera) != 0)
      continue;
    if (stand->config->kind == TERN_RULE_LABEL)
      see_label (stand, seen, now, alerts);
    else if (stand->config->kind == TERN_RULE_SILENT)
      see_silent (stand, seen, now, alerts);
    else if (has_any_word (seen->text, stand->config->words))
      stand_holds (stand, -1, now, alerts);
    else
      stand_ends (stand, -1, now, alerts);
  }
}

/* Time in which nobody looks passes by: there was nothing to be seen in it. */
static void
wait_in_silence (Stand *stand, gint64 since, TernNow now, gboolean watched, GArray *alerts)
{
  if (!watched)
    stand->last_news = MIN (stand->last_news + now.monotonic - since, now.monotonic);
  if (!watched || now.monotonic - stand->last_news < stand->config->silent)
    return;
  stand->count = stand->config->windows;        /* windows are of no matter to it */
  stand_holds (stand, -1, now, alerts);
}

void
tern_rules_tick (TernRules *rules, TernNow now, TernWatchedFunc is_watched, gpointer data, GArray *alerts)
{
  for (guint i = 0; i < rules->stands->len; i++) {
    Stand *stand = g_ptr_array_index (rules->stands, i);

    if (stand->config && stand->config->kind == TERN_RULE_SILENT)
      wait_in_silence (stand, rules->last_tick, now, is_watched (data, stand->camera), alerts);
    if (stand->told && !stand->on)
      stand_ends (stand, -1, now, alerts);
  }
  rules->last_tick = now.monotonic;
}
