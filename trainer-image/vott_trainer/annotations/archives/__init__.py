"""Archives that hold annotations together with images: unpacked within limits, and read like an annotation file.

`unpacking` writes the files, by numbers; `contents` lists them; `grouping` finds out which of them are annotations, in which format; `image_names`
finds the image that a name in them stands for.
"""
