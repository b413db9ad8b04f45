/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/random.h"

guint64
tern_random_next (TernRandom *random)
{
  guint64 z = random->state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

double
tern_random_uniform (TernRandom *random)
{
  return (tern_random_next (random) >> 11) * 0x1p-53;
}

guint32
tern_random_below (TernRandom *random, guint32 n)
{
  return (guint32) (((tern_random_next (random) >> 32) * n) >> 32);
}
