/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/speculate.h"

#define ALIKE 3                 /* tokens that tell a place, at most */
#define FIRST_SHARE .6          /* before anything is known */
#define WEIGHT .15              /* of the newest guess in the share */
#define WORTH_IT .45            /* less of them true, and a guide is silent after a failure */
#define FIRST_PAUSE 8
#define LAST_PAUSE 256

/* Guesses by the share that comes true: the row of a guess costs about a third of a pass where it costs the most, and is
 * lost with all behind it where one of them is wrong. */
static const struct {
  double share;
  guint guesses;
} plans[] = { { .9, 7 }, { .75, 4 }, { .55, 2 }, { 0, 1 } };

void
tern_trust_init (TernTrust *trust, double share)
{
  *trust = (TernTrust) { .share = share, .pause = FIRST_PAUSE };
}

void
tern_trust_hear (TernTrust *trust)
{
  trust->silent -= trust->silent > 0;
}

void
tern_trust_learn (TernTrust *trust, guint n, guint right, double worth)
{
  for (guint i = 0; i < right; i++)
    trust->share += WEIGHT * (1 - trust->share);
  if (right < n)                /* nothing is known about those behind the first wrong one */
    trust->share -= WEIGHT * trust->share;
  if (trust->share >= worth) {
    trust->pause = FIRST_PAUSE;
  } else if (right < n) {
    trust->silent = trust->pause;
    trust->pause = MIN (2 * trust->pause, LAST_PAUSE);
  }
}

void
tern_guide_init (TernGuide *guide)
{
  tern_trust_init (&guide->trust, FIRST_SHARE);
}

void
tern_guide_begin (TernGuide *guide)
{
  guide->at = 0;
}

/* How many tokens before place @at are those that @said ends with. */
static guint
alike (const TernGuide *guide, guint at, const gint32 *said, guint n)
{
  guint same = 0;

  while (same < MIN (MIN (at, n), ALIKE) && guide->ids[at - 1 - same] == said[n - 1 - same])
    same++;
  return same;
}

/* The place that looks most like the end of @said; of such the first one from where the answer was. */
static guint
find_place (const TernGuide *guide, const gint32 *said, guint n)
{
  guint best = guide->n, most = 0;

  for (guint i = 0; i < guide->n; i++) {
    guint at = (guide->at + i) % guide->n + 1, same = alike (guide, at, said, n);

    if (same > most) {
      most = same;
      best = at;
    }
  }
  return best;
}

void
tern_guide_hear (TernGuide *guide, const gint32 *said, guint n)
{
  tern_trust_hear (&guide->trust);
  if (guide->at < guide->n && guide->ids[guide->at] == said[n - 1])
    guide->at++;
  else
    guide->at = find_place (guide, said, n);
}

guint
tern_guide_guess (const TernGuide *guide, guint most, const gint32 **ids)
{
  guint plan = 0;

  while (guide->trust.share < plans[plan].share)
    plan++;
  *ids = guide->ids + guide->at;
  return guide->trust.silent > 0 ? 0 : MIN (MIN (plans[plan].guesses, most), guide->n - guide->at);
}

void
tern_guide_learn (TernGuide *guide, guint n, guint right)
{
  tern_trust_learn (&guide->trust, n, right, WORTH_IT);
}
