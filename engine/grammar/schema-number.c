/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in ranges, digit by digit. Integers have up to 18 digits, or as many as their bounds in 64 bits. Other numbers are
 * said without exponent, with up to 15 digits before the point and 6 behind it, or as many as their bounds. "-0" is never
 * said. */
#include <string.h>

#include "engine/grammar/schema-priv.h"

#define INTEGER_MOST G_GINT64_CONSTANT (999999999999999999)
#define NUMBER_MOST_DIGITS 15   /* before the point */
#define FRACTION_DIGITS 6
#define FRACTION_MOST 40
#define DOUBLE_DIGITS 15        /* decimals of so many digits are different doubles */
#define LISTED_MOST 2000        /* multiples that are written out */
#define REMAINDERS_MOST 128

static TernNode
digits_between (TernSchema *ctx, guint first, guint last)
{
  TernCharRange range = { '0' + first, '0' + last };

  return tern_grammar_class (ctx->builder, &range, 1, FALSE);
}

static TernNode
any_digits (TernSchema *ctx, guint min, guint max)
{
  return tern_grammar_repeat (ctx->builder, digits_between (ctx, 0, 9), min, max);
}

static TernNode
pair (TernSchema *ctx, TernNode first, TernNode second)
{
  TernNode items[] = { first, second };

  return first == TERN_NODE_NONE || second == TERN_NODE_NONE ? TERN_NODE_NONE : tern_grammar_sequence (ctx->builder, items, 2);
}

/* Leaves NONE out. */
static TernNode
choose (TernSchema *ctx, const TernNode *items, guint n)
{
  g_autofree TernNode *kept = g_new (TernNode, n + 1);
  guint n_kept = 0;

  for (guint i = 0; i < n; i++)
    if (items[i] != TERN_NODE_NONE)
      kept[n_kept++] = items[i];
  return n_kept == 0 ? TERN_NODE_NONE : tern_grammar_choice (ctx->builder, kept, n_kept);
}

/* ---- Integers ---------------------------------------------------------------------------------------------------- */

/* Strings of as many digits as the bounds have, whose value is 0 modulo @modulus. */
typedef struct {
  TernSchema *ctx;
  const char *low, *high;
  guint n;
  guint modulus;
  TernNode *tails;              /* [20][modulus]: so many digits of that remainder, 0 not made yet */
} Digits;

static guint
power_of_ten (guint exponent, guint modulus)
{
  guint64 power = 1 % modulus;

  while (exponent-- > 0)
    power = power * 10 % modulus;
  return power;
}

/* @n digits, any, whose value has @remainder. */
static TernNode
tail_of (Digits *digits, guint n, guint remainder)
{
  TernNode items[10], *known = &digits->tails[n * digits->modulus + remainder];

  if (digits->modulus == 1)
    return any_digits (digits->ctx, n, n);
  if (n == 0)
    return remainder == 0 ? tern_grammar_bytes (digits->ctx->builder, "", 0) : TERN_NODE_NONE;
  if (*known)
    return *known;
  for (guint d = 0; d < 10; d++) {
    guint left = (remainder + digits->modulus - d * power_of_ten (n - 1, digits->modulus) % digits->modulus) % digits->modulus;

    items[d] = pair (digits->ctx, digits_between (digits->ctx, d, d), tail_of (digits, n - 1, left));
  }
  *known = choose (digits->ctx, items, 10);
  if (*known != TERN_NODE_NONE) {
    TernRule rule = tern_grammar_declare (digits->ctx->builder, "digits of a multiple");

    tern_grammar_define (digits->ctx->builder, rule, *known);
    *known = tern_grammar_reference (digits->ctx->builder, rule);
  }
  return *known;
}

