// Package host runs the daemon on the load balancer of a lab, as a process of its own that can be killed, with the
// data plane that ships or one in which a rule is left out.
//
// The daemon is this very executable, started again: whoever uses this package calls Child first.
package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/daemon"
	"github.com/ebbtide/ebbtide/test/lab"
)

// childEnv holds a child's options.
const childEnv = "EBBTIDE_TEST_DAEMON"

// Options of a daemon under test.
type Options struct {
	LeaveOut bpftest.ProgramRule `json:"leave_out,omitempty"` // rules of the data plane to leave out
	Stall    uint32              `json:"stall,omitempty"`     // length of the stalls among them
	Build    Build               `json:"build,omitempty"`     // of the data plane, when no rule is left out
	Force    bool                `json:"force,omitempty"`     // replace foreign XDP programs
	KillAt   int                 `json:"kill_at,omitempty"`   // kill -9 before this kernel write, counted from 1
	KillOn   string              `json:"kill_on,omitempty"`   // count only the writes whose name begins with this
	StopOn   string              `json:"stop_on,omitempty"`   // SIGSTOP before the first write whose name begins with this
	StepLog  string              `json:"step_log,omitempty"`  // file that gets a line for each kernel write
	Name     string              `json:"name,omitempty"`      // of the daemon, when a host runs more than one
	Metrics  string              `json:"metrics,omitempty"`   // address of its metrics; empty: none

	Config, StateDir, BPFDir, Socket, ProbeSocket string
}

// Host is a load balancer with a daemon.
type Host struct {
	lab    *lab.Lab
	opt    Options
	cmd    *exec.Cmd
	log    *os.File
	Client *api.Client
}

// New prepares the files of a daemon in the lab's directory. Start starts it.
func New(l *lab.Lab, opt Options) (*Host, error) {
	fs, err := l.MountBPFFS("bpf" + opt.Name)
	if err != nil {
		return nil, err
	}
	opt.Config = filepath.Join(l.Dir, "ebbtide"+opt.Name+".yaml")
	opt.StateDir = filepath.Join(l.Dir, "state"+opt.Name)
	opt.BPFDir = filepath.Join(fs, "ebbtide")
	opt.Socket = filepath.Join(l.Dir, "ebbtide"+opt.Name+".sock")
	opt.ProbeSocket = filepath.Join(l.Dir, "probe"+opt.Name+".sock")
	log, err := os.OpenFile(filepath.Join(l.Dir, "daemon"+opt.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the daemon's log: %w", err)
	}
	return &Host{lab: l, opt: opt, log: log, Client: api.New(opt.Socket)}, nil
}

// Configure writes the configuration file; the daemon reads it when it starts or is told to reload.
func (h *Host) Configure(yaml string) error {
	if err := os.WriteFile(h.opt.Config, []byte(yaml), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// Options are those of the next start; tests change them between two.
func (h *Host) Options() *Options { return &h.opt }

// Start starts the daemon and waits until it answers. The error of a daemon that ends instead has its log. One that is
// not up when the context ends is killed.
func (h *Host) Start(ctx context.Context) error {
	env, err := json.Marshal(h.opt)
	if err != nil {
		return fmt.Errorf("pass on the options: %w", err)
	}
	ready, readyChild, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer ready.Close()
	h.cmd = exec.Command("/proc/self/exe")
	h.cmd.Env = append(os.Environ(), childEnv+"="+string(env))
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	h.cmd.ExtraFiles = []*os.File{readyChild}
	err = h.lab.LB.Start(h.cmd)
	readyChild.Close()
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { ready.SetReadDeadline(time.Now()) })
	defer stop()
	if n, _ := ready.Read(make([]byte, 1)); n == 0 {
		if ctx.Err() != nil {
			h.cmd.Process.Kill() // one that has ended already is waited for all the same
		}
		return fmt.Errorf("the daemon did not come up: %w\n%s", errors.Join(ctx.Err(), h.cmd.Wait()), h.Log())
	}
	return nil
}

// PID is the process id of the daemon that was started last.
func (h *Host) PID() int { return h.cmd.Process.Pid }

// Kill ends the daemon by SIGKILL and waits for its end.
func (h *Host) Kill() error { return h.end(syscall.SIGKILL) }

// Stop ends the daemon by SIGTERM and waits for its end.
func (h *Host) Stop() error { return h.end(syscall.SIGTERM) }

func (h *Host) end(sig os.Signal) error {
	h.Client.Close()
	if err := h.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to the daemon: %w", sig, err)
	}
	return h.Wait()
}

// Signal sends the daemon a signal.
func (h *Host) Signal(sig os.Signal) error {
	if err := h.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("send %v to the daemon: %w", sig, err)
	}
	return nil
}

// Stopped waits until the daemon has come to what StopOn names, and stands still before it.
func (h *Host) Stopped() error {
	for {
		err := unix.Waitid(unix.P_PID, h.cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Wait waits until the daemon has ended by itself. How it ended is no error.
func (h *Host) Wait() error {
	err := h.cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("wait for the daemon: %w", err)
	}
	return nil
}

// ExitCode is that of the daemon that was started last, once its end was waited for.
func (h *Host) ExitCode() int { return h.cmd.ProcessState.ExitCode() }

// Log is what the daemon printed.
func (h *Host) Log() string {
	data, err := os.ReadFile(h.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// Child turns the process into a daemon when it was started as one. It comes first in main or TestMain.
func Child() {
	env := os.Getenv(childEnv)
	if env == "" {
		return
	}
	var opt Options
	if err := json.Unmarshal([]byte(env), &opt); err != nil {
		fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opt); err != nil {
		fatal(err)
	}
	os.Exit(0)
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "daemon:", err)
	os.Exit(1)
}

func run(ctx context.Context, opt Options) error {
	spec, err := specOf(opt)
	if err != nil {
		return err
	}
	steps, err := newSteps(opt)
	if err != nil {
		return err
	}
	return daemon.Run(ctx, daemon.Options{
		Config: opt.Config, StateDir: opt.StateDir, BPFDir: opt.BPFDir, Socket: opt.Socket, Spec: spec, ProbeSocket: opt.ProbeSocket, ForceAttach: opt.Force, MetricsAddr: opt.Metrics,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Step: steps.step, Version: "test",
		Ready: func() { os.NewFile(3, "ready").Write([]byte{1}) },
	})
}
