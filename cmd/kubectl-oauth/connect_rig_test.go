// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/util/retry"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// today is the clock of what connect prints.
var today = time.Date(2026, 10, 25, 12, 0, 0, 0, time.UTC)

// transcript collects what several goroutines print.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// connectRig is a person at a terminal, a real API server, and an operator that follows a script.
type connectRig struct {
	*testing.T
	ctx         context.Context
	interrupt   context.CancelFunc
	namespace   string
	kubeconfig  string
	keyboard    *io.PipeWriter
	out, errOut transcript
	connecting  *connecting
	pages       *httptest.Server

	mu     sync.Mutex
	proofs []string // that browsers brought back
	opened []string
	actors sync.WaitGroup
}

// newConnectRig makes a namespace with OAuthConnection github and somebody who may what roles allow
// there: by default what ClusterRole edit contains.
func newConnectRig(t *testing.T, edit func(*v1alpha1.OAuthConnection), roles ...string) *connectRig {
	t.Helper()
	r := &connectRig{T: t, namespace: env.Namespace(t)}
	r.ctx, r.interrupt = context.WithCancel(t.Context())
	if len(roles) == 0 {
		roles = []string{"oauth-operator-view", "oauth-operator-edit"}
	}
	r.pages = httptest.NewServer(http.HandlerFunc(r.page))
	t.Cleanup(func() { r.interrupt(); r.actors.Wait(); r.pages.Close() })
	conn := &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "github"},
		Spec: v1alpha1.OAuthConnectionSpec{
			ProviderRef: &v1alpha1.ProviderRef{Name: "github"}, Grant: v1alpha1.GrantAuthorizationCode, Redirect: v1alpha1.RedirectHosted,
			Secret: v1alpha1.SecretSpec{Name: "github-token"},
		},
	}
	if edit != nil {
		edit(conn)
	}
	status := conn.Status
	r.must(env.Client.Create(t.Context(), conn))
	conn.Status = status
	r.must(env.Client.Status().Update(t.Context(), conn))
	r.kubeconfig = r.login("alice", roles...)
	r.connecting = r.command()
	return r
}

func (r *connectRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// login makes a kubeconfig of a person with ClusterRoles in the namespace.
func (r *connectRig) login(name string, roles ...string) string {
	r.Helper()
	config, err := env.UserConfig(name)
	r.must(err)
	for _, role := range roles {
		r.must(env.Client.Create(r.ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
		}))
	}
	for _, role := range roles { // the authorizer learns of bindings a moment later
		verb := map[string]string{"oauth-operator-view": "list", "oauth-operator-edit": "create"}[role]
		eventually(r.T, "the rights of "+name, func() bool { return verb == "" || r.may(name, verb) })
	}
	path := filepath.Join(r.TempDir(), "kubeconfig")
	r.must(testenv.WriteKubeconfig(path, config))
	return path
}

func (r *connectRig) may(name, verb string) bool {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: name,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: r.namespace, Verb: verb, Group: v1alpha1.GroupVersion.Group, Resource: "oauthauthorizations"}}}
	r.must(env.Client.Create(r.ctx, review))
	return review.Status.Allowed
}

// command is connect as the person runs it, with a browser of our own.
func (r *connectRig) command() *connecting {
	in, keyboard := io.Pipe()
	r.keyboard = keyboard
	r.Cleanup(func() { _ = keyboard.Close() })
	a := newApp("kubectl-oauth", genericiooptions.IOStreams{In: in, Out: &r.out, ErrOut: &r.errOut}, testingclock.NewFakeClock(today))
	*a.flags.KubeConfig, *a.flags.Namespace = r.kubeconfig, r.namespace
	patience := defaultPatience()
	patience.Again = 100 * time.Millisecond
	return &connecting{app: a, name: "github", options: connectOptions{Timeout: 10 * time.Minute}, patience: patience, open: r.browse}
}

// run connects and returns what people see of it: the output, what is said besides, and the error.
func (r *connectRig) run() (out, said string, err error) {
	r.Helper()
	err = r.connecting.connect(r.ctx)
	if err != nil && r.ctx.Err() == nil {
		r.connecting.app.report(err)
	}
	r.nothingLeft()
	return r.readable(r.out.String()), r.readable(r.errOut.String()), err
}

