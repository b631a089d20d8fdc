// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// SecretPlaceholder stands where the person has to fill in the secret that the provider gave.
const SecretPlaceholder = "PASTE-THE-CLIENT-SECRET-HERE"

const (
	clientIDPlaceholder = "PASTE-THE-CLIENT-ID-HERE"
	audiencePlaceholder = "PASTE-THE-AUDIENCE-HERE"
)

// Draft is a connection's YAML with the steps to take as comments. It is written line by line: an
// object that is marshalled has no comments, and has fields nobody asked for.
type Draft struct {
	*Entry
	// Preset is the entry's name.
	Preset string
	// Namespace and Name of the connection.
	Namespace, Name string
	Parameters      map[string]string
	// ClientID may be empty: a placeholder takes its place.
	ClientID string
	Scopes   []v1alpha1.Scope
	// Program is how the plugin is called, File where the YAML will be; both stand in the steps.
	Program, File string

	lines []string
}

// YAML is the whole text.
func (d *Draft) YAML() string {
	d.lines = nil
	d.steps()
	d.object()
	return strings.Join(d.lines, "\n") + "\n"
}

func (d *Draft) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *Draft) object() {
	d.add("apiVersion: %s", v1alpha1.GroupVersion)
	d.add("kind: OAuthConnection")
	d.add("metadata:")
	d.add("  name: %s", scalar(d.Name))
	d.add("  namespace: %s", scalar(d.Namespace))
	d.add("spec:")
	d.add("  provider:")
	d.add("    preset: %s", d.Preset)
	if len(d.Parameters) > 0 {
		d.add("    parameters:")
	}
	for _, name := range slices.Sorted(maps.Keys(d.Parameters)) {
		d.add("      %s: %s", name, scalar(d.Parameters[name]))
	}
	if grant := d.grant(); grant != v1alpha1.GrantAuthorizationCode {
		d.add("  grant: %s", grant)
	}
	if d.loopback() {
		d.add("  redirect: Loopback")
	}
	switch d.grant() {
	case v1alpha1.GrantJWTBearer:
		d.signedSubject()
	case v1alpha1.GrantTokenExchange:
		d.tradedSubject()
	default:
		d.client()
	}
	if d.grant() != v1alpha1.GrantJWTBearer {
		d.scopes()
	}
	d.add("  secret:")
	d.add("    name: %s   # what workloads mount", scalar(d.Name+"-token"))
}

func (d *Draft) scopes() {
	if len(d.Scopes) > 0 {
		d.add("  scopes:")
	}
	for _, scope := range d.Scopes {
		d.add("  - %s", scalar(string(scope)))
	}
}

func (d *Draft) client() {
	d.add("  client:")
	d.add("    id: %s", scalar(cmp.Or(d.ClientID, clientIDPlaceholder)))
	if d.needsSecret() {
		d.add("    secretRef:")
		d.add("      name: %s   # key: client-secret", scalar(d.secretName()))
	}
}

// tradedSubject is of the grant that trades a token of the cluster.
func (d *Draft) tradedSubject() {
	d.add("  subject:")
	d.add("    serviceAccountRef:")
	d.add("      name: default")
	d.add("      audience: %s   # as the provider knows it", audiencePlaceholder)
}

// signedSubject is of the grant that has a key instead of a client.
func (d *Draft) signedSubject() {
	d.add("  subject:")
	d.add("    signedJWT:")
	d.add("      issuer: %s", scalar(cmp.Or(d.ClientID, clientIDPlaceholder)))
	d.add("      keyRef:")
	d.add("        name: %s", scalar(d.secretName()))
	d.add("        key: private-key")
	if scope := d.scopeClaim(); scope != "" {
		d.add("      claims:")
		d.add("        scope: %s", scalar(scope))
	}
}

// scopeClaim is what the assertion itself asks for. Without one Google refuses it, so that an example is
// better than none.
func (d *Draft) scopeClaim() string {
	scopes := d.Scopes
	if len(scopes) == 0 {
		scopes = d.ExampleScopes
	}
	var names []string
	for _, scope := range scopes {
		names = append(names, string(scope))
	}
	return strings.Join(names, " ")
}

// steps are what a person does with the file, in order.
func (d *Draft) steps() {
	d.add("# %s: %s", d.DisplayName, d.Documentation)
	d.add("#")
	for i, lines := range slices.Concat(d.prepare(), d.apply()) {
		for at, line := range lines {
			if at == 0 {
				d.add("# %d. %s", i+1, line)
			} else {
				d.add("#    %s", line)
			}
		}
	}
}

