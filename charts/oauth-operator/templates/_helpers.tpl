{{/* The labels by which Services, budget and policy find the Pods. */}}
{{- define "oauth-operator.labels" -}}
app.kubernetes.io/name: oauth-operator
{{- end }}

{{/* The public URL without which nobody could consent. */}}
{{- define "oauth-operator.publicURL" -}}
{{- required "publicURL is needed: the address at which browsers reach the operator's callback, for example --set publicURL=https://oauth.example.com" .Values.publicURL }}
{{- end }}

{{/* The host at which an Ingress or HTTPRoute listens. */}}
{{- define "oauth-operator.host" -}}
{{- .Values.callback.ingress.host | default ((include "oauth-operator.publicURL" . | urlParse).host | splitList ":" | first) }}
{{- end }}

{{/* The operator's ServiceAccount, as the subject of a binding. */}}
{{- define "oauth-operator.subjects" -}}
- kind: ServiceAccount
  name: oauth-operator
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* The flags. What is at its default is left out. */}}
{{- define "oauth-operator.args" -}}
- --public-url=$(PUBLIC_URL)
{{- range .Values.connectModes }}
- --connect-mode={{ . }}
{{- end }}
{{- range .Values.watchNamespaces }}
- --watch-namespace={{ . }}
{{- end }}
{{- if not .Values.watchTargets }}
- --watch-targets=false
{{- end }}
{{- if .Values.egress.allowHTTP }}
- --allow-http
{{- end }}
{{- range .Values.egress.denyCIDRs }}
- --deny-cidr={{ . }}
{{- end }}
{{- range .Values.egress.allowCIDRs }}
- --allow-cidr={{ . }}
{{- end }}
{{- if .Values.egress.caConfigMap }}
- --ca-file=/etc/oauth-operator/ca/ca.crt
{{- end }}
{{- range .Values.callback.trustedProxies }}
- --trusted-proxy={{ . }}
{{- end }}
{{- if .Values.callback.tls.secretName }}
- --callback-cert-dir=/etc/oauth-operator/tls
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
