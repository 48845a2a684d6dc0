"""Thresholds of scores and of IoU: what counts as a detection, as correct, and as a duplicate."""

MIN_SCORE = 0.05  # detections below it are dropped, and do not count in AP; but for a DETR's, which are few
MIN_SCORE_SHOWN = 0.5  # predictions below it are not shown, if the model has no threshold for their class
MIN_IOU = 0.5  # of a correct detection with its object
MIN_IOU_OF_DUPLICATE = 0.3  # of a second detection with the object of its class