/* From digit @at on; @low and @high: whether those before were the bound's. @remainder: what is still to come. */
static TernNode
digits_from (Digits *digits, guint at, gboolean low, gboolean high, guint remainder)
{
  guint first = low ? digits->low[at] - '0' : 0, last = high ? digits->high[at] - '0' : 9, n_items = 0;
  TernNode items[10];

  if (at == digits->n)
    return remainder == 0 ? tern_grammar_bytes (digits->ctx->builder, "", 0) : TERN_NODE_NONE;
  if (!low && !high)
    return tail_of (digits, digits->n - at, remainder);
  for (guint d = first; d <= last; d++) {
    gboolean still_low = low && d == first, still_high = high && d == last;
    guint upto = d;
    guint left;

    if (digits->modulus == 1 && !still_low && !still_high)
      upto = high ? last - 1 : last;    /* several digits that anything may follow */
    left = (remainder + digits->modulus - d * power_of_ten (digits->n - at - 1, digits->modulus) % digits->modulus)
        % digits->modulus;
    items[n_items++] = pair (digits->ctx, digits_between (digits->ctx, d, upto),
        digits_from (digits, at + 1, still_low, still_high, left));
    d = upto;
  }
  return choose (digits->ctx, items, n_items);
}

/* Multiples of @modulus in [@low, @high], as they are written. */
static TernNode
unsigned_between (TernSchema *ctx, guint64 low, guint64 high, guint modulus)
{
  g_autofree TernNode *tails = g_new0 (TernNode, 21 * modulus);
  TernNode items[20];
  guint n_items = 0, full_from = 0, full_to = 0;
  guint64 first = 0;

  for (guint n = 1; n <= 20 && first <= high; n++) {
    guint64 last = n == 20 ? G_MAXUINT64 : first ? first * 10 - 1 : 9;
    char from[24], to[24];
    Digits digits = { ctx, from, to, n, modulus, tails };

    if (modulus == 1 && n > 1 && first >= low && last <= high) {
      full_from = full_from ? full_from : n;
      full_to = n;
    } else if (last >= low) {
      g_snprintf (from, sizeof from, "%" G_GUINT64_FORMAT, MAX (first, low));
      g_snprintf (to, sizeof to, "%" G_GUINT64_FORMAT, MIN (last, high));
      items[n_items++] = digits_from (&digits, 0, TRUE, TRUE, 0);
    }
    if (n == 20)
      break;
    first = last + 1;
  }
  /* All numbers of so many digits, in one piece. */
  if (full_from)
    items[n_items++] = pair (ctx, digits_between (ctx, 1, 9), any_digits (ctx, full_from - 1, full_to - 1));
  return choose (ctx, items, n_items);
}

static TernNode
signed_between (TernSchema *ctx, gint64 low, gint64 high, guint modulus)
{
  TernNode items[2] = { TERN_NODE_NONE, TERN_NODE_NONE };

  if (low < 0)
    items[0] = pair (ctx, tern_schema_literal (ctx, "-"),
        unsigned_between (ctx, high < 0 ? -(guint64) high : 1, -(guint64) low, modulus));
  if (high >= 0)
    items[1] = unsigned_between (ctx, MAX (low, 0), high, modulus);
  return choose (ctx, items, 2);
}

static gint64
floor_divide (gint64 a, gint64 b)
{
  return a / b - (a % b != 0 && a < 0);
}

/* Multiples of @step between them. */
static TernNode
multiples_between (TernSchema *ctx, gint64 low, gint64 high, gint64 step, const TernJsonValue *at)
{
  gint64 first = -floor_divide (-low, step), last = floor_divide (high, step);
  g_autofree char *zeros = NULL;
  g_autofree TernNode *listed = NULL;
  guint n_zeros = 0, n = 0;
  TernNode items[2] = { TERN_NODE_NONE, TERN_NODE_NONE };

  if (first > last)
    return TERN_NODE_NONE;
  if (step == 1)
    return signed_between (ctx, low, high, 1);
  if ((guint64) last - (guint64) first < LISTED_MOST) {
    listed = g_new (TernNode, LISTED_MOST);
    for (gint64 factor = first; factor <= last; factor++) {
      char text[24];

      g_snprintf (text, sizeof text, "%" G_GINT64_FORMAT, factor * step);
      listed[n++] = tern_schema_literal (ctx, text);
    }
    return tern_grammar_choice (ctx->builder, listed, n);
  }
  for (; step % 10 == 0; step /= 10, n_zeros++) {
    low = -floor_divide (-low, 10);
    high = floor_divide (high, 10);
  }
  if (step > REMAINDERS_MOST) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, at,
        "expected a step of at most %d, times a power of ten, or a narrower range, found another", REMAINDERS_MOST);
    return TERN_NODE_NONE;
  }
  /* 0 has no zeros behind it. */
  zeros = g_strnfill (n_zeros, '0');
  if (low < 0)
    items[0] = signed_between (ctx, low, MIN (high, -1), step);
  if (high > 0)
    items[1] = signed_between (ctx, MAX (low, 1), high, step);
  items[0] = pair (ctx, choose (ctx, items, 2), tern_schema_literal (ctx, zeros));
  items[1] = low <= 0 && high >= 0 ? tern_schema_literal (ctx, "0") : TERN_NODE_NONE;
  return choose (ctx, items, 2);
}

