/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/container-private.h"

#define LOOK_BYTES 4096

typedef struct {
  guint offset;
  guint8 length;
  const char *bytes;
  TernFileKind kind;
} Magic;

#define IMAGE_MAGICK "ImageMagick (`convert IN OUT.png`) makes a PNG of it"
#define RAW_READER "a raw converter such as darktable-cli or dcraw makes a JPEG of it"

/* The first line that fits counts. */
static const Magic magics[] = {
  { 0, 3, "\xff\xd8\xff", { TERN_FILE_JPEG, "a JPEG picture", NULL } },
  { 0, 8, "\x89PNG\r\n\x1a\n", { TERN_FILE_PNG, "a PNG picture", NULL } },
  { 0, 4, "GIF8", { TERN_FILE_GIF, "a GIF", NULL } },
  { 0, 4, "IIU\0", { TERN_FILE_FOREIGN_PICTURE, "a raw photograph (RW2)", RAW_READER } },
  { 0, 4, "IIRO", { TERN_FILE_FOREIGN_PICTURE, "a raw photograph (ORF)", RAW_READER } },
  { 0, 15, "FUJIFILMCCD-RAW", { TERN_FILE_FOREIGN_PICTURE, "a raw photograph (RAF)", RAW_READER } },
  { 8, 2, "CR\2", { TERN_FILE_FOREIGN_PICTURE, "a raw photograph (CR2)", RAW_READER } },
  { 0, 4, "II*\0", { TERN_FILE_TIFF, "a TIFF picture", IMAGE_MAGICK } },
  { 0, 4, "MM\0*", { TERN_FILE_TIFF, "a TIFF picture", IMAGE_MAGICK } },
  { 0, 4, "II+\0", { TERN_FILE_FOREIGN_PICTURE, "a BigTIFF picture", IMAGE_MAGICK } },
  { 0, 4, "MM\0+", { TERN_FILE_FOREIGN_PICTURE, "a BigTIFF picture", IMAGE_MAGICK } },
  { 0, 4, "8BPS", { TERN_FILE_STILL, "a Photoshop file (PSD)", IMAGE_MAGICK } },
  { 0, 12, "\0\0\0\x0cJXL \r\n\x87\n", { TERN_FILE_STILL, "a JPEG XL picture", "djxl (libjxl-tools) makes a PNG of it" } },
  { 0, 2, "\xff\x0a", { TERN_FILE_STILL, "a JPEG XL picture", "djxl (libjxl-tools) makes a PNG of it" } },
  { 0, 12, "\0\0\0\x0cjP  \r\n\x87\n", { TERN_FILE_STILL, "a JPEG 2000 picture", "opj_decompress makes a PNG of it" } },
  { 0, 4, "BPG\xfb", { TERN_FILE_FOREIGN_PICTURE, "a BPG picture", "bpgdec makes a PNG of it" } },
  { 0, 8, "gimp xcf", { TERN_FILE_FOREIGN_PICTURE, "a GIMP file (XCF)", "GIMP exports it as PNG" } },
  { 0, 4, "FLIF", { TERN_FILE_FOREIGN_PICTURE, "a FLIF picture", "flif -d makes a PNG of it" } },
  { 0, 4, "AT&T", { TERN_FILE_FOREIGN_PICTURE, "a DjVu document", "ddjvu makes a TIFF of it" } },
  { 0, 4, "icns", { TERN_FILE_FOREIGN_PICTURE, "an Apple icon (ICNS)", "icns2png makes PNGs of it" } },
  { 0, 4, "\x1a\x45\xdf\xa3", { TERN_FILE_MATROSKA, "a Matroska or WebM file", NULL } },
  { 0, 16, "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c", { TERN_FILE_ASF, "an ASF file", NULL } },
  { 0, 3, "FLV", { TERN_FILE_FLV, "an FLV file", NULL } },
  { 0, 4, "OggS", { TERN_FILE_OGG, "an Ogg file", NULL } },
  { 0, 4, "\0\0\1\xba", { TERN_FILE_MPEG_PS, "an MPEG program stream", NULL } },
  { 0, 4, "\6\x0e\x2b\x34", { TERN_FILE_MXF, "an MXF file", NULL } },
  { 0, 7, "#EXTM3U", { TERN_FILE_PLAYLIST, "a playlist", "--allow-network opens what it names on the network" } },
  { 0, 8, "ffconcat", { TERN_FILE_PLAYLIST, "a playlist", "--allow-network opens what it names on the network" } },
  { 0, 4, "%PDF", { TERN_FILE_OTHER, "a PDF document", "pdftoppm makes pictures of its pages" } },
  { 0, 4, "%!PS", { TERN_FILE_OTHER, "a PostScript document", "Ghostscript makes pictures of its pages" } },
  { 0, 4, "PK\3\4", { TERN_FILE_OTHER, "a ZIP archive or office document", NULL } },
  { 0, 4, "Rar!", { TERN_FILE_OTHER, "a RAR archive", NULL } },
  { 0, 6, "7z\xbc\xaf\x27\x1c", { TERN_FILE_OTHER, "a 7-Zip archive", NULL } },
  { 0, 2, "\x1f\x8b", { TERN_FILE_OTHER, "a file compressed with gzip", NULL } },
  { 0, 6, "\xfd" "7zXZ\0", { TERN_FILE_OTHER, "a file compressed with xz", NULL } },
  { 0, 4, "\x28\xb5\x2f\xfd", { TERN_FILE_OTHER, "a file compressed with zstd", NULL } },
  { 0, 4, "\x7f" "ELF", { TERN_FILE_OTHER, "a program", NULL } },
  { 0, 4, "GGUF", { TERN_FILE_OTHER, "a model file (GGUF)", NULL } },
  { 0, 16, "SQLite format 3\0", { TERN_FILE_OTHER, "a database", NULL } },
  { 0, 6, "\x93NUMPY", { TERN_FILE_OTHER, "a NumPy array", NULL } },
  { 0, 36, "version https://git-lfs.github.com/sp", { TERN_FILE_OTHER, "a Git LFS pointer",
        "`git lfs pull` fetches what it stands for" } },
};

