/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The account of what may be computed for a stream, as elements have it: that of the bin that they are in, or one of their
 * own. */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

/* `budget` and `budget-watts`, with ids @first and @first + 1. */
void gst_tern_budget_install_properties (GObjectClass * klass, guint first);

/* Opens *@budget unless there is one, or @params say nothing. FALSE: an ERROR
 * was posted. */
gboolean gst_tern_budget_open (GstElement * element,
    const TernBudgetParams * params, TernBudget ** budget);
/* *@held, under @owner's lock, becomes a reference to @budget, or NULL. */
void gst_tern_budget_replace (GstObject * owner, TernBudget ** held,
    TernBudget * budget);
/* What it was used for; nothing without @budget. */
void gst_tern_budget_add_stats (TernBudget * budget, GstStructure * stats);

G_END_DECLS
