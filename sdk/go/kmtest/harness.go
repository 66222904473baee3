package kmtest

import (
	"context"
	"os/exec"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

// Serve runs impl in this process behind a real gRPC connection and returns the host's side of it. What the plugin
// sees went through the same checks and the same wire format as in its own process.
func Serve(t testing.TB, impl kilometers.KilometersPlugin, manifest []byte) *kilometers.GRPCClient {
	t.Helper()
	client, server := plugin.TestPluginGRPCConn(t, false, map[string]plugin.Plugin{
		kilometers.PluginName: &kilometers.KilometersGRPCPlugin{Impl: impl, Manifest: manifest},
	})
	t.Cleanup(server.Stop)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return dispense(t, client)
}

// Start runs a plugin's program with go-plugin as its host, AutoMTLS included, and ends it with the test.
func Start(t testing.TB, command *exec.Cmd) (*kilometers.GRPCClient, *plugin.Client) {
	t.Helper()
	host := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  kilometers.Handshake,
		Plugins:          map[string]plugin.Plugin{kilometers.PluginName: &kilometers.KilometersGRPCPlugin{}},
		Cmd:              command,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(host.Kill)
	protocol, err := host.Client()
	if err != nil {
		t.Fatal(err)
	}
	return dispense(t, protocol), host
}

// Feed hands over events in batches of 64 and fails the test when a call fails.
func Feed(t testing.TB, client *kilometers.GRPCClient, events []kilometers.StreamEvent) {
	t.Helper()
	for start := 0; start < len(events); start += 64 {
		if err := client.HandleStreamEvents(context.Background(), events[start:min(start+64, len(events))]); err != nil {
			t.Fatal(err)
		}
	}
}

func dispense(t testing.TB, protocol plugin.ClientProtocol) *kilometers.GRPCClient {
	t.Helper()
	raw, err := protocol.Dispense(kilometers.PluginName)
	if err != nil {
		t.Fatal(err)
	}
	return raw.(*kilometers.GRPCClient)
}
