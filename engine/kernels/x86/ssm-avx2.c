/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx2.h"
#include "engine/kernels/wide/ssm.inc"
