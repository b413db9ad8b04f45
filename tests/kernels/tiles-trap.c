/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/kernels/tiles-trap.h"

#include "engine/base/cpu.h"

#if defined(__x86_64__) && defined(__linux__)

#include <math.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define TILES 8

/* A thread's tiles. */
static _Thread_local struct {
  gboolean configured;
  guint8 config[64];
  guint rows[TILES], bytes[TILES];
  guint8 data[TILES][16][64];
} tiles;
static guint trapped;
static struct sigaction before;

/* Async-signal-safe. */
static G_GNUC_NORETURN void
fault (const char *what)
{
  static const char head[] = "Bail out! AMX: ", end[] = "\n";

  if (write (STDOUT_FILENO, head, sizeof head - 1) < 0 || write (STDOUT_FILENO, what, strlen (what)) < 0
      || write (STDOUT_FILENO, end, 1) < 0)
    _exit (2);
  _exit (1);
}

/* ---- Instructions ------------------------------------------------------------------------------------------------ */

static void
release (void)
{
  memset (&tiles, 0, sizeof tiles);
}

static gboolean
any (const guint8 *p, guint first, guint last)
{
  for (; first < last && !p[first]; first++);
  return first < last;
}

static void
configure (const guint8 *p)
{
  guint t;

  release ();
  if (p[0] == 0)
    return;
  if (p[0] != 1)
    fault ("LDTILECFG: a palette other than 1");
  if (any (p, 1, 16) || any (p, 32, 48) || any (p, 56, 64))
    fault ("LDTILECFG: reserved bytes that are not 0");
  memcpy (tiles.config, p, 64);
  for (t = 0; t < TILES; t++) {
    tiles.bytes[t] = p[16 + 2 * t] | p[17 + 2 * t] << 8;
    tiles.rows[t] = p[48 + t];
    if (tiles.rows[t] > 16 || tiles.bytes[t] > 64)
      fault ("LDTILECFG: a tile of more than 16 rows of 64 bytes");
    if (!tiles.rows[t] != !tiles.bytes[t])
      fault ("LDTILECFG: a tile of no rows, or of none with bytes");
  }
  tiles.configured = TRUE;
}

static void
check_tile (guint t)
{
  if (!tiles.configured)
    fault ("no tiles are configured");
  if (t >= TILES || !tiles.rows[t] || tiles.bytes[t] % 4)
    fault ("a tile that is none");
}

static void
load (guint t, const guint8 *from, gsize stride)
{
  guint r;

  check_tile (t);
  memset (tiles.data[t], 0, sizeof tiles.data[t]);
  for (r = 0; r < tiles.rows[t]; r++)
    memcpy (tiles.data[t][r], from + r * stride, tiles.bytes[t]);
}

static void
store (guint t, guint8 *to, gsize stride)
{
  guint r;

  check_tile (t);
  for (r = 0; r < tiles.rows[t]; r++)
    memcpy (to + r * stride, tiles.data[t][r], tiles.bytes[t]);
}

/* @sum is of the rows of @a and the columns of @b. */
static void
check_product (guint sum, guint a, guint b)
{
  check_tile (sum);
  check_tile (a);
  check_tile (b);
  if (sum == a || sum == b || a == b)
    fault ("a product of a tile with itself");
  if (tiles.rows[sum] != tiles.rows[a] || tiles.bytes[sum] != tiles.bytes[b] || tiles.bytes[a] / 4 != tiles.rows[b])
    fault ("a product of tiles that do not fit");
}

static void
dot_bytes (guint sum, guint a, guint b, gboolean a_signed, gboolean b_signed)
{
  guint m, n, k, i;

  check_product (sum, a, b);
  for (m = 0; m < tiles.rows[sum]; m++) {
    for (n = 0; n < tiles.bytes[sum] / 4; n++) {
      guint32 total;            /* wraps */

      memcpy (&total, &tiles.data[sum][m][4 * n], 4);
      for (k = 0; k < tiles.rows[b]; k++) {
        for (i = 0; i < 4; i++) {
          guint8 x = tiles.data[a][m][4 * k + i], y = tiles.data[b][k][4 * n + i];

          total += (guint32) ((a_signed ? (gint8) x : x) * (b_signed ? (gint8) y : y));
        }
      }
      memcpy (&tiles.data[sum][m][4 * n], &total, 4);
    }
    memset (&tiles.data[sum][m][tiles.bytes[sum]], 0, 64 - tiles.bytes[sum]);
  }
  for (; m < 16; m++)
    memset (tiles.data[sum][m], 0, 64);
}

/* Subnormals count as zero, going in and coming out. */
static float
flushed (float v)
{
  return fpclassify (v) == FP_SUBNORMAL ? copysignf (0, v) : v;
}

static float
bf16_at (const guint8 *p)
{
  guint32 bits = (guint32) (p[0] | p[1] << 8) << 16;
  float v;

  memcpy (&v, &bits, 4);
  return flushed (v);
}

static void
dot_bf16 (guint sum, guint a, guint b)
{
  guint m, n, k;

  check_product (sum, a, b);
  for (m = 0; m < tiles.rows[sum]; m++) {
    for (n = 0; n < tiles.bytes[sum] / 4; n++) {
      float total, even = 0, odd = 0;

      for (k = 0; k < tiles.rows[b]; k++) {
        const guint8 *x = &tiles.data[a][m][4 * k], *y = &tiles.data[b][k][4 * n];

        even = flushed (fmaf (bf16_at (x), bf16_at (y), even));
        odd = flushed (fmaf (bf16_at (x + 2), bf16_at (y + 2), odd));
      }
      memcpy (&total, &tiles.data[sum][m][4 * n], 4);
      total = flushed (flushed (total) + flushed (even + odd));
      memcpy (&tiles.data[sum][m][4 * n], &total, 4);
    }
  }
  for (m = tiles.rows[sum]; m < 16; m++)
    memset (tiles.data[sum][m], 0, 64);
}

