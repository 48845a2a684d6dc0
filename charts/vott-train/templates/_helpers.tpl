{{- define "vott-train.labels" -}}
app.kubernetes.io/name: vott-train
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "vott-train.selector" -}}
app.kubernetes.io/name: vott-train
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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
{{- $names | compact | uniq | sortAlpha | toJson }}
{{- end }}

{{/* The training namespaces, as a YAML list. */}}
{{- define "vott-train.namespaces" -}}
{{- $names := list .Release.Namespace }}
{{- range .Values.queues }}
{{- $names = append $names .targetNamespace }}
{{- end }}
{{- $names | compact | uniq | sortAlpha | toJson }}
{{- end }}

{{/*
The operator's settings: all values but those of the chart alone, which are listed here and in operator/vott_operator/settings/chart_values.py. As JSON,
which YAML includes, because no string in it can be read as a number or boolean.
*/}}
{{- define "vott-train.settings" -}}
{{- $queues := list }}
{{- range .Values.queues }}
{{- $queue := omit . "secretName" }}
{{- with .secretName | default (include "vott-train.secret" $) }}
{{- $queue = set $queue "credentialsDir" (include "vott-train.credentialsDir" .) }}
{{- end }}
{{- $queues = append $queues $queue }}
{{- end }}
{{- $callbacks := omit .Values.callbacks "signing" }}
{{- if .Values.callbacks.signing.secretName }}
{{- $callbacks = set $callbacks "signingDir" (include "vott-train.signingDir" .) }}
{{- end }}
{{- $settings := omit .Values "image" "imagePullSecrets" "azure" "networkPolicy" "replicas" "resources" "nodeSelector" "tolerations" "affinity" "global" }}
{{- $settings = set $settings "namespace" .Release.Namespace }}
{{- $settings = set $settings "queues" $queues }}
{{- $settings = set $settings "callbacks" $callbacks }}
{{- $settings = set $settings "trainer" (set (deepCopy .Values.trainer) "serviceAccountName" (include "vott-train.trainerAccount" .)) }}
{{- $settings = set $settings "leaderElection" (set (deepCopy .Values.leaderElection) "leaseName" .Release.Name) }}
{{- toPrettyJson $settings }}
{{- end }}
