/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/arm/vec-neon.h"
#include "engine/kernels/wide/recurrent.inc"
