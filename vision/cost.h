/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What encoding a picture costs at least, whoever computes it: for floors. */
#pragma once

#include "engine/weights/cost.h"
#include "vision/vision.h"

G_BEGIN_DECLS

/* Adds to @cost, for a picture with this plan. What is done to pixels, norms and activations is small beside products and
 * not counted. In the forms that it is packed to, if it is. */
void tern_vision_cost (TernVision *vision, const TernVisionPlan *plan, TernCost *cost);

G_END_DECLS
