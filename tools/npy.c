/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/npy.h"

#include <stdarg.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/mapfile.h"
#include "engine/base/mem.h"
#include "tools/output.h"

#define MAGIC "\x93NUMPY\x01\x00"
#define MAGIC_BYTES 8
#define MAX_SHOWN 40            /* bytes of a value */
#define HEAD_BYTES (MAGIC_BYTES + 2)    /* and the u16 length of the description */

gboolean
tern_npy_write (const char *path, const float *data, guint n_dims, const gsize *shape, GError **error)
{
  g_autoptr (GString) text = g_string_new ("{'descr': '<f4', 'fortran_order': False, 'shape': (");
  g_autoptr (TernOutput) output = NULL;
  guint8 head[HEAD_BYTES] = MAGIC;
  gsize bytes = sizeof *data;
  guint i;

  for (i = 0; i < n_dims; i++) {
    g_string_append_printf (text, "%" G_GSIZE_FORMAT "%s", shape[i], n_dims == 1 ? "," : i + 1 < n_dims ? ", " : "");
    if (!tern_mul (bytes, shape[i], &bytes)) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: the array does not fit the address space", path);
      return FALSE;
    }
  }
  g_string_append (text, "), }");
  while ((HEAD_BYTES + text->len + 1) % 64 != 0)
    g_string_append_c (text, ' ');
  g_string_append_c (text, '\n');
  head[MAGIC_BYTES] = text->len & 255;
  head[MAGIC_BYTES + 1] = text->len >> 8;

  output = tern_output_open (path, error);
  return output && tern_output_write (output, head, sizeof head, error)
      && tern_output_write (output, text->str, text->len, error)
      && tern_output_write (output, data, bytes, error)
      && tern_output_commit (g_steal_pointer (&output), error);
}

static gboolean
damaged (GError **error, const char *path, TernErrorCode code, const char *expected, const char *format, ...)
{
  g_autofree char *found = NULL;
  va_list args;

  va_start (args, format);
  found = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, TERN_ERROR, code, "%s: expected %s, found %s", path, expected, found);
  return FALSE;
}

/* A value of the description, as it stands there: `'<f8'` or `[('x', '<f4')]`; of a long one the beginning. */
static char *
value_of (const char *p)
{
  char open = *p;
  const char *end = open == '\'' || open == '"' ? strchr (p + 1, open) : strpbrk (p, open == '[' ? "]\n" : ",}\n");
  gsize len = end ? (gsize) (end - p) + (*end == open || *end == ']') : strlen (p);

  return len > MAX_SHOWN ? g_strdup_printf ("%.*s...", MAX_SHOWN, p) : g_strndup (p, len);
}

/* The text after "'key':" in the description. */
static const char *
find_field (const char *text, const char *key)
{
  const char *p = strstr (text, key);

  if (!p)
    return NULL;
  p += strlen (key);
  while (*p == ' ')
    p++;
  return p;
}

static gboolean
parse_shape (TernNpy *npy, const char *p)
{
  npy->n = 1;
  if (*p++ != '(')
    return FALSE;
  for (;;) {
    char *end;
    guint64 dim;

    while (*p == ' ' || *p == ',')
      p++;
    if (*p == ')')
      return TRUE;
    if (!g_ascii_isdigit (*p) || npy->n_dims == TERN_NPY_MAX_DIMS)
      return FALSE;
    dim = g_ascii_strtoull (p, &end, 10);
    if (dim != (gsize) dim || !tern_mul (npy->n, dim, &npy->n))
      return FALSE;
    npy->shape[npy->n_dims++] = dim;
    p = end;
  }
}

static gboolean
read_map (TernNpy *npy, const TernMap *map, const char *path, GError **error)
{
  g_autofree char *text = NULL, *found = NULL;
  const char *type, *order, *shape;
  gsize len, bytes;
  void *data;

  if (map->size < HEAD_BYTES || memcmp (map->data, MAGIC, MAGIC_BYTES - 2) != 0)
    return damaged (error, path, TERN_ERROR_UNSUPPORTED, "a .npy file of version 1.0", "another kind of file, or none");
  if (memcmp (map->data, MAGIC, MAGIC_BYTES) != 0)
    return damaged (error, path, TERN_ERROR_UNSUPPORTED, "a .npy file of version 1.0", "version %u.%u",
        ((const guint8 *) map->data)[MAGIC_BYTES - 2], ((const guint8 *) map->data)[MAGIC_BYTES - 1]);
  len = map->data[MAGIC_BYTES] | map->data[MAGIC_BYTES + 1] << 8;
  if (len > map->size - HEAD_BYTES)
    return damaged (error, path, TERN_ERROR_FORMAT, "a whole .npy description", "that it is cut off");
  text = g_strndup ((const char *) map->data + HEAD_BYTES, len);
  type = find_field (text, "'descr':");
  order = find_field (text, "'fortran_order':");
  shape = find_field (text, "'shape':");
  if (!type || !order || !shape || !parse_shape (npy, shape))
    return damaged (error, path, TERN_ERROR_FORMAT, "descr, fortran_order and shape (8 dimensions at most)",
        "none, or others");
  if (!g_str_has_prefix (type, "'<f4'") && !g_str_has_prefix (type, "'|u1'"))
    return damaged (error, path, TERN_ERROR_UNSUPPORTED, "numbers of type '<f4' (float32)", "%s", found = value_of (type));
  if (!g_str_has_prefix (order, "False"))
    return damaged (error, path, TERN_ERROR_UNSUPPORTED, "rows one after the other (C order)", "fortran_order: %s",
        found = value_of (order));
  if (!tern_mul (npy->n, type[2] == 'f' ? 4 : 1, &bytes))
    return damaged (error, path, TERN_ERROR_FORMAT, "a shape that fits the address space", "a larger one");
  if (bytes != map->size - HEAD_BYTES - len)
    return damaged (error, path, TERN_ERROR_FORMAT, "as many bytes as the shape asks for",
        "%" G_GSIZE_FORMAT " bytes for %" G_GSIZE_FORMAT, map->size - HEAD_BYTES - len, bytes);

  data = tern_mem_alloc (MAX (bytes, 1), path, error);
  if (!data)
    return FALSE;
  memcpy (data, map->data + HEAD_BYTES + len, bytes);
  if (type[2] == 'f')
    npy->f32 = data;
  else
    npy->u8 = data;
  return TRUE;
}

gboolean
tern_npy_read (TernNpy *npy, const char *path, GError **error)
{
  TernMap map;
  gboolean ok;

  memset (npy, 0, sizeof *npy);
  if (!tern_map_open (&map, path, error))
    return FALSE;
  ok = read_map (npy, &map, path, error);
  tern_map_close (&map);
  return ok;
}

void
tern_npy_clear (TernNpy *npy)
{
  tern_mem_free (npy->f32);
  tern_mem_free (npy->u8);
  memset (npy, 0, sizeof *npy);
}