/* FALSE: none, or failed. */
static gboolean
integer_bounds (TernSchema *ctx, const TernNumberRange *range, gint64 *low, gint64 *high, const TernJsonValue *at)
{
  static const TernDecimal most = { FALSE, "9223372036854775807", 19, 19 }, least = { TRUE, "9223372036854775807", 19, 19 };

  *low = -INTEGER_MOST;
  *high = INTEGER_MOST;
  if (range->min) {
    const TernDecimal *min = &range->min->number;

    gboolean above = !tern_decimal_is_integer (min) || range->above_min;

    *low = tern_decimal_floor (min);
    if (tern_decimal_compare (min, &most) > (above ? -1 : 0)) {
      tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, range->min, "expected a bound within 64 bits, found %.40s",
          range->min->text);
      return FALSE;
    }
    *low += above;
    if (*low > *high)
      *high = G_MAXINT64;
  }
  if (range->max) {
    const TernDecimal *max = &range->max->number;
    gboolean below = tern_decimal_is_integer (max) && range->below_max;

    *high = tern_decimal_floor (max);
    if (tern_decimal_compare (max, &least) < (below ? 1 : 0)) {
      tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, range->max, "expected a bound within 64 bits, found %.40s",
          range->max->text);
      return FALSE;
    }
    *high -= below;
    if (*high < *low && !range->min)
      *low = G_MININT64 + 1;
  }
  *low = MAX (*low, G_MININT64 + 1);    /* whose opposite is an integer, too */
  if (*low > *high)
    tern_schema_none (ctx, range->max ? range->max : at, "no integer lies between the bounds");
  return *low <= *high;
}

/* n of 1/n, of steps that doubles hold exactly; else 0. */
static gint64
parts_of (const TernJsonValue *multiple)
{
  for (gint64 parts = 2; parts <= 64; parts *= 2)
    if (g_ascii_strtod (multiple->text, NULL) * parts == 1)
      return parts;
  return 0;
}

static TernNode
integer_node (TernSchema *ctx, const TernNumberRange *range, const TernJsonValue *at)
{
  gint64 low, high, step = 1;
  const TernJsonValue *step_at = at;
  TernNode node;

  for (guint i = 0; range->multiples && i < range->multiples->len; i++) {
    const TernJsonValue *multiple = range->multiples->pdata[i];
    gint64 value = tern_decimal_floor (&multiple->number), a = step, b = value;

    if (parts_of (multiple) > 0)        /* of which every integer is a multiple */
      continue;
    step_at = multiple;
    while (b) {
      gint64 rest = a % b;

      a = b;
      b = rest;
    }
    if (!tern_decimal_is_integer (&multiple->number) || value > 1000000000 || step / a > 1000000000 / value) {
      tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, multiple,
          "expected an integer of at most 1000000000 as the step of integers, found %.40s", multiple->text);
      return TERN_NODE_NONE;
    }
    step = step / a * value;
  }
  if (!integer_bounds (ctx, range, &low, &high, at))
    return TERN_NODE_NONE;
  node = multiples_between (ctx, low, high, step, step_at);
  return node == TERN_NODE_NONE ? tern_schema_none (ctx, step_at, "no multiple lies between the bounds") : node;
}

/* ---- Other numbers ----------------------------------------------------------------------------------------------- */

/* Not below 0. */
typedef struct {
  guint64 whole;
  const char *digits;           /* behind the point */
  guint n;
  gboolean excluded;            /* the bound itself is not meant */
} Bound;

