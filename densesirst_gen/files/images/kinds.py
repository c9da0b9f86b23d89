"""What a file is, by its first bytes, so that what is not read is named for what it is."""

from __future__ import annotations

import re

KINDS = {  # of files that are read: pattern of the first bytes -> name
    rb"\x89PNG\r\n\x1a\n": "PNG",
    rb"\xff\xd8": "JPEG",
    rb"BM": "BMP",
    rb"II[*+]\0|MM\0[*+]": "TIFF",
    rb"RIFF....WEBP": "WEBP",
    rb"P[1-6][\s#]|P[fF]\s": "PPM",
    rb"\x93NUMPY": "NPY",
    rb"SIMPLE  =": "FITS",
}
OTHERS = {
    rb"\s*version https://git-lfs": "a Git-LFS pointer, not an image: run `git lfs pull`",
    rb"(?i:\s*<(!doctype )?html)": "looks like an HTML page, not an image",
    rb"GIF8": "a GIF",
    rb"....jP  |\xff\x4f\xff\x51": "a JPEG 2000 image",
    rb"....JXL |\xff\x0a": "a JPEG XL image",
    rb"....ftyp(avif|avis)": "an AVIF image",
    rb"....ftyp(heic|heix|mif1|msf1|hevc)": "a HEIF image",
    rb"....ftyp": "an MP4 or QuickTime video",
    rb"RIFF....AVI ": "an AVI video",
    rb"\x1aE\xdf\xa3": "a Matroska video",
    rb"8BPS": "a Photoshop file",
    rb"\x89HDF": "an HDF5 file",
    rb"MATLAB 5": "a MATLAB file",
    rb"PK\x03\x04": "a zip archive (or NPZ)",
    rb"\x1f\x8b": "a gzip archive: unpack it first",
    rb"%PDF": "a PDF",
    rb"v/1\x01": "an OpenEXR image",
    rb"#\?R": "a Radiance HDR image",
    rb"FFF\0|AFF\0": "a FLIR raw frame or sequence (FFF, SEQ)",
    rb"SDPX|XPDS": "a DPX image",
    rb".{128}DICM": "a DICOM file",
    rb"NITF": "a NITF file",
    rb"II\xbc": "a JPEG XR image",
    rb"qoif": "a QOI image",
    rb"\x00\x00[\x01\x02]\x00": "an icon",
    rb"DDS ": "a DDS texture",
    rb"\x59\xa6\x6a\x95": "a Sun raster",
    rb"\x01\xda": "an SGI image",
    rb"P7\n": "a PAM image",
}
READ = "PNG, BMP, TIFF, JPEG, WebP, PGM, NPY or FITS image"


def kind_of(data: bytes) -> str:
    """The name of a kind that is read; empty for others."""
    return next((kind for head, kind in KINDS.items() if re.match(head, data, re.S)), "")


def not_read(data: bytes) -> str:
    """Why a file of no such kind is not read, in words."""
    what = next((name for head, name in OTHERS.items() if re.match(head, data, re.S)), None)
    if what is None:
        return f"not a {READ}"
    return what if ", not an image" in what or ":" in what else f"{what}: not supported"
