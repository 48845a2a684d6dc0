"""Constants of the API: group, labels, annotations, phases, condition types and reasons.

Reasons are API, because tools match on them: never rename one. Those of a rejected message are in `vott_messaging.reasons`.
"""

from typing import Final

GROUP: Final = "vott.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "TrainingJob"
PLURAL: Final = "trainingjobs"

FIELD_MANAGER: Final = "vott-operator"

# Labels and annotations.
LABEL_TRAININGJOB: Final = "vott.dev/trainingjob"
LABEL_NODES: Final = "vott.dev/nodes"
"""Number of nodes, on the pods of a training on several nodes. The chart's NetworkPolicies let these pods reach each other."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "vott-train"
ANNOTATION_QUEUE: Final = "vott.dev/queue"
ANNOTATION_MESSAGE_ID: Final = "vott.dev/message-id"
ANNOTATION_MESSAGE_SEQUENCE: Final = "vott.dev/message-sequence"
ANNOTATION_DIGEST: Final = "vott.dev/message-digest"
ANNOTATION_ENDED: Final = "vott.dev/ended"
"""How the TrainingJob ended. Backups keep annotations, but not the status, so a restored TrainingJob is not trained again."""
ANNOTATION_TRACEPARENT: Final = "vott.dev/traceparent"
"""The W3C trace context of the message; a user may set it too."""
ANNOTATION_FAILURES: Final = "vott.dev/failures"
ANNOTATION_AVOIDED_NODES: Final = "vott.dev/avoided-nodes"
"""Of a Job: the nodes, separated by commas, that its pods are to avoid."""
ANNOTATION_COMPLETION_INDEX: Final = "batch.kubernetes.io/job-completion-index"
LABEL_NO_BACKUP: Final = "velero.io/exclude-from-backup"
"""On objects that must not be restored: a restored Job has no owner, and would train by itself."""
KUEUE_PREFIX: Final = "kueue.x-k8s.io/"
KUEUE_QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
FINALIZER: Final = "vott.dev/last-word"
"""Holds a TrainingJob with a callback until its outcome was delivered, refused or given up."""
BINDING_FINALIZER: Final = "vott.dev/in-use"
"""Holds the operator's RoleBinding in a namespace while TrainingJobs there have FINALIZER: only the operator can remove that."""

# The trainer container (docs/trainer-contract.md).
TRAINER_CONTAINER: Final = "trainer"
TRAINER_UID: Final = 10001
URLS_DIR: Final = "/var/run/vott/urls"

# Phases.
PENDING: Final = "Pending"
RUNNING: Final = "Running"
SUSPENDED: Final = "Suspended"
COMPLETE: Final = "Complete"
FAILED: Final = "Failed"

# Condition types beyond the phases of the same name.
CALLBACK_DELIVERED: Final = "CallbackDelivered"
MODEL_UPLOADED: Final = "ModelUploaded"
MESSAGE_SETTLED: Final = "MessageSettled"
STALLED: Final = "Stalled"

# Reasons of Running.
TRAINER_RUNNING: Final = "TrainerRunning"
TRAINER_FINISHED: Final = "TrainerFinished"
RETRYING: Final = "Retrying"
INTERRUPTED: Final = "Interrupted"
CONTAINERS_REMAIN: Final = "ContainersRemain"
WAITING_FOR_PODS: Final = "WaitingForPods"
POD_STARTING: Final = "PodStarting"
UNSCHEDULABLE: Final = "Unschedulable"
IMAGE_PULL_FAILED: Final = "ImagePullFailed"
CONTAINER_CONFIG_ERROR: Final = "ContainerConfigError"
FAILED_MOUNT: Final = "FailedMount"
POD_NOT_STARTED: Final = "PodNotStarted"
POD_REJECTED: Final = "PodRejected"
QUOTA_EXCEEDED: Final = "QuotaExceeded"
POD_NOT_CREATED: Final = "PodNotCreated"
JOB_NOT_CREATED: Final = "JobNotCreated"
OLD_JOB_REMAINS: Final = "OldJobRemains"

# Reasons of Suspended.
JOB_SUSPENDED: Final = "Suspended"
WAITING_FOR_QUOTA: Final = "WaitingForQuota"
RESUMED: Final = "Resumed"

# Reasons of Stalled.
NO_PROGRESS: Final = "NoProgress"
PROGRESS_RESUMED: Final = "ProgressResumed"

# Reasons of Complete and ModelUploaded.
TRAINING_SUCCEEDED: Final = "TrainingSucceeded"
UPLOAD_VERIFIED: Final = "UploadVerified"
RESTORED: Final = "Restored"

# Reasons of Failed that the operator sets; the trainer's are in docs/trainer-contract.md.
INVALID_SPEC: Final = "InvalidSpec"
ADDRESS_REFUSED: Final = "AddressRefused"
OOM_KILLED: Final = "OOMKilled"
EVICTED: Final = "Evicted"
NODE_LOST: Final = "NodeLost"
CANCELLED: Final = "Cancelled"
PENDING_DEADLINE_EXCEEDED: Final = "PendingDeadlineExceeded"
TRAINER_FAILED: Final = "TrainerFailed"
BACKOFF_LIMIT_EXCEEDED: Final = "BackoffLimitExceeded"
DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
MODEL_NOT_REPORTED: Final = "ModelNotReported"
JOB_NAME_TAKEN: Final = "JobNameTaken"
SERVICE_NAME_TAKEN: Final = "ServiceNameTaken"

# The trainer's reasons that the operator interprets.
PEER_LOST: Final = "PeerLost"
GPU_ERROR: Final = "GPUError"
DISK_FULL: Final = "DiskFull"

# Outcomes in status.attempts.
ATTEMPT_FAILED: Final = "Failed"
ATTEMPT_REJECTED: Final = "Rejected"
ATTEMPT_EVICTED: Final = "Evicted"
ATTEMPT_INTERRUPTED: Final = "Interrupted"

# Reasons of MessageSettled.
REMOVED_FROM_QUEUE: Final = "RemovedFromQueue"

# Reasons of Events without a condition.
DUPLICATE_MESSAGE: Final = "DuplicateMessage"
CALLBACK_GIVEN_UP: Final = "CallbackGivenUp"

# Reasons of CallbackDelivered.
DELIVERED: Final = "Delivered"
DELIVERY_RETRYING: Final = "Retrying"
DELIVERY_REFUSED: Final = "Refused"
DELIVERY_GIVEN_UP: Final = "GivenUp"
