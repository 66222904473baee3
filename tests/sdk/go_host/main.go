// Command go_host runs a plugin under the real go-plugin host and prints what happened as JSON.
//
//	go_host python main.py
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

type report struct {
	Initialize, Refused, Ping, Shutdown string
	Name, SDK                           string
	Handled, Failed                     uint64
	Stdout, Stderr                      string
	Exited                              bool
}

func main() {
	result, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command []string) (*report, error) {
	var stdout, stderr bytes.Buffer
	host := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  kilometers.Handshake,
		Plugins:          map[string]plugin.Plugin{kilometers.PluginName: &kilometers.KilometersGRPCPlugin{}},
		Cmd:              exec.Command(command[0], command[1:]...),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SyncStdout:       &stdout,
		Stderr:           &stderr,
		Logger:           hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Warn}),
	})
	defer host.Kill()
	protocol, err := host.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense(kilometers.PluginName)
	if err != nil {
		return nil, err
	}
	result := &report{Ping: text(protocol.Ping())}
	use(raw.(*kilometers.GRPCClient), result)
	host.Kill()
	result.Exited, result.Stdout, result.Stderr = host.Exited(), stdout.String(), stderr.String()
	return result, nil
}

func use(client *kilometers.GRPCClient, result *report) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	config := kilometers.PluginConfig{PluginName: "p", CustomerID: "cus_1", Features: []string{"console_logging"}, JWT: "bad"}
	result.Refused = text(client.Initialize(ctx, config))
	config.JWT = ""
	result.Initialize = text(client.Initialize(ctx, config))
	event := kilometers.StreamEvent{ID: "1", Tool: "from_go", Timestamp: time.Now(), Type: kilometers.StreamEventRequest, Direction: "request", Message: []byte("{}")}
	for range 3 {
		if err := client.HandleStreamEvents(ctx, []kilometers.StreamEvent{event, event}); err != nil {
			result.Initialize = err.Error()
		}
	}
	if info, err := client.Info(ctx); err == nil {
		result.Name, result.SDK, result.Handled, result.Failed = info.GetName(), info.GetSdk(), info.GetHandled(), info.GetFailed()
	}
	result.Shutdown = text(client.Shutdown(ctx))
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
