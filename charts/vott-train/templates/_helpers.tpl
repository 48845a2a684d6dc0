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

{{- define "vott-train.operatorRole" -}}
{{ .Release.Name }}.{{ .Release.Namespace }}.vott.dev
{{- end }}

{{- define "vott-train.operatorBinding" -}}
{{ .Release.Name }}-operator
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

{{/* The namespaces that queues train in, and the release's own, as a YAML list. */}}
{{- define "vott-train.queueNamespaces" -}}
{{- $names := list .Release.Namespace }}
{{- range .Values.queues }}
{{- $names = append $names .targetNamespace }}
{{- end }}
{{- $names | compact | uniq | sortAlpha | toYaml }}
{{- end }}

{{/* The training namespaces, as a YAML list. One that is being deleted can't get new objects, so the chart leaves it alone. */}}
{{- define "vott-train.namespaces" -}}
{{- $names := include "vott-train.queueNamespaces" . | fromYamlArray }}
{{- range include "vott-train.draining" . | fromYamlArray }}
{{- $found := lookup "v1" "Namespace" "" . }}
{{- if not (and $found $found.metadata.deletionTimestamp) }}
{{- $names = append $names . }}
{{- end }}
{{- end }}
{{- $names | uniq | sortAlpha | toYaml }}
{{- end }}

{{/*
Namespaces without a queue whose TrainingJobs the operator still brings to their end, as a YAML list: drainNamespaces, those that lost their
queue in this upgrade, and those that drain since an earlier one and have TrainingJobs that need the operator. One that has just lost its queue drains in any
case, because the running operator may be creating a TrainingJob there. The answer is kept for all templates: it may change meanwhile.
*/}}
{{- define "vott-train.draining" -}}
{{- if not (hasKey .Values "_draining") }}
{{- $names := .Values.drainNamespaces | default list }}
{{- $found := lookup "v1" "ConfigMap" .Release.Namespace (printf "%s-settings" .Release.Name) }}
{{- if $found }}
{{- $previous := index $found.data "settings.yaml" | fromYaml }}
{{- range $previous.queues }}
{{- if and .targetNamespace (lookup "v1" "Namespace" "" .targetNamespace) }}
{{- $names = append $names .targetNamespace }}
{{- end }}
{{- end }}
{{- range $previous.drainNamespaces }}
{{- if include "vott-train.needsOperator" . }}
{{- $names = append $names . }}
{{- end }}
{{- end }}
{{- end }}
{{- $queues := include "vott-train.queueNamespaces" . | fromYamlArray }}
{{- $draining := list }}
{{- range $names | uniq | sortAlpha }}
{{- if not (has . $queues) }}
{{- $draining = append $draining . }}
{{- end }}
{{- end }}
{{- $_ := set .Values "_draining" $draining }}
{{- end }}
{{- index .Values "_draining" | toYaml }}
{{- end }}

{{/* Not empty if a TrainingJob of this namespace has not ended, or waits for its callback. */}}
{{- define "vott-train.needsOperator" -}}
{{- range (lookup "vott.dev/v1alpha1" "TrainingJob" . "").items }}
{{- $phase := dig "status" "phase" "Pending" . }}
{{- if or (not (has $phase (list "Complete" "Failed"))) (has "vott.dev/last-word" (.metadata.finalizers | default list)) }}yes{{ end }}
{{- end }}
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
drainNamespaces: {{- include "vott-train.draining" . | nindent 2 }}
roleBinding: {{ include "vott-train.operatorBinding" . }}
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
maxWaitingForQuota: {{ .Values.maxWaitingForQuota | int }}
{{- if not (kindIs "invalid" .Values.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ if kindIs "string" .Values.ttlSecondsAfterFinished }}{{ quote .Values.ttlSecondsAfterFinished }}{{ else }}{{ int .Values.ttlSecondsAfterFinished }}{{ end }}
{{- end }}
leaderElection:
  {{- omit .Values.leaderElection "leaseName" | toYaml | nindent 2 }}
  leaseName: {{ .Release.Name }}
logLevel: {{ .Values.logLevel }}
{{- end }}
