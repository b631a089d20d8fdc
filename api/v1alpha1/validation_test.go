// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	os.Exit(testenv.Run(m, testenv.Options{CRDs: true}, func(e *testenv.Env) { env = e }))
}

// client and provider are what a complete connection needs at least.
const (
	inlineProvider = "provider: {preset: github}\n"
	someClient     = "client: {id: abc, secretRef: {name: s}}\n"
	complete       = inlineProvider + someClient
)

func manyOf(format string, n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(items, ", ")
}

func TestTheAPIServerRefusesAConnectionAndSaysWhy(t *testing.T) {
	for name, c := range map[string]struct{ spec, want string }{
		"neither provider nor providerRef": {someClient, "exactly one of provider and providerRef is needed"},
		"both provider and providerRef":    {complete + "providerRef: {name: p}", "exactly one of provider and providerRef is needed"},
		"an inline provider and no client": {inlineProvider, "client is needed with an inline provider"},
		"a provider that says nothing":     {someClient + "provider: {pkce: S256}", "one of preset, issuer and endpoints.token is needed"},
		"Basic without a secret":           {inlineProvider + "client: {id: abc, authentication: ClientSecretBasic}", "secretRef is needed for ClientSecretBasic, ClientSecretPost"},
		"Post without a secret":            {inlineProvider + "client: {id: abc, authentication: ClientSecretPost}", "secretRef is needed for ClientSecretBasic, ClientSecretPost"},
		"None with a secret":               {inlineProvider + "client: {id: abc, authentication: None, secretRef: {name: s}}", "not allowed for ServiceAccountToken and None"},
		"an unknown authentication":        {inlineProvider + "client: {id: abc, authentication: Magic}", "supported values"},
		"client credentials of a public client": {inlineProvider + "client: {id: abc}\ngrant: ClientCredentials",
			"a public client has no credentials"},
		"authorizationParams without an authorization": {complete + "grant: ClientCredentials\nauthorizationParams: {a: b}",
			"authorizationParams belong to grant AuthorizationCode"},
		"a redirect without a person": {complete + "grant: ClientCredentials\nredirect: Loopback",
			"redirect belongs to grant AuthorizationCode"},
		"an account without a person": {complete + "grant: ClientCredentials\nexpectedAccount: octocat",
			"expectedAccount and seed belong to grants AuthorizationCode and DeviceCode"},
		"a seed without a person": {complete + "grant: ClientCredentials\nseed: {secretRef: {name: s, key: k}}",
			"expectedAccount and seed belong to grants AuthorizationCode and DeviceCode"},
		"an exchange without a subject": {complete + "grant: TokenExchange", "subject belongs to grants JWTBearer and TokenExchange"},
		"a subject without an exchange": {complete + "subject: {secretRef: {name: s, key: k}}", "subject belongs to grants JWTBearer and TokenExchange"},
		"a subject that is nothing":     {complete + "grant: JWTBearer\nsubject: {}", "exactly one of serviceAccountRef, secretRef and signedJWT"},
		"two subjects": {complete + "grant: JWTBearer\nsubject: {secretRef: {name: s, key: k}, serviceAccountRef: {name: a, audience: b}}",
			"exactly one of serviceAccountRef, secretRef and signedJWT"},
		"a token type of an assertion": {complete + "grant: JWTBearer\nsubject: {secretRef: {name: s, key: k}, tokenType: 'urn:x'}", "belong to grant TokenExchange"},
		"a claim that is the operator's": {complete + "grant: JWTBearer\nsubject: {signedJWT: {keyRef: {name: s, key: k}, claims: {exp: '1'}}}",
			"are set by the operator"},
		"a key without PrivateKeyJWT":       {inlineProvider + "client: {id: abc, keyID: k, secretRef: {name: s}}", "keyID and algorithm belong to authentication PrivateKeyJWT"},
		"an algorithm that is none":         {inlineProvider + "client: {id: abc, authentication: PrivateKeyJWT, algorithm: HS256, secretRef: {name: s}}", "supported values"},
		"a token of no ServiceAccount":      {inlineProvider + "client: {id: abc, authentication: ServiceAccountToken}", "serviceAccountRef belongs to authentication ServiceAccountToken"},
		"a ServiceAccount and a secret":     {inlineProvider + "client: {id: abc, authentication: ServiceAccountToken, secretRef: {name: s}, serviceAccountRef: {name: a, audience: b}}", "not allowed for ServiceAccountToken"},
		"a ServiceAccount without audience": {inlineProvider + "client: {id: abc, authentication: ServiceAccountToken, serviceAccountRef: {name: a}}", "audience"},
		"a ServiceAccount elsewhere": {inlineProvider + "client: {id: abc, authentication: ServiceAccountToken, serviceAccountRef: {name: a, audience: b, namespace: kube-system}}",
			"unknown field"},
		"a code under another's name":   {someClient + "provider: {preset: github, authorizationResponse: {code: state}}", "cannot have the name of another parameter"},
		"metadata without a value":      {someClient + "provider: {preset: github, metadata: [{name: a}]}", "spec.provider.metadata[0].value"},
		"metadata twice":                {someClient + "provider: {preset: github, metadata: [{name: a, value: body.a}, {name: a, value: body.b}]}", "Duplicate value"},
		"an error that never is":        {someClient + "provider: {preset: github, errors: [{means: GrantEnded}]}", "code or contains is needed"},
		"a very long header":            {someClient + "provider: {preset: github, tokenRequest: {headers: {A: " + strings.Repeat("x", 257) + "}}}", "at most 64 characters in its name and 256"},
		"a very long name":              {someClient + "provider: {preset: github, tokenRequest: {rename: {code: " + strings.Repeat("x", 65) + "}}}", "at most 64 characters"},
		"an unknown format":             {someClient + "provider: {preset: github, tokenRequest: {format: XML}}", "supported values"},
		"an unknown redirect":           {complete + "redirect: Magic", "supported values"},
		"an empty expectation":          {complete + "expectedAccount: ''", "at least 1 chars"},
		"an unknown grant":              {complete + "grant: Password", "supported values"},
		"a reserved parameter":          {complete + "authorizationParams: {state: x}", "are set by the operator"},
		"a reserved provider parameter": {someClient + "provider: {preset: github, authorizationParams: {code_challenge: x}}", "are set by the operator"},
		"a reserved token parameter":    {someClient + "provider: {preset: github, tokenParams: {grant_type: x}}", "are set by the operator"},
		"too many parameters":           {complete + "authorizationParams: {" + manyOf("k%d: v", 33) + "}", "must have at most 32"},
		"a very long parameter":         {complete + "authorizationParams: {a: " + strings.Repeat("x", 1025) + "}", "at most 64 characters in its name and 1024"},
		"a scope with a space":          {complete + `scopes: ["a b"]`, "spec.scopes[0]"},
		"a scope with a quote":          {complete + `scopes: ['a"b']`, "spec.scopes[0]"},
		"the same scope twice":          {complete + "scopes: [a, a]", "Duplicate value"},
		"too many scopes":               {complete + "scopes: [" + manyOf("s%d", 65) + "]", "must have at most 64 items"},
		"an address that is none":       {someClient + "provider: {issuer: 'ftp://x'}", "spec.provider.issuer"},
		"an address with a user":        {someClient + "provider: {issuer: 'https://user@idp.example.com'}", "spec.provider.issuer"},
		"an address with a fragment":    {someClient + "provider: {endpoints: {token: 'https://idp.example.com/token#x'}}", "spec.provider.endpoints.token"},
		"a very long address":           {someClient + "provider: {issuer: 'https://idp.example.com/" + strings.Repeat("x", 512) + "'}", "spec.provider.issuer"},
		"an unknown proof key method":   {someClient + "provider: {preset: github, pkce: plain}", "supported values"},
		"a Secret's name that is none":  {inlineProvider + "client: {id: abc, secretRef: {name: ../x}}", "spec.client.secretRef.name"},
		"a namespace in a reference":    {inlineProvider + "client: {id: abc, secretRef: {name: s, namespace: kube-system}}", "unknown field"},
		"an empty client id":            {inlineProvider + "client: {id: ''}", "spec.client.id"},
		"a target name that is none":    {complete + "secret: {name: Upper}", "spec.secret.name"},
		"a ServiceAccount token as a type": {complete + "secret: {template: {type: kubernetes.io/service-account-token}}",
			"type is one of Opaque"},
		"a type that only starts well":    {complete + "secret: {template: {type: servicebinding.io/}}", "type is one of Opaque"},
		"a reserved annotation":           {complete + "secret: {template: {metadata: {annotations: {kubernetes.io/service-account.name: x}}}}", "are reserved"},
		"a reserved label":                {complete + "secret: {template: {metadata: {labels: {oauth-operator.dev/connection-uid: x}}}}", "are reserved"},
		"a key that is none":              {complete + `secret: {template: {data: {"a/b": x}}}`, "a key has letters"},
		"a template that is very long":    {complete + "secret: {template: {data: {a: '" + strings.Repeat("x", 4097) + "'}}}", "at most 4096 characters"},
		"too many keys":                   {complete + "secret: {template: {data: {" + manyOf("k%d: v", 33) + "}}}", "must have at most 32"},
		"a renewal that comes at once":    {complete + "refresh: {before: 1s}", "before is between 5s and 720h"},
		"a duration that is none":         {someClient + "provider: {preset: github, refresh: {tokenLifetime: 999999999h}}", "spec.provider.refresh.tokenLifetime"},
		"an unknown field":                {complete + "scope: [a]", "unknown field"},
		"an unknown kind of provider":     {"providerRef: {kind: Secret, name: p}", "supported values"},
		"an unknown deletion policy":      {complete + "deletionPolicy: Keep", "supported values"},
		"a preset's name that is a path":  {someClient + "provider: {preset: ../x}", "spec.provider.preset"},
		"an expression that is very long": {someClient + "provider: {preset: github, account: '" + strings.Repeat("x", 513) + "'}", "spec.provider.account"},
	} {
		t.Run(name, func(t *testing.T) {
			err := create(t, "OAuthConnection", c.spec)
			if err == nil {
				t.Fatal("it was taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the refusal is %q; it does not say %q", err, c.want)
			}
		})
	}
}