// nothingLeft holds at every end.
func (r *connectRig) nothingLeft() {
	r.Helper()
	left := &v1alpha1.OAuthAuthorizationList{}
	r.must(env.Client.List(context.WithoutCancel(r.ctx), left, client.InNamespace(r.namespace)))
	if len(left.Items) > 0 {
		r.Errorf("left behind: %v", left.Items[0].Name)
	}
	if l := r.connecting.listener; l != nil {
		if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
			_ = conn.Close()
			r.Error("the listener is still open")
		}
	}
}

// readable takes out of a text what is random.
func (r *connectRig) readable(text string) string {
	for _, address := range r.openings() {
		text = strings.ReplaceAll(text, address, "ADDRESS")
	}
	if a := r.connecting.attempt; a != nil {
		text = strings.ReplaceAll(text, a.Name, "ATTEMPT")
	}
	text = strings.ReplaceAll(text, r.pages.URL, "https://oauth.example.com")
	return strings.ReplaceAll(text, r.namespace, "team")
}

// browse is a browser that follows redirects.
func (r *connectRig) browse(address string) error {
	r.mu.Lock()
	r.opened = append(r.opened, address)
	r.mu.Unlock()
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (r *connectRig) openings() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.opened...)
}

const browserCookie = "a cookie of the operator's"

// page is the operator's start page, and the provider's.
func (r *connectRig) page(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	switch {
	case req.URL.Path == "/auth":
		back := query.Get("redirect_uri") + "?code=the-code&iss=https%3A%2F%2Fidp.example.com&state=" + query.Get("state")
		http.Redirect(w, req, back, http.StatusSeeOther)
	case query.Has("state"):
		port := strings.TrimPrefix(req.URL.Path, "/authorize/")
		http.Redirect(w, req, fmt.Sprintf("http://127.0.0.1:%s/pair?browser=%s&state=%s", port, oauth.NewSecret(browserCookie).Hash(), query.Get("state")), http.StatusSeeOther)
	case query.Has("proof"):
		r.mu.Lock()
		defer r.mu.Unlock()
		r.proofs = append(r.proofs, query.Get("proof"))
	}
}

// operator plays the operator's side on the one attempt of the namespace.
type operator struct {
	*connectRig
	key client.ObjectKey
}

// operate starts a script, which begins when the attempt is there.
func (r *connectRig) operate(script func(o *operator)) {
	r.actors.Go(func() {
		o := &operator{connectRig: r}
		attempts := &v1alpha1.OAuthAuthorizationList{}
		if o.until("an OAuthAuthorization", func() bool {
			err := env.Client.List(r.ctx, attempts, client.InNamespace(r.namespace))
			return err == nil && len(attempts.Items) > 0
		}) {
			o.key = client.ObjectKeyFromObject(&attempts.Items[0])
			script(o)
		}
	})
}

// until waits for something, in a goroutine that may not end the test. It ends that one if in vain.
func (o *operator) until(what string, ok func() bool) bool {
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if o.ctx.Err() != nil {
			runtime.Goexit()
		}
		if time.Now().After(deadline) {
			o.Errorf("the operator waited in vain for %s; so far:\n%s", what, o.errOut.String())
			o.interrupt()
			runtime.Goexit()
		}
		time.Sleep(5 * time.Millisecond)
	}
	return true
}

func (o *operator) check(err error) {
	if err != nil && o.ctx.Err() == nil {
		o.Errorf("the operator: %v", err)
		o.interrupt()
		runtime.Goexit()
	}
}

func (o *operator) attempt() *v1alpha1.OAuthAuthorization {
	attempt := &v1alpha1.OAuthAuthorization{}
	o.check(env.Client.Get(o.ctx, o.key, attempt))
	return attempt
}

func (o *operator) write(change func(*v1alpha1.OAuthAuthorization)) {
	o.check(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		attempt := &v1alpha1.OAuthAuthorization{}
		if err := env.Client.Get(o.ctx, o.key, attempt); err != nil {
			return err
		}
		change(attempt)
		return env.Client.Status().Update(o.ctx, attempt)
	}))
}

func (o *operator) condition(status metav1.ConditionStatus, reason, message string) func(*v1alpha1.OAuthAuthorization) {
	return func(attempt *v1alpha1.OAuthAuthorization) {
		meta.SetStatusCondition(&attempt.Status.Conditions, metav1.Condition{
			Type: v1alpha1.CompletedCondition, Status: status, Reason: reason, Message: message})
	}
}

