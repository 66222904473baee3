package kilometers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// clockSkew is how wrong a laptop's clock may be before a lease counts as one of the future.
const clockSkew = 300 // seconds

// ErrLeaseAllowsNothing is what ValidateLease says of a genuine lease that is over, or of a customer who may not.
var ErrLeaseAllowsNothing = errors.New("the lease allows nothing now")

// LeaseState is why a lease does or does not allow something.
type LeaseState string

// The states of a lease. The first three allow its features.
const (
	LeaseValid       LeaseState = "valid"
	LeaseRefreshDue  LeaseState = "refresh_due"
	LeaseGrace       LeaseState = "grace"
	LeaseExpired     LeaseState = "expired"
	LeaseSuspended   LeaseState = "suspended"
	LeaseRevoked     LeaseState = "revoked"
	LeaseNotYetValid LeaseState = "not_yet_valid"
)

// Allowed reports whether a lease in this state grants its features.
func (s LeaseState) Allowed() bool {
	return s == LeaseValid || s == LeaseRefreshDue || s == LeaseGrace
}

// Lease is what may run while the server cannot be reached. Times are Unix seconds; Plugins narrows the features beyond
// the free ones for the plugins it names. Claims that are not here are passed over: a later server may add some. Which
// machine it is for is the host's to check: a plugin could not tell.
type Lease struct {
	CustomerID   string              `json:"sub"`
	IssuedAt     int64               `json:"iat"`
	RefreshAfter int64               `json:"refresh_after"`
	ExpiresAt    int64               `json:"exp"`
	GraceUntil   int64               `json:"grace_until"`
	Status       string              `json:"status"`
	Tier         string              `json:"tier"`
	Features     []string            `json:"features"`
	Plugins      map[string][]string `json:"plugins"`
	Quotas       map[string]int64    `json:"quotas"`
	Machine      string              `json:"machine"`
	Seq          int64               `json:"seq"`
	Issuer       string              `json:"iss"`
	Audience     string              `json:"aud"`
}

var (
	leaseClaims = []string{
		"sub", "iat", "refresh_after", "exp", "grace_until", "status", "tier", "features", "plugins", "quotas", "machine", "seq",
	}
	subscriptionStatuses = []string{"trialing", "active", "past_due", "unpaid", "paused", "canceled"}
)

// ReadLease returns what a genuine lease of this customer says, whether or not it allows anything now. PluginName and At
// are not looked at.
func ReadLease(lease string, expected Expected) (*Lease, error) {
	body, err := verified(lease, leaseType, expected.Keys)
	if err != nil {
		return nil, err
	}
	var claims map[string]json.RawMessage
	if err := decodeClaims(body, &claims); err != nil {
		return nil, err
	}
	if string(claims["aud"]) != `"`+leaseAudience+`"` {
		return nil, fmt.Errorf("%w: a lease is for `%s`", ErrTokenWrongAudience, leaseAudience)
	}
	said := &Lease{}
	if err := decodeClaims(body, said, leaseClaims...); err != nil {
		return nil, err
	}
	if !slices.Contains(subscriptionStatuses, said.Status) {
		return nil, fmt.Errorf("%w: there is no status `%.64s`", ErrTokenMalformed, said.Status)
	}
	if said.CustomerID != expected.CustomerID {
		return nil, fmt.Errorf("%w: the lease is of %s", ErrTokenWrongCustomer, said.CustomerID)
	}
	return said, nil
}

// ValidateLease returns a genuine lease that allows its features at the expected moment.
func ValidateLease(lease string, expected Expected) (*Lease, error) {
	said, err := ReadLease(lease, expected)
	if err != nil {
		return nil, err
	}
	if state := said.State(expected.At); !state.Allowed() {
		return nil, fmt.Errorf("%w: %s", ErrLeaseAllowsNothing, state)
	}
	return said, nil
}

// State is what the lease comes to at a moment.
func (l *Lease) State(at time.Time) LeaseState {
	now := at.Unix()
	switch {
	case now < l.IssuedAt-clockSkew:
		return LeaseNotYetValid
	case l.Status == "canceled":
		return LeaseRevoked
	case l.Status == "unpaid" || l.Status == "paused":
		return LeaseSuspended
	case now >= l.GraceUntil:
		return LeaseExpired
	case now >= l.ExpiresAt:
		return LeaseGrace
	case now >= l.RefreshAfter:
		return LeaseRefreshDue
	}
	return LeaseValid
}

// FeaturesFor is what the lease grants a plugin: the free features, and the lease's own, unless it gives that plugin less.
func (l *Lease) FeaturesFor(pluginName string) []string {
	features := slices.Clone(freeFeatures)
	named, isNamed := l.Plugins[pluginName]
	for _, feature := range l.Features {
		if !slices.Contains(features, feature) && (!isNamed || slices.Contains(named, feature)) {
			features = append(features, feature)
		}
	}
	return features
}
