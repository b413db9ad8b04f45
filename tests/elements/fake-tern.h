/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests may ask of the fake engine, through harness.h: it lies in the plugin, which is opened at run time. */
#pragma once

#include <gmodule.h>

/* No answer ends until FALSE; a cancelled one does. */
G_MODULE_EXPORT void tern_fake_hold (gboolean hold);
/* Answers that were begun, in all. */
G_MODULE_EXPORT guint tern_fake_begun (void);
/* Until @n answers were begun. */
G_MODULE_EXPORT void tern_fake_wait_begun (guint n);
/* Labels and constraints that there are. */
G_MODULE_EXPORT guint tern_fake_forms (void);
/* No schema or grammar is compiled until FALSE; until one is under way. */
G_MODULE_EXPORT void tern_fake_hold_forms (gboolean hold);
G_MODULE_EXPORT void tern_fake_wait_forms (void);
