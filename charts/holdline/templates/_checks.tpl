{{/* Values that contradict each other. All are told at once, each with what to do. */}}

{{- define "holdline.checks" -}}
{{- $complaints := list }}
{{- range list "drain" "secrets" "callers" "config" "workers" "workload" "metrics" "autoscaling" "sidecar" }}
{{- range splitList "\n" (include (printf "holdline.checks.%s" .) $) }}
{{- with trim . }}{{ $complaints = append $complaints . }}{{ end }}
{{- end }}
{{- end }}
{{- if $complaints }}
{{- fail (printf "these values cannot work:\n- %s" (join "\n- " $complaints)) }}
{{- end }}
{{- end }}

{{- define "holdline.checks.drain" -}}
{{- $drain := .Values.edge.drain }}
{{- if gt (int $drain.lameDuckSeconds) (int $drain.deadlineSeconds) }}
edge.drain.lameDuckSeconds ({{ int $drain.lameDuckSeconds }}) is longer than edge.drain.deadlineSeconds ({{ int $drain.deadlineSeconds }}): calls taken at its end would be cut at once. Raise the deadline.
{{- end }}
{{- if gt (int $drain.noticeSeconds) (int $drain.deadlineSeconds) }}
edge.drain.noticeSeconds ({{ int $drain.noticeSeconds }}) is longer than edge.drain.deadlineSeconds ({{ int $drain.deadlineSeconds }}): workers cannot be told so early. Lower the notice.
{{- end }}
{{- $ending := include "holdline.drain.ending" . | int }}
{{- if lt (int $drain.marginSeconds) $ending }}
edge.drain.marginSeconds ({{ int $drain.marginSeconds }}) is shorter than what calls may take to end at the deadline ({{ $ending }} s: end_timeout, close_timeout and release_timeout of edge.config.session, and 1 s): the kubelet would kill them. Raise it.
{{- end }}
{{- $grace := include "holdline.drain.grace" . | int }}
{{- $needed := include "holdline.drain.needed" . | int }}
{{- if lt $grace $needed }}
edge.terminationGracePeriodSeconds ({{ $grace }}) is shorter than what the drain takes ({{ $needed }}: before SIGTERM {{ include "holdline.drain.before" . }}, lame duck {{ int $drain.lameDuckSeconds }}, deadline {{ int $drain.deadlineSeconds }}, margin {{ int $drain.marginSeconds }}): the kubelet would kill live calls. Raise it, or leave it out.
{{- end }}
{{- if and (include "holdline.inWorker" .) (not (kindIs "invalid" .Values.worker.terminationGracePeriodSeconds)) }}
worker.terminationGracePeriodSeconds is set, and with sidecar.in: worker the pod's patience is edge.terminationGracePeriodSeconds: set that, or leave both out.
{{- else if .Values.worker.enabled }}
{{- $grace := include "holdline.drain.workerGrace" . | int }}
{{- $needed := include "holdline.drain.worker" . | int }}
{{- if lt $grace $needed }}
worker.terminationGracePeriodSeconds ({{ $grace }}) is shorter than worker.preStopSeconds + graceSeconds + marginSeconds ({{ $needed }}): workers would be killed before their calls have left. Raise it, or leave it out.
{{- end }}
{{- end }}
{{- end }}

