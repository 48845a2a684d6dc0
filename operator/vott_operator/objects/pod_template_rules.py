"""What spec.podTemplate may change: the administrator's defaults; a remedy for other fields that the operator sets."""

from vott_operator.api import constants as c
from vott_operator.objects.pod_template_merge import Merger

_TRAINER = f".spec.containers[{c.TRAINER_CONTAINER}]"
REMEDIES = {
    f"{_TRAINER}.image": "use spec.trainer.image",
    f"{_TRAINER}.args": "use spec.plugin and spec.parameters",
    f"{_TRAINER}.resources": "use spec.trainer.resources",
    f"{_TRAINER}.resources.limits": "use spec.trainer.resources, and for GPUs spec.trainer.gpus",
    f"{_TRAINER}.volumeMounts": "mount it elsewhere",
    ".spec.volumes": "give your volume another name",
    ".spec.serviceAccountName": "leave it out: the chart's ServiceAccount may only report progress",
}
DEFAULTS = (
    ".metadata.annotations",
    ".spec.nodeSelector",
    ".spec.terminationGracePeriodSeconds",
    f"{_TRAINER}.imagePullPolicy",
)
"""The administrator's defaults, which spec.podTemplate may override."""
MERGER = Merger(REMEDIES, DEFAULTS)
