"""Which files are taken by default, as data: the documentation's table is made from it.

A file is taken for its extension alone; whether it can be decoded is nobody's business here.
Left out on purpose: `.ts` (more often source code than video), `.svg` and `.pdf` (documents),
camera raws. Whoever has those names them in the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KINDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "image": {
            ".jpg": "JPEG",
            ".jpeg": "JPEG",
            ".jpe": "JPEG",
            ".jfif": "JPEG",
            ".png": "PNG",
            ".apng": "animated PNG",
            ".webp": "WebP",
            ".gif": "GIF",
            ".bmp": "Windows bitmap",
            ".dib": "Windows bitmap",
            ".tif": "TIFF",
            ".tiff": "TIFF",
            ".heic": "HEIF with HEVC",
            ".heif": "HEIF",
            ".hif": "HEIF",
            ".avif": "AVIF",
            ".jxl": "JPEG XL",
            ".jp2": "JPEG 2000",
            ".j2k": "JPEG 2000",
            ".jpx": "JPEG 2000",
            ".ppm": "portable pixmap",
            ".pgm": "portable greymap",
            ".pbm": "portable bitmap",
            ".pnm": "portable anymap",
            ".pfm": "portable float map",
            ".tga": "Targa",
            ".exr": "OpenEXR",
            ".hdr": "Radiance",
        },
        "video": {
            ".mp4": "MPEG-4",
            ".m4v": "MPEG-4",
            ".mov": "QuickTime",
            ".mkv": "Matroska",
            ".webm": "WebM",
            ".avi": "AVI",
            ".mpg": "MPEG-1 or -2",
            ".mpeg": "MPEG-1 or -2",
            ".mts": "AVCHD",
            ".m2ts": "AVCHD or Blu-ray",
            ".wmv": "Windows Media",
            ".flv": "Flash video",
            ".3gp": "3GPP",
            ".ogv": "Ogg",
        },
        "dicom": {
            ".dcm": "DICOM",
            ".dicom": "DICOM",
            ".dic": "DICOM",
        },
    }
)

EXTENSIONS: frozenset[str] = frozenset(ext for kind in KINDS.values() for ext in kind)
"""Every extension above: what a mirror takes when nothing else is configured."""
