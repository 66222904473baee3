package kilometers

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/kilometers-ai/kilometers-plugin-sdk-go/pluginv1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// PluginName is the name the plugin is dispensed under.
	PluginName = "kilometers"
	// listedFailures of a batch: enough to see a pattern, little enough for a log line.
	listedFailures = 16
)

// Handshake is what host and plugin must agree on before anything else.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "KILOMETERS_PLUGIN",
	MagicCookieValue: "kilometers-cli-plugin",
}

// KilometersGRPCPlugin is the go-plugin plugin: the server side serves Impl, the client side returns a *GRPCClient.
type KilometersGRPCPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	Impl     KilometersPlugin
	Manifest []byte
	Now      func() time.Time // time.Now unless a test says otherwise
}

// GRPCServer registers Impl with the process's gRPC server.
func (p *KilometersGRPCPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	own, err := parseManifest(p.Manifest)
	if err != nil {
		return err
	}
	now := p.Now
	if now == nil {
		now = time.Now
	}
	pluginv1.RegisterKilometersPluginServer(s, &GRPCServer{Impl: p.Impl, own: own, now: now})
	return nil
}

// GRPCClient is called in the host.
func (p *KilometersGRPCPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return &GRPCClient{client: pluginv1.NewKilometersPluginClient(c)}, nil
}

// GRPCServer answers the host's calls with Impl, one at a time.
type GRPCServer struct {
	pluginv1.UnimplementedKilometersPluginServer
	Impl KilometersPlugin

	own             manifest
	now             func() time.Time
	calls           sync.Mutex // held while the author's code runs
	initialized     atomic.Bool
	handled, failed atomic.Uint64
}

// Initialize checks the configuration and hands it on.
func (s *GRPCServer) Initialize(ctx context.Context, r *pluginv1.InitializeRequest) (*pluginv1.InitializeResponse, error) {
	err := s.configure(r.GetConfig(), func(config PluginConfig) error { return s.Impl.Initialize(ctx, config) })
	if err == nil {
		s.initialized.Store(true)
	}
	return &pluginv1.InitializeResponse{Success: err == nil, Error: text(err)}, nil
}

// UpdateConfig hands a changed configuration on; UNIMPLEMENTED when the plugin cannot take one.
func (s *GRPCServer) UpdateConfig(ctx context.Context, r *pluginv1.UpdateConfigRequest) (*pluginv1.UpdateConfigResponse, error) {
	updater, ok := s.Impl.(ConfigUpdater)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "this plugin must be restarted to take a new configuration")
	}
	use := func(config PluginConfig) error { return updater.UpdateConfig(ctx, config) }
	err := s.configure(r.GetConfig(), use)
	if errors.Is(err, errNotAdmitted) { // what it was granted before does not hold any more
		bare := withoutRights(configFromProto(r.GetConfig()))
		err = errors.Join(err, s.withLock(func() error { return use(bare) }))
	}
	return &pluginv1.UpdateConfigResponse{Success: err == nil, Error: text(err)}, nil
}

// HandleStreamEvent hands one event on.
func (s *GRPCServer) HandleStreamEvent(ctx context.Context, r *pluginv1.HandleStreamEventRequest) (*pluginv1.HandleStreamEventResponse, error) {
	if !s.initialized.Load() {
		return nil, errNotInitialized
	}
	s.calls.Lock()
	defer s.calls.Unlock()
	err := s.handle(ctx, r.GetEvent())
	if err != nil {
		s.count(1, 1)
	} else {
		s.count(1, 0)
	}
	return &pluginv1.HandleStreamEventResponse{Success: err == nil, Error: text(err)}, nil
}

// HandleStreamEvents hands many on, in order; a failure does not stop those after it.
func (s *GRPCServer) HandleStreamEvents(ctx context.Context, r *pluginv1.HandleStreamEventsRequest) (*pluginv1.HandleStreamEventsResponse, error) {
	if !s.initialized.Load() {
		return nil, errNotInitialized
	}
	s.calls.Lock()
	defer s.calls.Unlock()
	failures := s.handleAll(ctx, r.GetEvents())
	s.count(len(r.GetEvents()), len(failures))
	return batchResponse(len(r.GetEvents()), failures), nil
}

// GetInfo says what runs here.
func (s *GRPCServer) GetInfo(context.Context, *pluginv1.GetInfoRequest) (*pluginv1.GetInfoResponse, error) {
	return &pluginv1.GetInfoResponse{
		Name: s.own.Name, Version: s.own.Version, Sdk: "go/" + Version, Runtime: runtime.Version(),
		Handled: s.handled.Load(), Failed: s.failed.Load(),
	}, nil
}

// Shutdown lets the plugin write out what it holds back.
func (s *GRPCServer) Shutdown(ctx context.Context, _ *pluginv1.ShutdownRequest) (*pluginv1.ShutdownResponse, error) {
	s.calls.Lock()
	defer s.calls.Unlock()
	var err error
	if s.initialized.Swap(false) {
		err = guarded(func() error { return s.Impl.Shutdown(ctx) })
	}
	return &pluginv1.ShutdownResponse{Success: err == nil, Error: text(err)}, nil
}

