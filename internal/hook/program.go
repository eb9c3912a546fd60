package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/config"
)

// program runs a program once. It is over when its process has ended; what that leaves behind in its session, or holding its
// output, is ended with it.
func (r *Runner) program(ctx context.Context, h config.Hook, call Call, body []byte, n int) outcome {
	id, err := identify(h.User, os.Geteuid())
	if err != nil {
		return outcome{exit: -1, err: err, final: true}
	}
	// A program dies with the thread that started it, as the kernel has it for Pdeathsig: that shall be the daemon's end.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := start(h, id, append(id.environment(), call.environment(n)...), body)
	if err != nil {
		return outcome{exit: -1, err: fmt.Errorf("start it: %w", err), final: !passing(err)}
	}
	cause := p.await(ctx)
	ended, err := p.end(r.opt.Grace)
	if err != nil {
		return p.abandon(errors.Join(cause, err))
	}
	p.drain(patience)
	return p.outcome(cause, ended)
}

// passing says whether a program that could not be started may start a moment later.
func passing(err error) bool {
	return slices.ContainsFunc([]error{unix.EAGAIN, unix.ENOMEM, unix.ETXTBSY, unix.EMFILE, unix.ENFILE}, func(e error) bool {
		return errors.Is(err, e)
	})
}

// process is a program that runs, in a session of its own.
type process struct {
	cmd     *exec.Cmd
	pipe    *os.File // its output
	inode   string   // of that pipe, as /proc names it
	kept    output
	drained chan struct{} // closed once nobody can write to the pipe
	exited  chan struct{} // closed once the program has ended; it is not reaped then, so that its number is nobody else's
}

func start(h config.Hook, id identity, env []string, stdin []byte) (*process, error) {
	in, err := memory(stdin)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	pipe, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{pipe: pipe, drained: make(chan struct{}), exited: make(chan struct{})}
	if p.inode, err = inodeOf(pipe); err == nil && id.credential != nil {
		// So that it can open /dev/stderr.
		err = out.Chown(int(id.credential.Uid), int(id.credential.Gid))
	}
	if err != nil {
		return nil, errors.Join(err, pipe.Close())
	}
	p.cmd = &exec.Cmd{
		Path: h.Exec[0], Args: h.Exec, Env: env, Dir: "/", Stdin: in, Stdout: out, Stderr: out,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: id.credential, Pdeathsig: unix.SIGKILL},
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, pipe.Close())
	}
	go func() {
		defer close(p.drained)
		_, _ = io.Copy(&p.kept, pipe) // it ends with the last writer, or when the pipe is closed
	}()
	go func() {
		defer close(p.exited)
		for errors.Is(unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		}
	}()
	return p, nil
}

// memory is a file that is in no file system: nobody has to write while the program reads, and a full disk is none.
func memory(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("call", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make its standard input: %w", err)
	}
	f := os.NewFile(uintptr(fd), "call")
	if _, err := f.Write(data); err != nil {
		return nil, errors.Join(fmt.Errorf("write its standard input: %w", err), f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("write its standard input: %w", err), f.Close())
	}
	return f, nil
}

// await waits for the program's end, or gives the cause of the context's end when that came first.
func (p *process) await(ctx context.Context) error {
	select {
	case <-p.exited:
		p.drain(look) // mostly it left nothing, and looking through all processes can be spared
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drain waits until all output was read, if nobody holds the pipe any more.
func (p *process) drain(most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-p.drained:
	case <-timer.C:
	}
}

// outcome reaps the program, and says how it ended.
func (p *process) outcome(cause error, ended int) outcome {
	err := p.cmd.Wait()
	p.pipe.Close()
	<-p.drained
	o := outcome{exit: -1, output: p.kept.String(), err: cause}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		o.signal = unix.SignalName(status.Signal())
		if o.err == nil {
			o.err = fmt.Errorf("the signal %s ended it", o.signal)
		}
	default:
		o.exit = p.cmd.ProcessState.ExitCode()
		if o.err == nil && err != nil {
			o.err = fmt.Errorf("exit code %d", o.exit)
		}
	}
	switch line := lastLine(o.output); {
	case o.err != nil && line != "":
		o.err = fmt.Errorf("%w, having said %q", o.err, line)
	case o.err == nil && ended > 0:
		o.output += fmt.Sprintf("\n[%d processes that it left behind were ended]", ended)
	}
	return o
}

// abandon gives up a program that can't be ended: it is another user's, or waits in the kernel.
func (p *process) abandon(err error) outcome {
	p.pipe.Close()
	<-p.drained
	go func() { _ = p.cmd.Wait() }() // that it ends at all is not sure
	return outcome{exit: -1, output: p.kept.String(), err: err}
}
