/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternbudget.h"

#include "gstternelement.h"
#include "gstternerror.h"

void
gst_tern_budget_install_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = GST_TERN_PARAM_READY;

  g_object_class_install_property (klass, first,
      g_param_spec_double ("budget", "Budget",
          "Seconds of one core that are spent for each second of the stream (0 "
          "= no limit)", 0, TERN_BUDGET_CORES_MAX, 0, ready));
  g_object_class_install_property (klass, first + 1,
      g_param_spec_double ("budget-watts", "Budget in watts",
          "The same as power, where the machine has energy counters (0 = no "
          "limit)", 0, TERN_BUDGET_WATTS_MAX, 0, ready));
}

gboolean
gst_tern_budget_open (GstElement * element, const TernBudgetParams * params,
    TernBudget ** budget)
{
  GError *error = NULL;

  if (*budget || (params->cores == 0 && params->watts == 0))
    return TRUE;
  *budget = tern_budget_new (params, &error);
  if (*budget)
    return TRUE;
  gst_tern_post_error (element, error);
  g_clear_error (&error);
  return FALSE;
}

void
gst_tern_budget_replace (GstObject * owner, TernBudget ** held,
    TernBudget * budget)
{
  TernBudget *before;

  GST_OBJECT_LOCK (owner);
  before = *held;
  *held = budget ? tern_budget_ref (budget) : NULL;
  GST_OBJECT_UNLOCK (owner);
  tern_budget_unref (before);
}

void
gst_tern_budget_add_stats (TernBudget * budget, GstStructure * stats)
{
  TernBudgetStats s;

  if (!budget)
    return;
  tern_budget_stats (budget, &s);
  gst_structure_set (stats, "budget-rate", G_TYPE_DOUBLE, s.rate,
      "budget-allowed", G_TYPE_DOUBLE, s.allowed,
      "budget-balance", G_TYPE_DOUBLE, s.balance,
      "spent-encoding", G_TYPE_DOUBLE, s.spent[0],
      "spent-reading", G_TYPE_DOUBLE, s.spent[1],
      "spent-saying", G_TYPE_DOUBLE, s.spent[2],
      "spent-otherwise", G_TYPE_DOUBLE, s.spent[3],
      "tokens-spared", G_TYPE_UINT64, s.tokens_spared,
      "answers-pruned", G_TYPE_UINT64, s.answers_pruned,
      "joules-per-second", G_TYPE_DOUBLE, s.joules_per_second, NULL);
}
