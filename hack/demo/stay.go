// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// connectCommand is run as a user who may edit in the namespace, and nothing else.
const connectCommand = "kubectl oauth connect alice --context alice"

// leaveItToThePerson says what can be tried, and waits for the end.
func (d *demo) leaveItToThePerson(ctx context.Context) error {
	if err := d.awaitWord(ctx); err != nil {
		return err
	}
	s, who := d.story, person()
	s.tell("In another terminal, on this machine:")
	s.print("\n" + indent + "export KUBECONFIG=" + d.kubeconfig() + "\n" +
		indent + `export PATH="$PWD/bin:$PWD/bin/k8s:$PATH"` + "\n" + indent + connectCommand + "\n\n")
	s.tell("Your browser opens. Read the page and go on, sign in as %s with password %s, and approve. Then:", who.Name, who.Password)
	s.print("\n")
	for _, c := range []struct{ command, why string }{
		{"kubectl oauth status alice", "one screen about it"},
		{"kubectl oauth connect alice --context victor", "who may only view is refused"},
		{"kubectl get oac", "all connections"},
		{"kubectl describe oac alice", "the cause and the next command, and what happened"},
		{"kubectl get oac -w -o wide", "another token every few seconds"},
		{"kubectl describe secret alice", "what workloads mount"},
		{`curl -H "Authorization: Bearer $(` + readToken + `)" ` + d.provider.URL(idp.API), "what workloads do"},
		{"kubectl delete secret alice", "it comes back"},
		{"kubectl oauth refresh alice", "another token now"},
		{"kubectl delete oac alice", "the grant is revoked"},
		{"kubectl apply -f " + d.folder, "and again"},
	} {
		s.print(indent + s.colour(dim, "# "+c.why) + "\n" + indent + c.command + "\n")
	}
	s.print("\n")
	s.tell("Is your browser on another machine? Forward three ports from there, then connect with these flags:")
	const meeting = "18000" // of the browser and kubectl oauth
	s.print(fmt.Sprintf("\n%sssh -L %s:%s -L %s:%s -L %s:127.0.0.1:%s HOST\n", indent,
		port(d.addresses.callback), d.addresses.callback, port(d.addresses.provider), d.addresses.provider, meeting, meeting))
	s.print(indent + connectCommand + " --no-browser --port " + meeting + "\n\n")
	s.tell("Everything stays up until Ctrl-C.")
	<-ctx.Done()
	return ctx.Err()
}
