{{/* Addresses that are never allowed, the same as in vott_guard.addresses. */}}
{{- define "vott-train.never" -}}
["0.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32", "224.0.0.0/4", "240.0.0.0/4",
 "::/128", "fe80::/10", "fd00:ec2::/32", "fd20:ce::/32", "fd00:c1::a9fe:a9fe/128", "fd00:42::42/128", "ff00::/8"]
{{- end }}

{{/* IPv4 networks that are not public, the same as in vott_guard.addresses. */}}
{{- define "vott-train.notPublic" -}}
["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
 "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"]
{{- end }}

{{/* A NetworkPolicy peer: a configured network without the addresses that are never allowed. */}}
{{- define "vott-train.network" -}}
{{- include "vott-train.block" (dict "network" (include "vott-train.cidr" .) "without" (include "vott-train.never" . | fromYamlArray)) }}
{{- end }}

{{- define "vott-train.publicNetwork" -}}
{{- $without := concat (include "vott-train.notPublic" . | fromYamlArray) (include "vott-train.never" . | fromYamlArray) }}
{{- include "vott-train.block" (dict "network" "0.0.0.0/0" "without" $without) }}
{{- end }}

{{/* An ipBlock. Exceptions must be inside the network and must not overlap: the wider ones come first. */}}
{{- define "vott-train.block" -}}
{{- $network := include "vott-train.bits" .network }}
{{- $taken := list }}
{{- $holes := list }}
{{- range .without }}
{{- $bits := include "vott-train.bits" . }}
{{- $new := hasPrefix $network $bits }}
{{- range $taken }}{{ if hasPrefix . $bits }}{{ $new = false }}{{ end }}{{ end }}
{{- if $new }}
{{- $taken = append $taken $bits }}
{{- $holes = append $holes . }}
{{- end }}
{{- end }}
- ipBlock:
    cidr: {{ quote .network }}
    {{- with $holes }}
    except: {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}

{{/*
The address family and the prefix bits of a network. Network A contains B if A's bits are a prefix of B's.
*/}}
{{- define "vott-train.bits" -}}
{{- $parts := splitList "/" . }}
{{- $kind := ternary "six" "four" (contains ":" .) }}
{{- $kind }}:{{ include (printf "vott-train.%sBits" $kind) (first $parts) | trunc (last $parts | int) }}
{{- end }}

{{- define "vott-train.fourBits" -}}
{{- range splitList "." . }}{{ int . | printf "%08b" }}{{ end }}
{{- end }}

{{- define "vott-train.sixBits" -}}
{{- $sides := splitList "::" . }}
{{- $left := first $sides | splitList ":" | compact }}
{{- $right := rest $sides | join ":" | splitList ":" | compact }}
{{- range $left }}{{ printf "0x%s" . | int | printf "%016b" }}{{ end }}
{{- range until (sub 8 (add (len $left) (len $right)) | int) }}{{ printf "%016b" 0 }}{{ end }}
{{- range $right }}{{ printf "0x%s" . | int | printf "%016b" }}{{ end }}
{{- end }}

{{/* A CIDR; a single address becomes a /32 or /128. */}}
{{- define "vott-train.cidr" -}}
{{- $text := toString . | trim }}
{{- $text }}{{ if not (contains "/" $text) }}/{{ ternary 128 32 (contains ":" $text) }}{{ end }}
{{- end }}