typedef struct {
  TernSchema *ctx;
  Bound low, high;
  guint most;                   /* digits behind the point */
} Fractions;

static guint
bound_digit (const Bound *bound, guint at)
{
  return at < bound->n ? bound->digits[at] - '0' : 0;
}

/* What may follow @at digits behind the point; @low, @high: whether all so far were the bound's. */
static TernNode
fraction_from (const Fractions *f, guint at, gboolean low, gboolean high)
{
  TernNode items[12];
  guint n_items = 0, first, last;
  gboolean ends = TRUE;

  if (low && at >= f->low.n && !f->low.excluded)
    low = FALSE;
  if (low)
    ends = FALSE;               /* smaller, or the bound that is excluded */
  if (high && at >= f->high.n) {
    /* Zeros alone could follow. */
    return ends && !f->high.excluded ? tern_grammar_bytes (f->ctx->builder, "", 0) : TERN_NODE_NONE;
  }
  if (!low && !high)
    return any_digits (f->ctx, 0, f->most - at);
  if (ends && at > 0)
    items[n_items++] = tern_grammar_bytes (f->ctx->builder, "", 0);
  if (at < f->most) {
    first = low ? bound_digit (&f->low, at) : 0;
    last = high ? bound_digit (&f->high, at) : 9;
    for (guint d = first; d <= last; d++) {
      gboolean still_low = low && d == first, still_high = high && d == last;
      guint upto = !still_low && !still_high ? (high ? last - 1 : last) : d;

      items[n_items++] = pair (f->ctx, digits_between (f->ctx, d, upto), fraction_from (f, at + 1, still_low, still_high));
      d = upto;
    }
  }
  return choose (f->ctx, items, n_items);
}

/* The point and what follows, or nothing, of a number whose whole part is that of the bounds that are @low and @high. */
static TernNode
fraction (const Fractions *f, gboolean low, gboolean high)
{
  TernNode items[2] = { TERN_NODE_NONE, TERN_NODE_NONE }, digits[11];
  gboolean whole = TRUE;
  guint first, last, n = 0;

  if (low)
    whole = f->low.n == 0 && !f->low.excluded;
  if (high)
    whole = whole && (f->high.n > 0 || !f->high.excluded);
  if (whole)
    items[0] = tern_grammar_bytes (f->ctx->builder, "", 0);
  if (low && f->low.n == 0 && !f->low.excluded)
    low = FALSE;
  if (f->most > 0 && !(high && f->high.n == 0)) {
    first = low ? bound_digit (&f->low, 0) : 0;
    last = high ? bound_digit (&f->high, 0) : 9;
    for (guint d = first; d <= last; d++)
      digits[n++] = pair (f->ctx, digits_between (f->ctx, d, d), fraction_from (f, 1, low && d == first, high && d == last));
    items[1] = pair (f->ctx, tern_schema_literal (f->ctx, "."), choose (f->ctx, digits, n));
  }
  return choose (f->ctx, items, 2);
}

static TernNode
whole_literal (TernSchema *ctx, guint64 whole)
{
  char text[24];

  g_snprintf (text, sizeof text, "%" G_GUINT64_FORMAT, whole);
  return tern_schema_literal (ctx, text);
}

static TernNode
magnitudes (const Fractions *f)
{
  TernSchema *ctx = f->ctx;
  TernNode items[3] = { TERN_NODE_NONE, TERN_NODE_NONE, TERN_NODE_NONE };

  if (f->low.whole > f->high.whole)
    return TERN_NODE_NONE;
  if (f->low.whole == f->high.whole)
    return pair (ctx, whole_literal (ctx, f->low.whole), fraction (f, TRUE, TRUE));
  items[0] = pair (ctx, whole_literal (ctx, f->low.whole), fraction (f, TRUE, FALSE));
  if (f->high.whole - f->low.whole > 1)
    items[1] = pair (ctx, unsigned_between (ctx, f->low.whole + 1, f->high.whole - 1, 1), fraction (f, FALSE, FALSE));
  items[2] = pair (ctx, whole_literal (ctx, f->high.whole), fraction (f, FALSE, TRUE));
  return choose (ctx, items, 3);
}