// admit says where the browser starts.
func (o *operator) admit() {
	o.write(func(attempt *v1alpha1.OAuthAuthorization) {
		attempt.Status.AuthorizationURL = o.pages.URL + "/authorize/1"
		if l := attempt.Spec.Loopback; l != nil {
			attempt.Status.AuthorizationURL = o.pages.URL + "/authorize/" + strconv.Itoa(int(l.Port))
		}
		attempt.Status.ExpiresAt = &metav1.Time{Time: attempt.CreationTimestamp.Add(10 * time.Minute)}
		o.condition(metav1.ConditionUnknown, v1alpha1.ReasonWaitingForBrowser, "waiting for the requester's browser")(attempt)
	})
}

// meet waits for the browser and asks it for cookie and proof.
func (o *operator) meet() {
	o.until("the paired browser", func() bool { return o.attempt().Spec.Browser != nil })
	o.until("the proof", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return len(o.proofs) > 0 })
	paired := o.attempt().Spec.Browser
	if paired.Hash != oauth.NewSecret(browserCookie).Hash() || paired.ProofHash != oauth.NewSecret(o.proofs[0]).Hash() {
		o.Errorf("the browser with proof %s does not fit %v", o.proofs[0], paired)
	}
	o.says("This is your browser")
}

// redirect sends the browser to the provider.
func (o *operator) redirect() {
	o.write(func(attempt *v1alpha1.OAuthAuthorization) {
		attempt.Status.StateHash = strings.Repeat("0", 64)
		o.condition(metav1.ConditionUnknown, v1alpha1.ReasonWaitingForProvider, "waiting for the person to come back from the provider")(attempt)
	})
	o.says("sign in and consent")
}

func (o *operator) claim() {
	o.write(func(attempt *v1alpha1.OAuthAuthorization) { attempt.Status.ClaimedAt = &metav1.Time{Time: time.Now()} })
	o.says("Back from the provider")
}

func (o *operator) complete(account string) {
	o.write(func(attempt *v1alpha1.OAuthAuthorization) {
		attempt.Status.Account = account
		o.condition(metav1.ConditionTrue, v1alpha1.ReasonConnected, "an account was connected")(attempt)
	})
	o.says("Waiting for the Secret")
}

func (o *operator) fail(reason, message string) {
	o.write(o.condition(metav1.ConditionFalse, reason, message))
}

// connect is all of it up to the Secret.
func (o *operator) connect(account string) {
	o.admit()
	o.meet()
	o.redirect()
	o.claim()
	o.complete(account)
}

// publish writes the connection's status as after a reconcile.
func (o *operator) publish(change func(*v1alpha1.OAuthConnectionStatus)) {
	o.check(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		conn := &v1alpha1.OAuthConnection{}
		if err := env.Client.Get(o.ctx, client.ObjectKey{Namespace: o.namespace, Name: "github"}, conn); err != nil {
			return err
		}
		conn.Status = readyStatus(time.Now())
		if change != nil {
			change(&conn.Status)
		}
		return env.Client.Status().Update(o.ctx, conn)
	}))
}

// says waits until the person has been told.
func (o *operator) says(text string) {
	o.until("the words "+text, func() bool { return strings.Contains(o.errOut.String(), text) })
}

// readyStatus is that of a connection whose token was obtained then.
func readyStatus(obtained time.Time) v1alpha1.OAuthConnectionStatus {
	status := v1alpha1.OAuthConnectionStatus{
		Provider: "GitHub", Account: "octocat", Scopes: []string{"repo", "read:org"},
		LastRefreshTime: &metav1.Time{Time: obtained},
		RefreshAt:       &metav1.Time{Time: today.Add(7 * time.Hour)},
		ExpiresAt:       &metav1.Time{Time: today.Add(8 * time.Hour)},
	}
	for _, condition := range []string{v1alpha1.AuthorizedCondition, v1alpha1.ReadyCondition} {
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{Type: condition, Status: metav1.ConditionTrue, Reason: "Ready", Message: "all is well"})
	}
	return status
}

// connectedBefore is a connection that holds a token already.
func connectedBefore(conn *v1alpha1.OAuthConnection) {
	conn.Status = readyStatus(time.Now().Add(-time.Hour))
}
