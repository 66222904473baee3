package kilometers

import (
	"encoding/json"
	"fmt"
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

// admit returns the configuration to work with: the token is checked, and Features are those offered by the host and
// granted by the token (without a token, only the free ones). A missing required feature is an error.
func admit(config PluginConfig, own manifest, at time.Time) (PluginConfig, error) {
	if own.Name != "" {
		config.PluginName = own.Name
	}
	granted := freeFeatures
	if config.JWT != "" {
		claims, err := ValidateJWT(config.JWT, Expected{config.TokenKeys, config.PluginName, config.CustomerID, at})
		if err != nil {
			return config, fmt.Errorf("authentication failed: %w", err)
		}
		granted, config.Tier = claims.Features, claims.Tier
	}
	offered := config.Features
	config.Features = nil
	for _, feature := range offered {
		if slices.Contains(granted, feature) {
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