/* The magnitude of a bound; FALSE: it has too many digits before the point. Digits behind it: @held keeps them. */
static gboolean
set_bound (Bound *bound, const TernDecimal *value, gboolean excluded, char **held)
{
  GString *digits;

  *bound = (Bound) { .excluded = excluded, .digits = "" };
  if (value->n == 0)
    return TRUE;
  if (value->exponent > NUMBER_MOST_DIGITS)
    return FALSE;
  if (value->exponent < -FRACTION_MOST) {       /* next to 0: what does not fit is seen by its digits */
    bound->n = FRACTION_MOST + 1;
    return TRUE;
  }
  for (int i = 0; i < value->exponent; i++)
    bound->whole = bound->whole * 10 + (i < (int) value->n ? value->digits[i] - '0' : 0);
  digits = g_string_new (NULL);
  for (int i = value->exponent; i < 0; i++)
    g_string_append_c (digits, '0');
  if (value->exponent < (int) value->n) {
    int from = MAX (value->exponent, 0);

    g_string_append_len (digits, value->digits + from, value->n - from);
  }
  bound->n = digits->len;
  g_free (*held);
  bound->digits = *held = g_string_free (digits, FALSE);
  return TRUE;
}

static guint
whole_digits (guint64 whole)
{
  guint n = 1;

  for (; whole >= 10; whole /= 10)
    n++;
  return n;
}

/* How many digits behind the point: all that the bounds have, and where a bound is excluded one more, but no more than a
 * double tells from it. FALSE: it cannot be. */
static gboolean
set_most (Fractions *f)
{
  f->most = MAX (FRACTION_DIGITS, MAX (f->low.n + f->low.excluded, f->high.n + f->high.excluded));
  if (f->most > FRACTION_MOST)
    return FALSE;
  for (guint i = 0; i < 2; i++) {
    const Bound *bound = i ? &f->high : &f->low;
    guint n = whole_digits (bound->whole);

    if (bound->excluded && (bound->whole > 0 || bound->n > 0))
      f->most = MIN (f->most, n < DOUBLE_DIGITS ? DOUBLE_DIGITS - n : 0);
  }
  return f->most >= MAX (f->low.n, f->high.n);
}

/* The side of 0 on which numbers are @negative. */
static TernNode
one_side (TernSchema *ctx, const TernNumberRange *range, gboolean negative, const TernJsonValue *at)
{
  static const TernDecimal zero = { .digits = "" };
  const TernJsonValue *near = negative ? range->max : range->min, *far = negative ? range->min : range->max;
  gboolean near_excluded = negative ? range->below_max : range->above_min;
  gboolean far_excluded = negative ? range->above_min : range->below_max;
  g_autofree char *low = NULL, *high = NULL;
  Fractions f = { ctx };
  TernNode node;

  /* A bound on the other side of 0 leaves all of this side, or nothing. */
  if (far && far->number.negative != negative && far->number.n > 0)
    return TERN_NODE_NONE;
  if (far && far->number.n == 0 && (negative || far_excluded))
    return TERN_NODE_NONE;
  if (near && near->number.n > 0 && near->number.negative == negative) {
    if (!set_bound (&f.low, &near->number, near_excluded, &low)) {
      tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, near, "expected at most %d digits before the point, found %.40s",
          NUMBER_MOST_DIGITS, near->text);
      return TERN_NODE_NONE;
    }
  } else {
    set_bound (&f.low, &zero, negative || (near && near->number.n == 0 && near_excluded), &low);
  }
  if (!far || !set_bound (&f.high, &far->number, far_excluded, &high)) {
    f.high = (Bound) { .whole = 1, .digits = "" };
    for (guint i = 0; i < NUMBER_MOST_DIGITS; i++)
      f.high.whole *= 10;
    f.high.whole -= 1;
  }
  if (!set_most (&f)) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, near && f.low.n > f.high.n ? near : far ? far : at,
        "expected a bound of fewer digits (%d behind the point; %d in all where it is exclusive)", FRACTION_MOST, DOUBLE_DIGITS);
    return TERN_NODE_NONE;
  }
  node = magnitudes (&f);
  return negative ? pair (ctx, tern_schema_literal (ctx, "-"), node) : node;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

