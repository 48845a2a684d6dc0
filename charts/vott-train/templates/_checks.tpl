{{/* Errors that would otherwise only show as a pod that does not start. The operator checks the rest of its settings. */}}
{{- define "vott-train.checks" -}}
{{- include "vott-train.checkSections" . }}
{{- with .Values.azure }}
{{- if and .existingSecret (or .connectionString .serviceBusConnectionString) }}
{{- fail "azure: set either existingSecret or connection strings, not both" }}
{{- end }}
{{- end }}
{{- if not (kindIs "slice" .Values.queues) }}
{{- fail "queues: must be a list; with --set write queues[0].name, in a values file start each queue with a dash" }}
{{- end }}
{{- if not .Values.queues }}
{{- fail "queues: must have at least one queue" }}
{{- end }}
{{- include "vott-train.checkTrainingJob" (dict "place" "trainingJob" "values" .Values.trainingJob) }}
{{- range $number, $queue := .Values.queues }}
{{- include "vott-train.checkQueue" (dict "number" $number "queue" $queue "root" $) }}
{{- end }}
{{- if lt (int .Values.replicas) 1 }}
{{- fail "replicas: must be 1, or 2 with a standby; to stop the operator, scale the Deployment to 0" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
{{- fail "replicas: more than one requires leaderElection.enabled, so that only one is active" }}
{{- end }}
{{- include "vott-train.checkTrainer" . }}
{{- include "vott-train.checkStores" . }}
{{- include "vott-train.checkOutgoing" . }}
{{- include "vott-train.checkMonitoring" . }}
{{- end }}

{{/* Outgoing requests and callbacks. */}}
{{- define "vott-train.checkOutgoing" -}}
{{- if hasKey .Values.callbacks "allowHttp" }}
{{- fail "callbacks.allowHttp: was replaced by outgoing.allowHttp, which applies to all URLs in messages" }}
{{- end }}
{{- $known := dict
  "outgoing" (list "allowHttp" "publicAddresses" "hosts" "networks")
  "callbacks" (list "timeoutSeconds" "giveUpAfterSeconds" "signing")
  "networkPolicy" (list "enabled" "apiServer" "apiServerPorts" "trainerPorts" "operatorEgress" "trainerEgress") }}
{{- range $section, $names := $known }}
{{- include "vott-train.checkNames" (dict "place" $section "values" (index $.Values $section) "known" $names) }}
{{- end }}
{{- include "vott-train.checkNames" (dict "place" "callbacks.signing" "values" .Values.callbacks.signing "known" (list "secretName")) }}
{{- range .Values.outgoing.networks }}
{{- include "vott-train.checkNetwork" (dict "place" "outgoing.networks" "network" .) }}
{{- end }}
{{- range .Values.networkPolicy.apiServer }}
{{- include "vott-train.checkNetwork" (dict "place" "networkPolicy.apiServer" "network" .) }}
{{- end }}
{{- range .Values.networkPolicy.apiServerPorts }}
{{- if not (regexMatch "^[0-9]+$" (toString .)) }}
{{- fail (printf "networkPolicy.apiServerPorts: %v is not a port, such as 6443" .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Who reads the metrics. */}}
{{- define "vott-train.checkMonitoring" -}}
{{- $known := dict
  "monitoring" (list "podMonitor" "prometheusRule" "dashboard" "scraper")
  "monitoring.podMonitor" (list "enabled" "labels" "interval")
  "monitoring.prometheusRule" (list "enabled" "labels")
  "monitoring.dashboard" (list "enabled" "labels") }}
{{- range $place, $names := $known }}
{{- $values := $.Values }}
{{- range splitList "." $place }}
{{- $values = get $values . }}
{{- end }}
{{- include "vott-train.checkNames" (dict "place" $place "values" $values "known" $names) }}
{{- end }}
{{- if and .Values.monitoring.podMonitor.enabled .Values.networkPolicy.enabled (not .Values.monitoring.scraper) }}
{{- fail "monitoring.scraper: is required with monitoring.podMonitor.enabled, because networkPolicy lets nobody in; name Prometheus' namespace, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" }}
{{- end }}
{{- end }}

{{- define "vott-train.checkNetwork" -}}
{{- $place := .place }}
{{- $network := include "vott-train.cidr" .network }}
{{- if not (regexMatch `^([0-9]{1,3}(\.[0-9]{1,3}){3}/([12]?[0-9]|3[0-2])|[0-9a-fA-F:]*::?[0-9a-fA-F:]*/[0-9]{1,3})$` $network) }}
{{- fail (printf "%s: %v is not a network, such as 10.1.2.0/24, or an address, such as 10.1.2.3" $place .network) }}
{{- else }}
{{- range include "vott-train.never" . | fromYamlArray }}
{{- if hasPrefix (include "vott-train.bits" .) (include "vott-train.bits" $network) }}
{{- fail (printf "%s: %s is never allowed: it is in %s, which has metadata services, the host itself or no hosts" $place $network .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A section that is null or of another type would be a Helm error that does not name the value. */}}
{{- define "vott-train.checkSections" -}}
{{- range list "image" "azure" "azure.workloadIdentity" "trainer" "trainingJob" "plugins" "outgoing" "callbacks" "callbacks.signing" "networkPolicy" "leaderElection" "monitoring" "monitoring.podMonitor" "monitoring.prometheusRule" "monitoring.dashboard" }}
{{- include "vott-train.checkKind" (dict "place" . "kind" "map" "as" "map" "root" $) }}
{{- end }}
{{- range list "outgoing.hosts" "outgoing.networks" "networkPolicy.apiServer" "networkPolicy.apiServerPorts" "networkPolicy.trainerPorts" "networkPolicy.operatorEgress" "networkPolicy.trainerEgress" "monitoring.scraper" }}
{{- include "vott-train.checkKind" (dict "place" . "kind" "slice" "as" (printf "list; with --set write %s[0]" .) "root" $) }}
{{- end }}
{{- end }}

{{- define "vott-train.checkKind" -}}
{{- $found := .root.Values }}
{{- range splitList "." .place }}
{{- $found = get ($found | default dict) . }}
{{- end }}
{{- if not (kindIs .kind $found) }}
{{- fail (printf "%s: must be a %s; omit it for the default, and upgrade with --reset-then-reuse-values, not --reuse-values" .place .as) }}
{{- end }}
{{- end }}

{{- define "vott-train.checkQueue" -}}
{{- $place := printf "queues[%d]" (int .number) }}
{{- $queue := .queue }}
{{- if not (kindIs "map" $queue) }}
{{- fail (printf "%s: must be a map with at least a name" $place) }}
{{- end }}
{{- $known := list "kind" "name" "account" "serviceBusNamespace" "secretName" "targetNamespace" "plugins" "trainingJob" "parameters" "model" "callback" "duplicateWindowSeconds" }}
{{- include "vott-train.checkNames" (dict "place" $place "values" $queue "known" $known) }}
{{- include "vott-train.checkTrainingJob" (dict "place" (printf "%s.trainingJob" $place) "values" $queue.trainingJob) }}
{{- $kind := $queue.kind | default "storage" }}
{{- if not (has $kind (list "storage" "serviceBus")) }}
{{- fail (printf "%s.kind: must be storage or serviceBus, not %s" $place $kind) }}
{{- end }}
{{- if and (eq $kind "serviceBus") $queue.account }}
{{- fail (printf "%s.account: is for storage queues; a Service Bus queue has serviceBusNamespace" $place) }}
{{- end }}
{{- if and (eq $kind "storage") $queue.serviceBusNamespace }}
{{- fail (printf "%s.serviceBusNamespace: is for Service Bus queues; a storage queue has account" $place) }}
{{- end }}
{{- $azure := .root.Values.azure }}
{{- $secret := $queue.secretName | default (include "vott-train.secret" .root) }}
{{- if not (or $secret $azure.workloadIdentity.clientId) }}
{{- fail (printf "%s: has no credentials; set azure.existingSecret, azure.%s or azure.workloadIdentity.clientId, or the queue's own secretName" $place (ternary "connectionString" "serviceBusConnectionString" (eq $kind "storage"))) }}
{{- end }}
{{- if and (not $secret) (eq $kind "storage") (not $queue.account) }}
{{- fail (printf "%s.account: is required with a workload identity, which doesn't name the queue's storage account" $place) }}
{{- end }}
{{- if and (not $secret) (eq $kind "serviceBus") (not $queue.serviceBusNamespace) }}
{{- fail (printf "%s.serviceBusNamespace: is required with a workload identity, which doesn't name the queue's namespace" $place) }}
{{- end }}
{{- $chartSecret := and (not $queue.secretName) (not $azure.existingSecret) $secret }}
{{- if and $chartSecret (eq $kind "storage") (not $azure.connectionString) (not (and $azure.workloadIdentity.clientId $queue.account)) }}
{{- fail (printf "%s: is a storage queue, but azure has only a serviceBusConnectionString; set azure.connectionString too" $place) }}
{{- end }}
{{- if and $chartSecret (eq $kind "serviceBus") (not $azure.serviceBusConnectionString) (not (and $azure.workloadIdentity.clientId $queue.serviceBusNamespace)) }}
{{- fail (printf "%s: is a Service Bus queue, but azure has only the connectionString of a storage account; set azure.serviceBusConnectionString too" $place) }}
{{- end }}
{{- end }}

{{- define "vott-train.checkTrainingJob" -}}
{{- $known := list "labels" "trainer" "podTemplate" "backoffLimit" "activeDeadlineSeconds" "pendingDeadlineSeconds" }}
{{- include "vott-train.checkNames" (dict "place" .place "values" (.values | default dict) "known" $known) }}
{{- end }}

{{/* A misspelt name would be silently ignored, or keep the operator from starting. */}}
{{- define "vott-train.checkNames" -}}
{{- range keys .values | sortAlpha }}
{{- if not (has . $.known) }}
{{- fail (printf "%s.%s: is not a value of this chart; choose from %s" $.place . (join ", " $.known)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Conflicting values in trainer. */}}
{{- define "vott-train.checkTrainer" -}}
{{- $known := dict
  "modelStore" (list "containers" "buckets" "secretName")
  "dataStore" (list "containers" "buckets")
  "workloadIdentity" (list "clientId")
  "checkpoints" (list "url" "persistentVolumeClaim" "everySeconds")
  "imageCache" (list "persistentVolumeClaim" "hostPath" "sizeLimit")
  "plugins" (list "configMap" "persistentVolumeClaim") }}
{{- range $section, $names := $known }}
{{- $values := index $.Values.trainer $section }}
{{- if not (kindIs "map" $values) }}
{{- fail (printf "trainer.%s: must be a map of %s; omit it for none" $section (join ", " $names)) }}
{{- end }}
{{- include "vott-train.checkNames" (dict "place" (printf "trainer.%s" $section) "values" $values "known" $names) }}
{{- end }}
{{- include "vott-train.checkNames" (dict "place" "trainer.resources" "values" (.Values.trainer.resources | default dict) "known" (list "requests" "limits")) }}
{{- with .Values.trainer }}
{{- if and .checkpoints.url .checkpoints.persistentVolumeClaim }}
{{- fail "trainer.checkpoints: set either url or persistentVolumeClaim, not both" }}
{{- end }}
{{- if contains "?" .checkpoints.url }}
{{- fail "trainer.checkpoints.url: has a query; put no SAS in values, use the Secret of trainer.modelStore or the workload identity" }}
{{- end }}
{{- if and .imageCache.hostPath .imageCache.persistentVolumeClaim }}
{{- fail "trainer.imageCache: set either hostPath or persistentVolumeClaim, not both" }}
{{- end }}
{{- if and .plugins.configMap .plugins.persistentVolumeClaim }}
{{- fail "trainer.plugins: set either configMap or persistentVolumeClaim, not both" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Stores without credentials. */}}
{{- define "vott-train.checkStores" -}}
{{- $store := .Values.trainer.modelStore }}
{{- $identity := .Values.trainer.workloadIdentity.clientId }}
{{- $named := include "vott-train.namedContainer" . }}
{{- $secret := include "vott-train.storeSecret" . }}
{{- $data := .Values.trainer.dataStore }}
{{- range $section, $lists := dict "modelStore" $store "dataStore" $data }}
{{- range $lists.containers }}
{{- if and (contains "://" .) (not $identity) }}
{{- fail (printf "trainer.%s.containers: %s needs trainer.workloadIdentity.clientId; a container of the Secret's account is listed by its name" $section .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $named (not $secret) }}
{{- fail "trainer.modelStore.secretName: is required, because azure has no Secret to use instead" }}
{{- end }}
{{- if and (hasPrefix "http" (include "vott-train.closedCheckpoints" .)) (not $secret) }}
{{- fail "trainer.checkpoints.url: has no credentials; set trainer.workloadIdentity.clientId or trainer.modelStore.secretName" }}
{{- end }}
{{- if and (or $store.buckets $data.buckets) (eq $secret (printf "%s-azure" .Release.Name)) }}
{{- fail "trainer.modelStore.secretName: is required for buckets, because the Secret of azure's connection strings has no AWS_ACCESS_KEY_ID" }}
{{- end }}
{{- if and (not $store.secretName) $secret (gt (len (include "vott-train.namespaces" . | fromYamlArray)) 1) }}
{{- fail "trainer.modelStore.secretName: is required with queues[].targetNamespace, because each training namespace needs a Secret of this name" }}
{{- end }}
{{- end }}
