// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow kstatus; the other four are the steps of
// a reconcile, in their order.
const (
	// ReadyCondition is True while the target Secret holds an access token that can be used.
	// It is derived from the other conditions.
	ReadyCondition = "Ready"
	// ReconcilingCondition is True while the operator or a person still has something to do.
	// It is absent otherwise.
	ReconcilingCondition = "Reconciling"
	// StalledCondition is True when nothing will change until somebody changes something.
	// It is absent otherwise.
	StalledCondition = "Stalled"

	// ClientResolvedCondition says whether provider, client and keys exist and agree.
	ClientResolvedCondition = "ClientResolved"
	// AuthorizedCondition says whether a grant is held for this provider, client and these scopes.
	AuthorizedCondition = "Authorized"
	// TokenFreshCondition says whether the access token is valid and its last renewal worked.
	TokenFreshCondition = "TokenFresh"
	// SecretPublishedCondition says whether the target Secret holds what it should.
	SecretPublishedCondition = "SecretPublished"

	// GrantExpiringCondition is True in the last days before a person has to consent again. It is
	// absent otherwise.
	GrantExpiringCondition = "GrantExpiring"
)

// Reasons of the Ready condition that no step gives.
const (
	// ReasonReady means everything is well.
	ReasonReady = "Ready"
	// ReasonSuspended means spec.suspend is true: nothing is renewed or published.
	ReasonSuspended = "Suspended"
	// ReasonProgressing means that the step was not reached yet, or that the API server has to be
	// asked again.
	ReasonProgressing = "Progressing"
)

// Reasons of ClientResolved.
const (
	// ReasonResolved means that provider and client are complete.
	ReasonResolved = "Resolved"
	// ReasonProviderNotFound means that the object behind spec.providerRef does not exist.
	ReasonProviderNotFound = "ProviderNotFound"
	// ReasonProviderInvalid means that the provider's description lacks something or contradicts itself.
	ReasonProviderInvalid = "ProviderInvalid"
	// ReasonNamespaceNotSelected means that the ClusterOAuthProvider does not serve this namespace.
	ReasonNamespaceNotSelected = "NamespaceNotSelected"
	// ReasonDiscoveryFailed means that the issuer's metadata could not be fetched or read.
	ReasonDiscoveryFailed = "DiscoveryFailed"
	// ReasonIssuerMismatch means that the metadata names another issuer (RFC 8414 section 3.3).
	ReasonIssuerMismatch = "IssuerMismatch"
	// ReasonClientInvalid means that client id, authentication and grant do not fit together.
	ReasonClientInvalid = "ClientInvalid"
	// ReasonClientSecretNotFound means that the client's Secret or its key does not exist.
	ReasonClientSecretNotFound = "ClientSecretNotFound"
	// ReasonClientKeyInvalid means that the client's private key or certificate cannot be used.
	ReasonClientKeyInvalid = "ClientKeyInvalid"
	// ReasonServiceAccountTokenFailed means that no token of the ServiceAccount could be had.
	ReasonServiceAccountTokenFailed = "ServiceAccountTokenFailed"
	// ReasonSubjectInvalid means that spec.subject gives no assertion or subject token.
	ReasonSubjectInvalid = "SubjectInvalid"
	// ReasonEndpointNotAllowed means that the operator may not connect to an address of the provider.
	ReasonEndpointNotAllowed = "EndpointNotAllowed"
)

// Reasons of Authorized.
const (
	// ReasonAuthorized means that a grant is held.
	ReasonAuthorized = "Authorized"
	// ReasonScopesReduced means that a grant is held, with fewer scopes than asked for.
	ReasonScopesReduced = "ScopesReduced"
	// ReasonGrantEnds means that the grant ends at status.refreshTokenExpiresAt, however often it is
	// renewed.
	ReasonGrantEnds = "GrantEnds"
	// ReasonIDTokenInvalid means that a grant is held, and that the ID token which came with it was not
	// made by this provider for this client.
	ReasonIDTokenInvalid = "IDTokenInvalid"
	// ReasonSeedInvalid means that the Secret behind spec.seed is missing or holds no refresh token.
	ReasonSeedInvalid = "SeedInvalid"
	// ReasonAuthorizationRequired means that a person has to consent.
	ReasonAuthorizationRequired = "AuthorizationRequired"
	// ReasonReauthorizationRequired means that the grant that was held cannot be used any more:
	// the provider ended it, or issuer, endpoints, client or scopes changed.
	ReasonReauthorizationRequired = "ReauthorizationRequired"
	// ReasonRecordUnreadable means that the sealed record cannot be opened with the keys at hand.
	ReasonRecordUnreadable = "RecordUnreadable"
)

