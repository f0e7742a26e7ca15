{{/* The edge's configuration. Everything that ports, probes, mounts and grace depend on is written
here and nowhere else. */}}

{{/* Which keys of the Secret are needed, by their file below /etc/holdline/secrets. */}}
{{- define "holdline.secretFiles" -}}
adminToken: admin-token
{{- if .Values.openai.enabled }}
openaiApiKey: openai-api-key
{{- end }}
{{- if and .Values.twilio.enabled .Values.twilio.checkSignature }}
twilioAuthToken: twilio-auth-token
{{- if .Values.secrets.keys.twilioSecondaryAuthToken }}
twilioSecondaryAuthToken: twilio-secondary-auth-token
{{- end }}
{{- end }}
{{- end }}

{{/* Without a port: what is in front chooses by the name alone. */}}
{{- define "holdline.twilioUrl" -}}
{{- $url := urlParse .Values.twilio.publicUrl }}
host: {{ $url.hostname | quote }}
path: {{ $url.path | quote }}
{{- end }}

{{/* An address to listen on; IPv6 needs brackets: (dict "root" . "port" 8080). */}}
{{- define "holdline.listen" -}}
{{- $address := .root.Values.edge.listenAddress }}
{{- printf "%s:%d" (ternary (printf "[%s]" $address) $address (contains ":" $address)) (int .port) }}
{{- end }}

{{- define "holdline.twilioRoute" -}}
{{- $twilio := .Values.twilio }}
path: {{ (include "holdline.twilioUrl" . | fromYaml).path | quote }}
profile: twilio
{{- if $twilio.checkSignature }}
signature:
  public_url: {{ $twilio.publicUrl | quote }}
  auth_token: {file: /etc/holdline/secrets/twilio-auth-token}
{{- if .Values.secrets.keys.twilioSecondaryAuthToken }}
  secondary_auth_token: {file: /etc/holdline/secrets/twilio-secondary-auth-token}
{{- end }}
{{- else }}
signature: "off"
{{- end }}
{{- if $twilio.webhook.enabled }}
webhook:
  path: {{ (urlParse $twilio.webhook.publicUrl).path | quote }}
  public_url: {{ $twilio.webhook.publicUrl | quote }}
  parameters: {{ toJson $twilio.webhook.parameters }}
  fallback: {{ if $twilio.webhook.fallbackUrl }}{redirect: {{ $twilio.webhook.fallbackUrl | quote }}}{{ else }}"off"{{ end }}
{{- end }}
{{- if $twilio.trustStart }}
takeover: trust_start
{{- end }}
{{- if .Values.openai.enabled }}
legs: [{name: model, upstream: openai}]
{{- end }}
workers: default
{{- end }}

{{- define "holdline.listener" -}}
{{- $edge := .Values.edge }}
name: callers
address: {{ include "holdline.listen" (dict "root" . "port" $edge.ports.callers) | quote }}
trusted_proxies: {{ toJson $edge.trustedProxies }}
{{- if $edge.tlsSecret }}
tls: {certificate: /etc/holdline/tls/tls.crt, key: /etc/holdline/tls/tls.key}
{{- end }}
{{- end }}

{{- define "holdline.defaultPool" -}}
{{- $discovery := .Values.discovery }}
discovery:
{{- if eq $discovery.kind "static" }}
  static: {addresses: {{ toJson $discovery.addresses }}}
{{- else if eq $discovery.kind "dns" }}
  dns:
    name: {{ include "holdline.workersService" . }}.{{ include "holdline.workersNamespace" . }}.svc
    port: {{ int .Values.worker.service.port }}
{{- else }}
  kubernetes:
    namespace: {{ include "holdline.workersNamespace" . }}
    service: {{ include "holdline.workersService" . }}
    {{- with ternary $discovery.port "grpc" (ne $discovery.service "") }}
    port: {{ . }}
    {{- end }}
{{- end }}
{{- if .Values.workerTls.enabled }}
tls:
  ca: /etc/holdline/worker-tls/ca.crt
  certificate: /etc/holdline/worker-tls/tls.crt
  key: /etc/holdline/worker-tls/tls.key
  server_name: {{ .Values.workerTls.serverName | default (printf "%s.%s.svc" (include "holdline.workersService" .) (include "holdline.workersNamespace" .)) | quote }}
{{- end }}
{{- end }}

{{- define "holdline.pools" -}}
{{- $default := mergeOverwrite (include "holdline.defaultPool" . | fromYaml) (deepCopy .Values.pool) }}
{{- mergeOverwrite (deepCopy .Values.extraPools) (dict "default" $default) | toYaml }}
{{- end }}

{{/* All but the pools and the routes. */}}
{{- define "holdline.ownConfig" -}}
{{- $drain := .Values.edge.drain }}
drain:
  lame_duck: {{ int $drain.lameDuckSeconds }}s
  deadline: {{ int $drain.deadlineSeconds }}s
  notice: {{ int $drain.noticeSeconds }}s
  retry_after: {{ int $drain.retryAfterSeconds }}s
limits:
  sessions: {{ int .Values.edge.maxSessions }}
admin:
  address: {{ include "holdline.listen" (dict "root" . "port" .Values.edge.ports.admin) | quote }}
  token: {file: /etc/holdline/secrets/admin-token}
upstreams:
{{- if .Values.openai.enabled }}
  openai:
    profile: openai-realtime
    url: {{ .Values.openai.url | quote }}
    api_key: {file: /etc/holdline/secrets/openai-api-key}
{{- else }} {}
{{- end }}
{{- if .Values.edge.podDeletionCost.enabled }}
kubernetes:
  pod_deletion_cost: {interval: {{ int .Values.edge.podDeletionCost.intervalSeconds }}s}
{{- end }}
{{- end }}

{{- define "holdline.edgeConfig" -}}
{{- $routes := list }}
{{- if .Values.twilio.enabled }}
{{- $routes = append $routes (mergeOverwrite (include "holdline.twilioRoute" . | fromYaml) (deepCopy .Values.twilio.route)) }}
{{- end }}
{{- $listener := mergeOverwrite (include "holdline.listener" . | fromYaml) (deepCopy .Values.edge.listener) }}
{{- $_ := set $listener "routes" (concat $routes .Values.edge.extraRoutes) }}
{{- $config := dict "listeners" (list $listener) "workers" (include "holdline.pools" . | fromYaml) }}
{{- $config = mergeOverwrite $config (include "holdline.ownConfig" . | fromYaml) (deepCopy .Values.edge.config) }}
{{- toYaml $config }}
{{- end }}

{{/* Of what an edge takes only with a restart. The rest, which docs/rollout.md lists, it reads again
while it runs, so that a canary or a kill switch costs no call. */}}
{{- define "holdline.restartChecksum" -}}
{{- $config := omit (include "holdline.edgeConfig" . | fromYaml) "drain" }}
{{- $pools := dict }}
{{- range $name, $pool := $config.workers }}
{{- $_ := set $pools $name (omit $pool "rollout" "existing" "eject" "handoffs_per_second") }}
{{- end }}
{{- $log := omit ($config.log | default dict) "level" }}
{{- $limits := omit ($config.limits | default dict) "sessions" }}
{{- mergeOverwrite (omit $config "workers" "log" "limits") (dict "workers" $pools "log" $log "limits" $limits) | toJson | sha256sum }}
{{- end }}
