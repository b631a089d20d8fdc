// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package catalog is the presets of well-known providers: one file each, for the operator, which
// lays connections over them, and for kubectl oauth, which shows them.
package catalog

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

//go:embed *.yaml
var files embed.FS

// defaultPattern is a host name or one segment of a path: nothing that could lead to another host.
const defaultPattern = `[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?`

// Catalog is the set of presets built into the operator.
type Catalog struct{ entries map[string]*Entry }

// Entry is one file of the catalogue.
type Entry struct {
	// DisplayName is how people call the provider.
	DisplayName string `json:"displayName"`
	// Documentation is the address of the provider's page on its OAuth clients.
	Documentation string `json:"documentation"`
	// Checked is the day on which the file was compared with that page, as 2026-01-31.
	Checked string `json:"checked"`
	// Category groups the catalogue's list.
	Category Category `json:"category"`
	// Parameters fill the placeholders in the spec's addresses.
	Parameters []Parameter `json:"parameters,omitempty"`
	// Notes say what people trip over.
	Notes []string `json:"notes,omitempty"`
	// Redirect is Loopback where that is the usual way to connect; empty means Hosted.
	Redirect v1alpha1.RedirectType `json:"redirect,omitempty"`
	// Grants are those that the provider documents, the usual one first.
	Grants []v1alpha1.GrantType `json:"grants,omitempty"`
	// ExampleScopes are for the example on the provider's page.
	ExampleScopes []v1alpha1.Scope `json:"exampleScopes,omitempty"`
	// ErrorsOf names an entry of the same provider, whose errors are this entry's too, after its own.
	ErrorsOf string `json:"errorsOf,omitempty"`
	// Spec describes the provider.
	Spec v1alpha1.ProviderSpec `json:"spec"`
}

// Category is what a provider is for.
type Category string

// Categories are those that a file can name.
func Categories() []Category {
	return []Category{
		"Identity", "Cloud", "Developer", "Data", "CRM", "Support", "Finance", "Commerce", "Marketing",
		"Communication", "Productivity", "Files", "HR", "Design", "Media", "Health", "Devices", "Social",
	}
}

// Parameter is a placeholder that a preset declares.
type Parameter struct {
	// Name between the braces.
	Name string `json:"name"`
	// Description for people.
	Description string `json:"description"`
	// Default value; without one the parameter must be given.
	Default string `json:"default,omitempty"`
	// Pattern that the whole value must match; without one a host name or one path segment.
	Pattern string `json:"pattern,omitempty"`

	matches *regexp.Regexp
}

// Load reads the built-in files.
func Load() (*Catalog, error) {
	names, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	c := &Catalog{entries: map[string]*Entry{}}
	var failed []error
	for _, file := range names {
		raw, err := files.ReadFile(file.Name())
		if err != nil {
			return nil, err
		}
		entry, err := parse(raw)
		if err != nil {
			failed = append(failed, fmt.Errorf("catalogue file %s: %w", file.Name(), err))
			continue
		}
		c.entries[strings.TrimSuffix(file.Name(), ".yaml")] = entry
	}
	if len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	if err := c.shareErrors(); err != nil {
		return nil, err
	}
	return c, nil
}

// shareErrors gives entries the errors of the entry that they name.
func (c *Catalog) shareErrors() error {
	for name, entry := range c.entries {
		if entry.ErrorsOf == "" {
			continue
		}
		other, found := c.entries[entry.ErrorsOf]
		if !found || other.ErrorsOf != "" {
			return fmt.Errorf("catalogue file %s.yaml: errorsOf names no entry with errors of its own", name)
		}
		entry.Spec.Errors = slices.Concat(entry.Spec.Errors, other.Spec.Errors)
	}
	return nil
}

func parse(raw []byte) (*Entry, error) {
	entry := &Entry{}
	if err := yaml.UnmarshalStrict(raw, entry); err != nil {
		return nil, err
	}
	if len(entry.Grants) == 0 {
		entry.Grants = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	}
	for i := range entry.Parameters {
		p := &entry.Parameters[i]
		pattern := p.Pattern
		if pattern == "" {
			pattern = defaultPattern
		}
		var err error
		if p.matches, err = regexp.Compile("^(?:" + pattern + ")$"); err != nil {
			return nil, fmt.Errorf("parameters: %s: pattern: %w", p.Name, err)
		}
	}
	return entry, nil
}

// Names lists the presets in alphabetical order.
func (c *Catalog) Names() []string { return slices.Sorted(maps.Keys(c.entries)) }

// Entry finds a preset by its name. It is shared: do not change it.
func (c *Catalog) Entry(name string) (*Entry, bool) {
	entry, found := c.entries[name]
	return entry, found
}

// Parameter finds a parameter by its name.
func (e *Entry) Parameter(name string) (*Parameter, bool) {
	for i := range e.Parameters {
		if e.Parameters[i].Name == name {
			return &e.Parameters[i], true
		}
	}
	return nil, false
}

// Declared says in words which parameters there are.
func (e *Entry) Declared() string {
	if len(e.Parameters) == 0 {
		return "it has none"
	}
	names := make([]string, 0, len(e.Parameters))
	for _, p := range e.Parameters {
		names = append(names, p.Name)
	}
	return "it has " + strings.Join(names, ", ")
}

// plain is what a value is made of, whatever a file's pattern says: nothing that could end a host or a
// segment of a path.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:-"

// Allows holds a value to the parameter's pattern, and to what can never lead to another host.
func (p *Parameter) Allows(value string) bool {
	foreign := func(r rune) bool { return !strings.ContainsRune(plain, r) }
	return p.matches.MatchString(value) && !strings.ContainsFunc(value, foreign) && !strings.Contains(value, "..")
}
