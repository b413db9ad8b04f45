/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the pixels of a picture lie, and a copy of them without gaps. */
#pragma once

#include "tern/image.h"

typedef struct {
  guint n;
  gsize row_bytes[3];
  guint rows[3];
} TernPlanes;

/* INVALID: a format, size, stride or plane that cannot be. */
gboolean tern_planes_of (const TernImage *image, TernPlanes *planes, GError **error);
/* Bytes of all planes without gaps. */
gsize tern_planes_bytes (const TernPlanes *planes);
/* Copies @image's @planes to @data [tern_planes_bytes()]; @copy is that picture. */
void tern_planes_copy (const TernPlanes *planes, const TernImage *image, guint8 *data, TernImage *copy);