var errNotAdmitted = errors.New("the configuration is refused")

var errNotInitialized = status.Error(codes.FailedPrecondition, "Initialize has not succeeded yet")

func (s *GRPCServer) configure(message *pluginv1.PluginConfig, use func(PluginConfig) error) error {
	config, err := admit(configFromProto(message), s.own, s.now())
	if err != nil {
		return fmt.Errorf("%w: %w", errNotAdmitted, err)
	}
	return s.withLock(func() error { return use(config) })
}

func (s *GRPCServer) withLock(call func() error) error {
	s.calls.Lock()
	defer s.calls.Unlock()
	return guarded(call)
}

func (s *GRPCServer) handle(ctx context.Context, event *pluginv1.StreamEvent) error {
	return guarded(func() error { return s.Impl.HandleStreamEvent(ctx, eventFromProto(event)) })
}

// handleAll returns a failure for each event that failed; a batch handler's error without positions is that of all.
func (s *GRPCServer) handleAll(ctx context.Context, events []*pluginv1.StreamEvent) []*pluginv1.EventFailure {
	var failures []*pluginv1.EventFailure
	batch, ok := s.Impl.(BatchHandler)
	if !ok {
		for index, event := range events {
			if err := s.handle(ctx, event); err != nil {
				failures = append(failures, &pluginv1.EventFailure{Index: uint32(index), Error: err.Error()})
			}
		}
		return failures
	}
	converted := make([]StreamEvent, len(events))
	for index, event := range events {
		converted[index] = eventFromProto(event)
	}
	err := guarded(func() error { return batch.HandleStreamEvents(ctx, converted) })
	for index := range events {
		if err != nil {
			failures = append(failures, &pluginv1.EventFailure{Index: uint32(index), Error: err.Error()})
		}
	}
	return failures
}

func batchResponse(events int, failures []*pluginv1.EventFailure) *pluginv1.HandleStreamEventsResponse {
	response := &pluginv1.HandleStreamEventsResponse{
		Success: len(failures) == 0, Handled: uint32(events - len(failures)), Failed: uint32(len(failures)),
		Failures: failures[:min(len(failures), listedFailures)],
	}
	if len(failures) > 0 {
		response.Error = failures[0].GetError()
		log.Printf("%d of %d events failed; the first: %s", len(failures), events, response.Error)
	}
	return response
}

func (s *GRPCServer) count(events, failed int) {
	s.handled.Add(uint64(events - failed))
	s.failed.Add(uint64(failed))
}

// guarded makes an error of a panic: gRPC would let it end the process.
func guarded(call func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return call()
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// GRPCClient is the host's side of a plugin: it is a KilometersPlugin whose methods are calls to the process.
type GRPCClient struct {
	client pluginv1.KilometersPluginClient
}

// Initialize calls the plugin; an answer without success is an error.
func (c *GRPCClient) Initialize(ctx context.Context, config PluginConfig) error {
	message, err := configToProto(config)
	if err != nil {
		return err
	}
	response, err := c.client.Initialize(ctx, &pluginv1.InitializeRequest{Config: message})
	return outcome(err, response.GetSuccess(), response.GetError())
}

// UpdateConfig calls the plugin; codes.Unimplemented means that it must be restarted.
func (c *GRPCClient) UpdateConfig(ctx context.Context, config PluginConfig) error {
	message, err := configToProto(config)
	if err != nil {
		return err
	}
	response, err := c.client.UpdateConfig(ctx, &pluginv1.UpdateConfigRequest{Config: message})
	return outcome(err, response.GetSuccess(), response.GetError())
}

// HandleStreamEvent calls the plugin.
func (c *GRPCClient) HandleStreamEvent(ctx context.Context, event StreamEvent) error {
	response, err := c.client.HandleStreamEvent(ctx, &pluginv1.HandleStreamEventRequest{Event: eventToProto(event)})
	return outcome(err, response.GetSuccess(), response.GetError())
}

// HandleStreamEvents calls the plugin once for all events.
func (c *GRPCClient) HandleStreamEvents(ctx context.Context, events []StreamEvent) error {
	request := &pluginv1.HandleStreamEventsRequest{}
	for _, event := range events {
		request.Events = append(request.Events, eventToProto(event))
	}
	response, err := c.client.HandleStreamEvents(ctx, request)
	return outcome(err, response.GetSuccess(), response.GetError())
}

// Info asks the plugin what it is.
func (c *GRPCClient) Info(ctx context.Context) (*pluginv1.GetInfoResponse, error) {
	return c.client.GetInfo(ctx, &pluginv1.GetInfoRequest{})
}

// Shutdown calls the plugin.
func (c *GRPCClient) Shutdown(ctx context.Context) error {
	response, err := c.client.Shutdown(ctx, &pluginv1.ShutdownRequest{})
	return outcome(err, response.GetSuccess(), response.GetError())
}

func outcome(err error, success bool, message string) error {
	if err != nil || success {
		return err
	}
	return errors.New(message)
}
