package kmtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

// Customer is the customer of configurations that Config makes.
const Customer = "cus_test"

// TokenIssuer signs plugin tokens and leases as the server does.
type TokenIssuer struct {
	KeyID string
	Key   ed25519.PrivateKey
}

// NewTokenIssuer makes a new key.
func NewTokenIssuer(t testing.TB) *TokenIssuer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &TokenIssuer{KeyID: "test-key", Key: key}
}

// Keys is the JWK Set that a host hands to its plugins.
func (i *TokenIssuer) Keys() string {
	x := base64.RawURLEncoding.EncodeToString(i.Key.Public().(ed25519.PublicKey))
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":%q,"use":"sig","x":%q}]}`, i.KeyID, x)
}

// Claims of a token made at the given moment; change them before Sign to make a bad one.
func (i *TokenIssuer) Claims(pluginName, customerID, tier string, features []string, at time.Time) jwt.MapClaims {
	return jwt.MapClaims{
		"sub": customerID, "customer_id": customerID, "tier": tier, "features": append([]string{}, features...), "jti": "jti-test",
		"iat": at.Unix(), "exp": at.Add(15 * time.Minute).Unix(), "iss": "kilometers", "aud": "km:plugin:" + pluginName,
	}
}

// LeaseClaims of a lease for any machine, made at the given moment; change them before SignLease to make a bad one.
func (i *TokenIssuer) LeaseClaims(customerID, tier string, features []string, at time.Time) jwt.MapClaims {
	return jwt.MapClaims{
		"sub": customerID, "iat": at.Unix(), "refresh_after": at.Add(5 * time.Minute).Unix(), "exp": at.Add(24 * time.Hour).Unix(),
		"grace_until": at.Add(7 * 24 * time.Hour).Unix(), "status": "active", "tier": tier, "features": append([]string{}, features...),
		"plugins": map[string][]string{}, "quotas": map[string]int{}, "machine": "", "seq": 1, "iss": "kilometers", "aud": "km:lease",
	}
}

// Sign makes a token of claims.
func (i *TokenIssuer) Sign(t testing.TB, claims jwt.MapClaims) string {
	return i.sign(t, claims, "at+jwt")
}

// SignLease makes a lease of claims.
func (i *TokenIssuer) SignLease(t testing.TB, claims jwt.MapClaims) string {
	return i.sign(t, claims, "km-lease+jwt")
}

func (i *TokenIssuer) sign(t testing.TB, claims jwt.MapClaims, kind string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["kid"], token.Header["typ"] = i.KeyID, kind
	signed, err := token.SignedString(i.Key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Config is a configuration with a valid token for features.
func (i *TokenIssuer) Config(t testing.TB, pluginName, tier string, features ...string) kilometers.PluginConfig {
	t.Helper()
	return kilometers.PluginConfig{
		CustomerID: Customer, PluginName: pluginName, Tier: tier, Features: features, TokenKeys: i.Keys(), LogLevel: "info",
		JWT: i.Sign(t, i.Claims(pluginName, Customer, tier, features, time.Now())),
	}
}

// OfflineConfig is a configuration as while the server cannot be reached: a lease for features, and no token.
func (i *TokenIssuer) OfflineConfig(t testing.TB, pluginName, tier string, features ...string) kilometers.PluginConfig {
	t.Helper()
	return kilometers.PluginConfig{
		CustomerID: Customer, PluginName: pluginName, Tier: tier, Features: features, TokenKeys: i.Keys(), LogLevel: "info",
		Lease: i.SignLease(t, i.LeaseClaims(Customer, tier, features, time.Now())),
	}
}
