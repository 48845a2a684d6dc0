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

{{/* The namespaces that queues train in, and the release's own, as a YAML list. */}}
{{- define "vott-train.queueNamespaces" -}}
{{- $names := list .Release.Namespace }}
{{- range .Values.queues }}
{{- $names = append $names .targetNamespace }}
{{- end }}
{{- $names | compact | uniq | sortAlpha | toJson }}
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
{{- $names | uniq | sortAlpha | toJson }}
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
{{- index .Values "_draining" | toJson }}
{{- end }}

{{/* Not empty if a TrainingJob of this namespace has not ended, or waits for its callback. */}}
{{- define "vott-train.needsOperator" -}}
{{- range (lookup "vott.dev/v1alpha1" "TrainingJob" . "").items }}
{{- $phase := dig "status" "phase" "Pending" . }}
{{- if or (not (has $phase (list "Complete" "Failed"))) (has "vott.dev/last-word" (.metadata.finalizers | default list)) }}yes{{ end }}
{{- end }}
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
{{- $settings := omit .Values "image" "imagePullSecrets" "azure" "networkPolicy" "monitoring" "replicas" "resources" "nodeSelector" "tolerations" "affinity" "global" "_draining" }}
{{- $settings = set $settings "namespace" .Release.Namespace }}
{{- $settings = set $settings "queues" $queues }}
{{- $settings = set $settings "drainNamespaces" (include "vott-train.draining" . | fromYamlArray) }}
{{- $settings = set $settings "roleBinding" (include "vott-train.operatorBinding" .) }}
{{- $settings = set $settings "callbacks" $callbacks }}
{{- $settings = set $settings "trainer" (set (deepCopy .Values.trainer) "serviceAccountName" (include "vott-train.trainerAccount" .)) }}
{{- $settings = set $settings "leaderElection" (set (deepCopy .Values.leaderElection) "leaseName" .Release.Name) }}
{{- toPrettyJson $settings }}
{{- end }}