func TestTheAPIServerTakesWhatIsComplete(t *testing.T) {
	for name, spec := range map[string]string{
		"a preset":                          complete,
		"a key that is for an assertion":    inlineProvider + "client: {id: abc, authentication: PrivateKeyJWT, keyID: k, algorithm: ES256, secretRef: {name: s, key: k.pem}}",
		"a certificate":                     inlineProvider + "client: {id: abc, authentication: TLS, secretRef: {name: s}}",
		"no secret at all":                  inlineProvider + "client: {id: abc, authentication: ServiceAccountToken, serviceAccountRef: {name: a, audience: b}}\ngrant: ClientCredentials",
		"an assertion without a client":     inlineProvider + "grant: JWTBearer\nsubject: {signedJWT: {keyRef: {name: s, key: k}, issuer: i, claims: {scope: s}}}",
		"a device":                          complete + "grant: DeviceCode\nexpectedAccount: a@example.com",
		"a seed":                            complete + "seed: {secretRef: {name: s, key: refresh_token}}",
		"a reference":                       "providerRef: {name: p}",
		"a reference to a cluster provider": "providerRef: {kind: ClusterOAuthProvider, name: p}\n" + someClient,
		"a public client":                   inlineProvider + "client: {id: abc, authentication: None}",
		"a client that leaves its authentication to the provider": inlineProvider + "client: {id: abc}",
		"client credentials":       complete + "grant: ClientCredentials",
		"plain endpoints":          someClient + "provider: {endpoints: {authorization: 'https://idp.example.com/authorize?x=y', token: 'https://idp.example.com/token'}}",
		"http, for development":    someClient + "provider: {issuer: 'http://127.0.0.1:8080'}",
		"the largest of all":       complete + "authorizationParams: {" + manyOf("k%d: v", 32) + "}\nscopes: [" + manyOf("s%d", 64) + "]",
		"a servicebinding.io type": complete + "secret: {template: {type: servicebinding.io/oauth2}}",
		"a template":               complete + "secret: {name: x, keepPrevious: true, template: {type: Opaque, metadata: {labels: {app: x}, annotations: {example.com/y: z}}, data: {.netrc: '{{ .accessToken }}'}}}",
	} {
		t.Run(name, func(t *testing.T) {
			if err := create(t, "OAuthConnection", spec); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatCannotBeChangedIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"the grant":                             {complete, complete + "grant: ClientCredentials", "grant cannot be changed"},
		"the Secret's type":                     {complete + "secret: {template: {}}", complete + "secret: {template: {type: kubernetes.io/basic-auth}}", "type cannot be changed"},
		"the Secret's type, which was left out": {complete, complete + "secret: {template: {type: kubernetes.io/basic-auth}}", "type cannot be changed"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := object(t, "OAuthConnection", c.before)
			if err := env.Client.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			changed := object(t, "OAuthConnection", c.after)
			obj.Object["spec"] = changed.Object["spec"]
			err := env.Client.Update(t.Context(), obj)
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a refusal that says %q", err, c.want)
			}
		})
	}
}

