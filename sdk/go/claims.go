package kilometers

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	tokenIssuer    = "kilometers"
	tokenType      = "at+jwt" // RFC 9068
	leaseType      = "km-lease+jwt"
	leaseAudience  = "km:lease"
	maxTokenBytes  = 8 * 1024
	tokenLeeway    = 30 * time.Second // clocks of two machines
	maxTokenKeys   = 32               // a set under rotation holds two or three
	audiencePrefix = "km:plugin:"
)

// Why a token, or a lease, is refused; errors.Is tells them apart.
var (
	ErrTokenMalformed     = errors.New("token is malformed")
	ErrTokenAlgorithm     = errors.New("token is not signed with EdDSA")
	ErrTokenType          = errors.New("token is of another type")
	ErrTokenKey           = errors.New("token is signed with an unknown key")
	ErrTokenSignature     = errors.New("token's signature does not verify")
	ErrTokenExpired       = errors.New("token expired")
	ErrTokenNotYetValid   = errors.New("token was made in the future")
	ErrTokenWrongAudience = errors.New("token is for another plugin")
	ErrTokenWrongCustomer = errors.New("customer mismatch")
)

// Claims is what a valid token says.
type Claims struct {
	CustomerID string
	Features   []string
	Tier       string
	IssuedAt   time.Time
	ExpiresAt  time.Time
	ID         string
}

// Expected is what a token must prove: for this plugin, of this customer, at this moment.
type Expected struct {
	Keys       string // a JWK Set as JSON, PluginConfig.TokenKeys
	PluginName string
	CustomerID string
	At         time.Time
}

// ValidateJWT checks a plugin's token without any network: EdDSA by a key of the set only, never `none`, never HMAC. Whom
// the token is for is checked before its times: ErrTokenExpired is only said of one that was right.
func ValidateJWT(token string, expected Expected) (*Claims, error) {
	body, err := verified(token, tokenType, expected.Keys)
	if err != nil {
		return nil, err
	}
	wire := &wireClaims{}
	if err := decodeClaims(body, wire, "customer_id", "tier", "features", "iat", "exp", "jti", "aud"); err != nil {
		return nil, err
	}
	return wire.check(expected)
}

type wireClaims struct {
	CustomerID string   `json:"customer_id"`
	Features   []string `json:"features"`
	Tier       string   `json:"tier"`
	jwt.RegisteredClaims
}

func (w *wireClaims) check(expected Expected) (*Claims, error) {
	if len(w.Audience) != 1 || w.Audience[0] != audiencePrefix+expected.PluginName {
		return nil, fmt.Errorf("%w: %v", ErrTokenWrongAudience, w.Audience)
	}
	if w.CustomerID != expected.CustomerID {
		return nil, fmt.Errorf("%w: the token is of %s", ErrTokenWrongCustomer, w.CustomerID)
	}
	if !expected.At.Before(w.ExpiresAt.Add(tokenLeeway)) {
		return nil, fmt.Errorf("%w %s ago", ErrTokenExpired, expected.At.Sub(w.ExpiresAt.Time).Round(time.Second))
	}
	if expected.At.Before(w.IssuedAt.Add(-tokenLeeway)) || (w.NotBefore != nil && expected.At.Before(w.NotBefore.Add(-tokenLeeway))) {
		return nil, ErrTokenNotYetValid
	}
	return &Claims{w.CustomerID, w.Features, w.Tier, w.IssuedAt.Time, w.ExpiresAt.Time, w.ID}, nil
}

// signedClaims keeps what was signed as it is, for decodeClaims.
type signedClaims struct {
	jwt.RegisteredClaims
	body json.RawMessage
}

// UnmarshalJSON copies: the parser owns data.
func (s *signedClaims) UnmarshalJSON(data []byte) error {
	s.body = append(json.RawMessage(nil), data...)
	return nil
}

// verified returns the claims of a token of the given type, signed by a key of the set and issued by us; nothing else in
// them is checked yet.
func verified(token, kind, keys string) (json.RawMessage, error) {
	if len(token) > maxTokenBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrTokenMalformed, len(token))
	}
	signed := &signedClaims{}
	parser := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(token, signed, func(t *jwt.Token) (any, error) { return keyFor(t, kind, keys) })
	if err != nil {
		return nil, tokenError(err)
	}
	var who struct {
		Issuer string `json:"iss"`
	}
	if err := decodeClaims(signed.body, &who, "iss"); err != nil {
		return nil, err
	}
	if who.Issuer != tokenIssuer {
		return nil, fmt.Errorf("%w: it is not of %s", ErrTokenMalformed, tokenIssuer)
	}
	return signed.body, nil
}

// decodeClaims fills target, and insists on the claims that are named: Go would take an absent one for an empty one.
func decodeClaims(body json.RawMessage, target any, required ...string) error {
	var present map[string]json.RawMessage
	if err := json.Unmarshal(body, &present); err != nil {
		return fmt.Errorf("%w: %w", ErrTokenMalformed, err)
	}
	for _, name := range required {
		if value, ok := present[name]; !ok || string(value) == "null" {
			return fmt.Errorf("%w: the claim `%s` is missing", ErrTokenMalformed, name)
		}
	}
	if err := json.Unmarshal(body, target); err != nil {
		return fmt.Errorf("%w: %w", ErrTokenMalformed, err)
	}
	return nil
}

func keyFor(token *jwt.Token, kind, keys string) (ed25519.PublicKey, error) {
	if token.Header["typ"] != kind {
		return nil, fmt.Errorf("%w: %v", ErrTokenType, token.Header["typ"])
	}
	if _, critical := token.Header["crit"]; critical {
		return nil, fmt.Errorf("%w: critical extensions", ErrTokenMalformed)
	}
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X string }
	}
	if err := json.Unmarshal([]byte(keys), &set); err != nil || len(set.Keys) > maxTokenKeys {
		return nil, fmt.Errorf("%w: the host's keys are not a JWK Set", ErrTokenKey)
	}
	for _, key := range set.Keys {
		if key.Kty != "OKP" || key.Crv != "Ed25519" || key.Kid == "" || key.Kid != token.Header["kid"] {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%w: `%s` is no Ed25519 key", ErrTokenKey, key.Kid)
		}
		return raw, nil
	}
	return nil, fmt.Errorf("%w: %v", ErrTokenKey, token.Header["kid"])
}

// tokenError turns the library's error into one of ours, which say no more than they must.
func tokenError(err error) error {
	for _, ours := range []error{ErrTokenType, ErrTokenKey, ErrTokenMalformed} {
		if errors.Is(err, ours) {
			return err
		}
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return fmt.Errorf("%w: %w", ErrTokenMalformed, err)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		if errors.Is(err, jwt.ErrEd25519Verification) {
			return ErrTokenSignature
		}
		return fmt.Errorf("%w: %w", ErrTokenAlgorithm, err)
	default:
		return fmt.Errorf("%w: %w", ErrTokenMalformed, err)
	}
}
