{{/* The labels by which Services, budget and policy find the Pods. */}}
{{- define "oauth-operator.labels" -}}
app.kubernetes.io/name: oauth-operator
{{- end }}

{{/* The public URL, for what makes no sense without one. */}}
{{- define "oauth-operator.publicURL" -}}
{{- required "publicURL is needed for callback.ingress, callback.httpRoute and signIn: the address at which browsers reach the operator, for example --set publicURL=https://oauth.example.com" .Values.publicURL }}
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

{{/* The flags of web sign-in. */}}
{{- define "oauth-operator.signInArgs" -}}
{{- $_ := include "oauth-operator.publicURL" . }}
{{- with .Values.signIn }}
- {{ printf "--signin-issuer=%s" .issuer | quote }}
- {{ printf "--signin-client-id=%s" (required "signIn.clientID is needed: the operator's client at signIn.issuer" .clientID) | quote }}
{{- with .clientSecretRef.name }}
- --signin-client-secret={{ . }}
{{- end }}
{{- with .usernameClaim }}
- {{ printf "--signin-username-claim=%s" . | quote }}
{{- end }}
{{- with .usernamePrefix }}
- {{ printf "--signin-username-prefix=%s" . | quote }}
{{- end }}
{{- with .groupsClaim }}
- {{ printf "--signin-groups-claim=%s" . | quote }}
{{- end }}
{{- with .groupsPrefix }}
- {{ printf "--signin-groups-prefix=%s" . | quote }}
{{- end }}
{{- range .scopes }}
- {{ printf "--signin-scope=%s" . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The flags. What is at its default is left out. */}}
{{- define "oauth-operator.args" -}}
{{- if .Values.publicURL }}
- --public-url=$(PUBLIC_URL)
{{- end }}
- --journal-dir=/var/lib/oauth-operator/journal
{{- if not .Values.connectModes }}
- --connect-mode=
{{- else if ne (toJson .Values.connectModes) (toJson (list "Pairing")) }}
{{- range .Values.connectModes }}
- --connect-mode={{ . }}
{{- end }}
{{- end }}
{{- if .Values.signIn.issuer }}
{{- include "oauth-operator.signInArgs" . }}
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
