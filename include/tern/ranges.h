/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ranges of parameters, stated once: for the library's own checks, the elements' properties and the tools' options. Both
 * ends of a range are part of it. Installed. */
#pragma once

#include <glib.h>

#define TERN_THREADS_MAX 512            /* 0 = as many as there are cores */

#define TERN_MAX_TOKENS_MIN 1           /* to say */
#define TERN_MAX_TOKENS_MAX 65536
#define TERN_BEAM_MIN 1                 /* no beam search */
#define TERN_BEAM_MAX 64
#define TERN_TEMPERATURE_MAX 100.0f     /* 0 = greedy; 0 with more than one beam */
#define TERN_TOP_K_MAX G_MAXINT32       /* 0 = all */
#define TERN_TOP_P_MIN 1e-6f
#define TERN_TOP_P_MAX 1.0f             /* 1 = all */
#define TERN_MIN_P_MAX 1.0f             /* 0 = all */
#define TERN_REPETITION_PENALTY_MIN 0.01f
#define TERN_REPETITION_PENALTY_MAX 100.0f      /* 1 = none */

#define TERN_WINDOW_MIN 1               /* ns */
#define TERN_WINDOW_MAX G_MAXINT64
#define TERN_HOP_MAX G_MAXINT64         /* ns; 0 = window */
#define TERN_WINDOW_FRAMES_MAX 4096     /* 0 = as many as the window holds */

#define TERN_QUESTIONS_MAX 16           /* about one window */

/* kv_prune and merge_ratio are shares: 0 to 1. */
#define TERN_SHARE_MAX 1.0
