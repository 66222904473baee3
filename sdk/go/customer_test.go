package kilometers

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func filled(t *testing.T, body string) string {
	t.Helper()
	return slotMarker + body + strings.Repeat(".", slotSize-len(slotMarker)-len(body))
}

func TestADevelopmentBuildIsNobodys(t *testing.T) {
	if _, err := Customer(); !errors.Is(err, ErrNoCustomer) {
		t.Fatalf("a blank slot gave %v", err)
	}
}

func TestAFilledSlotSaysWhoseItIsAndSigns(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	key := base64.RawURLEncoding.EncodeToString(seed)
	customer, err := readSlot(filled(t, `{"build_id":"bld_1","build_key":"`+key+`","customer_id":"cus_1","issuer":"3f9a"}`))
	if err != nil || customer.CustomerID != "cus_1" || customer.BuildID != "bld_1" || customer.Issuer != "3f9a" {
		t.Fatalf("read %v, %v", customer, err)
	}
	signature, err := customer.Sign([]byte("challenge"))
	public, _ := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if err != nil || !ed25519.Verify(public, []byte("challenge"), signature) {
		t.Fatalf("the signature is not the build's: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", customer, customer, customer, customer); strings.Contains(text, key) {
		t.Fatalf("the key is printed: %s", text)
	}
}

func TestADamagedSlotIsAnError(t *testing.T) {
	for _, body := range []string{`{`, `[]`, `{"customer_id":"cus_1","build_key":"AAAA"}`, `{"other":1}`} {
		if customer, err := readSlot(filled(t, body)); err == nil {
			t.Errorf("%s was read as %v", body, customer)
		}
	}
}
