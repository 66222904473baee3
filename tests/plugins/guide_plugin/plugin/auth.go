package plugin

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

func ValidateJWT(tokenString, tokenKeys, pluginName string) (*Claims, error) {
	token, err := jwt.ParseWithClaims(tokenString, &Claims{}, func(token *jwt.Token) (interface{}, error) {
		// Verify signing method
		if _, ok := token.Method.(*jwt.SigningMethodEd25519); !ok {
			return nil, fmt.Errorf("unexpected signing method: %v", token.Header["alg"])
		}

		// Return the public key that the token names
		return publicKey(tokenKeys, token.Header["kid"])
	}, jwt.WithAudience("km:plugin:"+pluginName), jwt.WithExpirationRequired())

	if err != nil {
		return nil, err
	}

	if claims, ok := token.Claims.(*Claims); ok && token.Valid {
		return claims, nil
	}

	return nil, fmt.Errorf("invalid token")
}

type Claims struct {
	CustomerID string   `json:"customer_id"`
	Features   []string `json:"features"`
	Tier       string   `json:"tier"`
	jwt.RegisteredClaims
}

func publicKey(tokenKeys string, kid interface{}) (ed25519.PublicKey, error) {
	var set struct {
		Keys []struct{ Kid, X string }
	}
	if err := json.Unmarshal([]byte(tokenKeys), &set); err != nil {
		return nil, err
	}
	for _, key := range set.Keys {
		if key.Kid == kid {
			return base64.RawURLEncoding.DecodeString(key.X)
		}
	}
	return nil, fmt.Errorf("unknown key: %v", kid)
}
