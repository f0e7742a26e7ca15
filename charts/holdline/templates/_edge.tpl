{{/* The edge's container, in a pod of its own or beside others. It has no preStop hook: upon SIGTERM
the binary itself goes on taking calls while endpoints change, and then waits for its calls. As a
sidecar it gets SIGTERM only when the pod's other containers have ended. */}}

{{- define "holdline.edge.container" -}}
{{- $edge := .Values.edge }}
name: holdline-edge
image: {{ include "holdline.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, --config, /etc/holdline/config/holdline.yaml]
{{- if or $edge.extraEnv $edge.podDeletionCost.enabled }}
env:
{{- if $edge.podDeletionCost.enabled }}
  - name: HOLDLINE_POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: HOLDLINE_POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- end }}
{{- with $edge.extraEnv }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
ports:
  - {name: callers, containerPort: {{ int $edge.ports.callers }}, protocol: TCP}
  - {name: admin, containerPort: {{ int $edge.ports.admin }}, protocol: TCP}
# /livez needs no worker: a sidecar's start would otherwise wait for a worker that waits for it. It
# answers while the edge drains, too.
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- with $edge.resources }}
resources:
{{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
{{- toYaml .Values.containerSecurityContext | nindent 2 }}
volumeMounts:
{{- include "holdline.edge.mounts" . | nindent 2 }}
{{- if include "holdline.needsApi" . }}
  - {name: holdline-api, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}
{{- with $edge.extraVolumeMounts }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Whole folders, never subPath: files of a subPath do not change when the ConfigMap does. */}}
{{- define "holdline.edge.mounts" -}}
- {name: holdline-config, mountPath: /etc/holdline/config, readOnly: true}
- {name: holdline-secrets, mountPath: /etc/holdline/secrets, readOnly: true}
{{- if .Values.edge.tlsSecret }}
- {name: holdline-tls, mountPath: /etc/holdline/tls, readOnly: true}
{{- end }}
{{- if .Values.workerTls.enabled }}
- {name: holdline-worker-tls, mountPath: /etc/holdline/worker-tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "holdline.edge.files" -}}
- name: holdline-config
  configMap:
    name: {{ include "holdline.fullname" . }}-edge
- name: holdline-secrets
  secret:
    secretName: {{ include "holdline.secretName" . }}
    items:
{{- range $name, $file := (include "holdline.secretFiles" . | fromYaml) }}
      - {key: {{ index $.Values.secrets.keys $name | quote }}, path: {{ $file }}}
{{- end }}
{{- with .Values.edge.tlsSecret }}
- name: holdline-tls
  secret: {secretName: {{ . }}}
{{- end }}
{{- if .Values.workerTls.enabled }}
- name: holdline-worker-tls
  secret: {secretName: {{ .Values.workerTls.edgeSecret }}}
{{- end }}
{{- with .Values.edge.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Its files, and its way to the API server: what automountServiceAccountToken would mount, but for
the edge's container alone. So whoever shares its pod gets none of its rights, and the pods of another
chart need say nothing of it. */}}
{{- define "holdline.edge.volumes" -}}
{{ include "holdline.edge.files" . }}
{{- if include "holdline.needsApi" . }}
- name: holdline-api
  projected:
    sources:
      - serviceAccountToken: {path: token}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end }}
{{- end }}

{{- define "holdline.edge.annotations" -}}
checksum/restart: {{ include "holdline.restartChecksum" . }}
{{- if not .Values.edge.safeToEvict }}
cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
karpenter.sh/do-not-disrupt: "true"
{{- end }}
{{- with .Values.edge.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* (dict "root" . "component" "edge" "constraints" list "hashed" whether it is a Deployment) */}}
{{- define "holdline.spread" -}}
{{- range .constraints }}
- {{ toYaml . | nindent 2 | trim }}
  labelSelector:
    matchLabels:
      {{- include "holdline.selector" $ | nindent 6 }}
{{- if $.hashed }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end }}

{{/* Of a pod: nodeSelector, tolerations, affinity and the like; the argument is .Values.edge or .worker. */}}
{{- define "holdline.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Whether the edge asks the API server for anything. */}}
{{- define "holdline.needsApi" -}}
{{- if or .Values.edge.podDeletionCost.enabled (include "holdline.discovered" . | fromYaml) }}true{{ end }}
{{- end }}

{{/* The Services that pools find their workers by, for each namespace. */}}
{{- define "holdline.discovered" -}}
{{- $services := dict }}
{{- range $name, $pool := (include "holdline.pools" . | fromYaml) }}
{{- with dig "discovery" "kubernetes" dict $pool }}
{{- $namespace := .namespace | default $.Release.Namespace }}
{{- $_ := set $services $namespace (append (get $services $namespace | default list) .service | uniq | sortAlpha) }}
{{- end }}
{{- end }}
{{- toYaml $services }}
{{- end }}
