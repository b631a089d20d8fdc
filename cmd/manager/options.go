// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/egress"
)

// The ways in which people may connect accounts.
const (
	modePairing     = "Pairing"
	modePairingCode = "PairingCode"
	modeDeviceCode  = "DeviceCode"
	modeLink        = "Link"
)

const usage = `manager [flags]                 runs the operator
manager rotate-keyset [flags]   adds a fresh key to the keyset and makes it primary; only --namespace matters
manager prune-keyset [flags]    drops the older keys once no record needs them; only --namespace matters

Flags:
`

// options are what the platform team decides, by flags.
type options struct {
	// keyset is the command that changes it; nil: the operator runs.
	keyset func(*keysets, context.Context) error

	publicURL       string
	namespace       string
	watchNamespaces []string
	watchTargets    bool
	concurrency     int
	leaderElect     bool
	shutdown        time.Duration
	journalDir      string

	callbackAddr, callbackCertDir string
	metricsAddr, probeAddr        string
	trustedProxies                []string
	connectModes                  []string
	linkLifetime                  time.Duration
	requestsPerMinute             int
	signIn                        signInOptions

	allowHTTP  bool
	allowCIDRs []string
	denyCIDRs  []string
	caFile     string

	logLevel, logFormat string

	egress  egress.Policy
	proxies []netip.Prefix
}

// parse reads flags and checks what can be checked without a cluster.
func parse(args []string) (*options, error) {
	o := &options{}
	flags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	o.bind(flags)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage, flags.FlagUsages()) }
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch rest := flags.Args(); {
	case len(rest) == 1 && rest[0] == "rotate-keyset":
		o.keyset = (*keysets).rotate
	case len(rest) == 1 && rest[0] == "prune-keyset":
		o.keyset = (*keysets).prune
	case len(rest) > 0:
		return nil, fmt.Errorf("unknown command %q; there are rotate-keyset and prune-keyset", strings.Join(rest, " "))
	}
	return o, o.complete()
}

func (o *options) bind(f *pflag.FlagSet) {
	f.StringVar(&o.publicURL, "public-url", "", "Address of the callback server as browsers see it, such as https://oauth.example.com. Without it only connections with redirect: Loopback can be connected.")
	f.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "The operator's own namespace, where sealed records and the keyset are. The default is $POD_NAMESPACE.")
	f.StringSliceVar(&o.watchNamespaces, "watch-namespace", nil, "Namespace to serve; repeatable. The default is all.")
	f.BoolVar(&o.watchTargets, "watch-targets", true, "Watch the metadata of target Secrets, to heal them at once. Needs list and watch on Secrets.")
	f.IntVar(&o.concurrency, "concurrency", 64, "How many connections are worked on at the same time, half of them at most of one namespace.")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "Reconcile on one replica only. Needed with more than one replica.")
	f.DurationVar(&o.shutdown, "shutdown-timeout", 70*time.Second, "How long to wait at the end for requests that are under way. Tokens that are not saved yet are waited for without a limit.")
	f.StringVar(&o.journalDir, "journal-dir", "", "Directory on the local disk, for this process alone, where tokens that are not saved yet outlive a crash of the container. Without it they are held in memory only.")

	f.StringVar(&o.callbackAddr, "callback-bind-address", ":8082", "Where the callback server listens.")
	f.StringVar(&o.callbackCertDir, "callback-cert-dir", "", "Directory with tls.crt and tls.key for the callback server, reloaded when they change. Without it the server speaks plain HTTP, for an ingress in front.")
	f.StringVar(&o.metricsAddr, "metrics-bind-address", ":8080", "Where /metrics is served; 0 switches it off.")
	f.StringVar(&o.probeAddr, "health-probe-bind-address", ":8081", "Where /healthz and /readyz are served.")
	f.StringSliceVar(&o.trustedProxies, "trusted-proxy", nil, "CIDR of proxies whose X-Forwarded-For is believed; repeatable.")
	f.IntVar(&o.requestsPerMinute, "requests-per-minute", 120, "How many pages one client address may ask for in a minute, half of them at once. Connecting takes about five.")
	f.StringSliceVar(&o.connectModes, "connect-mode", []string{modePairing}, "Way in which people may connect accounts; repeatable. Pairing: kubectl oauth connect, with a browser on the same machine. PairingCode: the same with --code, which a browser elsewhere shows and the person types. DeviceCode: kubectl oauth connect for connections with grant DeviceCode, with a code that is typed in at the provider, in any browser. Link: status.authorizationURL holds an address with a short-lived ticket, which lets in whoever holds it.")
	f.DurationVar(&o.linkLifetime, "link-lifetime", time.Hour, "How long an address of Link mode is good, at least half of it when it is read.")

	o.signIn.bind(f)

	f.BoolVar(&o.allowHTTP, "allow-http", false, "Let providers, and --public-url, have http:// addresses. For development only: secrets travel in the clear.")
	f.StringSliceVar(&o.allowCIDRs, "allow-cidr", nil, "Address range that providers may have although it is private or special, such as 10.20.0.0/16; repeatable.")
	f.StringSliceVar(&o.denyCIDRs, "deny-cidr", nil, "Address range that providers may not have although it is public, such as that of the cluster's nodes; repeatable. It wins over --allow-cidr.")
	f.StringVar(&o.caFile, "ca-file", "", "PEM file of certificate authorities to trust for providers, besides the system's.")

	f.StringVar(&o.logLevel, "log-level", "info", "debug, info or error.")
	f.StringVar(&o.logFormat, "log-format", "json", "json or text.")
}