static const TernFileKind heic = { TERN_FILE_FOREIGN_PICTURE, "a HEIC picture",
  "heif-convert (libheif-examples) makes a JPEG or PNG of it" };
static const TernFileKind animated_webp = { TERN_FILE_FOREIGN_PICTURE, "an animated WebP",
  "ImageMagick makes a GIF of 256 colours of it (`convert IN OUT.gif`), or pictures in all colours, without their times "
      "(`convert IN -coalesce OUT-%04d.png`)" };
static const TernFileKind names = { TERN_FILE_PLAYLIST, "a player's playlist", "--files-from takes a file of names, a line each" };
static const TernFileKind icon = { TERN_FILE_ICO, "an icon", IMAGE_MAGICK };
static const TernFileKind bmp = { TERN_FILE_STILL, "a BMP picture", IMAGE_MAGICK };
static const TernFileKind svg = { TERN_FILE_STILL, "an SVG drawing", "rsvg-convert makes a PNG of it" };
static const TernFileKind float_map = { TERN_FILE_PFM, "a portable float map (PFM)", IMAGE_MAGICK };
static const TernFileKind tar = { TERN_FILE_OTHER, "a tar file", "`tern caption` does its members where it is named as a file" };
static const TernFileKind text = { TERN_FILE_OTHER, "text", NULL };

/* ---- What it is -------------------------------------------------------------------------------------------------- */

static gboolean
has_brand (const guint8 *head, gsize n, const char *brand)
{
  gsize end = MIN (n, tern_big_endian (head, 4));

  for (gsize i = 8; i + 4 <= end; i += 4)
    if (i != 12 && memcmp (head + i, brand, 4) == 0)    /* at 12: the version */
      return TRUE;
  return FALSE;
}

