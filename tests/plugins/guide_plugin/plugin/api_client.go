package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

type APIClient struct {
	baseURL    string
	jwt        string
	httpClient *http.Client
}

func NewAPIClient(baseURL, jwt string) (*APIClient, error) {
	return &APIClient{
		baseURL: baseURL,
		jwt:     jwt,
		httpClient: &http.Client{
			Timeout: 30 * time.Second,
		},
	}, nil
}

func (c *APIClient) LogEvent(ctx context.Context, event StreamEvent) error {
	req, err := c.createRequest(ctx, "POST", "/api/events", event)
	if err != nil {
		return err
	}

	resp, err := c.httpClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()

	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("API request failed: %d", resp.StatusCode)
	}

	return nil
}

func (c *APIClient) createRequest(ctx context.Context, method, path string, event StreamEvent) (*http.Request, error) {
	body, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.baseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.jwt)
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

func (c *APIClient) Close() error {
	c.httpClient.CloseIdleConnections()
	return nil
}
