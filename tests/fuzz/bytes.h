/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of a fuzz input as a source of choices; without end, zeros follow. */
#pragma once

#include <glib.h>

typedef struct {
  const guint8 *at, *end;
} Bytes;

static inline gboolean
bytes_left (const Bytes *bytes)
{
  return bytes->at < bytes->end;
}

static inline guint
next_byte (Bytes *bytes)
{
  return bytes_left (bytes) ? *bytes->at++ : 0;
}

/* [0, n), n >= 1 */
static inline guint
next_below (Bytes *bytes, guint n)
{
  guint value = next_byte (bytes);

  if (n > 256)
    value = value << 8 | next_byte (bytes);
  return value % n;
}
