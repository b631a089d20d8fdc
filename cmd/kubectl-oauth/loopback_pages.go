// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// localPage is a page of the loopback listener, or a redirect. All its words are fixed: nothing of a
// request is ever shown.
type localPage struct {
	status   int
	title    string
	lines    []string
	location string
}

// localStyle has the colours of the operator's pages (internal/callback/pages/style.css).
const localStyle = `:root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--text:#1c2128;--soft:#57606a;--line:#d8dee4}
@media (prefers-color-scheme:dark){:root{--page:#0f1318;--card:#181d24;--text:#e6eaef;--soft:#9aa5b1;--line:#303843}}
*{box-sizing:border-box}
body{margin:0;padding:1.5rem 1rem;min-height:100vh;display:flex;flex-direction:column;align-items:center;background:var(--page);color:var(--text);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:36rem;margin:auto 0;padding:1.75rem;background:var(--card);border:1px solid var(--line);border-top:4px solid var(--soft);border-radius:10px}
main>:last-child{margin-bottom:0}
h1{margin:0 0 1rem;font-size:1.45rem;line-height:1.25;text-wrap:balance}
p{margin:0 0 1rem}
footer{margin-top:1.25rem;color:var(--soft);font-size:.85rem}`

var localTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} – kubectl oauth</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{range .Lines}}<p>{{.}}</p>
{{end}}</main>
<footer>kubectl oauth</footer>
</body>
</html>
`))

const (
	backToTerminal  = "The terminal that opened this page says how to go on."
	closeThisWindow = "You can close this window."
)

// The pages that people can meet.
var (
	strayPage        = localPage{status: http.StatusNotFound, title: "There is nothing here"}
	unsentPage       = localPage{status: http.StatusBadGateway, title: "The cluster did not take this", lines: []string{"Reload this page to try again.", backToTerminal}}
	otherBrowserPage = localPage{status: http.StatusConflict, title: "Another browser came first", lines: []string{
		"The account is being connected in the window that was opened first.", closeThisWindow}}
	otherResponsePage = localPage{status: http.StatusConflict, title: "Another answer came first", lines: []string{
		"The provider has sent its answer already.", closeThisWindow}}
	pendingPage      = localPage{status: http.StatusOK, title: "Nearly there", lines: []string{"The operator is still at work.", backToTerminal}}
	connectedPage    = localPage{status: http.StatusOK, title: "The account is connected", lines: []string{closeThisWindow}}
	notConnectedPage = localPage{status: http.StatusOK, title: "No account was connected", lines: []string{backToTerminal, closeThisWindow}}
)

func redirectTo(address string) localPage {
	return localPage{status: http.StatusSeeOther, location: address}
}

func (p localPage) write(w http.ResponseWriter) {
	sum := sha256.Sum256([]byte(localStyle))
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if p.location != "" {
		h.Set("Location", p.location)
		w.WriteHeader(p.status)
		return
	}
	var out bytes.Buffer
	data := map[string]any{"Title": p.title, "Lines": p.lines, "Style": template.CSS(localStyle)} //nolint:gosec // our own
	if err := localTemplate.Execute(&out, data); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(p.status)
	_, _ = w.Write(out.Bytes()) // the browser may be gone
}
