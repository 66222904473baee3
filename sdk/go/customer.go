package kilometers

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The customer's slot. As compiled, and as it is reviewed, it is blank: a marker, then dots. A build for a customer fills
// it with JSON after the marker and changes nothing else, so one review holds for every customer's program. A variable,
// so that the compiler takes nothing in it for granted; the marker must occur once in a program, so nothing else names it.
var customerSlot = slotMarker + dots4076

const (
	slotMarker = "\x00KM-CUSTOMER-SLOT-1\x00"
	slotSize   = 4096
	dots76     = dots64 + "............"
	dots64     = "................................................................"
	dots500    = dots64 + dots64 + dots64 + dots64 + dots64 + dots64 + dots64 + "...................................................."
	dots4076   = dots500 + dots500 + dots500 + dots500 + dots500 + dots500 + dots500 + dots500 + dots76
)

// The slot has its size, or this does not compile.
var _ = [1]struct{}{}[len(slotMarker+dots4076)-slotSize]

func init() {
	if len(customerSlot) != slotSize { // also what keeps the slot in a program that never asks whose it is
		panic("kilometers: the customer's slot was damaged")
	}
}

// ErrNoCustomer is returned for a program that was not built for a customer: a development build.
var ErrNoCustomer = errors.New("this program was not built for a customer")

// CustomerInfo says for whom a program was built.
type CustomerInfo struct {
	CustomerID string `json:"customer_id"`
	BuildID    string `json:"build_id"`
	Issuer     string `json:"issuer"`    // the id of the key that signed the package
	BuildKey   string `json:"build_key"` // the seed of this build's own Ed25519 key, base64url; see Sign
}

// Customer says for whom this program was built. The host checks the package before it starts; this is what the program
// itself can rely on, in addition.
func Customer() (CustomerInfo, error) { return readSlot(customerSlot) }

func readSlot(slot string) (CustomerInfo, error) {
	body := strings.TrimRight(slot[len(slotMarker):], ".")
	if body == "" {
		return CustomerInfo{}, ErrNoCustomer
	}
	var found CustomerInfo
	decoder := json.NewDecoder(bytes.NewReader([]byte(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&found); err != nil {
		return CustomerInfo{}, fmt.Errorf("the customer's slot was damaged: %w", err)
	}
	if _, err := found.privateKey(); err != nil {
		return CustomerInfo{}, err
	}
	return found, nil
}

// Sign proves that this is the build it says: the server knows the public half of its key, and may have revoked it.
func (c CustomerInfo) Sign(message []byte) ([]byte, error) {
	key, err := c.privateKey()
	if err != nil {
		return nil, err
	}
	return ed25519.Sign(key, message), nil
}

// String leaves the key out, so that it does not end up in a log.
func (c CustomerInfo) String() string { return c.CustomerID + " " + c.BuildID }

// GoString is String: %#v leaves the key out too.
func (c CustomerInfo) GoString() string { return c.String() }

func (c CustomerInfo) privateKey() (ed25519.PrivateKey, error) {
	seed, err := base64.RawURLEncoding.DecodeString(c.BuildKey)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("the customer's slot was damaged: its build key is no Ed25519 seed")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
