// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

const kindClusterProvider = "ClusterOAuthProvider"

// source is what was written, gathered from the connection and the provider object.
type source struct {
	// name that a provider object gives the provider; empty for an inline one.
	name string
	// revision of a provider object; empty for an inline one, which is part of the connection.
	revision string

	provider   *v1alpha1.ProviderSpec
	providerAt origin

	client          *v1alpha1.ClientSpec // nil where a provider object has none
	clientAt        origin
	secretNamespace string
	callbackPath    string

	// shared limits what a connection may do with a client that it does not bring itself.
	shared *v1alpha1.ClusterOAuthProviderSpec

	grant               v1alpha1.GrantType // empty where a provider object is resolved by itself
	loopback            bool               // the provider's response goes to the person's own machine
	seeded              bool               // it starts from a refresh token that somebody brings
	scopes              []v1alpha1.Scope
	authorizationParams map[string]string
	tokenParams         map[string]string
	subject             *v1alpha1.SubjectSpec
	namespace           string // of the connection, where its subject is
}

func (r *Resolver) connectionSource(ctx context.Context, conn *v1alpha1.OAuthConnection) (*source, error) {
	s := &source{provider: conn.Spec.Provider, providerAt: origin{field: "spec.provider."}}
	if ref := conn.Spec.ProviderRef; ref != nil {
		var err error
		if s, err = r.referenced(ctx, conn, ref); err != nil {
			return nil, err
		}
	}
	if s.provider == nil {
		return nil, origin{}.errorf(v1alpha1.ReasonProviderInvalid, "spec.provider", "set provider or providerRef")
	}
	if conn.Spec.Client != nil {
		s.client, s.clientAt = conn.Spec.Client, origin{field: "spec."}
		s.secretNamespace = conn.Namespace
		s.callbackPath = "/callback/ns/" + conn.Namespace + "/" + conn.Name
		s.shared = nil
	}
	s.grant = conn.Spec.Grant
	if s.grant == "" {
		s.grant = v1alpha1.GrantAuthorizationCode
	}
	// An assertion or a subject token can say by itself who asks.
	if s.client == nil && s.grant != v1alpha1.GrantJWTBearer && s.grant != v1alpha1.GrantTokenExchange {
		return nil, origin{}.errorf(v1alpha1.ReasonClientInvalid, "spec.client",
			"neither this connection nor its provider object names a client; set spec.client.id")
	}
	if s.client == nil {
		s.shared = nil // it shares no client that could be limited
	}
	s.loopback, s.seeded = conn.Spec.Redirect == v1alpha1.RedirectLoopback, conn.Spec.Seed != nil
	s.scopes = conn.Spec.Scopes
	s.authorizationParams, s.tokenParams = conn.Spec.AuthorizationParams, conn.Spec.TokenParams
	s.subject, s.namespace = conn.Spec.Subject, conn.Namespace
	return s, s.permitted()
}

// owner is whose client it is: a connection without any brings the assertion that takes its place.
func (s *source) owner() string {
	if s.client == nil {
		return s.namespace
	}
	return s.secretNamespace
}

// permitted asks the owner of a shared client.
func (s *source) permitted() error {
	if s.shared == nil {
		return nil
	}
	grants := s.shared.AllowedGrants
	if len(grants) == 0 {
		grants = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	}
	if !slices.Contains(grants, s.grant) {
		return origin{}.errorf(v1alpha1.ReasonClientInvalid, "spec.grant",
			"%s %s does not share its client for grant %s; ask the platform team to add it to spec.allowedGrants, or bring a client of your own: spec.client",
			kindClusterProvider, s.name, s.grant)
	}
	if s.seeded {
		return origin{}.errorf(v1alpha1.ReasonClientInvalid, "spec.seed",
			"%s %s does not share its client for refresh tokens that somebody brings; connect the account instead, or bring a client of your own: spec.client",
			kindClusterProvider, s.name)
	}
	for _, scope := range s.scopes {
		if allowed := s.shared.AllowedScopes; len(allowed) > 0 && !slices.Contains(allowed, scope) {
			return origin{}.errorf(v1alpha1.ReasonClientInvalid, "spec.scopes",
				"%s %s does not share its client for scope %s; ask the platform team to add it to spec.allowedScopes, or bring a client of your own: spec.client",
				kindClusterProvider, s.name, printable(string(scope), maxShown))
		}
	}
	return nil
}

