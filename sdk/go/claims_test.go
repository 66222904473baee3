package kilometers_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
	"github.com/kilometers-ai/kilometers-plugin-sdk-go/kmtest"
)

var moment = time.Unix(1_800_000_000, 0)

func expectedFor(issuer *kmtest.TokenIssuer, at time.Time) kilometers.Expected {
	return kilometers.Expected{Keys: issuer.Keys(), PluginName: "my-plugin", CustomerID: kmtest.Customer, At: at}
}

func part(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func TestAValidTokenSaysWhatItGrants(t *testing.T) {
	issuer := kmtest.NewTokenIssuer(t)
	token := issuer.Sign(t, issuer.Claims("my-plugin", kmtest.Customer, "Pro", []string{"api_logging"}, moment))
	claims, err := kilometers.ValidateJWT(token, expectedFor(issuer, moment))
	if err != nil {
		t.Fatal(err)
	}
	if claims.Tier != "Pro" || claims.Features[0] != "api_logging" || !claims.ExpiresAt.Equal(moment.Add(15*time.Minute)) {
		t.Errorf("claims are %+v", claims)
	}
}

func TestATokenIsRefusedFor(t *testing.T) {
	issuer, other := kmtest.NewTokenIssuer(t), kmtest.NewTokenIssuer(t)
	good := func() jwt.MapClaims { return issuer.Claims("my-plugin", kmtest.Customer, "Pro", []string{"x"}, moment) }
	with := func(name string, value any) jwt.MapClaims {
		claims := good()
		claims[name] = value
		return claims
	}
	without := func(name string) jwt.MapClaims {
		claims := good()
		delete(claims, name)
		return claims
	}
	otherType := jwt.NewWithClaims(jwt.SigningMethodEdDSA, good())
	otherType.Header["kid"] = issuer.KeyID
	untyped, err := otherType.SignedString(issuer.Key)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		token string
		want  error
		at    time.Time
	}{
		"another plugin":   {issuer.Sign(t, issuer.Claims("other", kmtest.Customer, "Pro", nil, moment)), kilometers.ErrTokenWrongAudience, moment},
		"another customer": {issuer.Sign(t, issuer.Claims("my-plugin", "cus_other", "Pro", nil, moment)), kilometers.ErrTokenWrongCustomer, moment},
		"several":          {issuer.Sign(t, with("aud", []string{"km:plugin:my-plugin", "km:api"})), kilometers.ErrTokenWrongAudience, moment},
		"expiry":           {issuer.Sign(t, good()), kilometers.ErrTokenExpired, moment.Add(15*time.Minute + 30*time.Second)},
		"the future":       {issuer.Sign(t, good()), kilometers.ErrTokenNotYetValid, moment.Add(-31 * time.Second)},
		"no expiry":        {issuer.Sign(t, without("exp")), kilometers.ErrTokenMalformed, moment},
		"no customer":      {issuer.Sign(t, without("customer_id")), kilometers.ErrTokenMalformed, moment},
		"another issuer":   {issuer.Sign(t, with("iss", "evil")), kilometers.ErrTokenMalformed, moment},
		"another key":      {other.Sign(t, good()), kilometers.ErrTokenSignature, moment},
		"another type":     {untyped, kilometers.ErrTokenType, moment},
		"no algorithm":     {part(t, jwt.MapClaims{"alg": "none", "typ": "at+jwt", "kid": issuer.KeyID}) + "." + part(t, good()) + ".", kilometers.ErrTokenAlgorithm, moment},
		"HMAC of the key":  {hmacForged(t, issuer, good()), kilometers.ErrTokenAlgorithm, moment},
		"its length":       {strings.Repeat("a", 9000), kilometers.ErrTokenMalformed, moment},
		"its form":         {"not.a.token", kilometers.ErrTokenMalformed, moment},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := kilometers.ValidateJWT(c.token, expectedFor(issuer, c.at)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// hmacForged signs with HS256, the public key set as the secret: what a verifier that trusts `alg` would accept.
func hmacForged(t *testing.T, issuer *kmtest.TokenIssuer, claims jwt.MapClaims) string {
	t.Helper()
	text := part(t, jwt.MapClaims{"alg": "HS256", "typ": "at+jwt", "kid": issuer.KeyID}) + "." + part(t, claims)
	mac := hmac.New(sha256.New, []byte(issuer.Keys()))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
