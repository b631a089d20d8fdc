// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// placeholders stand where the person has to fill in what the provider gave.
const (
	clientIDPlaceholder = "PASTE-THE-CLIENT-ID-HERE"
	secretPlaceholder   = "PASTE-THE-CLIENT-SECRET-HERE"
)

// draft is a connection's YAML with the steps to take as comments. It is written line by line: an
// object that is marshalled has no comments, and has fields nobody asked for.
type draft struct {
	preset
	namespace, name string
	parameters      map[string]string
	clientID        string
	scopes          []string
	// program and file are named in the steps.
	program, file string

	lines []string
}

func (d *draft) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *draft) yaml() string {
	d.steps()
	d.add("apiVersion: %s", v1alpha1.GroupVersion)
	d.add("kind: OAuthConnection")
	d.add("metadata:")
	d.add("  name: %s", scalar(d.name))
	d.add("  namespace: %s", scalar(d.namespace))
	d.add("spec:")
	d.add("  provider:")
	d.add("    preset: %s", d.Name)
	if len(d.parameters) > 0 {
		d.add("    parameters:")
	}
	for _, name := range slices.Sorted(maps.Keys(d.parameters)) {
		d.add("      %s: %s", name, scalar(d.parameters[name]))
	}
	d.add("  client:")
	d.add("    id: %s", scalar(cmp.Or(d.clientID, clientIDPlaceholder)))
	if d.needsSecret() {
		d.add("    secretRef:")
		d.add("      name: %s   # key: client-secret", scalar(d.secretName()))
	}
	if len(d.scopes) > 0 {
		d.add("  scopes:")
	}
	for _, scope := range d.scopes {
		d.add("  - %s", scalar(scope))
	}
	d.add("  secret:")
	d.add("    name: %s   # what workloads mount", scalar(d.name+"-token"))
	return strings.Join(d.lines, "\n") + "\n"
}

// steps are what a person does with the file, in order.
func (d *draft) steps() {
	d.add("# %s: %s", d.DisplayName, d.Documentation)
	d.add("#")
	d.add("# 1. Register a client there, with this redirect URI:")
	d.add("#      %s", redirectURI(d.namespace, d.name))
	d.add("#    Once this file is applied, the whole address stands in status.redirectURI:")
	d.add("#      kubectl get oauthconnection %s -n %s -o jsonpath='{.status.redirectURI}'", d.name, d.namespace)
	step := 2
	if d.needsSecret() {
		d.add("# %d. Keep its client secret in a Secret:", step)
		d.add("#      kubectl create secret generic %s -n %s --from-literal=client-secret=%s", d.secretName(), d.namespace, secretPlaceholder)
		step++
	}
	if d.clientID == "" {
		d.add("# %d. Put its client id below.", step)
		step++
	}
	d.add("# %d. Apply this file, and connect the account:", step)
	d.add("#      kubectl apply -f %s", shellWord(cmp.Or(d.file, d.name+".yaml")))
	d.add("#      %s connect %s -n %s", d.program, d.name, d.namespace)
}

func (d *draft) needsSecret() bool {
	return d.Spec.ClientAuthentication != v1alpha1.ClientAuthenticationNone
}

func (d *draft) secretName() string { return d.name + "-client" }

// scalar quotes a text where YAML would take it for something else.
func scalar(text string) string {
	raw, err := yaml.Marshal(text)
	if err != nil { // a string can always be marshalled
		return fmt.Sprintf("%q", text)
	}
	return strings.TrimSuffix(string(raw), "\n")
}
