package plugin

import (
	"context"

	"github.com/hashicorp/go-plugin"
	pb "github.com/kilometers-ai/kilometers-plugin-sdk-go/pluginv1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// KilometersGRPCPlugin implements the plugin.GRPCPlugin interface
type KilometersGRPCPlugin struct {
	plugin.Plugin
	Impl KilometersPlugin
}

func (p *KilometersGRPCPlugin) GRPCServer(broker *plugin.GRPCBroker, s *grpc.Server) error {
	pb.RegisterKilometersPluginServer(s, &GRPCServer{Impl: p.Impl})
	return nil
}

func (p *KilometersGRPCPlugin) GRPCClient(ctx context.Context, broker *plugin.GRPCBroker, c *grpc.ClientConn) (interface{}, error) {
	return &GRPCClient{client: pb.NewKilometersPluginClient(c)}, nil
}

// GRPCServer implements the gRPC server for the plugin
type GRPCServer struct {
	pb.UnimplementedKilometersPluginServer
	Impl KilometersPlugin
}

func (s *GRPCServer) Initialize(ctx context.Context, req *pb.InitializeRequest) (*pb.InitializeResponse, error) {
	config := PluginConfig{
		CustomerID:     req.GetConfig().GetCustomerId(),
		APIKey:         req.GetConfig().GetApiKey(),
		APIEndpoint:    req.GetConfig().GetApiEndpoint(),
		JWT:            req.GetConfig().GetJwt(),
		Features:       req.GetConfig().GetFeatures(),
		Tier:           req.GetConfig().GetTier(),
		Debug:          req.GetConfig().GetDebug(),
		LogLevel:       req.GetConfig().GetLogLevel(),
		CustomSettings: req.GetConfig().GetCustomSettings().AsMap(),
		TokenKeys:      req.GetConfig().GetTokenKeys(),
		PluginName:     req.GetConfig().GetPluginName(),
	}

	err := s.Impl.Initialize(ctx, config)
	return &pb.InitializeResponse{Success: err == nil}, err
}

func (s *GRPCServer) HandleStreamEvent(ctx context.Context, req *pb.HandleStreamEventRequest) (*pb.HandleStreamEventResponse, error) {
	event := StreamEvent{
		ID:            req.Event.Id,
		CorrelationID: req.Event.CorrelationId,
		Timestamp:     req.Event.Timestamp.AsTime(),
		Type:          StreamEventType(req.Event.Type),
		Direction:     req.Event.Direction,
		Message:       req.Event.Message,
		ServerInfo:    ServerInfo{Name: req.Event.GetServerInfo().GetName(), Version: req.Event.GetServerInfo().GetVersion()},
		ClientInfo:    ClientInfo{Name: req.Event.GetClientInfo().GetName(), Version: req.Event.GetClientInfo().GetVersion()},
	}

	err := s.Impl.HandleStreamEvent(ctx, event)
	return &pb.HandleStreamEventResponse{Success: err == nil}, err
}

func (s *GRPCServer) Shutdown(ctx context.Context, req *pb.ShutdownRequest) (*pb.ShutdownResponse, error) {
	err := s.Impl.Shutdown(ctx)
	return &pb.ShutdownResponse{Success: err == nil}, err
}

// GRPCClient implements the gRPC client for the plugin
type GRPCClient struct {
	client pb.KilometersPluginClient
}

func (c *GRPCClient) Initialize(ctx context.Context, config PluginConfig) error {
	req := &pb.InitializeRequest{
		Config: &pb.PluginConfig{
			CustomerId:  config.CustomerID,
			ApiKey:      config.APIKey,
			ApiEndpoint: config.APIEndpoint,
			Jwt:         config.JWT,
			Features:    config.Features,
			Tier:        config.Tier,
			Debug:       config.Debug,
			LogLevel:    config.LogLevel,
		},
	}

	_, err := c.client.Initialize(ctx, req)
	return err
}

func (c *GRPCClient) HandleStreamEvent(ctx context.Context, event StreamEvent) error {
	req := &pb.HandleStreamEventRequest{
		Event: &pb.StreamEvent{
			Id:            event.ID,
			CorrelationId: event.CorrelationID,
			Timestamp:     timestamppb.New(event.Timestamp),
			Type:          string(event.Type),
			Direction:     event.Direction,
			Message:       event.Message,
		},
	}

	_, err := c.client.HandleStreamEvent(ctx, req)
	return err
}

func (c *GRPCClient) Shutdown(ctx context.Context) error {
	_, err := c.client.Shutdown(ctx, &pb.ShutdownRequest{})
	return err
}
