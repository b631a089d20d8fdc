// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// How to bring an installation and this plugin together.
const (
	installHint = "ask the platform team to install oauth-operator (helm install oauth-operator ./charts/oauth-operator), or look whether this is the right cluster: kubectl config current-context"
	crdHint     = "ask the platform team to install the CustomResourceDefinitions of the operator's version: kubectl apply --server-side -k config/crd"
	pluginHint  = "update this plugin: kubectl krew upgrade oauth"
)

// lookAtKinds asks for what everybody may read: discovery and the OpenAPI document, not the
// CustomResourceDefinitions themselves.
func (d *doctor) lookAtKinds(ctx context.Context) []finding {
	group := v1alpha1.GroupVersion.Group
	body, _, err := d.server.get(ctx, "/apis/"+group)
	versions := &metav1.APIGroup{}
	if err == nil {
		err = json.Unmarshal(body, versions)
	}
	switch {
	case apierrors.IsNotFound(err):
		return fault("the API server does not know the kinds of "+group+": oauth-operator is not installed in this cluster", installHint).ending()
	case err != nil:
		return []finding{d.unseen("the kinds that are served", err)}
	}
	var served []string
	for _, v := range versions.Versions {
		served = append(served, v.Version)
	}
	if !slices.Contains(served, v1alpha1.GroupVersion.Version) {
		return fault(fmt.Sprintf("the API server serves %s in %s, and this plugin speaks %s: it is too old for this cluster",
			inWords(served), group, v1alpha1.GroupVersion.Version), pluginHint).ending()
	}
	body, _, err = d.server.get(ctx, "/apis/"+v1alpha1.GroupVersion.String())
	resources := &metav1.APIResourceList{}
	if err == nil {
		err = json.Unmarshal(body, resources)
	}
	if err != nil {
		return []finding{d.unseen("the kinds that are served", err)}
	}
	if missing := missingKinds(resources.APIResources); len(missing) > 0 {
		f := fault("the API server does not know "+inWords(missing)+": the installation is not complete, or too old for this plugin", crdHint)
		f.last = slices.Contains(missing, "OAuthConnection")
		return []finding{f}
	}
	return d.lookAtFields(ctx)
}

func missingKinds(resources []metav1.APIResource) []string {
	var missing []string
	for _, kind := range []string{"OAuthConnection", "OAuthAuthorization", "OAuthProvider", "ClusterOAuthProvider"} {
		if !slices.ContainsFunc(resources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
			missing = append(missing, kind)
		}
	}
	return missing
}

// part is what an object's kind has under spec or status.
type part struct {
	kind, name string
	known      []string // to this plugin
}

// parts are those that this plugin reads and writes.
func parts() []part {
	return []part{
		{"OAuthAuthorization", "spec", fieldsOf[v1alpha1.OAuthAuthorizationSpec]()},
		{"OAuthAuthorization", "status", fieldsOf[v1alpha1.OAuthAuthorizationStatus]()},
		{"OAuthConnection", "spec", fieldsOf[v1alpha1.OAuthConnectionSpec]()},
		{"OAuthConnection", "status", fieldsOf[v1alpha1.OAuthConnectionStatus]()},
	}
}

// fieldsOf are the names that a struct's fields have in JSON.
func fieldsOf[T any]() []string {
	var names []string
	for i := range reflect.TypeFor[T]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[T]().Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// openAPI is the piece of OpenAPI 3 that tells of fields.
type openAPI struct {
	Components struct {
		Schemas map[string]*objectSchema `json:"schemas"`
	} `json:"components"`
}

type objectSchema struct {
	Kinds      []metav1.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
	Properties map[string]*objectSchema  `json:"properties"`
}

// fields are those that the API server keeps of an object; nil where that is not told.
func (o *openAPI) fields(p part) map[string]*objectSchema {
	for _, s := range o.Components.Schemas {
		ours := func(k metav1.GroupVersionKind) bool {
			return k.Kind == p.kind && k.Group == v1alpha1.GroupVersion.Group && k.Version == v1alpha1.GroupVersion.Version
		}
		if slices.ContainsFunc(s.Kinds, ours) && s.Properties[p.name] != nil {
			return s.Properties[p.name].Properties
		}
	}
	return nil
}

func (d *doctor) lookAtFields(ctx context.Context) []finding {
	body, _, err := d.server.get(ctx, "/openapi/v3/apis/"+v1alpha1.GroupVersion.String())
	document := &openAPI{}
	if err == nil {
		err = json.Unmarshal(body, document)
	}
	if err != nil {
		return []finding{ok("the four kinds are served as %s", v1alpha1.GroupVersion.Version), d.unseen("their fields", err)}
	}
	return judgeFields(document)
}

// judgeFields compares what the API server keeps with what this plugin knows. A field that it does
// not keep is dropped without a word.
func judgeFields(document *openAPI) []finding {
	var older, newer []string
	crippled := false
	for _, p := range parts() {
		fields := document.fields(p)
		if fields == nil {
			return []finding{ok("the four kinds are served as %s", v1alpha1.GroupVersion.Version)}
		}
		for _, name := range p.known {
			if fields[name] == nil {
				older = append(older, p.kind+"."+p.name+"."+name)
				crippled = crippled || p.kind == "OAuthAuthorization"
			}
		}
		for name := range fields {
			if !slices.Contains(p.known, name) {
				newer = append(newer, p.kind+"."+p.name+"."+name)
			}
		}
	}
	slices.Sort(newer)
	var found []finding
	if len(older) > 0 {
		f := warn("the CustomResourceDefinitions are older than this plugin: they lack %s", enumerate(older, 4)).mended(crdHint)
		if crippled { // connect cannot work
			f.Level = levelFault
		}
		found = append(found, f)
	}
	if len(newer) > 0 {
		found = append(found, warn("the CustomResourceDefinitions are newer than this plugin, which does not know %s", enumerate(newer, 4)).mended(pluginHint))
	}
	if found == nil {
		found = append(found, ok("the four kinds are served as %s, with all fields that this plugin knows", v1alpha1.GroupVersion.Version))
	}
	return found
}
