"""The Kubernetes objects that the operator creates: TrainingJob, Job, pod, Secret, Service."""
