// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	semver "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

const (
	// oldestKubernetes has ValidatingAdmissionPolicy as a stable kind.
	oldestKubernetes = "1.30.0"
	// maxDocument bounds what is read of an answer, in bytes.
	maxDocument = 16 << 20
	// clockWarning and clockFault are how far two clocks may be apart: attempts to connect end after
	// ten minutes, and tokens are renewed minutes before they expire.
	clockWarning = 30 * time.Second
	clockFault   = 5 * time.Minute
)

// apiServer is asked for documents that are no objects.
type apiServer struct {
	*http.Client
	base *url.URL
}

// connectServer prepares the ways to the API server. Nothing is sent yet.
func (d *doctor) connectServer() (*apiServer, error) {
	config, err := d.config()
	if err != nil {
		return nil, err
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	known := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(known), v1alpha1.AddToScheme(known)); err != nil {
		return nil, err
	}
	mapper := meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{kinds(), doctorKinds()}}
	if d.kube, err = client.NewWithWatch(config, client.Options{HTTPClient: web, Scheme: known, Mapper: mapper}); err != nil {
		return nil, err
	}
	d.cluster = d.kube
	return &apiServer{web, base}, nil
}

// doctorKinds are those that no other verb looks at.
func doctorKinds() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("Pod"),
		appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
		appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
		batchv1.SchemeGroupVersion.WithKind("CronJob"),
		coordinationv1.SchemeGroupVersion.WithKind("Lease"),
	} {
		mapper.Add(kind, meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		mapper.Add(admissionv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	return mapper
}

// get reads a document. Refusals are Kubernetes' errors.
func (s *apiServer) get(ctx context.Context, path string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath(path).String(), http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = apierrors.NewGenericServerResponse(resp.StatusCode, "get", schema.GroupResource{}, path, "", 0, true)
	}
	return body, resp.Header, err
}

// lookAtServer asks for the version, and notes the time that the API server has.
func (d *doctor) lookAtServer(ctx context.Context) []finding {
	asked := d.clock.Now()
	body, header, err := d.server.get(ctx, "/version")
	answered := d.clock.Now()
	if err != nil {
		p := d.explain(err)
		if ctx.Err() != nil {
			p = &problem{Text: "the API server does not answer", Hint: "kubectl config current-context says which cluster is asked"}
		}
		return fault(p.Text, p.Hint).ending()
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		// A Date has whole seconds. It was written somewhere between question and answer.
		d.ahead = date.Add(time.Second / 2).Sub(asked.Add(answered.Sub(asked) / 2))
	}
	info := struct {
		GitVersion string `json:"gitVersion"`
	}{}
	_ = json.Unmarshal(body, &info) // without a version it is said to be unknown
	return []finding{judgeKubernetes(info.GitVersion)}
}

// judgeKubernetes says whether the operator's policies can work there.
func judgeKubernetes(gitVersion string) finding {
	v, err := semver.ParseGeneric(gitVersion)
	switch {
	case err != nil:
		return note("it answers, and does not tell its version")
	case v.LessThan(semver.MustParseGeneric(oldestKubernetes)):
		return fault("Kubernetes "+gitVersion+" is too old: the operator's admission policies (ValidatingAdmissionPolicy) need 1.30",
			"update the cluster to Kubernetes 1.30 or newer")
	}
	return ok("Kubernetes %s answers", gitVersion)
}

func (d *doctor) lookAtClock(context.Context) []finding { return []finding{judgeClock(d.ahead)} }

// judgeClock compares this machine with the API server.
func judgeClock(ahead time.Duration) finding {
	const mend = "set the clock that is wrong; on this machine: timedatectl set-ntp true"
	off := ahead.Abs().Round(time.Second)
	about := "about " + off.Round(10*time.Second).String() // a Date has whole seconds, and the question took its time
	way := "behind"
	if ahead < 0 {
		way = "ahead of"
	}
	switch {
	case off >= clockFault:
		return fault("this machine's clock is "+about+" "+way+" the API server's: times that you see are wrong, and attempts to connect seem to be over", mend)
	case off > clockWarning:
		return warn("this machine's clock is %s %s the API server's", about, way).mended(mend)
	}
	return ok("this machine and the API server agree on the time")
}

// isAbsent says that the API server does not know an object, or its kind.
func isAbsent(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// inWords joins names for a sentence.
func inWords(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
