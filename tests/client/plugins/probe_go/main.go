// A plugin that tries what each event tells it to, and fails the event with what the kernel answered.
//
//	{"try": "tcp", "host": "127.0.0.1", "port": 8080}    → success, or "dial tcp …: permission denied"
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

const ptraceSeize = 0x4206

type order struct {
	Try    string `json:"try"`
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Path   string `json:"path"`
	Name   string `json:"name"`
	PID    int    `json:"pid"`
	Code   int    `json:"code"`
	Wanted int    `json:"bytes_wanted"`
	MiB    int    `json:"mebibytes"`
}

type probe struct{ stateDir string }

func (p *probe) Initialize(_ context.Context, config kilometers.PluginConfig) error {
	p.stateDir = config.StateDir
	return nil
}

func (p *probe) Shutdown(context.Context) error { return nil }

func (p *probe) HandleStreamEvent(_ context.Context, event kilometers.StreamEvent) error {
	var told order
	if err := json.Unmarshal(event.Message, &told); err != nil {
		return err
	}
	return p.try(told)
}

func (p *probe) try(o order) error {
	switch o.Try {
	case "", "nothing":
		return nil
	case "tcp", "udp":
		return dial(o.Try, fmt.Sprintf("%s:%d", o.Host, o.Port))
	case "unix":
		return dial("unix", o.Path)
	case "abstract":
		return dial("unix", "@"+o.Name)
	case "datagram_pair":
		return datagramPair(o.Path)
	case "io_uring":
		var parameters [256]byte
		return systemCall(425, 8, uintptr(unsafe.Pointer(&parameters[0])), 0, 0)
	case "read":
		_, err := os.ReadFile(o.Path)
		return err
	case "write":
		return os.WriteFile(o.Path, []byte("x"), 0o600)
	case "chmod":
		return os.Chmod(o.Path, 0o777)
	case "remove":
		return os.Remove(o.Path)
	case "list":
		_, err := os.ReadDir(o.Path)
		return err
	case "write_state":
		return os.WriteFile(p.stateDir+"/kept", []byte("x"), 0o600)
	case "exec":
		return syscall.Exec(o.Path, []string{o.Path}, nil)
	case "run":
		return exec.Command(o.Path).Run()
	case "fork":
		return fork()
	case "leave_child":
		return exec.Command("/bin/sleep", "1000").Start()
	case "escape_group":
		_, err := syscall.Setsid()
		return err
	case "thread":
		done := make(chan struct{})
		go func() { close(done) }()
		<-done
		return nil
	case "ptrace":
		return systemCall(syscall.SYS_PTRACE, ptraceSeize, uintptr(o.PID), 0, 0)
	case "signal":
		return syscall.Kill(o.PID, 0)
	case "limit":
		limit := syscall.Rlimit{Cur: 8, Max: 8}
		return systemCall(302, uintptr(o.PID), syscall.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&limit)), 0)
	case "survive":
		return systemCall(syscall.SYS_PRCTL, 1, 0, 0, 0)
	case "memory":
		return leak(o.Wanted)
	case "hang":
		time.Sleep(time.Hour)
	case "raise":
		panic("as told")
	case "leave":
		os.Exit(o.Code)
	case "flood":
		flood(os.Stderr, o.MiB)
	case "flood_stdout":
		flood(os.Stdout, o.MiB)
	default:
		return fmt.Errorf("%q is not known to this plugin", o.Try)
	}
	return nil
}

func dial(network, address string) error {
	connection, err := net.DialTimeout(network, address, 2*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = connection.Write([]byte("x"))
	return err
}

func datagramPair(path string) error {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	return syscall.Sendto(pair[0], []byte("x"), 0, &syscall.SockaddrUnix{Name: path})
}

// fork makes a child that ends at once, with the bare call: Go itself only forks to exec.
func fork() error {
	child, _, number := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
	if child == 0 && number == 0 {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
	if number != 0 {
		return number
	}
	var status syscall.WaitStatus
	_, err := syscall.Wait4(int(child), &status, 0, nil)
	return err
}

func leak(wanted int) error {
	held := make([][]byte, 0)
	for total := 0; total < wanted; total += 1 << 20 {
		block := make([]byte, 1<<20)
		for at := range block {
			block[at] = 1
		}
		held = append(held, block)
	}
	if len(held) == 0 {
		return nil
	}
	return fmt.Errorf("held %d MiB", len(held))
}

func flood(to *os.File, mebibytes int) {
	block := make([]byte, 1024)
	for at := range block {
		block[at] = 'x'
	}
	block[1023] = '\n'
	for range mebibytes * 1024 {
		_, _ = to.Write(block)
	}
}

func systemCall(number, a, b, c, d uintptr) error {
	_, _, failed := syscall.Syscall6(number, a, b, c, d, 0, 0)
	if failed != 0 {
		return failed
	}
	return nil
}

func main() { kilometers.Serve(&probe{}) }
