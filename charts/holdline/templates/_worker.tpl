{{/* The worker's pod. */}}

{{- define "holdline.worker.isBridge" -}}
{{- if not .Values.worker.image.repository }}true{{ end }}
{{- end }}

{{- define "holdline.worker.image" -}}
{{- $image := .Values.worker.image }}
{{- if include "holdline.worker.isBridge" . }}
{{- include "holdline.image" . }}
{{- else if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository $image.tag }}
{{- end }}
{{- end }}

{{/* Fit for a label's value. */}}
{{- define "holdline.worker.version" -}}
{{- $version := .Values.worker.version }}
{{- if not $version }}
{{- $image := include "holdline.worker.image" . }}
{{- $version = regexReplaceAll "^.*[:]" $image "" | trunc 40 }}
{{- if include "holdline.worker.isBridge" . }}
{{- $version = printf "%s-%s" $version (include "holdline.worker.bridgeFile" . | sha256sum | trunc 8) }}
{{- end }}
{{- end }}
{{- regexReplaceAll "[^A-Za-z0-9._-]" $version "-" | trunc 63 | trimAll "-._" }}
{{- end }}

{{- define "holdline.worker.bridgeFile" -}}
{{- toYaml .Values.worker.bridge }}
{{- end }}

{{- define "holdline.worker.container" -}}
{{- $worker := .Values.worker }}
{{- $port := int $worker.service.port }}
name: worker
image: {{ include "holdline.worker.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if include "holdline.worker.isBridge" . }}
args: [bridge, --config, /etc/holdline/bridge/bridge.yaml]
{{- else }}
{{- with $worker.command }}
command: {{ toJson . }}
{{- end }}
{{- with $worker.args }}
args: {{ toJson . }}
{{- end }}
{{- end }}
env:
  - {name: HOLDLINE_WORKER_ADDRESS, value: {{ include "holdline.listen" (dict "root" . "port" $port) | quote }}}
  - {name: HOLDLINE_WORKER_GRACE, value: {{ printf "%ds" (int $worker.graceSeconds) | quote }}}
  - {name: HOLDLINE_WORKER_VERSION, value: {{ include "holdline.worker.version" . | quote }}}
{{- if .Values.workerTls.enabled }}
  - {name: HOLDLINE_WORKER_TLS_CERT, value: /etc/holdline/tls/tls.crt}
  - {name: HOLDLINE_WORKER_TLS_KEY, value: /etc/holdline/tls/tls.key}
  - {name: HOLDLINE_WORKER_TLS_CLIENT_CA, value: /etc/holdline/tls/ca.crt}
{{- end }}
{{- with $worker.extraEnv }}
{{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: grpc, containerPort: {{ $port }}, protocol: TCP}
{{- if gt (int $worker.preStopSeconds) 0 }}
lifecycle:
  preStop:
    sleep: {seconds: {{ int $worker.preStopSeconds }}}
{{- end }}
{{ include "holdline.worker.probes" . | trim }}
{{- with $worker.resources }}
resources:
{{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
{{- toYaml .Values.containerSecurityContext | nindent 2 }}
{{- with include "holdline.worker.mounts" . | trim }}
volumeMounts:
{{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A draining worker says NOT_SERVING; the kubelet asks for liveness no more when a pod is deleted.
It cannot ask gRPC over TLS: the edge, which can, judges health by itself. */}}
{{- define "holdline.worker.probes" -}}
{{- $port := int .Values.worker.service.port }}
{{- $probe := dict "grpc" (dict "port" $port) }}
{{- if .Values.workerTls.enabled }}
{{- $probe = dict "tcpSocket" (dict "port" $port) }}
{{- end }}
startupProbe:
{{- toYaml $probe | nindent 2 }}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
{{- toYaml $probe | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 2
livenessProbe:
{{- toYaml $probe | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{- define "holdline.worker.mounts" -}}
{{- if include "holdline.worker.isBridge" . }}
- {name: bridge, mountPath: /etc/holdline/bridge, readOnly: true}
{{- end }}
{{- if .Values.workerTls.enabled }}
- {name: worker-tls, mountPath: /etc/holdline/tls, readOnly: true}
{{- end }}
{{- with .Values.worker.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The bridge's file comes from the pod's own annotation, so that it belongs to the replica set: a
roll-back brings back the file of that release, too. */}}
{{- define "holdline.worker.volumes" -}}
{{- if include "holdline.worker.isBridge" . }}
- name: bridge
  downwardAPI:
    items:
      - path: bridge.yaml
        fieldRef: {fieldPath: "metadata.annotations['holdline-bridge-file']"}
{{- end }}
{{- if .Values.workerTls.enabled }}
- name: worker-tls
  secret: {secretName: {{ .Values.workerTls.workerSecret }}}
{{- end }}
{{- with .Values.worker.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- if include "holdline.inWorker" . }}
{{ include "holdline.edge.volumes" . }}
{{- end }}
{{- end }}

{{- define "holdline.worker.annotations" -}}
{{- if include "holdline.worker.isBridge" . }}
holdline-bridge-file: |
{{- include "holdline.worker.bridgeFile" . | nindent 2 }}
{{- end }}
{{- if include "holdline.inWorker" . }}
{{ include "holdline.edge.annotations" . }}
{{- end }}
{{- with .Values.worker.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}
