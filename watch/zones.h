/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zones of a picture as a mask: what is hidden becomes black. Hidden is what is in no zone, when one is there that does not
 * hide, and what is in one that hides. A mask does not change; any thread. */
#pragma once

#include "watch/config.h"

G_BEGIN_DECLS

typedef struct _TernMask TernMask;

/* @zones: TernZone; pictures of @width x @height pixels, each at least 1. NULL: nothing is hidden. */
TernMask *tern_mask_new (const GPtrArray *zones, guint width, guint height);
void tern_mask_free (TernMask *mask);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernMask, tern_mask_free)

/* Pixels of [height][width] bytes (@half: of half the size in both directions, rounded up, where one is hidden of which any
 * part is), rows @stride bytes apart: hidden ones become @value. */
void tern_mask_apply (const TernMask *mask, gboolean half, guint8 *pixels, gsize stride, guint8 value);

G_END_DECLS
