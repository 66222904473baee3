// A plugin on the bare go-plugin, with the guide's three calls and nothing of our SDK. What is wrong with it is the name
// of its file: `unary` is in order, `wrong-cookie`, `wrong-version`, `noise`, `exits`, `silent`, `netrpc` and those that
// begin with the name of a call are not.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kilometers-ai/kilometers-plugin-sdk-go/pluginv1"
)

type service struct {
	pluginv1.UnimplementedKilometersPluginServer
}

func (service) Initialize(context.Context, *pluginv1.InitializeRequest) (*pluginv1.InitializeResponse, error) {
	switch fault() {
	case "initialize-hangs":
		time.Sleep(time.Hour)
	case "initialize-exits":
		os.Exit(4)
	case "initialize-refuses":
		return &pluginv1.InitializeResponse{Error: "no licence for this customer"}, nil
	case "initialize-fails":
		return nil, status.Error(codes.Internal, "cannot open its database")
	}
	return &pluginv1.InitializeResponse{Success: true}, nil
}

func (service) HandleStreamEvent(
	context.Context, *pluginv1.HandleStreamEventRequest,
) (*pluginv1.HandleStreamEventResponse, error) {
	return &pluginv1.HandleStreamEventResponse{Success: true}, nil
}

func (service) Shutdown(context.Context, *pluginv1.ShutdownRequest) (*pluginv1.ShutdownResponse, error) {
	switch fault() {
	case "shutdown-hangs":
		time.Sleep(time.Hour)
	case "shutdown-fails":
		return &pluginv1.ShutdownResponse{Error: "cannot write its report"}, nil
	}
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

func fault() string { return filepath.Base(os.Args[0]) }

func main() {
	handshake := plugin.HandshakeConfig{
		ProtocolVersion:  1,
		MagicCookieKey:   "KILOMETERS_PLUGIN",
		MagicCookieValue: "kilometers-cli-plugin",
	}
	server := plugin.DefaultGRPCServer
	switch fault() {
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
