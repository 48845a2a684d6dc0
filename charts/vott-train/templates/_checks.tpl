{{/*
Checks of the values that need a sentence: what belongs together, and what must look like what. values.schema.json comes first; it has names, types,
ranges and choices. Together they refuse what the operator would refuse, while the installed one still works.
*/}}
{{- define "vott-train.checks" -}}
{{- include "vott-train.checkSections" . }}
{{- if and .Values.azure.existingSecret (or .Values.azure.connectionString .Values.azure.serviceBusConnectionString) }}
{{- fail "azure: set either existingSecret or connection strings, not both" }}
{{- end }}
{{- include "vott-train.checkPlugins" (dict "place" "plugins" "plugins" .Values.plugins) }}
{{- include "vott-train.checkLabels" (dict "place" "trainingJob.labels" "labels" .Values.trainingJob.labels) }}
{{- include "vott-train.checkQueues" . }}
{{- if lt (int .Values.replicas) 1 }}
{{- fail "replicas: must be 1, or 2 with a standby; to stop the operator, scale the Deployment to 0" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
{{- fail "replicas: more than one requires leaderElection.enabled, so that only one is active" }}
{{- end }}
{{- include "vott-train.checkTrainer" . }}
{{- include "vott-train.checkStores" . }}
{{- include "vott-train.checkNetworks" . }}
{{- if and .Values.monitoring.podMonitor.enabled .Values.networkPolicy.enabled (not .Values.monitoring.scraper) }}
{{- fail "monitoring.scraper: is required with monitoring.podMonitor.enabled, because networkPolicy lets nobody in; name Prometheus' namespace, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" }}
{{- end }}
{{- end }}

{{/* A section that is null, or unknown to the values of an earlier chart, would be a Helm error that does not name it. */}}
{{- define "vott-train.checkSections" -}}
{{- range list "image" "azure" "azure.workloadIdentity" "trainer" "trainer.modelStore" "trainer.dataStore" "trainer.workloadIdentity" "trainer.checkpoints" "trainer.imageCache" "trainer.plugins" "trainingJob" "plugins" "outgoing" "callbacks" "callbacks.signing" "networkPolicy" "leaderElection" "tracing" "monitoring" "monitoring.podMonitor" "monitoring.prometheusRule" "monitoring.dashboard" }}
{{- $found := $.Values }}
{{- range splitList "." . }}
{{- $found = get ($found | default dict) . }}
{{- end }}
{{- if not (kindIs "map" $found) }}
{{- fail (printf "%s: is missing; omit it for the default, and upgrade with --reset-then-reuse-values, not --reuse-values" .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* A value in a message: without what may be a credential. */}}
{{- define "vott-train.shown" -}}
{{- regexReplaceAll "[?#].*" (regexReplaceAll "//[^/]*@" (toString .) "//") "" | default "an empty text" }}
{{- end }}

{{/* Fails unless the value matches the pattern. */}}
{{- define "vott-train.match" -}}
{{- if not (and (regexMatch .pattern .value) (ge (len .value) (.shortest | default 0 | int)) (le (len .value) (.longest | default 8192 | int))) }}
{{- fail (printf "%s: %s %s" .place (include "vott-train.shown" .value) .text) }}
{{- end }}
{{- end }}

{{- define "vott-train.http" -}}
(?i:https?)://([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}))?(/[^\pC\pZ?#\\]*)?
{{- end }}

{{- define "vott-train.s3" -}}
(?i:s3)://[A-Za-z0-9][A-Za-z0-9._-]+(/[^\pC\pZ?#\\]*)?
{{- end }}

{{- define "vott-train.query" -}}
(\?[^\pC\pZ#\\]*)?
{{- end }}

{{/* ------------------------------------------------------------------------------------------------------------------------------- queues */}}

{{- define "vott-train.checkQueues" -}}
{{- if not .Values.queues }}
{{- fail "queues: must have at least one queue" }}
{{- end }}
{{- range $number, $namespace := .Values.drainNamespaces }}
{{- include "vott-train.match" (dict "place" (printf "drainNamespaces[%d]" $number) "value" $namespace "longest" 63 "pattern" `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$` "text" "is not a valid namespace: use up to 63 lower-case letters, digits and dashes") }}
{{- end }}
{{- $ttl := kindIs "invalid" .Values.ttlSecondsAfterFinished | ternary 604800 .Values.ttlSecondsAfterFinished }}
{{- $needed := len .Values.queues }}
{{- $haveOwn := 0 }}
{{- $places := dict }}
{{- range $number, $queue := .Values.queues }}
{{- $place := printf "queues[%d]" (int $number) }}
{{- include "vott-train.checkQueueName" (dict "place" $place "queue" $queue) }}
{{- include "vott-train.checkCredentials" (dict "place" $place "queue" $queue "root" $) }}
{{- include "vott-train.checkMessages" (dict "place" $place "queue" $queue) }}
{{- include "vott-train.checkLabels" (dict "place" (printf "%s.trainingJob.labels" $place) "labels" (($queue.trainingJob | default dict).labels)) }}
{{- with $queue.targetNamespace }}
{{- include "vott-train.match" (dict "place" (printf "%s.targetNamespace" $place) "value" . "longest" 63 "pattern" `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$` "text" "is not a valid namespace: use up to 63 lower-case letters, digits and dashes") }}
{{- end }}
{{- if ne (toString $ttl) "never" }}
{{- if gt (int $queue.duplicateWindowSeconds) (int $ttl) }}
{{- fail (printf "ttlSecondsAfterFinished: is less than %s.duplicateWindowSeconds; raise it, because duplicates are detected by their TrainingJob" $place) }}
{{- end }}
{{- end }}
{{- with $queue.maxUnfinishedJobs }}
{{- $haveOwn = add1 $haveOwn | int }}
{{- $needed = add $needed . -1 | int }}
{{- end }}
{{- $secret := $queue.secretName | default (include "vott-train.secret" $) }}
{{- $identity := list ($queue.kind | default "storage") (trimSuffix "/" ($queue.account | default "")) (lower ($queue.serviceBusNamespace | default "")) $secret ($queue.name | default "training") | toJson }}
{{- if hasKey $places $identity }}
{{- fail (printf "%s: is the same queue as %s; remove one of them" $place (get $places $identity)) }}
{{- end }}
{{- $_ := set $places $identity $place }}
{{- end }}
{{- $total := .Values.maxUnfinishedJobs | default 1000 | int }}
{{- if and $haveOwn (gt $needed $total) }}
{{- fail (printf "maxUnfinishedJobs: is %d, but the queues need %d: the sum of queues[].maxUnfinishedJobs, and 1 for each queue without; raise it" $total $needed) }}
{{- end }}
{{- end }}

{{- define "vott-train.checkQueueName" -}}
{{- $place := .place }}
{{- $isStorage := eq (.queue.kind | default "storage") "storage" }}
{{- with .queue }}
{{- if and (not $isStorage) .account }}
{{- fail (printf "%s.account: is for storage queues; a Service Bus queue has serviceBusNamespace" $place) }}
{{- end }}
{{- if and $isStorage .serviceBusNamespace }}
{{- fail (printf "%s.serviceBusNamespace: is for Service Bus queues; a storage queue has account" $place) }}
{{- end }}
{{- if hasKey . "name" }}
{{- if $isStorage }}
{{- include "vott-train.match" (dict "place" (printf "%s.name" $place) "value" .name "shortest" 3 "longest" 56 "pattern" `^[a-z0-9]+(-[a-z0-9]+)*$` "text" "is not a valid storage queue name: use 3 to 56 lower-case letters, digits and single dashes, with a letter or digit at both ends") }}
{{- else }}
{{- include "vott-train.match" (dict "place" (printf "%s.name" $place) "value" .name "longest" 260 "pattern" `^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$` "text" "is not a valid Service Bus queue name: use up to 260 letters, digits and . - _ /, with a letter or digit at both ends") }}
{{- end }}
{{- end }}
{{- with .account }}
{{- if contains "?" . }}
{{- fail (printf "%s.account: has a query; put the SAS into the Secret, as AZURE_STORAGE_SAS_TOKEN" $place) }}
{{- end }}
{{- include "vott-train.match" (dict "place" (printf "%s.account" $place) "value" . "pattern" (printf `^([a-z0-9]{3,24}|%s)$` (include "vott-train.http" .)) "text" "is neither a storage account name (3 to 24 lower-case letters and digits) nor the URL of a queue service (https://NAME.queue.core.windows.net)") }}
{{- end }}
{{- with .serviceBusNamespace }}
{{- include "vott-train.match" (dict "place" (printf "%s.serviceBusNamespace" $place) "value" . "pattern" `^[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9](\.[A-Za-z0-9.-]+)?$` "text" "is not a Service Bus namespace: use NAME or NAME.servicebus.windows.net, without sb:// and port") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "vott-train.checkCredentials" -}}
{{- $kind := .queue.kind | default "storage" }}
{{- $azure := .root.Values.azure }}
{{- $secret := .queue.secretName | default (include "vott-train.secret" .root) }}
{{- if not (or $secret $azure.workloadIdentity.clientId) }}
{{- fail (printf "%s: has no credentials; set azure.existingSecret, azure.%s or azure.workloadIdentity.clientId, or the queue's own secretName" .place (ternary "connectionString" "serviceBusConnectionString" (eq $kind "storage"))) }}
{{- end }}
{{- if and (not $secret) (eq $kind "storage") (not .queue.account) }}
{{- fail (printf "%s.account: is required with a workload identity, which doesn't name the queue's storage account" .place) }}
{{- end }}
{{- if and (not $secret) (eq $kind "serviceBus") (not .queue.serviceBusNamespace) }}
{{- fail (printf "%s.serviceBusNamespace: is required with a workload identity, which doesn't name the queue's namespace" .place) }}
{{- end }}
{{- $chartSecret := and (not .queue.secretName) (not $azure.existingSecret) $secret }}
{{- if and $chartSecret (eq $kind "storage") (not $azure.connectionString) (not (and $azure.workloadIdentity.clientId .queue.account)) }}
{{- fail (printf "%s: is a storage queue, but azure has only a serviceBusConnectionString; set azure.connectionString too" .place) }}
{{- end }}
{{- if and $chartSecret (eq $kind "serviceBus") (not $azure.serviceBusConnectionString) (not (and $azure.workloadIdentity.clientId .queue.serviceBusNamespace)) }}
{{- fail (printf "%s: is a Service Bus queue, but azure has only the connectionString of a storage account; set azure.serviceBusConnectionString too" .place) }}
{{- end }}
{{- end }}

{{/* What the queue's messages get. */}}
{{- define "vott-train.checkMessages" -}}
{{- $place := .place }}
{{- with .queue.plugins }}
{{- include "vott-train.checkPlugins" (dict "place" (printf "%s.plugins" $place) "plugins" .) }}
{{- end }}
{{- $http := printf `^%s%s$` (include "vott-train.http" .) (include "vott-train.query" .) }}
{{- $store := printf `^(%s%s|%s)$` (include "vott-train.http" .) (include "vott-train.query" .) (include "vott-train.s3" .) }}
{{- range $name, $pattern := dict "model" $store "callback" $http }}
{{- with get $.queue $name }}
{{- if regexMatch "[{}]" (. | replace "{projectId}" "" | replace "{requestId}" "") }}
{{- fail (printf "%s.%s: has a brace that belongs to no placeholder; the placeholders are {projectId} and {requestId}" $place $name) }}
{{- end }}
{{- if or (not (regexMatch $pattern .)) (contains "&amp;" .) (gt (len .) 8192) }}
{{- fail (printf "%s.%s: is not a URL such as https://host/path%s, without user name, fragment and blanks, and with placeholders in path or query only" $place $name (ternary " or s3://bucket/prefix" "" (eq $name "model"))) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .queue.parameters }}
{{- if ge (len (toJson .)) 90000 }}
{{- fail (printf "%s.parameters: are too long; put large values into a file" $place) }}
{{- end }}
{{- $weights := get . "initialWeights" }}
{{- $isURL := and (kindIs "string" $weights) (not (regexMatch `^\s*[A-Za-z0-9._-]*\s*$` (toString $weights))) }}
{{- if and $isURL (or (not (regexMatch $http (toString $weights))) (contains "&amp;" (toString $weights))) }}
{{- fail (printf "%s.parameters.initialWeights: is neither a name nor a URL such as https://host/path, without user name, fragment and blanks" $place) }}
{{- end }}
{{- $shown := ternary (omit . "initialWeights") . $isURL | toJson }}
{{- if regexMatch `://[^\s"]*[?#]|://[^\s"/]*@` $shown }}
{{- fail (printf "%s.parameters: have a URL with a query, a fragment or a password, which anyone who reads the TrainingJob sees; remove it" $place) }}
{{- end }}
{{- $images := get . "imagesUrl" }}
{{- if and (kindIs "string" $images) (not (regexMatch (printf `^(\s*|%s|[^\pC\pZ?#\\:/]([^\pC?#\\:]*[^\pC\pZ?#\\:])?)$` (include "vott-train.http" .)) (toString $images))) }}
{{- fail (printf "%s.parameters.imagesUrl: is not the name of a folder: use https://host/path, or a path such as images or ." $place) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "vott-train.checkPlugins" -}}
{{/* A queue's plugins need not name both. */}}
{{- $default := hasKey .plugins "default" | ternary .plugins.default "detection" }}
{{- $allowed := hasKey .plugins "allowed" | ternary .plugins.allowed (list "detection" "classification" "segmentation" "hello-world") }}
{{- if not (has $default $allowed) }}
{{- fail (printf "%s.default: %s is not in %s.allowed; add it there" .place (include "vott-train.shown" $default) .place) }}
{{- end }}
{{- end }}

{{- define "vott-train.checkLabels" -}}
{{- $place := .place }}
{{- range $key, $value := .labels }}
{{- $pattern := `^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$` }}
{{- include "vott-train.match" (dict "place" $place "value" $key "longest" 253 "pattern" $pattern "text" "is not a valid label key: use name or example.com/name") }}
{{- if $value }}
{{- include "vott-train.match" (dict "place" (printf "%s.%s" $place $key) "value" $value "pattern" `^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$` "text" "is not a valid label value: use up to 63 letters, digits and - _ ., with a letter or digit at both ends") }}
{{- end }}
{{- if has $key (list "app.kubernetes.io/managed-by" "vott.dev/trainingjob") }}
{{- fail (printf "%s.%s: is set by the operator; remove it" $place $key) }}
{{- end }}
{{- end }}
{{- end }}

{{/* ----------------------------------------------------------------------------------------------------------------------------- training */}}

{{- define "vott-train.checkTrainer" -}}
{{- with .Values.trainer }}
{{- if not .image }}
{{- fail "trainer.image: is required; name the image that trains" }}
{{- end }}
{{- range $place, $size := dict "trainer.sharedMemory" .sharedMemory "trainer.workVolume" .workVolume "trainer.workRequest" (.workRequest | default "0") "trainer.imageCache.sizeLimit" .imageCache.sizeLimit }}
{{- if not (kindIs "invalid" $size) }}
{{- include "vott-train.match" (dict "place" $place "value" $size "pattern" `^[0-9]+(k|Ki|[MGTP]i?)?$` "text" "is not a size; use a whole number with Mi, Gi or Ti, for example 100Gi") }}
{{- end }}
{{- end }}
{{- if and .checkpoints.url .checkpoints.persistentVolumeClaim }}
{{- fail "trainer.checkpoints: set either url or persistentVolumeClaim, not both" }}
{{- end }}
{{- with .checkpoints.url }}
{{- if contains "?" . }}
{{- fail "trainer.checkpoints.url: has a query; put no SAS in values, use the Secret of trainer.modelStore or the workload identity" }}
{{- end }}
{{- include "vott-train.match" (dict "place" "trainer.checkpoints.url" "value" . "pattern" (printf `^(%s|%s)$` (include "vott-train.http" .) (include "vott-train.s3" .)) "text" "is not a store; use https://ACCOUNT.blob.core.windows.net/CONTAINER or s3://BUCKET/PREFIX") }}
{{- end }}
{{- with .imageCache.hostPath }}
{{- include "vott-train.match" (dict "place" "trainer.imageCache.hostPath" "value" . "pattern" "^/" "text" "must start with a slash: it is a folder of the node") }}
{{- end }}
{{- if and .imageCache.hostPath .imageCache.persistentVolumeClaim }}
{{- fail "trainer.imageCache: set either hostPath or persistentVolumeClaim, not both" }}
{{- end }}
{{- if and .plugins.configMap .plugins.persistentVolumeClaim }}
{{- fail "trainer.plugins: set either configMap or persistentVolumeClaim, not both" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Stores without credentials. The operator's own are never given to training pods. */}}
{{- define "vott-train.checkStores" -}}
{{- $identity := .Values.trainer.workloadIdentity.clientId }}
{{- $secret := .Values.trainer.modelStore.secretName }}
{{- $remedy := "set trainer.modelStore.secretName, the Secret with them in each training namespace, or trainer.workloadIdentity.clientId" }}
{{- range $section := list "modelStore" "dataStore" }}
{{- $place := printf "trainer.%s" $section }}
{{- $lists := index $.Values.trainer $section }}
{{- range $lists.containers }}
{{- include "vott-train.checkContainer" (dict "place" (printf "%s.containers" $place) "container" . "secret" $secret "identity" $identity) }}
{{- end }}
{{- range $lists.buckets }}
{{- include "vott-train.match" (dict "place" (printf "%s.buckets" $place) "value" . "pattern" `^(\*|[A-Za-z0-9][A-Za-z0-9._-]+(/[^,]*)?)$` "text" "is not a bucket; use BUCKET or BUCKET/PREFIX, each as a separate item") }}
{{- end }}
{{- if and $lists.buckets (not (or $secret $identity)) }}
{{- fail (printf "%s.buckets: have no credentials; %s" $place $remedy) }}
{{- end }}
{{- end }}
{{- if and .Values.trainer.checkpoints.url (not (or $secret $identity)) }}
{{- fail (printf "trainer.checkpoints.url: has no credentials; %s" $remedy) }}
{{- end }}
{{- end }}

{{- define "vott-train.checkContainer" -}}
{{- if contains "://" .container }}
{{- if contains "?" .container }}
{{- fail (printf "%s: has a URL with a query; send a SAS in the message instead" .place) }}
{{- end }}
{{- include "vott-train.match" (dict "place" .place "value" .container "pattern" (printf `^%s$` (include "vott-train.http" .)) "text" "is not the URL of a container, https://ACCOUNT.blob.core.windows.net/CONTAINER") }}
{{- if not .identity }}
{{- fail (printf "%s: %s needs trainer.workloadIdentity.clientId; a container of the Secret's account is listed by its name" .place .container) }}
{{- end }}
{{- else if not .secret }}
{{- fail (printf "%s: %s has no credentials; set trainer.modelStore.secretName, the Secret with them in each training namespace, or list it as https://ACCOUNT.blob.core.windows.net/%s for trainer.workloadIdentity" .place .container .container) }}
{{- end }}
{{- if contains "," .container }}
{{- fail (printf "%s: has a comma; list each container as a separate item" .place) }}
{{- end }}
{{- end }}

{{/* ----------------------------------------------------------------------------------------------------------------------------- networks */}}

{{- define "vott-train.checkNetworks" -}}
{{- range .Values.outgoing.hosts }}
{{- $host := . | trim | lower }}
{{- $text := "is not a host name: use store.example.com or *.example.com; addresses belong in outgoing.networks" }}
{{- include "vott-train.match" (dict "place" "outgoing.hosts" "value" $host "longest" 253 "pattern" `^(\*\.)?([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?$` "text" $text) }}
{{- if regexMatch `^(\*\.)?(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}$` $host }}
{{- fail (printf "outgoing.hosts: %s %s" (include "vott-train.shown" $host) $text) }}
{{- end }}
{{- end }}
{{- range .Values.outgoing.networks }}
{{- include "vott-train.checkNetwork" (dict "place" "outgoing.networks" "network" .) }}
{{- end }}
{{- range .Values.networkPolicy.apiServer }}
{{- include "vott-train.checkNetwork" (dict "place" "networkPolicy.apiServer" "network" .) }}
{{- end }}
{{- end }}

{{- define "vott-train.checkNetwork" -}}
{{- $place := .place }}
{{- $network := include "vott-train.cidr" .network }}
{{- $octet := `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])` }}
{{- $four := printf `%s(\.%s){3}/([12]?[0-9]|3[0-2])` $octet $octet }}
{{- $group := `[0-9a-fA-F]{1,4}` }}
{{- $six := printf `((%s:){7}%s|((%s:){0,6}%s)?::((%s:){0,6}%s)?)/(1[01][0-9]|12[0-8]|[1-9]?[0-9])` $group $group $group $group $group $group }}
{{- $groups := regexFindAll $group (splitList "/" $network | first) -1 | len }}
{{- if not (or (regexMatch (printf "^%s$" $four) $network) (and (regexMatch (printf "^%s$" $six) $network) (or (not (contains "::" $network)) (lt $groups 8)))) }}
{{- fail (printf "%s: %s is not a network, such as 10.1.2.0/24, or an address, such as 10.1.2.3" $place (include "vott-train.shown" .network)) }}
{{- else }}
{{- $address := include "vott-train.bits" (printf "%s/%d" (splitList "/" $network | first) (ternary 128 32 (contains ":" $network))) }}
{{- if contains "1" (trimPrefix (include "vott-train.bits" $network) $address) }}
{{- fail (printf "%s: %s has bits set after its prefix; the network that contains this address ends with zeros, such as 10.1.2.0/24" $place $network) }}
{{- end }}
{{- range include "vott-train.never" . | fromYamlArray }}
{{- if hasPrefix (include "vott-train.bits" .) (include "vott-train.bits" $network) }}
{{- fail (printf "%s: %s is never allowed: it is in %s, which has metadata services, the host itself or no hosts" $place $network .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
