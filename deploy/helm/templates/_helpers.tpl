{{/* Labels of everything: part "gateway" of $. */}}
{{- define "goma.labels" -}}
app.kubernetes.io/part-of: goma
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What selects the pods of a part: (dict "root" $ "part" "gateway"). Of one release alone. */}}
{{- define "goma.selector" -}}
app.kubernetes.io/name: goma-{{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "goma.image" -}}
{{ .root.Values.image.registry }}goma-{{ .part }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The Secret with Redis' password, if there is one. */}}
{{- define "goma.redisSecret" -}}
{{- if .Values.redis.secret }}{{ .Values.redis.secret }}{{ else if .Values.redis.enabled }}{{ .Release.Name }}-redis{{ end }}
{{- end }}

{{/* The contents of the ConfigMap, on which the pods depend. */}}
{{- define "goma.settings" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{/* The head of a template of pods of a part, to be indented by four. */}}
{{- define "goma.podMetadata" -}}
metadata:
  labels:
    app.kubernetes.io/part-of: goma
    {{- include "goma.selector" . | nindent 4 }}
  annotations:
    # A change of the settings restarts the pods.
    checksum/settings: {{ include "goma.settings" .root | sha256sum }}
    {{- with (index .root.Values .part).podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* What pods of a part may do, and where they run, to be indented by six. */}}
{{- define "goma.podSpec" -}}
{{- $values := index .root.Values .part -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  seccompProfile: { type: RuntimeDefault }
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "goma.selector" . | nindent 8 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "goma.containerRights" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}