{{- define "holdline.checks.secrets" -}}
{{- $secrets := .Values.secrets }}
{{- if and (not $secrets.existingSecret) (not $secrets.external.enabled) }}
secrets.existingSecret is empty: make a Secret with the keys of secrets.keys and name it here, or set secrets.external.
{{- end }}
{{- if and $secrets.existingSecret $secrets.external.enabled }}
secrets.existingSecret and secrets.external.enabled are both set: the Secret can come from one place only.
{{- end }}
{{- with $secrets.keys.twilioSecondaryAuthToken }}
{{- if not (and $.Values.twilio.enabled $.Values.twilio.checkSignature) }}
secrets.keys.twilioSecondaryAuthToken ({{ . }}) is set, and no signature is checked with it: empty it, or set twilio.enabled and twilio.checkSignature.
{{- else if eq . $secrets.keys.twilioAuthToken }}
secrets.keys.twilioAuthToken and secrets.keys.twilioSecondaryAuthToken are both {{ . }}: edges would know one token only. Give each its own key.
{{- end }}
{{- end }}
{{- if $secrets.external.enabled }}
{{- if not $secrets.external.store.name }}
secrets.external.store.name is empty: name the SecretStore to read from.
{{- end }}
{{- range $name, $file := (include "holdline.secretFiles" . | fromYaml) }}
{{- if not (index $secrets.external.remote $name).key }}
secrets.external.remote.{{ $name }}.key is empty: say where the store has it.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "holdline.checks.callers" -}}
{{- $twilio := .Values.twilio }}
{{- $webhook := $twilio.webhook }}
{{- if not $twilio.enabled }}
{{- if not .Values.edge.extraRoutes }}
twilio.enabled is false and edge.extraRoutes is empty: nobody could call. Give one of them.
{{- end }}
{{- if or .Values.ingress.enabled .Values.gateway.enabled }}
ingress and gateway take host and path from twilio.publicUrl: with twilio.enabled: false, write your own.
{{- end }}
{{- else if not (regexMatch "^wss://[^/{}]+/[^?#]*$" $twilio.publicUrl) }}
twilio.publicUrl ({{ $twilio.publicUrl | quote }}) must be the URL of your TwiML's Stream, such as wss://voice.example.com/twilio/media: wss, a path, no query.
{{- else if and $webhook.enabled (not (hasSuffix "/{token}" $twilio.publicUrl)) }}
twilio.webhook.enabled needs a twilio.publicUrl that ends in /{token}, where the edge puts the proof that a stream belongs to its call.
{{- else if and (not $webhook.enabled) (contains "{" $twilio.publicUrl) }}
twilio.publicUrl ends in /{token}, which only the webhook fills in: set twilio.webhook.enabled, or leave it out.
{{- end }}
{{- if $webhook.enabled }}
{{- if not (regexMatch "^https://[^/]+/[^?#]+$" $webhook.publicUrl) }}
twilio.webhook.publicUrl ({{ $webhook.publicUrl | quote }}) must be an https URL with a path, as in Twilio's console.
{{- end }}
{{- if or (ne .Values.topology "edge") (gt (int .Values.edge.replicas) 1) (include "holdline.autoscaled" .) }}
twilio.webhook.enabled needs exactly one edge (topology: edge, edge.replicas: 1, no autoscaling): only the edge that wrote a call's token knows it, and requests are spread over all edges.
{{- end }}
{{- if $twilio.trustStart }}
twilio.trustStart and twilio.webhook.enabled are both set: the webhook's token is the proof. Set trustStart to false.
{{- end }}
{{- end }}
{{- $proxies := list }}
{{- range list "ingress" "gateway" }}
{{- if (index $.Values .).enabled }}{{ $proxies = append $proxies . }}{{ end }}
{{- end }}
{{- with join " and " $proxies }}
{{- $host := (include "holdline.twilioUrl" $ | fromYaml).host }}
{{- $webhookHost := (urlParse $webhook.publicUrl).hostname }}
{{- if and $webhook.enabled $webhookHost $host (ne $webhookHost $host) }}
twilio.webhook.publicUrl is of {{ $webhookHost }} and twilio.publicUrl of {{ $host }}, and {{ . }} serves one host: give both the same, or write your own.
{{- end }}
{{- if and $.Values.edge.tlsSecret (not $.Values.edge.acknowledgeProxyTls) }}
edge.tlsSecret is set behind {{ . }}, which of itself speaks plain HTTP to the edge: empty it, or make that speak TLS and set edge.acknowledgeProxyTls.
{{- end }}
{{- end }}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) }}
gateway.enabled is true and gateway.parentRefs is empty: no gateway would serve the route. Name one.
{{- end }}
{{- $service := .Values.service }}
{{- if and $service.externalTrafficPolicy (eq $service.type "ClusterIP") }}
service.externalTrafficPolicy ({{ $service.externalTrafficPolicy }}) is for NodePort and LoadBalancer: Kubernetes refuses it with service.type: ClusterIP. Empty it, or change the type.
{{- end }}
{{- if and $service.loadBalancerClass (ne $service.type "LoadBalancer") }}
service.loadBalancerClass ({{ $service.loadBalancerClass }}) is for LoadBalancer: Kubernetes refuses it with service.type: {{ $service.type }}. Empty it, or change the type.
{{- end }}
{{- end }}