// Reasons of TokenFresh.
const (
	// ReasonFresh means that the access token is valid and its renewal is planned.
	ReasonFresh = "Fresh"
	// ReasonRefreshFailed means that the provider could not be reached or failed; it is tried again.
	ReasonRefreshFailed = "RefreshFailed"
	// ReasonThrottled means that the provider asked to wait.
	ReasonThrottled = "Throttled"
	// ReasonClientRejected means that the provider refused the client's credentials.
	ReasonClientRejected = "ClientRejected"
	// ReasonRequestRejected means that the provider refused scopes or parameters.
	ReasonRequestRejected = "RequestRejected"
	// ReasonAtRisk means that the refresh token may be spent without its successor being held: no usable
	// answer came, the operator was killed between an answer and its record, or a backup was restored.
	ReasonAtRisk = "AtRisk"
	// ReasonResponseInvalid means that the token is valid, and that an expression of the provider's
	// tokenResponse or metadata gave something else than it should.
	ReasonResponseInvalid = "ResponseInvalid"
	// ReasonTokenUnsaved means that an answer is held in memory until the API server takes it.
	ReasonTokenUnsaved = "TokenUnsaved"
	// ReasonTokenExpired means that the access token in the target Secret is past its expiry.
	ReasonTokenExpired = "TokenExpired"
)

// Reasons of SecretPublished.
const (
	// ReasonPublished means that the target Secret holds what it should.
	ReasonPublished = "Published"
	// ReasonSecretConflict means that the target Secret belongs to somebody else.
	ReasonSecretConflict = "SecretConflict"
	// ReasonTemplateInvalid means that the template cannot be rendered.
	ReasonTemplateInvalid = "TemplateInvalid"
	// ReasonPublishFailed means that the API server did not take the target Secret.
	ReasonPublishFailed = "PublishFailed"
)

// Condition and reasons of OAuthAuthorization.
const (
	// CompletedCondition is True when the attempt connected the account, False when it ended otherwise.
	CompletedCondition = "Completed"
	// ReasonWaitingForBrowser means that the requester's browser has not come yet.
	ReasonWaitingForBrowser = "WaitingForBrowser"
	// ReasonWaitingForProvider means that the person has not come back from the provider.
	ReasonWaitingForProvider = "WaitingForProvider"
	// ReasonConnected means that the account was connected.
	ReasonConnected = "Connected"
	// ReasonConnectionNotFound means that there is no such connection.
	ReasonConnectionNotFound = "ConnectionNotFound"
	// ReasonConnectionNotReady means that the connection's provider or client is not complete.
	ReasonConnectionNotReady = "ConnectionNotReady"
	// ReasonNoPersonNeeded means that the connection's client acts for itself.
	ReasonNoPersonNeeded = "NoPersonNeeded"
	// ReasonMethodNotAllowed means that the platform team has not switched this way of connecting on.
	ReasonMethodNotAllowed = "MethodNotAllowed"
	// ReasonDenied means that the person or the provider said no.
	ReasonDenied = "Denied"
	// ReasonAccountNotExpected means that another account consented than spec.expectedAccount.
	ReasonAccountNotExpected = "AccountNotExpected"
	// ReasonResponseRefused means that the response does not belong to the attempt.
	ReasonResponseRefused = "ResponseRefused"
	// ReasonCodeExpired means that nobody typed the user code in before it ran out.
	ReasonCodeExpired = "CodeExpired"
	// ReasonExchangeFailed means that the provider refused the authorization code or could not be asked.
	ReasonExchangeFailed = "ExchangeFailed"
)

// Annotations by which people ask for something. A value is any text, by convention the time; a
// new value asks again.
const (
	// RefreshRequestedAnnotation asks for a renewal now. It is acknowledged in status.lastHandledRefresh.
	RefreshRequestedAnnotation = "oauth-operator.dev/refresh-requested-at"
	// DisconnectRequestedAnnotation asks to give up the grant. It is acknowledged in
	// status.lastHandledDisconnect.
	DisconnectRequestedAnnotation = "oauth-operator.dev/disconnect-requested-at"
	// AdoptAnnotation on a Secret lets the connection that it names take the Secret over.
	AdoptAnnotation = "oauth-operator.dev/adopt-by"
)

// ConnectionUIDLabel is the UID of the connection that a record or a target Secret belongs to. It
// selects what the operator watches; who owns a Secret is said by its owner reference alone.
const ConnectionUIDLabel = "oauth-operator.dev/connection-uid"

// Finalizer holds a deleted OAuthConnection until its grant is revoked and its record is gone.
const Finalizer = "oauth-operator.dev/finalizer"