/* ---- Decoding ---------------------------------------------------------------------------------------------------- */

/* What follows the opcode: a register, or memory. */
typedef struct {
  guint reg, rm;
  gboolean is_memory, has_index;
  guint8 *base;
  gsize index;                  /* scaled */
  guint length;                 /* with ModRM */
} Operand;

static gsize
read_register (const ucontext_t *u, guint number)
{
  static const int places[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8,
    REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

  return (gsize) u->uc_mcontext.gregs[places[number]];
}

/* SDM vol. 2A, 2.1.5. @p at the ModRM byte; @r, @x, @b: upper bits of the registers. */
static Operand
decode_operand (const ucontext_t *u, const guint8 *p, guint r, guint x, guint b)
{
  Operand o = { (p[0] >> 3 & 7) | r << 3, (p[0] & 7) | b << 3, p[0] >> 6 != 3, FALSE, NULL, 0, 1 };
  guint mod = p[0] >> 6;
  gboolean based = TRUE;
  gint32 displacement = 0;
  gsize base;
  guint number = o.rm;

  if (!o.is_memory)
    return o;
  if ((p[0] & 7) == 4) {        /* SIB */
    guint index = (p[1] >> 3 & 7) | x << 3;

    number = (p[1] & 7) | b << 3;
    o.length++;
    o.has_index = index != 4;
    o.index = o.has_index ? read_register (u, index) << (p[1] >> 6) : 0;
    based = (p[1] & 7) != 5 || mod != 0;
  }
  if (mod == 1) {
    displacement = (gint8) p[o.length];
    o.length++;
  } else if (mod == 2 || !based || (mod == 0 && (p[0] & 7) == 5)) {
    memcpy (&displacement, p + o.length, 4);
    o.length += 4;
  }
  base = based ? read_register (u, number) : 0;
  if (mod == 0 && (p[0] & 7) == 5)      /* from the next instruction */
    base = (gsize) (p + o.length);
  o.base = (guint8 *) base + displacement;
  return o;
}

/* FALSE: none of ours. @prefix: 0 none, 1 66, 2 F3, 3 F2. */
static gboolean
emulate (guint8 opcode, guint prefix, guint vvvv, const Operand *o)
{
  if (opcode == 0x49 && prefix == 0 && o->is_memory && (o->reg & 7) == 0)
    configure (o->base);
  else if (opcode == 0x49 && prefix == 0 && !o->is_memory && o->reg == 0 && o->rm == 0)
    release ();
  else if (opcode == 0x49 && prefix == 1 && o->is_memory && (o->reg & 7) == 0)
    memcpy (o->base, tiles.config, 64);
  else if (opcode == 0x49 && prefix == 3 && !o->is_memory)
    check_tile (o->reg), memset (tiles.data[o->reg], 0, sizeof tiles.data[0]);
  else if (opcode == 0x4b && (prefix == 3 || prefix == 1) && o->is_memory)
    load (o->reg, o->base, o->index);
  else if (opcode == 0x4b && prefix == 2 && o->is_memory)
    store (o->reg, o->base, o->index);
  else if (opcode == 0x5c && prefix == 2 && !o->is_memory)
    dot_bf16 (o->reg, o->rm, vvvv);
  else if (opcode == 0x5e && !o->is_memory)     /* prefixes: UU, US, SU, SS */
    dot_bytes (o->reg, o->rm, vvvv, prefix >= 2, prefix & 1);
  else
    return FALSE;
  return TRUE;
}

static void
on_illegal (int number, siginfo_t *info, void *context)
{
  ucontext_t *u = context;
  const guint8 *p = (const guint8 *) u->uc_mcontext.gregs[REG_RIP];
  Operand o;

  /* VEX of three bytes: C4, ~R ~X ~B and map 0F38, W ~vvvv L and the prefix. */
  if (p[0] == 0xc4 && (p[1] & 31) == 2 && (p[2] & 0x84) == 0) {
    o = decode_operand (u, p + 4, ~p[1] >> 7 & 1, ~p[1] >> 6 & 1, ~p[1] >> 5 & 1);
    if (emulate (p[3], p[2] & 3, ~p[2] >> 3 & 15, &o)) {
      u->uc_mcontext.gregs[REG_RIP] += 4 + o.length;
      g_atomic_int_inc (&trapped);
      return;
    }
  }
  sigaction (SIGILL, &before, NULL);    /* happens again, to whoever was there before */
}

gboolean
tiles_trap_available (void)
{
  static gsize once;

  if (tern_cpu_has (TERN_CPU_AMX))
    return TRUE;
  if (!tern_cpu_has (TERN_CPU_AVX512BF16))
    return FALSE;
  if (g_once_init_enter (&once)) {
    struct sigaction action = { .sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER };

    sigaction (SIGILL, &action, &before);
    g_once_init_leave (&once, 1);
  }
  return TRUE;
}

#else

static guint trapped;
static struct { gboolean configured; } tiles;

gboolean
tiles_trap_available (void)
{
  return FALSE;
}

#endif

gboolean
tiles_trap_configured (void)
{
  return tiles.configured;
}

guint
tiles_trap_count (void)
{
  return trapped;
}