func (o *options) complete() error {
	if !slices.Contains([]string{"debug", "info", "error"}, o.logLevel) {
		return fmt.Errorf("--log-level is %q; it has to be debug, info or error", o.logLevel)
	}
	if !slices.Contains([]string{"json", "text"}, o.logFormat) {
		return fmt.Errorf("--log-format is %q; it has to be json or text", o.logFormat)
	}
	if o.namespace == "" {
		return errors.New("--namespace is needed outside a pod: the operator's own namespace")
	}
	if o.keyset != nil {
		return nil
	}
	if err := o.checkPublicURL(); err != nil {
		return err
	}
	o.connectModes = slices.DeleteFunc(o.connectModes, func(mode string) bool { return mode == "" })
	for _, mode := range o.connectModes {
		if known := []string{modePairing, modePairingCode, modeDeviceCode, modeLink}; !slices.Contains(known, mode) {
			return fmt.Errorf("--connect-mode %q is not known; there are %s", mode, strings.Join(known, ", "))
		}
	}
	if err := o.signIn.complete(o.publicURL); err != nil {
		return err
	}
	if o.linkLifetime < time.Minute {
		return errors.New("--link-lifetime is at least 1m")
	}
	if o.concurrency < 1 || o.requestsPerMinute < 1 {
		return errors.New("--concurrency and --requests-per-minute are at least 1")
	}
	var err error
	if o.proxies, err = prefixes("--trusted-proxy", o.trustedProxies); err != nil {
		return err
	}
	return o.completeEgress()
}

// checkPublicURL holds the pages to https, without which cookies could be planted by others: a browser
// keeps those of https to the host alone (the __Host- prefix). Nobody is between it and its own machine.
func (o *options) checkPublicURL() error {
	o.publicURL = strings.TrimRight(o.publicURL, "/")
	if o.publicURL == "" {
		return nil
	}
	base, err := url.Parse(o.publicURL)
	if err != nil || base.Host == "" || o.publicURL != base.Scheme+"://"+base.Host || (base.Scheme != "https" && base.Scheme != "http") {
		return fmt.Errorf("--public-url is %q; it has to be the address that browsers reach, without a path, such as https://oauth.example.com", o.publicURL)
	}
	here := base.Hostname() == "localhost" || net.ParseIP(base.Hostname()).IsLoopback()
	if base.Scheme == "http" && !here && !o.allowHTTP {
		return fmt.Errorf("--public-url is %q; over plain http others can plant cookies: it has to be https, except for development with --allow-http", o.publicURL)
	}
	return nil
}

func (o *options) completeEgress() (err error) {
	o.egress.AllowHTTP = o.allowHTTP
	if o.egress.AllowCIDRs, err = prefixes("--allow-cidr", o.allowCIDRs); err != nil {
		return err
	}
	if o.egress.DenyCIDRs, err = prefixes("--deny-cidr", o.denyCIDRs); err != nil || o.caFile == "" {
		return err
	}
	pem, err := os.ReadFile(o.caFile)
	if err != nil {
		return fmt.Errorf("--ca-file: %w", err)
	}
	if o.egress.RootCAs, err = x509.SystemCertPool(); err != nil {
		return err
	}
	if !o.egress.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("--ca-file: %s holds no certificate", o.caFile)
	}
	return nil
}

// modes are the ways in which people may connect accounts.
func (o *options) modes() connect.Modes {
	modes := connect.Modes{
		SignIn:      o.signIn.issuer != "",
		Pairing:     slices.Contains(o.connectModes, modePairing),
		PairingCode: slices.Contains(o.connectModes, modePairingCode),
		Device:      slices.Contains(o.connectModes, modeDeviceCode),
	}
	if slices.Contains(o.connectModes, modeLink) {
		modes.Link = o.linkLifetime
	}
	return modes
}

func prefixes(flag string, texts []string) ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no address range such as 10.20.0.0/16", flag, text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

func (o *options) logger() logr.Logger {
	level := zapcore.InfoLevel
	switch o.logLevel {
	case "debug":
		level = zapcore.DebugLevel
	case "error":
		level = zapcore.ErrorLevel
	}
	return zap.New(zap.UseDevMode(o.logFormat == "text"), zap.Level(level), zap.StacktraceLevel(zapcore.PanicLevel))
}
