{{/* How long pods may take to end. All in seconds. */}}

{{/* From the edge's SIGTERM to its exit, at the latest. */}}
{{- define "holdline.drain.edge" -}}
{{- $drain := .Values.edge.drain }}
{{- add $drain.lameDuckSeconds $drain.deadlineSeconds $drain.marginSeconds }}
{{- end }}

{{/* Of that, from the deadline on, when the edge ends what is left: the waits of its configuration, and a second. */}}
{{- define "holdline.drain.ending" -}}
{{- $waits := dict "end_timeout" "5s" "close_timeout" "2s" "release_timeout" "500ms" }}
{{- $session := .Values.edge.config.session | default dict }}
{{- $micros := 1000000 }}
{{- range $wait, $default := $waits }}
{{- $time := get $session $wait | default $default | toString }}
{{- $unit := get (dict "us" 1 "ms" 1000 "s" 1000000 "m" 60000000 "h" 3600000000) (regexFind "[a-z]+$" $time) }}
{{- $micros = mul (regexFind "^[0-9]+" $time | int64) ($unit | default 0) | add $micros }}
{{- end }}
{{- div (add $micros 999999) 1000000 }}
{{- end }}

{{/* A worker's, from its pod's deletion. */}}
{{- define "holdline.drain.worker" -}}
{{- $worker := .Values.worker }}
{{- add $worker.preStopSeconds $worker.graceSeconds $worker.marginSeconds }}
{{- end }}

{{/* What a sidecar waits for before its own SIGTERM comes: the pod's other containers. */}}
{{- define "holdline.drain.before" -}}
{{- if include "holdline.inWorker" . }}
{{- include "holdline.drain.worker" . }}
{{- else if eq .Values.topology "sidecar" }}
{{- int .Values.sidecar.mainSeconds }}
{{- else }}0{{ end }}
{{- end }}

{{/* What a pod with an edge needs. */}}
{{- define "holdline.drain.needed" -}}
{{- add (include "holdline.drain.before" . | int) (include "holdline.drain.edge" . | int) }}
{{- end }}

{{/* What it is given. */}}
{{- define "holdline.drain.grace" -}}
{{- $given := .Values.edge.terminationGracePeriodSeconds }}
{{- if kindIs "invalid" $given }}
{{- include "holdline.drain.needed" . }}
{{- else }}
{{- int $given }}
{{- end }}
{{- end }}

{{- define "holdline.drain.workerGrace" -}}
{{- $given := .Values.worker.terminationGracePeriodSeconds }}
{{- if kindIs "invalid" $given }}
{{- include "holdline.drain.worker" . }}
{{- else }}
{{- int $given }}
{{- end }}
{{- end }}

{{- define "holdline.sidecar.replicas" -}}
{{- if include "holdline.inWorker" . }}
{{- if .Values.worker.autoscaling.enabled }}
{{- int .Values.worker.autoscaling.maxReplicas }}
{{- else }}
{{- ternary .Values.autoscaling.maxReplicas .Values.worker.replicas (eq (include "holdline.autoscaled" .) "true") | int }}
{{- end }}
{{- else }}
{{- int .Values.sidecar.replicas }}
{{- end }}
{{- end }}

{{/* Pods that are ending at any time, if calls use their whole grace: deploys in an hour, times hours
of grace, times pods; rounded up. */}}
{{- define "holdline.lingering" -}}
{{- $podSeconds := mul .Values.sidecar.deploysPerHour (include "holdline.drain.grace" . | int) (include "holdline.sidecar.replicas" . | int) }}
{{- div (add $podSeconds 3599) 3600 }}
{{- end }}
