/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Picture files for tests. */
#pragma once

#include "tern/image.h"

typedef struct {
  TernImage image;              /* RGB */
  guint8 *pixels;
} GoldenPicture;

/* Fails the test when the file cannot be decoded. */
GoldenPicture *golden_picture_png (const char *path);
void golden_picture_free (GoldenPicture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GoldenPicture, golden_picture_free)
