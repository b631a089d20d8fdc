// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

func TestAHealthyConnectionHasNothingButOK(t *testing.T) {
	c := newClinic(t, env)
	if _, err := c.examine("github"); err != nil {
		t.Error(err)
	}
	want := `The installation

  ok  API server     Kubernetes v1.34.0 answers
  ok  clock          this machine and the API server agree on the time
  ok  kinds          the four kinds are served as v1alpha1, with all fields that this plugin knows
  ok  operator       it has looked at 1 connection here as it is now (you may not look at its Deployment or its Lease)
  ok  policies       an attempt to connect in another's name is refused
  ok  your rights    alice may see connections, connect accounts and read Secret github-token (kubectl oauth token)

github in namespace team, GitHub

  ok  conditions     every step is done, and the connection is Ready
  ok  public address https://oauth.example.com shows the operator's pages
  ok  provider       the metadata of issuer https://idp.example.com can be read
  ok  redirect URI   https://oauth.example.com/callback/ns/team/github: the provider does not object to it
  ok  client Secret  Secret github-client has key client-secret
  ok  target Secret  Secret github-token is this connection's, with access_token, expiry, scope, token_type
  ok  consumers      in a volume, where refreshes arrive: Pod web, container app

No fault was found.
`
	if diff := cmp.Diff(want, c.text); diff != "" {
		t.Error(diff)
	}
	if _, err := c.examine(""); err != nil {
		t.Errorf("without a name: %v\n%s", err, c.text)
	}
}

// plantedFault is something that is wrong, and what doctor has to say of it: all that is not ok.
type plantedFault struct {
	name  string
	plant func(*clinic)
	want  []string
}

// TestEachPlantedFaultIsFoundWithItsMend plants in a healthy namespace of its own.
func TestEachPlantedFaultIsFoundWithItsMend(t *testing.T) {
	for _, faults := range [][]plantedFault{
		faultsOfConditions(), faultsOfAddresses(), faultsOfSecrets(), faultsOfConsumers(), faultsOfPeople(), faultsOfOperators(),
	} {
		for _, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				c := newClinic(t, env)
				f.plant(c)
				r, _ := c.examine("github")
				if diff := cmp.Diff(f.want, c.lines(r)); diff != "" {
					t.Errorf("%s\n%s", diff, c.text)
				}
			})
		}
	}
}

const findIt = "kubectl get deployments -A -l app.kubernetes.io/name=oauth-operator"

func faultsOfConditions() []plantedFault {
	return []plantedFault{
		{"nobody has consented", func(c *clinic) {
			c.unwell("Authorized", v1alpha1.ReasonAuthorizationRequired, "a person has to consent; kubectl oauth connect github -n "+c.team)
		}, []string{"xx conditions: Authorized is False (AuthorizationRequired): a person has to consent | kubectl oauth connect github -n team"}},
		{"the client is rejected", func(c *clinic) {
			c.unwell("TokenFresh", v1alpha1.ReasonClientRejected, "GitHub refuses the client")
		}, []string{"xx conditions: TokenFresh is False (ClientRejected): GitHub refuses the client | correct client id or client secret as the provider has them, then: kubectl oauth refresh github -n team"}},
		{"suspended", func(c *clinic) {
			c.spec(func(s *v1alpha1.OAuthConnectionSpec) { s.Suspend = true })
		}, []string{`!! conditions: spec.suspend is true: nothing is renewed or published | kubectl -n team patch oauthconnection github --type=merge -p '{"spec":{"suspend":false}}'`}},
		{"the operator does not look", func(c *clinic) {
			c.conn.Spec.Scopes = []v1alpha1.Scope{"repo"}
			c.must(c.Client.Update(c.Context(), c.conn))
		}, []string{
			"-- operator: you may not look at its Deployment or its Lease, and no connection here tells whether it runs | ask the platform team whether it runs: " + findIt,
			"xx conditions: the operator has not looked at its last change: what follows speaks of what was before | ask the platform team whether the operator runs: " + findIt,
		}},
		{"the operator does not renew", func(c *clinic) {
			c.status(func(s *v1alpha1.OAuthConnectionStatus) {
				s.RefreshAt = &metav1.Time{Time: c.clock.Now().Add(-90*time.Minute - 30*time.Second)}
			})
		}, []string{
			"!! operator: it does not seem to run: github was to be refreshed 90m ago, and you may not look at its Deployment or its Lease | ask the platform team whether it runs: " + findIt,
			"xx conditions: the operator was to refresh its token 90m ago | ask the platform team whether the operator runs: " + findIt,
		}},
	}
}

