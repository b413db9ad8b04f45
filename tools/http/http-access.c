/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "engine/base/readfile.h"
#include "tern/error.h"
#include "tools/http/http-private.h"

#define KEYS_BYTES (1 << 20)    /* of a file with keys */
#define DIGEST 32               /* bytes of SHA-256 */

/* ---- Where to listen --------------------------------------------------------------------------------------------- */

static gboolean
refuse_listen (const char *text, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--listen: expected an address and a port, as 127.0.0.1:8080 or"
      " [::1]:8080, found \"%s\"", text);
  return FALSE;
}

static gboolean
is_loopback (const char *host)
{
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (host);

  return g_ascii_strcasecmp (host, "localhost") == 0 || (address && g_inet_address_get_is_loopback (address));
}

gboolean
tern_listen_parse (TernListen *listen, const char *text, GError **error)
{
  const char *colon = strrchr (text, ':'), *host = text;
  gsize len = colon ? (gsize) (colon - text) : 0;
  gboolean brackets = len > 2 && text[0] == '[' && colon[-1] == ']';
  g_autoptr (GInetAddress) address = NULL;
  guint64 port;

  *listen = (TernListen) { NULL };
  if (!colon || len == 0 || !g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &port, NULL))
    return refuse_listen (text, error);
  if (brackets) {
    host++;
    len -= 2;
  }
  listen->host = g_strndup (host, len);
  listen->port = (guint16) port;
  listen->loopback = is_loopback (listen->host);
  address = g_inet_address_new_from_string (listen->host);
  if (address ? (g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV6) == brackets
      : g_ascii_strcasecmp (listen->host, "localhost") == 0)
    return TRUE;
  tern_listen_clear (listen);
  return refuse_listen (text, error);
}

gboolean
tern_http_is_loopback (const char *listen)
{
  TernListen parsed;
  gboolean loopback = tern_listen_parse (&parsed, listen, NULL) && parsed.loopback;

  tern_listen_clear (&parsed);
  return loopback;
}

void
tern_listen_clear (TernListen *listen)
{
  g_clear_pointer (&listen->host, g_free);
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

struct _TernKeys {
  guint8 *digests;              /* [n][DIGEST] */
  guint n;
};

static void
digest (const char *key, gsize len, guint8 out[DIGEST])
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize size = DIGEST;

  g_checksum_update (sum, (const guchar *) key, (gssize) len);
  g_checksum_get_digest (sum, out, &size);
}

TernKeys *
tern_keys_read (const char *path, GError **error)
{
  g_autoptr (GByteArray) digests = g_byte_array_new ();
  g_auto (GStrv) lines = NULL;
  g_autofree char *text = NULL;
  TernKeys *keys;
  gsize size;

  if (!(text = tern_file_read (path, KEYS_BYTES, &size, error)))
    return NULL;
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++) {
    guint8 sum[DIGEST];

    g_strstrip (*line);
    if (!**line || **line == '#')
      continue;
    digest (*line, strlen (*line), sum);
    g_byte_array_append (digests, sum, DIGEST);
  }
  memset (text, 0, size);
  if (digests->len == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected keys, one a line, found none", path);
    return NULL;
  }
  keys = g_new (TernKeys, 1);
  keys->n = digests->len / DIGEST;
  keys->digests = g_byte_array_free (g_steal_pointer (&digests), FALSE);
  return keys;
}

void
tern_keys_free (TernKeys *keys)
{
  if (!keys)
    return;
  g_free (keys->digests);
  g_free (keys);
}

/* Digests are compared, all bytes of all of them: nothing of a key shows in the time that it takes. */
gboolean
tern_keys_allow (const TernKeys *keys, const char *authorization)
{
  gboolean bearer = authorization && g_ascii_strncasecmp (authorization, "Bearer ", 7) == 0;
  const char *key = bearer ? authorization + 7 : "";
  guint8 sum[DIGEST];
  guint found = 0;

  while (*key == ' ')
    key++;
  digest (key, strlen (key), sum);
  for (guint i = 0; i < keys->n; i++) {
    guint differs = 0;

    for (guint b = 0; b < DIGEST; b++)
      differs |= keys->digests[i * DIGEST + b] ^ sum[b];
    found |= differs == 0;
  }
  return bearer && found;
}

/* ---- Browsers ---------------------------------------------------------------------------------------------------- */

/* Of "name:port" or "[address]:port". */
static char *
host_name (const char *host)
{
  const char *end;

  if (*host == '[')
    return g_strndup (host + 1, strcspn (host + 1, "]"));
  end = strrchr (host, ':');
  return end ? g_strndup (host, (gsize) (end - host)) : g_strdup (host);
}

gboolean
tern_host_is_ours (const char *host, const char *origin)
{
  g_autofree char *name = host ? host_name (host) : NULL;
  g_autoptr (GInetAddress) address = name ? g_inet_address_new_from_string (name) : NULL;
  const char *from = origin ? strstr (origin, "://") : NULL;

  /* A name that leads here today led somewhere else yesterday: only addresses, and the names of this machine. */
  if (name && !address && g_ascii_strcasecmp (name, "localhost") != 0
      && !g_str_has_suffix (name, ".localhost") && g_ascii_strcasecmp (name, g_get_host_name ()) != 0)
    return FALSE;
  return !origin || (from && host && g_ascii_strcasecmp (from + 3, host) == 0);
}
