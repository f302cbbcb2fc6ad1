"""What kind of content an item is, and which kinds a browser may be shown as they are.

Only a fixed list of pictures and videos is ever served inline, and only when the bytes begin the
way that kind begins; whatever else people store goes out as a download of unknown type, so that
no stored page or drawing can run in the hub's name.
"""

from __future__ import annotations

OCTETS = "application/octet-stream"

_BY_EXTENSION = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "jpe": "image/jpeg", "jfif": "image/jpeg",
    "png": "image/png", "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp",
    "avif": "image/avif", "tif": "image/tiff", "tiff": "image/tiff", "heic": "image/heic",
    "heif": "image/heif", "jp2": "image/jp2", "dng": "image/x-adobe-dng",
    "svg": "image/svg+xml", "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm",
    "mov": "video/quicktime", "avi": "video/x-msvideo", "mkv": "video/x-matroska",
    "mpg": "video/mpeg", "mpeg": "video/mpeg", "wmv": "video/x-ms-wmv", "ts": "video/mp2t",
    "dcm": "application/dicom", "dicom": "application/dicom", "nii": "application/x-nifti",
    "pdf": "application/pdf", "json": "application/json", "xml": "application/xml",
    "txt": "text/plain", "csv": "text/csv", "zip": "application/zip", "gz": "application/gzip",
}  # fmt: skip

INLINE = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/bmp",
        "image/avif",
        "video/mp4",
        "video/webm",
    }
)
HEAD = 32
"""Bytes that `by_magic` wants to see."""


def by_name(name: str) -> str:
    """The content type a file's extension announces; unknown ones are plain octets."""
    return _BY_EXTENSION.get(name.rpartition(".")[2].lower(), OCTETS)


def by_magic(head: bytes) -> str:
    """The inline kind these first bytes belong to, or plain octets."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    return _by_brand(head)


def _by_brand(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        brands = head[8:]
        if b"avif" in brands or b"avis" in brands:
            return "image/avif"
        if brands[:3] in (b"iso", b"mp4", b"M4V", b"avc", b"dash"[:3]):
            return "video/mp4"
    return OCTETS


def inline(name: str, head: bytes) -> str | None:
    """The type to show this content as in a browser, None where it must be downloaded."""
    magic = by_magic(head)
    return magic if magic in INLINE and by_name(name) in INLINE else None
