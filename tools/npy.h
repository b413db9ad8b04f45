/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NumPy's .npy files, version 1.0, C order: writes float32, reads float32 and uint8. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_NPY_MAX_DIMS 8

/* Writes @data, a C-ordered array of @shape. The file appears when it is complete. */
gboolean tern_npy_write (const char *path, const float *data, guint n_dims, const gsize *shape, GError **error);

typedef struct {
  guint n_dims;
  gsize shape[TERN_NPY_MAX_DIMS];
  gsize n;                      /* values */
  float *f32;                   /* descr '<f4', else NULL */
  guint8 *u8;                   /* descr '|u1', else NULL */
} TernNpy;

/* Errors: NOT_FOUND, READ, FORMAT, UNSUPPORTED (version, type or order). */
gboolean tern_npy_read (TernNpy *npy, const char *path, GError **error);
void tern_npy_clear (TernNpy *npy);

G_END_DECLS
