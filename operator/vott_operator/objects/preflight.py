"""Check at startup that TrainingJobs with these settings can get their pods."""

from vott_messaging.errors import SettingsError
from vott_messaging.settings.program import source
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.errors import PodTemplateError
from vott_operator.objects import pod
from vott_operator.settings.operator import Settings
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.training_job import TrainingJobSettings


def check(settings: Settings) -> None:
    """Raise SettingsError for a setting that would make every training fail."""
    if not settings.trainer.image:
        raise SettingsError(
            "trainer.image is not set: name the image that trains, in the settings or in VOTT_TRAIN_TRAINER__IMAGE"
        )
    for_queues = {f"queues[{number}].": queue.training_job for number, queue in enumerate(settings.queues)}
    for prefix, defaults in {"": settings.training_job, **for_queues}.items():
        if defaults is None:
            continue
        try:
            _check_pod_template(defaults, settings.pod_settings)
        except PodTemplateError as error:
            text = str(error).replace("spec.", f"{prefix}trainingJob.", 1)
            raise SettingsError(f"settings ({source()}): {text}") from None


def _check_pod_template(defaults: TrainingJobSettings, settings: PodSettings) -> None:
    """Raise PodTemplateError if `defaults` contradict what the operator sets in every pod."""
    placeholder = {"url": "https://host/path"}
    spec = {"annotations": placeholder, "model": placeholder, **defaults.to_spec()}
    metadata = {"name": "any", "namespace": "any"}
    pod.template(TrainingJob.model_validate({"metadata": metadata, "spec": spec}), settings)