func faultsOfAddresses() []plantedFault {
	const reachIt = "; browsers have to get there to connect an account"
	unconnected := func(c *clinic) {
		c.unwell("Authorized", v1alpha1.ReasonAuthorizationRequired, "a person has to consent")
	}
	consent := "xx conditions: Authorized is False (AuthorizationRequired): a person has to consent | kubectl oauth connect github -n team"
	return []plantedFault{
		{"another server is at the public address", func(c *clinic) {
			unconnected(c)
			c.hosts[publicHost] = answering(http.StatusNotFound, "default backend - 404")
		}, []string{consent, "xx public address: https://oauth.example.com: something else than the operator answers (HTTP 404) | route this address, path and all, to Service oauth-operator-callback (Ingress or HTTPRoute), or correct --public-url (chart: publicURL)"}},
		{"the public address does not resolve", func(c *clinic) {
			unconnected(c)
			delete(c.hosts, publicHost)
		}, []string{consent, "xx public address: https://oauth.example.com: its host name does not resolve, seen from this machine" + reachIt + " | make a DNS record for it"}},
		{"its certificate has expired, and an account is connected", func(c *clinic) {
			c.certificate = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)
			delete(c.hosts, providerHost)
		}, []string{
			"!! public address: https://oauth.example.com: its certificate has expired, or is not valid yet, seen from this machine" + reachIt + " | renew the certificate",
			"!! provider: issuer https://idp.example.com: its host name does not resolve, seen from this machine; what counts is the operator's view, condition ClientResolved | correct the issuer, or make a DNS record for it",
		}},
		{"the issuer is another", func(c *clinic) {
			c.hosts[providerHost] = providerPages(issuer + "/")
		}, []string{"!! provider: the metadata of issuer https://idp.example.com names another issuer: https://idp.example.com/ | set issuer to https://idp.example.com/, if that is the provider's own spelling"}},
		{"the redirect URI is not registered", func(c *clinic) {
			mux := http.NewServeMux()
			mux.Handle("/", providerPages(issuer))
			mux.Handle("/authorize", answering(http.StatusBadRequest, "redirect_uri_mismatch"))
			c.hosts[providerHost] = mux
		}, []string{"!! redirect URI: the provider answers a request with redirect URI https://oauth.example.com/callback/ns/team/github by HTTP 400: it may not be registered | register exactly https://oauth.example.com/callback/ns/team/github with the provider, for client 0123"}},
	}
}

func faultsOfSecrets() []plantedFault {
	patch := ` | kubectl -n team patch secret github-client --type=merge -p '{"stringData":{"client-secret":"…"}}'`
	held := func(key, value string) func(*clinic) {
		return func(c *clinic) {
			c.change("github-client", func(s *corev1.Secret) { s.Data = map[string][]byte{key: []byte(value)} })
		}
	}
	target := func(edit func(*corev1.Secret)) func(*clinic) {
		return func(c *clinic) { c.change("github-token", edit) }
	}
	const other = `choose another name: kubectl -n team patch oauthconnection github --type=merge -p '{"spec":{"secret":{"name":"github-token-token"}}}'`
	const again = " | have it written anew: kubectl oauth refresh github -n team"
	return []plantedFault{
		{"the client Secret is missing", func(c *clinic) { c.remove(&corev1.Secret{ObjectMeta: c.meta("github-client")}) },
			[]string{"xx client Secret: Secret github-client does not exist | kubectl -n team create secret generic github-client --from-literal=client-secret=…"}},
		{"its key is another", held("clientSecret", "a"),
			[]string{"xx client Secret: Secret github-client has no key client-secret; it has: clientSecret" + patch}},
		{"it is empty", held("client-secret", "\n"), []string{"xx client Secret: key client-secret of Secret github-client is empty" + patch}},
		{"it is a placeholder", held("client-secret", catalog.SecretPlaceholder),
			[]string{"xx client Secret: key client-secret of Secret github-client is a placeholder, not the secret that the provider gave" + patch}},
		{"the target was deleted", func(c *clinic) { c.remove(&corev1.Secret{ObjectMeta: c.meta("github-token")}) },
			[]string{"xx target Secret: Secret github-token does not exist, and the operator has published it" + again}},
		{"the target is nobody's", target(func(s *corev1.Secret) { s.OwnerReferences = nil }),
			[]string{"xx target Secret: Secret github-token belongs to nobody, so the operator leaves it alone | hand it over: kubectl -n team annotate secret github-token oauth-operator.dev/adopt-by=github; or " + other}},
		{"the target is somebody else's", target(func(s *corev1.Secret) {
			s.OwnerReferences[0].Kind, s.OwnerReferences[0].Name, s.OwnerReferences[0].UID = "Certificate", "tls", "1"
		}), []string{"xx target Secret: Secret github-token belongs to Certificate tls, so the operator leaves it alone | " + other + "; or have Certificate tls give it up"}},
		{"its token has expired", target(func(s *corev1.Secret) {
			s.Data["expiry"] = []byte(time.Now().Add(-30*time.Hour - 30*time.Minute).UTC().Format(time.RFC3339))
		}), []string{"xx target Secret: the token in Secret github-token expired 30h ago | kubectl oauth refresh github -n team"}},
		{"a key of the template is missing", func(c *clinic) {
			c.spec(func(s *v1alpha1.OAuthConnectionSpec) {
				s.Secret.Template = &v1alpha1.SecretTemplate{Data: map[string]string{".netrc": "{{.accessToken}}"}}
			})
		}, []string{"xx target Secret: Secret github-token lacks the keys: .netrc" + again}},
	}
}

