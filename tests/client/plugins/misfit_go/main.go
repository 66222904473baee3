// A plugin on the bare go-plugin, with the guide's three calls and nothing of our SDK. What is wrong with it is the name
// of its file: `unary` is in order, `wrong-cookie`, `wrong-version`, `noise`, `exits`, `silent` and `netrpc` are not.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/kilometers-ai/kilometers-plugin-sdk-go/pluginv1"
)

type service struct {
	pluginv1.UnimplementedKilometersPluginServer
}

func (service) Initialize(context.Context, *pluginv1.InitializeRequest) (*pluginv1.InitializeResponse, error) {
	return &pluginv1.InitializeResponse{Success: true}, nil
}

func (service) HandleStreamEvent(
	context.Context, *pluginv1.HandleStreamEventRequest,
) (*pluginv1.HandleStreamEventResponse, error) {
	return &pluginv1.HandleStreamEventResponse{Success: true}, nil
}

func (service) Shutdown(context.Context, *pluginv1.ShutdownRequest) (*pluginv1.ShutdownResponse, error) {
	return &pluginv1.ShutdownResponse{Success: true}, nil
}

type bare struct {
	plugin.NetRPCUnsupportedPlugin
}

func (bare) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	pluginv1.RegisterKilometersPluginServer(server, service{})
	return nil
}

func (bare) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("this side only serves")
}

func main() {
	handshake := plugin.HandshakeConfig{
		ProtocolVersion:  1,
		MagicCookieKey:   "KILOMETERS_PLUGIN",
		MagicCookieValue: "kilometers-cli-plugin",
	}
	server := plugin.DefaultGRPCServer
	switch filepath.Base(os.Args[0]) {
	case "wrong-cookie":
		handshake.MagicCookieKey = "ANOTHER_PLUGIN"
	case "wrong-version":
		handshake.ProtocolVersion = 7
	case "netrpc":
		server = nil
	case "noise":
		fmt.Println("loading config …")
	case "exits":
		fmt.Fprintln(os.Stderr, "cannot find my licence")
		os.Exit(3)
	case "silent":
		time.Sleep(time.Hour)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         map[string]plugin.Plugin{"kilometers": bare{}},
		GRPCServer:      server,
	})
}
