// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds tests that run the operator as processes, as it is run in a cluster: with its
// own identity and the rights of config/rbac, against a real API server and a real provider.
//
// There is one test. Its stories are what the operator promises, each in an environment of its own,
// some at the same time. Everything the operator says and asks on the way is kept as evidence, and
// judged when all stories are over: by then nothing secret was said, nothing forbidden was asked and
// no right was left unused.
//
// "go test -short" leaves out the two stories that take minutes.
package e2e

import (
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// story is one promise.
type story struct {
	name string
	tell func(*testing.T, *evidence)
	long bool
}

func stories() []story {
	return []story{
		{name: "TargetsNeverHoldAnExpiredTokenWhileALeaderDies", tell: targetsStayFresh, long: true},
		{name: "NothingIsWrittenAtRestAndNothingAskedAfterARestart", tell: restIsSilent, long: true},
		{name: "EveryRightIsUsed", tell: everyRightIsUsed},
		{name: "AHundredReplaysOnThreeReplicasExchangeOneCode", tell: replaysExchangeOnce},
		{name: "AConsentSurvivesARestartBetweenRedirectAndCallback", tell: consentSurvivesRestart},
		{name: "AGracefulStopLosesNoRefreshAndHandsOverAtOnce", tell: gracefulStop},
		{name: "WhoMayEditConnectsByOneBrowserAndNobodyElseDoes", tell: pairedBrowserConnects},
		{name: "AConsentGoesFromReplicaToReplica", tell: consentGoesRound},
		{name: "WithRedirectLoopbackNoBrowserReachesTheOperator", tell: loopbackNeedsNoWay},
		{name: "CtrlCLeavesNothingBehindAtAnyMoment", tell: interruptsLeaveNothing},
		{name: "ALeaderThatDiesDuringAConsentIsNotMissed", tell: leaderDiesDuringConsent},
		{name: "TenThousandStartsByStrangersCostNothing", tell: floodCostsNothing},
		{name: "TheExamplesFollowTheTokenIntoRealServers", tell: examplesFollowTheToken},
		{name: "AnOutageOfTheAPIServerLosesNoAnswerOfTheProvider", tell: outageLosesNothing},
		{name: "AKillDuringAnOutageLosesNoAnswerOfTheProvider", tell: killLosesNothing},
		{name: "ALeaderThatStartsAgainLeadsAtOnce", tell: leadsAgain},
	}
}

func TestTheOperator(t *testing.T) {
	log.SetLogger(logr.Discard()) // envtest's
	e := newEvidence()
	t.Run("Running", func(t *testing.T) {
		for _, s := range stories() {
			t.Run(s.name, func(t *testing.T) {
				if s.long && testing.Short() {
					t.Skip("takes minutes")
				}
				t.Parallel()
				s.tell(t, e)
			})
		}
	})
	t.Run("NothingSecretWasSaid", e.nothingSecretWasSaid)
	t.Run("NothingForbiddenWasAsked", e.nothingForbiddenWasAsked)
	t.Run("NoRightWasLeftUnused", e.noRightWasLeftUnused)
}