{{- define "holdline.checks.config" -}}
{{- range $key, $instead := dict "listeners" "twilio, edge.listener and edge.extraRoutes" "workers" "discovery, pool and extraPools" "drain" "edge.drain" "admin" "edge.ports.admin and secrets.keys.adminToken" "kubernetes" "edge.podDeletionCost" }}
{{- if hasKey $.Values.edge.config $key }}
edge.config.{{ $key }} is the chart's to write, since ports, probes and grace follow from it: use {{ $instead }}.
{{- end }}
{{- end }}
{{- if hasKey (.Values.edge.config.limits | default dict) "sessions" }}
edge.config.limits.sessions is the chart's to write: use edge.maxSessions.
{{- end }}
{{- if not (or .Values.openai.enabled .Values.edge.config.upstreams .Values.edge.extraRoutes) }}
openai.enabled is false, and neither edge.config.upstreams nor edge.extraRoutes says what calls are to be connected to.
{{- end }}
{{- end }}

{{- define "holdline.checks.workers" -}}
{{- $discovery := .Values.discovery }}
{{- $own := $discovery.service }}
{{- range list "discovery" "tls" }}
{{- if hasKey $.Values.pool . }}
pool.{{ . }} is the chart's to write: use {{ ternary "workerTls" "discovery" (eq . "tls") }}.
{{- end }}
{{- end }}
{{- if hasKey .Values.extraPools "default" }}
extraPools.default is the chart's to write: use discovery and pool.
{{- end }}
{{- if eq $discovery.kind "static" }}
{{- if not $discovery.addresses }}
discovery.kind is static and discovery.addresses is empty: there would be no worker.
{{- end }}
{{- if $own }}
discovery.kind is static and discovery.service ({{ $own }}) is set: the edge would not look there. Empty it, or use kubernetes or dns.
{{- end }}
{{- if .Values.worker.enabled }}
discovery.kind is static and worker.enabled is true: pods have no fixed addresses. Use kubernetes or dns, or set worker.enabled to false.
{{- end }}
{{- else if $discovery.addresses }}
discovery.addresses is only for discovery.kind: static. Empty it.
{{- end }}
{{- if and $discovery.port (not (and $own (eq $discovery.kind "kubernetes"))) }}
discovery.port ({{ $discovery.port }}) names a port of discovery.service with discovery.kind: kubernetes, and is read nowhere else: empty it, or set both.
{{- end }}
{{- if and $own .Values.worker.enabled }}
discovery.service ({{ $own }}) and worker.enabled are both set: the edge would never find the chart's workers. Set one of them.
{{- end }}
{{- if and $own .Values.worker.service.selector }}
discovery.service ({{ $own }}) and worker.service.selector are both set: the edge uses one Service. Set one of them.
{{- end }}
{{- if and (not $own) $discovery.namespace (ne $discovery.namespace .Release.Namespace) }}
discovery.namespace ({{ $discovery.namespace }}) is set without discovery.service: the chart's Service is in {{ .Release.Namespace }}. Name the Service.
{{- end }}
{{- if and (not .Values.worker.enabled) (not $own) (not .Values.worker.service.selector) (ne $discovery.kind "static") }}
worker.enabled is false, and neither discovery.service names a Service nor worker.service.selector the pods of your workers: the edge would find none.
{{- end }}
{{- if and .Values.worker.enabled .Values.worker.service.selector }}
worker.service.selector is for workers that you deploy: with worker.enabled the chart's own pods are selected. Empty it.
{{- end }}
{{- if and .Values.worker.enabled .Values.worker.image.repository (not (or .Values.worker.image.tag .Values.worker.image.digest)) }}
worker.image.repository is set without worker.image.tag or worker.image.digest: releases could not be told apart. Set one.
{{- end }}
{{- if and .Values.worker.enabled (not .Values.worker.image.repository) }}
{{- if not .Values.worker.bridge.instructions }}
worker.bridge.instructions is empty: the bridge needs them.
{{- end }}
{{- if or .Values.worker.command .Values.worker.args }}
worker.command and worker.args are for an image of your own: name it in worker.image.repository.
{{- end }}
{{- end }}
{{- $tls := .Values.workerTls }}
{{- if $tls.enabled }}
{{- if not $tls.edgeSecret }}
workerTls.enabled is true and workerTls.edgeSecret is empty: name the Secret with the edge's certificate.
{{- end }}
{{- if and .Values.worker.enabled (not $tls.workerSecret) }}
workerTls.enabled is true and workerTls.workerSecret is empty: name the Secret with the workers' certificate.
{{- end }}
{{- if and (eq $discovery.kind "static") (not $tls.serverName) }}
workerTls.serverName is empty, and with discovery.kind: static there is no Service whose name workers could have: give the name in their certificates.
{{- end }}
{{- end }}
{{- end }}

