/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is there anything new in a picture? Decided on some thousand means of cells, before the picture is converted.
 *
 * A picture becomes up to three planes of cells: 64 x 36 means of luma and 32 x 18 of each of two colour differences
 * (fewer where it has fewer pixels). A mean is of 8 rows of its cell at most (3 of chroma, and of packed pixels), all pixels
 * of them. Code values are taken as they are (0 to 255): nothing is converted to another matrix, range or transfer.
 *
 * Each plane is compared with the *background*, the picture that was taken for new last (and so was encoded), never with
 * the frame before alone: what comes in slowly adds up. The mean of that picture and of the first few still ones after it
 * (REFERENCE_FRAMES) is the background; then it stays as it is, so no more than what was below the threshold then can hide.
 *
 *   light      y = a r + b is fitted from background r to picture y by least squares, twice trimmed at 2.5 robust
 *              deviations of the residual: exposure (a gain on gamma's curve is a gain, for powers multiply), white balance,
 *              flicker. e = y - (a r + b), the latter within the picture's own range: lights saturate
 *   scale      s = 1.4826 median |e|: of what everything does at once (key frames of a codec that has few bits)
 *   noise      p of each cell: the largest |e(t) - e(t-1)| of still frames so far, which fades by 1 % a frame. It is learned
 *              a frame late, when it is known that what was seen did not stay. Cells that made an alarm learn as well, up
 *              to what makes their threshold twice the one asked for: leaves in the wind, blocks of a codec. Noise
 *              never makes it more than four times that
 *   threshold  t = max (T, 1.5 p, 4 s) + 0.15 |a r + b - r|, T being what was asked for, in levels of 255
 *   alarm      MIN_CELLS cells that touch each other (of luma; of colour fewer) with |e| > 2 t at once, or with
 *              |median of e(t), e(t-1), e(t-2)| > t: rain, snow and insects are somewhere else in the next frame
 *   upheaval   s > T: everything is different; or light changed by more than LIGHT_MOST levels on average, or by T where the
 *              background has nothing in it that would say that it is the same scene
 *
 * An object of 1 % of the picture covers 23 cells of luma, ten whole ones at least, so it is seen when it differs by 2 t, at
 * once, and by t, with the second frame; its colour too. Where nothing was new for a while t is T = 6, unless noise is larger.
 *
 * The parts are known ones: background subtraction against a reference with a deviation of each cell (after W4, Haritaoglu,
 * Harwood, Davis, IEEE PAMI 22(8), 2000, which keeps the largest difference between frames of each pixel), a robust scale
 * by the median of absolute deviations (Rousseeuw, Croux, JASA 88, 1993), alarms by connected cells. */
#pragma once

#include <glib.h>
#include "tern/image.h"

G_BEGIN_DECLS

#define TERN_GATE_COLUMNS 64
#define TERN_GATE_ROWS 36
#define TERN_GATE_CELLS (TERN_GATE_COLUMNS * TERN_GATE_ROWS)
#define TERN_GATE_PLANES 3

/* Means of a picture. */
typedef struct {
  guint n;                      /* planes: 1, or 3 */
  guint w[TERN_GATE_PLANES], h[TERN_GATE_PLANES];
  float mean[TERN_GATE_PLANES][TERN_GATE_CELLS];        /* [h][w], 0..255 */
} TernGateCells;

/* @shift: 0, samples are bytes; else they are of 16 bits, little endian, and one of byte's range when shifted right so far.
 * Every plane of @image lies in memory. */
void tern_gate_cells (TernGateCells *cells, const TernImage *image, guint shift);
/* The same, pixel after pixel. */
void tern_gate_cells_reference (TernGateCells *cells, const TernImage *image, guint shift);

typedef enum {
  TERN_GATE_STILL,              /* nothing is new */
  TERN_GATE_FIRST,              /* there is no background to compare with */
  TERN_GATE_OBJECT,             /* cells that touch each other are different */
  TERN_GATE_UPHEAVAL,           /* everything is, or it is dark now */
} TernGateVerdict;

typedef struct _TernGateModel TernGateModel;

/* @threshold: T, 1 to 255. All memory is taken here. */
TernGateModel *tern_gate_model_new (double threshold);
void tern_gate_model_free (TernGateModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGateModel, tern_gate_model_free)
/* Compares @cells. Whatever is not STILL becomes the background. */
TernGateVerdict tern_gate_model_judge (TernGateModel *model, const TernGateCells *cells);
/* The same, but what is not STILL is left to the caller: it is taken (encoded), or put off, so that it is still new in the next
 * picture. *@novelty: the share of the picture that is new: of the plane of which it is most, cells that make up objects; 1 of an
 * upheaval, and of the first picture; 0 of what is still. */
TernGateVerdict tern_gate_model_compare (TernGateModel *model, const TernGateCells *cells, double *novelty);
void tern_gate_model_take (TernGateModel *model, TernGateVerdict verdict);
void tern_gate_model_put_off (TernGateModel *model, TernGateVerdict verdict);
/* The picture judged last becomes the background, although it was STILL: it is encoded. */
void tern_gate_model_adopt (TernGateModel *model);
/* The next picture is FIRST; what was learned of noise stays as long as the planes are of one size. */
void tern_gate_model_forget (TernGateModel *model);

G_END_DECLS
