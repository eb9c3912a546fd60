package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// machines are those of the Vagrantfile.
type machines struct {
	log   *os.File
	begin time.Time
}

// say tells how far it is.
func (m *machines) say(format string, args ...any) {
	fmt.Printf("%5.0f s  %s\n", time.Since(m.begin).Seconds(), fmt.Sprintf(format, args...))
}

// vagrant runs it with a home of its own, and gives what it prints.
func (m *machines) vagrant(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "vagrant", args...)
	// It ends what it does in an orderly way, and so takes machines away that it has begun.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	home, err := filepath.Abs(work)
	if err != nil {
		return "", err
	}
	cmd.Env = append(os.Environ(), "HOME="+home, "VAGRANT_HOME="+home+"/home", "VAGRANT_DOTFILE_PATH="+home+"/dot",
		"VAGRANT_DEFAULT_PROVIDER=libvirt", "VAGRANT_CHECKPOINT_DISABLE=1", "EBBTIDE_VAGRANT_EMULATE=1")
	return m.run(cmd)
}

// on runs a command in a machine.
func (m *machines) on(ctx context.Context, machine, command string) (string, error) {
	return m.run(m.ssh(ctx, machine, command))
}

// ssh is a command in a machine; it is not started.
func (m *machines) ssh(ctx context.Context, machine, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "ssh", "-F", filepath.Join(work, "ssh"), machine, command)
}

// run runs a command, and keeps what it says in the log, too.
func (m *machines) run(cmd *exec.Cmd) (string, error) {
	fmt.Fprintf(m.log, "\n$ %s\n", cmd)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, m.log), m.log
	err := cmd.Run()
	text := out.String()
	if err != nil {
		return text, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, text)
	}
	return text, nil
}

// up makes them, and learns how to come in.
func (m *machines) up(ctx context.Context) error {
	if _, err := m.vagrant(ctx, "up", "--no-color"); err != nil {
		return err
	}
	config, err := m.vagrant(ctx, "ssh-config")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(work, "ssh"), []byte(config), 0o600)
}

// destroy takes them away, and is not content with less than all of them.
func (m *machines) destroy(ctx context.Context) error {
	if _, err := m.vagrant(ctx, "destroy", "--force"); err != nil {
		return err
	}
	left, err := m.run(exec.CommandContext(ctx, "virsh", "--connect", "qemu:///system", "list", "--all", "--name"))
	if err != nil {
		return err
	}
	if left = strings.TrimSpace(left); left != "" {
		return fmt.Errorf("machines are left after vagrant destroy: %s", left)
	}
	return nil
}