{{- define "holdline.checks.workload" -}}
{{- $edge := .Values.edge }}
{{- if eq .Values.topology "edge" }}
{{- $fewest := ternary .Values.autoscaling.minReplicas $edge.replicas (eq (include "holdline.autoscaled" .) "true") | int }}
{{- if and (eq $edge.kind "StatefulSet") (lt $fewest 2) }}
edge.kind is StatefulSet with one edge: in each rollout nobody could call until its last call has ended. Use two, or a Deployment.
{{- end }}
{{- if eq $edge.kind "Deployment" }}
{{- include "holdline.checks.rolling" (dict "of" "edge" "strategy" $edge.strategy) }}
{{- end }}
{{- $pdb := $edge.podDisruptionBudget }}
{{- if $pdb.enabled }}
{{- if not (kindIs "invalid" $pdb.minAvailable) }}
{{- if not (kindIs "invalid" $pdb.maxUnavailable) }}
edge.podDisruptionBudget has minAvailable and maxUnavailable: Kubernetes takes one. Leave one out.
{{- end }}
{{- if ge (include "holdline.checks.pods" (dict "value" $pdb.minAvailable "of" $fewest) | int) $fewest }}
edge.podDisruptionBudget.minAvailable ({{ $pdb.minAvailable }}) is not less than the number of edges ({{ $fewest }}): no node could ever be drained. Lower it.
{{- end }}
{{- else }}
{{- include "holdline.checks.budget" (dict "of" "edge" "budget" $pdb) }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.worker.enabled }}
{{- include "holdline.checks.rolling" (dict "of" "worker" "strategy" .Values.worker.strategy) }}
{{- if .Values.worker.podDisruptionBudget.enabled }}
{{- include "holdline.checks.budget" (dict "of" "worker" "budget" .Values.worker.podDisruptionBudget) }}
{{- end }}
{{- end }}
{{- if eq (int $edge.ports.callers) (int $edge.ports.admin) }}
edge.ports.callers and edge.ports.admin are both {{ int $edge.ports.admin }}: give each its own.
{{- end }}
{{- if and .Values.rbac.create (include "holdline.needsApi" .) (not (or .Values.serviceAccount.create .Values.serviceAccount.name)) }}
serviceAccount.create is false and serviceAccount.name is empty: the edge's rights would go to the namespace's account `default`, and so to every pod without one of its own. Name an account, or set create to true.
{{- end }}
{{- if and $edge.podDeletionCost.enabled (eq .Values.topology "edge") (eq $edge.kind "StatefulSet") }}
edge.podDeletionCost has no effect on a StatefulSet, which always takes away the highest ordinal. Set it to false.
{{- end }}
{{- end }}

{{/* (dict "of" "edge" "strategy" of its Deployment) */}}
{{- define "holdline.checks.rolling" -}}
{{- $rolling := (.strategy | default dict).rollingUpdate | default dict }}
{{- if and (include "holdline.checks.none" $rolling.maxSurge) (include "holdline.checks.none" $rolling.maxUnavailable) }}
{{ .of }}.strategy.rollingUpdate has maxSurge {{ $rolling.maxSurge }} and maxUnavailable {{ $rolling.maxUnavailable }}: a rollout could never begin. Raise maxSurge.
{{- end }}
{{- end }}

{{/* (dict "of" "edge" "budget" its podDisruptionBudget) */}}
{{- define "holdline.checks.budget" -}}
{{- if include "holdline.checks.none" .budget.maxUnavailable }}
{{ .of }}.podDisruptionBudget.maxUnavailable is {{ .budget.maxUnavailable }}: no node could ever be drained. Raise it.
{{- end }}
{{- end }}

{{/* Whether a number or percentage of pods is given, and is none of them. */}}
{{- define "holdline.checks.none" -}}
{{- if regexMatch "^0+%?$" (toString .) }}true{{ end }}
{{- end }}

{{/* (dict "value" a number or percentage "of" all pods): how many that is, as a budget counts. */}}
{{- define "holdline.checks.pods" -}}
{{- if kindIs "string" .value }}
{{- div (add (mul (trimSuffix "%" .value | atoi) .of) 99) 100 }}
{{- else }}
{{- int .value }}
{{- end }}
{{- end }}

