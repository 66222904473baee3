"""The plugin contract as protobuf messages and gRPC stubs. Made by scripts/generate-proto from sdk/proto."""
