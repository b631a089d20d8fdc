// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// app is what the verbs share.
type app struct {
	genericiooptions.IOStreams
	// name is how people call the program: "kubectl oauth" for a plugin.
	name  string
	flags *genericclioptions.ConfigFlags
	clock clock.Clock

	cluster client.WithWatch // made by client
	typed   *bufio.Reader    // of In, made by readLine
}

func newApp(program string, streams genericiooptions.IOStreams, clock clock.Clock) *app {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	if plugin, ok := strings.CutPrefix(name, "kubectl-"); ok {
		name = "kubectl " + plugin
	}
	return &app{IOStreams: streams, name: name, clock: clock, flags: genericclioptions.NewConfigFlags(true)}
}

// addFlags adds kubectl's own flags, and shows those that people use every day.
func (a *app) addFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	a.flags.AddFlags(flags)
	everyDay := map[string]bool{"namespace": true, "context": true, "kubeconfig": true}
	flags.VisitAll(func(f *pflag.Flag) { f.Hidden = !everyDay[f.Name] })
}

// config is how to reach the cluster, as the person.
func (a *app) config() (*rest.Config, error) {
	kubeconfig, err := a.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, err
	}
	if name := *a.flags.Context; name != "" && kubeconfig.Contexts[name] == nil {
		known := enumerate(slices.Sorted(maps.Keys(kubeconfig.Contexts)), 8)
		return nil, &problem{Text: fmt.Sprintf("there is no context %q in the kubeconfig", name), Hint: "there are: " + dash(known)}
	}
	config, err := a.flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	if config.Host == librariesGuess && clientcmdapi.IsConfigEmpty(&kubeconfig) && *a.flags.APIServer == "" {
		return nil, clientcmd.ErrEmptyConfig
	}
	config.QPS = -1 // API Priority and Fairness decides what is too much
	config.UserAgent = "kubectl-oauth/" + version()
	config.WarningHandler = rest.NewWarningWriter(a.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	return config, nil
}

// librariesGuess is the address that is tried where nobody named a cluster.
const librariesGuess = "http://localhost:8080"

// client talks to the API server as the person. It is made once.
func (a *app) client() (client.WithWatch, error) {
	if a.cluster != nil {
		return a.cluster, nil
	}
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	a.cluster, err = client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: kinds()})
	return a.cluster, err
}

// kinds are those that verbs use: known by heart, so that no command begins with discovery.
func kinds() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"OAuthConnection", "OAuthProvider", "OAuthAuthorization"} {
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	mapper.Add(v1alpha1.GroupVersion.WithKind("ClusterOAuthProvider"), meta.RESTScopeRoot)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	mapper.Add(eventsv1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	mapper.Add(authenticationv1.SchemeGroupVersion.WithKind("SelfSubjectReview"), meta.RESTScopeRoot)
	mapper.Add(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"), meta.RESTScopeRoot)
	return mapper
}

// namespace is that of --namespace, else of the kubeconfig's context, else default.
func (a *app) namespace() (string, error) {
	namespace, _, err := a.flags.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// here is the cluster and the namespace that the command line speaks of.
func (a *app) here() (client.WithWatch, string, error) {
	c, err := a.client()
	if err != nil {
		return nil, "", err
	}
	namespace, err := a.namespace()
	return c, namespace, err
}

// command is a line for people to run next: the program, with the namespace where it is not theirs
// by default.
func (a *app) command(namespace string, words ...string) string {
	line := append([]string{a.name}, words...)
	return strings.Join(append(line, "-n", namespace), " ")
}

// connection reads one by its name. Where there is none, the error says which there are.
func (a *app) connection(ctx context.Context, name string) (*v1alpha1.OAuthConnection, error) {
	c, namespace, err := a.here()
	if err != nil {
		return nil, err
	}
	conn := &v1alpha1.OAuthConnection{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, conn); err != nil {
		return nil, a.missing(ctx, namespace, name, err)
	}
	if conn.Name != name || conn.Namespace != namespace { // both are printed, and stand in commands to type
		return nil, &problem{Text: "the API server answered with another object than the one that was asked for"}
	}
	return conn, nil
}

// completeConnections offers the names of the namespace's connections for the first argument.
func (a *app) completeConnections(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := a.connectionNames(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) connectionNames(ctx context.Context) ([]string, error) {
	c, namespace, err := a.here()
	if err != nil {
		return nil, err
	}
	list := &v1alpha1.OAuthConnectionList{}
	if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		// Shells print what completion offers, and some have expanded it: names only.
		if name := list.Items[i].Name; len(validation.IsDNS1123Subdomain(name)) == 0 {
			names = append(names, name)
		}
	}
	return names, nil
}

// onChange runs look now, after every change of the connections that options select and, unless it is
// 0, after every that long, until look says that it is done. A watch that ends is begun anew.
func (a *app) onChange(ctx context.Context, every time.Duration, look func(context.Context) (done bool, err error), options ...client.ListOption) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	for {
		// It begins with an event for each that exists, so no change is missed.
		w, err := c.Watch(ctx, &v1alpha1.OAuthConnectionList{}, options...)
		if err != nil {
			return err
		}
		done, err := a.lookAtEach(ctx, every, w, look)
		w.Stop()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.clock.After(watchAgain):
		}
	}
}

// watchAgain is the pause before a watch that the API server ended is begun anew.
const watchAgain = time.Second

// lookAtEach ends without a result when the watch does.
func (a *app) lookAtEach(ctx context.Context, every time.Duration, w watch.Interface, look func(context.Context) (bool, error)) (bool, error) {
	for {
		if done, err := look(ctx); done || err != nil {
			return done, err
		}
		var tick <-chan time.Time
		if every > 0 {
			tick = a.clock.After(every)
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return false, ctx.Err()
		case event, open := <-w.ResultChan():
			if !open || event.Type == watch.Error {
				return false, nil
			}
		}
	}
}

// interactive says whether a person can be asked.
func (a *app) interactive() bool { return printers.IsTerminal(a.In) }

// say prints a line about what goes on: to the error stream, so that output can be piped.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.ErrOut, format+"\n", args...)
}
