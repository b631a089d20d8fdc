// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// TestScripts runs the plugin as people do. Each script has a namespace of its own, named like it, and
// begins as somebody with the roles oauth-operator-view and oauth-operator-edit there. No operator
// runs: the scripts say what it wrote.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   filepath.Join("testdata", "script"),
		Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"as":         as,
			"connection": connectionIs,
			"answer":     answer,
			"secret":     secret,
			"event":      eventIs,
			"create":     create,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// user is what people of a script may do, by ClusterRoles in its namespace.
type user struct {
	name  string
	roles []string
}

func users() []user {
	return []user{
		{"editor", []string{"oauth-operator-view", "oauth-operator-edit", "test-secrets", "test-events"}},
		{"viewer", []string{"oauth-operator-view"}},
		{"stranger", nil},
	}
}

func setUp(e *testscript.Env) error {
	ctx := context.Background()
	namespace := "team-" + strings.TrimPrefix(filepath.Base(e.WorkDir), "script-")
	e.Setenv("NAMESPACE", namespace)
	e.Setenv(nowVariable, "2027-03-01T12:00:00Z")
	if err := env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	if err := createRoles(ctx); err != nil {
		return err
	}
	for _, u := range users() {
		if err := u.enter(ctx, namespace, filepath.Join(e.WorkDir, u.name+".kubeconfig")); err != nil {
			return err
		}
	}
	e.Setenv("KUBECONFIG", filepath.Join(e.WorkDir, "editor.kubeconfig"))
	return nil
}

// createRoles stands in for what the built-in role edit has of Secrets and events.
func createRoles(ctx context.Context) error {
	for _, role := range []rbacv1.ClusterRole{
		{ObjectMeta: metav1.ObjectMeta{Name: "test-secrets"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "test-events"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"list"}}}},
	} {
		if err := env.Client.Create(ctx, &role); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// enter gives the user a kubeconfig whose context names the namespace, and the roles in it.
func (u user) enter(ctx context.Context, namespace, kubeconfig string) error {
	for _, role := range u.roles {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: u.name + "-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: u.name}},
		}
		if err := env.Client.Create(ctx, binding); err != nil {
			return err
		}
	}
	config, err := env.UserConfig(u.name)
	if err != nil {
		return err
	}
	if len(u.roles) > 0 {
		if err := awaitRights(ctx, config, namespace, u.roles); err != nil {
			return err
		}
	}
	return writeKubeconfig(kubeconfig, config, namespace)
}

// awaitRights waits for the authorizer, which learns of bindings a moment after they are stored.
func awaitRights(ctx context.Context, config *rest.Config, namespace string, roles []string) error {
	c, err := client.New(config, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		for _, role := range roles {
			if err := try(ctx, c, namespace, role); apierrors.IsForbidden(err) {
				return false, nil
			} else if err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// try does something that only this role allows.
func try(ctx context.Context, c client.Client, namespace, role string) error {
	switch role {
	case "oauth-operator-edit":
		return c.DeleteAllOf(ctx, &v1alpha1.OAuthConnection{}, client.InNamespace(namespace), client.DryRunAll)
	case "test-secrets":
		return client.IgnoreNotFound(c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "any"}, &corev1.Secret{}))
	case "test-events":
		return c.List(ctx, &eventsv1.EventList{}, client.InNamespace(namespace))
	default:
		return c.List(ctx, &v1alpha1.OAuthConnectionList{}, client.InNamespace(namespace))
	}
}

func writeKubeconfig(path string, config *rest.Config, namespace string) error {
	if err := testenv.WriteKubeconfig(path, config); err != nil {
		return err
	}
	kubeconfig, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return err
	}
	kubeconfig.Contexts[kubeconfig.CurrentContext].Namespace = namespace
	return clientcmd.WriteToFile(*kubeconfig, path)
}

// as USER goes on as another person.
func as(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("KUBECONFIG", ts.MkAbs(args[0]+".kubeconfig"))
}

