// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// leaveItToThePerson says what can be tried, and waits for the end.
func (d *demo) leaveItToThePerson(ctx context.Context) error {
	if err := d.awaitStartAddress(ctx); err != nil {
		return err
	}
	s, who := d.story, person()
	s.tell("Open this address in a browser on this machine. The address is good for half an hour or more; the commands below print a fresh one.")
	s.print("\n" + indent + d.start + "\n\n")
	s.tell("Sign in as %s with password %s, and approve. In another terminal:", who.Name, who.Password)
	s.print("\n" + indent + "export KUBECONFIG=" + d.kubeconfig() + "\n\n")
	for _, c := range []struct{ command, why string }{
		{"kubectl get oac", "alice becomes Ready when you have consented"},
		{"kubectl get oac alice -o jsonpath='{.status.authorizationURL}'", "a fresh address"},
		{"kubectl describe oac alice", "the cause and the next command, and what happened"},
		{"kubectl get oac -w -o wide", "another token every few seconds"},
		{"kubectl describe secret alice", "what workloads mount"},
		{`curl -H "Authorization: Bearer $(` + readToken + `)" ` + d.provider.URL(idp.API), "what workloads do"},
		{"kubectl delete secret alice", "it comes back"},
		{`kubectl annotate --overwrite oac alice oauth-operator.dev/refresh-requested-at="$(date +%s)"`, "another token now"},
		{"kubectl delete oac alice", "the grant is revoked"},
		{"kubectl apply -f " + d.folder, "and again"},
	} {
		s.print(indent + s.colour(dim, "# "+c.why) + "\n" + indent + c.command + "\n")
	}
	s.print("\n")
	s.tell("Is your browser on another machine? Forward both ports from there first:")
	s.print(fmt.Sprintf("\n%sssh -L %s:%s -L %s:%s HOST\n\n", indent,
		port(d.addresses.callback), d.addresses.callback, port(d.addresses.provider), d.addresses.provider))
	s.tell("Everything stays up until Ctrl-C.")
	<-ctx.Done()
	return ctx.Err()
}
