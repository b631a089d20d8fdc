// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// Whoever may delete and create attempts in the namespace can put one of their own in the place of
// another's. What it says is nothing to do with this person.
func TestAnAttemptThatTookTheNameOfThisOneIsNotFollowed(t *testing.T) {
	r := newConnectRig(t, nil)
	r.connecting.open = func(string) error { return nil }
	mallory := r.person("mallory")
	cluster, err := r.connecting.client()
	r.must(err)
	var looking sync.Mutex // there is no moment at which the attempt is seen not to exist
	r.connecting.cluster = interceptor.NewClient(cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			looking.Lock()
			defer looking.Unlock()
			return c.Get(ctx, key, o, opts...)
		},
	})
	r.operate(func(o *operator) {
		o.admit()
		o.says("Waiting for the browser")
		looking.Lock()
		defer looking.Unlock()
		hers := o.attempt()
		o.check(mallory.Delete(o.ctx, hers))
		his := &v1alpha1.OAuthAuthorization{Spec: hers.Spec}
		his.Namespace, his.Name, his.Spec.Requester = hers.Namespace, hers.Name, "mallory"
		o.check(mallory.Create(o.ctx, his))
		o.write(func(attempt *v1alpha1.OAuthAuthorization) {
			attempt.Status.Account = "mallory"
			o.condition(metav1.ConditionTrue, v1alpha1.ReasonConnected, "an account was connected")(attempt)
		})
		o.publish(nil)
	})
	err = r.connecting.connect(r.ctx)
	if err == nil || !strings.Contains(err.Error(), "was deleted") || r.out.String() != "" {
		t.Errorf("got %v, and was told\n%s", err, r.out.String())
	}
	if name := r.connecting.attempt.Spec.Requester; name != "alice" {
		t.Errorf("the attempt is that of %s", name)
	}
}

// person is somebody else who may connect accounts in the namespace.
func (r *connectRig) person(name string) client.Client {
	r.Helper()
	config, err := env.UserConfig(name)
	r.must(err)
	r.must(env.Client.Create(r.ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "oauth-operator-edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
	}))
	eventually(r.T, "the rights of "+name, func() bool { return r.may(name, "create") })
	c, err := client.New(config, client.Options{Scheme: env.Client.Scheme()})
	r.must(err)
	return c
}

// A hostile API server answers with any name at all.
func TestForeignWordsCannotSteerATerminal(t *testing.T) {
	r := newConnectRig(t, nil)
	const hostile = "\x1b]0;owned\a\b\u009b2J\u202e"
	cluster, err := r.connecting.client()
	if err != nil {
		t.Fatal(err)
	}
	r.connecting.cluster = interceptor.NewClient(cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, o, opts...)
			if conn, ok := o.(*v1alpha1.OAuthConnection); ok && err == nil {
				conn.Spec.Secret.Name += hostile
				conn.Status.Provider += hostile
				for i := range conn.Status.Conditions {
					conn.Status.Conditions[i].Message += hostile
				}
			}
			return err
		},
	})
	r.operate(func(o *operator) { o.connect("octocat" + hostile); o.publish(nil) })
	out, said, err := r.run()
	if err != nil || !strings.HasPrefix(out, "Connected octocat") {
		t.Fatalf("got %v:\n%s", err, said)
	}
	printsPlainly(t, out+said)
	r.connecting.app.report(&problem{Text: "two\nlines" + hostile, Hint: "hint" + hostile})
	printsPlainly(t, r.errOut.String())
	if !strings.Contains(r.errOut.String(), "error: two\nlines") {
		t.Errorf("the lines of a problem are gone:\n%s", r.errOut.String())
	}
}

func printsPlainly(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\x1b\a\b\u009b\u202e") {
		t.Errorf("a terminal is steered by %q", text)
	}
}

func TestOnlyNamesAreOfferedToAShell(t *testing.T) {
	r := newConnectRig(t, nil)
	cluster, err := r.connecting.client()
	r.must(err)
	r.connecting.cluster = interceptor.NewClient(cluster, interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
			names := []string{"github", "$(touch owned)", "a\nb", "\x1b[2J"}
			for _, name := range names {
				meta := metav1.ObjectMeta{Name: name}
				switch l := list.(type) {
				case *v1alpha1.OAuthConnectionList:
					l.Items = append(l.Items, v1alpha1.OAuthConnection{ObjectMeta: meta})
				case *corev1.NamespaceList:
					l.Items = append(l.Items, corev1.Namespace{ObjectMeta: meta})
				}
			}
			return nil
		},
	})
	command := &cobra.Command{}
	command.SetContext(t.Context())
	connections, _ := r.connecting.completeConnections(command, nil, "")
	namespaces, _ := r.connecting.completeNamespaces(command, nil, "")
	if want := []string{"github"}; !slices.Equal(connections, want) || !slices.Equal(namespaces, want) {
		t.Errorf("connections %q, namespaces %q", connections, namespaces)
	}
}
