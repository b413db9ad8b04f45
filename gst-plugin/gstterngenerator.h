/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

#define GST_TYPE_TERN_GENERATOR (gst_tern_generator_get_type ())
G_DECLARE_FINAL_TYPE (GstTernGenerator, gst_tern_generator, GST,
    TERN_GENERATOR, GstElement)

GST_ELEMENT_REGISTER_DECLARE (terngenerator);

/* Properties that terncaption has too, with the ids @first and up; returns the
 * id after the last. */
guint gst_tern_generator_install_properties (GObjectClass * klass,
    guint first);

/* In READY: it is limited by @budget (or NULL), of which it takes a reference,
 * until it returns there. */
void gst_tern_generator_set_budget (GstTernGenerator * self, TernBudget * budget);

/* Whether @event is a request or a trigger, and then, whether it was taken. From
 * any thread; one that comes by several pads is taken once, one that an
 * application sends to the element (@sent) as often as it does. */
gboolean gst_tern_generator_take_event (GstTernGenerator * self,
    GstEvent * event, gboolean sent, gboolean * taken);

G_END_DECLS
