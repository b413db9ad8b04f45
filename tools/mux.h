/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A copy of a film with a track of subtitles more: everything else as it is, packet by packet. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  double start, end;            /* seconds from the film's beginning */
  char *text;                   /* UTF-8 */
} TernCue;

/* ".mp4" and its like keep their suffix, everything else becomes ".mkv". Static. */
const char *tern_mux_suffix (const char *film);

/* Writes the copy to @path, which appears there when it is complete. @cues: TernCue, in order. @language: of the track, a code
 * of two or three letters, or NULL. @left: tracks that are not in the copy, "track 2 (data, klv)", to be freed; NULL: none.
 * @stopped: asked between packets; TRUE ends it. Errors: those of reading @film; READ and
 * NO_SPACE for @path; UNSUPPORTED when a track does not fit into that kind of file (names it); CANCELLED. */
gboolean tern_mux_write (const char *film, const char *path, const GArray *cues, const char *language, gboolean (*stopped) (void),
    char **left, GError **error);

G_END_DECLS
