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

{{- define "vott-train.secret" -}}
{{- .Values.azure.existingSecret | default (printf "%s-azure" .Release.Name) -}}
{{- end }}

{{- define "vott-train.trainerAccount" -}}
{{ .Release.Name }}-trainer
{{- end }}

{{- define "vott-train.settings" -}}
namespace: {{ .Release.Namespace }}
queues: {{- toYaml .Values.queues | nindent 2 }}
trainer:
  {{- omit .Values.trainer "modelStore" | toYaml | nindent 2 }}
  serviceAccountName: {{ include "vott-train.trainerAccount" . }}
  {{- with .Values.trainer.modelStore }}
  modelStore:
    secretName: {{ .secretName | default (include "vott-train.secret" $) }}
    containers: {{- toYaml .containers | nindent 6 }}
  {{- end }}
plugins: {{- toYaml .Values.plugins | nindent 2 }}
callbacks: {{- toYaml .Values.callbacks | nindent 2 }}
maxUnfinishedJobs: {{ .Values.maxUnfinishedJobs }}
logLevel: {{ .Values.logLevel }}
{{- end }}