// prepare is what comes before the file is of use: each step has a line, and what belongs to it below.
func (d *Draft) prepare() (steps [][]string) {
	register := []string{"Register a client there."}
	if redirect := d.RedirectURI(d.Namespace, d.Name); redirect != "" {
		register = []string{
			"Register a client there, with this redirect URI:", "  " + redirect,
			"Once this file is applied, the whole address stands in status.redirectURI:",
			fmt.Sprintf("  kubectl get oauthconnection %s -n %s -o jsonpath='{.status.redirectURI}'", d.Name, d.Namespace),
		}
	}
	switch {
	case d.grant() == v1alpha1.GrantTokenExchange:
		return [][]string{
			{"Have the provider trust the issuer of the cluster's ServiceAccounts:", "  kubectl get --raw /.well-known/openid-configuration"},
			{"Let the operator ask for tokens of the ServiceAccount:",
				fmt.Sprintf("  kubectl -n %s create role %s --verb=create --resource=serviceaccounts/token --resource-name=default", d.Namespace, d.Name),
				fmt.Sprintf("  kubectl -n %s create rolebinding %s --role=%s --serviceaccount=oauth-operator:oauth-operator", d.Namespace, d.Name, d.Name)},
			{"Put the audience that the provider expects below."},
		}
	case d.grant() == v1alpha1.GrantJWTBearer:
		steps = [][]string{register, {"Keep its private key in a Secret:",
			fmt.Sprintf("  kubectl create secret generic %s -n %s --from-file=private-key=key.pem", d.secretName(), d.Namespace)}}
	case d.needsSecret():
		steps = [][]string{register, {"Keep its client secret in a Secret:",
			fmt.Sprintf("  kubectl create secret generic %s -n %s --from-literal=client-secret=%s", d.secretName(), d.Namespace, SecretPlaceholder)}}
	default:
		steps = [][]string{register}
	}
	if d.ClientID == "" {
		steps = append(steps, []string{"Put its client id below."})
	}
	return steps
}

func (d *Draft) apply() [][]string {
	file := "  kubectl apply -f " + cmp.Or(d.File, d.Name+".yaml")
	if !d.grant().NeedsPerson() {
		return [][]string{{"Apply this file:", file}}
	}
	return [][]string{{"Apply this file, and connect the account:", file, fmt.Sprintf("  %s connect %s -n %s", d.Program, d.Name, d.Namespace)}}
}

// RedirectURI is the address to register for a connection; empty where nobody is sent back. Of a native
// app's the port is left out: providers take any (RFC 8252 section 7.3).
func (e *Entry) RedirectURI(namespace, name string) string {
	path := "/callback/ns/" + namespace + "/" + name
	switch {
	case e.grant() != v1alpha1.GrantAuthorizationCode:
		return ""
	case e.loopback():
		return "http://127.0.0.1" + path
	}
	return "https://<public address>" + path
}

// grant is the first that the provider documents.
func (e *Entry) grant() v1alpha1.GrantType {
	if len(e.Grants) > 0 {
		return e.Grants[0]
	}
	return v1alpha1.GrantAuthorizationCode
}

func (e *Entry) loopback() bool { return e.Redirect == v1alpha1.RedirectLoopback }

// ExampleParameters are values for those that must be given.
func (e *Entry) ExampleParameters() map[string]string {
	values := map[string]string{}
	for _, p := range e.Parameters {
		if p.Default == "" {
			values[p.Name] = p.example()
		}
	}
	return values
}

// example is what the description gives as one, else the first usual value that is allowed.
func (p *Parameter) example() string {
	candidates := []string{"example", "login.example.com", "eu-west-1", "12345678", "eu", "com"}
	if p.Name == "host" {
		candidates = slices.Insert(candidates, 0, "login.example.com")
	}
	if _, after, found := strings.Cut(p.Description, "such as "); found {
		word, _, _ := strings.Cut(after, " ")
		candidates = slices.Insert(candidates, 0, strings.TrimRight(word, ".,;)"))
	}
	for _, value := range candidates {
		if p.Allows(value) {
			return value
		}
	}
	return "example"
}

func (d *Draft) needsSecret() bool {
	return d.Spec.ClientAuthentication != v1alpha1.ClientAuthenticationNone
}

func (d *Draft) secretName() string { return d.Name + "-client" }

// scalar quotes a text where YAML would take it for something else.
func scalar(text string) string {
	raw, err := yaml.Marshal(text)
	if err != nil { // a string can always be marshalled
		return fmt.Sprintf("%q", text)
	}
	return strings.TrimSuffix(string(raw), "\n")
}
