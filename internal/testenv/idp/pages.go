// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

//go:embed page.html
var templates embed.FS

// page is what page.html shows: the login form without a user, the consent form with one, what was
// decided, or the form for a device's user code.
type page struct {
	ID, Action, Client string
	// The login form.
	Name, Password string
	Wrong          bool
	// The consent form.
	User, RedirectTo string
	Scopes           []string
	// The form for a user code, and the page at a device's end.
	Ask               bool
	UserCode          string
	Decided, Approved bool
}

func (p *Provider) render(w http.ResponseWriter, status int, content page) {
	var body bytes.Buffer
	if err := template.Must(template.ParseFS(templates, "page.html")).Execute(&body, content); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}

// pending is the authorization request that a page is about.
func (p *Provider) pending(w http.ResponseWriter, r *http.Request) (authRequest, bool) {
	request, ok := p.storage.authRequest(r.Form.Get("id"))
	if !ok {
		http.Error(w, "This sign-in is over. Start again.", http.StatusBadRequest)
	}
	return request, ok
}

func (p *Provider) signIn(w http.ResponseWriter, r *http.Request) {
	request, ok := p.pending(w, r)
	if !ok {
		return
	}
	if r.Method != http.MethodPost {
		p.render(w, http.StatusOK, p.loginPage(request))
		return
	}
	user, ok := p.storage.authenticate(r.PostForm.Get("username"), r.PostForm.Get("password"))
	if !ok {
		content := p.loginPage(request)
		content.Wrong = true
		p.render(w, http.StatusForbidden, content)
		return
	}
	p.storage.signedIn(request.id, user.Name)
	http.Redirect(w, r, p.URL(Consent)+"?id="+request.id, http.StatusSeeOther)
}

// loginPage fills in a user that exists: it is a provider to try things with.
func (p *Provider) loginPage(request authRequest) page {
	user, ok := p.storage.users[request.LoginHint]
	if !ok {
		user = p.storage.options.Users[0]
	}
	return page{
		ID: request.id, Action: string(SignIn), Client: request.ClientID,
		Name: user.Name, Password: user.Password,
	}
}

func (p *Provider) consent(w http.ResponseWriter, r *http.Request) {
	request, ok := p.pending(w, r)
	switch {
	case !ok:
	case request.user == "":
		http.Redirect(w, r, p.URL(SignIn)+"?id="+request.id, http.StatusSeeOther)
	case r.Method != http.MethodPost:
		p.render(w, http.StatusOK, p.consentPage(request))
	case request.device != "":
		p.deviceDecided(w, request, r.PostForm.Get("decision") == "approve")
	case r.PostForm.Get("decision") == "approve":
		p.storage.approve(request.id)
		http.Redirect(w, r, p.issuer+string(Authorize)+"/callback?id="+request.id, http.StatusSeeOther)
	default:
		p.deny(w, r, request)
	}
}

func (p *Provider) consentPage(request authRequest) page {
	content := page{
		ID: request.id, Action: string(Consent), Client: request.ClientID,
		User: request.user, Scopes: request.Scopes,
	}
	if to, err := url.Parse(request.RedirectURI); err == nil {
		content.RedirectTo = to.Host
	}
	return content
}

// deny answers as RFC 6749 section 4.1.2.1 says.
func (p *Provider) deny(w http.ResponseWriter, r *http.Request, request authRequest) {
	_ = p.storage.DeleteAuthRequest(r.Context(), request.id) // in memory: it cannot fail
	location, err := url.Parse(request.RedirectURI)
	if err != nil {
		http.Error(w, "malformed redirect_uri", http.StatusBadRequest)
		return
	}
	query := location.Query()
	query.Set("error", string(oidc.AccessDenied))
	query.Set("error_description", ProviderText)
	query.Set("state", request.State)
	http.Redirect(w, r, p.withIssuer(location, query), http.StatusSeeOther)
}
