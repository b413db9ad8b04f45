/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When to alert: results in, alerts out. Nothing here looks at a clock: the caller says what time it is. How long something takes
 * is counted by monotonic time, so that a clock that is set makes no alert, and keeps none back; hours of the day are those of
 * the wall. One thread at a time. */
#pragma once

#include "watch/config.h"
#include "watch/times.h"

G_BEGIN_DECLS

/* A result, as far as rules look at it; all borrowed. */
typedef struct {
  const char *camera;
  const char *text;
  const char *const *labels;    /* NULL: none */
  const double *scores;         /* of each label */
  gboolean abstained, unchanged;
  gboolean error;               /* says nothing about what is there */
} TernSeen;

/* A rule began to hold for a camera, or no longer does; names are the rules'. */
typedef struct {
  const char *rule, *camera;
  gboolean on;
  double score;                 /* of the rule's label; -1: it has none */
} TernAlert;

typedef struct _TernRules TernRules;

/* @configs (TernRuleConfig) must live as long. @state: what tern_rules_state() said before, or NULL; of other
 * rules and cameras those that were told to hold end with the next tick. */
TernRules *tern_rules_new (const GPtrArray *configs, const char *const *cameras, const char *state, TernNow now);
void tern_rules_free (TernRules *rules);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernRules, tern_rules_free)

/* Whether somebody looks at @camera, and pictures come. */
typedef gboolean (*TernWatchedFunc) (gpointer data, const char *camera);

/* Both append to @alerts (TernAlert). Tick now and then: a rule that waits for nothing has no result to wait for, nor has one whose
 * end may be told now; time counts for the former while the camera is watched. */
void tern_rules_see (TernRules *rules, const TernSeen *seen, TernNow now, GArray *alerts);
void tern_rules_tick (TernRules *rules, TernNow now, TernWatchedFunc is_watched, gpointer data, GArray *alerts);

/* Where all of them stand; moments by the clock on the wall, for who begins anew may have another monotonic time. */
char *tern_rules_state (const TernRules *rules, TernNow now);

G_END_DECLS
