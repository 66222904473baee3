package kilometers

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"
)

// The cases are in sdk/testdata/admission.json, which the Python SDK is tested with too.
type admissionCase struct {
	Name     string
	Token    *signedText
	Lease    *signedText
	Required []string
	Expect   struct {
		Refused, Source, Tier string
		Features              []string
	}
}

// signedText is how a token or a lease differs from a good one.
type signedText struct {
	Made   int64
	Claims map[string]any
	Header map[string]any
	Signed string
}

var (
	admissionMoment = time.Unix(1_800_000_000, 0)
	refusals        = map[string]error{
		"malformed": ErrTokenMalformed, "wrong_algorithm": ErrTokenAlgorithm, "wrong_type": ErrTokenType,
		"unknown_key": ErrTokenKey, "bad_signature": ErrTokenSignature, "expired": ErrTokenExpired,
		"not_yet_valid": ErrTokenNotYetValid, "wrong_audience": ErrTokenWrongAudience,
		"wrong_customer": ErrTokenWrongCustomer, "feature_not_available": ErrFeatureNotAvailable,
	}
)

// forger signs whatever it is told to, with the right key or without.
type forger struct{ ours, other ed25519.PrivateKey }

func newForger(t *testing.T) forger {
	t.Helper()
	var keys [2]ed25519.PrivateKey
	for index := range keys {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		keys[index] = key
	}
	return forger{keys[0], keys[1]}
}

func jwk(key ed25519.PrivateKey) map[string]any {
	x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	return map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "test-key", "use": "sig", "x": x}
}

func (f forger) keys(t *testing.T) string {
	return string(encoded(t, map[string]any{"keys": []any{jwk(f.ours)}}))
}

func (f forger) token(t *testing.T, text *signedText) string {
	if text == nil {
		return ""
	}
	made := admissionMoment.Unix() - text.Made
	return f.make(t, text, "at+jwt", map[string]any{
		"sub": "cus_1", "customer_id": "cus_1", "tier": "Pro", "features": []string{"console_logging", "api_logging"},
		"iat": made, "exp": made + 900, "jti": "jti-1", "iss": "kilometers", "aud": "km:plugin:my-plugin",
	})
}

func (f forger) lease(t *testing.T, text *signedText) string {
	if text == nil {
		return ""
	}
	made := admissionMoment.Unix() - text.Made
	return f.make(t, text, "km-lease+jwt", map[string]any{
		"sub": "cus_1", "iat": made, "refresh_after": made + 300, "exp": made + 86400, "grace_until": made + 604800,
		"status": "active", "tier": "Pro", "features": []string{"console_logging", "api_logging"}, "plugins": map[string]any{},
		"quotas": map[string]any{}, "machine": "", "seq": 1, "iss": "kilometers", "aud": "km:lease",
	})
}

func (f forger) make(t *testing.T, text *signedText, kind string, claims map[string]any) string {
	t.Helper()
	header := map[string]any{"alg": "EdDSA", "typ": kind, "kid": "test-key"}
	for name, value := range text.Header {
		header[name] = value
	}
	if _, brings := header["jwk"]; brings {
		header["jwk"] = jwk(f.other)
	}
	for name, value := range text.Claims {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode(encoded(t, header)) + "." + encode(encoded(t, claims))
	switch text.Signed {
	case "", "ours":
		return signed + "." + encode(ed25519.Sign(f.ours, []byte(signed)))
	case "other_key":
		return signed + "." + encode(ed25519.Sign(f.other, []byte(signed)))
	case "hs256":
		mac := hmac.New(sha256.New, []byte(f.keys(t)))
		mac.Write([]byte(signed))
		return signed + "." + encode(mac.Sum(nil))
	case "nothing":
		return signed + "."
	}
	return text.Signed
}

func encoded(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func admissionCases(t *testing.T) []admissionCase {
	t.Helper()
	data, err := os.ReadFile("../testdata/admission.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct{ Cases []admissionCase }
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Cases) < 60 {
		t.Fatalf("only %d cases", len(table.Cases))
	}
	return table.Cases
}

func TestWhatAPluginIsGranted(t *testing.T) {
	forger := newForger(t)
	for _, c := range admissionCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			given := PluginConfig{
				PluginName: "my-plugin", CustomerID: "cus_1", TokenKeys: forger.keys(t),
				JWT: forger.token(t, c.Token), Lease: forger.lease(t, c.Lease),
				Features: []string{"console_logging", "api_logging", "advanced_analytics"},
			}
			own := manifest{Name: "my-plugin"}
			own.Features.Required = c.Required
			config, err := admit(given, own, admissionMoment)
			if c.Expect.Refused != "" {
				if want := refusals[c.Expect.Refused]; want == nil || !errors.Is(err, want) {
					t.Fatalf("got %v, want %s", err, c.Expect.Refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(config.Features)
			got := fmt.Sprint(config.Source, config.Features, config.Tier)
			if want := fmt.Sprint(c.Expect.Source, c.Expect.Features, c.Expect.Tier); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if hasToken := config.JWT != ""; hasToken != (config.Source == SourceToken) || config.Offline() != (config.Source == SourceLease) {
				t.Errorf("by %s: token %t, offline %t", config.Source, hasToken, config.Offline())
			}
		})
	}
}

func TestALeaseGrantsNoMoreThanTheHostOffers(t *testing.T) {
	forger := newForger(t)
	given := PluginConfig{CustomerID: "cus_1", TokenKeys: forger.keys(t), Lease: forger.lease(t, &signedText{}), Features: []string{"api_logging"}}
	config, err := admit(given, manifest{Name: "my-plugin"}, admissionMoment)
	if err != nil || !reflect.DeepEqual(config.Features, []string{"api_logging"}) {
		t.Errorf("got %v, %v", config.Features, err)
	}
}

func TestALeaseSaysWhyItAllowsNothing(t *testing.T) {
	forger := newForger(t)
	expected := Expected{Keys: forger.keys(t), CustomerID: "cus_1", At: admissionMoment}
	for state, text := range map[LeaseState]*signedText{
		LeaseExpired:     {Made: 604800},
		LeaseSuspended:   {Claims: map[string]any{"status": "unpaid"}},
		LeaseRevoked:     {Claims: map[string]any{"status": "canceled"}},
		LeaseNotYetValid: {Made: -301},
	} {
		lease := forger.lease(t, text)
		if _, err := ValidateLease(lease, expected); !errors.Is(err, ErrLeaseAllowsNothing) {
			t.Errorf("%s: %v", state, err)
		}
		if said, err := ReadLease(lease, expected); err != nil || said.State(admissionMoment) != state {
			t.Errorf("%s: %v, %v", state, said, err)
		}
	}
	for made, state := range map[int64]LeaseState{0: LeaseValid, 300: LeaseRefreshDue, 86400: LeaseGrace} {
		said, err := ValidateLease(forger.lease(t, &signedText{Made: made}), expected)
		if err != nil || said.State(admissionMoment) != state {
			t.Errorf("%s: %v, %v", state, said, err)
		}
	}
}
