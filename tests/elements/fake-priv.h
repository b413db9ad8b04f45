/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the halves of the fake libtern share. */
#pragma once

#include "fake-tern.h"
#include "tern/session-priv.h"

#define FAKE_DIM 8              /* floats of a visual token */

TernModelText *fake_model_text (void);
/* One answer, as long as it takes or is held; FALSE when it was cancelled. */
gboolean fake_generate (TernCancel *cancel);
/* A chunk of @model's; free with g_free(). @state: NULL without one. */
double *fake_action (const TernActionModel *model, const float *state);
/* Of labels: the last one is as likely as @share says. The likeliest. */
guint fake_label_scores (const TernLabels *labels, double share, double *scores);