/* Units of 1 / @parts that lie on the side of the bound where numbers are. Validators compare doubles. */
static gint64
bound_in_parts (const TernJsonValue *bound, gboolean excluded, gint64 parts, gboolean lower)
{
  double value = g_ascii_strtod (bound->text, NULL) * parts, most = 1e15 * parts;
  gint64 units;

  value = CLAMP (value, -most, most);
  units = (gint64) value;
  if (lower)
    return units < value ? units + 1 : units + (excluded && units == value);
  return units > value ? units - 1 : units - (excluded && units == value);
}

/* Steps of 1/2 to 1/64, which doubles hold exactly. */
static TernNode
parts_between (TernSchema *ctx, const TernNumberRange *range, gint64 parts)
{
  gint64 most = G_GINT64_CONSTANT (999999999999999) * parts, low = -most, high = most;
  TernNode items[128], sign = tern_schema_literal (ctx, "-");
  guint n_items = 0;

  if (range->min)
    low = MAX (low, bound_in_parts (range->min, range->above_min, parts, TRUE));
  if (range->max)
    high = MIN (high, bound_in_parts (range->max, range->below_max, parts, FALSE));
  for (gint64 part = 0; part < parts; part++) {
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    TernNode behind;
    gint64 from = -floor_divide (part - MAX (low, 0), parts), to = floor_divide (high - part, parts);

    g_ascii_formatd (text, sizeof text, "%g", (double) part / parts);
    behind = tern_schema_literal (ctx, part ? text + 1 : "");
    if (from <= to && to >= 0)
      items[n_items++] = pair (ctx, unsigned_between (ctx, MAX (from, 0), to, 1), behind);
    if (low >= 0)
      continue;
    from = -floor_divide (part - MAX (-high, 1), parts);
    to = floor_divide (-low - part, parts);
    from = MAX (from, part == 0);
    if (from <= to)
      items[n_items++] = pair (ctx, sign, pair (ctx, unsigned_between (ctx, from, to, 1), behind));
  }
  return choose (ctx, items, n_items);
}

static TernNode
stepped_node (TernSchema *ctx, const TernNumberRange *range, const TernJsonValue *at)
{
  const TernJsonValue *first = range->multiples->pdata[0];
  gboolean integers = TRUE;
  TernNode node;

  for (guint i = 0; i < range->multiples->len; i++)
    integers &= tern_decimal_is_integer (&((TernJsonValue *) range->multiples->pdata[i])->number);
  if (integers)
    return integer_node (ctx, range, at);
  if (range->multiples->len == 1 && parts_of (first) > 0) {
    node = parts_between (ctx, range, parts_of (first));
    return node == TERN_NODE_NONE ? tern_schema_none (ctx, first, "no multiple lies between the bounds") : node;
  }
  tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, first,
      "expected an integer, or one of 0.5, 0.25, ... 0.015625 alone, of which validators that divide doubles agree, found %.40s",
      first->text);
  return TERN_NODE_NONE;
}

/* ---- All of them ------------------------------------------------------------------------------------------------- */

TernNode
tern_schema_number (TernSchema *ctx, const TernNumberRange *range, const TernJsonValue *at)
{
  TernNode items[2] = { TERN_NODE_NONE, TERN_NODE_NONE };

  if (range->min && range->max) {
    int order = tern_decimal_compare (&range->min->number, &range->max->number);

    if (order > 0 || (order == 0 && (range->above_min || range->below_max)))
      return tern_schema_none (ctx, range->max, "expected a maximum that is not below the minimum %.40s, found %.40s",
          range->min->text, range->max->text);
  }
  if (range->integer)
    return integer_node (ctx, range, at);
  if (range->multiples && range->multiples->len > 0)
    return stepped_node (ctx, range, at);
  items[0] = one_side (ctx, range, FALSE, at);
  if (!ctx->failed)
    items[1] = one_side (ctx, range, TRUE, at);
  items[0] = choose (ctx, items, 2);
  return items[0] == TERN_NODE_NONE ? tern_schema_none (ctx, at, "no number of the digits that are said lies between the bounds")
      : items[0];
}