func faultsOfConsumers() []plantedFault {
	const mount = "mount Secret github-token as a whole volume, without subPath, and read the file anew for each request"
	return []plantedFault{
		{"a pod has the token in its environment", func(c *clinic) {
			c.create(&corev1.Pod{ObjectMeta: c.meta("batch"), Spec: environed("github-token")})
		}, []string{"!! consumers: Pod batch, container app: env TOKEN keeps the token of its start, and never sees a refresh | " + mount}},
		{"a Deployment mounts it by subPath", func(c *clinic) {
			c.create(deployment(c.meta("api"), mounting("github-token", "access_token")))
		}, []string{"!! consumers: Deployment api, container app: subPath at /var/run/oauth keeps the token of its start, and never sees a refresh | " + mount +
			"; or have Reloader restart it: kubectl -n team annotate deployment api secret.reloader.stakater.com/reload=github-token"}},
		{"nobody uses it", func(c *clinic) { c.remove(&corev1.Pod{ObjectMeta: c.meta("web")}) },
			[]string{"-- consumers: no pod here uses Secret github-token | "}},
	}
}

func faultsOfPeople() []plantedFault {
	const edit = " | ask for ClusterRole edit here: kubectl -n team create rolebinding oauth-edit --clusterrole=edit --user=victor"
	const secrets = " | this is done with your own rights: ask for the right to get secrets here"
	return []plantedFault{
		{"a person may only view", func(c *clinic) {
			c.config = func() string { return c.login("victor", testenv.View) }
		}, []string{
			"-- policies: you may not look at the admission policies, nor try them | somebody with ClusterRole edit here can run this command",
			"!! your rights: victor may not connect accounts in namespace team" + edit,
			"-- your rights: victor may not read Secret github-token (kubectl oauth token) in namespace team" + edit,
			"-- client Secret: you may not look at Secret github-client" + secrets,
			"-- target Secret: you may not look at Secret github-token" + secrets,
		}},
		{"this machine's clock is ahead", func(c *clinic) {
			c.skew = 10 * time.Minute
		}, []string{"xx clock: this machine's clock is about 10m0s ahead of the API server's: times that you see are wrong, and attempts to connect seem to be over | set the clock that is wrong; on this machine: timedatectl set-ntp true"}},
	}
}

// faultsOfOperators are seen by an administrator only.
func faultsOfOperators() []plantedFault {
	where := metav1.ObjectMeta{Namespace: testenv.OperatorNamespace, Name: "oauth-operator", Labels: map[string]string{"app.kubernetes.io/name": "oauth-operator"}}
	plant := func(c *clinic, obj client.Object) {
		c.administrator()
		c.create(obj)
		c.Cleanup(func() { _ = env.Client.Delete(context.Background(), obj) })
	}
	return []plantedFault{
		{"the operator is not installed", func(c *clinic) { c.administrator() },
			[]string{"xx operator: no Deployment in this cluster has label app.kubernetes.io/name=oauth-operator: the operator is not installed | " + installHint}},
		{"nobody leads", func(c *clinic) {
			plant(c, &coordinationv1.Lease{ObjectMeta: *where.DeepCopy(), Spec: coordinationv1.LeaseSpec{
				HolderIdentity: ptr.To("oauth-operator-0"), RenewTime: &metav1.MicroTime{Time: c.clock.Now().Add(-20*time.Minute - 30*time.Second)}}})
		}, []string{"xx operator: no replica leads: Lease oauth-operator in namespace oauth-operator was renewed 20m ago | ask the platform team whether it runs: " + findIt}},
		{"the operator does not start", func(c *clinic) {
			pod := corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "ghcr.io/oauth-operator/oauth-operator:v0.1.0"}}}
			plant(c, deployment(*where.DeepCopy(), pod))
		}, []string{"xx operator: Deployment oauth-operator in namespace oauth-operator has no replica that is ready | kubectl -n oauth-operator describe deployment,pods -l app.kubernetes.io/name=oauth-operator; kubectl -n oauth-operator logs deployment/oauth-operator"}},
	}
}