static TernFileKind
bmff_kind (const guint8 *head, gsize n)
{
  static const char *const heics[] = { "heic", "heix", "heim", "heis", "hevc", "hevx" };

  if (memcmp (head + 8, "avif", 4) == 0 || (memcmp (head + 8, "mif1", 4) == 0 && has_brand (head, n, "avif")))
    return (TernFileKind) { TERN_FILE_AVIF, "an AVIF picture", "avifdec makes a PNG of it" };
  if (memcmp (head + 8, "crx ", 4) == 0)
    return (TernFileKind) { TERN_FILE_FOREIGN_PICTURE, "a raw photograph (CR3)", RAW_READER };
  for (guint i = 0; i < G_N_ELEMENTS (heics); i++)
    if (memcmp (head + 8, heics[i], 4) == 0)
      return heic;
  if (memcmp (head + 8, "mif1", 4) == 0 || memcmp (head + 8, "msf1", 4) == 0)
    return heic;
  return (TernFileKind) { TERN_FILE_BMFF, "an MP4 or QuickTime file", NULL };
}

static gboolean
is_bmff (const guint8 *head)
{
  static const char *const first[] = { "ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "styp", "moof", "sidx" };

  for (guint i = 0; i < G_N_ELEMENTS (first); i++)
    if (memcmp (head + 4, first[i], 4) == 0)
      return TRUE;
  return FALSE;
}

/* By its mark, or, from before there was one, by the sum over its first member's header, in which the sum itself counts as
 * blanks. */
static gboolean
is_tar (const guint8 *head, gsize n)
{
  const guint at = 148, end = 156, least = 4;
  guint sum = (end - at) * ' ', said = 0, digits = 0;

  if (n < 512 || head[0] == 0)
    return FALSE;
  if (memcmp (head + 257, "ustar", 5) == 0)
    return TRUE;
  for (guint i = 0; i < 512; i++)
    sum += i < at || i >= end ? head[i] : 0;
  for (guint i = at; i < end && (head[i] == ' ' || (head[i] >= '0' && head[i] <= '7')); i++)
    if (head[i] != ' ') {
      said = said * 8 + head[i] - '0';
      digits++;
    }
  return digits >= least && said == sum;
}

static gboolean
is_mpeg_ts (const guint8 *head, gsize n)
{
  static const guint sizes[] = { 188, 192, 204 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    gsize at = sizes[i] == 192 ? 4 : 0, found = 0;

    while (at < n && head[at] == 0x47) {
      found++;
      at += sizes[i];
    }
    if (found >= 5 || (found >= 2 && at >= n))
      return TRUE;
  }
  return FALSE;
}

/* Pictures and films that are written in letters have a mark of their own. */
static gboolean
is_text (const guint8 *head, gsize n)
{
  static const char *const marks[] = { "P1", "P2", "P3", "P4", "P5", "P6", "P7", "PF", "Pf", "YUV4MPEG", "#define",
    "/* XPM", "v=0", "<MPD", "<?xml", "#?RADIANCE", "#?RGBE" };

  for (guint i = 0; i < G_N_ELEMENTS (marks); i++)
    if (n >= strlen (marks[i]) && memcmp (head, marks[i], strlen (marks[i])) == 0)
      return FALSE;
  for (gsize i = 0; i < n; i++)
    if (head[i] < 0x20 && !strchr ("\t\n\r\f\033", head[i] ? head[i] : 'x'))
      return FALSE;
  /* A letter may be cut at the end. */
  for (guint cut = 0; cut < 4 && cut <= n; cut++)
    if (g_utf8_validate_len ((const char *) head, n - cut, NULL))
      return TRUE;
  return FALSE;
}

/* M3U without the marks of HTTP Live Streaming, which it was made into. */
static gboolean
is_player_list (const char *head)
{
  return g_str_has_prefix (head, "#EXTM3U") && !strstr (head, "#EXT-X-");
}

TernFileKind
tern_file_kind (const TernSource *source)
{
  guint8 head[LOOK_BYTES + 1] = { 0 };
  gsize n = tern_source_read (source, 0, head, LOOK_BYTES);

  if (is_tar (head, n))         /* its first bytes are a member's name */
    return tar;
  for (guint i = 0; i < G_N_ELEMENTS (magics); i++)
    if (n >= magics[i].offset + magics[i].length
        && memcmp (head + magics[i].offset, magics[i].bytes, magics[i].length) == 0)
      return magics[i].kind.type == TERN_FILE_PLAYLIST && is_player_list ((const char *) head) ? names : magics[i].kind;
  if (n >= 16 && memcmp (head, "RIFF", 4) == 0 && memcmp (head + 8, "WEBP", 4) == 0)
    return n > 20 && memcmp (head + 12, "VP8X", 4) == 0 && head[20] & 2 ? animated_webp
        : (TernFileKind) { TERN_FILE_WEBP, "a WebP picture", NULL };
  if (n >= 12 && memcmp (head, "RIFF", 4) == 0 && memcmp (head + 8, "AVI ", 4) == 0)
    return (TernFileKind) { TERN_FILE_AVI, "an AVI file", NULL };
  if (n >= 12 && is_bmff (head))
    return bmff_kind (head, n);
  if (n >= 22 && memcmp (head, "\0\0\1\0", 4) == 0 && head[4] && head[5] == 0 && head[9] == 0)
    return icon;
  if (n >= 18 && memcmp (head, "BM", 2) == 0 && memcmp (head + 6, "\0\0\0", 4) == 0)
    return bmp;
  if (n >= 3 && (memcmp (head, "PF", 2) == 0 || memcmp (head, "Pf", 2) == 0) && g_ascii_isspace (head[2]))
    return float_map;
  if (is_mpeg_ts (head, n))
    return (TernFileKind) { TERN_FILE_MPEG_TS, "an MPEG transport stream", NULL };
  if (strstr ((const char *) head, "<svg"))
    return svg;
  return n > 0 && is_text (head, n) ? text : (TernFileKind) { TERN_FILE_UNKNOWN, NULL, NULL };
}

/* ---- What is in it ----------------------------------------------------------------------------------------------- */

TernContainer
tern_container_read (const TernSource *source, TernFileType type)
{
  static void (*const readers[]) (const TernSource *, TernContainer *) = {
    [TERN_FILE_JPEG] = tern_container_jpeg, [TERN_FILE_PNG] = tern_container_png, [TERN_FILE_GIF] = tern_container_gif,
    [TERN_FILE_WEBP] = tern_container_webp, [TERN_FILE_TIFF] = tern_container_tiff,
    [TERN_FILE_AVIF] = tern_container_avif, [TERN_FILE_BMFF] = tern_container_bmff,
    [TERN_FILE_MATROSKA] = tern_container_matroska, [TERN_FILE_AVI] = tern_container_avi,
    [TERN_FILE_ASF] = tern_container_asf, [TERN_FILE_FLV] = tern_container_flv, [TERN_FILE_OGG] = tern_container_ogg,
    [TERN_FILE_MPEG_TS] = tern_container_mpeg_ts, [TERN_FILE_MPEG_PS] = tern_container_mpeg_ps,
    [TERN_FILE_MXF] = tern_container_mxf, [TERN_FILE_PFM] = tern_container_pfm,
  };
  TernContainer out = { 0 };

  if (type < G_N_ELEMENTS (readers) && readers[type])
    readers[type] (source, &out);
  if (type == TERN_FILE_BMFF)
    tern_container_bmff_tracks (source, &out);
  else if (type == TERN_FILE_MATROSKA)
    tern_container_matroska_tracks (source, &out);
  if (tern_source_kind (source) != TERN_SOURCE_FILE) {
    out.cut = out.open_end = FALSE;
    out.next = 0;
  }
  return out;
}

gboolean
tern_container_is_still (TernFileType type, const TernContainer *container)
{
  switch (type) {
    case TERN_FILE_GIF:
    case TERN_FILE_PNG:
    case TERN_FILE_JPEG:
      return container->pictures < 2;
    case TERN_FILE_WEBP:
    case TERN_FILE_TIFF:
    case TERN_FILE_AVIF:
    case TERN_FILE_ICO:
    case TERN_FILE_PFM:
    case TERN_FILE_STILL:
      return TRUE;
    default:
      return FALSE;
  }
}

gboolean
tern_container_needs_seeking (const TernSource *source, TernFileType type)
{
  guint64 at = 0;
  TernBox box;

  if (type != TERN_FILE_BMFF)
    return FALSE;
  for (guint i = 0; i < 64 && tern_box_read (source, at, G_MAXINT64, &box); i++, at = box.end) {
    if (memcmp (box.type, "moov", 4) == 0 || memcmp (box.type, "moof", 4) == 0)
      return FALSE;
    if (memcmp (box.type, "mdat", 4) == 0)
      return TRUE;
  }
  return FALSE;
}
