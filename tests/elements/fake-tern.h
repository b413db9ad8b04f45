/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests may ask of the fake engine, through harness.h: it lies in the plugin, which is opened at run time. */
#pragma once

#include <gmodule.h>

/* What takes time. */
typedef enum { TERN_FAKE_ANSWERS, TERN_FAKE_FRAMES, TERN_FAKE_LOADS, TERN_FAKE_N_WORKS } TernFakeWork;

/* None of these ends until FALSE; an answer or a frame that is cancelled does. */
G_MODULE_EXPORT void tern_fake_hold (TernFakeWork what, gboolean hold);
/* Those that were begun, in all. */
G_MODULE_EXPORT guint tern_fake_begun (TernFakeWork what);
/* Until @n of them were begun. */
G_MODULE_EXPORT void tern_fake_wait_begun (TernFakeWork what, guint n);
/* Labels and constraints that there are. */
G_MODULE_EXPORT guint tern_fake_forms (void);
/* No schema or grammar is compiled until FALSE; until one is under way. */
G_MODULE_EXPORT void tern_fake_hold_forms (gboolean hold);
G_MODULE_EXPORT void tern_fake_wait_forms (void);
