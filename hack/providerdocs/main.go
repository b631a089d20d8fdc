// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Providerdocs writes docs/providers: a page for each provider of the catalogue, and their list.
package main

import (
	"bytes"
	"embed"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

//go:embed *.tmpl
var templates embed.FS

func main() {
	out := flag.String("out", "docs/providers", "the folder to write to; what else is there goes")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run replaces the folder, so that no page outlives its provider.
func run(out string) error {
	presets, err := catalog.Load()
	if err != nil {
		return err
	}
	pages, err := render(presets)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil { // #nosec G301 -- documentation
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil { // #nosec G306 -- documentation
			return err
		}
	}
	return nil
}

// render makes the files by their names.
func render(presets *catalog.Catalog) (map[string][]byte, error) {
	t, err := template.New("").Funcs(template.FuncMap{"cell": cell, "grants": words[v1alpha1.GrantType]}).ParseFS(templates, "*.tmpl")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	list := index{}
	for _, name := range presets.Names() {
		entry, _ := presets.Entry(name)
		p := page{Name: name, Entry: entry}
		list.add(p)
		if files[name+".md"], err = execute(t, "page.md.tmpl", p); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	files["README.md"], err = execute(t, "index.md.tmpl", list)
	return files, err
}

func execute(t *template.Template, name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := t.ExecuteTemplate(&b, name, data)
	return b.Bytes(), err
}

// index is the list of all pages, by category.
type index struct {
	Count      int
	Categories []group
}

type group struct {
	Name  catalog.Category
	Pages []page
}

func (i *index) add(p page) {
	i.Count++
	at := slices.IndexFunc(i.Categories, func(g group) bool { return g.Name == p.Category })
	if at < 0 {
		at = len(i.Categories)
		i.Categories = append(i.Categories, group{Name: p.Category})
	}
	i.Categories[at].Pages = append(i.Categories[at].Pages, p)
	slices.SortFunc(i.Categories, func(a, b group) int { return strings.Compare(string(a.Name), string(b.Name)) })
}

// cell keeps a text within its cell of a table.
func cell(text any) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(fmt.Sprint(text))
}

// words lists things as code.
func words[T ~string](list []T) string {
	quoted := make([]string, len(list))
	for i, word := range list {
		quoted[i] = "`" + string(word) + "`"
	}
	return strings.Join(quoted, ", ")
}

// page is what a provider's page shows.
type page struct {
	Name string
	*catalog.Entry
}

// Draft is the ready YAML.
func (p page) Draft() string {
	d := catalog.Draft{
		Entry: p.Entry, Preset: p.Name, Namespace: "team-a", Name: p.Name, Parameters: p.ExampleParameters(),
		Scopes: p.ExampleScopes, Program: "kubectl oauth",
	}
	return d.YAML()
}

// Redirect is the address to register.
func (p page) Redirect() string { return p.RedirectURI("<namespace>", "<connection>") }

// GrantList are the grants in the order of the file.
func (p page) GrantList() []v1alpha1.GrantType {
	if len(p.Grants) == 0 {
		return []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	}
	return p.Grants
}

// Fact is one line of what to expect.
type Fact struct{ Name, Text string }

// Facts are what the preset says about the provider's ways.
func (p page) Facts() []Fact {
	facts := []Fact{
		{"Grants", words(p.GrantList())},
		{"Client authentication", "`" + string(p.Spec.ClientAuthentication) + "`"},
		{"PKCE", pkce(p.Spec.PKCE)},
	}
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, Fact{name, text})
		}
	}
	if s := p.Spec.Scopes; s != nil {
		add("Always asked for", words(s.Required))
		add("Asked for without `spec.scopes`", words(s.Default))
	}
	if r := p.Spec.Refresh; r != nil {
		add("Refresh token", rotation(r.Rotation))
		add("Spent refresh token honoured for", duration(r.RetryWindow))
		add("Access token lives for", duration(r.TokenLifetime))
		add("Refresh token unused ends after", duration(r.IdleTimeout))
		add("Consent ends after", duration(r.AbsoluteLifetime))
		add("Refresh refused before the last", duration(r.Earliest))
	}
	add("Revocation on delete", p.revocation())
	for _, m := range p.Spec.Metadata {
		facts = append(facts, Fact{"For templates", "`{{ .metadata." + m.Name + " }}`"})
	}
	return facts
}

func (p page) revocation() string {
	switch {
	case p.Spec.Endpoints != nil && p.Spec.Endpoints.Revocation != "":
		return "yes"
	case p.Spec.Issuer != "":
		return "where the provider's metadata has an address for it"
	}
	return "no: end the grant at the provider by hand"
}

func pkce(method string) string {
	if method == "None" {
		return "not sent: the provider does not take it"
	}
	return "S256"
}

func rotation(r v1alpha1.Rotation) string {
	switch r {
	case v1alpha1.RotationStatic:
		return "stays the same over refreshes"
	case v1alpha1.RotationRotating:
		return "is replaced at each refresh"
	}
	return "may be replaced at a refresh: not documented, or a setting of the client"
}
