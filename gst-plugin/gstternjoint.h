/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the two sides of terncaption part: every frame leaves through `src`,
 * those that are due go to the encoder's side first, through `look_src`. Not
 * registered: a tee, a sampler and a judge of caps in one, that leaves no
 * reference on a frame which upstream or downstream need for themselves. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TERN_JOINT (gst_tern_joint_get_type ())
G_DECLARE_FINAL_TYPE (GstTernJoint, gst_tern_joint, GST, TERN_JOINT,
    GstElement)

/* Frames a second that are looked at, from the next segment on; 0/1 is all. */
void gst_tern_joint_set_rate (GstTernJoint * self, gint n, gint d);

G_END_DECLS