{{- define "holdline.checks.metrics" -}}
{{- $metrics := .Values.metrics }}
{{- if and $metrics.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.adminFrom) (not (include "holdline.inApp" .)) }}
metrics.serviceMonitor.enabled is true, and networkPolicy lets nobody scrape: name your Prometheus in networkPolicy.adminFrom.
{{- end }}
{{- if and $metrics.serviceMonitor.enabled $metrics.job }}
metrics.job ({{ $metrics.job }}) is for edges that something else scrapes: metrics.serviceMonitor gives them a job of its own. Empty it, or disable the ServiceMonitor.
{{- else if not (or $metrics.serviceMonitor.enabled $metrics.job) }}
{{- range $name, $enabled := dict "metrics.prometheusRule" $metrics.prometheusRule.enabled "autoscaling.keda" .Values.autoscaling.keda.enabled }}
{{- if $enabled }}
{{ $name }} is enabled, and nothing says how it finds the edges' metrics: enable metrics.serviceMonitor, or give in metrics.job the label that your scraper puts on them.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "holdline.checks.autoscaling" -}}
{{- $scaling := .Values.autoscaling }}
{{- $worker := .Values.worker }}
{{- $byWorker := and $worker.enabled $worker.autoscaling.enabled }}
{{- $edgeByWorker := and $byWorker (include "holdline.inWorker" .) }}
{{- if and $byWorker (gt (int $worker.autoscaling.minReplicas) (int $worker.autoscaling.maxReplicas)) }}
worker.autoscaling.minReplicas ({{ int $worker.autoscaling.minReplicas }}) is more than worker.autoscaling.maxReplicas ({{ int $worker.autoscaling.maxReplicas }}). Raise the second, or lower the first.
{{- end }}
{{- if include "holdline.autoscaled" . }}
{{- if and $scaling.hpa.enabled $scaling.keda.enabled }}
autoscaling.hpa and autoscaling.keda are both enabled: they would fight. Enable one.
{{- end }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
autoscaling.minReplicas ({{ int $scaling.minReplicas }}) is more than autoscaling.maxReplicas ({{ int $scaling.maxReplicas }}). Raise the second, or lower the first.
{{- end }}
{{- if ge (int $scaling.targetSessions) (int .Values.edge.maxSessions) }}
autoscaling.targetSessions ({{ int $scaling.targetSessions }}) is not below edge.maxSessions ({{ int .Values.edge.maxSessions }}): full edges would refuse calls before another one starts. Lower it.
{{- end }}
{{- if and $scaling.keda.enabled (not $scaling.keda.serverAddress) }}
autoscaling.keda.serverAddress is empty: KEDA must know where Prometheus is.
{{- end }}
{{- if include "holdline.inApp" . }}
autoscaling is enabled with sidecar.in: app, whose workload is not this chart's: scale it in its own chart.
{{- end }}
{{- if $edgeByWorker }}
autoscaling and worker.autoscaling are both enabled, and with sidecar.in: worker both scale the same pods. Enable one.
{{- end }}
{{- end }}
{{- if and $scaling.scaleDown (or (include "holdline.autoscaled" .) $edgeByWorker) }}
{{- if and (eq .Values.topology "edge") (eq .Values.edge.kind "StatefulSet") }}
autoscaling.scaleDown is set with edge.kind: StatefulSet, which takes away the highest ordinal however many calls it has. Set it to false, or use a Deployment.
{{- else if not .Values.edge.podDeletionCost.enabled }}
autoscaling.scaleDown is set without edge.podDeletionCost.enabled: the edge with the most calls may be taken away. Enable it, or set scaleDown to false.
{{- end }}
{{- end }}
{{- end }}

{{- define "holdline.checks.sidecar" -}}
{{- if eq .Values.topology "sidecar" }}
{{- if and (eq .Values.sidecar.in "worker") (not .Values.worker.enabled) }}
topology is sidecar with sidecar.in: worker, and worker.enabled is false: there is no pod to hold the edge. Enable it, or set sidecar.in to app and include the template in your chart.
{{- end }}
{{- if include "holdline.inWorker" . }}
{{- range $name, $port := $.Values.edge.ports }}
{{- if eq (int $port) (int $.Values.worker.service.port) }}
worker.service.port and edge.ports.{{ $name }} are both {{ int $port }}, and with sidecar.in: worker they share a pod: give each its own.
{{- end }}
{{- end }}
{{- end }}
{{- if not .Values.sidecar.acknowledgeLingering }}
topology: sidecar keeps pods until their calls have ended: with {{ int .Values.sidecar.deploysPerHour }} deploys in an hour, {{ include "holdline.drain.grace" . }} s of grace and {{ include "holdline.sidecar.replicas" . }} pods, up to {{ include "holdline.lingering" . }} pods are ending at any time. Set sidecar.acknowledgeLingering if the cluster has room for them, or use topology: edge.
{{- end }}
{{- end }}
{{- end }}