// create FILE hands an object to the API server as the person would with kubectl.
func create(ts *testscript.TestScript, neg bool, args []string) {
	conn := readConnection(ts, args[0])
	err := env.Client.Create(context.Background(), conn)
	if (err != nil) != neg {
		ts.Fatalf("create %s: %v", args[0], err)
	}
}

// connection FILE... makes connections with the status that the files have.
func connectionIs(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		conn := readConnection(ts, file)
		status := conn.Status
		ts.Check(env.Client.Create(context.Background(), conn))
		conn.Status = status
		conn.Status.ObservedGeneration = conn.Generation
		ts.Check(env.Client.Status().Update(context.Background(), conn))
	}
}

func readConnection(ts *testscript.TestScript, file string) *v1alpha1.OAuthConnection {
	conn := &v1alpha1.OAuthConnection{}
	ts.Check(yaml.UnmarshalStrict([]byte(ts.ReadFile(file)), conn))
	if conn.Namespace == "" {
		conn.Namespace = ts.Getenv("NAMESPACE")
	}
	for i := range conn.Status.Conditions {
		if conn.Status.Conditions[i].LastTransitionTime.IsZero() {
			conn.Status.Conditions[i].LastTransitionTime = metav1.Now()
		}
	}
	return conn
}

// answer refresh|disconnect FILE [TIME] waits until the person asked for it, at that time where one is
// given, and writes the file's status with the acknowledgement, as the operator does.
func answer(ts *testscript.TestScript, _ bool, args []string) {
	annotation := v1alpha1.RefreshRequestedAnnotation
	if args[0] == "disconnect" {
		annotation = v1alpha1.DisconnectRequestedAnnotation
	}
	wanted := readConnection(ts, args[1])
	conn := &v1alpha1.OAuthConnection{}
	ts.Check(wait.PollUntilContextTimeout(context.Background(), 10*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := env.Client.Get(ctx, client.ObjectKeyFromObject(wanted), conn)
		asked := conn.Annotations[annotation]
		return asked != "" && (len(args) < 3 || asked == args[2]), err
	}))
	conn.Status = wanted.Status
	if args[0] == "disconnect" {
		conn.Status.LastHandledDisconnect = conn.Annotations[annotation]
	} else {
		conn.Status.LastHandledRefresh = conn.Annotations[annotation]
	}
	ts.Check(env.Client.Status().Update(context.Background(), conn))
}

// secret NAME OWNER key=value... makes a Secret that belongs to a connection; to nobody where OWNER is -.
func secret(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ts.Getenv("NAMESPACE"), Name: args[0]}, StringData: map[string]string{}}
	for _, pair := range args[2:] {
		key, value, _ := strings.Cut(pair, "=")
		s.StringData[key] = value
	}
	if args[1] != "-" {
		owner := &v1alpha1.OAuthConnection{}
		ts.Check(env.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: args[1]}, owner))
		ts.Check(controllerutil.SetControllerReference(owner, s, env.Client.Scheme()))
	}
	ts.Check(env.Client.Create(ctx, s))
}

// event TYPE CONNECTION REASON TIME COUNT NOTE makes an event of the operator.
func eventIs(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	conn := &v1alpha1.OAuthConnection{}
	ts.Check(env.Client.Get(ctx, client.ObjectKey{Namespace: ts.Getenv("NAMESPACE"), Name: args[1]}, conn))
	at, err := time.Parse(time.RFC3339, args[3])
	ts.Check(err)
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: conn.Namespace, GenerateName: conn.Name + "-"},
		EventTime:  metav1.NewMicroTime(at), Type: args[0], Reason: args[2], Action: "Reconcile", Note: args[5],
		Regarding: corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuthConnection", Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID,
		},
		ReportingController: "oauth-operator", ReportingInstance: "oauth-operator-0",
	}
	if count, err := strconv.ParseInt(args[4], 10, 32); err == nil && count > 1 {
		event.Series = &eventsv1.EventSeries{Count: int32(count), LastObservedTime: event.EventTime}
	}
	ts.Check(env.Client.Create(ctx, event))
}
