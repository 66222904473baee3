package kilometers

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"slices"
	"time"
)

// freeFeatures are the Free tier's: what a laptop that never logged in may use.
var freeFeatures = []string{"console_logging"}

// manifest is what a plugin needs of its own; `km-client plugin validate` and the host check the whole of it.
type manifest struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Features struct {
		Required []string `json:"required"`
	} `json:"features"`
}

func parseManifest(data []byte) (manifest, error) {
	var m manifest
	if len(data) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("manifest.json: %w (run `km-client plugin validate`)", err)
	}
	return m, nil
}

// grant is what holds, and by what right.
type grant struct {
	source   GrantSource
	features []string
	tier     string
}

// admit returns the configuration to work with: Features are those offered by the host and granted, and JWT is left only
// when the token is what granted them. A missing required feature is an error.
//
//	token valid                                          the token grants
//	none, or one that was right and has expired; a lease the lease grants, and the token is dropped
//	none; a lease that is genuine but over, or suspended only the free features, as for nobody at all
//	none, and no lease                                   only the free features
//	anything else: forged, another's, expired without …  refused, however the host came by it
//
// sdk/testdata/admission.json has every case; this SDK and the one in Python are tested with it.
func admit(config PluginConfig, own manifest, at time.Time) (PluginConfig, error) {
	if own.Name != "" {
		config.PluginName = own.Name
	}
	granted, err := grantFor(config, at)
	if err != nil {
		return config, fmt.Errorf("authentication failed: %w", err)
	}
	config.Source, config.Tier = granted.source, granted.tier
	if config.Source != SourceToken {
		config.JWT = ""
	}
	offered := config.Features
	config.Features = nil
	for _, feature := range offered {
		if slices.Contains(granted.features, feature) {
			config.Features = append(config.Features, feature)
		}
	}
	for _, feature := range own.Features.Required {
		if err := config.RequireFeature(feature); err != nil {
			return config, err
		}
	}
	return config, nil
}

func grantFor(config PluginConfig, at time.Time) (grant, error) {
	expected := Expected{config.TokenKeys, config.PluginName, config.CustomerID, at}
	var expired error
	if config.JWT != "" {
		claims, err := ValidateJWT(config.JWT, expected)
		if err == nil {
			return grant{SourceToken, claims.Features, claims.Tier}, nil
		}
		if !errors.Is(err, ErrTokenExpired) || config.Lease == "" {
			return grant{}, err
		}
		expired = err
	}
	if config.Lease != "" {
		lease, err := ReadLease(config.Lease, expected)
		if err != nil {
			return grant{}, err
		}
		state := lease.State(at)
		if state.Allowed() {
			return grant{SourceLease, lease.FeaturesFor(config.PluginName), lease.Tier}, nil
		}
		log.Printf("[WARN] the lease allows nothing now: %s", state)
	}
	if expired != nil {
		return grant{}, expired
	}
	return grant{SourceNone, freeFeatures, cmp.Or(config.Tier, "Free")}, nil
}

// withoutRights is what is left of a configuration that cannot be trusted.
func withoutRights(config PluginConfig) PluginConfig {
	config.Features, config.JWT, config.Lease, config.Source = nil, "", "", SourceNone
	return config
}
