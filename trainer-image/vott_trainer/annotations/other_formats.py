"""Names of formats in XML, text and others that are not read, so that an error says what a file is; `other_json` has those in JSON."""

import itertools
import re
from collections.abc import Iterable, Mapping

EXPORT = "export its annotations in one of the formats of docs/annotations.md, for example COCO or Pascal VOC"
_XML = {"boost_serialization": "KITTI's tracklets", "metalink": "a list of downloads"}
_TEXT_NAMES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("WIDER FACE", re.compile(r"wider_face.*_gt\.txt")),
    ("CelebA", re.compile(r"(list_|identity_).*celeba.*\.txt|list_eval_partition\.txt")),
    ("ICDAR", re.compile(r"(gt_)?img_\d+\.txt|(\d+_)?gt\.txt")),
    ("ImageNet", re.compile(r"synsets.*\.txt")),
    ("VGGFace2", re.compile(r"loose_(bb|landmark).*\.csv")),
    ("AVA", re.compile(r"ava_.*\.(csv|pbtxt)")),
    ("ADE20K", re.compile(r".*_atr\.txt")),
)  # by the file's own name, in lower case
_ANY_LINE: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("KITTI", re.compile(rb"\s*[A-Za-z]\S*(?:\s+-?[\d.]+){14,15}\s*")),
    ("DOTA", re.compile(rb"\s*(?:-?[\d.]+\s+){8}(?=\S*[A-Za-z])\S+(?:\s+\d+)?\s*")),
)
_FIRST_LINE: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("MOT", re.compile(rb"\s*\d+,\s*-?\d+(?:,\s*-?[\d.]+){5,8}\s*")),
    ("ICDAR", re.compile(rb"(?:\s*-?\d+,){8}.*[^\d\s,.-].*\s*")),
    ("MNIST (a table of pixels)", re.compile(rb"\s*\d+(?:[,;\t]\s*\d+){60,}\s*")),
)  # the others may follow a header that gives numbers another meaning
FOLDERS = {
    "leftimg8bit": "Cityscapes",
    "gtfine": "Cityscapes",
    "bounding_box_train": "Market-1501",
    "bbox_train": "MARS",
}
"""Of data sets whose annotations are masks, or in the names of the images; in lower case."""
TEXT_FOLDERS = {"gttxt": "SYNTHIA"}
"""Of data sets whose texts look like YOLO's; in lower case."""
MASKS = re.compile(
    r"\w*annot|\w*masks?|gt(left|right|coarse)?|ground_?truth|instances?|labels?(ids|tr|ts)?|panoptic\w*|segmentation\w*|sem(antic|seg)\w*"
)
"""Folders of images that mark objects in other images by their colours, in lower case."""
ENDINGS = {
    ".tfrecord": "TFRecord",
    ".record": "TFRecord",
    ".mat": "MATLAB",
    ".parquet": "Parquet",
    ".npy": "NumPy",
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".pkl": "Python's pickles",
    ".xlsx": "workbooks",
    ".vott": "a VoTT project, which does not contain the regions",
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv"), "videos"),
}
"""Of files that an archive may hold."""
_HEADS = {b"MATLAB": "MATLAB", b"\x89HDF": "HDF5", b"\x93NUMPY": "NumPy"}
_TFRECORD = re.compile(
    rb".{4}\0{4}.{4}\n", re.DOTALL
)  # a record's size, its checksum, and a message of Protocol Buffers
ARCHIVES = frozenset((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"))


def of_xml(root: str) -> str | None:
    """Return the name of the format with this root element, if it is known."""
    return _XML.get(root)


def of_text(name: str, first_lines: list[bytes]) -> str | None:
    """Return the name of a text file's format, if it is known by a line or by the file's own name."""
    first = next((line.removeprefix(b"\xef\xbb\xbf") for line in first_lines if line.strip()), b"")
    by_any = (kind for kind, pattern in _ANY_LINE if any(map(pattern.fullmatch, first_lines)))
    by_first = (kind for kind, pattern in _FIRST_LINE if pattern.fullmatch(first))
    by_name = (kind for kind, pattern in _TEXT_NAMES if pattern.fullmatch(name.lower()))
    return next(itertools.chain(by_any, by_first, by_name), None)


def of_binary(head: bytes) -> str | None:
    """Return the name of a binary file's format, if it is known by its first bytes."""
    by_head = (kind for start, kind in _HEADS.items() if head.startswith(start))
    return next(by_head, None) or ("TFRecord" if _TFRECORD.match(head) else None)


def of_folders(folders: Iterable[str], known: Mapping[str, str] = FOLDERS) -> str | None:
    """Return the name of the data set that has such a folder, if it is known."""
    return next((known[folder.lower()] for folder in folders if folder.lower() in known), None)
