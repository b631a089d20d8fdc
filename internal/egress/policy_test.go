// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestEveryDeniedRangeIsRefusedFromItsFirstToItsLastAddress(t *testing.T) {
	for _, row := range denied {
		for _, address := range []netip.Addr{row.prefix.Masked().Addr(), lastOf(row.prefix)} {
			if err := (Policy{}).checkAddr("host", address); err == nil {
				t.Errorf("%s of %s (%s) is allowed", address, row.prefix, row.rule)
			}
		}
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	raw := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(raw); bit++ {
		raw[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(raw)
	return last
}

func TestLiteralAddresses(t *testing.T) {
	for target, rule := range map[string]string{
		"https://127.0.0.1/":                      "loopback",
		"https://127.255.255.254:8443/":           "loopback",
		"https://[::1]/":                          "loopback",
		"https://[::1%25lo]/":                     "loopback",
		"https://0.0.0.0/":                        "this network",
		"https://[::]/":                           "unspecified",
		"https://10.1.2.3/":                       "private",
		"https://172.31.255.255/":                 "private",
		"https://192.168.0.1/":                    "private",
		"https://169.254.169.254/latest/":         "link-local",
		"https://[fe80::1%25eth0]/":               "link-local",
		"https://[fd00:ec2::254]/latest/":         "unique local",
		"https://[fd20:ce::254]/":                 "unique local",
		"https://[fec0::1]/":                      "site-local",
		"https://100.100.100.200/":                "carrier-grade NAT",
		"https://168.63.129.16/":                  "cloud metadata",
		"https://192.0.0.192/":                    "protocol assignment",
		"https://198.19.255.255/":                 "benchmarking",
		"https://192.0.2.1/":                      "documentation",
		"https://198.51.100.1/":                   "documentation",
		"https://203.0.113.1/":                    "documentation",
		"https://[2001:db8::1]/":                  "documentation",
		"https://[3fff::1]/":                      "documentation",
		"https://224.0.0.1/":                      "multicast",
		"https://[ff02::1]/":                      "multicast",
		"https://240.0.0.1/":                      "reserved",
		"https://255.255.255.255/":                "broadcast",
		"https://[::ffff:127.0.0.1]/":             "IPv4-mapped",
		"https://[::ffff:a9fe:a9fe]/":             "IPv4-mapped",
		"https://[::ffff:8.8.8.8]/":               "IPv4-mapped",
		"https://[::127.0.0.1]/":                  "IPv4-compatible",
		"https://[64:ff9b::169.254.169.254]/":     "translation",
		"https://[64:ff9b:1::a00:1]/":             "translation",
		"https://[2002:7f00:1::]/":                "6to4",
		"https://[2001:0:4136:e378:8000::1]/":     "Teredo",
		"https://[100::1]/":                       "discard",
		"https://[5f00::1]/":                      "segment routing",
		"https://[4000::1]/":                      "not global unicast",
		"https://[0:0:0:0:0:0:0:1]/":              "loopback",
		"https://8.8.8.8/":                        "",
		"https://1.1.1.1:8443/token":              "",
		"https://172.15.255.255/":                 "",
		"https://172.32.0.0/":                     "",
		"https://100.63.255.255/":                 "",
		"https://100.128.0.0/":                    "",
		"https://169.253.255.255/":                "",
		"https://198.17.255.255/":                 "",
		"https://198.20.0.0/":                     "",
		"https://223.255.255.255/":                "",
		"https://[2606:4700:4700::1111]/":         "",
		"https://[2001:4860:4860::8888]/":         "",
		"https://token.actions.example.com/token": "",
	} {
		err := CheckURL(Policy{}, target)
		if rule == "" {
			if err != nil {
				t.Errorf("%s: %v", target, err)
			}
			continue
		}
		var blocked *BlockedError
		if !errors.As(err, &blocked) || !strings.Contains(blocked.Rule, rule) {
			t.Errorf("%s: got %v, want a refusal by %q", target, err, rule)
		}
	}
}

func TestAllowedRangesOverrideTheDenyTable(t *testing.T) {
	p := Policy{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16")}}
	for target, allowed := range map[string]bool{
		"https://10.1.2.3/":           true,
		"https://[fd12::1]/":          true,
		"https://[fd12::1%25eth0]/":   true,
		"https://10.2.0.1/":           false,
		"https://[fd13::1]/":          false,
		"https://[::ffff:10.1.2.3]/":  false,
		"https://169.254.169.254/":    false,
		"https://[::ffff:a01:203]:1/": false,
	} {
		if err := CheckURL(p, target); (err == nil) != allowed {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestDeniedRangesWinOverAllowedOnes(t *testing.T) {
	p := Policy{
		AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		DenyCIDRs:  []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("93.184.0.0/16"), netip.MustParsePrefix("2a00:1::/32")},
	}
	for target, allowed := range map[string]bool{
		"https://10.2.0.1/":           true,
		"https://10.1.0.1/":           false,
		"https://93.184.1.1/":         false,
		"https://[::ffff:93.184.1.1]": false,
		"https://93.185.1.1/":         true,
		"https://[2a00:1::1]/":        false,
		"https://[2a00:2::1]/":        true,
	} {
		if err := CheckURL(p, target); (err == nil) != allowed {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestOnlyHTTPSWithoutUserInformationIsAllowed(t *testing.T) {
	for _, target := range []string{
		"http://example.com/", "HTTP://example.com/", "ftp://example.com/", "unix://example.com/", "gopher://example.com/",
		"https://user@example.com/", "https://user:sentinel@example.com/", "https://@example.com/",
	} {
		var blocked *BlockedError
		if err := CheckURL(Policy{}, target); !errors.As(err, &blocked) {
			t.Errorf("%s: got %v, want a refusal", target, err)
		}
	}
	if err := CheckURL(Policy{AllowHTTP: true}, "http://example.com/"); err != nil {
		t.Errorf("http although it is allowed: %v", err)
	}
	if err := CheckURL(Policy{AllowHTTP: true}, "ftp://example.com/"); err == nil {
		t.Error("allowing http allowed ftp")
	}
}

func TestWhatIsNoURLIsNotCalledBlocked(t *testing.T) {
	for _, target := range []string{"", "/token", "example.com", "https://", "https:///token", "https://%zz", "https://[::1", "file:///etc/passwd", "://"} {
		err := CheckURL(Policy{}, target)
		var blocked *BlockedError
		if err == nil || errors.As(err, &blocked) {
			t.Errorf("%q: got %v", target, err)
		}
	}
}

func TestErrorsNameHostAndRuleAndNothingElse(t *testing.T) {
	for _, target := range []string{
		"https://127.0.0.1/sentinel?sentinel=sentinel#sentinel",
		"http://example.com/sentinel?sentinel",
		"https://sentinel:sentinel@example.com/",
		"https://exa mple.com/sentinel",
	} {
		err := CheckURL(Policy{}, target)
		if err == nil || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%s: %v", target, err)
		}
	}
	err := CheckURL(Policy{}, "https://127.0.0.1:8443/")
	if want := `outbound request to "127.0.0.1" refused: loopback (RFC 1122)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What CheckURL lets through as a literal is global unicast, whatever the notation.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://[fe80::1%25eth0]/", "https://0x7f.1/", "http://a@b/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if CheckURL(Policy{}, raw) != nil {
			return
		}
		target, err := url.Parse(raw)
		if err != nil || target.Scheme != "https" || target.User != nil {
			t.Fatalf("%q is allowed", raw)
		}
		literal, err := netip.ParseAddr(target.Hostname())
		if inside := literal.Unmap().WithZone(""); err == nil && (!inside.IsGlobalUnicast() || inside.IsPrivate()) {
			t.Errorf("%q is allowed", raw)
		}
	})
}
