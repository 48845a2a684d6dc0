"""Limits of annotation files: entries, boxes, points, classes, line and file sizes, text lengths, coordinates, ids."""

MAX_ENTRIES = 5_000_000  # lines of CSV, blank ones too; assets, regions, images and annotations of JSON
MAX_INVALID_FRACTION = 0.1  # of the entries
MAX_BOXES = 10_000  # on an image
MAX_POINTS = 100_000  # of an object's outline; also runs of its mask
MAX_CLASSES = 10_000

MAX_LINE_BYTES = 1 << 16  # of CSV
MAX_JSON_BYTES = 512 << 20  # parsed as a whole, which takes about ten times as much memory
MAX_JSON_PARTS = 20_000_000  # objects, lists and names; one may take thirty times as much memory as in the file
MAX_TEXT_BYTES = 1 << 30  # of an annotation file that is no archive
MAX_XML_BYTES = 512 << 20  # read as a stream
MAX_VOC_BYTES = 32 << 20  # the file of one image

MAX_UNPACKED_BYTES = 16 << 30  # of an archive
MAX_FILES = 500_000  # in an archive
MAX_RATIO, RATIO_FREE_BYTES = 100, 1 << 30  # an archive grows at most so many times, if to more than so many bytes
MAX_DIRECTORY_BYTES = 64 << 20  # of the list of files in a ZIP archive
MAX_PATH_LENGTH = 1000  # characters of a file's path in an archive

MAX_LABEL_LENGTH = 200  # characters
MAX_URL_LENGTH = 4096  # characters
MAX_COORDINATE = 1e7  # pixels; sums stay exact
MAX_ID = (1 << 53) - 1  # exact in every JSON reader (RFC 8259)
