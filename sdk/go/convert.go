package kilometers

import (
	"github.com/kilometers-ai/kilometers-plugin-sdk-go/pluginv1"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func configFromProto(c *pluginv1.PluginConfig) PluginConfig {
	return PluginConfig{
		CustomerID:     c.GetCustomerId(),
		APIKey:         c.GetApiKey(),
		APIEndpoint:    c.GetApiEndpoint(),
		JWT:            c.GetJwt(),
		Features:       c.GetFeatures(),
		Tier:           c.GetTier(),
		Debug:          c.GetDebug(),
		LogLevel:       c.GetLogLevel(),
		CustomSettings: c.GetCustomSettings().AsMap(),
		TokenKeys:      c.GetTokenKeys(),
		PluginName:     c.GetPluginName(),
		StateDir:       c.GetStateDir(),
		Lease:          c.GetLease(),
	}
}

func configToProto(c PluginConfig) (*pluginv1.PluginConfig, error) {
	settings, err := structpb.NewStruct(c.CustomSettings)
	if err != nil {
		return nil, err
	}
	return &pluginv1.PluginConfig{
		CustomerId:     c.CustomerID,
		ApiKey:         c.APIKey,
		ApiEndpoint:    c.APIEndpoint,
		Jwt:            c.JWT,
		Features:       c.Features,
		Tier:           c.Tier,
		Debug:          c.Debug,
		LogLevel:       c.LogLevel,
		CustomSettings: settings,
		TokenKeys:      c.TokenKeys,
		PluginName:     c.PluginName,
		StateDir:       c.StateDir,
		Lease:          c.Lease,
	}, nil
}

func eventFromProto(e *pluginv1.StreamEvent) StreamEvent {
	return StreamEvent{
		ID:            e.GetId(),
		CorrelationID: e.GetCorrelationId(),
		Timestamp:     e.GetTimestamp().AsTime(),
		Type:          StreamEventType(e.GetType()),
		Direction:     e.GetDirection(),
		Message:       e.GetMessage(),
		ServerInfo:    partyFromProto(e.GetServerInfo()),
		ClientInfo:    partyFromProto(e.GetClientInfo()),
		SessionID:     e.GetSessionId(),
		Sequence:      e.GetSequence(),
		HasDuration:   e.DurationMs != nil,
		DurationMS:    e.GetDurationMs(),
		Method:        e.GetMethod(),
		Tool:          e.GetTool(),
		IsError:       e.GetIsError(),
		Size:          e.GetSize(),
		Truncated:     e.GetTruncated(),
	}
}

func eventToProto(e StreamEvent) *pluginv1.StreamEvent {
	message := &pluginv1.StreamEvent{
		Id:            e.ID,
		CorrelationId: e.CorrelationID,
		Timestamp:     timestamppb.New(e.Timestamp),
		Type:          string(e.Type),
		Direction:     e.Direction,
		Message:       e.Message,
		ServerInfo:    partyToProto(e.ServerInfo),
		ClientInfo:    partyToProto(e.ClientInfo),
		SessionId:     e.SessionID,
		Sequence:      e.Sequence,
		Method:        e.Method,
		Tool:          e.Tool,
		IsError:       e.IsError,
		Size:          e.Size,
		Truncated:     e.Truncated,
	}
	if e.HasDuration {
		message.DurationMs = &e.DurationMS
	}
	return message
}

func partyFromProto(p *pluginv1.Party) Party {
	return Party{Name: p.GetName(), Version: p.GetVersion(), Title: p.GetTitle()}
}

func partyToProto(p Party) *pluginv1.Party {
	return &pluginv1.Party{Name: p.Name, Version: p.Version, Title: p.Title}
}
