package plugin

import (
	"context"
	"fmt"
	"log"
	"time"
)

type MyPlugin struct {
	config PluginConfig
	client *APIClient
}

func (p *MyPlugin) Initialize(ctx context.Context, config PluginConfig) error {
	p.config = config

	// Validate JWT and features
	if err := p.validateAuthentication(); err != nil {
		return fmt.Errorf("authentication failed: %w", err)
	}

	// Initialize API client for Pro+ features
	if p.hasFeature("api_logging") {
		var err error
		p.client, err = NewAPIClient(config.APIEndpoint, config.JWT)
		if err != nil {
			return fmt.Errorf("API client initialization failed: %w", err)
		}
	}

	log.Printf("Plugin initialized for customer: %s", config.CustomerID)
	return nil
}

func (p *MyPlugin) HandleStreamEvent(ctx context.Context, event StreamEvent) error {
	// Console logging (Free tier)
	if p.hasFeature("console_logging") {
		p.logToConsole(event)
	}

	// API logging (Pro+ tier)
	if p.hasFeature("api_logging") && p.client != nil {
		if err := p.logToAPI(ctx, event); err != nil {
			// Silent failure for premium features
			if p.config.Debug {
				log.Printf("API logging failed: %v", err)
			}
		}
	}

	return nil
}

func (p *MyPlugin) Shutdown(ctx context.Context) error {
	if p.client != nil {
		return p.client.Close()
	}
	return nil
}

func (p *MyPlugin) validateAuthentication() error {
	// Without a token (nobody is logged in) only the Free tier is left
	if p.config.JWT == "" {
		p.config.Features, p.config.Tier = []string{"console_logging"}, "Free"
		return nil
	}

	// Validate JWT token
	claims, err := ValidateJWT(p.config.JWT, p.config.TokenKeys, p.config.PluginName)
	if err != nil {
		return err
	}

	// Check customer match
	if claims.CustomerID != p.config.CustomerID {
		return fmt.Errorf("customer mismatch")
	}

	// Check expiration
	if time.Now().After(claims.ExpiresAt.Time) {
		return fmt.Errorf("token expired")
	}

	return nil
}

func (p *MyPlugin) hasFeature(feature string) bool {
	for _, f := range p.config.Features {
		if f == feature {
			return true
		}
	}
	return false
}

func (p *MyPlugin) logToConsole(event StreamEvent) {
	// Silent console logging
	if p.config.Debug {
		log.Printf("[%s] %s %s", event.Type, event.Direction, event.ID)
	}
}

func (p *MyPlugin) logToAPI(ctx context.Context, event StreamEvent) error {
	return p.client.LogEvent(ctx, event)
}
