"""Real sample media for tests and demonstrations: `python -m tests.media DIR` writes all of it.

The 6,900 pictures of Debian's openclipart-png are fetched once, through apt, into a cache outside
the repository; nothing of them is kept here. The rest is made on the spot: one file of each kind
that syncd carries, in the variants that break decoders, and some that cannot be decoded at all.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pillow_heif
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from tests.isolation import CACHE

PACKAGE = "openclipart-png"
PICTURES = "usr/share/openclipart/png"
SIZE = (320, 200)


class MediaError(Exception):
    """The samples cannot be had here; says what is missing."""


def openclipart() -> Path:
    """Return the folder that holds 6,900 PNG in nested folders; fetch it the first time.

    Callers must not write into it: it is shared by all runs on this machine.
    """
    folder = CACHE / PACKAGE
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # apt-get gives up where another is at work
            if not folder.is_dir():
                _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        _unpack(_download(Path(work)), Path(work) / "tree")
        _settle(Path(work) / "tree" / PICTURES, folder)


def samples(folder: Path) -> list[Path]:
    """Write a handful of files of every kind into `folder`, return those that can be decoded."""
    folder.mkdir(parents=True, exist_ok=True)
    _jpegs(folder)
    _stills(folder)
    _heif(folder / "still.heic")
    _video(folder / "clip.mp4")
    _dicom(folder / "scan.dcm")
    return sorted(folder.iterdir())


def undecodable(folder: Path) -> list[Path]:
    """Write files whose names promise more than their bytes hold; all are to be carried."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = _picture().tobytes()
    broken = {
        "empty.jpg": b"",
        "noise.png": picture[:4096],
        "text.tiff": b"this is not a picture\n",
        "markup.gif": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "torn.webp": b"RIFF\xff\xff\xff\x7fWEBPVP8 ",
        "torn.mp4": b"\x00\x00\x00\x20ftypisom" + bytes(16),
        "preamble-only.dcm": bytes(128) + b"DICM",
    }
    for name, content in broken.items():
        (folder / name).write_bytes(content)
    return sorted(folder / name for name in broken)


def everything(folder: Path) -> int:
    """Write the lot below `folder`; return the number of files."""
    samples(folder / "samples")
    undecodable(folder / "undecodable")
    shutil.copytree(openclipart(), folder / "openclipart", symlinks=True, dirs_exist_ok=True)
    return sum(path.is_file() for path in folder.rglob("*"))


def _picture(size: tuple[int, int] = SIZE, turn: float = 0.0) -> Image.Image:
    """A gradient with a disc in it: not flat, so that codecs have something to do."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float64)
    disc = np.hypot(x - size[0] * (0.5 + 0.3 * np.cos(turn)), y - size[1] / 2) < size[1] / 5
    bands = np.stack([x * 255 / size[0], y * 255 / size[1], np.where(disc, 255.0, 40.0)], axis=-1)
    return Image.fromarray(bands.astype(np.uint8), "RGB")


def _jpegs(folder: Path) -> None:
    picture = _picture()
    picture.save(folder / "plain.jpg", quality=90)
    picture.save(folder / "progressive.jpeg", quality=80, progressive=True)
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("L").save(folder / "grey.JPG")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: to be turned by 90 degrees for a reader
    exif[0x010F] = "syncd"
    picture.save(folder / "turned.jpg", exif=exif)


def _stills(folder: Path) -> None:
    picture = _picture()
    picture.save(folder / "lossy.webp", quality=70)
    picture.save(folder / "lossless.webp", lossless=True)
    picture.save(folder / "bitmap.bmp")
    picture.convert("RGBA").save(folder / "alpha.png")
    picture.save(folder / "modern.avif", quality=60)
    frames = [_picture(turn=turn) for turn in (0.0, 2.0, 4.0)]
    gifs = [frame.quantize(64) for frame in frames]
    gifs[0].save(folder / "moving.gif", save_all=True, append_images=gifs[1:], duration=80, loop=0)
    deep = [Image.fromarray(np.asarray(f.convert("L")).astype(np.uint16) * 257) for f in frames]
    deep[0].save(folder / "pages-16bit.tiff", save_all=True, append_images=deep[1:])


def _heif(path: Path) -> None:
    pillow_heif.from_pillow(_picture()).save(path, quality=60)


def _video(path: Path) -> None:
    """One second of MPEG-4: an encoder that every build of the library has."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(12))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame.from_image(_picture(turn=number / 2))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _dicom(path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["syncd sample"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    scan = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    scan.SOPClassUID = meta.MediaStorageSOPClassUID
    scan.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    scan.PatientName, scan.PatientID, scan.Modality = "Sample^Syncd", "0", "OT"
    scan.Columns, scan.Rows = SIZE
    scan.SamplesPerPixel, scan.PhotometricInterpretation = 1, "MONOCHROME2"
    scan.BitsAllocated, scan.BitsStored, scan.HighBit, scan.PixelRepresentation = 16, 12, 11, 0
    scan.WindowCenter, scan.WindowWidth = 2048, 4096
    scan.PixelData = (np.asarray(_picture().convert("L")).astype("<u2") * 16).tobytes()
    scan.save_as(path, enforce_file_format=True)


def _download(folder: Path) -> Path:
    """Fetch the package; the lists of a fresh machine are empty, so they are updated once."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise MediaError(f"{PACKAGE} is fetched with apt-get and dpkg-deb, which are not here")
    fetch = ["apt-get", "-qq", "download", PACKAGE]
    for command in (fetch, ["apt-get", "-qq", "update"], fetch):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        found = list(folder.glob(f"{PACKAGE}_*.deb"))
        if found:
            return found[0]
    raise MediaError(
        f"apt-get cannot download {PACKAGE}: {done.stderr.strip() or 'no reason given'}"
    )


def _unpack(package: Path, folder: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True, capture_output=True)


def _settle(source: Path, folder: Path) -> None:
    """Rename into place; a second run that was quicker wins."""
    if not source.is_dir():
        raise MediaError(f"{PACKAGE} no longer holds {PICTURES}")
    try:
        source.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m tests.media DIR", file=sys.stderr)
        return 2
    try:
        print(f"{everything(Path(arguments[0]))} files below {arguments[0]}")
    except MediaError as error:
        print(f"tests.media: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
