{{/* Names and labels. A selector can never be changed, so nothing that changes may enter one; and
what stands in a pod's labels rolls the edges when it changes, so neither the chart's nor the edge's
version does. */}}

{{- define "holdline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Cut so that with the longest suffix nothing exceeds 63 characters, nor does the label that a
StatefulSet makes of its name and a hash. */}}
{{- define "holdline.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- else }}
{{- $name := include "holdline.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 46 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 46 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of objects: (dict "root" . "component" "edge"). */}}
{{- define "holdline.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{ include "holdline.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Immutable in workloads. */}}
{{- define "holdline.selector" -}}
app.kubernetes.io/name: {{ include "holdline.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* On every pod that holds an edge, whosever pod it is; Services find edges by it. */}}
{{- define "holdline.edgeLabel" -}}
holdline-edge: {{ include "holdline.fullname" . }}
{{- end }}

{{- define "holdline.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "holdline.secretName" -}}
{{- .Values.secrets.existingSecret | default (include "holdline.fullname" .) }}
{{- end }}

{{- define "holdline.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "holdline.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* The headless Service of the workers, and its namespace. */}}
{{- define "holdline.workersService" -}}
{{- .Values.discovery.service | default (printf "%s-workers" (include "holdline.fullname" .)) }}
{{- end }}

{{- define "holdline.workersNamespace" -}}
{{- .Values.discovery.namespace | default .Release.Namespace }}
{{- end }}

{{/* Whether this chart's worker pods hold the edge. */}}
{{- define "holdline.inWorker" -}}
{{- if and (eq .Values.topology "sidecar") (eq .Values.sidecar.in "worker") }}true{{ end }}
{{- end }}

{{/* Whether the pods of another chart do. */}}
{{- define "holdline.inApp" -}}
{{- if and (eq .Values.topology "sidecar") (eq .Values.sidecar.in "app") }}true{{ end }}
{{- end }}

{{- define "holdline.autoscaled" -}}
{{- if or .Values.autoscaling.hpa.enabled .Values.autoscaling.keda.enabled }}true{{ end }}
{{- end }}
