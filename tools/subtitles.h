/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SubRip and WebVTT: one cue a result. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum { TERN_SUBTITLES_SRT, TERN_SUBTITLES_VTT } TernSubtitles;

/* What comes before the first cue. */
void tern_subtitles_head (TernSubtitles kind, GString *out);
/* Cue @number (from 1); seconds. A text without a visible character gives nothing and FALSE. */
gboolean tern_subtitles_cue (TernSubtitles kind, guint number, double start, double end, const char *text,
    GString *out);

G_END_DECLS