// attempt is an OAuthAuthorization as kubectl oauth makes it.
const attempt = "connection: a\nrequester: jane\nloopback: {port: 8000}\n"

func TestAnAuthorizationSaysHowItsBrowserIsKnown(t *testing.T) {
	hash := strings.Repeat("a", 64)
	for name, c := range map[string]struct{ spec, want string }{
		"loopback":                 {attempt, ""},
		"loopback over IPv6":       {"{connection: a, loopback: {address: '::1', port: 8000}}", ""},
		"a code":                   {"{connection: a, method: Code}", ""},
		"no listener":              {"{connection: a}", "loopback belongs to method Loopback"},
		"a listener and a code":    {"{connection: a, method: Code, loopback: {port: 8000}}", "loopback belongs to method Loopback"},
		"a listener elsewhere":     {"{connection: a, loopback: {address: 10.0.0.1, port: 8000}}", "Unsupported value"},
		"port 0":                   {"{connection: a, loopback: {port: 0}}", "greater than or equal to 1"},
		"an unknown method":        {"{connection: a, method: Telepathy}", "Unsupported value"},
		"a browser without proof":  {attempt + "browser: {hash: " + hash + "}", "browser has hash and proofHash"},
		"a browser by its code":    {attempt + "browser: {code: BCDF-GHJK}", "browser has hash and proofHash"},
		"a code by its hash":       {"{connection: a, method: Code, browser: {hash: " + hash + ", proofHash: " + hash + "}}", "browser has hash and proofHash"},
		"a code of other letters":  {"{connection: a, method: Code, browser: {code: AEIO-UAEI}}", "should match"},
		"a code and an error":      {attempt + "response: {code: x, error: access_denied}", "exactly one of code and error"},
		"neither code nor error":   {attempt + "response: {issuer: 'https://a.example'}", "exactly one of code and error"},
		"an error with line ends":  {attempt + `response: {error: "access\ndenied"}`, "should match"},
		"a code that is too long":  {attempt + "response: {code: " + strings.Repeat("x", 8193) + "}", "Too long"},
		"no connection":            {"{connection: '', method: Code}", "should be at least 1 chars"},
		"a field nobody has heard": {attempt + "verifier: x", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			err := create(t, "OAuthAuthorization", c.spec)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAnAuthorizationIsWrittenOnce(t *testing.T) {
	hash, other := strings.Repeat("a", 64), strings.Repeat("b", 64)
	browser := "browser: {hash: " + hash + ", proofHash: " + hash + "}\n"
	for name, c := range map[string]struct{ before, after, want string }{
		"a browser is added":     {attempt, attempt + browser, ""},
		"a response is added":    {attempt + browser, attempt + browser + "response: {code: x}", ""},
		"another connection":     {attempt, strings.Replace(attempt, "connection: a", "connection: b", 1), "is written once"},
		"another requester":      {attempt, strings.Replace(attempt, "jane", "joe", 1), "is written once"},
		"no requester":           {attempt, strings.Replace(attempt, "requester: jane\n", "", 1), "is written once"},
		"a requester afterwards": {strings.Replace(attempt, "requester: jane\n", "", 1), attempt, "is written once"},
		"another port":           {attempt, strings.Replace(attempt, "8000", "8001", 1), "is written once"},
		"another method":         {attempt, "{connection: a, requester: jane, method: Code}", "is written once"},
		"another browser":        {attempt + browser, attempt + strings.ReplaceAll(browser, hash, other), "browser is written once"},
		"no browser":             {attempt + browser, attempt, "browser is written once"},
		"another response":       {attempt + "response: {code: x}", attempt + "response: {code: z}", "response is written once"},
		"no response":            {attempt + "response: {code: x}", attempt, "response is written once"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := object(t, "OAuthAuthorization", c.before)
			if err := env.Client.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			obj.Object["spec"] = object(t, "OAuthAuthorization", c.after).Object["spec"]
			err := env.Client.Update(t.Context(), obj)
			if c.want == "" && err != nil || c.want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestDefaultsAreSet(t *testing.T) {
	obj := object(t, "OAuthConnection", complete)
	if err := env.Client.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"grant":                "AuthorizationCode",
		"deletionPolicy":       "Revoke",
		"client.secretRef.key": "client-secret",
		"redirect":             "Hosted",
	} {
		got, _, err := unstructured.NestedString(obj.Object, append([]string{"spec"}, strings.Split(path, ".")...)...)
		if err != nil || got != want {
			t.Errorf("spec.%s is %q (%v), want %q", path, got, err, want)
		}
	}
}

func create(t *testing.T, kind, spec string) error {
	t.Helper()
	return env.Client.Create(t.Context(), object(t, kind, spec), client.DryRunAll, client.FieldValidation("Strict"))
}

func object(t *testing.T, kind, spec string) *unstructured.Unstructured {
	t.Helper()
	content := map[string]any{}
	if err := yaml.Unmarshal([]byte(spec), &content); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "oauth-operator.dev/v1alpha1",
		"kind":       kind,
		"metadata":   map[string]any{"generateName": "test-", "namespace": "default"},
		"spec":       content,
	}}
}
