import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PluginConfig(_message.Message):
    __slots__ = ("customer_id", "api_key", "api_endpoint", "jwt", "features", "tier", "debug", "log_level", "custom_settings", "token_keys", "plugin_name", "state_dir", "lease")
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    API_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    JWT_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    LOG_LEVEL_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KEYS_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_DIR_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    customer_id: str
    api_key: str
    api_endpoint: str
    jwt: str
    features: _containers.RepeatedScalarFieldContainer[str]
    tier: str
    debug: bool
    log_level: str
    custom_settings: _struct_pb2.Struct
    token_keys: str
    plugin_name: str
    state_dir: str
    lease: str
    def __init__(self, customer_id: _Optional[str] = ..., api_key: _Optional[str] = ..., api_endpoint: _Optional[str] = ..., jwt: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., tier: _Optional[str] = ..., debug: _Optional[bool] = ..., log_level: _Optional[str] = ..., custom_settings: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., token_keys: _Optional[str] = ..., plugin_name: _Optional[str] = ..., state_dir: _Optional[str] = ..., lease: _Optional[str] = ...) -> None: ...

class Party(_message.Message):
    __slots__ = ("name", "version", "title")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    title: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., title: _Optional[str] = ...) -> None: ...

class StreamEvent(_message.Message):
    __slots__ = ("id", "correlation_id", "timestamp", "type", "direction", "message", "server_info", "client_info", "session_id", "sequence", "duration_ms", "method", "tool", "is_error", "size", "truncated")
    ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SERVER_INFO_FIELD_NUMBER: _ClassVar[int]
    CLIENT_INFO_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    IS_ERROR_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    type: str
    direction: str
    message: bytes
    server_info: Party
    client_info: Party
    session_id: str
    sequence: int
    duration_ms: float
    method: str
    tool: str
    is_error: bool
    size: int
    truncated: bool
    def __init__(self, id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., type: _Optional[str] = ..., direction: _Optional[str] = ..., message: _Optional[bytes] = ..., server_info: _Optional[_Union[Party, _Mapping]] = ..., client_info: _Optional[_Union[Party, _Mapping]] = ..., session_id: _Optional[str] = ..., sequence: _Optional[int] = ..., duration_ms: _Optional[float] = ..., method: _Optional[str] = ..., tool: _Optional[str] = ..., is_error: _Optional[bool] = ..., size: _Optional[int] = ..., truncated: _Optional[bool] = ...) -> None: ...

class InitializeRequest(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: PluginConfig
    def __init__(self, config: _Optional[_Union[PluginConfig, _Mapping]] = ...) -> None: ...

class InitializeResponse(_message.Message):
    __slots__ = ("success", "error")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ...) -> None: ...

class HandleStreamEventRequest(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: StreamEvent
    def __init__(self, event: _Optional[_Union[StreamEvent, _Mapping]] = ...) -> None: ...

class HandleStreamEventResponse(_message.Message):
    __slots__ = ("success", "error")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ...) -> None: ...

class HandleStreamEventsRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[StreamEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[StreamEvent, _Mapping]]] = ...) -> None: ...

class EventFailure(_message.Message):
    __slots__ = ("index", "error")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    index: int
    error: str
    def __init__(self, index: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class HandleStreamEventsResponse(_message.Message):
    __slots__ = ("success", "error", "handled", "failed", "failures")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    HANDLED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    handled: int
    failed: int
    failures: _containers.RepeatedCompositeFieldContainer[EventFailure]
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ..., handled: _Optional[int] = ..., failed: _Optional[int] = ..., failures: _Optional[_Iterable[_Union[EventFailure, _Mapping]]] = ...) -> None: ...

class UpdateConfigRequest(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: PluginConfig
    def __init__(self, config: _Optional[_Union[PluginConfig, _Mapping]] = ...) -> None: ...

class UpdateConfigResponse(_message.Message):
    __slots__ = ("success", "error")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ...) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("name", "version", "sdk", "runtime", "handled", "failed")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    HANDLED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    sdk: str
    runtime: str
    handled: int
    failed: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., sdk: _Optional[str] = ..., runtime: _Optional[str] = ..., handled: _Optional[int] = ..., failed: _Optional[int] = ...) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ("success", "error")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ...) -> None: ...
