{{- define "vott-train.labels" -}}
app.kubernetes.io/name: vott-train
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "vott-train.selector" -}}
app.kubernetes.io/name: vott-train
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vott-train.trainerAccount" -}}
{{ .Release.Name }}-trainer
{{- end }}

{{- define "vott-train.leaderElection" -}}
{{ .Release.Name }}-leader-election
{{- end }}

{{/* Name of the default Secret of queues; empty with a workload identity only. */}}
{{- define "vott-train.secret" -}}
{{- if or .Values.azure.connectionString .Values.azure.serviceBusConnectionString -}}
{{ .Release.Name }}-azure
{{- else -}}
{{ .Values.azure.existingSecret }}
{{- end -}}
{{- end }}

{{/* Name of the Secret for the training pods' stores; empty with a workload identity, or without stores. */}}
{{- define "vott-train.storeSecret" -}}
{{- $store := .Values.trainer.modelStore }}
{{- if $store.secretName -}}
{{ $store.secretName }}
{{- else if or (include "vott-train.namedContainer" .) $store.buckets .Values.trainer.dataStore.buckets (include "vott-train.closedCheckpoints" .) -}}
{{ include "vott-train.secret" . }}
{{- end -}}
{{- end }}

{{/* The first container of the connection string's account; empty if there is none. */}}
{{- define "vott-train.namedContainer" -}}
{{- range concat (.Values.trainer.modelStore.containers | default list) (.Values.trainer.dataStore.containers | default list) }}{{ if not (contains "://" .) }}{{ . }} {{ end }}{{ end }}
{{- end }}

{{/* The URL of a checkpoint store that needs the Secret. */}}
{{- define "vott-train.closedCheckpoints" -}}
{{- if not (and (hasPrefix "http" .Values.trainer.checkpoints.url) .Values.trainer.workloadIdentity.clientId) }}{{ .Values.trainer.checkpoints.url }}{{ end }}
{{- end }}

{{/* Mount path of the Secret with this name. */}}
{{- define "vott-train.credentialsDir" -}}
/etc/vott-train/credentials/{{ . }}
{{- end }}

{{/* Mount path of the callbacks' signing keys. */}}
{{- define "vott-train.signingDir" -}}
/etc/vott-train/signing
{{- end }}

{{/* Names of all Secrets with credentials, as a YAML list. */}}
{{- define "vott-train.secrets" -}}
{{- $names := list }}
{{- range .Values.queues }}
{{- $names = append $names (.secretName | default (include "vott-train.secret" $)) }}
{{- end }}
{{- $names | compact | uniq | sortAlpha | toYaml }}
{{- end }}

{{/* The training namespaces, as a YAML list. */}}
{{- define "vott-train.namespaces" -}}
{{- $names := list .Release.Namespace }}
{{- range .Values.queues }}
{{- $names = append $names .targetNamespace }}
{{- end }}
{{- $names | compact | uniq | sortAlpha | toYaml }}
{{- end }}

{{- define "vott-train.queue" -}}
{{- $secret := .queue.secretName | default (include "vott-train.secret" .root) }}
{{- $settings := omit .queue "secretName" }}
{{- if .queue.name }}{{/* a name may be a number in a values file */}}
{{- $settings = set $settings "name" (toString .queue.name) }}
{{- end }}
{{- if $secret }}
{{- $settings = set $settings "credentialsDir" (include "vott-train.credentialsDir" $secret) }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{- define "vott-train.settings" -}}
namespace: {{ .Release.Namespace }}
queues:
{{- range .Values.queues }}
  - {{- include "vott-train.queue" (dict "queue" . "root" $) | nindent 4 }}
{{- end }}
trainer:
  {{- omit .Values.trainer "modelStore" "serviceAccountName" | toYaml | nindent 2 }}
  serviceAccountName: {{ include "vott-train.trainerAccount" . }}
  modelStore:
    {{- omit .Values.trainer.modelStore "secretName" | toYaml | nindent 4 }}
    secretName: {{ include "vott-train.storeSecret" . | quote }}
trainingJob: {{- toYaml .Values.trainingJob | nindent 2 }}
plugins: {{- toYaml .Values.plugins | nindent 2 }}
outgoing: {{- toYaml .Values.outgoing | nindent 2 }}
callbacks:
  {{- omit .Values.callbacks "signing" | toYaml | nindent 2 }}
  {{- if .Values.callbacks.signing.secretName }}
  signingDir: {{ include "vott-train.signingDir" . }}
  {{- end }}
maxUnfinishedJobs: {{ .Values.maxUnfinishedJobs | int }}
{{- if not (kindIs "invalid" .Values.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ .Values.ttlSecondsAfterFinished | int }}
{{- end }}
leaderElection:
  {{- omit .Values.leaderElection "leaseName" | toYaml | nindent 2 }}
  leaseName: {{ .Release.Name }}
logLevel: {{ .Values.logLevel }}
logFormat: {{ .Values.logFormat }}
tracing: {{- toYaml .Values.tracing | nindent 2 }}
{{- end }}