func (r *Resolver) referenced(ctx context.Context, conn *v1alpha1.OAuthConnection, ref *v1alpha1.ProviderRef) (*source, error) {
	if ref.Kind == kindClusterProvider {
		p := &v1alpha1.ClusterOAuthProvider{}
		if err := r.get(ctx, types.NamespacedName{Name: ref.Name}, p, kindClusterProvider); err != nil {
			return nil, err
		}
		// One that is being deleted only gives back what it got while it was selected.
		if conn.DeletionTimestamp.IsZero() {
			if err := r.selected(ctx, p, conn.Namespace); err != nil {
				return nil, err
			}
		}
		return r.objectSource(p, origin{object: kindClusterProvider + " " + ref.Name, field: "spec."})
	}
	p := &v1alpha1.OAuthProvider{}
	key := types.NamespacedName{Namespace: conn.Namespace, Name: ref.Name}
	if err := r.get(ctx, key, p, "OAuthProvider"); err != nil {
		return nil, err
	}
	return r.objectSource(p, origin{object: "OAuthProvider " + ref.Name, field: "spec."})
}

func (r *Resolver) get(ctx context.Context, key types.NamespacedName, obj client.Object, kind string) error {
	err := r.Reader.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		where, command := "", "kubectl get "+strings.ToLower(kind)+"s"
		if key.Namespace != "" {
			where = " in namespace " + key.Namespace
			command = "kubectl -n " + key.Namespace + " get " + strings.ToLower(kind) + "s"
		}
		return origin{}.errorf(v1alpha1.ReasonProviderNotFound, "spec.providerRef",
			"%s %q not found%s; see those that exist: %s", kind, key.Name, where, command)
	}
	if err != nil {
		return unavailable(kind+" "+key.Name, err)
	}
	return nil
}

// selected says whether a cluster provider serves a namespace.
func (r *Resolver) selected(ctx context.Context, p *v1alpha1.ClusterOAuthProvider, name string) error {
	refuse := func(format string, args ...any) error {
		e := origin{}.errorf(v1alpha1.ReasonNamespaceNotSelected, "spec.providerRef",
			"%s %s does not serve namespace %s: %s", kindClusterProvider, p.Name, name, fmt.Sprintf(format, args...))
		e.Retry = unwatchedRetry
		return e
	}
	if p.Spec.NamespaceSelector == nil {
		return refuse("it has no namespaceSelector; ask the platform team to set one")
	}
	selector, err := metav1.LabelSelectorAsSelector(p.Spec.NamespaceSelector)
	if err != nil {
		return refuse("its namespaceSelector is not valid; ask the platform team to correct it")
	}
	if selector.Empty() {
		return nil
	}
	namespace := &corev1.Namespace{}
	if err := r.Reader.Get(ctx, types.NamespacedName{Name: name}, namespace); err != nil {
		return unavailable("Namespace "+name, err)
	}
	if selector.Matches(labels.Set(namespace.Labels)) {
		return nil
	}
	return refuse("its namespaceSelector is %s; ask the platform team for: %s",
		printable(selector.String(), 2*maxShown), labelCommand(name, p.Spec.NamespaceSelector))
}

func labelCommand(namespace string, selector *metav1.LabelSelector) string {
	command := "kubectl label namespace " + namespace
	for _, key := range slices.Sorted(maps.Keys(selector.MatchLabels)) {
		command += " " + key + "=" + selector.MatchLabels[key]
	}
	if len(selector.MatchExpressions) > 0 {
		command += " …"
	}
	return printable(command, 3*maxShown)
}

// objectSource reads a provider object.
func (r *Resolver) objectSource(obj client.Object, at origin) (*source, error) {
	s := &source{name: obj.GetName(), providerAt: at, clientAt: at}
	s.revision = string(obj.GetUID()) + "/" + strconv.FormatInt(obj.GetGeneration(), 10)
	switch p := obj.(type) {
	case *v1alpha1.OAuthProvider:
		s.provider, s.client = &p.Spec.ProviderSpec, p.Spec.Client
		s.secretNamespace = p.Namespace
		s.callbackPath = "/callback/provider/" + p.Namespace + "/" + p.Name
	case *v1alpha1.ClusterOAuthProvider:
		s.provider, s.client = &p.Spec.ProviderSpec, p.Spec.Client
		s.secretNamespace = r.Namespace
		s.callbackPath = "/callback/cluster/" + p.Name
		s.shared = &p.Spec
	default:
		return nil, &Error{Reason: v1alpha1.ReasonProviderInvalid, Message: fmt.Sprintf("%T is not a provider", obj)}
	}
	return s, nil
}
