package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kilometers-ai/kilometers-plugin-sdk-go/kmtest"
)

// The program as a host runs it: built, started, handshake, AutoMTLS, events, end.
func TestTheProgramRunsUnderAHost(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "my-plugin")
	if output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	client, _ := kmtest.Start(t, exec.Command(binary))
	config := kmtest.NewTokenIssuer(t).Config(t, "my-plugin", "Free", "console_logging")
	if err := client.Initialize(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	events := kmtest.GoldenEvents(t)
	kmtest.Feed(t, client, events)
	info, err := client.Info(t.Context())
	if err != nil || info.GetName() != "my-plugin" || info.GetHandled() != uint64(len(events)) {
		t.Errorf("info is %v, %v", info, err)
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
