/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From public parameters to the cache of a stream (vision/reuse.h). */
#include "tern/reuse-priv.h"

#define DRIFT_AUTO .005         /* one less the cosine of tokens */

gboolean
tern_reuse_open (TernVision *vision, const TernReuseParams *params, TernReuse **reuse, GError **error)
{
  TernReuseOptions options = { .threshold = params->threshold, .refresh = params->refresh,
    .drift = params->mode == TERN_REUSE_ON ? 2 : DRIFT_AUTO };

  *reuse = NULL;
  if (!tern_reuse_params_check (params, error))
    return FALSE;
  if (!vision || params->mode == TERN_REUSE_OFF || (params->mode == TERN_REUSE_AUTO && !tern_reuse_fits (vision)))
    return TRUE;
  *reuse = tern_reuse_new (vision, tern_vision_info (vision)->max_tokens, &options, error);
  return *reuse != NULL;
}

void
tern_reuse_get_stats (const TernReuse *reuse, TernReuseStats *stats)
{
  TernReuseCounts counts = { 0 };

  if (reuse)
    tern_reuse_counts (reuse, &counts);
  *stats = (TernReuseStats) { .frames = counts.frames, .refreshed = counts.refreshes, .patches_computed = counts.computed,
    .patches_reused = counts.reused, .operations = counts.macs, .operations_whole = counts.whole };
}
