{{/* For other charts, which have this one as a dependency with topology: sidecar, sidecar.in: app.
In the template of their pods:

    metadata:
      labels:
        {{- include "holdline.sidecar.labels" .Subcharts.holdline | nindent 8 }}
      annotations:
        {{- include "holdline.sidecar.annotations" .Subcharts.holdline | nindent 8 }}
    spec:
      serviceAccountName: {{ include "holdline.sidecar.serviceAccountName" .Subcharts.holdline }}
      terminationGracePeriodSeconds: {{ include "holdline.sidecar.gracePeriod" .Subcharts.holdline }}
      initContainers:
        {{- include "holdline.sidecar" .Subcharts.holdline | nindent 8 }}
      volumes:
        {{- include "holdline.sidecar.volumes" .Subcharts.holdline | nindent 8 }}

And in a NetworkPolicy of those pods, beside what their own containers let in:

    ingress:
      {{- include "holdline.sidecar.ingress" .Subcharts.holdline | nindent 6 }}
*/}}

{{/* A native sidecar: it starts before the pod's containers, and gets SIGTERM after they have ended. */}}
{{- define "holdline.sidecar" -}}
- {{ include "holdline.edge.container" . | nindent 2 | trim }}
  restartPolicy: Always
{{- end }}

{{- define "holdline.sidecar.volumes" -}}
{{ include "holdline.edge.volumes" . }}
{{- end }}

{{- define "holdline.sidecar.labels" -}}
{{ include "holdline.edgeLabel" . }}
{{- end }}

{{- define "holdline.sidecar.annotations" -}}
{{ include "holdline.edge.annotations" . }}
{{- end }}

{{- define "holdline.sidecar.serviceAccountName" -}}
{{ include "holdline.serviceAccountName" . }}
{{- end }}

{{- define "holdline.sidecar.ingress" -}}
{{ include "holdline.edge.ingress" . }}
{{- end }}

{{- define "holdline.sidecar.gracePeriod" -}}
{{ include "holdline.drain.grace" . }}
{{- end }}
